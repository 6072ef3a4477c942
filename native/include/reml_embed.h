/*
 * reml_embed.h: run Reml programs inside a C program. (Runtime guide §1.8; contract reference §1.)
 *
 *     reml_embed_context_t* context = NULL;
 *     reml_create_context("0.1.0", &context);
 *     reml_load_module(context, source, source_length);
 *     reml_run(context, "main");
 *     reml_dispose_context(context);
 *
 * Lifetime.   A context is owned by whoever created it and lives until reml_dispose_context. What it lends (texts, borrowed
 *             results) is valid until the next call on that context, unless a declaration says otherwise.
 * Threads.    A context belongs to the thread that created it; from another thread every call answers WRONG_THREAD until
 *             that thread adopts it (reml_embed_adopt). Contexts are independent of each other and run in parallel.
 * Forks.      In a forked child, inherited contexts answer FORKED; only disposing them is possible.
 * Misuse.     A context is an id, not an address: NULL, disposed, invented or foreign ones are refused with a status.
 * Failure.    Every function answers a status; texts are behind reml_last_error. Out-parameters are set on failure too.
 *             The library never exits, prints, or unwinds through the host.
 * Audit.      Every call of the five functions but reml_last_error leaves one record (reml_audit.h).
 *
 * Words used everywhere:  owned, borrowed (until when), transferred (released by which call).
 */
#ifndef REML_EMBED_H
#define REML_EMBED_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define REML_API __declspec(dllexport)
#elif defined(__GNUC__) || defined(__clang__)
#define REML_API __attribute__((visibility("default")))
#else
#define REML_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface. A context can be asked for by any version that is not newer and has the same major (and, for
   major 0, the same minor). */
#define REML_EMBED_ABI_VERSION "0.1.0"
#define REML_EMBED_ABI_MAJOR   0
#define REML_EMBED_ABI_MINOR   1
#define REML_EMBED_ABI_PATCH   0

/* Append-only; callers must accept values they do not know. */
typedef enum reml_embed_status_t {
    REML_EMBED_STATUS_OK = 0,
    REML_EMBED_STATUS_ERROR = 1,
    REML_EMBED_STATUS_ABI_MISMATCH = 2,
    REML_EMBED_STATUS_UNSUPPORTED_TARGET = 3,
    REML_EMBED_STATUS_INVALID_ARGUMENT = 4,
    REML_EMBED_STATUS_NO_MEMORY = 5,
    REML_EMBED_STATUS_INVALID_HANDLE = 6, /* no such context, function or value, and never was one */
    REML_EMBED_STATUS_WRONG_CONTEXT = 7,  /* belongs to another context */
    REML_EMBED_STATUS_STALE = 8,          /* released, transferred or disposed before */
    REML_EMBED_STATUS_BUSY = 9,           /* not while the context is running */
    REML_EMBED_STATUS_WRONG_THREAD = 10,
    REML_EMBED_STATUS_FORKED = 11,
    REML_EMBED_STATUS_DENIED = 12,
    REML_EMBED_STATUS_AUDIT_UNAVAILABLE = 13,
    REML_EMBED_STATUS_PENDING = 14,
    REML_EMBED_STATUS_LIMIT = 15
} reml_embed_status_t;

/* Opaque; encodes an id. Never dereferenced. */
typedef struct reml_embed_context_t reml_embed_context_t;

/* Text or bytes: pointer and length, not NUL-terminated unless said. */
typedef struct reml_span_t {
    void* data;
    size_t length;
} reml_span_t;

/* --- the guide's five functions ------------------------------------------------------------------------- */

/*
 * Make a context for the interface version `abi_version` ("0.1.0").
 *
 * owned:  *out_context, until reml_dispose_context.
 * fails:  INVALID_ARGUMENT for NULL or non-UTF-8 arguments; ABI_MISMATCH; UNSUPPORTED_TARGET (also forced by the environment
 *         variable REML_EMBED_FORCE_UNSUPPORTED=1); NO_MEMORY; AUDIT_UNAVAILABLE when REML_EMBED_AUDIT_PATH cannot be opened.
 *         *out_context is NULL then and the reason is behind reml_embed_last_create_error().
 */
