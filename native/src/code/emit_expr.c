#include "code/emit_internal.h"

/*
 * Expressions: where values come from and where they go. Operators, objects, calls, patterns and loops have files of
 * their own. Every function leaves the register tops as it found them, except that names introduced by BIND, LET and
 * CLOSURE_GROUP keep their registers until the block around them ends.
 *
 * Builtins called by emitted code have names of their own: see code/builtin_names.h.
 */

/* --- delivering ------------------------------------------------------------------------------------------------ */
uint32_t rl_dest_reg(rl_emitter_t* e, rl_rep_t rep, rl_dest_t dest) {
    return dest.want == RL_WANT_REGISTER ? dest.reg : rl_temp(e, rep);
}

void rl_finish(rl_emitter_t* e, rl_rep_t rep, rl_type_t type, uint32_t reg, rl_dest_t dest) {
    if (dest.want == RL_WANT_RETURN) rl_emit_return(e, rep, reg, type == RL_TYPE_UNIT);
}

void rl_deliver(rl_emitter_t* e, rl_rep_t rep, rl_type_t type, uint32_t reg, rl_dest_t dest) {
    if (dest.want == RL_WANT_REGISTER) rl_emit_move(e, rep, dest.reg, reg);
    else rl_finish(e, rep, type, reg, dest);
}

void rl_emit_unit(rl_emitter_t* e, rl_dest_t dest) {
    if (dest.want == RL_WANT_REGISTER) rl_emit_wide(e, RL_OP_LDI, dest.reg, 0);
    else if (dest.want == RL_WANT_RETURN) rl_emit_return(e, RL_REP_S, 0, true);
}

void rl_emit_to(rl_emitter_t* e, rl_ir_t id, uint32_t reg, bool own) {
    rl_emit(e, id, (rl_dest_t){RL_WANT_REGISTER, true, own, reg});
}

void rl_emit_share(rl_emitter_t* e, rl_type_t type, uint32_t reg) {
    if (rl_is_updatable(e->compiler, type)) rl_emit_abc(e, RL_OP_SHARE, reg, 0, 0);
}

/* --- what a node is ----------------------------------------------------------------------------------------------- */
bool rl_is_last_read(rl_emitter_t* e, rl_ir_t node) {
    uint32_t last;
    return rl_map_get(&e->analysis.last, node, &last) && last;
}

bool rl_is_assigned(rl_emitter_t* e, rl_local_id_t local) { return e->analysis.locals[local].assigned; }

/* Wrapping and unwrapping a newtype does nothing: the node whose value it is. */
static rl_ir_t transparent(rl_emitter_t* e, rl_ir_t id) {
    for (;;) {
        const rl_ir_node_t* n = rl_node(e, id);
        rl_ir_t inner = 0;
        rl_type_t newtype = 0;
        if (n->op == RL_IR_PAYLOAD) {
            inner = n->a;
            newtype = rl_emit_type(e, inner);
        } else if (n->op == RL_IR_VARIANT && n->b == 1) {
            inner = *rl_program_extra(e->program, n->a);
            newtype = rl_emit_ground(e, n->type);
        }
        const rl_typedef_t* def = inner ? rl_named_def(e->compiler, newtype) : NULL;
        if (!def || def->kind != RL_DEF_NEWTYPE) return id;
        id = inner;
    }
}

bool rl_plain_local(rl_emitter_t* e, rl_ir_t id, rl_local_home_t** out_home) {
    const rl_ir_node_t* n = rl_node(e, id);
    if (n->op != RL_IR_LOCAL || e->locals[n->a].home != RL_HOME_REGISTER) return false;
    *out_home = &e->locals[n->a];
    return true;
}

bool rl_is_load(rl_emitter_t* e, rl_ir_t id) {
    id = transparent(e, id);
    const rl_ir_node_t* n = rl_node(e, id);
    switch (n->op) {
    case RL_IR_FIELD:
    case RL_IR_TUPLE_GET:
    case RL_IR_PAYLOAD:
    case RL_IR_GLOBAL: return true;
    case RL_IR_LOCAL: return e->locals[n->a].home != RL_HOME_REGISTER || e->locals[n->a].borrowed;
    case RL_IR_INDEX: {
        rl_type_t type = rl_unwrap_newtype(e->compiler, rl_emit_type(e, n->a));
        return rl_type_kind(&e->program->types, type) == RL_TYPE_ARRAY ||
               rl_builtin_of(e->compiler, type) == RL_BUILTIN_VEC;
    }
    default: return false;
    }
}

