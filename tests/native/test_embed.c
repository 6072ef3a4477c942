/* The C interface as a host sees it: reml_embed.h, reml_value.h, reml_ffi_bridge.h, reml_audit.h. Only public headers. */
#include "check.h"
#include "reml_async.h"

#include "reml_audit.h"
#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_value.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK REML_EMBED_STATUS_OK

static reml_embed_context_t* create(void) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    return context;
}
static reml_embed_status_t load(reml_embed_context_t* context, const char* source) {
    return reml_load_module(context, (const unsigned char*)source, strlen(source));
}
static reml_embed_context_t* create_with(const char* source) {
    reml_embed_context_t* context = create();
    if (load(context, source) != OK) {
        const char* error = reml_last_error(context);
        printf("%s\n", error ? error : "(no error)");
        CHECK(!"the source loads");
    }
    return context;
}
static void check_text(reml_embed_context_t* context, const char* expected) {
    reml_span_t text;
    if (CHECK_INT_EQ(reml_embed_result_text(context, &text), OK))
        check_bytes(text.data, text.length, expected, strlen(expected), __FILE__, __LINE__, "result");
}
static reml_function_t find(reml_embed_context_t* context, const char* name, const char* signature) {
    reml_function_t function;
    if (!CHECK_INT_EQ(
            reml_function_find(context, name, strlen(name), signature, signature ? strlen(signature) : 0, &function),
            OK)) {
        printf("%s\n", reml_last_error(context));
    }
    return function;
}

/* --- life cycle ----------------------------------------------------------------------------------------------- */

