/* What the checker demanded of types, for hosts that ask (contract reference 9). Only public headers. */
#include "check.h"

#include "reml_embed.h"

#include <stdlib.h>

#define OK REML_EMBED_STATUS_OK

static reml_embed_status_t load(reml_embed_context_t* context, const char* source, uint32_t flags) {
    reml_embed_source_t given = REML_EMBED_SOURCE_INIT;
    given.text = source;
    given.text_length = strlen(source);
    given.flags = flags;
    return reml_embed_load(context, &given);
}

static reml_embed_context_t* create(void) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    return context;
}

/* The graph of a source as NUL-terminated text; the caller frees it. */
static char* graph_of(const char* source, reml_embed_status_t expected) {
    reml_embed_context_t* context = create();
    reml_span_t json = {0};
    CHECK_INT_EQ(load(context, source, REML_EMBED_SOURCE_CHECK_ONLY | REML_EMBED_SOURCE_TELEMETRY), expected);
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), OK);
    char* text = calloc(1, json.length + 1);
    if (text && json.data) memcpy(text, json.data, json.length);
    reml_dispose_context(context);
    return text;
}

static void check_has(const char* text, const char* part) {
    if (!strstr(text, part)) printf("not in %s\n%s\n", text, part);
    CHECK(strstr(text, part) != NULL);
}

static const char chain[] =
    "module Chain\nfn add_one(x) = x + 1\nfn double(x) = add_one(x) * 2\nfn main() -> Int = double(20)\n";

TEST(test_telemetry__without_asking_there_is_no_graph) {
    reml_embed_context_t* context = create();
    reml_span_t json = {NULL, 1};
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), REML_EMBED_STATUS_ERROR);
    CHECK(json.data == NULL && json.length == 0);
    CHECK_INT_EQ(load(context, chain, 0), OK);
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "constraint graph") != NULL);
    CHECK_INT_EQ(reml_embed_constraints_json(context, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_dispose_context(context);
}

TEST(test_telemetry__the_graph_belongs_to_the_last_load) {
    reml_embed_context_t* context = create();
    reml_span_t json = {0};
    CHECK_INT_EQ(load(context, chain, REML_EMBED_SOURCE_TELEMETRY), OK);
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK); /* a run does not take it away */
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), OK);
    CHECK(json.length > 0);
    CHECK_INT_EQ(load(context, "module Other\nfn f() -> Int = 1\n", 0), OK);
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(load(context, "module Broken\nfn f( = ", REML_EMBED_SOURCE_TELEMETRY), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), REML_EMBED_STATUS_ERROR); /* no tree, no graph */
    reml_dispose_context(context);
}

TEST(test_telemetry__nobody_pays_who_does_not_ask) {
    reml_embed_context_t *asked = create(), *plain = create();
    reml_embed_memory_t a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    CHECK_INT_EQ(load(asked, chain, REML_EMBED_SOURCE_CHECK_ONLY | REML_EMBED_SOURCE_TELEMETRY), OK);
    CHECK_INT_EQ(load(asked, chain, REML_EMBED_SOURCE_CHECK_ONLY), OK); /* gives the graph back */
    CHECK_INT_EQ(load(plain, chain, REML_EMBED_SOURCE_CHECK_ONLY), OK);
    CHECK_INT_EQ(load(plain, chain, REML_EMBED_SOURCE_CHECK_ONLY), OK);
    reml_embed_memory(asked, &a);
    reml_embed_memory(plain, &b);
    CHECK_INT_EQ(a.live_bytes, b.live_bytes);
    reml_dispose_context(asked);
    reml_dispose_context(plain);
}

