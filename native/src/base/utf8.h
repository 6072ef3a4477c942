/* UTF-8: strict decoding (no surrogates, no overlong forms, at most U+10FFFF), counting, walking. */
#ifndef RL_UTF8_H
#define RL_UTF8_H

#include "base/base.h"

#define RL_UTF8_INVALID 0xFFFFFFFFu

/* Decode the scalar at text[*offset] and move past it. Invalid: RL_UTF8_INVALID, *offset moves to the next possible lead byte. */
uint32_t rl_utf8_next(rl_str_t text, size_t* offset);
/* Decode from text that is known to be valid. */
uint32_t rl_utf8_next_valid(const char* data, size_t* offset);
size_t rl_utf8_encode(uint32_t scalar, char out[4]); /* bytes written */
/* Offset of the first bad byte, or text.length when all is valid. Eight ASCII bytes a step. */
size_t rl_utf8_validate(rl_str_t text);
bool rl_utf8_is_ascii(rl_str_t text);
size_t rl_utf8_count(rl_str_t valid_text);                              /* code points */
size_t rl_utf8_offset_of(rl_str_t valid_text, size_t code_point_index); /* byte offset, clamped to length */

#endif
