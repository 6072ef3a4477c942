#include "base/json_read.h"

#include "base/buf.h"
#include "base/number.h"
#include "base/utf8.h"

typedef struct reader {
    rl_json_doc_t* doc;
    rl_arena_t* arena;
    rl_str_t text;
    size_t at;
    rl_buf_t scratch;
    uint32_t open, depth; /* innermost container */
    uint32_t last;        /* its last item, 0: none yet */
} reader_t;

static bool wrong(reader_t* r, const char* problem) {
    r->doc->problem = problem;
    r->doc->at = r->at;
    return false;
}
static int peek(const reader_t* r) { return r->at < r->text.length ? (unsigned char)r->text.data[r->at] : -1; }
static void skip_blanks(reader_t* r) {
    for (int c = peek(r); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(r)) r->at++;
}

static bool read_unit(reader_t* r, uint32_t* out) {
    uint64_t value;
    if (r->text.length - r->at < 4 || !rl_u64_parse((rl_str_t){r->text.data + r->at, 4}, 16, &value)) return false;
    r->at += 4;
    *out = (uint32_t)value;
    return true;
}

/* Behind the backslash. */
static bool read_escape(reader_t* r) {
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    int c = peek(r);
    for (size_t i = 0; i + 1 < sizeof plain; i += 2) {
        if (c != plain[i]) continue;
        rl_buf_add_char(&r->scratch, plain[i + 1]);
        r->at++;
        return true;
    }
    uint32_t unit, low;
    if (c != 'u') return wrong(r, "unknown escape in a string");
    r->at++;
    if (!read_unit(r, &unit)) return wrong(r, "\\u needs four hexadecimal digits");
    if (unit >= 0xD800 && unit < 0xDC00) {
        bool pair = peek(r) == '\\' && r->at + 1 < r->text.length && r->text.data[r->at + 1] == 'u';
        if (pair) r->at += 2;
        if (!pair || !read_unit(r, &low) || low < 0xDC00 || low > 0xDFFF) return wrong(r, "half of a surrogate pair");
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    } else if (unit >= 0xDC00 && unit < 0xE000) {
        return wrong(r, "half of a surrogate pair");
    }
    rl_buf_add_utf8(&r->scratch, unit);
    return true;
}

static bool read_text(reader_t* r, rl_str_t* out) {
    if (peek(r) != '"') return wrong(r, "expected a string");
    size_t start = ++r->at;
    rl_buf_clear(&r->scratch);
    for (;;) {
        int c = peek(r);
        if (c < 0) return wrong(r, "unterminated string");
        if (c < 0x20) return wrong(r, "control character in a string");
        if (c != '"' && c != '\\') {
            r->at++;
            continue;
        }
        rl_buf_add(&r->scratch, (rl_str_t){r->text.data + start, r->at - start});
        r->at++;
        if (c == '"') break;
        if (!read_escape(r)) return false;
        start = r->at;
    }
    if (r->scratch.failed) return false;
    *out = rl_arena_copy(r->arena, rl_buf_str(&r->scratch));
    return !r->arena->allocator->failed;
}

static size_t skip_digits(reader_t* r) {
    size_t start = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at - start;
}

static bool read_number(reader_t* r, rl_str_t* out) {
    size_t start = r->at;
    if (peek(r) == '-') r->at++;
    bool zero = peek(r) == '0';
    size_t digits = skip_digits(r);
    if (digits == 0 || (zero && digits > 1)) return wrong(r, "expected a value");
    if (peek(r) == '.') {
        r->at++;
        if (!skip_digits(r)) return wrong(r, "a number needs a digit behind its point");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        if (!skip_digits(r)) return wrong(r, "an exponent needs a digit");
    }
    *out = rl_arena_copy(r->arena, (rl_str_t){r->text.data + start, r->at - start});
    return !r->arena->allocator->failed;
}

static bool read_word(reader_t* r, const char* word) {
    size_t length = strlen(word);
    if (r->text.length - r->at < length || memcmp(r->text.data + r->at, word, length) != 0)
        return wrong(r, "expected a value");
    r->at += length;
    return true;
}

