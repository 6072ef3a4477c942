/* Expressions: operators, postfixes, arguments, primaries other than control flow (parse_control.c). */
#include "syntax/parse.h"

/* --- operators (2.1) ----------------------------------------------------------------------------------------------- */

enum { PREC_NONE, PREC_OR, PREC_AND, PREC_EQ, PREC_REL, PREC_RANGE, PREC_ADD, PREC_MUL };

typedef struct operator_row {
    uint8_t precedence, op;
} operator_row_t;

static const operator_row_t OPERATORS[RL_TOKEN_KIND_COUNT] = {
    [RL_TOK_OR_OR] = {PREC_OR, RL_BIN_OR},
    [RL_TOK_AND_AND] = {PREC_AND, RL_BIN_AND},
    [RL_TOK_EQ_EQ] = {PREC_EQ, RL_BIN_EQ},
    [RL_TOK_NOT_EQ] = {PREC_EQ, RL_BIN_NE},
    [RL_TOK_LT] = {PREC_REL, RL_BIN_LT},
    [RL_TOK_LE] = {PREC_REL, RL_BIN_LE},
    [RL_TOK_GT] = {PREC_REL, RL_BIN_GT},
    [RL_TOK_GE] = {PREC_REL, RL_BIN_GE},
    [RL_TOK_DOT_DOT] = {PREC_RANGE, 0},
    [RL_TOK_PLUS] = {PREC_ADD, RL_BIN_ADD},
    [RL_TOK_MINUS] = {PREC_ADD, RL_BIN_SUB},
    [RL_TOK_PLUS_PLUS] = {PREC_ADD, RL_BIN_CONCAT},
    [RL_TOK_STAR] = {PREC_MUL, RL_BIN_MUL},
    [RL_TOK_SLASH] = {PREC_MUL, RL_BIN_DIV},
    [RL_TOK_PERCENT] = {PREC_MUL, RL_BIN_REM},
};

static rl_node_t unary(rl_parser_t* p);
static rl_node_t postfixes(rl_parser_t* p, rl_node_t node, uint32_t start, bool path, bool upper);

static bool is_non_associative(unsigned precedence) { return precedence >= PREC_EQ && precedence <= PREC_RANGE; }

static rl_node_t casts(rl_parser_t* p, rl_node_t node, uint32_t start) {
    while (p->kind == RL_TOK_AS && !(p->mode & RL_MODE_NO_CAST)) {
        rl_parser_advance(p);
        uint8_t mode = p->mode;
        p->mode |= RL_MODE_GLUED_ARGS;
        rl_node_t type = rl_parser_type(p);
        p->mode = mode;
        node = rl_parser_node(p, RL_NODE_CAST, 0, start, node, type, 0);
    }
    return node;
}

/* Cast [ "^" Pow ]: the operands in a list, grouped from the right. */
static rl_node_t power(rl_parser_t* p, rl_node_t operand, uint32_t start) {
    operand = casts(p, operand, start);
    if (p->kind != RL_TOK_CARET) return operand;
    uint32_t mark = p->scratch.count;
    rl_parser_push(p, operand);
    while (p->kind == RL_TOK_CARET) {
        rl_parser_advance(p);
        uint32_t next = rl_parser_start(p);
        rl_parser_push(p, casts(p, unary(p), next));
    }
    rl_list_t operands = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_POWER, 0, start, operands, 0, 0);
}

static void report_chain(rl_parser_t* p, unsigned precedence) {
    const rl_token_t* token = rl_parser_token(p);
    rl_diag_t* diag = rl_parser_report(
        p, RL_CODE_E2001, token->start, token->end, "this operator cannot be chained with one of the same level");
    if (!diag) return;
    if (precedence == PREC_RANGE) rl_note_plain(p->input->diags, diag, "use parentheses to say which range is meant");
    else rl_note_plain(p->input->diags, diag, "write `(a < b) && (b < c)` to compare all of them");
}

