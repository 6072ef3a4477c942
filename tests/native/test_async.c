/* Futures at the border: reml_async.h. Time is the tests' own, so nothing waits. */
#include "check.h"

#include "reml_async.h"
#include "reml_audit.h"
#include "reml_ffi_bridge.h"

#include <pthread.h>
#include <stdlib.h>

#define OK      REML_EMBED_STATUS_OK
#define PENDING REML_EMBED_STATUS_PENDING

/* --- a host with a clock of its own ------------------------------------------------------------------------------ */

typedef struct host {
    reml_embed_context_t* context;
    uint64_t now;
    unsigned waits;
    reml_promise_t promises[8];
    unsigned promise_count;
    reml_type_t promised;
    bool complete_in_wait;
    char printed[256];
} host_t;

static uint64_t clock_of(void* user) { return ((host_t*)user)->now; }

static reml_embed_status_t wait_of(uint64_t nanoseconds, void* user) {
    host_t* host = user;
    host->waits++;
    if (host->complete_in_wait && host->promise_count) {
        host->promise_count--;
        return reml_promise_complete(
            host->context, host->promises[host->promise_count], reml_value_int((int64_t)host->waits * 100));
    }
    if (nanoseconds == UINT64_MAX) return REML_EMBED_STATUS_ERROR;
    host->now += nanoseconds;
    return OK;
}

static reml_embed_status_t print_to(const char* text, size_t length, void* user) {
    host_t* host = user;
    size_t used = strlen(host->printed);
    if (used + length < sizeof host->printed) memcpy(host->printed + used, text, length);
    return OK;
}

/* A host function that answers a future and remembers the promise. */
static reml_embed_status_t fetch(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    host_t* host = user;
    (void)arguments, (void)count;
    return reml_promise_new(context, host->promised, &host->promises[host->promise_count++], out);
}

static void setup(host_t* host, const char* source) {
    *host = (host_t){.now = 1000};
    CHECK_INT_EQ(reml_create_context("0.1.0", &host->context), OK);
    CHECK_INT_EQ(reml_embed_set_clock(host->context, clock_of, host), OK);
    CHECK_INT_EQ(reml_embed_set_wait(host->context, wait_of, host), OK);
    CHECK_INT_EQ(reml_embed_set_output(host->context, print_to, host), OK);
    CHECK_INT_EQ(reml_type_find(host->context, "Int", 3, &host->promised), OK);
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "fetch";
    function.signature = "(key: Str) -> Future<Int>";
    function.call = fetch;
    function.user = host;
    CHECK_INT_EQ(reml_host_define(host->context, &function), OK);
    if (!CHECK_INT_EQ(reml_load_module(host->context, (const unsigned char*)source, strlen(source)), OK))
        printf("%s\n", reml_last_error(host->context));
}

static void teardown(host_t* host) {
    reml_ffi_bridge_metrics_t metrics;
    CHECK_INT_EQ(reml_ffi_bridge_context_metrics(host->context, &metrics), OK);
    CHECK_INT_EQ(metrics.live, 0);
    CHECK_INT_EQ(reml_dispose_context(host->context), OK);
}

static int64_t take_int(host_t* host, reml_job_t job) {
    reml_value_t value;
    int64_t number = INT64_MIN;
    CHECK_INT_EQ(reml_job_result(host->context, job, &value), OK);
    CHECK_INT_EQ(reml_value_as_int(value, &number), OK);
    CHECK_INT_EQ(reml_job_release(host->context, job), OK);
    return number;
}

/* --- reml_run waits ------------------------------------------------------------------------------------------------ */

TEST(test_async__run_waits_in_the_hosts_callback) {
    host_t host;
    setup(&host, "async fn main() -> Int { Async.sleep_async(2.h).await; 7 }");
    CHECK_INT_EQ(reml_run(host.context, "main"), OK);
    CHECK_INT_EQ(host.waits, 1);
    CHECK_INT_EQ(host.now, 1000 + 2 * INT64_C(3600000000000));
    reml_span_t text;
    CHECK_INT_EQ(reml_embed_result_text(host.context, &text), OK);
    CHECK(text.length == 1 && memcmp(text.data, "7", 1) == 0);
    teardown(&host);
}

