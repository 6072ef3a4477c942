/*
 * emit from hand-built IR: the shape of the code (as the disassembler prints it), ownership marks, layouts, and the
 * results when the loop runs it. Every function compiled here passes the verifier.
 */
#include "check.h"
#include "code/builtin_names.h"
#include "code/emit.h"
#include "vm/builtin.h"
#include "vm/vm.h"

#include <stdarg.h>
#include <stdlib.h>

/* --- a program put together by hand ------------------------------------------------------------------------------ */
static rl_allocator_t allocator;
static rl_program_t program;
static rl_compiler_t compiler;

static void setup(void) {
    rl_allocator_init(&allocator, NULL, NULL);
    rl_program_init(&program, NULL, &allocator);
    rl_compiler_init(&compiler, &program, &allocator);
    rl_module_t module = {.path = rl_sym_intern(&program.symbols, RL_STR("Test"))};
    rl_vec_push(&allocator, &program.modules, module);
}

static void teardown(void) {
    rl_compiler_deinit(&compiler);
    rl_program_deinit(&program);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

static rl_sym_t sym(const char* text) { return rl_sym_intern(&program.symbols, rl_str(text)); }

static rl_ir_t node_flags(unsigned op, unsigned flags, rl_type_t type, uint32_t a, uint32_t b, uint32_t c) {
    rl_ir_node_t n = {.op = (uint16_t)op, .flags = (uint16_t)flags, .type = type, .a = a, .b = b, .c = c};
    rl_vec_push(&allocator, &program.nodes, n);
    return program.first_node + program.nodes.count - 1;
}
static rl_ir_t node(unsigned op, rl_type_t type, uint32_t a, uint32_t b, uint32_t c) {
    return node_flags(op, 0, type, a, b, c);
}

static uint32_t words(unsigned count, const uint32_t* list) {
    uint32_t at = program.first_extra + program.extra.count;
    for (unsigned i = 0; i < count; i++) rl_vec_push(&allocator, &program.extra, list[i]);
    return at;
}
#define WORDS(...) words(sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__})
#define COUNT(...) ((uint32_t)(sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)))

enum { INT = RL_TYPE_I64, BOOL = RL_TYPE_BOOL, UNIT = RL_TYPE_UNIT, FLOAT = RL_TYPE_F64, STR = RL_TYPE_STR };

static rl_ir_t integer_of(rl_type_t type, int64_t v) {
    return node(RL_IR_INT, type, (uint32_t)v, (uint32_t)((uint64_t)v >> 32), 0);
}
static rl_ir_t integer(int64_t v) { return integer_of(INT, v); }
static rl_ir_t real(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return node(RL_IR_FLOAT, FLOAT, (uint32_t)bits, (uint32_t)(bits >> 32), 0);
}
static rl_ir_t text(const char* s) {
    rl_vec_push(&allocator, &program.strings, rl_arena_copy(&program.arena, rl_str(s)));
    return node(RL_IR_STRING, STR, program.first_string + program.strings.count - 1, 0, 0);
}
static rl_ir_t local(uint32_t id, rl_type_t type) { return node(RL_IR_LOCAL, type, id, 0, 0); }
static rl_ir_t set_local(uint32_t id, rl_ir_t value) { return node(RL_IR_SET_LOCAL, UNIT, id, value, 0); }
static rl_ir_t bind(uint32_t id, rl_ir_t value) { return node(RL_IR_BIND, UNIT, id, value, 0); }
static rl_ir_t binary(unsigned op, rl_type_t type, rl_ir_t a, rl_ir_t b) { return node(op, type, a, b, 0); }
static rl_ir_t add(rl_ir_t a, rl_ir_t b) { return binary(RL_IR_ADD, rl_program_node(&program, a)->type, a, b); }
static rl_ir_t compare(unsigned op, rl_ir_t a, rl_ir_t b) { return binary(op, BOOL, a, b); }
static rl_ir_t if_else(rl_type_t type, rl_ir_t c, rl_ir_t a, rl_ir_t b) { return node(RL_IR_IF, type, c, a, b); }
#define BLOCK(...)          node(RL_IR_BLOCK, UNIT, WORDS(__VA_ARGS__), COUNT(__VA_ARGS__), 0)
#define VALUE(type, ...)    node_flags(RL_IR_BLOCK, RL_IR_BLOCK_VALUE, type, WORDS(__VA_ARGS__), COUNT(__VA_ARGS__), 0)
#define CALL(type, fn, ...) node(RL_IR_CALL, type, fn, 0, WORDS(COUNT(__VA_ARGS__), __VA_ARGS__))
#define TAIL(type, fn, ...) node_flags(RL_IR_CALL, RL_IR_TAIL, type, fn, 0, WORDS(COUNT(__VA_ARGS__), __VA_ARGS__))
#define VARIANT(type, tag, ...)     node(RL_IR_VARIANT, type, WORDS(__VA_ARGS__), COUNT(__VA_ARGS__), tag)
#define TUPLE(type, ...)            node(RL_IR_TUPLE, type, WORDS(__VA_ARGS__), COUNT(__VA_ARGS__), 0)
#define ARM(pattern, guard, body)   pattern, guard, body
#define MATCH(type, scrutinee, ...) node(RL_IR_MATCH, type, scrutinee, WORDS(__VA_ARGS__), COUNT(__VA_ARGS__) / 3)
static rl_ir_t any_pattern(rl_type_t type) { return node(RL_PAT_WILDCARD, type, 0, 0, 0); }
static rl_ir_t bind_pattern(rl_type_t type, uint32_t id) { return node(RL_PAT_BIND, type, id, 0, 0); }
#define VARIANT_PATTERN(type, tag, ...) node(RL_PAT_VARIANT, type, WORDS(__VA_ARGS__), COUNT(__VA_ARGS__), tag)
static rl_ir_t const_pattern(rl_ir_t constant) {
    return node(RL_PAT_CONST, rl_program_node(&program, constant)->type, constant, 0, 0);
}

/* A function; its locals are the parameters, the captures, then what local_of() adds. */
typedef struct fn_options {
    uint32_t flags, type_params;
    rl_fn_id_t parent;
} fn_options_t;
static rl_fn_id_t declare(const char* name, rl_type_t result, const rl_type_t* params, uint32_t count) {
    rl_function_t f = {.name = sym(name),
        .module = 1,
        .result = result,
        .param_first = program.first_param + program.params.count,
        .param_count = count,
        .local_first = program.first_local + program.locals.count,
        .local_count = count};
    for (uint32_t i = 0; i < count; i++) {
        rl_vec_push(&allocator, &program.params, (rl_param_t){.type = params[i]});
        rl_vec_push(&allocator, &program.locals, (rl_local_t){.type = params[i]});
    }
    rl_vec_push(&allocator, &program.functions, f);
    return program.first_fn + program.functions.count - 1;
}
#define FN(name, result, ...) declare(name, result, (rl_type_t[]){__VA_ARGS__}, COUNT(__VA_ARGS__))
#define FN0(name, result)     declare(name, result, NULL, 0)
static rl_function_t* last_fn(void) { return &program.functions.data[program.functions.count - 1]; }
/* Locals are added before the next function is declared. */
static uint32_t local_of(rl_type_t type, uint32_t flags) {
    rl_vec_push(&allocator, &program.locals, (rl_local_t){.type = type, .flags = flags});
    return last_fn()->local_count++;
}
static void capture(uint32_t outer, rl_type_t type, uint32_t flags) {
    rl_function_t* f = last_fn();
    if (f->capture_count == 0) f->capture_first = program.captures.count;
    f->capture_count++;
    rl_vec_push(&allocator, &program.captures, outer);
    (void)local_of(type, flags | RL_LOCAL_CAPTURE);
}
static void body(rl_fn_id_t fn, rl_ir_t ir) { program.functions.data[fn - program.first_fn].body = ir; }

static rl_type_t declare_type(const char* name, rl_typedef_kind_t kind, uint32_t variants, uint32_t params) {
    rl_typedef_t def = {.name = sym(name),
        .module = 1,
        .kind = (uint8_t)kind,
        .type_params = (uint16_t)params,
        .variant_first = program.variants.count,
        .variant_count = variants};
    rl_vec_push(&allocator, &program.typedefs, def);
    return rl_type_named(&program.types, program.typedefs.count - 1, NULL, 0);
}
static void variant(const char* name, uint32_t count, const rl_type_t* types) {
    rl_vec_push(&allocator, &program.variants,
        (rl_variant_t){.name = sym(name), .field_first = program.fields.count, .field_count = count});
    for (uint32_t i = 0; i < count; i++) rl_vec_push(&allocator, &program.fields, (rl_field_t){.type = types[i]});
}
static rl_type_t builtin_type(const char* name, rl_builtin_type_t builtin, const rl_type_t* args, uint32_t count) {
    for (uint32_t i = 1; i < program.typedefs.count; i++) {
        if (program.typedefs.data[i].builtin == builtin) return rl_type_named(&program.types, i, args, count);
    }
    rl_typedef_t def = {
        .name = sym(name), .kind = RL_DEF_BUILTIN, .builtin = (uint8_t)builtin, .type_params = (uint16_t)count};
    rl_vec_push(&allocator, &program.typedefs, def);
    return rl_type_named(&program.types, program.typedefs.count - 1, args, count);
}
static rl_type_t list_type(rl_type_t element) { return builtin_type("List", RL_BUILTIN_LIST, &element, 1); }
static rl_type_t vec_type(rl_type_t element) { return builtin_type("Vec", RL_BUILTIN_VEC, &element, 1); }
static rl_type_t map_type(rl_type_t key, rl_type_t value) {
    return builtin_type("Map", RL_BUILTIN_MAP, (rl_type_t[]){key, value}, 2);
}
static rl_fn_id_t builtin_fn(const char* name, rl_type_t result, const rl_type_t* params, uint32_t count) {
    rl_fn_id_t id = declare(name, result, params, count);
    program.functions.data[id].kind = RL_FN_BUILTIN;
    program.functions.data[id].builtin = rl_builtin_find(rl_str(name));
    CHECK(program.functions.data[id].builtin != UINT32_MAX);
    return id;
}

/* --- looking at the result ---------------------------------------------------------------------------------------- */
static rl_proto_t* compile(rl_fn_id_t fn) {
    rl_proto_t* proto = rl_compile(&compiler, fn, NULL, 0, false);
    CHECK(proto != NULL);
    for (uint32_t i = 1; i < compiler.instances.count; i++) {
        rl_buf_t why;
        rl_buf_init(&why, &allocator);
        if (!rl_verify(compiler.instances.data[i].proto, &why))
            check_report(false, __FILE__, __LINE__, rl_buf_cstr(&why));
        rl_buf_deinit(&why);
    }
    return proto;
}

/* Instructions of the code in order, one per line, without their numbers. */
static void check_code(const rl_proto_t* proto, const char* expected, int line) {
    if (!proto) return;
    rl_buf_t out;
    rl_buf_init(&out, &allocator);
    rl_disassemble(NULL, proto, &out);
    const char* start = out.data ? memchr(out.data, '\n', out.length) : NULL;
    rl_str_t code = start ? (rl_str_t){start + 1, out.length - (size_t)(start + 1 - out.data)} : (rl_str_t){"", 0};
    check_bytes(code.data, code.length, expected, strlen(expected), __FILE__, line, "code");
    rl_buf_deinit(&out);
}
#define CHECK_CODE(proto, expected) check_code(proto, expected, __LINE__)

static uint32_t count_ops(const rl_proto_t* proto, unsigned op) {
    uint32_t n = 0;
    for (uint32_t i = 0; proto && i < proto->code_count; i++) n += proto->code[i].op == op;
    return n;
}

/* Run with scalar arguments; the result word. */
static rl_word_t run_with(const rl_proto_t* proto, const rl_word_t* args, rl_outcome_t expected) {
    rl_word_t result = {.i = -777};
    rl_vm_t vm;
    if (!proto || !CHECK(rl_vm_init(&vm, &allocator, &program))) return result;
    rl_vm_begin_run(&vm);
    CHECK(rl_vm_reserve_globals(&vm, program.globals.count + 1));
    rl_outcome_t outcome = rl_vm_call(&vm, proto, args, NULL, &result);
    if (outcome != expected && outcome == RL_RAISE)
        check_report(false, __FILE__, __LINE__, rl_buf_cstr(&vm.failure.message));
    CHECK_INT_EQ(outcome, expected);
    rl_vm_deinit(&vm);
    return result;
}
#define RUN_I(proto, ...) run_with(proto, (rl_word_t[]){__VA_ARGS__}, RL_DONE).i
#define W(v)              {.i = (v)}

/* --- arithmetic and calls ----------------------------------------------------------------------------------------- */
static rl_fn_id_t make_fib(void) {
    rl_fn_id_t fib = FN("fib", INT, INT);
    rl_ir_t left = CALL(INT, fib, binary(RL_IR_SUB, INT, local(0, INT), integer(1)));
    rl_ir_t right = CALL(INT, fib, binary(RL_IR_SUB, INT, local(0, INT), integer(2)));
    body(fib, if_else(INT, compare(RL_IR_LT, local(0, INT), integer(2)), local(0, INT), add(left, right)));
    return fib;
}

TEST(test_emit__fib_has_no_superfluous_instruction) {
    setup();
    rl_proto_t* p = compile(make_fib());
    CHECK_CODE(p, "     0  JGEK_I       s0, 2, ->2\n"
                  "     1  RETS         s0\n"
                  "     2  ADDK_I       s1, s0, -1\n"
                  "     3  CALL         s1, r0, fib\n"
                  "     4  ADDK_I       s2, s0, -2\n"
                  "     5  CALL         s2, r0, fib\n"
                  "     6  ADD_I        s1, s1, s2\n"
                  "     7  RETS_LI     \n");
    CHECK(p->leaf_scalar);
    CHECK_INT_EQ(p->entry_cost, 8);
    CHECK_INT_EQ(RUN_I(p, W(20)), 6765);
    teardown();
}

TEST(test_emit__while_loop_is_rotated_and_fused) {
    setup();
    /* var s = 0; var i = 0; while i < n { s := s + i % 7; i := i + 1 }; s */
    rl_fn_id_t f = FN("sum", INT, INT);
    uint32_t s = local_of(INT, RL_LOCAL_MUTABLE), i = local_of(INT, RL_LOCAL_MUTABLE);
    rl_ir_t step = set_local(s, add(local(s, INT), binary(RL_IR_REM, INT, local(i, INT), integer(7))));
    rl_ir_t next = set_local(i, add(local(i, INT), integer(1)));
    rl_ir_t loop = node(RL_IR_WHILE, UNIT, compare(RL_IR_LT, local(i, INT), local(0, INT)), BLOCK(step, next), 0);
    body(f, VALUE(INT, bind(s, integer(0)), bind(i, integer(0)), loop, local(s, INT)));
    rl_proto_t* p = compile(f);
    CHECK_CODE(p, "     0  LDI          s1, 0\n"
                  "     1  LDI          s2, 0\n"
                  "     2  JLE_I        s0, s2, ->7\n"
                  "     3  REMK_I       s3, s2, 7\n"
                  "     4  ADD_LI       s1, s1\n"
                  "     5  ADDK_I       s2, s2, 1\n"
                  "     6  WHILE_LT_LI  s0, ->3\n"
                  "     7  RETS         s1\n");
    CHECK_INT_EQ(p->entry_cost, 4);
    CHECK_INT_EQ(RUN_I(p, W(10)), 24);
    CHECK_INT_EQ(RUN_I(p, W(-1)), 0);
    teardown();
}

TEST(test_emit__for_range_uses_its_counter_as_the_variable) {
    setup();
    rl_fn_id_t f = FN("sum", INT, INT);
    uint32_t s = local_of(INT, RL_LOCAL_MUTABLE), i = local_of(INT, 0);
    rl_ir_t range = node(RL_IR_RANGE, INT, integer(0), local(0, INT), 0);
    rl_ir_t loop = node(RL_IR_FOR, UNIT, range, bind_pattern(INT, i), set_local(s, add(local(s, INT), local(i, INT))));
    body(f, VALUE(INT, bind(s, integer(0)), loop, local(s, INT)));
    rl_proto_t* p = compile(f);
    CHECK_CODE(p, "     0  LDI          s1, 0\n"
                  "     1  LDI          s2, 0\n"
                  "     2  JLEK_I       s0, 0, ->5\n"
                  "     3  ADD_I        s1, s1, s2\n"
                  "     4  FOR_LT       s2, s0, ->3\n"
                  "     5  RETS         s1\n");
    CHECK_INT_EQ(RUN_I(p, W(101)), 5050);
    CHECK_INT_EQ(RUN_I(p, W(0)), 0);
    teardown();
}

TEST(test_emit__inclusive_range_ends_at_the_largest_integer) {
    setup();
    rl_fn_id_t f = FN("count", INT, INT, INT);
    uint32_t s = local_of(INT, RL_LOCAL_MUTABLE);
    rl_ir_t range = node_flags(RL_IR_RANGE, 1, INT, local(0, INT), local(1, INT), 0);
    rl_ir_t loop = node(RL_IR_FOR, UNIT, range, any_pattern(INT), set_local(s, add(local(s, INT), integer(1))));
    body(f, VALUE(INT, bind(s, integer(0)), loop, local(s, INT)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(INT64_MAX - 2), W(INT64_MAX)), 3);
    CHECK_INT_EQ(RUN_I(p, W(5), W(4)), 0);
    teardown();
}

TEST(test_emit__operand_is_read_before_a_later_one_assigns_it) {
    setup();
    /* x + { x := 5; 1 } adds the old x */
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t x = local_of(INT, RL_LOCAL_MUTABLE);
    rl_ir_t assign = VALUE(INT, set_local(x, integer(5)), integer(1));
    body(f, VALUE(INT, bind(x, local(0, INT)), add(local(x, INT), assign)));
    CHECK_INT_EQ(RUN_I(compile(f), W(10)), 11);
    teardown();
}

TEST(test_emit__assignment_does_not_clobber_its_own_operands) {
    setup();
    /* x := (x + 1) * (x + 2) */
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t x = local_of(INT, RL_LOCAL_MUTABLE);
    rl_ir_t product = binary(RL_IR_MUL, INT, add(local(x, INT), integer(1)), add(local(x, INT), integer(2)));
    body(f, VALUE(INT, bind(x, local(0, INT)), set_local(x, product), local(x, INT)));
    CHECK_INT_EQ(RUN_I(compile(f), W(3)), 20);
    teardown();
}

TEST(test_emit__narrow_integers_trap_at_their_own_width) {
    setup();
    rl_fn_id_t f = FN("f", RL_TYPE_U8, RL_TYPE_U8);
    body(f, binary(RL_IR_ADD, RL_TYPE_U8, local(0, RL_TYPE_U8), integer_of(RL_TYPE_U8, 200)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(55)), 255);
    (void)run_with(p, (rl_word_t[]){W(56)}, RL_RAISE);
    teardown();
}

TEST(test_emit__unsigned_64_compares_as_unsigned) {
    setup();
    rl_fn_id_t f = FN("f", BOOL, RL_TYPE_U64, RL_TYPE_U64);
    body(f, compare(RL_IR_GT, local(0, RL_TYPE_U64), local(1, RL_TYPE_U64)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(-1), W(1)), 1);
    rl_fn_id_t g = FN("g", INT, RL_TYPE_U64);
    body(g, if_else(INT, compare(RL_IR_LT, local(0, RL_TYPE_U64), integer_of(RL_TYPE_U64, 5)), integer(1), integer(2)));
    CHECK_INT_EQ(RUN_I(compile(g), W(-1)), 2);
    teardown();
}

TEST(test_emit__not_a_number_fails_both_orders) {
    setup();
    /* if !(x < 1.0) then 1 else 0; while-conditions and values agree */
    rl_fn_id_t f = FN("f", INT, FLOAT);
    rl_ir_t less = compare(RL_IR_LT, local(0, FLOAT), real(1.0));
    body(f, if_else(INT, node(RL_IR_NOT, BOOL, less, 0, 0), integer(1), integer(0)));
    rl_proto_t* p = compile(f);
    double nan = strtod("nan", NULL);
    CHECK_INT_EQ(run_with(p, (rl_word_t[]){{.f = nan}}, RL_DONE).i, 1);
    CHECK_INT_EQ(run_with(p, (rl_word_t[]){{.f = 0.5}}, RL_DONE).i, 0);
    teardown();
}

TEST(test_emit__float_constants_of_loops_stay_in_registers) {
    setup();
    rl_fn_id_t f = FN("f", FLOAT, INT);
    uint32_t x = local_of(FLOAT, RL_LOCAL_MUTABLE);
    rl_ir_t range = node(RL_IR_RANGE, INT, integer(0), local(0, INT), 0);
    rl_ir_t step = set_local(x, binary(RL_IR_MUL, FLOAT, local(x, FLOAT), real(2.0)));
    body(f, VALUE(FLOAT, bind(x, real(1.0)), node(RL_IR_FOR, UNIT, range, any_pattern(INT), step), local(x, FLOAT)));
    rl_proto_t* p = compile(f);
    CHECK(run_with(p, (rl_word_t[]){W(10)}, RL_DONE).f == 1024.0);
    CHECK_CODE(p, "     0  LDK          s1, 4611686018427387904 = 2.0\n"
                  "     1  LDK          s2, 4607182418800017408 = 1.0\n"
                  "     2  LDI          s3, 0\n"
                  "     3  JLEK_I       s0, 0, ->6\n"
                  "     4  MUL_F        s2, s2, s1\n"
                  "     5  FOR_LT       s3, s0, ->4\n"
                  "     6  RETS         s2\n");
    teardown();
}

TEST(test_emit__a_product_and_a_sum_of_floats_are_one_instruction) {
    setup();
    /* x * x + y * 2.0 - x, as the left operand and as the right one */
    rl_fn_id_t f = FN("f", FLOAT, FLOAT, FLOAT);
    rl_ir_t square = binary(RL_IR_MUL, FLOAT, local(0, FLOAT), local(0, FLOAT));
    rl_ir_t twice = binary(RL_IR_MUL, FLOAT, local(1, FLOAT), real(2.0));
    body(f, binary(RL_IR_SUB, FLOAT, binary(RL_IR_ADD, FLOAT, square, twice), local(0, FLOAT)));
    rl_proto_t* p = compile(f);
    CHECK(run_with(p, (rl_word_t[]){{.f = 3.0}, {.f = 5.0}}, RL_DONE).f == 16.0);
    CHECK_CODE(p, "     0  MUL_F        s2, s0, s0\n"
                  "     1  LDK          s3, 4611686018427387904 = 2.0\n"
                  "     2  MULADD_F     s2, s1, s3, s2\n"
                  "     3  SUB_LF       s2, s0\n"
                  "     4  RETS_LF     \n");
    rl_fn_id_t g = FN("g", FLOAT, FLOAT, FLOAT);
    rl_ir_t product = binary(RL_IR_MUL, FLOAT, local(0, FLOAT), local(1, FLOAT));
    body(g, binary(RL_IR_SUB, FLOAT, product, local(1, FLOAT)));
    p = compile(g);
    CHECK(run_with(p, (rl_word_t[]){{.f = 3.0}, {.f = 5.0}}, RL_DONE).f == 10.0);
    CHECK_CODE(p, "     0  MULSUB_F     s2, s0, s1, s1\n"
                  "     1  RETS_LF     \n");
    teardown();
}

TEST(test_emit__a_float_computed_right_before_is_not_read_back) {
    setup();
    /* while x < 9.0 { x := x * x }: the product goes on into the test, but not from the test before the loop into the body */
    rl_fn_id_t f = FN("f", FLOAT, FLOAT);
    uint32_t x = local_of(FLOAT, RL_LOCAL_MUTABLE);
    rl_ir_t square = set_local(x, binary(RL_IR_MUL, FLOAT, local(x, FLOAT), local(x, FLOAT)));
    rl_ir_t less = compare(RL_IR_LT, local(x, FLOAT), real(9.0)),
            half = binary(RL_IR_DIV, FLOAT, local(0, FLOAT), real(2.0));
    body(f, VALUE(FLOAT, bind(x, half), node(RL_IR_WHILE, UNIT, less, square, 0), local(x, FLOAT)));
    rl_proto_t* p = compile(f);
    CHECK(run_with(p, (rl_word_t[]){{.f = 4.0}}, RL_DONE).f == 16.0);
    CHECK_CODE(p, "     0  LDK          s1, 4621256167635550208 = 9.0\n"
                  "     1  LDK          s3, 4611686018427387904 = 2.0\n"
                  "     2  DIV_F        s2, s0, s3\n"
                  "     3  JNLT_LF      s1, ->6\n"
                  "     4  MUL_F        s2, s2, s2\n"
                  "     5  WHILE_LT_LF  s1, ->4\n"
                  "     6  RETS         s2\n");
    teardown();
}

TEST(test_emit__short_circuit_conditions_jump) {
    setup();
    /* if (a < b && b < c) || a == 9 then 1 else 0 */
    rl_fn_id_t f = FN("f", INT, INT, INT, INT);
    rl_ir_t both = binary(RL_IR_AND, BOOL, compare(RL_IR_LT, local(0, INT), local(1, INT)),
        compare(RL_IR_LT, local(1, INT), local(2, INT)));
    rl_ir_t either = binary(RL_IR_OR, BOOL, both, compare(RL_IR_EQ, local(0, INT), integer(9)));
    body(f, if_else(INT, either, integer(1), integer(0)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(1), W(2), W(3)), 1);
    CHECK_INT_EQ(RUN_I(p, W(1), W(3), W(2)), 0);
    CHECK_INT_EQ(RUN_I(p, W(9), W(3), W(2)), 1);
    rl_fn_id_t g = FN("g", BOOL, INT, INT);
    rl_ir_t v = binary(
        RL_IR_AND, BOOL, compare(RL_IR_LT, local(0, INT), local(1, INT)), compare(RL_IR_NE, local(0, INT), integer(0)));
    body(g, node(RL_IR_NOT, BOOL, v, 0, 0));
    p = compile(g);
    CHECK_INT_EQ(RUN_I(p, W(1), W(2)), 0);
    CHECK_INT_EQ(RUN_I(p, W(0), W(2)), 1);
    CHECK_INT_EQ(RUN_I(p, W(3), W(2)), 1);
    teardown();
}

TEST(test_emit__long_chains_do_not_recurse) {
    setup();
    rl_fn_id_t f = FN("f", INT, INT);
    rl_ir_t sum = local(0, INT);
    for (int i = 0; i < 200000; i++) sum = add(sum, integer(1));
    body(f, sum);
    CHECK_INT_EQ(RUN_I(compile(f), W(5)), 200005);
    rl_fn_id_t g = FN("g", INT, INT);
    rl_ir_t chain = integer(-1);
    for (int i = 3000; i-- > 0;)
        chain = if_else(INT, compare(RL_IR_EQ, local(0, INT), integer(i)), integer(i * 2), chain);
    body(g, chain);
    rl_proto_t* p = compile(g);
    CHECK_INT_EQ(RUN_I(p, W(2999)), 5998);
    CHECK_INT_EQ(RUN_I(p, W(3000)), -1);
    teardown();
}

TEST(test_emit__deep_nesting_gets_a_big_stack) {
    setup();
    rl_fn_id_t f = FN("f", INT, INT);
    rl_ir_t e = local(0, INT);
    for (int i = 0; i < 4000; i++) e = add(integer(1), node(RL_IR_NEG, INT, e, 0, 0));
    body(f, e);
    CHECK_INT_EQ(RUN_I(compile(f), W(7)), 7);
    teardown();
}

TEST(test_emit__jumps_past_16_bits_are_lengthened) {
    setup();
    /* for i in 0..n { if i == 1 { huge } }: forward over it and back across it */
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t s = local_of(INT, RL_LOCAL_MUTABLE), i = local_of(INT, 0);
    enum { LENGTH = 70000 };
    uint32_t first = program.extra.count;
    for (int k = 0; k < LENGTH; k++) rl_vec_push(&allocator, &program.extra, 0);
    for (int k = 0; k < LENGTH; k++)
        program.extra.data[first + (uint32_t)k] = set_local(s, add(local(s, INT), integer(1)));
    rl_ir_t huge = node(RL_IR_BLOCK, UNIT, first, LENGTH, 0);
    rl_ir_t test = if_else(UNIT, compare(RL_IR_EQ, local(i, INT), integer(1)), huge, 0);
    rl_ir_t loop =
        node(RL_IR_FOR, UNIT, node(RL_IR_RANGE, INT, integer(0), local(0, INT), 0), bind_pattern(INT, i), test);
    rl_ir_t again = node(RL_IR_WHILE, UNIT, compare(RL_IR_LT, local(s, INT), integer(3)), huge, 0);
    body(f, VALUE(INT, bind(s, integer(0)), again, loop, local(s, INT)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(3)), 2 * LENGTH);
    CHECK_INT_EQ(RUN_I(p, W(1)), LENGTH);
    teardown();
}

TEST(test_emit__tail_calls_do_not_grow_the_stack) {
    setup();
    /* of itself: a loop; the parameters swap places on the way */
    rl_fn_id_t f = FN("count", INT, INT, INT, INT);
    rl_ir_t again =
        TAIL(INT, f, binary(RL_IR_SUB, INT, local(0, INT), integer(1)), add(local(2, INT), integer(2)), local(1, INT));
    body(f, if_else(INT, compare(RL_IR_EQ, local(0, INT), integer(0)),
                binary(RL_IR_SUB, INT, local(1, INT), local(2, INT)), again));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(count_ops(p, RL_OP_LOOP), 1);
    CHECK_INT_EQ(RUN_I(p, W(1000001), W(5), W(7)), 4);
    /* of each other */
    rl_fn_id_t even = FN("even", BOOL, INT), odd = FN("odd", BOOL, INT);
    rl_ir_t less = binary(RL_IR_SUB, INT, local(0, INT), integer(1)),
            is_zero = compare(RL_IR_EQ, local(0, INT), integer(0));
    body(even, if_else(BOOL, is_zero, integer_of(BOOL, 1), TAIL(BOOL, odd, less)));
    body(odd, if_else(BOOL, is_zero, integer_of(BOOL, 0), TAIL(BOOL, even, less)));
    p = compile(even);
    CHECK_INT_EQ(count_ops(p, RL_OP_TAILCALL), 1);
    CHECK_INT_EQ(RUN_I(p, W(1000001)), 0);
    teardown();
}

/* --- objects and patterns ----------------------------------------------------------------------------------------- */
static rl_type_t make_tree_type(void) {
    rl_type_t tree = declare_type("Tree", RL_DEF_SUM, 2, 0);
    variant("Leaf", 0, NULL);
    variant("Node", 2, (rl_type_t[]){tree, tree});
    return tree;
}

TEST(test_emit__trees_are_built_in_place_and_walked_without_marks) {
    setup();
    rl_type_t tree = make_tree_type();
    rl_fn_id_t make = FN("make", tree, INT);
    rl_ir_t leaf = node(RL_IR_VARIANT, tree, 0, 0, 0);
    rl_ir_t smaller = binary(RL_IR_SUB, INT, local(0, INT), integer(1));
    rl_ir_t both = VARIANT(tree, 1, CALL(tree, make, smaller), CALL(tree, make, smaller));
    body(make, if_else(tree, compare(RL_IR_EQ, local(0, INT), integer(0)), leaf, both));
    rl_fn_id_t check = FN("check", INT, tree);
    uint32_t l = local_of(tree, 0), r = local_of(tree, 0);
    rl_ir_t count = add(add(integer(1), CALL(INT, check, local(l, tree))), CALL(INT, check, local(r, tree)));
    body(check, MATCH(INT, local(0, tree), ARM(node(RL_PAT_VARIANT, tree, 0, 0, 0), 0, integer(1)),
                    ARM(VARIANT_PATTERN(tree, 1, bind_pattern(tree, l), bind_pattern(tree, r)), 0, count)));
    rl_fn_id_t run = FN("run", INT, INT);
    body(run, CALL(INT, check, CALL(tree, make, local(0, INT))));
    CHECK_INT_EQ(RUN_I(compile(run), W(6)), 127);
    CHECK_CODE(compile(make), "     0  JNEK_I       s0, 0, ->3\n"
                              "     1  LDNULLARY    r0, 0\n"
                              "     2  RETR         r0\n"
                              "     3  ADDK_I       s1, s0, -1\n"
                              "     4  CALL         s1, r0, make\n"
                              "     5  ADDK_I       s1, s0, -1\n"
                              "     6  CALL         s1, r1, make\n"
                              "     7  NEW          s1, r0, tag 1, 2 refs, 0 scalars\n"
                              "     8  RETR         r0\n");
    CHECK_CODE(compile(check), "     0  JNTAG        r0, 0, ->3\n"
                               "     1  LDI          s0, 1\n"
                               "     2  RETS         s0\n"
                               "     3  GETR         r1, r0, 0\n"
                               "     4  CALL         s0, r1, check\n"
                               "     5  ADDK_I       s1, s0, 1\n"
                               "     6  GETR         r1, r0, 1\n"
                               "     7  CALL         s2, r1, check\n"
                               "     8  ADD_I        s1, s1, s2\n"
                               "     9  RETS_LI     \n");
    teardown();
}

TEST(test_emit__layout_puts_references_first) {
    setup();
    rl_type_t pair = declare_type("P", RL_DEF_SUM, 2, 0);
    variant("A", 4, (rl_type_t[]){INT, STR, FLOAT, STR});
    variant("B", 0, NULL);
    const rl_rtype_t* r = rl_rtype_of(&compiler, pair);
    if (CHECK(r != NULL)) {
        CHECK_INT_EQ(r->shape_count, 2);
        CHECK_INT_EQ(r->shapes[0].refs, 2);
        CHECK_INT_EQ(r->shapes[0].words, 4);
        CHECK_INT_EQ(r->shapes[0].fields[0].slot, 2);
        CHECK_INT_EQ(r->shapes[0].fields[1].slot, 0);
        CHECK_INT_EQ(r->shapes[0].fields[2].slot, 3);
        CHECK_INT_EQ(r->shapes[0].fields[3].slot, 1);
        CHECK(!r->is_enum);
    }
    rl_type_t color = declare_type("Color", RL_DEF_SUM, 3, 0);
    variant("Red", 0, NULL);
    variant("Green", 0, NULL);
    variant("Blue", 0, NULL);
    r = rl_rtype_of(&compiler, color);
    CHECK(r && r->is_enum && r->rep == RL_REP_S && r->element == RL_ELEM_U8);
    rl_type_t wrapped = declare_type("Meters", RL_DEF_NEWTYPE, 1, 0);
    variant("Meters", 1, (rl_type_t[]){FLOAT});
    r = rl_rtype_of(&compiler, wrapped);
    CHECK(r && r->rep == RL_REP_F && r->payload && r->payload->type == FLOAT);
    teardown();
}

TEST(test_emit__recursive_types_without_end_meet_the_limit) {
    setup();
    /* type T<A> = N(A, T<(A, A)>) */
    rl_typedef_t def = {.name = sym("T"),
        .kind = RL_DEF_SUM,
        .type_params = 1,
        .variant_first = program.variants.count,
        .variant_count = 1};
    rl_vec_push(&allocator, &program.typedefs, def);
    uint32_t id = program.typedefs.count - 1;
    rl_type_t a = rl_type_param(&program.types, 0);
    rl_type_t pair = rl_type_tuple(&program.types, (rl_type_t[]){a, a}, 2);
    variant("N", 2, (rl_type_t[]){a, rl_type_named(&program.types, id, &pair, 1)});
    rl_type_t of_int = INT;
    CHECK(rl_rtype_of(&compiler, rl_type_named(&program.types, id, &of_int, 1)) == NULL);
    CHECK(compiler.failed && compiler.failed_code == RL_CODE_TYPE_INSTANTIATION_LIMIT);
    teardown();
}

TEST(test_emit__four_constructors_switch) {
    setup();
    rl_type_t t = declare_type("Op", RL_DEF_SUM, 5, 0);
    for (int i = 0; i < 5; i++) variant("V", i == 4 ? 0 : 1, (rl_type_t[]){INT});
    rl_fn_id_t eval = FN("eval", INT, t);
    uint32_t x = local_of(INT, 0);
    uint32_t arms[15];
    for (uint32_t i = 0; i < 5; i++) {
        arms[3 * i] = i == 4 ? any_pattern(t) : VARIANT_PATTERN(t, i, bind_pattern(INT, x));
        arms[3 * i + 1] = i == 1 ? compare(RL_IR_GT, local(x, INT), integer(100)) : 0;
        arms[3 * i + 2] = i == 4 ? integer(-1) : add(local(x, INT), integer((int64_t)i * 1000));
    }
    body(eval, node(RL_IR_MATCH, INT, local(0, t), words(15, arms), 5));
    rl_proto_t* p = compile(eval);
    CHECK_INT_EQ(count_ops(p, RL_OP_SWITCH_TAG), 1);
    rl_fn_id_t f = FN("f", INT, INT, INT);
    rl_ir_t make = VARIANT(t, 3, local(1, INT));
    for (uint32_t i = 0; i < 3; i++)
        make = if_else(t, compare(RL_IR_EQ, local(0, INT), integer(i)), VARIANT(t, i, local(1, INT)), make);
    rl_ir_t last = if_else(t, compare(RL_IR_EQ, local(0, INT), integer(4)), node(RL_IR_VARIANT, t, 0, 0, 4), make);
    body(f, CALL(INT, eval, last));
    p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(0), W(7)), 7);
    CHECK_INT_EQ(RUN_I(p, W(1), W(7)), -1);
    CHECK_INT_EQ(RUN_I(p, W(1), W(107)), 1107);
    CHECK_INT_EQ(RUN_I(p, W(2), W(7)), 2007);
    CHECK_INT_EQ(RUN_I(p, W(3), W(7)), 3007);
    CHECK_INT_EQ(RUN_I(p, W(4), W(7)), -1);
    teardown();
}