REML_API reml_embed_status_t reml_create_context(const char* abi_version, reml_embed_context_t** out_context);

/*
 * Check and compile a module (UTF-8, `length` bytes, need not end in NUL) and add it to the context. Loading runs nothing.
 * The source is copied. On failure nothing has changed; diagnostics tell all that is wrong.
 *
 * fails:  INVALID_ARGUMENT "source is empty"; ERROR for anything wrong in the source; BUSY while running; LIMIT, NO_MEMORY.
 */
REML_API reml_embed_status_t reml_load_module(
    reml_embed_context_t* context, const unsigned char* source, size_t length);

/*
 * Run a top-level function that needs no parameters: "main" (also for NULL), "total", "Billing.total". The empty name runs
 * module initialisation only. The result stays in the context: see reml_embed_result_*.
 *
 * fails:  ERROR (nothing loaded, unknown entry point, panic), LIMIT, DENIED, AUDIT_UNAVAILABLE, NO_MEMORY. The context stays usable.
 */
REML_API reml_embed_status_t reml_run(reml_embed_context_t* context, const char* entrypoint);

/* Free everything. Values, functions and texts of the context become stale. BUSY while it runs. */
REML_API reml_embed_status_t reml_dispose_context(reml_embed_context_t* context);

/* What went wrong in the last call. borrowed: until the next call on the context. NULL: nothing, or no such context. */
REML_API const char* reml_last_error(const reml_embed_context_t* context);

/* --- facts ------------------------------------------------------------------------------------------------ */

REML_API const char* reml_embed_abi_version(void);     /* "0.1.0"; static */
REML_API const char* reml_embed_version(void);         /* of the library; static */
REML_API const char* reml_embed_unicode_version(void); /* of its tables; static */
REML_API const char* reml_embed_status_label(
    reml_embed_status_t status); /* "ok", "abi_mismatch" …, "unknown"; static */
/* Text of this thread's last failed create, NULL if none. borrowed: until this thread's next create. */
REML_API const char* reml_embed_last_create_error(void);

/* --- creating with options ---------------------------------------------------------------------------------- */

/*
 * Structs that may grow begin with struct_size, set by the initialiser, and flags, unknown ones of which are refused. The
 * library copies them; a shorter struct means defaults for the rest, a longer one must be zero behind what we know.
 */

/* Like realloc with the old size given; new_size 0 frees and answers NULL. Must not call into the context. */
typedef void* (*reml_resize_fn)(void* block, size_t old_size, size_t new_size, void* user);

typedef struct reml_embed_limits_t {
    uint32_t struct_size;
    uint32_t flags;        /* 0 */
    uint64_t fuel;         /* instructions per outermost run */
    uint64_t heap_bytes;   /* all memory of the context */
    uint64_t deadline_ms;  /* wall clock of a run; 0: none */
    uint64_t call_depth;   /* frames */
    uint64_t string_bytes; /* one string or bytes value */
    uint64_t output_bytes; /* printed per run */
    uint64_t source_bytes; /* one source */
    uint64_t nesting;      /* syntactic depth */
    uint64_t identifier_bytes;
    uint64_t instances; /* of generic functions */
    uint64_t type_depth;
} reml_embed_limits_t;
#define REML_EMBED_UNLIMITED UINT64_MAX

REML_API void reml_embed_limits_default(reml_embed_limits_t* out_limits);   /* sets struct_size too */
REML_API void reml_embed_limits_untrusted(reml_embed_limits_t* out_limits); /* for hostile code */

/*
 * What the modules of a context are loaded for: @cfg asks for it. Texts are NUL-terminated UTF-8 and copied; NULL means
 * as on the machine we run on, or not set. Lists are names with commas between them.
 */
