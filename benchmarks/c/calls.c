/*
 * Crossing the border, engine beside engine in one process:
 *     calls [--json PATH] [--rounds N] [--sample-ms MS] [--only TEXT]
 * Prints medians and the ratio to Lua; PATH receives every raw sample. Exit status 1 when an engine answered wrongly.
 *
 * Engines that are built apart (build_peers.py) are loaded from BENCH_ENGINES, each with its own symbols first: LuaJIT and Lua have
 * the same names.
 */
#include "harness.h"

#include <dlfcn.h>
#include <string.h>

#ifndef BENCH_ENGINES
#define BENCH_ENGINES "build/bench/engines"
#endif

#ifndef RTLD_DEEPBIND
#define RTLD_DEEPBIND 0
#endif

#ifdef HAVE_REML
static const char kind[] = "c-calls", title[] = "Calls from C";
#else
static const char kind[] = "c-peers", title[] = "Calls from C, the peers alone";
void bench_add_reml(bench_t* bench) { bench_name_missing(bench, "reml", "built without the library"); }
#endif

/* The reason that build_peers.py left, or that there is none. */
static const char* reason(const char* engine, char* out, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s.missing", BENCH_ENGINES, engine);
    FILE* file = fopen(path, "r");
    if (!file || !fgets(out, (int)size, file)) snprintf(out, size, "not built: make bench-engines");
    if (file) fclose(file);
    out[strcspn(out, "\n")] = 0;
    return out;
}

static void add_loaded(bench_t* bench) {
    static const char* const engines[] = {"luajit", "wasm3", "quickjs", "wren"};
    static char reasons[sizeof engines / sizeof *engines][256];
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        char path[512];
        void (*add_engine)(bench_t*) = NULL;
        snprintf(path, sizeof path, "%s/%s.so", BENCH_ENGINES, engines[i]);
        void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
        void* symbol = library ? dlsym(library, "bench_add_engine") : NULL;
        memcpy(&add_engine, &symbol, sizeof add_engine);
        if (add_engine) add_engine(bench);
        else bench_name_missing(bench, engines[i], reason(engines[i], reasons[i], sizeof reasons[i]));
    }
}

static void add(bench_t* bench) {
    bench_add_raw(bench);
    bench_add_lua(bench);
    bench_add_reml(bench);
    add_loaded(bench);
}

int main(int argc, char** argv) {
    return bench_main(argc, argv,
        &(bench_program_t){.kind = kind,
            .title = title,
            .baseline = "lua",
            .note = "Batches: per element. Text, records and batches are copied into wasm3's memory and out of it.",
            .add = add});
}
