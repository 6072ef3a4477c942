/*
 * rl_lex: text in, an array of tokens out (LANGUAGE section 1).
 *
 * Literals are decoded at once: their nodes go into the tree, the token holds the node. Identifiers are interned.
 * Errors are reported and the lexer goes on; invalid bytes count as blanks.
 */
#ifndef RL_LEXER_H
#define RL_LEXER_H

#include "syntax/tree.h"

typedef enum rl_token_kind {
#define TOKEN(name, text)   RL_TOK_##name,
#define KEYWORD(name, text) RL_TOK_##name,
#include "syntax/token.def"
    RL_TOKEN_KIND_COUNT
} rl_token_kind_t;

typedef enum rl_word { /* contextual keywords; 0: none */
    RL_WORD_NONE,
#define CONTEXT(name, text) RL_WORD_##name,
#include "syntax/token.def"
    RL_WORD_COUNT
} rl_word_t;

typedef struct rl_token {
    uint32_t start, end;
    uint32_t column;  /* 1-based, in grapheme clusters */
    uint32_t value;   /* IDENT, UIDENT: symbol; literals: their node */
    uint8_t kind;     /* rl_token_kind_t */
    uint8_t word;     /* rl_word_t, IDENT only */
    bool nl_before;   /* first on its line */
    bool after_error; /* something was refused in front of it: a syntax error here would be a follow-up */
} rl_token_t;

/* Ends with an EOF token (unless memory was refused) whose column is UINT32_MAX. */
typedef RL_VEC(rl_token_t) rl_tokens_t;

typedef struct rl_lexer_input {
    rl_allocator_t* allocator;
    rl_str_t source;
    rl_symbols_t* symbols;
    rl_diags_t* diags;
    uint32_t identifier_bytes;
    /* Where byte i of `source` lies in the text that spans refer to: map[i] (source.length + 1 entries), or base + i. */
    const uint32_t* map;
    uint32_t base;
} rl_lexer_input_t;

/*
 * Tokens are appended to *out_tokens (the caller's; give back with rl_vec_deinit). *out_errors grows by the number of
 * errors. False when memory was refused.
 */
bool rl_lex(const rl_lexer_input_t* input, rl_tree_t* tree, rl_tokens_t* out_tokens, uint32_t* out_errors);

/*
 * Fill map[0 … content length] with the source byte where each byte of the decoded content of string literal `literal`
 * begins; the last entry is where the content ends. `map` has room for rl_tree_string().length + 1 entries.
 */
void rl_lex_literal_map(rl_str_t source, const rl_tree_t* tree, rl_node_t literal, uint32_t* map);

const char* rl_token_text(rl_token_kind_t kind); /* as in diagnostics: "`->`", "identifier" */
static inline bool rl_token_is_keyword(rl_token_kind_t kind) { return kind >= RL_TOK_MODULE && kind <= RL_TOK_AWAIT; }

/* One line per token: `start..end line-first column kind text`. For golden files. */
void rl_tokens_print(const rl_tokens_t* tokens, rl_str_t source, rl_buf_t* out);

#endif
