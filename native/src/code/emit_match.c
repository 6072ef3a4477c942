#include "code/emit_internal.h"

/* Bindings, patterns, match. */

/* --- names -------------------------------------------------------------------------------------------------------- */
uint32_t rl_emit_box(rl_emitter_t* e, rl_rep_t rep, uint32_t from) {
    bool is_ref = rep == RL_REP_R;
    uint32_t shape = rl_table_shape(e, (rl_shape_t){RL_OBJ_CELLS, 0, is_ref, 1});
    uint32_t box = rl_temp(e, RL_REP_R);
    if (is_ref) rl_emit_move(e, RL_REP_R, box, from);
    rl_emit_abc(e, RL_OP_NEW, is_ref ? e->s_top : from, box, shape);
    rl_note_out(e, e->s_top + 1, e->r_top);
    return box;
}

static rl_local_home_t* open_local(rl_emitter_t* e, rl_local_id_t local) {
    rl_local_home_t* home = &e->locals[local];
    home->type = rl_emit_ground(e, rl_program_local(e->program, e->fn.local_first + local)->type);
    home->rep = (uint8_t)rl_rep_of(e->compiler, home->type);
    return home;
}

void rl_bind_local(rl_emitter_t* e, rl_local_id_t local, rl_matched_t value) {
    rl_local_home_t* home = open_local(e, local);
    rl_rep_t rep = (rl_rep_t)home->rep;
    bool boxed = rl_is_boxed(e, local), variable = boxed || rl_is_assigned(e, local);
    bool mark = value.origin == RL_ORIGIN_ALIAS || (value.origin == RL_ORIGIN_LOADED && variable);
    if (mark) rl_emit_share(e, home->type, value.reg);
    home->borrowed = value.origin != RL_ORIGIN_OWNED && !variable;
    if (boxed) {
        uint32_t box = rl_emit_box(e, rep, value.reg);
        if (home->fixed) rl_emit_move(e, RL_REP_R, home->reg, box);
        else home->reg = (uint16_t)box;
        home->home = RL_HOME_BOX;
        return;
    }
    if (!home->fixed) home->reg = (uint16_t)(value.lasting && !variable ? value.reg : rl_temp(e, rep));
    home->home = RL_HOME_REGISTER;
    rl_emit_move(e, rep, home->reg, value.reg);
}

void rl_emit_bind(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_local_home_t* home = open_local(e, n.a);
    rl_rep_t rep = (rl_rep_t)home->rep;
    bool boxed = rl_is_boxed(e, n.a), variable = boxed || rl_is_assigned(e, n.a);
    const rl_ir_node_t value = *rl_node(e, n.b);
    rl_local_home_t* source;
    home->closure_of = 0;
    if (boxed && rep != RL_REP_R) {
        rl_mark_t mark = rl_mark(e);
        uint32_t reg = rl_emit_any(e, n.b, true);
        uint32_t shape = rl_table_shape(e, (rl_shape_t){RL_OBJ_CELLS, 0, 0, 1});
        rl_release(e, mark);
        rl_note_out(e, reg + 1, e->r_top);
        home->reg = (uint16_t)rl_temp(e, RL_REP_R);
        home->home = RL_HOME_BOX;
        rl_emit_abc(e, RL_OP_NEW, reg, home->reg, shape);
        return;
    }
    if (boxed) {
        uint32_t reg = rl_temp(e, RL_REP_R);
        rl_emit_to(e, n.b, reg, true);
        rl_emit_abc(e, RL_OP_NEW, e->s_top, reg, rl_table_shape(e, (rl_shape_t){RL_OBJ_CELLS, 0, 1, 1}));
        rl_note_out(e, e->s_top + 1, e->r_top);
        home->reg = (uint16_t)reg;
        home->home = RL_HOME_BOX;
        return;
    }
    /* A second name for a value that no name can change needs no register of its own. */
    if (!variable && rl_plain_local(e, n.b, &source) && !rl_is_assigned(e, value.a)) {
        bool owned = !source->borrowed && rl_is_last_read(e, n.b);
        if (!owned && !source->borrowed) rl_emit_share(e, home->type, source->reg);
        home->borrowed = !owned;
        home->reg = source->reg;
        home->home = RL_HOME_REGISTER;
        home->closure_of = source->closure_of;
        return;
    }
    bool loaded = !variable && rl_is_load(e, n.b);
    uint32_t reg = rl_temp(e, rep);
    rl_emit_to(e, n.b, reg, !loaded);
    home->borrowed = loaded;
    home->reg = (uint16_t)reg;
    home->home = RL_HOME_REGISTER;
    if (value.op == RL_IR_CLOSURE) home->closure_of = value.a;
}

