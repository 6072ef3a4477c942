/* Traits and their impls: declarations and what is checked of them (LANGUAGE 4.6). */
#include "types/impl.h"
#include "types/infer.h"

/* --- names -------------------------------------------------------------------------------------------------------- */

static bool takes_self(rl_checker_t* c, rl_node_t fn) {
    rl_list_t params = rl_tree_fn(c->tree, fn).params;
    return rl_tree_list_count(c->tree, params) && rl_tree_has(c->tree, rl_tree_list_at(c->tree, params, 0), RL_SELF);
}

static rl_trait_t* own_trait(rl_checker_t* c, rl_trait_id_t id) {
    return &c->program->traits.data[id - c->program->first_trait];
}

static void remember_known(rl_checker_t* c, rl_trait_id_t id) {
    static const char* const operators[RL_OPERATOR_COUNT] = {"Add", "Sub", "Mul", "Div", "Rem", "Pow", "Neg"};
    rl_trait_t* trait = own_trait(c, id);
    rl_str_t name = rl_text(c, trait->name);
    for (uint32_t i = 0; i < RL_OPERATOR_COUNT; i++) {
        if (!rl_str_equal(name, rl_str(operators[i]))) continue;
        c->program->known.operators[i] = id;
        trait->operator_kind = 1u << i;
    }
    if (rl_str_equal(name, RL_STR("Display"))) c->program->known.display = id;
    if (rl_str_equal(name, RL_STR("Debug"))) c->program->known.debug = id;
    trait->holds_for_all = id == c->program->known.display || id == c->program->known.debug;
}

void rl_remember_core(rl_checker_t* c) {
    static const char* const names[RL_OPERATOR_COUNT] = {
        "operator_add", "operator_sub", "operator_mul", "operator_div", "operator_rem", "operator_pow", "operator_neg"};
    for (uint32_t i = 0; i < RL_OPERATOR_COUNT; i++)
        c->program->known.operator_fns[i] = rl_prelude_function(c, names[i]);
    rl_known_t* known = &c->program->known;
    known->full_text = rl_prelude_function(c, "full_text");
    known->full_debug = rl_prelude_function(c, "full_debug");
    known->format_full = rl_prelude_function(c, "format_full");
    rl_fn_id_t text = rl_prelude_function(c, "text_hole"), debug = rl_prelude_function(c, "debug_hole");
    for (uint32_t i = 0; i < c->program->functions.count; i++) { /* the lambdas in them */
        const rl_function_t* function = &c->program->functions.data[i];
        if (!function->parent) continue;
        if (function->parent == text) known->text_code = c->program->first_fn + i;
        if (function->parent == debug) known->debug_code = c->program->first_fn + i;
    }
    uint32_t item = rl_find_type_item(c, rl_sym_find(c->symbols, RL_STR("FormatText")));
    if (item) known->shown_text = rl_program_item(c->program, item)->id;
}

void rl_declare_trait_name(rl_checker_t* c, rl_node_t node) {
    rl_program_t* program = c->program;
    rl_trait_decl_t decl = rl_tree_trait(c->tree, node);
    rl_trait_t trait = {.name = rl_tree_name(c->tree, decl.name),
        .module = c->module,
        .span = rl_span_of(c, decl.name),
        .type_params = rl_tree_list_count(c->tree, decl.generics),
        .is_public = rl_tree_has(c->tree, node, RL_PUB)};
    if (trait.type_params + 1 > RL_IMPL_PARAMS_MAX) {
        rl_report(c->diags, RL_CODE_PARSER_LIMIT_EXCEEDED, trait.span, "a trait has at most %d type parameters",
            RL_IMPL_PARAMS_MAX - 1);
        return;
    }
    uint32_t functions = rl_tree_list_count(c->tree, decl.items);
    for (uint32_t i = 0; i < functions; i++) trait.takes_self |= takes_self(c, rl_tree_list_at(c->tree, decl.items, i));
    rl_trait_id_t id = program->first_trait + program->traits.count;
    if (!rl_add_item(c, 0, trait.name, RL_ITEM_TRAIT, id, 0, trait.is_public, trait.span, false)) return;
    if (!rl_vec_push(c->allocator, &program->traits, trait)) return;
    if (c->input->is_prelude) remember_known(c, id);
    rl_generic_name_t entry = {node, id};
    (void)rl_vec_push(c->allocator, &c->trait_nodes, entry);
}

