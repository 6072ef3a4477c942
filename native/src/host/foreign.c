/*
 * Host pointers that enter Reml: borrowed ones, which their owner ends, and transferred ones, whose release handler runs once
 * (CONTRACTS 2.1–2.6). What the machine sees of them is in vm/foreign.h.
 *
 * A release handler never runs inside the collector: a dropped record waits in a list until the run ends, the next pointer comes
 * in, the host collects, or the context goes. The context is frozen meanwhile, so a handler may look at it and not run or free it.
 */
#include "vm/foreign.h"

#include "host/context.h"

static void unlink_record(rl_foreign_t* foreign) {
    if (!foreign->link) return;
    *foreign->link = foreign->next;
    if (foreign->next) foreign->next->link = foreign->link;
    foreign->next = NULL;
    foreign->link = NULL;
}
static void link_record(rl_foreign_t** list, rl_foreign_t* foreign) {
    foreign->next = *list;
    foreign->link = list;
    if (foreign->next) foreign->next->link = &foreign->next;
    *list = foreign;
}

/* One crossing of a pointer; told by the policy like calls. */
static void record(rl_context_t* context, rl_audit_tally_t* tally, const char* symbol, rl_audit_ownership_t ownership,
    rl_audit_return_t result) {
    if (!tally->link) {
        *tally = (rl_audit_tally_t){.symbol = rl_str(symbol), .ownership = ownership, .result = result};
        rl_audit_tally_attach(&context->audit, tally);
    }
    rl_crossing_t crossing = {
        .symbol = tally->symbol, .tally = tally, .ok = true, .ownership = ownership, .result = result};
    rl_bridge_crossing(context, &crossing);
}

/* The script owns it no more. */
static void give_up(rl_context_t* context, rl_foreign_t* foreign) {
    unlink_record(foreign);
    foreign->flags |= RL_FOREIGN_OVER;
    context->metrics.released++;
    context->metrics.live--;
}

static void release_record(rl_context_t* context, rl_foreign_t* foreign) {
    give_up(context, foreign);
    record(context, &context->foreigns.released, "reml_ffi_release_foreign", RL_AUDIT_OWN_TRANSFERRED,
        RL_AUDIT_RETURN_TRANSFERRED);
    rl_context_freeze(context);
    foreign->release(foreign->data, foreign->length, foreign->user);
    rl_context_thaw(context);
}

static void free_record(rl_context_t* context, rl_foreign_t* foreign) {
    rl_free(&context->allocator, foreign, sizeof *foreign);
}

void rl_foreign_settle_slow(rl_context_t* context) {
    if (context->frozen || context->audit.delivering) return;
    while (context->foreigns.dropped) {
        rl_foreign_t* foreign = context->foreigns.dropped;
        release_record(context, foreign);
        free_record(context, foreign);
    }
}

void rl_foreign_release_all(rl_context_t* context) {
    rl_foreign_settle(context);
    while (context->foreigns.living) release_record(context, context->foreigns.living);
}

void rl_foreign_detach(rl_context_t* context) {
    rl_audit_tally_detach(&context->audit, &context->foreigns.lent);
    rl_audit_tally_detach(&context->audit, &context->foreigns.given);
    rl_audit_tally_detach(&context->audit, &context->foreigns.released);
}

void rl_host_object_dropped(void* user, rl_object_t* object) {
    rl_context_t* context = ((rl_vm_t*)user)->host; /* the heap's user is its machine */
    const rl_word_t* words = rl_object_words(object);
    rl_foreign_t* foreign = rl_foreign_of(object);
    if (!foreign) {
        void (*destroy)(void*, void*);
        rl_host_share_t* share = words[3].p;
        memcpy(&destroy, &words[1], sizeof destroy);
        if (share && --share->objects) return;
        if (share) rl_free(&context->allocator, share, sizeof *share);
        if (destroy) destroy(words[0].p, words[2].p);
        return;
    }
    if (foreign->copies) {
        foreign->copies--;
        return;
    }
    foreign->flags |= RL_FOREIGN_DROPPED;
    if (!(foreign->flags & RL_FOREIGN_TRANSFERRED) || (foreign->flags & RL_FOREIGN_OVER)) {
        free_record(context, foreign);
        return;
    }
    unlink_record(foreign);
    link_record(&context->foreigns.dropped, foreign);
}

