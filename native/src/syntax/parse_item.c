/* The module and its items (section 2 from Module to Conductor), attributes, recovery. */
#include "syntax/parse.h"

/* --- attributes ---------------------------------------------------------------------------------------------------- */

static rl_node_t cfg_predicate(rl_parser_t* p);

static rl_node_t cfg_group(rl_parser_t* p, rl_node_kind_t kind, uint32_t start) {
    uint32_t mark = p->scratch.count;
    rl_bracket_t bracket;
    rl_parser_advance(p);
    rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
    do rl_parser_push(p, cfg_predicate(p)); /* an empty group is an error */
    while (kind != RL_NODE_CFG_NOT && rl_parser_comma(p, RL_TOK_RPAREN));
    rl_parser_close(p, &bracket);
    rl_list_t predicates = rl_parser_list(p, mark);
    if (kind == RL_NODE_CFG_NOT)
        return rl_parser_node(p, kind, 0, start, predicates ? rl_tree_list_at(p->tree, predicates, 0) : 0, 0, 0);
    return rl_parser_node(p, kind, 0, start, predicates, 0, 0);
}

static rl_node_t cfg_rule(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    uint32_t start = rl_parser_start(p);
    const rl_token_t* token = rl_parser_token(p);
    if (p->kind == RL_TOK_IDENT && rl_parser_peek(p, 1)->kind == RL_TOK_LPAREN) {
        rl_str_t text = rl_sym_text(p->input->symbols, token->value);
        if (rl_str_equal(text, RL_STR("all"))) return cfg_group(p, RL_NODE_CFG_ALL, start);
        if (rl_str_equal(text, RL_STR("any"))) return cfg_group(p, RL_NODE_CFG_ANY, start);
        if (rl_str_equal(text, RL_STR("not"))) return cfg_group(p, RL_NODE_CFG_NOT, start);
    }
    uint32_t mark = p->scratch.count;
    rl_parser_push(p, rl_parser_name(p));
    while (rl_parser_accept(p, RL_TOK_DOT)) rl_parser_push(p, rl_parser_any_name(p));
    rl_list_t names = rl_parser_list(p, mark);
    rl_node_t path = rl_parser_node(p, RL_NODE_PATH, 0, start, names, 0, 0), value = 0;
    if (rl_parser_expect(p, RL_TOK_EQ)) {
        value = p->kind == RL_TOK_STRING || p->kind == RL_TOK_RAW_STRING ? rl_parser_token(p)->value : 0;
        if (value) {
            rl_parser_advance(p);
        } else {
            rl_parser_want(p, RL_TOK_STRING);
            rl_parser_fail(p);
        }
    }
    return rl_parser_node(p, RL_NODE_CFG_TEST, 0, start, path, value, 0);
}

static rl_node_t cfg_predicate(rl_parser_t* p) { return rl_parser_nested(p, cfg_rule, 0); }

static rl_node_t attribute(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    rl_parser_advance(p);
    rl_sym_t symbol = 0;
    if (p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT) {
        symbol = rl_parser_token(p)->value;
        rl_parser_advance(p);
    } else {
        rl_parser_want(p, RL_TOK_IDENT);
        rl_parser_fail(p);
    }
    bool is_cfg = rl_str_equal(rl_sym_text(p->input->symbols, symbol), RL_STR("cfg"));
    if (p->kind != RL_TOK_LPAREN || rl_parser_on_new_line(p)) {
        if (is_cfg) {
            rl_parser_want(p, RL_TOK_LPAREN);
            rl_parser_fail(p);
        }
        return rl_parser_node(p, RL_NODE_ATTR, 0, start, symbol, 0, 0);
    }
    rl_list_t arguments = 0;
    rl_node_t predicate = 0;
    if (is_cfg) {
        rl_bracket_t bracket;
        rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
        predicate = cfg_predicate(p);
        rl_parser_close(p, &bracket);
    } else {
        arguments = rl_parser_arguments(p);
    }
    return rl_parser_node(p, RL_NODE_ATTR, RL_PARENS, start, symbol, arguments, predicate);
}

rl_list_t rl_parser_attributes(rl_parser_t* p) {
    if (p->kind != RL_TOK_AT) return 0;
    p->tree->has_attrs = true;
    uint32_t mark = p->scratch.count;
    while (p->kind == RL_TOK_AT) rl_parser_push(p, attribute(p));
    return rl_parser_list(p, mark);
}

/* @intrinsic stands on a `fn` with a body and has one string literal (3.5). */
static void check_intrinsic(rl_parser_t* p, rl_list_t attrs, rl_node_t node) {
    uint32_t count;
    rl_tree_list(p->tree, attrs, &count);
    for (uint32_t i = 0; i < count && !p->panic; i++) {
        rl_node_t attr = rl_tree_list_at(p->tree, attrs, i);
        const rl_node_data_t* data = rl_tree_node(p->tree, attr);
        if (!rl_str_equal(rl_sym_text(p->input->symbols, data->a), RL_STR("intrinsic"))) continue;
        bool one_string = rl_tree_list_count(p->tree, data->b) == 1 &&
                          rl_tree_kind(p->tree, rl_tree_list_at(p->tree, data->b, 0)) == RL_NODE_STRING;
        bool on_fn = rl_tree_kind(p->tree, node) == RL_NODE_FN && rl_tree_fn(p->tree, node).body;
        if (!one_string || !on_fn)
            rl_parser_report(p, RL_CODE_NATIVE_INTRINSIC_INVALID_SYNTAX, data->start, data->end,
                one_string ? "`@intrinsic` belongs on a function with a body"
                           : "`@intrinsic` takes exactly one string literal");
    }
}

