#include "code/emit_internal.h"

/* Objects: making them, reading out of them, changing them. */

void rl_emit_load_word(rl_emitter_t* e, rl_rep_t rep, uint32_t to, uint32_t object, uint32_t slot, bool share) {
    rl_emit_abc(e,
        rep == RL_REP_F   ? RL_OP_GETF
        : rep != RL_REP_R ? RL_OP_GETS
        : share           ? RL_OP_GETR_SHARE
                          : RL_OP_GETR,
        to, object, slot);
}

static void store_word(rl_emitter_t* e, rl_rep_t rep, uint32_t object, uint32_t slot, uint32_t from) {
    rl_emit_abc(e, rep == RL_REP_R ? RL_OP_SETR : RL_OP_SETS, object, slot, from);
}

void rl_emit_to_any(rl_emitter_t* e, rl_rep_t rep, rl_type_t type, uint32_t to, uint32_t from) {
    rl_emit_abc(e, rep == RL_REP_R ? RL_OP_ANY_R : RL_OP_ANY_S, to, from, rl_table_type(e, type));
}

static bool is_array(rl_emitter_t* e, rl_type_t type) {
    return rl_type_kind(&e->program->types, type) == RL_TYPE_ARRAY;
}
static bool is_vec(rl_emitter_t* e, rl_type_t type) {
    return is_array(e, type) || rl_builtin_of(e->compiler, type) == RL_BUILTIN_VEC;
}

/* --- products ----------------------------------------------------------------------------------------------------- */
/* First R register of a run that ends in the value: the destination itself when it is the newest register. */
static uint32_t run_base(rl_emitter_t* e, rl_dest_t dest, bool* out_taken) {
    *out_taken = dest.want == RL_WANT_REGISTER && dest.scratch && dest.reg + 1 == e->r_top;
    return *out_taken ? dest.reg : e->r_top;
}

static void emit_fields(
    rl_emitter_t* e, rl_ir_t id, const rl_layout_t* layout, uint32_t kind, uint32_t tag, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id);
    bool taken;
    uint32_t b = run_base(e, dest, &taken), a = e->s_top;
    for (uint32_t i = 0; i < n.b && i < layout->count && !e->failed; i++) {
        rl_rep_t rep = (rl_rep_t)layout->reps[i];
        uint32_t reg = rep == RL_REP_R && taken ? b : rl_temp(e, rep);
        if (rep == RL_REP_R) taken = false;
        rl_emit_to(e, *rl_program_extra(e->program, n.a + i), reg, true);
    }
    rl_note_out(e, e->s_top, b + 1);
    rl_shape_t shape = {(uint16_t)kind, (uint16_t)tag, layout->refs, layout->words};
    rl_emit_abc(e, RL_OP_NEW, a, b, rl_table_shape(e, shape));
    rl_deliver(e, RL_REP_R, type, b, dest);
}

void rl_emit_object(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id);
    const rl_typedef_t* found = rl_named_def(e->compiler, type);
    rl_typedef_t def = found ? *found : (rl_typedef_t){0};
    if (dest.want == RL_WANT_NOTHING) {
        for (uint32_t i = 0; i < n.b; i++) rl_emit(e, *rl_program_extra(e->program, n.a + i), RL_DROP);
        return;
    }
    if (n.op == RL_IR_VARIANT && found && def.kind == RL_DEF_NEWTYPE) {
        rl_emit(e, *rl_program_extra(e->program, n.a), dest);
        return;
    }
    if (n.op == RL_IR_VARIANT && rl_rep_of(e->compiler, type) == RL_REP_S) {
        uint32_t reg = rl_dest_reg(e, RL_REP_S, dest);
        rl_emit_wide(e, RL_OP_LDI, reg, n.c);
        rl_finish(e, RL_REP_S, type, reg, dest);
        return;
    }
    uint32_t tag = n.op == RL_IR_VARIANT ? n.c : 0;
    bool has_identity = found && def.kind == RL_DEF_STRUCT;
    if (n.b == 0 && !has_identity && tag < 256) {
        uint32_t reg = rl_dest_reg(e, RL_REP_R, dest);
        rl_emit_wide(e, RL_OP_LDNULLARY, reg, tag);
        rl_finish(e, RL_REP_R, type, reg, dest);
        return;
    }
    rl_type_t product = n.op == RL_IR_RECORD ? rl_unwrap_newtype(e->compiler, type) : type;
    const rl_layout_t* layout = rl_layout_of(e->compiler, product, tag);
    if (layout) emit_fields(e, id, layout, RL_OBJ_CELLS, tag, dest);
    else e->failed = true;
}

