/* Effects as the host sees them (reml_effects.h): opt-ins, handlers of its own, what handlers do, and their records. */
#include "host/program.h"

#include "base/json.h"
#include "base/utf8.h"
#include "host/capability.h"

#include <stdio.h>

/* --- the registry ------------------------------------------------------------------------------------------------- */

/* The answer depends on more than a program could keep: it is checked anew in each context. */
static void asked_of_stages(rl_context_t* context) {
    if (context->recording) context->recording->stages = true;
}

/* Where the capability stands, -1: there is none; its descriptor goes to `descriptor`. */
static int stage_of(void* user, rl_str_t id, rl_buf_t* descriptor) {
    rl_context_t* context = user;
    asked_of_stages(context);
    rl_capability_state_t state = rl_capability_look(context->registry, id);
    if (!state.registered) return -1;
    char* name = rl_alloc_zero(&context->allocator, id.length + 1);
    char* json = NULL;
    if (name) memcpy(name, id.data, id.length);
    if (name && reml_capability_describe(context->registry, name, &json, NULL) == REML_EMBED_STATUS_OK)
        rl_buf_add_cstr(descriptor, json);
    reml_embed_free(json);
    rl_free(&context->allocator, name, id.length + 1);
    return (int)state.stage;
}

bool rl_effects_opted_in(rl_context_t* context, rl_str_t id) {
    return rl_target_list_has(context->effects.features, RL_STR("algebraic-effects")) ||
           rl_target_list_has(context->effects.opted_in, id);
}

static bool opted_in(void* user, rl_str_t id) {
    rl_context_t* context = user;
    asked_of_stages(context);
    return rl_effects_opted_in(context, id) || rl_grants_by_name(context, id) ||
           rl_capability_look(context->registry, id).opted_in;
}

/* --- opting in --------------------------------------------------------------------------------------------------- */

static bool handled_by_host(void* user, rl_str_t effect) {
    rl_context_t* context = user;
    asked_of_stages(context);
    rl_sym_t name = rl_sym_find(&context->program.symbols, effect);
    for (uint32_t i = 0; name && i < context->effects.handlers.count; i++) {
        if (context->effects.handlers.data[i].effect == name) return true;
    }
    return false;
}

rl_stage_policy_t rl_context_stages(rl_context_t* context) {
    return (rl_stage_policy_t){.user = context,
        .stage_of = stage_of,
        .opted_in = opted_in,
        .handled_by_host = handled_by_host,
        .feature = rl_target_list_has(context->effects.features, RL_STR("algebraic-effects")),
        .demanded = (context->effects.flags & REML_EFFECTS_DEMAND_OPT_IN) != 0 ||
                    (context->options & REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL) != 0,
        .acknowledged = (context->effects.flags & REML_EFFECTS_ACKNOWLEDGE) != 0};
}

reml_embed_status_t reml_embed_set_effects(reml_embed_context_t* id, const reml_effects_options_t* given) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_alloc_clear_failure(&context->allocator);
    reml_effects_options_t options = REML_EFFECTS_OPTIONS_INIT;
    const uint32_t known = REML_EFFECTS_DEMAND_OPT_IN | REML_EFFECTS_ACKNOWLEDGE;
    bool valid =
        !given || (rl_copy_versioned(&options, sizeof options, given, given->struct_size) && !(options.flags & ~known));
    rl_str_t features = rl_str(options.features ? options.features : "");
    rl_str_t ids = rl_str(options.capabilities ? options.capabilities : "");
    valid = valid && rl_utf8_validate(features) == features.length && rl_utf8_validate(ids) == ids.length;
    if (!valid)
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "invalid argument: effects");
    if (context->depth)
        return rl_context_fail(
            context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "the context is running");
    rl_arena_t arena;
    rl_arena_init(&arena, &context->allocator);
    rl_str_t kept_features = rl_arena_copy(&arena, features), kept_ids = rl_arena_copy(&arena, ids);
    if (!kept_features.data || !kept_ids.data) {
        rl_arena_deinit(&arena);
        return rl_context_no_memory(context);
    }
    rl_arena_deinit(&context->effects.arena);
    context->effects.arena = arena;
    context->effects.features = kept_features;
    context->effects.opted_in = kept_ids;
    context->effects.flags = options.flags;
    return REML_EMBED_STATUS_OK;
}

/* --- handlers of the host ------------------------------------------------------------------------------------------ */

