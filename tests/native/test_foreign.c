/* extern "C" and extern "host" with a host behind them (LANGUAGE 3.6, 5.13). Only public headers. */
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

static void load_as(reml_embed_context_t* context, const char* text, uint32_t flags) {
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    source.text = text;
    source.text_length = strlen(text);
    source.flags = flags;
    if (!CHECK_INT_EQ(reml_embed_load(context, &source), OK)) printf("%s\n", reml_last_error(context));
}

static void check_run(reml_embed_context_t* context, const char* expected) {
    if (!CHECK_INT_EQ(reml_run(context, "main"), OK)) {
        printf("%s\n", reml_last_error(context));
        return;
    }
    reml_span_t text;
    if (CHECK_INT_EQ(reml_embed_result_text(context, &text), OK))
        check_bytes(text.data, text.length, expected, strlen(expected), __FILE__, __LINE__, "result");
}

static void check_run_fails(reml_embed_context_t* context, const char* beginning) {
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_ERROR);
    const char* error = reml_last_error(context);
    if (!error || strncmp(error, beginning, strlen(beginning)) != 0) {
        printf("%s\n", error ? error : "(none)");
        CHECK(!"the error is the expected one");
    }
}

static void bind(reml_embed_context_t* context, const char* name, reml_host_fn call, void* user) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.call = call;
    function.user = user;
    if (!CHECK_INT_EQ(reml_host_define(context, &function), OK)) printf("%s\n", reml_last_error(context));
}

static reml_embed_status_t constant(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)context;
    (void)arguments;
    (void)count;
    *out = reml_value_int(*(const int*)user);
    return OK;
}

/* --- extern "C" ------------------------------------------------------------------------------------------------------- */

TEST(test_foreign__symbols_are_found_by_link_name_then_by_name) {
    static const int one = 1, two = 2;
    reml_embed_context_t* context = create();
    bind(context, "c_first", constant, (void*)&one);
    bind(context, "second", constant, (void*)&two);
    load_as(context,
        "@link_name(\"c_first\") extern \"C\" fn first() -> i32\n"
        "extern \"C\" {\n  @link_name(\"c_second\") @callconv(\"sysv\") fn second() -> i32\n}\n"
        "fn main() -> (i32, i32) = unsafe { (first(), second()) }",
        0);
    check_run(context, "(1, 2)");
    reml_dispose_context(context);
}

static reml_embed_status_t add_scalars(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context;
    (void)user;
    out->f = (double)arguments[0].i + arguments[1].f + (double)arguments[2].i + arguments[3].f;
    return OK;
}

TEST(test_foreign__numbers_cross_as_scalars) {
    reml_embed_context_t* context = create();
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "add";
    function.call_scalars = add_scalars;
    CHECK_INT_EQ(reml_host_define(context, &function), OK);
    load_as(context,
        "extern \"C\" fn add(a: u8, b: f64, c: Bool, d: f32) -> f64\n"
        "fn main() -> f64 = unsafe { add(200, 0.5, true, 0.25) }",
        0);
    check_run(context, "201.75");
    reml_dispose_context(context);
}

TEST(test_foreign__a_symbol_without_host_function_panics_when_called) {
    reml_embed_context_t* context = create();
    load_as(context, "extern \"C\" fn nobody(x: Int)\nfn main() { unsafe { nobody(1) } }", 0);
    check_run_fails(context, "host.symbol.unbound: ");
    reml_dispose_context(context);
}

static reml_embed_status_t make_pointer(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)arguments;
    (void)count;
    reml_type_t type;
    if (reml_type_find(context, "Ptr<Int>", 8, &type) != OK) return REML_EMBED_STATUS_ERROR;
    return reml_value_host(context, type, user, NULL, NULL, out);
}
static reml_embed_status_t read_pointer(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)user;
    void* data = NULL;
    if (count != 1 || reml_value_host_data(context, arguments[0], &data) != OK) return REML_EMBED_STATUS_ERROR;
    *out = reml_value_int(*(const int*)data);
    return OK;
}

