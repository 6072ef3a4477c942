/* Symbols, types, layered programs, unification, constraints, printing of types and IR. */
#include "types/solve.h"

#include "check.h"

#include <stdlib.h>

/*
 * A small world: a lowest program with List, Vec, Option, Json-like recursion and so on, and one on top of it.
 * Type parameters of a typedef are PARAM 0, 1, …
 */
typedef struct world {
    rl_allocator_t allocator;
    rl_program_t prelude, program;
    rl_solver_t solver;
    rl_typedef_id_t list, vec, map, option, tree, nest, phantom, point, user_id, object, opaque, pair, uses_fn;
} world_t;

static const rl_span_t here = {1, 2};

static rl_sym_t sym(rl_program_t* program, const char* text) { return rl_sym_intern(&program->symbols, rl_str(text)); }

static rl_typedef_id_t add_typedef(
    rl_program_t* p, const char* name, rl_typedef_kind_t kind, rl_builtin_type_t builtin, unsigned params) {
    rl_typedef_t def = {.name = sym(p, name),
        .kind = (uint8_t)kind,
        .builtin = (uint8_t)builtin,
        .type_params = (uint16_t)params,
        .variant_first = p->first_variant + p->variants.count};
    rl_typedef_id_t id = p->first_typedef + p->typedefs.count;
    return rl_vec_push(p->allocator, &p->typedefs, def) ? id : 0;
}

/* Append a variant to the newest typedef. `fields`: name, type pairs; name NULL: positional. */
typedef struct field_spec {
    const char* name;
    rl_type_t type;
} field_spec_t;
static void add_variant(rl_program_t* p, const char* name, const field_spec_t* fields, unsigned count) {
    rl_variant_t variant = {
        .name = sym(p, name), .field_first = p->first_field + p->fields.count, .field_count = count};
    for (unsigned i = 0; i < count; i++) {
        rl_field_t field = {.name = fields[i].name ? sym(p, fields[i].name) : 0, .type = fields[i].type, .declared = i};
        if (!rl_vec_push(p->allocator, &p->fields, field)) return;
    }
    if (p->typedefs.count && rl_vec_push(p->allocator, &p->variants, variant))
        rl_vec_last(&p->typedefs).variant_count++;
}

static rl_type_t named1(rl_program_t* p, rl_typedef_id_t def, rl_type_t a) {
    return rl_type_named(&p->types, def, &a, 1);
}
static rl_type_t fn1(rl_program_t* p, rl_type_t a, rl_type_t result) {
    return rl_type_function(&p->types, &a, 1, result);
}
static rl_type_t pair_of(rl_program_t* p, rl_type_t a, rl_type_t b) {
    return rl_type_tuple(&p->types, (rl_type_t[]){a, b}, 2);
}
static rl_type_t record1(rl_program_t* p, const char* name, rl_type_t type) {
    uint32_t pairs[2] = {sym(p, name), type};
    return rl_type_record(&p->types, &p->symbols, pairs, 1);
}

static void world_fill(world_t* w) {
    rl_program_t* p = &w->prelude;
    rl_types_t* t = &p->types;
    rl_type_t p0 = rl_type_param(t, 0);
    w->list = add_typedef(p, "List", RL_DEF_BUILTIN, RL_BUILTIN_LIST, 1);
    w->vec = add_typedef(p, "Vec", RL_DEF_BUILTIN, RL_BUILTIN_VEC, 1);
    w->map = add_typedef(p, "Map", RL_DEF_BUILTIN, RL_BUILTIN_MAP, 2);
    w->option = add_typedef(p, "Option", RL_DEF_SUM, RL_BUILTIN_NONE, 1);
    add_variant(p, "None", NULL, 0);
    add_variant(p, "Some", (field_spec_t[]){{NULL, p0}}, 1);
    (void)named1(p, w->option, RL_TYPE_STR);
    rl_program_init(&w->program, p, &w->allocator);
    p = &w->program;
    t = &p->types;
    w->tree = add_typedef(p, "Tree", RL_DEF_SUM, RL_BUILTIN_NONE, 1);
    rl_type_t tree = named1(p, w->tree, p0);
    add_variant(p, "Leaf", NULL, 0);
    add_variant(p, "Node", (field_spec_t[]){{NULL, tree}, {NULL, p0}, {NULL, named1(p, w->list, tree)}}, 3);
    w->nest = add_typedef(p, "Nest", RL_DEF_SUM, RL_BUILTIN_NONE, 1); /* type Nest<T> = Flat(T) | Deep(Nest<(T, T)>) */
    add_variant(p, "Flat", (field_spec_t[]){{NULL, p0}}, 1);
    add_variant(p, "Deep", (field_spec_t[]){{NULL, named1(p, w->nest, pair_of(p, p0, p0))}}, 1);
    w->phantom = add_typedef(p, "Phantom", RL_DEF_SUM, RL_BUILTIN_NONE, 1);
    add_variant(p, "Phantom", (field_spec_t[]){{NULL, RL_TYPE_I64}}, 1);
    w->point = add_typedef(p, "Point", RL_DEF_RECORD, RL_BUILTIN_NONE, 1);
    add_variant(p, "Point", (field_spec_t[]){{"x", p0}, {"y", RL_TYPE_I64}}, 2);
    w->user_id = add_typedef(p, "UserId", RL_DEF_NEWTYPE, RL_BUILTIN_NONE, 0);
    add_variant(p, "UserId", (field_spec_t[]){{NULL, record1(p, "id", RL_TYPE_STR)}}, 1);
    w->object = add_typedef(p, "Object", RL_DEF_STRUCT, RL_BUILTIN_NONE, 0);
    add_variant(p, "Object", (field_spec_t[]){{"call", fn1(p, RL_TYPE_I64, RL_TYPE_I64)}}, 1);
    w->opaque = add_typedef(p, "Handle", RL_DEF_OPAQUE, RL_BUILTIN_NONE, 0);
    w->pair = add_typedef(p, "Pair", RL_DEF_RECORD, RL_BUILTIN_NONE, 2);
    add_variant(p, "Pair", (field_spec_t[]){{"x", p0}, {"y", rl_type_param(t, 1)}}, 2);
    w->uses_fn = add_typedef(p, "UsesFn", RL_DEF_SUM, RL_BUILTIN_NONE, 0);
    add_variant(p, "UsesFn", (field_spec_t[]){{NULL, fn1(p, RL_TYPE_I64, RL_TYPE_I64)}}, 1);
}

static void world_open(world_t* w, uint64_t fail_at) {
    memset(w, 0, sizeof *w);
    rl_allocator_init(&w->allocator, NULL, NULL);
    w->allocator.fail_at = fail_at;
    w->allocator.fail_every = fail_at ? 1 : 0;
    rl_program_init(&w->prelude, NULL, &w->allocator);
    world_fill(w);
    rl_solver_init(&w->solver, &w->program);
}

