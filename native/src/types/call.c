/* Calls of functions, values and constructors: arguments to parameters, defaults, order of evaluation (LANGUAGE
   5.3, 4.2). */
#include "types/infer.h"

void rl_collect_args(rl_checker_t* c, rl_list_t list, const rl_ir_t* holes, uint32_t hole_count, rl_args_t* out) {
    uint32_t count = rl_tree_list_count(c->tree, list), next = 0;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t node = rl_tree_list_at(c->tree, list, i);
        rl_arg_t arg = {.node = node, .span = rl_span_of(c, node)};
        if (rl_tree_kind(c->tree, node) == RL_NODE_NAMED_ARG) {
            arg.name = rl_tree_node(c->tree, node)->a;
            arg.name_span = rl_tree_name_span(c->tree, c->symbols, node);
            arg.node = rl_tree_node(c->tree, node)->b;
            arg.span = rl_span_of(c, arg.node);
        } else if (rl_tree_kind(c->tree, node) == RL_NODE_ASM_ARG) {
            rl_unsupported(c, arg.span, "operands of assembly are");
            continue;
        }
        if (rl_tree_kind(c->tree, arg.node) == RL_NODE_HOLE && hole_count) {
            arg.ir = holes[next < hole_count ? next : hole_count - 1];
            if (hole_count > 1) next++;
        }
        (void)rl_vec_push(c->allocator, out, arg);
    }
}

void rl_infer_args(rl_checker_t* c, rl_arg_t* args, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!args[i].ir) args[i].ir = rl_infer_expr(c, args[i].node, 0);
    }
}

static rl_ir_t check_arg(rl_checker_t* c, const rl_arg_t* arg, rl_type_t type) {
    if (arg->ir) return rl_convert(c, arg->ir, type, arg->span, RL_CODE_TYPE_MISMATCH);
    return rl_check_expr(c, arg->node, type, RL_CODE_TYPE_MISMATCH);
}

rl_ir_t rl_wrap_binds(rl_checker_t* c, uint32_t mark, rl_ir_t value, uint32_t start) {
    if (c->scratch.count > mark && !rl_failed(c)) {
        (void)rl_vec_push(c->allocator, &c->scratch, value);
        if (!rl_failed(c))
            value = rl_ir_block(
                c, rl_type_at(c, value), start, c->scratch.data + mark, c->scratch.count - mark, RL_IR_BLOCK_VALUE);
    }
    c->scratch.count = mark;
    return value;
}

/* The declared result meets what is expected before the arguments are checked; failure does not matter here. */
void rl_meet_expected(rl_checker_t* c, rl_type_t result, rl_type_t expected) {
    if (!expected) return;
    rl_type_t head = rl_head(c, expected);
    rl_type_kind_t kind = rl_type_kind(c->types, head);
    if (kind == RL_TYPE_VAR || kind == RL_TYPE_ANY || kind == RL_TYPE_NEVER || kind == RL_TYPE_RECORD ||
        kind == RL_TYPE_OPEN || kind == RL_TYPE_ERROR)
        return;
    rl_typedef_id_t id = rl_named_id(c, head);
    if (id && (id == c->program->known.json || rl_program_typedef(c->program, id)->kind == RL_DEF_RECORD)) return;
    rl_type_t known = rl_head(c, result);
    if (rl_type_kind(c->types, known) == RL_TYPE_NEVER) return;
    (void)rl_unify(&c->solver, result, expected);
}

/* Something that is called: its parameters and how to make its defaults. */
typedef struct callee {
    uint32_t count;
    const rl_type_t* types;
    uint32_t param_first;         /* names and defaults; 0: it has none (function values) */
    const rl_instance_use_t* use; /* type arguments of default functions */
    uint32_t local_fn;            /* + 1: a local function */
    uint32_t local_args;          /* type arguments of this use of it */
    rl_sym_t name;
    bool method; /* the first argument is the receiver */
    rl_code_t arity_code;
} callee_t;

static uint32_t find_param(rl_checker_t* c, const callee_t* callee, rl_sym_t name) {
    for (uint32_t i = 0; callee->param_first && i < callee->count; i++) {
        if (rl_program_param(c->program, callee->param_first + i)->name == name) return i;
    }
    return UINT32_MAX;
}