TEST(test_async__run_waits_for_what_the_host_promised) {
    host_t host;
    setup(&host, "fn main() -> Int { fetch(\"a\").await + fetch(\"b\").await }");
    host.complete_in_wait = true;
    CHECK_INT_EQ(reml_run(host.context, "main"), OK);
    CHECK_INT_EQ(host.waits, 2);
    reml_span_t text;
    CHECK_INT_EQ(reml_embed_result_text(host.context, &text), OK);
    CHECK(text.length == 3 && memcmp(text.data, "300", 3) == 0);
    teardown(&host);
}

TEST(test_async__a_run_nobody_can_help_is_a_deadlock) {
    host_t host;
    setup(&host, "fn main() -> Int { fetch(\"a\").await }");
    CHECK_INT_EQ(reml_run(host.context, "main"), REML_EMBED_STATUS_ERROR); /* the wait callback refuses */
    CHECK(strstr(reml_last_error(host.context), "runtime.interrupted") != NULL);
    CHECK_INT_EQ(reml_embed_set_wait(host.context, NULL, NULL), OK);
    CHECK_INT_EQ(reml_run(host.context, "main"), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(host.context), "runtime.async.deadlock") != NULL);
    CHECK_INT_EQ(reml_promise_drop(host.context, host.promises[0]), OK);
    CHECK_INT_EQ(reml_promise_drop(host.context, host.promises[0]), REML_EMBED_STATUS_STALE);
    teardown(&host);
}

/* --- jobs ------------------------------------------------------------------------------------------------------------ */

TEST(test_async__a_job_is_left_and_resumed) {
    host_t host;
    setup(&host, "async fn main() -> Int { println(\"a\"); Async.sleep_async(5.ms).await; println(\"b\"); 1 }");
    reml_job_t job;
    int64_t wait;
    reml_value_t value;
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), PENDING);
    CHECK_INT_EQ(reml_job_result(host.context, job, &value), PENDING);
    CHECK_INT_EQ(reml_job_wait(host.context, job, &wait), OK);
    CHECK_INT_EQ(wait, 5000000);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), PENDING); /* too early */
    CHECK(strcmp(host.printed, "a\n") == 0);
    host.now += 5000000;
    CHECK_INT_EQ(reml_job_wait(host.context, job, &wait), OK);
    CHECK_INT_EQ(wait, 0);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), OK);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), OK); /* over is over */
    CHECK(strcmp(host.printed, "a\nb\n") == 0);
    CHECK_INT_EQ(take_int(&host, job), 1);
    CHECK_INT_EQ(host.waits, 0);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_job_release(host.context, job), REML_EMBED_STATUS_STALE);
    teardown(&host);
}

TEST(test_async__jobs_take_turns_and_keep_apart) {
    host_t host;
    setup(&host, "async fn work(n: Int) -> Int {\n"
                 "  let t = spawn(async { defer println(format(\"left {n}\")); Async.sleep_async(1.h).await })\n"
                 "  let x = fetch(\"k\").await\n"
                 "  if x < 0 { panic(\"negative\") }\n"
                 "  x * n\n"
                 "}");
    reml_function_t work;
    reml_job_t first, second, third;
    reml_value_t one = reml_value_int(1), two = reml_value_int(2), three = reml_value_int(3);
    CHECK_INT_EQ(reml_function_find(host.context, "work", 4, NULL, 0, &work), OK);
    CHECK_INT_EQ(reml_function_start(host.context, work, &one, 1, &first), PENDING);
    CHECK_INT_EQ(reml_function_start(host.context, work, &two, 1, &second), PENDING);
    CHECK_INT_EQ(reml_function_start(host.context, work, &three, 1, &third), PENDING);
    int64_t wait;
    CHECK_INT_EQ(reml_job_wait(host.context, third, &wait), OK);
    CHECK_INT_EQ(wait, INT64_C(3600000000000));
    CHECK_INT_EQ(reml_promise_complete(host.context, host.promises[1], reml_value_int(21)), OK);
    CHECK_INT_EQ(reml_promise_complete(host.context, host.promises[0], reml_value_int(-1)), OK);
    CHECK_INT_EQ(reml_promise_complete(host.context, host.promises[0], reml_value_int(-1)), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_embed_resume(host.context, third), PENDING);
    CHECK_INT_EQ(reml_embed_resume(host.context, second), OK);
    CHECK_INT_EQ(take_int(&host, second), 42);
    CHECK_INT_EQ(reml_embed_resume(host.context, first), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(host.context), "negative") != NULL);
    CHECK_INT_EQ(reml_embed_resume(host.context, first), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_job_release(host.context, first), OK);
    CHECK_INT_EQ(reml_run(host.context, ""), OK);            /* an ordinary run in between touches nobody's tasks */
    CHECK_INT_EQ(reml_job_release(host.context, third), OK); /* given up: its task is left */
    CHECK(strcmp(host.printed, "left 2\nleft 1\nleft 3\n") == 0);
    CHECK_INT_EQ(reml_promise_drop(host.context, host.promises[2]), OK);
    teardown(&host);
}