/* --- values and functions ------------------------------------------------------------------------------------------ */

bool rl_parser_at_const(const rl_parser_t* p) {
    const rl_token_t* next = rl_parser_peek(p, 1);
    return rl_parser_word(p, RL_WORD_CONST) && (next->kind == RL_TOK_IDENT || next->kind == RL_TOK_UIDENT) &&
           !next->nl_before;
}

/* D68: a bare upper name in front of `:` or `=` is the declared name. */
static rl_node_t declared_pattern(rl_parser_t* p) {
    rl_token_kind_t next = (rl_token_kind_t)rl_parser_peek(p, 1)->kind;
    if (p->kind == RL_TOK_UIDENT && (next == RL_TOK_COLON || next == RL_TOK_EQ)) {
        uint32_t start = rl_parser_start(p);
        rl_sym_t symbol = rl_parser_token(p)->value;
        rl_parser_advance(p);
        return rl_parser_node(p, RL_NODE_PAT_NAME, RL_UPPER, start, symbol, 0, 0);
    }
    return rl_parser_binding(p);
}

/* Behind the parameters: result, where, effects. */
static void fn_rest(rl_parser_t* p, rl_fn_decl_t* fn) {
    fn->params = rl_parser_params(p);
    if (p->kind == RL_TOK_ARROW) {
        rl_parser_advance(p);
        fn->result = rl_parser_type_arrow(p); /* `! {…}` behind it is the function's */
    } else {
        rl_parser_want(p, RL_TOK_ARROW);
    }
    for (;;) {
        if (p->kind == RL_TOK_WHERE) {
            rl_list_t more = rl_parser_where(p);
            uint32_t mark = p->scratch.count;
            for (uint32_t i = 0; i < rl_tree_list_count(p->tree, fn->where_); i++)
                rl_parser_push(p, rl_tree_list_at(p->tree, fn->where_, i));
            for (uint32_t i = 0; i < rl_tree_list_count(p->tree, more); i++)
                rl_parser_push(p, rl_tree_list_at(p->tree, more, i));
            fn->where_ = rl_parser_list(p, mark);
        } else if (p->kind == RL_TOK_BANG || p->kind == RL_TOK_WITH) {
            fn->effects = rl_parser_effects(p, fn->effects);
        } else {
            break;
        }
    }
    fn->header_end = p->prev_end;
}

/* `let` LIdent [Generics] "(" … */
static rl_node_t let_fn(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first, uint32_t start) {
    rl_fn_decl_t fn = {.attrs = attrs};
    uint32_t mark = p->scratch.count;
    rl_parser_push(p, rl_parser_name(p));
    fn.path = rl_parser_list(p, mark);
    fn.generics = rl_parser_generics(p);
    fn.params = rl_parser_params(p);
    if (rl_parser_accept(p, RL_TOK_ARROW)) fn.result = rl_parser_type_arrow(p);
    if (p->kind == RL_TOK_BANG) fn.effects = rl_parser_effects(p, 0); /* as behind the result of a `fn` */
    fn.header_end = p->prev_end;
    if (rl_parser_expect(p, RL_TOK_EQ)) fn.body = rl_parser_body(p, first);
    uint32_t record = RL_PARSER_RECORD(p, fn);
    return rl_parser_node(p, RL_NODE_FN, flags | RL_LET, start, record, 0, 0);
}

/* `let`, `var` or `const` under the cursor; `first` is the declaration's first token (2.3). */
rl_node_t rl_parser_value(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    uint32_t start = rl_parser_start(p);
    rl_token_kind_t keyword = (rl_token_kind_t)p->kind;
    rl_parser_advance(p);
    if (keyword == RL_TOK_LET && p->kind == RL_TOK_IDENT) {
        rl_token_kind_t next = (rl_token_kind_t)rl_parser_peek(p, 1)->kind;
        if (next == RL_TOK_LPAREN || next == RL_TOK_LT) return let_fn(p, attrs, flags, first, start);
    }
    if (keyword == RL_TOK_IDENT) {
        flags |= RL_CONST;
        const rl_token_t* token = rl_parser_token(p);
        if (rl_parser_peek(p, 1)->kind == RL_TOK_COLON_COLON) {
            rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, start, token->end,
                "`const T::name` is not part of this runtime; declare it in an `impl`");
            return 0;
        }
    }
    if (keyword == RL_TOK_VAR) flags |= RL_VAR | RL_MUT;
    if (keyword == RL_TOK_LET && rl_parser_word(p, RL_WORD_MUT)) {
        rl_token_t next = *rl_parser_peek(p, 1);
        if (next.kind != RL_TOK_AT && (rl_parser_starts_pattern(&next) || next.kind == RL_TOK_UIDENT)) {
            flags |= RL_MUT;
            rl_parser_advance(p);
        }
    }
    rl_value_decl_t value = {attrs, declared_pattern(p), 0, 0};
    if (rl_parser_accept(p, RL_TOK_COLON)) value.type = rl_parser_type(p);
    if (rl_parser_expect(p, RL_TOK_EQ)) value.value = rl_parser_body(p, first);
    if ((flags & RL_MUT) && rl_tree_kind(p->tree, value.pattern) == RL_NODE_PAT_NAME)
        p->tree->nodes.data[value.pattern].flags |= RL_MUT;
    uint32_t record = RL_PARSER_RECORD(p, value);
    return rl_parser_node(p, RL_NODE_VALUE, flags, start, record, 0, 0);
}

