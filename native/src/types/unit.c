/*
 * Units: top-level functions, values and statements, inferred per strongly connected component in dependency order
 * (LANGUAGE 4.4). Edges are names: every identifier and every `.m` points to all items of the module with that name.
 */
#include "types/infer.h"

#include <stdlib.h>

/* --- edges -------------------------------------------------------------------------------------------------------- */

typedef struct named_unit {
    rl_sym_t name;
    uint32_t unit, next; /* next of the same name, + 1 */
} named_unit_t;

typedef struct edges {
    RL_VEC(named_unit_t) named;
    rl_map_t by_name; /* symbol → index in named, + 1 */
    RL_VEC(uint32_t) from, to;
    RL_VEC(uint32_t) last; /* by unit: the unit that last got an edge to it, + 1 */
} edges_t;

static void name_unit(rl_checker_t* c, edges_t* e, rl_sym_t name, uint32_t unit) {
    uint32_t head = 0;
    (void)rl_map_get(&e->by_name, name, &head);
    named_unit_t entry = {name, unit, head};
    if (name && rl_vec_push(c->allocator, &e->named, entry))
        (void)rl_map_put(c->allocator, &e->by_name, name, e->named.count);
}

static void add_edge(rl_checker_t* c, edges_t* e, uint32_t from, uint32_t to) {
    if (rl_failed(c) || e->last.data[to] == from + 1) return;
    e->last.data[to] = from + 1;
    (void)rl_vec_push(c->allocator, &e->from, from);
    (void)rl_vec_push(c->allocator, &e->to, to);
}

/*
 * A name that several units have gets a hub between: a unit without code that everyone who uses the name needs,
 * and that
 * needs all of them. So there are as many edges as names in the source, not names times units.
 */
static void add_hubs(rl_checker_t* c, edges_t* e) {
    for (uint32_t i = 0; i < e->named.count && !rl_failed(c); i++) {
        uint32_t head = 0;
        (void)rl_map_get(&e->by_name, e->named.data[i].name, &head);
        if (head != i + 1 || e->named.data[i].next == 0) continue;
        rl_unit_t hub = {.kind = RL_UNIT_HUB, .span = {UINT32_MAX, UINT32_MAX}};
        uint32_t index = c->units.count;
        (void)rl_vec_push(c->allocator, &c->units, hub);
        (void)rl_vec_push(c->allocator, &e->last, 0);
        for (uint32_t at = i + 1; at; at = e->named.data[at - 1].next)
            add_edge(c, e, index, e->named.data[at - 1].unit);
        e->named.data[i].unit = index;
        e->named.data[i].next = 0;
    }
}

static void add_edges(rl_checker_t* c, edges_t* e, uint32_t from, rl_sym_t name) {
    uint32_t at = 0;
    if (name && rl_map_get(&e->by_name, name, &at)) add_edge(c, e, from, e->named.data[at - 1].unit);
}

/* Words inside the braces of a format template are names too; it is parsed only later. */
static void add_template_edges(rl_checker_t* c, edges_t* e, uint32_t from, rl_str_t text) {
    bool inside = false;
    size_t start = 0;
    for (size_t i = 0; i <= text.length; i++) {
        unsigned char at = i < text.length ? (unsigned char)text.data[i] : 0;
        bool word = (at >= 'a' && at <= 'z') || (at >= 'A' && at <= 'Z') || (at >= '0' && at <= '9') || at == '_' ||
                    at == '\'' || at >= 0x80;
        if (word) continue;
        if (inside && i > start)
            add_edges(c, e, from, rl_sym_find(c->symbols, (rl_str_t){text.data + start, i - start}));
        start = i + 1;
        if (at == '{') inside = true;
    }
}

