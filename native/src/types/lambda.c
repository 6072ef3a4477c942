/* Functions inside functions: frames, locals and captures, lambdas, local functions, generic local values. */
#include "types/infer.h"

/* --- frames and locals -------------------------------------------------------------------------------------------- */

rl_function_t* rl_function_at(rl_checker_t* c, rl_fn_id_t fn) {
    return fn >= c->program->first_fn && fn - c->program->first_fn < c->program->functions.count
               ? &c->program->functions.data[fn - c->program->first_fn]
               : NULL;
}

rl_fn_id_t rl_new_function(rl_checker_t* c, rl_sym_t name, uint32_t flags, rl_span_t span) {
    rl_function_t function = {.name = name, .module = c->module, .kind = RL_FN_REML, .flags = flags, .span = span};
    rl_fn_id_t id = c->program->first_fn + c->program->functions.count;
    return rl_vec_push(c->allocator, &c->program->functions, function) ? id : 0;
}

uint32_t rl_frame_push(rl_checker_t* c, rl_frame_kind_t kind, rl_fn_id_t fn) {
    bool inner = rl_frame_is_inner(kind);
    rl_frame_t frame = {.fn = fn,
        .parent = inner ? c->frame : 0,
        .kind = (uint8_t)kind,
        .prologue = c->scratch.count,
        .outer_returns = c->returns.count};
    rl_function_t* function = rl_function_at(c, fn);
    if (inner && function) function->parent = c->frames.data[rl_frame_resolve(c, c->frame)].fn;
    uint32_t index = c->frames.count;
    if (!rl_vec_push(c->allocator, &c->frames, frame)) return c->frame;
    c->frame = index;
    return index;
}

uint32_t rl_frame_resolve(rl_checker_t* c, uint32_t frame) {
    while (c->frames.data[frame].merged_into) frame = c->frames.data[frame].merged_into;
    return frame;
}

uint32_t rl_new_local(rl_checker_t* c, rl_sym_t name, rl_type_t type, uint32_t flags, rl_span_t span) {
    rl_check_local_t local = {
        .name = name, .type = type, .flags = flags, .span = span, .frame = c->frame, .outer = RL_NOT_CAPTURED};
    uint32_t index = c->locals.count;
    return rl_vec_push(c->allocator, &c->locals, local) ? index : 0;
}

/* The chain of frames is walked from the outside in, so no recursion: first find the frames between, then capture
   in each. */
uint32_t rl_capture_local(rl_checker_t* c, uint32_t frame, uint32_t local) {
    uint32_t owner = c->locals.data[local].frame;
    if (owner == frame) return local;
    uint32_t mark = c->scratch.count;
    for (uint32_t at = frame; at != owner; at = c->frames.data[at].parent) {
        if (at == 0 || !rl_vec_push(c->allocator, &c->scratch, at)) {
            c->scratch.count = mark;
            return RL_NOT_CAPTURED;
        }
    }
    while (c->scratch.count > mark && local != RL_NOT_CAPTURED) {
        uint32_t at = rl_vec_pop(&c->scratch), inner;
        uint64_t key = rl_map_key2(at, local);
        bool moves = c->frames.data[at].is_move && !c->finishing && c->locals.data[local].flags & RL_LOCAL_MUTABLE;
        if (moves) key = rl_map_key2(at | 0x80000000u, local); /* beside what closures capture by reference */
        if (rl_map_get(&c->capture_map, key, &inner)) {
            local = inner;
            continue;
        }
        rl_check_local_t outer = c->locals.data[local];
        if (moves) {
            rl_moved_t moved = {.frame = at, .copy = c->locals.count, .original = local};
            rl_check_local_t copy = outer;
            copy.flags &= ~(uint32_t)(RL_LOCAL_CAPTURE | RL_LOCAL_IS_PARAM);
            copy.frame = c->frames.data[at].parent;
            copy.outer = RL_NOT_CAPTURED;
            if (!rl_vec_push(c->allocator, &c->locals, copy) || !rl_vec_push(c->allocator, &c->moved, moved)) {
                local = RL_NOT_CAPTURED;
                break;
            }
            local = moved.copy;
        }
        rl_check_local_t made = {.name = outer.name,
            .type = outer.type,
            .flags = (outer.flags & RL_LOCAL_MUTABLE) | RL_LOCAL_CAPTURE,
            .span = outer.span,
            .frame = at,
            .outer = local};
        inner = c->locals.count;
        rl_capture_t capture = {inner, local, 0};
        uint32_t id = c->captures.count;
        if (!rl_vec_push(c->allocator, &c->locals, made) || !rl_vec_push(c->allocator, &c->captures, capture)) {
            local = RL_NOT_CAPTURED;
            break;
        }
        rl_frame_t* f = &c->frames.data[at];
        if (f->capture_tail) c->captures.data[f->capture_tail].next = id;
        else f->capture_head = id;
        f->capture_tail = id;
        f->capture_count++;
        (void)rl_map_put(c->allocator, &c->capture_map, key, inner);
        local = inner;
    }
    c->scratch.count = mark;
    return local;
}