TEST(test_embed__the_guides_flow_returns_ok) {
    reml_embed_context_t* context = create_with("module Embed.Sample\n\nfn main() -> Str { \"ok\" }");
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_embed_result_kind(context), REML_KIND_STRING);
    check_text(context, "ok");
    CHECK(reml_last_error(context) == NULL);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_embed__a_version_that_is_not_ours_is_refused) {
    static const char* const bad[] = {
        "9.9.9", "0.2.0", "0.1.1", "1.0.0", "0.1", "", "0.1.0 ", "v0.1.0", "0.1.0.0", "00.1.0x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        reml_embed_context_t* context = (reml_embed_context_t*)(uintptr_t)0xA5A5;
        CHECK_INT_EQ(reml_create_context(bad[i], &context), REML_EMBED_STATUS_ABI_MISMATCH);
        CHECK(context == NULL);
    }
    reml_embed_context_t* context = NULL;
    reml_create_context("9.9.9", &context);
    CHECK_STR_EQ(reml_embed_last_create_error(), "abi mismatch: expected 0.1.0, got 9.9.9");
    CHECK_INT_EQ(reml_create_context(NULL, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_create_context("0.1.0", NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_create_context("0.1\xff", &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
}

TEST(test_embed__a_forced_unsupported_target_is_refused) {
    reml_embed_context_t* context = NULL;
    setenv("REML_EMBED_FORCE_UNSUPPORTED", "TRUE", 1);
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), REML_EMBED_STATUS_UNSUPPORTED_TARGET);
    CHECK(context == NULL);
    unsetenv("REML_EMBED_FORCE_UNSUPPORTED");
}

TEST(test_embed__null_is_an_answer_everywhere) {
    CHECK(reml_last_error(NULL) == NULL);
    CHECK_INT_EQ(load(NULL, "fn main() -> Int = 1"), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_run(NULL, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_dispose_context(NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_result_kind(NULL), 0);
    CHECK_INT_EQ(reml_embed_result_text(NULL, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_embed_context_t* context = create();
    CHECK_INT_EQ(reml_load_module(context, NULL, 5), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_STR_EQ(reml_last_error(context), "source is empty");
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)"x", 0), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_result_text(context, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_result_borrow(context, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_function_find(context, NULL, 0, NULL, 0, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_host_define(context, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_set_limits(context, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_embed_free(NULL);
    reml_dispose_context(context);
}

TEST(test_embed__stale_and_invented_contexts_are_refused) {
    reml_embed_context_t* context = create();
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_STALE);
    CHECK(reml_last_error(context) == NULL);
    int local = 0;
    static const uintptr_t invented[] = {1, 6, 0x16, 0xFFFFFFFFFFFFFFF6u, 0xDEADBEEF, 0x100006};
    for (size_t i = 0; i < sizeof invented / sizeof *invented; i++) {
        CHECK(reml_run((reml_embed_context_t*)invented[i], "main") != OK);
        CHECK(reml_dispose_context((reml_embed_context_t*)invented[i]) != OK);
        CHECK(reml_last_error((reml_embed_context_t*)invented[i]) == NULL);
    }
    CHECK_INT_EQ(reml_run((reml_embed_context_t*)&local, "main"), REML_EMBED_STATUS_INVALID_HANDLE);
}

TEST(test_embed__errors_name_what_is_wrong) {
    reml_embed_context_t* context = create();
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_ERROR);
    CHECK_STR_EQ(reml_last_error(context), "no module loaded");
    CHECK_INT_EQ(load(context, "fn main() -> Int = \"x\""), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "1:20: type.mismatch: ", 21) == 0);
    CHECK_INT_EQ(load(context, "fn main( -> Int"), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "parser.syntax.expected_tokens") != NULL);
    CHECK_INT_EQ(load(context, "fn f(x: Int) -> Int = x\nfn g() -> Int = panic(\"no\")"), OK);
    CHECK_INT_EQ(reml_run(context, "nope"), REML_EMBED_STATUS_ERROR);
    CHECK_STR_EQ(reml_last_error(context), "entrypoint not found: nope");
    CHECK_INT_EQ(reml_run(context, "f"), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "runtime.entry.arity: ", 21) == 0);
    CHECK_INT_EQ(reml_run(context, "g"), REML_EMBED_STATUS_ERROR);
    CHECK_STR_EQ(reml_last_error(context), "runtime.panic: no");
    CHECK_INT_EQ(reml_run(context, "ma\xffin"), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_dispose_context(context);
}

TEST(test_embed__a_failed_load_changes_nothing) {
    reml_embed_context_t* context = create_with("module A\npub fn f() -> Int = 1\nfn main() -> Int = f()");
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(load(context, "module B\nfn g() -> Int = \"x\"\nfn main() -> Int = 2"), REML_EMBED_STATUS_ERROR);
    check_text(context, "1");
    CHECK_INT_EQ(load(context, "module A\nfn main() -> Int = 3"), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "language.duplicate_definition") != NULL);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    check_text(context, "1");
    CHECK_INT_EQ(load(context, "module B\nuse A.{f}\nfn main() -> Int = f() + 1"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    check_text(context, "2");
    CHECK_INT_EQ(reml_run(context, "A.main"), OK);
    check_text(context, "1");
    reml_dispose_context(context);
}

TEST(test_embed__limits_stop_a_run_and_leave_the_context_usable) {
    reml_embed_context_t* context =
        create_with("fn spin() -> Int { loop { } }\n"
                    "fn deep(n: Int) -> Int = 1 + deep(n + 1)\n"
                    "fn main() -> Int = deep(0)\n"
                    "fn grow() -> Int { var s = \"x\"\n while true { s := s + s }\n s.len() }\n"
                    "fn fill() -> Int { let v: Vec<Int> = Vec.new()\n while true { v.push(1) }\n 0 }\n"
                    "fn fine() -> Int = 7\n");
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.fuel = 1000000;
    limits.call_depth = 1000;
    limits.heap_bytes = 8 << 20;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    static const struct {
        const char *entry, *code;
    } rows[] = {{"spin", "runtime.limit.instructions"}, {"main", "runtime.stack.overflow"},
        {"grow", "runtime.limit.memory"}, {"fill", "runtime.limit.memory"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (i == 2) {
            limits.fuel = UINT64_C(1000000000);
            reml_embed_set_limits(context, &limits);
        }
        CHECK_INT_EQ(reml_run(context, rows[i].entry), REML_EMBED_STATUS_LIMIT);
        const char* error = reml_last_error(context);
        if (!CHECK(error && strncmp(error, rows[i].code, strlen(rows[i].code)) == 0))
            printf("%s: %s\n", rows[i].entry, error ? error : "(null)");
        CHECK_INT_EQ(reml_run(context, "fine"), OK);
        check_text(context, "7");
    }
    limits.fuel = REML_EMBED_UNLIMITED;
    limits.deadline_ms = 50;
    reml_embed_set_limits(context, &limits);
    CHECK_INT_EQ(reml_run(context, "spin"), REML_EMBED_STATUS_LIMIT);
    CHECK(strncmp(reml_last_error(context), "runtime.limit.deadline", 22) == 0);
    reml_dispose_context(context);
}

/* --- threads and forks -------------------------------------------------------------------------------------------- */

static void* use_elsewhere(void* user) {
    reml_embed_context_t* context = user;
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_WRONG_THREAD);
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_WRONG_THREAD);
    CHECK_INT_EQ(reml_embed_adopt(context), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    return NULL;
}
TEST(test_embed__another_thread_must_adopt_first) {
    reml_embed_context_t* context = create_with("fn main() -> Int = 1");
    pthread_t thread;
    pthread_create(&thread, NULL, use_elsewhere, context);
    pthread_join(thread, NULL);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_WRONG_THREAD);
    CHECK_INT_EQ(reml_embed_adopt(context), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

static void* interrupt_soon(void* user) {
    usleep(20000);
    reml_embed_interrupt(user);
    return NULL;
}
TEST(test_embed__an_interrupt_stops_the_run) {
    reml_embed_context_t* context = create_with("fn main() -> Int { loop { } }\nfn fine() -> Int = 1");
    pthread_t thread;
    pthread_create(&thread, NULL, interrupt_soon, context);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "runtime.interrupted", 19) == 0);
    pthread_join(thread, NULL);
    CHECK_INT_EQ(reml_run(context, "fine"), OK);
    reml_dispose_context(context);
}

TEST(test_embed__a_forked_child_can_only_dispose_and_create) {
    reml_embed_context_t* context = create_with("fn main() -> Int = 1");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        int bad = 0;
        bad |= reml_run(context, "main") != REML_EMBED_STATUS_FORKED;
        bad |= reml_dispose_context(context) != OK;
        bad |= reml_dispose_context(context) != REML_EMBED_STATUS_STALE;
        reml_embed_context_t* own = NULL;
        bad |= reml_create_context("0.1.0", &own) != OK;
        bad |= load(own, "fn main() -> Int = 2") != OK;
        bad |= reml_run(own, NULL) != OK;
        bad |= reml_dispose_context(own) != OK;
        _exit(bad);
    }
    int status = 1;
    waitpid(child, &status, 0);
    CHECK_INT_EQ(status, 0);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    reml_dispose_context(context);
}

/* --- functions ------------------------------------------------------------------------------------------------------- */

TEST(test_function__scalars_go_the_direct_way) {
    reml_embed_context_t* context = create_with("fn add(a: Int, b: Int) -> Int = a + b\nfn half(x: Float) -> Float = x "
                                                "/ 2.0\nfn id(x: T) -> T = x\nfn yes(b: Bool) -> Bool = !b\n"
                                                "fn loud(n: Int) = println(n)");
    reml_function_t loud = find(context, "loud", NULL);
    reml_function_t add = find(context, "add", "(Int, Int) -> Int");
    reml_scalar_t arguments[2] = {{.i = 40}, {.i = 2}}, result;
    CHECK_INT_EQ(reml_function_call_scalars(context, add, arguments, 2, &result), OK);
    CHECK_INT_EQ(result.i, 42);
    arguments[0].i = INT64_MAX;
    CHECK_INT_EQ(reml_function_call_scalars(context, add, arguments, 2, &result), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "runtime.arith.overflow", 22) == 0);
    CHECK_INT_EQ(reml_function_call_scalars(context, add, arguments, 1, &result), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_function_t half = find(context, "half", NULL);
    arguments[0].f = 5;
    CHECK_INT_EQ(reml_function_call_scalars(context, half, arguments, 1, &result), OK);
    CHECK(result.f == 2.5);
    reml_function_t id = find(context, "id", "(Int) -> Int");
    arguments[0].i = 9;
    CHECK_INT_EQ(reml_function_call_scalars(context, id, arguments, 1, &result), OK);
    CHECK_INT_EQ(result.i, 9);
    reml_function_t yes = find(context, "yes", NULL);
    arguments[0].i = 2;
    CHECK_INT_EQ(reml_function_call_scalars(context, yes, arguments, 1, &result), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_function_t wrong;
    CHECK_INT_EQ(reml_function_find(context, "add", 3, "(Int) -> Int", 12, &wrong), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_function_find(context, "id", 2, NULL, 0, &wrong), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_function_find(context, "sub", 3, NULL, 0, &wrong), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(wrong.id, 0);
    CHECK_INT_EQ(reml_function_release(context, add), OK);
    CHECK_INT_EQ(reml_function_call_scalars(context, add, arguments, 2, &result), REML_EMBED_STATUS_STALE);
    char* text;
    size_t length;
    CHECK_INT_EQ(reml_function_signature(context, half, &text, &length), OK);
    CHECK_STR_EQ(text, "(Float) -> Float");
    reml_embed_free(text);
    CHECK_INT_EQ(reml_function_signature(context, loud, &text, &length), OK);
    CHECK_STR_EQ(text, "(Int) -> () ! {io}");
    reml_embed_free(text);
    reml_embed_context_t* other = create_with("fn add(a: Int, b: Int) -> Int = a - b");
    CHECK_INT_EQ(reml_function_call_scalars(other, half, arguments, 1, &result), REML_EMBED_STATUS_WRONG_CONTEXT);
    reml_dispose_context(other);
    reml_dispose_context(context);
}

/* What the small loop for scalars cannot do goes on in the large one, from the middle of the function and with its failures. */
TEST(test_function__traits_are_there_for_hosts) {
    reml_embed_context_t* context = create_with("module A\npub trait Show { fn show(self) -> Str }\n"
                                                "pub fn show_it<T: Show>(x: T) -> Int = x.show().len()\n"
                                                "impl Show for Int { fn show(self) = to_string(self) }");
    const char* module = "module B\nuse A.{Show}\ntype P = { x: Int }\nimpl Show for P { fn show(self) = \"p\" }\n"
                         "impl Display for P { fn to_string(self) = \"<\" + to_string(self.x) + \">\" }\n"
                         "fn main() -> List<Any> = [P { x: 1 }, P { x: 2 }.show()]\n";
    char wrong[600];
    snprintf(wrong, sizeof wrong, "%sfn bad() -> Int = \"\"", module);
    CHECK_INT_EQ(load(context, wrong), REML_EMBED_STATUS_ERROR); /* its impls are gone with it */
    CHECK_INT_EQ(load(context, module), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    check_text(context, "[<1>, \"p\"]");
    reml_function_t shown = find(context, "A.show_it", "(Int) -> Int"), none;
    reml_scalar_t argument = {.i = 1234}, result;
    CHECK_INT_EQ(reml_function_call_scalars(context, shown, &argument, 1, &result), OK);
    CHECK_INT_EQ(result.i, 4);
    CHECK_INT_EQ(reml_function_find(context, "A.show_it", 9, "(Bool) -> Int", 13, &none), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "type.mismatch") != NULL);
    reml_dispose_context(context);
}

TEST(test_function__a_text_of_its_own_may_fail) {
    reml_embed_context_t* context =
        create_with("type P = { x: Int }\nimpl Display for P { fn to_string(self) = if self.x == 0 then panic(\"no\") "
                    "else to_string([P { x: self.x - 1 }]) }\nfn main() -> P = P { x: 3 }");
    reml_span_t text;
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_embed_result_text(context, &text), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "runtime.panic") != NULL);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    reml_dispose_context(context);
}

TEST(test_function__scalars_that_call_loop_or_fail_in_the_middle) {
    reml_embed_context_t* context =
        create_with("fn square(x: Int) -> Int = x * x\n"
                    "fn calls(a: Int, b: Int) -> Int { let c = a + b\n square(c) - c }\n"
                    "fn loops(n: Int) -> Int { var s = n * 2\n for i in 0..n { s += i }\n s }\n"
                    "fn allocates(n: Int) -> Int { let m = n + 1\n [m, m].sum() }\n"
                    "fn deep(n: Int) -> Int = if n == 0 { 0 } else { 1 + deep(n - 1) }\n"
                    "fn divides(a: Int, b: Int) -> Int {\n  let c = a + 1\n  c / b\n}\n"
                    "fn power(a: Int, b: Int) -> Int = a ^ b\n"
                    "fn narrow(a: Int) -> u8 = if a > 300 { 200 + 100 } else { 7 }\n");
    reml_scalar_t arguments[2] = {{.i = 2}, {.i = 3}}, result;
    CHECK_INT_EQ(reml_function_call_scalars(context, find(context, "calls", NULL), arguments, 2, &result), OK);
    CHECK_INT_EQ(result.i, 20);
    arguments[0].i = 100000;
    CHECK_INT_EQ(reml_function_call_scalars(context, find(context, "loops", NULL), arguments, 1, &result), OK);
    CHECK_INT_EQ(result.i, 200000 + 4999950000);
    CHECK_INT_EQ(reml_function_call_scalars(context, find(context, "allocates", NULL), arguments, 1, &result), OK);
    CHECK_INT_EQ(result.i, 200002);
    CHECK_INT_EQ(reml_function_call_scalars(context, find(context, "deep", NULL), arguments, 1, &result), OK);
    CHECK_INT_EQ(result.i, 100000); /* the register banks have moved */
    reml_function_t divides = find(context, "divides", NULL), power = find(context, "power", NULL);
    arguments[1].i = 0;
    for (int round = 0; round < 2; round++) {
        CHECK_INT_EQ(reml_function_call_scalars(context, divides, arguments, 2, &result), REML_EMBED_STATUS_ERROR);
        CHECK(strstr(reml_last_error(context), "runtime.arith.div_zero") != NULL);
        reml_span_t json = {0};
        CHECK_INT_EQ(reml_embed_diagnostics_json(context, &json), OK);
        CHECK(memmem(json.data, json.length, "\"start_line\":12", 15) != NULL); /* that of the division */
        arguments[1].i = -1;
        CHECK_INT_EQ(reml_function_call_scalars(context, power, arguments, 2, &result), REML_EMBED_STATUS_ERROR);
        CHECK(strstr(reml_last_error(context), "runtime.arith.negative_exponent") != NULL);
        CHECK_INT_EQ(reml_function_call_scalars(context, divides, arguments, 2, &result), OK);
        CHECK_INT_EQ(result.i, -100001);
        arguments[1].i = 0;
    }
    reml_function_t narrow = find(context, "narrow", NULL);
    CHECK_INT_EQ(reml_function_call_scalars(context, narrow, arguments, 1, &result), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "runtime.arith.overflow") != NULL);
    arguments[0].i = 1;
    CHECK_INT_EQ(reml_function_call_scalars(context, narrow, arguments, 1, &result), OK);
    CHECK_INT_EQ(result.i, 7);
    reml_dispose_context(context);
}

TEST(test_function__values_of_every_kind_cross) {
    reml_embed_context_t* context =
        create_with("type Point = { x: Int, y: Int }\n"
                    "fn greet(name: Str, times: Int) -> Str = \"hello \" + name + times.to_string()\n"
                    "fn swap(p: Point) -> Point = Point { x: p.y, y: p.x }\n"
                    "fn total(xs: List<Int>) -> Int = xs.sum()\n"
                    "fn pick(xs: List<Str>, i: Int) -> Option<Str> = xs.get(i)\n"
                    "fn pair() -> (Int, Str) = (1, \"a\")\n"
                    "fn adder(n: Int) -> fn(Int) -> Int = |x| x + n\n");
    reml_value_t name, result, arguments[2];
    reml_value_string(context, "Ada", 3, &name);
    arguments[0] = name;
    arguments[1] = reml_value_int(3);
    CHECK_INT_EQ(reml_function_call(context, find(context, "greet", NULL), arguments, 2, &result), OK);
    reml_span_t span;
    CHECK_INT_EQ(reml_value_span(context, result, &span), OK);
    check_bytes(span.data, span.length, "hello Ada3", 10, __FILE__, __LINE__, "greet");
    CHECK_INT_EQ(reml_value_release(context, result), OK);
    CHECK_INT_EQ(reml_value_release(context, result), REML_EMBED_STATUS_STALE);
    arguments[1] = name;
    CHECK_INT_EQ(reml_function_call(context, find(context, "greet", NULL), arguments, 2, &result),
        REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(result.kind, REML_KIND_NONE);

    reml_function_t swap = find(context, "swap", NULL);
    reml_type_t point;
    CHECK_INT_EQ(reml_function_param_type(context, swap, 0, &point), OK);
    reml_value_t parts[2] = {reml_value_int(1), reml_value_int(2)}, made, field;
    CHECK_INT_EQ(reml_value_make(context, point, parts, 2, &made), OK);
    CHECK_INT_EQ(reml_function_call(context, swap, &made, 1, &result), OK);
    CHECK_INT_EQ(reml_value_field(context, result, "x", 1, &field), OK);
    int64_t number;
    CHECK_INT_EQ(reml_value_as_int(field, &number), OK);
    CHECK_INT_EQ(number, 2);
    reml_value_release(context, result);
    reml_value_release(context, made);

    reml_type_t list;
    CHECK_INT_EQ(reml_type_find(context, "List<Int>", 9, &list), OK);
    reml_value_t items[100];
    for (int i = 0; i < 100; i++) items[i] = reml_value_int(i);
    CHECK_INT_EQ(reml_value_make(context, list, items, 100, &made), OK);
    size_t length;
    CHECK_INT_EQ(reml_value_length(context, made, &length), OK);
    CHECK_INT_EQ(length, 100);
    CHECK_INT_EQ(reml_function_call(context, find(context, "total", NULL), &made, 1, &result), OK);
    CHECK_INT_EQ(reml_value_as_int(result, &number), OK);
    CHECK_INT_EQ(number, 4950);
    reml_value_release(context, made);

    CHECK_INT_EQ(reml_function_call(context, find(context, "adder", NULL), items + 5, 1, &result), OK);
    CHECK_INT_EQ(result.kind, REML_KIND_CLOSURE);
    reml_function_t closure;
    CHECK_INT_EQ(reml_function_from_value(context, result, &closure), OK);
    reml_value_release(context, result);
    reml_embed_memory_t before = {.struct_size = sizeof before}, after = {.struct_size = sizeof after};
    CHECK_INT_EQ(reml_embed_memory(context, &before), OK);
    reml_embed_collect(context);
    CHECK_INT_EQ(reml_embed_memory(context, &after), OK);
    CHECK(after.collections > before.collections); /* one that was going on is ended first */
    CHECK(after.heap_bytes > 0 && after.heap_bytes <= before.heap_bytes && after.heap_bytes < after.live_bytes);
    CHECK(after.pause_last_ns > 0 && after.pause_last_ns <= after.pause_longest_ns);
    CHECK(after.pause_total_ns >= before.pause_total_ns + after.pause_last_ns);
    CHECK_INT_EQ(reml_function_call(context, closure, items + 7, 1, &result), OK);
    CHECK_INT_EQ(reml_value_as_int(result, &number), OK);
    CHECK_INT_EQ(number, 12);
    CHECK_INT_EQ(reml_function_call(context, find(context, "pair", NULL), NULL, 0, &result), OK);
    char* text;
    CHECK_INT_EQ(reml_value_text(context, result, &text, &length), OK);
    CHECK_STR_EQ(text, "(1, \"a\")");
    reml_embed_free(text);
    reml_value_release(context, result);
    reml_value_release(context, name);
    reml_ffi_bridge_metrics_t metrics;
    CHECK_INT_EQ(reml_ffi_bridge_context_metrics(context, &metrics), OK);
    CHECK_INT_EQ(metrics.acquired, metrics.released + metrics.live);
    CHECK_INT_EQ(metrics.live, 0);
    reml_dispose_context(context);
}

TEST(test_function__open_records_cross_as_records_that_fit) {
    reml_embed_context_t* context = create_with("type P = { name: Str, age: Int }\n"
                                                "fn make() -> P = { name: \"Ann\", age: 3 }\n"
                                                "fn other() -> { x: Int } = { x: 1 }\n"
                                                "fn name(p: { name: Str, .. }) -> Str = format(\"{p.name} {p}\")\n"
                                                "fn same(p: { age: Int, .. }) -> { age: Int, .. } = { ..p, age: 4 }");
    reml_function_t make = find(context, "make", NULL), other = find(context, "other", NULL);
    reml_function_t name = find(context, "name", "({ name: Str, .. }) -> Str"), same = find(context, "same", NULL);
    reml_value_t person = {0}, result = {0}, wrong = {0}, again = {0};
    CHECK_INT_EQ(reml_function_call(context, make, NULL, 0, &person), OK);
    CHECK_INT_EQ(reml_function_call(context, name, &person, 1, &result), OK);
    char* text = NULL;
    size_t length = 0;
    CHECK_INT_EQ(reml_value_text(context, result, &text, &length), OK);
    check_bytes(text, length, "Ann { age: 3, name: \"Ann\" }", 27, __FILE__, __LINE__, "text");
    reml_embed_free(text);
    reml_value_release(context, result);
    CHECK_INT_EQ(reml_function_call(context, same, &person, 1, &again), OK);
    CHECK_INT_EQ(reml_function_call(context, name, &again, 1, &result), OK); /* what came back open goes in again */
    reml_value_release(context, result);
    CHECK_INT_EQ(reml_function_call(context, other, NULL, 0, &wrong), OK);
    CHECK(reml_function_call(context, name, &wrong, 1, &result) != OK);
    reml_value_t number = reml_value_int(5);
    CHECK(reml_function_call(context, name, &number, 1, &result) != OK);
    reml_value_release(context, person);
    reml_value_release(context, again);
    reml_value_release(context, wrong);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_function__a_batch_is_one_crossing) {
    reml_embed_context_t* context = create_with("fn f(x: Float, k: Float) -> Float = x * k + 1.0\nfn g(x: Int) -> Int "
                                                "= 100 / x\nfn big(x: Float) -> Bool = x > 2.0");
    double x[1000], k = 2, y[1000];
    for (int i = 0; i < 1000; i++) x[i] = i;
    reml_column_t inputs[2] = {{REML_COLUMN_F64, 0, x, 8}, {REML_COLUMN_F64, 0, &k, 0}},
                  output = {REML_COLUMN_F64, 0, y, 8};
    size_t done;
    CHECK_INT_EQ(reml_function_map(context, find(context, "f", NULL), inputs, 2, &output, 1000, &done), OK);
    CHECK_INT_EQ(done, 1000);
    CHECK(y[0] == 1 && y[999] == 1999);
    int64_t in[4] = {1, 2, 0, 4}, out[4] = {-1, -1, -1, -1};
    reml_column_t ints = {REML_COLUMN_I64, 0, in, 8}, ints_out = {REML_COLUMN_I64, 0, out, 8};
    CHECK_INT_EQ(
        reml_function_map(context, find(context, "g", NULL), &ints, 1, &ints_out, 4, &done), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(done, 2);
    CHECK(out[0] == 100 && out[1] == 50 && out[2] == -1);
    uint8_t flags[1000];
    reml_column_t bools = {REML_COLUMN_BOOL, 0, flags, 1};
    CHECK_INT_EQ(reml_function_map(context, find(context, "big", NULL), inputs, 1, &bools, 1000, &done), OK);
    CHECK(flags[2] == 0 && flags[3] == 1);
    CHECK_INT_EQ(reml_function_map(context, find(context, "g", NULL), inputs, 1, &ints_out, 4, &done),
        REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_dispose_context(context);
}

/* --- host functions -------------------------------------------------------------------------------------------------- */

static int destroyed;
static void count_destroy(void* user) {
    (void)user;
    destroyed++;
}
static reml_embed_status_t price(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    reml_span_t name;
    CHECK_INT_EQ(count, 1);
    CHECK_INT_EQ(reml_value_span(context, arguments[0], &name), OK);
    if (name.length == 0) {
        reml_host_fail(context, "no such item", 12);
        return REML_EMBED_STATUS_ERROR;
    }
    *out = reml_value_float(*(double*)user * (double)name.length);
    return OK;
}
static reml_embed_status_t twice(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context, (void)user;
    out->i = arguments[0].i * 2;
    return OK;
}
static reml_embed_status_t again(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)arguments, (void)count, (void)user;
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(load(context, "fn x() -> Int = 1"), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_run(context, "inner"), OK);
    check_text(context, "5");
    *out = reml_value_int(6);
    return OK;
}
static void define(reml_embed_context_t* context, const char* name, const char* signature, reml_host_fn call,
    reml_host_scalar_fn scalars, void* user) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = signature;
    function.call = call;
    function.call_scalars = scalars;
    function.user = user;
    function.destroy = count_destroy;
    if (!CHECK_INT_EQ(reml_host_define(context, &function), OK)) printf("%s\n", reml_last_error(context));
}

TEST(test_host__functions_are_called_with_their_user_pointer) {
    reml_embed_context_t* context = create();
    double factor = 1.5;
    destroyed = 0;
    define(context, "Host.price", "(sku: Str) -> Float", price, NULL, &factor);
    define(context, "twice", "(Int) -> Int", NULL, twice, NULL);
    define(context, "again", "() -> Int", again, NULL, NULL);
    CHECK_INT_EQ(load(context, "fn main() -> Float = Host.price(\"abcd\") + 1.0\nfn bad() -> Float = "
                               "Host.price(\"\")\nfn t() -> Int = twice(21)\n"
                               "fn inner() -> Int = 5\nfn outer() -> Int = again() + 1\nextern \"host\" { fn missing() "
                               "-> Int }\nfn m() -> Int = missing()"),
        OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    check_text(context, "7.0");
    CHECK_INT_EQ(reml_run(context, "bad"), REML_EMBED_STATUS_ERROR);
    CHECK_STR_EQ(reml_last_error(context), "host.call.failed: no such item");
    CHECK_INT_EQ(reml_run(context, "t"), OK);
    check_text(context, "42");
    CHECK_INT_EQ(reml_run(context, "outer"), OK);
    check_text(context, "7");
    CHECK_INT_EQ(reml_run(context, "m"), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "host.symbol.unbound", 19) == 0);
    reml_host_function_t wrong = REML_HOST_FUNCTION_INIT;
    wrong.name = "twice";
    wrong.signature = "(Float) -> Float";
    wrong.call_scalars = twice;
    CHECK_INT_EQ(reml_host_define(context, &wrong), REML_EMBED_STATUS_ERROR);
    wrong.name = "odd";
    wrong.signature = "(Nope) -> Int";
    CHECK_INT_EQ(reml_host_define(context, &wrong), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(destroyed, 0);
    reml_dispose_context(context);
    CHECK_INT_EQ(destroyed, 3);
}

/* --- results and ownership ------------------------------------------------------------------------------------------------ */

TEST(test_bridge__results_are_lent_or_handed_over_once) {
    reml_embed_context_t* context = create_with("fn main() -> List<Int> = [1, 2, 3]\nfn n() -> Int = 1");
    reml_value_t lent, again_lent, taken, none;
    CHECK_INT_EQ(reml_embed_result_borrow(context, &none), OK);
    CHECK_INT_EQ(none.kind, REML_KIND_NONE);
    CHECK_INT_EQ(reml_embed_result_take(context, &none), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_run(context, NULL), OK);
    CHECK_INT_EQ(reml_embed_result_borrow(context, &lent), OK);
    CHECK_INT_EQ(reml_embed_result_borrow(context, &again_lent), OK);
    CHECK(lent.bits == again_lent.bits);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, lent), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_run(context, NULL), OK);
    size_t length;
    CHECK_INT_EQ(reml_value_length(context, lent, &length), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_embed_result_take(context, &taken), OK);
    CHECK_INT_EQ(reml_run(context, NULL), OK);
    CHECK_INT_EQ(reml_value_length(context, taken, &length), OK);
    CHECK_INT_EQ(length, 3);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, taken), OK);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, taken), REML_EMBED_STATUS_STALE);
    reml_ffi_bridge_metrics_t m;
    reml_ffi_bridge_context_metrics(context, &m);
    CHECK_INT_EQ(m.transferred_results, 1);
    CHECK_INT_EQ(m.borrowed_results, 2);
    CHECK_INT_EQ(m.null_results, 2);
    CHECK_INT_EQ(m.acquired, m.released + m.live);
    reml_dispose_context(context);
}

