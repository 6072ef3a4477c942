#include "syntax/parse.h"

#include "base/os.h"

#include <stdio.h>

enum {
    DEFAULT_SOURCE_BYTES = 16 << 20,
    DEFAULT_NESTING = 1000,
    DEFAULT_IDENTIFIER_BYTES = 1024,
    STACK_SWITCH_DEPTH = 24, /* levels that fit a 64 KiB thread */
/* Measured at worst: 0.95 KiB optimised, 1.3 KiB plain, 2.4 KiB plain under the sanitizers. */
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
    STACK_BYTES_PER_LEVEL = 5 << 10,
#else
    STACK_BYTES_PER_LEVEL = 2 << 10,
#endif
    STACK_BYTES_BASE = 128 << 10
};

/* --- the cursor ---------------------------------------------------------------------------------------------------- */

void rl_parser_panic(rl_parser_t* p) {
    if (p->panic) return;
    p->panic = true;
    p->error_pos = p->pos;
    p->pos = p->tokens.count - 1;
    p->kind = RL_TOK_EOF;
}

bool rl_parser_expect(rl_parser_t* p, rl_token_kind_t kind) {
    if (rl_parser_accept(p, kind)) return true;
    rl_parser_fail(p);
    return false;
}

/* --- errors -------------------------------------------------------------------------------------------------------- */

rl_diag_t* rl_parser_report(rl_parser_t* p, rl_code_t code, uint32_t start, uint32_t end, const char* message) {
    if (p->panic) return NULL;
    if (p->errors >= RL_MAX_SYNTAX_ERRORS) {
        rl_parser_panic(p);
        return NULL;
    }
    p->errors++;
    return rl_report(p->input->diags, code, (rl_span_t){start, end}, "%s", message);
}

void rl_parser_refuse(rl_parser_t* p, rl_code_t code, uint32_t start, uint32_t end, const char* message) {
    rl_parser_report(p, code, start, end, message);
    rl_parser_panic(p);
}

static const char* const WORD_TEXTS[] = {
    "",
#define CONTEXT(name, text) "`" text "`",
#include "syntax/token.def"
};

static const char* wanted_text(unsigned what) {
    if (what < RL_TOKEN_KIND_COUNT) return rl_token_text((rl_token_kind_t)what);
    if (what == RL_WANT_TYPE) return "type";
    if (what == RL_WANT_PATTERN) return "pattern";
    if (what == RL_WANT_STATEMENT_END) return "newline";
    return WORD_TEXTS[what - RL_WANT_WORD];
}

/* Everything an expression may start with: shown only when nothing more specific is expected (9.2). */
static const uint8_t EXPRESSION_STARTS[] = {RL_TOK_IDENT, RL_TOK_UIDENT, RL_TOK_INT, RL_TOK_FLOAT, RL_TOK_STRING,
    RL_TOK_CHAR, RL_TOK_LPAREN, RL_TOK_LBRACKET, RL_TOK_LBRACE, RL_TOK_BAR, RL_TOK_MINUS, RL_TOK_BANG, RL_TOK_AMP,
    RL_TOK_TRUE, RL_TOK_FALSE, RL_TOK_SELF, RL_TOK_IF, RL_TOK_MATCH, RL_TOK_WHILE, RL_TOK_FOR, RL_TOK_LOOP, RL_TOK_FN,
    RL_TOK_DO, RL_TOK_UNSAFE, RL_TOK_ASYNC, RL_TOK_AWAIT, RL_TOK_PERFORM, RL_TOK_RETURN, RL_TOK_BREAK, RL_TOK_CONTINUE};

