/* Functions that the language itself knows (LANGUAGE 8.2): print, panic, assert, to_string, ensure, Cons, … */
#include "types/infer.h"

#define TEXT(literal) {literal, sizeof(literal) - 1}
rl_special_t rl_find_special(rl_checker_t* c, rl_sym_t qualifier, rl_sym_t name) {
    static const struct {
        rl_str_t qualifier, name;
        rl_special_t special;
    } table[] = {
        {TEXT(""), TEXT("print"), RL_SPECIAL_PRINT},
        {TEXT(""), TEXT("println"), RL_SPECIAL_PRINTLN},
        {TEXT("IO"), TEXT("print"), RL_SPECIAL_PRINT},
        {TEXT("IO"), TEXT("println"), RL_SPECIAL_PRINTLN},
        {TEXT("IO"), TEXT("eprintln"), RL_SPECIAL_EPRINTLN},
        {TEXT(""), TEXT("to_string"), RL_SPECIAL_TO_STRING},
        {TEXT("Debug"), TEXT("show"), RL_SPECIAL_DEBUG},
        {TEXT(""), TEXT("format"), RL_SPECIAL_FORMAT},
        {TEXT(""), TEXT("panic"), RL_SPECIAL_PANIC},
        {TEXT(""), TEXT("todo"), RL_SPECIAL_TODO},
        {TEXT(""), TEXT("unreachable"), RL_SPECIAL_UNREACHABLE},
        {TEXT(""), TEXT("assert"), RL_SPECIAL_ASSERT},
        {TEXT(""), TEXT("assert_eq"), RL_SPECIAL_ASSERT_EQ},
        {TEXT(""), TEXT("ensure"), RL_SPECIAL_ENSURE},
        {TEXT(""), TEXT("ensure_not_null"), RL_SPECIAL_ENSURE_NOT_NULL},
        {TEXT(""), TEXT("not"), RL_SPECIAL_NOT},
        {TEXT(""), TEXT("Cons"), RL_SPECIAL_CONS},
        {TEXT(""), TEXT("Nil"), RL_SPECIAL_NIL},
        {TEXT("Str"), TEXT("concat"), RL_SPECIAL_STR_CONCAT},
        {TEXT("String"), TEXT("concat"), RL_SPECIAL_STR_CONCAT},
        {TEXT("Text"), TEXT("concat"), RL_SPECIAL_STR_CONCAT},
        {TEXT("Box"), TEXT("new"), RL_SPECIAL_BOX},
    };
    rl_str_t text = rl_text(c, name), owner = rl_text(c, qualifier);
    for (size_t i = 0; i < RL_COUNT_OF(table); i++) {
        if (rl_str_equal(text, table[i].name) && rl_str_equal(owner, table[i].qualifier)) return table[i].special;
    }
    return RL_SPECIAL_NONE;
}

static rl_ir_t arg_value(rl_checker_t* c, rl_arg_t* arg, rl_type_t expected) {
    if (!expected) {
        if (!arg->ir) arg->ir = rl_infer_expr(c, arg->node, 0);
        return arg->ir;
    }
    if (arg->ir) return rl_convert(c, arg->ir, expected, arg->span, RL_CODE_TYPE_MISMATCH);
    return rl_check_expr(c, arg->node, expected, RL_CODE_TYPE_MISMATCH);
}

static bool check_count(
    rl_checker_t* c, const char* name, rl_arg_t* args, uint32_t count, uint32_t least, uint32_t most, rl_span_t span) {
    if (count >= least && count <= most) return true;
    if (least == most)
        rl_report(c->diags, RL_CODE_TYPE_CALL_ARITY, span, "%s takes %u argument%s, found %u", name, least,
            least == 1 ? "" : "s", count);
    else
        rl_report(
            c->diags, RL_CODE_TYPE_CALL_ARITY, span, "%s takes %u to %u arguments, found %u", name, least, most, count);
    rl_infer_args(c, args, count);
    return false;
}

/* Named arguments of these few: put into the order of `names`. */
static bool order_args(
    rl_checker_t* c, const char* what, rl_arg_t* args, uint32_t count, const char* const* names, uint32_t name_count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!args[i].name) continue;
        rl_str_t text = rl_text(c, args[i].name);
        uint32_t at = 0;
        while (at < name_count && !rl_str_equal(text, rl_str(names[at]))) at++;
        if (at >= name_count || at >= count) {
            rl_report(c->diags, RL_CODE_TYPE_CALL_UNKNOWN_ARG, args[i].name_span, "%s has no parameter %.*s", what,
                RL_STR_ARG(text));
            rl_infer_args(c, args, count);
            return false;
        }
        args[i].name = 0;
        if (at != i) { /* evaluated as written, then put in place */
            rl_infer_args(c, args, count);
            rl_arg_t moved = args[i];
            args[i] = args[at];
            args[at] = moved;
            i = (uint32_t)-1; /* start again: what was moved here may be named too */
        }
    }
    return true;
}