typedef struct reml_embed_target_t {
    uint32_t struct_size;
    uint32_t flags;                 /* REML_EMBED_TARGET_… */
    const char *os, *family, *arch; /* "linux", "unix", "x86_64" */
    const char *abi, *env, *vendor; /* "system_v", "gnu", "unknown" */
    const char* profile_id;         /* NULL: none */
    const char *runtime_revision, *stdlib_version;
    const char* features;           /* list */
    const char* capabilities;       /* list: what the target has */
    const char* known_capabilities; /* list: further names that @cfg may ask for */
    const char* runners;            /* list: kinds of runner that are active; NULL: "embed,cli" */
    const char* known_runners;      /* list: further names beside cli, embed, test and lsp */
    const char* extra;              /* list of name=value */
} reml_embed_target_t;
#define REML_EMBED_TARGET_INIT                                                                                         \
    {sizeof(reml_embed_target_t), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,     \
        NULL, NULL}

enum {
    REML_EMBED_TARGET_LOG_CFG = 1 /* keep what each @cfg asked and was answered for reml_embed_cfg_json */
};

/* experimental < beta < stable */
enum { REML_EMBED_STAGE_EXPERIMENTAL = 0, REML_EMBED_STAGE_BETA = 1, REML_EMBED_STAGE_STABLE = 2 };

typedef struct reml_embed_options_t {
    uint32_t struct_size;
    uint32_t flags;                    /* REML_EMBED_OPTION_… */
    const reml_embed_limits_t* limits; /* NULL: defaults */
    reml_resize_fn resize;             /* NULL: the C library's allocator */
    void* resize_user;
    const char* audit_path; /* NUL-terminated UTF-8; NULL: none. See reml_embed_set_audit_file for more choice */
    const reml_embed_target_t* target; /* NULL: the machine we run on */
    const char* granted_capabilities;  /* list of ids that it may use (see reml_embed_grant); NULL: every enabled one */
    uint32_t minimum_stage;            /* REML_EMBED_STAGE_…: code that declares a lower one does not load */
    uint32_t reserved;                 /* 0 */
    struct reml_capability_registry_t* registry; /* that answers for capabilities, kept alive; NULL: the process's */
    const char* audit_command; /* as of reml_embed_audit_command, and the record of create has them, too; NULL: none */
} reml_embed_options_t;
enum {
    REML_EMBED_OPTION_STRICT_TOP_LEVEL = 1,    /* top-level expression statements are errors */
    REML_EMBED_OPTION_DENY_NON_EXHAUSTIVE = 2, /* a match that misses a case is an error */
    REML_EMBED_OPTION_WARNINGS_AS_ERRORS = 4,
    REML_EMBED_OPTION_STRESS_GC = 8, /* collect at every chance: for tests */
    /* experimental capabilities need a grant by name, or reml_capability_enable: what hostile code should run under */
    REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL = 16
};
#define REML_EMBED_OPTIONS_INIT {sizeof(reml_embed_options_t), 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL}

REML_API reml_embed_status_t reml_embed_create(
    const char* abi_version, const reml_embed_options_t* options, reml_embed_context_t** out_context);

/* Change the limits; takes effect with the next run or load. A nested run may only tighten them. */
REML_API reml_embed_status_t reml_embed_set_limits(reml_embed_context_t* context, const reml_embed_limits_t* limits);
REML_API reml_embed_status_t reml_embed_get_limits(reml_embed_context_t* context, reml_embed_limits_t* out_limits);

/* Set the target for modules loaded from now on; NULL: the machine we run on. */
REML_API reml_embed_status_t reml_embed_set_target(reml_embed_context_t* context, const reml_embed_target_t* target);

/*
 * Let the scripts of a context use a capability (reml_capability.h), or no longer. A context made with granted_capabilities may use those;
 * one made without may use every enabled one that has not been revoked. From any thread, also while it runs: what has been loaded is
 * checked again when it is used (status DENIED, runtime.capability.denied).
 *
 * fails: INVALID_ARGUMENT, INVALID_HANDLE, STALE, FORKED, NO_MEMORY (nothing has changed; a capability being revoked is refused).
 */
REML_API reml_embed_status_t reml_embed_grant(reml_embed_context_t* context, const char* capability);
REML_API reml_embed_status_t reml_embed_revoke(reml_embed_context_t* context, const char* capability);
/* May its scripts use it now? 1 or 0; 0 for no such context. From any thread. */
REML_API int reml_embed_granted(reml_embed_context_t* context, const char* capability);

