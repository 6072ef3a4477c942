/* Refusals (CONTRACTS 4.3): one table of codes and sentences; everything else about an error is its fields. */
#include "base/json_read.h"
#include "host/capability.h"

#include <stdlib.h>

typedef struct refusal_row {
    const char *label, *code, *diagnostic;
    const char* sentence; /* {name}: the field; a list: its items with commas between them */
} refusal_row_t;

static const refusal_row_t rows[] = {
    [REML_CAPABILITY_ERROR_NONE] = {"none", "", "", ""},
    [REML_CAPABILITY_ERROR_ALREADY_REGISTERED] = {"AlreadyRegistered", "runtime.capability.already_registered",
        "runtime.capability.already_registered", "capability {id} is already registered"},
    [REML_CAPABILITY_ERROR_NOT_REGISTERED] = {"NotRegistered", "runtime.capability.unknown",
        "runtime.capability.unknown", "capability {id} is not registered"},
    [REML_CAPABILITY_ERROR_STAGE_VIOLATION] = {"StageViolation", "capability.stage.mismatch",
        "effects.contract.stage_mismatch", "stage {actual} does not satisfy {required}"},
    [REML_CAPABILITY_ERROR_EFFECT_SCOPE_MISMATCH] = {"EffectScopeMismatch", "capability.effect_scope.mismatch",
        "effects.contract.effect_scope_mismatch", "the effect scope of {id} lacks {missing_effects}"},
    [REML_CAPABILITY_ERROR_MISSING_DEPENDENCY] = {"MissingDependency", "runtime.capability.missing_dependency",
        "runtime.capability.missing_dependency", "capability {id} needs {missing}"},
    [REML_CAPABILITY_ERROR_CONTRACT_VIOLATION] = {"ContractViolation", "config.manifest.capability_contract",
        "config.manifest.capability_contract",
        "what {manifest_path} says of capability {id} differs from the contract"},
    [REML_CAPABILITY_ERROR_MANIFEST_LOAD_FAILURE] = {"ManifestLoadFailure", "config.manifest.capability_contract",
        "config.manifest.capability_contract", "{manifest_path}: {detail}"},
    [REML_CAPABILITY_ERROR_SECURITY_VIOLATION] = {"SecurityViolation", "capability.security.violation",
        "capability.security.violation", "capability {id}: {reason}"},
    [REML_CAPABILITY_ERROR_INVALID_HANDLE] = {"InvalidHandle", "capability.handle.invalid", "capability.handle.invalid",
        "capability {id} is of kind {actual}, not {expected}"},
    [REML_CAPABILITY_ERROR_UNSAFE_VIOLATION] = {"UnsafeViolation", "capability.unsafe.violation",
        "capability.unsafe.violation", "capability {id} is used outside `unsafe`"},
    [REML_CAPABILITY_ERROR_INVALID_STAGE] = {"InvalidStage", "config.invalid_stage", "config.invalid_stage",
        "{stage} is no stage: experimental, beta and stable are"},
    [REML_CAPABILITY_ERROR_INVALID_DESCRIPTOR] = {"InvalidDescriptor", "capability.descriptor.invalid",
        "capability.descriptor.invalid", "{key_path}: {reason}"},
};

const char* reml_capability_error_label(uint32_t kind) {
    return kind < RL_COUNT_OF(rows) ? rows[kind].label : "unknown";
}

bool rl_capability_error_usable(const reml_capability_error_t* out) { return !out || out->struct_size >= sizeof *out; }

void rl_capability_error_clear(reml_capability_error_t* out) {
    if (!out) return;
    uint32_t size = out->struct_size;
    *out = (reml_capability_error_t)REML_CAPABILITY_ERROR_INIT;
    out->struct_size = size;
}

void reml_capability_error_release(reml_capability_error_t* error) {
    if (!error || !rl_capability_error_usable(error)) return;
    free(error->detail);
    free(error->descriptor);
    free(error->fields);
    rl_capability_error_clear(error);
}

static char* copy_text(rl_str_t text) {
    char* copy = malloc(text.length + 1);
    if (!copy) return NULL;
    if (text.length) memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return copy;
}

static void add_field(rl_buf_t* out, const rl_json_doc_t* doc, uint32_t field) {
    const rl_json_value_t* value = rl_json_at(doc, field);
    if (value && value->kind == RL_JSON_LIST) {
        for (uint32_t i = value->first; i; i = doc->values.data[i].next) {
            if (i != value->first) rl_buf_add(out, RL_STR(", "));
            rl_buf_add(out, doc->values.data[i].text);
        }
    } else if (value && value->text.length) {
        rl_buf_add(out, value->text);
    } else {
        rl_buf_add(out, RL_STR("unknown"));
    }
}