TEST(test_emit__integer_match_with_ranges_guards_and_alternatives) {
    setup();
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t n = local_of(INT, 0);
    rl_ir_t one_or_two = node(RL_PAT_OR, INT, WORDS(const_pattern(integer(1)), const_pattern(integer(2))), 2, 0);
    rl_ir_t range = node(RL_PAT_RANGE, INT, integer(10), integer(20), 0);
    rl_ir_t closed = node_flags(RL_PAT_RANGE, 1, INT, integer(20), integer(30), 0);
    body(f, MATCH(INT, local(0, INT), ARM(one_or_two, 0, integer(100)), ARM(range, 0, integer(200)),
                ARM(closed, 0, integer(300)),
                ARM(bind_pattern(INT, n), compare(RL_IR_LT, local(n, INT), integer(0)),
                    node(RL_IR_NEG, INT, local(n, INT), 0, 0)),
                ARM(any_pattern(INT), 0, integer(0))));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(2)), 100);
    CHECK_INT_EQ(RUN_I(p, W(10)), 200);
    CHECK_INT_EQ(RUN_I(p, W(20)), 300);
    CHECK_INT_EQ(RUN_I(p, W(30)), 300);
    CHECK_INT_EQ(RUN_I(p, W(31)), 0);
    CHECK_INT_EQ(RUN_I(p, W(-8)), 8);
    teardown();
}

