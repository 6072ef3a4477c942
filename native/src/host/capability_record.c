/* Checks with a record: verify_capability_stage and the metadata of `capability_check` (CONTRACTS 3.2, 4.5). */
#include "base/json_read.h"
#include "host/capability.h"
#include "host/context.h"

#include <stdlib.h>

/* --- metadata ---------------------------------------------------------------------------------------------------------- */

/* What is known of the capability: the descriptor of the handle or of the error, if there is one. */
typedef struct known {
    rl_json_doc_t doc, fields; /* of the descriptor, of the error */
    rl_arena_t arena;
    rl_str_t* required;
    uint32_t required_count;
} known_t;

static rl_str_t text_of(const rl_json_doc_t* doc, uint32_t map, const char* name) {
    const rl_json_value_t* value = doc->values.count ? rl_json_at(doc, rl_json_find(doc, map, name)) : NULL;
    return value && value->kind == RL_JSON_TEXT ? value->text : (rl_str_t){NULL, 0};
}

static void text_or_null(rl_json_t* json, const char* key, rl_str_t text) {
    rl_json_key(json, key);
    if (text.data) rl_json_string(json, text);
    else rl_json_null(json);
}

/* One member that is a list with one {id, stage}, and none when there is no such stage. */
static void id_and_stage(rl_json_t* json, const char* key, rl_str_t id, rl_str_t stage, bool in_list) {
    rl_json_key(json, key);
    if (in_list) rl_json_array_begin(json);
    if (stage.data) {
        rl_json_object_begin(json);
        rl_json_member(json, "id", id);
        rl_json_member(json, "stage", stage);
        rl_json_object_end(json);
    } else if (!in_list) {
        rl_json_null(json);
    }
    if (in_list) rl_json_array_end(json);
}

static void copy_value(
    rl_json_t* json, const char* key, const rl_json_doc_t* doc, const char* name, const char* without) {
    uint32_t at = doc->values.count ? rl_json_find(doc, 1, name) : 0;
    if (!at && !without) return;
    rl_json_key(json, key);
    rl_json_raw(json, at ? rl_json_at(doc, at)->written : rl_str(without));
}

/* The provider as one text: "core", "acme@1.2", "bridge". */
static rl_str_t provider_text(known_t* k, uint32_t provider, rl_str_t kind) {
    rl_str_t name = text_of(&k->doc, provider, "package"), version = text_of(&k->doc, provider, "version");
    if (!name.data) name = text_of(&k->doc, provider, "name");
    if (!name.data) return kind;
    if (!version.data) return name;
    char* both = rl_arena_alloc(&k->arena, name.length + version.length + 2);
    if (!both) return name;
    memcpy(both, name.data, name.length);
    both[name.length] = '@';
    memcpy(both + name.length + 1, version.data, version.length);
    return (rl_str_t){both, name.length + 1 + version.length};
}