/* Item a path means as a trait; 0: none. */
static uint32_t find_trait_item(rl_checker_t* c, rl_list_t path) {
    uint32_t count = rl_tree_list_count(c->tree, path);
    rl_sym_t last = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, count - 1));
    if (count == 1) return rl_find_trait_item(c, last);
    rl_sym_t prefix = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, 0));
    uint32_t item = rl_find_item(c, 2, prefix);
    rl_module_id_t module = item ? rl_program_item(c->program, item)->id : 0;
    bool core = prefix == c->sym_core;
    for (uint32_t i = 1; i + 1 < count; i++) {
        rl_sym_t name = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, i));
        uint32_t inner = module ? rl_find_in_module(c, module, 2, name) : 0;
        prefix = rl_join_names(c, prefix, name, true);
        module = inner ? rl_program_item(c->program, inner)->id : rl_find_module_path(c, prefix);
    }
    if (module == 0) module = rl_find_module_path(c, prefix);
    uint32_t found = module ? rl_find_in_module(c, module, 0, last) : 0;
    if (found && rl_program_item(c->program, found)->kind != RL_ITEM_TRAIT) found = 0;
    return !found && core ? rl_find_trait_item(c, last) : found;
}

/* --- bounds ------------------------------------------------------------------------------------------------------- */

static void report_arity(rl_checker_t* c, rl_span_t span, rl_sym_t name, uint32_t wanted, uint32_t found) {
    rl_str_t text = rl_text(c, name);
    rl_report(c->diags, RL_CODE_TYPE_ARITY, span, "%.*s takes %u type argument%s here, found %u", RL_STR_ARG(text),
        wanted, wanted == 1 ? "" : "s", found);
}

static void push_kinds(rl_checker_t* c, rl_type_t type, uint32_t kinds, rl_span_t span) {
    const rl_type_node_t* node = rl_type_node(c->types, type);
    if (node->kind != RL_TYPE_PARAM) {
        if (type != RL_TYPE_ERROR) rl_require(c, type, kinds, span);
        return;
    }
    rl_constraint_t constraint = {.param = node->a, .kinds = kinds};
    if (kinds) (void)rl_vec_push(c->allocator, &c->rigid, constraint);
}

/* `type: Tr<…>`, or with type 0 `Tr<T, …>`. */
bool rl_push_trait_bound(rl_checker_t* c, rl_type_t type, rl_node_t bound) {
    const rl_node_data_t data = *rl_tree_node(c->tree, bound);
    rl_span_t span = rl_span_of(c, bound);
    uint32_t item = find_trait_item(c, data.a), given = rl_tree_list_count(c->tree, data.b);
    if (!item) return false;
    if (!rl_check_visible(c, item, span)) return true;
    rl_trait_id_t id = rl_program_item(c->program, item)->id;
    const rl_trait_t trait = *rl_program_trait(c->program, id);
    rl_type_t types[RL_IMPL_PARAMS_MAX + 1] = {RL_TYPE_ERROR};
    uint32_t at = type ? 1 : 0, wanted = trait.type_params;
    bool written_self = !type && (trait.takes_self || (given == wanted + 1 && !trait.operator_kind));
    if (written_self) wanted++;
    else at = 1;
    if (type) types[0] = type;
    bool short_operator = trait.operator_kind && type && given == 0; /* T: Add */
    if (given != wanted && !short_operator) {
        report_arity(c, span, trait.name, wanted, given);
        return true;
    }
    bool wrong = false;
    for (uint32_t i = 0; i < given && at + i <= RL_IMPL_PARAMS_MAX; i++) {
        types[at + i] = rl_resolve_type(c, rl_tree_list_at(c->tree, data.b, i));
        wrong |= types[at + i] == RL_TYPE_ERROR;
    }
    if (wrong || rl_failed(c) || trait.holds_for_all) return true;
    if (trait.operator_kind) {
        bool same = true;
        for (uint32_t i = 1; i <= trait.type_params && !short_operator; i++) same &= types[i] == types[1];
        rl_type_t operand = short_operator ? type : types[1];
        if (same && (!type || type == operand)) {
            push_kinds(c, operand, trait.operator_kind, span);
            return true;
        }
        types[0] = RL_TYPE_ERROR; /* the operands say which impl it is */
    }
    bool open = false;
    for (uint32_t i = 0; i <= trait.type_params; i++)
        open |= (rl_type_node(c->types, types[i])->flags & RL_TYPE_HAS_VAR) != 0;
    if (open) {
        rl_demand(c, id, types, span, true);
        return true;
    }
    rl_constraint_t constraint = {
        .kinds = RL_CON_TRAIT, .trait = id, .args = rl_extra_put(c, types, trait.type_params + 1)};
    (void)rl_vec_push(c->allocator, &c->rigid, constraint);
    return true;
}

