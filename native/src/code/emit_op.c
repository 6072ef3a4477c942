#include "code/emit_internal.h"

/* Operators: arithmetic, comparison, casts, text. */

bool rl_is_arithmetic(unsigned op) { return op >= RL_IR_ADD && op <= RL_IR_CONCAT; }

/* Type whose instructions a value uses: newtypes are what they wrap. */
static rl_type_t operand_type(rl_emitter_t* e, rl_ir_t id) {
    return rl_unwrap_newtype(e->compiler, rl_emit_type(e, id));
}

/* --- arithmetic --------------------------------------------------------------------------------------------------- */
typedef struct op_row {
    uint16_t i, u, f, k;
} op_row_t; /* signed, u64, float, with immediate; 0: none */
static const op_row_t op_rows[] = {
    [RL_IR_ADD - RL_IR_ADD] = {RL_OP_ADD_I, RL_OP_ADD_U, RL_OP_ADD_F, RL_OP_ADDK_I},
    [RL_IR_SUB - RL_IR_ADD] = {RL_OP_SUB_I, RL_OP_SUB_U, RL_OP_SUB_F, RL_OP_ADDK_I},
    [RL_IR_MUL - RL_IR_ADD] = {RL_OP_MUL_I, RL_OP_MUL_U, RL_OP_MUL_F, RL_OP_MULK_I},
    [RL_IR_DIV - RL_IR_ADD] = {RL_OP_DIV_I, RL_OP_DIV_U, RL_OP_DIV_F, RL_OP_DIVK_I},
    [RL_IR_REM - RL_IR_ADD] = {RL_OP_REM_I, RL_OP_REM_U, RL_OP_REM_F, RL_OP_REMK_I},
    [RL_IR_POW - RL_IR_ADD] = {RL_OP_POW_I, RL_OP_POW_U, RL_OP_POW_F, 0},
};

static bool is_narrow(rl_type_t t) { return rl_type_is_integer(t) && t != RL_TYPE_I64 && t != RL_TYPE_U64; }

/* Immediate for op with constant right operand; false: use a register. */
static bool immediate_of(unsigned op, rl_type_t type, int64_t constant, int64_t* out) {
    if (type == RL_TYPE_U64) return false;
    *out = op == RL_IR_SUB ? -constant : constant;
    if (*out < INT16_MIN || *out > INT16_MAX) return false;
    if (op == RL_IR_DIV || op == RL_IR_REM) return constant != 0 && constant != -1;
    return op != RL_IR_POW;
}

static void emit_numeric(rl_emitter_t* e, unsigned op, rl_type_t type, uint32_t to, uint32_t left, rl_ir_t right) {
    op_row_t row = op_rows[op - RL_IR_ADD];
    int64_t constant, imm;
    if (rl_type_is_float(type)) {
        rl_emit_abc(e, (rl_op_t)row.f, to, left, rl_emit_any(e, right, false));
        if (type == RL_TYPE_F32) rl_emit_abc(e, RL_OP_ROUND_F32, to, to, 0);
        return;
    }
    if ((op == RL_IR_DIV || op == RL_IR_REM) && type != RL_TYPE_U64 && rl_const_int(e, right, &constant) &&
        constant > 1 && (constant & (constant - 1)) == 0) {
        rl_emit_abc(
            e, op == RL_IR_DIV ? RL_OP_DIVP_I : RL_OP_REMP_I, to, left, (uint32_t)__builtin_ctzll((uint64_t)constant));
    } else if (rl_const_i16(e, right, &constant) && immediate_of(op, type, constant, &imm)) {
        rl_emit_abc(e, (rl_op_t)row.k, to, left, (uint16_t)(int16_t)imm);
    } else {
        rl_emit_abc(e, (rl_op_t)(type == RL_TYPE_U64 ? row.u : row.i), to, left, rl_emit_any(e, right, false));
    }
    if (is_narrow(type)) rl_emit_abc(e, RL_OP_NARROW, to, type, 0);
}

/* The operand's type is that of a type parameter and stands for a composed one: it may have the operator by an impl. */
static bool in_generic_code(rl_emitter_t* e, rl_ir_t id) {
    const rl_type_node_t* type = rl_type_node(&e->program->types, rl_node(e, rl_node(e, id)->a)->type);
    return (type->flags & RL_TYPE_HAS_PARAM) && rl_emit_type(e, rl_node(e, id)->a) >= RL_TYPE_SIMPLE_COUNT;
}

