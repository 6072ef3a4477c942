/*
 * Handlers (LANGUAGE 6.4): perform, handle, named handlers.
 *
 * The handled expression and the clauses are code of the function around `handle`, but each runs as a function of its own
 * (RL_FN_PART): frames of kind BODY and CLAUSE. A `return`, `?`, `break` or `continue` in them that means the function or
 * a loop around is an ESCAPE to the token of the handle, whose CATCH goes on with the jump itself (rl_leave).
 */
#include "types/infer.h"

#include "base/json.h"

/* --- jumps out of parts ------------------------------------------------------------------------------------------- */

static bool is_part(const rl_frame_t* frame) { return frame->kind == RL_FRAME_BODY || frame->kind == RL_FRAME_CLAUSE; }

uint32_t rl_home_frame(rl_checker_t* c) {
    uint32_t at = rl_frame_resolve(c, c->frame);
    while (is_part(&c->frames.data[at])) at = rl_frame_resolve(c, c->frames.data[at].parent);
    return at;
}

static uint32_t new_local_in(rl_checker_t* c, uint32_t frame, rl_type_t type, uint32_t start) {
    uint32_t here = c->frame;
    c->frame = frame;
    uint32_t local = rl_new_local(c, 0, type, 0, (rl_span_t){start, start});
    c->frame = here;
    return local;
}

/* Nests as deep as handles do. */
rl_ir_t rl_leave(rl_checker_t* c, rl_ir_op_t op, rl_ir_t value, uint32_t target, uint32_t start) {
    uint32_t here = c->frame, at = rl_frame_resolve(c, here);
    if (at == target || !is_part(&c->frames.data[at]) || rl_failed(c))
        return rl_ir_make(c, op, RL_TYPE_NEVER, start, value, 0, 0);
    uint32_t handling = c->frames.data[at].handling, frame = c->handlings.data[handling].frame;
    if (c->handlings.data[handling].token == RL_NOT_CAPTURED) {
        /* Its type says only that it is a reference which nothing changes. */
        rl_type_t type = rl_type_function(c->types, NULL, 0, RL_TYPE_NEVER);
        c->handlings.data[handling].token = new_local_in(c, frame, type, start);
    }
    rl_exit_t exit = {.handling = handling, .local = RL_NOT_CAPTURED};
    c->frame = frame;
    rl_ir_t landed = 0;
    if (value) {
        exit.local = new_local_in(c, frame, rl_type_at(c, value), start);
        landed = rl_read_local(c, exit.local, start);
    }
    exit.node = rl_leave(c, op, landed, target, start);
    c->frame = here;
    uint32_t number = c->handlings.data[handling].exits++;
    (void)rl_vec_push(c->allocator, &c->exits, exit);
    uint32_t token = rl_capture_local(c, here, c->handlings.data[handling].token);
    return rl_ir_make(c, RL_IR_ESCAPE, RL_TYPE_NEVER, start, token, number, value);
}

static uint32_t open_handling(rl_checker_t* c) {
    rl_handling_t handling = {.frame = c->frame, .token = RL_NOT_CAPTURED};
    uint32_t index = c->handlings.count;
    return rl_vec_push(c->allocator, &c->handlings, handling) ? index : 0;
}

