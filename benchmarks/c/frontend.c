/*
 * Source to bytecode: frontend ROUNDS REML_FILE [LUA_FILE]. Each round loads the text into a new context, looks `main` up (which compiles all
 * that it reaches) and, between two of these, has Lua compile its text; prints the seconds of every round as one line of JSON.
 */
#include "reml_embed.h"
#include "reml_value.h"

#ifdef HAVE_LUA
#include <lauxlib.h>
#include <lua.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_ROUNDS = 101 };

static char* read_file(const char* path, size_t* out_length) {
    FILE* file = fopen(path, "rb");
    char* text = NULL;
    if (!file) return NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long length = ftell(file);
        rewind(file);
        text = length > 0 ? malloc((size_t)length) : NULL;
        if (text && fread(text, 1, (size_t)length, file) != (size_t)length) {
            free(text);
            text = NULL;
        }
        *out_length = (size_t)length;
    }
    fclose(file);
    return text;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void print_rounds(const char* name, const double* values, int rounds) {
    printf(", \"%s\": [", name);
    for (int i = 0; i < rounds; i++) printf("%s%.9f", i ? ", " : "", values[i]);
    putchar(']');
}

/* Load, then compile; false with a message on stderr. */
static int compile_reml(const char* text, size_t length, double* out_load, double* out_compile) {
    reml_embed_context_t* context = NULL;
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    reml_function_t function;
    int ok = 0;
    source.text = text;
    source.text_length = length;
    if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != REML_EMBED_STATUS_OK) return 0;
    double start = seconds();
    if (reml_embed_load(context, &source) == REML_EMBED_STATUS_OK) {
        double loaded = seconds();
        *out_load = loaded - start;
        ok = reml_function_find(context, "main", 4, NULL, 0, &function) == REML_EMBED_STATUS_OK;
        *out_compile = seconds() - loaded;
    }
    if (!ok) fprintf(stderr, "%s\n", reml_last_error(context));
    reml_dispose_context(context);
    return ok;
}

#ifdef HAVE_LUA
static int compile_lua(const char* text, size_t length, double* out) {
    lua_State* state = luaL_newstate();
    double start = seconds();
    int ok = state && luaL_loadbuffer(state, text, length, "generated") == 0;
    *out = seconds() - start;
    if (!ok) fprintf(stderr, "%s\n", state ? lua_tostring(state, -1) : "no memory");
    if (state) lua_close(state);
    return ok;
}
#endif

int main(int argc, char** argv) {
    static double load[MOST_ROUNDS], compile[MOST_ROUNDS], lua[MOST_ROUNDS];
    size_t length = 0, lua_length = 0;
    int rounds = argc > 1 ? atoi(argv[1]) : 0;
    char* text = argc > 2 ? read_file(argv[2], &length) : NULL;
    char* lua_text = argc > 3 ? read_file(argv[3], &lua_length) : NULL;
    if (rounds < 1 || rounds > MOST_ROUNDS || !text || (argc > 3 && !lua_text)) {
        fprintf(stderr, "usage: frontend ROUNDS REML_FILE [LUA_FILE]\n");
        return 2;
    }
    double first_load, first_compile; /* the process's core library is made in the first context */
    if (!compile_reml(text, length, &first_load, &first_compile)) return 1;
    for (int i = 0; i < rounds; i++) {
        if (!compile_reml(text, length, &load[i], &compile[i])) return 1;
#ifdef HAVE_LUA
        if (lua_text && !compile_lua(lua_text, lua_length, &lua[i])) return 1;
#endif
    }
    printf("{\"bytes\": %zu", length);
    print_rounds("load", load, rounds);
    print_rounds("compile", compile, rounds);
#ifdef HAVE_LUA
    if (lua_text) {
        printf(", \"lua_bytes\": %zu, \"lua_version\": \"%s\"", lua_length, LUA_RELEASE);
        print_rounds("lua", lua, rounds);
    }
#endif
    printf("}\n");
    (void)lua;
    free(text);
    free(lua_text);
    return 0;
}
