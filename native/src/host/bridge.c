/* The FFI bridge: counters, records of crossings, releases from other threads (CONTRACTS 2). */
#include "host/context.h"

#include <pthread.h>
#include <stdlib.h>

reml_span_t reml_ffi_make_span(void* data, size_t length) { return (reml_span_t){data, data ? length : 0}; }

void rl_bridge_crossing(rl_context_t* context, const rl_crossing_t* crossing) {
    reml_ffi_bridge_metrics_t* metrics = &context->metrics;
    metrics->total_calls++;
    if (RL_LIKELY(crossing->ok)) {
        metrics->success_calls++;
        if (RL_LIKELY(crossing->tally != NULL)) {
            rl_audit_tally_t* tally = crossing->tally;
            if (RL_UNLIKELY(tally->ownership != crossing->ownership || tally->result != crossing->result))
                rl_audit_tally_set_row(&context->audit, tally, crossing->ownership, crossing->result);
            rl_audit_tally_count(&context->audit, tally);
            return;
        }
    }
    rl_audit_ffi_call_t call = {
        .symbol = crossing->symbol,
        .status = crossing->ok ? RL_AUDIT_CALL_OK : RL_AUDIT_CALL_ERROR,
        .ownership = crossing->ownership,
        .result = crossing->result,
        .latency_ns = RL_AUDIT_NO_LATENCY,
        .bridge_total = metrics->total_calls,
        .bridge_success = metrics->success_calls,
        .error_code = rl_str(crossing->error_code),
        .error_message = crossing->error_message,
    };
    if (crossing->tally) {
        call.library = crossing->tally->library;
        call.effects = crossing->tally->effects;
    }
    rl_audit_ffi_call(&context->audit, &call);
}

reml_embed_status_t rl_bridge_violation(
    rl_context_t* context, const char* symbol, reml_embed_status_t status, const char* what) {
    context->metrics.total_calls++;
    rl_context_fail(context, status, RL_CODE_FFI_WRAP_OWNERSHIP_VIOLATION, "%s: %s",
        rl_code_text(RL_CODE_FFI_WRAP_OWNERSHIP_VIOLATION), what);
    rl_audit_ownership_violation(
        &context->audit, rl_str(symbol), rl_str(what), context->metrics.total_calls, context->metrics.success_calls);
    return status;
}

void rl_bridge_leak(rl_context_t* context, const char* symbol, uint64_t count) {
    context->metrics.total_calls += count;
    rl_audit_leak(&context->audit, rl_str(symbol), count, context->metrics.total_calls, context->metrics.success_calls);
}

reml_embed_status_t rl_entry_refused(reml_embed_status_t status, const char* symbol) {
    if (status == REML_EMBED_STATUS_STALE) rl_process_violation(symbol, "the context is gone");
    return status;
}

/* --- hand-over of results ------------------------------------------------------------------------------------------------ */

static void record_read(
    rl_context_t* context, const char* symbol, rl_audit_ownership_t ownership, rl_audit_return_t result) {
    rl_crossing_t crossing = {.symbol = rl_str(symbol), .ok = true, .ownership = ownership, .result = result};
    rl_bridge_crossing(context, &crossing);
}