/* The CATCH around a handle that has exits. */
static rl_ir_t close_handling(rl_checker_t* c, uint32_t index, uint32_t first_exit, rl_ir_t ir, uint32_t start) {
    if (rl_failed(c)) return ir;
    const rl_handling_t handling = c->handlings.data[index];
    if (!handling.exits) return ir;
    uint32_t mark = c->scratch.count;
    (void)rl_vec_push(c->allocator, &c->scratch, handling.exits);
    for (uint32_t i = first_exit; i < c->exits.count; i++) {
        const rl_exit_t exit = c->exits.data[i];
        if (exit.handling != index) continue;
        (void)rl_vec_push(c->allocator, &c->scratch, exit.local);
        (void)rl_vec_push(c->allocator, &c->scratch, exit.node);
    }
    if (!rl_failed(c)) {
        uint32_t list = rl_extra_put(c, c->scratch.data + mark, c->scratch.count - mark);
        ir = rl_ir_make(c, RL_IR_CATCH, rl_type_at(c, ir), start, ir, handling.token, list);
        (void)rl_vec_push(c->allocator, &c->catch_nodes, ir);
    }
    c->scratch.count = mark;
    return ir;
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

/* Inside its frame: code whose value is one of `result` (a variable: not known yet). */
static void check_part(rl_checker_t* c, rl_fn_id_t fn, rl_node_t body, rl_type_t result) {
    uint32_t prologue = c->frames.data[c->frame].prologue;
    rl_span_t span = rl_span_of(c, body);
    rl_ir_t ir;
    if (rl_is_var(c, result)) {
        ir = rl_infer_expr(c, body, 0);
        ir = rl_convert(c, ir, result, span, RL_CODE_TYPE_MISMATCH);
    } else {
        ir = rl_check_expr(c, body, result, RL_CODE_TYPE_MISMATCH);
    }
    (void)rl_vec_push(c->allocator, &c->tails, ir);
    if (c->scratch.count > prologue && !rl_failed(c)) {
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
        ir = rl_ir_block(c, rl_type_at(c, ir), span.start, c->scratch.data + prologue, c->scratch.count - prologue,
            RL_IR_BLOCK_VALUE);
    }
    rl_function_t* function = rl_function_at(c, fn);
    if (function) {
        function->body = ir;
        function->result = result;
    }
}

typedef struct part {
    rl_fn_id_t fn;
    uint32_t outer, scope, scratch;
} part_t;

static part_t open_part(rl_checker_t* c, rl_frame_kind_t kind, uint32_t handling, uint32_t flags, rl_node_t node) {
    part_t part = {.outer = c->frame, .scope = rl_scope_open(c), .scratch = c->scratch.count};
    part.fn = rl_new_function(c, 0, RL_FN_PART | flags, rl_span_of(c, node));
    uint32_t frame = rl_frame_push(c, kind, part.fn);
    c->frames.data[frame].handling = handling;
    return part;
}

static rl_ir_t close_part(rl_checker_t* c, part_t part, const rl_type_t* types, uint32_t count, uint32_t start) {
    const rl_function_t* function = rl_function_at(c, part.fn);
    rl_type_t type =
        function && !rl_failed(c) ? rl_type_function(c->types, types, count, function->result) : RL_TYPE_ERROR;
    rl_frame_pop(c);
    c->frame = part.outer;
    c->scratch.count = part.scratch;
    rl_scope_close(c, part.scope);
    if (rl_failed(c)) return rl_ir_error(c, start);
    return rl_lambda_value(c, part.fn, type, start);
}

static rl_ir_t check_handled(rl_checker_t* c, rl_node_t node, uint32_t handling, rl_type_t result) {
    part_t part = open_part(c, RL_FRAME_BODY, handling, 0, node);
    check_part(c, part.fn, node, result);
    return close_part(c, part, NULL, 0, rl_tree_node(c->tree, node)->start);
}

/* `return p { … }` for values of this type. */
static rl_ir_t check_return_clause(
    rl_checker_t* c, rl_node_t node, uint32_t handling, rl_type_t value, rl_type_t result) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_node_data_t pattern = *rl_tree_node(c->tree, data.a);
    rl_span_t span = rl_span_of(c, data.a);
    part_t part = open_part(c, RL_FRAME_CLAUSE, handling, 0, node);
    bool plain = pattern.kind == RL_NODE_PAT_NAME && !(pattern.flags & RL_MUT);
    uint32_t local = rl_new_local(c, plain ? pattern.a : 0, value, RL_LOCAL_IS_PARAM, span);
    rl_set_params(c, part.fn, NULL, 1, &value);
    if (plain) {
        rl_bind(c, pattern.a, RL_BOUND_LOCAL, local);
    } else if (pattern.kind != RL_NODE_PAT_WILD && !rl_failed(c)) {
        rl_ir_t made = rl_check_irrefutable(c, data.a, value, 0);
        rl_ir_t read = rl_read_local(c, local, span.start);
        rl_ir_t let = rl_ir_make(c, RL_IR_LET, RL_TYPE_UNIT, span.start, made, read, 0);
        (void)rl_vec_push(c->allocator, &c->scratch, let);
    }
    check_part(c, part.fn, data.b, result);
    return close_part(c, part, &value, 1, data.start);
}

