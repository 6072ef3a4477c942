/*
 * infer: what the files of the checker share. Private to this folder.
 *
 * One rl_checker_t per rl_check_module(). The order of work is that of check.c:
 *   declare names (decl.c) → resolve type bodies (typedecl.c) → resolve signatures (decl.c)
 *   → infer per strongly connected component (check.c, expr.c and friends) → finish (finish.c).
 *
 * While bodies are checked, three things are provisional and become final in finish.c, in one pass over all nodes:
 *   - types may hold variables, and PARAMs ≥ RL_LOCAL_PARAM_BASE (type parameters of local functions);
 *   - local ids in nodes are indices into checker.locals (unique in the module), not yet numbers inside one function;
 *   - uses of local functions are reserved nodes listed in checker.local_refs: whether a local function needs a closure
 *     is known only when its body and those it calls have been seen.
 */
#ifndef RL_INFER_H
#define RL_INFER_H

#include "base/os.h"
#include "types/attribute.h"
#include "types/check.h"
#include "types/exhaust.h"
#include "types/solve.h"
#include "types/telemetry.h"
#include "types/template.h"

#define RL_NOT_CAPTURED 0xFFFFFFFFu

enum {
    RL_LOCAL_PARAM_BASE = 1 << 20,
    RL_LOCAL_IS_PARAM = 0x100, /* rl_local_t.flags while checking only */
    RL_LOCAL_RESUME = 0x200,   /* likewise: the continuation of a clause */
    RL_LOCAL_KEPT = 0x400,     /* … which is used as a value, not only called */
    RL_MOST_PARTS = 1000,
    RL_BIG_STACK_AT = 24, /* levels after which a pass continues on a big stack */
    RL_BIG_STACK_BYTES = 64 << 20
};

/* --- local names -------------------------------------------------------------------------------------------------- */
typedef struct rl_check_local {
    rl_sym_t name;
    rl_type_t type;
    uint32_t flags; /* RL_LOCAL_… */
    rl_span_t span;
    uint32_t frame;
    uint32_t outer; /* capture: the local of the frame around it; else RL_NOT_CAPTURED */
    uint32_t final;
} rl_check_local_t;

/* Name spaces of items (rl_program_find, rl_find_item). */
enum { RL_SPACE_TYPE, RL_SPACE_VALUE, RL_SPACE_MODULE, RL_SPACE_ACTIVE, RL_SPACE_EFFECT, RL_SPACE_COUNT };

typedef enum rl_binding_kind { RL_BOUND_LOCAL, RL_BOUND_LOCAL_FN } rl_binding_kind_t;
typedef struct rl_binding {
    rl_sym_t name;
    uint32_t kind, index; /* checker.locals or checker.local_fns */
    uint32_t shadowed;    /* binding of the same name below, + 1 */
} rl_binding_t;

typedef enum rl_frame_kind {
    RL_FRAME_FN,
    RL_FRAME_LAMBDA,
    RL_FRAME_DEFER,
    RL_FRAME_THUNK,
    RL_FRAME_INIT,
    RL_FRAME_DEFAULT,
    RL_FRAME_HANDLER, /* a named handler: nothing that return could leave */
    RL_FRAME_BODY,    /* handled expression: code of the frame around it, see rl_home_frame */
    RL_FRAME_CLAUSE   /* of a handler: likewise */
} rl_frame_kind_t;

/* A function whose body is being checked. Index 0 is none. */
typedef struct rl_frame {
    rl_fn_id_t fn;
    uint32_t parent;
    uint32_t merged_into; /* a thunk that turned out not to be generic: its code belongs to this frame; else 0 */
    uint8_t kind;
    bool result_known; /* declared, or expected and known: LANGUAGE 5.8 rule 1 */
    bool has_try;
    bool is_async;    /* block of a future */
    bool is_move;     /* captures current values */
    bool is_async_fn; /* its body is the block of the future it answers */
    rl_type_t result;
    uint32_t capture_head, capture_tail, capture_count; /* checker.captures, in order of first use */
    uint32_t local_fn;                                  /* checker.local_fns entry + 1 whose body this is */
    uint32_t own_params;                                /* type parameters of its own (local functions) */
    uint32_t prologue;      /* height of the scratch stack: LETs of pattern parameters lie above it */
    uint32_t handling;      /* BODY, CLAUSE: checker.handlings entry of its handle */
    uint32_t outer_returns; /* checker.returns of the frame around it end here */
} rl_frame_t;

/* A `handle` being checked, and the ways out of it from its parts. */
typedef struct rl_handling {
    uint32_t frame, token; /* where it stands; local of the token there, RL_NOT_CAPTURED: not needed so far */
    uint32_t exits;
} rl_handling_t;
typedef struct rl_exit {
    uint32_t handling, local; /* local that takes the value, RL_NOT_CAPTURED: none */
    rl_ir_t node;             /* goes on in the frame of the handle */
} rl_exit_t;

typedef struct rl_capture {
    uint32_t inner, outer; /* locals */
    uint32_t next;         /* + 1 */
} rl_capture_t;

/* A variable that an `async move` block takes with its current value: a copy in the frame around it. */
typedef struct rl_moved {
    uint32_t frame; /* of the block */
    uint32_t copy, original;
} rl_moved_t;

/* A type parameter that a local function or value was generalised over. */
typedef struct rl_local_param {
    uint32_t demands; /* of the first of a run: its demands in checker.local_demands, + 1; 0: none */
    uint32_t demand_count;
    uint32_t constraints;
    uint32_t needs; /* rl_field_need_t list of the solver */
    uint32_t final;
} rl_local_param_t;

typedef struct rl_local_fn {
    rl_fn_id_t fn;
    uint32_t frame;                    /* of its body */
    uint32_t parent;                   /* frame that defines it */
    rl_type_t type;                    /* function type; of a thunk the value's type */
    uint32_t param_first, param_count; /* checker.local_params; shared by all of its group */
    uint32_t group; /* number of the group that is still being checked, for self reference; 0 when done */
    uint32_t local; /* holds the closure when one is needed and the function is not generic */
    rl_ir_t group_node;
    bool is_thunk, is_lambda, is_generic, needs_closure;
} rl_local_fn_t;

typedef struct rl_local_ref {
    rl_ir_t node; /* reserved; word c already holds the arguments of a call */
    uint32_t local_fn, frame;
    uint32_t args; /* extra offset of its own type arguments; 0: the same as inside (recursion) */
    bool is_call;
    rl_fn_id_t default_fn; /* a call of one of its default functions instead */
} rl_local_ref_t;

/* A use of a function of the component being inferred: its type arguments are known when the component is
   generalised. */
typedef struct rl_group_ref {
    rl_ir_t node;
    rl_fn_id_t fn;
} rl_group_ref_t;

