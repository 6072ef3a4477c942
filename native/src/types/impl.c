#include "types/impl.h"

#include "types/solve.h"

#define BLANKET (0x80000000u | RL_TYPE_PARAM)

uint32_t rl_impl_head(const rl_program_t* program, rl_type_t self) {
    if (self == RL_TYPE_ERROR) return 0;
    const rl_type_node_t* node = rl_type_node(&program->types, self);
    return node->kind == RL_TYPE_NAMED ? node->a : 0x80000000u | node->kind;
}

static void chain(rl_program_t* program, rl_trait_id_t trait, uint32_t head, rl_impl_id_t id, rl_impl_id_t* out_next) {
    uint64_t key = rl_map_key2(trait, head);
    *out_next = 0;
    (void)rl_map_get(&program->impl_map, key, out_next);
    (void)rl_map_put(program->allocator, &program->impl_map, key, id);
}

void rl_impl_add(rl_program_t* program, const rl_impl_t* impl) {
    rl_impl_id_t id = program->first_impl + program->impls.count;
    rl_type_t self = *rl_program_extra(program, impl->args);
    if (!rl_vec_push(program->allocator, &program->impls, *impl)) return;
    rl_impl_t* made = &program->impls.data[id - program->first_impl];
    chain(program, impl->trait, rl_impl_head(program, self), id, &made->next_of_head);
    chain(program, impl->trait, 0, id, &made->next_of_trait);
    if (!rl_program_trait(program, impl->trait)->operator_kind) return;
    rl_type_t left = *rl_program_extra(program, impl->args + 1);
    chain(program, impl->trait, rl_impl_head(program, left) | RL_IMPL_LEFT, id, &made->next_of_left);
}

rl_impl_walk_t rl_impl_walk(const rl_program_t* program, rl_trait_id_t trait, uint32_t head) {
    return (rl_impl_walk_t){.program = program, .top = program, .trait = trait, .head = head};
}

rl_impl_id_t rl_impl_next(rl_impl_walk_t* walk) {
    while (walk->next == 0) {
        if (walk->stage == 0) {
            walk->stage = 1;
        } else {
            walk->program = walk->program->below;
            if (!walk->program) {
                if (walk->head == 0 || (walk->head & ~RL_IMPL_LEFT) == BLANKET) return 0;
                walk->head = BLANKET | (walk->head & RL_IMPL_LEFT);
                walk->program = walk->top;
            }
        }
        (void)rl_map_get(&walk->program->impl_map, rl_map_key2(walk->trait, walk->head), &walk->next);
    }
    rl_impl_id_t found = walk->next;
    const rl_impl_t* impl = rl_program_impl(walk->program, found);
    walk->next = walk->head == 0             ? impl->next_of_trait
                 : walk->head & RL_IMPL_LEFT ? impl->next_of_left
                                             : impl->next_of_head;
    return found;
}

/* Does `pattern` (over PARAMs of an impl) match `type`? Types nest at most RL_TYPE_DEPTH_LIMIT deep. */
static bool match(const rl_program_t* program, rl_type_t pattern, rl_type_t type, rl_type_t* bound) {
    const rl_types_t* types = &program->types;
    const rl_type_node_t* p = rl_type_node(types, pattern);
    if (p->kind == RL_TYPE_PARAM) {
        if (p->a >= RL_IMPL_PARAMS_MAX) return false;
        if (bound[p->a] == RL_TYPE_ERROR) bound[p->a] = type;
        return bound[p->a] == type;
    }
    if (!(p->flags & RL_TYPE_HAS_PARAM)) return pattern == type; /* else PARAMs of both may only look the same */
    const rl_type_node_t* t = rl_type_node(types, type);
    if (p->kind != t->kind || p->count != t->count) return false;
    if (p->kind != RL_TYPE_FUNCTION && p->a != t->a) return false;
    const uint32_t *x = rl_type_args(types, pattern), *y = rl_type_args(types, type);
    uint32_t step = p->kind == RL_TYPE_RECORD ? 2 : 1, words = rl_type_part_words(p);
    for (uint32_t i = 0; i < words; i += step) {
        if (step == 2 && x[i] != y[i]) return false;
        if (!match(program, x[i + step - 1], y[i + step - 1], bound)) return false;
    }
    return true;
}

rl_impl_id_t rl_impl_find(const rl_program_t* program, rl_trait_id_t trait, const rl_type_t* wanted, rl_type_t* out) {
    uint32_t count = rl_program_trait(program, trait)->type_params, head = rl_impl_head(program, wanted[0]);
    if (head == 0 && rl_program_trait(program, trait)->operator_kind)
        head = rl_impl_head(program, wanted[1]) | RL_IMPL_LEFT;
    rl_impl_walk_t walk = rl_impl_walk(program, trait, head);
    for (rl_impl_id_t id; (id = rl_impl_next(&walk)) != 0;) {
        const uint32_t* args = rl_program_extra(program, rl_program_impl(program, id)->args);
        memset(out, 0, sizeof *out * RL_IMPL_PARAMS_MAX);
        bool fits = wanted[0] == RL_TYPE_ERROR || match(program, args[0], wanted[0], out);
        for (uint32_t i = 1; i <= count && fits; i++) fits = match(program, args[i], wanted[i], out);
        if (fits) return id;
    }
    return 0;
}

static uint32_t operator_index(uint32_t kind) {
    uint32_t index = 0;
    while (index < RL_OPERATOR_COUNT && !(kind >> index & 1)) index++;
    return index;
}

