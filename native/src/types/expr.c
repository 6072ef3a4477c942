/* Expressions: dispatch, literals, implicit conversions, if, match, loops, jumps. */
#include "types/infer.h"

/* --- conversion --------------------------------------------------------------------------------------------------- */

/* Does T become Any somewhere inside (LANGUAGE 4.4, conversions (b))? Unifies what is no such place. */
static bool covary(rl_checker_t* c, rl_type_t found, rl_type_t expected, uint32_t* steps) {
    if (*steps == 0) return false;
    --*steps;
    found = rl_head(c, found);
    expected = rl_head(c, expected);
    if (expected == RL_TYPE_ANY || found == expected || found == RL_TYPE_ERROR || expected == RL_TYPE_ERROR ||
        found == RL_TYPE_NEVER)
        return true;
    const rl_type_node_t f = *rl_type_node(c->types, found), e = *rl_type_node(c->types, expected);
    if (f.kind == RL_TYPE_VAR || e.kind == RL_TYPE_VAR) return rl_unify(&c->solver, expected, found) == RL_UNIFY_OK;
    const rl_known_t* known = &c->program->known;
    if (e.kind == RL_TYPE_OPEN) {
        rl_type_t field;
        rl_typedef_kind_t kind =
            f.kind == RL_TYPE_NAMED ? (rl_typedef_kind_t)rl_program_typedef(c->program, f.a)->kind : RL_DEF_ALIAS;
        bool record =
            f.kind == RL_TYPE_RECORD || f.kind == RL_TYPE_OPEN || kind == RL_DEF_RECORD || kind == RL_DEF_STRUCT;
        bool as_it_is =
            f.kind == RL_TYPE_OPEN || kind == RL_DEF_STRUCT; /* no copy is made: its fields keep their types */
        for (uint32_t i = 0; record && i < e.count; i++) {
            rl_sym_t name = rl_type_args(c->types, expected)[2 * i];
            rl_type_t wanted = rl_type_args(c->types, expected)[2 * i + 1];
            record = rl_type_find_field(c->program, found, name, &field) &&
                     (as_it_is ? rl_unify(&c->solver, wanted, field) == RL_UNIFY_OK : covary(c, field, wanted, steps));
        }
        return record;
    }
    if (f.kind == RL_TYPE_NAMED && e.kind == RL_TYPE_RECORD) {
        rl_type_t field;
        for (uint32_t i = 0; i < e.count; i++) {
            rl_sym_t name = rl_type_args(c->types, expected)[2 * i];
            if (!rl_type_find_field(c->program, found, name, &field) ||
                !covary(c, field, rl_type_args(c->types, expected)[2 * i + 1], steps))
                return false;
        }
        return rl_program_typedef(c->program, f.a)->kind == RL_DEF_RECORD;
    }
    if (f.kind == RL_TYPE_RECORD && e.kind == RL_TYPE_NAMED) {
        const rl_typedef_t* def = rl_program_typedef(c->program, e.a);
        if (def->kind != RL_DEF_RECORD || rl_program_variant(c->program, def->variant_first)->field_count != f.count)
            return false;
        rl_type_t field;
        for (uint32_t i = 0; i < f.count; i++) {
            rl_sym_t name = rl_type_args(c->types, found)[2 * i];
            if (!rl_type_find_field(c->program, expected, name, &field)) return false;
            rl_type_t own = rl_type_args(c->types, found)[2 * i + 1];
            /* values that become open inside a named record are converted where the record is written */
            if (rl_open_height(c, field) ? rl_unify(&c->solver, field, own) != RL_UNIFY_OK
                                         : !covary(c, own, field, steps))
                return false;
        }
        return true;
    }
    if (f.kind != e.kind || f.count != e.count) return false;
    switch (f.kind) {
    case RL_TYPE_TUPLE:
    case RL_TYPE_ARRAY:
        if (f.a != e.a) return false;
        for (uint32_t i = 0; i < rl_type_part_words(&f); i++) {
            if (!covary(c, rl_type_args(c->types, found)[i], rl_type_args(c->types, expected)[i], steps)) return false;
        }
        return true;
    case RL_TYPE_RECORD:
        for (uint32_t i = 0; i < f.count; i++) {
            if (rl_type_args(c->types, found)[2 * i] != rl_type_args(c->types, expected)[2 * i]) return false;
            if (!covary(
                    c, rl_type_args(c->types, found)[2 * i + 1], rl_type_args(c->types, expected)[2 * i + 1], steps))
                return false;
        }
        return true;
    case RL_TYPE_NAMED:
        if (f.a != e.a) return false;
        if (f.a == known->list || f.a == known->option || f.a == known->result || f.a == known->map) {
            for (uint32_t i = 0; i < f.count; i++) {
                rl_type_t from = rl_type_args(c->types, found)[i], to = rl_type_args(c->types, expected)[i];
                bool key = f.a == known->map && i == 0;
                if (key ? rl_unify(&c->solver, to, from) != RL_UNIFY_OK : !covary(c, from, to, steps)) return false;
            }
            return true;
        }
        return rl_unify(&c->solver, expected, found) == RL_UNIFY_OK;
    default: return rl_unify(&c->solver, expected, found) == RL_UNIFY_OK;
    }
}