/* Is `effect` the one that the handler names? */
static bool names(const rl_context_t* context, const rl_host_handler_t* handler, const rl_effect_t* effect) {
    return handler->effect == effect->name &&
           (!handler->module || rl_program_module(&context->program, effect->module)->path == handler->module);
}

static uint32_t operation_of(const rl_host_handler_t* handler, rl_sym_t name) {
    for (uint32_t i = 0; i < handler->count; i++) {
        if (handler->operations[i].name == name) return handler->operations[i].binding;
    }
    return UINT32_MAX;
}

/* Does the handler answer exactly the operations of the effect? Else it is reported at `span`. */
static bool fits(rl_context_t* context, const rl_host_handler_t* handler, const rl_effect_t* effect, rl_span_t span) {
    const rl_program_t* program = &context->program;
    rl_str_t owner = rl_sym_text(&program->symbols, effect->name);
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_json_t json = rl_json_begin(&text);
    uint32_t missing = 0;
    rl_sym_t first = 0;
    rl_json_object_begin(&json);
    rl_json_key(&json, "effects");
    rl_json_object_begin(&json);
    rl_json_member(&json, "handler_name", owner);
    rl_json_key(&json, "unhandled_operations");
    rl_json_array_begin(&json);
    for (uint32_t i = 0; i < effect->operation_count; i++) {
        rl_sym_t name = rl_program_function(program, effect->operation_first + i)->name;
        if (operation_of(handler, name) != UINT32_MAX) continue;
        if (!missing++) first = name;
        rl_json_string(&json, rl_sym_text(&program->symbols, name));
    }
    rl_json_array_end(&json);
    rl_json_object_end(&json);
    rl_json_object_end(&json);
    if (missing) {
        rl_str_t name = rl_sym_text(&program->symbols, first);
        rl_diag_t* diag = rl_report(&context->diagnostics, RL_CODE_EFFECTS_HANDLER_UNHANDLED_OPERATION, span,
            "the host's handler has no operation for %.*s.%.*s", RL_STR_ARG(owner), RL_STR_ARG(name));
        diag->extensions = rl_arena_copy(&context->diag_arena, rl_buf_str(&text));
    }
    rl_buf_deinit(&text);
    bool fine = !missing;
    for (uint32_t i = 0; i < handler->count && fine; i++) {
        bool found = false;
        for (uint32_t k = 0; k < effect->operation_count && !found; k++)
            found = rl_program_function(program, effect->operation_first + k)->name == handler->operations[i].name;
        if (found) continue;
        rl_str_t name = rl_sym_text(&program->symbols, handler->operations[i].name);
        rl_report(&context->diagnostics, RL_CODE_EFFECTS_OPERATION_UNKNOWN, span, "%.*s has no operation %.*s",
            RL_STR_ARG(owner), RL_STR_ARG(name));
        fine = false;
    }
    return fine;
}

bool rl_host_handlers_fit(rl_context_t* context, rl_module_id_t module) {
    bool fine = true;
    for (uint32_t i = 0; i < context->program.effects.count; i++) {
        const rl_effect_t* effect = &context->program.effects.data[i];
        if (effect->module != module) continue;
        for (uint32_t k = 0; k < context->effects.handlers.count; k++) {
            const rl_host_handler_t* handler = &context->effects.handlers.data[k];
            if (names(context, handler, effect)) fine &= fits(context, handler, effect, effect->span);
        }
    }
    return fine;
}

static reml_embed_status_t refuse(rl_context_t* context, rl_code_t code, const char* format, const char* name) {
    rl_diags_clear(&context->diagnostics);
    rl_diag_t* diag = rl_report(&context->diagnostics, code, (rl_span_t){0, 0}, format, name);
    diag->has_span = false;
    return rl_context_fail_from_diagnostics(context);
}

/* A copy of the operations, with their bindings. */
static reml_embed_status_t read_operations(
    rl_context_t* context, const reml_host_operation_t* given, size_t count, rl_host_handler_t* out) {
    out->count = (uint32_t)count;
    out->operations = rl_alloc_zero(&context->allocator, sizeof *out->operations * (count + 1));
    if (!out->operations) return rl_context_no_memory(context);
    for (size_t i = 0; i < count; i++) {
        rl_str_t function = rl_str(given[i].function);
        uint32_t binding = rl_host_binding(context, function);
        if (binding == UINT32_MAX)
            return refuse(
                context, RL_CODE_EFFECTS_OPERATION_UNKNOWN, "no host function is bound as `%s`", given[i].function);
        out->operations[i].binding = binding;
        out->operations[i].name = rl_sym_intern(&context->program.symbols, rl_str(given[i].name));
        if (!out->operations[i].name) return rl_context_no_memory(context);
    }
    return REML_EMBED_STATUS_OK;
}

