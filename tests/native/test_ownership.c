/* Ownership at the border, both ways (CONTRACTS 2; RELIABILITY T19–T21). Only public headers. */
#include "check.h"

#include "reml_audit.h"
#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_value.h"

#include <stdlib.h>

#define OK REML_EMBED_STATUS_OK

static reml_embed_context_t* create(void) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    return context;
}

static void load(reml_embed_context_t* context, const char* text) {
    if (!CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)text, strlen(text)), OK))
        printf("%s\n", reml_last_error(context));
}

static void run(reml_embed_context_t* context) {
    if (!CHECK_INT_EQ(reml_run(context, "main"), OK)) printf("%s\n", reml_last_error(context));
}

static void check_result(reml_embed_context_t* context, const char* expected) {
    reml_span_t text;
    run(context);
    if (CHECK_INT_EQ(reml_embed_result_text(context, &text), OK))
        check_bytes(text.data, text.length, expected, strlen(expected), __FILE__, __LINE__, "result");
}

static reml_ffi_bridge_metrics_t metrics(reml_embed_context_t* context) {
    reml_ffi_bridge_metrics_t found;
    CHECK_INT_EQ(reml_ffi_bridge_context_metrics(context, &found), OK);
    CHECK_INT_EQ(found.acquired, found.released + found.live);
    return found;
}

static char* drain(reml_embed_context_t* context_or_null) {
    char* text = NULL;
    size_t length = 0;
    CHECK_INT_EQ(reml_embed_audit_drain(context_or_null, &text, &length), OK);
    return text ? text : calloc(1, 1);
}

static unsigned count(const char* text, const char* part) {
    unsigned found = 0;
    for (const char* at = text; (at = strstr(at, part)) != NULL; at++) found++;
    return found;
}

/* How many ownership violations does the log tell of since the last look? */
static unsigned violations(reml_embed_context_t* context_or_null) {
    char* text = drain(context_or_null);
    unsigned found = count(text, "\"error.code\":\"ffi.wrap.ownership_violation\"");
    reml_embed_free(text);
    return found;
}

static reml_type_t type_of(reml_embed_context_t* context, const char* text) {
    reml_type_t type;
    CHECK_INT_EQ(reml_type_find(context, text, strlen(text), &type), OK);
    return type;
}

typedef struct releases {
    int count;
    void* data;
    size_t length;
} releases_t;
static void note_release(void* data, size_t length, void* user) {
    releases_t* releases = user;
    releases->count++;
    releases->data = data;
    releases->length = length;
}

static reml_embed_status_t wrap_as(reml_embed_context_t* context, const char* type, uint32_t ownership, uint32_t flags,
    void* data, size_t length, releases_t* releases, reml_value_t* out) {
    reml_foreign_t foreign = REML_FOREIGN_INIT;
    foreign.ownership = ownership;
    foreign.flags = flags;
    foreign.data = data;
    foreign.length = length;
    if (ownership == REML_OWNERSHIP_TRANSFERRED) {
        foreign.release = note_release;
        foreign.user = releases;
    }
    return reml_ffi_wrap_foreign_ptr(context, type_of(context, type), &foreign, out);
}

static reml_value_t lend(reml_embed_context_t* context, void* data, size_t length) {
    reml_value_t value;
    CHECK_INT_EQ(wrap_as(context, "ForeignBuffer", REML_OWNERSHIP_BORROWED, 0, data, length, NULL, &value), OK);
    return value;
}

static reml_function_t function(reml_embed_context_t* context, const char* name) {
    reml_function_t found;
    if (!CHECK_INT_EQ(reml_function_find(context, name, strlen(name), NULL, 0, &found), OK))
        printf("%s\n", reml_last_error(context));
    return found;
}

static const char source[] =
    "fn total(b: ForeignBuffer) -> Int {\n  var n = 0\n  for i in 0..b.len() { n += b.get(i).unwrap_or(0) }\n  n\n}\n"
    "fn part(b: ForeignBuffer, from: Int, to: Int) -> Bytes = b.slice(from, to)\n"
    "fn alive(b: ForeignBuffer) -> Bool = b.is_alive()\n"
    "struct Keep { held: Option<ForeignBuffer> }\n"
    "let keep = Keep { held = None }\n"
    "fn hold(b: ForeignBuffer) { keep.held := Some(b) }\n"
    "fn drop_it() { keep.held := None }\n"
    "fn held() -> Int = match keep.held { | Some(b) -> b.len() | None -> 0 - 1 }\n";

