/* Statements, blocks, implicit blocks, and the constructs with arms and branches (2.2, 2.3). */
#include "syntax/parse.h"

/* --- blocks and statements ----------------------------------------------------------------------------------------- */

rl_node_t rl_parser_block(rl_parser_t* p, unsigned flags) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    if (p->kind != RL_TOK_LBRACE) {
        rl_parser_want(p, RL_TOK_LBRACE);
        rl_parser_fail(p);
        return 0;
    }
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    bool semicolon = false;
    if (p->kind != RL_TOK_RBRACE) {
        rl_parser_want(p, RL_TOK_RBRACE);
        do rl_parser_push(p, rl_parser_statement(p));
        while (rl_parser_separator(p, RL_TOK_RBRACE, &semicolon));
    }
    rl_parser_close(p, &bracket);
    rl_list_t statements = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_BLOCK, flags | (semicolon ? RL_DISCARD : 0), start, statements, 0, 0);
}

/* What the value of an expression statement may be assigned with; false: no assignment follows. */
static bool assignment_op(uint8_t kind, rl_assign_op_t* out_op) {
    switch (kind) {
    case RL_TOK_COLON_EQ: *out_op = RL_ASSIGN_SET; return true;
    case RL_TOK_EQ: *out_op = RL_ASSIGN_FIELD; return true;
    case RL_TOK_PLUS_EQ: *out_op = RL_ASSIGN_ADD; return true;
    case RL_TOK_MINUS_EQ: *out_op = RL_ASSIGN_SUB; return true;
    case RL_TOK_STAR_EQ: *out_op = RL_ASSIGN_MUL; return true;
    case RL_TOK_SLASH_EQ: *out_op = RL_ASSIGN_DIV; return true;
    default: return false;
    }
}

rl_node_t rl_parser_assignment(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    rl_node_t place = rl_parser_expression(p);
    rl_assign_op_t op;
    if (!assignment_op(p->kind, &op)) return place;
    const rl_token_t* token = rl_parser_token(p);
    rl_span_t span = {token->start, token->end};
    const rl_node_data_t* data = rl_tree_node(p->tree, place);
    bool is_name = data->kind == RL_NODE_NAME && !(data->flags & (RL_UPPER | RL_KEYWORD));
    if (is_name && op == RL_ASSIGN_FIELD) {
        rl_diag_t* diag = rl_parser_report(p, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, span.start, span.end,
            "expected `:=`, found `=`: a name is assigned with `:=`");
        if (diag) {
            (void)rl_vec_push(p->input->diags->allocator, &diag->expected, RL_STR("`:=`"));
            rl_fix(p->input->diags, diag, RL_FIX_REPLACE, span, ":=");
        }
    } else if (!is_name && data->kind != RL_NODE_FIELD && data->kind != RL_NODE_INDEX) {
        rl_parser_refuse(p, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, span.start, span.end,
            "only a variable, a field or an indexed element can be assigned");
        return place;
    }
    rl_parser_advance(p);
    rl_node_t value = rl_parser_expression(p);
    return rl_parser_node(p, RL_NODE_ASSIGN, op, start, place, value, span.start);
}

/* {Attr} Block, {Attr} "unsafe" Block */
static rl_node_t attributed_block(rl_parser_t* p) {
    rl_list_t attrs = rl_parser_attributes(p);
    uint32_t start = rl_parser_start(p);
    rl_node_t node = 0;
    if (p->kind == RL_TOK_UNSAFE) {
        rl_parser_advance(p);
        rl_node_t block = rl_parser_block(p, 0);
        return rl_parser_node(p, RL_NODE_UNSAFE, 0, start, block, attrs, 0);
    }
    if (p->kind == RL_TOK_LBRACE) {
        node = rl_parser_block(p, 0);
        if (node) p->tree->nodes.data[node].b = attrs;
        return node;
    }
    rl_parser_want(p, RL_TOK_UNSAFE);
    rl_parser_want(p, RL_TOK_LBRACE);
    rl_parser_fail(p);
    return 0;
}

