/*
 * Demands: a trait must be implemented for types that are perhaps not known yet (LANGUAGE 4.6). A demand is decided by
 * what the function being checked may assume (`rigid`), by what is built in, and by the impls of the program. While more than
 * one of these fits it waits; when one fits, what that one fixes becomes known.
 */
#include "types/impl.h"
#include "types/infer.h"

typedef enum answer { ANSWER_WAIT, ANSWER_DONE } answer_t;

/* Something that may meet a demand. */
typedef struct candidate {
    enum { FROM_NOTHING, FROM_RIGID, FROM_BUILT_IN, FROM_IMPL } from;
    uint32_t index; /* rigid constraint, impl */
    uint32_t count; /* how many fit */
} candidate_t;

typedef struct wanted {
    rl_trait_t trait;
    rl_trait_id_t id;
    uint32_t count; /* Self and arguments */
    rl_type_t types[RL_IMPL_PARAMS_MAX];
} wanted_t;

static wanted_t read_demand(rl_checker_t* c, const rl_demand_t* demand) {
    wanted_t w = {.trait = *rl_program_trait(c->program, demand->trait), .id = demand->trait};
    w.count = w.trait.type_params + 1;
    for (uint32_t i = 0; i < w.count; i++) w.types[i] = rl_head(c, c->demand_types.data[demand->first + i]);
    return w;
}

static bool is_open(rl_checker_t* c, rl_type_t type) { return rl_type_kind(c->types, type) == RL_TYPE_VAR; }

/* Named and anonymous records are different implementing types: heads must be the same, or open. */
static bool heads_fit(rl_checker_t* c, rl_type_t pattern, rl_type_t type) {
    const rl_type_node_t* p = rl_type_node(c->types, pattern);
    const rl_type_node_t* t = rl_type_node(c->types, rl_head(c, type));
    if (p->kind == RL_TYPE_PARAM || t->kind == RL_TYPE_VAR) return true;
    return p->kind == t->kind && p->count == t->count && (p->kind == RL_TYPE_FUNCTION || p->a == t->a);
}

/* Make the types of the demand those of the impl; its type parameters come to `params`. False: they do not fit. */
static bool meet_impl(rl_checker_t* c, const wanted_t* w, rl_impl_id_t id, rl_type_t* params, rl_span_t span) {
    const rl_impl_t impl = *rl_program_impl(c->program, id);
    for (uint32_t i = 0; i < w->count; i++) {
        if (i == 0 && w->types[0] == RL_TYPE_ERROR) continue;
        if (!heads_fit(c, *rl_program_extra(c->program, impl.args + i), w->types[i])) return false;
    }
    for (uint32_t i = 0; i < impl.type_params; i++) params[i] = rl_fresh(c, span);
    for (uint32_t i = 0; i < w->count; i++) {
        if (i == 0 && w->types[0] == RL_TYPE_ERROR) continue;
        rl_type_t type =
            rl_type_substitute(c->types, *rl_program_extra(c->program, impl.args + i), params, impl.type_params);
        if (rl_unify(&c->solver, type, w->types[i]) != RL_UNIFY_OK) return false;
    }
    return !rl_failed(c);
}

/* Reads what it needs each time: rigid and extra may move. */
static bool meet_rigid(rl_checker_t* c, const wanted_t* w, uint32_t index, bool* out_exact) {
    const rl_constraint_t constraint = c->rigid.data[index];
    *out_exact = true;
    for (uint32_t i = 0; i < w->count; i++) {
        rl_type_t type = *rl_program_extra(c->program, constraint.args + i);
        if (i == 0 && type == RL_TYPE_ERROR && is_open(c, w->types[0])) /* whichever it is, for the callee too */
            (void)rl_solver_bind(&c->solver, w->types[0], RL_TYPE_ERROR);
        if (i == 0 && (type == RL_TYPE_ERROR || w->types[0] == RL_TYPE_ERROR)) continue;
        if (rl_solver_zonk(&c->solver, w->types[i]) != type) *out_exact = false;
        if (!heads_fit(c, type, w->types[i]) || rl_unify(&c->solver, type, w->types[i]) != RL_UNIFY_OK) return false;
    }
    return true;
}