static uint32_t list_wanted(const rl_parser_t* p, const char** out) {
    uint32_t count = 0;
    bool expression = false;
    if (p->wanted_at != p->pos) return 0;
    for (unsigned what = 0; what < RL_WANT_COUNT; what++) {
        if (!(p->wanted[what / 64] >> what % 64 & 1) || what == RL_TOK_LAYOUT_END || what == RL_TOK_EOF) continue;
        if (what == RL_WANT_EXPRESSION) expression = true;
        else if (what != RL_TOK_RAW_STRING) out[count++] = wanted_text(what);
    }
    if (p->wanted[0] >> RL_TOK_EOF & 1) out[count++] = wanted_text(RL_TOK_EOF);
    if (count == 0 && expression)
        for (; count < RL_COUNT_OF(EXPRESSION_STARTS); count++) out[count] = wanted_text(EXPRESSION_STARTS[count]);
    return count;
}

static const rl_layout_t* innermost_bracket(const rl_parser_t* p) {
    const rl_layout_t* layout = p->layout;
    while (layout && layout->kind != RL_LAYOUT_BRACKET) layout = layout->outer;
    return layout;
}

static rl_token_kind_t closer_of(rl_token_kind_t opener) {
    return opener == RL_TOK_LPAREN ? RL_TOK_RPAREN : opener == RL_TOK_LBRACKET ? RL_TOK_RBRACKET : RL_TOK_RBRACE;
}

/* A closer is missing: point at what it would close, and at the end of the file offer to insert it. */
static void explain_closer(rl_parser_t* p, rl_diag_t* diag) {
    const rl_layout_t* bracket = innermost_bracket(p);
    if (!bracket || p->wanted_at != p->pos) return;
    const rl_token_t* opener = &p->tokens.data[bracket->opener];
    rl_token_kind_t closer = closer_of((rl_token_kind_t)opener->kind);
    if (!(p->wanted[closer / 64] >> closer % 64 & 1)) return;
    rl_note(p->input->diags, diag, (rl_span_t){opener->start, opener->end}, "%s was opened here",
        rl_token_text((rl_token_kind_t)opener->kind));
    if (p->kind == RL_TOK_EOF)
        rl_fix(p->input->diags, diag, RL_FIX_INSERT, (rl_span_t){p->prev_end, p->prev_end}, "%s",
            closer == RL_TOK_RPAREN     ? ")"
            : closer == RL_TOK_RBRACKET ? "]"
                                        : "}");
}

void rl_parser_fail(rl_parser_t* p) {
    if (p->panic) return;
    const rl_token_t* token = rl_parser_token(p);
    if (token->after_error) { /* the lexer has reported the cause */
        rl_parser_panic(p);
        return;
    }
    const char* wanted[RL_WANT_COUNT + RL_COUNT_OF(EXPRESSION_STARTS)];
    uint32_t count = list_wanted(p, wanted), shown = count > 6 ? 6 : count;
    char message[400];
    size_t length = 0;
    for (uint32_t i = 0; i < shown && length < sizeof message; i++)
        length += (size_t)snprintf(message + length, sizeof message - length, "%s%s",
            i == 0           ? "expected "
            : i + 1 == count ? " or "
                             : ", ",
            wanted[i]);
    if (count > shown && length < sizeof message)
        length +=
            (size_t)snprintf(message + length, sizeof message - length, " … and %u more", (unsigned)(count - shown));
    const char* start = token->kind == RL_TOK_EOF ? "the end of the file" : rl_token_text((rl_token_kind_t)token->kind);
    bool exact = token->kind == RL_TOK_IDENT || token->kind == RL_TOK_UIDENT;
    if (length < sizeof message) {
        rl_str_t text = exact ? rl_sym_text(p->input->symbols, token->value) : rl_str(start);
        if (text.length > 60) text = RL_STR("a long name"), exact = false;
        snprintf(message + length, sizeof message - length, exact ? "%s `%.*s`" : "%s %.*s",
            count ? ", found" : "unexpected", RL_STR_ARG(text));
    }
    rl_diag_t* diag = rl_parser_report(p, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, token->start, token->end, message);
    if (!diag) return;
    for (uint32_t i = 0; i < count; i++)
        if (!rl_vec_push(p->input->diags->allocator, &diag->expected, rl_str(wanted[i]))) break;
    explain_closer(p, diag);
    rl_parser_panic(p);
}

