/* Top-level values seen from the host: those it supplies (`let name: T` of an extern "host"), and reading any. */
#include "host/context.h"

bool rl_host_global(rl_context_t* context, rl_str_t name, rl_global_id_t after, rl_global_id_t* out) {
    const rl_program_t* program = &context->program;
    rl_sym_t symbol = rl_sym_find(&program->symbols, name);
    uint32_t end = program->first_global + program->globals.count;
    for (rl_global_id_t id = after < program->first_global ? program->first_global : after + 1; symbol && id < end;
        id++) {
        const rl_global_t* global = rl_program_global(program, id);
        if (!global->is_host || global->name != symbol) continue;
        *out = id;
        return true;
    }
    return false;
}

void rl_host_store_global(rl_context_t* context, rl_global_id_t id, const rl_rtype_t* type, rl_word_t word) {
    rl_vm_t* vm = &context->vm;
    if (type->rep == RL_REP_R) {
        rl_heap_barrier_old(&vm->heap, vm->globals_r[id]);
        vm->globals_r[id] = word.o;
    } else {
        vm->globals_s[id] = word;
    }
    vm->globals_set[id] = 1;
}

reml_embed_status_t reml_host_set_global(
    reml_embed_context_t* id, const char* name, size_t name_length, reml_value_t value) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (!name) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_global_id_t global = 0;
    bool found = false;
    while (rl_host_global(context, (rl_str_t){name, name_length}, global, &global)) {
        const rl_rtype_t* type = rl_rtype_of(&context->compiler, rl_program_global(&context->program, global)->type);
        if (!type) return rl_context_no_memory(context);
        rl_word_t word = {.u = 0};
        reml_embed_status_t status;
        unsigned attempt = 0;
        do {
            status = rl_value_in(context, type, value, "value", 0, &word);
        } while (rl_values_retry(context, status, attempt++));
        if (status != REML_EMBED_STATUS_OK) return status;
        rl_host_store_global(context, global, type, word);
        found = true;
    }
    if (found) return REML_EMBED_STATUS_OK;
    return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_TYPE_UNRESOLVED_IDENT,
        "no loaded module declares `%.*s` as a value of the host", (int)(name_length < 200 ? name_length : 200), name);
}

static reml_embed_status_t read_global(rl_context_t* context, rl_global_id_t id, reml_value_t* out) {
    const rl_global_t global = *rl_program_global(&context->program, id);
    rl_str_t name = rl_sym_text(&context->program.symbols, global.name);
    if (!context->vm.globals_set[id]) {
        rl_code_t code = global.is_host ? RL_CODE_HOST_SYMBOL_UNBOUND : RL_CODE_RUNTIME_INIT_UNINITIALIZED;
        return rl_context_fail(
            context, REML_EMBED_STATUS_ERROR, code, "%s: `%.*s` has no value", rl_code_text(code), RL_STR_ARG(name));
    }
    const rl_rtype_t* type = rl_rtype_of(&context->compiler, global.type);
    if (!type) return rl_context_no_memory(context);
    rl_word_t word = context->vm.globals_s[id];
    if (type->rep == RL_REP_R) word.o = context->vm.globals_r[id];
    *out = rl_value_out(context, type, word, false);
    return out->kind == REML_KIND_NONE ? rl_context_no_memory(context) : REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_global(
    reml_embed_context_t* id, const char* name, size_t name_length, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    if (!name) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_global_id_t global;
    if (!rl_program_find_global(&context->program, (rl_str_t){name, name_length}, &global)) {
        return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_TYPE_UNRESOLVED_IDENT,
            "no loaded module has a value `%.*s`", (int)(name_length < 200 ? name_length : 200), name);
    }
    reml_embed_status_t status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    status = rl_pipeline_initialise(context);
    rl_run_end(context);
    return status == REML_EMBED_STATUS_OK ? read_global(context, global, out) : status;
}
