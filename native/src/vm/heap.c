#include "vm/heap.h"

#include "base/os.h"

/*
 * Colours: white and black swap roles each cycle (1 and 2), gray is 3: marked, its parts not yet. A cycle:
 *   IDLE   everything is white, also what is born.
 *   MARK   roots were marked when it began; the gray stack is worked off in steps; births are black.
 *   SWEEP  the roles have been swapped: survivors and births are white, the dead carry what is now black.
 * Every page is swept before the next cycle begins, by steps or by the allocator looking for a cell.
 */
enum {
    GRAY = 3,
    FIRST_PAGE = 4 << 10,
    LARGEST_PAGE = 64 << 10,
    LEAST_THRESHOLD = 256 << 10, /* allocated bytes before a cycle begins: at least this much … */
    STEP_BYTES = 64 << 10,       /* allocated bytes between two steps of a cycle */
    WORK_RATIO = 4,              /* bytes marked or swept per byte allocated meanwhile */
    SWEEP_PAGES = 4,             /* unswept pages that the allocator looks into before it takes a new one */
    LIMIT_SHARE = 32,   /* near the limit: at least limit / 32 is allocated between two cycles, or the run ends */
    MOST_DEBT = 1 << 20 /* bytes of debt worked off in one step; the rest waits for the next safe point */
};

struct rl_page {
    rl_page_t* next;
    rl_page_t* next_available;
    rl_object_t* free; /* cells not handed out yet */
    uint32_t bytes, cell_bytes, cell_count;
    uint32_t used;    /* cells not in `free`: alive, dead but not swept, or handed out to free_cells */
    uint64_t padding; /* keeps the cells 16-byte aligned */
};

typedef struct large {
    struct large* next;
    size_t bytes;
} large_t; /* the object follows */

const uint16_t rl_heap_class_bytes[RL_SIZE_CLASSES] = {
    16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512};
const uint8_t rl_heap_classes[65] = {0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 11, 11, 12, 12, 12,
    12, 13, 13, 13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15};

static unsigned colour_of(const rl_object_t* object) { return object->flags & RL_OBJ_MARK; }
static void set_colour(rl_object_t* object, unsigned colour) {
    object->flags = (uint8_t)((object->flags & ~RL_OBJ_MARK) | colour);
}
static rl_object_t* large_object(large_t* large) { return (rl_object_t*)(large + 1); }
static rl_object_t* cell_at(const rl_page_t* page, uint32_t index) {
    return (rl_object_t*)((char*)(uintptr_t)(page + 1) + (size_t)index * page->cell_bytes);
}

/* Free cells are poisoned as a whole under ASan, so a stale reference is found at its first use. */
static bool cell_is_free(const rl_object_t* cell) {
#ifdef RL_HEAP_ASAN
    if (__asan_address_is_poisoned(cell)) return true;
#endif
    return cell->kind == RL_OBJ_FREE;
}

static size_t bytes_of(const rl_object_t* object) {
    const rl_kind_row_t* row = &rl_kind_rows[object->kind];
    return sizeof(rl_object_t) + (size_t)object->words * 8 + (row->size ? row->size(object) : 0);
}

void rl_heap_init(rl_heap_t* heap, rl_allocator_t* allocator) {
    *heap = (rl_heap_t){.allocator = allocator,
        .white = 1,
        .black = 2,
        .born = 1,
        .phase = RL_PHASE_IDLE,
        .due = LEAST_THRESHOLD,
        .threshold = LEAST_THRESHOLD};
#ifdef RL_STRESS_GC
    rl_heap_set_stress(heap, true, true);
#endif
}

/* --- pages ------------------------------------------------------------------------------------------------ */

