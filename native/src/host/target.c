/* What the modules of a context are loaded for: the target that @cfg asks about, stages and capabilities (LANGUAGE 3.5). */
#include "host/context.h"

#include "base/json.h"

/* What the host gave, else `fallback`; an empty text counts as given. */
static bool take(rl_arena_t* arena, const char* given, rl_str_t fallback, rl_str_t* out, bool* valid) {
    if (!given) {
        *out = fallback;
        return true;
    }
    rl_str_t text = rl_str(given);
    if (rl_utf8_validate(text) != text.length) *valid = false;
    *out = rl_arena_copy(arena, text);
    return out->data != NULL;
}

static reml_embed_status_t set_target(rl_context_t* context, const reml_embed_target_t* given) {
    reml_embed_target_t target = REML_EMBED_TARGET_INIT;
    if (given && (!rl_copy_versioned(&target, sizeof target, given, given->struct_size) ||
                     (target.flags & ~(uint32_t)REML_EMBED_TARGET_LOG_CFG) != 0))
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    const rl_target_config_t host = rl_target_of_host();
    rl_target_config_t made = {0};
    rl_arena_t arena;
    rl_arena_init(&arena, &context->allocator);
    bool valid = true, done = true;
#define TAKE(name) done = done && take(&arena, target.name, host.name, &made.name, &valid)
    TAKE(os);
    TAKE(family);
    TAKE(arch);
    TAKE(abi);
    TAKE(env);
    TAKE(vendor);
    TAKE(profile_id);
    TAKE(runtime_revision);
    TAKE(stdlib_version);
    TAKE(features);
    TAKE(capabilities);
    TAKE(known_capabilities);
    TAKE(runners);
    TAKE(known_runners);
    TAKE(extra);
#undef TAKE
    if (!done || !valid) {
        rl_arena_deinit(&arena);
        if (!done) return REML_EMBED_STATUS_NO_MEMORY;
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    rl_arena_deinit(&context->target_arena);
    context->target_arena = arena;
    context->target = made;
    context->logs_cfg = (target.flags & REML_EMBED_TARGET_LOG_CFG) != 0;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t rl_context_init_target(rl_context_t* context, const reml_embed_options_t* options) {
    rl_arena_init(&context->target_arena, &context->allocator);
    if (options->minimum_stage > REML_EMBED_STAGE_STABLE) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    context->minimum_stage = options->minimum_stage;
    return set_target(context, options->target);
}

void rl_context_deinit_target(rl_context_t* context) { rl_arena_deinit(&context->target_arena); }

reml_embed_status_t reml_embed_set_target(reml_embed_context_t* id, const reml_embed_target_t* target) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_alloc_clear_failure(&context->allocator);
    reml_embed_status_t status = set_target(context, target);
    if (status == REML_EMBED_STATUS_NO_MEMORY) return rl_context_no_memory(context);
    if (status == REML_EMBED_STATUS_OK) return status;
    return rl_context_fail(context, status, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "invalid argument: target");
}

/* --- what @cfg asked ------------------------------------------------------------------------------------------------------ */

/* Answer a key as the target does, and note question and answer. */
static bool test_and_note(void* user, const rl_cfg_test_t* test, rl_diags_t* diags) {
    rl_context_t* context = user;
    const rl_cfg_t cfg = rl_target_cfg(&context->target);
    bool result = cfg.test(cfg.user, test, diags);
    if (context->cfg_log.length) rl_buf_add_char(&context->cfg_log, ',');
    rl_json_t json = rl_json_begin(&context->cfg_log);
    rl_json_object_begin(&json);
    rl_json_member(&json, "key", test->key);
    rl_json_member(&json, "value", test->value);
    rl_json_key(&json, "result");
    rl_json_bool(&json, result);
    rl_json_key(&json, "byte_start");
    rl_json_u64(&json, test->key_span.start);
    rl_json_object_end(&json);
    return result;
}

rl_cfg_t rl_context_cfg(rl_context_t* context) {
    rl_buf_clear(&context->cfg_log);
    return context->logs_cfg ? (rl_cfg_t){context, test_and_note} : rl_target_cfg(&context->target);
}

reml_embed_status_t reml_embed_cfg_json(reml_embed_context_t* id, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_alloc_clear_failure(&context->allocator);
    rl_buf_clear(&context->lent_text);
    rl_buf_add_char(&context->lent_text, '[');
    rl_buf_add(&context->lent_text, rl_buf_str(&context->cfg_log));
    rl_buf_add_char(&context->lent_text, ']');
    if (context->allocator.failed) return rl_context_no_memory(context);
    *out = (reml_span_t){(void*)(uintptr_t)rl_buf_cstr(&context->lent_text), context->lent_text.length};
    return REML_EMBED_STATUS_OK;
}
