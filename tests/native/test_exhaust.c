/* Coverage and redundancy of patterns: by hand, and against trying every value. */
#include "types/exhaust.h"

#include "check.h"

#include <stdlib.h>

typedef struct world {
    rl_allocator_t allocator;
    rl_program_t program;
    rl_solver_t solver;
    rl_typedef_id_t list, option, colour, shape, point, wrapped, empty;
    rl_type_t option_bool, list_bool;
} world_t;

static rl_sym_t sym(world_t* w, const char* text) { return rl_sym_intern(&w->program.symbols, rl_str(text)); }

static rl_typedef_id_t add_typedef(
    world_t* w, const char* name, rl_typedef_kind_t kind, rl_builtin_type_t builtin, unsigned params) {
    rl_program_t* p = &w->program;
    rl_typedef_t def = {.name = sym(w, name),
        .kind = (uint8_t)kind,
        .builtin = (uint8_t)builtin,
        .type_params = (uint16_t)params,
        .variant_first = p->variants.count};
    return rl_vec_push(p->allocator, &p->typedefs, def) ? p->typedefs.count - 1 : 0;
}
static void add_variant(
    world_t* w, const char* name, const char* const* names, const rl_type_t* types, unsigned count, uint32_t flags) {
    rl_program_t* p = &w->program;
    rl_variant_t variant = {.name = sym(w, name), .flags = flags, .field_first = p->fields.count, .field_count = count};
    for (unsigned i = 0; i < count; i++) {
        if (!rl_vec_push(
                p->allocator, &p->fields, (rl_field_t){.name = names ? sym(w, names[i]) : 0, .type = types[i]}))
            return;
    }
    if (rl_vec_push(p->allocator, &p->variants, variant)) rl_vec_last(&p->typedefs).variant_count++;
}
static rl_type_t named(world_t* w, rl_typedef_id_t def, rl_type_t argument) {
    return rl_type_named(&w->program.types, def, &argument, argument ? 1 : 0);
}
static rl_type_t tuple(world_t* w, rl_type_t a, rl_type_t b) {
    return rl_type_tuple(&w->program.types, (rl_type_t[]){a, b}, 2);
}
static rl_type_t record(world_t* w, rl_type_t f, rl_type_t g) {
    uint32_t pairs[] = {sym(w, "f"), f, sym(w, "g"), g};
    return rl_type_record(&w->program.types, &w->program.symbols, pairs, 2);
}

static void world_open(world_t* w, uint64_t fail_at) {
    memset(w, 0, sizeof *w);
    rl_allocator_init(&w->allocator, NULL, NULL);
    w->allocator.fail_at = fail_at;
    w->allocator.fail_every = fail_at ? 1 : 0;
    rl_program_init(&w->program, NULL, &w->allocator);
    rl_type_t p0 = rl_type_param(&w->program.types, 0);
    w->list = add_typedef(w, "List", RL_DEF_BUILTIN, RL_BUILTIN_LIST, 1);
    w->option = add_typedef(w, "Option", RL_DEF_SUM, RL_BUILTIN_NONE, 1);
    if (w->allocator.failed) return;
    add_variant(w, "None", NULL, NULL, 0, 0);
    add_variant(w, "Some", NULL, &p0, 1, 0);
    w->colour = add_typedef(w, "Colour", RL_DEF_SUM, RL_BUILTIN_NONE, 0);
    if (w->allocator.failed) return;
    for (int i = 0; i < 8; i++) add_variant(w, (char[]){'C', (char)('0' + i), 0}, NULL, NULL, 0, 0);
    w->shape = add_typedef(w, "Shape", RL_DEF_SUM, RL_BUILTIN_NONE, 0);
    if (w->allocator.failed) return;
    rl_type_t payload = record(w, RL_TYPE_BOOL, RL_TYPE_I64);
    add_variant(w, "Box", NULL, &payload, 1, RL_VARIANT_RECORD_PAYLOAD);
    add_variant(w, "Dot", NULL, NULL, 0, 0);
    w->point = add_typedef(w, "Point", RL_DEF_RECORD, RL_BUILTIN_NONE, 0);
    if (w->allocator.failed) return;
    add_variant(w, "Point", (const char*[]){"x", "y"}, (rl_type_t[]){RL_TYPE_BOOL, RL_TYPE_STR}, 2, 0);
    w->wrapped = add_typedef(w, "Wrapped", RL_DEF_NEWTYPE, RL_BUILTIN_NONE, 0);
    if (w->allocator.failed) return;
    add_variant(w, "Wrapped", NULL, &payload, 1, 0);
    w->empty = add_typedef(w, "Empty", RL_DEF_SUM, RL_BUILTIN_NONE, 0);
    w->option_bool = named(w, w->option, RL_TYPE_BOOL);
    w->list_bool = named(w, w->list, RL_TYPE_BOOL);
    rl_solver_init(&w->solver, &w->program);
}
static void world_close(world_t* w) {
    if (w->solver.program) rl_solver_deinit(&w->solver);
    rl_program_deinit(&w->program);
    CHECK(w->allocator.live_bytes == 0);
}

