#include "diag/diag.h"

#include "base/number.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "diag/lines.h"

/*
 *     error[type.mismatch]: expected Int, found Str
 *      --> main.reml:3:14
 *       |
 *     3 | let x: Int = "a"
 *       |              ^^^
 *       = note: a sentence without a place
 *     note: a sentence with a place, followed by its own snippet
 *     help: insert `)`, followed by the line as it would be
 *
 * Nothing of the source reaches a terminal raw that could steer it: controls and bidi marks are shown as symbols.
 */

#define TAB_WIDTH   4u
#define LEFT_MOST   120u /* a span further right than this many bytes is shown with the line cut before it */
#define LEFT_KEPT   60u
#define LINE_CELLS  160u /* longest piece of a line shown */
#define STACK_SHOWN 32u

typedef enum paint {
    PAINT_NONE,
    PAINT_BOLD,
    PAINT_ERROR,
    PAINT_WARNING,
    PAINT_INFO,
    PAINT_HINT,
    PAINT_FRAME,
    PAINT_NOTE
} paint_t;

static const char* const paint_codes[] = {
    [PAINT_NONE] = "",
    [PAINT_BOLD] = "\x1b[1m",
    [PAINT_ERROR] = "\x1b[1;31m",
    [PAINT_WARNING] = "\x1b[1;33m",
    [PAINT_INFO] = "\x1b[1;34m",
    [PAINT_HINT] = "\x1b[1;36m",
    [PAINT_FRAME] = "\x1b[1;34m",
    [PAINT_NOTE] = "\x1b[1;32m",
};

typedef struct severity_row {
    const char* name;
    paint_t paint;
} severity_row_t;

static const severity_row_t severities[] = {
    [RL_ERROR] = {"error", PAINT_ERROR},
    [RL_WARNING] = {"warning", PAINT_WARNING},
    [RL_INFO] = {"info", PAINT_INFO},
    [RL_HINT] = {"hint", PAINT_HINT},
};

typedef struct view {
    const rl_diags_t* diags;
    rl_lines_t lines;
    rl_buf_t* out;
    bool colour;
    uint32_t gutter; /* width of the widest line number */
} view_t;

static void begin_paint(view_t* view, paint_t paint) {
    if (view->colour) rl_buf_add_cstr(view->out, paint_codes[paint]);
}
static void end_paint(view_t* view) {
    if (view->colour) rl_buf_add_cstr(view->out, "\x1b[0m");
}

/* The symbol to show instead of `scalar`, 0 when it may be shown itself. */
static uint32_t symbol_for(uint32_t scalar) {
    if (scalar < 0x20) return 0x2400 + scalar;
    if (scalar == 0x7F) return 0x2421;
    bool unsafe = (scalar >= 0x80 && scalar < 0xA0) || scalar == 0x61C || scalar == 0x200E || scalar == 0x200F ||
                  (scalar >= 0x2028 && scalar <= 0x202E) || (scalar >= 0x2066 && scalar <= 0x2069) ||
                  scalar == 0xFEFF || scalar == RL_UTF8_INVALID;
    return unsafe ? 0xFFFD : 0;
}

static void add_safe(rl_buf_t* out, rl_str_t text) {
    for (size_t i = 0; i < text.length && !out->failed;) {
        size_t start = i;
        uint32_t symbol = symbol_for(rl_utf8_next(text, &i));
        if (symbol) {
            rl_buf_add_utf8(out, symbol);
        } else {
            rl_buf_add(out, (rl_str_t){text.data + start, i - start});
        }
    }
}

/* Cells that a cluster takes on a terminal. */
static uint32_t cells_of(rl_str_t cluster) {
    uint32_t widest = 0;
    for (size_t i = 0; i < cluster.length;) {
        uint32_t scalar = rl_utf8_next(cluster, &i);
        uint32_t cells = symbol_for(scalar) ? 1 : rl_unicode_cells(scalar);
        if (scalar == 0xFE0F && widest == 1) cells = 2; /* asks for the emoji form of what precedes */
        if (cells > widest) widest = cells;
    }
    return widest;
}

/* `    |`, the line number in front when there is one. */
static void add_gutter(view_t* view, uint32_t line_number) {
    char digits[24];
    size_t length = line_number ? rl_u64_print(line_number, digits) : 0;
    begin_paint(view, PAINT_FRAME);
    rl_buf_add_repeat(view->out, ' ', view->gutter > length ? view->gutter - length : 0);
    rl_buf_add(view->out, (rl_str_t){digits, length});
    rl_buf_add_cstr(view->out, " |");
    end_paint(view);
}

static void add_place(view_t* view, uint32_t offset) {
    rl_position_t position = rl_lines_position(&view->lines, offset);
    rl_str_t file = view->diags->file.length ? view->diags->file : view->diags->module;
    begin_paint(view, PAINT_FRAME);
    rl_buf_add_repeat(view->out, ' ', view->gutter);
    rl_buf_add_cstr(view->out, "--> ");
    end_paint(view);
    add_safe(view->out, file.length ? file : RL_STR("<source>"));
    rl_buf_printf(view->out, ":%u:%u\n", position.line, position.column);
}

