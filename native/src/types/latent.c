#include "types/latent.h"

#include "types/impl.h"

/* --- sources ------------------------------------------------------------------------------------------------------ */

static rl_source_t known(rl_flow_t flow) { return RL_SOURCE_KNOWN | flow; }

rl_flow_t rl_latent_flow(const rl_latent_t* l, rl_source_t source) {
    if (source & RL_SOURCE_KNOWN) return source & ~RL_SOURCE_KNOWN;
    return source < l->nodes.count ? l->nodes.data[source] : 0;
}

rl_fn_id_t rl_latent_fn(const rl_latent_t* l, rl_source_t source) {
    if (source & RL_SOURCE_KNOWN || source < l->fn_node || source >= l->local_node) return 0;
    return l->c->program->first_fn + l->c->first_fn + (source - l->fn_node);
}

rl_effects_t rl_charge_effects(const rl_latent_t* l, const rl_charge_t* charge) {
    rl_effects_t set = rl_flow_at(l->c->program, rl_latent_flow(l, charge->source)).effects;
    return charge->without ? rl_effects_without(l->c->program, set, charge->without - 1) : set;
}

/* Bounded by RL_TYPE_DEPTH_LIMIT. */
rl_flow_t rl_flow_of_type(rl_checker_t* c, rl_type_t type) {
    const rl_type_node_t node = *rl_type_node(c->types, type);
    if (node.kind != RL_TYPE_FUNCTION || !(node.flags & RL_TYPE_HAS_EFFECTS)) return 0;
    rl_flow_t result = rl_flow_of_type(c, rl_type_args(c->types, type)[node.count - 1]);
    return rl_flow_make(c->program, node.a, result);
}

static bool is_function(rl_checker_t* c, rl_type_t type) { return rl_type_kind(c->types, type) == RL_TYPE_FUNCTION; }

/* What a call of the function adds, and what is known of the function that it answers. */
static rl_source_t source_of_fn(rl_latent_t* l, rl_fn_id_t fn) {
    rl_program_t* program = l->c->program;
    if (fn >= program->first_fn + l->c->first_fn) {
        uint32_t node = l->fn_node + (fn - program->first_fn - l->c->first_fn);
        return node < l->local_node ? node : known(0);
    }
    const rl_function_t* function = rl_program_function(program, fn);
    rl_effects_t effects = function->effects;
    rl_flow_t returned = function->returned;
    return known(rl_flow_make(program, effects, returned));
}

/* A CALL or CLOSURE. A function of a trait means that of the impl; through a constraint, what is written in the trait. */
static rl_source_t source_of_use(rl_latent_t* l, const rl_ir_node_t* node) {
    rl_program_t* program = l->c->program;
    const rl_function_t* function = rl_program_function(program, node->a);
    if (!(function->flags & RL_FN_TRAIT)) return source_of_fn(l, node->a);
    uint32_t count = function->type_params;
    rl_effects_t declared = function->declared;
    rl_type_t args[RL_IMPL_PARAMS_MAX];
    rl_impl_fn_t target;
    bool resolved = node->b && count <= RL_IMPL_PARAMS_MAX;
    for (uint32_t i = 0; resolved && i < count; i++) {
        args[i] = rl_program_extra(program, node->b)[i];
        resolved = !(rl_type_node(l->c->types, args[i])->flags & (RL_TYPE_HAS_ERROR | RL_TYPE_HAS_VAR));
    }
    if (resolved && rl_impl_resolve(program, node->a, args, count, &target)) return source_of_fn(l, target.fn);
    return known(rl_flow_make(program, declared, 0));
}

static rl_source_t source_of_global(rl_latent_t* l, rl_global_id_t id) {
    rl_program_t* program = l->c->program;
    const rl_global_t* global = rl_program_global(program, id);
    if (global->is_host) return known(rl_flow_of_type(l->c, global->type));
    if (id >= program->first_global + l->c->first_global)
        return l->global_node + (id - program->first_global - l->c->first_global);
    return known(global->flow);
}

static uint32_t local_of(const rl_latent_t* l, uint32_t local) {
    const rl_program_t* program = l->c->program;
    const rl_function_t* function = rl_program_function(program, l->fn);
    return function->local_first + local - program->first_local - l->first_local;
}

static rl_source_t source_of_local(const rl_latent_t* l, uint32_t local) {
    uint32_t index = local_of(l, local);
    return index < l->roots.count ? l->local_node + l->roots.data[index] : known(0);
}

/* --- edges -------------------------------------------------------------------------------------------------------- */

static void enter(rl_latent_t* l, uint32_t node, rl_flow_t flow) {
    if (flow && node < l->nodes.count) l->nodes.data[node] = rl_flow_join(l->c->program, l->nodes.data[node], flow);
}

static rl_flow_t carried(rl_program_t* program, const rl_edge_t* edge, rl_flow_t flow) {
    rl_flow_entry_t entry = rl_flow_at(program, flow);
    switch ((rl_edge_kind_t)edge->kind) {
    case RL_EDGE_SAME: break;
    case RL_EDGE_ADD:
        if (edge->without) entry.effects = rl_effects_without(program, entry.effects, edge->without - 1);
        return rl_flow_make(program, entry.effects, 0);
    case RL_EDGE_RESULT: return entry.result;
    case RL_EDGE_RETURN: return rl_flow_make(program, RL_EFFECTS_NONE, flow);
    }
    return flow;
}

static void flow_to(rl_latent_t* l, rl_source_t from, uint32_t to, rl_edge_kind_t kind, uint32_t without) {
    rl_edge_t edge = {from, to, kind, without};
    if (from & RL_SOURCE_KNOWN) enter(l, to, carried(l->c->program, &edge, from & ~RL_SOURCE_KNOWN));
    else (void)rl_vec_push(l->c->allocator, &l->edges, edge);
}

