/* The interpreter with hand-assembled functions: each group of instructions, limits, failure and unwinding, host
   calls. */
#include "check.h"

#include "base/os.h"
#include "vm/core/iterate.h"
#include "vm/string.h"
#include "vm/vm.h"

#include <math.h>

#define I3(name, x, y, z) {.op = RL_OP_##name, .a = (uint16_t)(x), .b = (uint16_t)(y), .c = (uint16_t)(z)}
#define I1(name, x, k)    {.op = RL_OP_##name, .a = (uint16_t)(x), .imm = (int32_t)(k)}
#define CODE_OF(array)    .code = (array), .code_count = sizeof(array) / sizeof *(array)

#ifdef RL_STRESS_GC
enum { MANY = 300, VERY_MANY = 5000 }; /* each safe point collects everything */
#else
enum { MANY = 100000, VERY_MANY = 1000000 };
#endif

static const rl_rtype_t unit_type = {.kind = RL_TYPE_UNIT, .type = RL_TYPE_UNIT, .name = {"()", 2}};
static const rl_rtype_t int_type = {
    .kind = RL_TYPE_I64, .element = RL_ELEM_I64, .type = RL_TYPE_I64, .name = {"Int", 3}};
static const rl_rtype_t str_type = {
    .kind = RL_TYPE_STR, .rep = RL_REP_R, .element = RL_ELEM_REF, .type = RL_TYPE_STR, .name = {"Str", 3}};

typedef struct fixture {
    rl_allocator_t allocator;
    rl_vm_t vm;
    char output[256];
    size_t output_length;
    unsigned host_calls, polls;
    const rl_proto_t* callback;
    int64_t callback_argument;
    bool fail_after_callback, swallow, stop_poll;
    rl_code_t nested_code;
} fixture_t;

static void begin(fixture_t* f) {
    *f = (fixture_t){0};
    rl_allocator_init(&f->allocator, NULL, NULL);
    CHECK(rl_vm_init(&f->vm, &f->allocator, NULL));
    f->vm.host = f;
}
static void end(fixture_t* f) {
    rl_vm_deinit(&f->vm);
    CHECK_INT_EQ(f->allocator.live_bytes, 0);
}

static rl_outcome_t call(fixture_t* f, const rl_proto_t* proto, int64_t a, int64_t b, rl_word_t* result) {
    rl_word_t args[4] = {{.i = a}, {.i = b}, {0}, {0}};
    rl_object_t* none[4] = {
        &rl_nullary_objects[0], &rl_nullary_objects[0], &rl_nullary_objects[0], &rl_nullary_objects[0]};
    rl_vm_begin_run(&f->vm);
    return rl_vm_call(&f->vm, proto, args, none, result);
}