/* Keys ascending. */
static void write_metadata(known_t* k, const reml_capability_request_t* request, const reml_capability_error_t* error,
    rl_str_t more, rl_json_t* json) {
    rl_str_t id = rl_str(request->id), stage = text_of(&k->doc, 1, "stage"), actual = stage;
    uint32_t provider = k->doc.values.count ? rl_json_find(&k->doc, 1, "provider") : 0;
    rl_str_t provider_kind = text_of(&k->doc, provider, "kind"), by = provider_text(k, provider, provider_kind);
    int32_t requirement = request->requirement ? reml_capability_requirement_parse(request->requirement) : 0;
    rl_str_t required =
        rl_str(requirement < 0 ? request->requirement : reml_capability_requirement_text((uint32_t)requirement));
    if (!actual.data)
        actual = rl_str(
            error && error->actual_stage >= 0 ? reml_capability_stage_label((uint32_t)error->actual_stage) : "unknown");
    rl_json_object_begin(json);
    if (error) {
        rl_json_member(json, "capability.error.code", rl_str(error->code));
        rl_json_member(json, "capability.error.message", rl_str(error->detail));
    }
    rl_json_member(json, "capability.id", id);
    rl_json_key(json, "capability.ids");
    rl_json_array_begin(json);
    rl_json_string(json, id);
    rl_json_array_end(json);
    text_or_null(json, "capability.provider", by);
    text_or_null(json, "capability.provider.kind", provider_kind);
    rl_json_member(json, "capability.result", error ? RL_STR("error") : RL_STR("success"));
    rl_str_t path = text_of(&k->fields, 1, "manifest_path");
    uint32_t span = k->fields.values.count ? rl_json_find(&k->fields, 1, "source_span") : 0;
    if (path.data) rl_json_member(json, "config.manifest.path", path);
    if (rl_json_find(&k->fields, span, "end")) {
        rl_json_key(json, "config.manifest.span.end");
        rl_json_raw(json, rl_json_at(&k->fields, rl_json_find(&k->fields, span, "end"))->written);
    }
    if (rl_json_find(&k->fields, span, "start")) {
        rl_json_key(json, "config.manifest.span.start");
        rl_json_raw(json, rl_json_at(&k->fields, rl_json_find(&k->fields, span, "start"))->written);
    }
    id_and_stage(json, "effect.actual_capabilities", id, stage, true);
    copy_value(json, "effect.actual_effects", &k->doc, "effect_scope", "[]");
    rl_json_member(json, "effect.capability", id);
    id_and_stage(json, "effect.capability_descriptor", id, stage, false);
    text_or_null(json, "effect.manifest_path", text_of(&k->doc, 1, "manifest_path"));
    copy_value(json, "effect.missing_effects", &k->fields, "missing_effects", NULL);
    text_or_null(json, "effect.provider", by);
    id_and_stage(json, "effect.required_capabilities", id, required, true);
    rl_json_key(json, "effect.required_effects");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < k->required_count; i++) rl_json_string(json, k->required[i]);
    rl_json_array_end(json);
    rl_json_member(json, "effect.stage.actual", actual);
    rl_json_member(json, "effect.stage.required", required);
    rl_json_member(json, "event.domain", RL_STR("runtime.capability"));
    if (rl_str_equal(provider_kind, RL_STR("plugin"))) {
        rl_json_member(json, "plugin.package", text_of(&k->doc, provider, "package"));
        rl_str_t version = text_of(&k->doc, provider, "version");
        if (version.data) rl_json_member(json, "plugin.version", version);
    }
    if (more.length) rl_json_raw(json, more);
    rl_json_object_end(json);
}

reml_embed_status_t rl_capability_metadata(const reml_capability_request_t* request,
    const reml_capability_handle_t* handle, const reml_capability_error_t* error, rl_str_t more, rl_buf_t* out) {
    known_t known = {0};
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_arena_init(&known.arena, &allocator);
    const char* descriptor = handle ? handle->descriptor : error ? error->descriptor : NULL;
    bool fine = (!descriptor || rl_json_read(&known.doc, &known.arena, rl_str(descriptor))) &&
                (!error || !error->fields || rl_json_read(&known.fields, &known.arena, rl_str(error->fields))) &&
                rl_list_sorted(&known.arena, rl_str(request->effects), &known.required, &known.required_count);
    if (fine) {
        rl_json_t json = rl_json_begin(out);
        write_metadata(&known, request, error, more, &json);
        fine = !out->failed && !allocator.failed;
    }
    rl_json_doc_deinit(&known.doc, &known.arena);
    rl_json_doc_deinit(&known.fields, &known.arena);
    rl_arena_deinit(&known.arena);
    return fine ? REML_EMBED_STATUS_OK : REML_EMBED_STATUS_NO_MEMORY;
}

static bool read_request(const reml_capability_request_t* given, reml_capability_request_t* out) {
    *out = (reml_capability_request_t)REML_CAPABILITY_REQUEST_INIT;
    if (!given || !rl_copy_versioned(out, sizeof *out, given, given->struct_size)) return false;
    const char* texts[] = {out->id, out->requirement, out->effects};
    for (size_t i = 0; i < RL_COUNT_OF(texts); i++) {
        if (texts[i] && rl_utf8_validate(rl_str(texts[i])) != strlen(texts[i])) return false;
    }
    return !(out->flags & ~(uint32_t)REML_CAPABILITY_REQUEST_LEGACY_STABLE) && out->id && *out->id;
}

