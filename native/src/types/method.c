/* Method calls (LANGUAGE 4.6): resolution by the receiver's type, and calls that wait until it is known. */
#include "types/impl.h"
#include "types/infer.h"

rl_fn_id_t rl_find_method(rl_checker_t* c, rl_type_t head, rl_sym_t name) {
    uint32_t key = rl_method_head(c, head);
    rl_fn_id_t fn = key ? rl_program_find_method(c->program, key, name) : 0;
    return fn && rl_program_function(c->program, fn)->flags & RL_FN_METHOD ? fn : 0;
}

static bool is_universal(rl_checker_t* c, rl_sym_t name) {
    return name == c->sym_to_string || name == c->sym_clone || name == c->sym_debug || name == c->sym_to_json;
}

rl_ir_t rl_to_string(rl_checker_t* c, rl_ir_t value, bool debug, uint32_t start) {
    rl_ir_t ir = rl_ir_make(c, RL_IR_TO_STRING, RL_TYPE_STR, start, value, 0, 0);
    if (debug) rl_node_at(c, ir)->flags = 1;
    return ir;
}

static rl_ir_t call_universal(rl_checker_t* c, rl_ir_t receiver, rl_sym_t name, rl_span_t span, uint32_t count) {
    if (count) {
        rl_str_t text = rl_text(c, name);
        rl_report(c->diags, RL_CODE_TYPE_CALL_ARITY, span, "%.*s takes 0 arguments, found %u", RL_STR_ARG(text), count);
    }
    if (name == c->sym_to_json && rl_head(c, rl_type_at(c, receiver)) == RL_TYPE_ANY) {
        rl_report(c->diags, RL_CODE_TYPE_ANY_MEMBER, span, "a value of type Any has no member to_json");
        return rl_ir_error(c, span.start);
    }
    if (name == c->sym_to_json) return rl_to_json(c, receiver, span, RL_JSON_METHOD);
    if (name == c->sym_clone) return receiver;
    return rl_to_string(c, receiver, name == c->sym_debug, span.start);
}

static void offer_methods(rl_checker_t* c, rl_type_t type, rl_nearest_t* nearest) {
    uint32_t head = rl_method_head(c, type);
    if (!head || rl_diags_full(c)) return;
    for (const rl_program_t* program = c->program; program; program = program->below) {
        const rl_map_t* map = &program->method_map;
        for (uint32_t i = 0; i < map->capacity; i++) {
            if (map->keys[i] && (uint32_t)(map->keys[i] >> 32) == head)
                rl_nearest_offer(c, nearest, (rl_sym_t)map->keys[i]);
        }
    }
}

/* A trait that is not in scope has it. */
static void note_hidden_trait(rl_checker_t* c, rl_diag_t* diag, rl_type_t type, rl_sym_t name) {
    if (rl_diags_full(c)) return;
    for (uint32_t i = 0; i < c->program->traits.count; i++) {
        rl_trait_id_t id = c->program->first_trait + i;
        const rl_trait_t trait = *rl_program_trait(c->program, id);
        if (trait.module == c->module || !trait.is_public || !rl_trait_function(c, id, name)) continue;
        rl_impl_walk_t walk = rl_impl_walk(c->program, id, rl_impl_head(c->program, type));
        if (!rl_impl_next(&walk)) continue;
        rl_str_t module = rl_text(c, rl_program_module(c->program, trait.module)->path), text = rl_text(c, trait.name);
        rl_note_plain(c->diags, diag, "trait %.*s.%.*s has it: `use` it", RL_STR_ARG(module), RL_STR_ARG(text));
    }
}

/* receiver first, then the written arguments */
static rl_ir_t call_with_receiver(rl_checker_t* c, rl_fn_id_t fn, rl_ir_t receiver, rl_span_t receiver_span,
    rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span, rl_type_t expected) {
    rl_words_mark_t words = rl_words_mark(c);
    rl_arg_t* all = rl_arg_words(c, count + 1);
    if (!all) return rl_ir_error(c, span.start);
    all[0] = (rl_arg_t){.ir = receiver, .span = receiver_span};
    if (count) memcpy(all + 1, args, count * sizeof *args);
    rl_ir_t ir = rl_call_function(c, fn, all, count + 1, node, span, expected);
    rl_words_release(c, words);
    return ir;
}