/* One type for all operands and the result, which has the operator without an impl. */
static bool meet_built_in(rl_checker_t* c, const wanted_t* w) {
    if (!w->trait.operator_kind) return false;
    bool wild = w->types[0] == RL_TYPE_ERROR;
    rl_type_t type = w->types[1];
    for (uint32_t i = 1; i < w->count && is_open(c, type); i++) type = w->types[i];
    if (is_open(c, type) && !wild) type = w->types[0];
    rl_type_kind_t kind = rl_type_kind(c->types, type);
    if (kind == RL_TYPE_PARAM) {
        if (!c->solver.param_satisfies(c, rl_type_node(c->types, type)->a, w->trait.operator_kind)) return false;
    } else if (type >= RL_TYPE_SIMPLE_COUNT || !rl_type_satisfies(c->program, type, w->trait.operator_kind, NULL)) {
        return false;
    }
    for (uint32_t i = wild ? 1 : 0; i < w->count; i++) {
        if (!heads_fit(c, type, w->types[i]) && !is_open(c, w->types[i])) return false;
        if (rl_unify(&c->solver, type, w->types[i]) != RL_UNIFY_OK) return false;
    }
    return true;
}

/* All that fit, tried one by one without lasting effect; an exact assumption wins. */
static candidate_t find_candidates(rl_checker_t* c, const wanted_t* w, rl_span_t span) {
    candidate_t found = {FROM_NOTHING, 0, 0};
    rl_type_t params[RL_IMPL_PARAMS_MAX];
    for (uint32_t i = 0; i < c->rigid.count; i++) {
        if (c->rigid.data[i].kinds != RL_CON_TRAIT || c->rigid.data[i].trait != w->id) continue;
        bool exact;
        uint32_t mark = rl_solver_mark(&c->solver);
        bool fits = meet_rigid(c, w, i, &exact);
        rl_solver_rollback(&c->solver, mark);
        if (fits && exact) return (candidate_t){FROM_RIGID, i, 1};
        if (fits) found = (candidate_t){FROM_RIGID, i, found.count + 1};
    }
    uint32_t mark = rl_solver_mark(&c->solver);
    bool built_in = meet_built_in(c, w);
    rl_solver_rollback(&c->solver, mark);
    if (built_in) found = (candidate_t){FROM_BUILT_IN, 0, found.count + 1};
    bool any = w->types[0] == RL_TYPE_ERROR || is_open(c, w->types[0]);
    uint32_t head = any ? 0 : rl_impl_head(c->program, w->types[0]);
    if (any && w->trait.operator_kind && !is_open(c, w->types[1]))
        head = rl_impl_head(c->program, w->types[1]) | RL_IMPL_LEFT;
    rl_impl_walk_t walk = rl_impl_walk(c->program, w->id, head);
    for (rl_impl_id_t id; found.count < 2 && (id = rl_impl_next(&walk)) != 0;) {
        mark = rl_solver_mark(&c->solver);
        bool fits = meet_impl(c, w, id, params, span);
        rl_solver_rollback(&c->solver, mark);
        if (fits) found = (candidate_t){FROM_IMPL, id, found.count + 1};
    }
    return found;
}

void rl_show_trait(rl_checker_t* c, rl_trait_id_t id, const rl_type_t* types, rl_buf_t* out) {
    const rl_trait_t trait = *rl_program_trait(c->program, id);
    rl_buf_add(out, rl_text(c, trait.name));
    for (uint32_t i = 1; i <= trait.type_params; i++) {
        rl_buf_add_cstr(out, i == 1 ? "<" : ", ");
        rl_buf_add_cstr(out, rl_show(c, types[i]));
    }
    if (trait.type_params) rl_buf_add_char(out, '>');
}

static void report_missing(rl_checker_t* c, const wanted_t* w, rl_span_t span) {
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    rl_show_trait(c, w->id, w->types, &text);
    bool any = w->types[0] == RL_TYPE_ERROR;
    rl_diag_t* diag;
    if (any) {
        diag = rl_report(
            c->diags, RL_CODE_TYPECLASS_CONSTRAINT_UNRESOLVED, span, "there is no impl of %s", rl_buf_cstr(&text));
        rl_note_plain(c->diags, diag, "needed: impl %s", rl_buf_cstr(&text));
    } else {
        diag = rl_report(c->diags, RL_CODE_TYPECLASS_CONSTRAINT_UNRESOLVED, span, "%s does not implement %s",
            rl_show(c, w->types[0]), rl_buf_cstr(&text));
        rl_note_plain(c->diags, diag, "needed: impl %s for %s", rl_buf_cstr(&text), rl_show(c, w->types[0]));
    }
    rl_buf_deinit(&text);
}

/* What the impl itself demands of its parameters. */
static void demand_of_impl(rl_checker_t* c, rl_impl_id_t id, const rl_type_t* params, rl_span_t span, uint16_t depth) {
    const rl_impl_t impl = *rl_program_impl(c->program, id);
    for (uint32_t i = 0; i < impl.constraint_count && !rl_failed(c); i++) {
        const rl_constraint_t constraint = *rl_program_constraint(c->program, impl.constraint_first + i);
        if (!(constraint.kinds & RL_CON_TRAIT)) {
            rl_unify_result_t result = rl_solver_require(&c->solver, params[constraint.param], constraint.kinds, span);
            if (result != RL_UNIFY_OK) rl_report_constraint(c, params[constraint.param], span);
            continue;
        }
        rl_demand_constraint(c, &constraint, params, impl.type_params, span, (uint16_t)(depth + 1));
    }
}

