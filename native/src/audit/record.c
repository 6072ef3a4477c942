#include "audit/record.h"

#include "base/number.h"
#include "base/utf8.h"
#include "base/vec.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* `"key":value` in the text of a compacted object, without comma. */
typedef struct member {
    size_t at, key_end, end; /* key_end: behind the closing quote of the key */
} member_t;

typedef RL_VEC(member_t) members_t;

typedef struct compactor {
    const char *start, *at, *end;
    rl_buf_t* out;
    members_t* top;   /* members of the object itself */
    members_t keys;   /* of open objects, outermost first; only at and key_end are used */
    const char* what; /* for messages */
    char* problem;    /* of 256 bytes */
    bool out_of_memory;
} compactor_t;

/* --- messages ------------------------------------------------------------------------------------------------ */

RL_PRINTF(2, 3) static bool refuse(compactor_t* c, const char* format, ...) {
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(c->problem, 256, "%s: %s at byte %zu", c->what, text, (size_t)(c->at - c->start) + 1);
    return false;
}

static bool no_memory(compactor_t* c) {
    c->out_of_memory = true;
    return false;
}

/* --- order of keys ------------------------------------------------------------------------------------------- */

static int compare_keys(const char* text, const member_t* a, const member_t* b) {
    size_t a_length = a->key_end - a->at, b_length = b->key_end - b->at;
    size_t common = a_length < b_length ? a_length : b_length;
    int order = memcmp(text + a->at + 1, text + b->at + 1, common - 2);
    return order ? order : a_length < b_length ? -1 : a_length > b_length;
}

static void sift_down(const char* text, member_t* items, size_t root, size_t count) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare_keys(text, &items[child], &items[child + 1]) < 0) child++;
        if (compare_keys(text, &items[root], &items[child]) >= 0) return;
        member_t swapped = items[root];
        items[root] = items[child];
        items[child] = swapped;
    }
}

static void sort_members(const char* text, member_t* items, size_t count) {
    bool ascending = true;
    for (size_t i = 1; i < count && ascending; i++) ascending = compare_keys(text, &items[i - 1], &items[i]) < 0;
    if (ascending) return;
    for (size_t i = count / 2; i > 0; i--) sift_down(text, items, i - 1, count);
    for (size_t last = count; last > 1; last--) {
        member_t swapped = items[0];
        items[0] = items[last - 1];
        items[last - 1] = swapped;
        sift_down(text, items, 0, last - 1);
    }
}

/* --- reading strictly, writing compactly ---------------------------------------------------------------------- */

static void skip_space(compactor_t* c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n')) c->at++;
}

/* Content of a string, one spelling for each text. Control characters, DEL and line separators are escaped: no text can forge a line. */
static void put_scalar(rl_buf_t* out, uint32_t scalar) {
    static const char digits[] = "0123456789abcdef";
    switch (scalar) {
    case '"': rl_buf_add(out, RL_STR("\\\"")); return;
    case '\\': rl_buf_add(out, RL_STR("\\\\")); return;
    case '\n': rl_buf_add(out, RL_STR("\\n")); return;
    case '\r': rl_buf_add(out, RL_STR("\\r")); return;
    case '\t': rl_buf_add(out, RL_STR("\\t")); return;
    case 0x2028: rl_buf_add(out, RL_STR("\\u2028")); return;
    case 0x2029: rl_buf_add(out, RL_STR("\\u2029")); return;
    default: break;
    }
    if (scalar < 0x20 || scalar == 0x7F) {
        char escape[6] = {'\\', 'u', '0', '0', digits[scalar >> 4], digits[scalar & 15]};
        rl_buf_add(out, (rl_str_t){escape, sizeof escape});
    } else {
        rl_buf_add_utf8(out, scalar);
    }
}

