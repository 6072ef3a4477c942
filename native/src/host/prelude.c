#include "host/prelude.h"

#include "diag/diag.h"
#include "syntax/parser.h"
#include "types/check.h"

#include <stdio.h>

typedef struct prelude_source {
    const char* name;
    size_t length;
} prelude_source_t;

#include "gen/prelude_source.inc" /* PRELUDE_BYTES, prelude_packed, prelude_sources: tools/embed_prelude.py tells their form */

/* A mistake in the core library is ours; the text is for whoever is editing it. */
static char problem[2048];
const char* rl_prelude_problem(void) { return problem; }

/* The rest of a length whose four bits are all set. */
static size_t read_length(size_t length, size_t* at) {
    if (length < 15) return length;
    unsigned byte;
    do { length += byte = prelude_packed[(*at)++]; } while (byte == 255 && *at < sizeof prelude_packed);
    return length;
}

/* All sources, one behind the other, PRELUDE_BYTES. They are our own data: lengths only stop at the end of both. */
static void unpack(char* out) {
    size_t at = 0, made = 0;
    while (at < sizeof prelude_packed && made < PRELUDE_BYTES) {
        unsigned head = prelude_packed[at++];
        size_t plain = read_length(head >> 4, &at);
        for (; plain && at < sizeof prelude_packed && made < PRELUDE_BYTES; plain--)
            out[made++] = (char)prelude_packed[at++];
        if (at + 2 > sizeof prelude_packed) return;
        size_t distance = prelude_packed[at] | (size_t)prelude_packed[at + 1] << 8;
        at += 2;
        size_t length = read_length(head & 15, &at) + 4;
        for (; length && distance <= made && made < PRELUDE_BYTES; length--, made++) out[made] = out[made - distance];
    }
}

static bool load(rl_program_t* program, rl_allocator_t* allocator, const prelude_source_t* source, const char* bytes) {
    rl_arena_t arena;
    rl_diags_t diagnostics;
    rl_tree_t tree;
    rl_arena_init(&arena, allocator);
    rl_diags_init(&diagnostics, allocator, &arena);
    rl_str_t text = {bytes, source->length};
    diagnostics.source = text;
    diagnostics.file = rl_str(source->name);
    rl_parser_input_t parser = {
        .allocator = allocator, .source = text, .symbols = &program->symbols, .diags = &diagnostics};
    bool done = rl_parse(&parser, &tree);
    if (done) {
        rl_module_id_t module;
        rl_check_input_t input = {.tree = &tree,
            .source = text,
            .file = diagnostics.file,
            .program = program,
            .diags = &diagnostics,
            .ambient = true,
            .is_prelude = true};
        done = rl_check_module(&input, &module);
    }
    if (!done) {
        rl_buf_t out;
        rl_buf_init(&out, allocator);
        rl_diags_text(&diagnostics, &out, false);
        snprintf(problem, sizeof problem, "%s", rl_buf_cstr(&out));
        rl_buf_deinit(&out);
    }
    rl_tree_deinit(&tree);
    rl_diags_deinit(&diagnostics);
    rl_arena_deinit(&arena);
    return done;
}

bool rl_prelude_make(rl_program_t* program, rl_allocator_t* allocator) {
    char* text = rl_alloc(allocator, PRELUDE_BYTES + 1);
    if (!text) return false;
    unpack(text);
    text[PRELUDE_BYTES] = '\0';
    rl_program_init(program, NULL, allocator);
    bool done = true;
    size_t at = 0;
    for (size_t i = 0; i < RL_COUNT_OF(prelude_sources) && done; i++) {
        done = load(program, allocator, &prelude_sources[i], text + at);
        at += prelude_sources[i].length;
    }
    rl_free(allocator, text, PRELUDE_BYTES + 1);
    if (!done) rl_program_deinit(program);
    return done;
}