/* `operation op(p1, …, pn, resume) { … }` */
static rl_ir_t check_clause(
    rl_checker_t* c, rl_node_t node, uint32_t handling, rl_fn_id_t operation, rl_type_t result) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_function_t op = *rl_program_function(c->program, operation);
    uint32_t count = op.param_count + 1;
    RL_VEC(uint32_t) params = {0};
    RL_VEC(rl_type_t) types = {0};
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t param = rl_tree_list_at(c->tree, data.b, i);
        rl_type_t type = i < op.param_count ? rl_program_param(c->program, op.param_first + i)->type
                                            : rl_type_function(c->types, &op.result, 1, result);
        rl_node_t written = rl_tree_node(c->tree, param)->b;
        if (written)
            (void)rl_unify_at(c, type, rl_resolve_type(c, written), rl_span_of(c, written), RL_CODE_TYPE_MISMATCH);
        (void)rl_vec_push(c->allocator, &params, param);
        (void)rl_vec_push(c->allocator, &types, type);
    }
    part_t part = open_part(c, RL_FRAME_CLAUSE, handling, RL_FN_CLAUSE, data.a);
    if (!rl_failed(c)) {
        uint32_t first = c->locals.count, resume = first + op.param_count;
        rl_check_params(c, params.data, count, types.data, count, types.data);
        rl_set_params(c, part.fn, params.data, count, types.data);
        rl_node_kind_t pattern = rl_tree_kind(c->tree, rl_tree_node(c->tree, params.data[count - 1])->a);
        if (!rl_failed(c)) {
            rl_check_local_t* local = &c->locals.data[resume];
            local->flags |= RL_LOCAL_RESUME;
            if (!local->name && pattern != RL_NODE_PAT_WILD) local->flags |= RL_LOCAL_KEPT;
            check_part(c, part.fn, data.c, result);
        }
        if (!rl_failed(c) && (c->locals.data[resume].flags & RL_LOCAL_KEPT))
            rl_function_at(c, part.fn)->flags |= RL_FN_KEEPS;
    }
    rl_ir_t closure = close_part(c, part, types.data, count, data.start);
    rl_vec_deinit(c->allocator, &params);
    rl_vec_deinit(c->allocator, &types);
    return closure;
}

/* --- handlers ------------------------------------------------------------------------------------------------------- */

static rl_node_t return_clause_of(rl_checker_t* c, rl_list_t entries) {
    uint32_t count = rl_tree_list_count(c->tree, entries);
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t entry = rl_tree_list_at(c->tree, entries, i);
        if (rl_tree_kind(c->tree, entry) == RL_NODE_RETURN_CLAUSE) return entry;
    }
    return 0;
}

static void report_missing(rl_checker_t* c, const rl_effect_t* effect, const rl_ir_t* clauses, rl_span_t span) {
    rl_diag_t* diag = NULL;
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_object_begin(&json);
    rl_json_key(&json, "effects");
    rl_json_object_begin(&json);
    rl_json_member(&json, "handler_name", rl_text(c, effect->name));
    rl_json_key(&json, "unhandled_operations");
    rl_json_array_begin(&json);
    for (uint32_t i = 0; i < effect->operation_count; i++) {
        if (clauses[i]) continue;
        rl_str_t name = rl_text(c, rl_program_function(c->program, effect->operation_first + i)->name);
        rl_str_t owner = rl_text(c, effect->name);
        if (!diag) {
            diag = rl_report(c->diags, RL_CODE_EFFECTS_HANDLER_UNHANDLED_OPERATION, span,
                "the handler has no clause for %.*s.%.*s", RL_STR_ARG(owner), RL_STR_ARG(name));
        } else {
            rl_note_plain(c->diags, diag, "nor for %.*s.%.*s", RL_STR_ARG(owner), RL_STR_ARG(name));
        }
        rl_json_string(&json, name);
    }
    rl_json_array_end(&json);
    rl_json_object_end(&json);
    rl_json_object_end(&json);
    if (diag) diag->extensions = rl_arena_copy(c->diags->arena, rl_buf_str(&text));
    rl_buf_deinit(&text);
}

