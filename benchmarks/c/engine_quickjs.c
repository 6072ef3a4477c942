/* QuickJS as a C host uses it: functions kept as values, JS_Call for every call, property names made into atoms once. */
#include "harness.h"

#include "quickjs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char source[] =
    "function empty() {}\n"
    "function add(a, b) { return a + b }\n"
    "function echo(s) { return s }\n"
    "function total(r) { return {id: r.id, count: r.count, price: r.price, total: r.price * r.count} }\n"
    "function back(x) { return host(x) }\n"
    "function loop(n) { let s = 0; for (let i = 0; i < n; i++) s = host(s); return s }\n"
    "function scale(x) { return x * 1.5 + 2.0 }\n"
    "function scale_all(a, b, n) {\n"
    "  const from = new Float64Array(a), to = new Float64Array(b);\n"
    "  for (let i = 0; i < n; i++) to[i] = from[i] * 1.5 + 2.0\n"
    "}\n";

static const char ten_lines[] = "function square(x) {\n"
                                "  return x * x\n"
                                "}\n"
                                "function sum(n) {\n"
                                "  if (n == 0) return 0\n"
                                "  return square(n) + sum(n - 1)\n"
                                "}\n"
                                "function main() {\n"
                                "  return sum(3)\n"
                                "}\n";

enum { EMPTY, ADD, ECHO, TOTAL, BACK, LOOP, SCALE, SCALE_ALL, FUNCTIONS };
static const char* const names[FUNCTIONS] = {"empty", "add", "echo", "total", "back", "loop", "scale", "scale_all"};

typedef struct script {
    JSContext* context;
    JSValue functions[FUNCTIONS];
    JSAtom id, count, price, total;
    double* in;
    double* out;
} script_t;

static JSValue host(JSContext* context, JSValueConst self, int count, JSValueConst* arguments) {
    int64_t x;
    (void)self, (void)count;
    if (JS_ToInt64(context, &x, arguments[0])) return JS_EXCEPTION;
    return JS_NewInt64(context, callee_host(x));
}

static JSValue call(const script_t* js, int function, int count, JSValue* arguments) {
    return JS_Call(js->context, js->functions[function], JS_UNDEFINED, count, arguments);
}

static bool call_int(const script_t* js, int function, int count, JSValue* arguments, int64_t* out) {
    JSValue result = call(js, function, count, arguments);
    bool ok = !JS_IsException(result) && JS_ToInt64(js->context, out, result) == 0;
    JS_FreeValue(js->context, result);
    return ok;
}

static bool run_empty(void* state, uint64_t iterations) {
    const script_t* js = state;
    for (uint64_t i = 0; i < iterations; i++) {
        JSValue result = call(js, EMPTY, 0, NULL);
        if (JS_IsException(result)) return false;
        JS_FreeValue(js->context, result);
    }
    return true;
}

static bool run_add(void* state, uint64_t iterations) {
    const script_t* js = state;
    int64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        JSValue arguments[] = {JS_NewInt64(js->context, sum), JS_NewInt32(js->context, (int32_t)i & 7)};
        if (!call_int(js, ADD, 2, arguments, &sum)) return false;
    }
    bench_keep(&sum);
    return true;
}

static bool run_string(void* state, uint64_t iterations) {
    const script_t* js = state;
    char out[64];
    for (uint64_t i = 0; i < iterations; i++) {
        size_t length;
        JSValue argument = JS_NewStringLen(js->context, BENCH_TEXT, BENCH_TEXT_LENGTH);
        JSValue result = call(js, ECHO, 1, &argument);
        const char* text = JS_ToCStringLen(js->context, &length, result);
        if (!text || length != BENCH_TEXT_LENGTH) return false;
        memcpy(out, text, length);
        bench_keep(out);
        JS_FreeCString(js->context, text);
        JS_FreeValue(js->context, result);
        JS_FreeValue(js->context, argument);
    }
    return true;
}

static int64_t int_field(const script_t* js, JSValue object, JSAtom name) {
    int64_t value = 0;
    JSValue field = JS_GetProperty(js->context, object, name);
    JS_ToInt64(js->context, &value, field);
    JS_FreeValue(js->context, field);
    return value;
}

static double float_field(const script_t* js, JSValue object, JSAtom name) {
    double value = 0;
    JSValue field = JS_GetProperty(js->context, object, name);
    JS_ToFloat64(js->context, &value, field);
    JS_FreeValue(js->context, field);
    return value;
}

static bool run_record(void* state, uint64_t iterations) {
    const script_t* js = state;
    for (uint64_t i = 0; i < iterations; i++) {
        bench_record_t record;
        JSValue argument = JS_NewObject(js->context);
        JS_SetProperty(js->context, argument, js->id, JS_NewInt64(js->context, (int64_t)i));
        JS_SetProperty(js->context, argument, js->count, JS_NewInt32(js->context, 3));
        JS_SetProperty(js->context, argument, js->price, JS_NewFloat64(js->context, 2.5));
        JS_SetProperty(js->context, argument, js->total, JS_NewFloat64(js->context, 0.0));
        JSValue result = call(js, TOTAL, 1, &argument);
        if (JS_IsException(result)) return false;
        record.id = int_field(js, result, js->id);
        record.count = int_field(js, result, js->count);
        record.price = float_field(js, result, js->price);
        record.total = float_field(js, result, js->total);
        JS_FreeValue(js->context, result);
        JS_FreeValue(js->context, argument);
        if (record.total != 7.5 || record.id != (int64_t)i) return false;
    }
    return true;
}