/* --- results: borrowed and transferred (the table of 2.6) -------------------------------------------------------------- */

TEST(test_ownership__borrow_and_release_return_to_the_starting_count) {
    reml_embed_context_t* context = create();
    load(context, "fn main() -> List<Int> = [1, 2, 3]");
    run(context);
    reml_ffi_bridge_metrics_t before = metrics(context);
    reml_value_t borrowed, owned;
    CHECK_INT_EQ(reml_embed_result_borrow(context, &borrowed), OK);
    CHECK_INT_EQ(reml_ffi_acquire_borrowed(context, borrowed, &owned), OK);
    CHECK_INT_EQ(metrics(context).live, before.live + 1);
    CHECK_INT_EQ(metrics(context).borrowed_results, before.borrowed_results + 1); /* acquiring counts no result */
    CHECK_INT_EQ(reml_ffi_release_transferred(context, owned), OK);
    CHECK_INT_EQ(metrics(context).live, before.live);
    CHECK_INT_EQ(violations(context), 0);
    reml_dispose_context(context);
}

TEST(test_ownership__a_transferred_result_is_released_exactly_once) {
    reml_embed_context_t* context = create();
    load(context, "fn main() -> Str = \"ok\"");
    run(context);
    reml_value_t value;
    reml_span_t text;
    CHECK_INT_EQ(reml_embed_result_take(context, &value), OK);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, value), OK);
    CHECK_INT_EQ(violations(context), 0);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, value), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(violations(context), 1);
    CHECK_INT_EQ(
        reml_value_span(context, value, &text), REML_EMBED_STATUS_STALE); /* a use is refused and recorded, too */
    CHECK_INT_EQ(violations(context), 1);
    CHECK_INT_EQ(metrics(context).live, 0);
    reml_dispose_context(context);
}

TEST(test_ownership__a_borrowed_result_must_not_be_released_nor_transferred) {
    reml_embed_context_t* context = create();
    load(context, "fn main() -> Str = \"ok\"");
    run(context);
    reml_value_t value, same;
    CHECK_INT_EQ(reml_embed_result_borrow(context, &value), OK);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, value), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_ffi_acquire_transferred(context, value, &same), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(violations(context), 2);
    run(context); /* ends the loan */
    size_t length;
    CHECK_INT_EQ(reml_value_length(context, value, &length), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(violations(context), 1);
    reml_dispose_context(context);
}

TEST(test_ownership__values_of_another_context_are_refused_and_recorded) {
    reml_embed_context_t *a = create(), *b = create();
    load(a, source);
    load(b, source);
    reml_value_t value;
    reml_function_t total = function(b, "total");
    char bytes[2] = {1, 2};
    value = lend(a, bytes, 2);
    reml_value_t result;
    CHECK_INT_EQ(reml_function_call(b, total, &value, 1, &result), REML_EMBED_STATUS_WRONG_CONTEXT);
    CHECK_INT_EQ(reml_ffi_end_borrow(b, value), REML_EMBED_STATUS_WRONG_CONTEXT);
    CHECK_INT_EQ(reml_value_release(b, value), REML_EMBED_STATUS_WRONG_CONTEXT);
    CHECK_INT_EQ(reml_function_release(a, total), REML_EMBED_STATUS_WRONG_CONTEXT);
    CHECK_INT_EQ(violations(b), 3);
    CHECK_INT_EQ(violations(a), 1);
    CHECK_INT_EQ(reml_value_release(a, value), OK);
    reml_dispose_context(a);
    reml_dispose_context(b);
}

TEST(test_ownership__a_use_after_the_context_is_gone_is_recorded_by_the_process) {
    reml_embed_context_t* context = create();
    reml_value_t value;
    CHECK_INT_EQ(reml_value_string(context, "x", 1, &value), OK);
    reml_dispose_context(context);
    reml_embed_free(drain(NULL));
    reml_ffi_bridge_metrics_t before = reml_ffi_bridge_get_metrics();
    reml_span_t text;
    CHECK_INT_EQ(reml_value_span(context, value, &text), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_value_release(context, value), REML_EMBED_STATUS_STALE);
    reml_ffi_bridge_metrics_t after = reml_ffi_bridge_get_metrics();
    CHECK_INT_EQ(after.total_calls, before.total_calls + 2);
    CHECK_INT_EQ(after.success_calls, before.success_calls);
    CHECK_INT_EQ(violations(NULL), 2);
}