/* --- units: top-level functions, values and statements ------------------------------------------------------------ */
typedef enum rl_unit_kind { RL_UNIT_FN, RL_UNIT_VALUE, RL_UNIT_STATEMENT, RL_UNIT_DEFAULT, RL_UNIT_HUB } rl_unit_kind_t;
typedef struct rl_unit {
    rl_unit_kind_t kind;
    rl_node_t node;
    rl_fn_id_t fn;                         /* FN, and VALUE that became a function */
    rl_type_t self_type;                   /* of `impl T` and `fn T.m`: the meaning of Self and self; 0: none */
    uint32_t generic_first, generic_count; /* checker.generics_store: names of type parameters */
    uint32_t explicit_count;               /* PARAMs that it names itself */
    uint32_t opened_constraint, opened_constraint_count; /* what was written of them */
    uint32_t opened,
        opened_count; /* while its component is inferred: variables in their place (checker.scratch_types, + 1) */
    uint32_t first_global, global_count; /* VALUE */
    bool annotated;                      /* may be used before it is inferred */
    bool done, in_progress;
    rl_ir_t ir; /* VALUE, STATEMENT: what initialisation runs */
    uint32_t edge_first, edge_count;
    uint32_t index, low; /* Tarjan */
    bool on_stack;
    rl_span_t span;
} rl_unit_t;

typedef struct rl_generic_name {
    rl_sym_t name;
    rl_type_t type;
} rl_generic_name_t;

/* --- calls -------------------------------------------------------------------------------------------------------- */
typedef struct rl_arg {
    rl_node_t node; /* expression; 0 when `ir` came from elsewhere (pipe, receiver) */
    rl_ir_t ir;     /* already checked; 0: not yet */
    rl_sym_t name;  /* named argument */
    rl_span_t span, name_span;
} rl_arg_t;

/* A method call on a receiver whose type is not known yet. */
typedef struct rl_pending {
    rl_ir_t node, receiver;
    rl_sym_t name;
    uint32_t arg_first, arg_count; /* checker.pending_args */
    rl_type_t result;
    rl_span_t span, name_span;
    rl_node_t tree_node;
    uint32_t frame;
    uint16_t level;
    bool done;
} rl_pending_t;

/* --- traits ------------------------------------------------------------------------------------------------------- */
/* A trait that must be implemented for types that may not be known yet. */
typedef struct rl_demand {
    rl_trait_id_t trait;
    uint32_t first; /* checker.demand_types: Self (ERROR with any_self), arguments */
    rl_span_t span;
    uint16_t depth; /* impls that demanded it of each other */
    bool any_self, done;
    bool declared; /* a bound of a local function: its methods may be called */
} rl_demand_t;
typedef RL_VEC(uint32_t) rl_taken_demands_t;

/* A function being declared in a trait, or in an impl of one. */
typedef struct rl_trait_site {
    rl_trait_id_t trait;
    bool in_trait;
    rl_fn_id_t method;         /* impl: the trait's function of that name */
    uint32_t head_params;      /* type parameters of the trait or impl */
    uint32_t head_constraints; /* impl: those that its head demands come first among those of its functions */
    uint32_t own_params;       /* impl: those of the trait's function besides */
    const rl_type_t* map;      /* impl: what the PARAMs of the trait's function mean here */
    uint32_t map_count;
} rl_trait_site_t;

/* A signature to be compared when all functions are inferred. */
typedef struct rl_impl_check {
    rl_fn_id_t fn, method;
    rl_node_t node;
    uint32_t head_params;
    uint32_t map, map_count; /* checker.scratch_types */
} rl_impl_check_t;

typedef struct rl_loop {
    uint32_t frame;
    bool is_loop, has_break;
    rl_type_t result;
} rl_loop_t;

/* What must wait for final types. */
typedef enum rl_later_kind {
    RL_LATER_LITERAL,
    RL_LATER_MATCH,
    RL_LATER_LET,
    RL_LATER_SPEC,
    RL_LATER_JSON
} rl_later_kind_t;
typedef struct rl_later {
    rl_later_kind_t kind;
    rl_ir_t ir;
    rl_node_t node;
    rl_span_t span;
    uint32_t data;
} rl_later_t;

/* A name that every alternative of an or-pattern binds: its local is made before them. */
typedef struct rl_shared_name {
    rl_sym_t name;
    uint32_t local;
    bool seen; /* in the alternative being checked */
} rl_shared_name_t;

typedef struct rl_marked { /* a declaration with @intrinsic or @dsl_export (export.c) */
    rl_node_t attr;
    rl_fn_id_t fn; /* 0: the item `name` */
    rl_sym_t name;
    rl_span_t span; /* of what E1301 is about */
} rl_marked_t;

/* A let or var whose type was not fully known at its binding: reported there if it never is. */
typedef struct rl_let_check {
    rl_type_t type;
    rl_span_t span;
    bool is_var, is_value;
} rl_let_check_t;

/* What code promises of its effects (contract.c). */
typedef struct rl_contract {
    rl_fn_id_t fn; /* 0: a block, in `frame` */
    uint32_t frame;
    rl_span_t span;    /* all of the code */
    rl_node_t effects; /* EFFECTS, 0: none written */
    rl_list_t attrs;
    uint32_t demands; /* those of rl_attribute_set() that are about effects */
    bool is_pattern;
} rl_contract_t;

/* A handler that is applied (stage.c): by `handle`, or where a named one is declared. */
typedef struct rl_applied {
    rl_ir_t ir, body; /* HANDLE or the CALL of a named handler; what is handled */
    rl_effect_id_t effect;
    rl_fn_id_t named; /* 0: written at `handle` */
    uint32_t frame;
    bool declared; /* the HANDLE inside of a named one */
} rl_applied_t;
/* @requires_capability, and the code it stands before. */
typedef struct rl_staged {
    rl_node_t attr;
    rl_span_t span;
    int stage; /* -1: not written */
    rl_str_t id;
    bool refused; /* already: below the minimum of the context */
} rl_staged_t;

enum { RL_REGION_UNSAFE = 1u << 30, RL_REGION_USED = 1u << 29 };
typedef struct rl_region {
    rl_span_t span;
    uint32_t bits;   /* 1 << RL_ATTR_PURE, 1 << RL_ATTR_NO_PANIC, RL_REGION_UNSAFE */
    uint32_t around; /* the innermost region around it, + 1 */
    uint32_t frame;
} rl_region_t;

/*
 * Words that a function of the checker needs until it returns (arguments, types of parameters): taken and given back like a
 * stack, but they stay where they are while more are taken. rl_words() answers NULL when memory is short.
 */
typedef struct rl_words_block {
    struct rl_words_block* older;
    uint32_t used, room;
    uint32_t words[];
} rl_words_block_t;
typedef struct rl_words_mark {
    rl_words_block_t* block;
    uint32_t used;
} rl_words_mark_t;

