/* Host functions: registration, and the VM's one way to call them. */
#include "host/capability.h"
#include "host/program.h"

static rl_binding_t* find_binding(rl_context_t* context, rl_sym_t symbol) {
    if (!symbol) return NULL;
    for (uint32_t i = 0; i < context->bindings.count; i++) {
        if (context->bindings.data[i]->symbol == symbol) return context->bindings.data[i];
    }
    return NULL;
}

static rl_binding_t* make_binding(rl_context_t* context, rl_sym_t symbol, rl_str_t name) {
    rl_allocator_t* allocator = &context->allocator;
    rl_binding_t* binding = rl_alloc_zero(allocator, sizeof *binding);
    if (!binding) return NULL;
    binding->symbol = symbol;
    binding->name_length = name.length;
    binding->name = rl_alloc(allocator, name.length + 1);
    if (!binding->name || !rl_vec_push(allocator, &context->bindings, binding)) {
        rl_free(allocator, binding->name, name.length + 1);
        rl_free(allocator, binding, sizeof *binding);
        return NULL;
    }
    memcpy(binding->name, name.data, name.length);
    binding->name[name.length] = '\0';
    binding->tally = (rl_audit_tally_t){
        .symbol = {binding->name, name.length}, .library = RL_STR("host"), .effects = RL_STR("ffi io unsafe")};
    rl_audit_tally_attach(&context->audit, &binding->tally);
    return binding;
}

/* Modules besides that of the host's functions. */
static uint32_t sources_loaded(const rl_context_t* context) {
    uint32_t count = context->program.modules.count;
    return count - (rl_program_find_host_module(&context->program) != 0);
}

static reml_embed_status_t define(
    rl_context_t* context, const reml_host_function_t* given, rl_host_words_fn call_words) {
    if (context->reloading) return rl_reload_refuse(context);
    rl_str_t name = rl_str(given->name);
    rl_allocator_t* allocator = &context->allocator;
    rl_alloc_clear_failure(allocator);
    rl_binding_t* known = find_binding(context, rl_sym_find(&context->program.symbols, name));
    rl_program_mark_t mark = rl_program_mark(&context->program);
    uint64_t extent = rl_program_extent(&context->program);
    bool declared = false; /* a function that goes again unless its binding is made */
    if (given->signature && known && known->signature) {
        if (!rl_str_equal(rl_str(known->signature), rl_str(given->signature))) {
            return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_FFI_SIGNATURE_INVALID,
                "%s: `%s` is known with another signature", rl_code_text(RL_CODE_FFI_SIGNATURE_INVALID), given->name);
        }
    } else if (given->signature) {
        rl_fn_id_t fresh;
        rl_diags_clear(&context->diagnostics);
        if (!rl_check_host_function(&context->program, &context->diagnostics, name, rl_str(given->signature), &fresh)) {
            rl_program_restore(&context->program, mark);
            return allocator->failed ? rl_context_no_memory(context) : rl_context_fail_from_diagnostics(context);
        }
        declared = true;
    }
    rl_sym_t symbol = rl_sym_intern(&context->program.symbols, name);
    rl_binding_t* binding = symbol ? find_binding(context, symbol) : NULL;
    if (binding && binding->running) {
        if (declared) rl_program_restore(&context->program, mark);
        return rl_context_fail(
            context, REML_EMBED_STATUS_BUSY, RL_CODE_FFI_SIGNATURE_INVALID, "`%s` is running", given->name);
    }
    if (!binding) binding = symbol ? make_binding(context, symbol, name) : NULL;
    rl_guard_t guard = {0};
    if (binding && !rl_guard_copy(context, given, &guard)) binding = NULL;
    size_t length = given->signature ? strlen(given->signature) + 1 : 0;
    if (binding && length && !binding->signature) {
        binding->signature = rl_alloc(allocator, length);
        if (binding->signature) memcpy(binding->signature, given->signature, length);
        if (binding->signature) binding->after_modules = sources_loaded(context);
        else binding = NULL;
    }
    if (!binding) {
        rl_guard_deinit(context, &guard);
        if (declared) rl_program_restore(&context->program, mark);
        return rl_context_no_memory(context);
    }
    rl_guard_deinit(context, &binding->guard);
    binding->guard = guard;
    if (binding->destroy) binding->destroy(binding->user);
    binding->call_words = call_words;
    binding->call = given->call;
    binding->call_scalars = given->call_scalars;
    binding->user = given->user;
    binding->destroy = given->destroy;
    if (declared) rl_history_declared(context, extent, name, rl_str(given->signature));
    return REML_EMBED_STATUS_OK;
}

