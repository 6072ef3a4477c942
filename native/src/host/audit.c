/* reml_audit.h for contexts: checks of the border, then audit/. */
#include "host/context.h"

static reml_embed_status_t answer(rl_context_t* context, rl_audit_result_t result) {
    if (result == RL_AUDIT_OK) return REML_EMBED_STATUS_OK;
    rl_alloc_clear_failure(&context->allocator);
    return rl_context_fail(context, rl_status_of_audit(result), RL_CODE_AUDIT_UNAVAILABLE, "%s: %s",
        rl_code_text(RL_CODE_AUDIT_UNAVAILABLE), rl_audit_problem(&context->audit));
}

/* The callback as the audit folder wants it, with the host's own around it. */
static int deliver(const char* line, size_t length, void* user) {
    rl_context_t* context = user;
    return context->audit_sink(line, length, context->audit_sink_user);
}

reml_embed_status_t reml_embed_set_audit_sink(
    reml_embed_context_t* id, reml_audit_sink_t sink, void* user, reml_audit_destroy_t destroy) {
    RL_ENTER(id, context);
    if (context->audit.delivering) return REML_EMBED_STATUS_BUSY;
    rl_context_clear_error(context);
    reml_audit_destroy_t old_destroy = context->audit_sink_destroy;
    void* old_user = context->audit_sink_user;
    context->audit_sink = sink;
    context->audit_sink_user = user;
    context->audit_sink_destroy = destroy;
    rl_audit_result_t result = rl_audit_set_sink(&context->audit, sink ? deliver : NULL, context);
    if (old_destroy) old_destroy(old_user);
    return answer(context, result);
}

reml_embed_status_t reml_embed_set_audit_file(reml_embed_context_t* id, const reml_audit_file_options_t* given) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (!given) return answer(context, rl_audit_set_file(&context->audit, NULL));
    reml_audit_file_options_t options = REML_AUDIT_FILE_OPTIONS_INIT;
    if (!rl_copy_versioned(&options, sizeof options, given, given->struct_size) || options.flags || options.reserved ||
        !options.path || !*options.path || options.fsync > REML_AUDIT_FSYNC_EVERY ||
        options.policy > REML_AUDIT_POLICY_EVERY || options.on_failure > REML_AUDIT_ON_FAILURE_COUNT) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "invalid argument: options");
    }
    rl_audit_file_settings_t settings = {
        .path = options.path,
        .fsync = (rl_audit_fsync_t)options.fsync,
        .fsync_interval_ms = options.fsync_interval_ms,
        .rotate_bytes = options.rotate_bytes,
        .journal_bytes = options.journal_bytes,
    };
    context->direct = false;
    rl_audit_result_t result = rl_audit_set_file(&context->audit, &settings);
    if (result == RL_AUDIT_OK) {
        rl_audit_set_policy(&context->audit, (rl_audit_policy_t)options.policy, options.summary_interval_ms);
        rl_context_watch_effects(context);
        rl_audit_set_on_failure(&context->audit, (rl_audit_on_failure_t)options.on_failure);
    }
    return answer(context, result);
}