/* Operators of at least `least` behind an operand that starts at `start`. */
static rl_node_t binary(rl_parser_t* p, rl_node_t left, uint32_t start, unsigned least) {
    left = power(p, left, start);
    unsigned last = PREC_NONE;
    for (;;) {
        operator_row_t row = OPERATORS[p->kind];
        if (row.precedence == PREC_NONE || row.precedence < least) return left;
        if (p->kind == RL_TOK_MINUS && rl_parser_newline_ends(p)) return left; /* starts the next statement */
        if (last == row.precedence && is_non_associative(last)) report_chain(p, last);
        last = row.precedence;
        uint32_t at = rl_parser_start(p);
        rl_parser_advance(p);
        unsigned flags = row.op;
        if (row.precedence == PREC_RANGE) {
            flags = p->kind == RL_TOK_EQ && rl_parser_start(p) == p->prev_end ? RL_INCLUSIVE : 0;
            if (flags) rl_parser_advance(p);
        }
        uint32_t right_start = rl_parser_start(p);
        rl_node_t right = binary(p, unary(p), right_start, row.precedence + 1u);
        left = rl_parser_node(p, row.precedence == PREC_RANGE ? RL_NODE_RANGE : RL_NODE_BINARY, flags, start, left,
            right, row.precedence == PREC_RANGE ? 0 : at);
        if (p->panic) return left;
    }
}

static rl_node_t postfix(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    bool upper = p->kind == RL_TOK_UIDENT, path = false;
    rl_node_t node = rl_parser_primary(p, &path);
    return postfixes(p, node, start, path, upper);
}

static rl_node_t pipes(rl_parser_t* p, rl_node_t left, uint32_t start) {
    while (p->kind == RL_TOK_PIPE) {
        uint32_t at = rl_parser_start(p);
        rl_parser_advance(p);
        rl_node_t stage = postfix(p); /* a lambda is a primary; its body takes the stages behind it */
        left = rl_parser_node(p, RL_NODE_PIPE, 0, start, left, stage, at);
    }
    return left;
}

static rl_node_t expression_rule(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    uint32_t start = rl_parser_start(p);
    return pipes(p, binary(p, unary(p), start, PREC_OR), start);
}

rl_node_t rl_parser_expression(rl_parser_t* p) { return rl_parser_nested(p, expression_rule, 0); }

rl_node_t rl_parser_expression_ns(rl_parser_t* p) {
    uint8_t mode = p->mode;
    p->mode |= RL_MODE_NS;
    rl_node_t node = rl_parser_expression(p);
    p->mode = mode;
    return node;
}

static rl_node_t guard_rule(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    uint32_t start = rl_parser_start(p);
    return binary(p, unary(p), start, PREC_OR);
}

rl_node_t rl_parser_guard(rl_parser_t* p) {
    uint8_t mode = p->mode;
    p->mode |= RL_MODE_NO_CAST;
    rl_node_t node = rl_parser_nested(p, guard_rule, 0);
    p->mode = mode;
    return node;
}

rl_node_t rl_parser_continue(rl_parser_t* p, rl_node_t operand, uint32_t start) {
    operand = postfixes(p, operand, start, false, false);
    return pipes(p, binary(p, operand, start, PREC_OR), start);
}

bool rl_parser_continues(const rl_parser_t* p) {
    switch (p->kind) {
    case RL_TOK_DOT:
    case RL_TOK_COLON_COLON:
    case RL_TOK_QUESTION:
    case RL_TOK_PIPE:
    case RL_TOK_CARET: return true;
    case RL_TOK_AS: return !(p->mode & RL_MODE_NO_CAST);
    case RL_TOK_LPAREN:
    case RL_TOK_LBRACKET: return !rl_parser_on_new_line(p);
    case RL_TOK_MINUS: return !rl_parser_newline_ends(p);
    default: return OPERATORS[p->kind].precedence != PREC_NONE;
    }
}

/* --- prefix operators ---------------------------------------------------------------------------------------------- */

bool rl_parser_starts_expression(const rl_token_t* token) {
    switch (token->kind) {
    case RL_TOK_LPAREN:
    case RL_TOK_LBRACKET:
    case RL_TOK_LBRACE:
    case RL_TOK_BAR:
    case RL_TOK_OR_OR:
    case RL_TOK_MINUS:
    case RL_TOK_BANG:
    case RL_TOK_AMP:
    case RL_TOK_IDENT:
    case RL_TOK_UIDENT:
    case RL_TOK_INT:
    case RL_TOK_FLOAT:
    case RL_TOK_STRING:
    case RL_TOK_RAW_STRING:
    case RL_TOK_CHAR:
    case RL_TOK_SELF:
    case RL_TOK_FN:
    case RL_TOK_IF:
    case RL_TOK_MATCH:
    case RL_TOK_FOR:
    case RL_TOK_WHILE:
    case RL_TOK_LOOP:
    case RL_TOK_BREAK:
    case RL_TOK_CONTINUE:
    case RL_TOK_RETURN:
    case RL_TOK_UNSAFE:
    case RL_TOK_PERFORM:
    case RL_TOK_DO:
    case RL_TOK_TRUE:
    case RL_TOK_FALSE:
    case RL_TOK_ASYNC:
    case RL_TOK_AWAIT: return true;
    default: return false;
    }
}