TEST(test_foreign__pointers_are_passed_on) {
    int cell = 42;
    reml_embed_context_t* context = create();
    bind(context, "make", make_pointer, &cell);
    bind(context, "read", read_pointer, NULL);
    load_as(context,
        "extern \"C\" {\n  fn make() -> Ptr<Int>\n  fn read<T>(p: Ptr<T>) -> Int\n}\n"
        "type Box2 = { p: Ptr<Int> }\n"
        "fn keep(p: Ptr<Int>) -> Box2 = Box2 { p }\n"
        "fn main() -> (Int, Str) = unsafe { (read(keep(make()).p), format(\"{make()}\")) }",
        0);
    check_run(context, "(42, \"<Ptr>\")");
    reml_dispose_context(context);
}

static reml_embed_status_t describe(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)context;
    char* text = user;
    size_t used = strlen(text);
    for (size_t i = 0; i < count; i++) {
        double number = 0;
        int64_t integer = 0;
        if (arguments[i].kind == REML_KIND_FLOAT) reml_value_as_float(arguments[i], &number);
        else if (arguments[i].kind != REML_KIND_HOST) reml_value_as_int(arguments[i], &integer);
        used +=
            (size_t)snprintf(text + used, 200 - used, "%u:%g ", (unsigned)arguments[i].kind, number + (double)integer);
    }
    snprintf(text + used, 200 - used, "| ");
    *out = reml_value_int((int64_t)count);
    return OK;
}

TEST(test_foreign__varargs_arrive_with_their_types) {
    int cell = 0;
    char text[200] = "";
    reml_embed_context_t* context = create();
    bind(context, "make", make_pointer, &cell);
    bind(context, "log", describe, text);
    load_as(context,
        "extern \"C\" {\n  fn make() -> Ptr<Int>\n  fn log(level: i32, ...) -> Int\n}\n"
        "fn each<T>(p: Ptr<T>) -> Int = unsafe { log(9, p, 2.5) }\n"
        "fn main() -> (Int, Int, Int) {\n"
        "  let wide: u64 = 7\n"
        "  unsafe { (log(1), log(2, 3, 1.5, true, wide, ()), each(make())) }\n}",
        0);
    text[0] = '\0';
    check_run(context, "(1, 6, 3)");
    CHECK_STR_EQ(text, "1:1 | 1:2 1:3 2:1.5 3:1 1:7 32:0 | 1:9 43:0 2:2.5 | ");
    reml_dispose_context(context);
}

/* --- unsafe -------------------------------------------------------------------------------------------------------------- */

TEST(test_foreign__each_run_of_an_unsafe_block_is_recorded) {
    static const int one = 1;
    reml_embed_context_t* context = create();
    bind(context, "c", constant, (void*)&one);
    load_as(context,
        "extern \"C\" fn c() -> Int\n\nfn twice() -> Int {\n  var n = 0\n  for i in 0..2 {\n    n += unsafe { c() }\n  "
        "}\n  n\n}\n"
        "fn main() -> Int = twice()",
        0);
    check_run(context, "2");
    char* records = NULL;
    size_t length = 0;
    CHECK_INT_EQ(reml_embed_audit_drain(context, &records, &length), OK);
    unsigned count = 0;
    for (const char* at = records; at && (at = strstr(at, "\"event.kind\":\"unsafe.region\"")) != NULL; at++) count++;
    CHECK_INT_EQ(count, 2);
    CHECK(records && strstr(records, "\"unsafe.function\":\"twice\"") != NULL);
    CHECK(records && strstr(records, "\"unsafe.line\":6") != NULL);
    reml_embed_free(records);
    reml_dispose_context(context);
}

/* --- targets ------------------------------------------------------------------------------------------------------------- */

TEST(test_foreign__the_target_holds_for_modules_loaded_from_then_on) {
    static const char text[] =
        "@cfg(feature = \"a\") fn main() -> Str = \"a\"\n@cfg(not(feature = \"a\")) fn main() -> Str = \"-\"";
    reml_embed_context_t* context = create();
    load_as(context, text, 0);
    check_run(context, "-");
    reml_embed_target_t target = REML_EMBED_TARGET_INIT;
    char features[] = "b, a";
    target.features = features;
    CHECK_INT_EQ(reml_embed_set_target(context, &target), OK);
    features[0] = features[3] = 'z'; /* texts are copied */
    load_as(context, text, 0);
    check_run(context, "a");
    CHECK_INT_EQ(reml_embed_set_target(context, NULL), OK);
    load_as(context, text, 0);
    check_run(context, "-");
    reml_dispose_context(context);
}

