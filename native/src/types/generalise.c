/* Generalisation and instantiation (LANGUAGE 4.4): components of top-level functions, local functions and values;
   defaults. */
#include "types/infer.h"

/* --- walking types ------------------------------------------------------------------------------------------------ */

/* Types are graphs that may be very large as trees: after some steps what was done is remembered. */
typedef struct param_map {
    rl_checker_t* c;
    rl_type_t (*leaf)(rl_checker_t* c, void* user, uint32_t index);
    void* user;
    rl_map_t done;
    uint32_t steps;
} param_map_t;

static rl_type_t map_params(param_map_t* map, rl_type_t type) {
    rl_checker_t* c = map->c;
    rl_type_node_t node = *rl_type_node(c->types, type);
    if (!(node.flags & RL_TYPE_HAS_PARAM)) return type;
    if (node.kind == RL_TYPE_PARAM) return map->leaf(c, map->user, node.a);
    uint32_t known;
    bool remember = ++map->steps > 64;
    if (remember && rl_map_get(&map->done, type, &known)) return known;
    uint32_t words = rl_type_part_words(&node), inline_parts[16];
    uint32_t* parts = inline_parts;
    size_t size = (size_t)words * sizeof *parts;
    if (words > RL_COUNT_OF(inline_parts) && !(parts = rl_alloc(c->allocator, size))) return RL_TYPE_ERROR;
    memcpy(parts, rl_type_args(c->types, type), size);
    uint32_t step = rl_type_part_step(node.kind);
    for (uint32_t i = step - 1; i < words; i += step) parts[i] = map_params(map, parts[i]); /* nests at most 100 deep */
    rl_type_t made = rl_type_make(c->types, (rl_type_kind_t)node.kind, node.a, parts, words);
    if (parts != inline_parts) rl_free(c->allocator, parts, size);
    if (remember) (void)rl_map_put(c->allocator, &map->done, type, made);
    return made;
}

rl_type_t rl_map_params(
    rl_checker_t* c, rl_type_t type, rl_type_t (*leaf)(rl_checker_t* c, void* user, uint32_t index), void* user) {
    param_map_t map = {.c = c, .leaf = leaf, .user = user};
    rl_type_t made = map_params(&map, type);
    rl_map_deinit(c->allocator, &map.done);
    return made;
}

static rl_var_t* open_var(rl_checker_t* c, rl_type_t type) {
    const rl_type_node_t* node = rl_type_node(c->types, type);
    return node->kind == RL_TYPE_VAR ? &c->solver.vars.data[node->a] : NULL;
}

void rl_lower_levels(rl_checker_t* c, rl_type_t type, uint16_t level) {
    if (!(rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR)) return;
    rl_type_list_t vars = {{0}};
    (void)rl_solver_open_vars(&c->solver, type, &vars);
    for (uint32_t i = 0; i < vars.items.count; i++) {
        rl_var_t* var = open_var(c, vars.items.data[i]);
        if (var && var->level > level) var->level = level;
    }
    rl_vec_deinit(c->allocator, &vars.items);
}

static uint32_t literal_constraints(const rl_var_t* var) {
    return var->klass == RL_VAR_INTEGER ? RL_CON_INTEGER_LITERAL
           : var->klass == RL_VAR_FLOAT ? RL_CON_FLOAT_LITERAL
                                        : 0;
}

/* Open variables of the parameters of function types. */
static void param_vars(rl_checker_t* c, rl_type_t type, rl_type_list_t* out) {
    rl_type_t head = rl_head(c, type);
    if (rl_type_kind(c->types, head) != RL_TYPE_FUNCTION) return;
    uint32_t count = rl_arg_count_of(c, head);
    for (uint32_t i = 0; i < count; i++) (void)rl_solver_open_vars(&c->solver, rl_type_args(c->types, head)[i], out);
}

static bool listed(const rl_type_list_t* list, rl_type_t type) {
    for (uint32_t i = 0; i < list->items.count; i++) {
        if (list->items.data[i] == type) return true;
    }
    return false;
}

