#include "base/utf8.h"

#define HIGH_BITS 0x8080808080808080u

static bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }
static bool can_lead(unsigned char byte) { return byte < 0x80 || (byte >= 0xC2 && byte <= 0xF4); }

/* Length of the well-formed sequence at p (Unicode table 3-7), 0 when there is none. `left` is at least 1. */
static size_t sequence_length(const unsigned char* p, size_t left) {
    unsigned char lead = p[0];
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) return left >= 2 && is_continuation(p[1]) ? 2 : 0;
    if (lead < 0xF0) {
        if (left < 3 || !is_continuation(p[1]) || !is_continuation(p[2])) return 0;
        if (lead == 0xE0 && p[1] < 0xA0) return 0;  /* overlong */
        if (lead == 0xED && p[1] >= 0xA0) return 0; /* surrogate */
        return 3;
    }
    if (lead > 0xF4 || left < 4 || !is_continuation(p[1]) || !is_continuation(p[2]) || !is_continuation(p[3])) return 0;
    if (lead == 0xF0 && p[1] < 0x90) return 0;
    if (lead == 0xF4 && p[1] >= 0x90) return 0;
    return 4;
}

static uint32_t decode(const unsigned char* p, size_t length) {
    switch (length) {
    case 1: return p[0];
    case 2: return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3F);
    case 3: return (uint32_t)(p[0] & 0x0F) << 12 | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    default:
        return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3F) << 12 | (uint32_t)(p[2] & 0x3F) << 6 |
               (p[3] & 0x3F);
    }
}

uint32_t rl_utf8_next(rl_str_t text, size_t* offset) {
    if (*offset >= text.length) return RL_UTF8_INVALID;
    const unsigned char* p = (const unsigned char*)text.data + *offset;
    size_t length = sequence_length(p, text.length - *offset);
    if (length) {
        *offset += length;
        return decode(p, length);
    }
    ++*offset;
    while (*offset < text.length && !can_lead((unsigned char)text.data[*offset])) ++*offset;
    return RL_UTF8_INVALID;
}

uint32_t rl_utf8_next_valid(const char* data, size_t* offset) {
    const unsigned char* p = (const unsigned char*)data + *offset;
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    *offset += length;
    return decode(p, length);
}

size_t rl_utf8_encode(uint32_t scalar, char out[4]) {
    if (scalar < 0x80) {
        out[0] = (char)scalar;
        return 1;
    }
    if (scalar < 0x800) {
        out[0] = (char)(0xC0 | scalar >> 6);
        out[1] = (char)(0x80 | (scalar & 0x3F));
        return 2;
    }
    /* What is no scalar value is written as the replacement character: the output is always valid. */
    if ((scalar >= 0xD800 && scalar <= 0xDFFF) || scalar > 0x10FFFF) scalar = 0xFFFD;
    if (scalar < 0x10000) {
        out[0] = (char)(0xE0 | scalar >> 12);
        out[1] = (char)(0x80 | (scalar >> 6 & 0x3F));
        out[2] = (char)(0x80 | (scalar & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | scalar >> 18);
    out[1] = (char)(0x80 | (scalar >> 12 & 0x3F));
    out[2] = (char)(0x80 | (scalar >> 6 & 0x3F));
    out[3] = (char)(0x80 | (scalar & 0x3F));
    return 4;
}

/* How many bytes from p on are surely ASCII, in steps of eight. */
static size_t ascii_words(const char* p, size_t left) {
    size_t i = 0;
    while (left - i >= 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        if (word & HIGH_BITS) break;
        i += 8;
    }
    return i;
}

size_t rl_utf8_validate(rl_str_t text) {
    size_t i = 0;
    while (i < text.length) {
        i += ascii_words(text.data + i, text.length - i);
        size_t stop = text.length - i < 64 ? text.length : i + 64; /* then look for ASCII runs again */
        while (i < stop) {
            size_t length = sequence_length((const unsigned char*)text.data + i, text.length - i);
            if (length == 0) return i;
            i += length;
        }
    }
    return text.length;
}

bool rl_utf8_is_ascii(rl_str_t text) {
    if (text.length == 0) return true;
    size_t i = ascii_words(text.data, text.length);
    if (text.length >= 8 && text.length - i < 8) { /* the rest with bytes that were looked at before */
        uint64_t word;
        memcpy(&word, text.data + text.length - 8, 8);
        return (word & HIGH_BITS) == 0;
    }
    for (; i < text.length; i++) {
        if ((unsigned char)text.data[i] >= 0x80) return false;
    }
    return true;
}

/* Number of bytes in the word that are not continuation bytes, that is, where a code point starts. */
static unsigned starts_in_word(const char* p) {
    uint64_t word;
    memcpy(&word, p, 8);
    uint64_t continuation = (word >> 7) & (~word >> 6) & 0x0101010101010101u;
    return 8 - (unsigned)((continuation * 0x0101010101010101u) >> 56);
}

size_t rl_utf8_count(rl_str_t valid_text) {
    size_t count = 0, i = 0;
    for (; valid_text.length - i >= 8; i += 8) count += starts_in_word(valid_text.data + i);
    for (; i < valid_text.length; i++) count += !is_continuation((unsigned char)valid_text.data[i]);
    return count;
}

size_t rl_utf8_offset_of(rl_str_t valid_text, size_t code_point_index) {
    size_t i = 0, left = code_point_index;
    for (; valid_text.length - i >= 8; i += 8) {
        unsigned starts = starts_in_word(valid_text.data + i);
        if (starts > left) break;
        left -= starts;
    }
    for (; i < valid_text.length; i++) {
        if (is_continuation((unsigned char)valid_text.data[i])) continue;
        if (left == 0) return i;
        left--;
    }
    return valid_text.length;
}