static bool mentions_any(rl_checker_t* c, rl_type_t type, unsigned depth) {
    type = rl_head(c, type);
    const rl_type_node_t node = *rl_type_node(c->types, type);
    if (node.kind == RL_TYPE_ANY || node.kind == RL_TYPE_OPEN) return true;
    if (node.kind < RL_TYPE_SIMPLE_COUNT || node.kind == RL_TYPE_FUNCTION || depth > 12) return false;
    if (node.kind == RL_TYPE_NAMED && rl_program_typedef(c->program, node.a)->kind == RL_DEF_RECORD)
        return true; /* its fields may be */
    uint32_t words = rl_type_part_words(&node), step = rl_type_part_step(node.kind);
    for (uint32_t i = step - 1; i < words; i += step) {
        if (mentions_any(c, rl_type_args(c->types, type)[i], depth + 1)) return true;
    }
    return false;
}

rl_ir_t rl_convert(rl_checker_t* c, rl_ir_t ir, rl_type_t expected, rl_span_t span, rl_code_t why) {
    rl_type_t found = rl_type_at(c, ir);
    rl_note_constraint(c, RL_REASON_PLACE, found, expected);
    rl_type_t to = rl_head(c, expected), from = rl_head(c, found);
    uint32_t start = rl_program_node(c->program, ir)->start;
    if (to == from || to == RL_TYPE_ERROR || from == RL_TYPE_ERROR || from == RL_TYPE_NEVER) return ir;
    if (to == RL_TYPE_ANY) {
        rl_ir_t made = rl_ir_make(c, RL_IR_TO_ANY, RL_TYPE_ANY, start, ir, 0, 0);
        if (rl_type_kind(c->types, from) == RL_TYPE_VAR) (void)rl_vec_push(c->allocator, &c->any_nodes, made);
        return made;
    }
    if (rl_is_json(c, to)) {
        const rl_var_t* var = rl_var_of(c, from);
        if (!var || var->klass != RL_VAR_FREE) return rl_to_json(c, ir, span, RL_JSON_IMPLICIT);
    }
    rl_unify_result_t result = rl_unify(&c->solver, expected, found);
    if (result == RL_UNIFY_OK) {
        if (rl_type_kind(c->types, from) < RL_TYPE_SIMPLE_COUNT || rl_type_kind(c->types, to) == RL_TYPE_VAR ||
            rl_type_kind(c->types, from) == RL_TYPE_VAR)
            return ir;
        rl_type_t exact_to = rl_solver_zonk(&c->solver, expected), exact_from = rl_solver_zonk(&c->solver, found);
        if (rl_type_plain(c->types, exact_to) == rl_type_plain(c->types, exact_from)) return ir;
        rl_type_kind_t kind = rl_type_kind(c->types, exact_to);
        if (kind == RL_TYPE_FUNCTION) return ir; /* differs in a record's name only */
        return rl_ir_make(c, RL_IR_CONVERT, exact_to, start, ir, 0, 0);
    }
    uint32_t failed_constraint = c->solver.failed_constraint;
    rl_type_t failed_type = c->solver.failed_type;
    rl_sym_t failed_field = c->solver.failed_field;
    if (result == RL_UNIFY_MISMATCH && mentions_any(c, to, 0)) {
        uint32_t mark = rl_solver_mark(&c->solver);
        uint32_t steps = 4096;
        if (covary(c, found, expected, &steps)) {
            rl_solver_commit(&c->solver, mark);
            return rl_convert_open(c, ir, expected);
        }
        rl_solver_rollback(&c->solver, mark);
    }
    c->solver.failed_constraint = failed_constraint;
    c->solver.failed_type = failed_type;
    c->solver.failed_field = failed_field;
    rl_report_unify(c, result, expected, found, span, why);
    return rl_ir_error(c, start);
}

