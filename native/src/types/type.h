/*
 * Types as data: hash-consed nodes in one table, named by index. Two types without variables are equal iff their
 * indices are. Like symbols, a table may stand on the prelude's read-only one.
 */
#ifndef RL_TYPE_H
#define RL_TYPE_H

#include "base/buf.h"
#include "types/symbol.h"

typedef uint32_t rl_type_t;

/* Kinds without parts come first: for these the index of the type *is* its kind (RL_TYPE_I64 is both). */
typedef enum rl_type_kind {
    RL_TYPE_ERROR, /* unifies with everything, silently */
    RL_TYPE_NEVER,
    RL_TYPE_UNIT,
    RL_TYPE_BOOL,
    RL_TYPE_CHAR,
    RL_TYPE_I8,
    RL_TYPE_I16,
    RL_TYPE_I32,
    RL_TYPE_I64,
    RL_TYPE_U8,
    RL_TYPE_U16,
    RL_TYPE_U32,
    RL_TYPE_U64,
    RL_TYPE_F32,
    RL_TYPE_F64,
    RL_TYPE_STR,
    RL_TYPE_BYTES,
    RL_TYPE_DURATION,  /* i64 nanoseconds */
    RL_TYPE_TIMESTAMP, /* i64 nanoseconds since 1970 */
    RL_TYPE_ANY,
    RL_TYPE_SIMPLE_COUNT,
    RL_TYPE_TUPLE = RL_TYPE_SIMPLE_COUNT, /* args: elements (≥ 2) */
    RL_TYPE_FUNCTION, /* args: parameters…, result (count = parameters + 1); a: effect set, 0 = none written: makes no difference */
    RL_TYPE_RECORD, /* anonymous; args: pairs symbol, type, ascending by code points of the name; count = fields */
    RL_TYPE_NAMED,  /* a: rl_typedef index; args: type arguments. List, Map, Option … are named types too */
    RL_TYPE_ARRAY,  /* [T; N]; a: N; args: T */
    RL_TYPE_PARAM,  /* a: index among the type parameters of the function or typedef it stands in */
    RL_TYPE_VAR,    /* a: inference variable (solve.h); never in finished IR */
    RL_TYPE_OPEN,   /* { f: T, .. } as written: parts like RECORD. A value is an Any that holds a record without name */
    RL_TYPE_KIND_COUNT
} rl_type_kind_t;

enum { RL_TYPE_HAS_VAR = 1, RL_TYPE_HAS_PARAM = 2, RL_TYPE_HAS_ERROR = 4, RL_TYPE_HAS_EFFECTS = 8 };

typedef struct rl_type_node {
    uint8_t kind;
    uint8_t flags; /* of itself or any part */
    uint16_t count;
    uint32_t a;
    uint32_t args;  /* offset of the parts in `extra` of the table that owns the node */
    uint16_t depth; /* 1 without parts, else one more than the deepest part */
} rl_type_node_t;

enum { RL_TYPE_DEPTH_LIMIT = 100 };

typedef struct rl_types {
    const struct rl_types* below;
    rl_allocator_t* allocator;
    uint32_t first;
    RL_VEC(rl_type_node_t) nodes;
    RL_VEC(uint32_t) extra;
    uint32_t* slots;
    uint32_t slot_count;
    RL_VEC(rl_type_t) vars; /* VAR i, made in this order; it is in no slot */
    bool
        too_deep; /* sticky: a type deeper than RL_TYPE_DEPTH_LIMIT was asked for (and RL_TYPE_ERROR given). Whoever asked
                      must report type.instantiation.limit: ERROR itself is silent */
} rl_types_t;

void rl_types_init(
    rl_types_t* types, const rl_types_t* below, rl_allocator_t* allocator); /* the lowest gets the simple kinds */
void rl_types_deinit(rl_types_t* types);