/* What the traits of the constraints demand of their implementers holds too. */
void rl_imply_constraints(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->rigid.count && c->rigid.count < 400 && !rl_failed(c); i++) {
        const rl_constraint_t from = c->rigid.data[i];
        if (from.kinds != RL_CON_TRAIT) continue;
        const rl_trait_t trait = *rl_program_trait(c->program, from.trait);
        rl_type_t params[RL_IMPL_PARAMS_MAX];
        for (uint32_t k = 0; k <= trait.type_params; k++) params[k] = *rl_program_extra(c->program, from.args + k);
        for (uint32_t k = 0; k < trait.constraint_count; k++) {
            rl_constraint_t made = *rl_program_constraint(c->program, trait.constraint_first + k);
            if (made.kinds != RL_CON_TRAIT) {
                const rl_type_node_t* node = rl_type_node(c->types, params[made.param]);
                made.param = node->a;
                if (node->kind == RL_TYPE_PARAM) (void)rl_vec_push(c->allocator, &c->rigid, made);
                continue;
            }
            uint32_t count = rl_program_trait(c->program, made.trait)->type_params + 1;
            rl_type_t types[RL_IMPL_PARAMS_MAX];
            for (uint32_t n = 0; n < count; n++)
                types[n] = rl_type_substitute(
                    c->types, *rl_program_extra(c->program, made.args + n), params, trait.type_params + 1);
            bool there = false;
            for (uint32_t n = 0; n < c->rigid.count && !there; n++) {
                const rl_constraint_t* other = &c->rigid.data[n];
                there = other->kinds == RL_CON_TRAIT && other->trait == made.trait &&
                        memcmp(rl_program_extra(c->program, other->args), types, count * sizeof *types) == 0;
            }
            if (there) continue;
            made.args = rl_extra_put(c, types, count);
            (void)rl_vec_push(c->allocator, &c->rigid, made);
        }
    }
}

/* Constraints on c->rigid from `first` on, stored in the program. */
static uint32_t keep_constraints(rl_checker_t* c, uint32_t first, uint32_t* out_count) {
    uint32_t at = c->program->first_constraint + c->program->constraints.count;
    *out_count = 0;
    for (uint32_t i = first; i < c->rigid.count; i++)
        *out_count += rl_vec_push(c->allocator, &c->program->constraints, c->rigid.data[i]);
    return at;
}

/* --- traits ------------------------------------------------------------------------------------------------------- */

static void declare_trait(rl_checker_t* c, rl_node_t node, rl_trait_id_t id) {
    rl_trait_decl_t decl = rl_tree_trait(c->tree, node);
    uint32_t generics = c->generics.count, rigid = c->rigid.count, params = own_trait(c, id)->type_params;
    rl_type_t outer_self = c->self_type;
    c->next_param = 0;
    c->implicit_params = 0;
    rl_generic_name_t self = {c->sym_Self, rl_type_param(c->types, c->next_param++)};
    (void)rl_vec_push(c->allocator, &c->generics, self);
    c->self_type = self.type;
    rl_push_generics(c, decl.generics, decl.where_);
    uint32_t constraint_count, constraint_first = keep_constraints(c, rigid, &constraint_count);
    own_trait(c, id)->constraint_first = constraint_first;
    own_trait(c, id)->constraint_count = constraint_count;
    c->rigid.count = rigid;
    /* Everything in the trait may assume the trait. */
    rl_type_t types[RL_IMPL_PARAMS_MAX];
    for (uint32_t i = 0; i <= params; i++) types[i] = rl_type_param(c->types, i);
    rl_constraint_t assumed = {.kinds = RL_CON_TRAIT, .trait = id, .args = rl_extra_put(c, types, params + 1)};
    if (!own_trait(c, id)->holds_for_all) (void)rl_vec_push(c->allocator, &c->rigid, assumed);
    RL_VEC(rl_generic_name_t) head = {0};
    for (uint32_t i = generics; i < c->generics.count; i++) (void)rl_vec_push(c->allocator, &head, c->generics.data[i]);
    c->generics.count = generics;
    c->impl_rigid = rigid;
    RL_VEC(uint32_t) functions = {0};
    uint32_t count = rl_tree_list_count(c->tree, decl.items);
    rl_trait_site_t site = {.trait = id, .in_trait = true, .head_params = params + 1};
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, decl.items, i);
        if (rl_tree_kind(c->tree, item) != RL_NODE_FN) continue;
        c->impl_generics = c->generics.count;
        for (uint32_t k = 0; k < head.count; k++) (void)rl_vec_push(c->allocator, &c->generics, head.data[k]);
        c->trait_site = &site;
        rl_fn_id_t fn = rl_declare_fn(c, item, self.type, false, true);
        c->trait_site = NULL;
        c->generics.count = generics;
        if (!fn) continue;
        rl_function_t* function = rl_function_at(c, fn);
        bool twice = false;
        for (uint32_t k = 0; k < functions.count; k++)
            twice |= rl_program_function(c->program, functions.data[k])->name == function->name;
        if (twice) {
            rl_str_t name = rl_text(c, function->name);
            rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, function->span, "%.*s is defined twice",
                RL_STR_ARG(name));
            continue;
        }
        if (function->type_params > RL_IMPL_PARAMS_MAX)
            rl_report(c->diags, RL_CODE_PARSER_LIMIT_EXCEEDED, function->span,
                "a function of a trait has at most %d type parameters", RL_IMPL_PARAMS_MAX);
        if (takes_self(c, item)) function->flags |= RL_FN_METHOD;
        (void)rl_vec_push(c->allocator, &functions, fn);
    }
    own_trait(c, id)->method_first = rl_extra_put(c, functions.data, functions.count);
    own_trait(c, id)->method_count = functions.count;
    rl_vec_deinit(c->allocator, &functions);
    rl_vec_deinit(c->allocator, &head);
    c->rigid.count = rigid;
    c->generics.count = generics;
    c->self_type = outer_self;
}

