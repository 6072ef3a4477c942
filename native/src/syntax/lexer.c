#include "syntax/lexer.h"

#include "base/normalize.h"
#include "base/number.h"
#include "base/unicode.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { MAX_REPORTS = 100 }; /* as many as one load may show */

typedef struct keyword {
    const char* text;
    uint8_t length, kind, word;
} keyword_t;

static const keyword_t KEYWORDS[] = {
#define KEYWORD(name, word_text) {word_text, sizeof(word_text) - 1, RL_TOK_##name, RL_WORD_NONE},
#define CONTEXT(name, word_text) {word_text, sizeof(word_text) - 1, RL_TOK_IDENT, RL_WORD_##name},
#include "syntax/token.def"
};

static const char* const TOKEN_TEXTS[] = {
#define TOKEN(name, shown)       shown,
#define KEYWORD(name, word_text) "`" word_text "`",
#include "syntax/token.def"
};
static const char* const TOKEN_NAMES[] = {
#define TOKEN(name, shown)       #name,
#define KEYWORD(name, word_text) #name,
#include "syntax/token.def"
};
_Static_assert(RL_COUNT_OF(TOKEN_TEXTS) == RL_TOKEN_KIND_COUNT, "a text for each token");
_Static_assert(RL_COUNT_OF(KEYWORDS) < 255, "chains are made of bytes");
#define KEYWORD(name, text) _Static_assert(sizeof(text) - 1 < 16, "lengths are bits of a 16-bit word");
#define CONTEXT             KEYWORD
#include "syntax/token.def"

typedef struct lexer {
    const rl_lexer_input_t* input;
    rl_tree_t* tree;
    rl_tokens_t* tokens;
    const char* text;
    uint32_t length;
    uint32_t at;
    uint32_t
        line_base; /* column = offset - line_base + 1; grows past the line start where clusters are longer than a byte */
    uint32_t errors;
    uint32_t errors_seen; /* of these, before the last token; the next one is marked when there are more */
    uint32_t first_token; /* count of *tokens at the start */
    uint32_t skip_from;   /* `#[`: number of the first token to drop at its `]`; UINT32_MAX: none */
    uint32_t skip_depth;
    bool nl_before;
    const uint32_t* map; /* as in the input */
    uint32_t base;
    uint16_t lengths[26]; /* of the keywords with that first letter: bit n for length n */
    uint8_t head[26];     /* keywords by first letter: 1 + index into KEYWORDS; 0: none */
    uint8_t next[RL_COUNT_OF(KEYWORDS)];
} lexer_t;

static inline uint32_t place(const lexer_t* l, uint32_t offset) {
    return RL_UNLIKELY(l->map != NULL) ? l->map[offset] : l->base + offset;
}

static rl_diag_t* report(lexer_t* l, rl_code_t code, uint32_t start, uint32_t end, const char* format, ...)
    RL_PRINTF(5, 6);
static rl_diag_t* report(lexer_t* l, rl_code_t code, uint32_t start, uint32_t end, const char* format, ...) {
    if (rl_code_severity(code) == RL_ERROR && ++l->errors > MAX_REPORTS) return NULL;
    char message[128];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return rl_report(l->input->diags, code, (rl_span_t){place(l, start), place(l, end)}, "%s", message);
}

/* --- characters ---------------------------------------------------------------------------------------------------- */

/* What a byte of ASCII can be, one bit each. */
enum { CLASS_START = 1, CLASS_CONTINUE = 2, CLASS_DIGIT = 4, CLASS_BLANK = 8 };
static const uint8_t CLASSES[256] = {[' '] = CLASS_BLANK,
    ['\t'] = CLASS_BLANK,
    ['\v'] = CLASS_BLANK,
    ['\f'] = CLASS_BLANK,
    ['_'] = CLASS_START | CLASS_CONTINUE,
#define DIGIT(c)  [c] = CLASS_DIGIT | CLASS_CONTINUE
#define LETTER(c) [c] = CLASS_START | CLASS_CONTINUE, [c - 'a' + 'A'] = CLASS_START | CLASS_CONTINUE
    DIGIT('0'),
    DIGIT('1'),
    DIGIT('2'),
    DIGIT('3'),
    DIGIT('4'),
    DIGIT('5'),
    DIGIT('6'),
    DIGIT('7'),
    DIGIT('8'),
    DIGIT('9'),
    LETTER('a'),
    LETTER('b'),
    LETTER('c'),
    LETTER('d'),
    LETTER('e'),
    LETTER('f'),
    LETTER('g'),
    LETTER('h'),
    LETTER('i'),
    LETTER('j'),
    LETTER('k'),
    LETTER('l'),
    LETTER('m'),
    LETTER('n'),
    LETTER('o'),
    LETTER('p'),
    LETTER('q'),
    LETTER('r'),
    LETTER('s'),
    LETTER('t'),
    LETTER('u'),
    LETTER('v'),
    LETTER('w'),
    LETTER('x'),
    LETTER('y'),
    LETTER('z')
#undef DIGIT
#undef LETTER
};

static bool is_digit(unsigned char c) { return (CLASSES[c] & CLASS_DIGIT) != 0; }
static bool is_ascii_continue(unsigned char c) { return (CLASSES[c] & CLASS_CONTINUE) != 0; }

