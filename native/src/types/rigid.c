/* Type parameters that functions name themselves must be general when their types have been inferred (LANGUAGE 4.4). */
#include "types/infer.h"

/* --- components of top-level functions ---------------------------------------------------------------------------- */

/*
 * Functions of one component are used by each other as what they turn out to be, not at types of one's choosing: type
 * parameters that they name themselves are variables until the component is generalised, and must be general then. (Those of
 * functions of traits and impls keep their numbers, which callers rely on.)
 */
typedef struct opened {
    uint32_t first, count; /* solver variables, by number of the PARAM */
} opened_t;

static rl_type_t open_param(rl_checker_t* c, void* user, uint32_t index) {
    const opened_t* opened = user;
    if (index >= opened->count) return rl_type_param(c->types, index);
    return c->scratch_types.data[opened->first + index];
}

static void open_params(rl_checker_t* c, rl_unit_t* unit) {
    rl_program_t* program = c->program;
    const rl_function_t function = *rl_program_function(program, unit->fn);
    opened_t opened = {c->scratch_types.count, unit->explicit_count};
    for (uint32_t i = 0; i < opened.count; i++)
        (void)rl_vec_push(c->allocator, &c->scratch_types, rl_fresh(c, function.span));
    if (rl_failed(c)) return;
    rl_type_t result = rl_map_params(c, function.result, open_param, &opened);
    for (uint32_t i = 0; i < function.param_count; i++) {
        uint32_t at = function.param_first + i - program->first_param;
        rl_type_t type = rl_map_params(c, program->params.data[at].type, open_param, &opened);
        program->params.data[at].type = type;
        rl_function_t* made = rl_function_at(c, program->params.data[at].default_fn);
        if (!made) continue;
        made->result = type;
        made->constraint_count = made->type_params = 0;
    }
    for (uint32_t i = 0; i < unit->generic_count; i++) {
        uint32_t at = unit->generic_first + i;
        rl_type_t type = rl_map_params(c, c->generics_store.data[at].type, open_param, &opened);
        c->generics_store.data[at].type = type;
    }
    if (unit->self_type) unit->self_type = rl_map_params(c, unit->self_type, open_param, &opened);
    rl_function_t* made = rl_function_at(c, unit->fn);
    made->result = result;
    made->constraint_count = made->type_params = 0;
    unit->opened = opened.first + 1;
    unit->opened_count = opened.count;
    unit->explicit_count = 0;
    unit->opened_constraint = function.constraint_first;
    unit->opened_constraint_count = function.constraint_count;
    for (uint32_t i = 0; i < function.constraint_count && !rl_failed(c); i++) {
        const rl_constraint_t constraint = *rl_program_constraint(program, function.constraint_first + i);
        if (constraint.kinds != RL_CON_TRAIT) {
            rl_require(c, open_param(c, &opened, constraint.param), constraint.kinds, function.span);
            continue;
        }
        uint32_t count = rl_program_trait(program, constraint.trait)->type_params + 1, mark = c->scratch.count;
        for (uint32_t k = 0; k < count; k++) {
            rl_type_t type = rl_map_params(c, *rl_program_extra(program, constraint.args + k), open_param, &opened);
            (void)rl_vec_push(c->allocator, &c->scratch, type);
        }
        if (!rl_failed(c)) rl_demand(c, constraint.trait, c->scratch.data + mark, function.span, true);
        c->scratch.count = mark;
    }
}

void rl_open_component(rl_checker_t* c, const uint32_t* units, uint32_t count) {
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_unit_t* unit = &c->units.data[units[i]];
        if (unit->kind != RL_UNIT_FN || !unit->fn || unit->annotated || unit->explicit_count == 0) continue;
        if (!rl_program_function(c->program, unit->fn)->trait) open_params(c, unit);
    }
}