/* --- patterns: short names, types are not looked at ------------------------------------------------------- */

static rl_ir_t node(world_t* w, unsigned op, unsigned flags, rl_type_t type, uint32_t a, uint32_t b, uint32_t c) {
    rl_ir_node_t made = {.op = (uint16_t)op, .flags = (uint16_t)flags, .type = type, .a = a, .b = b, .c = c};
    return rl_vec_push(&w->allocator, &w->program.nodes, made) ? w->program.nodes.count - 1 : 0;
}
static uint32_t words(world_t* w, const uint32_t* data, unsigned count) {
    uint32_t first = w->program.extra.count;
    for (unsigned i = 0; i < count; i++) {
        if (!rl_vec_push(&w->allocator, &w->program.extra, data[i])) return 0;
    }
    return first;
}
static rl_ir_t wild(world_t* w) { return node(w, RL_PAT_WILDCARD, 0, 0, 0, 0, 0); }
static rl_ir_t bound(world_t* w, rl_ir_t sub) { return node(w, RL_PAT_BIND, 0, 0, 0, sub, 0); }
static rl_ir_t value(world_t* w, rl_type_t type, int64_t v) {
    return node(w, RL_IR_INT, 0, type, (uint32_t)v, (uint32_t)((uint64_t)v >> 32), 0);
}
static rl_ir_t number(world_t* w, rl_type_t type, int64_t v) {
    return node(w, RL_PAT_CONST, 0, type, value(w, type, v), 0, 0);
}
static rl_ir_t boolean(world_t* w, bool v) { return number(w, RL_TYPE_BOOL, v); }
static rl_ir_t range(
    world_t* w, rl_type_t type, bool has_low, int64_t low, bool has_high, int64_t high, bool inclusive) {
    rl_ir_t a = has_low ? value(w, type, low) : 0, b = has_high ? value(w, type, high) : 0;
    return node(w, RL_PAT_RANGE, inclusive, type, a, b, 0);
}
static rl_ir_t text(world_t* w, const char* t) {
    if (!rl_vec_push(&w->allocator, &w->program.strings, rl_str(t))) return 0;
    return node(w, RL_PAT_CONST, 0, RL_TYPE_STR,
        node(w, RL_IR_STRING, 0, RL_TYPE_STR, w->program.strings.count - 1, 0, 0), 0, 0);
}
static rl_ir_t variant(world_t* w, unsigned tag, const rl_ir_t* parts, unsigned count) {
    return node(w, RL_PAT_VARIANT, 0, 0, words(w, parts, count), count, tag);
}
static rl_ir_t none(world_t* w) { return variant(w, 0, NULL, 0); }
static rl_ir_t some(world_t* w, rl_ir_t part) { return variant(w, 1, &part, 1); }
static rl_ir_t both(world_t* w, rl_ir_t a, rl_ir_t b) {
    return node(w, RL_PAT_TUPLE, 0, 0, words(w, (uint32_t[]){a, b}, 2), 2, 0);
}
static rl_ir_t either(world_t* w, rl_ir_t a, rl_ir_t b) {
    return node(w, RL_PAT_OR, 0, 0, words(w, (uint32_t[]){a, b}, 2), 2, 0);
}
static rl_ir_t field(world_t* w, const char* name, rl_ir_t part) {
    return node(w, RL_PAT_RECORD, 0, 0, words(w, (uint32_t[]){sym(w, name), part}, 2), 1, 0);
}
/* rest: position + 1 of the rest item among parts, 0: none */
static rl_ir_t slice(world_t* w, const rl_ir_t* parts, unsigned count, unsigned rest) {
    return node(w, RL_PAT_SLICE, 0, 0, words(w, parts, count), count, rest);
}

