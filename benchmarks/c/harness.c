#include "harness.h"

#ifdef __linux__
#include <sched.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "GCC " __VERSION__
#endif

#ifndef BENCH_FLAGS
#define BENCH_FLAGS "unknown"
#endif

static uint64_t read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now_ns(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t bench_processor_ns(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

static uint64_t now(const bench_t* bench) { return bench->processor_time ? bench_processor_ns() : bench_now_ns(); }

/* The core named by BENCH_CPU ("none" for none), else the last that this process may use: the first ones get the interrupts. */
static void pin(bench_t* bench, bool threads) {
    const char* wanted = getenv("BENCH_CPU");
    if (threads) snprintf(bench->pinned, sizeof bench->pinned, "no: it uses all cores");
    else if (wanted && strcmp(wanted, "none") == 0) snprintf(bench->pinned, sizeof bench->pinned, "no: BENCH_CPU=none");
    else {
#ifdef __linux__
        cpu_set_t allowed;
        int core = -1;
        if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
            for (int i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &allowed)) core = i;
        if (wanted && *wanted) core = atoi(wanted);
        CPU_ZERO(&allowed);
        if (core >= 0 && core < CPU_SETSIZE) CPU_SET(core, &allowed);
        if (core >= 0 && sched_setaffinity(0, sizeof allowed, &allowed) == 0)
            snprintf(bench->pinned, sizeof bench->pinned, "core %d", core);
        else snprintf(bench->pinned, sizeof bench->pinned, "no: refused");
#else
        snprintf(bench->pinned, sizeof bench->pinned, "no: this system has no such call");
#endif
    }
}

static void read_load(char* out, size_t size) {
    FILE* file = fopen("/proc/loadavg", "r");
    snprintf(out, size, "unknown");
    if (!file) return;
    if (!fgets(out, (int)size, file)) snprintf(out, size, "unknown");
    out[strcspn(out, "\n")] = 0;
    fclose(file);
}

static bench_case_t* add(bench_t* bench, const char* row, const char* engine) {
    if (bench->only && !strstr(row, bench->only)) return NULL;
    if (bench->count == BENCH_MAX_CASES) {
        fprintf(stderr, "more than %d cases: raise BENCH_MAX_CASES\n", BENCH_MAX_CASES);
        exit(2);
    }
    bench_case_t* item = &bench->cases[bench->count++];
    *item = (bench_case_t){.row = row, .engine = engine, .unit = "ns", .units = 1, .iterations = 1};
    return item;
}

void bench_add(bench_t* bench, const char* row, const char* engine, bench_body_t body, void* state, double units) {
    bench_case_t* item = add(bench, row, engine);
    if (!item) return;
    item->body = body;
    item->state = state;
    item->units = units;
}

void bench_add_measure(
    bench_t* bench, const char* row, const char* engine, const char* unit, bench_measure_t measure, void* state) {
    bench_case_t* item = add(bench, row, engine);
    if (!item) return;
    item->unit = unit;
    item->measure = measure;
    item->state = state;
}

void bench_name_missing(bench_t* bench, const char* engine, const char* reason) {
    if (bench->missing_count == BENCH_MAX_MISSING) return;
    bench->missing[bench->missing_count].engine = engine;
    bench->missing[bench->missing_count++].reason = reason;
}

void bench_name_version(bench_t* bench, const char* engine, const char* version) {
    if (bench->version_count == BENCH_MAX_MISSING) return;
    bench->versions[bench->version_count].engine = engine;
    bench->versions[bench->version_count++].version = version;
}

/* The number of iterations that takes about sample_ms; doubling also warms the caches up. */
static void calibrate(const bench_t* bench, bench_case_t* item) {
    double ignored;
    if (item->measure) { /* warm, unless one round is all that is wanted */
        if (bench->rounds > 1) item->failed = !item->measure(item->state, &ignored);
        return;
    }
    uint64_t wanted = (uint64_t)(bench->sample_ms * 1e6);
    item->iterations = 1;
    for (;;) {
        uint64_t start = now(bench);
        if (!item->body(item->state, item->iterations)) {
            item->failed = true;
            return;
        }
        uint64_t taken = now(bench) - start;
        if (taken >= wanted || item->iterations >= (uint64_t)1 << 40) return;
        if (taken < wanted / 16) item->iterations *= 4;
        else {
            uint64_t next = (uint64_t)((double)item->iterations * (double)wanted / (double)taken);
            item->iterations = next > item->iterations ? next : item->iterations + 1;
            return;
        }
    }
}

static int compare_names(const void* a, const void* b) {
    return strcmp(((const bench_case_t*)a)->row, ((const bench_case_t*)b)->row);
}

static void sample(const bench_t* bench, bench_case_t* item, double* out) {
    if (item->measure) {
        if (!item->measure(item->state, out)) item->failed = true;
        return;
    }
    uint64_t start = now(bench);
    if (!item->body(item->state, item->iterations)) item->failed = true;
    *out = (double)(now(bench) - start) / ((double)item->iterations * item->units);
}

static void run(bench_t* bench) {
    /* Cases of a row stand side by side; a stable order of engines within it. */
    bench_case_t* sorted = malloc(bench->count * sizeof *sorted);
    size_t filled = 0;
    if (!sorted) return;
    for (size_t i = 0; i < bench->count; i++) {
        bool seen = false;
        for (size_t j = 0; j < filled; j++) seen = seen || compare_names(&sorted[j], &bench->cases[i]) == 0;
        if (seen) continue;
        for (size_t j = i; j < bench->count; j++)
            if (compare_names(&bench->cases[j], &bench->cases[i]) == 0) sorted[filled++] = bench->cases[j];
    }
    memcpy(bench->cases, sorted, bench->count * sizeof *sorted);
    free(sorted);

    for (size_t i = 0; i < bench->count; i++) calibrate(bench, &bench->cases[i]);
    for (int round = 0; round < bench->rounds; round++)
        for (size_t i = 0; i < bench->count; i++) {
            bench_case_t* item = &bench->cases[i];
            if (!item->failed) sample(bench, item, &item->samples[round]);
        }
}

static int compare_doubles(const void* a, const void* b) {
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static double median(const bench_case_t* item, int rounds) {
    double sorted[BENCH_MAX_ROUNDS];
    memcpy(sorted, item->samples, (size_t)rounds * sizeof *sorted);
    qsort(sorted, (size_t)rounds, sizeof *sorted, compare_doubles);
    return rounds % 2 ? sorted[rounds / 2] : (sorted[rounds / 2 - 1] + sorted[rounds / 2]) / 2;
}

static void print(const bench_t* bench, FILE* stream, const char* baseline) {
    fprintf(stream, "%-28s %-22s %14s %-10s %10s\n", "row", "engine", "median", "", baseline ? baseline : "");
    for (size_t i = 0; i < bench->count; i++) {
        const bench_case_t* item = &bench->cases[i];
        bool first = i == 0 || strcmp(bench->cases[i - 1].row, item->row) != 0;
        const bench_case_t* base = NULL;
        for (size_t j = 0; j < bench->count; j++) {
            const bench_case_t* other = &bench->cases[j];
            if (baseline && !other->failed && strcmp(other->row, item->row) == 0 &&
                strcmp(other->unit, item->unit) == 0 && strcmp(other->engine, baseline) == 0)
                base = other;
        }
        fprintf(stream, "%-28s %-22s ", first ? item->row : "", item->engine);
        if (item->failed) fprintf(stream, "%14s\n", "wrong result");
        else if (base)
            fprintf(stream, "%14.2f %-10s %9.2fx\n", median(item, bench->rounds), item->unit,
                median(item, bench->rounds) / median(base, bench->rounds));
        else fprintf(stream, "%14.2f %-10s\n", median(item, bench->rounds), item->unit);
    }
    for (size_t i = 0; i < bench->missing_count; i++)
        fprintf(stream, "missing: %s (%s)\n", bench->missing[i].engine, bench->missing[i].reason);
}

/* Text from outside (processor name, compiler) may hold anything. */
static void write_string(FILE* stream, const char* text) {
    fputc('"', stream);
    for (const unsigned char* at = (const unsigned char*)text; *at; at++) {
        if (*at == '"' || *at == '\\') fprintf(stream, "\\%c", *at);
        else if (*at < 0x20) fprintf(stream, "\\u%04x", *at);
        else fputc(*at, stream);
    }
    fputc('"', stream);
}

static void write_member(FILE* stream, const char* key, const char* text) {
    fprintf(stream, "\"%s\": ", key);
    write_string(stream, text);
}

static void write_environment(const bench_t* bench, FILE* stream) {
    char processor[256] = "unknown", kernel[256] = "unknown", load[64], line[512], when[32];
    FILE* file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(processor, sizeof processor, "%s", strchr(line, ':') + 2);
            processor[strcspn(processor, "\n")] = 0;
            break;
        }
    if (file) fclose(file);
    struct utsname names;
    if (uname(&names) == 0)
        snprintf(kernel, sizeof kernel, "%.60s %.60s %.60s", names.sysname, names.release, names.machine);
    time_t today = time(NULL);
    struct tm utc;
    gmtime_r(&today, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    read_load(load, sizeof load);
    const char* const members[][2] = {{"processor", processor}, {"kernel", kernel}, {"compiler", COMPILER},
        {"flags", BENCH_FLAGS}, {"pinned", bench->pinned}, {"clock", bench->processor_time ? "processor time" : "wall"},
        {"load before", bench->load}, {"load after", load}, {"time", when}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        fputs(i ? ", " : "{", stream);
        write_member(stream, members[i][0], members[i][1]);
    }
    fputs("}", stream);
}

static bool write_json(const bench_t* bench, const bench_program_t* program, const char* path) {
    FILE* stream = fopen(path, "w");
    if (!stream) return false;
    fputs("{\n", stream);
    write_member(stream, "kind", program->kind);
    fputs(",\n", stream);
    write_member(stream, "title", program->title);
    fputs(",\n", stream);
    write_member(stream, "baseline", program->baseline ? program->baseline : "");
    fputs(",\n", stream);
    write_member(stream, "note", program->note ? program->note : "");
    fputs(",\n\"unit\": \"ns\",\n\"environment\": ", stream);
    write_environment(bench, stream);
    fputs(",\n\"versions\": {", stream);
    for (size_t i = 0; i < bench->version_count; i++) {
        fputs(i ? ", " : "", stream);
        write_member(stream, bench->versions[i].engine, bench->versions[i].version);
    }
    fputs("},\n\"missing\": {", stream);
    for (size_t i = 0; i < bench->missing_count; i++) {
        fputs(i ? ", " : "", stream);
        write_member(stream, bench->missing[i].engine, bench->missing[i].reason);
    }
    fputs("},\n\"rows\": [", stream);
    for (size_t i = 0; i < bench->count; i++) {
        const bench_case_t* item = &bench->cases[i];
        fputs(i ? ",\n{" : "\n{", stream);
        write_member(stream, "row", item->row);
        fputs(", ", stream);
        write_member(stream, "engine", item->engine);
        fputs(", ", stream);
        write_member(stream, "unit", item->unit);
        fprintf(stream, ", \"iterations\": %llu, \"failed\": %s, \"samples\": [", (unsigned long long)item->iterations,
            item->failed ? "true" : "false");
        for (int round = 0; !item->failed && round < bench->rounds; round++)
            fprintf(stream, "%s%.9g", round ? ", " : "", item->samples[round]);
        fprintf(stream, "]}");
    }
    fprintf(stream, "\n]\n}\n");
    return fclose(stream) == 0;
}

/* One case alone, for whoever counts instructions: set-up and so many iterations. */
static int run_one(const bench_t* bench, const char* row, const char* engine, uint64_t iterations) {
    for (size_t i = 0; i < bench->count; i++) {
        const bench_case_t* item = &bench->cases[i];
        if (item->body && strcmp(item->row, row) == 0 && strcmp(item->engine, engine) == 0)
            return item->body(item->state, iterations) ? 0 : 1;
    }
    fprintf(stderr, "no such case: %s, %s\n", row, engine);
    return 2;
}

int bench_main(int argc, char** argv, const bench_program_t* program) {
    static bench_t bench;
    const char *json = NULL, *row = "", *engine = "";
    uint64_t count = 0;
    bool usage = false, list = false;
    bench.rounds = 15;
    bench.sample_ms = 20.0;
    for (int i = 1; i < argc && !usage; i += 2) {
        const char* value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strcmp(argv[i], "--json") == 0) json = value;
        else if (value && strcmp(argv[i], "--rounds") == 0) bench.rounds = atoi(value);
        else if (value && strcmp(argv[i], "--sample-ms") == 0) bench.sample_ms = atof(value);
        else if (value && strcmp(argv[i], "--only") == 0) bench.only = value;
        else if (value && strcmp(argv[i], "--list") == 0) list = true;
        else if (value && strcmp(argv[i], "--count") == 0) count = strtoull(value, NULL, 10);
        else if (value && strcmp(argv[i], "--row") == 0) row = value;
        else if (value && strcmp(argv[i], "--engine") == 0) engine = value;
        else usage = true;
    }
    if (usage || bench.rounds < 1 || bench.rounds > BENCH_MAX_ROUNDS || !(bench.sample_ms > 0)) {
        fprintf(stderr,
            "usage: %s [--json PATH] [--rounds N] [--sample-ms MS] [--only TEXT]\n"
            "       %s --list yes | --count ITERATIONS --row ROW --engine ENGINE\n"
            "rounds are 1 to %d, sample-ms is positive\n",
            program->kind, program->kind, BENCH_MAX_ROUNDS);
        return 2;
    }
    bench.processor_time = !program->threads && !program->wall;
    pin(&bench, program->threads);
    read_load(bench.load, sizeof bench.load);
    program->add(&bench);
    for (size_t i = 0; list && i < bench.count; i++)
        if (bench.cases[i].body)
            printf("%s\t%s\t%.17g\n", bench.cases[i].row, bench.cases[i].engine, bench.cases[i].units);
    if (list) return 0;
    if (count) return run_one(&bench, row, engine, count);
    run(&bench);
    print(&bench, stdout, program->baseline);
    if (json && !write_json(&bench, program, json)) {
        fprintf(stderr, "%s: cannot write %s\n", program->kind, json);
        return 2;
    }
    for (size_t i = 0; i < bench.count; i++)
        if (bench.cases[i].failed) return 1;
    return 0;
}
