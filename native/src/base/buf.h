/*
 * A growable run of bytes: text being built. Appending past memory or past `limit` sets `failed` and drops the rest,
 * so that a chain of appends is checked once at its end.
 */
#ifndef RL_BUF_H
#define RL_BUF_H

#include "base/alloc.h"

#include <stdarg.h>

typedef struct rl_buf {
    rl_allocator_t* allocator;
    char* data;
    size_t length, capacity;
    size_t limit; /* most bytes; 0: none */
    bool failed;
} rl_buf_t;

void rl_buf_init(rl_buf_t* buf, rl_allocator_t* allocator);
void rl_buf_deinit(rl_buf_t* buf);
static inline void rl_buf_clear(rl_buf_t* buf) {
    buf->length = 0;
    buf->failed = false;
}
bool rl_buf_reserve(rl_buf_t* buf, size_t extra);
void rl_buf_add(rl_buf_t* buf, rl_str_t text);
void rl_buf_add_char(rl_buf_t* buf, char c);
void rl_buf_add_cstr(rl_buf_t* buf, const char* text);
void rl_buf_add_repeat(rl_buf_t* buf, char c, size_t count);
void rl_buf_add_utf8(rl_buf_t* buf, uint32_t scalar);
void rl_buf_add_i64(rl_buf_t* buf, int64_t value);
void rl_buf_add_u64(rl_buf_t* buf, uint64_t value);
void rl_buf_add_f64(rl_buf_t* buf, double value); /* as LANGUAGE 8.2 displays a Float */
void rl_buf_printf(rl_buf_t* buf, const char* format, ...)
    RL_PRINTF(2, 3); /* C locale numbers only: %d %u %s %.*s %x %c and PRI… */
void rl_buf_vprintf(rl_buf_t* buf, const char* format, va_list arguments);
static inline rl_str_t rl_buf_str(const rl_buf_t* buf) { return (rl_str_t){buf->data, buf->length}; }
/* NUL-terminated view of the content; "" when empty or failed before any byte. */
const char* rl_buf_cstr(rl_buf_t* buf);

#endif
