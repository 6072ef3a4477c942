/*
 * audit: compact when it happens, text when it leaves (DESIGN 2.5).
 *
 * Comes in: typed events of the host layer. Goes out: NDJSON lines (CONTRACTS 1.6, 2.6, 3) to a callback, a chained
 * file, or a drain. Must not know: contexts, values, handles.
 *
 * An `rl_audit_t` is embedded in its context (the host keeps one more for calls that have no context). An event is
 * copied into a ring of fixed-size slots: in memory, or, with a file sink, in the file's MAP_SHARED journal, where it
 * survives SIGKILL from the moment the append call returned. Lines are rendered when the ring fills, at a failure, at
 * a lifecycle call when a callback is set, when drained, when the oldest event is a second old, and at the end.
 *
 * Lifetime: init .. deinit. Ownership: texts given to append functions are borrowed for the call only.
 * Threading: an `rl_audit_t` belongs to the thread of its context. The file behind it may be shared by any number of
 * contexts of this process (one writer per path); that part locks by itself.
 * Fork: in a child nothing is written to the parent's file, journal or callback; everything answers FORKED.
 * Failure: nothing here fails the caller's memory or I/O silently: an append that could not keep its event answers
 * false and is counted; `rl_audit_problem` says why in one line.
 */
#ifndef RL_AUDIT_H
#define RL_AUDIT_H

#include "base/buf.h"
#include "base/os.h"

#include <stdatomic.h>

typedef enum rl_audit_result {
    RL_AUDIT_OK = 0,
    RL_AUDIT_UNAVAILABLE, /* the sink does not take lines, or no room is left: REML_EMBED_STATUS_AUDIT_UNAVAILABLE */
    RL_AUDIT_NO_MEMORY,
    RL_AUDIT_INVALID, /* an argument out of range */
    RL_AUDIT_BUSY,    /* called from inside the sink callback */
    RL_AUDIT_FORKED
} rl_audit_result_t;

/* Takes one line (no LF; UTF-8; borrowed for the call). 0: taken. Anything else: failed, offered again later. */
typedef int (*rl_audit_sink_fn)(const char* line, size_t length, void* user);

typedef enum rl_audit_policy { RL_AUDIT_SUMMARY, RL_AUDIT_EVERY } rl_audit_policy_t;
typedef enum rl_audit_on_failure { RL_AUDIT_REFUSE, RL_AUDIT_COUNT } rl_audit_on_failure_t;
typedef enum rl_audit_fsync { RL_AUDIT_FSYNC_NONE, RL_AUDIT_FSYNC_INTERVAL, RL_AUDIT_FSYNC_EVERY } rl_audit_fsync_t;

typedef struct rl_audit_file_settings {
    const char* path; /* borrowed for the call */
    rl_audit_fsync_t fsync;
    uint32_t fsync_interval_ms;
    uint64_t rotate_bytes;  /* 0: never */
    uint64_t journal_bytes; /* rounded to a power of two, at least RL_AUDIT_JOURNAL_LEAST; 0: 1 MiB */
    uint32_t patience_ms;   /* how long to wait for a log that another process holds; 0: 100 */
} rl_audit_file_settings_t;

#define RL_AUDIT_FIELD_BYTES    4096u         /* longer texts are cut; length and SHA-256 of the whole are kept */
#define RL_AUDIT_JOURNAL_LEAST  (128u * 1024) /* smallest ring of a journal */
#define RL_AUDIT_MEMORY_RECORDS 4096u         /* kept without a sink */

/* --- the log of one context --------------------------------------------------------------------------------- */

struct rl_audit_tally;
struct rl_audit_writer; /* file.h: one open log file, shared by path */

/* A ring in memory; the journal's ring has the same slots (ring.h). */
typedef struct rl_audit_ring {
    unsigned char* slots;
    uint32_t capacity;   /* slots, a power of two */
    uint64_t head, tail; /* positions, in slots; head - tail <= capacity */
    uint32_t records;
    uint32_t host_records; /* of them */
    size_t host_bytes;     /* their texts */
} rl_audit_ring_t;

