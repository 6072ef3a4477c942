/* Patterns (5.7) and parameters. */
#include "syntax/parse.h"

static rl_node_t primary_pattern(rl_parser_t* p, uint32_t flags);

bool rl_parser_starts_pattern(const rl_token_t* token) {
    switch (token->kind) {
    case RL_TOK_UNDERSCORE:
    case RL_TOK_MINUS:
    case RL_TOK_INT:
    case RL_TOK_FLOAT:
    case RL_TOK_CHAR:
    case RL_TOK_STRING:
    case RL_TOK_RAW_STRING:
    case RL_TOK_TRUE:
    case RL_TOK_FALSE:
    case RL_TOK_IDENT:
    case RL_TOK_UIDENT:
    case RL_TOK_LPAREN:
    case RL_TOK_LBRACE:
    case RL_TOK_LBRACKET:
    case RL_TOK_DOT_DOT: return true;
    default: return false;
    }
}

bool rl_parser_at_active_head(const rl_parser_t* p) {
    return p->kind == RL_TOK_LPAREN && rl_parser_peek(p, 1)->kind == RL_TOK_BAR &&
           rl_parser_peek(p, 2)->kind == RL_TOK_UIDENT && rl_parser_peek(p, 3)->kind == RL_TOK_BAR;
}

/* `(|Name|)` or `(|Name|_|)`, at its `(`. */
rl_node_t rl_parser_active_head(rl_parser_t* p, bool* out_partial) {
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
    rl_parser_expect(p, RL_TOK_BAR);
    rl_node_t name = rl_parser_upper_name(p);
    rl_parser_expect(p, RL_TOK_BAR);
    *out_partial = rl_parser_accept(p, RL_TOK_UNDERSCORE);
    if (*out_partial) rl_parser_expect(p, RL_TOK_BAR);
    rl_parser_close(p, &bracket);
    return name;
}

/* --- alternatives and names for the whole --------------------------------------------------------------------------- */

static rl_node_t binding(rl_parser_t* p, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    if (p->kind == RL_TOK_IDENT && rl_parser_peek(p, 1)->kind == RL_TOK_AT) {
        rl_sym_t symbol = rl_parser_token(p)->value;
        rl_parser_advance(p);
        rl_parser_advance(p);
        rl_node_t pattern = primary_pattern(p, flags);
        return rl_parser_node(p, RL_NODE_PAT_AS, RL_AT, start, pattern, symbol, start);
    }
    rl_node_t pattern = primary_pattern(p, flags);
    if (p->kind != RL_TOK_AS) return pattern;
    rl_parser_advance(p);
    uint32_t at = rl_parser_start(p);
    rl_sym_t symbol = rl_parser_token(p)->value;
    if (!rl_parser_expect(p, RL_TOK_IDENT)) return pattern;
    return rl_parser_node(p, RL_NODE_PAT_AS, 0, start, pattern, symbol, at);
}

static rl_node_t binding_rule(rl_parser_t* p, uint32_t argument) { return binding(p, argument); }
rl_node_t rl_parser_binding(rl_parser_t* p) { return rl_parser_nested(p, binding_rule, 0); }

static rl_node_t pattern_rule(rl_parser_t* p, uint32_t flags) {
    uint32_t start = rl_parser_start(p);
    rl_node_t first = binding(p, flags);
    if (p->kind != RL_TOK_BAR) return first;
    uint32_t mark = p->scratch.count;
    rl_parser_push(p, first);
    while (p->kind == RL_TOK_BAR) {
        rl_parser_advance(p);
        rl_parser_push(p, binding(p, flags));
    }
    rl_list_t alternatives = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_PAT_OR, 0, start, alternatives, 0, 0);
}

rl_node_t rl_parser_pattern(rl_parser_t* p, unsigned flags) { return rl_parser_nested(p, pattern_rule, flags); }

/* --- ranges -------------------------------------------------------------------------------------------------------- */

