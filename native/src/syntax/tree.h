/*
 * The syntax tree of one module: three flat arrays, no pointers.
 *
 * Comes in: what the parser recognised (LANGUAGE section 2, all of it). Goes out: nodes by index, read-only for later
 * stages. Must not know: scopes, types, what is supported at run time.
 *
 * A node is addressed by its number (rl_node_t). Node 0 is the error node: a valid, harmless entry of kind
 * RL_NODE_NONE that stands for "absent" in optional places and for "could not be built" after a syntax error or
 * when memory was refused.
 *
 * Words a, b, c of a node hold, as the table below says for each kind,
 *   node    another node, 0 when absent
 *   list    a list: an index into `extra` where the count stands, the items behind it; 0 is the empty list.
 *           Read with rl_tree_list()
 *   symbol  an interned name (rl_sym_t), 0 when absent
 *   byte    an offset into the source
 *   record  an index into `extra` of a fixed run of words; read with the rl_tree_…() function of that kind
 *
 * Spans: every node has [start, end) in bytes of the source it was parsed from, without attributes and `pub`.
 * "name first": the node's span begins with its name, so rl_tree_name_span() gives the name's own span.
 *
 * Chains: `a + b - c`, `x |> f |> g` and `a.b(c)?[d]` nest to the left in word a, without any limit of length.
 * A pass must follow word a of the kinds for which rl_node_is_spine() is true in a loop, never by recursion; every
 * other way down is bounded by the nesting limit. (`^` chains and `else if` chains are lists for the same reason.)
 *
 * Lifetime: from rl_parse() to rl_tree_deinit(); owned by whoever declared the rl_tree_t. Threading: that of its owner.
 */
#ifndef RL_TREE_H
#define RL_TREE_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"
#include "diag/diag.h"
#include "types/symbol.h"

typedef uint32_t rl_node_t; /* 0: the error node, or "absent" */
typedef uint32_t rl_list_t; /* 0: empty */

/*
 * NODE(NAME, what a, b, c and the flags hold)
 */
