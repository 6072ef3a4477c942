#include "vm/async.h"

#include "base/os.h"
#include "vm/file.h"

enum {
    LOOK_AT_TIMERS = 64 /* switches between tasks, at most, before timers that are due get their turn */
};

/* --- the queues ----------------------------------------------------------------------------------------------------- */

static void push_queued(rl_task_t** first, rl_task_t** last, rl_task_t* task, bool in_front) {
    task->queue_next = in_front ? *first : NULL;
    task->queue_previous = in_front ? NULL : *last;
    if (task->queue_next) task->queue_next->queue_previous = task;
    else *last = task;
    if (task->queue_previous) task->queue_previous->queue_next = task;
    else *first = task;
}

static void unlink_queued(rl_task_t** first, rl_task_t** last, rl_task_t* task) {
    if (task->queue_previous) task->queue_previous->queue_next = task->queue_next;
    else *first = task->queue_next;
    if (task->queue_next) task->queue_next->queue_previous = task->queue_previous;
    else *last = task->queue_previous;
    task->queue_next = task->queue_previous = NULL;
}

static void make_ready(rl_task_t* task, bool first) {
    rl_run_t* run = task->run;
    task->queued = true;
    task->waits_for = NULL;
    push_queued(&run->ready_first, &run->ready_last, task, first);
}

static rl_task_t* take_ready(rl_run_t* run) {
    rl_task_t* task = run->ready_first;
    if (!task) return NULL;
    unlink_queued(&run->ready_first, &run->ready_last, task);
    task->queued = false;
    return task;
}

static void wait_for(rl_task_t* task, rl_object_t* object) {
    rl_future_t* future = (rl_future_t*)object;
    task->waits_for = object;
    future->unwanted = false;
    push_queued(&future->first_waiter, &future->last_waiter, task, false);
}

static void take_out(rl_task_t* task);

/* It will not wait any more. */
static void stop_waiting(rl_task_t* task) {
    rl_future_t* future = task->queued ? NULL : (rl_future_t*)task->waits_for;
    take_out(task);
    if (future) future->unwanted = future->first_waiter == NULL;
}

static void take_out(rl_task_t* task) {
    if (task->queued) {
        unlink_queued(&task->run->ready_first, &task->run->ready_last, task);
        task->queued = false;
    } else if (task->waits_for) {
        rl_future_t* future = (rl_future_t*)task->waits_for;
        unlink_queued(&future->first_waiter, &future->last_waiter, task);
        task->waits_for = NULL;
    }
}

static void wake_all(rl_future_t* future) {
    rl_task_t* task;
    while ((task = future->urgent ? future->last_waiter : future->first_waiter)) {
        unlink_queued(&future->first_waiter, &future->last_waiter, task);
        make_ready(task, future->urgent);
    }
}

/* --- timers ----------------------------------------------------------------------------------------------------------- */

