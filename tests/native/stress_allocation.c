/*
 * Every allocation of a scenario that uses the whole interface fails in turn: once, and for good. Nothing may crash or leak, and
 * every answer is a status. Arguments: the first point and the step (default: every point).
 */
#include "check.h"

#include "reml_audit.h"
#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_value.h"

#include <stdlib.h>

typedef struct meter {
    uint64_t requests, fail_at, live_bytes;
    bool for_good, hit;
} meter_t;

static void* resize(void* block, size_t old_size, size_t new_size, void* user) {
    meter_t* meter = user;
    if (new_size > old_size) {
        meter->requests++;
        if (meter->fail_at && (meter->requests == meter->fail_at || (meter->for_good && meter->requests > meter->fail_at))) {
            meter->hit = true;
            return NULL;
        }
    }
    if (new_size == 0) {
        free(block);
        meter->live_bytes -= old_size;
        return NULL;
    }
    void* moved = realloc(block, new_size);
    if (moved) meter->live_bytes += new_size - old_size;
    return moved;
}

static const char source[] =
    "module Stress\n"
    "type Shape = | Circle(Float) | Rect { w: Float, h: Float }\n"
    "type P = { x: Int, y: Int = 3 }\n"
    "fn area(s: Shape) -> Float = match s with | Circle(r) -> r * r | Rect { w, h } -> w * h\n"
    "fn words(text: Str) -> Map<Str, Int> {\n"
    "  var counts: Map<Str, Int> = Map.empty()\n"
    "  for w in text.split(\" \") { counts := counts.insert(w, counts.get_or(w, 0) + 1) }\n"
    "  counts\n"
    "}\n"
    "fn make(n: Int) -> List<Str> = List.range(0, n).map(|i| format(\"item {i}\")).filter(|s| s.len() > 4)\n"
    "fn table(n: Int) -> Int {\n"
    "  let t: Table<Str, Int> = Table.new()\n"
    "  for i in 0..n { t[i.to_string()] = i }\n"
    "  t.len()\n"
    "}\n"
    "fn add(a: Int, b: Int) -> Int = a + b\n"
    "fn adder(n: Int) -> fn(Int) -> Int = |x| x + n\n"
    "fn cleanup(n: Int) -> Int { defer println(\"done\"); if n > 2 { panic(\"too many\") }; n }\n"
    "fn call_host(x: Int) -> Str = Host.name(x) + \"!\"\n"
    "fn main() -> Str {\n"
    "  let v: Vec<Int> = Vec.new()\n"
    "  for i in 0..200 { v.push(i) }\n"
    "  let p = P { x: v.len() }\n"
    "  println(words(\"a b a c b a\"))\n"
    "  format(\"%s %s %s %d %s\", [make(20).len(), area(Circle(2.0)) + area(Rect { w: 1.0, h: 2.0 }), p, table(50), call_host(3)])\n"
    "}\n";

static reml_embed_status_t host_name(reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)arguments, (void)count, (void)user;
    return reml_value_string(context, "host", 4, out);
}
static reml_embed_status_t ignore_output(const char* text, size_t length, void* user) {
    (void)text, (void)length, (void)user;
    return REML_EMBED_STATUS_OK;
}