/* Records whose handlers could not run any more (a forked child): the memory goes, the handlers do not run. */
void rl_foreign_deinit(rl_context_t* context) {
    while (context->foreigns.dropped) {
        rl_foreign_t* foreign = context->foreigns.dropped;
        unlink_record(foreign);
        free_record(context, foreign);
    }
}

/* --- what a host function answered -------------------------------------------------------------------------------- */

void rl_foreign_row(const rl_object_t* object, rl_audit_ownership_t* out_ownership, rl_audit_return_t* out_result) {
    rl_object_t* host = (rl_object_t*)(uintptr_t)object;
    const rl_foreign_t* foreign = rl_foreign_of(host);
    const rl_word_t* words = rl_object_words(host);
    bool owned = foreign ? (foreign->flags & RL_FOREIGN_TRANSFERRED) != 0 : words[1].p != NULL;
    bool null = (foreign ? foreign->data : words[0].p) == NULL;
    if (*out_ownership == RL_AUDIT_OWN_NONE) *out_ownership = owned ? RL_AUDIT_OWN_TRANSFERRED : RL_AUDIT_OWN_BORROWED;
    *out_result = null ? RL_AUDIT_RETURN_NULL : owned ? RL_AUDIT_RETURN_PENDING : RL_AUDIT_RETURN_BORROWED;
}

bool rl_foreign_keeps(const rl_object_t* object, rl_audit_ownership_t declared) {
    const rl_foreign_t* foreign = rl_foreign_of((rl_object_t*)(uintptr_t)object);
    if (!foreign || !foreign->data || declared == RL_AUDIT_OWN_NONE) return true;
    return (declared == RL_AUDIT_OWN_TRANSFERRED) == ((foreign->flags & RL_FOREIGN_TRANSFERRED) != 0);
}

/* --- the host's side ------------------------------------------------------------------------------------------------ */

static reml_embed_status_t invalid(rl_context_t* context, rl_code_t code, const char* what) {
    return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, code, "%s: %s", rl_code_text(code), what);
}