static rl_ir_t panic_with(rl_checker_t* c, rl_ir_t message, rl_code_t code, uint32_t start) {
    return rl_ir_make(c, RL_IR_PANIC, RL_TYPE_NEVER, start, message, code, 0);
}

static rl_ir_t print_text(rl_checker_t* c, rl_special_t special, rl_ir_t text, rl_span_t span) {
    const char* name = special == RL_SPECIAL_PRINT     ? "print_str"
                       : special == RL_SPECIAL_PRINTLN ? "println_str"
                                                       : "eprintln_str";
    rl_fn_id_t fn = rl_prelude_function(c, name);
    if (!fn) {
        rl_unsupported(c, span, "output without a core library is");
        return rl_ir_error(c, span.start);
    }
    return rl_ir_call(c, RL_TYPE_UNIT, span.start, fn, 0, &text, 1);
}

static rl_ir_t text_of(rl_checker_t* c, rl_ir_t value, uint32_t start) {
    if (rl_head(c, rl_type_at(c, value)) == RL_TYPE_STR) return value;
    return rl_to_string(c, value, false, start);
}

static rl_ir_t assert_equal(rl_checker_t* c, rl_arg_t* args, rl_span_t span) {
    uint32_t mark = c->scratch.count, start = span.start;
    rl_ir_t left = rl_hold(c, arg_value(c, &args[0], 0), start);
    rl_ir_t right_value = arg_value(c, &args[1], rl_type_at(c, left));
    rl_ir_t right = rl_hold(c, right_value, start);
    if (!rl_require(c, rl_type_at(c, left), RL_CON_EQ, span)) {
        c->scratch.count = mark;
        return rl_ir_error(c, start);
    }
    uint32_t empty = rl_string_id(c, RL_STR(""));
    uint32_t pieces[8] = {0xFFFFFFFFu, rl_ir_string(c, start, RL_STR("assertion failed: ")), empty,
        rl_to_string(c, left, true, start), 0xFFFFFFFFu, rl_ir_string(c, start, RL_STR(" is not ")), empty,
        rl_to_string(c, right, true, start)};
    rl_ir_t message = rl_ir_make(c, RL_IR_FORMAT, RL_TYPE_STR, start, rl_extra_put(c, pieces, 8), 4, 0);
    rl_ir_t different = rl_ir_make(c, RL_IR_NE, RL_TYPE_BOOL, start, left, right, 0);
    rl_ir_t check = rl_ir_make(
        c, RL_IR_IF, RL_TYPE_UNIT, start, different, panic_with(c, message, RL_CODE_RUNTIME_ASSERT, start), 0);
    return rl_wrap_binds(c, mark, check, start);
}

/* `err` of ensure and ensure_not_null: a value, or a function without parameters that makes it when needed (D58). */
static rl_ir_t lazy_error(rl_checker_t* c, rl_arg_t* arg, rl_type_t expected_error, rl_ir_t* out_held) {
    rl_type_t given = rl_head(c, rl_type_at(c, arg->ir));
    uint32_t start = arg->span.start;
    rl_ir_t held = rl_hold(c, arg->ir, start);
    *out_held = held;
    if (rl_type_kind(c->types, given) == RL_TYPE_FUNCTION && rl_arg_count_of(c, given) == 0) {
        rl_ir_t call = rl_ir_make(
            c, RL_IR_CALL_VALUE, rl_type_args(c->types, given)[0], start, held, 0, rl_extra_counted(c, NULL, 0));
        return expected_error ? rl_convert(c, call, expected_error, arg->span, RL_CODE_TYPE_MISMATCH) : call;
    }
    return expected_error ? rl_convert(c, held, expected_error, arg->span, RL_CODE_TYPE_MISMATCH) : held;
}

uint32_t rl_variant_tag(rl_checker_t* c, rl_typedef_id_t id, rl_sym_t name) {
    const rl_typedef_t def = *rl_program_typedef(c->program, id);
    for (uint32_t tag = 0; tag < def.variant_count; tag++) {
        if (rl_program_variant(c->program, def.variant_first + tag)->name == name) return tag;
    }
    return 0;
}

