/*
 * JSON text into a table of values: strict (RFC 8259, UTF-8, no duplicate keys, at most RL_JSON_DEPTH open containers), without
 * recursion. For documents that a host hands in; what a script reads is vm/core/json.c.
 */
#ifndef RL_JSON_READ_H
#define RL_JSON_READ_H

#include "base/arena.h"
#include "base/vec.h"

enum { RL_JSON_DEPTH = 64 };

typedef enum rl_json_kind {
    RL_JSON_NULL,
    RL_JSON_FALSE,
    RL_JSON_TRUE,
    RL_JSON_NUMBER,
    RL_JSON_TEXT,
    RL_JSON_LIST,
    RL_JSON_MAP
} rl_json_kind_t;

typedef struct rl_json_value {
    rl_json_kind_t kind;
    rl_str_t key;             /* member of a map: its name, decoded */
    rl_str_t text;            /* TEXT: decoded; NUMBER: as written. NUL-terminated, in the arena */
    rl_str_t written;         /* the value as it stands in what was read; borrowed from there */
    uint32_t first, next, up; /* items of a container, in order; 0: none */
    uint32_t count;           /* of items */
} rl_json_value_t;

/* values.data[1] is the document. */
typedef struct rl_json_doc {
    RL_VEC(rl_json_value_t) values;
    const char* problem; /* static text, when reading failed */
    size_t at;           /* byte offset of it */
} rl_json_doc_t;

/* False: `problem` says what is wrong at `at`; NULL: memory was short. Texts go to the arena; deinit in any case. */
bool rl_json_read(rl_json_doc_t* doc, rl_arena_t* arena, rl_str_t text);
void rl_json_doc_deinit(rl_json_doc_t* doc, rl_arena_t* arena);
static inline const rl_json_value_t* rl_json_at(const rl_json_doc_t* doc, uint32_t index) {
    return index ? &doc->values.data[index] : NULL;
}
/* The member of a map, 0 when it has none (or is none). */
uint32_t rl_json_find(const rl_json_doc_t* doc, uint32_t map, const char* key);
/* A number without sign, fraction and exponent that fits. */
bool rl_json_u64_of(const rl_json_value_t* value, uint64_t* out);

#endif