bool rl_const_int(rl_emitter_t* e, rl_ir_t id, int64_t* out) {
    const rl_ir_node_t* n = rl_node(e, id);
    if (n->op == RL_IR_INT) {
        if (rl_emit_rep(e, id) != RL_REP_S) return false;
        *out = (int64_t)((uint64_t)n->b << 32 | n->a);
        return true;
    }
    if (n->op == RL_IR_VARIANT && n->b == 0 && rl_emit_rep(e, id) == RL_REP_S) {
        *out = n->c;
        return true;
    }
    return false;
}

bool rl_const_i16(rl_emitter_t* e, rl_ir_t id, int64_t* out) {
    return rl_const_int(e, id, out) && *out >= INT16_MIN && *out <= INT16_MAX;
}

/* --- constants ---------------------------------------------------------------------------------------------------- */
static double float_constant(rl_emitter_t* e, rl_ir_t id) {
    const rl_ir_node_t* n = rl_node(e, id);
    rl_word_t word = {.u = (uint64_t)n->b << 32 | n->a};
    double value = n->op == RL_IR_INT ? (double)word.i : word.f;
    return rl_unwrap_newtype(e->compiler, rl_emit_type(e, id)) == RL_TYPE_F32 ? (double)(float)value : value;
}

static bool hot_register(rl_emitter_t* e, rl_ir_t id, uint32_t* out_reg) {
    const rl_ir_node_t* n = rl_node(e, id);
    if (n->op != RL_IR_FLOAT || n->type != RL_TYPE_F64) return false;
    for (uint32_t i = 0; i < e->hot_count; i++) {
        if (e->hot[i].bits == ((uint64_t)n->b << 32 | n->a)) {
            *out_reg = e->hot[i].reg;
            return true;
        }
    }
    return false;
}

void rl_emit_constant(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    if (dest.want == RL_WANT_NOTHING) return;
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    uint32_t reg;
    if (hot_register(e, id, &reg)) {
        rl_deliver(e, rep, type, reg, dest);
        return;
    }
    reg = rl_dest_reg(e, rep, dest);
    if (n.op == RL_IR_STRING || n.op == RL_IR_BYTES) {
        rl_emit_string(e, reg, n.a, n.op == RL_IR_BYTES);
    } else if (rep == RL_REP_F) {
        rl_word_t word = {.f = float_constant(e, id)};
        rl_emit_wide(e, RL_OP_LDK, reg, rl_table_constant(e, word));
    } else {
        rl_emit_load_i64(e, reg, (int64_t)((uint64_t)n.b << 32 | n.a));
    }
    rl_finish(e, rep, type, reg, dest);
}

/* --- variables ---------------------------------------------------------------------------------------------------- */
static void emit_local(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    if (dest.want == RL_WANT_NOTHING) return;
    rl_local_home_t home = e->locals[rl_node(e, id)->a];
    rl_rep_t rep = (rl_rep_t)home.rep;
    bool marks = dest.own && rl_is_updatable(e->compiler, home.type);
    if (home.home == RL_HOME_REGISTER) {
        if (marks && (home.borrowed || !rl_is_last_read(e, id))) rl_emit_abc(e, RL_OP_SHARE, home.reg, 0, 0);
        rl_deliver(e, rep, home.type, home.reg, dest);
        return;
    }
    if (home.home == RL_HOME_NONE) {
        rl_emit_bug(e, "a local has a value where it is read");
        return;
    }
    uint32_t reg = rl_dest_reg(e, rep, dest);
    bool in_object = home.home == RL_HOME_BOX || home.home == RL_HOME_FIELD;
    uint32_t object = in_object ? home.reg : 0, slot = home.home == RL_HOME_ENV     ? home.reg
                                                       : home.home == RL_HOME_FIELD ? home.slot
                                                                                    : 0;
    if (home.home == RL_HOME_ENV_BOX) {
        object = rep == RL_REP_R ? reg : rl_temp(e, RL_REP_R);
        rl_emit_abc(e, RL_OP_GETR, object, 0, home.reg);
    }
    rl_emit_load_word(e, rep, reg, object, slot, marks);
    rl_finish(e, rep, home.type, reg, dest);
}

