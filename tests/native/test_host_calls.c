/* Calls of a script to scalar functions of the host, again and again: the short way that a site takes after its first call must be
   told apart from the long one by its speed alone (vm/loop.c CALLH, host/host_functions.c). */
#include "check.h"

#include "reml_audit.h"
#include "reml_ffi_bridge.h"
#include "reml_value.h"

#include <stdlib.h>

#define OK REML_EMBED_STATUS_OK

static const char* const source = "fn repeat(n: Int) -> Int {\n"
                                  "  var s = 0\n"
                                  "  for i in 0..n { s := s * 2 - s + step(i) }\n"
                                  "  s\n"
                                  "}\n"
                                  "fn all(n: Int) -> Bool {\n"
                                  "  var s = true\n"
                                  "  for i in 0..n { s := yes(i) }\n"
                                  "  s\n"
                                  "}\n"
                                  "fn deep(n: Int) -> Int = if n == 0 { 0 } else { 1 + deep(n - 1) }\n"
                                  "fn divide(n: Int) -> Int = 1 / n\n"
                                  "fn burn(n: Int) -> Int {\n"
                                  "  var s = 0\n"
                                  "  for i in 0..n { s := s + 1 }\n"
                                  "  s\n"
                                  "}\n"
                                  "fn mixed(n: Int) -> Int = if n % 3 == 0 { deep(n % 7) } else if n % 3 == 1 { n ^ 2 "
                                  "} else { 10 / (n - 29) + step(n) }\n"
                                  "fn power(x: Float, y: Float) -> Float = x ^ y % 7.0 + 1.0\n"
                                  "fn grow(x: Float) -> Float {\n"
                                  "  var y = x\n"
                                  "  while y * y < 100.0 { y := y + 1.0 }\n"
                                  "  y\n"
                                  "}\n"
                                  "fn late(n: Int) -> Int {\n"
                                  "  defer step(100)\n"
                                  "  repeat(n) / 0\n"
                                  "}\n";

static reml_embed_context_t* context;
static reml_function_t repeat, all, deep, divide, burn, late;
static int64_t calls;

typedef reml_embed_status_t (*scalar_fn)(
    reml_embed_context_t* given, const reml_scalar_t* arguments, reml_scalar_t* out, void* user);

static reml_embed_status_t bind(const char* name, const char* signature, scalar_fn call) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = signature;
    function.call_scalars = call;
    return reml_host_define(context, &function);
}

static reml_function_t find(const char* name) {
    reml_function_t function;
    CHECK_INT_EQ(reml_function_find(context, name, strlen(name), NULL, 0, &function), OK);
    return function;
}

static void drain(void) {
    char* text = NULL;
    size_t length;
    CHECK_INT_EQ(reml_embed_audit_drain(context, &text, &length), OK);
    reml_embed_free(text);
}

static void begin(scalar_fn step, scalar_fn yes) {
    calls = 0;
    context = NULL;
    CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &context), OK);
    CHECK_INT_EQ(bind("step", "(i: Int) -> Int", step), OK);
    CHECK_INT_EQ(bind("yes", "(i: Int) -> Bool", yes), OK);
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)source, strlen(source)), OK);
    repeat = find("repeat");
    all = find("all");
    deep = find("deep");
    divide = find("divide");
    burn = find("burn");
    late = find("late");
    drain();
}
static void end(void) { CHECK_INT_EQ(reml_dispose_context(context), OK); }

static reml_embed_status_t call(reml_function_t function, int64_t argument, int64_t* out) {
    reml_scalar_t given = {.i = argument}, result;
    reml_embed_status_t status = reml_function_call_scalars(context, function, &given, 1, &result);
    *out = result.i;
    return status;
}

#define STEP(name)                                                                                                     \
    static reml_embed_status_t name(                                                                                   \
        reml_embed_context_t* given, const reml_scalar_t* arguments, reml_scalar_t* out, void* user)

