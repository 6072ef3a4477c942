#include "audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FLUSH_SLOTS        512u /* an append writes out so many at most: a pause below a millisecond */
#define ALL_SLOTS          UINT64_MAX
#define WARM_BYTES         (1u << 20) /* of a larger ring the rest is touched as it is used */
#define WARM_STEP          4096u
#define ROOM_WAIT_NS       10000000000u /* a log that takes lines gives room within that, or something is badly wrong */
#define APPEND_PATIENCE_MS 1000u /* one record more: whoever has the log open will soon be done, or is there to stay */
#define RETRY_PARTS        20u   /* a failing log is tried again by appends each 1/20 of a second */

/*
 * The open logs of this process. Process-wide because a path has one writer, whoever names it: two contexts that wrote
 * the same file by themselves would break its chain. Held while a log is opened or closed, never while host code runs.
 */
static struct {
    pthread_mutex_t lock;
    pthread_once_t watched;
    rl_audit_writer_t* first;
} registry = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_ONCE_INIT, NULL};

/* --- texts --------------------------------------------------------------------------------------------------- */

void rl_writer_say(rl_audit_writer_t* writer, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(writer->problem, sizeof writer->problem, format, arguments);
    va_end(arguments);
}

const char* rl_errno_text(int error, char buffer[64]) {
    switch (error) {
    case ENOENT: return "no such file or directory";
    case EACCES:
    case EPERM: return "permission denied";
    case ENOSPC: return "no space left";
    case EDQUOT: return "quota exceeded";
    case EIO: return "input/output error";
    case EFBIG: return "file too large";
    case EROFS: return "read-only file system";
    case EMFILE:
    case ENFILE: return "too many open files";
    case EISDIR: return "is a directory";
    case ESPIPE: return "not a file that can be read at any place";
    case ENOTDIR: return "not a directory";
    case ELOOP: return "too many symbolic links";
    case ENAMETOOLONG: return "name too long";
    case EEXIST: return "file exists";
    case ENOLCK: return "no locks available";
    default: break;
    }
    snprintf(buffer, 64, "error %d", error);
    return buffer;
}

char* rl_segment_path(rl_allocator_t* allocator, const char* path, uint64_t sequence, size_t* out_bytes) {
    size_t bytes = strlen(path) + 22;
    char* text = rl_alloc(allocator, bytes);
    if (text) snprintf(text, bytes, "%s.%llu", path, (unsigned long long)sequence);
    *out_bytes = bytes;
    return text;
}

static rl_audit_result_t trouble(rl_audit_writer_t* w, const char* what, int error) {
    char text[64];
    if (error != 0) {
        rl_writer_say(w, "audit %s: %s: %s", what, w->path, rl_errno_text(-error, text));
    } else {
        rl_writer_say(w, "audit %s: %s", what, w->path);
    }
    atomic_store_explicit(&w->flush_due, rl_os_ticks() + w->interval_ticks / RETRY_PARTS, memory_order_relaxed);
    atomic_store_explicit(&w->troubled, true, memory_order_release);
    return RL_AUDIT_UNAVAILABLE;
}

/* --- the ring ------------------------------------------------------------------------------------------------ */

static uint64_t pending_slots(const rl_audit_writer_t* w) {
    uint64_t tail = atomic_load_explicit(&((rl_audit_writer_t*)(uintptr_t)w)->tail, memory_order_acquire);
    uint64_t head = atomic_load_explicit(&w->header->head, memory_order_relaxed);
    return head > tail ? head - tail : 0;
}

bool rl_writer_reserve(rl_audit_writer_t* w, uint32_t slots, uint64_t* out_position) {
    uint64_t head = atomic_load_explicit(&w->header->head, memory_order_relaxed);
    do {
        uint64_t tail = atomic_load_explicit(&w->tail, memory_order_acquire);
        if (head + slots - tail > w->capacity) return false;
    } while (!atomic_compare_exchange_weak_explicit(
        &w->header->head, &head, head + slots, memory_order_relaxed, memory_order_relaxed));
    *out_position = head;
    return true;
}