/* Behind `fn`: the header into *fn. */
static void fn_header(rl_parser_t* p, rl_fn_decl_t* fn) {
    uint32_t mark = p->scratch.count;
    rl_parser_push(p, rl_parser_name(p));
    while (p->kind == RL_TOK_DOT || p->kind == RL_TOK_COLON_COLON) {
        rl_parser_advance(p);
        rl_parser_push(p, rl_parser_any_name(p));
    }
    fn->path = rl_parser_list(p, mark);
    fn->generics = rl_parser_generics(p);
    if (fn->generics && (p->kind == RL_TOK_DOT || p->kind == RL_TOK_COLON_COLON)) {
        const rl_token_t* token = rl_parser_token(p);
        rl_parser_refuse(p, RL_CODE_LANGUAGE_UNSUPPORTED, token->start, token->end,
            "a type in a function's name takes no arguments; the parameters of the type are implicit");
    }
    fn_rest(p, fn);
}

rl_node_t rl_parser_fn_header(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_fn_decl_t fn = {.attrs = attrs};
    fn_header(p, &fn);
    uint32_t record = RL_PARSER_RECORD(p, fn);
    return rl_parser_node(p, RL_NODE_FN, flags, start, record, 0, 0);
}

/* FnSig [ "=" Body | Block ], at `fn` or `async fn`. */
rl_node_t rl_parser_fn(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    uint32_t start = rl_parser_start(p);
    rl_fn_decl_t fn = {.attrs = attrs};
    if (p->kind == RL_TOK_ASYNC) {
        flags |= RL_ASYNC;
        rl_parser_advance(p);
    }
    rl_parser_expect(p, RL_TOK_FN);
    fn_header(p, &fn);
    if (!(flags & RL_EXTERN)) {
        if (p->kind == RL_TOK_LBRACE) {
            flags |= RL_BRACES;
            fn.body = rl_parser_block(p, 0);
        } else {
            rl_parser_want(p, RL_TOK_LBRACE);
            if (rl_parser_accept(p, RL_TOK_EQ)) fn.body = rl_parser_body(p, first);
        }
    }
    uint32_t record = RL_PARSER_RECORD(p, fn);
    return rl_parser_node(p, RL_NODE_FN, flags, start, record, 0, 0);
}

/* "pattern" ActHead "(" [Params] ")" "=" Body */
static rl_node_t active_pattern(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    uint32_t start = rl_parser_start(p);
    rl_active_decl_t decl = {.attrs = attrs};
    bool partial;
    rl_parser_advance(p);
    decl.name = rl_parser_active_head(p, &partial);
    decl.params = rl_parser_params(p);
    if (rl_parser_expect(p, RL_TOK_EQ)) decl.body = rl_parser_body(p, first);
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_ACTIVE, flags | (partial ? RL_PARTIAL : 0), start, record, 0, 0);
}

/* --- types --------------------------------------------------------------------------------------------------------- */

static rl_node_t variant_field(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    rl_sym_t symbol = 0;
    if (rl_parser_is_name((rl_token_kind_t)p->kind) && rl_parser_peek(p, 1)->kind == RL_TOK_COLON) {
        symbol = rl_parser_symbol(p, rl_parser_token(p));
        rl_parser_advance(p);
        rl_parser_advance(p);
    }
    rl_node_t type = rl_parser_type(p);
    return rl_parser_node(p, RL_NODE_VARIANT_FIELD, 0, start, symbol, type, 0);
}

static rl_node_t variant(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p);
    rl_sym_t symbol = rl_parser_token(p)->value;
    if (!rl_parser_expect(p, RL_TOK_UIDENT)) return 0;
    if (p->kind == RL_TOK_LPAREN && !rl_parser_newline_ends(p)) {
        uint32_t mark = p->scratch.count;
        rl_bracket_t bracket;
        rl_parser_open(p, &bracket, RL_TOK_RPAREN, false);
        if (p->kind != RL_TOK_RPAREN) {
            rl_parser_want(p, RL_TOK_RPAREN);
            do rl_parser_push(p, variant_field(p));
            while (rl_parser_comma(p, RL_TOK_RPAREN));
        }
        rl_parser_close(p, &bracket);
        rl_list_t fields = rl_parser_list(p, mark);
        return rl_parser_node(p, RL_NODE_VARIANT, RL_PARENS, start, symbol, fields, 0);
    }
    rl_node_t record = 0;
    if (p->kind == RL_TOK_LBRACE && !rl_parser_newline_ends(p)) record = rl_parser_record_type(p);
    return rl_parser_node(p, RL_NODE_VARIANT, 0, start, symbol, 0, record);
}

static rl_node_t variants(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    if (p->kind == RL_TOK_BAR) rl_parser_advance(p);
    do rl_parser_push(p, variant(p));
    while (rl_parser_accept(p, RL_TOK_BAR));
    rl_list_t list = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_VARIANTS, 0, start, list, 0, 0);
}

static rl_node_t braced_variants(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    do rl_parser_push(p, variant(p));
    while (rl_parser_comma(p, RL_TOK_RBRACE));
    rl_parser_close(p, &bracket);
    rl_list_t list = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_VARIANTS, 0, start, list, 0, 0);
}

static rl_node_t type_body(rl_parser_t* p) {
    if (rl_parser_word(p, RL_WORD_NEW) && rl_parser_starts_type(rl_parser_peek(p, 1)) &&
        !rl_parser_peek(p, 1)->nl_before) {
        uint32_t start = rl_parser_start(p);
        rl_parser_advance(p);
        rl_node_t type = rl_parser_type(p);
        return rl_parser_node(p, RL_NODE_NEWTYPE, 0, start, type, 0, 0);
    }
    if (p->kind == RL_TOK_BAR) return variants(p);
    if (p->kind == RL_TOK_UIDENT) {
        const rl_token_t* next = rl_parser_peek(p, 1);
        bool payload = (next->kind == RL_TOK_LPAREN || next->kind == RL_TOK_LBRACE) && !next->nl_before;
        if (payload || next->kind == RL_TOK_BAR) return variants(p);
    }
    rl_parser_want(p, RL_TOK_BAR);
    return rl_parser_type(p);
}

