/*
 * JSON written piece by piece into a buffer: compact, valid UTF-8, no NaN. The caller keeps the order of keys.
 * Commas are placed by the writer.
 */
#ifndef RL_JSON_H
#define RL_JSON_H

#include "base/buf.h"

typedef struct rl_json {
    rl_buf_t* out;
    bool need_comma;
} rl_json_t;

static inline rl_json_t rl_json_begin(rl_buf_t* out) { return (rl_json_t){out, false}; }
void rl_json_object_begin(rl_json_t* json);
void rl_json_object_end(rl_json_t* json);
void rl_json_array_begin(rl_json_t* json);
void rl_json_array_end(rl_json_t* json);
void rl_json_key(rl_json_t* json, const char* key);
void rl_json_key_str(rl_json_t* json, rl_str_t key);
void rl_json_string(rl_json_t* json, rl_str_t text); /* escapes; bytes that are not UTF-8 become U+FFFD */
void rl_json_i64(rl_json_t* json, int64_t value);
void rl_json_u64(rl_json_t* json, uint64_t value);
void rl_json_f64(rl_json_t* json, double value); /* NaN and infinities: null */
void rl_json_bool(rl_json_t* json, bool value);
void rl_json_null(rl_json_t* json);
void rl_json_raw(rl_json_t* json, rl_str_t ready); /* a complete JSON value made elsewhere */
/* key + string in one */
void rl_json_member(rl_json_t* json, const char* key, rl_str_t text);

#endif