static uint32_t unit_at(rl_checker_t* c, uint32_t offset, uint32_t guess) {
    const rl_unit_t* units = c->units.data;
    if (guess < c->units.count && units[guess].span.start <= offset && offset < units[guess].span.end) return guess;
    uint32_t low = 0, high = c->units.count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (units[middle].span.start <= offset) low = middle;
        else high = middle;
    }
    return low < c->units.count && units[low].span.start <= offset && offset < units[low].span.end ? low : UINT32_MAX;
}

static void collect_edges(rl_checker_t* c, edges_t* e) {
    const rl_program_t* program = c->program;
    for (uint32_t i = 0; i < c->units.count; i++) {
        const rl_unit_t* unit = &c->units.data[i];
        (void)rl_vec_push(c->allocator, &e->last, 0);
        if (unit->kind == RL_UNIT_FN && !unit->annotated)
            name_unit(c, e, rl_program_function(program, unit->fn)->name, i);
        for (uint32_t k = 0; unit->kind == RL_UNIT_VALUE && k < unit->global_count; k++) {
            rl_sym_t name = rl_program_global(program, unit->first_global + k)->name;
            name_unit(c, e, name, i);
            rl_str_t text = rl_text(c, name); /* `Type.name`: reached by its last part */
            for (size_t at = text.length; at-- > 0;) {
                if (text.data[at] != '.') continue;
                name_unit(c, e, rl_sym_find(c->symbols, (rl_str_t){text.data + at + 1, text.length - at - 1}), i);
                break;
            }
        }
    }
    add_hubs(c, e);
    uint32_t guess = 0;
    /* Whoever writes all his types out has named nothing: no unit waits for another. */
    for (rl_node_t node = 1; e->named.count && node < c->tree->nodes.count && !rl_failed(c); node++) {
        const rl_node_data_t* data = rl_tree_node(c->tree, node);
        rl_sym_t name;
        switch (data->kind) {
        case RL_NODE_NAME: name = data->a; break;
        case RL_NODE_FIELD: name = data->b; break;
        case RL_NODE_STRING: name = 0; break;
        default: continue;
        }
        uint32_t unused;
        if (name && !rl_map_get(&e->by_name, name, &unused)) continue;
        uint32_t offset = data->kind == RL_NODE_FIELD ? data->c : data->start;
        uint32_t unit = unit_at(c, offset, guess);
        if (unit == UINT32_MAX) continue;
        guess = unit;
        if (data->kind == RL_NODE_STRING) {
            rl_str_t text = rl_tree_string(c->tree, node);
            if (text.length && memchr(text.data, '{', text.length)) add_template_edges(c, e, unit, text);
        } else {
            add_edges(c, e, unit, name);
        }
    }
    if (rl_failed(c)) return;
    if (rl_failed(c)) return; /* half an edge may be there */
    /* by unit, one run each */
    for (uint32_t i = 0; i < e->from.count; i++) c->units.data[e->from.data[i]].edge_count++;
    uint32_t first = 0;
    for (uint32_t i = 0; i < c->units.count; i++) {
        c->units.data[i].edge_first = first;
        first += c->units.data[i].edge_count;
        c->units.data[i].edge_count = 0;
    }
    if (!rl_vec_reserve(c->allocator, &c->edges, first + 1)) return;
    c->edges.count = first;
    for (uint32_t i = 0; i < e->from.count; i++) {
        rl_unit_t* unit = &c->units.data[e->from.data[i]];
        c->edges.data[unit->edge_first + unit->edge_count++] = e->to.data[i];
    }
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

static void enter_unit(rl_checker_t* c, uint32_t index) {
    const rl_unit_t* unit = &c->units.data[index];
    c->unit = index;
    rl_note_place(c, unit->node);
    c->generics.count = 0;
    for (uint32_t i = 0; i < unit->generic_count; i++)
        (void)rl_vec_push(c->allocator, &c->generics, c->generics_store.data[unit->generic_first + i]);
    c->self_type = unit->self_type;
    c->implicit_params = unit->kind == RL_UNIT_FN ? 2 : 0;
    c->rigid.count = 0;
    if (unit->fn) {
        const rl_function_t function = *rl_program_function(c->program, unit->fn);
        for (uint32_t i = 0; i < function.constraint_count; i++)
            (void)rl_vec_push(
                c->allocator, &c->rigid, *rl_program_constraint(c->program, function.constraint_first + i));
        rl_imply_constraints(c);
    }
    c->solver.level = 1;
    c->loops.count = 0;
}

static void check_defaults(rl_checker_t* c, rl_fn_id_t fn, rl_list_t params) {
    const rl_function_t function = *rl_program_function(c->program, fn);
    uint32_t outer = c->frame;
    for (uint32_t i = 0; i < function.param_count && !rl_failed(c); i++) {
        rl_param_t param = *rl_program_param(c->program, function.param_first + i);
        if (!param.default_fn) continue;
        rl_node_t value = rl_tree_node(c->tree, rl_tree_list_at(c->tree, params, i))->c;
        uint32_t frame = rl_frame_push(c, RL_FRAME_DEFAULT, param.default_fn);
        c->frames.data[frame].result = param.type;
        c->frames.data[frame].result_known = true;
        uint32_t scope = rl_scope_open(c);
        for (uint32_t k = 0; k < i; k++) {
            rl_param_t earlier = *rl_program_param(c->program, function.param_first + k);
            rl_bind(c, earlier.name, RL_BOUND_LOCAL,
                rl_new_local(c, earlier.name, earlier.type, RL_LOCAL_IS_PARAM, rl_span_of(c, value)));
        }
        rl_check_body(c, value);
        rl_scope_close(c, scope);
        rl_frame_pop(c);
        c->frame = outer;
    }
}

static void infer_function(rl_checker_t* c, uint32_t index) {
    const rl_unit_t unit = c->units.data[index];
    if (rl_tree_kind(c->tree, unit.node) == RL_NODE_HANDLER_DECL) {
        rl_infer_handler(c, index);
        return;
    }
    rl_list_t params;
    rl_node_t body;
    bool known, is_async = false;
    if (rl_tree_kind(c->tree, unit.node) == RL_NODE_VALUE) { /* let f = |x| … */
        rl_node_t lambda = rl_tree_value(c->tree, unit.node).value;
        while (rl_tree_kind(c->tree, lambda) == RL_NODE_PAREN) lambda = rl_tree_node(c->tree, lambda)->a;
        const rl_node_data_t data = *rl_tree_node(c->tree, lambda);
        params = data.a;
        body = data.c;
        known = data.b != 0;
    } else if (rl_tree_kind(c->tree, unit.node) == RL_NODE_ACTIVE) {
        rl_active_decl_t decl = rl_tree_active(c->tree, unit.node);
        params = decl.params;
        body = decl.body;
        known = false;
    } else {
        rl_fn_decl_t decl = rl_tree_fn(c->tree, unit.node);
        params = decl.params;
        body = decl.body;
        known = decl.result != 0;
        is_async = rl_tree_has(c->tree, unit.node, RL_ASYNC);
    }
    c->unit_is_direct = false;
    check_defaults(c, unit.fn, params);
    if (!body || rl_failed(c)) return;
    const rl_function_t function = *rl_program_function(c->program, unit.fn);
    uint32_t scope = rl_scope_open(c), count = function.param_count;
    uint32_t frame = rl_frame_push(c, RL_FRAME_FN, unit.fn);
    c->frames.data[frame].result = function.result;
    c->frames.data[frame].result_known = known;
    c->frames.data[frame].is_async_fn = is_async;
    rl_words_mark_t words = rl_words_mark(c);
    rl_type_t* types = rl_words(c, 2 * count);
    if (types) {
        uint32_t* nodes = types + count;
        for (uint32_t i = 0; i < count; i++) {
            types[i] = rl_program_param(c->program, function.param_first + i)->type;
            nodes[i] = rl_tree_list_at(c->tree, params, i);
        }
        rl_check_params(c, nodes, count, types, count, types);
        rl_check_body(c, body);
    }
    rl_words_release(c, words);
    if (rl_tree_kind(c->tree, unit.node) == RL_NODE_ACTIVE)
        rl_check_active_result(c, unit.fn, body, rl_tree_has(c->tree, unit.node, RL_PARTIAL));
    rl_frame_pop(c);
    c->frame = 0;
    rl_scope_close(c, scope);
}

/* A generic value: a function that every use calls. The item of its name becomes that function. */
static void publish_thunk(rl_checker_t* c, uint32_t index, rl_fn_id_t fn, uint32_t frame, rl_type_t type) {
    rl_program_t* program = c->program;
    const rl_unit_t unit = c->units.data[index];
    rl_type_list_t vars = {{0}};
    uint32_t params = 0, first = program->first_constraint + program->constraints.count, constraints = 0;
    (void)rl_solver_open_vars(&c->solver, type, &vars);
    for (uint32_t i = 0; i < vars.items.count; i++) {
        const rl_var_t* var = rl_solver_var(&c->solver, vars.items.data[i]);
        if (!var || var->level == 0 || var->klass != RL_VAR_FREE || var->origin == RL_FROM_EMPTY_LIST ||
            var->origin == RL_FROM_EMPTY_MAP)
            continue;
        rl_constraint_t constraint = {.param = params, .kinds = var->constraints};
        if (constraint.kinds) constraints += rl_vec_push(c->allocator, &program->constraints, constraint);
        (void)rl_solver_bind(&c->solver, vars.items.data[i], rl_type_param(c->types, params++));
    }
    if (params && c->open_demands.count) {
        rl_taken_demands_t taken = {0};
        (void)rl_take_demands(c, 0, params, &taken);
        for (uint32_t i = 0; i < taken.count; i++)
            constraints += rl_vec_push(c->allocator, &program->constraints, rl_demand_as_constraint(c, taken.data[i]));
        rl_vec_deinit(c->allocator, &taken);
    }
    rl_vec_deinit(c->allocator, &vars.items);
    rl_lower_levels(c, type, 0);
    type = rl_solver_zonk(&c->solver, type);
    rl_global_t global = *rl_program_global(program, unit.first_global);
    rl_function_t* function = rl_function_at(c, fn);
    function->type_params = params;
    function->constraint_first = first;
    function->constraint_count = constraints;
    function->result = type;
    function->name = global.name;
    function->flags |= global.is_public ? RL_FN_PUBLIC : 0;
    c->frames.data[frame].own_params = params;
    c->units.data[index].fn = fn;
    (void)rl_map_put(c->allocator, &c->unit_of_fn, fn, index);
    uint32_t item = rl_program_find(program, c->module, 1, global.name);
    if (item >= program->first_item) {
        program->items.data[item - program->first_item].kind = RL_ITEM_FUNCTION;
        program->items.data[item - program->first_item].id = fn;
    }
    (void)rl_unify(&c->solver, global.type, RL_TYPE_UNIT); /* nothing reads the global any more */
}

static void infer_value(rl_checker_t* c, uint32_t index) {
    rl_program_t* program = c->program;
    const rl_unit_t unit = c->units.data[index];
    rl_value_decl_t decl = rl_tree_value(c->tree, unit.node);
    const rl_node_data_t pattern = *rl_tree_node(c->tree, decl.pattern);
    rl_span_t pattern_span = rl_span_of(c, decl.pattern);
    uint32_t start = rl_tree_node(c->tree, unit.node)->start, scope = rl_scope_open(c);
    bool is_var = rl_tree_has(c->tree, unit.node, RL_MUT), may_generalise = false;
    c->frame = c->init_frame;
    c->unit_is_direct = true;
    rl_type_t annotation = decl.type ? rl_resolve_type(c, decl.type) : 0;
    for (uint32_t i = 0; decl.type && i < unit.global_count; i++)
        program->globals.data[unit.first_global + i - program->first_global].flags |= RL_LOCAL_ANNOTATED;
    bool is_value = rl_is_value_node(c, decl.value, &may_generalise);
    bool plain = pattern.kind == RL_NODE_PAT_NAME && unit.global_count == 1;
    rl_ir_t value;
    if (plain && !is_var && !decl.type && is_value && may_generalise) {
        rl_fn_id_t fn;
        uint32_t frame;
        c->solver.level = 0;
        value = rl_check_maybe_generic(c, pattern.a, pattern_span, decl.value, &fn, &frame);
        c->solver.level = 1;
        if (fn && !rl_failed(c)) {
            publish_thunk(c, index, fn, frame, rl_type_at(c, value));
            rl_scope_close(c, scope);
            return;
        }
    } else if (decl.type) {
        value = rl_check_annotated(c, decl.value, annotation);
    } else {
        value = rl_infer_expr(c, decl.value, 0);
    }
    rl_type_t type = decl.type ? annotation : rl_type_at(c, value);
    rl_lower_levels(c, type, 0);
    rl_note_let(c, type, pattern_span, is_var, is_value);
    if (plain && !rl_failed(c)) {
        rl_type_t global_type = rl_program_global(program, unit.first_global)->type;
        if (rl_head(c, type) == RL_TYPE_NEVER) (void)rl_solver_bind(&c->solver, global_type, RL_TYPE_NEVER);
        else rl_unify_at(c, global_type, type, rl_span_of(c, decl.value), RL_CODE_TYPE_MISMATCH);
        rl_ir_t set = rl_ir_make(c, RL_IR_SET_GLOBAL, RL_TYPE_UNIT, start, unit.first_global, value, 0);
        rl_node_at(c, set)->flags = 1;
        c->units.data[index].ir = set;
    } else if (!rl_failed(c)) {
        rl_ir_t made = rl_check_irrefutable(c, decl.pattern, type, 0);
        uint32_t mark = c->scratch.count;
        (void)rl_vec_push(c->allocator, &c->scratch, rl_ir_make(c, RL_IR_LET, RL_TYPE_UNIT, start, made, value, 0));
        for (uint32_t i = 0; i < unit.global_count && !rl_failed(c); i++) {
            rl_global_t global = *rl_program_global(program, unit.first_global + i);
            const rl_binding_t* binding = rl_find_binding(c, global.name);
            if (!binding || binding->kind != RL_BOUND_LOCAL) continue;
            uint32_t local = binding->index;
            rl_unify_at(c, global.type, c->locals.data[local].type, global.span, RL_CODE_TYPE_MISMATCH);
            rl_ir_t read = rl_read_local(c, local, global.span.start);
            rl_ir_t set = rl_ir_make(c, RL_IR_SET_GLOBAL, RL_TYPE_UNIT, start, unit.first_global + i, read, 0);
            rl_node_at(c, set)->flags = 1;
            (void)rl_vec_push(c->allocator, &c->scratch, set);
        }
        if (!rl_failed(c))
            c->units.data[index].ir =
                rl_ir_block(c, RL_TYPE_UNIT, start, c->scratch.data + mark, c->scratch.count - mark, 0);
        c->scratch.count = mark;
    }
    rl_scope_close(c, scope);
}

static void infer_statement(rl_checker_t* c, uint32_t index) {
    const rl_unit_t unit = c->units.data[index];
    uint32_t scope = rl_scope_open(c);
    c->frame = c->init_frame;
    c->unit_is_direct = true;
    c->dropped = true;
    rl_ir_t ir = rl_infer_expr(c, unit.node, 0);
    if (rl_tree_kind(c->tree, unit.node) != RL_NODE_ASSIGN) rl_check_dropped(c, unit.node, ir);
    c->units.data[index].ir = ir;
    rl_scope_close(c, scope);
}

/* Default of a record field: a function of nothing. */
static void infer_default(rl_checker_t* c, uint32_t index) {
    const rl_unit_t unit = c->units.data[index];
    c->unit_is_direct = false;
    uint32_t frame = rl_frame_push(c, RL_FRAME_DEFAULT, unit.fn);
    c->frames.data[frame].result = rl_program_function(c->program, unit.fn)->result;
    c->frames.data[frame].result_known = true;
    rl_check_body(c, unit.node);
    rl_frame_pop(c);
    c->frame = 0;
}

/* --- components --------------------------------------------------------------------------------------------------- */

/* The variables of signatures that are not written out are made when their component begins: they belong to it. */
static void renew_signature(rl_checker_t* c, const rl_unit_t* unit) {
    rl_program_t* program = c->program;
    if (unit->kind != RL_UNIT_FN || unit->annotated) return;
    rl_function_t* function = rl_function_at(c, unit->fn);
    for (uint32_t i = 0; i < function->param_count; i++) {
        uint32_t at = function->param_first + i - program->first_param;
        if (rl_type_kind(c->types, program->params.data[at].type) != RL_TYPE_VAR) continue;
        rl_type_t fresh = rl_fresh(c, function->span);
        program->params.data[at].type = fresh;
        rl_function_t* made = rl_function_at(c, program->params.data[at].default_fn);
        if (made) made->result = fresh;
    }
    rl_type_t value;
    if (rl_tree_kind(c->tree, unit->node) == RL_NODE_FN && rl_tree_has(c->tree, unit->node, RL_ASYNC) &&
        rl_is_named(c, function->result, c->program->known.future, &value, NULL)) {
        if (rl_type_kind(c->types, value) == RL_TYPE_VAR) {
            rl_type_t fresh = rl_future_of(c, rl_fresh(c, function->span), function->span);
            rl_function_at(c, unit->fn)->result = fresh;
        }
    } else if (rl_type_kind(c->types, function->result) == RL_TYPE_VAR) {
        rl_type_t fresh = rl_fresh(c, function->span);
        rl_function_at(c, unit->fn)->result = fresh;
    }
}

static void infer_component(rl_checker_t* c, const uint32_t* units, uint32_t count) {
    uint32_t first_var = c->solver.vars.count, first_let = c->let_checks.count;
    c->solver.level = 1;
    for (uint32_t i = 0; i < count; i++) {
        c->units.data[units[i]].in_progress = true;
        renew_signature(c, &c->units.data[units[i]]);
        if (RL_UNLIKELY(c->telemetry != NULL) && c->units.data[units[i]].kind == RL_UNIT_FN)
            rl_note_signature_now(c, c->units.data[units[i]].fn);
    }
    if (count > 1) rl_open_component(c, units, count);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        enter_unit(c, units[i]);
        switch (c->units.data[units[i]].kind) {
        case RL_UNIT_FN: infer_function(c, units[i]); break;
        case RL_UNIT_VALUE: infer_value(c, units[i]); break;
        case RL_UNIT_STATEMENT: infer_statement(c, units[i]); break;
        case RL_UNIT_DEFAULT: infer_default(c, units[i]); break;
        case RL_UNIT_HUB: break;
        }
        c->frame = 0;
        c->scratch.count = 0;
    }
    if (rl_failed(c)) return;
    rl_finish_pendings(c);
    rl_poll_demands(c);
    rl_generalise_component(c, units, count);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        if (c->units.data[units[i]].opened_count) rl_check_opened(c, &c->units.data[units[i]]);
    }
    rl_default_variables(c, first_var, first_let, 1);
    if (c->types->too_deep) {
        c->types->too_deep = false;
        rl_report(c->diags, RL_CODE_TYPE_INSTANTIATION_LIMIT, c->units.data[units[0]].span,
            "a type in here nests deeper than %d levels", RL_TYPE_DEPTH_LIMIT);
    }
    for (uint32_t i = 0; i < count; i++) {
        c->units.data[units[i]].in_progress = false;
        c->units.data[units[i]].done = true;
    }
}

