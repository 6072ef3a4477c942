/*
 * Handlers at run time (LANGUAGE 6.4). A handled computation is a fiber on top of the one that waits in HANDLE; its r[0…]
 * hold the closures of the handler. PERFORM looks along the chain, parks everything up to and including the fiber of the
 * handler in a continuation, and calls the clause in the frame that waits there, in place of the value it waits for.
 * RESUME replaces its own frame by the parked computation: what waits for the clause now waits for the computation. So
 * a resume in tail position leaves nothing behind, and any other is an ordinary call.
 */
#include "vm/vm.h"

/* Code of continuations, by the bank of what they take and of what they yield. */
#define RESUME_CODE(takes, ret) {{.op = RL_OP_RESUME, .a = (takes)}, {.op = (ret), .a = 0}}
static const rl_instr_t resume_code[2][2][2] = {
    {RESUME_CODE(0, RL_OP_RETS), RESUME_CODE(0, RL_OP_RETR)}, {RESUME_CODE(1, RL_OP_RETS), RESUME_CODE(1, RL_OP_RETR)}};
#define RESUME_PROTO(takes, yields)                                                                                    \
    {.code = resume_code[takes][yields],                                                                               \
        .code_count = 2,                                                                                               \
        .s_count = 1,                                                                                                  \
        .r_count = 2,                                                                                                  \
        .s_params = 1 - (takes),                                                                                       \
        .r_params = (takes),                                                                                           \
        .has_env = true,                                                                                               \
        .entry_cost = 1,                                                                                               \
        .result_rep = (yields) ? RL_REP_R : RL_REP_S}
static const rl_proto_t resume_protos[2][2] = {
    {RESUME_PROTO(0, 0), RESUME_PROTO(0, 1)}, {RESUME_PROTO(1, 0), RESUME_PROTO(1, 1)}};

/* --- installing ---------------------------------------------------------------------------------------------------- */

rl_outcome_t rl_effect_handle(rl_vm_t* vm, rl_handle_site_t* site, uint32_t a, uint32_t b) {
    rl_fiber_t* parent = vm->fiber;
    rl_object_t* body = parent->r[parent->r_base + b];
    const rl_proto_t* proto = rl_object_words(body)[body->refs].p;
    vm->budget -= (int64_t)proto->entry_cost;
    if (vm->budget < 0 && !rl_vm_poll(vm)) return RL_RAISE;
    if (parent->depth + parent->frame_count > vm->limits.call_depth)
        return rl_vm_raise(vm, RL_CODE_RUNTIME_STACK_OVERFLOW, "stack overflow: more than %llu nested calls",
            (unsigned long long)vm->limits.call_depth);
    rl_fiber_t* fiber = rl_fiber_new(vm, body, RL_FIBER_HANDLED, 1u + site->clause_count);
    if (!fiber) return RL_RAISE;
    rl_object_t** from = parent->r + parent->r_base + b + 1;
    fiber->r[0] = site->has_return ? *from++ : NULL;
    for (unsigned i = 0; i < site->clause_count; i++) fiber->r[1 + i] = from[i];
    fiber->handler = site;
    if (RL_UNLIKELY(!site->told || vm->watch_effects) && vm->handler_applied) vm->handler_applied(vm->host, site);
    rl_fiber_enter(vm, fiber, a, b);
    return RL_DONE;
}

/* --- performing ---------------------------------------------------------------------------------------------------- */

/* The innermost handler for the effect that this computation sees, or NULL. `blocked`: what stands between that must not
   be parked; 0: nothing. */
static rl_fiber_t* find_handler(rl_vm_t* vm, rl_effect_id_t effect, rl_code_t* blocked) {
    *blocked = 0;
    for (rl_fiber_t* fiber = vm->fiber; fiber && fiber->role != RL_FIBER_TASK; fiber = fiber->parent) {
        if (RL_UNLIKELY(fiber->barrier) && !*blocked)
            *blocked =
                fiber->barrier_is_native ? RL_CODE_RUNTIME_EFFECT_NATIVE_FRAME : RL_CODE_RUNTIME_EFFECT_UNHANDLED;
        if (fiber->role == RL_FIBER_HANDLED && fiber->handler->effect == effect) return fiber;
        vm->budget--;
    }
    return NULL;
}

static void tell_perform(rl_vm_t* vm, const rl_perform_site_t* site, const char* by) {
    rl_str_t operation = site->name;
    while (operation.length && operation.data[0] != '.') operation.data++, operation.length--;
    if (operation.length) operation.data++, operation.length--;
    vm->effect_event(vm->host, "perform", site->effect, operation, by);
}