rl_ir_t rl_read_local(rl_checker_t* c, uint32_t local, uint32_t start) {
    rl_type_t type = c->locals.data[local].type;
    uint32_t own = rl_capture_local(c, c->frame, local);
    if (own == RL_NOT_CAPTURED) {
        rl_str_t name = rl_text(c, c->locals.data[local].name);
        if (!rl_failed(c))
            rl_unsupported(c, (rl_span_t){start, start + (uint32_t)name.length},
                "default values of local functions that use local names are");
        return rl_ir_error(c, start);
    }
    return rl_ir_make(c, RL_IR_LOCAL, type, start, own, 0, 0);
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

/* Everything between frame_push and here is the frame's; its RETURNs that no defer stands around are tail positions. */
void rl_frame_pop(rl_checker_t* c) {
    rl_frame_t* frame = &c->frames.data[c->frame];
    while (c->returns.count > frame->outer_returns) {
        rl_ir_t value = rl_node_at(c, rl_vec_pop(&c->returns))->a;
        if (value) (void)rl_vec_push(c->allocator, &c->tails, value);
    }
    c->scratch.count = frame->prologue;
}

void rl_set_params(rl_checker_t* c, rl_fn_id_t fn, const uint32_t* nodes, uint32_t count, const rl_type_t* types) {
    rl_program_t* program = c->program;
    rl_function_t* function = rl_function_at(c, fn);
    if (!function) return;
    function->param_first = program->first_param + program->params.count;
    for (uint32_t i = 0; i < count; i++) {
        rl_sym_t name = 0;
        if (nodes) {
            const rl_node_data_t* pattern = rl_tree_node(c->tree, rl_tree_node(c->tree, nodes[i])->a);
            if (pattern->kind == RL_NODE_PAT_NAME) name = pattern->a;
        }
        rl_param_t param = {.name = name, .type = types[i]};
        function->param_count += rl_vec_push(c->allocator, &program->params, param);
    }
}

void rl_check_params(rl_checker_t* c, const uint32_t* params, uint32_t count, const rl_type_t* expected,
    uint32_t expected_count, rl_type_t* out_types) {
    /* All parameters first: they are the first locals of the function. `out_types` may alias `expected`. */
    uint32_t first = c->locals.count;
    for (uint32_t i = 0; i < count; i++) {
        const rl_node_data_t data = *rl_tree_node(c->tree, params[i]);
        const rl_node_data_t pattern = *rl_tree_node(c->tree, data.a);
        rl_type_t type = i < expected_count ? expected[i] : rl_fresh(c, rl_span_of(c, params[i]));
        out_types[i] = type;
        bool named = pattern.kind == RL_NODE_PAT_NAME && !(pattern.flags & RL_MUT) &&
                     !(data.flags & RL_MUT && !(data.flags & RL_REF));
        rl_span_t span = data.a ? rl_span_of(c, data.a) : rl_span_of(c, params[i]);
        rl_new_local(c, named ? pattern.a : 0, type, RL_LOCAL_IS_PARAM, span);
    }
    if (rl_failed(c)) return;
    uint32_t scope = c->bindings.count;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        const rl_node_data_t data = *rl_tree_node(c->tree, params[i]);
        const rl_node_data_t pattern = *rl_tree_node(c->tree, data.a);
        rl_sym_t name = c->locals.data[first + i].name;
        rl_span_t span = c->locals.data[first + i].span;
        if (pattern.kind == RL_NODE_PAT_NAME) {
            for (uint32_t k = scope; k < c->bindings.count; k++) {
                if (c->bindings.data[k].name != pattern.a) continue;
                rl_str_t text = rl_text(c, pattern.a);
                rl_report(
                    c->diags, RL_CODE_PATTERN_BINDING_DUPLICATE_NAME, span, "%.*s is bound twice", RL_STR_ARG(text));
                break;
            }
        }
        if (name) {
            rl_bind(c, name, RL_BOUND_LOCAL, first + i);
        } else if (pattern.kind == RL_NODE_PAT_NAME) { /* mutable: a variable of its own, which may be boxed */
            uint32_t local = rl_new_local(c, pattern.a, out_types[i], RL_LOCAL_MUTABLE, span);
            rl_ir_t value = rl_read_local(c, first + i, span.start);
            rl_ir_t bind = rl_ir_make(c, RL_IR_BIND, RL_TYPE_UNIT, span.start, local, value, 0);
            (void)rl_vec_push(c->allocator, &c->scratch, bind);
            rl_bind(c, pattern.a, RL_BOUND_LOCAL, local);
        } else if (pattern.kind != RL_NODE_PAT_WILD && data.a) {
            rl_ir_t made = rl_check_irrefutable(c, data.a, out_types[i], 0);
            rl_ir_t value = rl_read_local(c, first + i, span.start);
            rl_ir_t let = rl_ir_make(c, RL_IR_LET, RL_TYPE_UNIT, span.start, made, value, 0);
            (void)rl_vec_push(c->allocator, &c->scratch, let);
        }
    }
}

/* LANGUAGE 5.8 rule 3: a function with `?` whose body ends with () answers Ok(()) or Some(()). */
rl_ir_t rl_lift_unit(rl_checker_t* c, rl_ir_t ir, rl_type_t expected) {
    const rl_frame_t* frame = &c->frames.data[rl_home_frame(c)];
    rl_type_t payload;
    const rl_known_t* known = &c->program->known;
    if (!frame->has_try || rl_head(c, rl_type_at(c, ir)) != RL_TYPE_UNIT) return ir;
    if (!rl_is_named(c, expected, known->option, &payload, NULL) &&
        !rl_is_named(c, expected, known->result, &payload, NULL))
        return ir;
    if (rl_unify(&c->solver, payload, RL_TYPE_UNIT) != RL_UNIFY_OK) return ir;
    uint32_t start = rl_program_node(c->program, ir)->start;
    rl_ir_t unit = rl_ir_unit(c, start);
    bool option = rl_named_id(c, expected) == known->option;
    rl_sym_t name = option ? c->sym_some : c->sym_ok;
    rl_typedef_t def = *rl_program_typedef(c->program, option ? known->option : known->result);
    uint32_t tag = rl_program_variant(c->program, def.variant_first)->name == name ? 0 : 1;
    rl_ir_t lifted = rl_make_variant(c, rl_head(c, expected), tag, &unit, 1, start);
    return rl_ir_make(c, RL_IR_SEQUENCE, rl_head(c, expected), start, ir, lifted, 0);
}

