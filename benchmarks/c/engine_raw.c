/* C through function pointers that the compiler cannot see through: the floor under every row. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

static void (*volatile raw_empty)(void) = callee_empty;
static int64_t (*volatile raw_add)(int64_t, int64_t) = callee_add;
static size_t (*volatile raw_echo)(const char*, size_t, char*) = callee_echo;
static bench_record_t (*volatile raw_total)(bench_record_t) = callee_total;
static int64_t (*volatile raw_host)(int64_t) = callee_host;
static double (*volatile raw_scale)(double) = callee_scale;
static void (*volatile raw_scale_all)(const double*, double*, size_t) = callee_scale_all;

static double* batch_in;
static double* batch_out;

static bool run_empty(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) raw_empty();
    return true;
}

static bool run_add(void* state, uint64_t iterations) {
    (void)state;
    int64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++) sum = raw_add(sum, (int64_t)i & 7);
    bench_keep(&sum);
    return true;
}

static bool run_string(void* state, uint64_t iterations) {
    (void)state;
    char out[64];
    for (uint64_t i = 0; i < iterations; i++) {
        if (raw_echo(BENCH_TEXT, BENCH_TEXT_LENGTH, out) != BENCH_TEXT_LENGTH) return false;
        bench_keep(out);
    }
    return true;
}

static bool run_record(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) {
        bench_record_t record = {.id = (int64_t)i, .count = 3, .price = 2.5, .total = 0.0};
        record = raw_total(record);
        if (record.total != 7.5) return false;
    }
    return true;
}

static int64_t call_back(int64_t x) { return raw_host(x); }
static int64_t (*volatile raw_call_back)(int64_t) = call_back;

static bool run_callback(void* state, uint64_t iterations) {
    (void)state;
    int64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++) sum = raw_call_back(sum);
    return sum == (int64_t)iterations;
}

static bool run_host_loop(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) {
        int64_t sum = 0;
        for (int j = 0; j < BENCH_LOOP; j++) sum = raw_host(sum);
        if (sum != BENCH_LOOP) return false;
    }
    return true;
}

static bool run_batch_calls(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++)
        for (size_t j = 0; j < BENCH_BATCH; j++) batch_out[j] = raw_scale(batch_in[j]);
    return batch_out[2] == 5.0;
}

static bool run_batch(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) raw_scale_all(batch_in, batch_out, BENCH_BATCH);
    return batch_out[2] == 5.0;
}

void bench_add_raw(bench_t* bench) {
    batch_in = malloc(BENCH_BATCH * sizeof *batch_in);
    batch_out = malloc(BENCH_BATCH * sizeof *batch_out);
    if (!batch_in || !batch_out) exit(1);
    for (size_t i = 0; i < BENCH_BATCH; i++) batch_in[i] = (double)i;
    bench_add(bench, "empty call", "c", run_empty, NULL, 1);
    bench_add(bench, "add (Int, Int) -> Int", "c", run_add, NULL, 1);
    bench_add(bench, "string of 20 bytes", "c", run_string, NULL, 1);
    bench_add(bench, "record of four fields", "c", run_record, NULL, 1);
    bench_add(bench, "host callback round trip", "c", run_callback, NULL, 1);
    bench_add(bench, "script to host, in a loop", "c", run_host_loop, NULL, BENCH_LOOP);
    bench_add(bench, "batch of 10^6 doubles", "c", run_batch, NULL, BENCH_BATCH);
    bench_add(bench, "batch of 10^6 doubles", "c, one call each", run_batch_calls, NULL, BENCH_BATCH);
}