reml_embed_status_t reml_capability_check_metadata(const reml_capability_request_t* given,
    const reml_capability_handle_t* handle, const reml_capability_error_t* error, char** out_json) {
    reml_capability_request_t request;
    if (out_json) *out_json = NULL;
    bool failed = error && error->kind != REML_CAPABILITY_ERROR_NONE;
    if (!out_json || !read_request(given, &request) || !rl_capability_error_usable(error) || (!handle && !failed))
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_allocator_t allocator;
    rl_buf_t text;
    size_t length;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_buf_init(&text, &allocator);
    reml_embed_status_t status =
        rl_capability_metadata(&request, handle, failed ? error : NULL, (rl_str_t){NULL, 0}, &text);
    if (status == REML_EMBED_STATUS_OK) status = rl_copy_out(&text, out_json, &length);
    rl_buf_deinit(&text);
    return status;
}

reml_embed_status_t rl_capability_record(rl_context_t* context, const reml_capability_request_t* request,
    const reml_capability_handle_t* handle, const reml_capability_error_t* error, rl_str_t more) {
    rl_allocator_t allocator;
    rl_buf_t text;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_buf_init(&text, &allocator);
    reml_embed_status_t status = rl_capability_metadata(request, handle, error, more, &text);
    if (status == REML_EMBED_STATUS_OK) {
        reml_audit_record_t record = REML_AUDIT_RECORD_INIT;
        record.kind = "capability_check";
        record.category = "capability";
        record.capability = request->id;
        record.metadata = rl_buf_cstr(&text);
        status = reml_embed_audit_log(context->id, &record, NULL);
    }
    rl_buf_deinit(&text);
    return status;
}

/* --- checks --------------------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_capability_verify_capability_stage(reml_capability_registry_t* registry,
    const reml_capability_request_t* given, reml_capability_handle_t** out_handle, reml_capability_error_t* out_error) {
    reml_capability_request_t request;
    if (out_handle) *out_handle = NULL;
    if (!rl_capability_error_usable(out_error)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_capability_error_clear(out_error);
    if (!read_request(given, &request)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (!request.context) return rl_capability_check(registry, &request, out_handle, out_error);

    /* With a record: one that cannot be kept turns a success into a refusal. */
    RL_ENTER(request.context, context);
    rl_audit_result_t ready = rl_audit_ready(&context->audit);
    if (ready != RL_AUDIT_OK) return rl_status_of_audit(ready);
    reml_capability_handle_t* handle = NULL;
    reml_capability_error_t error = REML_CAPABILITY_ERROR_INIT;
    reml_embed_status_t status = rl_capability_check(registry, &request, &handle, &error);
    if (status == REML_EMBED_STATUS_NO_MEMORY) return status;
    reml_embed_status_t recorded = rl_capability_record(
        context, &request, handle, status == REML_EMBED_STATUS_OK ? NULL : &error, (rl_str_t){NULL, 0});
    if (status == REML_EMBED_STATUS_OK) status = recorded;
    if (status == REML_EMBED_STATUS_OK && out_handle) *out_handle = handle;
    else reml_capability_handle_release(handle);
    if (out_error && error.kind != REML_CAPABILITY_ERROR_NONE) {
        error.struct_size = out_error->struct_size;
        *out_error = error;
    } else {
        reml_capability_error_release(&error);
    }
    return status;
}

reml_embed_status_t reml_capability_verify_stage(reml_capability_registry_t* registry,
    const reml_capability_request_t* request, int32_t* out_stage, reml_capability_error_t* out_error) {
    reml_capability_handle_t* handle = NULL;
    if (out_stage) *out_stage = -1;
    if (!out_stage) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_embed_status_t status = reml_capability_verify_capability_stage(registry, request, &handle, out_error);
    if (status == REML_EMBED_STATUS_OK) *out_stage = reml_capability_handle_stage(handle);
    reml_capability_handle_release(handle);
    return status;
}
