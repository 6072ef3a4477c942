/*
 * reml_ffi_bridge.h: ownership at the border, both ways: results handed over, host pointers taken in, and the counters that prove it.
 * (Runtime guide §1.2; contract reference §2.)
 *
 * Who owns on failure: a call that fails moves nothing. What the caller offered stays the caller's, and no release handler of it has
 *   run or will. The one exception is what a host function has written to *out_result: the library releases it, whatever it answers.
 * Arguments are borrowed for the call, also of a call that fails.
 * Misuse (using a value after it was released or taken, after its loan or its context is over, or in another context; releasing
 *   twice or what is only borrowed) is refused with STALE, WRONG_CONTEXT or INVALID_ARGUMENT, and leaves a record with the code
 *   ffi.wrap.ownership_violation: in the log of the context, or in the process's own when the context is gone.
 * A transferred value that nobody has released when its context goes is freed then, and recorded with `status = leak`.
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
    uint64_t acquired, released, live; /* handles and transferred pointers; always acquired = released + live */
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
/* One more owner of a value; no result is counted. transferred: *out_value, release once. */
REML_API reml_embed_status_t reml_ffi_acquire_borrowed(
    reml_embed_context_t* context, reml_value_t value, reml_value_t* out_value);
/* Note that the caller owns `value` now; no result is counted. *out_value is `value`; nobody else may release it. */
REML_API reml_embed_status_t reml_ffi_acquire_transferred(
    reml_embed_context_t* context, reml_value_t value, reml_value_t* out_value);
/* One more owner of a value that was lent: afterwards it must be released. Counts borrowed_results; NONE counts null_results. */
REML_API reml_embed_status_t reml_ffi_acquire_borrowed_result(
    reml_embed_context_t* context, reml_value_t value, reml_value_t* out_value);
/* Note that a value changed hands to the host. Counts transferred_results; NONE counts null_results. */
REML_API reml_embed_status_t reml_ffi_acquire_transferred_result(
    reml_embed_context_t* context, reml_value_t value, reml_value_t* out_value);

/* --- host pointers that enter Reml --------------------------------------------------------------------------------- */

/* metadata.bridge.ownership; append-only. */
typedef enum reml_ownership_t {
    REML_OWNERSHIP_NONE = 0,
    REML_OWNERSHIP_BORROWED = 1,
    REML_OWNERSHIP_TRANSFERRED = 2,
    REML_OWNERSHIP_REFERENCE = 3
} reml_ownership_t;

enum {
    REML_FOREIGN_ONE_RUN = 1, /* BORROWED: until the outermost run in progress is over, or the next one when none is */
    REML_FOREIGN_OVER = 2     /* in answers: ended, released or taken back */
};

typedef struct reml_foreign_t {
    uint32_t struct_size;
    uint32_t flags;     /* REML_FOREIGN_ONE_RUN */
    uint32_t ownership; /* reml_ownership_t: BORROWED or TRANSFERRED */
    uint32_t reserved;  /* 0 */
    void* data;         /* NULL: a null pointer, which owns nothing */
    size_t length;      /* bytes that scripts may read, for a ForeignBuffer; else what the host likes to remember */
    void (*release)(void* data, size_t length, void* user); /* TRANSFERRED: required; BORROWED: NULL */
    void* user;
} reml_foreign_t;
#define REML_FOREIGN_INIT {sizeof(reml_foreign_t), 0, 0, 0, NULL, 0, NULL, NULL}

/*
 * A value of an opaque type (`Ptr<T>`, `ForeignBuffer`, `type T` of an extern "host" block) that stands for a host pointer. Nothing is
 * copied. Scripts pass pointers on and read a ForeignBuffer within its bounds: len, get, slice, to_bytes, i32_at, f64_at …
 *
 * BORROWED:    the host keeps the memory valid until reml_ffi_end_borrow (or the end of the run, or of the context); what the script
 *              does with it afterwards is refused.
 * TRANSFERRED: release(data, length, user) is called once: when the script has dropped it (at the end of the run, at a collection, or
 *              when the next pointer comes in), at reml_ffi_release_foreign, or with the context; in the context's thread, never
 *              inside the collector. The handler may look at the context, but not run, load, collect or dispose of it (BUSY).
 *
 * owned: *out_value. fails: INVALID_ARGUMENT (ffi.wrap.invalid_argument, ffi.contract.ownership_mismatch), NO_MEMORY,
 *        AUDIT_UNAVAILABLE; the caller keeps the pointer then.
 */
REML_API reml_embed_status_t reml_ffi_wrap_foreign_ptr(
    reml_embed_context_t* context, reml_type_t type, const reml_foreign_t* foreign, reml_value_t* out_value);
/* The owner ends a loan: from now on every use of the pointer is refused. */
REML_API reml_embed_status_t reml_ffi_end_borrow(reml_embed_context_t* context, reml_value_t value);
/* The script gives a transferred pointer back (what a host function does whose argument passes on): its handler will not run, its uses
   are refused. transferred: *out_data. */
REML_API reml_embed_status_t reml_ffi_take_foreign(reml_embed_context_t* context, reml_value_t value, void** out_data);
/* Release a transferred pointer now. */
REML_API reml_embed_status_t reml_ffi_release_foreign(reml_embed_context_t* context, reml_value_t value);
/* What a pointer is; of one that is over, data is NULL and flags say REML_FOREIGN_OVER. Looking is no use and leaves no record.
   *out_foreign has its struct_size set; release and user are not shown. */
REML_API reml_embed_status_t reml_ffi_foreign_info(
    reml_embed_context_t* context, reml_value_t value, reml_foreign_t* out_foreign);

/* --- text and counters ----------------------------------------------------------------------------------------------- */

/* NULL data forces length 0. */
REML_API reml_span_t reml_ffi_make_span(void* data, size_t length);
/* Copy text in. owned: *out_value. */
REML_API reml_embed_status_t reml_ffi_box_string(
    reml_embed_context_t* context, reml_span_t text, reml_value_t* out_value);
/* View of a string; NONE gives an empty span. borrowed: while the handle lives. */
REML_API reml_embed_status_t reml_ffi_unbox_span(
    reml_embed_context_t* context, reml_value_t value, reml_span_t* out_span);

/* Count one bridge call made by the host's own wrapper (Python's call_ffi); without a context (NULL) for the process. */
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