/* `type`, or the words `enum`, `struct`, under the cursor. */
static rl_node_t type_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_type_decl_t decl = {.attrs = attrs};
    bool is_enum = rl_parser_word(p, RL_WORD_ENUM), is_struct = rl_parser_word(p, RL_WORD_STRUCT);
    rl_parser_advance(p);
    if (!is_enum && !is_struct && rl_parser_word(p, RL_WORD_ALIAS) &&
        (rl_parser_peek(p, 1)->kind == RL_TOK_UIDENT || rl_parser_peek(p, 1)->kind == RL_TOK_IDENT)) {
        flags |= RL_ALIAS;
        rl_parser_advance(p);
    }
    decl.name = rl_parser_name(p);
    decl.generics = rl_parser_generics(p);
    if (is_enum) {
        flags |= RL_ENUM;
        rl_parser_accept(p, RL_TOK_EQ);
        decl.body = p->kind == RL_TOK_LBRACE ? braced_variants(p) : variants(p);
    } else if (is_struct) {
        flags |= RL_STRUCT;
        bool equals = rl_parser_accept(p, RL_TOK_EQ);
        if (p->kind == RL_TOK_LBRACE) {
            decl.body = rl_parser_record_type(p);
        } else {
            rl_parser_want(p, RL_TOK_LBRACE);
            if (equals) rl_parser_fail(p);
        }
    } else if (rl_parser_accept(p, RL_TOK_EQ)) {
        decl.body = type_body(p);
    }
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_TYPE_DECL, flags, start, record, 0, 0);
}

/* --- traits and impls ---------------------------------------------------------------------------------------------- */

typedef rl_node_t (*member_rule_t)(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first);

enum { PLAIN = 0, ATTRIBUTES = 1, PUB = 2 }; /* what may stand before a member */

/* "{" { {Attr} ["pub"] member SEP } "}" */
static rl_list_t members(rl_parser_t* p, member_rule_t rule, unsigned allowed) {
    uint32_t mark = p->scratch.count;
    if (p->kind != RL_TOK_LBRACE) {
        rl_parser_want(p, RL_TOK_LBRACE);
        rl_parser_fail(p);
        return 0;
    }
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, true);
    bool semicolon;
    if (p->kind != RL_TOK_RBRACE) {
        do {
            rl_parser_want(p, RL_TOK_RBRACE);
            uint32_t first = p->pos;
            rl_list_t attrs = allowed & ATTRIBUTES ? rl_parser_attributes(p) : 0;
            unsigned flags = 0;
            if ((allowed & PUB) && p->kind == RL_TOK_PUB) {
                flags = RL_PUB;
                rl_parser_advance(p);
            }
            rl_node_t member = rule(p, attrs, flags, first);
            check_intrinsic(p, attrs, member);
            rl_parser_push(p, member);
        } while (rl_parser_separator(p, RL_TOK_RBRACE, &semicolon));
    }
    rl_parser_close(p, &bracket);
    return rl_parser_list(p, mark);
}

static bool refuse_associated_type(rl_parser_t* p) {
    if (p->kind != RL_TOK_TYPE) return false;
    const rl_token_t* token = rl_parser_token(p);
    rl_parser_refuse(
        p, RL_CODE_LANGUAGE_UNSUPPORTED, token->start, token->end, "associated types are not part of this runtime");
    return true;
}

static rl_node_t trait_member(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    if (refuse_associated_type(p)) return 0;
    if (p->kind == RL_TOK_FN) return rl_parser_fn(p, attrs, flags, first);
    rl_parser_want(p, RL_TOK_FN);
    rl_parser_fail(p);
    return 0;
}

static rl_node_t impl_member(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    if (refuse_associated_type(p)) return 0;
    if (p->kind == RL_TOK_FN || (p->kind == RL_TOK_ASYNC && rl_parser_peek(p, 1)->kind == RL_TOK_FN))
        return rl_parser_fn(p, attrs, flags, first);
    if (p->kind == RL_TOK_LET || p->kind == RL_TOK_VAR || rl_parser_at_const(p))
        return rl_parser_value(p, attrs, flags, first);
    rl_parser_want(p, RL_TOK_FN);
    rl_parser_want(p, RL_TOK_LET);
    rl_parser_want(p, RL_TOK_VAR);
    rl_parser_want(p, RL_WANT_WORD + RL_WORD_CONST);
    rl_parser_fail(p);
    return 0;
}

static rl_node_t trait_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_trait_decl_t decl = {.attrs = attrs};
    rl_parser_advance(p);
    decl.name = rl_parser_upper_name(p);
    decl.generics = rl_parser_generics(p);
    if (p->kind == RL_TOK_WHERE) decl.where_ = rl_parser_where(p);
    decl.items = members(p, trait_member, ATTRIBUTES);
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_TRAIT, flags, start, record, 0, 0);
}

static rl_node_t impl_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_impl_decl_t decl = {.attrs = attrs};
    rl_parser_advance(p);
    decl.generics = rl_parser_generics(p);
    decl.type = rl_parser_type(p);
    if (p->kind == RL_TOK_FOR && rl_tree_kind(p->tree, decl.type) == RL_NODE_TYPE_PATH) {
        decl.trait = decl.type;
        rl_parser_advance(p);
        decl.type = rl_parser_type(p);
    } else {
        rl_parser_want(p, RL_TOK_FOR);
    }
    if (p->kind == RL_TOK_WHERE) decl.where_ = rl_parser_where(p);
    decl.header_end = p->prev_end;
    decl.items = members(p, impl_member, ATTRIBUTES | PUB);
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_IMPL, flags, start, record, 0, 0);
}

