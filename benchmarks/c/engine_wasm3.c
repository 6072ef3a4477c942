/* wasm3: functions of guest_wasm.c, looked up once; text, records and batches are copied into the guest's memory and out of it. */
#include "harness.h"

#include "wasm3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 1 << 16 };

typedef struct guest {
    IM3Runtime runtime;
    IM3Function empty, add, echo, total, back, loop, scale, scale_all;
    uint32_t text, record, in, out; /* where they lie in the guest's memory */
    double* host_in;
    double* host_out;
} guest_t;

static m3ApiRawFunction(host) {
    m3ApiReturnType(int64_t);
    m3ApiGetArg(int64_t, x);
    (void)runtime, (void)_ctx, (void)_mem;
    m3ApiReturn(callee_host(x));
}

static bool call(IM3Function function, uint32_t count, const void* arguments[], const void* out) {
    if (m3_Call(function, count, arguments)) return false;
    const void* results[] = {out};
    return !out || !m3_GetResults(function, 1, results);
}

static uint8_t* memory(const guest_t* guest, uint32_t at) {
    uint32_t size;
    return m3_GetMemory(guest->runtime, &size, 0) + at;
}

static bool run_empty(void* state, uint64_t iterations) {
    guest_t* guest = state;
    for (uint64_t i = 0; i < iterations; i++)
        if (!call(guest->empty, 0, NULL, NULL)) return false;
    return true;
}

static bool run_add(void* state, uint64_t iterations) {
    guest_t* guest = state;
    int64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        int64_t other = (int64_t)i & 7;
        if (!call(guest->add, 2, (const void*[]){&sum, &other}, &sum)) return false;
    }
    bench_keep(&sum);
    return true;
}

static bool run_string(void* state, uint64_t iterations) {
    guest_t* guest = state;
    char out[64];
    for (uint64_t i = 0; i < iterations; i++) {
        uint32_t answer;
        memcpy(memory(guest, guest->text), BENCH_TEXT, BENCH_TEXT_LENGTH + 1);
        if (!call(guest->echo, 1, (const void*[]){&guest->text}, &answer)) return false;
        const char* text = (const char*)memory(guest, answer);
        size_t length = strlen(text);
        if (length != BENCH_TEXT_LENGTH) return false;
        memcpy(out, text, length);
        bench_keep(out);
    }
    return true;
}

static bool run_record(void* state, uint64_t iterations) {
    guest_t* guest = state;
    for (uint64_t i = 0; i < iterations; i++) {
        bench_record_t record = {.id = (int64_t)i, .count = 3, .price = 2.5, .total = 0.0};
        uint32_t answer;
        memcpy(memory(guest, guest->record), &record, sizeof record);
        if (!call(guest->total, 1, (const void*[]){&guest->record}, &answer)) return false;
        memcpy(&record, memory(guest, answer), sizeof record);
        if (record.total != 7.5 || record.id != (int64_t)i) return false;
    }
    return true;
}

static bool run_callback(void* state, uint64_t iterations) {
    guest_t* guest = state;
    int64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++)
        if (!call(guest->back, 1, (const void*[]){&sum}, &sum)) return false;
    return sum == (int64_t)iterations;
}

static bool run_host_loop(void* state, uint64_t iterations) {
    guest_t* guest = state;
    int64_t count = BENCH_LOOP, sum;
    for (uint64_t i = 0; i < iterations; i++)
        if (!call(guest->loop, 1, (const void*[]){&count}, &sum) || sum != BENCH_LOOP) return false;
    return true;
}

static bool run_batch_calls(void* state, uint64_t iterations) {
    guest_t* guest = state;
    for (uint64_t i = 0; i < iterations; i++)
        for (size_t j = 0; j < BENCH_BATCH; j++)
            if (!call(guest->scale, 1, (const void*[]){&guest->host_in[j]}, &guest->host_out[j])) return false;
    return guest->host_out[2] == 5.0;
}