/* --- telemetry ---------------------------------------------------------------------------------------------------- */

/* All that fit, as find_candidates() looks for them; these, unlike its own, are kept. */
static void note_candidates(rl_checker_t* c, const wanted_t* w, rl_span_t span, rl_noted_resolution_t* out) {
    rl_telemetry_t* t = c->telemetry;
    rl_type_t params[RL_IMPL_PARAMS_MAX];
    out->candidate_first = t->candidates.count;
    for (uint32_t i = 0; i < c->rigid.count; i++) {
        if (c->rigid.data[i].kinds != RL_CON_TRAIT || c->rigid.data[i].trait != w->id) continue;
        bool exact;
        uint32_t mark = rl_solver_mark(&c->solver);
        bool fits = meet_rigid(c, w, i, &exact);
        rl_solver_rollback(&c->solver, mark);
        if (fits) (void)rl_vec_push(c->allocator, &t->candidates, RL_CANDIDATE_ASSUMED);
    }
    uint32_t mark = rl_solver_mark(&c->solver);
    if (meet_built_in(c, w)) (void)rl_vec_push(c->allocator, &t->candidates, RL_CANDIDATE_BUILT_IN);
    rl_solver_rollback(&c->solver, mark);
    rl_impl_walk_t walk = rl_impl_walk(c->program, w->id, 0);
    uint32_t assumed = t->candidates.count;
    for (rl_impl_id_t id;
        t->candidates.count - out->candidate_first < RL_CANDIDATES_MAX && (id = rl_impl_next(&walk)) != 0;) {
        mark = rl_solver_mark(&c->solver);
        if (meet_impl(c, w, id, params, span)) (void)rl_vec_push(c->allocator, &t->candidates, id);
        rl_solver_rollback(&c->solver, mark);
    }
    out->candidate_count = t->candidates.count - out->candidate_first;
    for (uint32_t i = assumed, k = t->candidates.count; i + 1 < k; i++) { /* the walk begins with the newest */
        uint32_t other = t->candidates.data[--k];
        t->candidates.data[k] = t->candidates.data[i];
        t->candidates.data[i] = other;
    }
}

static void note_decision(
    rl_checker_t* c, uint32_t index, const wanted_t* w, rl_resolution_state_t state, candidate_t found) {
    static const uint8_t dictionaries[] = {[FROM_NOTHING] = RL_DICTIONARY_NONE,
        [FROM_RIGID] = RL_DICTIONARY_PARAMETER,
        [FROM_BUILT_IN] = RL_DICTIONARY_IMPLICIT,
        [FROM_IMPL] = RL_DICTIONARY_IMPLICIT};
    if (RL_LIKELY(!c->telemetry)) return;
    rl_noted_resolution_t noted = {.demand = index, .state = (uint8_t)state};
    if (state == RL_RESOLVED) {
        noted.dictionary = w->trait.holds_for_all ? RL_DICTIONARY_IMPLICIT : dictionaries[found.from];
        noted.index = found.index;
    }
    note_candidates(c, w, c->demands.data[index].span, &noted);
    if (state == RL_RESOLUTION_AMBIGUOUS || state == RL_RESOLUTION_UNRESOLVED_TYPEVAR) {
        rl_type_list_t vars = {{0}};
        noted.open_first = c->telemetry->open_variables.count;
        for (uint32_t i = 0; i < w->count; i++) (void)rl_solver_open_vars(&c->solver, w->types[i], &vars);
        for (uint32_t i = 0; i < vars.items.count; i++)
            noted.open_count +=
                rl_vec_push(c->allocator, &c->telemetry->open_variables, rl_type_node(c->types, vars.items.data[i])->a);
        rl_vec_deinit(c->allocator, &vars.items);
    }
    rl_note_resolution_now(c, &noted);
}

/* Never decided: several fit, or nothing says which type is meant. */
static void note_open(rl_checker_t* c, uint32_t index, const wanted_t* w) {
    bool known = false;
    for (uint32_t i = c->demands.data[index].any_self ? 1 : 0; i < w->count; i++) known |= !is_open(c, w->types[i]);
    note_decision(c, index, w, known ? RL_RESOLUTION_AMBIGUOUS : RL_RESOLUTION_UNRESOLVED_TYPEVAR,
        (candidate_t){FROM_NOTHING, 0, 0});
}

