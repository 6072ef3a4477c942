/*
 * What the scripts of a context may use: grants, asked together with the registry when a module is loaded, and again when a host
 * function is called after something has changed (CONTRACTS 4; DESIGN 2.6; RELIABILITY T26).
 *
 * Grants hang from the context's slot and are changed by any thread under the lock of the process. Every change moves
 * rl_capability_generation; a binding remembers the generation at which its needs were met, and a call compares the two.
 */
#include "base/utf8.h"
#include "host/capability.h"
#include "host/program.h"

#include <stdio.h>
#include <stdlib.h>

/* --- grants of a context ----------------------------------------------------------------------------------------------- */

typedef struct grant {
    char* id; /* owned */
    bool given;
} grant_t;

typedef struct rl_grants {
    rl_allocator_t allocator; /* not the context's, whose thread alone may use that */
    RL_VEC(grant_t) named;
    bool others; /* what is not named: given, as long as it is enabled */
} rl_grants_t;

static grant_t* find(const rl_grants_t* grants, rl_str_t id) {
    for (uint32_t i = 0; i < grants->named.count; i++) {
        if (rl_str_equal(rl_str(grants->named.data[i].id), id)) return &grants->named.data[i];
    }
    return NULL;
}

static bool set(rl_grants_t* grants, rl_str_t id, bool given) {
    grant_t* known = find(grants, id);
    if (known) {
        known->given = given;
        return true;
    }
    char* copy = rl_alloc_zero(&grants->allocator, id.length + 1);
    if (copy) memcpy(copy, id.data, id.length);
    if (copy && rl_vec_push(&grants->allocator, &grants->named, (grant_t){copy, given})) return true;
    rl_free(&grants->allocator, copy, id.length + 1);
    rl_alloc_clear_failure(&grants->allocator);
    return false;
}

static void grants_free(rl_grants_t* grants) {
    if (!grants) return;
    for (uint32_t i = 0; i < grants->named.count; i++)
        rl_free(&grants->allocator, grants->named.data[i].id, strlen(grants->named.data[i].id) + 1);
    rl_vec_deinit(&grants->allocator, &grants->named);
    rl_allocator_t allocator = grants->allocator;
    rl_free(&allocator, grants, sizeof *grants);
}

