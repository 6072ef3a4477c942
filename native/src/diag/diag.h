/*
 * diag: what went wrong, where, in which words. In: a code of code.def, a span, a sentence. Out: sorted diagnostics
 * as text or JSON (LANGUAGE 9.1). Must not know: how anything was found.
 */
#ifndef RL_DIAG_H
#define RL_DIAG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"

/* Every diagnostic code: CODE(NAME, "text.code", domain, severity). The one list; docs and Python derive from it. */
typedef enum rl_code {
#define CODE(name, text, domain, severity) RL_CODE_##name,
#include "diag/code.def"
#undef CODE
    RL_CODE_COUNT
} rl_code_t;

typedef enum rl_severity { RL_ERROR, RL_WARNING, RL_INFO, RL_HINT } rl_severity_t;
const char* rl_code_text(rl_code_t code);
const char* rl_code_domain(rl_code_t code);
rl_severity_t rl_code_severity(rl_code_t code);
const char* rl_severity_text(rl_severity_t severity);

/* Byte range in the source of its module; end exclusive. */
typedef struct rl_span {
    uint32_t start, end;
} rl_span_t;

typedef enum rl_fixit_kind { RL_FIX_INSERT, RL_FIX_REPLACE, RL_FIX_DELETE } rl_fixit_kind_t;
typedef struct rl_fixit {
    rl_fixit_kind_t kind;
    rl_span_t span;
    rl_str_t text;
} rl_fixit_t;
typedef struct rl_note {
    rl_str_t message;
    rl_span_t span;
    bool has_span;
} rl_note_t;
typedef struct rl_stack_entry {
    rl_str_t function, module;
    uint32_t line;
} rl_stack_entry_t;

typedef struct rl_diag {
    rl_code_t code;
    rl_severity_t severity;
    rl_span_t span;
    bool has_span; /* run-time errors outside any source have none */
    rl_str_t message;
    RL_VEC(rl_note_t) notes;
    RL_VEC(rl_fixit_t) fixits;
    RL_VEC(rl_str_t) expected;      /* syntax errors: expected tokens (LANGUAGE 9.2), in the order to show */
    RL_VEC(rl_stack_entry_t) stack; /* run-time errors: innermost first */
    /* Ready JSON, in the arena: the object `extensions`, and members of the metadata of a record about it; NULL: none. */
    rl_str_t extensions, audit;
} rl_diag_t;

/*
 * The diagnostics of one load or run. Texts live in `arena`. At most 100; identical (code, span) pairs once.
 * `source`/`file`/`module` are what spans refer to (borrowed, must outlive the list).
 */
typedef struct rl_diags {
    rl_allocator_t* allocator;
    rl_arena_t* arena;
    rl_str_t source, file, module;
    RL_VEC(rl_diag_t) items;
    uint32_t errors; /* all of them, those past the hundredth too */
    bool warnings_as_errors;
    /* Below: private. What keeps a report possible when memory is gone; `items` may point here, so never copy a list. */
    rl_diag_t spare, last_resort;
    char last_resort_text[192];
} rl_diags_t;

void rl_diags_init(rl_diags_t* diags, rl_allocator_t* allocator, rl_arena_t* arena);
bool rl_diags_copy(rl_diags_t* to, const rl_diags_t* from); /* behind what is there; false: memory */
void rl_diags_clear(rl_diags_t* diags);
void rl_diags_deinit(rl_diags_t* diags);

/*
 * Report. Answers the diagnostic to add notes and fix-its to, never NULL: when it is a repetition, past the
 * hundredth, or memory is short, a spare one whose content goes nowhere. Borrowed until the list is sorted or cleared;
 * what is pushed to its tables directly must come from `diags->allocator`. The first diagnostic of a list gets in
 * without any memory (its text then cut); past the hundredth an error still takes the place of the last warning.
 * The message is one line, lower case at its start, no full stop, naming the thing.
 */
rl_diag_t* rl_report(rl_diags_t* diags, rl_code_t code, rl_span_t span, const char* format, ...) RL_PRINTF(4, 5);
/* The same with another severity than the code's own. */
rl_diag_t* rl_report_as(
    rl_diags_t* diags, rl_code_t code, rl_severity_t severity, rl_span_t span, const char* format, ...) RL_PRINTF(5, 6);
void rl_note(rl_diags_t* diags, rl_diag_t* diag, rl_span_t span, const char* format, ...) RL_PRINTF(4, 5);
void rl_note_plain(rl_diags_t* diags, rl_diag_t* diag, const char* format, ...) RL_PRINTF(3, 4);
void rl_fix(rl_diags_t* diags, rl_diag_t* diag, rl_fixit_kind_t kind, rl_span_t span, const char* format, ...)
    RL_PRINTF(5, 6);

/* "expected `)` or identifier"; at most six, then "… and N more". Nothing when nothing is expected. */
void rl_diag_add_expected(const rl_diag_t* diag, rl_buf_t* out);

void rl_diags_sort(rl_diags_t* diags); /* by position, then severity */
const rl_diag_t* rl_diags_first_error(const rl_diags_t* diags);

typedef struct rl_position {
    uint32_t line, column; /* 1-based; columns are grapheme clusters */
} rl_position_t;
rl_position_t rl_position_of(rl_str_t source, uint32_t offset);

void rl_diags_json(const rl_diags_t* diags, rl_buf_t* out); /* a JSON list, LANGUAGE 9.1 */
void rl_diags_text(const rl_diags_t* diags, rl_buf_t* out,
    bool colour); /* as a good compiler prints them: source line, caret, notes, fixes */

#endif
