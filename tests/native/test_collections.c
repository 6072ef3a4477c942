/* Collections against plain arrays: random operations with several owners, refused memory and collections in between. */
#include "check.h"

#include "base/number.h"
#include "vm/builtin.h"
#include "vm/core/border.h"
#include "vm/core/keyed.h"
#include "vm/core/list.h"
#include "vm/string.h"

#include <stdlib.h>

/* --- a machine with roots and calls as the loop makes them ------------------------------------------------------- */

enum { SLOTS = 6, ROOTS = SLOTS + 4, MOST = 4000 };

static rl_allocator_t allocator;
static rl_vm_t vm;
static rl_object_t* roots[ROOTS];
static uint64_t random_state;
static bool inject; /* refuse memory now and then */
static unsigned refused;

static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static void mark_test_roots(rl_heap_t* heap, void* host) {
    (void)host;
    for (unsigned i = 0; i < ROOTS; i++) rl_heap_mark(heap, roots[i]);
}

static bool start(uint64_t seed, bool stress, bool refuse) {
    rl_allocator_init(&allocator, NULL, NULL);
    if (!rl_vm_init(&vm, &allocator, NULL)) return CHECK(false);
    vm.mark_host_roots = mark_test_roots;
    vm.limits.fuel = INT64_MAX;
    rl_vm_begin_run(&vm);
    memset(roots, 0, sizeof roots);
    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    inject = refuse;
    rl_heap_set_stress(&vm.heap, stress, stress);
    return true;
}

static void stop(void) {
    rl_vm_deinit(&vm);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

static const rl_rtype_t int_type = {.kind = RL_TYPE_I64, .rep = RL_REP_S, .element = RL_ELEM_I64};
static const rl_rtype_t byte_type = {.kind = RL_TYPE_U8, .rep = RL_REP_S, .element = RL_ELEM_U8};
static const rl_rtype_t unit_type = {.kind = RL_TYPE_UNIT, .rep = RL_REP_S, .element = RL_ELEM_UNIT};
static const rl_rtype_t float_type = {.kind = RL_TYPE_F64, .rep = RL_REP_F, .element = RL_ELEM_F64};
static const rl_rtype_t str_type = {.kind = RL_TYPE_STR, .rep = RL_REP_R, .element = RL_ELEM_REF};

static void safe_point(void) {
    if (rl_heap_wants_step(&vm.heap)) rl_heap_step(&vm.heap);
}

static rl_outcome_t try_builtin(const char* name, const rl_rtype_t* const* types, const rl_rtype_t* result_type,
    const rl_word_t* args, unsigned count, rl_word_t* result) {
    uint32_t id = rl_builtin_find(rl_str(name));
    if (!CHECK(id != UINT32_MAX)) return RL_RAISE;
    rl_builtin_site_t site = {
        .call = rl_builtin_rows[id].function, .arg_count = (uint8_t)count, .types = types, .result_type = result_type};
    return site.call(&vm, args, result, &site);
}

/* What the loop does with a builtin. Memory is refused on the way when `inject` is set. */
static rl_outcome_t call(const char* name, const rl_rtype_t* const* types, const rl_rtype_t* result_type,
    const rl_word_t* args, unsigned count, rl_word_t* result) {
    safe_point();
    if (inject && random_below(8)) allocator.fail_at = allocator.requests + 1 + random_below(2);
    rl_outcome_t outcome = try_builtin(name, types, result_type, args, count, result);
    allocator.fail_at = 0;
    if (outcome == RL_COLLECT) {
        refused++;
        rl_heap_collect(&vm.heap);
        rl_alloc_clear_failure(&allocator);
        outcome = try_builtin(name, types, result_type, args, count, result);
    }
    rl_alloc_clear_failure(&allocator);
    return outcome;
}

static rl_object_t* new_text(int64_t value) {
    char text[24];
    return rl_string_new(&vm, (rl_str_t){text, rl_i64_print(value, text)}, RL_OBJ_STR);
}

/* The word that stands for `value` in a list of this type; kept in the last root. */
static rl_word_t word_of(const rl_rtype_t* type, int64_t value) {
    rl_word_t word = {.i = value};
    if (type == &byte_type) word.u = value & 255;
    if (type == &unit_type) word.i = 0;
    if (type == &float_type) word.f = (double)value;
    if (type == &str_type) roots[ROOTS - 1] = word.o = new_text(value);
    return word;
}

static bool word_is(const rl_rtype_t* type, rl_word_t word, int64_t value) {
    if (type == &byte_type) return word.u == (uint64_t)(value & 255);
    if (type == &unit_type) return word.i == 0;
    if (type == &float_type) return word.f == (double)value;
    if (type != &str_type) return word.i == value;
    char text[24];
    rl_str_t expected = {text, rl_i64_print(value, text)};
    return rl_str_equal(rl_string_str(word.o), expected);
}

/* --- the tree keeps its shape ------------------------------------------------------------------------------------------ */

static uint32_t check_node(const rl_tree_node_t* node, unsigned form, bool is_root) {
    rl_tree_layout_t layout = rl_tree_layout(form, node->height);
    CHECK_INT_EQ(node->header.tag, form);
    CHECK(node->used <= layout.capacity);
    CHECK(is_root ? node->used >= (node->height ? 2 : 1) : node->used >= layout.capacity / 4 || inject);
    if (node->height == 0) {
        CHECK_INT_EQ(node->count, node->used);
        return node->used;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->used; i++) {
        const rl_tree_node_t* child = rl_tree_child(node, i);
        CHECK_INT_EQ(child->height, node->height - 1);
        uint32_t below = check_node(child, form, false);
        CHECK_INT_EQ(rl_tree_sizes(node)[i], below);
        count += below;
    }
    CHECK_INT_EQ(node->count, count);
    return count;
}

/* --- lists against arrays ---------------------------------------------------------------------------------------------- */

typedef struct model {
    uint32_t length;
    int64_t items[MOST];
} model_t;
static model_t models[SLOTS];

static bool list_matches(const rl_rtype_t* type, rl_object_t* object, const model_t* model) {
    const rl_list_t* list = (const rl_list_t*)object;
    if (list->root && list->root->kind == RL_OBJ_LIST_NODE)
        check_node((const rl_tree_node_t*)list->root, list->element, true);
    if (!CHECK_INT_EQ(rl_collection_length(object), model->length)) return false;
    rl_cursor_t cursor;
    rl_word_t item, unused;
    rl_cursor_begin(&cursor, object);
    for (uint32_t i = 0; i < model->length; i++) {
        if (!CHECK(rl_cursor_next(&cursor, &item, &unused)) || !CHECK(word_is(type, item, model->items[i])))
            return false;
    }
    if (!CHECK(!rl_cursor_next(&cursor, &item, &unused))) return false;
    for (unsigned k = 0; k < 8 && model->length; k++) {
        uint32_t i = random_below(model->length);
        if (!CHECK(word_is(type, rl_list_at(object, i), model->items[i]))) return false;
    }
    return true;
}

static bool all_lists_match(const rl_rtype_t* type) {
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!list_matches(type, roots[i], &models[i])) return false;
    }
    return true;
}