/* The expression whose value a body has: the last one of a block that does not drop it. */
static rl_node_t value_of(const rl_checker_t* c, rl_node_t body) {
    while (rl_tree_kind(c->tree, body) == RL_NODE_BLOCK && !rl_tree_has(c->tree, body, RL_DISCARD)) {
        rl_list_t list = rl_tree_node(c->tree, body)->a;
        uint32_t count = rl_tree_list_count(c->tree, list);
        if (count == 0) break;
        body = rl_tree_list_at(c->tree, list, count - 1);
    }
    return body;
}

void rl_check_body(rl_checker_t* c, rl_node_t body) {
    uint32_t index = c->frame;
    rl_frame_t frame = c->frames.data[index];
    rl_span_t span = rl_span_of(c, body);
    rl_ir_t ir;
    c->tail = true;
    rl_type_t value;
    if (frame.is_async_fn && rl_is_named(c, frame.result, c->program->known.future, &value, NULL)) {
        const rl_function_t* made = rl_function_at(c, frame.fn);
        ir = rl_check_async(c, body, made ? made->name : 0, span, true, value, frame.result_known);
    } else if (frame.result_known) {
        ir = rl_check_expr(c, body, frame.result, RL_CODE_TYPE_MISMATCH);
    } else {
        ir = rl_infer_expr(c, body, 0);
        ir = rl_lift_unit(c, ir, frame.result);
        rl_var_t* open = rl_var_of(c, frame.result);
        if (rl_head(c, rl_type_at(c, ir)) == RL_TYPE_NEVER && open && open->klass == RL_VAR_FREE &&
            frame.kind == RL_FRAME_FN) {
            rl_solver_bind(&c->solver, frame.result, RL_TYPE_NEVER);
        } else {
            ir = rl_convert(c, ir, frame.result, rl_span_of(c, value_of(c, body)), RL_CODE_TYPE_MISMATCH);
        }
    }
    (void)rl_vec_push(c->allocator, &c->tails, ir);
    if (c->scratch.count > frame.prologue && !rl_failed(c)) {
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
        ir = rl_ir_block(c, rl_type_at(c, ir), span.start, c->scratch.data + frame.prologue,
            c->scratch.count - frame.prologue, RL_IR_BLOCK_VALUE);
    }
    rl_function_t* function = rl_function_at(c, frame.fn);
    if (function) {
        function->body = ir;
        function->result = frame.result;
    }
}

/* --- lambdas ------------------------------------------------------------------------------------------------------ */

rl_ir_t rl_lambda_value(rl_checker_t* c, rl_fn_id_t fn, rl_type_t type, uint32_t start) {
    rl_ir_t node = rl_ir_make(c, RL_IR_CLOSURE, type, start, fn, 0, 0);
    (void)rl_vec_push(c->allocator, &c->lambda_nodes, node);
    return node;
}

/* Types of parameters written or expected, on the scratch stack; answers where they begin. */
static uint32_t push_param_types(
    rl_checker_t* c, const uint32_t* params, uint32_t count, const rl_type_t* expected, uint32_t expected_count) {
    uint32_t mark = c->scratch.count;
    uint8_t implicit = c->implicit_params;
    c->implicit_params = 2;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t written = rl_tree_node(c->tree, params[i])->b;
        rl_type_t type = written              ? rl_resolve_type(c, written)
                         : i < expected_count ? expected[i]
                                              : rl_fresh(c, rl_span_of(c, params[i]));
        (void)rl_vec_push(c->allocator, &c->scratch, type);
    }
    c->implicit_params = implicit;
    return mark;
}

/* Frame, parameters and body of a lambda; answers its function type. `result` 0: not known. */
static rl_type_t check_function_body(rl_checker_t* c, rl_fn_id_t fn, uint32_t frame, const uint32_t* params,
    uint32_t count, uint32_t types, rl_type_t result, bool result_known, rl_node_t body) {
    uint32_t scope = rl_scope_open(c);
    c->frames.data[frame].result = result;
    c->frames.data[frame].result_known = result_known;
    c->frames.data[frame].prologue = c->scratch.count;
    rl_type_t type = RL_TYPE_ERROR;
    rl_words_mark_t words = rl_words_mark(c);
    rl_type_t* own = rl_words(c, count);
    if (own) {
        if (count) memcpy(own, c->scratch.data + types, count * sizeof *own);
        rl_check_params(c, params, count, own, count, own);
        rl_check_body(c, body);
        type = rl_type_function(c->types, own, count, result);
        if (rl_function_at(c, fn) && !rl_function_at(c, fn)->param_first) rl_set_params(c, fn, params, count, own);
    }
    rl_words_release(c, words);
    rl_scope_close(c, scope);
    return type;
}

/* `|x| -> T ! {…} body`: the set is that of the lambda. */
void rl_note_lambda_effects(rl_checker_t* c, rl_fn_id_t fn, rl_node_t lambda) {
    const rl_node_data_t* result = rl_tree_node(c->tree, rl_tree_node(c->tree, lambda)->b);
    if (result->kind != RL_NODE_TYPE_EFFECTS || !rl_function_at(c, fn)) return;
    rl_node_t written = result->b;
    rl_effects_t effects = rl_resolve_effects(c, written);
    rl_function_at(c, fn)->declared = effects;
    rl_note_contract(c, fn, lambda, written, 0);
}

