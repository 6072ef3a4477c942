/* Printing, equality, order, hash, formatting and conversion by type; string objects. */
#include "check.h"

#include "vm/arith.h"
#include "vm/core/basic.h"
#include "vm/core/border.h"
#include "vm/core/iterate.h"
#include "vm/format.h"
#include "vm/string.h"

#include <math.h>
#include <stdlib.h>

#define NAME(text)         {(text), sizeof(text) - 1}
#define S_TYPE(k, e, text) {.kind = (k), .rep = RL_REP_S, .element = (e), .type = (k), .name = NAME(text)}

static const rl_rtype_t unit_type = S_TYPE(RL_TYPE_UNIT, RL_ELEM_UNIT, "()");
static const rl_rtype_t bool_type = S_TYPE(RL_TYPE_BOOL, RL_ELEM_U8, "Bool");
static const rl_rtype_t char_type = S_TYPE(RL_TYPE_CHAR, RL_ELEM_U32, "Char");
static const rl_rtype_t i8_type = S_TYPE(RL_TYPE_I8, RL_ELEM_I8, "i8");
static const rl_rtype_t int_type = S_TYPE(RL_TYPE_I64, RL_ELEM_I64, "Int");
static const rl_rtype_t u64_type = S_TYPE(RL_TYPE_U64, RL_ELEM_I64, "u64");
static const rl_rtype_t f32_type = {
    .kind = RL_TYPE_F32, .rep = RL_REP_F, .element = RL_ELEM_F32, .type = RL_TYPE_F32, .name = NAME("f32")};
static const rl_rtype_t float_type = {
    .kind = RL_TYPE_F64, .rep = RL_REP_F, .element = RL_ELEM_F64, .type = RL_TYPE_F64, .name = NAME("Float")};
static const rl_rtype_t duration_type = S_TYPE(RL_TYPE_DURATION, RL_ELEM_I64, "Duration");
static const rl_rtype_t timestamp_type = S_TYPE(RL_TYPE_TIMESTAMP, RL_ELEM_I64, "Timestamp");
static const rl_rtype_t str_type = {.kind = RL_TYPE_STR, .rep = RL_REP_R, .type = RL_TYPE_STR, .name = NAME("Str")};
static const rl_rtype_t bytes_type = {
    .kind = RL_TYPE_BYTES, .rep = RL_REP_R, .type = RL_TYPE_BYTES, .name = NAME("Bytes")};
static const rl_rtype_t any_type = {.kind = RL_TYPE_ANY, .rep = RL_REP_R, .type = RL_TYPE_ANY, .name = NAME("Any")};

/* (Int, Str): stored Str, Int */
static const rl_rfield_t pair_fields[] = {{.type = &int_type, .slot = 1}, {.type = &str_type, .slot = 0}};
static const rl_rshape_t pair_shape[] = {{.fields = pair_fields, .field_count = 2, .refs = 1, .words = 2}};
static const rl_rtype_t pair_type = {.kind = RL_TYPE_TUPLE,
    .rep = RL_REP_R,
    .type = 100,
    .shapes = pair_shape,
    .shape_count = 1,
    .name = NAME("(Int, Str)")};

/* { name: Str, x: Int } and the same named P, and a struct of that shape */
static const rl_rfield_t record_fields[] = {
    {.name = NAME("name"), .type = &str_type, .slot = 0}, {.name = NAME("x"), .type = &int_type, .slot = 1}};
static const rl_rshape_t record_shape[] = {{.fields = record_fields, .field_count = 2, .refs = 1, .words = 2}};
static const rl_rtype_t record_type = {.kind = RL_TYPE_RECORD,
    .rep = RL_REP_R,
    .type = 101,
    .shapes = record_shape,
    .shape_count = 1,
    .name = NAME("{ name: Str, x: Int }")};
static const rl_rtype_t named_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_RECORD,
    .type = 102,
    .shapes = record_shape,
    .shape_count = 1,
    .name = NAME("P")};
static const rl_rshape_t empty_shape[] = {{.field_count = 0}};
static const rl_rtype_t empty_named_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_RECORD,
    .type = 103,
    .shapes = empty_shape,
    .shape_count = 1,
    .name = NAME("E")};
static const rl_rtype_t empty_record_type = {
    .kind = RL_TYPE_RECORD, .rep = RL_REP_R, .type = 104, .shapes = empty_shape, .shape_count = 1, .name = NAME("{}")};

/* type Colour = Red | Green */
static const rl_rshape_t colour_shapes[] = {{.name = NAME("Red")}, {.name = NAME("Green"), .tag = 1}};
static const rl_rtype_t colour_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_S,
    .element = RL_ELEM_U16,
    .def_kind = RL_DEF_SUM,
    .is_enum = true,
    .type = 105,
    .shapes = colour_shapes,
    .shape_count = 2,
    .name = NAME("Colour")};

/* type Tree = Leaf | Node(Tree, Int, Tree) | Box { name: Str, x: Int } */
static const rl_rtype_t tree_type;
static const rl_rfield_t node_fields[] = {
    {.type = &tree_type, .slot = 0}, {.type = &int_type, .slot = 2}, {.type = &tree_type, .slot = 1}};
static const rl_rfield_t box_fields[] = {{.type = &record_type, .slot = 0}};
static const rl_rshape_t tree_shapes[] = {{.name = NAME("Leaf")},
    {.name = NAME("Node"), .fields = node_fields, .field_count = 3, .refs = 2, .words = 3, .tag = 1},
    {.name = NAME("Box"),
        .fields = box_fields,
        .field_count = 1,
        .refs = 1,
        .words = 1,
        .tag = 2,
        .record_payload = true}};
static const rl_rtype_t tree_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_SUM,
    .type = 106,
    .shapes = tree_shapes,
    .shape_count = 3,
    .name = NAME("Tree")};

/* type U = new Int, type V = new { name: Str, x: Int } */
static const rl_rtype_t newtype_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_S,
    .def_kind = RL_DEF_NEWTYPE,
    .type = 107,
    .payload = &int_type,
    .name = NAME("U")};
static const rl_rtype_t record_newtype_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_NEWTYPE,
    .type = 108,
    .payload = &record_type,
    .name = NAME("V")};

/* struct D { items: Vec<Any> }, Vec<Any>, Cell<Any>, [Float; N], Range<Int>, Option<Int> */
static const rl_rtype_t* const any_args[] = {&any_type};
static const rl_rtype_t* const int_args[] = {&int_type};
static const rl_rtype_t* const float_args[] = {&float_type};
static const rl_rtype_t vec_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_BUILTIN,
    .builtin = RL_BUILTIN_VEC,
    .has_identity = true,
    .type = 109,
    .args = any_args,
    .arg_count = 1,
    .name = NAME("Vec")};
