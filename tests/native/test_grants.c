/* What the scripts of a context may use: at load, at the call, from any thread (CONTRACTS 4; DESIGN 2.6; RELIABILITY T26). */
#include "check.h"

#include "reml_audit.h"
#include "reml_capability.h"
#include "reml_value.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK     REML_EMBED_STATUS_OK
#define DENIED REML_EMBED_STATUS_DENIED
#define ERROR  REML_EMBED_STATUS_ERROR

/* --- a host with one guarded function ----------------------------------------------------------------------------------- */

static _Atomic int sent;                /* what calls of the guarded function have done */
static reml_embed_context_t* to_revoke; /* what a call takes away from its own context before it returns */

static reml_embed_status_t send_it(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context;
    (void)user;
    int before = atomic_fetch_add(&sent, 1);
    out->i = arguments[0].i + 1;
    if (to_revoke && before == 2) reml_embed_revoke(to_revoke, "net.send");
    return OK;
}

static reml_embed_status_t define(reml_embed_context_t* context, const char* name, const char* signature,
    const char* capability, uint32_t stage, const char* effects) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = signature;
    function.call_scalars = send_it;
    function.capability = capability;
    function.stage = stage;
    function.effects = effects;
    return reml_host_define(context, &function);
}

static reml_capability_registry_t* registry; /* of the running test */

static void add(const char* descriptor) {
    reml_capability_spec_t spec = REML_CAPABILITY_SPEC_INIT;
    spec.kind = "io";
    spec.descriptor = descriptor;
    CHECK_INT_EQ(reml_capability_register(registry, &spec, NULL), OK);
}