/* `rows` end with 0. Expected: witnesses by line ("" exhaustive), then `!n` for each unreachable row n. */
static void check_match(world_t* w, rl_type_t type, const rl_ir_t* rows, const char* expected) {
    rl_match_row_t table[32] = {{0}};
    uint32_t count = 0;
    for (; rows[count]; count++) table[count].pattern = rows[count];
    rl_buf_t out;
    rl_buf_init(&out, &w->allocator);
    uint64_t unreachable[1] = {0};
    rl_match_report_t report = {.unreachable = unreachable, .witnesses = &out};
    CHECK(rl_check_match(&w->solver, type, table, count, &report));
    uint32_t lines = out.length > 0;
    for (size_t i = 0; i < out.length; i++) lines += out.data[i] == '\n';
    CHECK(report.missing == lines);
    for (uint32_t i = 0; i < count; i++) {
        if (unreachable[0] >> i & 1) rl_buf_printf(&out, "!%u", (unsigned)i);
    }
    CHECK_STR_EQ(rl_buf_cstr(&out), expected);
    rl_buf_deinit(&out);
}
#define ROWS(...) ((rl_ir_t[]){__VA_ARGS__, 0})

TEST(test_exhaust__sums_and_bools) {
    world_t w;
    world_open(&w, 0);
    check_match(&w, w.option_bool, ROWS(some(&w, wild(&w)), none(&w)), "");
    check_match(&w, w.option_bool, ROWS(none(&w)), "Some(_)");
    check_match(&w, w.option_bool, ROWS(some(&w, boolean(&w, true))), "None\nSome(false)");
    check_match(&w, w.option_bool, ROWS(bound(&w, 0), none(&w)), "!1");
    check_match(&w, w.option_bool, ROWS(some(&w, bound(&w, wild(&w))), some(&w, boolean(&w, true)), none(&w)), "!1");
    check_match(&w, RL_TYPE_BOOL, ROWS(boolean(&w, false)), "true");
    check_match(&w, RL_TYPE_UNIT, ROWS(number(&w, RL_TYPE_UNIT, 0)), "");
    check_match(&w, named(&w, w.colour, 0), ROWS(variant(&w, 3, NULL, 0)), "C0\nC1\nC2\nC4\nC5");
    world_close(&w);
}

TEST(test_exhaust__tuples_records_and_names) {
    world_t w;
    world_open(&w, 0);
    rl_type_t pair = tuple(&w, RL_TYPE_BOOL, w.option_bool);
    check_match(
        &w, pair, ROWS(both(&w, boolean(&w, false), wild(&w)), both(&w, wild(&w), some(&w, wild(&w)))), "(true, None)");
    check_match(
        &w, record(&w, RL_TYPE_BOOL, RL_TYPE_I64), ROWS(field(&w, "f", boolean(&w, true))), "{ f: false, g: _ }");
    check_match(&w, named(&w, w.point, 0), ROWS(field(&w, "x", boolean(&w, true))), "Point { x: false, y: _ }");
    check_match(&w, named(&w, w.point, 0), ROWS(field(&w, "y", wild(&w))), "");
    check_match(&w, named(&w, w.wrapped, 0), ROWS(field(&w, "f", boolean(&w, true))), "Wrapped({ f: false, g: _ })");
    rl_ir_t inner = field(&w, "f", boolean(&w, true));
    check_match(
        &w, named(&w, w.shape, 0), ROWS(variant(&w, 0, &inner, 1), variant(&w, 1, NULL, 0)), "Box { f: false, g: _ }");
    check_match(&w, named(&w, w.shape, 0), ROWS(variant(&w, 1, NULL, 0)), "Box { .. }");
    world_close(&w);
}

TEST(test_exhaust__integers_by_range) {
    world_t w;
    world_open(&w, 0);
    rl_type_t t = RL_TYPE_I64;
    check_match(&w, t, ROWS(number(&w, t, 0), range(&w, t, true, 1, true, 5, false)), "..0\n5..");
    check_match(&w, t, ROWS(range(&w, t, false, 0, true, 0, false), range(&w, t, true, 0, false, 0, false)), "");
    check_match(&w, t,
        ROWS(range(&w, t, true, -2, true, 9, true), number(&w, t, 9), range(&w, t, true, 8, true, 10, true)),
        "..-2\n11..!1");
    check_match(&w, t, ROWS(number(&w, t, 1), number(&w, t, 3)), "..1\n2\n4..");
    check_match(&w, tuple(&w, t, RL_TYPE_BOOL), ROWS(both(&w, number(&w, t, 7), boolean(&w, true))),
        "(..7, _)\n(8.., _)\n(7, false)");
    check_match(&w, RL_TYPE_U8, ROWS(range(&w, RL_TYPE_U8, true, 0, true, 255, true)), "");
    check_match(&w, RL_TYPE_U8, ROWS(range(&w, RL_TYPE_U8, false, 0, true, 255, false)), "255");
    check_match(&w, RL_TYPE_I8, ROWS(range(&w, RL_TYPE_I8, true, -128, true, 126, true)), "127");
    check_match(&w, RL_TYPE_U64, ROWS(range(&w, RL_TYPE_U64, true, 1, true, -1, true)), "0");
    check_match(&w, RL_TYPE_CHAR, ROWS(range(&w, RL_TYPE_CHAR, false, 0, true, 0xD7FF, true)), "'\xEE\x80\x80'..");
    check_match(&w, RL_TYPE_CHAR,
        ROWS(number(&w, RL_TYPE_CHAR, 'a'), range(&w, RL_TYPE_CHAR, true, 'c', false, 0, false)), "..'a'\n'b'");
    world_close(&w);
}