static const rl_rfield_t struct_fields[] = {{.name = NAME("items"), .type = &vec_type, .slot = 0}};
static const rl_rshape_t struct_shape[] = {{.fields = struct_fields, .field_count = 1, .refs = 1, .words = 1}};
static const rl_rtype_t struct_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_STRUCT,
    .has_identity = true,
    .type = 110,
    .shapes = struct_shape,
    .shape_count = 1,
    .name = NAME("D")};
static const rl_rtype_t cell_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_BUILTIN,
    .builtin = RL_BUILTIN_CELL,
    .has_identity = true,
    .type = 111,
    .args = any_args,
    .arg_count = 1,
    .name = NAME("Cell")};
static const rl_rtype_t array_type = {.kind = RL_TYPE_ARRAY,
    .rep = RL_REP_R,
    .type = 112,
    .args = float_args,
    .arg_count = 1,
    .name = NAME("[Float; 3]")};
static const rl_rtype_t range_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_BUILTIN,
    .builtin = RL_BUILTIN_RANGE,
    .type = 113,
    .args = int_args,
    .arg_count = 1,
    .name = NAME("Range")};
static const rl_rtype_t opaque_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_OPAQUE,
    .has_identity = true,
    .type = 114,
    .name = NAME("File")};
static const rl_rtype_t function_type = {
    .kind = RL_TYPE_FUNCTION, .rep = RL_REP_R, .has_identity = true, .type = 115, .name = NAME("fn() -> ()")};
static const rl_rfield_t some_fields[] = {{.type = &int_type, .slot = 0}};
static const rl_rshape_t option_shapes[] = {
    {.name = NAME("None")}, {.name = NAME("Some"), .fields = some_fields, .field_count = 1, .words = 1, .tag = 1}};
static const rl_rtype_t option_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_SUM,
    .type = 116,
    .args = int_args,
    .arg_count = 1,
    .shapes = option_shapes,
    .shape_count = 2,
    .name = NAME("Option")};
static const rl_rfield_t some_any_fields[] = {{.type = &any_type, .slot = 0}};
static const rl_rshape_t option_any_shapes[] = {{.name = NAME("None")},
    {.name = NAME("Some"), .fields = some_any_fields, .field_count = 1, .refs = 1, .words = 1, .tag = 1}};
static const rl_rtype_t option_any_type = {.kind = RL_TYPE_NAMED,
    .rep = RL_REP_R,
    .def_kind = RL_DEF_SUM,
    .type = 117,
    .args = any_args,
    .arg_count = 1,
    .shapes = option_any_shapes,
    .shape_count = 2,
    .name = NAME("Option")};

/* List<Int>, List<Str>, List<Any>, Set<Int>, Map<Str, Int>, Map<Str, Any>, Table<Str, Int> */
#define COLLECTION(number, which, arguments, count, text)                                                              \
    {.kind = RL_TYPE_NAMED,                                                                                            \
        .rep = RL_REP_R,                                                                                               \
        .def_kind = RL_DEF_BUILTIN,                                                                                    \
        .builtin = (which),                                                                                            \
        .type = (number),                                                                                              \
        .args = (arguments),                                                                                           \
        .arg_count = (count),                                                                                          \
        .name = NAME(text),                                                                                            \
        .has_identity = (which) == RL_BUILTIN_TABLE}
static const rl_rtype_t* const str_args[] = {&str_type};
static const rl_rtype_t* const str_int_args[] = {&str_type, &int_type};
static const rl_rtype_t* const str_any_args[] = {&str_type, &any_type};
static const rl_rtype_t list_type = COLLECTION(120, RL_BUILTIN_LIST, int_args, 1, "List");
static const rl_rtype_t list_str_type = COLLECTION(121, RL_BUILTIN_LIST, str_args, 1, "List");
static const rl_rtype_t list_any_type = COLLECTION(122, RL_BUILTIN_LIST, any_args, 1, "List");
static const rl_rtype_t set_type = COLLECTION(123, RL_BUILTIN_SET, int_args, 1, "Set");
static const rl_rtype_t map_type = COLLECTION(124, RL_BUILTIN_MAP, str_int_args, 2, "Map");
static const rl_rtype_t map_any_type = COLLECTION(125, RL_BUILTIN_MAP, str_any_args, 2, "Map");
static const rl_rtype_t table_type = COLLECTION(126, RL_BUILTIN_TABLE, str_int_args, 2, "Table");
static const rl_rtype_t* const list_args[] = {&list_type};
static const rl_rtype_t list_list_type = COLLECTION(127, RL_BUILTIN_LIST, list_args, 1, "List");

typedef struct fixture {
    rl_allocator_t allocator;
    rl_vm_t vm;
    rl_buf_t buf;
} fixture_t;

static void begin(fixture_t* f) {
    *f = (fixture_t){0};
    rl_allocator_init(&f->allocator, NULL, NULL);
    CHECK(rl_vm_init(&f->vm, &f->allocator, NULL));
    rl_buf_init(&f->buf, &f->allocator);
}
static void end(fixture_t* f) {
    rl_buf_deinit(&f->buf);
    rl_vm_deinit(&f->vm);
    CHECK_INT_EQ(f->allocator.live_bytes, 0);
}

static rl_word_t w_i(int64_t i) { return (rl_word_t){.i = i}; }
static rl_word_t w_f(double x) { return (rl_word_t){.f = x}; }
static rl_word_t w_o(rl_object_t* o) { return (rl_word_t){.o = o}; }
static rl_word_t w_str(fixture_t* f, const char* text) { return w_o(rl_string_new(&f->vm, rl_str(text), RL_OBJ_STR)); }
static rl_word_t cells(fixture_t* f, unsigned tag, unsigned refs, unsigned words, const rl_word_t* values) {
    rl_object_t* o = rl_heap_new(&f->vm.heap, RL_OBJ_CELLS, tag, refs, words);
    memcpy(rl_object_words(o), values, words * sizeof *values);
    return w_o(o);
}
static rl_word_t record(fixture_t* f, const char* name, int64_t x) {
    return cells(f, 0, 1, 2, (rl_word_t[]){w_str(f, name), w_i(x)});
}
static rl_word_t any(fixture_t* f, const rl_rtype_t* type, rl_word_t value) {
    rl_word_t out = {0};
    CHECK_INT_EQ(rl_value_to_any(&f->vm, type, value, &out), RL_DONE);
    return out;
}
static rl_word_t vector(fixture_t* f, rl_element_t element, uint32_t count, const rl_word_t* values) {
    rl_vector_t* v = rl_heap_new_sized(&f->vm.heap, RL_OBJ_VEC, 0, sizeof *v);
    v->element = element;
    v->data = rl_heap_buffer(&f->vm.heap, NULL, 0, count * 8 + 8);
    v->capacity = (count * 8 + 8) / rl_element_size(element);
    for (; v->length < count; v->length++) rl_element_store(element, v->data, v->length, values[v->length]);
    return w_o(&v->header);
}