static bool earlier(const rl_timer_t* a, const rl_timer_t* b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void sift_down(rl_run_t* run, uint32_t at) {
    rl_timer_t* t = run->timers.data;
    for (uint32_t child; (child = 2 * at + 1) < run->timers.count; at = child) {
        if (child + 1 < run->timers.count && earlier(&t[child + 1], &t[child])) child++;
        if (!earlier(&t[child], &t[at])) return;
        rl_timer_t moved = t[at];
        t[at] = t[child];
        t[child] = moved;
    }
}

static bool add_timer(rl_vm_t* vm, rl_run_t* run, rl_future_t* future) {
    rl_timer_t timer = {future->scalar.u, run->timer_order++, &future->header};
    if (!rl_vec_push(vm->allocator, &run->timers, timer)) return false;
    rl_timer_t* t = run->timers.data;
    for (uint32_t at = run->timers.count - 1; at > 0 && earlier(&t[at], &t[(at - 1) / 2]); at = (at - 1) / 2) {
        rl_timer_t moved = t[at];
        t[at] = t[(at - 1) / 2];
        t[(at - 1) / 2] = moved;
    }
    future->in_heap = true;
    return true;
}

static rl_future_t* first_timer(const rl_run_t* run) {
    return run->timers.count ? (rl_future_t*)run->timers.data[0].future : NULL;
}

static void drop_first_timer(rl_run_t* run) {
    ((rl_future_t*)run->timers.data[0].future)->in_heap = false;
    run->timers.data[0] = rl_vec_last(&run->timers);
    run->timers.count--;
    sift_down(run, 0);
}

/* The earliest timer that anybody waits for, or NULL; the others begin again when they are awaited again. */
static rl_future_t* next_timer(rl_run_t* run) {
    rl_future_t* future;
    while ((future = first_timer(run)) && !future->first_waiter) drop_first_timer(run);
    return future;
}

static uint64_t now_of(rl_vm_t* vm) { return vm->clock ? vm->clock(vm->host) : rl_os_monotonic_ns(); }

static void wake_timers(rl_vm_t* vm, rl_run_t* run) {
    run->switches = 0;
    if (!run->timers.count) return;
    uint64_t now = now_of(vm);
    rl_future_t* future;
    while ((future = next_timer(run)) && future->scalar.u <= now) {
        drop_first_timer(run);
        rl_future_settle(vm, &future->header, (rl_word_t){.u = 0});
    }
}

/* --- futures ---------------------------------------------------------------------------------------------------------- */

rl_future_t* rl_future_make(rl_vm_t* vm, bool is_ref) {
    rl_future_t* future = rl_heap_new_sized(&vm->heap, RL_OBJ_FUTURE, 2, sizeof *future);
    if (future) future->is_ref = is_ref;
    return future;
}

void rl_future_settle(rl_vm_t* vm, rl_object_t* object, rl_word_t value) {
    rl_future_t* future = (rl_future_t*)object;
    if (future->state == RL_FUTURE_DONE || future->state == RL_FUTURE_FAILED) return;
    rl_heap_barrier(&vm->heap, object, future->is_ref ? value.o : NULL);
    future->body = NULL;
    future->state = RL_FUTURE_DONE;
    if (future->is_ref) {
        rl_share(value.o); /* whoever awaits it has it too */
        future->value = value.o;
    } else {
        future->scalar = value;
    }
    wake_all(future);
}

void rl_future_fail(rl_vm_t* vm, rl_object_t* object, rl_code_t code, rl_object_t* message, uint64_t token) {
    rl_future_t* future = (rl_future_t*)object;
    if (future->state == RL_FUTURE_DONE || future->state == RL_FUTURE_FAILED) return;
    rl_heap_barrier(&vm->heap, object, message);
    future->body = NULL;
    future->state = RL_FUTURE_FAILED;
    future->value = message;
    future->scalar.u = code;
    future->token = token;
    wake_all(future);
}

/* --- tasks ------------------------------------------------------------------------------------------------------------ */

static rl_task_t* add_task(rl_vm_t* vm, rl_run_t* run, rl_parked_t* parked) {
    rl_task_t* task = rl_alloc_zero(vm->allocator, sizeof *task);
    if (!task) return NULL;
    task->run = run;
    task->parked = parked;
    task->previous = run->last;
    if (run->last) run->last->next = task;
    else run->first = task;
    run->last = task;
    vm->leftovers = true;
    return task;
}

/* Out of its run; its fibers are gone already. */
static void forget_task(rl_vm_t* vm, rl_task_t* task) {
    rl_run_t* run = task->run;
    take_out(task);
    if (task->handle) ((rl_task_handle_t*)task->handle)->task = NULL;
    if (task->previous) task->previous->next = task->next;
    else run->first = task->next;
    if (task->next) task->next->previous = task->previous;
    else run->last = task->previous;
    if (run->entry == task) run->entry = NULL;
    rl_free(vm->allocator, task, sizeof *task);
}

rl_task_t* rl_task_spawn(rl_vm_t* vm, rl_object_t* block, bool first) {
    rl_parked_t* parked = rl_heap_new_sized(&vm->heap, RL_OBJ_FIBER, 0, sizeof *parked);
    rl_task_t* task = parked ? add_task(vm, vm->run, parked) : NULL;
    if (!task) return NULL;
    task->block = block;
    make_ready(task, first);
    return task;
}

static void fiber_finished(rl_vm_t* vm, rl_fiber_t* fiber) {
    rl_task_t* task = fiber->user;
    if (task->run->entry == task) {
        bool is_ref = ((rl_future_t*)task->run->outcome)->is_ref;
        rl_word_t value = is_ref ? (rl_word_t){.o = fiber->r[fiber->r_base]} : fiber->s[fiber->s_base];
        rl_future_settle(vm, task->run->outcome, value);
    }
    forget_task(vm, task);
    rl_fiber_release(vm, fiber);
}

static void fiber_dropped(rl_vm_t* vm, rl_fiber_t* fiber) {
    forget_task(vm, fiber->user);
    rl_fiber_release(vm, fiber);
}

rl_parked_t* rl_task_take(rl_vm_t* vm, rl_object_t* handle) {
    rl_task_t* task = ((rl_task_handle_t*)handle)->task;
    if (!task) return NULL;
    if (!task->started) {
        forget_task(vm, task);
        return NULL;
    }
    if (!task->parked->inner) { /* it runs, here or below */
        task->dropping = true;
        return NULL;
    }
    stop_waiting(task);
    return task->parked;
}

/* Put it on top of vm->fiber. */
static rl_outcome_t run_task(rl_vm_t* vm, rl_task_t* task) {
    if (task->started) return rl_fiber_unpark(vm, task->parked, 0, 0);
    rl_fiber_t* fiber = rl_fiber_new(vm, task->block, RL_FIBER_TASK, 0);
    if (!fiber) return RL_RAISE;
    fiber->user = task;
    task->block = NULL;
    task->started = true;
    vm->budget -= (int64_t)fiber->proto->entry_cost;
    rl_fiber_enter(vm, fiber, 0, 0);
    return RL_DONE;
}

/* --- the scheduler ---------------------------------------------------------------------------------------------------- */

/* Time until the next timer of the run, none: UINT64_MAX. */
static uint64_t time_to_wait(rl_vm_t* vm, rl_run_t* run) {
    rl_future_t* timer = next_timer(run);
    if (!timer) return UINT64_MAX;
    uint64_t now = now_of(vm);
    return timer->scalar.u > now ? timer->scalar.u - now : 0;
}

int64_t rl_run_wait_ns(rl_vm_t* vm, rl_run_t* run) {
    if (run->ready_first) return 0;
    uint64_t wait = time_to_wait(vm, run);
    if (run->deadline_ns) {
        uint64_t now = rl_os_monotonic_ns(), left = run->deadline_ns > now ? run->deadline_ns - now + 1 : 0;
        if (left < wait) wait = left; /* whoever resumes it then is told that it is over */
    }
    return wait > INT64_MAX ? -1 : (int64_t)wait;
}

/* The next task that can run now, or NULL. */
static rl_task_t* next_task(rl_vm_t* vm, rl_run_t* run) {
    if (++run->switches >= LOOK_AT_TIMERS) wake_timers(vm, run);
    rl_task_t* task = take_ready(run);
    if (task) return task;
    wake_timers(vm, run);
    if (!run->ready_first && vm->take_completions) vm->take_completions(vm->host);
    return take_ready(run);
}

static rl_outcome_t raise_deadlock(rl_vm_t* vm) {
    return rl_vm_raise(vm, RL_CODE_RUNTIME_ASYNC_DEADLOCK, "deadlock: nothing can complete what is waited for");
}

/* Nothing can run now: until something may have changed. */
static rl_outcome_t wait_for_events(rl_vm_t* vm, rl_run_t* run) {
    uint64_t wait = time_to_wait(vm, run);
    if (wait == UINT64_MAX && !vm->host_futures) return raise_deadlock(vm);
    if (wait == 0) return RL_DONE;
    if (!rl_vm_poll(vm)) return RL_RAISE;
    if (vm->deadline_ns) {
        uint64_t now = rl_os_monotonic_ns(), left = vm->deadline_ns > now ? vm->deadline_ns - now + 1 : 0;
        if (left < wait) wait = left;
    }
    if (!vm->wait) {
        if (wait == UINT64_MAX) return raise_deadlock(vm); /* nobody who could complete anything gets the chance */
        rl_os_sleep_ns(wait < 10000000 ? wait : 10000000); /* in portions: an interrupt is seen between them */
    } else if (!vm->wait(vm->host, wait)) {
        if (vm->failure.present && !vm->unwinding) return RL_RAISE;
        return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_INTERRUPTED);
    }
    return rl_vm_poll_waiting(vm) ? RL_DONE : RL_RAISE;
}

