/* Operators, casts, ranges (LANGUAGE 4.4 "operators on types not yet known", 4.5, 5.11). */
#include "types/infer.h"

/* The constraint's bit is the number of its trait in program.known.operators. */
static const struct {
    uint16_t op;
    uint32_t constraint;
} arithmetic[] = {[RL_BIN_ADD] = {RL_IR_ADD, RL_CON_ADD},
    [RL_BIN_SUB] = {RL_IR_SUB, RL_CON_SUB},
    [RL_BIN_MUL] = {RL_IR_MUL, RL_CON_MUL},
    [RL_BIN_DIV] = {RL_IR_DIV, RL_CON_DIV},
    [RL_BIN_REM] = {RL_IR_REM, RL_CON_REM}};

static rl_ir_t unsupported_operator(rl_checker_t* c, unsigned op, rl_type_t type, rl_span_t span) {
    rl_report(c->diags, RL_CODE_TYPE_OPERATOR_UNSUPPORTED, span, "%s has no operator %s", rl_show(c, type),
        rl_binary_op_text((rl_binary_op_t)op));
    return rl_ir_error(c, span.start);
}

static uint32_t operator_of(uint32_t constraint) {
    uint32_t index = 0;
    while (!(constraint >> index & 1)) index++;
    return index;
}

/*
 * An operator whose left operand is of a type with impls of it (LANGUAGE 4.6). False: there are none, or what is built in
 * comes first. `right` 0: unary.
 */
static bool call_impl(rl_checker_t* c, uint32_t constraint, rl_ir_t left, rl_ir_t right, rl_span_t span,
    rl_span_t left_span, rl_span_t right_span, rl_ir_t* out) {
    rl_type_t type = rl_head(c, rl_type_at(c, left)), wanted;
    rl_type_kind_t kind = rl_type_kind(c->types, type);
    if (kind == RL_TYPE_VAR || type == RL_TYPE_ERROR || type == RL_TYPE_NEVER) return false;
    rl_type_t other = right ? rl_head(c, rl_type_at(c, right)) : type;
    bool same = other == type || rl_type_kind(c->types, other) == RL_TYPE_VAR;
    if (same && kind == RL_TYPE_PARAM && c->solver.param_satisfies(c, rl_type_node(c->types, type)->a, constraint))
        return false;
    if (same && kind < RL_TYPE_SIMPLE_COUNT && rl_type_satisfies(c->program, type, constraint, NULL)) return false;
    rl_trait_id_t trait;
    uint32_t count = rl_operator_candidates(c, operator_of(constraint), type, span, &trait, &wanted);
    if (count == 0) return false;
    if (right && count > 1) { /* an open literal decides now */
        rl_settle_literal(c, rl_type_at(c, right));
    } else if (right && wanted && !(rl_type_node(c->types, wanted)->flags & RL_TYPE_HAS_VAR)) {
        right = rl_convert(c, right, wanted, right_span, RL_CODE_TYPE_MISMATCH);
        if (rl_type_at(c, right) == RL_TYPE_ERROR) {
            *out = rl_ir_error(c, span.start);
            return true;
        }
    }
    rl_arg_t args[2] = {{.ir = left, .span = left_span}, {.ir = right, .span = right_span}};
    *out = rl_call_operator(c, trait, args, right ? 2 : 1, span);
    return true;
}

static bool is_open_literal(rl_checker_t* c, rl_type_t type) {
    rl_var_t* var = rl_var_of(c, type);
    return var && var->klass != RL_VAR_FREE;
}

static bool known_not_numeric(rl_checker_t* c, rl_type_t type) {
    rl_type_t head = rl_head(c, type);
    rl_type_kind_t kind = rl_type_kind(c->types, head);
    return kind != RL_TYPE_VAR && kind != RL_TYPE_PARAM && kind != RL_TYPE_ERROR && kind != RL_TYPE_NEVER &&
           !rl_type_is_numeric(head);
}

