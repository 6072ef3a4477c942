/*
 * Opening a log: take its lock, find its end, and bring over what an ended process left in the journal. Each step may be
 * cut short by a kill and is then found and done again by the next opener, with the same result.
 */
#include "audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

typedef struct opening {
    rl_audit_writer_t* writer;
    rl_journal_header_t before; /* as found; magic 0: new journal */
    uint64_t journal_bytes;     /* as found */
    uint64_t log_bytes;         /* as found */
    uint64_t whole_bytes;       /* with its last whole line */
    uint64_t extra_lines;       /* in the log behind the checkpoint, each from an event of the ring */
    uint64_t missing;           /* records the checkpoint knows and the log has lost */
    char torn_sha[RL_SHA256_HEX];
} opening_t;

static rl_audit_result_t fail_io(rl_audit_writer_t* writer, const char* what, int error) {
    char text[64];
    if (error == -ENOMEM) return RL_AUDIT_NO_MEMORY;
    rl_writer_say(writer, "audit %s: %s: %s", what, writer->path, rl_errno_text(-error, text));
    return RL_AUDIT_UNAVAILABLE;
}

static rl_audit_result_t fail_log(rl_audit_writer_t* writer, const char* what) {
    rl_writer_say(writer, "audit log %s: %s", what, writer->path);
    return RL_AUDIT_UNAVAILABLE;
}

/* --- taking hold --------------------------------------------------------------------------------------------- */

/*
 * A process that was just forked off the last holder shares its lock until it has let go of the descriptors (writer.c),
 * or until its exec() closed them; that takes no time to speak of.
 */
static int lock_patiently(rl_audit_writer_t* w) {
    for (uint32_t waited = 0;; waited += 5) {
        int result = w->io->lock(w->io->user, w->journal_fd);
        if (result != -EAGAIN || waited >= w->patience_ms) return result;
        struct timespec pause = {.tv_nsec = 5000000};
        nanosleep(&pause, NULL);
    }
}

static rl_audit_result_t open_journal(opening_t* opening) {
    rl_audit_writer_t* w = opening->writer;
    const rl_io_t* io = w->io;
    w->journal_fd = io->open(io->user, w->journal_path, O_RDWR | O_CREAT | O_CLOEXEC, RL_LOG_MODE);
    if (w->journal_fd < 0) return fail_io(w, "journal cannot be opened", w->journal_fd);
    int result = lock_patiently(w);
    if (result == -EAGAIN) return fail_log(w, "is in use by another process");
    if (result < 0) return fail_io(w, "journal cannot be locked", result);

    int64_t size = io->size(io->user, w->journal_fd);
    if (size < 0) return fail_io(w, "journal cannot be read", (int)size);
    opening->journal_bytes = (uint64_t)size;
    if ((uint64_t)size < sizeof opening->before) return RL_AUDIT_OK; /* new, or cut short while being made */
    char* at = (char*)&opening->before;
    for (size_t done = 0; done < sizeof opening->before;) {
        int64_t got = io->read(io->user, w->journal_fd, at + done, sizeof opening->before - done, (int64_t)done);
        if (got == -EINTR) continue;
        if (got <= 0) {
            opening->before.magic = 0;
            return fail_io(w, "journal cannot be read", got < 0 ? (int)got : -EIO);
        }
        done += (size_t)got;
    }
    if (opening->before.magic == 0) return RL_AUDIT_OK;
    const char* problem = rl_journal_check(&opening->before);
    if (problem) {
        rl_writer_say(w, "%s %s", w->journal_path, problem);
        return RL_AUDIT_UNAVAILABLE;
    }
    return RL_AUDIT_OK;
}