/* --- nesting ------------------------------------------------------------------------------------------------------- */

typedef struct deep_call {
    rl_parser_t* p;
    rl_rule_t rule;
    uint32_t argument;
    rl_node_t result;
} deep_call_t;

static void run_deep_call(void* user) {
    deep_call_t* call = user;
    call->result = call->rule(call->p, call->argument);
}

rl_node_t rl_parser_on_big_stack(rl_parser_t* p, rl_rule_t rule, uint32_t argument) {
    deep_call_t call = {p, rule, argument, 0};
    size_t bytes = STACK_BYTES_BASE + (size_t)p->nesting * STACK_BYTES_PER_LEVEL;
    p->big_stack = p->wants_big_stack = true;
    if (!rl_os_call_with_stack(bytes, run_deep_call, &call)) {
        p->allocator->failed = true; /* no memory for a stack is no memory */
        rl_parser_panic(p);
    }
    p->big_stack = false;
    return call.result;
}

rl_node_t rl_parser_nested(rl_parser_t* p, rl_rule_t rule, uint32_t argument) {
    if (RL_UNLIKELY(p->depth > p->nesting)) {
        char message[80];
        snprintf(message, sizeof message, "nested deeper than the limit of %u levels", (unsigned)p->nesting);
        const rl_token_t* token = rl_parser_token(p);
        rl_parser_refuse(p, RL_CODE_PARSER_LIMIT_EXCEEDED, token->start, token->end, message);
        return 0;
    }
    p->depth++;
    rl_node_t node = RL_UNLIKELY(p->depth >= STACK_SWITCH_DEPTH && !p->big_stack)
                         ? rl_parser_on_big_stack(p, rule, argument)
                         : rule(p, argument);
    p->depth--;
    return node;
}

/* --- making nodes -------------------------------------------------------------------------------------------------- */

rl_node_t rl_parser_node(
    rl_parser_t* p, rl_node_kind_t kind, unsigned flags, uint32_t start, uint32_t a, uint32_t b, uint32_t c) {
    rl_tree_t* tree = p->tree;
    if (RL_UNLIKELY(!rl_vec_reserve(p->allocator, &tree->nodes, 1))) {
        rl_parser_panic(p);
        return 0;
    }
    rl_node_data_t* node = &tree->nodes.data[tree->nodes.count];
    node->kind = (uint16_t)kind;
    node->flags = (uint16_t)flags;
    node->start = start;
    node->end = p->prev_end > start ? p->prev_end : start;
    node->a = a;
    node->b = b;
    node->c = c;
    return tree->nodes.count++;
}

void rl_parser_push(rl_parser_t* p, uint32_t item) {
    if (RL_UNLIKELY(!rl_vec_push(p->allocator, &p->scratch, item))) rl_parser_panic(p);
}

rl_list_t rl_parser_list(rl_parser_t* p, uint32_t mark) {
    uint32_t count = p->scratch.count - mark, list = p->tree->extra.count;
    p->scratch.count = mark;
    if (count == 0) return 0;
    if (!rl_vec_reserve(p->allocator, &p->tree->extra, count + 1)) {
        rl_parser_panic(p);
        return 0;
    }
    if (count > p->tree->longest) p->tree->longest = count;
    p->tree->extra.data[list] = count;
    memcpy(p->tree->extra.data + list + 1, p->scratch.data + mark, (size_t)count * sizeof(uint32_t));
    p->tree->extra.count += count + 1;
    return list;
}

/* Without memory the answer is the run of zeros at the start of `extra`, which is as long as the longest record. */
uint32_t rl_parser_record(rl_parser_t* p, const void* words, size_t size) {
    uint32_t at = p->tree->extra.count, count = (uint32_t)(size / sizeof(uint32_t));
    if (!rl_vec_reserve(p->allocator, &p->tree->extra, count)) {
        rl_parser_panic(p);
        return 0;
    }
    memcpy(p->tree->extra.data + at, words, size);
    p->tree->extra.count += count;
    return at;
}

