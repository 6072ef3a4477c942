/* The guide's five functions and what belongs to a context's life (CONTRACTS 1). */
#include "host/program.h"

#include <stdlib.h>
#include <strings.h>

const char* reml_embed_abi_version(void) { return REML_EMBED_ABI_VERSION; }
#ifndef REML_EMBED_VERSION
#define REML_EMBED_VERSION "0.1.0"
#endif
const char* reml_embed_version(void) { return REML_EMBED_VERSION; }

/* --- limits --------------------------------------------------------------------------------------------------- */

/* The numbers of DESIGN 2.7: this table is their only home in code. */
#define LIMITS(LIMIT)                                                                                                  \
    LIMIT(fuel, UINT64_C(1000000000000), 100000000)                                                                    \
    LIMIT(heap_bytes, UINT64_C(1) << 30, 64 << 20)                                                                     \
    LIMIT(deadline_ms, 0, 2000)                                                                                        \
    LIMIT(call_depth, 200000, 10000)                                                                                   \
    LIMIT(string_bytes, 256 << 20, 16 << 20)                                                                           \
    LIMIT(output_bytes, UINT64_C(1) << 30, 1 << 20)                                                                    \
    LIMIT(source_bytes, 16 << 20, 1 << 20)                                                                             \
    LIMIT(nesting, 1000, 1000)                                                                                         \
    LIMIT(identifier_bytes, 1024, 1024)                                                                                \
    LIMIT(instances, 10000, 10000)                                                                                     \
    LIMIT(type_depth, 100, 100)

void reml_embed_limits_default(reml_embed_limits_t* out) {
    if (!out) return;
    *out = (reml_embed_limits_t){.struct_size = sizeof *out};
#define LIMIT(name, standard, untrusted) out->name = (uint64_t)(standard);
    LIMITS(LIMIT)
#undef LIMIT
}
void reml_embed_limits_untrusted(reml_embed_limits_t* out) {
    if (!out) return;
    *out = (reml_embed_limits_t){.struct_size = sizeof *out};
#define LIMIT(name, standard, untrusted) out->name = (uint64_t)(untrusted);
    LIMITS(LIMIT)
#undef LIMIT
}

/* Copy a struct that may be older (shorter) or newer (longer, zero behind) than ours. */
bool rl_copy_versioned(void* ours, size_t our_size, const void* theirs, uint32_t their_size) {
    if (their_size < 2 * sizeof(uint32_t)) return false;
    size_t common = their_size < our_size ? their_size : our_size;
    memcpy(ours, theirs, common);
    for (size_t i = our_size; i < their_size; i++) {
        if (((const unsigned char*)theirs)[i]) return false;
    }
    return true;
}

static bool read_limits(const reml_embed_limits_t* given, rl_limits_t* out) {
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    if (given && (!rl_copy_versioned(&limits, sizeof limits, given, given->struct_size) || limits.flags != 0))
        return false;
#define LIMIT(name, standard, untrusted) out->name = limits.name;
    LIMITS(LIMIT)
#undef LIMIT
    return true;
}

void rl_context_apply_limits(rl_context_t* context) {
    const rl_limits_t* limits = &context->limits;
    context->direct = false;
    context->vm.limits = *limits;
    context->allocator.limit_bytes = limits->heap_bytes > SIZE_MAX ? SIZE_MAX : (size_t)limits->heap_bytes;
    context->compiler.instance_limit = limits->instances > UINT32_MAX ? UINT32_MAX : (uint32_t)limits->instances;
    context->compiler.depth_limit = limits->type_depth > UINT32_MAX ? UINT32_MAX : (uint32_t)limits->type_depth;
}

static void apply_limits(rl_context_t* context, const rl_limits_t* limits) {
    context->limits = *limits;
    rl_context_apply_limits(context);
}