/* D69: `handle` with an operand behind it on the same line. */
static bool is_handle_keyword(const rl_parser_t* p) {
    if (!rl_parser_word(p, RL_WORD_HANDLE)) return false;
    const rl_token_t* next = rl_parser_peek(p, 1);
    if (next->nl_before) return false;
    switch (next->kind) {
    case RL_TOK_LPAREN:
    case RL_TOK_LBRACKET:
    case RL_TOK_MINUS:
    case RL_TOK_BANG:
    case RL_TOK_AMP:
    case RL_TOK_BAR:
    case RL_TOK_OR_OR: return false;
    case RL_TOK_LBRACE: return !(p->mode & RL_MODE_NS);
    default: return rl_parser_starts_expression(next);
    }
}

/* D63: decided by the next token only. */
static bool is_not_operator(const rl_parser_t* p) {
    if (!rl_parser_word(p, RL_WORD_NOT)) return false;
    const rl_token_t* next = rl_parser_peek(p, 1);
    if (next->nl_before) return false;
    switch (next->kind) {
    case RL_TOK_LPAREN:
    case RL_TOK_LBRACKET:
    case RL_TOK_LBRACE:
    case RL_TOK_MINUS:
    case RL_TOK_AMP:
    case RL_TOK_BAR:
    case RL_TOK_OR_OR: return false;
    default: return rl_parser_starts_expression(next);
    }
}

/* `&mut e`; elsewhere `mut` is a name. */
static bool is_mut_keyword(const rl_parser_t* p) {
    const rl_token_t* next = rl_parser_peek(p, 1);
    return rl_parser_word(p, RL_WORD_MUT) && !next->nl_before && rl_parser_starts_expression(next) &&
           next->kind != RL_TOK_MINUS && next->kind != RL_TOK_BAR && next->kind != RL_TOK_OR_OR;
}

static rl_node_t prefix_rule(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    uint32_t start = rl_parser_start(p);
    unsigned op = p->kind == RL_TOK_MINUS ? RL_UN_NEG : p->kind == RL_TOK_AMP ? RL_UN_REF : RL_UN_NOT;
    bool is_await = p->kind == RL_TOK_AWAIT;
    rl_parser_advance(p);
    if (op == RL_UN_REF && is_mut_keyword(p)) {
        op = RL_UN_REF_MUT;
        rl_parser_advance(p);
    }
    rl_node_t operand = unary(p);
    if (is_await) return rl_parser_node(p, RL_NODE_AWAIT, RL_PREFIX, start, operand, 0, 0);
    return rl_parser_node(p, RL_NODE_UNARY, op, start, operand, 0, 0);
}

static rl_node_t unary(rl_parser_t* p) {
    switch (p->kind) {
    case RL_TOK_MINUS:
    case RL_TOK_BANG:
    case RL_TOK_AMP:
    case RL_TOK_AWAIT: return rl_parser_nested(p, prefix_rule, 0);
    case RL_TOK_IDENT:
        if (is_not_operator(p)) return rl_parser_nested(p, prefix_rule, 0);
        break;
    default: break;
    }
    return postfix(p);
}

/* --- postfixes ----------------------------------------------------------------------------------------------------- */

