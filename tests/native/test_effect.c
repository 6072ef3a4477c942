/* Effects where the host has a part: questions it answers, calls it makes inside of handled code, what a run leaves behind. */
#include "check.h"

#include "reml_embed.h"
#include "reml_value.h"

#include <stdlib.h>

#define OK REML_EMBED_STATUS_OK

typedef struct host {
    reml_embed_context_t* context;
    char printed[4096];
    size_t length;
    unsigned questions;
    const char* inner; /* entry that the host function runs */
    reml_embed_status_t inner_status;
    char inner_error[256];
} host_t;

static reml_embed_status_t print_to(const char* text, size_t length, void* user) {
    host_t* host = user;
    if (host->length + length < sizeof host->printed) memcpy(host->printed + host->length, text, length);
    host->length += length;
    return OK;
}

static reml_embed_status_t run_inner(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    host_t* host = user;
    (void)arguments, (void)count;
    host->inner_status = reml_run(context, host->inner);
    const char* error = reml_last_error(context);
    snprintf(host->inner_error, sizeof host->inner_error, "%s", error ? error : "");
    *out = reml_value_int(host->inner_status == OK);
    return host->inner_status;
}

static void open_host(host_t* host, const char* source) {
    *host = (host_t){0};
    CHECK_INT_EQ(reml_create_context("0.1.0", &host->context), OK);
    CHECK_INT_EQ(reml_embed_set_output(host->context, print_to, host), OK);
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "inner";
    function.signature = "() -> Int";
    function.call = run_inner;
    function.user = host;
    CHECK_INT_EQ(reml_host_define(host->context, &function), OK);
    if (reml_load_module(host->context, (const unsigned char*)source, strlen(source)) != OK) {
        printf("%s\n", reml_last_error(host->context));
        CHECK(!"the source loads");
    }
}

static void expect_text(host_t* host, const char* entry, const char* expected) {
    reml_span_t text;
    if (!CHECK_INT_EQ(reml_run(host->context, entry), OK)) {
        printf("%s\n", reml_last_error(host->context));
        return;
    }
    if (CHECK_INT_EQ(reml_embed_result_text(host->context, &text), OK))
        check_bytes(text.data, text.length, expected, strlen(expected), __FILE__, __LINE__, entry);
}

static void expect_error(host_t* host, const char* entry, const char* expected) {
    CHECK(reml_run(host->context, entry) != OK);
    const char* error = reml_last_error(host->context);
    if (!CHECK(error && strncmp(error, expected, strlen(expected)) == 0)) printf("  %s\n", error ? error : "(none)");
}

static void expect_printed(host_t* host, const char* expected) {
    check_bytes(host->printed, host->length, expected, strlen(expected), __FILE__, __LINE__, "printed");
    host->length = 0;
}

static void close_host(host_t* host) { CHECK_INT_EQ(reml_dispose_context(host->context), OK); }

/* --- Console ------------------------------------------------------------------------------------------------------ */

static reml_embed_status_t answer(
    const char* question, size_t length, const char** out_answer, size_t* out_length, void* user) {
    static char text[64];
    host_t* host = user;
    int size = snprintf(text, sizeof text, "%u:%.*s", ++host->questions, (int)length, question);
    *out_answer = text;
    *out_length = (size_t)size;
    if (length && question[0] == '!') return REML_EMBED_STATUS_ERROR;
    if (length && question[0] == '?') text[0] = (char)0xFF;
    return OK;
}

TEST(test_effect__the_host_answers_questions_of_the_console) {
    host_t host;
    open_host(&host,
        "fn main() -> Str { do Console.log(\"hi\"); do Console.ask(\"a\") + \" \" + do Console.ask(\"b\") }\n"
        "fn fails() -> Str = do Console.ask(\"!\")\nfn bytes() -> Str = do Console.ask(\"?\")");
    expect_text(&host, "main", " ");
    CHECK_INT_EQ(reml_embed_set_input(host.context, answer, &host), OK);
    expect_text(&host, "main", "1:a 2:b");
    expect_error(&host, "fails", "host.call.failed");
    expect_error(&host, "bytes", "host.value.type_mismatch");
    CHECK_INT_EQ(reml_embed_set_input(host.context, NULL, NULL), OK);
    expect_text(&host, "main", " ");
    expect_printed(&host, "hi\nhi\nhi\n");
    close_host(&host);
}