static void insert(model_t* model, uint32_t at, int64_t value) {
    memmove(model->items + at + 1, model->items + at, (model->length - at) * sizeof *model->items);
    model->items[at] = value;
    model->length++;
}
static void cut(model_t* model, uint32_t from, uint32_t to) {
    if (from > to) from = to;
    memmove(model->items, model->items + from, (to - from) * sizeof *model->items);
    model->length = to - from;
}

/* One random operation on a random slot, on the list and its model. */
static bool list_step(const rl_rtype_t* type) {
    unsigned slot = random_below(SLOTS), other = random_below(SLOTS);
    model_t* model = &models[slot];
    uint32_t n = model->length;
    int64_t value = random_below(1000000);
    rl_word_t args[3] = {{.o = roots[slot]}}, result;
    unsigned choice = random_below(20);
    rl_outcome_t outcome = RL_DONE;
    if (choice < 7 && n < MOST) {
        uint32_t times = random_below(8) == 0 ? 200 : 1 + random_below(4);
        for (uint32_t i = 0; i < times && n + i < MOST && outcome == RL_DONE; i++) {
            args[0].o = roots[slot];
            args[1] = word_of(type, value + i);
            outcome = call(choice < 5 ? "list.push" : "list.push_front", &type, NULL, args, 2, &result);
            if (outcome != RL_DONE) break;
            roots[slot] = result.o;
            insert(model, choice < 5 ? n + i : 0, value + i);
        }
    } else if (choice < 9 && n) {
        uint32_t at = random_below(n);
        args[1].u = at;
        args[2] = word_of(type, value);
        outcome = call("list.set", &type, NULL, args, 3, &result);
        if (outcome == RL_DONE) roots[slot] = result.o;
        model->items[at] = value;
    } else if (choice < 12) {
        bool first = random_below(2);
        uint32_t times = random_below(8) == 0 ? 300 : 1 + random_below(3);
        for (uint32_t i = 0; i < times && model->length && outcome == RL_DONE; i++) {
            args[0].o = roots[slot];
            outcome = call(first ? "list.drop_first" : "list.drop_last", &type, NULL, args, 1, &result);
            if (outcome != RL_DONE) break;
            roots[slot] = result.o;
            cut(model, first, model->length - !first);
        }
    } else if (choice < 14) { /* a second owner; what the emitted code does before it */
        rl_share(roots[slot]);
        roots[other] = roots[slot];
        models[other] = *model;
    } else if (choice < 16) {
        int64_t from = (int64_t)random_below(n + 2) - 1, to = random_below(3) ? n : random_below(n + 5);
        if (random_below(2)) from = random_below(4);
        args[1].i = from;
        args[2].i = to;
        outcome = call("list.slice", &type, NULL, args, 3, &result);
        if (outcome == RL_DONE) roots[other] = result.o;
        models[other] = *model;
        if (to > n) to = n;
        cut(&models[other], from < 0 ? 0 : (uint32_t)from, (uint32_t)to);
    } else if (choice < 18 && n + models[other].length <= MOST) {
        args[1].o = roots[other];
        if (slot == other) rl_share(roots[slot]);
        outcome = call("list.concat", &type, NULL, args, 2, &result);
        if (outcome == RL_DONE) roots[slot] = result.o;
        memcpy(model->items + n, models[other].items, models[other].length * sizeof *model->items);
        model->length = n + models[other].length;
    } else if (choice == 18) {
        outcome = call("list.reverse", &type, NULL, args, 1, &result);
        if (outcome == RL_DONE) roots[slot] = result.o;
        for (uint32_t i = 0; i < n / 2; i++) {
            int64_t x = model->items[i];
            model->items[i] = model->items[n - 1 - i];
            model->items[n - 1 - i] = x;
        }
    } else if (random_below(4) == 0) {
        outcome = call("list.empty", &type, NULL, NULL, 0, &result);
        if (outcome == RL_DONE) roots[slot] = result.o;
        model->length = 0;
    }
    return CHECK_INT_EQ(outcome, RL_DONE);
}

