/*
 * The end of a module: what was provisional becomes final (infer.h), in one pass over its nodes; then what had to
 * wait for
 * final types is checked: literals that must fit, matches, patterns of let.
 */
#include "types/impl.h"
#include "types/infer.h"

/* --- types -------------------------------------------------------------------------------------------------------- */

static rl_type_t final_param(rl_checker_t* c, void* user, uint32_t index) {
    (void)user;
    if (index < RL_LOCAL_PARAM_BASE) return rl_type_param(c->types, index);
    return rl_type_param(c->types, c->local_params.data[index - RL_LOCAL_PARAM_BASE].final);
}

rl_type_t rl_final_type(rl_checker_t* c, rl_type_t type) {
    uint8_t flags = rl_type_node(c->types, type)->flags;
    if (flags & RL_TYPE_HAS_VAR) {
        type = rl_solver_zonk(&c->solver, type);
        flags = rl_type_node(c->types, type)->flags;
    }
    if ((flags & RL_TYPE_HAS_PARAM) && c->local_params.count) type = rl_map_params(c, type, final_param, NULL);
    return type;
}

/* --- type parameters of functions inside functions ---------------------------------------------------------------- */

static void number_params(rl_checker_t* c) {
    for (uint32_t i = 1; i < c->frames.count; i++) {
        const rl_frame_t frame = c->frames.data[i];
        rl_function_t* function = rl_function_at(c, frame.fn);
        if (!function || frame.merged_into) continue;
        if (rl_frame_is_inner((rl_frame_kind_t)frame.kind)) {
            uint32_t parent = rl_frame_resolve(c, frame.parent);
            rl_fn_id_t parent_fn = c->frames.data[parent].fn;
            uint32_t inherited = parent_fn ? rl_program_function(c->program, parent_fn)->type_params : 0;
            function->parent =
                c->frames.data[parent].kind == RL_FRAME_INIT && frame.kind == RL_FRAME_THUNK ? 0 : parent_fn;
            function->type_params = inherited + frame.own_params;
            if (frame.local_fn) {
                const rl_local_fn_t* local = &c->local_fns.data[frame.local_fn - 1];
                for (uint32_t k = 0; k < local->param_count; k++)
                    c->local_params.data[local->param_first + k].final = inherited + k;
            }
        }
    }
    for (uint32_t i = 0; i < c->local_fns.count; i++) { /* defaults take the same type arguments as their function */
        const rl_function_t function = *rl_program_function(c->program, c->local_fns.data[i].fn);
        for (uint32_t k = 0; k < function.param_count; k++) {
            rl_function_t* made = rl_function_at(c, rl_program_param(c->program, function.param_first + k)->default_fn);
            if (made) made->type_params = function.type_params;
        }
    }
}

/* --- local functions: which need a closure ------------------------------------------------------------------------ */

static void capture_closure(rl_checker_t* c, uint32_t frame, const rl_local_fn_t* fn) {
    if (!fn->param_count) {
        (void)rl_capture_local(c, frame, fn->local);
        return;
    }
    for (uint32_t at = c->frames.data[fn->frame].capture_head; at; at = c->captures.data[at].next) {
        (void)rl_capture_local(c, frame, c->captures.data[at].outer);
    }
}

/* A use of `fn` inside another function: every function between captures what the closure needs. */
static void capture_use(rl_checker_t* c, const rl_local_ref_t* ref) {
    const rl_local_fn_t fn = c->local_fns.data[ref->local_fn];
    uint32_t owner = rl_frame_resolve(c, fn.parent);
    if (ref->default_fn || !fn.needs_closure || rl_frame_resolve(c, ref->frame) == owner) return;
    uint32_t before = c->captures.count;
    capture_closure(c, ref->frame, &fn);
    if (c->captures.count == before) return;
    for (uint32_t at = ref->frame; at && at != owner; at = c->frames.data[at].parent) {
        uint32_t local_fn = c->frames.data[at].local_fn;
        if (local_fn && !c->frames.data[at].merged_into) c->local_fns.data[local_fn - 1].needs_closure = true;
    }
}

