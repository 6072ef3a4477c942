/*
 * What the files of the parser share; nothing outside this folder includes it.
 *
 * Recursive descent without backtracking. Each rule leaves the parser behind what it read and answers a node. After a
 * syntax error the parser sees nothing but the end of the file (`panic`), so every rule and loop comes to its end on its
 * own; rl_parser_item() then goes on at the next item. A refused allocation is treated the same way.
 *
 * Layout (2.3): while an implicit block is open in the current bracket, a first-on-line token left of its column reads as
 * RL_TOK_LAYOUT_END, which closes everything opened in the block.
 */
#ifndef RL_PARSE_H
#define RL_PARSE_H

#include "syntax/lexer.h"
#include "syntax/parser.h"

/* Extra members of expected sets, behind the tokens. */
enum {
    RL_WANT_EXPRESSION = RL_TOKEN_KIND_COUNT,
    RL_WANT_TYPE,
    RL_WANT_PATTERN,
    RL_WANT_STATEMENT_END,
    RL_WANT_WORD, /* + rl_word_t */
    RL_WANT_COUNT = RL_WANT_WORD + RL_WORD_COUNT
};

enum { RL_MAX_SYNTAX_ERRORS = 20 };

enum {                            /* p->mode */
    RL_MODE_NEWLINES = 1,         /* newlines end statements: not inside ( ) or [ ] */
    RL_MODE_NS = 2,               /* ExprNS: a `{` after an operand ends the expression */
    RL_MODE_NO_CAST = 4,          /* match guard: `as` is the alias clause */
    RL_MODE_GLUED_ARGS = 8,       /* type of a cast: `<` opens arguments only right behind the name (D65) */
    RL_MODE_PATTERN_NO_BRACE = 16 /* pattern of a `return` clause: a `{` starts the block */
};

typedef enum rl_layout_kind { RL_LAYOUT_BRACKET, RL_LAYOUT_MATCH, RL_LAYOUT_BLOCK } rl_layout_kind_t;
typedef struct rl_layout { /* innermost first; lives on the C stack of the rule that opened it */
    struct rl_layout* outer;
    rl_layout_kind_t kind;
    bool braces;     /* MATCH: brace form */
    uint32_t column; /* MATCH: limit column L; BLOCK: column c */
    uint32_t opener; /* BRACKET: token */
} rl_layout_t;

typedef struct rl_parser {
    const rl_parser_input_t* input;
    rl_allocator_t* allocator;
    rl_tree_t* tree;
    rl_tokens_t tokens;
    uint32_t pos; /* current token */
    uint8_t kind; /* its kind, as the layout shows it */
    uint8_t mode;
    bool panic;           /* an error was met: the current token is EOF */
    bool big_stack;       /* running on the helper stack */
    bool wants_big_stack; /* the source needed it once: run the rest of the items there */
    uint32_t min_column;  /* column of the innermost implicit block of this bracket, else 0 */
    uint32_t prev_end;    /* end of the last token taken */
    uint32_t error_pos;   /* token of the last error */
    uint32_t errors;      /* found by the parser */
    uint32_t depth, nesting;
    rl_layout_t* layout;
    RL_VEC(uint32_t) scratch;                   /* items of the lists that are open */
    uint64_t wanted[(RL_WANT_COUNT + 63) / 64]; /* what would have been right at token wanted_at */
    uint32_t wanted_at;
} rl_parser_t;

typedef rl_node_t (*rl_rule_t)(rl_parser_t* p, uint32_t argument);

/* --- core (parser.c) ----------------------------------------------------------------------------------------------- */

static inline const rl_token_t* rl_parser_token(const rl_parser_t* p) { return &p->tokens.data[p->pos]; }
static inline const rl_token_t* rl_parser_peek(const rl_parser_t* p, uint32_t distance) {
    uint32_t at = p->pos + distance;
    return &p->tokens.data[at < p->tokens.count ? at : p->tokens.count - 1];
}
static inline uint32_t rl_parser_start(const rl_parser_t* p) { return rl_parser_token(p)->start; }
static inline bool rl_parser_word(const rl_parser_t* p, rl_word_t word) {
    return p->kind == RL_TOK_IDENT && rl_parser_token(p)->word == word;
}
static inline bool rl_parser_on_new_line(const rl_parser_t* p) { return rl_parser_token(p)->nl_before; }
/* A newline before the current token ends what could end here. */
static inline bool rl_parser_newline_ends(const rl_parser_t* p) {
    const rl_token_t* token = rl_parser_token(p);
    return token->nl_before && ((p->mode & RL_MODE_NEWLINES) || token->column == p->min_column);
}