/* --- collections -------------------------------------------------------------------------------------------------- */
static void emit_list(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id), bare = rl_unwrap_newtype(e->compiler, type);
    rl_type_t element = rl_type_arg(e->compiler, bare, 0);
    bool array = is_array(e, bare);
    uint32_t to = dest.want == RL_WANT_REGISTER && dest.scratch ? dest.reg : rl_temp(e, RL_REP_R);
    uint32_t regs[RL_BUILTIN_ARGS_MAX];
    rl_type_t types[RL_BUILTIN_ARGS_MAX];
    rl_ir_t nodes[RL_BUILTIN_ARGS_MAX];
    uint32_t first = n.b < RL_BUILTIN_ARGS_MAX ? n.b : RL_BUILTIN_ARGS_MAX;
    rl_mark_t mark = rl_mark(e);
    for (uint32_t i = 0; i < first; i++) nodes[i] = *rl_program_extra(e->program, n.a + i);
    for (uint32_t i = 0; i < first && !e->failed; i++) {
        types[i] = element;
        regs[i] = rl_emit_operand(e, nodes[i], true, nodes + i + 1, first - i - 1);
    }
    rl_emit_builtin(
        e, rl_emit_builtin_id(e, array ? RL_EB_VEC_OF : RL_EB_LIST_OF), to, type, regs, types, first, &element, 1);
    rl_release(e, mark);
    uint32_t push = n.b > first ? rl_emit_builtin_id(e, array ? RL_EB_VEC_PUSH : RL_EB_LIST_PUSH) : 0;
    for (uint32_t i = first; i < n.b && !e->failed; i++) {
        regs[0] = to;
        regs[1] = rl_emit_any(e, *rl_program_extra(e->program, n.a + i), true);
        types[0] = type;
        types[1] = element;
        rl_emit_builtin(
            e, push, array ? rl_temp(e, RL_REP_S) : to, array ? RL_TYPE_UNIT : type, regs, types, 2, &element, 1);
        rl_release(e, mark);
    }
    rl_deliver(e, RL_REP_R, type, to, dest);
}

static void emit_map(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id), bare = rl_unwrap_newtype(e->compiler, type);
    rl_type_t key_value[2] = {rl_type_arg(e->compiler, bare, 0), rl_type_arg(e->compiler, bare, 1)};
    rl_type_t types[3] = {type, key_value[0], key_value[1]};
    uint32_t to = dest.want == RL_WANT_REGISTER && dest.scratch ? dest.reg : rl_temp(e, RL_REP_R);
    rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_MAP_EMPTY), to, type, NULL, NULL, 0, key_value, 2);
    rl_mark_t mark = rl_mark(e);
    for (uint32_t i = 0; i < n.b && !e->failed; i++) {
        rl_ir_t value = *rl_program_extra(e->program, n.a + 2 * i + 1);
        uint32_t regs[3] = {to, 0, 0};
        regs[1] = rl_emit_operand(e, *rl_program_extra(e->program, n.a + 2 * i), true, &value, 1);
        regs[2] = rl_emit_any(e, value, true);
        rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_MAP_INSERT), to, type, regs, types, 3, key_value, 2);
        rl_release(e, mark);
    }
    rl_deliver(e, RL_REP_R, type, to, dest);
}

static void emit_range(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    bool taken;
    uint32_t b = run_base(e, dest, &taken), a = e->s_top;
    uint32_t from = rl_temp(e, RL_REP_S), to = rl_temp(e, RL_REP_S);
    rl_emit_to(e, n.a, from, false);
    rl_emit_to(e, n.b, to, false);
    rl_emit_wide(e, RL_OP_LDI, rl_temp(e, RL_REP_S), n.flags & 1);
    rl_emit_wide(e, RL_OP_LDI, rl_temp(e, RL_REP_S), 1);
    rl_note_out(e, e->s_top, b + 1);
    rl_emit_abc(e, RL_OP_NEW, a, b, rl_table_shape(e, (rl_shape_t){RL_OBJ_RANGE, 0, 0, 4}));
    rl_deliver(e, RL_REP_R, rl_emit_type(e, id), b, dest);
}