static void report_arity(rl_checker_t* c, const callee_t* callee, rl_span_t span, uint32_t found) {
    uint32_t wanted = callee->count, optional = 0, self = callee->method ? 1 : 0;
    for (uint32_t i = 0; callee->param_first && i < callee->count; i++)
        optional += rl_program_param(c->program, callee->param_first + i)->default_fn != 0;
    rl_str_t name = rl_text(c, callee->name);
    const char* space = name.length ? " " : "";
    if (optional) {
        rl_report(c->diags, callee->arity_code, span, "%s%.*s%stakes %u to %u arguments, found %u", "",
            RL_STR_ARG(name), space, wanted - optional - self, wanted - self, found - self);
    } else {
        rl_report(c->diags, callee->arity_code, span, "%.*s%stakes %u argument%s, found %u", RL_STR_ARG(name), space,
            wanted - self, wanted - self == 1 ? "" : "s", found - self);
    }
}

static rl_ir_t call_default(
    rl_checker_t* c, const callee_t* callee, rl_fn_id_t fn, rl_type_t type, const rl_ir_t* values, uint32_t start) {
    uint32_t needed = rl_program_function(c->program, fn)->param_count;
    const rl_ir_node_t body = *rl_program_node(c->program, rl_program_function(c->program, fn)->body);
    if (fn < c->program->first_fn && body.op == RL_IR_INT && body.type == type) /* a constant of the core library */
        return rl_ir_make(c, RL_IR_INT, type, start, body.a, body.b, 0);
    rl_ir_t call = rl_ir_call(c, type, start, fn, 0, values, needed);
    if (callee->use) {
        rl_instance_note(c, callee->use, call);
    } else if (callee->local_fn) {
        rl_local_ref_t ref = {.node = call,
            .local_fn = callee->local_fn - 1,
            .frame = c->frame,
            .args = callee->local_args,
            .is_call = true,
            .default_fn = fn};
        (void)rl_vec_push(c->allocator, &c->local_refs, ref);
    }
    return call;
}

/*
 * Arguments in the order of parameters into `values` (room for callee->count); BINDs that keep the order of evaluation
 * are pushed on scratch. False: reported.
 */
static bool match_args(
    rl_checker_t* c, const callee_t* callee, rl_arg_t* args, uint32_t count, rl_span_t span, rl_ir_t* values) {
    rl_note_constraint(c, RL_REASON_ARITY, RL_TYPE_UNIT, 0);
    bool fine = true, ordered = true, defaults = false;
    uint32_t last = 0, *slots = rl_words(c, callee->count + count); /* by parameter: argument + 1 */
    if (!slots) return false;
    uint32_t* param_of = slots + callee->count; /* by argument, in written order */
    for (uint32_t i = 0; i < callee->count; i++) slots[i] = values[i] = 0;
    for (uint32_t i = 0; i < count; i++) param_of[i] = 0;
    bool named_seen = false;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        uint32_t at = i;
        if (args[i].name) {
            named_seen = true;
            at = find_param(c, callee, args[i].name);
            if (at == UINT32_MAX || (callee->method && at == 0)) {
                rl_str_t text = rl_text(c, args[i].name), name = rl_text(c, callee->name);
                rl_diag_t* diag;
                if (!callee->param_first)
                    diag = rl_report(c->diags, RL_CODE_TYPE_CALL_UNKNOWN_ARG, args[i].name_span,
                        "a function value takes no named arguments: %.*s", RL_STR_ARG(text));
                else
                    diag = rl_report(c->diags, RL_CODE_TYPE_CALL_UNKNOWN_ARG, args[i].name_span,
                        "%.*s has no parameter %.*s", RL_STR_ARG(name), RL_STR_ARG(text));
                rl_nearest_t nearest = {text, 0, 3};
                for (uint32_t k = 0; callee->param_first && k < callee->count; k++)
                    rl_nearest_offer(c, &nearest, rl_program_param(c->program, callee->param_first + k)->name);
                rl_fix_nearest(c, diag, &nearest, args[i].name_span);
                fine = false;
                continue;
            }
        } else if (named_seen) {
            rl_report(c->diags, RL_CODE_TYPE_CALL_ARITY, args[i].span, "positional arguments come before named ones");
            fine = false;
            continue;
        }
        if (at >= callee->count) {
            if (fine) report_arity(c, callee, span, count);
            fine = false;
            break;
        }
        if (slots[at]) {
            rl_str_t text = rl_text(c, rl_program_param(c->program, callee->param_first + at)->name);
            rl_report(c->diags, RL_CODE_TYPE_CALL_DUPLICATE_ARG, args[i].name ? args[i].name_span : args[i].span,
                "argument %.*s is given twice", RL_STR_ARG(text));
            fine = false;
            continue;
        }
        slots[at] = i + 1;
        param_of[i] = at;
        if (at < last) ordered = false;
        last = at;
    }
    for (uint32_t i = 0; fine && i < callee->count; i++) {
        if (slots[i]) continue;
        if (callee->param_first && rl_program_param(c->program, callee->param_first + i)->default_fn) {
            defaults = true;
            continue;
        }
        report_arity(c, callee, span, count);
        fine = false;
    }
    if (!fine || rl_failed(c)) {
        rl_infer_args(c, args, count);
        return false;
    }
    bool keep = !ordered || defaults;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        uint32_t at = param_of[i];
        rl_ir_t value = check_arg(c, &args[i], callee->types[at]);
        values[at] = keep ? rl_hold(c, value, args[i].span.start) : value;
    }
    for (uint32_t i = 0; defaults && i < callee->count && !rl_failed(c); i++) {
        if (slots[i]) continue;
        rl_fn_id_t fn = rl_program_param(c->program, callee->param_first + i)->default_fn;
        rl_ir_t value = call_default(c, callee, fn, callee->types[i], values, span.start);
        values[i] = rl_hold(c, value, span.start);
    }
    return !rl_failed(c);
}