TEST(test_ownership__a_leak_of_a_transferred_value_is_reported_as_status_leak) {
    reml_embed_context_t* context = create();
    load(context, "fn main() -> List<Int> = [1]\nfn make() -> Str = \"x\"");
    reml_function_t make = function(context, "make");
    reml_value_t taken, called;
    run(context);
    CHECK_INT_EQ(reml_embed_result_take(context, &taken), OK);
    for (int i = 0; i < 3; i++) CHECK_INT_EQ(reml_function_call(context, make, NULL, 0, &called), OK);
    reml_embed_free(drain(context));
    reml_ffi_bridge_metrics_t before = reml_ffi_bridge_get_metrics();
    reml_dispose_context(context);
    reml_ffi_bridge_metrics_t after = reml_ffi_bridge_get_metrics();
    CHECK_INT_EQ(after.acquired, after.released + after.live);
    CHECK_INT_EQ(after.total_calls, before.total_calls + 4); /* each counts, so that log and counters agree */
    CHECK_INT_EQ(after.success_calls, before.success_calls);
    char* text = drain(NULL);
    CHECK_INT_EQ(count(text, "\"status\":\"leak\",\"target\""), 2); /* bridge.status: one record for each way */
    CHECK_INT_EQ(count(text, "\"extern_symbol\":\"reml_embed_result_take\""), 1);
    CHECK_INT_EQ(count(text, "\"extern_symbol\":\"reml_function_call\""), 1);
    CHECK_INT_EQ(count(text, "\"ffi.count\":3"), 1);
    CHECK_INT_EQ(count(text, "\"status\":\"pending\""), 2);
    const char* last = strstr(text, "reml_dispose_context");
    CHECK(last && strstr(last, "leak") == NULL); /* dispose stays the last record */
    reml_embed_free(text);
}

/* --- host pointers: borrowed ----------------------------------------------------------------------------------------------- */

TEST(test_ownership__a_script_reads_a_buffer_within_its_bounds_without_a_copy) {
    reml_embed_context_t* context = create();
    load(context,
        "fn ends(b: ForeignBuffer) -> (Int, Option<Int>, Option<Int>, Option<Int>) =\n"
        "  (b.len(), b.get(0), b.get(b.len()), b.get(0 - 1))\n"
        "fn wide(b: ForeignBuffer) -> (Option<Int>, Option<Int>, Option<Int>) = (b.i32_at(0), b.i64_at(0), "
        "b.i32_at(2))\n"
        "fn part(b: ForeignBuffer) -> (Bytes, Bytes, Bytes) = (b.slice(1, 3), b.slice(0 - 5, 99), b.slice(3, 1))\n");
    unsigned char bytes[8] = {0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    reml_value_t buffer = lend(context, bytes, sizeof bytes), result;
    const struct {
        const char *name, *expected;
    } rows[] = {{"ends", "(8, Some(254), None, None)"}, {"wide", "(Some(-2), Some(-2), None)"}};
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT_EQ(reml_function_call(context, function(context, rows[i].name), &buffer, 1, &result), OK);
        char* text = NULL;
        size_t length;
        CHECK_INT_EQ(reml_value_text(context, result, &text, &length), OK);
        CHECK_STR_EQ(text, rows[i].expected);
        reml_embed_free(text);
        reml_value_release(context, result);
    }
    bytes[1] = 7; /* seen at once: nothing was copied */
    CHECK_INT_EQ(reml_function_call(context, function(context, "part"), &buffer, 1, &result), OK);
    static const size_t lengths[] = {2, 8, 0};
    for (size_t i = 0; i < 3; i++) {
        reml_value_t item;
        reml_span_t span;
        CHECK_INT_EQ(reml_value_item(context, result, i, &item), OK);
        CHECK_INT_EQ(reml_value_span(context, item, &span), OK);
        CHECK_INT_EQ(span.length, lengths[i]);
        if (i == 0) CHECK_INT_EQ(((const unsigned char*)span.data)[0], 7);
        reml_value_release(context, item);
    }
    reml_value_release(context, result);
    reml_value_release(context, buffer);
    CHECK_INT_EQ(metrics(context).live, 0);
    reml_dispose_context(context);
}

