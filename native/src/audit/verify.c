/* verify: is this log what was written? Reads only. (CONTRACTS 0.5, 3.7; public in reml_audit.h.) */
#include "audit/verify.h"

#include "audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct verification {
    const rl_io_t* io;
    rl_allocator_t allocator;
    const char* path;
    const char* expected; /* 64 digits or NULL */
    uint64_t expected_at; /* record that has the expected hash */
    rl_audit_verification_t* out;
    char head[RL_SHA256_HEX];
    bool has_journal;
    rl_journal_header_t journal;
    rl_checkpoint_t known;
    bool known_differs; /* the log's record of that number has another hash */
} verification_t;

RL_PRINTF(3, 4)
static void conclude(verification_t* v, int verdict, const char* format, ...) {
    va_list arguments;
    v->out->verdict = verdict;
    va_start(arguments, format);
    vsnprintf(v->out->detail, sizeof v->out->detail, format, arguments);
    va_end(arguments);
}

static int open_to_read(const rl_io_t* io, const char* path) {
    return io->open(io->user, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0); /* a FIFO answers at once, that it is none */
}

/* As much as there is, at most `length`; bytes or -errno. */
static int64_t read_at(const rl_io_t* io, int fd, void* data, size_t length, uint64_t offset) {
    size_t done = 0;
    while (done < length) {
        int64_t got = io->read(io->user, fd, (char*)data + done, length - done, (int64_t)(offset + done));
        if (got == -EINTR) continue;
        if (got < 0) return got;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

static char* journal_path(verification_t* v, size_t* out_bytes) {
    size_t length = strlen(v->path);
    *out_bytes = length + sizeof ".journal";
    char* text = rl_alloc(&v->allocator, *out_bytes);
    if (text) {
        memcpy(text, v->path, length);
        memcpy(text + length, ".journal", sizeof ".journal");
    }
    return text;
}

/* The journal is a witness of where the log ended. Read before the log, which only grows meanwhile. */
static bool read_journal_header(verification_t* v) {
    size_t bytes;
    char* path = journal_path(v, &bytes);
    if (!path) return false;
    int fd = open_to_read(v->io, path);
    rl_free(&v->allocator, path, bytes);
    if (fd < 0) return true;
    if (read_at(v->io, fd, &v->journal, sizeof v->journal, 0) == (int64_t)sizeof v->journal &&
        rl_journal_check(&v->journal) == NULL) {
        v->has_journal = true;
        v->known = rl_journal_checkpoint(&v->journal);
    }
    v->io->close(v->io->user, fd);
    return true;
}

/* Events of the journal that are not in the log. */
static bool count_pending(verification_t* v) {
    if (!v->has_journal) return true;
    size_t bytes, path_bytes;
    char* path = journal_path(v, &path_bytes);
    if (!path) return false;
    int fd = open_to_read(v->io, path);
    rl_free(&v->allocator, path, path_bytes);
    if (fd < 0) return true;

    bool whole = true;
    unsigned char *slots = NULL, *flat = NULL;
    int64_t size = v->io->size(v->io->user, fd);
    bytes = rl_journal_bytes(v->journal.slot_count);
    if (size >= (int64_t)bytes) {
        slots = rl_alloc(&v->allocator, bytes);
        flat = rl_alloc(&v->allocator, RL_EVENT_SLOTS_MOST * RL_SLOT_PAYLOAD);
        whole = slots && flat;
        if (whole && read_at(v->io, fd, slots, bytes, 0) == (int64_t)bytes) {
            rl_journal_header_t header;
            memcpy(&header, slots, sizeof header);
            if (rl_journal_check(&header) == NULL && header.slot_count == v->journal.slot_count) {
                rl_checkpoint_t known = rl_journal_checkpoint(&header);
                rl_ring_census_t census =
                    rl_ring_take_census(slots + RL_JOURNAL_HEADER_BYTES, header.slot_count, known.position, flat);
                uint64_t last = v->out->last_sequence;
                uint64_t written = last > known.sequence ? last - known.sequence : 0;
                uint64_t direct = atomic_load(&header.direct);
                if (direct > known.sequence && direct <= last) written--;
                v->out->pending = census.events > written ? census.events - written : 0;
            }
        }
    }
    rl_free(&v->allocator, slots, bytes);
    rl_free(&v->allocator, flat, RL_EVENT_SLOTS_MOST * RL_SLOT_PAYLOAD);
    v->io->close(v->io->user, fd);
    return whole;
}

/* A file that does not begin with number 1 continues another, which must be beside it and end where this one begins. */
static const char* check_link(verification_t* v, const rl_line_facts_t* first) {
    static char zeros[RL_SHA256_HEX + 1] = "0000000000000000000000000000000000000000000000000000000000000000";
    if (first->sequence == 0) return "audit.sequence is 0";
    if (first->sequence == 1) {
        return memcmp(first->previous, zeros, RL_SHA256_HEX) == 0 ? NULL : "the first record has a previous one";
    }
    /* PATH of a rotated file is LOG.N already */
    size_t length = strlen(v->path), digits = 0, bytes;
    while (digits < length && v->path[length - 1 - digits] >= '0' && v->path[length - 1 - digits] <= '9') digits++;
    char* base = rl_alloc(&v->allocator, length + 1);
    if (!base) return NULL;
    memcpy(base, v->path, length + 1);
    const char* problem = "the file before it is missing";
    bool found = false;
    for (int attempt = 0; attempt < 2 && !found; attempt++) {
        if (attempt == 1) {
            if (digits == 0 || digits + 1 >= length || base[length - digits - 1] != '.') break;
            base[length - digits - 1] = '\0';
        }
        char* segment = rl_segment_path(&v->allocator, base, first->sequence - 1, &bytes);
        if (!segment) {
            problem = NULL;
            break;
        }
        int fd = open_to_read(v->io, segment);
        rl_free(&v->allocator, segment, bytes);
        if (fd < 0) continue;
        found = true;
        problem = "it does not continue the file before it";
        uint64_t start, end;
        int64_t size = v->io->size(v->io->user, fd);
        if (size >= 0 && rl_log_find_last_line(v->io, fd, (uint64_t)size, &start, &end) == 0 && end > 0) {
            rl_log_reader_t reader;
            rl_str_t line;
            rl_line_facts_t facts;
            rl_log_reader_init(&reader, &v->allocator, v->io, fd, start);
            if (rl_log_reader_next(&reader, &line) == RL_LOG_LINE && !rl_line_read(line.data, line.length, &facts) &&
                facts.sequence == first->sequence - 1 && memcmp(facts.hash, first->previous, RL_SHA256_HEX) == 0) {
                problem = NULL;
            }
            rl_log_reader_deinit(&reader);
        }
        v->io->close(v->io->user, fd);
    }
    rl_free(&v->allocator, base, length + 1);
    return problem;
}

static const char* check_line(verification_t* v, rl_str_t line) {
    rl_line_facts_t facts;
    rl_audit_verification_t* out = v->out;
    const char* problem = rl_line_read(line.data, line.length, &facts);
    if (problem) return problem;
    if (out->records == 0) {
        problem = check_link(v, &facts);
        if (problem) return problem;
        out->first_sequence = facts.sequence;
    } else if (facts.sequence != out->last_sequence + 1) {
        return facts.sequence > out->last_sequence ? "records are missing before it" : "its number was used before";
    } else if (memcmp(facts.previous, v->head, RL_SHA256_HEX) != 0) {
        return "it does not follow the record before it";
    }
    if (!rl_line_hash_matches(line.data, line.length, &facts)) return "its hash is not that of its content";
    memcpy(v->head, facts.hash, RL_SHA256_HEX);
    out->last_sequence = facts.sequence;
    out->records++;
    if (v->expected && memcmp(v->expected, v->head, RL_SHA256_HEX) == 0) v->expected_at = out->records;
    if (v->has_journal && facts.sequence == v->known.sequence && memcmp(v->known.head, v->head, RL_SHA256_HEX) != 0) {
        v->known_differs = true;
    }
    return NULL;
}

/* Between the renaming of a full file and the first note of the new one. */
static bool was_just_rotated(verification_t* v) {
    size_t bytes;
    char* segment = rl_segment_path(&v->allocator, v->path, v->known.sequence, &bytes);
    int fd = segment ? open_to_read(v->io, segment) : -1;
    rl_free(&v->allocator, segment, bytes);
    if (fd >= 0) v->io->close(v->io->user, fd);
    return fd >= 0;
}

static void compare_heads(verification_t* v) {
    rl_audit_verification_t* out = v->out;
    unsigned long long records = out->records;
    if (v->expected && (out->records == 0 || memcmp(v->expected, v->head, RL_SHA256_HEX) != 0)) {
        if (v->expected_at > 0) {
            conclude(v, REML_AUDIT_VERDICT_HEAD_MISMATCH, "the expected head is record %llu of %llu",
                (unsigned long long)v->expected_at, records);
        } else {
            conclude(v, REML_AUDIT_VERDICT_HEAD_MISMATCH, "the expected head is not among the %llu records", records);
        }
    } else if (v->known_differs) {
        conclude(v, REML_AUDIT_VERDICT_HEAD_MISMATCH, "record number %llu is not the one its journal remembers",
            (unsigned long long)v->known.sequence);
    } else if (v->has_journal && v->known.log_bytes > 0 && out->last_sequence < v->known.sequence &&
               !(out->records == 0 && was_just_rotated(v))) {
        conclude(v, REML_AUDIT_VERDICT_HEAD_MISMATCH, "the log ends at number %llu, its journal remembers number %llu",
            (unsigned long long)out->last_sequence, (unsigned long long)v->known.sequence);
    }
}

static bool read_log(verification_t* v, int fd) {
    rl_audit_verification_t* out = v->out;
    rl_log_reader_t reader;
    rl_str_t line;
    rl_log_item_t item;
    rl_log_reader_init(&reader, &v->allocator, v->io, fd, 0);
    while ((item = rl_log_reader_next(&reader, &line)) == RL_LOG_LINE) {
        const char* problem = check_line(v, line);
        if (problem) {
            out->record = out->records + 1;
            conclude(v, REML_AUDIT_VERDICT_BROKEN, "record %llu: %s", (unsigned long long)out->record, problem);
            break;
        }
    }
    char text[64];
    switch (item) {
    case RL_LOG_LINE: break;
    case RL_LOG_END: compare_heads(v); break;
    case RL_LOG_TORN:
        out->torn_bytes = line.length;
        conclude(
            v, REML_AUDIT_VERDICT_RECOVERED_TAIL, "the last line is torn: %llu bytes", (unsigned long long)line.length);
        compare_heads(v);
        break;
    case RL_LOG_TOO_LONG:
        out->record = out->records + 1;
        conclude(v, REML_AUDIT_VERDICT_BROKEN, "record %llu: too long", (unsigned long long)out->record);
        break;
    case RL_LOG_IO_ERROR: conclude(v, REML_AUDIT_VERDICT_UNREADABLE, "%s", rl_errno_text(-reader.error, text)); break;
    case RL_LOG_NO_MEMORY: break;
    }
    rl_log_reader_deinit(&reader);
    return item != RL_LOG_NO_MEMORY;
}

static bool is_packed(const rl_io_t* io, int fd) {
    unsigned char magic[2];
    return read_at(io, fd, magic, sizeof magic, 0) == (int64_t)sizeof magic && magic[0] == 0x1f && magic[1] == 0x8b;
}

bool rl_audit_verify_file(
    const rl_io_t* io, const char* path, const char* expected_head_or_null, rl_audit_verification_t* out) {
    verification_t* v = NULL;
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, NULL, NULL);
    memset(out, 0, sizeof *out);
    v = rl_alloc_zero(&allocator, sizeof *v);
    if (!v) return false;
    v->io = io;
    v->path = path;
    v->expected = expected_head_or_null;
    v->out = out;
    rl_allocator_init(&v->allocator, NULL, NULL);

    bool whole = read_journal_header(v);
    int fd = whole ? open_to_read(io, path) : -1;
    if (fd >= 0 && is_packed(io, fd)) {
        io->close(io->user, fd);
        conclude(v, REML_AUDIT_VERDICT_UNREADABLE, "packed by gzip: unpack it first");
    } else if (fd >= 0) {
        whole = read_log(v, fd);
        io->close(io->user, fd);
        if (whole) whole = count_pending(v);
        if (out->records > 0) memcpy(out->head, v->head, RL_SHA256_HEX);
    } else if (whole) {
        char text[64];
        conclude(v, REML_AUDIT_VERDICT_UNREADABLE, "%s", rl_errno_text(-fd, text));
    }
    rl_free(&allocator, v, sizeof *v);
    return whole;
}

/* --- public -------------------------------------------------------------------------------------------------- */

const char* reml_audit_verdict_label(int32_t verdict) {
    static const char* const labels[] = {
        [REML_AUDIT_VERDICT_OK] = "ok",
        [REML_AUDIT_VERDICT_RECOVERED_TAIL] = "recovered_tail",
        [REML_AUDIT_VERDICT_BROKEN] = "broken",
        [REML_AUDIT_VERDICT_HEAD_MISMATCH] = "head_mismatch",
        [REML_AUDIT_VERDICT_UNREADABLE] = "unreadable",
    };
    return verdict >= 0 && (size_t)verdict < RL_COUNT_OF(labels) ? labels[verdict] : "unknown";
}

static bool lower_hash(const char* text, char out[RL_SHA256_HEX]) {
    for (size_t i = 0; i < RL_SHA256_HEX; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'F') c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        out[i] = c;
    }
    return text[RL_SHA256_HEX] == '\0';
}