/* Position of the operation an OP_CLAUSE is for; UINT32_MAX: reported. */
static uint32_t operation_of(rl_checker_t* c, const rl_effect_t* effect, rl_node_t clause, const rl_ir_t* seen) {
    const rl_node_data_t data = *rl_tree_node(c->tree, clause);
    rl_sym_t name = rl_tree_name(c->tree, data.a);
    rl_str_t text = rl_text(c, name), owner = rl_text(c, effect->name);
    rl_nearest_t nearest = {text, 0, 3};
    for (uint32_t i = 0; i < effect->operation_count; i++) {
        const rl_function_t* op = rl_program_function(c->program, effect->operation_first + i);
        if (op->name != name) {
            rl_nearest_offer(c, &nearest, op->name);
            continue;
        }
        uint32_t wanted = op->param_count + 1, found = rl_tree_list_count(c->tree, data.b);
        if (seen[i]) {
            rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, rl_span_of(c, data.a),
                "%.*s.%.*s has a clause already", RL_STR_ARG(owner), RL_STR_ARG(text));
            return UINT32_MAX;
        }
        if (wanted == found) return i;
        rl_report(c->diags, RL_CODE_EFFECTS_HANDLER_ARITY, rl_span_of(c, data.a),
            "a clause for %.*s.%.*s takes %u parameter%s, the last is the continuation; found %u", RL_STR_ARG(owner),
            RL_STR_ARG(text), wanted, wanted == 1 ? "" : "s", found);
        return UINT32_MAX;
    }
    rl_diag_t* diag = rl_report(c->diags, RL_CODE_EFFECTS_OPERATION_UNKNOWN, rl_span_of(c, data.a),
        "%.*s has no operation %.*s", RL_STR_ARG(owner), RL_STR_ARG(text));
    rl_fix_nearest(c, diag, &nearest, rl_span_of(c, data.a));
    return UINT32_MAX;
}

/*
 * HANDLE of a computation of type () -> value with these entries. `value` is also the type of the whole when there is no
 * return clause; else `result` is.
 */
static rl_ir_t check_entries(rl_checker_t* c, rl_effect_id_t effect_id, rl_span_t effect_span, rl_list_t entries,
    uint32_t handling, rl_ir_t body, rl_type_t value, rl_type_t result, uint32_t start, rl_fn_id_t named) {
    const rl_effect_t effect = *rl_program_effect(c->program, effect_id);
    uint32_t count = rl_tree_list_count(c->tree, entries), errors = c->diags->errors;
    rl_node_t return_clause = return_clause_of(c, entries);
    rl_ir_t returned = 0;
    RL_VEC(rl_ir_t) clauses = {0};
    for (uint32_t i = 0; i < effect.operation_count; i++) (void)rl_vec_push(c->allocator, &clauses, 0);
    bool known = true;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t entry = rl_tree_list_at(c->tree, entries, i);
        if (rl_tree_kind(c->tree, entry) == RL_NODE_RETURN_CLAUSE) {
            if (entry != return_clause) {
                rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, rl_span_of(c, entry),
                    "a handler has one return clause");
                continue;
            }
            returned = check_return_clause(c, entry, handling, value, result);
            continue;
        }
        uint32_t at = operation_of(c, &effect, entry, clauses.data);
        if (at == UINT32_MAX) known = false;
        else clauses.data[at] = check_clause(c, entry, handling, effect.operation_first + at, result);
    }
    bool all = true;
    for (uint32_t i = 0; i < clauses.count && !rl_failed(c); i++) all &= clauses.data[i] != 0;
    if (!all && known && !rl_failed(c)) report_missing(c, &effect, clauses.data, effect_span);
    rl_ir_t ir;
    if (!all || rl_failed(c) || (c->diags->errors > errors && !known)) {
        ir = rl_ir_error(c, start);
    } else {
        uint32_t mark = c->scratch.count;
        (void)rl_vec_push(c->allocator, &c->scratch, effect_id);
        (void)rl_vec_push(c->allocator, &c->scratch, returned);
        (void)rl_vec_push(c->allocator, &c->scratch, clauses.count);
        for (uint32_t i = 0; i < clauses.count; i++) (void)rl_vec_push(c->allocator, &c->scratch, clauses.data[i]);
        uint32_t list = rl_failed(c) ? 0 : rl_extra_put(c, c->scratch.data + mark, c->scratch.count - mark);
        c->scratch.count = mark;
        ir = rl_ir_make(c, RL_IR_HANDLE, result, start, body, list, 0);
        rl_note_handler(c, ir, body, effect_id, named, named != 0);
    }
    rl_vec_deinit(c->allocator, &clauses);
    return ir;
}