static answer_t decide(rl_checker_t* c, uint32_t index) {
    const rl_demand_t demand = c->demands.data[index];
    wanted_t w = read_demand(c, &demand);
    bool known = false, wild = demand.any_self;
    for (uint32_t i = wild ? 1 : 0; i < w.count; i++) {
        if (w.types[i] == RL_TYPE_ERROR || (i == 0 && w.types[i] == RL_TYPE_NEVER)) return ANSWER_DONE;
        known |= !is_open(c, w.types[i]);
    }
    if (w.trait.holds_for_all) {
        note_decision(c, index, &w, RL_RESOLVED, (candidate_t){FROM_NOTHING, 0, 0});
        return ANSWER_DONE;
    }
    if (!known || (!wild && w.trait.takes_self && is_open(c, w.types[0]))) return ANSWER_WAIT;
    const rl_type_node_t* self = rl_type_node(c->types, w.types[0]);
    if (!wild && self->kind == RL_TYPE_PARAM && self->a >= RL_LOCAL_PARAM_BASE) { /* assumed there */
        if (RL_UNLIKELY(c->telemetry != NULL))
            rl_note_resolution_now(
                c, &(rl_noted_resolution_t){.demand = index, .state = RL_RESOLVED, .dictionary = RL_DICTIONARY_LOCAL});
        return ANSWER_DONE;
    }
    candidate_t found = find_candidates(c, &w, demand.span);
    if (found.count > 1) return ANSWER_WAIT;
    c->demands.data[index].done = true;
    note_decision(c, index, &w,
        demand.depth > RL_IMPL_DEPTH ? RL_RESOLUTION_CYCLIC
        : found.from == FROM_NOTHING ? RL_RESOLUTION_UNRESOLVED
                                     : RL_RESOLVED,
        found);
    rl_type_t params[RL_IMPL_PARAMS_MAX];
    bool exact;
    if (demand.depth > RL_IMPL_DEPTH) {
        rl_report(c->diags, RL_CODE_TYPE_INSTANTIATION_LIMIT, demand.span, "this needs impls of trait %.*s without end",
            RL_STR_ARG(rl_text(c, w.trait.name)));
        return ANSWER_DONE;
    }
    switch (found.from) {
    case FROM_NOTHING: report_missing(c, &w, demand.span); break;
    case FROM_RIGID: (void)meet_rigid(c, &w, found.index, &exact); break;
    case FROM_BUILT_IN: (void)meet_built_in(c, &w); break;
    case FROM_IMPL:
        if (meet_impl(c, &w, found.index, params, demand.span))
            demand_of_impl(c, found.index, params, demand.span, demand.depth);
        break;
    }
    return ANSWER_DONE;
}

static void try_demand(rl_checker_t* c, uint32_t index) {
    if (decide(c, index) == ANSWER_DONE) c->demands.data[index].done = true;
}

void rl_demand(rl_checker_t* c, rl_trait_id_t trait, const rl_type_t* types, rl_span_t span, bool declared) {
    uint32_t count = rl_program_trait(c->program, trait)->type_params + 1, index = c->demands.count;
    rl_demand_t demand = {.trait = trait,
        .first = c->demand_types.count,
        .span = span,
        .declared = declared,
        .any_self = types[0] == RL_TYPE_ERROR,
        .depth = c->demand_depth};
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->demand_types, types[i]);
    if (rl_failed(c) || !rl_vec_push(c->allocator, &c->demands, demand)) return;
    (void)rl_vec_push(c->allocator, &c->open_demands, index);
    if (!declared) try_demand(c, index);
}

void rl_demand_constraint(rl_checker_t* c, const rl_constraint_t* constraint, const rl_type_t* params, uint32_t count,
    rl_span_t span, uint16_t depth) {
    rl_type_t types[RL_IMPL_PARAMS_MAX];
    uint32_t words = rl_program_trait(c->program, constraint->trait)->type_params + 1;
    for (uint32_t i = 0; i < words; i++) {
        rl_type_t type = *rl_program_extra(c->program, constraint->args + i);
        if (rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR) type = rl_solver_zonk(&c->solver, type);
        types[i] = rl_type_substitute(c->types, type, params, count);
    }
    uint16_t outer = c->demand_depth;
    c->demand_depth = depth;
    rl_demand(c, constraint->trait, types, span, false);
    c->demand_depth = outer;
}