bool rl_writer_has_room(const rl_audit_writer_t* w) {
    return !atomic_load_explicit(&((rl_audit_writer_t*)(uintptr_t)w)->troubled, memory_order_acquire) &&
           pending_slots(w) <= w->capacity / 4 * 3;
}

void rl_writer_warm(rl_audit_writer_t* w) {
    if (atomic_load_explicit(&w->detached, memory_order_relaxed)) return;
    size_t bytes = (size_t)w->capacity * RL_SLOT_BYTES;
    for (size_t at = 0; at < bytes && at < WARM_BYTES; at += WARM_STEP) rl_ring_touch(w->slots + at);
}

bool rl_writer_note(rl_audit_writer_t* w, rl_audit_event_t* event, rl_event_texts_t* texts) {
    uint64_t position;
    event->flags |= RL_EVENT_WALL_TIME;
    event->time = (uint64_t)w->env->wall_ns(w->env->user);
    if (!w->env->random(w->env->user, event->id, sizeof event->id)) memcpy(event->id, &event->time, 8);
    event->id[6] = (unsigned char)((event->id[6] & 0x0F) | 0x40);
    event->id[8] = (unsigned char)((event->id[8] & 0x3F) | 0x80);
    event->slots = (uint16_t)rl_event_slots(texts);
    if (!rl_writer_reserve(w, event->slots, &position)) return false;
    rl_ring_store(w->slots, w->capacity, position, event, texts);
    return true;
}

void rl_writer_checkpoint(rl_audit_writer_t* w, uint64_t position) {
    rl_checkpoint_t checkpoint = {.position = position, .sequence = w->chain.sequence, .log_bytes = w->log_bytes};
    memcpy(checkpoint.head, w->chain.head, RL_SHA256_HEX);
    checkpoint.base_ticks = w->renderer.clock.base_ticks;
    checkpoint.base_wall_ns = w->renderer.clock.base_wall_ns;
    checkpoint.span_ticks = w->renderer.clock.span_ticks;
    checkpoint.span_wall_ns = w->renderer.clock.span_wall_ns;
    rl_journal_set_checkpoint(w->header, &checkpoint);
    atomic_store_explicit(&w->tail, position, memory_order_release);
}

/* --- rotation ------------------------------------------------------------------------------------------------ */

/* The full file becomes PATH.N, N its last number; the next begins empty. Each step is found again if it was the last. */
static rl_audit_result_t rotate(rl_audit_writer_t* w) {
    const rl_io_t* io = w->io;
    if (!w->moved && w->log_bytes > 0) {
        size_t bytes;
        char* segment = rl_segment_path(&w->allocator, w->path, w->chain.sequence, &bytes);
        if (!segment) return RL_AUDIT_NO_MEMORY;
        int taken = io->open(io->user, segment, O_RDONLY | O_CLOEXEC, 0);
        int result = 0;
        if (taken >= 0) {
            io->close(io->user, taken);
            result = -EEXIST;
        } else if (taken != -ENOENT) {
            result = taken;
        } else {
            if (w->fsync != RL_AUDIT_FSYNC_NONE && !w->give_up) result = io->sync(io->user, w->log_fd);
            if (result < 0) {
                w->give_up = true;
                w->doubt_first = w->synced_sequence + 1, w->doubt_last = w->chain.sequence;
            } else {
                result = io->rename(io->user, w->path, segment);
            }
        }
        rl_free(&w->allocator, segment, bytes);
        if (result < 0) return trouble(w, "log cannot be rotated", result);
        w->moved = true;
    }
    int flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | (w->moved ? O_EXCL : 0);
    int fd = io->open(io->user, w->path, flags, RL_LOG_MODE);
    if (fd < 0) return trouble(w, "log cannot be opened", fd);
    io->close(io->user, w->log_fd);
    w->log_fd = fd;
    w->log_bytes = 0;
    w->moved = w->give_up = w->torn = false;
    w->synced_sequence = w->chain.sequence;
    rl_writer_checkpoint(w, atomic_load_explicit(&w->tail, memory_order_relaxed));
    if (w->fsync != RL_AUDIT_FSYNC_NONE) {
        int result = io->sync_directory_of(io->user, w->path);
        if (result < 0) return trouble(w, "log's directory cannot be synced", result);
    }
    return RL_AUDIT_OK;
}