static rl_node_t fn_rule(rl_parser_t* p, uint32_t first) { return rl_parser_fn(p, 0, 0, first); }

rl_node_t rl_parser_statement(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    switch (p->kind) {
    case RL_TOK_LET:
    case RL_TOK_VAR: return rl_parser_value(p, 0, 0, p->pos);
    case RL_TOK_FN:
        if (rl_parser_peek(p, 1)->kind == RL_TOK_LPAREN) break;
        return rl_parser_nested(p, fn_rule, p->pos);
    case RL_TOK_ASYNC:
        if (rl_parser_peek(p, 1)->kind != RL_TOK_FN) break;
        return rl_parser_nested(p, fn_rule, p->pos);
    case RL_TOK_AT: return attributed_block(p);
    case RL_TOK_DEFER: {
        rl_parser_advance(p);
        rl_node_t value = rl_parser_expression(p);
        return rl_parser_node(p, RL_NODE_DEFER, 0, start, value, 0, 0);
    }
    case RL_TOK_IDENT:
        if (rl_parser_at_const(p)) return rl_parser_value(p, 0, 0, p->pos);
        break;
    default: break;
    }
    return rl_parser_assignment(p);
}

/* --- implicit blocks (2.3) ----------------------------------------------------------------------------------------- */

static bool at_implicit_block(const rl_parser_t* p) {
    return (p->kind == RL_TOK_LET || p->kind == RL_TOK_VAR) && rl_parser_on_new_line(p);
}

/* `token`, first on its line and not left of the block, belongs to something outside the block. */
static bool leaves_block(const rl_parser_t* p, const rl_layout_t* block, uint32_t distance) {
    const rl_token_t* token = rl_parser_peek(p, distance);
    switch (token->kind) {
    case RL_TOK_BAR: return rl_parser_bar_belongs(block->outer, token);
    case RL_TOK_IDENT: return rl_parser_is_match_end(p, distance) && rl_parser_match_with_open(block->outer);
    case RL_TOK_LET:
    case RL_TOK_VAR:
    case RL_TOK_DEFER:
    case RL_TOK_AT: return false;
    default: return !rl_parser_starts_expression(token); /* closers, `,`, `else`, …: the outer rule knows */
    }
}

static rl_node_t implicit_block_rule(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    uint32_t start = rl_parser_start(p), mark = p->scratch.count, outer_column = p->min_column;
    rl_layout_t block = {p->layout, RL_LAYOUT_BLOCK, false, rl_parser_token(p)->column, 0};
    p->layout = &block;
    p->min_column = block.column;
    for (;;) {
        rl_parser_push(p, rl_parser_statement(p));
        if (p->kind == RL_TOK_LAYOUT_END || p->kind == RL_TOK_EOF) break;
        if (p->kind == RL_TOK_SEMICOLON) {
            const rl_token_t* next = rl_parser_peek(p, 1);
            if (!next->nl_before || next->column != block.column || leaves_block(p, &block, 1)) break;
            rl_parser_advance(p);
            continue;
        }
        const rl_token_t* token = rl_parser_token(p);
        if (!token->nl_before || leaves_block(p, &block, 0)) break;
        if (token->column != block.column) { /* deeper, yet no continuation of the statement */
            rl_parser_want(p, RL_WANT_STATEMENT_END);
            rl_parser_refuse(p, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, token->start, token->end,
                "this line neither continues the statement above nor starts at the column of its block");
            break;
        }
    }
    p->layout = block.outer;
    p->min_column = outer_column;
    if (!p->panic) rl_parser_load(p);
    rl_list_t statements = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_BLOCK, RL_IMPLICIT, start, statements, 0, 0);
}

rl_node_t rl_parser_body(rl_parser_t* p, uint32_t declaration) {
    if (at_implicit_block(p) && rl_parser_token(p)->column > rl_parser_line_column(p, declaration))
        return rl_parser_nested(p, implicit_block_rule, 0);
    return rl_parser_expression(p);
}

