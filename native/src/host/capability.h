/*
 * Capabilities inside: registries (capability.c), what one capability is (capability_body.c), refusals (capability_error.c),
 * and what contexts are granted (grants.c). The public words are those of reml_capability.h.
 */
#ifndef RL_CAPABILITY_H
#define RL_CAPABILITY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/vec.h"
#include "reml_capability.h"

#include <stdatomic.h>

/* --- one capability (capability_body.c) ---------------------------------------------------------------------------- */

typedef enum rl_provider_kind {
    RL_PROVIDER_CORE,
    RL_PROVIDER_PLUGIN,
    RL_PROVIDER_EXTERNAL_BRIDGE,
    RL_PROVIDER_RUNTIME_COMPONENT
} rl_provider_kind_t;

/* What never changes of a capability; shared by its entry and all its clones. Texts are NUL-terminated, in the arena. */
typedef struct rl_capability_body {
    _Atomic uint32_t owners;
    rl_allocator_t allocator; /* of the arena; locked by nobody: used only while the body is made and when it goes */
    rl_arena_t arena;
    uint32_t kind; /* reml_capability_kind_t */
    rl_str_t id;
    rl_str_t* effects; /* ascending, distinct */
    uint32_t effect_count;
    rl_provider_kind_t provider;
    rl_str_t provider_name, provider_version; /* package or name; version: NULL data when there is none */
    rl_str_t manifest_path;                   /* NULL data: null */
    rl_str_t security;                        /* canonical JSON */
    rl_str_t metadata;                        /* canonical JSON */
    bool ffi_ready;                           /* what 2.7 asks of security and effects */
    union {
        reml_capability_gc_t gc;
        reml_capability_io_t io;
        reml_capability_async_t async;
        reml_capability_actor_t actor;
        reml_capability_audit_t audit;
        reml_capability_metrics_t metrics;
        reml_capability_collections_t collections;
        reml_capability_memory_t memory;
        reml_capability_security_t security;
        reml_capability_operations_t operations;
        reml_capability_ffi_t ffi;
        reml_capability_plugin_t plugin;
        reml_capability_hardware_t hardware;
        reml_capability_realtime_t realtime;
    } as;
} rl_capability_body_t;

#define RL_NEVER INT64_MIN /* last_verified_at: null */

struct reml_capability_handle_t {
    rl_capability_body_t* body; /* owned; NULL for kind NONE */
    uint32_t stage;
    char* descriptor; /* owned (malloc) */
};

typedef struct rl_capability_row {
    const char *id, *effects, *metadata;
    uint32_t stage, kind;
} rl_capability_row_t;

/* Made with one owner. ERROR: *out_error tells what is wrong with the spec. */
reml_embed_status_t rl_capability_body_read(rl_resize_fn resize, void* user, const reml_capability_spec_t* spec,
    rl_capability_body_t** out, uint32_t* out_stage, int64_t* out_verified_ns, reml_capability_error_t* out_error);
rl_capability_body_t* rl_capability_body_of_row(rl_resize_fn resize, void* user, const rl_capability_row_t* row);
void rl_capability_body_retain(rl_capability_body_t* body);
void rl_capability_body_release(rl_capability_body_t* body);
/* Does the scope hold the tag? */
bool rl_capability_covers(const rl_capability_body_t* body, rl_str_t tag);
void rl_capability_write_descriptor(
    rl_json_t* json, const rl_capability_body_t* body, uint32_t stage, int64_t verified_ns);
const char* rl_provider_label(rl_provider_kind_t kind);

/* Next entry of a list with commas; false at the end. Blanks around it do not count, empty entries are left out. */
bool rl_list_next(rl_str_t list, size_t* at, rl_str_t* out);
/* The entries of a list, ascending and distinct, as a JSON list. */
bool rl_list_sorted(rl_arena_t* arena, rl_str_t list, rl_str_t** out, uint32_t* out_count);

/* --- refusals (capability_error.c) ------------------------------------------------------------------------------------ */

/* Fields of an error being built: begin, members in any order, end. What `end` answers is what the function answers. */
typedef struct rl_refusal {
    reml_capability_error_t* out; /* may be NULL: nothing is written then */
    uint32_t kind;
    rl_allocator_t allocator;
    rl_buf_t text;
    rl_json_t json;
} rl_refusal_t;
void rl_refusal_begin(rl_refusal_t* refusal, uint32_t kind, const char* id_or_null, reml_capability_error_t* out);
reml_embed_status_t rl_refusal_end(rl_refusal_t* refusal);
void rl_capability_error_clear(reml_capability_error_t* out_or_null); /* as nothing was in it */
bool rl_capability_error_usable(const reml_capability_error_t* out_or_null);

/* --- registries (capability.c) ------------------------------------------------------------------------------------------- */

/* Grows with each change of any registry and of any context's grants: whoever has checked something keeps it. */
extern _Atomic uint64_t rl_capability_generation;

/* The registry itself, the process's for NULL; NULL: memory. */
reml_capability_registry_t* rl_capability_registry(reml_capability_registry_t* registry_or_null);
void rl_capability_registry_retain(reml_capability_registry_t* registry_or_null);

/* Where a capability stands now, without a clone. */
typedef struct rl_capability_state {
    bool registered, enabled, opted_in;
    uint32_t stage;
} rl_capability_state_t;
rl_capability_state_t rl_capability_look(reml_capability_registry_t* registry, rl_str_t id);

/* The check itself. `context` of the request is not looked at. */
reml_embed_status_t rl_capability_check(reml_capability_registry_t* registry, const reml_capability_request_t* request,
    reml_capability_handle_t** out_handle, reml_capability_error_t* out_error);

/* Metadata of the capability_check record without the members that every record has. `more`: ready members that sort behind them. */
reml_embed_status_t rl_capability_metadata(const reml_capability_request_t* request,
    const reml_capability_handle_t* handle, const reml_capability_error_t* error, rl_str_t more, rl_buf_t* out);
/* Leave the record of a check in the log of a context: of a success (error NULL) or of a refusal. */
struct rl_context;
reml_embed_status_t rl_capability_record(struct rl_context* context, const reml_capability_request_t* request,
    const reml_capability_handle_t* handle, const reml_capability_error_t* error, rl_str_t more);

#endif