rl_ir_t rl_call_function(rl_checker_t* c, rl_fn_id_t fn, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span,
    rl_type_t expected) {
    if (rl_program_function(c->program, fn)->flags & RL_FN_ADAPTED) fn = rl_adapt_call(c, fn, args, count);
    const rl_function_t function = *rl_program_function(c->program, fn);
    if (function.flags & RL_FN_THUNK)
        return rl_call_value(c, rl_function_value(c, fn, span), args, count, node, span, expected);
    if (function.flags & RL_FN_VARARGS && count > function.param_count)
        return rl_call_varargs(c, fn, args, count, node, span, expected);
    uint32_t demands = c->open_demands.count, first_demand = c->demands.count, errors = c->diags->errors;
    rl_instance_use_t use = rl_instantiate_fn(c, fn, span);
    rl_type_t result = rl_instance_type(c, &use, function.result);
    if (!(use.in_group && rl_is_var(c, result))) rl_meet_expected(c, result, expected);
    rl_words_mark_t words = rl_words_mark(c);
    rl_type_t* types = rl_words(c, 2 * function.param_count);
    if (!types) return rl_ir_error(c, span.start);
    rl_ir_t* values = types + function.param_count;
    for (uint32_t i = 0; i < function.param_count; i++)
        types[i] = rl_instance_type(c, &use, rl_program_param(c->program, function.param_first + i)->type);
    rl_ir_t ir = 0;
    uint32_t mark = c->scratch.count;
    bool names = !(function.flags & RL_FN_LAMBDA);
    callee_t callee = {.count = function.param_count,
        .types = types,
        .param_first = names ? function.param_first : 0,
        .use = &use,
        .name = function.name,
        .method = count > 0 && args[0].ir && !args[0].node && (function.flags & RL_FN_METHOD),
        .arity_code = RL_CODE_TYPE_CALL_ARITY};
    if (match_args(c, &callee, args, count, span, values)) {
        ir = rl_ir_call(c, result, span.start, fn, 0, values, function.param_count);
        rl_instance_note(c, &use, ir);
        ir = rl_wrap_binds(c, mark, ir, span.start);
        if (c->open_demands.count > demands) rl_poll_demands(c);
        /* A wrong argument says nothing certain of a generic result. */
        if (c->diags->errors > errors) {
            for (uint32_t i = first_demand; i < c->demands.count; i++) c->demands.data[i].done = true;
            if (rl_type_node(c->types, function.result)->flags & RL_TYPE_HAS_PARAM) ir = rl_ir_error(c, span.start);
        }
    }
    c->scratch.count = mark;
    rl_words_release(c, words);
    return ir ? ir : rl_ir_error(c, span.start);
}