static rl_node_t member(rl_parser_t* p, rl_node_t left, uint32_t start, bool* out_path, bool* out_upper) {
    bool colons = p->kind == RL_TOK_COLON_COLON;
    rl_parser_advance(p);
    const rl_token_t* token = rl_parser_token(p);
    uint32_t at = token->start;
    *out_upper = token->kind == RL_TOK_UIDENT;
    if (p->kind == RL_TOK_INT && !colons) {
        *out_path = false;
        uint64_t index = rl_tree_int(p->tree, token->value);
        bool bad = index > UINT32_MAX || rl_tree_has(p->tree, token->value, RL_BAD);
        rl_parser_advance(p);
        return rl_parser_node(p, RL_NODE_TUPLE_INDEX, bad ? RL_BAD : 0, start, left, (uint32_t)index, at);
    }
    if (p->kind == RL_TOK_AWAIT && !colons) {
        *out_path = false;
        rl_parser_advance(p);
        return rl_parser_node(p, RL_NODE_AWAIT, 0, start, left, 0, 0);
    }
    if (!rl_parser_is_name((rl_token_kind_t)p->kind)) {
        rl_parser_want(p, RL_TOK_IDENT);
        if (!colons) rl_parser_want(p, RL_TOK_INT);
        rl_parser_fail(p);
        return left;
    }
    unsigned flags = (colons ? RL_COLONS : 0) | (*out_upper ? RL_UPPER : 0) |
                     (rl_token_is_keyword((rl_token_kind_t)p->kind) ? RL_KEYWORD : 0);
    rl_sym_t symbol = rl_parser_symbol(p, token);
    rl_parser_advance(p);
    return rl_parser_node(p, RL_NODE_FIELD, flags, start, left, symbol, at);
}

static rl_node_t index_of(rl_parser_t* p, rl_node_t left, uint32_t start) {
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACKET, false);
    rl_node_t index = rl_parser_expression(p);
    rl_parser_close(p, &bracket);
    return rl_parser_node(p, RL_NODE_INDEX, 0, start, left, index, 0);
}

/*
 * `path`: the node is made of names only, so that it may begin a Path in front of a record body; `upper`: its last name
 * is an upper identifier.
 */
static rl_node_t postfixes(rl_parser_t* p, rl_node_t node, uint32_t start, bool path, bool upper) {
    for (;;) {
        switch (p->kind) {
        case RL_TOK_DOT:
        case RL_TOK_COLON_COLON: node = member(p, node, start, &path, &upper); break;
        case RL_TOK_QUESTION:
            path = false;
            rl_parser_advance(p);
            node = rl_parser_node(p, RL_NODE_TRY, 0, start, node, 0, 0);
            break;
        case RL_TOK_LPAREN: {
            if (rl_parser_on_new_line(p)) return node;
            path = false;
            uint32_t at = rl_parser_start(p);
            rl_list_t arguments = rl_parser_arguments(p);
            node = rl_parser_node(p, RL_NODE_CALL, 0, start, node, arguments, at);
            break;
        }
        case RL_TOK_LBRACKET:
            if (rl_parser_on_new_line(p)) return node;
            path = false;
            node = index_of(p, node, start);
            break;
        case RL_TOK_LBRACE:
            if (rl_parser_on_new_line(p) || (p->mode & RL_MODE_NS)) return node;
            if (path && upper) {
                path = false;
                node = rl_parser_record_body(p, node, start);
                break;
            }
            if (rl_tree_kind(p->tree, node) == RL_NODE_CALL && !p->panic) {
                const rl_token_t* token = rl_parser_token(p);
                rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, token->start, token->end,
                    "a call cannot be followed by a block; pass a lambda as an argument");
            }
            return node;
        default: return node;
        }
    }
}

/* --- arguments ----------------------------------------------------------------------------------------------------- */

static rl_node_t argument(rl_parser_t* p) {
    const rl_token_t* token = rl_parser_token(p);
    const rl_token_t* next = rl_parser_peek(p, 1);
    uint32_t start = token->start;
    if (rl_parser_is_name((rl_token_kind_t)p->kind) && (next->kind == RL_TOK_EQ || next->kind == RL_TOK_COLON)) {
        unsigned flags = next->kind == RL_TOK_COLON ? RL_COLON : 0;
        rl_sym_t symbol = rl_parser_symbol(p, token);
        rl_parser_advance(p);
        rl_parser_advance(p);
        rl_node_t value = rl_parser_expression(p);
        return rl_parser_node(p, RL_NODE_NAMED_ARG, flags, start, symbol, value, 0);
    }
    if (p->kind == RL_TOK_UNDERSCORE) {
        rl_parser_advance(p);
        return rl_parser_node(p, RL_NODE_HOLE, 0, start, 0, 0, 0);
    }
    if ((p->kind == RL_TOK_STRING || p->kind == RL_TOK_RAW_STRING) && next->kind == RL_TOK_COLON) {
        rl_node_t constraint = token->value;
        rl_parser_advance(p);
        rl_parser_advance(p);
        rl_node_t value = rl_parser_expression(p);
        return rl_parser_node(p, RL_NODE_ASM_ARG, 0, start, constraint, value, 0);
    }
    return rl_parser_expression(p);
}