static bool is_bidi_control(uint32_t c) {
    return c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/* Extended_Pictographic and the non-ASCII Emoji_Component of Unicode 15.1 (emoji-data.txt); stable since 13. */
static bool is_emoji_part(uint32_t c) {
    static const uint32_t ranges[][2] = {
        {0x00A9, 0x00A9},
        {0x00AE, 0x00AE},
        {0x200D, 0x200D},
        {0x203C, 0x203C},
        {0x2049, 0x2049},
        {0x20E3, 0x20E3},
        {0x2122, 0x2122},
        {0x2139, 0x2139},
        {0x2194, 0x2199},
        {0x21A9, 0x21AA},
        {0x231A, 0x231B},
        {0x2328, 0x2328},
        {0x2388, 0x2388},
        {0x23CF, 0x23CF},
        {0x23E9, 0x23F3},
        {0x23F8, 0x23FA},
        {0x24C2, 0x24C2},
        {0x25AA, 0x25AB},
        {0x25B6, 0x25B6},
        {0x25C0, 0x25C0},
        {0x25FB, 0x25FE},
        {0x2600, 0x2605},
        {0x2607, 0x2612},
        {0x2614, 0x2685},
        {0x2690, 0x2705},
        {0x2708, 0x2712},
        {0x2714, 0x2714},
        {0x2716, 0x2716},
        {0x271D, 0x271D},
        {0x2721, 0x2721},
        {0x2728, 0x2728},
        {0x2733, 0x2734},
        {0x2744, 0x2744},
        {0x2747, 0x2747},
        {0x274C, 0x274C},
        {0x274E, 0x274E},
        {0x2753, 0x2755},
        {0x2757, 0x2757},
        {0x2763, 0x2767},
        {0x2795, 0x2797},
        {0x27A1, 0x27A1},
        {0x27B0, 0x27B0},
        {0x27BF, 0x27BF},
        {0x2934, 0x2935},
        {0x2B05, 0x2B07},
        {0x2B1B, 0x2B1C},
        {0x2B50, 0x2B50},
        {0x2B55, 0x2B55},
        {0x3030, 0x3030},
        {0x303D, 0x303D},
        {0x3297, 0x3297},
        {0x3299, 0x3299},
        {0xFE0F, 0xFE0F},
        {0x1F000, 0x1F0FF},
        {0x1F10D, 0x1F10F},
        {0x1F12F, 0x1F12F},
        {0x1F16C, 0x1F171},
        {0x1F17E, 0x1F17F},
        {0x1F18E, 0x1F18E},
        {0x1F191, 0x1F19A},
        {0x1F1AD, 0x1F1FF},
        {0x1F201, 0x1F20F},
        {0x1F21A, 0x1F21A},
        {0x1F22F, 0x1F22F},
        {0x1F232, 0x1F23A},
        {0x1F23C, 0x1F23F},
        {0x1F249, 0x1F53D},
        {0x1F546, 0x1F64F},
        {0x1F680, 0x1F6FF},
        {0x1F774, 0x1F77F},
        {0x1F7D5, 0x1F7FF},
        {0x1F80C, 0x1F80F},
        {0x1F848, 0x1F84F},
        {0x1F85A, 0x1F85F},
        {0x1F888, 0x1F88F},
        {0x1F8AE, 0x1F8FF},
        {0x1F90C, 0x1F93A},
        {0x1F93C, 0x1F945},
        {0x1F947, 0x1FAFF},
        {0x1FC00, 0x1FFFD},
        {0xE0020, 0xE007F},
    };
    uint32_t low = 0, high = RL_COUNT_OF(ranges);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (c > ranges[middle][1]) low = middle + 1;
        else high = middle;
    }
    return low < RL_COUNT_OF(ranges) && c >= ranges[low][0];
}

/* The text is valid UTF-8 by now. */
static uint32_t scalar_at(const lexer_t* l, uint32_t offset, uint32_t* out_next) {
    size_t next = offset;
    uint32_t scalar = rl_utf8_next_valid(l->text, &next);
    *out_next = (uint32_t)next;
    return scalar;
}

static bool continues_identifier(const lexer_t* l, uint32_t offset, uint32_t* out_next) {
    if (offset >= l->length) return false;
    unsigned char c = (unsigned char)l->text[offset];
    *out_next = offset + 1;
    if (c < 0x80) return is_ascii_continue(c);
    uint32_t scalar = scalar_at(l, offset, out_next);
    return rl_unicode_is_xid_continue(scalar) || is_emoji_part(scalar);
}

/* Keep columns right behind [from, to), which lies on one line and is not all ASCII. */
static void count_clusters(lexer_t* l, uint32_t from, uint32_t to) {
    rl_str_t part = {l->text, to};
    uint32_t clusters = 0;
    for (size_t offset = from; offset < to;) {
        size_t size = rl_unicode_grapheme(part, offset);
        offset += size ? size : 1;
        clusters++;
    }
    l->line_base += (to - from) - clusters;
}

/* W6102: a bidirectional control inside a comment or a literal. */
static void check_text(lexer_t* l, uint32_t from, uint32_t to) {
    for (uint32_t offset = from; offset < to;) {
        if ((unsigned char)l->text[offset] < 0x80) {
            offset++;
            continue;
        }
        uint32_t next, scalar = scalar_at(l, offset, &next);
        if (is_bidi_control(scalar)) {
            report(l, RL_CODE_W6102, offset, next, "bidirectional control character U+%04X in text", (unsigned)scalar);
            return;
        }
        offset = next;
    }
}