static bool read_hex(compactor_t* c, uint32_t* out_value) {
    if (c->end - c->at < 4) return false;
    *out_value = 0;
    for (int i = 0; i < 4; i++) {
        char d = *c->at++;
        int value = d >= '0' && d <= '9'   ? d - '0'
                    : d >= 'a' && d <= 'f' ? d - 'a' + 10
                    : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                           : -1;
        if (value < 0) return false;
        *out_value = *out_value * 16 + (uint32_t)value;
    }
    return true;
}

static bool copy_escape(compactor_t* c) {
    static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    if (c->at == c->end) return refuse(c, "a text that does not end");
    char name = *c->at++;
    if (name != 'u') {
        const char* found = name ? strchr(names, name) : NULL;
        if (!found) return refuse(c, "an unknown escape");
        put_scalar(c->out, (unsigned char)means[found - names]);
        return true;
    }
    uint32_t scalar, low;
    if (!read_hex(c, &scalar)) return refuse(c, "an unfinished escape");
    if (scalar >= 0xD800 && scalar < 0xDC00) {
        if (c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u') return refuse(c, "half a surrogate pair");
        c->at += 2;
        if (!read_hex(c, &low) || low < 0xDC00 || low > 0xDFFF) return refuse(c, "half a surrogate pair");
        scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00);
    } else if (scalar >= 0xDC00 && scalar < 0xE000) {
        return refuse(c, "half a surrogate pair");
    }
    put_scalar(c->out, scalar);
    return true;
}

static bool copy_string(compactor_t* c) {
    if (c->at == c->end || *c->at != '"') return refuse(c, "a text is missing");
    c->at++;
    rl_buf_add_char(c->out, '"');
    for (;;) {
        const char* plain = c->at;
        while (c->at < c->end && *c->at != '"' && *c->at != '\\' && (unsigned char)*c->at >= 0x20 &&
               (unsigned char)*c->at != 0x7F && (unsigned char)*c->at != 0xE2) {
            c->at++;
        }
        rl_buf_add(c->out, (rl_str_t){plain, (size_t)(c->at - plain)});
        if (c->at == c->end) return refuse(c, "a text that does not end");
        unsigned char byte = (unsigned char)*c->at;
        if (byte == 0x7F || byte == 0xE2) { /* DEL; a line separator, perhaps */
            size_t offset = (size_t)(c->at - c->start);
            put_scalar(c->out, rl_utf8_next((rl_str_t){c->start, (size_t)(c->end - c->start)}, &offset));
            c->at = c->start + offset;
            continue;
        }
        if (byte < 0x20) return refuse(c, "a control character in a text");
        c->at++;
        if (byte == '"') break;
        if (!copy_escape(c)) return false;
    }
    rl_buf_add_char(c->out, '"');
    return true;
}

static bool is_digit(const compactor_t* c) { return c->at < c->end && *c->at >= '0' && *c->at <= '9'; }

static bool copy_number(compactor_t* c) {
    const char* start = c->at;
    bool fraction = false;
    if (c->at < c->end && *c->at == '-') c->at++;
    const char* digits = c->at;
    if (!is_digit(c)) {
        c->at = start;
        return refuse(c, "a value is missing");
    }
    if (*c->at == '0') {
        c->at++;
    } else {
        while (is_digit(c)) c->at++;
    }
    if (c->at < c->end && *c->at == '.') {
        c->at++, fraction = true;
        if (!is_digit(c)) return refuse(c, "an unfinished number");
        while (is_digit(c)) c->at++;
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++, fraction = true;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) c->at++;
        if (!is_digit(c)) return refuse(c, "an unfinished number");
        while (is_digit(c)) c->at++;
    }
    size_t length = (size_t)(c->at - digits);
    if (length > 4000 || ((fraction || length > 300) && isinf(rl_f64_parse((rl_str_t){digits, length})))) {
        c->at = start;
        return refuse(c, "a number out of range");
    }
    rl_buf_add(c->out, (rl_str_t){start, (size_t)(c->at - start)});
    return true;
}