TEST(test_exhaust__lists_by_length) {
    world_t w;
    world_open(&w, 0);
    rl_ir_t empty = slice(&w, NULL, 0, 0), rest = slice(&w, ROWS(wild(&w)), 1, 1);
    rl_ir_t one = slice(&w, ROWS(wild(&w)), 1, 0), cons = slice(&w, ROWS(wild(&w), bound(&w, 0)), 2, 2);
    check_match(&w, w.list_bool, ROWS(empty, cons), "");
    check_match(&w, w.list_bool, ROWS(empty), "[_, ..]");
    check_match(&w, w.list_bool, ROWS(cons), "[]");
    check_match(&w, w.list_bool, ROWS(empty, one), "[_, _, ..]");
    check_match(&w, w.list_bool, ROWS(rest, one), "!1");
    rl_ir_t ends = slice(&w, ROWS(boolean(&w, true), wild(&w), boolean(&w, true)), 3, 2);
    check_match(&w, w.list_bool, ROWS(empty, one, ends), "[false, _, ..]\n[true, .., false]");
    rl_ir_t nested =
        slice(&w, ROWS(wild(&w), slice(&w, ROWS(wild(&w), wild(&w)), 2, 2)), 2, 2); /* Cons(_, Cons(_, _)) */
    check_match(&w, w.list_bool, ROWS(empty, one, nested), "");
    check_match(&w, w.list_bool, ROWS(empty, slice(&w, ROWS(wild(&w), bound(&w, empty)), 2, 2)), "[_, _, ..]");
    rl_type_t flag = RL_TYPE_BOOL, array = rl_type_make(&w.program.types, RL_TYPE_ARRAY, 3, &flag, 1);
    check_match(&w, array, ROWS(slice(&w, ROWS(boolean(&w, true), wild(&w)), 2, 2)), "[false, _, _]");
    check_match(&w, array, ROWS(rest), "");
    world_close(&w);
}

TEST(test_exhaust__strings_and_floats_need_a_wildcard) {
    world_t w;
    world_open(&w, 0);
    check_match(&w, RL_TYPE_STR, ROWS(text(&w, "a"), text(&w, "b"), text(&w, "a")), "_!2");
    check_match(&w, RL_TYPE_STR, ROWS(text(&w, "a"), wild(&w)), "");
    check_match(&w, tuple(&w, RL_TYPE_STR, RL_TYPE_BOOL),
        ROWS(both(&w, text(&w, "a"), wild(&w)), both(&w, wild(&w), boolean(&w, true))), "(_, false)");
    rl_ir_t zero = node(&w, RL_PAT_CONST, 0, RL_TYPE_F64, node(&w, RL_IR_FLOAT, 0, RL_TYPE_F64, 0, 0, 0), 0, 0);
    rl_ir_t minus_zero =
        node(&w, RL_PAT_CONST, 0, RL_TYPE_F64, node(&w, RL_IR_FLOAT, 0, RL_TYPE_F64, 0, 0x80000000u, 0), 0, 0);
    check_match(&w, RL_TYPE_F64, ROWS(zero, minus_zero, wild(&w)), "!1");
    check_match(&w, RL_TYPE_F64, ROWS(range(&w, RL_TYPE_F64, true, 0, false, 0, false), wild(&w)), "");
    check_match(&w, RL_TYPE_ANY, ROWS(number(&w, RL_TYPE_I64, 1), text(&w, "a"), number(&w, RL_TYPE_I64, 1)), "_!2");
    world_close(&w);
}

