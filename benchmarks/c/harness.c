#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

uint64_t bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_init(bench_t* bench) {
    memset(bench, 0, sizeof *bench);
    bench->rounds = 15;
    bench->sample_ms = 20.0;
}

void bench_add(bench_t* bench, const char* row, const char* engine, bench_body_t body, void* state, double units) {
    if (bench->only && !strstr(row, bench->only)) return;
    if (bench->count == BENCH_MAX_CASES) return;
    bench->cases[bench->count++] =
        (bench_case_t){.row = row, .engine = engine, .body = body, .state = state, .units = units};
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
    uint64_t wanted = (uint64_t)(bench->sample_ms * 1e6);
    item->iterations = 1;
    for (;;) {
        uint64_t start = bench_now_ns();
        if (!item->body(item->state, item->iterations)) {
            item->failed = true;
            return;
        }
        uint64_t taken = bench_now_ns() - start;
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

void bench_run(bench_t* bench) {
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
            if (item->failed) continue;
            uint64_t start = bench_now_ns();
            if (!item->body(item->state, item->iterations)) item->failed = true;
            item->samples[round] = (double)(bench_now_ns() - start) / ((double)item->iterations * item->units);
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

void bench_print(const bench_t* bench, FILE* stream, const char* baseline) {
    fprintf(stream, "%-28s %-22s %14s %10s\n", "row", "engine", "ns, median", baseline);
    for (size_t i = 0; i < bench->count; i++) {
        const bench_case_t* item = &bench->cases[i];
        bool first = i == 0 || strcmp(bench->cases[i - 1].row, item->row) != 0;
        const bench_case_t* base = NULL;
        for (size_t j = 0; j < bench->count; j++) {
            const bench_case_t* other = &bench->cases[j];
            if (!other->failed && strcmp(other->row, item->row) == 0 && strcmp(other->engine, baseline) == 0)
                base = other;
        }
        fprintf(stream, "%-28s %-22s ", first ? item->row : "", item->engine);
        if (item->failed) fprintf(stream, "%14s\n", "wrong result");
        else if (base)
            fprintf(stream, "%14.2f %9.2fx\n", median(item, bench->rounds),
                median(item, bench->rounds) / median(base, bench->rounds));
        else fprintf(stream, "%14.2f %10s\n", median(item, bench->rounds), "-");
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

static void write_environment(FILE* stream) {
    char processor[256] = "unknown", load[128] = "unknown", line[512];
    FILE* file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(processor, sizeof processor, "%s", strchr(line, ':') + 2);
            processor[strcspn(processor, "\n")] = 0;
            break;
        }
    if (file) fclose(file);
    file = fopen("/proc/loadavg", "r");
    if (file && fgets(load, sizeof load, file)) load[strcspn(load, "\n")] = 0;
    if (file) fclose(file);
    struct utsname names;
    char kernel[256] = "unknown", when[32];
    if (uname(&names) == 0)
        snprintf(kernel, sizeof kernel, "%.60s %.60s %.60s", names.sysname, names.release, names.machine);
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    fprintf(stream, "{\"processor\": ");
    write_string(stream, processor);
    fprintf(stream, ", \"kernel\": ");
    write_string(stream, kernel);
    fprintf(stream, ", \"compiler\": ");
    write_string(stream, __VERSION__);
    fprintf(stream, ", \"load\": ");
    write_string(stream, load);
    fprintf(stream, ", \"time\": \"%s\"}", when);
}

bool bench_write_json(const bench_t* bench, const char* path, const char* kind) {
    FILE* stream = fopen(path, "w");
    if (!stream) return false;
    fprintf(stream, "{\n\"kind\": \"%s\",\n\"unit\": \"ns\",\n\"environment\": ", kind);
    write_environment(stream);
    fprintf(stream, ",\n\"versions\": {");
    for (size_t i = 0; i < bench->version_count; i++) {
        fprintf(stream, "%s\"%s\": ", i ? ", " : "", bench->versions[i].engine);
        write_string(stream, bench->versions[i].version);
    }
    fprintf(stream, "},\n\"missing\": {");
    for (size_t i = 0; i < bench->missing_count; i++) {
        fprintf(stream, "%s\"%s\": ", i ? ", " : "", bench->missing[i].engine);
        write_string(stream, bench->missing[i].reason);
    }
    fprintf(stream, "},\n\"rows\": [");
    for (size_t i = 0; i < bench->count; i++) {
        const bench_case_t* item = &bench->cases[i];
        fprintf(stream,
            "%s\n{\"row\": \"%s\", \"engine\": \"%s\", \"iterations\": %llu, \"failed\": %s, \"samples\": [",
            i ? "," : "", item->row, item->engine, (unsigned long long)item->iterations,
            item->failed ? "true" : "false");
        for (int round = 0; !item->failed && round < bench->rounds; round++)
            fprintf(stream, "%s%.4f", round ? ", " : "", item->samples[round]);
        fprintf(stream, "]}");
    }
    fprintf(stream, "\n]\n}\n");
    return fclose(stream) == 0;
}