/* May this variable be generalised? Literals only in parameters, empty collections never. */
static bool may_generalise(const rl_var_t* var, uint16_t level, bool in_params) {
    if (var->level <= level) return false;
    if (var->origin == RL_FROM_EMPTY_LIST || var->origin == RL_FROM_EMPTY_MAP) return in_params;
    return var->klass == RL_VAR_FREE || in_params;
}

uint32_t rl_generalise_local(
    rl_checker_t* c, const rl_type_t* types, uint32_t count, uint16_t level, bool is_function, uint32_t* out_first) {
    rl_type_list_t vars = {{0}}, params = {{0}};
    *out_first = c->local_params.count;
    for (uint32_t i = 0; i < count; i++) {
        rl_type_t type = types[i];
        if (!(rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR)) continue;
        if (is_function) param_vars(c, type, &params);
        (void)rl_solver_open_vars(&c->solver, type, &vars);
    }
    for (uint32_t i = 0; i < vars.items.count && !rl_failed(c); i++) {
        rl_var_t* var = open_var(c, vars.items.data[i]);
        if (!var || var->bound != RL_VAR_OPEN) continue;
        if (!may_generalise(var, level, listed(&params, vars.items.data[i]))) {
            if (var->level > level) var->level = level;
            continue;
        }
        rl_local_param_t entry = {.constraints = var->constraints | literal_constraints(var), .needs = var->needs};
        uint32_t index = RL_LOCAL_PARAM_BASE + c->local_params.count;
        if (!rl_vec_push(c->allocator, &c->local_params, entry)) break;
        (void)rl_solver_bind(&c->solver, vars.items.data[i], rl_type_param(c->types, index));
    }
    rl_vec_deinit(c->allocator, &vars.items);
    rl_vec_deinit(c->allocator, &params.items);
    uint32_t made = c->local_params.count - *out_first;
    if (made && c->open_demands.count && !rl_failed(c)) {
        rl_taken_demands_t taken = {0};
        uint32_t first = RL_LOCAL_PARAM_BASE + *out_first;
        (void)rl_take_demands(c, first, first + made, &taken);
        rl_local_param_t* head = &c->local_params.data[*out_first];
        head->demands = taken.count ? c->local_demands.count + 1 : 0;
        head->demand_count = taken.count;
        for (uint32_t i = 0; i < taken.count; i++) (void)rl_vec_push(c->allocator, &c->local_demands, taken.data[i]);
        rl_vec_deinit(c->allocator, &taken);
    }
    return made;
}

typedef struct local_substitution {
    uint32_t first, count;
    const rl_type_t* args;
} local_substitution_t;

static rl_type_t substitute_local(rl_checker_t* c, void* user, uint32_t index) {
    const local_substitution_t* s = user;
    uint32_t at = index - RL_LOCAL_PARAM_BASE;
    if (index >= RL_LOCAL_PARAM_BASE && at >= s->first && at - s->first < s->count) return s->args[at - s->first];
    return rl_type_param(c->types, index);
}

/* Which PARAMs (from `first` on, at most 64 are told apart) stand in a type. */
typedef struct param_set {
    uint32_t first;
    uint64_t bits;
} param_set_t;

static rl_type_t note_param(rl_checker_t* c, void* user, uint32_t index) {
    param_set_t* set = user;
    if (index >= set->first) set->bits |= (uint64_t)1 << (index - set->first < 63 ? index - set->first : 63);
    return rl_type_param(c->types, index);
}

static uint64_t params_in(rl_checker_t* c, rl_type_t type, uint32_t first) {
    param_set_t set = {first, 0};
    type = rl_solver_zonk(&c->solver, type);
    (void)rl_map_params(c, type, note_param, &set);
    return set.bits;
}

