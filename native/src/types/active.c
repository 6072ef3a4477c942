/*
 * Active patterns (LANGUAGE 5.7): `pattern (|N|_|)(x) = …` declares a function in a name space of its own (3, beside
 * types, values and modules); `(|N|_|) p` in a pattern calls it with the value and matches `p` on what it answers.
 */
#include "types/infer.h"

/* --- declarations ------------------------------------------------------------------------------------------------- */

/* A function or value of this module that has the name of one of its active patterns. */
void rl_check_active_names(rl_checker_t* c) {
    rl_program_t* program = c->program;
    for (uint32_t i = 0; i < c->units.count; i++) {
        const rl_unit_t* unit = &c->units.data[i];
        if (unit->kind != RL_UNIT_FN || rl_tree_kind(c->tree, unit->node) != RL_NODE_ACTIVE) continue;
        const rl_function_t function = *rl_program_function(program, unit->fn);
        for (uint32_t at = rl_program_find(program, c->module, 1, function.name); at;
            at = rl_program_item(program, at)->next) {
            const rl_item_t item = *rl_program_item(program, at);
            bool own = item.kind == RL_ITEM_FUNCTION  ? rl_program_function(program, item.id)->module == c->module
                       : item.kind == RL_ITEM_VARIANT ? rl_program_typedef(program, item.id)->module == c->module
                                                      : rl_program_global(program, item.id)->module == c->module;
            if (!own) continue;
            rl_str_t text = rl_text(c, function.name);
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_PATTERN_ACTIVE_NAME_CONFLICT, function.span,
                "%.*s is also the name of a %s", RL_STR_ARG(text),
                item.kind == RL_ITEM_FUNCTION  ? "function"
                : item.kind == RL_ITEM_VARIANT ? "constructor"
                                               : "value");
            rl_note(c->diags, diag, item.span, "defined here");
            break;
        }
    }
}

/* After its body has been checked: a partial pattern answers Option<T>, a total one anything but a Result. */
void rl_check_active_result(rl_checker_t* c, rl_fn_id_t fn, rl_node_t body, bool partial) {
    const rl_known_t* known = &c->program->known;
    rl_type_t result = rl_program_function(c->program, fn)->result, head = rl_head(c, result);
    if (head == RL_TYPE_ERROR || head == RL_TYPE_NEVER) return;
    rl_span_t span = rl_span_of(c, body);
    rl_str_t name = rl_text(c, rl_program_function(c->program, fn)->name);
    if (partial && rl_type_kind(c->types, head) == RL_TYPE_VAR) {
        (void)rl_unify(&c->solver, head, rl_named1(c, known->option, rl_fresh(c, span)));
    } else if (partial && !rl_is_named(c, head, known->option, NULL, NULL)) {
        rl_report(c->diags, RL_CODE_PATTERN_ACTIVE_RETURN_CONTRACT_INVALID, span,
            "the partial pattern %.*s must answer an Option, found %s", RL_STR_ARG(name), rl_show(c, head));
    } else if (!partial && rl_is_named(c, head, known->result, NULL, NULL)) {
        rl_report(c->diags, RL_CODE_PATTERN_ACTIVE_RETURN_CONTRACT_INVALID, span,
            "the total pattern %.*s must not answer a Result", RL_STR_ARG(name));
    }
}

/* --- uses --------------------------------------------------------------------------------------------------------- */

/* The value under a pattern, evaluated once into a local without name, so that an expression can be made of it. */
rl_ir_t rl_pattern_value(rl_checker_t* c, rl_type_t type, rl_span_t span, uint32_t* out_local) {
    *out_local = rl_new_local(c, 0, type, 0, span);
    return rl_failed(c) ? rl_ir_error(c, span.start) : rl_read_local(c, *out_local, span.start);
}