static bool copy_word(compactor_t* c, rl_str_t word) {
    if ((size_t)(c->end - c->at) < word.length || memcmp(c->at, word.data, word.length) != 0) {
        return refuse(c, "an unknown word");
    }
    c->at += word.length;
    rl_buf_add(c->out, word);
    return true;
}

static bool copy_scalar(compactor_t* c) {
    if (c->at == c->end) return refuse(c, "it does not end");
    switch (*c->at) {
    case '"': return copy_string(c);
    case 't': return copy_word(c, RL_STR("true"));
    case 'f': return copy_word(c, RL_STR("false"));
    case 'n': return copy_word(c, RL_STR("null"));
    default: return copy_number(c);
    }
}

/* `"key":`; the key is noted. */
static bool copy_key(compactor_t* c) {
    member_t key = {.at = c->out->length};
    skip_space(c);
    if (!copy_string(c)) return false;
    key.key_end = c->out->length;
    skip_space(c);
    if (c->at == c->end || *c->at != ':') return refuse(c, "a `:` is missing");
    c->at++;
    rl_buf_add_char(c->out, ':');
    if (c->out->failed || !rl_vec_push(c->out->allocator, &c->keys, key)) return no_memory(c);
    return true;
}

static bool keys_are_unique(compactor_t* c, uint32_t first) {
    member_t* keys = c->keys.data + first;
    size_t count = c->keys.count - first;
    sort_members(c->out->data, keys, count);
    for (size_t i = 1; i < count; i++) {
        if (compare_keys(c->out->data, &keys[i - 1], &keys[i]) == 0) {
            size_t length = keys[i].key_end - keys[i].at - 2;
            return refuse(
                c, "the key `%.*s` appears twice", (int)(length < 80 ? length : 80), c->out->data + keys[i].at + 1);
        }
    }
    return true;
}

/* One object, nested containers on a stack of our own. */
static bool compact_object(compactor_t* c) {
    struct {
        bool object;
        uint32_t first_key; /* in c->keys */
    } open[RL_RECORD_DEPTH_MOST];
    unsigned depth = 0;
    skip_space(c);
    if (c->at == c->end || *c->at != '{') return refuse(c, "a JSON object is expected");

value:
    skip_space(c);
    if (c->at < c->end && (*c->at == '{' || *c->at == '[')) {
        if (depth == RL_RECORD_DEPTH_MOST) return refuse(c, "nested more than %u deep", RL_RECORD_DEPTH_MOST);
        bool object = *c->at == '{';
        open[depth].object = object;
        open[depth++].first_key = c->keys.count;
        rl_buf_add_char(c->out, *c->at++);
        skip_space(c);
        if (c->at < c->end && *c->at == (object ? '}' : ']')) goto close;
        if (object && !copy_key(c)) return false;
        goto value;
    }
    if (!copy_scalar(c)) return false;

after:
    if (c->out->failed) return no_memory(c);
    if (depth == 1) { /* the member that just ended */
        member_t member = c->keys.data[c->keys.count - 1];
        member.end = c->out->length;
        if (!rl_vec_push(c->out->allocator, c->top, member)) return no_memory(c);
    }
    skip_space(c);
    if (c->at == c->end) return refuse(c, "it does not end");
    if (*c->at == ',') {
        rl_buf_add_char(c->out, *c->at++);
        if (open[depth - 1].object && !copy_key(c)) return false;
        goto value;
    }
    if (*c->at != (open[depth - 1].object ? '}' : ']')) return refuse(c, "a `,` or an end is missing");

close:
    if (open[depth - 1].object && !keys_are_unique(c, open[depth - 1].first_key)) return false;
    c->keys.count = open[depth - 1].first_key;
    rl_buf_add_char(c->out, *c->at++);
    if (--depth > 0) goto after;
    skip_space(c);
    if (c->at < c->end) return refuse(c, "something follows the object");
    return c->out->failed ? no_memory(c) : true;
}