static void emit_set_local(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_local_home_t home = e->locals[n.a];
    if (home.home == RL_HOME_REGISTER) {
        rl_emit(e, n.b, (rl_dest_t){RL_WANT_REGISTER, false, true, home.reg});
        return;
    }
    uint32_t value = rl_emit_any(e, n.b, true), box = home.reg;
    if (home.home == RL_HOME_ENV_BOX) {
        box = rl_temp(e, RL_REP_R);
        rl_emit_abc(e, RL_OP_GETR, box, 0, home.reg);
    } else if (home.home != RL_HOME_BOX) {
        rl_emit_bug(e, "names in IR mean something");
        return;
    }
    rl_emit_abc(e, home.rep == RL_REP_R ? RL_OP_SETR : RL_OP_SETS, box, 0, value);
}

static void emit_global(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = rl_emit_type(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    uint32_t reg = rl_dest_reg(e, rep, dest); /* also when dropped: it may panic */
    rl_emit_wide(e, rep == RL_REP_R ? RL_OP_GLOBALR : RL_OP_GLOBALS, reg, n.a);
    if (dest.own) rl_emit_share(e, type, reg);
    rl_finish(e, rep, type, reg, dest);
}

static void emit_set_global(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, rl_program_global(e->program, n.a)->type);
    rl_emit_wide(e, rep == RL_REP_R ? RL_OP_SETGLOBALR : RL_OP_SETGLOBALS, rl_emit_any(e, n.b, true), n.a);
}

/* --- conditions --------------------------------------------------------------------------------------------------- */
/* Operands of a chain of && (or ||) are pushed on the spine, the first on top; answers how many. */
static uint32_t flatten(rl_emitter_t* e, rl_ir_t id) {
    unsigned op = rl_node(e, id)->op;
    uint32_t count = 0;
    for (; rl_node(e, id)->op == op; count++) {
        if (!rl_vec_push(e->allocator, &e->spine, rl_node(e, id)->b)) e->failed = true;
        id = rl_node(e, id)->a;
    }
    if (!rl_vec_push(e->allocator, &e->spine, id)) e->failed = true;
    return count + 1;
}

static void emit_chain_condition(rl_emitter_t* e, rl_ir_t id, bool sense, rl_jumps_t* list) {
    bool is_and = rl_node(e, id)->op == RL_IR_AND;
    rl_jumps_t otherwise = 0;
    for (uint32_t left = flatten(e, id); left > 0 && !e->failed; left--) {
        rl_ir_t operand = rl_vec_pop(&e->spine);
        if (left == 1 || is_and != sense) rl_emit_condition(e, operand, sense, list);
        else rl_emit_condition(e, operand, !sense, &otherwise);
    }
    rl_jump_bind(e, otherwise);
}

void rl_emit_condition(rl_emitter_t* e, rl_ir_t id, bool sense, rl_jumps_t* list) {
    rl_mark_t mark = rl_mark(e);
    while (rl_node(e, id)->op == RL_IR_NOT) {
        sense = !sense;
        id = rl_node(e, id)->a;
    }
    unsigned op = rl_node(e, id)->op;
    int64_t constant;
    if (rl_const_int(e, id, &constant)) {
        if ((constant != 0) == sense) rl_jump_goto(e, list);
        return;
    }
    rl_at(e, rl_node(e, id)->start);
    if (op == RL_IR_AND || op == RL_IR_OR) {
        emit_chain_condition(e, id, sense, list);
    } else if (!(op >= RL_IR_EQ && op <= RL_IR_GE && rl_emit_compare_jump(e, id, sense, list))) {
        uint32_t reg = rl_emit_any(e, id, false);
        rl_jump_add(e, list, rl_emit_wide(e, sense ? RL_OP_JT : RL_OP_JF, reg, 0));
    }
    rl_release(e, mark);
}