static rl_type_t check_lambda_into(
    rl_checker_t* c, rl_node_t node, rl_type_t expected, rl_fn_id_t fn, uint32_t* out_frame) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t count;
    const uint32_t* list = rl_tree_list(c->tree, data.a, &count);
    /* the tree may grow (format) while the body is checked: keep the parameters */
    uint32_t mark = c->scratch.count, outer = c->frame;
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, list[i]);
    if (rl_failed(c)) {
        c->scratch.count = mark;
        return RL_TYPE_ERROR;
    }
    rl_type_t head = expected ? rl_head(c, expected) : 0;
    uint32_t expected_count = 0;
    rl_type_t expected_result = 0;
    uint32_t expected_at = c->scratch.count;
    if (expected && rl_type_kind(c->types, head) == RL_TYPE_FUNCTION && rl_arg_count_of(c, head) == count) {
        expected_count = count;
        for (uint32_t i = 0; i <= count; i++)
            (void)rl_vec_push(c->allocator, &c->scratch, rl_type_args(c->types, head)[i]);
        if (rl_failed(c)) return RL_TYPE_ERROR;
        expected_result = c->scratch.data[expected_at + count];
    }
    uint32_t loops = c->loops.count;
    uint32_t frame = rl_frame_push(c, RL_FRAME_LAMBDA, fn);
    uint32_t types;
    {
        rl_words_mark_t words = rl_words_mark(c);
        uint32_t* params = rl_words(c, count + expected_count);
        if (!params) return RL_TYPE_ERROR;
        rl_type_t* wanted = params + count;
        if (count) memcpy(params, c->scratch.data + mark, count * sizeof *params);
        if (expected_count) memcpy(wanted, c->scratch.data + expected_at, expected_count * sizeof *wanted);
        types = push_param_types(c, params, count, wanted, expected_count);
        rl_type_t result, type = RL_TYPE_ERROR;
        bool known = false;
        if (data.b) {
            uint8_t implicit = c->implicit_params;
            c->implicit_params = 2;
            result = rl_resolve_type(c, data.b);
            c->implicit_params = implicit;
            known = true;
            rl_note_lambda_effects(c, fn, node);
        } else if (expected_result) {
            result = expected_result;
            known = !rl_is_var(c, result);
        } else {
            result = rl_fresh(c, rl_span_of(c, node));
        }
        if (!rl_failed(c)) type = check_function_body(c, fn, frame, params, count, types, result, known, data.c);
        rl_words_release(c, words);
        rl_frame_pop(c);
        c->frame = outer;
        c->loops.count = loops;
        c->scratch.count = mark;
        *out_frame = frame;
        return type;
    }
}

rl_ir_t rl_check_lambda(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    rl_span_t span = rl_span_of(c, node);
    rl_fn_id_t fn = rl_new_function(c, 0, RL_FN_LAMBDA, span);
    uint32_t frame;
    rl_type_t type = check_lambda_into(c, node, expected, fn, &frame);
    if (rl_failed(c)) return rl_ir_error(c, span.start);
    return rl_lambda_value(c, fn, type, span.start);
}

/* --- local functions ---------------------------------------------------------------------------------------------- */

static uint32_t new_local_fn(
    rl_checker_t* c, rl_sym_t name, rl_fn_id_t fn, rl_type_t type, uint32_t group, rl_ir_t group_node, rl_span_t span) {
    rl_local_fn_t entry = {.fn = fn, .parent = c->frame, .type = type, .group = group, .group_node = group_node};
    entry.local = rl_new_local(c, name, type, 0, span);
    uint32_t index = c->local_fns.count;
    return rl_vec_push(c->allocator, &c->local_fns, entry) ? index : 0;
}

/* Member of the group [first, first + count) that the code of `frame` belongs to, or count. */
static uint32_t member_of(rl_checker_t* c, uint32_t frame, uint32_t first, uint32_t count) {
    for (; frame; frame = c->frames.data[frame].parent) {
        uint32_t local_fn = c->frames.data[frame].local_fn;
        if (local_fn && local_fn - 1 >= first && local_fn - 1 - first < count) return local_fn - 1 - first;
    }
    return count;
}

typedef struct param_range {
    uint32_t first, count;
    bool found;
} param_range_t;

static rl_type_t look_for_params(rl_checker_t* c, void* user, uint32_t index) {
    param_range_t* range = user;
    uint32_t at = index - RL_LOCAL_PARAM_BASE;
    if (index >= RL_LOCAL_PARAM_BASE && at >= range->first && at - range->first < range->count) range->found = true;
    return rl_type_param(c->types, index);
}

/* Members whose type, and the types of the members they call, hold none of the group's type parameters are not
   generic. */