typedef struct rl_checker {
    const rl_check_input_t* input;
    rl_program_t* program;
    rl_tree_t* tree;
    rl_types_t* types;
    rl_symbols_t* symbols;
    rl_diags_t* diags;
    rl_allocator_t* allocator;
    rl_solver_t solver;
    rl_module_id_t module;
    rl_telemetry_t* telemetry; /* NULL: nobody asks */

    uint32_t first_node, first_param, first_fn, first_global, first_local,
        first_constraint;                   /* of this module, as indices in the tables */
    uint32_t identity_args, identity_count; /* extra run PARAM 0, PARAM 1, … */
    rl_ir_t spare_node;                     /* what a refused allocation leaves its caller with */
    uint32_t depth;
    bool on_big_stack;
    bool tail;    /* set by the caller just before rl_check_expr: the node is in tail position */
    bool dropped; /* likewise: the value is not used */

    RL_VEC(uint32_t) scratch; /* children being collected; used like a stack */
    rl_words_block_t* words;  /* the newest block; see rl_words() */
    RL_VEC(rl_check_local_t) locals;
    RL_VEC(rl_binding_t) bindings;
    RL_VEC(uint32_t) innermost; /* by symbol: binding + 1 */
    RL_VEC(rl_frame_t) frames;
    uint32_t frame;
    RL_VEC(rl_capture_t) captures; /* entry 0 unused */
    rl_map_t capture_map;          /* key2(frame, outer local) → inner local */
    RL_VEC(rl_moved_t) moved;
    bool finishing; /* bodies are done: captures are those of closures */
    RL_VEC(rl_local_fn_t) local_fns;
    uint32_t group_count;
    RL_VEC(rl_handling_t) handlings;
    RL_VEC(rl_exit_t) exits;
    RL_VEC(rl_ir_t) catch_nodes; /* CATCHes: their local numbers become final at the end */
    RL_VEC(rl_local_param_t) local_params;
    RL_VEC(rl_local_ref_t) local_refs;
    RL_VEC(rl_group_ref_t) group_refs;
    RL_VEC(rl_ir_t) lambda_nodes; /* CLOSUREs of lambdas: their type arguments are those of the function around them */
    RL_VEC(rl_loop_t) loops;
    RL_VEC(rl_ir_t) returns; /* RETURN nodes of the frame that no defer stands around */
    RL_VEC(rl_ir_t) tails;   /* values in tail position, to be marked at the end */
    RL_VEC(rl_pending_t) pendings;
    RL_VEC(rl_arg_t) pending_args;
    RL_VEC(uint32_t) open_pendings; /* those that are not done */
    uint32_t polls;
    bool polling;
    RL_VEC(rl_shared_name_t) shared_names;
    RL_VEC(rl_ir_t) total_actives; /* PAT_ACTIVE of total patterns, inner ones first */
    uint32_t pattern_scope;        /* bindings of the pattern being checked begin here */
    uint16_t pattern_flags;        /* RL_LOCAL_MUTABLE: its names may be assigned */
    RL_VEC(rl_let_check_t) let_checks;
    RL_VEC(rl_marked_t) marked;
    RL_VEC(rl_later_t) later;
    RL_VEC(rl_contract_t) contracts;
    RL_VEC(rl_applied_t) applied;
    RL_VEC(rl_staged_t) staged;
    RL_VEC(rl_region_t) regions;
    RL_VEC(rl_ir_t) any_nodes; /* TO_ANY of values whose type was not known: dropped when it becomes Any */

    RL_VEC(rl_generic_name_t) generics;       /* type parameters in scope, innermost last */
    RL_VEC(rl_generic_name_t) generics_store; /* of units, put into scope again for their bodies */
    rl_type_t self_type;                      /* Self */
    uint32_t implied_generics;   /* names on top of `generics` that belong to the type a function is declared for */
    uint32_t impl_generics;      /* where the names of an impl's head begin */
    uint32_t impl_rigid;         /* first constraint of the head of the impl being declared */
    bool in_foreign;             /* declarations of extern "C" */
    bool saw_unsupported;        /* something was refused: names it would have declared are missing */
    uint8_t implicit_params;     /* 0: no, 1: one-letter names make PARAMs, 2: make variables */
    uint32_t next_param;         /* next PARAM made by implicit_params 1 */
    bool has_own_uses, own_uses; /* `use self.f`: done again when all is declared */
    rl_span_t deep_type;         /* the type last reported to nest too deep */
    bool host_eyes;              /* a type written by the host: visibility does not count */
    uint32_t owner_generics;     /* first of the names that the owner of a `fn T.m` brings, + 1; 0: none */

    RL_VEC(rl_unit_t) units;
    RL_VEC(uint32_t) edges; /* units that a unit needs, one run for each */
    rl_map_t unit_of_fn;    /* function → unit */
    rl_map_t unit_of_global;
    rl_map_t type_nodes;         /* typedef → TYPE_DECL node (this module's) */
    RL_VEC(uint8_t) type_states; /* by typedef − first: alias expansion */
    uint8_t spare_state;
    uint32_t open_aliases;
    uint32_t unit; /* being inferred */
    uint32_t init_frame;
    bool unit_is_direct;    /* code being checked runs during initialisation of `unit`, not in a function */
    rl_map_t lookup_cache;  /* key2(namespace, name) → item + 1 among ambient modules and the prelude */
    rl_map_t variant_index; /* key2(first item of a chain of constructors, typedef) → item; typedef 0: how many */
    RL_VEC(rl_module_id_t) ambient;           /* in order of look-up */
    RL_VEC(rl_constraint_t) rigid;            /* constraints of the PARAMs of the function being checked */
    RL_VEC(rl_generic_name_t) simple_aliases; /* `use Core.Text.Str as S` */
    RL_VEC(rl_sym_t) core_unavailable;        /* names bound by `use Core.Something.NotProvided` */
    RL_VEC(rl_generic_name_t) trait_nodes;    /* TRAIT node, trait */
    const rl_trait_site_t* trait_site;        /* NULL: neither in a trait nor in an impl of one */
    RL_VEC(rl_impl_id_t) own_impls;
    RL_VEC(rl_impl_check_t) impl_checks;
    RL_VEC(rl_type_t) scratch_types;
    RL_VEC(rl_demand_t) demands;
    RL_VEC(rl_type_t) demand_types;
    RL_VEC(uint32_t) open_demands, local_demands;
    uint16_t demand_depth;
    bool polling_demands, scope_traits_found;
    RL_VEC(rl_trait_id_t) scope_traits; /* those whose name this module has */
    rl_map_t scope_trait_names;         /* names of their functions */
    rl_type_t bind_self;                /* Self of the function of a trait that is instantiated next; 0: left open */
    rl_buf_t texts[4];                  /* rl_show */
    uint32_t next_text;
    rl_sym_t sym_self, sym_Self, sym_default, sym_some, sym_none, sym_ok, sym_err, sym_cons, sym_nil, sym_to_string,
        sym_clone, sym_debug, sym_to_json, sym_format, sym_print, sym_println, sym_eprintln, sym_panic, sym_todo,
        sym_unreachable, sym_assert, sym_assert_eq, sym_ensure, sym_ok_or, sym_to_result, sym_ensure_not_null, sym_core,
        sym_builtin, sym_Box, sym_not;
} rl_checker_t;

/* --- small things (check.c, scope.c) ------------------------------------------------------------------------------ */
static inline rl_ir_node_t* rl_node_at(rl_checker_t* c, rl_ir_t ir) {
    return &c->program->nodes.data[ir - c->program->first_node];
}
static inline rl_type_t rl_type_at(rl_checker_t* c, rl_ir_t ir) { return rl_program_node(c->program, ir)->type; }
static inline bool rl_failed(const rl_checker_t* c) { return c->allocator->failed; }
static inline rl_type_t rl_head(rl_checker_t* c, rl_type_t type) { return rl_solver_head(&c->solver, type); }
static inline rl_type_kind_t rl_head_kind(rl_checker_t* c, rl_type_t type) {
    return rl_type_kind(c->types, rl_head(c, type));
}
static inline rl_span_t rl_span_of(const rl_checker_t* c, rl_node_t node) { return rl_tree_span(c->tree, node); }
static inline rl_str_t rl_text(const rl_checker_t* c, rl_sym_t name) { return rl_sym_text(c->symbols, name); }