/* --- writing out --------------------------------------------------------------------------------------------- */

/* Wait a little for a thread that has reserved slots and not yet filled them. False: it does not come. */
static bool wait_for_event(const rl_audit_writer_t* w, uint64_t position) {
    uint32_t ignored;
    for (int i = 0; i < 2000; i++) {
        if (rl_ring_peek(w->slots, w->capacity, position, &ignored) != RL_SLOT_EMPTY) return true;
        if (i < 100) {
            sched_yield();
        } else {
            struct timespec pause = {.tv_nsec = 50000};
            nanosleep(&pause, NULL);
        }
    }
    return false;
}

typedef struct batch {
    rl_audit_chain_t chain;
    uint64_t position;
    uint32_t lines;
} batch_t;

/* Render events from `tail` on until the text is large enough or `end` is reached. */
static rl_audit_result_t fill_batch(rl_audit_writer_t* w, uint64_t end, size_t most_bytes, batch_t* batch) {
    rl_buf_clear(&w->batch);
    while (batch->position < end && w->batch.length < most_bytes) {
        uint32_t slots;
        uint64_t damaged = 0, at = batch->position;
        if (w->renderer_recorded) { /* of an ended process: holes are those of threads that ended in the middle */
            if (!rl_ring_next(w->slots, w->capacity, &at, end, w->flat, &slots, &damaged)) {
                batch->position = end;
                break;
            }
        } else {
            rl_slot_state_t state = rl_ring_peek(w->slots, w->capacity, at, &slots);
            if (state == RL_SLOT_EMPTY) {
                if (batch->lines > 0 || !wait_for_event(w, at)) break;
                continue;
            }
            if (state != RL_SLOT_EVENT || !rl_ring_load(w->slots, w->capacity, at, slots, w->flat)) {
                batch->position++; /* memory was overwritten: nothing to be told of it */
                continue;
            }
        }
        rl_event_view_t view;
        rl_audit_chain_t chain = batch->chain;
        size_t length = w->batch.length;
        if (rl_event_parse(w->flat, slots, &view)) {
            if (!rl_render_event(&w->renderer, &view, &chain, &w->batch)) return RL_AUDIT_NO_MEMORY;
            rl_buf_add_char(&w->batch, '\n');
            if (w->batch.failed) return RL_AUDIT_NO_MEMORY;
            if (w->batch.length > most_bytes && batch->lines > 0) { /* belongs to the next batch */
                w->batch.length = length;
                break;
            }
            batch->chain = chain;
            batch->lines++;
        }
        batch->position = at + slots;
    }
    return RL_AUDIT_OK;
}

static rl_audit_result_t cut_back(rl_audit_writer_t* w) {
    int result = w->io->truncate(w->io->user, w->log_fd, (int64_t)w->log_bytes);
    if (result < 0) return trouble(w, "log cannot be cut back after an unfinished write", result);
    w->torn = false;
    return RL_AUDIT_OK;
}

static rl_audit_result_t write_batch(rl_audit_writer_t* w, const batch_t* batch) {
    const rl_io_t* io = w->io;
    if (batch->lines > 0) {
        int64_t size = io->size(io->user, w->log_fd);
        if (size < 0) return trouble(w, "log cannot be read", (int)size);
        if ((uint64_t)size != w->log_bytes) return trouble(w, "log was changed by somebody else", 0);
        int result = rl_io_write_all(io, w->log_fd, w->batch.data, w->batch.length);
        if (result < 0) {
            w->torn = true;
            cut_back(w);
            return trouble(w, "log cannot be written", result);
        }
        w->log_bytes += w->batch.length;
        w->chain = batch->chain;
    }
    rl_writer_checkpoint(w, batch->position);
    return RL_AUDIT_OK;
}