TEST(test_emit__match_without_an_arm_traps) {
    setup();
    rl_fn_id_t f = FN("f", INT, INT);
    body(f, MATCH(INT, local(0, INT), ARM(const_pattern(integer(1)), 0, integer(5))));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(1)), 5);
    (void)run_with(p, (rl_word_t[]){W(2)}, RL_RAISE);
    CHECK_INT_EQ(count_ops(p, RL_OP_TRAP), 1);
    teardown();
}

TEST(test_emit__or_pattern_alternatives_fill_the_same_names) {
    setup();
    rl_type_t pair = rl_type_tuple(&program.types, (rl_type_t[]){INT, INT}, 2);
    rl_fn_id_t f = FN("f", INT, INT, INT);
    uint32_t x = local_of(INT, 0);
    rl_ir_t left = node(RL_PAT_TUPLE, pair, WORDS(const_pattern(integer(0)), bind_pattern(INT, x)), 2, 0);
    rl_ir_t right = node(RL_PAT_TUPLE, pair, WORDS(bind_pattern(INT, x), const_pattern(integer(0))), 2, 0);
    rl_ir_t either = node(RL_PAT_OR, pair, WORDS(left, right), 2, 0);
    body(f, MATCH(INT, TUPLE(pair, local(0, INT), local(1, INT)), ARM(either, 0, local(x, INT)),
                ARM(any_pattern(pair), 0, integer(-1))));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(0), W(7)), 7);
    CHECK_INT_EQ(RUN_I(p, W(8), W(0)), 8);
    CHECK_INT_EQ(RUN_I(p, W(8), W(1)), -1);
    teardown();
}