/* Locals bound below `pattern` get their registers now: each alternative of an or-pattern fills the same ones. */
static void fix_locals(rl_emitter_t* e, rl_ir_t pattern, bool fixed) {
    rl_ir_list_t stack = {0};
    if (!rl_vec_push(e->allocator, &stack, pattern)) e->failed = true;
    while (stack.count && !e->failed) {
        rl_ir_t id = rl_vec_pop(&stack);
        const rl_ir_node_t* n = rl_node(e, id);
        if (n->op == RL_PAT_BIND) {
            rl_local_home_t* home = open_local(e, n->a);
            if (fixed && !home->fixed) {
                home->reg = (uint16_t)rl_temp(e, rl_is_boxed(e, n->a) ? RL_REP_R : (rl_rep_t)home->rep);
            }
            home->fixed = fixed;
        }
        if (!rl_pattern_children(e->program, e->allocator, id, &stack)) e->failed = true;
    }
    rl_vec_deinit(e->allocator, &stack);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */
static void fail_if(rl_emitter_t* e, rl_jumps_t* fail, uint32_t jump) { rl_jump_add(e, fail, jump); }

static void test_constant(rl_emitter_t* e, rl_ir_t constant, rl_matched_t value, rl_jumps_t* fail) {
    rl_mark_t mark = rl_mark(e);
    rl_type_t type = rl_unwrap_newtype(e->compiler, value.type);
    rl_type_t constant_type = rl_emit_type(e, constant);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    int64_t k;
    if (type == RL_TYPE_UNIT) return;
    if (rep == RL_REP_S && rl_const_i16(e, constant, &k)) {
        fail_if(e, fail, rl_emit_abc(e, RL_OP_JNEK_I, value.reg, (uint16_t)(int16_t)k, 0));
    } else if (rep != RL_REP_R) {
        uint32_t other = rl_emit_any(e, constant, false);
        fail_if(e, fail, rl_emit_abc(e, rep == RL_REP_F ? RL_OP_JNE_F : RL_OP_JNE_I, value.reg, other, 0));
    } else {
        uint32_t regs[2] = {value.reg, rl_emit_any(e, constant, false)}, equal = rl_temp(e, RL_REP_S);
        rl_type_t types[2] = {value.type, value.type};
        if (type == RL_TYPE_ANY && constant_type != RL_TYPE_ANY) {
            uint32_t any = rl_temp(e, RL_REP_R);
            rl_emit_to_any(e, rl_rep_of(e->compiler, constant_type), constant_type, any, regs[1]);
            regs[1] = any;
        }
        if (type == RL_TYPE_STR) rl_emit_abc(e, RL_OP_EQ_STR, equal, regs[0], regs[1]);
        else rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_EQ), equal, RL_TYPE_BOOL, regs, types, 2, types, 1);
        fail_if(e, fail, rl_emit_wide(e, RL_OP_JF, equal, 0));
    }
    rl_release(e, mark);
}