static rl_word_t collection(fixture_t* f, const rl_rtype_t* type, size_t count, const rl_word_t* words) {
    rl_word_t out = {0};
    CHECK_INT_EQ(rl_border_build(&f->vm, type, words, count, &out), RL_DONE);
    return out;
}

static void shows(
    fixture_t* f, const rl_rtype_t* type, rl_word_t value, const char* display, const char* debug, int line) {
    for (int i = 0; i < 2; i++) {
        const char* expected = i ? debug : display;
        if (!expected) expected = display;
        rl_vm_begin_run(&f->vm);
        rl_buf_clear(&f->buf);
        if (rl_value_print(&f->vm, type, value, i == 1, &f->buf) != RL_DONE)
            check_report(false, __FILE__, line, "printing failed");
        check_bytes(
            f->buf.data, f->buf.length, expected, strlen(expected), __FILE__, line, i ? "debug text" : "display text");
    }
}
#define SHOWS(type, value, display, debug) shows(&f, type, value, display, debug, __LINE__)

TEST(test_print__scalars) {
    fixture_t f;
    begin(&f);
    SHOWS(&unit_type, w_i(0), "()", NULL);
    SHOWS(&bool_type, w_i(1), "true", NULL);
    SHOWS(&bool_type, w_i(0), "false", NULL);
    SHOWS(&int_type, w_i(INT64_MIN), "-9223372036854775808", NULL);
    SHOWS(&u64_type, w_i(-1), "18446744073709551615", NULL);
    SHOWS(&i8_type, w_i(-7), "-7", NULL);
    SHOWS(&float_type, w_f(1), "1.0", NULL);
    SHOWS(&float_type, w_f(0.1), "0.1", NULL);
    SHOWS(&float_type, w_f(1e300), "1e300", NULL);
    SHOWS(&float_type, w_f(NAN), "NaN", NULL);
    SHOWS(&float_type, w_f(-INFINITY), "-inf", NULL);
    SHOWS(&f32_type, w_f((double)0.1f), "0.1", NULL);
    SHOWS(&char_type, w_i('x'), "x", "'x'");
    SHOWS(&char_type, w_i('\''), "'", "'\\''");
    SHOWS(&char_type, w_i('"'), "\"", "'\"'");
    SHOWS(&char_type, w_i(7), "\a", "'\\u{7}'");
    SHOWS(&colour_type, w_i(1), "Green", NULL);
    SHOWS(&newtype_type, w_i(4), "U(4)", NULL);
    end(&f);
}

TEST(test_print__durations_in_the_largest_unit_that_divides) {
    fixture_t f;
    begin(&f);
    SHOWS(&duration_type, w_i(0), "0s", NULL);
    SHOWS(&duration_type, w_i(90000000000), "90s", NULL);
    SHOWS(&duration_type, w_i(1500000000), "1500ms", NULL);
    SHOWS(&duration_type, w_i(16000000), "16ms", NULL);
    SHOWS(&duration_type, w_i(-2000), "-2us", NULL);
    SHOWS(&duration_type, w_i(1), "1ns", NULL);
    SHOWS(&timestamp_type, w_i(0), "1970-01-01T00:00:00Z", NULL);
    SHOWS(&timestamp_type, w_i(1700000000000000000), "2023-11-14T22:13:20Z", NULL);
    SHOWS(&timestamp_type, w_i(1700000000123000000), "2023-11-14T22:13:20.123Z", NULL);
    SHOWS(&timestamp_type, w_i(-1000000), "1969-12-31T23:59:59.999Z", NULL);
    end(&f);
}

TEST(test_print__strings_are_quoted_inside_containers) {
    fixture_t f;
    begin(&f);
    SHOWS(&str_type, w_str(&f, "a\"b\\\n\t\r\x01\xC3\xA9\xC2\x85"), "a\"b\\\n\t\r\x01\xC3\xA9\xC2\x85",
        "\"a\\\"b\\\\\\n\\t\\r\\u{1}\xC3\xA9\\u{85}\"");
    SHOWS(&pair_type, cells(&f, 0, 1, 2, (rl_word_t[]){w_str(&f, "a"), w_i(1)}), "(1, \"a\")", NULL);
    rl_object_t* bytes = rl_string_new(&f.vm, (rl_str_t){"hal\0", 4}, RL_OBJ_BYTES);
    SHOWS(&bytes_type, w_o(bytes), "Bytes[68 61 6c 00]", NULL);
    SHOWS(&bytes_type, w_o(rl_string_new(&f.vm, (rl_str_t){"", 0}, RL_OBJ_BYTES)), "Bytes[]", NULL);
    SHOWS(&any_type, any(&f, &str_type, w_str(&f, "t")), "t", "\"t\"");
    end(&f);
}

TEST(test_print__records_sums_and_wrappers) {
    fixture_t f;
    begin(&f);
    rl_word_t r = record(&f, "n", 3);
    SHOWS(&record_type, r, "{ name: \"n\", x: 3 }", NULL);
    SHOWS(&named_type, r, "P { name: \"n\", x: 3 }", NULL);
    SHOWS(&record_newtype_type, r, "V { name: \"n\", x: 3 }", NULL);
    rl_rtype_t named_newtype = record_newtype_type;
    named_newtype.payload = &named_type;
    SHOWS(&named_newtype, r, "V { name: \"n\", x: 3 }", NULL);
    SHOWS(&empty_record_type, w_o(&rl_nullary_objects[0]), "{}", NULL);
    SHOWS(&empty_named_type, w_o(&rl_nullary_objects[0]), "E {}", NULL);
    rl_word_t leaf = w_o(&rl_nullary_objects[0]);
    rl_word_t box = cells(&f, 2, 1, 1, (rl_word_t[]){r});
    rl_word_t tree = cells(&f, 1, 2, 3, (rl_word_t[]){leaf, box, w_i(5)});
    SHOWS(&tree_type, leaf, "Leaf", NULL);
    SHOWS(&tree_type, tree, "Node(Leaf, 5, Box { name: \"n\", x: 3 })", NULL);
    rl_word_t range = w_o(rl_heap_new(&f.vm.heap, RL_OBJ_RANGE, 0, 0, 4));
    memcpy(rl_object_words(range.o), (rl_word_t[]){w_i(1), w_i(3), w_i(0), w_i(1)}, 32);
    SHOWS(&range_type, range, "1..3", NULL);
    rl_object_words(range.o)[2].i = 1;
    SHOWS(&range_type, range, "1..=3", NULL);
    SHOWS(&opaque_type, leaf, "<File>", NULL);
    SHOWS(&array_type, vector(&f, RL_ELEM_F64, 2, (rl_word_t[]){w_f(1), w_f(2.5)}), "[1.0, 2.5]", NULL);
    rl_proto_t proto = {.name = NAME("total")};
    rl_word_t closure = w_o(rl_heap_new(&f.vm.heap, RL_OBJ_CLOSURE, 0, 0, 1));
    rl_object_words(closure.o)[0].p = &proto;
    SHOWS(&function_type, closure, "<fn total>", NULL);
    proto.name = RL_STR("<fn lambda>");
    SHOWS(&function_type, closure, "<fn lambda>", NULL);
    end(&f);
}

