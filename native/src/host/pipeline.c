/*
 * From source text to a result, step by step (STYLE 1):
 *   load        1 limits · 2 tokens, tree, @cfg · 3 names, types, IR · 4 globals get room
 *   run         5 instances: IR → bytecode · 6 modules initialise · 7 the entry runs
 */
#include "base/utf8.h"
#include "host/program.h"
#include "syntax/parser.h"
#include "types/entry.h"
#include "types/telemetry.h"

static uint32_t limit32(uint64_t limit) { return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit; }

void rl_pipeline_begin_diagnostics(rl_context_t* context, rl_str_t text, rl_str_t file) {
    rl_diags_clear(&context->diagnostics);
    rl_arena_deinit(&context->diag_arena);
    context->diagnostics.source = text;
    context->diagnostics.file = file;
    context->diagnostics.module = (rl_str_t){NULL, 0};
}

bool rl_pipeline_make_room(rl_context_t* context) {
    uint32_t globals = context->program.first_global + context->program.globals.count;
    uint32_t modules = context->program.modules.count;
    bool done = rl_vm_reserve_globals(&context->vm, globals);
    while (done && context->module_states.count < modules)
        done = rl_vec_push(&context->allocator, &context->module_states, RL_MODULE_FRESH);
    return done;
}

void rl_pipeline_trim(rl_context_t* context) {
    rl_grants_forget(context);
    if (context->module_states.count > context->program.modules.count)
        context->module_states.count = context->program.modules.count;
    if (context->modules_ready > context->module_states.count) context->modules_ready = context->module_states.count;
}

void rl_pipeline_loaded(rl_context_t* context) {
    rl_result_drop(context);
    context->direct = false;
    context->loaded = true;
}

reml_embed_status_t rl_pipeline_load(rl_context_t* context, const reml_embed_source_t* source) {
    rl_allocator_t* allocator = &context->allocator;
    rl_alloc_clear_failure(allocator);
    rl_pipeline_begin_diagnostics(context, (rl_str_t){NULL, 0}, (rl_str_t){NULL, 0});
    rl_str_t text = rl_arena_copy(&context->diag_arena, (rl_str_t){source->text, source->text_length});
    rl_str_t file = rl_arena_copy(
        &context->diag_arena, (rl_str_t){source->file_name, source->file_name ? source->file_name_length : 0});
    context->diagnostics.source = text;
    context->diagnostics.file = file;
    rl_buf_deinit(&context->constraints);
    if (allocator->failed) goto out_of_memory;

    /* 1 */
    if (text.length > context->limits.source_bytes) {
        rl_report(&context->diagnostics, RL_CODE_PARSER_LIMIT_EXCEEDED, (rl_span_t){0, 0},
            "source has %llu bytes, the limit is %llu", (unsigned long long)text.length,
            (unsigned long long)context->limits.source_bytes);
        return rl_context_fail_from_diagnostics(context);
    }

    rl_program_mark_t mark = rl_program_mark(&context->program);
    rl_tree_t tree;
    rl_module_id_t module = 0;
    /* 2 */
    rl_parser_input_t parser = {
        .allocator = allocator,
        .source = text,
        .symbols = &context->program.symbols,
        .diags = &context->diagnostics,
        .options = {.source_bytes = limit32(context->limits.source_bytes),
            .nesting = limit32(context->limits.nesting),
            .identifier_bytes = limit32(context->limits.identifier_bytes),
            .strict_top_level = (context->options & REML_EMBED_OPTION_STRICT_TOP_LEVEL) != 0},
    };
    bool done = rl_parse(&parser, &tree);
    rl_disabled_names_t disabled = {0};
    rl_guarded_uses_t uses = {0};
    if (done) {
        rl_cfg_t cfg = rl_context_cfg(context);
        done = rl_tree_apply_cfg(&tree, &context->program.symbols, &cfg, &context->diagnostics, &disabled);
    }
    /* 3 */
    if (done) {
        const rl_stage_policy_t stages = rl_context_stages(context);
        rl_check_input_t check = {
            .tree = &tree,
            .source = text,
            .file = file,
            .program = &context->program,
            .diags = &context->diagnostics,
            .ambient = (source->flags & REML_EMBED_SOURCE_AMBIENT) != 0,
            .deny_non_exhaustive = (context->options & REML_EMBED_OPTION_DENY_NON_EXHAUSTIVE) != 0,
            .disabled = &disabled,
            .granted = rl_grants_attribute,
            .guarded = rl_grants_guarded,
            .host = context,
            .uses = &uses,
            .reached = context->recording ? &context->recording->reached : NULL,
            .stages = &stages,
            .minimum_stage = context->minimum_stage,
        };
        rl_telemetry_t telemetry;
        bool asked = (source->flags & REML_EMBED_SOURCE_TELEMETRY) != 0;
        if (asked) {
            rl_telemetry_begin(&telemetry, allocator);
            check.telemetry = &telemetry;
        }
        done = rl_check_module(&check, &module);
        rl_grants_check_uses(context, &uses);
        done = done && context->diagnostics.errors == 0;
        if (asked) {
            context->constraints = telemetry.json;
            telemetry.json = (rl_buf_t){.allocator = allocator};
            rl_telemetry_end(&telemetry);
        }
        if (done && context->effects.handlers.count) done = rl_host_handlers_fit(context, module);
    }
    rl_vec_deinit(allocator, &uses);
    rl_vec_deinit(allocator, &disabled.names);
    rl_vec_deinit(allocator, &disabled.fields);
    rl_tree_deinit(&tree);
    rl_diags_sort(&context->diagnostics);
    rl_effects_record_uses(context);
    bool check_only = (source->flags & REML_EMBED_SOURCE_CHECK_ONLY) != 0;
    /* 4 */
    if (done && !check_only && !allocator->failed) (void)rl_pipeline_make_room(context);
    if (!done || check_only || allocator->failed) {
        bool memory = allocator->failed; /* what diagnostics say may then be wrong */
        rl_program_restore(&context->program, mark);
        rl_pipeline_trim(context);
        if (memory) goto out_of_memory;
        rl_alloc_clear_failure(allocator);
        return done && check_only ? REML_EMBED_STATUS_OK : rl_context_fail_from_diagnostics(context);
    }
    rl_pipeline_loaded(context);
    rl_history_loaded(context);
    return REML_EMBED_STATUS_OK;

out_of_memory:
    rl_alloc_clear_failure(allocator);
    if (allocator->live_bytes >= allocator->limit_bytes - allocator->limit_bytes / 4) {
        return rl_context_fail(context, REML_EMBED_STATUS_LIMIT, RL_CODE_RUNTIME_LIMIT_MEMORY,
            "%s: the module needs more than %llu bytes", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY),
            (unsigned long long)allocator->limit_bytes);
    }
    return rl_context_fail(context, REML_EMBED_STATUS_NO_MEMORY, RL_CODE_RUNTIME_LIMIT_MEMORY,
        "%s: out of memory while loading", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
}