static uint32_t own_node(const rl_latent_t* l) {
    return l->fn_node + (l->fn - l->c->program->first_fn - l->c->first_fn);
}

/* The function being looked at gets the effects of `source`. */
static void charge(rl_latent_t* l, rl_source_t source, rl_ir_t ir, uint32_t without) {
    if (source == known(0)) return;
    if (l->record) { (void)rl_vec_push(l->c->allocator, &l->charges, (rl_charge_t){source, ir, without}); }
    flow_to(l, source, own_node(l), RL_EDGE_ADD, without);
}

static void charge_core(rl_latent_t* l, uint32_t bits, rl_ir_t ir) {
    charge(l, known(rl_flow_make(l->c->program, rl_effects_of_core(l->c->program, bits), 0)), ir, 0);
}

/*
 * Steps and sizes of the core library must be positive: a constant that is needs no panic. Answers the source without it.
 */
static rl_source_t with_positive_step(rl_latent_t* l, const rl_ir_node_t* call, rl_source_t source) {
    rl_program_t* program = l->c->program;
    const rl_function_t* callee = rl_program_function(program, call->a);
    if (call->a >= program->first_fn || callee->param_count == 0 ||
        !rl_effects_contain(program, callee->declared, RL_TAG_PANIC))
        return source;
    rl_str_t name = rl_text(l->c, rl_program_param(program, callee->param_first + callee->param_count - 1)->name);
    if (!rl_str_equal(name, RL_STR("step")) && !rl_str_equal(name, RL_STR("size"))) return source;
    const uint32_t* list = rl_program_extra(program, call->c);
    const rl_ir_node_t* step = rl_program_node(program, list[list[0]]);
    if (step->op != RL_IR_INT || step->b >> 31 || (step->a | step->b) == 0) return source;
    rl_flow_entry_t flow = rl_flow_at(program, rl_latent_flow(l, source));
    return known(rl_flow_make(program, rl_effects_without(program, flow.effects, RL_TAG_PANIC), flow.result));
}

/* --- the flow of an expression ------------------------------------------------------------------------------------ */

static uint32_t new_node(rl_latent_t* l) {
    uint32_t node = l->nodes.count;
    return rl_vec_push(l->c->allocator, &l->nodes, 0) ? node : 0;
}

static void wait_for(rl_latent_t* l, rl_ir_t ir, uint32_t node) {
    l->values.count += rl_vec_reserve(l->c->allocator, &l->values, 1);
    if (rl_failed(l->c)) return;
    rl_vec_last(&l->values).ir = ir;
    rl_vec_last(&l->values).node = node;
}

/* Of an expression of a function type. What needs a node of its own is done later (finish_values): no recursion. */
static rl_source_t source_of(rl_latent_t* l, rl_ir_t ir) {
    rl_program_t* program = l->c->program;
    for (;;) {
        const rl_ir_node_t* node = rl_program_node(program, ir);
        switch (node->op) {
        case RL_IR_LOCAL: return source_of_local(l, node->a);
        case RL_IR_GLOBAL: return source_of_global(l, node->a);
        case RL_IR_CLOSURE: return source_of_use(l, node);
        case RL_IR_SEQUENCE: ir = node->b; continue;
        case RL_IR_UNSAFE:
        case RL_IR_CATCH:
        case RL_IR_CONVERT: ir = node->a; continue;
        case RL_IR_BLOCK:
            if (!(node->flags & RL_IR_BLOCK_VALUE) || node->b == 0) return known(0);
            ir = rl_program_extra(program, node->a)[node->b - 1];
            continue;
        case RL_IR_CALL: {
            const rl_function_t* callee = rl_program_function(program, node->a);
            if (callee->flags & RL_FN_HANDLER) break;
            if (!is_function(l->c, callee->result)) return known(rl_flow_of_type(l->c, node->type));
            if (rl_type_node(l->c->types, callee->result)->a) return known(rl_flow_of_type(l->c, callee->result));
            break;
        }
        case RL_IR_IF:
        case RL_IR_MATCH:
        case RL_IR_HANDLE:
        case RL_IR_CALL_VALUE: break;
        default: return known(rl_flow_of_type(l->c, node->type));
        }
        uint32_t made = new_node(l);
        wait_for(l, ir, made);
        return made;
    }
}

static void finish_values(rl_latent_t* l) {
    rl_program_t* program = l->c->program;
    while (l->values.count && !rl_failed(l->c)) {
        rl_ir_t ir = rl_vec_last(&l->values).ir;
        uint32_t to = rl_vec_last(&l->values).node;
        l->values.count--;
        const rl_ir_node_t node = *rl_program_node(program, ir);
        switch (node.op) {
        case RL_IR_IF:
            flow_to(l, source_of(l, node.b), to, RL_EDGE_SAME, 0);
            if (node.c) flow_to(l, source_of(l, node.c), to, RL_EDGE_SAME, 0);
            break;
        case RL_IR_MATCH:
            for (uint32_t i = 0; i < node.c; i++)
                flow_to(l, source_of(l, rl_program_extra(program, node.b)[3 * i + 2]), to, RL_EDGE_SAME, 0);
            break;
        case RL_IR_CALL:
            flow_to(l, source_of_use(l, &node), to, RL_EDGE_RESULT, 0);
            if (rl_program_function(program, node.a)->flags & RL_FN_HANDLER) /* what it handles may be its value */
                flow_to(l, source_of(l, rl_program_extra(program, node.c)[1]), to, RL_EDGE_RESULT, 0);
            break;
        case RL_IR_CALL_VALUE: flow_to(l, source_of(l, node.a), to, RL_EDGE_RESULT, 0); break;
        case RL_IR_HANDLE: { /* what the clauses answer, and the computation where no clause takes its value */
            const uint32_t* words = rl_program_extra(program, node.b);
            rl_ir_t value = words[1] ? words[1] : node.a;
            uint32_t clauses = words[2];
            flow_to(l, source_of(l, value), to, RL_EDGE_RESULT, 0);
            for (uint32_t i = 0; i < clauses; i++)
                flow_to(l, source_of(l, rl_program_extra(program, node.b)[3 + i]), to, RL_EDGE_RESULT, 0);
            break;
        }
        default: break;
        }
    }
}