static bool same_constraint(
    rl_checker_t* c, const rl_unit_t* unit, const rl_constraint_t* a, const rl_constraint_t* b) {
    opened_t opened = {unit->opened - 1, unit->opened_count};
    if (a->trait != b->trait) return false;
    uint32_t count = rl_program_trait(c->program, a->trait)->type_params + 1;
    for (uint32_t i = 0; i < count; i++) {
        rl_type_t written = rl_map_params(c, *rl_program_extra(c->program, b->args + i), open_param, &opened);
        if (rl_solver_zonk(&c->solver, written) !=
            rl_solver_zonk(&c->solver, *rl_program_extra(c->program, a->args + i)))
            return false;
    }
    return true;
}

/* Something was demanded of a type parameter, number `param` by now, that its declaration does not promise. */
static bool demands_more(rl_checker_t* c, const rl_unit_t* unit, uint32_t index, uint32_t param) {
    const rl_function_t function = *rl_program_function(c->program, unit->fn);
    rl_type_t type = rl_type_param(c->types, param);
    uint32_t known = 0;
    for (uint32_t i = 0; i < unit->opened_constraint_count; i++) {
        const rl_constraint_t* written = rl_program_constraint(c->program, unit->opened_constraint + i);
        if (written->kinds != RL_CON_TRAIT && written->param == index) known |= written->kinds;
    }
    if (known & (RL_CON_ORD | RL_CON_HASH)) known |= RL_CON_EQ;
    for (uint32_t i = 0; i < function.constraint_count; i++) {
        const rl_constraint_t constraint = *rl_program_constraint(c->program, function.constraint_first + i);
        if (constraint.kinds == RL_CON_TRAIT) {
            if (rl_solver_zonk(&c->solver, *rl_program_extra(c->program, constraint.args)) != type) continue;
            bool promised = false;
            for (uint32_t k = 0; k < unit->opened_constraint_count && !promised; k++) {
                const rl_constraint_t written = *rl_program_constraint(c->program, unit->opened_constraint + k);
                promised = written.kinds == RL_CON_TRAIT && same_constraint(c, unit, &constraint, &written);
            }
            if (promised) continue;
            rl_str_t name = rl_text(c, rl_program_trait(c->program, constraint.trait)->name);
            rl_report(c->diags, RL_CODE_TYPECLASS_CONSTRAINT_UNRESOLVED, function.span,
                "%s is used as if it had trait %.*s", rl_show(c, type), RL_STR_ARG(name));
            return true;
        }
        if (constraint.param != param || !(constraint.kinds & ~known)) continue;
        c->solver.failed_constraint = constraint.kinds & ~known;
        c->solver.failed_type = type;
        c->solver.failed_field = constraint.field;
        rl_report_constraint(c, type, function.span);
        return true;
    }
    return false;
}

/* What a function calls its type parameter must have stayed one, and one of its own. */
void rl_check_opened(rl_checker_t* c, const rl_unit_t* unit) {
    const rl_function_t function = *rl_program_function(c->program, unit->fn);
    for (uint32_t i = 0; i < unit->opened_count; i++) {
        rl_type_t type = rl_head(c, c->scratch_types.data[unit->opened - 1 + i]);
        rl_type_kind_t kind = rl_type_kind(c->types, type);
        bool general = kind == RL_TYPE_PARAM || kind == RL_TYPE_VAR || type == RL_TYPE_ERROR;
        for (uint32_t k = 0; k < i && kind == RL_TYPE_PARAM; k++)
            general &= rl_head(c, c->scratch_types.data[unit->opened - 1 + k]) != type;
        if (general && kind == RL_TYPE_PARAM && demands_more(c, unit, i, rl_type_node(c->types, type)->a)) return;
        if (general) continue;
        rl_sym_t name = 0;
        for (uint32_t k = 0; k < unit->generic_count; k++) {
            const rl_generic_name_t* entry = &c->generics_store.data[unit->generic_first + k];
            if (entry->type == c->scratch_types.data[unit->opened - 1 + i]) name = entry->name;
        }
        rl_str_t text = rl_text(c, name);
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_MISMATCH, function.span,
            kind == RL_TYPE_PARAM ? "type parameter %.*s is the same as another one here"
                                  : "type parameter %.*s can only be %s here",
            RL_STR_ARG(text), rl_show(c, type));
        rl_note_plain(c->diags, diag, "functions that call each other are inferred together: write their result types");
        return;
    }
}