reml_embed_status_t rl_grants_init(rl_context_t* context, const reml_embed_options_t* options) {
    rl_str_t list = rl_str(options->granted_capabilities), id;
    if (rl_utf8_validate(list) != list.length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_grants_t* grants = rl_alloc_zero(&allocator, sizeof *grants);
    if (!grants) return REML_EMBED_STATUS_NO_MEMORY;
    grants->allocator = allocator;
    grants->others = !options->granted_capabilities;
    bool done = true;
    for (size_t at = 0; done && rl_list_next(list, &at, &id);) done = set(grants, id, true);
    if (!done) {
        grants_free(grants);
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    rl_process_lock();
    context->slot->grants = grants;
    rl_process_unlock();
    context->registry = options->registry;
    rl_capability_registry_retain(context->registry);
    return REML_EMBED_STATUS_OK;
}

void rl_grants_deinit(rl_context_t* context, bool forked) {
    rl_process_lock();
    rl_grants_t* grants = context->slot->grants;
    context->slot->grants = NULL;
    rl_process_unlock();
    if (!forked) grants_free(grants); /* else another thread of the parent may have been at work on them */
    reml_capability_registry_dispose(context->registry);
}

/* The slot of a living context of this process, whoever owns it; locked when the answer is OK. */
static reml_embed_status_t lock_slot(const reml_embed_context_t* id, rl_slot_t** out) {
    uint64_t generation;
    if (!id) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_slot_t* slot = rl_slot_find(id, &generation);
    if (!slot) return REML_EMBED_STATUS_INVALID_HANDLE;
    rl_process_lock();
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    if ((atomic_load(&slot->generation) & RL_SLOT_GENERATION_MASK) != generation || !(generation & 1) || !slot->grants)
        status = REML_EMBED_STATUS_STALE;
    else if (atomic_load(&slot->fork) != rl_os_fork_generation()) status = REML_EMBED_STATUS_FORKED;
    if (status != REML_EMBED_STATUS_OK) rl_process_unlock();
    *out = slot;
    return status;
}

static reml_embed_status_t change(reml_embed_context_t* id, const char* capability, bool given) {
    rl_str_t name = rl_str(capability), entry;
    size_t at = 0;
    bool one = rl_list_next(name, &at, &entry) && entry.length == name.length; /* no commas, no blanks around it */
    if (!one || rl_utf8_validate(name) != name.length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_slot_t* slot;
    reml_embed_status_t status = lock_slot(id, &slot);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (!set(slot->grants, name, given)) {
        status = REML_EMBED_STATUS_NO_MEMORY;
        if (!given) slot->grants->others = false; /* rather refuse more than was asked for */
    }
    atomic_fetch_add(&rl_capability_generation, 1);
    rl_process_unlock();
    return status;
}
reml_embed_status_t reml_embed_grant(reml_embed_context_t* id, const char* capability) {
    return change(id, capability, true);
}
reml_embed_status_t reml_embed_revoke(reml_embed_context_t* id, const char* capability) {
    return change(id, capability, false);
}

/* Is it given, and by name? */
static bool is_given(rl_slot_t* slot, rl_str_t id, bool* by_name) {
    const grant_t* named = find(slot->grants, id);
    *by_name = named && named->given;
    return named ? named->given : slot->grants->others;
}

static bool granted(rl_context_t* context, rl_str_t id, bool* by_name) {
    rl_process_lock();
    bool given = is_given(context->slot, id, by_name);
    rl_process_unlock();
    return given;
}

bool rl_grants_by_name(rl_context_t* context, rl_str_t id) {
    bool by_name;
    return granted(context, id, &by_name) && by_name;
}

/* --- the verdict --------------------------------------------------------------------------------------------------------- */

typedef enum verdict {
    FINE,
    NOT_GRANTED,
    NOT_ENABLED,
    NOT_REGISTERED,
    NOT_OPTED_IN,
    STAGE_TOO_LOW,
    EFFECTS_TOO_WIDE,
    NO_MEMORY
} verdict_t;

/* What each refusal is at load, and how it is said; at a call all of them are runtime.capability.denied. */
static const struct {
    rl_code_t code;
    const char* reason;
} refusals[] = {
    [NOT_GRANTED] = {RL_CODE_TARGET_CAPABILITY_UNKNOWN, "which the host does not grant"},
    [NOT_ENABLED] = {RL_CODE_TARGET_CAPABILITY_UNKNOWN, "which is disabled"},
    [NOT_REGISTERED] = {RL_CODE_RUNTIME_CAPABILITY_UNKNOWN, "which nobody has registered"},
    [NOT_OPTED_IN] = {RL_CODE_EFFECTS_STAGE_MISSING_OPT_IN, "which is experimental and nobody has opted in to"},
    [STAGE_TOO_LOW] = {RL_CODE_EFFECTS_CONTRACT_STAGE_MISMATCH, "whose stage does not suffice"},
    [EFFECTS_TOO_WIDE] = {RL_CODE_EFFECTS_CONTRACT_EFFECT_SCOPE_MISMATCH, "whose effects do not cover it"},
};

/* Existence, grants, stage, effects. A refusal that the registry knows nothing of gets an error that says the same. */
static verdict_t judge(rl_context_t* context, const reml_capability_request_t* request,
    reml_capability_handle_t** out_handle, reml_capability_error_t* out_error) {
    rl_str_t id = rl_str(request->id);
    bool by_name;
    bool given = granted(context, id, &by_name);
    rl_capability_state_t state = rl_capability_look(context->registry, id);
    verdict_t verdict = FINE;
    if (!state.registered) verdict = NOT_REGISTERED;
    else if (!state.enabled) verdict = NOT_ENABLED;
    else if (!given) verdict = NOT_GRANTED;
    else if (state.stage == REML_EMBED_STAGE_EXPERIMENTAL && !by_name && !state.opted_in &&
             (context->options & REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL) && !rl_effects_opted_in(context, id))
        verdict = NOT_OPTED_IN;
    if (verdict == NOT_GRANTED || verdict == NOT_OPTED_IN) {
        char* descriptor = NULL;
        reml_embed_status_t status = reml_capability_describe(context->registry, request->id, &descriptor, NULL);
        rl_refusal_t refusal;
        rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_SECURITY_VIOLATION, request->id, out_error);
        if (status == REML_EMBED_STATUS_OK) {
            rl_json_key(&refusal.json, "descriptor");
            rl_json_raw(&refusal.json, rl_str(descriptor));
        }
        rl_json_member(&refusal.json, "reason",
            verdict == NOT_GRANTED ? RL_STR("is not granted") : RL_STR("is experimental and nobody has opted in"));
        (void)rl_refusal_end(&refusal);
        reml_embed_free(descriptor);
        return verdict;
    }
    reml_embed_status_t status = rl_capability_check(context->registry, request, out_handle, out_error);
    if (status == REML_EMBED_STATUS_OK) return FINE;
    if (status == REML_EMBED_STATUS_NO_MEMORY) return NO_MEMORY;
    if (verdict != FINE) return verdict;
    switch (out_error->kind) {
    case REML_CAPABILITY_ERROR_EFFECT_SCOPE_MISMATCH: return EFFECTS_TOO_WIDE;
    case REML_CAPABILITY_ERROR_NOT_REGISTERED: return NOT_REGISTERED; /* since we looked */
    case REML_CAPABILITY_ERROR_SECURITY_VIOLATION: return NOT_ENABLED;
    default: return STAGE_TOO_LOW;
    }
}

static reml_capability_request_t request_of(const rl_guard_t* guard) {
    reml_capability_request_t request = REML_CAPABILITY_REQUEST_INIT;
    request.id = guard->capability;
    request.requirement = reml_capability_requirement_text(guard->requirement);
    request.effects = guard->effects;
    return request;
}

int reml_embed_granted(reml_embed_context_t* id, const char* capability) {
    rl_slot_t* slot;
    bool by_name;
    if (!capability || lock_slot(id, &slot) != REML_EMBED_STATUS_OK) return 0;
    bool given = is_given(slot, rl_str(capability), &by_name);
    rl_process_unlock();
    return given;
}

/* --- guards ----------------------------------------------------------------------------------------------------------------- */

static bool copy_text(rl_context_t* context, const char* text, char** out) {
    *out = NULL;
    if (!text) return true;
    size_t length = strlen(text) + 1;
    *out = rl_alloc(&context->allocator, length);
    if (*out) memcpy(*out, text, length);
    return *out != NULL;
}

bool rl_guard_copy(rl_context_t* context, const reml_host_function_t* from, rl_guard_t* out) {
    *out = (rl_guard_t){.requirement = from->stage};
    if (copy_text(context, from->capability, &out->capability) && copy_text(context, from->effects, &out->effects))
        return true;
    rl_guard_deinit(context, out);
    return false;
}

void rl_guard_deinit(rl_context_t* context, rl_guard_t* guard) {
    if (guard->capability) rl_free(&context->allocator, guard->capability, strlen(guard->capability) + 1);
    if (guard->effects) rl_free(&context->allocator, guard->effects, strlen(guard->effects) + 1);
    *guard = (rl_guard_t){0};
}

/* The guard of an effect that names a capability; made at its first use. NULL: memory. */
static rl_guard_t* guard_of_effect(rl_context_t* context, rl_effect_id_t id) {
    for (uint32_t i = 0; i < context->effect_guards.count; i++) {
        if (context->effect_guards.data[i].effect == id) return &context->effect_guards.data[i].guard;
    }
    const rl_effect_t* effect = rl_program_effect(&context->program, id);
    rl_effect_guard_t made = {.effect = id, .guard = {.requirement = effect->stage}};
    made.guard.capability = (char*)(uintptr_t)rl_sym_text(&context->program.symbols, effect->capability).data;
    if (!rl_vec_push(&context->allocator, &context->effect_guards, made)) return NULL;
    return &rl_vec_last(&context->effect_guards).guard;
}

void rl_grants_forget(rl_context_t* context) {
    rl_effect_id_t end = context->program.first_effect + context->program.effects.count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < context->effect_guards.count; i++) {
        if (context->effect_guards.data[i].effect < end)
            context->effect_guards.data[kept++] = context->effect_guards.data[i];
    }
    context->effect_guards.count = kept;
}

static rl_str_t name_of_effect(const rl_context_t* context, rl_effect_id_t id) {
    return rl_sym_text(&context->program.symbols, rl_program_effect(&context->program, id)->name);
}

/* --- at load ------------------------------------------------------------------------------------------------------------------ */

static bool may_ask_for(rl_context_t* context, rl_str_t id) {
    bool by_name;
    if (!granted(context, id, &by_name)) return false;
    rl_capability_state_t state = rl_capability_look(context->registry, id);
    return !state.registered || state.enabled; /* nobody has to register what only scripts speak of (LANGUAGE D17) */
}

bool rl_grants_attribute(void* raw, rl_str_t id) {
    rl_context_t* context = raw;
    bool may = may_ask_for(context, id);
    if (RL_UNLIKELY(context->recording != NULL)) rl_recording_note(context->recording, id, may);
    return may;
}

bool rl_grants_guarded(void* raw, rl_fn_id_t id) {
    const rl_context_t* context = raw;
    const rl_function_t* function = rl_program_function(&context->program, id);
    if (function->kind == RL_FN_OPERATION)
        return rl_program_effect(&context->program, function->effect)->capability != 0;
    uint32_t binding = rl_host_binding_of(context, id);
    return binding != UINT32_MAX && context->bindings.data[binding]->guard.capability;
}

/* Where in a script something was refused, as members of the record. */
static void add_place(rl_buf_t* out, rl_str_t file, rl_position_t at, rl_str_t symbol) {
    rl_json_t json = rl_json_begin(out);
    rl_json_key(&json, "script.column");
    rl_json_u64(&json, at.column);
    if (file.length) rl_json_member(&json, "script.file", file);
    rl_json_key(&json, "script.line");
    rl_json_u64(&json, at.line);
    rl_json_member(&json, "script.symbol", symbol);
}

/* False: the log does not take it. What the attempt says of itself is no error of the call in progress. */
static bool record(rl_context_t* context, const reml_capability_request_t* request,
    const reml_capability_handle_t* handle, const reml_capability_error_t* error, const rl_buf_t* place) {
    reml_embed_status_t status = rl_capability_record(context, request, handle, error, rl_buf_str(place));
    if (status != REML_EMBED_STATUS_OK) rl_context_clear_error(context);
    if (status == REML_EMBED_STATUS_NO_MEMORY) context->allocator.failed = true;
    return status == REML_EMBED_STATUS_OK || status == REML_EMBED_STATUS_NO_MEMORY;
}

static void report(rl_context_t* context, const rl_guard_t* guard, rl_str_t name, const reml_capability_error_t* error,
    rl_span_t span) {
    rl_diag_t* diag = rl_report(&context->diagnostics, refusals[guard->verdict].code, span,
        "`%.*s` needs capability %s, %s", RL_STR_ARG(name), guard->capability, refusals[guard->verdict].reason);
    if (!error || !error->detail) return;
    if (guard->verdict == STAGE_TOO_LOW || guard->verdict == EFFECTS_TOO_WIDE)
        rl_note_plain(&context->diagnostics, diag, "%s", error->detail);
}

/* Judge what a guard asks for, for the module that is being loaded: a record, and the diagnostic at its first use. */
static void check_first_use(rl_context_t* context, rl_guard_t* guard, rl_str_t name, rl_span_t span) {
    uint64_t generation = atomic_load(&rl_capability_generation);
    reml_capability_request_t request = request_of(guard);
    reml_capability_error_t error = REML_CAPABILITY_ERROR_INIT;
    reml_capability_handle_t* handle = NULL;
    rl_buf_t place;
    rl_buf_init(&place, &context->allocator);
    verdict_t verdict = judge(context, &request, &handle, &error);
    guard->verdict = (uint8_t)verdict;
    if (verdict == FINE) {
        guard->verified = generation;
    } else if (verdict == NO_MEMORY) {
        context->allocator.failed = true;
    } else {
        report(context, guard, name, &error, span);
        rl_position_t at = rl_position_of(context->diagnostics.source, span.start);
        add_place(&place, context->diagnostics.file, at, name);
        error.code = rl_code_text(refusals[verdict].code);
    }
    if (verdict != NO_MEMORY && !record(context, &request, handle, verdict == FINE ? NULL : &error, &place))
        rl_report(&context->diagnostics, RL_CODE_AUDIT_UNAVAILABLE, span, "the check of capability %s left no record",
            request.id);
    rl_buf_deinit(&place);
    reml_capability_handle_release(handle);
    reml_capability_error_release(&error);
}

void rl_grants_check_uses(rl_context_t* context, const rl_guarded_uses_t* uses) {
    uint64_t load = ++context->loads;
    for (uint32_t i = 0; i < uses->count && !context->allocator.failed; i++) {
        const rl_function_t* function = rl_program_function(&context->program, uses->data[i].function);
        bool performed = function->kind == RL_FN_OPERATION;
        rl_binding_t* binding =
            performed ? NULL : context->bindings.data[rl_host_binding_of(context, uses->data[i].function)];
        rl_guard_t* guard = performed ? guard_of_effect(context, function->effect) : &binding->guard;
        rl_str_t name = performed ? name_of_effect(context, function->effect) : binding->tally.symbol;
        if (!guard) return;
        bool first = guard->load != load;
        guard->load = load;
        if (first) check_first_use(context, guard, name, uses->data[i].span);
        else if (guard->verdict != FINE) report(context, guard, name, NULL, uses->data[i].span);
    }
}

/* --- at a call ------------------------------------------------------------------------------------------------------------------ */

/* May what the guard stands before be used now? DONE; PARK: no, and the refusal is recorded under `code`, or that of the verdict for 0; RAISE. */
static rl_outcome_t ask(
    rl_context_t* context, rl_guard_t* guard, rl_str_t name, rl_code_t code, verdict_t* out_verdict) {
    uint64_t generation = atomic_load(&rl_capability_generation);
    reml_capability_request_t request = request_of(guard);
    reml_capability_error_t error = REML_CAPABILITY_ERROR_INIT;
    reml_capability_handle_t* handle = NULL;
    verdict_t verdict = judge(context, &request, &handle, &error);
    *out_verdict = verdict;
    if (verdict == NO_MEMORY) return rl_vm_raise_standard(&context->vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    rl_buf_t place;
    rl_buf_init(&place, &context->allocator);
    if (verdict == FINE) {
        /* Bound after its users were loaded: this is the first check. */
        bool kept = guard->verified != 0 || record(context, &request, handle, NULL, &place);
        reml_capability_handle_release(handle);
        if (context->allocator.failed) return rl_vm_raise_standard(&context->vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
        if (!kept)
            return rl_vm_raise(
                &context->vm, RL_CODE_AUDIT_UNAVAILABLE, "the check of capability %s left no record", request.id);
        guard->verified = generation;
        return RL_DONE;
    }
    guard->verified = 0;
    rl_module_id_t module;
    uint32_t start;
    if (rl_vm_where(&context->vm, &module, &start)) {
        const rl_module_t* known = rl_program_module(&context->program, module);
        add_place(&place, known->file, rl_position_of(known->source, start), name);
    }
    error.code = rl_code_text(code ? code : refusals[verdict].code);
    (void)record(context, &request, NULL, &error, &place); /* refused in any case */
    rl_alloc_clear_failure(&context->allocator);
    rl_buf_deinit(&place);
    reml_capability_error_release(&error);
    return RL_PARK;
}

rl_outcome_t rl_grants_check_call(rl_context_t* context, rl_guard_t* guard, rl_str_t name) {
    if (!guard->capability) {
        guard->verified = atomic_load(&rl_capability_generation);
        return RL_DONE;
    }
    verdict_t verdict;
    rl_outcome_t outcome = ask(context, guard, name, RL_CODE_RUNTIME_CAPABILITY_DENIED, &verdict);
    if (outcome != RL_PARK) return outcome;
    return rl_vm_raise(&context->vm, RL_CODE_RUNTIME_CAPABILITY_DENIED, "`%.*s` needs capability %s, %s",
        RL_STR_ARG(name), guard->capability, refusals[verdict].reason);
}

rl_outcome_t rl_grants_ask(rl_context_t* context, rl_guard_t* guard, rl_str_t name, char why[256]) {
    verdict_t verdict;
    if (guard->verified == atomic_load_explicit(&rl_capability_generation, memory_order_acquire)) return RL_DONE;
    rl_outcome_t outcome = ask(context, guard, name, 0, &verdict);
    if (outcome == RL_PARK)
        snprintf(
            why, 256, "`%.*s` needs capability %s, %s", RL_STR_ARG(name), guard->capability, refusals[verdict].reason);
    return outcome;
}

bool rl_grants_may_perform(void* raw, rl_effect_id_t effect) {
    rl_context_t* context = raw;
    rl_guard_t* guard = guard_of_effect(context, effect);
    if (!guard) return rl_vm_raise_standard(&context->vm, RL_CODE_RUNTIME_LIMIT_MEMORY) == RL_DONE;
    if (guard->verified == atomic_load_explicit(&rl_capability_generation, memory_order_acquire)) return true;
    return rl_grants_check_call(context, guard, name_of_effect(context, effect)) == RL_DONE;
}