rl_ir_t rl_call_value(rl_checker_t* c, rl_ir_t callee_ir, rl_arg_t* args, uint32_t count, rl_node_t node,
    rl_span_t span, rl_type_t expected) {
    (void)node;
    rl_type_t type = rl_settled_type(c, callee_ir);
    rl_type_kind_t kind = rl_type_kind(c->types, type);
    if (kind == RL_TYPE_VAR) {
        rl_infer_args(c, args, count);
        uint32_t mark = c->scratch.count;
        for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, rl_type_at(c, args[i].ir));
        rl_type_t made = rl_failed(c)
                             ? RL_TYPE_ERROR
                             : rl_type_function(c->types, c->scratch.data + mark, count,
                                   expected && rl_head(c, expected) != RL_TYPE_ANY ? expected : rl_fresh(c, span));
        c->scratch.count = mark;
        if (!rl_unify_at(c, type, made, span, RL_CODE_TYPE_CALL_NOT_CALLABLE)) return rl_ir_error(c, span.start);
        type = rl_head(c, type);
        kind = rl_type_kind(c->types, type);
    }
    if (kind != RL_TYPE_FUNCTION) {
        rl_infer_args(c, args, count);
        if (type == RL_TYPE_NEVER) return callee_ir;
        if (type != RL_TYPE_ERROR)
            rl_report(c->diags, RL_CODE_TYPE_CALL_NOT_CALLABLE, span, "%s cannot be called", rl_show(c, type));
        return rl_ir_error(c, span.start);
    }
    uint32_t params = rl_arg_count_of(c, type), mark = c->scratch.count;
    rl_words_mark_t words = rl_words_mark(c);
    rl_type_t* types = rl_words(c, 2 * params + 1);
    rl_ir_t ir = 0;
    if (types) {
        rl_ir_t* values = types + params + 1;
        memcpy(types, rl_type_args(c->types, type), (params + 1) * sizeof *types);
        rl_type_t result = types[params];
        rl_meet_expected(c, result, expected);
        callee_t callee = {.count = params, .types = types, .arity_code = RL_CODE_TYPE_CALL_ARITY};
        if (match_args(c, &callee, args, count, span, values)) {
            ir = rl_ir_make(c, RL_IR_CALL_VALUE, result, span.start, callee_ir, 0, rl_extra_counted(c, values, params));
        }
    }
    c->scratch.count = mark;
    rl_words_release(c, words);
    return ir ? ir : rl_ir_error(c, span.start);
}

rl_ir_t rl_call_local_fn(rl_checker_t* c, uint32_t local_fn, rl_arg_t* args, uint32_t count, rl_node_t node,
    rl_span_t span, rl_type_t expected) {
    rl_local_fn_t entry = c->local_fns.data[local_fn];
    rl_type_t type;
    rl_ir_t ref = rl_local_fn_use(c, local_fn, span.start, true, &type);
    type = rl_head(c, type);
    if (rl_failed(c) || rl_type_kind(c->types, type) != RL_TYPE_FUNCTION)
        return rl_call_value(c, ref, args, count, node, span, expected);
    uint32_t local_args = c->local_refs.data[c->local_refs.count - 1].args;
    uint32_t params = rl_arg_count_of(c, type), mark = c->scratch.count;
    rl_words_mark_t words = rl_words_mark(c);
    rl_type_t* types = rl_words(c, 2 * params + 1);
    rl_ir_t ir = 0;
    if (types) {
        rl_ir_t* values = types + params + 1;
        memcpy(types, rl_type_args(c->types, type), (params + 1) * sizeof *types);
        rl_type_t result = types[params];
        if (!rl_is_var(c, result)) rl_meet_expected(c, result, expected);
        const rl_function_t function = *rl_program_function(c->program, entry.fn);
        callee_t callee = {.count = params,
            .types = types,
            .param_first = entry.is_lambda ? 0 : function.param_first,
            .local_fn = local_fn + 1,
            .local_args = local_args,
            .name = entry.is_lambda ? c->locals.data[entry.local].name : function.name,
            .arity_code = RL_CODE_TYPE_CALL_ARITY};
        if (match_args(c, &callee, args, count, span, values)) {
            rl_ir_node_t* reserved = rl_node_at(c, ref);
            reserved->op = RL_IR_CALL;
            reserved->type = result;
            uint32_t list = rl_extra_counted(c, values, params);
            rl_node_at(c, ref)->c = list;
            ir = rl_wrap_binds(c, mark, ref, span.start);
        }
    }
    c->scratch.count = mark;
    rl_words_release(c, words);
    return ir ? ir : rl_ir_error(c, span.start);
}