/* --- native frames -------------------------------------------------------------------------------------------------- */

static const char nested[] =
    "effect Ask { operation ask : Int -> Int }\n"
    "fn performs() -> Int = do Ask.ask(1)\n"
    "fn own() -> Int = handle do Ask.ask(2) with handler Ask { operation ask(x, resume) { resume(x + 40) } }\n"
    "fn logs() -> Int { do Console.log(\"from inside\"); 1 }\n"
    "fn plain() -> Int { defer println(\"left\"); inner() }\n"
    "fn main() -> Int = handle plain() with handler Ask { operation ask(x, resume) { resume(x * 100) } }\n"
    "fn after() -> Int = handle plain() + do Ask.ask(3) with handler Ask { operation ask(x, resume) { resume(x) } }\n";

TEST(test_effect__continuations_do_not_cross_a_call_of_the_host) {
    host_t host;
    open_host(&host, nested);
    host.inner = "performs";
    expect_error(&host, "main", "host.call.failed");
    CHECK(strncmp(host.inner_error, "runtime.effect.native_frame", 27) == 0);
    expect_error(&host, "plain", "host.call.failed");
    CHECK(strncmp(host.inner_error, "runtime.effect.unhandled", 24) == 0);
    host.inner = "own"; /* handled inside of the inner run */
    expect_text(&host, "main", "1");
    expect_text(&host, "after", "4"); /* and the outer computation can still be parked */
    host.inner = "logs";
    host.length = 0;
    expect_text(&host, "main", "1");
    expect_printed(&host, "from inside\nleft\n");
    close_host(&host);
}

/* --- what a run leaves behind ----------------------------------------------------------------------------------------- */

static const char kept[] =
    "effect Yield { operation yield : Int -> Unit }\n"
    "type Step = | Done | More(Int, fn(()) -> Step)\n"
    "var held: List<Step> = []\n"
    "fn work(name: Str) { defer println(\"end \" + name); do Yield.yield(1); println(\"on \" + name) }\n"
    "fn start(name: Str) -> Step = handle { work(name); Done } with handler Yield {\n"
    "  operation yield(x, resume) { More(x, resume) }\n"
    "}\n"
    "fn main() -> Str { let a = start(\"a\"); held := [a, start(\"b\")]; println(\"main\"); \"result\" }\n"
    "fn again() -> Int { match held { [More(_, k), ..] -> { k(()); 1 }, _ -> 0 } }\n"
    "fn number() -> Int { let x = start(\"n\"); 7 }\n"
    "fn fails() -> Int { let x = start(\"f\"); panic(\"stop\") }\n"
    "fn loud() -> Int {\n"
    "  handle { defer panic(\"in defer\"); do Yield.yield(1); Done }\n"
    "    with handler Yield { operation yield(x, resume) { More(x, resume) } }\n"
    "  5\n"
    "}\n";

TEST(test_effect__kept_continuations_are_abandoned_when_the_run_ends) {
    host_t host;
    open_host(&host, kept);
    expect_text(&host, "main", "result");
    expect_printed(&host, "main\nend a\nend b\n");
    expect_error(&host, "again", "effects.handler.invalid_resume");
    expect_printed(&host, "");
    expect_text(&host, "number", "7");
    expect_printed(&host, "end n\n");
    reml_function_t function; /* through the direct path of scalar functions */
    reml_scalar_t result;
    CHECK_INT_EQ(reml_function_find(host.context, "number", 6, "() -> Int", 9, &function), OK);
    CHECK_INT_EQ(reml_function_call_scalars(host.context, function, NULL, 0, &result), OK);
    CHECK_INT_EQ(result.i, 7);
    expect_printed(&host, "end n\n");
    expect_error(&host, "fails", "runtime.panic: stop");
    expect_printed(&host, "end f\n");
    expect_text(&host, "loud", "5"); /* a panic there is no failure of the run */
    close_host(&host);
}

/* --- stacks ----------------------------------------------------------------------------------------------------------- */

/* "main.inner:2 main.main:5": functions and lines of the last failure. */
static void expect_stack(host_t* host, const char* expected) {
    reml_span_t json;
    char stack[1024] = "";
    size_t length = 0;
    CHECK_INT_EQ(reml_embed_diagnostics_json(host->context, &json), OK);
    const char* at = strstr(json.data, "\"stack\"");
    for (const char* f; at && (f = strstr(at, "\"function\":\"")) != NULL;) {
        f += strlen("\"function\":\"");
        const char* end = strchr(f, '"');
        const char* line = strstr(end, "\"line\":");
        length += (size_t)snprintf(stack + length, sizeof stack - length, "%s%.*s:%d", length ? " " : "",
            (int)(end - f), f, line ? atoi(line + strlen("\"line\":")) : 0);
        at = end;
    }
    CHECK_STR_EQ(stack, expected);
}

