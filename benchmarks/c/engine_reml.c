/* Reml through its public C interface: function handles looked up once, the direct path where the signature is scalar. */
#include "harness.h"

#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_value.h"

#include <stdlib.h>
#include <string.h>

static const char* const source = "module Bench.Calls\n"
                                  "type Order = { id: Int, count: Int, price: Float, total: Float }\n"
                                  "fn empty() {}\n"
                                  "fn add(a: Int, b: Int) -> Int = a + b\n"
                                  "fn echo(s: Str) -> Str = s\n"
                                  "fn total(o: Order) -> Order = Order { ..o, total = o.price * o.count.to_float() }\n"
                                  "fn back(x: Int) -> Int = host(x)\n"
                                  "fn repeat(n: Int) -> Int {\n"
                                  "  var s = 0\n"
                                  "  for i in 0..n { s := host(s) }\n"
                                  "  s\n"
                                  "}\n"
                                  "fn scale(x: Float) -> Float = x * 1.5 + 2.0\n";

static const char* const ten_lines = "fn square(x: Int) -> Int {\n"
                                     "  x * x\n"
                                     "}\n"
                                     "fn sum(n: Int) -> Int {\n"
                                     "  if n == 0 { return 0 }\n"
                                     "  square(n) + sum(n - 1)\n"
                                     "}\n"
                                     "fn main() -> Int {\n"
                                     "  sum(3)\n"
                                     "}\n";

typedef struct handles {
    reml_embed_context_t* context;
    reml_function_t empty, add, echo, total, back, repeat, scale;
    reml_type_t order;
    double* in;
    double* out;
} handles_t;

#define OK REML_EMBED_STATUS_OK

static reml_embed_status_t host(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out_result, void* user) {
    (void)context;
    (void)user;
    out_result->i = callee_host(arguments[0].i);
    return OK;
}

static bool run_empty(void* state, uint64_t iterations) {
    handles_t* h = state;
    reml_scalar_t result;
    for (uint64_t i = 0; i < iterations; i++)
        if (reml_function_call_scalars(h->context, h->empty, NULL, 0, &result) != OK) return false;
    return true;
}

static bool run_add(void* state, uint64_t iterations) {
    handles_t* h = state;
    reml_scalar_t sum = {.i = 0};
    for (uint64_t i = 0; i < iterations; i++) {
        reml_scalar_t arguments[2] = {sum, {.i = (int64_t)i & 7}};
        if (reml_function_call_scalars(h->context, h->add, arguments, 2, &sum) != OK) return false;
    }
    bench_keep(&sum);
    return true;
}

static bool run_add_values(void* state, uint64_t iterations) {
    handles_t* h = state;
    reml_value_t sum = reml_value_int(0);
    for (uint64_t i = 0; i < iterations; i++) {
        reml_value_t arguments[2] = {sum, reml_value_int((int64_t)i & 7)};
        if (reml_function_call(h->context, h->add, arguments, 2, &sum) != OK) return false;
    }
    bench_keep(&sum);
    return true;
}

static bool run_string(void* state, uint64_t iterations) {
    handles_t* h = state;
    char out[64];
    for (uint64_t i = 0; i < iterations; i++) {
        reml_value_t text, result;
        reml_span_t span = {NULL, 0};
        if (reml_value_string(h->context, BENCH_TEXT, BENCH_TEXT_LENGTH, &text) != OK) return false;
        if (reml_function_call(h->context, h->echo, &text, 1, &result) != OK) return false;
        if (reml_value_span(h->context, result, &span) != OK || span.length != BENCH_TEXT_LENGTH) return false;
        memcpy(out, span.data, span.length);
        bench_keep(out);
        if (reml_value_release(h->context, result) != OK || reml_value_release(h->context, text) != OK) return false;
    }
    return true;
}

static bool run_record(void* state, uint64_t iterations) {
    handles_t* h = state;
    for (uint64_t i = 0; i < iterations; i++) {
        /* Fields in ascending order of their names: count, id, price, total. */
        reml_value_t fields[BENCH_RECORD_FIELDS] = {
            reml_value_int(3), reml_value_int((int64_t)i), reml_value_float(2.5), reml_value_float(0.0)};
        reml_value_t order, result;
        bench_record_t record = {0};
        if (reml_value_make(h->context, h->order, fields, BENCH_RECORD_FIELDS, &order) != OK) return false;
        if (reml_function_call(h->context, h->total, &order, 1, &result) != OK) return false;
        for (size_t j = 0; j < BENCH_RECORD_FIELDS; j++)
            if (reml_value_item(h->context, result, j, &fields[j]) != OK) return false;
        if (reml_value_as_int(fields[0], &record.count) != OK || reml_value_as_int(fields[1], &record.id) != OK ||
            reml_value_as_float(fields[2], &record.price) != OK || reml_value_as_float(fields[3], &record.total) != OK)
            return false;
        if (record.total != 7.5 || record.id != (int64_t)i) return false;
        if (reml_value_release(h->context, result) != OK || reml_value_release(h->context, order) != OK) return false;
    }
    return true;
}