/* --- what is stored and passed ------------------------------------------------------------------------------------ */

static bool is_function_value(rl_latent_t* l, rl_ir_t ir) {
    return is_function(l->c, rl_program_node(l->c->program, ir)->type);
}

/* A function goes where the declared type is `type`: a set written there is a bound. */
static void fill_slot(rl_latent_t* l, rl_source_t source, rl_type_t type, rl_ir_t ir) {
    const rl_type_node_t* node = rl_type_node(l->c->types, type);
    if (node->kind != RL_TYPE_FUNCTION || !(node->flags & RL_TYPE_HAS_EFFECTS) || source == known(0)) return;
    (void)rl_vec_push(l->c->allocator, &l->slots, (rl_slot_t){source, type, ir});
}

/* Into a field, payload or element. With a written set (of the declaration) a call of what is read there adds that
   set; else nothing, and whoever stores it is charged. */
static void store(rl_latent_t* l, rl_ir_t value, rl_type_t declared) {
    if (!is_function_value(l, value)) return;
    rl_source_t source = source_of(l, value);
    if (declared && is_function(l->c, declared) && rl_type_node(l->c->types, declared)->a)
        fill_slot(l, source, declared, value);
    else charge(l, source, value, 0);
}

/* A function becomes the value of a variable. */
static void assign(rl_latent_t* l, rl_source_t to, rl_ir_t value, rl_type_t declared) {
    if (!is_function_value(l, value) || to & RL_SOURCE_KNOWN) return;
    rl_source_t source = source_of(l, value);
    flow_to(l, source, to, RL_EDGE_SAME, 0);
    fill_slot(l, source, declared, value);
}

static rl_type_t declared_field(rl_latent_t* l, rl_type_t type, uint32_t tag, uint32_t index) {
    rl_program_t* program = l->c->program;
    const rl_type_node_t* node = rl_type_node(l->c->types, type);
    if (node->kind != RL_TYPE_NAMED) return 0;
    const rl_typedef_t* def = rl_program_typedef(program, node->a);
    if (tag >= def->variant_count) return 0;
    const rl_variant_t* variant = rl_program_variant(program, def->variant_first + tag);
    return index < variant->field_count ? rl_program_field(program, variant->field_first + index)->type : 0;
}

static rl_type_t declared_name(rl_latent_t* l, rl_type_t type, rl_sym_t name) {
    rl_program_t* program = l->c->program;
    const rl_type_node_t* node = rl_type_node(l->c->types, type);
    if (node->kind != RL_TYPE_NAMED) return 0;
    const rl_typedef_t* def = rl_program_typedef(program, node->a);
    if (def->variant_count == 0) return 0;
    const rl_variant_t* variant = rl_program_variant(program, def->variant_first);
    for (uint32_t i = 0; i < variant->field_count; i++) {
        const rl_field_t* field = rl_program_field(program, variant->field_first + i);
        if (field->name == name) return field->type;
    }
    return 0;
}

/* Arguments: passing a function charges the caller (D45). */
static void pass(rl_latent_t* l, uint32_t list, rl_fn_id_t callee, rl_type_t type) {
    rl_program_t* program = l->c->program;
    uint32_t count = rl_program_extra(program, list)[0];
    const rl_function_t* function = callee ? rl_program_function(program, callee) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        rl_ir_t value = rl_program_extra(program, list)[1 + i];
        (void)rl_vec_push(l->c->allocator, &l->steps, value);
        if (!is_function_value(l, value)) continue;
        rl_source_t source = source_of(l, value);
        uint32_t handled = function && function->flags & RL_FN_HANDLER ? rl_tag_of_effect(function->effect) + 1 : 0;
        charge(l, source, value, handled);
        if (callee) function = rl_program_function(program, callee);
        rl_type_t declared = 0;
        if (function && i < function->param_count)
            declared = rl_program_param(program, function->param_first + i)->type;
        else if (!function && is_function(l->c, type) && i + 1u < rl_type_node(l->c->types, type)->count)
            declared = rl_type_args(l->c->types, type)[i];
        if (declared) fill_slot(l, source, declared, value);
    }
}

/* --- impls -------------------------------------------------------------------------------------------------------- */