static bool is_literal(rl_token_kind_t kind) {
    switch (kind) {
    case RL_TOK_INT:
    case RL_TOK_FLOAT:
    case RL_TOK_CHAR:
    case RL_TOK_STRING:
    case RL_TOK_RAW_STRING:
    case RL_TOK_TRUE:
    case RL_TOK_FALSE: return true;
    default: return false;
    }
}

static rl_node_t literal_pattern(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    unsigned flags = 0;
    if (p->kind == RL_TOK_MINUS) {
        flags = RL_NEGATIVE;
        rl_parser_advance(p);
        if (p->kind != RL_TOK_INT && p->kind != RL_TOK_FLOAT) {
            rl_parser_want(p, RL_TOK_INT);
            rl_parser_want(p, RL_TOK_FLOAT);
            rl_parser_fail(p);
            return 0;
        }
    }
    rl_node_t literal;
    if (p->kind == RL_TOK_TRUE || p->kind == RL_TOK_FALSE) {
        uint32_t value = p->kind == RL_TOK_TRUE;
        rl_parser_advance(p);
        literal = rl_parser_node(p, RL_NODE_BOOL, 0, start, value, 0, 0);
    } else {
        literal = rl_parser_token(p)->value;
        rl_parser_advance(p);
    }
    return rl_parser_node(p, RL_NODE_PAT_LITERAL, flags, start, literal, 0, 0);
}

/* `when` after a complete pattern is the guard. */
static bool starts_bound(const rl_parser_t* p) {
    if (p->kind == RL_TOK_MINUS || is_literal((rl_token_kind_t)p->kind) || p->kind == RL_TOK_UIDENT) return true;
    return p->kind == RL_TOK_IDENT && rl_parser_token(p)->word != RL_WORD_WHEN;
}

/* At `..`; `low` is 0 when nothing stands before it. */
static rl_node_t range_pattern(rl_parser_t* p, rl_node_t low, uint32_t start) {
    rl_parser_advance(p);
    bool inclusive = p->kind == RL_TOK_EQ && rl_parser_start(p) == p->prev_end;
    if (inclusive) rl_parser_advance(p);
    rl_node_t high = 0;
    if (starts_bound(p)) {
        high = p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT ? rl_parser_path(p) : literal_pattern(p);
    } else if (inclusive) {
        rl_parser_want(p, RL_TOK_INT);
        rl_parser_fail(p);
    }
    if (!low && !high) return rl_parser_node(p, RL_NODE_PAT_WILD, 0, start, 0, 0, 0);
    return rl_parser_node(p, RL_NODE_PAT_RANGE, inclusive ? RL_INCLUSIVE : 0, start, low, high, 0);
}

/* --- primaries ----------------------------------------------------------------------------------------------------- */

static rl_node_t name_pattern(rl_parser_t* p, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    if (flags & RL_MUT) rl_parser_advance(p);
    rl_sym_t symbol = rl_parser_token(p)->value;
    rl_parser_advance(p);
    return rl_parser_node(p, RL_NODE_PAT_NAME, flags, start, symbol, 0, 0);
}

static rl_node_t record_pattern_field(rl_parser_t* p) {
    const rl_token_t* token = rl_parser_token(p);
    uint32_t start = token->start;
    rl_token_kind_t next = (rl_token_kind_t)rl_parser_peek(p, 1)->kind;
    bool has_pattern = next == RL_TOK_COLON || next == RL_TOK_EQ;
    bool named =
        has_pattern ? rl_parser_is_name((rl_token_kind_t)p->kind) : p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT;
    if (!named) {
        rl_parser_want(p, RL_TOK_IDENT);
        rl_parser_want(p, RL_TOK_DOT_DOT);
        rl_parser_fail(p);
        return 0;
    }
    rl_sym_t symbol = rl_parser_symbol(p, token);
    rl_parser_advance(p);
    if (!has_pattern) {
        rl_node_t pattern = rl_parser_node(p, RL_NODE_PAT_NAME, 0, start, symbol, 0, 0);
        rl_parser_want(p, RL_TOK_COLON);
        return rl_parser_node(p, RL_NODE_PAT_FIELD, RL_PUNNED, start, symbol, pattern, 0);
    }
    rl_parser_advance(p);
    rl_node_t pattern = rl_parser_pattern(p, 0);
    return rl_parser_node(p, RL_NODE_PAT_FIELD, 0, start, symbol, pattern, 0);
}

