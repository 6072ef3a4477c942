/*
 * reml_audit.h: the audit log of an embedded context.
 *
 * Every lifecycle call (reml_create_context, reml_load_module, reml_run, reml_dispose_context), successful or not,
 * leaves one record; each crossing between host and Reml leaves one, or is counted in a summary (see
 * reml_audit_policy_t). A record is one line of JSON. Records go, in order, to one of three places:
 *
 *   file      reml_embed_set_audit_file: an NDJSON file with gap-free numbers and a hash chain. An event is safe
 *             against the killing of the process as soon as the call it tells of has returned (it lies in the shared
 *             journal beside the file, PATH.journal, and the next opener writes out what was left there).
 *   callback  reml_embed_set_audit_sink: the host receives each line.
 *   queue     neither is set: the last 4,096 records wait for reml_embed_audit_drain.
 *
 * A file and a callback may be set together; the file is then the primary sink: the callback still gets every line
 * (without the file's numbers and hashes), but its failures are only counted.
 *
 * Threads: as for every call on a context, the thread of the context only. Several contexts, on several threads, may
 * use the same path; a second process is refused.
 * Fork: a child never writes to its parent's log; it may dispose of inherited contexts and open logs of its own.
 * Failing closed: while the primary sink fails, calls that would run something answer
 * REML_EMBED_STATUS_AUDIT_UNAVAILABLE before they do anything, and work again once the sink does
 * (REML_AUDIT_ON_FAILURE_REFUSE, the default).
 */
#ifndef REML_AUDIT_H
#define REML_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "reml_embed.h" /* reml_embed_context_t, reml_embed_status_t, REML_API */