rl_proto_t* rl_pipeline_instance(
    rl_context_t* context, rl_fn_id_t function, const rl_type_t* arguments, uint32_t count, bool as_value) {
    rl_alloc_clear_failure(&context->allocator);
    rl_proto_t* proto = rl_compile(&context->compiler, function, arguments, count, as_value);
    if (proto) return proto;
    if (context->compiler.failed) {
        const rl_function_t* culprit = rl_program_function(&context->program, context->compiler.failed_function);
        rl_str_t name = rl_sym_text(&context->program.symbols, culprit->name);
        rl_code_t code = context->compiler.failed_code;
        context->compiler.failed = false;
        rl_vm_clear_failure(&context->vm);
        (void)rl_vm_raise(
            &context->vm, code, "too many instances, or types nested too deep, at `%.*s`", RL_STR_ARG(name));
        context->vm.failure.module = context->compiler.failed_module;
        context->vm.failure.start = context->compiler.failed_start;
        (void)rl_context_fail_from_vm(context);
    } else {
        rl_context_fail(context, REML_EMBED_STATUS_NO_MEMORY, RL_CODE_RUNTIME_LIMIT_MEMORY,
            "%s: out of memory while compiling", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
    }
    rl_alloc_clear_failure(&context->allocator);
    return NULL;
}

reml_embed_status_t rl_pipeline_initialise(rl_context_t* context) {
    for (uint32_t i = context->modules_ready; i < context->module_states.count; i++) {
        uint8_t state = context->module_states.data[i];
        if (state == RL_MODULE_READY || state == RL_MODULE_RUNNING)
            continue; /* RUNNING: a host function called back during it */
        rl_module_id_t id = context->program.first_module + i;
        if (state == RL_MODULE_FAILED) {
            rl_str_t path = rl_sym_text(&context->program.symbols, rl_program_module(&context->program, id)->path);
            return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_RUNTIME_INIT_FAILED,
                "%s: initialisation of module %.*s has failed before", rl_code_text(RL_CODE_RUNTIME_INIT_FAILED),
                RL_STR_ARG(path));
        }
        rl_fn_id_t init = rl_program_module(&context->program, id)->init;
        if (!init) {
            context->module_states.data[i] = RL_MODULE_READY;
            continue;
        }
        rl_proto_t* proto = rl_pipeline_instance(context, init, NULL, 0, false);
        if (!proto) return rl_status_of_code(context->error_code);
        context->module_states.data[i] = RL_MODULE_RUNNING;
        rl_word_t ignored;
        bool done = rl_vm_call(&context->vm, proto, NULL, NULL, &ignored) == RL_DONE;
        context->module_states.data[i] = done ? RL_MODULE_READY : RL_MODULE_FAILED;
        if (!done) {
            rl_run_settle(context, ignored, false);
            return rl_context_fail_from_vm(context);
        }
    }
    while (context->modules_ready < context->module_states.count &&
           context->module_states.data[context->modules_ready] == RL_MODULE_READY) {
        context->modules_ready++;
    }
    return REML_EMBED_STATUS_OK;
}