static void test_bound(
    rl_emitter_t* e, rl_ir_t bound, bool is_low, bool inclusive, rl_matched_t value, rl_jumps_t* fail) {
    rl_mark_t mark = rl_mark(e);
    rl_type_t type = rl_unwrap_newtype(e->compiler, value.type);
    int64_t k;
    if (rl_rep_of(e->compiler, type) == RL_REP_F) {
        uint32_t limit = rl_emit_any(e, bound, false);
        if (is_low) fail_if(e, fail, rl_emit_abc(e, RL_OP_JNLE_F, limit, value.reg, 0));
        else fail_if(e, fail, rl_emit_abc(e, inclusive ? RL_OP_JNLE_F : RL_OP_JNLT_F, value.reg, limit, 0));
    } else if (type != RL_TYPE_U64 && rl_const_i16(e, bound, &k)) {
        rl_op_t op = is_low ? RL_OP_JLTK_I : inclusive ? RL_OP_JGTK_I : RL_OP_JGEK_I;
        fail_if(e, fail, rl_emit_abc(e, op, value.reg, (uint16_t)(int16_t)k, 0));
    } else {
        uint32_t limit = rl_emit_any(e, bound, false);
        bool is_u64 = type == RL_TYPE_U64;
        rl_op_t less = is_u64 ? RL_OP_JLT_U : RL_OP_JLT_I, less_equal = is_u64 ? RL_OP_JLE_U : RL_OP_JLE_I;
        if (is_low) fail_if(e, fail, rl_emit_abc(e, less, value.reg, limit, 0));
        else fail_if(e, fail, rl_emit_abc(e, inclusive ? less : less_equal, limit, value.reg, 0));
    }
    rl_release(e, mark);
}

/*
 * A name for a word of a variant or tuple (nothing ever changes those in place) that is read at one place only is
 * loaded there, into the register where it is wanted; one that is never read is not loaded at all.
 */
static bool bind_in_place(rl_emitter_t* e, rl_ir_t pattern, rl_matched_t object, uint32_t slot) {
    const rl_ir_node_t* n = rl_node(e, pattern);
    if (n->op != RL_PAT_BIND || n->b || !object.lasting || e->fixing || rl_is_boxed(e, n->a) || rl_is_assigned(e, n->a))
        return false;
    if (e->analysis.locals[n->a].read_count > 1) return false;
    const rl_typedef_t* def = rl_named_def(e->compiler, object.type);
    if (def ? def->kind != RL_DEF_SUM : rl_type_kind(&e->program->types, object.type) != RL_TYPE_TUPLE) return false;
    rl_local_home_t* home = open_local(e, n->a);
    home->home = RL_HOME_FIELD;
    home->reg = (uint16_t)object.reg;
    home->slot = (uint16_t)slot;
    home->borrowed = true;
    return true;
}

/* Word `index` of the object, when the sub-pattern looks at it. */
static void match_field(rl_emitter_t* e, rl_ir_t pattern, rl_matched_t object, const rl_layout_t* layout,
    uint32_t index, rl_jumps_t* fail) {
    if (!layout || index >= layout->count) {
        rl_emit_bug(e, "names in IR mean something");
        return;
    }
    if (rl_node(e, pattern)->op == RL_PAT_WILDCARD || bind_in_place(e, pattern, object, layout->slots[index])) return;
    rl_rep_t rep = (rl_rep_t)layout->reps[index];
    uint32_t reg = rl_temp(e, rep);
    rl_emit_load_word(e, rep, reg, object.reg, layout->slots[index], false);
    rl_emit_pattern(e, pattern, (rl_matched_t){reg, layout->types[index], RL_ORIGIN_LOADED, 0, true}, fail);
}

/* Test of the root of a variant pattern, without its payload. */
static void test_tag(rl_emitter_t* e, const rl_ir_node_t* n, rl_matched_t value, rl_jumps_t* fail) {
    const rl_typedef_t* def = rl_named_def(e->compiler, value.type);
    if (!def || def->kind == RL_DEF_NEWTYPE || def->variant_count <= 1) return;
    if (n->c < 64 && def->variant_count <= 64) { /* the only tag that is left? */
        uint64_t all = def->variant_count == 64 ? ~0ull : (1ull << def->variant_count) - 1;
        if ((value.excluded | 1ull << n->c) == all) return;
    }
    if (rl_rep_of(e->compiler, value.type) == RL_REP_S)
        fail_if(e, fail, rl_emit_abc(e, RL_OP_JNEK_I, value.reg, n->c, 0));
    else fail_if(e, fail, rl_emit_abc(e, RL_OP_JNTAG, value.reg, n->c, 0));
}