rl_type_t rl_instantiate_local(rl_checker_t* c, const rl_local_fn_t* fn, rl_span_t span, uint32_t* out_args) {
    RL_VEC(rl_type_t) args = {0};
    for (uint32_t i = 0; i < fn->param_count; i++) (void)rl_vec_push(c->allocator, &args, rl_fresh(c, span));
    rl_type_t type = RL_TYPE_ERROR;
    *out_args = 0;
    if (!rl_failed(c)) {
        local_substitution_t s = {fn->param_first, fn->param_count, args.data};
        for (uint32_t i = 0; i < fn->param_count; i++) {
            rl_local_param_t param = c->local_params.data[fn->param_first + i];
            if (param.constraints) (void)rl_solver_require(&c->solver, args.data[i], param.constraints, span);
            for (uint32_t need = param.needs; need; need = c->solver.needs.data[need - 1].next) {
                rl_field_need_t entry = c->solver.needs.data[need - 1];
                rl_type_t wanted = rl_map_params(c, rl_solver_zonk(&c->solver, entry.type), substitute_local, &s);
                (void)rl_solver_require_field(&c->solver, args.data[i], entry.name, wanted, span);
            }
        }
        rl_local_param_t head = fn->param_count ? c->local_params.data[fn->param_first] : (rl_local_param_t){0};
        for (uint32_t i = 0; i < head.demand_count && !rl_failed(c); i++) {
            rl_demand_t demand = c->demands.data[c->local_demands.data[head.demands - 1 + i]];
            uint32_t words = rl_program_trait(c->program, demand.trait)->type_params + 1, mark = c->scratch.count;
            uint32_t base = RL_LOCAL_PARAM_BASE + fn->param_first;
            uint64_t held = 0;
            for (uint32_t k = 0; k < words; k++) held |= params_in(c, c->demand_types.data[demand.first + k], base);
            if (!(held & params_in(c, fn->type, base))) continue; /* of another function of its group */
            for (uint32_t k = 0; k < words; k++) {
                rl_type_t part = rl_solver_zonk(&c->solver, c->demand_types.data[demand.first + k]);
                part = rl_map_params(c, part, substitute_local, &s);
                (void)rl_vec_push(c->allocator, &c->scratch, part);
            }
            if (!rl_failed(c)) rl_demand(c, demand.trait, c->scratch.data + mark, span, false);
            c->scratch.count = mark;
        }
        type = rl_map_params(c, rl_solver_zonk(&c->solver, fn->type), substitute_local, &s);
        *out_args = rl_extra_put(c, args.data, args.count);
    }
    rl_vec_deinit(c->allocator, &args);
    return type;
}

/* --- top-level functions ------------------------------------------------------------------------------------------ */

static uint32_t unit_of(rl_checker_t* c, rl_fn_id_t fn) {
    uint32_t unit;
    return rl_map_get(&c->unit_of_fn, fn, &unit) ? unit : UINT32_MAX;
}

rl_instance_use_t rl_instantiate_fn(rl_checker_t* c, rl_fn_id_t fn, rl_span_t span) {
    rl_function_t function = *rl_program_function(c->program, fn);
    rl_instance_use_t use = {.fn = fn, .count = function.type_params};
    uint32_t unit = fn >= c->program->first_fn ? unit_of(c, fn) : UINT32_MAX;
    if (unit != UINT32_MAX && !c->units.data[unit].done && !c->units.data[unit].annotated) {
        if (!c->units.data[unit].in_progress) {
            rl_str_t name = rl_text(c, function.name);
            rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, span,
                "the type of %.*s is not known here yet: annotate it", RL_STR_ARG(name));
        }
        use.in_group = true;
        use.count = function.type_params = 0; /* as it is: it is not general before the component is done */
    }
    rl_type_t self = c->bind_self;
    c->bind_self = 0;
    if (use.count == 0) return use;
    rl_words_mark_t words = rl_words_mark(c);
    rl_type_t* args = rl_words(c, use.count);
    if (args) {
        rl_solver_instantiate(&c->solver, &function, 0, span, args);
        use.type_args = rl_extra_put(c, args, use.count);
        if (self && function.flags & RL_FN_TRAIT && !rl_failed(c)) (void)rl_unify(&c->solver, args[0], self);
        for (uint32_t i = 0; i < function.constraint_count && !rl_failed(c); i++) {
            rl_constraint_t constraint = *rl_program_constraint(c->program, function.constraint_first + i);
            if (constraint.kinds == RL_CON_TRAIT) rl_demand_constraint(c, &constraint, args, use.count, span, 0);
        }
    }
    rl_words_release(c, words);
    return use;
}