/* The functions of an impl whose sets are not written in the trait, and those of the impls that it stands on. */
static void charge_impl(rl_latent_t* l, rl_trait_id_t id, const rl_type_t* wanted, rl_ir_t ir, unsigned depth) {
    enum { MOST_DEPTH = 8 };
    rl_program_t* program = l->c->program;
    rl_type_t bound[RL_IMPL_PARAMS_MAX], needed[RL_IMPL_PARAMS_MAX + 1];
    rl_impl_id_t found = depth < MOST_DEPTH ? rl_impl_find(program, id, wanted, bound) : 0;
    if (!found) return;
    const rl_trait_t trait = *rl_program_trait(program, id);
    const rl_impl_t impl = *rl_program_impl(program, found);
    for (uint32_t i = 0; i < trait.method_count; i++) {
        rl_fn_id_t method = *rl_program_extra(program, trait.method_first + i);
        rl_fn_id_t own = *rl_program_extra(program, impl.method_first + i);
        const rl_function_t* function = rl_program_function(program, method);
        if (!function->declared && (own || function->body)) charge(l, source_of_fn(l, own ? own : method), ir, 0);
    }
    for (uint32_t i = 0; i < impl.constraint_count; i++) {
        const rl_constraint_t constraint = *rl_program_constraint(program, impl.constraint_first + i);
        if (constraint.kinds != RL_CON_TRAIT) continue;
        uint32_t count = rl_program_trait(program, constraint.trait)->type_params + 1;
        for (uint32_t k = 0; k < count && k <= RL_IMPL_PARAMS_MAX; k++)
            needed[k] = rl_type_substitute(
                l->c->types, *rl_program_extra(program, constraint.args + k), bound, RL_IMPL_PARAMS_MAX);
        charge_impl(l, constraint.trait, needed, ir, depth + 1);
    }
}

static bool is_settled(rl_latent_t* l, rl_type_t type) {
    uint8_t open = RL_TYPE_HAS_VAR | RL_TYPE_HAS_ERROR;
    return type == RL_TYPE_ERROR || !(rl_type_node(l->c->types, type)->flags & open);
}

/* A use of a function with constraints: where they are resolved to impls, these are handed on like functions (D45). */
static void resolve_constraints(rl_latent_t* l, const rl_ir_node_t* node, rl_ir_t ir) {
    rl_program_t* program = l->c->program;
    const rl_function_t function = *rl_program_function(program, node->a);
    if (!node->b || (!function.constraint_count && !(function.flags & RL_FN_TRAIT))) return;
    rl_type_t wanted[RL_IMPL_PARAMS_MAX + 1], args[RL_IMPL_PARAMS_MAX];
    if (function.type_params > RL_IMPL_PARAMS_MAX) return;
    for (uint32_t i = 0; i < function.type_params; i++) args[i] = rl_program_extra(program, node->b)[i];
    for (uint32_t i = 0; i < function.constraint_count; i++) {
        const rl_constraint_t constraint = *rl_program_constraint(program, function.constraint_first + i);
        if (constraint.kinds != RL_CON_TRAIT) continue;
        uint32_t count = rl_program_trait(program, constraint.trait)->type_params + 1;
        bool settled = count <= RL_IMPL_PARAMS_MAX;
        for (uint32_t k = 0; k < count && settled; k++) {
            wanted[k] = rl_type_substitute(
                l->c->types, *rl_program_extra(program, constraint.args + k), args, function.type_params);
            settled = is_settled(l, wanted[k]);
        }
        if (settled) charge_impl(l, constraint.trait, wanted, ir, 0);
    }
    if (!(function.flags & RL_FN_TRAIT) || !function.body) return;
    /* the trait's own function for a type: it may call every other function of the impl */
    uint32_t count = rl_program_trait(program, function.trait)->type_params + 1;
    for (uint32_t k = 0; k < count && k < function.type_params; k++) {
        if (!is_settled(l, args[k])) return;
    }
    charge_impl(l, function.trait, args, ir, 0);
}

/* An operator or text of a user's type is a call of its impl. */
static void charge_operator(rl_latent_t* l, const rl_ir_node_t* n, rl_ir_t ir) {
    static const struct {
        uint16_t op;
        uint32_t kind;
    } kinds[] = {{RL_IR_ADD, RL_CON_ADD}, {RL_IR_SUB, RL_CON_SUB}, {RL_IR_MUL, RL_CON_MUL}, {RL_IR_DIV, RL_CON_DIV},
        {RL_IR_REM, RL_CON_REM}, {RL_IR_POW, RL_CON_POW}, {RL_IR_NEG, RL_CON_NEG}};
    rl_type_t type = rl_program_node(l->c->program, n->a)->type;
    rl_impl_fn_t target;
    if (type < RL_TYPE_SIMPLE_COUNT || (rl_type_node(l->c->types, type)->flags & (RL_TYPE_HAS_ERROR | RL_TYPE_HAS_VAR)))
        return;
    if (n->op == RL_IR_TO_STRING) {
        if (rl_impl_text(l->c->program, type, n->flags & 1, &target)) charge(l, source_of_fn(l, target.fn), ir, 0);
        return;
    }
    for (size_t i = 0; i < RL_COUNT_OF(kinds); i++) {
        if (kinds[i].op != n->op) continue;
        if (rl_impl_operator(l->c->program, kinds[i].kind, type, &target)) charge(l, source_of_fn(l, target.fn), ir, 0);
        return;
    }
}

/* --- patterns ----------------------------------------------------------------------------------------------------- */