static rl_page_t* new_page(rl_heap_t* heap, unsigned size_class) {
    uint32_t bytes = FIRST_PAGE; /* pages double as their class grows */
    for (unsigned i = 0; i < heap->page_count[size_class] && bytes < LARGEST_PAGE; i++) bytes *= 2;
    rl_page_t* page = rl_alloc(heap->allocator, bytes);
    if (!page) return NULL;
    uint32_t cell_bytes = rl_heap_class_bytes[size_class];
    *page = (rl_page_t){
        .bytes = bytes, .cell_bytes = cell_bytes, .cell_count = (bytes - (uint32_t)sizeof *page) / cell_bytes};
    for (uint32_t i = page->cell_count; i-- > 0;) {
        rl_object_t* cell = cell_at(page, i);
        *cell = (rl_object_t){.kind = RL_OBJ_FREE};
        rl_object_words(cell)->o = page->free;
        page->free = cell;
        RL_HEAP_POISON(cell, cell_bytes);
    }
    page->next = heap->pages[size_class];
    heap->pages[size_class] = page;
    page->next_available = heap->available[size_class];
    heap->available[size_class] = page;
    if (heap->page_count[size_class] < UINT16_MAX) heap->page_count[size_class]++;
    return page;
}

static void delete_page(rl_heap_t* heap, rl_page_t* page, unsigned size_class) {
    RL_HEAP_UNPOISON(page, page->bytes);
    if (heap->page_count[size_class]) heap->page_count[size_class]--;
    rl_free(heap->allocator, page, page->bytes);
}

static void finalise(rl_heap_t* heap, rl_object_t* object) {
    const rl_kind_row_t* row = &rl_kind_rows[object->kind];
    if (row->free) row->free(heap, object);
}

/* Take the first unswept page of the class, rebuild its free list in order of address; give it back when nothing is
   left. */
static size_t sweep_page(rl_heap_t* heap, unsigned size_class) {
    rl_page_t* page = heap->unswept[size_class];
    heap->unswept[size_class] = page->next;
    unsigned dead = heap->black;
    uint32_t used = 0, freed = 0, cell_bytes = page->cell_bytes;
    rl_object_t* list = NULL;
    for (uint32_t i = page->cell_count; i-- > 0;) {
        rl_object_t* cell = cell_at(page, i);
        if (!cell_is_free(cell)) {
            if (colour_of(cell) != dead) {
                used++;
                continue;
            }
            finalise(heap, cell);
            freed++;
        }
        RL_HEAP_UNPOISON(cell, cell_bytes);
        cell->kind = RL_OBJ_FREE;
        rl_object_words(cell)->o = list;
        list = cell;
        RL_HEAP_POISON(cell, cell_bytes);
    }
    heap->stats.freed_objects += freed;
    heap->stats.live_objects -= page->used - used;
    heap->stats.live_bytes -= (uint64_t)(page->used - used) * cell_bytes;
    size_t bytes = page->bytes;
    page->used = used;
    page->free = list;
    if (used == 0) {
        delete_page(heap, page, size_class);
        return bytes;
    }
    page->next = heap->pages[size_class];
    heap->pages[size_class] = page;
    if (list) {
        page->next_available = heap->available[size_class];
        heap->available[size_class] = page;
    }
    return bytes;
}

static size_t sweep_large(rl_heap_t* heap) {
    large_t* large = heap->unswept_large;
    heap->unswept_large = large->next;
    rl_object_t* object = large_object(large);
    size_t bytes = large->bytes;
    if (colour_of(object) != heap->black) {
        large->next = heap->large;
        heap->large = large;
        return 64;
    }
    finalise(heap, object);
    heap->stats.freed_objects++;
    heap->stats.live_objects--;
    heap->stats.live_bytes -= bytes;
    rl_free(heap->allocator, large, bytes);
    return bytes;
}

/*
 * A page with a free cell: one that was swept, one of the next few that were not, a new one. Looking through all would be a pause as long
 * as the heap is large when its pages are full of what lives on; the steps sweep them. Only without memory is it worth that.
 */