#ifdef __cplusplus
extern "C" {
#endif

/* --- where records go ----------------------------------------------------------------------------------------- */

/*
 * Takes one record: `length` bytes of UTF-8 JSON at `line`, without line end and not NUL-terminated.
 *
 * borrowed: line, for the duration of the call.
 * answers:  0 when the record is taken; anything else means that it is not, and it is offered again later.
 * threads:  called on the thread of the context, from inside API calls on that context, never while a lock is held.
 *           It may not call back into the same context (such calls answer REML_EMBED_STATUS_BUSY).
 */
typedef int32_t (*reml_audit_sink_t)(const char* line, size_t length, void* user);

/* Called once when the library lets go of `user`: at replacement, removal, or disposal of the context. May be NULL. */
typedef void (*reml_audit_destroy_t)(void* user);

/*
 * Set the callback that receives each record of `context`; NULL removes it. Records that wait in the queue are offered
 * to it at once; later ones at each lifecycle call and failure, after a second, or when 64 wait.
 *
 * owned:  user, by the library until destroy_user_or_null(user) is called; when the call fails with INVALID_ARGUMENT,
 *         INVALID_HANDLE, BUSY, WRONG_THREAD or FORKED it stays the caller's and is not destroyed.
 * fails:  INVALID_ARGUMENT, INVALID_HANDLE, BUSY (from inside the callback), WRONG_THREAD, FORKED,
 *         AUDIT_UNAVAILABLE (the callback is set, but refused a waiting record).
 */
REML_API reml_embed_status_t reml_embed_set_audit_sink(reml_embed_context_t* context, reml_audit_sink_t sink_or_null,
    void* user, reml_audit_destroy_t destroy_user_or_null);

/* When the operating system is asked to bring the file to the disk. Surviving a kill of the process needs none of it. */
enum {
    REML_AUDIT_FSYNC_NONE = 0,     /* never: a power cut may lose the latest records */
    REML_AUDIT_FSYNC_INTERVAL = 1, /* with the first write after fsync_interval_ms, and when closed */
    REML_AUDIT_FSYNC_EVERY = 2     /* each record is written and synced before the call that it tells of returns */
};

/*
 * How calls through function handles and host functions are recorded. Failing calls always get a record each. Counts of a
 * summary not yet told are lost when the process is killed (at most one interval); EVERY loses none.
 */
enum {
    REML_AUDIT_POLICY_SUMMARY = 0, /* one record per handle and interval: count, first and last time */
    REML_AUDIT_POLICY_EVERY = 1    /* one record per call */
};

/* What happens while the primary sink fails. */
enum {
    REML_AUDIT_ON_FAILURE_REFUSE = 0, /* calls are refused before they have an effect */
    REML_AUDIT_ON_FAILURE_COUNT = 1   /* calls go on; records that find no room are counted and the count is recorded */
};

/*
 * How a log file is kept. Initialise with REML_AUDIT_FILE_OPTIONS_INIT, then set `path`. A field that is 0 means the
 * default named beside it.
 */
typedef struct reml_audit_file_options_t {
    uint32_t struct_size;       /* sizeof(reml_audit_file_options_t) of the caller's header */
    uint32_t flags;             /* 0 */
    const char* path;           /* NUL-terminated; its directory must exist */
    uint32_t fsync;             /* REML_AUDIT_FSYNC_…; default NONE */
    uint32_t fsync_interval_ms; /* default 1,000 */
    uint32_t policy;            /* REML_AUDIT_POLICY_…; default SUMMARY */
    uint32_t on_failure;        /* REML_AUDIT_ON_FAILURE_…; default REFUSE */
    uint64_t rotate_bytes; /* a file about to grow beyond it is renamed PATH.N, N its last number; default: never */
    /* Size of PATH.journal while in use; default 1 MiB, at least 128 KiB. Half of it takes a burst of events (128 bytes each, more with
     * long texts) at the price of storing them; what is above half, or older than a second, is written in parts as further events come. */
    uint64_t journal_bytes;
    uint32_t summary_interval_ms; /* default 1,000 */
    uint32_t reserved;            /* 0 */
} reml_audit_file_options_t;

#define REML_AUDIT_FILE_OPTIONS_INIT {(uint32_t)sizeof(reml_audit_file_options_t), 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0}

/*
 * Append the records of `context` to a file; NULL options end that (what is queued is written first). What an ended
 * process left in the journal is written out, a torn last line is cut, and both are recorded as `audit.recovered`.
 * A second context of this process that names the same file joins it; fsync, rotation and journal size stay as the
 * first one set them.
 *
 * borrowed: options and path, for the duration of the call.
 * fails:    INVALID_ARGUMENT (unknown flag or value, non-zero reserved field, no path), INVALID_HANDLE, BUSY,
 *           WRONG_THREAD, FORKED, NO_MEMORY, AUDIT_UNAVAILABLE (cannot be opened, is in use by another process, does
 *           not end in a whole valid chain, or its journal has no space); reml_last_error says which. A context whose
 *           log could not be opened keeps the sink it had.
 */
REML_API reml_embed_status_t reml_embed_set_audit_file(
    reml_embed_context_t* context, const reml_audit_file_options_t* options_or_null);

/*
 * Change how crossings are recorded and what a failing sink means, with or without a file.
 * fails: INVALID_ARGUMENT, INVALID_HANDLE, BUSY, WRONG_THREAD, FORKED.
 */
REML_API reml_embed_status_t reml_embed_audit_policy(
    reml_embed_context_t* context, uint32_t policy, uint32_t on_failure, uint32_t summary_interval_ms);

/*
 * Name the command that `context` works for: JSON members such as `"cli.command":"run","cli.run_id":"…"`, keys beginning
 * with `cli.` and ascending, added to every later record. NULL or length 0: none.
 *
 * borrowed: members, for the duration of the call.
 * fails:    INVALID_ARGUMENT (not such members, or more than 4 KiB), INVALID_HANDLE, BUSY, WRONG_THREAD, FORKED, NO_MEMORY.
 */
REML_API reml_embed_status_t reml_embed_audit_command(
    reml_embed_context_t* context, const char* members, size_t length);

/* --- records of the host ----------------------------------------------------------------------------------------- */

/*
 * A record that the host makes. Initialise with REML_AUDIT_RECORD_INIT, then set `kind`. Texts are NUL-terminated UTF-8; NULL or empty: not
 * given. The library adds envelope, `audit.channel`, `audit.policy.version`, `event.kind` and `schema.version`, in a file number and chain;
 * `metadata` may not have these keys itself. JSON is read strictly (one object, no key twice on any level, at most 64 levels, no number beyond
 * a double) and written compactly; keys of the metadata ascend in the record.
 */
typedef struct reml_audit_record_t {
    uint32_t struct_size;   /* sizeof(reml_audit_record_t) of the caller's header */
    uint32_t flags;         /* 0 */
    const char* kind;       /* `event.kind`: required */
    const char* category;   /* of the record */
    const char* capability; /* what was used */
    const char* channel;    /* cli, embed, runtime (the default), bridge, lsp, ci */
    const char* audit_id;   /* a lower-case UUID; by default a new one */
    const char* metadata;   /* a JSON object: dotted keys */
    const char* change_set; /* a JSON object */
    const char* extensions; /* a JSON object */
    const char* timestamp;  /* `2026-03-02T08:15:00Z`; by default now */
} reml_audit_record_t;

#define REML_AUDIT_RECORD_INIT                                                                                         \
    {(uint32_t)sizeof(reml_audit_record_t), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}

/*
 * Put a record into the log of `context`, behind everything that was recorded before. When this answers OK the record is in the file (killing
 * the process takes nothing of it), or the callback has taken it, or, with neither, it waits to be drained. When it answers anything else
 * the record is nowhere. A record has at most 4 MiB as a line; a larger one is refused.
 *
 * borrowed: record and its texts, for the duration of the call.
 * answers:  out_audit_id, unless NULL: the id and a NUL.
 * fails:    INVALID_ARGUMENT (reml_last_error names the member, what is wrong and where), INVALID_HANDLE, BUSY (from inside the callback),
 *           WRONG_THREAD, FORKED, NO_MEMORY, AUDIT_UNAVAILABLE.
 */
REML_API reml_embed_status_t reml_embed_audit_log(
    reml_embed_context_t* context, const reml_audit_record_t* record, char out_audit_id[37]);

/*
 * The same for the log file at `path`, without a context: opens it, or joins it where this process has it open, appends, closes. Waits a second
 * for a log that another process holds.
 *
 * fails:   INVALID_ARGUMENT, NO_MEMORY, AUDIT_UNAVAILABLE, FORKED; reml_audit_last_problem says why.
 * threads: any.
 */
REML_API reml_embed_status_t reml_audit_append(
    const char* path, const reml_audit_record_t* record, char out_audit_id[37]);

/* Why the last reml_audit_append on this thread failed, one line; "" when it did not. Borrowed until the next one. */
REML_API const char* reml_audit_last_problem(void);

/* --- reading what waits, and counting -------------------------------------------------------------------------- */

/*
 * Hand over all waiting records as NDJSON text (each line ends in LF) and empty the queue. Summaries of calls counted so
 * far are part of it. With a file or a callback everything is brought there instead, and the text is empty.
 * A NULL context means the records that belong to no living context: refused creations, calls on NULL, and what a
 * disposed context without sink left behind.
 *
 * transferred: *out_text (NUL-terminated beyond *out_length), release with reml_embed_free; NULL when empty.
 * fails:       INVALID_ARGUMENT for a NULL out-pointer, INVALID_HANDLE, BUSY, WRONG_THREAD, FORKED, NO_MEMORY (the queue
 *              stays), AUDIT_UNAVAILABLE.
 */
REML_API reml_embed_status_t reml_embed_audit_drain(
    reml_embed_context_t* context_or_null, char** out_text, size_t* out_length);

/*
 * Records of `context` that were let go: because nothing was set to take them and the queue was full, or under
 * REML_AUDIT_ON_FAILURE_COUNT while the sink failed. 0 for a context that is not valid.
 */
REML_API uint64_t reml_embed_audit_dropped(const reml_embed_context_t* context);

/*
 * Records of `context` so far, all kinds, summaries when they are told. NULL: lifecycle records that calls made on this
 * thread have left, on whatever context or none; it grows by exactly one with each lifecycle call. 0 for a context that
 * is not valid.
 */
REML_API uint64_t reml_embed_audit_count(const reml_embed_context_t* context_or_null);

/* --- verifying a file ------------------------------------------------------------------------------------------ */

/* What reml_audit_verify found; append only. Labels: reml_audit_verdict_label. */
enum {
    REML_AUDIT_VERDICT_OK = 0,
    REML_AUDIT_VERDICT_RECOVERED_TAIL = 1, /* whole but for a torn last line, which the next opener cuts and records */
    REML_AUDIT_VERDICT_BROKEN = 2,         /* record `record` is not what was written there */
    REML_AUDIT_VERDICT_HEAD_MISMATCH = 3,  /* a valid chain that does not end in the expected record */
    REML_AUDIT_VERDICT_UNREADABLE = 4      /* no file, no permission, or an I/O error */
};

/* Filled by reml_audit_verify. Initialise with REML_AUDIT_REPORT_INIT. */
typedef struct reml_audit_report_t {
    uint32_t struct_size; /* in: sizeof(reml_audit_report_t) of the caller; out: bytes that were filled */
    int32_t verdict;      /* REML_AUDIT_VERDICT_… */
    uint64_t record;      /* BROKEN: number of the first bad record in this file, from 1; else 0 */
    uint64_t records;     /* good records from the start of the file */
    uint64_t first_sequence, last_sequence; /* audit.sequence of the first and last good record; 0: none */
    uint64_t pending;                       /* events in the journal that the next opener will append */
    uint64_t torn_bytes;                    /* length of a torn last line */
    char head[72];                          /* hash of the last good record, NUL-terminated; "" when there is none */
    char detail[248];                       /* one line in words; "" when all is well */
} reml_audit_report_t;

#define REML_AUDIT_REPORT_INIT {(uint32_t)sizeof(reml_audit_report_t), 0, 0, 0, 0, 0, 0, 0, {0}, {0}}

/*
 * Check a log file: JSON, numbers without gaps, hash chain, its link to the file before it (PATH.N beside it, unless it
 * begins with number 1), where its journal remembers that it ended, and its end against `expected_head_or_null` (64 hexadecimal
 * digits noted earlier; only that tells a file that was cut at a line's end). Reads only, needs no context, and may be
 * used on a log that is being written. Deletion, insertion, reordering and any changed bit are found.
 *
 * answers: OK for verdicts OK and RECOVERED_TAIL, ERROR for the others.
 * fails:   INVALID_ARGUMENT for a NULL path or report, a report whose struct_size does not reach past `verdict`, or an
 *          expected head that is not a hash; NO_MEMORY.
 * threads: any.
 */
REML_API reml_embed_status_t reml_audit_verify(
    const char* path, const char* expected_head_or_null, reml_audit_report_t* out_report);

/* `ok`, `recovered_tail`, `broken`, `head_mismatch`, `unreadable`; `unknown` otherwise. Static. Any thread. */
REML_API const char* reml_audit_verdict_label(int32_t verdict);

/*
 * Write out what an ended process left in the journal of the log at `path`, as the next opener would.
 *
 * fails:   INVALID_ARGUMENT for a NULL path, NO_MEMORY, AUDIT_UNAVAILABLE (see reml_embed_set_audit_file).
 * threads: any.
 */
REML_API reml_embed_status_t reml_audit_recover(const char* path);

#ifdef __cplusplus
}
#endif

#endif