typedef struct rl_audit {
    rl_allocator_t* allocator; /* borrowed: the context's */
    const rl_env_t* env;       /* borrowed */
    bool real_time;            /* env is the real one: events carry raw ticks */
    bool counter_ticks;        /* rl_os_ticks() is the processor's counter */
    uint32_t fork_generation;

    rl_audit_ring_t ring;   /* events for the callback or for draining; unused with a file and no callback */
    rl_buf_t text;          /* scratch of rendering */
    unsigned char* scratch; /* one event, unfolded */
    size_t scratch_bytes;

    rl_audit_sink_fn sink;
    void* sink_user;
    struct rl_audit_writer* writer; /* acquired reference, or NULL */

    rl_audit_policy_t policy;
    uint64_t
        tally_mask; /* a tally looks up at each call whose number has none of these bits: all of them under EVERY */
    rl_audit_on_failure_t on_failure;
    uint32_t summary_interval_ms;
    uint64_t summary_interval_ticks;
    uint64_t deliver_due; /* ticks: the next append also delivers */

    bool attention;  /* something is wrong with the own sink: rl_audit_ready takes its slow way */
    bool delivering; /* inside the callback */
    char problem[256];

    uint64_t records;         /* appended, all kinds */
    uint64_t lifecycle;       /* appended native.embed.call records */
    uint64_t dropped;         /* let go: no sink and queue full, or policy `count` and the sink failing */
    uint64_t lost_unreported; /* of those, not yet said in a records_lost record */

    uint64_t random[4]; /* generator of audit ids, seeded once */
    struct rl_audit_tally* tallies;
    const uint64_t *bridge_total, *bridge_success; /* calls so far, for the pass rate of summaries; NULL: 1.0 */
    char* command_members;                         /* owned; ready JSON members `"cli.…":…`, or NULL */
    size_t command_length;
} rl_audit_t;

/* `env` NULL: the real one. False: no memory (the struct is then as after deinit). */
bool rl_audit_init(rl_audit_t* audit, rl_allocator_t* allocator, const rl_env_t* env_or_null);

/* Flush what can be flushed, let go of sink and file, free. In a forked child: free only. */
void rl_audit_deinit(rl_audit_t* audit);

/*
 * Set or remove (NULL) the callback. What is queued in memory is offered to a new callback at once, in order.
 * fails: BUSY from inside the callback; UNAVAILABLE when the callback refused a queued line (it stays set).
 */
rl_audit_result_t rl_audit_set_sink(rl_audit_t* audit, rl_audit_sink_fn sink_or_null, void* user);

/*
 * Open (or join, when this process has it open) the log at settings->path, recover what an ended process left in its
 * journal, and send events there from now on; queued events move there first, in order. NULL settings: detach.
 * fails: UNAVAILABLE (cannot open, locked by another process, damaged, no room for the journal; rl_audit_problem says
 *        which and nothing has changed), NO_MEMORY, INVALID, BUSY, FORKED.
 */
rl_audit_result_t rl_audit_set_file(rl_audit_t* audit, const rl_audit_file_settings_t* settings_or_null);

void rl_audit_set_policy(rl_audit_t* audit, rl_audit_policy_t policy, uint32_t summary_interval_ms /* 0: 1,000 */);
void rl_audit_set_on_failure(rl_audit_t* audit, rl_audit_on_failure_t on_failure);

/*
 * Members added to each later record: `"cli.audit_id":"…","cli.command":"run",…`, each key beginning with `cli.`, in
 * ascending order, at most RL_AUDIT_FIELD_BYTES. Copied. Empty: none. fails: INVALID, NO_MEMORY.
 */
rl_audit_result_t rl_audit_set_command(rl_audit_t* audit, rl_str_t json_members);

/* Text of the last refusal, one line; "" when none. Borrowed until the next call on `audit`. */
const char* rl_audit_problem(const rl_audit_t* audit);

/*
 * The slow half of rl_audit_ready: offers pending lines again, looks for room for what a crossing may append.
 * REFUSE: UNAVAILABLE while the sink fails or no room is left. COUNT: always OK. FORKED in a child.
 */