TEST(test_foreign__wrong_targets_are_refused) {
    reml_embed_context_t* context = create();
    reml_embed_target_t target = REML_EMBED_TARGET_INIT;
    target.flags = 2;
    CHECK_INT_EQ(reml_embed_set_target(context, &target), REML_EMBED_STATUS_INVALID_ARGUMENT);
    target = (reml_embed_target_t)REML_EMBED_TARGET_INIT;
    target.os = "lin\xffux";
    CHECK_INT_EQ(reml_embed_set_target(context, &target), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_dispose_context(context);
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.target = &target;
    context = (reml_embed_context_t*)(uintptr_t)0xA5A5;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK(context == NULL);
    options = (reml_embed_options_t)REML_EMBED_OPTIONS_INIT;
    options.minimum_stage = 3;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_set_target(NULL, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
}

/* --- extern "host" --------------------------------------------------------------------------------------------------------- */

static const char* const bindings = "module Game.gpu\n"
                                    "pub fn twice(x: Int) -> Int = x * 2\n"
                                    "fn hidden() -> Int = 1\n"
                                    "extern \"host\" {\n"
                                    "  type Scene\n"
                                    "  type Pool<T>\n"
                                    "  type Options = { depth: Int = 3, name: Str = \"x\" }\n"
                                    "  enum Mode = Fast | Slow\n"
                                    "  let scene: Scene\n"
                                    "  let limit: Int\n"
                                    "  let names: List<Str>\n"
                                    "  let hook: fn(Int) -> Int\n"
                                    "  fn Scene.draw(self, times: Int, options: Options = Options {}) -> Int\n"
                                    "  fn pool<T>(first: T) -> Pool<T>\n"
                                    "  fn Pool.size(self) -> Int\n"
                                    "  fn each<T>(items: List<T>, body: fn(T) -> Int) -> Int\n"
                                    "}\n";

static reml_embed_status_t draw(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)user;
    void* data = NULL;
    int64_t times = 0, depth = 0;
    reml_value_t field;
    if (count != 3 || reml_value_host_data(context, arguments[0], &data) != OK) return REML_EMBED_STATUS_ERROR;
    reml_value_as_int(arguments[1], &times);
    if (reml_value_field(context, arguments[2], "depth", 5, &field) != OK) return REML_EMBED_STATUS_ERROR;
    reml_value_as_int(field, &depth);
    *out = reml_value_int(*(const int*)data * times + depth);
    return OK;
}
static reml_embed_status_t each(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)user;
    (void)count;
    reml_function_t body;
    size_t length = 0;
    int64_t sum = 0;
    if (reml_function_from_value(context, arguments[1], &body) != OK) return REML_EMBED_STATUS_ERROR;
    reml_value_length(context, arguments[0], &length);
    for (size_t i = 0; i < length; i++) {
        reml_value_t item, result;
        int64_t number = 0;
        if (reml_value_item(context, arguments[0], i, &item) != OK) return REML_EMBED_STATUS_ERROR;
        reml_embed_status_t status = reml_function_call(context, body, &item, 1, &result);
        reml_value_release(context, item);
        if (status != OK) {
            printf("%s\n", reml_last_error(context));
            return status;
        }
        reml_value_as_int(result, &number);
        sum += number;
    }
    reml_function_release(context, body);
    *out = reml_value_int(sum);
    return OK;
}
static reml_embed_status_t make_pool(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)count;
    reml_type_t type;
    bool is_text = arguments[0].kind == REML_KIND_STRING;
    const char* name = is_text ? "Pool<Str>" : "Pool<Int>";
    if (reml_type_find(context, name, strlen(name), &type) != OK) return REML_EMBED_STATUS_ERROR;
    return reml_value_host(context, type, user, NULL, NULL, out);
}

