/* Large collections are marked in parts: pauses stay short, and what moves between two parts is not lost. */
#include "check.h"

#include "base/number.h"
#include "vm/builtin.h"
#include "vm/core/keyed.h"
#include "vm/core/list.h"
#include "vm/string.h"

#include <stdlib.h>

enum { COUNT = 30000, CYCLES = 12, MOST = 3 * COUNT };

static rl_allocator_t allocator;
static rl_vm_t vm;
static rl_object_t* root;
static rl_object_t* kept; /* the text on its way in */
static uint64_t random_state;
static int64_t* model;
static uint32_t length;

static const rl_rtype_t int_type = {.kind = RL_TYPE_I64, .rep = RL_REP_S, .element = RL_ELEM_I64};
static const rl_rtype_t str_type = {.kind = RL_TYPE_STR, .rep = RL_REP_R, .element = RL_ELEM_REF};

static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

static void mark_test_roots(rl_heap_t* heap, void* host) {
    (void)host;
    rl_heap_mark(heap, root);
    rl_heap_mark(heap, kept);
}

static bool start(uint64_t seed) {
    rl_allocator_init(&allocator, NULL, NULL);
    if (!rl_vm_init(&vm, &allocator, NULL)) return CHECK(false);
    vm.mark_host_roots = mark_test_roots;
    vm.limits.fuel = INT64_MAX;
    rl_vm_begin_run(&vm);
    rl_heap_set_stress(&vm.heap, false, false);
    root = kept = NULL;
    random_state = seed;
    length = 0;
    model = calloc(MOST, sizeof *model);
    return CHECK(model != NULL);
}

static void stop(void) {
    free(model);
    rl_vm_deinit(&vm);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

/* The builtin with the collection as its first argument; what it answers becomes the collection when `replaces`. */
static void call(const char* name, bool replaces, rl_word_t first, rl_word_t second, unsigned count) {
    static const rl_rtype_t *const texts[] = {&str_type, &str_type}, *const table[] = {&int_type, &str_type};
    bool keyed = strncmp(name, "table.", 6) == 0;
    uint32_t id = rl_builtin_find(rl_str(name));
    if (!CHECK(id != UINT32_MAX)) return;
    rl_word_t args[3] = {{.o = root}, first, second}, result;
    rl_builtin_site_t site = {
        .call = rl_builtin_rows[id].function, .arg_count = (uint8_t)count, .types = keyed ? table : texts};
    CHECK_INT_EQ(site.call(&vm, args, &result, &site), RL_DONE);
    if (replaces) root = result.o;
}
#define NUMBER(x) ((rl_word_t){.i = (int64_t)(x)})

static rl_word_t text_of(int64_t value) {
    char text[24];
    kept = rl_string_new(&vm, (rl_str_t){text, rl_i64_print(value, text)}, RL_OBJ_STR);
    return (rl_word_t){.o = kept};
}

static bool is_text(const rl_object_t* object, int64_t value) {
    char text[24];
    rl_str_t expected = {text, rl_i64_print(value, text)};
    return object->kind == RL_OBJ_STR && rl_str_equal(rl_string_str(object), expected);
}

/* A step, whether or not it is due. */
static void step(void) {
    if (vm.heap.bytes_since < vm.heap.due) vm.heap.bytes_since = vm.heap.due;
    rl_heap_step(&vm.heap);
}

/* On until some collection is marked in part; false: the cycle went by. */
static bool stop_between_parts(void) {
    for (int i = 0; i < 10000; i++) {
        step();
        if (vm.heap.phase == RL_PHASE_MARK && vm.heap.parts.count) return true;
    }
    return CHECK(!"no collection was marked in part");
}

static void end_cycle(void) {
    while (vm.heap.phase != RL_PHASE_IDLE) step();
}

/* --- Vec ------------------------------------------------------------------------------------------------------------ */

static bool vec_matches(void) {
    const rl_vector_t* v = (const rl_vector_t*)root;
    rl_object_t* const* items = v->data;
    if (!CHECK_INT_EQ(v->length, length)) return false;
    for (uint32_t i = 0; i < length; i++) {
        if (!is_text(items[i], model[i])) return CHECK(!"an element of a Vec was lost");
    }
    return true;
}

static void vec_operation(void) {
    uint32_t i = random_below(length), j = random_below(length);
    int64_t value = random_below(1000000);
    switch (random_below(200)) {
    case 0:
        call("vec.reverse", false, NUMBER(0), NUMBER(0), 1);
        for (uint32_t a = 0, b = length; a + 1 < b; a++) {
            int64_t x = model[a];
            model[a] = model[--b];
            model[b] = x;
        }
        return;
    case 1:
        length = length - random_below(20);
        call("vec.truncate", false, NUMBER(length), NUMBER(0), 2);
        return;
    case 2:
        call("vec.pop_value", false, NUMBER(0), NUMBER(0), 1);
        length--;
        return;
    default: break;
    }
    if (value & 1) {
        call("vec.swap", false, NUMBER(i), NUMBER(j), 3);
        int64_t x = model[i];
        model[i] = model[j];
        model[j] = x;
    } else if (value & 2) {
        call("vec.set", false, NUMBER(i), text_of(value), 3);
        model[i] = value;
    } else if (length < MOST) {
        call("vec.push", false, text_of(value), NUMBER(0), 2);
        model[length++] = value;
    }
}

TEST(test_marking__elements_of_a_vec_that_move_between_parts_stay) {
    if (!start(1)) return;
    call("vec.new", true, NUMBER(0), NUMBER(0), 0);
    for (; length < COUNT; length++) call("vec.push", false, text_of(model[length] = length), NUMBER(0), 2);
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        while (stop_between_parts()) {
            for (int k = 0; k < 300; k++) vec_operation();
            if (vm.heap.parts.count == 0 || random_below(3) == 0) break;
        }
        end_cycle();
        if (!vec_matches()) break;
    }
    stop();
}