/* See the current token again, after min_column or pos changed. */
static inline void rl_parser_load(rl_parser_t* p) {
    const rl_token_t* token = rl_parser_token(p);
    p->kind = token->nl_before && token->column < p->min_column ? RL_TOK_LAYOUT_END : token->kind;
}
static inline void rl_parser_advance(rl_parser_t* p) {
    p->prev_end = rl_parser_token(p)->end;
    p->pos += p->pos + 1 < p->tokens.count;
    rl_parser_load(p);
}
static inline void rl_parser_want(rl_parser_t* p, unsigned what) {
    if (p->wanted_at != p->pos) {
        memset(p->wanted, 0, sizeof p->wanted);
        p->wanted_at = p->pos;
    }
    p->wanted[what / 64] |= (uint64_t)1 << what % 64;
}
static inline bool rl_parser_accept(rl_parser_t* p, rl_token_kind_t kind) {
    if (p->kind == kind) {
        rl_parser_advance(p);
        return true;
    }
    rl_parser_want(p, kind);
    return false;
}
bool rl_parser_expect(rl_parser_t* p, rl_token_kind_t kind);
/* Report what was wanted here, unless in panic already, and panic. */
void rl_parser_fail(rl_parser_t* p);
/* The same with a sentence of its own instead of the expected set. */
void rl_parser_refuse(rl_parser_t* p, rl_code_t code, uint32_t start, uint32_t end, const char* message);
/* Report and go on. NULL: in panic, nothing reported. */
rl_diag_t* rl_parser_report(rl_parser_t* p, rl_code_t code, uint32_t start, uint32_t end, const char* message);
void rl_parser_panic(rl_parser_t* p);
/* Run a rule one level deeper: the nesting limit, and the change to the big stack. */
rl_node_t rl_parser_nested(rl_parser_t* p, rl_rule_t rule, uint32_t argument);
rl_node_t rl_parser_on_big_stack(rl_parser_t* p, rl_rule_t rule, uint32_t argument);

rl_node_t rl_parser_node(rl_parser_t* p, rl_node_kind_t kind, unsigned flags, uint32_t start, uint32_t a, uint32_t b,
    uint32_t c); /* ends with the last token taken */
void rl_parser_push(rl_parser_t* p, uint32_t item);
rl_list_t rl_parser_list(rl_parser_t* p, uint32_t mark); /* takes what was pushed since scratch.count was `mark` */
uint32_t rl_parser_record(rl_parser_t* p, const void* words, size_t size);
#define RL_PARSER_RECORD(p, record) rl_parser_record((p), &(record), sizeof(record))

typedef struct rl_bracket {
    rl_layout_t layout;
    uint32_t min_column;
    uint8_t mode, closer;
} rl_bracket_t;
/* Take the opener under the cursor; newlines: they matter inside (braces). */
void rl_parser_open(rl_parser_t* p, rl_bracket_t* bracket, rl_token_kind_t closer, bool newlines);
bool rl_parser_close(rl_parser_t* p, rl_bracket_t* bracket);
/* After an item of a comma list: true when another may follow. */
bool rl_parser_comma(rl_parser_t* p, rl_token_kind_t closer);

bool rl_parser_is_name(rl_token_kind_t kind); /* identifier or hard keyword: behind `.` and before `:` */
rl_sym_t rl_parser_symbol(rl_parser_t* p, const rl_token_t* token);
rl_node_t rl_parser_name(rl_parser_t* p); /* any identifier: NAME */
rl_node_t rl_parser_upper_name(rl_parser_t* p);
rl_node_t rl_parser_any_name(rl_parser_t* p);                         /* identifier or keyword: NAME */
rl_node_t rl_parser_path(rl_parser_t* p);                             /* PATH, separated by `.` or `::` */
rl_node_t rl_parser_effect_path(rl_parser_t* p);                      /* effect name: TYPE_PATH, or `unsafe` */
uint32_t rl_parser_line_column(const rl_parser_t* p, uint32_t token); /* column of the first token of its line */
bool rl_parser_starts_expression(const rl_token_t* token);
/* The separator behind a statement or item; false: the list must end here. `discard` is set when a `;` was there. */
bool rl_parser_separator(rl_parser_t* p, rl_token_kind_t closer, bool* out_semicolon);

