/*
 * What it costs to begin: times of short lives, then the bytes of idle ones. Memory is what a context asks its allocator for, what
 * malloc has in use for it, and by how much 1,000 of them make the process larger; each is measured in a child of its own, because
 * freed blocks would hide what is asked for next.
 */
#include "harness.h"
#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_program.h"
#include "reml_value.h"

#ifdef HAVE_LUA
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#endif

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK REML_EMBED_STATUS_OK

enum { CROWD = 1000 };

static const char* const reml_lines = "fn square(x: Int) -> Int {\n"
                                      "  x * x\n"
                                      "}\n"
                                      "fn sum(n: Int) -> Int {\n"
                                      "  if n == 0 { return 0 }\n"
                                      "  square(n) + sum(n - 1)\n"
                                      "}\n"
                                      "fn main() -> Int {\n"
                                      "  sum(3)\n"
                                      "}\n";

static bool reml_create(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) {
        reml_embed_context_t* context = NULL;
        if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != OK) return false;
        if (reml_dispose_context(context) != OK) return false;
    }
    return true;
}

static bool answered(reml_embed_context_t* context) {
    reml_value_t value;
    int64_t number = 0;
    return reml_run(context, "main") == OK && reml_embed_result_borrow(context, &value) == OK &&
           reml_value_as_int(value, &number) == OK && number == 14;
}

static bool reml_lifecycle(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) {
        reml_embed_context_t* context = NULL;
        if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != OK) return false;
        bool fine = reml_load_module(context, (const unsigned char*)reml_lines, strlen(reml_lines)) == OK;
        fine = fine && answered(context);
        if (reml_dispose_context(context) != OK || !fine) return false;
    }
    return true;
}

/* `state`: a compiled program. The second also runs it. */
static bool reml_again(void* state, uint64_t iterations) {
    for (uint64_t i = 0; i < iterations; i++) {
        reml_embed_context_t* context = NULL;
        if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != OK) return false;
        bool fine = reml_program_load(context, state) == OK;
        if (reml_dispose_context(context) != OK || !fine) return false;
    }
    return true;
}

static bool reml_again_run(void* state, uint64_t iterations) {
    for (uint64_t i = 0; i < iterations; i++) {
        reml_embed_context_t* context = NULL;
        if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != OK) return false;
        bool fine = reml_program_load(context, state) == OK && answered(context);
        if (reml_dispose_context(context) != OK || !fine) return false;
    }
    return true;
}

static reml_program_t* compile_lines(void) {
    reml_embed_context_t* context = NULL;
    reml_program_t* program = NULL;
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    source.text = reml_lines;
    source.text_length = strlen(reml_lines);
    if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != OK) return NULL;
    (void)reml_program_compile(context, &source, 1, &program);
    reml_dispose_context(context);
    return program;
}

#ifdef HAVE_LUA
static const char* const lua_lines = "local function square(x)\n"
                                     "  return x * x\n"
                                     "end\n"
                                     "local function sum(n)\n"
                                     "  if n == 0 then return 0 end\n"
                                     "  return square(n) + sum(n - 1)\n"
                                     "end\n"
                                     "function main()\n"
                                     "  return sum(3)\n"
                                     "end\n";

static bool lua_create(void* state, uint64_t iterations) {
    for (uint64_t i = 0; i < iterations; i++) {
        lua_State* lua = luaL_newstate();
        if (!lua) return false;
        if (state) luaL_openlibs(lua);
        lua_close(lua);
    }
    return true;
}

static bool lua_answered(lua_State* lua) {
    if (lua_pcall(lua, 0, 0, 0) != LUA_OK) return false;
    lua_getglobal(lua, "main");
    return lua_pcall(lua, 0, 1, 0) == LUA_OK && lua_tointeger(lua, -1) == 14;
}

static bool lua_lifecycle(void* state, uint64_t iterations) {
    (void)state;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_State* lua = luaL_newstate();
        if (!lua) return false;
        luaL_openlibs(lua);
        bool fine = luaL_loadbuffer(lua, lua_lines, strlen(lua_lines), "ten") == LUA_OK && lua_answered(lua);
        lua_close(lua);
        if (!fine) return false;
    }
    return true;
}

/* A compiled chunk, as lua_dump writes it. */
typedef struct chunk {
    char* data;
    size_t length;
} chunk_t;

static int keep_chunk(lua_State* lua, const void* data, size_t length, void* user) {
    chunk_t* chunk = user;
    char* grown = realloc(chunk->data, chunk->length + length);
    (void)lua;
    if (!grown) return 1;
    memcpy(grown + chunk->length, data, length);
    chunk->data = grown;
    chunk->length += length;
    return 0;
}

static bool lua_again(void* state, uint64_t iterations) {
    const chunk_t* chunk = state;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_State* lua = luaL_newstate();
        if (!lua) return false;
        luaL_openlibs(lua);
        bool fine = luaL_loadbuffer(lua, chunk->data, chunk->length, "ten") == LUA_OK;
        lua_close(lua);
        if (!fine) return false;
    }
    return true;
}