/* The fiber at the root of the computation that runs: a task's, or the main one. */
static rl_outcome_t find_root(rl_vm_t* vm, rl_fiber_t** out) {
    for (rl_fiber_t* fiber = vm->fiber;; fiber = fiber->parent) {
        if (fiber->barrier) {
            if (fiber->barrier_is_native)
                return rl_vm_raise(vm, RL_CODE_RUNTIME_EFFECT_NATIVE_FRAME,
                    "cannot wait in a function that a host function has called");
            return rl_vm_raise(
                vm, RL_CODE_RUNTIME_ASYNC_DEADLOCK, "deadlock: a computation that is being left cannot wait");
        }
        if (fiber->role == RL_FIBER_HANDLED) continue;
        *out = fiber;
        return RL_DONE;
    }
}

static rl_outcome_t drive_root(rl_vm_t* vm, rl_run_t* run) {
    for (;;) {
        rl_task_t* task = next_task(vm, run);
        if (task == &run->root) {
            run->root_waits = false;
            return RL_DONE;
        }
        rl_outcome_t outcome = task ? run_task(vm, task) : wait_for_events(vm, run);
        if (outcome != RL_DONE) {
            take_out(&run->root);
            run->root_waits = false;
        }
        if (outcome != RL_DONE || task) return outcome;
    }
}