void rl_declare_traits(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->trait_nodes.count && !rl_failed(c); i++)
        declare_trait(c, c->trait_nodes.data[i].name, c->trait_nodes.data[i].type);
}

/* --- impls -------------------------------------------------------------------------------------------------------- */

static bool own_type(rl_checker_t* c, rl_type_t type) {
    rl_typedef_id_t id = rl_named_id(c, type);
    return id && rl_program_typedef(c->program, id)->module == c->module;
}

bool rl_check_orphan(rl_checker_t* c, rl_type_t type, rl_span_t span) {
    if (c->input->is_prelude || type == RL_TYPE_ERROR || own_type(c, type)) return true;
    rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPECLASS_IMPL_ORPHAN, span,
        "%s is not a type of this module: it cannot be given functions here", rl_show(c, type));
    rl_note_plain(c->diags, diag, "declare a trait and implement it for this type");
    return false;
}

static bool is_orphan(rl_checker_t* c, const rl_trait_t* trait, const rl_type_t* types) {
    if (trait->module == c->module || c->input->is_prelude) return false;
    for (uint32_t i = 0; i <= trait->type_params; i++) {
        if (own_type(c, types[i])) return false;
    }
    return true;
}

/* Could both impls hold for one choice of types? */
static bool overlap(rl_checker_t* c, const rl_impl_t* a, const rl_impl_t* b, uint32_t count, rl_span_t span) {
    rl_type_t left[RL_IMPL_PARAMS_MAX], right[RL_IMPL_PARAMS_MAX];
    bool fits = true;
    uint32_t mark = rl_solver_mark(&c->solver);
    for (uint32_t i = 0; i < a->type_params; i++) left[i] = rl_fresh(c, span);
    for (uint32_t i = 0; i < b->type_params; i++) right[i] = rl_fresh(c, span);
    for (uint32_t i = 0; i < count && fits; i++) {
        rl_type_t x = *rl_program_extra(c->program, a->args + i), y = *rl_program_extra(c->program, b->args + i);
        const rl_type_node_t *p = rl_type_node(c->types, x), *q = rl_type_node(c->types, y);
        if (p->kind != RL_TYPE_PARAM && q->kind != RL_TYPE_PARAM && (p->kind != q->kind || p->a != q->a)) fits = false;
        x = rl_type_substitute(c->types, x, left, a->type_params);
        y = rl_type_substitute(c->types, y, right, b->type_params);
        fits = fits && rl_unify(&c->solver, x, y) == RL_UNIFY_OK;
    }
    rl_solver_rollback(&c->solver, mark);
    return fits;
}

static bool is_duplicate(rl_checker_t* c, const rl_impl_t* impl) {
    rl_type_t self = *rl_program_extra(c->program, impl->args);
    uint32_t head = rl_impl_head(c->program, self), count = rl_program_trait(c->program, impl->trait)->type_params + 1;
    if (rl_type_kind(c->types, self) == RL_TYPE_PARAM) head = 0;
    rl_impl_walk_t walk = rl_impl_walk(c->program, impl->trait, head);
    for (rl_impl_id_t id; (id = rl_impl_next(&walk)) != 0;) {
        const rl_impl_t other = *rl_program_impl(c->program, id);
        if (!overlap(c, impl, &other, count, impl->span)) continue;
        rl_buf_t text;
        rl_buf_init(&text, c->allocator);
        rl_show_trait(c, impl->trait, rl_program_extra(c->program, impl->args), &text);
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPECLASS_IMPL_DUPLICATE, impl->span,
            "%s is implemented for %s already", rl_buf_cstr(&text), rl_show(c, self));
        rl_buf_deinit(&text);
        if (other.module == c->module) rl_note(c->diags, diag, other.span, "first implemented here");
        return true;
    }
    return false;
}