void rl_emit_collection(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    switch (rl_node(e, id)->op) {
    case RL_IR_LIST: emit_list(e, id, dest); break;
    case RL_IR_MAP: emit_map(e, id, dest); break;
    default: emit_range(e, id, dest); break;
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */
static void emit_slot(rl_emitter_t* e, rl_ir_t object, const rl_layout_t* layout, uint32_t index, rl_dest_t dest) {
    if (!layout || index >= layout->count) {
        rl_emit_bug(e, "the field exists");
        return;
    }
    rl_rep_t rep = (rl_rep_t)layout->reps[index];
    rl_type_t type = layout->types[index];
    if (dest.want == RL_WANT_NOTHING) {
        rl_emit(e, object, RL_DROP);
        return;
    }
    uint32_t from;
    rl_local_home_t* home;
    if (rep == RL_REP_R && dest.want == RL_WANT_REGISTER && dest.scratch && !rl_plain_local(e, object, &home)) {
        from = dest.reg; /* the object passes through the destination */
        rl_emit_to(e, object, from, false);
    } else {
        from = rl_emit_any(e, object, false);
    }
    uint32_t to = rl_dest_reg(e, rep, dest);
    rl_emit_load_word(e, rep, to, from, layout->slots[index], dest.own && rl_is_updatable(e->compiler, type));
    rl_finish(e, rep, type, to, dest);
}

void rl_emit_vec_get(rl_emitter_t* e, rl_type_t element, uint32_t to, uint32_t vec, uint32_t index) {
    rl_op_t op = RL_OP_VECGETS;
    switch (rl_element_of(e->compiler, element)) {
    case RL_ELEM_REF: op = RL_OP_VECGETR; break;
    case RL_ELEM_I64: op = RL_OP_VECGETI64; break;
    case RL_ELEM_F64: op = RL_OP_VECGETF64; break;
    case RL_ELEM_U8: op = RL_OP_VECGETU8; break;
    default: break;
    }
    rl_emit_abc(e, op, to, vec, index);
}

void rl_emit_vec_set(rl_emitter_t* e, rl_type_t element, uint32_t vec, uint32_t index, uint32_t value) {
    rl_op_t op = RL_OP_VECSETS;
    switch (rl_element_of(e->compiler, element)) {
    case RL_ELEM_REF: op = RL_OP_VECSETR; break;
    case RL_ELEM_I64: op = RL_OP_VECSETI64; break;
    case RL_ELEM_F64: op = RL_OP_VECSETF64; break;
    case RL_ELEM_U8: op = RL_OP_VECSETU8; break;
    default: break;
    }
    rl_emit_abc(e, op, vec, index, value);
}

/* The name of a field as an argument for a builtin. */
static uint32_t field_name(rl_emitter_t* e, rl_sym_t field) {
    uint32_t reg = rl_temp(e, RL_REP_R);
    rl_emit_name(e, reg, field);
    return reg;
}

void rl_emit_open_get(rl_emitter_t* e, rl_type_t open, uint32_t record, rl_sym_t field, uint32_t to, rl_type_t type) {
    rl_mark_t mark = rl_mark(e);
    uint32_t regs[2] = {record, field_name(e, field)};
    rl_type_t types[2] = {open, RL_TYPE_STR};
    rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_OPEN_GET), to, type, regs, types, 2, &type, 1);
    rl_release(e, mark);
}

static void emit_open_field(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    uint32_t record = rl_emit_any(e, n.a, false), to = rl_dest_reg(e, rep, dest);
    rl_at(e, n.start);
    rl_emit_open_get(e, rl_emit_type(e, n.a), record, n.b, to, type);
    rl_finish(e, rep, type, to, dest);
}

/* One new record after another, each with one more field changed. */
static void emit_open_update(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t open = rl_emit_type(e, id);
    uint32_t record = rl_temp(e, RL_REP_R), next = rl_temp(e, RL_REP_R);
    rl_emit_to(e, n.a, record, true);
    for (uint32_t i = 0; i < n.c && !e->failed; i++) {
        rl_mark_t mark = rl_mark(e);
        rl_ir_t value = *rl_program_extra(e->program, n.b + 2 * i + 1);
        rl_type_t types[3] = {open, RL_TYPE_STR, rl_emit_type(e, value)};
        uint32_t regs[3] = {record, 0, rl_emit_any(e, value, true)};
        regs[1] = field_name(e, *rl_program_extra(e->program, n.b + 2 * i));
        rl_at(e, n.start);
        rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_OPEN_WITH), next, open, regs, types, 3, &types[2], 1);
        rl_release(e, mark);
        rl_emit_move(e, RL_REP_R, record, next);
    }
    rl_deliver(e, RL_REP_R, open, record, dest);
}

