#include "diag/lines.h"

#include "base/unicode.h"
#include "base/utf8.h"

rl_lines_t rl_lines_of(rl_str_t source, rl_allocator_t* allocator_or_null) {
    if (source.length > UINT32_MAX - 1) source.length = UINT32_MAX - 1; /* offsets have 32 bits */
    return (rl_lines_t){.allocator = allocator_or_null, .source = source};
}

void rl_lines_deinit(rl_lines_t* lines) {
    if (lines->allocator) rl_vec_deinit(lines->allocator, &lines->starts);
}

/* Where the line that contains `from` ends: the offset of its CR or LF, or the end of the source. */
static uint32_t end_of_line(rl_str_t source, uint32_t from) {
    uint32_t i = from;
    while (i < source.length && source.data[i] != '\n' && source.data[i] != '\r') i++;
    return i;
}

/* First byte after the line end at `end`; UINT32_MAX when there is none. */
static uint32_t after_line_end(rl_str_t source, uint32_t end) {
    if (end >= source.length) return UINT32_MAX;
    bool crlf = source.data[end] == '\r' && end + 1 < source.length && source.data[end + 1] == '\n';
    return end + (crlf ? 2 : 1);
}

static void build_index(rl_lines_t* lines) {
    if (lines->indexed || !lines->allocator) return;
    bool failed_before = lines->allocator->failed;
    uint32_t start = 0;
    while (start != UINT32_MAX) {
        if (!rl_vec_push(lines->allocator, &lines->starts, start)) {
            rl_vec_deinit(lines->allocator, &lines->starts);
            lines->allocator->failed = failed_before; /* only an index: the answer is the same without it */
            lines->allocator = NULL;
            return;
        }
        start = after_line_end(lines->source, end_of_line(lines->source, start));
    }
    lines->indexed = true;
}

static rl_line_t make_line(rl_str_t source, uint32_t number, uint32_t start) {
    return (rl_line_t){number, start, {source.data + start, end_of_line(source, start) - start}};
}

/* Its end comes from the next start: a line of many megabytes is not walked for each look-up. */
static rl_line_t indexed_line(const rl_lines_t* lines, uint32_t index) {
    const char* data = lines->source.data;
    uint32_t start = lines->starts.data[index], end = (uint32_t)lines->source.length;
    if (index + 1 < lines->starts.count) {
        end = lines->starts.data[index + 1] - 1;
        if (data[end] == '\n' && end > start && data[end - 1] == '\r') end--;
    }
    return (rl_line_t){index + 1, start, {data + start, end - start}};
}

rl_line_t rl_lines_line_at(rl_lines_t* lines, uint32_t offset) {
    if (lines->source.length == 0) return (rl_line_t){1, 0, {"", 0}};
    build_index(lines);
    if (lines->indexed) {
        uint32_t low = 0, high = lines->starts.count; /* starts[low] <= offset < starts[high] */
        while (high - low > 1) {
            uint32_t middle = low + (high - low) / 2;
            if (lines->starts.data[middle] <= offset) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return indexed_line(lines, low);
    }
    uint32_t number = 1, start = 0;
    for (;;) {
        uint32_t next = after_line_end(lines->source, end_of_line(lines->source, start));
        if (next > offset) return make_line(lines->source, number, start);
        start = next;
        number++;
    }
}

static bool starts_with_bom(rl_str_t source) {
    return source.length >= 3 && memcmp(source.data, "\xEF\xBB\xBF", 3) == 0;
}

rl_position_t rl_lines_position(rl_lines_t* lines, uint32_t offset) {
    rl_line_t line = rl_lines_line_at(lines, offset);
    uint32_t end = line.start + (uint32_t)line.text.length;
    if (offset > end) offset = end; /* inside a CRLF, or past the end */
    uint32_t at = line.start == 0 && starts_with_bom(lines->source) ? 3 : line.start;
    uint32_t column = 1;
    if (lines->seen_column && lines->seen_start == line.start && lines->seen_offset <= offset) {
        at = lines->seen_offset;
        column = lines->seen_column;
    }
    while (at < offset) {
        size_t length = rl_unicode_grapheme(line.text, at - line.start);
        if (length == 0 || length > offset - at) break; /* inside a cluster: its column */
        at += (uint32_t)length;
        column++;
    }
    lines->seen_start = line.start;
    lines->seen_offset = at;
    lines->seen_column = column;
    return (rl_position_t){line.number, column};
}

rl_position_t rl_position_of(rl_str_t source, uint32_t offset) {
    rl_lines_t lines = rl_lines_of(source, NULL);
    return rl_lines_position(&lines, offset);
}