static rl_audit_result_t open_log(opening_t* opening) {
    rl_audit_writer_t* w = opening->writer;
    const rl_io_t* io = w->io;
    w->log_fd = io->open(io->user, w->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, RL_LOG_MODE);
    if (w->log_fd < 0) return fail_io(w, "log cannot be opened", w->log_fd);
    int64_t size = io->size(io->user, w->log_fd);
    if (size < 0) return fail_io(w, "log cannot be read", (int)size);
    opening->log_bytes = (uint64_t)size;
    if (size == 0 && w->fsync != RL_AUDIT_FSYNC_NONE) {
        int result = io->sync_directory_of(io->user, w->path);
        if (result < 0) return fail_io(w, "log's directory cannot be synced", result);
    }
    return RL_AUDIT_OK;
}

/* --- the end of the log -------------------------------------------------------------------------------------- */

static rl_audit_result_t reader_failure(rl_audit_writer_t* w, rl_log_item_t item, int error) {
    if (item == RL_LOG_NO_MEMORY) return RL_AUDIT_NO_MEMORY;
    if (item == RL_LOG_IO_ERROR) return fail_io(w, "log cannot be read", error);
    return fail_log(w, "has a line that is too long for one");
}

/* Read the one whole line that ends at `end`; false in *out_found when there is none. */
static rl_audit_result_t read_last_line(
    opening_t* opening, uint64_t end, rl_line_facts_t* out_facts, const char** out_problem, uint64_t* out_end) {
    rl_audit_writer_t* w = opening->writer;
    uint64_t start;
    int error = rl_log_find_last_line(w->io, w->log_fd, end, &start, out_end);
    if (error < 0) return fail_io(w, "log cannot be read", error);
    *out_problem = NULL;
    if (*out_end == 0) return RL_AUDIT_OK;
    rl_log_reader_t reader;
    rl_str_t line;
    rl_log_reader_init(&reader, &w->allocator, w->io, w->log_fd, start);
    rl_log_item_t item = rl_log_reader_next(&reader, &line);
    rl_audit_result_t result = RL_AUDIT_OK;
    if (item == RL_LOG_LINE) {
        *out_problem = rl_line_read(line.data, line.length, out_facts);
        if (!*out_problem && !rl_line_hash_matches(line.data, line.length, out_facts)) *out_problem = "wrong hash";
    } else {
        result = reader_failure(w, item, reader.error);
    }
    rl_log_reader_deinit(&reader);
    return result;
}

/* Nothing is known but the log: its last whole line is where it ends. */
static rl_audit_result_t find_end_alone(opening_t* opening) {
    rl_audit_writer_t* w = opening->writer;
    rl_line_facts_t facts;
    const char* problem;
    rl_audit_result_t result = read_last_line(opening, opening->log_bytes, &facts, &problem, &opening->whole_bytes);
    if (result != RL_AUDIT_OK) return result;
    if (problem) return fail_log(w, "does not end in a whole record");
    if (opening->whole_bytes > 0) {
        w->chain.sequence = facts.sequence;
        memcpy(w->chain.head, facts.hash, RL_SHA256_HEX);
        return RL_AUDIT_OK;
    }
    if (opening->log_bytes > 0) { /* a first record cut short, or a file that is none of ours */
        static const char lead[] = "{\"timestamp\":\"";
        char found[sizeof lead - 1];
        size_t wanted = opening->log_bytes < sizeof found ? (size_t)opening->log_bytes : sizeof found;
        int64_t got = w->io->read(w->io->user, w->log_fd, found, wanted, 0);
        if (got < 0) return fail_io(w, "log cannot be read", (int)got);
        if ((size_t)got != wanted || memcmp(found, lead, wanted) != 0) return fail_log(w, "is not an audit log");
    }
    return RL_AUDIT_OK;
}

