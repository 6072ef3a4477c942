/*
 * A checked program: symbols, types, declarations and typed IR, all in flat tables indexed by u32. It holds no pointers
 * between entries, so the prelude's program is plain read-only data that every context's program stands on (`below`).
 *
 * Ids are global over the stack of programs: an id smaller than `first_*` belongs to a program below. Use the accessors.
 */
#ifndef RL_PROGRAM_H
#define RL_PROGRAM_H

#include "code/ir.h"
#include "diag/diag.h"
#include "types/effect_set.h"
#include "types/type.h"

typedef uint32_t rl_fn_id_t;      /* 0: none */
typedef uint32_t rl_typedef_id_t; /* 0: none */
typedef uint32_t rl_global_id_t;
typedef uint32_t rl_module_id_t;
typedef uint32_t rl_effect_id_t; /* 0: none */
typedef uint32_t rl_trait_id_t;  /* 0: none */
typedef uint32_t rl_impl_id_t;   /* 0: none */
typedef uint32_t rl_local_id_t;  /* index among the locals of one function; 0 is a real local */

/* --- type declarations ------------------------------------------------------------------------------- */
typedef enum rl_typedef_kind {
    RL_DEF_SUM,     /* variants */
    RL_DEF_RECORD,  /* one variant: fields in stored order (ascending names) */
    RL_DEF_STRUCT,  /* like RECORD, with identity, fields assignable */
    RL_DEF_NEWTYPE, /* one variant with one payload */
    RL_DEF_OPAQUE,  /* values come from the host */
    RL_DEF_ALIAS,   /* transparent; `target` over PARAMs */
    RL_DEF_BUILTIN  /* List, Map, Vec, Table, …: values made by builtins; `builtin` says which */
} rl_typedef_kind_t;

/* Built-in type constructors, in the order of declaration in the prelude (attribute @builtin("list") etc.). */
typedef enum rl_builtin_type {
    RL_BUILTIN_NONE,
    RL_BUILTIN_LIST,
    RL_BUILTIN_MAP,
    RL_BUILTIN_SET,
    RL_BUILTIN_VEC,
    RL_BUILTIN_TABLE,
    RL_BUILTIN_CELL,
    RL_BUILTIN_REF,
    RL_BUILTIN_RANGE,
    RL_BUILTIN_ITER,
    RL_BUILTIN_PTR,
    RL_BUILTIN_FUTURE,
    RL_BUILTIN_TASK,
    RL_BUILTIN_JSON, /* a sum type whose text is JSON */
    RL_BUILTIN_TYPE_COUNT
} rl_builtin_type_t;

typedef struct rl_field {
    rl_sym_t name;         /* 0: positional */
    rl_type_t type;        /* over the typedef's PARAMs */
    rl_fn_id_t default_fn; /* parameterless function that makes the default; 0: none */
    uint32_t declared;     /* position in the source (fields are stored sorted in records) */
} rl_field_t;

/* A variant `C { f: X }` is stored like `C({ f: X })`: one positional field whose type is an anonymous record. */
enum { RL_VARIANT_RECORD_PAYLOAD = 1 /* written with a record payload; Display shows `C { f: 1 }` */ };
typedef struct rl_variant {
    rl_sym_t name;
    uint32_t flags;
    uint32_t field_first, field_count; /* in program.fields */
    uint32_t default_first,
        default_count; /* RECORD_PAYLOAD: fields (name, type, default_fn) of the payload, in program.fields, stored order */
} rl_variant_t;

typedef struct rl_typedef {
    rl_sym_t name;
    rl_module_id_t module;
    uint8_t kind;    /* rl_typedef_kind_t */
    uint8_t builtin; /* rl_builtin_type_t */
    uint16_t type_params;
    uint32_t variant_first, variant_count; /* tag = position */
    rl_type_t target;                      /* ALIAS */
    rl_span_t span;
    bool is_public, must_use;
} rl_typedef_t;