static bool find_page(rl_heap_t* heap, unsigned size_class) {
    for (int i = 0; i < SWEEP_PAGES && !heap->available[size_class] && heap->unswept[size_class]; i++)
        sweep_page(heap, size_class);
    if (heap->available[size_class]) return true;
    bool failed = heap->allocator->failed;
    if (new_page(heap, size_class)) return true;
    while (!heap->available[size_class] && heap->unswept[size_class]) sweep_page(heap, size_class);
    if (!heap->available[size_class]) return false;
    heap->allocator->failed = failed;
    return true;
}

rl_object_t* rl_heap_take_slow(rl_heap_t* heap, unsigned size_class) {
    if (!heap->available[size_class] && !find_page(heap, size_class)) return NULL;
    rl_page_t* page = heap->available[size_class];
    uint32_t count = heap->stress ? 1 : page->cell_count - page->used;
    rl_object_t* cell = page->free;
    RL_HEAP_UNPOISON(cell, page->cell_bytes);
    rl_object_t* rest = rl_object_words(cell)->o;
    if (heap->stress) { /* one cell at a time, so that the inline path always comes here */
        page->free = rest;
    } else {
        page->free = NULL;
        heap->free_cells[size_class] = rest;
    }
    page->used += count;
    if (page->used == page->cell_count) heap->available[size_class] = page->next_available;
    size_t bytes = (size_t)count * page->cell_bytes;
    heap->bytes_since += bytes;
    heap->stats.allocated_bytes += bytes;
    heap->stats.live_bytes += bytes;
    heap->stats.live_objects += count;
    return cell;
}

static rl_object_t* new_object(rl_heap_t* heap, unsigned kind, unsigned tag, unsigned refs, size_t words) {
    rl_object_t* object;
    size_t total = words + 1;
    if (RL_LIKELY(total <= 64)) {
        unsigned size_class = rl_heap_classes[total];
        object = rl_heap_take(heap, size_class);
        if (!object) object = rl_heap_take_slow(heap, size_class);
        if (!object) return NULL;
    } else {
        if (words > PTRDIFF_MAX / 16) {
            heap->allocator->failed = true;
            return NULL;
        }
        size_t bytes = sizeof(large_t) + total * 8;
        large_t* large = rl_alloc(heap->allocator, bytes);
        if (!large) return NULL;
        *large = (large_t){heap->large, bytes};
        heap->large = large;
        heap->bytes_since += bytes;
        heap->stats.allocated_bytes += bytes;
        heap->stats.live_bytes += bytes;
        heap->stats.live_objects++;
        object = large_object(large);
    }
    rl_heap_set_header(heap, object, kind, tag, refs, words > UINT16_MAX ? UINT16_MAX : (unsigned)words);
    memset(rl_object_words(object), 0, words * 8);
    return object;
}

rl_object_t* rl_heap_new(rl_heap_t* heap, unsigned kind, unsigned tag, unsigned refs, unsigned words) {
    return new_object(heap, kind, tag, refs, words);
}

void* rl_heap_new_sized(rl_heap_t* heap, unsigned kind, unsigned refs, size_t bytes) {
    return new_object(heap, kind, 0, refs, bytes <= sizeof(rl_object_t) ? 0 : (bytes - sizeof(rl_object_t) + 7) / 8);
}

void* rl_heap_buffer(rl_heap_t* heap, void* old, size_t old_size, size_t new_size) {
    void* moved = rl_resize(heap->allocator, old, old_size, new_size);
    if (!moved && new_size) return NULL;
    if (!old) old_size = 0;
    heap->buffer_bytes += new_size;
    heap->buffer_bytes -= old_size;
    heap->stats.live_bytes += new_size;
    heap->stats.live_bytes -= old_size;
    if (new_size > old_size) {
        heap->bytes_since += new_size - old_size;
        heap->stats.allocated_bytes += new_size - old_size;
    }
    return moved;
}

/* --- marking ------------------------------------------------------------------------------------------------ */