/* clang-format off */
#define RL_NODES(NODE)                                                                                                  \
    NODE(NONE)       /* error node / absent                                                                          */ \
                                                                                                                        \
    /* --- module and items. Records begin with the list of attributes; flag RL_PUB: `pub` was written.              */ \
    NODE(MODULE)     /* a: PATH of the header or 0   b: list of items and statements in source order                 */ \
    NODE(USE)        /* a: list of ATTR   b: USE_TREE                                                                */ \
    NODE(USE_TREE)   /* a: list of NAME (`self`, `super` are names with RL_KEYWORD)   b: list of USE_TREE inside {}  */ \
                     /* c: symbol after `as` or 0   flags RL_ROOT: leading `::`, RL_BRACES: ends in {…}              */ \
    NODE(VALUE)      /* let, var, const. a: record rl_value_decl_t   flags RL_VAR: `var`, RL_CONST, RL_MUT:          */ \
                     /* reassignable (`var` or `let mut`), RL_EXTERN: `let n: T` of an extern, value 0               */ \
    NODE(FN)         /* fn, let f(…), trait/impl/extern fn. a: record rl_fn_decl_t   flags RL_ASYNC, RL_LET: written */ \
                     /* as `let f(…) = …`, RL_EXTERN, RL_BRACES: the body is a `{` block, not `= body`               */ \
    NODE(ACTIVE)     /* pattern (|N|_|)(x) = …  a: record rl_active_decl_t   flags RL_PARTIAL: `_|` was written      */ \
    NODE(TYPE_DECL)  /* type, enum, struct. a: record rl_type_decl_t   flags RL_ALIAS: `type alias`, RL_ENUM,        */ \
                     /* RL_STRUCT. body 0: opaque (or the empty struct), VARIANTS, NEWTYPE, or a type node           */ \
    NODE(VARIANTS)   /* a: list of VARIANT                                                                           */ \
    NODE(VARIANT)    /* name first. a: symbol   b: list of VARIANT_FIELD   c: TYPE_RECORD or 0                       */ \
                     /* flags RL_PARENS: `( )` was written                                                           */ \
    NODE(VARIANT_FIELD) /* a: symbol or 0   b: type                                                                  */ \
    NODE(NEWTYPE)    /* `new T`. a: type                                                                             */ \
    NODE(TRAIT)      /* a: record rl_trait_decl_t                                                                    */ \
    NODE(IMPL)       /* a: record rl_impl_decl_t                                                                     */ \
    NODE(EXTERN)     /* a: list of ATTR   b: STRING (the ABI)   c: list of FN, TYPE_DECL, VALUE (all RL_EXTERN)      */ \
                     /* flags RL_BRACES: the `{ … }` form                                                            */ \
    NODE(EFFECT)     /* a: record rl_effect_decl_t                                                                   */ \
    NODE(OPERATION)  /* a: record rl_operation_decl_t   flags RL_COLON: the form `operation op : T`                  */ \
    NODE(HANDLER_DECL) /* a: record rl_handler_decl_t                                                                */ \
    NODE(CONDUCTOR)  /* a: record rl_conductor_decl_t                                                                */ \
    NODE(CONDUCTOR_NODE) /* name first. a: symbol   b: symbol of the label (`n: Spec = e`) or 0   c: expression      */ \
    NODE(CONDUCTOR_CHANNELS) /* a: list of CONDUCTOR_CHANNEL                                                         */ \
    NODE(CONDUCTOR_CHANNEL)  /* a: PATH from   b: PATH to   c: type                                                  */ \
    NODE(CONDUCTOR_EXECUTION) /* a: BLOCK or 0   b: list of RECORD_FIELD when a is 0                                 */ \
    NODE(CONDUCTOR_MONITORING) /* a: PATH or 0   b, c: byte range of the raw `{…}` with its braces, 0 0: none        */ \
                     /* flags RL_WITH: `with` was written                                                            */ \
    NODE(ATTR)       /* @name(args). a: symbol   b: list of arguments (as CALL)   c: predicate when the name is cfg  */ \
                     /* flags RL_PARENS: `( )` was written. Name starts at start + 1                                 */ \
    NODE(CFG_TEST)   /* a: PATH (the key)   b: STRING                                                                */ \
    NODE(CFG_ALL)    /* a: list of predicates                                                                        */ \
    NODE(CFG_ANY)    /* a: list of predicates                                                                        */ \
    NODE(CFG_NOT)    /* a: predicate                                                                                 */ \
    NODE(GENERIC)    /* name first. a: symbol   b: list of TYPE_PATH (bounds)                                        */ \
    NODE(CONSTRAINT) /* `T: A + B`: a: symbol (name first)  b: list of TYPE_PATH; `Tr<T, U>`: a: 0  c: TYPE_PATH     */ \
    NODE(EFFECTS)    /* `! {…}` or `with …`. a: list of TYPE_PATH (`unsafe` is a name); an empty list is `! {}`      */ \
    NODE(PARAM)      /* a: pattern (PAT_NAME `self` for self)   b: type or 0   c: default or 0                       */ \
                     /* flags RL_SELF, RL_REF: `&self`, RL_MUT: `&mut self`, `mut x` (also on its PAT_NAME),         */ \
                     /* RL_VARARGS: `...`, pattern 0                                                                 */ \
    NODE(OP_CLAUSE)  /* `operation op(…) {…}`. a: NAME   b: list of PARAM   c: BLOCK                                 */ \
    NODE(RETURN_CLAUSE) /* `return p {…}`. a: pattern   b: BLOCK                                                     */ \
    NODE(ATTRIBUTED) /* attributes on a top-level statement that has no place for them. a: list of ATTR b: statement */ \
                                                                                                                        \
    /* --- names and paths                                                                                           */ \
    NODE(NAME)       /* a: symbol   flags RL_UPPER: upper identifier, RL_KEYWORD: a keyword in a name's place;       */ \
                     /* as an expression `self` is a NAME with RL_KEYWORD                                            */ \
    NODE(PATH)       /* where the grammar demands a Path. a: list of NAME                                            */ \
                                                                                                                        \
    /* --- statements that are not expressions (they also stand as arm, branch or lambda body: D64)                  */ \
    NODE(ASSIGN)     /* a: place (NAME, FIELD, INDEX)   b: value   c: byte of the operator                           */ \
                     /* flags rl_assign_op_t                                                                         */ \
    NODE(DEFER)      /* a: expression                                                                                */ \
                                                                                                                        \
    /* --- expressions                                                                                               */ \
    NODE(INT)        /* a, b: low and high word of the value   flags RL_BAD: did not fit u64, reported               */ \
    NODE(FLOAT)      /* a, b: low and high word of the double's bits   flags RL_BAD: overflowed, reported            */ \
    NODE(CHAR)       /* a: scalar value                                                                              */ \
    NODE(STRING)     /* a: offset into `text`   b: bytes (escapes processed; read with rl_tree_string)               */ \
                     /* c: byte where the content starts   flags RL_RAW, RL_ESCAPED: content differs from source     */ \
    NODE(BOOL)       /* a: 0 or 1                                                                                    */ \
    NODE(UNIT)       /* ()                                                                                           */ \
    NODE(HOLE)       /* `_` as an argument                                                                           */ \
    NODE(PAREN)      /* (e). a: expression                                                                           */ \
    NODE(TUPLE)      /* a: list of expressions, at least one (`(e,)` has one)                                        */ \
    NODE(LIST)       /* a: list of expressions                                                                       */ \
    NODE(EMPTY)      /* `{}`: record, map or unit block (2.2)                                                        */ \
    NODE(RECORD)     /* a: NAME or FIELD chain (the type or constructor), 0: anonymous                               */ \
                     /* b: list of RECORD_FIELD and SPREAD                                                           */ \
    NODE(RECORD_FIELD) /* name first. a: symbol   b: value (a NAME when punned)   flags RL_PUNNED, RL_COLON          */ \
    NODE(SPREAD)     /* ..e  ...e   a: expression                                                                    */ \
    NODE(MAP)        /* a: list: key STRING, value, key STRING, value, …                                             */ \
    NODE(BLOCK)      /* a: list of statements   b: list of ATTR   flags RL_DISCARD: a `;` follows the last           */ \
                     /* statement, RL_IMPLICIT: layout block (2.3), RL_DO: `do {…}`                                  */ \
    NODE(UNSAFE)     /* a: BLOCK   b: list of ATTR                                                                   */ \
    NODE(ASYNC)      /* a: BLOCK   flags RL_MOVE                                                                     */ \
    NODE(LAMBDA)     /* a: list of PARAM   b: type or 0   c: body (expression, ASSIGN or BLOCK)                      */ \
                     /* flags RL_FN: written with `fn`                                                               */ \
    NODE(IF)         /* a: list of triples: byte of this `if`, condition, body; the else-if chain in order           */ \
                     /* b: else body or 0   flags RL_THEN: the first is an `if … then`                               */ \
    NODE(MATCH)      /* a: scrutinee   b: list of ARM   flags RL_BRACES                                              */ \
    NODE(ARM)        /* from its `|` or pattern through the body. a: pattern   b: list of GUARD and ALIAS in order   */ \
                     /* c: body                                                                                      */ \
    NODE(GUARD)      /* a: condition   flags RL_IF: written with `if` (deprecated; not yet reported)                 */ \
    NODE(ALIAS)      /* `as x`. a: symbol   b: byte of the name                                                      */ \
    NODE(WHILE)      /* a: condition   b: BLOCK                                                                      */ \
    NODE(FOR)        /* a: pattern   b: iterable   c: BLOCK                                                          */ \
    NODE(LOOP)       /* a: BLOCK                                                                                     */ \
    NODE(RETURN)     /* a: value or 0                                                                                */ \
    NODE(BREAK)      /* a: value or 0                                                                                */ \
    NODE(CONTINUE)                                                                                                      \
    NODE(PERFORM)    /* a: PATH (effect … operation)   b: list of arguments (as CALL)   flags RL_DO                  */ \
    NODE(HANDLE)     /* a: expression   b: HANDLER or PATH                                                           */ \
    NODE(HANDLER)    /* inline. a: NAME of the effect   b: list of OP_CLAUSE and RETURN_CLAUSE                       */ \
    NODE(INLINE_ASM) /* a: list of arguments                                                                         */ \
    NODE(LLVM_IR)    /* a: type   b: list of arguments                                                               */ \
    NODE(NAMED_ARG)  /* name first. a: symbol   b: value   flags RL_COLON: written with `:`                          */ \
    NODE(ASM_ARG)    /* "constraint": e. a: STRING   b: expression                                                   */ \
    NODE(UNARY)      /* a: operand   flags rl_unary_op_t                                                             */ \
    NODE(POWER)      /* x ^ y ^ z, grouped from the right. a: list of at least two operands                          */ \
    NODE(RANGE)      /* a: lower   b: upper   flags RL_INCLUSIVE                                                     */ \
    NODE(AWAIT)      /* spine. a: future   flags RL_PREFIX: `await e`                                                */ \
    NODE(BINARY)     /* spine. a: left   b: right   c: byte of the operator   flags rl_binary_op_t                   */ \
    NODE(PIPE)       /* spine. a: left   b: stage   c: byte of `|>`                                                  */ \
    NODE(CAST)       /* spine. a: expression   b: type                                                               */ \
    NODE(FIELD)      /* spine. x.name, x::name. a: left   b: symbol   c: byte of the name, which ends the span       */ \
                     /* flags RL_COLONS: `::`, RL_UPPER, RL_KEYWORD                                                  */ \
    NODE(TUPLE_INDEX) /* spine. x.0   a: left   b: index (RL_BAD: too big)   c: byte of the number                   */ \
    NODE(TRY)        /* spine. x?   a: operand                                                                       */ \
    NODE(CALL)       /* spine. a: callee   b: list of expressions, NAMED_ARG, HOLE, ASM_ARG   c: byte of `(`         */ \
    NODE(INDEX)      /* spine. a: left   b: index                                                                    */ \
                                                                                                                        \
    /* --- patterns (a parenthesised pattern is the pattern itself)                                                  */ \
    NODE(PAT_WILD)   /* _                                                                                            */ \
    NODE(PAT_NAME)   /* binds. a: symbol (name last: behind `mut`)   flags RL_MUT, RL_UPPER: `let MAX = …` (D68)     */ \
    NODE(PAT_LITERAL) /* a: INT, FLOAT, CHAR, STRING, BOOL or UNIT   flags RL_NEGATIVE: `-` before it                */ \
    NODE(PAT_TUPLE)  /* a: list of patterns                                                                          */ \
    NODE(PAT_CTOR)   /* a: PATH   b: list of patterns   c: PAT_RECORD or 0   flags RL_PARENS: `( )` was written      */ \
    NODE(PAT_RECORD) /* a: list of PAT_FIELD   flags RL_REST: `..`                                                   */ \
    NODE(PAT_FIELD)  /* name first. a: symbol   b: pattern (a PAT_NAME when punned)   flags RL_PUNNED                */ \
    NODE(PAT_SLICE)  /* a: list of patterns and PAT_REST                                                             */ \
    NODE(PAT_REST)   /* `..` or `..t` in a slice. a: symbol or 0   b: byte of the name                               */ \
    NODE(PAT_RANGE)  /* a, b: lower, upper: PAT_LITERAL, PATH (a constant) or 0   flags RL_INCLUSIVE                 */ \
    NODE(PAT_REGEX)  /* r"…". a: STRING                                                                              */ \
    NODE(PAT_ACTIVE) /* (|N|_|) p. a: NAME   b: pattern or 0   flags RL_PARTIAL                                      */ \
    NODE(PAT_OR)     /* a: list of at least two patterns                                                             */ \
    NODE(PAT_AS)     /* `p as x`, `x @ p`. a: pattern   b: symbol   c: byte of the name   flags RL_AT                */ \
                                                                                                                        \
    /* --- types (a parenthesised type is the type itself)                                                           */ \
    NODE(TYPE_PATH)  /* a: list of NAME   b: list of types   flags RL_ARGS: `<…>` was written                        */ \
    NODE(TYPE_UNIT)  /* ()                                                                                           */ \
    NODE(TYPE_TUPLE) /* a: list of types, at least one (`(A,)` has one)                                              */ \
    NODE(TYPE_FN)    /* a: list of TYPE_PARAM   b: result, 0: unit (`fn()` alone)   c: EFFECTS or 0                  */ \
                     /* flags RL_FN: written with `fn`                                                               */ \
    NODE(TYPE_PARAM) /* a: symbol or 0   b: type                                                                     */ \
    NODE(TYPE_LIST)  /* [T]. a: type                                                                                 */ \
    NODE(TYPE_ARRAY) /* [T; N]. a: type   b: INT                                                                     */ \
    NODE(TYPE_RECORD) /* a: list of TYPE_FIELD   flags RL_OPEN: `..`                                                 */ \
    NODE(TYPE_FIELD) /* name first. a: symbol   b: type   c: record rl_field_more_t or 0 (rl_tree_field_more)        */ \
    NODE(TYPE_REF)   /* &T. a: type   flags RL_MUT                                                                   */ \
    NODE(TYPE_EFFECTS) /* `T ! {…}` on a type that is no function. a: type   b: EFFECTS                              */
