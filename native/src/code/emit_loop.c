#include "code/emit_internal.h"
#include "vm/builtin.h"

/* Blocks with defer, loops, and the ways out of them. */

/* --- defer -------------------------------------------------------------------------------------------------------- */
void rl_run_defers(rl_emitter_t* e, uint32_t down_to) {
    for (uint32_t i = e->defers; i > down_to; i--) {
        rl_mark_t mark = rl_mark(e);
        uint32_t a = e->s_top, b = rl_temp(e, RL_REP_R);
        rl_emit_abc(e, RL_OP_UNDEFER, b, 0, 0);
        rl_note_out(e, a + 1, b + 1);
        if (i == 1 && e->owns_continuation) rl_emit_abc(e, RL_OP_ABANDON, b, 0, 0);
        else rl_emit_abc(e, RL_OP_CALLV, a, b, 0);
        rl_release(e, mark);
    }
}

void rl_emit_block(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    bool has_value = (n.flags & RL_IR_BLOCK_VALUE) && n.b, defers = (n.flags & RL_IR_BLOCK_DEFERS) != 0;
    uint32_t pending = e->defers;
    rl_type_t type = has_value ? rl_emit_type(e, id) : RL_TYPE_UNIT;
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    rl_dest_t inner = dest;
    if (defers && dest.want == RL_WANT_RETURN) inner = (rl_dest_t){RL_WANT_REGISTER, true, dest.own, rl_temp(e, rep)};
    for (uint32_t i = 0; i < n.b && !e->dead && !e->failed; i++) {
        rl_ir_t child = *rl_program_extra(e->program, n.a + i);
        if (has_value && i + 1 == n.b) rl_emit(e, child, inner);
        else rl_emit_statement(e, child);
    }
    if (!has_value && inner.want == dest.want) rl_emit_unit(e, dest);
    if (defers) rl_run_defers(e, pending);
    e->defers = pending;
    if (inner.want != dest.want) rl_emit_return(e, rep, inner.reg, type == RL_TYPE_UNIT);
}

/* --- ways out ----------------------------------------------------------------------------------------------------- */
void rl_emit_leave(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    if (n.op == RL_IR_RETURN) {
        if (e->defers == 0 && n.a) {
            rl_emit(e, n.a, (rl_dest_t){RL_WANT_RETURN, true, true, 0});
            return;
        }
        rl_type_t type = n.a ? rl_emit_type(e, n.a) : RL_TYPE_UNIT;
        rl_rep_t rep = rl_rep_of(e->compiler, type);
        uint32_t reg = n.a ? rl_temp(e, rep) : 0;
        if (n.a) rl_emit_to(e, n.a, reg, true);
        rl_run_defers(e, 0);
        rl_emit_return(e, rep, reg, type == RL_TYPE_UNIT);
        return;
    }
    if (n.b >= e->loops.count) {
        rl_emit_bug(e, "break and continue have a loop");
        return;
    }
    uint32_t index = e->loops.count - 1 - n.b;
    if (n.op == RL_IR_BREAK && n.a) rl_emit(e, n.a, e->loops.data[index].dest);
    rl_run_defers(e, e->loops.data[index].defers);
    rl_jump_goto(e, n.op == RL_IR_BREAK ? &e->loops.data[index].breaks : &e->loops.data[index].continues);
}

static bool open_loop(rl_emitter_t* e, rl_dest_t dest) {
    rl_loop_t loop = {.dest = dest, .defers = e->defers};
    if (!rl_vec_push(e->allocator, &e->loops, loop)) {
        e->failed = true;
        return false;
    }
    return true;
}

static rl_loop_t* innermost(rl_emitter_t* e) { return &rl_vec_last(&e->loops); }

static void emit_body(rl_emitter_t* e, rl_ir_t body) {
    rl_mark_t mark = rl_mark(e);
    rl_emit(e, body, RL_DROP);
    rl_release(e, mark);
    rl_jump_bind(e, innermost(e)->continues);
}

static void jump_back(rl_emitter_t* e, uint32_t target) { rl_jump_to(e, rl_emit_wide(e, RL_OP_LOOP, 0, 0), target); }