rl_ir_t rl_check_expr(rl_checker_t* c, rl_node_t node, rl_type_t expected, rl_code_t why) {
    bool tail = c->tail;
    rl_ir_t ir = rl_infer_expr(c, node, expected);
    if (tail) ir = rl_lift_unit(c, ir, expected);
    return rl_convert(c, ir, expected, rl_span_of(c, node), why);
}

rl_ir_t rl_check_condition(rl_checker_t* c, rl_node_t node) {
    rl_ir_t ir = rl_infer_expr(c, node, RL_TYPE_BOOL);
    rl_note_constraint(c, RL_REASON_CONDITION, rl_type_at(c, ir), RL_TYPE_BOOL);
    rl_type_t type = rl_head(c, rl_type_at(c, ir));
    if (type == RL_TYPE_BOOL || type == RL_TYPE_NEVER || type == RL_TYPE_ERROR) return ir;
    if (rl_unify(&c->solver, RL_TYPE_BOOL, type) == RL_UNIFY_OK) return ir;
    rl_report_mismatch(c, RL_CODE_TYPE_CONDITION_BOOL_REQUIRED, rl_span_of(c, node), RL_TYPE_BOOL, type);
    return rl_ir_error(c, rl_tree_node(c->tree, node)->start);
}

/* --- literals ----------------------------------------------------------------------------------------------------- */

static rl_type_t literal_type(rl_checker_t* c, rl_type_t expected, bool is_float, rl_span_t span) {
    rl_type_t head = expected ? rl_head(c, expected) : 0;
    if (is_float ? rl_type_is_float(head) : rl_type_is_numeric(head)) return head;
    return rl_solver_fresh(&c->solver, is_float ? RL_VAR_FLOAT : RL_VAR_INTEGER, RL_FROM_LITERAL, span);
}

rl_ir_t rl_infer_literal(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool negative) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    switch (data.kind) {
    case RL_NODE_INT: {
        uint64_t value = rl_tree_int(c->tree, node);
        rl_type_t type = literal_type(c, expected, false, span);
        rl_ir_t ir = rl_ir_int(c, type, data.start, negative ? 0 - value : value);
        if (value > 127 || negative || rl_type_is_float(type)) {
            rl_later_t later = {RL_LATER_LITERAL, ir, node, span, negative};
            if (value > 127 || negative) (void)rl_vec_push(c->allocator, &c->later, later);
        }
        return ir;
    }
    case RL_NODE_FLOAT: {
        double value = rl_tree_float(c->tree, node);
        if (negative) value = -value;
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        rl_type_t type = literal_type(c, expected, true, span);
        return rl_ir_make(c, RL_IR_FLOAT, type, data.start, (uint32_t)bits, (uint32_t)(bits >> 32), 0);
    }
    case RL_NODE_CHAR: return rl_ir_int(c, RL_TYPE_CHAR, data.start, data.a);
    case RL_NODE_BOOL: return rl_ir_int(c, RL_TYPE_BOOL, data.start, data.a);
    case RL_NODE_STRING: return rl_ir_string(c, data.start, rl_tree_string(c->tree, node));
    default: return rl_ir_unit(c, data.start);
    }
}

void rl_settle_literal(rl_checker_t* c, rl_type_t type) {
    rl_var_t* var = rl_var_of(c, type);
    if (!var || var->klass == RL_VAR_FREE) return;
    (void)rl_unify(&c->solver, type, var->klass == RL_VAR_FLOAT ? RL_TYPE_F64 : RL_TYPE_I64);
}

rl_type_t rl_settled_type(rl_checker_t* c, rl_ir_t ir) {
    rl_type_t type = rl_type_at(c, ir);
    rl_settle_literal(c, type);
    rl_type_t head = rl_head(c, type);
    if (rl_type_kind(c->types, head) == RL_TYPE_VAR && c->open_pendings.count) {
        rl_poll_pendings(c);
        head = rl_head(c, type);
    }
    if (rl_type_kind(c->types, head) == RL_TYPE_VAR && c->open_demands.count) {
        rl_poll_demands(c);
        head = rl_head(c, type);
    }
    return head;
}

/* --- if ----------------------------------------------------------------------------------------------------------- */