STEP(one) {
    (void)given, (void)arguments, (void)user;
    calls++;
    out->i = 1;
    return OK;
}
STEP(two) {
    (void)given, (void)arguments, (void)user;
    calls++;
    out->i = 2;
    return OK;
}
STEP(silent) {
    (void)given, (void)arguments, (void)out, (void)user;
    calls++;
    return OK;
}
/* Goes deep below the frame that called: banks and frames must grow, and move. */
STEP(dig) {
    (void)given, (void)user;
    calls++;
    int64_t found;
    reml_embed_status_t status = call(deep, arguments[0].i * 500, &found);
    out->i = found;
    return status;
}
STEP(swallow) {
    (void)given, (void)user;
    int64_t ignored;
    calls++;
    CHECK_INT_EQ(call(divide, 0, &ignored), REML_EMBED_STATUS_ERROR);
    out->i = arguments[0].i;
    return OK;
}
STEP(fail_at_three) {
    (void)user;
    calls++;
    out->i = 1;
    if (arguments[0].i != 3) return OK;
    reml_host_fail(given, "not three", 9);
    return REML_EMBED_STATUS_ERROR;
}
STEP(two_at_three) {
    (void)given, (void)user;
    calls++;
    out->i = arguments[0].i == 3 ? 2 : 1;
    return OK;
}
STEP(rebind) {
    (void)given, (void)arguments, (void)user;
    calls++;
    CHECK_INT_EQ(bind("step", "(i: Int) -> Int", two), REML_EMBED_STATUS_BUSY);
    out->i = 1;
    return OK;
}
STEP(every_from_three) {
    (void)user;
    calls++;
    if (arguments[0].i == 3)
        CHECK_INT_EQ(reml_embed_audit_policy(given, REML_AUDIT_POLICY_EVERY, REML_AUDIT_ON_FAILURE_REFUSE, 0), OK);
    out->i = 1;
    return OK;
}
STEP(burn_much) {
    (void)given, (void)arguments, (void)user;
    calls++;
    return call(burn, 10000, &out->i);
}

static reml_embed_status_t three(
    reml_embed_context_t* given, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)given, (void)arguments, (void)user;
    CHECK_INT_EQ(count, 1);
    calls++;
    *out = reml_value_int(3);
    return OK;
}

TEST(test_host_calls__a_result_that_was_not_set_is_zero_each_time) {
    int64_t sum;
    begin(silent, one);
    CHECK_INT_EQ(call(repeat, 10, &sum), OK);
    CHECK_INT_EQ(sum, 0);
    CHECK_INT_EQ(calls, 10);
    end();
}

TEST(test_host_calls__the_function_bound_last_is_called) {
    int64_t sum;
    begin(one, one);
    CHECK_INT_EQ(call(repeat, 10, &sum), OK);
    CHECK_INT_EQ(sum, 10);
    CHECK_INT_EQ(bind("step", "(i: Int) -> Int", two), OK);
    CHECK_INT_EQ(call(repeat, 10, &sum), OK);
    CHECK_INT_EQ(sum, 20);
    reml_host_function_t values = REML_HOST_FUNCTION_INIT;
    values.name = "step";
    values.call = three;
    CHECK_INT_EQ(reml_host_define(context, &values), OK);
    CHECK_INT_EQ(call(repeat, 10, &sum), OK);
    CHECK_INT_EQ(sum, 30);
    CHECK_INT_EQ(bind("step", "(i: Int) -> Int", one), OK);
    CHECK_INT_EQ(call(repeat, 10, &sum), OK);
    CHECK_INT_EQ(sum, 10);
    end();
}

TEST(test_host_calls__a_running_function_cannot_be_bound_anew) {
    int64_t sum;
    begin(rebind, one);
    CHECK_INT_EQ(call(repeat, 5, &sum), OK);
    CHECK_INT_EQ(sum, 5);
    CHECK_INT_EQ(calls, 5);
    end();
}

TEST(test_host_calls__a_nested_run_may_move_the_registers) {
    int64_t sum;
    begin(dig, one);
    CHECK_INT_EQ(call(repeat, 12, &sum), OK);
    CHECK_INT_EQ(sum, 500 * 66);
    CHECK_INT_EQ(calls, 12);
    end();
}