/* Make the calling thread the owner of an idle context. */
REML_API reml_embed_status_t reml_embed_adopt(reml_embed_context_t* context);

REML_API reml_embed_status_t reml_embed_set_user(reml_embed_context_t* context, void* user);
REML_API void* reml_embed_user(reml_embed_context_t* context); /* NULL for no such context */

/* What print and println write. Without a callback output is dropped (and counted against the limit). A status other than OK ends the run. */
typedef reml_embed_status_t (*reml_output_fn)(const char* text, size_t length, void* user);
REML_API reml_embed_status_t reml_embed_set_output(reml_embed_context_t* context, reml_output_fn output, void* user);
/* What the operation Console.ask asks where the program handles it nowhere itself. The answer is UTF-8 and stays the callback's; it is
   copied at once. Without a callback it is empty. A status other than OK ends the run. Must not enter the context. */
typedef reml_embed_status_t (*reml_input_fn)(
    const char* question, size_t length, const char** out_answer, size_t* out_length, void* user);
REML_API reml_embed_status_t reml_embed_set_input(reml_embed_context_t* context, reml_input_fn input, void* user);

/* Asked every few ten thousand instructions of a run, in the running thread. Anything but OK ends the run with runtime.interrupted. */
typedef reml_embed_status_t (*reml_poll_fn)(void* user);
REML_API reml_embed_status_t reml_embed_set_poll(reml_embed_context_t* context, reml_poll_fn poll, void* user);

/* Stop the current run with runtime.interrupted. From any thread and from signal handlers. */
REML_API reml_embed_status_t reml_embed_interrupt(reml_embed_context_t* context);

/*
 * What Env.args and Env.get_env see; copied. Without these calls a program has no arguments and every variable is denied (Err).
 * A variable that is not among the names is denied when deny_others is not 0, else it is unset (Ok(None)).
 *
 * fails:  INVALID_ARGUMENT for NULL, arguments and names that are not UTF-8; BUSY while running.
 */
REML_API reml_embed_status_t reml_embed_set_args(reml_embed_context_t* context, const char* const* args, size_t count);
REML_API reml_embed_status_t reml_embed_set_variables(
    reml_embed_context_t* context, const char* const* names, const char* const* values, size_t count, int deny_others);

/* --- loading with a file name ---------------------------------------------------------------------------------- */

typedef struct reml_embed_source_t {
    uint32_t struct_size;
    uint32_t flags;   /* REML_EMBED_SOURCE_… */
    const char* text; /* UTF-8 */
    size_t text_length;
    const char* file_name; /* for diagnostics; NULL: none */
    size_t file_name_length;
} reml_embed_source_t;
enum {
    REML_EMBED_SOURCE_AMBIENT =
        1, /* its public items and extern "host" blocks are visible to later modules without `use` */
    REML_EMBED_SOURCE_CHECK_ONLY = 2, /* diagnostics only; nothing is added */
    REML_EMBED_SOURCE_TELEMETRY = 4   /* keep the constraint graph for reml_embed_constraints_json */
};
#define REML_EMBED_SOURCE_INIT {sizeof(reml_embed_source_t), 0, NULL, 0, NULL, 0}
REML_API reml_embed_status_t reml_embed_load(reml_embed_context_t* context, const reml_embed_source_t* source);

/* --- replacing a module ----------------------------------------------------------------------------------------- */