/* A handler of the host answers: what it answers is what the computation goes on with. */
static rl_outcome_t perform_by_host(rl_vm_t* vm, const rl_perform_site_t* site, uint32_t a, uint32_t b) {
    rl_word_t result;
    rl_outcome_t outcome = rl_vm_call_host(
        vm, site->host, vm->fiber->s + vm->fiber->s_base + a, vm->fiber->r + vm->fiber->r_base + b, &result);
    if (outcome != RL_DONE) return outcome;
    if (site->value_rep == RL_REP_R) vm->fiber->r[vm->fiber->r_base + b] = result.o;
    else vm->fiber->s[vm->fiber->s_base + a] = result;
    return RL_DONE;
}

/* No handler of the program: one of the host, the builtin that stands in, or a panic. */
static rl_outcome_t perform_at_root(rl_vm_t* vm, const rl_perform_site_t* site, uint32_t a, uint32_t b) {
    const rl_builtin_site_t* root = site->root;
    bool by_host = RL_UNLIKELY(vm->host_handlers) && site->host && vm->host_answers(vm->host, site);
    if (RL_UNLIKELY(vm->watch_effects)) tell_perform(vm, site, by_host ? "host" : root ? "root" : "none");
    if (by_host) return perform_by_host(vm, site, a, b);
    if (!root) {
        return rl_vm_raise(vm, RL_CODE_RUNTIME_EFFECT_UNHANDLED, "no handler for %.*s", RL_STR_ARG(site->name));
    }
    for (unsigned attempt = 0;; attempt++) {
        rl_fiber_t* fiber = vm->fiber;
        rl_word_t args[RL_BUILTIN_ARGS_MAX], result = {0};
        for (unsigned i = 0; i < root->arg_count; i++) {
            if (root->arg_reps[i] == RL_REP_R) args[i].o = fiber->r[fiber->r_base + root->args[i]];
            else args[i] = fiber->s[fiber->s_base + root->args[i]];
        }
        rl_outcome_t outcome = root->call(vm, args, &result, root);
        if (outcome == RL_COLLECT && attempt == 0 && rl_heap_make_room(&vm->heap)) continue;
        if (outcome == RL_COLLECT) {
            rl_alloc_clear_failure(vm->allocator);
            return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
        }
        if (outcome != RL_DONE) return outcome;
        if (site->value_rep == RL_REP_R) fiber->r[fiber->r_base + b] = result.o;
        else fiber->s[fiber->s_base + a] = result;
        return RL_DONE;
    }
}

rl_outcome_t rl_effect_perform(rl_vm_t* vm, const rl_perform_site_t* site, uint32_t a, uint32_t b) {
    rl_code_t blocked;
    if (RL_UNLIKELY(site->guarded) && vm->may_perform && !vm->may_perform(vm->host, site->effect)) return RL_RAISE;
    rl_fiber_t *from = vm->fiber, *handler = find_handler(vm, site->effect, &blocked);
    if (!handler) return perform_at_root(vm, site, a, b);
    if (RL_UNLIKELY(blocked != 0)) {
        rl_str_t why = rl_vm_standard_message(blocked);
        return rl_vm_raise(vm, blocked, "%.*s: %.*s", RL_STR_ARG(site->name), RL_STR_ARG(why));
    }
    if (RL_UNLIKELY(vm->watch_effects)) tell_perform(vm, site, "handler");
    rl_fiber_t* to = handler->parent;
    rl_object_t* clause = handler->r[1 + site->operation];
    const rl_proto_t* callee = rl_object_words(clause)[clause->refs].p;
    size_t s_base = (size_t)to->s_base + handler->s_window, r_base = (size_t)to->r_base + handler->r_window;
    vm->budget -= (int64_t)callee->entry_cost;
    if (RL_UNLIKELY(vm->budget < 0) && !rl_vm_poll(vm)) return RL_RAISE;
    if (RL_UNLIKELY(s_base + callee->s_count > to->s_capacity || r_base + callee->r_count > to->r_capacity ||
                    to->frame_count >= to->frame_capacity ||
                    to->frame_count >= rl_fiber_frames_left(to, vm->limits.call_depth))) {
        if (!rl_fiber_reserve(vm, to, s_base + callee->s_count, r_base + callee->r_count)) return RL_RAISE;
    }
    rl_parked_t* parked =
        rl_parked_new(vm, &resume_protos[site->value_rep == RL_REP_R][handler->handler->result_rep == RL_REP_R]);
    if (RL_UNLIKELY(!parked)) return RL_RAISE;
    uint32_t references = callee->r_params - 1u; /* without the continuation, which comes last */
    for (unsigned i = 0; i < callee->s_params; i++) to->s[s_base + i] = from->s[from->s_base + a + i];
    to->r[r_base] = clause;
    for (unsigned i = 0; i < references; i++) to->r[r_base + 1 + i] = from->r[from->r_base + b + i];
    to->r[r_base + 1 + references] = &parked->header;
    to->frames[to->frame_count++] = (rl_frame_t){to->pc, to->proto, handler->s_window, handler->r_window};
    to->s_base = (uint32_t)s_base;
    to->r_base = (uint32_t)r_base;
    to->proto = callee;
    to->pc = callee->code;
    rl_fiber_park(vm, parked, handler);
    return RL_DONE;
}