/* Append `text`, one object, to `out`; its members, as places in out, to `top`. */
static rl_audit_result_t compact(rl_str_t text, const char* what, rl_buf_t* out, members_t* top, char* problem) {
    compactor_t c = {.start = text.data,
        .at = text.data,
        .end = text.data + text.length,
        .out = out,
        .top = top,
        .what = what,
        .problem = problem};
    size_t bad = rl_utf8_validate(text);
    bool done;
    if (bad != text.length) {
        c.at += bad;
        done = refuse(&c, "not UTF-8");
    } else {
        done = compact_object(&c);
    }
    rl_vec_deinit(out->allocator, &c.keys);
    return done ? RL_AUDIT_OK : c.out_of_memory ? RL_AUDIT_NO_MEMORY : RL_AUDIT_INVALID;
}

/* --- the parts of a record ------------------------------------------------------------------------------------ */

static rl_audit_result_t invalid(char problem[256], const char* what) {
    snprintf(problem, 256, "%s", what);
    return RL_AUDIT_INVALID;
}

static bool is_word(rl_str_t text) {
    if (text.length > RL_RECORD_TEXT_MOST || rl_utf8_validate(text) != text.length) return false;
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F) return false;
    }
    return true;
}

static bool is_channel(rl_str_t text) {
    static const char* const channels[] = {"cli", "embed", "runtime", "bridge", "lsp", "ci"};
    for (size_t i = 0; i < RL_COUNT_OF(channels); i++) {
        if (rl_str_equal(text, rl_str(channels[i]))) return true;
    }
    return false;
}

/* Lower case, hyphenated, any version. */
static bool take_uuid(rl_str_t text, char out[37]) {
    if (text.length != 36) return false;
    for (size_t i = 0; i < 36; i++) {
        char d = text.data[i];
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? d != '-' : !((d >= '0' && d <= '9') || (d >= 'a' && d <= 'f'))) return false;
        out[i] = d;
    }
    out[36] = '\0';
    return true;
}

static void make_uuid(const rl_env_t* env, char out[37]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char id[16];
    if (!env->random(env->user, id, sizeof id)) {
        uint64_t words[2] = {rl_os_ticks(), (uint64_t)env->wall_ns(env->user)};
        memcpy(id, words, sizeof id);
    }
    id[6] = (unsigned char)((id[6] & 0x0F) | 0x40);
    id[8] = (unsigned char)((id[8] & 0x3F) | 0x80);
    char* at = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
        *at++ = digits[id[i] >> 4];
        *at++ = digits[id[i] & 15];
    }
    *at = '\0';
}

/* RFC 3339, UTC: `2026-03-02T08:15:00Z`, up to nine digits of a fraction. */
static bool is_timestamp(rl_str_t text) {
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    const char* t = text.data;
    if (text.length < 20 || text.length > 30 || t[text.length - 1] != 'Z') return false;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] == 'd' ? t[i] < '0' || t[i] > '9' : t[i] != form[i]) return false;
    }
    for (size_t i = sizeof form; i < text.length - 1; i++) {
        if (t[i] < '0' || t[i] > '9') return false;
    }
    if (text.length > 20 && (t[19] != '.' || text.length == 21)) return false;
    int month = (t[5] - '0') * 10 + t[6] - '0', day = (t[8] - '0') * 10 + t[9] - '0';
    return month >= 1 && month <= 12 && day >= 1 && day <= 31 && t[11] <= '2' && (t[11] < '2' || t[12] <= '3') &&
           t[14] <= '5' && t[17] <= '6' && (t[17] < '6' || t[18] == '0');
}

static void add_string(rl_buf_t* out, rl_str_t text) {
    rl_buf_add_char(out, '"');
    for (size_t i = 0; i < text.length;) put_scalar(out, rl_utf8_next(text, &i));
    rl_buf_add_char(out, '"');
}