/* --- a product and a sum in one instruction ------------------------------------------------------------------------ */
static bool is_f64(rl_emitter_t* e, rl_ir_t id) {
    return operand_type(e, id) == RL_TYPE_F64 && !in_generic_code(e, id);
}
static bool is_sum(rl_emitter_t* e, rl_ir_t id) {
    unsigned op = rl_node(e, id)->op;
    return (op == RL_IR_ADD || op == RL_IR_SUB) && is_f64(e, id);
}

/* left + y * z or left - y * z, left in a register. False: another way is needed. */
static bool emit_sum_of_product(rl_emitter_t* e, rl_ir_t id, uint32_t to, uint32_t left) {
    rl_ir_node_t sum = *rl_node(e, id), product = *rl_node(e, sum.b);
    if (!is_sum(e, id) || product.op != RL_IR_MUL || !is_f64(e, sum.b) || left > UINT8_MAX) return false;
    uint32_t y = rl_emit_operand(e, product.a, false, &product.b, 1), z = rl_emit_any(e, product.b, false);
    return rl_emit_abcd(e, sum.op == RL_IR_ADD ? RL_OP_MULADD_F : RL_OP_SUBMUL_F, to, y, z, left);
}

/* Is `sum` left * z + y or left * z - y, `product` its left operand? Only when y is a name or a constant, so that nothing happens between
   the two. */
static bool can_fuse(rl_emitter_t* e, rl_ir_t product, rl_ir_t sum) {
    rl_local_home_t* home;
    rl_ir_t y = rl_node(e, sum)->b;
    if (rl_node(e, product)->op != RL_IR_MUL || !is_f64(e, product) || !is_sum(e, sum)) return false;
    return rl_plain_local(e, y, &home) || rl_node(e, y)->op == RL_IR_FLOAT;
}

static void emit_product_in_sum(rl_emitter_t* e, rl_ir_t product, rl_ir_t sum, uint32_t to, uint32_t left) {
    rl_mark_t mark = rl_mark(e);
    bool adds = rl_node(e, sum)->op == RL_IR_ADD;
    uint32_t start = e->start, z = rl_emit_any(e, rl_node(e, product)->b, false);
    uint32_t y = rl_emit_any(e, rl_node(e, sum)->b, false);
    rl_at(e, rl_node(e, sum)->start);
    if (!rl_emit_abcd(e, adds ? RL_OP_MULADD_F : RL_OP_MULSUB_F, to, left, z, y)) {
        uint32_t both = rl_temp(e, RL_REP_F);
        rl_emit_abc(e, RL_OP_MUL_F, both, left, z);
        rl_emit_abc(e, adds ? RL_OP_ADD_F : RL_OP_SUB_F, to, both, y);
    }
    e->start = start;
    rl_release(e, mark);
}

/* One operator whose left operand lies in a register. */
static void emit_operator(rl_emitter_t* e, rl_ir_t id, uint32_t to, uint32_t left) {
    rl_mark_t mark = rl_mark(e);
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = operand_type(e, n.a), full = rl_emit_type(e, n.a);
    uint32_t start = e->start;
    rl_at(e, n.start);
    if (rl_builtin_of(e->compiler, type) == RL_BUILTIN_LIST) {
        uint32_t regs[2] = {left, rl_emit_any(e, n.b, false)};
        rl_type_t types[2] = {full, rl_emit_type(e, n.b)}, element = rl_type_arg(e->compiler, type, 0);
        uint32_t builtin = rl_emit_builtin_id(e, RL_EB_LIST_CONCAT);
        rl_emit_builtin(e, builtin, to, rl_emit_type(e, id), regs, types, 2, &element, 1);
    } else if (rl_rep_of(e->compiler, type) != RL_REP_R && n.op != RL_IR_CONCAT) {
        if (!emit_sum_of_product(e, id, to, left)) emit_numeric(e, n.op, type, to, left, n.b);
    } else {
        rl_emit_bug(e, "the operator is built in");
    }
    e->start = start;
    rl_release(e, mark);
}

/* Whatever evaluating it does, no local is assigned and no text changed in place: texts read before it stay as they were. */
static bool is_quiet(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_list_t stack = {0};
    bool quiet = rl_vec_push(e->allocator, &stack, id);
    for (unsigned budget = 16; quiet && stack.count;) {
        rl_ir_t at = rl_vec_pop(&stack);
        const rl_ir_node_t* n = rl_node(e, at);
        switch (n->op) {
        case RL_IR_INT:
        case RL_IR_FLOAT:
        case RL_IR_STRING:
        case RL_IR_LOCAL:
        case RL_IR_FIELD:
        case RL_IR_TUPLE_GET:
        case RL_IR_INDEX: break;
        case RL_IR_ADD:
        case RL_IR_SUB:
        case RL_IR_MUL:
        case RL_IR_DIV:
        case RL_IR_REM: quiet = rl_emit_rep(e, at) != RL_REP_R && !in_generic_code(e, at); break;
        case RL_IR_TO_STRING: quiet = rl_emit_type(e, n->a) < RL_TYPE_SIMPLE_COUNT; break;
        default: quiet = false; break;
        }
        quiet = quiet && budget-- > 0 && rl_ir_children(e->program, e->allocator, at, &stack);
    }
    rl_vec_deinit(e->allocator, &stack);
    return quiet;
}