/* Until nothing more becomes known. Deciding one may add others at the end of the list. */
void rl_poll_demands(rl_checker_t* c) {
    if (c->open_demands.count == 0 || c->polling_demands) return;
    c->polling_demands = true;
    for (bool progress = true; progress && !rl_failed(c);) {
        progress = false;
        for (uint32_t i = 0; i < c->open_demands.count && !rl_failed(c); i++) {
            uint32_t index = c->open_demands.data[i];
            if (c->demands.data[index].done) continue;
            try_demand(c, index);
            progress |= c->demands.data[index].done;
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < c->open_demands.count; i++) {
            if (!c->demands.data[c->open_demands.data[i]].done) c->open_demands.data[kept++] = c->open_demands.data[i];
        }
        c->open_demands.count = kept;
    }
    c->polling_demands = false;
}

/* Does the type hold a PARAM from `first` on? */
typedef struct param_search {
    uint32_t first, end;
    bool found;
} param_search_t;
static rl_type_t search_param(rl_checker_t* c, void* user, uint32_t index) {
    param_search_t* search = user;
    search->found |= index >= search->first && index < search->end;
    return rl_type_param(c->types, index);
}

uint32_t rl_take_demands(rl_checker_t* c, uint32_t first_param, uint32_t end_param, rl_taken_demands_t* out) {
    uint32_t kept = 0, taken = 0;
    for (uint32_t i = 0; i < c->open_demands.count; i++) {
        uint32_t index = c->open_demands.data[i];
        rl_demand_t demand = c->demands.data[index];
        param_search_t search = {first_param, end_param, false};
        uint32_t count = rl_program_trait(c->program, demand.trait)->type_params + 1;
        for (uint32_t k = 0; k < count && !demand.done; k++) {
            rl_type_t type = rl_solver_zonk(&c->solver, c->demand_types.data[demand.first + k]);
            c->demand_types.data[demand.first + k] = type;
            (void)rl_map_params(c, type, search_param, &search);
        }
        if (demand.done || !search.found) {
            c->open_demands.data[kept++] = index;
            continue;
        }
        c->demands.data[index].done = true;
        if (RL_UNLIKELY(c->telemetry != NULL))
            rl_note_resolution_now(c, &(rl_noted_resolution_t){.demand = index,
                                          .state = RL_RESOLUTION_PENDING,
                                          .dictionary = RL_DICTIONARY_PARAMETER,
                                          .index = taken,
                                          .param_first = first_param,
                                          .param_end = end_param});
        taken += rl_vec_push(c->allocator, out, index);
    }
    c->open_demands.count = kept;
    return taken;
}

rl_constraint_t rl_demand_as_constraint(rl_checker_t* c, uint32_t index) {
    const rl_demand_t demand = c->demands.data[index];
    uint32_t count = rl_program_trait(c->program, demand.trait)->type_params + 1;
    uint32_t args = rl_extra_put(c, c->demand_types.data + demand.first, count);
    return (rl_constraint_t){.kinds = RL_CON_TRAIT, .trait = demand.trait, .args = args};
}

void rl_finish_demands(rl_checker_t* c, uint16_t level) {
    rl_poll_demands(c);
    for (uint32_t i = 0; i < c->open_demands.count && !rl_failed(c); i++) {
        uint32_t index = c->open_demands.data[i];
        rl_demand_t demand = c->demands.data[index];
        uint32_t count = rl_program_trait(c->program, demand.trait)->type_params + 1;
        if (demand.done || decide(c, index) == ANSWER_DONE) { /* perhaps by what was said of another */
            c->demands.data[index].done = true;
            continue;
        }
        bool later = false;
        rl_type_list_t vars = {{0}};
        for (uint32_t k = 0; k < count; k++)
            (void)rl_solver_open_vars(&c->solver, c->demand_types.data[demand.first + k], &vars);
        for (uint32_t k = 0; k < vars.items.count; k++) {
            const rl_var_t* var = rl_solver_var(&c->solver, vars.items.data[k]);
            later |= var && var->level < level;
        }
        if (!later) {
            rl_str_t name = rl_text(c, rl_program_trait(c->program, demand.trait)->name);
            if (RL_UNLIKELY(c->telemetry != NULL)) {
                wanted_t w = read_demand(c, &demand);
                note_open(c, index, &w);
            }
            rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, demand.span,
                "the type that trait %.*s is wanted for is not known here", RL_STR_ARG(name));
            for (uint32_t k = 0; k < vars.items.count; k++)
                (void)rl_solver_bind(&c->solver, vars.items.data[k], RL_TYPE_ERROR);
            c->demands.data[index].done = true;
        }
        rl_vec_deinit(c->allocator, &vars.items);
    }
    rl_poll_demands(c);
}

/* --- functions of traits ------------------------------------------------------------------------------------------ */