static rl_list_t arguments_until(rl_parser_t* p, rl_token_kind_t closer) {
    rl_bracket_t bracket;
    uint32_t mark = p->scratch.count;
    rl_parser_open(p, &bracket, closer, closer == RL_TOK_RBRACE);
    if (p->kind != closer) {
        rl_parser_want(p, closer);
        do rl_parser_push(p, argument(p));
        while (rl_parser_comma(p, closer));
    }
    rl_parser_close(p, &bracket);
    return rl_parser_list(p, mark);
}

rl_list_t rl_parser_arguments(rl_parser_t* p) { return arguments_until(p, RL_TOK_RPAREN); }

/* --- primaries ----------------------------------------------------------------------------------------------------- */

static rl_node_t parenthesised(rl_parser_t* p, uint32_t start) {
    rl_bracket_t bracket;
    uint32_t mark = p->scratch.count;
    rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
    if (p->kind == RL_TOK_RPAREN) {
        rl_parser_close(p, &bracket);
        return rl_parser_node(p, RL_NODE_UNIT, 0, start, 0, 0, 0);
    }
    rl_parser_want(p, RL_TOK_RPAREN);
    rl_node_t inner = rl_parser_expression(p);
    bool tuple = p->kind == RL_TOK_COMMA;
    if (tuple) {
        rl_parser_push(p, inner);
        while (rl_parser_comma(p, RL_TOK_RPAREN)) rl_parser_push(p, rl_parser_expression(p));
    } else {
        rl_parser_want(p, RL_TOK_COMMA);
    }
    rl_parser_close(p, &bracket);
    if (!tuple) return rl_parser_node(p, RL_NODE_PAREN, 0, start, inner, 0, 0);
    rl_list_t items = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_TUPLE, 0, start, items, 0, 0);
}

static rl_node_t list_literal(rl_parser_t* p, uint32_t start) {
    rl_bracket_t bracket;
    uint32_t mark = p->scratch.count;
    rl_parser_open(p, &bracket, RL_TOK_RBRACKET, false);
    if (p->kind != RL_TOK_RBRACKET) {
        rl_parser_want(p, RL_TOK_RBRACKET);
        do rl_parser_push(p, rl_parser_expression(p));
        while (rl_parser_comma(p, RL_TOK_RBRACKET));
    }
    rl_parser_close(p, &bracket);
    rl_list_t items = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_LIST, 0, start, items, 0, 0);
}

static rl_node_t record_item(rl_parser_t* p) {
    const rl_token_t* token = rl_parser_token(p);
    uint32_t start = token->start;
    if (p->kind == RL_TOK_DOT_DOT || p->kind == RL_TOK_ELLIPSIS) {
        rl_parser_advance(p);
        rl_node_t from = rl_parser_expression(p);
        return rl_parser_node(p, RL_NODE_SPREAD, 0, start, from, 0, 0);
    }
    rl_token_kind_t next = (rl_token_kind_t)rl_parser_peek(p, 1)->kind;
    bool has_value = next == RL_TOK_COLON || next == RL_TOK_EQ;
    bool named =
        has_value ? rl_parser_is_name((rl_token_kind_t)p->kind) : p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT;
    if (!named) {
        rl_parser_want(p, RL_TOK_IDENT);
        rl_parser_want(p, RL_TOK_DOT_DOT);
        rl_parser_fail(p);
        return 0;
    }
    rl_sym_t symbol = rl_parser_symbol(p, token);
    if (!has_value) {
        rl_node_t value = rl_parser_name(p);
        rl_parser_want(p, RL_TOK_COLON);
        rl_parser_want(p, RL_TOK_EQ);
        return rl_parser_node(p, RL_NODE_RECORD_FIELD, RL_PUNNED, start, symbol, value, 0);
    }
    rl_parser_advance(p);
    unsigned flags = p->kind == RL_TOK_COLON ? RL_COLON : 0;
    rl_parser_advance(p);
    rl_node_t value = rl_parser_expression(p);
    return rl_parser_node(p, RL_NODE_RECORD_FIELD, flags, start, symbol, value, 0);
}

