#include "syntax/explain.h"

#include "syntax/lexer.h"
#include "syntax/parser.h"

static void explain_tokens(
    rl_allocator_t* allocator, rl_symbols_t* symbols, rl_diags_t* diags, rl_str_t source, rl_buf_t* out) {
    rl_tree_t tree;
    rl_tokens_t tokens = {0};
    uint32_t errors = 0;
    rl_lexer_input_t input = {
        .allocator = allocator, .source = source, .symbols = symbols, .diags = diags, .identifier_bytes = UINT32_MAX};
    rl_tree_init(&tree, allocator);
    rl_lex(&input, &tree, &tokens, &errors);
    rl_tokens_print(&tokens, source, out);
    rl_vec_deinit(allocator, &tokens);
    rl_tree_deinit(&tree);
}

void rl_explain_syntax(rl_allocator_t* allocator, rl_symbols_t* symbols, rl_str_t source, bool tokens, rl_buf_t* out) {
    rl_arena_t arena;
    rl_diags_t diags;
    rl_arena_init(&arena, allocator);
    rl_diags_init(&diags, allocator, &arena);
    diags.source = source;
    if (tokens) {
        explain_tokens(allocator, symbols, &diags, source, out);
    } else {
        rl_tree_t tree;
        rl_parser_input_t input = {.allocator = allocator, .source = source, .symbols = symbols, .diags = &diags};
        rl_parse(&input, &tree);
        if (!allocator->failed) rl_tree_print(&tree, symbols, tree.root, out);
        rl_tree_deinit(&tree);
    }
    rl_diags_deinit(&diags);
    rl_arena_deinit(&arena);
}