static void walk_lists(const rl_rtype_t* type, uint64_t seed, unsigned steps, bool stress, bool refuse) {
    if (!start(seed, stress, refuse)) return;
    for (unsigned i = 0; i < SLOTS; i++) {
        roots[i] = rl_list_empty((rl_element_t)type->element);
        models[i].length = 0;
    }
    for (unsigned i = 0; i < steps; i++) {
        if (!list_step(type) || (i % 8 == 0 && !all_lists_match(type))) {
            printf("  seed %u, step %u\n", (unsigned)seed, i);
            break;
        }
    }
    all_lists_match(type);
    stop();
}

TEST(test_list__random_operations_agree_with_an_array) {
    for (uint64_t seed = 1; seed <= 6; seed++) walk_lists(&int_type, seed, 500, false, false);
}
TEST(test_list__narrow_and_empty_elements_agree_with_an_array) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        walk_lists(&byte_type, seed, 500, false, false);
        walk_lists(&unit_type, seed, 300, false, false);
        walk_lists(&float_type, seed, 300, false, false);
    }
}
TEST(test_list__references_survive_collections_at_every_chance) {
    for (uint64_t seed = 1; seed <= 6; seed++) walk_lists(&str_type, seed, 300, true, false);
}
TEST(test_list__references_survive_incremental_collections) {
    for (uint64_t seed = 1; seed <= 5; seed++) walk_lists(&str_type, seed, 500, false, false);
}
TEST(test_list__refused_memory_changes_nothing) {
    refused = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) walk_lists(seed % 2 ? &int_type : &str_type, seed, 400, false, true);
    CHECK(refused > 20);
}

TEST(test_list__push_with_one_owner_stays_in_place) {
    if (!start(1, false, false)) return;
    const rl_rtype_t* types[] = {&int_type};
    rl_word_t args[2] = {{.o = rl_list_empty(RL_ELEM_I64)}}, result;
    for (int64_t i = 0; i < 100000; i++) {
        args[1].i = i;
        if (!CHECK_INT_EQ(call("list.push", types, NULL, args, 2, &result), RL_DONE)) break;
        if (i > 0) CHECK(result.o == args[0].o);
        roots[0] = args[0].o = result.o;
    }
    CHECK(((rl_list_t*)roots[0])->root == NULL);
    CHECK_INT_EQ(rl_list_at(roots[0], 77777).i, 77777);
    stop();
}