/* The checkpoint's last line is in the log; what follows it must continue its chain. */
static rl_audit_result_t read_lines_behind(opening_t* opening, const rl_checkpoint_t* known) {
    rl_audit_writer_t* w = opening->writer;
    if (known->log_bytes > 0) {
        rl_line_facts_t facts;
        const char* problem;
        uint64_t end;
        rl_audit_result_t result = read_last_line(opening, known->log_bytes, &facts, &problem, &end);
        if (result != RL_AUDIT_OK) return result;
        if (problem || end != known->log_bytes || facts.sequence != known->sequence ||
            memcmp(facts.hash, known->head, RL_SHA256_HEX) != 0) {
            return fail_log(w, "is not the one its journal remembers");
        }
    }
    rl_log_reader_t reader;
    rl_str_t line;
    rl_log_item_t item;
    rl_audit_result_t result = RL_AUDIT_OK;
    uint64_t direct = atomic_load(&opening->before.direct);
    opening->whole_bytes = known->log_bytes;
    rl_log_reader_init(&reader, &w->allocator, w->io, w->log_fd, known->log_bytes);
    while ((item = rl_log_reader_next(&reader, &line)) == RL_LOG_LINE) {
        rl_line_facts_t facts;
        if (rl_line_read(line.data, line.length, &facts) || facts.sequence != w->chain.sequence + 1 ||
            memcmp(facts.previous, w->chain.head, RL_SHA256_HEX) != 0 ||
            !rl_line_hash_matches(line.data, line.length, &facts)) {
            result = fail_log(w, "is broken behind its last known record");
            break;
        }
        w->chain.sequence++;
        memcpy(w->chain.head, facts.hash, RL_SHA256_HEX);
        opening->whole_bytes = reader.offset;
        if (facts.sequence != direct) opening->extra_lines++;
    }
    if (item != RL_LOG_LINE && item != RL_LOG_END && item != RL_LOG_TORN) {
        result = reader_failure(w, item, reader.error);
    }
    rl_log_reader_deinit(&reader);
    return result;
}

static bool has_segment(rl_audit_writer_t* w, uint64_t sequence) {
    size_t bytes;
    char* segment = rl_segment_path(&w->allocator, w->path, sequence, &bytes);
    if (!segment) return false;
    int fd = w->io->open(w->io->user, segment, O_RDONLY | O_CLOEXEC, 0);
    rl_free(&w->allocator, segment, bytes);
    if (fd >= 0) w->io->close(w->io->user, fd);
    return fd >= 0;
}

static rl_audit_result_t find_end(opening_t* opening) {
    rl_audit_writer_t* w = opening->writer;
    memset(w->chain.head, '0', RL_SHA256_HEX);
    w->chain.sequence = 0;
    if (opening->before.magic == 0) return find_end_alone(opening);

    rl_checkpoint_t known = rl_journal_checkpoint(&opening->before);
    if (opening->log_bytes >= known.log_bytes) {
        w->chain.sequence = known.sequence;
        memcpy(w->chain.head, known.head, RL_SHA256_HEX);
        return read_lines_behind(opening, &known);
    }
    if (opening->log_bytes == 0 && has_segment(w, known.sequence)) { /* rotated, and killed before that was noted */
        w->chain.sequence = known.sequence;
        memcpy(w->chain.head, known.head, RL_SHA256_HEX);
        return RL_AUDIT_OK;
    }
    /* Shorter than it was, or gone: a power cut took unsynced lines, or somebody did. Go on from what is there; say so. */
    rl_audit_result_t result = find_end_alone(opening);
    if (result == RL_AUDIT_OK && known.sequence > w->chain.sequence) {
        opening->missing = known.sequence - w->chain.sequence;
    }
    return result;
}

