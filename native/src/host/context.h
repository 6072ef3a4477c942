/*
 * host: the border. C hosts come in through the functions of native/include; scripts go out to host functions.
 *
 * Comes in: context ids, handles, spans. Goes out: statuses, values, audit events. This folder sees every other one.
 *
 * A host never holds an address of ours: contexts, values and functions are ids that are looked up before anything is
 * dereferenced (slots.c for contexts, handles.c for values and functions).
 */
#ifndef RL_CONTEXT_H
#define RL_CONTEXT_H

#include "audit/audit.h"
#include "base/map.h"
#include "base/utf8.h"
#include "code/emit.h"
#include "reml_async.h"
#include "reml_audit.h"
#include "reml_capability.h"
#include "reml_effects.h"
#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_profile.h"
#include "reml_value.h"
#include "syntax/target.h"
#include "types/check.h"
#include "types/solve.h"
#include "vm/vm.h"

#include <stdatomic.h>

typedef struct rl_context rl_context_t;
typedef struct rl_edition rl_edition_t; /* reload.h */

/* --- context ids (slots.c) ---------------------------------------------------------------------------------- */

/* One row of the process-wide table of contexts; never freed, so it may be looked at from any thread. */
typedef struct rl_slot {
    _Atomic uint64_t generation;  /* odd: a context lives here */
    _Atomic uint64_t thread;      /* rl_os_thread_id() of its owner */
    _Atomic uint32_t fork;        /* rl_os_fork_generation() at its creation */
    _Atomic uint32_t interrupt;   /* asked for by reml_embed_interrupt, seen at the next poll */
    _Atomic uint32_t remote;      /* releases queued by other threads (bridge.c) */
    _Atomic uint32_t completions; /* promises completed by other threads (promises.c) */
    _Atomic uint32_t running;     /* a run is in progress: the context cannot be adopted */
    struct rl_grants* grants;     /* what its scripts may use; only under rl_process_lock() */
    rl_context_t* context;        /* only for the owner thread */
} rl_slot_t;

/* The table of rows, in pages; the form of an id is told in slots.c. */
enum { RL_SLOT_PAGE_ROWS = 256, RL_SLOT_PAGES = 256, RL_SLOT_TAG = 6 };
#define RL_SLOT_GENERATION_MASK ((uint64_t)UINTPTR_MAX >> 20)
typedef struct rl_slot_page {
    rl_slot_t rows[RL_SLOT_PAGE_ROWS];
} rl_slot_page_t;
extern _Atomic(rl_slot_page_t*) rl_slot_table[RL_SLOT_PAGES];

/* A fresh row; NULL when all are taken. *out_id is what hosts hold. */
rl_slot_t* rl_slot_take(rl_context_t* context, reml_embed_context_t** out_id, uint32_t* out_serial);
uint32_t rl_slot_serial(void); /* a number that no context has had */
void rl_slot_give_back(rl_slot_t* slot);
/* The row of an id that once was given out, alive or not; NULL: never was one. */
rl_slot_t* rl_slot_find(const reml_embed_context_t* id, uint64_t* out_generation);
/* What stops this thread from using the context: STALE, FORKED, WRONG_THREAD, INVALID_HANDLE, or OK and *out. */
reml_embed_status_t rl_slot_resolve(const reml_embed_context_t* id, rl_context_t** out);

/* --- handles (handles.c) --------------------------------------------------------------------------------------- */

/* How a value was transferred to the host; what it never releases is reported by this at the end. */
typedef enum rl_origin {
    RL_ORIGIN_NONE, /* made by the host, or kept by a wrapper that answers for it */
    RL_ORIGIN_TAKEN,
    RL_ORIGIN_CALL,
    RL_ORIGIN_JOB,
    RL_ORIGIN_BORROW,   /* reml_ffi_acquire_borrowed… */
    RL_ORIGIN_TRANSFER, /* reml_ffi_acquire_transferred… */
    RL_ORIGIN_COUNT
} rl_origin_t;

typedef struct rl_handle {
    rl_word_t word;
    const rl_rtype_t* type; /* NULL: free row */
    uint32_t generation;
    uint32_t owners; /* owned by the host (saturates) */
    bool lent;       /* also held by the context: a borrowed result, an argument of a running host function */
    uint8_t origin;  /* rl_origin_t */
    bool counted;    /* of a shared cell: refs.c */
    uint32_t next_free;
} rl_handle_t;