/* Operands and result of one type, which has the operator built in. */
static bool is_built_in(rl_program_t* program, const rl_trait_t* trait, const rl_type_t* wanted) {
    if (!trait->operator_kind || (wanted[0] != RL_TYPE_ERROR && wanted[0] != wanted[1])) return false;
    for (uint32_t i = 2; i <= trait->type_params; i++) {
        if (wanted[i] != wanted[1]) return false;
    }
    return wanted[1] < RL_TYPE_SIMPLE_COUNT && rl_type_satisfies(program, wanted[1], trait->operator_kind, NULL);
}

static bool holds(rl_program_t* program, rl_trait_id_t id, const rl_type_t* wanted, unsigned depth) {
    const rl_trait_t trait = *rl_program_trait(program, id);
    rl_type_t bound[RL_IMPL_PARAMS_MAX], needed[RL_IMPL_PARAMS_MAX + 1];
    if (trait.holds_for_all || is_built_in(program, &trait, wanted)) return true;
    rl_impl_id_t found = depth > RL_IMPL_DEPTH ? 0 : rl_impl_find(program, id, wanted, bound);
    if (!found) return false;
    const rl_impl_t impl = *rl_program_impl(program, found);
    for (uint32_t i = 0; i < impl.constraint_count; i++) {
        const rl_constraint_t constraint = *rl_program_constraint(program, impl.constraint_first + i);
        if (!(constraint.kinds & RL_CON_TRAIT)) {
            if (!rl_type_satisfies(program, bound[constraint.param], constraint.kinds, NULL)) return false;
            continue;
        }
        uint32_t count = rl_program_trait(program, constraint.trait)->type_params + 1;
        for (uint32_t k = 0; k < count; k++)
            needed[k] = rl_type_substitute(
                &program->types, *rl_program_extra(program, constraint.args + k), bound, RL_IMPL_PARAMS_MAX);
        if (!holds(program, constraint.trait, needed, depth + 1)) return false;
    }
    return true;
}

bool rl_impl_holds(rl_program_t* program, rl_trait_id_t trait, const rl_type_t* wanted) {
    return holds(program, trait, wanted, 0);
}

bool rl_impl_resolve(
    rl_program_t* program, rl_fn_id_t method, const rl_type_t* args, uint32_t count, rl_impl_fn_t* out) {
    const rl_function_t function = *rl_program_function(program, method);
    const rl_trait_t trait = *rl_program_trait(program, function.trait);
    uint32_t head = trait.type_params + 1, own = count - head;
    rl_type_t bound[RL_IMPL_PARAMS_MAX];
    if (count < head || count > RL_COUNT_OF(out->args)) return false;
    rl_impl_id_t found = rl_impl_find(program, function.trait, args, bound);
    if (!found) {
        if (is_built_in(program, &trait, args)) {
            uint32_t index = operator_index(trait.operator_kind);
            *out = (rl_impl_fn_t){.fn = program->known.operator_fns[index], .count = 1, .args = {args[1]}};
            return out->fn != 0;
        }
        if (!trait.holds_for_all || !function.body) return false;
        out->fn = method;
        out->count = count;
        memcpy(out->args, args, count * sizeof *args);
        return true;
    }
    const rl_impl_t impl = *rl_program_impl(program, found);
    uint32_t index = 0;
    while (index < trait.method_count && *rl_program_extra(program, trait.method_first + index) != method) index++;
    rl_fn_id_t fn = index < trait.method_count ? *rl_program_extra(program, impl.method_first + index) : 0;
    if (!fn) { /* the trait's own */
        if (!function.body) return false;
        out->fn = method;
        out->count = count;
        memcpy(out->args, args, count * sizeof *args);
        out->args[0] =
            rl_type_substitute(&program->types, *rl_program_extra(program, impl.args), bound, RL_IMPL_PARAMS_MAX);
        return true;
    }
    if (impl.type_params + own > RL_COUNT_OF(out->args)) return false;
    out->fn = fn;
    out->count = impl.type_params + own;
    memcpy(out->args, bound, impl.type_params * sizeof *bound);
    memcpy(out->args + impl.type_params, args + head, own * sizeof *args);
    return true;
}

/* Self (whichever), then one type for every argument. */
static uint32_t operator_args(const rl_program_t* program, rl_trait_id_t trait, rl_type_t type, rl_type_t* out) {
    uint32_t count = rl_program_trait(program, trait)->type_params;
    out[0] = RL_TYPE_ERROR;
    for (uint32_t i = 1; i <= count; i++) out[i] = type;
    return count + 1;
}

bool rl_impl_holds_operator(rl_program_t* program, uint32_t index, rl_type_t type) {
    rl_type_t wanted[RL_IMPL_PARAMS_MAX];
    rl_trait_id_t id = program->known.operators[index];
    if (!id) return false;
    (void)operator_args(program, id, type, wanted);
    return rl_impl_holds(program, id, wanted);
}

bool rl_impl_operator(rl_program_t* program, uint32_t kind, rl_type_t type, rl_impl_fn_t* out) {
    rl_type_t wanted[RL_IMPL_PARAMS_MAX];
    rl_trait_id_t id = program->known.operators[operator_index(kind)];
    if (!id || type < RL_TYPE_SIMPLE_COUNT) return false;
    uint32_t count = operator_args(program, id, type, wanted);
    rl_fn_id_t method = *rl_program_extra(program, rl_program_trait(program, id)->method_first);
    return rl_impl_resolve(program, method, wanted, count, out);
}

bool rl_impl_text(rl_program_t* program, rl_type_t type, bool debug, rl_impl_fn_t* out) {
    rl_trait_id_t id = debug ? program->known.debug : program->known.display;
    rl_type_t bound[RL_IMPL_PARAMS_MAX];
    if (!id || type < RL_TYPE_SIMPLE_COUNT || !rl_impl_find(program, id, &type, bound)) return false;
    return rl_impl_resolve(
        program, *rl_program_extra(program, rl_program_trait(program, id)->method_first), &type, 1, out);
}