static rl_audit_result_t hash_torn_tail(opening_t* opening) {
    rl_audit_writer_t* w = opening->writer;
    char block[4096];
    rl_sha256_t sha;
    unsigned char digest[RL_SHA256_BYTES];
    rl_sha256_init(&sha);
    for (uint64_t at = opening->whole_bytes; at < opening->log_bytes;) {
        uint64_t left = opening->log_bytes - at;
        int64_t got =
            w->io->read(w->io->user, w->log_fd, block, left < sizeof block ? (size_t)left : sizeof block, (int64_t)at);
        if (got == -EINTR) continue;
        if (got <= 0) return fail_io(w, "log cannot be read", got < 0 ? (int)got : -EIO);
        rl_sha256_update(&sha, block, (size_t)got);
        at += (uint64_t)got;
    }
    rl_sha256_final(&sha, digest);
    rl_sha256_hex(digest, opening->torn_sha);
    return RL_AUDIT_OK;
}

/* --- the journal --------------------------------------------------------------------------------------------- */

static uint32_t slot_count_for(uint64_t journal_bytes) {
    uint64_t wanted = journal_bytes == 0 ? 1u << 20 : journal_bytes;
    if (wanted < RL_AUDIT_JOURNAL_LEAST) wanted = RL_AUDIT_JOURNAL_LEAST;
    uint32_t count = RL_AUDIT_JOURNAL_LEAST / RL_SLOT_BYTES;
    while (count < (1u << 24) && (uint64_t)count * RL_SLOT_BYTES < wanted) count *= 2;
    return count;
}

static rl_audit_result_t map_journal(opening_t* opening, uint32_t count) {
    rl_audit_writer_t* w = opening->writer;
    const rl_io_t* io = w->io;
    size_t bytes = rl_journal_bytes(count);
    if (opening->journal_bytes < bytes) {
        /* Blocks are taken now, so that storing an event later cannot meet a full disk. */
        int result = io->allocate(io->user, w->journal_fd, (int64_t)bytes);
        if (result < 0) return fail_io(w, "journal has no space", result);
    }
    void* address = io->map(io->user, w->journal_fd, bytes);
    if (!address) return fail_log(w, "has a journal that cannot be mapped");
    w->header = address;
    w->slots = (unsigned char*)address + RL_JOURNAL_HEADER_BYTES;
    w->mapped_bytes = bytes;
    w->capacity = count;
    w->burst = w->fsync == RL_AUDIT_FSYNC_EVERY ? 1 : count / 2;
    return RL_AUDIT_OK;
}

static void copy_name(char* out, size_t size, const char* name) {
    size_t length = name ? strlen(name) : 0;
    if (length >= size) length = size - 1;
    memset(out, 0, size);
    if (length > 0) memcpy(out, name, length);
}

/* From here on events are of this process: its target, its clock. Only while no event is pending. */
static void describe_process(rl_audit_writer_t* w) {
    rl_journal_header_t* header = w->header;
    const rl_target_t* target = rl_os_target();
    copy_name(header->target.os, sizeof header->target.os, target->os);
    copy_name(header->target.arch, sizeof header->target.arch, target->arch);
    copy_name(header->target.triple, sizeof header->target.triple, target->triple);
    copy_name(header->target.platform, sizeof header->target.platform, target->platform);
    copy_name(header->target.abi, sizeof header->target.abi, target->abi);
    rl_renderer_init(&w->renderer, target);
    w->renderer.clock = rl_audit_clock_record();
    w->renderer_recorded = false;
    w->interval_ticks = rl_audit_ticks_per_second(&w->renderer.clock);
}

static const char* name_or_null(const char* name) { return name[0] ? name : NULL; }

/* The ended process, whose events are rendered first. */
static void adopt_description(rl_audit_writer_t* w) {
    rl_journal_header_t* header = w->header;
    header->target.os[sizeof header->target.os - 1] = '\0';
    header->target.arch[sizeof header->target.arch - 1] = '\0';
    header->target.triple[sizeof header->target.triple - 1] = '\0';
    header->target.platform[sizeof header->target.platform - 1] = '\0';
    header->target.abi[sizeof header->target.abi - 1] = '\0';
    w->target = (rl_target_t){name_or_null(header->target.os), name_or_null(header->target.arch),
        name_or_null(header->target.triple), name_or_null(header->target.platform), name_or_null(header->target.abi)};
    rl_checkpoint_t known = rl_journal_checkpoint(header);
    rl_renderer_init(&w->renderer, &w->target);
    w->renderer.clock =
        (rl_audit_clock_t){true, known.base_ticks, known.base_wall_ns, known.span_ticks, known.span_wall_ns};
    w->renderer_recorded = true;
}