static rl_ir_t concat(
    rl_checker_t* c, rl_ir_t left, rl_ir_t right, rl_span_t span, rl_span_t right_span, uint32_t start) {
    rl_type_t type = rl_settled_type(c, left), other = rl_head(c, rl_type_at(c, right));
    if (type == RL_TYPE_ERROR) return rl_ir_error(c, start);
    if (rl_is_var(c, type)) {
        bool fits = other == RL_TYPE_STR || rl_is_named(c, other, c->program->known.list, NULL, NULL);
        if (!fits) {
            rl_report(
                c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, span, "the type of the operands of ++ is not known here");
            return rl_ir_error(c, start);
        }
        (void)rl_unify(&c->solver, type, other);
        type = rl_head(c, type);
    }
    if (type != RL_TYPE_STR && !rl_is_named(c, type, c->program->known.list, NULL, NULL))
        return unsupported_operator(c, RL_BIN_CONCAT, type, span);
    right = rl_convert(c, right, type, right_span, RL_CODE_TYPE_MISMATCH);
    if (rl_type_at(c, right) == RL_TYPE_ERROR) return rl_ir_error(c, start);
    return rl_ir_make(c, RL_IR_CONCAT, type, start, left, right, 0);
}

static rl_ir_t compare(rl_checker_t* c, unsigned op, rl_ir_t left, rl_ir_t right, rl_span_t span, rl_span_t left_span,
    rl_span_t right_span, uint32_t start) {
    static const uint16_t ops[] = {[RL_BIN_EQ] = RL_IR_EQ,
        [RL_BIN_NE] = RL_IR_NE,
        [RL_BIN_LT] = RL_IR_LT,
        [RL_BIN_LE] = RL_IR_LE,
        [RL_BIN_GT] = RL_IR_GT,
        [RL_BIN_GE] = RL_IR_GE};
    bool equality = op == RL_BIN_EQ || op == RL_BIN_NE;
    rl_type_t lt = rl_head(c, rl_type_at(c, left)), rt = rl_head(c, rl_type_at(c, right));
    if (equality && (lt == RL_TYPE_ANY || rt == RL_TYPE_ANY)) {
        left = rl_convert(c, left, RL_TYPE_ANY, left_span, RL_CODE_TYPE_MISMATCH);
        right = rl_convert(c, right, RL_TYPE_ANY, right_span, RL_CODE_TYPE_MISMATCH);
    } else {
        if (is_open_literal(c, lt) && known_not_numeric(c, rt)) rl_settle_literal(c, lt);
        right = rl_convert(c, right, rl_type_at(c, left), right_span, RL_CODE_TYPE_MISMATCH);
    }
    if (rl_type_at(c, right) == RL_TYPE_ERROR || lt == RL_TYPE_ERROR)
        return rl_ir_make(c, RL_IR_INT, RL_TYPE_BOOL, start, 0, 0, 0);
    rl_require(c, rl_type_at(c, left), equality ? RL_CON_EQ : RL_CON_ORD, span);
    return rl_ir_make(c, ops[op], RL_TYPE_BOOL, start, left, right, 0);
}