static bool run_callback(void* state, uint64_t iterations) {
    handles_t* h = state;
    reml_scalar_t sum = {.i = 0};
    for (uint64_t i = 0; i < iterations; i++) {
        reml_scalar_t argument = sum;
        if (reml_function_call_scalars(h->context, h->back, &argument, 1, &sum) != OK) return false;
    }
    return sum.i == (int64_t)iterations;
}

static bool run_host_loop(void* state, uint64_t iterations) {
    handles_t* h = state;
    for (uint64_t i = 0; i < iterations; i++) {
        reml_scalar_t count = {.i = BENCH_LOOP}, sum;
        if (reml_function_call_scalars(h->context, h->repeat, &count, 1, &sum) != OK || sum.i != BENCH_LOOP)
            return false;
    }
    return true;
}

static bool run_batch(void* state, uint64_t iterations) {
    handles_t* h = state;
    reml_column_t in = {.kind = REML_COLUMN_F64, .data = h->in, .stride = sizeof(double)};
    reml_column_t out = {.kind = REML_COLUMN_F64, .data = h->out, .stride = sizeof(double)};
    size_t done = 0;
    for (uint64_t i = 0; i < iterations; i++)
        if (reml_function_map(h->context, h->scale, &in, 1, &out, BENCH_BATCH, &done) != OK || done != BENCH_BATCH)
            return false;
    return h->out[2] == 5.0;
}

static bool run_batch_calls(void* state, uint64_t iterations) {
    handles_t* h = state;
    for (uint64_t i = 0; i < iterations; i++)
        for (size_t j = 0; j < BENCH_BATCH; j++) {
            reml_scalar_t x = {.f = h->in[j]}, y;
            if (reml_function_call_scalars(h->context, h->scale, &x, 1, &y) != OK) return false;
            h->out[j] = y.f;
        }
    return h->out[2] == 5.0;
}

static bool run_life(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) {
        reml_embed_context_t* context = NULL;
        reml_value_t result;
        int64_t value = 0;
        if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != OK) return false;
        bool right = reml_load_module(context, (const unsigned char*)ten_lines, strlen(ten_lines)) == OK &&
                     reml_run(context, "main") == OK && reml_embed_result_borrow(context, &result) == OK &&
                     reml_value_as_int(result, &value) == OK && value == 14;
        if (reml_dispose_context(context) != OK || !right) return false;
    }
    return true;
}

static void must(handles_t* h, reml_embed_status_t status, const char* what) {
    if (status == OK) return;
    const char* text = reml_last_error(h->context);
    fprintf(stderr, "reml: %s: %s: %s\n", what, reml_embed_status_label(status), text ? text : "");
    exit(1);
}

static reml_function_t find(handles_t* h, const char* name, const char* signature) {
    reml_function_t function;
    must(h, reml_function_find(h->context, name, strlen(name), signature, signature ? strlen(signature) : 0, &function),
        name);
    return function;
}

void bench_add_reml(bench_t* bench) {
    static handles_t h;
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "host";
    function.signature = "(x: Int) -> Int";
    function.call_scalars = host;
    must(&h, reml_create_context(REML_EMBED_ABI_VERSION, &h.context), "create");
    must(&h, reml_host_define(h.context, &function), "host");
    must(&h, reml_load_module(h.context, (const unsigned char*)source, strlen(source)), "load");
    h.empty = find(&h, "empty", "() -> ()");
    h.add = find(&h, "add", "(Int, Int) -> Int");
    h.echo = find(&h, "echo", "(Str) -> Str");
    h.total = find(&h, "total", NULL);
    h.back = find(&h, "back", "(Int) -> Int");
    h.repeat = find(&h, "repeat", "(Int) -> Int");
    h.scale = find(&h, "scale", "(Float) -> Float");
    must(&h, reml_function_param_type(h.context, h.total, 0, &h.order), "Order");
    h.in = malloc(BENCH_BATCH * sizeof *h.in);
    h.out = malloc(BENCH_BATCH * sizeof *h.out);
    if (!h.in || !h.out) exit(1);
    for (size_t i = 0; i < BENCH_BATCH; i++) h.in[i] = (double)i;
    bench_name_version(bench, "reml", reml_embed_version());
    bench_add(bench, "empty call", "reml", run_empty, &h, 1);
    bench_add(bench, "add (Int, Int) -> Int", "reml", run_add, &h, 1);
    bench_add(bench, "add (Int, Int) -> Int", "reml, as values", run_add_values, &h, 1);
    bench_add(bench, "string of 20 bytes", "reml", run_string, &h, 1);
    bench_add(bench, "record of four fields", "reml", run_record, &h, 1);
    bench_add(bench, "host callback round trip", "reml", run_callback, &h, 1);
    bench_add(bench, "script to host, in a loop", "reml", run_host_loop, &h, BENCH_LOOP);
    bench_add(bench, "batch of 10^6 doubles", "reml", run_batch, &h, BENCH_BATCH);
    bench_add(bench, "batch of 10^6 doubles", "reml, one call each", run_batch_calls, &h, BENCH_BATCH);
    bench_add(bench, "create load run dispose", "reml", run_life, NULL, 1);
}