rl_ir_t rl_call_item(rl_checker_t* c, uint32_t item, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span,
    rl_type_t expected) {
    const rl_item_t entry = *rl_program_item(c->program, item);
    switch ((rl_item_kind_t)entry.kind) {
    case RL_ITEM_FUNCTION: {
        if (!rl_check_visible(c, item, span)) break;
        const rl_function_t* function = rl_program_function(c->program, entry.id);
        if (function->flags & (RL_FN_LAMBDA | RL_FN_THUNK) && entry.module == c->module && c->unit_is_direct)
            (void)rl_function_value(c, entry.id, span); /* reports use before initialisation */
        return rl_call_function(c, entry.id, args, count, node, span, expected);
    }
    case RL_ITEM_VARIANT: return rl_construct(c, item, args, count, true, node, span, expected);
    case RL_ITEM_GLOBAL:
        return rl_call_value(c, rl_use_item(c, item, node, span, 0), args, count, node, span, expected);
    default: break;
    }
    rl_infer_args(c, args, count);
    return rl_ir_error(c, span.start);
}

/* --- constructors ------------------------------------------------------------------------------------------------- */

rl_ir_t rl_make_variant(
    rl_checker_t* c, rl_type_t type, uint32_t tag, const rl_ir_t* payload, uint32_t count, uint32_t start) {
    return rl_ir_make(c, RL_IR_VARIANT, type, start, rl_extra_put(c, payload, count), count, tag);
}

static bool same_fields(rl_checker_t* c, const rl_variant_t* variant, const rl_sym_t* fields, uint32_t count) {
    if (!(variant->flags & RL_VARIANT_RECORD_PAYLOAD)) return false;
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < variant->default_count; k++)
            found |= rl_program_field(c->program, variant->default_first + k)->name == fields[i];
        if (!found) return false;
    }
    return true;
}

/* How many constructors the chain of `item` holds; from the first call on each is found by its type. */
static uint32_t index_variants(rl_checker_t* c, uint32_t item) {
    uint32_t count = 0;
    if (rl_map_get(&c->variant_index, rl_map_key2(item, 0), &count)) return count;
    for (uint32_t at = item; at; at = rl_program_item(c->program, at)->next) {
        const rl_item_t* entry = rl_program_item(c->program, at);
        uint32_t before;
        uint64_t key = rl_map_key2(item, entry->id);
        if (entry->kind != RL_ITEM_VARIANT) continue;
        count++;
        if (!rl_map_get(&c->variant_index, key, &before)) (void)rl_map_put(c->allocator, &c->variant_index, key, at);
    }
    (void)rl_map_put(c->allocator, &c->variant_index, rl_map_key2(item, 0), count);
    return count;
}

static uint32_t only_variant(rl_checker_t* c, uint32_t item) {
    for (uint32_t at = item; at; at = rl_program_item(c->program, at)->next) {
        if (rl_program_item(c->program, at)->kind == RL_ITEM_VARIANT) return at;
    }
    return item;
}

uint32_t rl_choose_variant(rl_checker_t* c, uint32_t item, rl_type_t expected, int arity, const rl_sym_t* fields,
    uint32_t field_count, rl_span_t span) {
    if (!rl_program_item(c->program, item)->next) return item;
    rl_typedef_id_t wanted = expected ? rl_named_id(c, expected) : 0;
    uint32_t fits = 0, chosen = 0;
    if (index_variants(c, item) <= 1) return only_variant(c, item);
    if (wanted && rl_map_get(&c->variant_index, rl_map_key2(item, wanted), &chosen)) return chosen;
    for (uint32_t at = item; at; at = rl_program_item(c->program, at)->next) {
        const rl_item_t* entry = rl_program_item(c->program, at);
        if (entry->kind != RL_ITEM_VARIANT) continue;
        const rl_variant_t variant =
            *rl_program_variant(c->program, rl_program_typedef(c->program, entry->id)->variant_first + entry->variant);
        bool fit = fields ? same_fields(c, &variant, fields, field_count)
                          : arity < 0 || variant.field_count == (uint32_t)arity;
        if (!fit) continue;
        fits++;
        chosen = at;
    }
    if (fits == 1) return chosen;
    rl_str_t name = rl_text(c, rl_program_item(c->program, item)->name);
    rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_CONSTRUCTOR_AMBIGUOUS, span,
        "constructor %.*s belongs to more than one type", RL_STR_ARG(name));
    for (uint32_t at = item; at; at = rl_program_item(c->program, at)->next) {
        const rl_item_t* entry = rl_program_item(c->program, at);
        if (entry->kind != RL_ITEM_VARIANT) continue;
        rl_str_t owner = rl_text(c, rl_program_typedef(c->program, entry->id)->name);
        rl_note_plain(c->diags, diag, "write %.*s.%.*s", RL_STR_ARG(owner), RL_STR_ARG(name));
    }
    return 0;
}

