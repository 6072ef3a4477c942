/* Types, generics, bounds, effect annotations. */
#include "syntax/parse.h"

static rl_node_t arrow_rule(rl_parser_t* p, uint32_t argument);

/* --- effects ------------------------------------------------------------------------------------------------------- */

rl_node_t rl_parser_effect_path(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    if (p->kind == RL_TOK_UNSAFE) {
        uint32_t mark = p->scratch.count;
        rl_parser_push(p, rl_parser_any_name(p));
        rl_list_t names = rl_parser_list(p, mark);
        return rl_parser_node(p, RL_NODE_TYPE_PATH, 0, start, names, 0, 0);
    }
    rl_node_t path = rl_parser_path(p);
    rl_list_t names = rl_tree_node(p->tree, path)->a, args = 0;
    unsigned flags = 0;
    if (p->kind == RL_TOK_LT) {
        args = rl_parser_type_args(p);
        flags = RL_ARGS;
    }
    return rl_parser_node(p, RL_NODE_TYPE_PATH, flags, start, names, args, 0);
}

/* At `!` or `with`. */
rl_node_t rl_parser_effects(rl_parser_t* p, rl_node_t before) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    if (before) {
        start = rl_tree_node(p->tree, before)->start;
        uint32_t count;
        rl_tree_list(p->tree, rl_tree_node(p->tree, before)->a, &count);
        for (uint32_t i = 0; i < count; i++)
            rl_parser_push(p, rl_tree_list_at(p->tree, rl_tree_node(p->tree, before)->a, i));
    }
    bool bang = p->kind == RL_TOK_BANG;
    rl_parser_advance(p);
    if (!bang) {
        do rl_parser_push(p, rl_parser_effect_path(p));
        while (rl_parser_accept(p, RL_TOK_COMMA));
    } else if (p->kind == RL_TOK_LBRACE) {
        rl_bracket_t bracket;
        rl_parser_open(p, &bracket, RL_TOK_RBRACE, false);
        if (p->kind != RL_TOK_RBRACE) {
            rl_parser_want(p, RL_TOK_RBRACE);
            do rl_parser_push(p, rl_parser_effect_path(p));
            while (rl_parser_comma(p, RL_TOK_RBRACE));
        }
        rl_parser_close(p, &bracket);
    } else {
        rl_parser_want(p, RL_TOK_LBRACE);
        rl_parser_fail(p);
    }
    rl_list_t names = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_EFFECTS, 0, start, names, 0, 0);
}

/* --- types --------------------------------------------------------------------------------------------------------- */

bool rl_parser_starts_type(const rl_token_t* token) {
    switch (token->kind) {
    case RL_TOK_IDENT:
    case RL_TOK_UIDENT:
    case RL_TOK_FN:
    case RL_TOK_LPAREN:
    case RL_TOK_LBRACKET:
    case RL_TOK_LBRACE:
    case RL_TOK_AMP: return true;
    default: return false;
    }
}

static rl_node_t type_rule(rl_parser_t* p, uint32_t argument) {
    uint32_t start = rl_parser_start(p);
    rl_node_t type = arrow_rule(p, argument);
    if (p->kind != RL_TOK_BANG || rl_parser_newline_ends(p)) return type;
    rl_node_t effects = rl_parser_effects(p, 0);
    if (rl_tree_kind(p->tree, type) == RL_NODE_TYPE_FN && !rl_tree_node(p->tree, type)->c) {
        p->tree->nodes.data[type].c = effects;
        p->tree->nodes.data[type].end = p->prev_end;
        return type;
    }
    return rl_parser_node(p, RL_NODE_TYPE_EFFECTS, 0, start, type, effects, 0);
}

rl_node_t rl_parser_type(rl_parser_t* p) { return rl_parser_nested(p, type_rule, 0); }
rl_node_t rl_parser_type_arrow(rl_parser_t* p) { return rl_parser_nested(p, arrow_rule, 0); }

/* A `>` that ends type arguments; `>=` gives its `=` back (1.6). */
bool rl_parser_closing_gt(rl_parser_t* p) {
    if (p->kind == RL_TOK_GE) {
        rl_token_t* token = &p->tokens.data[p->pos];
        p->prev_end = token->start + 1;
        token->kind = RL_TOK_EQ;
        token->start++;
        token->column++;
        token->nl_before = false;
        p->wanted_at = UINT32_MAX;
        rl_parser_load(p);
        return true;
    }
    return rl_parser_expect(p, RL_TOK_GT);
}