/* Show `text` and underline its bytes [start, end), at least one cell. */
static void add_marked_line(
    view_t* view, uint32_t number, rl_str_t text, size_t start, size_t end, char mark, paint_t paint) {
    rl_buf_t* out = view->out;
    if (start > text.length) start = text.length;
    if (end > text.length) end = text.length;
    size_t at = 0;
    uint32_t cell = 0, first = UINT32_MAX, last = 0;

    add_gutter(view, 0);
    rl_buf_add_char(out, '\n');
    add_gutter(view, number);
    if (text.length) rl_buf_add_char(out, ' ');
    if (start > LEFT_MOST) {
        at = start - LEFT_KEPT;
        while (at < start && ((unsigned char)text.data[at] & 0xC0) == 0x80) at++;
        rl_buf_add_cstr(out, "…");
        cell = 1;
    } else if (number == 1 && text.length >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) {
        at = 3;
    }
    while (at < text.length && cell < LINE_CELLS && !out->failed) {
        size_t length = rl_unicode_grapheme(text, at);
        rl_str_t cluster = {text.data + at, length};
        uint32_t cells;
        if (cluster.data[0] == '\t') {
            cells = TAB_WIDTH - cell % TAB_WIDTH;
            rl_buf_add_repeat(out, ' ', cells);
        } else {
            cells = cells_of(cluster);
            add_safe(out, cluster);
        }
        if (first == UINT32_MAX && at + length > start) first = cell;
        at += length;
        cell += cells;
        if (at <= end || (first != UINT32_MAX && at - length < end)) last = cell;
    }
    if (at < text.length) rl_buf_add_cstr(out, "…");
    if (first == UINT32_MAX) first = cell;
    if (last <= first) last = first + 1;

    rl_buf_add_char(out, '\n');
    add_gutter(view, 0);
    rl_buf_add_repeat(out, ' ', (size_t)first + 1);
    begin_paint(view, paint);
    rl_buf_add_repeat(out, mark, last - first);
    end_paint(view);
    rl_buf_add_char(out, '\n');
}

/* A span over several lines is underlined on its first one. */
static void add_snippet(view_t* view, rl_span_t span, char mark, paint_t paint) {
    rl_line_t line = rl_lines_line_at(&view->lines, span.start);
    size_t end = span.end > span.start ? span.end - line.start : span.start - line.start;
    add_place(view, span.start);
    add_marked_line(view, line.number, line.text, span.start - line.start, end, mark, paint);
}

static void add_headline(view_t* view, const char* word, paint_t paint, rl_str_t message) {
    begin_paint(view, paint);
    rl_buf_add_cstr(view->out, word);
    end_paint(view);
    rl_buf_add_cstr(view->out, ": ");
    begin_paint(view, PAINT_BOLD);
    add_safe(view->out, message);
    end_paint(view);
    rl_buf_add_char(view->out, '\n');
}

static void add_attached(view_t* view, const char* word, rl_str_t message) {
    begin_paint(view, PAINT_FRAME);
    rl_buf_add_repeat(view->out, ' ', view->gutter + 1);
    rl_buf_add_cstr(view->out, "= ");
    end_paint(view);
    begin_paint(view, PAINT_BOLD);
    rl_buf_add_cstr(view->out, word);
    end_paint(view);
    rl_buf_add_cstr(view->out, ": ");
    add_safe(view->out, message);
    rl_buf_add_char(view->out, '\n');
}

static void add_notes(view_t* view, const rl_diag_t* diag) {
    for (uint32_t i = 0; i < diag->notes.count; i++) {
        const rl_note_t* note = &diag->notes.data[i];
        if (!note->has_span) add_attached(view, "note", note->message);
    }
    for (uint32_t i = 0; i < diag->notes.count; i++) {
        const rl_note_t* note = &diag->notes.data[i];
        if (!note->has_span) continue;
        add_headline(view, "note", PAINT_NOTE, note->message);
        add_snippet(view, note->span, '-', PAINT_NOTE);
    }
}

static void add_stack(view_t* view, const rl_diag_t* diag) {
    for (uint32_t i = 0; i < diag->stack.count && i < STACK_SHOWN; i++) {
        const rl_stack_entry_t* entry = &diag->stack.data[i];
        begin_paint(view, PAINT_FRAME);
        rl_buf_add_repeat(view->out, ' ', view->gutter + 1);
        rl_buf_add_cstr(view->out, "= ");
        end_paint(view);
        rl_buf_add_cstr(view->out, "in ");
        add_safe(view->out, entry->function);
        rl_buf_add_cstr(view->out, " (");
        add_safe(view->out, entry->module);
        rl_buf_printf(view->out, ":%u)\n", entry->line);
    }
    if (diag->stack.count > STACK_SHOWN) {
        rl_buf_add_repeat(view->out, ' ', view->gutter + 1);
        rl_buf_printf(view->out, "= … and %u more\n", diag->stack.count - STACK_SHOWN);
    }
}