reml_embed_status_t reml_audit_verify(
    const char* path, const char* expected_head_or_null, reml_audit_report_t* out_report) {
    char expected[RL_SHA256_HEX];
    if (!path || !out_report) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    uint32_t size = out_report->struct_size;
    if (size < offsetof(reml_audit_report_t, verdict) + sizeof out_report->verdict) {
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    if (expected_head_or_null && !lower_hash(expected_head_or_null, expected)) {
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    rl_audit_verification_t found;
    if (!rl_audit_verify_file(rl_os_io(), path, expected_head_or_null ? expected : NULL, &found)) {
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    if (size < report.struct_size) report.struct_size = size;
    report.verdict = found.verdict;
    report.record = found.record;
    report.records = found.records;
    report.first_sequence = found.first_sequence;
    report.last_sequence = found.last_sequence;
    report.pending = found.pending;
    report.torn_bytes = found.torn_bytes;
    memcpy(report.head, found.head, sizeof found.head);
    memcpy(report.detail, found.detail, sizeof found.detail);
    memcpy(out_report, &report, report.struct_size);
    return found.verdict == REML_AUDIT_VERDICT_OK || found.verdict == REML_AUDIT_VERDICT_RECOVERED_TAIL
               ? REML_EMBED_STATUS_OK
               : REML_EMBED_STATUS_ERROR;
}

reml_embed_status_t reml_audit_recover(const char* path) {
    char problem[256] = "";
    if (!path || !path[0]) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    switch (rl_audit_recover_file(rl_os_env(), path, problem)) {
    case RL_AUDIT_OK: return REML_EMBED_STATUS_OK;
    case RL_AUDIT_NO_MEMORY: return REML_EMBED_STATUS_NO_MEMORY;
    default: return REML_EMBED_STATUS_AUDIT_UNAVAILABLE;
    }
}