rl_audit_result_t rl_audit_ready_slow(rl_audit_t* audit);
/* Did the last attempt to write fail? The flag is the writer's first member. */
static inline bool rl_audit_writer_troubled(const struct rl_audit_writer* writer) {
    return atomic_load_explicit((atomic_bool*)(uintptr_t)writer, memory_order_relaxed);
}

/* --- events ------------------------------------------------------------------------------------------------- */

/* Kinds are written to journals: append only, never renumber. */
typedef enum rl_audit_kind {
    RL_AUDIT_KIND_NONE = 0,
    RL_AUDIT_KIND_EMBED_CALL = 1,    /* native.embed.call */
    RL_AUDIT_KIND_FFI_CALL = 2,      /* ffi.call */
    RL_AUDIT_KIND_FFI_SUMMARY = 3,   /* ffi.call with ffi.count … */
    RL_AUDIT_KIND_UNSAFE_REGION = 4, /* unsafe.region */
    RL_AUDIT_KIND_RECOVERED = 5,     /* audit.recovered: what a new opener found and cut */
    RL_AUDIT_KIND_RECORDS_LOST = 6,  /* audit.records_lost */
    RL_AUDIT_KIND_UNLIMITED = 7,     /* runtime.limits.unlimited */
    RL_AUDIT_KIND_DURABILITY = 8,    /* audit.durability_unknown: a sync failed, the segment was given up */
    RL_AUDIT_KIND_HOST = 9           /* a record of the host, its text elsewhere: in memory only, never in a journal */
} rl_audit_kind_t;

typedef enum rl_audit_function { /* append only */
    RL_AUDIT_CREATE_CONTEXT = 0,
    RL_AUDIT_LOAD_MODULE = 1,
    RL_AUDIT_RUN = 2,
    RL_AUDIT_DISPOSE_CONTEXT = 3,
    RL_AUDIT_START = 4 /* told when the job has ended */
} rl_audit_function_t;

/* One call of CONTRACTS 1.2. Empty texts are left out, where the contract allows it. */
typedef struct rl_audit_embed_call {
    rl_audit_function_t function;
    rl_str_t abi_version;    /* empty: `unknown` */
    rl_str_t status_label;   /* reml_embed_status_label(status) */
    bool failed;             /* status is not OK: error.* is written */
    bool abi_mismatch;       /* adds native.embed.abi_mismatch */
    bool unsupported_target; /* adds native.embed.unsupported_target */
    rl_str_t run_entrypoint; /* RUN: always written */
    uint64_t source_bytes;   /* LOAD: always written */
    rl_str_t error_code, error_message;
    const rl_target_t* target; /* NULL: rl_os_target() */
    bool refused;              /* by rl_audit_ready: such a record may not take the room of running calls */
} rl_audit_embed_call_t;

/* False: the event could not be kept (no memory, no room behind a failing sink). */
bool rl_audit_embed_call(rl_audit_t* audit, const rl_audit_embed_call_t* call);

typedef enum rl_audit_ownership { /* metadata.bridge.ownership; append only */
    RL_AUDIT_OWN_NONE = 0,
    RL_AUDIT_OWN_BORROWED = 1,
    RL_AUDIT_OWN_TRANSFERRED = 2,
    RL_AUDIT_OWN_REFERENCE = 3
} rl_audit_ownership_t;

typedef enum rl_audit_return { /* a row of the table in CONTRACTS 2.6; append only */
    RL_AUDIT_RETURN_SCALAR = 0,
    RL_AUDIT_RETURN_BORROWED = 1,
    RL_AUDIT_RETURN_TRANSFERRED = 2,
    RL_AUDIT_RETURN_PENDING = 3, /* transferred, not yet released */
    RL_AUDIT_RETURN_FAILURE = 4,
    RL_AUDIT_RETURN_NULL = 5
} rl_audit_return_t;

typedef enum rl_audit_call_status { /* bridge.status / ffi.status; append only */
    RL_AUDIT_CALL_OK = 0,           /* ok / success */
    RL_AUDIT_CALL_ERROR = 1,        /* error / failed */
    RL_AUDIT_CALL_LEAK = 2,         /* leak / leak */
    RL_AUDIT_CALL_STUBBED = 3       /* ok / stubbed */
} rl_audit_call_status_t;

