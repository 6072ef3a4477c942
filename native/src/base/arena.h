/* Memory that is given back all at once: compile-time data. Answers NULL (and allocator->failed) when refused. */
#ifndef RL_ARENA_H
#define RL_ARENA_H

#include "base/alloc.h"

typedef struct rl_arena_chunk rl_arena_chunk_t;
typedef struct rl_arena {
    rl_allocator_t* allocator;
    rl_arena_chunk_t* chunks; /* newest first */
    char* next;
    char* end;
} rl_arena_t;

void rl_arena_init(rl_arena_t* arena, rl_allocator_t* allocator);
void* rl_arena_alloc(rl_arena_t* arena, size_t size);     /* 8-byte aligned, zeroed */
rl_str_t rl_arena_copy(rl_arena_t* arena, rl_str_t text); /* NUL-terminated copy; empty view when refused */
void rl_arena_adopt(rl_arena_t* arena, rl_arena_t* from); /* of the same allocator; `from` is empty then */
void rl_arena_deinit(rl_arena_t* arena); /* gives everything back; the arena is empty and usable again */

#endif