rl_list_t rl_parser_type_args(rl_parser_t* p) {
    uint32_t mark = p->scratch.count;
    uint8_t mode = p->mode;
    p->mode &= (uint8_t)~(RL_MODE_GLUED_ARGS | RL_MODE_NEWLINES);
    rl_parser_advance(p);
    do {
        rl_parser_push(p, rl_parser_type(p));
        rl_parser_want(p, RL_TOK_GT);
    } while (rl_parser_accept(p, RL_TOK_COMMA) && p->kind != RL_TOK_GT && p->kind != RL_TOK_GE);
    p->mode = mode;
    rl_parser_closing_gt(p);
    return rl_parser_list(p, mark);
}

/* [ Ident ":" ] Type, in a parenthesised list; sets *named when the name was there. */
static rl_node_t type_param(rl_parser_t* p, bool* named) {
    uint32_t start = rl_parser_start(p);
    rl_sym_t symbol = 0;
    if (rl_parser_is_name((rl_token_kind_t)p->kind) && rl_parser_peek(p, 1)->kind == RL_TOK_COLON) {
        symbol = rl_parser_symbol(p, rl_parser_token(p));
        *named = true;
        rl_parser_advance(p);
        rl_parser_advance(p);
    }
    rl_node_t type = rl_parser_type(p);
    return rl_parser_node(p, RL_NODE_TYPE_PARAM, 0, start, symbol, type, 0);
}

typedef struct type_params {
    rl_list_t list; /* of TYPE_PARAM */
    uint32_t count;
    bool named, trailing_comma;
} type_params_t;

static type_params_t type_params(rl_parser_t* p) {
    type_params_t params = {0, 0, false, false};
    uint32_t mark = p->scratch.count;
    if (p->kind != RL_TOK_LPAREN) {
        rl_parser_want(p, RL_TOK_LPAREN);
        rl_parser_fail(p);
        return params;
    }
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
    while (p->kind != RL_TOK_RPAREN && !p->panic) {
        rl_parser_want(p, RL_TOK_RPAREN);
        rl_parser_push(p, type_param(p, &params.named));
        params.count++;
        params.trailing_comma = rl_parser_accept(p, RL_TOK_COMMA);
        if (!params.trailing_comma) break;
    }
    rl_parser_close(p, &bracket);
    params.list = rl_parser_list(p, mark);
    return params;
}

static rl_node_t fn_type(rl_parser_t* p, uint32_t start) {
    rl_parser_advance(p);
    type_params_t params = type_params(p);
    rl_node_t result = 0;
    if (p->kind == RL_TOK_ARROW) {
        rl_parser_advance(p);
        result = rl_parser_type_arrow(p);
    }
    return rl_parser_node(p, RL_NODE_TYPE_FN, RL_FN, start, params.list, result, 0);
}

/* Unit, group, tuple, or the parameters of a function type. */
static rl_node_t parenthesised_type(rl_parser_t* p, uint32_t start, bool primary_only) {
    type_params_t params = type_params(p);
    if (p->kind == RL_TOK_ARROW && !primary_only) {
        rl_parser_advance(p);
        rl_node_t result = rl_parser_type_arrow(p);
        return rl_parser_node(p, RL_NODE_TYPE_FN, 0, start, params.list, result, 0);
    }
    if (params.named) { /* names only before `->` */
        rl_parser_want(p, RL_TOK_ARROW);
        rl_parser_fail(p);
        return 0;
    }
    if (params.count == 0) return rl_parser_node(p, RL_NODE_TYPE_UNIT, 0, start, 0, 0, 0);
    if (params.count == 1 && !params.trailing_comma)
        return rl_tree_node(p->tree, rl_tree_list_at(p->tree, params.list, 0))->b;
    uint32_t mark = p->scratch.count;
    for (uint32_t i = 0; i < rl_tree_list_count(p->tree, params.list); i++)
        rl_parser_push(p, rl_tree_node(p->tree, rl_tree_list_at(p->tree, params.list, i))->b);
    rl_list_t types = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_TYPE_TUPLE, 0, start, types, 0, 0);
}