static rl_str_t key_of(const rl_buf_t* text, const member_t* member) {
    return (rl_str_t){text->data + member->at + 1, member->key_end - member->at - 2};
}

static bool comes_after(rl_str_t key, const char* name) {
    size_t length = strlen(name), common = key.length < length ? key.length : length;
    int order = memcmp(key.data, name, common);
    return order > 0 || (order == 0 && key.length > length);
}

static bool is_given_here(rl_str_t key) {
    static const char* const ours[] = {
        "audit.channel", "audit.policy.version", "audit.sequence", "event.kind", "schema.version"};
    for (size_t i = 0; i < RL_COUNT_OF(ours); i++) {
        if (rl_str_equal(key, rl_str(ours[i]))) return true;
    }
    return key.length >= 12 && memcmp(key.data, "audit.chain.", 12) == 0;
}

/* Members of the metadata, in `parts`, sorted and without those that appear twice (the first one counts). */
static rl_audit_result_t collect_members(
    const rl_host_record_t* record, rl_str_t command, rl_buf_t* parts, members_t* members, char problem[256]) {
    rl_audit_result_t result = RL_AUDIT_OK;
    rl_allocator_t* allocator = parts->allocator;
    if (record->metadata.length > 0) result = compact(record->metadata, "metadata", parts, members, problem);
    for (uint32_t i = 0; result == RL_AUDIT_OK && i < members->count; i++) {
        rl_str_t key = key_of(parts, &members->data[i]);
        if (!is_given_here(key)) continue;
        snprintf(
            problem, 256, "metadata: the library gives `%.*s`", (int)(key.length < 80 ? key.length : 80), key.data);
        return RL_AUDIT_INVALID;
    }
    if (result == RL_AUDIT_OK && command.length > 0) {
        rl_buf_t object;
        uint32_t own = members->count;
        rl_buf_init(&object, allocator);
        rl_buf_add_char(&object, '{');
        rl_buf_add(&object, command);
        rl_buf_add_char(&object, '}');
        result = object.failed ? RL_AUDIT_NO_MEMORY : compact(rl_buf_str(&object), "command", parts, members, problem);
        rl_buf_deinit(&object);
        uint32_t kept = own;
        for (uint32_t i = own; result == RL_AUDIT_OK && i < members->count; i++) {
            bool named = false;
            for (uint32_t j = 0; j < own && !named; j++) {
                named = compare_keys(parts->data, &members->data[i], &members->data[j]) == 0;
            }
            if (!named) members->data[kept++] = members->data[i];
        }
        if (result == RL_AUDIT_OK) members->count = kept;
    }
    if (result != RL_AUDIT_OK) return result;

    const struct {
        const char* key;
        rl_str_t value;
    } ours[] = {{"audit.channel", record->channel.length > 0 ? record->channel : RL_STR("runtime")},
        {"audit.policy.version", RL_STR("rust.poc.audit.v1")}, {"event.kind", record->kind},
        {"schema.version", RL_STR("3.0.0-alpha")}};
    for (size_t i = 0; i < RL_COUNT_OF(ours); i++) {
        member_t member = {.at = parts->length};
        add_string(parts, rl_str(ours[i].key));
        member.key_end = parts->length;
        rl_buf_add_char(parts, ':');
        add_string(parts, ours[i].value);
        member.end = parts->length;
        if (parts->failed || !rl_vec_push(allocator, members, member)) return RL_AUDIT_NO_MEMORY;
    }
    sort_members(parts->data, members->data, members->count);
    return RL_AUDIT_OK;
}