/* For telemetry: what is being checked, what it demands. */
static inline uint32_t rl_note_place(rl_checker_t* c, rl_node_t node) {
    if (RL_LIKELY(!c->telemetry)) return 0;
    uint32_t outer = c->telemetry->place;
    c->telemetry->place = node;
    return outer;
}
static inline void rl_note_constraint(rl_checker_t* c, rl_reason_t reason, rl_type_t found, rl_type_t wanted) {
    if (RL_UNLIKELY(c->telemetry != NULL)) rl_note_constraint_now(c, reason, found, wanted);
}

rl_ir_t rl_ir_make(
    rl_checker_t* c, unsigned op, rl_type_t type, uint32_t start, uint32_t a, uint32_t b, uint32_t word_c);
rl_ir_t rl_ir_error(rl_checker_t* c, uint32_t start); /* type ERROR */
rl_ir_t rl_ir_unit(rl_checker_t* c, uint32_t start);
rl_ir_t rl_ir_int(rl_checker_t* c, rl_type_t type, uint32_t start, uint64_t value);
rl_ir_t rl_ir_string(rl_checker_t* c, uint32_t start, rl_str_t text);
uint32_t rl_string_id(rl_checker_t* c, rl_str_t text);
uint32_t rl_extra_put(rl_checker_t* c, const uint32_t* words, uint32_t count); /* 0 when count is 0 */
static inline uint32_t* rl_extra_at(rl_checker_t* c, uint32_t offset) {
    return &c->program->extra.data[offset - c->program->first_extra];
}
/* [count, words…] as CALL wants it */
uint32_t rl_extra_counted(rl_checker_t* c, const uint32_t* words, uint32_t count);
rl_ir_t rl_ir_call(rl_checker_t* c, rl_type_t type, uint32_t start, rl_fn_id_t fn, uint32_t type_args,
    const rl_ir_t* args, uint32_t count);
rl_ir_t rl_ir_block(
    rl_checker_t* c, rl_type_t type, uint32_t start, const rl_ir_t* nodes, uint32_t count, uint16_t flags);

rl_type_t rl_fresh(rl_checker_t* c, rl_span_t span);
const char* rl_show(rl_checker_t* c, rl_type_t type); /* valid until the fourth next call */
bool rl_is_var(rl_checker_t* c, rl_type_t type);      /* after following bindings */
rl_var_t* rl_var_of(rl_checker_t* c, rl_type_t type); /* the open variable at its head, or NULL */
/* Is it an application of this typedef? Its first two arguments then. */
bool rl_is_named(rl_checker_t* c, rl_type_t type, rl_typedef_id_t id, rl_type_t* out_first, rl_type_t* out_second);
rl_typedef_id_t rl_named_id(rl_checker_t* c, rl_type_t type); /* 0: not a NAMED type */
rl_type_t rl_named1(rl_checker_t* c, rl_typedef_id_t id, rl_type_t a);
rl_type_t rl_named2(rl_checker_t* c, rl_typedef_id_t id, rl_type_t a, rl_type_t b);
uint32_t rl_arg_count_of(rl_checker_t* c, rl_type_t function_type); /* parameters */
void rl_unsupported(rl_checker_t* c, rl_span_t span, const char* what);
/* No type, call or pattern has more than RL_MOST_PARTS elements, fields, parameters: what has more is reported,
   false then. */
bool rl_check_sizes(rl_checker_t* c);
/* Further reports go nowhere: do not spend time on their hints. */
static inline bool rl_diags_full(const rl_checker_t* c) { return c->diags->items.count >= 100; }
void rl_report_mismatch(rl_checker_t* c, rl_code_t code, rl_span_t span, rl_type_t expected, rl_type_t found);
/* Unify and report on failure. `why` names the code for a plain mismatch. */
bool rl_unify_at(rl_checker_t* c, rl_type_t expected, rl_type_t found, rl_span_t span, rl_code_t why);
void rl_report_unify(
    rl_checker_t* c, rl_unify_result_t result, rl_type_t expected, rl_type_t found, rl_span_t span, rl_code_t why);
bool rl_require(rl_checker_t* c, rl_type_t type, uint32_t kinds, rl_span_t span);
void rl_report_constraint(rl_checker_t* c, rl_type_t type, rl_span_t span); /* of a scheme: what the solver said */
/* Nearest of the offered names within edit distance 2 of `wrong`: offer one by one. */
typedef struct rl_nearest {
    rl_str_t wrong;
    rl_sym_t best;
    unsigned distance;
} rl_nearest_t;
void rl_nearest_offer(rl_checker_t* c, rl_nearest_t* nearest, rl_sym_t name);
void rl_offer_simple_types(rl_checker_t* c, rl_nearest_t* nearest);
void rl_fix_nearest(rl_checker_t* c, rl_diag_t* diag, const rl_nearest_t* nearest, rl_span_t span);

uint32_t* rl_words_more(rl_checker_t* c, uint32_t count);
static inline uint32_t* rl_words(rl_checker_t* c, uint32_t count) {
    rl_words_block_t* block = c->words;
    if (RL_UNLIKELY(!block || block->room - block->used < count)) return rl_words_more(c, count);
    block->used += count;
    return block->words + block->used - count;
}
static inline rl_words_mark_t rl_words_mark(const rl_checker_t* c) {
    return (rl_words_mark_t){c->words, c->words ? c->words->used : 0};
}
_Static_assert(sizeof(rl_arg_t) % sizeof(uint32_t) == 0 && _Alignof(rl_arg_t) == _Alignof(uint32_t), "words");
static inline rl_arg_t* rl_arg_words(rl_checker_t* c, uint32_t count) {
    return (rl_arg_t*)(void*)rl_words(c, count * (uint32_t)(sizeof(rl_arg_t) / sizeof(uint32_t)));
}
void rl_words_drop(rl_checker_t* c, rl_words_block_t* until); /* give blocks back */
static inline void rl_words_release(rl_checker_t* c, rl_words_mark_t mark) {
    if (RL_UNLIKELY(c->words != mark.block)) rl_words_drop(c, mark.block);
    if (mark.block) mark.block->used = mark.used;
}

/* --- names (scope.c) ---------------------------------------------------------------------------------------------- */
uint32_t rl_scope_open(rl_checker_t* c);
void rl_scope_close(rl_checker_t* c, uint32_t mark);
void rl_bind(rl_checker_t* c, rl_sym_t name, rl_binding_kind_t kind, uint32_t index);
const rl_binding_t* rl_find_binding(rl_checker_t* c, rl_sym_t name); /* NULL: none */
/* First item of that name that this module can see, 0: none (private ones of ambient modules are not seen). */
uint32_t rl_find_item(rl_checker_t* c, unsigned namespace_id, rl_sym_t name);
uint32_t rl_find_type_item(rl_checker_t* c, rl_sym_t name);  /* a TYPEDEF */
uint32_t rl_find_trait_item(rl_checker_t* c, rl_sym_t name); /* a TRAIT */
uint32_t rl_find_type_in(rl_checker_t* c, rl_module_id_t module, rl_sym_t name);
uint32_t rl_find_in_module(rl_checker_t* c, rl_module_id_t module, unsigned namespace_id, rl_sym_t name);
uint32_t rl_self_item(rl_checker_t* c); /* item of the type that Self means; 0: none, or a type without item */
/* Report language.visibility.private when the item may not be used here. */
bool rl_check_visible(rl_checker_t* c, uint32_t item, rl_span_t span);
void rl_add_module_name(
    rl_checker_t* c, rl_module_id_t owner, rl_sym_t name, rl_module_id_t module); /* owner 0: by its whole path */
