#include "audit/read.h"

#include "base/utf8.h"

#include <errno.h>

#define CHUNK_BYTES (256u << 10)
#define DEPTH_MOST  128

/* --- JSON ---------------------------------------------------------------------------------------------------- */

typedef struct scanner {
    const char *at, *end;
} scanner_t;

static void skip_space(scanner_t* s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n')) s->at++;
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Does one of eight bytes end a plain run: a quote, a backslash, or a control character? */
static inline bool word_is_plain(uint64_t w) {
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
    uint64_t hits = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((w - ones * 0x20) & ~w);
    return (hits & highs) == 0;
}

/* Behind the opening quote. *out_text is the raw content, escapes undone nowhere. */
static bool scan_string(scanner_t* s, rl_str_t* out_text) {
    const char* start = s->at;
    for (;;) {
        uint64_t word;
        while (s->end - s->at >= 8 && (memcpy(&word, s->at, 8), word_is_plain(word))) s->at += 8;
        if (s->at == s->end) return false;
        unsigned char c = (unsigned char)*s->at++;
        if (c == '"') break;
        if (c < 0x20) return false;
        if (c != '\\') continue;
        if (s->at == s->end) return false;
        char escape = *s->at++;
        if (escape == 'u') {
            if (s->end - s->at < 4) return false;
            for (int i = 0; i < 4; i++) {
                if (!is_hex(s->at[i])) return false;
            }
            s->at += 4;
        } else if (!memchr("\"\\/bfnrt", escape, 8)) {
            return false;
        }
    }
    *out_text = (rl_str_t){start, (size_t)(s->at - 1 - start)};
    return true;
}

static bool scan_digits(scanner_t* s) {
    const char* start = s->at;
    while (s->at < s->end && is_digit(*s->at)) s->at++;
    return s->at > start;
}

static bool scan_number(scanner_t* s) {
    if (s->at < s->end && *s->at == '-') s->at++;
    if (s->at < s->end && *s->at == '0') {
        s->at++;
    } else if (!scan_digits(s)) {
        return false;
    }
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!scan_digits(s)) return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        if (!scan_digits(s)) return false;
    }
    return true;
}

static bool scan_word(scanner_t* s, const char* word, size_t length) {
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0) return false;
    s->at += length;
    return true;
}

/* Told of each key and scalar; `depth` counts open containers, `text` of a scalar is raw (strings without quotes). */
typedef struct visitor {
    const char* line;
    rl_line_facts_t* facts; /* NULL: members_valid */
    rl_str_t prefix, last_key;
    unsigned matched; /* leading levels of root, envelope, metadata that are open */
    bool ok;
} visitor_t;

typedef enum place { PLACE_NONE, PLACE_SEQUENCE, PLACE_PREVIOUS, PLACE_HASH } place_t;

/* Keys that matter, as they are written; a key in another spelling (with escapes) is not ours. */
static place_t place_of(rl_str_t key) {
    if (rl_str_equal(key, RL_STR("audit.sequence"))) return PLACE_SEQUENCE;
    if (rl_str_equal(key, RL_STR("audit.chain.previous"))) return PLACE_PREVIOUS;
    if (rl_str_equal(key, RL_STR("audit.chain.hash"))) return PLACE_HASH;
    return PLACE_NONE;
}

static bool copy_hash(char out[RL_SHA256_HEX], rl_str_t text) {
    if (text.length != RL_SHA256_HEX) return false;
    for (size_t i = 0; i < RL_SHA256_HEX; i++) {
        if (!is_hex(text.data[i]) || (text.data[i] >= 'A' && text.data[i] <= 'F')) return false;
    }
    memcpy(out, text.data, RL_SHA256_HEX);
    return true;
}

static bool read_sequence(rl_str_t text, uint64_t* out_value) {
    if (text.length == 0 || text.length > 18 || (text.data[0] == '0' && text.length > 1)) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (!is_digit(text.data[i])) return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out_value = value;
    return true;
}

static const char* take_place(rl_line_facts_t* facts, place_t place, bool is_string, rl_str_t text) {
    switch (place) {
    case PLACE_NONE: return NULL;
    case PLACE_SEQUENCE:
        if (facts->has_sequence || is_string || !read_sequence(text, &facts->sequence)) return "bad audit.sequence";
        facts->has_sequence = true;
        return NULL;
    case PLACE_PREVIOUS:
        if (facts->has_previous || !is_string || !copy_hash(facts->previous, text)) return "bad audit.chain.previous";
        facts->has_previous = true;
        return NULL;
    case PLACE_HASH:
        if (facts->has_hash || !is_string || !copy_hash(facts->hash, text)) return "bad audit.chain.hash";
        facts->has_hash = true;
        return NULL;
    }
    return NULL;
}