rl_ir_t rl_binary(rl_checker_t* c, unsigned op, rl_ir_t left, rl_ir_t right, rl_span_t span, rl_span_t left_span,
    rl_span_t right_span, uint32_t start) {
    if (op == RL_BIN_CONCAT) return concat(c, left, right, span, right_span, start);
    if (op >= RL_BIN_EQ && op <= RL_BIN_GE) return compare(c, op, left, right, span, left_span, right_span, start);
    rl_type_t lt = rl_head(c, rl_type_at(c, left)), rt = rl_head(c, rl_type_at(c, right));
    if (c->open_pendings.count && rl_type_kind(c->types, lt) == RL_TYPE_VAR) {
        rl_poll_pendings(c);
        lt = rl_head(c, lt);
        rt = rl_head(c, rt);
    }
    if (lt == RL_TYPE_ERROR) return rl_ir_error(c, start);
    if (is_open_literal(c, lt) && known_not_numeric(c, rt)) {
        rl_settle_literal(c, lt);
        lt = rl_head(c, lt);
    }
    uint16_t ir_op = arithmetic[op].op;
    rl_type_kind_t kind = rl_type_kind(c->types, lt);
    rl_ir_t made;
    bool built_in = (lt == RL_TYPE_DURATION || lt == RL_TYPE_TIMESTAMP) && rt < RL_TYPE_SIMPLE_COUNT;
    if (!built_in && call_impl(c, arithmetic[op].constraint, left, right, span, left_span, right_span, &made))
        return made;
    if (lt == RL_TYPE_DURATION || lt == RL_TYPE_TIMESTAMP) {
        rl_type_t wanted = RL_TYPE_DURATION, result = lt;
        if (lt == RL_TYPE_DURATION && (op == RL_BIN_MUL || op == RL_BIN_DIV)) wanted = RL_TYPE_I64;
        else if (lt == RL_TYPE_TIMESTAMP && op == RL_BIN_SUB && rt == RL_TYPE_TIMESTAMP) {
            wanted = RL_TYPE_TIMESTAMP;
            result = RL_TYPE_DURATION;
        } else if (op != RL_BIN_ADD && op != RL_BIN_SUB) return unsupported_operator(c, op, lt, span);
        right = rl_convert(c, right, wanted, right_span, RL_CODE_TYPE_MISMATCH);
        if (rl_type_at(c, right) == RL_TYPE_ERROR) return rl_ir_error(c, start);
        return rl_ir_make(c, ir_op, result, start, left, right, 0);
    }
    if (lt == RL_TYPE_STR) {
        if (op != RL_BIN_ADD) return unsupported_operator(c, op, lt, span);
        right = rl_convert(c, right, RL_TYPE_STR, right_span, RL_CODE_TYPE_MISMATCH);
        if (rl_type_at(c, right) == RL_TYPE_ERROR) return rl_ir_error(c, start);
        return rl_ir_make(c, RL_IR_CONCAT, RL_TYPE_STR, start, left, right, 0);
    }
    if (!rl_type_is_numeric(lt) && kind != RL_TYPE_VAR && kind != RL_TYPE_PARAM && kind != RL_TYPE_NEVER)
        return unsupported_operator(c, op, lt, span);
    if (kind == RL_TYPE_NEVER) return rl_ir_make(c, RL_IR_SEQUENCE, RL_TYPE_NEVER, start, left, right, 0);
    rl_type_t type = rl_type_at(c, left);
    if (kind == RL_TYPE_VAR && rt == RL_TYPE_NEVER)
        return rl_ir_make(c, RL_IR_SEQUENCE, RL_TYPE_NEVER, start, left, right, 0);
    rl_ir_t converted = rl_convert(c, right, type, right_span, RL_CODE_TYPE_MISMATCH);
    if (rl_head(c, type) == RL_TYPE_ERROR || rl_type_at(c, converted) == RL_TYPE_ERROR) return rl_ir_error(c, start);
    /* The left operand may have been an open variable that the right one made known: the same rules again. */
    rl_type_t now = rl_head(c, type);
    if (kind == RL_TYPE_VAR && !rl_is_var(c, now) &&
        (now == RL_TYPE_STR || now == RL_TYPE_DURATION || now == RL_TYPE_TIMESTAMP || now >= RL_TYPE_SIMPLE_COUNT)) {
        return rl_binary(c, op, left, converted, span, left_span, right_span, start);
    }
    if (!rl_type_is_numeric(now) && !rl_require(c, type, arithmetic[op].constraint, span)) return rl_ir_error(c, start);
    return rl_ir_make(c, ir_op, type, start, left, converted, 0);
}