rl_ir_t rl_infer_if(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    uint32_t count = rl_tree_list_count(c->tree, data.a) / 3, mark = c->scratch.count;
    bool known = expected && data.b && !rl_is_var(c, expected);
    rl_type_t result = 0;
    bool conflict = false;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_ir_t condition = rl_check_condition(c, rl_tree_list_at(c->tree, data.a, 3 * i + 1));
        (void)rl_vec_push(c->allocator, &c->scratch, condition);
        rl_node_t body = rl_tree_list_at(c->tree, data.a, 3 * i + 2);
        c->tail = tail && data.b;
        rl_ir_t value;
        if (known) {
            value = rl_check_expr(c, body, expected, RL_CODE_TYPE_MISMATCH);
        } else if (!data.b) {
            value = rl_infer_expr(c, body, 0);
            rl_type_t type = rl_head(c, rl_type_at(c, value));
            if (type != RL_TYPE_NEVER && rl_unify(&c->solver, RL_TYPE_UNIT, type) != RL_UNIFY_OK) {
                rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_IF_ELSE_REQUIRED, span,
                    "an if without else has value (), found %s", rl_show(c, type));
                rl_note_plain(c->diags, diag, "add an else branch, or `;` after the last expression");
                conflict = true;
            }
        } else {
            value = rl_infer_expr(c, body, 0);
        }
        (void)rl_vec_push(c->allocator, &c->scratch, value);
    }
    rl_ir_t last = 0;
    if (data.b && !rl_failed(c)) {
        c->tail = tail;
        last = known ? rl_check_expr(c, data.b, expected, RL_CODE_TYPE_MISMATCH) : rl_infer_expr(c, data.b, 0);
    }
    if (rl_failed(c)) {
        c->scratch.count = mark;
        return rl_ir_error(c, data.start);
    }
    if (known) {
        result = expected;
        bool all_never = rl_head(c, rl_type_at(c, last)) == RL_TYPE_NEVER;
        for (uint32_t i = 0; i < count; i++)
            all_never &= rl_head(c, rl_type_at(c, c->scratch.data[mark + 2 * i + 1])) == RL_TYPE_NEVER;
        if (all_never) result = RL_TYPE_NEVER;
    } else if (!data.b) {
        result = conflict ? RL_TYPE_ERROR : RL_TYPE_UNIT;
    } else {
        for (uint32_t i = 0; i <= count; i++) {
            rl_ir_t value = i < count ? c->scratch.data[mark + 2 * i + 1] : last;
            rl_type_t type = rl_head(c, rl_type_at(c, value));
            if (type == RL_TYPE_NEVER) continue;
            if (!result) {
                result = type;
                continue;
            }
            rl_note_constraint(c, RL_REASON_PLACE, type, result);
            rl_unify_result_t unified = rl_unify(&c->solver, result, type);
            if (unified == RL_UNIFY_OK) {
                if (rl_head(c, result) == RL_TYPE_ERROR) result = type;
                value = rl_convert(c, value, result, span, RL_CODE_TYPE_MISMATCH);
                if (i < count) c->scratch.data[mark + 2 * i + 1] = value;
                else last = value;
            } else if (!conflict) {
                conflict = true;
                rl_diag_t* diag = rl_report(c->diags, RL_CODE_LANGUAGE_INFERENCE_RETURN_CONFLICT, span,
                    "the branches have different types: %s and %s", rl_show(c, result), rl_show(c, type));
                rl_note_plain(c->diags, diag, "then: %s / else: %s", rl_show(c, result), rl_show(c, type));
            }
        }
        if (!result) result = RL_TYPE_NEVER;
        if (conflict) result = RL_TYPE_ERROR;
    }
    for (uint32_t i = count; i-- > 0;) {
        uint32_t start = rl_tree_list_at(c->tree, data.a, 3 * i);
        last = rl_ir_make(
            c, RL_IR_IF, result, start, c->scratch.data[mark + 2 * i], c->scratch.data[mark + 2 * i + 1], last);
    }
    c->scratch.count = mark;
    return last;
}

/* --- match -------------------------------------------------------------------------------------------------------- */