static void world_close(world_t* w) {
    rl_solver_deinit(&w->solver);
    rl_program_deinit(&w->program);
    rl_program_deinit(&w->prelude);
    CHECK(w->allocator.live_bytes == 0);
}

static rl_type_t fresh(world_t* w) { return rl_solver_fresh(&w->solver, RL_VAR_FREE, RL_FROM_OTHER, here); }
static rl_type_t literal(world_t* w, rl_var_class_t klass) {
    return rl_solver_fresh(&w->solver, klass, RL_FROM_LITERAL, here);
}
static rl_unify_result_t same(world_t* w, rl_type_t a, rl_type_t b) { return rl_unify(&w->solver, a, b); }

static void check_printed(world_t* w, rl_type_t type, const char* expected) {
    rl_buf_t out;
    rl_buf_init(&out, &w->allocator);
    rl_type_print(&w->program, rl_solver_zonk(&w->solver, type), &out);
    CHECK_STR_EQ(rl_buf_cstr(&out), expected);
    rl_buf_deinit(&out);
}

/* --- symbols and types ------------------------------------------------------------------------------------ */

TEST(test_symbols__a_name_has_one_number_in_every_layer) {
    world_t w;
    world_open(&w, 0);
    rl_sym_t below = rl_sym_find(&w.prelude.symbols, RL_STR("Option"));
    CHECK(below != 0 && rl_sym_intern(&w.program.symbols, RL_STR("Option")) == below);
    CHECK(rl_sym_find(&w.program.symbols, RL_STR("never seen")) == 0);
    CHECK(rl_sym_intern(&w.program.symbols, RL_STR("")) == 0 && rl_sym_text(&w.program.symbols, 0).length == 0);
    char name[16];
    rl_sym_t ids[500];
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "n%d", i);
        ids[i] = sym(&w.program, name);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "n%d", i);
        CHECK(ids[i] >= w.program.symbols.first && sym(&w.program, name) == ids[i]);
        CHECK(rl_str_equal(rl_sym_text(&w.program.symbols, ids[i]), rl_str(name)));
    }
    CHECK(rl_sym_text(&w.program.symbols, 0xFFFFFFF0u).length == 0);
    world_close(&w);
}

TEST(test_symbols__names_that_differ_in_one_byte_have_different_numbers) {
    world_t w;
    world_open(&w, 0);
    for (size_t length = 1; length <= 40; length++) { /* up to 16 bytes a name is compared as two words */
        char name[41];
        memset(name, 'a', sizeof name);
        rl_sym_t plain = rl_sym_intern(&w.program.symbols, (rl_str_t){name, length});
        for (size_t at = 0; at < length; at++) {
            name[at] = 'b';
            rl_sym_t other = rl_sym_intern(&w.program.symbols, (rl_str_t){name, length});
            CHECK(other != plain && rl_sym_text(&w.program.symbols, other).data[at] == 'b');
            CHECK(rl_sym_find(&w.program.symbols, (rl_str_t){name, length}) == other);
            name[at] = 'a';
        }
        CHECK(rl_sym_intern(&w.program.symbols, (rl_str_t){name, length}) == plain);
    }
    world_close(&w);
}

TEST(test_symbols__a_name_of_the_layer_below_is_remembered_above) {
    world_t w;
    world_open(&w, 0);
    uint32_t texts = w.program.symbols.texts.count, used = w.program.symbols.used;
    rl_sym_t below = sym(&w.program, "Option");
    CHECK(below < w.program.symbols.first && w.program.symbols.used == used + 1);
    CHECK(sym(&w.program, "Option") == below && w.program.symbols.used == used + 1);
    CHECK(w.program.symbols.texts.count == texts);
    world_close(&w);
}

TEST(test_types__variables_come_in_order_and_go_with_what_is_cut_off) {
    world_t w;
    world_open(&w, 0);
    rl_types_t* types = &w.program.types;
    uint32_t nodes = types->nodes.count, extra = types->extra.count, first = types->vars.count;
    rl_type_t a = rl_type_var(types, first), b = rl_type_var(types, first + 1);
    CHECK(a != b && rl_type_node(types, b)->a == first + 1 && rl_type_node(types, a)->flags == RL_TYPE_HAS_VAR);
    CHECK(rl_type_var(types, first) == a && rl_type_make(types, RL_TYPE_VAR, first + 1, NULL, 0) == b);
    rl_type_t list = named1(&w.program, w.list, b);
    CHECK(named1(&w.program, w.list, b) == list && rl_type_node(types, list)->flags & RL_TYPE_HAS_VAR);
    rl_types_truncate(types, nodes, extra);
    CHECK(types->vars.count == first && rl_type_var(types, first) == a);
    CHECK(rl_type_var(types, first + 7) == RL_TYPE_ERROR && w.allocator.failed);
    rl_alloc_clear_failure(&w.allocator);
    world_close(&w);
}

TEST(test_types__equal_types_have_equal_indices_across_layers) {
    world_t w;
    world_open(&w, 0);
    CHECK(named1(&w.program, w.option, RL_TYPE_STR) < w.program.types.first); /* the prelude has it */
    rl_type_t a = named1(&w.program, w.list, RL_TYPE_I64), b = named1(&w.program, w.list, RL_TYPE_I64);
    CHECK(a == b && a >= w.program.types.first);
    CHECK(rl_type_param(&w.program.types, 0) < w.program.types.first);
    CHECK(pair_of(&w.program, RL_TYPE_I64, RL_TYPE_STR) != pair_of(&w.program, RL_TYPE_STR, RL_TYPE_I64));
    CHECK(fn1(&w.program, RL_TYPE_I64, RL_TYPE_STR) != pair_of(&w.program, RL_TYPE_I64, RL_TYPE_STR));
    CHECK(rl_type_kind(&w.program.types, RL_TYPE_F64) == (rl_type_kind_t)RL_TYPE_F64);
    CHECK(rl_type_node(&w.program.types, 1u << 30)->kind == RL_TYPE_ERROR);
    world_close(&w);
}

TEST(test_types__record_fields_are_sorted_by_name) {
    world_t w;
    world_open(&w, 0);
    uint32_t pairs[40], again[40];
    for (unsigned i = 0; i < 20; i++) {
        char name[2] = {(char)('a' + (i * 7) % 20), 0};
        pairs[2 * i] = sym(&w.program, name);
        pairs[2 * i + 1] = RL_TYPE_I64;
        again[2 * (19 - i)] = pairs[2 * i];
        again[2 * (19 - i) + 1] = RL_TYPE_I64;
    }
    rl_type_t a = rl_type_record(&w.program.types, &w.program.symbols, pairs, 20);
    CHECK(a == rl_type_record(&w.program.types, &w.program.symbols, again, 20));
    for (unsigned i = 0; i < 20; i++) {
        CHECK(rl_sym_text(&w.program.symbols, rl_type_args(&w.program.types, a)[2 * i]).data[0] == (char)('a' + i));
    }
    world_close(&w);
}