rl_ir_t rl_infer_binary(rl_checker_t* c, rl_ir_t left, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node), left_span = {data.start, rl_tree_node(c->tree, data.a)->end},
              right_span = rl_span_of(c, data.b);
    (void)expected;
    if (data.flags == RL_BIN_AND || data.flags == RL_BIN_OR) {
        rl_type_t type = rl_head(c, rl_type_at(c, left));
        if (type != RL_TYPE_BOOL && type != RL_TYPE_NEVER && type != RL_TYPE_ERROR &&
            rl_unify(&c->solver, RL_TYPE_BOOL, type) != RL_UNIFY_OK) {
            rl_report_mismatch(c, RL_CODE_TYPE_CONDITION_BOOL_REQUIRED, left_span, RL_TYPE_BOOL, type);
        }
        rl_ir_t right = rl_check_condition(c, data.b);
        return rl_ir_make(c, data.flags == RL_BIN_AND ? RL_IR_AND : RL_IR_OR, RL_TYPE_BOOL, data.start, left, right, 0);
    }
    rl_type_t head = rl_head(c, rl_type_at(c, left));
    rl_type_kind_t kind = rl_type_kind(c->types, head);
    bool hint = kind != RL_TYPE_VAR && kind != RL_TYPE_ANY && head != RL_TYPE_DURATION && head != RL_TYPE_TIMESTAMP &&
                kind != RL_TYPE_NEVER;
    /* A hint only: what does not fit is reported by the operator, at the operand. */
    if (hint && kind >= RL_TYPE_SIMPLE_COUNT && rl_tree_kind(c->tree, data.b) != RL_NODE_RECORD &&
        rl_tree_kind(c->tree, data.b) != RL_NODE_LIST && rl_tree_kind(c->tree, data.b) != RL_NODE_EMPTY &&
        rl_tree_kind(c->tree, data.b) != RL_NODE_NAME && rl_tree_kind(c->tree, data.b) != RL_NODE_CALL &&
        rl_tree_kind(c->tree, data.b) != RL_NODE_FIELD && rl_tree_kind(c->tree, data.b) != RL_NODE_MAP) {
        hint = false;
    }
    uint32_t constraint = data.flags <= RL_BIN_REM ? arithmetic[data.flags].constraint : 0;
    if (constraint && kind != RL_TYPE_VAR && kind >= RL_TYPE_SIMPLE_COUNT) { /* what an impl takes on the right */
        rl_type_t wanted;
        rl_trait_id_t trait;
        uint32_t found = rl_operator_candidates(c, operator_of(constraint), head, span, &trait, &wanted);
        if (found) {
            hint = wanted && !(rl_type_node(c->types, wanted)->flags & RL_TYPE_HAS_VAR);
            if (hint) head = wanted;
        }
    }
    rl_ir_t right = rl_infer_expr(c, data.b, hint ? head : 0);
    return rl_binary(c, data.flags, left, right, span, left_span, right_span, data.start);
}