/* A context on a registry of its own with `net.send` (beta; io, net), and a host function Net.send that needs it. */
static reml_embed_context_t* open_with(const char* grants, uint32_t flags) {
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_context_t* context = NULL;
    reml_capability_registry_create(NULL, &registry);
    add("{\"id\":\"net.send\",\"stage\":\"beta\",\"effect_scope\":[\"io\",\"net\"]}");
    options.registry = registry;
    options.granted_capabilities = grants;
    options.flags = flags;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK);
    CHECK_INT_EQ(define(context, "Net.send", "(n: Int) -> Int", "net.send", REML_EMBED_STAGE_BETA, "net"), OK);
    atomic_store(&sent, 0);
    to_revoke = NULL;
    char* text;
    size_t length;
    reml_embed_audit_drain(context, &text, &length);
    reml_embed_free(text);
    return context;
}
static void close_with(reml_embed_context_t* context) {
    reml_capability_registry_dispose(registry); /* before its context: that keeps it alive */
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

static reml_embed_status_t load(reml_embed_context_t* context, const char* source) {
    return reml_load_module(context, (const unsigned char*)source, strlen(source));
}
static bool said(reml_embed_context_t* context, const char* text) {
    const char* error = reml_last_error(context);
    bool found = error && strstr(error, text);
    if (!found) printf("  last error: %s\n", error ? error : "(none)");
    return found;
}
static int count_in(const char* text, const char* part) {
    int count = 0;
    for (const char* at = text; at && (at = strstr(at, part)); at++) count++;
    return count;
}
static int diagnostics_with(reml_embed_context_t* context, const char* code) {
    reml_span_t json = {0};
    char text[96];
    reml_embed_diagnostics_json(context, &json);
    snprintf(text, sizeof text, "\"code\":\"%s\"", code);
    char* copy = calloc(1, json.length + 1);
    memcpy(copy, json.data, json.length);
    int count = count_in(copy, text);
    free(copy);
    return count;
}
/* The records so far, as text; owned. */
static char* drained(reml_embed_context_t* context) {
    char* text = NULL;
    size_t length;
    reml_embed_audit_drain(context, &text, &length);
    return text ? text : calloc(1, 1);
}

/* --- at load --------------------------------------------------------------------------------------------------------------- */

static const char one_use[] = "fn main() -> Int =\n  Net.send(1)\n";

TEST(test_grants__without_a_list_every_enabled_capability_may_be_used) {
    reml_embed_context_t* context = open_with(NULL, 0);
    CHECK_INT_EQ(load(context, one_use), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(sent, 1);
    CHECK_INT_EQ(reml_embed_granted(context, "net.send"), 1);
    close_with(context);
}

TEST(test_grants__what_is_not_granted_is_refused_at_the_use_site) {
    reml_embed_context_t* context = open_with("gc, async", 0);
    CHECK_INT_EQ(load(context, one_use), ERROR);
    CHECK(said(context,
        "2:3: target.capability.unknown: `Net.send` needs capability net.send, which the host does not grant"));
    reml_span_t json = {0};
    reml_embed_diagnostics_json(context, &json); /* the whole call */
    CHECK(strstr(json.data, "\"start_line\":2") || strstr(json.data, "\"line\":2"));
    CHECK_INT_EQ(reml_run(context, "main"), ERROR); /* nothing was loaded */
    CHECK_INT_EQ(sent, 0);
    CHECK_INT_EQ(reml_embed_granted(context, "net.send"), 0);
    close_with(context);
}

TEST(test_grants__each_use_has_its_diagnostic_and_each_capability_one_record) {
    reml_embed_context_t* context = open_with("", 0);
    CHECK_INT_EQ(load(context, "fn a() -> Int = Net.send(1) + Net.send(2)\nfn b(x: Int) -> Int = x |> Net.send\n"
                               "fn c() -> List<Int> = [1, 2].map(Net.send)\n"),
        ERROR);
    CHECK_INT_EQ(diagnostics_with(context, "target.capability.unknown"), 4);
    char* text = drained(context);
    CHECK_INT_EQ(count_in(text, "\"event.kind\":\"capability_check\""), 1);
    CHECK(strstr(text, "\"capability.error.code\":\"target.capability.unknown\"") != NULL);
    CHECK(strstr(text, "\"capability.result\":\"error\"") != NULL);
    CHECK(strstr(text, "\"script.column\":17,\"script.line\":1,\"script.symbol\":\"Net.send\"") != NULL);
    free(text);
    close_with(context);
}

TEST(test_grants__a_capability_that_nobody_registered_is_unknown) {
    reml_embed_context_t* context = open_with("no.such", 0);
    CHECK_INT_EQ(define(context, "Odd.thing", "(n: Int) -> Int", "no.such", 0, NULL), OK);
    CHECK_INT_EQ(load(context, "fn main() -> Int = Odd.thing(1)"), ERROR);
    CHECK(said(context,
        "1:20: runtime.capability.unknown: `Odd.thing` needs capability no.such, which nobody has registered"));
    close_with(context);
}

TEST(test_grants__a_stage_that_is_too_low_is_a_stage_mismatch) {
    reml_embed_context_t* context = open_with(NULL, 0);
    CHECK_INT_EQ(define(context, "Net.safe", "(n: Int) -> Int", "net.send", REML_EMBED_STAGE_STABLE, NULL), OK);
    CHECK_INT_EQ(load(context, "fn main() -> Int = Net.safe(1)"), ERROR);
    CHECK(said(context, "1:20: effects.contract.stage_mismatch: "));
    CHECK_INT_EQ(reml_capability_set_stage(registry, "net.send", "stable", NULL), OK);
    CHECK_INT_EQ(load(context, "fn main() -> Int = Net.safe(1)"), OK);
    CHECK_INT_EQ(define(context, "Net.exact", "(n: Int) -> Int", "net.send",
                     REML_EMBED_STAGE_BETA | REML_CAPABILITY_EXACT, NULL),
        OK);
    CHECK_INT_EQ(load(context, "fn other() -> Int = Net.exact(1)"), ERROR);
    CHECK(said(context, "effects.contract.stage_mismatch"));
    close_with(context);
}

TEST(test_grants__effects_beyond_the_scope_are_an_effect_scope_mismatch) {
    reml_embed_context_t* context = open_with(NULL, 0);
    CHECK_INT_EQ(define(context, "Net.wide", "(n: Int) -> Int", "net.send", 0, "net,gpu"), OK);
    CHECK_INT_EQ(load(context, "fn main() -> Int = Net.wide(1)"), ERROR);
    CHECK(said(context, "1:20: effects.contract.effect_scope_mismatch: "));
    char* text = drained(context);
    CHECK(strstr(text, "\"effect.missing_effects\":[\"gpu\"]") != NULL);
    free(text);
    close_with(context);
}

TEST(test_grants__a_disabled_capability_is_not_granted_to_anybody) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(reml_capability_disable(registry, "net.send", NULL), OK);
    CHECK_INT_EQ(load(context, one_use), ERROR);
    CHECK(said(context, "target.capability.unknown"));
    CHECK_INT_EQ(reml_capability_enable(registry, "net.send", NULL, NULL), OK);
    CHECK_INT_EQ(load(context, one_use), OK);
    close_with(context);
}

TEST(test_grants__loading_leaves_one_capability_check_record_for_each_capability) {
    reml_embed_context_t* context = open_with(NULL, 0);
    CHECK_INT_EQ(define(context, "Net.twice", "(n: Int) -> Int", "gc", 0, NULL), OK);
    CHECK_INT_EQ(load(context, "fn main() -> Int = Net.send(1) + Net.send(2) + Net.twice(3)"), OK);
    for (int i = 0; i < 5; i++) CHECK_INT_EQ(reml_run(context, "main"), OK);
    char* text = drained(context);
    CHECK_INT_EQ(count_in(text, "\"event.kind\":\"capability_check\""), 2);
    CHECK_INT_EQ(count_in(text, "\"category\":\"capability\",\"envelope\":{"), 2);
    CHECK(strstr(text, "\"effect.required_effects\":[\"net\"],\"effect.stage.actual\":\"beta\",\"effect.stage."
                       "required\":\"at_least:beta\"") != NULL);
    free(text);
    close_with(context);
}

TEST(test_grants__functions_without_needs_are_not_looked_at) {
    reml_embed_context_t* context = open_with("", 0);
    CHECK_INT_EQ(define(context, "Free.send", "(n: Int) -> Int", NULL, 0, NULL), OK);
    CHECK_INT_EQ(load(context, "fn main() -> Int = Free.send(1)"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_embed_revoke(context, "anything"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    char* text = drained(context);
    CHECK_INT_EQ(count_in(text, "capability_check"), 0);
    free(text);
    close_with(context);
}

TEST(test_grants__experimental_ids_need_a_name_where_that_is_asked_for) {
    reml_embed_context_t* context = open_with(NULL, REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL);
    add("{\"id\":\"odd\",\"stage\":\"experimental\"}");
    CHECK_INT_EQ(define(context, "Odd.thing", "(n: Int) -> Int", "odd", 0, NULL), OK);
    static const char source[] = "fn main() -> Int = Odd.thing(1)";
    CHECK_INT_EQ(load(context, source), ERROR);
    CHECK(said(context, "1:20: effects.stage.missing_opt_in: `Odd.thing` needs capability odd, which is experimental"));
    CHECK_INT_EQ(reml_embed_grant(context, "odd"), OK);
    CHECK_INT_EQ(load(context, source), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(load(context, one_use), OK); /* beta needs nothing of the kind */
    close_with(context);
    context = open_with(NULL, REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL);
    add("{\"id\":\"odd\",\"stage\":\"experimental\"}");
    CHECK_INT_EQ(define(context, "Odd.thing", "(n: Int) -> Int", "odd", 0, NULL), OK);
    CHECK_INT_EQ(reml_capability_enable(registry, "odd", NULL, NULL), OK);
    CHECK_INT_EQ(load(context, source), OK);
    close_with(context);
}

/* --- at the call ------------------------------------------------------------------------------------------------------------ */

TEST(test_grants__a_call_after_revoke_is_denied_without_side_effect) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, one_use), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
    free(drained(context));
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK(said(
        context, "runtime.capability.denied: `Net.send` needs capability net.send, which the host does not grant"));
    CHECK_INT_EQ(sent, 1);
    char* text = drained(context);
    CHECK_INT_EQ(count_in(text, "\"event.kind\":\"capability_check\""), 1);
    CHECK(strstr(text, "\"capability.error.code\":\"runtime.capability.denied\"") != NULL);
    CHECK(strstr(text, "\"script.column\":3,\"script.line\":2,\"script.symbol\":\"Net.send\"") != NULL);
    CHECK_INT_EQ(count_in(text, "\"event.kind\":\"ffi.call\""), 0); /* it has not crossed */
    free(text);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED); /* and again */
    CHECK_INT_EQ(reml_embed_grant(context, "net.send"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(sent, 2);
    close_with(context);
}

TEST(test_grants__revoke_takes_from_a_context_without_a_list_what_it_names) {
    reml_embed_context_t* context = open_with(NULL, 0);
    CHECK_INT_EQ(define(context, "Gc.send", "(n: Int) -> Int", "gc", 0, NULL), OK);
    CHECK_INT_EQ(load(context, "fn main() -> Int = Net.send(1)\nfn other() -> Int = Gc.send(1)"), OK);
    CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(reml_run(context, "other"), OK);
    close_with(context);
}

TEST(test_grants__changes_of_the_registry_count_at_the_next_call) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, one_use), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_capability_set_stage(registry, "net.send", "experimental", NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(reml_capability_set_stage(registry, "net.send", "stable", NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_capability_disable(registry, "net.send", NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(sent, 2);
    close_with(context);
}

TEST(test_grants__a_stored_function_reference_is_checked_when_it_is_used) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(
        load(context, "let stored = Net.send\nfn main() -> Int = stored(1)\nfn take() -> fn(Int) -> Int = stored"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(sent, 1);
    close_with(context);
}

TEST(test_grants__a_closure_passed_out_is_checked_when_the_host_calls_it) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, "fn make(n: Int) -> fn(Int) -> Int = |x| Net.send(x + n)"), OK);
    reml_function_t make, closure;
    reml_value_t argument = reml_value_int(10), value, result;
    CHECK_INT_EQ(reml_function_find(context, "make", 4, NULL, 0, &make), OK);
    CHECK_INT_EQ(reml_function_call(context, make, &argument, 1, &value), OK);
    CHECK_INT_EQ(reml_function_from_value(context, value, &closure), OK);
    CHECK_INT_EQ(reml_function_call(context, closure, &argument, 1, &result), OK);
    CHECK_INT_EQ((int64_t)result.bits, 21);
    CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
    CHECK_INT_EQ(reml_function_call(context, closure, &argument, 1, &result), DENIED);
    CHECK_INT_EQ(sent, 1);
    reml_value_release(context, value);
    close_with(context);
}

TEST(test_grants__a_handle_of_the_host_function_itself_is_checked) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, one_use), OK);
    reml_function_t function;
    reml_scalar_t number = {.i = 1}, out;
    if (CHECK_INT_EQ(reml_function_find(context, "Net.send", 8, NULL, 0, &function), OK)) {
        CHECK_INT_EQ(reml_function_call_scalars(context, function, &number, 1, &out), OK);
        CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
        CHECK_INT_EQ(reml_function_call_scalars(context, function, &number, 1, &out), DENIED);
        CHECK_INT_EQ(sent, 1);
    }
    close_with(context);
}

TEST(test_grants__a_batch_stops_at_the_element_where_it_was_revoked) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, "fn each(x: Int) -> Int = Net.send(x)"), OK);
    reml_function_t function;
    CHECK_INT_EQ(reml_function_find(context, "each", 4, NULL, 0, &function), OK);
    int64_t in[10] = {0}, out[10] = {0};
    reml_column_t input = {REML_COLUMN_I64, 0, in, 8}, output = {REML_COLUMN_I64, 0, out, 8};
    size_t done;
    to_revoke = context; /* by the third call */
    CHECK_INT_EQ(reml_function_map(context, function, &input, 1, &output, 10, &done), DENIED);
    CHECK_INT_EQ(done, 3);
    CHECK_INT_EQ(sent, 3);
    CHECK(out[2] == 1 && out[3] == 0);
    close_with(context);
}