TEST(test_types__substitute_replaces_parameters_from_parts_of_the_table) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t p0 = rl_type_param(&p->types, 0), p1 = rl_type_param(&p->types, 1);
    rl_type_t generic = fn1(p, pair_of(p, p0, p1), named1(p, w.list, p0));
    rl_type_t arguments = pair_of(p, RL_TYPE_STR, RL_TYPE_BOOL);
    rl_type_t made = rl_type_substitute(&p->types, generic, rl_type_args(&p->types, arguments), 2);
    check_printed(&w, made, "((Str, Bool)) -> List<Str>");
    made = rl_type_substitute(&p->types, generic, (rl_type_t[]){RL_TYPE_I64}, 1);
    check_printed(&w, made, "((Int, U)) -> List<Int>");
    world_close(&w);
}

TEST(test_types__deeper_than_the_limit_is_refused_and_noted) {
    world_t w;
    world_open(&w, 0);
    rl_type_t type = RL_TYPE_I64;
    for (int i = 1; i < RL_TYPE_DEPTH_LIMIT; i++) type = named1(&w.program, w.list, type);
    CHECK(type != RL_TYPE_ERROR && !w.program.types.too_deep);
    CHECK(rl_type_node(&w.program.types, type)->depth == RL_TYPE_DEPTH_LIMIT);
    CHECK(named1(&w.program, w.list, type) == RL_TYPE_ERROR && w.program.types.too_deep);
    world_close(&w);
}

TEST(test_types__print_as_a_programmer_writes_them) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    check_printed(&w, RL_TYPE_I64, "Int");
    check_printed(&w, RL_TYPE_U64, "u64");
    check_printed(&w, RL_TYPE_F64, "Float");
    check_printed(&w, RL_TYPE_UNIT, "()");
    check_printed(&w, rl_type_function(&p->types, (rl_type_t[]){RL_TYPE_I64, RL_TYPE_STR}, 2, RL_TYPE_BOOL),
        "(Int, Str) -> Bool");
    check_printed(&w, rl_type_function(&p->types, NULL, 0, RL_TYPE_UNIT), "() -> ()");
    check_printed(&w, record1(p, "x", named1(p, w.list, RL_TYPE_I64)), "{ x: List<Int> }");
    check_printed(&w, rl_type_record(&p->types, &p->symbols, NULL, 0), "{}");
    check_printed(&w, rl_type_named(&p->types, w.object, NULL, 0), "Object");
    rl_type_t str = RL_TYPE_STR;
    check_printed(&w, rl_type_make(&p->types, RL_TYPE_ARRAY, 3, &str, 1), "[Str; 3]");
    rl_type_t letters[6];
    for (unsigned i = 0; i < 5; i++) letters[i] = rl_type_param(&p->types, i);
    letters[5] = rl_type_param(&p->types, 26);
    check_printed(&w, rl_type_tuple(&p->types, letters, 6), "(T, U, V, W, A, T1)");
    check_printed(&w, pair_of(p, fresh(&w), RL_TYPE_I64), "(_, Int)");
    rl_type_t huge = RL_TYPE_I64; /* 2^90 leaves as text */
    for (int i = 0; i < 90; i++) huge = pair_of(p, huge, huge);
    rl_buf_t out;
    rl_buf_init(&out, &w.allocator);
    rl_type_print(p, huge, &out);
    CHECK(out.length > 8000 && out.length < 20000);
    rl_buf_deinit(&out);
    world_close(&w);
}

/* --- programs --------------------------------------------------------------------------------------------- */

static uint32_t add_item(rl_program_t* p, rl_module_id_t module, const char* name, uint32_t next) {
    rl_item_t item = {.module = module, .name = sym(p, name), .kind = RL_ITEM_FUNCTION, .id = 1, .next = next};
    uint32_t id = p->first_item + p->items.count;
    if (!rl_vec_push(p->allocator, &p->items, item)) return 0;
    return id;
}

TEST(test_program__restore_undoes_types_items_and_methods) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_vec_push(p->allocator, &p->modules, (rl_module_t){.path = sym(p, "Main")});
    rl_module_id_t module = p->first_module + p->modules.count - 1;
    rl_sym_t f = sym(p, "f"), g = sym(p, "g");
    uint64_t f_key = rl_map_key2(module << 3 | 1, f), g_key = rl_map_key2(module << 3 | 1, g);
    uint32_t old = add_item(p, module, "f", 0), tail = add_item(p, module, "g", 0);
    rl_map_put(p->allocator, &p->item_map, f_key, old);
    rl_map_put(p->allocator, &p->item_map, g_key, tail);
    rl_vec_push(p->allocator, &p->functions, (rl_function_t){.name = f});
    rl_map_put(p->allocator, &p->method_map, rl_map_key2(w.tree, f), p->first_fn);
    rl_type_t kept = named1(p, w.list, RL_TYPE_CHAR);
    uint32_t types_before = p->types.nodes.count, fields_before = p->fields.count;

    rl_program_mark_t mark = rl_program_mark(p);
    uint32_t newer = add_item(p, module, "f", old); /* put in front */
    rl_map_put(p->allocator, &p->item_map, f_key, newer);
    p->items.data[tail - p->first_item].next = add_item(p, module, "g", 0); /* put at the end */
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%d", i);
        uint32_t id = add_item(p, module, name, 0);
        rl_map_put(p->allocator, &p->item_map, rl_map_key2((module + 1) << 3 | 1, sym(p, name)), i % 2 ? id : old);
        rl_map_put(
            p->allocator, &p->method_map, rl_map_key2(w.tree, sym(p, name)), p->first_fn + p->functions.count + 1);
        named1(p, w.list, pair_of(p, RL_TYPE_I64, i ? (rl_type_t)i % RL_TYPE_SIMPLE_COUNT : RL_TYPE_STR));
    }
    rl_typedef_id_t doomed = add_typedef(p, "Doomed", RL_DEF_SUM, RL_BUILTIN_NONE, 0);
    rl_type_t gone = rl_type_named(&p->types, doomed, NULL, 0);
    CHECK(gone >= types_before);
    rl_program_restore(p, mark);

    CHECK(p->types.nodes.count == types_before && p->fields.count == fields_before);
    CHECK(rl_program_find(p, module, 1, f) == old && rl_program_find(p, module, 1, g) == tail);
    CHECK(rl_program_item(p, tail)->next == 0 && rl_program_item(p, old)->next == 0);
    CHECK(p->item_map.count == 2 && p->method_map.count == 1);
    CHECK(rl_program_find_method(p, w.tree, f) == p->first_fn);
    CHECK(named1(p, w.list, RL_TYPE_CHAR) == kept);
    rl_type_t reused = named1(p, w.vec, RL_TYPE_CHAR); /* an old slot must not lead here */
    CHECK(reused == p->types.first + types_before && named1(p, w.vec, RL_TYPE_CHAR) == reused);
    world_close(&w);
}