static bool lua_again_run(void* state, uint64_t iterations) {
    const chunk_t* chunk = state;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_State* lua = luaL_newstate();
        if (!lua) return false;
        luaL_openlibs(lua);
        bool fine = luaL_loadbuffer(lua, chunk->data, chunk->length, "ten") == LUA_OK && lua_answered(lua);
        lua_close(lua);
        if (!fine) return false;
    }
    return true;
}
#endif

/* --- memory --------------------------------------------------------------------------------------------------------- */

static size_t asked; /* by allocators that count here */

static void* counted_resize(void* block, size_t old_size, size_t new_size, void* user) {
    (void)user;
    asked += new_size - (block ? old_size : 0);
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

#ifdef HAVE_LUA
static void* counted_lua(void* user, void* block, size_t old_size, size_t new_size) {
    return counted_resize(block, old_size, new_size, user);
}
static bool make_lua(void) {
    lua_State* lua = lua_newstate(counted_lua, NULL);
    if (lua) luaL_openlibs(lua);
    return lua != NULL;
}
#endif

static bool make_reml(void) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.resize = counted_resize;
    return reml_embed_create(REML_EMBED_ABI_VERSION, &options, &context) == OK;
}

static size_t resident(void) {
    unsigned long pages = 0;
    FILE* file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*u %lu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* What a row asks of the child that makes CROWD of an engine. */
typedef enum what { ASKED, MALLOCED, RESIDENT } what_t;
typedef struct crowd {
    bool (*make)(void);
    what_t what;
} crowd_t;

static double in_use(what_t what) {
    if (what == ASKED) return (double)asked;
    return what == MALLOCED ? (double)mallinfo2().uordblks : (double)resident();
}

/* The first one of a process pays for what all share, so it does not count. */
static bool measure_crowd(void* state, double* out_bytes) {
    const crowd_t* crowd = state;
    int ends[2];
    if (pipe(ends) != 0) return false;
    pid_t child = fork();
    if (child == 0) {
        bool fine = crowd->make();
        double before = in_use(crowd->what);
        for (int i = 0; i < CROWD && fine; i++) fine = crowd->make();
        double each = (in_use(crowd->what) - before) / CROWD;
        _exit(fine && write(ends[1], &each, sizeof each) == sizeof each ? 0 : 1);
    }
    int status = 1;
    close(ends[1]);
    bool fine = child > 0 && read(ends[0], out_bytes, sizeof *out_bytes) == sizeof *out_bytes;
    close(ends[0]);
    if (child > 0 && waitpid(child, &status, 0) != child) fine = false;
    return fine && status == 0;
}

static void add_memory(bench_t* bench, const char* engine, crowd_t crowds[3], bool (*make)(void)) {
    static const char* const rows[] = {"idle: asked for", "idle: in use in malloc", "idle: one of 1,000 resident"};
    for (int i = 0; i < 3; i++) {
        crowds[i] = (crowd_t){make, (what_t)i};
        bench_add_measure(bench, rows[i], engine, "bytes", measure_crowd, &crowds[i]);
    }
}

static void add(bench_t* bench) {
    static crowd_t reml_crowds[3];
    bench_name_version(bench, "reml", reml_embed_version());
    (void)reml_create(NULL, 1); /* makes what the contexts of a process share */
    bench_add(bench, "create dispose", "reml", reml_create, NULL, 1);
    bench_add(bench, "create load run dispose", "reml", reml_lifecycle, NULL, 1);
    reml_program_t* program = compile_lines();
    bench_add(bench, "again: create load dispose", "reml", reml_again, program, 1);
    bench_add(bench, "again: create load run dispose", "reml", reml_again_run, program, 1);
    add_memory(bench, "reml", reml_crowds, make_reml);
#ifdef HAVE_LUA
    static crowd_t lua_crowds[3];
    static chunk_t chunk;
    lua_State* compiler = luaL_newstate();
    bool compiled = compiler && luaL_loadbuffer(compiler, lua_lines, strlen(lua_lines), "ten") == LUA_OK &&
                    lua_dump(compiler, keep_chunk, &chunk, 0) == 0;
    if (compiler) lua_close(compiler);
    bench_name_version(bench, "lua", LUA_RELEASE);
    bench_add(bench, "create dispose", "lua", lua_create, "libraries", 1);
    bench_add(bench, "create dispose", "lua, no libraries", lua_create, NULL, 1);
    bench_add(bench, "create load run dispose", "lua", lua_lifecycle, NULL, 1);
    if (compiled) {
        bench_add(bench, "again: create load dispose", "lua", lua_again, &chunk, 1);
        bench_add(bench, "again: create load run dispose", "lua", lua_again_run, &chunk, 1);
    }
    add_memory(bench, "lua", lua_crowds, make_lua);
#else
    bench_name_missing(bench, "lua", "built without liblua5.4");
#endif
}

int main(int argc, char** argv) {
    return bench_main(argc, argv,
        &(bench_program_t){.kind = "start",
            .title = "Start",
            .baseline = "lua",
            .note = "Lua's libraries are opened, except where it says so. The first context of the process has been "
                    "made before.",
            .add = add});
}