reml_embed_status_t reml_embed_audit_policy(
    reml_embed_context_t* id, uint32_t policy, uint32_t on_failure, uint32_t summary_interval_ms) {
    RL_ENTER(id, context);
    if (policy > REML_AUDIT_POLICY_EVERY || on_failure > REML_AUDIT_ON_FAILURE_COUNT)
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (context->audit.delivering) return REML_EMBED_STATUS_BUSY;
    context->direct = false;
    rl_audit_set_policy(&context->audit, (rl_audit_policy_t)policy, summary_interval_ms);
    rl_context_watch_effects(context);
    rl_audit_set_on_failure(&context->audit, (rl_audit_on_failure_t)on_failure);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_audit_command(reml_embed_context_t* id, const char* members, size_t length) {
    RL_ENTER(id, context);
    if (!members && length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_context_clear_error(context);
    return answer(context, rl_audit_set_command(&context->audit, (rl_str_t){members, length}));
}

/* False: not such a struct. */
static bool read_record(const reml_audit_record_t* given, rl_host_record_t* out_record) {
    reml_audit_record_t record = REML_AUDIT_RECORD_INIT;
    if (!given || !rl_copy_versioned(&record, sizeof record, given, given->struct_size) || record.flags) return false;
    *out_record = (rl_host_record_t){
        .kind = rl_str(record.kind),
        .category = rl_str(record.category),
        .capability = rl_str(record.capability),
        .channel = rl_str(record.channel),
        .audit_id = rl_str(record.audit_id),
        .timestamp = rl_str(record.timestamp),
        .metadata = rl_str(record.metadata),
        .change_set = rl_str(record.change_set),
        .extensions = rl_str(record.extensions),
    };
    return true;
}

static reml_embed_status_t refuse_record(rl_context_t* context, const char* why) {
    return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
        "invalid argument: %s", why);
}

reml_embed_status_t reml_embed_audit_log(
    reml_embed_context_t* id, const reml_audit_record_t* given, char out_audit_id[37]) {
    RL_ENTER(id, context);
    if (context->audit.delivering) return REML_EMBED_STATUS_BUSY;
    rl_host_record_t record;
    char audit_id[37];
    if (!read_record(given, &record)) return refuse_record(context, "record");
    rl_audit_result_t result = rl_audit_host_record(&context->audit, &record, audit_id);
    if (result == RL_AUDIT_INVALID) return refuse_record(context, rl_audit_problem(&context->audit));
    if (result == RL_AUDIT_OK && out_audit_id) memcpy(out_audit_id, audit_id, sizeof audit_id);
    return answer(context, result);
}

static _Thread_local char append_problem[256];

const char* reml_audit_last_problem(void) { return append_problem; }

reml_embed_status_t reml_audit_append(const char* path, const reml_audit_record_t* given, char out_audit_id[37]) {
    rl_host_record_t record;
    char audit_id[37];
    append_problem[0] = '\0';
    if (!path || !*path || !read_record(given, &record)) {
        memcpy(append_problem, "invalid argument", sizeof "invalid argument");
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    rl_audit_result_t result = rl_audit_append_file(rl_os_env(), path, &record, audit_id, append_problem);
    if (result == RL_AUDIT_NO_MEMORY) memcpy(append_problem, "no memory", sizeof "no memory");
    if (result == RL_AUDIT_OK && out_audit_id) memcpy(out_audit_id, audit_id, sizeof audit_id);
    return rl_status_of_audit(result);
}

reml_embed_status_t reml_embed_audit_drain(reml_embed_context_t* id, char** out_text, size_t* out_length) {
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    rl_buf_t text;
    if (id) {
        RL_ENTER(id, context);
        rl_context_clear_error(context);
        rl_buf_init(&text, &context->allocator);
        reml_embed_status_t status = answer(context, rl_audit_drain(&context->audit, &text));
        if (status == REML_EMBED_STATUS_OK && text.length) return rl_hand_over(context, &text, out_text, out_length);
        rl_buf_deinit(&text);
        return status;
    }
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_buf_init(&text, &allocator);
    rl_process_lock();
    rl_audit_t* audit = rl_process_audit();
    rl_audit_result_t result = audit ? rl_audit_drain(audit, &text) : RL_AUDIT_NO_MEMORY;
    rl_process_unlock();
    reml_embed_status_t status = rl_status_of_audit(result);
    if (status == REML_EMBED_STATUS_OK && text.length) status = rl_copy_out(&text, out_text, out_length);
    rl_buf_deinit(&text);
    return status;
}

uint64_t reml_embed_audit_dropped(const reml_embed_context_t* id) {
    rl_context_t* context = NULL;
    return rl_slot_resolve(id, &context) == REML_EMBED_STATUS_OK ? rl_audit_dropped(&context->audit) : 0;
}

uint64_t reml_embed_audit_count(const reml_embed_context_t* id) {
    if (!id) return rl_audit_thread_lifecycle_count();
    rl_context_t* context = NULL;
    return rl_slot_resolve(id, &context) == REML_EMBED_STATUS_OK ? rl_audit_record_count(&context->audit) : 0;
}
