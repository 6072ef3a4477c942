/*
 * check: one parsed module in, typed IR and declarations in the program out; diagnostics of domains module, type and
 * pattern on the way (LANGUAGE 3–5). Everything else of this folder serves it.
 *
 * Must not know: registers, objects, hosts. A failed check leaves half-made entries behind: the caller takes a
 * rl_program_mark() before and restores it after.
 */
#ifndef RL_CHECK_H
#define RL_CHECK_H

#include "syntax/target.h"
#include "types/program.h"

/* A place where code reaches for something that the host may guard: a host function, or an operation of an effect. */
typedef struct rl_guarded_use {
    rl_fn_id_t function;
    rl_span_t span;
} rl_guarded_use_t;
typedef RL_VEC(rl_guarded_use_t) rl_guarded_uses_t;

/* What the host says of stages (CONTRACTS 19.2). */
typedef struct rl_stage_policy {
    void* user;
    /* The stage where capability `id` stands: 0 experimental, 1 beta, 2 stable, -1: there is none. Its descriptor, JSON, goes to
       `descriptor`. */
    int (*stage_of)(void* user, rl_str_t id, rl_buf_t* descriptor);
    bool (*opted_in)(void* user, rl_str_t id);            /* by name: enabled or granted */
    bool (*handled_by_host)(void* user, rl_str_t effect); /* does a handler of the host stand around every run? */
    bool feature;                                         /* -Zalgebraic-effects: everything here is opted in to */
    bool demanded;                                        /* experimental use without opt-in is an error */
    bool acknowledged;                                    /* errors about what is experimental are warnings */
} rl_stage_policy_t;

typedef struct rl_check_input {
    rl_tree_t* tree;       /* parsed without errors, @cfg applied; grows by the expressions inside format("…{e}…") */
    rl_str_t source, file; /* borrowed; copied into the program's arena */
    rl_program_t* program; /* grows */
    rl_diags_t* diags;     /* grows; its `source` is the same text */
    bool ambient;          /* items are visible to later modules without `use` (LANGUAGE 3.6) */
    bool deny_non_exhaustive;
    bool is_prelude;                     /* @builtin declarations are allowed */
    const rl_disabled_names_t* disabled; /* names that @cfg removed, or NULL */
    /* May @requires_capability ask for it? NULL: for every one. */
    bool (*granted)(void* host, rl_str_t capability);
    /* Does the host guard this function? Then its uses are listed. NULL: it guards none. */
    bool (*guarded)(void* host, rl_fn_id_t function);
    void* host;
    rl_guarded_uses_t* uses;
    rl_guarded_uses_t* reached;      /* all that could be guarded, for another host; NULL: nobody asks */
    const rl_stage_policy_t* stages; /* NULL: nothing is asked */
    unsigned minimum_stage;          /* 0 experimental, 1 beta, 2 stable: lower declared ones are refused */
    struct rl_telemetry* telemetry;  /* NULL: nobody asks (telemetry.h) */
} rl_check_input_t;

const char* rl_stage_name(int stage);                       /* "beta"; "unknown" for none */
void rl_capability_of_effect(rl_str_t name, rl_buf_t* out); /* ForeignCall: foreign-call */

/* False: errors were reported, or memory was short (allocator->failed). */
bool rl_check_module(const rl_check_input_t* input, rl_module_id_t* out_module);

/*
 * Register a host function: path "f" or "Host.price", signature "(sku: Str, n: Int) -> Float". It becomes an ambient
 * item that every later module sees. False: the signature was wrong (reported; spans refer to diags->source, which
 * is set
 * to the text that was parsed, kept in diags->arena) or memory was short.
 */
bool rl_check_host_function(
    rl_program_t* program, rl_diags_t* diags, rl_str_t path, rl_str_t signature, rl_fn_id_t* out_function);

/* The module of registered host functions; 0: there is none yet. */
rl_module_id_t rl_program_find_host_module(const rl_program_t* program);

/* Read a type as a host writes it: "List<Int>", "(Int, Int) -> Int". Names are those of the prelude and of ambient
   modules. */
bool rl_check_type_text(rl_program_t* program, rl_diags_t* diags, rl_str_t text, rl_type_t* out_type);

/*
 * LANGUAGE 8.11: "Module.fn", "Type.m", or a bare name in the most recently loaded module that defines it; never the
 * prelude. 0: none.
 */
rl_fn_id_t rl_program_find_function(const rl_program_t* program, rl_str_t qualified_name);
/* "Conductor.run": a function of a core type, written in Reml. 0: none. */
rl_fn_id_t rl_program_find_core_function(const rl_program_t* program, rl_str_t name);

/* The global of that name in the most recently loaded module that has one (module initialisation makes its value). */
bool rl_program_find_global(const rl_program_t* program, rl_str_t qualified_name, rl_global_id_t* out_global);

#endif