/* --- functions ------------------------------------------------------------------------------------------ */
typedef enum rl_fn_kind {
    RL_FN_REML,     /* body in IR */
    RL_FN_BUILTIN,  /* `builtin` = row of vm/builtin.def */
    RL_FN_HOST,     /* `symbol` = name the host binds */
    RL_FN_OPERATION /* of `effect`, number `operation`; a CALL of it is `perform` */
} rl_fn_kind_t;

typedef struct rl_param {
    rl_sym_t name; /* 0: pattern or wildcard */
    rl_type_t type;
    rl_fn_id_t default_fn; /* function of all earlier parameters (same type parameters); 0: required */
} rl_param_t;

enum {
    RL_LOCAL_MUTABLE = 1,  /* declared var/mut: may be assigned */
    RL_LOCAL_BOXED = 2,    /* mutable and captured: lives in a heap cell shared by everyone who captured it */
    RL_LOCAL_CAPTURE = 4,  /* inner side of a capture */
    RL_LOCAL_ANNOTATED = 8 /* its type is written where it is declared */
};
typedef struct rl_local {
    rl_sym_t name;
    rl_type_t type;
    uint32_t flags;
    rl_span_t span;
} rl_local_t;

/* Constraint on type parameter `param` of a generic function, checked again never: it holds for every instance. */
typedef enum rl_constraint_kind {
    RL_CON_ADD = 1,
    RL_CON_SUB = 2,
    RL_CON_MUL = 4,
    RL_CON_DIV = 8,
    RL_CON_REM = 16,
    RL_CON_POW = 32,
    RL_CON_NEG = 64,
    RL_CON_EQ = 128,
    RL_CON_ORD = 256,
    RL_CON_HASH = 512,
    RL_CON_INTEGER_LITERAL = 1024, /* any integer or float type */
    RL_CON_FLOAT_LITERAL = 2048,   /* f32 or f64 */
    RL_CON_FIELD = 4096,           /* has field `field` of type `type` (inferred open records, LANGUAGE 4.3) */
    RL_CON_TRAIT = 8192            /* `trait` is implemented for `args`; `param` says nothing */
} rl_constraint_kind_t;
typedef struct rl_constraint {
    uint32_t param;
    uint32_t kinds; /* set of rl_constraint_kind_t; with RL_CON_FIELD alone in it: */
    rl_sym_t field;
    rl_type_t type;
    rl_trait_id_t trait; /* with RL_CON_TRAIT alone in it */
    uint32_t args;       /* program.extra: Self (RL_TYPE_ERROR: whichever it is), then the trait's arguments */
} rl_constraint_t;