TEST(test_print__collections) {
    fixture_t f;
    begin(&f);
    rl_word_t numbers[] = {w_i(3), w_i(1), w_i(2)};
    SHOWS(&list_type, collection(&f, &list_type, 0, numbers), "[]", NULL);
    SHOWS(&list_type, collection(&f, &list_type, 3, numbers), "[3, 1, 2]", NULL);
    SHOWS(&list_str_type, collection(&f, &list_str_type, 1, (rl_word_t[]){w_str(&f, "a")}), "[\"a\"]", NULL);
    SHOWS(&set_type, collection(&f, &set_type, 3, numbers), "#{1, 2, 3}", NULL);
    SHOWS(&set_type, collection(&f, &set_type, 0, numbers), "#{}", NULL);
    rl_word_t pairs[] = {w_str(&f, "b"), w_i(2), w_str(&f, "a"), w_i(1)};
    SHOWS(&map_type, collection(&f, &map_type, 4, pairs), "{\"a\": 1, \"b\": 2}", NULL);
    SHOWS(&map_type, collection(&f, &map_type, 0, pairs), "{}", NULL);
    SHOWS(&table_type, collection(&f, &table_type, 4, pairs), "{\"b\": 2, \"a\": 1}", NULL);
    rl_word_t inner[] = {collection(&f, &list_type, 2, numbers), collection(&f, &list_type, 0, numbers)};
    SHOWS(&list_list_type, collection(&f, &list_list_type, 2, inner), "[[3, 1], []]", NULL);
    rl_word_t mixed[] = {any(&f, &map_type, collection(&f, &map_type, 4, pairs)), any(&f, &str_type, w_str(&f, "s"))};
    SHOWS(&list_any_type, collection(&f, &list_any_type, 2, mixed), "[{\"a\": 1, \"b\": 2}, \"s\"]", NULL);
    end(&f);
}

TEST(test_print__cycles_end_with_a_mark) {
    fixture_t f;
    begin(&f);
    rl_word_t vec = vector(&f, RL_ELEM_REF, 0, NULL);
    rl_word_t object = cells(&f, 0, 1, 1, (rl_word_t[]){vec});
    rl_vector_t* v = (rl_vector_t*)vec.o;
    ((rl_word_t*)v->data)[0] = any(&f, &struct_type, object);
    v->length = 1;
    SHOWS(&struct_type, object, "D { items: [\xE2\x80\xA6] }", NULL);
    rl_word_t cell = cells(&f, 0, 1, 1, (rl_word_t[]){any(&f, &int_type, w_i(1))});
    SHOWS(&cell_type, cell, "Cell(1)", NULL);
    rl_object_words(cell.o)[0] = any(&f, &cell_type, cell);
    SHOWS(&cell_type, cell, "Cell(\xE2\x80\xA6)", NULL);
    /* met twice, but not inside itself: shown twice; the marks are gone after each print */
    rl_word_t one = cells(&f, 0, 1, 1, (rl_word_t[]){any(&f, &int_type, w_i(1))});
    rl_word_t twice = vector(&f, RL_ELEM_REF, 1, (rl_word_t[]){any(&f, &cell_type, one)});
    ((rl_vector_t*)twice.o)->length = 0;
    rl_word_t both[2] = {any(&f, &cell_type, one), any(&f, &cell_type, one)};
    SHOWS(&vec_type, vector(&f, RL_ELEM_REF, 2, both), "[Cell(1), Cell(1)]", NULL);
    end(&f);
}

/* Node(Node(… Leaf …, 1, Leaf), 1, Leaf) */
static rl_word_t deep_tree(fixture_t* f, int depth, int64_t last) {
    rl_word_t tree = w_o(&rl_nullary_objects[0]);
    for (int i = 0; i < depth; i++)
        tree = cells(f, 1, 2, 3, (rl_word_t[]){tree, w_o(&rl_nullary_objects[0]), w_i(i ? 1 : last)});
    return tree;
}

TEST(test_generic__a_million_levels_need_no_native_stack) {
    fixture_t f;
    begin(&f);
    rl_word_t a = deep_tree(&f, 1000000, 1), b = deep_tree(&f, 1000000, 1), c = deep_tree(&f, 1000000, 2);
    bool equal;
    int order;
    uint64_t hash_a, hash_b, hash_c;
    rl_vm_begin_run(&f.vm);
    CHECK_INT_EQ(rl_value_equal(&f.vm, &tree_type, a, b, &equal), RL_DONE);
    CHECK(equal);
    CHECK_INT_EQ(rl_value_compare(&f.vm, &tree_type, a, c, &order), RL_DONE);
    CHECK(order < 0);
    CHECK_INT_EQ(rl_value_hash(&f.vm, &tree_type, a, &hash_a), RL_DONE);
    CHECK_INT_EQ(rl_value_hash(&f.vm, &tree_type, b, &hash_b), RL_DONE);
    CHECK_INT_EQ(rl_value_hash(&f.vm, &tree_type, c, &hash_c), RL_DONE);
    CHECK(hash_a == hash_b && hash_a != hash_c);
    CHECK_INT_EQ(rl_value_print(&f.vm, &tree_type, a, false, &f.buf), RL_DONE);
    CHECK(f.buf.length > 15000000);
    end(&f);
}

TEST(test_print__string_limit_fuel_and_memory_end_it) {
    fixture_t f;
    begin(&f);
    rl_word_t a = deep_tree(&f, 1000, 1);
    f.vm.limits.string_bytes = 1000;
    rl_vm_begin_run(&f.vm);
    CHECK_INT_EQ(rl_value_print(&f.vm, &tree_type, a, false, &f.buf), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_MEMORY);
    f.vm.limits.string_bytes = 1000000;
    f.vm.limits.fuel = 500;
    rl_vm_begin_run(&f.vm);
    rl_buf_clear(&f.buf);
    CHECK_INT_EQ(rl_value_print(&f.vm, &tree_type, a, false, &f.buf), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS);
    f.vm.limits.fuel = 1000000;
    f.allocator.limit_bytes = f.allocator.live_bytes + 5000;
    rl_vm_begin_run(&f.vm);
    rl_buf_clear(&f.buf);
    CHECK_INT_EQ(rl_value_print(&f.vm, &tree_type, a, false, &f.buf), RL_COLLECT);
    rl_alloc_clear_failure(&f.allocator);
    f.allocator.limit_bytes = SIZE_MAX;
    end(&f);
}

