/*
 * code: typed IR → bytecode. Knows instructions and object layouts; must not know syntax or hosts.
 *
 * The typed IR: what a program means after checking. Names, methods, pipes, named and default arguments, interpolation,
 * implicit conversions and `?` are gone; every node has its type, possibly over the type parameters (PARAM) of its
 * function. `code/emit` makes bytecode from one function and a list of type arguments.
 *
 * A node is 24 bytes: op, flags, type, start of its span, three words. Lists are runs in program.extra. "node" below is
 * an rl_ir_t; 0 is no node. Evaluation order is left to right as listed.
 */
#ifndef RL_IR_H
#define RL_IR_H

#include "base/base.h"

typedef uint32_t rl_ir_t;

typedef struct rl_ir_node {
    uint16_t op; /* rl_ir_op_t */
    uint16_t flags;
    uint32_t type;  /* rl_type_t */
    uint32_t start; /* byte offset in its module's source, for lines in errors */
    uint32_t a, b, c;
} rl_ir_node_t;

typedef enum rl_ir_op {
    RL_IR_NONE,
    /* --- constants --- */
    RL_IR_UNIT,
    RL_IR_INT,    /* a: low word, b: high word, of the 64-bit value; type: any integer, Bool, Char, Duration; for a
                        literal in generic code the type may be a PARAM: converted at instantiation (int → float allowed) */
    RL_IR_FLOAT,  /* a, b: bits of the double; type f32/f64 or PARAM */
    RL_IR_STRING, /* a: string id; type Str */
    RL_IR_BYTES,  /* a: string id; type Bytes */
    /* --- variables --- */
    RL_IR_LOCAL,      /* a: local id */
    RL_IR_SET_LOCAL,  /* a: local id, b: node → () */
    RL_IR_GLOBAL,     /* a: global id (panics runtime.init.uninitialized when not yet set) */
    RL_IR_SET_GLOBAL, /* a: global id, b: node; flags 1: first initialisation */
    RL_IR_BIND,       /* a: local id, b: node: introduces the local → () */
    RL_IR_LET,        /* a: pattern (irrefutable), b: node → () */
    /* --- functions --- */
    RL_IR_CALL, /* a: function id, b: extra offset of the type arguments (count = callee's type_params), c: extra offset of
                        [argument count, argument nodes…]. Calls of functions with captures: see CLOSURE */
    RL_IR_CALL_VALUE, /* a: callee node (function type), c: extra offset of [count, nodes…] */
    RL_IR_CLOSURE, /* a: function id, b: extra offset of type arguments: a function as a value. Captures are taken from the
                        enclosing function's locals named in the callee's capture list, at this moment (boxed ones by cell) */
    RL_IR_CLOSURE_GROUP, /* a: extra offset, b: count of pairs (local id, function id): local functions that may capture each
                        other (and themselves): all closures are made, then their captures filled → () */
    /* --- data --- */
    RL_IR_TUPLE, /* a: extra offset of nodes, b: count */
    RL_IR_RECORD, /* like TUPLE: one node per field in *stored* order; type RECORD or NAMED record/struct. Source order of
                        evaluation has been arranged by BINDs around it */
    RL_IR_VARIANT,   /* a: extra offset, b: count of payload nodes, c: tag; type NAMED sum or newtype */
    RL_IR_LIST,      /* a: extra offset, b: count; type List<T> or ARRAY */
    RL_IR_MAP,       /* a: extra offset of key, value, key, value … b: number of pairs; type Map<K, V> */
    RL_IR_RANGE,     /* a: from, b: to, flags 1: inclusive; type Range<T> */
    RL_IR_FIELD,     /* a: record, newtype-of-record or PARAM-typed value (resolved at instantiation), b: symbol */
    RL_IR_TUPLE_GET, /* a: tuple, b: index */
    RL_IR_PAYLOAD, /* a: newtype or variant value, b: payload index, c: tag (checked by the checker, not at run time) */
    RL_IR_UPDATE, /* a: record (copied with changes; in place when it has one owner), b: extra offset of symbol, node pairs, c: count */
    RL_IR_SET_FIELD, /* a: struct object, b: symbol, c: node → () */
    RL_IR_INDEX, /* a: collection, b: index; List, ARRAY, Vec, Map, Table, Bytes; panics out of range / missing key */
    RL_IR_SET_INDEX, /* a: Vec or Table, b: extra offset of [index, value] → () */
    RL_IR_WITH_INDEX, /* a: List or Map, b: extra offset of [index, value]: the updated copy (in place when it has one owner) */
    /* --- operators: both operands of one type --- */
    RL_IR_ADD,
    RL_IR_SUB,
    RL_IR_MUL,
    RL_IR_DIV,
    RL_IR_REM,
    RL_IR_POW,    /* a, b; numbers; ADD also Str, Duration (+ Timestamp forms) */
    RL_IR_CONCAT, /* a, b: Str or List */
    RL_IR_NEG,
    RL_IR_NOT, /* a */
    RL_IR_EQ,
    RL_IR_NE,
    RL_IR_LT,
    RL_IR_LE,
    RL_IR_GT,
    RL_IR_GE, /* a, b; structural, by the operand type */
    RL_IR_AND,
    RL_IR_OR,     /* a, b: short circuit */
    RL_IR_CAST,   /* a; from a's type to this node's type (LANGUAGE 4.5) */
    RL_IR_TO_ANY, /* a; type Any. Also covariantly: a List<T> to List<Any> etc. is written with op CONVERT */
    RL_IR_CONVERT, /* a: value whose type differs from this node's only by inner T → Any or by named/anonymous record; rebuilt */
    RL_IR_TO_STRING, /* a: Display text; flags 1: Debug text */
    RL_IR_FORMAT, /* a: extra offset, b: count of [spec, node] pairs: spec is a string id of printf flags and letter such as
                        "04X" or "" for Display, node the value; a literal part is spec = 0xFFFFFFFF with a STRING node → Str */
    /* --- control --- */
    RL_IR_BLOCK,    /* a: extra offset, b: count of nodes; value = last node when flags 1, else () */
    RL_IR_IF,       /* a: condition, b: then, c: else or 0 */
    RL_IR_MATCH,    /* a: scrutinee, b: extra offset of [pattern, guard or 0, body] triples, c: number of arms */
    RL_IR_WHILE,    /* a: condition, b: body */
    RL_IR_LOOP,     /* a: body; value by BREAK */
    RL_IR_FOR,      /* a: iterable node, b: pattern (irrefutable), c: body; the iterable's type chooses the loop */
    RL_IR_BREAK,    /* a: value or 0, b: number of loops to leave besides the innermost (0) */
    RL_IR_CONTINUE, /* b as above */
    RL_IR_RETURN,   /* a: value or 0 */
    RL_IR_DEFER,    /* a: CLOSURE node of a parameterless function; belongs to the innermost BLOCK with flags 2 */
    RL_IR_PANIC,    /* a: message (Str), b: rl_code_t */
    RL_IR_SEQUENCE, /* a: node whose value is dropped, b: node whose value counts (a small BLOCK without scope) */
    RL_IR_UNSAFE,   /* a: body; leaves an audit record */
    /* --- effects --- */
    RL_IR_HANDLE, /* a: node of the handled computation, a function value () -> T (CLOSURE of a PART, or a LOCAL); b: extra
                        offset of [effect id, return clause or 0, clause count, clause of each operation in order]; clauses
                        are function values: the return clause (T) -> S, the others (parameters…, (B) -> S) -> S. Type S */
    RL_IR_CATCH, /* a: node (a HANDLE, or the CALL of a named handler) with jumps out of its parts; b: local of the token,
                        introduced here; c: extra offset of [count, pairs (local or ~0, node)…]. Type of a */
    RL_IR_ESCAPE, /* a: local of a token (captured), b: number, c: value or 0: what the CATCH is doing ends, the value
                        becomes the local of its pair, whose node goes on: a RETURN, BREAK, CONTINUE or ESCAPE → Never */
    RL_IR_AWAIT,  /* a: a Future; the value when it is done (LANGUAGE 7.1). Runs it here when it has not started */
    RL_IR_OP_COUNT
} rl_ir_op_t;