/* What to do in one line, then the line as it would be (as it is, when something is to be deleted). */
static void add_fixit(view_t* view, const rl_fixit_t* fix) {
    rl_line_t line = rl_lines_line_at(&view->lines, fix->span.start);
    size_t start = fix->span.start - line.start;
    size_t end = fix->span.end > fix->span.start ? fix->span.end - line.start : start;
    if (start > line.text.length) start = line.text.length;
    bool one_line = end <= line.text.length && line.text.length < 4 * LINE_CELLS;
    rl_buf_t* out = view->out;
    begin_paint(view, PAINT_HINT);
    rl_buf_add_cstr(out, "help");
    end_paint(view);
    static const char* const openings[] = {
        [RL_FIX_INSERT] = ": insert `", [RL_FIX_REPLACE] = ": replace with `", [RL_FIX_DELETE] = ": delete"};
    rl_buf_add_cstr(out, openings[fix->kind]);
    if (fix->kind != RL_FIX_DELETE) {
        add_safe(out, fix->text);
        rl_buf_add_char(out, '`');
    } else if (one_line && end > start) {
        rl_buf_add_cstr(out, " `");
        add_safe(out, (rl_str_t){line.text.data + start, end - start});
        rl_buf_add_char(out, '`');
    } else {
        rl_buf_add_cstr(out, " this");
    }
    rl_buf_add_char(out, '\n');
    if (!one_line) {
        add_place(view, fix->span.start);
        return;
    }
    if (fix->kind == RL_FIX_DELETE) {
        add_marked_line(view, line.number, line.text, start, end, '-', PAINT_ERROR);
        return;
    }
    rl_buf_t edited;
    rl_buf_init(&edited, out->allocator);
    if (start > 0) rl_buf_add(&edited, (rl_str_t){line.text.data, start});
    rl_buf_add(&edited, fix->text);
    if (end < line.text.length) rl_buf_add(&edited, (rl_str_t){line.text.data + end, line.text.length - end});
    out->failed |= edited.failed;
    add_marked_line(view, line.number, rl_buf_str(&edited), start, start + fix->text.length,
        fix->kind == RL_FIX_INSERT ? '+' : '~', PAINT_NOTE);
    rl_buf_deinit(&edited);
}

static uint32_t digits_of(uint32_t number) {
    uint32_t digits = 1;
    while (number >= 10) {
        number /= 10;
        digits++;
    }
    return digits;
}

static void widen_gutter(view_t* view, uint32_t offset) {
    uint32_t digits = digits_of(rl_lines_line_at(&view->lines, offset).number);
    if (digits > view->gutter) view->gutter = digits;
}

static void measure_gutter(view_t* view, const rl_diag_t* diag) {
    view->gutter = 1;
    if (diag->has_span) widen_gutter(view, diag->span.start);
    for (uint32_t i = 0; i < diag->notes.count; i++) {
        if (diag->notes.data[i].has_span) widen_gutter(view, diag->notes.data[i].span.start);
    }
    for (uint32_t i = 0; i < diag->fixits.count; i++) widen_gutter(view, diag->fixits.data[i].span.start);
}

static void add_diag(view_t* view, const rl_diag_t* diag) {
    const severity_row_t* severity = &severities[diag->severity];
    rl_buf_t* out = view->out;
    measure_gutter(view, diag);
    begin_paint(view, severity->paint);
    rl_buf_printf(out, "%s[%s]", severity->name, rl_code_text(diag->code));
    end_paint(view);
    rl_buf_add_cstr(out, ": ");
    begin_paint(view, PAINT_BOLD);
    if (diag->message.length) {
        add_safe(out, diag->message);
    } else {
        rl_diag_add_expected(diag, out);
    }
    end_paint(view);
    rl_buf_add_char(out, '\n');
    if (diag->has_span) add_snippet(view, diag->span, '^', severity->paint);
    add_stack(view, diag);
    add_notes(view, diag);
    for (uint32_t i = 0; i < diag->fixits.count; i++) add_fixit(view, &diag->fixits.data[i]);
}

void rl_diags_text(const rl_diags_t* diags, rl_buf_t* out, bool colour) {
    view_t view = {.diags = diags, .lines = rl_lines_of(diags->source, diags->allocator), .out = out, .colour = colour};
    for (uint32_t i = 0; i < diags->items.count && !out->failed; i++) {
        if (i > 0) rl_buf_add_char(out, '\n');
        add_diag(&view, &diags->items.data[i]);
    }
    rl_lines_deinit(&view.lines);
}
