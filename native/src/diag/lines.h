/*
 * Offsets turned into lines and columns. Many look-ups in one source: an index of line starts and the last column are
 * remembered, so that a hundred diagnostics in one huge line stay cheap. Without memory it counts from the start.
 *
 * Lifetime: while the source lives. Line ends are LF, CRLF and lone CR; a leading byte order mark has no column.
 */
#ifndef RL_LINES_H
#define RL_LINES_H

#include "diag/diag.h"

typedef struct rl_lines {
    rl_allocator_t* allocator; /* NULL: no index is built */
    rl_str_t source;
    RL_VEC(uint32_t) starts;
    bool indexed;
    uint32_t seen_start, seen_offset, seen_column; /* a cluster that starts at seen_offset in the line of seen_start */
} rl_lines_t;

typedef struct rl_line {
    uint32_t number; /* 1-based */
    uint32_t start;  /* offset of its first byte */
    rl_str_t text;   /* without its line end */
} rl_line_t;

rl_lines_t rl_lines_of(rl_str_t source, rl_allocator_t* allocator_or_null);
void rl_lines_deinit(rl_lines_t* lines);
rl_line_t rl_lines_line_at(rl_lines_t* lines, uint32_t offset); /* offsets past the end: the last line */
rl_position_t rl_lines_position(rl_lines_t* lines, uint32_t offset);

#endif