static bool read_scalar(reader_t* r, rl_json_value_t* out) {
    switch (peek(r)) {
    case 'n': out->kind = RL_JSON_NULL; return read_word(r, "null");
    case 't': out->kind = RL_JSON_TRUE; return read_word(r, "true");
    case 'f': out->kind = RL_JSON_FALSE; return read_word(r, "false");
    case '"': out->kind = RL_JSON_TEXT; return read_text(r, &out->text);
    default: out->kind = RL_JSON_NUMBER; return read_number(r, &out->text);
    }
}

/* A value with its key goes to the end of the innermost container; containers are opened. */
static bool read_item(reader_t* r) {
    rl_json_doc_t* doc = r->doc;
    rl_json_value_t value = {.up = r->open};
    if (r->open && doc->values.data[r->open].kind == RL_JSON_MAP) {
        if (!read_text(r, &value.key)) return false;
        if (rl_json_find(doc, r->open, value.key.data)) return wrong(r, "a key occurs twice");
        skip_blanks(r);
        if (peek(r) != ':') return wrong(r, "expected a colon");
        r->at++;
        skip_blanks(r);
    }
    size_t start = r->at;
    int c = peek(r);
    bool container = c == '{' || c == '[';
    if (container) {
        value.kind = c == '{' ? RL_JSON_MAP : RL_JSON_LIST;
        if (r->depth == RL_JSON_DEPTH) return wrong(r, "nested too deep");
        r->at++;
    } else if (!read_scalar(r, &value)) {
        return false;
    }
    value.written = (rl_str_t){r->text.data + start, r->at - start};
    uint32_t index = doc->values.count;
    if (!rl_vec_push(r->arena->allocator, &doc->values, value)) return false;
    if (r->last) doc->values.data[r->last].next = index;
    else if (r->open) doc->values.data[r->open].first = index;
    if (r->open) doc->values.data[r->open].count++;
    r->last = container ? 0 : index;
    if (container) {
        r->open = index;
        r->depth++;
    }
    return true;
}

static bool read_all(reader_t* r) {
    rl_json_doc_t* doc = r->doc;
    skip_blanks(r);
    if (!read_item(r)) return false;
    while (r->open) {
        const rl_json_value_t* open = &doc->values.data[r->open];
        skip_blanks(r);
        if (peek(r) == (open->kind == RL_JSON_MAP ? '}' : ']')) {
            rl_json_value_t* closed = &doc->values.data[r->open];
            r->at++;
            closed->written.length = (size_t)(r->text.data + r->at - closed->written.data);
            r->last = r->open;
            r->open = open->up;
            r->depth--;
            continue;
        }
        if (open->count) {
            if (peek(r) != ',') return wrong(r, "expected a comma or the end of the container");
            r->at++;
            skip_blanks(r);
        }
        if (!read_item(r)) return false;
    }
    skip_blanks(r);
    return r->at == r->text.length || wrong(r, "text behind the end of the document");
}

bool rl_json_read(rl_json_doc_t* doc, rl_arena_t* arena, rl_str_t text) {
    *doc = (rl_json_doc_t){0};
    reader_t reader = {.doc = doc, .arena = arena, .text = text};
    size_t bad = rl_utf8_validate(text);
    if (bad != text.length) {
        reader.at = bad;
        return wrong(&reader, "not valid UTF-8");
    }
    rl_buf_init(&reader.scratch, arena->allocator);
    bool done = rl_vec_push(arena->allocator, &doc->values, (rl_json_value_t){0}) && read_all(&reader);
    rl_buf_deinit(&reader.scratch);
    return done;
}

void rl_json_doc_deinit(rl_json_doc_t* doc, rl_arena_t* arena) { rl_vec_deinit(arena->allocator, &doc->values); }

uint32_t rl_json_find(const rl_json_doc_t* doc, uint32_t map, const char* key) {
    if (!map || doc->values.data[map].kind != RL_JSON_MAP) return 0;
    for (uint32_t i = doc->values.data[map].first; i; i = doc->values.data[i].next) {
        if (rl_str_equal(doc->values.data[i].key, rl_str(key))) return i;
    }
    return 0;
}

bool rl_json_u64_of(const rl_json_value_t* value, uint64_t* out) {
    return value && value->kind == RL_JSON_NUMBER && rl_u64_parse(value->text, 10, out);
}