TEST(test_exhaust__alternatives_guards_and_active_patterns) {
    world_t w;
    world_open(&w, 0);
    check_match(
        &w, w.option_bool, ROWS(either(&w, none(&w), some(&w, either(&w, boolean(&w, true), boolean(&w, false))))), "");
    check_match(&w, w.option_bool, ROWS(some(&w, wild(&w)), either(&w, some(&w, boolean(&w, true)), none(&w))), "");
    check_match(&w, w.option_bool, ROWS(none(&w), either(&w, none(&w), none(&w)), wild(&w)), "!1");
    rl_match_row_t rows[3] = {{wild(&w), true}, {none(&w), false}, {none(&w), true}};
    uint64_t unreachable[1] = {0};
    rl_match_report_t report = {.unreachable = unreachable};
    CHECK(rl_check_match(&w.solver, w.option_bool, rows, 3, &report) && report.missing == 1 && unreachable[0] == 4);
    rl_ir_t active = node(&w, RL_PAT_ACTIVE, 0, 0, 0, 0, 0);
    check_match(&w, RL_TYPE_BOOL, ROWS(active, boolean(&w, true)), "false");
    check_match(&w, RL_TYPE_BOOL, ROWS(wild(&w), active), "!1");
    world_close(&w);
}

TEST(test_exhaust__uninhabited_types_need_no_arm) {
    world_t w;
    world_open(&w, 0);
    check_match(&w, named(&w, w.option, RL_TYPE_NEVER), ROWS(none(&w)), "");
    check_match(&w, named(&w, w.option, named(&w, w.empty, 0)), ROWS(none(&w)), "");
    uint64_t unreachable[1] = {0};
    rl_match_report_t report = {.unreachable = unreachable};
    CHECK(rl_check_match(&w.solver, named(&w, w.empty, 0), NULL, 0, &report) && report.missing == 0);
    CHECK(rl_check_match(&w.solver, RL_TYPE_BOOL, NULL, 0, &report) && report.missing == 1);
    world_close(&w);
}

TEST(test_exhaust__plain_arms_are_counted_with_the_same_answers) {
    world_t w;
    world_open(&w, 0);
    rl_type_t shape = named(&w, w.shape, 0);
    rl_ir_t box = variant(&w, 0, (rl_ir_t[]){field(&w, "f", wild(&w))}, 1), dot = variant(&w, 1, NULL, 0);
    rl_ir_t some_box = variant(&w, 0, (rl_ir_t[]){field(&w, "f", boolean(&w, true))}, 1);
    check_match(&w, shape, ROWS(box, dot), "");
    check_match(&w, shape, ROWS(box, wild(&w)), "");
    check_match(&w, shape, ROWS(some_box, box, dot), "");
    check_match(&w, shape, ROWS(box, dot, wild(&w)), "!2");
    check_match(&w, shape, ROWS(box, box, dot), "!1");
    check_match(&w, shape, ROWS(wild(&w), dot), "!1");
    check_match(&w, shape, ROWS(box), "Dot");
    rl_match_row_t rows[] = {{box, true}, {box, false}, {wild(&w), true}, {dot, false}};
    uint64_t unreachable[1] = {0};
    rl_match_report_t report = {.unreachable = unreachable};
    CHECK(rl_check_match(&w.solver, shape, rows, 4, &report) && !report.missing && !unreachable[0]);
    CHECK(rl_check_match(&w.solver, shape, rows, 3, &report) && report.missing == 1 && !unreachable[0]);
    check_match(&w, named(&w, w.option, RL_TYPE_NEVER), ROWS(none(&w), wild(&w)), "!1");
    world_close(&w);
}

TEST(test_exhaust__solved_variables_are_followed) {
    world_t w;
    world_open(&w, 0);
    rl_type_t v = rl_solver_fresh(&w.solver, RL_VAR_FREE, RL_FROM_OTHER, (rl_span_t){0, 0});
    rl_type_t option = named(&w, w.option, v);
    check_match(&w, option, ROWS(none(&w)), "Some(_)");
    CHECK(rl_unify(&w.solver, v, RL_TYPE_BOOL) == RL_UNIFY_OK);
    check_match(&w, option, ROWS(none(&w), some(&w, boolean(&w, true))), "Some(false)");
    world_close(&w);
}

