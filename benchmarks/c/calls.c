/*
 * Crossing the border, engine beside engine in one process:
 *     calls [--json PATH] [--rounds N] [--sample-ms MS] [--only TEXT]
 * Prints medians and the ratio to Lua; PATH receives every raw sample. Exit status 1 when an engine answered wrongly.
 */
#include "harness.h"

#ifndef HAVE_REML
void bench_add_reml(bench_t* bench) { bench_name_missing(bench, "reml", "built without the library"); }
#endif

static void add(bench_t* bench) {
    bench_add_raw(bench);
    bench_add_lua(bench);
    bench_add_reml(bench);
}

int main(int argc, char** argv) {
    return bench_main(
        argc, argv, &(bench_program_t){.kind = "c-calls", .title = "Calls from C", .baseline = "lua", .add = add});
}