const rl_type_node_t* rl_type_node_below(const rl_types_t* types, rl_type_t type);
extern const rl_type_node_t rl_type_simple[RL_TYPE_SIMPLE_COUNT];
static inline const rl_type_node_t* rl_type_node(const rl_types_t* types, rl_type_t type) {
    if (type < RL_TYPE_SIMPLE_COUNT) return &rl_type_simple[type];
    uint32_t index = type - types->first; /* wraps for those below */
    return RL_LIKELY(index < types->nodes.count) ? &types->nodes.data[index] : rl_type_node_below(types, type);
}
/* Parts: for RECORD pairs (symbol, type), else types. Valid until the next type is made. */
const uint32_t* rl_type_args_below(const rl_types_t* types, rl_type_t type);
static inline const uint32_t* rl_type_args(const rl_types_t* types, rl_type_t type) {
    uint32_t index = type - types->first;
    return RL_LIKELY(index < types->nodes.count && types->extra.data)
               ? types->extra.data + types->nodes.data[index].args
               : rl_type_args_below(types, type);
}
static inline rl_type_kind_t rl_type_kind(const rl_types_t* types, rl_type_t type) {
    return (rl_type_kind_t)rl_type_node(types, type)->kind;
}

/* Make or find. `parts` may point into the table itself (it is copied first). RL_TYPE_ERROR when memory is short. */
rl_type_t rl_type_make(rl_types_t* types, rl_type_kind_t kind, uint32_t a, const uint32_t* parts, uint32_t part_words);
rl_type_t rl_type_tuple(rl_types_t* types, const rl_type_t* elements, uint32_t count);
rl_type_t rl_type_function(rl_types_t* types, const rl_type_t* parameters, uint32_t count, rl_type_t result);
rl_type_t rl_type_named(rl_types_t* types, uint32_t typedef_index, const rl_type_t* arguments, uint32_t count);
rl_type_t rl_type_param(rl_types_t* types, uint32_t index);
rl_type_t rl_type_var(rl_types_t* types, uint32_t index); /* variables are asked for in order: 0, 1, 2 … */
/* fields: (symbol, type) pairs in any order; sorted here by the text of the names */
rl_type_t rl_type_record(rl_types_t* types, const rl_symbols_t* symbols, uint32_t* pairs, uint32_t field_count);
rl_type_t rl_type_open(rl_types_t* types, const rl_symbols_t* symbols, uint32_t* pairs, uint32_t field_count);

/* Replace PARAM i by arguments[i]. Iterative or depth-checked (types nest at most 100 deep after checks). */
rl_type_t rl_type_substitute(rl_types_t* types, rl_type_t type, const rl_type_t* arguments, uint32_t count);
/* The type without the effect sets written in it. */
rl_type_t rl_type_plain(rl_types_t* types, rl_type_t type);
/* Forget all types of this table from `node_count` nodes and `extra_count` words on (a failed load). */
void rl_types_truncate(rl_types_t* types, uint32_t node_count, uint32_t extra_count);
/* Parts are words that are types, or pairs of a symbol and a type: the type is the last word of each step. */
static inline uint32_t rl_type_part_step(unsigned kind) {
    return kind == RL_TYPE_RECORD || kind == RL_TYPE_OPEN ? 2 : 1;
}
static inline uint32_t rl_type_part_words(const rl_type_node_t* node) {
    return rl_type_part_step(node->kind) * node->count;
}

static inline bool rl_type_is_integer(rl_type_t t) { return t >= RL_TYPE_I8 && t <= RL_TYPE_U64; }
static inline bool rl_type_is_signed(rl_type_t t) { return t >= RL_TYPE_I8 && t <= RL_TYPE_I64; }
static inline bool rl_type_is_float(rl_type_t t) { return t == RL_TYPE_F32 || t == RL_TYPE_F64; }
static inline bool rl_type_is_numeric(rl_type_t t) { return t >= RL_TYPE_I8 && t <= RL_TYPE_F64; }

#endif