static void relates(fixture_t* f, const rl_rtype_t* type, rl_word_t a, rl_word_t b, int expected, int line) {
    bool equal, same;
    int order, reverse;
    uint64_t hash_a, hash_b;
    rl_vm_begin_run(&f->vm);
    check_int(rl_value_compare(&f->vm, type, a, b, &order), RL_DONE, __FILE__, line, "compare");
    check_int(rl_value_compare(&f->vm, type, b, a, &reverse), RL_DONE, __FILE__, line, "compare");
    check_int((order > 0) - (order < 0), expected, __FILE__, line, "order");
    check_int((reverse > 0) - (reverse < 0), -expected, __FILE__, line, "reverse order");
    check_int(rl_value_same_key(&f->vm, type, a, b, &same), RL_DONE, __FILE__, line, "same_key");
    check_int(same, expected == 0, __FILE__, line, "same key");
    check_int(rl_value_equal(&f->vm, type, a, b, &equal), RL_DONE, __FILE__, line, "equal");
    check_int(rl_value_hash(&f->vm, type, a, &hash_a), RL_DONE, __FILE__, line, "hash");
    check_int(rl_value_hash(&f->vm, type, b, &hash_b), RL_DONE, __FILE__, line, "hash");
    check_int(hash_a == hash_b, expected == 0, __FILE__, line, "equal hashes");
}
#define RELATES(type, a, b, expected) relates(&f, type, a, b, expected, __LINE__)

TEST(test_compare__orders_of_the_language) {
    fixture_t f;
    begin(&f);
    RELATES(&int_type, w_i(-1), w_i(1), -1);
    RELATES(&u64_type, w_i(-1), w_i(1), 1);
    RELATES(&bool_type, w_i(0), w_i(1), -1);
    RELATES(&float_type, w_f(-0.0), w_f(0.0), 0);
    RELATES(&float_type, w_f(NAN), w_f(NAN), 0);
    RELATES(&float_type, w_f(NAN), w_f(INFINITY), 1);
    RELATES(&float_type, w_f(1.5), w_f(2.5), -1);
    RELATES(&str_type, w_str(&f, "abc"), w_str(&f, "abd"), -1);
    RELATES(&str_type, w_str(&f, "ab"), w_str(&f, "abc"), -1);
    RELATES(&str_type, w_str(&f, "abc"), w_str(&f, "abc"), 0);
    RELATES(&str_type, w_str(&f, "caf\xC3\xA9"), w_str(&f, "cafe\xCC\x81"), 0); /* é, composed and not */
    RELATES(&pair_type, cells(&f, 0, 1, 2, (rl_word_t[]){w_str(&f, "z"), w_i(1)}),
        cells(&f, 0, 1, 2, (rl_word_t[]){w_str(&f, "a"), w_i(2)}), -1);
    RELATES(&record_type, record(&f, "a", 9), record(&f, "b", 1), -1);
    RELATES(&colour_type, w_i(0), w_i(1), -1);
    rl_word_t none = w_o(&rl_nullary_objects[0]), one = cells(&f, 1, 0, 1, (rl_word_t[]){w_i(1)}),
              two = cells(&f, 1, 0, 1, (rl_word_t[]){w_i(2)});
    RELATES(&option_type, none, one, -1);
    RELATES(&option_type, one, two, -1);
    RELATES(&option_type, none, none, 0);
    rl_word_t three = vector(&f, RL_ELEM_F64, 3, (rl_word_t[]){w_f(1), w_f(2), w_f(3)});
    RELATES(&array_type, three, vector(&f, RL_ELEM_F64, 3, (rl_word_t[]){w_f(1), w_f(2), w_f(4)}), -1);
    RELATES(&array_type, three, vector(&f, RL_ELEM_F64, 3, (rl_word_t[]){w_f(1), w_f(2), w_f(3)}), 0);
    RELATES(&newtype_type, w_i(3), w_i(4), -1);
    end(&f);
}

TEST(test_compare__collections_element_by_element) {
    fixture_t f;
    begin(&f);
    rl_word_t a = collection(&f, &list_type, 2, (rl_word_t[]){w_i(1), w_i(2)});
    RELATES(&list_type, a, collection(&f, &list_type, 2, (rl_word_t[]){w_i(1), w_i(2)}), 0);
    RELATES(&list_type, a, collection(&f, &list_type, 3, (rl_word_t[]){w_i(1), w_i(2), w_i(0)}), -1);
    RELATES(&list_type, a, collection(&f, &list_type, 1, (rl_word_t[]){w_i(9)}), -1);
    rl_word_t m = collection(&f, &map_type, 4, (rl_word_t[]){w_str(&f, "a"), w_i(1), w_str(&f, "b"), w_i(2)});
    RELATES(
        &map_type, m, collection(&f, &map_type, 4, (rl_word_t[]){w_str(&f, "b"), w_i(2), w_str(&f, "a"), w_i(1)}), 0);
    RELATES(
        &map_type, m, collection(&f, &map_type, 4, (rl_word_t[]){w_str(&f, "a"), w_i(1), w_str(&f, "b"), w_i(3)}), -1);
    RELATES(&set_type, collection(&f, &set_type, 2, (rl_word_t[]){w_i(1), w_i(2)}),
        collection(&f, &set_type, 2, (rl_word_t[]){w_i(2), w_i(1)}), 0);
    end(&f);
}

static int64_t walked(fixture_t* f, const rl_rtype_t* type, rl_word_t value, bool pairs) {
    rl_object_t* iter = NULL;
    int64_t sum = 0;
    rl_vm_begin_run(&f->vm);
    CHECK_INT_EQ(rl_iterate_begin(&f->vm, type, value.o, &iter), RL_DONE);
    for (int guard = 0; iter && guard < 1000; guard++) {
        rl_word_t element = {0};
        bool ended = false;
        if (!CHECK_INT_EQ(rl_iterate_next(&f->vm, iter, &element, &ended), RL_DONE) || ended) return sum;
        sum = sum * 10 + (pairs ? rl_object_words(element.o)[1].i : element.i);
    }
    return -1;
}