/* A cell with counted handles (refs.c). */
typedef struct rl_cell {
    uint32_t strong, shared;
    bool exclusive, poisoned;
    uint32_t next_free; /* + 1; 0: none */
    uint64_t clones;
} rl_cell_t;
typedef struct rl_cells {
    RL_VEC(rl_cell_t) rows;
    rl_map_t by_object; /* address of the cell → row */
    uint32_t free_row;  /* + 1; 0: none */
} rl_cells_t;

/* A function of the host's: a top-level function or a closure value. */
typedef struct rl_function_entry {
    rl_proto_t* proto;    /* NULL: free row */
    rl_object_t* closure; /* for closures; NULL otherwise */
    uint32_t generation;
    uint32_t next_free;
    rl_audit_tally_t tally;
    bool scalar;           /* the direct path is possible */
    bool small;            /* fits the registers that a fiber always has: see fast_call.h */
    bool plain;            /* all parameters are Int or Float: any 64 bits are a value */
    uint32_t direct_count; /* parameters, when small; UINT32_MAX else */
} rl_function_entry_t;

/* A host function that takes the machine's words as they are (native/python): `s` and `r` are the arguments per bank, in order.
   Failing, it has raised in the vm itself (rl_vm_raise…). */
typedef rl_outcome_t (*rl_host_words_fn)(rl_context_t* context, const rl_host_site_t* site, const rl_word_t* s,
    rl_object_t* const* r, rl_word_t* result, void* user);

/* What a host function or an effect asks of the registry and of the grants (grants.c). */
typedef struct rl_guard {
    char* capability; /* owned copy of a binding's, else lent by the program; NULL: it asks for nothing */
    char* effects;    /* the same; NULL: none */
    uint32_t requirement;
    uint8_t verdict;   /* of the load that looked at it last */
    uint64_t load;     /* that one */
    uint64_t verified; /* rl_capability_generation when all was fine; 0: never */
} rl_guard_t;
typedef struct rl_effect_guard {
    rl_effect_id_t effect;
    rl_guard_t guard;
} rl_effect_guard_t;
enum { RL_FILE_GUARDS = 7 };

typedef struct rl_binding {
    rl_sym_t symbol;
    rl_host_words_fn call_words; /* instead of the next two */
    reml_host_fn call;
    reml_host_scalar_fn call_scalars;
    void* user;
    void (*destroy)(void* user);
    uint32_t running; /* calls in progress: the binding may not go meanwhile */
    rl_guard_t guard;
    rl_audit_tally_t tally;
    char* name; /* owned copy; text of the tally's symbol */
    size_t name_length;
    char* signature;        /* owned copy; NULL: the binding of a function that a module declares */
    uint32_t after_modules; /* sources that were loaded when the signature was declared */
} rl_binding_t;

/* A run that the host leaves and resumes (jobs.c). */
typedef struct rl_job {
    struct rl_run* run; /* NULL: it has ended */
    uint32_t generation, next_free;
    bool used, failed, working;
    const rl_rtype_t* type;   /* of the result */
    rl_word_t result;         /* when it has ended well: a root */
    reml_function_t function; /* zero: an entry point or a future */
    rl_sym_t entry;           /* name for the record; 0: a function or a future */
    bool is_entry;            /* modules are initialised as part of it */
    uint32_t module;          /* being initialised, + 1 */
    const rl_proto_t* proto;  /* what it has entered last; NULL: nothing yet */
} rl_job_t;

/* The host's end of a pending future (promises.c). */
typedef struct rl_promise {
    rl_object_t* future;    /* NULL: free row; a root */
    const rl_rtype_t* type; /* of its value */
    uint32_t generation, next_free;
} rl_promise_t;

typedef enum rl_module_state {
    RL_MODULE_FRESH,
    RL_MODULE_RUNNING,
    RL_MODULE_READY,
    RL_MODULE_FAILED
} rl_module_state_t;

typedef RL_VEC(rl_str_t) rl_texts_t;
/* Texts the host gave a program to see (surroundings.c). */
typedef struct rl_surroundings {
    rl_arena_t arena;
    rl_texts_t texts;   /* variables: name, value, name, value … */
    bool others_denied; /* variables: a name that is not there is refused, not unset */
} rl_surroundings_t;