rl_type_t rl_instance_type(rl_checker_t* c, const rl_instance_use_t* use, rl_type_t type) {
    if (use->type_args == 0) return type;
    if (!(rl_type_node(c->types, type)->flags & (RL_TYPE_HAS_PARAM | RL_TYPE_HAS_VAR))) return type;
    if (rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR) type = rl_solver_zonk(&c->solver, type);
    return rl_type_substitute(c->types, type, rl_extra_at(c, use->type_args), use->count);
}

void rl_instance_note(rl_checker_t* c, const rl_instance_use_t* use, rl_ir_t node) {
    rl_node_at(c, node)->b = use->type_args;
    if (!use->in_group) return;
    rl_group_ref_t ref = {node, use->fn};
    (void)rl_vec_push(c->allocator, &c->group_refs, ref);
}

static void add_constraint(rl_checker_t* c, rl_constraint_t constraint, uint32_t* count) {
    *count += rl_vec_push(c->allocator, &c->program->constraints, constraint);
}

/* Is the constraint one of the type parameters that a signature holds? */
static bool concerns(rl_checker_t* c, const rl_constraint_t* constraint, uint32_t first, uint64_t held) {
    uint64_t bits = 0;
    if (constraint->kinds == RL_CON_TRAIT) {
        uint32_t count = rl_program_trait(c->program, constraint->trait)->type_params + 1;
        for (uint32_t i = 0; i < count; i++)
            bits |= params_in(c, *rl_program_extra(c->program, constraint->args + i), first);
    } else if (constraint->param >= first) {
        bits = (uint64_t)1 << (constraint->param - first < 63 ? constraint->param - first : 63);
    }
    return (bits & held) != 0;
}

