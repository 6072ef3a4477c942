/* extern "C" (LANGUAGE 3.6): which types may cross, and calls with more arguments than the declaration names. */
#include "types/infer.h"

static bool may_cross(rl_checker_t* c, rl_type_t type) {
    type = rl_head(c, type);
    if (type == RL_TYPE_ERROR || type == RL_TYPE_UNIT || type == RL_TYPE_BOOL) return true;
    return rl_type_is_integer(type) || rl_type_is_float(type) ||
           rl_is_named(c, type, c->program->known.ptr, NULL, NULL);
}

static void check_type(rl_checker_t* c, rl_type_t type, rl_span_t span) {
    if (may_cross(c, type)) return;
    rl_report(c->diags, RL_CODE_FFI_CONTRACT_UNSUPPORTED_TYPE, span,
        "%s cannot be passed to C: numbers, Bool, Ptr<T> and () can", rl_show(c, type));
}

void rl_check_foreign(rl_checker_t* c, rl_node_t node, rl_fn_id_t fn) {
    rl_fn_decl_t decl = rl_tree_fn(c->tree, node);
    const rl_function_t function = *rl_program_function(c->program, fn);
    uint32_t count = rl_tree_list_count(c->tree, decl.params), at = 0;
    for (uint32_t i = 0; i < count && at < function.param_count; i++) {
        rl_node_t param = rl_tree_list_at(c->tree, decl.params, i);
        const rl_node_data_t* data = rl_tree_node(c->tree, param);
        if (data->flags & RL_VARARGS) continue;
        rl_type_t type = rl_program_param(c->program, function.param_first + at++)->type;
        check_type(c, type, rl_span_of(c, data->b ? data->b : param));
    }
    check_type(c, function.result, decl.result ? rl_span_of(c, decl.result) : function.span);
    rl_function_at(c, fn)->flags |= RL_FN_FOREIGN;
}

/* The declared parameters and one more for each further argument: a function of its own, since what the host gets is made
   from the types of parameters. */
static rl_fn_id_t widen(rl_checker_t* c, rl_fn_id_t fn, const rl_arg_t* more, uint32_t count) {
    rl_program_t* program = c->program;
    const rl_function_t declared = *rl_program_function(program, fn);
    rl_fn_id_t made = rl_new_function(c, declared.name, declared.flags & ~(uint32_t)RL_FN_VARARGS, declared.span);
    if (!made) return 0;
    uint32_t type_params = declared.type_params, first = program->first_param + program->params.count;
    for (uint32_t i = 0; i < declared.param_count; i++) {
        rl_param_t param = *rl_program_param(program, declared.param_first + i);
        (void)rl_vec_push(c->allocator, &program->params, param);
    }
    for (uint32_t i = 0; i < count; i++) {
        rl_param_t param = {.type = rl_head(c, rl_type_at(c, more[i].ir))};
        if (rl_is_named(
                c, param.type, program->known.ptr, NULL, NULL)) /* to anything, even to a type of the caller's */
            param.type = rl_named1(c, program->known.ptr, rl_type_param(c->types, type_params++));
        (void)rl_vec_push(c->allocator, &program->params, param);
    }
    rl_function_t* function = rl_function_at(c, made);
    function->kind = declared.kind;
    function->symbol = declared.symbol;
    function->link_name = declared.link_name;
    function->declared = declared.declared;
    function->module = declared.module;
    function->owner = declared.owner;
    function->result = declared.result;
    function->type_params = type_params;
    function->param_first = first;
    function->param_count = declared.param_count + count;
    function->constraint_first = declared.constraint_first;
    function->constraint_count = declared.constraint_count;
    return made;
}

rl_ir_t rl_call_varargs(rl_checker_t* c, rl_fn_id_t fn, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span,
    rl_type_t expected) {
    uint32_t fixed = rl_program_function(c->program, fn)->param_count;
    bool fine = true;
    rl_infer_args(c, args + fixed, count - fixed);
    for (uint32_t i = fixed; i < count && !rl_failed(c); i++) {
        rl_type_t type = rl_settled_type(c, args[i].ir);
        if (args[i].name) {
            rl_str_t name = rl_text(c, args[i].name);
            rl_report(c->diags, RL_CODE_TYPE_CALL_UNKNOWN_ARG, args[i].name_span, "no parameter is named %.*s",
                RL_STR_ARG(name));
            fine = false;
        } else if (!may_cross(c, type)) {
            check_type(c, type, args[i].span);
            fine = false;
        } else if (type == RL_TYPE_ERROR) {
            fine = false;
        }
    }
    rl_fn_id_t widened = fine && !rl_failed(c) ? widen(c, fn, args + fixed, count - fixed) : 0;
    if (!widened) return rl_ir_error(c, span.start);
    return rl_call_function(c, widened, args, count, node, span, expected);
}
