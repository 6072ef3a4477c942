/*
 * reml_capability.h: what the runtime may do. (Contract reference §4; DESIGN 2.6.)
 *
 * A registry is the one list of capabilities: what each is called, at which stage it stands, which effects it covers, who
 * provides it. Every guarded operation asks it, gets a typed handle, and leaves a `capability_check` record:
 *
 *     reml_capability_request_t request = REML_CAPABILITY_REQUEST_INIT;
 *     request.id = "gc";
 *     request.requirement = "at_least:beta";
 *     request.effects = "memory";
 *     request.context = context;                                   // whose log gets the record
 *     reml_capability_handle_t* handle;
 *     if (reml_capability_verify_capability_stage(NULL, &request, &handle, NULL) == REML_EMBED_STATUS_OK) {
 *         puts(reml_capability_as_gc(handle)->strategy);
 *         reml_capability_handle_release(handle);
 *     }
 *
 * What a *script* may do is a second question, asked per context: see "grants" at the end.
 *
 * Registries.  NULL means the process's registry, which holds the built-in capabilities (native/src/host/capability.def); a
 *              host, a test or a tool may make others (reml_capability_registry_create) that know nothing of each other.
 * Threads.     Any thread may call anything here; a registry locks by itself (readers beside each other, writers alone).
 *              Only a request that names a context belongs to the thread of that context.
 * Forks.       A child goes on with a copy of the registry as it was.
 * Texts.       NUL-terminated UTF-8. "list" is names with commas between them. Descriptors are JSON objects with the field
 *              names of CONTRACTS 4.1, keys ascending; unknown keys and wrong types are refused with the path of the key.
 * Failure.     Functions answer OK, INVALID_ARGUMENT (NULL, unknown flags), NO_MEMORY, or ERROR with the reason in
 *              *out_error (which may be NULL): see reml_capability_error_t. Out-parameters are set on failure too.
 */
#ifndef REML_CAPABILITY_H
#define REML_CAPABILITY_H

#include "reml_embed.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- stages ----------------------------------------------------------------------------------------------------- */

/*
 * A stage is REML_EMBED_STAGE_EXPERIMENTAL < …_BETA < …_STABLE. A requirement is a stage that the actual one must reach, or,
 * with REML_CAPABILITY_EXACT, be. As text: `at_least:beta`, `exact:beta`; `at_least beta`, `atleast(beta)`, `exact(beta)` and
 * bare `beta` (exact) are read, too. There is no `alpha`.
 */
#define REML_CAPABILITY_EXACT 256

REML_API const char* reml_capability_stage_label(uint32_t stage);     /* "beta"; "unknown" for no stage. Static */
REML_API int32_t reml_capability_stage_parse(const char* text);       /* -1: no stage (config.invalid_stage) */
REML_API int32_t reml_capability_requirement_parse(const char* text); /* -1: none */
REML_API const char* reml_capability_requirement_text(uint32_t requirement); /* "at_least:beta"; "unknown". Static */
REML_API int reml_capability_satisfies(uint32_t actual_stage, uint32_t requirement);

/* --- errors ------------------------------------------------------------------------------------------------------- */

/* Append only. Behind each: the members of `fields` beside `id`. */
typedef enum reml_capability_error_kind_t {
    REML_CAPABILITY_ERROR_NONE = 0,
    REML_CAPABILITY_ERROR_ALREADY_REGISTERED = 1,
    REML_CAPABILITY_ERROR_NOT_REGISTERED = 2,        /* required? */
    REML_CAPABILITY_ERROR_STAGE_VIOLATION = 3,       /* required, actual, descriptor */
    REML_CAPABILITY_ERROR_EFFECT_SCOPE_MISMATCH = 4, /* required, actual, descriptor, missing_effects */
    REML_CAPABILITY_ERROR_MISSING_DEPENDENCY = 5,    /* missing */
    REML_CAPABILITY_ERROR_CONTRACT_VIOLATION = 6,    /* required, declared, manifest_path, source_span */
    REML_CAPABILITY_ERROR_MANIFEST_LOAD_FAILURE = 7, /* manifest_path, detail (no id) */
    REML_CAPABILITY_ERROR_SECURITY_VIOLATION = 8,    /* descriptor, reason */
    REML_CAPABILITY_ERROR_INVALID_HANDLE = 9,        /* expected, actual */
    REML_CAPABILITY_ERROR_UNSAFE_VIOLATION = 10,
    REML_CAPABILITY_ERROR_INVALID_STAGE = 11,     /* stage: what was written instead of one */
    REML_CAPABILITY_ERROR_INVALID_DESCRIPTOR = 12 /* key_path, reason: a descriptor or metadata that cannot be read */
} reml_capability_error_kind_t;