TEST(test_audit__the_minimal_flow_leaves_four_records_in_order) {
    char* text;
    size_t length;
    reml_embed_audit_drain(NULL, &text, &length);
    reml_embed_free(text);
    reml_embed_context_t* context = create_with("fn main() -> Str { \"ok\" }");
    reml_run(context, "main");
    reml_dispose_context(context);
    CHECK_INT_EQ(reml_embed_audit_drain(NULL, &text, &length), OK);
    static const char* const names[] = {"reml_create_context", "reml_load_module", "reml_run", "reml_dispose_context"};
    const char* at = text;
    for (int i = 0; i < 4 && at; i++) {
        const char* end = strchr(at, '\n');
        const char* found = strstr(at, names[i]);
        CHECK(found && end && found < end);
        CHECK(strstr(at, "\"embed.abi.version\":\"0.1.0\"") && strstr(at, "\"embed.abi.version\":\"0.1.0\"") < end);
        at = end ? end + 1 : NULL;
    }
    CHECK(at && *at == '\0');
    reml_embed_free(text);
}

TEST(test_value__hostile_handles_are_refused) {
    reml_embed_context_t* context = create_with("fn main() -> Int = 1");
    reml_embed_context_t* other = create();
    reml_value_t text;
    CHECK_INT_EQ(reml_value_string(context, "a\xff", 2, &text), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(text.kind, REML_KIND_NONE);
    reml_value_string(context, "abc", 3, &text);
    reml_span_t span;
    CHECK_INT_EQ(reml_value_span(other, text, &span), REML_EMBED_STATUS_WRONG_CONTEXT);
    reml_value_t forged = text;
    for (uint64_t i = 0; i < 1000; i++) {
        forged.bits = text.bits + i * UINT64_C(0x9E3779B97F4A7C15);
        if (forged.bits != text.bits) CHECK(reml_value_span(context, forged, &span) != OK);
        forged.kind = (uint32_t)(i % 64);
        reml_value_release(context, (reml_value_t){forged.kind, (uint32_t)i, i * 77});
    }
    CHECK_INT_EQ(reml_value_span(context, text, &span), OK);
    CHECK_INT_EQ(reml_value_release(context, text), OK);
    reml_dispose_context(other);
    CHECK_INT_EQ(reml_value_release(context, text), REML_EMBED_STATUS_STALE);
    reml_dispose_context(context);
}

TEST(test_options__sizes_and_unknown_flags_are_checked) {
    reml_embed_context_t* context = NULL;
    struct {
        reml_embed_options_t options;
        uint64_t more;
    } larger = {REML_EMBED_OPTIONS_INIT, 0};
    larger.options.struct_size = sizeof larger;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &larger.options, &context), OK);
    reml_dispose_context(context);
    larger.more = 1;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &larger.options, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.flags = 1u << 31;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
    options.flags = 0;
    options.struct_size = 0;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    CHECK_INT_EQ(limits.fuel, 1000000000000);
    CHECK_INT_EQ(limits.call_depth, 200000);
    reml_embed_limits_untrusted(&limits);
    CHECK_INT_EQ(limits.deadline_ms, 2000);
}