TEST(test_list__shared_updates_copy_a_path_only) {
    if (!start(1, false, false)) return;
    const rl_rtype_t* types[] = {&int_type};
    rl_word_t range[3] = {{.i = 0}, {.i = 1000000}, {.i = 1}}, result;
    CHECK_INT_EQ(call("list.range", types, NULL, range, 3, &result), RL_DONE);
    roots[0] = result.o;
    rl_share(roots[0]);
    rl_word_t args[3] = {{.o = roots[0]}, {.i = 5}, {.i = -1}};
    CHECK_INT_EQ(call("list.set", types, NULL, args, 3, &result), RL_DONE); /* turns the list into a tree */
    uint64_t before = vm.heap.stats.allocated_bytes;
    for (int64_t i = 0; i < 1000; i++) {
        args[1].i = i * 997;
        CHECK_INT_EQ(call("list.set", types, NULL, args, 3, &result), RL_DONE);
        roots[1] = result.o;
    }
    CHECK(vm.heap.stats.allocated_bytes - before < 1000 * 2500);
    CHECK_INT_EQ(rl_list_at(roots[1], 999 * 997).i, -1);
    CHECK_INT_EQ(rl_list_at(roots[0], 999 * 997).i, 999 * 997);
    CHECK_INT_EQ(rl_list_at(roots[0], 5).i, 5);
    stop();
}

TEST(test_list__queue_with_one_owner_keeps_its_memory_small) {
    if (!start(1, false, false)) return;
    const rl_rtype_t* types[] = {&int_type};
    rl_word_t args[2] = {{.o = rl_list_empty(RL_ELEM_I64)}}, result;
    for (int64_t i = 0; i < 200000; i++) {
        args[1].i = i;
        CHECK_INT_EQ(call("list.push", types, NULL, args, 2, &result), RL_DONE);
        roots[0] = args[0].o = result.o;
        if (i < 100) continue;
        CHECK_INT_EQ(rl_list_at(roots[0], 0).i, i - 100);
        CHECK_INT_EQ(call("list.drop_first", types, NULL, args, 1, &result), RL_DONE);
        roots[0] = args[0].o = result.o;
    }
    CHECK(((rl_list_t*)roots[0])->capacity < 1000);
    CHECK_INT_EQ(rl_collection_length(roots[0]), 100);
    stop();
}

TEST(test_list__index_out_of_bounds_raises) {
    if (!start(1, false, false)) return;
    const rl_rtype_t* types[] = {&int_type};
    rl_word_t items[3] = {{.i = 1}, {.i = 2}, {.i = 3}}, result;
    CHECK_INT_EQ(call("list.of", types, NULL, items, 3, &result), RL_DONE);
    roots[0] = result.o;
    static const int64_t indices[] = {-1, 3, INT64_MIN, INT64_MAX};
    for (unsigned i = 0; i < 4; i++) {
        rl_word_t args[3] = {{.o = roots[0]}, {.i = indices[i]}, {.i = 0}};
        CHECK_INT_EQ(call("list.index", types, NULL, args, 2, &result), RL_RAISE);
        CHECK_INT_EQ(vm.failure.code, RL_CODE_RUNTIME_INDEX_OUT_OF_BOUNDS);
        rl_vm_clear_failure(&vm);
        CHECK_INT_EQ(call("list.set", types, NULL, args, 3, &result), RL_RAISE);
        rl_vm_clear_failure(&vm);
    }
    rl_word_t args[3] = {{.i = 0}, {.i = 10}, {.i = 0}};
    CHECK_INT_EQ(call("list.range", types, NULL, args, 3, &result), RL_RAISE);
    CHECK_INT_EQ(vm.failure.code, RL_CODE_RUNTIME_RANGE_STEP);
    stop();
}

/* --- maps and tables against arrays ----------------------------------------------------------------------------------------- */

enum { KEYS = 3000 };
typedef struct map_model {
    int64_t values[KEYS];
    uint32_t order[KEYS]; /* tables: 0 when absent, else grows with insertion */
    uint32_t length, clock;
} map_model_t;
static map_model_t map_models[SLOTS];

static const rl_rtype_t* option_types(
    const rl_rtype_t* value, rl_rtype_t* option, rl_rshape_t shapes[2], rl_rfield_t* field) {
    *field = (rl_rfield_t){.type = value, .slot = 0};
    shapes[0] = (rl_rshape_t){.name = RL_STR("None")};
    shapes[1] = (rl_rshape_t){.name = RL_STR("Some"),
        .fields = field,
        .field_count = 1,
        .refs = value->rep == RL_REP_R,
        .words = 1,
        .tag = 1};
    *option = (rl_rtype_t){.kind = RL_TYPE_NAMED,
        .rep = RL_REP_R,
        .element = RL_ELEM_REF,
        .def_kind = RL_DEF_SUM,
        .shape_count = 2,
        .shapes = shapes};
    return option;
}

