/* What `for` walks, and functions of the core library that take any of it (LANGUAGE 5.5, 8.4, 8.6). */
#include "types/infer.h"

rl_type_t rl_element_of_iterable(rl_checker_t* c, rl_type_t type) {
    const rl_known_t* known = &c->program->known;
    rl_type_t head = rl_head(c, type), a, b;
    if (rl_type_kind(c->types, head) == RL_TYPE_ARRAY) return rl_type_args(c->types, head)[0];
    if (rl_is_named(c, head, known->list, &a, NULL) || rl_is_named(c, head, known->vec, &a, NULL) ||
        rl_is_named(c, head, known->set, &a, NULL) || rl_is_named(c, head, known->range, &a, NULL) ||
        rl_is_named(c, head, known->iter, &a, NULL) || rl_is_named(c, head, known->option, &a, NULL)) {
        return a;
    }
    if (rl_is_named(c, head, known->map, &a, &b) || rl_is_named(c, head, known->table, &a, &b)) {
        rl_type_t pair[2] = {a, b};
        return rl_type_tuple(c->types, pair, 2);
    }
    return 0;
}

/* An Iter over anything that `for` walks; what is nothing of that kind stays as it is. */
static rl_ir_t to_iter(rl_checker_t* c, rl_ir_t value, rl_span_t span) {
    const rl_known_t* known = &c->program->known;
    rl_type_t type = rl_settled_type(c, value);
    if (rl_is_named(c, type, known->iter, NULL, NULL)) return value;
    rl_type_t element = rl_element_of_iterable(c, type);
    rl_fn_id_t fn = element ? rl_prelude_function(c, "iter_of_any") : 0;
    if (!fn) return value;
    rl_arg_t arg = {.ir = value, .span = span};
    return rl_call_function(c, fn, &arg, 1, 0, span, rl_named1(c, known->iter, element));
}

static rl_fn_id_t method_of(rl_checker_t* c, rl_typedef_id_t type, const char* name) {
    rl_sym_t symbol = rl_sym_find(c->symbols, rl_str(name));
    return symbol ? rl_program_find_method(c->program, type, symbol) : 0;
}

static rl_type_t type_of_arg(rl_checker_t* c, rl_arg_t* arg, rl_type_t expected) {
    if (!arg->ir) arg->ir = rl_infer_expr(c, arg->node, expected);
    return rl_settled_type(c, arg->ir);
}

rl_fn_id_t rl_adapt_call(rl_checker_t* c, rl_fn_id_t fn, rl_arg_t* args, uint32_t count) {
    const rl_function_t function = *rl_program_function(c->program, fn);
    const rl_known_t* known = &c->program->known;
    if (function.owner == known->list) { /* List.iter(xs, f) is for_each */
        rl_fn_id_t other = count == 2 ? method_of(c, known->list, "for_each") : 0;
        return other ? other : fn;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (args[i].name) return fn;
    }
    rl_str_t name = rl_text(c, function.name);
    if (rl_str_equal(name, RL_STR("flat_map"))) { /* its function may answer an Iter, too */
        rl_type_t element = 0, result;
        if (count != 2 || !rl_is_named(c, type_of_arg(c, &args[0], 0), known->iter, &element, NULL)) return fn;
        rl_type_t wanted = rl_type_function(c->types, &element, 1, rl_fresh(c, args[1].span));
        rl_type_t given = type_of_arg(c, &args[1], wanted);
        if (rl_type_kind(c->types, given) != RL_TYPE_FUNCTION || rl_arg_count_of(c, given) != 1) return fn;
        result = rl_type_args(c->types, given)[1];
        rl_fn_id_t other =
            rl_is_named(c, result, known->iter, NULL, NULL) ? method_of(c, known->iter, "flat_map_iter") : 0;
        return other ? other : fn;
    }
    uint32_t last = function.param_count - 1; /* the one that may be any iterable */
    if (count == function.param_count && !rl_failed(c)) {
        for (uint32_t i = 0; i <= last; i++) (void)type_of_arg(c, &args[i], 0);
        args[last].ir = to_iter(c, args[last].ir, args[last].span);
    }
    return fn;
}