/*
 * Put another version of a loaded module in the place of the one before, while the context goes on (docs/operations.md).
 *
 * Everything is made and tried beside the version that serves: all sources of the context are checked against the new one, its
 * initialisation runs (where the old one had been initialised), state goes over. Whatever goes wrong on the way, a panic, a limit, an
 * interrupt or a lack of memory, the old version serves on exactly as it was. Else the next call runs the new code:
 *
 *   functions   handles of the host call the functions of the same names from now on. What the host may call must be there with the same
 *               signature: what @dsl_export marks, without such marks every top-level function.
 *   values      handles of the host are copies of what they were, sharing and identity included. Their types must be of the same form in
 *               the new version. Functions made by functions of the module itself, iterators, futures and continuations cannot go over.
 *   state       `var`s of the module, and values with identity (Vec, Table, Cell, Ref, structs) go over where the new version has one of the
 *               same name and type; other values are those of the new version. A module that declares export_state() -> S and
 *               import_state(S) carries its state itself, through migrate(S) -> T where import_state takes a T; S is of
 *               the same form in both versions, so a type of the module that changes goes over as tuples or records without a name.
 *   others      modules that use it are checked against it and call it; their values stay.
 *   types       ids of types (reml_type_t) are those of one version: ask for them again.
 *
 * The version before is kept as it was then, with its memory, until the next reload or rollback, unless flags say otherwise. Records
 * parser.reload, reml.reload and bridge.reload tell of it; a refused one leaves bridge.reload with `rejected` or `failed`.
 *
 * fails:  INVALID_ARGUMENT; BUSY while the context runs, a job is not released or a promise not kept; ERROR with diagnostics (what is
 *         wrong in the source, reload.export.removed, reload.export.changed, reload.type.changed, reload.module.renamed,
 *         reload.module.unknown, reload.state.lost, reload.state.mismatch, reload.value.held; what initialisation or a function of state
 *         panicked with); LIMIT, NO_MEMORY, DENIED, AUDIT_UNAVAILABLE. Nothing has changed then.
 */
typedef struct reml_embed_reload_t {
    uint32_t struct_size;
    uint32_t flags;     /* REML_EMBED_RELOAD_… */
    const char* module; /* path of the module to replace; NULL: the path that the source declares */
    const char*
        allow; /* list of functions, types and values that may go or change; `export_state`: the state. NULL: none */
    const char* audit_id; /* of the records, a lower-case UUID; NULL: a new one */
} reml_embed_reload_t;
#define REML_EMBED_RELOAD_INIT {sizeof(reml_embed_reload_t), 0, NULL, NULL, NULL}
enum {
    REML_EMBED_RELOAD_DRY_RUN = 1, /* check everything; run, change and record nothing */
    REML_EMBED_RELOAD_LET_GO = 2,  /* what the host holds and cannot go over becomes stale, instead of a refusal */
    REML_EMBED_RELOAD_FORGET = 4   /* keep no way back: the version before is freed at once */
};
/* `source` as for reml_embed_load; its flags are 0: the module stays ambient or not. options NULL: none. */
REML_API reml_embed_status_t reml_embed_reload_module(
    reml_embed_context_t* context, const reml_embed_source_t* source, const reml_embed_reload_t* options);

/*
 * The version before again, with the state that it had when it was replaced; once per reload. What the host has found or been given since goes
 * back with it where the version before has the same, and is stale else. Leaves a record bridge.rollback. audit_id: of it; NULL: a new one.
 *
 * fails:  ERROR reload.rollback.none; BUSY, NO_MEMORY, LIMIT, AUDIT_UNAVAILABLE: nothing has changed.
 */
REML_API reml_embed_status_t reml_embed_rollback_module(reml_embed_context_t* context, const char* audit_id);

/* --- results and diagnostics ------------------------------------------------------------------------------------- */

/* Printable (Display) form of the last result. borrowed: until the next call. Counts as one bridge call (reml_ffi_bridge.h). */
REML_API reml_embed_status_t reml_embed_result_text(reml_embed_context_t* context, reml_span_t* out_text);
/* Its type as Reml writes it, e.g. "List<Int>". borrowed: until the next call. */
REML_API reml_embed_status_t reml_embed_result_type(reml_embed_context_t* context, reml_span_t* out_text);
/* reml_kind_t of the last result, 0 when there is none. */
REML_API int32_t reml_embed_result_kind(reml_embed_context_t* context);

/* Diagnostics of the last load or run as a JSON list (LANGUAGE 9.1). borrowed: until the next load or run. */
REML_API reml_embed_status_t reml_embed_diagnostics_json(reml_embed_context_t* context, reml_span_t* out_json);
/* The same as a compiler prints them; colour 1: with terminal colours. borrowed: until the next load or run. */
REML_API reml_embed_status_t reml_embed_diagnostics_text(
    reml_embed_context_t* context, int colour, reml_span_t* out_text);