#define RL_AUDIT_NO_LATENCY UINT64_MAX

/* One crossing (either direction), or a result read. */
typedef struct rl_audit_ffi_call {
    rl_str_t symbol;           /* bridge.extern_symbol and ffi.symbol */
    rl_str_t library;          /* empty: `reml_embed` */
    rl_str_t extern_name;      /* bridge.extern_name; empty: left out */
    rl_str_t effects;          /* ffi.effect_flags: sorted tags, one space between; empty: `ffi unsafe` */
    rl_str_t capability;       /* empty: `ffi.bridge` */
    rl_str_t capability_stage; /* empty: `beta` */
    rl_str_t call_site;        /* empty: left out */
    rl_audit_call_status_t status;
    rl_audit_ownership_t ownership;
    rl_audit_return_t result;
    uint64_t latency_ns;                   /* RL_AUDIT_NO_LATENCY: left out */
    uint64_t bridge_total, bridge_success; /* for audit_pass_rate; total 0: 1.0 */
    rl_str_t error_code, error_message;    /* written as error.* when status is ERROR or LEAK */
    bool refused;                          /* by rl_audit_ready */
} rl_audit_ffi_call_t;

bool rl_audit_ffi_call(rl_audit_t* audit, const rl_audit_ffi_call_t* call);

/* A second release, a stale or foreign value: ffi.call, status error, `ffi.wrap.ownership_violation`. */
bool rl_audit_ownership_violation(
    rl_audit_t* audit, rl_str_t symbol, rl_str_t message, uint64_t bridge_total, uint64_t bridge_success);

/* Values that were transferred and never released: ffi.call, status leak; of several, with their number in ffi.count. */
bool rl_audit_leak(rl_audit_t* audit, rl_str_t symbol, uint64_t count, uint64_t bridge_total, uint64_t bridge_success);

/* An `unsafe` block ran (LANGUAGE 13): function and line. */
bool rl_audit_unsafe_region(rl_audit_t* audit, rl_str_t module, rl_str_t function, uint32_t line);

/* Limits asked for as `unlimited`: names, sorted, one space between. */
bool rl_audit_limits_unlimited(rl_audit_t* audit, rl_str_t names);

/* Borrowed for the call. An empty text: not given. */
typedef struct rl_host_record {
    rl_str_t kind, category, capability, channel, audit_id, timestamp;
    rl_str_t metadata, change_set, extensions; /* JSON objects */
} rl_host_record_t;

/*
 * A record that the host made. With a file it is there when this answers OK; a callback that is the only sink has taken it; else it waits in
 * memory. Anything else than OK: it is nowhere. fails: INVALID (rl_audit_problem says what is wrong with it), UNAVAILABLE, NO_MEMORY,
 * BUSY from inside the callback, FORKED.
 */
rl_audit_result_t rl_audit_host_record(rl_audit_t* audit, const rl_host_record_t* record, char out_audit_id[37]);

/* The same for a log file, which is opened or joined, and closed. `problem` says what is wrong. */
rl_audit_result_t rl_audit_append_file(
    const rl_env_t* env, const char* path, const rl_host_record_t* record, char out_audit_id[37], char problem[256]);

/* --- policy `summary`: count now, tell once an interval ------------------------------------------------------ */

/*
 * Counters of one function handle (either direction); memory is the caller's (inside the handle), attached to the
 * audit between attach and detach. What is counted and not yet told becomes one summary record when the interval is
 * over, at drain, at flush, at detach and at deinit.
 * A failing call is recorded singly with rl_audit_ffi_call and not counted here, so that counts add up.
 * Counts not yet told live in the process alone: a kill loses at most those of the running interval. Whoever needs each
 * call to survive chooses RL_AUDIT_EVERY.
 */
typedef struct rl_audit_tally {
    uint64_t count, failures; /* not yet told; failures are part of count */
    uint64_t first_ticks, last_ticks;
    rl_str_t symbol; /* borrowed until detach */
    rl_str_t library, effects, capability,
        capability_stage; /* borrowed until detach; empty: as in rl_audit_ffi_call_t */
    rl_audit_ownership_t ownership;
    rl_audit_return_t result;
    struct rl_event_image*
        image; /* owned: its record under EVERY but for time and id, made when first needed; NULL: none */
    struct rl_audit_tally *next, **link;
} rl_audit_tally_t;

