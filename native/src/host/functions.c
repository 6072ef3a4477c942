/* Function handles: looked up and checked once, called many times; the direct path for scalars; batches (DESIGN 2.4). */
#include "host/fast_call.h"
#include "types/entry.h"
#include "types/impl.h"

/* --- look-up ----------------------------------------------------------------------------------------------------------- */

void rl_function_fill(rl_function_entry_t* entry, rl_proto_t* proto, rl_object_t* closure) {
    entry->proto = proto;
    entry->closure = closure;
    entry->scalar = proto->leaf_scalar && !closure;
    for (uint16_t i = 0; i < proto->param_count; i++)
        entry->scalar = entry->scalar && rl_type_is_scalar(proto->param_types[i]);
    entry->scalar = entry->scalar && rl_type_is_scalar(proto->result_type);
    entry->small =
        entry->scalar && proto->s_count <= 64 && proto->r_count <= 32 && proto->entry_cost < RL_POLL_INTERVAL;
    entry->plain = entry->scalar;
    for (uint16_t i = 0; i < proto->param_count; i++) {
        entry->plain =
            entry->plain && (proto->param_types[i]->kind == RL_TYPE_I64 || proto->param_types[i]->kind == RL_TYPE_F64);
    }
    entry->direct_count = entry->small ? proto->param_count : UINT32_MAX;
    entry->tally.symbol = proto->name;
}

void rl_function_free(rl_context_t* context, uint32_t row) {
    rl_function_entry_t* entry = context->functions.data[row];
    rl_audit_tally_detach(&context->audit, &entry->tally);
    entry->proto = NULL;
    entry->closure = NULL;
    if (++entry->generation == 0) return;
    entry->next_free = context->free_function;
    context->free_function = row;
}

static reml_embed_status_t add_entry(
    rl_context_t* context, rl_proto_t* proto, rl_object_t* closure, reml_function_t* out) {
    rl_allocator_t* allocator = &context->allocator;
    uint32_t row = context->free_function;
    if (context->functions.count == 0) {
        rl_function_entry_t* unused = rl_alloc_zero(allocator, sizeof *unused);
        if (!unused) return rl_context_no_memory(context);
        if (!rl_vec_push(allocator, &context->functions, unused)) {
            rl_free(allocator, unused, sizeof *unused);
            return rl_context_no_memory(context);
        }
    }
    if (row) {
        context->free_function = context->functions.data[row]->next_free;
    } else {
        rl_function_entry_t* fresh = rl_alloc_zero(allocator, sizeof *fresh);
        if (!fresh) return rl_context_no_memory(context);
        fresh->generation = 1;
        row = context->functions.count;
        if (!rl_vec_push(allocator, &context->functions, fresh)) {
            rl_free(allocator, fresh, sizeof *fresh);
            return rl_context_no_memory(context);
        }
    }
    rl_function_entry_t* entry = context->functions.data[row];
    rl_function_fill(entry, proto, closure);
    entry->tally = (rl_audit_tally_t){.symbol = proto->name,
        .ownership = entry->scalar ? RL_AUDIT_OWN_NONE : RL_AUDIT_OWN_TRANSFERRED,
        .result = entry->scalar ? RL_AUDIT_RETURN_SCALAR : RL_AUDIT_RETURN_PENDING};
    rl_audit_tally_attach(&context->audit, &entry->tally);
    *out = (reml_function_t){context->serial, (uint64_t)entry->generation << 32 | row};
    return REML_EMBED_STATUS_OK;
}

/* "(Int, Int) -> Int" of a function of the program, PARAMs included. */
static rl_type_t function_type(rl_context_t* context, const rl_function_t* function) {
    rl_type_t few[64];
    uint32_t count = function->param_count < 64 ? function->param_count : 64;
    for (uint32_t i = 0; i < count; i++) few[i] = rl_program_param(&context->program, function->param_first + i)->type;
    return rl_type_function(&context->program.types, few, count, function->result);
}