/* --- loop and while ----------------------------------------------------------------------------------------------- */
void rl_emit_loop(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_type_t type = rl_emit_type(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    rl_dest_t inner = dest;
    if (dest.want == RL_WANT_RETURN) {
        inner = type == RL_TYPE_UNIT || type == RL_TYPE_NEVER
                    ? RL_DROP
                    : (rl_dest_t){RL_WANT_REGISTER, true, true, rl_temp(e, rep)};
    }
    if (!open_loop(e, inner)) return;
    uint32_t top = rl_here(e);
    e->loop_depth++;
    emit_body(e, rl_node(e, id)->a);
    jump_back(e, top);
    e->dead = true;
    e->loop_depth--;
    rl_jump_bind(e, innermost(e)->breaks);
    e->loops.count--;
    if (dest.want == RL_WANT_RETURN) rl_emit_return(e, rep, inner.reg, type == RL_TYPE_UNIT);
}

/* Small enough to stand twice, before the loop and at its end, and free of control flow and names. */
static bool can_repeat(rl_emitter_t* e, rl_ir_t condition) {
    rl_ir_list_t stack = {0};
    bool ok = rl_vec_push(e->allocator, &stack, condition);
    for (unsigned budget = 16; ok && stack.count;) {
        rl_ir_t id = rl_vec_pop(&stack);
        unsigned op = rl_node(e, id)->op;
        ok = budget-- > 0 && op != RL_IR_BLOCK && op != RL_IR_IF && op != RL_IR_MATCH && op != RL_IR_CLOSURE &&
             op != RL_IR_BIND && op != RL_IR_LET && op != RL_IR_CLOSURE_GROUP && op != RL_IR_WHILE &&
             op != RL_IR_LOOP && op != RL_IR_FOR && op != RL_IR_UNSAFE && op != RL_IR_FORMAT &&
             rl_ir_children(e->program, e->allocator, id, &stack);
    }
    rl_vec_deinit(e->allocator, &stack);
    return ok;
}

static void emit_bottom(rl_emitter_t* e, rl_ir_t condition, uint32_t target) {
    rl_mark_t mark = rl_mark(e);
    while (rl_node(e, condition)->op == RL_IR_AND) {
        /* a && (b && c): all but the last leave the loop */
        rl_jumps_t out = 0;
        rl_emit_condition(e, rl_node(e, condition)->a, false, &out);
        rl_jump_join(e, &innermost(e)->breaks, out);
        condition = rl_node(e, condition)->b;
    }
    rl_at(e, rl_node(e, condition)->start);
    if (!rl_emit_compare_loop(e, condition, target)) {
        rl_jumps_t out = 0;
        rl_emit_condition(e, condition, false, &out);
        rl_jump_join(e, &innermost(e)->breaks, out);
        jump_back(e, target);
        e->dead = true;
    }
    rl_release(e, mark);
}

void rl_emit_while(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    if (!open_loop(e, RL_DROP)) return;
    bool rotated = can_repeat(e, n.a);
    uint32_t top = rl_here(e);
    e->loop_depth += !rotated;
    rl_jumps_t out = 0;
    rl_emit_condition(e, n.a, false, &out);
    rl_jump_join(e, &innermost(e)->breaks, out);
    e->loop_depth += rotated;
    if (rotated) top = rl_here(e);
    emit_body(e, n.b);
    if (rotated) {
        emit_bottom(e, n.a, top);
    } else {
        jump_back(e, top);
        e->dead = true;
    }
    e->loop_depth--;
    rl_jump_bind(e, innermost(e)->breaks);
    e->loops.count--;
}

/* --- for ---------------------------------------------------------------------------------------------------------- */
/* The pattern's own names get the element; the loop's register serves as the name when nothing else writes to it. */
static void bind_element(rl_emitter_t* e, rl_ir_t pattern, uint32_t reg, rl_type_t type, rl_origin_t origin) {
    rl_jumps_t fail = 0;
    rl_emit_pattern(e, pattern, (rl_matched_t){reg, type, origin, 0, true}, &fail);
    if (!fail) return;
    rl_jumps_t on = 0;
    rl_jump_goto(e, &on);
    rl_jump_bind(e, fail);
    rl_emit_trap(e, RL_CODE_RUNTIME_MATCH_NO_ARM);
    rl_jump_bind(e, on);
}

static bool counts_natively(rl_type_t type) { return rl_type_is_integer(type) && type != RL_TYPE_U64; }

/* A register that keeps its value through the loop. */
static uint32_t loop_constant(rl_emitter_t* e, rl_ir_t id) {
    rl_local_home_t* home;
    if (rl_plain_local(e, id, &home) && !rl_is_assigned(e, rl_node(e, id)->a)) return home->reg;
    uint32_t reg = rl_temp(e, rl_emit_rep(e, id));
    rl_emit_to(e, id, reg, false);
    return reg;
}

static void close_for(rl_emitter_t* e) {
    e->loop_depth--;
    rl_jump_bind(e, innermost(e)->breaks);
    e->loops.count--;
}

static void emit_for_range(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id), range = *rl_node(e, n.a);
    bool inclusive = range.flags & 1;
    rl_type_t type = rl_emit_type(e, range.a);
    uint32_t counter = rl_temp(e, RL_REP_S);
    rl_emit_to(e, range.a, counter, false);
    int64_t from, to;
    uint32_t limit = loop_constant(e, range.b);
    bool from_known = rl_const_int(e, range.a, &from), to_known = rl_const_int(e, range.b, &to);
    if (!open_loop(e, RL_DROP)) return;
    rl_jumps_t out = 0;
    if (from_known && to_known) {
        if (from > to || (from == to && !inclusive)) rl_jump_goto(e, &out);
    } else if (to_known && to >= INT16_MIN && to <= INT16_MAX) {
        rl_jump_add(
            e, &out, rl_emit_abc(e, inclusive ? RL_OP_JGTK_I : RL_OP_JGEK_I, counter, (uint16_t)(int16_t)to, 0));
    } else if (from_known && from >= INT16_MIN && from <= INT16_MAX) {
        rl_jump_add(
            e, &out, rl_emit_abc(e, inclusive ? RL_OP_JLTK_I : RL_OP_JLEK_I, limit, (uint16_t)(int16_t)from, 0));
    } else {
        rl_jump_add(e, &out, rl_emit_abc(e, inclusive ? RL_OP_JLT_I : RL_OP_JLE_I, limit, counter, 0));
    }
    innermost(e)->breaks = out;
    e->loop_depth++;
    uint32_t top = rl_here(e);
    rl_mark_t mark = rl_mark(e);
    bind_element(e, n.b, counter, type, RL_ORIGIN_OWNED);
    emit_body(e, n.c);
    rl_release(e, mark);
    rl_at(e, n.start);
    rl_jump_to(e, rl_emit_abc(e, inclusive ? RL_OP_FOR_LE : RL_OP_FOR_LT, counter, limit, 0), top);
    close_for(e);
}