static void emit_index(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id), collection = rl_emit_type(e, n.a);
    rl_type_t bare = rl_unwrap_newtype(e->compiler, collection);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    uint32_t regs[2];
    regs[0] = rl_emit_operand(e, n.a, false, &n.b, 1);
    regs[1] = rl_emit_any(e, n.b, false);
    uint32_t to = rl_dest_reg(e, rep, dest);
    rl_at(e, n.start);
    if (is_vec(e, bare)) {
        rl_emit_vec_get(e, rl_type_arg(e->compiler, bare, 0), to, regs[0], regs[1]);
        if (dest.own) rl_emit_share(e, type, to);
    } else if (rl_builtin_of(e->compiler, bare) == RL_BUILTIN_LIST) {
        rl_emit_abc(e, rep == RL_REP_R ? RL_OP_LISTGETR : RL_OP_LISTGETS, to, regs[0], regs[1]);
    } else {
        enum rl_emit_builtin which = RL_EB_LIST_INDEX;
        rl_builtin_type_t builtin = rl_builtin_of(e->compiler, bare);
        rl_type_t args[2] = {rl_type_arg(e->compiler, bare, 0), rl_type_arg(e->compiler, bare, 1)};
        rl_type_t types[2] = {collection, rl_emit_type(e, n.b)};
        uint32_t arg_count = 1;
        if (bare == RL_TYPE_BYTES) {
            which = RL_EB_BYTES_INDEX;
            arg_count = 0;
        } else if (builtin == RL_BUILTIN_MAP || builtin == RL_BUILTIN_TABLE) {
            which = builtin == RL_BUILTIN_MAP ? RL_EB_MAP_INDEX : RL_EB_TABLE_INDEX;
            arg_count = 2;
        }
        rl_emit_builtin(e, rl_emit_builtin_id(e, which), to, type, regs, types, 2, args, arg_count);
    }
    rl_finish(e, rep, type, to, dest);
}

void rl_emit_access(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    if (n.op == RL_IR_INDEX) {
        emit_index(e, id, dest);
        return;
    }
    rl_type_t type = rl_emit_type(e, n.a);
    if (n.op == RL_IR_PAYLOAD) {
        const rl_typedef_t* def = rl_named_def(e->compiler, type);
        if (def && def->kind == RL_DEF_NEWTYPE) rl_emit(e, n.a, dest);
        else emit_slot(e, n.a, rl_layout_of(e->compiler, type, n.c), n.b, dest);
        return;
    }
    if (rl_is_open(e->compiler, rl_unwrap_newtype(e->compiler, type))) {
        emit_open_field(e, id, dest);
        return;
    }
    const rl_layout_t* layout = rl_layout_of(e->compiler, rl_unwrap_newtype(e->compiler, type), 0);
    uint32_t index = n.op == RL_IR_TUPLE_GET || !layout ? n.b : rl_layout_find(layout, n.b);
    emit_slot(e, n.a, layout, index, dest);
}

/* --- changing ----------------------------------------------------------------------------------------------------- */
enum { UPDATE_INLINE = 16 };

static void emit_record_update(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id), bare = rl_unwrap_newtype(e->compiler, type);
    if (rl_is_open(e->compiler, bare)) {
        emit_open_update(e, id, dest);
        return;
    }
    const rl_layout_t* layout = rl_layout_of(e->compiler, bare, 0);
    const rl_typedef_t* def = rl_named_def(e->compiler, bare);
    rl_ir_t nodes[UPDATE_INLINE];
    uint32_t regs_small[UPDATE_INLINE], *regs = regs_small;
    size_t bytes = sizeof(uint32_t) * n.c;
    if (n.c > UPDATE_INLINE) regs = rl_alloc(e->allocator, bytes);
    if (!layout || !regs) {
        e->failed = true;
        return;
    }
    uint32_t looked_at = n.c < UPDATE_INLINE ? n.c : UPDATE_INLINE;
    for (uint32_t i = 0; i < looked_at; i++) nodes[i] = *rl_program_extra(e->program, n.b + 2 * i + 1);
    uint32_t base = rl_emit_operand(e, n.a, true, nodes, n.c > UPDATE_INLINE ? n.c : looked_at);
    for (uint32_t i = 0; i < n.c && !e->failed; i++) {
        rl_ir_t value = *rl_program_extra(e->program, n.b + 2 * i + 1);
        uint32_t rest = i + 1 < looked_at ? looked_at - i - 1 : 0;
        regs[i] = n.c > UPDATE_INLINE ? rl_temp(e, rl_emit_rep(e, value))
                                      : rl_emit_operand(e, value, true, nodes + i + 1, rest);
        if (n.c > UPDATE_INLINE) rl_emit_to(e, value, regs[i], true);
    }
    uint32_t to = rl_dest_reg(e, RL_REP_R, dest);
    /* An object with identity is always made anew. */
    if (def && def->kind == RL_DEF_STRUCT) rl_emit_abc(e, RL_OP_SHARE, base, 0, 0);
    /* A value may lie in the destination (x := { ..p, f: x }): then copy beside it. */
    uint32_t copy = to;
    for (uint32_t i = 0; i < n.c; i++) {
        uint32_t field = rl_layout_find(layout, *rl_program_extra(e->program, n.b + 2 * i));
        if (field < layout->count && layout->reps[field] == RL_REP_R && regs[i] == to) copy = rl_temp(e, RL_REP_R);
    }
    rl_emit_abc(e, RL_OP_COPY, copy, base, 0);
    for (uint32_t i = 0; i < n.c && !e->failed; i++) {
        uint32_t field = rl_layout_find(layout, *rl_program_extra(e->program, n.b + 2 * i));
        if (field < layout->count) store_word(e, (rl_rep_t)layout->reps[field], copy, layout->slots[field], regs[i]);
    }
    rl_emit_move(e, RL_REP_R, to, copy);
    if (regs != regs_small) rl_free(e->allocator, regs, bytes);
    rl_finish(e, RL_REP_R, type, to, dest);
}