TEST(test_ownership__a_borrowed_pointer_is_refused_after_its_owner_has_ended_it) {
    reml_embed_context_t* context = create();
    load(context, source);
    char bytes[3] = {1, 2, 3};
    reml_value_t buffer = lend(context, bytes, 3), result;
    reml_function_t total = function(context, "total");
    CHECK_INT_EQ(reml_function_call(context, total, &buffer, 1, &result), OK);
    CHECK_INT_EQ(result.bits, 6);
    CHECK_INT_EQ(reml_ffi_end_borrow(context, buffer), OK);
    reml_embed_free(drain(context));
    CHECK_INT_EQ(reml_function_call(context, total, &buffer, 1, &result), REML_EMBED_STATUS_ERROR);
    const char* error = reml_last_error(context);
    CHECK(error && strncmp(error, "ffi.wrap.ownership_violation: ", 30) == 0);
    char* text = drain(context);
    CHECK_INT_EQ(count(text, "\"extern_symbol\":\"ForeignBuffer.len\""), 1);
    reml_embed_free(text);
    void* data = bytes;
    CHECK_INT_EQ(reml_value_host_data(context, buffer, &data), REML_EMBED_STATUS_STALE);
    CHECK(data == NULL);
    CHECK_INT_EQ(reml_ffi_end_borrow(context, buffer), REML_EMBED_STATUS_STALE); /* once */
    CHECK_INT_EQ(violations(context), 2);
    CHECK_INT_EQ(
        reml_function_call(context, function(context, "alive"), &buffer, 1, &result), OK); /* looking is free */
    CHECK_INT_EQ(result.bits, 0);
    reml_foreign_t info = REML_FOREIGN_INIT;
    CHECK_INT_EQ(reml_ffi_foreign_info(context, buffer, &info), OK);
    CHECK_INT_EQ(info.flags, REML_FOREIGN_OVER);
    CHECK(info.data == NULL && info.length == 0);
    CHECK_INT_EQ(violations(context), 0);
    reml_value_release(context, buffer);
    reml_dispose_context(context);
}

TEST(test_ownership__a_loan_for_one_run_is_over_with_the_host_call) {
    reml_embed_context_t* context = create();
    load(context, source);
    char bytes[3] = {1, 2, 3};
    reml_value_t buffer, result;
    CHECK_INT_EQ(
        wrap_as(context, "ForeignBuffer", REML_OWNERSHIP_BORROWED, REML_FOREIGN_ONE_RUN, bytes, 3, NULL, &buffer), OK);
    CHECK_INT_EQ(reml_function_call(context, function(context, "hold"), &buffer, 1, &result), OK);
    CHECK_INT_EQ(reml_function_call(context, function(context, "held"), NULL, 0, &result), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "the run that it was lent for is over") != NULL);
    reml_function_t held = function(context, "held"); /* scalars: the direct way asks, too */
    reml_scalar_t scalar;
    CHECK_INT_EQ(reml_function_call_scalars(context, held, NULL, 0, &scalar), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(violations(context), 4); /* each: the reading, and the call that failed because of it */
    reml_value_release(context, buffer);
    reml_dispose_context(context);
}

/* --- host pointers: transferred ---------------------------------------------------------------------------------------------- */

TEST(test_ownership__the_release_handler_runs_once_when_the_script_has_dropped_the_pointer) {
    reml_embed_context_t* context = create();
    load(context, source);
    releases_t releases = {0};
    char bytes[4] = {0};
    reml_value_t buffer, result;
    CHECK_INT_EQ(wrap_as(context, "ForeignBuffer", REML_OWNERSHIP_TRANSFERRED, 0, bytes, 4, &releases, &buffer), OK);
    CHECK_INT_EQ(reml_function_call(context, function(context, "hold"), &buffer, 1, &result), OK);
    CHECK_INT_EQ(metrics(context).live, 2); /* the handle and the pointer */
    CHECK_INT_EQ(reml_value_release(context, buffer), OK);
    CHECK_INT_EQ(reml_embed_collect(context), OK);
    CHECK_INT_EQ(releases.count, 0); /* the script has it */
    CHECK_INT_EQ(reml_function_call(context, function(context, "held"), NULL, 0, &result), OK);
    CHECK_INT_EQ(result.bits, 4);
    CHECK_INT_EQ(reml_function_call(context, function(context, "drop_it"), NULL, 0, &result), OK);
    CHECK_INT_EQ(reml_embed_collect(context), OK);
    CHECK_INT_EQ(releases.count, 1);
    CHECK(releases.data == bytes && releases.length == 4);
    CHECK_INT_EQ(metrics(context).live, 0);
    char* text = drain(context);
    CHECK_INT_EQ(count(text, "\"extern_symbol\":\"reml_ffi_wrap_foreign_ptr\""), 1);
    CHECK_INT_EQ(count(text, "\"extern_symbol\":\"reml_ffi_release_foreign\""), 1);
    CHECK_INT_EQ(count(text, "\"status\":\"wrap_and_release\""), 1);
    reml_embed_free(text);
    reml_dispose_context(context);
    CHECK_INT_EQ(releases.count, 1);
}