static rl_ir_t wait_for_type(rl_checker_t* c, rl_ir_t receiver, rl_sym_t name, rl_span_t name_span, rl_arg_t* args,
    uint32_t count, rl_node_t node, rl_span_t span) {
    rl_infer_args(c, args, count);
    rl_type_t result = rl_fresh(c, span);
    rl_pending_t pending = {.receiver = receiver,
        .name = name,
        .arg_first = c->pending_args.count,
        .arg_count = count,
        .result = result,
        .span = span,
        .name_span = name_span,
        .tree_node = node,
        .frame = c->frame,
        .level = c->solver.level};
    pending.node = rl_ir_make(c, RL_IR_CALL_VALUE, result, span.start, receiver, 0, 0);
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->pending_args, args[i]);
    if (rl_vec_push(c->allocator, &c->pendings, pending))
        (void)rl_vec_push(c->allocator, &c->open_pendings, c->pendings.count - 1);
    return pending.node;
}

rl_ir_t rl_call_method(rl_checker_t* c, rl_ir_t receiver, rl_sym_t name, rl_span_t name_span, rl_arg_t* args,
    uint32_t count, rl_node_t node, rl_span_t span, rl_type_t expected) {
    rl_type_t type = rl_settled_type(c, receiver), field;
    rl_type_kind_t kind = rl_type_kind(c->types, type);
    rl_span_t receiver_span = {rl_program_node(c->program, receiver)->start, name_span.start};
    bool reported;
    if (kind == RL_TYPE_VAR) {
        rl_fn_id_t bound =
            c->open_demands.count ? rl_find_trait_function(c, type, name, true, name_span, &reported) : 0;
        if (bound) return call_with_receiver(c, bound, receiver, receiver_span, args, count, node, span, expected);
        return wait_for_type(c, receiver, name, name_span, args, count, node, span);
    }
    if (type == RL_TYPE_ERROR || type == RL_TYPE_NEVER) {
        rl_infer_args(c, args, count);
        return type == RL_TYPE_NEVER ? receiver : rl_ir_error(c, span.start);
    }
    rl_fn_id_t fn = rl_find_method(c, type, name);
    rl_fn_id_t core = fn && fn < c->program->first_fn ? fn : 0; /* after fields and traits (LANGUAGE 4.6) */
    if (core) {
        bool field_first = (kind == RL_TYPE_RECORD || kind == RL_TYPE_NAMED) &&
                           rl_type_find_field(c->program, rl_solver_zonk(&c->solver, type), name, &field);
        rl_fn_id_t of_trait = field_first ? 0 : rl_find_trait_function(c, type, name, true, name_span, &reported);
        if (field_first) fn = 0;
        else if (of_trait) fn = of_trait;
        else if (reported) {
            rl_infer_args(c, args, count);
            return rl_ir_error(c, span.start);
        }
    }
    if (fn) {
        const rl_function_t* function = rl_program_function(c->program, fn);
        if (!(function->flags & RL_FN_PUBLIC) && function->module != c->module) {
            rl_str_t text = rl_text(c, name);
            rl_report(c->diags, RL_CODE_LANGUAGE_VISIBILITY_PRIVATE, name_span, "%.*s is private to its module",
                RL_STR_ARG(text));
        }
        /* ok_or takes a value, or a function that makes one (D58) */
        if (count == 1 && !args[0].name && (name == c->sym_ok_or || name == c->sym_to_result) &&
            rl_named_id(c, type) == c->program->known.option) {
            rl_infer_args(c, args, count);
            rl_type_t given = rl_head(c, rl_type_at(c, args[0].ir));
            if (rl_type_kind(c->types, given) == RL_TYPE_FUNCTION && rl_arg_count_of(c, given) == 0) {
                rl_sym_t lazy = rl_sym_find(c->symbols, RL_STR("ok_or_else"));
                rl_fn_id_t other = lazy ? rl_find_method(c, type, lazy) : 0;
                if (other) fn = other;
            }
        }
        return call_with_receiver(c, fn, receiver, receiver_span, args, count, node, span, expected);
    }
    if ((kind == RL_TYPE_RECORD || kind == RL_TYPE_OPEN || kind == RL_TYPE_NAMED) &&
        rl_type_find_field(c->program, rl_solver_zonk(&c->solver, type), name, &field)) {
        rl_ir_t value = rl_ir_make(c, RL_IR_FIELD, field, name_span.start, receiver, name, 0);
        return rl_call_value(c, value, args, count, node, span, expected);
    }
    fn = rl_find_trait_function(c, type, name, true, name_span, &reported);
    if (reported) {
        rl_infer_args(c, args, count);
        return rl_ir_error(c, span.start);
    }
    if (fn && !rl_program_trait(c->program, rl_program_function(c->program, fn)->trait)->holds_for_all)
        return call_with_receiver(c, fn, receiver, receiver_span, args, count, node, span, expected);
    if (is_universal(c, name)) {
        rl_infer_args(c, args, count);
        return call_universal(c, receiver, name, span, count);
    }
    if (kind == RL_TYPE_PARAM) {
        rl_type_t wanted = rl_fresh(c, name_span);
        if (rl_solver_require_field(&c->solver, type, name, wanted, name_span) == RL_UNIFY_OK) {
            rl_ir_t value = rl_ir_make(c, RL_IR_FIELD, wanted, name_span.start, receiver, name, 0);
            return rl_call_value(c, value, args, count, node, span, expected);
        }
    }
    rl_infer_args(c, args, count);
    rl_str_t text = rl_text(c, name);
    if (kind == RL_TYPE_ANY) {
        rl_report(c->diags, RL_CODE_TYPE_ANY_MEMBER, name_span, "a value of type Any has no members");
        return rl_ir_error(c, span.start);
    }
    rl_code_t code = rl_cfg_code(c, name, true, RL_CODE_TYPE_METHOD_UNKNOWN);
    rl_diag_t* diag = rl_report(c->diags, code, name_span, "%s has no method %.*s", rl_show(c, type), RL_STR_ARG(text));
    rl_nearest_t nearest = {text, 0, 3};
    offer_methods(c, type, &nearest);
    note_hidden_trait(c, diag, type, name);
    rl_fix_nearest(c, diag, &nearest, name_span);
    return rl_ir_error(c, span.start);
}