TEST(test_irrefutable__single_patterns) {
    world_t w;
    world_open(&w, 0);
    rl_type_t pair = tuple(&w, RL_TYPE_BOOL, named(&w, w.wrapped, 0));
    rl_ir_t record_part = field(&w, "g", bound(&w, 0));
    CHECK(rl_pattern_irrefutable(&w.solver, pair, both(&w, bound(&w, 0), variant(&w, 0, &record_part, 1))));
    CHECK(!rl_pattern_irrefutable(&w.solver, pair, both(&w, boolean(&w, true), wild(&w))));
    CHECK(rl_pattern_irrefutable(&w.solver, RL_TYPE_BOOL, either(&w, boolean(&w, true), boolean(&w, false))));
    CHECK(!rl_pattern_irrefutable(&w.solver, w.list_bool, slice(&w, ROWS(wild(&w)), 1, 0)));
    rl_type_t v = rl_solver_fresh(&w.solver, RL_VAR_FREE, RL_FROM_OTHER, (rl_span_t){0, 0});
    CHECK(rl_pattern_irrefutable(&w.solver, v, bound(&w, wild(&w))));
    world_close(&w);
}

TEST(test_exhaust__large_and_hostile_matches_end) {
    world_t w;
    world_open(&w, 0);
    enum { MANY = 3000 };
    rl_match_row_t* rows = calloc(MANY + 1, sizeof *rows);
    uint64_t* unreachable = calloc((MANY + 64) / 64, sizeof *unreachable);
    if (!rows || !unreachable) return;
    for (int i = 0; i < MANY; i++) rows[i].pattern = number(&w, RL_TYPE_I64, i == 2999 ? 5 : i * 2);
    rows[MANY].pattern = wild(&w);
    rl_match_report_t report = {.unreachable = unreachable};
    CHECK(rl_check_match(&w.solver, RL_TYPE_I64, rows, MANY + 1, &report) && report.missing == 0);
    CHECK(rl_check_match(&w.solver, RL_TYPE_I64, rows, MANY, &report) && report.missing == 1);

    /* 2^n combinations: each row wants one element of a wide tuple to be true, the rest anything */
    enum { WIDE = 40 };
    rl_type_t types[WIDE];
    for (int i = 0; i < WIDE; i++) types[i] = RL_TYPE_BOOL;
    rl_type_t type = rl_type_tuple(&w.program.types, types, WIDE);
    for (int i = 0; i < WIDE; i++) {
        rl_ir_t parts[WIDE];
        for (int j = 0; j < WIDE; j++) parts[j] = (i / 2 * 2 == j || i == j) ? boolean(&w, (i + j) & 1) : wild(&w);
        rows[i].pattern = node(&w, RL_PAT_TUPLE, 0, 0, words(&w, parts, WIDE), WIDE, 0);
    }
    CHECK(rl_check_match(&w.solver, type, rows, WIDE, &report));

    rl_ir_t deep = wild(&w); /* deeper than the limit: no answer, but no crash either */
    rl_type_t list = RL_TYPE_BOOL;
    for (int i = 0; i < 90; i++) list = named(&w, w.option, list);
    for (int i = 0; i < 5000; i++) deep = either(&w, bound(&w, deep), none(&w));
    rows[0].pattern = deep;
    CHECK(rl_check_match(&w.solver, list, rows, 1, &report));
    CHECK(rl_pattern_irrefutable(&w.solver, list, deep));
    free(rows);
    free(unreachable);
    world_close(&w);
}

/* --- against trying every value --------------------------------------------------------------------------- */

/* A value: Bool and u8 by `number`, Option by `number` as tag, tuples and lists by parts. */
typedef struct datum {
    int number;
    int count;
    const struct datum* parts[4];
} datum_t;

static datum_t pool[200000];
static int pooled;

static datum_t* make(int n, int count) {
    datum_t* d = &pool[pooled++];
    *d = (datum_t){.number = n, .count = count};
    return d;
}

enum { LONGEST = 4 };
/* All values of a type (lists up to LONGEST); their number. */
static int values_of(world_t* w, rl_type_t type, const datum_t** out, int room) {
    const rl_type_node_t t = *rl_type_node(&w->program.types, type);
    const rl_type_t* args = rl_type_args(&w->program.types, type);
    int count = 0, limit = type == RL_TYPE_BOOL ? 2 : type == RL_TYPE_U8 ? 256 : 0;
    for (int i = 0; i < limit; i++) out[count++] = make(i, 0);
    if (t.kind == RL_TYPE_TUPLE) {
        const datum_t *a[600], *b[600];
        int as = values_of(w, args[0], a, 600), bs = values_of(w, args[1], b, 600);
        for (int i = 0; i < as; i++) {
            for (int j = 0; j < bs && count < room; j++) {
                datum_t* d = make(0, 2);
                d->parts[0] = a[i];
                d->parts[1] = b[j];
                out[count++] = d;
            }
        }
    } else if (t.kind == RL_TYPE_NAMED && t.a == w->option) {
        const datum_t* a[600];
        int as = values_of(w, args[0], a, 600);
        out[count++] = make(0, 0);
        for (int i = 0; i < as && count < room; i++) {
            datum_t* d = make(1, 1);
            d->parts[0] = a[i];
            out[count++] = d;
        }
    } else if (t.kind == RL_TYPE_NAMED && t.a == w->list) {
        const datum_t* a[8];
        int as = values_of(w, args[0], a, 8);
        for (int length = 0, total = 1; length <= LONGEST; length++, total *= as) {
            for (int code = 0; code < total && count < room; code++) {
                datum_t* d = make(0, length);
                for (int i = 0, rest = code; i < length; i++, rest /= as) d->parts[i] = a[rest % as];
                out[count++] = d;
            }
        }
    }
    return count;
}