/*
 * Why something was refused. Initialise with REML_CAPABILITY_ERROR_INIT; a filled one is overwritten without being released.
 * owned: the three texts, by the caller: reml_capability_error_release. They are NULL when memory was short.
 */
typedef struct reml_capability_error_t {
    uint32_t struct_size;
    uint32_t kind;          /* reml_capability_error_kind_t */
    const char* code;       /* code(): "capability.stage.mismatch"; static */
    const char* diagnostic; /* the diagnostic it becomes: "effects.contract.stage_mismatch"; static */
    int32_t actual_stage;   /* actual_stage(): REML_EMBED_STAGE_…; -1: none is known */
    uint32_t reserved;
    char* detail;     /* detail(): "stage experimental does not satisfy at_least:beta" */
    char* descriptor; /* of the capability, as JSON; NULL: none is known */
    char* fields;     /* {"id": …, …}: see reml_capability_error_kind_t */
} reml_capability_error_t;
#define REML_CAPABILITY_ERROR_INIT {sizeof(reml_capability_error_t), 0, NULL, NULL, -1, 0, NULL, NULL, NULL}

REML_API void reml_capability_error_release(reml_capability_error_t* error); /* frees its texts and empties it */
REML_API const char* reml_capability_error_label(uint32_t kind);             /* "StageViolation"; "unknown". Static */
/*
 * An error of `kind` from its fields, for checks that are made elsewhere (manifests, conductor contracts): the code, the
 * sentence and the stage come from the same table as for the library's own.
 */
REML_API reml_embed_status_t reml_capability_error_make(
    uint32_t kind, const char* fields, reml_capability_error_t* out_error);

/* What every capability error converts into: the failure of a run, with code, stage and descriptor kept. */
typedef struct reml_runtime_error_t {
    uint32_t struct_size;
    int32_t stage;              /* actual stage, -1: none is known */
    const char* code;           /* of the diagnostic; static */
    const char* cause;          /* code of the capability error; static */
    char *message, *descriptor; /* owned: reml_runtime_error_release */
} reml_runtime_error_t;
#define REML_RUNTIME_ERROR_INIT {sizeof(reml_runtime_error_t), -1, NULL, NULL, NULL, NULL}
REML_API reml_embed_status_t reml_runtime_error_from_capability(
    const reml_capability_error_t* error, reml_runtime_error_t* out_error);
REML_API void reml_runtime_error_release(reml_runtime_error_t* error);

/* --- registries ------------------------------------------------------------------------------------------------------ */

typedef struct reml_capability_registry_t reml_capability_registry_t;

typedef struct reml_capability_registry_options_t {
    uint32_t struct_size;
    uint32_t flags;        /* REML_CAPABILITY_REGISTRY_… */
    reml_resize_fn resize; /* NULL: the C library's allocator. Called by any thread; may not use the registry */
    void* resize_user;
} reml_capability_registry_options_t;
enum {
    REML_CAPABILITY_REGISTRY_EMPTY = 1,        /* without the built-in capabilities */
    REML_CAPABILITY_REGISTRY_LEGACY_STABLE = 2 /* an id that nobody registered counts as stable */
};
#define REML_CAPABILITY_REGISTRY_OPTIONS_INIT {sizeof(reml_capability_registry_options_t), 0, NULL, NULL}

/* A registry of one's own. owned: *out_registry, until disposed of; contexts made with it keep it alive. */
REML_API reml_embed_status_t reml_capability_registry_create(
    const reml_capability_registry_options_t* options_or_null, reml_capability_registry_t** out_registry);
REML_API void reml_capability_registry_dispose(reml_capability_registry_t* registry); /* NULL: nothing happens */

/* --- handles --------------------------------------------------------------------------------------------------------- */