/* Names of function types: at the top they are the value matched, further in what the types say. `value` 0: not known. */
static void look_at_pattern(rl_latent_t* l, rl_ir_t pattern, rl_ir_t value) {
    rl_program_t* program = l->c->program;
    uint32_t mark = l->steps.count;
    (void)rl_vec_push(l->c->allocator, &l->steps, pattern);
    while (l->steps.count > mark && !rl_failed(l->c)) {
        rl_ir_t ir = rl_vec_pop(&l->steps);
        const rl_ir_node_t node = *rl_program_node(program, ir);
        switch (node.op) {
        case RL_PAT_BIND:
            if (is_function(l->c, node.type)) {
                rl_source_t to = source_of_local(l, node.a);
                bool whole = value && is_function_value(l, value);
                if (to & RL_SOURCE_KNOWN) break;
                flow_to(l, whole ? source_of(l, value) : known(rl_flow_of_type(l->c, node.type)), to, RL_EDGE_SAME, 0);
            }
            if (node.b) (void)rl_vec_push(l->c->allocator, &l->steps, node.b);
            break;
        case RL_PAT_VARIANT:
        case RL_PAT_TUPLE:
        case RL_PAT_OR:
        case RL_PAT_SLICE:
            for (uint32_t i = 0; i < node.b; i++)
                (void)rl_vec_push(l->c->allocator, &l->steps, rl_program_extra(program, node.a)[i]);
            break;
        case RL_PAT_RECORD:
            for (uint32_t i = 0; i < node.b; i++)
                (void)rl_vec_push(l->c->allocator, &l->steps, rl_program_extra(program, node.a)[2 * i + 1]);
            break;
        case RL_PAT_ACTIVE: {
            const rl_ir_node_t* call = rl_program_node(program, node.b);
            if (call->op == RL_IR_CALL) charge(l, source_of_fn(l, call->a), ir, 0);
            (void)rl_vec_push(l->c->allocator, &l->steps, node.c);
            break;
        }
        default: break;
        }
    }
}

/* --- one function ------------------------------------------------------------------------------------------------- */

static void push(rl_latent_t* l, rl_ir_t ir) {
    if (ir) (void)rl_vec_push(l->c->allocator, &l->steps, ir);
}

static void push_list(rl_latent_t* l, uint32_t offset, uint32_t count, uint32_t step, uint32_t from) {
    for (uint32_t i = 0; i < count; i++) push(l, rl_program_extra(l->c->program, offset)[step * i + from]);
}

/* The handled computation without what is handled, then the clauses: code of this function in functions of their own. */
static void look_at_handle(rl_latent_t* l, const rl_ir_node_t* n) {
    const rl_program_t* program = l->c->program;
    rl_effect_id_t effect = rl_program_extra(program, n->b)[0];
    uint32_t clauses = rl_program_extra(program, n->b)[2];
    if (is_function_value(l, n->a)) charge(l, source_of(l, n->a), n->a, rl_tag_of_effect(effect) + 1);
    push(l, n->a);
    for (uint32_t i = 0; i <= clauses; i++) {
        rl_ir_t clause = rl_program_extra(program, n->b)[i ? 2 + i : 1];
        if (!clause) continue;
        charge(l, source_of(l, clause), clause, 0);
        push(l, clause);
    }
}

static void look_at_data(rl_latent_t* l, rl_ir_t ir, const rl_ir_node_t* n) {
    rl_program_t* program = l->c->program;
    (void)ir;
    switch (n->op) {
    case RL_IR_TUPLE:
    case RL_IR_LIST:
    case RL_IR_RECORD:
    case RL_IR_VARIANT:
        for (uint32_t i = 0; i < n->b; i++) {
            rl_ir_t value = rl_program_extra(program, n->a)[i];
            uint32_t tag = n->op == RL_IR_VARIANT ? n->c : n->op == RL_IR_RECORD ? 0 : UINT32_MAX;
            if (is_function_value(l, value)) store(l, value, declared_field(l, n->type, tag, i));
            push(l, value);
        }
        break;
    case RL_IR_MAP:
        for (uint32_t i = 0; i < 2 * n->b; i++) {
            rl_ir_t value = rl_program_extra(program, n->a)[i];
            store(l, value, 0);
            push(l, value);
        }
        break;
    case RL_IR_UPDATE:
        push(l, n->a);
        for (uint32_t i = 0; i < n->c; i++) {
            const uint32_t* pair = rl_program_extra(program, n->b) + 2 * i;
            rl_ir_t value = pair[1];
            if (is_function_value(l, value)) store(l, value, declared_name(l, n->type, pair[0]));
            push(l, value);
        }
        break;
    case RL_IR_SET_FIELD:
        charge_core(l, RL_TAG_BIT(RL_TAG_MUT), ir);
        if (is_function_value(l, n->c)) store(l, n->c, declared_name(l, rl_program_node(program, n->a)->type, n->b));
        push(l, n->a);
        push(l, n->c);
        break;
    default: /* SET_INDEX, WITH_INDEX */
        if (n->op == RL_IR_SET_INDEX) charge_core(l, RL_TAG_BIT(RL_TAG_MUT), ir);
        store(l, rl_program_extra(program, n->b)[1], 0);
        push(l, n->a);
        push_list(l, n->b, 2, 1, 0);
        break;
    }
}

/* Functions of extern "C", which need `unsafe` around them, and of which some hand over what has to be released. */
static void note_foreign(rl_latent_t* l, rl_fn_id_t callee, rl_ir_t ir) {
    if (l->record || !(rl_program_function(l->c->program, callee)->flags & (RL_FN_FOREIGN | RL_FN_TRANSFERS))) return;
    (void)rl_vec_push(l->c->allocator, &l->foreign, ir);
}