static void settle_generic_members(rl_checker_t* c, uint32_t first, uint32_t count, uint32_t first_ref) {
    for (uint32_t i = 0; i < count; i++) {
        rl_local_fn_t* fn = &c->local_fns.data[first + i];
        param_range_t range = {fn->param_first, fn->param_count, false};
        (void)rl_map_params(c, fn->type, look_for_params, &range);
        c->local_fns.data[first + i].is_generic = range.found;
    }
    for (bool changed = true; changed;) {
        changed = false;
        uint32_t refs = c->local_refs.count - first_ref;
        for (uint32_t at = 0; at < 2 * refs; at++) { /* to and fro */
            uint32_t i = first_ref + (at < refs ? at : 2 * refs - 1 - at);
            const rl_local_ref_t ref = c->local_refs.data[i];
            if (ref.local_fn < first || ref.local_fn - first >= count || !c->local_fns.data[ref.local_fn].is_generic)
                continue;
            uint32_t member = member_of(c, ref.frame, first, count);
            if (member == count || c->local_fns.data[first + member].is_generic) continue;
            c->local_fns.data[first + member].is_generic = changed = true;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        rl_local_fn_t* fn = &c->local_fns.data[first + i];
        if (fn->is_generic) continue;
        fn->param_count = 0;
        c->frames.data[fn->frame].own_params = 0;
    }
}

/* After the bodies of a group: generalise over what is its own. */
static void finish_group(
    rl_checker_t* c, uint32_t first, uint32_t count, uint16_t level, uint32_t first_pending, uint32_t first_ref) {
    c->solver.level = level;
    uint32_t mark = c->scratch.count, param_first = 0, params = 0;
    for (uint32_t i = 0; i < count; i++)
        (void)rl_vec_push(c->allocator, &c->scratch, c->local_fns.data[first + i].type);
    if (rl_failed(c)) return;
    rl_poll_pendings(c);
    rl_poll_demands(c);
    if (rl_pendings_wait(c, first_pending)) {
        for (uint32_t i = 0; i < count; i++) rl_lower_levels(c, c->local_fns.data[first + i].type, level);
    } else {
        params = rl_generalise_local(c, c->scratch.data + mark, count, level, true, &param_first);
    }
    for (uint32_t i = 0; i < count; i++) {
        rl_local_fn_t* fn = &c->local_fns.data[first + i];
        fn->param_first = param_first;
        fn->param_count = params;
        fn->group = 0;
        c->frames.data[fn->frame].own_params = params;
        fn->type = rl_solver_zonk(&c->solver, fn->type);
        c->locals.data[fn->local].type = fn->type;
    }
    if (params && count > 1) settle_generic_members(c, first, count, first_ref);
    c->scratch.count = mark;
}

/* Signature of a local function: its own type parameters are variables that will be generalised. */
static rl_type_t local_signature(
    rl_checker_t* c, rl_node_t node, rl_fn_id_t fn, uint32_t generic_mark, bool* out_known) {
    rl_fn_decl_t decl = rl_tree_fn(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, decl.params), mark = c->scratch.count;
    (void)generic_mark;
    uint32_t generics = rl_tree_list_count(c->tree, decl.generics);
    for (uint32_t i = 0; i < generics; i++) {
        rl_node_t generic = rl_tree_list_at(c->tree, decl.generics, i);
        rl_generic_name_t entry = {rl_tree_node(c->tree, generic)->a, rl_fresh(c, rl_span_of(c, generic))};
        (void)rl_vec_push(c->allocator, &c->generics, entry);
    }
    uint32_t first_generic = c->generics.count - generics;
    for (uint32_t i = 0; i < generics && !rl_failed(c); i++) {
        rl_node_t generic = rl_tree_list_at(c->tree, decl.generics, i);
        rl_push_bounds(c, c->generics.data[first_generic + i].type, rl_tree_node(c->tree, generic)->b);
    }
    uint8_t implicit = c->implicit_params;
    c->implicit_params = 2;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t param = rl_tree_list_at(c->tree, decl.params, i);
        const rl_node_data_t data = *rl_tree_node(c->tree, param);
        rl_type_t type = data.b ? rl_resolve_type(c, data.b) : rl_fresh(c, rl_span_of(c, param));
        (void)rl_vec_push(c->allocator, &c->scratch, type);
    }
    rl_type_t result = decl.result ? rl_resolve_type(c, decl.result) : rl_fresh(c, rl_span_of(c, node));
    if (rl_tree_has(c->tree, node, RL_ASYNC)) result = rl_future_of(c, result, rl_span_of(c, node));
    rl_push_where(c, decl.where_);
    c->implicit_params = implicit;
    *out_known = decl.result != 0;
    rl_type_t type = RL_TYPE_ERROR;
    if (!rl_failed(c)) {
        rl_program_t* program = c->program;
        type = rl_type_function(c->types, c->scratch.data + mark, count, result);
        uint32_t first = program->first_param + program->params.count;
        for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
            rl_node_t param = rl_tree_list_at(c->tree, decl.params, i);
            const rl_node_data_t data = *rl_tree_node(c->tree, param);
            const rl_node_data_t pattern = *rl_tree_node(c->tree, data.a);
            rl_param_t entry = {
                .name = pattern.kind == RL_NODE_PAT_NAME ? pattern.a : 0, .type = c->scratch.data[mark + i]};
            (void)rl_vec_push(c->allocator, &program->params, entry);
        }
        rl_function_t* function = rl_function_at(c, fn);
        if (function) {
            function->param_first = first;
            function->param_count = count;
            function->result = result;
        }
    }
    c->scratch.count = mark;
    return type;
}