static rl_audit_result_t check_texts(const rl_host_record_t* record, char problem[256]) {
    size_t bytes = record->metadata.length + record->change_set.length + record->extensions.length;
    if (record->kind.length == 0) return invalid(problem, "kind: it is missing");
    if (!is_word(record->kind)) return invalid(problem, "kind: not a short text in one line");
    if (!is_word(record->category)) return invalid(problem, "category: not a short text in one line");
    if (!is_word(record->capability)) return invalid(problem, "capability: not a short text in one line");
    if (record->channel.length > 0 && !is_channel(record->channel)) {
        return invalid(problem, "channel: not one of cli, embed, runtime, bridge, lsp, ci");
    }
    if (record->timestamp.length > 0 && !is_timestamp(record->timestamp)) {
        return invalid(problem, "timestamp: not of the form 2026-03-02T08:15:00Z");
    }
    if (bytes > RL_RECORD_BYTES_MOST) return invalid(problem, "the record is larger than 4 MiB");
    return RL_AUDIT_OK;
}

static void write_line(const rl_host_record_t* record, const rl_env_t* env, const rl_buf_t* parts,
    const members_t* members, rl_str_t change_set, rl_str_t extensions, rl_ready_record_t* ready, rl_buf_t* line) {
    char time[32];
    size_t time_length = 0;
    if (record->timestamp.length == 0) time_length = rl_os_print_rfc3339(env->wall_ns(env->user), time);
    rl_buf_add_cstr(line, "{\"timestamp\":\"");
    rl_buf_add(line, time_length > 0 ? (rl_str_t){time, time_length} : record->timestamp);
    rl_buf_add_cstr(line, "\"");
    if (record->category.length > 0) {
        rl_buf_add_cstr(line, ",\"category\":");
        add_string(line, record->category);
    }
    rl_buf_add_cstr(line, ",\"envelope\":{\"audit_id\":\"");
    rl_buf_add_cstr(line, ready->audit_id);
    rl_buf_add_cstr(line, "\"");
    if (change_set.length > 0) {
        rl_buf_add_cstr(line, ",\"change_set\":");
        rl_buf_add(line, change_set);
    }
    if (record->capability.length > 0) {
        rl_buf_add_cstr(line, ",\"capability\":");
        add_string(line, record->capability);
    }
    rl_buf_add_cstr(line, ",\"metadata\":{");
    ready->chain_at = ready->sequence_at = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const member_t* member = &members->data[i];
        rl_str_t key = key_of(parts, member);
        if (i > 0) rl_buf_add_char(line, ',');
        /* The members of the chain stand in front of the first key behind them: there is always one. */
        if (!ready->chain_at && comes_after(key, "audit.chain.hash")) ready->chain_at = line->length;
        if (!ready->sequence_at && comes_after(key, "audit.sequence")) ready->sequence_at = line->length;
        rl_buf_add(line, (rl_str_t){parts->data + member->at, member->end - member->at});
    }
    rl_buf_add_cstr(line, "}}");
    if (extensions.length > 0) {
        rl_buf_add_cstr(line, ",\"extensions\":");
        rl_buf_add(line, extensions);
    }
    rl_buf_add_cstr(line, "}");
}