static void free_handler(rl_context_t* context, rl_host_handler_t* handler) {
    if (handler->operations)
        rl_free(&context->allocator, handler->operations, sizeof *handler->operations * (handler->count + 1));
}

static bool valid_text(const char* text) {
    rl_str_t str = rl_str(text);
    return str.length > 0 && str.length <= 1024 && rl_utf8_validate(str) == str.length;
}

reml_embed_status_t reml_host_handle(reml_embed_context_t* id, const char* effect,
    const reml_host_operation_t* operations, size_t count, uint32_t* out_handler) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_alloc_clear_failure(&context->allocator);
    bool valid = out_handler && effect && valid_text(effect) && (operations || !count) && count <= 4096;
    for (size_t i = 0; i < count && valid; i++)
        valid = operations[i].name && operations[i].function && valid_text(operations[i].name) &&
                valid_text(operations[i].function);
    if (out_handler) *out_handler = 0;
    if (!valid)
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "invalid argument: handler");
    if (context->reloading) return rl_reload_refuse(context);
    if (context->effects.handlers.count >= REML_HOST_HANDLERS_MAX)
        return refuse(context, RL_CODE_EFFECTS_HANDLER_DEPTH_EXCEEDED,
            "more than 32 handlers of the host; no room for one of %s", effect);
    rl_str_t whole = rl_str(effect);
    size_t dot = whole.length;
    while (dot > 0 && whole.data[dot - 1] != '.') dot--;
    rl_host_handler_t made = {.id = ++context->effects.last_handler};
    rl_symbols_t* symbols = &context->program.symbols;
    made.effect = rl_sym_intern(symbols, (rl_str_t){whole.data + dot, whole.length - dot});
    if (dot) made.module = rl_sym_intern(symbols, (rl_str_t){whole.data, dot - 1});
    reml_embed_status_t status = read_operations(context, operations, count, &made);
    bool fine = status == REML_EMBED_STATUS_OK;
    if (fine) rl_diags_clear(&context->diagnostics);
    for (const rl_program_t* program = &context->program; program && fine; program = program->below) {
        for (uint32_t i = 0; i < program->effects.count && fine; i++) {
            rl_effect_t known = program->effects.data[i];
            if (known.name && names(context, &made, &known)) fine = fits(context, &made, &known, (rl_span_t){0, 0});
        }
    }
    if (!fine || !rl_vec_push(&context->allocator, &context->effects.handlers, made)) {
        free_handler(context, &made);
        if (status != REML_EMBED_STATUS_OK) return status;
        if (fine || context->allocator.failed) return rl_context_no_memory(context);
        for (uint32_t i = 0; i < context->diagnostics.items.count; i++)
            context->diagnostics.items.data[i].has_span = false;
        return rl_context_fail_from_diagnostics(context);
    }
    context->vm.host_handlers = context->effects.handlers.count;
    *out_handler = made.id;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_host_unhandle(reml_embed_context_t* id, uint32_t number) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (context->reloading) return rl_reload_refuse(context);
    uint32_t count = context->effects.handlers.count;
    for (uint32_t i = 0; i < count; i++) {
        rl_host_handler_t* handler = &context->effects.handlers.data[i];
        if (handler->id != number) continue;
        free_handler(context, handler);
        for (; i + 1 < count; i++) context->effects.handlers.data[i] = context->effects.handlers.data[i + 1];
        context->effects.handlers.count--;
        context->vm.host_handlers = count - 1;
        return REML_EMBED_STATUS_OK;
    }
    return rl_context_fail(
        context, REML_EMBED_STATUS_STALE, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "no such handler of the host");
}

/* Who answers the operation: the latest handler that names its effect. */
static bool answers(void* host, const rl_perform_site_t* site) {
    rl_context_t* context = host;
    const rl_effect_t* effect = rl_program_effect(&context->program, site->effect);
    rl_sym_t name = rl_program_function(&context->program, effect->operation_first + site->operation)->name;
    for (uint32_t i = context->effects.handlers.count; i-- > 0;) {
        const rl_host_handler_t* handler = &context->effects.handlers.data[i];
        if (!names(context, handler, effect)) continue;
        uint32_t binding = operation_of(handler, name);
        if (binding == UINT32_MAX) continue;
        if (binding != site->host->binding) rl_host_site_bind(context, site->host, binding);
        return true;
    }
    return false;
}