static rl_audit_result_t sync_log(rl_audit_writer_t* w, bool at_close) {
    if (w->fsync == RL_AUDIT_FSYNC_NONE || w->synced_sequence == w->chain.sequence) return RL_AUDIT_OK;
    uint64_t now = rl_os_monotonic_ns();
    if (w->fsync == RL_AUDIT_FSYNC_INTERVAL && !at_close && now - w->synced_ns < w->fsync_interval_ns) {
        return RL_AUDIT_OK;
    }
    int result = w->io->sync(w->io->user, w->log_fd);
    if (result < 0) {
        /* After a failed sync the system may have thrown the pages away and call the file clean: never trust it again. */
        w->give_up = true;
        w->doubt_first = w->synced_sequence + 1;
        w->doubt_last = w->chain.sequence;
        return trouble(w, "log cannot be synced", result);
    }
    w->synced_sequence = w->chain.sequence;
    w->synced_ns = now;
    return RL_AUDIT_OK;
}

static rl_audit_result_t note_doubt(rl_audit_writer_t* w) {
    if (w->doubt_last == 0) return RL_AUDIT_OK;
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_DURABILITY, .number = {w->doubt_first, w->doubt_last}};
    rl_event_texts_t texts = {.count = 0};
    if (rl_writer_note(w, &event, &texts)) w->doubt_last = 0; /* no room: after the next batch */
    return RL_AUDIT_OK;
}

/* The oldest `most_slots`, or a little more: an event is written whole. */
static rl_audit_result_t write_some(rl_audit_writer_t* w, uint64_t most_slots, bool at_close) {
    rl_audit_result_t result = RL_AUDIT_OK;
    if (w->torn) result = cut_back(w);
    if (result == RL_AUDIT_OK && (w->give_up || w->moved)) result = rotate(w);
    if (result == RL_AUDIT_OK) result = note_doubt(w);
    if (result != RL_AUDIT_OK) return result;
    if (!w->renderer_recorded) {
        w->renderer.clock = rl_audit_clock_record();
        w->interval_ticks = rl_audit_ticks_per_second(&w->renderer.clock);
    }

    uint64_t end = atomic_load_explicit(&w->header->head, memory_order_acquire);
    uint64_t begin = atomic_load_explicit(&w->tail, memory_order_relaxed);
    bool all = begin + most_slots >= end || most_slots == ALL_SLOTS;
    if (!all) end = begin + most_slots;
    while (atomic_load_explicit(&w->tail, memory_order_relaxed) < end) {
        uint64_t room = RL_BATCH_BYTES;
        if (w->rotate_bytes > 0) {
            uint64_t left = w->rotate_bytes > w->log_bytes ? w->rotate_bytes - w->log_bytes : 0;
            if (left < room) room = left > 0 ? left : 1;
        }
        batch_t batch = {.chain = w->chain, .position = atomic_load_explicit(&w->tail, memory_order_relaxed)};
        result = fill_batch(w, end, (size_t)room, &batch);
        if (result != RL_AUDIT_OK) {
            trouble(w, "record cannot be rendered: no memory", 0);
            return result;
        }
        if (batch.lines == 0 && batch.position == atomic_load_explicit(&w->tail, memory_order_relaxed)) break;
        if (w->rotate_bytes > 0 && w->log_bytes > 0 && batch.lines > 0 &&
            w->log_bytes + w->batch.length > w->rotate_bytes) {
            result = rotate(w);
            if (result != RL_AUDIT_OK) return result;
            continue; /* the same events, into the new file */
        }
        result = write_batch(w, &batch);
        if (result != RL_AUDIT_OK) return result;
    }
    result = sync_log(w, at_close);
    if (result != RL_AUDIT_OK) return result;
    if (w->doubt_last > 0) note_doubt(w);
    if (all) atomic_store_explicit(&w->flush_due, rl_os_ticks() + w->interval_ticks, memory_order_relaxed);
    atomic_store_explicit(&w->troubled, false, memory_order_release);
    return RL_AUDIT_OK;
}

