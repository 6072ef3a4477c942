/* Values as handles: rows in a table of the context, found by slot and generation (DESIGN 2.4). They are roots of the heap. */
#include "host/context.h"

/* bits = generation << 32 | row */
static reml_value_t make_value(const rl_context_t* context, const rl_rtype_t* type, uint32_t row) {
    return (reml_value_t){
        (uint32_t)rl_kind_of(type), context->serial, (uint64_t)context->handles.data[row].generation << 32 | row};
}

reml_value_t rl_handle_new(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, bool lent) {
    const reml_value_t none = {REML_KIND_NONE, 0, 0};
    if (context->handles.count == 0 && !rl_vec_push(&context->allocator, &context->handles, (rl_handle_t){0}))
        return none;
    uint32_t row = context->free_handle;
    if (row) {
        context->free_handle = context->handles.data[row].next_free;
    } else {
        row = context->handles.count;
        if (!rl_vec_push(&context->allocator, &context->handles, (rl_handle_t){.generation = 1})) return none;
    }
    rl_handle_t* handle = &context->handles.data[row];
    handle->word = word;
    handle->type = type;
    handle->owners = lent ? 0 : 1;
    handle->lent = lent;
    handle->origin = RL_ORIGIN_NONE;
    if (type->rep == RL_REP_R && word.o && !(word.o->flags & RL_OBJ_SHARED))
        word.o->flags |= RL_OBJ_SHARED; /* the host is a second owner */
    if (!lent) {
        context->metrics.acquired++;
        context->metrics.live++;
    }
    return make_value(context, type, row);
}

static void free_row(rl_context_t* context, uint32_t row) {
    rl_handle_t* handle = &context->handles.data[row];
    if (RL_UNLIKELY(handle->counted)) rl_cell_leave(context, handle);
    handle->type = NULL;
    handle->word.u = 0;
    if (++handle->generation == 0) return; /* this row has told all its generations apart: never again */
    handle->next_free = context->free_handle;
    context->free_handle = row;
}