/* Append only. The word of each is its name in lower case: "gc". */
typedef enum reml_capability_kind_t {
    REML_CAPABILITY_NONE = 0, /* of an id that counts as stable without being registered */
    REML_CAPABILITY_GC = 1,
    REML_CAPABILITY_IO = 2,
    REML_CAPABILITY_ASYNC = 3,
    REML_CAPABILITY_ACTOR = 4,
    REML_CAPABILITY_AUDIT = 5,
    REML_CAPABILITY_METRICS = 6,
    REML_CAPABILITY_COLLECTIONS = 7,
    REML_CAPABILITY_MEMORY = 8,
    REML_CAPABILITY_SECURITY = 9,
    REML_CAPABILITY_NATIVE = 10,
    REML_CAPABILITY_SYSTEM = 11,
    REML_CAPABILITY_PROCESS = 12,
    REML_CAPABILITY_SIGNAL = 13,
    REML_CAPABILITY_FFI = 14,
    REML_CAPABILITY_PLUGIN = 15,
    REML_CAPABILITY_HARDWARE = 16,
    REML_CAPABILITY_REALTIME = 17
} reml_capability_kind_t;

/*
 * A clone of what was registered: whatever happens in the registry later, a handle stays as it is, also when its registry is
 * gone. It proves that a check was passed; it is no key: a script never sees one.
 */
typedef struct reml_capability_handle_t reml_capability_handle_t;

REML_API void reml_capability_handle_release(reml_capability_handle_t* handle); /* once; NULL: nothing happens */
REML_API uint32_t reml_capability_handle_kind(const reml_capability_handle_t* handle);
REML_API int32_t reml_capability_handle_stage(const reml_capability_handle_t* handle);
/* descriptor(), and the metadata of its kind: JSON objects. borrowed: while the handle lives. */
REML_API const char* reml_capability_handle_descriptor(const reml_capability_handle_t* handle);
REML_API const char* reml_capability_handle_metadata(const reml_capability_handle_t* handle);
REML_API const char* reml_capability_kind_label(uint32_t kind); /* "gc"; "none". Static */

/* The metadata of each kind. In JSON lists are lists of strings, flags are booleans; a missing member is empty, 0 or false. */
typedef struct reml_capability_gc_t {
    const char* strategy;
    int supports_compaction, concurrent;
} reml_capability_gc_t;
typedef struct reml_capability_io_t {
    const char *adapters, *operations; /* lists */
    int supports_async;
} reml_capability_io_t;
typedef struct reml_capability_async_t {
    const char* scheduler;
    int supports_backpressure, supports_blocking_adapter, supports_mailbox;
} reml_capability_async_t;
typedef struct reml_capability_actor_t {
    const char* scheduler; /* "local", "distributed" */
    int supports_remote_mailbox;
    uint64_t mailbox_capacity; /* missing: 1024 */
} reml_capability_actor_t;
typedef struct reml_capability_audit_t {
    const char* transport; /* "json_lines", "stdout", "file", "external_bridge" */
    const char* schema_version;
    int persists_history;
} reml_capability_audit_t;
typedef struct reml_capability_metrics_t {
    const char* exporters; /* list of "json", "prometheus", "otel" */
    int supports_histogram, supports_sampling;
} reml_capability_metrics_t;
typedef struct reml_capability_collections_t {
    const char* collector_effects; /* list */
    int tracks_mutation, tracks_reference_count;
} reml_capability_collections_t;
typedef struct reml_capability_memory_t {
    const char* model;
    uint64_t max_allocation_bytes; /* 0: no limit */
    int supports_guard_pages;
} reml_capability_memory_t;
typedef struct reml_capability_security_t {
    const char* policies; /* list of "fs_sandbox", "capability_whitelist", "manifest_contract" */
    int enforces_path_sandbox, tracks_manifest;
} reml_capability_security_t;
typedef struct reml_capability_operations_t { /* native, system, process, signal */
    const char* operations;                   /* list */
} reml_capability_operations_t;
typedef struct reml_capability_ffi_t {
    const char* operations; /* list */
    int sandbox_calls, verify_abi;
} reml_capability_ffi_t;
typedef struct reml_capability_plugin_t {
    const char *package, *version, *bundle_id, *bundle_version;
    const char* exposed_capabilities; /* list */
} reml_capability_plugin_t;
typedef struct reml_capability_hardware_t {
    const char* accelerators; /* list of "gpu", "tpu", "cryptography" */
    int supports_simd, supports_gpu;
} reml_capability_hardware_t;
typedef struct reml_capability_realtime_t {
    uint64_t latency_budget_ns; /* missing: 1,000,000 */
    int supports_deadlines;
    const char* clock_source;
} reml_capability_realtime_t;