rl_ir_t rl_call_loose(rl_checker_t* c, rl_sym_t name, rl_span_t name_span, rl_arg_t* args, uint32_t count,
    rl_node_t node, rl_span_t span, rl_type_t expected) {
    if (count && !args[0].name) {
        if (!args[0].ir) args[0].ir = rl_infer_expr(c, args[0].node, 0);
        rl_type_t type = rl_settled_type(c, args[0].ir);
        rl_fn_id_t fn = rl_find_method(c, type, name);
        if (fn && rl_program_module(c->program, rl_program_function(c->program, fn)->module)->ambient) {
            return call_with_receiver(c, fn, args[0].ir, args[0].span, args + 1, count - 1, node, span, expected);
        }
    }
    rl_report_unresolved(c, name, name_span, 1);
    rl_infer_args(c, args, count);
    return rl_ir_error(c, span.start);
}

/* --- calls that wait ---------------------------------------------------------------------------------------------- */

/* The reserved node passes the value of `made` on; lists may know that one by its number, so it is not moved. */
static void put_value(rl_checker_t* c, rl_ir_t reserved, rl_ir_t made) {
    uint32_t list = rl_extra_put(c, &made, 1);
    rl_ir_node_t* node = rl_node_at(c, reserved);
    node->op = RL_IR_BLOCK;
    node->flags = RL_IR_BLOCK_VALUE;
    node->type = rl_type_at(c, made);
    node->a = list;
    node->b = 1;
    node->c = 0;
}

static void resolve_pending(rl_checker_t* c, uint32_t index) {
    rl_pending_t pending = c->pendings.data[index];
    uint32_t frame = c->frame;
    uint16_t level = c->solver.level;
    c->pendings.data[index].done = true;
    c->frame = pending.frame;
    c->solver.level = pending.level;
    rl_args_t args = {0};
    for (uint32_t i = 0; i < pending.arg_count; i++)
        (void)rl_vec_push(c->allocator, &args, c->pending_args.data[pending.arg_first + i]);
    if (!rl_failed(c)) {
        rl_type_t expected = rl_is_var(c, pending.result) ? 0 : pending.result;
        rl_ir_t made = rl_call_method(c, pending.receiver, pending.name, pending.name_span, args.data, args.count,
            pending.tree_node, pending.span, expected);
        made = rl_convert(c, made, pending.result, pending.span, RL_CODE_TYPE_MISMATCH);
        put_value(c, pending.node, made);
    }
    rl_vec_deinit(c->allocator, &args);
    c->frame = frame;
    c->solver.level = level;
}

static bool receiver_known(rl_checker_t* c, const rl_pending_t* pending) {
    return rl_head_kind(c, rl_type_at(c, pending->receiver)) != RL_TYPE_VAR;
}