/* Run one instruction `s[0] := s[0] op s[1]`. */
static rl_outcome_t binary(fixture_t* f, unsigned op, rl_word_t a, rl_word_t b, rl_word_t* result) {
    rl_instr_t code[] = {{.op = (uint8_t)op, .a = 0, .b = 0, .c = 1}, I3(RETS, 0, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .s_params = 2, .leaf_scalar = true, .entry_cost = 2};
    rl_word_t args[2] = {a, b};
    rl_vm_begin_run(&f->vm);
    return rl_vm_call_scalar(&f->vm, &proto, args, 2, result);
}
static int64_t binary_i(fixture_t* f, unsigned op, int64_t a, int64_t b) {
    rl_word_t result = {0};
    CHECK_INT_EQ(binary(f, op, (rl_word_t){.i = a}, (rl_word_t){.i = b}, &result), RL_DONE);
    return result.i;
}
static double binary_f(fixture_t* f, unsigned op, double a, double b) {
    rl_word_t result = {0};
    CHECK_INT_EQ(binary(f, op, (rl_word_t){.f = a}, (rl_word_t){.f = b}, &result), RL_DONE);
    return result.f;
}
static void check_raises(fixture_t* f, unsigned op, int64_t a, int64_t b, rl_code_t code, const char* message) {
    rl_word_t result;
    CHECK_INT_EQ(binary(f, op, (rl_word_t){.i = a}, (rl_word_t){.i = b}, &result), RL_RAISE);
    CHECK(f->vm.failure.present);
    CHECK_INT_EQ(f->vm.failure.code, code);
    CHECK_TEXT_EQ(f->vm.failure.message, message);
    CHECK_INT_EQ(f->vm.fiber->frame_count, 0);
}

TEST(test_vm__integer_arithmetic_is_checked) {
    fixture_t f;
    begin(&f);
    CHECK_INT_EQ(binary_i(&f, RL_OP_ADD_I, 2, 3), 5);
    CHECK_INT_EQ(binary_i(&f, RL_OP_SUB_I, 2, 3), -1);
    CHECK_INT_EQ(binary_i(&f, RL_OP_MUL_I, -4, 3), -12);
    CHECK_INT_EQ(binary_i(&f, RL_OP_DIV_I, -7, 2), -3);
    CHECK_INT_EQ(binary_i(&f, RL_OP_DIV_I, 7, -1), -7);
    CHECK_INT_EQ(binary_i(&f, RL_OP_REM_I, -7, 2), -1);
    CHECK_INT_EQ(binary_i(&f, RL_OP_REM_I, INT64_MIN, -1), 0);
    CHECK_INT_EQ(binary_i(&f, RL_OP_POW_I, -3, 3), -27);
    CHECK_INT_EQ(binary_i(&f, RL_OP_POW_I, 0, 0), 1);
    CHECK_INT_EQ(binary_i(&f, RL_OP_POW_I, -2, 63), INT64_MIN);
    CHECK_INT_EQ(binary_i(&f, RL_OP_ADDK_I, 5, 0), 6); /* the operand 1 is the immediate */
    CHECK_INT_EQ(binary_i(&f, RL_OP_NEG_I, 5, 0), -5);
    check_raises(&f, RL_OP_ADD_I, INT64_MAX, 1, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `+`");
    check_raises(&f, RL_OP_SUB_I, INT64_MIN, 1, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `-`");
    check_raises(&f, RL_OP_MUL_I, INT64_MAX, 2, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `*`");
    check_raises(&f, RL_OP_DIV_I, INT64_MIN, -1, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `/`");
    check_raises(&f, RL_OP_DIV_I, 1, 0, RL_CODE_RUNTIME_ARITH_DIV_ZERO, "division by zero");
    check_raises(&f, RL_OP_REM_I, 1, 0, RL_CODE_RUNTIME_ARITH_DIV_ZERO, "division by zero");
    check_raises(&f, RL_OP_POW_I, 2, 63, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `^`");
    check_raises(
        &f, RL_OP_POW_I, 2, -1, RL_CODE_RUNTIME_ARITH_NEGATIVE_EXPONENT, "negative exponent of an integer power");
    check_raises(&f, RL_OP_NEG_I, INT64_MIN, 0, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `-`");
    check_raises(&f, RL_OP_ADD_U, -1, 1, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `+`");
    check_raises(&f, RL_OP_SUB_U, 0, 1, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `-`");
    CHECK_INT_EQ((uint64_t)binary_i(&f, RL_OP_DIV_U, -1, 2), UINT64_MAX / 2);
    CHECK_INT_EQ((uint64_t)binary_i(&f, RL_OP_POW_U, 2, 63), (uint64_t)1 << 63);
    end(&f);
}

TEST(test_vm__narrow_traps_outside_its_width) {
    fixture_t f;
    begin(&f);
    static const struct {
        unsigned kind;
        int64_t low, high;
    } rows[] = {
        {RL_TYPE_I8, -128, 127},
        {RL_TYPE_I16, -32768, 32767},
        {RL_TYPE_I32, INT32_MIN, INT32_MAX},
        {RL_TYPE_U8, 0, 255},
        {RL_TYPE_U16, 0, 65535},
        {RL_TYPE_U32, 0, UINT32_MAX},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        rl_instr_t code[] = {I3(NARROW, 0, rows[i].kind, 0), I3(RETS, 0, 0, 0)};
        rl_proto_t proto = {CODE_OF(code), .s_count = 1, .s_params = 1, .entry_cost = 2};
        rl_word_t result;
        CHECK_INT_EQ(call(&f, &proto, rows[i].low, 0, &result), RL_DONE);
        CHECK_INT_EQ(result.i, rows[i].low);
        CHECK_INT_EQ(call(&f, &proto, rows[i].high, 0, &result), RL_DONE);
        CHECK_INT_EQ(call(&f, &proto, rows[i].low - 1, 0, &result), RL_RAISE);
        CHECK_INT_EQ(call(&f, &proto, rows[i].high + 1, 0, &result), RL_RAISE);
        CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_ARITH_OVERFLOW);
    }
    end(&f);
}

TEST(test_vm__floats_follow_ieee) {
    fixture_t f;
    begin(&f);
    CHECK(binary_f(&f, RL_OP_ADD_F, 0.5, 0.25) == 0.75);
    CHECK(binary_f(&f, RL_OP_DIV_F, 1, 0) == INFINITY);
    CHECK(binary_f(&f, RL_OP_REM_F, -7.5, 2) == -1.5);
    CHECK(binary_f(&f, RL_OP_POW_F, 2, 0.5) == sqrt(2));
    CHECK(binary_f(&f, RL_OP_ROUND_F32, 0.1, 0) == (double)0.1f);
    rl_word_t nan = {.f = NAN}, one = {.f = 1}, result;
    binary(&f, RL_OP_EQ_F, nan, nan, &result);
    CHECK_INT_EQ(result.i, 0);
    binary(&f, RL_OP_NE_F, nan, nan, &result);
    CHECK_INT_EQ(result.i, 1);
    binary(&f, RL_OP_LE_F, nan, one, &result);
    CHECK_INT_EQ(result.i, 0);
    binary(&f, RL_OP_LT_F, (rl_word_t){.f = -1}, one, &result);
    CHECK_INT_EQ(result.i, 1);
    end(&f);
}

TEST(test_vm__comparisons_are_signed_or_unsigned) {
    fixture_t f;
    begin(&f);
    CHECK_INT_EQ(binary_i(&f, RL_OP_LT_I, -1, 1), 1);
    CHECK_INT_EQ(binary_i(&f, RL_OP_LT_U, -1, 1), 0);
    CHECK_INT_EQ(binary_i(&f, RL_OP_LE_I, 1, 1), 1);
    CHECK_INT_EQ(binary_i(&f, RL_OP_LE_U, 1, -1), 1);
    CHECK_INT_EQ(binary_i(&f, RL_OP_EQ_I, 4, 4), 1);
    CHECK_INT_EQ(binary_i(&f, RL_OP_NE_I, 4, 4), 0);
    CHECK_INT_EQ(binary_i(&f, RL_OP_NOT, 0, 0), 1);
    end(&f);
}

/* Does the conditional jump `op s[0], s[1] (or imm)` jump? */
static bool jumps(fixture_t* f, unsigned op, rl_word_t a, rl_word_t b, bool immediate) {
    rl_instr_t code[] = {{.op = (uint8_t)op, .a = 0, .b = immediate ? (uint16_t)b.i : 1, .c = 2}, I1(LDI, 0, 0),
        I3(RETS, 0, 0, 0), I1(LDI, 0, 1), I3(RETS, 0, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .s_params = 2, .entry_cost = 5};
    rl_word_t args[2] = {a, b}, result = {0};
    rl_vm_begin_run(&f->vm);
    CHECK_INT_EQ(rl_vm_call(&f->vm, &proto, args, NULL, &result), RL_DONE);
    return result.i == 1;
}

TEST(test_vm__conditional_jumps) {
    fixture_t f;
    begin(&f);
    static const struct {
        unsigned op;
        bool immediate, less, equal, greater;
    } rows[] = {
        {RL_OP_JEQ_I, false, false, true, false},
        {RL_OP_JNE_I, false, true, false, true},
        {RL_OP_JLT_I, false, true, false, false},
        {RL_OP_JLE_I, false, true, true, false},
        {RL_OP_JEQK_I, true, false, true, false},
        {RL_OP_JNEK_I, true, true, false, true},
        {RL_OP_JLTK_I, true, true, false, false},
        {RL_OP_JLEK_I, true, true, true, false},
        {RL_OP_JGTK_I, true, false, false, true},
        {RL_OP_JGEK_I, true, false, true, true},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK(jumps(&f, rows[i].op, (rl_word_t){.i = -5}, (rl_word_t){.i = -4}, rows[i].immediate) == rows[i].less);
        CHECK(jumps(&f, rows[i].op, (rl_word_t){.i = -4}, (rl_word_t){.i = -4}, rows[i].immediate) == rows[i].equal);
        CHECK(jumps(&f, rows[i].op, (rl_word_t){.i = 7}, (rl_word_t){.i = -4}, rows[i].immediate) == rows[i].greater);
    }
    rl_word_t nan = {.f = NAN}, one = {.f = 1}, two = {.f = 2};
    CHECK(jumps(&f, RL_OP_JLT_F, one, two, false) && !jumps(&f, RL_OP_JLT_F, two, one, false) &&
          !jumps(&f, RL_OP_JLT_F, nan, one, false));
    CHECK(!jumps(&f, RL_OP_JNLT_F, one, two, false) && jumps(&f, RL_OP_JNLT_F, two, one, false) &&
          jumps(&f, RL_OP_JNLT_F, nan, one, false));
    CHECK(jumps(&f, RL_OP_JNLE_F, nan, one, false) && !jumps(&f, RL_OP_JNLE_F, one, one, false));
    CHECK(jumps(&f, RL_OP_JNE_F, nan, nan, false) && !jumps(&f, RL_OP_JEQ_F, nan, nan, false));
    CHECK(jumps(&f, RL_OP_JLT_U, (rl_word_t){.i = 1}, (rl_word_t){.i = -1}, false));
    end(&f);
}

TEST(test_vm__switch_uses_its_table_and_default) {
    fixture_t f;
    begin(&f);
    static const uint32_t table[] = {3, 7, 1, 3, 5};
    static const uint32_t* const switches[] = {table};
    rl_instr_t code[] = {I1(SWITCH_S, 0, 0), I1(LDI, 0, 100), I3(RETS, 0, 0, 0), I1(LDI, 0, 101), I3(RETS, 0, 0, 0),
        I1(LDI, 0, 102), I3(RETS, 0, 0, 0), I1(LDI, 0, -1), I3(RETS, 0, 0, 0)};
    rl_proto_t proto = {
        CODE_OF(code), .s_count = 1, .s_params = 1, .entry_cost = 9, .switches = switches, .switch_count = 1};
    rl_word_t result;
    static const int64_t expected[] = {100, 101, 102, -1, -1};
    for (int i = 0; i < 5; i++) {
        CHECK_INT_EQ(call(&f, &proto, i == 4 ? -9 : i, 0, &result), RL_DONE);
        CHECK_INT_EQ(result.i, expected[i]);
    }
    end(&f);
}

TEST(test_vm__fused_loops_count_right) {
    fixture_t f;
    begin(&f);
    rl_word_t result;
    /* sum of 0 … n-1, n ≥ 1 */
    rl_instr_t for_lt[] = {I1(LDI, 1, 0), I1(LDI, 2, 0), I3(ADD_I, 2, 2, 1), I3(FOR_LT, 1, 0, 2), I3(RETS, 2, 0, 0)};
    rl_proto_t a = {CODE_OF(for_lt), .s_count = 3, .s_params = 1, .entry_cost = 5};
    CHECK_INT_EQ(call(&f, &a, 100, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 4950);
    /* sum of n … INT64_MAX: the counter must not overflow */
    rl_word_t constants[] = {{.i = INT64_MAX}};
    rl_instr_t for_le[] = {I1(LDK, 1, 0), I1(LDI, 2, 0), I3(ADDK_I, 2, 2, 1), I3(FOR_LE, 0, 1, 2), I3(RETS, 2, 0, 0)};
    rl_proto_t b = {CODE_OF(for_le), .s_count = 3, .s_params = 1, .entry_cost = 5, .constants = constants};
    CHECK_INT_EQ(call(&f, &b, INT64_MAX - 9, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 10);
    /* 10, 7, 4, 1: counter s1, step s2, remaining s3 = 3 */
    rl_instr_t for_step[] = {I1(LDI, 1, 10), I1(LDI, 2, -3), I1(LDI, 3, 3), I1(LDI, 0, 0), I3(ADD_I, 0, 0, 1),
        I3(FOR_STEP, 1, 3, 2), I3(RETS, 0, 0, 0)};
    rl_proto_t c = {CODE_OF(for_step), .s_count = 4, .s_params = 1, .entry_cost = 7};
    CHECK_INT_EQ(call(&f, &c, 0, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 22);
    rl_instr_t while_lt[] = {I1(LDI, 1, 1), I3(MULK_I, 1, 1, 3), I3(WHILE_LT_I, 1, 0, 2), I3(RETS, 1, 0, 0)};
    rl_proto_t d = {CODE_OF(while_lt), .s_count = 2, .s_params = 1, .entry_cost = 4};
    CHECK_INT_EQ(call(&f, &d, 100, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 243);
    rl_instr_t loop[] = {I1(LDI, 1, 0), I3(JGEK_I, 1, 5, 2), I3(ADDK_I, 1, 1, 1), I1(LOOP, 0, -3), I3(RETS, 1, 0, 0)};
    rl_proto_t e = {CODE_OF(loop), .s_count = 2, .s_params = 1, .entry_cost = 5};
    CHECK_INT_EQ(call(&f, &e, 0, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 5);
    end(&f);
}

/* fib(n) */
static rl_proto_t fib_proto;
static rl_proto_t* fib_callees[] = {&fib_proto};
static const rl_instr_t fib_code[] = {I3(JGEK_I, 0, 2, 1), I3(RETS, 0, 0, 0), I3(ADDK_I, 1, 0, -1), I3(CALL, 1, 0, 0),
    I3(ADDK_I, 2, 0, -2), I3(CALL, 2, 0, 0), I3(ADD_I, 0, 1, 2), I3(RETS, 0, 0, 0)};
static const rl_proto_t* fib(void) {
    fib_proto = (rl_proto_t){CODE_OF(fib_code), .s_count = 3, .s_params = 1, .leaf_scalar = true, .entry_cost = 8,
        .callees = fib_callees, .callee_count = 1, .name = {"fib", 3}};
    return &fib_proto;
}

TEST(test_vm__calls_return_to_their_callers) {
    fixture_t f;
    begin(&f);
    rl_word_t result;
    CHECK_INT_EQ(call(&f, fib(), 20, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 6765);
    CHECK_INT_EQ(f.vm.fiber->frame_count, 0);
    CHECK(f.vm.fiber->proto == NULL);
    rl_word_t argument = {.i = 10};
    rl_vm_begin_run(&f.vm);
    CHECK_INT_EQ(rl_vm_call_scalar(&f.vm, fib(), &argument, 1, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 55);
    end(&f);
}

/* deep(n) = if n == 0 then 0 else 1 + deep(n - 1) */
static rl_proto_t deep_proto;
static rl_proto_t* deep_callees[] = {&deep_proto};
static const rl_instr_t deep_code[] = {I3(JNEK_I, 0, 0, 1), I3(RETS, 0, 0, 0), I3(ADDK_I, 1, 0, -1), I3(CALL, 1, 0, 0),
    I3(ADDK_I, 0, 1, 1), I3(RETS, 0, 0, 0)};
static const rl_proto_t* deep(void) {
    deep_proto = (rl_proto_t){CODE_OF(deep_code), .s_count = 2, .s_params = 1, .entry_cost = 6, .callees = deep_callees,
        .callee_count = 1, .name = {"deep", 4}};
    return &deep_proto;
}

TEST(test_vm__stack_grows_to_the_call_depth_and_no_further) {
    fixture_t f;
    begin(&f);
    rl_word_t result;
    CHECK_INT_EQ(call(&f, deep(), 150000, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 150000);
    f.vm.limits.call_depth = 1000;
    CHECK_INT_EQ(call(&f, deep(), 999, 0, &result), RL_DONE);
    CHECK_INT_EQ(call(&f, deep(), 1000, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_STACK_OVERFLOW);
    CHECK_INT_EQ(f.vm.failure.stack.count, 64);
    CHECK_TEXT_EQ(f.vm.failure.stack.data[0].function, "deep");
    CHECK_INT_EQ(f.vm.fiber->frame_count, 0);
    CHECK_INT_EQ(call(&f, deep(), 10, 0, &result), RL_DONE);
    end(&f);
}

TEST(test_vm__stack_that_memory_cannot_hold_ends_the_run) {
    fixture_t f;
    begin(&f);
    rl_word_t result;
    f.allocator.limit_bytes = f.allocator.live_bytes + 20000;
    CHECK_INT_EQ(call(&f, deep(), 150000, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_MEMORY);
    CHECK_TEXT_EQ(f.vm.failure.message, "memory limit reached");
    CHECK(!f.allocator.failed);
    CHECK_INT_EQ(call(&f, deep(), 10, 0, &result), RL_DONE);
    end(&f);
}

TEST(test_vm__large_stacks_are_given_back_between_runs) {
    fixture_t f;
    begin(&f);
    rl_word_t result;
    size_t idle = f.allocator.live_bytes;
    CHECK(idle < 8000);
    call(&f, deep(), 100000, 0, &result);
    CHECK(f.allocator.live_bytes > 1000000);
    rl_vm_begin_run(&f.vm);
    CHECK_INT_EQ(f.allocator.live_bytes, idle);
    end(&f);
}

TEST(test_vm__tail_calls_do_not_grow_the_stack) {
    fixture_t f;
    begin(&f);
    /* count(n, acc) = if n == 0 then acc else count(n - 1, acc + 1) */
    static rl_proto_t count;
    static rl_proto_t* callees[] = {&count};
    rl_instr_t code[] = {
        I3(JNEK_I, 0, 0, 1), I3(RETS, 1, 0, 0), I3(ADDK_I, 2, 0, -1), I3(ADDK_I, 3, 1, 1), I3(TAILCALL, 2, 0, 0)};
    count = (rl_proto_t){
        CODE_OF(code), .s_count = 4, .s_params = 2, .entry_cost = 5, .callees = callees, .callee_count = 1};
    rl_word_t result;
    f.vm.limits.call_depth = 2;
    CHECK_INT_EQ(call(&f, &count, 300000, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 300000);
    /* into a function with far more registers */
    rl_instr_t wide_code[] = {I3(MOVS, 4000, 0, 0), I3(RETS, 4000, 0, 0)};
    rl_proto_t wide = {CODE_OF(wide_code), .s_count = 5000, .r_count = 3000, .s_params = 1, .entry_cost = 2};
    rl_proto_t* wide_callees[] = {&wide};
    rl_instr_t narrow_code[] = {I3(ADDK_I, 1, 0, 5), I3(TAILCALL, 1, 0, 0)};
    rl_proto_t narrow = {
        CODE_OF(narrow_code), .s_count = 2, .s_params = 1, .entry_cost = 2, .callees = wide_callees, .callee_count = 1};
    CHECK_INT_EQ(call(&f, &narrow, 37, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 42);
    end(&f);
}

TEST(test_vm__objects_hold_references_before_scalars) {
    fixture_t f;
    begin(&f);
    /* builds a list of n nodes (next, value), then sums it */
    static const rl_shape_t shapes[] = {{RL_OBJ_CELLS, 3, 1, 2}};
    rl_instr_t code[] = {I1(LDNULLARY, 0, 0),                     /* list := nil */
        I1(LDI, 1, 0),                                            /* i */
        I3(MOVS, 2, 1, 0), I3(NEW, 2, 0, 0), I3(FOR_LT, 1, 0, 3), /* r0 := node(r0; i) */
        I1(LDI, 1, 0), I3(JNTAG, 0, 3, 4), I3(GETS, 2, 0, 1), I3(ADD_I, 1, 1, 2), I3(GETR, 0, 0, 0), I1(LOOP, 0, -5),
        I3(RETS, 1, 0, 0)};
    rl_proto_t proto = {
        CODE_OF(code), .s_count = 3, .r_count = 1, .s_params = 1, .entry_cost = 12, .shapes = shapes, .shape_count = 1};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, MANY, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, (int64_t)MANY * (MANY - 1) / 2);
    CHECK(f.vm.heap.stats.collections > 0 || f.vm.heap.phase != RL_PHASE_IDLE);
    rl_heap_collect(&f.vm.heap);
    CHECK_INT_EQ(f.vm.heap.stats.live_objects, 0);
    end(&f);
}

TEST(test_vm__stress_collection_at_every_safe_point_keeps_registers_alive) {
    fixture_t f;
    begin(&f);
    rl_heap_set_stress(&f.vm.heap, true, true);
    static const rl_shape_t shapes[] = {{RL_OBJ_CELLS, 1, 2, 2}};
    static rl_proto_t make, check;
    static rl_proto_t* make_callees[] = {&make};
    static rl_proto_t* check_callees[] = {&check};
    rl_instr_t make_code[] = {I3(JNEK_I, 0, 0, 2), I1(LDNULLARY, 0, 0), I3(RETR, 0, 0, 0), I3(ADDK_I, 1, 0, -1),
        I3(CALL, 1, 0, 0), I3(ADDK_I, 1, 0, -1), I3(CALL, 1, 1, 0), I3(NEW, 0, 0, 0), I3(RETR, 0, 0, 0)};
    make = (rl_proto_t){CODE_OF(make_code), .s_count = 2, .r_count = 2, .s_params = 1, .entry_cost = 9,
        .callees = make_callees, .shapes = shapes, .result_rep = RL_REP_R};
    rl_instr_t check_code[] = {I3(JTAG, 0, 1, 2), I1(LDI, 0, 1), I3(RETS, 0, 0, 0), I3(GETR, 1, 0, 0),
        I3(CALL, 0, 1, 0), I3(GETR, 1, 0, 1), I3(CALL, 1, 1, 0), I3(ADD_I, 0, 0, 1), I3(RETS, 0, 0, 0)};
    check = (rl_proto_t){
        CODE_OF(check_code), .s_count = 2, .r_count = 2, .r_params = 1, .entry_cost = 9, .callees = check_callees};
    rl_proto_t* callees[] = {&make, &check};
    rl_instr_t code[] = {I3(CALL, 0, 0, 0), I3(CALL, 0, 0, 1), I3(RETS, 0, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 1, .r_count = 1, .s_params = 1, .entry_cost = 3, .callees = callees};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, 8, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 256);
    CHECK(f.vm.heap.stats.collections >= 255);
    end(&f);
}

TEST(test_vm__closures_capture_and_are_called) {
    fixture_t f;
    begin(&f);
    /* inner(x; env) = x + env.scalar[0]; captures one reference and one scalar */
    rl_instr_t inner_code[] = {I3(GETS, 1, 0, 2), I3(ADD_I, 0, 0, 1), I3(RETS, 0, 0, 0)};
    rl_proto_t inner = {CODE_OF(inner_code), .s_count = 2, .r_count = 1, .s_params = 1, .has_env = true,
        .entry_cost = 3, .name = {"<fn lambda>", 11}};
    rl_closure_site_t closures[] = {{&inner, 1, 1}};
    /* outer(a, b) = (|x| x + a)(b) */
    rl_instr_t code[] = {I1(LDNULLARY, 0, 9), I3(MOVS, 2, 0, 0), I3(CLOSURE, 2, 0, 0), I3(MOVS, 2, 1, 0),
        I3(CALLV, 2, 0, 0), I3(RETS, 2, 0, 0)};
    rl_proto_t outer = {CODE_OF(code), .s_count = 3, .r_count = 1, .s_params = 2, .entry_cost = 6, .closures = closures,
        .closure_count = 1};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &outer, 40, 2, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 42);
    rl_instr_t tail_code[] = {
        I1(LDNULLARY, 0, 9), I3(MOVS, 2, 0, 0), I3(CLOSURE, 2, 0, 0), I3(MOVS, 2, 1, 0), I3(TAILCALLV, 2, 0, 0)};
    rl_proto_t tail = {CODE_OF(tail_code), .s_count = 3, .r_count = 1, .s_params = 2, .entry_cost = 6,
        .closures = closures, .closure_count = 1};
    CHECK_INT_EQ(call(&f, &tail, 40, 2, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 42);
    /* the closure as a result, called from outside */
    rl_instr_t make_code[] = {I1(LDNULLARY, 0, 9), I3(CLOSURE, 0, 0, 0), I3(RETR, 0, 0, 0)};
    rl_proto_t make = {CODE_OF(make_code), .s_count = 2, .r_count = 1, .s_params = 1, .entry_cost = 3,
        .closures = closures, .closure_count = 1, .result_rep = RL_REP_R};
    rl_word_t closure, argument = {.i = 5};
    CHECK_INT_EQ(call(&f, &make, 10, 0, &closure), RL_DONE);
    f.vm.fiber->r[0] = NULL;
    CHECK_INT_EQ(rl_vm_call_closure(&f.vm, closure.o, &argument, NULL, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 15);
    end(&f);
}

TEST(test_vm__shared_objects_are_copied_and_unshared_ones_are_not) {
    fixture_t f;
    begin(&f);
    static const rl_shape_t shapes[] = {{RL_OBJ_CELLS, 0, 1, 2}};
    for (int shared = 0; shared < 2; shared++) {
        rl_instr_t code[] = {I1(LDNULLARY, 2, 1), I3(MOVR, 3, 2, 0), I3(NEW, 0, 3, 0), /* inner (nullary; n) */
            I3(MOVR, 0, 3, 0), I3(NEW, 0, 0, 0),                                       /* outer (inner; n) */
            shared ? (rl_instr_t)I3(SHARE, 0, 0, 0) : (rl_instr_t)I1(JMP, 0, 0), I3(COPY, 1, 0, 0), I1(LDI, 1, 99),
            I3(SETS, 1, 1, 1), I3(GETS, 0, 0, 1), /* does the original change? */
            I3(RETS, 0, 0, 0)};
        rl_proto_t proto = {CODE_OF(code), .s_count = 2, .r_count = 5, .s_params = 1, .entry_cost = 11,
            .shapes = shapes, .shape_count = 1};
        rl_word_t result;
        CHECK_INT_EQ(call(&f, &proto, 7, 0, &result), RL_DONE);
        CHECK_INT_EQ(result.i, shared ? 7 : 99);
        const rl_object_t* outer = f.vm.fiber->r[0];
        CHECK(((rl_object_words((rl_object_t*)(uintptr_t)outer)[0].o->flags & RL_OBJ_SHARED) != 0) == (shared != 0));
    }
    end(&f);
}

TEST(test_vm__any_carries_its_type) {
    fixture_t f;
    begin(&f);
    const rl_rtype_t* types[] = {&int_type, &str_type};
    rl_instr_t code[] = {I3(ANY_S, 0, 0, 0), I3(RETR, 0, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 1, .r_count = 1, .s_params = 1, .entry_cost = 2, .types = types,
        .type_count = 2, .result_rep = RL_REP_R};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, 5, 0, &result), RL_DONE);
    CHECK(result.o->kind == RL_OBJ_ANY && result.o->refs == 0);
    CHECK_INT_EQ(rl_object_words(result.o)[0].i, 5);
    CHECK(rl_object_words(result.o)[1].p == &int_type);
    end(&f);
}

TEST(test_vm__globals_must_be_set_before_use) {
    fixture_t f;
    begin(&f);
    CHECK(rl_vm_reserve_globals(&f.vm, 4));
    rl_instr_t get_code[] = {I1(GLOBALS, 0, 2), I3(RETS, 0, 0, 0)};
    rl_proto_t get = {CODE_OF(get_code), .s_count = 1, .entry_cost = 2};
    rl_instr_t set_code[] = {I1(SETGLOBALS, 0, 2), I3(RETU, 0, 0, 0)};
    rl_proto_t set = {CODE_OF(set_code), .s_count = 1, .s_params = 1, .entry_cost = 2};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &get, 0, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_INIT_UNINITIALIZED);
    CHECK_INT_EQ(call(&f, &set, 12, 0, &result), RL_DONE);
    CHECK(rl_vm_reserve_globals(&f.vm, 400));
    CHECK_INT_EQ(call(&f, &get, 0, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 12);
    end(&f);
}

static rl_vector_t* new_vector(fixture_t* f, rl_element_t element, uint32_t length) {
    rl_vector_t* v = rl_heap_new_sized(&f->vm.heap, RL_OBJ_VEC, 0, sizeof *v);
    v->element = element;
    v->data = rl_heap_buffer(&f->vm.heap, NULL, 0, (size_t)length * rl_element_size(element));
    memset(v->data, 0, (size_t)length * rl_element_size(element));
    v->length = v->capacity = length;
    return v;
}

TEST(test_vm__vectors_are_bounds_checked_and_stored_at_their_width) {
    fixture_t f;
    begin(&f);
    static const rl_element_t elements[] = {
        RL_ELEM_I64, RL_ELEM_I8, RL_ELEM_U8, RL_ELEM_I16, RL_ELEM_U16, RL_ELEM_I32, RL_ELEM_U32};
    rl_instr_t code[] = {I3(VECSETS, 0, 0, 1), I3(VECGETS, 1, 0, 0), I3(RETS, 1, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .r_count = 1, .s_params = 2, .r_params = 1, .entry_cost = 3};
    for (unsigned i = 0; i < sizeof elements / sizeof *elements; i++) {
        rl_vector_t* v = new_vector(&f, elements[i], 3);
        rl_object_t* r = &v->header;
        rl_word_t s[2] = {{.i = 2}, {.i = 100}}, result;
        rl_vm_begin_run(&f.vm);
        CHECK_INT_EQ(rl_vm_call(&f.vm, &proto, s, &r, &result), RL_DONE);
        CHECK_INT_EQ(result.i, 100);
        for (int64_t bad = -1; bad <= 3; bad += 4) {
            s[0].i = bad;
            rl_vm_begin_run(&f.vm);
            CHECK_INT_EQ(rl_vm_call(&f.vm, &proto, s, &r, &result), RL_RAISE);
            CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_INDEX_OUT_OF_BOUNDS);
            CHECK_TEXT_EQ(f.vm.failure.message,
                bad < 0 ? "index -1 is out of bounds for length 3" : "index 3 is out of bounds for length 3");
        }
    }
    end(&f);
}

TEST(test_vm__walks_over_vec_and_range) {
    fixture_t f;
    begin(&f);
    const rl_rtype_t* element[] = {&int_type};
    rl_rtype_t vec_type = {.kind = RL_TYPE_NAMED,
        .rep = RL_REP_R,
        .def_kind = RL_DEF_BUILTIN,
        .builtin = RL_BUILTIN_VEC,
        .args = element,
        .arg_count = 1};
    rl_rtype_t range_type = {.kind = RL_TYPE_NAMED,
        .rep = RL_REP_R,
        .def_kind = RL_DEF_BUILTIN,
        .builtin = RL_BUILTIN_RANGE,
        .args = element,
        .arg_count = 1};
    const rl_rtype_t* types[] = {&vec_type, &range_type};
    for (unsigned t = 0; t < 2; t++) {
        rl_instr_t code[] = {I3(ITER, 0, 0, t), I1(LDI, 0, 0), I3(NEXTS, 1, 0, 2), I3(ADD_I, 0, 0, 1), I1(LOOP, 0, -3),
            I3(RETS, 0, 0, 0)};
        rl_proto_t proto = {
            CODE_OF(code), .s_count = 2, .r_count = 1, .r_params = 1, .entry_cost = 6, .types = types, .type_count = 2};
        rl_object_t* r;
        if (t == 0) {
            rl_vector_t* v = new_vector(&f, RL_ELEM_I64, 4);
            for (int i = 0; i < 4; i++) ((int64_t*)v->data)[i] = 10 + i;
            r = &v->header;
        } else {
            r = rl_heap_new(&f.vm.heap, RL_OBJ_RANGE, 0, 0, 4);
            rl_object_words(r)[0].i = 13;
            rl_object_words(r)[1].i = 10;
            rl_object_words(r)[2].i = 1;
            rl_object_words(r)[3].i = -1;
        }
        rl_word_t result;
        rl_vm_begin_run(&f.vm);
        CHECK_INT_EQ(rl_vm_call(&f.vm, &proto, NULL, &r, &result), RL_DONE);
        CHECK_INT_EQ(result.i, 46);
    }
    end(&f);
}

TEST(test_vm__casts_check_their_range) {
    fixture_t f;
    begin(&f);
    static const struct {
        unsigned from, to;
        rl_word_t value;
        rl_code_t code;
        int64_t expected;
    } rows[] = {
        {RL_TYPE_I64, RL_TYPE_U8, {.i = 255}, 0, 255},
        {RL_TYPE_I64, RL_TYPE_U8, {.i = 256}, RL_CODE_E7101, 0},
        {RL_TYPE_I64, RL_TYPE_U64, {.i = -1}, RL_CODE_E7101, 0},
        {RL_TYPE_U64, RL_TYPE_I64, {.u = UINT64_MAX}, RL_CODE_E7101, 0},
        {RL_TYPE_F64, RL_TYPE_I64, {.f = -2.9}, 0, -2},
        {RL_TYPE_F64, RL_TYPE_I64, {.f = 0x1p63}, RL_CODE_E7102, 0},
        {RL_TYPE_F64, RL_TYPE_I64, {.f = -0x1p63}, 0, INT64_MIN},
        {RL_TYPE_F64, RL_TYPE_U8, {.f = 255.9}, 0, 255},
        {RL_TYPE_F64, RL_TYPE_U8, {.f = -1}, RL_CODE_E7102, 0},
        {RL_TYPE_F64, RL_TYPE_I32, {.f = NAN}, RL_CODE_E7102, 0},
        {RL_TYPE_I64, RL_TYPE_CHAR, {.i = 0x1F600}, 0, 0x1F600},
        {RL_TYPE_I64, RL_TYPE_CHAR, {.i = 0xD800}, RL_CODE_E7103, 0},
        {RL_TYPE_I64, RL_TYPE_CHAR, {.i = -1}, RL_CODE_E7103, 0},
        {RL_TYPE_F64, RL_TYPE_BOOL, {.f = 0.5}, 0, 1},
        {RL_TYPE_CHAR, RL_TYPE_U32, {.i = 'x'}, 0, 'x'},
        {RL_TYPE_BOOL, RL_TYPE_I64, {.i = 1}, 0, 1},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        rl_instr_t code[] = {I3(CAST, 0, 0, rows[i].from << 8 | rows[i].to), I3(RETS, 0, 0, 0)};
        rl_proto_t proto = {CODE_OF(code), .s_count = 1, .s_params = 1, .entry_cost = 2};
        rl_word_t result = {0};
        rl_vm_begin_run(&f.vm);
        rl_outcome_t outcome = rl_vm_call(&f.vm, &proto, &rows[i].value, NULL, &result);
        CHECK_INT_EQ(outcome, rows[i].code ? RL_RAISE : RL_DONE);
        if (rows[i].code) CHECK_INT_EQ(f.vm.failure.code, rows[i].code);
        else CHECK_INT_EQ(result.i, rows[i].expected);
    }
    end(&f);
}

/* --- limits -------------------------------------------------------------------------------------------------- */

static int64_t loops_done(fixture_t* f, uint64_t fuel) {
    /* counts in global 0, forever */
    rl_instr_t code[] = {I1(LDI, 0, 0), I3(ADDK_I, 0, 0, 1), I1(SETGLOBALS, 0, 0), I1(LOOP, 0, -3)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 1, .entry_cost = 4};
    rl_word_t result;
    f->vm.limits.fuel = fuel;
    f->vm.globals_s[0].i = 0;
    CHECK_INT_EQ(call(f, &proto, 0, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f->vm.failure.code, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS);
    return f->vm.globals_s[0].i;
}

TEST(test_vm__fuel_stops_at_the_same_instruction_each_time) {
    fixture_t f;
    begin(&f);
    CHECK(rl_vm_reserve_globals(&f.vm, 1));
    CHECK_INT_EQ(loops_done(&f, 4), 1);
    CHECK_INT_EQ(loops_done(&f, 6), 1);
    CHECK_INT_EQ(loops_done(&f, 7), 2);
    CHECK_INT_EQ(loops_done(&f, 100000), (100000 - 4) / 3 + 1);
    CHECK_INT_EQ(loops_done(&f, 100000), loops_done(&f, 100000));
    CHECK_INT_EQ(loops_done(&f, 3 * RL_POLL_INTERVAL + 4), RL_POLL_INTERVAL + 1);
    f.vm.limits.fuel = 3;
    rl_word_t result;
    CHECK_INT_EQ(call(&f, fib(), 1, 0, &result), RL_RAISE); /* not even entered */
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS);
    end(&f);
}

static bool poll_host(void* host) {
    fixture_t* f = host;
    f->polls++;
    if (f->polls == 5) atomic_store(&f->vm.interrupt, 1);
    return !f->stop_poll;
}

static rl_code_t run_forever(fixture_t* f) {
    rl_instr_t code[] = {I1(LDI, 0, 0), I1(LOOP, 0, -1)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 1, .entry_cost = 2};
    rl_word_t result;
    CHECK_INT_EQ(call(f, &proto, 0, 0, &result), RL_RAISE);
    return f->vm.failure.code;
}

TEST(test_vm__interrupt_deadline_and_host_stop_a_loop) {
    fixture_t f;
    begin(&f);
    f.vm.poll = poll_host;
    CHECK_INT_EQ(run_forever(&f), RL_CODE_RUNTIME_INTERRUPTED);
    CHECK_INT_EQ(f.polls, 5);
    f.stop_poll = true;
    CHECK_INT_EQ(run_forever(&f), RL_CODE_RUNTIME_INTERRUPTED);
    CHECK_INT_EQ(f.polls, 6);
    f.stop_poll = false;
    f.vm.limits.deadline_ms = 20;
    uint64_t start = rl_os_monotonic_ns();
    CHECK_INT_EQ(run_forever(&f), RL_CODE_RUNTIME_LIMIT_DEADLINE);
    CHECK(rl_os_monotonic_ns() - start < 2000000000);
    end(&f);
}

TEST(test_vm__heap_limit_ends_the_run_after_collecting) {
    fixture_t f;
    begin(&f);
    static const rl_shape_t shapes[] = {{RL_OBJ_CELLS, 1, 1, 2}};
    rl_instr_t keep_code[] = {I1(LDNULLARY, 0, 0), I3(NEW, 0, 0, 0), I1(LOOP, 0, -2)};
    rl_proto_t keep = {CODE_OF(keep_code), .s_count = 2, .r_count = 1, .entry_cost = 3, .shapes = shapes};
    rl_instr_t drop_code[] = {
        I1(LDNULLARY, 0, 0), I3(MOVR, 1, 0, 0), I3(NEW, 0, 1, 0), I3(FOR_LT, 0, 1, 3), I3(RETS, 0, 0, 0)};
    rl_proto_t drop = {
        CODE_OF(drop_code), .s_count = 2, .r_count = 2, .s_params = 2, .entry_cost = 5, .shapes = shapes};
    rl_word_t result;
    f.allocator.limit_bytes = f.allocator.live_bytes + 20000 + 10 * (size_t)MANY;
    CHECK_INT_EQ(call(&f, &keep, 0, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_MEMORY);
    CHECK(!f.allocator.failed);
    CHECK_INT_EQ(call(&f, &drop, 0, VERY_MANY, &result), RL_DONE); /* garbage never reaches the limit */
    end(&f);
}

/* --- failure and deferred closures --------------------------------------------------------------------------- */

static rl_outcome_t host_function(
    void* host, rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result) {
    fixture_t* f = host;
    (void)r;
    f->host_calls++;
    if (site->binding == 1) { /* trace(n): one letter of output */
        if (f->output_length < sizeof f->output) f->output[f->output_length++] = (char)('a' + s[0].i);
        result->i = 0;
        return RL_DONE;
    }
    if (site->binding == 2) return rl_vm_raise(vm, RL_CODE_HOST_CALL_FAILED, "the host says no");
    rl_word_t argument = {.i = s[0].i}, answer;
    rl_outcome_t outcome = rl_vm_call(vm, f->callback, &argument, NULL, &answer);
    if (outcome == RL_RAISE) {
        f->nested_code = vm->failure.code;
        if (f->swallow) {
            result->i = -1;
            return RL_DONE;
        }
        return RL_RAISE;
    }
    result->i = answer.i + 1;
    return RL_DONE;
}

TEST(test_vm__host_functions_may_call_back) {
    fixture_t f;
    begin(&f);
    f.vm.call_host = host_function;
    f.callback = fib();
    rl_host_site_t hosts[] = {{.name = {"Host.back", 9}, .binding = 0, .param_count = 1, .result = &int_type}};
    rl_instr_t code[] = {I3(MOVS, 1, 0, 0), I3(CALLH, 1, 0, 0), I3(ADD_I, 0, 0, 1), I3(RETS, 0, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .s_params = 1, .entry_cost = 4, .hosts = hosts, .host_count = 1,
        .name = {"main", 4}};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, 15, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 15 + 610 + 1);
    CHECK_INT_EQ(f.vm.native_depth, 0);
    /* a callback that needs a larger stack than there is moves the banks */
    f.callback = deep();
    CHECK_INT_EQ(call(&f, &proto, 50000, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 50000 + 50000 + 1);
    /* one that fails: the stack shows both runs */
    f.vm.limits.call_depth = 20;
    CHECK_INT_EQ(call(&f, &proto, 50, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_STACK_OVERFLOW);
    CHECK_INT_EQ(f.vm.failure.stack.count, 20);
    CHECK_TEXT_EQ(f.vm.failure.stack.data[0].function, "deep");
    CHECK_TEXT_EQ(f.vm.failure.stack.data[19].function, "main");
    CHECK_INT_EQ(f.vm.fiber->frame_count, 0);
    f.swallow = true;
    CHECK_INT_EQ(call(&f, &proto, 50, 0, &result), RL_DONE);
    CHECK_INT_EQ(result.i, 49);
    end(&f);
}

TEST(test_vm__host_recursion_is_bounded) {
    fixture_t f;
    begin(&f);
    f.vm.call_host = host_function;
    rl_host_site_t hosts[] = {{.name = {"Host.back", 9}, .binding = 0, .param_count = 1, .result = &int_type}};
    rl_instr_t code[] = {I3(CALLH, 0, 0, 0), I3(RETS, 0, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 1, .s_params = 1, .entry_cost = 2, .hosts = hosts, .host_count = 1,
        .name = {"ping", 4}};
    f.callback = &proto;
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, 1, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_STACK_OVERFLOW);
    CHECK_INT_EQ(f.host_calls, f.vm.native_depth_limit);
    CHECK_INT_EQ(f.vm.native_depth, 0);
    end(&f);
}

TEST(test_vm__fuel_is_shared_with_nested_runs) {
    fixture_t f;
    begin(&f);
    f.vm.call_host = host_function;
    f.callback = fib();
    f.swallow = true;
    rl_host_site_t hosts[] = {{.name = {"Host.back", 9}, .binding = 0, .param_count = 1, .result = &int_type}};
    rl_instr_t code[] = {I3(MOVS, 1, 0, 0), I3(CALLH, 1, 0, 0), I1(LOOP, 0, -2)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .s_params = 1, .entry_cost = 3, .hosts = hosts, .host_count = 1,
        .name = {"main", 4}};
    rl_word_t result;
    f.vm.limits.fuel = 100000;
    CHECK_INT_EQ(call(&f, &proto, 30, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.nested_code, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS); /* swallowing it does not help */
    CHECK_INT_EQ(f.host_calls, 1);
    end(&f);
}

/* trace(letter) as a closure without parameters: captures the letter. With `panics` it fails afterwards, with
   `loops` it never ends. */
static rl_host_site_t trace_hosts[] = {
    {.name = {"Host.trace", 10}, .binding = 1, .param_count = 1, .result = &unit_type},
    {.name = {"Host.no", 7}, .binding = 2, .param_count = 0, .result = &unit_type}};
static const rl_instr_t trace_code[] = {I3(GETS, 0, 0, 1), I3(CALLH, 0, 0, 0), I3(RETU, 0, 0, 0)};
static const rl_instr_t trace_panic_code[] = {
    I3(GETS, 0, 0, 1), I3(CALLH, 0, 0, 0), I1(TRAP, 0, RL_CODE_RUNTIME_TODO), I3(RETU, 0, 0, 0)};
static const rl_instr_t trace_loop_code[] = {I3(GETS, 0, 0, 1), I3(CALLH, 0, 0, 0), I1(LOOP, 0, -1), I3(RETU, 0, 0, 0)};
static rl_proto_t trace_proto = {CODE_OF(trace_code), .s_count = 1, .r_count = 1, .has_env = true, .entry_cost = 3,
    .hosts = trace_hosts, .host_count = 2, .name = {"<fn lambda>", 11}};
static rl_proto_t trace_panic_proto = {CODE_OF(trace_panic_code), .s_count = 1, .r_count = 1, .has_env = true,
    .entry_cost = 3, .hosts = trace_hosts, .host_count = 2, .name = {"<fn lambda>", 11}};
static rl_proto_t trace_loop_proto = {CODE_OF(trace_loop_code), .s_count = 1, .r_count = 1, .has_env = true,
    .entry_cost = 3, .hosts = trace_hosts, .host_count = 2, .name = {"<fn lambda>", 11}};
static const rl_closure_site_t trace_closures[] = {
    {&trace_proto, 0, 1}, {&trace_panic_proto, 0, 1}, {&trace_loop_proto, 0, 1}};

TEST(test_vm__deferred_closures_run_innermost_first_when_a_panic_passes) {
    fixture_t f;
    begin(&f);
    rl_heap_set_stress(&f.vm.heap, true, false);
    f.vm.call_host = host_function;
    /* inner: defer a, defer b (panics), then divides by zero; outer: defer c, calls inner, defer d is never reached */
    rl_instr_t inner_code[] = {I1(LDI, 0, 0), I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I1(LDI, 0, 1),
        I3(CLOSURE, 0, 0, 1), I3(DEFER, 0, 0, 0), I1(LDI, 0, 0), I3(DIV_I, 0, 0, 0), I3(RETS, 0, 0, 0)};
    rl_proto_t inner = {CODE_OF(inner_code), .s_count = 2, .r_count = 1, .entry_cost = 9, .closures = trace_closures,
        .name = {"inner", 5}};
    rl_proto_t* callees[] = {&inner};
    rl_instr_t outer_code[] = {I1(LDI, 0, 2), I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I3(CALL, 0, 0, 0),
        I1(LDI, 0, 3), I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I3(RETS, 0, 0, 0)};
    rl_proto_t outer = {CODE_OF(outer_code), .s_count = 2, .r_count = 1, .entry_cost = 8, .closures = trace_closures,
        .callees = callees, .name = {"outer", 5}};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &outer, 0, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_ARITH_DIV_ZERO);
    CHECK(f.output_length == 3 && memcmp(f.output, "bac", 3) == 0);
    if (CHECK_INT_EQ(f.vm.failure.notes.count, 1)) {
        CHECK_TEXT_EQ(f.vm.failure.notes.data[0], "panic in a deferred expression: runtime.todo: not yet implemented");
    }
    CHECK_INT_EQ(f.vm.failure.stack.count, 2);
    CHECK_TEXT_EQ(f.vm.failure.stack.data[0].function, "inner");
    CHECK_TEXT_EQ(f.vm.failure.stack.data[1].function, "outer");
    CHECK_INT_EQ(f.vm.fiber->deferred.count, 0);
    CHECK(!f.vm.unwinding);
    end(&f);
}

TEST(test_vm__undefer_gives_the_closure_back) {
    fixture_t f;
    begin(&f);
    f.vm.call_host = host_function;
    rl_instr_t code[] = {I1(LDI, 0, 5), I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I3(UNDEFER, 0, 0, 0),
        I3(CALLV, 0, 0, 0), I3(RETU, 0, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .r_count = 1, .entry_cost = 6, .closures = trace_closures};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, 0, 0, &result), RL_DONE);
    CHECK(f.output_length == 1 && f.output[0] == 'f');
    end(&f);
}

TEST(test_vm__deferred_closures_get_a_little_fuel_after_a_limit) {
    fixture_t f;
    begin(&f);
    f.vm.call_host = host_function;
    /* defer c; defer b that never ends; loop forever: b starts, is stopped, c is given up, the run ends */
    for (unsigned endless = 0; endless < 2; endless++) {
        rl_instr_t code[] = {I1(LDI, 0, 2), I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I1(LDI, 0, 1),
            I3(CLOSURE, 0, 0, endless ? 2 : 0), I3(DEFER, 0, 0, 0), I1(LOOP, 0, -1)};
        rl_proto_t proto = {CODE_OF(code), .s_count = 2, .r_count = 1, .entry_cost = 7, .closures = trace_closures};
        rl_word_t result;
        f.output_length = 0;
        f.vm.limits.fuel = 1000;
        CHECK_INT_EQ(call(&f, &proto, 0, 0, &result), RL_RAISE);
        CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS);
        CHECK(f.output[0] == 'b');
        CHECK_INT_EQ(f.output_length, endless ? 1 : 2);
    }
    end(&f);
}

TEST(test_vm__defers_that_panic_in_a_chain_need_no_native_stack) {
    fixture_t f;
    begin(&f);
    /* chain(n): defer the closure { if n > 0 then chain(n - 1) }; panic. The closure captures n. */
    static rl_proto_t chain, body;
    static rl_proto_t* body_callees[] = {&chain};
    static const rl_closure_site_t closures[] = {{&body, 0, 1}};
    rl_instr_t body_code[] = {
        I3(GETS, 0, 0, 1), I3(JEQK_I, 0, 0, 2), I3(ADDK_I, 0, 0, -1), I3(CALL, 0, 0, 0), I3(RETU, 0, 0, 0)};
    body = (rl_proto_t){CODE_OF(body_code), .s_count = 1, .r_count = 1, .has_env = true, .entry_cost = 5,
        .callees = body_callees, .name = {"<fn lambda>", 11}};
    rl_instr_t chain_code[] = {I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I1(TRAP, 0, RL_CODE_RUNTIME_PANIC)};
    chain = (rl_proto_t){CODE_OF(chain_code), .s_count = 1, .r_count = 1, .s_params = 1, .entry_cost = 3,
        .closures = closures, .name = {"chain", 5}};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &chain, MANY / 2, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_PANIC);
    CHECK_INT_EQ(f.vm.failure.notes.count, 64);
    CHECK_INT_EQ(f.vm.fiber->frame_count, 0);
    end(&f);
}

TEST(test_vm__host_failure_inside_a_deferred_closure_becomes_a_note) {
    fixture_t f;
    begin(&f);
    f.vm.call_host = host_function;
    rl_instr_t failing_code[] = {I3(CALLH, 0, 0, 1), I3(RETU, 0, 0, 0)};
    rl_proto_t failing = {CODE_OF(failing_code), .s_count = 1, .r_count = 1, .has_env = true, .entry_cost = 3,
        .hosts = trace_hosts, .host_count = 2};
    rl_closure_site_t closures[] = {{&failing, 0, 0}};
    rl_instr_t code[] = {I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I1(TRAP, 0, RL_CODE_RUNTIME_PANIC)};
    rl_proto_t proto = {
        CODE_OF(code), .s_count = 1, .r_count = 1, .entry_cost = 3, .closures = closures, .name = {"main", 4}};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, 0, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_PANIC);
    if (CHECK_INT_EQ(f.vm.failure.notes.count, 1)) {
        CHECK_TEXT_EQ(f.vm.failure.notes.data[0], "panic in a deferred expression: host.call.failed: the host says no");
    }
    end(&f);
}

TEST(test_vm__messages_survive_a_lack_of_memory) {
    fixture_t f;
    begin(&f);
    char longer[2000];
    memset(longer, 'x', sizeof longer);
    memcpy(longer + 254, "\xC3\xA9", 2); /* a character across the place where it is cut */
    f.allocator.limit_bytes = f.allocator.live_bytes;
    rl_vm_begin_run(&f.vm);
    rl_vm_raise_text(&f.vm, RL_CODE_RUNTIME_PANIC, (rl_str_t){longer, sizeof longer});
    CHECK_INT_EQ(f.vm.failure.message.length, 254);
    CHECK(!f.allocator.failed);
    rl_vm_raise(&f.vm, RL_CODE_RUNTIME_PANIC, "number %d", 5);
    CHECK_TEXT_EQ(f.vm.failure.message, "number 5");
    rl_vm_raise_text(&f.vm, RL_CODE_RUNTIME_ASSERT, rl_buf_str(&f.vm.failure.message)); /* again, with its own text */
    CHECK_TEXT_EQ(f.vm.failure.message, "number 5");
    end(&f);
}

TEST(test_vm__raise_takes_its_text_from_a_string) {
    fixture_t f;
    begin(&f);
    static rl_string_t text = {.header = {RL_OBJ_STR, RL_OBJ_STATIC | RL_OBJ_SHARED, RL_STR_ASCII, 1, 5},
        .data = "went wrong",
        .length = 10,
        .count = 10};
    rl_object_t* constants[] = {&text.header};
    rl_instr_t code[] = {I1(LDR, 0, 0), I1(RAISE, 0, RL_CODE_RUNTIME_ASSERT)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 1, .r_count = 1, .entry_cost = 2, .ref_constants = constants};
    rl_word_t result;
    CHECK_INT_EQ(call(&f, &proto, 0, 0, &result), RL_RAISE);
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_ASSERT);
    CHECK_TEXT_EQ(f.vm.failure.message, "went wrong");
    end(&f);
}

/* --- builtins ------------------------------------------------------------------------------------------------ */

static unsigned collect_requests;
static rl_outcome_t sometimes_short(
    rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site) {
    (void)site;
    if (!rl_vm_charge(vm, 10)) return RL_RAISE;
    if (collect_requests > 0) {
        collect_requests--;
        vm->allocator->failed = true;
        return RL_COLLECT;
    }
    result->i = args[0].i * 100 + args[1].o->tag;
    return RL_DONE;
}

TEST(test_vm__builtins_are_retried_once_after_a_collection) {
    fixture_t f;
    begin(&f);
    rl_builtin_site_t builtins[] = {
        {.call = sometimes_short, .arg_count = 2, .args = {0, 0}, .arg_reps = {RL_REP_S, RL_REP_R}}};
    rl_instr_t code[] = {I1(LDNULLARY, 0, 7), I1(CALLB_S, 1, 0), I3(RETS, 1, 0, 0)};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .r_count = 1, .s_params = 1, .entry_cost = 3, .builtins = builtins,
        .builtin_count = 1};
    rl_word_t result;
    for (collect_requests = 0; collect_requests < 3;) {
        unsigned asked = collect_requests;
        uint64_t before = f.vm.heap.stats.collections;
        rl_outcome_t outcome = call(&f, &proto, 3, 0, &result);
        CHECK_INT_EQ(outcome, asked < 2 ? RL_DONE : RL_RAISE);
        if (asked < 2) CHECK_INT_EQ(result.i, 307);
        else CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_MEMORY);
        CHECK(asked == 0 || f.vm.heap.stats.collections > before);
        CHECK(!f.allocator.failed);
        collect_requests = asked + 1;
    }
    f.vm.limits.fuel = 12;
    collect_requests = 0;
    CHECK_INT_EQ(call(&f, &proto, 3, 0, &result), RL_RAISE); /* 3 for entry, 10 for the work */
    CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS);
    f.vm.limits.fuel = 13;
    CHECK_INT_EQ(call(&f, &proto, 3, 0, &result), RL_DONE);
    end(&f);
}

TEST(test_vm__every_failed_allocation_is_survived) {
    fixture_t f;
    static const rl_shape_t shapes[] = {{RL_OBJ_CELLS, 1, 1, 2}};
    rl_instr_t code[] = {I1(LDNULLARY, 0, 0), I3(NEW, 0, 0, 0), I3(FOR_LT, 0, 1, 2), I1(LDI, 0, 1),
        I3(CLOSURE, 0, 0, 0), I3(DEFER, 0, 0, 0), I3(UNDEFER, 0, 0, 0), I3(CALLV, 0, 0, 0), I1(LDI, 0, 300),
        I3(CALL, 0, 0, 0), I3(RETS, 0, 0, 0)};
    rl_proto_t* callees[] = {(rl_proto_t*)(uintptr_t)deep()};
    rl_proto_t proto = {CODE_OF(code), .s_count = 2, .r_count = 1, .s_params = 2, .entry_cost = 11, .shapes = shapes,
        .closures = trace_closures, .callees = callees};
    unsigned failures = 0;
    for (uint64_t n = 1; n < 100000; n += 1 + n / 40) {
        f = (fixture_t){0};
        rl_allocator_init(&f.allocator, NULL, NULL);
        f.allocator.fail_at = n;
        f.allocator.fail_every = 1;
        if (rl_vm_init(&f.vm, &f.allocator, NULL)) {
            f.vm.host = &f;
            f.vm.call_host = host_function;
            rl_word_t result;
            rl_outcome_t outcome = call(&f, &proto, 0, MANY < 2000 ? MANY : 2000, &result);
            if (outcome == RL_DONE) {
                rl_vm_deinit(&f.vm);
                CHECK_INT_EQ(f.allocator.live_bytes, 0);
                break;
            }
            failures++;
            CHECK_INT_EQ(f.vm.failure.code, RL_CODE_RUNTIME_LIMIT_MEMORY);
            rl_vm_deinit(&f.vm);
        }
        CHECK_INT_EQ(f.allocator.live_bytes, 0);
    }
    CHECK(failures > 3);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_vm__integer_arithmetic_is_checked),
        RUN(test_vm__narrow_traps_outside_its_width),
        RUN(test_vm__floats_follow_ieee),
        RUN(test_vm__comparisons_are_signed_or_unsigned),
        RUN(test_vm__conditional_jumps),
        RUN(test_vm__switch_uses_its_table_and_default),
        RUN(test_vm__fused_loops_count_right),
        RUN(test_vm__calls_return_to_their_callers),
        RUN(test_vm__stack_grows_to_the_call_depth_and_no_further),
        RUN(test_vm__stack_that_memory_cannot_hold_ends_the_run),
        RUN(test_vm__large_stacks_are_given_back_between_runs),
        RUN(test_vm__tail_calls_do_not_grow_the_stack),
        RUN(test_vm__objects_hold_references_before_scalars),
        RUN(test_vm__stress_collection_at_every_safe_point_keeps_registers_alive),
        RUN(test_vm__closures_capture_and_are_called),
        RUN(test_vm__shared_objects_are_copied_and_unshared_ones_are_not),
        RUN(test_vm__any_carries_its_type),
        RUN(test_vm__globals_must_be_set_before_use),
        RUN(test_vm__vectors_are_bounds_checked_and_stored_at_their_width),
        RUN(test_vm__walks_over_vec_and_range),
        RUN(test_vm__casts_check_their_range),
        RUN(test_vm__fuel_stops_at_the_same_instruction_each_time),
        RUN(test_vm__interrupt_deadline_and_host_stop_a_loop),
        RUN(test_vm__heap_limit_ends_the_run_after_collecting),
        RUN(test_vm__host_functions_may_call_back),
        RUN(test_vm__host_recursion_is_bounded),
        RUN(test_vm__fuel_is_shared_with_nested_runs),
        RUN(test_vm__deferred_closures_run_innermost_first_when_a_panic_passes),
        RUN(test_vm__undefer_gives_the_closure_back),
        RUN(test_vm__deferred_closures_get_a_little_fuel_after_a_limit),
        RUN(test_vm__defers_that_panic_in_a_chain_need_no_native_stack),
        RUN(test_vm__host_failure_inside_a_deferred_closure_becomes_a_note),
        RUN(test_vm__messages_survive_a_lack_of_memory),
        RUN(test_vm__raise_takes_its_text_from_a_string),
        RUN(test_vm__builtins_are_retried_once_after_a_collection),
        RUN(test_vm__every_failed_allocation_is_survived),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
