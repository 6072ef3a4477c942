/*
 * read: a log as it lies on the disk, line by line: is it JSON, which number and hashes does it carry. Nothing read here
 * is trusted: any bytes may come.
 */
#ifndef RL_AUDIT_READ_H
#define RL_AUDIT_READ_H

#include "audit/sha256.h"
#include "base/buf.h"
#include "base/os.h"

#define RL_LINE_BYTES_MOST (16u << 20) /* our own lines stay far below; other writers may add larger records */

/* What a line says of its place. Offsets are into the line. */
typedef struct rl_line_facts {
    bool has_sequence, has_previous, has_hash;
    uint64_t sequence;
    char previous[RL_SHA256_HEX], hash[RL_SHA256_HEX];
    size_t cut_from, cut_to; /* the member audit.chain.hash with the one comma that belongs to it */
} rl_line_facts_t;

/* NULL: `line` is one JSON object of valid UTF-8 with a place. Otherwise what is wrong, static text. */
const char* rl_line_read(const char* line, size_t length, rl_line_facts_t* out_facts);

/* Is the hash that of the line's other bytes? */
bool rl_line_hash_matches(const char* line, size_t length, const rl_line_facts_t* facts);

/* One object `{ members }` and each of its keys beginning with `prefix`, ascending? (For members handed in by a host.) */
bool rl_json_members_valid(rl_str_t object, rl_str_t prefix);

typedef enum rl_log_item {
    RL_LOG_LINE,
    RL_LOG_TORN, /* bytes without a line end, to the end of the file */
    RL_LOG_END,
    RL_LOG_TOO_LONG,
    RL_LOG_IO_ERROR, /* reader->error is -errno */
    RL_LOG_NO_MEMORY
} rl_log_item_t;

/* Walks a file from an offset. The file descriptor is borrowed. */
typedef struct rl_log_reader {
    const rl_io_t* io;
    int fd;
    int error;
    uint64_t offset; /* in the file, of the next item */
    rl_buf_t buffer;
    size_t at;       /* of the next item, in buffer */
    size_t searched; /* bytes behind `at` known to hold no line end */
} rl_log_reader_t;

void rl_log_reader_init(rl_log_reader_t* reader, rl_allocator_t* allocator, const rl_io_t* io, int fd, uint64_t offset);
void rl_log_reader_deinit(rl_log_reader_t* reader);
/* LINE and TORN: *out_text is lent until the next call; reader->offset is then behind the item and its line end. */
rl_log_item_t rl_log_reader_next(rl_log_reader_t* reader, rl_str_t* out_text);

/*
 * Offset of the last line that ends in LF before `end`, in *out_start (its first byte) and *out_end (behind its LF);
 * both 0 when there is none. 0 or -errno.
 */
int rl_log_find_last_line(const rl_io_t* io, int fd, uint64_t end, uint64_t* out_start, uint64_t* out_end);

#endif
