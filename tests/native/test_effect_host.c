/* reml_effects.h from C: opting in, handlers of the host, watching, and the records of handlers. */
#include "check.h"

#include "reml_audit.h"
#include "reml_capability.h"
#include "reml_effects.h"
#include "reml_value.h"

#include <stdlib.h>

#define OK REML_EMBED_STATUS_OK

static reml_embed_context_t* open_context(void) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    return context;
}

static reml_embed_status_t load(reml_embed_context_t* context, const char* source) {
    return reml_load_module(context, (const unsigned char*)source, strlen(source));
}

static bool error_has(reml_embed_context_t* context, const char* text) {
    const char* error = reml_last_error(context);
    bool found = error && strstr(error, text);
    if (!found) printf("  %s\n", error ? error : "(none)");
    return found;
}

static reml_embed_status_t length_of(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    unsigned* calls = user;
    reml_span_t text;
    (void)count;
    ++*calls;
    if (reml_value_span(context, arguments[0], &text) != OK) return REML_EMBED_STATUS_ERROR;
    *out = reml_value_int((int64_t)text.length);
    return OK;
}

static reml_embed_status_t doubled(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context, (void)user;
    out->i = 2 * arguments[0].i;
    return OK;
}

static void bind(reml_embed_context_t* context, unsigned* calls) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "host.length";
    function.call = length_of;
    function.user = calls;
    CHECK_INT_EQ(reml_host_define(context, &function), OK);
    function = (reml_host_function_t)REML_HOST_FUNCTION_INIT;
    function.name = "host.doubled";
    function.call_scalars = doubled;
    CHECK_INT_EQ(reml_host_define(context, &function), OK);
}

static const char source[] = "effect Ask { operation size: Str -> Int\n operation double: Int -> Int }\n"
                             "fn main() -> Int = do Ask.double(do Ask.size(\"abc\")) + do Ask.size(\"d\")";
static const reml_host_operation_t both[] = {{"size", "host.length"}, {"double", "host.doubled"}};