/* --- extern -------------------------------------------------------------------------------------------------------- */

static bool at_type_word(const rl_parser_t* p) {
    const rl_token_t* next = rl_parser_peek(p, 1);
    return (rl_parser_word(p, RL_WORD_ENUM) || rl_parser_word(p, RL_WORD_STRUCT)) && !next->nl_before &&
           (next->kind == RL_TOK_UIDENT || next->kind == RL_TOK_IDENT);
}

static rl_node_t extern_member(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    flags |= RL_EXTERN;
    if (p->kind == RL_TOK_FN) return rl_parser_fn(p, attrs, flags, first);
    if (p->kind == RL_TOK_TYPE || at_type_word(p)) return type_declaration(p, attrs, flags);
    if (p->kind == RL_TOK_LET) {
        uint32_t start = rl_parser_start(p);
        rl_value_decl_t value = {.attrs = attrs};
        rl_parser_advance(p);
        uint32_t at = rl_parser_start(p);
        unsigned upper = p->kind == RL_TOK_UIDENT ? RL_UPPER : 0;
        rl_node_t name = rl_parser_name(p);
        value.pattern = rl_parser_node(p, RL_NODE_PAT_NAME, upper, at, rl_tree_name(p->tree, name), 0, 0);
        if (rl_parser_expect(p, RL_TOK_COLON)) value.type = rl_parser_type(p);
        uint32_t record = RL_PARSER_RECORD(p, value);
        return rl_parser_node(p, RL_NODE_VALUE, flags, start, record, 0, 0);
    }
    rl_parser_want(p, RL_TOK_FN);
    rl_parser_want(p, RL_TOK_TYPE);
    rl_parser_want(p, RL_TOK_LET);
    rl_parser_fail(p);
    return 0;
}

static rl_node_t extern_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    rl_parser_advance(p);
    rl_node_t abi = p->kind == RL_TOK_STRING || p->kind == RL_TOK_RAW_STRING ? rl_parser_token(p)->value : 0;
    if (!abi) {
        rl_parser_want(p, RL_TOK_STRING);
        rl_parser_fail(p);
        return 0;
    }
    rl_parser_advance(p);
    rl_list_t items;
    if (p->kind == RL_TOK_LBRACE) {
        flags |= RL_BRACES;
        items = members(p, extern_member, ATTRIBUTES | PUB);
    } else {
        rl_parser_want(p, RL_TOK_LBRACE);
        rl_parser_push(p, extern_member(p, attrs, flags & RL_PUB, first)); /* attributes are those of the item, too */
        items = rl_parser_list(p, mark);
    }
    for (uint32_t i = 0;
        rl_str_equal(rl_tree_string(p->tree, abi), RL_STR("C")) && i < rl_tree_list_count(p->tree, items); i++) {
        rl_node_t item = rl_tree_list_at(p->tree, items, i);
        const rl_node_data_t* data = rl_tree_node(p->tree, item);
        if (data->kind != RL_NODE_FN && data->kind != RL_NODE_NONE)
            rl_parser_report(p, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, data->start, data->end,
                "extern \"C\" declares functions only");
    }
    return rl_parser_node(p, RL_NODE_EXTERN, flags, start, attrs, abi, items);
}

/* --- effects and handlers ------------------------------------------------------------------------------------------ */

static rl_node_t operation(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    (void)first;
    uint32_t start = rl_parser_start(p);
    rl_operation_decl_t decl = {.attrs = attrs};
    if (!rl_parser_word(p, RL_WORD_OPERATION)) {
        rl_parser_want(p, RL_WANT_WORD + RL_WORD_OPERATION);
        rl_parser_fail(p);
        return 0;
    }
    rl_parser_advance(p);
    decl.name = rl_parser_name(p);
    if (rl_parser_accept(p, RL_TOK_COLON)) {
        flags |= RL_COLON;
        decl.type = rl_parser_type(p);
    } else {
        decl.generics = rl_parser_generics(p);
        decl.params = rl_parser_params(p);
        if (rl_parser_accept(p, RL_TOK_ARROW)) decl.result = rl_parser_type(p);
    }
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_OPERATION, flags, start, record, 0, 0);
}

static rl_node_t effect_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_effect_decl_t decl = {.attrs = attrs};
    rl_parser_advance(p);
    decl.name = rl_parser_upper_name(p);
    decl.generics = rl_parser_generics(p);
    if (rl_parser_accept(p, RL_TOK_COLON)) {
        rl_node_t tag = rl_parser_effect_path(p);
        decl.tag =
            rl_parser_node(p, RL_NODE_PATH, 0, rl_tree_node(p->tree, tag)->start, rl_tree_node(p->tree, tag)->a, 0, 0);
    }
    decl.operations = members(p, operation, ATTRIBUTES);
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_EFFECT, flags, start, record, 0, 0);
}

static rl_node_t handler_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_handler_decl_t decl = {.attrs = attrs};
    rl_parser_advance(p);
    decl.name = rl_parser_upper_name(p);
    if (p->kind == RL_TOK_FOR) {
        rl_parser_advance(p);
        decl.effect = rl_parser_upper_name(p);
    } else {
        rl_parser_want(p, RL_TOK_FOR);
    }
    decl.entries = rl_parser_handler_body(p);
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_HANDLER_DECL, flags, start, record, 0, 0);
}

/* --- use ----------------------------------------------------------------------------------------------------------- */

static rl_node_t use_tree(rl_parser_t* p, uint32_t inside_braces);

