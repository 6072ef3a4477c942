/*
 * The direct path into a function of scalars: what rl_function_call_words does, with everything that is usually so looked at once
 * and in one place. Anything unusual (a nested run, modules not initialised, a record per call, a log in trouble) goes the long way.
 *
 * Comes in: a context that rl_slot_resolve has just answered, an entry with `scalar` set, and all words of its parameters.
 */
#ifndef RL_FAST_CALL_H
#define RL_FAST_CALL_H

#include "host/context.h"

static inline bool rl_fast_call_possible(const rl_context_t* context) {
    const rl_audit_t* audit = &context->audit;
    if (context->depth | context->frozen | audit->attention) return false;
    if (audit->policy != RL_AUDIT_SUMMARY || (audit->writer && rl_audit_writer_troubled(audit->writer))) return false;
    return context->modules_ready == context->module_states.count;
}

static inline reml_embed_status_t rl_fast_call(rl_context_t* context, rl_function_entry_t* entry, const rl_word_t* words, unsigned count,
                                               rl_word_t* result) {
    if (RL_UNLIKELY(!rl_fast_call_possible(context))) return rl_function_call_words(context, entry, words, NULL, result);
    reml_ffi_bridge_metrics_t* metrics = &context->metrics;
    context->depth = 1;
    atomic_store_explicit(&context->slot->running, 1, memory_order_relaxed);
    rl_vm_begin_run(&context->vm);
    rl_outcome_t outcome = rl_vm_call_scalar(&context->vm, entry->proto, words, count, result);
    if (RL_UNLIKELY(outcome != RL_DONE)) {
        reml_embed_status_t status = rl_context_fail_from_vm(context);
        rl_run_end(context);
        rl_function_crossed(context, entry, status);
        return status;
    }
    rl_run_end(context);
    entry->tally.bridge_total = ++metrics->total_calls;
    entry->tally.bridge_success = ++metrics->success_calls;
    rl_audit_tally_count(&context->audit, &entry->tally);
    return REML_EMBED_STATUS_OK;
}

#endif