rl_outcome_t rl_async_drive(rl_vm_t* vm, bool* out_again) {
    rl_run_t* run = vm->run;
    rl_fiber_t* fiber = vm->fiber;
    while (fiber->role == RL_FIBER_HANDLED) fiber = fiber->parent;
    *out_again = fiber->role == RL_FIBER_TASK || !run->root_waits;
    if (*out_again) return RL_DONE;
    rl_outcome_t outcome = drive_root(vm, run);
    *out_again = outcome == RL_DONE && !run->root_waits;
    return outcome;
}

static bool start_timer(rl_vm_t* vm, rl_run_t* run, rl_future_t* future) {
    if (future->state == RL_FUTURE_NEW) {
        uint64_t now = now_of(vm), due = now + (future->scalar.i > 0 ? future->scalar.u : 0);
        future->scalar.u = due < now ? UINT64_MAX : due;
        future->state = RL_FUTURE_PENDING;
    }
    if (future->in_heap || add_timer(vm, run, future)) return true;
    return rl_heap_make_room(&vm->heap) && add_timer(vm, run, future);
}

rl_outcome_t rl_async_wait(rl_vm_t* vm, rl_object_t* object) {
    rl_run_t* run = vm->run;
    rl_future_t* future = (rl_future_t*)object;
    rl_fiber_t* root = NULL;
    if (future->state == RL_FUTURE_FAILED) {
        rl_vm_raise_text(vm, (rl_code_t)future->scalar.u, rl_string_str(future->value));
        if (!vm->unwinding) {
            vm->failure.by_host = true;
            vm->failure.token = future->token;
        }
        return RL_RAISE;
    }
    if (find_root(vm, &root) != RL_DONE) return RL_RAISE;
    if (future->is_timer && !start_timer(vm, run, future)) {
        rl_alloc_clear_failure(vm->allocator);
        return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    }
    if (root->role == RL_FIBER_MAIN) {
        wait_for(&run->root, object);
        run->root_waits = true;
        return drive_root(vm, run);
    }
    rl_task_t* task = root->user;
    if (!task->dropping) wait_for(task, object);
    rl_fiber_park(vm, task->parked, root);
    return task->dropping && rl_fiber_abandon(vm, task->parked) ? RL_PARK : RL_DONE;
}

/* The run's entry fails where it waits. */
static rl_outcome_t fail_entry(rl_vm_t* vm, rl_run_t* run) {
    rl_task_t* task = run->entry;
    if (task && task->started && task->parked->inner) {
        take_out(task);
        rl_fiber_attach(vm, task->parked, 0, 0);
    }
    return raise_deadlock(vm);
}

static bool others_run(const rl_vm_t* vm, const rl_run_t* run) {
    for (const rl_run_t* at = vm->main_run->next_run; at; at = at->next_run) {
        if (at != run && at->entry) return true;
    }
    return vm->main_run->busy;
}

