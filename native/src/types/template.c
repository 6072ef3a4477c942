#include "types/template.h"

#include "base/utf8.h"

#define MOST_COLUMNS 4096u

static bool at(rl_str_t text, size_t offset, char c) { return offset < text.length && text.data[offset] == c; }
static bool is_digit(rl_str_t text, size_t offset) {
    return offset < text.length && text.data[offset] >= '0' && text.data[offset] <= '9';
}

/* Digits from *offset on; false when the number is too large (all digits are taken all the same). */
static bool read_number(rl_str_t text, size_t* offset, uint32_t* out_value) {
    uint32_t value = 0;
    for (; is_digit(text, *offset); ++*offset) {
        if (value <= MOST_COLUMNS) value = value * 10 + (uint32_t)(text.data[*offset] - '0');
    }
    *out_value = value;
    return value <= MOST_COLUMNS;
}

/* Flags, width, precision and letter (0: none of the letters stands there). Answers what is wrong, NULL: nothing. */
static const char* read_spec(rl_str_t text, size_t* offset, rl_format_spec_t* spec) {
    *spec = (rl_format_spec_t){0};
    for (bool more = true; more;) {
        if (at(text, *offset, '-')) spec->minus = true;
        else if (at(text, *offset, '+')) spec->plus = true;
        else if (at(text, *offset, ' ')) spec->space = true;
        else if (at(text, *offset, '0')) spec->zero = true;
        else if (at(text, *offset, '#')) spec->alternate = true;
        else more = false;
        if (more) ++*offset;
    }
    bool fits = read_number(text, offset, &spec->width);
    if (at(text, *offset, '.')) {
        ++*offset;
        spec->has_precision = true;
        if (!read_number(text, offset, &spec->precision)) fits = false;
    }
    if (*offset < text.length && text.data[*offset] != 0 && strchr("diuxXobfegEGsvcq", text.data[*offset])) {
        spec->letter = text.data[(*offset)++];
    }
    return fits ? NULL : "width and precision may be 4096 at most";
}

bool rl_format_spec_parse(rl_str_t text, rl_format_spec_t* out_spec) {
    size_t offset = 0;
    return !read_spec(text, &offset, out_spec) && offset == text.length;
}

static rl_template_part_t error_at(size_t start, size_t end, const char* error) {
    return (rl_template_part_t){
        .kind = RL_PART_ERROR, .start = start, .end = end, .spec_start = start, .spec_end = end, .error = error};
}
static rl_template_part_t text_part(size_t start, size_t end) {
    return (rl_template_part_t){.kind = RL_PART_TEXT, .start = start, .end = end, .spec_start = end, .spec_end = end};
}

rl_template_part_t rl_template_next_printf(rl_str_t text, size_t* offset) {
    size_t start = *offset, i = start;
    if (start >= text.length) return (rl_template_part_t){.kind = RL_PART_END, .start = start, .end = start};
    while (i < text.length && text.data[i] != '%') i++;
    if (at(text, i + 1, '%')) { /* ends the text after the first of the two */
        *offset = i + 2;
        return text_part(start, i + 1);
    }
    if (i > start) {
        *offset = i;
        return text_part(start, i);
    }
    rl_template_part_t part = {.kind = RL_PART_DIRECTIVE, .start = start, .spec_start = start + 1};
    i = start + 1;
    const char* error = read_spec(text, &i, &part.spec);
    if (!part.spec.letter) {
        error = i < text.length ? "unknown directive" : "directive ends early";
        if (i < text.length) (void)rl_utf8_next(text, &i);
    }
    *offset = part.end = part.spec_end = i;
    return error ? error_at(start, i, error) : part;
}

/* --- interpolation ---------------------------------------------------------------------------------------- */

/* Behind the string that starts with the quote at `i`; the text's end when it is not closed. */
static size_t skip_string(rl_str_t text, size_t i, bool raw, size_t hashes) {
    bool triple = hashes == 0 && at(text, i + 1, '"') && at(text, i + 2, '"');
    size_t quotes = triple ? 3 : 1;
    for (i += quotes; i < text.length; i++) {
        if (!raw && text.data[i] == '\\') {
            i++;
            continue;
        }
        if (text.data[i] != '"') continue;
        size_t end = i, found = 0;
        while (found < quotes && at(text, end, '"')) end++, found++;
        if (found < quotes) continue;
        found = 0;
        while (found < hashes && at(text, end, '#')) end++, found++;
        if (found == hashes) return end;
    }
    return text.length;
}