static void match_payload(rl_emitter_t* e, const rl_ir_node_t* n, rl_matched_t value, rl_jumps_t* fail) {
    const rl_typedef_t* def = rl_named_def(e->compiler, value.type);
    if (def && def->kind == RL_DEF_NEWTYPE) {
        rl_type_t inner = rl_layout_of(e->compiler, value.type, 0) ? rl_layout_of(e->compiler, value.type, 0)->types[0]
                                                                   : RL_TYPE_ERROR;
        value.type = inner;
        value.excluded = 0;
        if (n->b) rl_emit_pattern(e, *rl_program_extra(e->program, n->a), value, fail);
        return;
    }
    if (n->b == 0) return;
    const rl_layout_t* layout = rl_layout_of(e->compiler, value.type, n->c);
    for (uint32_t i = 0; i < n->b && !e->failed; i++)
        match_field(e, *rl_program_extra(e->program, n->a + i), value, layout, i, fail);
}

static void match_or(rl_emitter_t* e, rl_ir_t id, rl_matched_t value, rl_jumps_t* fail) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_jumps_t done = 0;
    bool outer = e->fixing;
    fix_locals(e, id, true);
    e->fixing = true;
    for (uint32_t i = 0; i < n.b && !e->failed; i++) {
        rl_jumps_t next = 0;
        rl_mark_t mark = rl_mark(e);
        bool is_last = i + 1 == n.b;
        rl_emit_pattern(e, *rl_program_extra(e->program, n.a + i), value, is_last ? fail : &next);
        rl_release(e, mark);
        if (is_last) break;
        rl_jump_goto(e, &done);
        rl_jump_bind(e, next);
    }
    rl_jump_bind(e, done);
    e->fixing = outer;
    if (!outer) fix_locals(e, id, false);
}

static void match_slice(rl_emitter_t* e, rl_ir_t id, rl_matched_t value, rl_jumps_t* fail) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t bare = rl_unwrap_newtype(e->compiler, value.type), element = rl_type_arg(e->compiler, bare, 0);
    bool vec = rl_builtin_of(e->compiler, bare) != RL_BUILTIN_LIST;
    uint32_t rest = n.c ? n.c - 1 : RL_NONE, fixed = n.b - (n.c ? 1 : 0);
    uint32_t length = rl_temp(e, RL_REP_S);
    rl_type_t int_type = RL_TYPE_I64;
    if (fixed > INT16_MAX) {
        rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
        return;
    }
    if (vec) rl_emit_abc(e, RL_OP_VECLEN, length, value.reg, 0);
    else
        rl_emit_builtin(
            e, rl_emit_builtin_id(e, RL_EB_LIST_LEN), length, int_type, &value.reg, &value.type, 1, &element, 1);
    if (fixed || rest == RL_NONE) {
        fail_if(e, fail, rl_emit_abc(e, rest == RL_NONE ? RL_OP_JNEK_I : RL_OP_JLTK_I, length, fixed, 0));
    }
    for (uint32_t i = 0; i < n.b && !e->failed; i++) {
        rl_ir_t sub = *rl_program_extra(e->program, n.a + i);
        if (rl_node(e, sub)->op == RL_PAT_WILDCARD) continue;
        if (i == rest) {
            rl_type_t slice_types[3] = {value.type, int_type, int_type};
            rl_type_t list = rl_emit_ground(e, rl_node(e, sub)->type);
            uint32_t to = rl_temp(e, RL_REP_R);
            rl_mark_t mark = rl_mark(e);
            uint32_t regs[3] = {value.reg, rl_temp(e, RL_REP_S), length};
            rl_emit_load_i64(e, regs[1], i);
            if (fixed > i) {
                regs[2] = rl_temp(e, RL_REP_S);
                rl_emit_abc(e, RL_OP_ADDK_I, regs[2], length, (uint16_t)(int16_t)-(int32_t)(fixed - i));
            }
            rl_emit_builtin(e, rl_emit_builtin_id(e, vec ? RL_EB_VEC_SLICE : RL_EB_LIST_SLICE), to, list, regs,
                slice_types, 3, &element, 1);
            rl_release(e, mark);
            rl_emit_pattern(e, sub, (rl_matched_t){to, list, RL_ORIGIN_OWNED, 0, true}, fail);
            continue;
        }
        rl_rep_t rep = rl_rep_of(e->compiler, element);
        uint32_t to = rl_temp(e, rep);
        rl_mark_t mark = rl_mark(e);
        uint32_t regs[2] = {value.reg, rl_temp(e, RL_REP_S)};
        rl_type_t index_types[2] = {value.type, int_type};
        if (i < rest) rl_emit_load_i64(e, regs[1], i);
        else rl_emit_abc(e, RL_OP_ADDK_I, regs[1], length, (uint16_t)(int16_t)-(int32_t)(n.b - i));
        if (vec) rl_emit_vec_get(e, element, to, regs[0], regs[1]);
        else
            rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_LIST_INDEX), to, element, regs, index_types, 2, &element, 1);
        rl_release(e, mark);
        rl_emit_pattern(e, sub, (rl_matched_t){to, element, RL_ORIGIN_LOADED, 0, true}, fail);
    }
}

