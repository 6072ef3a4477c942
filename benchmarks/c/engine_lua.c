/*
 * Lua 5.4 as a C host uses it: functions kept on the stack, lua_pcall for every call. Compiled with HAVE_LUA when pkg-config knows it;
 * a second time with HAVE_LUAJIT, against LuaJIT's headers, into an engine that `calls` loads.
 */
#include "harness.h"

#ifdef HAVE_LUA

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

static const char* const source =
    "function empty() end\n"
    "function add(a, b) return a + b end\n"
    "function echo(s) return s end\n"
    "function total(r) return {id = r.id, count = r.count, price = r.price, total = r.price * r.count} end\n"
    "function back(x) return host(x) end\n"
    "function loop(n) local s = 0; for i = 1, n do s = host(s) end; return s end\n"
    "function scale(x) return x * 1.5 + 2.0 end\n"
    "function scale_all(t) local r = {}; for i = 1, #t do r[i] = t[i] * 1.5 + 2.0 end; return r end\n";

/* What create + load + run + dispose loads: ten lines, as in the other engines. */
static const char* const ten_lines = "local function square(x)\n"
                                     "  return x * x\n"
                                     "end\n"
                                     "local function sum(n)\n"
                                     "  if n == 0 then return 0 end\n"
                                     "  return square(n) + sum(n - 1)\n"
                                     "end\n"
                                     "function main()\n"
                                     "  return sum(3)\n"
                                     "end\n";

enum { AT_EMPTY = 1, AT_ADD, AT_ECHO, AT_TOTAL, AT_BACK, AT_LOOP, AT_SCALE, AT_SCALE_ALL };

static double* batch_in;
static double* batch_out;

static int host(lua_State* lua) {
    lua_pushinteger(lua, callee_host(lua_tointeger(lua, 1)));
    return 1;
}

static bool run_empty(void* state, uint64_t iterations) {
    lua_State* lua = state;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_pushvalue(lua, AT_EMPTY);
        if (lua_pcall(lua, 0, 0, 0) != LUA_OK) return false;
    }
    return true;
}

static bool run_add(void* state, uint64_t iterations) {
    lua_State* lua = state;
    lua_Integer sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_pushvalue(lua, AT_ADD);
        lua_pushinteger(lua, sum);
        lua_pushinteger(lua, (lua_Integer)i & 7);
        if (lua_pcall(lua, 2, 1, 0) != LUA_OK) return false;
        sum = lua_tointeger(lua, -1);
        lua_pop(lua, 1);
    }
    bench_keep(&sum);
    return true;
}

static bool run_string(void* state, uint64_t iterations) {
    lua_State* lua = state;
    char out[64];
    for (uint64_t i = 0; i < iterations; i++) {
        size_t length;
        lua_pushvalue(lua, AT_ECHO);
        lua_pushlstring(lua, BENCH_TEXT, BENCH_TEXT_LENGTH);
        if (lua_pcall(lua, 1, 1, 0) != LUA_OK) return false;
        const char* text = lua_tolstring(lua, -1, &length);
        if (length != BENCH_TEXT_LENGTH) return false;
        memcpy(out, text, length);
        bench_keep(out);
        lua_pop(lua, 1);
    }
    return true;
}

static bool run_record(void* state, uint64_t iterations) {
    lua_State* lua = state;
    for (uint64_t i = 0; i < iterations; i++) {
        bench_record_t record;
        lua_pushvalue(lua, AT_TOTAL);
        lua_createtable(lua, 0, BENCH_RECORD_FIELDS);
        lua_pushinteger(lua, (lua_Integer)i);
        lua_setfield(lua, -2, "id");
        lua_pushinteger(lua, 3);
        lua_setfield(lua, -2, "count");
        lua_pushnumber(lua, 2.5);
        lua_setfield(lua, -2, "price");
        lua_pushnumber(lua, 0.0);
        lua_setfield(lua, -2, "total");
        if (lua_pcall(lua, 1, 1, 0) != LUA_OK) return false;
        lua_getfield(lua, -1, "id");
        lua_getfield(lua, -2, "count");
        lua_getfield(lua, -3, "price");
        lua_getfield(lua, -4, "total");
        record.id = lua_tointeger(lua, -4);
        record.count = lua_tointeger(lua, -3);
        record.price = lua_tonumber(lua, -2);
        record.total = lua_tonumber(lua, -1);
        lua_pop(lua, 5);
        if (record.total != 7.5 || record.id != (int64_t)i) return false;
    }
    return true;
}

static bool run_callback(void* state, uint64_t iterations) {
    lua_State* lua = state;
    lua_Integer sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_pushvalue(lua, AT_BACK);
        lua_pushinteger(lua, sum);
        if (lua_pcall(lua, 1, 1, 0) != LUA_OK) return false;
        sum = lua_tointeger(lua, -1);
        lua_pop(lua, 1);
    }
    return sum == (lua_Integer)iterations;
}

static bool run_host_loop(void* state, uint64_t iterations) {
    lua_State* lua = state;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_pushvalue(lua, AT_LOOP);
        lua_pushinteger(lua, BENCH_LOOP);
        if (lua_pcall(lua, 1, 1, 0) != LUA_OK) return false;
        bool right = lua_tointeger(lua, -1) == BENCH_LOOP;
        lua_pop(lua, 1);
        if (!right) return false;
    }
    return true;
}