TEST(test_async__a_job_that_cannot_go_on_fails_where_it_waits) {
    host_t host;
    setup(&host,
        "async fn main() -> Int { defer println(\"left\"); let f: Future<Int> = Async.select([]).map(|p| p.0)\n"
        "  f.await }");
    reml_job_t job;
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(host.context), "runtime.async.deadlock") != NULL);
    CHECK(strcmp(host.printed, "left\n") == 0);
    CHECK_INT_EQ(job.context, 0);
    teardown(&host);
}

TEST(test_async__futures_and_tasks_of_the_script_can_be_awaited) {
    host_t host;
    setup(&host, "fn make(n: Int) -> Future<Int> = async { Async.sleep_async(1.s).await; n }\n"
                 "fn text() -> Future<Str> = async { \"done\" }\nfn plain() -> Int = 3");
    reml_function_t make, text, plain;
    reml_value_t five = reml_value_int(5), future, value;
    reml_job_t job, again;
    CHECK_INT_EQ(reml_function_find(host.context, "make", 4, NULL, 0, &make), OK);
    CHECK_INT_EQ(reml_function_find(host.context, "text", 4, NULL, 0, &text), OK);
    CHECK_INT_EQ(reml_function_find(host.context, "plain", 5, NULL, 0, &plain), OK);
    CHECK_INT_EQ(reml_function_call(host.context, make, &five, 1, &future), OK);
    CHECK_INT_EQ(future.kind, REML_KIND_FUTURE);
    CHECK_INT_EQ(reml_future_start(host.context, future, &job), PENDING);
    host.now += 1000000000;
    CHECK_INT_EQ(reml_embed_resume(host.context, job), OK);
    CHECK_INT_EQ(take_int(&host, job), 5);
    CHECK_INT_EQ(reml_future_start(host.context, future, &again), OK); /* the value is kept */
    CHECK_INT_EQ(take_int(&host, again), 5);
    CHECK_INT_EQ(reml_value_release(host.context, future), OK);
    CHECK_INT_EQ(reml_future_start(host.context, future, &again), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_future_start(host.context, five, &again), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_function_start(host.context, text, NULL, 0, &job), OK);
    CHECK_INT_EQ(reml_job_result(host.context, job, &value), OK);
    reml_span_t span;
    CHECK_INT_EQ(reml_value_span(host.context, value, &span), OK);
    CHECK(span.length == 4 && memcmp(span.data, "done", 4) == 0);
    CHECK_INT_EQ(reml_value_release(host.context, value), OK);
    CHECK_INT_EQ(reml_job_release(host.context, job), OK);
    CHECK_INT_EQ(reml_function_start(host.context, plain, NULL, 0, &job), OK);
    CHECK_INT_EQ(take_int(&host, job), 3);
    teardown(&host);
}

/* --- promises -------------------------------------------------------------------------------------------------------- */