rl_outcome_t rl_async_poll(rl_vm_t* vm, rl_object_t* outcome, int* out_left) {
    rl_run_t* run = vm->run;
    *out_left = -1;
    if (((rl_future_t*)outcome)->state == RL_FUTURE_DONE) {
        *out_left = 1;
        return RL_DONE;
    }
    if (vm->budget < 0 && !rl_vm_poll(vm)) return RL_RAISE;
    rl_task_t* task = next_task(vm, run);
    if (task) return run_task(vm, task);
    if (!next_timer(run) && !vm->host_futures && !others_run(vm, run)) return fail_entry(vm, run);
    *out_left = 0;
    return RL_DONE;
}

/* --- code that awaits ------------------------------------------------------------------------------------------------- */

static const rl_instr_t await_scalar[] = {{.op = RL_OP_AWAIT, .a = 0, .b = 1, .c = 0},
    {.op = RL_OP_SETTLE, .a = 0, .b = 1, .c = 0}, {.op = RL_OP_DRIVE}, {.op = RL_OP_RETS}};
static const rl_instr_t await_reference[] = {{.op = RL_OP_AWAIT, .a = 0, .b = 1, .c = 0},
    {.op = RL_OP_SETTLE, .a = 0, .b = 1, .c = 0}, {.op = RL_OP_DRIVE}, {.op = RL_OP_RETR, .a = 1}};
static const rl_instr_t poll_outcome[] = {{.op = RL_OP_POLL, .a = 0, .b = 0}, {.op = RL_OP_RETS}};
/* Without a name: no place of a program. */
#define PROTO(instructions, rep)                                                                                       \
    {.code = (instructions),                                                                                           \
        .code_count = RL_COUNT_OF(instructions),                                                                       \
        .s_count = 1,                                                                                                  \
        .r_count = 2,                                                                                                  \
        .r_params = 1,                                                                                                 \
        .result_rep = (rep),                                                                                           \
        .entry_cost = 1}
static const rl_proto_t await_protos[2] = {PROTO(await_scalar, RL_REP_S), PROTO(await_reference, RL_REP_R)};
static const rl_proto_t poll_proto = PROTO(poll_outcome, RL_REP_S);

const rl_proto_t* rl_await_proto(const rl_object_t* future) {
    return &await_protos[((const rl_future_t*)future)->is_ref];
}

rl_outcome_t rl_vm_await(rl_vm_t* vm, rl_object_t* future, rl_word_t* out_result) {
    return rl_vm_call(vm, rl_await_proto(future), NULL, &future, out_result);
}

/* --- the end of a run ------------------------------------------------------------------------------------------------- */

void rl_async_drop_tasks(rl_vm_t* vm, bool failed) {
    rl_run_t* run = vm->run;
    take_out(&run->root);
    run->root_waits = false;
    while (run->first) {
        rl_task_t* task = run->first;
        if (task->started && task->parked->inner) {
            stop_waiting(task);
            vm->unwinding = failed; /* further failures become notes */
            (void)rl_vm_abandon(vm, task->parked);
            vm->unwinding = false;
            if (!failed && vm->failure.present) rl_vm_clear_failure(vm);
        } else {
            forget_task(vm, task);
        }
    }
    for (uint32_t i = 0; i < run->timers.count; i++) ((rl_future_t*)run->timers.data[i].future)->in_heap = false;
    run->timers.count = 0;
    vm->leftovers = false;
}

/* --- runs that the host leaves and resumes --------------------------------------------------------------------------- */

typedef struct outer {
    rl_run_t* run;
    bool leftovers;
} outer_t;

static outer_t enter(rl_vm_t* vm, rl_run_t* run) {
    outer_t outer = {vm->run, vm->leftovers};
    if (vm->native_depth == 0) {
        vm->budget = run->fuel < RL_POLL_INTERVAL ? run->fuel : RL_POLL_INTERVAL;
        vm->fuel_left = run->fuel - vm->budget;
        vm->deadline_ns = run->deadline_ns;
        vm->output_left = run->output_left;
        vm->stopped = run->stopped;
        vm->grace_given = run->grace_given;
    } else {
        vm->run->busy = true;
    }
    run->busy = true;
    vm->run = run;
    vm->leftovers = true;
    return outer;
}

