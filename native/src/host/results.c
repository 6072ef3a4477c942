/* What a context lends as text: results, diagnostics, explanations; its memory; its audit settings. */
#include "host/context.h"

#include "base/json.h"
#include "base/unicode.h"
#include "syntax/explain.h"

static reml_embed_status_t lend(rl_context_t* context, reml_span_t* out) {
    if (context->lent_text.failed) {
        rl_alloc_clear_failure(&context->allocator);
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    *out = (reml_span_t){(void*)(uintptr_t)rl_buf_cstr(&context->lent_text), context->lent_text.length};
    return REML_EMBED_STATUS_OK;
}

int32_t reml_embed_result_kind(reml_embed_context_t* id) {
    rl_context_t* context = NULL;
    if (rl_slot_resolve(id, &context) != REML_EMBED_STATUS_OK || !context->result_type) return REML_KIND_NONE;
    return (int32_t)rl_kind_of(context->result_type);
}

reml_embed_status_t reml_embed_result_text(reml_embed_context_t* id, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (!context->result_type)
        return rl_context_fail(
            context, REML_EMBED_STATUS_ERROR, RL_CODE_FFI_WRAP_OWNERSHIP_VIOLATION, "there is no result");
    rl_buf_clear(&context->lent_text);
    reml_embed_status_t status = rl_value_display(context, context->result_type, context->result, &context->lent_text);
    rl_crossing_t crossing = {.symbol = RL_STR("reml_embed_result_text"),
        .ok = status == REML_EMBED_STATUS_OK,
        .ownership = RL_AUDIT_OWN_BORROWED,
        .result = status == REML_EMBED_STATUS_OK ? RL_AUDIT_RETURN_BORROWED : RL_AUDIT_RETURN_FAILURE};
    if (!crossing.ok) {
        crossing.error_code = rl_code_text(context->error_code);
        crossing.error_message = rl_buf_str(&context->error);
    } else {
        context->metrics.borrowed_results++;
    }
    rl_bridge_crossing(context, &crossing);
    return status == REML_EMBED_STATUS_OK ? lend(context, out) : status;
}

reml_embed_status_t reml_embed_result_type(reml_embed_context_t* id, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    if (!context->result_type) return REML_EMBED_STATUS_ERROR;
    rl_buf_clear(&context->lent_text);
    rl_type_print(&context->program, context->result_type->type, &context->lent_text);
    return lend(context, out);
}

reml_embed_status_t reml_embed_diagnostics_json(reml_embed_context_t* id, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    rl_buf_clear(&context->lent_text);
    rl_diags_json(&context->diagnostics, &context->lent_text);
    return lend(context, out);
}

reml_embed_status_t reml_embed_diagnostics_text(reml_embed_context_t* id, int colour, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    rl_buf_clear(&context->lent_text);
    rl_diags_text(&context->diagnostics, &context->lent_text, colour != 0);
    return lend(context, out);
}

const char* reml_embed_diagnostic_code(uint32_t index, const char** out_domain, const char** out_severity) {
    bool known = index < RL_CODE_COUNT;
    rl_code_t code = (rl_code_t)(known ? index : 0);
    if (out_domain) *out_domain = known ? rl_code_domain(code) : NULL;
    if (out_severity) *out_severity = known ? rl_severity_text(rl_code_severity(code)) : NULL;
    return known ? rl_code_text(code) : NULL;
}

size_t reml_embed_column_offset(const char* line, size_t length, uint32_t column) {
    size_t at = 0;
    for (uint32_t i = 1; line && i < column && at < length; i++) {
        size_t cluster = rl_unicode_grapheme((rl_str_t){line, length}, at);
        if (cluster == 0) break;
        at += cluster;
    }
    return at;
}

reml_embed_status_t reml_embed_constraints_json(reml_embed_context_t* id, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (!context->constraints.length)
        return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "the last load made no constraint graph");
    *out = (reml_span_t){(void*)(uintptr_t)rl_buf_cstr(&context->constraints), context->constraints.length};
    return REML_EMBED_STATUS_OK;
}

const char* reml_embed_unicode_version(void) { return rl_unicode_version; }

/* --- explanations ------------------------------------------------------------------------------------------------------------ */

static bool is_listed(const rl_function_t* function) {
    return !(function->flags & (RL_FN_LAMBDA | RL_FN_INIT | RL_FN_DEFAULT)) && !function->parent;
}

static void add_signature(const rl_program_t* program, const rl_function_t* function, rl_buf_t* out) {
    rl_buf_add_char(out, '(');
    for (uint32_t i = 0; i < function->param_count; i++) {
        if (i) rl_buf_add_cstr(out, ", ");
        rl_type_print(program, rl_program_param(program, function->param_first + i)->type, out);
    }
    rl_buf_add_cstr(out, ") -> ");
    rl_type_print(program, function->result, out);
    rl_effects_suffix(program, function->effects, out);
}

