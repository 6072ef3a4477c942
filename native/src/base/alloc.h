/*
 * The one allocator. Every byte of a context comes from here: compile-time arenas, heap blocks, handle tables,
 * audit buffers. It counts live bytes against `limit_bytes` and refuses before allocating, and it is where tests
 * make the n-th request fail.
 *
 * Lifetime: embedded in the context (and in a few process-wide owners). Threading: that of its owner.
 */
#ifndef RL_ALLOC_H
#define RL_ALLOC_H

#include "base/base.h"

/* The host's hook: like realloc, with the old size given. new_size 0 frees and answers NULL. */
typedef void* (*rl_resize_fn)(void* block, size_t old_size, size_t new_size, void* user);

typedef struct rl_allocator {
    rl_resize_fn resize; /* never NULL after init */
    void* user;
    size_t live_bytes;
    size_t peak_bytes;
    size_t limit_bytes;  /* SIZE_MAX: none */
    bool failed;         /* sticky: a request was refused since the last rl_alloc_clear_failure() */
    uint64_t requests;   /* growing requests made so far */
    uint64_t fail_at;    /* request number that fails; 0: never (fault injection) */
    uint64_t fail_every; /* after fail_at, each k-th fails too; 0: only once; 1: all */
} rl_allocator_t;

void rl_allocator_init(rl_allocator_t* allocator, rl_resize_fn resize_or_null, void* user);

/* Grow, shrink or free (new_size 0). On refusal: NULL, `failed` set, the old block stays as it was. */
void* rl_resize(rl_allocator_t* allocator, void* block, size_t old_size, size_t new_size);

static inline void* rl_alloc(rl_allocator_t* allocator, size_t size) { return rl_resize(allocator, NULL, 0, size); }
void* rl_alloc_zero(rl_allocator_t* allocator, size_t size);
static inline void rl_free(rl_allocator_t* allocator, void* block, size_t size) {
    if (block) rl_resize(allocator, block, size, 0);
}
static inline void rl_alloc_clear_failure(rl_allocator_t* allocator) { allocator->failed = false; }

#endif