static bool needs_valid(const reml_host_function_t* given) {
    rl_str_t capability = rl_str(given->capability), effects = rl_str(given->effects);
    if (!given->capability) return !given->stage && !given->reserved && !given->effects;
    return capability.length > 0 && rl_utf8_validate(capability) == capability.length && !given->reserved &&
           rl_utf8_validate(effects) == effects.length &&
           (given->stage & ~(uint32_t)REML_CAPABILITY_EXACT) <= REML_EMBED_STAGE_STABLE;
}

reml_embed_status_t reml_host_define(reml_embed_context_t* id, const reml_host_function_t* function) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    reml_host_function_t given = REML_HOST_FUNCTION_INIT;
    if (!function || function->struct_size < offsetof(reml_host_function_t, capability) ||
        !rl_copy_versioned(&given, sizeof given, function, function->struct_size))
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_str_t name = rl_str(given.name);
    bool valid = given.flags == 0 && name.length > 0 && name.length <= 1024 && rl_utf8_validate(name) == name.length &&
                 (given.call == NULL) != (given.call_scalars == NULL) && needs_valid(&given);
    if (!valid) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_FFI_SIGNATURE_INVALID,
            "invalid argument: host function");
    }
    return define(context, &given, NULL);
}

reml_embed_status_t rl_host_define_words(
    rl_context_t* context, const reml_host_function_t* function, rl_host_words_fn call) {
    if (!needs_valid(function)) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_FFI_SIGNATURE_INVALID,
            "invalid argument: what the host function needs");
    }
    return define(context, function, call);
}

void rl_bindings_deinit(rl_context_t* context) {
    for (uint32_t i = 0; i < context->bindings.count; i++) {
        rl_binding_t* binding = context->bindings.data[i];
        rl_audit_tally_detach(&context->audit, &binding->tally);
        if (binding->destroy) binding->destroy(binding->user);
        if (binding->signature) rl_free(&context->allocator, binding->signature, strlen(binding->signature) + 1);
        rl_guard_deinit(context, &binding->guard);
        rl_free(&context->allocator, binding->name, binding->name_length + 1);
        rl_free(&context->allocator, binding, sizeof *binding);
    }
    rl_vec_deinit(&context->allocator, &context->bindings);
}