static rl_audit_result_t write_out(rl_audit_writer_t* w, bool at_close) { return write_some(w, ALL_SLOTS, at_close); }

rl_audit_result_t rl_writer_write_out(rl_audit_writer_t* w) { return write_out(w, false); }

/* --- appending ----------------------------------------------------------------------------------------------- */

static bool may_try(rl_audit_writer_t* w) {
    return !atomic_load_explicit(&w->troubled, memory_order_relaxed) ||
           rl_os_ticks() >= atomic_load_explicit(&w->flush_due, memory_order_relaxed);
}

static bool make_room(rl_audit_writer_t* w, uint64_t most_slots) {
    if (!may_try(w)) return false;
    pthread_mutex_lock(&w->lock);
    bool done = write_some(w, most_slots, false) == RL_AUDIT_OK;
    pthread_mutex_unlock(&w->lock);
    return done;
}

/* Room that was made may be taken by other threads, or held up by one that the system does not let run. */
static bool wait_for_room(rl_audit_writer_t* w, uint32_t slots, uint64_t* out_position) {
    uint64_t start = rl_os_monotonic_ns();
    do {
        if (!make_room(w, FLUSH_SLOTS)) return false;
        if (rl_writer_reserve(w, slots, out_position)) return true;
    } while (rl_os_monotonic_ns() - start < ROOM_WAIT_NS);
    return false;
}

static RL_NOINLINE void catch_up(rl_audit_writer_t* w) {
    if (w->fsync == RL_AUDIT_FSYNC_EVERY) {
        make_room(w, ALL_SLOTS);
    } else if (may_try(w) && pthread_mutex_trylock(&w->lock) == 0) {
        write_some(w, FLUSH_SLOTS, false);
        pthread_mutex_unlock(&w->lock);
    }
}

/*
 * After an append: a large or old backlog, or a policy of syncing each record, is written out by whoever is here. Half of the ring takes
 * a burst at the price of storing it; behind that, appends write out as many as they add, a part at a time.
 */
static inline void keep_up(rl_audit_writer_t* w, uint64_t ticks) {
    if (RL_UNLIKELY(pending_slots(w) >= w->burst ||
                    (ticks != 0 && ticks >= atomic_load_explicit(&w->flush_due, memory_order_relaxed)))) {
        catch_up(w);
    }
}

bool rl_writer_append(rl_audit_writer_t* w, rl_audit_event_t* event, rl_event_texts_t* texts, bool refused) {
    if (RL_UNLIKELY(atomic_load_explicit(&w->detached, memory_order_relaxed))) return false;
    uint64_t position;
    uint32_t slots = rl_event_slots(texts);
    if (RL_UNLIKELY(refused)) {
        rl_event_texts_shorten(texts);
        slots = rl_event_slots(texts);
        if (pending_slots(w) + slots > w->capacity / 4 * 3) return false;
    }
    if (RL_UNLIKELY(!rl_writer_reserve(w, slots, &position)) && !wait_for_room(w, slots, &position)) {
        rl_event_texts_shorten(texts);
        slots = rl_event_slots(texts);
        if (!rl_writer_reserve(w, slots, &position)) return false;
    }
    event->slots = (uint16_t)slots;
    rl_ring_store(w->slots, w->capacity, position, event, texts);
    keep_up(w, event->flags & RL_EVENT_WALL_TIME ? 0 : event->time);
    return true;
}

bool rl_writer_append_image(
    rl_audit_writer_t* w, const rl_event_image_t* image, uint64_t time, const uint64_t id[2], uint64_t rate_bits) {
    uint64_t position;
    if (RL_UNLIKELY(atomic_load_explicit(&w->detached, memory_order_relaxed))) return false;
    if (RL_UNLIKELY(!rl_writer_reserve(w, 1, &position))) return false;
    rl_ring_store_image(w->slots, w->capacity, position, image, time, id, rate_bits);
    keep_up(w, time);
    return true;
}