enum {
    RL_FN_PUBLIC = 1,
    RL_FN_METHOD = 2, /* first parameter is `self` or of the companion type: callable as x.f() */
    RL_FN_LAMBDA = 4, /* shown as <fn lambda> */
    RL_FN_THUNK = 8,  /* generalised value binding: evaluated at each use, no parameters */
    RL_FN_INIT = 16,  /* module initialisation */
    RL_FN_MUST_USE = 32,
    RL_FN_DEFAULT = 64,     /* evaluates a default */
    RL_FN_PART = 128,       /* handled expression or clause of a handler: code of its parent in a function of its own */
    RL_FN_CLAUSE = 1 << 20, /* a PART: clause of an operation; its last parameter is the continuation */
    RL_FN_KEEPS = 1 << 21,  /* … which it uses as a value, not only in calls */
    RL_FN_HANDLER = 256,    /* `handler H for E`: (() -> T) -> S, the body is one HANDLE of its parameter */
    RL_FN_ASYNC = 512,      /* block of a future */
    RL_FN_PARTIAL = 1 << 12, /* active pattern declared `(|N|_|)` */
    RL_FN_ADAPTED = 1 << 13, /* of the core library: the checker looks at its arguments first (iterable.c) */
    RL_FN_FOREIGN = 1 << 14, /* extern "C": only inside `unsafe` */
    RL_FN_VARARGS = 1 << 15, /* declared with `...` */
    /* Declared in a trait: type parameters Self, those of the trait, its own. A CALL or CLOSURE of it means the function
       of the impl for its type arguments; `body` is what applies where the impl has none (0: it must have one). */
    RL_FN_TRAIT = 1 << 16,
    RL_FN_HAS_DEFAULT = 1 << 17, /* TRAIT: written with a body */
    RL_FN_INTRINSIC = 1 << 19,   /* has the effect `native`, whatever its body does */
    RL_FN_TRANSFERS = 1 << 18,   /* its caller owns what it answers: @ownership("transferred") */
    RL_FN_LENDS = 1 << 22,       /* @ownership("borrowed") */
    RL_FN_REFERS = 1 << 23       /* @ownership("reference") */
};
typedef struct rl_function {
    rl_sym_t name;
    rl_module_id_t module;
    rl_typedef_id_t owner; /* `fn T.m`, impl T: the type; 0: free function */
    rl_trait_id_t trait;   /* TRAIT, and functions of an impl of a trait */
    rl_fn_id_t parent;     /* lambda or local function: the function around it */
    uint8_t kind;          /* rl_fn_kind_t */
    uint32_t flags;
    uint32_t type_params; /* PARAM 0 … n-1 in its types and body; a local function's list starts with its parent's */
    uint32_t param_first, param_count; /* program.params */
    rl_type_t result;
    uint32_t constraint_first, constraint_count;
    uint32_t local_first,
        local_count; /* program.locals; the first param_count are the parameters, then captures in order */
    uint32_t capture_first,
        capture_count;     /* program.captures: local ids of the *parent*; inner local = param_count + i */
    rl_ir_t body;          /* 0 unless RL_FN_REML */
    rl_effects_t declared; /* `! {…}` or `with …`; 0: not written */
    rl_effects_t effects;  /* latent set: what a call adds (LANGUAGE 6.2); 0: not known yet */
    rl_flow_t returned;    /* of the function that a call answers */
    uint32_t builtin;
    rl_sym_t symbol;
    rl_sym_t link_name;    /* HOST: looked up before `symbol`; 0 none */
    rl_fn_id_t forwarder;  /* HOST: function of the same type that calls it, for callers outside; 0: not made yet */
    rl_effect_id_t effect; /* OPERATION: whose; HANDLER: which it handles; else 0 */
    uint32_t operation; /* OPERATION: position among those of its effect; `builtin` + 1 in `root`: its root handler */
    uint32_t root;
    rl_sym_t capability;          /* host functions: 0 none */
    uint8_t required_stage;       /* @requires_capability(stage=…): 1 experimental, 2 beta, 3 stable; 0: not written */
    rl_sym_t required_capability; /* … and what it is about; 0: not known */
    rl_span_t span;               /* name in the source */
} rl_function_t;

/* --- effects (LANGUAGE 6.3) ------------------------------------------------------------------------------ */
typedef struct rl_effect {
    rl_sym_t name;
    rl_module_id_t module;
    rl_sym_t tag;               /* base tag as written ("io", "io.async"); 0: only the name counts */
    rl_fn_id_t operation_first; /* functions of kind RL_FN_OPERATION, in the order of the declaration */
    uint32_t operation_count;
    bool has_root;       /* root handlers stand in where no other is: never unhandled */
    rl_sym_t capability; /* that @requires_capability(id = …) names: performing it needs it; 0: none */
    uint8_t stage;       /* that it must at least stand at: 0 experimental, 1 beta, 2 stable */
    rl_span_t span;
} rl_effect_t;

