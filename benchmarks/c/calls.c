/*
 * Crossing the border, engine beside engine in one process:
 *     calls [--json PATH] [--rounds N] [--sample-ms MS] [--only TEXT]
 * Prints medians and the ratio to Lua; PATH receives every raw sample. Exit status 1 when an engine answered wrongly.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#ifndef HAVE_REML
void bench_add_reml(bench_t* bench) { bench_name_missing(bench, "reml", "built without the library"); }
#endif

int main(int argc, char** argv) {
    static bench_t bench;
    const char* json = NULL;
    bench_init(&bench);
    for (int i = 1; i < argc; i++) {
        const char* value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strcmp(argv[i], "--json") == 0) json = value;
        else if (value && strcmp(argv[i], "--rounds") == 0) bench.rounds = atoi(value);
        else if (value && strcmp(argv[i], "--sample-ms") == 0) bench.sample_ms = atof(value);
        else if (value && strcmp(argv[i], "--only") == 0) bench.only = value;
        else {
            fprintf(stderr, "usage: calls [--json PATH] [--rounds N] [--sample-ms MS] [--only TEXT]\n");
            return 2;
        }
        i++;
    }
    if (bench.rounds < 1 || bench.rounds > BENCH_MAX_ROUNDS || !(bench.sample_ms > 0)) {
        fprintf(stderr, "calls: rounds are 1 to %d, sample-ms is positive\n", BENCH_MAX_ROUNDS);
        return 2;
    }
    bench_add_raw(&bench);
    bench_add_lua(&bench);
    bench_add_reml(&bench);
    bench_run(&bench);
    bench_print(&bench, stdout, "lua");
    if (json && !bench_write_json(&bench, json, "c-calls")) {
        fprintf(stderr, "calls: cannot write %s\n", json);
        return 2;
    }
    for (size_t i = 0; i < bench.count; i++)
        if (bench.cases[i].failed) return 1;
    return 0;
}