TEST(test_ownership__dispose_releases_what_the_script_still_has) {
    reml_embed_context_t* context = create();
    load(context, source);
    releases_t releases = {0};
    char bytes[4] = {0};
    reml_value_t value;
    for (int i = 0; i < 5; i++) {
        CHECK_INT_EQ(wrap_as(context, i % 2 ? "Ptr<Int>" : "ForeignBuffer", REML_OWNERSHIP_TRANSFERRED, 0, bytes, 4,
                         &releases, &value),
            OK);
        if (i > 2) reml_value_release(context, value);
    }
    reml_ffi_bridge_metrics_t before = reml_ffi_bridge_get_metrics();
    reml_dispose_context(context);
    CHECK_INT_EQ(releases.count, 5);
    reml_ffi_bridge_metrics_t after = reml_ffi_bridge_get_metrics();
    CHECK_INT_EQ(after.acquired, after.released + after.live);
    CHECK_INT_EQ(after.success_calls - before.success_calls, after.total_calls - before.total_calls); /* no leak */
}

TEST(test_ownership__a_pointer_taken_back_is_no_longer_the_scripts) {
    reml_embed_context_t* context = create();
    load(context, source);
    releases_t releases = {0};
    char bytes[4] = {0};
    reml_value_t value, result;
    void* data = NULL;
    CHECK_INT_EQ(wrap_as(context, "ForeignBuffer", REML_OWNERSHIP_TRANSFERRED, 0, bytes, 4, &releases, &value), OK);
    CHECK_INT_EQ(reml_ffi_end_borrow(context, value), REML_EMBED_STATUS_INVALID_ARGUMENT); /* it is no loan */
    CHECK_INT_EQ(reml_ffi_take_foreign(context, value, &data), OK);
    CHECK(data == bytes);
    CHECK_INT_EQ(violations(context), 1);
    CHECK_INT_EQ(reml_ffi_take_foreign(context, value, &data), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_ffi_release_foreign(context, value), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_function_call(context, function(context, "total"), &value, 1, &result), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(violations(context), 4);
    reml_value_release(context, value);
    reml_dispose_context(context);
    CHECK_INT_EQ(releases.count, 0);
}

TEST(test_ownership__release_now_runs_the_handler_and_ends_the_pointer) {
    reml_embed_context_t* context = create();
    load(context, source);
    releases_t releases = {0};
    char bytes[4] = {0};
    reml_value_t value, lent = lend(context, bytes, 4);
    CHECK_INT_EQ(wrap_as(context, "Ptr<Int>", REML_OWNERSHIP_TRANSFERRED, 0, bytes, 0, &releases, &value), OK);
    CHECK_INT_EQ(reml_ffi_release_foreign(context, value), OK);
    CHECK_INT_EQ(releases.count, 1);
    CHECK_INT_EQ(reml_ffi_release_foreign(context, value), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_ffi_release_foreign(context, lent), REML_EMBED_STATUS_INVALID_ARGUMENT); /* a borrow */
    CHECK_INT_EQ(violations(context), 2);
    reml_value_release(context, value);
    reml_value_release(context, lent);
    reml_dispose_context(context);
    CHECK_INT_EQ(releases.count, 1);
}

TEST(test_ownership__a_failing_wrap_leaves_the_pointer_to_its_caller) {
    reml_embed_context_t* context = create();
    load(context, source);
    releases_t releases = {0};
    char bytes[4] = {0};
    reml_value_t value;
    reml_foreign_t foreign = REML_FOREIGN_INIT;
    reml_type_t buffer = type_of(context, "ForeignBuffer");
    const struct {
        uint32_t flags, ownership;
        void* data;
        size_t length;
        bool release;
    } wrong[] = {{0, REML_OWNERSHIP_NONE, bytes, 4, false}, {0, REML_OWNERSHIP_REFERENCE, bytes, 4, false},
        {0, REML_OWNERSHIP_BORROWED, bytes, 4, true}, {0, REML_OWNERSHIP_TRANSFERRED, bytes, 4, false},
        {0, REML_OWNERSHIP_BORROWED, NULL, 4, false}, {64, REML_OWNERSHIP_BORROWED, bytes, 4, false},
        {REML_FOREIGN_ONE_RUN, REML_OWNERSHIP_TRANSFERRED, bytes, 4, true},
        {0, REML_OWNERSHIP_BORROWED, bytes, SIZE_MAX, false}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        foreign.flags = wrong[i].flags, foreign.ownership = wrong[i].ownership;
        foreign.data = wrong[i].data, foreign.length = wrong[i].length;
        foreign.release = wrong[i].release ? note_release : NULL, foreign.user = &releases;
        memset(&value, 0xA5, sizeof value);
        CHECK_INT_EQ(reml_ffi_wrap_foreign_ptr(context, buffer, &foreign, &value), REML_EMBED_STATUS_INVALID_ARGUMENT);
        CHECK_INT_EQ(value.kind, REML_KIND_NONE);
    }
    CHECK_INT_EQ(wrap_as(context, "Int", REML_OWNERSHIP_TRANSFERRED, 0, bytes, 4, &releases, &value),
        REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_ffi_wrap_foreign_ptr(context, buffer, NULL, &value), REML_EMBED_STATUS_INVALID_ARGUMENT);
    for (uint64_t n = 1; n < 8; n++) { /* each allocation refused */
        reml_foreign_t whole = REML_FOREIGN_INIT;
        whole.ownership = REML_OWNERSHIP_TRANSFERRED;
        whole.data = bytes, whole.length = 4;
        whole.release = note_release, whole.user = &releases;
        reml_embed_fail_allocation(context, n, 0);
        reml_embed_status_t status = reml_ffi_wrap_foreign_ptr(context, buffer, &whole, &value);
        reml_embed_fail_allocation(context, 0, 0);
        CHECK(status == OK || status == REML_EMBED_STATUS_NO_MEMORY);
        (void)metrics(context);
        if (status == OK) {
            CHECK_INT_EQ(reml_ffi_take_foreign(context, value, &(void*){NULL}), OK);
            CHECK_INT_EQ(reml_value_release(context, value), OK);
        }
    }
    CHECK_INT_EQ(metrics(context).live, 0);
    reml_dispose_context(context);
    CHECK_INT_EQ(releases.count, 0);
}

static void busy_release(void* data, size_t length, void* user) {
    (void)length;
    reml_embed_context_t* context = user;
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_embed_collect(context), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_BUSY);
    reml_value_t text;
    CHECK_INT_EQ(reml_value_string(context, "fine", 4, &text), OK); /* looking and making values is */
    CHECK_INT_EQ(reml_value_release(context, text), OK);
    (*(int*)data)++;
}