/* To and fro until nothing changes: chains of functions in either order are done in two passes. */
static void find_closures(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->local_fns.count; i++) {
        rl_local_fn_t* fn = &c->local_fns.data[i];
        fn->needs_closure = c->frames.data[fn->frame].capture_count > 0;
    }
    for (uint32_t before = 0; before != c->captures.count && !rl_failed(c);) {
        before = c->captures.count;
        for (uint32_t i = 0; i < c->local_refs.count && !rl_failed(c); i++) capture_use(c, &c->local_refs.data[i]);
        for (uint32_t i = c->local_refs.count; i-- > 0 && !rl_failed(c);) capture_use(c, &c->local_refs.data[i]);
    }
}

static uint32_t identity_args(rl_checker_t* c, uint32_t count) {
    if (count == 0) return 0;
    if (count > c->identity_count) {
        uint32_t offset = rl_extra_put(c, NULL, count);
        for (uint32_t i = 0; i < count && offset; i++) rl_extra_at(c, offset)[i] = rl_type_param(c->types, i);
        c->identity_args = offset;
        c->identity_count = count;
    }
    return c->identity_args;
}

static uint32_t type_args_of(rl_checker_t* c, const rl_local_ref_t* ref, const rl_local_fn_t* fn) {
    uint32_t total = rl_program_function(c->program, fn->fn)->type_params, inherited = total - fn->param_count;
    if (!ref->args || !fn->param_count) return identity_args(c, total);
    uint32_t offset = rl_extra_put(c, NULL, total);
    for (uint32_t i = 0; i < total && offset; i++) {
        rl_type_t arg = i < inherited ? rl_type_param(c->types, i) : rl_extra_at(c, ref->args)[i - inherited];
        rl_extra_at(c, offset)[i] = arg;
    }
    return offset;
}

static void patch_refs(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->local_refs.count && !rl_failed(c); i++) {
        const rl_local_ref_t ref = c->local_refs.data[i];
        const rl_local_fn_t fn = c->local_fns.data[ref.local_fn];
        uint32_t args = type_args_of(c, &ref, &fn);
        rl_ir_node_t node = *rl_node_at(c, ref.node);
        bool is_call = ref.is_call && (node.op == RL_IR_CALL || fn.is_thunk);
        if (ref.default_fn) {
            rl_node_at(c, ref.node)->b = args;
            continue;
        }
        uint32_t list = fn.is_thunk ? rl_extra_counted(c, NULL, 0) : node.c;
        rl_type_t type = node.type;
        if (!fn.needs_closure) {
            node = (rl_ir_node_t){.op = is_call ? RL_IR_CALL : RL_IR_CLOSURE,
                .type = type,
                .start = node.start,
                .a = fn.fn,
                .b = args,
                .c = is_call ? list : 0};
        } else {
            bool mono = fn.param_count == 0 && !fn.is_thunk;
            rl_type_t value_type = is_call ? RL_TYPE_UNIT : type;
            rl_ir_node_t value;
            if (is_call && fn.is_thunk) value_type = rl_type_function(c->types, NULL, 0, type);
            else if (is_call) value_type = fn.type;
            if (mono) {
                uint32_t local = rl_capture_local(c, ref.frame, fn.local);
                value = (rl_ir_node_t){.op = RL_IR_LOCAL, .type = value_type, .start = node.start, .a = local};
            } else {
                value =
                    (rl_ir_node_t){.op = RL_IR_CLOSURE, .type = value_type, .start = node.start, .a = fn.fn, .b = args};
            }
            if (is_call) {
                rl_ir_t callee = rl_ir_make(c, value.op, value.type, value.start, value.a, value.b, 0);
                node =
                    (rl_ir_node_t){.op = RL_IR_CALL_VALUE, .type = type, .start = node.start, .a = callee, .c = list};
                if (!mono && !fn.is_thunk) { /* its type at this use: parameters as they were given */
                    uint32_t count = *rl_program_extra(c->program, list), mark = c->scratch.count;
                    for (uint32_t k = 0; k < count; k++)
                        (void)rl_vec_push(
                            c->allocator, &c->scratch, rl_type_at(c, rl_program_extra(c->program, list)[1 + k]));
                    if (!rl_failed(c))
                        rl_node_at(c, callee)->type = rl_type_function(c->types, c->scratch.data + mark, count, type);
                    c->scratch.count = mark;
                }
            } else {
                node = value;
            }
        }
        *rl_node_at(c, ref.node) = node;
    }
    for (uint32_t i = 0; i < c->lambda_nodes.count && !rl_failed(c); i++) {
        rl_ir_t node = c->lambda_nodes.data[i];
        uint32_t count = rl_program_function(c->program, rl_program_node(c->program, node)->a)->type_params;
        uint32_t args = identity_args(c, count);
        rl_node_at(c, node)->b = args;
    }
}