/* --- tokens -------------------------------------------------------------------------------------------------------- */

static inline rl_token_t* push_token(lexer_t* l, rl_token_kind_t kind, uint32_t start, uint32_t end) {
    rl_tokens_t* tokens = l->tokens;
    if (RL_UNLIKELY(!rl_vec_reserve(l->input->allocator, tokens, 1))) return NULL;
    rl_token_t* token = &tokens->data[tokens->count++];
    token->start = l->base + start;
    token->end = l->base + end;
    token->column = start - l->line_base + 1;
    token->value = 0;
    token->kind = (uint8_t)kind;
    token->word = RL_WORD_NONE;
    token->nl_before = l->nl_before;
    token->after_error = l->errors != l->errors_seen;
    if (RL_UNLIKELY(l->map != NULL)) {
        token->start = l->map[start];
        token->end = l->map[end];
    }
    l->errors_seen = l->errors;
    l->nl_before = false;
    return token;
}

static rl_node_t push_literal(lexer_t* l, rl_token_kind_t token_kind, rl_node_kind_t kind, uint16_t flags,
    uint32_t start, uint32_t end, uint32_t a, uint32_t b, uint32_t c) {
    rl_token_t* token = push_token(l, token_kind, start, end);
    rl_node_data_t data = {(uint16_t)kind, flags, place(l, start), place(l, end), a, b, c};
    if (!token || !rl_vec_push(l->input->allocator, &l->tree->nodes, data)) return 0;
    token->value = l->tree->nodes.count - 1;
    return token->value;
}

static void line_break(lexer_t* l, uint32_t next) {
    l->at = next;
    l->line_base = next;
    l->nl_before = true;
}

/* Columns behind a token or comment [from, l->at) that may span lines. */
static void resume_columns(lexer_t* l, uint32_t from, uint32_t last_line_start, bool any_break, bool non_ascii) {
    if (any_break) {
        l->line_base = last_line_start;
        from = last_line_start;
    }
    if (non_ascii) count_clusters(l, from, l->at);
}

static void skip_line_comment(lexer_t* l) {
    uint32_t start = l->at, at = start, length = l->length;
    const char* text = l->text;
    unsigned char seen = 0;
    while (at < length && text[at] != '\n' && text[at] != '\r') seen |= (unsigned char)text[at++];
    l->at = at;
    if (seen & 0x80) check_text(l, start, at);
}

static void skip_block_comment(lexer_t* l) {
    uint32_t start = l->at, depth = 1, line_start = 0;
    unsigned char seen = 0;
    bool any_break = false;
    l->at += 2;
    while (l->at < l->length && depth) {
        char c = l->text[l->at], next = l->at + 1 < l->length ? l->text[l->at + 1] : 0;
        if (c == '/' && next == '*') depth++, l->at += 2;
        else if (c == '*' && next == '/') depth--, l->at += 2;
        else {
            seen |= (unsigned char)c;
            l->at++;
            if (c == '\n' || c == '\r') {
                if (c == '\r' && next == '\n') l->at++;
                any_break = true;
                line_start = l->at;
            }
        }
    }
    if (depth) report(l, RL_CODE_PARSER_LEXER_UNTERMINATED_COMMENT, start, start + 2, "block comment is never closed");
    if (seen & 0x80) check_text(l, start, l->at);
    resume_columns(l, start, line_start, any_break, (seen & 0x80) != 0);
    if (any_break) l->nl_before = true;
}

/* --- identifiers --------------------------------------------------------------------------------------------------- */

static void report_not_nfc(lexer_t* l, rl_str_t name, uint32_t start, uint32_t end) {
    rl_diag_t* diag = report(l, RL_CODE_E6002, start, end, "identifier is not in Unicode normalisation form C");
    if (!diag) return;
    rl_buf_t normal;
    rl_buf_init(&normal, l->input->allocator);
    if (rl_normalize_nfc(name, &normal))
        rl_fix(l->input->diags, diag, RL_FIX_REPLACE, (rl_span_t){place(l, start), place(l, end)}, "%.*s",
            RL_STR_ARG(rl_buf_str(&normal)));
    rl_buf_deinit(&normal);
}