/* Type arguments that make `general` (over PARAMs) into `wanted`; both walk together. Bounded by the depth of checked types. */
static bool match_types(
    rl_context_t* context, rl_type_t general, rl_type_t wanted, rl_type_t* arguments, uint32_t count, unsigned depth) {
    const rl_types_t* types = &context->program.types;
    rl_type_node_t g = *rl_type_node(types, general);
    if (g.kind == RL_TYPE_PARAM) {
        if (g.a >= count) return false;
        if (arguments[g.a] == RL_TYPE_ERROR) arguments[g.a] = wanted;
        return arguments[g.a] == wanted;
    }
    if (general == wanted) return true;
    rl_type_node_t w = *rl_type_node(types, wanted);
    if (depth > 100 || g.kind != w.kind || g.count != w.count || g.kind < RL_TYPE_SIMPLE_COUNT) return false;
    if (g.kind != RL_TYPE_FUNCTION && g.a != w.a) return false;
    uint32_t step = rl_type_part_step(g.kind);
    bool record = step == 2;
    for (uint32_t i = 0; i < g.count * step; i += step) {
        const uint32_t* gp = rl_type_args(types, general);
        const uint32_t* wp = rl_type_args(types, wanted);
        if (record && gp[i] != wp[i]) return false;
        if (!match_types(context, gp[i + step - 1], wp[i + step - 1], arguments, count, depth + 1)) return false;
    }
    return true;
}

static reml_embed_status_t wrong_signature(rl_context_t* context, rl_type_t actual, rl_str_t wanted) {
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_type_print(&context->program, actual, &text);
    rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_TYPE_MISMATCH, "%s: expected %.*s, found %.*s",
        rl_code_text(RL_CODE_TYPE_MISMATCH), RL_STR_ARG(wanted), RL_STR_ARG(rl_buf_str(&text)));
    rl_buf_deinit(&text);
    return REML_EMBED_STATUS_ERROR;
}

static reml_embed_status_t find(rl_context_t* context, rl_str_t name, rl_str_t signature, reml_function_t* out) {
    rl_fn_id_t id = rl_program_find_function(&context->program, name);
    if (!id) id = rl_program_find_core_function(&context->program, name);
    if (!id) {
        return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_RUNTIME_ENTRY_UNKNOWN,
            "entrypoint not found: %.*s", (int)(name.length < 256 ? name.length : 256), name.data);
    }
    rl_function_t function = *rl_program_function(&context->program, id);
    rl_type_t actual = function_type(context, &function);
    rl_type_t arguments[32];
    uint32_t count = function.type_params;
    if (count > RL_COUNT_OF(arguments)) return wrong_signature(context, actual, signature);
    for (uint32_t i = 0; i < count; i++) arguments[i] = RL_TYPE_ERROR;
    if (signature.length) {
        rl_type_t wanted;
        rl_diags_clear(&context->diagnostics);
        if (!rl_check_type_text(&context->program, &context->diagnostics, signature, &wanted))
            return rl_context_fail_from_diagnostics(context);
        if (!match_types(context, actual, wanted, arguments, count, 0))
            return wrong_signature(context, actual, signature);
    }
    for (uint32_t i = 0; i < count; i++) {
        /* A parameter that the signature does not fix, or a generic function without signature. */
        if (arguments[i] == RL_TYPE_ERROR)
            return wrong_signature(context, actual, signature.length ? signature : RL_STR("a concrete signature"));
    }
    for (uint32_t i = 0; i < function.constraint_count; i++) {
        rl_constraint_t constraint = *rl_program_constraint(&context->program, function.constraint_first + i);
        uint32_t missing;
        if (constraint.kinds == RL_CON_TRAIT) {
            rl_type_t wanted[RL_IMPL_PARAMS_MAX];
            uint32_t words = rl_program_trait(&context->program, constraint.trait)->type_params + 1;
            for (uint32_t k = 0; k < words; k++)
                wanted[k] = rl_type_substitute(&context->program.types,
                    *rl_program_extra(&context->program, constraint.args + k), arguments, count);
            if (!rl_impl_holds(&context->program, constraint.trait, wanted))
                return wrong_signature(context, actual, signature);
            continue;
        }
        if (constraint.kinds != RL_CON_FIELD &&
            !rl_type_satisfies(&context->program, arguments[constraint.param], constraint.kinds, &missing)) {
            return wrong_signature(context, actual, signature);
        }
    }
    if (function.kind == RL_FN_HOST) {
        id = rl_check_forwarder(&context->program, id);
        if (!id) return rl_context_no_memory(context);
    }
    rl_proto_t* proto = rl_pipeline_instance(context, id, arguments, count, false);
    if (!proto) return rl_status_of_code(context->error_code);
    return add_entry(context, proto, NULL, out);
}