/* Texts that are to be joined in one go. */
typedef struct texts {
    uint32_t regs[RL_BUILTIN_ARGS_MAX], count;
} texts_t;

static void join_texts(rl_emitter_t* e, texts_t* texts, uint32_t to) {
    rl_type_t types[RL_BUILTIN_ARGS_MAX];
    for (uint32_t i = 0; i < texts->count; i++) types[i] = RL_TYPE_STR;
    if (texts->count > 1)
        rl_emit_builtin(
            e, rl_emit_builtin_id(e, RL_EB_STR_CONCAT), to, RL_TYPE_STR, texts->regs, types, texts->count, NULL, 0);
    *texts = (texts_t){{to}, 1};
}

/* How many operators of the spine above `base` join further texts in the same instruction. */
static uint32_t joined_with(rl_emitter_t* e, uint32_t base) {
    uint32_t count = 0;
    while (e->spine.count - count > base && count < RL_BUILTIN_ARGS_MAX - 2 &&
           is_quiet(e, rl_node(e, e->spine.data[e->spine.count - 1 - count])->b))
        count++;
    return count;
}

/* left + b + c …, left in a register: `node` and the `more` last ones of the spine, which are taken off. */
static void emit_texts(rl_emitter_t* e, rl_ir_t node, uint32_t more, uint32_t to, uint32_t left) {
    rl_mark_t mark = rl_mark(e);
    uint32_t start = e->start;
    rl_ir_t rights[RL_BUILTIN_ARGS_MAX] = {rl_node(e, node)->b};
    for (uint32_t i = 1; i <= more; i++) rights[i] = rl_node(e, rl_vec_pop(&e->spine))->b;
    texts_t texts = {{left}, 1};
    for (uint32_t i = 0; i <= more; i++) texts.regs[texts.count++] = rl_emit_any(e, rights[i], false);
    rl_at(e, rl_node(e, node)->start);
    join_texts(e, &texts, to);
    e->start = start;
    rl_release(e, mark);
}