/* Give the functions of a component their type parameters: what is open in their signatures. All share one list. */
void rl_generalise_component(rl_checker_t* c, const uint32_t* units, uint32_t count) {
    rl_program_t* program = c->program;
    rl_type_list_t vars = {{0}}, in_params = {{0}};
    uint32_t explicit_max = 0;
    bool all_annotated = true;
    for (uint32_t i = 0; i < count; i++) {
        const rl_unit_t* unit = &c->units.data[units[i]];
        if (!unit->fn || unit->kind != RL_UNIT_FN) continue;
        if (unit->explicit_count > explicit_max) explicit_max = unit->explicit_count;
        if (unit->annotated) continue;
        all_annotated = false;
        const rl_function_t function = *rl_program_function(program, unit->fn);
        for (uint32_t k = 0; k < function.param_count; k++) {
            rl_type_t type = rl_program_param(program, function.param_first + k)->type;
            (void)rl_solver_open_vars(&c->solver, type, &in_params);
            (void)rl_solver_open_vars(&c->solver, type, &vars);
        }
        (void)rl_solver_open_vars(&c->solver, function.result, &vars);
    }
    if (!all_annotated) {
        uint32_t next = explicit_max, first_constraint = program->first_constraint + program->constraints.count;
        RL_VEC(rl_constraint_t) inferred = {0};
        RL_VEC(uint32_t) chosen = {0};
        for (uint32_t i = 0; i < vars.items.count && !rl_failed(c); i++) {
            rl_type_t type = vars.items.data[i];
            rl_var_t var = *open_var(c, type);
            if (!may_generalise(&var, 0, listed(&in_params, type))) continue;
            uint32_t index = next++;
            uint32_t kinds = var.constraints | literal_constraints(&var);
            rl_constraint_t constraint = {.param = index, .kinds = kinds};
            if (kinds) (void)rl_vec_push(c->allocator, &inferred, constraint);
            for (uint32_t need = var.needs; need; need = c->solver.needs.data[need - 1].next) {
                const rl_field_need_t* entry = &c->solver.needs.data[need - 1];
                rl_constraint_t field = {
                    .param = index, .kinds = RL_CON_FIELD, .field = entry->name, .type = entry->type};
                (void)rl_vec_push(c->allocator, &inferred, field);
            }
            (void)rl_solver_bind(&c->solver, type, rl_type_param(c->types, index));
        }
        if (c->open_demands.count && next > explicit_max && !rl_failed(c)) {
            rl_taken_demands_t taken = {0};
            (void)rl_take_demands(c, explicit_max, next, &taken);
            for (uint32_t i = 0; i < taken.count; i++)
                (void)rl_vec_push(c->allocator, &inferred, rl_demand_as_constraint(c, taken.data[i]));
            rl_vec_deinit(c->allocator, &taken);
        }
        for (uint32_t i = 0; i < inferred.count; i++) {
            if (inferred.data[i].kinds & RL_CON_FIELD)
                inferred.data[i].type = rl_solver_zonk(&c->solver, inferred.data[i].type);
        }
        (void)first_constraint;
        for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
            const rl_unit_t* unit = &c->units.data[units[i]];
            if (!unit->fn || unit->kind != RL_UNIT_FN || unit->annotated) continue;
            rl_function_t function = *rl_program_function(program, unit->fn);
            uint32_t first = program->first_constraint + program->constraints.count, constraints = 0;
            for (uint32_t k = 0; k < function.constraint_count; k++) {
                rl_constraint_t copy = *rl_program_constraint(program, function.constraint_first + k);
                add_constraint(c, copy, &constraints);
            }
            uint64_t held = params_in(c, function.result, explicit_max);
            for (uint32_t k = 0; k < function.param_count; k++)
                held |= params_in(c, rl_program_param(program, function.param_first + k)->type, explicit_max);
            for (bool grows = true; grows;) { /* the type of a field may hold further ones */
                uint64_t before = held;
                for (uint32_t k = 0; k < inferred.count; k++) {
                    if ((inferred.data[k].kinds & RL_CON_FIELD) && concerns(c, &inferred.data[k], explicit_max, held))
                        held |= params_in(c, inferred.data[k].type, explicit_max);
                }
                grows = held != before;
            }
            for (uint32_t k = 0; k < inferred.count; k++) {
                if (concerns(c, &inferred.data[k], explicit_max, held))
                    add_constraint(c, inferred.data[k], &constraints);
            }
            rl_function_t* made = rl_function_at(c, unit->fn);
            made->type_params = next;
            made->constraint_first = first;
            made->constraint_count = constraints;
            made->result = rl_solver_zonk(&c->solver, made->result);
            for (uint32_t k = 0; k < function.param_count; k++) {
                uint32_t at = function.param_first + k - program->first_param;
                rl_type_t type = rl_solver_zonk(&c->solver, program->params.data[at].type);
                program->params.data[at].type = type;
                rl_fn_id_t default_fn = program->params.data[at].default_fn;
                if (!default_fn) continue;
                rl_function_t* def = rl_function_at(c, default_fn);
                def->type_params = next;
                def->constraint_first = first;
                def->constraint_count = constraints;
                def->result = rl_solver_zonk(&c->solver, def->result);
            }
        }
        rl_vec_deinit(c->allocator, &inferred);
        rl_vec_deinit(c->allocator, &chosen);
    }
    rl_vec_deinit(c->allocator, &vars.items);
    rl_vec_deinit(c->allocator, &in_params.items);

    /* Uses inside the component: the type parameters are the caller's own. */
    for (uint32_t i = 0; i < c->group_refs.count && !rl_failed(c); i++) {
        rl_group_ref_t ref = c->group_refs.data[i];
        uint32_t total = rl_program_function(program, ref.fn)->type_params;
        uint32_t offset = rl_extra_put(c, NULL, total);
        for (uint32_t k = 0; k < total && offset; k++) rl_extra_at(c, offset)[k] = rl_type_param(c->types, k);
        rl_node_at(c, ref.node)->b = offset;
    }
    c->group_refs.count = 0;
}

/* --- what nothing fixed ------------------------------------------------------------------------------------------- */

void rl_note_let(rl_checker_t* c, rl_type_t type, rl_span_t span, bool is_var, bool is_value) {
    if (!(rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR)) return;
    type = rl_solver_zonk(&c->solver, type);
    if (!(rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR)) return;
    rl_let_check_t check = {type, span, is_var, is_value};
    (void)rl_vec_push(c->allocator, &c->let_checks, check);
}

