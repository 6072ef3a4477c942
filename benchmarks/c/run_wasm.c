/*
 * Load one WebAssembly file into wasm3 and run its _start: run-wasm FILE
 * The few WASI calls that a C program makes to write to stdout are here; files cannot be opened. Exit status as the program's, 1 when
 * it traps, 2 for wrong usage.
 */
#include "wasm3.h"

#include <stdio.h>
#include <string.h>

enum { STACK_BYTES = 1 << 20, BAD_DESCRIPTOR = 8, CHARACTER_DEVICE = 2 };

static int exit_status;

/* The arguments of a raw function lie on wasm3's stack; its macros take them off one by one. */
static m3ApiRawFunction(fd_write) {
    m3ApiReturnType(uint32_t);
    m3ApiGetArg(uint32_t, descriptor);
    m3ApiGetArgMem(uint32_t*, vectors);
    m3ApiGetArg(uint32_t, count);
    m3ApiGetArgMem(uint32_t*, out_written);
    uint32_t written = 0;
    (void)_ctx;
    if (descriptor != 1 && descriptor != 2) m3ApiReturn(BAD_DESCRIPTOR);
    for (uint32_t i = 0; i < count; i++) {
        m3ApiCheckMem(&vectors[2 * i], 8);
        const void* bytes = m3ApiOffsetToPtr(vectors[2 * i]);
        uint32_t length = vectors[2 * i + 1];
        m3ApiCheckMem(bytes, length);
        written += (uint32_t)fwrite(bytes, 1, length, descriptor == 1 ? stdout : stderr);
    }
    m3ApiCheckMem(out_written, 4);
    *out_written = written;
    m3ApiReturn(0);
}

static m3ApiRawFunction(fd_fdstat_get) {
    m3ApiReturnType(uint32_t);
    m3ApiGetArg(uint32_t, descriptor);
    m3ApiGetArgMem(uint8_t*, out_stat);
    (void)_ctx;
    if (descriptor > 2) m3ApiReturn(BAD_DESCRIPTOR);
    m3ApiCheckMem(out_stat, 24);
    memset(out_stat, 0, 24);
    out_stat[0] = CHARACTER_DEVICE;
    m3ApiReturn(0);
}

static m3ApiRawFunction(fd_seek) {
    m3ApiReturnType(uint32_t);
    (void)runtime, (void)_ctx, (void)_mem;
    m3ApiReturn(BAD_DESCRIPTOR);
}

static m3ApiRawFunction(fd_close) {
    m3ApiReturnType(uint32_t);
    (void)runtime, (void)_ctx, (void)_mem;
    m3ApiReturn(0);
}

static m3ApiRawFunction(proc_exit) {
    m3ApiGetArg(int32_t, status);
    (void)runtime, (void)_ctx, (void)_mem;
    exit_status = status;
    m3ApiTrap(m3Err_trapExit);
}

static void must(M3Result result, const char* what) {
    if (!result) return;
    fprintf(stderr, "%s: %s\n", what, result);
    exit(1);
}

static void import(IM3Module module, const char* name, const char* signature, M3RawCall function) {
    M3Result result = m3_LinkRawFunction(module, "wasi_snapshot_preview1", name, signature, function);
    if (result != m3Err_functionLookupFailed) must(result, name);
}

int main(int argc, char** argv) {
    FILE* file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: run-wasm FILE\n");
        return 2;
    }
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    uint8_t* bytes = malloc((size_t)length);
    IM3Environment environment = m3_NewEnvironment();
    IM3Runtime runtime = environment ? m3_NewRuntime(environment, STACK_BYTES, NULL) : NULL;
    IM3Module module;
    IM3Function start;
    if (!bytes || !runtime || fread(bytes, 1, (size_t)length, file) != (size_t)length) return 1;
    fclose(file);
    must(m3_ParseModule(environment, &module, bytes, (uint32_t)length), "parse");
    must(m3_LoadModule(runtime, module), "load");
    import(module, "fd_write", "i(i*i*)", fd_write);
    import(module, "fd_fdstat_get", "i(i*)", fd_fdstat_get);
    import(module, "fd_seek", "i(iIi*)", fd_seek);
    import(module, "fd_close", "i(i)", fd_close);
    import(module, "proc_exit", "v(i)", proc_exit);
    must(m3_FindFunction(&start, runtime, "_start"), "_start");
    M3Result result = m3_CallV(start);
    if (result && result != m3Err_trapExit) must(result, "run");
    m3_FreeRuntime(runtime);
    m3_FreeEnvironment(environment);
    free(bytes);
    return fflush(stdout) != 0 ? 1 : exit_status;
}