TEST(test_iterate__collections_in_their_order) {
    fixture_t f;
    begin(&f);
    rl_word_t numbers[] = {w_i(3), w_i(1), w_i(2)};
    rl_word_t pairs[] = {w_str(&f, "b"), w_i(2), w_str(&f, "a"), w_i(1)};
    CHECK_INT_EQ(walked(&f, &list_type, collection(&f, &list_type, 3, numbers), false), 312);
    CHECK_INT_EQ(walked(&f, &set_type, collection(&f, &set_type, 3, numbers), false), 123);
    CHECK_INT_EQ(walked(&f, &map_type, collection(&f, &map_type, 4, pairs), true), 12);
    CHECK_INT_EQ(walked(&f, &table_type, collection(&f, &table_type, 4, pairs), true), 21);
    CHECK_INT_EQ(walked(&f, &option_type, w_o(&rl_nullary_objects[0]), false), 0);
    CHECK_INT_EQ(walked(&f, &option_type, cells(&f, 1, 0, 1, (rl_word_t[]){w_i(7)}), false), 7);
    rl_word_t range = w_o(rl_heap_new(&f.vm.heap, RL_OBJ_RANGE, 0, 0, 4));
    memcpy(rl_object_words(range.o), (rl_word_t[]){w_i(9), w_i(1), w_i(0), w_i(-3)}, 32);
    CHECK_INT_EQ(walked(&f, &range_type, range, false), 963);
    memcpy(rl_object_words(range.o), (rl_word_t[]){w_i(INT64_MAX - 1), w_i(INT64_MAX), w_i(1), w_i(1)}, 32);
    CHECK_INT_EQ(rl_range_count(&int_type, range.o), 2);
    memcpy(rl_object_words(range.o), (rl_word_t[]){w_i(INT64_MIN), w_i(INT64_MAX), w_i(0), w_i(INT64_MAX)}, 32);
    CHECK_INT_EQ(rl_range_count(&int_type, range.o), 3);
    end(&f);
}

TEST(test_equal__nan_identity_and_any) {
    fixture_t f;
    begin(&f);
    bool equal;
    rl_vm_begin_run(&f.vm);
    rl_value_equal(&f.vm, &float_type, w_f(NAN), w_f(NAN), &equal);
    CHECK(!equal);
    rl_word_t nan_array = vector(&f, RL_ELEM_F64, 1, (rl_word_t[]){w_f(NAN)});
    rl_value_equal(&f.vm, &array_type, nan_array, nan_array, &equal);
    CHECK(!equal);
    rl_word_t v1 = vector(&f, RL_ELEM_REF, 0, NULL), v2 = vector(&f, RL_ELEM_REF, 0, NULL);
    rl_value_equal(&f.vm, &vec_type, v1, v2, &equal);
    CHECK(!equal);
    rl_value_equal(&f.vm, &vec_type, v1, v1, &equal);
    CHECK(equal);
    rl_value_equal(&f.vm, &any_type, any(&f, &int_type, w_i(1)), any(&f, &int_type, w_i(1)), &equal);
    CHECK(equal);
    rl_value_equal(&f.vm, &any_type, any(&f, &int_type, w_i(1)), any(&f, &u64_type, w_i(1)), &equal);
    CHECK(!equal);
    CHECK_INT_EQ(
        rl_value_equal(&f.vm, &any_type, any(&f, &function_type, v1), any(&f, &function_type, v1), &equal), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_TYPE_EQ_UNSUPPORTED);
    int order;
    CHECK_INT_EQ(rl_value_compare(&f.vm, &vec_type, v1, v2, &order), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_TYPE_ORD_UNSUPPORTED);
    end(&f);
}

/* --- format -------------------------------------------------------------------------------------------------- */

static void formats(
    fixture_t* f, const char* spec_text, const rl_rtype_t* type, rl_word_t value, const char* expected, int line) {
    rl_format_spec_t spec = {0};
    check_report(rl_format_spec_parse(rl_str(spec_text), &spec), __FILE__, line, "malformed specification");
    rl_vm_begin_run(&f->vm);
    rl_buf_clear(&f->buf);
    rl_outcome_t outcome = rl_value_format(&f->vm, type, value, &spec, &f->buf);
    check_int(outcome, expected ? RL_DONE : RL_RAISE, __FILE__, line, "outcome");
    if (expected)
        check_bytes(
            f->buf.data ? f->buf.data : "", f->buf.length, expected, strlen(expected), __FILE__, line, spec_text);
    else check_int(f->vm.failure.code, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, __FILE__, line, "code");
}
#define FORMATS(spec, type, value, expected) formats(&f, spec, type, value, expected, __LINE__)

TEST(test_format__follows_printf) {
    fixture_t f;
    begin(&f);
    FORMATS("d", &int_type, w_i(42), "42");
    FORMATS("5d", &int_type, w_i(42), "   42");
    FORMATS("-5d", &int_type, w_i(42), "42   ");
    FORMATS("05d", &int_type, w_i(-42), "-0042");
    FORMATS("+d", &int_type, w_i(42), "+42");
    FORMATS(" d", &int_type, w_i(42), " 42");
    FORMATS(".5d", &int_type, w_i(-42), "-00042");
    FORMATS("8.5d", &int_type, w_i(-42), "  -00042");
    FORMATS(".0d", &int_type, w_i(0), "");
    FORMATS("d", &int_type, w_i(INT64_MIN), "-9223372036854775808");
    FORMATS("04X", &int_type, w_i(255), "00FF");
    FORMATS("#x", &int_type, w_i(255), "0xff");
    FORMATS("#06x", &int_type, w_i(255), "0x00ff");
    FORMATS("x", &i8_type, w_i(-1), "ff");
    FORMATS("x", &int_type, w_i(-1), "ffffffffffffffff");
    FORMATS("u", &i8_type, w_i(-2), "254");
    FORMATS("o", &int_type, w_i(8), "10");
    FORMATS("b", &int_type, w_i(5), "101");
    FORMATS("u", &u64_type, w_i(-1), "18446744073709551615");
    FORMATS(".2f", &float_type, w_f(3.14159), "3.14");
    FORMATS("8.2f", &float_type, w_f(-3.14159), "   -3.14");
    FORMATS("08.2f", &float_type, w_f(-3.14159), "-0003.14");
    FORMATS("+.1f", &float_type, w_f(2), "+2.0");
    FORMATS("f", &int_type, w_i(2), "2.000000");
    FORMATS("e", &float_type, w_f(12345.678), "1.234568e+04");
    FORMATS("g", &float_type, w_f(10.0), "10");
    FORMATS("g", &float_type, w_f(1e-10), "1e-10");
    FORMATS("5f", &float_type, w_f(INFINITY), "  inf");
    FORMATS(".2f", &float_type, w_f(-0.0), "-0.00");
    FORMATS("s", &int_type, w_i(7), "7");
    FORMATS("6s", &str_type, w_str(&f, "h\xC3\xA9"), "    h\xC3\xA9");
    FORMATS("-6s", &str_type, w_str(&f, "h\xC3\xA9"), "h\xC3\xA9    ");
    FORMATS(".1s", &str_type, w_str(&f, "\xC3\xA9h"), "\xC3\xA9");
    FORMATS("q", &str_type, w_str(&f, "a"), "\"a\"");
    FORMATS("c", &char_type, w_i(0xE9), "\xC3\xA9");
    FORMATS("v", &pair_type, cells(&f, 0, 1, 2, (rl_word_t[]){w_str(&f, "a"), w_i(1)}), "(1, \"a\")");
    FORMATS("04", &int_type, w_i(7), "0007");
    FORMATS(".1", &float_type, w_f(0.25), "0.2");
    FORMATS("6", &float_type, w_f(0.5), "   0.5");
    FORMATS("d", &any_type, any(&f, &int_type, w_i(7)), "7");
    FORMATS("d", &float_type, w_f(1), NULL);
    FORMATS("d", &str_type, w_str(&f, "1"), NULL);
    FORMATS("f", &str_type, w_str(&f, "1"), NULL);
    FORMATS("c", &int_type, w_i(1), NULL);
    end(&f);
}

