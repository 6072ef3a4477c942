#include "diag/diag.h"

#include <stdio.h>

#define MOST_ITEMS          100u
#define MOST_EXPECTED_SHOWN 6u

/* --- codes ------------------------------------------------------------------------------------------ */

typedef struct code_row {
    const char *text, *domain;
    rl_severity_t severity;
} code_row_t;

static const code_row_t code_rows[] = {
#define CODE(name, text, domain, severity) [RL_CODE_##name] = {text, domain, severity},
#include "diag/code.def"
#undef CODE
};
_Static_assert(RL_COUNT_OF(code_rows) == RL_CODE_COUNT, "every code has its row");

static const code_row_t* row_of(rl_code_t code) {
    static const code_row_t unknown = {"", "runtime", RL_ERROR};
    return (unsigned)code < RL_CODE_COUNT ? &code_rows[code] : &unknown;
}

const char* rl_code_text(rl_code_t code) { return row_of(code)->text; }
const char* rl_code_domain(rl_code_t code) { return row_of(code)->domain; }
rl_severity_t rl_code_severity(rl_code_t code) { return row_of(code)->severity; }

const char* rl_severity_text(rl_severity_t severity) {
    static const char* const names[] = {
        [RL_ERROR] = "error", [RL_WARNING] = "warning", [RL_INFO] = "info", [RL_HINT] = "hint"};
    return names[severity];
}

/* --- the list ---------------------------------------------------------------------------------------- */

static void free_tables(rl_diags_t* diags, rl_diag_t* diag) {
    rl_vec_deinit(diags->allocator, &diag->notes);
    rl_vec_deinit(diags->allocator, &diag->fixits);
    rl_vec_deinit(diags->allocator, &diag->expected);
    rl_vec_deinit(diags->allocator, &diag->stack);
}

static bool on_last_resort(const rl_diags_t* diags) { return diags->items.data == &diags->last_resort; }

void rl_diags_init(rl_diags_t* diags, rl_allocator_t* allocator, rl_arena_t* arena) {
    memset(diags, 0, sizeof *diags);
    diags->allocator = allocator;
    diags->arena = arena;
}

void rl_diags_clear(rl_diags_t* diags) {
    for (uint32_t i = 0; i < diags->items.count; i++) free_tables(diags, &diags->items.data[i]);
    free_tables(diags, &diags->spare);
    diags->items.count = 0;
    diags->errors = 0;
    if (on_last_resort(diags)) {
        diags->items.data = NULL;
        diags->items.capacity = 0;
    }
}

void rl_diags_deinit(rl_diags_t* diags) {
    rl_diags_clear(diags);
    rl_vec_deinit(diags->allocator, &diags->items);
}

/*
 * All hundred places at once, so that what rl_report() answers stays where it is. Without memory: the one place inside
 * the list itself.
 */
static bool make_room(rl_diags_t* diags) {
    if (diags->items.count < diags->items.capacity) return true;
    if (diags->items.data) return false; /* a hundred, or the one without memory: it may not move either */
    rl_diag_t* all = rl_alloc(diags->allocator, MOST_ITEMS * sizeof *all);
    diags->items.data = all ? all : &diags->last_resort;
    diags->items.capacity = all ? MOST_ITEMS : 1;
    return true;
}

static bool is_repetition(const rl_diags_t* diags, rl_code_t code, rl_span_t span) {
    for (uint32_t i = 0; i < diags->items.count; i++) {
        const rl_diag_t* item = &diags->items.data[i];
        if (item->code == code && item->span.start == span.start && item->span.end == span.end) return true;
    }
    return false;
}

static rl_diag_t* last_milder_than_error(rl_diags_t* diags) {
    for (uint32_t i = diags->items.count; i > 0; i--) {
        if (diags->items.data[i - 1].severity != RL_ERROR) return &diags->items.data[i - 1];
    }
    return NULL;
}