/* Fields of a written open record, in the order of the pattern. */
static void match_open(rl_emitter_t* e, const rl_ir_node_t* n, rl_matched_t value, rl_jumps_t* fail) {
    for (uint32_t i = 0; i < n->b && !e->failed && !e->dead; i++) {
        rl_ir_t part = *rl_program_extra(e->program, n->a + 2 * i + 1);
        if (rl_node(e, part)->op == RL_PAT_WILDCARD) continue;
        rl_type_t type = rl_emit_type(e, part);
        uint32_t reg = rl_temp(e, rl_rep_of(e->compiler, type));
        rl_emit_open_get(e, value.type, value.reg, *rl_program_extra(e->program, n->a + 2 * i), reg, type);
        rl_emit_pattern(e, part, (rl_matched_t){reg, type, RL_ORIGIN_LOADED, 0, true}, fail);
    }
}

/* The value stays whoever's it was: the call gets it like something read out of a container. */
static void match_active(rl_emitter_t* e, const rl_ir_node_t* n, rl_matched_t value, rl_jumps_t* fail) {
    if (value.origin == RL_ORIGIN_OWNED) value.origin = RL_ORIGIN_LOADED;
    rl_bind_local(e, n->a, value);
    rl_ir_node_t inner = *rl_node(e, n->c);
    if (inner.op == RL_PAT_CONST && rl_node(e, inner.a)->type == RL_TYPE_BOOL) {
        rl_emit_condition(e, n->b, rl_node(e, inner.a)->a == 0, fail);
        return;
    }
    rl_type_t type = rl_emit_type(e, n->b);
    uint32_t reg = rl_emit_any(e, n->b, true);
    rl_emit_pattern(e, n->c, (rl_matched_t){reg, type, RL_ORIGIN_OWNED, 0, true}, fail);
}