TEST(test_program__accessors_reach_below_and_answer_none_for_bad_ids) {
    world_t w;
    world_open(&w, 0);
    CHECK(rl_program_typedef(&w.program, w.option)->variant_count == 2);
    CHECK(rl_program_typedef(&w.program, w.tree)->variant_count == 2 && w.tree >= w.program.first_typedef);
    CHECK(rl_program_typedef(&w.program, 0)->name == 0 && rl_program_function(&w.program, 12345)->body == 0);
    CHECK(rl_program_string(&w.program, 999).length == 0);
    rl_program_t* p = &w.program;
    uint32_t line_first = p->first_line + p->lines.count;
    for (uint32_t i = 0; i < 4; i++) rl_vec_push(p->allocator, &p->lines, i * 10);
    rl_vec_push(p->allocator, &p->modules, (rl_module_t){.line_first = line_first, .line_count = 4});
    rl_module_id_t module = p->first_module + p->modules.count - 1;
    rl_position_t at = rl_program_line_of(p, module, 0);
    CHECK(at.line == 1 && at.column == 1);
    at = rl_program_line_of(p, module, 19);
    CHECK(at.line == 2 && at.column == 10);
    at = rl_program_line_of(p, module, 30);
    CHECK(at.line == 4 && at.column == 1);
    world_close(&w);
}

/* --- unification ------------------------------------------------------------------------------------------ */

TEST(test_unify__solves_variables_on_both_sides) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t a = fresh(&w), b = fresh(&w);
    CHECK(same(&w, fn1(p, a, RL_TYPE_STR), fn1(p, RL_TYPE_I64, b)) == RL_UNIFY_OK);
    check_printed(&w, pair_of(p, a, b), "(Int, Str)");
    CHECK(same(&w, named1(p, w.list, RL_TYPE_I64), named1(p, w.vec, RL_TYPE_I64)) == RL_UNIFY_MISMATCH);
    CHECK(same(&w, RL_TYPE_I64, RL_TYPE_U64) == RL_UNIFY_MISMATCH);
    CHECK(same(&w, rl_type_param(&p->types, 0), rl_type_param(&p->types, 1)) == RL_UNIFY_MISMATCH);
    world_close(&w);
}

TEST(test_unify__failure_leaves_no_trace) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t a = fresh(&w), b = fresh(&w);
    CHECK(same(&w, pair_of(p, pair_of(p, a, b), RL_TYPE_I64), pair_of(p, pair_of(p, RL_TYPE_STR, a), RL_TYPE_BOOL)) ==
          RL_UNIFY_MISMATCH);
    CHECK(rl_solver_head(&w.solver, a) == a && rl_solver_head(&w.solver, b) == b);
    CHECK(w.solver.trail.count == 0 && w.solver.trail_marks == 0);
    world_close(&w);
}

TEST(test_unify__occurs_check_finds_infinite_types) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t a = fresh(&w), b = fresh(&w);
    CHECK(same(&w, a, named1(p, w.list, a)) == RL_UNIFY_INFINITE);
    CHECK(same(&w, b, named1(p, w.list, a)) == RL_UNIFY_OK);
    CHECK(same(&w, a, pair_of(p, RL_TYPE_I64, b)) == RL_UNIFY_INFINITE);
    CHECK(same(&w, a, a) == RL_UNIFY_OK);
    world_close(&w);
}

TEST(test_unify__levels_sink_into_what_a_variable_meets) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t outer = fresh(&w);
    w.solver.level = 3;
    rl_type_t a = fresh(&w), needed = fresh(&w);
    CHECK(rl_solver_require_field(&w.solver, a, sym(p, "f"), needed, here) == RL_UNIFY_OK);
    CHECK(rl_solver_var(&w.solver, a)->level == 3);
    CHECK(same(&w, outer, named1(p, w.list, a)) == RL_UNIFY_OK);
    CHECK(rl_solver_var(&w.solver, a)->level == 0 && rl_solver_var(&w.solver, needed)->level == 0);
    world_close(&w);
}

TEST(test_unify__never_and_error_meet_anything) {
    world_t w;
    world_open(&w, 0);
    rl_type_t a = fresh(&w);
    CHECK(same(&w, a, RL_TYPE_NEVER) == RL_UNIFY_OK && rl_solver_head(&w.solver, a) == a);
    CHECK(same(&w, RL_TYPE_NEVER, RL_TYPE_STR) == RL_UNIFY_OK);
    CHECK(same(&w, named1(&w.program, w.list, RL_TYPE_ERROR), named1(&w.program, w.list, RL_TYPE_STR)) == RL_UNIFY_OK);
    CHECK(same(&w, a, RL_TYPE_ERROR) == RL_UNIFY_OK && same(&w, a, RL_TYPE_STR) == RL_UNIFY_OK);
    world_close(&w);
}

TEST(test_unify__literals_take_numeric_types_only) {
    world_t w;
    world_open(&w, 0);
    rl_type_t i = literal(&w, RL_VAR_INTEGER), f = literal(&w, RL_VAR_FLOAT);
    CHECK(same(&w, i, RL_TYPE_STR) == RL_UNIFY_MISMATCH && same(&w, f, RL_TYPE_I64) == RL_UNIFY_MISMATCH);
    CHECK(same(&w, i, named1(&w.program, w.list, RL_TYPE_I64)) == RL_UNIFY_MISMATCH);
    CHECK(same(&w, literal(&w, RL_VAR_INTEGER), RL_TYPE_F32) == RL_UNIFY_OK);
    CHECK(same(&w, i, f) == RL_UNIFY_OK && rl_solver_var(&w.solver, i)->klass == RL_VAR_FLOAT);
    CHECK(same(&w, i, RL_TYPE_I64) == RL_UNIFY_MISMATCH && same(&w, i, RL_TYPE_F32) == RL_UNIFY_OK);
    CHECK(rl_solver_head(&w.solver, f) == RL_TYPE_F32);
    rl_type_t j = literal(&w, RL_VAR_INTEGER), v = fresh(&w);
    CHECK(same(&w, v, j) == RL_UNIFY_OK && same(&w, v, RL_TYPE_BOOL) == RL_UNIFY_MISMATCH);
    CHECK(same(&w, v, rl_type_param(&w.program.types, 0)) == RL_UNIFY_MISMATCH);
    world_close(&w);
}