reml_embed_status_t reml_function_find(reml_embed_context_t* id, const char* name, size_t name_length,
    const char* signature, size_t signature_length, reml_function_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_function_t){0, 0};
    if (!name) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (!context->loaded)
        return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_NATIVE_EMBED_NO_MODULE, "no module loaded");
    rl_str_t text = {name, name_length};
    if (rl_utf8_validate(text) != name_length) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "entry point is not valid UTF-8");
    }
    return find(context, text, (rl_str_t){signature, signature ? signature_length : 0}, out);
}

reml_embed_status_t reml_function_from_value(reml_embed_context_t* id, reml_value_t value, reml_function_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_function_t){0, 0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_handle_t* handle;
    reml_embed_status_t status = rl_handle_find(context, value, &handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (rl_kind_of(handle->type) != REML_KIND_CLOSURE) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_object_t* closure = handle->word.o;
    return add_entry(context, rl_object_words(closure)[closure->refs].p, closure, out);
}

#define RL_FIND_FUNCTION(context, function, entry) RL_FIND_FUNCTION_AS(context, function, entry, __func__)
#define RL_FIND_FUNCTION_AS(context, function, entry, symbol)                                                          \
    rl_function_entry_t* entry = rl_function_here((context), (function));                                              \
    do {                                                                                                               \
        if (RL_LIKELY(entry != NULL)) break;                                                                           \
        reml_embed_status_t rl_find_status = rl_function_find_entry((context), (function), &(entry));                  \
        if (RL_UNLIKELY(rl_find_status != REML_EMBED_STATUS_OK))                                                       \
            return rl_bridge_violation((context), (symbol), rl_find_status, "no such function, or it was released");   \
    } while (0)

reml_embed_status_t reml_function_release(reml_embed_context_t* id, reml_function_t function) {
    RL_ENTER(id, context);
    RL_FIND_FUNCTION(context, function, entry);
    if (context->depth || context->frozen) return REML_EMBED_STATUS_BUSY; /* it may be the one that runs */
    rl_function_free(context, (uint32_t)function.id);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_function_signature(
    reml_embed_context_t* id, reml_function_t function, char** out_text, size_t* out_length) {
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    RL_ENTER(id, context);
    RL_FIND_FUNCTION(context, function, entry);
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_buf_add_char(&text, '(');
    for (uint16_t i = 0; i < entry->proto->param_count; i++) {
        if (i) rl_buf_add_cstr(&text, ", ");
        rl_type_print(&context->program, entry->proto->param_types[i]->type, &text);
    }
    rl_buf_add_cstr(&text, ") -> ");
    rl_type_print(&context->program, entry->proto->result_type->type, &text);
    rl_effects_suffix(
        &context->program, rl_program_function(&context->program, entry->proto->function)->effects, &text);
    return rl_hand_over(context, &text, out_text, out_length);
}

reml_embed_status_t reml_function_arity(reml_embed_context_t* id, reml_function_t function, size_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = 0;
    RL_ENTER(id, context);
    RL_FIND_FUNCTION(context, function, entry);
    *out = entry->proto->param_count;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_function_param_type(
    reml_embed_context_t* id, reml_function_t function, size_t index, reml_type_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_type_t){0, 0};
    RL_ENTER(id, context);
    RL_FIND_FUNCTION(context, function, entry);
    if (index >= entry->proto->param_count) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_type_t){context->type_serial, entry->proto->param_types[index]->type};
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_function_result_type(reml_embed_context_t* id, reml_function_t function, reml_type_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_type_t){0, 0};
    RL_ENTER(id, context);
    RL_FIND_FUNCTION(context, function, entry);
    *out = (reml_type_t){context->type_serial, entry->proto->result_type->type};
    return REML_EMBED_STATUS_OK;
}

/* --- calls ------------------------------------------------------------------------------------------------------------------ */

/* Count the call and leave its record by the policy. */
void rl_function_crossed(rl_context_t* context, rl_function_entry_t* entry, reml_embed_status_t status) {
    rl_crossing_t crossing = {.symbol = entry->proto->name,
        .tally = &entry->tally,
        .ok = status == REML_EMBED_STATUS_OK,
        .ownership = entry->tally.ownership,
        .result = entry->tally.result};
    if (!crossing.ok) {
        crossing.result = RL_AUDIT_RETURN_FAILURE;
        crossing.error_code = rl_code_text(context->has_error ? context->error_code : RL_CODE_FFI_CALL_FAILED);
        crossing.error_message = rl_buf_str(&context->error);
    }
    rl_bridge_crossing(context, &crossing);
}

static reml_embed_status_t enter_run(rl_context_t* context, const rl_proto_t* proto) {
    reml_embed_status_t status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (RL_UNLIKELY(context->profiling != NULL)) rl_profile_begin(context, proto);
    status = rl_pipeline_initialise(context);
    if (status != REML_EMBED_STATUS_OK) rl_run_end(context);
    return status;
}

/* Run an entry whose parameters lie in two banks already. */
static rl_outcome_t enter(rl_context_t* context, const rl_function_entry_t* entry, const rl_word_t* s,
    rl_object_t* const* r, rl_word_t* result) {
    if (RL_LIKELY(entry->scalar))
        return rl_vm_call_scalar(&context->vm, entry->proto, s, entry->proto->s_params, result);
    if (entry->closure) return rl_vm_call_closure(&context->vm, entry->closure, s, r, result);
    return rl_vm_call(&context->vm, entry->proto, s, r, result);
}

reml_embed_status_t rl_function_call_words(
    rl_context_t* context, rl_function_entry_t* entry, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result) {
    reml_embed_status_t status = enter_run(context, entry->proto);
    if (status == REML_EMBED_STATUS_OK) {
        rl_outcome_t outcome = enter(context, entry, s, r, result);
        rl_run_settle(context, *result, entry->proto->result_rep == RL_REP_R);
        if (outcome != RL_DONE) status = rl_context_fail_from_vm(context);
        rl_run_end(context);
    }
    rl_function_crossed(context, entry, status);
    return status;
}

static reml_embed_status_t convert_arguments(
    rl_context_t* context, const rl_proto_t* proto, const reml_value_t* arguments, rl_word_t* s, rl_object_t** r) {
    uint16_t s_count = 0, r_count = 0;
    for (uint16_t i = 0; i < proto->param_count; i++) {
        rl_word_t word;
        reml_embed_status_t status = rl_value_in(context, proto->param_types[i], arguments[i], "argument", i, &word);
        if (status != REML_EMBED_STATUS_OK) return status;
        if (proto->param_types[i]->rep == RL_REP_R) {
            /* A handle's object has a second owner; an Any made here has not. */
            r[r_count++] = word.o;
        } else {
            s[s_count++] = word;
        }
    }
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t rl_function_convert(rl_context_t* context, const rl_function_entry_t* entry,
    const reml_value_t* arguments, size_t count, rl_word_t* s, rl_object_t** r) {
    const rl_proto_t* proto = entry->proto;
    if (count != proto->param_count || count > RL_MOST_ARGUMENTS) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_CALL_ARITY,
            "%s: `%.*s` takes %u arguments, found %zu", rl_code_text(RL_CODE_TYPE_CALL_ARITY), RL_STR_ARG(proto->name),
            proto->param_count, count);
    }
    reml_embed_status_t status;
    unsigned attempt = 0;
    do {
        status = convert_arguments(context, proto, arguments, s, r);
    } while (rl_values_retry(context, status, attempt++));
    return status;
}