void rl_emit_pattern(rl_emitter_t* e, rl_ir_t id, rl_matched_t value, rl_jumps_t* fail) {
    if (e->failed || e->dead) return;
    rl_ir_node_t n = *rl_node(e, id);
    if (n.start) rl_at(e, n.start);
    switch ((rl_pattern_op_t)n.op) {
    case RL_PAT_WILDCARD: break;
    case RL_PAT_BIND:
        if (n.b) {
            rl_emit_pattern(e, n.b, value, fail);
            /* Two names for one thing. */
            if (value.origin == RL_ORIGIN_OWNED && rl_node(e, n.b)->op != RL_PAT_WILDCARD)
                value.origin = RL_ORIGIN_ALIAS;
        }
        rl_bind_local(e, n.a, value);
        break;
    case RL_PAT_CONST: test_constant(e, n.a, value, fail); break;
    case RL_PAT_VARIANT:
        test_tag(e, &n, value, fail);
        match_payload(e, &n, value, fail);
        break;
    case RL_PAT_TUPLE: {
        const rl_layout_t* layout = rl_layout_of(e->compiler, value.type, 0);
        for (uint32_t i = 0; i < n.b && !e->failed; i++)
            match_field(e, *rl_program_extra(e->program, n.a + i), value, layout, i, fail);
        break;
    }
    case RL_PAT_RECORD: {
        if (rl_is_open(e->compiler, rl_unwrap_newtype(e->compiler, value.type))) {
            match_open(e, &n, value, fail);
            break;
        }
        const rl_layout_t* layout = rl_layout_of(e->compiler, rl_unwrap_newtype(e->compiler, value.type), 0);
        for (uint32_t i = 0; layout && i < n.b && !e->failed; i++) {
            uint32_t index = rl_layout_find(layout, *rl_program_extra(e->program, n.a + 2 * i));
            match_field(e, *rl_program_extra(e->program, n.a + 2 * i + 1), value, layout, index, fail);
        }
        break;
    }
    case RL_PAT_OR: match_or(e, id, value, fail); break;
    case RL_PAT_RANGE:
        if (n.a) test_bound(e, n.a, true, true, value, fail);
        if (n.b) test_bound(e, n.b, false, n.flags & 1, value, fail);
        break;
    case RL_PAT_SLICE: match_slice(e, id, value, fail); break;
    case RL_PAT_REGEX: {
        uint32_t matches = rl_temp(e, RL_REP_S);
        rl_mark_t mark = rl_mark(e);
        uint32_t regs[2] = {rl_temp(e, RL_REP_R), value.reg};
        rl_type_t types[2] = {RL_TYPE_BYTES, value.type};
        rl_emit_string(e, regs[0], n.a, true);
        rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_REGEX_MATCH), matches, RL_TYPE_BOOL, regs, types, 2, NULL, 0);
        rl_release(e, mark);
        fail_if(e, fail, rl_emit_wide(e, RL_OP_JF, matches, 0));
        break;
    }
    case RL_PAT_ACTIVE: match_active(e, &n, value, fail); break;
    }
}

/* --- scrutinee ---------------------------------------------------------------------------------------------------- */
static rl_matched_t emit_scrutinee(rl_emitter_t* e, rl_ir_t id, bool guarded) {
    rl_type_t type = rl_emit_type(e, id);
    rl_local_home_t* home;
    if (rl_plain_local(e, id, &home)) {
        bool assigned = rl_is_assigned(e, rl_node(e, id)->a);
        rl_origin_t origin = home->borrowed           ? RL_ORIGIN_LOADED
                             : rl_is_last_read(e, id) ? RL_ORIGIN_OWNED
                                                      : RL_ORIGIN_ALIAS;
        if (!assigned || !guarded) return (rl_matched_t){home->reg, type, origin, 0, !assigned};
        uint32_t copy = rl_temp(e, (rl_rep_t)home->rep);
        rl_emit_move(e, (rl_rep_t)home->rep, copy, home->reg);
        return (rl_matched_t){copy, type, origin, 0, true};
    }
    bool loaded = rl_is_load(e, id);
    uint32_t reg = rl_emit_any(e, id, !loaded);
    return (rl_matched_t){reg, type, loaded ? RL_ORIGIN_LOADED : RL_ORIGIN_OWNED, 0, true};
}

void rl_emit_let(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_matched_t value = emit_scrutinee(e, n.b, false);
    rl_jumps_t fail = 0, done = 0;
    rl_emit_pattern(e, n.a, value, &fail);
    if (!fail) return;
    rl_jump_goto(e, &done);
    rl_jump_bind(e, fail);
    rl_at(e, n.start);
    rl_at(e, n.start);
    rl_emit_trap(e, RL_CODE_RUNTIME_MATCH_NO_ARM);
    rl_jump_bind(e, done);
}

/* --- dispatch ----------------------------------------------------------------------------------------------------- */
enum { SWITCH_LEAST = 4, SWITCH_MOST = 1024 };