/* Left-nested chains (a + b + c …) may be as long as the source: the spine is walked down, then up. */
void rl_emit_binary(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    uint32_t base = e->spine.count;
    rl_rep_t rep = rl_emit_rep(e, id);
    rl_ir_t at = id;
    if (in_generic_code(e, id) && rl_emit_impl_operator(e, id, dest)) return;
    for (;;) {
        if (!rl_vec_push(e->allocator, &e->spine, at)) {
            e->failed = true;
            return;
        }
        rl_ir_t next = rl_node(e, at)->a;
        if (!rl_is_arithmetic(rl_node(e, next)->op) || in_generic_code(e, next) ||
            (rl_emit_rep(e, next) == RL_REP_R) != (rep == RL_REP_R))
            break;
        at = next;
    }
    rl_ir_node_t inner = *rl_node(e, at);
    rl_ir_t first = inner.a, second = inner.b;
    int64_t constant;
    /* 1 + x is x + 1: a constant needs no register. */
    if ((inner.op == RL_IR_ADD || inner.op == RL_IR_MUL) && rep == RL_REP_S && rl_const_i16(e, first, &constant) &&
        !rl_const_int(e, second, &constant)) {
        (void)rl_const_i16(e, first, &constant);
        rl_type_t type = operand_type(e, first);
        if (type != RL_TYPE_U64) {
            uint32_t left = rl_emit_any(e, second, false);
            uint32_t to = e->spine.count - 1 == base                      ? rl_dest_reg(e, rep, dest)
                          : dest.want == RL_WANT_REGISTER && dest.scratch ? dest.reg
                                                                          : rl_temp(e, rep);
            rl_emit_abc(e, inner.op == RL_IR_ADD ? RL_OP_ADDK_I : RL_OP_MULK_I, to, left, (uint16_t)(int16_t)constant);
            if (is_narrow(type)) rl_emit_abc(e, RL_OP_NARROW, to, type, 0);
            e->spine.count--;
            while (e->spine.count > base && !e->failed) {
                rl_ir_t node = rl_vec_pop(&e->spine);
                uint32_t next = e->spine.count == base && dest.want == RL_WANT_REGISTER ? dest.reg : to;
                emit_operator(e, node, next, to);
                to = next;
            }
            rl_finish(e, rep, rl_emit_type(e, id), to, dest);
            return;
        }
    }
    bool scratch = dest.want == RL_WANT_REGISTER && dest.scratch;
    rl_local_home_t* home;
    uint32_t accumulator = RL_NONE, left;
    if (rl_plain_local(e, first, &home)) {
        left = rl_emit_operand(e, first, rep == RL_REP_R, &second, 1);
    } else if (rep == RL_REP_F && rl_node(e, first)->op == RL_IR_FLOAT) {
        left = rl_emit_any(e, first, false);
    } else {
        left = accumulator = scratch ? dest.reg : rl_temp(e, rep);
        rl_emit_to(e, first, left, rep == RL_REP_R);
    }
    while (e->spine.count > base && !e->failed) {
        rl_ir_t node = rl_vec_pop(&e->spine);
        rl_ir_t sum = e->spine.count > base ? rl_vec_last(&e->spine) : 0;
        bool fused = sum && rep == RL_REP_F && can_fuse(e, node, sum),
             is_text = operand_type(e, rl_node(e, node)->a) == RL_TYPE_STR;
        uint32_t more = is_text ? joined_with(e, base) : 0;
        if (fused) e->spine.count--;
        bool is_last = e->spine.count - more == base;
        if (!is_last && accumulator == RL_NONE) accumulator = scratch ? dest.reg : rl_temp(e, rep);
        uint32_t to = !is_last                        ? accumulator
                      : dest.want == RL_WANT_REGISTER ? dest.reg
                      : accumulator != RL_NONE        ? accumulator
                                                      : rl_temp(e, rep);
        if (fused) emit_product_in_sum(e, node, sum, to, left);
        else if (is_text) emit_texts(e, node, more, to, left);
        else emit_operator(e, node, to, left);
        left = to;
    }
    e->spine.count = base;
    rl_finish(e, rep, rl_emit_type(e, id), left, dest);
}

void rl_emit_unary(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    if (n.op == RL_IR_NEG && in_generic_code(e, id) && rl_emit_impl_operator(e, id, dest)) return;
    rl_type_t type = operand_type(e, n.a), full = rl_emit_type(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, full);
    uint32_t from = rl_emit_any(e, n.a, false);
    uint32_t to = rl_dest_reg(e, rep, dest);
    if (n.op == RL_IR_NOT) {
        rl_emit_abc(e, RL_OP_NOT, to, from, 0);
    } else if (rep == RL_REP_F) {
        rl_emit_abc(e, RL_OP_NEG_F, to, from, 0);
    } else if (rep == RL_REP_R) {
        rl_emit_bug(e, "the operator is built in");
    } else if (type == RL_TYPE_U64) {
        uint32_t zero = rl_temp(e, RL_REP_S);
        rl_emit_wide(e, RL_OP_LDI, zero, 0);
        rl_emit_abc(e, RL_OP_SUB_U, to, zero, from);
    } else {
        rl_emit_abc(e, RL_OP_NEG_I, to, from, 0);
        if (is_narrow(type)) rl_emit_abc(e, RL_OP_NARROW, to, type, 0);
    }
    rl_finish(e, rep, full, to, dest);
}

/* --- comparison --------------------------------------------------------------------------------------------------- */
static unsigned mirrored(unsigned op) { /* a op b is b mirrored(op) a */
    switch (op) {
    case RL_IR_LT: return RL_IR_GT;
    case RL_IR_LE: return RL_IR_GE;
    case RL_IR_GT: return RL_IR_LT;
    case RL_IR_GE: return RL_IR_LE;
    default: return op;
    }
}

static unsigned negated(unsigned op) { /* not of floats */
    switch (op) {
    case RL_IR_EQ: return RL_IR_NE;
    case RL_IR_NE: return RL_IR_EQ;
    case RL_IR_LT: return RL_IR_GE;
    case RL_IR_LE: return RL_IR_GT;
    case RL_IR_GT: return RL_IR_LE;
    default: return RL_IR_LT;
    }
}

/* A comparison of scalars, operands evaluated. */
typedef struct comparison {
    unsigned op;
    rl_type_t type;
    bool is_float, is_u64;
    bool has_constant; /* right operand is `constant` (i16), else register `right` */
    int64_t constant;
    uint32_t left, right;
} comparison_t;