/* --- resuming ------------------------------------------------------------------------------------------------------ */

rl_outcome_t rl_effect_resume(rl_vm_t* vm, bool is_ref) {
    rl_fiber_t* fiber = vm->fiber;
    rl_parked_t* parked = (rl_parked_t*)fiber->r[fiber->r_base];
    if (RL_UNLIKELY(!parked->inner)) return rl_vm_raise_standard(vm, RL_CODE_EFFECTS_HANDLER_INVALID_RESUME);
    if (RL_UNLIKELY(vm->watch_effects) && parked->outer->handler)
        vm->effect_event(vm->host, "resume", parked->outer->handler->effect, (rl_str_t){NULL, 0}, NULL);
    rl_word_t value = fiber->s[fiber->s_base];
    if (is_ref) value.o = fiber->r[fiber->r_base + 1];
    const rl_frame_t frame = fiber->frames[fiber->frame_count - 1];
    uint32_t s_window = 0, r_window = 0;
    if (RL_LIKELY(frame.return_pc != rl_vm_halt)) { /* whoever entered the loop must find its frame */
        fiber->frame_count--;
        fiber->pc = frame.return_pc;
        fiber->proto = frame.caller;
        fiber->s_base -= frame.s_delta;
        fiber->r_base -= frame.r_delta;
        s_window = frame.s_delta;
        r_window = frame.r_delta;
    }
    if (RL_UNLIKELY(rl_fiber_unpark(vm, parked, s_window, r_window) != RL_DONE)) return RL_RAISE;
    rl_fiber_give(vm, value, is_ref);
    return RL_DONE;
}

/* --- leaving ------------------------------------------------------------------------------------------------------- */

rl_object_t* rl_token_new(rl_vm_t* vm, const rl_instr_t* target) {
    if (rl_heap_wants_step(&vm->heap)) rl_heap_step(&vm->heap);
    rl_token_t* token = rl_heap_new_sized(&vm->heap, RL_OBJ_FIBER, 1, sizeof *token);
    if (!token && rl_heap_make_room(&vm->heap)) token = rl_heap_new_sized(&vm->heap, RL_OBJ_FIBER, 1, sizeof *token);
    if (!token) {
        rl_alloc_clear_failure(vm->allocator);
        rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
        return NULL;
    }
    token->header.tag = RL_FIBER_TOKEN;
    token->fiber = vm->fiber;
    token->frame = vm->fiber->frame_count;
    token->target = target;
    return &token->header;
}

void rl_token_kill(rl_object_t* object) { ((rl_token_t*)object)->fiber = NULL; }

rl_outcome_t rl_token_escape(rl_vm_t* vm, rl_object_t* object, rl_word_t value, bool is_ref, uint32_t exit) {
    rl_token_t* token = (rl_token_t*)object;
    rl_fiber_t* fiber = vm->fiber;
    bool reached = token->fiber != NULL;
    for (; reached && fiber != token->fiber; fiber = fiber->parent)
        reached = fiber->parent && !fiber->barrier && fiber->role == RL_FIBER_HANDLED;
    if (!reached || token->frame <= fiber->barrier) {
        return rl_vm_raise(vm, RL_CODE_EFFECTS_HANDLER_INVALID_RESUME,
            "the function around this `handle` has ended, or cannot be left from here");
    }
    rl_unwind_t entry = {.kind = RL_UNWIND_ESCAPE,
        .last = fiber,
        .floor = token->frame,
        .barrier = fiber->barrier,
        .barrier_is_native = fiber->barrier_is_native,
        .token = object};
    if (!rl_vec_push(vm->allocator, &vm->unwinds, entry)) {
        rl_alloc_clear_failure(vm->allocator);
        return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    }
    rl_heap_barrier(&vm->heap, object, NULL);
    if (is_ref) token->ref = value.o;
    else token->word = value;
    token->exit = exit;
    return RL_DONE;
}

void rl_token_land(rl_vm_t* vm, rl_object_t* object) {
    rl_token_t* token = (rl_token_t*)object;
    vm->fiber->deferred.count--; /* the token itself */
    vm->fiber->pc = token->target;
    token->fiber = NULL;
}
