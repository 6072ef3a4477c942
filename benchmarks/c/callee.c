#include "harness.h"

#include <string.h>

static volatile int64_t calls;

void callee_empty(void) { calls = calls + 1; }

int64_t callee_add(int64_t a, int64_t b) { return a + b; }

size_t callee_echo(const char* text, size_t length, char* out) {
    memcpy(out, text, length);
    return length;
}

bench_record_t callee_total(bench_record_t record) {
    record.total = record.price * (double)record.count;
    return record;
}

int64_t callee_host(int64_t x) { return x + 1; }

double callee_scale(double x) { return x * 1.5 + 2.0; }

void callee_scale_all(const double* in, double* out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = in[i] * 1.5 + 2.0;
}

void callee_line_all(const double* in, double* out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = in[i] * 2.0 + 1.0;
}

void callee_branch_all(const double* in, double* out, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = in[i] > 500000.0 ? in[i] * 2.0 + 1.0 : 0.5 - in[i];
}