static void templated(fixture_t* f, const char* text, size_t count, const rl_word_t* arguments, const char* expected,
    rl_code_t code, int line) {
    rl_vm_begin_run(&f->vm);
    rl_buf_clear(&f->buf);
    rl_word_t list = collection(f, &list_any_type, count, arguments);
    rl_outcome_t outcome = rl_format_template(&f->vm, rl_str(text), list.o, &f->buf);
    check_int(outcome, expected ? RL_DONE : RL_RAISE, __FILE__, line, "outcome");
    if (expected)
        check_bytes(f->buf.data ? f->buf.data : "", f->buf.length, expected, strlen(expected), __FILE__, line, text);
    else check_int(f->vm.failure.code, code, __FILE__, line, "code");
}

TEST(test_format__dynamic_templates_check_count_and_kinds) {
    fixture_t f;
    begin(&f);
    rl_word_t two[] = {any(&f, &int_type, w_i(7)), any(&f, &str_type, w_str(&f, "x"))};
    templated(&f, "%03d: %s {} 100%%", 2, two, "007: x {} 100%", 0, __LINE__);
    templated(&f, "", 0, two, "", 0, __LINE__);
    templated(&f, "%d", 2, two, NULL, RL_CODE_TYPE_FORMAT_ARITY, __LINE__);
    templated(&f, "%d %s %s", 2, two, NULL, RL_CODE_TYPE_FORMAT_ARITY, __LINE__);
    templated(&f, "%s %d", 2, two, NULL, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, __LINE__);
    end(&f);
}

TEST(test_convert__inner_values_become_any) {
    fixture_t f;
    begin(&f);
    rl_word_t out;
    rl_vm_begin_run(&f.vm);
    rl_word_t some = cells(&f, 1, 0, 1, (rl_word_t[]){w_i(5)});
    CHECK_INT_EQ(rl_value_convert(&f.vm, &option_type, &option_any_type, some, &out), RL_DONE);
    CHECK(out.o != some.o && out.o->tag == 1 && out.o->refs == 1);
    SHOWS(&option_any_type, out, "Some(5)", NULL);
    CHECK(rl_object_words(rl_object_words(out.o)[0].o)[1].p == &int_type);
    CHECK_INT_EQ(rl_value_convert(&f.vm, &option_type, &option_any_type, w_o(&rl_nullary_objects[0]), &out), RL_DONE);
    SHOWS(&option_any_type, out, "None", NULL);
    rl_word_t r = record(&f, "n", 1);
    CHECK_INT_EQ(rl_value_convert(&f.vm, &named_type, &record_type, r, &out), RL_DONE);
    CHECK(out.o == r.o); /* only the name differs: nothing is copied */
    rl_word_t list = collection(&f, &list_type, 2, (rl_word_t[]){w_i(1), w_i(2)});
    CHECK_INT_EQ(rl_value_convert(&f.vm, &list_type, &list_any_type, list, &out), RL_DONE);
    SHOWS(&list_any_type, out, "[1, 2]", NULL);
    rl_word_t map = collection(&f, &map_type, 2, (rl_word_t[]){w_str(&f, "k"), w_i(1)});
    CHECK_INT_EQ(rl_value_convert(&f.vm, &map_type, &map_any_type, map, &out), RL_DONE);
    SHOWS(&map_any_type, out, "{\"k\": 1}", NULL);
    CHECK_INT_EQ(rl_value_convert(&f.vm, &int_type, &any_type, w_i(9), &out), RL_DONE);
    SHOWS(&any_type, out, "9", NULL);
    end(&f);
}

/* --- strings ------------------------------------------------------------------------------------------------- */

TEST(test_string__append_in_place_only_while_not_shared) {
    fixture_t f;
    begin(&f);
    rl_vm_begin_run(&f.vm);
    rl_object_t *a = w_str(&f, "ab").o, *b, *c;
    CHECK_INT_EQ(rl_string_append(&f.vm, a, RL_STR("cd"), true, &b), RL_DONE);
    CHECK_TEXT_EQ(rl_string_str(b), "abcd");
    rl_share(b);
    CHECK_INT_EQ(rl_string_append(&f.vm, b, RL_STR("ef"), true, &c), RL_DONE);
    CHECK(c != b);
    CHECK_TEXT_EQ(rl_string_str(b), "abcd");
    CHECK_TEXT_EQ(rl_string_str(c), "abcdef");
    CHECK_INT_EQ(rl_string_append(&f.vm, c, rl_string_str(c), true, &c), RL_DONE); /* onto itself */
    CHECK_TEXT_EQ(rl_string_str(c), "abcdefabcdef");
    for (int i = 0; i < 8; i++) {
        CHECK_INT_EQ(
            rl_string_append(&f.vm, c, rl_string_str(c), true, &c), RL_DONE); /* past the cell, into a buffer */
    }
    CHECK_INT_EQ(rl_string_str(c).length, 12 << 8);
    for (size_t i = 0; i < 12 << 8; i++) {
        if (!CHECK(rl_string_str(c).data[i] == "abcdef"[i % 6])) break;
    }
    end(&f);
}

TEST(test_string__building_is_linear) {
    fixture_t f;
    begin(&f);
    rl_vm_begin_run(&f.vm);
    rl_object_t* s = w_str(&f, "").o;
    uint64_t requests = f.allocator.requests;
    for (int i = 0; i < 100000; i++) CHECK_INT_EQ(rl_string_append(&f.vm, s, RL_STR("x"), true, &s), RL_DONE);
    CHECK_INT_EQ(rl_string_str(s).length, 100000);
    CHECK(f.allocator.requests - requests < 40);
    CHECK(f.vm.fuel_left > 0);
    end(&f);
}