/* The statement that defines local functions: nothing, one closure, or closures that capture each other. */
static void patch_groups(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->local_fns.count && !rl_failed(c); i++) {
        rl_local_fn_t fn = c->local_fns.data[i];
        bool needs = fn.needs_closure && fn.param_count == 0 && !fn.is_thunk;
        if (!needs) {
            c->locals.data[fn.local].frame = 0; /* not used after all */
            continue;
        }
        if (fn.is_lambda) {
            uint32_t args = identity_args(c, rl_program_function(c->program, fn.fn)->type_params);
            rl_ir_t closure = rl_ir_make(
                c, RL_IR_CLOSURE, fn.type, rl_program_node(c->program, fn.group_node)->start, fn.fn, args, 0);
            rl_ir_node_t* node = rl_node_at(c, fn.group_node);
            node->op = RL_IR_BIND;
            node->a = fn.local;
            node->b = closure;
            continue;
        }
        /* members of a group stand side by side */
        uint32_t mark = c->scratch.count, pairs = 0, k = i;
        for (; k < c->local_fns.count && c->local_fns.data[k].group_node == fn.group_node; k++) {
            const rl_local_fn_t* member = &c->local_fns.data[k];
            if (!member->needs_closure || member->param_count) {
                c->locals.data[member->local].frame = 0;
                continue;
            }
            (void)rl_vec_push(c->allocator, &c->scratch, member->local);
            (void)rl_vec_push(c->allocator, &c->scratch, member->fn);
            pairs++;
        }
        if (!rl_failed(c)) {
            uint32_t offset = rl_extra_put(c, c->scratch.data + mark, 2 * pairs);
            rl_ir_node_t* node = rl_node_at(c, fn.group_node);
            node->op = RL_IR_CLOSURE_GROUP;
            node->a = offset;
            node->b = pairs;
        }
        c->scratch.count = mark;
        i = k - 1;
    }
}

/* --- numbers of locals -------------------------------------------------------------------------------------------- */

/* The local that really is meant: captures of a merged frame are the captured variables themselves. */
static uint32_t real_local(rl_checker_t* c, uint32_t local) {
    while (c->locals.data[local].outer != RL_NOT_CAPTURED && c->frames.data[c->locals.data[local].frame].merged_into)
        local = c->locals.data[local].outer;
    return local;
}

static uint32_t origin_of(rl_checker_t* c, uint32_t local) {
    while (c->locals.data[local].outer != RL_NOT_CAPTURED) local = c->locals.data[local].outer;
    return local;
}