/* Host pointers of a context (foreign.c). */
typedef struct rl_foreigns {
    struct rl_foreign *living, *dropped; /* transferred ones: held by an object; waiting for their release handler */
    rl_audit_tally_t lent, given, released;
} rl_foreigns_t;

/* A handler that stands around every run (effects.c). */
typedef struct rl_host_handler {
    uint32_t id;
    rl_sym_t effect, module; /* module 0: of any */
    uint32_t count;
    struct {
        rl_sym_t name;
        uint32_t binding; /* row of bindings */
    }* operations;
} rl_host_handler_t;

/* What the host says of effects (effects.c). */
typedef struct rl_effects_host {
    rl_arena_t arena;
    rl_str_t features, opted_in; /* lists */
    uint32_t flags;              /* REML_EFFECTS_… */
    RL_VEC(rl_host_handler_t) handlers;
    uint32_t last_handler;
    reml_effect_observer_t observer;
    void* observer_user;
} rl_effects_host_t;

struct rl_context {
    rl_allocator_t allocator;
    reml_embed_context_t* id;
    rl_slot_t* slot;
    uint32_t serial;      /* reml_value_t.context */
    uint32_t type_serial; /* reml_type_t.context: another one for each version of a module */
    uint32_t options;     /* REML_EMBED_OPTION_… */
    char abi_version[32];
    rl_limits_t limits;
    rl_arena_t target_arena;              /* texts of `target` */
    rl_target_config_t target;            /* what the modules to be loaded are for */
    uint32_t minimum_stage;               /* REML_EMBED_STAGE_… */
    reml_capability_registry_t* registry; /* owned reference; NULL: the process's */
    rl_effects_host_t effects;

    rl_arena_t diag_arena; /* texts of the diagnostics of the last load or run */
    rl_diags_t diagnostics;
    rl_program_t program;           /* modules: declarations and typed IR */
    struct rl_image* image;         /* that the program borrows from, or stands on (program.c); a counted reference */
    struct rl_recording* recording; /* while a program is compiled */
    rl_buf_t history;               /* what was done to the program, in order (program.c) */
    uint64_t history_extent;        /* of the program, then */
    rl_compiler_t compiler;         /* instances: bytecode */
    rl_vm_t vm;                     /* heap, registers, globals */
    rl_audit_t audit;               /* records on their way out */

    rl_edition_t* previous; /* what was in place before the last reload, for the way back; NULL: none */
    bool reloading;         /* the program in place is on trial */
    rl_object_t* carried;   /* a root: what it is to be given */
    char run_id[37];        /* of the reload that put it in place; "": none yet */
    int64_t applied_ns;     /* when that was, by the wall clock */

    RL_VEC(uint8_t) module_states; /* rl_module_state_t, by module id - program.first_module */
    uint32_t modules_ready;        /* leading modules that are READY: nothing to look at in a call */
    RL_VEC(rl_handle_t) handles;   /* row 0 unused */
    uint32_t free_handle;
    rl_cells_t cells;
    RL_VEC(rl_function_entry_t*) functions; /* row 0 unused; entries do not move: tallies are linked */
    uint32_t free_function;
    RL_VEC(rl_binding_t*) bindings;
    RL_VEC(rl_effect_guard_t) effect_guards; /* of effects that modules reached for */
    rl_guard_t file_guards[RL_FILE_GUARDS];  /* files.c: by rl_need_t */
    RL_VEC(rl_job_t*) jobs;                  /* row 0 unused */
    uint32_t free_job;
    RL_VEC(rl_promise_t) promises; /* row 0 unused */
    uint32_t free_promise;
    rl_foreigns_t foreigns;
    uint64_t failure_token; /* of the last run */
    reml_clock_fn clock, wall_clock;
    void *clock_user, *wall_clock_user;
    reml_wait_fn wait;
    void* wait_user;

    const rl_rtype_t* result_type; /* NULL: no result */
    rl_word_t result;
    reml_value_t result_handle; /* lent to the host by result_borrow; NONE */
    reml_ffi_bridge_metrics_t metrics;