TEST(test_foreign__everything_of_an_ambient_binding_source_works) {
    int number = 10;
    static const int five = 5;
    reml_embed_context_t* context = create();
    load_as(context, bindings, REML_EMBED_SOURCE_AMBIENT);
    bind(context, "Scene.draw", draw, NULL);
    bind(context, "each", each, NULL);
    bind(context, "pool", make_pool, &number);
    bind(context, "Pool.size", constant, (void*)&five);
    load_as(context,
        "fn go(m: Mode) -> Str = match m with | Fast -> \"fast\" | Slow -> \"slow\"\n"
        "fn main() -> (Int, Int, Int, Int, Int, Int, Str, Str, Int) =\n"
        "  (scene.draw(2), scene.draw(1, { depth = 0, name = \"\" }), each([1, 2], |n| n * limit),\n"
        "   each([\"a\", \"bc\"], |s| s.len()), pool(1).size(), pool(\"x\").size(), go(Slow), names[1], "
        "hook(twice(4)))",
        0);
    check_run_fails(context, "host.symbol.unbound: ");
    reml_type_t scene;
    reml_value_t value, names[2], list;
    CHECK_INT_EQ(reml_type_find(context, "Scene", 5, &scene), OK);
    CHECK_INT_EQ(reml_value_host(context, scene, &number, NULL, NULL, &value), OK);
    CHECK_INT_EQ(reml_host_set_global(context, "scene", 5, value), OK);
    reml_value_release(context, value);
    CHECK_INT_EQ(reml_host_set_global(context, "limit", 5, reml_value_int(100)), OK);
    reml_value_string(context, "one", 3, &names[0]);
    reml_value_string(context, "two", 3, &names[1]);
    reml_type_t list_type;
    reml_type_find(context, "List<Str>", 9, &list_type);
    CHECK_INT_EQ(reml_value_make(context, list_type, names, 2, &list), OK);
    CHECK_INT_EQ(reml_host_set_global(context, "names", 5, list), OK);
    CHECK_INT_EQ(reml_host_set_global(context, "names", 5, reml_value_int(1)), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_host_set_global(context, "nobody", 6, reml_value_int(1)), REML_EMBED_STATUS_ERROR);
    reml_value_release(context, names[0]);
    reml_value_release(context, names[1]);
    reml_value_release(context, list);
    reml_embed_context_t* other = create();
    CHECK_INT_EQ(reml_host_set_global(other, "limit", 5, reml_value_int(1)), REML_EMBED_STATUS_ERROR);
    reml_dispose_context(other);
    load_as(context, "module Inc\nfn inc(x: Int) -> Int = x + 1\nlet f = inc\nfn keep() -> fn(Int) -> Int = inc", 0);
    CHECK_INT_EQ(reml_run(context, "keep"), OK);
    reml_value_t function;
    CHECK_INT_EQ(reml_embed_result_take(context, &function), OK);
    CHECK_INT_EQ(reml_host_set_global(context, "hook", 4, function), OK);
    reml_value_release(context, function);
    reml_embed_collect(context);
    check_run(context, "(23, 10, 300, 3, 5, 5, \"slow\", \"two\", 9)");
    load_as(context, "module Third\nfn main() -> Int = gpu.twice(2) + gpu::twice(3)", 0);
    check_run(context, "10");
    reml_dispose_context(context);
}

TEST(test_foreign__private_names_of_an_ambient_module_stay_private) {
    reml_embed_context_t* context = create();
    load_as(context, bindings, REML_EMBED_SOURCE_AMBIENT);
    const char* text = "fn main() -> Int = hidden()";
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)text, strlen(text)), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "type.unresolved_ident") != NULL);
    text = "fn main() -> Int = gpu.hidden()";
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)text, strlen(text)), REML_EMBED_STATUS_ERROR);
    CHECK(strstr(reml_last_error(context), "language.visibility.private") != NULL);
    reml_dispose_context(context);
}

static reml_embed_status_t first(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)user;
    if (count == 0 || reml_value_retain(context, arguments[0]) != OK) return REML_EMBED_STATUS_ERROR;
    *out = arguments[0];
    return OK;
}

