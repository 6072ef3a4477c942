/*
 * reml_async.h: futures, waiting and runs that a host leaves and resumes. (Language reference §7.1; DESIGN 2.3.)
 *
 * reml_run and reml_function_call wait inside the library, in the wait callback, until what the script awaits is done. A job is
 * the same run without waiting: it works until everything in it waits for a timer or for the host, answers PENDING, and goes on
 * when the host resumes it. A promise is the host's end of a Future<T> that the host completes.
 *
 *     reml_job_t job;
 *     status = reml_embed_start(context, "main", &job);
 *     while (status == REML_EMBED_STATUS_PENDING) {
 *         int64_t nanoseconds;
 *         reml_job_wait(context, job, &nanoseconds);      // -1: until a promise is completed
 *         … let that time pass, complete promises …
 *         status = reml_embed_resume(context, job);
 *     }
 *     if (status == REML_EMBED_STATUS_OK) reml_job_result(context, job, &value);
 *     reml_job_release(context, job);
 *
 * Jobs of one context are runs of their own: each has its tasks, timers and limits, and its failure is its own. They take
 * turns as the host resumes them.
 */
#ifndef REML_ASYNC_H
#define REML_ASYNC_H

#include "reml_value.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- time --------------------------------------------------------------------------------------------------------- */

/* Monotonic nanoseconds, from any origin. Must not call into the context. */
typedef uint64_t (*reml_clock_fn)(void* user);
/*
 * Wait inside a run until `nanoseconds` have passed (UINT64_MAX: no timer), or a promise has been completed, or for any other
 * reason earlier: it is called again. May complete promises. Anything but OK ends the run with runtime.interrupted.
 */
typedef reml_embed_status_t (*reml_wait_fn)(uint64_t nanoseconds, void* user);

/* The clock timers go by. NULL: the system's monotonic clock. Not while jobs or runs are under way: BUSY. */
REML_API reml_embed_status_t reml_embed_set_clock(reml_embed_context_t* context, reml_clock_fn clock, void* user);
/* What Time.now answers: nanoseconds since 1970. NULL: the system's. Time.monotonic_now goes by the clock above. */
REML_API reml_embed_status_t reml_embed_set_wall_clock(reml_embed_context_t* context, reml_clock_fn clock, void* user);
/* NULL: sleep until the next timer, asking the poll callback in between; interrupts, deadlines and promises completed by other
   threads end it. A run that waits for nothing but promises needs a wait callback: without, it is runtime.async.deadlock. */
REML_API reml_embed_status_t reml_embed_set_wait(reml_embed_context_t* context, reml_wait_fn wait, void* user);

/* --- jobs ----------------------------------------------------------------------------------------------------------- */

/* Plain data: an id that is looked up before anything is dereferenced. */
typedef struct reml_job_t {
    uint64_t context, id;
} reml_job_t;

/*
 * Begin a run and work on it until it ends or waits. A Future that the entry answers is driven to completion: its value is the
 * result. owned: *out_job, when OK (it has ended), or PENDING; released by reml_job_release. Any other status: as reml_run and
 * reml_function_call fail, and *out_job is zero.
 */
REML_API reml_embed_status_t reml_embed_start(
    reml_embed_context_t* context, const char* entrypoint, reml_job_t* out_job);
REML_API reml_embed_status_t reml_function_start(reml_embed_context_t* context, reml_function_t function,
    const reml_value_t* arguments, size_t count, reml_job_t* out_job);
/* Await a Future or Task that the script has handed out. */
REML_API reml_embed_status_t reml_future_start(reml_embed_context_t* context, reml_value_t future, reml_job_t* out_job);

/* Go on. OK: it has ended; PENDING: it waits again; any other status: it has failed, and is over. BUSY: it is being worked on. */
REML_API reml_embed_status_t reml_embed_resume(reml_embed_context_t* context, reml_job_t job);
/* When a pending job can go on, or its deadline ends it: nanoseconds from now; -1: not before a promise is completed. */
REML_API reml_embed_status_t reml_job_wait(reml_embed_context_t* context, reml_job_t job, int64_t* out_nanoseconds);
/* owned: *out_value. PENDING: not there yet; ERROR: the job has failed. */
REML_API reml_embed_status_t reml_job_result(reml_embed_context_t* context, reml_job_t job, reml_value_t* out_value);
/* Give it up. What a pending job is in the middle of is left: its deferred expressions run. BUSY: it is being worked on. */
REML_API reml_embed_status_t reml_job_release(reml_embed_context_t* context, reml_job_t job);

/* --- promises ------------------------------------------------------------------------------------------------------- */

typedef struct reml_promise_t {
    uint64_t context, id;
} reml_promise_t;

/* A pending Future<T>; `value_type` is T. owned: *out_future, to be answered by a host function or passed to the script, and
   *out_promise, until it is completed, failed or dropped. */
REML_API reml_embed_status_t reml_promise_new(
    reml_embed_context_t* context, reml_type_t value_type, reml_promise_t* out_promise, reml_value_t* out_future);
/* The same for a Task<T>: the value that completes it is a Result<T, AsyncError>. `task.cancel()` completes it, too (it is not
   wanted any more then). */
REML_API reml_embed_status_t reml_promise_new_task(
    reml_embed_context_t* context, reml_type_t value_type, reml_promise_t* out_promise, reml_value_t* out_task);
/*
 * Complete it; the value is borrowed. INVALID_ARGUMENT: not of its type, the promise stays. From another thread: only values
 * without handle (scalars), queued and done in the context's thread; a mistake is found there and fails the future.
 */
REML_API reml_embed_status_t reml_promise_complete(
    reml_embed_context_t* context, reml_promise_t promise, reml_value_t value);
/* For Str; from any thread. */
REML_API reml_embed_status_t reml_promise_complete_text(
    reml_embed_context_t* context, reml_promise_t promise, const char* text, size_t length);
/* Whoever awaits it fails with host.call.failed and this message; from any thread. `token` (not 0) comes back in reml_embed_failure_token. */
REML_API reml_embed_status_t reml_promise_fail(
    reml_embed_context_t* context, reml_promise_t promise, const char* message, size_t length, uint64_t token);
/* It will never be completed: who awaits it may be in a deadlock now. From the context's thread. */
REML_API reml_embed_status_t reml_promise_drop(reml_embed_context_t* context, reml_promise_t promise);
/* Is it still waited for? 0: whoever awaited it has been dropped (cancelled, too slow, a loser of `select`). */
REML_API reml_embed_status_t reml_promise_wanted(
    reml_embed_context_t* context, reml_promise_t promise, int* out_wanted);
/* The token of the failed promise that ended the last run; 0: something else did. */
REML_API uint64_t reml_embed_failure_token(reml_embed_context_t* context);

#ifdef __cplusplus
}
#endif

#endif