/* [start, end) is an identifier or a keyword. */
static inline void lex_word(lexer_t* l, uint32_t start, uint32_t end, bool ascii) {
    const char* text = l->text;
    uint32_t length = end - start;
    unsigned first = (unsigned char)text[start];

    if (length == 1 && first == '_') {
        l->at = end;
        push_token(l, RL_TOK_UNDERSCORE, start, end);
        return;
    }
    if (first - 'a' < 26u && length < 16 && (l->lengths[first - 'a'] >> length & 1)) {
        for (unsigned i = l->head[first - 'a']; i; i = l->next[i - 1]) {
            const keyword_t* keyword = &KEYWORDS[i - 1];
            if (keyword->length != length || memcmp(keyword->text, text + start, length) != 0) continue;
            rl_token_t* token = push_token(l, (rl_token_kind_t)keyword->kind, start, end);
            if (token && keyword->word) {
                token->word = keyword->word;
                token->value = rl_sym_intern(l->input->symbols, (rl_str_t){text + start, length});
            }
            l->at = end;
            return;
        }
    }
    bool upper = first - 'A' < 26u;
    if (first >= 0x80) {
        uint32_t next;
        upper = rl_unicode_is_upper_start(scalar_at(l, start, &next));
    }
    rl_str_t name = {text + start, length};
    rl_token_t* token = push_token(l, upper ? RL_TOK_UIDENT : RL_TOK_IDENT, start, end);
    if (length > l->input->identifier_bytes) {
        report(l, RL_CODE_PARSER_LIMIT_EXCEEDED, start, end, "identifier of %u bytes: the limit is %u",
            (unsigned)length, (unsigned)l->input->identifier_bytes);
    } else {
        if (!ascii && !rl_unicode_is_nfc(name)) report_not_nfc(l, name, start, end);
        if (token) token->value = rl_sym_intern(l->input->symbols, name);
    }
    l->at = end;
    if (!ascii) count_clusters(l, start, end);
}

static void lex_identifier(lexer_t* l) {
    uint32_t start = l->at, end = start;
    const char* text = l->text;
    uint32_t limit = l->length;
    while (end < limit && is_ascii_continue((unsigned char)text[end])) end++;
    bool ascii = end >= limit || (unsigned char)text[end] < 0x80;
    if (!ascii)
        for (uint32_t next; continues_identifier(l, end, &next);) end = next;
    if (end == start) (void)scalar_at(l, start, &end); /* the caller saw a start: be sure to go on */
    while (end < limit && text[end] == '\'') end++;
    lex_word(l, start, end, ascii);
}

/* --- numbers ------------------------------------------------------------------------------------------------------- */

static unsigned digit_value(unsigned char c) {
    if (is_digit(c)) return c - '0';
    unsigned letter = ((unsigned)c | 32) - 'a';
    return letter < 6 ? letter + 10 : 99;
}

/* Digits and `_`, from `at`; false when an underscore stands elsewhere than between digits, or there is no digit. */
static bool scan_digits(const lexer_t* l, uint32_t* at, unsigned base) {
    bool good = true, digit = false;
    while (*at < l->length) {
        unsigned char c = (unsigned char)l->text[*at];
        if (c == '_') {
            if (!digit) good = false;
            digit = false;
        } else if (digit_value(c) < base) {
            digit = true;
        } else {
            break;
        }
        ++*at;
    }
    return good && digit;
}

static uint64_t read_integer(const lexer_t* l, uint32_t start, uint32_t end, unsigned base, bool* out_fits) {
    uint64_t value = 0;
    *out_fits = true;
    for (uint32_t i = start; i < end; i++) {
        if (l->text[i] == '_') continue;
        unsigned digit = digit_value((unsigned char)l->text[i]);
        if (value > (UINT64_MAX - digit) / base) *out_fits = false;
        value = value * base + digit;
    }
    return value;
}

static double read_float(lexer_t* l, uint32_t start, uint32_t end) {
    char small[64];
    uint32_t size = end - start, length = 0;
    char* digits = size <= sizeof small ? small : rl_alloc(l->input->allocator, size);
    if (!digits) return 0;
    for (uint32_t i = start; i < end; i++)
        if (l->text[i] != '_') digits[length++] = l->text[i];
    double value = rl_f64_parse((rl_str_t){digits, length});
    if (digits != small) rl_free(l->input->allocator, digits, size);
    return value;
}

static void lex_number(lexer_t* l, bool after_dot) {
    uint32_t start = l->at, at = start, digits = start;
    const char* text = l->text;
    unsigned base = 10;
    bool good, is_float = false;
    if (text[at] == '0' && at + 1 < l->length && (text[at + 1] == 'x' || text[at + 1] == 'o' || text[at + 1] == 'b')) {
        base = text[at + 1] == 'x' ? 16 : text[at + 1] == 'o' ? 8 : 2;
        digits = at += 2;
        good = scan_digits(l, &at, base);
    } else {
        good = scan_digits(l, &at, 10);
        if (!after_dot) {
            if (at + 1 < l->length && text[at] == '.' && is_digit((unsigned char)text[at + 1])) {
                is_float = true;
                at++;
                good = scan_digits(l, &at, 10) && good;
            }
            if (at < l->length && (text[at] == 'e' || text[at] == 'E')) {
                uint32_t exponent = at + 1;
                if (exponent < l->length && (text[exponent] == '+' || text[exponent] == '-')) exponent++;
                if (exponent < l->length && is_digit((unsigned char)text[exponent])) {
                    is_float = true;
                    at = exponent;
                    good = scan_digits(l, &at, 10) && good;
                }
            }
        }
    }
    uint32_t end = at;
    for (uint32_t next; continues_identifier(l, end, &next);) end = next; /* 12abc, 0b12, 1e */
    l->at = end;
    if (!good || end != at) {
        report(l, RL_CODE_PARSER_LEXER_INVALID_NUMBER, start, end, "malformed number");
        push_literal(l, RL_TOK_INT, RL_NODE_INT, RL_BAD, start, end, 0, 0, 0);
        count_clusters(l, start, end);
        return;
    }
    if (is_float) {
        double value = read_float(l, start, end);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        bool overflow = bits == 0x7FF0000000000000u;
        if (overflow) report(l, RL_CODE_E7102, start, end, "float literal is out of range");
        push_literal(l, RL_TOK_FLOAT, RL_NODE_FLOAT, overflow ? RL_BAD : 0, start, end, (uint32_t)bits,
            (uint32_t)(bits >> 32), 0);
        return;
    }
    bool fits;
    uint64_t value = read_integer(l, digits, end, base, &fits);
    if (!fits) report(l, RL_CODE_E7101, start, end, "integer literal does not fit 64 bits");
    push_literal(
        l, RL_TOK_INT, RL_NODE_INT, fits ? 0 : RL_BAD, start, end, (uint32_t)value, (uint32_t)(value >> 32), 0);
}

