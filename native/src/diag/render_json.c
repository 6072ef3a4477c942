#include "diag/diag.h"

#include "base/json.h"
#include "diag/lines.h"

typedef struct alias_row {
    rl_code_t code;
    const char* alias;
} alias_row_t;

static const alias_row_t aliases[] = {
    {RL_CODE_TYPE_CONDITION_BOOL_REQUIRED, "E7006"},
};

static const char* const fixit_names[] = {
    [RL_FIX_INSERT] = "insert", [RL_FIX_REPLACE] = "replace", [RL_FIX_DELETE] = "delete"};

static void number_member(rl_json_t* json, const char* key, uint32_t number) {
    rl_json_key(json, key);
    rl_json_u64(json, number);
}

/* start_line … end_col; the object stays open. */
static rl_position_t begin_span(rl_json_t* json, rl_lines_t* lines, rl_span_t span) {
    rl_position_t start = rl_lines_position(lines, span.start);
    rl_position_t end = rl_lines_position(lines, span.end < span.start ? span.start : span.end);
    rl_json_object_begin(json);
    number_member(json, "start_line", start.line);
    number_member(json, "start_col", start.column);
    number_member(json, "end_line", end.line);
    number_member(json, "end_col", end.column);
    return start;
}

static void add_span(rl_json_t* json, rl_lines_t* lines, rl_span_t span) {
    begin_span(json, lines, span);
    rl_json_object_end(json);
}

static void add_codes(rl_json_t* json, rl_code_t code) {
    rl_json_member(json, "code", rl_str(rl_code_text(code)));
    rl_json_key(json, "codes");
    rl_json_array_begin(json);
    rl_json_string(json, rl_str(rl_code_text(code)));
    for (size_t i = 0; i < RL_COUNT_OF(aliases); i++) {
        if (aliases[i].code == code) rl_json_string(json, rl_str(aliases[i].alias));
    }
    rl_json_array_end(json);
}

static void add_notes(rl_json_t* json, rl_lines_t* lines, const rl_diag_t* diag) {
    rl_json_key(json, "notes");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < diag->notes.count; i++) {
        const rl_note_t* note = &diag->notes.data[i];
        rl_json_object_begin(json);
        rl_json_member(json, "message", note->message);
        rl_json_key(json, "span");
        if (note->has_span) {
            add_span(json, lines, note->span);
        } else {
            rl_json_null(json);
        }
        rl_json_object_end(json);
    }
    rl_json_array_end(json);
}

static void add_expected(rl_json_t* json, const rl_diag_t* diag, rl_buf_t* scratch) {
    if (diag->expected.count == 0) return;
    rl_json_key(json, "expected");
    rl_json_object_begin(json);
    rl_json_key(json, "tokens");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < diag->expected.count; i++) rl_json_string(json, diag->expected.data[i]);
    rl_json_array_end(json);
    rl_buf_clear(scratch);
    rl_diag_add_expected(diag, scratch);
    rl_json_member(json, "humanized", rl_buf_str(scratch));
    rl_json_object_end(json);
}

static void add_fixits(rl_json_t* json, rl_lines_t* lines, const rl_diag_t* diag) {
    rl_json_key(json, "fixits");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < diag->fixits.count; i++) {
        const rl_fixit_t* fix = &diag->fixits.data[i];
        rl_json_object_begin(json);
        rl_json_member(json, "kind", rl_str(fixit_names[fix->kind]));
        rl_json_key(json, "span");
        add_span(json, lines, fix->span);
        rl_json_member(json, "text", fix->text);
        rl_json_object_end(json);
    }
    rl_json_array_end(json);
}

static void add_stack(rl_json_t* json, const rl_diag_t* diag) {
    if (diag->stack.count == 0 && strcmp(rl_code_domain(diag->code), "runtime") != 0) return;
    rl_json_key(json, "stack");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < diag->stack.count; i++) {
        const rl_stack_entry_t* entry = &diag->stack.data[i];
        rl_json_object_begin(json);
        rl_json_member(json, "function", entry->function);
        rl_json_member(json, "module", entry->module);
        number_member(json, "line", entry->line);
        rl_json_object_end(json);
    }
    rl_json_array_end(json);
}

static void add_message(rl_json_t* json, const rl_diag_t* diag, rl_buf_t* scratch) {
    rl_buf_clear(scratch);
    if (diag->message.length) {
        rl_json_member(json, "message", diag->message);
        return;
    }
    rl_diag_add_expected(diag, scratch);
    rl_json_member(json, "message", rl_buf_str(scratch));
}

static void add_diag(
    rl_json_t* json, const rl_diags_t* diags, rl_lines_t* lines, const rl_diag_t* diag, rl_buf_t* scratch) {
    rl_position_t start = {0, 0};
    rl_json_object_begin(json);
    rl_json_member(json, "severity", rl_str(rl_severity_text(diag->severity)));
    add_codes(json, diag->code);
    rl_json_member(json, "domain", rl_str(rl_code_domain(diag->code)));
    add_message(json, diag, scratch);
    rl_json_member(json, "module", diags->module);
    rl_json_key(json, "primary");
    if (diag->has_span) {
        start = begin_span(json, lines, diag->span);
        number_member(json, "byte_start", diag->span.start);
        number_member(json, "byte_end", diag->span.end < diag->span.start ? diag->span.start : diag->span.end);
        rl_json_object_end(json);
    } else {
        rl_json_null(json);
    }
    add_notes(json, lines, diag);
    add_expected(json, diag, scratch);
    add_fixits(json, lines, diag);
    add_stack(json, diag);
    if (diag->extensions.length) {
        rl_json_key(json, "extensions");
        rl_json_raw(json, diag->extensions);
    }
    if (diag->has_span) {
        number_member(json, "line", start.line);
        number_member(json, "column", start.column);
    } else {
        rl_json_key(json, "line");
        rl_json_null(json);
        rl_json_key(json, "column");
        rl_json_null(json);
    }
    rl_json_object_end(json);
}

void rl_diags_json(const rl_diags_t* diags, rl_buf_t* out) {
    rl_lines_t lines = rl_lines_of(diags->source, diags->allocator);
    rl_json_t json = rl_json_begin(out);
    rl_buf_t scratch;
    rl_buf_init(&scratch, out->allocator);
    rl_json_array_begin(&json);
    for (uint32_t i = 0; i < diags->items.count && !out->failed; i++) {
        add_diag(&json, diags, &lines, &diags->items.data[i], &scratch);
    }
    rl_json_array_end(&json);
    out->failed |= scratch.failed;
    rl_buf_deinit(&scratch);
    rl_lines_deinit(&lines);
}