static bool matches(world_t* w, rl_ir_t pattern, const datum_t* v) {
    const rl_ir_node_t n = *rl_program_node(&w->program, pattern);
    const uint32_t* parts = rl_program_extra(&w->program, n.a);
    switch (n.op) {
    case RL_PAT_WILDCARD: return true;
    case RL_PAT_BIND: return n.b == 0 || matches(w, n.b, v);
    case RL_PAT_CONST: return (int)rl_program_node(&w->program, n.a)->a == v->number;
    case RL_PAT_RANGE: {
        int low = n.a ? (int)rl_program_node(&w->program, n.a)->a : 0,
            high = n.b ? (int)rl_program_node(&w->program, n.b)->a : 256;
        return v->number >= low && (v->number < high || (n.flags & 1 && v->number == high));
    }
    case RL_PAT_OR:
        for (uint32_t i = 0; i < n.b; i++) {
            if (matches(w, parts[i], v)) return true;
        }
        return false;
    case RL_PAT_VARIANT:
        if ((uint32_t)v->number != n.c) return false;
        break;
    case RL_PAT_SLICE: {
        int fixed = (int)n.b - (n.c != 0), position = 0;
        if (v->count < fixed || (v->count > fixed && !n.c)) return false;
        for (uint32_t i = 0; i < n.b; i++) {
            if (n.c == i + 1) position += v->count - fixed;
            else if (!matches(w, parts[i], v->parts[position++])) return false;
        }
        return true;
    }
    default: break;
    }
    for (uint32_t i = 0; i < n.b; i++) {
        if (!matches(w, parts[i], v->parts[i])) return false;
    }
    return true;
}

static uint32_t seed = 12345;
static unsigned dice(unsigned sides) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % sides;
}

static rl_ir_t random_pattern(world_t* w, rl_type_t type, int depth) {
    const rl_type_node_t t = *rl_type_node(&w->program.types, type);
    rl_type_t args[2] = {0, 0};
    for (unsigned i = 0; i < 2 && i < t.count; i++) args[i] = rl_type_args(&w->program.types, type)[i];
    unsigned choice = dice(depth > 3 ? 3 : 8);
    if (choice < 2) return choice ? bound(w, 0) : wild(w);
    if (choice == 7) return either(w, random_pattern(w, type, depth + 1), random_pattern(w, type, depth + 1));
    if (choice == 6) return bound(w, random_pattern(w, type, depth + 1));
    if (type == RL_TYPE_BOOL) return boolean(w, dice(2));
    if (type == RL_TYPE_U8) {
        if (dice(3) == 0) return number(w, type, dice(256));
        unsigned low = dice(2) ? 0 : dice(200), high = dice(2) ? 255 : low + dice(256 - low);
        return range(w, type, dice(2) || low, low, dice(2) || high < 255, high, dice(3) || low == high);
    }
    if (t.kind == RL_TYPE_TUPLE)
        return both(w, random_pattern(w, args[0], depth + 1), random_pattern(w, args[1], depth + 1));
    if (t.a == w->option) return dice(2) ? none(w) : some(w, random_pattern(w, args[0], depth + 1));
    rl_ir_t parts[4];
    unsigned count = dice(4), rest = count && dice(2) ? 1 + dice(count) : 0;
    for (unsigned i = 0; i < count; i++) parts[i] = i + 1 == rest ? wild(w) : random_pattern(w, args[0], depth + 1);
    return slice(w, parts, count, rest);
}