/* With very many calls waiting only some polls look at them, so that the work stays in proportion. */
void rl_poll_pendings(rl_checker_t* c) {
    if (c->open_pendings.count == 0 || (++c->polls % (c->open_pendings.count / 64 + 1)) != 0 || c->polling) return;
    c->polling = true;
    bool progress = true;
    while (progress && !rl_failed(c)) {
        progress = false;
        for (uint32_t i = 0; i < c->open_pendings.count && !rl_failed(c); i++) { /* the list may grow on the way */
            uint32_t index = c->open_pendings.data[i];
            if (c->pendings.data[index].done || !receiver_known(c, &c->pendings.data[index])) continue;
            resolve_pending(c, index);
            progress = true;
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < c->open_pendings.count; i++) {
            uint32_t index = c->open_pendings.data[i];
            if (!c->pendings.data[index].done) c->open_pendings.data[kept++] = index;
        }
        c->open_pendings.count = kept;
    }
    c->polling = false;
}

bool rl_pendings_wait(rl_checker_t* c, uint32_t from) {
    for (uint32_t i = from; i < c->pendings.count; i++) {
        if (!c->pendings.data[i].done) return true;
    }
    return false;
}

/* Still unknown at the end of the declaration: a universal method, or a field that holds a function (D34). */
static void settle_pending(rl_checker_t* c, uint32_t index) {
    rl_pending_t pending = c->pendings.data[index];
    rl_type_t type = rl_type_at(c, pending.receiver);
    rl_var_t* var = rl_var_of(c, type);
    if (var && var->klass != RL_VAR_FREE) rl_settle_literal(c, type);
    if (receiver_known(c, &pending)) {
        resolve_pending(c, index);
        return;
    }
    c->pendings.data[index].done = true;
    if (is_universal(c, pending.name) && pending.arg_count == 0) {
        uint32_t frame = c->frame;
        c->frame = pending.frame;
        rl_ir_t made = call_universal(c, pending.receiver, pending.name, pending.span, 0);
        made = rl_convert(c, made, pending.result, pending.span, RL_CODE_TYPE_MISMATCH);
        put_value(c, pending.node, made);
        c->frame = frame;
        return;
    }
    uint32_t mark = c->scratch.count;
    for (uint32_t i = 0; i < pending.arg_count; i++)
        (void)rl_vec_push(c->allocator, &c->scratch, rl_type_at(c, c->pending_args.data[pending.arg_first + i].ir));
    if (rl_failed(c)) return;
    rl_type_t wanted = rl_type_function(c->types, c->scratch.data + mark, pending.arg_count, pending.result);
    c->scratch.count = mark;
    rl_note_constraint(c, RL_REASON_FIELD, type, 0);
    rl_unify_result_t result = rl_solver_require_field(&c->solver, type, pending.name, wanted, pending.name_span);
    if (result != RL_UNIFY_OK) {
        rl_str_t text = rl_text(c, pending.name);
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_METHOD_UNKNOWN, pending.name_span,
            "the type that has method %.*s is not known here", RL_STR_ARG(text));
        rl_note_plain(c->diags, diag, "annotate the receiver's type");
        return;
    }
    rl_ir_t field = rl_ir_make(c, RL_IR_FIELD, wanted, pending.name_span.start, pending.receiver, pending.name, 0);
    for (uint32_t i = 0; i < pending.arg_count; i++)
        (void)rl_vec_push(c->allocator, &c->scratch, c->pending_args.data[pending.arg_first + i].ir);
    if (rl_failed(c)) return;
    uint32_t list = rl_extra_counted(c, c->scratch.data + mark, pending.arg_count);
    c->scratch.count = mark;
    rl_ir_node_t* node = rl_node_at(c, pending.node);
    node->op = RL_IR_CALL_VALUE;
    node->a = field;
    node->b = 0;
    node->c = list;
}

void rl_finish_pendings(rl_checker_t* c) {
    c->polls = UINT32_MAX; /* the next poll looks */
    rl_poll_pendings(c);
    for (uint32_t i = 0; i < c->open_pendings.count && !rl_failed(c); i++) { /* the list may grow on the way */
        uint32_t index = c->open_pendings.data[i];
        if (!c->pendings.data[index].done) settle_pending(c, index);
    }
    c->open_pendings.count = c->pendings.count = c->pending_args.count = 0;
}