/* A place where a handler is applied (stage.c): a HANDLE, or the CALL of a named handler. */
typedef struct rl_application {
    rl_ir_t ir;
    rl_module_id_t module;
    uint32_t start;
    rl_span_t span;
    rl_fn_id_t fn;    /* the function around it, as a reader sees it */
    rl_fn_id_t named; /* a named handler; 0: written here */
    rl_effect_id_t effect;
    rl_effects_t before, after; /* of the handled computation; of the whole */
    rl_sym_t capability;        /* that @requires_capability names; 0: none */
    int8_t stage;               /* that it asks for; -1: none */
    bool declared;              /* the HANDLE inside of a named handler: its sets say nothing, those of its calls do */
    bool open;                  /* what is left is more than the function around promises */
    bool told;                  /* a record was left */
} rl_application_t;
/* --- traits --------------------------------------------------------------------------------------------- */
typedef struct rl_trait {
    rl_sym_t name;
    rl_module_id_t module;
    rl_span_t span;
    uint32_t type_params;                        /* besides Self, which is PARAM 0 of everything in the trait */
    uint32_t method_first, method_count;         /* program.extra: function ids */
    uint32_t constraint_first, constraint_count; /* what it demands of its implementers */
    uint32_t operator_kind; /* rl_constraint_kind_t of an operator's trait: built-in types have it without an impl */
    bool is_public;
    bool takes_self;    /* a function of it takes self: the first argument of `where Tr<…>` is the implementing type */
    bool holds_for_all; /* Display, Debug: every type has it, an impl says otherwise how */
} rl_trait_t;

#define RL_IMPL_LEFT 0x40000000u /* in a head: of the left operand of an operator's trait instead of Self */
typedef struct rl_impl {
    rl_trait_id_t trait;
    rl_module_id_t module;
    rl_span_t span;       /* header */
    uint32_t type_params; /* PARAM 0 … of `args` and `methods` */
    uint32_t args;        /* program.extra: Self, the trait's arguments */
    uint32_t constraint_first, constraint_count;
    uint32_t method_first; /* program.extra: for each function of the trait this impl's, 0: the trait's own */
    rl_impl_id_t next_of_head, next_of_trait, next_of_left;
} rl_impl_t;

typedef struct rl_global {
    rl_sym_t name;
    rl_module_id_t module;
    rl_type_t type;
    uint32_t flags; /* RL_LOCAL_MUTABLE */
    rl_flow_t flow; /* of the function it holds */
    bool is_public, is_host;
    rl_span_t span;
} rl_global_t;

/* What @dsl_export says about a declaration, for the host. */
typedef struct rl_export {
    rl_module_id_t module;
    rl_sym_t name;
    rl_fn_id_t fn; /* a function; 0: the value `global` */
    rl_global_id_t global;
    rl_str_t metadata; /* JSON object */
} rl_export_t;

typedef struct rl_module {
    rl_sym_t path;         /* "A.B.C" */
    rl_fn_id_t init;       /* runs initialisers and top-level statements in order; 0: nothing to run */
    rl_str_t source, file; /* kept for positions in run-time errors (owned by the program's arena) */
    bool ambient;
    uint32_t line_first, line_count; /* program.lines: byte offset of each line start */
} rl_module_t;

/* What a name in a module means. One table for all namespaces: key (module, namespace, symbol). */
typedef enum rl_item_kind {
    RL_ITEM_NONE,
    RL_ITEM_FUNCTION,
    RL_ITEM_GLOBAL,
    RL_ITEM_TYPEDEF,
    RL_ITEM_VARIANT,
    RL_ITEM_MODULE,
    RL_ITEM_EFFECT,  /* in the name space of types */
    RL_ITEM_HANDLER, /* in that of values; id: the function that handles its parameter, see RL_FN_HANDLER */
    RL_ITEM_TRAIT
} rl_item_kind_t;
typedef struct rl_item {
    rl_module_id_t module;
    rl_sym_t name;
    uint8_t kind;
    bool is_public;
    uint32_t id;      /* function, global, typedef, module, effect, trait; VARIANT: typedef id */
    uint32_t variant; /* VARIANT: position */
    rl_span_t span;
    uint32_t next; /* next item of the same module, namespace and name (constructors of several types); 0: none */
} rl_item_t;
/* Methods: key (typedef or simple type, symbol) → function. */