static void emit_set_field(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    const rl_layout_t* layout = rl_layout_of(e->compiler, rl_unwrap_newtype(e->compiler, rl_emit_type(e, n.a)), 0);
    uint32_t index = layout ? rl_layout_find(layout, n.b) : RL_NONE;
    if (index == RL_NONE) {
        rl_emit_bug(e, "names in IR mean something");
        return;
    }
    uint32_t object = rl_emit_operand(e, n.a, false, &n.c, 1), value = rl_emit_any(e, n.c, true);
    store_word(e, (rl_rep_t)layout->reps[index], object, layout->slots[index], value);
}

static void emit_set_index(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t collection = rl_emit_type(e, n.a), bare = rl_unwrap_newtype(e->compiler, collection);
    bool vec = is_vec(e, bare);
    rl_ir_t later[2] = {*rl_program_extra(e->program, n.b), *rl_program_extra(e->program, n.b + 1)};
    uint32_t regs[3];
    regs[0] = rl_emit_operand(e, n.a, false, later, 2);
    regs[1] = rl_emit_operand(e, later[0], !vec, later + 1, 1);
    regs[2] = rl_emit_any(e, later[1], true);
    rl_at(e, n.start);
    if (vec) {
        rl_emit_vec_set(e, rl_type_arg(e->compiler, bare, 0), regs[0], regs[1], regs[2]);
        return;
    }
    rl_type_t args[2] = {rl_type_arg(e->compiler, bare, 0), rl_type_arg(e->compiler, bare, 1)};
    rl_type_t types[3] = {collection, args[0], args[1]};
    rl_emit_builtin(
        e, rl_emit_builtin_id(e, RL_EB_TABLE_SET), rl_temp(e, RL_REP_S), RL_TYPE_UNIT, regs, types, 3, args, 2);
}

static void emit_with_index(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, n.a), bare = rl_unwrap_newtype(e->compiler, type);
    bool map = rl_builtin_of(e->compiler, bare) == RL_BUILTIN_MAP;
    rl_ir_t later[2] = {*rl_program_extra(e->program, n.b), *rl_program_extra(e->program, n.b + 1)};
    uint32_t regs[3];
    regs[0] = rl_emit_operand(e, n.a, true, later, 2);
    regs[1] = rl_emit_operand(e, later[0], map, later + 1, 1);
    regs[2] = rl_emit_any(e, later[1], true);
    rl_at(e, n.start);
    rl_type_t args[2] = {rl_type_arg(e->compiler, bare, 0), rl_type_arg(e->compiler, bare, 1)};
    rl_type_t types[3] = {type, map ? args[0] : rl_emit_type(e, later[0]), map ? args[1] : args[0]};
    uint32_t to = rl_dest_reg(e, RL_REP_R, dest);
    rl_emit_builtin(
        e, rl_emit_builtin_id(e, map ? RL_EB_MAP_INSERT : RL_EB_LIST_SET), to, type, regs, types, 3, args, map ? 2 : 1);
    rl_finish(e, RL_REP_R, type, to, dest);
}

void rl_emit_update(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    switch (rl_node(e, id)->op) {
    case RL_IR_UPDATE: emit_record_update(e, id, dest); return;
    case RL_IR_WITH_INDEX: emit_with_index(e, id, dest); return;
    case RL_IR_SET_FIELD: emit_set_field(e, id); break;
    default: emit_set_index(e, id); break;
    }
    rl_emit_unit(e, dest);
}