TEST(test_async__a_failed_promise_fails_who_awaits_it) {
    host_t host;
    setup(&host, "async fn main() -> Int { fetch(\"a\").await }");
    reml_job_t job;
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), PENDING);
    CHECK_INT_EQ(reml_promise_fail(host.context, host.promises[0], "no such key", 11, 77), OK);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), REML_EMBED_STATUS_ERROR);
    CHECK(strcmp(reml_last_error(host.context), "host.call.failed: no such key") == 0);
    CHECK_INT_EQ(reml_embed_failure_token(host.context), 77);
    CHECK_INT_EQ(reml_job_release(host.context, job), OK);
    CHECK_INT_EQ(reml_run(host.context, ""), OK);
    teardown(&host);
}

TEST(test_async__values_of_promises_are_checked) {
    host_t host;
    setup(&host, "async fn main() -> Int { fetch(\"a\").await }");
    reml_job_t job;
    reml_promise_t invented = {host.promises[0].context, 12345}, none = {0, 0};
    reml_value_t future;
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), PENDING);
    CHECK_INT_EQ(
        reml_promise_complete(host.context, host.promises[0], reml_value_bool(1)), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(
        reml_promise_complete_text(host.context, host.promises[0], "x", 1), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(
        reml_promise_complete_text(host.context, host.promises[0], "\xff", 1), REML_EMBED_STATUS_INVALID_ARGUMENT);
    invented.context = host.promises[0].context;
    CHECK_INT_EQ(reml_promise_complete(host.context, invented, reml_value_int(1)), REML_EMBED_STATUS_INVALID_HANDLE);
    CHECK_INT_EQ(reml_promise_complete(host.context, none, reml_value_int(1)), REML_EMBED_STATUS_INVALID_HANDLE);
    CHECK_INT_EQ(
        reml_promise_new(host.context, (reml_type_t){0, 0}, &invented, &future), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_promise_new(host.context, host.promised, NULL, &future), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_promise_complete(host.context, host.promises[0], reml_value_int(8)), OK);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), OK);
    CHECK_INT_EQ(take_int(&host, job), 8);
    teardown(&host);
}

static void* complete_elsewhere(void* user) {
    host_t* host = user;
    reml_value_t handle = {REML_KIND_STRING, 1, 1};
    CHECK_INT_EQ(reml_promise_complete(host->context, host->promises[0], handle), REML_EMBED_STATUS_WRONG_THREAD);
    CHECK_INT_EQ(reml_promise_complete(host->context, host->promises[0], reml_value_int(30)), OK);
    CHECK_INT_EQ(reml_promise_complete(host->context, host->promises[1], reml_value_bool(1)), OK); /* found out later */
    CHECK_INT_EQ(reml_embed_resume(host->context, (reml_job_t){1, 1}), REML_EMBED_STATUS_WRONG_THREAD);
    return NULL;
}

TEST(test_async__other_threads_complete_promises) {
    host_t host;
    setup(&host, "async fn one() -> Int { fetch(\"a\").await }");
    reml_job_t good, bad;
    int64_t wait;
    CHECK_INT_EQ(reml_embed_start(host.context, "one", &good), PENDING);
    CHECK_INT_EQ(reml_embed_start(host.context, "one", &bad), PENDING);
    CHECK_INT_EQ(reml_job_wait(host.context, good, &wait), OK);
    CHECK_INT_EQ(wait, -1);
    pthread_t thread;
    pthread_create(&thread, NULL, complete_elsewhere, &host);
    pthread_join(thread, NULL);
    CHECK_INT_EQ(reml_job_wait(host.context, good, &wait), OK);
    CHECK_INT_EQ(wait, 0);
    CHECK_INT_EQ(reml_embed_resume(host.context, good), OK);
    CHECK_INT_EQ(take_int(&host, good), 30);
    CHECK_INT_EQ(reml_embed_resume(host.context, bad), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(host.context), "host.call.failed") != NULL);
    CHECK_INT_EQ(reml_job_release(host.context, bad), OK);
    teardown(&host);
}

static reml_embed_status_t stream_task(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    host_t* host = user;
    (void)arguments, (void)count;
    return reml_promise_new_task(context, host->promised, &host->promises[host->promise_count++], out);
}