reml_embed_status_t reml_embed_functions(reml_embed_context_t* id, char** out_text, size_t* out_length) {
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    RL_ENTER(id, context);
    rl_program_t* program = &context->program;
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    for (rl_fn_id_t f = program->first_fn ? program->first_fn : 1; f < program->first_fn + program->functions.count;
        f++) {
        rl_function_t function = *rl_program_function(program, f);
        if (!is_listed(&function) || function.kind == RL_FN_BUILTIN || function.kind == RL_FN_OPERATION ||
            function.module < program->first_module)
            continue;
        rl_buf_add(&text, rl_sym_text(&program->symbols, rl_program_module(program, function.module)->path));
        rl_buf_add_char(&text, '.');
        if (function.owner) {
            rl_buf_add(&text, rl_sym_text(&program->symbols, rl_program_typedef(program, function.owner)->name));
            rl_buf_add_char(&text, '.');
        }
        rl_buf_add(&text, rl_sym_text(&program->symbols, function.name));
        rl_buf_add_char(&text, ' ');
        add_signature(program, &function, &text);
        rl_buf_add_char(&text, '\n');
    }
    return rl_hand_over(context, &text, out_text, out_length);
}

reml_embed_status_t reml_embed_exports(reml_embed_context_t* id, char** out_text, size_t* out_length) {
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    RL_ENTER(id, context);
    rl_program_t* program = &context->program;
    rl_buf_t text, type;
    rl_buf_init(&text, &context->allocator);
    rl_buf_init(&type, &context->allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_array_begin(&json);
    for (uint32_t i = 0; i < program->exports.count; i++) {
        const rl_export_t made = program->exports.data[i];
        rl_buf_clear(&type);
        if (made.fn) add_signature(program, rl_program_function(program, made.fn), &type);
        else rl_type_print(program, rl_program_global(program, made.global)->type, &type);
        rl_json_object_begin(&json);
        rl_json_member(&json, "module", rl_sym_text(&program->symbols, rl_program_module(program, made.module)->path));
        rl_json_member(&json, "name", rl_sym_text(&program->symbols, made.name));
        rl_json_member(&json, "kind", made.fn ? RL_STR("function") : RL_STR("value"));
        rl_json_member(&json, "type", rl_buf_str(&type));
        rl_json_key(&json, "metadata");
        rl_json_raw(&json, made.metadata);
        rl_json_object_end(&json);
    }
    rl_json_array_end(&json);
    rl_buf_deinit(&type);
    return rl_hand_over(context, &text, out_text, out_length);
}

static const char* ownership_word(uint32_t flags) {
    if (flags & RL_FN_TRANSFERS) return "transferred";
    if (flags & RL_FN_LENDS) return "borrowed";
    return flags & RL_FN_REFERS ? "reference" : "";
}

static void add_type(rl_context_t* context, rl_json_t* json, rl_buf_t* scratch, rl_type_t type) {
    rl_buf_clear(scratch);
    rl_type_print(&context->program, type, scratch);
    rl_json_string(json, rl_buf_str(scratch));
}

reml_embed_status_t reml_embed_externs(reml_embed_context_t* id, char** out_text, size_t* out_length) {
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    RL_ENTER(id, context);
    rl_program_t* program = &context->program;
    rl_buf_t text, type;
    rl_buf_init(&text, &context->allocator);
    rl_buf_init(&type, &context->allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_array_begin(&json);
    uint32_t first = program->first_fn ? program->first_fn : 1;
    for (rl_fn_id_t f = first; f < program->first_fn + program->functions.count; f++) {
        const rl_function_t function = *rl_program_function(program, f);
        if (function.kind != RL_FN_HOST || function.module < program->first_module || !is_listed(&function)) continue;
        /* A call of a variadic one with further arguments has made a function of its own, which nobody wrote. */
        rl_str_t module = rl_sym_text(&program->symbols, rl_program_module(program, function.module)->path);
        bool written = module.length == 0 || module.data[0] != '#';
        for (rl_fn_id_t before = first; before < f && written; before++) {
            const rl_function_t* other = rl_program_function(program, before);
            written = other->kind != RL_FN_HOST || other->module != function.module ||
                      other->symbol != function.symbol || other->span.start != function.span.start;
        }
        if (!written) continue;
        rl_sym_t symbol = function.link_name ? function.link_name : function.symbol;
        rl_json_object_begin(&json);
        rl_json_member(&json, "module", module);
        rl_json_member(&json, "name", rl_sym_text(&program->symbols, function.name));
        rl_json_member(&json, "symbol", rl_sym_text(&program->symbols, symbol ? symbol : function.name));
        rl_json_member(&json, "abi", function.flags & RL_FN_FOREIGN ? RL_STR("C") : RL_STR("host"));
        rl_json_key(&json, "parameters");
        rl_json_array_begin(&json);
        for (uint32_t i = 0; i < function.param_count; i++)
            add_type(context, &json, &type, rl_program_param(program, function.param_first + i)->type);
        rl_json_array_end(&json);
        rl_json_key(&json, "result");
        add_type(context, &json, &type, function.result);
        rl_json_member(&json, "ownership", rl_str(ownership_word(function.flags)));
        rl_json_key(&json, "variadic");
        rl_json_bool(&json, (function.flags & RL_FN_VARARGS) != 0);
        rl_json_key(&json, "bound");
        rl_json_bool(&json, rl_host_binding_of(context, f) != UINT32_MAX);
        rl_json_key(&json, "line");
        rl_json_u64(&json, rl_program_line_of(program, function.module, function.span.start).line);
        rl_json_object_end(&json);
    }
    rl_json_array_end(&json);
    rl_buf_deinit(&type);
    return rl_hand_over(context, &text, out_text, out_length);
}

enum { EXPLAIN_IR, EXPLAIN_BYTECODE, EXPLAIN_TREE, EXPLAIN_TOKENS };

/* Bytecode of every instance that the host's look-ups and runs have made so far, of user functions. */
static void explain_instances(rl_context_t* context, rl_fn_id_t only, rl_buf_t* out) {
    for (uint32_t i = 1; i < context->compiler.instances.count; i++) {
        const rl_instance_t* instance = &context->compiler.instances.data[i];
        if (!instance->proto || !instance->done) continue;
        if (only ? instance->function != only : instance->function < context->program.first_fn) continue;
        rl_disassemble(&context->program, instance->proto, out);
    }
}

reml_embed_status_t reml_embed_explain(
    reml_embed_context_t* id, int what, const char* name, char** out_text, size_t* out_length) {
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (what < EXPLAIN_IR || what > EXPLAIN_TOKENS) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (!context->loaded)
        return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_NATIVE_EMBED_NO_MODULE, "no module loaded");
    rl_program_t* program = &context->program;
    rl_fn_id_t only = 0;
    if (name && *name) {
        only = rl_program_find_function(program, rl_str(name));
        if (!only)
            return rl_context_fail(
                context, REML_EMBED_STATUS_ERROR, RL_CODE_RUNTIME_ENTRY_UNKNOWN, "entrypoint not found: %.200s", name);
    }
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    if (what >= EXPLAIN_TREE) {
        rl_module_id_t last = program->first_module + program->modules.count - 1;
        rl_explain_syntax(&context->allocator, &program->symbols, rl_program_module(program, last)->source,
            what == EXPLAIN_TOKENS, &text);
        if (context->allocator.failed) text.failed = true; /* half a tree is none */
        return rl_hand_over(context, &text, out_text, out_length);
    }
    rl_fn_id_t end = program->first_fn + program->functions.count;
    for (rl_fn_id_t f = program->first_fn ? program->first_fn : 1; f < end; f++) {
        const rl_function_t* function = rl_program_function(program, f);
        if (only ? f != only : function->kind != RL_FN_REML) continue;
        if (what == EXPLAIN_IR) rl_ir_print(program, f, &text);
        else if (!function->type_params && !function->parent && !rl_pipeline_instance(context, f, NULL, 0, false)) {
            if (context->error_code == RL_CODE_RUNTIME_LIMIT_MEMORY) text.failed = true;
        }
    }
    if (context->allocator.failed) text.failed = true;
    if (what == EXPLAIN_BYTECODE) explain_instances(context, only, &text);
    return rl_hand_over(context, &text, out_text, out_length);
}

/* --- memory -------------------------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_embed_memory(reml_embed_context_t* id, reml_embed_memory_t* out) {
    RL_ENTER(id, context);
    if (!out || out->struct_size < 2 * sizeof(uint32_t)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_embed_memory_t memory = {
        .struct_size = out->struct_size,
        .live_bytes = context->allocator.live_bytes,
        .peak_bytes = context->allocator.peak_bytes,
        .heap_live_objects = context->vm.heap.stats.live_objects,
        .collections = context->vm.heap.stats.collections,
        .allocations = context->allocator.requests,
        .live_handles = context->metrics.live,
        .heap_bytes = context->vm.heap.stats.live_bytes,
        .pause_last_ns = context->vm.heap.stats.pause_ns_last,
        .pause_longest_ns = context->vm.heap.stats.pause_ns_max,
        .pause_total_ns = context->vm.heap.stats.pause_ns_total,
    };
    memcpy(out, &memory, out->struct_size < sizeof memory ? out->struct_size : sizeof memory);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_collect(reml_embed_context_t* id) {
    RL_ENTER(id, context);
    if (context->frozen || context->audit.delivering) return REML_EMBED_STATUS_BUSY;
    rl_heap_collect(&context->vm.heap);
    rl_foreign_settle(context);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_fail_allocation(reml_embed_context_t* id, uint64_t number, uint64_t every) {
    RL_ENTER(id, context);
    context->allocator.fail_at = number ? context->allocator.requests + number : 0;
    context->allocator.fail_every = number ? every : 0;
    return REML_EMBED_STATUS_OK;
}
