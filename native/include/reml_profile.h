/*
 * reml_profile.h: where the time of a context's runs goes. (DESIGN 4.)
 *
 * A sampling profile: at the first of the VM's polls after each interval, the time since the last sample counts for the functions that
 * stand on the stack. The weights of all stacks together are the time that was spent in runs.
 *
 *     reml_profile_start(context, 1000000);                    // a sample each millisecond
 *     reml_run(context, "main");
 *     reml_profile_stop(context);
 *     reml_profile_folded(context, &text, &length);            // "main;total;[list.push] 12003400\n" …
 *     reml_embed_free(text);
 *
 * Nothing is slower in a context without a profile. With one it polls more often, and calls between host and script take the long way;
 * results and fuel are the same. What the profile keeps is allocated by the context's allocator and does not count against its limits.
 *
 * Frames are the names of functions: `Billing.total`, a method `Point.length`, with the types of a generic instance `pick<Int>`; functions
 * without a name by where they stand: `total <fn lambda>:12` is a lambda in `total`, line 12. What is not code of a script is in brackets:
 * `[list.push]` a function of the runtime, `[host price]` a host function, `[collector]`, `[waiting]`; `[run]` is what began outside of any
 * function. A stack of more than REML_PROFILE_FRAMES_MAX frames is cut: `…` stands for its outermost ones.
 *
 * A run that is shorter than a few thousand instructions may end before its first poll: its time counts for its entry. So does what is left
 * of the last interval when the profile ends.
 *
 * As every function on a context: only in the thread that owns it.
 */
#ifndef REML_PROFILE_H
#define REML_PROFILE_H

#include "reml_embed.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Frames of one stack at most, counted from the innermost. */
#define REML_PROFILE_FRAMES_MAX 256

typedef struct reml_profile_totals_t {
    uint32_t struct_size;
    uint32_t incomplete; /* 1: memory was refused; some time counts for callers of the function that took it */
    uint64_t elapsed_ns; /* in runs: the sum of all weights */
    uint64_t samples;
    uint64_t stacks; /* different ones */
} reml_profile_totals_t;
#define REML_PROFILE_TOTALS_INIT {sizeof(reml_profile_totals_t), 0, 0, 0, 0}

/*
 * Begin one, forgetting what an earlier one has gathered. interval_ns: least time between two samples; 0: one at each poll.
 *
 * fails: BUSY during a run, or while one is on; NO_MEMORY. Nothing has changed then.
 */
REML_API reml_embed_status_t reml_profile_start(reml_embed_context_t* context, uint64_t interval_ns);
/* End it; what it has gathered stays until the next one begins or the context goes. OK also when none is on. fails: BUSY during a run. */
REML_API reml_embed_status_t reml_profile_stop(reml_embed_context_t* context);

/* How much has been gathered so far. fails: INVALID_ARGUMENT; ERROR when no profile was begun. */
REML_API reml_embed_status_t reml_profile_totals(reml_embed_context_t* context, reml_profile_totals_t* out_totals);
/*
 * What has been gathered so far, one line for each stack: frames from the outermost, separated by `;`, a space, nanoseconds. In names `;`
 * and control characters are replaced. UTF-8; the order of lines is not fixed. owned: *out_text (reml_embed_free), NUL-terminated.
 *
 * fails: INVALID_ARGUMENT, NO_MEMORY; ERROR when no profile was begun.
 */
REML_API reml_embed_status_t reml_profile_folded(reml_embed_context_t* context, char** out_text, size_t* out_length);

#ifdef __cplusplus
}
#endif

#endif