/* a && b as a value: the register holds what has been decided so far. */
static void emit_logic(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    bool is_and = rl_node(e, id)->op == RL_IR_AND;
    if (dest.want == RL_WANT_NOTHING) {
        rl_jumps_t done = 0;
        rl_ir_node_t n = *rl_node(e, id);
        rl_emit_condition(e, n.a, !is_and, &done);
        rl_emit(e, n.b, RL_DROP);
        rl_jump_bind(e, done);
        return;
    }
    uint32_t reg = dest.want == RL_WANT_REGISTER && dest.scratch ? dest.reg : rl_temp(e, RL_REP_S);
    rl_jumps_t done = 0;
    for (uint32_t left = flatten(e, id); left > 0 && !e->failed; left--) {
        rl_emit_to(e, rl_vec_pop(&e->spine), reg, false);
        if (left > 1) rl_jump_add(e, &done, rl_emit_wide(e, is_and ? RL_OP_JF : RL_OP_JT, reg, 0));
    }
    rl_jump_bind(e, done);
    rl_deliver(e, RL_REP_S, RL_TYPE_BOOL, reg, dest);
}

/* --- control that only hands values on ---------------------------------------------------------------------------- */
/* `if c { break }`: the condition jumps out itself. */
static bool emit_leave_if(rl_emitter_t* e, const rl_ir_node_t* n) {
    rl_ir_t then = n->b;
    while (rl_node(e, then)->op == RL_IR_BLOCK && rl_node(e, then)->b == 1 &&
           !(rl_node(e, then)->flags & RL_IR_BLOCK_DEFERS)) {
        then = *rl_program_extra(e->program, rl_node(e, then)->a);
    }
    rl_ir_node_t leave = *rl_node(e, then);
    if ((leave.op != RL_IR_BREAK && leave.op != RL_IR_CONTINUE) || (leave.op == RL_IR_BREAK && leave.a) ||
        leave.b >= e->loops.count)
        return false;
    uint32_t index = e->loops.count - 1 - leave.b;
    if (e->loops.data[index].defers != e->defers) return false;
    rl_jumps_t out = 0;
    rl_emit_condition(e, n->a, true, &out);
    rl_loop_t* loop = &e->loops.data[index];
    rl_jump_join(e, leave.op == RL_IR_BREAK ? &loop->breaks : &loop->continues, out);
    return true;
}

/* Chains of else-if are walked here, not by recursion. */
static void emit_if(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_jumps_t done = 0;
    for (;;) {
        rl_ir_node_t n = *rl_node(e, id);
        rl_jumps_t otherwise = 0;
        rl_mark_t mark = rl_mark(e);
        rl_at(e, n.start);
        if (n.c == 0 && emit_leave_if(e, &n)) {
            rl_jump_bind(e, done);
            rl_emit_unit(e, dest);
            return;
        }
        rl_emit_condition(e, n.a, false, &otherwise);
        rl_emit(e, n.b, n.c ? dest : RL_DROP);
        rl_release(e, mark);
        if (n.c == 0) {
            rl_jump_bind(e, otherwise);
            rl_jump_bind(e, done);
            rl_emit_unit(e, dest);
            return;
        }
        rl_jump_goto(e, &done);
        rl_jump_bind(e, otherwise);
        id = n.c;
        if (rl_node(e, id)->op != RL_IR_IF) break;
    }
    rl_emit(e, id, dest);
    rl_jump_bind(e, done);
}

static void emit_raise(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    uint32_t message = rl_emit_any(e, n.a, false);
    rl_at(e, n.start);
    rl_emit_wide(e, RL_OP_RAISE, message, n.b);
    e->dead = true;
}

static void emit_to_any(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_t inner = rl_node(e, id)->a;
    rl_type_t type = rl_emit_type(e, inner);
    if (type == RL_TYPE_ANY || rl_is_open(e->compiler, type) || dest.want == RL_WANT_NOTHING) {
        rl_emit(e, inner, dest);
        return;
    }
    uint32_t from = rl_emit_any(e, inner, true), reg = rl_dest_reg(e, RL_REP_R, dest);
    rl_emit_to_any(e, rl_rep_of(e->compiler, type), type, reg, from);
    rl_finish(e, RL_REP_R, RL_TYPE_ANY, reg, dest);
}