static void report_unknown_effect(rl_checker_t* c, rl_sym_t name, rl_span_t span) {
    if (rl_is_refused_effect(c, name)) return;
    rl_str_t text = rl_text(c, name);
    rl_diag_t* diag = rl_report(c->diags, rl_cfg_code(c, name, false, RL_CODE_EFFECTS_OPERATION_UNKNOWN), span,
        "unknown effect: %.*s", RL_STR_ARG(text));
    rl_nearest_t nearest = {text, 0, 3};
    for (const rl_program_t* program = c->program; program && !rl_diags_full(c); program = program->below) {
        for (uint32_t i = 0; i < program->effects.count; i++)
            rl_nearest_offer(c, &nearest, program->effects.data[i].name);
    }
    rl_fix_nearest(c, diag, &nearest, span);
}

static rl_effect_id_t named_effect(rl_checker_t* c, rl_node_t name) {
    rl_span_t span = rl_span_of(c, name);
    uint32_t item = rl_find_item(c, RL_SPACE_EFFECT, rl_tree_name(c->tree, name));
    if (!item) {
        report_unknown_effect(c, rl_tree_name(c->tree, name), span);
        return 0;
    }
    return rl_check_visible(c, item, span) ? rl_program_item(c->program, item)->id : 0;
}

static rl_ir_t infer_inline(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_node_data_t handler = *rl_tree_node(c->tree, data.b);
    rl_span_t span = rl_span_of(c, node);
    uint32_t handling = open_handling(c), first_exit = c->exits.count;
    bool hint = expected && !rl_is_var(c, expected) && rl_head(c, expected) != RL_TYPE_NEVER;
    rl_type_t result = hint ? expected : rl_fresh(c, span), value = result;
    rl_effect_id_t effect = named_effect(c, handler.a);
    if (return_clause_of(c, handler.b)) value = rl_fresh(c, rl_span_of(c, data.a));
    rl_ir_t body = check_handled(c, data.a, handling, value);
    if (rl_failed(c)) return rl_ir_error(c, data.start);
    rl_ir_t ir = effect ? check_entries(c, effect, rl_span_of(c, handler.a), handler.b, handling, body, value, result,
                              data.start, 0)
                        : rl_ir_error(c, data.start);
    return close_handling(c, handling, first_exit, ir, data.start);
}

/* --- named handlers ------------------------------------------------------------------------------------------------- */