static rl_ir_t call_ensure(rl_checker_t* c, rl_arg_t* args, rl_span_t span, rl_type_t expected) {
    const rl_known_t* known = &c->program->known;
    uint32_t mark = c->scratch.count, start = span.start;
    rl_type_t wanted_error = 0;
    if (expected) (void)rl_is_named(c, expected, known->result, NULL, &wanted_error);
    rl_ir_t condition = rl_hold(c, arg_value(c, &args[0], RL_TYPE_BOOL), start);
    rl_ir_t held;
    (void)arg_value(c, &args[1], 0);
    rl_ir_t error = lazy_error(c, &args[1], wanted_error, &held);
    rl_type_t type = rl_named2(c, known->result, RL_TYPE_UNIT, rl_type_at(c, error));
    rl_ir_t unit = rl_ir_unit(c, start);
    rl_ir_t good = rl_make_variant(c, type, rl_variant_tag(c, known->result, c->sym_ok), &unit, 1, start);
    rl_ir_t bad = rl_make_variant(c, type, rl_variant_tag(c, known->result, c->sym_err), &error, 1, start);
    rl_ir_t made = rl_ir_make(c, RL_IR_IF, type, start, condition, good, bad);
    return rl_wrap_binds(c, mark, made, start);
}

static rl_ir_t call_ensure_not_null(rl_checker_t* c, rl_arg_t* args, rl_span_t span, rl_type_t expected) {
    const rl_known_t* known = &c->program->known;
    uint32_t mark = c->scratch.count, start = span.start;
    rl_type_t wanted_error = 0, payload = rl_fresh(c, span);
    if (expected) (void)rl_is_named(c, expected, known->result, NULL, &wanted_error);
    rl_type_t option = rl_named1(c, known->option, payload);
    rl_ir_t value = rl_hold(c, arg_value(c, &args[0], option), start);
    rl_ir_t held;
    (void)arg_value(c, &args[1], 0);
    rl_ir_t error = lazy_error(c, &args[1], wanted_error, &held);
    rl_type_t type = rl_named2(c, known->result, payload, rl_type_at(c, error));
    uint32_t local = rl_new_local(c, 0, payload, 0, span);
    rl_ir_t bind = rl_ir_make(c, RL_PAT_BIND, payload, start, local, 0, 0),
            read = rl_ir_make(c, RL_IR_LOCAL, payload, start, local, 0, 0);
    rl_ir_t some = rl_ir_make(
        c, RL_PAT_VARIANT, option, start, rl_extra_put(c, &bind, 1), 1, rl_variant_tag(c, known->option, c->sym_some));
    rl_ir_t none = rl_ir_make(c, RL_PAT_WILDCARD, option, start, 0, 0, 0);
    rl_ir_t good = rl_make_variant(c, type, rl_variant_tag(c, known->result, c->sym_ok), &read, 1, start);
    rl_ir_t bad = rl_make_variant(c, type, rl_variant_tag(c, known->result, c->sym_err), &error, 1, start);
    uint32_t arms[6] = {some, 0, good, none, 0, bad};
    rl_ir_t made = rl_ir_make(c, RL_IR_MATCH, type, start, value, rl_extra_put(c, arms, 6), 2);
    return rl_wrap_binds(c, mark, made, start);
}

static rl_ir_t call_cons(
    rl_checker_t* c, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span, rl_type_t expected) {
    if (count != 2) {
        rl_report(c->diags, RL_CODE_TYPE_SUM_CONSTRUCTOR_ARITY_MISMATCH, span,
            "constructor Cons takes 2 values, found %u", count);
        rl_infer_args(c, args, count);
        return rl_ir_error(c, span.start);
    }
    rl_type_t element = 0;
    if (!expected || !rl_is_named(c, expected, c->program->known.list, &element, NULL)) element = rl_fresh(c, span);
    rl_type_t list = rl_named1(c, c->program->known.list, element);
    uint32_t mark = c->scratch.count;
    rl_ir_t head = rl_hold(c, arg_value(c, &args[0], element), span.start);
    rl_ir_t tail = arg_value(c, &args[1], list);
    rl_sym_t name = rl_sym_find(c->symbols, RL_STR("push_front"));
    rl_arg_t front = {.ir = head, .span = args[0].span};
    rl_ir_t made = rl_call_method(c, rl_hold(c, tail, span.start), name, span, &front, 1, node, span, list);
    return rl_wrap_binds(c, mark, made, span.start);
}

