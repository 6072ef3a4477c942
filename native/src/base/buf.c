#include "base/buf.h"

#include "base/number.h"
#include "base/utf8.h"

#include <stdio.h>

#define FIRST_CAPACITY 64

void rl_buf_init(rl_buf_t* buf, rl_allocator_t* allocator) { *buf = (rl_buf_t){.allocator = allocator}; }

void rl_buf_deinit(rl_buf_t* buf) {
    rl_free(buf->allocator, buf->data, buf->capacity);
    *buf = (rl_buf_t){.allocator = buf->allocator, .limit = buf->limit};
}

/* Invariant: capacity > length whenever there is a block, so that a NUL always fits behind the content. */
static bool grow(rl_buf_t* buf, size_t needed) {
    size_t wanted = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity;
    if (wanted <= SIZE_MAX / 2) wanted += wanted / 2;
    if (wanted < needed) wanted = needed;
    char* moved = rl_resize(buf->allocator, buf->data, buf->capacity, wanted);
    if (!moved) {
        buf->failed = true;
        return false;
    }
    buf->data = moved;
    buf->capacity = wanted;
    return true;
}

bool rl_buf_reserve(rl_buf_t* buf, size_t extra) {
    if (buf->failed) return false;
    bool over_limit = buf->limit && (buf->length > buf->limit || extra > buf->limit - buf->length);
    if (over_limit || extra > PTRDIFF_MAX - 1 - buf->length) {
        buf->failed = true;
        return false;
    }
    size_t needed = buf->length + extra + 1;
    return RL_LIKELY(needed <= buf->capacity) || grow(buf, needed);
}

void rl_buf_add(rl_buf_t* buf, rl_str_t text) {
    if (text.length == 0 || !rl_buf_reserve(buf, text.length)) return;
    memcpy(buf->data + buf->length, text.data, text.length);
    buf->length += text.length;
}

void rl_buf_add_char(rl_buf_t* buf, char c) {
    if (!rl_buf_reserve(buf, 1)) return;
    buf->data[buf->length++] = c;
}

void rl_buf_add_cstr(rl_buf_t* buf, const char* text) { rl_buf_add(buf, rl_str(text)); }

void rl_buf_add_repeat(rl_buf_t* buf, char c, size_t count) {
    if (count == 0 || !rl_buf_reserve(buf, count)) return;
    memset(buf->data + buf->length, c, count);
    buf->length += count;
}

void rl_buf_add_utf8(rl_buf_t* buf, uint32_t scalar) {
    char bytes[4];
    rl_buf_add(buf, (rl_str_t){bytes, rl_utf8_encode(scalar, bytes)});
}

void rl_buf_add_i64(rl_buf_t* buf, int64_t value) {
    char text[24];
    rl_buf_add(buf, (rl_str_t){text, rl_i64_print(value, text)});
}

void rl_buf_add_u64(rl_buf_t* buf, uint64_t value) {
    char text[24];
    rl_buf_add(buf, (rl_str_t){text, rl_u64_print(value, text)});
}

void rl_buf_add_f64(rl_buf_t* buf, double value) {
    char text[RL_F64_TEXT];
    rl_buf_add(buf, (rl_str_t){text, rl_f64_print(value, text)});
}

void rl_buf_printf(rl_buf_t* buf, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    rl_buf_vprintf(buf, format, arguments);
    va_end(arguments);
}

void rl_buf_vprintf(rl_buf_t* buf, const char* format, va_list arguments) {
    if (buf->failed) return;
    char small[256];
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(small, sizeof small, format, arguments);
    if (length < 0) {
        buf->failed = true;
    } else if ((size_t)length < sizeof small) {
        rl_buf_add(buf, (rl_str_t){small, (size_t)length});
    } else if (rl_buf_reserve(buf, (size_t)length)) {
        vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
        buf->length += (size_t)length;
    }
    va_end(again);
}

const char* rl_buf_cstr(rl_buf_t* buf) {
    if (!buf->data) return "";
    buf->data[buf->length] = '\0';
    return buf->data;
}