static void emit_for_vec(rl_emitter_t* e, rl_ir_t id, rl_type_t element) {
    rl_ir_node_t n = *rl_node(e, id);
    uint32_t vec = loop_constant(e, n.a);
    uint32_t counter = rl_temp(e, RL_REP_S), limit = rl_temp(e, RL_REP_S);
    rl_emit_abc(e, RL_OP_VECLEN, limit, vec, 0);
    rl_emit_wide(e, RL_OP_LDI, counter, 0);
    if (!open_loop(e, RL_DROP)) return;
    rl_jumps_t out = 0;
    rl_jump_add(e, &out, rl_emit_abc(e, RL_OP_JLEK_I, limit, 0, 0));
    innermost(e)->breaks = out;
    e->loop_depth++;
    uint32_t top = rl_here(e);
    rl_mark_t mark = rl_mark(e);
    uint32_t reg = rl_temp(e, rl_rep_of(e->compiler, element));
    rl_emit_vec_get(e, element, reg, vec, counter);
    bind_element(e, n.b, reg, element, RL_ORIGIN_LOADED);
    emit_body(e, n.c);
    rl_release(e, mark);
    rl_at(e, n.start);
    rl_jump_to(e, rl_emit_abc(e, RL_OP_FOR_LT, counter, limit, 0), top);
    close_for(e);
}

