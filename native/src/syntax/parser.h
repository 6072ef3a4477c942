/*
 * rl_parse: source text in, tree out (LANGUAGE sections 1, 2 and 3.5's syntax).
 *
 * Comes in: bytes, limits, a symbol table. Goes out: the tree, and diagnostics of domain `syntax`. Must not know: scopes
 * and types. What the grammar accepts is in the tree even where a later stage refuses it (`language.unsupported`).
 *
 * Stack: the passes recurse at most `nesting` levels deep and move to a helper stack (rl_os_call_with_stack) when they
 * are some levels down, so the limit is the same on every thread.
 */
#ifndef RL_PARSER_H
#define RL_PARSER_H

#include "syntax/tree.h"

typedef struct rl_parse_options {
    uint32_t source_bytes;     /* 0: the default of DESIGN 2.7 (16 MiB) */
    uint32_t nesting;          /* 0: 1,000 */
    uint32_t identifier_bytes; /* 0: 1,024 */
    bool strict_top_level;     /* top-level expression statements: parser.top_level_expr.disallowed */
} rl_parse_options_t;

typedef struct rl_parser_input {
    rl_allocator_t* allocator; /* of the tree and of scratch space that is given back before returning */
    rl_str_t source;           /* borrowed during the call; node spans refer to it */
    rl_symbols_t* symbols;     /* grows */
    rl_diags_t* diags;         /* grows; `source` of the list should be the same text */
    rl_parse_options_t options;
} rl_parser_input_t;

/*
 * Parse a whole module. *out_tree is initialised here; the caller owns it and calls rl_tree_deinit() in any case.
 *
 * True: the tree is complete and no error of lexing or syntax was reported, so later stages may run. False: at least
 * one error was reported (the tree holds what could be read, for tools), or memory was refused
 * (allocator->failed; nothing may have been reported then).
 */
bool rl_parse(const rl_parser_input_t* input, rl_tree_t* out_tree);

/*
 * Parse one expression out of the decoded content of string literal `literal` (a STRING node of `tree`), bytes
 * [start, end) of that content: the `{expr}` of format("…{expr}…"). Nodes are added to `tree`; their spans, and those of
 * diagnostics, are positions inside the literal in input->source (escapes accounted for). Surrounding blanks are fine.
 * Answers 0 after an error (reported) or when memory was refused.
 */
rl_node_t rl_parse_expression(
    const rl_parser_input_t* input, rl_tree_t* tree, rl_node_t literal, uint32_t start, uint32_t end);

/*
 * Parse input->source as one type, e.g. the signature a host registers: `fn(Int, Str) -> Str ! {io}` or
 * `(Int, Int) -> Int`. *out_tree is initialised here; its root is the type node. Answers as rl_parse.
 */
bool rl_parse_type(const rl_parser_input_t* input, rl_tree_t* out_tree);

/*
 * Parse input->source as one function header of a host function: `name(a: Int, b: Str = "x") -> Int ! {io}` or
 * `Type.method(self, …) -> …`, with or without a leading `fn`. The root is an FN node. Answers as rl_parse.
 */
bool rl_parse_signature(const rl_parser_input_t* input, rl_tree_t* out_tree);

/*
 * @cfg (LANGUAGE 3.5): evaluate the predicates of attributes and remove what is false from every list of items,
 * statements, fields and blocks, right after parsing. `test` answers one key; false when it reported a bad key or value.
 * Nodes inside of what was removed become error nodes. Names that removed items define are appended to out_disabled
 * (for unresolved.symbol.cfg; the caller frees the list); it may be NULL.
 */
typedef struct rl_cfg_test { /* key = "value" */
    rl_str_t key;            /* dotted text: "target_os", "extra.board" */
    rl_str_t value;
    rl_span_t key_span, value_span;
} rl_cfg_test_t;
typedef struct rl_cfg {
    void* user;
    bool (*test)(void* user, const rl_cfg_test_t* test, rl_diags_t* diags); /* reports problems to diags */
} rl_cfg_t;
typedef struct rl_disabled_names {
    RL_VEC(rl_sym_t) names, fields;
} rl_disabled_names_t;
bool rl_tree_apply_cfg(
    rl_tree_t* tree, rl_symbols_t* symbols, const rl_cfg_t* cfg, rl_diags_t* diags, rl_disabled_names_t* out_disabled);

#endif