TEST(test_marking__a_sorted_vec_keeps_its_elements) {
    if (!start(2)) return;
    call("vec.new", true, NUMBER(0), NUMBER(0), 0);
    for (; length < COUNT; length++) /* backwards, all of six digits */
        call("vec.push", false, text_of(model[COUNT - 1 - length] = 999999 - (int64_t)length), NUMBER(0), 2);
    stop_between_parts();
    call("vec.sort", false, NUMBER(0), NUMBER(0), 1);
    end_cycle();
    vec_matches();
    stop();
}

/* --- List ----------------------------------------------------------------------------------------------------------- */

static bool list_matches(void) {
    if (!CHECK_INT_EQ(rl_collection_length(root), length)) return false;
    for (uint32_t i = 0; i < length; i++) {
        if (!is_text(rl_list_at(root, i).o, model[i])) return CHECK(!"an element of a List was lost");
    }
    return true;
}

static void list_operation(void) {
    uint32_t i = random_below(length);
    int64_t value = random_below(1000000);
    switch (random_below(4)) {
    case 0:
        call("list.set", true, NUMBER(i), text_of(value), 3);
        model[i] = value;
        break;
    case 1:
        call("list.drop_first", true, NUMBER(0), NUMBER(0), 1);
        memmove(model, model + 1, --length * sizeof *model);
        break;
    case 2:
        call("list.drop_last", true, NUMBER(0), NUMBER(0), 1);
        length--;
        break;
    default:
        call("list.push_front", true, text_of(value), NUMBER(0), 2);
        memmove(model + 1, model, length++ * sizeof *model);
        model[0] = value;
    }
}

/* A flat List as a queue: its elements go down to the start of the buffer, or into another, when its end is reached. */
static void queue_turns(uint32_t turns) {
    for (uint32_t k = 0; k < turns; k++) {
        if (length > 2000) {
            call("list.drop_first", true, NUMBER(0), NUMBER(0), 1);
            length--;
        }
        call("list.push", true, text_of(k), NUMBER(0), 2);
        length++;
    }
}

TEST(test_marking__elements_of_a_list_that_move_between_parts_stay) {
    if (!start(3)) return;
    root = rl_list_empty(RL_ELEM_REF);
    for (; length < COUNT; length++) call("list.push", true, text_of(model[length] = length), NUMBER(0), 2);
    CHECK(!((rl_list_t*)root)->root); /* flat */
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        stop_between_parts();
        for (int k = 0; k < 300; k++) list_operation();
        end_cycle();
        if (!list_matches()) break;
    }
    stop();
}

TEST(test_marking__elements_of_a_queue_that_go_down_between_parts_stay) {
    if (!start(4)) return;
    root = rl_list_empty(RL_ELEM_REF);
    for (; length < COUNT; length++) call("list.push", true, text_of(length), NUMBER(0), 2);
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        stop_between_parts();
        /* Of most that go the rest is moved down in its buffer, of some it goes into another one: past the place where marking stands. */
        rl_list_t* list = (rl_list_t*)root;
        uint32_t stays = cycle % 2 ? 5000 : length - 3000;
        while (length > stays) {
            call("list.drop_first", true, NUMBER(0), NUMBER(0), 1);
            length--;
        }
        uint32_t room = list->capacity - list->start - list->length;
        int64_t first = rl_list_at(root, 0).o->kind;
        CHECK_INT_EQ(first, RL_OBJ_STR);
        for (uint32_t k = 0; k <= room; k++, length++) call("list.push", true, text_of(k), NUMBER(0), 2);
        CHECK_INT_EQ(((rl_list_t*)root)->start, 0);
        end_cycle();
        for (uint32_t i = 0; i < length; i++) {
            if (rl_list_at(root, i).o->kind == RL_OBJ_STR) continue;
            CHECK(!"an element of a List was lost");
            break;
        }
        while (length < COUNT) call("list.push", true, text_of(length++), NUMBER(0), 2);
    }
    queue_turns(20000);
    stop();
}