typedef struct visit {
    uint32_t unit, edge;
} visit_t;

static int by_number(const void* a, const void* b) {
    uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
    return x < y ? -1 : x > y;
}

/* Tarjan's algorithm with its own stack: components come out after everything they depend on. */
static void infer_all(rl_checker_t* c) {
    RL_VEC(visit_t) visits = {0};
    RL_VEC(uint32_t) stack = {0}, component = {0};
    uint32_t next = 1;
    for (uint32_t root = 0; root < c->units.count && !rl_failed(c); root++) {
        if (c->units.data[root].index) continue;
        visit_t start = {root, 0};
        (void)rl_vec_push(c->allocator, &visits, start);
        while (visits.count && !rl_failed(c)) {
            visit_t* visit = &rl_vec_last(&visits);
            rl_unit_t* unit = &c->units.data[visit->unit];
            if (visit->edge == 0 && unit->index == 0) {
                unit->index = unit->low = next++;
                unit->on_stack = true;
                if (!rl_vec_push(c->allocator, &stack, visit->unit)) break;
            }
            if (visit->edge < unit->edge_count) {
                uint32_t to = c->edges.data[unit->edge_first + visit->edge++];
                rl_unit_t* target = &c->units.data[to];
                if (target->index == 0) {
                    visit_t inner = {to, 0};
                    (void)rl_vec_push(c->allocator, &visits, inner);
                } else if (target->on_stack && target->index < unit->low) {
                    unit->low = target->index;
                }
                continue;
            }
            uint32_t done = visit->unit;
            visits.count--;
            if (visits.count) {
                rl_unit_t* parent = &c->units.data[rl_vec_last(&visits).unit];
                if (unit->low < parent->low) parent->low = unit->low;
            }
            if (unit->low != unit->index) continue;
            component.count = 0;
            uint32_t member;
            do {
                member = rl_vec_pop(&stack);
                c->units.data[member].on_stack = false;
                (void)rl_vec_push(c->allocator, &component, member);
            } while (member != done && stack.count);
            if (component.count > 1) qsort(component.data, component.count, sizeof *component.data, by_number);
            if (!rl_failed(c)) infer_component(c, component.data, component.count);
        }
    }
    rl_vec_deinit(c->allocator, &visits);
    rl_vec_deinit(c->allocator, &stack);
    rl_vec_deinit(c->allocator, &component);
}

static int by_position(const void* a, const void* b) {
    const rl_unit_t *x = a, *y = b;
    return x->span.start < y->span.start ? -1 : x->span.start > y->span.start;
}

void rl_infer_units(rl_checker_t* c) {
    edges_t e = {0};
    if (c->units.count > 1) qsort(c->units.data, c->units.count, sizeof *c->units.data, by_position);
    for (uint32_t i = 0; i < c->units.count; i++) {
        const rl_unit_t* unit = &c->units.data[i];
        if (unit->fn) (void)rl_map_put(c->allocator, &c->unit_of_fn, unit->fn, i);
        for (uint32_t k = 0; k < unit->global_count; k++)
            (void)rl_map_put(c->allocator, &c->unit_of_global, unit->first_global + k, i);
    }
    if (!rl_failed(c)) collect_edges(c, &e);
    rl_vec_deinit(c->allocator, &e.named);
    rl_vec_deinit(c->allocator, &e.from);
    rl_vec_deinit(c->allocator, &e.to);
    rl_vec_deinit(c->allocator, &e.last);
    rl_map_deinit(c->allocator, &e.by_name);
    if (!rl_failed(c)) infer_all(c);
}