TEST(test_telemetry__functions_constraints_and_counts) {
    char* text = graph_of(chain, OK);
    check_has(text,
        "{\"module\":\"Chain\",\"functions\":[{\"name\":\"add_one\",\"param_types\":[\"T\"],\"return_type\":\"T\","
        "\"typed_exprs\":2,\"constraints\":3,\"unresolved_identifiers\":0}");
    check_has(text, "\"binary.operands\":2");
    check_has(text, "\"call.arity\":2");
    check_has(text, "\"call_sites\":2,\"binary_expressions\":2,");
    check_has(text, "\"token_count\":34");
    free(text);
}

TEST(test_telemetry__variables_are_named_after_what_they_stand_for) {
    char* text = graph_of(chain, OK);
    check_has(text, "{\"label\":\"add_one(x): T\",\"kind\":\"type\"}");
    check_has(text, "{\"label\":\"add_one(x)@3: T\",\"kind\":\"type\"}");
    check_has(text, "{\"label\":\"double(): T\",\"kind\":\"type\"}");
    check_has(text, "{\"label\":\"impl:Add\",\"kind\":\"implementation\"}");
    free(text);
}

TEST(test_telemetry__the_same_input_gives_the_same_graph) {
    char *one = graph_of(chain, OK), *two = graph_of(chain, OK);
    CHECK(strcmp(one, two) == 0);
    free(one);
    free(two);
}

#define SHOW                                                                                                           \
    "module M\ntrait Show { fn show(self) -> Str }\ntype Point = { x: Int }\nimpl Show for Point { fn show(self) -> "  \
    "Str = \"p\" }\n"

TEST(test_telemetry__a_bound_met_by_an_impl_is_resolved_implicitly) {
    char* text = graph_of(SHOW "fn all<T: Show>(x: T) -> Str = x.show()\nfn f(p: Point) -> Str = all(p)\n", OK);
    check_has(text,
        "\"constraint\":\"Show for Point\",\"resolution_state\":\"resolved\",\"dictionary\":{\"kind\":\"implicit\","
        "\"identifier\":\"impl:Show for Point\"");
    check_has(text, "\"candidates\":[\"impl:Show for Point\"]");
    check_has(text, "\"dictionary\":{\"kind\":\"parameter\",\"identifier\":\"parameter:0\""); /* inside of `all` */
    check_has(text, "\"parameter_index\":0");
    check_has(text, "{\"label\":\"impl:Show for Point\",\"kind\":\"implementation\"}");
    free(text);
}

TEST(test_telemetry__a_missing_impl_is_unresolved_and_its_dictionary_none) {
    char* text = graph_of(SHOW "fn f() -> Str = Show.show(3)\n", REML_EMBED_STATUS_ERROR);
    check_has(text,
        "\"constraint\":\"Show for Int\",\"resolution_state\":\"unresolved\",\"dictionary\":{\"kind\":\"none\","
        "\"identifier\":null,\"trait_name\":\"Show\",\"type_args\":[\"Int\"],\"repr\":\"\"}");
    free(text);
}

TEST(test_telemetry__what_callers_must_bring_is_pending) {
    char* text = graph_of(SHOW "fn f(x) -> Str = Show.show(x)\n", OK);
    check_has(text, "\"resolution_state\":\"pending\",\"dictionary\":{\"kind\":\"parameter\"");
    check_has(text, "\"generalized_typevars\":[\"T\"]");
    free(text);
}

TEST(test_telemetry__a_type_that_nothing_fixes_is_an_unresolved_variable) {
    char* text =
        graph_of("module M\ntrait Make { fn make() -> Self }\nimpl Make for Int { fn make() -> Int = 1 }\n"
                 "impl Make for Str { fn make() -> Str = \"\" }\nfn f() -> Int {\n  let x = Make.make()\n  1\n}\n",
            REML_EMBED_STATUS_ERROR);
    check_has(text, "\"resolution_state\":\"unresolved_typevar\"");
    check_has(text, "\"pending\":[\"");
    free(text);
}