/* Walk one JSON value with an explicit stack; containers deeper than DEPTH_MOST are refused. */
static const char* walk(scanner_t* s, visitor_t* visitor) {
    static const char not_json[] = "not JSON";
    bool in_object[DEPTH_MOST + 1];
    unsigned depth = 0;
    place_t place = PLACE_NONE;
    bool descend = false; /* the value to come is the next level of root, envelope, metadata */
    size_t key_at = 0;

value:
    skip_space(s);
    if (s->at == s->end) return not_json;
    char c = *s->at;
    if (depth == 0 && c != '{') return "not a JSON object";
    if (c == '{' || c == '[') {
        if (place != PLACE_NONE) return "bad place";
        if (depth == DEPTH_MOST) return "nested too deeply";
        s->at++;
        in_object[++depth] = c == '{';
        if (c == '{' && (depth == 1 || descend)) visitor->matched = depth;
        skip_space(s);
        if (s->at < s->end && *s->at == (c == '{' ? '}' : ']')) {
            s->at++;
            goto closed;
        }
        if (c == '{') goto key;
        descend = false;
        goto value;
    }
    const char* start = s->at;
    rl_str_t text = {start, 0};
    if (c == '"') {
        s->at++;
        if (!scan_string(s, &text)) return not_json;
    } else if (c == 't'   ? !scan_word(s, "true", 4)
               : c == 'f' ? !scan_word(s, "false", 5)
               : c == 'n' ? !scan_word(s, "null", 4)
                          : !scan_number(s)) {
        return not_json;
    } else {
        text.length = (size_t)(s->at - start);
    }
    if (place != PLACE_NONE) {
        const char* problem = take_place(visitor->facts, place, c == '"', text);
        if (problem) return problem;
        if (place == PLACE_HASH) {
            visitor->facts->cut_from = key_at;
            visitor->facts->cut_to = (size_t)(s->at - visitor->line);
        }
    }
    goto after_value;

key:
    skip_space(s);
    if (s->at == s->end || *s->at != '"') return not_json;
    key_at = (size_t)(s->at - visitor->line);
    s->at++;
    rl_str_t key;
    if (!scan_string(s, &key)) return not_json;
    skip_space(s);
    if (s->at == s->end || *s->at != ':') return not_json;
    s->at++;
    place = PLACE_NONE;
    descend = false;
    if (visitor->facts) {
        if (depth == visitor->matched && depth < 3) {
            descend = rl_str_equal(key, depth == 1 ? RL_STR("envelope") : RL_STR("metadata"));
        }
        if (depth == 3 && visitor->matched == 3) place = place_of(key);
    } else if (depth == 1) { /* members_valid */
        rl_str_t last = visitor->last_key;
        size_t common = last.length < key.length ? last.length : key.length;
        int order = common > 0 ? memcmp(last.data, key.data, common) : 0;
        bool ascending = order < 0 || (order == 0 && last.length < key.length);
        if (key.length <= visitor->prefix.length || !ascending || memchr(key.data, '\\', key.length) ||
            memcmp(key.data, visitor->prefix.data, visitor->prefix.length) != 0) {
            return "bad key";
        }
        visitor->last_key = key;
    }
    goto value;

closed:
    if (visitor->matched == depth) visitor->matched--;
    depth--;
after_value:
    place = PLACE_NONE;
    descend = false;
    skip_space(s);
    if (depth == 0) return s->at == s->end ? NULL : not_json;
    if (s->at == s->end) return not_json;
    c = *s->at++;
    if (c == ',') {
        if (in_object[depth]) goto key;
        goto value;
    }
    if (c != (in_object[depth] ? '}' : ']')) return not_json;
    goto closed;
}

const char* rl_line_read(const char* line, size_t length, rl_line_facts_t* out_facts) {
    memset(out_facts, 0, sizeof *out_facts);
    if (rl_utf8_validate((rl_str_t){line, length}) != length) return "not valid UTF-8";
    scanner_t scanner = {line, line + length};
    visitor_t visitor = {.line = line, .facts = out_facts};
    const char* problem = walk(&scanner, &visitor);
    if (problem) return problem;
    if (!out_facts->has_sequence) return "no audit.sequence";
    if (!out_facts->has_previous) return "no audit.chain.previous";
    if (!out_facts->has_hash) return "no audit.chain.hash";
    if (line[out_facts->cut_to] == ',') {
        out_facts->cut_to++;
    } else if (line[out_facts->cut_from - 1] == ',') {
        out_facts->cut_from--;
    }
    return NULL;
}