static bool run_batch_calls(void* state, uint64_t iterations) {
    lua_State* lua = state;
    for (uint64_t i = 0; i < iterations; i++)
        for (size_t j = 0; j < BENCH_BATCH; j++) {
            lua_pushvalue(lua, AT_SCALE);
            lua_pushnumber(lua, batch_in[j]);
            if (lua_pcall(lua, 1, 1, 0) != LUA_OK) return false;
            batch_out[j] = lua_tonumber(lua, -1);
            lua_pop(lua, 1);
        }
    return batch_out[2] == 5.0;
}

/* Copies into a table and out of one: the best that Lua offers in one crossing. */
static bool run_batch_table(void* state, uint64_t iterations) {
    lua_State* lua = state;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_pushvalue(lua, AT_SCALE_ALL);
        lua_createtable(lua, BENCH_BATCH, 0);
        for (size_t j = 0; j < BENCH_BATCH; j++) {
            lua_pushnumber(lua, batch_in[j]);
            lua_rawseti(lua, -2, (lua_Integer)j + 1);
        }
        if (lua_pcall(lua, 1, 1, 0) != LUA_OK) return false;
        for (size_t j = 0; j < BENCH_BATCH; j++) {
            lua_rawgeti(lua, -1, (lua_Integer)j + 1);
            batch_out[j] = lua_tonumber(lua, -1);
            lua_pop(lua, 1);
        }
        lua_pop(lua, 1);
    }
    return batch_out[2] == 5.0;
}

static bool run_life(void* state, uint64_t iterations) {
    bool with_libraries = *(const bool*)state;
    for (uint64_t i = 0; i < iterations; i++) {
        lua_State* lua = luaL_newstate();
        if (!lua) return false;
        if (with_libraries) luaL_openlibs(lua);
        bool right = luaL_dostring(lua, ten_lines) == LUA_OK;
        lua_getglobal(lua, "main");
        right = right && lua_pcall(lua, 0, 1, 0) == LUA_OK && lua_tointeger(lua, -1) == 14;
        lua_close(lua);
        if (!right) return false;
    }
    return true;
}

static lua_State* start(const char* prelude) {
    static const char* const names[] = {"empty", "add", "echo", "total", "back", "loop", "scale", "scale_all"};
    lua_State* lua = luaL_newstate();
    if (!lua) exit(1);
    luaL_openlibs(lua);
    lua_pushcfunction(lua, host);
    lua_setglobal(lua, "host");
    if (luaL_dostring(lua, prelude) != LUA_OK || luaL_dostring(lua, source) != LUA_OK) {
        fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
        exit(1);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) lua_getglobal(lua, names[i]);
    return lua;
}

/* One engine's row names: a second way may be NULL; without the first of them its new states are not measured either. */
static void add_cases(
    bench_t* bench, lua_State* lua, const char* engine, const char* in_one_table, const char* without_libraries) {
    static const bool yes = true, no = false;
    bench_add(bench, "empty call", engine, run_empty, lua, 1);
    bench_add(bench, "add (Int, Int) -> Int", engine, run_add, lua, 1);
    bench_add(bench, "string of 20 bytes", engine, run_string, lua, 1);
    bench_add(bench, "record of four fields", engine, run_record, lua, 1);
    bench_add(bench, "host callback round trip", engine, run_callback, lua, 1);
    bench_add(bench, "script to host, in a loop", engine, run_host_loop, lua, BENCH_LOOP);
    bench_add(bench, "batch of 10^6 doubles", engine, run_batch_calls, lua, BENCH_BATCH);
    if (in_one_table) bench_add(bench, "batch of 10^6 doubles", in_one_table, run_batch_table, lua, BENCH_BATCH);
    if (in_one_table) bench_add(bench, "create load run dispose", engine, run_life, (void*)(uintptr_t)&yes, 1);
    if (without_libraries)
        bench_add(bench, "create load run dispose", without_libraries, run_life, (void*)(uintptr_t)&no, 1);
}

static void make_batch(void) {
    batch_in = malloc(BENCH_BATCH * sizeof *batch_in);
    batch_out = malloc(BENCH_BATCH * sizeof *batch_out);
    if (!batch_in || !batch_out) exit(1);
    for (size_t i = 0; i < BENCH_BATCH; i++) batch_in[i] = (double)i;
}

#ifdef HAVE_LUAJIT

#include <luajit.h>

void bench_add_engine(bench_t* bench);

void bench_add_engine(bench_t* bench) {
    make_batch();
    bench_name_version(bench, "luajit", LUAJIT_VERSION);
    add_cases(bench, start(""), "luajit", "luajit, one table", NULL);
    add_cases(bench, start("jit.off()"), "luajit, JIT off", NULL, NULL);
}

#else

void bench_add_lua(bench_t* bench) {
    make_batch();
    bench_name_version(bench, "lua", LUA_RELEASE);
    add_cases(bench, start(""), "lua", "lua, one table", "lua, no libraries");
}

#endif

#else

void bench_add_lua(bench_t* bench) { bench_name_missing(bench, "lua", "no lua5.4 known to pkg-config"); }

#endif