/* `tally` is zero but for its texts, ownership and result. */
void rl_audit_tally_attach(rl_audit_t* audit, rl_audit_tally_t* tally);
void rl_audit_tally_detach(rl_audit_t* audit, rl_audit_tally_t* tally); /* tells what is left; not attached: no-op */
bool rl_audit_tally_flush(rl_audit_t* audit, rl_audit_tally_t* tally);  /* true also when there was nothing to tell */
/* From now on its calls have another row of the table in CONTRACTS 2.6; those before are told. */
void rl_audit_tally_set_row(
    rl_audit_t* audit, rl_audit_tally_t* tally, rl_audit_ownership_t ownership, rl_audit_return_t result);

/* The time of a call: rl_os_ticks(), without a call where the processor's counter is its source. */
static inline uint64_t rl_audit_ticks(const rl_audit_t* audit) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (RL_LIKELY(audit->counter_ticks)) return __extension__ __builtin_ia32_rdtsc();
#endif
    (void)audit;
    return rl_os_ticks();
}

/*
 * Read the clock for a tally: its first call, then one in RL_AUDIT_TALLY_STEP. Tells the summary when the interval is over. Under EVERY the
 * call is taken back from the tally and gets its record.
 */
void rl_audit_tally_clock(rl_audit_t* audit, rl_audit_tally_t* tally);
#define RL_AUDIT_TALLY_STEP 16u /* a power of two */

/*
 * One good call, by the policy: counted, or a record. Reading a clock costs as much as the rest of a call, so it is read at the first call and at each sixteenth;
 * a summary told in between says "no later than now" for its last call (decision 0006).
 */
static inline void rl_audit_tally_count(rl_audit_t* audit, rl_audit_tally_t* tally) {
    if (RL_UNLIKELY((tally->count++ & audit->tally_mask) == 0)) rl_audit_tally_clock(audit, tally);
}

/* Would rl_audit_ready answer OK without further ado? */
static inline bool rl_audit_in_order(const rl_audit_t* audit) {
    return !audit->attention && audit->fork_generation == rl_os_fork_generation() &&
           (!audit->writer || !rl_audit_writer_troubled(audit->writer));
}
/* Before each crossing: OK, or the refusal to answer with. A few loads when all is well. */
static inline rl_audit_result_t rl_audit_ready(rl_audit_t* audit) {
    return RL_LIKELY(rl_audit_in_order(audit)) ? RL_AUDIT_OK : rl_audit_ready_slow(audit);
}

/* --- getting text out --------------------------------------------------------------------------------------- */

/* Tell all tallies, render all events, hand them to the sink or file. OK also when there is neither. */
rl_audit_result_t rl_audit_flush(rl_audit_t* audit);

/*
 * Tell all tallies and append every queued line (each with LF) to `out`; the queue is empty afterwards. With a file or
 * a callback: the same as flush, nothing is appended. fails: NO_MEMORY (the queue stays as it was), and as flush.
 */
rl_audit_result_t rl_audit_drain(rl_audit_t* audit, rl_buf_t* out);

/*
 * Move every queued event of `from` to the end of `to`, unrendered: what a disposed context without a sink leaves for
 * the host's own log. Tallies of `from` are told first. False: some could not be kept (counted as dropped in `to`).
 */
bool rl_audit_transfer(rl_audit_t* from, rl_audit_t* to);

static inline uint64_t rl_audit_record_count(const rl_audit_t* audit) { return audit->records; }
static inline uint64_t rl_audit_lifecycle_count(const rl_audit_t* audit) { return audit->lifecycle; }
static inline uint64_t rl_audit_dropped(const rl_audit_t* audit) { return audit->dropped; }
/* Lifecycle records kept for calls on this thread, whatever the context: what a wrapper compares around each call. */
uint64_t rl_audit_thread_lifecycle_count(void);

#endif