static void begin_journal(rl_audit_writer_t* w, uint64_t position) {
    rl_journal_header_t* header = w->header;
    header->version = RL_JOURNAL_VERSION;
    header->slot_bytes = RL_SLOT_BYTES;
    header->slot_count = w->capacity;
    atomic_store(&header->head, position);
    describe_process(w);
    rl_writer_checkpoint(w, position);
    atomic_store(&header->direct, 0);
    atomic_store_explicit(&header->magic, RL_JOURNAL_MAGIC, memory_order_release);
}

/* Position of the first event that is not in the log. */
static uint64_t skip_written(rl_audit_writer_t* w, uint64_t position, uint64_t end, uint64_t written) {
    uint32_t slots;
    uint64_t damaged = 0;
    while (written > 0 && rl_ring_next(w->slots, w->capacity, &position, end, w->flat, &slots, &damaged)) {
        position += slots;
        written--;
    }
    return written > 0 ? end : position;
}

/* Is the last event left behind the notice of this very recovery, cut short? */
static bool is_noted(const opening_t* opening, const rl_ring_census_t* census, uint64_t torn) {
    const rl_audit_writer_t* w = opening->writer;
    rl_event_view_t view;
    uint32_t slots;
    if (census->events == 0 || rl_ring_peek(w->slots, w->capacity, census->last, &slots) != RL_SLOT_EVENT ||
        !rl_ring_load(w->slots, w->capacity, census->last, slots, w->flat) || !rl_event_parse(w->flat, slots, &view) ||
        view.event.kind != RL_AUDIT_KIND_RECOVERED) {
        return false;
    }
    return torn == 0 || (view.event.number[0] == torn && view.event.number[1] == opening->whole_bytes &&
                            rl_str_equal(view.text[RL_FIELD_DETAIL], (rl_str_t){opening->torn_sha, RL_SHA256_HEX}));
}

static bool note_recovery(const opening_t* opening, const rl_ring_census_t* census, uint64_t torn) {
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_RECOVERED};
    rl_event_texts_t texts = {.count = 0};
    event.number[0] = torn;
    event.number[1] = torn > 0 ? opening->whole_bytes : 0;
    event.number[2] = opening->missing;
    event.number[3] = census->damaged;
    event.number[4] = census->events;
    if (torn > 0) rl_event_texts_add(&texts, RL_FIELD_DETAIL, (rl_str_t){opening->torn_sha, RL_SHA256_HEX});
    return rl_writer_note(opening->writer, &event, &texts);
}

static rl_audit_result_t cut_torn_tail(opening_t* opening) {
    rl_audit_writer_t* w = opening->writer;
    if (opening->log_bytes == opening->whole_bytes) return RL_AUDIT_OK;
    int result = w->io->truncate(w->io->user, w->log_fd, (int64_t)opening->whole_bytes);
    if (result < 0) return fail_io(w, "log's torn last line cannot be cut", result);
    return RL_AUDIT_OK;
}

