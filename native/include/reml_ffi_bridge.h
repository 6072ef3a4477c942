/*
 * reml_ffi_bridge.h: handing results over, borrowed or transferred, and the counters that prove it. (Runtime guide §1.2;
 * contract reference §2.)
 *
 * Counters belong to a context and are plain; reml_ffi_bridge_get_metrics answers the sum over living and retired contexts.
 * Each crossing is counted once: reading a result, calling a function handle, a host function called by a script.
 */
#ifndef REML_FFI_BRIDGE_H
#define REML_FFI_BRIDGE_H

#include "reml_value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum reml_ffi_bridge_status_t {
    REML_FFI_BRIDGE_SUCCESS = 0,
    REML_FFI_BRIDGE_FAILURE = 1
} reml_ffi_bridge_status_t;

typedef struct reml_ffi_bridge_metrics_t {
    uint64_t total_calls, success_calls, borrowed_results, transferred_results, null_results;
    uint64_t acquired, released, live; /* handles; always acquired = released + live */
} reml_ffi_bridge_metrics_t;

/* The last result, lent. borrowed: until the next run, load or dispose; must not be released. *out_value is NONE when there is none. */
REML_API reml_embed_status_t reml_embed_result_borrow(reml_embed_context_t* context, reml_value_t* out_value);
/*
 * Hand over the last result; the context forgets it.
 * transferred: *out_value, release once with reml_ffi_release_transferred().
 * fails:       INVALID_ARGUMENT for a NULL pointer, ERROR when nothing has run; *out_value is then of kind NONE.
 */
REML_API reml_embed_status_t reml_embed_result_take(reml_embed_context_t* context, reml_value_t* out_value);

/* Release what was transferred. A second release, a stale or foreign value: STALE / WRONG_CONTEXT and a record with code
   ffi.wrap.ownership_violation. Releasing a borrowed value is such a violation too. */
REML_API reml_embed_status_t reml_ffi_release_transferred(reml_embed_context_t* context, reml_value_t value);
/* One more owner of a value that was lent: afterwards it must be released. Counts borrowed_results; NONE counts null_results. */
REML_API reml_embed_status_t reml_ffi_acquire_borrowed_result(
    reml_embed_context_t* context, reml_value_t value, reml_value_t* out_value);
/* Note that a value changed hands to the host. Counts transferred_results; NONE counts null_results. */
REML_API reml_embed_status_t reml_ffi_acquire_transferred_result(
    reml_embed_context_t* context, reml_value_t value, reml_value_t* out_value);

/* NULL data forces length 0. */
REML_API reml_span_t reml_ffi_make_span(void* data, size_t length);
/* Copy text in. owned: *out_value. */
REML_API reml_embed_status_t reml_ffi_box_string(
    reml_embed_context_t* context, reml_span_t text, reml_value_t* out_value);
/* View of a string; NONE gives an empty span. borrowed: while the handle lives. */
REML_API reml_embed_status_t reml_ffi_unbox_span(
    reml_embed_context_t* context, reml_value_t value, reml_span_t* out_span);

/* Count one bridge call made by the host's own wrapper (Python's call_ffi). */
REML_API reml_embed_status_t reml_ffi_bridge_record_status(
    reml_embed_context_t* context, reml_ffi_bridge_status_t status);
REML_API reml_embed_status_t reml_ffi_bridge_record_success(reml_embed_context_t* context);
REML_API reml_embed_status_t reml_ffi_bridge_record_failure(reml_embed_context_t* context);

/* Counters of one context, or (NULL) of the process. */
REML_API reml_embed_status_t reml_ffi_bridge_context_metrics(
    reml_embed_context_t* context, reml_ffi_bridge_metrics_t* out_metrics);
REML_API reml_ffi_bridge_metrics_t reml_ffi_bridge_get_metrics(void);
REML_API void reml_ffi_bridge_reset_metrics(void);
/* success_calls / total_calls of the process, from one snapshot; 1.0 when no call was made. */
REML_API double reml_ffi_bridge_pass_rate(void);

#ifdef __cplusplus
}
#endif

#endif