/* clang-format on */

typedef enum rl_node_kind {
#define NODE(name) RL_NODE_##name,
    RL_NODES(NODE)
#undef NODE
        RL_NODE_KIND_COUNT
} rl_node_kind_t;

/* Flags, other than for ASSIGN, BINARY and UNARY, whose flags are an operator. Meaning: see the table. */
enum {
    RL_PUB = 1 << 0, /* items, impl and extern items, record fields */
    RL_MUT = 1 << 1,
    RL_UPPER = 1 << 2,
    RL_KEYWORD = 1 << 3,
    RL_EXTERN = 1 << 4,
    RL_BRACES = 1 << 5,
    RL_PARENS = 1 << 6,
    RL_BAD = 1 << 7,

    RL_VAR = 1 << 8, /* VALUE */
    RL_CONST = 1 << 9,
    RL_ASYNC = 1 << 8, /* FN */
    RL_LET = 1 << 9,
    RL_PARTIAL = 1 << 8, /* ACTIVE, PAT_ACTIVE */
    RL_ALIAS = 1 << 8,   /* TYPE_DECL */
    RL_ENUM = 1 << 9,
    RL_STRUCT = 1 << 10,
    RL_ROOT = 1 << 8,   /* USE_TREE */
    RL_COLON = 1 << 8,  /* OPERATION, RECORD_FIELD, NAMED_ARG */
    RL_PUNNED = 1 << 9, /* RECORD_FIELD, PAT_FIELD */
    RL_WITH = 1 << 8,   /* CONDUCTOR_MONITORING */
    RL_SELF = 1 << 8,   /* PARAM */
    RL_REF = 1 << 9,
    RL_VARARGS = 1 << 10,
    RL_RAW = 1 << 8, /* STRING */
    RL_ESCAPED = 1 << 9,
    RL_DISCARD = 1 << 8, /* BLOCK */
    RL_IMPLICIT = 1 << 9,
    RL_DO = 1 << 10,       /* BLOCK, PERFORM */
    RL_MOVE = 1 << 8,      /* ASYNC */
    RL_FN = 1 << 8,        /* LAMBDA, TYPE_FN */
    RL_THEN = 1 << 8,      /* IF */
    RL_IF = 1 << 8,        /* GUARD */
    RL_INCLUSIVE = 1 << 8, /* RANGE, PAT_RANGE */
    RL_PREFIX = 1 << 8,    /* AWAIT */
    RL_COLONS = 1 << 8,    /* FIELD */
    RL_NEGATIVE = 1 << 8,  /* PAT_LITERAL */
    RL_REST = 1 << 8,      /* PAT_RECORD */
    RL_AT = 1 << 8,        /* PAT_AS */
    RL_ARGS = 1 << 8,      /* TYPE_PATH */
    RL_OPEN = 1 << 8       /* TYPE_RECORD */
};

