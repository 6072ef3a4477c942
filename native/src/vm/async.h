/*
 * Futures, tasks and their scheduler (LANGUAGE 7.1). A task is a chain of fibers with a TASK fiber at its root; it stands on
 * whoever drives the scheduler: the host's own computation that awaits something, or the code in which a host polls a run.
 * Waiting cuts the chain out and parks it; the driver goes on and puts the next task on top.
 *
 * Tasks belong to the run that spawned them. One run is worked on at a time (vm->run); those that a host leaves and resumes
 * stand beside the one of ordinary calls.
 */
#ifndef RL_ASYNC_H
#define RL_ASYNC_H

#include "vm/vm.h"

typedef struct rl_task rl_task_t;

typedef enum rl_future_state {
    RL_FUTURE_NEW,     /* not started: `body` is its block, or it is a timer of `scalar` nanoseconds */
    RL_FUTURE_RUNNING, /* its block runs in a task; nobody else completes it. Also: given up, will never be done */
    RL_FUTURE_PENDING, /* a timer that has begun (`scalar`: when it is due), or completed from elsewhere */
    RL_FUTURE_DONE,
    RL_FUTURE_FAILED /* by the host: value is the message, `scalar` the rl_code_t; every await raises it */
} rl_future_state_t;

typedef struct rl_future {
    rl_object_t header; /* refs = 2 */
    rl_object_t* body;
    rl_object_t* value;
    rl_word_t scalar;
    rl_task_t *first_waiter, *last_waiter;
    uint64_t token; /* FAILED: the host's own name for the failure */
    uint8_t state;  /* rl_future_state_t */
    bool is_ref;    /* of the value's type */
    bool is_timer;  /* completes itself */
    bool in_heap;   /* of timers */
    bool unwanted;  /* who waited for it has been dropped */
    bool urgent;    /* who waits for it goes on before other tasks: part of the same computation */
} rl_future_t;

/* What `spawn` answers. */
typedef struct rl_task_handle {
    rl_object_t header;   /* refs = 1 */
    rl_object_t* outcome; /* Future<Result<T, AsyncError>>; NULL for tasks that the core library makes for itself */
    rl_task_t* task;      /* NULL: ended */
} rl_task_handle_t;

struct rl_task {
    struct rl_run* run;
    rl_task_t *next, *previous;             /* unfinished tasks of the run, in the order they were spawned */
    rl_task_t *queue_next, *queue_previous; /* in the ready queue, or among the waiters of waits_for */
    rl_parked_t* parked;                    /* holds its fibers while it waits */
    rl_object_t* block;                     /* closure it begins with */
    rl_object_t* handle;                    /* rl_task_handle_t; NULL: nobody can ask for it */
    rl_object_t* waits_for;                 /* rl_future_t */
    bool started, queued;
    bool dropping; /* to be dropped as soon as it waits: it was running when it was cancelled */
};

typedef struct rl_timer {
    uint64_t due, order;
    rl_object_t* future;
} rl_timer_t;

typedef struct rl_run {
    rl_task_t
        root; /* the computation on the host's stack: no fiber of its own, it drives the scheduler while it waits */
    bool root_waits;
    rl_task_t *first, *last; /* besides the root */
    rl_task_t *ready_first, *ready_last;
    RL_VEC(rl_timer_t) timers; /* heap: the earliest first */
    uint64_t timer_order;
    uint32_t switches;       /* since timers were looked at */
    struct rl_run* next_run; /* of the vm */
    /* Of runs that the host leaves and resumes: */
    rl_object_t* outcome; /* future of the entry's value */
    bool more;            /* the host goes on with another entry: it does not end */
    bool answers_future;  /* that value is a future, to be driven too */
    bool busy;            /* being worked on */
    rl_task_t* entry;     /* whose value that is; NULL: ended */
    int64_t fuel;         /* what is left of its limits while nobody works on it */
    uint64_t deadline_ns, output_left;
    rl_code_t stopped;
    bool grace_given;
} rl_run_t;