static rl_list_t use_braces(rl_parser_t* p) {
    uint32_t mark = p->scratch.count;
    rl_bracket_t bracket;
    rl_parser_open(p, &bracket, RL_TOK_RBRACE, false);
    do rl_parser_push(p, rl_parser_nested(p, use_tree, 1));
    while (rl_parser_comma(p, RL_TOK_RBRACE));
    rl_parser_close(p, &bracket);
    return rl_parser_list(p, mark);
}

static void use_segment(rl_parser_t* p, bool self_allowed, bool super_allowed) {
    bool keyword = (p->kind == RL_TOK_SELF && self_allowed) || (p->kind == RL_TOK_SUPER && super_allowed);
    if (self_allowed) rl_parser_want(p, RL_TOK_SELF);
    if (super_allowed) rl_parser_want(p, RL_TOK_SUPER);
    rl_parser_push(p, keyword ? rl_parser_any_name(p) : rl_parser_name(p));
}

/* UseTree, or UseItem inside braces, where `self` stands alone and `super` not at all. */
static rl_node_t use_tree(rl_parser_t* p, uint32_t inside_braces) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    unsigned flags = 0;
    if (!inside_braces && rl_parser_accept(p, RL_TOK_COLON_COLON)) flags |= RL_ROOT;
    bool lone_self = inside_braces && p->kind == RL_TOK_SELF, braces = false;
    use_segment(p, true, !inside_braces);
    while (!lone_self && (p->kind == RL_TOK_DOT || p->kind == RL_TOK_COLON_COLON)) {
        rl_parser_advance(p);
        if (p->kind == RL_TOK_LBRACE) {
            braces = true;
            break;
        }
        rl_parser_want(p, RL_TOK_LBRACE);
        use_segment(p, !inside_braces, !inside_braces);
    }
    rl_list_t segments = rl_parser_list(p, mark), items = 0;
    rl_sym_t alias = 0;
    if (braces) {
        flags |= RL_BRACES;
        items = use_braces(p);
    } else if (p->kind == RL_TOK_AS) {
        rl_parser_advance(p);
        alias = rl_tree_name(p->tree, rl_parser_name(p));
    } else {
        rl_parser_want(p, RL_TOK_AS);
    }
    return rl_parser_node(p, RL_NODE_USE_TREE, flags, start, segments, items, alias);
}

static rl_node_t use_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_parser_advance(p);
    rl_node_t tree = rl_parser_nested(p, use_tree, 0);
    return rl_parser_node(p, RL_NODE_USE, flags, start, attrs, tree, 0);
}

/* --- conductors (7.3) ---------------------------------------------------------------------------------------------- */

static rl_node_t endpoint(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    rl_parser_push(p, rl_parser_name(p));
    while (rl_parser_accept(p, RL_TOK_DOT)) rl_parser_push(p, rl_parser_any_name(p));
    rl_list_t names = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_PATH, 0, start, names, 0, 0);
}

static rl_node_t channel(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    (void)attrs, (void)first;
    uint32_t start = rl_parser_start(p);
    rl_node_t from = endpoint(p), to = 0, type = 0;
    if (rl_parser_expect(p, RL_TOK_CHANNEL)) to = endpoint(p);
    if (rl_parser_expect(p, RL_TOK_COLON)) type = rl_parser_type(p);
    return rl_parser_node(p, RL_NODE_CONDUCTOR_CHANNEL, flags, start, from, to, type);
}

/* Ident ":" Expr of an execution plan */
static rl_node_t plan_field(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    (void)attrs, (void)first;
    uint32_t start = rl_parser_start(p);
    rl_sym_t symbol = rl_tree_name(p->tree, rl_parser_any_name(p));
    rl_node_t value = 0;
    if (rl_parser_expect(p, RL_TOK_COLON)) value = rl_parser_expression(p);
    return rl_parser_node(p, RL_NODE_RECORD_FIELD, flags | RL_COLON, start, symbol, value, 0);
}

/* Balanced tokens; what they are does not matter. */
static void skip_braces(rl_parser_t* p) {
    uint32_t depth = 0, opener = p->pos;
    rl_layout_t bracket = {p->layout, RL_LAYOUT_BRACKET, false, 0, opener};
    p->layout = &bracket;
    do {
        switch (p->kind) {
        case RL_TOK_LBRACE:
        case RL_TOK_LPAREN:
        case RL_TOK_LBRACKET: depth++; break;
        case RL_TOK_RBRACE:
        case RL_TOK_RPAREN:
        case RL_TOK_RBRACKET: depth--; break;
        case RL_TOK_EOF:
            rl_parser_want(p, RL_TOK_RBRACE);
            rl_parser_fail(p);
            depth = 0;
            break;
        default: break;
        }
        if (!p->panic) rl_parser_advance(p);
    } while (depth && !p->panic);
    p->layout = bracket.outer;
}