    bool direct;     /* calls may go the direct way: see fast_call.h */
    uint32_t depth;  /* runs in progress, nested ones included */
    uint32_t frozen; /* words are being made or read without roots: nothing may run, collect or be freed meanwhile */
    bool loaded;
    uint64_t loads; /* attempts */
    rl_buf_t error; /* reml_last_error */
    bool has_error;
    rl_code_t error_code;  /* when has_error */
    bool logs_cfg;         /* REML_EMBED_TARGET_LOG_CFG */
    rl_buf_t cfg_log;      /* members of a JSON list: what @cfg asked during the last load */
    rl_buf_t constraints;  /* constraint graph of the last load, if it was asked for */
    rl_buf_t lent_text;    /* results' text and type, diagnostics' JSON and text */
    rl_buf_t host_failure; /* reml_host_fail */
    bool has_host_failure;

    rl_surroundings_t arguments, variables;
    reml_output_fn output;
    void* output_user;
    reml_input_fn input;
    void* input_user;
    reml_poll_fn poll;
    void* poll_user;
    struct rl_profile *profile, *profiling; /* what has been gathered; the same while it is on, else NULL */
    reml_audit_sink_t audit_sink;
    void* audit_sink_user;
    reml_audit_destroy_t audit_sink_destroy;
    void* user;
    struct rl_context* next_living; /* process.c: for the process snapshot of counters */
    struct rl_context* previous_living;
};

/* --- errors (errors.c) --------------------------------------------------------------------------------------- */
void rl_context_clear_error(rl_context_t* context);
/* Set reml_last_error; answers `status` so that callers can return it. Survives a lack of memory with a shorter text. */
reml_embed_status_t rl_context_fail(
    rl_context_t* context, reml_embed_status_t status, rl_code_t code, const char* format, ...) RL_PRINTF(4, 5);
/* Memory was refused: NO_MEMORY, with its text; the allocator is usable again. */
reml_embed_status_t rl_context_no_memory(rl_context_t* context);
/* Text of the first error diagnostic, "line:col: code: message", or of the VM's failure "code: message". */
reml_embed_status_t rl_context_fail_from_diagnostics(rl_context_t* context);
reml_embed_status_t rl_context_fail_from_vm(rl_context_t* context);
reml_embed_status_t rl_status_of_code(rl_code_t code);
reml_embed_status_t rl_status_of_audit(rl_audit_result_t result);

/* --- versions of modules (reload.c) -------------------------------------------------------------------------- */
void rl_context_connect(rl_context_t* context);      /* the vm in place to the host (embed.c) */
void rl_context_apply_limits(rl_context_t* context); /* those of the context to what is in place (embed.c) */
void rl_reload_deinit(rl_context_t* context);        /* the version before goes */
/* What may not be done while a module is replaced; answers BUSY. */
reml_embed_status_t rl_reload_refuse(rl_context_t* context);

/* --- top-level values (globals.c) ------------------------------------------------------------------------------ */
/* The first `let name: T` of an extern "host" behind `after` (0: of all). */
bool rl_host_global(rl_context_t* context, rl_str_t name, rl_global_id_t after, rl_global_id_t* out);
void rl_host_store_global(rl_context_t* context, rl_global_id_t id, const rl_rtype_t* type, rl_word_t word);

/* --- shared cells (refs.c) ---------------------------------------------------------------------------------------- */
void rl_cell_leave(rl_context_t* context, rl_handle_t* handle); /* a counted handle goes */
void rl_cells_deinit(rl_context_t* context);

/* --- what modules are loaded for (target.c) ------------------------------------------------------------------- */
/* INVALID_ARGUMENT or NO_MEMORY: nothing is set; rl_context_deinit_target() is fine in any case. */
reml_embed_status_t rl_context_init_target(rl_context_t* context, const reml_embed_options_t* options);
void rl_context_deinit_target(rl_context_t* context);
/* What answers @cfg of the module that is being loaded; the log of the one before is empty. */
rl_cfg_t rl_context_cfg(rl_context_t* context);