rl_node_t rl_parser_action(rl_parser_t* p) {
    if (at_implicit_block(p)) return rl_parser_nested(p, implicit_block_rule, 0);
    return rl_parser_assignment(p);
}

/* --- if ------------------------------------------------------------------------------------------------------------ */

static rl_node_t if_node(rl_parser_t* p, uint32_t mark, uint32_t from_triple, rl_node_t otherwise, bool then_form) {
    uint32_t at = mark + 3 * from_triple;
    uint32_t start = at < p->scratch.count ? p->scratch.data[at] : 0;
    rl_list_t branches = rl_parser_list(p, at);
    return rl_parser_node(p, RL_NODE_IF, then_form ? RL_THEN : 0, start, branches, otherwise, 0);
}

/*
 * The whole else-if chain in one loop. The `else` of an `if … then` opens an expression of its own: operators behind the
 * closing brace of an `if … { }` in it apply to that inner `if`, from triple `tail` on.
 */
rl_node_t rl_parser_if(rl_parser_t* p) {
    uint32_t mark = p->scratch.count, count = 0, tail = 0;
    bool then_form = false, first_then = false, tail_then = false;
    rl_node_t otherwise = 0;
    for (;;) {
        rl_parser_push(p, rl_parser_start(p));
        rl_parser_advance(p);
        rl_parser_push(p, rl_parser_expression_ns(p));
        then_form = p->kind == RL_TOK_THEN;
        if (then_form) {
            rl_parser_advance(p);
            rl_parser_push(p, rl_parser_action(p));
        } else {
            rl_parser_want(p, RL_TOK_THEN);
            rl_parser_push(p, rl_parser_block(p, 0));
        }
        if (count == 0) first_then = then_form;
        if (count == tail) tail_then = then_form;
        count++;
        if (p->kind != RL_TOK_ELSE) {
            rl_parser_want(p, RL_TOK_ELSE);
            break;
        }
        rl_parser_advance(p);
        if (p->kind == RL_TOK_IF) {
            if (then_form) tail = count;
            continue;
        }
        if (then_form) {
            otherwise = rl_parser_action(p);
        } else {
            rl_parser_want(p, RL_TOK_IF);
            otherwise = rl_parser_block(p, 0);
        }
        break;
    }
    if (tail > 0 && !then_form && !p->panic && rl_parser_continues(p)) {
        uint32_t start = p->scratch.data[mark + 3 * tail];
        rl_node_t inner = if_node(p, mark, tail, otherwise, tail_then);
        otherwise = rl_parser_continue(p, inner, start);
    }
    return if_node(p, mark, 0, otherwise, first_then);
}

/* --- match --------------------------------------------------------------------------------------------------------- */

static rl_node_t match_arm(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    if (p->kind == RL_TOK_BAR) rl_parser_advance(p);
    rl_node_t pattern = rl_parser_pattern(p, 0);
    for (;;) {
        uint32_t at = rl_parser_start(p);
        bool is_if = p->kind == RL_TOK_IF;
        if (is_if || rl_parser_word(p, RL_WORD_WHEN)) {
            rl_parser_advance(p);
            rl_node_t condition = rl_parser_guard(p);
            rl_parser_push(p, rl_parser_node(p, RL_NODE_GUARD, is_if ? RL_IF : 0, at, condition, 0, 0));
        } else if (p->kind == RL_TOK_AS) {
            rl_parser_advance(p);
            uint32_t name_at = rl_parser_start(p);
            rl_sym_t symbol = rl_parser_token(p)->value;
            if (!rl_parser_expect(p, RL_TOK_IDENT)) break;
            rl_parser_push(p, rl_parser_node(p, RL_NODE_ALIAS, 0, at, symbol, name_at, 0));
        } else {
            break;
        }
    }
    rl_list_t clauses = rl_parser_list(p, mark);
    rl_node_t body = 0;
    if (p->kind == RL_TOK_ARROW || p->kind == RL_TOK_FAT_ARROW) {
        rl_parser_advance(p);
        body = rl_parser_action(p);
    } else {
        rl_parser_want(p, RL_TOK_ARROW);
        rl_parser_want(p, RL_TOK_FAT_ARROW);
        rl_parser_want(p, RL_WANT_WORD + RL_WORD_WHEN);
        rl_parser_fail(p);
    }
    return rl_parser_node(p, RL_NODE_ARM, 0, start, pattern, clauses, body);
}