TEST(test_effect_host__operations_are_answered_by_bound_functions) {
    reml_embed_context_t* context = open_context();
    unsigned calls = 0;
    uint32_t handler = 0;
    bind(context, &calls);
    CHECK_INT_EQ(load(context, source), OK);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_ERROR);
    CHECK(error_has(context, "runtime.effect.unhandled"));
    CHECK_INT_EQ(reml_host_handle(context, "Ask", both, 2, &handler), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    reml_span_t text;
    CHECK_INT_EQ(reml_embed_result_text(context, &text), OK);
    CHECK(text.length == 1 && memcmp(text.data, "7", 1) == 0);
    CHECK_INT_EQ(calls, 2);
    CHECK_INT_EQ(reml_host_unhandle(context, handler), OK);
    CHECK_INT_EQ(reml_host_unhandle(context, handler), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_effect_host__what_does_not_fit_is_refused) {
    reml_embed_context_t* context = open_context();
    unsigned calls = 0;
    uint32_t handler = 0;
    bind(context, &calls);
    CHECK_INT_EQ(load(context, source), OK);
    CHECK_INT_EQ(reml_host_handle(context, "Ask", both, 1, &handler), REML_EMBED_STATUS_ERROR);
    CHECK(error_has(context, "effects.handler.unhandled_operation"));
    CHECK_INT_EQ(handler, 0);
    const reml_host_operation_t unbound[] = {{"size", "host.length"}, {"double", "host.nobody"}};
    CHECK_INT_EQ(reml_host_handle(context, "Ask", unbound, 2, &handler), REML_EMBED_STATUS_ERROR);
    CHECK(error_has(context, "no host function is bound as `host.nobody`"));
    const reml_host_operation_t strange[] = {both[0], both[1], {"more", "host.doubled"}};
    CHECK_INT_EQ(reml_host_handle(context, "Ask", strange, 3, &handler), REML_EMBED_STATUS_ERROR);
    CHECK(error_has(context, "effects.operation.unknown"));
    CHECK_INT_EQ(reml_host_handle(context, NULL, both, 2, &handler), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_host_handle(context, "", both, 2, &handler), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_host_handle(context, "Ask", NULL, 2, &handler), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_host_handle(context, "Ask", both, 2, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    const reml_host_operation_t unnamed[] = {{"", "host.length"}, {NULL, "host.doubled"}};
    CHECK_INT_EQ(reml_host_handle(context, "Ask", unnamed, 2, &handler), REML_EMBED_STATUS_INVALID_ARGUMENT);
    for (unsigned i = 0; i < REML_HOST_HANDLERS_MAX; i++)
        CHECK_INT_EQ(reml_host_handle(context, "Ask", both, 2, &handler), OK);
    CHECK_INT_EQ(reml_host_handle(context, "Ask", both, 2, &handler), REML_EMBED_STATUS_ERROR);
    CHECK(error_has(context, "effects.handler.depth_exceeded"));
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_host_unhandle(context, handler), REML_EMBED_STATUS_STALE);
}

static const char experimental[] = "@requires_capability(stage=\"experimental\")\n"
                                   "fn main() -> Int = handle do Console.log(\"x\") with handler Console {\n"
                                   "  operation log(t, resume) { resume(()) }\n"
                                   "  operation ask(t, resume) { resume(\"\") }\n"
                                   "  return v { 1 } }";

TEST(test_effect_host__opting_in) {
    reml_embed_context_t* context = open_context();
    reml_effects_options_t options = REML_EFFECTS_OPTIONS_INIT;
    options.flags = REML_EFFECTS_DEMAND_OPT_IN;
    CHECK_INT_EQ(reml_embed_set_effects(context, &options), OK);
    CHECK_INT_EQ(load(context, experimental), REML_EMBED_STATUS_ERROR);
    CHECK(error_has(context, "effects.stage.missing_opt_in"));
    options.capabilities = "foreign-call, console";
    CHECK_INT_EQ(reml_embed_set_effects(context, &options), OK);
    CHECK_INT_EQ(load(context, experimental), OK);
    options.capabilities = NULL;
    options.features = "algebraic-effects";
    CHECK_INT_EQ(reml_embed_set_effects(context, &options), OK);
    CHECK_INT_EQ(load(context, experimental), OK);
    options.features = NULL;
    options.flags |= REML_EFFECTS_ACKNOWLEDGE;
    CHECK_INT_EQ(reml_embed_set_effects(context, &options), OK);
    CHECK_INT_EQ(load(context, experimental), OK);
    CHECK_INT_EQ(reml_embed_set_effects(context, NULL), OK);
    CHECK_INT_EQ(load(context, experimental), OK);
    options.flags = 1u << 20;
    CHECK_INT_EQ(reml_embed_set_effects(context, &options), REML_EMBED_STATUS_INVALID_ARGUMENT);
    options.flags = 0;
    options.features = "\xFF";
    CHECK_INT_EQ(reml_embed_set_effects(context, &options), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

typedef struct seen {
    char text[8192];
    size_t length;
    unsigned events;
} seen_t;

static int32_t watch(const char* event, size_t length, void* user) {
    seen_t* seen = user;
    if (seen->length + length < sizeof seen->text) {
        memcpy(seen->text + seen->length, event, length);
        seen->length += length;
        seen->text[seen->length] = '\0';
    }
    seen->events++;
    return 1;
}

TEST(test_effect_host__watching_and_the_record) {
    static seen_t seen;
    memset(&seen, 0, sizeof seen);
    reml_embed_context_t* context = open_context();
    CHECK_INT_EQ(load(context, experimental), OK);
    CHECK_INT_EQ(reml_embed_observe_effects(context, watch, &seen), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(seen.events, 3);
    CHECK(strstr(seen.text,
        "\"effects\":{\"stage\":\"experimental\",\"before\":[\"io\"],\"handled\":[\"io\"],\"residual\":[],"
        "\"handler\":\"Console\"},\"message\":\"effects.contract.mismatch resolved\""));
    CHECK_INT_EQ(reml_embed_observe_effects(context, NULL, NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_INT_EQ(seen.events, 3);
    char* text = NULL;
    size_t length = 0;
    CHECK_INT_EQ(reml_embed_handlers(context, &text, &length), OK);
    CHECK(text && strstr(text, "\"event\":\"handle\""));
    reml_embed_free(text);
    CHECK_INT_EQ(reml_embed_handlers(context, NULL, &length), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_audit_drain(context, &text, &length), OK);
    const char* record = text ? strstr(text, "\"event.kind\":\"effects.handled\"") : NULL;
    CHECK(record != NULL);
    CHECK(record && !strstr(record + 1, "\"event.kind\":\"effects.handled\"")); /* the first application only */
    reml_embed_free(text);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

/* Every allocation may fail: what was there before goes on. */
TEST(test_effect_host__memory_may_run_out_anywhere) {
    for (uint64_t number = 1; number < 400; number++) {
        reml_embed_context_t* context = open_context();
        unsigned calls = 0;
        uint32_t handler = 0;
        reml_effects_options_t options = REML_EFFECTS_OPTIONS_INIT;
        options.features = "algebraic-effects";
        bind(context, &calls);
        CHECK_INT_EQ(reml_embed_fail_allocation(context, number, 0), OK);
        reml_embed_status_t set = reml_embed_set_effects(context, &options);
        reml_embed_status_t loaded = load(context, experimental);
        reml_embed_status_t handled = reml_host_handle(context, "Console", both, 0, &handler);
        static seen_t seen;
        memset(&seen, 0, sizeof seen);
        CHECK_INT_EQ(reml_embed_observe_effects(context, watch, &seen), OK);
        reml_embed_status_t ran = loaded == OK ? reml_run(context, "main") : loaded;
        CHECK_INT_EQ(reml_embed_fail_allocation(context, 0, 0), OK);
        CHECK(set == OK || set == REML_EMBED_STATUS_NO_MEMORY);
        CHECK(handled == REML_EMBED_STATUS_ERROR || handled == REML_EMBED_STATUS_NO_MEMORY);
        if (loaded != OK) CHECK_INT_EQ(load(context, experimental), OK);
        if (ran != OK) CHECK_INT_EQ(reml_run(context, "main"), OK);
        CHECK_INT_EQ(reml_dispose_context(context), OK);
    }
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_effect_host__operations_are_answered_by_bound_functions),
        RUN(test_effect_host__what_does_not_fit_is_refused),
        RUN(test_effect_host__opting_in),
        RUN(test_effect_host__watching_and_the_record),
        RUN(test_effect_host__memory_may_run_out_anywhere),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