/* A constructor as a function value: |a, b| C(a, b) */
static rl_ir_t constructor_value(rl_checker_t* c, rl_type_t type, uint32_t tag, uint32_t count, rl_span_t span) {
    rl_fn_id_t fn = rl_new_function(c, 0, RL_FN_LAMBDA, span);
    uint32_t outer = c->frame;
    RL_VEC(rl_type_t) types = {0};
    RL_VEC(rl_ir_t) values = {0};
    uint32_t frame = rl_frame_push(c, RL_FRAME_LAMBDA, fn);
    c->frames.data[frame].result = type;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_type_t payload = rl_type_payload(c->program, type, tag, i);
        uint32_t local = rl_new_local(c, 0, payload, RL_LOCAL_IS_PARAM, span);
        (void)rl_vec_push(c->allocator, &types, payload);
        (void)rl_vec_push(c->allocator, &values, rl_ir_make(c, RL_IR_LOCAL, payload, span.start, local, 0, 0));
    }
    rl_ir_t body = rl_make_variant(c, type, tag, values.data, values.count, span.start);
    rl_set_params(c, fn, NULL, types.count, types.data);
    rl_function_t* function = rl_function_at(c, fn);
    if (function) {
        function->body = body;
        function->result = type;
        function->name =
            rl_program_variant(c->program, rl_program_typedef(c->program, rl_named_id(c, type))->variant_first + tag)
                ->name;
        function->flags &= ~(uint32_t)RL_FN_LAMBDA;
    }
    rl_frame_pop(c);
    c->frame = outer;
    rl_type_t made = rl_failed(c) ? RL_TYPE_ERROR : rl_type_function(c->types, types.data, types.count, type);
    rl_vec_deinit(c->allocator, &types);
    rl_vec_deinit(c->allocator, &values);
    return rl_lambda_value(c, fn, made, span.start);
}

static rl_type_t fresh_applied(rl_checker_t* c, rl_typedef_id_t id, rl_span_t span) {
    uint32_t count = rl_program_typedef(c->program, id)->type_params, mark = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, rl_fresh(c, span));
    rl_type_t type = rl_failed(c) ? RL_TYPE_ERROR : rl_type_named(c->types, id, c->scratch.data + mark, count);
    c->scratch.count = mark;
    return type;
}

static bool all_default(rl_checker_t* c, const rl_variant_t* variant) {
    for (uint32_t i = 0; i < variant->default_count; i++) {
        if (!rl_program_field(c->program, variant->default_first + i)->default_fn) return false;
    }
    return (variant->flags & RL_VARIANT_RECORD_PAYLOAD) != 0;
}