/* The typed handle, or NULL when it is of another kind. borrowed: while the handle lives. */
REML_API const reml_capability_gc_t* reml_capability_as_gc(const reml_capability_handle_t* handle);
REML_API const reml_capability_io_t* reml_capability_as_io(const reml_capability_handle_t* handle);
REML_API const reml_capability_async_t* reml_capability_as_async(const reml_capability_handle_t* handle);
REML_API const reml_capability_actor_t* reml_capability_as_actor(const reml_capability_handle_t* handle);
REML_API const reml_capability_audit_t* reml_capability_as_audit(const reml_capability_handle_t* handle);
REML_API const reml_capability_metrics_t* reml_capability_as_metrics(const reml_capability_handle_t* handle);
REML_API const reml_capability_collections_t* reml_capability_as_collections(const reml_capability_handle_t* handle);
REML_API const reml_capability_memory_t* reml_capability_as_memory(const reml_capability_handle_t* handle);
REML_API const reml_capability_security_t* reml_capability_as_security(const reml_capability_handle_t* handle);
REML_API const reml_capability_operations_t* reml_capability_as_native(const reml_capability_handle_t* handle);
REML_API const reml_capability_operations_t* reml_capability_as_system(const reml_capability_handle_t* handle);
REML_API const reml_capability_operations_t* reml_capability_as_process(const reml_capability_handle_t* handle);
REML_API const reml_capability_operations_t* reml_capability_as_signal(const reml_capability_handle_t* handle);
REML_API const reml_capability_ffi_t* reml_capability_as_ffi(const reml_capability_handle_t* handle);
REML_API const reml_capability_plugin_t* reml_capability_as_plugin(const reml_capability_handle_t* handle);
REML_API const reml_capability_hardware_t* reml_capability_as_hardware(const reml_capability_handle_t* handle);
REML_API const reml_capability_realtime_t* reml_capability_as_realtime(const reml_capability_handle_t* handle);

/* --- registering and reading ------------------------------------------------------------------------------------------ */

typedef struct reml_capability_spec_t {
    uint32_t struct_size;
    uint32_t flags;   /* 0 */
    const char* kind; /* "gc", "io" … */
    const char*
        descriptor; /* JSON; `id` and `stage` are needed, the rest has defaults: no effects, provider core, no security */
    const char* metadata; /* JSON; NULL: defaults */
} reml_capability_spec_t;
#define REML_CAPABILITY_SPEC_INIT {sizeof(reml_capability_spec_t), 0, NULL, NULL, NULL}

/*
 * Add a capability, enabled, behind those that are there.
 *
 * errors: AlreadyRegistered; SecurityViolation (kind ffi, and not: effects ffi, audit and security, audit_required, a sandbox
 *         profile, the permission `runtime` for `verify_abi`, a policy); InvalidStage; InvalidDescriptor.
 */
REML_API reml_embed_status_t reml_capability_register(
    reml_capability_registry_t* registry, const reml_capability_spec_t* spec, reml_capability_error_t* out_error);
/* owned: *out_handle. errors: NotRegistered. */
REML_API reml_embed_status_t reml_capability_get(reml_capability_registry_t* registry, const char* id,
    reml_capability_handle_t** out_handle, reml_capability_error_t* out_error);
/* The descriptor as JSON. transferred: *out_json, reml_embed_free. errors: NotRegistered. */
REML_API reml_embed_status_t reml_capability_describe(
    reml_capability_registry_t* registry, const char* id, char** out_json, reml_capability_error_t* out_error);
/* All descriptors, a JSON list in the order of registration. transferred: *out_json, reml_embed_free. */
REML_API reml_embed_status_t reml_capability_describe_all(reml_capability_registry_t* registry, char** out_json);
REML_API size_t reml_capability_count(reml_capability_registry_t* registry);
/* The highest stage among enabled capabilities whose scope has the effect tag; -1: none. */
REML_API int32_t reml_capability_stage_of(reml_capability_registry_t* registry, const char* effect_tag);

/* --- checking ---------------------------------------------------------------------------------------------------------- */