TEST(test_unify__the_better_origin_and_older_variable_survive) {
    world_t w;
    world_open(&w, 0);
    rl_type_t other = fresh(&w);
    rl_type_t empty = rl_solver_fresh(&w.solver, RL_VAR_FREE, RL_FROM_EMPTY_LIST, (rl_span_t){7, 9});
    CHECK(same(&w, empty, other) == RL_UNIFY_OK);
    CHECK(rl_solver_head(&w.solver, empty) == other);
    CHECK(rl_solver_var(&w.solver, other)->origin == RL_FROM_EMPTY_LIST &&
          rl_solver_var(&w.solver, other)->span.start == 7);
    world_close(&w);
}

TEST(test_unify__named_record_meets_anonymous_of_the_same_shape) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t a = fresh(&w), b = fresh(&w);
    uint32_t pairs[] = {sym(p, "y"), b, sym(p, "x"), RL_TYPE_STR};
    rl_type_t anonymous = rl_type_record(&p->types, &p->symbols, pairs, 2);
    CHECK(same(&w, named1(p, w.point, a), anonymous) == RL_UNIFY_OK);
    check_printed(&w, pair_of(p, a, b), "(Str, Int)");
    CHECK(same(&w, record1(p, "x", RL_TYPE_STR), named1(p, w.point, RL_TYPE_STR)) == RL_UNIFY_MISMATCH);
    rl_type_t other = rl_type_named(&p->types, w.pair, (rl_type_t[]){RL_TYPE_STR, RL_TYPE_I64}, 2);
    CHECK(same(&w, other, anonymous) == RL_UNIFY_OK &&
          same(&w, other, named1(p, w.point, RL_TYPE_STR)) == RL_UNIFY_MISMATCH);
    CHECK(same(&w, rl_type_named(&p->types, w.object, NULL, 0), record1(p, "call", fn1(p, RL_TYPE_I64, RL_TYPE_I64))) ==
          RL_UNIFY_MISMATCH);
    CHECK(same(&w, rl_type_named(&p->types, w.user_id, NULL, 0), record1(p, "id", RL_TYPE_STR)) == RL_UNIFY_MISMATCH);
    world_close(&w);
}

TEST(test_unify__shared_parts_do_not_cost_exponential_time) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t end_a = fresh(&w), end_b = fresh(&w), a = end_a, b = end_b, chain = fresh(&w), first = chain;
    for (int i = 0; i < 90; i++) {
        a = pair_of(p, a, a);
        b = pair_of(p, b, b);
        rl_type_t next = fresh(&w);
        CHECK(same(&w, chain, pair_of(p, next, next)) == RL_UNIFY_OK);
        chain = next;
    }
    CHECK(same(&w, a, b) == RL_UNIFY_OK && rl_solver_head(&w.solver, end_b) == end_a);
    CHECK(same(&w, chain, end_a) == RL_UNIFY_OK && same(&w, first, a) == RL_UNIFY_OK);
    CHECK(rl_solver_require(&w.solver, first, RL_CON_EQ | RL_CON_HASH, here) == RL_UNIFY_OK);
    CHECK(rl_solver_var(&w.solver, end_b)->constraints == (RL_CON_EQ | RL_CON_HASH));
    CHECK(rl_solver_zonk(&w.solver, first) == a);
    rl_type_list_t vars = {{0}};
    CHECK(rl_solver_open_vars(&w.solver, first, &vars) && vars.items.count == 1 && vars.items.data[0] == end_a);
    rl_vec_deinit(&w.allocator, &vars.items);
    rl_type_t generic = rl_type_param(&p->types, 0), filled = RL_TYPE_I64;
    for (int i = 0; i < 90; i++) {
        generic = pair_of(p, generic, generic);
        filled = pair_of(p, filled, filled);
    }
    CHECK(rl_type_substitute(&p->types, generic, (rl_type_t[]){RL_TYPE_I64}, 1) == filled);
    CHECK(same(&w, end_a, pair_of(p, end_b, RL_TYPE_I64)) == RL_UNIFY_INFINITE && !p->types.too_deep);
    world_close(&w);
}

TEST(test_unify__a_type_that_grows_too_deep_is_noted) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t first = fresh(&w), last = first;
    for (int i = 0; i < 20000; i++) {
        rl_type_t next = fresh(&w);
        CHECK(same(&w, last, named1(p, w.list, next)) == RL_UNIFY_OK);
        last = next;
    }
    CHECK(!p->types.too_deep);
    CHECK(rl_solver_zonk(&w.solver, first) == RL_TYPE_ERROR && p->types.too_deep);
    CHECK(same(&w, last, named1(p, w.list, first)) == RL_UNIFY_INFINITE);
    world_close(&w);
}

TEST(test_solver__marks_nest_and_roll_back) {
    world_t w;
    world_open(&w, 0);
    rl_type_t a = fresh(&w), b = fresh(&w);
    uint32_t outer = rl_solver_mark(&w.solver);
    CHECK(same(&w, a, RL_TYPE_I64) == RL_UNIFY_OK);
    uint32_t inner = rl_solver_mark(&w.solver);
    CHECK(same(&w, b, a) == RL_UNIFY_OK);
    rl_solver_commit(&w.solver, inner);
    CHECK(rl_solver_head(&w.solver, b) == RL_TYPE_I64);
    rl_solver_rollback(&w.solver, outer);
    CHECK(rl_solver_head(&w.solver, a) == a && rl_solver_head(&w.solver, b) == b);
    world_close(&w);
}

/* --- constraints and fields ------------------------------------------------------------------------------- */