static rl_ir_t check_arm_head(rl_checker_t* c, rl_node_t arm, rl_type_t type, rl_ir_t* out_guard) {
    const rl_node_data_t data = *rl_tree_node(c->tree, arm);
    rl_ir_t pattern = rl_check_pattern(c, data.a, type, 0);
    rl_ir_t guard = 0;
    uint32_t extras = rl_tree_list_count(c->tree, data.b);
    for (uint32_t i = 0; i < extras; i++) {
        rl_node_t extra = rl_tree_list_at(c->tree, data.b, i);
        const rl_node_data_t part = *rl_tree_node(c->tree, extra);
        if (part.kind == RL_NODE_GUARD) {
            if (part.flags & RL_IF) {
                rl_diag_t* diag = rl_report(c->diags, RL_CODE_PATTERN_GUARD_IF_DEPRECATED, rl_span_of(c, extra),
                    "a guard is written with `when`");
                rl_fix(c->diags, diag, RL_FIX_REPLACE, (rl_span_t){part.start, part.start + 2}, "when");
            }
            rl_ir_t condition = rl_check_condition(c, part.a);
            guard = guard ? rl_ir_make(c, RL_IR_AND, RL_TYPE_BOOL, part.start, guard, condition, 0) : condition;
        } else {
            uint32_t local = rl_new_local(c, part.a, type, 0, rl_tree_name_span(c->tree, c->symbols, extra));
            pattern = rl_ir_make(c, RL_PAT_BIND, type, data.start, local, pattern, 0);
            rl_bind(c, part.a, RL_BOUND_LOCAL, local);
        }
    }
    *out_guard = guard;
    return pattern;
}

rl_ir_t rl_infer_match(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_ir_t scrutinee = rl_infer_expr(c, data.a, 0);
    rl_type_t type = rl_type_at(c, scrutinee);
    if (c->open_pendings.count && rl_is_var(c, type)) rl_poll_pendings(c);
    uint32_t count = rl_tree_list_count(c->tree, data.b), mark = c->scratch.count;
    bool known = expected && !rl_is_var(c, expected), conflict = false;
    rl_type_t result = 0;
    uint32_t errors = c->diags->errors;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t arm = rl_tree_list_at(c->tree, data.b, i);
        uint32_t scope = rl_scope_open(c);
        rl_ir_t guard;
        rl_ir_t pattern = check_arm_head(c, arm, type, &guard);
        rl_node_t body_node = rl_tree_node(c->tree, arm)->c;
        c->tail = tail;
        rl_ir_t body;
        if (known) {
            body = rl_check_expr(c, body_node, expected, RL_CODE_TYPE_MISMATCH);
        } else {
            body = rl_infer_expr(c, body_node, 0);
            rl_type_t own = rl_head(c, rl_type_at(c, body));
            if (own != RL_TYPE_NEVER) {
                if (result) rl_note_constraint(c, RL_REASON_PLACE, own, result);
                if (!result || rl_head(c, result) == RL_TYPE_ERROR) {
                    result = own;
                } else if (rl_unify(&c->solver, result, own) == RL_UNIFY_OK) {
                    body = rl_convert(c, body, result, rl_span_of(c, body_node), RL_CODE_TYPE_MISMATCH);
                } else {
                    conflict = true;
                    rl_report_mismatch(c, RL_CODE_TYPE_MATCH_ARM_MISMATCH, rl_span_of(c, body_node), result, own);
                }
            }
        }
        rl_scope_close(c, scope);
        (void)rl_vec_push(c->allocator, &c->scratch, pattern);
        (void)rl_vec_push(c->allocator, &c->scratch, guard);
        (void)rl_vec_push(c->allocator, &c->scratch, body);
    }
    if (rl_failed(c)) {
        c->scratch.count = mark;
        return rl_ir_error(c, data.start);
    }
    if (known) {
        result = RL_TYPE_NEVER;
        for (uint32_t i = 0; i < count; i++) {
            if (rl_head(c, rl_type_at(c, c->scratch.data[mark + 3 * i + 2])) != RL_TYPE_NEVER) result = expected;
        }
    }
    if (!result) result = RL_TYPE_NEVER;
    if (conflict) result = RL_TYPE_ERROR;
    rl_ir_t ir = rl_ir_make(
        c, RL_IR_MATCH, result, data.start, scrutinee, rl_extra_put(c, c->scratch.data + mark, 3 * count), count);
    c->scratch.count = mark;
    rl_later_t later = {RL_LATER_MATCH, ir, node, rl_span_of(c, node), 0};
    if (c->diags->errors == errors) (void)rl_vec_push(c->allocator, &c->later, later);
    return ir;
}

/* --- loops -------------------------------------------------------------------------------------------------------- */