static rl_word_t key_of(const rl_rtype_t* type, uint32_t key) {
    rl_word_t word = {.i = (int64_t)key * 3 - 500};
    if (type == &float_type) word.f = key == 0 ? -0.0 : key == KEYS - 1 ? 0.0 / 0.0 : (double)key;
    if (type == &str_type) {
        char text[16];
        snprintf(text, sizeof text, "k%05u", key);
        roots[ROOTS - 2] = word.o = rl_string_new(&vm, rl_str(text), RL_OBJ_STR);
    }
    return word;
}

static bool map_matches(const rl_rtype_t* const types[2], rl_object_t* map, const map_model_t* model, bool is_table) {
    if (!CHECK_INT_EQ(rl_collection_length(map), model->length)) return false;
    if (!is_table && ((rl_map_object_t*)map)->root) {
        check_node((const rl_tree_node_t*)((rl_map_object_t*)map)->root, ((rl_map_object_t*)map)->form, true);
    }
    rl_cursor_t cursor;
    rl_word_t key, value = {0};
    uint32_t last = 0, count = 0;
    int order;
    rl_word_t previous = {0};
    rl_cursor_begin(&cursor, map);
    while (rl_cursor_next(&cursor, &key, &value)) {
        if (count++ && !is_table) {
            CHECK_INT_EQ(rl_value_compare(&vm, types[0], previous, key, &order), RL_DONE);
            if (!CHECK(order < 0)) return false;
        }
        previous = key;
        if (is_table) { /* keys come by age */
            uint32_t k = 0;
            char text[16] = "";
            if (types[0] == &str_type) {
                rl_str_t name = rl_string_str(key.o);
                memcpy(text, name.data, name.length < sizeof text ? name.length : 0);
                k = (uint32_t)atoi(text + 1);
            }
            if (types[0] != &str_type) k = (uint32_t)((key.i + 500) / 3);
            if (!CHECK(k < KEYS && model->order[k] > last)) return false;
            last = model->order[k];
            if (!CHECK(word_is(types[1], value, model->values[k]))) return false;
        }
    }
    return CHECK_INT_EQ(count, model->length);
}

static bool map_step(const rl_rtype_t* const types[2], bool is_table, const rl_rtype_t* option) {
    unsigned slot = random_below(SLOTS), other = random_below(SLOTS), choice = random_below(20);
    map_model_t* model = &map_models[slot];
    uint32_t range = 1 + random_below(KEYS), times = 1 + random_below(random_below(4) ? 40 : 600),
             key = random_below(range);
    rl_word_t args[3], result;
    rl_outcome_t outcome = RL_DONE;
    if (choice == 0 && !is_table) {
        rl_share(roots[slot]);
        roots[other] = roots[slot];
        map_models[other] = *model;
        return true;
    }
    for (uint32_t i = 0; i < times && outcome == RL_DONE;
        i++, key = choice & 1 ? (key + 1) % KEYS : random_below(range)) {
        int64_t value = random_below(1000000);
        args[0].o = roots[slot];
        args[1] = key_of(types[0], key);
        if (choice < 9) {
            args[2] = word_of(types[1], value);
            outcome = call(is_table ? "table.set" : "map.insert", types, NULL, args, 3, &result);
            if (outcome != RL_DONE) break;
            if (!is_table) roots[slot] = result.o;
            model->values[key] = value;
            if (!model->order[key]) {
                model->order[key] = ++model->clock;
                model->length++;
            }
        } else if (choice < 16) {
            outcome = call(is_table ? "table.remove_key" : "map.remove", types, NULL, args, 2, &result);
            if (outcome != RL_DONE) break;
            if (!is_table) roots[slot] = result.o;
            if (model->order[key]) model->length--;
            model->order[key] = 0;
        } else {
            outcome = call(is_table ? "table.find" : "map.find", types, option, args, 2, &result);
            if (outcome != RL_DONE) break;
            if (!CHECK_INT_EQ(result.o->tag, model->order[key] != 0)) return false;
            if (result.o->tag && !CHECK(word_is(types[1], rl_object_words(result.o)[0], model->values[key])))
                return false;
            outcome = call(is_table ? "table.contains" : "map.contains", types, NULL, args, 2, &result);
            if (!CHECK_INT_EQ(result.u, model->order[key] != 0)) return false;
            outcome = call(is_table ? "table.index" : "map.index", types, NULL, args, 2, &result);
            if (!CHECK_INT_EQ(outcome, model->order[key] ? RL_DONE : RL_RAISE)) return false;
            if (outcome == RL_RAISE) {
                CHECK_INT_EQ(vm.failure.code, RL_CODE_RUNTIME_MAP_MISSING_KEY);
                rl_vm_clear_failure(&vm);
            } else if (!CHECK(word_is(types[1], result, model->values[key]))) {
                return false;
            }
            outcome = RL_DONE;
        }
    }
    return CHECK_INT_EQ(outcome, RL_DONE);
}

