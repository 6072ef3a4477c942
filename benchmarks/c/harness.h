/*
 * Measuring loops side by side: every case of a row is run once per round, in turn, so that a disturbance of the machine hits all
 * engines alike; raw samples are kept. Single-threaded; a bench lives from bench_init to bench_deinit; names are borrowed literals.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { BENCH_MAX_CASES = 96, BENCH_MAX_ROUNDS = 101, BENCH_MAX_MISSING = 16, BENCH_RECORD_FIELDS = 4 };

/* Does the work `iterations` times; false when the engine answered wrongly (its case is then reported as failed, not timed). */
typedef bool (*bench_body_t)(void* state, uint64_t iterations);

typedef struct bench_case {
    const char* row;
    const char* engine;
    bench_body_t body;
    void* state;
    double units;        /* what one iteration counts for, e.g. elements of a batch */
    uint64_t iterations; /* of one sample, found by calibration */
    double samples[BENCH_MAX_ROUNDS];
    bool failed;
} bench_case_t;

typedef struct bench {
    bench_case_t cases[BENCH_MAX_CASES];
    size_t count;
    struct {
        const char* engine;
        const char* reason;
    } missing[BENCH_MAX_MISSING];
    size_t missing_count;
    struct {
        const char* engine;
        const char* version;
    } versions[BENCH_MAX_MISSING];
    size_t version_count;
    int rounds;
    double sample_ms;
    const char* only; /* rows whose name contains this, or NULL for all */
} bench_t;

void bench_init(bench_t* bench);
void bench_add(bench_t* bench, const char* row, const char* engine, bench_body_t body, void* state, double units);
void bench_name_missing(bench_t* bench, const char* engine, const char* reason);
void bench_name_version(bench_t* bench, const char* engine, const char* version);
void bench_run(bench_t* bench);
void bench_print(const bench_t* bench, FILE* stream, const char* baseline);
bool bench_write_json(const bench_t* bench, const char* path, const char* kind);

uint64_t bench_now_ns(void);
/* The compiler must assume that `pointer` is read and written here. */
static inline void bench_keep(void* pointer) { __asm__ volatile("" : : "r"(pointer) : "memory"); }

/* The record that crosses in the record row. */
typedef struct bench_record {
    int64_t id;
    int64_t count;
    double price;
    double total;
} bench_record_t;

#define BENCH_TEXT        "twenty bytes of text"
#define BENCH_TEXT_LENGTH 20
#define BENCH_BATCH       1000000
#define BENCH_LOOP        1000

/* callee.c: the C side of every row, compiled apart so that nothing is inlined. */
void callee_empty(void);
int64_t callee_add(int64_t a, int64_t b);
size_t callee_echo(const char* text, size_t length, char* out);
bench_record_t callee_total(bench_record_t record);
int64_t callee_host(int64_t x);
double callee_scale(double x);
void callee_scale_all(const double* in, double* out, size_t count);

/* One per engine; each adds its cases or names itself missing. */
void bench_add_raw(bench_t* bench);
void bench_add_lua(bench_t* bench);
void bench_add_reml(bench_t* bench);

#endif