static rl_ir_t infer_for(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_ir_t iterable = rl_infer_expr(c, data.b, 0);
    rl_type_t type = rl_settled_type(c, iterable), element = RL_TYPE_ERROR;
    if (rl_type_kind(c->types, type) == RL_TYPE_VAR) {
        rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, rl_span_of(c, data.b),
            "the type of what is iterated over is not known here");
    } else if (type != RL_TYPE_ERROR && type != RL_TYPE_NEVER) {
        element = rl_element_of_iterable(c, type);
        if (element && rl_is_named(c, type, c->program->known.range, NULL, NULL)) {
            rl_settle_literal(c, element);
            rl_type_t bound = rl_head(c, element);
            if (!rl_type_is_integer(bound) && bound != RL_TYPE_CHAR && bound != RL_TYPE_ERROR &&
                rl_type_kind(c->types, bound) != RL_TYPE_PARAM &&
                rl_unify(&c->solver, element, RL_TYPE_I64) != RL_UNIFY_OK) {
                element = 0;
            }
        }
        if (!element) {
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_LANGUAGE_ITERATOR_EXPECTED, rl_span_of(c, data.b),
                "%s cannot be iterated over", rl_show(c, type));
            rl_note_plain(c->diags, diag, "actual: %s", rl_show(c, type));
            if (type == RL_TYPE_STR) rl_note_plain(c->diags, diag, "use .chars() to walk over the characters");
            element = RL_TYPE_ERROR;
        }
    }
    uint32_t scope = rl_scope_open(c);
    rl_ir_t pattern = rl_check_irrefutable(c, data.a, element, 0);
    rl_loop_t loop = {.frame = c->frame, .result = RL_TYPE_UNIT};
    (void)rl_vec_push(c->allocator, &c->loops, loop);
    c->dropped = true;
    rl_ir_t body = rl_infer_expr(c, data.c, 0);
    if (!rl_failed(c)) c->loops.count--;
    rl_scope_close(c, scope);
    return rl_ir_make(c, RL_IR_FOR, RL_TYPE_UNIT, data.start, iterable, pattern, body);
}

rl_ir_t rl_infer_loop(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    if (data.kind == RL_NODE_FOR) return infer_for(c, node);
    rl_loop_t loop = {.frame = c->frame, .is_loop = data.kind == RL_NODE_LOOP, .result = RL_TYPE_UNIT};
    if (loop.is_loop) loop.result = expected && !rl_is_var(c, expected) ? expected : 0;
    rl_ir_t condition = loop.is_loop ? 0 : rl_check_condition(c, data.a);
    uint32_t depth = c->loops.count;
    if (!rl_vec_push(c->allocator, &c->loops, loop)) return rl_ir_error(c, data.start);
    c->dropped = true;
    rl_ir_t body = rl_infer_expr(c, loop.is_loop ? data.a : data.b, 0);
    if (rl_failed(c)) return rl_ir_error(c, data.start);
    loop = c->loops.data[depth];
    c->loops.count = depth;
    if (!loop.is_loop) return rl_ir_make(c, RL_IR_WHILE, RL_TYPE_UNIT, data.start, condition, body, 0);
    rl_type_t type = loop.has_break ? (loop.result ? loop.result : RL_TYPE_NEVER) : RL_TYPE_NEVER;
    return rl_ir_make(c, RL_IR_LOOP, type, data.start, body, 0, 0);
}

/* --- jumps -------------------------------------------------------------------------------------------------------- */

static rl_ir_t infer_return(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t home = rl_home_frame(c);
    rl_frame_t frame = c->frames.data[home];
    if (frame.kind == RL_FRAME_INIT || frame.kind == RL_FRAME_DEFER || frame.kind == RL_FRAME_HANDLER) {
        rl_report(c->diags, RL_CODE_LANGUAGE_CONTROL_FLOW_INVALID_RETURN, rl_span_of(c, node),
            frame.kind == RL_FRAME_DEFER ? "return inside a deferred expression" : "return outside of a function");
        if (data.a) rl_infer_expr(c, data.a, 0);
        return rl_ir_make(c, RL_IR_RETURN, RL_TYPE_NEVER, data.start, 0, 0, 0);
    }
    rl_ir_t value = 0;
    if (data.a) {
        c->tail = true;
        if (frame.result_known) {
            value = rl_check_expr(c, data.a, frame.result, RL_CODE_TYPE_MISMATCH);
        } else {
            value = rl_infer_expr(c, data.a, rl_is_var(c, frame.result) ? 0 : frame.result);
            value = rl_convert(c, value, frame.result, rl_span_of(c, data.a), RL_CODE_TYPE_MISMATCH);
        }
    } else if (rl_unify(&c->solver, frame.result, RL_TYPE_UNIT) != RL_UNIFY_OK) {
        rl_report_mismatch(c, RL_CODE_TYPE_MISMATCH, rl_span_of(c, node), frame.result, RL_TYPE_UNIT);
    }
    rl_ir_t ir = rl_leave(c, RL_IR_RETURN, value, home, data.start);
    if (rl_program_node(c->program, ir)->op == RL_IR_RETURN) (void)rl_vec_push(c->allocator, &c->returns, ir);
    return ir;
}