/* --- what scripts may use (grants.c) -------------------------------------------------------------------------------- */
/* Make the grants of a new context, which has its slot. INVALID_ARGUMENT, NO_MEMORY. */
reml_embed_status_t rl_grants_init(rl_context_t* context, const reml_embed_options_t* options);
void rl_grants_deinit(rl_context_t* context, bool forked);
/* Callbacks of the checker; their host is the context. */
bool rl_grants_by_name(rl_context_t* context, rl_str_t id); /* not only because all are */
bool rl_grants_attribute(void* context, rl_str_t capability);
bool rl_grants_guarded(void* context, rl_fn_id_t function);
/* Report the uses that are refused, and leave a record for each guard that was looked at. */
void rl_grants_check_uses(rl_context_t* context, const rl_guarded_uses_t* uses);
/* The slow half of a call: something has changed since the guard was verified. RL_DONE, or a panic that has been recorded. */
rl_outcome_t rl_grants_check_call(rl_context_t* context, rl_guard_t* guard, rl_str_t name);
void rl_grants_forget(rl_context_t* context); /* the guards of effects that a failed load had declared */
/* The same for those that answer a refusal themselves: PARK, and `why`. It has been recorded under the code of its reason. */
rl_outcome_t rl_grants_ask(rl_context_t* context, rl_guard_t* guard, rl_str_t name, char why[256]);
bool rl_grants_may_perform(void* context, rl_effect_id_t effect); /* the vm's question */
/* Copies of texts that were found valid; false: memory, and nothing is owned. */
bool rl_guard_copy(rl_context_t* context, const reml_host_function_t* from, rl_guard_t* out);
void rl_guard_deinit(rl_context_t* context, rl_guard_t* guard);
/* The binding that calls of a function of the program go to; UINT32_MAX: none. */
uint32_t rl_host_binding_of(const rl_context_t* context, rl_fn_id_t function);

/* --- effects (effects.c) ---------------------------------------------------------------------------------------- */
void rl_effects_init(rl_context_t* context);
void rl_effects_deinit(rl_context_t* context);
void rl_effects_connect(rl_context_t* context);
bool rl_effects_opted_in(rl_context_t* context, rl_str_t id); /* by -Z, or by the list of ids */
rl_stage_policy_t rl_context_stages(rl_context_t* context);   /* for the checker */
/* Do the host's handlers answer the operations of the effects that the module declares? Else it is reported. */
bool rl_host_handlers_fit(rl_context_t* context, rl_module_id_t module);
void rl_effects_record_uses(rl_context_t* context);   /* after a load: of experimental things nobody has opted in to */
void rl_context_watch_effects(rl_context_t* context); /* the observer or the audit policy has changed */
void rl_host_site_bind(rl_context_t* context, rl_host_site_t* site, uint32_t binding);
uint32_t rl_host_binding(rl_context_t* context, rl_str_t name); /* row of bindings, UINT32_MAX: not bound */

/* --- the run (pipeline.c) ---------------------------------------------------------------------------------------- */
reml_embed_status_t rl_pipeline_load(rl_context_t* context, const reml_embed_source_t* source);
/* Initialise modules that have not been; OK, or the failure of the first that fails. */
reml_embed_status_t rl_pipeline_initialise(rl_context_t* context);
/* Compile an entry of the program for the host. */
rl_proto_t* rl_pipeline_instance(
    rl_context_t* context, rl_fn_id_t function, const rl_type_t* arguments, uint32_t count, bool as_value);
/* Ready to run without arguments; NULL and *out_status (runtime.entry.arity, limits, memory) when it cannot be. */
rl_proto_t* rl_pipeline_entry(rl_context_t* context, rl_fn_id_t function, reml_embed_status_t* out_status);
/* Before and after each outermost or nested run. */
reml_embed_status_t rl_run_begin(rl_context_t* context);
/* The same for an entry the host names: its name is text, and a module is there. */
reml_embed_status_t rl_run_begin_entry(rl_context_t* context, rl_str_t name);
/* The outermost run has its result (of this bank) or vm.failure: what it leaves behind is abandoned, before either is read. */
static inline void rl_run_settle(rl_context_t* context, rl_word_t result, bool is_ref) {
    if (context->depth == 1) rl_vm_end_run(&context->vm, result, is_ref);
}
void rl_run_end(rl_context_t* context);
/* Around conversions that may run foreign code (native/python): runs, collections, loads and disposal answer BUSY meanwhile. */
void rl_context_freeze(rl_context_t* context);
void rl_context_thaw(rl_context_t* context);

