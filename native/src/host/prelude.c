#include "host/prelude.h"

#include "diag/diag.h"
#include "syntax/parser.h"
#include "types/check.h"

#include <stdio.h>

typedef struct prelude_source {
    const char* name;
    const char* text;
    size_t length;
} prelude_source_t;

#include "gen/prelude_source.inc" /* static const prelude_source_t prelude_sources[]; */

/* A mistake in the core library is ours; the text is for whoever is editing it. */
static char problem[2048];
const char* rl_prelude_problem(void) { return problem; }

static bool load(rl_program_t* program, rl_allocator_t* allocator, const prelude_source_t* source) {
    rl_arena_t arena;
    rl_diags_t diagnostics;
    rl_tree_t tree;
    rl_arena_init(&arena, allocator);
    rl_diags_init(&diagnostics, allocator, &arena);
    rl_str_t text = {source->text, source->length};
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
    rl_program_init(program, NULL, allocator);
    for (size_t i = 0; i < RL_COUNT_OF(prelude_sources); i++) {
        if (!load(program, allocator, &prelude_sources[i])) {
            rl_program_deinit(program);
            return false;
        }
    }
    return true;
}