bool rl_writer_append_flat(rl_audit_writer_t* w, const unsigned char* flat, uint32_t slots) {
    if (atomic_load_explicit(&w->detached, memory_order_relaxed)) return false;
    uint64_t position;
    if (!rl_writer_reserve(w, slots, &position) && !wait_for_room(w, slots, &position)) return false;
    rl_ring_store_flat(w->slots, w->capacity, position, flat, slots);
    keep_up(w, 0);
    return true;
}

static rl_audit_result_t write_record(rl_audit_writer_t* w, const rl_ready_record_t* ready, rl_buf_t* line) {
    const rl_io_t* io = w->io;
    rl_audit_result_t result = write_out(w, false);
    if (result != RL_AUDIT_OK) return result;
    rl_audit_chain_t chain = w->chain;
    if (!rl_record_chained(ready, &chain, line)) {
        rl_writer_say(w, "audit record cannot be written: no memory");
        return RL_AUDIT_NO_MEMORY;
    }
    rl_buf_add_char(line, '\n'); /* room was made for it */
    if (w->rotate_bytes > 0 && w->log_bytes > 0 && w->log_bytes + line->length > w->rotate_bytes) {
        result = rotate(w);
        if (result != RL_AUDIT_OK) return result;
    }
    int64_t size = io->size(io->user, w->log_fd);
    if (size < 0) return trouble(w, "log cannot be read", (int)size);
    if ((uint64_t)size != w->log_bytes) return trouble(w, "log was changed by somebody else", 0);
    /* Should the process end behind the write, the next opener must not take this line for one of an event in the ring. */
    atomic_store_explicit(&w->header->direct, chain.sequence, memory_order_release);
    int written = rl_io_write_all(io, w->log_fd, line->data, line->length);
    if (written < 0) {
        w->torn = true;
        cut_back(w);
        atomic_store_explicit(&w->header->direct, 0, memory_order_release);
        return trouble(w, "log cannot be written", written);
    }
    w->log_bytes += line->length;
    w->chain = chain;
    rl_writer_checkpoint(w, atomic_load_explicit(&w->tail, memory_order_relaxed));
    return sync_log(w, false);
}

rl_audit_result_t rl_writer_append_record(rl_audit_writer_t* w, const rl_ready_record_t* ready, char problem[256]) {
    if (atomic_load_explicit(&w->detached, memory_order_relaxed)) return RL_AUDIT_FORKED;
    pthread_mutex_lock(&w->lock);
    rl_buf_t line;
    rl_buf_init(&line, &w->allocator);
    rl_audit_result_t result = write_record(w, ready, &line);
    rl_buf_deinit(&line);
    if (result != RL_AUDIT_OK) memcpy(problem, w->problem, sizeof w->problem);
    pthread_mutex_unlock(&w->lock);
    return result;
}

rl_audit_result_t rl_writer_flush(rl_audit_writer_t* w, char problem[256]) {
    if (atomic_load_explicit(&w->detached, memory_order_relaxed)) return RL_AUDIT_FORKED;
    pthread_mutex_lock(&w->lock);
    rl_audit_result_t result = write_out(w, false);
    if (result != RL_AUDIT_OK) memcpy(problem, w->problem, sizeof w->problem);
    pthread_mutex_unlock(&w->lock);
    return result;
}

/* --- one writer per path ------------------------------------------------------------------------------------- */

/* PATH with its directory resolved, so that a later chdir() does not matter. Owned by the writer. */
static char* absolute_path(rl_allocator_t* allocator, const char* path, const char* suffix) {
    char directory[PATH_MAX], resolved[PATH_MAX];
    const char* slash = strrchr(path, '/');
    const char* base = slash ? slash + 1 : path;
    size_t length = slash ? (size_t)(slash - path) : 0;
    const char* lead = NULL;
    if (length < sizeof directory) {
        if (!slash) {
            memcpy(directory, ".", 2);
        } else if (length == 0) {
            memcpy(directory, "/", 2);
        } else {
            memcpy(directory, path, length);
            directory[length] = '\0';
        }
        lead = realpath(directory, resolved);
    }
    size_t lead_length = lead ? strlen(lead) : 0;
    if (lead_length == 1) lead_length = 0; /* "/" */
    if (!lead) base = path;                /* opening it will tell what is wrong with it */
    size_t bytes = (lead ? lead_length + 1 : 0) + strlen(base) + strlen(suffix) + 1;
    char* text = rl_alloc(allocator, bytes);
    if (!text) return NULL;
    char* at = text;
    if (lead) {
        memcpy(at, lead, lead_length);
        at += lead_length;
        *at++ = '/';
    }
    memcpy(at, base, strlen(base));
    at += strlen(base);
    memcpy(at, suffix, strlen(suffix) + 1);
    return text;
}