rl_node_t rl_parser_record_body(rl_parser_t* p, rl_node_t path, uint32_t start) {
    rl_bracket_t bracket;
    uint32_t mark = p->scratch.count;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    if (p->kind != RL_TOK_RBRACE) {
        rl_parser_want(p, RL_TOK_RBRACE);
        do rl_parser_push(p, record_item(p));
        while (rl_parser_comma(p, RL_TOK_RBRACE));
    }
    rl_parser_close(p, &bracket);
    rl_list_t items = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_RECORD, 0, start, path, items, 0);
}

static rl_node_t map_literal(rl_parser_t* p, uint32_t start) {
    rl_bracket_t bracket;
    uint32_t mark = p->scratch.count;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    do {
        if (p->kind != RL_TOK_STRING && p->kind != RL_TOK_RAW_STRING) {
            rl_parser_want(p, RL_TOK_STRING);
            rl_parser_fail(p);
            break;
        }
        rl_parser_push(p, rl_parser_token(p)->value);
        rl_parser_advance(p);
        rl_parser_expect(p, RL_TOK_COLON);
        rl_parser_push(p, rl_parser_expression(p));
    } while (rl_parser_comma(p, RL_TOK_RBRACE));
    rl_parser_close(p, &bracket);
    rl_list_t items = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_MAP, 0, start, items, 0, 0);
}

/* 2.2: decided by the tokens behind the `{`. */
static rl_node_t braces(rl_parser_t* p, uint32_t start) {
    const rl_token_t* first = rl_parser_peek(p, 1);
    rl_token_kind_t second = (rl_token_kind_t)rl_parser_peek(p, 2)->kind;
    switch (first->kind) {
    case RL_TOK_RBRACE: {
        rl_bracket_t bracket;
        rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
        rl_parser_close(p, &bracket);
        return rl_parser_node(p, RL_NODE_EMPTY, 0, start, 0, 0, 0);
    }
    case RL_TOK_STRING:
    case RL_TOK_RAW_STRING:
        if (second == RL_TOK_COLON) return map_literal(p, start);
        break;
    case RL_TOK_DOT_DOT:
    case RL_TOK_ELLIPSIS: return rl_parser_record_body(p, 0, start);
    case RL_TOK_IDENT:
    case RL_TOK_UIDENT:
        if (second == RL_TOK_COMMA) return rl_parser_record_body(p, 0, start);
        break;
    default: break;
    }
    if (rl_parser_is_name((rl_token_kind_t)first->kind) && (second == RL_TOK_COLON || second == RL_TOK_EQ))
        return rl_parser_record_body(p, 0, start);
    return rl_parser_block(p, 0);
}

static rl_node_t literal(rl_parser_t* p) {
    rl_node_t node = rl_parser_token(p)->value;
    rl_parser_advance(p);
    return node;
}

static rl_node_t truth(rl_parser_t* p, uint32_t start) {
    uint32_t value = p->kind == RL_TOK_TRUE;
    rl_parser_advance(p);
    return rl_parser_node(p, RL_NODE_BOOL, 0, start, value, 0, 0);
}

static rl_node_t lambda(rl_parser_t* p, uint32_t start) {
    uint32_t mark = p->scratch.count;
    if (p->kind == RL_TOK_OR_OR) {
        rl_parser_advance(p);
    } else {
        rl_parser_advance(p);
        if (p->kind != RL_TOK_BAR) {
            rl_parser_want(p, RL_TOK_BAR);
            do rl_parser_push(p, rl_parser_param(p, RL_PARAMS_LAMBDA));
            while (rl_parser_comma(p, RL_TOK_BAR));
        }
        rl_parser_expect(p, RL_TOK_BAR);
    }
    rl_list_t params = rl_parser_list(p, mark);
    rl_node_t result = 0;
    if (p->kind == RL_TOK_ARROW) {
        rl_parser_advance(p);
        result = rl_parser_type(p);
    }
    rl_node_t body = rl_parser_action(p);
    return rl_parser_node(p, RL_NODE_LAMBDA, 0, start, params, result, body);
}