static reml_embed_status_t call(
    rl_context_t* context, rl_function_entry_t* entry, const reml_value_t* arguments, size_t count, reml_value_t* out) {
    const rl_proto_t* proto = entry->proto;
    rl_word_t s[RL_MOST_ARGUMENTS];
    rl_object_t* r[RL_MOST_ARGUMENTS];
    reml_embed_status_t status = rl_function_convert(context, entry, arguments, count, s, r);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_word_t result;
    status = rl_function_call_words(context, entry, s, r, &result);
    if (status != REML_EMBED_STATUS_OK) return status;
    *out = rl_value_out(context, proto->result_type, result, false);
    rl_handle_came_from(context, *out, RL_ORIGIN_CALL);
    if (out->kind != REML_KIND_NONE) return REML_EMBED_STATUS_OK;
    return rl_context_no_memory(context);
}

reml_embed_status_t reml_function_call(reml_embed_context_t* id, reml_function_t function,
    const reml_value_t* arguments, size_t count, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    if (!arguments && count) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    RL_FIND_FUNCTION(context, function, entry);
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    return call(context, entry, arguments, count, out);
}

reml_embed_status_t rl_fast_call_rest(rl_context_t* context, rl_function_entry_t* entry, const rl_instr_t* rest) {
    const rl_proto_t* proto = entry->proto;
    rl_vm_t* vm = &context->vm;
    context->depth = 1;
    vm->foreign_epoch++;
    atomic_store_explicit(&context->slot->running, 1, memory_order_relaxed);
    /* rl_vm_begin_run and rl_vm_call_scalar without what is known to hold: no failure to clear, no deadline, registers enough. */
    vm->budget = RL_POLL_INTERVAL - (int64_t)proto->entry_cost;
    vm->fuel_left = (int64_t)vm->limits.fuel - RL_POLL_INTERVAL;
    vm->output_left = vm->limits.output_bytes;
    rl_outcome_t outcome = rl_vm_run_rest(vm, proto, rest);
    if (RL_UNLIKELY(vm->kept_first || vm->leftovers)) {
        rl_word_t result = vm->fiber->s[0];
        rl_run_settle(context, result, false);
        vm->fiber->s[0] = result;
    }
    if (RL_UNLIKELY(outcome != RL_DONE)) {
        reml_embed_status_t status = rl_context_fail_from_vm(context);
        rl_run_end(context);
        rl_function_crossed(context, entry, status);
        return status;
    }
    context->depth = 0;
    atomic_store_explicit(&context->slot->running, 0, memory_order_relaxed);
    atomic_store_explicit(&context->slot->interrupt, 0, memory_order_relaxed);
    return REML_EMBED_STATUS_OK;
}