enum {
    RL_IR_MATCH_PARTIAL = 1, /* MATCH: does not cover all cases */
    RL_IR_BLOCK_VALUE = 1,   /* BLOCK: the last node is its value */
    RL_IR_BLOCK_DEFERS = 2,  /* BLOCK: has DEFERs directly in it */
    RL_IR_TAIL = 0x100       /* CALL, CALL_VALUE: in tail position, nothing pending: must not grow the stack */
};

/* Patterns are nodes of the same table; `type` is the type of the value matched. */
typedef enum rl_pattern_op {
    RL_PAT_WILDCARD = 0x4000,
    RL_PAT_BIND,    /* a: local id, b: sub-pattern or 0 (name @ p, p as name) */
    RL_PAT_CONST,   /* a: constant node (INT, FLOAT, STRING, UNIT …); compared with == */
    RL_PAT_VARIANT, /* a: extra offset, b: count of payload patterns (all of them), c: tag; type NAMED sum or newtype */
    RL_PAT_TUPLE,   /* a: extra offset, b: count */
    RL_PAT_RECORD,  /* a: extra offset of symbol, pattern pairs (only those looked at), b: count */
    RL_PAT_OR,      /* a: extra offset, b: count; every alternative binds the same local ids */
    RL_PAT_RANGE,   /* a: low constant node or 0, b: high or 0, flags 1: high included */
    RL_PAT_SLICE,   /* a: extra offset, b: count of patterns; c: position of the rest item + 1, or 0; the rest item is
                        among them: WILDCARD or BIND */
    RL_PAT_REGEX,   /* a: string id of the compiled pattern (base/regex.h); type Str or Bytes */
    RL_PAT_ACTIVE /* a: local that gets the value, b: expression (a call with that local), c: pattern for its result */
} rl_pattern_op_t;

enum { RL_PAT_ACTIVE_COVERS = 1 /* ACTIVE: matches every value */ };

const char* rl_ir_op_name(unsigned op);

#endif