/* --- what a handler does, as JSON --------------------------------------------------------------------------------- */

typedef struct told {
    rl_effects_t before, after;
    bool open;
    int stage, actual; /* declared, -1: not; where the capability stands, -1: there is none */
    rl_str_t effect, handler, capability;
    rl_buf_t id, descriptor;
} told_t;

/* What is known of an application. Of a named handler the calls know; all of them count, for the machine does not say which. */
static void tell(rl_context_t* context, const rl_application_t* application, told_t* out) {
    rl_program_t* program = &context->program;
    *out = (told_t){.before = application->before,
        .after = application->after,
        .open = application->open,
        .stage = application->stage,
        .actual = -1};
    rl_sym_t capability = application->capability;
    for (uint32_t i = 0; application->declared && i < program->applications.count; i++) {
        const rl_application_t* call = &program->applications.data[i];
        if (call->declared || call->named != application->named) continue;
        out->before = rl_effects_join(program, out->before, call->before);
        out->after = rl_effects_join(program, out->after, call->after);
        out->open |= call->open;
        if (call->stage > out->stage) out->stage = call->stage;
        if (call->capability) capability = call->capability;
    }
    out->effect = rl_sym_text(&program->symbols, rl_program_effect(program, application->effect)->name);
    out->handler = out->effect;
    if (application->named)
        out->handler = rl_sym_text(&program->symbols, rl_program_function(program, application->named)->name);
    rl_buf_init(&out->id, &context->allocator);
    rl_buf_init(&out->descriptor, &context->allocator);
    if (capability) rl_buf_add(&out->id, rl_sym_text(&program->symbols, capability));
    else rl_capability_of_effect(out->effect, &out->id);
    out->actual = stage_of(context, rl_buf_str(&out->id), &out->descriptor);
    if (out->actual >= 0 || capability) out->capability = rl_buf_str(&out->id);
}

static void forget(told_t* told) {
    rl_buf_deinit(&told->id);
    rl_buf_deinit(&told->descriptor);
}

/* Where it stands, else what the code says of itself; a handler of which nobody says anything needs nothing: stable. */
static const char* stage_name(const told_t* told) {
    int stage = told->actual >= 0 ? told->actual : told->stage;
    return rl_stage_name(stage >= 0 ? stage : REML_EMBED_STAGE_STABLE);
}

static void add_required(rl_json_t* json, const char* key, const told_t* told) {
    char text[32];
    snprintf(text, sizeof text, "at_least:%s", rl_stage_name(told->stage >= 0 ? told->stage : 0));
    rl_json_member(json, key, rl_str(text));
}

static void add_set(rl_context_t* context, rl_json_t* json, const char* key, rl_effects_t set) {
    rl_json_key(json, key);
    rl_effects_tags(&context->program, set, json);
}

/* The object of the guide: {stage, before, handled, residual, handler}. */
static void add_effects(rl_context_t* context, rl_json_t* json, const rl_application_t* application, const told_t* told,
    const char* handler_key) {
    rl_json_object_begin(json);
    rl_json_member(json, "stage", rl_str(stage_name(told)));
    add_set(context, json, "before", told->before);
    add_set(context, json, "handled", rl_effects_of_tag(&context->program, rl_tag_of_effect(application->effect)));
    add_set(context, json, "residual", told->after);
    rl_json_member(json, handler_key, told->handler);
    if (handler_key[7] != '\0') { /* handler_name: in extensions */
        if (told->capability.length) rl_json_member(json, "capability", told->capability);
        add_required(json, "required_stage", told);
        rl_json_member(json, "actual_stage", rl_str(stage_name(told)));
        if (told->descriptor.length) {
            rl_json_key(json, "capability_metadata");
            rl_json_raw(json, rl_buf_str(&told->descriptor));
        }
    }
    rl_json_object_end(json);
}

