#include "base/vec.h"

#define MOST_ITEMS 0x80000000u

bool rl_vec_grow(
    rl_allocator_t* allocator, void** data, uint32_t* capacity, uint32_t count, uint32_t extra, size_t item_size) {
    if (extra > MOST_ITEMS || count > MOST_ITEMS - extra) {
        allocator->failed = true;
        return false;
    }
    uint32_t needed = count + extra;
    if (needed <= *capacity) return true;
    uint64_t grown = (uint64_t)*capacity + *capacity / 2;
    uint32_t wanted = needed < 8 ? 8 : needed;
    if (grown > wanted) wanted = grown > MOST_ITEMS ? MOST_ITEMS : (uint32_t)grown;
    if (wanted > SIZE_MAX / item_size) {
        allocator->failed = true;
        return false;
    }
    void* moved = rl_resize(allocator, *data, (size_t)*capacity * item_size, (size_t)wanted * item_size);
    if (!moved) return false;
    *data = moved;
    *capacity = wanted;
    return true;
}
