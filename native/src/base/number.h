/* Numbers and text, independent of the locale, exact both ways. */
#ifndef RL_NUMBER_H
#define RL_NUMBER_H

#include "base/base.h"

#define RL_F64_TEXT 32 /* enough for rl_f64_print */

/* Shortest text that reads back to the same double, as LANGUAGE 8.2 displays a Float ("1.0", "1e300", "NaN", "-inf"). Bytes written. */
size_t rl_f64_print(double value, char out[RL_F64_TEXT]);
size_t rl_f32_print(float value, char out[RL_F64_TEXT]);
/* Correctly rounded; text must be digits [. digits] [e [sign] digits], `_` already removed. Overflow gives infinity. */
double rl_f64_parse(rl_str_t text);
/*
 * As C's printf does with conversion f e g E G (or F) in the C locale, whatever the locale is. `precision` below 0: 6.
 * `alternate` is the flag #. Answers the length of the whole text; at most capacity - 1 bytes and a NUL are written.
 */
size_t rl_f64_format(double value, char conversion, int precision, bool alternate, char* out, size_t capacity);
size_t rl_i64_print(int64_t value, char out[24]);
size_t rl_u64_print(uint64_t value, char out[24]);
/* Digits of `base` (2, 8, 10, 16), `_` already removed; false when it does not fit u64. */
bool rl_u64_parse(rl_str_t digits, unsigned base, uint64_t* out_value);

#endif