static void look_at(rl_latent_t* l, rl_ir_t ir) {
    rl_program_t* program = l->c->program;
    const rl_ir_node_t n = *rl_program_node(program, ir);
    switch ((rl_ir_op_t)n.op) {
    case RL_IR_NONE:
    case RL_IR_UNIT:
    case RL_IR_INT:
    case RL_IR_FLOAT:
    case RL_IR_STRING:
    case RL_IR_BYTES:
    case RL_IR_LOCAL:
    case RL_IR_GLOBAL:
    case RL_IR_CONTINUE:
    case RL_IR_OP_COUNT: return;
    case RL_IR_CLOSURE:
        note_foreign(l, n.a, ir);
        resolve_constraints(l, &n, ir);
        return;
    case RL_IR_SET_LOCAL:
    case RL_IR_BIND: {
        if (n.op == RL_IR_SET_LOCAL) charge_core(l, RL_TAG_BIT(RL_TAG_MUT), ir);
        uint32_t index = local_of(l, n.a);
        if (is_function_value(l, n.b) && index < l->roots.count) {
            const rl_local_t* local = &program->locals.data[l->first_local + l->roots.data[index]];
            assign(l, source_of_local(l, n.a), n.b, local->flags & RL_LOCAL_ANNOTATED ? local->type : 0);
        }
        push(l, n.b);
        return;
    }
    case RL_IR_SET_GLOBAL: {
        const rl_global_t global = *rl_program_global(program, n.a);
        if (n.flags != 1) charge_core(l, RL_TAG_BIT(RL_TAG_MUT), ir);
        if (n.a >= program->first_global + l->c->first_global)
            assign(l, source_of_global(l, n.a), n.b, global.flags & RL_LOCAL_ANNOTATED ? global.type : 0);
        else store(l, n.b, 0);
        push(l, n.b);
        return;
    }
    case RL_IR_LET:
        look_at_pattern(l, n.a, n.b);
        push(l, n.b);
        return;
    case RL_IR_CALL:
        note_foreign(l, n.a, ir);
        charge(l, with_positive_step(l, &n, source_of_use(l, &n)), ir, 0);
        resolve_constraints(l, &n, ir);
        pass(l, n.c, n.a, 0);
        return;
    case RL_IR_HANDLE: look_at_handle(l, &n); return;
    case RL_IR_CATCH:
        push_list(l, n.c + 1, rl_program_extra(program, n.c)[0], 2, 1);
        push(l, n.a);
        return;
    case RL_IR_ESCAPE: push(l, n.c); return;
    case RL_IR_CALL_VALUE:
        charge(l, source_of(l, n.a), ir, 0);
        push(l, n.a);
        pass(l, n.c, 0, rl_program_node(program, n.a)->type);
        return;
    case RL_IR_CLOSURE_GROUP:
        for (uint32_t i = 0; i < n.b; i++) {
            const uint32_t* pair = rl_program_extra(program, n.a) + 2 * i;
            rl_source_t to = source_of_local(l, pair[0]);
            if (!(to & RL_SOURCE_KNOWN)) flow_to(l, source_of_fn(l, pair[1]), to, RL_EDGE_SAME, 0);
        }
        return;
    case RL_IR_TUPLE:
    case RL_IR_RECORD:
    case RL_IR_VARIANT:
    case RL_IR_LIST:
    case RL_IR_MAP:
    case RL_IR_UPDATE:
    case RL_IR_SET_FIELD:
    case RL_IR_SET_INDEX:
    case RL_IR_WITH_INDEX: look_at_data(l, ir, &n); return;
    case RL_IR_ADD:
    case RL_IR_SUB:
    case RL_IR_MUL:
    case RL_IR_DIV:
    case RL_IR_REM:
    case RL_IR_POW:
        charge_operator(l, &n, ir);
        push(l, n.b);
        push(l, n.a);
        return;
    case RL_IR_RANGE:
    case RL_IR_INDEX:
    case RL_IR_CONCAT:
    case RL_IR_EQ:
    case RL_IR_NE:
    case RL_IR_LT:
    case RL_IR_LE:
    case RL_IR_GT:
    case RL_IR_GE:
    case RL_IR_AND:
    case RL_IR_OR:
    case RL_IR_WHILE:
    case RL_IR_SEQUENCE:
        push(l, n.b);
        push(l, n.a);
        return;
    case RL_IR_NEG:
    case RL_IR_TO_STRING:
        charge_operator(l, &n, ir);
        push(l, n.a);
        return;
    case RL_IR_AWAIT: {
        bool is_async = rl_program_function(program, l->fn)->flags & RL_FN_ASYNC;
        charge_core(l, RL_TAG_BIT(RL_TAG_IO_ASYNC) | (is_async ? 0 : RL_TAG_BIT(RL_TAG_IO_BLOCKING)), ir);
        push(l, n.a);
        return;
    }
    case RL_IR_FIELD:
    case RL_IR_TUPLE_GET:
    case RL_IR_PAYLOAD:
    case RL_IR_NOT:
    case RL_IR_CAST:
    case RL_IR_CONVERT:
    case RL_IR_LOOP:
    case RL_IR_UNSAFE: push(l, n.a); return;
    case RL_IR_TO_ANY:
    case RL_IR_BREAK:
        if (n.a) store(l, n.a, 0);
        push(l, n.a);
        return;
    case RL_IR_RETURN:
        if (n.a && is_function_value(l, n.a)) {
            rl_source_t source = source_of(l, n.a);
            flow_to(l, source, own_node(l), RL_EDGE_RETURN, 0);
            fill_slot(l, source, rl_program_function(program, l->fn)->result, n.a);
        }
        push(l, n.a);
        return;
    case RL_IR_DEFER: charge(l, source_of(l, n.a), ir, 0); return;
    case RL_IR_PANIC:
        charge_core(l, RL_TAG_BIT(RL_TAG_PANIC), ir);
        push(l, n.a);
        return;
    case RL_IR_FORMAT: push_list(l, n.a, n.b, 2, 1); return;
    case RL_IR_BLOCK: push_list(l, n.a, n.b, 1, 0); return;
    case RL_IR_IF:
        push(l, n.c);
        push(l, n.b);
        push(l, n.a);
        return;
    case RL_IR_MATCH:
        if (n.flags & RL_IR_MATCH_PARTIAL) charge_core(l, RL_TAG_BIT(RL_TAG_PANIC), ir);
        for (uint32_t i = 0; i < n.c; i++) look_at_pattern(l, rl_program_extra(program, n.b)[3 * i], n.a);
        push_list(l, n.b, n.c, 3, 1);
        push_list(l, n.b, n.c, 3, 2);
        push(l, n.a);
        return;
    case RL_IR_FOR:
        look_at_pattern(l, n.b, 0);
        push(l, n.c);
        push(l, n.a);
        return;
    }
}