/* --- local functions ---------------------------------------------------------------------------------------------- */

uint32_t rl_written_kinds(rl_checker_t* c, rl_type_t type) {
    const rl_var_t* var = rl_solver_var(&c->solver, type);
    return var ? var->constraints : 0;
}

/* A trait wanted for a type parameter that no bound of the group promises. */
static bool wants_trait(rl_checker_t* c, uint32_t first_param, rl_type_t type, rl_span_t span) {
    const rl_local_param_t head = c->local_params.data[first_param];
    for (uint32_t i = 0; i < head.demand_count; i++) {
        const rl_demand_t demand = c->demands.data[c->local_demands.data[head.demands - 1 + i]];
        uint32_t words = rl_program_trait(c->program, demand.trait)->type_params + 1;
        if (demand.declared || rl_solver_zonk(&c->solver, c->demand_types.data[demand.first]) != type) continue;
        bool promised = false;
        for (uint32_t k = 0; k < head.demand_count && !promised; k++) {
            const rl_demand_t other = c->demands.data[c->local_demands.data[head.demands - 1 + k]];
            promised = other.declared && other.trait == demand.trait;
            for (uint32_t n = 0; n < words && promised; n++)
                promised = rl_solver_zonk(&c->solver, c->demand_types.data[demand.first + n]) ==
                           rl_solver_zonk(&c->solver, c->demand_types.data[other.first + n]);
        }
        if (promised) continue;
        rl_str_t name = rl_text(c, rl_program_trait(c->program, demand.trait)->name);
        rl_report(c->diags, RL_CODE_TYPECLASS_CONSTRAINT_UNRESOLVED, span, "%s is used as if it had trait %.*s",
            rl_show(c, type), RL_STR_ARG(name));
        return true;
    }
    return false;
}

void rl_check_written(
    rl_checker_t* c, uint32_t first, uint32_t end, const uint32_t* kinds, uint32_t local_fn, rl_span_t span) {
    uint32_t first_param = c->local_fns.data[local_fn].param_first;
    for (uint32_t i = first; i < end && !rl_failed(c); i++) {
        const rl_generic_name_t entry = c->generics.data[i];
        rl_type_t type = rl_head(c, entry.type);
        const rl_type_node_t node = *rl_type_node(c->types, type);
        if (node.kind == RL_TYPE_VAR || type == RL_TYPE_ERROR) continue;
        bool general = node.kind == RL_TYPE_PARAM && node.a >= RL_LOCAL_PARAM_BASE + first_param;
        for (uint32_t k = first; k < i; k++) general &= rl_head(c, c->generics.data[k].type) != type;
        if (!general) {
            rl_str_t text = rl_text(c, entry.name);
            rl_report(c->diags, RL_CODE_TYPE_MISMATCH, span, "type parameter %.*s can only be %s here",
                RL_STR_ARG(text), rl_show(c, type));
            return;
        }
        const rl_local_param_t param = c->local_params.data[node.a - RL_LOCAL_PARAM_BASE];
        uint32_t known = kinds[i - first];
        if (known & (RL_CON_ORD | RL_CON_HASH)) known |= RL_CON_EQ;
        if (param.needs || param.constraints & ~known) {
            c->solver.failed_constraint = param.constraints & ~known ? param.constraints & ~known : RL_CON_FIELD;
            c->solver.failed_type = type;
            c->solver.failed_field = param.needs ? c->solver.needs.data[param.needs - 1].name : 0;
            rl_report_constraint(c, type, span);
            return;
        }
        if (wants_trait(c, first_param, type, span)) return;
    }
}