static void mark_now(rl_heap_t* heap, rl_object_t* object) {
    if ((object->flags & RL_OBJ_STATIC) || colour_of(object) != heap->white) return;
    const rl_kind_row_t* row = &rl_kind_rows[object->kind];
    bool is_leaf = object->refs == 0 || (object->refs == 1 && !rl_object_words(object)->o);
    if (is_leaf && !row->mark && !row->part) {
        set_colour(object, heap->black);
        heap->marked_bytes += bytes_of(object);
        return;
    }
    set_colour(object, GRAY);
    bool failed = heap->allocator->failed;
    if (!rl_vec_push(heap->allocator, &heap->gray, object)) {
        heap->gray_overflow = true; /* found again by rescan(): it is gray */
        heap->allocator->failed = failed;
    }
}

/* An object is first seen far from where it lies, so it is fetched now and looked at some objects later. */
void rl_heap_mark(rl_heap_t* heap, rl_object_t* object) {
    if (!object) return;
    RL_PREFETCH(object);
    if (heap->queue_tail - heap->queue_head == RL_MARK_QUEUE)
        mark_now(heap, heap->queue[heap->queue_head++ % RL_MARK_QUEUE]);
    heap->queue[heap->queue_tail++ % RL_MARK_QUEUE] = object;
}

/* All of its references but those that are marked in parts. */
static const rl_kind_row_t* scan_head(rl_heap_t* heap, rl_object_t* object) {
    rl_word_t* words = rl_object_words(object);
    for (unsigned i = 0; i < object->refs; i++) rl_heap_mark(heap, words[i].o);
    const rl_kind_row_t* row = &rl_kind_rows[object->kind];
    if (row->mark) row->mark(heap, object);
    heap->marked_bytes += bytes_of(object);
    return row;
}

/* Everything at once. What was gray or marked in part is passed over later. */
static void scan_whole(rl_heap_t* heap, rl_object_t* object) {
    set_colour(object, heap->black);
    const rl_kind_row_t* row = scan_head(heap, object);
    for (uint32_t from = 0; row->part && from != RL_MARKED;) from = row->part(heap, object, from);
}

/* A gray object: black then, unless it has parts left, which wait until nothing else is gray. Else the stack would grow with them. */
static void scan(rl_heap_t* heap, rl_object_t* object) {
    const rl_kind_row_t* row = scan_head(heap, object);
    if (row->part) {
        uint32_t from = row->part(heap, object, 0);
        bool failed = heap->allocator->failed;
        if (from != RL_MARKED && rl_vec_push(heap->allocator, &heap->parts, ((rl_part_t){object, from}))) return;
        heap->allocator->failed = failed;
        while (from != RL_MARKED) from = row->part(heap, object, from);
    }
    set_colour(object, heap->black);
}

static void scan_part(rl_heap_t* heap) {
    rl_part_t* part = &rl_vec_last(&heap->parts);
    if (colour_of(part->object) == GRAY) {
        part->from = rl_kind_rows[part->object->kind].part(heap, part->object, part->from);
        heap->marked_bytes +=
            RL_MARK_PART * sizeof(rl_object_t*); /* the buffer was counted, but going through it is work */
        if (part->from != RL_MARKED) return;
        set_colour(part->object, heap->black);
    }
    (void)rl_vec_pop(&heap->parts);
}

void rl_heap_barrier_slow(rl_heap_t* heap, rl_object_t* holder, rl_object_t* value) {
    (void)value;
    if (!holder || (holder->flags & RL_OBJ_STATIC) || colour_of(holder) == heap->black) return;
    scan_whole(heap, holder);
}

static void rescan_cells(rl_heap_t* heap, rl_page_t* page) {
    for (uint32_t i = 0; i < page->cell_count; i++) {
        rl_object_t* cell = cell_at(page, i);
        if (cell_is_free(cell) || colour_of(cell) != GRAY) continue;
        scan_whole(heap, cell);
    }
}

/* The gray stack could not grow at some time: look for gray objects everywhere. Each round blackens at least one. */
static void rescan(rl_heap_t* heap) {
    heap->gray_overflow = false;
    for (unsigned c = 0; c < RL_SIZE_CLASSES; c++) {
        for (rl_page_t* page = heap->pages[c]; page; page = page->next) rescan_cells(heap, page);
    }
    for (large_t* large = heap->large; large; large = large->next) {
        if (colour_of(large_object(large)) == GRAY) scan_whole(heap, large_object(large));
    }
}