/* --- profiles (profile.c) ----------------------------------------------------------------------------------------- */
/* What runs outermost is this code from now on (NULL: not known yet), until rl_profile_end. */
void rl_profile_begin(rl_context_t* context, const rl_proto_t* entry);
void rl_profile_end(rl_context_t* context);
void rl_profile_deinit(rl_context_t* context);
void rl_profile_follow(rl_context_t* context);      /* another machine is in place, connected as without a profile */
void rl_profile_forget_code(rl_context_t* context); /* some has gone: addresses may be those of other code soon */

/* --- values ---------------------------------------------------------------------------------------------------------- */
reml_kind_t rl_kind_of(const rl_rtype_t* type);
static inline bool rl_type_is_future(const rl_rtype_t* type) {
    return type->kind == RL_TYPE_NAMED && type->builtin == RL_BUILTIN_FUTURE;
}
bool rl_type_is_scalar(const rl_rtype_t* type); /* crosses in reml_scalar_t / without a handle */
/* Is this payload one of the type's values? Bool 0/1, Char a scalar value, sized integers in range. */
bool rl_scalar_fits(const rl_rtype_t* type, reml_scalar_t scalar);
/* A value for the host: scalars as they are, everything else a handle with one owner (or lent). Kind NONE: memory. */
reml_value_t rl_value_out(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, bool lent);
/* A word of `type` from a host's value; path names the place in errors ("argument 2"). */
reml_embed_status_t rl_value_in(
    rl_context_t* context, const rl_rtype_t* type, reml_value_t value, const char* path, size_t index, rl_word_t* out);
/* True: memory was short at the first attempt and a collection has made room: convert everything again. */
bool rl_values_retry(rl_context_t* context, reml_embed_status_t status, unsigned attempt);
/* Display text of a word, charged like a run. */
reml_embed_status_t rl_value_display(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, rl_buf_t* out);
/* Copy a finished text for the host (reml_embed_free) and give the buffer up. */
reml_embed_status_t rl_hand_over(rl_context_t* context, rl_buf_t* text, char** out_text, size_t* out_length);
/* The live row of a handle of this context; STALE, WRONG_CONTEXT, INVALID_HANDLE otherwise. */
reml_embed_status_t rl_handle_find(rl_context_t* context, reml_value_t value, rl_handle_t** out);
/* The same for a function of the public interface: a refusal is an ownership violation of `symbol`, and recorded. */
reml_embed_status_t rl_handle_use(rl_context_t* context, reml_value_t value, const char* symbol, rl_handle_t** out);
/* Of a value that is alive: how the host got it. */
static inline void rl_handle_came_from(rl_context_t* context, reml_value_t value, rl_origin_t origin) {
    if (value.context) context->handles.data[(uint32_t)value.bits].origin = (uint8_t)origin;
}
/* At the end of a context: tell what was transferred and never released. */
void rl_handles_report_leaks(rl_context_t* context);
reml_value_t rl_handle_new(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, bool lent);
void rl_handle_end_loan(rl_context_t* context, reml_value_t value);
void rl_handles_deinit(rl_context_t* context);
void rl_context_mark_roots(rl_heap_t* heap, void* context);
void rl_result_drop(rl_context_t* context);

/* Run a function whose parameters lie in their banks; counts and records the crossing. */
reml_embed_status_t rl_function_call_words(
    rl_context_t* context, rl_function_entry_t* entry, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result);
enum { RL_MOST_ARGUMENTS = 64 };
/* Arguments of the host into the two banks. */
reml_embed_status_t rl_function_convert(rl_context_t* context, const rl_function_entry_t* entry,
    const reml_value_t* arguments, size_t count, rl_word_t* s, rl_object_t** r);
/* Count a call of a function and leave its record by the policy. */
void rl_function_crossed(rl_context_t* context, rl_function_entry_t* entry, reml_embed_status_t status);
/* The living entry of a function handle, or NULL: rl_function_find_entry says why. */
static inline rl_function_entry_t* rl_function_here(const rl_context_t* context, reml_function_t function) {
    uint32_t row = (uint32_t)function.id;
    if (RL_UNLIKELY((uint32_t)function.context != context->serial || row == 0 || row >= context->functions.count))
        return NULL;
    rl_function_entry_t* entry = context->functions.data[row];
    return RL_LIKELY(entry->proto && entry->generation == (uint32_t)(function.id >> 32)) ? entry : NULL;
}
reml_embed_status_t rl_function_find_entry(rl_context_t* context, reml_function_t function, rl_function_entry_t** out);
/* The entry calls this code from now on; its generation and tally stay. */
void rl_function_fill(rl_function_entry_t* entry, rl_proto_t* proto, rl_object_t* closure);
void rl_function_free(rl_context_t* context, uint32_t row); /* handles of it are stale */
void rl_handle_free(rl_context_t* context, uint32_t row);   /* the same for a value */
void rl_functions_deinit(rl_context_t* context);