bool rl_diags_copy(rl_diags_t* to, const rl_diags_t* from) {
    rl_allocator_t* allocator = to->allocator;
    for (uint32_t i = 0; i < from->items.count && !allocator->failed; i++) {
        const rl_diag_t* item = &from->items.data[i];
        if (!make_room(to)) return !allocator->failed;
        rl_diag_t* copy = &to->items.data[to->items.count++];
        *copy =
            (rl_diag_t){.code = item->code, .severity = item->severity, .span = item->span, .has_span = item->has_span};
#define TEXT(text) ((text).data ? rl_arena_copy(to->arena, (text)) : (rl_str_t){NULL, 0})
        copy->message = TEXT(item->message);
        copy->extensions = TEXT(item->extensions);
        copy->audit = TEXT(item->audit);
        for (uint32_t k = 0; k < item->notes.count; k++) {
            rl_note_t note = item->notes.data[k];
            note.message = TEXT(note.message);
            (void)rl_vec_push(allocator, &copy->notes, note);
        }
        for (uint32_t k = 0; k < item->fixits.count; k++) {
            rl_fixit_t fixit = item->fixits.data[k];
            fixit.text = TEXT(fixit.text);
            (void)rl_vec_push(allocator, &copy->fixits, fixit);
        }
        for (uint32_t k = 0; k < item->expected.count; k++)
            (void)rl_vec_push(allocator, &copy->expected, TEXT(item->expected.data[k]));
#undef TEXT
        to->errors += item->severity == RL_ERROR;
    }
    return !allocator->failed;
}

/* A cut text may not end inside a code point. */
static size_t cut_at_code_point(const char* text, size_t length) {
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
    return length;
}

/* Into the arena; without memory `fallback` answers, and the first message goes, cut, into the list itself. */
static rl_str_t formatted(rl_diags_t* diags, rl_str_t fallback, const char* format, va_list arguments) {
    char small[256];
    va_list again;
    va_copy(again, arguments);
    int wanted = vsnprintf(small, sizeof small, format, arguments);
    rl_str_t text = fallback;
    if (wanted >= 0) {
        size_t length = (size_t)wanted;
        char* copy = rl_arena_alloc(diags->arena, length + 1);
        if (copy) {
            if (length < sizeof small) {
                memcpy(copy, small, length + 1);
            } else {
                vsnprintf(copy, length + 1, format, again);
            }
            text = (rl_str_t){copy, length};
        } else if (diags->items.count == 1) {
            size_t most = sizeof diags->last_resort_text - 1;
            size_t kept = length <= most ? length : cut_at_code_point(small, most);
            memcpy(diags->last_resort_text, small, kept);
            text = (rl_str_t){diags->last_resort_text, kept};
        }
    }
    va_end(again);
    return text;
}

static rl_diag_t* report(
    rl_diags_t* diags, rl_code_t code, rl_severity_t severity, rl_span_t span, const char* format, va_list arguments) {
    if (severity == RL_WARNING && diags->warnings_as_errors) severity = RL_ERROR;
    rl_diag_t* diag = NULL;
    if (!is_repetition(diags, code, span)) {
        diags->errors += severity == RL_ERROR;
        if (make_room(diags)) {
            diag = &diags->items.data[diags->items.count++];
            memset(diag, 0, sizeof *diag);
        } else if (severity == RL_ERROR) {
            diag = last_milder_than_error(diags);
        }
    }
    bool kept = diag != NULL;
    if (!kept) diag = &diags->spare;
    free_tables(diags, diag);
    *diag = (rl_diag_t){.code = code, .severity = severity, .span = span, .has_span = true};
    if (kept) diag->message = formatted(diags, rl_str(rl_code_text(code)), format, arguments);
    return diag;
}

rl_diag_t* rl_report(rl_diags_t* diags, rl_code_t code, rl_span_t span, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    rl_diag_t* diag = report(diags, code, rl_code_severity(code), span, format, arguments);
    va_end(arguments);
    return diag;
}

