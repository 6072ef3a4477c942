/*
 * Inference variables: union-find with levels, constraints and origin. Unification, generalisation, zonking.
 * One solver per load; variables live as RL_TYPE_VAR nodes in the program's type table and vanish from finished IR.
 */
#ifndef RL_SOLVE_H
#define RL_SOLVE_H

#include "types/program.h"

typedef enum rl_var_class {
    RL_VAR_FREE,
    RL_VAR_INTEGER, /* from an integer literal: any integer or float type; default i64 */
    RL_VAR_FLOAT    /* from a float literal: f32/f64; default f64 */
} rl_var_class_t;

typedef enum rl_var_origin {
    RL_FROM_OTHER,
    RL_FROM_EMPTY_LIST,
    RL_FROM_EMPTY_MAP,
    RL_FROM_LITERAL,
    RL_FROM_NEVER
} rl_var_origin_t;

/* A field demanded of a type that is not known yet: `p.f` on an unannotated parameter. */
typedef struct rl_field_need {
    rl_sym_t name;
    rl_type_t type;
    rl_span_t span;
    uint32_t next; /* 1-based index in solver.needs; 0 ends */
} rl_field_need_t;

typedef struct rl_var {
    rl_type_t bound;      /* type it was solved to (maybe another variable); 0xFFFFFFFF: open */
    uint16_t level;       /* let-level at which it was made; generalisation takes those above the current level */
    uint8_t klass;        /* rl_var_class_t */
    uint8_t origin;       /* rl_var_origin_t */
    uint32_t constraints; /* set of rl_constraint_kind_t wanted of it; the two literal kinds become `klass` instead */
    uint32_t needs;       /* list of rl_field_need_t */
    rl_span_t span;       /* where it was made, for reports */
} rl_var_t;

typedef enum rl_unify_result {
    RL_UNIFY_OK,
    RL_UNIFY_MISMATCH,
    RL_UNIFY_INFINITE,  /* occurs check */
    RL_UNIFY_CONSTRAINT /* solver.failed_constraint is not met by solver.failed_type */
} rl_unify_result_t;

typedef struct rl_trail_entry {
    uint32_t var;
    rl_var_t before;
} rl_trail_entry_t;

typedef struct rl_solver {
    rl_program_t* program;
    RL_VEC(rl_var_t) vars;
    RL_VEC(rl_field_need_t) needs;
    RL_VEC(rl_trail_entry_t) trail; /* for undo: overload by expected type, call results against expectations */
    uint32_t trail_marks;           /* > 0: changes are recorded */
    uint16_t level;
    uint32_t failed_constraint;
    rl_type_t failed_type;
    rl_sym_t failed_field;
    /* What is known of the type parameters (PARAM) of the function being checked; set by infer, may be NULL (nothing is). */
    void* user;
    bool (*param_satisfies)(void* user, uint32_t param, uint32_t kinds); /* all of `kinds`; ORD stands for EQ too */
    bool (*has_operators)(void* user, rl_type_t type, uint32_t kinds);   /* impls of operators for a composed type */
    bool (*param_field)(void* user, uint32_t param, rl_sym_t field, rl_type_t* out_type);
    RL_VEC(rl_type_t) scratch; /* work lists, used as a stack */
    uint64_t unify_calls;
} rl_solver_t;

#define RL_VAR_OPEN 0xFFFFFFFFu /* rl_var_t.bound */

void rl_solver_init(rl_solver_t* solver, rl_program_t* program);
void rl_solver_deinit(rl_solver_t* solver);

rl_type_t rl_solver_fresh(rl_solver_t* solver, rl_var_class_t klass, rl_var_origin_t origin, rl_span_t span);
/* Follow bindings at the head only: the kind of the answer is what is known so far. */
rl_type_t rl_solver_head_of(rl_solver_t* solver, rl_type_t type);
static inline rl_type_t rl_solver_head(rl_solver_t* solver, rl_type_t type) {
    return rl_type_kind(&solver->program->types, type) != RL_TYPE_VAR ? type : rl_solver_head_of(solver, type);
}
/* Replace every solved variable everywhere. */
rl_type_t rl_solver_zonk(rl_solver_t* solver, rl_type_t type);

/*
 * Make equal. NEVER unifies with everything (the other side wins), so does ERROR. A named record unifies with an
 * anonymous one of the same shape (LANGUAGE 4.3); two names never. Literal classes and constraints are checked and
 * joined; field needs of a variable are discharged against the type it meets (records, named records, structs).
 * On failure the state is as before the call.
 */
rl_unify_result_t rl_unify(rl_solver_t* solver, rl_type_t a, rl_type_t b);

/* Undo: mark, then either commit or roll back everything since. Marks nest. */
uint32_t rl_solver_mark(rl_solver_t* solver);
void rl_solver_rollback(rl_solver_t* solver, uint32_t mark);
void rl_solver_commit(rl_solver_t* solver, uint32_t mark);

/* Demand constraints of a type: at once when it is known, else remembered on its variable. PARAMs answer by `param_constraints`
   of the function being checked (callback set by infer). */
rl_unify_result_t rl_solver_require(rl_solver_t* solver, rl_type_t type, uint32_t kinds, rl_span_t span);
rl_unify_result_t rl_solver_require_field(
    rl_solver_t* solver, rl_type_t type, rl_sym_t field, rl_type_t field_type, rl_span_t span);
/* Do these constraints hold for a type without variables? Structural for EQ, ORD, HASH (LANGUAGE 4.6). */
bool rl_type_satisfies(rl_program_t* program, rl_type_t type, uint32_t kinds, uint32_t* out_missing);

/* The open variable at the head of `type`, NULL when there is none; valid until the next fresh variable. Read-only. */
const rl_var_t* rl_solver_var(rl_solver_t* solver, rl_type_t type);
/* Solve an open variable without any check (generalisation: to a PARAM; defaulting of what was checked). Recorded for undo. */
bool rl_solver_bind(rl_solver_t* solver, rl_type_t variable, rl_type_t type);
/* Append the open variables of `type` to `out`, each once, in order of appearance; those in field needs come after their owner. */
typedef struct rl_type_list {
    RL_VEC(rl_type_t) items; /* memory: of the program's allocator; the caller gives it back with rl_vec_deinit */
} rl_type_list_t;
bool rl_solver_open_vars(rl_solver_t* solver, rl_type_t type, rl_type_list_t* out);
/* Type of a readable field of a known type: records, named records, structs, newtypes of such. False: it has none of that name. */
bool rl_type_find_field(rl_program_t* program, rl_type_t type, rl_sym_t field, rl_type_t* out_type);
/* Type of payload or field `field` (0 …) of variant `tag` of a NAMED type, its arguments put in. */
rl_type_t rl_type_payload(rl_program_t* program, rl_type_t named, uint32_t tag, uint32_t field);

/* Fresh instance of a scheme: PARAM first…first+count-1 replaced by fresh variables carrying the constraints. `out_arguments`
   gets the variables (count of them; those before `first` are PARAMs themselves). */
void rl_solver_instantiate(
    rl_solver_t* solver, const rl_function_t* function, uint32_t first, rl_span_t span, rl_type_t* out_arguments);

#endif