/* Is the code being checked part of the code of `frame`? */
static bool is_part_of(rl_checker_t* c, uint32_t frame) {
    uint32_t at = rl_frame_resolve(c, c->frame);
    for (frame = rl_frame_resolve(c, frame); at != frame; at = rl_frame_resolve(c, c->frames.data[at].parent)) {
        rl_frame_kind_t kind = (rl_frame_kind_t)c->frames.data[at].kind;
        if (kind != RL_FRAME_BODY && kind != RL_FRAME_CLAUSE) return false;
    }
    return true;
}

static rl_ir_t infer_break(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t top = c->loops.count;
    if (top == 0 || !is_part_of(c, c->loops.data[top - 1].frame)) {
        const char* word = data.kind == RL_NODE_BREAK ? "break" : "continue";
        rl_report(
            c->diags, RL_CODE_LANGUAGE_CONTROL_FLOW_INVALID_BREAK, rl_span_of(c, node), "%s outside of a loop", word);
        if (data.kind == RL_NODE_BREAK && data.a) rl_infer_expr(c, data.a, 0);
        return rl_ir_make(
            c, data.kind == RL_NODE_BREAK ? RL_IR_BREAK : RL_IR_CONTINUE, RL_TYPE_NEVER, data.start, 0, 0, 0);
    }
    rl_loop_t loop = c->loops.data[top - 1];
    uint32_t frame = rl_frame_resolve(c, loop.frame);
    if (data.kind == RL_NODE_CONTINUE) return rl_leave(c, RL_IR_CONTINUE, 0, frame, data.start);
    rl_ir_t value = 0;
    rl_type_t type = RL_TYPE_UNIT;
    if (data.a) {
        if (loop.result) {
            value = rl_check_expr(c, data.a, loop.result, RL_CODE_TYPE_MISMATCH);
            type = loop.result;
        } else {
            value = rl_infer_expr(c, data.a, 0);
            type = rl_type_at(c, value);
        }
        if (!loop.is_loop)
            value = rl_ir_make(c, RL_IR_SEQUENCE, RL_TYPE_UNIT, data.start, value, rl_ir_unit(c, data.start), 0);
    } else if (loop.result) {
        rl_unify_at(c, loop.result, RL_TYPE_UNIT, rl_span_of(c, node), RL_CODE_TYPE_MISMATCH);
    }
    if (rl_failed(c)) return rl_ir_error(c, data.start);
    rl_loop_t* open = &c->loops.data[top - 1];
    open->has_break = true;
    if (!open->result && rl_head(c, type) != RL_TYPE_NEVER) open->result = type;
    return rl_leave(c, RL_IR_BREAK, value, frame, data.start);
}

rl_ir_t rl_infer_jump(rl_checker_t* c, rl_node_t node) {
    return rl_tree_kind(c->tree, node) == RL_NODE_RETURN ? infer_return(c, node) : infer_break(c, node);
}

/* --- dispatch ----------------------------------------------------------------------------------------------------- */