static bool scalar_operands(rl_emitter_t* e, rl_ir_t id, comparison_t* out) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = operand_type(e, n.a);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    if (rep == RL_REP_R || type == RL_TYPE_UNIT) return false;
    *out = (comparison_t){.op = n.op, .type = type, .is_float = rep == RL_REP_F, .is_u64 = type == RL_TYPE_U64};
    bool ordered = n.op != RL_IR_EQ && n.op != RL_IR_NE;
    rl_ir_t left = n.a, right = n.b;
    int64_t constant;
    if (!rl_const_i16(e, right, &constant) && rl_const_i16(e, left, &constant)) {
        left = n.b;
        right = n.a;
        out->op = mirrored(n.op);
    }
    out->has_constant = rl_const_i16(e, right, &out->constant) && !(out->is_u64 && ordered);
    if (out->has_constant) {
        out->left = rl_emit_any(e, left, false);
    } else if (left == n.a) {
        out->left = rl_emit_operand(e, left, false, &right, 1);
        out->right = rl_emit_any(e, right, false);
    } else {
        out->right = rl_emit_operand(e, right, false, &left, 1);
        out->left = rl_emit_any(e, left, false);
    }
    return true;
}

static uint32_t emit_scalar_jump(rl_emitter_t* e, comparison_t c, bool sense) {
    if (c.is_float) {
        static const uint16_t ops[2][6] = {
            {RL_OP_JNE_F, RL_OP_JEQ_F, RL_OP_JNLT_F, RL_OP_JNLE_F, RL_OP_JNLT_F, RL_OP_JNLE_F},
            {RL_OP_JEQ_F, RL_OP_JNE_F, RL_OP_JLT_F, RL_OP_JLE_F, RL_OP_JLT_F, RL_OP_JLE_F}};
        bool swap = c.op == RL_IR_GT || c.op == RL_IR_GE;
        return rl_emit_abc(
            e, (rl_op_t)ops[sense][c.op - RL_IR_EQ], swap ? c.right : c.left, swap ? c.left : c.right, 0);
    }
    unsigned op = sense ? c.op : negated(c.op);
    if (c.has_constant) {
        static const uint16_t ops[] = {
            RL_OP_JEQK_I, RL_OP_JNEK_I, RL_OP_JLTK_I, RL_OP_JLEK_I, RL_OP_JGTK_I, RL_OP_JGEK_I};
        return rl_emit_abc(e, (rl_op_t)ops[op - RL_IR_EQ], c.left, (uint16_t)(int16_t)c.constant, 0);
    }
    static const uint16_t ops[2][6] = {{RL_OP_JEQ_I, RL_OP_JNE_I, RL_OP_JLT_I, RL_OP_JLE_I, RL_OP_JLT_I, RL_OP_JLE_I},
        {RL_OP_JEQ_I, RL_OP_JNE_I, RL_OP_JLT_U, RL_OP_JLE_U, RL_OP_JLT_U, RL_OP_JLE_U}};
    bool swap = op == RL_IR_GT || op == RL_IR_GE;
    return rl_emit_abc(e, (rl_op_t)ops[c.is_u64][op - RL_IR_EQ], swap ? c.right : c.left, swap ? c.left : c.right, 0);
}

/* Is `b` a variant without payload of a sum with payloads? Then == is a look at the tag. */
static bool nullary_operand(rl_emitter_t* e, rl_ir_t id, uint32_t* out_tag) {
    const rl_ir_node_t* n = rl_node(e, id);
    if (n->op != RL_IR_VARIANT || n->b != 0) return false;
    *out_tag = n->c;
    return true;
}

bool rl_emit_compare_jump(rl_emitter_t* e, rl_ir_t id, bool sense, rl_jumps_t* list) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = operand_type(e, n.a);
    comparison_t c;
    uint32_t tag;
    if (scalar_operands(e, id, &c)) {
        rl_at(e, n.start);
        rl_jump_add(e, list, emit_scalar_jump(e, c, sense));
        return true;
    }
    if (rl_rep_of(e->compiler, type) != RL_REP_R) return false;
    if (n.op == RL_IR_EQ || n.op == RL_IR_NE) {
        if (!nullary_operand(e, n.b, &tag)) return false;
        uint32_t reg = rl_emit_any(e, n.a, false);
        rl_jump_add(e, list, rl_emit_abc(e, (n.op == RL_IR_EQ) == sense ? RL_OP_JTAG : RL_OP_JNTAG, reg, tag, 0));
        return true;
    }
    uint32_t regs[2], order = rl_temp(e, RL_REP_S);
    rl_type_t full = rl_emit_type(e, n.a), types[2] = {full, full};
    regs[0] = rl_emit_operand(e, n.a, false, &n.b, 1);
    regs[1] = rl_emit_any(e, n.b, false);
    rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_COMPARE), order, RL_TYPE_I64, regs, types, 2, types, 1);
    c = (comparison_t){.op = n.op, .type = RL_TYPE_I64, .has_constant = true, .left = order};
    rl_jump_add(e, list, emit_scalar_jump(e, c, sense));
    return true;
}