/* --- strings and characters ---------------------------------------------------------------------------------------- */

enum { ESCAPE_BAD = -1, ESCAPE_NOTHING = -2 };

static int32_t read_hex(const char* text, uint32_t from, uint32_t to) {
    int32_t value = 0;
    if (from == to) return ESCAPE_BAD;
    for (uint32_t i = from; i < to; i++) {
        unsigned digit = digit_value((unsigned char)text[i]);
        if (digit > 15) return ESCAPE_BAD;
        value = value * 16 + (int32_t)digit;
    }
    return value;
}

/* Read the escape at text[at] (a backslash): its scalar, or ESCAPE_NOTHING for a continued line. *out_next is behind it. */
/* What is left of an escape with too few digits belongs to it. */
static uint32_t behind_digits(const char* text, uint32_t at, uint32_t length, uint32_t most) {
    uint32_t end = at;
    while (end < length && end - at < most && digit_value((unsigned char)text[end]) < 16) end++;
    return end;
}

static int32_t read_escape(const char* text, uint32_t at, uint32_t length, uint32_t* out_next) {
    uint32_t next = at + 1;
    if (next >= length) {
        *out_next = next;
        return ESCAPE_BAD;
    }
    char c = text[next++];
    int32_t value = ESCAPE_BAD;
    switch (c) {
    case 'n': value = '\n'; break;
    case 't': value = '\t'; break;
    case 'r': value = '\r'; break;
    case '0': value = 0; break;
    case 'a': value = '\a'; break;
    case 'b': value = '\b'; break;
    case 'f': value = '\f'; break;
    case 'v': value = '\v'; break;
    case '\\':
    case '"':
    case '\'':
    case '{':
    case '}': value = c; break;
    case 'x':
        if (next + 2 <= length && read_hex(text, next, next + 2) != ESCAPE_BAD) {
            value = read_hex(text, next, next + 2);
            if (value > 0x7F) value = ESCAPE_BAD;
            next += 2;
        } else {
            next = behind_digits(text, next, length, 2);
        }
        break;
    case 'u':
        if (next < length && text[next] == '{') {
            uint32_t from = ++next;
            while (next < length && next - from < 7 && digit_value((unsigned char)text[next]) < 16) next++;
            if (next < length && text[next] == '}' && next - from <= 6) value = read_hex(text, from, next++);
        } else if (next + 4 <= length && read_hex(text, next, next + 4) != ESCAPE_BAD) {
            value = read_hex(text, next, next + 4);
            next += 4;
        } else {
            next = behind_digits(text, next, length, 4);
        }
        if ((value >= 0xD800 && value <= 0xDFFF) || value > 0x10FFFF) value = ESCAPE_BAD;
        break;
    case '\r':
    case '\n':
        if (c == '\r' && next < length && text[next] == '\n') next++;
        while (next < length && (text[next] == ' ' || text[next] == '\t')) next++;
        value = ESCAPE_NOTHING;
        break;
    default:
        while (next < length && ((unsigned char)text[next] & 0xC0) == 0x80) next++; /* keep characters whole */
        break;
    }
    *out_next = next;
    return value;
}

static void add_text(lexer_t* l, const char* data, uint32_t length) {
    if (!length || !rl_vec_reserve(l->input->allocator, &l->tree->text, length)) return;
    memcpy(l->tree->text.data + l->tree->text.count, data, length);
    l->tree->text.count += length;
}

static bool repeats(const lexer_t* l, uint32_t at, char c, uint32_t times) {
    if (l->length - at < times) return false;
    for (uint32_t i = 0; i < times; i++)
        if (l->text[at + i] != c) return false;
    return true;
}