static void check_result(reml_embed_context_t* context, const char* entry, const char* expected) {
    reml_span_t text = {NULL, 0};
    CHECK_INT_EQ(reml_run(context, entry), OK);
    CHECK_INT_EQ(reml_embed_result_text(context, &text), OK);
    CHECK(text.length == strlen(expected) && memcmp(text.data, expected, text.length) == 0);
}

static void test_environment__a_program_sees_what_the_host_gives(void) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    CHECK_INT_EQ(
        load(context, "fn seen(n: Str) -> Str = match Env.get_env(n) with | Ok(v) -> v.to_string() | Err(e) -> "
                      "e.key.to_string() + \" denied\"\n"
                      "fn main() = (Env.args(), seen(\"HOME\"), seen(\"OTHER\"), seen(\"RAW\"))"),
        OK);
    check_result(context, "main",
        "([], \"Some(\\\"HOME\\\") denied\", \"Some(\\\"OTHER\\\") denied\", \"Some(\\\"RAW\\\") denied\")");
    const char* args[] = {"one", "zwei \xC3\xA9"};
    const char *names[] = {"HOME", "RAW", "HOME"}, *values[] = {"/old", "\xFF", "/home"};
    CHECK_INT_EQ(reml_embed_set_args(context, args, 2), OK);
    CHECK_INT_EQ(reml_embed_set_variables(context, names, values, 3, 0), OK);
    check_result(context, "main",
        "([\"one\", \"zwei \xC3\xA9\"], \"Some(\\\"/home\\\")\", \"None\", \"Some(\\\"RAW\\\") denied\")");
    CHECK_INT_EQ(reml_embed_set_variables(context, names, values, 1, 1), OK);
    check_result(context, "main",
        "([\"one\", \"zwei \xC3\xA9\"], \"Some(\\\"/old\\\")\", \"Some(\\\"OTHER\\\") denied\", \"Some(\\\"RAW\\\") "
        "denied\")");
    args[1] = "\xC3";
    CHECK_INT_EQ(reml_embed_set_args(context, args, 2), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_set_args(context, NULL, 1), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_set_variables(context, names, NULL, 1, 1), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_set_args(NULL, NULL, 0), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_set_args(context, NULL, 0), OK);
    check_result(
        context, "main", "([], \"Some(\\\"/old\\\")\", \"Some(\\\"OTHER\\\") denied\", \"Some(\\\"RAW\\\") denied\")");
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

