/*
 * The heap: every run-time value. Non-moving, size-class cells in pages from the context's allocator, side buffers beside
 * them, incremental tri-colour marking with one write barrier, lazy sweeping. Roots: registers of fibers, globals, host
 * handles, kept by the owner through `mark_roots`.
 *
 * Collection happens only at safe points of the loop (rl_heap_wants_step → rl_heap_step), never inside a builtin.
 * An idle heap owns no page.
 */
#ifndef RL_HEAP_H
#define RL_HEAP_H

#include "base/alloc.h"
#include "base/vec.h"
#include "vm/value.h"

struct rl_heap;
typedef struct rl_heap_stats {
    uint64_t live_bytes, allocated_bytes, collections, steps, freed_objects, live_objects;
    uint64_t pause_ns_max, pause_ns_total;
} rl_heap_stats_t;

typedef struct rl_page rl_page_t;
typedef enum rl_phase { RL_PHASE_IDLE, RL_PHASE_MARK, RL_PHASE_SWEEP } rl_phase_t;

enum { RL_SIZE_CLASSES = 16 }; /* header included: 16, 24, 32, … bytes up to 512; larger objects stand alone */

typedef struct rl_heap {
    rl_allocator_t* allocator;
    rl_object_t* free_cells[RL_SIZE_CLASSES]; /* linked through word 0 */
    rl_page_t* pages[RL_SIZE_CLASSES];
    void* large;                 /* list of objects that stand alone */
    size_t bytes_since;          /* allocated since the last step */
    size_t threshold;            /* bytes until the next step is wanted */
    size_t live_after_last;      /* for pacing */
    uint8_t white;               /* colour bits of this cycle */
    uint8_t black;
    uint8_t phase;               /* rl_phase_t */
    bool stress;                 /* collect at every chance */
    RL_VEC(rl_object_t*) gray;
    bool gray_overflow;          /* the mark stack could not grow: rescan pages */
    void* roots_user;
    void (*mark_roots)(struct rl_heap* heap, void* user); /* calls rl_heap_mark for each root; also clears dead registers */
    void (*host_dropped)(void* user, rl_object_t* host_object); /* an RL_OBJ_HOST died: release handler */
    rl_heap_stats_t stats;
    /* sweeping cursor and pacing: private to heap.c */
    void* sweep_page;
    unsigned sweep_class;
} rl_heap_t;

void rl_heap_init(rl_heap_t* heap, rl_allocator_t* allocator);
void rl_heap_deinit(rl_heap_t* heap); /* frees everything, host objects released */

/* New object, words zeroed; NULL when the allocator refuses (answer RL_COLLECT). bytes = sizeof header + 8 * words, or the
   size of the kind's struct plus extra; `refs` leading words are references (for kinds with structs: of the struct). */
rl_object_t* rl_heap_new(rl_heap_t* heap, unsigned kind, unsigned tag, unsigned refs, unsigned words);
void* rl_heap_new_sized(rl_heap_t* heap, unsigned kind, unsigned refs, size_t bytes);
/* Side buffers, counted with the heap. Freed by the kind's finaliser. */
void* rl_heap_buffer(rl_heap_t* heap, void* old, size_t old_size, size_t new_size);

/* The one barrier: before storing reference `value` into `holder`. */
static inline void rl_heap_barrier(rl_heap_t* heap, rl_object_t* holder, rl_object_t* value);
void rl_heap_barrier_slow(rl_heap_t* heap, rl_object_t* holder, rl_object_t* value);

void rl_heap_mark(rl_heap_t* heap, rl_object_t* object_or_null);
static inline bool rl_heap_wants_step(const rl_heap_t* heap) { return RL_UNLIKELY(heap->bytes_since >= heap->threshold); }
void rl_heap_step(rl_heap_t* heap);    /* a bounded piece of work */
void rl_heap_collect(rl_heap_t* heap); /* a whole cycle */

static inline void rl_heap_barrier(rl_heap_t* heap, rl_object_t* holder, rl_object_t* value) {
    if (RL_UNLIKELY(heap->phase == RL_PHASE_MARK)) rl_heap_barrier_slow(heap, holder, value);
}

/* What the collector must know of a kind; one row per rl_object_kind_t in heap.c or registered by vm/core files. */
typedef struct rl_kind_row {
    const char* name;
    void (*mark)(rl_heap_t* heap, rl_object_t* object);   /* NULL: only the leading refs */
    void (*free)(rl_heap_t* heap, rl_object_t* object);   /* NULL: no side buffers */
    size_t (*size)(const rl_object_t* object);            /* NULL: header + 8 * words */
} rl_kind_row_t;
extern const rl_kind_row_t rl_kind_rows[RL_OBJ_KIND_COUNT]; /* vm/kinds.c */

#endif