rl_ir_t rl_construct(rl_checker_t* c, uint32_t item, rl_arg_t* args, uint32_t count, bool called, rl_node_t node,
    rl_span_t span, rl_type_t expected) {
    (void)node;
    item = item ? rl_choose_variant(c, item, expected, called ? (int)count : -1, NULL, 0, span) : 0;
    if (!item) {
        rl_infer_args(c, args, count);
        return rl_ir_error(c, span.start);
    }
    const rl_item_t entry = *rl_program_item(c->program, item);
    const rl_typedef_t def = *rl_program_typedef(c->program, entry.id);
    const rl_variant_t variant = *rl_program_variant(c->program, def.variant_first + entry.variant);
    rl_type_t type = fresh_applied(c, entry.id, span);
    if (expected && rl_named_id(c, expected) == entry.id) (void)rl_unify(&c->solver, type, expected);
    type = rl_solver_zonk(&c->solver, type);
    if (!called) {
        if (variant.field_count == 0) return rl_make_variant(c, type, entry.variant, NULL, 0, span.start);
        if (all_default(c, &variant)) {
            rl_ir_t payload = rl_payload_record(c, type, def.variant_first + entry.variant, 0, span);
            return rl_make_variant(c, type, entry.variant, &payload, 1, span.start);
        }
        if (expected && rl_type_kind(c->types, rl_head(c, expected)) == RL_TYPE_FUNCTION) {
            rl_type_t head = rl_head(c, expected);
            uint32_t params = rl_arg_count_of(c, head);
            rl_type_t result = rl_type_args(c->types, head)[params];
            if (params == variant.field_count && rl_named_id(c, result) == entry.id)
                (void)rl_unify(&c->solver, type, result);
        }
        return constructor_value(c, type, entry.variant, variant.field_count, span);
    }
    uint32_t mark = c->scratch.count;
    if ((variant.flags & RL_VARIANT_RECORD_PAYLOAD) && count == 1 && args[0].node && !args[0].name) {
        rl_node_kind_t kind = rl_tree_kind(c->tree, args[0].node);
        if (kind == RL_NODE_EMPTY || (kind == RL_NODE_RECORD && !rl_tree_node(c->tree, args[0].node)->a)) {
            rl_ir_t payload = rl_payload_record(c, type, def.variant_first + entry.variant, args[0].node, args[0].span);
            return rl_make_variant(c, type, entry.variant, &payload, 1, span.start);
        }
    }
    if (count != variant.field_count) {
        rl_str_t name = rl_text(c, variant.name);
        rl_report(c->diags, RL_CODE_TYPE_SUM_CONSTRUCTOR_ARITY_MISMATCH, span,
            "constructor %.*s takes %u value%s, found %u", RL_STR_ARG(name), variant.field_count,
            variant.field_count == 1 ? "" : "s", count);
        rl_infer_args(c, args, count);
        rl_ir_t error = rl_ir_error(c, span.start);
        rl_node_at(c, error)->type = type;
        return error;
    }
    if (count == 1) (void)rl_json_number(c, entry.id, variant.name, &args[0]);
    rl_words_mark_t words = rl_words_mark(c);
    rl_ir_t* values = rl_words(c, 2 * count);
    if (!values) return rl_ir_error(c, span.start);
    uint32_t* at = values + count;
    bool fine = true, ordered = true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = i;
        if (args[i].name) {
            slot = UINT32_MAX;
            for (uint32_t k = 0; k < variant.field_count; k++) {
                if (rl_program_field(c->program, variant.field_first + k)->name == args[i].name) slot = k;
            }
            if (slot == UINT32_MAX) {
                rl_str_t text = rl_text(c, args[i].name), name = rl_text(c, variant.name);
                rl_report(c->diags, RL_CODE_TYPE_CALL_UNKNOWN_ARG, args[i].name_span, "%.*s has no field %.*s",
                    RL_STR_ARG(name), RL_STR_ARG(text));
                fine = false;
                slot = i;
            }
        }
        for (uint32_t k = 0; k < i && fine; k++) {
            if (at[k] != slot) continue;
            rl_report(c->diags, RL_CODE_TYPE_CALL_DUPLICATE_ARG, args[i].name ? args[i].name_span : args[i].span,
                "this field is given twice");
            fine = false;
        }
        if (slot != i) ordered = false;
        at[i] = slot;
        values[i] = 0;
    }
    rl_ir_t ir = 0;
    if (fine && !rl_failed(c)) {
        for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
            rl_type_t wanted = rl_type_payload(c->program, type, entry.variant, at[i]);
            rl_ir_t value = check_arg(c, &args[i], wanted);
            values[at[i]] = ordered ? value : rl_hold(c, value, args[i].span.start);
        }
        ir = rl_make_variant(c, type, entry.variant, values, count, span.start);
        ir = rl_wrap_binds(c, mark, ir, span.start);
    } else {
        rl_infer_args(c, args, count);
    }
    c->scratch.count = mark;
    rl_words_release(c, words);
    return ir ? ir : rl_ir_error(c, span.start);
}