/* Work off gray objects; true when none is left. */
static bool drain(rl_heap_t* heap, size_t budget) {
    size_t before = heap->marked_bytes;
    for (;;) {
        while (heap->gray.count) {
            if (heap->marked_bytes - before >= budget) return false;
            rl_object_t* object = rl_vec_pop(&heap->gray);
            if (colour_of(object) == GRAY) scan(heap, object);
        }
        if (heap->queue_head != heap->queue_tail) {
            mark_now(heap, heap->queue[heap->queue_head++ % RL_MARK_QUEUE]);
        } else if (heap->parts.count) {
            if (heap->marked_bytes - before >= budget) return false;
            scan_part(heap);
        } else if (heap->gray_overflow) {
            rescan(heap);
        } else {
            return true;
        }
    }
}

/* --- cycles --------------------------------------------------------------------------------------------------- */

static void begin_cycle(rl_heap_t* heap) {
    heap->phase = RL_PHASE_MARK;
    heap->born = heap->black;
    heap->marked_bytes = 0;
    heap->gray_overflow = false;
    if (heap->mark_roots) heap->mark_roots(heap, heap->roots_user);
}

static void begin_sweep(rl_heap_t* heap) {
    uint8_t white = heap->white;
    heap->white = heap->black;
    heap->black = white;
    heap->born = heap->white;
    heap->phase = RL_PHASE_SWEEP;
    rl_vec_deinit(heap->allocator, &heap->gray);
    rl_vec_deinit(heap->allocator, &heap->parts);
    for (unsigned c = 0; c < RL_SIZE_CLASSES; c++) {
        heap->free_cells[c] = NULL; /* these cells are found again by the sweep */
        heap->available[c] = NULL;
        heap->unswept[c] = heap->pages[c];
        heap->pages[c] = NULL;
    }
    heap->unswept_large = heap->large;
    heap->large = NULL;
    heap->sweep_class = 0;
}

/* True when everything is swept. */
static bool sweep(rl_heap_t* heap, size_t budget) {
    size_t work = 0;
    while (heap->sweep_class < RL_SIZE_CLASSES) {
        while (heap->unswept[heap->sweep_class]) {
            if (work >= budget) return false;
            work += sweep_page(heap, heap->sweep_class);
        }
        heap->sweep_class++;
    }
    while (heap->unswept_large) {
        if (work >= budget) return false;
        work += sweep_large(heap);
    }
    return true;
}

static void end_cycle(rl_heap_t* heap) {
    heap->phase = RL_PHASE_IDLE;
    heap->live_after_last = (size_t)heap->stats.live_bytes;
    heap->stats.collections++;
}

static size_t room_left(const rl_heap_t* heap) {
    const rl_allocator_t* allocator = heap->allocator;
    return allocator->limit_bytes > allocator->live_bytes ? allocator->limit_bytes - allocator->live_bytes : 0;
}

static size_t bytes_until_due(const rl_heap_t* heap) {
    if (heap->stress) return 0;
    if (heap->phase != RL_PHASE_IDLE) return STEP_BYTES;
    size_t threshold = heap->live_after_last > LEAST_THRESHOLD ? heap->live_after_last : LEAST_THRESHOLD;
    /* A cycle should end before the limit forces a whole one. */
    size_t half_room = room_left(heap) / 2, least = heap->allocator->limit_bytes / LIMIT_SHARE;
    if (threshold > half_room) threshold = half_room > least ? half_room : least;
    return threshold;
}

static void set_threshold(rl_heap_t* heap) {
    heap->due = bytes_until_due(heap);
    heap->threshold = heap->watched ? 0 : heap->due;
}

void rl_heap_watch(rl_heap_t* heap, bool on) {
    heap->watched = on;
    heap->threshold = on ? 0 : heap->due;
}

