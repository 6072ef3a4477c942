/*
 * The few facts that belong to the process and not to a context. Each has its reason:
 *   prelude        read-only after it was made; contexts stand on it, so that a new one parses nothing
 *   audit          calls that name no living context leave records too, and a disposed context's last ones
 *   living, retired counters: reml_ffi_bridge_get_metrics is the sum over the process
 *   create error   a failed create has no context to keep its text in (thread-local)
 */
#include "host/context.h"
#include "host/prelude.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rl_allocator_t process_allocator;
static rl_audit_t process_audit;
static bool process_audit_made;
static uint32_t process_audit_fork;
static rl_context_t* living;
static reml_ffi_bridge_metrics_t retired;
static _Thread_local char create_error[512];
static _Atomic(const rl_program_t*) prelude;
static rl_allocator_t prelude_allocator;
static rl_program_t prelude_program;

static uint32_t lock_fork; /* fork generation that the lock and the list of the living belong to */

/* A forked child has one thread, and the lock may have been held by another one: it starts anew, without the parent's contexts. */
void rl_process_lock(void) {
    uint32_t fork = rl_os_fork_generation();
    if (RL_UNLIKELY(fork != lock_fork)) {
        pthread_mutex_init(&lock, NULL);
        living = NULL;
        lock_fork = fork;
    }
    pthread_mutex_lock(&lock);
}
void rl_process_unlock(void) { pthread_mutex_unlock(&lock); }

rl_audit_t* rl_process_audit(void) {
    uint32_t fork = rl_os_fork_generation();
    if (process_audit_made && process_audit_fork != fork) {
        /* A child tells its own story: what its parent had queued stays the parent's. */
        rl_audit_deinit(&process_audit);
        process_audit_made = false;
    }
    if (!process_audit_made) {
        rl_allocator_init(&process_allocator, NULL, NULL);
        if (!rl_audit_init(&process_audit, &process_allocator, NULL)) return NULL;
        process_audit_made = true;
        process_audit_fork = fork;
        const char* path = getenv("REML_EMBED_AUDIT_PATH");
        if (path && *path) {
            rl_audit_file_settings_t settings = {.path = path};
            rl_audit_set_file(&process_audit, &settings);
        }
    }
    return &process_audit;
}

void rl_process_create_error(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(create_error, sizeof create_error, format, arguments);
    va_end(arguments);
}
const char* reml_embed_last_create_error(void) { return create_error[0] ? create_error : NULL; }

void rl_process_register(rl_context_t* context) {
    rl_process_lock();
    context->next_living = living;
    context->previous_living = NULL;
    if (living) living->previous_living = context;
    living = context;
    rl_process_unlock();
}

static void add_metrics(reml_ffi_bridge_metrics_t* sum, const reml_ffi_bridge_metrics_t* part) {
    sum->total_calls += part->total_calls;
    sum->success_calls += part->success_calls;
    sum->borrowed_results += part->borrowed_results;
    sum->transferred_results += part->transferred_results;
    sum->null_results += part->null_results;
    sum->acquired += part->acquired;
    sum->released += part->released;
    sum->live += part->live;
}

void rl_process_retire(rl_context_t* context) {
    rl_process_lock();
    if (context->previous_living) context->previous_living->next_living = context->next_living;
    else if (living == context) living = context->next_living;
    if (context->next_living) context->next_living->previous_living = context->previous_living;
    /* Handles that were still out go with their context. */
    context->metrics.released += context->metrics.live;
    context->metrics.live = 0;
    add_metrics(&retired, &context->metrics);
    rl_process_unlock();
}

/* Counters of other threads' contexts are plain and read while they may change: a snapshot, exact for idle contexts. */
reml_ffi_bridge_metrics_t reml_ffi_bridge_get_metrics(void) {
    rl_process_lock();
    reml_ffi_bridge_metrics_t sum = retired;
    for (const rl_context_t* context = living; context; context = context->next_living)
        add_metrics(&sum, &context->metrics);
    rl_process_unlock();
    return sum;
}

void reml_ffi_bridge_reset_metrics(void) {
    rl_process_lock();
    retired = (reml_ffi_bridge_metrics_t){0};
    for (rl_context_t* context = living; context; context = context->next_living) {
        uint64_t live = context->metrics.live; /* handles that are out stay out: acquired = released + live holds */
        context->metrics = (reml_ffi_bridge_metrics_t){.acquired = live, .live = live};
    }
    rl_process_unlock();
}

void rl_process_count(bool success) {
    rl_process_lock();
    retired.total_calls++;
    retired.success_calls += success;
    rl_process_unlock();
}

void rl_process_violation(const char* symbol, const char* what) {
    reml_ffi_bridge_metrics_t sum = reml_ffi_bridge_get_metrics();
    rl_process_lock();
    retired.total_calls++;
    rl_audit_t* audit = rl_process_audit();
    if (audit)
        rl_audit_ownership_violation(audit, rl_str(symbol), rl_str(what), sum.total_calls + 1, sum.success_calls);
    rl_process_unlock();
}

double reml_ffi_bridge_pass_rate(void) {
    reml_ffi_bridge_metrics_t sum = reml_ffi_bridge_get_metrics();
    return sum.total_calls ? (double)sum.success_calls / (double)sum.total_calls : 1.0;
}

const rl_program_t* rl_process_prelude(void) {
    const rl_program_t* made = atomic_load_explicit(&prelude, memory_order_acquire);
    if (RL_LIKELY(made != NULL)) return made;
    rl_process_lock();
    made = atomic_load(&prelude);
    if (!made) {
        rl_allocator_init(&prelude_allocator, NULL, NULL);
        if (rl_prelude_make(&prelude_program, &prelude_allocator)) {
            made = &prelude_program;
            atomic_store_explicit(&prelude, made, memory_order_release);
        }
    }
    rl_process_unlock();
    return made;
}