TEST(test_string__slices_share_large_texts_and_copy_small_ones) {
    fixture_t f;
    begin(&f);
    char text[1000];
    memset(text, 'y', sizeof text);
    rl_object_t* all = rl_string_new(&f.vm, (rl_str_t){text, sizeof text}, RL_OBJ_STR);
    rl_string_t* large = (rl_string_t*)rl_string_slice(&f.vm, all, 100, 800);
    CHECK(large->owner == all && (all->flags & RL_OBJ_SHARED));
    CHECK_INT_EQ(large->count, 800);
    rl_string_t* of_slice = (rl_string_t*)rl_string_slice(&f.vm, &large->header, 10, 700);
    CHECK(of_slice->owner == all && of_slice->data == ((rl_string_t*)all)->data + 110);
    CHECK(((rl_string_t*)rl_string_slice(&f.vm, all, 0, 300))->owner == NULL);
    CHECK(rl_string_slice(&f.vm, all, 0, 1000) == all);
    end(&f);
}

TEST(test_string__positions_in_non_ascii_text) {
    fixture_t f;
    begin(&f);
    rl_buf_t* b = &f.buf;
    for (int i = 0; i < 1000; i++)
        rl_buf_add(b, i % 3 == 0 ? RL_STR("\xC3\xA9") : i % 3 == 1 ? RL_STR("a") : RL_STR("\xF0\x9F\x98\x80"));
    rl_string_t* s = (rl_string_t*)rl_string_new(&f.vm, rl_buf_str(b), RL_OBJ_STR);
    CHECK(!rl_string_is_ascii(s));
    CHECK_INT_EQ(rl_string_count(s), 1000);
    for (unsigned i = 0; i < 1000; i += 37) {
        size_t expected = (size_t)(i / 3) * 7 + (i % 3 == 1 ? 2 : i % 3 == 2 ? 3 : 0);
        CHECK_INT_EQ(rl_string_offset(&f.vm, s, i), expected);
    }
    CHECK_INT_EQ(rl_string_offset(&f.vm, s, 1000), s->length);
    CHECK_INT_EQ(rl_string_offset(&f.vm, s, 5000), s->length);
    CHECK(s->index != NULL);
    end(&f);
}

TEST(test_string__limit_of_length_is_kept) {
    fixture_t f;
    begin(&f);
    f.vm.limits.string_bytes = 100;
    rl_vm_begin_run(&f.vm);
    rl_object_t* s = w_str(&f, "0123456789").o;
    for (int i = 0; i < 9; i++) CHECK_INT_EQ(rl_string_append(&f.vm, s, RL_STR("0123456789"), true, &s), RL_DONE);
    CHECK_INT_EQ(rl_string_append(&f.vm, s, RL_STR("0"), true, &s), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_MEMORY);
    CHECK(rl_string_uninit(&f.vm, 101, RL_OBJ_STR) == NULL);
    rl_alloc_clear_failure(&f.allocator);
    end(&f);
}

TEST(test_number__parsing_follows_the_language) {
    fixture_t f;
    begin(&f);
    static const struct {
        const char* text;
        unsigned kind;
        bool ok;
        int64_t value;
    } integers[] = {
        {"42", RL_TYPE_I64, true, 42},
        {"-9223372036854775808", RL_TYPE_I64, true, INT64_MIN},
        {"9223372036854775808", RL_TYPE_I64, false, 0},
        {"1_000", RL_TYPE_I64, true, 1000},
        {"_1", RL_TYPE_I64, false, 0},
        {"1_", RL_TYPE_I64, false, 0},
        {"1__0", RL_TYPE_I64, false, 0},
        {"", RL_TYPE_I64, false, 0},
        {"+5", RL_TYPE_I64, true, 5},
        {"-", RL_TYPE_I64, false, 0},
        {" 1", RL_TYPE_I64, false, 0},
        {"-1", RL_TYPE_U8, false, 0},
        {"255", RL_TYPE_U8, true, 255},
        {"256", RL_TYPE_U8, false, 0},
        {"-128", RL_TYPE_I8, true, -128},
    };
    for (unsigned i = 0; i < sizeof integers / sizeof *integers; i++) {
        int64_t value;
        bool ok = rl_parse_integer(rl_str(integers[i].text), integers[i].kind, &value);
        if (!CHECK(ok == integers[i].ok) || (ok && !CHECK_INT_EQ(value, integers[i].value)))
            printf("  for \"%s\"\n", integers[i].text);
    }
    static const struct {
        const char* text;
        bool ok;
        double value;
    } floats[] = {
        {"3", true, 3},
        {"3.25", true, 3.25},
        {"-1e3", true, -1000},
        {"1_0.5", true, 10.5},
        {".5", false, 0},
        {"5.", false, 0},
        {"inf", true, INFINITY},
        {"-inf", true, -INFINITY},
        {"1e", false, 0},
        {"", false, 0},
        {"1_.5", false, 0},
        {"1.5x", false, 0},
    };
    for (unsigned i = 0; i < sizeof floats / sizeof *floats; i++) {
        double value = 0;
        bool memory, ok = rl_parse_float(&f.vm, rl_str(floats[i].text), &value, &memory);
        if (!CHECK(ok == floats[i].ok) || (ok && !CHECK(value == floats[i].value)))
            printf("  for \"%s\"\n", floats[i].text);
    }
    end(&f);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_print__scalars),
        RUN(test_print__durations_in_the_largest_unit_that_divides),
        RUN(test_print__strings_are_quoted_inside_containers),
        RUN(test_print__records_sums_and_wrappers),
        RUN(test_print__collections),
        RUN(test_print__cycles_end_with_a_mark),
        RUN(test_generic__a_million_levels_need_no_native_stack),
        RUN(test_print__string_limit_fuel_and_memory_end_it),
        RUN(test_compare__orders_of_the_language),
        RUN(test_compare__collections_element_by_element),
        RUN(test_iterate__collections_in_their_order),
        RUN(test_equal__nan_identity_and_any),
        RUN(test_format__follows_printf),
        RUN(test_format__dynamic_templates_check_count_and_kinds),
        RUN(test_convert__inner_values_become_any),
        RUN(test_string__append_in_place_only_while_not_shared),
        RUN(test_string__building_is_linear),
        RUN(test_string__slices_share_large_texts_and_copy_small_ones),
        RUN(test_string__positions_in_non_ascii_text),
        RUN(test_string__limit_of_length_is_kept),
        RUN(test_number__parsing_follows_the_language),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
