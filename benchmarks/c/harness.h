/*
 * Measuring side by side: every case is run once per round, in turn, so that a disturbance of the machine hits all engines alike;
 * raw samples are kept. Names are borrowed literals. A measuring program is one file and this:
 *
 *     static void add(bench_t* bench) { bench_add(bench, "row", "engine", body, state, 1); }
 *     int main(int argc, char** argv) {
 *         return bench_main(argc, argv, &(bench_program_t){.kind = "start", .title = "Start", .baseline = "lua", .add = add});
 *     }
 *
 * It understands `--json PATH --rounds N --sample-ms MS --only TEXT` and stands on one core, unless `threads` says that it needs all.
 * What it writes is read by benchmarks/report.py (the form is in benchmarks/measurement.schema.json).
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { BENCH_MAX_CASES = 160, BENCH_MAX_ROUNDS = 101, BENCH_MAX_MISSING = 16, BENCH_RECORD_FIELDS = 4 };

/* Does the work `iterations` times; false when the engine answered wrongly (its case is then reported as failed, not timed). */
typedef bool (*bench_body_t)(void* state, uint64_t iterations);

/* Measures one sample itself: time of something that is no loop, bytes, records per second. False as above. */
typedef bool (*bench_measure_t)(void* state, double* out_sample);

typedef struct bench_case {
    const char* row;
    const char* engine;
    const char*
        unit; /* of the samples: "ns" for bodies; "us", "ms", "bytes", "KiB", "records/s", "share": more is better for the last two */
    bench_body_t body;
    bench_measure_t measure; /* instead of body */
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
    char pinned[64];  /* the core that the process stands on, or why it stands on none */
    char load[64];    /* of the machine, before */
    bool processor_time;
} bench_t;

typedef struct bench_program {
    const char* kind;     /* names the file and its part of the report: small letters and hyphens */
    const char* title;    /* heading in the report */
    const char* baseline; /* the engine that others are divided by; NULL for none */
    const char* note;     /* a sentence under the table; NULL for none */
    bool threads;         /* it runs on several cores: not pinned, timed on the wall */
    bool wall;            /* timed on the wall: it waits for something; else by what the process used of processors */
    void (*add)(bench_t* bench);
} bench_program_t;

/* The whole program. Status: 0, 1 when an engine answered wrongly, 2 for wrong usage. */
int bench_main(int argc, char** argv, const bench_program_t* program);

void bench_add(bench_t* bench, const char* row, const char* engine, bench_body_t body, void* state, double units);
/* For what is not a loop: `measure` is called once a round, each value is a sample in `unit`. */
void bench_add_measure(
    bench_t* bench, const char* row, const char* engine, const char* unit, bench_measure_t measure, void* state);
void bench_name_missing(bench_t* bench, const char* engine, const char* reason);
void bench_name_version(bench_t* bench, const char* engine, const char* version);

uint64_t bench_now_ns(void);       /* on the wall */
uint64_t bench_processor_ns(void); /* used by this process, all threads */
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
void callee_line_all(const double* in, double* out, size_t count);
void callee_branch_all(const double* in, double* out, size_t count);

/* One per engine; each adds its cases or names itself missing. */
void bench_add_raw(bench_t* bench);
void bench_add_lua(bench_t* bench);
void bench_add_reml(bench_t* bench);

#endif