TEST(test_async__the_host_makes_tasks) {
    host_t host;
    setup(&host, "extern \"host\" { fn stream() -> Task<Int> }\n"
                 "async fn main() -> Result<Int, AsyncError> { stream().join().await }\n"
                 "async fn stop() -> Str { let t = stream(); t.cancel(); match t.await { Ok(_) => \"\", Err(e) => "
                 "format(\"{e.kind}\") } }");
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "stream";
    function.call = stream_task;
    function.user = &host;
    CHECK_INT_EQ(reml_host_define(host.context, &function), OK);
    reml_job_t job;
    reml_type_t result_type;
    reml_value_t result, seven = reml_value_int(7);
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), PENDING);
    CHECK_INT_EQ(reml_type_find(host.context, "Result<Int, AsyncError>", 23, &result_type), OK);
    CHECK_INT_EQ(reml_promise_complete(host.context, host.promises[0], seven), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_value_variant(host.context, result_type, "Ok", 2, &seven, 1, &result), OK);
    CHECK_INT_EQ(reml_promise_complete(host.context, host.promises[0], result), OK);
    CHECK_INT_EQ(reml_value_release(host.context, result), OK);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), OK);
    CHECK_INT_EQ(reml_job_release(host.context, job), OK);
    int wanted = 1;
    CHECK_INT_EQ(reml_embed_start(host.context, "stop", &job), OK);
    CHECK_INT_EQ(reml_promise_wanted(host.context, host.promises[1], &wanted), OK);
    CHECK_INT_EQ(wanted, 0);
    CHECK_INT_EQ(reml_promise_drop(host.context, host.promises[1]), OK);
    CHECK_INT_EQ(reml_job_release(host.context, job), OK);
    teardown(&host);
}

TEST(test_async__modules_are_initialised_as_part_of_the_job) {
    host_t host;
    setup(&host,
        "let first: Int = fetch(\"a\").await\nlet task = spawn(async { Async.sleep_async(1.ms).await; first + 1 })\n"
        "fn main() -> Int = match task.await { Ok(n) => n, Err(_) => 0 }\nfn again() -> Int = first");
    reml_job_t job;
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), PENDING);
    CHECK_INT_EQ(reml_promise_complete(host.context, host.promises[0], reml_value_int(5)), OK);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), PENDING); /* the task that initialisation has spawned */
    host.now += 1000000;
    CHECK_INT_EQ(reml_embed_resume(host.context, job), OK);
    CHECK_INT_EQ(take_int(&host, job), 6);
    CHECK_INT_EQ(reml_embed_start(host.context, "again", &job), OK);
    CHECK_INT_EQ(take_int(&host, job), 5);
    CHECK_INT_EQ(reml_embed_start(host.context, "", &job), OK);
    CHECK_INT_EQ(reml_job_release(host.context, job), OK);
    CHECK_INT_EQ(reml_embed_start(host.context, "nowhere", &job), REML_EMBED_STATUS_ERROR);
    CHECK(strcmp(reml_last_error(host.context), "entrypoint not found: nowhere") == 0);
    teardown(&host);
}

TEST(test_async__a_job_given_up_in_initialisation_has_failed_it) {
    host_t host;
    setup(&host, "let first: Int = { defer println(\"left\"); fetch(\"a\").await }\nfn main() -> Int = first");
    reml_job_t job;
    CHECK_INT_EQ(reml_embed_start(host.context, "", &job), PENDING);
    CHECK_INT_EQ(reml_job_release(host.context, job), OK);
    CHECK(strcmp(host.printed, "left\n") == 0);
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(host.context), "runtime.init.failed") != NULL);
    CHECK_INT_EQ(reml_promise_drop(host.context, host.promises[0]), OK);
    teardown(&host);
}

/* --- host functions that call back ------------------------------------------------------------------------------------- */

typedef struct nested {
    reml_function_t function;
    reml_embed_status_t status;
    char error[128];
} nested_t;

static reml_embed_status_t call_back(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    nested_t* nested = user;
    (void)arguments, (void)count;
    nested->status = reml_function_call(context, nested->function, NULL, 0, out);
    const char* error = reml_last_error(context);
    snprintf(nested->error, sizeof nested->error, "%s", error ? error : "");
    *out = reml_value_int(9);
    return OK;
}