TEST(test_ownership__a_release_handler_may_look_and_not_run) {
    reml_embed_context_t* context = create();
    load(context, "fn main() -> Int = 1");
    int calls = 0;
    reml_foreign_t foreign = REML_FOREIGN_INIT;
    foreign.ownership = REML_OWNERSHIP_TRANSFERRED;
    foreign.data = &calls;
    foreign.release = busy_release;
    foreign.user = context;
    reml_value_t value;
    CHECK_INT_EQ(reml_ffi_wrap_foreign_ptr(context, type_of(context, "Ptr<Int>"), &foreign, &value), OK);
    reml_value_release(context, value);
    reml_embed_collect(context);
    CHECK_INT_EQ(calls, 1);
    CHECK_INT_EQ(reml_ffi_wrap_foreign_ptr(context, type_of(context, "Ptr<Int>"), &foreign, &value), OK);
    reml_dispose_context(context);
    CHECK_INT_EQ(calls, 2);
}

/* --- host functions: ownership of what they answer ------------------------------------------------------------------------------ */

typedef struct offer {
    uint32_t ownership;
    void* data;
    releases_t* releases;
    bool fail;
    reml_value_t kept;
} offer_t;
static reml_embed_status_t answer_pointer(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count_, reml_value_t* out, void* user) {
    (void)arguments;
    (void)count_;
    offer_t* offer = user;
    reml_embed_status_t status =
        wrap_as(context, "Ptr<Int>", offer->ownership, 0, offer->data, 0, offer->releases, out);
    offer->kept = *out;
    return offer->fail ? REML_EMBED_STATUS_ERROR : status;
}

static void define(
    reml_embed_context_t* context, const char* name, const char* signature, reml_host_fn call, void* user) {
    reml_host_function_t host = REML_HOST_FUNCTION_INIT;
    host.name = name;
    host.signature = signature;
    host.call = call;
    host.user = user;
    if (!CHECK_INT_EQ(reml_host_define(context, &host), OK)) printf("%s\n", reml_last_error(context));
}