/* Why these scalars cannot be passed; OK when they can. */
static reml_embed_status_t refuse_scalars(
    rl_context_t* context, const rl_function_entry_t* entry, const reml_scalar_t* arguments, size_t count) {
    const rl_proto_t* proto = entry->proto;
    if (!entry->scalar || count != proto->param_count || (!arguments && count)) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_CALL_ARITY,
            "%s: `%.*s` cannot be called with %zu scalars", rl_code_text(RL_CODE_TYPE_CALL_ARITY),
            RL_STR_ARG(proto->name), count);
    }
    for (size_t i = 0; i < count; i++) {
        if (rl_scalar_fits(proto->param_types[i], arguments[i])) continue;
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_MISMATCH,
            "%s: argument %zu of `%.*s` is out of range", rl_code_text(RL_CODE_TYPE_MISMATCH), i + 1,
            RL_STR_ARG(proto->name));
    }
    return REML_EMBED_STATUS_OK;
}

static RL_NOINLINE bool scalars_fit(const rl_proto_t* proto, const reml_scalar_t* arguments, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!rl_scalar_fits(proto->param_types[i], arguments[i])) return false;
    }
    return true;
}

static RL_NOINLINE reml_embed_status_t call_scalars_slowly(reml_embed_context_t* id, reml_function_t function,
    const reml_scalar_t* arguments, size_t count, rl_word_t* result) {
    RL_ENTER_AS(id, context, "reml_function_call_scalars");
    RL_FIND_FUNCTION_AS(context, function, entry, "reml_function_call_scalars");
    if (RL_UNLIKELY(!entry->plain || count != entry->proto->param_count || !arguments)) {
        reml_embed_status_t status = refuse_scalars(context, entry, arguments, count);
        if (status != REML_EMBED_STATUS_OK) return status;
    }
    if (RL_UNLIKELY(context->has_error)) rl_context_clear_error(context);
    return rl_fast_call(context, entry, (const rl_word_t*)arguments, (unsigned)count, result);
}