static reml_embed_status_t poll_inside(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    nested_t* nested = user;
    (void)arguments, (void)count;
    reml_job_t job;
    nested->status = reml_function_start(context, nested->function, NULL, 0, &job);
    *out = reml_value_int(0);
    if (nested->status == OK || nested->status == PENDING) reml_job_release(context, job);
    return OK;
}

TEST(test_async__nothing_waits_across_a_host_function) {
    host_t host;
    nested_t nested = {.status = OK};
    host = (host_t){0};
    CHECK_INT_EQ(reml_create_context("0.1.0", &host.context), OK);
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "call_back";
    function.signature = "() -> Int";
    function.call = call_back;
    function.user = &nested;
    CHECK_INT_EQ(reml_host_define(host.context, &function), OK);
    function.name = "poll_inside";
    function.call = poll_inside;
    CHECK_INT_EQ(reml_host_define(host.context, &function), OK);
    const char* source = "fn inner() -> Int { Async.sleep_async(1.ms).await; 1 }\n"
                         "fn ready() -> Int = async { 4 }.await\n"
                         "fn main() -> Int { call_back() }\n"
                         "fn task() -> Int { match spawn(async { call_back() }).await { Ok(n) => n, Err(_) => 0 } }\n"
                         "fn poll() -> Int { match spawn(async { poll_inside() }).await { Ok(n) => n, Err(_) => 1 } }";
    CHECK_INT_EQ(reml_load_module(host.context, (const unsigned char*)source, strlen(source)), OK);
    CHECK_INT_EQ(reml_function_find(host.context, "inner", 5, NULL, 0, &nested.function), OK);
    CHECK_INT_EQ(reml_run(host.context, "main"), OK);
    CHECK_INT_EQ(nested.status, REML_EMBED_STATUS_ERROR);
    CHECK(strstr(nested.error, "runtime.effect.native_frame") != NULL);
    CHECK_INT_EQ(reml_run(host.context, "task"), OK);
    CHECK(strstr(nested.error, "runtime.effect.native_frame") != NULL);
    CHECK_INT_EQ(reml_run(host.context, "poll"), OK); /* a job inside a host function may wait */
    CHECK_INT_EQ(nested.status, PENDING);
    CHECK_INT_EQ(reml_function_find(host.context, "ready", 5, NULL, 0, &nested.function), OK);
    CHECK_INT_EQ(reml_run(host.context, "main"), OK); /* what need not wait is fine */
    CHECK_INT_EQ(nested.status, OK);
    teardown(&host);
}

/* --- limits, audit -------------------------------------------------------------------------------------------------------- */

TEST(test_async__limits_hold_for_a_job_as_a_whole) {
    host_t host;
    setup(&host, "async fn main() -> Int { loop { Async.sleep_async(1.ms).await } }");
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.fuel = 20000;
    CHECK_INT_EQ(reml_embed_set_limits(host.context, &limits), OK);
    reml_job_t job;
    reml_embed_status_t status = reml_embed_start(host.context, "main", &job);
    unsigned turns = 0;
    for (; status == PENDING && turns < 100000; turns++) {
        host.now += 1000000;
        status = reml_embed_resume(host.context, job);
    }
    CHECK_INT_EQ(status, REML_EMBED_STATUS_LIMIT);
    CHECK(turns > 100);
    CHECK_INT_EQ(reml_job_release(host.context, job), OK);
    teardown(&host);
}

TEST(test_async__a_job_leaves_one_record) {
    host_t host;
    setup(&host, "async fn main() -> Int { Async.sleep_async(1.ms).await; 1 }");
    char* text;
    size_t length;
    CHECK_INT_EQ(reml_embed_audit_drain(host.context, &text, &length), OK);
    reml_embed_free(text);
    reml_job_t job;
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), PENDING);
    host.now += 1000000;
    CHECK_INT_EQ(reml_embed_resume(host.context, job), OK);
    CHECK_INT_EQ(reml_embed_audit_drain(host.context, &text, &length), OK);
    unsigned lines = 0;
    for (size_t i = 0; i < length; i++) lines += text[i] == '\n';
    CHECK_INT_EQ(lines, 1);
    CHECK(text && strstr(text, "\"native.embed.entrypoint\":\"reml_embed_start\"") != NULL);
    CHECK(text && strstr(text, "\"embed.run.entrypoint\":\"main\"") != NULL);
    reml_embed_free(text);
    CHECK_INT_EQ(take_int(&host, job), 1);
    teardown(&host);
}

