/*
 * Run-time types: one descriptor per ground type that something at run time must know: printing, comparing, hashing,
 * Any, conversion at the border, element widths. Made on demand from a type of the program, shared, never changed; lives
 * in the compiler's arena of the context.
 */
#ifndef RL_RTYPE_H
#define RL_RTYPE_H

#include "types/program.h"
#include "vm/value.h"

typedef enum rl_rep { RL_REP_S, RL_REP_F, RL_REP_R } rl_rep_t; /* S bank integer-like · S bank double · R bank */

typedef struct rl_rtype rl_rtype_t;

typedef struct rl_rfield {
    rl_str_t name; /* empty: positional */
    const rl_rtype_t* type;
    uint16_t slot; /* word of the object: references first, in field order, then scalars, in field order */
} rl_rfield_t;

/* A product: tuple, record, struct, or one variant of a sum. */
typedef struct rl_rshape {
    rl_str_t name; /* variant or named record; empty: anonymous */
    const rl_rfield_t* fields;
    uint16_t field_count;
    uint16_t refs, words, tag;
    bool record_payload; /* shown `C { f: 1 }`: its one field is an anonymous record */
} rl_rshape_t;

struct rl_rtype {
    uint8_t kind;         /* rl_type_kind_t; NAMED: look at def_kind and builtin */
    uint8_t rep;          /* rl_rep_t */
    uint8_t element;      /* rl_element_t when stored in a Vec */
    uint8_t def_kind;     /* rl_typedef_kind_t when NAMED */
    uint8_t builtin;      /* rl_builtin_type_t when NAMED */
    bool is_enum;         /* sum without payloads: rep S, the tag */
    bool is_shown_text;   /* the core library's FormatText */
    bool has_identity;    /* struct, Vec, Table, Cell, Ref, function, opaque */
    uint16_t shape_count; /* products: 1; sums: one per variant; newtype: 1 */
    uint16_t arg_count;
    rl_type_t type;
    rl_str_t name; /* NAMED: of the typedef; else text such as "Int" */
    const rl_rshape_t* shapes;
    const rl_rtype_t* const* args; /* type arguments; element types of tuples; FUNCTION: parameters…, result */
    const rl_rtype_t* payload;     /* newtype: what it wraps (same representation) */
    /* A user's own Display and Debug: code of a closure that holds the value and makes its text; NULL: none. */
    const struct rl_proto *display, *debug;
};

#endif