static void check_return(const char* records, const char* symbol, const char* ownership, const char* returned) {
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\"extern_symbol\":\"%s\",\"ownership\":\"%s\"", symbol, ownership);
    const char* record = strstr(records, wanted);
    if (!CHECK(record != NULL)) {
        printf("no %s in\n%s\n", wanted, records);
        return;
    }
    const char* block = strstr(record, "\"return\":");
    if (!CHECK(block && strncmp(block + 9, returned, strlen(returned)) == 0)) printf("%.200s\n", block);
}

#define ROW(ownership, adjustment, handler, status, wrap)                                                              \
    "{\"ownership\":\"" ownership "\",\"rc_adjustment\":\"" adjustment "\",\"release_handler\":\"" handler             \
    "\",\"status\":\"" status "\",\"wrap\":\"" wrap "\"}"

TEST(test_ownership__records_of_host_functions_have_the_row_of_what_they_answer) {
    int cell = 0;
    releases_t releases = {0};
    offer_t lent = {REML_OWNERSHIP_BORROWED, &cell, NULL, false, {0}};
    offer_t given = {REML_OWNERSHIP_TRANSFERRED, &cell, &releases, false, {0}};
    offer_t null = {REML_OWNERSHIP_BORROWED, NULL, NULL, false, {0}};
    offer_t failing = {REML_OWNERSHIP_TRANSFERRED, &cell, &releases, true, {0}};
    reml_embed_context_t* context = create();
    define(context, "lent", NULL, answer_pointer, &lent);
    define(context, "given", NULL, answer_pointer, &given);
    define(context, "null", NULL, answer_pointer, &null);
    define(context, "failing", NULL, answer_pointer, &failing);
    load(context,
        "extern \"C\" {\n  @ownership(\"borrowed\") fn lent() -> Ptr<Int>\n  @ownership(\"transferred\") fn given() -> "
        "Ptr<Int>\n"
        "  @ownership(\"borrowed\") fn null() -> Ptr<Int>\n  @ownership(\"transferred\") fn failing() -> Ptr<Int>\n}\n"
        "fn main() -> (Bool, Bool) = unsafe { defer println(\"x\"); let a = lent(); let b = given(); "
        "(null().is_null(), a.is_null()) }\n"
        "fn wrong() { unsafe { defer println(\"x\"); let _ = failing() } }\n");
    check_result(context, "(true, false)");
    CHECK_INT_EQ(reml_run(context, "wrong"), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(metrics(context).null_results, 2); /* wrapped, and answered */
    reml_embed_collect(context);
    CHECK_INT_EQ(releases.count, 2); /* what a failing host function answered is released, too */
    char* text = drain(context);
    check_return(text, "lent", "borrowed", ROW("borrowed", "none", "none", "wrap", "wrap_foreign_ptr"));
    check_return(text, "given", "transferred", ROW("transferred", "none", "dec_ref", "pending", "wrap_foreign_ptr"));
    check_return(text, "null", "borrowed", ROW("borrowed", "none", "none", "null", "none"));
    check_return(text, "failing", "transferred", ROW("transferred", "none", "none", "failure", "none"));
    reml_embed_free(text);
    reml_dispose_context(context);
    CHECK_INT_EQ(releases.count, 2);
}

TEST(test_ownership__an_answer_of_another_ownership_than_declared_is_refused) {
    int cell = 0;
    releases_t releases = {0};
    offer_t lent = {REML_OWNERSHIP_BORROWED, &cell, NULL, false, {0}};
    offer_t given = {REML_OWNERSHIP_TRANSFERRED, &cell, &releases, false, {0}};
    reml_embed_context_t* context = create();
    define(context, "lent", NULL, answer_pointer, &lent);
    define(context, "given", NULL, answer_pointer, &given);
    load(context,
        "@ownership(\"borrowed\") extern \"C\" fn given() -> Ptr<Int>\n"
        "@ownership(\"transferred\") extern \"C\" fn lent() -> Ptr<Int>\n"
        "fn one() { unsafe { let _ = given() } }\nfn two() { unsafe { defer println(\"\"); let _ = lent() } }\n");
    for (int i = 0; i < 2; i++) {
        CHECK_INT_EQ(reml_run(context, i ? "two" : "one"), REML_EMBED_STATUS_ERROR);
        const char* error = reml_last_error(context);
        CHECK(error && strncmp(error, "ffi.contract.ownership_mismatch: ", 33) == 0);
    }
    reml_embed_collect(context);
    CHECK_INT_EQ(releases.count, 1); /* refused, and not forgotten */
    reml_dispose_context(context);
}

static reml_embed_status_t keep_argument(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count_, reml_value_t* out, void* user) {
    (void)context, (void)count_, (void)out;
    *(reml_value_t*)user = arguments[0];
    return OK;
}

TEST(test_ownership__a_borrow_kept_past_return_is_refused) {
    reml_value_t kept;
    reml_embed_context_t* context = create();
    define(context, "Host.keep", "(text: Str) -> ()", keep_argument, &kept);
    load(context, "fn main() { Host.keep(\"abc\") }");
    run(context);
    reml_span_t span;
    CHECK_INT_EQ(reml_value_span(context, kept, &span), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_value_release(context, kept), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(violations(context), 2);
    reml_dispose_context(context);
}

TEST(test_ownership__arguments_of_a_failing_call_stay_the_callers) {
    reml_embed_context_t* context = create();
    load(context, "fn fails(text: Str) -> Int = panic(\"no: {text}\")\nfn pair(a: Str, b: Int) -> Int = b");
    reml_value_t text, result, arguments[2];
    CHECK_INT_EQ(reml_value_string(context, "x", 1, &text), OK);
    CHECK_INT_EQ(reml_function_call(context, function(context, "fails"), &text, 1, &result), REML_EMBED_STATUS_ERROR);
    arguments[0] = text, arguments[1] = text; /* of a wrong type: refused before it runs */
    CHECK_INT_EQ(reml_function_call(context, function(context, "pair"), arguments, 2, &result),
        REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(metrics(context).live, 1);
    CHECK_INT_EQ(reml_value_release(context, text), OK);
    CHECK_INT_EQ(metrics(context).live, 0);
    CHECK_INT_EQ(violations(context), 0);
    reml_dispose_context(context);
}

TEST(test_ownership__many_pointers_of_one_run_are_released_before_its_end) {
    int cell = 0;
    releases_t releases = {0};
    offer_t given = {REML_OWNERSHIP_TRANSFERRED, &cell, &releases, false, {0}};
    reml_embed_context_t* context = create();
    define(context, "given", NULL, answer_pointer, &given);
    load(context, "@ownership(\"transferred\") extern \"C\" fn given() -> Ptr<Int>\n"
                  "fn main() -> Int {\n  var n = 0\n  for i in 0..20000 { if unsafe { defer (); !given().is_null() } "
                  "then { n += 1 } }\n  n\n}");
    check_result(context, "20000");
    CHECK(releases.count > 0); /* collections within the run, settled when the next pointer came in */
    reml_embed_collect(context);
    CHECK_INT_EQ(releases.count, 20000);
    CHECK_INT_EQ(metrics(context).live, 0);
    reml_dispose_context(context);
    CHECK_INT_EQ(releases.count, 20000);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_ownership__borrow_and_release_return_to_the_starting_count),
        RUN(test_ownership__a_transferred_result_is_released_exactly_once),
        RUN(test_ownership__a_borrowed_result_must_not_be_released_nor_transferred),
        RUN(test_ownership__values_of_another_context_are_refused_and_recorded),
        RUN(test_ownership__a_use_after_the_context_is_gone_is_recorded_by_the_process),
        RUN(test_ownership__a_leak_of_a_transferred_value_is_reported_as_status_leak),
        RUN(test_ownership__a_script_reads_a_buffer_within_its_bounds_without_a_copy),
        RUN(test_ownership__a_borrowed_pointer_is_refused_after_its_owner_has_ended_it),
        RUN(test_ownership__a_loan_for_one_run_is_over_with_the_host_call),
        RUN(test_ownership__the_release_handler_runs_once_when_the_script_has_dropped_the_pointer),
        RUN(test_ownership__dispose_releases_what_the_script_still_has),
        RUN(test_ownership__a_pointer_taken_back_is_no_longer_the_scripts),
        RUN(test_ownership__release_now_runs_the_handler_and_ends_the_pointer),
        RUN(test_ownership__a_failing_wrap_leaves_the_pointer_to_its_caller),
        RUN(test_ownership__a_release_handler_may_look_and_not_run),
        RUN(test_ownership__records_of_host_functions_have_the_row_of_what_they_answer),
        RUN(test_ownership__an_answer_of_another_ownership_than_declared_is_refused),
        RUN(test_ownership__a_borrow_kept_past_return_is_refused),
        RUN(test_ownership__arguments_of_a_failing_call_stay_the_callers),
        RUN(test_ownership__many_pointers_of_one_run_are_released_before_its_end),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