bool rl_emit_compare_loop(rl_emitter_t* e, rl_ir_t id, uint32_t target) {
    unsigned op = rl_node(e, id)->op;
    rl_local_home_t* home;
    if (rl_plain_local(e, id, &home)) {
        rl_jump_to(e, rl_emit_abc(e, RL_OP_WHILE_T, home->reg, 0, 0), target);
        return true;
    }
    if (op < RL_IR_EQ || op > RL_IR_GE) return false;
    rl_type_t type = operand_type(e, rl_node(e, id)->a);
    rl_rep_t rep = rl_rep_of(e->compiler, type);
    if (rep == RL_REP_R || type == RL_TYPE_UNIT || op == RL_IR_EQ) return false;
    if (rep == RL_REP_F && op == RL_IR_NE) return false;
    if (type == RL_TYPE_U64 && op != RL_IR_NE) return false;
    comparison_t c;
    if (!scalar_operands(e, id, &c)) return false;
    rl_op_t fused;
    uint32_t a = c.left, b = c.right;
    if (c.has_constant) {
        int64_t k = c.constant + (c.op == RL_IR_LE) - (c.op == RL_IR_GE);
        if (k < INT16_MIN || k > INT16_MAX) {
            /* x <= 32767: test forward, loop unconditionally */
            rl_jumps_t out = 0;
            rl_jump_add(e, &out, emit_scalar_jump(e, c, false));
            rl_jump_to(e, rl_emit_wide(e, RL_OP_LOOP, 0, 0), target);
            rl_jump_bind(e, out);
            return true;
        }
        fused = c.op == RL_IR_NE                       ? RL_OP_WHILE_NEK_I
                : c.op == RL_IR_LT || c.op == RL_IR_LE ? RL_OP_WHILE_LTK_I
                                                       : RL_OP_WHILE_GTK_I;
        b = (uint16_t)(int16_t)k;
    } else {
        if (c.op == RL_IR_GT || c.op == RL_IR_GE) {
            a = c.right;
            b = c.left;
        }
        bool less = c.op == RL_IR_LT || c.op == RL_IR_GT;
        if (c.op == RL_IR_NE) fused = RL_OP_WHILE_NE_I;
        else if (c.is_float) fused = less ? RL_OP_WHILE_LT_F : RL_OP_WHILE_LE_F;
        else fused = less ? RL_OP_WHILE_LT_I : RL_OP_WHILE_LE_I;
    }
    rl_jump_to(e, rl_emit_abc(e, fused, a, b, 0), target);
    return true;
}

static void emit_scalar_compare(rl_emitter_t* e, rl_ir_t id, uint32_t to) {
    rl_ir_node_t n = *rl_node(e, id);
    uint32_t left = rl_emit_operand(e, n.a, false, &n.b, 1), right = rl_emit_any(e, n.b, false);
    rl_type_t type = operand_type(e, n.a);
    unsigned kind = rl_rep_of(e->compiler, type) == RL_REP_F ? 2u : type == RL_TYPE_U64 ? 1u : 0u;
    static const uint16_t ops[3][4] = {{RL_OP_EQ_I, RL_OP_NE_I, RL_OP_LT_I, RL_OP_LE_I},
        {RL_OP_EQ_I, RL_OP_NE_I, RL_OP_LT_U, RL_OP_LE_U}, {RL_OP_EQ_F, RL_OP_NE_F, RL_OP_LT_F, RL_OP_LE_F}};
    bool swap = n.op == RL_IR_GT || n.op == RL_IR_GE;
    unsigned column = (swap ? mirrored(n.op) : n.op) - RL_IR_EQ;
    rl_emit_abc(e, (rl_op_t)ops[kind][column], to, swap ? right : left, swap ? left : right);
}