static void number_locals(rl_checker_t* c) {
    rl_program_t* program = c->program;
    typedef struct counts {
        uint32_t params, captures, others, first;
    } counts_t;
    RL_VEC(counts_t) counts = {0};
    if (!rl_vec_reserve(c->allocator, &counts, c->frames.count) ||
        !rl_vec_reserve(c->allocator, &program->locals, c->locals.count + 1)) {
        rl_vec_deinit(c->allocator, &counts);
        return;
    }
    memset(counts.data, 0, c->frames.count * sizeof *counts.data);
    for (uint32_t i = 0; i < c->locals.count; i++) {
        rl_check_local_t* local = &c->locals.data[i];
        if (local->frame == 0 || real_local(c, i) != i) continue;
        uint32_t frame = rl_frame_resolve(c, local->frame);
        bool capture = local->outer != RL_NOT_CAPTURED;
        if (capture)
            c->locals.data[origin_of(c, i)].flags |= RL_LOCAL_BOXED; /* taken back below where nothing is assigned */
        local->final = capture                            ? counts.data[frame].captures++
                       : local->flags & RL_LOCAL_IS_PARAM ? counts.data[frame].params++
                                                          : counts.data[frame].others++;
    }
    uint32_t total = 0, base = program->first_local + program->locals.count, base_index = program->locals.count;
    for (uint32_t i = 1; i < c->frames.count; i++) {
        counts.data[i].first = total;
        total += counts.data[i].params + counts.data[i].captures + counts.data[i].others;
    }
    program->locals.count += total;
    memset(program->locals.data + base_index, 0, total * sizeof *program->locals.data);
    for (uint32_t i = 0; i < c->locals.count; i++) {
        rl_check_local_t* local = &c->locals.data[i];
        if (local->frame == 0 || real_local(c, i) != i) continue;
        counts_t* count = &counts.data[rl_frame_resolve(c, local->frame)];
        bool capture = local->outer != RL_NOT_CAPTURED;
        if (capture) local->final += count->params;
        else if (!(local->flags & RL_LOCAL_IS_PARAM)) local->final += count->params + count->captures;
        uint32_t origin = c->locals.data[origin_of(c, i)].flags,
                 flags = origin & (RL_LOCAL_MUTABLE | RL_LOCAL_ANNOTATED);
        if ((origin & RL_LOCAL_MUTABLE) && (origin & RL_LOCAL_BOXED)) flags |= RL_LOCAL_BOXED;
        if (capture) flags |= RL_LOCAL_CAPTURE;
        rl_local_t entry = {
            .name = local->name, .type = rl_final_type(c, local->type), .flags = flags, .span = local->span};
        program->locals.data[base_index + count->first + local->final] = entry;
    }
    for (uint32_t i = 1; i < c->frames.count; i++) {
        const rl_frame_t frame = c->frames.data[i];
        rl_function_t* function = rl_function_at(c, frame.fn);
        if (!function || frame.merged_into) continue;
        function->local_first = base + counts.data[i].first;
        function->local_count = counts.data[i].params + counts.data[i].captures + counts.data[i].others;
        function->capture_first = program->first_capture + program->captures.count;
        uint32_t captures = 0;
        for (uint32_t at = frame.capture_head; at; at = c->captures.data[at].next) {
            uint32_t outer = real_local(c, c->captures.data[at].outer);
            captures += rl_vec_push(c->allocator, &program->captures, c->locals.data[outer].final);
        }
        function->capture_count = captures;
    }
    rl_vec_deinit(c->allocator, &counts);
}

/* --- nodes -------------------------------------------------------------------------------------------------------- */

static void final_args(rl_checker_t* c, uint32_t offset, uint32_t count) {
    for (uint32_t i = 0; i < count && offset >= c->program->first_extra; i++) {
        rl_type_t type = rl_type_plain(c->types, rl_final_type(c, rl_extra_at(c, offset)[i]));
        rl_extra_at(c, offset)[i] = type;
    }
}

static uint32_t final_local(rl_checker_t* c, uint32_t local) { return c->locals.data[real_local(c, local)].final; }

static void pass_through(rl_checker_t* c, rl_ir_t ir) {
    rl_ir_t inner = rl_node_at(c, ir)->a;
    uint32_t list = rl_extra_put(c, &inner, 1);
    rl_ir_node_t* node = rl_node_at(c, ir);
    node->op = RL_IR_BLOCK;
    node->flags = RL_IR_BLOCK_VALUE;
    node->a = list;
    node->b = 1;
    node->c = 0;
}

/* A function of a trait for types that say which impl it is: that impl's function from now on. */
static void choose_impl(rl_checker_t* c, uint32_t index) {
    rl_program_t* program = c->program;
    const rl_ir_node_t node = program->nodes.data[index];
    const rl_function_t function = *rl_program_function(program, node.a);
    rl_impl_fn_t target;
    if (!node.b || function.type_params > RL_IMPL_PARAMS_MAX) return;
    rl_type_t args[RL_IMPL_PARAMS_MAX];
    for (uint32_t i = 0; i < function.type_params; i++) {
        args[i] = rl_extra_at(c, node.b)[i];
        bool any_self = i == 0 && args[0] == RL_TYPE_ERROR;
        if (!any_self && rl_type_node(c->types, args[i])->flags & (RL_TYPE_HAS_ERROR | RL_TYPE_HAS_VAR)) return;
    }
    if (!rl_impl_resolve(program, node.a, args, function.type_params, &target) || target.fn == node.a) return;
    uint32_t offset = rl_extra_put(c, target.args, target.count);
    program->nodes.data[index].a = target.fn;
    program->nodes.data[index].b = offset;
}