static void add_application(rl_context_t* context, rl_json_t* json, const rl_application_t* application) {
    const rl_program_t* program = &context->program;
    told_t told;
    tell(context, application, &told);
    rl_json_object_begin(json);
    rl_json_member(json, "event", RL_STR("handle"));
    rl_json_key(json, "effects");
    add_effects(context, json, application, &told, "handler");
    rl_json_member(json, "message",
        told.open ? RL_STR("effects.contract.mismatch open") : RL_STR("effects.contract.mismatch resolved"));
    rl_json_member(json, "effect", told.effect);
    rl_json_member(json, "handler", told.handler);
    const rl_function_t* function = rl_program_function(program, application->fn);
    rl_json_member(json, "function", rl_sym_text(&program->symbols, function->name));
    rl_json_member(
        json, "module", rl_sym_text(&program->symbols, rl_program_module(program, application->module)->path));
    rl_json_key(json, "line");
    rl_json_u64(json, rl_program_line_of(program, application->module, application->start).line);
    if (told.capability.length) {
        rl_json_member(json, "capability", told.capability);
        add_required(json, "required_stage", &told);
        rl_json_member(json, "actual_stage", rl_str(stage_name(&told)));
    }
    rl_json_object_end(json);
    forget(&told);
}

reml_embed_status_t reml_embed_handlers(reml_embed_context_t* id, char** out_text, size_t* out_length) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_alloc_clear_failure(&context->allocator);
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_array_begin(&json);
    for (uint32_t i = 0; i < context->program.applications.count && !context->allocator.failed; i++) {
        const rl_application_t application = context->program.applications.data[i];
        if (!application.declared) add_application(context, &json, &application);
    }
    rl_json_array_end(&json);
    return rl_hand_over(context, &text, out_text, out_length);
}

/* --- watching -------------------------------------------------------------------------------------------------------- */

static void observe(rl_context_t* context, rl_buf_t* text) {
    if (!text->failed && context->effects.observer) {
        rl_context_freeze(context);
        (void)context->effects.observer(text->data, text->length, context->effects.observer_user);
        rl_context_thaw(context);
    }
    rl_buf_deinit(text);
    rl_alloc_clear_failure(&context->allocator); /* an event that memory has no room for is lost, the run goes on */
}

/* A record of ours; the run goes on when the log cannot take it: the next crossing is refused then. */
static void leave(rl_context_t* context, const char* kind, rl_str_t capability, const rl_buf_t* metadata,
    const rl_buf_t* extensions) {
    char audit_id[37];
    rl_host_record_t record = {.kind = rl_str(kind),
        .category = RL_STR("effects"),
        .capability = capability,
        .metadata = rl_buf_str(metadata),
        .extensions = rl_buf_str(extensions)};
    if (!metadata->failed && !extensions->failed) (void)rl_audit_host_record(&context->audit, &record, audit_id);
}

/* The record `effects.handled` (CONTRACTS 19.2, 3.3). */
static void record(rl_context_t* context, const rl_application_t* application) {
    told_t told;
    tell(context, application, &told);
    rl_buf_t metadata, extensions;
    rl_buf_init(&metadata, &context->allocator);
    rl_buf_init(&extensions, &context->allocator);
    rl_json_t json = rl_json_begin(&metadata);
    rl_str_t capability = told.capability.length ? told.capability : rl_buf_str(&told.id);
    rl_json_object_begin(&json);
    rl_json_member(&json, "effect.capability", capability);
    rl_json_member(&json, "effect.handler", told.handler);
    add_set(context, &json, "effect.order.after", told.after);
    add_set(context, &json, "effect.order.before", told.before);
    /* what the handler brings in that was not there before */
    rl_effects_t added = told.after;
    uint32_t at = 0, tag;
    while (told.before > RL_EFFECTS_NONE && rl_effects_next(&context->program, told.before, &at, &tag))
        added = rl_effects_without(&context->program, added, tag);
    add_set(context, &json, "effect.residual.diff", added);
    rl_json_member(&json, "effect.stage.actual", rl_str(stage_name(&told)));
    add_required(&json, "effect.stage.required", &told);
    rl_json_member(&json, "effect.type_row.available_mode", RL_STR("metadata-only"));
    rl_json_member(&json, "effect.type_row.guard_stage", RL_STR("stable"));
    rl_json_member(&json, "effect.type_row.requested_mode", RL_STR("metadata-only"));
    rl_json_object_end(&json);
    json = rl_json_begin(&extensions);
    rl_json_object_begin(&json);
    rl_json_key(&json, "effects");
    add_effects(context, &json, application, &told, "handler_name");
    rl_json_object_end(&json);
    leave(context, "effects.handled", capability, &metadata, &extensions);
    rl_buf_deinit(&metadata);
    rl_buf_deinit(&extensions);
    forget(&told);
    rl_alloc_clear_failure(&context->allocator);
}