TEST(test_grants__a_callback_that_revokes_stops_the_run_that_called_it) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, "fn main() -> Int {\n  var n = 0\n  while n < 100 { n := Net.send(n) }\n  n\n}"), OK);
    to_revoke = context;
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(sent, 3);
    close_with(context);
}

static void* revoke_soon(void* context) {
    while (atomic_load(&sent) < 1000) usleep(100);
    CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
    return NULL;
}

TEST(test_grants__another_thread_may_revoke_during_a_run) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, "fn main() -> Int {\n  var n = 0\n  loop { n := Net.send(n) }\n}"), OK);
    pthread_t thread;
    pthread_create(&thread, NULL, revoke_soon, context);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    int before = atomic_load(&sent);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(sent, before);
    pthread_join(thread, NULL);
    close_with(context);
}

TEST(test_grants__what_is_bound_after_load_is_checked_at_its_first_call) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, "fn late(n: Int) -> Int\nfn main() -> Int = late(1)"), OK);
    CHECK_INT_EQ(define(context, "late", NULL, "net.send", REML_EMBED_STAGE_STABLE, NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(sent, 0);
    CHECK_INT_EQ(define(context, "late", NULL, "net.send", 0, "net"), OK); /* replaced: with other needs */
    free(drained(context));
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    char* text = drained(context);
    CHECK_INT_EQ(count_in(text, "\"event.kind\":\"capability_check\""), 1);
    CHECK(strstr(text, "\"capability.result\":\"success\"") != NULL);
    free(text);
    close_with(context);
}

TEST(test_grants__contexts_know_nothing_of_each_others_grants) {
    reml_embed_context_t* first = open_with("net.send", 0);
    reml_capability_registry_t* of_first = registry;
    reml_embed_context_t* second = open_with("net.send", 0);
    CHECK_INT_EQ(load(first, one_use), OK);
    CHECK_INT_EQ(load(second, one_use), OK);
    CHECK_INT_EQ(reml_embed_revoke(first, "net.send"), OK);
    CHECK_INT_EQ(reml_run(first, "main"), DENIED);
    CHECK_INT_EQ(reml_run(second, "main"), OK);
    CHECK_INT_EQ(reml_capability_disable(registry, "net.send", NULL), OK);
    CHECK_INT_EQ(reml_run(second, "main"), DENIED);
    CHECK_INT_EQ(reml_embed_grant(first, "net.send"), OK);
    CHECK_INT_EQ(reml_run(first, "main"), OK);
    close_with(second);
    registry = of_first;
    close_with(first);
}

/* --- effects -------------------------------------------------------------------------------------------------------------------- */

static const char mail[] = "module Mail\n"
                           "@requires_capability(id = \"net.send\", stage = \"beta\")\n"
                           "pub effect Post : net { operation post : Int -> Int }\n";
static const char mailer[] = "use Mail.{Post}\n"
                             "fn main() -> Int = handle perform Post.post(1) with handler Post { operation post(n, "
                             "resume) { resume(n + 1) } return r { r } }\n";

TEST(test_grants__performing_an_effect_needs_the_capability_that_it_names) {
    reml_embed_context_t* context = open_with("net.send", 0);
    CHECK_INT_EQ(load(context, mail), OK);
    free(drained(context));
    if (!CHECK_INT_EQ(load(context, mailer), OK)) printf("  %s\n", reml_last_error(context));
    char* text = drained(context);
    CHECK_INT_EQ(count_in(text, "\"event.kind\":\"capability_check\""), 1);
    free(text);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK(said(context, "runtime.capability.denied: `Post` needs capability net.send, which the host does not grant"));
    CHECK_INT_EQ(load(context, mailer), ERROR);
    CHECK(said(
        context, "2:27: target.capability.unknown: `Post` needs capability net.send, which the host does not grant"));
    CHECK_INT_EQ(reml_embed_grant(context, "net.send"), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_capability_set_stage(registry, "net.send", "experimental", NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    CHECK_INT_EQ(load(context, mailer), ERROR);
    CHECK(said(context, "effects.contract.stage_mismatch"));
    close_with(context);
}

TEST(test_grants__a_failed_load_leaves_no_guard_for_the_next_module_behind) {
    reml_embed_context_t* context = open_with("net.send", 0);
    static const char both[] = "@requires_capability(id = \"net.send\") effect A : io { operation a : Int -> Int }\n"
                               "fn main() -> Int = handle perform A.a(1) with handler A { operation a(n, resume) { "
                               "resume(n) } return r { r } }\n";
    static const char free_one[] = "effect A : io { operation a : Int -> Int }\n"
                                   "fn main() -> Int = handle perform A.a(1) with handler A { operation a(n, resume) { "
                                   "resume(n) } return r { r } }\n";
    char broken[512];
    snprintf(broken, sizeof broken, "%sfn wrong() -> Int = \"x\"\n", both);
    CHECK_INT_EQ(load(context, broken), ERROR);
    CHECK_INT_EQ(reml_embed_revoke(context, "net.send"), OK);
    CHECK_INT_EQ(load(context, free_one), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    close_with(context);
}

TEST(test_grants__the_console_needs_its_capability) {
    reml_embed_context_t* context = open_with("gc", 0);
    static const char source[] = "fn main() -> Str = perform Console.ask(\"?\")";
    CHECK_INT_EQ(load(context, source), ERROR);
    CHECK(said(context, "1:20: target.capability.unknown: `Console` needs capability console"));
    CHECK_INT_EQ(load(context, "fn main() -> Str = \"no console\""), OK);
    CHECK_INT_EQ(reml_embed_grant(context, "console"), OK);
    CHECK_INT_EQ(load(context, source), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_capability_disable(registry, "console", NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), DENIED);
    close_with(context);
}

/* --- misuse ------------------------------------------------------------------------------------------------------------------- */

TEST(test_grants__misuse_is_refused_with_a_status) {
    reml_embed_context_t* context = open_with("net.send", 0);
    static const char* const wrong[] = {NULL, "", "a,b", " a", "a ", "\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_INT_EQ(reml_embed_grant(context, wrong[i]), REML_EMBED_STATUS_INVALID_ARGUMENT);
        CHECK_INT_EQ(reml_embed_revoke(context, wrong[i]), REML_EMBED_STATUS_INVALID_ARGUMENT);
    }
    CHECK_INT_EQ(reml_embed_grant(NULL, "a"), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_grant((reml_embed_context_t*)0x1234, "a"), REML_EMBED_STATUS_INVALID_HANDLE);
    CHECK_INT_EQ(reml_embed_granted(NULL, "a"), 0);
    CHECK_INT_EQ(reml_embed_granted(context, NULL), 0);
    /* A need that is not whole. */
    CHECK_INT_EQ(define(context, "x", "() -> Int", "", 0, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(define(context, "x", "() -> Int", NULL, 1, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(define(context, "x", "() -> Int", NULL, 0, "io"), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(define(context, "x", "() -> Int", "a", 3, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(define(context, "x", "() -> Int", "\xff", 0, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    /* A struct of a host that was compiled before there were needs. */
    reml_host_function_t old = REML_HOST_FUNCTION_INIT;
    old.struct_size = (uint32_t)offsetof(reml_host_function_t, capability);
    old.name = "old";
    old.signature = "(n: Int) -> Int";
    old.call_scalars = send_it;
    old.capability = (const char*)1; /* not ours to read */
    CHECK_INT_EQ(reml_host_define(context, &old), OK);
    old.struct_size -= 8;
    CHECK_INT_EQ(reml_host_define(context, &old), REML_EMBED_STATUS_INVALID_ARGUMENT);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(
            reml_embed_grant(context, "a") == REML_EMBED_STATUS_FORKED && reml_dispose_context(context) == OK ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_INT_EQ(status, 0);
    close_with(context);
    CHECK_INT_EQ(reml_embed_grant(context, "a"), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_embed_revoke(context, "a"), REML_EMBED_STATUS_STALE);
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.granted_capabilities = "\xff";
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
}

TEST(test_create__its_own_record_names_the_command_of_the_options) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    char* text;
    size_t length;
    reml_embed_audit_drain(NULL, &text, &length);
    reml_embed_free(text);
    options.audit_command = "\"cli.command\":\"run\",\"cli.run_id\":\"7f1e6f0c-5a9f-4f6e-b8ad-6f5f1b1f2c3d\"";
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_embed_audit_drain(NULL, &text, &length), OK);
    int lines = 0;
    for (char* line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        lines++;
        CHECK(strstr(line, "\"cli.command\":\"run\",\"cli.run_id\":\"7f1e6f0c-5a9f-4f6e-b8ad-6f5f1b1f2c3d\""));
    }
    CHECK_INT_EQ(lines, 2);
    reml_embed_free(text);
    options.audit_command = "\"command\":\"run\"";
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_STR_EQ(reml_embed_last_create_error(), "invalid argument: options.audit_command");
    CHECK(!context);
}

/* --- checks that a host makes itself --------------------------------------------------------------------------------------------- */

static void* verify_elsewhere(void* context) {
    reml_capability_request_t request = REML_CAPABILITY_REQUEST_INIT;
    request.id = "gc";
    request.context = context;
    int32_t stage;
    return (void*)(intptr_t)reml_capability_verify_stage(registry, &request, &stage, NULL);
}

TEST(test_grants__a_check_with_a_context_leaves_its_record_there) {
    reml_embed_context_t* context = open_with(NULL, 0);
    reml_capability_request_t request = REML_CAPABILITY_REQUEST_INIT;
    reml_capability_error_t error = REML_CAPABILITY_ERROR_INIT;
    reml_capability_handle_t* handle;
    request.context = context;
    request.id = "async.distributed";
    request.requirement = "at_least:beta";
    request.effects = "io.async,network";
    CHECK_INT_EQ(reml_capability_verify_capability_stage(registry, &request, &handle, &error), ERROR);
    CHECK_STR_EQ(error.code, "capability.stage.mismatch");
    reml_capability_error_release(&error);
    char* text = drained(context);
    const char* metadata = strstr(text, "\"metadata\":{");
    CHECK_INT_EQ(count_in(text, "\n"), 1);
    CHECK(metadata &&
          strstr(metadata,
              "{\"audit.channel\":\"runtime\",\"audit.policy.version\":\"rust.poc.audit.v1\",\"capability.error.code\":"
              "\"capability.stage.mismatch\",\"capability.error.message\":\"stage experimental does not satisfy "
              "at_least:beta\","
              "\"capability.id\":\"async.distributed\",\"capability.ids\":[\"async.distributed\"],\"capability."
              "provider\":\"core\","
              "\"capability.provider.kind\":\"core\",\"capability.result\":\"error\",\"effect.actual_capabilities\":[{"
              "\"id\":"
              "\"async.distributed\",\"stage\":\"experimental\"}],\"effect.actual_effects\":[\"io.async\",\"network\","
              "\"security\"],"
              "\"effect.capability\":\"async.distributed\",\"effect.capability_descriptor\":{\"id\":\"async."
              "distributed\",\"stage\":"
              "\"experimental\"},\"effect.manifest_path\":null,\"effect.provider\":\"core\",\"effect.required_"
              "capabilities\":[{\"id\":"
              "\"async.distributed\",\"stage\":\"at_least:beta\"}],\"effect.required_effects\":[\"io.async\","
              "\"network\"],"
              "\"effect.stage.actual\":\"experimental\",\"effect.stage.required\":\"at_least:beta\",\"event.domain\":"
              "\"runtime.capability\",\"event.kind\":\"capability_check\",\"schema.version\":\"3.0.0-alpha\"}}}"));
    CHECK(strstr(text, ",\"category\":\"capability\",\"envelope\":{\"audit_id\":\"") != NULL);
    CHECK(strstr(text, "\",\"capability\":\"async.distributed\",\"metadata\":{") != NULL);
    free(text);
    request.requirement = NULL;
    CHECK_INT_EQ(reml_capability_verify_capability_stage(registry, &request, &handle, &error), OK);
    reml_capability_handle_release(handle);
    text = drained(context);
    CHECK(strstr(text, "\"capability.result\":\"success\"") && !strstr(text, "capability.error"));
    free(text);
    pthread_t thread;
    void* answer;
    pthread_create(&thread, NULL, verify_elsewhere, context);
    pthread_join(thread, &answer);
    CHECK_INT_EQ((intptr_t)answer, REML_EMBED_STATUS_WRONG_THREAD);
    reml_embed_context_t* gone = context;
    close_with(context);
    CHECK_INT_EQ(reml_capability_registry_create(NULL, &registry), OK);
    CHECK_INT_EQ((intptr_t)verify_elsewhere(gone), REML_EMBED_STATUS_STALE);
    reml_capability_registry_dispose(registry);
}

static int32_t refuse_lines(const char* line, size_t length, void* user) {
    (void)line;
    (void)length;
    return *(int*)user;
}

TEST(test_grants__a_check_whose_record_cannot_be_kept_does_not_pass) {
    reml_embed_context_t* context = open_with(NULL, 0);
    int refusing = 0;
    CHECK_INT_EQ(reml_embed_set_audit_sink(context, refuse_lines, &refusing, NULL), OK);
    refusing = 1;
    reml_capability_request_t request = REML_CAPABILITY_REQUEST_INIT;
    reml_capability_handle_t* handle = (void*)1;
    request.context = context;
    request.id = "gc";
    CHECK_INT_EQ(reml_capability_verify_capability_stage(registry, &request, &handle, NULL),
        REML_EMBED_STATUS_AUDIT_UNAVAILABLE);
    CHECK(handle == NULL);
    refusing = 0;
    CHECK_INT_EQ(reml_capability_verify_capability_stage(registry, &request, &handle, NULL), OK);
    reml_capability_handle_release(handle);
    close_with(context);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_grants__without_a_list_every_enabled_capability_may_be_used),
        RUN(test_grants__what_is_not_granted_is_refused_at_the_use_site),
        RUN(test_grants__each_use_has_its_diagnostic_and_each_capability_one_record),
        RUN(test_grants__a_capability_that_nobody_registered_is_unknown),
        RUN(test_grants__a_stage_that_is_too_low_is_a_stage_mismatch),
        RUN(test_grants__effects_beyond_the_scope_are_an_effect_scope_mismatch),
        RUN(test_grants__a_disabled_capability_is_not_granted_to_anybody),
        RUN(test_grants__loading_leaves_one_capability_check_record_for_each_capability),
        RUN(test_grants__functions_without_needs_are_not_looked_at),
        RUN(test_grants__experimental_ids_need_a_name_where_that_is_asked_for),
        RUN(test_grants__a_call_after_revoke_is_denied_without_side_effect),
        RUN(test_grants__revoke_takes_from_a_context_without_a_list_what_it_names),
        RUN(test_grants__changes_of_the_registry_count_at_the_next_call),
        RUN(test_grants__a_stored_function_reference_is_checked_when_it_is_used),
        RUN(test_grants__a_closure_passed_out_is_checked_when_the_host_calls_it),
        RUN(test_grants__a_handle_of_the_host_function_itself_is_checked),
        RUN(test_grants__a_batch_stops_at_the_element_where_it_was_revoked),
        RUN(test_grants__a_callback_that_revokes_stops_the_run_that_called_it),
        RUN(test_grants__another_thread_may_revoke_during_a_run),
        RUN(test_grants__what_is_bound_after_load_is_checked_at_its_first_call),
        RUN(test_grants__contexts_know_nothing_of_each_others_grants),
        RUN(test_grants__performing_an_effect_needs_the_capability_that_it_names),
        RUN(test_grants__a_failed_load_leaves_no_guard_for_the_next_module_behind),
        RUN(test_grants__the_console_needs_its_capability),
        RUN(test_grants__misuse_is_refused_with_a_status),
        RUN(test_grants__a_check_with_a_context_leaves_its_record_there),
        RUN(test_grants__a_check_whose_record_cannot_be_kept_does_not_pass),
        RUN(test_create__its_own_record_names_the_command_of_the_options),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