static rl_ir_t arm_pattern(rl_emitter_t* e, const rl_ir_node_t* match, uint32_t arm) {
    rl_ir_t pattern = *rl_program_extra(e->program, match->b + 3 * arm);
    while (rl_node(e, pattern)->op == RL_PAT_BIND && rl_node(e, pattern)->b) pattern = rl_node(e, pattern)->b;
    return pattern;
}

/* The one number that the root of a pattern tests for: RL_NONE when it is not of that form. */
static uint32_t root_number(rl_emitter_t* e, rl_ir_t pattern) {
    const rl_ir_node_t* n = rl_node(e, pattern);
    int64_t k;
    if (n->op == RL_PAT_VARIANT) return n->c < SWITCH_MOST ? n->c : RL_NONE;
    if (n->op == RL_PAT_CONST && rl_const_i16(e, n->a, &k) && k >= 0 && k < SWITCH_MOST) return (uint32_t)k;
    return RL_NONE;
}

static bool catches_all(rl_emitter_t* e, rl_ir_t pattern) {
    const rl_ir_node_t* n = rl_node(e, pattern);
    return n->op == RL_PAT_WILDCARD || n->op == RL_PAT_BIND;
}

/*
 * A jump table when at least four arms test the root for different small numbers (tags, enums, Int, Char). For each
 * number the first arm that may take it: one for exactly this number is entered behind its own root test, any other form at
 * its start. NULL: no table.
 */
static uint32_t* plan_switch(rl_emitter_t* e, const rl_ir_node_t* match, rl_type_t type) {
    rl_type_t bare = rl_unwrap_newtype(e->compiler, type);
    if (bare != type || bare == RL_TYPE_UNIT || bare == RL_TYPE_ANY || match->c < SWITCH_LEAST || e->dead) return NULL;
    const rl_typedef_t* def = rl_named_def(e->compiler, bare);
    rl_rep_t rep = rl_rep_of(e->compiler, bare);
    if (rep == RL_REP_F || (rep == RL_REP_R && !(def && def->kind == RL_DEF_SUM))) return NULL;
    uint32_t most = 0, numbers = 0;
    for (uint32_t i = 0; i < match->c; i++) {
        uint32_t number = root_number(e, arm_pattern(e, match, i));
        if (number == RL_NONE) continue;
        numbers++;
        if (number > most) most = number;
    }
    if (numbers < SWITCH_LEAST || most > 4 * numbers + 16) return NULL;
    uint32_t count = most + 1;
    uint32_t* table = rl_arena_alloc(&e->compiler->arena, sizeof(uint32_t) * (count + 2));
    if (!table) {
        e->failed = true;
        return NULL;
    }
    /* For now the entries are arms + 1; the default's 0 is "no arm". */
    table[0] = count;
    for (uint32_t i = 0; i < match->c; i++) {
        rl_ir_t pattern = arm_pattern(e, match, i);
        uint32_t number = root_number(e, pattern);
        if (number != RL_NONE) {
            if (!table[2 + number]) table[2 + number] = i + 1;
            continue;
        }
        for (uint32_t k = 1; k < count + 2; k++) {
            if (!table[k]) table[k] = i + 1;
        }
        if (catches_all(e, pattern) && !*rl_program_extra(e->program, match->b + 3 * i + 1)) break;
    }
    return table;
}

/* The tag that an arm takes whatever else the value is; RL_NONE. */
static uint32_t whole_tag(rl_emitter_t* e, const rl_ir_node_t* match, uint32_t arm) {
    rl_ir_node_t n = *rl_node(e, arm_pattern(e, match, arm));
    if (n.op != RL_PAT_VARIANT || n.c >= 64 || *rl_program_extra(e->program, match->b + 3 * arm + 1)) return RL_NONE;
    for (uint32_t i = 0; i < n.b; i++) {
        const rl_ir_node_t* sub = rl_node(e, *rl_program_extra(e->program, n.a + i));
        if (sub->op != RL_PAT_WILDCARD && !(sub->op == RL_PAT_BIND && sub->b == 0)) return RL_NONE;
    }
    return n.c;
}