typedef struct reml_capability_request_t {
    uint32_t struct_size;
    uint32_t flags; /* REML_CAPABILITY_REQUEST_… */
    const char* id;
    const char* requirement;       /* NULL: at_least:experimental */
    const char* effects;           /* list that its scope must cover; NULL: none */
    reml_embed_context_t* context; /* whose log gets the capability_check record; NULL: none */
} reml_capability_request_t;
enum { REML_CAPABILITY_REQUEST_LEGACY_STABLE = 1 /* as REML_CAPABILITY_REGISTRY_LEGACY_STABLE, for this request */ };
#define REML_CAPABILITY_REQUEST_INIT {sizeof(reml_capability_request_t), 0, NULL, NULL, NULL, NULL}

/* Is it registered? errors: NotRegistered. */
REML_API reml_embed_status_t reml_capability_verify_capability(
    reml_capability_registry_t* registry, const char* id, reml_capability_error_t* out_error);
/*
 * Existence, stage and effects, in that order. Success notes the time as last_verified_at, in the registry and in the clone.
 *
 * owned:  *out_handle (NULL on failure; out_handle may be NULL).
 * errors: NotRegistered; SecurityViolation (it is disabled); StageViolation; EffectScopeMismatch; InvalidStage (the
 *         requirement cannot be read).
 * fails:  what using the context from here fails with: INVALID_HANDLE, STALE, WRONG_THREAD, FORKED; AUDIT_UNAVAILABLE when
 *         its log cannot take the record: nothing counts as verified then.
 */
REML_API reml_embed_status_t reml_capability_verify_capability_stage(reml_capability_registry_t* registry,
    const reml_capability_request_t* request, reml_capability_handle_t** out_handle,
    reml_capability_error_t* out_error);
/* The same check for those who need the actual stage only; *out_stage is -1 on failure. */
REML_API reml_embed_status_t reml_capability_verify_stage(reml_capability_registry_t* registry,
    const reml_capability_request_t* request, int32_t* out_stage, reml_capability_error_t* out_error);
/*
 * Metadata of the capability_check record that a check leaves, for those who keep it elsewhere than in a context's log:
 * of a success (handle) or of a failure (error). transferred: *out_json, reml_embed_free.
 */
REML_API reml_embed_status_t reml_capability_check_metadata(const reml_capability_request_t* request,
    const reml_capability_handle_t* handle_or_null, const reml_capability_error_t* error_or_null, char** out_json);
/* Are all of the list registered and enabled? errors: MissingDependency, naming those that are not. */
REML_API reml_embed_status_t reml_capability_verify_dependencies(
    reml_capability_registry_t* registry, const char* id, const char* needed, reml_capability_error_t* out_error);

/* --- administration ------------------------------------------------------------------------------------------------------ */

/*
 * Enable it; with a stage also let it stand there. A capability enabled by this call counts as opted in to
 * (REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL). errors: NotRegistered, InvalidStage, StageViolation (above where it stands).
 */
REML_API reml_embed_status_t reml_capability_enable(reml_capability_registry_t* registry, const char* id,
    const char* stage_or_null, reml_capability_error_t* out_error);
/* From now on no check of it passes and no context is granted it. errors: NotRegistered. */
REML_API reml_embed_status_t reml_capability_disable(
    reml_capability_registry_t* registry, const char* id, reml_capability_error_t* out_error);
REML_API int reml_capability_enabled(reml_capability_registry_t* registry, const char* id); /* -1: not registered */
/* Let it stand at any stage; what has to be true before is the caller's policy. errors: NotRegistered, InvalidStage. */
REML_API reml_embed_status_t reml_capability_set_stage(
    reml_capability_registry_t* registry, const char* id, const char* stage, reml_capability_error_t* out_error);
/* Take it out. errors: NotRegistered, SecurityViolation (its provider is core). */
REML_API reml_embed_status_t reml_capability_unregister(
    reml_capability_registry_t* registry, const char* id, reml_capability_error_t* out_error);
/* Take out all that the plug-in package provides. errors: NotRegistered (nothing is from it). */
REML_API reml_embed_status_t reml_capability_revoke_plugin(
    reml_capability_registry_t* registry, const char* package, size_t* out_count, reml_capability_error_t* out_error);

#ifdef __cplusplus
}
#endif

#endif