rl_audit_result_t rl_record_prepare(rl_allocator_t* allocator, const rl_env_t* env, const rl_host_record_t* record,
    rl_str_t command, rl_ready_record_t* out_ready, char problem[256]) {
    memset(out_ready, 0, sizeof *out_ready);
    rl_audit_result_t result = check_texts(record, problem);
    if (result != RL_AUDIT_OK) return result;
    if (record->audit_id.length == 0) {
        make_uuid(env, out_ready->audit_id);
    } else if (!take_uuid(record->audit_id, out_ready->audit_id)) {
        return invalid(problem, "audit_id: not a lower-case UUID");
    }

    members_t members = {0}, ignored = {0};
    rl_buf_t parts, change_set, extensions, line;
    rl_buf_init(&parts, allocator);
    rl_buf_init(&change_set, allocator);
    rl_buf_init(&extensions, allocator);
    rl_buf_init(&line, allocator);
    result = collect_members(record, command, &parts, &members, problem);
    if (result == RL_AUDIT_OK && record->change_set.length > 0) {
        result = compact(record->change_set, "change_set", &change_set, &ignored, problem);
    }
    ignored.count = 0;
    if (result == RL_AUDIT_OK && record->extensions.length > 0) {
        result = compact(record->extensions, "extensions", &extensions, &ignored, problem);
    }
    if (result == RL_AUDIT_OK) {
        write_line(record, env, &parts, &members, rl_buf_str(&change_set), rl_buf_str(&extensions), out_ready, &line);
        if (line.failed) result = RL_AUDIT_NO_MEMORY;
        if (result == RL_AUDIT_OK && line.length > RL_RECORD_BYTES_MOST) {
            result = invalid(problem, "the record is larger than 4 MiB");
        }
    }
    if (result == RL_AUDIT_OK) {
        out_ready->allocator = allocator;
        out_ready->text = line.data;
        out_ready->length = line.length;
        out_ready->capacity = line.capacity;
    } else {
        rl_buf_deinit(&line);
    }
    rl_vec_deinit(allocator, &members);
    rl_vec_deinit(allocator, &ignored);
    rl_buf_deinit(&parts);
    rl_buf_deinit(&change_set);
    rl_buf_deinit(&extensions);
    return result;
}

bool rl_record_copy(rl_allocator_t* allocator, const rl_ready_record_t* from, rl_ready_record_t* out_copy) {
    *out_copy = *from;
    out_copy->allocator = allocator;
    out_copy->capacity = from->length;
    out_copy->text = rl_alloc(allocator, from->length);
    if (!out_copy->text) return false;
    memcpy(out_copy->text, from->text, from->length);
    return true;
}

void rl_record_deinit(rl_ready_record_t* ready) {
    if (ready->text) rl_free(ready->allocator, ready->text, ready->capacity);
    ready->text = NULL;
}

bool rl_record_chained(const rl_ready_record_t* ready, rl_audit_chain_t* chain, rl_buf_t* out) {
    static const char hash_key[] = "\"audit.chain.hash\":\"", previous_key[] = "\"audit.chain.previous\":\"";
    size_t start = out->length;
    if (!rl_buf_reserve(out, ready->length + 2 * RL_SHA256_HEX + 128)) return false;
    rl_buf_add(out, (rl_str_t){ready->text, ready->chain_at});
    size_t hash_at = out->length;
    rl_buf_add_cstr(out, hash_key);
    size_t digits_at = out->length;
    rl_buf_add_repeat(out, '0', RL_SHA256_HEX);
    rl_buf_add_cstr(out, "\",");
    size_t after_hash = out->length;
    rl_buf_add_cstr(out, previous_key);
    rl_buf_add(out, (rl_str_t){chain->head, RL_SHA256_HEX});
    rl_buf_add_cstr(out, "\",");
    rl_buf_add(out, (rl_str_t){ready->text + ready->chain_at, ready->sequence_at - ready->chain_at});
    rl_buf_add_cstr(out, "\"audit.sequence\":");
    rl_buf_add_u64(out, chain->sequence + 1);
    rl_buf_add_char(out, ',');
    rl_buf_add(out, (rl_str_t){ready->text + ready->sequence_at, ready->length - ready->sequence_at});
    if (out->failed) {
        out->length = start;
        return false;
    }
    unsigned char digest[RL_SHA256_BYTES];
    rl_sha256_t sha;
    rl_sha256_init(&sha);
    rl_sha256_update(&sha, out->data + start, hash_at - start);
    rl_sha256_update(&sha, out->data + after_hash, out->length - after_hash);
    rl_sha256_final(&sha, digest);
    rl_sha256_hex(digest, chain->head);
    memcpy(out->data + digits_at, chain->head, RL_SHA256_HEX);
    chain->sequence++;
    return true;
}