typedef enum rl_binary_op {
    RL_BIN_ADD,
    RL_BIN_SUB,
    RL_BIN_MUL,
    RL_BIN_DIV,
    RL_BIN_REM,
    RL_BIN_CONCAT, /* + - * / % ++ */
    RL_BIN_EQ,
    RL_BIN_NE,
    RL_BIN_LT,
    RL_BIN_LE,
    RL_BIN_GT,
    RL_BIN_GE,
    RL_BIN_AND,
    RL_BIN_OR,
    RL_BIN_OP_COUNT
} rl_binary_op_t;
typedef enum rl_unary_op { RL_UN_NEG, RL_UN_NOT, RL_UN_REF, RL_UN_REF_MUT, RL_UN_OP_COUNT } rl_unary_op_t;
typedef enum rl_assign_op {
    RL_ASSIGN_SET,   /* := */
    RL_ASSIGN_FIELD, /* = on a field or index */
    RL_ASSIGN_ADD,
    RL_ASSIGN_SUB,
    RL_ASSIGN_MUL,
    RL_ASSIGN_DIV,
    RL_ASSIGN_OP_COUNT
} rl_assign_op_t;

typedef struct rl_node_data {
    uint16_t kind; /* rl_node_kind_t */
    uint16_t flags;
    uint32_t start, end;
    uint32_t a, b, c;
} rl_node_data_t;