static rl_node_t list_type(rl_parser_t* p, uint32_t start) {
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACKET, false);
    rl_node_t element = rl_parser_type(p), length = 0;
    bool array = rl_parser_accept(p, RL_TOK_SEMICOLON);
    if (array) {
        length = rl_parser_token(p)->value;
        if (!rl_parser_expect(p, RL_TOK_INT)) length = 0;
    }
    rl_parser_close(p, &bracket);
    return rl_parser_node(p, array ? RL_NODE_TYPE_ARRAY : RL_NODE_TYPE_LIST, 0, start, element, length, 0);
}

static rl_node_t field_type(rl_parser_t* p) {
    rl_field_more_t more = {rl_parser_attributes(p), 0};
    unsigned flags = 0;
    if (p->kind == RL_TOK_PUB && rl_parser_peek(p, 1)->kind != RL_TOK_COLON) {
        flags = RL_PUB;
        rl_parser_advance(p);
    }
    uint32_t start = rl_parser_start(p);
    if (!rl_parser_is_name((rl_token_kind_t)p->kind)) {
        rl_parser_want(p, RL_TOK_IDENT);
        rl_parser_want(p, RL_TOK_DOT_DOT);
        rl_parser_fail(p);
        return 0;
    }
    rl_sym_t symbol = rl_parser_symbol(p, rl_parser_token(p));
    rl_parser_advance(p);
    rl_parser_expect(p, RL_TOK_COLON);
    rl_node_t type = rl_parser_type(p);
    if (rl_parser_accept(p, RL_TOK_EQ)) more.default_ = rl_parser_expression(p);
    uint32_t record = more.attrs || more.default_ ? RL_PARSER_RECORD(p, more) : 0;
    return rl_parser_node(p, RL_NODE_TYPE_FIELD, flags, start, symbol, type, record);
}

/* Fields separated by `,`, `;` or a newline, and an optional `..` at the end. */
rl_node_t rl_parser_record_type(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    unsigned flags = 0;
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    while (p->kind != RL_TOK_RBRACE && !p->panic) {
        if (p->kind == RL_TOK_DOT_DOT) {
            flags = RL_OPEN;
            rl_parser_advance(p);
            rl_parser_accept(p, RL_TOK_COMMA);
            break;
        }
        rl_parser_want(p, RL_TOK_RBRACE);
        rl_parser_push(p, field_type(p));
        if (p->kind == RL_TOK_COMMA) {
            rl_parser_advance(p);
        } else if (p->kind == RL_TOK_SEMICOLON) {
            do rl_parser_advance(p);
            while (p->kind == RL_TOK_SEMICOLON);
        } else if (p->kind != RL_TOK_DOT_DOT && !rl_parser_on_new_line(p)) {
            rl_parser_want(p, RL_TOK_COMMA);
            break;
        }
    }
    rl_parser_close(p, &bracket);
    rl_list_t fields = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_TYPE_RECORD, flags, start, fields, 0, 0);
}

static rl_node_t path_type(rl_parser_t* p, uint32_t start) {
    rl_node_t path = rl_parser_path(p);
    rl_list_t names = rl_tree_node(p->tree, path)->a, args = 0;
    unsigned flags = 0;
    bool glued = p->prev_end == rl_parser_start(p);
    if (p->kind == RL_TOK_LT && (glued || !(p->mode & RL_MODE_GLUED_ARGS))) {
        args = rl_parser_type_args(p);
        flags = RL_ARGS;
    }
    return rl_parser_node(p, RL_NODE_TYPE_PATH, flags, start, names, args, 0);
}

static rl_node_t reference_rule(rl_parser_t* p, uint32_t start) {
    unsigned flags = 0;
    rl_parser_advance(p);
    if (rl_parser_word(p, RL_WORD_MUT) && rl_parser_starts_type(rl_parser_peek(p, 1)) &&
        !rl_parser_peek(p, 1)->nl_before) {
        flags = RL_MUT;
        rl_parser_advance(p);
    }
    rl_node_t type = 0;
    if (p->kind == RL_TOK_AMP) {
        type = rl_parser_nested(p, reference_rule, rl_parser_start(p));
    } else {
        uint32_t at = rl_parser_start(p);
        type =
            p->kind == RL_TOK_LPAREN || p->kind == RL_TOK_LBRACKET || p->kind == RL_TOK_LBRACE || p->kind == RL_TOK_FN
                ? rl_parser_nested(p, arrow_rule, 1)
                : path_type(p, at);
    }
    return rl_parser_node(p, RL_NODE_TYPE_REF, flags, start, type, 0, 0);
}