TEST(test_host_calls__a_swallowed_failure_of_a_nested_run_is_gone) {
    int64_t sum;
    begin(swallow, one);
    CHECK_INT_EQ(call(repeat, 8, &sum), OK);
    CHECK_INT_EQ(sum, 28);
    CHECK_INT_EQ(calls, 8);
    end();
}

TEST(test_host_calls__a_failure_after_good_calls_stops_the_run_and_is_counted) {
    int64_t sum;
    reml_ffi_bridge_metrics_t before, after;
    begin(fail_at_three, one);
    CHECK_INT_EQ(reml_ffi_bridge_context_metrics(context, &before), OK);
    CHECK_INT_EQ(call(repeat, 8, &sum), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(calls, 4);
    CHECK(strstr(reml_last_error(context), "not three"));
    CHECK_INT_EQ(reml_ffi_bridge_context_metrics(context, &after), OK);
    CHECK_INT_EQ(after.total_calls - before.total_calls, 5);
    CHECK_INT_EQ(after.success_calls - before.success_calls, 3);
    char* text;
    size_t length;
    CHECK_INT_EQ(reml_embed_audit_drain(context, &text, &length), OK);
    CHECK(strstr(text, "\"ffi.count\":3,"));
    CHECK(strstr(text, "host.call_failed") || strstr(text, "not three"));
    reml_embed_free(text);
    end();
}

TEST(test_host_calls__a_result_out_of_range_is_refused_at_any_call) {
    int64_t found;
    begin(one, two_at_three);
    CHECK_INT_EQ(call(all, 3, &found), OK);
    CHECK_INT_EQ(found, 1);
    CHECK_INT_EQ(calls, 3);
    CHECK_INT_EQ(call(all, 8, &found), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(calls, 7);
    CHECK(strstr(reml_last_error(context), "out of range"));
    end();
}

TEST(test_host_calls__the_policy_every_counts_from_the_call_that_sets_it) {
    int64_t sum;
    begin(every_from_three, one);
    CHECK_INT_EQ(call(repeat, 8, &sum), OK);
    char* text;
    size_t length;
    CHECK_INT_EQ(reml_embed_audit_drain(context, &text, &length), OK);
    unsigned records = 0;
    for (const char* at = text; (at = strstr(at, "\"extern_symbol\":\"step\"")); at++) records++;
    CHECK_INT_EQ(records, 6); /* a summary of those before, then one each */
    CHECK(strstr(text, "\"ffi.count\":3,"));
    reml_embed_free(text);
    end();
}

TEST(test_host_calls__a_deferred_call_happens_while_a_failure_is_on_its_way) {
    int64_t sum;
    begin(one, one);
    CHECK_INT_EQ(call(repeat, 3, &sum), OK);
    CHECK_INT_EQ(call(late, 3, &sum), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(calls, 7);
    CHECK_INT_EQ(call(late, 3, &sum), REML_EMBED_STATUS_ERROR); /* its site has been called before */
    CHECK_INT_EQ(calls, 11);
    CHECK(strstr(reml_last_error(context), "division by zero"));
    end();
}

TEST(test_host_calls__what_nested_runs_burn_is_the_callers_fuel) {
    int64_t sum;
    begin(burn_much, one);
    reml_embed_limits_t limits = {.struct_size = sizeof limits};
    CHECK_INT_EQ(reml_embed_get_limits(context, &limits), OK);
    limits.fuel = 500000;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    CHECK_INT_EQ(call(repeat, 3, &sum), OK);
    CHECK_INT_EQ(sum, 30000);
    calls = 0;
    CHECK(call(repeat, 1000, &sum) != OK); /* ERROR: the host function answered what its own call was answered */
    CHECK(calls > 3 && calls < 60);
    end();
}

static reml_embed_status_t map(const char* name, int64_t* numbers, size_t count, size_t* done) {
    reml_column_t column = {.kind = REML_COLUMN_I64, .data = numbers, .stride = sizeof *numbers};
    return reml_function_map(context, find(name), &column, 1, &column, count, done);
}

/* The way back of grow reads the product that the small loop has computed right before it ends. */
TEST(test_host_calls__a_float_computed_last_goes_over_into_the_large_loop) {
    begin(two, one);
    reml_function_t grow = find("grow");
    const double given[] = {9.5, 0.0, 9.9, 20.0, 9.5}, wanted[] = {10.5, 10.0, 10.9, 20.0, 10.5};
    for (int i = 0; i < 5; i++) {
        reml_scalar_t x = {.f = given[i]}, y = {.f = 0};
        CHECK_INT_EQ(reml_function_call_scalars(context, grow, &x, 1, &y), OK);
        CHECK(y.f == wanted[i]);
    }
    end();
}

TEST(test_batch__elements_that_leave_the_small_loop_are_done_like_calls) {
    int64_t numbers[200];
    size_t done;
    begin(two, one);
    for (int i = 0; i < 200; i++) numbers[i] = i + 30;
    CHECK_INT_EQ(map("mixed", numbers, 200, &done), OK); /* in place */
    CHECK_INT_EQ(done, 200);
    for (int i = 0; i < 200; i++) {
        int n = i + 30;
        CHECK_INT_EQ(numbers[i], n % 3 == 0 ? n % 7 : n % 3 == 1 ? n * n : 10 / (n - 29) + 2);
    }
    for (int i = 0; i < 200; i++) numbers[i] = i;
    CHECK_INT_EQ(map("mixed", numbers, 200, &done), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(
        done, 29); /* the thirtieth divides by zero; what was before it is there, what is behind is as it was */
    CHECK_INT_EQ(numbers[28], 784);
    CHECK_INT_EQ(numbers[29], 29);
    end();
}

TEST(test_batch__powers_and_remainders_of_floats) {
    begin(two, one);
    double x[8], y[8], out[8];
    for (int i = 0; i < 8; i++) x[i] = i, y[i] = 2;
    reml_column_t in[2] = {
        {.kind = REML_COLUMN_F64, .data = x, .stride = 8}, {.kind = REML_COLUMN_F64, .data = y, .stride = 8}};
    reml_column_t to = {.kind = REML_COLUMN_F64, .data = out, .stride = 8};
    size_t done;
    CHECK_INT_EQ(reml_function_map(context, find("power"), in, 2, &to, 8, &done), OK);
    for (int i = 0; i < 8; i++) CHECK_INT_EQ(out[i], i * i % 7 + 1);
    end();
}

TEST(test_batch__fuel_counts_for_the_whole_batch) {
    static int64_t numbers[100000];
    size_t done;
    begin(two, one);
    reml_embed_limits_t limits = {.struct_size = sizeof limits};
    CHECK_INT_EQ(reml_embed_get_limits(context, &limits), OK);
    limits.fuel = 100000;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    for (int i = 0; i < 100000; i++) numbers[i] = 1;
    CHECK_INT_EQ(map("divide", numbers, 100000, &done), REML_EMBED_STATUS_LIMIT);
    CHECK(done > 5000 && done < 100000);
    end();
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_host_calls__a_result_that_was_not_set_is_zero_each_time),
        RUN(test_host_calls__the_function_bound_last_is_called),
        RUN(test_host_calls__a_running_function_cannot_be_bound_anew),
        RUN(test_host_calls__a_nested_run_may_move_the_registers),
        RUN(test_host_calls__a_swallowed_failure_of_a_nested_run_is_gone),
        RUN(test_host_calls__a_failure_after_good_calls_stops_the_run_and_is_counted),
        RUN(test_host_calls__a_result_out_of_range_is_refused_at_any_call),
        RUN(test_host_calls__the_policy_every_counts_from_the_call_that_sets_it),
        RUN(test_host_calls__a_deferred_call_happens_while_a_failure_is_on_its_way),
        RUN(test_host_calls__what_nested_runs_burn_is_the_callers_fuel),
        RUN(test_host_calls__a_float_computed_last_goes_over_into_the_large_loop),
        RUN(test_batch__elements_that_leave_the_small_loop_are_done_like_calls),
        RUN(test_batch__powers_and_remainders_of_floats),
        RUN(test_batch__fuel_counts_for_the_whole_batch),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
