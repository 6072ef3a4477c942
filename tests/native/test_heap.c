/* The heap: allocation, marking, barriers, sweeping, side buffers, refused memory. */
#include "check.h"

#include "vm/heap.h"

#include <stdlib.h>

enum { ROOTS = 64 };

typedef struct fixture {
    rl_allocator_t allocator;
    rl_heap_t heap;
    rl_object_t* roots[ROOTS];
    uint32_t dropped[64];
} fixture_t;

static void mark_roots(rl_heap_t* heap, void* user) {
    fixture_t* f = user;
    for (int i = 0; i < ROOTS; i++) rl_heap_mark(heap, f->roots[i]);
}

static void host_dropped(void* user, rl_object_t* object) {
    fixture_t* f = user;
    f->dropped[rl_object_words(object)[0].u]++;
}

static void begin(fixture_t* f) {
    *f = (fixture_t){0};
    rl_allocator_init(&f->allocator, NULL, NULL);
    rl_heap_init(&f->heap, &f->allocator);
    rl_heap_set_stress(&f->heap, false, false);
    f->heap.roots_user = f;
    f->heap.mark_roots = mark_roots;
    f->heap.host_dropped = host_dropped;
}

static void end(fixture_t* f) {
    rl_heap_deinit(&f->heap);
    CHECK_INT_EQ(f->allocator.live_bytes, 0);
}

static rl_object_t* cells(fixture_t* f, unsigned refs, unsigned words) {
    return rl_heap_new(&f->heap, RL_OBJ_CELLS, 7, refs, words);
}

TEST(test_heap__new_object_has_its_header_and_zero_words) {
    fixture_t f;
    begin(&f);
    for (unsigned words = 0; words < 200; words++) {
        rl_object_t* o = cells(&f, words / 2, words);
        if (!CHECK(o != NULL)) break;
        CHECK(o->kind == RL_OBJ_CELLS && o->tag == 7 && o->refs == words / 2 && o->words == words);
        for (unsigned i = 0; i < words; i++) CHECK(rl_object_words(o)[i].u == 0);
        memset(rl_object_words(o), 0, words * 8);
        for (unsigned i = words / 2; i < words; i++) rl_object_words(o)[i].u = ~(uint64_t)0;
    }
    end(&f);
}

TEST(test_heap__idle_heap_owns_nothing) {
    fixture_t f;
    begin(&f);
    CHECK_INT_EQ(f.allocator.live_bytes, 0);
    for (int i = 0; i < 1000; i++) cells(&f, 0, 1 + (unsigned)i % 80);
    CHECK(f.allocator.live_bytes > 0);
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.allocator.live_bytes, 0);
    CHECK_INT_EQ(f.heap.stats.live_objects, 0);
    CHECK_INT_EQ(f.heap.stats.freed_objects, 1000);
    end(&f);
}

TEST(test_heap__first_page_of_a_class_is_small) {
    fixture_t f;
    begin(&f);
    CHECK(cells(&f, 0, 3) != NULL);
    CHECK(f.allocator.live_bytes <= 4096);
    end(&f);
}

TEST(test_heap__reachable_objects_survive_and_the_rest_is_freed) {
    fixture_t f;
    begin(&f);
    rl_object_t* list = NULL;
    for (int i = 0; i < 5000; i++) {
        rl_object_t* node = cells(&f, 1, 2);
        rl_object_words(node)[0].o = list;
        rl_object_words(node)[1].i = i;
        list = node;
        cells(&f, 0, 4); /* garbage between */
    }
    f.roots[3] = list;
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.heap.stats.live_objects, 5000);
    int count = 0;
    for (rl_object_t* node = f.roots[3]; node; node = rl_object_words(node)[0].o)
        CHECK_INT_EQ(rl_object_words(node)[1].i, 4999 - count++);
    CHECK_INT_EQ(count, 5000);
    f.roots[3] = NULL;
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.heap.stats.live_objects, 0);
    end(&f);
}

TEST(test_heap__list_of_a_million_nodes_is_marked_without_recursion) {
    fixture_t f;
    begin(&f);
    for (int i = 0; i < 1000000; i++) {
        rl_object_t* node = cells(&f, 1, 1);
        rl_object_words(node)[0].o = f.roots[0];
        f.roots[0] = node;
    }
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.heap.stats.live_objects, 1000000);
    end(&f);
}