/* --- runs that the host leaves and resumes --- */
rl_run_t* rl_run_new(rl_vm_t* vm); /* its limits begin now. NULL: memory */
/* Make what enters a function; on RL_RAISE free the run. */
rl_outcome_t rl_run_prepare(rl_vm_t* vm, rl_run_t* run, const rl_proto_t* proto);
/* Give it its arguments, as for rl_vm_call, and work on it as rl_run_resume does. drive: when the value is a future, its value
   counts. */
rl_outcome_t rl_run_start(
    rl_vm_t* vm, rl_run_t* run, const rl_word_t* s_args, rl_object_t* const* r_args, bool drive, rl_word_t* out_result);
/* Until nothing of it can run. RL_PARK: it waits, come back; else it has ended (as rl_vm_end_run says): the result, rooted
   until rl_run_free, or vm->failure. */
rl_outcome_t rl_run_resume(rl_vm_t* vm, rl_run_t* run, rl_word_t* out_result);
/* How long a run that has answered RL_PARK may be left alone; -1: until somebody completes a future. */
int64_t rl_run_wait_ns(rl_vm_t* vm, rl_run_t* run);
void rl_run_abandon(
    rl_vm_t* vm, rl_run_t* run); /* give it up: what it is in the middle of is left, deferred closures run */
/* Tasks and timers of the main run go on as those of this one (what module initialisation has spawned). */
void rl_run_inherit(rl_vm_t* vm, rl_run_t* run);
void rl_run_free(rl_vm_t* vm, rl_run_t* run); /* one that has ended */

/* --- for the loop; frames have been saved --- */
/* AWAIT of a future that is not done, pc at the DRIVE behind it. RL_DONE: go on with vm->fiber; RL_PARK: an unwinding has
   begun in it. */
rl_outcome_t rl_async_wait(rl_vm_t* vm, rl_object_t* future);
/* DRIVE: the next task, as above; *out_again: the AWAIT before has to be looked at again. */
rl_outcome_t rl_async_drive(rl_vm_t* vm, bool* out_again);
/* POLL: the same for the run of this outcome; *out_left: nothing can run (0) or the outcome is there (1), else -1. */
rl_outcome_t rl_async_poll(rl_vm_t* vm, rl_object_t* outcome, int* out_left);
/* ABANDON of an RL_OBJ_TASK: what is to be left; NULL: nothing (any more), or it runs and is left as soon as it waits. */
rl_parked_t* rl_task_take(rl_vm_t* vm, rl_object_t* handle);

/* --- futures and tasks --- */
rl_future_t* rl_future_make(rl_vm_t* vm, bool is_ref); /* NEW, without body; NULL: memory. Does not collect */
/* Complete it, unless it is done; wakes who waits. */
void rl_future_settle(rl_vm_t* vm, rl_object_t* future, rl_word_t value);
void rl_future_fail(rl_vm_t* vm, rl_object_t* future, rl_code_t code, rl_object_t* message, uint64_t token);
static inline rl_word_t rl_future_value(const rl_future_t* future) {
    return future->is_ref ? (rl_word_t){.o = future->value} : future->scalar;
}
/* A task that begins with a closure () -> (). first: it runs before those that are ready. NULL: memory. Does not collect */
rl_task_t* rl_task_spawn(rl_vm_t* vm, rl_object_t* block, bool first);
/* Code that takes a future and answers its value. Without a name: no place of a program. */
const rl_proto_t* rl_await_proto(const rl_object_t* future);

/* --- for the vm --- */
bool rl_async_init(rl_vm_t* vm);
void rl_async_mark(rl_heap_t* heap, rl_vm_t* vm);
void rl_async_deinit(rl_vm_t* vm);
void rl_async_drop_tasks(rl_vm_t* vm, bool failed); /* of vm->run, in the order they were spawned */

#endif