static bool table_enters(const uint32_t* table, uint32_t arm) {
    for (uint32_t k = 1; table && k < table[0] + 2; k++) {
        if (table[k] == arm + 1) return true;
    }
    return false;
}

void rl_emit_match(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    bool guarded = false;
    for (uint32_t i = 0; i < n.c; i++) guarded = guarded || *rl_program_extra(e->program, n.b + 3 * i + 1) != 0;
    rl_matched_t value = emit_scrutinee(e, n.a, guarded);
    uint32_t* plan = plan_switch(e, &n, value.type);
    uint32_t* table = NULL;
    if (plan && !e->failed) {
        table = rl_arena_alloc(&e->compiler->arena, sizeof(uint32_t) * (plan[0] + 2));
        if (!table || !rl_vec_push(e->allocator, &e->switches, (rl_switch_t){table, plan[0] + 2})) {
            e->failed = true;
            return;
        }
        table[0] = plan[0];
        bool tags = rl_rep_of(e->compiler, value.type) == RL_REP_R;
        rl_emit_wide(e, tags ? RL_OP_SWITCH_TAG : RL_OP_SWITCH_S, value.reg, e->switches.count - 1);
        e->dead = true;
    }
    rl_jumps_t done = 0, fail = 0;
    for (uint32_t i = 0; i < n.c && !e->failed; i++) {
        rl_ir_t pattern = *rl_program_extra(e->program, n.b + 3 * i),
                guard = *rl_program_extra(e->program, n.b + 3 * i + 1);
        rl_mark_t mark = rl_mark(e);
        rl_jump_bind(e, fail);
        fail = 0;
        bool entered = table_enters(plan, i);
        if (e->dead && !entered) continue;
        if (entered) {
            rl_ir_t root = arm_pattern(e, &n, i);
            rl_ir_node_t r = *rl_node(e, root);
            bool skips_test = root_number(e, root) != RL_NONE;
            /* Those who come from the arm before test the root themselves; the table has done so. */
            if (skips_test && !e->dead) {
                if (r.op == RL_PAT_VARIANT) test_tag(e, &r, value, &fail);
                else test_constant(e, r.a, value, &fail);
            }
            e->dead = false;
            for (uint32_t k = 1; k < plan[0] + 2; k++) {
                if (plan[k] == i + 1) table[k] = rl_here(e);
            }
            if (skips_test) {
                if (r.op == RL_PAT_VARIANT) match_payload(e, &r, value, &fail);
                for (rl_ir_t at = pattern; at != root; at = rl_node(e, at)->b) {
                    rl_matched_t named = value;
                    if (named.origin == RL_ORIGIN_OWNED) named.origin = RL_ORIGIN_ALIAS;
                    rl_bind_local(e, rl_node(e, at)->a, named);
                }
            } else {
                rl_emit_pattern(e, pattern, value, &fail);
            }
        } else {
            rl_emit_pattern(e, pattern, value, &fail);
        }
        if (guard) rl_emit_condition(e, guard, false, &fail);
        rl_emit(e, *rl_program_extra(e->program, n.b + 3 * i + 2), dest);
        rl_release(e, mark);
        uint32_t tag = whole_tag(e, &n, i);
        if (tag != RL_NONE) value.excluded |= 1ull << tag;
        if (i + 1 < n.c || fail || plan) rl_jump_goto(e, &done);
    }
    if (n.c == 0) {
        rl_emit_trap(e, RL_CODE_RUNTIME_MATCH_NO_ARM);
        return;
    }
    bool reaches_end = fail != 0;
    for (uint32_t k = 1; plan && k < plan[0] + 2; k++) reaches_end = reaches_end || plan[k] == 0;
    if (reaches_end) {
        rl_jump_bind(e, fail);
        if (table && !e->failed) e->dead = false;
        for (uint32_t k = 1; table && k < plan[0] + 2; k++) {
            if (plan[k] == 0) table[k] = rl_here(e);
        }
        rl_at(e, n.start);
        rl_at(e, n.start);
        rl_emit_trap(e, RL_CODE_RUNTIME_MATCH_NO_ARM);
    }
    rl_jump_bind(e, done);
}