TEST(test_async__a_pending_job_goes_with_its_context) {
    host_t host;
    setup(&host, "async fn main() -> Int { let t = spawn(async { Async.sleep_async(1.s).await })\n"
                 "  Async.sleep_async(1.ms).await; 1 }");
    reml_job_t job;
    CHECK_INT_EQ(reml_embed_start(host.context, "main", &job), PENDING);
    CHECK_INT_EQ(reml_embed_collect(host.context), OK);
    CHECK_INT_EQ(reml_embed_set_clock(host.context, NULL, NULL), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_dispose_context(host.context), OK);
    CHECK_INT_EQ(reml_embed_resume(host.context, job), REML_EMBED_STATUS_STALE);
}

TEST(test_async__every_refused_allocation_is_a_status) {
    static const char source[] =
        "async fn step(n: Int) -> Int { Async.sleep_async(n.ms).await; n }\n"
        "async fn main() -> Int {\n"
        "  let tasks = [1, 2, 3].map(|n| spawn(async { defer println(\"\"); step(n).await + fetch(\"k\").await }))\n"
        "  let pair = Async.join(step(2), step(1)).await\n"
        "  let won = Async.select([step(5), step(1)]).await\n"
        "  let late = Async.timeout(step(9), 1.ms).await\n"
        "  tasks[2].cancel()\n"
        "  pair.0 + won.1 + (match late { Ok(n) => n, Err(_) => 0 })\n"
        "}";
    unsigned refused = 0;
    for (uint64_t number = 1; number < 4000; number += number < 200 ? 1 : 7) {
        host_t host;
        setup(&host, source);
        reml_job_t job;
        CHECK_INT_EQ(reml_embed_fail_allocation(host.context, number, 0), OK);
        reml_embed_status_t status = reml_embed_start(host.context, "main", &job);
        for (unsigned turn = 0; status == PENDING && turn < 100; turn++) {
            host.now += 1000000;
            status = reml_embed_resume(host.context, job);
        }
        CHECK_INT_EQ(reml_embed_fail_allocation(host.context, 0, 0), OK);
        if (job.context) CHECK_INT_EQ(reml_job_release(host.context, job), OK);
        while (host.promise_count) reml_promise_drop(host.context, host.promises[--host.promise_count]);
        refused += status != OK;
        CHECK_INT_EQ(reml_dispose_context(host.context), OK);
        if (check_failures) {
            printf("allocation %u\n", (unsigned)number);
            return;
        }
    }
    CHECK(refused > 20);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_async__run_waits_in_the_hosts_callback),
        RUN(test_async__run_waits_for_what_the_host_promised),
        RUN(test_async__a_run_nobody_can_help_is_a_deadlock),
        RUN(test_async__a_job_is_left_and_resumed),
        RUN(test_async__jobs_take_turns_and_keep_apart),
        RUN(test_async__a_job_that_cannot_go_on_fails_where_it_waits),
        RUN(test_async__futures_and_tasks_of_the_script_can_be_awaited),
        RUN(test_async__a_failed_promise_fails_who_awaits_it),
        RUN(test_async__values_of_promises_are_checked),
        RUN(test_async__other_threads_complete_promises),
        RUN(test_async__the_host_makes_tasks),
        RUN(test_async__modules_are_initialised_as_part_of_the_job),
        RUN(test_async__a_job_given_up_in_initialisation_has_failed_it),
        RUN(test_async__nothing_waits_across_a_host_function),
        RUN(test_async__limits_hold_for_a_job_as_a_whole),
        RUN(test_async__a_job_leaves_one_record),
        RUN(test_async__a_pending_job_goes_with_its_context),
        RUN(test_async__every_refused_allocation_is_a_status),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