rl_ir_t rl_infer_power(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count;
    rl_type_t type = RL_TYPE_ERROR;
    bool fine = true;
    rl_node_t base = rl_tree_list_at(c->tree, data.a, 0);
    rl_ir_t left = rl_infer_expr(c, base, 0);
    type = rl_head(c, rl_type_at(c, left));
    rl_type_t wanted;
    rl_trait_id_t trait;
    if (rl_type_kind(c->types, type) != RL_TYPE_VAR && type >= RL_TYPE_SIMPLE_COUNT &&
        rl_operator_candidates(c, operator_of(RL_CON_POW), type, rl_span_of(c, node), &trait, &wanted)) {
        rl_ir_t right = 0;
        (void)rl_vec_push(c->allocator, &c->scratch, left);
        for (uint32_t i = 1; i < count && !rl_failed(c); i++)
            (void)rl_vec_push(c->allocator, &c->scratch, rl_infer_expr(c, rl_tree_list_at(c->tree, data.a, i), 0));
        for (uint32_t i = count; i-- > 0 && !rl_failed(c);) { /* a ^ (b ^ c) */
            rl_ir_t operand = c->scratch.data[mark + i], made;
            rl_span_t from = rl_span_of(c, rl_tree_list_at(c->tree, data.a, i));
            rl_span_t rest = {from.end, rl_tree_node(c->tree, node)->end};
            if (!right) {
                right = operand;
            } else if (call_impl(c, RL_CON_POW, operand, right, rl_span_of(c, node), from, rest, &made)) {
                right = made;
            } else {
                right = rl_convert(c, right, rl_type_at(c, operand), rest, RL_CODE_TYPE_MISMATCH);
                if (!rl_require(c, rl_type_at(c, operand), RL_CON_POW, rl_span_of(c, node)))
                    right = rl_ir_error(c, data.start);
                else right = rl_ir_make(c, RL_IR_POW, rl_type_at(c, operand), data.start, operand, right, 0);
            }
        }
        c->scratch.count = mark;
        return right ? right : rl_ir_error(c, data.start);
    }
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t operand = rl_tree_list_at(c->tree, data.a, i);
        rl_ir_t ir = i == 0 ? left : rl_infer_expr(c, operand, i && rl_type_is_numeric(rl_head(c, type)) ? type : 0);
        if (i == 0) type = rl_type_at(c, ir);
        else {
            if (i == 1 && is_open_literal(c, type) && known_not_numeric(c, rl_type_at(c, ir)))
                rl_settle_literal(c, type);
            ir = rl_convert(c, ir, type, rl_span_of(c, operand), RL_CODE_TYPE_MISMATCH);
        }
        if (rl_type_at(c, ir) == RL_TYPE_ERROR) fine = false;
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
    }
    rl_ir_t result = 0;
    if (fine && !rl_failed(c) && rl_require(c, type, RL_CON_POW, rl_span_of(c, node))) {
        result = c->scratch.data[mark + count - 1];
        for (uint32_t i = count - 1; i-- > 0;)
            result = rl_ir_make(c, RL_IR_POW, type, data.start, c->scratch.data[mark + i], result, 0);
    }
    c->scratch.count = mark;
    return result ? result : rl_ir_error(c, data.start);
}

rl_ir_t rl_infer_unary(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    switch (data.flags) {
    case RL_UN_NEG: {
        rl_node_kind_t kind = rl_tree_kind(c->tree, data.a);
        if (kind == RL_NODE_INT || kind == RL_NODE_FLOAT) return rl_infer_literal(c, data.a, expected, true);
        rl_type_t head = expected ? rl_head(c, expected) : 0;
        rl_ir_t operand = rl_infer_expr(c, data.a, rl_type_is_numeric(head) ? head : 0);
        rl_type_t type = rl_head(c, rl_type_at(c, operand));
        if (type == RL_TYPE_ERROR) return operand;
        rl_ir_t made;
        rl_span_t operand_span = rl_span_of(c, data.a);
        if (call_impl(c, RL_CON_NEG, operand, 0, rl_span_of(c, node), operand_span, operand_span, &made)) return made;
        if (!rl_require(c, type, RL_CON_NEG, rl_span_of(c, node))) return rl_ir_error(c, data.start);
        return rl_ir_make(c, RL_IR_NEG, type, data.start, operand, 0, 0);
    }
    case RL_UN_NOT: {
        rl_ir_t operand = rl_check_condition(c, data.a);
        return rl_ir_make(c, RL_IR_NOT, RL_TYPE_BOOL, data.start, operand, 0, 0);
    }
    default: return rl_infer_expr(c, data.a, expected); /* &e, &mut e */
    }
}

/* --- casts -------------------------------------------------------------------------------------------------------- */

