/*
 * The heap: every run-time value. Non-moving, size-class cells in pages from the context's allocator, side buffers
 * beside them, incremental tri-colour marking with one write barrier, lazy sweeping. Roots: registers of fibers,
 * globals, host handles, kept by the owner through `mark_roots`.
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
    uint64_t pause_ns_max, pause_ns_total, pause_ns_last;
} rl_heap_stats_t;

typedef struct rl_page rl_page_t;
typedef enum rl_phase { RL_PHASE_IDLE, RL_PHASE_MARK, RL_PHASE_SWEEP } rl_phase_t;

/* A collection that is marked in parts, and from where on its elements are not. */
typedef struct rl_part {
    rl_object_t* object;
    uint32_t from;
} rl_part_t;

enum {
    RL_MARK_PART = 1024, /* elements of a part */
    RL_MARK_QUEUE = 16   /* objects on their way into the cache before they are looked at */
};
#define RL_MARKED UINT32_MAX   /* no part is left */
enum { RL_SIZE_CLASSES = 16 }; /* header included: 16, 24, 32, … bytes up to 512; larger objects stand alone */

typedef struct rl_heap {
    rl_allocator_t* allocator;
    rl_object_t* free_cells[RL_SIZE_CLASSES]; /* linked through word 0 */
    rl_page_t* pages[RL_SIZE_CLASSES];
    void* large;            /* list of objects that stand alone */
    size_t bytes_since;     /* allocated since the last step */
    size_t threshold;       /* bytes until the next step is wanted; 0 while it is watched */
    size_t due;             /* … and until it is due */
    size_t live_after_last; /* for pacing */
    uint8_t white;          /* colour bits of this cycle */
    uint8_t black;
    uint8_t phase; /* rl_phase_t */
    bool stress;   /* collect at every chance */
    bool watched;  /* rl_heap_watch */
    RL_VEC(rl_object_t*) gray;
    bool gray_overflow; /* the mark stack could not grow: rescan pages */
    RL_VEC(rl_part_t) parts;
    rl_object_t* queue[RL_MARK_QUEUE]; /* to be marked, oldest first, from queue_head to queue_tail */
    unsigned queue_head, queue_tail;
    void* roots_user;
    void (*mark_roots)(
        struct rl_heap* heap, void* user); /* calls rl_heap_mark for each root; also clears dead registers */
    void (*host_dropped)(void* user, rl_object_t* host_object); /* an RL_OBJ_HOST died: release handler */
    rl_heap_stats_t stats;
    bool stress_leaves_open; /* stress: end each safe point with a cycle just begun, so that barriers are exercised */
    uint8_t born;            /* colour of new objects: white while idle or sweeping, black while marking */
    size_t buffer_bytes;     /* side buffers alive */
    size_t marked_bytes;     /* reached in this cycle */
    /* pages and sweeping: private to heap.c */
    rl_page_t* available[RL_SIZE_CLASSES]; /* swept pages that have free cells */
    rl_page_t* unswept[RL_SIZE_CLASSES];
    void* unswept_large;
    uint16_t page_count[RL_SIZE_CLASSES];
    unsigned sweep_class;
} rl_heap_t;

void rl_heap_init(rl_heap_t* heap, rl_allocator_t* allocator);
void rl_heap_deinit(rl_heap_t* heap); /* frees everything, host objects released */

/* New object, words zeroed; NULL when the allocator refuses (answer RL_COLLECT). bytes = sizeof header + 8 * words, or
   the size of the kind's struct plus extra; `refs` leading words are references (for kinds with structs: of the
   struct). */
rl_object_t* rl_heap_new(rl_heap_t* heap, unsigned kind, unsigned tag, unsigned refs, unsigned words);
void* rl_heap_new_sized(rl_heap_t* heap, unsigned kind, unsigned refs, size_t bytes);
/* Side buffers, counted with the heap. Freed by the kind's finaliser. */
void* rl_heap_buffer(rl_heap_t* heap, void* old, size_t old_size, size_t new_size);

/*
 * The one barrier. Marking works on the graph as it was when the cycle began (snapshot), and new objects are born
 * black, so what must not get lost is an *old* reference: call this before any change or removal of a reference that
 * `holder` contains (store, pop, clear, move), not for filling a new object. `value` is what will be stored, or NULL;
 * it is not looked at by this collector. Values in registers need nothing: they were reachable when the cycle began, or
 * are new.
 */
static inline void rl_heap_barrier(rl_heap_t* heap, rl_object_t* holder, rl_object_t* value);
void rl_heap_barrier_slow(rl_heap_t* heap, rl_object_t* holder, rl_object_t* value);