TEST(test_heap__large_objects_stand_alone_and_are_given_back) {
    fixture_t f;
    begin(&f);
    f.roots[0] = cells(&f, 1000, 60000);
    rl_object_words(f.roots[0])[999].o = cells(&f, 0, 5000);
    cells(&f, 0, 60000);
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.heap.stats.live_objects, 2);
    CHECK(f.allocator.live_bytes < 70000 * 8);
    f.roots[0] = NULL;
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.allocator.live_bytes, 0);
    end(&f);
}

TEST(test_heap__static_objects_are_never_touched) {
    fixture_t f;
    begin(&f);
    static rl_object_t constant = {RL_OBJ_CELLS, RL_OBJ_STATIC | RL_OBJ_SHARED, 1, 0, 0};
    rl_object_t* holder = cells(&f, 1, 1);
    rl_object_words(holder)[0].o = &constant;
    f.roots[0] = holder;
    f.roots[1] = &constant;
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(constant.flags, RL_OBJ_STATIC | RL_OBJ_SHARED);
    end(&f);
}

TEST(test_heap__vectors_of_references_are_marked_and_buffers_freed) {
    fixture_t f;
    begin(&f);
    rl_vector_t* v = rl_heap_new_sized(&f.heap, RL_OBJ_VEC, 0, sizeof *v);
    v->element = RL_ELEM_REF;
    v->data = rl_heap_buffer(&f.heap, NULL, 0, 100 * 8);
    v->capacity = 100;
    f.roots[0] = &v->header;
    for (int i = 0; i < 100; i++) {
        ((rl_object_t**)v->data)[i] = cells(&f, 0, 1);
        v->length++;
    }
    rl_vector_t* numbers = rl_heap_new_sized(&f.heap, RL_OBJ_VEC, 0, sizeof *numbers);
    numbers->element = RL_ELEM_I64;
    numbers->data = rl_heap_buffer(&f.heap, NULL, 0, 50 * 8);
    numbers->capacity = numbers->length = 50;
    memset(numbers->data, 0x7f, 50 * 8); /* would crash if it were marked */
    f.roots[1] = &numbers->header;
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.heap.stats.live_objects, 102);
    CHECK_INT_EQ(f.heap.buffer_bytes, 1200);
    f.roots[0] = f.roots[1] = NULL;
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.heap.buffer_bytes, 0);
    CHECK_INT_EQ(f.allocator.live_bytes, 0);
    end(&f);
}

TEST(test_heap__host_objects_are_dropped_exactly_once) {
    fixture_t f;
    begin(&f);
    for (unsigned i = 0; i < 40; i++) {
        rl_object_t* host = rl_heap_new(&f.heap, RL_OBJ_HOST, 0, 0, 2);
        rl_object_words(host)[0].u = i;
        if (i % 2) f.roots[i] = host;
    }
    rl_heap_collect(&f.heap);
    for (unsigned i = 0; i < 40; i++) CHECK_INT_EQ(f.dropped[i], i % 2 ? 0 : 1);
    rl_heap_collect(&f.heap);
    f.roots[1] = NULL;
    rl_heap_collect(&f.heap);
    CHECK_INT_EQ(f.dropped[1], 1);
    end(&f);
    for (unsigned i = 0; i < 40; i++) CHECK_INT_EQ(f.dropped[i], 1);
}

TEST(test_heap__mark_stack_that_cannot_grow_loses_nothing) {
    fixture_t f;
    begin(&f);
    /* A bushy tree: the gray stack wants to hold thousands. */
    rl_object_t* level[512];
    for (int i = 0; i < 512; i++) level[i] = cells(&f, 1, 1);
    rl_object_t* top = cells(&f, 512, 512);
    for (int i = 0; i < 512; i++) rl_object_words(top)[i].o = level[i];
    for (int i = 0; i < 512; i++) {
        for (int k = 0; k < 20; k++) {
            rl_object_t* node = cells(&f, 1, 1);
            rl_object_words(node)[0].o = rl_object_words(level[i])[0].o;
            rl_object_words(level[i])[0].o = node;
        }
    }
    f.roots[0] = top;
    for (uint64_t n = 1; n < 6; n++) {
        f.allocator.requests = 0;
        f.allocator.fail_at = n;
        f.allocator.fail_every = 1;
        rl_heap_collect(&f.heap);
        f.allocator.fail_at = 0;
        CHECK(!f.allocator.failed);
        CHECK_INT_EQ(f.heap.stats.live_objects, 513 + 512 * 20);
    }
    end(&f);
}