/* The VM's way to host functions (host_functions.c). */
rl_outcome_t rl_host_call(
    void* host, rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result);
void rl_bindings_deinit(rl_context_t* context);
/* reml_host_define for a function of words. */
reml_embed_status_t rl_host_define_words(
    rl_context_t* context, const reml_host_function_t* function, rl_host_words_fn call);

/* Host pointers (foreign.c). */
void rl_host_object_dropped(void* user, rl_object_t* object);
void rl_foreign_violation(void* host, const char* symbol, const char* reason);
void rl_foreign_settle_slow(rl_context_t* context);
/* Run the release handlers of what scripts have dropped. */
static inline void rl_foreign_settle(rl_context_t* context) {
    if (RL_UNLIKELY(context->foreigns.dropped != NULL)) rl_foreign_settle_slow(context);
}
void rl_foreign_release_all(rl_context_t* context); /* the context goes: those of the living, too */
void rl_foreign_detach(rl_context_t* context);      /* its tallies from the log */
void rl_foreign_deinit(rl_context_t* context);      /* after the heap */
/* The row of CONTRACTS 2.6 for a host object that was answered; *out_ownership is kept when it is declared. */
void rl_foreign_row(const rl_object_t* object, rl_audit_ownership_t* out_ownership, rl_audit_return_t* out_result);
bool rl_foreign_keeps(const rl_object_t* object, rl_audit_ownership_t declared); /* false: another one was declared */
/* A type of the host's that opaque values may be of (values.c). */
reml_embed_status_t rl_type_of_host(rl_context_t* context, reml_type_t id, const rl_rtype_t** out);

void rl_files_connect(rl_context_t* context); /* the vm's way to capabilities and the log (files.c) */

/* Env (surroundings.c). */
void rl_surroundings_init(rl_context_t* context, rl_surroundings_t* surroundings);
void rl_surroundings_deinit(rl_context_t* context, rl_surroundings_t* surroundings);
rl_environment_t rl_host_environment(void* host, rl_str_t name, rl_str_t* out_value);
bool rl_host_argument(void* host, size_t index, rl_str_t* out);

/* Jobs and promises: jobs.c, promises.c. */
/* A run has begun and modules are initialised: make a job for this code; a failure ends the run. Then either give it its
   arguments and work on it, or cancel it: both end the run. */
reml_embed_status_t rl_job_prepare(rl_context_t* context, const rl_proto_t* proto, reml_function_t function,
    const rl_rtype_t* type, uint32_t* out_row);
reml_embed_status_t rl_job_go(
    rl_context_t* context, uint32_t row, const rl_word_t* s, rl_object_t* const* r, reml_job_t* out);
void rl_job_cancel(rl_context_t* context, uint32_t row);
/* Result of a job that has ended well: its type, NULL and *out_status else. */
const rl_rtype_t* rl_job_value(
    rl_context_t* context, reml_job_t job, rl_word_t* out_word, reml_embed_status_t* out_status);
const rl_rtype_t* rl_promise_type(rl_context_t* context, reml_promise_t promise, reml_embed_status_t* out_status);
const rl_rtype_t* rl_task_result(rl_context_t* context, rl_type_t value); /* Result<value, AsyncError>; NULL: memory */
void rl_promise_settle(rl_context_t* context, reml_promise_t promise, rl_word_t word);
void rl_async_connect(rl_context_t* context); /* the vm's way to the host's clock and to what other threads complete */
void rl_async_mark_roots(rl_heap_t* heap, rl_context_t* context);
void rl_jobs_deinit(rl_context_t* context); /* before the vm goes: their runs are the vm's */
void rl_promises_deinit(rl_context_t* context);
void rl_promises_forget(rl_context_t* context); /* all of them: their futures go */
bool rl_promises_pending(const rl_context_t* context);
void rl_take_completions(void* context);