/* --- closures ----------------------------------------------------------------------------------------------------- */
TEST(test_emit__closures_share_assigned_variables) {
    setup();
    /* var n = 1; let inc = |k| { n := n + k; n }; inc(5); inc(a) + n */
    rl_type_t fn_type = rl_type_function(&program.types, (rl_type_t[]){INT}, 1, INT);
    rl_fn_id_t outer = FN("outer", INT, INT);
    uint32_t n = local_of(INT, RL_LOCAL_MUTABLE | RL_LOCAL_BOXED), inc = local_of(fn_type, 0);
    rl_fn_id_t lambda = FN("", INT, INT);
    last_fn()->parent = outer;
    last_fn()->flags = RL_FN_LAMBDA;
    capture(n, INT, RL_LOCAL_MUTABLE | RL_LOCAL_BOXED);
    body(lambda, VALUE(INT, set_local(1, add(local(1, INT), local(0, INT))), local(1, INT)));
    rl_ir_t closure = node(RL_IR_CLOSURE, fn_type, lambda, 0, 0);
    rl_ir_t call5 = node(RL_IR_CALL_VALUE, INT, local(inc, fn_type), 0, WORDS(1, integer(5)));
    rl_ir_t call_a = node(RL_IR_CALL_VALUE, INT, local(inc, fn_type), 0, WORDS(1, local(0, INT)));
    body(outer, VALUE(INT, bind(n, integer(1)), bind(inc, closure), call5, add(call_a, local(n, INT))));
    CHECK_INT_EQ(RUN_I(compile(outer), W(10)), 32);
    teardown();
}