static reml_embed_status_t check(rl_context_t* context, const reml_foreign_t* given) {
    if ((given->flags & ~(uint32_t)REML_FOREIGN_ONE_RUN) || given->reserved)
        return invalid(context, RL_CODE_FFI_WRAP_INVALID_ARGUMENT, "unknown flags");
    if (given->ownership != REML_OWNERSHIP_BORROWED && given->ownership != REML_OWNERSHIP_TRANSFERRED)
        return invalid(context, RL_CODE_FFI_WRAP_INVALID_ARGUMENT, "a pointer is borrowed or transferred");
    if (!given->data && given->length)
        return invalid(context, RL_CODE_FFI_WRAP_INVALID_ARGUMENT, "a NULL pointer has no bytes behind it");
    if (given->length > INT64_MAX) return invalid(context, RL_CODE_FFI_WRAP_INVALID_ARGUMENT, "length out of range");
    bool transferred = given->ownership == REML_OWNERSHIP_TRANSFERRED;
    if (transferred != (given->release != NULL)) {
        return invalid(context, RL_CODE_FFI_CONTRACT_OWNERSHIP_MISMATCH,
            transferred ? "a transferred pointer needs a release handler"
                        : "a borrowed pointer has no release handler");
    }
    if (transferred && given->flags)
        return invalid(context, RL_CODE_FFI_CONTRACT_OWNERSHIP_MISMATCH, "only a loan is for one run");
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ffi_wrap_foreign_ptr(
    reml_embed_context_t* id, reml_type_t type_id, const reml_foreign_t* foreign, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    rl_foreign_settle(context);
    reml_foreign_t given = REML_FOREIGN_INIT;
    if (!foreign || !rl_copy_versioned(&given, sizeof given, foreign, foreign->struct_size))
        return invalid(context, RL_CODE_FFI_WRAP_INVALID_ARGUMENT, "struct_size");
    const rl_rtype_t* type = NULL;
    reml_embed_status_t status = rl_type_of_host(context, type_id, &type);
    if (status == REML_EMBED_STATUS_OK) status = check(context, &given);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_audit_result_t ready = rl_audit_ready(&context->audit);
    if (ready != RL_AUDIT_OK) {
        return rl_context_fail(context, rl_status_of_audit(ready), RL_CODE_AUDIT_UNAVAILABLE, "audit.unavailable: %s",
            rl_audit_problem(&context->audit));
    }
    bool transferred = given.ownership == REML_OWNERSHIP_TRANSFERRED && given.data; /* NULL owns nothing */
    rl_foreign_t* record_ = rl_alloc_zero(&context->allocator, sizeof *record_);
    rl_word_t word = {
        .o = record_ ? rl_heap_new(&context->vm.heap, RL_OBJ_HOST, RL_HOST_PLAIN, 0, RL_HOST_WORDS) : NULL};
    if (word.o) *out = rl_value_out(context, type, word, false);
    if (out->kind ==
        REML_KIND_NONE) { /* the object, if there is one, is plain and holds nothing: the caller keeps its pointer */
        if (record_) free_record(context, record_);
        return rl_context_no_memory(context);
    }
    *record_ = (rl_foreign_t){.data = given.data,
        .length = given.length,
        .release = given.release,
        .user = given.user,
        .epoch = context->vm.foreign_epoch + (context->depth == 0),
        .flags =
            (transferred ? RL_FOREIGN_TRANSFERRED : 0) | (given.flags & REML_FOREIGN_ONE_RUN ? RL_FOREIGN_ONE_RUN : 0)};
    rl_object_words(word.o)[0].p = record_;
    word.o->tag = RL_HOST_FOREIGN;
    if (transferred) {
        link_record(&context->foreigns.living, record_);
        context->metrics.acquired++;
        context->metrics.live++;
        record(context, &context->foreigns.given, "reml_ffi_wrap_foreign_ptr", RL_AUDIT_OWN_TRANSFERRED,
            RL_AUDIT_RETURN_PENDING);
    } else if (given.data) {
        record(context, &context->foreigns.lent, "reml_ffi_wrap_foreign_ptr", RL_AUDIT_OWN_BORROWED,
            RL_AUDIT_RETURN_BORROWED);
    } else {
        context->metrics.null_results++;
        rl_crossing_t crossing = {.symbol = RL_STR("reml_ffi_wrap_foreign_ptr"),
            .ok = true,
            .ownership =
                given.ownership == REML_OWNERSHIP_TRANSFERRED ? RL_AUDIT_OWN_TRANSFERRED : RL_AUDIT_OWN_BORROWED,
            .result = RL_AUDIT_RETURN_NULL};
        rl_bridge_crossing(context, &crossing);
    }
    return REML_EMBED_STATUS_OK;
}

/* The record behind a value; `use` says what for, in refusals. A pointer that is over is refused and recorded. */
static reml_embed_status_t find(rl_context_t* context, reml_value_t value, const char* symbol, rl_foreign_t** out) {
    rl_handle_t* handle;
    reml_embed_status_t status = rl_handle_use(context, value, symbol, &handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    *out = rl_kind_of(handle->type) == REML_KIND_HOST ? rl_foreign_of(handle->word.o) : NULL;
    if (!*out) return invalid(context, RL_CODE_FFI_WRAP_INVALID_ARGUMENT, "not a host pointer");
    if (rl_foreign_is_over(*out, context->vm.foreign_epoch))
        return rl_bridge_violation(context, symbol, REML_EMBED_STATUS_STALE, rl_foreign_reason(*out));
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ffi_end_borrow(reml_embed_context_t* id, reml_value_t value) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_foreign_t* foreign;
    reml_embed_status_t status = find(context, value, "reml_ffi_end_borrow", &foreign);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (foreign->flags & RL_FOREIGN_TRANSFERRED) {
        return rl_bridge_violation(context, "reml_ffi_end_borrow", REML_EMBED_STATUS_INVALID_ARGUMENT,
            "the pointer was transferred, not lent");
    }
    foreign->flags |= RL_FOREIGN_OVER;
    return REML_EMBED_STATUS_OK;
}

/* A transferred pointer that the script gives up. */
static reml_embed_status_t find_owned(
    rl_context_t* context, reml_value_t value, const char* symbol, rl_foreign_t** out) {
    reml_embed_status_t status = find(context, value, symbol, out);
    if (status != REML_EMBED_STATUS_OK) return status;
    if ((*out)->flags & RL_FOREIGN_TRANSFERRED) return status;
    return rl_bridge_violation(context, symbol, REML_EMBED_STATUS_INVALID_ARGUMENT, "the pointer is only borrowed");
}

reml_embed_status_t reml_ffi_take_foreign(reml_embed_context_t* id, reml_value_t value, void** out_data) {
    if (!out_data) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_data = NULL;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_foreign_t* foreign;
    reml_embed_status_t status = find_owned(context, value, "reml_ffi_take_foreign", &foreign);
    if (status != REML_EMBED_STATUS_OK) return status;
    *out_data = foreign->data;
    give_up(context, foreign);
    context->metrics.transferred_results++;
    rl_crossing_t crossing = {.symbol = RL_STR("reml_ffi_take_foreign"),
        .ok = true,
        .ownership = RL_AUDIT_OWN_TRANSFERRED,
        .result = RL_AUDIT_RETURN_TRANSFERRED};
    rl_bridge_crossing(context, &crossing);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ffi_release_foreign(reml_embed_context_t* id, reml_value_t value) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_foreign_t* foreign;
    reml_embed_status_t status = find_owned(context, value, "reml_ffi_release_foreign", &foreign);
    if (status != REML_EMBED_STATUS_OK) return status;
    release_record(context, foreign);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ffi_foreign_info(reml_embed_context_t* id, reml_value_t value, reml_foreign_t* out) {
    RL_ENTER(id, context);
    if (!out || out->struct_size < 2 * sizeof(uint32_t)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_handle_t* handle;
    reml_embed_status_t status = rl_handle_use(context, value, "reml_ffi_foreign_info", &handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    const rl_foreign_t* foreign = rl_kind_of(handle->type) == REML_KIND_HOST ? rl_foreign_of(handle->word.o) : NULL;
    if (!foreign) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    bool over = rl_foreign_is_over(foreign, context->vm.foreign_epoch);
    reml_foreign_t info = {.struct_size = out->struct_size,
        .flags = (foreign->flags & RL_FOREIGN_ONE_RUN ? REML_FOREIGN_ONE_RUN : 0) | (over ? REML_FOREIGN_OVER : 0),
        .ownership = foreign->flags & RL_FOREIGN_TRANSFERRED ? REML_OWNERSHIP_TRANSFERRED : REML_OWNERSHIP_BORROWED,
        .data = over ? NULL : foreign->data,
        .length = over ? 0 : foreign->length};
    memcpy(out, &info, out->struct_size < sizeof info ? out->struct_size : sizeof info);
    return REML_EMBED_STATUS_OK;
}

void rl_foreign_violation(void* host, const char* symbol, const char* reason) {
    rl_bridge_violation(host, symbol, REML_EMBED_STATUS_STALE, reason);
}