uint32_t rl_add_item(rl_checker_t* c, unsigned namespace_id, rl_sym_t name, rl_item_kind_t kind, uint32_t id,
    uint32_t variant, bool is_public, rl_span_t span, bool by_use); /* reports duplicates; 0 then */
/* For a name that was not found: unresolved.symbol.cfg when @cfg removed its definition, else `code`. */
rl_code_t rl_cfg_code(rl_checker_t* c, rl_sym_t name, bool member, rl_code_t code);
void rl_report_unresolved(rl_checker_t* c, rl_sym_t name, rl_span_t span, unsigned namespace_id);
rl_sym_t rl_join_names(rl_checker_t* c, rl_sym_t left, rl_sym_t right, bool intern); /* "A.b" */
rl_module_id_t rl_find_module_path(rl_checker_t* c, rl_sym_t path);                  /* UINT32_MAX: none */
void rl_declare_use(rl_checker_t* c, rl_node_t node);
#define RL_EFFECT_HIDDEN 0xFFFFFFFFu /* private to its module: reported */
rl_effect_id_t rl_find_effect(
    rl_checker_t* c, rl_list_t path, uint32_t count, rl_span_t span); /* first `count` segments; 0: none */
/* Item of that name space at the end of a path of modules; visible or not; 0: none. */
uint32_t rl_find_path_item(rl_checker_t* c, rl_list_t path, uint32_t count, unsigned space);
void rl_declare_effects(rl_checker_t* c);
/* Is it declared here, but reported as unsupported? Then nothing more is said of it. */
bool rl_is_refused_effect(const rl_checker_t* c, rl_sym_t name);
rl_fn_id_t rl_prelude_function(
    rl_checker_t* c, const char* name); /* by item name ("print_str") in the prelude; 0: none */

/* --- locals, frames, local functions (lambda.c) ------------------------------------------------------------------- */
uint32_t rl_new_local(rl_checker_t* c, rl_sym_t name, rl_type_t type, uint32_t flags, rl_span_t span);
uint32_t rl_capture_local(rl_checker_t* c, uint32_t frame, uint32_t local); /* the local that means it in `frame` */
uint32_t rl_frame_resolve(rl_checker_t* c, uint32_t frame);                 /* follows merged_into */
uint32_t rl_home_frame(
    rl_checker_t* c); /* of the function that `return` leaves here: resolved, neither BODY nor CLAUSE */