rl_ir_t rl_call_special(rl_checker_t* c, rl_special_t special, rl_arg_t* args, uint32_t count, rl_node_t node,
    rl_span_t span, rl_type_t expected) {
    static const char* const value[] = {"x"};
    static const char* const message[] = {"msg"};
    static const char* const asserted[] = {"c", "msg"};
    static const char* const two[] = {"a", "b"};
    static const char* const ensured[] = {"c", "err"};
    static const char* const option[] = {"o", "err"};
    uint32_t start = span.start;
    rl_ir_t error = 0;
    switch (special) {
    case RL_SPECIAL_PRINT:
    case RL_SPECIAL_PRINTLN:
    case RL_SPECIAL_EPRINTLN:
        if (!check_count(c, "print", args, count, special == RL_SPECIAL_PRINT, 1, span) ||
            !order_args(c, "print", args, count, value, 1))
            break;
        if (count == 0) return print_text(c, special, rl_ir_string(c, start, RL_STR("")), span);
        return print_text(c, special, text_of(c, arg_value(c, &args[0], 0), start), span);
    case RL_SPECIAL_TO_STRING:
    case RL_SPECIAL_DEBUG:
        if (!check_count(c, "to_string", args, count, 1, 1, span) || !order_args(c, "to_string", args, count, value, 1))
            break;
        return rl_to_string(c, arg_value(c, &args[0], 0), special == RL_SPECIAL_DEBUG, start);
    case RL_SPECIAL_FORMAT: return rl_check_format(c, args, count, node, span);
    case RL_SPECIAL_PANIC:
        if (!check_count(c, "panic", args, count, 1, 1, span) || !order_args(c, "panic", args, count, message, 1))
            break;
        return panic_with(c, arg_value(c, &args[0], RL_TYPE_STR), RL_CODE_RUNTIME_PANIC, start);
    case RL_SPECIAL_TODO:
        if (!check_count(c, "todo", args, count, 0, 1, span) || !order_args(c, "todo", args, count, message, 1)) break;
        return panic_with(c,
            count ? arg_value(c, &args[0], RL_TYPE_STR) : rl_ir_string(c, start, RL_STR("not done yet")),
            RL_CODE_RUNTIME_TODO, start);
    case RL_SPECIAL_UNREACHABLE:
        if (!check_count(c, "unreachable", args, count, 0, 0, span)) break;
        return panic_with(c, rl_ir_string(c, start, RL_STR("entered unreachable code")), RL_CODE_RUNTIME_PANIC, start);
    case RL_SPECIAL_ASSERT: {
        if (!check_count(c, "assert", args, count, 1, 2, span) || !order_args(c, "assert", args, count, asserted, 2))
            break;
        uint32_t mark = c->scratch.count;
        rl_ir_t condition = arg_value(c, &args[0], RL_TYPE_BOOL), text;
        if (count == 2) {
            condition = rl_hold(c, condition, start);
            text = rl_hold(c, arg_value(c, &args[1], RL_TYPE_STR), start);
        } else {
            text = rl_ir_string(c, start, RL_STR("assertion failed"));
        }
        rl_ir_t wrong = rl_ir_make(c, RL_IR_NOT, RL_TYPE_BOOL, start, condition, 0, 0);
        rl_ir_t check =
            rl_ir_make(c, RL_IR_IF, RL_TYPE_UNIT, start, wrong, panic_with(c, text, RL_CODE_RUNTIME_ASSERT, start), 0);
        return rl_wrap_binds(c, mark, check, start);
    }
    case RL_SPECIAL_ASSERT_EQ:
        if (!check_count(c, "assert_eq", args, count, 2, 2, span) || !order_args(c, "assert_eq", args, count, two, 2))
            break;
        return assert_equal(c, args, span);
    case RL_SPECIAL_ENSURE:
        if (!check_count(c, "ensure", args, count, 2, 2, span) || !order_args(c, "ensure", args, count, ensured, 2))
            break;
        return call_ensure(c, args, span, expected);
    case RL_SPECIAL_ENSURE_NOT_NULL:
        if (!check_count(c, "ensure_not_null", args, count, 2, 2, span) ||
            !order_args(c, "ensure_not_null", args, count, option, 2))
            break;
        return call_ensure_not_null(c, args, span, expected);
    case RL_SPECIAL_NOT:
        if (!check_count(c, "not", args, count, 1, 1, span)) break;
        return rl_ir_make(c, RL_IR_NOT, RL_TYPE_BOOL, start, arg_value(c, &args[0], RL_TYPE_BOOL), 0, 0);
    case RL_SPECIAL_CONS: return call_cons(c, args, count, node, span, expected);
    case RL_SPECIAL_NIL:
        if (count) {
            rl_report(c->diags, RL_CODE_TYPE_SUM_CONSTRUCTOR_ARITY_MISMATCH, span,
                "constructor Nil takes 0 values, found %u", count);
            rl_infer_args(c, args, count);
            break;
        }
        return rl_special_value(c, special, node, span, expected);
    case RL_SPECIAL_STR_CONCAT: {
        if (count < 2) {
            check_count(c, "Str.concat", args, count, 2, UINT32_MAX, span);
            break;
        }
        rl_ir_t made = arg_value(c, &args[0], RL_TYPE_STR);
        for (uint32_t i = 1; i < count && !rl_failed(c); i++)
            made = rl_ir_make(c, RL_IR_CONCAT, RL_TYPE_STR, start, made, arg_value(c, &args[i], RL_TYPE_STR), 0);
        return made;
    }
    case RL_SPECIAL_BOX:
        if (!check_count(c, "Box.new", args, count, 1, 1, span)) break;
        return arg_value(c, &args[0], expected);
    case RL_SPECIAL_NONE: break;
    }
    if (!error) error = rl_ir_error(c, start);
    return error;
}

