#include "base/json.h"

#include "base/utf8.h"

#include <math.h>

static void before_value(rl_json_t* json) {
    if (json->need_comma) rl_buf_add_char(json->out, ',');
    json->need_comma = true;
}

static void open_with(rl_json_t* json, char bracket) {
    before_value(json);
    rl_buf_add_char(json->out, bracket);
    json->need_comma = false;
}

static void close_with(rl_json_t* json, char bracket) {
    rl_buf_add_char(json->out, bracket);
    json->need_comma = true;
}

void rl_json_object_begin(rl_json_t* json) { open_with(json, '{'); }
void rl_json_object_end(rl_json_t* json) { close_with(json, '}'); }
void rl_json_array_begin(rl_json_t* json) { open_with(json, '['); }
void rl_json_array_end(rl_json_t* json) { close_with(json, ']'); }

void rl_json_key(rl_json_t* json, const char* key) { rl_json_key_str(json, rl_str(key)); }

void rl_json_key_str(rl_json_t* json, rl_str_t key) {
    rl_json_string(json, key);
    rl_buf_add_char(json->out, ':');
    json->need_comma = false;
}

static void add_escaped(rl_buf_t* out, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    size_t length = 2;
    switch (c) {
    case '"': text[1] = '"'; break;
    case '\\': text[1] = '\\'; break;
    case '\n': text[1] = 'n'; break;
    case '\r': text[1] = 'r'; break;
    case '\t': text[1] = 't'; break;
    case '\b': text[1] = 'b'; break;
    case '\f': text[1] = 'f'; break;
    default: length = 6;
    }
    rl_buf_add(out, (rl_str_t){text, length});
}

void rl_json_string(rl_json_t* json, rl_str_t text) {
    before_value(json);
    rl_buf_t* out = json->out;
    rl_buf_add_char(out, '"');
    size_t done = 0, i = 0; /* text[done..i) is ready to be copied as it is */
    while (i < text.length && !out->failed) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t start = i;
        if (c >= 0x80) {
            if (rl_utf8_next(text, &i) != RL_UTF8_INVALID) continue;
        } else {
            i++;
        }
        rl_buf_add(out, (rl_str_t){text.data + done, start - done});
        if (c >= 0x80) {
            rl_buf_add_utf8(out, 0xFFFD);
        } else {
            add_escaped(out, c);
        }
        done = i;
    }
    if (done < i) rl_buf_add(out, (rl_str_t){text.data + done, i - done});
    rl_buf_add_char(out, '"');
}

void rl_json_i64(rl_json_t* json, int64_t value) {
    before_value(json);
    rl_buf_add_i64(json->out, value);
}

void rl_json_u64(rl_json_t* json, uint64_t value) {
    before_value(json);
    rl_buf_add_u64(json->out, value);
}

void rl_json_f64(rl_json_t* json, double value) {
    if (!isfinite(value)) {
        rl_json_null(json);
        return;
    }
    before_value(json);
    rl_buf_add_f64(json->out, value);
}

void rl_json_bool(rl_json_t* json, bool value) { rl_json_raw(json, value ? RL_STR("true") : RL_STR("false")); }
void rl_json_null(rl_json_t* json) { rl_json_raw(json, RL_STR("null")); }

void rl_json_raw(rl_json_t* json, rl_str_t ready) {
    before_value(json);
    rl_buf_add(json->out, ready);
}

void rl_json_member(rl_json_t* json, const char* key, rl_str_t text) {
    rl_json_key(json, key);
    rl_json_string(json, text);
}