/* --- layout -------------------------------------------------------------------------------------------------------- */

/* The token `|` belongs to a match of this bracket that is open at `from` or outwards. */
bool rl_parser_bar_belongs(const rl_layout_t* from, const rl_token_t* bar);
bool rl_parser_is_match_end(const rl_parser_t* p, uint32_t distance); /* the word `end`, in closing position */
bool rl_parser_match_with_open(
    const rl_layout_t* from); /* a `match … with` is open in this bracket, from `from` outwards */

/* --- rules --------------------------------------------------------------------------------------------------------- */

rl_node_t rl_parser_expression(rl_parser_t* p);
rl_node_t rl_parser_expression_ns(rl_parser_t* p);
rl_node_t rl_parser_guard(rl_parser_t* p);
rl_node_t rl_parser_continue(
    rl_parser_t* p, rl_node_t operand, uint32_t start);      /* operators behind a finished operand */
bool rl_parser_continues(const rl_parser_t* p);              /* an operator or postfix is next */
rl_list_t rl_parser_arguments(rl_parser_t* p);               /* at `(` */
rl_node_t rl_parser_primary(rl_parser_t* p, bool* out_path); /* *out_path: a name, which may begin a Path */
rl_node_t rl_parser_record_body(rl_parser_t* p, rl_node_t path, uint32_t start); /* at `{` */
rl_node_t rl_parser_if(rl_parser_t* p);
rl_node_t rl_parser_match(rl_parser_t* p);
rl_node_t rl_parser_handle(rl_parser_t* p);
rl_list_t rl_parser_handler_body(rl_parser_t* p); /* at `{` */

rl_node_t rl_parser_block(rl_parser_t* p, unsigned flags); /* always a block */
rl_node_t rl_parser_statement(rl_parser_t* p);
rl_node_t rl_parser_body(rl_parser_t* p, uint32_t declaration); /* after `=`; the declaration's first token */
rl_node_t rl_parser_action(rl_parser_t* p);                     /* ActBody: may be an assignment or an implicit block */
rl_node_t rl_parser_assignment(rl_parser_t* p);                 /* an expression, or an assignment to it */

enum { RL_PARAMS_LAMBDA = 1 };
rl_node_t rl_parser_param(rl_parser_t* p, unsigned how);
rl_list_t rl_parser_params(rl_parser_t* p);                                                 /* at `(` */
rl_node_t rl_parser_value(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first); /* let, var, const */
rl_node_t rl_parser_fn(rl_parser_t* p, rl_list_t attrs, unsigned flags, uint32_t first);    /* [async] fn … */
rl_node_t rl_parser_fn_header(rl_parser_t* p, rl_list_t attrs, unsigned flags); /* behind `fn`, no body; for hosts */
rl_node_t rl_parser_module(rl_parser_t* p);
rl_list_t rl_parser_attributes(rl_parser_t* p);
bool rl_parser_at_const(const rl_parser_t* p); /* `const` as a keyword */

enum { RL_PATTERN_IN_SLICE = 1 };
rl_node_t rl_parser_pattern(rl_parser_t* p, unsigned flags); /* with alternatives */
rl_node_t rl_parser_binding(rl_parser_t* p);                 /* BindPat */
bool rl_parser_starts_pattern(const rl_token_t* token);
bool rl_parser_at_active_head(const rl_parser_t* p);                /* `( | UIdent |` */
rl_node_t rl_parser_active_head(rl_parser_t* p, bool* out_partial); /* NAME */

rl_node_t rl_parser_type(rl_parser_t* p);       /* with effect annotation */
rl_node_t rl_parser_type_arrow(rl_parser_t* p); /* without */
bool rl_parser_starts_type(const rl_token_t* token);
rl_node_t rl_parser_record_type(rl_parser_t* p); /* at `{` */
rl_list_t rl_parser_type_args(rl_parser_t* p);   /* at `<` */
rl_list_t rl_parser_generics(rl_parser_t* p);    /* at `<`, or nothing */
rl_list_t rl_parser_bounds(rl_parser_t* p);
rl_list_t rl_parser_where(rl_parser_t* p);                     /* behind `where` */
rl_node_t rl_parser_effects(rl_parser_t* p, rl_node_t before); /* `! {…}` or `with …`, joined to `before` */
bool rl_parser_closing_gt(rl_parser_t* p);                     /* `>`, split off `>=` where needed */

#endif