/* The function itself as a value: |x| println(x) */
rl_ir_t rl_special_value(rl_checker_t* c, rl_special_t special, rl_node_t node, rl_span_t span, rl_type_t expected) {
    if (special == RL_SPECIAL_TODO)
        return panic_with(c, rl_ir_string(c, span.start, RL_STR("not done yet")), RL_CODE_RUNTIME_TODO, span.start);
    if (special == RL_SPECIAL_NIL) {
        rl_type_t element = 0;
        if (!expected || !rl_is_named(c, expected, c->program->known.list, &element, NULL))
            element = rl_solver_fresh(&c->solver, RL_VAR_FREE, RL_FROM_EMPTY_LIST, span);
        return rl_ir_make(c, RL_IR_LIST, rl_named1(c, c->program->known.list, element), span.start, 0, 0, 0);
    }
    uint32_t params = special == RL_SPECIAL_ASSERT_EQ || special == RL_SPECIAL_ENSURE ||
                              special == RL_SPECIAL_ENSURE_NOT_NULL || special == RL_SPECIAL_CONS ||
                              special == RL_SPECIAL_STR_CONCAT
                          ? 2
                      : special == RL_SPECIAL_UNREACHABLE ? 0
                                                          : 1;
    rl_type_t head = expected ? rl_head(c, expected) : 0;
    bool fits = head && rl_type_kind(c->types, head) == RL_TYPE_FUNCTION && rl_arg_count_of(c, head) == params;
    rl_fn_id_t fn = rl_new_function(c, 0, RL_FN_LAMBDA, span);
    uint32_t outer = c->frame;
    uint32_t frame = rl_frame_push(c, RL_FRAME_LAMBDA, fn);
    rl_arg_t args[2] = {{.span = span}, {.span = span}};
    rl_type_t types[2] = {0, 0};
    bool shows = special == RL_SPECIAL_PRINT || special == RL_SPECIAL_PRINTLN || special == RL_SPECIAL_EPRINTLN;
    for (uint32_t i = 0; i < params; i++) {
        types[i] = fits ? rl_type_args(c->types, head)[i] : shows ? RL_TYPE_ANY : rl_fresh(c, span);
        uint32_t local = rl_new_local(c, 0, types[i], RL_LOCAL_IS_PARAM, span);
        args[i].ir = rl_ir_make(c, RL_IR_LOCAL, types[i], span.start, local, 0, 0);
    }
    rl_ir_t body = rl_call_special(c, special, args, params, node, span, 0);
    rl_type_t result = rl_type_at(c, body);
    rl_set_params(c, fn, NULL, params, types);
    c->frames.data[frame].result = result;
    rl_function_t* function = rl_function_at(c, fn);
    if (function) {
        function->body = body;
        function->result = result;
        const rl_node_data_t* written = rl_tree_node(c->tree, node);
        if (written->kind == RL_NODE_NAME || written->kind == RL_NODE_FIELD) { /* shown as <fn println> */
            function->name = written->kind == RL_NODE_NAME ? written->a : written->b;
            function->flags &= ~(uint32_t)RL_FN_LAMBDA;
        }
    }
    rl_frame_pop(c);
    c->frame = outer;
    return rl_lambda_value(c, fn, rl_type_function(c->types, types, params, result), span.start);
}
