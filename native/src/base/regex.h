/*
 * Regular expressions of regex patterns (LANGUAGE 5.7): does a whole text match? Time is linear in the text for every
 * pattern: a small deterministic automaton made at load where that stays small, else a simulation of all threads at
 * once. There are no back-references.
 *
 * A compiled pattern is a run of bytes without pointers, so it is an ordinary constant of a program.
 */
#ifndef RL_REGEX_H
#define RL_REGEX_H

#include "base/buf.h"

typedef struct rl_regex_error {
    uint32_t offset, length; /* of what is wrong, in bytes of the pattern */
    const char* message;
} rl_regex_error_t;

/* False: the pattern is wrong (`*out_error` says how), or memory was short (message NULL, allocator->failed). */
bool rl_regex_compile(rl_allocator_t* allocator, rl_str_t pattern, rl_buf_t* out_program, rl_regex_error_t* out_error);

typedef enum rl_regex_result { RL_REGEX_NO, RL_REGEX_YES, RL_REGEX_STOPPED, RL_REGEX_NO_MEMORY } rl_regex_result_t;
/* Work done is told to `charge` from time to time; when it answers false the match is given up. Text that is not UTF-8
   does not match. */
typedef bool (*rl_regex_charge_fn)(void* user, uint64_t steps);
rl_regex_result_t rl_regex_match(
    rl_allocator_t* allocator, rl_str_t program, rl_str_t text, rl_regex_charge_fn charge, void* user);

/* --- the form of a compiled pattern: 32-bit words in the order of the machine --------------------------------------- */
/*
 * Code points are told apart only as far as the pattern does: they fall into `symbols` intervals. Header, then
 *   uint16 ascii[128]          symbol of each ASCII character
 *   starts[symbols]            first code point of each interval
 *   nodes[nodes][3]            op, x, y
 *   ranges[ranges][2]          symbols first … last
 *   accepting[(states+31)/32]  bit set
 *   uint16 next[states][symbols]   state 0 has no way on; the first is 1
 */
typedef struct rl_regex_header {
    uint32_t nodes, symbols, ranges, states; /* states 0: simulate the nodes */
} rl_regex_header_t;

typedef enum rl_regex_op {
    RL_REGEX_SET,   /* one code point of ranges[x … x + y - 1], then the next node */
    RL_REGEX_SPLIT, /* go on at x and at y */
    RL_REGEX_JUMP,  /* x */
    RL_REGEX_BEGIN, /* assertions, then the next node */
    RL_REGEX_END,
    RL_REGEX_WORD_EDGE,
    RL_REGEX_MATCH
} rl_regex_op_t;

enum { RL_REGEX_NODES = 10000, RL_REGEX_SYMBOLS = 60000 };

static inline bool rl_regex_is_word(uint32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

#endif