static void write_sentence(rl_buf_t* out, const char* sentence, const rl_json_doc_t* doc) {
    for (const char* at = sentence; *at;) {
        const char* open = strchr(at, '{');
        if (!open) {
            rl_buf_add_cstr(out, at);
            return;
        }
        const char* close = strchr(open, '}');
        char name[32];
        rl_buf_add(out, (rl_str_t){at, (size_t)(open - at)});
        size_t length = (size_t)(close - open) - 1;
        memcpy(name, open + 1, length);
        name[length] = '\0';
        add_field(out, doc, rl_json_find(doc, 1, name));
        at = close + 1;
    }
}

static int32_t stage_in(const rl_json_doc_t* doc, uint32_t map, const char* name) {
    const rl_json_value_t* value = rl_json_at(doc, rl_json_find(doc, map, name));
    return value && value->kind == RL_JSON_TEXT ? reml_capability_stage_parse(value->text.data) : -1;
}

reml_embed_status_t reml_capability_error_make(uint32_t kind, const char* fields, reml_capability_error_t* out) {
    if (!out || !rl_capability_error_usable(out)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_capability_error_clear(out);
    if (kind == REML_CAPABILITY_ERROR_NONE || kind >= RL_COUNT_OF(rows) || !fields)
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_allocator_t allocator;
    rl_arena_t arena;
    rl_json_doc_t doc;
    rl_buf_t text;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_arena_init(&arena, &allocator);
    rl_buf_init(&text, &allocator);
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    if (!rl_json_read(&doc, &arena, rl_str(fields))) {
        status = doc.problem ? REML_EMBED_STATUS_INVALID_ARGUMENT : REML_EMBED_STATUS_NO_MEMORY;
    } else if (doc.values.data[1].kind != RL_JSON_MAP) {
        status = REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    if (status != REML_EMBED_STATUS_INVALID_ARGUMENT) {
        out->kind = kind;
        out->code = rows[kind].code;
        out->diagnostic = rows[kind].diagnostic;
    }
    if (status == REML_EMBED_STATUS_OK) {
        out->actual_stage = stage_in(&doc, 1, "actual");
        if (out->actual_stage < 0) out->actual_stage = stage_in(&doc, rl_json_find(&doc, 1, "descriptor"), "stage");
        write_sentence(&text, rows[kind].sentence, &doc);
        out->detail = text.failed ? NULL : copy_text(rl_buf_str(&text));
        uint32_t descriptor = rl_json_find(&doc, 1, "descriptor");
        if (descriptor && doc.values.data[descriptor].kind == RL_JSON_MAP)
            out->descriptor = copy_text(doc.values.data[descriptor].written);
        out->fields = copy_text(rl_str(fields));
        if (!out->detail || !out->fields) status = REML_EMBED_STATUS_NO_MEMORY;
    }
    rl_buf_deinit(&text);
    rl_json_doc_deinit(&doc, &arena);
    rl_arena_deinit(&arena);
    return status;
}

void rl_refusal_begin(rl_refusal_t* refusal, uint32_t kind, const char* id, reml_capability_error_t* out) {
    refusal->out = out;
    refusal->kind = kind;
    rl_allocator_init(&refusal->allocator, NULL, NULL);
    rl_buf_init(&refusal->text, &refusal->allocator);
    refusal->json = rl_json_begin(&refusal->text);
    rl_json_object_begin(&refusal->json);
    if (id) rl_json_member(&refusal->json, "id", rl_str(id));
}

reml_embed_status_t rl_refusal_end(rl_refusal_t* refusal) {
    rl_json_object_end(&refusal->json);
    if (refusal->out) {
        if (refusal->text.failed) {
            refusal->out->kind = refusal->kind;
            refusal->out->code = rows[refusal->kind].code;
            refusal->out->diagnostic = rows[refusal->kind].diagnostic;
        } else {
            (void)reml_capability_error_make(refusal->kind, rl_buf_cstr(&refusal->text), refusal->out);
        }
    }
    rl_buf_deinit(&refusal->text);
    return REML_EMBED_STATUS_ERROR;
}

/* --- conversion ------------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_runtime_error_from_capability(
    const reml_capability_error_t* error, reml_runtime_error_t* out) {
    if (!error || !out || out->struct_size < sizeof *out || !rl_capability_error_usable(error) ||
        error->kind == REML_CAPABILITY_ERROR_NONE)
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    out->stage = error->actual_stage;
    out->code = error->diagnostic;
    out->cause = error->code;
    out->message = copy_text(rl_str(error->detail));
    out->descriptor = error->descriptor ? copy_text(rl_str(error->descriptor)) : NULL;
    if (!out->message || (error->descriptor && !out->descriptor)) {
        reml_runtime_error_release(out);
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    return REML_EMBED_STATUS_OK;
}

void reml_runtime_error_release(reml_runtime_error_t* error) {
    if (!error || error->struct_size < sizeof *error) return;
    free(error->message);
    free(error->descriptor);
    uint32_t size = error->struct_size;
    *error = (reml_runtime_error_t)REML_RUNTIME_ERROR_INIT;
    error->struct_size = size;
}