enum { RL_OPERATOR_COUNT = 7, RL_OPERATOR_KINDS = (1 << RL_OPERATOR_COUNT) - 1 };
/* Types the checker and the runtime name themselves; found by name when the prelude has been checked. */
typedef struct rl_known {
    rl_typedef_id_t option, result, list, map, set, vec, table, cell, ref, range, iter, json, future, task, ordering,
        ptr, foreign_buffer;
    rl_trait_id_t operators[RL_OPERATOR_COUNT]; /* Add, Sub, Mul, Div, Rem, Pow, Neg: bit i of the constraint kinds */
    rl_fn_id_t operator_fns[RL_OPERATOR_COUNT]; /* what they do on types that have the operator built in */
    rl_trait_id_t display, debug;
    rl_fn_id_t full_text, full_debug, format_full; /* text of values of which some may have their own */
    rl_fn_id_t text_code, debug_code;              /* of closures that make the text of one value */
    rl_typedef_id_t shown_text;
    rl_sym_t names[18], simple_names[38]; /* that the checker looks for: check.c, resolve.c */
} rl_known_t;

typedef struct rl_program {
    const struct rl_program* below; /* borrowed: the prelude, or NULL while the prelude itself is made */
    /* Lends its tables and maps, all but those of symbols, types and applications, which stand on or beside its own (lend.c):
       whoever writes to them calls rl_program_own() first. NULL: they are this program's. */
    const struct rl_program* lender;
    rl_allocator_t* allocator;
    rl_arena_t arena;
    rl_symbols_t symbols;
    rl_types_t types;
    uint32_t first_typedef, first_fn, first_global, first_module, first_node, first_extra, first_field, first_variant,
        first_param, first_local, first_constraint, first_capture, first_item, first_line, first_string, first_export,
        first_effect, first_trait, first_impl, first_application;
    uint32_t first_effect_set, first_effect_tag, first_flow;
    RL_VEC(rl_typedef_t) typedefs;
    RL_VEC(rl_variant_t) variants;
    RL_VEC(rl_field_t) fields;
    RL_VEC(rl_function_t) functions;
    RL_VEC(rl_param_t) params;
    RL_VEC(rl_local_t) locals;
    RL_VEC(rl_constraint_t) constraints;
    RL_VEC(uint32_t) captures;
    RL_VEC(rl_global_t) globals;
    RL_VEC(rl_module_t) modules;
    RL_VEC(rl_item_t) items;
    RL_VEC(rl_trait_t) traits;
    RL_VEC(rl_impl_t) impls;
    RL_VEC(rl_ir_node_t) nodes;
    RL_VEC(uint32_t) extra;
    RL_VEC(uint32_t) lines;
    RL_VEC(rl_export_t) exports;
    RL_VEC(rl_effect_t) effects;
    RL_VEC(rl_application_t) applications;
    bool has_stages; /* some function requires a capability */
    RL_VEC(rl_effect_set_t) effect_sets;
    RL_VEC(uint32_t) effect_tags;
    RL_VEC(rl_flow_entry_t) flows;
    rl_map_t effect_map;      /* effect_set.c */
    RL_VEC(rl_str_t) strings; /* string and bytes constants; text in `arena` */
    rl_map_t item_map;        /* rl_map_key2(module << 3 | namespace, symbol) → item id */
    rl_map_t method_map;      /* rl_map_key2(typedef id, or 0x80000000 | simple kind, symbol) → function id */
    rl_map_t
        impl_map; /* rl_map_key2(trait, head of Self or left operand, or 0 for all) → the newest rl_impl_t of this program */
    rl_known_t known;
} rl_program_t;

void rl_program_init(rl_program_t* program, const rl_program_t* below, rl_allocator_t* allocator);
void rl_program_deinit(rl_program_t* program);

/* Remember how long every table is, and go back to it: a failed load changes nothing. */
typedef struct rl_program_mark {
    uint32_t counts[32];
} rl_program_mark_t;
rl_program_mark_t rl_program_mark(const rl_program_t* program);
uint64_t rl_program_extent(
    const rl_program_t* program); /* the same while no table but those of types and symbols grows */
void rl_program_restore(rl_program_t* program, rl_program_mark_t mark);

/*
 * One program for many (lend.c). A copy is written by nobody afterwards, so that threads may share it; what borrows it must not outlive
 * it. What `program` already has must be how `lender` begins, so that ids stay what they were: of names and types that can be seen here,
 * the rest is the caller's business.
 */
