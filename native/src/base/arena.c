#include "base/arena.h"

/* Debug builds give each request a block of its own, so that address checkers see overruns inside an arena. */
#ifdef RL_DEBUG
#define CHUNK_FIRST   0
#define CHUNK_LARGEST 0
#else
#define CHUNK_FIRST   4096
#define CHUNK_LARGEST (256 * 1024)
#endif

struct rl_arena_chunk {
    rl_arena_chunk_t* older;
    size_t size; /* of the whole block, this head included */
};

void rl_arena_init(rl_arena_t* arena, rl_allocator_t* allocator) { *arena = (rl_arena_t){.allocator = allocator}; }

static void* alloc_in_new_chunk(rl_arena_t* arena, size_t size) {
    size_t wanted = CHUNK_FIRST;
    if (arena->chunks && arena->chunks->size > wanted / 2) wanted = arena->chunks->size * 2;
    if (wanted > CHUNK_LARGEST) wanted = CHUNK_LARGEST;
    size_t needed = sizeof(rl_arena_chunk_t) + size;
    bool own_chunk = needed > wanted / 2; /* a large request must not waste the rest of the current chunk */
    size_t total = own_chunk ? needed : wanted;
    rl_arena_chunk_t* chunk = rl_alloc(arena->allocator, total);
    if (!chunk && !own_chunk) { /* close to the limit: the exact size may still fit, but the refusal stays noted */
        own_chunk = true;
        total = needed;
        chunk = rl_alloc(arena->allocator, total);
    }
    if (!chunk) return NULL;
    chunk->size = total;
    char* start = (char*)(chunk + 1);
    if (own_chunk && arena->chunks) { /* keep filling the current one: it stays first */
        chunk->older = arena->chunks->older;
        arena->chunks->older = chunk;
    } else {
        chunk->older = arena->chunks;
        arena->chunks = chunk;
        arena->next = start + size;
        arena->end = (char*)chunk + total;
    }
    return start;
}

/* Not zeroed. */
static void* take(rl_arena_t* arena, size_t size) {
    if (RL_UNLIKELY(size > PTRDIFF_MAX - 64)) {
        arena->allocator->failed = true;
        return NULL;
    }
    size = size == 0 ? 8 : (size + 7) & ~(size_t)7;
    if (RL_LIKELY(arena->next && (size_t)(arena->end - arena->next) >= size)) {
        char* block = arena->next;
        arena->next += size;
        return block;
    }
    return alloc_in_new_chunk(arena, size);
}

void* rl_arena_alloc(rl_arena_t* arena, size_t size) {
    void* block = take(arena, size);
    return RL_LIKELY(block != NULL) ? memset(block, 0, size) : NULL;
}

rl_str_t rl_arena_copy(rl_arena_t* arena, rl_str_t text) {
    char* copy = text.length < PTRDIFF_MAX - 64 ? take(arena, text.length + 1) : NULL;
    if (!copy) return (rl_str_t){"", 0};
    if (text.length) memcpy(copy, text.data, text.length);
    copy[text.length] = 0;
    return (rl_str_t){copy, text.length};
}

void rl_arena_deinit(rl_arena_t* arena) {
    for (rl_arena_chunk_t* chunk = arena->chunks; chunk;) {
        rl_arena_chunk_t* older = chunk->older;
        rl_free(arena->allocator, chunk, chunk->size);
        chunk = older;
    }
    rl_arena_init(arena, arena->allocator);
}

void rl_arena_adopt(rl_arena_t* arena, rl_arena_t* from) {
    rl_arena_chunk_t** last = &arena->chunks;
    while (*last) last = &(*last)->older;
    *last = from->chunks;
    rl_arena_init(from, from->allocator);
}