/* Callers know the bounds of the trait and of the impl only. */
static bool is_promised(rl_checker_t* c, const rl_constraint_t* constraint, const rl_function_t* made,
    const rl_function_t* wanted, const rl_trait_site_t* site) {
    bool trait = constraint->kinds == RL_CON_TRAIT;
    uint32_t known = 0, words = trait ? rl_program_trait(c->program, constraint->trait)->type_params + 1 : 0;
    for (uint32_t i = 0; i < site->head_constraints + wanted->constraint_count; i++) {
        bool of_head = i < site->head_constraints;
        const rl_constraint_t other = *rl_program_constraint(
            c->program, of_head ? made->constraint_first + i : wanted->constraint_first + i - site->head_constraints);
        if ((other.kinds == RL_CON_TRAIT) != trait) continue;
        if (!trait) {
            rl_type_t param = of_head                         ? rl_type_param(c->types, other.param)
                              : other.param < site->map_count ? site->map[other.param]
                                                              : RL_TYPE_ERROR;
            if (param == rl_type_param(c->types, constraint->param)) known |= other.kinds;
            continue;
        }
        bool same = other.trait == constraint->trait;
        for (uint32_t k = 0; k < words && same; k++) {
            rl_type_t type = *rl_program_extra(c->program, other.args + k);
            if (!of_head) type = rl_type_substitute(c->types, type, site->map, site->map_count);
            same = type == *rl_program_extra(c->program, constraint->args + k);
        }
        if (same) return true;
    }
    if (known & RL_CON_ORD) known |= RL_CON_EQ;
    return !trait && (constraint->kinds & ~known) == 0;
}

/* Parameters, result and bounds of a function of an impl against those of its trait. */
static void check_signature(
    rl_checker_t* c, rl_fn_id_t fn, rl_fn_id_t method, const rl_trait_site_t* site, rl_node_t node, bool again) {
    const rl_function_t made = *rl_program_function(c->program, fn), wanted = *rl_program_function(c->program, method);
    rl_fn_decl_t decl = rl_tree_fn(c->tree, node);
    uint32_t own = wanted.type_params - rl_program_trait(c->program, wanted.trait)->type_params - 1;
    uint32_t written = made.type_params - site->head_params;
    bool deferred = false;
    if (made.param_count != wanted.param_count || (written != own && rl_tree_list_count(c->tree, decl.generics))) {
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_MISMATCH, made.span,
            made.param_count != wanted.param_count ? "the trait's function takes %u parameters, this one %u"
                                                   : "the trait's function has %u type parameters, this one %u",
            made.param_count != wanted.param_count ? wanted.param_count : own,
            made.param_count != wanted.param_count ? made.param_count : written);
        rl_note_plain(c->diags, diag, "the trait declares it with other parameters");
        return;
    }
    for (uint32_t i = 0; i <= made.param_count && !rl_failed(c); i++) {
        bool result = i == made.param_count;
        rl_type_t a = result ? wanted.result : rl_program_param(c->program, wanted.param_first + i)->type;
        rl_type_t b = result ? made.result : rl_program_param(c->program, made.param_first + i)->type;
        a = rl_solver_zonk(&c->solver, a);
        b = rl_solver_zonk(&c->solver, b);
        if ((rl_type_node(c->types, a)->flags | rl_type_node(c->types, b)->flags) & RL_TYPE_HAS_VAR) {
            deferred = true;
            continue;
        }
        a = rl_type_substitute(c->types, a, site->map, site->map_count);
        if (a == b || a == RL_TYPE_ERROR || b == RL_TYPE_ERROR || (result && b == RL_TYPE_NEVER)) continue;
        if ((rl_type_node(c->types, a)->flags | rl_type_node(c->types, b)->flags) & RL_TYPE_HAS_ERROR) continue;
        rl_node_t at = result ? decl.result : rl_tree_node(c->tree, rl_tree_list_at(c->tree, decl.params, i))->b;
        rl_report_mismatch(c, RL_CODE_TYPE_MISMATCH, at ? rl_span_of(c, at) : made.span, a, b);
    }
    if (again) return;
    for (uint32_t i = site->head_constraints; i < made.constraint_count; i++) {
        const rl_constraint_t constraint = *rl_program_constraint(c->program, made.constraint_first + i);
        if (is_promised(c, &constraint, &made, &wanted, site)) continue;
        rl_report(c->diags, RL_CODE_TYPE_MISMATCH, made.span,
            "this function demands more of its type parameters than the trait's");
        break;
    }
    if (!deferred) return;
    rl_impl_check_t check = {.fn = fn, .method = method, .node = node, .head_params = site->head_params};
    check.map = c->scratch_types.count;
    check.map_count = site->map_count;
    for (uint32_t i = 0; i < site->map_count; i++) (void)rl_vec_push(c->allocator, &c->scratch_types, site->map[i]);
    (void)rl_vec_push(c->allocator, &c->impl_checks, check);
}