void rl_emit_compare(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t type = operand_type(e, n.a), full = rl_emit_type(e, n.a);
    if (rl_rep_of(e->compiler, type) != RL_REP_R && type != RL_TYPE_UNIT) {
        uint32_t scalar = rl_dest_reg(e, RL_REP_S, dest);
        emit_scalar_compare(e, id, scalar);
        rl_finish(e, RL_REP_S, RL_TYPE_BOOL, scalar, dest);
        return;
    }
    uint32_t regs[2] = {rl_emit_operand(e, n.a, false, &n.b, 1), 0};
    uint32_t to = rl_dest_reg(e, RL_REP_S, dest), tag;
    rl_type_t types[2] = {full, full};
    bool negate = n.op == RL_IR_NE;
    if (n.op != RL_IR_EQ && n.op != RL_IR_NE && type != RL_TYPE_UNIT) {
        regs[1] = rl_emit_any(e, n.b, false);
        uint32_t order = rl_temp(e, RL_REP_S), zero = rl_temp(e, RL_REP_S);
        rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_COMPARE), order, RL_TYPE_I64, regs, types, 2, types, 1);
        rl_emit_wide(e, RL_OP_LDI, zero, 0);
        bool swap = n.op == RL_IR_GT || n.op == RL_IR_GE, strict = n.op == RL_IR_LT || n.op == RL_IR_GT;
        rl_emit_abc(e, strict ? RL_OP_LT_I : RL_OP_LE_I, to, swap ? zero : order, swap ? order : zero);
        negate = false;
    } else if (type == RL_TYPE_UNIT) { /* () equals itself */
        (void)rl_emit_any(e, n.b, false);
        rl_emit_wide(e, RL_OP_LDI, to, n.op == RL_IR_EQ || n.op == RL_IR_LE || n.op == RL_IR_GE);
        negate = false;
    } else if (nullary_operand(e, n.b, &tag)) {
        uint32_t wanted = rl_temp(e, RL_REP_S), found = rl_temp(e, RL_REP_S);
        rl_emit_abc(e, RL_OP_TAG, found, regs[0], 0);
        rl_emit_wide(e, RL_OP_LDI, wanted, tag);
        rl_emit_abc(e, negate ? RL_OP_NE_I : RL_OP_EQ_I, to, found, wanted);
        negate = false;
    } else {
        regs[1] = rl_emit_any(e, n.b, false);
        rl_at(e, n.start);
        if (type == RL_TYPE_STR) rl_emit_abc(e, RL_OP_EQ_STR, to, regs[0], regs[1]);
        else if (rl_has_identity(e->compiler, type)) rl_emit_abc(e, RL_OP_EQ_REF, to, regs[0], regs[1]);
        else rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_EQ), to, RL_TYPE_BOOL, regs, types, 2, types, 1);
    }
    if (negate) rl_emit_abc(e, RL_OP_NOT, to, to, 0);
    rl_finish(e, RL_REP_S, RL_TYPE_BOOL, to, dest);
}

/* --- casts -------------------------------------------------------------------------------------------------------- */
static bool is_unsigned(rl_type_t t) {
    return (t >= RL_TYPE_U8 && t <= RL_TYPE_U64) || t == RL_TYPE_BOOL || t == RL_TYPE_CHAR;
}

static unsigned width_of(rl_type_t t) {
    switch (t) {
    case RL_TYPE_BOOL: return 1;
    case RL_TYPE_CHAR: return 21;
    case RL_TYPE_I8:
    case RL_TYPE_U8: return 8;
    case RL_TYPE_I16:
    case RL_TYPE_U16: return 16;
    case RL_TYPE_I32:
    case RL_TYPE_U32: return 32;
    default: return 64;
    }
}

/* Every value of `from` is one of `to`, with the same word. */
static bool always_fits(rl_type_t from, rl_type_t to) {
    if (from == to || (from == RL_TYPE_F32 && to == RL_TYPE_F64)) return true;
    bool from_ok = rl_type_is_integer(from) || from == RL_TYPE_BOOL || from == RL_TYPE_CHAR;
    if (!from_ok || !rl_type_is_integer(to)) return false;
    if (is_unsigned(from)) return width_of(from) < width_of(to) || (is_unsigned(to) && width_of(from) == width_of(to));
    return !is_unsigned(to) && width_of(from) <= width_of(to);
}

