/* Context ids: a table of rows that are never freed, so that any 64-bit number a host invents is looked up, not followed. */
#include "host/context.h"

#include <stdlib.h>

/*
 * An id is generation << 20 | row << 4 | 6: never NULL, never aligned like an address. 32-bit hosts have 12 bits of
 * generation left, which is what a pointer can hold there.
 */
enum { PAGE_ROWS = RL_SLOT_PAGE_ROWS, PAGES = RL_SLOT_PAGES, TAG = RL_SLOT_TAG };
#define GENERATION_MASK RL_SLOT_GENERATION_MASK
#define table           rl_slot_table
typedef rl_slot_page_t page_t;

/* The table is process-wide because ids must be told apart without knowing a context. */
_Atomic(rl_slot_page_t*) rl_slot_table[PAGES];
static _Atomic uint32_t row_hint;
static _Atomic uint32_t last_serial;

static rl_slot_t* row_at(uint32_t row, bool make) {
    if (row >= PAGES * PAGE_ROWS) return NULL;
    page_t* page = atomic_load_explicit(&table[row / PAGE_ROWS], memory_order_acquire);
    if (!page && make) {
        page_t* fresh = calloc(1, sizeof *fresh);
        if (!fresh) return NULL;
        if (atomic_compare_exchange_strong(&table[row / PAGE_ROWS], &page, fresh)) page = fresh;
        else free(fresh);
    }
    return page ? &page->rows[row % PAGE_ROWS] : NULL;
}

uint32_t rl_slot_serial(void) {
    uint32_t serial = atomic_fetch_add(&last_serial, 1) + 1;
    return serial ? serial : atomic_fetch_add(&last_serial, 1) + 1; /* 0 means "scalar" */
}

rl_slot_t* rl_slot_take(rl_context_t* context, reml_embed_context_t** out_id, uint32_t* out_serial) {
    rl_os_watch_forks();
    uint32_t start = atomic_load(&row_hint);
    for (uint32_t step = 0; step < PAGES * PAGE_ROWS; step++) {
        uint32_t row = (start + step) % (PAGES * PAGE_ROWS);
        rl_slot_t* slot = row_at(row, true);
        if (!slot) return NULL;
        uint64_t generation = atomic_load(&slot->generation);
        if (generation & 1) continue;
        if (!atomic_compare_exchange_strong(&slot->generation, &generation, generation + 1)) continue;
        slot->context = context;
        atomic_store(&slot->interrupt, 0);
        atomic_store(&slot->running, 0);
        atomic_store(&slot->fork, rl_os_fork_generation());
        atomic_store(&slot->thread, rl_os_thread_id());
        atomic_store(&row_hint, row);
        *out_id =
            (reml_embed_context_t*)(uintptr_t)(((generation + 1) & GENERATION_MASK) << 20 | (uint64_t)row << 4 | TAG);
        *out_serial = rl_slot_serial();
        return slot;
    }
    return NULL;
}

void rl_slot_give_back(rl_slot_t* slot) {
    slot->context = NULL;
    atomic_store(&slot->thread, 0);
    atomic_fetch_add(&slot->generation, 1);
}

rl_slot_t* rl_slot_find(const reml_embed_context_t* id, uint64_t* out_generation) {
    uint64_t bits = (uint64_t)(uintptr_t)id;
    if ((bits & 15) != TAG) return NULL;
    rl_slot_t* slot = row_at((uint32_t)(bits >> 4) & 0xFFFF, false);
    if (!slot) return NULL;
    *out_generation = bits >> 20;
    return slot;
}

reml_embed_status_t rl_slot_resolve(const reml_embed_context_t* id, rl_context_t** out) {
    uint64_t generation;
    if (!id) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_slot_t* slot = rl_slot_find(id, &generation);
    if (RL_UNLIKELY(!slot)) return REML_EMBED_STATUS_INVALID_HANDLE;
    uint64_t living = atomic_load_explicit(&slot->generation, memory_order_acquire);
    if (RL_UNLIKELY((living & GENERATION_MASK) != generation || !(generation & 1))) {
        /* Given out before and gone, or a number that never was an id. */
        return (generation & 1) && generation < (living & GENERATION_MASK) + 1 ? REML_EMBED_STATUS_STALE
                                                                               : REML_EMBED_STATUS_INVALID_HANDLE;
    }
    if (RL_UNLIKELY(atomic_load_explicit(&slot->fork, memory_order_relaxed) != rl_os_fork_generation()))
        return REML_EMBED_STATUS_FORKED;
    if (RL_UNLIKELY(atomic_load_explicit(&slot->thread, memory_order_relaxed) != rl_os_thread_id()))
        return REML_EMBED_STATUS_WRONG_THREAD;
    *out = slot->context;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_adopt(reml_embed_context_t* id) {
    uint64_t generation;
    if (!id) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_slot_t* slot = rl_slot_find(id, &generation);
    if (!slot) return REML_EMBED_STATUS_INVALID_HANDLE;
    if ((atomic_load(&slot->generation) & GENERATION_MASK) != generation) return REML_EMBED_STATUS_STALE;
    if (atomic_load(&slot->fork) != rl_os_fork_generation()) return REML_EMBED_STATUS_FORKED;
    uint64_t self = rl_os_thread_id(), owner = atomic_load(&slot->thread);
    if (owner == self) return REML_EMBED_STATUS_OK;
    /* Handing over is the hosts' own affair (they must agree when); this only catches a run in progress. */
    if (atomic_load(&slot->running)) return REML_EMBED_STATUS_BUSY;
    return atomic_compare_exchange_strong(&slot->thread, &owner, self) ? REML_EMBED_STATUS_OK : REML_EMBED_STATUS_BUSY;
}

reml_embed_status_t reml_embed_interrupt(reml_embed_context_t* id) {
    uint64_t generation;
    if (!id) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_slot_t* slot = rl_slot_find(id, &generation);
    if (!slot) return REML_EMBED_STATUS_INVALID_HANDLE;
    if ((atomic_load(&slot->generation) & GENERATION_MASK) != generation) return REML_EMBED_STATUS_STALE;
    atomic_store(&slot->interrupt, 1);
    return REML_EMBED_STATUS_OK;
}