static bool run_batch_copied(void* state, uint64_t iterations) {
    guest_t* guest = state;
    int32_t count = BENCH_BATCH;
    for (uint64_t i = 0; i < iterations; i++) {
        memcpy(memory(guest, guest->in), guest->host_in, BENCH_BATCH * sizeof(double));
        if (!call(guest->scale_all, 1, (const void*[]){&count}, NULL)) return false;
        memcpy(guest->host_out, memory(guest, guest->out), BENCH_BATCH * sizeof(double));
    }
    return guest->host_out[2] == 5.0;
}

static void must(M3Result result, const char* what) {
    if (!result) return;
    fprintf(stderr, "wasm3: %s: %s\n", what, result);
    exit(1);
}

static uint32_t place(guest_t* guest, const char* name) {
    IM3Function function;
    uint32_t at = 0;
    must(m3_FindFunction(&function, guest->runtime, name), name);
    if (!call(function, 0, NULL, &at)) must("call failed", name);
    return at;
}

void bench_add_engine(bench_t* bench);

void bench_add_engine(bench_t* bench) {
    static guest_t guest;
    FILE* file = fopen(GUEST, "rb");
    if (!file) {
        bench_name_missing(bench, "wasm3", "the guest was not compiled");
        return;
    }
    fseek(file, 0, SEEK_END);
    size_t length = (size_t)ftell(file);
    rewind(file);
    uint8_t* bytes = malloc(length);
    IM3Environment environment = m3_NewEnvironment();
    guest.runtime = environment ? m3_NewRuntime(environment, STACK_BYTES, NULL) : NULL;
    guest.host_in = malloc(BENCH_BATCH * sizeof(double));
    guest.host_out = malloc(BENCH_BATCH * sizeof(double));
    if (!bytes || !guest.runtime || !guest.host_in || !guest.host_out || fread(bytes, 1, length, file) != length)
        exit(1);
    fclose(file);
    for (size_t i = 0; i < BENCH_BATCH; i++) guest.host_in[i] = (double)i;
    IM3Module module;
    must(m3_ParseModule(environment, &module, bytes, (uint32_t)length), "parse");
    must(m3_LoadModule(guest.runtime, module), "load");
    must(m3_LinkRawFunction(module, "bench", "host", "I(I)", host), "host");
    const struct {
        const char* name;
        IM3Function* function;
    } names[] = {{"empty", &guest.empty}, {"add", &guest.add}, {"echo", &guest.echo}, {"total", &guest.total},
        {"back", &guest.back}, {"loop", &guest.loop}, {"scale", &guest.scale}, {"scale_all", &guest.scale_all}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        must(m3_FindFunction(names[i].function, guest.runtime, names[i].name), names[i].name);
    guest.text = place(&guest, "text_at");
    guest.record = place(&guest, "record_at");
    guest.in = place(&guest, "in_at");
    guest.out = place(&guest, "out_at");
    bench_name_version(bench, "wasm3", M3_VERSION);
    bench_add(bench, "empty call", "wasm3", run_empty, &guest, 1);
    bench_add(bench, "add (Int, Int) -> Int", "wasm3", run_add, &guest, 1);
    bench_add(bench, "string of 20 bytes", "wasm3", run_string, &guest, 1);
    bench_add(bench, "record of four fields", "wasm3", run_record, &guest, 1);
    bench_add(bench, "host callback round trip", "wasm3", run_callback, &guest, 1);
    bench_add(bench, "script to host, in a loop", "wasm3", run_host_loop, &guest, BENCH_LOOP);
    bench_add(bench, "batch of 10^6 doubles", "wasm3, copied", run_batch_copied, &guest, BENCH_BATCH);
    bench_add(bench, "batch of 10^6 doubles", "wasm3, one call each", run_batch_calls, &guest, BENCH_BATCH);
}