TEST(test_effect__parts_of_a_handler_are_lines_of_their_function) {
    host_t host;
    open_host(&host, "effect Ask { operation ask : Int -> Int }\n"
                     "fn inner(n: Int) -> Int =\n"
                     "  do Ask.ask(n) / n\n"
                     "fn outer(n: Int) -> Int {\n"
                     "  let v = handle 1 +\n"
                     "    inner(n) with handler Ask {\n"
                     "    operation ask(x, resume) {\n"
                     "      if x == 7 { panic(\"clause\") }\n"
                     "      1 +\n"
                     "        resume(x)\n"
                     "    }\n"
                     "    return r {\n"
                     "      if r == 6 { panic(\"returned\") } else { r }\n"
                     "    }\n"
                     "  }\n"
                     "  v\n"
                     "}\n"
                     "fn main() -> Int = 1 + outer(0)\n"
                     "fn clause() -> Int = 1 + outer(7)\n"
                     "fn lone() -> Int = 1 + inner(5)\n"
                     "fn ended() -> Int = handle inner(5) * 5 + 1 with handler Ask { operation ask(x, k) { k(5) } "
                     "return r { panic(\"r\") } }\n");
    expect_error(&host, "main", "runtime.arith.div_zero");
    expect_stack(&host, "inner:3 outer:6 main:18");
    expect_error(&host, "clause", "runtime.panic: clause");
    expect_stack(&host, "outer:8 clause:19");
    expect_error(&host, "lone", "runtime.effect.unhandled");
    expect_stack(&host, "inner:3 lone:20");
    expect_error(&host, "ended", "runtime.panic: r");
    expect_stack(&host, "ended:21");
    close_host(&host);
}

/* --- limits ----------------------------------------------------------------------------------------------------------- */

TEST(test_effect__limits_reach_into_handled_code) {
    host_t host;
    open_host(&host,
        "effect E { operation op : Int -> Int }\n"
        "fn forever() -> Int { defer println(\"left\"); loop { do E.op(1) } }\n"
        "fn main() -> Int = handle forever() with handler E { operation op(x, resume) { resume(x) } }\n"
        "fn many(n: Int) -> Int = handle many(n + 1) with handler E { operation op(x, resume) { resume(x) } }\n"
        "fn memory() -> Int = many(0)\n"
        "fn clause() -> Int = handle forever() with handler E { operation op(x, resume) { loop {} } }\n"
        "fn good() -> Int = handle do E.op(3) with handler E { operation op(x, resume) { resume(x) } }\n");
    reml_embed_limits_t limits = {.struct_size = sizeof limits};
    CHECK_INT_EQ(reml_embed_get_limits(host.context, &limits), OK);
    reml_embed_limits_t usual = limits;
    limits.fuel = 100000;
    limits.heap_bytes = 16u << 20;
    CHECK_INT_EQ(reml_embed_set_limits(host.context, &limits), OK);
    expect_error(&host, "main", "runtime.limit.instructions");
    expect_printed(&host, "left\n");
    expect_error(&host, "clause", "runtime.limit.instructions");
    expect_printed(&host, "left\n");
    limits.fuel = usual.fuel;
    limits.deadline_ms = 50;
    CHECK_INT_EQ(reml_embed_set_limits(host.context, &limits), OK);
    expect_error(&host, "main", "runtime.limit.deadline");
    limits.deadline_ms = 0;
    CHECK_INT_EQ(reml_embed_set_limits(host.context, &limits), OK);
    expect_error(&host, "memory", "runtime.limit.memory");
    expect_text(&host, "good", "3");
    close_host(&host);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_effect__the_host_answers_questions_of_the_console),
        RUN(test_effect__continuations_do_not_cross_a_call_of_the_host),
        RUN(test_effect__kept_continuations_are_abandoned_when_the_run_ends),
        RUN(test_effect__parts_of_a_handler_are_lines_of_their_function),
        RUN(test_effect__limits_reach_into_handled_code),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