static size_t skip_char(rl_str_t text, size_t i) {
    for (size_t end = i + 1; end < text.length; end++) {
        if (text.data[end] == '\\') end++;
        else if (text.data[end] == '\'') return end + 1;
    }
    return i + 1; /* not closed: the expression's own parser will say so */
}

static size_t skip_comment(rl_str_t text, size_t i) {
    if (text.data[i + 1] == '/') {
        while (i < text.length && text.data[i] != '\n') i++;
        return i;
    }
    size_t depth = 0;
    while (i < text.length) {
        if (at(text, i, '/') && at(text, i + 1, '*')) {
            depth++;
            i += 2;
        } else if (at(text, i, '*') && at(text, i + 1, '/')) {
            i += 2;
            if (--depth == 0) break;
        } else {
            i++;
        }
    }
    return i < text.length ? i : text.length;
}

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* From `i`, the first byte of an expression, to the `}` or `:` that ends it, or the text's end. */
static size_t skip_expression(rl_str_t text, size_t i) {
    size_t depth = 0;
    char before = 0;
    while (i < text.length) {
        char c = text.data[i];
        size_t next = i + 1;
        switch (c) {
        case '"': next = skip_string(text, i, false, 0); break;
        case '\'': next = skip_char(text, i); break;
        case 'r': {
            size_t hashes = 0;
            while (at(text, i + 1 + hashes, '#')) hashes++;
            if (!is_name_byte(before) && at(text, i + 1 + hashes, '"'))
                next = skip_string(text, i + 1 + hashes, true, hashes);
            break;
        }
        case '/':
            if (at(text, i + 1, '/') || at(text, i + 1, '*')) next = skip_comment(text, i);
            break;
        case '(':
        case '[':
        case '{': depth++; break;
        case ')':
        case ']':
            if (depth) depth--;
            break;
        case '}':
            if (depth == 0) return i;
            depth--;
            break;
        case ':':
            if (at(text, i + 1, ':')) next = i + 2;
            else if (depth == 0) return i;
            break;
        default: break;
        }
        before = c;
        i = next;
    }
    return text.length;
}

static bool is_blank(rl_str_t text, size_t start, size_t end) {
    while (start < end && strchr(" \t\r\n", text.data[start]) && text.data[start]) start++;
    return start == end;
}

rl_template_part_t rl_template_next_braces(rl_str_t text, size_t* offset) {
    size_t start = *offset, i = start;
    if (start >= text.length) return (rl_template_part_t){.kind = RL_PART_END, .start = start, .end = start};
    while (i < text.length && text.data[i] != '{' && text.data[i] != '}') i++;
    if (i < text.length && at(text, i + 1, text.data[i])) { /* ends the text after the first of the two */
        *offset = i + 2;
        return text_part(start, i + 1);
    }
    if (i > start) {
        *offset = i;
        return text_part(start, i);
    }
    if (text.data[i] == '}') {
        *offset = i + 1;
        return error_at(i, i + 1, "`}` without `{`; a literal brace is written `}}`");
    }
    rl_template_part_t part = {.kind = RL_PART_EXPRESSION, .start = i + 1};
    part.end = skip_expression(text, i + 1);
    part.spec_start = part.spec_end = part.end;
    if (at(text, part.end, ':')) {
        part.spec_start = part.spec_end = part.end + 1;
        while (part.spec_end < text.length && text.data[part.spec_end] != '}') part.spec_end++;
    }
    if (!at(text, part.spec_end, '}')) {
        *offset = text.length;
        return error_at(start, text.length, "`{` without `}`; a literal brace is written `{{`");
    }
    *offset = part.spec_end + 1;
    if (is_blank(text, part.start, part.end)) return error_at(start, *offset, "no expression between the braces");
    rl_str_t spec = {text.data + part.spec_start, part.spec_end - part.spec_start};
    size_t read = 0;
    const char* error = read_spec(spec, &read, &part.spec);
    if (!error && read < spec.length) error = "malformed format specification";
    return error ? error_at(part.spec_start, part.spec_end, error) : part;
}