static rl_node_t conductor_section(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first) {
    (void)attrs, (void)flags, (void)first;
    uint32_t start = rl_parser_start(p);
    const rl_token_t* next = rl_parser_peek(p, 1);
    if (rl_parser_word(p, RL_WORD_CHANNELS) && next->kind == RL_TOK_LBRACE) {
        rl_parser_advance(p);
        rl_list_t channels = members(p, channel, PLAIN);
        return rl_parser_node(p, RL_NODE_CONDUCTOR_CHANNELS, 0, start, channels, 0, 0);
    }
    if (rl_parser_word(p, RL_WORD_EXECUTION) && next->kind == RL_TOK_LBRACE) {
        rl_parser_advance(p);
        rl_token_kind_t inner = (rl_token_kind_t)rl_parser_peek(p, 1)->kind;
        if (rl_parser_is_name(inner) && rl_parser_peek(p, 2)->kind == RL_TOK_COLON) {
            rl_list_t fields = members(p, plan_field, PLAIN);
            return rl_parser_node(p, RL_NODE_CONDUCTOR_EXECUTION, 0, start, 0, fields, 0);
        }
        rl_node_t block = rl_parser_block(p, 0);
        return rl_parser_node(p, RL_NODE_CONDUCTOR_EXECUTION, 0, start, block, 0, 0);
    }
    if (rl_parser_word(p, RL_WORD_MONITORING) && next->kind != RL_TOK_COLON) {
        rl_parser_advance(p);
        unsigned with = p->kind == RL_TOK_WITH ? RL_WITH : 0;
        if (with) rl_parser_advance(p);
        rl_node_t path = 0;
        if (with || ((p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT) && !rl_parser_on_new_line(p)))
            path = rl_parser_path(p);
        uint32_t raw_start = 0, raw_end = 0;
        if (p->kind == RL_TOK_LBRACE) {
            raw_start = rl_parser_start(p);
            skip_braces(p);
            raw_end = p->prev_end;
        }
        return rl_parser_node(p, RL_NODE_CONDUCTOR_MONITORING, with, start, path, raw_start, raw_end);
    }
    rl_sym_t symbol = rl_tree_name(p->tree, rl_parser_name(p)), label = 0;
    rl_node_t value = 0;
    if (rl_parser_expect(p, RL_TOK_COLON)) {
        if ((p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT) && rl_parser_peek(p, 1)->kind == RL_TOK_EQ) {
            label = rl_parser_token(p)->value;
            rl_parser_advance(p);
            rl_parser_advance(p);
        }
        value = rl_parser_expression(p);
    }
    return rl_parser_node(p, RL_NODE_CONDUCTOR_NODE, 0, start, symbol, label, value);
}

static rl_node_t conductor_declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags) {
    uint32_t start = rl_parser_start(p);
    rl_conductor_decl_t decl = {.attrs = attrs};
    rl_parser_advance(p);
    decl.name = rl_parser_name(p);
    decl.sections = members(p, conductor_section, PLAIN);
    uint32_t record = RL_PARSER_RECORD(p, decl);
    return rl_parser_node(p, RL_NODE_CONDUCTOR, flags, start, record, 0, 0);
}

/* --- items --------------------------------------------------------------------------------------------------------- */

/* The contextual keyword under the cursor begins an item (section 2, preface). */
static bool at_item_word(const rl_parser_t* p, rl_word_t* out_word) {
    const rl_token_t* token = rl_parser_token(p);
    const rl_token_t* next = rl_parser_peek(p, 1);
    *out_word = (rl_word_t)token->word;
    if (p->kind != RL_TOK_IDENT || next->nl_before) return false;
    switch (*out_word) {
    case RL_WORD_EFFECT:
    case RL_WORD_HANDLER: return next->kind == RL_TOK_UIDENT;
    case RL_WORD_ENUM:
    case RL_WORD_STRUCT: return next->kind == RL_TOK_UIDENT || next->kind == RL_TOK_IDENT;
    case RL_WORD_CONST: return rl_parser_at_const(p);
    case RL_WORD_PATTERN:
        return next->kind == RL_TOK_LPAREN && rl_parser_peek(p, 2)->kind == RL_TOK_BAR &&
               rl_parser_peek(p, 3)->kind == RL_TOK_UIDENT;
    case RL_WORD_CONDUCTOR:
        return (next->kind == RL_TOK_UIDENT || next->kind == RL_TOK_IDENT) &&
               rl_parser_peek(p, 2)->kind == RL_TOK_LBRACE;
    default: return false;
    }
}

/* A declaration under the cursor; *out_found is false when there is none (nothing was taken then). */
static rl_node_t declaration(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first, bool* out_found) {
    *out_found = true;
    switch (p->kind) {
    case RL_TOK_USE: return use_declaration(p, attrs, flags);
    case RL_TOK_LET:
    case RL_TOK_VAR: return rl_parser_value(p, attrs, flags, first);
    case RL_TOK_FN:
        if (rl_parser_peek(p, 1)->kind == RL_TOK_LPAREN) break;
        return rl_parser_fn(p, attrs, flags, first);
    case RL_TOK_ASYNC:
        if (rl_parser_peek(p, 1)->kind != RL_TOK_FN) break;
        return rl_parser_fn(p, attrs, flags, first);
    case RL_TOK_TYPE: return type_declaration(p, attrs, flags);
    case RL_TOK_TRAIT: return trait_declaration(p, attrs, flags);
    case RL_TOK_IMPL: return impl_declaration(p, attrs, flags);
    case RL_TOK_EXTERN: return extern_declaration(p, attrs, flags, first);
    default: break;
    }
    rl_word_t word;
    if (at_item_word(p, &word)) {
        switch (word) {
        case RL_WORD_EFFECT: return effect_declaration(p, attrs, flags);
        case RL_WORD_HANDLER: return handler_declaration(p, attrs, flags);
        case RL_WORD_ENUM:
        case RL_WORD_STRUCT: return type_declaration(p, attrs, flags);
        case RL_WORD_CONST: return rl_parser_value(p, attrs, flags, first);
        case RL_WORD_PATTERN: return active_pattern(p, attrs, flags, first);
        case RL_WORD_CONDUCTOR: return conductor_declaration(p, attrs, flags);
        default: break;
        }
    }
    *out_found = false;
    return 0;
}

static void want_item(rl_parser_t* p) {
    static const uint8_t starts[] = {
        RL_TOK_USE, RL_TOK_LET, RL_TOK_VAR, RL_TOK_FN, RL_TOK_TYPE, RL_TOK_TRAIT, RL_TOK_IMPL, RL_TOK_EXTERN};
    for (unsigned i = 0; i < sizeof starts; i++) rl_parser_want(p, starts[i]);
}

