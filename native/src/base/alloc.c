#include "base/alloc.h"

#include <stdlib.h>

#ifdef RL_DEBUG
void rl_assert_failed(const char* condition, const char* what, const char* file, int line) {
    /* Debug builds only: stop where the debugger can see the frame. */
    (void)condition;
    (void)what;
    (void)file;
    (void)line;
#if defined(__GNUC__) || defined(__clang__)
    __builtin_trap();
#else
    *(volatile int*)0 = 0;
#endif
}
#endif

static void* resize_with_libc(void* block, size_t old_size, size_t new_size, void* user) {
    (void)user;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

void rl_allocator_init(rl_allocator_t* allocator, rl_resize_fn resize_or_null, void* user) {
    *allocator = (rl_allocator_t){
        .resize = resize_or_null ? resize_or_null : resize_with_libc,
        .user = user,
        .limit_bytes = SIZE_MAX,
    };
}

/* Counts a growing request and says whether fault injection wants it refused. */
static bool must_fail(rl_allocator_t* allocator) {
    uint64_t number = ++allocator->requests;
    if (RL_LIKELY(allocator->fail_at == 0 || number < allocator->fail_at)) return false;
    if (number == allocator->fail_at) return true;
    return allocator->fail_every != 0 && (number - allocator->fail_at) % allocator->fail_every == 0;
}

void* rl_resize(rl_allocator_t* allocator, void* block, size_t old_size, size_t new_size) {
    if (!block) old_size = 0;
    if (new_size == old_size) return block;
    if (new_size > old_size) {
        size_t growth = new_size - old_size;
        bool over_limit =
            allocator->live_bytes >= allocator->limit_bytes || growth > allocator->limit_bytes - allocator->live_bytes;
        /* No object may be larger than PTRDIFF_MAX: pointer differences inside it would overflow. */
        if (must_fail(allocator) || over_limit || new_size > PTRDIFF_MAX) {
            allocator->failed = true;
            return NULL;
        }
    }
    void* moved = allocator->resize(block, old_size, new_size, allocator->user);
    if (new_size != 0 && !moved) {
        allocator->failed = true;
        return NULL;
    }
    allocator->live_bytes += new_size;
    allocator->live_bytes -= old_size;
    if (allocator->live_bytes > allocator->peak_bytes) allocator->peak_bytes = allocator->live_bytes;
    return moved;
}

void* rl_alloc_zero(rl_allocator_t* allocator, size_t size) {
    void* block = rl_alloc(allocator, size);
    if (block) memset(block, 0, size);
    return block;
}