/* Function `name` of a trait; methods: only those that take self. 0: none. */
static rl_fn_id_t function_of(rl_checker_t* c, rl_trait_id_t id, rl_sym_t name, bool methods) {
    const rl_trait_t trait = *rl_program_trait(c->program, id);
    for (uint32_t i = 0; i < trait.method_count; i++) {
        rl_fn_id_t fn = *rl_program_extra(c->program, trait.method_first + i);
        const rl_function_t* function = rl_program_function(c->program, fn);
        if (function->name == name && (!methods || function->flags & RL_FN_METHOD)) return fn;
    }
    return 0;
}

rl_fn_id_t rl_trait_function(rl_checker_t* c, rl_trait_id_t trait, rl_sym_t name) {
    return function_of(c, trait, name, false);
}

/* Traits whose name this module has (LANGUAGE 3.2), each once; made when first asked for. */
static void find_scope_traits(rl_checker_t* c) {
    c->scope_traits_found = true;
    for (const rl_program_t* program = c->program; program; program = program->below) {
        for (uint32_t i = 0; i < program->traits.count; i++) {
            const rl_trait_t* trait = &program->traits.data[i];
            bool own = trait->module == c->module;
            bool ambient = trait->is_public && rl_program_module(c->program, trait->module)->ambient;
            if (trait->name && (own || ambient))
                (void)rl_vec_push(c->allocator, &c->scope_traits, program->first_trait + i);
        }
    }
    for (uint32_t i = 0; i < c->program->items.count; i++) { /* by `use` */
        const rl_item_t* item = &c->program->items.data[i];
        if (item->module != c->module || item->kind != RL_ITEM_TRAIT) continue;
        bool there = false;
        for (uint32_t k = 0; k < c->scope_traits.count; k++) there |= c->scope_traits.data[k] == item->id;
        if (!there) (void)rl_vec_push(c->allocator, &c->scope_traits, item->id);
    }
    for (uint32_t i = 0; i < c->scope_traits.count; i++) {
        const rl_trait_t trait = *rl_program_trait(c->program, c->scope_traits.data[i]);
        for (uint32_t k = 0; k < trait.method_count; k++) {
            rl_fn_id_t fn = *rl_program_extra(c->program, trait.method_first + k);
            (void)rl_map_put(
                c->allocator, &c->scope_trait_names, rl_program_function(c->program, fn)->name, c->scope_traits.count);
        }
    }
}

/* May an impl of the trait be one for this type? */
static bool has_impl(rl_checker_t* c, rl_trait_id_t trait, rl_type_t type, rl_span_t span) {
    rl_impl_walk_t walk = rl_impl_walk(c->program, trait, rl_impl_head(c->program, type));
    for (rl_impl_id_t id; (id = rl_impl_next(&walk)) != 0;) {
        const rl_impl_t impl = *rl_program_impl(c->program, id);
        rl_type_t params[RL_IMPL_PARAMS_MAX], pattern = *rl_program_extra(c->program, impl.args);
        if (!heads_fit(c, pattern, type)) continue;
        if (!(rl_type_node(c->types, pattern)->flags & RL_TYPE_HAS_PARAM) && pattern == type) return true;
        uint32_t mark = rl_solver_mark(&c->solver);
        for (uint32_t i = 0; i < impl.type_params; i++) params[i] = rl_fresh(c, span);
        pattern = rl_type_substitute(c->types, pattern, params, impl.type_params);
        bool fits = rl_unify(&c->solver, pattern, type) == RL_UNIFY_OK;
        rl_solver_rollback(&c->solver, mark);
        if (fits) return true;
    }
    return false;
}

typedef struct found_traits {
    rl_fn_id_t fn;
    rl_trait_id_t traits[4];
    uint32_t count; /* of all; the first four are named */
} found_traits_t;

static void note_trait(found_traits_t* found, rl_trait_id_t trait, rl_fn_id_t fn) {
    for (uint32_t i = 0; i < found->count && i < RL_COUNT_OF(found->traits); i++) {
        if (found->traits[i] == trait) return;
    }
    if (found->count < RL_COUNT_OF(found->traits)) found->traits[found->count] = trait;
    found->count++;
    found->fn = fn;
}

