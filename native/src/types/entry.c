/* Functions made for callers outside of the program, which can enter only what has a body. */
#include "types/check.h"
#include "types/entry.h"

static rl_ir_t node(rl_program_t* p, rl_ir_node_t value) {
    rl_ir_t id = p->first_node + p->nodes.count;
    return rl_vec_push(p->allocator, &p->nodes, value) ? id : 0;
}
static uint32_t extra(rl_program_t* p, uint32_t word) {
    uint32_t at = p->first_extra + p->extra.count;
    rl_vec_push(p->allocator, &p->extra, word);
    return at;
}

/* CALL of `callee` with the locals 0 … count-1; all of monomorphic functions. */
static rl_ir_t call_with_locals(
    rl_program_t* p, rl_fn_id_t callee, rl_type_t result, uint32_t count, uint32_t local_first, uint32_t start) {
    rl_ir_t arguments[64];
    for (uint32_t i = 0; i < count; i++) {
        arguments[i] =
            node(p, (rl_ir_node_t){RL_IR_LOCAL, 0, rl_program_local(p, local_first + i)->type, start, i, 0, 0});
    }
    uint32_t list = extra(p, count);
    for (uint32_t i = 0; i < count; i++) extra(p, arguments[i]);
    return node(p, (rl_ir_node_t){RL_IR_CALL, 0, result, start, callee, list, list});
}

rl_fn_id_t rl_check_forwarder(rl_program_t* p, rl_fn_id_t function) {
    rl_function_t target = *rl_program_function(p, function);
    if (function < p->first_fn || target.param_count > 64) return 0;
    if (target.forwarder) return target.forwarder;
    if (!rl_program_own(p)) return 0;
    uint32_t local_first = p->first_local + p->locals.count, start = target.span.start;
    for (uint32_t i = 0; i < target.param_count; i++) {
        rl_param_t param = *rl_program_param(p, target.param_first + i);
        rl_vec_push(
            p->allocator, &p->locals, (rl_local_t){.name = param.name, .type = param.type, .span = target.span});
    }
    uint32_t types = p->first_extra + p->extra.count;
    for (uint32_t i = 0; i < target.type_params; i++) extra(p, rl_type_param(&p->types, i));
    rl_function_t made = target;
    made.kind = RL_FN_REML;
    made.symbol = made.link_name = 0;
    made.parent = function; /* no function of the source */
    made.local_first = local_first;
    made.local_count = target.param_count;
    made.body = call_with_locals(p, function, target.result, target.param_count, local_first, start);
    if (p->allocator->failed) return 0;
    p->nodes.data[made.body - p->first_node].b = types;
    rl_fn_id_t id = p->first_fn + p->functions.count;
    if (!rl_vec_push(p->allocator, &p->functions, made)) return 0;
    p->functions.data[function - p->first_fn].forwarder = id;
    return id;
}

rl_fn_id_t rl_check_entry_caller(rl_program_t* p, rl_fn_id_t function) {
    rl_function_t target = *rl_program_function(p, function);
    if (target.param_count > 64 || !rl_program_own(p)) return 0;
    uint32_t local_first = p->first_local + p->locals.count, start = target.span.start;
    for (uint32_t i = 0; i < target.param_count; i++) {
        rl_param_t param = *rl_program_param(p, target.param_first + i);
        rl_vec_push(
            p->allocator, &p->locals, (rl_local_t){.name = param.name, .type = param.type, .span = target.span});
    }
    rl_ir_t steps[65];
    for (uint32_t i = 0; i < target.param_count; i++) {
        rl_param_t param = *rl_program_param(p, target.param_first + i);
        rl_ir_t value = call_with_locals(p, param.default_fn, param.type, i, local_first, start);
        steps[i] = node(p, (rl_ir_node_t){RL_IR_BIND, 0, RL_TYPE_UNIT, start, i, value, 0});
    }
    steps[target.param_count] = call_with_locals(p, function, target.result, target.param_count, local_first, start);
    uint32_t list = p->first_extra + p->extra.count;
    for (uint32_t i = 0; i <= target.param_count; i++) extra(p, steps[i]);
    rl_function_t caller = {.name = target.name,
        .module = target.module,
        .kind = RL_FN_REML,
        .result = target.result,
        .local_first = local_first,
        .local_count = target.param_count,
        .span = target.span,
        .param_first = target.param_first};
    caller.body =
        node(p, (rl_ir_node_t){RL_IR_BLOCK, RL_IR_BLOCK_VALUE, target.result, start, list, target.param_count + 1, 0});
    rl_fn_id_t id = p->first_fn + p->functions.count;
    if (!rl_vec_push(p->allocator, &p->functions, caller) || p->allocator->failed) return 0;
    return id;
}