reml_embed_status_t reml_host_fail(reml_embed_context_t* id, const char* message, size_t length) {
    RL_ENTER(id, context);
    if (!message && length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_buf_clear(&context->host_failure);
    size_t kept = length < 4096 ? length : 4096;
    while (kept < length && kept > 0 && ((unsigned char)message[kept] & 0xC0) == 0x80) kept--;
    rl_str_t text = {message, kept};
    if (rl_utf8_validate(text) != kept) text.length = rl_utf8_validate(text);
    rl_buf_add(&context->host_failure, text);
    context->has_host_failure = true;
    return REML_EMBED_STATUS_OK;
}

/* --- from the VM ----------------------------------------------------------------------------------------------------------- */

static RL_NOINLINE rl_outcome_t call_failed(
    rl_context_t* context, const rl_binding_t* binding, reml_embed_status_t status) {
    rl_code_t code = RL_CODE_HOST_CALL_FAILED;
    if (status == REML_EMBED_STATUS_DENIED) code = RL_CODE_RUNTIME_CAPABILITY_DENIED;
    context->vm.failure.by_host = true;
    if (context->has_host_failure && context->host_failure.length)
        return rl_vm_raise_text(&context->vm, code, rl_buf_str(&context->host_failure));
    return rl_vm_raise(
        &context->vm, code, "host function `%s` answered %s", binding->name, reml_embed_status_label(status));
}

static rl_outcome_t scalar_result(rl_context_t* context, const rl_binding_t* binding, const rl_host_site_t* site,
    reml_embed_status_t status, reml_scalar_t out, rl_word_t* result) {
    if (RL_UNLIKELY(status != REML_EMBED_STATUS_OK)) return call_failed(context, binding, status);
    if (RL_UNLIKELY(!rl_scalar_fits(site->result, out))) {
        return rl_vm_raise(&context->vm, RL_CODE_HOST_VALUE_TYPE_MISMATCH,
            "host function `%s` answered a value out of range", binding->name);
    }
    result->i = out.i;
    return RL_DONE;
}

static rl_outcome_t call_scalars(
    rl_context_t* context, rl_binding_t* binding, const rl_host_site_t* site, const rl_word_t* s, rl_word_t* result) {
    reml_scalar_t out = {.i = 0};
    reml_embed_status_t status = binding->call_scalars(context->id, (const reml_scalar_t*)s, &out, binding->user);
    return scalar_result(context, binding, site, status, out, result);
}

static rl_outcome_t call_values(rl_context_t* context, rl_binding_t* binding, const rl_host_site_t* site,
    const rl_word_t* s, rl_object_t* const* r, rl_word_t* result) {
    enum { MOST = 64 };
    reml_value_t arguments[MOST], out = {0};
    uint32_t s_at = 0, r_at = 0, made = 0;
    rl_outcome_t outcome = RL_DONE;
    if (site->param_count > MOST)
        return rl_vm_raise(
            &context->vm, RL_CODE_HOST_CALL_FAILED, "host function `%s` has too many parameters", binding->name);
    for (; made < site->param_count; made++) {
        rl_word_t word;
        if (site->params[made]->rep == RL_REP_R) word.o = r[r_at++];
        else word = s[s_at++];
        arguments[made] = rl_value_out(context, site->params[made], word, true);
        if (arguments[made].kind == REML_KIND_NONE) {
            outcome = rl_vm_raise(&context->vm, RL_CODE_RUNTIME_LIMIT_MEMORY, "out of memory");
            break;
        }
    }
    if (outcome == RL_DONE) {
        reml_embed_status_t status = binding->call(context->id, arguments, site->param_count, &out, binding->user);
        if (status != REML_EMBED_STATUS_OK) {
            outcome = call_failed(context, binding, status);
        } else {
            unsigned attempt = 0;
            do {
                status = rl_value_in(context, site->result, out, "result of host function", 0, result);
            } while (rl_values_retry(context, status, attempt++));
            if (status != REML_EMBED_STATUS_OK) {
                rl_str_t detail = rl_buf_str(&context->error);
                outcome = rl_vm_raise(&context->vm, RL_CODE_HOST_VALUE_TYPE_MISMATCH, "host function `%s`: %.*s",
                    binding->name, RL_STR_ARG(detail));
                rl_context_clear_error(context);
            }
        }
        /* Transferred: the script has it now (its object stays reachable through *result until the loop stores it). */
        if (out.context == context->serial) {
            rl_handle_t* handle;
            if (rl_handle_find(context, out, &handle) == REML_EMBED_STATUS_OK && handle->owners > 0)
                reml_value_release(context->id, out);
        }
    }
    while (made > 0) rl_handle_end_loan(context, arguments[--made]);
    return outcome;
}

static uint32_t bound_to(const rl_context_t* context, rl_sym_t symbol) {
    for (uint32_t i = context->bindings.count; i-- > 0;) {
        const rl_binding_t* known = context->bindings.data[i];
        /* A registration that memory cut short has left its name without a function. */
        if (known->symbol == symbol && (known->call || known->call_scalars || known->call_words)) return i;
    }
    return UINT32_MAX;
}

uint32_t rl_host_binding_of(const rl_context_t* context, rl_fn_id_t id) {
    const rl_function_t* function = rl_program_function(&context->program, id);
    uint32_t found = function->link_name ? bound_to(context, function->link_name) : UINT32_MAX;
    return found == UINT32_MAX ? bound_to(context, function->symbol) : found;
}

/* What a call site says about the ownership of its result: the declaration first, then the type (CONTRACTS 2.6). */
static void find_row(const rl_context_t* context, rl_host_site_t* site) {
    uint32_t flags = rl_program_function(&context->program, site->function)->flags;
    site->ownership = RL_AUDIT_OWN_NONE;
    site->row = RL_AUDIT_RETURN_SCALAR;
    if (rl_type_is_scalar(site->result) || site->result->kind == RL_TYPE_NEVER) return;
    bool lent = (flags & (RL_FN_LENDS | RL_FN_REFERS)) != 0;
    if (flags & RL_FN_REFERS) site->ownership = RL_AUDIT_OWN_REFERENCE;
    else if (flags & RL_FN_LENDS) site->ownership = RL_AUDIT_OWN_BORROWED;
    else if (flags & RL_FN_TRANSFERS || rl_kind_of(site->result) != REML_KIND_HOST)
        site->ownership = RL_AUDIT_OWN_TRANSFERRED;
    site->row = lent ? RL_AUDIT_RETURN_BORROWED : RL_AUDIT_RETURN_TRANSFERRED;
}

/* A host object says itself whose it is; declared otherwise, it is refused. */
static rl_outcome_t host_row(
    rl_context_t* context, const rl_binding_t* binding, const rl_object_t* object, rl_crossing_t* crossing) {
    if (!rl_foreign_keeps(object, crossing->ownership)) {
        bool transferred = crossing->ownership == RL_AUDIT_OWN_TRANSFERRED;
        return rl_vm_raise(&context->vm, RL_CODE_FFI_CONTRACT_OWNERSHIP_MISMATCH,
            "host function `%s` is declared %s and answered a %s pointer", binding->name,
            transferred ? "transferred" : "borrowed", transferred ? "borrowed" : "transferred");
    }
    rl_foreign_row(object, &crossing->ownership, &crossing->result);
    if (crossing->result == RL_AUDIT_RETURN_NULL) context->metrics.null_results++;
    return RL_DONE;
}

void rl_host_site_bind(rl_context_t* context, rl_host_site_t* site, uint32_t binding) {
    site->binding = binding;
    site->direct = NULL;
    find_row(context, site);
}

uint32_t rl_host_binding(rl_context_t* context, rl_str_t name) {
    rl_sym_t symbol = rl_sym_find(&context->program.symbols, name);
    return symbol ? bound_to(context, symbol) : UINT32_MAX;
}

static bool site_is_scalar(const rl_host_site_t* site) {
    bool scalar = rl_type_is_scalar(site->result);
    for (uint32_t i = 0; scalar && i < site->param_count; i++) scalar = rl_type_is_scalar(site->params[i]);
    return scalar;
}

static void crossed(rl_context_t* context, rl_binding_t* binding, rl_crossing_t* crossing) {
    if (!crossing->ok) {
        crossing->result = RL_AUDIT_RETURN_FAILURE;
        crossing->error_code = rl_code_text(context->vm.failure.code);
        crossing->error_message = rl_buf_str(&context->vm.failure.message);
    }
    crossing->symbol = binding->tally.symbol;
    crossing->tally = &binding->tally;
    rl_bridge_crossing(context, crossing);
}

/*
 * The short way from the loop to a function of scalars: rl_host_call with everything that is usually so looked at in one place.
 * A site gets it after its first call; whatever is unusual (a grant to be looked at again, a log in trouble, an unwinding, a binding of
 * another make) goes the long way.
 */
static inline bool short_way_is_open(const rl_context_t* context, const rl_binding_t* binding) {
    return binding->call_scalars && !context->vm.failure.present && /* as there is while unwinding */
           binding->guard.verified == atomic_load_explicit(&rl_capability_generation, memory_order_acquire) &&
           rl_audit_in_order(&context->audit);
}

static inline reml_embed_status_t enter_host(
    rl_context_t* context, rl_binding_t* binding, const rl_word_t* s, rl_word_t* result) {
    result->i = 0;
    context->has_host_failure = false;
    binding->running++;
    reml_embed_status_t status =
        binding->call_scalars(context->id, (const reml_scalar_t*)s, (reml_scalar_t*)result, binding->user);
    binding->running--;
    return status;
}

static RL_NOINLINE rl_outcome_t direct_end(rl_context_t* context, rl_binding_t* binding, rl_outcome_t outcome) {
    rl_crossing_t crossing = {.ok = outcome == RL_DONE};
    crossed(context, binding, &crossing);
    return outcome;
}

static inline rl_outcome_t direct_success(rl_context_t* context, rl_binding_t* binding) {
    rl_audit_tally_t* tally = &binding->tally;
    if (RL_UNLIKELY((tally->ownership | tally->result) != 0)) return direct_end(context, binding, RL_DONE);
    context->metrics.total_calls++;
    context->metrics.success_calls++;
    rl_audit_tally_count(&context->audit, tally);
    return RL_DONE;
}

/* Any 64 bits are a result. */
static rl_outcome_t call_plain(rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_word_t* result) {
    rl_context_t* context = vm->host;
    rl_binding_t* binding = site->bound;
    if (RL_UNLIKELY(!short_way_is_open(context, binding))) return rl_vm_call_host(vm, site, s, NULL, result);
    reml_embed_status_t status = enter_host(context, binding, s, result);
    if (RL_LIKELY(status == REML_EMBED_STATUS_OK)) return direct_success(context, binding);
    return direct_end(context, binding, call_failed(context, binding, status));
}

static rl_outcome_t call_checked(rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_word_t* result) {
    rl_context_t* context = vm->host;
    rl_binding_t* binding = site->bound;
    if (RL_UNLIKELY(!short_way_is_open(context, binding))) return rl_vm_call_host(vm, site, s, NULL, result);
    reml_embed_status_t status = enter_host(context, binding, s, result);
    rl_outcome_t outcome = scalar_result(context, binding, site, status, (reml_scalar_t){.i = result->i}, result);
    return RL_LIKELY(outcome == RL_DONE) ? direct_success(context, binding) : direct_end(context, binding, outcome);
}

/* The short way, for a site whose binding has just answered by the long one. */
static void shorten(rl_binding_t* binding, rl_host_site_t* site) {
    unsigned kind = site->result->kind;
    bool plain = kind == RL_TYPE_I64 || kind == RL_TYPE_U64 || kind == RL_TYPE_F64;
    site->bound = binding;
    site->direct = plain ? call_plain : call_checked;
}

rl_outcome_t rl_host_call(
    void* host, rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result) {
    rl_context_t* context = host;
    if (RL_UNLIKELY(site->binding == UINT32_MAX)) {
        site->binding = rl_host_binding_of(context, site->function);
        if (site->binding == UINT32_MAX)
            return rl_vm_raise(
                vm, RL_CODE_HOST_SYMBOL_UNBOUND, "the host has not bound `%.*s`", RL_STR_ARG(site->name));
        find_row(context, site);
    }
    rl_binding_t* binding = context->bindings.data[site->binding];
    if (RL_UNLIKELY(binding->guard.verified != atomic_load_explicit(&rl_capability_generation, memory_order_acquire))) {
        rl_outcome_t allowed = rl_grants_check_call(context, &binding->guard, binding->tally.symbol);
        if (allowed != RL_DONE) return allowed;
    }
    rl_audit_result_t ready = rl_audit_ready(&context->audit);
    if (RL_UNLIKELY(ready != RL_AUDIT_OK))
        return rl_vm_raise(vm, RL_CODE_AUDIT_UNAVAILABLE, "%s", rl_audit_problem(&context->audit));
    bool scalar = binding->call_scalars != NULL;
    if (RL_UNLIKELY(scalar && !site_is_scalar(site))) {
        return rl_vm_raise(
            vm, RL_CODE_HOST_VALUE_TYPE_MISMATCH, "host function `%s` is registered for scalars only", binding->name);
    }
    context->has_host_failure = false;
    binding->running++;
    rl_outcome_t outcome;
    if (binding->call_words) outcome = binding->call_words(context, site, s, r, result, binding->user);
    else if (scalar) outcome = call_scalars(context, binding, site, s, result);
    else outcome = call_values(context, binding, site, s, r, result);
    binding->running--;
    rl_crossing_t crossing = {
        .ownership = (rl_audit_ownership_t)site->ownership, .result = (rl_audit_return_t)site->row};
    if (outcome == RL_DONE && site->row != RL_AUDIT_RETURN_SCALAR && rl_kind_of(site->result) == REML_KIND_HOST)
        outcome = host_row(context, binding, result->o, &crossing);
    crossing.ok = outcome == RL_DONE;
    crossed(context, binding, &crossing);
    if (scalar && outcome == RL_DONE && !site->direct && !context->profiling) shorten(binding, site);
    return outcome;
}
