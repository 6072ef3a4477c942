/* The builtins that 90_async.reml stands on. */
#include "vm/async.h"
#include "vm/builtin.h"
#include "vm/core/basic.h"

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)

#define BUILTIN(id, name, function, uses) FN(function);
#include "vm/core/async.def"
#undef BUILTIN

static rl_future_t* make_future(rl_vm_t* vm, const rl_builtin_site_t* site) {
    return rl_future_make(vm, site->result_type->args[0]->rep == RL_REP_R);
}

FN(rl_core_future_new) {
    rl_future_t* future = make_future(vm, site);
    if (!future) return RL_COLLECT;
    future->body = args[0].o;
    result->o = &future->header;
    return RL_DONE;
}

FN(rl_core_future_ready) {
    rl_future_t* future = make_future(vm, site);
    if (!future) return RL_COLLECT;
    rl_future_settle(vm, &future->header, args[0]);
    result->o = &future->header;
    return RL_DONE;
}

FN(rl_core_future_timer) {
    rl_future_t* future = make_future(vm, site);
    if (!future) return RL_COLLECT;
    future->is_timer = true;
    future->scalar = args[0];
    result->o = &future->header;
    return RL_DONE;
}

FN(rl_core_future_promise) {
    rl_future_t* future = make_future(vm, site);
    if (!future) return RL_COLLECT;
    future->state = RL_FUTURE_PENDING;
    future->urgent = args[0].i != 0;
    result->o = &future->header;
    return RL_DONE;
}

FN(rl_core_future_settle) {
    (void)site;
    rl_future_settle(vm, args[0].o, args[1]);
    result->i = 0;
    return RL_DONE;
}

FN(rl_core_future_discard) {
    (void)site;
    rl_future_t* future = (rl_future_t*)args[0].o;
    if (future->state == RL_FUTURE_NEW) {
        rl_heap_barrier(&vm->heap, args[0].o, NULL);
        future->body = NULL;
        future->is_timer = false;
        future->state = RL_FUTURE_RUNNING;
    }
    result->i = 0;
    return RL_DONE;
}

static rl_outcome_t spawn(rl_vm_t* vm, rl_object_t* block, rl_object_t* outcome, bool first, rl_word_t* result) {
    rl_task_handle_t* handle = rl_heap_new_sized(&vm->heap, RL_OBJ_TASK, 1, sizeof *handle);
    rl_task_t* task = handle ? rl_task_spawn(vm, block, first) : NULL;
    if (!task) return RL_COLLECT;
    task->handle = &handle->header;
    handle->outcome = outcome;
    handle->task = task;
    result->o = &handle->header;
    return RL_DONE;
}

FN(rl_core_task_spawn) {
    (void)site;
    return spawn(vm, args[0].o, args[1].o, false, result);
}

FN(rl_core_task_fork) {
    (void)site;
    return spawn(vm, args[0].o, NULL, true, result);
}

FN(rl_core_task_outcome) {
    (void)vm, (void)site;
    result->o = ((rl_task_handle_t*)args[0].o)->outcome;
    return RL_DONE;
}

FN(rl_core_task_is_done) {
    (void)vm, (void)site;
    const rl_task_handle_t* handle = (const rl_task_handle_t*)args[0].o;
    const rl_future_t* outcome = (const rl_future_t*)handle->outcome; /* of a host's task there is nothing else */
    result->i = outcome ? outcome->state >= RL_FUTURE_DONE : handle->task == NULL;
    return RL_DONE;
}

/* Only as a value: calls are the instruction ABANDON. */
FN(rl_core_task_drop) {
    (void)args, (void)site, (void)result;
    return rl_vm_raise(vm, RL_CODE_RUNTIME_PANIC, "a task cannot be dropped through a function value");
}
