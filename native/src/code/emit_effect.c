#include "code/emit_internal.h"

#include "vm/fiber.h"

/* Effects: handlers, operations, and jumps out of the parts of a handler (vm/effect.c does the rest). */

/* --- operations ---------------------------------------------------------------------------------------------------- */
static rl_str_t operation_name(rl_emitter_t* e, const rl_function_t* op) {
    rl_str_t effect = rl_sym_text(&e->program->symbols, rl_program_effect(e->program, op->effect)->name);
    rl_str_t name = rl_sym_text(&e->program->symbols, op->name);
    char* text = rl_arena_alloc(&e->compiler->arena, effect.length + name.length + 1);
    if (!text) {
        e->failed = true;
        return name;
    }
    memcpy(text, effect.data, effect.length);
    text[effect.length] = '.';
    memcpy(text + effect.length + 1, name.data, name.length);
    return (rl_str_t){text, effect.length + name.length + 1};
}

/* For a handler of the host: how it would be called. */
static rl_host_site_t* host_site(rl_emitter_t* e, rl_fn_id_t operation, const rl_function_t* op) {
    if (op->param_count > UINT8_MAX) return NULL;
    rl_host_site_t* site = rl_arena_alloc(&e->compiler->arena, sizeof *site);
    const rl_rtype_t** params = rl_arena_alloc(&e->compiler->arena, sizeof(*params) * op->param_count + 1);
    if (!site || !params) {
        e->failed = true;
        return NULL;
    }
    *site = (rl_host_site_t){.function = operation,
        .binding = UINT32_MAX,
        .param_count = (uint8_t)op->param_count,
        .params = params,
        .result = rl_rtype_of(e->compiler, op->result),
        .name = rl_sym_text(&e->program->symbols, op->name)};
    for (uint32_t i = 0; i < op->param_count; i++) {
        params[i] = rl_rtype_of(e->compiler, rl_program_param(e->program, op->param_first + i)->type);
        if (!params[i]) e->failed = true;
    }
    if (!site->result) e->failed = true;
    return site;
}

uint32_t rl_perform_site(rl_emitter_t* e, rl_fn_id_t operation, rl_window_t w) {
    const rl_function_t op = *rl_program_function(e->program, operation);
    rl_perform_site_t site = {.effect = op.effect,
        .operation = (uint16_t)op.operation,
        .value_rep = (uint8_t)rl_rep_of(e->compiler, op.result),
        .guarded = rl_program_effect(e->program, op.effect)->capability != 0,
        .name = operation_name(e, &op)};
    if (op.operation > UINT16_MAX) rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
    if (op.root && op.param_count <= RL_BUILTIN_ARGS_MAX) {
        uint32_t regs[RL_BUILTIN_ARGS_MAX], s = w.a, r = w.b;
        rl_type_t types[RL_BUILTIN_ARGS_MAX];
        for (uint32_t i = 0; i < op.param_count; i++) {
            types[i] = rl_program_param(e->program, op.param_first + i)->type;
            regs[i] = rl_rep_of(e->compiler, types[i]) == RL_REP_R ? r++ : s++;
        }
        rl_builtin_site_t* root = rl_arena_alloc(&e->compiler->arena, sizeof *root);
        if (!root || !rl_builtin_site(e, op.root - 1, op.result, regs, types, op.param_count, NULL, 0, root))
            e->failed = true;
        site.root = root;
    }
    site.host = host_site(e, operation, &op);
    if (!rl_vec_push(e->allocator, &e->performs, site)) e->failed = true;
    return e->performs.count ? e->performs.count - 1 : 0;
}

/* --- handlers ------------------------------------------------------------------------------------------------------- */
void rl_emit_handle(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t result = rl_emit_type(e, id), value = result;
    rl_ir_t returned = *rl_program_extra(e->program, n.b + 1);
    uint32_t clauses = *rl_program_extra(e->program, n.b + 2);
    if (returned) value = rl_type_arg(e->compiler, rl_emit_type(e, returned), 0);
    rl_handle_site_t site = {.effect = *rl_program_extra(e->program, n.b),
        .clause_count = (uint16_t)clauses,
        .has_return = returned != 0,
        .ir = id,
        .value_rep = (uint8_t)rl_rep_of(e->compiler, value),
        .result_rep = (uint8_t)rl_rep_of(e->compiler, result)};
    if (clauses > UINT16_MAX) rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
    rl_window_t w = rl_open_window(e, (rl_rep_t)site.result_rep, dest), at = w;
    rl_emit_to(e, n.a, rl_window_next(e, &at, RL_REP_R), true);
    if (returned) rl_emit_to(e, returned, rl_window_next(e, &at, RL_REP_R), true);
    for (uint32_t i = 0; i < clauses && !e->failed; i++)
        rl_emit_to(e, *rl_program_extra(e->program, n.b + 3 + i), rl_window_next(e, &at, RL_REP_R), true);
    if (!rl_vec_push(e->allocator, &e->handles, site)) {
        e->failed = true;
        return;
    }
    rl_at(e, n.start);
    rl_close_window(e, w, RL_OP_HANDLE, e->handles.count - 1, result, dest);
}