void rl_heap_mark(rl_heap_t* heap, rl_object_t* object_or_null);
static inline bool rl_heap_wants_step(const rl_heap_t* heap) {
    return RL_UNLIKELY(heap->bytes_since >= heap->threshold);
}
void rl_heap_set_stress(rl_heap_t* heap, bool stress, bool leaves_open);
/* On: every safe point wants a step, which does nothing until it is due. The loop saves the running frame there, so that a poll
   within a builtin finds it as it is. When something is collected does not change. */
void rl_heap_watch(rl_heap_t* heap, bool on);
void rl_heap_step(rl_heap_t* heap);    /* a bounded piece of work, when it is due */
void rl_heap_collect(rl_heap_t* heap); /* a whole cycle */
/* Memory was refused: a whole cycle, and the refusal is forgotten. False: so little of the limit is free afterwards
   that going on would be mostly collecting; give up. */
bool rl_heap_make_room(rl_heap_t* heap);

static inline void rl_heap_barrier(rl_heap_t* heap, rl_object_t* holder, rl_object_t* value) {
    if (RL_UNLIKELY(heap->phase == RL_PHASE_MARK)) rl_heap_barrier_slow(heap, holder, value);
}

/* The same for one slot whose old content is known: cheaper when the holder is large. */
static inline void rl_heap_barrier_old(rl_heap_t* heap, rl_object_t* old_value) {
    if (RL_UNLIKELY(heap->phase == RL_PHASE_MARK)) rl_heap_mark(heap, old_value);
}

/* --- allocation of small cells, inline for the loop ---------------------------------------------------------- */
extern const uint8_t rl_heap_classes[65]; /* by size in words, header included */
extern const uint16_t rl_heap_class_bytes[RL_SIZE_CLASSES];
rl_object_t* rl_heap_take_slow(rl_heap_t* heap, unsigned size_class); /* NULL: refused */

#if defined(__SANITIZE_ADDRESS__)
#define RL_HEAP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RL_HEAP_ASAN 1
#endif
#endif
#ifdef RL_HEAP_ASAN
#include <sanitizer/asan_interface.h>
#define RL_HEAP_POISON(cell, bytes)   __asan_poison_memory_region((cell), (bytes))
#define RL_HEAP_UNPOISON(cell, bytes) __asan_unpoison_memory_region((cell), (bytes))
#else
#define RL_HEAP_POISON(cell, bytes)   ((void)(cell))
#define RL_HEAP_UNPOISON(cell, bytes) ((void)(cell))
#endif

/* A cell with garbage in it, or NULL when the free list is empty (in stress mode: always). The caller fills the header
   and every word before the next safe point. */
static inline rl_object_t* rl_heap_take(rl_heap_t* heap, unsigned size_class) {
    rl_object_t* cell = heap->free_cells[size_class];
    if (RL_LIKELY(cell != NULL)) {
        RL_HEAP_UNPOISON(cell, rl_heap_class_bytes[size_class]);
        heap->free_cells[size_class] = rl_object_words(cell)->o;
    }
    return cell;
}
static inline void rl_heap_set_header(
    rl_heap_t* heap, rl_object_t* object, unsigned kind, unsigned tag, unsigned refs, unsigned words) {
    *object = (rl_object_t){(uint8_t)kind, heap->born, (uint16_t)tag, (uint16_t)refs, (uint16_t)words};
}

/* Shown each reference of a copy beyond the leading ones; puts what the copy refers to instead. False: stop. */
typedef bool (*rl_heap_each_fn)(rl_object_t** reference, void* user);

/* What the collector must know of a kind; one row per rl_object_kind_t: kinds.c and core/kinds.def. */
typedef struct rl_kind_row {
    const char* name;
    void (*mark)(rl_heap_t* heap, rl_object_t* object); /* marks what lies beyond the leading refs; NULL: nothing */
    void (*free)(rl_heap_t* heap, rl_object_t* object); /* gives side buffers back (rl_heap_buffer); NULL: none */
    size_t (*size)(const rl_object_t* object);          /* bytes of side buffers; NULL: none */
    /* `copy` has the words of `object`, which is of another heap: give it side buffers of its own (in any case: it has none when memory
       is short) and show the references in them. NULL: the leading refs say all. */
    bool (*clone)(rl_heap_t* heap, rl_object_t* copy, const rl_object_t* object, rl_heap_each_fn each, void* user);
    /*
     * Instead of mark, for what may hold millions: mark up to RL_MARK_PART elements at `from` or behind it; where to go on, or RL_MARKED.
     * Whoever moves elements to smaller places in one that holds references calls rl_heap_barrier first.
     */
    uint32_t (*part)(rl_heap_t* heap, const rl_object_t* object, uint32_t from);
} rl_kind_row_t;
extern const rl_kind_row_t rl_kind_rows[RL_OBJ_KIND_COUNT]; /* vm/kinds.c */

#endif