/* --- Table ---------------------------------------------------------------------------------------------------------- */

TEST(test_marking__entries_of_a_table_that_move_between_parts_stay) {
    if (!start(5)) return;
    call("table.new", true, NUMBER(0), NUMBER(0), 0);
    for (uint32_t i = 0; i < COUNT; i++) call("table.set", false, NUMBER(i), text_of(i), 3);
    for (int cycle = 0; cycle < CYCLES; cycle++) {
        stop_between_parts();
        uint32_t from = (uint32_t)cycle * 100; /* most go: what is left is squeezed together */
        for (uint32_t i = 0; i < COUNT; i++) {
            if (i % 5 != from % 5) call("table.remove_key", false, NUMBER(i), NUMBER(0), 2);
        }
        for (uint32_t i = COUNT; i < COUNT + 2000; i++) call("table.set", false, NUMBER(i), text_of(i), 3);
        end_cycle();
        const rl_table_t* table = (const rl_table_t*)root;
        CHECK_INT_EQ(table->length, COUNT / 5 + 2000);
        for (uint32_t i = 0; i < table->used; i++) {
            const rl_table_entry_t* entry = &table->entries[i];
            if (!entry->live || is_text(entry->value.o, entry->key.i)) continue;
            CHECK(!"a value of a Table was lost");
            break;
        }
        for (uint32_t i = 0; i < COUNT; i++) call("table.set", false, NUMBER(i), text_of(i), 3);
        for (uint32_t i = COUNT; i < COUNT + 2000; i++) call("table.remove_key", false, NUMBER(i), NUMBER(0), 2);
    }
    stop();
}

/* --- how long ------------------------------------------------------------------------------------------------------- */

TEST(test_marking__a_step_marks_a_bounded_piece_of_a_large_vec) {
    if (!start(6)) return;
    call("vec.new", true, NUMBER(0), NUMBER(0), 0);
    for (uint32_t i = 0; i < 10 * COUNT; i++) call("vec.push", false, text_of(i), NUMBER(0), 2);
    end_cycle();
    unsigned steps = 0;
    size_t most = 0, buffer = rl_kind_rows[RL_OBJ_VEC].size(root);
    do {
        size_t before = vm.heap.phase == RL_PHASE_MARK ? vm.heap.marked_bytes : 0;
        step();
        size_t piece = vm.heap.marked_bytes - before;
        if (steps > 1 && vm.heap.phase == RL_PHASE_MARK && piece > most) most = piece;
        steps++;
    } while (vm.heap.phase == RL_PHASE_MARK);
    CHECK(steps > 30);
    CHECK(most < (1 << 20) + 200000 && most < buffer);
    CHECK(vm.heap.gray.capacity < 1000); /* what waits does not grow with the Vec */
    stop();
}

static unsigned unswept_pages(unsigned size_class) {
    unsigned count = 0;
    for (void* page = vm.heap.unswept[size_class]; page; page = *(void**)page) count++; /* `next` comes first */
    return count;
}

TEST(test_marking__an_allocation_looks_into_a_few_pages_of_a_full_heap) {
    if (!start(7)) return;
    call("vec.new", true, NUMBER(0), NUMBER(0), 0);
    for (uint32_t i = 0; i < 20 * COUNT; i++) call("vec.push", false, text_of(i), NUMBER(0), 2);
    unsigned size_class = 0; /* of a text: the class with most pages */
    end_cycle();
    while (vm.heap.phase != RL_PHASE_SWEEP) step();
    for (unsigned c = 0; c < RL_SIZE_CLASSES; c++) {
        if (unswept_pages(c) > unswept_pages(size_class)) size_class = c;
    }
    unsigned before = unswept_pages(size_class);
    CHECK(before > 100); /* all full of what lives on */
    text_of(1);
    CHECK(before - unswept_pages(size_class) <= 4);
    end_cycle();
    CHECK_INT_EQ(unswept_pages(size_class), 0);
    stop();
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_marking__elements_of_a_vec_that_move_between_parts_stay),
        RUN(test_marking__a_sorted_vec_keeps_its_elements),
        RUN(test_marking__elements_of_a_list_that_move_between_parts_stay),
        RUN(test_marking__elements_of_a_queue_that_go_down_between_parts_stay),
        RUN(test_marking__entries_of_a_table_that_move_between_parts_stay),
        RUN(test_marking__a_step_marks_a_bounded_piece_of_a_large_vec),
        RUN(test_marking__an_allocation_looks_into_a_few_pages_of_a_full_heap),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