/*
 * The index-th diagnostic code of the library, from 0, with its domain and default severity ("error", "warning", "info", "hint");
 * NULL after the last one. static.
 */
REML_API const char* reml_embed_diagnostic_code(uint32_t index, const char** out_domain, const char** out_severity);

/* Where a column of a line begins: the bytes before the column-th cluster (from 1) of UTF-8 text; its length when it is shorter. */
REML_API size_t reml_embed_column_offset(const char* line, size_t length, uint32_t column);

/*
 * What @cfg asked while the last module was loaded, in the order of evaluation, if the target says REML_EMBED_TARGET_LOG_CFG:
 * [{"key":"target_os","value":"linux","result":true,"byte_start":5}, …]. borrowed: until the next call.
 */
REML_API reml_embed_status_t reml_embed_cfg_json(reml_embed_context_t* context, reml_span_t* out_json);
/*
 * What the checker demanded of types in the last load, as one JSON object: {"module", "functions": [{"name", "param_types",
 * "return_type", "typed_exprs", "constraints", "unresolved_identifiers"}], "constraints": {kind: count}, "typed_exprs",
 * "unresolved_identifiers", "call_sites", "binary_expressions", "unify_calls", "ast_nodes", "token_count", "nodes": [{"label", "kind"}],
 * "edges": [{"from", "to": positions among the nodes, "kind"}], "resolutions": […]} (contract reference 9). Also after a load that
 * failed with errors of types.
 *
 * borrowed: until the next load.
 * fails:    ERROR when the load did not ask for it (REML_EMBED_SOURCE_TELEMETRY) or did not get as far as the checker.
 */
REML_API reml_embed_status_t reml_embed_constraints_json(reml_embed_context_t* context, reml_span_t* out_json);

/* Names of the functions of the modules loaded last, one "Module.name signature" per line. transferred: reml_embed_free. */
REML_API reml_embed_status_t reml_embed_functions(reml_embed_context_t* context, char** out_text, size_t* out_length);

/*
 * What @dsl_export says, of all loaded modules in their order: a JSON list of {"module", "name", "kind": "function" or
 * "value", "type", "metadata": the named arguments, others under "arguments"}. transferred: reml_embed_free.
 */
REML_API reml_embed_status_t reml_embed_exports(reml_embed_context_t* context, char** out_text, size_t* out_length);
/*
 * What the loaded modules expect of their host: a JSON list of {"module", "name", "symbol": what is looked up first, "abi": "C" or
 * "host", "parameters": types, "result", "ownership": of @ownership, "", "variadic", "bound", "line"}. transferred: reml_embed_free.
 */
REML_API reml_embed_status_t reml_embed_externs(reml_embed_context_t* context, char** out_text, size_t* out_length);

/* Readable typed IR (what 0), bytecode (1) of a loaded function, or of all with an empty name; syntax tree (2), tokens (3) of the
   module loaded last. transferred: reml_embed_free. */
REML_API reml_embed_status_t reml_embed_explain(
    reml_embed_context_t* context, int what, const char* function, char** out_text, size_t* out_length);

/* Free a buffer that this interface transferred. NULL is fine. */
REML_API void reml_embed_free(void* buffer);

/* --- memory ---------------------------------------------------------------------------------------------------------- */

typedef struct reml_embed_memory_t {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t live_bytes, peak_bytes; /* all memory of the context */
    uint64_t heap_live_objects, collections, allocations;
    uint64_t live_handles;
    uint64_t heap_bytes;                                      /* values of scripts only */
    uint64_t pause_last_ns, pause_longest_ns, pause_total_ns; /* what runs waited for the collector */
} reml_embed_memory_t;
REML_API reml_embed_status_t reml_embed_memory(reml_embed_context_t* context, reml_embed_memory_t* out_memory);
REML_API reml_embed_status_t reml_embed_collect(reml_embed_context_t* context); /* a whole collection now */
/* Tests: make the allocation with this number (counted from now, first = 1) fail, then every `every`-th after it; 0: off. */
REML_API reml_embed_status_t reml_embed_fail_allocation(reml_embed_context_t* context, uint64_t number, uint64_t every);

#ifdef __cplusplus
}
#endif

#endif