/* At the opening quote; `start` is the token's first byte (an `r` and `#`s may lie between). */
static void lex_string(lexer_t* l, uint32_t start, bool raw, uint32_t hashes) {
    const char* text = l->text;
    bool triple = hashes == 0 && repeats(l, l->at, '"', 3), closed = false, changed = false, any_break = false;
    uint32_t quotes = triple ? 3 : 1, at = l->at + quotes, run = at, content = at, line_start = 0;
    uint32_t text_start = l->tree->text.count;
    unsigned char seen = 0;
    while (at < l->length) {
        char c = text[at];
        if (c == '"') {
            if (repeats(l, at, '"', quotes) && repeats(l, at + quotes, '#', hashes)) {
                closed = true;
                break;
            }
            at++;
        } else if (c == '\\' && !raw) {
            uint32_t next;
            int32_t value = read_escape(text, at, l->length, &next);
            add_text(l, text + run, at - run);
            if (value >= 0) {
                char bytes[4];
                add_text(l, bytes, (uint32_t)rl_utf8_encode((uint32_t)value, bytes));
            } else if (value == ESCAPE_BAD) {
                if (at + 1 < l->length)
                    report(
                        l, RL_CODE_PARSER_LEXER_INVALID_ESCAPE, at, next, "unknown or malformed escape in a literal");
            } else {
                any_break = true;
                line_start = next;
                while (text[line_start - 1] != '\n' && text[line_start - 1] != '\r') line_start--;
            }
            changed = true;
            run = at = next;
        } else if (c == '\n' || c == '\r') {
            if (!raw && !triple) break;
            if (c == '\r') {
                add_text(l, text + run, at - run);
                add_text(l, "\n", 1);
                changed = true;
                at += at + 1 < l->length && text[at + 1] == '\n' ? 2 : 1;
                run = at;
            } else {
                at++;
            }
            any_break = true;
            line_start = at;
        } else {
            seen |= (unsigned char)c;
            at++;
        }
        if (l->input->allocator->failed) break;
    }
    add_text(l, text + run, at - run);
    if (!closed)
        report(l, RL_CODE_PARSER_LEXER_UNTERMINATED_STRING, start, triple || raw ? content : at,
            "string literal is never closed");
    else at += quotes + hashes;
    if (seen & 0x80) check_text(l, content, at);
    push_literal(l, raw ? RL_TOK_RAW_STRING : RL_TOK_STRING, RL_NODE_STRING,
        (uint16_t)((raw ? RL_RAW : 0) | (changed ? RL_ESCAPED : 0)), start, at, text_start,
        l->tree->text.count - text_start, place(l, content));
    if (!closed) l->errors_seen = 0; /* it has swallowed what should follow: mark the next token too */
    l->at = at;
    resume_columns(l, start, line_start, any_break, (seen & 0x80) != 0);
}

static void lex_char(lexer_t* l) {
    uint32_t start = l->at, at = start + 1, value = 0, count = 0;
    const char* text = l->text;
    bool bad = false, non_ascii = false;
    if (repeats(l, start, '\'', 3)) {
        at = start + 2;
        bad = true;
    }
    while (at < l->length && text[at] != '\'' && text[at] != '\n' && text[at] != '\r') {
        if (text[at] == '\\') {
            uint32_t next;
            int32_t escaped = read_escape(text, at, l->length, &next);
            if (escaped == ESCAPE_NOTHING) break;
            if (escaped == ESCAPE_BAD) {
                report(l, RL_CODE_PARSER_LEXER_INVALID_ESCAPE, at, next, "unknown or malformed escape in a literal");
                escaped = 0;
            }
            value = (uint32_t)escaped;
            at = next;
        } else {
            if ((unsigned char)text[at] >= 0x80) non_ascii = true;
            value = scalar_at(l, at, &at);
        }
        count++;
    }
    bool closed = at < l->length && text[at] == '\'';
    if (closed) {
        at++;
    } else if (count > 1) { /* most likely a stray quote: go on behind it */
        at = start + 1;
        non_ascii = false;
    }
    if (!closed || count != 1 || bad)
        report(l, RL_CODE_PARSER_LEXER_INVALID_CHAR_LITERAL, start, at,
            closed ? "a character literal holds exactly one character" : "character literal is never closed");
    if (non_ascii) check_text(l, start, at);
    push_literal(l, RL_TOK_CHAR, RL_NODE_CHAR, 0, start, at, count == 1 ? value : 0, 0, 0);
    if (!closed) l->errors_seen = 0;
    l->at = at;
    if (non_ascii) count_clusters(l, start, at);
}

/* --- everything else ----------------------------------------------------------------------------------------------- */

static void lex_other(lexer_t* l) {
    uint32_t start = l->at, next, scalar = scalar_at(l, start, &next);
    if (rl_unicode_is_white_space(scalar)) {
        l->at = next;
        count_clusters(l, start, next);
        return;
    }
    if (rl_unicode_is_xid_start(scalar)) {
        lex_identifier(l);
        return;
    }
    l->at = next;
    if (next - start > 1) count_clusters(l, start, next);
    if (is_bidi_control(scalar)) {
        rl_diag_t* diag = report(
            l, RL_CODE_E6001, start, next, "bidirectional control character U+%04X outside text", (unsigned)scalar);
        if (diag) rl_fix(l->input->diags, diag, RL_FIX_DELETE, (rl_span_t){place(l, start), place(l, next)}, "%s", "");
    } else if (scalar == '#' && next < l->length && l->text[next] == '[') {
        report(l, RL_CODE_LANGUAGE_UNSUPPORTED, start, next + 1, "attributes are written `@name`, not `#[name]`");
        if (l->skip_from == UINT32_MAX) {
            l->skip_from = l->tokens->count;
            l->skip_depth = 0;
        }
    } else if (scalar > 0x20 && scalar < 0x7F) {
        report(l, RL_CODE_PARSER_LEXER_UNKNOWN_TOKEN, start, next, "unknown token `%c`", (char)scalar);
    } else {
        report(l, RL_CODE_PARSER_LEXER_UNKNOWN_TOKEN, start, next, "unknown token U+%04X", (unsigned)scalar);
    }
}