TEST(test_heap__refused_memory_leaves_the_heap_usable) {
    fixture_t f;
    begin(&f);
    f.allocator.limit_bytes = 20000;
    int made = 0;
    while (cells(&f, 0, 10) != NULL) made++;
    CHECK(made > 100);
    CHECK(f.allocator.failed);
    CHECK(rl_heap_new(&f.heap, RL_OBJ_CELLS, 0, 0, 60000) == NULL);
    CHECK(rl_heap_buffer(&f.heap, NULL, 0, 100000) == NULL);
    rl_alloc_clear_failure(&f.allocator);
    rl_heap_collect(&f.heap);
    CHECK(cells(&f, 0, 10) != NULL);
    end(&f);
}

TEST(test_heap__steps_finish_cycles_while_the_program_allocates) {
    fixture_t f;
    begin(&f);
    for (int i = 0; i < 2000000; i++) {
        if (rl_heap_wants_step(&f.heap)) rl_heap_step(&f.heap);
        rl_object_t* node = cells(&f, 1, 2);
        if (i % 50 == 0) {
            rl_object_words(node)[0].o = f.roots[0];
            if (i % 20000 == 0) rl_object_words(node)[0].o = NULL;
            f.roots[0] = node;
        }
    }
    CHECK(f.heap.stats.collections > 3);
    CHECK(f.allocator.peak_bytes < 4u << 20);
    end(&f);
}

TEST(test_heap__near_the_limit_collections_stay_rare) {
    fixture_t f;
    begin(&f);
    f.allocator.limit_bytes = 4 << 20;
    while (f.allocator.live_bytes < (4 << 20) * 9 / 10) {
        rl_object_t* node = cells(&f, 1, 3);
        rl_object_words(node)[0].o = f.roots[0];
        f.roots[0] = node;
    }
    uint64_t before = f.heap.stats.collections;
    bool given_up = false;
    size_t allocated = 0;
    for (; allocated < 64u << 20 && !given_up; allocated += 256) {
        if (rl_heap_wants_step(&f.heap)) rl_heap_step(&f.heap);
        if (!cells(&f, 0, 31)) given_up = !rl_heap_make_room(&f.heap);
    }
    CHECK(!given_up);
    CHECK(f.heap.stats.collections - before < 600);
    while (cells(&f, 1, 3)) { /* now fill it up with what stays */
        rl_object_t* node = cells(&f, 1, 3);
        if (!node) break;
        rl_object_words(node)[0].o = f.roots[0];
        f.roots[0] = node;
    }
    rl_heap_collect(&f.heap);
    for (rl_object_t* node; (node = cells(&f, 1, 3)) != NULL;) {
        rl_object_words(node)[0].o = f.roots[0];
        f.roots[0] = node;
    }
    CHECK(!rl_heap_make_room(&f.heap));
    CHECK(!f.allocator.failed);
    end(&f);
}

/* --- torture: random graphs against a model ------------------------------------------------------------------ */

enum { FANOUT = 3, MOST_NODES = 400000 };
typedef struct model {
    int child[FANOUT]; /* 0: none */
} model_t;

static uint64_t random_state;
static uint32_t random_below(uint32_t bound) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % bound);
}

static bool check_graph(
    rl_object_t* root, int id, const model_t* model, uint8_t* seen, rl_object_t** stack, int* ids, uint32_t limit) {
    uint32_t count = 0;
    stack[count] = root;
    ids[count++] = id;
    while (count) {
        rl_object_t* object = stack[--count];
        int at = ids[count];
        if ((object == NULL) != (at == 0)) return CHECK(!"a reference and the model differ");
        if (!object || seen[at]) continue;
        seen[at] = 1;
        if (object->kind != RL_OBJ_CELLS || rl_object_words(object)[FANOUT].i != at)
            return CHECK(!"an object was freed or overwritten");
        for (int i = 0; i < FANOUT && count < limit; i++) {
            stack[count] = rl_object_words(object)[i].o;
            ids[count++] = model[at].child[i];
        }
    }
    return true;
}