bool rl_line_hash_matches(const char* line, size_t length, const rl_line_facts_t* facts) {
    unsigned char digest[RL_SHA256_BYTES];
    char hex[RL_SHA256_HEX];
    rl_sha256_t sha;
    rl_sha256_init(&sha);
    rl_sha256_update(&sha, line, facts->cut_from);
    rl_sha256_update(&sha, line + facts->cut_to, length - facts->cut_to);
    rl_sha256_final(&sha, digest);
    rl_sha256_hex(digest, hex);
    return memcmp(hex, facts->hash, RL_SHA256_HEX) == 0;
}

bool rl_json_members_valid(rl_str_t object, rl_str_t prefix) {
    if (rl_utf8_validate(object) != object.length) return false;
    if (object.length > 0 && (memchr(object.data, '\n', object.length) || memchr(object.data, '\r', object.length))) {
        return false;
    }
    scanner_t scanner = {object.data, object.data + object.length};
    visitor_t visitor = {.line = object.data, .prefix = prefix};
    return walk(&scanner, &visitor) == NULL && visitor.last_key.length > 0;
}

/* --- lines of a file ----------------------------------------------------------------------------------------- */

void rl_log_reader_init(
    rl_log_reader_t* reader, rl_allocator_t* allocator, const rl_io_t* io, int fd, uint64_t offset) {
    *reader = (rl_log_reader_t){.io = io, .fd = fd, .offset = offset};
    rl_buf_init(&reader->buffer, allocator);
}

void rl_log_reader_deinit(rl_log_reader_t* reader) { rl_buf_deinit(&reader->buffer); }

static int64_t read_retrying(const rl_io_t* io, int fd, void* data, size_t length, uint64_t offset) {
    for (;;) {
        int64_t got = io->read(io->user, fd, data, length, (int64_t)offset);
        if (got != -EINTR) return got;
    }
}

rl_log_item_t rl_log_reader_next(rl_log_reader_t* reader, rl_str_t* out_text) {
    rl_buf_t* buffer = &reader->buffer;
    for (;;) {
        const char* start = buffer->data ? buffer->data + reader->at : NULL;
        size_t held = buffer->length - reader->at;
        const char* end =
            held > reader->searched ? memchr(start + reader->searched, '\n', held - reader->searched) : NULL;
        if (end) {
            *out_text = (rl_str_t){start, (size_t)(end - start)};
            reader->at += out_text->length + 1;
            reader->offset += out_text->length + 1;
            reader->searched = 0;
            return RL_LOG_LINE;
        }
        reader->searched = held;
        if (held > RL_LINE_BYTES_MOST) return RL_LOG_TOO_LONG;
        if (reader->at > 0) {
            memmove(buffer->data, start, held);
            buffer->length = held;
            reader->at = 0;
        }
        if (!rl_buf_reserve(buffer, CHUNK_BYTES)) return RL_LOG_NO_MEMORY;
        int64_t got = read_retrying(reader->io, reader->fd, buffer->data + held, CHUNK_BYTES, reader->offset + held);
        if (got < 0) {
            reader->error = (int)got;
            return RL_LOG_IO_ERROR;
        }
        if (got == 0) {
            if (held == 0) return RL_LOG_END;
            *out_text = (rl_str_t){buffer->data, held};
            reader->at = held;
            reader->offset += held;
            reader->searched = 0;
            return RL_LOG_TORN;
        }
        buffer->length += (size_t)got;
    }
}

int rl_log_find_last_line(const rl_io_t* io, int fd, uint64_t end, uint64_t* out_start, uint64_t* out_end) {
    char block[4096];
    bool have_end = false;
    *out_start = *out_end = 0;
    for (uint64_t at = end; at > 0;) {
        size_t length = at < sizeof block ? (size_t)at : sizeof block;
        uint64_t from = at - length;
        for (size_t done = 0; done < length;) {
            int64_t got = read_retrying(io, fd, block + done, length - done, from + done);
            if (got < 0) return (int)got;
            if (got == 0) return -EIO; /* shorter than it was a moment ago */
            done += (size_t)got;
        }
        for (size_t i = length; i > 0; i--) {
            if (block[i - 1] != '\n') continue;
            if (have_end) {
                *out_start = from + i;
                return 0;
            }
            *out_end = from + i;
            have_end = true;
        }
        at = from;
    }
    return 0; /* the first line, or none */
}
