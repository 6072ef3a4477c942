/*
 * Futures (LANGUAGE 7.1). A block becomes a parameterless function of its own, handed to the prelude's future_new; what
 * `async move` takes with its current value are copies bound just before.
 */
#include "types/infer.h"

rl_type_t rl_future_of(rl_checker_t* c, rl_type_t value, rl_span_t span) {
    if (c->program->known.future) return rl_named1(c, c->program->known.future, value);
    rl_unsupported(c, span, "futures without a core library are");
    return RL_TYPE_ERROR;
}

rl_ir_t rl_check_async(
    rl_checker_t* c, rl_node_t block, rl_sym_t name, rl_span_t span, bool is_move, rl_type_t result, bool known) {
    rl_fn_id_t fn = rl_new_function(c, name, RL_FN_LAMBDA | RL_FN_ASYNC, span);
    rl_fn_id_t make = rl_prelude_function(c, "future_new");
    uint32_t outer = c->frame, loops = c->loops.count, mark = c->scratch.count;
    if (!result) result = rl_fresh(c, span);
    rl_type_t future = rl_future_of(c, result, span);
    uint32_t frame = rl_frame_push(c, RL_FRAME_LAMBDA, fn);
    if (rl_failed(c) || !make || future == RL_TYPE_ERROR) {
        c->frame = outer;
        return rl_ir_error(c, span.start);
    }
    rl_frame_t* f = &c->frames.data[frame];
    f->is_async = true;
    f->is_move = is_move;
    f->result = result;
    f->result_known = known;
    uint32_t scope = rl_scope_open(c);
    rl_check_body(c, block);
    rl_scope_close(c, scope);
    rl_frame_pop(c);
    c->frame = outer;
    c->loops.count = loops;
    c->scratch.count = mark;
    if (rl_failed(c)) return rl_ir_error(c, span.start);
    rl_ir_t closure = rl_lambda_value(c, fn, rl_type_function(c->types, NULL, 0, result), span.start);
    uint32_t args = rl_extra_put(c, &result, 1);
    rl_ir_t ir = rl_ir_call(c, future, span.start, make, args, &closure, 1);
    for (uint32_t i = 0; i < c->moved.count && !rl_failed(c); i++) {
        const rl_moved_t moved = c->moved.data[i];
        if (moved.frame != frame) continue;
        rl_ir_t value = rl_read_local(c, moved.original, span.start);
        rl_ir_t bind = rl_ir_make(c, RL_IR_BIND, RL_TYPE_UNIT, span.start, moved.copy, value, 0);
        (void)rl_vec_push(c->allocator, &c->scratch, bind);
    }
    if (c->scratch.count > mark && !rl_failed(c)) {
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
        ir = rl_ir_block(c, future, span.start, c->scratch.data + mark, c->scratch.count - mark, RL_IR_BLOCK_VALUE);
    }
    c->scratch.count = mark;
    return ir;
}

rl_ir_t rl_infer_async(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    rl_type_t result = 0;
    rl_node_t block = rl_tree_node(c->tree, node)->a;
    if (expected && rl_is_named(c, expected, c->program->known.future, &result, NULL))
        return rl_check_async(
            c, block, 0, rl_span_of(c, node), rl_tree_has(c->tree, node, RL_MOVE), result, !rl_is_var(c, result));
    return rl_check_async(c, block, 0, rl_span_of(c, node), rl_tree_has(c->tree, node, RL_MOVE), 0, false);
}

rl_ir_t rl_infer_await(rl_checker_t* c, rl_ir_t operand, rl_node_t node) {
    rl_span_t span = rl_span_of(c, node);
    rl_type_t type = rl_settled_type(c, operand), value, none;
    if (type == RL_TYPE_ERROR || type == RL_TYPE_NEVER) return operand;
    if (rl_is_var(c, type)) {
        value = rl_fresh(c, span);
        rl_type_t future = rl_future_of(c, value, span);
        if (!rl_unify_at(c, future, type, span, RL_CODE_TYPE_MISMATCH)) return rl_ir_error(c, span.start);
    } else if (rl_is_named(c, type, c->program->known.task, &value, &none)) {
        rl_sym_t join = rl_sym_find(c->symbols, RL_STR("join"));
        rl_fn_id_t fn = join ? rl_find_method(c, type, join) : 0;
        if (!fn) return rl_ir_error(c, span.start);
        rl_arg_t self = {.ir = operand, .span = span};
        operand = rl_call_function(c, fn, &self, 1, node, span, 0);
        if (!rl_is_named(c, rl_head(c, rl_type_at(c, operand)), c->program->known.future, &value, &none))
            return rl_ir_error(c, span.start);
    } else if (!rl_is_named(c, type, c->program->known.future, &value, &none)) {
        rl_report(c->diags, RL_CODE_ASYNC_AWAIT_REDUNDANT, span, "nothing to await: this is a %s", rl_show(c, type));
        return operand;
    }
    return rl_ir_make(c, RL_IR_AWAIT, value, span.start, operand, 0, 0);
}