/* A jump out of `target`, which is the current frame or one around it that this one is part of. */
rl_ir_t rl_leave(rl_checker_t* c, rl_ir_op_t op, rl_ir_t value, uint32_t target, uint32_t start);
rl_ir_t rl_infer_perform(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_handle(rl_checker_t* c, rl_node_t node, rl_type_t expected);
void rl_declare_handler(rl_checker_t* c, rl_node_t node, bool is_public);
void rl_infer_handler(rl_checker_t* c, uint32_t unit);
rl_ir_t rl_read_local(rl_checker_t* c, uint32_t local, uint32_t start);
static inline bool rl_frame_is_inner(rl_frame_kind_t kind) { /* its function is nested in that of its parent */
    return kind == RL_FRAME_LAMBDA || kind == RL_FRAME_DEFER || kind == RL_FRAME_THUNK || kind == RL_FRAME_BODY ||
           kind == RL_FRAME_CLAUSE;
}
uint32_t rl_frame_push(rl_checker_t* c, rl_frame_kind_t kind, rl_fn_id_t fn); /* becomes the current one */
void rl_frame_pop(rl_checker_t* c);
rl_fn_id_t rl_new_function(rl_checker_t* c, rl_sym_t name, uint32_t flags, rl_span_t span);
rl_function_t* rl_function_at(rl_checker_t* c, rl_fn_id_t fn); /* of this program, writable */
rl_ir_t rl_check_lambda(rl_checker_t* c, rl_node_t node, rl_type_t expected);
void rl_note_lambda_effects(rl_checker_t* c, rl_fn_id_t fn, rl_node_t lambda);
rl_ir_t rl_lambda_value(rl_checker_t* c, rl_fn_id_t fn, rl_type_t type, uint32_t start);
/* Body of any function-like thing, inside its frame: checks against the frame's result, lifts (5.8), stores it in
   the function. */
void rl_check_body(rl_checker_t* c, rl_node_t body);
/* Parameters of PARAM nodes, inside the frame: locals, bindings and, for patterns, LETs collected in scratch. Types
   from annotations, else from expected[i] (0: none), else fresh. */
void rl_check_params(rl_checker_t* c, const uint32_t* params, uint32_t count, const rl_type_t* expected,
    uint32_t expected_count, rl_type_t* out_types);
void rl_check_local_fns(
    rl_checker_t* c, const uint32_t* nodes, uint32_t count, rl_ir_t* out_node); /* consecutive FN statements */
/* let name = lambda: bound as a local function; answers the statement's node */
rl_ir_t rl_check_let_lambda(rl_checker_t* c, rl_sym_t name, rl_span_t span, rl_node_t lambda, rl_type_t annotation);
rl_ir_t rl_check_let_thunk(rl_checker_t* c, rl_sym_t name, rl_span_t span, rl_node_t value, bool* out_generic);
void rl_set_params(rl_checker_t* c, rl_fn_id_t fn, const uint32_t* nodes, uint32_t count, const rl_type_t* types);
rl_ir_t rl_lift_unit(rl_checker_t* c, rl_ir_t ir, rl_type_t expected);
rl_ir_t rl_local_fn_use(
    rl_checker_t* c, uint32_t local_fn, uint32_t start, bool is_call, rl_type_t* out_type); /* reserves the node */
/* A value that might be generic, in a frame of its own. *out_fn is the function that makes it, 0 when it turned out not
   to be generic and its code belongs to the frame around it. */
rl_ir_t rl_check_maybe_generic(
    rl_checker_t* c, rl_sym_t name, rl_span_t span, rl_node_t value, rl_fn_id_t* out_fn, uint32_t* out_frame);
bool rl_is_value_node(rl_checker_t* c, rl_node_t node, bool* out_may_generalise);

/* --- generalisation (generalise.c) -------------------------------------------------------------------------------- */
/* Type parameters for every variable of `type` above `level` that may be generalised; provisional PARAMs of a
   local function. */
uint32_t rl_generalise_local(
    rl_checker_t* c, const rl_type_t* types, uint32_t count, uint16_t level, bool is_function, uint32_t* out_first);
void rl_lower_levels(rl_checker_t* c, rl_type_t type, uint16_t level);
void rl_generalise_component(rl_checker_t* c, const uint32_t* units, uint32_t count);
rl_type_t rl_instantiate_local(rl_checker_t* c, const rl_local_fn_t* fn, rl_span_t span, uint32_t* out_args);
/* Use of a function: its type at this use and the node's type arguments (b); registers group references. */
typedef struct rl_instance_use {
    rl_fn_id_t fn;
    uint32_t count;
    uint32_t type_args; /* extra offset of `count` types */
    bool in_group;
} rl_instance_use_t;
rl_instance_use_t rl_instantiate_fn(rl_checker_t* c, rl_fn_id_t fn, rl_span_t span);
rl_type_t rl_instance_type(rl_checker_t* c, const rl_instance_use_t* use, rl_type_t type); /* substituted */
void rl_instance_note(rl_checker_t* c, const rl_instance_use_t* use,
    rl_ir_t node); /* node: CALL or CLOSURE of it or of one of its defaults */
/* At the end of a declaration: what nothing fixed. At the end of the module (level 0) variables of globals too. */
void rl_default_variables(rl_checker_t* c, uint32_t first_var, uint32_t first_let, uint16_t level);
void rl_note_let(rl_checker_t* c, rl_type_t type, rl_span_t span, bool is_var, bool is_value);
rl_type_t rl_map_params(
    rl_checker_t* c, rl_type_t type, rl_type_t (*leaf)(rl_checker_t* c, void* user, uint32_t index), void* user);

/* --- types (resolve.c, typedecl.c) -------------------------------------------------------------------------------- */
rl_type_t rl_resolve_type(rl_checker_t* c, rl_node_t node);
rl_effects_t rl_resolve_effects(rl_checker_t* c, rl_node_t node); /* of an EFFECTS node; 0: none written */
void rl_push_generics(
    rl_checker_t* c, rl_list_t generics, rl_list_t where_); /* PARAMs from c->next_param on; constraints to c->rigid */
void rl_push_where(rl_checker_t* c, rl_list_t where_);
void rl_push_bounds(rl_checker_t* c, rl_type_t type, rl_list_t bounds);
rl_type_t rl_simple_type(rl_checker_t* c, rl_sym_t name); /* 0: none */
void rl_resolve_typedef(rl_checker_t* c, rl_typedef_id_t id);
rl_typedef_id_t rl_find_typedef(rl_checker_t* c, rl_list_t path, rl_span_t span, bool report);
rl_type_t rl_type_of_item(
    rl_checker_t* c, uint32_t item, const rl_type_t* args, uint32_t count, bool given, rl_span_t span);
uint32_t rl_method_head(rl_checker_t* c, rl_type_t type); /* key of method_map; 0: none */
void rl_declare_types(rl_checker_t* c);
void rl_resolve_types(rl_checker_t* c);
void rl_declare_functions(rl_checker_t* c);
bool rl_has_attr(rl_checker_t* c, rl_list_t attrs, rl_sym_t name, rl_str_t* out_text);
/* @intrinsic and @dsl_export (export.c): noted at the declaration, done when the module is. */
void rl_mark_function(rl_checker_t* c, rl_node_t node, rl_fn_id_t fn);
void rl_mark_value(rl_checker_t* c, rl_list_t attrs, rl_sym_t name, rl_span_t span);
void rl_finish_marked(rl_checker_t* c);
/* extern "C" (foreign.c): mark the function, check which types its declaration lets cross. */
void rl_check_foreign(rl_checker_t* c, rl_node_t node, rl_fn_id_t fn);
/* More arguments than parameters, for a function declared with `...`. */
rl_ir_t rl_call_varargs(
    rl_checker_t* c, rl_fn_id_t fn, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span, rl_type_t expected);
rl_fn_id_t rl_declare_fn(rl_checker_t* c, rl_node_t node, rl_type_t impl_type, bool host, bool is_public);
uint32_t rl_unit_add(rl_checker_t* c, rl_unit_kind_t kind, rl_node_t node, rl_fn_id_t fn, rl_span_t span);

/* --- expressions (expr.c and friends) ----------------------------------------------------------------------------- */
rl_ir_t rl_infer_expr(rl_checker_t* c, rl_node_t node, rl_type_t expected); /* expected: a hint, 0 none */
rl_ir_t rl_check_expr(rl_checker_t* c, rl_node_t node, rl_type_t expected, rl_code_t why); /* converted to it */
rl_ir_t rl_convert(
    rl_checker_t* c, rl_ir_t ir, rl_type_t expected, rl_span_t span, rl_code_t why); /* implicit conversions of 4.4 */
uint32_t rl_open_height(
    rl_checker_t* c, rl_type_t type); /* how deep written open records nest in it; 0: there are none */
rl_ir_t rl_convert_open(rl_checker_t* c, rl_ir_t ir, rl_type_t expected); /* the conversion has been found possible */
rl_ir_t rl_check_condition(rl_checker_t* c, rl_node_t node);
rl_ir_t rl_infer_if(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail);
rl_ir_t rl_infer_match(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail);
rl_ir_t rl_infer_loop(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_jump(rl_checker_t* c, rl_node_t node);
rl_ir_t rl_infer_block(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail, bool dropped);
/* The statements of `list`, or the one statement `single`. */
rl_ir_t rl_check_statements(rl_checker_t* c, rl_list_t list, rl_node_t single, bool discard, uint32_t start,
    rl_type_t expected, bool tail, bool dropped);
rl_ir_t rl_check_assign(rl_checker_t* c, rl_node_t node);
rl_ir_t rl_check_let(rl_checker_t* c, rl_node_t node);
rl_ir_t rl_check_annotated(
    rl_checker_t* c, rl_node_t value, rl_type_t annotation); /* the value of a binding with a written type */
void rl_check_dropped(rl_checker_t* c, rl_node_t node, rl_ir_t ir);
rl_ir_t rl_infer_spine(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail);
rl_ir_t rl_infer_name(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_function_value(rl_checker_t* c, rl_fn_id_t fn, rl_span_t span);
rl_ir_t rl_use_item(
    rl_checker_t* c, uint32_t item, rl_node_t node, rl_span_t span, rl_type_t expected); /* as a value */
rl_ir_t rl_infer_list(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_tuple(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_map(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_empty(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool dropped);
rl_ir_t rl_infer_record(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_field(rl_checker_t* c, rl_ir_t left, rl_sym_t name, rl_node_t node);
rl_ir_t rl_infer_try(rl_checker_t* c, rl_ir_t operand, rl_node_t node, bool tail);
rl_ir_t rl_infer_cast(rl_checker_t* c, rl_ir_t operand, rl_node_t node);
rl_ir_t rl_infer_binary(rl_checker_t* c, rl_ir_t left, rl_node_t node, rl_type_t expected);
rl_ir_t rl_binary(rl_checker_t* c, unsigned op, rl_ir_t left, rl_ir_t right, rl_span_t span, rl_span_t left_span,
    rl_span_t right_span, uint32_t start);
rl_ir_t rl_infer_power(rl_checker_t* c, rl_node_t node);
rl_ir_t rl_infer_unary(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_index(rl_checker_t* c, rl_ir_t left, rl_node_t node);
/* Index expression for a container of this type; its element type. Reports; false then. */
bool rl_check_index(rl_checker_t* c, rl_type_t container, rl_span_t container_span, rl_node_t index, rl_ir_t* out_index,
    rl_type_t* out_element);
rl_type_t rl_tuple_element(rl_checker_t* c, rl_type_t tuple, rl_node_t node, uint32_t index);
rl_ir_t rl_infer_range(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_literal(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool negative);
void rl_settle_literal(rl_checker_t* c, rl_type_t type); /* an open literal's type becomes Int or Float now */
rl_type_t rl_settled_type(
    rl_checker_t* c, rl_ir_t ir); /* polls waiting calls; head of its type after that and rl_settle_literal */

/* --- calls (call.c, special.c, method.c) -------------------------------------------------------------------------- */
typedef RL_VEC(rl_arg_t) rl_args_t;
/* Arguments of a CALL. Holes become `holes[i]` in order (several holes, one value in a pipe: hole_count 1). */
void rl_collect_args(rl_checker_t* c, rl_list_t list, const rl_ir_t* holes, uint32_t hole_count, rl_args_t* out);
/* The declared result meets what is expected before the arguments are checked; failure does not matter here. */
void rl_meet_expected(rl_checker_t* c, rl_type_t result, rl_type_t expected);
rl_ir_t rl_call_function(
    rl_checker_t* c, rl_fn_id_t fn, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span, rl_type_t expected);
rl_ir_t rl_call_value(rl_checker_t* c, rl_ir_t callee, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span,
    rl_type_t expected);
rl_ir_t rl_call_local_fn(rl_checker_t* c, uint32_t local_fn, rl_arg_t* args, uint32_t count, rl_node_t node,
    rl_span_t span, rl_type_t expected);
rl_ir_t rl_call_loose(rl_checker_t* c, rl_sym_t name, rl_span_t name_span, rl_arg_t* args, uint32_t count,
    rl_node_t node, rl_span_t span, rl_type_t expected);
rl_ir_t rl_call_item(
    rl_checker_t* c, uint32_t item, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span, rl_type_t expected);
rl_ir_t rl_construct(rl_checker_t* c, uint32_t item, rl_arg_t* args, uint32_t count, bool called, rl_node_t node,
    rl_span_t span, rl_type_t expected);
/* Record payload of a constructor from a record literal, defaults filled in. */
rl_ir_t rl_payload_record(rl_checker_t* c, rl_type_t type, uint32_t variant_id, rl_node_t literal, rl_span_t span);
rl_ir_t rl_make_variant(
    rl_checker_t* c, rl_type_t type, uint32_t tag, const rl_ir_t* payload, uint32_t count, uint32_t start);
/* Choose among constructors of one name; 0: reported. */
uint32_t rl_choose_variant(rl_checker_t* c, uint32_t item, rl_type_t expected, int arity, const rl_sym_t* fields,
    uint32_t field_count, rl_span_t span);
rl_ir_t rl_call_method(rl_checker_t* c, rl_ir_t receiver, rl_sym_t name, rl_span_t name_span, rl_arg_t* args,
    uint32_t count, rl_node_t node, rl_span_t span, rl_type_t expected);
rl_fn_id_t rl_find_method(rl_checker_t* c, rl_type_t head, rl_sym_t name);
void rl_poll_pendings(rl_checker_t* c);
void rl_finish_pendings(rl_checker_t* c);
bool rl_pendings_wait(rl_checker_t* c, uint32_t from);
void rl_infer_args(rl_checker_t* c, rl_arg_t* args, uint32_t count); /* without expected types */
rl_ir_t rl_hold(
    rl_checker_t* c, rl_ir_t ir, uint32_t start); /* evaluate once: hidden local bound by a BIND pushed on scratch */
rl_ir_t rl_wrap_binds(
    rl_checker_t* c, uint32_t mark, rl_ir_t value, uint32_t start); /* the BINDs on scratch from mark on, then value */
/* Functions that are part of the language: no type of the language says what they do. Found after everything else. */
typedef enum rl_special {
    RL_SPECIAL_NONE,
    RL_SPECIAL_PRINT,
    RL_SPECIAL_PRINTLN,
    RL_SPECIAL_EPRINTLN,
    RL_SPECIAL_TO_STRING,
    RL_SPECIAL_DEBUG,
    RL_SPECIAL_FORMAT,
    RL_SPECIAL_PANIC,
    RL_SPECIAL_TODO,
    RL_SPECIAL_UNREACHABLE,
    RL_SPECIAL_ASSERT,
    RL_SPECIAL_ASSERT_EQ,
    RL_SPECIAL_ENSURE,
    RL_SPECIAL_ENSURE_NOT_NULL,
    RL_SPECIAL_NOT,
    RL_SPECIAL_CONS,
    RL_SPECIAL_NIL,
    RL_SPECIAL_STR_CONCAT,
    RL_SPECIAL_BOX
} rl_special_t;
uint32_t rl_variant_tag(rl_checker_t* c, rl_typedef_id_t id, rl_sym_t name);
rl_special_t rl_find_special(rl_checker_t* c, rl_sym_t qualifier, rl_sym_t name); /* qualifier 0: a plain name */
rl_ir_t rl_call_special(rl_checker_t* c, rl_special_t special, rl_arg_t* args, uint32_t count, rl_node_t node,
    rl_span_t span, rl_type_t expected);
/* iterable.c */
rl_type_t rl_element_of_iterable(rl_checker_t* c, rl_type_t type); /* what `for` binds; 0: it cannot be walked */
/* The function that is meant by a call of an ADAPTED one; may check and convert its arguments. */
rl_fn_id_t rl_adapt_call(rl_checker_t* c, rl_fn_id_t fn, rl_arg_t* args, uint32_t count);
/* json_expr.c: values where Json is expected. ELEMENT: inside a literal, where an Any is looked at when the program runs;
   METHOD: x.to_json(), also of a type parameter. */
typedef enum rl_json_use { RL_JSON_IMPLICIT, RL_JSON_ELEMENT, RL_JSON_METHOD } rl_json_use_t;
bool rl_is_json(rl_checker_t* c, rl_type_t type);
rl_ir_t rl_to_json(rl_checker_t* c, rl_ir_t value, rl_span_t span, rl_json_use_t use);
rl_ir_t rl_check_json(rl_checker_t* c, rl_node_t node);               /* an element of a literal that becomes Json */
rl_ir_t rl_json_list(rl_checker_t* c, rl_node_t node);                /* a list literal that becomes Json.Array */
rl_ir_t rl_json_object(rl_checker_t* c, rl_ir_t map, uint32_t start); /* Map<Str, Json> → Json.Object */
bool rl_json_number(rl_checker_t* c, rl_typedef_id_t id, rl_sym_t name, rl_arg_t* arg); /* Json.Number of an integer */
void rl_check_json_later(rl_checker_t* c, const rl_later_t* later);

rl_ir_t rl_special_value(rl_checker_t* c, rl_special_t special, rl_node_t node, rl_span_t span, rl_type_t expected);
rl_ir_t rl_to_string(rl_checker_t* c, rl_ir_t value, bool debug, uint32_t start);
rl_ir_t rl_check_format(rl_checker_t* c, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span);
void rl_check_spec_later(rl_checker_t* c, const rl_later_t* later);

/* --- written type parameters (rigid.c) ---------------------------------------------------------------------------- */
void rl_open_component(rl_checker_t* c, const uint32_t* units, uint32_t count);
void rl_check_opened(rl_checker_t* c, const rl_unit_t* unit);
uint32_t rl_written_kinds(
    rl_checker_t* c, rl_type_t type); /* bounds of a local function's type parameter, before its body */
/* Names first … end-1 of checker.generics, of a local function that has been generalised; `kinds`: their bounds. */
void rl_check_written(
    rl_checker_t* c, uint32_t first, uint32_t end, const uint32_t* kinds, uint32_t local_fn, rl_span_t span);

/* --- traits (trait.c, demand.c) ----------------------------------------------------------------------------------- */
void rl_declare_trait_name(rl_checker_t* c, rl_node_t node);
void rl_declare_traits(rl_checker_t* c);
void rl_remember_core(rl_checker_t* c); /* operators and text functions of the core library */
void rl_declare_trait_impl(rl_checker_t* c, rl_node_t node);
bool rl_check_orphan(rl_checker_t* c, rl_type_t type, rl_span_t span); /* functions for a type; reports, false then */
void rl_check_impls(rl_checker_t* c);
void rl_recheck_impls(rl_checker_t* c);
bool rl_push_trait_bound(rl_checker_t* c, rl_type_t type, rl_node_t bound); /* false: no trait of that name */
void rl_imply_constraints(rl_checker_t* c);
void rl_demand(rl_checker_t* c, rl_trait_id_t trait, const rl_type_t* types, rl_span_t span, bool declared);
/* An RL_CON_TRAIT over PARAMs, its PARAMs replaced. */
void rl_demand_constraint(rl_checker_t* c, const rl_constraint_t* constraint, const rl_type_t* params, uint32_t count,
    rl_span_t span, uint16_t depth);
void rl_poll_demands(rl_checker_t* c);
void rl_finish_demands(rl_checker_t* c, uint16_t level); /* what is still open is reported */
/* Generalisation: the open demands that hold PARAMs first … end-1 are done; their numbers are appended. */
uint32_t rl_take_demands(rl_checker_t* c, uint32_t first_param, uint32_t end_param, rl_taken_demands_t* out);
rl_constraint_t rl_demand_as_constraint(rl_checker_t* c, uint32_t demand);
void rl_show_trait(rl_checker_t* c, rl_trait_id_t trait, const rl_type_t* types, rl_buf_t* out); /* types[0]: Self */
rl_fn_id_t rl_trait_function(rl_checker_t* c, rl_trait_id_t trait, rl_sym_t name);
/* Function of a trait in scope, or assumed here, that is implemented for the type. 0: none, or more than one (reported). */
rl_fn_id_t rl_find_trait_function(
    rl_checker_t* c, rl_type_t type, rl_sym_t name, bool methods, rl_span_t span, bool* out_reported);
/* Function of a trait that the code being checked is constrained by; Self where only one type can be meant. */
rl_fn_id_t rl_find_assumed_function(rl_checker_t* c, rl_sym_t name, rl_type_t* out_self);
/* Impls and assumptions of operator `index` for that left operand, and their trait; of a single one the right operand's type. */
uint32_t rl_operator_candidates(
    rl_checker_t* c, uint32_t index, rl_type_t left, rl_span_t span, rl_trait_id_t* out_trait, rl_type_t* out_right);
rl_ir_t rl_call_operator(rl_checker_t* c, rl_trait_id_t trait, rl_arg_t* args, uint32_t count, rl_span_t span);
bool rl_has_operators(void* user, rl_type_t type, uint32_t kinds); /* rl_solver_t.has_operators */

/* --- patterns (pattern.c) ----------------------------------------------------------------------------------------- */
/* Names bound go to the current scope. */
rl_ir_t rl_check_pattern(rl_checker_t* c, rl_node_t node, rl_type_t type, uint32_t flags);
/* Pattern of let, for, parameters; reports pattern.let.refutable at the end. */
bool rl_nests_deep(rl_checker_t* c, rl_node_t node); /* may it need more stack than any thread has? */
rl_ir_t rl_check_irrefutable(rl_checker_t* c, rl_node_t node, rl_type_t type, uint32_t flags);
rl_ir_t rl_check_inner_pattern(rl_checker_t* c, rl_node_t node, rl_type_t type); /* part of the pattern being checked */

/* --- active patterns (active.c) ----------------------------------------------------------------------------------- */
void rl_check_active_names(rl_checker_t* c);
void rl_check_active_result(rl_checker_t* c, rl_fn_id_t fn, rl_node_t body, bool partial);
rl_ir_t rl_check_active_pattern(rl_checker_t* c, rl_node_t node, rl_type_t type);
rl_ir_t rl_pattern_value(rl_checker_t* c, rl_type_t type, rl_span_t span, uint32_t* out_local);
void rl_settle_actives(rl_checker_t* c);

/* --- async (async.c) ---------------------------------------------------------------------------------------------- */
/* The future of a block; `result`: type of its value, 0: not known. */
rl_ir_t rl_check_async(
    rl_checker_t* c, rl_node_t block, rl_sym_t name, rl_span_t span, bool is_move, rl_type_t result, bool known);
rl_ir_t rl_infer_async(rl_checker_t* c, rl_node_t node, rl_type_t expected);
rl_ir_t rl_infer_await(rl_checker_t* c, rl_ir_t operand, rl_node_t node);
rl_type_t rl_future_of(rl_checker_t* c, rl_type_t value, rl_span_t span); /* Future<value> */

/* --- units (unit.c) */
void rl_infer_units(rl_checker_t* c);

/* --- effects (contract.c) ----------------------------------------------------------------------------------------- */
/* A function (or a block of the current frame, fn 0) with its attributes and written set. */
/* stage.c */
void rl_note_handler(rl_checker_t* c, rl_ir_t ir, rl_ir_t body, rl_effect_id_t effect, rl_fn_id_t named, bool declared);
void rl_note_stage(rl_checker_t* c, rl_node_t attr, rl_node_t node, int stage, rl_str_t id, bool refused);
/* What a diagnostic about a stage below the context's minimum says to tools. */
void rl_stage_refused(rl_checker_t* c, rl_diag_t* diag, rl_str_t id, int required, int actual);
void rl_check_stages(rl_checker_t* c); /* when latent sets are known */
/* `extensions.effects` of a diagnostic: {before, handled, residual}. */
void rl_attach_sets(rl_checker_t* c, rl_diag_t* diag, rl_effects_t before, rl_effects_t handled, rl_effects_t residual);
rl_span_t rl_span_of_ir(rl_checker_t* c, rl_ir_t ir);
rl_fn_id_t rl_reader_function(rl_checker_t* c, rl_fn_id_t fn);
void rl_note_contract(rl_checker_t* c, rl_fn_id_t fn, rl_node_t node, rl_node_t effects, rl_list_t attrs);
void rl_note_region(rl_checker_t* c, rl_span_t span, uint32_t bits);
void rl_settle_regions(rl_checker_t* c);
uint32_t rl_region_bits(const rl_checker_t* c, uint32_t offset); /* of all regions around the byte */
void rl_check_effects(rl_checker_t* c);

/* --- the end (finish.c) ------------------------------------------------------------------------------------------- */
void rl_finish_module(rl_checker_t* c);
rl_type_t rl_final_type(rl_checker_t* c, rl_type_t type);

#endif