/* The bounds that the trait promises for type parameters of the function itself. */
static void take_bounds(rl_checker_t* c, rl_fn_id_t fn, rl_fn_id_t method, const rl_trait_site_t* site) {
    const rl_function_t wanted = *rl_program_function(c->program, method);
    uint32_t head = rl_program_trait(c->program, wanted.trait)->type_params + 1;
    rl_function_t made = *rl_program_function(c->program, fn);
    uint32_t first = c->program->first_constraint + c->program->constraints.count, count = 0;
    for (uint32_t i = 0; i < made.constraint_count; i++) {
        rl_constraint_t copy = *rl_program_constraint(c->program, made.constraint_first + i);
        count += rl_vec_push(c->allocator, &c->program->constraints, copy);
    }
    bool more = false;
    for (uint32_t i = 0; i < wanted.constraint_count; i++) {
        rl_constraint_t copy = *rl_program_constraint(c->program, wanted.constraint_first + i);
        if (copy.kinds == RL_CON_TRAIT) {
            rl_type_t types[RL_IMPL_PARAMS_MAX];
            uint32_t words = rl_program_trait(c->program, copy.trait)->type_params + 1;
            if (*rl_program_extra(c->program, copy.args) == rl_type_param(c->types, 0) && copy.trait == wanted.trait)
                continue; /* the trait itself */
            for (uint32_t k = 0; k < words; k++)
                types[k] = rl_type_substitute(
                    c->types, *rl_program_extra(c->program, copy.args + k), site->map, site->map_count);
            copy.args = rl_extra_put(c, types, words);
        } else if (copy.param < head || copy.param >= site->map_count) {
            continue;
        } else {
            const rl_type_node_t* node = rl_type_node(c->types, site->map[copy.param]);
            if (node->kind != RL_TYPE_PARAM) continue;
            copy.param = node->a;
        }
        more = true;
        count += rl_vec_push(c->allocator, &c->program->constraints, copy);
    }
    if (!more) {
        c->program->constraints.count -= count;
        return;
    }
    rl_function_at(c, fn)->constraint_first = first;
    rl_function_at(c, fn)->constraint_count = count;
}

static void report_member(rl_checker_t* c, rl_span_t span, rl_trait_id_t trait, rl_sym_t name) {
    rl_str_t text = rl_text(c, name), owner = rl_text(c, rl_program_trait(c->program, trait)->name);
    rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPECLASS_IMPL_UNKNOWN_METHOD, span,
        "trait %.*s has no function %.*s", RL_STR_ARG(owner), RL_STR_ARG(text));
    rl_nearest_t nearest = {text, 0, 3};
    const rl_trait_t entry = *rl_program_trait(c->program, trait);
    for (uint32_t i = 0; i < entry.method_count; i++)
        rl_nearest_offer(
            c, &nearest, rl_program_function(c->program, *rl_program_extra(c->program, entry.method_first + i))->name);
    rl_fix_nearest(c, diag, &nearest, span);
}