rl_diag_t* rl_report_as(
    rl_diags_t* diags, rl_code_t code, rl_severity_t severity, rl_span_t span, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    rl_diag_t* diag = report(diags, code, severity, span, format, arguments);
    va_end(arguments);
    return diag;
}

static bool goes_nowhere(const rl_diags_t* diags, const rl_diag_t* diag) { return !diag || diag == &diags->spare; }

static rl_str_t formatted_in_arena(rl_diags_t* diags, const char* format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int wanted = vsnprintf(NULL, 0, format, arguments);
    char* copy = wanted >= 0 ? rl_arena_alloc(diags->arena, (size_t)wanted + 1) : NULL;
    if (copy) vsnprintf(copy, (size_t)wanted + 1, format, again);
    va_end(again);
    return copy ? (rl_str_t){copy, (size_t)wanted} : (rl_str_t){NULL, 0};
}

static void add_note(rl_diags_t* diags, rl_diag_t* diag, rl_note_t note, const char* format, va_list arguments) {
    if (goes_nowhere(diags, diag)) return;
    note.message = formatted_in_arena(diags, format, arguments);
    if (note.message.data) (void)rl_vec_push(diags->allocator, &diag->notes, note);
}

void rl_note(rl_diags_t* diags, rl_diag_t* diag, rl_span_t span, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_note(diags, diag, (rl_note_t){.span = span, .has_span = true}, format, arguments);
    va_end(arguments);
}

void rl_note_plain(rl_diags_t* diags, rl_diag_t* diag, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_note(diags, diag, (rl_note_t){.has_span = false}, format, arguments);
    va_end(arguments);
}

void rl_fix(rl_diags_t* diags, rl_diag_t* diag, rl_fixit_kind_t kind, rl_span_t span, const char* format, ...) {
    if (goes_nowhere(diags, diag)) return;
    va_list arguments;
    va_start(arguments, format);
    rl_str_t text = formatted_in_arena(diags, format, arguments);
    va_end(arguments);
    if (text.data) (void)rl_vec_push(diags->allocator, &diag->fixits, (rl_fixit_t){kind, span, text});
}

/* --- order ------------------------------------------------------------------------------------------- */

static bool comes_before(const rl_diag_t* a, const rl_diag_t* b) {
    if (a->has_span != b->has_span) return a->has_span;
    if (a->has_span && a->span.start != b->span.start) return a->span.start < b->span.start;
    return a->severity < b->severity;
}

void rl_diags_sort(rl_diags_t* diags) { /* stable insertion: at most a hundred, nearly sorted already */
    for (uint32_t i = 1; i < diags->items.count; i++) {
        rl_diag_t moving = diags->items.data[i];
        uint32_t place = i;
        while (place > 0 && comes_before(&moving, &diags->items.data[place - 1])) {
            diags->items.data[place] = diags->items.data[place - 1];
            place--;
        }
        diags->items.data[place] = moving;
    }
}

const rl_diag_t* rl_diags_first_error(const rl_diags_t* diags) {
    for (uint32_t i = 0; i < diags->items.count; i++) {
        if (diags->items.data[i].severity == RL_ERROR) return &diags->items.data[i];
    }
    return NULL;
}

void rl_diag_add_expected(const rl_diag_t* diag, rl_buf_t* out) {
    uint32_t count = diag->expected.count;
    uint32_t shown = count < MOST_EXPECTED_SHOWN ? count : MOST_EXPECTED_SHOWN;
    for (uint32_t i = 0; i < shown; i++) {
        bool last_of_all = i > 0 && i + 1 == count;
        rl_buf_add_cstr(out, i == 0 ? "expected " : last_of_all ? " or " : ", ");
        rl_buf_add(out, diag->expected.data[i]);
    }
    if (count > shown) rl_buf_printf(out, " … and %u more", count - shown);
}