TEST(test_emit__local_functions_see_each_other) {
    setup();
    /* let base = a; fn even(n) = if n == 0 then base else odd(n - 1); fn odd(n) = …; even(10) */
    rl_type_t fn_type = rl_type_function(&program.types, (rl_type_t[]){INT}, 1, INT);
    rl_fn_id_t outer = FN("outer", INT, INT, INT);
    uint32_t even_local = local_of(fn_type, 0), odd_local = local_of(fn_type, 0);
    rl_fn_id_t even = FN("even", INT, INT);
    last_fn()->parent = outer;
    capture(0, INT, 0);
    capture(odd_local, fn_type, 0);
    rl_fn_id_t odd = FN("odd", INT, INT);
    last_fn()->parent = outer;
    capture(even_local, fn_type, 0);
    rl_ir_t less = binary(RL_IR_SUB, INT, local(0, INT), integer(1));
    rl_ir_t is_zero = compare(RL_IR_EQ, local(0, INT), integer(0));
    body(even, if_else(INT, is_zero, local(1, INT), CALL(INT, odd, less)));
    body(odd, if_else(INT, is_zero, integer(0), CALL(INT, even, less)));
    rl_ir_t group = node(RL_IR_CLOSURE_GROUP, UNIT, WORDS(even_local, even, odd_local, odd), 2, 0);
    body(outer, VALUE(INT, group, CALL(INT, even, local(1, INT))));
    rl_proto_t* p = compile(outer);
    CHECK_INT_EQ(RUN_I(p, W(42), W(10)), 42);
    CHECK_INT_EQ(RUN_I(p, W(42), W(11)), 0);
    teardown();
}

TEST(test_emit__recursion_of_a_capturing_function_needs_no_new_closure) {
    setup();
    rl_type_t fn_type = rl_type_function(&program.types, (rl_type_t[]){INT}, 1, INT);
    rl_fn_id_t outer = FN("outer", INT, INT, INT);
    uint32_t held = local_of(fn_type, 0);
    rl_fn_id_t go = FN("go", INT, INT);
    last_fn()->parent = outer;
    capture(0, INT, 0);
    rl_ir_t rest = CALL(INT, go, binary(RL_IR_SUB, INT, local(0, INT), integer(1)));
    body(go, if_else(INT, compare(RL_IR_EQ, local(0, INT), integer(0)), integer(0), add(local(1, INT), rest)));
    body(outer, VALUE(INT, node(RL_IR_CLOSURE_GROUP, UNIT, WORDS(held, go), 1, 0), CALL(INT, go, local(1, INT))));
    rl_proto_t* p = compile(outer);
    CHECK_INT_EQ(RUN_I(p, W(3), W(5)), 15);
    CHECK_INT_EQ(count_ops(p, RL_OP_CLOSURE), 1);
    for (uint32_t i = 1; i < compiler.instances.count; i++) {
        if (compiler.instances.data[i].function == go)
            CHECK_INT_EQ(count_ops(compiler.instances.data[i].proto, RL_OP_CLOSURE), 0);
    }
    teardown();
}