/* Does the body assign the local that is walked over? Then what is walked must not be changed in place. */
static void protect_walked(rl_emitter_t* e, rl_ir_t collection, rl_type_t type, uint32_t reg) {
    rl_local_home_t* home;
    if (!rl_plain_local(e, collection, &home) || home->borrowed) return;
    if (rl_is_assigned(e, rl_node(e, collection)->a)) rl_emit_share(e, type, reg);
}

/* What is walked without a list of its elements (LANGUAGE 5.5, 8.7): calls whose result only `for` sees. */
static uint32_t lazy_walk_of(rl_emitter_t* e, rl_ir_t iterable) {
    const rl_ir_node_t* n = rl_node(e, iterable);
    if (n->op != RL_IR_CALL) return RL_NONE;
    const rl_function_t* callee = rl_program_function(e->program, n->a);
    if (callee->kind != RL_FN_BUILTIN) return RL_NONE;
    switch (callee->builtin) {
    case RL_BUILTIN_STR_SPLIT_ID: return RL_BUILTIN_STR_WALK_SPLIT_ID;
    case RL_BUILTIN_STR_LINES_ID: return RL_BUILTIN_STR_WALK_LINES_ID;
    case RL_BUILTIN_STR_SPLIT_WHITESPACE_ID: return RL_BUILTIN_STR_WALK_WORDS_ID;
    default: return RL_NONE;
    }
}

/* `for c in s.chars()` walks the Str itself. The text, or 0. */
static rl_ir_t text_of_chars(rl_emitter_t* e, rl_ir_t iterable) {
    const rl_ir_node_t* n = rl_node(e, iterable);
    if (n->op != RL_IR_CALL) return 0;
    const rl_function_t* callee = rl_program_function(e->program, n->a);
    if (callee->kind != RL_FN_BUILTIN || callee->builtin != RL_BUILTIN_STR_CHARS_ID) return 0;
    return *rl_program_extra(e->program, n->c + 1);
}

static void emit_lazy_walk(rl_emitter_t* e, rl_ir_t call, uint32_t builtin, uint32_t to) {
    rl_ir_node_t n = *rl_node(e, call);
    uint32_t count = *rl_program_extra(e->program, n.c), regs[2];
    rl_type_t types[2] = {RL_TYPE_STR, RL_TYPE_STR}, element = RL_TYPE_STR;
    rl_ir_t nodes[2];
    for (uint32_t i = 0; i < count && i < 2; i++) nodes[i] = *rl_program_extra(e->program, n.c + 1 + i);
    for (uint32_t i = 0; i < count && i < 2; i++)
        regs[i] = rl_emit_operand(e, nodes[i], true, nodes + i + 1, count - i - 1);
    rl_at(e, n.start);
    rl_type_t walk = rl_type_named(&e->compiler->program->types, e->program->known.iter, &element, 1);
    rl_emit_builtin(e, builtin, to, walk, regs, types, count, NULL, 0);
}

static void emit_for_walk(rl_emitter_t* e, rl_ir_t id, rl_type_t collection) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_ir_t text = text_of_chars(e, n.a);
    if (text) {
        n.a = text;
        collection = RL_TYPE_STR;
    }
    rl_type_t element = rl_emit_ground(e, rl_node(e, n.b)->type);
    rl_rep_t rep = rl_rep_of(e->compiler, element);
    uint32_t walk = rl_temp(e, RL_REP_R);
    rl_mark_t before = rl_mark(e);
    uint32_t lazy = lazy_walk_of(e, n.a);
    if (lazy != RL_NONE) {
        emit_lazy_walk(e, n.a, lazy, walk);
    } else {
        uint32_t from = rl_emit_any(e, n.a, false);
        protect_walked(e, n.a, collection, from);
        rl_emit_abc(e, RL_OP_ITER, walk, from, rl_table_type(e, collection));
    }
    rl_release(e, before);
    if (!open_loop(e, RL_DROP)) return;
    e->loop_depth++;
    uint32_t top = rl_here(e), reg = rl_temp(e, rep);
    rl_jumps_t out = 0;
    rl_jump_add(e, &out, rl_emit_abc(e, rep == RL_REP_R ? RL_OP_NEXTR : RL_OP_NEXTS, reg, walk, 0));
    innermost(e)->breaks = out;
    rl_mark_t mark = rl_mark(e);
    bind_element(e, n.b, reg, element, RL_ORIGIN_LOADED);
    emit_body(e, n.c);
    rl_release(e, mark);
    rl_at(e, n.start);
    jump_back(e, top);
    e->dead = true;
    close_for(e);
}