/* `#[ … ]` was refused as a whole: its tokens do not reach the parser. */
static void end_skip(lexer_t* l, char c) {
    if (c == '[') {
        l->skip_depth++;
    } else if (c == ']' && l->skip_depth && --l->skip_depth == 0) {
        bool first = l->tokens->count > l->skip_from && l->tokens->data[l->skip_from].nl_before;
        l->tokens->count = l->skip_from;
        l->skip_from = UINT32_MAX;
        l->nl_before = first;
    }
}

/* Characters that are a token whatever comes next. */
static const uint8_t ALONE[256] = {
    ['('] = RL_TOK_LPAREN,
    [')'] = RL_TOK_RPAREN,
    ['['] = RL_TOK_LBRACKET,
    [']'] = RL_TOK_RBRACKET,
    ['{'] = RL_TOK_LBRACE,
    ['}'] = RL_TOK_RBRACE,
    [','] = RL_TOK_COMMA,
    [';'] = RL_TOK_SEMICOLON,
    ['?'] = RL_TOK_QUESTION,
    ['@'] = RL_TOK_AT,
    ['^'] = RL_TOK_CARET,
    ['%'] = RL_TOK_PERCENT,
};
_Static_assert(RL_TOK_EOF == 0, "0 stands for other characters");

static void lex_token(lexer_t* l) {
    const char* text = l->text;
    uint32_t at = l->at;
    char c = text[at];
    char next = at + 1 < l->length ? text[at + 1] : 0;
    rl_token_kind_t kind;
    uint32_t size = 1;
#define IF(second, two, one) (next == (second) ? (size = 2, RL_TOK_##two) : RL_TOK_##one)
    switch (c) {
    case '<': kind = IF('=', LE, LT); break;
    case '>': kind = IF('=', GE, GT); break;
    case '!': kind = IF('=', NOT_EQ, BANG); break;
    case '*': kind = IF('=', STAR_EQ, STAR); break;
    case '/': kind = IF('=', SLASH_EQ, SLASH); break;
    case '&': kind = IF('&', AND_AND, AMP); break;
    case '=': kind = next == '>' ? (size = 2, RL_TOK_FAT_ARROW) : IF('=', EQ_EQ, EQ); break;
    case '+': kind = next == '+' ? (size = 2, RL_TOK_PLUS_PLUS) : IF('=', PLUS_EQ, PLUS); break;
    case '-': kind = next == '>' ? (size = 2, RL_TOK_ARROW) : IF('=', MINUS_EQ, MINUS); break;
    case ':': kind = next == ':' ? (size = 2, RL_TOK_COLON_COLON) : IF('=', COLON_EQ, COLON); break;
    case '|': kind = next == '>' ? (size = 2, RL_TOK_PIPE) : IF('|', OR_OR, BAR); break;
    case '.':
        if (next == '.') {
            bool three = at + 2 < l->length && text[at + 2] == '.';
            kind = three ? RL_TOK_ELLIPSIS : RL_TOK_DOT_DOT;
            size = three ? 3 : 2;
        } else {
            kind = RL_TOK_DOT;
        }
        break;
    case '~':
        if (next == '>') {
            kind = RL_TOK_CHANNEL;
            size = 2;
            break;
        }
        lex_other(l);
        return;
    default:
        kind = (rl_token_kind_t)ALONE[(unsigned char)c];
        if (kind) break;
        lex_other(l);
        return;
    }
#undef IF
    push_token(l, kind, at, at + size);
    l->at = at + size;
    if (RL_UNLIKELY(l->skip_from != UINT32_MAX)) end_skip(l, c);
}

static bool after_dot(const lexer_t* l) {
    return l->tokens->count > l->first_token && rl_vec_last(l->tokens).kind == RL_TOK_DOT;
}

/* r"…", r#"…"#, r"""…"""; false: an ordinary identifier. */
static bool try_raw_string(lexer_t* l) {
    uint32_t at = l->at + 1;
    while (at < l->length && l->text[at] == '#') at++;
    if (at >= l->length || l->text[at] != '"') return false;
    uint32_t start = l->at, hashes = at - start - 1;
    l->at = at;
    lex_string(l, start, true, hashes);
    return true;
}

static void lex_all(lexer_t* l) {
    const rl_allocator_t* allocator = l->input->allocator;
    const char* text = l->text;
    uint32_t length = l->length;
    while (l->at < length && !allocator->failed) {
        unsigned char c = (unsigned char)text[l->at];
        unsigned classes = CLASSES[c];
        if (classes & CLASS_BLANK) {
            uint32_t at = l->at + 1;
            while (at < length && (CLASSES[(unsigned char)text[at]] & CLASS_BLANK)) at++;
            l->at = at;
            continue;
        }
        if (classes & CLASS_START) {
            if (c == 'r' && try_raw_string(l)) continue;
            uint32_t end = l->at + 1;
            while (end < length && is_ascii_continue((unsigned char)text[end])) end++;
            if (RL_LIKELY(end < length && (unsigned char)text[end] < 0x80 && text[end] != '\''))
                lex_word(l, l->at, end, true);
            else lex_identifier(l);
            continue;
        }
        if (classes & CLASS_DIGIT) {
            lex_number(l, after_dot(l));
            continue;
        }
        unsigned alone = ALONE[c];
        if (alone && RL_LIKELY(l->skip_from == UINT32_MAX)) {
            push_token(l, (rl_token_kind_t)alone, l->at, l->at + 1);
            l->at++;
            continue;
        }
        char next = l->at + 1 < length ? text[l->at + 1] : 0;
        switch (c) {
        case '\n': line_break(l, l->at + 1); break;
        case '\r': line_break(l, l->at + (next == '\n' ? 2 : 1)); break;
        case '"': lex_string(l, l->at, false, 0); break;
        case '\'': lex_char(l); break;
        case '/':
            if (next == '/') skip_line_comment(l);
            else if (next == '*') skip_block_comment(l);
            else lex_token(l);
            break;
        default: lex_token(l); break;
        }
    }
}