static rl_ir_t infer(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail, bool dropped) {
    const rl_node_data_t* data = rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    switch ((rl_node_kind_t)data->kind) {
    case RL_NODE_INT:
    case RL_NODE_FLOAT:
    case RL_NODE_CHAR:
    case RL_NODE_STRING:
    case RL_NODE_BOOL:
    case RL_NODE_UNIT: return rl_infer_literal(c, node, expected, false);
    case RL_NODE_NAME: return rl_infer_name(c, node, expected);
    case RL_NODE_PAREN:
        c->tail = tail;
        c->dropped = dropped;
        return rl_infer_expr(c, data->a, expected);
    case RL_NODE_TUPLE: return rl_infer_tuple(c, node, expected);
    case RL_NODE_LIST: return rl_infer_list(c, node, expected);
    case RL_NODE_EMPTY: return rl_infer_empty(c, node, expected, dropped);
    case RL_NODE_RECORD: return rl_infer_record(c, node, expected);
    case RL_NODE_MAP: return rl_infer_map(c, node, expected);
    case RL_NODE_BLOCK: return rl_infer_block(c, node, expected, tail, dropped);
    case RL_NODE_LAMBDA: return rl_check_lambda(c, node, expected);
    case RL_NODE_IF: return rl_infer_if(c, node, expected, tail);
    case RL_NODE_MATCH: return rl_infer_match(c, node, expected, tail);
    case RL_NODE_WHILE:
    case RL_NODE_FOR:
    case RL_NODE_LOOP: return rl_infer_loop(c, node, expected);
    case RL_NODE_RETURN:
    case RL_NODE_BREAK:
    case RL_NODE_CONTINUE: return rl_infer_jump(c, node);
    case RL_NODE_UNARY: return rl_infer_unary(c, node, expected);
    case RL_NODE_POWER: return rl_infer_power(c, node);
    case RL_NODE_RANGE: return rl_infer_range(c, node, expected);
    case RL_NODE_BINARY:
    case RL_NODE_PIPE:
    case RL_NODE_CAST:
    case RL_NODE_FIELD:
    case RL_NODE_TUPLE_INDEX:
    case RL_NODE_TRY:
    case RL_NODE_CALL:
    case RL_NODE_INDEX:
    case RL_NODE_AWAIT: return rl_infer_spine(c, node, expected, tail);
    case RL_NODE_ASSIGN: return rl_check_assign(c, node);
    case RL_NODE_UNSAFE: {
        rl_node_t block = data->a;
        rl_list_t attrs = data->b;
        rl_note_region(c, span, RL_REGION_UNSAFE);
        rl_note_contract(c, 0, node, 0, attrs);
        c->dropped = dropped;
        rl_ir_t body = rl_infer_expr(c, block, expected);
        return rl_ir_make(c, RL_IR_UNSAFE, rl_type_at(c, body), span.start, body, 0, 0);
    }
    case RL_NODE_ASYNC: return rl_infer_async(c, node, expected);
    case RL_NODE_PERFORM: return rl_infer_perform(c, node, expected);
    case RL_NODE_HANDLE: return rl_infer_handle(c, node, expected);
    case RL_NODE_INLINE_ASM:
    case RL_NODE_LLVM_IR:
        rl_report(c->diags, RL_CODE_NATIVE_UNSTABLE_DISABLED, span, "this runtime does not execute native code");
        break;
    case RL_NODE_HOLE:
        rl_report(c->diags, RL_CODE_TYPE_UNRESOLVED_IDENT, span, "`_` has a meaning only as an argument or a pattern");
        break;
    case RL_NODE_DEFER:
    case RL_NODE_VALUE:
    case RL_NODE_FN: return rl_check_statements(c, 0, node, true, span.start, 0, false, true);
    default: break;
    }
    return rl_ir_error(c, span.start);
}

typedef struct far_call {
    rl_checker_t* c;
    rl_node_t node;
    rl_type_t expected;
    bool tail, dropped;
    rl_ir_t ir;
} far_call_t;
static void infer_far(void* user) {
    far_call_t* call = user;
    call->ir = infer(call->c, call->node, call->expected, call->tail, call->dropped);
}

rl_ir_t rl_infer_expr(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    bool tail = c->tail, dropped = c->dropped;
    c->tail = c->dropped = false;
    if (rl_failed(c)) return rl_ir_error(c, 0);
    uint32_t place = rl_note_place(c, node);
    if (RL_UNLIKELY(c->telemetry != NULL)) rl_note_expression_now(c);
    rl_ir_t ir;
    if (++c->depth >= RL_BIG_STACK_AT && !c->on_big_stack) {
        far_call_t call = {c, node, expected, tail, dropped, 0};
        c->on_big_stack = true;
        if (!rl_os_call_with_stack(RL_BIG_STACK_BYTES, infer_far, &call)) {
            c->allocator->failed = true;
            call.ir = rl_ir_error(c, 0);
        }
        c->on_big_stack = false;
        ir = call.ir;
    } else {
        ir = infer(c, node, expected, tail, dropped);
    }
    c->depth--;
    rl_note_place(c, place);
    return ir;
}