/* --- brackets and lists -------------------------------------------------------------------------------------------- */

void rl_parser_open(rl_parser_t* p, rl_bracket_t* bracket, rl_token_kind_t closer, bool newlines) {
    bracket->layout = (rl_layout_t){p->layout, RL_LAYOUT_BRACKET, false, 0, p->pos};
    bracket->min_column = p->min_column;
    bracket->mode = p->mode;
    bracket->closer = (uint8_t)closer;
    p->layout = &bracket->layout;
    p->min_column = 0;
    p->mode = newlines ? RL_MODE_NEWLINES : 0;
    rl_parser_advance(p);
}

bool rl_parser_close(rl_parser_t* p, rl_bracket_t* bracket) {
    bool good = p->kind == bracket->closer;
    if (!good) {
        rl_parser_want(p, bracket->closer);
        rl_parser_fail(p);
    }
    p->layout = bracket->layout.outer;
    p->min_column = bracket->min_column;
    p->mode = bracket->mode;
    if (good) rl_parser_advance(p);
    return good;
}

bool rl_parser_comma(rl_parser_t* p, rl_token_kind_t closer) {
    rl_parser_want(p, closer);
    if (!rl_parser_accept(p, RL_TOK_COMMA)) return false;
    rl_parser_want(p, closer); /* lists may end with a comma */
    return p->kind != closer;
}