/* Count a crossing and leave its record (bridge.c). */
typedef struct rl_crossing {
    rl_str_t symbol;
    rl_audit_tally_t* tally; /* policy summary counts here; NULL: always a record of its own */
    bool ok;
    rl_audit_ownership_t ownership;
    rl_audit_return_t result;
    const char* error_code;
    rl_str_t error_message;
} rl_crossing_t;
void rl_bridge_crossing(rl_context_t* context, const rl_crossing_t* crossing);
reml_embed_status_t rl_bridge_violation(
    rl_context_t* context, const char* symbol, reml_embed_status_t status, const char* what);
/* `count` values were never released: status leak. */
void rl_bridge_leak(rl_context_t* context, const char* symbol, uint64_t count);
/* A call on a context that is not there: what it was answers; a call after the end is recorded in the process's log. */
reml_embed_status_t rl_entry_refused(reml_embed_status_t status, const char* symbol);
/* A release by a thread that does not own the context (a finaliser) waits here until the owner's next call. */
bool rl_release_from_other_thread(const reml_embed_context_t* id, reml_value_t value);
void rl_take_remote_releases(rl_context_t* context);

/* --- process-wide facts (process.c), each with its reason there ------------------------------------------------------- */
const rl_program_t* rl_process_prelude(void); /* made once; NULL: memory */
void rl_process_lock(void);
void rl_process_unlock(void);
rl_audit_t* rl_process_audit(void); /* only while locked; NULL: memory */
void rl_process_register(rl_context_t* context);
void rl_process_retire(rl_context_t* context);
void rl_process_count(bool success); /* a bridge call of no context */
/* A use of a context after its end: counted, and recorded in the process's own log. */
void rl_process_violation(const char* symbol, const char* what);
void rl_process_create_error(const char* format, ...) RL_PRINTF(1, 2); /* thread-local; empty clears */

/* The audit record of a lifecycle call; context NULL: to the process's own log. */
void rl_lifecycle_record(rl_context_t* context, rl_audit_function_t function, reml_embed_status_t status,
    const char* abi_version, rl_str_t entrypoint, uint64_t source_bytes);

/* Copy a struct that may be older (shorter) or newer (longer, zero behind) than ours; false when it cannot be read. */
bool rl_copy_versioned(void* ours, size_t our_size, const void* theirs, uint32_t their_size);
reml_embed_status_t rl_copy_out(const rl_buf_t* text, char** out_text, size_t* out_length); /* for reml_embed_free */

/* The context of an id that this thread may use now, or NULL: rl_slot_resolve says why. */
static inline rl_context_t* rl_slot_here(const reml_embed_context_t* id) {
    uint64_t bits = (uint64_t)(uintptr_t)id;
    uint32_t row = (uint32_t)(bits >> 4) & 0xFFFF;
    if (RL_UNLIKELY((bits & 15) != RL_SLOT_TAG)) return NULL;
    rl_slot_page_t* page = atomic_load_explicit(&rl_slot_table[row / RL_SLOT_PAGE_ROWS], memory_order_acquire);
    if (RL_UNLIKELY(!page)) return NULL;
    rl_slot_t* slot = &page->rows[row % RL_SLOT_PAGE_ROWS];
    uint64_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire) & RL_SLOT_GENERATION_MASK;
    bool mine = generation == bits >> 20 && (generation & 1) &&
                atomic_load_explicit(&slot->fork, memory_order_relaxed) == rl_os_fork_generation() &&
                atomic_load_explicit(&slot->thread, memory_order_relaxed) == rl_os_thread_id();
    return RL_LIKELY(mine) ? slot->context : NULL;
}

/* Entry of every public function on a context. */
#define RL_ENTER(id, context) RL_ENTER_AS(id, context, __func__)
#define RL_ENTER_AS(id, context, symbol)                                                                               \
    rl_context_t* context = rl_slot_here(id);                                                                          \
    do {                                                                                                               \
        if (RL_LIKELY(context != NULL)) break;                                                                         \
        reml_embed_status_t rl_enter_status = rl_slot_resolve((id), &(context));                                       \
        if (RL_UNLIKELY(rl_enter_status != REML_EMBED_STATUS_OK)) return rl_entry_refused(rl_enter_status, (symbol));  \
    } while (0)

#endif
