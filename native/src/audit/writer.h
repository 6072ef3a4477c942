/*
 * writer: one open log file of this process, with its journal. Shared by all contexts that name its path.
 *
 * Lifetime: acquire .. release, counted; the last release writes everything out and leaves the bare header of the
 * journal. Threading: append is free of locks while there is room; everything else takes the writer's own lock, which is
 * never held while host code runs. Fork: in a child a writer is `detached`: descriptors closed, nothing written.
 */
#ifndef RL_AUDIT_WRITER_H
#define RL_AUDIT_WRITER_H

#include "audit/journal.h"
#include "audit/read.h"
#include "audit/record.h"

#include <pthread.h>

#define RL_LOG_MODE 0640 /* of new files: a log tells what ran */

#define RL_BATCH_BYTES (64u << 10) /* most text in one write */

typedef struct rl_audit_writer {
    atomic_bool troubled; /* the last attempt to write failed; first: see rl_audit_writer_troubled */
    struct rl_audit_writer* next;
    uint32_t references;
    atomic_bool detached;
    rl_allocator_t allocator; /* its own: it outlives any one context */
    const rl_env_t* env;      /* borrowed, as io */
    const rl_io_t* io;
    char *path, *journal_path; /* owned, absolute where the directory could be resolved */

    rl_audit_fsync_t fsync;
    uint64_t fsync_interval_ns, rotate_bytes;
    uint32_t patience_ms; /* how long opening waits for a lock */

    rl_journal_header_t* header; /* mapped */
    unsigned char* slots;
    uint32_t capacity;
    uint32_t burst; /* pending slots from which appends also write out */
    size_t mapped_bytes;
    _Atomic(uint64_t) tail;      /* slots before it are free: the checkpoint's position */
    _Atomic(uint64_t) flush_due; /* ticks: the next append also writes out */
    uint64_t interval_ticks;

    pthread_mutex_t lock; /* guards what follows */
    int log_fd, journal_fd;
    uint64_t log_bytes;
    rl_audit_chain_t chain;
    bool torn;    /* bytes behind log_bytes are to be cut before the next write */
    bool moved;   /* renamed for rotation, the new file is not there yet */
    bool give_up; /* a sync failed: go on in a new file */
    uint64_t synced_sequence, synced_ns;
    uint64_t doubt_first, doubt_last; /* numbers whose durability is unknown and not yet recorded; last 0: none */
    rl_target_t target;               /* texts in `header` */
    rl_renderer_t renderer;
    bool renderer_recorded; /* renderer.clock came from the journal: events of an ended process */
    rl_buf_t batch;
    unsigned char* flat; /* one event */
    char problem[256];
} rl_audit_writer_t;

/*
 * Join or open. On success one reference is the caller's. fails: UNAVAILABLE, NO_MEMORY, with a line in `problem`.
 * env (and env->io) must outlive the writer.
 */
rl_audit_result_t rl_writer_acquire(
    const rl_env_t* env, const rl_audit_file_settings_t* settings, rl_audit_writer_t** out_writer, char problem[256]);
void rl_writer_release(rl_audit_writer_t* writer);
/* Open, recover, close. */
rl_audit_result_t rl_audit_recover_file(const rl_env_t* env, const char* path, char problem[256]);

/*
 * Keep an event. `texts` are shortened when there is no room for all of them. `refused`: the event tells of a call that
 * was refused because of this writer; it may not take the room that running calls still need.
 * False: no room and the log cannot be written, or detached.
 */
bool rl_writer_append(rl_audit_writer_t* writer, rl_audit_event_t* event, rl_event_texts_t* texts, bool refused);
/* The same, for an event that is ready but for its time, id and pass rate. False: it could not be kept that way; nothing is done. */
bool rl_writer_append_image(
    rl_audit_writer_t* writer, const rl_event_image_t* image, uint64_t time, const uint64_t id[2], uint64_t rate_bits);
bool rl_writer_append_flat(rl_audit_writer_t* writer, const unsigned char* flat, uint32_t slots);

/*
 * Write a record of the host, behind all that was appended before the call; it is in the file when this answers OK, and not when it answers
 * anything else (but for a failed sync: then it may be). With `problem` set on failure.
 */
rl_audit_result_t rl_writer_append_record(rl_audit_writer_t* writer, const rl_ready_record_t* ready, char problem[256]);

/* Write out all that was appended before the call, sync as the policy says. With `problem` set on failure. */
rl_audit_result_t rl_writer_flush(rl_audit_writer_t* writer, char problem[256]);

/* Touch the pages of the ring: a first store into a page of a file costs as much as storing a hundred events. */
void rl_writer_warm(rl_audit_writer_t* writer);

/* True: a crossing may begin; its event will find room. */
bool rl_writer_has_room(const rl_audit_writer_t* writer);

/* --- shared by writer.c, recover.c and verify.c ---------------------------------------------------------------- */

void rl_writer_say(rl_audit_writer_t* writer, const char* format, ...) RL_PRINTF(2, 3);
/* Under the lock. */
rl_audit_result_t rl_writer_write_out(rl_audit_writer_t* writer);
void rl_writer_checkpoint(rl_audit_writer_t* writer, uint64_t position);
/* Open path and journal of a fresh `writer` (settings, paths and io are set), recover. */
rl_audit_result_t rl_writer_open(rl_audit_writer_t* writer, uint64_t journal_bytes);
void rl_writer_close_files(rl_audit_writer_t* writer);
/* Room for `slots` at *out_position; false: the ring is full. */
bool rl_writer_reserve(rl_audit_writer_t* writer, uint32_t slots, uint64_t* out_position);
/* An event of the writer's own, stamped with wall time and a random id. False: no room. */
bool rl_writer_note(rl_audit_writer_t* writer, rl_audit_event_t* event, rl_event_texts_t* texts);
/* Text of an errno value, static where the C library's is. */
const char* rl_errno_text(int error, char buffer[64]);
/* Path of the segment that ends with number `sequence`: PATH.N. Owned by the caller; NULL: no memory. */
char* rl_segment_path(rl_allocator_t* allocator, const char* path, uint64_t sequence, size_t* out_bytes);

#endif