rl_proto_t* rl_pipeline_entry(rl_context_t* context, rl_fn_id_t function, reml_embed_status_t* out_status) {
    const rl_function_t* entry = rl_program_function(&context->program, function);
    rl_str_t name = rl_sym_text(&context->program.symbols, entry->name);
    uint32_t required = 0;
    for (uint32_t i = 0; i < entry->param_count; i++) {
        if (!rl_program_param(&context->program, entry->param_first + i)->default_fn) required++;
    }
    /* Type parameters that nothing fixes are (): `fn main() { None }`. */
    rl_type_t units[32];
    uint32_t type_params = entry->type_params;
    bool open = type_params > RL_COUNT_OF(units) || entry->constraint_count || (type_params && entry->param_count);
    for (uint32_t i = 0; i < type_params && i < RL_COUNT_OF(units); i++) units[i] = RL_TYPE_UNIT;
    if (required || open || entry->kind == RL_FN_BUILTIN) {
        *out_status = rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_RUNTIME_ENTRY_ARITY,
            "%s: `%.*s` needs %u argument%s", rl_code_text(RL_CODE_RUNTIME_ENTRY_ARITY), RL_STR_ARG(name), required,
            required == 1 ? "" : "s");
        return NULL;
    }
    if (entry->kind == RL_FN_HOST && !entry->param_count) {
        function = rl_check_forwarder(&context->program, function);
        if (!function) *out_status = rl_context_no_memory(context);
        if (!function) return NULL;
    } else if (entry->param_count) {
        /* All parameters have defaults: the checker makes a parameterless caller. */
        function = rl_check_entry_caller(&context->program, function);
        if (!function) {
            *out_status = rl_context_fail(context, REML_EMBED_STATUS_NO_MEMORY, RL_CODE_RUNTIME_LIMIT_MEMORY,
                "%s: out of memory while compiling", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
            return NULL;
        }
    }
    rl_proto_t* proto = rl_pipeline_instance(context, function, units, type_params, false);
    if (!proto) *out_status = rl_status_of_code(context->error_code);
    return proto;
}

void rl_context_freeze(rl_context_t* context) {
    /* `running` keeps other threads from adopting the context. */
    if (context->frozen++ == 0 && context->depth == 0)
        atomic_store_explicit(&context->slot->running, 1, memory_order_relaxed);
}

void rl_context_thaw(rl_context_t* context) {
    if (--context->frozen == 0 && context->depth == 0)
        atomic_store_explicit(&context->slot->running, 0, memory_order_relaxed);
}

reml_embed_status_t rl_run_begin(rl_context_t* context) {
    if (RL_UNLIKELY(context->frozen | context->audit.delivering)) {
        return rl_context_fail(context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "%s",
            context->frozen ? "a value of this context is being converted"
                            : "the audit sink of this context is at work");
    }
    rl_audit_result_t ready = rl_audit_ready(&context->audit);
    if (RL_UNLIKELY(ready != RL_AUDIT_OK)) {
        return rl_context_fail(context, rl_status_of_audit(ready), RL_CODE_AUDIT_UNAVAILABLE, "audit.unavailable: %s",
            rl_audit_problem(&context->audit));
    }
    context->direct = false;
    if (context->depth++ == 0) {
        atomic_store_explicit(&context->slot->running, 1, memory_order_relaxed);
        context->vm.foreign_epoch++;
        rl_vm_begin_run(&context->vm);
    }
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t rl_run_begin_entry(rl_context_t* context, rl_str_t name) {
    if (rl_utf8_validate(name) != name.length) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "entry point is not valid UTF-8");
    }
    if (!context->loaded)
        return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_NATIVE_EMBED_NO_MODULE, "no module loaded");
    return rl_run_begin(context);
}

void rl_run_end(rl_context_t* context) {
    rl_run_settle(context, (rl_word_t){0}, false);
    if (--context->depth == 0) {
        atomic_store_explicit(&context->slot->running, 0, memory_order_relaxed);
        /* An interrupt that came too late is not one for the next run. */
        atomic_store_explicit(&context->slot->interrupt, 0, memory_order_relaxed);
        if (RL_UNLIKELY(context->profiling != NULL)) rl_profile_end(context);
        rl_foreign_settle(context);
    }
}