/* Its continuation is the last parameter: only called, it is abandoned when the clause ends; else kept. */
void rl_emit_clause_start(rl_emitter_t* e) {
    uint32_t continuation = e->locals[e->fn.param_count - 1].reg;
    if (e->fn.flags & RL_FN_KEEPS) {
        rl_emit_abc(e, RL_OP_KEEP, continuation, 0, 0);
        return;
    }
    rl_emit_abc(e, RL_OP_DEFER, continuation, 0, 0);
    e->defers++;
    e->owns_continuation = true;
}

void rl_release_continuation(rl_emitter_t* e) {
    rl_mark_t mark = rl_mark(e);
    rl_emit_abc(e, RL_OP_UNDEFER, rl_temp(e, RL_REP_R), 0, 0);
    rl_release(e, mark);
}

/* --- jumps out of parts --------------------------------------------------------------------------------------------- */
void rl_emit_catch(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_mark_t before = rl_mark(e);
    rl_type_t type = rl_emit_type(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    rl_dest_t inner = dest;
    if (dest.want == RL_WANT_RETURN) inner = (rl_dest_t){RL_WANT_REGISTER, true, dest.own, rl_temp(e, rep)};
    uint32_t token = rl_temp(e, RL_REP_R);
    e->locals[n.b] = (rl_local_home_t){.home = RL_HOME_REGISTER,
        .rep = RL_REP_R,
        .reg = (uint16_t)token,
        .type = rl_emit_ground(e, rl_program_local(e->program, e->fn.local_first + n.b)->type)};
    rl_jumps_t landing = 0, end = 0;
    rl_jump_add(e, &landing, rl_emit_wide(e, RL_OP_TOKEN, token, 0));
    rl_emit(e, n.a, inner);
    rl_emit_abc(e, RL_OP_UNTOKEN, token, 0, 0);
    rl_jump_goto(e, &end);
    rl_jump_bind(e, landing);
    uint32_t count = *rl_program_extra(e->program, n.c), number = rl_temp(e, RL_REP_S);
    if (count > 1) rl_emit_abc(e, RL_OP_GETS, number, token, RL_TOKEN_EXIT);
    for (uint32_t i = 0; i < count && !e->failed; i++) {
        rl_jumps_t next = 0;
        rl_mark_t mark = rl_mark(e);
        uint32_t local = *rl_program_extra(e->program, n.c + 1 + 2 * i);
        if (i + 1 < count) {
            if (i > INT16_MAX) rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
            rl_jump_add(e, &next, rl_emit_abc(e, RL_OP_JNEK_I, number, i, 0));
        }
        if (local != RL_NONE) {
            rl_type_t value = rl_emit_ground(e, rl_program_local(e->program, e->fn.local_first + local)->type);
            rl_rep_t value_rep = rl_rep_of(e->compiler, value);
            uint32_t reg = rl_temp(e, value_rep);
            rl_emit_load_word(e, value_rep, reg, token, value_rep == RL_REP_R ? RL_TOKEN_REF : RL_TOKEN_WORD, false);
            rl_bind_local(e, local, (rl_matched_t){reg, value, RL_ORIGIN_LOADED, 0, true});
        }
        rl_emit_statement(e, *rl_program_extra(e->program, n.c + 2 + 2 * i));
        rl_release(e, mark);
        rl_jump_bind(e, next);
    }
    rl_jump_bind(e, end);
    if (inner.want != dest.want) rl_emit_return(e, rep, inner.reg, type == RL_TYPE_UNIT);
    rl_release(e, before);
}

void rl_emit_escape(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = n.c ? rl_emit_type(e, n.c) : RL_TYPE_UNIT;
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    uint32_t value = rl_temp(e, rep), token = rl_temp(e, RL_REP_R);
    if (n.c) rl_emit_to(e, n.c, value, true);
    rl_load_captured(e, &e->locals[n.a], token);
    rl_run_defers(e, 0);
    rl_at(e, n.start);
    rl_emit_abc(e, rep == RL_REP_R ? RL_OP_ESCAPER : RL_OP_ESCAPES, token, value, n.b);
    e->dead = true;
}