/* fn (x) => e   fn (x) { … } */
static rl_node_t fn_lambda(rl_parser_t* p, uint32_t start) {
    rl_parser_advance(p);
    if (p->kind != RL_TOK_LPAREN) {
        rl_parser_want(p, RL_TOK_LPAREN);
        rl_parser_fail(p);
        return 0;
    }
    rl_list_t params = rl_parser_params(p);
    rl_node_t result = 0, body = 0;
    if (rl_parser_accept(p, RL_TOK_ARROW)) result = rl_parser_type(p);
    if (p->kind == RL_TOK_LBRACE) {
        body = rl_parser_block(p, 0);
    } else {
        rl_parser_want(p, RL_TOK_LBRACE);
        if (rl_parser_expect(p, RL_TOK_FAT_ARROW)) body = rl_parser_action(p);
    }
    return rl_parser_node(p, RL_NODE_LAMBDA, RL_FN, start, params, result, body);
}

static rl_node_t perform(rl_parser_t* p, uint32_t start) {
    unsigned flags = p->kind == RL_TOK_DO ? RL_DO : 0;
    rl_parser_advance(p);
    if (flags && p->kind == RL_TOK_LBRACE) {
        rl_node_t block = rl_parser_block(p, RL_DO);
        return block;
    }
    if (flags) rl_parser_want(p, RL_TOK_LBRACE);
    rl_node_t path = rl_parser_path(p);
    rl_list_t arguments = 0;
    if (p->kind == RL_TOK_LPAREN && !rl_parser_on_new_line(p)) {
        arguments = rl_parser_arguments(p);
    } else {
        rl_parser_want(p, RL_TOK_LPAREN);
        rl_parser_fail(p);
    }
    return rl_parser_node(p, RL_NODE_PERFORM, flags, start, path, arguments, 0);
}

static rl_node_t block_after_keyword(rl_parser_t* p) {
    if (p->kind == RL_TOK_LBRACE) return rl_parser_block(p, 0);
    rl_parser_want(p, RL_TOK_LBRACE);
    rl_parser_fail(p);
    return 0;
}

static rl_node_t async_block(rl_parser_t* p, uint32_t start) {
    rl_parser_advance(p);
    unsigned flags = 0;
    if (rl_parser_word(p, RL_WORD_MOVE)) {
        flags = RL_MOVE;
        rl_parser_advance(p);
    } else {
        rl_parser_want(p, RL_WANT_WORD + RL_WORD_MOVE);
    }
    rl_node_t block = block_after_keyword(p);
    return rl_parser_node(p, RL_NODE_ASYNC, flags, start, block, 0, 0);
}

static rl_node_t llvm_ir(rl_parser_t* p, uint32_t start) {
    rl_parser_advance(p);
    rl_parser_advance(p);
    rl_node_t type = 0;
    rl_list_t arguments = 0;
    if (p->kind == RL_TOK_LPAREN) {
        rl_bracket_t bracket;
        rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
        type = rl_parser_type(p);
        rl_parser_close(p, &bracket);
        if (p->kind == RL_TOK_LBRACE) {
            arguments = arguments_until(p, RL_TOK_RBRACE);
        } else {
            rl_parser_want(p, RL_TOK_LBRACE);
            rl_parser_fail(p);
        }
    } else {
        rl_parser_want(p, RL_TOK_LPAREN);
        rl_parser_fail(p);
    }
    return rl_parser_node(p, RL_NODE_LLVM_IR, 0, start, type, arguments, 0);
}

static rl_node_t name_or_word(rl_parser_t* p, uint32_t start, bool* out_path) {
    const rl_token_t* next = rl_parser_peek(p, 1);
    switch ((rl_word_t)rl_parser_token(p)->word) {
    case RL_WORD_HANDLE:
        if (is_handle_keyword(p)) return rl_parser_handle(p);
        break;
    case RL_WORD_INLINE_ASM:
        if (next->kind == RL_TOK_LPAREN && !next->nl_before) {
            rl_parser_advance(p);
            rl_list_t arguments = rl_parser_arguments(p);
            return rl_parser_node(p, RL_NODE_INLINE_ASM, 0, start, arguments, 0, 0);
        }
        break;
    case RL_WORD_LLVM_IR:
        if (next->kind == RL_TOK_BANG && !next->nl_before) return llvm_ir(p, start);
        break;
    case RL_WORD_REC:
        if (!next->nl_before &&
            (next->kind == RL_TOK_IDENT || next->kind == RL_TOK_UIDENT || next->kind == RL_TOK_FN)) {
            rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, start, rl_parser_token(p)->end,
                "`rec e` is not part of this runtime; declare a `fn`");
            return 0;
        }
        break;
    default: break;
    }
    *out_path = true;
    return rl_parser_name(p);
}