static void local_defaults(rl_checker_t* c, rl_node_t node, rl_fn_id_t fn) {
    rl_program_t* program = c->program;
    rl_fn_decl_t decl = rl_tree_fn(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, decl.params), outer = c->frame;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t value = rl_tree_node(c->tree, rl_tree_list_at(c->tree, decl.params, i))->c;
        if (!value) continue;
        uint32_t first = rl_function_at(c, fn)->param_first;
        rl_fn_id_t made = rl_new_function(c, rl_function_at(c, fn)->name, RL_FN_DEFAULT, rl_span_of(c, value));
        if (!made) return;
        rl_type_t type = rl_program_param(program, first + i)->type;
        uint32_t frame = rl_frame_push(c, RL_FRAME_DEFAULT, made);
        c->frames.data[frame].result = type;
        c->frames.data[frame].result_known = true;
        rl_function_at(c, made)->param_first = first;
        rl_function_at(c, made)->param_count = i;
        rl_function_at(c, made)->parent = rl_function_at(c, fn)->parent;
        uint32_t scope = rl_scope_open(c);
        for (uint32_t k = 0; k < i; k++) {
            rl_param_t param = *rl_program_param(program, first + k);
            rl_bind(c, param.name, RL_BOUND_LOCAL,
                rl_new_local(c, param.name, param.type, RL_LOCAL_IS_PARAM, rl_span_of(c, value)));
        }
        rl_check_body(c, value);
        rl_scope_close(c, scope);
        rl_frame_pop(c);
        c->frame = outer;
        program->params.data[first + i - program->first_param].default_fn = made;
    }
}

void rl_check_local_fns(rl_checker_t* c, const uint32_t* nodes, uint32_t count, rl_ir_t* out_node) {
    uint16_t level = c->solver.level;
    uint32_t first = c->local_fns.count, first_pending = c->pendings.count, first_ref = c->local_refs.count,
             generics = c->generics.count, outer = c->frame;
    uint32_t group = ++c->group_count;
    rl_ir_t group_node = rl_ir_unit(c, rl_tree_node(c->tree, nodes[0])->start);
    *out_node = group_node;
    c->solver.level = (uint16_t)(level + 1);
    RL_VEC(uint32_t) own = {0}; /* of each: its first name among generics, the end, the bounds of each */
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_fn_decl_t decl = rl_tree_fn(c->tree, nodes[i]);
        rl_node_t name_node = rl_tree_list_at(c->tree, decl.path, rl_tree_list_count(c->tree, decl.path) - 1);
        rl_sym_t name = rl_tree_name(c->tree, name_node);
        rl_span_t span = rl_span_of(c, name_node);
        if (rl_tree_list_count(c->tree, decl.path) > 1)
            rl_unsupported(c, span, "functions of a type inside a block are");
        if (!decl.body) rl_unsupported(c, span, "functions without body inside a block are");
        rl_fn_id_t fn = rl_new_function(c, name, 0, span);
        uint32_t generic_mark = c->generics.count;
        bool known;
        rl_type_t type = local_signature(c, nodes[i], fn, generic_mark, &known);
        rl_effects_t declared = rl_resolve_effects(c, decl.effects);
        if (fn) {
            rl_function_at(c, fn)->declared = declared;
            rl_note_contract(c, fn, nodes[i], decl.effects, decl.attrs);
        }
        (void)rl_vec_push(c->allocator, &own, generic_mark);
        (void)rl_vec_push(c->allocator, &own, c->generics.count);
        for (uint32_t k = generic_mark; k < c->generics.count; k++)
            (void)rl_vec_push(c->allocator, &own, rl_written_kinds(c, c->generics.data[k].type));
        uint32_t index = new_local_fn(c, name, fn, type, group, group_node, span);
        rl_bind(c, name, RL_BOUND_LOCAL_FN, index);
    }
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_fn_decl_t decl = rl_tree_fn(c->tree, nodes[i]);
        rl_local_fn_t entry = c->local_fns.data[first + i];
        uint32_t params = rl_tree_list_count(c->tree, decl.params), mark = c->scratch.count, loops = c->loops.count;
        uint32_t frame = rl_frame_push(c, RL_FRAME_LAMBDA, entry.fn);
        c->frames.data[frame].local_fn = first + i + 1;
        c->frames.data[frame].is_async_fn = rl_tree_has(c->tree, nodes[i], RL_ASYNC);
        c->local_fns.data[first + i].frame = frame;
        const uint32_t* list = rl_tree_list(c->tree, decl.params, &params);
        RL_VEC(uint32_t) copy = {0};
        for (uint32_t k = 0; k < params; k++) (void)rl_vec_push(c->allocator, &copy, list[k]);
        uint32_t types = c->scratch.count;
        for (uint32_t k = 0; k <= params; k++)
            (void)rl_vec_push(c->allocator, &c->scratch, rl_type_args(c->types, entry.type)[k]);
        if (!rl_failed(c) && decl.body && rl_type_kind(c->types, entry.type) == RL_TYPE_FUNCTION) {
            check_function_body(c, entry.fn, frame, copy.data, params, types, c->scratch.data[types + params],
                decl.result != 0, decl.body);
        }
        rl_vec_deinit(c->allocator, &copy);
        rl_frame_pop(c);
        c->frame = outer;
        c->loops.count = loops;
        c->scratch.count = mark;
        if (!rl_failed(c)) local_defaults(c, nodes[i], entry.fn);
    }
    if (!rl_failed(c)) {
        bool waits = rl_pendings_wait(c, first_pending);
        finish_group(c, first, c->local_fns.count - first < count ? 0 : count, level, first_pending, first_ref);
        for (uint32_t i = 0, at = 0; i < count && !waits && !rl_failed(c); i++) {
            uint32_t from = own.data[at], to = own.data[at + 1];
            rl_check_written(c, from, to, own.data + at + 2, first + i,
                rl_program_function(c->program, c->local_fns.data[first + i].fn)->span);
            at += 2 + to - from;
        }
    }
    rl_vec_deinit(c->allocator, &own);
    c->generics.count = generics;
    c->solver.level = level;
}

