/*
 * The direct path into a function of scalars: what rl_function_call_words does, with everything that is usually so looked at once
 * and in one place. Anything unusual (a nested run, modules not initialised, a record per call, a log in trouble) goes the long way.
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
    return context->audit.policy == RL_AUDIT_SUMMARY && limits->fuel >= RL_POLL_INTERVAL &&
           limits->fuel <= INT64_MAX / 2 && !limits->deadline_ms &&
           context->modules_ready == context->module_states.count;
}

static inline reml_embed_status_t rl_fast_call(
    rl_context_t* context, rl_function_entry_t* entry, const rl_word_t* words, unsigned count, rl_word_t* result) {
    const rl_proto_t* proto = entry->proto;
    rl_vm_t* vm = &context->vm;
    rl_audit_t* audit = &context->audit;
    if (RL_UNLIKELY(!context->direct || !entry->small || (context->depth | context->frozen) != 0 || audit->attention ||
                    audit->delivering || vm->failure.present ||
                    (audit->writer && rl_audit_writer_troubled(audit->writer)))) {
        reml_embed_status_t status = rl_function_call_words(context, entry, words, NULL, result);
        context->direct = rl_fast_call_allowed(context);
        return status;
    }
    rl_fiber_t* fiber = vm->fiber;
    context->depth = 1;
    atomic_store_explicit(&context->slot->running, 1, memory_order_relaxed);
    /* rl_vm_begin_run and rl_vm_call_scalar without what is known to hold: no failure to clear, no deadline, registers enough. */
    vm->budget = RL_POLL_INTERVAL - (int64_t)proto->entry_cost;
    vm->fuel_left = (int64_t)vm->limits.fuel - RL_POLL_INTERVAL;
    vm->output_left = vm->limits.output_bytes;
    rl_word_t* registers = fiber->s;
    for (unsigned i = 0; i < count; i++) registers[i] = words[i];
    fiber->frames[0] = (rl_frame_t){rl_vm_halt, NULL, 0, 0};
    fiber->frame_count = 1;
    fiber->s_base = fiber->r_base = 0;
    fiber->proto = proto;
    fiber->pc = proto->code;
    vm->native_depth = 1;
    rl_outcome_t outcome = rl_vm_run(vm, 0);
    vm->native_depth = 0;
    fiber->frame_count = 0;
    fiber->s_base = fiber->r_base = 0;
    fiber->proto = NULL;
    *result = fiber->s[0];
    if (RL_UNLIKELY(outcome != RL_DONE)) {
        reml_embed_status_t status = rl_context_fail_from_vm(context);
        rl_run_end(context);
        rl_function_crossed(context, entry, status);
        return status;
    }
    context->depth = 0;
    rl_slot_t* slot = context->slot;
    atomic_store_explicit(&slot->running, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->interrupt, 0, memory_order_relaxed);
    entry->tally.bridge_total = ++context->metrics.total_calls;
    entry->tally.bridge_success = ++context->metrics.success_calls;
    rl_audit_tally_count(audit, &entry->tally);
    return REML_EMBED_STATUS_OK;
}

#endif