TEST(test_exhaust__agrees_with_trying_every_value) {
    world_t w;
    world_open(&w, 0);
    rl_type_t types[] = {w.option_bool, w.list_bool, RL_TYPE_U8, tuple(&w, RL_TYPE_BOOL, w.option_bool),
        tuple(&w, RL_TYPE_U8, RL_TYPE_BOOL),
        named(&w, w.option, named(&w, w.option, tuple(&w, RL_TYPE_BOOL, RL_TYPE_BOOL))),
        tuple(&w, w.list_bool, RL_TYPE_BOOL), named(&w, w.option, w.list_bool),
        tuple(&w, w.option_bool, tuple(&w, RL_TYPE_BOOL, w.option_bool))};
    static const datum_t* values[2000];
    unsigned exhaustive = 0, redundant = 0;
    for (unsigned round = 0; round < 6000; round++) {
        rl_type_t type = types[round % RL_COUNT_OF(types)];
        pooled = 0;
        int count = values_of(&w, type, values, 2000);
        rl_match_row_t rows[8] = {{0}};
        unsigned row_count = 1 + dice(6);
        for (unsigned i = 0; i < row_count; i++) rows[i] = (rl_match_row_t){random_pattern(&w, type, 0), dice(6) == 0};
        bool taken[2000] = {false};
        uint64_t unreachable[1] = {0}, expected_unreachable = 0;
        for (unsigned i = 0; i < row_count; i++) {
            bool useful = false;
            for (int v = 0; v < count; v++) useful = useful || (!taken[v] && matches(&w, rows[i].pattern, values[v]));
            if (!useful) expected_unreachable |= (uint64_t)1 << i;
            for (int v = 0; v < count && !rows[i].guarded; v++)
                taken[v] = taken[v] || matches(&w, rows[i].pattern, values[v]);
        }
        bool complete = true;
        for (int v = 0; v < count; v++) complete = complete && taken[v];
        rl_buf_t out;
        rl_buf_init(&out, &w.allocator);
        rl_match_report_t report = {.unreachable = unreachable, .witnesses = round % 2 ? &out : NULL};
        CHECK(rl_check_match(&w.solver, type, rows, row_count, &report));
        CHECK((report.missing == 0) == complete && (out.length > 0) == (round % 2 && !complete));
        CHECK(unreachable[0] == expected_unreachable);
        exhaustive += complete;
        redundant += expected_unreachable != 0;
        rl_buf_deinit(&out);
    }
    CHECK(exhaustive > 500 && redundant > 500); /* both answers occur */
    world_close(&w);
}

static uint64_t one_of_each(uint64_t fail_at) {
    world_t w;
    world_open(&w, fail_at);
    if (w.solver.program) {
        rl_type_t type = tuple(&w, RL_TYPE_U8, named(&w, w.option, w.list_bool));
        rl_ir_t patterns[] = {both(&w, range(&w, RL_TYPE_U8, true, 3, true, 9, true),
                                  either(&w, none(&w), some(&w, slice(&w, ROWS(wild(&w), boolean(&w, true)), 2, 1)))),
            both(&w, wild(&w), none(&w))};
        rl_match_row_t rows[] = {{patterns[0], false}, {patterns[1], false}};
        rl_buf_t out;
        rl_buf_init(&out, &w.allocator);
        uint64_t unreachable[1] = {0};
        rl_match_report_t report = {.unreachable = unreachable, .witnesses = &out};
        CHECK(rl_check_match(&w.solver, type, rows, 2, &report) == !w.allocator.failed);
        (void)rl_pattern_irrefutable(&w.solver, type, patterns[0]);
        rl_buf_deinit(&out);
    }
    uint64_t requests = w.allocator.requests;
    world_close(&w);
    return requests;
}

TEST(test_memory__any_refused_request_is_survived) {
    uint64_t requests = one_of_each(0);
    CHECK(requests > 30);
    for (uint64_t n = 1; n <= requests; n++) one_of_each(n);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_exhaust__sums_and_bools),
        RUN(test_exhaust__tuples_records_and_names),
        RUN(test_exhaust__integers_by_range),
        RUN(test_exhaust__lists_by_length),
        RUN(test_exhaust__strings_and_floats_need_a_wildcard),
        RUN(test_exhaust__alternatives_guards_and_active_patterns),
        RUN(test_exhaust__uninhabited_types_need_no_arm),
        RUN(test_exhaust__plain_arms_are_counted_with_the_same_answers),
        RUN(test_exhaust__solved_variables_are_followed),
        RUN(test_irrefutable__single_patterns),
        RUN(test_exhaust__large_and_hostile_matches_end),
        RUN(test_exhaust__agrees_with_trying_every_value),
        RUN(test_memory__any_refused_request_is_survived),
    };
    return check_main(tests, RL_COUNT_OF(tests), argc, argv);
}
