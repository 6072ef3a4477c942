/*
 * The direct path into a function of scalars: what rl_function_call_words does, with everything that is usually so looked at once
 * and in one place. Anything unusual (a nested run, modules not initialised, a log in trouble) goes the long way.
 *
 * Comes in: a context that rl_slot_resolve has just answered, an entry with `scalar` set, and all words of its parameters.
 */
#ifndef RL_FAST_CALL_H
#define RL_FAST_CALL_H

#include "host/context.h"

/*
 * May calls of this context go the direct way until something changes? Looked at after a call that went the long way; taken back
 * by every other run, load and setting (rl_run_begin, limits, audit).
 */
static inline bool rl_fast_call_allowed(const rl_context_t* context) {
    const rl_limits_t* limits = &context->vm.limits;
    return !context->profiling && limits->fuel >= RL_POLL_INTERVAL && limits->fuel <= INT64_MAX / 2 &&
           !limits->deadline_ms && context->modules_ready == context->module_states.count;
}

/* What the small loop cannot do: go on in the large one, with everything in place that a run may look at. Counts a failure. */
reml_embed_status_t rl_fast_call_rest(rl_context_t* context, rl_function_entry_t* entry, const rl_instr_t* rest);

/* Is everything as it usually is? Then a `small` entry can be run by rl_fast_call_run. */
static inline bool rl_fast_call_is_open(const rl_context_t* context) {
    const rl_audit_t* audit = &context->audit;
    return context->direct && (context->depth | context->frozen) == 0 && !audit->attention && !audit->delivering &&
           !context->vm.failure.present && (!audit->writer || !rl_audit_writer_troubled(audit->writer));
}

static inline reml_embed_status_t rl_fast_call_run(
    rl_context_t* context, rl_function_entry_t* entry, const rl_word_t* words, size_t count, rl_word_t* result) {
    rl_word_t* s = context->vm.fiber->s;
    for (size_t i = 0; i < count; i++) s[i] = words[i];
    const rl_instr_t* rest = rl_vm_run_leaf(entry->proto, s);
    if (rest) {
        reml_embed_status_t status = rl_fast_call_rest(context, entry, rest);
        if (RL_UNLIKELY(status != REML_EMBED_STATUS_OK)) return status;
        s = context->vm.fiber->s; /* the bank may have moved */
    }
    *result = s[0];
    if (RL_UNLIKELY(atomic_load_explicit(&context->slot->interrupt, memory_order_relaxed)))
        atomic_store_explicit(&context->slot->interrupt, 0, memory_order_relaxed); /* came too late */
    context->metrics.total_calls++;
    context->metrics.success_calls++;
    rl_audit_tally_count(&context->audit, &entry->tally);
    return REML_EMBED_STATUS_OK;
}

static inline reml_embed_status_t rl_fast_call(
    rl_context_t* context, rl_function_entry_t* entry, const rl_word_t* words, unsigned count, rl_word_t* result) {
    if (RL_LIKELY(entry->small && rl_fast_call_is_open(context)))
        return rl_fast_call_run(context, entry, words, count, result);
    reml_embed_status_t status = rl_function_call_words(context, entry, words, NULL, result);
    context->direct = rl_fast_call_allowed(context);
    return status;
}

#endif