static void declare_members(rl_checker_t* c, rl_impl_decl_t decl, rl_impl_t* impl, rl_type_t self,
    const rl_generic_name_t* head, uint32_t head_count) {
    const rl_trait_t trait = *rl_program_trait(c->program, impl->trait);
    uint32_t count = rl_tree_list_count(c->tree, decl.items), generics = c->generics.count;
    rl_type_t map[2 * RL_IMPL_PARAMS_MAX];
    RL_VEC(uint32_t) methods = {0};
    for (uint32_t i = 0; i < trait.method_count; i++) (void)rl_vec_push(c->allocator, &methods, 0);
    for (uint32_t i = 0; i <= trait.type_params; i++) map[i] = *rl_program_extra(c->program, impl->args + i);
    for (uint32_t i = 0; i < RL_IMPL_PARAMS_MAX; i++)
        map[trait.type_params + 1 + i] = rl_type_param(c->types, impl->type_params + i);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, decl.items, i);
        if (rl_tree_kind(c->tree, item) != RL_NODE_FN) {
            rl_node_t pattern = rl_tree_value(c->tree, item).pattern;
            rl_sym_t name = rl_tree_kind(c->tree, pattern) == RL_NODE_PAT_NAME ? rl_tree_node(c->tree, pattern)->a : 0;
            report_member(c, rl_span_of(c, pattern), impl->trait, name);
            continue;
        }
        rl_list_t path = rl_tree_fn(c->tree, item).path;
        rl_node_t name_node = rl_tree_list_at(c->tree, path, rl_tree_list_count(c->tree, path) - 1);
        rl_sym_t name = rl_tree_name(c->tree, name_node);
        uint32_t at = 0;
        while (at < trait.method_count &&
               rl_program_function(c->program, *rl_program_extra(c->program, trait.method_first + at))->name != name)
            at++;
        if (at == trait.method_count || rl_tree_list_count(c->tree, path) > 1) {
            report_member(c, rl_span_of(c, name_node), impl->trait, name);
            continue;
        }
        rl_fn_id_t method = *rl_program_extra(c->program, trait.method_first + at);
        const rl_function_t wanted = *rl_program_function(c->program, method);
        if (wanted.type_params > RL_IMPL_PARAMS_MAX) { /* reported at the trait */
            methods.data[at] = method;
            continue;
        }
        rl_trait_site_t site = {.trait = impl->trait,
            .method = method,
            .head_params = impl->type_params,
            .head_constraints = impl->constraint_count,
            .own_params = wanted.type_params - trait.type_params - 1,
            .map = map,
            .map_count = wanted.type_params};
        c->impl_generics = c->generics.count;
        for (uint32_t k = 0; k < head_count; k++) (void)rl_vec_push(c->allocator, &c->generics, head[k]);
        c->trait_site = &site;
        rl_fn_id_t fn = rl_declare_fn(c, item, self, false, true);
        c->trait_site = NULL;
        c->generics.count = generics;
        if (!fn) continue;
        if (methods.data[at]) {
            rl_str_t text = rl_text(c, name);
            rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, rl_span_of(c, name_node),
                "%.*s is defined twice", RL_STR_ARG(text));
            continue;
        }
        methods.data[at] = fn;
        check_signature(c, fn, method, &site, item, false);
        take_bounds(c, fn, method, &site);
    }
    uint32_t errors = 0;
    for (uint32_t i = 0; i < trait.method_count && !rl_failed(c); i++) {
        const rl_function_t* function =
            rl_program_function(c->program, *rl_program_extra(c->program, trait.method_first + i));
        bool has_default = function->flags & RL_FN_HAS_DEFAULT && !trait.holds_for_all;
        if (methods.data[i] || has_default) continue;
        rl_str_t text = rl_text(c, function->name), owner = rl_text(c, trait.name);
        if (errors++ == 0)
            rl_report(c->diags, RL_CODE_TYPECLASS_IMPL_MISSING_METHOD, impl->span,
                "this impl of %.*s lacks the function %.*s", RL_STR_ARG(owner), RL_STR_ARG(text));
    }
    impl->method_first = rl_extra_put(c, methods.data, methods.count);
    rl_vec_deinit(c->allocator, &methods);
}

static bool is_reserved(rl_checker_t* c, rl_sym_t name) {
    static const char* const names[] = {"Eq", "Ord", "Hash", "Clone", "Copy"};
    rl_str_t text = rl_text(c, name);
    for (size_t i = 0; i < RL_COUNT_OF(names); i++) {
        if (rl_str_equal(text, rl_str(names[i]))) return true;
    }
    return false;
}