/* The limit column L of a match whose first arm is under the cursor. */
static uint32_t limit_column(const rl_parser_t* p) {
    const rl_token_t* first = rl_parser_token(p);
    if (first->nl_before) return first->column;
    for (const rl_layout_t* layout = p->layout; layout && layout->kind != RL_LAYOUT_BRACKET; layout = layout->outer)
        if (layout->kind == RL_LAYOUT_MATCH) return layout->column + 1;
    return 1;
}

static bool bar_is_mine(const rl_layout_t* match, const rl_token_t* bar) {
    return match->braces || !bar->nl_before || bar->column >= match->column;
}

/* Arms of `match … with`. */
static void open_arms(rl_parser_t* p) {
    rl_layout_t match = {p->layout, RL_LAYOUT_MATCH, false, limit_column(p), 0};
    bool barred = p->kind == RL_TOK_BAR;
    uint32_t column = rl_parser_token(p)->column;
    p->layout = &match;
    do {
        rl_parser_push(p, match_arm(p));
        const rl_token_t* token = rl_parser_token(p);
        if (p->kind == RL_TOK_SEMICOLON && rl_parser_peek(p, 1)->kind == RL_TOK_BAR &&
            !(rl_parser_peek(p, 1)->nl_before && rl_parser_peek(p, 1)->column < p->min_column) &&
            bar_is_mine(&match, rl_parser_peek(p, 1))) {
            rl_parser_advance(p);
            continue;
        }
        if (p->kind == RL_TOK_BAR && bar_is_mine(&match, token)) continue;
        if (p->kind == RL_TOK_IDENT && rl_parser_is_match_end(p, 0)) {
            rl_parser_advance(p);
            break;
        }
        if (barred || p->kind != token->kind || !token->nl_before || token->column != column ||
            !rl_parser_starts_pattern(token))
            break;
    } while (!p->panic);
    p->layout = match.outer;
}

/* Arms of a brace match, at its `{`. */
static void braced_arms(rl_parser_t* p) {
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    rl_layout_t match = {p->layout, RL_LAYOUT_MATCH, true, limit_column(p), 0};
    p->layout = &match;
    while (p->kind != RL_TOK_RBRACE && !p->panic) {
        rl_parser_want(p, RL_TOK_RBRACE);
        rl_parser_push(p, match_arm(p));
        if (p->kind == RL_TOK_COMMA || p->kind == RL_TOK_SEMICOLON) rl_parser_advance(p);
        else if (p->kind != RL_TOK_BAR && p->kind != RL_TOK_RBRACE && !rl_parser_on_new_line(p)) break;
    }
    p->layout = match.outer;
    if (p->kind != RL_TOK_RBRACE) {
        rl_parser_want(p, RL_TOK_COMMA);
        rl_parser_want(p, RL_TOK_BAR);
        rl_parser_want(p, RL_WANT_STATEMENT_END);
    }
    rl_parser_close(p, &bracket);
}

rl_node_t rl_parser_match(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    rl_parser_advance(p);
    rl_node_t scrutinee = rl_parser_expression_ns(p);
    unsigned flags = 0;
    if (p->kind == RL_TOK_LBRACE) {
        flags = RL_BRACES;
        braced_arms(p);
    } else {
        rl_parser_want(p, RL_TOK_LBRACE);
        if (rl_parser_expect(p, RL_TOK_WITH)) open_arms(p);
    }
    rl_list_t arms = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_MATCH, flags, start, scrutinee, arms, 0);
}