/* `out_result` may be one of the arguments: it is written last. */
reml_embed_status_t reml_function_call_scalars(reml_embed_context_t* id, reml_function_t function,
    const reml_scalar_t* arguments, size_t count, reml_scalar_t* out) {
    if (RL_UNLIKELY(!out)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_context_t* context = rl_slot_here(id);
    rl_function_entry_t* entry = RL_LIKELY(context != NULL) ? rl_function_here(context, function) : NULL;
    if (RL_LIKELY(entry && count == entry->direct_count && !context->has_error && (arguments || !count) &&
                  rl_fast_call_is_open(context) && (entry->plain || scalars_fit(entry->proto, arguments, count)))) {
        const rl_word_t* words = (const rl_word_t*)arguments;
        reml_embed_status_t status = rl_fast_call_run(context, entry, words, count, (rl_word_t*)out);
        if (RL_UNLIKELY(status != REML_EMBED_STATUS_OK)) out->i = 0;
        return status;
    }
    rl_word_t result;
    reml_embed_status_t status = call_scalars_slowly(id, function, arguments, count, &result);
    out->i = RL_LIKELY(status == REML_EMBED_STATUS_OK) ? result.i : 0;
    return status;
}

/* --- batches ------------------------------------------------------------------------------------------------------------------ */

typedef struct batch {
    const char* at[32];
    ptrdiff_t stride[32];
    uint8_t kind[32];
    char* out;
    ptrdiff_t out_stride;
} batch_t;

static rl_word_t load_element(uint8_t kind, const char* at) {
    rl_word_t word;
    if (kind == REML_COLUMN_BOOL) word.u = *(const uint8_t*)at != 0;
    else memcpy(&word, at, 8); /* unaligned columns are fine */
    return word;
}

/*
 * A batch of words of 64 bits, straight into the registers: as long as the small loop is enough and the budget lasts. Answers how many
 * elements are done; the next one is done by rl_vm_call_scalar, with all its care.
 */
static size_t map_words(rl_vm_t* vm, const rl_proto_t* proto, batch_t* batch, size_t inputs, size_t count) {
    rl_word_t* s = vm->fiber->s; /* the small loop moves nothing */
    int64_t budget = vm->budget;
    const int64_t cost = (int64_t)proto->entry_cost;
    size_t done = 0;
    for (; done < count && budget >= cost; done++) {
        for (size_t i = 0; i < inputs; i++) {
            memcpy(&s[i], batch->at[i], 8); /* unaligned columns are fine */
            batch->at[i] += batch->stride[i];
        }
        if (RL_UNLIKELY(rl_vm_run_leaf(proto, s) != NULL)) { /* nothing but registers has changed: it is done again */
            for (size_t i = 0; i < inputs; i++) batch->at[i] -= batch->stride[i];
            break;
        }
        budget -= cost;
        memcpy(batch->out, s, 8);
        batch->out += batch->out_stride;
    }
    vm->budget = budget;
    return done;
}

/*
 * The same, in blocks of rows: as long as nothing fails, and the budget lasts for a block. A block reads all of its rows before it writes
 * one, so an output that overlaps an input in another way than row by row is not for it.
 */
static size_t map_blocks(rl_vm_t* vm, const rl_proto_t* proto, batch_t* batch, size_t inputs, size_t count) {
    rl_word_t words[RL_BLOCK_WORDS];
    const int64_t cost = (int64_t)proto->entry_cost * RL_BLOCK_ROWS;
    size_t done = 0;
    for (; count - done >= RL_BLOCK_ROWS && vm->budget >= cost; done += RL_BLOCK_ROWS) {
        for (size_t i = 0; i < inputs; i++) {
            rl_word_t* column = words + i * RL_BLOCK_ROWS;
            const char* at = batch->at[i];
            if (batch->stride[i] == sizeof *column) memcpy(column, at, RL_BLOCK_ROWS * sizeof *column);
            else
                for (unsigned k = 0; k < RL_BLOCK_ROWS; k++, at += batch->stride[i]) memcpy(&column[k], at, 8);
        }
        if (!rl_vm_run_block(proto, words)) break;
        vm->budget -= cost;
        for (size_t i = 0; i < inputs; i++) batch->at[i] += batch->stride[i] * RL_BLOCK_ROWS;
        if (batch->out_stride == sizeof *words) memcpy(batch->out, words, RL_BLOCK_ROWS * sizeof *words);
        else
            for (unsigned k = 0; k < RL_BLOCK_ROWS; k++) memcpy(batch->out + batch->out_stride * k, &words[k], 8);
        batch->out += batch->out_stride * RL_BLOCK_ROWS;
    }
    return done;
}

/* The bytes that a column covers, whichever way it goes. */
static void extent(const char* at, ptrdiff_t stride, size_t count, uintptr_t* out_first, uintptr_t* out_end) {
    uintptr_t first = (uintptr_t)at, last = first + (uintptr_t)stride * (count - 1);
    *out_first = stride < 0 ? last : first;
    *out_end = (stride < 0 ? first : last) + 8;
}

/* May rows be read before those in front of them are written? */
static bool is_apart(const batch_t* batch, size_t inputs, size_t count) {
    uintptr_t out_first, out_end;
    extent(batch->out, batch->out_stride, count, &out_first, &out_end);
    for (size_t i = 0; i < inputs; i++) {
        uintptr_t first, end;
        extent(batch->at[i], batch->stride[i], count, &first, &end);
        bool same = batch->at[i] == batch->out && batch->stride[i] == batch->out_stride;
        if (!same && first < out_end && out_first < end) return false;
    }
    return true;
}

static bool column_fits(const reml_column_t* column, const rl_rtype_t* type) {
    if (!column->data && column->stride) return false;
    switch (column->kind) {
    case REML_COLUMN_I64: return type->kind == RL_TYPE_I64;
    case REML_COLUMN_F64: return type->kind == RL_TYPE_F64;
    case REML_COLUMN_BOOL: return type->kind == RL_TYPE_BOOL;
    default: return false;
    }
}

reml_embed_status_t reml_function_map(reml_embed_context_t* id, reml_function_t function, const reml_column_t* inputs,
    size_t input_count, const reml_column_t* output, size_t count, size_t* out_done) {
    if (!out_done) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_done = 0;
    if (!output || (!inputs && input_count)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    RL_FIND_FUNCTION(context, function, entry);
    rl_context_clear_error(context);
    const rl_proto_t* proto = entry->proto;
    batch_t batch;
    bool fits = entry->scalar && input_count == proto->param_count && input_count <= RL_COUNT_OF(batch.at) &&
                column_fits(output, proto->result_type) && (count == 0 || output->data);
    for (size_t i = 0; fits && i < input_count; i++) {
        fits = column_fits(&inputs[i], proto->param_types[i]) && (count == 0 || inputs[i].data);
        batch.at[i] = inputs[i].data;
        batch.stride[i] = inputs[i].stride;
        batch.kind[i] = (uint8_t)inputs[i].kind;
    }
    if (!fits) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_MISMATCH,
            "%s: the columns do not fit `%.*s`", rl_code_text(RL_CODE_TYPE_MISMATCH), RL_STR_ARG(proto->name));
    }
    reml_embed_status_t status = enter_run(context, proto);
    size_t done = 0;
    unsigned misses = 0;
    batch.out = output->data;
    batch.out_stride = output->stride;
    bool words_only = entry->plain && entry->small && output->kind != REML_COLUMN_BOOL && context->depth == 1;
    bool blocks = words_only && count >= RL_BLOCK_ROWS && proto->s_count <= RL_BLOCK_REGISTERS &&
                  is_apart(&batch, input_count, count);
    if (status == REML_EMBED_STATUS_OK) {
        for (; done < count; done++) {
            if (blocks) {
                size_t more = map_blocks(&context->vm, proto, &batch, input_count, count - done);
                done += more;
                blocks = more > 0; /* when it cannot be done in blocks it is not tried again and again */
                if (done == count) break;
            }
            if (words_only) {
                size_t more = map_words(&context->vm, proto, &batch, input_count, count - done);
                done += more;
                if (done == count) break;
                misses = more ? 0 : misses + 1;
                words_only = misses < 16; /* else a function that does not stay in the small loop */
            }
            rl_word_t words[RL_COUNT_OF(batch.at)], result;
            for (size_t i = 0; i < input_count; i++) {
                words[i] = load_element(batch.kind[i], batch.at[i]);
                batch.at[i] += batch.stride[i];
            }
            if (RL_UNLIKELY(rl_vm_call_scalar(&context->vm, proto, words, (uint32_t)input_count, &result) != RL_DONE)) {
                rl_run_settle(context, (rl_word_t){0}, false);
                status = rl_context_fail_from_vm(context);
                break;
            }
            if (output->kind == REML_COLUMN_BOOL) *(uint8_t*)batch.out = (uint8_t)result.u;
            else memcpy(batch.out, &result, 8);
            batch.out += batch.out_stride;
        }
        rl_run_end(context);
    }
    *out_done = done;
    rl_function_crossed(context, entry, status);
    return status;
}
