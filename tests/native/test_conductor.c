/* A conductor as a C host sees it: a record to read, nodes to call one by one, and the whole to run. */
#include "check.h"

#include "reml_value.h"

#include <stdlib.h>

static reml_embed_context_t* context;

static reml_value_t field(reml_value_t record, const char* name) {
    reml_value_t value = {0};
    CHECK_INT_EQ(reml_value_field(context, record, name, strlen(name), &value), REML_EMBED_STATUS_OK);
    return value;
}
static reml_value_t item(reml_value_t list, size_t index) {
    reml_value_t value = {0};
    CHECK_INT_EQ(reml_value_item(context, list, index, &value), REML_EMBED_STATUS_OK);
    return value;
}
static void check_text(reml_value_t value, const char* expected, int line) {
    char* text = NULL;
    size_t length = 0;
    CHECK_INT_EQ(reml_value_text(context, value, &text, &length), REML_EMBED_STATUS_OK);
    check_bytes(text, length, expected, strlen(expected), __FILE__, line, "text");
    reml_embed_free(text);
    reml_value_release(context, value);
}

static void begin(const char* source) {
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), REML_EMBED_STATUS_OK);
    if (!CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)source, strlen(source)), REML_EMBED_STATUS_OK))
        printf("%s\n", reml_last_error(context));
}

static reml_value_t global(const char* name) {
    reml_value_t value = {0};
    if (!CHECK_INT_EQ(reml_embed_global(context, name, strlen(name), &value), REML_EMBED_STATUS_OK))
        printf("%s\n", reml_last_error(context));
    return value;
}

static const char source[] = "var runs = 0\n"
                             "fn next() -> Int { runs := runs + 1; runs }\n"
                             "conductor c {\n"
                             "  a: next() |> with_capabilities([\"io\"], stage = \"beta\")\n"
                             "  b: Spec = a * 10 |> depends_on([a])\n"
                             "  channels { a.out ~> sink.in : Stream<Missing> }\n"
                             "  execution { mode: \"serial\" }\n"
                             "  monitoring with Metrics { p99 }\n"
                             "}\n"
                             "conductor endless { a: 1 |> depends_on([b]); b: 2 |> depends_on([a]) }\n";

TEST(test_conductor__is_a_record_that_the_host_reads) {
    begin(source);
    reml_value_t conductor = global("c"), nodes = field(conductor, "nodes"), second = item(nodes, 1);
    check_text(field(conductor, "id"), "c", __LINE__);
    check_text(field(second, "name"), "b", __LINE__);
    check_text(field(second, "label"), "Some(\"Spec\")", __LINE__);
    check_text(field(second, "depends_on"), "[\"a\"]", __LINE__);
    check_text(field(conductor, "monitoring"), "Some(\"Metrics { p99 }\")", __LINE__);
    reml_value_t first = item(nodes, 0);
    check_text(field(first, "metadata"),
        "[ConductorMetadata { args: [(\"\", [\"io\"]), (\"stage\", \"beta\")], key: \"with_capabilities\" }]",
        __LINE__);
    reml_value_t channels = field(conductor, "channels"), channel = item(channels, 0);
    check_text(field(channel, "item"), "Stream<Missing>", __LINE__);
    check_text(global("runs"), "0", __LINE__);
    reml_value_t all[] = {conductor, nodes, second, first, channels, channel};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) reml_value_release(context, all[i]);
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_OK);
}

TEST(test_conductor__is_run_through_a_function_of_its_type) {
    begin(source);
    reml_function_t run;
    CHECK_INT_EQ(reml_function_find(context, "Conductor.run", 13, NULL, 0, &run), REML_EMBED_STATUS_OK);
    reml_value_t conductor = global("c"), endless = global("endless"), result = {0};
    CHECK_INT_EQ(reml_function_call(context, run, &conductor, 1, &result), REML_EMBED_STATUS_OK);
    check_text(result, "Ok([(\"a\", 1), (\"b\", 10)])", __LINE__);
    CHECK_INT_EQ(reml_function_call(context, run, &conductor, 1, &result), REML_EMBED_STATUS_OK);
    check_text(result, "Ok([(\"a\", 2), (\"b\", 20)])", __LINE__);
    CHECK_INT_EQ(reml_function_call(context, run, &endless, 1, &result), REML_EMBED_STATUS_OK);
    check_text(result, "Err(\"the nodes a, b of conductor endless depend on each other\")", __LINE__);
    reml_value_release(context, conductor);
    reml_value_release(context, endless);
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_OK);
}

TEST(test_conductor__nodes_are_functions_of_their_own) {
    begin(source);
    reml_value_t conductor = global("c"), nodes = field(conductor, "nodes"),
                 parts[2] = {item(nodes, 0), item(nodes, 1)};
    reml_function_t run[2];
    reml_value_t closures[2], result = {0};
    for (int i = 0; i < 2; i++) {
        closures[i] = field(parts[i], "run");
        CHECK_INT_EQ(reml_function_from_value(context, closures[i], &run[i]), REML_EMBED_STATUS_OK);
    }
    CHECK_INT_EQ(
        reml_function_call(context, run[1], NULL, 0, &result), REML_EMBED_STATUS_ERROR); /* a has no value yet */
    CHECK(strstr(reml_last_error(context), "node a ") != NULL);
    CHECK_INT_EQ(reml_function_call(context, run[0], NULL, 0, &result), REML_EMBED_STATUS_OK);
    check_text(result, "1", __LINE__);
    CHECK_INT_EQ(reml_function_call(context, run[1], NULL, 0, &result), REML_EMBED_STATUS_OK);
    check_text(result, "10", __LINE__);
    reml_value_t all[] = {conductor, nodes, parts[0], parts[1], closures[0], closures[1]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) reml_value_release(context, all[i]);
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_OK);
}

/* Whatever allocation fails while a conductor is written out: a status, and nothing left behind. */
TEST(test_conductor__any_failing_allocation_answers_a_status) {
    for (uint64_t number = 1;; number++) {
        CHECK_INT_EQ(reml_create_context("0.1.0", &context), REML_EMBED_STATUS_OK);
        CHECK_INT_EQ(reml_embed_fail_allocation(context, number, 1), REML_EMBED_STATUS_OK);
        reml_embed_status_t status = reml_load_module(context, (const unsigned char*)source, sizeof source - 1);
        reml_dispose_context(context);
        if (status == REML_EMBED_STATUS_OK) break;
        if (!CHECK_INT_EQ(status, REML_EMBED_STATUS_NO_MEMORY) || !CHECK(number < 100000)) break;
    }
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_conductor__is_a_record_that_the_host_reads),
        RUN(test_conductor__is_run_through_a_function_of_its_type),
        RUN(test_conductor__nodes_are_functions_of_their_own),
        RUN(test_conductor__any_failing_allocation_answers_a_status),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