static found_traits_t find_traits(rl_checker_t* c, rl_type_t type, rl_sym_t name, bool methods, rl_span_t span) {
    found_traits_t found = {0};
    rl_type_t head = rl_head(c, type);
    bool open = is_open(c, head);
    for (uint32_t i = 0; i < c->rigid.count && !open; i++) {
        const rl_constraint_t constraint = c->rigid.data[i];
        if (constraint.kinds != RL_CON_TRAIT || *rl_program_extra(c->program, constraint.args) != head) continue;
        rl_fn_id_t fn = function_of(c, constraint.trait, name, methods);
        if (fn) note_trait(&found, constraint.trait, fn);
    }
    for (uint32_t i = 0; i < c->open_demands.count && open; i++) { /* <T: Tr> of a local function */
        const rl_demand_t demand = c->demands.data[c->open_demands.data[i]];
        if (demand.done || !demand.declared || rl_head(c, c->demand_types.data[demand.first]) != head) continue;
        rl_fn_id_t fn = function_of(c, demand.trait, name, methods);
        if (fn) note_trait(&found, demand.trait, fn);
    }
    uint32_t unused;
    if (!c->scope_traits_found) find_scope_traits(c);
    if (open || !rl_map_get(&c->scope_trait_names, name, &unused)) return found;
    for (uint32_t i = 0; i < c->scope_traits.count; i++) {
        rl_trait_id_t trait = c->scope_traits.data[i];
        rl_fn_id_t fn = function_of(c, trait, name, methods);
        if (fn && has_impl(c, trait, head, span)) note_trait(&found, trait, fn);
    }
    return found;
}

rl_fn_id_t rl_find_trait_function(
    rl_checker_t* c, rl_type_t type, rl_sym_t name, bool methods, rl_span_t span, bool* out_reported) {
    found_traits_t found = find_traits(c, type, name, methods, span);
    *out_reported = found.count > 1;
    if (found.count <= 1) return found.fn;
    rl_str_t text = rl_text(c, name);
    rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPECLASS_METHOD_AMBIGUOUS, span,
        "%.*s of %s is a function of more than one trait", RL_STR_ARG(text), rl_show(c, type));
    for (uint32_t i = 0; i < found.count && i < RL_COUNT_OF(found.traits); i++) {
        rl_str_t trait = rl_text(c, rl_program_trait(c->program, found.traits[i])->name);
        rl_note_plain(c->diags, diag, "write %.*s.%.*s(…)", RL_STR_ARG(trait), RL_STR_ARG(text));
    }
    return 0;
}

rl_fn_id_t rl_find_assumed_function(rl_checker_t* c, rl_sym_t name, rl_type_t* out_self) {
    *out_self = 0;
    for (uint32_t i = 0; i < c->rigid.count; i++) {
        const rl_constraint_t constraint = c->rigid.data[i];
        if (constraint.kinds == RL_CON_TRAIT) {
            rl_fn_id_t fn = function_of(c, constraint.trait, name, false);
            if (!fn) continue;
            /* Without self the types say which one is meant, unless only one can be. */
            uint32_t same = 0;
            for (uint32_t k = 0; k < c->rigid.count; k++)
                same += c->rigid.data[k].kinds == RL_CON_TRAIT && c->rigid.data[k].trait == constraint.trait;
            rl_type_t self = *rl_program_extra(c->program, constraint.args);
            bool takes_self = rl_program_function(c->program, fn)->flags & RL_FN_METHOD;
            if (same == 1 && self != RL_TYPE_ERROR && !takes_self) *out_self = self;
            return fn;
        }
        for (uint32_t k = 0; k < RL_OPERATOR_COUNT; k++) {
            rl_trait_id_t trait = c->program->known.operators[k];
            rl_fn_id_t fn = constraint.kinds >> k & 1 && trait ? function_of(c, trait, name, false) : 0;
            if (fn) return fn;
        }
    }
    /* An impl is code of its trait too: functions without self, of the type it is for. */
    rl_fn_id_t own = c->unit < c->units.count ? c->units.data[c->unit].fn : 0;
    const rl_function_t* around = rl_program_function(c->program, own);
    if (own && around->trait && !(around->flags & RL_FN_TRAIT) && c->self_type) {
        rl_trait_id_t trait = around->trait;
        rl_fn_id_t fn = function_of(c, trait, name, false);
        if (fn && !(rl_program_function(c->program, fn)->flags & RL_FN_METHOD)) {
            if (rl_program_trait(c->program, trait)->type_params == 0) *out_self = c->self_type;
            return fn;
        }
    }
    return 0;
}

/* --- operators ---------------------------------------------------------------------------------------------------- */