static void torture(bool stress, int operations, uint64_t seed) {
    fixture_t f;
    begin(&f);
    rl_heap_set_stress(&f.heap, stress, true);
    random_state = seed;
    model_t* model = calloc(MOST_NODES, sizeof *model);
    uint8_t* seen = malloc(MOST_NODES);
    rl_object_t** stack = malloc(sizeof *stack * MOST_NODES * 2);
    int* ids = malloc(sizeof *ids * MOST_NODES * 2);
    int root_ids[ROOTS] = {0}, next = 1;
    uint32_t slots = stress ? 12 : ROOTS;
    for (int n = 0; n < operations && next < MOST_NODES; n++) {
        uint32_t a = random_below(slots), b = random_below(slots);
        unsigned slot = random_below(FANOUT);
        switch (random_below(8)) {
        case 0:
        case 1:
        case 2: { /* new object from registers */
            if (rl_heap_wants_step(&f.heap)) rl_heap_step(&f.heap);
            rl_object_t* object = cells(&f, FANOUT, FANOUT + 1);
            if (!CHECK(object != NULL)) break;
            for (int i = 0; i < FANOUT; i++) {
                uint32_t from = random_below(slots);
                rl_object_words(object)[i].o = f.roots[from];
                model[next].child[i] = root_ids[from];
            }
            rl_object_words(object)[FANOUT].i = next;
            f.roots[a] = object;
            root_ids[a] = next++;
            break;
        }
        case 3:
        case 4: /* store, by either barrier; sometimes the old content goes on living in a register only */
            if (!f.roots[a]) break;
            if (n % 3 == 0 && a != b) {
                uint32_t c = (b + 1) % slots == a ? (b + 2) % slots : (b + 1) % slots;
                f.roots[c] = rl_object_words(f.roots[a])[slot].o;
                root_ids[c] = model[root_ids[a]].child[slot];
            }
            if (n % 2) rl_heap_barrier(&f.heap, f.roots[a], f.roots[b]);
            else rl_heap_barrier_old(&f.heap, rl_object_words(f.roots[a])[slot].o);
            rl_object_words(f.roots[a])[slot].o = f.roots[b];
            model[root_ids[a]].child[slot] = root_ids[b];
            break;
        case 5: /* load */
            if (!f.roots[a]) break;
            f.roots[b] = rl_object_words(f.roots[a])[slot].o;
            root_ids[b] = model[root_ids[a]].child[slot];
            break;
        case 6: /* load and remove: the object is then held by a register only */
            if (!f.roots[a]) break;
            rl_heap_barrier(&f.heap, f.roots[a], NULL);
            f.roots[b] = rl_object_words(f.roots[a])[slot].o;
            root_ids[b] = model[root_ids[a]].child[slot];
            if (a == b) break;
            rl_object_words(f.roots[a])[slot].o = NULL;
            model[root_ids[a]].child[slot] = 0;
            break;
        default: /* drop */
            f.roots[a] = NULL;
            root_ids[a] = 0;
            break;
        }
        if (n % (stress ? 50 : 5000) == 0) {
            memset(seen, 0, (size_t)next);
            bool ok = true;
            for (uint32_t i = 0; i < slots && ok; i++)
                ok = check_graph(f.roots[i], root_ids[i], model, seen, stack, ids, MOST_NODES * 2 - FANOUT);
            if (!ok) break;
        }
    }
    CHECK(f.heap.stats.collections > 2);
    free(model);
    free(seen);
    free(stack);
    free(ids);
    end(&f);
}

TEST(test_heap__random_graphs_survive_a_collection_at_each_allocation) {
    for (uint64_t seed = 1; seed <= 10; seed++) torture(true, 8000, seed);
}
TEST(test_heap__random_graphs_survive_incremental_cycles) {
    for (uint64_t seed = 1; seed <= 3; seed++) torture(false, 400000, seed);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_heap__new_object_has_its_header_and_zero_words),
        RUN(test_heap__idle_heap_owns_nothing),
        RUN(test_heap__first_page_of_a_class_is_small),
        RUN(test_heap__reachable_objects_survive_and_the_rest_is_freed),
        RUN(test_heap__list_of_a_million_nodes_is_marked_without_recursion),
        RUN(test_heap__large_objects_stand_alone_and_are_given_back),
        RUN(test_heap__static_objects_are_never_touched),
        RUN(test_heap__vectors_of_references_are_marked_and_buffers_freed),
        RUN(test_heap__host_objects_are_dropped_exactly_once),
        RUN(test_heap__mark_stack_that_cannot_grow_loses_nothing),
        RUN(test_heap__refused_memory_leaves_the_heap_usable),
        RUN(test_heap__steps_finish_cycles_while_the_program_allocates),
        RUN(test_heap__near_the_limit_collections_stay_rare),
        RUN(test_heap__random_graphs_survive_a_collection_at_each_allocation),
        RUN(test_heap__random_graphs_survive_incremental_cycles),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