TEST(test_constraint__structural_facts) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t fn = fn1(p, RL_TYPE_I64, RL_TYPE_I64), object = rl_type_named(&p->types, w.object, NULL, 0);
    struct {
        rl_type_t type;
        uint32_t kinds;
        bool holds;
    } table[] = {
        {RL_TYPE_I8, RL_CON_ADD | RL_CON_POW | RL_CON_NEG | RL_CON_ORD | RL_CON_HASH, true},
        {RL_TYPE_STR, RL_CON_ADD | RL_CON_ORD, true},
        {RL_TYPE_STR, RL_CON_SUB, false},
        {RL_TYPE_DURATION, RL_CON_ADD | RL_CON_SUB | RL_CON_ORD, true},
        {RL_TYPE_DURATION, RL_CON_MUL, false},
        {RL_TYPE_ANY, RL_CON_EQ, true},
        {RL_TYPE_ANY, RL_CON_ORD, false},
        {RL_TYPE_I64, RL_CON_FLOAT_LITERAL, false},
        {RL_TYPE_F32, RL_CON_FLOAT_LITERAL | RL_CON_INTEGER_LITERAL, true},
        {fn, RL_CON_EQ, false},
        {pair_of(p, RL_TYPE_I64, fn), RL_CON_EQ, false},
        {pair_of(p, RL_TYPE_I64, RL_TYPE_STR), RL_CON_ORD, true},
        {pair_of(p, RL_TYPE_I64, RL_TYPE_STR), RL_CON_ADD, false},
        {object, RL_CON_EQ | RL_CON_HASH, true},
        {object, RL_CON_ORD, false},
        {named1(p, w.list, object), RL_CON_EQ, true},
        {named1(p, w.list, object), RL_CON_ORD, false},
        {named1(p, w.vec, fn), RL_CON_EQ | RL_CON_HASH, true},
        {named1(p, w.vec, RL_TYPE_I64), RL_CON_ORD, false},
        {rl_type_named(&p->types, w.map, (rl_type_t[]){RL_TYPE_STR, RL_TYPE_I64}, 2), RL_CON_EQ, true},
        {rl_type_named(&p->types, w.map, (rl_type_t[]){RL_TYPE_STR, fn}, 2), RL_CON_EQ, false},
        {rl_type_named(&p->types, w.map, (rl_type_t[]){RL_TYPE_STR, RL_TYPE_I64}, 2), RL_CON_ORD, false},
        {rl_type_named(&p->types, w.opaque, NULL, 0), RL_CON_EQ, false},
        {rl_type_named(&p->types, w.uses_fn, NULL, 0), RL_CON_EQ, false},
        {named1(p, w.option, RL_TYPE_STR), RL_CON_ORD, true},
        {named1(p, w.option, fn), RL_CON_EQ, false},
        {named1(p, w.tree, RL_TYPE_I64), RL_CON_ORD | RL_CON_HASH, true},
        {named1(p, w.tree, fn), RL_CON_EQ, false},
        {named1(p, w.nest, RL_TYPE_I64), RL_CON_ORD, true},
        {named1(p, w.nest, fn), RL_CON_ORD, false},
        {named1(p, w.phantom, fn), RL_CON_ORD, true},
        {named1(p, w.point, RL_TYPE_STR), RL_CON_ORD, true},
        {rl_type_named(&p->types, w.user_id, NULL, 0), RL_CON_ORD, true},
    };
    for (unsigned i = 0; i < RL_COUNT_OF(table); i++) {
        uint32_t missing = 99;
        CHECK(rl_type_satisfies(p, table[i].type, table[i].kinds, &missing) == table[i].holds &&
              (missing == 0) == table[i].holds);
        CHECK((rl_solver_require(&w.solver, table[i].type, table[i].kinds, here) == RL_UNIFY_OK) == table[i].holds);
    }
    CHECK(!p->types.too_deep);
    world_close(&w);
}

TEST(test_constraint__waits_on_variables_and_is_checked_when_they_are_solved) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t a = fresh(&w), b = fresh(&w), fn = fn1(p, RL_TYPE_I64, RL_TYPE_I64);
    CHECK(rl_solver_require(&w.solver, named1(p, w.tree, pair_of(p, a, RL_TYPE_I64)), RL_CON_ORD, here) == RL_UNIFY_OK);
    CHECK(rl_solver_var(&w.solver, a)->constraints == RL_CON_ORD);
    CHECK(rl_solver_require(&w.solver, named1(p, w.phantom, b), RL_CON_ORD, here) == RL_UNIFY_OK);
    CHECK(rl_solver_var(&w.solver, b)->constraints == 0);
    CHECK(same(&w, a, fn) == RL_UNIFY_CONSTRAINT && w.solver.failed_constraint == RL_CON_ORD &&
          w.solver.failed_type == fn);
    CHECK(rl_solver_head(&w.solver, a) == a);
    CHECK(same(&w, b, a) == RL_UNIFY_OK);
    CHECK(rl_solver_require(&w.solver, b, RL_CON_ADD, here) == RL_UNIFY_OK);
    CHECK(same(&w, b, RL_TYPE_BOOL) == RL_UNIFY_CONSTRAINT && w.solver.failed_constraint == RL_CON_ADD);
    CHECK(same(&w, b, RL_TYPE_STR) == RL_UNIFY_OK);
    CHECK(rl_solver_require(&w.solver, fresh(&w), RL_CON_FLOAT_LITERAL, here) == RL_UNIFY_OK);
    world_close(&w);
}

static bool only_second_has_ord(void* user, uint32_t param, uint32_t kinds) {
    (void)user;
    return param == 1 && (kinds & ~(uint32_t)(RL_CON_ORD | RL_CON_EQ)) == 0;
}
static bool first_has_name(void* user, uint32_t param, rl_sym_t field, rl_type_t* out_type) {
    *out_type = RL_TYPE_STR;
    return param == 0 && field == *(rl_sym_t*)user;
}

TEST(test_constraint__parameters_answer_by_callback) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_sym_t name = sym(p, "name");
    rl_type_t p0 = rl_type_param(&p->types, 0), p1 = rl_type_param(&p->types, 1), a = fresh(&w);
    CHECK(rl_solver_require(&w.solver, named1(p, w.list, p1), RL_CON_ORD, here) == RL_UNIFY_CONSTRAINT);
    w.solver.user = &name;
    w.solver.param_satisfies = only_second_has_ord;
    w.solver.param_field = first_has_name;
    CHECK(rl_solver_require(&w.solver, named1(p, w.list, p1), RL_CON_ORD, here) == RL_UNIFY_OK);
    CHECK(rl_solver_require(&w.solver, named1(p, w.list, p0), RL_CON_ORD, here) == RL_UNIFY_CONSTRAINT);
    CHECK(rl_solver_require_field(&w.solver, p0, name, a, here) == RL_UNIFY_OK &&
          rl_solver_head(&w.solver, a) == RL_TYPE_STR);
    CHECK(rl_solver_require_field(&w.solver, p1, name, a, here) == RL_UNIFY_CONSTRAINT);
    world_close(&w);
}

TEST(test_fields__needs_are_merged_and_met_by_records_structs_and_newtypes) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_sym_t x = sym(p, "x"), y = sym(p, "y"), id = sym(p, "id"), call = sym(p, "call");
    rl_type_t a = fresh(&w), b = fresh(&w), ax = fresh(&w), bx = fresh(&w), by = fresh(&w);
    CHECK(rl_solver_require_field(&w.solver, a, x, ax, here) == RL_UNIFY_OK);
    CHECK(rl_solver_require_field(&w.solver, b, x, bx, here) == RL_UNIFY_OK);
    CHECK(rl_solver_require_field(&w.solver, b, y, by, here) == RL_UNIFY_OK);
    CHECK(same(&w, a, b) == RL_UNIFY_OK && rl_solver_head(&w.solver, ax) == rl_solver_head(&w.solver, bx));
    CHECK(same(&w, a, record1(p, "x", RL_TYPE_I64)) == RL_UNIFY_CONSTRAINT);
    CHECK(w.solver.failed_constraint == RL_CON_FIELD && w.solver.failed_field == y);
    CHECK(same(&w, a, RL_TYPE_STR) == RL_UNIFY_CONSTRAINT && rl_solver_head(&w.solver, ax) != RL_TYPE_I64);
    CHECK(same(&w, a, literal(&w, RL_VAR_INTEGER)) == RL_UNIFY_CONSTRAINT);
    CHECK(same(&w, a, named1(p, w.point, RL_TYPE_STR)) == RL_UNIFY_OK);
    CHECK(rl_solver_head(&w.solver, bx) == RL_TYPE_STR && rl_solver_head(&w.solver, by) == RL_TYPE_I64);
    rl_type_t c = fresh(&w), d = fresh(&w);
    CHECK(rl_solver_require_field(&w.solver, rl_type_named(&p->types, w.user_id, NULL, 0), id, c, here) == RL_UNIFY_OK);
    CHECK(rl_solver_head(&w.solver, c) == RL_TYPE_STR);
    CHECK(
        rl_solver_require_field(&w.solver, rl_type_named(&p->types, w.object, NULL, 0), call, d, here) == RL_UNIFY_OK);
    check_printed(&w, d, "(Int) -> Int");
    CHECK(rl_solver_require_field(&w.solver, named1(p, w.option, RL_TYPE_I64), x, d, here) == RL_UNIFY_CONSTRAINT);
    world_close(&w);
}