void rl_declare_handler(rl_checker_t* c, rl_node_t node, bool is_public) {
    rl_program_t* program = c->program;
    rl_handler_decl_t decl = rl_tree_handler(c->tree, node);
    rl_sym_t name = rl_tree_name(c->tree, decl.name);
    rl_span_t span = rl_span_of(c, decl.name);
    is_public = is_public || c->input->ambient;
    rl_effect_id_t effect = named_effect(c, decl.effect ? decl.effect : decl.name);
    rl_fn_id_t fn = rl_new_function(c, name, RL_FN_HANDLER | (is_public ? RL_FN_PUBLIC : 0), span);
    if (!fn) return;
    rl_param_t param = {.type = rl_fresh(c, span)};
    rl_function_t* function = rl_function_at(c, fn);
    function->effect = effect;
    function->param_first = program->first_param + program->params.count;
    function->param_count = rl_vec_push(c->allocator, &program->params, param);
    function->result = rl_fresh(c, span);
    (void)rl_add_item(c, RL_SPACE_VALUE, name, RL_ITEM_HANDLER, fn, 0, is_public, span, false);
    uint32_t unit = rl_unit_add(
        c, RL_UNIT_FN, node, fn, (rl_span_t){rl_tree_node(c->tree, node)->start, rl_tree_node(c->tree, node)->end});
    if (rl_failed(c)) return;
    c->units.data[unit].generic_first = c->generics_store.count;
}

void rl_infer_handler(rl_checker_t* c, uint32_t index) {
    const rl_unit_t unit = c->units.data[index];
    rl_handler_decl_t decl = rl_tree_handler(c->tree, unit.node);
    const rl_function_t function = *rl_program_function(c->program, unit.fn);
    rl_span_t span = rl_span_of(c, decl.name);
    uint32_t start = rl_tree_node(c->tree, unit.node)->start;
    c->unit_is_direct = false;
    uint32_t frame = rl_frame_push(c, RL_FRAME_HANDLER, unit.fn);
    rl_type_t result = function.result, value = result;
    if (return_clause_of(c, decl.entries)) value = rl_fresh(c, span);
    rl_type_t computation = rl_type_function(c->types, NULL, 0, value);
    (void)rl_unify(&c->solver, rl_program_param(c->program, function.param_first)->type, computation);
    c->frames.data[frame].result = result;
    uint32_t local = rl_new_local(c, 0, computation, RL_LOCAL_IS_PARAM, span);
    uint32_t handling = open_handling(c);
    rl_ir_t ir = rl_ir_error(c, start);
    if (function.effect && !rl_failed(c)) {
        rl_ir_t body = rl_read_local(c, local, start);
        ir = check_entries(c, function.effect, decl.effect ? rl_span_of(c, decl.effect) : span, decl.entries, handling,
            body, value, result, start, unit.fn);
    } else if (!rl_failed(c)) {
        (void)rl_unify(&c->solver, result, RL_TYPE_ERROR);
    }
    if (!rl_failed(c)) rl_function_at(c, unit.fn)->body = ir;
    rl_frame_pop(c);
    c->frame = 0;
}

static rl_ir_t infer_named(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_list_t path = rl_tree_node(c->tree, data.b)->a;
    rl_span_t span = rl_span_of(c, data.b);
    uint32_t count = rl_tree_list_count(c->tree, path), handling = open_handling(c), first_exit = c->exits.count;
    uint32_t item = rl_find_path_item(c, path, count, RL_SPACE_VALUE);
    rl_sym_t name = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, count - 1));
    bool fine = item && rl_program_item(c->program, item)->kind == RL_ITEM_HANDLER;
    if (!fine) {
        rl_str_t text = rl_text(c, name);
        if (item) {
            rl_report(c->diags, RL_CODE_TYPE_UNRESOLVED_IDENT, span, "%.*s is not a handler", RL_STR_ARG(text));
        } else {
            rl_report_unresolved(c, name, span, 1);
        }
    } else {
        fine = rl_check_visible(c, item, span);
    }
    if (!fine) {
        (void)check_handled(c, data.a, handling, rl_fresh(c, rl_span_of(c, data.a)));
        return close_handling(c, handling, first_exit, rl_ir_error(c, data.start), data.start);
    }
    rl_fn_id_t fn = rl_program_item(c->program, item)->id;
    const rl_function_t function = *rl_program_function(c->program, fn);
    rl_instance_use_t use = rl_instantiate_fn(c, fn, span);
    rl_type_t result = rl_instance_type(c, &use, function.result);
    rl_type_t wanted = rl_instance_type(c, &use, rl_program_param(c->program, function.param_first)->type);
    if (!(use.in_group && rl_is_var(c, result))) rl_meet_expected(c, result, expected);
    rl_type_t value = rl_fresh(c, span);
    (void)rl_unify(&c->solver, wanted, rl_type_function(c->types, NULL, 0, value));
    rl_ir_t body = check_handled(c, data.a, handling, value);
    if (rl_failed(c)) return rl_ir_error(c, data.start);
    rl_ir_t ir = rl_ir_call(c, result, data.start, fn, 0, &body, 1);
    rl_instance_note(c, &use, ir);
    rl_note_handler(c, ir, body, function.effect, fn, false);
    return close_handling(c, handling, first_exit, ir, data.start);
}