/* Does the variable stand inside something that can be written to or called? (value restriction) */
static bool held(rl_checker_t* c, rl_type_t type, rl_type_t var, bool inside, uint32_t* steps) {
    if (*steps == 0) return false; /* a huge graph: let it pass */
    --*steps;
    type = rl_head(c, type);
    if (type == var) return inside;
    const rl_type_node_t node = *rl_type_node(c->types, type);
    if (!(node.flags & RL_TYPE_HAS_VAR) || node.kind == RL_TYPE_VAR) return false;
    if (node.kind == RL_TYPE_FUNCTION) inside = true;
    if (node.kind == RL_TYPE_NAMED) {
        const rl_known_t* known = &c->program->known;
        bool mutable_type =
            node.a == known->vec || node.a == known->table || node.a == known->cell || node.a == known->ref;
        inside |= mutable_type || rl_program_typedef(c->program, node.a)->kind == RL_DEF_STRUCT;
    }
    uint32_t words = rl_type_part_words(&node), step = rl_type_part_step(node.kind);
    for (uint32_t i = step - 1; i < words; i += step) {
        if (held(c, rl_type_args(c->types, type)[i], var, inside, steps)) return true;
    }
    return false;
}

static void check_let(rl_checker_t* c, const rl_let_check_t* check, uint16_t level) {
    rl_type_list_t vars = {{0}};
    (void)rl_solver_open_vars(&c->solver, check->type, &vars);
    for (uint32_t i = 0; i < vars.items.count; i++) {
        rl_type_t type = vars.items.data[i];
        rl_var_t* var = open_var(c, type);
        if (!var || var->bound != RL_VAR_OPEN || var->level < level || var->klass != RL_VAR_FREE) continue;
        rl_code_t code;
        uint32_t steps = 4096;
        bool empty = var->origin == RL_FROM_EMPTY_LIST || var->origin == RL_FROM_EMPTY_MAP;
        if (!empty && (var->constraints || var->needs)) continue;
        if (check->is_var || (!check->is_value && held(c, check->type, type, false, &steps)))
            code = RL_CODE_LANGUAGE_INFERENCE_VALUE_RESTRICTION;
        else if (empty) code = RL_CODE_TYPE_ARRAY_LITERAL_EMPTY_REQUIRES_ANNOTATION;
        else continue;
        rl_report(c->diags, code, check->span,
            code == RL_CODE_LANGUAGE_INFERENCE_VALUE_RESTRICTION
                ? "the type %s is never fixed and cannot be generalised"
                : "the element type of this empty collection is never fixed: %s",
            rl_show(c, check->type));
        (void)rl_solver_bind(&c->solver, type, RL_TYPE_ERROR);
    }
    rl_vec_deinit(c->allocator, &vars.items);
}

void rl_default_variables(rl_checker_t* c, uint32_t first_var, uint32_t first_let, uint16_t level) {
    for (uint32_t i = first_let; i < c->let_checks.count; i++) {
        rl_let_check_t check = c->let_checks.data[i];
        check_let(c, &check, level);
    }
    if (c->open_demands.count) { /* what numbers become may decide the demands */
        rl_poll_demands(c);
        for (uint32_t i = first_var; i < c->solver.vars.count && c->open_demands.count && !rl_failed(c); i++) {
            rl_var_t* var = &c->solver.vars.data[i];
            if (var->bound != RL_VAR_OPEN || var->level < level || (var->klass == RL_VAR_FREE && !var->constraints))
                continue;
            var->bound = var->klass == RL_VAR_FLOAT ? RL_TYPE_F64 : RL_TYPE_I64;
            rl_poll_demands(c);
        }
        rl_finish_demands(c, level);
    }
    for (uint32_t i = first_var; i < c->solver.vars.count && !rl_failed(c); i++) {
        rl_var_t* var = &c->solver.vars.data[i];
        if (var->bound != RL_VAR_OPEN || var->level < level) continue;
        rl_type_t type;
        if (var->klass == RL_VAR_FLOAT) type = RL_TYPE_F64;
        else if (var->klass == RL_VAR_INTEGER || var->constraints) type = RL_TYPE_I64;
        else if (var->needs) {
            const rl_field_need_t* need = &c->solver.needs.data[var->needs - 1];
            rl_str_t name = rl_text(c, need->name);
            rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, need->span,
                "the type that has member %.*s is not known here", RL_STR_ARG(name));
            type = RL_TYPE_ERROR;
        } else type = RL_TYPE_UNIT;
        var->bound = type;
    }
}