bool rl_parser_separator(rl_parser_t* p, rl_token_kind_t closer, bool* out_semicolon) {
    *out_semicolon = false;
    while (p->kind == RL_TOK_SEMICOLON) {
        *out_semicolon = true;
        rl_parser_advance(p);
    }
    if (p->kind == closer || p->kind == RL_TOK_EOF) {
        rl_parser_want(p, closer);
        return false;
    }
    if (*out_semicolon || rl_parser_on_new_line(p)) {
        p->wanted_at = UINT32_MAX; /* what could have continued the statement is no longer wanted */
        return true;
    }
    rl_parser_want(p, RL_TOK_SEMICOLON);
    rl_parser_want(p, RL_WANT_STATEMENT_END);
    rl_parser_want(p, closer);
    rl_parser_fail(p);
    return false;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

bool rl_parser_is_name(rl_token_kind_t kind) {
    return kind == RL_TOK_IDENT || kind == RL_TOK_UIDENT || rl_token_is_keyword(kind);
}

rl_sym_t rl_parser_symbol(rl_parser_t* p, const rl_token_t* token) {
    if (!rl_token_is_keyword((rl_token_kind_t)token->kind)) return token->value;
    const char* shown = rl_token_text((rl_token_kind_t)token->kind); /* in backticks */
    return rl_sym_intern(p->input->symbols, (rl_str_t){shown + 1, strlen(shown) - 2});
}

static rl_node_t take_name(rl_parser_t* p) {
    const rl_token_t* token = rl_parser_token(p);
    unsigned flags = token->kind == RL_TOK_UIDENT ? RL_UPPER : token->kind == RL_TOK_IDENT ? 0 : RL_KEYWORD;
    uint32_t start = token->start;
    rl_sym_t symbol = rl_parser_symbol(p, token);
    rl_parser_advance(p);
    return rl_parser_node(p, RL_NODE_NAME, flags, start, symbol, 0, 0);
}

rl_node_t rl_parser_name(rl_parser_t* p) {
    if (p->kind == RL_TOK_IDENT || p->kind == RL_TOK_UIDENT) return take_name(p);
    rl_parser_want(p, RL_TOK_IDENT);
    rl_parser_fail(p);
    return 0;
}

rl_node_t rl_parser_upper_name(rl_parser_t* p) {
    if (p->kind == RL_TOK_UIDENT) return take_name(p);
    rl_parser_want(p, RL_TOK_UIDENT);
    rl_parser_fail(p);
    return 0;
}

rl_node_t rl_parser_any_name(rl_parser_t* p) {
    if (rl_parser_is_name((rl_token_kind_t)p->kind)) return take_name(p);
    rl_parser_want(p, RL_TOK_IDENT);
    rl_parser_fail(p);
    return 0;
}

rl_node_t rl_parser_path(rl_parser_t* p) {
    uint32_t start = rl_parser_start(p), mark = p->scratch.count;
    rl_parser_push(p, rl_parser_name(p));
    while (p->kind == RL_TOK_DOT || p->kind == RL_TOK_COLON_COLON) {
        rl_parser_advance(p);
        rl_parser_push(p, rl_parser_any_name(p));
    }
    rl_list_t names = rl_parser_list(p, mark);
    return rl_parser_node(p, RL_NODE_PATH, 0, start, names, 0, 0);
}

/* --- layout -------------------------------------------------------------------------------------------------------- */

uint32_t rl_parser_line_column(const rl_parser_t* p, uint32_t token) {
    while (token > 0 && !p->tokens.data[token].nl_before) token--;
    return p->tokens.data[token].column;
}

bool rl_parser_bar_belongs(const rl_layout_t* from, const rl_token_t* bar) {
    for (const rl_layout_t* layout = from; layout && layout->kind != RL_LAYOUT_BRACKET; layout = layout->outer)
        if (layout->kind == RL_LAYOUT_MATCH && (layout->braces || !bar->nl_before || bar->column >= layout->column))
            return true;
    return false;
}

bool rl_parser_match_with_open(const rl_layout_t* from) {
    for (const rl_layout_t* layout = from; layout && layout->kind != RL_LAYOUT_BRACKET; layout = layout->outer)
        if (layout->kind == RL_LAYOUT_MATCH && !layout->braces) return true;
    return false;
}

bool rl_parser_is_match_end(const rl_parser_t* p, uint32_t distance) {
    if (rl_parser_peek(p, distance)->word != RL_WORD_END) return false;
    const rl_token_t* next = rl_parser_peek(p, distance + 1);
    if (next->nl_before) return true;
    return next->kind != RL_TOK_ARROW && next->kind != RL_TOK_FAT_ARROW && next->kind != RL_TOK_IF &&
           next->kind != RL_TOK_AS && next->kind != RL_TOK_AT && next->word != RL_WORD_WHEN;
}

/* --- entry points -------------------------------------------------------------------------------------------------- */

static rl_parse_options_t with_defaults(rl_parse_options_t options) {
    if (!options.source_bytes) options.source_bytes = DEFAULT_SOURCE_BYTES;
    if (!options.nesting) options.nesting = DEFAULT_NESTING;
    if (!options.identifier_bytes) options.identifier_bytes = DEFAULT_IDENTIFIER_BYTES;
    return options;
}

static rl_parser_t new_parser(const rl_parser_input_t* input, rl_tree_t* tree, const rl_parse_options_t* options) {
    return (rl_parser_t){.input = input,
        .allocator = input->allocator,
        .tree = tree,
        .mode = RL_MODE_NEWLINES,
        .nesting = options->nesting,
        .wanted_at = UINT32_MAX};
}

static void drop_parser(rl_parser_t* p) {
    rl_vec_deinit(p->allocator, &p->tokens);
    rl_vec_deinit(p->allocator, &p->scratch);
}

/* Everything rl_parse does, for any root rule. */
static bool parse_with(const rl_parser_input_t* input, rl_tree_t* out_tree, rl_rule_t root, bool newlines) {
    rl_parse_options_t options = with_defaults(input->options);
    if (!rl_tree_init(out_tree, input->allocator)) return false;
    if (input->source.length > options.source_bytes) {
        rl_report(input->diags, RL_CODE_PARSER_LIMIT_EXCEEDED, (rl_span_t){0, 0},
            "source of %llu bytes: the limit is %u", (unsigned long long)input->source.length,
            (unsigned)options.source_bytes);
        return false;
    }
    rl_parser_t p = new_parser(input, out_tree, &options);
    if (!newlines) p.mode = 0;
    rl_lexer_input_t lexer = {
        input->allocator, input->source, input->symbols, input->diags, options.identifier_bytes, NULL, 0};
    uint32_t lexical_errors = 0;
    bool complete = rl_lex(&lexer, out_tree, &p.tokens, &lexical_errors);
    /* A tree has about as many nodes as tokens: growing it by and by would copy it several times. */
    complete = complete && rl_vec_reserve(input->allocator, &out_tree->nodes, p.tokens.count);
    if (complete) {
        rl_parser_load(&p);
        out_tree->root = root(&p, 0);
        complete = lexical_errors == 0 && p.errors == 0 && !input->allocator->failed;
    }
    drop_parser(&p);
    return complete;
}

static rl_node_t module_root(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    return rl_parser_module(p);
}

bool rl_parse(const rl_parser_input_t* input, rl_tree_t* out_tree) {
    return parse_with(input, out_tree, module_root, true);
}

static rl_node_t type_root(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    rl_node_t node = rl_parser_type(p);
    rl_parser_expect(p, RL_TOK_EOF);
    return node;
}

bool rl_parse_type(const rl_parser_input_t* input, rl_tree_t* out_tree) {
    return parse_with(input, out_tree, type_root, false);
}

static rl_node_t signature_root(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    if (p->kind == RL_TOK_FN) rl_parser_advance(p);
    rl_node_t node = rl_parser_fn_header(p, 0, RL_EXTERN);
    rl_parser_expect(p, RL_TOK_EOF);
    return node;
}

bool rl_parse_signature(const rl_parser_input_t* input, rl_tree_t* out_tree) {
    return parse_with(input, out_tree, signature_root, false);
}

static rl_node_t interpolation_root(rl_parser_t* p, uint32_t argument) {
    (void)argument;
    rl_node_t node = rl_parser_expression(p);
    rl_parser_expect(p, RL_TOK_EOF);
    return node;
}

rl_node_t rl_parse_expression(
    const rl_parser_input_t* input, rl_tree_t* tree, rl_node_t literal, uint32_t start, uint32_t end) {
    rl_parse_options_t options = with_defaults(input->options);
    rl_parser_t p = new_parser(input, tree, &options);
    p.mode = 0;
    rl_str_t whole = rl_tree_string(tree, literal);
    if (end > whole.length) end = (uint32_t)whole.length;
    if (start > end) start = end;
    uint32_t size = end - start, map_size = (uint32_t)whole.length + 1, errors = 0;
    rl_node_t node = 0;

    /* The tree's text may move while the lexer adds literals to it. */
    char* copy = rl_alloc(input->allocator, size + 1u);
    uint32_t* map = NULL;
    if (!copy) goto cleanup;
    memcpy(copy, whole.data + start, size);
    if (rl_tree_has(tree, literal, RL_ESCAPED)) {
        map = rl_alloc(input->allocator, map_size * sizeof *map);
        if (!map) goto cleanup;
        rl_lex_literal_map(input->source, tree, literal, map);
    }
    rl_lexer_input_t lexer = {input->allocator, {copy, size}, input->symbols, input->diags, options.identifier_bytes,
        map ? map + start : NULL, rl_tree_node(tree, literal)->c + start};
    if (rl_lex(&lexer, tree, &p.tokens, &errors)) {
        rl_parser_load(&p);
        node = interpolation_root(&p, 0);
        if (errors || p.errors || input->allocator->failed) node = 0;
    }
cleanup:
    if (map) rl_free(input->allocator, map, map_size * sizeof *map);
    rl_free(input->allocator, copy, size + 1u);
    drop_parser(&p);
    return node;
}