TEST(test_telemetry__several_impls_that_fit_are_ambiguous) {
    char* text = graph_of(
        "module M\ntrait Turn<R> { fn turn(self) -> R }\nimpl Turn<Int> for Bool { fn turn(self) -> Int = 1 }\n"
        "impl Turn<Str> for Bool { fn turn(self) -> Str = \"\" }\nfn f() -> Int {\n  let x = Turn.turn(true)\n  1\n}\n",
        REML_EMBED_STATUS_ERROR);
    check_has(text, "\"resolution_state\":\"ambiguous\"");
    check_has(text, "Turn<Int> for Bool\",\"impl:Turn<Str> for Bool\"");
    free(text);
}

TEST(test_telemetry__an_impl_that_needs_itself_is_cyclic) {
    char* text =
        graph_of("module M\ntrait Deep { fn deep(self) -> Int }\nimpl<T> Deep for List<T> where Deep<List<List<T>>> {"
                 " fn deep(self) -> Int = 1 }\nfn f() -> Int = [1].deep()\n",
            REML_EMBED_STATUS_LIMIT);
    check_has(text, "\"resolution_state\":\"cyclic\"");
    free(text);
}

TEST(test_telemetry__a_stage_that_is_too_low_is_a_stage_mismatch) {
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.minimum_stage = REML_EMBED_STAGE_STABLE;
    reml_embed_context_t* context = NULL;
    reml_span_t json = {0};
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK);
    CHECK_INT_EQ(load(context, "module M\n@requires_capability(stage = \"beta\")\nfn f() -> Int = 1\n",
                     REML_EMBED_SOURCE_CHECK_ONLY | REML_EMBED_SOURCE_TELEMETRY),
        REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_embed_constraints_json(context, &json), OK);
    CHECK(memmem(json.data, json.length, "\"resolution_state\":\"stage_mismatch\"", 35) != NULL);
    reml_dispose_context(context);
}

TEST(test_telemetry__a_capability_is_a_node_of_the_function_that_needs_it) {
    char* text = graph_of("module M\n@requires_capability(id = \"db.read\")\nfn f(x: Int) -> Int = x\n", OK);
    check_has(
        text, "{\"label\":\"(Int) -> Int\",\"kind\":\"type\"},{\"label\":\"cap:db.read\",\"kind\":\"capability\"}");
    check_has(text, "\"kind\":\"capability\"}],\"resolutions\"");
    free(text);
}

TEST(test_telemetry__unresolved_names_are_counted) {
    char* text = graph_of("module M\nfn f() -> Int = nope + nada\nfn g() -> Int = 1\n", REML_EMBED_STATUS_ERROR);
    check_has(text, "\"name\":\"f\",\"param_types\":[],\"return_type\":\"Int\"");
    check_has(text, "\"unresolved_identifiers\":2},{\"name\":\"g\"");
    free(text);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_telemetry__without_asking_there_is_no_graph),
        RUN(test_telemetry__the_graph_belongs_to_the_last_load),
        RUN(test_telemetry__nobody_pays_who_does_not_ask),
        RUN(test_telemetry__functions_constraints_and_counts),
        RUN(test_telemetry__variables_are_named_after_what_they_stand_for),
        RUN(test_telemetry__the_same_input_gives_the_same_graph),
        RUN(test_telemetry__a_bound_met_by_an_impl_is_resolved_implicitly),
        RUN(test_telemetry__a_missing_impl_is_unresolved_and_its_dictionary_none),
        RUN(test_telemetry__what_callers_must_bring_is_pending),
        RUN(test_telemetry__a_type_that_nothing_fixes_is_an_unresolved_variable),
        RUN(test_telemetry__several_impls_that_fit_are_ambiguous),
        RUN(test_telemetry__an_impl_that_needs_itself_is_cyclic),
        RUN(test_telemetry__a_stage_that_is_too_low_is_a_stage_mismatch),
        RUN(test_telemetry__a_capability_is_a_node_of_the_function_that_needs_it),
        RUN(test_telemetry__unresolved_names_are_counted),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