/*
 * An Iter is a native walk, asked by NEXT, or a function that answers Option<T>: which one is known when the loop begins. The
 * call of the function stands behind the loop.
 */
static void emit_for_iter(rl_emitter_t* e, rl_ir_t id, rl_type_t collection) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_types_t* types = &e->compiler->program->types;
    rl_type_t element = rl_type_arg(e->compiler, collection, 0);
    rl_type_t option = rl_type_named(types, e->program->known.option, &element, 1);
    rl_type_t step_type = rl_type_function(types, NULL, 0, option);
    uint32_t some = 0;
    const rl_typedef_t* def = rl_named_def(e->compiler, option);
    while (some + 1 < def->variant_count && rl_program_variant(e->program, def->variant_first + some)->field_count == 0)
        some++;
    const rl_layout_t* layout = rl_layout_of(e->compiler, option, some);
    if (!layout || e->failed) {
        e->failed = true;
        return;
    }
    rl_rep_t rep = rl_rep_of(e->compiler, element);
    uint32_t walk = rl_temp(e, RL_REP_R), step = rl_temp(e, RL_REP_R), native = rl_temp(e, RL_REP_S);
    rl_emit_to(e, n.a, walk, false);
    rl_emit_builtin(e, RL_BUILTIN_ITER_IS_NATIVE_ID, native, RL_TYPE_BOOL, &walk, &collection, 1, NULL, 0);
    rl_emit_builtin(e, RL_BUILTIN_ITER_STEP_ID, step, step_type, &walk, &collection, 1, NULL, 0);
    if (!open_loop(e, RL_DROP)) return;
    e->loop_depth++;
    uint32_t top = rl_here(e), reg = rl_temp(e, rep);
    rl_jumps_t by_function = 0, out = 0;
    rl_jump_add(e, &by_function, rl_emit_abc(e, RL_OP_JEQK_I, native, 0, 0));
    rl_jump_add(e, &out, rl_emit_abc(e, rep == RL_REP_R ? RL_OP_NEXTR : RL_OP_NEXTS, reg, walk, 0));
    innermost(e)->breaks = out;
    rl_mark_t mark = rl_mark(e);
    uint32_t body = rl_here(e);
    bind_element(e, n.b, reg, element, RL_ORIGIN_LOADED);
    emit_body(e, n.c);
    rl_release(e, mark);
    rl_at(e, n.start);
    jump_back(e, top);
    e->dead = true;
    rl_jump_bind(e, by_function);
    uint32_t a = e->s_top, b = rl_temp(e, RL_REP_R);
    rl_emit_move(e, RL_REP_R, b, step);
    rl_note_out(e, a + 1, b + 1);
    rl_emit_abc(e, RL_OP_CALLV, a, b, 0);
    rl_jumps_t ended = 0;
    rl_jump_add(e, &ended, rl_emit_abc(e, RL_OP_JNTAG, b, some, 0));
    rl_jump_join(e, &innermost(e)->breaks, ended);
    rl_emit_load_word(e, rep, reg, b, layout->slots[0], false);
    jump_back(e, body);
    e->dead = true;
    rl_release(e, mark);
    close_for(e);
}

void rl_emit_for(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t collection = rl_emit_type(e, n.a), bare = rl_unwrap_newtype(e->compiler, collection);
    const rl_ir_node_t* iterable = rl_node(e, n.a);
    if (iterable->op == RL_IR_RANGE && counts_natively(rl_emit_type(e, iterable->a))) {
        emit_for_range(e, id);
    } else if (rl_type_kind(&e->program->types, bare) == RL_TYPE_ARRAY ||
               rl_builtin_of(e->compiler, bare) == RL_BUILTIN_VEC) {
        emit_for_vec(e, id, rl_type_arg(e->compiler, bare, 0));
    } else if (rl_builtin_of(e->compiler, bare) == RL_BUILTIN_ITER) {
        emit_for_iter(e, id, bare);
    } else {
        emit_for_walk(e, id, bare);
    }
}