static rl_node_t record_pattern(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    unsigned flags = 0;
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    if (p->kind != RL_TOK_RBRACE) {
        rl_parser_want(p, RL_TOK_RBRACE);
        do {
            if (p->kind == RL_TOK_DOT_DOT) {
                flags = RL_REST;
                rl_parser_advance(p);
            } else {
                rl_parser_push(p, record_pattern_field(p));
            }
        } while (rl_parser_comma(p, RL_TOK_RBRACE));
    }
    rl_parser_close(p, &bracket);
    rl_list_t fields = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_PAT_RECORD, flags, start, fields, 0, 0);
}

/* Patterns in round brackets; the closing one included. */
static rl_list_t pattern_list(rl_parser_t* p, uint32_t* out_count, bool* out_comma) {
    uint32_t mark = p->scratch.count;
    rl_bracket_t bracket;
    *out_comma = false;
    rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
    while (p->kind != RL_TOK_RPAREN && !p->panic) {
        rl_parser_want(p, RL_TOK_RPAREN);
        rl_parser_push(p, rl_parser_pattern(p, 0));
        *out_comma = rl_parser_accept(p, RL_TOK_COMMA);
        if (!*out_comma) break;
    }
    rl_parser_close(p, &bracket);
    *out_count = p->scratch.count - mark;
    return rl_parser_list(p, mark);
}

static rl_node_t parenthesised_pattern(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), count;
    if (rl_parser_at_active_head(p)) {
        bool partial;
        rl_node_t name = rl_parser_active_head(p, &partial), argument = 0;
        const rl_token_t* token = rl_parser_token(p);
        if (p->kind == token->kind && rl_parser_starts_pattern(token) && token->word != RL_WORD_WHEN &&
            !(p->kind == RL_TOK_LBRACE && (p->mode & RL_MODE_PATTERN_NO_BRACE)))
            argument = rl_parser_nested(p, primary_pattern, 0);
        return rl_parser_node(p, RL_NODE_PAT_ACTIVE, partial ? RL_PARTIAL : 0, start, name, argument, 0);
    }
    bool comma;
    rl_list_t patterns = pattern_list(p, &count, &comma);
    if (count == 0) {
        rl_node_t unit = rl_parser_node(p, RL_NODE_UNIT, 0, start, 0, 0, 0);
        return rl_parser_node(p, RL_NODE_PAT_LITERAL, 0, start, unit, 0, 0);
    }
    if (count == 1 && !comma) return rl_tree_list_at(p->tree, patterns, 0);
    return rl_parser_node(p, RL_NODE_PAT_TUPLE, 0, start, patterns, 0, 0);
}

static rl_node_t slice_item(rl_parser_t* p) {
    if (p->kind != RL_TOK_DOT_DOT) return rl_parser_pattern(p, RL_PATTERN_IN_SLICE);
    uint32_t start = rl_parser_start(p), at = 0;
    rl_sym_t symbol = 0;
    rl_parser_advance(p);
    if (p->kind == RL_TOK_IDENT) {
        symbol = rl_parser_token(p)->value;
        at = rl_parser_start(p);
        rl_parser_advance(p);
    }
    return rl_parser_node(p, RL_NODE_PAT_REST, 0, start, symbol, at, 0);
}

static rl_node_t slice_pattern(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACKET, false);
    if (p->kind != RL_TOK_RBRACKET) {
        rl_parser_want(p, RL_TOK_RBRACKET);
        do rl_parser_push(p, slice_item(p));
        while (rl_parser_comma(p, RL_TOK_RBRACKET));
    }
    rl_parser_close(p, &bracket);
    rl_list_t items = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_PAT_SLICE, 0, start, items, 0, 0);
}

