/* reml_last_error, statuses, and the way from a code to a status. */
#include "host/context.h"

#include <stdio.h>

void rl_context_clear_error(rl_context_t* context) {
    /* A refusal that an earlier call has coped with is not one of the call that begins here. */
    rl_alloc_clear_failure(&context->allocator);
    context->has_error = false;
    rl_buf_clear(&context->error);
}

/* The text must be readable as a C string; when even that cannot be had the buffer stays empty and has a static stand-in. */
static void finish_error(rl_context_t* context, rl_code_t code) {
    context->has_error = true;
    context->error_code = code;
}

reml_embed_status_t rl_context_fail(
    rl_context_t* context, reml_embed_status_t status, rl_code_t code, const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    rl_buf_clear(&context->error);
    rl_buf_add_cstr(&context->error, text);
    finish_error(context, code);
    return status;
}

reml_embed_status_t rl_context_no_memory(rl_context_t* context) {
    rl_alloc_clear_failure(&context->allocator);
    return rl_context_fail(context, REML_EMBED_STATUS_NO_MEMORY, RL_CODE_RUNTIME_LIMIT_MEMORY, "%s: out of memory",
        rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
}

reml_embed_status_t rl_status_of_code(rl_code_t code) {
    switch (code) {
    case RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS:
    case RL_CODE_RUNTIME_LIMIT_MEMORY:
    case RL_CODE_RUNTIME_LIMIT_DEADLINE:
    case RL_CODE_RUNTIME_LIMIT_OUTPUT:
    case RL_CODE_RUNTIME_STACK_OVERFLOW:
    case RL_CODE_PARSER_LIMIT_EXCEEDED:
    case RL_CODE_TYPE_INSTANTIATION_LIMIT: return REML_EMBED_STATUS_LIMIT;
    case RL_CODE_RUNTIME_CAPABILITY_DENIED: return REML_EMBED_STATUS_DENIED;
    case RL_CODE_AUDIT_UNAVAILABLE: return REML_EMBED_STATUS_AUDIT_UNAVAILABLE;
    default: return REML_EMBED_STATUS_ERROR;
    }
}

reml_embed_status_t rl_status_of_audit(rl_audit_result_t result) {
    switch (result) {
    case RL_AUDIT_OK: return REML_EMBED_STATUS_OK;
    case RL_AUDIT_UNAVAILABLE: return REML_EMBED_STATUS_AUDIT_UNAVAILABLE;
    case RL_AUDIT_NO_MEMORY: return REML_EMBED_STATUS_NO_MEMORY;
    case RL_AUDIT_INVALID: return REML_EMBED_STATUS_INVALID_ARGUMENT;
    case RL_AUDIT_BUSY: return REML_EMBED_STATUS_BUSY;
    case RL_AUDIT_FORKED: return REML_EMBED_STATUS_FORKED;
    }
    return REML_EMBED_STATUS_ERROR;
}

reml_embed_status_t rl_context_fail_from_diagnostics(rl_context_t* context) {
    const rl_diag_t* first = rl_diags_first_error(&context->diagnostics);
    if (!first || context->allocator.failed) { /* without memory a diagnostic may tell of what could not be made */
        return rl_context_fail(context, REML_EMBED_STATUS_NO_MEMORY, RL_CODE_RUNTIME_LIMIT_MEMORY,
            "%s: out of memory while loading", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
    }
    rl_position_t at = rl_position_of(context->diagnostics.source, first->span.start);
    rl_context_fail(context, REML_EMBED_STATUS_ERROR, first->code, "%u:%u: %s: %.*s", at.line, at.column,
        rl_code_text(first->code), RL_STR_ARG(first->message));
    return rl_status_of_code(first->code);
}

reml_embed_status_t rl_context_fail_from_vm(rl_context_t* context) {
    const rl_failure_t* failure = &context->vm.failure;
    rl_str_t message = rl_buf_str(&failure->message);
    context->failure_token = failure->token;
    rl_context_fail(
        context, REML_EMBED_STATUS_ERROR, failure->code, "%s: %.*s", rl_code_text(failure->code), RL_STR_ARG(message));

    /* The same failure as a diagnostic of the module it happened in. */
    rl_diags_clear(&context->diagnostics);
    rl_arena_deinit(&context->diag_arena);
    rl_span_t span = {failure->start, failure->start};
    bool located = failure->module != 0;
    context->diagnostics.source = context->diagnostics.file = context->diagnostics.module = (rl_str_t){NULL, 0};
    if (located) {
        const rl_module_t* module = rl_program_module(&context->program, failure->module);
        context->diagnostics.source = module->source;
        context->diagnostics.file = module->file;
        context->diagnostics.module = rl_sym_text(&context->program.symbols, module->path);
    }
    rl_diag_t* diag = rl_report(&context->diagnostics, failure->code, span, "%.*s", RL_STR_ARG(message));
    diag->has_span = located;
    for (uint32_t i = 0; i < failure->stack.count; i++)
        rl_vec_push(&context->allocator, &diag->stack, failure->stack.data[i]);
    for (uint32_t i = 0; i < failure->notes.count; i++)
        rl_note_plain(&context->diagnostics, diag, "%.*s", RL_STR_ARG(failure->notes.data[i]));
    rl_alloc_clear_failure(&context->allocator);
    return rl_status_of_code(failure->code);
}

const char* reml_last_error(const reml_embed_context_t* id) {
    rl_context_t* context = NULL;
    if (rl_slot_resolve(id, &context) != REML_EMBED_STATUS_OK || !context->has_error) return NULL;
    if (context->error.length == 0) return rl_code_text(context->error_code);
    return rl_buf_cstr(&context->error);
}

const char* reml_embed_status_label(reml_embed_status_t status) {
    static const char* const labels[] = {
        [REML_EMBED_STATUS_OK] = "ok",
        [REML_EMBED_STATUS_ERROR] = "error",
        [REML_EMBED_STATUS_ABI_MISMATCH] = "abi_mismatch",
        [REML_EMBED_STATUS_UNSUPPORTED_TARGET] = "unsupported_target",
        [REML_EMBED_STATUS_INVALID_ARGUMENT] = "invalid_argument",
        [REML_EMBED_STATUS_NO_MEMORY] = "no_memory",
        [REML_EMBED_STATUS_INVALID_HANDLE] = "invalid_handle",
        [REML_EMBED_STATUS_WRONG_CONTEXT] = "wrong_context",
        [REML_EMBED_STATUS_STALE] = "stale",
        [REML_EMBED_STATUS_BUSY] = "busy",
        [REML_EMBED_STATUS_WRONG_THREAD] = "wrong_thread",
        [REML_EMBED_STATUS_FORKED] = "forked",
        [REML_EMBED_STATUS_DENIED] = "denied",
        [REML_EMBED_STATUS_AUDIT_UNAVAILABLE] = "audit_unavailable",
        [REML_EMBED_STATUS_PENDING] = "pending",
        [REML_EMBED_STATUS_LIMIT] = "limit",
    };
    unsigned index = (unsigned)status;
    return index < RL_COUNT_OF(labels) ? labels[index] : "unknown";
}