rl_ir_t rl_check_let_lambda(rl_checker_t* c, rl_sym_t name, rl_span_t span, rl_node_t lambda, rl_type_t annotation) {
    uint16_t level = c->solver.level;
    uint32_t first_pending = c->pendings.count;
    rl_ir_t group_node = rl_ir_unit(c, span.start);
    rl_fn_id_t fn = rl_new_function(c, 0, RL_FN_LAMBDA, rl_span_of(c, lambda));
    c->solver.level = (uint16_t)(level + 1);
    uint32_t frame = 0;
    rl_type_t type = check_lambda_into(c, lambda, annotation, fn, &frame);
    if (annotation) rl_unify_at(c, annotation, type, rl_span_of(c, lambda), RL_CODE_TYPE_MISMATCH);
    rl_type_t written = annotation ? rl_head(c, annotation) : 0;
    if (written && rl_type_kind(c->types, written) == RL_TYPE_FUNCTION && rl_type_node(c->types, written)->a &&
        rl_function_at(c, fn)) {
        rl_function_at(c, fn)->declared = rl_type_node(c->types, written)->a;
        rl_note_contract(c, fn, lambda, lambda, 0);
    }
    uint32_t index = new_local_fn(c, name, fn, type, 0, group_node, span);
    if (rl_failed(c)) {
        c->solver.level = level;
        return group_node;
    }
    c->local_fns.data[index].frame = frame;
    c->local_fns.data[index].is_lambda = true;
    c->frames.data[frame].local_fn = index + 1;
    finish_group(c, index, 1, level, first_pending, c->local_refs.count);
    rl_bind(c, name, RL_BOUND_LOCAL_FN, index);
    return group_node;
}

rl_ir_t rl_local_fn_use(rl_checker_t* c, uint32_t local_fn, uint32_t start, bool is_call, rl_type_t* out_type) {
    rl_local_fn_t entry = c->local_fns.data[local_fn];
    rl_local_ref_t ref = {.local_fn = local_fn, .frame = c->frame, .is_call = is_call};
    rl_type_t type = entry.type;
    if (entry.group == 0 && entry.param_count)
        type = rl_instantiate_local(c, &entry, (rl_span_t){start, start}, &ref.args);
    ref.node = rl_ir_make(c, RL_IR_CLOSURE, type, start, entry.fn, 0, 0);
    (void)rl_vec_push(c->allocator, &c->local_refs, ref);
    *out_type = type;
    return ref.node;
}

/* --- generic values ----------------------------------------------------------------------------------------------- */

rl_ir_t rl_check_maybe_generic(
    rl_checker_t* c, rl_sym_t name, rl_span_t span, rl_node_t value, rl_fn_id_t* out_fn, uint32_t* out_frame) {
    uint16_t level = c->solver.level;
    uint32_t outer = c->frame, first_pending = c->pendings.count;
    *out_fn = 0;
    rl_fn_id_t fn = rl_new_function(c, name, RL_FN_THUNK, span);
    c->solver.level = (uint16_t)(level + 1);
    uint32_t frame = rl_frame_push(c, RL_FRAME_THUNK, fn);
    rl_ir_t ir = rl_infer_expr(c, value, 0);
    c->frame = outer;
    c->solver.level = level;
    rl_type_t type = rl_type_at(c, ir);
    *out_frame = frame;
    if (rl_failed(c)) return ir;
    rl_poll_pendings(c);
    bool generic = false;
    if (!rl_pendings_wait(c, first_pending)) {
        rl_type_list_t vars = {{0}};
        (void)rl_solver_open_vars(&c->solver, type, &vars);
        for (uint32_t i = 0; i < vars.items.count; i++) {
            const rl_var_t* var = rl_solver_var(&c->solver, vars.items.data[i]);
            generic |= var && var->level > level && var->klass == RL_VAR_FREE && var->origin != RL_FROM_EMPTY_LIST &&
                       var->origin != RL_FROM_EMPTY_MAP;
        }
        rl_vec_deinit(c->allocator, &vars.items);
    }
    if (generic) {
        *out_fn = fn;
        rl_function_at(c, fn)->body = ir;
        return ir;
    }
    rl_lower_levels(c, type, level);
    c->frames.data[frame].merged_into = outer;
    return ir;
}