/* A variable, a constructor, or a constant as the bound of a range. */
static rl_node_t path_pattern(rl_parser_t* p, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    const rl_token_t* next = rl_parser_peek(p, 1);
    bool range_next = next->kind == RL_TOK_DOT_DOT && !(flags & RL_PATTERN_IN_SLICE);
    if (p->kind == RL_TOK_IDENT) {
        if (rl_parser_word(p, RL_WORD_MUT) && next->kind == RL_TOK_IDENT && !next->nl_before &&
            next->word != RL_WORD_WHEN)
            return name_pattern(p, RL_MUT);
        if (next->kind != RL_TOK_DOT && next->kind != RL_TOK_COLON_COLON && !range_next) return name_pattern(p, 0);
    }
    rl_node_t path = rl_parser_path(p);
    if (p->panic) return path;
    if (p->kind == RL_TOK_DOT_DOT && !(flags & RL_PATTERN_IN_SLICE)) return range_pattern(p, path, start);
    rl_list_t names = rl_tree_node(p->tree, path)->a;
    rl_node_t last = rl_tree_list_at(p->tree, names, rl_tree_list_count(p->tree, names) - 1);
    if (!rl_tree_has(p->tree, last, RL_UPPER)) { /* m.name can only be a bound */
        rl_parser_want(p, RL_TOK_DOT_DOT);
        rl_parser_fail(p);
        return 0;
    }
    if (p->kind == RL_TOK_LPAREN) {
        uint32_t count;
        bool comma;
        rl_list_t patterns = pattern_list(p, &count, &comma);
        return rl_parser_node(p, RL_NODE_PAT_CTOR, RL_PARENS, start, path, patterns, 0);
    }
    rl_node_t record = 0;
    if (p->kind == RL_TOK_LBRACE && !(p->mode & RL_MODE_PATTERN_NO_BRACE)) record = record_pattern(p);
    return rl_parser_node(p, RL_NODE_PAT_CTOR, 0, start, path, 0, record);
}

static rl_node_t primary_pattern(rl_parser_t* p, uint32_t flags) {
    uint32_t start = rl_parser_start(p);
    switch (p->kind) {
    case RL_TOK_UNDERSCORE: rl_parser_advance(p); return rl_parser_node(p, RL_NODE_PAT_WILD, 0, start, 0, 0, 0);
    case RL_TOK_RAW_STRING: {
        rl_node_t literal = rl_parser_token(p)->value;
        rl_parser_advance(p);
        return rl_parser_node(p, RL_NODE_PAT_REGEX, 0, start, literal, 0, 0);
    }
    case RL_TOK_MINUS:
    case RL_TOK_INT:
    case RL_TOK_FLOAT:
    case RL_TOK_CHAR:
    case RL_TOK_STRING:
    case RL_TOK_TRUE:
    case RL_TOK_FALSE: {
        rl_node_t literal = literal_pattern(p);
        if (p->kind == RL_TOK_DOT_DOT && !(flags & RL_PATTERN_IN_SLICE)) return range_pattern(p, literal, start);
        return literal;
    }
    case RL_TOK_DOT_DOT:
        if (flags & RL_PATTERN_IN_SLICE) break;
        return range_pattern(p, 0, start);
    case RL_TOK_IDENT:
    case RL_TOK_UIDENT: return path_pattern(p, flags);
    case RL_TOK_LPAREN: return parenthesised_pattern(p);
    case RL_TOK_LBRACKET: return slice_pattern(p);
    case RL_TOK_LBRACE:
        if (p->mode & RL_MODE_PATTERN_NO_BRACE) break;
        return record_pattern(p);
    default: break;
    }
    rl_parser_want(p, RL_WANT_PATTERN);
    rl_parser_fail(p);
    return 0;
}