void rl_emit_cast(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t from = rl_emit_type(e, n.a), to = rl_emit_type(e, id);
    if (to == RL_TYPE_ANY && from != RL_TYPE_ANY) {
        if (rl_is_open(e->compiler, from)) {
            rl_emit(e, n.a, dest);
            return;
        }
        uint32_t value = rl_emit_any(e, n.a, true), any = rl_dest_reg(e, RL_REP_R, dest);
        rl_emit_to_any(e, rl_rep_of(e->compiler, from), from, any, value);
        rl_finish(e, RL_REP_R, to, any, dest);
        return;
    }
    if (always_fits(from, to) || from >= RL_TYPE_SIMPLE_COUNT || to >= RL_TYPE_SIMPLE_COUNT ||
        rl_rep_of(e->compiler, from) == RL_REP_R) {
        rl_emit(e, n.a, dest);
        return;
    }
    rl_rep_t rep = rl_rep_of(e->compiler, to);
    uint32_t value = rl_emit_any(e, n.a, false), reg = rl_dest_reg(e, rep, dest);
    if (to == RL_TYPE_F64) rl_emit_abc(e, from == RL_TYPE_U64 ? RL_OP_U2F : RL_OP_I2F, reg, value, 0);
    else if (from == RL_TYPE_F64 && to == RL_TYPE_F32) rl_emit_abc(e, RL_OP_ROUND_F32, reg, value, 0);
    else rl_emit_abc(e, RL_OP_CAST, reg, value, from << 8 | to);
    rl_finish(e, rep, to, reg, dest);
}

/* --- text --------------------------------------------------------------------------------------------------------- */
/* Text of one piece into a register; `own`: it may be changed in place afterwards. */
static uint32_t emit_piece(rl_emitter_t* e, uint32_t spec, rl_ir_t node, bool debug, bool own, uint32_t hint) {
    rl_type_t type = rl_emit_type(e, node);
    bool plain_text =
        type == RL_TYPE_STR && !debug && (spec == RL_NONE || rl_program_string(e->program, spec).length == 0);
    if (plain_text && hint == RL_NONE) return rl_emit_any(e, node, own);
    uint32_t to = hint == RL_NONE ? rl_temp(e, RL_REP_R) : hint;
    if (plain_text) {
        rl_emit_to(e, node, to, own);
        return to;
    }
    uint32_t regs[2];
    bool has_spec = spec != RL_NONE && rl_program_string(e->program, spec).length;
    if (rl_has_own_text(e->compiler, type) && e->program->known.full_text) {
        rl_emit_own_text(e, node, has_spec ? spec : RL_NONE, debug, (rl_dest_t){RL_WANT_REGISTER, true, own, to});
        return to;
    }
    if (has_spec) {
        rl_type_t types[2] = {RL_TYPE_STR, type};
        regs[0] = rl_temp(e, RL_REP_R);
        rl_emit_string(e, regs[0], spec, false);
        regs[1] = rl_emit_any(e, node, false);
        rl_emit_builtin(e, rl_emit_builtin_id(e, RL_EB_FORMAT_VALUE), to, RL_TYPE_STR, regs, types, 2, &type, 1);
    } else {
        regs[0] = rl_emit_any(e, node, false);
        rl_emit_builtin(
            e, rl_emit_builtin_id(e, debug ? RL_EB_DEBUG : RL_EB_TO_STRING), to, RL_TYPE_STR, regs, &type, 1, &type, 1);
    }
    return to;
}

/* The texts before it stay as they are while this one is made. */
static bool is_quiet_piece(rl_emitter_t* e, rl_ir_t node) {
    return is_quiet(e, node) && rl_emit_type(e, node) < RL_TYPE_SIMPLE_COUNT;
}

void rl_emit_format(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    bool is_format = n.op == RL_IR_FORMAT;
    uint32_t count = is_format ? n.b : 1;
    uint32_t to = dest.want == RL_WANT_REGISTER && dest.scratch ? dest.reg : rl_temp(e, RL_REP_R);
    if (count == 0) {
        rl_object_t* nothing = rl_empty_string(e);
        if (nothing) rl_emit_load_ref(e, to, nothing);
    }
    rl_mark_t mark = rl_mark(e);
    texts_t texts = {{to}, 0};
    for (uint32_t i = 0; i < count && !e->failed; i++) {
        uint32_t spec = is_format ? *rl_program_extra(e->program, n.a + 2 * i) : RL_NONE;
        rl_ir_t node = is_format ? *rl_program_extra(e->program, n.a + 2 * i + 1) : n.a;
        bool debug = !is_format && (n.flags & 1);
        if (i == 0) {
            (void)emit_piece(e, spec, node, debug, dest.own || count > 1, to);
            texts = (texts_t){{to}, 1};
            continue;
        }
        if (texts.count > 1 && (texts.count == RL_BUILTIN_ARGS_MAX || !is_quiet_piece(e, node))) {
            join_texts(e, &texts, to);
            rl_release(e, mark);
        }
        texts.regs[texts.count++] = emit_piece(e, spec, node, debug, false, RL_NONE);
    }
    join_texts(e, &texts, to);
    rl_release(e, mark);
    rl_deliver(e, RL_REP_R, RL_TYPE_STR, to, dest);
}