/* Asking for no limit at all is allowed by name and leaves a record. */
static void record_unlimited(rl_context_t* context, const rl_limits_t* limits) {
    char names[256] = "";
    size_t used = 0;
#define LIMIT(name, standard, untrusted)                                                                               \
    if (limits->name == REML_EMBED_UNLIMITED && used + sizeof(#name) + 1 < sizeof names) {                             \
        if (used) names[used++] = ' ';                                                                                 \
        memcpy(names + used, #name, sizeof(#name) - 1);                                                                \
        used += sizeof(#name) - 1;                                                                                     \
    }
    LIMIT(call_depth, 0, 0)
    LIMIT(fuel, 0, 0)
    LIMIT(heap_bytes, 0, 0)
    LIMIT(identifier_bytes, 0, 0)
    LIMIT(instances, 0, 0)
    LIMIT(nesting, 0, 0)
    LIMIT(output_bytes, 0, 0)
    LIMIT(source_bytes, 0, 0)
    LIMIT(string_bytes, 0, 0)
    LIMIT(type_depth, 0, 0)
#undef LIMIT
    if (used) rl_audit_limits_unlimited(&context->audit, (rl_str_t){names, used});
}

reml_embed_status_t reml_embed_set_limits(reml_embed_context_t* id, const reml_embed_limits_t* limits) {
    RL_ENTER(id, context);
    rl_limits_t read;
    if (!limits || !read_limits(limits, &read)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (context->depth) {
        /* Inside a run limits may only become tighter. */
#define LIMIT(name, standard, untrusted)                                                                               \
    if (read.name > context->limits.name) read.name = context->limits.name;
        LIMITS(LIMIT)
#undef LIMIT
    }
    apply_limits(context, &read);
    record_unlimited(context, &read);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_get_limits(reml_embed_context_t* id, reml_embed_limits_t* out) {
    RL_ENTER(id, context);
    if (!out || out->struct_size < 2 * sizeof(uint32_t)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_embed_limits_t limits = {.struct_size = out->struct_size};
#define LIMIT(name, standard, untrusted) limits.name = context->limits.name;
    LIMITS(LIMIT)
#undef LIMIT
    memcpy(out, &limits, out->struct_size < sizeof limits ? out->struct_size : sizeof limits);
    return REML_EMBED_STATUS_OK;
}

/* --- create ------------------------------------------------------------------------------------------------------ */

/* "N.N.N" without signs, blanks or leading zeros that change nothing; false otherwise. */
static bool read_version(const char* text, unsigned long out[3]) {
    for (int i = 0; i < 3; i++) {
        if (*text < '0' || *text > '9') return false;
        unsigned long value = 0;
        while (*text >= '0' && *text <= '9') {
            value = value * 10 + (unsigned long)(*text++ - '0');
            if (value > 1000000) return false;
        }
        out[i] = value;
        if (i < 2 && *text++ != '.') return false;
    }
    return *text == '\0';
}

static bool version_acceptable(const char* text) {
    unsigned long v[3];
    if (!read_version(text, v) || v[0] != REML_EMBED_ABI_MAJOR) return false;
    if (REML_EMBED_ABI_MAJOR == 0 && v[1] != REML_EMBED_ABI_MINOR) return false;
    if (v[1] != REML_EMBED_ABI_MINOR) return v[1] < REML_EMBED_ABI_MINOR;
    return v[2] <= REML_EMBED_ABI_PATCH;
}

static bool forced_unsupported(void) {
    const char* value = getenv("REML_EMBED_FORCE_UNSUPPORTED");
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0);
}

void rl_lifecycle_record(rl_context_t* context, rl_audit_function_t function, reml_embed_status_t status,
    const char* abi_version, rl_str_t entrypoint, uint64_t source_bytes) {
    rl_audit_embed_call_t call = {
        .function = function,
        .abi_version = rl_str(context ? context->abi_version : abi_version),
        .status_label = rl_str(reml_embed_status_label(status)),
        .failed = status != REML_EMBED_STATUS_OK,
        .refused = status == REML_EMBED_STATUS_AUDIT_UNAVAILABLE,
        .abi_mismatch = status == REML_EMBED_STATUS_ABI_MISMATCH,
        .unsupported_target = status == REML_EMBED_STATUS_UNSUPPORTED_TARGET,
        .run_entrypoint = entrypoint,
        .source_bytes = source_bytes,
    };
    if (call.failed) {
        rl_code_t code = RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT;
        if (call.abi_mismatch) code = RL_CODE_NATIVE_EMBED_ABI_MISMATCH;
        else if (call.unsupported_target) code = RL_CODE_NATIVE_EMBED_UNSUPPORTED_TARGET;
        else if (context && context->has_error) code = context->error_code;
        else if (status == REML_EMBED_STATUS_NO_MEMORY) code = RL_CODE_RUNTIME_LIMIT_MEMORY;
        else if (status == REML_EMBED_STATUS_AUDIT_UNAVAILABLE) code = RL_CODE_AUDIT_UNAVAILABLE;
        call.error_code = rl_str(rl_code_text(code));
        if (context && context->has_error) call.error_message = rl_buf_str(&context->error);
        else if (function == RL_AUDIT_CREATE_CONTEXT) call.error_message = rl_str(reml_embed_last_create_error());
        if (!call.error_message.length) call.error_message = rl_str(reml_embed_status_label(status));
    }
    if (context) {
        rl_audit_embed_call(&context->audit, &call);
        return;
    }
    rl_process_lock();
    rl_audit_t* audit = rl_process_audit();
    if (audit) rl_audit_embed_call(audit, &call);
    rl_process_unlock();
}

static bool vm_output(void* host, rl_str_t text, bool is_error) {
    rl_context_t* context = host;
    (void)is_error; /* a host that wants to tell them apart takes Console effects (later) */
    return !context->output || context->output(text.data, text.length, context->output_user) == REML_EMBED_STATUS_OK;
}

static bool vm_input(void* host, rl_str_t question, rl_str_t* out_answer) {
    rl_context_t* context = host;
    const char* answer = NULL;
    size_t length = 0;
    *out_answer = (rl_str_t){"", 0};
    if (!context->input) return true;
    if (context->input(question.data, question.length, &answer, &length, context->input_user) != REML_EMBED_STATUS_OK)
        return false;
    if (answer && length) *out_answer = (rl_str_t){answer, length};
    return true;
}

static bool vm_poll(void* host) {
    rl_context_t* context = host;
    if (RL_UNLIKELY(atomic_load_explicit(&context->slot->interrupt, memory_order_relaxed))) {
        atomic_store(&context->slot->interrupt, 0);
        return false;
    }
    return !context->poll || context->poll(context->poll_user) == REML_EMBED_STATUS_OK;
}

static void vm_unsafe_region(void* host, rl_str_t function, uint32_t line) {
    rl_context_t* context = host;
    rl_audit_unsafe_region(&context->audit, (rl_str_t){NULL, 0}, function, line);
}

/* Everything that the machine in place asks of the host. */
void rl_context_connect(rl_context_t* context) {
    context->vm.host = context;
    context->vm.call_host = rl_host_call;
    context->vm.may_perform = rl_grants_may_perform;
    context->vm.output = vm_output;
    context->vm.input = vm_input;
    context->vm.poll = vm_poll;
    context->vm.unsafe_region = vm_unsafe_region;
    context->vm.ownership_violation = rl_foreign_violation;
    context->vm.environment = rl_host_environment;
    context->vm.argument = rl_host_argument;
    context->vm.mark_host_roots = rl_context_mark_roots;
    context->vm.heap.host_dropped = rl_host_object_dropped;
    rl_effects_connect(context);
    rl_async_connect(context);
    rl_files_connect(context);
    if (context->options & REML_EMBED_OPTION_STRESS_GC) rl_heap_set_stress(&context->vm.heap, true, true);
}

/* Everything of a context but its slot. The allocator is ready; on failure the caller runs context_deinit. */
static bool context_init(rl_context_t* context, const rl_program_t* prelude) {
    rl_allocator_t* allocator = &context->allocator;
    rl_arena_init(&context->diag_arena, allocator);
    rl_diags_init(&context->diagnostics, allocator, &context->diag_arena);
    context->diagnostics.warnings_as_errors = (context->options & REML_EMBED_OPTION_WARNINGS_AS_ERRORS) != 0;
    rl_surroundings_init(context, &context->arguments);
    rl_surroundings_init(context, &context->variables);
    rl_buf_init(&context->error, allocator);
    rl_buf_init(&context->lent_text, allocator);
    rl_buf_init(&context->constraints, allocator);
    rl_buf_init(&context->cfg_log, allocator);
    rl_buf_init(&context->host_failure, allocator);
    rl_buf_init(&context->history, allocator);
    rl_program_init(&context->program, prelude, allocator);
    context->history_extent = rl_program_extent(&context->program);
    rl_compiler_init(&context->compiler, &context->program, allocator);
    if (!rl_audit_init(&context->audit, allocator, NULL)) return false;
    context->audit.bridge_total = &context->metrics.total_calls;
    context->audit.bridge_success = &context->metrics.success_calls;
    if (!rl_vm_init(&context->vm, allocator, &context->program)) return false;
    rl_effects_init(context);
    rl_context_connect(context);
    return !allocator->failed;
}

static void context_deinit(rl_context_t* context) {
    rl_profile_deinit(context);
    rl_jobs_deinit(context);
    rl_promises_deinit(context);
    rl_functions_deinit(context);
    rl_handles_deinit(context);
    rl_reload_deinit(context);
    rl_vm_deinit(&context->vm);
    rl_foreign_detach(context);
    rl_foreign_deinit(context);
    rl_effects_deinit(context);
    rl_bindings_deinit(context); /* after the heap: host objects' destructors may belong to the same library */
    rl_audit_deinit(&context->audit);
    if (context->audit_sink_destroy) context->audit_sink_destroy(context->audit_sink_user);
    rl_compiler_deinit(&context->compiler);
    rl_program_deinit(&context->program);
    rl_image_leave(context);
    rl_vec_deinit(&context->allocator, &context->module_states);
    rl_vec_deinit(&context->allocator, &context->effect_guards);
    rl_surroundings_deinit(context, &context->variables);
    rl_surroundings_deinit(context, &context->arguments);
    rl_buf_deinit(&context->host_failure);
    rl_buf_deinit(&context->history);
    rl_buf_deinit(&context->lent_text);
    rl_buf_deinit(&context->constraints);
    rl_buf_deinit(&context->cfg_log);
    rl_buf_deinit(&context->error);
    rl_context_deinit_target(context);
    rl_diags_deinit(&context->diagnostics);
    rl_arena_deinit(&context->diag_arena);
}

/* The context lies in memory of its own allocator, which must outlive it by one call. */
static void context_free(rl_context_t* context) {
    context_deinit(context);
    rl_allocator_t allocator = context->allocator;
    rl_free(&allocator, context, sizeof *context);
}

/* Steps of create in the order of CONTRACTS 1.2; everything that can refuse comes before anything is made. */
static reml_embed_status_t create(const char* abi_version, const reml_embed_options_t* given,
    reml_embed_context_t** out_id, rl_context_t** out_context) {
    rl_process_create_error("%s", "");
    if (!out_id) {
        rl_process_create_error("invalid argument: out_context");
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    *out_id = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    const uint32_t known_flags = REML_EMBED_OPTION_STRICT_TOP_LEVEL | REML_EMBED_OPTION_DENY_NON_EXHAUSTIVE |
                                 REML_EMBED_OPTION_WARNINGS_AS_ERRORS | REML_EMBED_OPTION_STRESS_GC |
                                 REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL;
    rl_limits_t limits;
    if (!abi_version || rl_utf8_validate(rl_str(abi_version)) != strlen(abi_version)) {
        rl_process_create_error("invalid argument: abi_version");
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    if (!version_acceptable(abi_version)) {
        rl_process_create_error("abi mismatch: expected %s, got %.64s", REML_EMBED_ABI_VERSION, abi_version);
        return REML_EMBED_STATUS_ABI_MISMATCH;
    }
    if (given &&
        (!rl_copy_versioned(&options, sizeof options, given, given->struct_size) || (options.flags & ~known_flags))) {
        rl_process_create_error("invalid argument: options");
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    if (!read_limits(options.limits, &limits)) {
        rl_process_create_error("invalid argument: options.limits");
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    const rl_target_t* target = rl_os_target();
    if (!target->os || forced_unsupported()) {
        rl_process_create_error("unsupported target: %s", target->os ? target->os : "unknown");
        return REML_EMBED_STATUS_UNSUPPORTED_TARGET;
    }
    const rl_program_t* prelude = rl_process_prelude();
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, options.resize, options.resize_user);
    allocator.limit_bytes = limits.heap_bytes > SIZE_MAX ? SIZE_MAX : (size_t)limits.heap_bytes;
    rl_context_t* context = prelude ? rl_alloc_zero(&allocator, sizeof *context) : NULL;
    if (!context) {
        rl_process_create_error("out of memory");
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    context->allocator = allocator;
    context->options = options.flags;
    memcpy(context->abi_version, abi_version, strlen(abi_version) + 1); /* "0.1.x": short, checked above */
    bool made = context_init(context, prelude);
    if (made) {
        reml_embed_status_t status = rl_context_init_target(context, &options);
        if (status == REML_EMBED_STATUS_INVALID_ARGUMENT) {
            context_free(context);
            rl_process_create_error("invalid argument: options.target");
            return status;
        }
        made = status == REML_EMBED_STATUS_OK;
    }
    if (made) made = (context->slot = rl_slot_take(context, &context->id, &context->serial)) != NULL;
    context->type_serial = context->serial;
    if (made) {
        reml_embed_status_t status = rl_grants_init(context, &options);
        if (status == REML_EMBED_STATUS_INVALID_ARGUMENT) {
            rl_slot_give_back(context->slot);
            context_free(context);
            rl_process_create_error("invalid argument: options.granted_capabilities");
            return status;
        }
        made = status == REML_EMBED_STATUS_OK;
        if (!made) rl_slot_give_back(context->slot);
    }
    if (!made) {
        context_free(context);
        rl_process_create_error("out of memory");
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    apply_limits(context, &limits);

    if (options.audit_command) {
        rl_audit_result_t named = rl_audit_set_command(&context->audit, rl_str(options.audit_command));
        if (named != RL_AUDIT_OK) {
            bool full = named == RL_AUDIT_NO_MEMORY;
            rl_process_create_error("%s", full ? "out of memory" : "invalid argument: options.audit_command");
            rl_grants_deinit(context, false);
            rl_slot_give_back(context->slot);
            context_free(context);
            return rl_status_of_audit(named);
        }
    }
    const char* path = options.audit_path ? options.audit_path : getenv("REML_EMBED_AUDIT_PATH");
    if (path && *path) {
        rl_audit_file_settings_t settings = {.path = path};
        rl_audit_result_t opened = rl_audit_set_file(&context->audit, &settings);
        if (opened != RL_AUDIT_OK) {
            rl_process_create_error("audit.unavailable: %s", rl_audit_problem(&context->audit));
            rl_grants_deinit(context, false);
            rl_slot_give_back(context->slot);
            context_free(context);
            return rl_status_of_audit(opened);
        }
    }
    rl_process_register(context);
    record_unlimited(context, &limits);
    *out_context = context;
    *out_id = context->id;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_create(
    const char* abi_version, const reml_embed_options_t* options, reml_embed_context_t** out_context) {
    rl_context_t* context = NULL;
    reml_embed_status_t status = create(abi_version, options, out_context, &context);
    bool readable = abi_version && rl_utf8_validate(rl_str(abi_version)) == strlen(abi_version);
    rl_lifecycle_record(
        context, RL_AUDIT_CREATE_CONTEXT, status, readable ? abi_version : NULL, (rl_str_t){NULL, 0}, 0);
    return status;
}

reml_embed_status_t reml_create_context(const char* abi_version, reml_embed_context_t** out_context) {
    return reml_embed_create(abi_version, NULL, out_context);
}

/* --- load, run, dispose ------------------------------------------------------------------------------------------- */

reml_embed_status_t rl_load_allowed(rl_context_t* context) {
    if (context->depth || context->frozen || context->audit.delivering) {
        return rl_context_fail(
            context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "the context is running");
    }
    rl_audit_result_t ready = rl_audit_ready(&context->audit);
    if (ready == RL_AUDIT_OK) return REML_EMBED_STATUS_OK;
    return rl_context_fail(context, rl_status_of_audit(ready), RL_CODE_AUDIT_UNAVAILABLE, "audit.unavailable: %s",
        rl_audit_problem(&context->audit));
}

reml_embed_status_t rl_load_checked(rl_context_t* context, const reml_embed_source_t* given, uint32_t known_flags,
    reml_embed_source_t* out_source, uint64_t* out_bytes) {
    rl_context_clear_error(context);
    if (!given || !rl_copy_versioned(out_source, sizeof *out_source, given, given->struct_size) ||
        (out_source->flags & ~known_flags)) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "invalid argument: source");
    }
    *out_bytes = out_source->text_length;
    if (!out_source->text || out_source->text_length == 0) {
        return rl_context_fail(
            context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "source is empty");
    }
    reml_embed_status_t allowed = rl_load_allowed(context);
    return allowed == REML_EMBED_STATUS_OK ? rl_pipeline_load(context, out_source) : allowed;
}

reml_embed_status_t reml_embed_load(reml_embed_context_t* id, const reml_embed_source_t* source) {
    rl_context_t* context = NULL;
    uint64_t bytes = 0;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_OK) {
        rl_take_remote_releases(context);
        const uint32_t flags = REML_EMBED_SOURCE_AMBIENT | REML_EMBED_SOURCE_CHECK_ONLY | REML_EMBED_SOURCE_TELEMETRY;
        reml_embed_source_t read = REML_EMBED_SOURCE_INIT;
        status = rl_load_checked(context, source, flags, &read, &bytes);
    }
    rl_lifecycle_record(context, RL_AUDIT_LOAD_MODULE, status, NULL, (rl_str_t){NULL, 0}, bytes);
    return status;
}

reml_embed_status_t reml_load_module(reml_embed_context_t* id, const unsigned char* text, size_t length) {
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    source.text = (const char*)text;
    source.text_length = text ? length : 0;
    return reml_embed_load(id, &source);
}

static reml_embed_status_t run(rl_context_t* context, const char* entrypoint) {
    rl_context_clear_error(context);
    rl_str_t name = rl_str(entrypoint);
    reml_embed_status_t status = rl_run_begin_entry(context, name);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (context->profiling) rl_profile_begin(context, NULL);
    status = rl_pipeline_initialise(context);
    if (status == REML_EMBED_STATUS_OK && name.length) {
        rl_fn_id_t function = rl_program_find_function(&context->program, name);
        rl_proto_t* proto = NULL;
        if (!function) {
            status = rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_RUNTIME_ENTRY_UNKNOWN,
                "entrypoint not found: %.*s", RL_STR_ARG(name));
        } else {
            proto = rl_pipeline_entry(context, function, &status);
        }
        if (proto) {
            if (context->profiling) rl_profile_begin(context, proto);
            rl_word_t result;
            const rl_rtype_t* type = proto->result_type;
            rl_outcome_t outcome = rl_vm_call(&context->vm, proto, NULL, NULL, &result);
            if (outcome == RL_DONE && rl_type_is_future(type)) {
                type = type->args[0];
                outcome = rl_vm_await(&context->vm, result.o, &result);
            }
            rl_run_settle(context, result, type->rep == RL_REP_R);
            if (outcome == RL_DONE) {
                rl_result_drop(context);
                context->result = result;
                context->result_type = type;
            } else {
                status = rl_context_fail_from_vm(context);
            }
        }
    } else if (status == REML_EMBED_STATUS_OK) {
        rl_result_drop(context);
    }
    rl_run_end(context);
    return status;
}

reml_embed_status_t reml_run(reml_embed_context_t* id, const char* entrypoint) {
    rl_context_t* context = NULL;
    if (!entrypoint) entrypoint = "main";
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_OK) {
        rl_take_remote_releases(context);
        status = run(context, entrypoint);
    }
    rl_str_t name = rl_str(entrypoint);
    if (rl_utf8_validate(name) != name.length) name = RL_STR("(not UTF-8)");
    rl_lifecycle_record(context, RL_AUDIT_RUN, status, NULL, name, 0);
    return status;
}

reml_embed_status_t reml_dispose_context(reml_embed_context_t* id) {
    rl_context_t* context = NULL;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    bool forked = status == REML_EMBED_STATUS_FORKED;
    if (forked) {
        uint64_t generation;
        context =
            rl_slot_find(id, &generation)->context; /* a child may free what it inherited; its log is the parent's */
    }
    if (context && (context->depth || context->frozen || context->audit.delivering) && !forked) {
        rl_context_fail(
            context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "the context is running");
        rl_lifecycle_record(context, RL_AUDIT_DISPOSE_CONTEXT, REML_EMBED_STATUS_BUSY, NULL, (rl_str_t){NULL, 0}, 0);
        return REML_EMBED_STATUS_BUSY;
    }
    if (!context) {
        rl_lifecycle_record(NULL, RL_AUDIT_DISPOSE_CONTEXT, status, NULL, (rl_str_t){NULL, 0}, 0);
        return status;
    }
    if (!forked) {
        rl_context_clear_error(context);
        rl_take_remote_releases(context);
        rl_functions_deinit(context);
        rl_foreign_release_all(context);
        rl_handles_report_leaks(context);
        rl_audit_flush(&context->audit); /* summaries first: dispose is a context's last record */
        rl_lifecycle_record(context, RL_AUDIT_DISPOSE_CONTEXT, REML_EMBED_STATUS_OK, NULL, (rl_str_t){NULL, 0}, 0);
        rl_audit_flush(&context->audit);
        rl_process_lock();
        rl_audit_t* process = rl_process_audit();
        if (process) rl_audit_transfer(&context->audit, process);
        rl_process_unlock();
        rl_process_retire(context);
    }
    rl_grants_deinit(context, forked);
    rl_slot_give_back(context->slot);
    context_free(context);
    return REML_EMBED_STATUS_OK;
}

/* --- small settings --------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_embed_set_user(reml_embed_context_t* id, void* user) {
    RL_ENTER(id, context);
    context->user = user;
    return REML_EMBED_STATUS_OK;
}
void* reml_embed_user(reml_embed_context_t* id) {
    rl_context_t* context = NULL;
    return rl_slot_resolve(id, &context) == REML_EMBED_STATUS_OK ? context->user : NULL;
}
reml_embed_status_t reml_embed_set_output(reml_embed_context_t* id, reml_output_fn output, void* user) {
    RL_ENTER(id, context);
    context->output = output;
    context->output_user = user;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_embed_set_input(reml_embed_context_t* id, reml_input_fn input, void* user) {
    RL_ENTER(id, context);
    context->input = input;
    context->input_user = user;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_embed_set_poll(reml_embed_context_t* id, reml_poll_fn poll, void* user) {
    RL_ENTER(id, context);
    context->poll = poll;
    context->poll_user = user;
    return REML_EMBED_STATUS_OK;
}