static bool castable(rl_type_t from, rl_type_t to) {
    if (from == to || to == RL_TYPE_ANY) return true;
    if (rl_type_is_numeric(from))
        return rl_type_is_numeric(to) || to == RL_TYPE_BOOL || (to == RL_TYPE_CHAR && rl_type_is_integer(from));
    if (from == RL_TYPE_BOOL) return rl_type_is_numeric(to);
    if (from == RL_TYPE_CHAR) return to == RL_TYPE_U32 || to == RL_TYPE_I32 || to == RL_TYPE_I64;
    return false;
}

static bool fits_integer(int64_t value, bool is_u64, rl_type_t to) {
    switch (to) {
    case RL_TYPE_I8: return !is_u64 && value >= INT8_MIN && value <= INT8_MAX;
    case RL_TYPE_I16: return !is_u64 && value >= INT16_MIN && value <= INT16_MAX;
    case RL_TYPE_I32: return !is_u64 && value >= INT32_MIN && value <= INT32_MAX;
    case RL_TYPE_I64: return !is_u64;
    case RL_TYPE_U8: return !is_u64 && value >= 0 && value <= UINT8_MAX;
    case RL_TYPE_U16: return !is_u64 && value >= 0 && value <= UINT16_MAX;
    case RL_TYPE_U32: return !is_u64 && value >= 0 && value <= UINT32_MAX;
    case RL_TYPE_U64: return is_u64 || value >= 0;
    default: return true;
    }
}

/* A cast of a constant that must fail is reported at once, with the code of the panic it would be. */
static bool check_constant_cast(rl_checker_t* c, rl_ir_t operand, rl_type_t from, rl_type_t to, rl_span_t span) {
    const rl_ir_node_t made = *rl_program_node(c->program, operand);
    uint64_t bits = (uint64_t)made.b << 32 | made.a;
    if (made.op == RL_IR_INT && rl_type_is_integer(from)) {
        int64_t value = (int64_t)bits;
        bool is_u64 = from == RL_TYPE_U64 && value < 0;
        if (rl_type_is_integer(to) && !fits_integer(value, is_u64, to)) {
            rl_report(c->diags, RL_CODE_E7101, span, "%lld does not fit %s", (long long)value, rl_show(c, to));
            return false;
        }
        if (to == RL_TYPE_CHAR && (is_u64 || value < 0 || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))) {
            rl_report(c->diags, RL_CODE_E7103, span, "%lld is not a Unicode scalar value", (long long)value);
            return false;
        }
    } else if (made.op == RL_IR_FLOAT && rl_type_is_integer(to)) {
        double value;
        memcpy(&value, &bits, sizeof value);
        double low = to == RL_TYPE_I64   ? -9223372036854775808.0
                     : to == RL_TYPE_U64 ? 0
                     : to == RL_TYPE_I32 ? INT32_MIN
                     : to == RL_TYPE_I16 ? INT16_MIN
                     : to == RL_TYPE_I8  ? INT8_MIN
                                         : 0;
        double high = to == RL_TYPE_I64   ? 9223372036854775808.0
                      : to == RL_TYPE_U64 ? 18446744073709551616.0
                      : to == RL_TYPE_I32 ? 2147483648.0
                      : to == RL_TYPE_U32 ? 4294967296.0
                      : to == RL_TYPE_I16 ? 32768.0
                      : to == RL_TYPE_U16 ? 65536.0
                      : to == RL_TYPE_I8  ? 128.0
                                          : 256.0;
        if (!(value > low - 1.0 && value < high) && !(value >= low && value < high)) {
            rl_report(c->diags, RL_CODE_E7102, span, "this Float does not fit %s", rl_show(c, to));
            return false;
        }
    }
    return true;
}