static void finish_nodes(rl_checker_t* c) {
    rl_program_t* program = c->program;
    for (uint32_t i = c->first_node; i < program->nodes.count && !rl_failed(c); i++) {
        rl_ir_node_t* node = &program->nodes.data[i];
        if (rl_type_node(c->types, node->type)->flags & (RL_TYPE_HAS_VAR | RL_TYPE_HAS_PARAM)) {
            rl_type_t type = rl_final_type(c, node->type);
            node = &program->nodes.data[i];
            node->type = type;
        }
        switch (node->op) {
        case RL_IR_LOCAL:
        case RL_IR_SET_LOCAL:
        case RL_IR_BIND:
        case RL_IR_ESCAPE:
        case RL_PAT_BIND:
        case RL_PAT_ACTIVE: node->a = final_local(c, node->a); break;
        case RL_IR_CALL:
        case RL_IR_CLOSURE: {
            uint32_t offset = node->b;
            if (offset) final_args(c, offset, rl_program_function(program, node->a)->type_params);
            if (rl_program_function(program, program->nodes.data[i].a)->flags & RL_FN_TRAIT) choose_impl(c, i);
            break;
        }
        case RL_IR_CLOSURE_GROUP:
            for (uint32_t k = 0; k < node->b; k++) {
                uint32_t local = rl_extra_at(c, node->a)[2 * k];
                rl_extra_at(c, node->a)[2 * k] = final_local(c, local);
            }
            break;
        case RL_IR_INT:
            if (rl_type_is_float(node->type)) {
                int64_t value = (int64_t)((uint64_t)node->b << 32 | node->a);
                double number = (double)value;
                uint64_t bits;
                memcpy(&bits, &number, sizeof bits);
                node->op = RL_IR_FLOAT;
                node->a = (uint32_t)bits;
                node->b = (uint32_t)(bits >> 32);
            }
            break;
        default: break;
        }
    }
    for (uint32_t i = 0; i < c->catch_nodes.count && !rl_failed(c); i++) {
        const rl_ir_node_t node = *rl_node_at(c, c->catch_nodes.data[i]);
        uint32_t* words = rl_extra_at(c, node.c);
        for (uint32_t k = 0; k < words[0]; k++) {
            if (words[1 + 2 * k] != RL_NOT_CAPTURED) words[1 + 2 * k] = final_local(c, words[1 + 2 * k]);
        }
        rl_node_at(c, c->catch_nodes.data[i])->b = final_local(c, node.b);
    }
    for (uint32_t i = 0; i < c->any_nodes.count && !rl_failed(c); i++) {
        rl_ir_t node = c->any_nodes.data[i];
        if (rl_node_at(c, node)->op == RL_IR_TO_ANY && rl_type_at(c, rl_node_at(c, node)->a) == RL_TYPE_ANY)
            pass_through(c, node);
    }
}

static void finish_declarations(
    rl_checker_t* c, uint32_t first_param, uint32_t first_fn, uint32_t first_global, uint32_t first_constraint) {
    rl_program_t* program = c->program;
    for (uint32_t i = first_param; i < program->params.count; i++) {
        rl_type_t type = rl_final_type(c, program->params.data[i].type);
        program->params.data[i].type = type;
    }
    for (uint32_t i = first_fn; i < program->functions.count; i++) {
        rl_type_t type = rl_final_type(c, program->functions.data[i].result);
        program->functions.data[i].result = type;
    }
    for (uint32_t i = first_global; i < program->globals.count; i++) {
        rl_type_t type = rl_final_type(c, program->globals.data[i].type);
        program->globals.data[i].type = type;
    }
    for (uint32_t i = first_constraint; i < program->constraints.count; i++) {
        if (program->constraints.data[i].kinds == RL_CON_TRAIT) {
            const rl_constraint_t constraint = program->constraints.data[i];
            final_args(c, constraint.args, rl_program_trait(program, constraint.trait)->type_params + 1);
        }
        if (!(program->constraints.data[i].kinds & RL_CON_FIELD)) continue;
        rl_type_t type = rl_final_type(c, program->constraints.data[i].type);
        program->constraints.data[i].type = type;
    }
}