TEST(test_emit__functions_without_captures_are_constants) {
    setup();
    rl_type_t fn_type = rl_type_function(&program.types, (rl_type_t[]){INT}, 1, INT);
    rl_fn_id_t twice = FN("twice", INT, INT);
    body(twice, binary(RL_IR_MUL, INT, local(0, INT), integer(2)));
    rl_fn_id_t apply = FN("apply", INT, fn_type, INT);
    body(apply, node_flags(RL_IR_CALL_VALUE, RL_IR_TAIL, INT, local(0, fn_type), 0, WORDS(1, local(1, INT))));
    rl_fn_id_t f = FN("f", INT, INT);
    body(f, CALL(INT, apply, node(RL_IR_CLOSURE, fn_type, twice, 0, 0), local(0, INT)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(count_ops(p, RL_OP_CLOSURE), 0);
    CHECK_INT_EQ(count_ops(p, RL_OP_LDR), 1);
    CHECK_INT_EQ(RUN_I(p, W(21)), 42);
    CHECK_INT_EQ(count_ops(compile(apply), RL_OP_TAILCALLV), 1);
    teardown();
}

/* --- generics ----------------------------------------------------------------------------------------------------- */
TEST(test_emit__instances_use_the_instructions_of_their_types) {
    setup();
    rl_type_t t = rl_type_param(&program.types, 0);
    rl_fn_id_t plus = FN("plus", t, t);
    last_fn()->type_params = 1;
    body(plus, add(local(0, t), integer_of(t, 1)));
    rl_type_t i = INT, f = FLOAT;
    rl_proto_t* of_int = rl_compile(&compiler, plus, &i, 1, false);
    rl_proto_t* of_float = rl_compile(&compiler, plus, &f, 1, false);
    CHECK(of_int && of_float && of_int != of_float && of_int == rl_compile(&compiler, plus, &i, 1, false));
    CHECK_INT_EQ(RUN_I(of_int, W(41)), 42);
    CHECK(run_with(of_float, (rl_word_t[]){{.f = 0.5}}, RL_DONE).f == 1.5);
    teardown();
}

TEST(test_emit__polymorphic_recursion_meets_the_limit) {
    setup();
    /* fn f<T>(x: T) -> Int = f((x, x)) */
    rl_type_t t = rl_type_param(&program.types, 0);
    rl_type_t pair = rl_type_tuple(&program.types, (rl_type_t[]){t, t}, 2);
    rl_fn_id_t f = FN("f", INT, t);
    last_fn()->type_params = 1;
    rl_ir_t call = node(RL_IR_CALL, INT, f, WORDS(pair), WORDS(1, TUPLE(pair, local(0, t), local(0, t))));
    body(f, call);
    rl_type_t i = INT;
    CHECK(rl_compile(&compiler, f, &i, 1, false) == NULL);
    CHECK(compiler.failed && compiler.failed_code == RL_CODE_TYPE_INSTANTIATION_LIMIT);
    rl_fn_id_t g = FN0("g", INT);
    body(g, integer(3));
    CHECK_INT_EQ(RUN_I(compile(g), W(0)), 3); /* the table is as before */
    teardown();
}

TEST(test_emit__small_functions_of_the_prelude_are_compiled_in_place) {
    setup();
    rl_type_t list = list_type(INT);
    rl_fn_id_t len = builtin_fn("list.len", INT, (rl_type_t[]){list}, 1);
    rl_fn_id_t is_empty = FN("is_empty", BOOL, list);
    body(is_empty, compare(RL_IR_EQ, CALL(INT, len, local(0, list)), integer(0)));
    rl_fn_id_t clamp = FN("clamp", INT, INT, INT);
    rl_ir_t above = compare(RL_IR_GT, local(0, INT), local(1, INT));
    body(clamp, if_else(INT, above, local(1, INT), local(0, INT)));
    rl_fn_id_t looping = FN("looping", INT, INT);
    body(looping, VALUE(INT, node(RL_IR_WHILE, UNIT, integer_of(BOOL, 0), BLOCK(integer(1)), 0), local(0, INT)));

    static rl_program_t below;
    below = program;
    below.symbols.arena = &below.arena;
    rl_compiler_deinit(&compiler);
    rl_program_init(&program, &below, &allocator);
    rl_compiler_init(&compiler, &program, &allocator);
    rl_fn_id_t f = FN("f", INT, list, INT);
    uint32_t x = local_of(INT, RL_LOCAL_MUTABLE);
    /* var x = n; x := clamp(x + 1, x * 2); if is_empty(xs) then x else looping(x) */
    rl_ir_t call = CALL(INT, clamp, add(local(x, INT), integer(1)), binary(RL_IR_MUL, INT, local(x, INT), integer(2)));
    rl_ir_t value =
        if_else(INT, CALL(BOOL, is_empty, local(0, list)), local(x, INT), CALL(INT, looping, local(x, INT)));
    body(f, VALUE(INT, bind(x, local(1, INT)), set_local(x, call), value));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(count_ops(p, RL_OP_CALL), 1);
    CHECK_INT_EQ(count_ops(p, RL_OP_CALLB_S), 1);
    rl_fn_id_t g = FN("g", INT, INT);
    body(g, CALL(INT, f, node(RL_IR_LIST, list, 0, 0, 0), local(0, INT)));
    p = compile(g);
    CHECK_INT_EQ(RUN_I(p, W(-5)), -10);
    CHECK_INT_EQ(RUN_I(p, W(5)), 6);
    rl_compiler_deinit(&compiler);
    rl_program_deinit(&program);
    rl_program_deinit(&below);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

/* --- loops, defer ------------------------------------------------------------------------------------------------- */
TEST(test_emit__loop_gives_the_value_of_its_break) {
    setup();
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t i = local_of(INT, RL_LOCAL_MUTABLE);
    rl_ir_t leave = node(RL_IR_BREAK, RL_TYPE_NEVER, binary(RL_IR_MUL, INT, local(i, INT), integer(10)), 0, 0);
    rl_ir_t test = if_else(UNIT, compare(RL_IR_GE, local(i, INT), local(0, INT)), leave, 0);
    rl_ir_t skip =
        if_else(UNIT, compare(RL_IR_EQ, local(i, INT), integer(3)), node(RL_IR_CONTINUE, RL_TYPE_NEVER, 0, 0, 0), 0);
    rl_ir_t step = set_local(i, add(local(i, INT), integer(1)));
    body(f, VALUE(INT, bind(i, integer(0)), node(RL_IR_LOOP, INT, BLOCK(step, skip, test), 0, 0)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(5)), 50);
    CHECK_INT_EQ(RUN_I(p, W(3)), 40);
    teardown();
}

TEST(test_emit__defers_run_last_first_on_every_way_out) {
    setup();
    /* var log = 0; { defer log := log * 10 + 1; defer log := log * 10 + 2; if n == 0 { return 7 } }; log */
    rl_global_t global = {.name = sym("log"), .type = INT};
    rl_vec_push(&allocator, &program.globals, global);
    uint32_t log = program.globals.count - 1;
    rl_type_t thunk = rl_type_function(&program.types, NULL, 0, UNIT);
    rl_fn_id_t f = FN("f", INT, INT);
    rl_fn_id_t defers[2];
    for (uint32_t i = 0; i < 2; i++) {
        defers[i] = FN0("", UNIT);
        last_fn()->parent = f;
        last_fn()->flags = RL_FN_LAMBDA;
        rl_ir_t ten = binary(RL_IR_MUL, INT, node(RL_IR_GLOBAL, INT, log, 0, 0), integer(10));
        body(defers[i], node(RL_IR_SET_GLOBAL, UNIT, log, add(ten, integer(i + 1)), 0));
    }
    rl_ir_t d1 = node(RL_IR_DEFER, UNIT, node(RL_IR_CLOSURE, thunk, defers[0], 0, 0), 0, 0);
    rl_ir_t d2 = node(RL_IR_DEFER, UNIT, node(RL_IR_CLOSURE, thunk, defers[1], 0, 0), 0, 0);
    rl_ir_t ret = node(RL_IR_RETURN, RL_TYPE_NEVER, integer(7), 0, 0);
    rl_ir_t leave = if_else(UNIT, compare(RL_IR_EQ, local(0, INT), integer(0)), ret, 0);
    rl_ir_t inner = node_flags(RL_IR_BLOCK, RL_IR_BLOCK_DEFERS, UNIT, WORDS(d1, d2, leave), 3, 0);
    rl_ir_t init = node_flags(RL_IR_SET_GLOBAL, 1, UNIT, log, integer(0), 0);
    body(f, VALUE(INT, init, inner, node(RL_IR_GLOBAL, INT, log, 0, 0)));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(RUN_I(p, W(1)), 21);
    CHECK_INT_EQ(RUN_I(p, W(0)), 7);
    CHECK_INT_EQ(count_ops(p, RL_OP_DEFER), 2);
    CHECK_INT_EQ(count_ops(p, RL_OP_UNDEFER), 4);
    teardown();
}

/* --- ownership ---------------------------------------------------------------------------------------------------- */
static rl_fn_id_t push_fn(rl_type_t list) { return builtin_fn("list.push", list, (rl_type_t[]){list, INT}, 2); }

TEST(test_emit__appending_in_a_loop_marks_nothing) {
    setup();
    rl_type_t list = list_type(INT);
    rl_fn_id_t push = push_fn(list);
    rl_fn_id_t len = builtin_fn("list.len", INT, (rl_type_t[]){list}, 1);
    rl_fn_id_t f = FN("f", list, INT);
    uint32_t xs = local_of(list, RL_LOCAL_MUTABLE), i = local_of(INT, 0);
    /* for i in 0..n { xs := xs.push(xs.len() + i) } */
    rl_ir_t value = add(CALL(INT, len, local(xs, list)), local(i, INT));
    rl_ir_t step = set_local(xs, CALL(list, push, local(xs, list), value));
    rl_ir_t range = node(RL_IR_RANGE, INT, integer(0), local(0, INT), 0);
    rl_ir_t empty = node(RL_IR_LIST, list, 0, 0, 0);
    body(f, VALUE(list, bind(xs, empty), node(RL_IR_FOR, UNIT, range, bind_pattern(INT, i), step), local(xs, list)));
    CHECK_INT_EQ(count_ops(compile(f), RL_OP_SHARE), 0);
    teardown();
}

TEST(test_emit__a_value_used_again_is_marked_before_it_is_consumed) {
    setup();
    rl_type_t list = list_type(INT);
    rl_fn_id_t push = push_fn(list);
    rl_type_t pair = rl_type_tuple(&program.types, (rl_type_t[]){list, list}, 2);
    /* let ys = xs.push(1); (xs, ys) */
    rl_fn_id_t f = FN("f", pair, list);
    uint32_t ys = local_of(list, 0);
    body(f, VALUE(pair, bind(ys, CALL(list, push, local(0, list), integer(1))),
                TUPLE(pair, local(0, list), local(ys, list))));
    CHECK_INT_EQ(count_ops(compile(f), RL_OP_SHARE), 1);
    /* (xs, xs): twice in one operation */
    rl_fn_id_t g = FN("g", pair, list);
    body(g, TUPLE(pair, local(0, list), local(0, list)));
    CHECK_INT_EQ(count_ops(compile(g), RL_OP_SHARE), 2);
    /* loop over a variable declared outside: the read in the loop is never the last */
    rl_fn_id_t h = FN("h", UNIT, list, INT);
    rl_ir_t range = node(RL_IR_RANGE, INT, integer(0), local(1, INT), 0);
    body(h, node(RL_IR_FOR, UNIT, range, any_pattern(INT), CALL(list, push, local(0, list), integer(1))));
    CHECK_INT_EQ(count_ops(compile(h), RL_OP_SHARE), 1);
    teardown();
}

TEST(test_emit__arguments_that_are_only_looked_at_are_not_marked) {
    setup();
    rl_type_t list = list_type(INT);
    rl_fn_id_t len = builtin_fn("list.len", INT, (rl_type_t[]){list}, 1);
    rl_fn_id_t push = push_fn(list);
    rl_fn_id_t half = FN("half", INT, list);
    body(half, binary(RL_IR_DIV, INT, CALL(INT, len, local(0, list)), integer(2)));
    rl_fn_id_t keeps = FN("keeps", list, list);
    body(keeps, local(0, list));
    rl_fn_id_t f = FN("f", list, list);
    uint32_t h = local_of(INT, 0);
    body(f, VALUE(list, bind(h, CALL(INT, half, local(0, list))), CALL(list, push, local(0, list), local(h, INT))));
    CHECK_INT_EQ(count_ops(compile(f), RL_OP_SHARE), 0);
    rl_fn_id_t g = FN("g", list, list);
    body(g, VALUE(list, CALL(list, keeps, local(0, list)), CALL(list, push, local(0, list), integer(1))));
    CHECK_INT_EQ(count_ops(compile(g), RL_OP_SHARE), 1);
    teardown();
}

TEST(test_emit__what_comes_out_of_a_container_is_marked_when_consumed) {
    setup();
    rl_type_t list = list_type(INT);
    rl_fn_id_t push = push_fn(list);
    rl_type_t pair = rl_type_tuple(&program.types, (rl_type_t[]){list, INT}, 2);
    rl_fn_id_t f = FN("f", list, pair);
    body(f, CALL(list, push, node(RL_IR_TUPLE_GET, list, local(0, pair), 0, 0), integer(1)));
    CHECK_INT_EQ(count_ops(compile(f), RL_OP_GETR_SHARE), 1);
    rl_fn_id_t g = FN("g", list, pair);
    uint32_t xs = local_of(list, 0);
    rl_ir_t pattern = node(RL_PAT_TUPLE, pair, WORDS(bind_pattern(list, xs), any_pattern(INT)), 2, 0);
    body(g,
        VALUE(list, node(RL_IR_LET, UNIT, pattern, local(0, pair), 0), CALL(list, push, local(xs, list), integer(1))));
    rl_proto_t* p = compile(g);
    CHECK_INT_EQ(count_ops(p, RL_OP_SHARE) + count_ops(p, RL_OP_GETR), 0);
    CHECK_INT_EQ(count_ops(p, RL_OP_GETR_SHARE), 1); /* where it is used, not where it is bound */
    teardown();
}

TEST(test_emit__record_update_copies_only_what_is_used_again) {
    setup();
    uint32_t fields[] = {sym("x"), INT, sym("name"), STR};
    rl_type_t record = rl_type_record(&program.types, &program.symbols, fields, 2);
    rl_fn_id_t f = FN("f", record, record);
    body(f, node(RL_IR_UPDATE, record, local(0, record), WORDS(sym("x"), integer(5)), 1));
    rl_proto_t* p = compile(f);
    CHECK_CODE(p, "     0  LDI          s0, 5\n"
                  "     1  COPY         r1, r0\n"
                  "     2  SETS         r1, 1, s0\n"
                  "     3  RETR         r1\n");
    rl_type_t pair = rl_type_tuple(&program.types, (rl_type_t[]){record, record}, 2);
    rl_fn_id_t g = FN("g", pair, record);
    rl_ir_t update = node(RL_IR_UPDATE, record, local(0, record), WORDS(sym("x"), integer(5)), 1);
    body(g, TUPLE(pair, update, local(0, record)));
    CHECK_INT_EQ(count_ops(compile(g), RL_OP_SHARE), 1);
    teardown();
}

/* --- collections and text ----------------------------------------------------------------------------------------- */
static rl_ir_t list_of(rl_type_t list, uint32_t count, int64_t first) {
    uint32_t items[64];
    for (uint32_t i = 0; i < count; i++) items[i] = integer(first + i);
    return node(RL_IR_LIST, list, words(count, items), count, 0);
}

TEST(test_emit__list_literals_of_any_length) {
    setup();
    rl_type_t list = list_type(INT);
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t s = local_of(INT, RL_LOCAL_MUTABLE), x = local_of(INT, 0);
    rl_ir_t step = set_local(s, add(binary(RL_IR_MUL, INT, local(s, INT), integer(2)), local(x, INT)));
    rl_ir_t walk = node(RL_IR_FOR, UNIT, list_of(list, 20, 1), bind_pattern(INT, x), step);
    rl_ir_t at = node(RL_IR_INDEX, INT, list_of(list, 20, 1), local(0, INT), 0);
    body(f, VALUE(INT, bind(s, integer(0)), walk, add(local(s, INT), at)));
    rl_proto_t* p = compile(f);
    int64_t expected = 0;
    for (int64_t i = 1; i <= 20; i++) expected = expected * 2 + i;
    CHECK_INT_EQ(RUN_I(p, W(19)), expected + 20);
    (void)run_with(p, (rl_word_t[]){W(20)}, RL_RAISE);
    teardown();
}

TEST(test_emit__walked_list_is_not_changed_by_its_loop) {
    setup();
    /* var xs = [1, 2, 3]; for x in xs { xs := xs.push(x) }; xs.len() */
    rl_type_t list = list_type(INT);
    rl_fn_id_t push = push_fn(list), len = builtin_fn("list.len", INT, (rl_type_t[]){list}, 1);
    rl_fn_id_t f = FN0("f", INT);
    uint32_t xs = local_of(list, RL_LOCAL_MUTABLE), x = local_of(INT, 0);
    rl_ir_t step = set_local(xs, CALL(list, push, local(xs, list), local(x, INT)));
    rl_ir_t walk = node(RL_IR_FOR, UNIT, local(xs, list), bind_pattern(INT, x), step);
    body(f, VALUE(INT, bind(xs, list_of(list, 3, 1)), walk, CALL(INT, len, local(xs, list))));
    CHECK_INT_EQ(RUN_I(compile(f), W(0)), 6);
    teardown();
}

TEST(test_emit__slices_match_by_length_and_from_both_ends) {
    setup();
    /* match [..] { [] => 0, [a] => a, [a, ..t, z] => a * 100 + z * 10 + len(t) } */
    rl_type_t types[2] = {list_type(INT), vec_type(INT)};
    for (int k = 0; k < 2; k++) {
        rl_type_t list = types[0], subject = types[k];
        rl_fn_id_t len = builtin_fn("list.len", INT, (rl_type_t[]){list}, 1);
        rl_fn_id_t from_list = builtin_fn("vec.from_list", types[1], (rl_type_t[]){list}, 1);
        last_fn()->type_params = 1;
        rl_fn_id_t f = FN("f", INT, subject);
        uint32_t a = local_of(INT, 0), z = local_of(INT, 0), t = local_of(list, 0);
        rl_ir_t none = node(RL_PAT_SLICE, subject, 0, 0, 0);
        rl_ir_t one = node(RL_PAT_SLICE, subject, WORDS(bind_pattern(INT, a)), 1, 0);
        rl_ir_t many =
            node(RL_PAT_SLICE, subject, WORDS(bind_pattern(INT, a), bind_pattern(list, t), bind_pattern(INT, z)), 3, 2);
        rl_ir_t sum = add(add(binary(RL_IR_MUL, INT, local(a, INT), integer(100)),
                              binary(RL_IR_MUL, INT, local(z, INT), integer(10))),
            CALL(INT, len, local(t, list)));
        body(f, MATCH(INT, local(0, subject), ARM(none, 0, integer(0)), ARM(one, 0, local(a, INT)), ARM(many, 0, sum)));
        static const int64_t expected[] = {0, 5, 560, 571, 582};
        for (uint32_t n = 0; n < 5; n++) {
            rl_fn_id_t g = FN0("g", INT);
            rl_ir_t made = list_of(list, n, 5);
            if (k) made = node(RL_IR_CALL, subject, from_list, WORDS(INT), WORDS(1, made));
            body(g, CALL(INT, f, made));
            CHECK_INT_EQ(RUN_I(compile(g), W(0)), expected[n]);
        }
    }
    teardown();
}

TEST(test_emit__vectors_are_indexed_by_their_width) {
    setup();
    rl_type_t vec = vec_type(INT), flags = vec_type(BOOL);
    rl_fn_id_t filled = builtin_fn("vec.filled", vec, (rl_type_t[]){INT, INT}, 2);
    last_fn()->type_params = 1;
    rl_fn_id_t filled_flags = builtin_fn("vec.filled", flags, (rl_type_t[]){INT, BOOL}, 2);
    last_fn()->type_params = 1;
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t v = local_of(vec, 0), s = local_of(INT, RL_LOCAL_MUTABLE), x = local_of(INT, 0), b = local_of(flags, 0),
             i = local_of(INT, 0);
    rl_ir_t make = node(RL_IR_CALL, vec, filled, WORDS(INT), WORDS(2, local(0, INT), integer(3)));
    rl_ir_t make_flags =
        node(RL_IR_CALL, flags, filled_flags, WORDS(BOOL), WORDS(2, local(0, INT), integer_of(BOOL, 0)));
    rl_ir_t set = node(RL_IR_SET_INDEX, UNIT, local(v, vec), WORDS(local(i, INT), local(i, INT)), 0);
    rl_ir_t set_flag = node(RL_IR_SET_INDEX, UNIT, local(b, flags), WORDS(local(i, INT), integer_of(BOOL, 1)), 0);
    rl_ir_t fill = node(RL_IR_FOR, UNIT, node(RL_IR_RANGE, INT, integer(0), local(0, INT), 0), bind_pattern(INT, i),
        BLOCK(set, set_flag));
    rl_ir_t walk =
        node(RL_IR_FOR, UNIT, local(v, vec), bind_pattern(INT, x), set_local(s, add(local(s, INT), local(x, INT))));
    rl_ir_t last = node(RL_IR_INDEX, BOOL, local(b, flags), integer(1), 0);
    body(f, VALUE(INT, bind(v, make), bind(b, make_flags), bind(s, integer(0)), fill, walk,
                if_else(INT, last, local(s, INT), integer(-1))));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(count_ops(p, RL_OP_VECGETI64), 1);
    CHECK_INT_EQ(count_ops(p, RL_OP_VECSETU8), 1);
    CHECK_INT_EQ(count_ops(p, RL_OP_ITER), 0);
    CHECK_INT_EQ(RUN_I(p, W(10)), 45);
    (void)run_with(p, (rl_word_t[]){W(1)}, RL_RAISE);
    teardown();
}

TEST(test_emit__maps_and_text) {
    setup();
    /* let m = {"a": 1, "b": n}; let s = "x" + "{n:04d}|" ++ …; m["b"] * 100 + byte_len(s) */
    rl_type_t map = map_type(STR, INT);
    rl_fn_id_t byte_len = builtin_fn("str.byte_len", INT, (rl_type_t[]){STR}, 1);
    rl_fn_id_t f = FN("f", INT, INT);
    uint32_t m = local_of(map, 0), s = local_of(STR, RL_LOCAL_MUTABLE), i = local_of(INT, 0);
    rl_ir_t made = node(RL_IR_MAP, map, WORDS(text("a"), integer(1), text("b"), local(0, INT)), 2, 0);
    rl_ir_t format = node(RL_IR_FORMAT, STR,
        WORDS(0xFFFFFFFFu, text("n="), program.nodes.data[text("04d")].a, local(0, INT), program.nodes.data[text("")].a,
            integer(-7)),
        3, 0);
    rl_ir_t append = set_local(s, add(local(s, STR), node(RL_IR_TO_STRING, STR, local(i, INT), 0, 0)));
    rl_ir_t loop =
        node(RL_IR_FOR, UNIT, node(RL_IR_RANGE, INT, integer(0), integer(20), 0), bind_pattern(INT, i), append);
    rl_ir_t index = node(RL_IR_INDEX, INT, local(m, map), text("b"), 0);
    rl_ir_t same = compare(RL_IR_EQ, format, text("n=0042-7"));
    rl_ir_t sum = add(binary(RL_IR_MUL, INT, index, integer(100)), CALL(INT, byte_len, local(s, STR)));
    body(f, VALUE(INT, bind(m, made), bind(s, text("x")), loop, if_else(INT, same, sum, integer(-1))));
    rl_proto_t* p = compile(f);
    CHECK_INT_EQ(count_ops(p, RL_OP_SHARE), 0);
    CHECK_INT_EQ(RUN_I(p, W(42)), 4231);
    CHECK_INT_EQ(RUN_I(p, W(43)), -1);
    teardown();
}

TEST(test_emit__any_keeps_its_type) {
    setup();
    /* match (x as Any) { 1 => 10, "s" => 20, _ => 30 }; 1 and 1.0 differ */
    rl_fn_id_t f = FN("f", INT, RL_TYPE_ANY);
    rl_ir_t one = node(RL_PAT_CONST, RL_TYPE_ANY, integer(1), 0, 0),
            s = node(RL_PAT_CONST, RL_TYPE_ANY, text("s"), 0, 0);
    body(f, MATCH(INT, local(0, RL_TYPE_ANY), ARM(one, 0, integer(10)), ARM(s, 0, integer(20)),
                ARM(any_pattern(RL_TYPE_ANY), 0, integer(30))));
    rl_ir_t values[] = {integer(1), text("s"), real(1.0), integer(2)};
    static const int64_t expected[] = {10, 20, 30, 30};
    for (int i = 0; i < 4; i++) {
        rl_fn_id_t g = FN0("g", INT);
        body(g, CALL(INT, f, node(RL_IR_TO_ANY, RL_TYPE_ANY, values[i], 0, 0)));
        CHECK_INT_EQ(RUN_I(compile(g), W(0)), expected[i]);
    }
    teardown();
}

/* --- tables and failure ------------------------------------------------------------------------------------------- */
TEST(test_emit__every_builtin_that_code_calls_exists) {
    static const struct {
        const char *name, *uses;
    } wanted[] = {
#define X(ID, name, uses, text) {name, uses},
        RL_EMIT_BUILTINS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        uint32_t id = rl_builtin_find(rl_str(wanted[i].name));
        if (!check_report(id != UINT32_MAX, __FILE__, __LINE__, wanted[i].name)) continue;
        if (wanted[i].uses[0]) CHECK_STR_EQ(rl_builtin_rows[id].uses, wanted[i].uses);
    }
}

TEST(test_emit__verifier_finds_what_is_wrong) {
    setup();
    rl_proto_t* p = compile(make_fib());
    rl_instr_t code[8];
    memcpy(code, p->code, sizeof code);
    const rl_instr_t* good = p->code;
    p->code = code;
    static const struct {
        unsigned at;
        rl_instr_t bad;
    } cases[] = {
        {0, {.op = RL_OP_COUNT}},
        {0, {.op = RL_OP_JMP, .imm = 100}},
        {0, {.op = RL_OP_MOVS, .a = 200}},
        {0, {.op = RL_OP_LDK, .index = 3}},
        {3, {.op = RL_OP_CALL, .a = 3}},
        {7, {.op = RL_OP_RETR}},
        {7, {.op = RL_OP_MOVS}},
        {5, {.op = RL_OP_WHILE_T, .c = 9}},
        {5, {.op = RL_OP_LOOP, .imm = 1}},
        {4, {.op = RL_OP_ADD_LF}}, /* no float was computed before it */
        {4, {.op = RL_OP_MULADD_F, .d = 200}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rl_instr_t before = code[cases[i].at];
        code[cases[i].at] = cases[i].bad;
        rl_buf_t why;
        rl_buf_init(&why, &allocator);
        CHECK(!rl_verify(p, &why));
        CHECK(why.length > 0);
        rl_buf_deinit(&why);
        code[cases[i].at] = before;
    }
    CHECK(rl_verify(p, NULL));
    p->code = good;
    teardown();
}

TEST(test_emit__memory_that_runs_out_leaves_the_table_as_it_was) {
    for (uint64_t n = 1; n < 400; n++) {
        setup();
        rl_type_t tree = make_tree_type();
        rl_type_t fn_type = rl_type_function(&program.types, (rl_type_t[]){INT}, 1, INT);
        rl_fn_id_t outer = FN("outer", INT, INT);
        uint32_t box = local_of(INT, RL_LOCAL_MUTABLE | RL_LOCAL_BOXED), held = local_of(fn_type, 0),
                 t = local_of(tree, 0), s = local_of(STR, 0);
        rl_fn_id_t lambda = FN("", INT, INT);
        last_fn()->parent = outer;
        capture(box, INT, RL_LOCAL_MUTABLE | RL_LOCAL_BOXED);
        body(lambda, add(local(0, INT), local(1, INT)));
        rl_ir_t leaf = node(RL_IR_VARIANT, tree, 0, 0, 0);
        rl_ir_t call = node(RL_IR_CALL_VALUE, INT, local(held, fn_type), 0, WORDS(1, local(0, INT)));
        rl_ir_t arms = MATCH(INT, local(t, tree), ARM(node(RL_PAT_VARIANT, tree, 0, 0, 0), 0, call),
            ARM(any_pattern(tree), 0, integer(1)));
        body(outer, VALUE(INT, bind(box, integer(1)), bind(held, node(RL_IR_CLOSURE, fn_type, lambda, 0, 0)),
                        bind(t, VARIANT(tree, 1, leaf, leaf)), bind(s, text("abc")), arms));
        uint64_t before = allocator.requests;
        allocator.fail_at = before + n;
        allocator.fail_every = 1;
        rl_proto_t* p = rl_compile(&compiler, outer, NULL, 0, false);
        bool failed = allocator.failed;
        CHECK(p ? !failed : failed);
        allocator.fail_at = 0;
        rl_alloc_clear_failure(&allocator);
        if (!p) {
            p = rl_compile(&compiler, outer, NULL, 0, false);
            CHECK(p && rl_verify(p, NULL));
        }
        teardown();
        if (!failed) return;
    }
    CHECK(!"more requests than expected");
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_emit__fib_has_no_superfluous_instruction),
        RUN(test_emit__while_loop_is_rotated_and_fused),
        RUN(test_emit__for_range_uses_its_counter_as_the_variable),
        RUN(test_emit__inclusive_range_ends_at_the_largest_integer),
        RUN(test_emit__operand_is_read_before_a_later_one_assigns_it),
        RUN(test_emit__assignment_does_not_clobber_its_own_operands),
        RUN(test_emit__narrow_integers_trap_at_their_own_width),
        RUN(test_emit__unsigned_64_compares_as_unsigned),
        RUN(test_emit__not_a_number_fails_both_orders),
        RUN(test_emit__float_constants_of_loops_stay_in_registers),
        RUN(test_emit__a_product_and_a_sum_of_floats_are_one_instruction),
        RUN(test_emit__a_float_computed_right_before_is_not_read_back),
        RUN(test_emit__short_circuit_conditions_jump),
        RUN(test_emit__long_chains_do_not_recurse),
        RUN(test_emit__deep_nesting_gets_a_big_stack),
        RUN(test_emit__jumps_past_16_bits_are_lengthened),
        RUN(test_emit__tail_calls_do_not_grow_the_stack),
        RUN(test_emit__trees_are_built_in_place_and_walked_without_marks),
        RUN(test_emit__layout_puts_references_first),
        RUN(test_emit__recursive_types_without_end_meet_the_limit),
        RUN(test_emit__four_constructors_switch),
        RUN(test_emit__integer_match_with_ranges_guards_and_alternatives),
        RUN(test_emit__match_without_an_arm_traps),
        RUN(test_emit__or_pattern_alternatives_fill_the_same_names),
        RUN(test_emit__closures_share_assigned_variables),
        RUN(test_emit__local_functions_see_each_other),
        RUN(test_emit__recursion_of_a_capturing_function_needs_no_new_closure),
        RUN(test_emit__functions_without_captures_are_constants),
        RUN(test_emit__instances_use_the_instructions_of_their_types),
        RUN(test_emit__polymorphic_recursion_meets_the_limit),
        RUN(test_emit__small_functions_of_the_prelude_are_compiled_in_place),
        RUN(test_emit__loop_gives_the_value_of_its_break),
        RUN(test_emit__defers_run_last_first_on_every_way_out),
        RUN(test_emit__appending_in_a_loop_marks_nothing),
        RUN(test_emit__a_value_used_again_is_marked_before_it_is_consumed),
        RUN(test_emit__arguments_that_are_only_looked_at_are_not_marked),
        RUN(test_emit__what_comes_out_of_a_container_is_marked_when_consumed),
        RUN(test_emit__record_update_copies_only_what_is_used_again),
        RUN(test_emit__list_literals_of_any_length),
        RUN(test_emit__walked_list_is_not_changed_by_its_loop),
        RUN(test_emit__slices_match_by_length_and_from_both_ends),
        RUN(test_emit__vectors_are_indexed_by_their_width),
        RUN(test_emit__maps_and_text),
        RUN(test_emit__any_keeps_its_type),
        RUN(test_emit__every_builtin_that_code_calls_exists),
        RUN(test_emit__verifier_finds_what_is_wrong),
        RUN(test_emit__memory_that_runs_out_leaves_the_table_as_it_was),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
