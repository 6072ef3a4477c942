#include "audit/journal.h"

const char* rl_journal_check(const rl_journal_header_t* header) {
    if (header->magic != RL_JOURNAL_MAGIC) return "is not an audit journal";
    if (header->version != RL_JOURNAL_VERSION) return "has an unknown version";
    if (header->slot_bytes != RL_SLOT_BYTES) return "has an unknown slot size";
    uint32_t count = header->slot_count;
    if (count < 2 || (count & (count - 1)) != 0 || count > (1u << 26)) return "has a damaged header";
    if (atomic_load_explicit(&((rl_journal_header_t*)(uintptr_t)header)->active, memory_order_acquire) > 1) {
        return "has a damaged header";
    }
    return NULL;
}

rl_checkpoint_t rl_journal_checkpoint(const rl_journal_header_t* header) {
    uint32_t active = atomic_load_explicit(&((rl_journal_header_t*)(uintptr_t)header)->active, memory_order_acquire);
    return header->checkpoint[active & 1];
}

void rl_journal_set_checkpoint(rl_journal_header_t* header, const rl_checkpoint_t* checkpoint) {
    uint32_t other = (atomic_load_explicit(&header->active, memory_order_relaxed) & 1) ^ 1;
    header->checkpoint[other] = *checkpoint;
    atomic_store_explicit(&header->active, other, memory_order_release);
}

bool rl_ring_next(const unsigned char* slots, uint32_t capacity, uint64_t* position, uint64_t end, unsigned char* flat,
    uint32_t* out_slots, uint64_t* damaged) {
    while (*position < end) {
        rl_slot_state_t state = rl_ring_peek(slots, capacity, *position, out_slots);
        if (state == RL_SLOT_EVENT) {
            if (*out_slots <= end - *position && rl_ring_load(slots, capacity, *position, *out_slots, flat))
                return true;
            state = RL_SLOT_DAMAGED;
        }
        if (state == RL_SLOT_DAMAGED) ++*damaged;
        ++*position; /* its continuations are passed over by their stamps */
    }
    return false;
}

rl_ring_census_t rl_ring_take_census(
    const unsigned char* slots, uint32_t capacity, uint64_t position, unsigned char* flat) {
    rl_ring_census_t census = {.end = position};
    uint64_t limit = position + capacity;
    for (uint64_t at = position; at < limit; at++) {
        uint32_t ignored;
        if (rl_ring_peek(slots, capacity, at, &ignored) != RL_SLOT_EMPTY) census.end = at + 1;
    }
    uint32_t count;
    for (uint64_t at = position; rl_ring_next(slots, capacity, &at, limit, flat, &count, &census.damaged);
        at += count) {
        census.events++;
        census.last = at;
        if (at + count > census.end) census.end = at + count;
    }
    return census;
}