reml_embed_status_t reml_embed_result_borrow(reml_embed_context_t* id, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    RL_ENTER(id, context);
    if (!context->result_type) {
        context->metrics.null_results++;
        record_read(context, "reml_embed_result_borrow", RL_AUDIT_OWN_BORROWED, RL_AUDIT_RETURN_NULL);
        return REML_EMBED_STATUS_OK;
    }
    if (context->result_handle.kind == REML_KIND_NONE) {
        reml_value_t lent = rl_value_out(context, context->result_type, context->result, true);
        if (lent.kind == REML_KIND_NONE) return REML_EMBED_STATUS_NO_MEMORY;
        context->result_handle = lent;
    }
    *out = context->result_handle;
    bool scalar = out->context == 0;
    context->metrics.borrowed_results++;
    record_read(context, "reml_embed_result_borrow", scalar ? RL_AUDIT_OWN_NONE : RL_AUDIT_OWN_BORROWED,
        scalar ? RL_AUDIT_RETURN_SCALAR : RL_AUDIT_RETURN_BORROWED);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_result_take(reml_embed_context_t* id, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    RL_ENTER(id, context);
    if (!context->result_type) {
        context->metrics.null_results++;
        rl_context_fail(
            context, REML_EMBED_STATUS_ERROR, RL_CODE_FFI_WRAP_OWNERSHIP_VIOLATION, "there is no result to take");
        record_read(context, "reml_embed_result_take", RL_AUDIT_OWN_TRANSFERRED, RL_AUDIT_RETURN_NULL);
        return REML_EMBED_STATUS_ERROR;
    }
    *out = rl_value_out(context, context->result_type, context->result, false);
    if (out->kind == REML_KIND_NONE) return REML_EMBED_STATUS_NO_MEMORY;
    rl_result_drop(context);
    rl_handle_came_from(context, *out, RL_ORIGIN_TAKEN);
    bool scalar = out->context == 0;
    context->metrics.transferred_results++;
    record_read(context, "reml_embed_result_take", scalar ? RL_AUDIT_OWN_NONE : RL_AUDIT_OWN_TRANSFERRED,
        scalar ? RL_AUDIT_RETURN_SCALAR : RL_AUDIT_RETURN_TRANSFERRED);
    return REML_EMBED_STATUS_OK;
}

/* `result`: counted as one that was read. */
static reml_embed_status_t acquire_borrowed(
    reml_embed_context_t* id, reml_value_t value, bool result, const char* symbol, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    rl_context_t* context = NULL;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status != REML_EMBED_STATUS_OK) return rl_entry_refused(status, symbol);
    if (value.kind == REML_KIND_NONE) {
        context->metrics.null_results += result;
        return REML_EMBED_STATUS_OK;
    }
    status = reml_value_retain(id, value);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_handle_came_from(context, value, RL_ORIGIN_BORROW);
    context->metrics.borrowed_results += result;
    *out = value;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_ffi_acquire_borrowed(reml_embed_context_t* id, reml_value_t value, reml_value_t* out) {
    return acquire_borrowed(id, value, false, "reml_ffi_acquire_borrowed", out);
}
reml_embed_status_t reml_ffi_acquire_borrowed_result(reml_embed_context_t* id, reml_value_t value, reml_value_t* out) {
    return acquire_borrowed(id, value, true, "reml_ffi_acquire_borrowed_result", out);
}

static reml_embed_status_t acquire_transferred(
    reml_embed_context_t* id, reml_value_t value, bool result, const char* symbol, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    rl_context_t* context = NULL;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status != REML_EMBED_STATUS_OK) return rl_entry_refused(status, symbol);
    if (value.kind == REML_KIND_NONE) {
        context->metrics.null_results += result;
        return REML_EMBED_STATUS_OK;
    }
    if (value.context) {
        rl_handle_t* handle;
        status = rl_handle_use(context, value, symbol, &handle);
        if (status != REML_EMBED_STATUS_OK) return status;
        if (handle->owners == 0) {
            return rl_bridge_violation(context, symbol, REML_EMBED_STATUS_INVALID_ARGUMENT, "value is only borrowed");
        }
        if (handle->origin == RL_ORIGIN_NONE) handle->origin = RL_ORIGIN_TRANSFER;
    }
    context->metrics.transferred_results += result;
    *out = value;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_ffi_acquire_transferred(reml_embed_context_t* id, reml_value_t value, reml_value_t* out) {
    return acquire_transferred(id, value, false, "reml_ffi_acquire_transferred", out);
}
reml_embed_status_t reml_ffi_acquire_transferred_result(
    reml_embed_context_t* id, reml_value_t value, reml_value_t* out) {
    return acquire_transferred(id, value, true, "reml_ffi_acquire_transferred_result", out);
}

reml_embed_status_t reml_ffi_box_string(reml_embed_context_t* id, reml_span_t text, reml_value_t* out) {
    if ((uint64_t)text.length > INT64_MAX) {
        if (out) *out = (reml_value_t){0};
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    return reml_value_string(id, text.data, text.data ? text.length : 0, out);
}

reml_embed_status_t reml_ffi_unbox_span(reml_embed_context_t* id, reml_value_t value, reml_span_t* out) {
    if (value.kind != REML_KIND_NONE) return reml_value_span(id, value, out);
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ffi_bridge_record_status(reml_embed_context_t* id, reml_ffi_bridge_status_t status) {
    if (!id) {
        rl_process_count(status == REML_FFI_BRIDGE_SUCCESS);
        return REML_EMBED_STATUS_OK;
    }
    RL_ENTER(id, context);
    context->metrics.total_calls++;
    if (status == REML_FFI_BRIDGE_SUCCESS) context->metrics.success_calls++;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_ffi_bridge_record_success(reml_embed_context_t* id) {
    return reml_ffi_bridge_record_status(id, REML_FFI_BRIDGE_SUCCESS);
}
reml_embed_status_t reml_ffi_bridge_record_failure(reml_embed_context_t* id) {
    return reml_ffi_bridge_record_status(id, REML_FFI_BRIDGE_FAILURE);
}

reml_embed_status_t reml_ffi_bridge_context_metrics(reml_embed_context_t* id, reml_ffi_bridge_metrics_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_ffi_bridge_metrics_t){0};
    if (!id) {
        *out = reml_ffi_bridge_get_metrics();
        return REML_EMBED_STATUS_OK;
    }
    RL_ENTER(id, context);
    *out = context->metrics;
    return REML_EMBED_STATUS_OK;
}

/* --- releases from other threads (Python finalisers) -------------------------------------------------------------------------- */

/*
 * They wait in one process-wide list, because the context must not be touched by the wrong thread, and are done by the
 * owner's next call. Plain malloc: the context's allocator is the owner's.
 */
typedef struct remote_release {
    struct remote_release* next;
    rl_slot_t* slot;
    reml_value_t value;
} remote_release_t;

static pthread_mutex_t remote_lock = PTHREAD_MUTEX_INITIALIZER;
static remote_release_t* remote_list;

bool rl_release_from_other_thread(const reml_embed_context_t* id, reml_value_t value) {
    uint64_t generation;
    remote_release_t* entry = malloc(sizeof *entry);
    if (!entry) return false;
    entry->slot = rl_slot_find(id, &generation);
    entry->value = value;
    pthread_mutex_lock(&remote_lock);
    entry->next = remote_list;
    remote_list = entry;
    pthread_mutex_unlock(&remote_lock);
    atomic_fetch_add(&entry->slot->remote, 1);
    return true;
}

void rl_take_remote_releases(rl_context_t* context) {
    if (RL_LIKELY(atomic_load_explicit(&context->slot->remote, memory_order_relaxed) == 0)) return;
    remote_release_t* mine = NULL;
    pthread_mutex_lock(&remote_lock);
    for (remote_release_t** link = &remote_list; *link;) {
        remote_release_t* entry = *link;
        if (entry->slot != context->slot) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        entry->next = mine;
        mine = entry;
    }
    pthread_mutex_unlock(&remote_lock);
    while (mine) {
        remote_release_t* entry = mine;
        mine = entry->next;
        atomic_fetch_sub(&context->slot->remote, 1);
        /* A row that has had another context since: its values have another serial. */
        if (entry->value.context == context->serial) reml_value_release(context->id, entry->value);
        free(entry);
    }
}