static void finish_cycle(rl_heap_t* heap) {
    if (heap->phase == RL_PHASE_MARK) {
        drain(heap, SIZE_MAX);
        begin_sweep(heap);
    }
    if (heap->phase == RL_PHASE_SWEEP) {
        sweep(heap, SIZE_MAX);
        end_cycle(heap);
    }
}

static void note_pause(rl_heap_t* heap, uint64_t start) {
    uint64_t pause = rl_os_monotonic_ns() - start;
    heap->stats.pause_ns_total += pause;
    heap->stats.pause_ns_last = pause;
    if (pause > heap->stats.pause_ns_max) heap->stats.pause_ns_max = pause;
}

void rl_heap_step(rl_heap_t* heap) {
    if (heap->bytes_since < heap->due) return;
    heap->stats.steps++;
    if (heap->stress) {
        rl_heap_collect(heap);
        if (heap->stress_leaves_open) begin_cycle(heap);
        return;
    }
    uint64_t start = rl_os_monotonic_ns();
    size_t debt = heap->bytes_since < MOST_DEBT ? heap->bytes_since : MOST_DEBT;
    size_t budget = WORK_RATIO * (debt < STEP_BYTES ? (size_t)STEP_BYTES : debt);
    switch (heap->phase) {
    case RL_PHASE_IDLE:
        begin_cycle(heap);
        debt = heap->bytes_since;
        break;
    case RL_PHASE_MARK:
        if (drain(heap, budget)) begin_sweep(heap);
        break;
    default:
        if (sweep(heap, budget)) {
            end_cycle(heap);
            debt = heap->bytes_since;
        }
        break;
    }
    heap->bytes_since -= debt;
    set_threshold(heap);
    note_pause(heap, start);
}

void rl_heap_collect(rl_heap_t* heap) {
    uint64_t start = rl_os_monotonic_ns();
    finish_cycle(heap);
    begin_cycle(heap);
    finish_cycle(heap);
    heap->bytes_since = 0;
    set_threshold(heap);
    note_pause(heap, start);
}

bool rl_heap_make_room(rl_heap_t* heap) {
    rl_heap_collect(heap);
    rl_alloc_clear_failure(heap->allocator);
    return heap->allocator->limit_bytes == SIZE_MAX || room_left(heap) >= heap->allocator->limit_bytes / LIMIT_SHARE;
}

void rl_heap_set_stress(rl_heap_t* heap, bool stress, bool leaves_open) {
    /* Handed-out free cells stay where they are: they are used up first, or found by the next sweep. */
    heap->stress = stress;
    heap->stress_leaves_open = leaves_open;
    set_threshold(heap);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static void delete_pages(rl_heap_t* heap, rl_page_t* page, unsigned size_class) {
    while (page) {
        rl_page_t* next = page->next;
        for (uint32_t i = 0; i < page->cell_count; i++) {
            rl_object_t* cell = cell_at(page, i);
            if (!cell_is_free(cell)) finalise(heap, cell);
        }
        delete_page(heap, page, size_class);
        page = next;
    }
}

static void delete_large(rl_heap_t* heap, large_t* large) {
    while (large) {
        large_t* next = large->next;
        finalise(heap, large_object(large));
        rl_free(heap->allocator, large, large->bytes);
        large = next;
    }
}

void rl_heap_deinit(rl_heap_t* heap) {
    for (unsigned c = 0; c < RL_SIZE_CLASSES; c++) {
        delete_pages(heap, heap->pages[c], c);
        delete_pages(heap, heap->unswept[c], c);
    }
    delete_large(heap, heap->large);
    delete_large(heap, heap->unswept_large);
    rl_vec_deinit(heap->allocator, &heap->gray);
    rl_vec_deinit(heap->allocator, &heap->parts);
    *heap = (rl_heap_t){.allocator = heap->allocator,
        .white = 1,
        .black = 2,
        .born = 1,
        .due = LEAST_THRESHOLD,
        .threshold = LEAST_THRESHOLD};
}