static void handler_applied(void* host, rl_handle_site_t* site) {
    rl_context_t* context = host;
    rl_application_t* application = NULL;
    for (uint32_t i = 0; i < context->program.applications.count && !application; i++) {
        if (context->program.applications.data[i].ir == site->ir) application = &context->program.applications.data[i];
    }
    site->told = true;
    if (!application) return; /* of the core library */
    bool first = !application->told;
    application->told = true;
    const rl_application_t copy = *application;
    if (first || context->audit.policy == RL_AUDIT_EVERY) record(context, &copy);
    if (!context->effects.observer) return;
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_json_t json = rl_json_begin(&text);
    add_application(context, &json, &copy);
    observe(context, &text);
}

static void effect_event(void* host, const char* event, rl_effect_id_t effect, rl_str_t operation, const char* by) {
    rl_context_t* context = host;
    if (!context->effects.observer) return;
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_object_begin(&json);
    rl_json_member(&json, "event", rl_str(event));
    rl_json_member(
        &json, "effect", rl_sym_text(&context->program.symbols, rl_program_effect(&context->program, effect)->name));
    if (operation.length) rl_json_member(&json, "operation", operation);
    if (by) rl_json_member(&json, "handled_by", rl_str(by));
    rl_json_object_end(&json);
    observe(context, &text);
}

void rl_context_watch_effects(rl_context_t* context) {
    context->vm.watch_effects = context->effects.observer || context->audit.policy == RL_AUDIT_EVERY;
}

reml_embed_status_t reml_embed_observe_effects(reml_embed_context_t* id, reml_effect_observer_t observer, void* user) {
    RL_ENTER(id, context);
    context->effects.observer = observer;
    context->effects.observer_user = user;
    rl_context_watch_effects(context);
    return REML_EMBED_STATUS_OK;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

/* Experimental use that nobody has opted in to leaves a record (CONTRACTS 19.2), whatever its diagnostic is. */
void rl_effects_record_uses(rl_context_t* context) {
    for (uint32_t i = 0; i < context->diagnostics.items.count; i++) {
        const rl_diag_t* diag = &context->diagnostics.items.data[i];
        if (diag->code != RL_CODE_EFFECTS_STAGE_MISSING_OPT_IN || !diag->extensions.length) continue;
        rl_buf_t metadata, extensions;
        rl_buf_init(&metadata, &context->allocator);
        rl_buf_init(&extensions, &context->allocator);
        rl_json_t json = rl_json_begin(&metadata);
        rl_position_t place = rl_position_of(context->diagnostics.source, diag->span.start);
        rl_json_object_begin(&json);
        rl_json_member(&json, "diagnostic.message", diag->message);
        rl_json_member(&json, "diagnostic.severity",
            diag->severity == RL_ERROR     ? RL_STR("error")
            : diag->severity == RL_WARNING ? RL_STR("warning")
                                           : RL_STR("hint"));
        rl_json_member(&json, "source.file", context->diagnostics.file);
        rl_json_key(&json, "source.line");
        rl_json_u64(&json, place.line);
        rl_json_member(&json, "source.module", context->diagnostics.module);
        if (diag->audit.length) {
            rl_buf_add_char(&metadata, ',');
            rl_buf_add(&metadata, diag->audit);
        }
        rl_json_object_end(&json);
        rl_buf_add(&extensions, diag->extensions);
        leave(context, "effects.stage.missing_opt_in", (rl_str_t){NULL, 0}, &metadata, &extensions);
        rl_buf_deinit(&metadata);
        rl_buf_deinit(&extensions);
    }
}

void rl_effects_init(rl_context_t* context) { rl_arena_init(&context->effects.arena, &context->allocator); }

void rl_effects_connect(rl_context_t* context) {
    rl_context_watch_effects(context);
    context->vm.host_handlers = context->effects.handlers.count;
    context->vm.host_answers = answers;
    context->vm.handler_applied = handler_applied;
    context->vm.effect_event = effect_event;
}

void rl_effects_deinit(rl_context_t* context) {
    for (uint32_t i = 0; i < context->effects.handlers.count; i++)
        free_handler(context, &context->effects.handlers.data[i]);
    rl_vec_deinit(&context->allocator, &context->effects.handlers);
    rl_arena_deinit(&context->effects.arena);
}