rl_ir_t rl_check_let_thunk(rl_checker_t* c, rl_sym_t name, rl_span_t span, rl_node_t value, bool* out_generic) {
    rl_fn_id_t fn;
    uint32_t frame;
    rl_ir_t ir = rl_check_maybe_generic(c, name, span, value, &fn, &frame);
    *out_generic = fn != 0;
    if (!fn || rl_failed(c)) return ir;
    rl_type_t type = rl_type_at(c, ir);
    uint32_t param_first, params = rl_generalise_local(c, &type, 1, c->solver.level, false, &param_first);
    type = rl_solver_zonk(&c->solver, type);
    rl_function_at(c, fn)->result = type;
    rl_ir_t group_node = rl_ir_unit(c, span.start);
    uint32_t index = new_local_fn(c, name, fn, type, 0, group_node, span);
    if (rl_failed(c)) return ir;
    rl_local_fn_t* entry = &c->local_fns.data[index];
    entry->frame = frame;
    entry->is_thunk = true;
    entry->param_first = param_first;
    entry->param_count = params;
    c->frames.data[frame].own_params = params;
    c->frames.data[frame].local_fn = index + 1;
    rl_bind(c, name, RL_BOUND_LOCAL_FN, index);
    return group_node;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

/* Are all parameters of a type fixed by the payload of this constructor? */
static bool payload_fixes_all(rl_checker_t* c, uint32_t item) {
    const rl_item_t entry = *rl_program_item(c->program, item);
    const rl_typedef_t def = *rl_program_typedef(c->program, entry.id);
    const rl_variant_t variant = *rl_program_variant(c->program, def.variant_first + entry.variant);
    uint32_t direct = 0;
    for (uint32_t p = 0; p < def.type_params; p++) {
        for (uint32_t i = 0; i < variant.field_count; i++) {
            if (rl_program_field(c->program, variant.field_first + i)->type != rl_type_param(c->types, p)) continue;
            direct++;
            break;
        }
    }
    return direct == def.type_params;
}

/*
 * Is the expression a value (LANGUAGE 4.4)? *out_may_generalise: something in it could have a type that is more general
 * than one type. Nests at most as deep as the parser allows; shapes that are no values end the walk.
 */
static bool is_value(rl_checker_t* c, rl_node_t node, bool* out_may_generalise, unsigned depth) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    if (depth > 64) return false;
    switch (data.kind) {
    case RL_NODE_INT:
    case RL_NODE_FLOAT:
    case RL_NODE_CHAR:
    case RL_NODE_STRING:
    case RL_NODE_BOOL:
    case RL_NODE_UNIT: return true;
    case RL_NODE_PAREN: return is_value(c, data.a, out_may_generalise, depth + 1);
    case RL_NODE_LAMBDA: *out_may_generalise = true; return true;
    case RL_NODE_UNARY: {
        rl_node_kind_t operand = rl_tree_kind(c->tree, data.a);
        return data.flags == RL_UN_NEG && (operand == RL_NODE_INT || operand == RL_NODE_FLOAT);
    }
    case RL_NODE_EMPTY: return true;
    case RL_NODE_NAME: {
        const rl_binding_t* binding = rl_find_binding(c, data.a);
        if (binding) {
            if (binding->kind == RL_BOUND_LOCAL_FN) *out_may_generalise = true;
            return true;
        }
        uint32_t item = rl_find_item(c, 1, data.a);
        if (!item) return true;
        const rl_item_t entry = *rl_program_item(c->program, item);
        if (entry.kind == RL_ITEM_FUNCTION) *out_may_generalise = true;
        if (entry.kind == RL_ITEM_VARIANT && rl_program_typedef(c->program, entry.id)->type_params)
            *out_may_generalise = true;
        return true;
    }
    case RL_NODE_FIELD: { /* a path to a function or constructor */
        rl_node_t left = data.a;
        if (rl_tree_kind(c->tree, left) != RL_NODE_NAME || rl_find_binding(c, rl_tree_name(c->tree, left)) ||
            !rl_tree_has(c->tree, left, RL_UPPER))
            return false;
        *out_may_generalise = true;
        return true;
    }
    case RL_NODE_TUPLE:
    case RL_NODE_LIST: {
        uint32_t count = rl_tree_list_count(c->tree, data.a);
        for (uint32_t i = 0; i < count; i++) {
            if (!is_value(c, rl_tree_list_at(c->tree, data.a, i), out_may_generalise, depth + 1)) return false;
        }
        return true;
    }
    case RL_NODE_MAP: {
        uint32_t count = rl_tree_list_count(c->tree, data.a);
        for (uint32_t i = 1; i < count; i += 2) {
            if (!is_value(c, rl_tree_list_at(c->tree, data.a, i), out_may_generalise, depth + 1)) return false;
        }
        return true;
    }
    case RL_NODE_RECORD: {
        uint32_t count = rl_tree_list_count(c->tree, data.b);
        if (data.a) {
            if (rl_tree_kind(c->tree, data.a) != RL_NODE_NAME) return false;
            uint32_t type = rl_find_type_item(c, rl_tree_name(c->tree, data.a));
            if (type && rl_program_typedef(c->program, rl_program_item(c->program, type)->id)->kind == RL_DEF_STRUCT)
                return false;
        }
        for (uint32_t i = 0; i < count; i++) {
            const rl_node_data_t item = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.b, i));
            if (!is_value(c, item.kind == RL_NODE_SPREAD ? item.a : item.b, out_may_generalise, depth + 1))
                return false;
        }
        return true;
    }
    case RL_NODE_CALL: { /* a constructor applied to values */
        if (rl_tree_kind(c->tree, data.a) != RL_NODE_NAME || rl_find_binding(c, rl_tree_name(c->tree, data.a)))
            return false;
        uint32_t item = rl_find_item(c, 1, rl_tree_name(c->tree, data.a));
        if (!item || rl_program_item(c->program, item)->kind != RL_ITEM_VARIANT) return false;
        if (!payload_fixes_all(c, item)) *out_may_generalise = true;
        uint32_t count = rl_tree_list_count(c->tree, data.b);
        for (uint32_t i = 0; i < count; i++) {
            rl_node_t arg = rl_tree_list_at(c->tree, data.b, i);
            if (rl_tree_kind(c->tree, arg) == RL_NODE_NAMED_ARG) arg = rl_tree_node(c->tree, arg)->b;
            if (!is_value(c, arg, out_may_generalise, depth + 1)) return false;
        }
        return true;
    }
    default: return false;
    }
}

bool rl_is_value_node(rl_checker_t* c, rl_node_t node, bool* out_may_generalise) {
    *out_may_generalise = false;
    return is_value(c, node, out_may_generalise, 0);
}