/* A top-level statement behind `attrs`, which go where the statement has a place for them. */
static rl_node_t top_level_statement(rl_parser_t* p, rl_list_t attrs) {
    uint32_t start = rl_parser_start(p);
    if (p->kind == RL_TOK_DEFER) {
        rl_parser_refuse(p, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, start, rl_parser_token(p)->end,
            "`defer` stands inside a block, not at the top level of a module");
        return 0;
    }
    if (attrs && p->kind == RL_TOK_LBRACE) {
        rl_node_t block = rl_parser_block(p, 0);
        if (block) p->tree->nodes.data[block].b = attrs;
        return block;
    }
    if (attrs) want_item(p);
    rl_node_t node = rl_parser_assignment(p);
    if (p->input->options.strict_top_level && !p->panic)
        rl_parser_report(p, RL_CODE_PARSER_TOP_LEVEL_EXPR_DISALLOWED, start, p->prev_end,
            "expression statements are not allowed at the top level");
    if (!attrs || p->panic) return node;
    if (rl_tree_kind(p->tree, node) == RL_NODE_UNSAFE) {
        p->tree->nodes.data[node].b = attrs;
        return node;
    }
    return rl_parser_node(p, RL_NODE_ATTRIBUTED, 0, start, attrs, node, 0);
}

static rl_node_t item(rl_parser_t* p) {
    uint32_t first = p->pos;
    rl_list_t attrs = rl_parser_attributes(p);
    unsigned flags = 0;
    if (p->kind == RL_TOK_PUB) {
        flags = RL_PUB;
        rl_parser_advance(p);
    }
    bool found;
    rl_node_t node = declaration(p, attrs, flags, first, &found);
    if (!found) {
        if (flags) {
            want_item(p);
            rl_parser_fail(p);
            return 0;
        }
        node = top_level_statement(p, attrs);
    }
    if (attrs && !p->panic) check_intrinsic(p, attrs, node);
    return node;
}

/* --- module -------------------------------------------------------------------------------------------------------- */

static bool starts_item(const rl_parser_t* p, uint32_t at) {
    const rl_token_t* token = &p->tokens.data[at];
    if (!token->nl_before || token->column != 1) return false;
    switch (token->kind) {
    case RL_TOK_USE:
    case RL_TOK_LET:
    case RL_TOK_VAR:
    case RL_TOK_FN:
    case RL_TOK_TYPE:
    case RL_TOK_TRAIT:
    case RL_TOK_IMPL:
    case RL_TOK_EXTERN:
    case RL_TOK_PUB:
    case RL_TOK_AT:
    case RL_TOK_ASYNC:
    case RL_TOK_IDENT:
    case RL_TOK_UIDENT:
    case RL_TOK_IF:
    case RL_TOK_MATCH:
    case RL_TOK_FOR:
    case RL_TOK_WHILE:
    case RL_TOK_LOOP:
    case RL_TOK_UNSAFE:
    case RL_TOK_DO:
    case RL_TOK_PERFORM:
    case RL_TOK_AWAIT: return true;
    default: return false;
    }
}

/* Leave panic at the next item; `item_start` was the token of the broken one. */
static void recover(rl_parser_t* p, uint32_t item_start) {
    uint32_t last = p->tokens.count - 1, at = p->error_pos > item_start ? p->error_pos : item_start + 1;
    while (at < last && !starts_item(p, at)) at++;
    p->pos = at < last ? at : last;
    p->panic = false;
    p->mode = RL_MODE_NEWLINES;
    p->min_column = 0;
    p->depth = 0;
    p->layout = NULL;
    rl_parser_load(p);
}

/* Items until the end of the file, or until one showed that the big stack is needed. */
static void items(rl_parser_t* p) {
    while (p->kind != RL_TOK_EOF && !p->allocator->failed) {
        uint32_t start = p->pos, mark = p->scratch.count;
        rl_node_t node = item(p);
        bool semicolon;
        if (!p->panic) rl_parser_separator(p, RL_TOK_EOF, &semicolon);
        if (p->panic) {
            p->scratch.count = mark;
            if (p->errors >= RL_MAX_SYNTAX_ERRORS || p->allocator->failed) return;
            recover(p, start);
        } else if (p->errors >= RL_MAX_SYNTAX_ERRORS) {
            return;
        }
        rl_parser_push(p, node);
        if (p->wants_big_stack && !p->big_stack) return;
    }
}

static rl_node_t items_rule(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    items(p);
    return 0;
}

static rl_node_t header(rl_parser_t* p) {
    if (p->kind != RL_TOK_MODULE) return 0;
    rl_parser_advance(p);
    rl_node_t path = endpoint(p);
    bool semicolon;
    if (!p->panic) rl_parser_separator(p, RL_TOK_EOF, &semicolon);
    if (p->panic) recover(p, 0);
    return path;
}

rl_node_t rl_parser_module(rl_parser_t* p) {
    rl_node_t path = header(p);
    uint32_t mark = p->scratch.count;
    items(p);
    if (p->kind != RL_TOK_EOF && p->wants_big_stack && p->errors < RL_MAX_SYNTAX_ERRORS && !p->allocator->failed)
        rl_parser_on_big_stack(p, items_rule, 0);
    rl_list_t list = rl_parser_list(p, mark);
    uint32_t end = rl_vec_last(&p->tokens).end;
    rl_node_t root = rl_parser_node(p, RL_NODE_MODULE, 0, 0, path, list, 0);
    if (root) p->tree->nodes.data[root].end = end;
    return root;
}