static bool is_symbol_literal(const rl_parser_t* p) {
    const rl_token_t* next = rl_parser_peek(p, 1);
    return p->kind == RL_TOK_COLON && next->start == rl_parser_token(p)->end &&
           rl_parser_is_name((rl_token_kind_t)next->kind);
}

static rl_node_t return_or_break(rl_parser_t* p, uint32_t start, rl_node_kind_t kind) {
    rl_parser_advance(p);
    rl_node_t value = 0;
    const rl_token_t* token = rl_parser_token(p);
    bool ends = p->kind != token->kind || token->nl_before || !rl_parser_starts_expression(token) ||
                (p->kind == RL_TOK_LBRACE && (p->mode & RL_MODE_NS)) ||
                (rl_parser_is_match_end(p, 0) && rl_parser_match_with_open(p->layout)) ||
                (p->kind == RL_TOK_BAR && rl_parser_bar_belongs(p->layout, token));
    if (!ends) value = rl_parser_expression(p);
    return rl_parser_node(p, kind, 0, start, value, 0, 0);
}

rl_node_t rl_parser_primary(rl_parser_t* p, bool* out_path) {
    uint32_t start = rl_parser_start(p);
    switch (p->kind) {
    case RL_TOK_INT:
    case RL_TOK_FLOAT:
    case RL_TOK_STRING:
    case RL_TOK_RAW_STRING:
    case RL_TOK_CHAR: return literal(p);
    case RL_TOK_TRUE:
    case RL_TOK_FALSE: return truth(p, start);
    case RL_TOK_IDENT: return name_or_word(p, start, out_path);
    case RL_TOK_UIDENT: *out_path = true; return rl_parser_name(p);
    case RL_TOK_SELF: return rl_parser_any_name(p);
    case RL_TOK_LPAREN: return parenthesised(p, start);
    case RL_TOK_LBRACKET: return list_literal(p, start);
    case RL_TOK_LBRACE: return braces(p, start);
    case RL_TOK_BAR:
    case RL_TOK_OR_OR: return lambda(p, start);
    case RL_TOK_FN: return fn_lambda(p, start);
    case RL_TOK_IF: return rl_parser_if(p);
    case RL_TOK_MATCH: return rl_parser_match(p);
    case RL_TOK_WHILE: {
        rl_parser_advance(p);
        rl_node_t condition = rl_parser_expression_ns(p), block = block_after_keyword(p);
        return rl_parser_node(p, RL_NODE_WHILE, 0, start, condition, block, 0);
    }
    case RL_TOK_FOR: {
        rl_parser_advance(p);
        rl_node_t pattern = rl_parser_binding(p), iterable = 0, block = 0;
        if (rl_parser_expect(p, RL_TOK_IN)) {
            iterable = rl_parser_expression_ns(p);
            block = block_after_keyword(p);
        }
        return rl_parser_node(p, RL_NODE_FOR, 0, start, pattern, iterable, block);
    }
    case RL_TOK_LOOP: {
        rl_parser_advance(p);
        rl_node_t block = block_after_keyword(p);
        return rl_parser_node(p, RL_NODE_LOOP, 0, start, block, 0, 0);
    }
    case RL_TOK_DO:
    case RL_TOK_PERFORM: return perform(p, start);
    case RL_TOK_UNSAFE: {
        rl_parser_advance(p);
        rl_node_t block = block_after_keyword(p);
        return rl_parser_node(p, RL_NODE_UNSAFE, 0, start, block, 0, 0);
    }
    case RL_TOK_ASYNC: return async_block(p, start);
    case RL_TOK_RETURN: return return_or_break(p, start, RL_NODE_RETURN);
    case RL_TOK_BREAK: return return_or_break(p, start, RL_NODE_BREAK);
    case RL_TOK_CONTINUE: rl_parser_advance(p); return rl_parser_node(p, RL_NODE_CONTINUE, 0, start, 0, 0, 0);
    default: break;
    }
    if (is_symbol_literal(p)) {
        rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, start, rl_parser_peek(p, 1)->end,
            "`:symbol` literals are not part of this runtime");
        return 0;
    }
    rl_parser_want(p, RL_WANT_EXPRESSION);
    rl_parser_fail(p);
    return 0;
}