typedef struct rl_tree {
    rl_allocator_t* allocator;
    RL_VEC(rl_node_data_t) nodes; /* [0] is the error node */
    RL_VEC(uint32_t) extra;       /* [0] is 0: the empty list */
    RL_VEC(char) text;            /* decoded string literals, one behind the other */
    rl_node_t root;               /* MODULE */
    uint32_t longest;             /* no list that was parsed has more items */
    bool has_attrs;               /* some attribute was parsed */
} rl_tree_t;

/* --- records (words in `extra`) ----------------------------------------------------------------------------------- */

typedef struct rl_value_decl { /* VALUE */
    rl_list_t attrs;
    rl_node_t pattern, type, value; /* type, value: 0 when absent */
} rl_value_decl_t;

typedef struct rl_fn_decl { /* FN */
    rl_list_t attrs;
    rl_list_t path;      /* of NAME: `f`, or `Type.m` */
    rl_list_t generics;  /* of GENERIC */
    rl_list_t params;    /* of PARAM */
    rl_node_t result;    /* type or 0 */
    rl_list_t where_;    /* of CONSTRAINT */
    rl_node_t effects;   /* EFFECTS, 0: not written */
    rl_node_t body;      /* 0: none (host-bound, trait requirement) */
    uint32_t header_end; /* byte */
} rl_fn_decl_t;