static void emit_convert(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_t inner = rl_node(e, id)->a;
    rl_type_t types[2] = {rl_emit_type(e, inner), rl_emit_type(e, id)};
    if (dest.want == RL_WANT_NOTHING || rl_same_objects(e->compiler, types[0], types[1])) {
        rl_emit(e, inner, dest);
        return;
    }
    rl_rep_t rep = rl_rep_of(e->compiler, types[1]);
    uint32_t from = rl_emit_any(e, inner, true), reg = rl_dest_reg(e, rep, dest);
    rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_CONVERT), reg, types[1], &from, types, 1, types, 2);
    rl_finish(e, rep, types[1], reg, dest);
}

void rl_emit_statement(rl_emitter_t* e, rl_ir_t id) {
    rl_mark_t mark = rl_mark(e);
    unsigned op = rl_node(e, id)->op;
    if (op == RL_IR_SEQUENCE) {
        rl_emit_statement(e, rl_node(e, id)->a);
        rl_emit_statement(e, rl_node(e, id)->b);
        return;
    }
    rl_emit(e, id, RL_DROP);
    if (op != RL_IR_BIND && op != RL_IR_LET && op != RL_IR_CLOSURE_GROUP) rl_release(e, mark);
}

/* --- the switch over all nodes ------------------------------------------------------------------------------------ */
static void dispatch(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    switch ((rl_ir_op_t)n.op) {
    case RL_IR_NONE:
    case RL_IR_OP_COUNT:
    case RL_IR_UNIT: rl_emit_unit(e, dest); break;
    case RL_IR_INT:
    case RL_IR_FLOAT:
    case RL_IR_STRING:
    case RL_IR_BYTES: rl_emit_constant(e, id, dest); break;
    case RL_IR_LOCAL: emit_local(e, id, dest); break;
    case RL_IR_SET_LOCAL:
        emit_set_local(e, id);
        rl_emit_unit(e, dest);
        break;
    case RL_IR_GLOBAL: emit_global(e, id, dest); break;
    case RL_IR_SET_GLOBAL:
        emit_set_global(e, id);
        rl_emit_unit(e, dest);
        break;
    case RL_IR_BIND:
        rl_emit_bind(e, id);
        rl_emit_unit(e, dest);
        break;
    case RL_IR_LET:
        rl_emit_let(e, id);
        rl_emit_unit(e, dest);
        break;
    case RL_IR_CALL:
    case RL_IR_CALL_VALUE: rl_emit_call(e, id, dest); break;
    case RL_IR_CLOSURE: rl_emit_closure(e, id, dest); break;
    case RL_IR_CLOSURE_GROUP:
        rl_emit_closure_group(e, id);
        rl_emit_unit(e, dest);
        break;
    case RL_IR_TUPLE:
    case RL_IR_RECORD:
    case RL_IR_VARIANT: rl_emit_object(e, id, dest); break;
    case RL_IR_LIST:
    case RL_IR_MAP:
    case RL_IR_RANGE: rl_emit_collection(e, id, dest); break;
    case RL_IR_FIELD:
    case RL_IR_TUPLE_GET:
    case RL_IR_PAYLOAD:
    case RL_IR_INDEX: rl_emit_access(e, id, dest); break;
    case RL_IR_UPDATE:
    case RL_IR_SET_FIELD:
    case RL_IR_SET_INDEX:
    case RL_IR_WITH_INDEX: rl_emit_update(e, id, dest); break;
    case RL_IR_ADD:
    case RL_IR_SUB:
    case RL_IR_MUL:
    case RL_IR_DIV:
    case RL_IR_REM:
    case RL_IR_POW:
    case RL_IR_CONCAT: rl_emit_binary(e, id, dest); break;
    case RL_IR_NEG:
    case RL_IR_NOT: rl_emit_unary(e, id, dest); break;
    case RL_IR_EQ:
    case RL_IR_NE:
    case RL_IR_LT:
    case RL_IR_LE:
    case RL_IR_GT:
    case RL_IR_GE: rl_emit_compare(e, id, dest); break;
    case RL_IR_AND:
    case RL_IR_OR: emit_logic(e, id, dest); break;
    case RL_IR_CAST: rl_emit_cast(e, id, dest); break;
    case RL_IR_TO_ANY: emit_to_any(e, id, dest); break;
    case RL_IR_CONVERT: emit_convert(e, id, dest); break;
    case RL_IR_TO_STRING:
    case RL_IR_FORMAT: rl_emit_format(e, id, dest); break;
    case RL_IR_BLOCK: rl_emit_block(e, id, dest); break;
    case RL_IR_IF: emit_if(e, id, dest); break;
    case RL_IR_MATCH: rl_emit_match(e, id, dest); break;
    case RL_IR_WHILE:
        rl_emit_while(e, id);
        rl_emit_unit(e, dest);
        break;
    case RL_IR_LOOP: rl_emit_loop(e, id, dest); break;
    case RL_IR_FOR:
        rl_emit_for(e, id);
        rl_emit_unit(e, dest);
        break;
    case RL_IR_BREAK:
    case RL_IR_CONTINUE:
    case RL_IR_RETURN: rl_emit_leave(e, id); break;
    case RL_IR_DEFER:
        rl_emit_abc(e, RL_OP_DEFER, rl_emit_any(e, n.a, true), 0, 0);
        e->defers++;
        rl_emit_unit(e, dest);
        break;
    case RL_IR_HANDLE: rl_emit_handle(e, id, dest); break;
    case RL_IR_CATCH: rl_emit_catch(e, id, dest); break;
    case RL_IR_ESCAPE: rl_emit_escape(e, id); break;
    case RL_IR_PANIC: emit_raise(e, id); break;
    case RL_IR_SEQUENCE:
        rl_emit_statement(e, n.a);
        rl_emit(e, n.b, dest);
        break;
    case RL_IR_UNSAFE:
        rl_emit_abc(e, RL_OP_UNSAFE, 0, 0, 0);
        rl_emit(e, n.a, dest);
        break;
    case RL_IR_AWAIT: rl_emit_await(e, id, dest); break;
    }
}