static uint32_t candidates_of(rl_checker_t* c, rl_trait_id_t id, rl_type_t head, rl_span_t span, rl_type_t* out_right) {
    uint32_t count = 0;
    *out_right = 0;
    const rl_trait_t trait = *rl_program_trait(c->program, id);
    for (uint32_t i = 0; i < c->rigid.count; i++) {
        const rl_constraint_t constraint = c->rigid.data[i];
        if (constraint.kinds != RL_CON_TRAIT || constraint.trait != id) continue;
        if (*rl_program_extra(c->program, constraint.args + 1) != head) continue;
        *out_right = *rl_program_extra(c->program, constraint.args + 2);
        count++;
    }
    uint32_t key = trait.operator_kind ? rl_impl_head(c->program, head) | RL_IMPL_LEFT : 0;
    rl_impl_walk_t walk = rl_impl_walk(c->program, id, key);
    for (rl_impl_id_t found; (found = rl_impl_next(&walk)) != 0;) {
        const rl_impl_t impl = *rl_program_impl(c->program, found);
        rl_type_t params[RL_IMPL_PARAMS_MAX], pattern = *rl_program_extra(c->program, impl.args + 1);
        if (!heads_fit(c, pattern, head)) continue;
        uint32_t mark = rl_solver_mark(&c->solver);
        for (uint32_t i = 0; i < impl.type_params; i++) params[i] = rl_fresh(c, span);
        pattern = rl_type_substitute(c->types, pattern, params, impl.type_params);
        if (rl_unify(&c->solver, pattern, head) == RL_UNIFY_OK) {
            count++;
            rl_type_t right = *rl_program_extra(c->program, impl.args + (trait.type_params > 2 ? 2 : 1));
            *out_right = rl_solver_zonk(&c->solver, rl_type_substitute(c->types, right, params, impl.type_params));
        }
        rl_solver_rollback(&c->solver, mark);
    }
    if (count != 1) *out_right = 0;
    return count;
}

/* A trait of that name and shape that hides the prelude's here: `trait Add<A, B, R> { fn add(a: A, b: B) -> R }` written again. */
static rl_trait_id_t trait_written_again(rl_checker_t* c, rl_trait_id_t core) {
    const rl_trait_t known = *rl_program_trait(c->program, core);
    uint32_t item = rl_find_trait_item(c, known.name);
    rl_trait_id_t id = item ? rl_program_item(c->program, item)->id : 0;
    if (!id || id == core) return 0;
    const rl_trait_t trait = *rl_program_trait(c->program, id);
    if (trait.type_params != known.type_params || trait.takes_self || trait.method_count != 1) return 0;
    const rl_function_t* own = rl_program_function(c->program, *rl_program_extra(c->program, trait.method_first));
    const rl_function_t* wanted = rl_program_function(c->program, *rl_program_extra(c->program, known.method_first));
    return own->name == wanted->name && own->param_count == wanted->param_count ? id : 0;
}

uint32_t rl_operator_candidates(
    rl_checker_t* c, uint32_t index, rl_type_t left, rl_span_t span, rl_trait_id_t* out_trait, rl_type_t* out_right) {
    rl_trait_id_t id = c->program->known.operators[index];
    rl_type_t head = rl_head(c, left);
    *out_trait = id;
    *out_right = 0;
    if (!id || is_open(c, head)) return 0;
    uint32_t count = candidates_of(c, id, head, span, out_right);
    if (count) return count;
    rl_trait_id_t again = trait_written_again(c, id);
    if (!again) return 0;
    *out_trait = again;
    return candidates_of(c, again, head, span, out_right);
}

rl_ir_t rl_call_operator(rl_checker_t* c, rl_trait_id_t trait, rl_arg_t* args, uint32_t count, rl_span_t span) {
    rl_fn_id_t fn = *rl_program_extra(c->program, rl_program_trait(c->program, trait)->method_first);
    return rl_call_function(c, fn, args, count, 0, span, 0);
}

/* Kinds that are not built in: an impl of the operator's trait for this one type. For the solver. */
bool rl_has_operators(void* user, rl_type_t type, uint32_t kinds) {
    rl_checker_t* c = user;
    for (uint32_t i = 0; i < RL_OPERATOR_COUNT; i++) {
        rl_trait_id_t id = c->program->known.operators[i];
        if (!(kinds >> i & 1)) continue;
        if (!id) return false;
        wanted_t w = {.trait = *rl_program_trait(c->program, id), .id = id};
        w.count = w.trait.type_params + 1;
        for (uint32_t k = 1; k < w.count; k++) w.types[k] = type;
        candidate_t found = find_candidates(c, &w, (rl_span_t){0, 0});
        rl_type_t params[RL_IMPL_PARAMS_MAX];
        if (found.count != 1 || found.from != FROM_IMPL) return false;
        if (!meet_impl(c, &w, found.index, params, (rl_span_t){0, 0})) return false;
        const rl_impl_t impl = *rl_program_impl(c->program, found.index);
        for (uint32_t k = 0; k < impl.constraint_count; k++) {
            const rl_constraint_t constraint = *rl_program_constraint(c->program, impl.constraint_first + k);
            if (constraint.kinds & RL_CON_TRAIT) {
                rl_demand_constraint(c, &constraint, params, impl.type_params, (rl_span_t){0, 0}, 1);
            } else if (rl_solver_require(&c->solver, params[constraint.param], constraint.kinds, (rl_span_t){0, 0}) !=
                       RL_UNIFY_OK) {
                return false;
            }
        }
    }
    return true;
}