typedef struct rl_active_decl { /* ACTIVE */
    rl_list_t attrs;
    rl_node_t name; /* NAME */
    rl_list_t params;
    rl_node_t body;
} rl_active_decl_t;

typedef struct rl_type_decl { /* TYPE_DECL */
    rl_list_t attrs;
    rl_node_t name; /* NAME */
    rl_list_t generics;
    rl_node_t body; /* 0, VARIANTS, NEWTYPE or a type */
} rl_type_decl_t;

typedef struct rl_trait_decl { /* TRAIT */
    rl_list_t attrs;
    rl_node_t name;
    rl_list_t generics;
    rl_list_t where_;
    rl_list_t items; /* of FN */
} rl_trait_decl_t;

typedef struct rl_impl_decl { /* IMPL */
    rl_list_t attrs;
    rl_list_t generics;
    rl_node_t trait; /* TYPE_PATH, 0: inherent */
    rl_node_t type;
    rl_list_t where_;
    rl_list_t items; /* of FN and VALUE */
    uint32_t header_end;
} rl_impl_decl_t;

typedef struct rl_effect_decl { /* EFFECT */
    rl_list_t attrs;
    rl_node_t name;
    rl_list_t generics;
    rl_node_t tag;        /* PATH or 0 */
    rl_list_t operations; /* of OPERATION */
} rl_effect_decl_t;