/* Calls whose value is that of their function: they must not grow the stack. */
static void mark_tails(rl_checker_t* c) {
    while (c->tails.count && !rl_failed(c)) {
        rl_ir_t ir = rl_vec_pop(&c->tails);
        if (ir < c->program->first_node) continue;
        rl_ir_node_t* node = rl_node_at(c, ir);
        switch (node->op) {
        case RL_IR_CALL:
        case RL_IR_CALL_VALUE: node->flags |= RL_IR_TAIL; break;
        case RL_IR_IF: {
            rl_ir_t else_branch = node->c;
            (void)rl_vec_push(c->allocator, &c->tails, node->b);
            if (else_branch) (void)rl_vec_push(c->allocator, &c->tails, else_branch);
            break;
        }
        case RL_IR_MATCH: {
            uint32_t offset = node->b, count = node->c;
            for (uint32_t i = 0; i < count; i++)
                (void)rl_vec_push(c->allocator, &c->tails, rl_extra_at(c, offset)[3 * i + 2]);
            break;
        }
        case RL_IR_BLOCK:
            if ((node->flags & RL_IR_BLOCK_VALUE) && !(node->flags & RL_IR_BLOCK_DEFERS))
                (void)rl_vec_push(c->allocator, &c->tails, rl_extra_at(c, node->a)[node->b - 1]);
            break;
        case RL_IR_SEQUENCE: (void)rl_vec_push(c->allocator, &c->tails, node->b); break;
        default: break;
        }
    }
}

/* --- what waited -------------------------------------------------------------------------------------------------- */

static void check_literal(rl_checker_t* c, const rl_later_t* later) {
    rl_ir_node_t* node = rl_node_at(c, later->ir);
    rl_type_t type = node->type;
    uint64_t value = rl_tree_int(c->tree, later->node);
    bool negative = later->data != 0;
    if (rl_tree_has(c->tree, later->node, RL_BAD)) return;
    if (rl_type_is_float(type)) { /* above the range of i64 the node cannot say it */
        double number = negative ? -(double)value : (double)value;
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        node->op = RL_IR_FLOAT;
        node->a = (uint32_t)bits;
        node->b = (uint32_t)(bits >> 32);
        return;
    }
    if (!rl_type_is_integer(type) && rl_type_kind(c->types, type) != RL_TYPE_PARAM) return;
    static const uint8_t bits_of[] = {8, 16, 32, 64};
    bool fits;
    if (!rl_type_is_integer(type))
        fits = value <= INT64_MAX; /* in generic code a literal is an Int that is converted */
    else if (rl_type_is_signed(type)) {
        uint64_t most = (UINT64_C(1) << (bits_of[type - RL_TYPE_I8] - 1)) - 1;
        fits = negative ? value <= most + 1 : value <= most;
    } else {
        unsigned width = bits_of[type - RL_TYPE_U8];
        fits = negative ? value == 0 : width == 64 || value <= (UINT64_C(1) << width) - 1;
    }
    if (!fits) {
        rl_report(c->diags, RL_CODE_E7101, later->span, "%s%llu does not fit %s", negative ? "-" : "",
            (unsigned long long)value, rl_show(c, type));
    }
}