static void walk_maps(const rl_rtype_t* key, const rl_rtype_t* value, bool is_table, uint64_t seed, unsigned steps,
    bool stress, bool refuse) {
    const rl_rtype_t* types[] = {key, value};
    rl_rtype_t option;
    rl_rshape_t shapes[2];
    rl_rfield_t field;
    option_types(value, &option, shapes, &field);
    if (!start(seed, stress, false)) return;
    memset(map_models, 0, sizeof map_models);
    for (unsigned i = 0; i < SLOTS; i++) {
        rl_word_t result;
        CHECK_INT_EQ(call(is_table ? "table.new" : "map.empty", types, NULL, NULL, 0, &result), RL_DONE);
        roots[i] = result.o;
    }
    inject = refuse;
    for (unsigned i = 0; i < steps; i++) {
        bool ok = map_step(types, is_table, &option);
        for (unsigned k = 0; ok && k < SLOTS && i % 4 == 0; k++)
            ok = map_matches(types, roots[k], &map_models[k], is_table);
        if (!ok) {
            printf("  seed %u, step %u\n", (unsigned)seed, i);
            break;
        }
    }
    stop();
}

TEST(test_map__random_operations_agree_with_an_array) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        walk_maps(&int_type, &int_type, false, seed, 500, false, false);
        walk_maps(&str_type, &str_type, false, seed, 300, false, false);
        walk_maps(&float_type, &str_type, false, seed, 300, false, false);
    }
}
TEST(test_map__survives_collections_at_every_chance) {
    for (uint64_t seed = 1; seed <= 3; seed++) walk_maps(&str_type, &str_type, false, seed, 100, true, false);
}
TEST(test_map__refused_memory_changes_nothing) {
    refused = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) walk_maps(&str_type, &int_type, false, seed, 200, false, true);
    CHECK(refused > 10);
}
TEST(test_table__random_operations_agree_with_an_array) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        walk_maps(&int_type, &str_type, true, seed, 400, false, false);
        walk_maps(&str_type, &int_type, true, seed, 300, false, false);
    }
}
TEST(test_table__survives_collections_and_refused_memory) {
    refused = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        walk_maps(&str_type, &str_type, true, seed, 100, true, false);
        walk_maps(&str_type, &str_type, true, seed, 300, false, true);
    }
    CHECK(refused > 3);
}

TEST(test_table__removing_most_entries_gives_memory_back) {
    if (!start(1, false, false)) return;
    const rl_rtype_t* types[] = {&int_type, &int_type};
    rl_word_t args[3] = {{0}}, result, key, value;
    CHECK_INT_EQ(call("table.new", types, NULL, NULL, 0, &result), RL_DONE);
    roots[0] = args[0].o = result.o;
    for (int64_t i = 0; i < 20000; i++) {
        args[1].i = args[2].i = i;
        CHECK_INT_EQ(call("table.set", types, NULL, args, 3, &result), RL_DONE);
    }
    const rl_table_t* table = (const rl_table_t*)roots[0];
    for (int64_t i = 0; i < 19990; i++) {
        args[1].i = i;
        CHECK_INT_EQ(call("table.remove_key", types, NULL, args, 2, &result), RL_DONE);
    }
    CHECK_INT_EQ(table->length, 10);
    CHECK(table->used <= 40);
    CHECK(table->slot_count <= 256);
    rl_cursor_t cursor;
    rl_cursor_begin(&cursor, roots[0]);
    for (int64_t i = 19990; i < 20000; i++) CHECK(rl_cursor_next(&cursor, &key, &value) && key.i == i && value.i == i);
    CHECK(!rl_cursor_next(&cursor, &key, &value));
    CHECK_INT_EQ(rl_table_changes(roots[0]), 39990);
    stop();
}

TEST(test_map__equal_keys_keep_the_first_and_replace_the_value) {
    if (!start(1, false, false)) return;
    const rl_rtype_t* types[] = {&float_type, &int_type};
    static const char* const rows[][2] = {{"map.empty", "map.insert"}, {"table.new", "table.set"}};
    for (unsigned i = 0; i < 2; i++) {
        rl_word_t args[3], result, key, value;
        CHECK_INT_EQ(call(rows[i][0], types, NULL, NULL, 0, &args[0]), RL_DONE);
        for (int k = 0; k < 4; k++) {
            args[1].f = k == 0 ? 0.0 : k == 1 ? -0.0 : 0.0 / 0.0;
            args[2].i = k;
            CHECK_INT_EQ(call(rows[i][1], types, NULL, args, 3, &result), RL_DONE);
            if (i == 0) args[0] = result;
            roots[0] = args[0].o;
        }
        CHECK_INT_EQ(rl_collection_length(roots[0]), 2);
        rl_cursor_t cursor;
        rl_cursor_begin(&cursor, roots[0]);
        CHECK(rl_cursor_next(&cursor, &key, &value));
        CHECK(key.u == 0 && value.i == 1);
        CHECK(rl_cursor_next(&cursor, &key, &value));
        CHECK(key.f != key.f && value.i == 3);
    }
    stop();
}