rl_ir_t rl_infer_cast(rl_checker_t* c, rl_ir_t operand, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    uint8_t implicit = c->implicit_params;
    c->implicit_params = 2;
    rl_type_t to = rl_head(c, rl_resolve_type(c, data.b));
    c->implicit_params = implicit;
    if (to == RL_TYPE_ERROR) return rl_ir_error(c, data.start);
    rl_node_t literal = data.a;
    if (rl_tree_kind(c->tree, literal) == RL_NODE_UNARY && rl_tree_flags(c->tree, literal) == RL_UN_NEG)
        literal = rl_tree_node(c->tree, literal)->a;
    rl_node_kind_t kind = rl_tree_kind(c->tree, literal);
    if ((kind == RL_NODE_INT && rl_type_is_numeric(to)) || (kind == RL_NODE_FLOAT && rl_type_is_float(to))) {
        if (rl_unify(&c->solver, rl_type_at(c, operand), to) == RL_UNIFY_OK) return operand;
    }
    rl_type_t from = rl_settled_type(c, operand);
    if (from == RL_TYPE_ERROR) return rl_ir_error(c, data.start);
    if (from == RL_TYPE_NEVER) return operand;
    if (to == RL_TYPE_ANY) return rl_convert(c, operand, RL_TYPE_ANY, span, RL_CODE_TYPE_MISMATCH);
    if (rl_is_var(c, from)) {
        rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED,
            (rl_span_t){data.start, rl_tree_node(c->tree, data.a)->end}, "the type of what is cast is not known here");
        return rl_ir_error(c, data.start);
    }
    if (from == to || rl_solver_zonk(&c->solver, from) == rl_solver_zonk(&c->solver, to)) return operand;
    if (!castable(from, to)) {
        rl_report(
            c->diags, RL_CODE_TYPE_CAST_UNSUPPORTED, span, "%s cannot be cast to %s", rl_show(c, from), rl_show(c, to));
        return rl_ir_error(c, data.start);
    }
    if (!check_constant_cast(c, operand, from, to, span)) return rl_ir_error(c, data.start);
    return rl_ir_make(c, RL_IR_CAST, to, data.start, operand, 0, 0);
}

/* --- ranges ------------------------------------------------------------------------------------------------------- */

rl_ir_t rl_infer_range(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_known_t* known = &c->program->known;
    rl_type_t wanted = 0;
    if (expected) (void)rl_is_named(c, expected, known->range, &wanted, NULL);
    rl_ir_t low = rl_infer_expr(c, data.a, wanted);
    rl_type_t type = rl_type_at(c, low);
    rl_type_t head = rl_head(c, type);
    rl_ir_t high = rl_infer_expr(c, data.b, rl_type_is_integer(head) ? head : 0);
    if (is_open_literal(c, type) && known_not_numeric(c, rl_type_at(c, high))) rl_settle_literal(c, type);
    high = rl_convert(c, high, type, rl_span_of(c, data.b), RL_CODE_TYPE_MISMATCH);
    head = rl_head(c, type);
    rl_var_t* var = rl_var_of(c, type);
    if (var && var->klass == RL_VAR_FREE)
        (void)rl_solver_require(&c->solver, type, RL_CON_INTEGER_LITERAL, rl_span_of(c, node));
    bool fits = var ? var->klass != RL_VAR_FLOAT
                    : rl_type_is_integer(head) || head == RL_TYPE_CHAR || head == RL_TYPE_ERROR ||
                          head == RL_TYPE_NEVER || rl_type_kind(c->types, head) == RL_TYPE_PARAM;
    if (!fits) {
        rl_report_mismatch(c, RL_CODE_TYPE_MISMATCH, rl_span_of(c, data.a), RL_TYPE_I64, type);
        return rl_ir_error(c, data.start);
    }
    if (!known->range) {
        rl_unsupported(c, rl_span_of(c, node), "ranges without a core library are");
        return rl_ir_error(c, data.start);
    }
    rl_ir_t ir = rl_ir_make(c, RL_IR_RANGE, rl_named1(c, known->range, type), data.start, low, high, 0);
    rl_node_at(c, ir)->flags = data.flags & RL_INCLUSIVE ? 1 : 0;
    return ir;
}