TEST(test_foreign__functions_without_body_are_entries_too) {
    static const int seven = 7;
    reml_embed_context_t* context = create();
    load_as(context,
        "fn reload<T>(\n  state: T,\n  next: List<T>\n)\n  -> T\nfn now() -> Int\nfn later(x: Int = 3) -> Int\n"
        "fn main() -> (Str, Int) = (reload(\"a\", [\"b\"]), now())",
        0);
    check_run_fails(context, "host.symbol.unbound: ");
    CHECK_INT_EQ(reml_run(context, "now"), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "host.symbol.unbound: ", 21) == 0);
    bind(context, "reload", first, NULL);
    bind(context, "now", constant, (void*)&seven);
    bind(context, "later", first, NULL);
    check_run(context, "(\"a\", 7)");
    for (int i = 0; i < 3; i++) CHECK_INT_EQ(reml_run(context, "now"), OK);
    CHECK_INT_EQ(reml_run(context, "later"), OK);
    CHECK_INT_EQ(reml_run(context, "reload"), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "runtime.entry.arity: ", 21) == 0);
    reml_function_t function;
    const char* signature = "(Int, List<Int>) -> Int";
    CHECK_INT_EQ(reml_function_find(context, "reload", 6, signature, strlen(signature), &function), OK);
    reml_type_t list_type;
    reml_type_find(context, "List<Int>", 9, &list_type);
    reml_value_t given[2] = {reml_value_int(5)}, result;
    CHECK_INT_EQ(reml_value_make(context, list_type, NULL, 0, &given[1]), OK);
    if (!CHECK_INT_EQ(reml_function_call(context, function, given, 2, &result), OK))
        printf("%s\n", reml_last_error(context));
    int64_t number = 0;
    reml_value_as_int(result, &number);
    CHECK_INT_EQ(number, 5);
    reml_value_release(context, given[1]);
    reml_dispose_context(context);
}

TEST(test_foreign__a_host_reads_top_level_values) {
    reml_embed_context_t* context = create();
    load_as(context, "module A\npub let answer = 6 * 7\nvar names = [\"x\"]\nlet bad = 1 / (answer - 42)", 0);
    reml_value_t value;
    CHECK_INT_EQ(reml_embed_global(context, "answer", 6, &value), REML_EMBED_STATUS_ERROR); /* initialisation fails */
    CHECK(strncmp(reml_last_error(context), "runtime.arith.div_zero", 22) == 0);
    reml_dispose_context(context);
    context = create();
    load_as(context, "module A\npub let answer = 6 * 7\nvar names = [\"x\"]\nextern \"host\" { let h: Int }", 0);
    int64_t number = 0;
    CHECK_INT_EQ(reml_embed_global(context, "A.answer", 8, &value), OK);
    reml_value_as_int(value, &number);
    CHECK_INT_EQ(number, 42);
    CHECK_INT_EQ(reml_embed_global(context, "names", 5, &value), OK);
    size_t length = 0;
    CHECK_INT_EQ(reml_value_length(context, value, &length), OK);
    CHECK_INT_EQ(length, 1);
    reml_value_release(context, value);
    CHECK_INT_EQ(reml_embed_global(context, "h", 1, &value), REML_EMBED_STATUS_ERROR);
    CHECK(strncmp(reml_last_error(context), "host.symbol.unbound", 19) == 0);
    CHECK_INT_EQ(reml_host_set_global(context, "h", 1, reml_value_int(3)), OK);
    CHECK_INT_EQ(reml_embed_global(context, "h", 1, &value), OK);
    CHECK_INT_EQ(reml_embed_global(context, "nothing", 7, &value), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(value.kind, REML_KIND_NONE);
    CHECK_INT_EQ(reml_embed_global(context, NULL, 7, &value), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_dispose_context(context);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_foreign__symbols_are_found_by_link_name_then_by_name),
        RUN(test_foreign__numbers_cross_as_scalars),
        RUN(test_foreign__a_symbol_without_host_function_panics_when_called),
        RUN(test_foreign__pointers_are_passed_on),
        RUN(test_foreign__varargs_arrive_with_their_types),
        RUN(test_foreign__each_run_of_an_unsafe_block_is_recorded),
        RUN(test_foreign__the_target_holds_for_modules_loaded_from_then_on),
        RUN(test_foreign__wrong_targets_are_refused),
        RUN(test_foreign__everything_of_an_ambient_binding_source_works),
        RUN(test_foreign__private_names_of_an_ambient_module_stay_private),
        RUN(test_foreign__functions_without_body_are_entries_too),
        RUN(test_foreign__a_host_reads_top_level_values),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