static void look_at_function(rl_latent_t* l, rl_fn_id_t fn) {
    rl_program_t* program = l->c->program;
    const rl_function_t function = *rl_program_function(program, fn);
    l->fn = fn;
    if (function.kind == RL_FN_OPERATION) {
        enter(l, own_node(l), rl_flow_make(program, rl_effects_of_tag(program, rl_tag_of_effect(function.effect)), 0));
        return;
    }
    if (function.flags & RL_FN_INTRINSIC)
        enter(l, own_node(l), rl_flow_make(program, rl_effects_of_core(program, RL_TAG_BIT(RL_TAG_NATIVE)), 0));
    if (function.flags & RL_FN_FOREIGN) {
        rl_effects_t set = rl_effects_of_core(program, RL_TAG_BIT(RL_TAG_FFI) | RL_TAG_BIT(RL_TAG_UNSAFE));
        enter(l, own_node(l), rl_flow_make(program, rl_effects_join(program, set, function.declared), 0));
        return;
    }
    if (!function.body) { /* the host's, of the core library, of a trait: what is written, else what is usual */
        rl_effects_t usual =
            function.kind == RL_FN_HOST ? rl_effects_of_core(program, RL_TAG_BIT(RL_TAG_IO)) : RL_EFFECTS_NONE;
        rl_flow_t returned = rl_flow_of_type(l->c, function.result);
        enter(l, own_node(l), rl_flow_make(program, function.declared ? function.declared : usual, returned));
        return;
    }
    for (uint32_t i = 0; i < function.param_count; i++) { /* what a parameter's result is declared to add */
        rl_type_t type = rl_program_param(program, function.param_first + i)->type;
        const rl_type_node_t* node = rl_type_node(l->c->types, type);
        if (node->kind != RL_TYPE_FUNCTION || !(node->flags & RL_TYPE_HAS_EFFECTS) || i >= function.local_count)
            continue;
        rl_flow_t result = rl_flow_at(program, rl_flow_of_type(l->c, type)).result;
        rl_source_t local = source_of_local(l, i);
        if (result && !(local & RL_SOURCE_KNOWN)) enter(l, local, rl_flow_make(program, RL_EFFECTS_NONE, result));
    }
    if (is_function(l->c, function.result) && is_function_value(l, function.body)) {
        rl_source_t source = source_of(l, function.body);
        if (rl_type_node(l->c->types, function.result)->a) fill_slot(l, source, function.result, function.body);
        flow_to(l, source, own_node(l), RL_EDGE_RETURN, 0);
    }
    push(l, function.body);
    while (l->steps.count && !rl_failed(l->c)) {
        look_at(l, rl_vec_pop(&l->steps));
        if (l->values.count) finish_values(l);
    }
}

/* --- the graph ---------------------------------------------------------------------------------------------------- */

static void find_roots(rl_latent_t* l) {
    rl_checker_t* c = l->c;
    rl_program_t* program = c->program;
    uint32_t count = program->locals.count - l->first_local;
    if (!rl_vec_reserve(c->allocator, &l->roots, count + 1)) return;
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &l->roots, i);
    for (uint32_t at = c->first_fn; at < program->functions.count; at++) { /* parents come before their children */
        const rl_function_t* function = &program->functions.data[at];
        const rl_function_t* parent = rl_program_function(program, function->parent);
        if (!function->capture_count || !function->parent) continue;
        for (uint32_t i = 0; i < function->capture_count; i++) {
            uint32_t inner = function->local_first + function->param_count + i - program->first_local - l->first_local;
            uint32_t outer = parent->local_first + rl_program_capture(program, function->capture_first + i) -
                             program->first_local - l->first_local;
            if (inner < count && outer < count) l->roots.data[inner] = l->roots.data[outer];
        }
    }
}

typedef struct out_edges {
    RL_VEC(uint32_t) first; /* by node, one more at the end: into `edges` */
    RL_VEC(uint32_t) edges;
} out_edges_t;

typedef struct rl_node_list {
    RL_VEC(uint32_t) items;
} rl_node_list_t;

static bool sort_edges(rl_latent_t* l, out_edges_t* out) {
    rl_allocator_t* a = l->c->allocator;
    if (!rl_vec_reserve(a, &out->first, l->nodes.count + 2) || !rl_vec_reserve(a, &out->edges, l->edges.count + 1))
        return false;
    memset(out->first.data, 0, (l->nodes.count + 2) * sizeof *out->first.data);
    uint32_t* first = out->first.data;
    for (uint32_t i = 0; i < l->edges.count; i++) first[l->edges.data[i].from + 2]++;
    for (uint32_t i = 2; i < l->nodes.count + 2; i++) first[i] += first[i - 1];
    for (uint32_t i = 0; i < l->edges.count; i++) out->edges.data[first[l->edges.data[i].from + 1]++] = i;
    return true;
}

/* Nodes with edges, in the reverse of the order in which a walk from every node leaves them: what flows into a node comes
   before it, cycles apart. */