void rl_declare_trait_impl(rl_checker_t* c, rl_node_t node) {
    rl_impl_decl_t decl = rl_tree_impl(c->tree, node);
    const rl_node_data_t path = *rl_tree_node(c->tree, decl.trait);
    uint32_t given = rl_tree_list_count(c->tree, path.b);
    rl_sym_t last = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path.a, rl_tree_list_count(c->tree, path.a) - 1));
    rl_span_t header = {rl_tree_node(c->tree, node)->start, decl.header_end};
    uint32_t item = find_trait_item(c, path.a);
    if (!item) {
        if (is_reserved(c, last)) {
            rl_str_t text = rl_text(c, last);
            rl_report(c->diags, RL_CODE_TYPECLASS_IMPL_RESERVED, header, "%.*s is built in: it cannot be implemented",
                RL_STR_ARG(text));
        } else if (!c->saw_unsupported) {
            rl_report_unresolved(c, last, rl_span_of(c, decl.trait), 0);
        }
        return;
    }
    if (!rl_check_visible(c, item, rl_span_of(c, decl.trait))) return;
    rl_impl_t impl = {.trait = rl_program_item(c->program, item)->id, .module = c->module, .span = header};
    const rl_trait_t trait = *rl_program_trait(c->program, impl.trait);
    uint32_t generics = c->generics.count, rigid = c->rigid.count, errors = c->diags->errors;
    rl_type_t outer_self = c->self_type, types[RL_IMPL_PARAMS_MAX] = {0};
    c->next_param = 0;
    c->implicit_params = 1;
    rl_push_generics(c, decl.generics, 0);
    types[0] = rl_resolve_type(c, decl.type);
    c->self_type = types[0];
    bool short_operator = trait.operator_kind && given == 0;
    if (given != trait.type_params && !short_operator) {
        report_arity(c, rl_span_of(c, decl.trait), trait.name, trait.type_params, given);
    } else {
        for (uint32_t i = 0; i < trait.type_params; i++)
            types[i + 1] = short_operator ? types[0] : rl_resolve_type(c, rl_tree_list_at(c->tree, path.b, i));
    }
    rl_push_where(c, decl.where_);
    impl.type_params = c->next_param;
    impl.constraint_first = keep_constraints(c, rigid, &impl.constraint_count);
    RL_VEC(rl_generic_name_t) head = {0};
    for (uint32_t i = generics; i < c->generics.count; i++) (void)rl_vec_push(c->allocator, &head, c->generics.data[i]);
    c->implicit_params = 0;
    c->impl_rigid = rigid;
    c->generics.count = generics;
    bool fine = c->diags->errors == errors && !rl_failed(c);
    for (uint32_t i = 0; i <= trait.type_params; i++) fine &= types[i] != RL_TYPE_ERROR;
    if (fine && impl.type_params > RL_IMPL_PARAMS_MAX) {
        rl_report(c->diags, RL_CODE_PARSER_LIMIT_EXCEEDED, header, "an impl has at most %d type parameters",
            RL_IMPL_PARAMS_MAX);
        fine = false;
    }
    if (fine && is_orphan(c, &trait, types)) {
        rl_str_t name = rl_text(c, trait.name);
        rl_report(c->diags, RL_CODE_TYPECLASS_IMPL_ORPHAN, header,
            "neither trait %.*s nor any of the types it is implemented for belongs to this module", RL_STR_ARG(name));
        fine = false;
    }
    if (fine) {
        impl.args = rl_extra_put(c, types, trait.type_params + 1);
        if (!rl_failed(c) && !is_duplicate(c, &impl)) {
            declare_members(c, decl, &impl, types[0], head.data, head.count);
            rl_impl_id_t id = c->program->first_impl + c->program->impls.count;
            if (!rl_failed(c)) {
                rl_impl_add(c->program, &impl);
                (void)rl_vec_push(c->allocator, &c->own_impls, id);
            }
        }
    }
    rl_vec_deinit(c->allocator, &head);
    c->rigid.count = rigid;
    c->generics.count = generics;
    c->self_type = outer_self;
}

/* With all impls known: what each trait demands of its implementers. */
void rl_check_impls(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->own_impls.count && !rl_failed(c); i++) {
        const rl_impl_t impl = *rl_program_impl(c->program, c->own_impls.data[i]);
        const rl_trait_t trait = *rl_program_trait(c->program, impl.trait);
        rl_type_t types[RL_IMPL_PARAMS_MAX];
        c->rigid.count = 0;
        for (uint32_t k = 0; k < impl.constraint_count; k++)
            (void)rl_vec_push(c->allocator, &c->rigid, *rl_program_constraint(c->program, impl.constraint_first + k));
        rl_imply_constraints(c);
        for (uint32_t k = 0; k <= trait.type_params; k++) types[k] = *rl_program_extra(c->program, impl.args + k);
        for (uint32_t k = 0; k < trait.constraint_count; k++) {
            const rl_constraint_t constraint = *rl_program_constraint(c->program, trait.constraint_first + k);
            if (constraint.kinds == RL_CON_TRAIT) {
                rl_demand_constraint(c, &constraint, types, trait.type_params + 1, impl.span, 0);
            } else if (rl_solver_require(&c->solver, types[constraint.param], constraint.kinds, impl.span) !=
                       RL_UNIFY_OK) {
                rl_report_constraint(c, types[constraint.param], impl.span);
            }
        }
    }
    c->rigid.count = 0;
}

/* Signatures that held types not known before their functions were inferred. */
void rl_recheck_impls(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->impl_checks.count && !rl_failed(c); i++) {
        const rl_impl_check_t check = c->impl_checks.data[i];
        rl_trait_site_t site = {.method = check.method,
            .head_params = check.head_params,
            .map = c->scratch_types.data + check.map,
            .map_count = check.map_count};
        check_signature(c, check.fn, check.method, &site, check.node, true);
    }
}