static uint64_t fixed_clock(void* user) { return *(const uint64_t*)user; }

static void test_environment__time_is_the_hosts(void) {
    reml_embed_context_t* context = NULL;
    uint64_t wall = 1700000000123456789u, ticks = 42;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    CHECK_INT_EQ(load(context, "fn main() = (Time.now(), Time.now().unix_millis(), Time.monotonic_now() - "
                               "Time.monotonic_now(), Time.monotonic_now().unix_millis())"),
        OK);
    CHECK_INT_EQ(reml_embed_set_wall_clock(context, fixed_clock, &wall), OK);
    CHECK_INT_EQ(reml_embed_set_clock(context, fixed_clock, &ticks), OK);
    check_result(context, "main", "(2023-11-14T22:13:20.123456789Z, 1700000000123, 0s, 0)");
    wall += 1000000000;
    ticks += 7000000;
    check_result(context, "main", "(2023-11-14T22:13:21.123456789Z, 1700000001123, 0s, 7)");
    CHECK_INT_EQ(reml_embed_set_wall_clock(context, NULL, NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_embed_set_wall_clock(NULL, NULL, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

static void test_diagnostic_codes__are_listed_with_domain_and_severity(void) {
    const char *domain = NULL, *severity = NULL;
    CHECK_STR_EQ(reml_embed_diagnostic_code(0, &domain, &severity), "parser.lexer.unknown_token");
    CHECK_STR_EQ(domain, "syntax");
    CHECK_STR_EQ(severity, "error");
    uint32_t count = 0, hints = 0;
    while (reml_embed_diagnostic_code(count, NULL, &severity)) {
        hints += strcmp(severity, "hint") == 0;
        count++;
    }
    CHECK(count > 150 && hints >= 3);
    CHECK(!reml_embed_diagnostic_code(UINT32_MAX, &domain, &severity) && !domain && !severity);
}

static void test_column_offset__counts_clusters(void) {
    const char* line = "e\xCC\x81\xF0\x9F\x98\x80x"; /* e + acute, a face, x */
    static const size_t offsets[] = {0, 0, 3, 7, 8, 8};
    for (uint32_t column = 0; column < 6; column++) {
        CHECK_INT_EQ(reml_embed_column_offset(line, strlen(line), column), offsets[column]);
    }
    CHECK_INT_EQ(reml_embed_column_offset(NULL, 0, 3), 0);
    CHECK_INT_EQ(reml_embed_column_offset("\xF0\x9F", 2, UINT32_MAX), 2); /* no UTF-8 */
}

TEST(test_target__what_cfg_asked_is_kept_on_demand) {
    static const char source[] = "@cfg(all(target_os = \"plan9\", not(feature = \"x\"))) fn main() -> Int = 1\n";
    static const char expected[] = "[{\"key\":\"target_os\",\"value\":\"plan9\",\"result\":true,\"byte_start\":9},"
                                   "{\"key\":\"feature\",\"value\":\"x\",\"result\":false,\"byte_start\":34}]";
    reml_embed_target_t target = REML_EMBED_TARGET_INIT;
    reml_embed_context_t* context = NULL;
    reml_span_t text;
    CHECK(reml_create_context("0.1.0", &context) == REML_EMBED_STATUS_OK);
    target.os = "plan9";
    CHECK(reml_embed_set_target(context, &target) == REML_EMBED_STATUS_OK);
    CHECK(reml_load_module(context, (const unsigned char*)source, sizeof source - 1) == REML_EMBED_STATUS_OK);
    CHECK(reml_embed_cfg_json(context, &text) == REML_EMBED_STATUS_OK);
    CHECK(text.length == 2 && memcmp(text.data, "[]", 2) == 0);
    reml_dispose_context(context);
    CHECK(reml_create_context("0.1.0", &context) == REML_EMBED_STATUS_OK);
    target.flags = REML_EMBED_TARGET_LOG_CFG;
    CHECK(reml_embed_set_target(context, &target) == REML_EMBED_STATUS_OK);
    CHECK(reml_load_module(context, (const unsigned char*)source, sizeof source - 1) == REML_EMBED_STATUS_OK);
    CHECK(reml_embed_cfg_json(context, &text) == REML_EMBED_STATUS_OK);
    CHECK(text.length == sizeof expected - 1 && memcmp(text.data, expected, text.length) == 0);
    CHECK(reml_embed_cfg_json(context, NULL) == REML_EMBED_STATUS_INVALID_ARGUMENT);
    target.flags = 2;
    CHECK(reml_embed_set_target(context, &target) == REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_dispose_context(context);
    CHECK(reml_embed_cfg_json(context, &text) == REML_EMBED_STATUS_STALE);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_embed__the_guides_flow_returns_ok),
        RUN(test_embed__a_version_that_is_not_ours_is_refused),
        RUN(test_embed__a_forced_unsupported_target_is_refused),
        RUN(test_embed__null_is_an_answer_everywhere),
        RUN(test_embed__stale_and_invented_contexts_are_refused),
        RUN(test_embed__errors_name_what_is_wrong),
        RUN(test_embed__a_failed_load_changes_nothing),
        RUN(test_embed__limits_stop_a_run_and_leave_the_context_usable),
        RUN(test_embed__another_thread_must_adopt_first),
        RUN(test_embed__an_interrupt_stops_the_run),
        RUN(test_embed__a_forked_child_can_only_dispose_and_create),
        RUN(test_function__scalars_go_the_direct_way),
        RUN(test_function__traits_are_there_for_hosts),
        RUN(test_function__a_text_of_its_own_may_fail),
        RUN(test_function__scalars_that_call_loop_or_fail_in_the_middle),
        RUN(test_function__values_of_every_kind_cross),
        RUN(test_function__open_records_cross_as_records_that_fit),
        RUN(test_function__a_batch_is_one_crossing),
        RUN(test_host__functions_are_called_with_their_user_pointer),
        RUN(test_bridge__results_are_lent_or_handed_over_once),
        RUN(test_audit__the_minimal_flow_leaves_four_records_in_order),
        RUN(test_value__hostile_handles_are_refused),
        RUN(test_options__sizes_and_unknown_flags_are_checked),
        RUN(test_environment__a_program_sees_what_the_host_gives),
        RUN(test_environment__time_is_the_hosts),
        RUN(test_diagnostic_codes__are_listed_with_domain_and_severity),
        RUN(test_column_offset__counts_clusters),
        RUN(test_target__what_cfg_asked_is_kept_on_demand),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