static void use_values(reml_embed_context_t* context) {
    reml_function_t function;
    reml_value_t value = {0}, text = {0}, result = {0}, item = {0};
    reml_type_t type;
    char* shown = NULL;
    size_t length;
    if (reml_function_find(context, "add", 3, "(Int, Int) -> Int", 17, &function) == REML_EMBED_STATUS_OK) {
        reml_scalar_t arguments[2] = {{.i = 1}, {.i = 2}}, sum;
        if (reml_function_call_scalars(context, function, arguments, 2, &sum) == REML_EMBED_STATUS_OK) CHECK_INT_EQ(sum.i, 3);
        int64_t column[8] = {0, 1, 2, 3, 4, 5, 6, 7}, out[8];
        reml_column_t inputs[2] = {{REML_COLUMN_I64, 0, column, 8}, {REML_COLUMN_I64, 0, column, 8}}, output = {REML_COLUMN_I64, 0, out, 8};
        reml_function_map(context, function, inputs, 2, &output, 8, &length);
        reml_function_release(context, function);
    }
    if (reml_value_string(context, "b a b", 5, &text) == REML_EMBED_STATUS_OK &&
        reml_function_find(context, "words", 5, NULL, 0, &function) == REML_EMBED_STATUS_OK &&
        reml_function_call(context, function, &text, 1, &result) == REML_EMBED_STATUS_OK) {
        CHECK_INT_EQ(reml_value_length(context, result, &length), REML_EMBED_STATUS_OK);
        if (reml_value_key(context, result, 0, &item) == REML_EMBED_STATUS_OK) reml_value_release(context, item);
        if (reml_value_text(context, result, &shown, &length) == REML_EMBED_STATUS_OK) CHECK_STR_EQ(shown, "{\"a\": 1, \"b\": 2}");
        reml_embed_free(shown);
    }
    reml_value_release(context, result);
    reml_value_release(context, text);
    if (reml_type_find(context, "List<Int>", 9, &type) == REML_EMBED_STATUS_OK) {
        reml_value_t items[40];
        for (int i = 0; i < 40; i++) items[i] = reml_value_int(i);
        if (reml_value_make(context, type, items, 40, &value) == REML_EMBED_STATUS_OK) reml_value_release(context, value);
    }
    reml_value_t n = reml_value_int(5);
    if (reml_function_find(context, "adder", 5, NULL, 0, &function) == REML_EMBED_STATUS_OK &&
        reml_function_call(context, function, &n, 1, &value) == REML_EMBED_STATUS_OK) {
        if (reml_function_from_value(context, value, &function) == REML_EMBED_STATUS_OK) reml_function_call(context, function, &n, 1, &result);
        reml_value_release(context, value);
    }
    if (reml_function_find(context, "cleanup", 7, NULL, 0, &function) == REML_EMBED_STATUS_OK) CHECK(reml_function_call(context, function, &n, 1, &result) != REML_EMBED_STATUS_OK);
    char* dump = NULL;
    if (reml_embed_explain(context, 1, "", &dump, &length) == REML_EMBED_STATUS_OK) reml_embed_free(dump);
    if (reml_embed_functions(context, &dump, &length) == REML_EMBED_STATUS_OK) reml_embed_free(dump);
}

static void scenario(meter_t* meter) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.resize = resize;
    options.resize_user = meter;
    if (reml_embed_create("0.1.0", &options, &context) == REML_EMBED_STATUS_OK) {
        reml_host_function_t host = REML_HOST_FUNCTION_INIT;
        host.name = "Host.name";
        host.signature = "(Int) -> Str";
        host.call = host_name;
        reml_host_define(context, &host);
        reml_embed_set_output(context, ignore_output, NULL);
        reml_load_module(context, (const unsigned char*)"fn broken( = 1 +", 16);
        reml_load_module(context, (const unsigned char*)"fn wrong() -> Int = \"x\"", 23);
        reml_span_t span;
        reml_embed_diagnostics_text(context, 1, &span);
        reml_embed_diagnostics_json(context, &span);
        if (reml_load_module(context, (const unsigned char*)source, sizeof source - 1) == REML_EMBED_STATUS_OK) {
            if (reml_run(context, "main") == REML_EMBED_STATUS_OK) {
                reml_value_t value;
                if (reml_embed_result_text(context, &span) == REML_EMBED_STATUS_OK) {
                    check_bytes(span.data, span.length, "20 6.0 P { x: 200, y: 3 } 50 host!", 34, __FILE__, __LINE__, "result");
                }
                reml_embed_result_borrow(context, &value);
                if (reml_embed_result_take(context, &value) == REML_EMBED_STATUS_OK) reml_ffi_release_transferred(context, value);
            } else {
                CHECK(reml_last_error(context) != NULL);
            }
            use_values(context);
        }
        reml_embed_collect(context);
        char* text = NULL;
        size_t length;
        reml_embed_audit_drain(context, &text, &length);
        reml_embed_free(text);
        CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_OK);
    }
    char* text = NULL;
    size_t length;
    reml_embed_audit_drain(NULL, &text, &length);
    reml_embed_free(text);
    CHECK_INT_EQ(meter->live_bytes, 0);
}

int main(int argc, char** argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, step = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    meter_t whole = {0};
    scenario(&whole);
    printf("%llu allocations in the scenario\n", (unsigned long long)whole.requests);
    uint64_t points = 0;
    for (int mode = 0; mode < 2 && check_failures == 0; mode++) {
        for (uint64_t n = first; n <= whole.requests && check_failures == 0; n += step) {
            meter_t meter = {.fail_at = n, .for_good = mode == 1};
            scenario(&meter);
            points++;
            if (check_failures) printf("at allocation %llu, %s\n", (unsigned long long)n, mode ? "for good" : "once");
        }
    }
    printf("%llu passed, %u failed\n", (unsigned long long)points, check_failures);
    return check_failures != 0;
}
