/*
 * Growable arrays with 32-bit counts. `RL_VEC(T) name;` declares one; zero-initialised is empty.
 * Pushing past memory leaves the array as it was and answers false (allocator->failed is set).
 */
#ifndef RL_VEC_H
#define RL_VEC_H

#include "base/alloc.h"

#define RL_VEC(T)                                                                                                      \
    struct {                                                                                                           \
        T* data;                                                                                                       \
        uint32_t count, capacity;                                                                                      \
    }

/* Make room for `extra` more; false when refused (memory, or 2^31 items). */
bool rl_vec_grow(
    rl_allocator_t* allocator, void** data, uint32_t* capacity, uint32_t count, uint32_t extra, size_t item_size);

#define rl_vec_reserve(allocator, vec, extra)                                                                          \
    ((vec)->capacity - (vec)->count >= (uint32_t)(extra) ||                                                            \
        rl_vec_grow((allocator), (void**)&(vec)->data, &(vec)->capacity, (vec)->count, (uint32_t)(extra),              \
            sizeof(*(vec)->data)))
#define rl_vec_push(allocator, vec, ...)                                                                               \
    (rl_vec_reserve(allocator, vec, 1) ? ((vec)->data[(vec)->count++] = (__VA_ARGS__), true) : false)
#define rl_vec_last(vec) ((vec)->data[(vec)->count - 1])
#define rl_vec_pop(vec)  ((vec)->data[--(vec)->count])
#define rl_vec_deinit(allocator, vec)                                                                                  \
    (rl_free((allocator), (vec)->data, (size_t)(vec)->capacity * sizeof(*(vec)->data)), (vec)->data = NULL,            \
        (vec)->count = (vec)->capacity = 0)

#endif