TEST(test_instantiate__fresh_variables_carry_the_constraints) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_type_t p1 = rl_type_param(&p->types, 1), p2 = rl_type_param(&p->types, 2);
    rl_function_t f = {
        .type_params = 3, .constraint_first = p->first_constraint + p->constraints.count, .constraint_count = 3};
    rl_vec_push(p->allocator, &p->constraints, (rl_constraint_t){.param = 1, .kinds = RL_CON_ORD});
    rl_vec_push(p->allocator, &p->constraints,
        (rl_constraint_t){.param = 2, .kinds = RL_CON_FIELD, .field = sym(p, "x"), .type = named1(p, w.list, p1)});
    rl_vec_push(p->allocator, &p->constraints, (rl_constraint_t){.param = 0, .kinds = RL_CON_ORD});
    rl_type_t arguments[3];
    rl_solver_instantiate(&w.solver, &f, 1, here, arguments);
    CHECK(arguments[0] == rl_type_param(&p->types, 0));
    CHECK(rl_solver_var(&w.solver, arguments[1])->constraints == RL_CON_ORD);
    CHECK(same(&w, arguments[2], record1(p, "x", named1(p, w.list, RL_TYPE_STR))) == RL_UNIFY_OK);
    CHECK(rl_solver_head(&w.solver, arguments[1]) == RL_TYPE_STR);
    rl_solver_bind(&w.solver, fresh(&w), p2);
    world_close(&w);
}

/* --- IR --------------------------------------------------------------------------------------------------- */

static rl_ir_t add_node(
    rl_program_t* p, unsigned op, unsigned flags, rl_type_t type, uint32_t a, uint32_t b, uint32_t c) {
    rl_ir_node_t node = {.op = (uint16_t)op, .flags = (uint16_t)flags, .type = type, .a = a, .b = b, .c = c};
    return rl_vec_push(p->allocator, &p->nodes, node) ? p->first_node + p->nodes.count - 1 : 0;
}
static uint32_t add_words(rl_program_t* p, const uint32_t* words, unsigned count) {
    uint32_t first = p->first_extra + p->extra.count;
    for (unsigned i = 0; i < count; i++) {
        if (!rl_vec_push(p->allocator, &p->extra, words[i])) return 0;
    }
    return first;
}

static rl_fn_id_t make_function(world_t* w) {
    rl_program_t* p = &w->program;
    rl_type_t option = named1(p, w->option, RL_TYPE_I64);
    rl_function_t f = {.name = sym(p, "sum"), .kind = RL_FN_REML, .type_params = 1, .result = RL_TYPE_I64};
    f.param_first = p->first_param + p->params.count;
    f.param_count = 1;
    rl_vec_push(p->allocator, &p->params, (rl_param_t){.name = sym(p, "o"), .type = option});
    f.constraint_first = p->first_constraint + p->constraints.count;
    f.constraint_count = 1;
    rl_vec_push(p->allocator, &p->constraints, (rl_constraint_t){.param = 0, .kinds = RL_CON_ORD | RL_CON_ADD});
    f.local_first = p->first_local + p->locals.count;
    f.local_count = 2;
    rl_vec_push(p->allocator, &p->locals, (rl_local_t){.name = sym(p, "o"), .type = option});
    rl_vec_push(
        p->allocator, &p->locals, (rl_local_t){.name = sym(p, "n"), .type = RL_TYPE_I64, .flags = RL_LOCAL_MUTABLE});
    rl_vec_push(p->allocator, &p->strings, RL_STR("a\"b\n"));
    uint32_t text = p->first_string + p->strings.count - 1;

    rl_ir_t one = add_node(p, RL_IR_INT, 0, RL_TYPE_I64, 1, 0, 0),
            minus = add_node(p, RL_IR_INT, 0, RL_TYPE_I64, 0xFFFFFFFEu, 0xFFFFFFFFu, 0);
    rl_ir_t n = add_node(p, RL_IR_LOCAL, 0, RL_TYPE_I64, 1, 0, 0), o = add_node(p, RL_IR_LOCAL, 0, option, 0, 0, 0);
    rl_ir_t bind = add_node(p, RL_PAT_BIND, 0, RL_TYPE_I64, 1, 0, 0);
    rl_ir_t constant = add_node(p, RL_PAT_CONST, 0, RL_TYPE_I64, one, 0, 0),
            range = add_node(p, RL_PAT_RANGE, 1, RL_TYPE_I64, minus, one, 0);
    rl_ir_t or = add_node(p, RL_PAT_OR, 0, RL_TYPE_I64, add_words(p, (uint32_t[]){constant, range}, 2), 2, 0);
    rl_ir_t some_or = add_node(p, RL_PAT_VARIANT, 0, option, add_words(p, (uint32_t[]){or}, 1), 1, 1);
    rl_ir_t some_n = add_node(p, RL_PAT_VARIANT, 0, option, add_words(p, (uint32_t[]){bind}, 1), 1, 1);
    rl_ir_t wild = add_node(p, RL_PAT_WILDCARD, 0, option, 0, 0, 0);
    rl_ir_t less = add_node(p, RL_IR_LT, 0, RL_TYPE_BOOL, n, one, 0);
    rl_ir_t add = add_node(p, RL_IR_ADD, 0, RL_TYPE_I64, n, one, 0);
    rl_ir_t string = add_node(p, RL_IR_STRING, 0, RL_TYPE_STR, text, 0, 0);
    rl_ir_t panic = add_node(p, RL_IR_PANIC, 0, RL_TYPE_NEVER, string, RL_CODE_RUNTIME_LIMIT_MEMORY, 0);
    uint32_t arms = add_words(p, (uint32_t[]){some_or, 0, one, some_n, less, add, wild, 0, panic}, 9);
    f.body = add_node(p, RL_IR_MATCH, 0, RL_TYPE_I64, o, arms, 3);
    rl_vec_push(p->allocator, &p->functions, f);
    return p->first_fn + p->functions.count - 1;
}