/* --- handlers (6.4) ------------------------------------------------------------------------------------------------ */

static rl_node_t handler_entry(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    if (p->kind == RL_TOK_RETURN) {
        rl_parser_advance(p);
        uint8_t mode = p->mode;
        p->mode |= RL_MODE_PATTERN_NO_BRACE;
        rl_node_t pattern = rl_parser_pattern(p, 0);
        p->mode = mode;
        rl_node_t block = rl_parser_block(p, 0);
        return rl_parser_node(p, RL_NODE_RETURN_CLAUSE, 0, start, pattern, block, 0);
    }
    if (!rl_parser_word(p, RL_WORD_OPERATION)) {
        rl_parser_want(p, RL_WANT_WORD + RL_WORD_OPERATION);
        rl_parser_want(p, RL_TOK_RETURN);
        rl_parser_fail(p);
        return 0;
    }
    rl_parser_advance(p);
    rl_node_t name = rl_parser_name(p);
    rl_list_t params = rl_parser_params(p);
    rl_node_t block = rl_parser_block(p, 0);
    return rl_parser_node(p, RL_NODE_OP_CLAUSE, 0, start, name, params, block);
}

rl_list_t rl_parser_handler_body(rl_parser_t* p) {
    uint32_t mark = p->scratch.count;
    if (p->kind != RL_TOK_LBRACE) {
        if (p->kind == RL_TOK_LPAREN) {
            const rl_token_t* token = rl_parser_token(p);
            rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, token->start, token->end,
                "handlers with parameters are not part of this runtime");
        }
        rl_parser_want(p, RL_TOK_LBRACE);
        rl_parser_fail(p);
        return 0;
    }
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    while (p->kind != RL_TOK_RBRACE && !p->panic) {
        rl_parser_want(p, RL_TOK_RBRACE);
        rl_parser_push(p, handler_entry(p));
        while (p->kind == RL_TOK_SEMICOLON) rl_parser_advance(p);
    }
    rl_parser_close(p, &bracket);
    return rl_parser_list(p, mark);
}

static rl_node_t inline_handler(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    rl_parser_advance(p);
    rl_node_t effect = rl_parser_upper_name(p);
    rl_list_t entries = rl_parser_handler_body(p);
    return rl_parser_node(p, RL_NODE_HANDLER, 0, start, effect, entries, 0);
}

rl_node_t rl_parser_handle(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    rl_parser_advance(p);
    rl_node_t computation = rl_parser_expression(p), handler = 0;
    const rl_token_t* token = rl_parser_token(p);
    bool at_handler = rl_parser_word(p, RL_WORD_HANDLER) && rl_parser_peek(p, 1)->kind == RL_TOK_UIDENT;
    if (at_handler) {
        rl_diag_t* diag = rl_parser_report(
            p, RL_CODE_EFFECTS_HANDLER_MISSING_WITH, token->start, token->end, "`with` is missing before `handler`");
        if (diag) rl_fix(p->input->diags, diag, RL_FIX_INSERT, (rl_span_t){token->start, token->start}, "with ");
    } else if (p->kind == RL_TOK_DO) {
        rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, token->start, token->end,
            "`handle h(args) do e` is not part of this runtime; write `handle e with h`");
    } else {
        rl_parser_expect(p, RL_TOK_WITH);
        at_handler = rl_parser_word(p, RL_WORD_HANDLER) && rl_parser_peek(p, 1)->kind == RL_TOK_UIDENT;
    }
    if (at_handler) {
        handler = inline_handler(p);
    } else if (!p->panic) {
        rl_parser_want(p, RL_WANT_WORD + RL_WORD_HANDLER);
        handler = rl_parser_path(p);
    }
    return rl_parser_node(p, RL_NODE_HANDLE, 0, start, computation, handler, 0);
}