/* --- Vec, sorting, border ------------------------------------------------------------------------------------------------------ */

TEST(test_vec__grows_shrinks_and_checks_its_bounds) {
    if (!start(1, true, false)) return;
    const rl_rtype_t* types[] = {&str_type};
    rl_word_t args[3] = {{0}}, result;
    CHECK_INT_EQ(call("vec.new", types, NULL, NULL, 0, &result), RL_DONE);
    roots[0] = args[0].o = result.o;
    for (int64_t i = 0; i < 50; i++) {
        args[1] = word_of(&str_type, i);
        CHECK_INT_EQ(call("vec.push", types, NULL, args, 2, &result), RL_DONE);
    }
    args[1].i = 3;
    args[2].i = 40;
    CHECK_INT_EQ(call("vec.swap", types, NULL, args, 3, &result), RL_DONE);
    CHECK_INT_EQ(call("vec.index", types, NULL, args, 2, &result), RL_DONE);
    CHECK(word_is(&str_type, result, 40));
    CHECK(result.o->flags & RL_OBJ_SHARED);
    CHECK_INT_EQ(call("vec.reverse", types, NULL, args, 1, &result), RL_DONE);
    CHECK_INT_EQ(call("vec.pop_value", types, NULL, args, 1, &result), RL_DONE);
    CHECK(word_is(&str_type, result, 0));
    CHECK_INT_EQ(call("vec.to_list", types, NULL, args, 1, &result), RL_DONE);
    roots[1] = result.o;
    rl_word_t more[2] = {args[0], {.o = roots[1]}};
    CHECK_INT_EQ(call("vec.extend", types, NULL, more, 2, &result), RL_DONE);
    CHECK_INT_EQ(rl_collection_length(roots[0]), 98);
    args[1].i = 60;
    CHECK_INT_EQ(call("vec.truncate", types, NULL, args, 2, &result), RL_DONE);
    args[1].i = 55;
    CHECK_INT_EQ(call("vec.index", types, NULL, args, 2, &result), RL_DONE);
    CHECK(word_is(&str_type, result, 49 - 6));
    args[1].i = 60;
    CHECK_INT_EQ(call("vec.index", types, NULL, args, 2, &result), RL_RAISE);
    rl_vm_clear_failure(&vm);
    args[2] = args[1];
    args[1].i = 0;
    CHECK_INT_EQ(call("vec.swap", types, NULL, args, 3, &result), RL_RAISE);
    CHECK_INT_EQ(vm.failure.code, RL_CODE_RUNTIME_INDEX_OUT_OF_BOUNDS);
    rl_vm_clear_failure(&vm);
    CHECK_INT_EQ(call("vec.clear", types, NULL, args, 1, &result), RL_DONE);
    CHECK_INT_EQ(rl_collection_length(roots[0]), 0);
    stop();
}

static int compare_ints(const void* a, const void* b) {
    int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
    return (x > y) - (x < y);
}