static bool order_nodes(rl_latent_t* l, const out_edges_t* out, rl_node_list_t* order) {
    rl_allocator_t* a = l->c->allocator;
    uint32_t count = l->nodes.count;
    RL_VEC(uint32_t) path = {0};
    RL_VEC(uint32_t) next = {0}; /* by node: edge to be followed next, 0: not seen yet */
    bool ready = rl_vec_reserve(a, &next, count) && rl_vec_reserve(a, &order->items, count);
    if (ready) memset(next.data, 0, count * sizeof *next.data);
    for (uint32_t root = 0; ready && root < count; root++) {
        if (next.data[root] || out->first.data[root] == out->first.data[root + 1]) continue;
        next.data[root] = out->first.data[root] + 1;
        ready = rl_vec_push(a, &path, root);
        while (ready && path.count) {
            uint32_t node = rl_vec_last(&path);
            if (next.data[node] - 1 == out->first.data[node + 1]) {
                path.count--;
                if (out->first.data[node] != out->first.data[node + 1]) (void)rl_vec_push(a, &order->items, node);
                continue;
            }
            uint32_t to = l->edges.data[out->edges.data[next.data[node]++ - 1]].to;
            if (next.data[to]) continue;
            next.data[to] = out->first.data[to] + 1;
            ready = rl_vec_push(a, &path, to);
        }
    }
    rl_vec_deinit(a, &path);
    rl_vec_deinit(a, &next);
    return ready;
}

/* A flow only grows, and a node is looked at again only when its flow has grown. Without cycles one round does. */
static void solve(rl_latent_t* l) {
    rl_allocator_t* a = l->c->allocator;
    out_edges_t out = {{0}, {0}};
    rl_node_list_t order = {{0}};
    RL_VEC(uint8_t) grown = {0};
    uint32_t count = l->nodes.count;
    bool again =
        l->edges.count && sort_edges(l, &out) && order_nodes(l, &out, &order) && rl_vec_reserve(a, &grown, count);
    if (again) memset(grown.data, 1, count);
    while (again && !rl_failed(l->c)) {
        again = false;
        for (uint32_t at = order.items.count; at-- > 0;) {
            uint32_t node = order.items.data[at];
            if (!grown.data[node]) continue;
            grown.data[node] = 0;
            for (uint32_t i = out.first.data[node]; l->nodes.data[node] && i < out.first.data[node + 1]; i++) {
                const rl_edge_t* edge = &l->edges.data[out.edges.data[i]];
                rl_flow_t before = l->nodes.data[edge->to];
                rl_flow_t after =
                    rl_flow_join(l->c->program, before, carried(l->c->program, edge, l->nodes.data[node]));
                if (after == before) continue;
                l->nodes.data[edge->to] = after;
                grown.data[edge->to] = 1;
                again = true;
            }
        }
    }
    rl_vec_deinit(a, &out.first);
    rl_vec_deinit(a, &out.edges);
    rl_vec_deinit(a, &order.items);
    rl_vec_deinit(a, &grown);
}

static void store_results(rl_latent_t* l) {
    rl_checker_t* c = l->c;
    rl_program_t* program = c->program;
    for (uint32_t i = c->first_fn; i < program->functions.count; i++) {
        rl_function_t* function = &program->functions.data[i];
        rl_flow_entry_t flow = rl_flow_at(program, l->nodes.data[l->fn_node + i - c->first_fn]);
        function->effects = flow.effects ? flow.effects : RL_EFFECTS_NONE;
        function->returned = flow.result;
        if (!c->input->is_prelude) continue;
        /* Variables inside the core library are nobody's business; what is written there is exact. */
        rl_effects_t effects =
            function->declared ? function->declared : rl_effects_without(program, function->effects, RL_TAG_MUT);
        program->functions.data[i].effects = effects;
    }
    for (uint32_t i = c->first_global; i < program->globals.count; i++)
        program->globals.data[i].flow = l->nodes.data[l->global_node + i - c->first_global];
}

static void look_at_all(rl_latent_t* l) {
    rl_program_t* program = l->c->program;
    for (uint32_t i = l->c->first_fn; i < program->functions.count && !rl_failed(l->c); i++) {
        if (l->record) (void)rl_vec_push(l->c->allocator, &l->charge_first, l->charges.count);
        look_at_function(l, program->first_fn + i);
    }
    if (l->record) (void)rl_vec_push(l->c->allocator, &l->charge_first, l->charges.count);
}

void rl_latent_find(rl_latent_t* l) {
    rl_checker_t* c = l->c;
    rl_program_t* program = c->program;
    uint32_t functions = program->functions.count - c->first_fn, locals = program->locals.count - l->first_local,
             globals = program->globals.count - c->first_global;
    l->fn_node = 1;
    l->local_node = l->fn_node + functions;
    l->global_node = l->local_node + locals;
    uint32_t count = l->global_node + globals;
    find_roots(l);
    if (!rl_vec_reserve(c->allocator, &l->nodes, count) || rl_failed(c)) return;
    memset(l->nodes.data, 0, count * sizeof *l->nodes.data);
    l->nodes.count = count;
    look_at_all(l);
    if (rl_failed(c)) return;
    solve(l);
    if (!rl_failed(c)) store_results(l);
}

/* Values in between get new nodes: their flows are found once more. */
void rl_latent_explain(rl_latent_t* l) {
    l->record = true;
    l->slots.count = l->edges.count = 0;
    look_at_all(l);
    if (!rl_failed(l->c)) solve(l);
}

void rl_latent_deinit(rl_latent_t* l) {
    rl_allocator_t* a = l->c->allocator;
    rl_vec_deinit(a, &l->nodes);
    rl_vec_deinit(a, &l->roots);
    rl_vec_deinit(a, &l->edges);
    rl_vec_deinit(a, &l->slots);
    rl_vec_deinit(a, &l->foreign);
    rl_vec_deinit(a, &l->steps);
    rl_vec_deinit(a, &l->values);
    rl_vec_deinit(a, &l->charges);
    rl_vec_deinit(a, &l->charge_first);
}