/* --- parameters ---------------------------------------------------------------------------------------------------- */

/* `self`, `&self`, `&mut self` */
static rl_node_t self_param(rl_parser_t* p, uint32_t start) {
    unsigned flags = RL_SELF;
    if (p->kind == RL_TOK_AMP) {
        flags |= RL_REF;
        rl_parser_advance(p);
        if (rl_parser_word(p, RL_WORD_MUT)) {
            flags |= RL_MUT;
            rl_parser_advance(p);
        }
    }
    uint32_t at = rl_parser_start(p);
    rl_sym_t symbol = rl_parser_symbol(p, rl_parser_token(p));
    if (!rl_parser_expect(p, RL_TOK_SELF)) return 0;
    rl_node_t pattern = rl_parser_node(p, RL_NODE_PAT_NAME, RL_KEYWORD, at, symbol, 0, 0), type = 0;
    if (rl_parser_accept(p, RL_TOK_COLON)) type = rl_parser_type(p);
    return rl_parser_node(p, RL_NODE_PARAM, flags, start, pattern, type, 0);
}

/* A hard keyword before `:` names a parameter (1.5). */
static bool at_keyword_param(const rl_parser_t* p) {
    return rl_token_is_keyword((rl_token_kind_t)p->kind) && p->kind != RL_TOK_TRUE && p->kind != RL_TOK_FALSE &&
           rl_parser_peek(p, 1)->kind == RL_TOK_COLON;
}

rl_node_t rl_parser_param(rl_parser_t* p, unsigned how) {
    uint32_t start = rl_parser_start(p);
    if (p->kind == RL_TOK_SELF || p->kind == RL_TOK_AMP) return self_param(p, start);
    if (p->kind == RL_TOK_ELLIPSIS) {
        rl_parser_advance(p);
        return rl_parser_node(p, RL_NODE_PARAM, RL_VARARGS, start, 0, 0, 0);
    }
    rl_node_t pattern, type = 0, value = 0;
    unsigned flags = 0;
    if (at_keyword_param(p)) {
        rl_sym_t symbol = rl_parser_symbol(p, rl_parser_token(p));
        rl_parser_advance(p);
        pattern = rl_parser_node(p, RL_NODE_PAT_NAME, RL_KEYWORD, start, symbol, 0, 0);
    } else {
        const rl_token_t* next = rl_parser_peek(p, 1);
        if (rl_parser_word(p, RL_WORD_MUT) && next->kind != RL_TOK_IDENT && rl_parser_starts_pattern(next)) {
            flags = RL_MUT; /* `mut` before a pattern that is no name; names take it themselves */
            rl_parser_advance(p);
        }
        pattern = rl_parser_binding(p);
        if (rl_tree_kind(p->tree, pattern) == RL_NODE_PAT_NAME) flags |= rl_tree_flags(p->tree, pattern) & RL_MUT;
    }
    if (rl_parser_accept(p, RL_TOK_COLON)) type = rl_parser_type(p);
    if (how != RL_PARAMS_LAMBDA && rl_parser_accept(p, RL_TOK_EQ)) value = rl_parser_expression(p);
    return rl_parser_node(p, RL_NODE_PARAM, flags, start, pattern, type, value);
}

rl_list_t rl_parser_params(rl_parser_t* p) {
    uint32_t mark = p->scratch.count;
    if (p->kind != RL_TOK_LPAREN) {
        rl_parser_want(p, RL_TOK_LPAREN);
        rl_parser_fail(p);
        return 0;
    }
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
    if (p->kind != RL_TOK_RPAREN) {
        rl_parser_want(p, RL_TOK_RPAREN);
        bool varargs = false;
        do {
            varargs = p->kind == RL_TOK_ELLIPSIS;
            rl_parser_push(p, rl_parser_param(p, 0));
        } while (rl_parser_comma(p, RL_TOK_RPAREN) && !varargs);
    }
    rl_parser_close(p, &bracket);
    return rl_parser_list(p, mark);
}