bool rl_program_copy(rl_program_t* out, const rl_program_t* from, rl_allocator_t* allocator); /* false: memory */
bool rl_program_names_begin(const rl_program_t* program, const rl_program_t* lender);
bool rl_program_borrow(rl_program_t* program, const rl_program_t* lender); /* false: memory, nothing has changed */
void rl_program_forget_lent(rl_program_t* program);                        /* its tables are empty then */
/* Make lent tables the program's own, so that they can grow. False: memory. */
bool rl_program_own_lent(rl_program_t* program);
static inline bool rl_program_own(rl_program_t* program) { return !program->lender || rl_program_own_lent(program); }

/*
 * Accessors over the stack of programs. Pointers are valid until the next push to that table. Entries of the program itself, which
 * nearly all are that are asked for, are found in line; `rl_program_NAME_below` looks in the programs below and knows what stands
 * for an id that does not exist.
 */
#define RL_PROGRAM_ACCESSORS(ACCESSOR)                                                                                 \
    ACCESSOR(typedef, rl_typedef_t, typedefs, first_typedef)                                                           \
    ACCESSOR(variant, rl_variant_t, variants, first_variant) /* id = typedef.variant_first + tag */                    \
    ACCESSOR(field, rl_field_t, fields, first_field)                                                                   \
    ACCESSOR(function, rl_function_t, functions, first_fn)                                                             \
    ACCESSOR(param, rl_param_t, params, first_param)                                                                   \
    ACCESSOR(local, rl_local_t, locals, first_local)                                                                   \
    ACCESSOR(constraint, rl_constraint_t, constraints, first_constraint)                                               \
    ACCESSOR(global, rl_global_t, globals, first_global)                                                               \
    ACCESSOR(module, rl_module_t, modules, first_module)                                                               \
    ACCESSOR(effect, rl_effect_t, effects, first_effect)                                                               \
    ACCESSOR(item, rl_item_t, items, first_item)                                                                       \
    ACCESSOR(trait, rl_trait_t, traits, first_trait)                                                                   \
    ACCESSOR(impl, rl_impl_t, impls, first_impl)                                                                       \
    ACCESSOR(effect_set, rl_effect_set_t, effect_sets, first_effect_set)                                               \
    ACCESSOR(flow, rl_flow_entry_t, flows, first_flow)                                                                 \
    ACCESSOR(node, rl_ir_node_t, nodes, first_node)                                                                    \
    ACCESSOR(extra, uint32_t, extra, first_extra)

#define ACCESSOR(name, entry, table, first)                                                                            \
    const entry* rl_program_##name##_below(const rl_program_t* program, uint32_t id);                                  \
    static inline const entry* rl_program_##name(const rl_program_t* program, uint32_t id) {                           \
        uint32_t index = id - program->first; /* wraps for those below, past every count */                            \
        return RL_LIKELY(index < program->table.count) ? &program->table.data[index]                                   \
                                                       : rl_program_##name##_below(program, id);                       \
    }
RL_PROGRAM_ACCESSORS(ACCESSOR)
#undef ACCESSOR
uint32_t rl_program_capture(const rl_program_t* program, uint32_t id);
rl_str_t rl_program_string(const rl_program_t* program, uint32_t id);
/* First item of that name, 0: none. Namespaces: 0 types, 1 values, 2 modules. */
uint32_t rl_program_find(const rl_program_t* program, rl_module_id_t module, unsigned namespace_id, rl_sym_t name);
rl_fn_id_t rl_program_find_method(const rl_program_t* program, uint32_t head, rl_sym_t name);
rl_position_t rl_program_line_of(
    const rl_program_t* program, rl_module_id_t module, uint32_t offset); /* line; column in bytes + 1 */

/* "List<Int>", "(Int, Str) -> { x: Int }": as a programmer writes it. Variables print as `_`. */
void rl_type_print(const rl_program_t* program, rl_type_t type, rl_buf_t* out);
void rl_type_param_print(uint32_t index, rl_buf_t* out); /* T, U, V, W, A, B … */

/* The typed IR of every function as readable text (reml dis, golden files). */
void rl_ir_print(const rl_program_t* program, rl_fn_id_t function, rl_buf_t* out);

#endif