reml_embed_status_t rl_handle_find(rl_context_t* context, reml_value_t value, rl_handle_t** out) {
    if (value.kind == REML_KIND_NONE || value.context == 0) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (value.context != context->serial) return REML_EMBED_STATUS_WRONG_CONTEXT;
    uint32_t row = (uint32_t)value.bits, generation = (uint32_t)(value.bits >> 32);
    if (row == 0 || row >= context->handles.count) return REML_EMBED_STATUS_INVALID_HANDLE;
    rl_handle_t* handle = &context->handles.data[row];
    if (!handle->type || handle->generation != generation) {
        return generation && generation <= handle->generation ? REML_EMBED_STATUS_STALE
                                                              : REML_EMBED_STATUS_INVALID_HANDLE;
    }
    if ((uint32_t)rl_kind_of(handle->type) != value.kind) return REML_EMBED_STATUS_INVALID_HANDLE;
    *out = handle;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t rl_handle_use(rl_context_t* context, reml_value_t value, const char* symbol, rl_handle_t** out) {
    reml_embed_status_t status = rl_handle_find(context, value, out);
    if (RL_LIKELY(status == REML_EMBED_STATUS_OK) || status == REML_EMBED_STATUS_INVALID_ARGUMENT) return status;
    return rl_bridge_violation(context, symbol, status,
        status == REML_EMBED_STATUS_STALE           ? "value was released or its loan is over"
        : status == REML_EMBED_STATUS_WRONG_CONTEXT ? "value is not of this context"
                                                    : "there never was such a value");
}

void rl_handle_free(rl_context_t* context, uint32_t row) {
    context->metrics.released += context->handles.data[row].owners;
    context->metrics.live -= context->handles.data[row].owners;
    free_row(context, row);
}

void rl_handles_report_leaks(rl_context_t* context) {
    static const char* const symbols[RL_ORIGIN_COUNT] = {[RL_ORIGIN_TAKEN] = "reml_embed_result_take",
        [RL_ORIGIN_CALL] = "reml_function_call",
        [RL_ORIGIN_JOB] = "reml_job_result",
        [RL_ORIGIN_BORROW] = "reml_ffi_acquire_borrowed",
        [RL_ORIGIN_TRANSFER] = "reml_ffi_acquire_transferred"};
    uint64_t counts[RL_ORIGIN_COUNT] = {0};
    for (uint32_t i = 1; i < context->handles.count; i++) {
        const rl_handle_t* handle = &context->handles.data[i];
        if (handle->type) counts[handle->origin] += handle->owners;
    }
    for (unsigned origin = RL_ORIGIN_NONE + 1; origin < RL_ORIGIN_COUNT; origin++) {
        if (counts[origin]) rl_bridge_leak(context, symbols[origin], counts[origin]);
    }
}

void rl_handle_end_loan(rl_context_t* context, reml_value_t value) {
    rl_handle_t* handle;
    if (value.context == 0 || rl_handle_find(context, value, &handle) != REML_EMBED_STATUS_OK) return;
    handle->lent = false;
    if (handle->owners == 0) free_row(context, (uint32_t)value.bits);
}

void rl_handles_deinit(rl_context_t* context) {
    rl_vec_deinit(&context->allocator, &context->handles);
    rl_cells_deinit(context);
}

void rl_context_mark_roots(rl_heap_t* heap, void* user) {
    rl_context_t* context = user;
    for (uint32_t i = 1; i < context->handles.count; i++) {
        const rl_handle_t* handle = &context->handles.data[i];
        if (handle->type && handle->type->rep == RL_REP_R) rl_heap_mark(heap, handle->word.o);
    }
    for (uint32_t i = 1; i < context->functions.count; i++) {
        const rl_function_entry_t* entry = context->functions.data[i];
        if (entry->proto && entry->closure) rl_heap_mark(heap, entry->closure);
    }
    rl_async_mark_roots(heap, context);
    rl_heap_mark(heap, context->carried);
    if (context->result_type && context->result_type->rep == RL_REP_R) rl_heap_mark(heap, context->result.o);
}

void rl_result_drop(rl_context_t* context) {
    if (context->result_handle.context) rl_handle_end_loan(context, context->result_handle);
    context->result_handle = (reml_value_t){0};
    context->result_type = NULL;
    context->result.u = 0;
}

reml_embed_status_t reml_value_retain(reml_embed_context_t* id, reml_value_t value) {
    RL_ENTER(id, context);
    if (value.context == 0) return REML_EMBED_STATUS_OK;
    rl_handle_t* handle;
    reml_embed_status_t status = rl_handle_use(context, value, "reml_value_retain", &handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (handle->owners < UINT32_MAX) handle->owners++;
    context->metrics.acquired++;
    context->metrics.live++;
    return REML_EMBED_STATUS_OK;
}

static reml_embed_status_t release(rl_context_t* context, reml_value_t value, const char* symbol) {
    if (value.context == 0) return REML_EMBED_STATUS_OK;
    rl_handle_t* handle;
    reml_embed_status_t status = rl_handle_find(context, value, &handle);
    if (status != REML_EMBED_STATUS_OK) {
        return rl_bridge_violation(context, symbol, status,
            status == REML_EMBED_STATUS_STALE ? "value was released before" : "value is not of this context");
    }
    if (handle->owners == 0)
        return rl_bridge_violation(context, symbol, REML_EMBED_STATUS_INVALID_ARGUMENT, "value is only borrowed");
    if (handle->owners != UINT32_MAX) handle->owners--; /* saturated counts stay for good */
    context->metrics.released++;
    context->metrics.live--;
    if (handle->owners == 0 && !handle->lent) free_row(context, (uint32_t)value.bits);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_value_release(reml_embed_context_t* id, reml_value_t value) {
    if (value.context == 0) return REML_EMBED_STATUS_OK;
    rl_context_t* context = rl_slot_here(id);
    if (RL_LIKELY(context != NULL)) return release(context, value, "reml_value_release");
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_WRONG_THREAD)
        return rl_release_from_other_thread(id, value) ? REML_EMBED_STATUS_OK : REML_EMBED_STATUS_NO_MEMORY;
    if (status != REML_EMBED_STATUS_OK) return rl_entry_refused(status, "reml_value_release");
    return release(context, value, "reml_value_release");
}

reml_embed_status_t reml_ffi_release_transferred(reml_embed_context_t* id, reml_value_t value) {
    if (value.context == 0) return REML_EMBED_STATUS_OK;
    RL_ENTER(id, context);
    return release(context, value, "reml_ffi_release_transferred");
}

/* --- functions ------------------------------------------------------------------------------------------------------- */

reml_embed_status_t rl_function_find_entry(rl_context_t* context, reml_function_t function, rl_function_entry_t** out) {
    *out = rl_function_here(context, function);
    if (*out) return REML_EMBED_STATUS_OK;
    if ((uint32_t)function.context != context->serial)
        return function.context ? REML_EMBED_STATUS_WRONG_CONTEXT : REML_EMBED_STATUS_INVALID_HANDLE;
    uint32_t row = (uint32_t)function.id, generation = (uint32_t)(function.id >> 32);
    if (row == 0 || row >= context->functions.count) return REML_EMBED_STATUS_INVALID_HANDLE;
    return generation && generation <= context->functions.data[row]->generation ? REML_EMBED_STATUS_STALE
                                                                                : REML_EMBED_STATUS_INVALID_HANDLE;
}

void rl_functions_deinit(rl_context_t* context) {
    for (uint32_t i = 0; i < context->functions.count; i++) {
        rl_function_entry_t* entry = context->functions.data[i];
        if (entry->proto) rl_audit_tally_detach(&context->audit, &entry->tally);
        rl_free(&context->allocator, entry, sizeof *entry);
    }
    rl_vec_deinit(&context->allocator, &context->functions);
    context->free_function = 0;
}