static rl_ir_t failed_use(rl_checker_t* c, rl_node_t argument, uint32_t start) {
    if (argument) rl_check_inner_pattern(c, argument, RL_TYPE_ERROR);
    return rl_ir_make(c, RL_PAT_WILDCARD, RL_TYPE_ERROR, start, 0, 0, 0);
}

rl_ir_t rl_check_active_pattern(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_known_t* known = &c->program->known;
    bool partial = (data.flags & RL_PARTIAL) != 0;
    rl_span_t name_span = rl_span_of(c, data.a), span = rl_span_of(c, node);
    rl_sym_t name = rl_tree_name(c->tree, data.a);
    uint32_t item = rl_find_item(c, RL_SPACE_ACTIVE, name);
    if (!item) {
        if (!c->saw_unsupported) rl_report_unresolved(c, name, name_span, 1);
        return failed_use(c, data.b, data.start);
    }
    rl_fn_id_t fn = rl_program_item(c->program, item)->id;
    uint32_t local, errors = c->diags->errors;
    rl_ir_t value = rl_pattern_value(c, type, name_span, &local);
    rl_arg_t arg = {.ir = value, .span = name_span};
    rl_ir_t call = rl_call_function(c, fn, &arg, 1, node, name_span, 0);
    rl_type_t result = rl_type_at(c, call), head = rl_head(c, result), payload = 0;
    if (c->diags->errors > errors || head == RL_TYPE_ERROR) return failed_use(c, data.b, data.start);
    rl_ir_t inner;
    if (!partial) {
        inner = data.b ? rl_check_inner_pattern(c, data.b, result)
                       : rl_ir_make(c, RL_PAT_WILDCARD, result, data.start, 0, 0, 0);
    } else {
        if (rl_type_kind(c->types, head) == RL_TYPE_VAR) {
            payload = rl_fresh(c, span);
            (void)rl_unify(&c->solver, head, rl_named1(c, known->option, payload));
            head = rl_head(c, head);
        }
        if (!rl_is_named(c, head, known->option, &payload, NULL)) {
            /* where its declaration promises an Option the fault has been reported there */
            if (!(rl_program_function(c->program, fn)->flags & RL_FN_PARTIAL) && head != RL_TYPE_NEVER) {
                rl_str_t text = rl_text(c, name);
                rl_report(c->diags, RL_CODE_PATTERN_ACTIVE_RETURN_CONTRACT_INVALID, name_span,
                    "%.*s answers %s: only a pattern that answers an Option can be used as a partial one",
                    RL_STR_ARG(text), rl_show(c, head));
            }
            return failed_use(c, data.b, data.start);
        }
        rl_ir_t part = data.b ? rl_check_inner_pattern(c, data.b, payload)
                              : rl_ir_make(c, RL_PAT_WILDCARD, payload, data.start, 0, 0, 0);
        inner = rl_ir_make(c, RL_PAT_VARIANT, head, data.start, rl_extra_put(c, &part, 1), 1,
            rl_variant_tag(c, known->option, c->sym_some));
        if (rl_type_at(c, part) == RL_TYPE_ERROR)
            return rl_ir_make(c, RL_PAT_WILDCARD, RL_TYPE_ERROR, data.start, 0, 0, 0);
    }
    rl_ir_t ir = rl_ir_make(c, RL_PAT_ACTIVE, type, data.start, local, call, inner);
    if (!partial && !rl_failed(c)) (void)rl_vec_push(c->allocator, &c->total_actives, ir);
    return ir;
}

/* Which total patterns match everything: asked innermost first, so that each question is about one level. */
void rl_settle_actives(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->total_actives.count && !rl_failed(c); i++) {
        rl_ir_t ir = c->total_actives.data[i], inner = rl_node_at(c, ir)->c;
        if (rl_pattern_irrefutable(&c->solver, rl_type_at(c, inner), inner))
            rl_node_at(c, ir)->flags |= RL_PAT_ACTIVE_COVERS;
    }
}