TEST(test_ir_print__one_line_for_each_node) {
    world_t w;
    world_open(&w, 0);
    rl_fn_id_t id = make_function(&w);
    rl_buf_t out;
    rl_buf_init(&out, &w.allocator);
    rl_ir_print(&w.program, id, &out);
    CHECK_STR_EQ(rl_buf_cstr(&out), "fn sum<T>(o#0: Option<Int>) -> Int\n"
                                    "  where T: Add + Ord\n"
                                    "  var n#1: Int\n"
                                    "  match : Int\n"
                                    "    local o#0 : Option<Int>\n"
                                    "    | Some(1 | -2..=1)\n"
                                    "      int 1 : Int\n"
                                    "    | Some(n#1)\n"
                                    "      when\n"
                                    "        lt : Bool\n"
                                    "          local n#1 : Int\n"
                                    "          int 1 : Int\n"
                                    "      add : Int\n"
                                    "        local n#1 : Int\n"
                                    "        int 1 : Int\n"
                                    "    | _\n"
                                    "      panic runtime.limit.memory : Never\n"
                                    "        string \"a\\\"b\\n\" : Str\n");
    rl_buf_deinit(&out);
    world_close(&w);
}

TEST(test_ir_print__a_long_operator_chain_needs_no_stack) {
    world_t w;
    world_open(&w, 0);
    rl_program_t* p = &w.program;
    rl_ir_t sum = add_node(p, RL_IR_INT, 0, RL_TYPE_I64, 1, 0, 0), one = sum;
    for (int i = 0; i < 100000; i++) sum = add_node(p, RL_IR_ADD, 0, RL_TYPE_I64, sum, one, 0);
    rl_vec_push(p->allocator, &p->functions, (rl_function_t){.name = sym(p, "f"), .result = RL_TYPE_I64, .body = sum});
    rl_buf_t out;
    rl_buf_init(&out, &w.allocator);
    rl_ir_print(p, p->first_fn + p->functions.count - 1, &out);
    CHECK(!out.failed && out.length > 200000);
    rl_buf_deinit(&out);
    world_close(&w);
}

/* --- memory ----------------------------------------------------------------------------------------------- */

static uint64_t everything_once(uint64_t fail_at) {
    world_t w;
    world_open(&w, fail_at);
    rl_program_t* p = &w.program;
    rl_program_mark_t mark = rl_program_mark(p);
    rl_type_t a = fresh(&w), b = fresh(&w), c = fresh(&w);
    uint32_t before = rl_solver_mark(&w.solver);
    (void)same(&w, a, named1(p, w.tree, pair_of(p, b, c)));
    (void)rl_solver_require(&w.solver, a, RL_CON_ORD, here);
    (void)rl_solver_require_field(&w.solver, c, sym(p, "x"), b, here);
    (void)same(&w, c, named1(p, w.point, RL_TYPE_STR));
    rl_type_list_t vars = {{0}};
    (void)rl_solver_open_vars(&w.solver, a, &vars);
    rl_vec_deinit(&w.allocator, &vars.items);
    rl_solver_commit(&w.solver, before);
    rl_type_t wide[40];
    for (unsigned i = 0; i < 40; i++) wide[i] = rl_type_param(&p->types, i);
    rl_type_t tuple = rl_type_function(&p->types, wide, 40, RL_TYPE_I64);
    for (unsigned i = 0; i < 40; i++) wide[i] = i % 2 ? b : RL_TYPE_I64;
    (void)rl_solver_zonk(&w.solver, rl_type_substitute(&p->types, tuple, wide, 40));
    rl_buf_t out;
    rl_buf_init(&out, &w.allocator);
    rl_fn_id_t f = make_function(&w);
    rl_ir_print(p, f, &out);
    rl_type_print(p, tuple, &out);
    rl_buf_deinit(&out);
    (void)rl_type_satisfies(p, named1(p, w.nest, RL_TYPE_I64), RL_CON_ORD, NULL);
    rl_program_restore(p, mark);
    uint64_t requests = w.allocator.requests;
    CHECK(w.allocator.failed == (fail_at != 0));
    world_close(&w);
    return requests;
}

TEST(test_memory__any_refused_request_leaves_everything_whole) {
    uint64_t requests = everything_once(0);
    CHECK(requests > 50);
    for (uint64_t n = 1; n <= requests; n++) everything_once(n);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_symbols__a_name_has_one_number_in_every_layer),
        RUN(test_symbols__names_that_differ_in_one_byte_have_different_numbers),
        RUN(test_symbols__a_name_of_the_layer_below_is_remembered_above),
        RUN(test_types__variables_come_in_order_and_go_with_what_is_cut_off),
        RUN(test_types__equal_types_have_equal_indices_across_layers),
        RUN(test_types__record_fields_are_sorted_by_name),
        RUN(test_types__substitute_replaces_parameters_from_parts_of_the_table),
        RUN(test_types__deeper_than_the_limit_is_refused_and_noted),
        RUN(test_types__print_as_a_programmer_writes_them),
        RUN(test_program__restore_undoes_types_items_and_methods),
        RUN(test_program__accessors_reach_below_and_answer_none_for_bad_ids),
        RUN(test_unify__solves_variables_on_both_sides),
        RUN(test_unify__failure_leaves_no_trace),
        RUN(test_unify__occurs_check_finds_infinite_types),
        RUN(test_unify__levels_sink_into_what_a_variable_meets),
        RUN(test_unify__never_and_error_meet_anything),
        RUN(test_unify__literals_take_numeric_types_only),
        RUN(test_unify__the_better_origin_and_older_variable_survive),
        RUN(test_unify__named_record_meets_anonymous_of_the_same_shape),
        RUN(test_unify__shared_parts_do_not_cost_exponential_time),
        RUN(test_unify__a_type_that_grows_too_deep_is_noted),
        RUN(test_solver__marks_nest_and_roll_back),
        RUN(test_constraint__structural_facts),
        RUN(test_constraint__waits_on_variables_and_is_checked_when_they_are_solved),
        RUN(test_constraint__parameters_answer_by_callback),
        RUN(test_fields__needs_are_merged_and_met_by_records_structs_and_newtypes),
        RUN(test_instantiate__fresh_variables_carry_the_constraints),
        RUN(test_ir_print__one_line_for_each_node),
        RUN(test_ir_print__a_long_operator_chain_needs_no_stack),
        RUN(test_memory__any_refused_request_leaves_everything_whole),
    };
    return check_main(tests, RL_COUNT_OF(tests), argc, argv);
}