static void leave(rl_vm_t* vm, rl_run_t* run, outer_t outer) {
    if (vm->native_depth == 0) {
        run->fuel = vm->fuel_left + vm->budget;
        run->output_left = vm->output_left;
        run->stopped = vm->stopped;
        run->grace_given = vm->grace_given;
    }
    run->busy = false;
    vm->run = outer.run;
    vm->leftovers = outer.leftovers;
    if (vm->native_depth == 0) outer.run->busy = false;
}

rl_run_t* rl_run_new(rl_vm_t* vm) {
    rl_run_t* run = rl_alloc_zero(vm->allocator, sizeof *run);
    if (!run) return NULL;
    run->root.run = run;
    run->fuel = vm->limits.fuel > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)vm->limits.fuel;
    run->deadline_ns = vm->limits.deadline_ms ? rl_os_monotonic_ns() + vm->limits.deadline_ms * 1000000u : 0;
    run->output_left = vm->limits.output_bytes;
    run->next_run = vm->main_run->next_run;
    vm->main_run->next_run = run;
    return run;
}

void rl_run_free(rl_vm_t* vm, rl_run_t* run) {
    for (rl_run_t* at = vm->main_run; at; at = at->next_run) {
        if (at->next_run == run) at->next_run = run->next_run;
    }
    while (run->first) forget_task(vm, run->first);
    rl_files_end(vm, run);
    rl_vec_deinit(vm->allocator, &run->timers);
    rl_free(vm->allocator, run, sizeof *run);
}

void rl_run_inherit(rl_vm_t* vm, rl_run_t* run) {
    rl_run_t* from = vm->run;
    if (!from->first || run->first) return;
    for (rl_task_t* task = from->first; task; task = task->next) task->run = run;
    run->first = from->first, run->last = from->last;
    run->ready_first = from->ready_first, run->ready_last = from->ready_last;
    run->timers.data = from->timers.data, run->timers.count = from->timers.count;
    run->timers.capacity = from->timers.capacity, run->timer_order = from->timer_order;
    from->first = from->last = from->ready_first = from->ready_last = NULL;
    from->timers.data = NULL;
    from->timers.count = from->timers.capacity = 0;
    vm->leftovers = false;
}

/* Everything that needs memory, before there are arguments: nothing keeps those alive. */
rl_outcome_t rl_run_prepare(rl_vm_t* vm, rl_run_t* run, const rl_proto_t* proto) {
    struct {
        rl_object_t header;
        rl_word_t proto;
    } closure = {
        {.kind = RL_OBJ_CLOSURE, .flags = RL_OBJ_STATIC | RL_OBJ_SHARED, .words = 1}, {.p = (void*)(uintptr_t)proto}};
    bool leftovers = vm->leftovers;
    rl_parked_t* parked = rl_parked_new(vm, NULL);
    rl_future_t* outcome = parked ? rl_future_make(vm, proto->result_rep == RL_REP_R) : NULL;
    rl_task_t* task = outcome ? add_task(vm, run, parked) : NULL;
    vm->leftovers = leftovers;
    if (!task) {
        rl_alloc_clear_failure(vm->allocator);
        return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    }
    outcome->state = RL_FUTURE_PENDING;
    run->outcome = &outcome->header;
    rl_fiber_t* fiber = rl_fiber_new(vm, &closure.header, RL_FIBER_TASK, 0);
    if (!fiber) return RL_RAISE;
    fiber->r[0] = NULL;
    fiber->user = task;
    task->started = true;
    rl_parked_set(vm, parked, fiber, fiber);
    run->entry = task;
    make_ready(task, false);
    return RL_DONE;
}

static void give_arguments(rl_vm_t* vm, rl_run_t* run, const rl_word_t* s_args, rl_object_t* const* r_args) {
    rl_fiber_t* fiber = run->entry->parked->inner;
    const rl_proto_t* proto = fiber->proto;
    /* Parked is parked: a marking may have passed by. */
    rl_heap_barrier(&vm->heap, &run->entry->parked->header, NULL);
    for (unsigned i = 0; i < proto->s_params; i++) fiber->s[i] = s_args[i];
    for (unsigned i = 0, count = proto->r_params + (unsigned)proto->has_env; i < count; i++) fiber->r[i] = r_args[i];
}