void rl_emit(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    if (e->failed || e->dead || e->allocator->failed) return;
    rl_mark_t mark = rl_mark(e);
    unsigned op = rl_node(e, id)->op;
    uint32_t start = e->start;
    rl_at(e, rl_node(e, id)->start);
    dispatch(e, id, dest);
    e->start = start;
    if (op != RL_IR_BIND && op != RL_IR_LET && op != RL_IR_CLOSURE_GROUP) rl_release(e, mark);
}

uint32_t rl_emit_any(rl_emitter_t* e, rl_ir_t id, bool own) {
    id = transparent(e, id);
    rl_local_home_t* home;
    uint32_t reg;
    if (rl_plain_local(e, id, &home)) {
        bool marks = own && (home->borrowed || !rl_is_last_read(e, id));
        if (marks) rl_emit_share(e, home->type, home->reg);
        return home->reg;
    }
    if (hot_register(e, id, &reg)) return reg;
    reg = rl_temp(e, rl_emit_rep(e, id));
    rl_emit_to(e, id, reg, own);
    return reg;
}

uint32_t rl_emit_operand(rl_emitter_t* e, rl_ir_t id, bool own, const rl_ir_t* later, uint32_t later_count) {
    uint32_t reg = rl_emit_any(e, id, own);
    rl_ir_t inner = transparent(e, id);
    rl_local_home_t* home;
    if (!rl_plain_local(e, inner, &home)) return reg;
    rl_local_id_t local = rl_node(e, inner)->a;
    if (!rl_is_assigned(e, local)) return reg;
    bool stays = later_count <= 8;
    for (uint32_t i = 0; stays && i < later_count; i++) {
        stays = !later[i] || !rl_ir_may_assign(e->program, e->allocator, later[i], local);
    }
    if (stays) return reg;
    uint32_t copy = rl_temp(e, (rl_rep_t)home->rep);
    rl_emit_move(e, (rl_rep_t)home->rep, copy, reg);
    return copy;
}