typedef struct rl_operation_decl { /* OPERATION */
    rl_list_t attrs;
    rl_node_t name;
    rl_node_t type; /* colon form, else 0 */
    rl_list_t generics;
    rl_list_t params; /* of PARAM */
    rl_node_t result; /* type or 0 */
} rl_operation_decl_t;

typedef struct rl_handler_decl { /* HANDLER_DECL */
    rl_list_t attrs;
    rl_node_t name;    /* NAME */
    rl_node_t effect;  /* NAME after `for`, 0: the effect is `name` */
    rl_list_t entries; /* of OP_CLAUSE and RETURN_CLAUSE */
} rl_handler_decl_t;

typedef struct rl_conductor_decl { /* CONDUCTOR */
    rl_list_t attrs;
    rl_node_t name;
    rl_list_t sections; /* CONDUCTOR_NODE, _CHANNELS, _EXECUTION, _MONITORING */
} rl_conductor_decl_t;

typedef struct rl_field_more { /* TYPE_FIELD */
    rl_list_t attrs;
    rl_node_t default_; /* expression or 0 */
} rl_field_more_t;

/* --- reading ------------------------------------------------------------------------------------------------------- */

static inline const rl_node_data_t* rl_tree_node(const rl_tree_t* tree, rl_node_t node) {
    return &tree->nodes.data[node];
}
static inline rl_node_kind_t rl_tree_kind(const rl_tree_t* tree, rl_node_t node) {
    return (rl_node_kind_t)tree->nodes.data[node].kind;
}
static inline uint16_t rl_tree_flags(const rl_tree_t* tree, rl_node_t node) { return tree->nodes.data[node].flags; }
static inline bool rl_tree_has(const rl_tree_t* tree, rl_node_t node, uint16_t flag) {
    return (tree->nodes.data[node].flags & flag) != 0;
}
static inline rl_span_t rl_tree_span(const rl_tree_t* tree, rl_node_t node) {
    return (rl_span_t){tree->nodes.data[node].start, tree->nodes.data[node].end};
}

/* The items of a list; borrowed until the tree grows (rl_parse_expression) or dies. */
static inline const uint32_t* rl_tree_list(const rl_tree_t* tree, rl_list_t list, uint32_t* out_count) {
    *out_count = tree->extra.data[list];
    return tree->extra.data + list + 1;
}
static inline uint32_t rl_tree_list_count(const rl_tree_t* tree, rl_list_t list) { return tree->extra.data[list]; }
static inline uint32_t rl_tree_list_at(const rl_tree_t* tree, rl_list_t list, uint32_t index) {
    return tree->extra.data[list + 1 + index];
}