static void check_match(rl_checker_t* c, const rl_later_t* later) {
    const rl_ir_node_t node = *rl_program_node(c->program, later->ir);
    rl_type_t type = rl_type_at(c, node.a);
    if (node.op != RL_IR_MATCH || type == RL_TYPE_ERROR || type == RL_TYPE_NEVER) return;
    RL_VEC(rl_match_row_t) rows = {0};
    for (uint32_t i = 0; i < node.c; i++) {
        const uint32_t* arm = rl_program_extra(c->program, node.b) + 3 * i;
        rl_match_row_t row = {arm[0], arm[1] != 0};
        if (rl_type_at(c, arm[0]) == RL_TYPE_ERROR) { /* a match with an erroneous pattern is not analysed */
            rl_vec_deinit(c->allocator, &rows);
            return;
        }
        (void)rl_vec_push(c->allocator, &rows, row);
    }
    RL_VEC(uint64_t) bits = {0};
    uint32_t words = (node.c + 63) / 64 + 1;
    rl_buf_t witnesses;
    rl_buf_init(&witnesses, c->allocator);
    if (rl_vec_reserve(c->allocator, &bits, words) && !rl_failed(c)) {
        memset(bits.data, 0, words * sizeof *bits.data);
        rl_match_report_t report = {.unreachable = bits.data, .witnesses = &witnesses};
        if (rl_check_match(&c->solver, type, rows.data, rows.count, &report)) {
            rl_list_t arms = rl_tree_node(c->tree, later->node)->b;
            for (uint32_t i = 0; i < node.c; i++) {
                if (!(bits.data[i / 64] >> (i % 64) & 1)) continue;
                rl_report(c->diags, RL_CODE_PATTERN_UNREACHABLE_ARM, rl_span_of(c, rl_tree_list_at(c->tree, arms, i)),
                    "this arm is never reached: the arms before it cover all its cases");
            }
            if (report.missing) {
                uint32_t regions = rl_region_bits(c, node.start);
                bool forbidden = regions & (1u << RL_ATTR_PURE | 1u << RL_ATTR_NO_PANIC);
                if (!forbidden) rl_node_at(c, later->ir)->flags |= RL_IR_MATCH_PARTIAL;
                rl_diag_t* diag = rl_report(c->diags, RL_CODE_PATTERN_EXHAUSTIVENESS_MISSING, later->span,
                    "the match does not cover all cases");
                if ((c->input->deny_non_exhaustive || forbidden) && diag->severity == RL_WARNING) {
                    diag->severity = RL_ERROR;
                    c->diags->errors++;
                }
                rl_str_t text = rl_buf_str(&witnesses);
                for (size_t start = 0; start < text.length;) {
                    size_t end = start;
                    while (end < text.length && text.data[end] != '\n') end++;
                    if (end > start)
                        rl_note_plain(c->diags, diag, "missing: %.*s", (int)(end - start), text.data + start);
                    start = end + 1;
                }
            }
        }
    }
    rl_buf_deinit(&witnesses);
    rl_vec_deinit(c->allocator, &bits);
    rl_vec_deinit(c->allocator, &rows);
}

static void check_let_pattern(rl_checker_t* c, const rl_later_t* later) {
    rl_type_t type = rl_type_at(c, later->ir);
    if (type == RL_TYPE_ERROR || rl_pattern_irrefutable(&c->solver, type, later->ir)) return;
    rl_report(c->diags, RL_CODE_PATTERN_LET_REFUTABLE, later->span,
        "this pattern does not match every value of type %s", rl_show(c, type));
}

void rl_finish_module(rl_checker_t* c) {
    if (rl_failed(c)) return;
    c->finishing = true;
    number_params(c);
    find_closures(c);
    patch_refs(c);
    patch_groups(c);
    number_locals(c);
    if (rl_failed(c)) return;
    finish_nodes(c);
    finish_declarations(c, c->first_param, c->first_fn, c->first_global, c->first_constraint);
    mark_tails(c);
    rl_settle_actives(c);
    rl_recheck_impls(c);
    rl_settle_regions(c);
    for (uint32_t i = 0; i < c->later.count && !rl_failed(c); i++) {
        const rl_later_t later = c->later.data[i];
        switch (later.kind) {
        case RL_LATER_LITERAL: check_literal(c, &later); break;
        case RL_LATER_MATCH: check_match(c, &later); break;
        case RL_LATER_LET: check_let_pattern(c, &later); break;
        case RL_LATER_SPEC: rl_check_spec_later(c, &later); break;
        case RL_LATER_JSON: rl_check_json_later(c, &later); break;
        }
    }
    if (!rl_failed(c)) rl_check_effects(c);
}