TEST(test_sort__ints_floats_and_strings_come_out_in_order) {
    static const uint32_t lengths[] = {0, 1, 2, 11, 12, 13, 24, 25, 100, 1000};
    for (unsigned k = 0; k < RL_COUNT_OF(lengths); k++) {
        if (!start(k + 1, false, false)) return;
        uint32_t n = lengths[k];
        int64_t values[1000];
        rl_word_t words[1000], list, result;
        for (uint32_t i = 0; i < n; i++) words[i].i = values[i] = (int64_t)random_below(500) - 250;
        qsort(values, n, sizeof *values, compare_ints);
        CHECK_INT_EQ(rl_list_from_words(&vm, RL_ELEM_I64, words, n, &list.o), RL_DONE);
        roots[0] = list.o;
        const rl_rtype_t* types[] = {&int_type};
        CHECK_INT_EQ(call("list.sort", types, NULL, &list, 1, &result), RL_DONE);
        for (uint32_t i = 0; i < n; i++) CHECK_INT_EQ(rl_list_at(result.o, i).i, values[i]);
        for (uint32_t i = 0; i < n; i++)
            words[i].f = i % 7 == 3 ? 0.0 / 0.0 : i % 5 == 1 ? -0.0 : (double)((i * 37) % 11) - 5;
        CHECK_INT_EQ(rl_list_from_words(&vm, RL_ELEM_F64, words, n, &list.o), RL_DONE);
        roots[0] = list.o;
        types[0] = &float_type;
        CHECK_INT_EQ(call("list.sort", types, NULL, &list, 1, &result), RL_DONE);
        for (uint32_t i = 1; i < n; i++) {
            double a = rl_list_at(result.o, i - 1).f, b = rl_list_at(result.o, i).f;
            CHECK(b != b || a <= b);
        }
        types[0] = &str_type;
        rl_word_t vec;
        CHECK_INT_EQ(call("vec.new", types, NULL, NULL, 0, &vec), RL_DONE);
        roots[1] = vec.o;
        for (uint32_t i = 0; i < n; i++) {
            rl_word_t args[2] = {vec, word_of(&str_type, random_below(2000))};
            CHECK_INT_EQ(call("vec.push", types, NULL, args, 2, &result), RL_DONE);
        }
        CHECK_INT_EQ(call("vec.sort", types, NULL, &vec, 1, &result), RL_DONE);
        rl_object_t** items = ((rl_vector_t*)vec.o)->data;
        for (uint32_t i = 1; i < n; i++) {
            int order = 1;
            CHECK_INT_EQ(rl_string_relate(&vm, items[i - 1], items[i], &order), RL_DONE);
            CHECK(order <= 0);
        }
        stop();
    }
}

TEST(test_border__what_is_built_reads_back) {
    if (!start(1, false, false)) return;
    const rl_rtype_t* pair[] = {&int_type, &float_type};
    rl_rtype_t type = {.kind = RL_TYPE_NAMED,
        .rep = RL_REP_R,
        .element = RL_ELEM_REF,
        .def_kind = RL_DEF_BUILTIN,
        .args = pair,
        .arg_count = 2};
    static const rl_builtin_type_t builtins[] = {
        RL_BUILTIN_LIST, RL_BUILTIN_VEC, RL_BUILTIN_SET, RL_BUILTIN_MAP, RL_BUILTIN_TABLE};
    enum { COUNT = 200 };
    rl_word_t words[COUNT], whole, key, item;
    for (unsigned b = 0; b < RL_COUNT_OF(builtins); b++) {
        type.builtin = (uint8_t)builtins[b];
        bool pairs = builtins[b] == RL_BUILTIN_MAP || builtins[b] == RL_BUILTIN_TABLE;
        for (int i = 0; i < COUNT; i++) {
            words[i].i = i;
            if (pairs && i % 2) words[i].f = i;
        }
        CHECK_INT_EQ(rl_border_build(&vm, &type, words, COUNT, &whole), RL_DONE);
        size_t length = rl_border_length(&type, whole);
        CHECK_INT_EQ(length, pairs ? COUNT / 2 : COUNT);
        for (size_t i = 0; i < length; i++) {
            CHECK(rl_border_item(&type, whole, i, &key, &item));
            if (pairs) CHECK(key.i == (int64_t)i * 2 && item.f == (double)(i * 2 + 1));
            else CHECK_INT_EQ(item.i, i);
        }
        CHECK(!rl_border_item(&type, whole, length, NULL, &item));
    }
    stop();
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_list__random_operations_agree_with_an_array),
        RUN(test_list__narrow_and_empty_elements_agree_with_an_array),
        RUN(test_list__references_survive_collections_at_every_chance),
        RUN(test_list__references_survive_incremental_collections),
        RUN(test_list__refused_memory_changes_nothing),
        RUN(test_list__push_with_one_owner_stays_in_place),
        RUN(test_list__shared_updates_copy_a_path_only),
        RUN(test_list__queue_with_one_owner_keeps_its_memory_small),
        RUN(test_list__index_out_of_bounds_raises),
        RUN(test_map__random_operations_agree_with_an_array),
        RUN(test_map__survives_collections_at_every_chance),
        RUN(test_map__refused_memory_changes_nothing),
        RUN(test_map__equal_keys_keep_the_first_and_replace_the_value),
        RUN(test_table__random_operations_agree_with_an_array),
        RUN(test_table__survives_collections_and_refused_memory),
        RUN(test_table__removing_most_entries_gives_memory_back),
        RUN(test_vec__grows_shrinks_and_checks_its_bounds),
        RUN(test_sort__ints_floats_and_strings_come_out_in_order),
        RUN(test_border__what_is_built_reads_back),
    };
    return check_main(tests, RL_COUNT_OF(tests), argc, argv);
}