/* The decoded content of a STRING node; may hold NUL. Borrowed until the tree grows or dies. */
static inline rl_str_t rl_tree_string(const rl_tree_t* tree, rl_node_t node) {
    const rl_node_data_t* data = &tree->nodes.data[node];
    return (rl_str_t){tree->text.data ? tree->text.data + data->a : "", data->b};
}
static inline uint64_t rl_tree_int(const rl_tree_t* tree, rl_node_t node) {
    return (uint64_t)tree->nodes.data[node].b << 32 | tree->nodes.data[node].a;
}
static inline double rl_tree_float(const rl_tree_t* tree, rl_node_t node) {
    uint64_t bits = rl_tree_int(tree, node);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
/* The symbol of a NAME (word a); 0 for the error node. */
static inline rl_sym_t rl_tree_name(const rl_tree_t* tree, rl_node_t node) { return tree->nodes.data[node].a; }

#define RL_TREE_RECORD(type, reader)                                                                                   \
    static inline type reader(const rl_tree_t* tree, rl_node_t node) {                                                 \
        type record;                                                                                                   \
        memcpy(&record, tree->extra.data + tree->nodes.data[node].a, sizeof record);                                   \
        return record;                                                                                                 \
    }
RL_TREE_RECORD(rl_value_decl_t, rl_tree_value)
RL_TREE_RECORD(rl_fn_decl_t, rl_tree_fn)
RL_TREE_RECORD(rl_active_decl_t, rl_tree_active)
RL_TREE_RECORD(rl_type_decl_t, rl_tree_type_decl)
RL_TREE_RECORD(rl_trait_decl_t, rl_tree_trait)
RL_TREE_RECORD(rl_impl_decl_t, rl_tree_impl)
RL_TREE_RECORD(rl_effect_decl_t, rl_tree_effect)
RL_TREE_RECORD(rl_operation_decl_t, rl_tree_operation)
RL_TREE_RECORD(rl_handler_decl_t, rl_tree_handler)
RL_TREE_RECORD(rl_conductor_decl_t, rl_tree_conductor)
#undef RL_TREE_RECORD

static inline rl_field_more_t rl_tree_field_more(const rl_tree_t* tree, rl_node_t type_field) {
    rl_field_more_t more = {0, 0};
    uint32_t at = tree->nodes.data[type_field].c;
    if (at) memcpy(&more, tree->extra.data + at, sizeof more);
    return more;
}

/* Kinds whose chains are unbounded in word a: loop over them. */
static inline bool rl_node_is_spine(rl_node_kind_t kind) { return kind >= RL_NODE_AWAIT && kind <= RL_NODE_INDEX; }
static inline bool rl_node_is_pattern(rl_node_kind_t kind) {
    return kind >= RL_NODE_PAT_WILD && kind <= RL_NODE_PAT_AS;
}
static inline bool rl_node_is_type(rl_node_kind_t kind) {
    return kind >= RL_NODE_TYPE_PATH && kind <= RL_NODE_TYPE_EFFECTS;
}

/* The attributes of any node that may carry some, else the empty list. */
rl_list_t rl_tree_attrs(const rl_tree_t* tree, rl_node_t node);
/* Span of the name itself: nodes marked "name first", FIELD, TUPLE_INDEX, PAT_NAME, PAT_AS, ALIAS, PAT_REST, NAME. */
rl_span_t rl_tree_name_span(const rl_tree_t* tree, const rl_symbols_t* symbols, rl_node_t node);

const char* rl_node_kind_name(rl_node_kind_t kind); /* "PAT_NAME" */
const char* rl_binary_op_text(rl_binary_op_t op);   /* "++" */
const char* rl_unary_op_text(rl_unary_op_t op);     /* "&mut" */
const char* rl_assign_op_text(rl_assign_op_t op);   /* "+=" */

/* --- making (for the parser) --------------------------------------------------------------------------------------- */

bool rl_tree_init(rl_tree_t* tree, rl_allocator_t* allocator); /* false: memory; the tree may still be deinit'ed */
void rl_tree_deinit(rl_tree_t* tree);

/*
 * One line per node: what it is to its parent, kind, span, flags, content: `value: INT 8..9 1`. A chain is a node CHAIN with
 * its innermost operand and one line per link, in the order of evaluation. For golden files and debugging; no recursion.
 */
void rl_tree_print(const rl_tree_t* tree, const rl_symbols_t* symbols, rl_node_t node, rl_buf_t* out);

#endif