rl_ir_t rl_infer_handle(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    rl_node_t handler = rl_tree_node(c->tree, node)->b;
    return rl_tree_kind(c->tree, handler) == RL_NODE_HANDLER ? infer_inline(c, node, expected)
                                                             : infer_named(c, node, expected);
}

/* --- perform -------------------------------------------------------------------------------------------------------- */

rl_ir_t rl_infer_perform(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_list_t path = rl_tree_node(c->tree, data.a)->a;
    uint32_t count = rl_tree_list_count(c->tree, path);
    rl_node_t last = rl_tree_list_at(c->tree, path, count - 1);
    rl_span_t span = rl_span_of(c, node), name_span = rl_span_of(c, last);
    rl_sym_t name = rl_tree_name(c->tree, last);
    rl_args_t args = {0};
    rl_collect_args(c, data.b, NULL, 0, &args);
    rl_fn_id_t operation = 0;
    rl_ir_t ir = 0;
    if (count < 2) {
        rl_str_t text = rl_text(c, name);
        rl_report(c->diags, RL_CODE_EFFECTS_OPERATION_UNKNOWN, name_span,
            "an operation is named with its effect: Effect.%.*s", RL_STR_ARG(text));
    } else {
        rl_node_t owner = rl_tree_list_at(c->tree, path, count - 2);
        rl_span_t effect_span = {
            rl_tree_node(c->tree, rl_tree_list_at(c->tree, path, 0))->start, rl_tree_node(c->tree, owner)->end};
        rl_effect_id_t id = rl_find_effect(c, path, count - 1, effect_span);
        if (!id) {
            report_unknown_effect(c, rl_tree_name(c->tree, owner), effect_span);
        } else if (id != RL_EFFECT_HIDDEN) {
            const rl_effect_t effect = *rl_program_effect(c->program, id);
            rl_str_t text = rl_text(c, name), effect_name = rl_text(c, effect.name);
            rl_nearest_t nearest = {text, 0, 3};
            for (uint32_t i = 0; i < effect.operation_count && !operation; i++) {
                rl_sym_t found = rl_program_function(c->program, effect.operation_first + i)->name;
                if (found == name) operation = effect.operation_first + i;
                else rl_nearest_offer(c, &nearest, found);
            }
            if (!operation) {
                rl_diag_t* diag = rl_report(c->diags, RL_CODE_EFFECTS_OPERATION_UNKNOWN, name_span,
                    "%.*s has no operation %.*s", RL_STR_ARG(effect_name), RL_STR_ARG(text));
                rl_fix_nearest(c, diag, &nearest, name_span);
            }
        }
    }
    if (operation && !rl_failed(c)) {
        const rl_function_t op = *rl_program_function(c->program, operation);
        if (args.count == 0 && op.param_count == 1 &&
            rl_program_param(c->program, op.param_first)->type == RL_TYPE_UNIT) {
            rl_arg_t unit = {.ir = rl_ir_unit(c, span.start), .span = span};
            (void)rl_vec_push(c->allocator, &args, unit);
        }
        if (!rl_failed(c)) ir = rl_call_function(c, operation, args.data, args.count, node, span, expected);
    } else if (!rl_failed(c)) {
        rl_infer_args(c, args.data, args.count);
    }
    rl_vec_deinit(c->allocator, &args);
    return ir ? ir : rl_ir_error(c, span.start);
}