static void free_text(rl_allocator_t* allocator, char* text) {
    if (text) rl_free(allocator, text, strlen(text) + 1);
}

void rl_writer_close_files(rl_audit_writer_t* w) {
    if (w->header) w->io->unmap(w->io->user, w->header, w->mapped_bytes);
    if (w->log_fd >= 0) w->io->close(w->io->user, w->log_fd);
    if (w->journal_fd >= 0) w->io->close(w->io->user, w->journal_fd);
    w->header = NULL;
    w->log_fd = w->journal_fd = -1;
}

static void before_fork(void) { pthread_mutex_lock(&registry.lock); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&registry.lock); }
/* The child gives up its parent's files: a descriptor or mapping that it kept would hold the lock when the parent ends. */
static void after_fork_in_child(void) {
    for (rl_audit_writer_t* w = registry.first; w; w = w->next) {
        if (!atomic_exchange(&w->detached, true)) rl_writer_close_files(w);
    }
    pthread_mutex_unlock(&registry.lock);
}
static void watch_forks(void) { (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

static void destroy(rl_audit_writer_t* w) {
    rl_writer_close_files(w);
    rl_buf_deinit(&w->batch);
    rl_free(&w->allocator, w->flat, RL_EVENT_SLOTS_MOST * RL_SLOT_PAYLOAD);
    free_text(&w->allocator, w->path);
    free_text(&w->allocator, w->journal_path);
    if (!atomic_load(&w->detached)) pthread_mutex_destroy(&w->lock); /* a child may have inherited it locked */
    rl_allocator_t last = w->allocator;
    rl_free(&last, w, sizeof *w);
}

static rl_audit_writer_t* find_open(const rl_io_t* io, const char* path) {
    for (rl_audit_writer_t* w = registry.first; w; w = w->next) {
        if (w->io == io && !atomic_load(&w->detached) && strcmp(w->path, path) == 0) return w;
    }
    return NULL;
}

static rl_audit_result_t open_new(const rl_env_t* env, const rl_audit_file_settings_t* settings, char* path,
    rl_audit_writer_t** out_writer, char problem[256]) {
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_audit_writer_t* w = rl_alloc_zero(&allocator, sizeof *w);
    if (!w) return RL_AUDIT_NO_MEMORY;
    w->allocator = allocator;
    w->references = 1;
    w->env = env;
    w->io = env->io;
    w->log_fd = w->journal_fd = -1;
    w->fsync = settings->fsync;
    w->fsync_interval_ns = (uint64_t)(settings->fsync_interval_ms ? settings->fsync_interval_ms : 1000) * 1000000;
    w->rotate_bytes = settings->rotate_bytes;
    w->patience_ms = settings->patience_ms ? settings->patience_ms : 100;
    rl_buf_init(&w->batch, &w->allocator);
    if (pthread_mutex_init(&w->lock, NULL) != 0) {
        rl_free(&allocator, w, sizeof *w);
        return RL_AUDIT_NO_MEMORY;
    }
    rl_audit_result_t result = RL_AUDIT_NO_MEMORY;
    w->flat = rl_alloc(&w->allocator, RL_EVENT_SLOTS_MOST * RL_SLOT_PAYLOAD);
    w->path = absolute_path(&w->allocator, path, "");
    w->journal_path = absolute_path(&w->allocator, path, ".journal");
    if (w->flat && w->path && w->journal_path && rl_buf_reserve(&w->batch, 2 * RL_BATCH_BYTES)) {
        result = rl_writer_open(w, settings->journal_bytes);
    }
    if (result != RL_AUDIT_OK) {
        if (result == RL_AUDIT_UNAVAILABLE) memcpy(problem, w->problem, sizeof w->problem);
        destroy(w);
        return result;
    }
    *out_writer = w;
    return RL_AUDIT_OK;
}

rl_audit_result_t rl_writer_acquire(
    const rl_env_t* env, const rl_audit_file_settings_t* settings, rl_audit_writer_t** out_writer, char problem[256]) {
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, NULL, NULL);
    *out_writer = NULL;
    char* path = absolute_path(&allocator, settings->path, "");
    if (!path) return RL_AUDIT_NO_MEMORY;
    pthread_once(&registry.watched, watch_forks);
    (void)rl_os_ticks(); /* finds its clock before anything is timed */

    pthread_mutex_lock(&registry.lock);
    rl_audit_result_t result = RL_AUDIT_OK;
    rl_audit_writer_t* w = find_open(env->io, path);
    if (w) {
        w->references++;
    } else {
        result = open_new(env, settings, path, &w, problem);
        if (result == RL_AUDIT_OK) {
            w->next = registry.first;
            registry.first = w;
        }
    }
    pthread_mutex_unlock(&registry.lock);
    if (result == RL_AUDIT_OK) *out_writer = w;
    free_text(&allocator, path);
    return result;
}

/* Everything is in the log: the slots are no longer needed, the header stays as a memory of where the log ended. */
static void leave_bare_header(rl_audit_writer_t* w) {
    rl_audit_result_t result = write_out(w, true);
    if (result != RL_AUDIT_OK || pending_slots(w) > 0) return; /* the next opener finds the rest */
    w->io->unmap(w->io->user, w->header, w->mapped_bytes);
    w->header = NULL;
    (void)w->io->truncate(w->io->user, w->journal_fd, RL_JOURNAL_HEADER_BYTES);
}

void rl_writer_release(rl_audit_writer_t* w) {
    bool detached = atomic_load(&w->detached);
    if (!detached) { /* what this context left is written now, also when others go on */
        pthread_mutex_lock(&w->lock);
        write_out(w, false);
        pthread_mutex_unlock(&w->lock);
    }
    /* The registry stays locked while files close: whoever opens this path next must find its lock free. */
    pthread_mutex_lock(&registry.lock);
    if (--w->references == 0) {
        for (rl_audit_writer_t** link = &registry.first; *link; link = &(*link)->next) {
            if (*link == w) {
                *link = w->next;
                break;
            }
        }
        if (!detached) leave_bare_header(w);
        destroy(w);
    }
    pthread_mutex_unlock(&registry.lock);
}

rl_audit_result_t rl_audit_recover_file(const rl_env_t* env, const char* path, char problem[256]) {
    rl_audit_file_settings_t settings = {.path = path};
    rl_audit_writer_t* w;
    rl_audit_result_t result = rl_writer_acquire(env, &settings, &w, problem);
    if (result == RL_AUDIT_OK) rl_writer_release(w);
    return result;
}

rl_audit_result_t rl_audit_append_file(
    const rl_env_t* env, const char* path, const rl_host_record_t* record, char audit_id[37], char problem[256]) {
    rl_allocator_t allocator;
    rl_ready_record_t ready;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_audit_result_t result = rl_record_prepare(&allocator, env, record, (rl_str_t){0}, &ready, problem);
    if (result != RL_AUDIT_OK) return result;
    rl_audit_file_settings_t settings = {
        .path = path, .patience_ms = APPEND_PATIENCE_MS, .journal_bytes = RL_AUDIT_JOURNAL_LEAST};
    rl_audit_writer_t* w;
    result = rl_writer_acquire(env, &settings, &w, problem);
    if (result == RL_AUDIT_OK) {
        result = rl_writer_append_record(w, &ready, problem);
        rl_writer_release(w);
    }
    if (result == RL_AUDIT_OK) memcpy(audit_id, ready.audit_id, sizeof ready.audit_id);
    rl_record_deinit(&ready);
    return result;
}