/* Report what is not UTF-8 and answer a copy with blanks in its place (owned by the caller; NULL: memory). */
static char* blank_invalid(lexer_t* l, rl_str_t source) {
    char* copy = rl_alloc(l->input->allocator, source.length);
    if (!copy) return NULL;
    memcpy(copy, source.data, source.length);
    for (size_t offset = rl_utf8_validate(source); offset < source.length;) {
        size_t next = offset;
        if (rl_utf8_next(source, &next) == RL_UTF8_INVALID) {
            if (next <= offset) next = offset + 1;
            memset(copy + offset, ' ', next - offset);
            report(l, RL_CODE_PARSER_LEXER_INVALID_UTF8, (uint32_t)offset, (uint32_t)offset + 1,
                "byte 0x%02X is not UTF-8", (unsigned)(unsigned char)source.data[offset]);
        }
        offset = next;
    }
    return copy;
}

bool rl_lex(const rl_lexer_input_t* input, rl_tree_t* tree, rl_tokens_t* out_tokens, uint32_t* out_errors) {
    lexer_t l = {.input = input,
        .tree = tree,
        .tokens = out_tokens,
        .text = input->source.data ? input->source.data : "",
        .length = (uint32_t)input->source.length,
        .map = input->map,
        .base = input->base,
        .first_token = out_tokens->count,
        .skip_from = UINT32_MAX,
        .nl_before = true};
    for (unsigned i = 0; i < RL_COUNT_OF(KEYWORDS); i++) {
        unsigned letter = (unsigned)(KEYWORDS[i].text[0] - 'a');
        l.next[i] = l.head[letter];
        l.head[letter] = (uint8_t)(i + 1);
        l.lengths[letter] |= (uint16_t)(1u << KEYWORDS[i].length);
    }
    if (!rl_vec_reserve(input->allocator, out_tokens, l.length / 4 + 8)) return false;

    char* copy = NULL;
    if (rl_utf8_validate(input->source) < l.length) {
        copy = blank_invalid(&l, input->source);
        if (!copy) return false;
        l.text = copy;
        l.errors_seen = l.errors;
    }
    if (l.length >= 3 && memcmp(l.text, "\xEF\xBB\xBF", 3) == 0) l.at = l.line_base = 3;
    lex_all(&l);
    l.nl_before = true;
    rl_token_t* eof = push_token(&l, RL_TOK_EOF, l.length, l.length);
    if (eof) eof->column = UINT32_MAX;
    rl_free(input->allocator, copy, l.length);
    *out_errors += l.errors;
    return !input->allocator->failed;
}

void rl_lex_literal_map(rl_str_t source, const rl_tree_t* tree, rl_node_t literal, uint32_t* map) {
    const rl_node_data_t* node = rl_tree_node(tree, literal);
    uint32_t at = node->c, end = node->end, written = 0, length = node->b;
    if (end > source.length) end = (uint32_t)source.length;
    bool raw = (node->flags & RL_RAW) != 0;
    while (written < length && at < end) {
        char c = source.data[at];
        uint32_t next = at + 1, bytes = 1;
        if (c == '\\' && !raw) {
            char encoded[4];
            int32_t value = read_escape(source.data, at, end, &next);
            bytes = value >= 0 ? (uint32_t)rl_utf8_encode((uint32_t)value, encoded) : 0;
        } else if (c == '\r' && next < end && source.data[next] == '\n') {
            next++;
        }
        for (uint32_t i = 0; i < bytes && written < length; i++) map[written++] = at;
        at = next;
    }
    while (written <= length) map[written++] = at;
}

/* --- texts --------------------------------------------------------------------------------------------------------- */

const char* rl_token_text(rl_token_kind_t kind) { return TOKEN_TEXTS[kind]; }

void rl_tokens_print(const rl_tokens_t* tokens, rl_str_t source, rl_buf_t* out) {
    for (uint32_t i = 0; i < tokens->count; i++) {
        const rl_token_t* token = &tokens->data[i];
        rl_buf_printf(out, "%u..%u", (unsigned)token->start, (unsigned)token->end);
        if (token->nl_before && token->kind != RL_TOK_EOF) rl_buf_printf(out, " line:%u", (unsigned)token->column);
        rl_buf_printf(out, " %s", TOKEN_NAMES[token->kind]);
        if (token->word) rl_buf_add_cstr(out, "*");
        if (token->end > token->start && token->end <= source.length) {
            rl_buf_add_char(out, ' ');
            rl_buf_add(out, (rl_str_t){source.data + token->start, token->end - token->start});
        }
        rl_buf_add_char(out, '\n');
    }
}