static rl_audit_result_t recover(opening_t* opening) {
    rl_audit_writer_t* w = opening->writer;
    rl_checkpoint_t known = rl_journal_checkpoint(w->header);
    adopt_description(w);
    rl_ring_census_t census = rl_ring_take_census(w->slots, w->capacity, known.position, w->flat);
    uint64_t head = atomic_load(&w->header->head);
    if (head < census.end || head > known.position + w->capacity) head = census.end;
    atomic_store(&w->header->head, head);
    uint64_t position = skip_written(w, known.position, census.end, opening->extra_lines);
    census = rl_ring_take_census(w->slots, w->capacity, position, w->flat);
    atomic_store(&w->tail, position);

    uint64_t torn = opening->log_bytes - opening->whole_bytes;
    bool to_note = census.events > 0 || torn > 0 || opening->missing > 0 || census.damaged > 0;
    if (to_note && is_noted(opening, &census, torn)) to_note = false;
    bool noted = to_note && note_recovery(opening, &census, torn);

    rl_audit_result_t result = cut_torn_tail(opening);
    if (result != RL_AUDIT_OK) return result;
    w->log_bytes = opening->whole_bytes;
    rl_writer_checkpoint(w, position);
    atomic_store(&w->header->direct, 0); /* only now: the lines it tells of are behind the checkpoint no more */
    result = rl_writer_write_out(w);
    if (result == RL_AUDIT_OK && to_note && !noted) { /* the ring was full to the last slot */
        note_recovery(opening, &census, torn);
        result = rl_writer_write_out(w);
    }
    return result;
}

/* A pipe or a device keeps no log: that is said before anything is made beside it. Opening says what a directory is. */
static rl_audit_result_t refuse_other_files(rl_audit_writer_t* w) {
    rl_file_status_t status;
    if (rl_os_status(w->path, true, &status) != 0) return RL_AUDIT_OK;
    if (status.sort == RL_FILE_REGULAR || status.sort == RL_FILE_DIRECTORY) return RL_AUDIT_OK;
    return fail_log(w, "is a pipe or a device, no file");
}

rl_audit_result_t rl_writer_open(rl_audit_writer_t* w, uint64_t journal_bytes) {
    opening_t opening = {.writer = w};
    rl_audit_result_t result = refuse_other_files(w);
    if (result == RL_AUDIT_OK) result = open_journal(&opening);
    if (result == RL_AUDIT_OK) result = open_log(&opening);
    if (result == RL_AUDIT_OK) result = find_end(&opening);
    if (result == RL_AUDIT_OK && opening.log_bytes > opening.whole_bytes) result = hash_torn_tail(&opening);
    if (result != RL_AUDIT_OK) return result;

    bool fresh = opening.before.magic == 0;
    rl_checkpoint_t known = rl_journal_checkpoint(&opening.before);
    uint64_t head = atomic_load(&opening.before.head);
    bool whole = !fresh && opening.journal_bytes >= rl_journal_bytes(opening.before.slot_count);
    if (!fresh && !whole && head != known.position) {
        rl_writer_say(w, "audit journal was cut short: %s", w->journal_path);
        return RL_AUDIT_UNAVAILABLE;
    }
    result = map_journal(&opening, whole ? opening.before.slot_count : slot_count_for(journal_bytes));
    if (result != RL_AUDIT_OK) return result;

    w->synced_sequence = w->chain.sequence;
    w->synced_ns = rl_os_monotonic_ns();
    if (whole) {
        result = recover(&opening);
        if (result != RL_AUDIT_OK) return result;
    } else {
        rl_ring_census_t none = {0};
        uint64_t torn = opening.log_bytes - opening.whole_bytes;
        /* Numbering of positions goes on, so that no stamp of an earlier session can be taken for one of this. */
        atomic_store(&w->tail, fresh ? 0 : known.position);
        w->log_bytes = opening.whole_bytes;
        begin_journal(w, fresh ? 0 : known.position);
        if (torn > 0 || opening.missing > 0) {
            note_recovery(&opening, &none, torn);
            result = cut_torn_tail(&opening);
            if (result == RL_AUDIT_OK) result = rl_writer_write_out(w);
            if (result != RL_AUDIT_OK) return result;
        }
    }
    describe_process(w);
    rl_writer_checkpoint(w, atomic_load(&w->tail));
    atomic_store(&w->flush_due, rl_os_ticks() + w->interval_ticks);
    return RL_AUDIT_OK;
}