static bool run_callback(void* state, uint64_t iterations) {
    const script_t* js = state;
    int64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        JSValue argument = JS_NewInt64(js->context, sum);
        if (!call_int(js, BACK, 1, &argument, &sum)) return false;
    }
    return sum == (int64_t)iterations;
}

static bool run_host_loop(void* state, uint64_t iterations) {
    const script_t* js = state;
    for (uint64_t i = 0; i < iterations; i++) {
        int64_t sum;
        JSValue argument = JS_NewInt32(js->context, BENCH_LOOP);
        if (!call_int(js, LOOP, 1, &argument, &sum) || sum != BENCH_LOOP) return false;
    }
    return true;
}

static bool run_batch_calls(void* state, uint64_t iterations) {
    const script_t* js = state;
    for (uint64_t i = 0; i < iterations; i++)
        for (size_t j = 0; j < BENCH_BATCH; j++) {
            JSValue argument = JS_NewFloat64(js->context, js->in[j]);
            JSValue result = call(js, SCALE, 1, &argument);
            if (JS_ToFloat64(js->context, &js->out[j], result)) return false;
            JS_FreeValue(js->context, result);
        }
    return js->out[2] == 5.0;
}

/* Buffers over the host's memory, nothing copied: the best that QuickJS offers in one crossing. */
static bool run_batch_buffer(void* state, uint64_t iterations) {
    const script_t* js = state;
    size_t bytes = BENCH_BATCH * sizeof(double);
    for (uint64_t i = 0; i < iterations; i++) {
        JSValue arguments[] = {JS_NewArrayBuffer(js->context, (uint8_t*)js->in, bytes, NULL, NULL, 0),
            JS_NewArrayBuffer(js->context, (uint8_t*)js->out, bytes, NULL, NULL, 0),
            JS_NewInt32(js->context, BENCH_BATCH)};
        JSValue result = call(js, SCALE_ALL, 3, arguments);
        bool failed = JS_IsException(result);
        for (int j = 0; j < 3; j++) JS_FreeValue(js->context, arguments[j]);
        JS_FreeValue(js->context, result);
        if (failed) return false;
    }
    return js->out[2] == 5.0;
}

static bool run_life(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) {
        JSRuntime* runtime = JS_NewRuntime();
        JSContext* context = runtime ? JS_NewContext(runtime) : NULL;
        if (!context) return false;
        JSValue loaded = JS_Eval(context, ten_lines, sizeof ten_lines - 1, "ten", JS_EVAL_TYPE_GLOBAL);
        JSValue global = JS_GetGlobalObject(context), function = JS_GetPropertyStr(context, global, "main");
        JSValue result = JS_Call(context, function, JS_UNDEFINED, 0, NULL);
        int64_t value = 0;
        bool right = !JS_IsException(loaded) && JS_ToInt64(context, &value, result) == 0 && value == 14;
        JS_FreeValue(context, result);
        JS_FreeValue(context, function);
        JS_FreeValue(context, global);
        JS_FreeValue(context, loaded);
        JS_FreeContext(context);
        JS_FreeRuntime(runtime);
        if (!right) return false;
    }
    return true;
}

void bench_add_engine(bench_t* bench);

void bench_add_engine(bench_t* bench) {
    static script_t js;
    JSRuntime* runtime = JS_NewRuntime();
    js.context = runtime ? JS_NewContext(runtime) : NULL;
    js.in = malloc(BENCH_BATCH * sizeof *js.in);
    js.out = malloc(BENCH_BATCH * sizeof *js.out);
    if (!js.context || !js.in || !js.out) exit(1);
    for (size_t i = 0; i < BENCH_BATCH; i++) js.in[i] = (double)i;
    JSValue global = JS_GetGlobalObject(js.context);
    JS_SetPropertyStr(js.context, global, "host", JS_NewCFunction(js.context, host, "host", 1));
    if (JS_IsException(JS_Eval(js.context, source, sizeof source - 1, "bench", JS_EVAL_TYPE_GLOBAL))) {
        fprintf(stderr, "quickjs: the source does not compile\n");
        exit(1);
    }
    for (int i = 0; i < FUNCTIONS; i++) js.functions[i] = JS_GetPropertyStr(js.context, global, names[i]);
    JS_FreeValue(js.context, global);
    js.id = JS_NewAtom(js.context, "id");
    js.count = JS_NewAtom(js.context, "count");
    js.price = JS_NewAtom(js.context, "price");
    js.total = JS_NewAtom(js.context, "total");
    bench_name_version(bench, "quickjs", "2021-03-27");
    bench_add(bench, "empty call", "quickjs", run_empty, &js, 1);
    bench_add(bench, "add (Int, Int) -> Int", "quickjs", run_add, &js, 1);
    bench_add(bench, "string of 20 bytes", "quickjs", run_string, &js, 1);
    bench_add(bench, "record of four fields", "quickjs", run_record, &js, 1);
    bench_add(bench, "host callback round trip", "quickjs", run_callback, &js, 1);
    bench_add(bench, "script to host, in a loop", "quickjs", run_host_loop, &js, BENCH_LOOP);
    bench_add(bench, "batch of 10^6 doubles", "quickjs, array buffer", run_batch_buffer, &js, BENCH_BATCH);
    bench_add(bench, "batch of 10^6 doubles", "quickjs, one call each", run_batch_calls, &js, BENCH_BATCH);
    bench_add(bench, "create load run dispose", "quickjs", run_life, NULL, 1);
}