/* TArrow; argument 1: a TPrim, without the arrow behind it. */
static rl_node_t arrow_rule(rl_parser_t* p, uint32_t primary_only) {
    uint32_t start = rl_parser_start(p);
    rl_node_t type = 0;
    switch (p->kind) {
    case RL_TOK_FN: type = fn_type(p, start); break;
    case RL_TOK_LPAREN: type = parenthesised_type(p, start, primary_only != 0); break;
    case RL_TOK_LBRACKET: type = list_type(p, start); break;
    case RL_TOK_LBRACE: type = rl_parser_record_type(p); break;
    case RL_TOK_AMP: type = reference_rule(p, start); break;
    case RL_TOK_IDENT:
    case RL_TOK_UIDENT: type = path_type(p, start); break;
    case RL_TOK_STAR:
        rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, start, rl_parser_token(p)->end,
            "raw pointer types are not part of this runtime; use `Ptr<T>`");
        return 0;
    default:
        rl_parser_want(p, RL_WANT_TYPE);
        rl_parser_fail(p);
        return 0;
    }
    if (p->kind != RL_TOK_ARROW || primary_only) return type;
    rl_parser_advance(p);
    uint32_t mark = p->scratch.count;
    rl_node_t param = rl_parser_node(p, RL_NODE_TYPE_PARAM, 0, start, 0, type, 0);
    rl_parser_push(p, param);
    rl_list_t params = rl_parser_list(p, mark);
    rl_node_t result = rl_parser_type_arrow(p);
    return rl_parser_node(p, RL_NODE_TYPE_FN, 0, start, params, result, 0);
}

/* --- generics ------------------------------------------------------------------------------------------------------ */

/* Bound { "+" Bound } */
rl_list_t rl_parser_bounds(rl_parser_t* p) {
    uint32_t mark = p->scratch.count;
    do rl_parser_push(p, path_type(p, rl_parser_start(p)));
    while (rl_parser_accept(p, RL_TOK_PLUS));
    return rl_parser_list(p, mark);
}

rl_list_t rl_parser_generics(rl_parser_t* p) {
    if (p->kind != RL_TOK_LT) return 0;
    uint32_t mark = p->scratch.count;
    rl_parser_advance(p);
    do {
        uint32_t start = rl_parser_start(p);
        rl_sym_t symbol = rl_parser_token(p)->value;
        if (p->kind != RL_TOK_IDENT && p->kind != RL_TOK_UIDENT) {
            rl_parser_want(p, RL_TOK_IDENT);
            rl_parser_fail(p);
            break;
        }
        rl_parser_advance(p);
        rl_list_t bounds = 0;
        if (rl_parser_accept(p, RL_TOK_COLON)) bounds = rl_parser_bounds(p);
        rl_parser_push(p, rl_parser_node(p, RL_NODE_GENERIC, 0, start, symbol, bounds, 0));
        rl_parser_want(p, RL_TOK_GT);
    } while (rl_parser_accept(p, RL_TOK_COMMA) && p->kind != RL_TOK_GT && p->kind != RL_TOK_GE);
    rl_parser_closing_gt(p);
    return rl_parser_list(p, mark);
}

static rl_node_t constraint(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    if ((p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT) && rl_parser_peek(p, 1)->kind == RL_TOK_COLON) {
        rl_sym_t symbol = rl_parser_token(p)->value;
        rl_parser_advance(p);
        rl_parser_advance(p);
        rl_list_t bounds = rl_parser_bounds(p);
        return rl_parser_node(p, RL_NODE_CONSTRAINT, 0, start, symbol, bounds, 0);
    }
    rl_node_t type = path_type(p, start);
    if (!rl_tree_has(p->tree, type, RL_ARGS)) {
        rl_parser_want(p, RL_TOK_COLON);
        rl_parser_want(p, RL_TOK_LT);
        rl_parser_fail(p);
    }
    return rl_parser_node(p, RL_NODE_CONSTRAINT, 0, start, 0, 0, type);
}

rl_list_t rl_parser_where(rl_parser_t* p) {
    uint32_t mark = p->scratch.count;
    rl_parser_advance(p);
    do rl_parser_push(p, constraint(p));
    while (rl_parser_accept(p, RL_TOK_COMMA));
    return rl_parser_list(p, mark);
}