static rl_outcome_t work(rl_vm_t* vm, rl_run_t* run, rl_outcome_t outcome, rl_word_t* out_result) {
    rl_word_t done = {0};
    while (outcome == RL_DONE) {
        outcome = rl_vm_call(vm, &poll_proto, NULL, &run->outcome, &done);
        if (outcome == RL_DONE && !done.i) outcome = RL_PARK;
        if (outcome != RL_DONE || !run->answers_future) break;
        run->answers_future = false;
        rl_object_t* future = ((rl_future_t*)run->outcome)->value;
        vm->held = future;
        outcome = rl_run_prepare(vm, run, rl_await_proto(future));
        vm->held = NULL;
        if (outcome == RL_DONE) give_arguments(vm, run, NULL, &future);
    }
    if (outcome == RL_PARK) return outcome;
    rl_word_t result = {0};
    bool is_ref = false;
    if (outcome == RL_DONE) {
        is_ref = ((rl_future_t*)run->outcome)->is_ref;
        result = rl_future_value((rl_future_t*)run->outcome);
    }
    if (outcome != RL_DONE || !run->more) rl_vm_end_run_slowly(vm, result, is_ref);
    *out_result = result;
    return outcome;
}

rl_outcome_t rl_run_start(rl_vm_t* vm, rl_run_t* run, const rl_word_t* s_args, rl_object_t* const* r_args, bool drive,
    rl_word_t* out_result) {
    out_result->u = 0;
    give_arguments(vm, run, s_args, r_args);
    outer_t outer = enter(vm, run);
    run->answers_future = drive;
    rl_outcome_t outcome = work(vm, run, RL_DONE, out_result);
    leave(vm, run, outer);
    return outcome;
}

rl_outcome_t rl_run_resume(rl_vm_t* vm, rl_run_t* run, rl_word_t* out_result) {
    out_result->u = 0;
    outer_t outer = enter(vm, run);
    /* Between short pieces of work nothing else would see that time is up. */
    bool goes_on = vm->native_depth > 0 || rl_vm_poll(vm);
    rl_outcome_t outcome = work(vm, run, goes_on ? RL_DONE : RL_RAISE, out_result);
    leave(vm, run, outer);
    return outcome;
}

void rl_run_abandon(rl_vm_t* vm, rl_run_t* run) {
    outer_t outer = enter(vm, run);
    rl_vm_end_run_slowly(vm, (rl_word_t){0}, false);
    leave(vm, run, outer);
}

/* --- the collector, the end ------------------------------------------------------------------------------------------ */

static void mark_run(rl_heap_t* heap, rl_run_t* run) {
    rl_heap_mark(heap, run->outcome);
    rl_heap_mark(heap, run->root.waits_for);
    for (rl_task_t* task = run->first; task; task = task->next) {
        rl_heap_mark(heap, &task->parked->header);
        rl_heap_mark(heap, task->block);
        rl_heap_mark(heap, task->handle);
        rl_heap_mark(heap, task->waits_for);
    }
    for (uint32_t i = 0; i < run->timers.count; i++) rl_heap_mark(heap, run->timers.data[i].future);
}

void rl_async_mark(rl_heap_t* heap, rl_vm_t* vm) {
    for (rl_run_t* run = vm->main_run; run; run = run->next_run) mark_run(heap, run);
}

bool rl_async_init(rl_vm_t* vm) {
    vm->main_run = rl_alloc_zero(vm->allocator, sizeof *vm->main_run);
    if (!vm->main_run) return false;
    vm->main_run->root.run = vm->main_run;
    vm->run = vm->main_run;
    vm->fiber_finished = fiber_finished;
    vm->fiber_dropped = fiber_dropped;
    return true;
}

/* The heap is gone already: nothing in it may be looked at. */
void rl_async_deinit(rl_vm_t* vm) {
    while (vm->main_run) {
        rl_run_t* run = vm->main_run;
        vm->main_run = run->next_run;
        while (run->first) {
            rl_task_t* task = run->first;
            run->first = task->next;
            rl_free(vm->allocator, task, sizeof *task);
        }
        rl_vec_deinit(vm->allocator, &run->timers);
        rl_free(vm->allocator, run, sizeof *run);
    }
}
