/* Names, paths and postfix chains; pipes and `?` (LANGUAGE 3.2, 5.4, 5.8, 5.12). */
#include "types/infer.h"

#include <math.h>

/* --- items as values ---------------------------------------------------------------------------------------------- */

static bool runs_during_init(rl_checker_t* c) {
    return c->unit_is_direct && c->frames.data[rl_home_frame(c)].kind == RL_FRAME_INIT;
}

static void check_forward(rl_checker_t* c, uint32_t unit, rl_sym_t name, rl_span_t span) {
    if (!runs_during_init(c) || unit < c->unit) return;
    rl_str_t text = rl_text(c, name);
    rl_report(c->diags, RL_CODE_LANGUAGE_INIT_FORWARD_REFERENCE, span, "%.*s is used before it is initialised",
        RL_STR_ARG(text));
}

rl_ir_t rl_function_value(rl_checker_t* c, rl_fn_id_t fn, rl_span_t span) {
    const rl_function_t function = *rl_program_function(c->program, fn);
    uint32_t unit;
    if ((function.flags & (RL_FN_LAMBDA | RL_FN_THUNK)) && rl_map_get(&c->unit_of_fn, fn, &unit))
        check_forward(c, unit, function.name, span);
    rl_instance_use_t use = rl_instantiate_fn(c, fn, span);
    rl_type_t result = rl_instance_type(c, &use, function.result);
    if (function.flags & RL_FN_THUNK) {
        rl_ir_t call = rl_ir_call(c, result, span.start, fn, 0, NULL, 0);
        rl_instance_note(c, &use, call);
        return call;
    }
    uint32_t mark = c->scratch.count;
    for (uint32_t i = 0; i < function.param_count; i++) {
        (void)rl_vec_push(c->allocator, &c->scratch,
            rl_instance_type(c, &use, rl_program_param(c->program, function.param_first + i)->type));
    }
    rl_type_t type =
        rl_failed(c) ? RL_TYPE_ERROR : rl_type_function(c->types, c->scratch.data + mark, function.param_count, result);
    c->scratch.count = mark;
    rl_ir_t node = rl_ir_make(c, RL_IR_CLOSURE, type, span.start, fn, 0, 0);
    rl_instance_note(c, &use, node);
    return node;
}

rl_ir_t rl_use_item(rl_checker_t* c, uint32_t item, rl_node_t node, rl_span_t span, rl_type_t expected) {
    const rl_item_t entry = *rl_program_item(c->program, item);
    if (!rl_check_visible(c, item, span)) return rl_ir_error(c, span.start);
    switch ((rl_item_kind_t)entry.kind) {
    case RL_ITEM_FUNCTION: return rl_function_value(c, entry.id, span);
    case RL_ITEM_GLOBAL: {
        uint32_t unit;
        if (rl_map_get(&c->unit_of_global, entry.id, &unit)) check_forward(c, unit, entry.name, span);
        return rl_ir_make(c, RL_IR_GLOBAL, rl_program_global(c->program, entry.id)->type, span.start, entry.id, 0, 0);
    }
    case RL_ITEM_VARIANT: return rl_construct(c, item, NULL, 0, false, node, span, expected);
    default: break;
    }
    rl_report_unresolved(c, entry.name, span, 1);
    return rl_ir_error(c, span.start);
}

/* The continuation of a clause: only called, or used as a value (LANGUAGE 6.4)? */
static void note_resume(rl_checker_t* c, uint32_t local, bool called) {
    if (!(c->locals.data[local].flags & RL_LOCAL_RESUME)) return;
    uint32_t owner = c->locals.data[local].frame;
    for (uint32_t at = c->frame; called && at != owner && at; at = c->frames.data[at].parent) {
        rl_frame_kind_t kind = (rl_frame_kind_t)c->frames.data[at].kind;
        called = kind == RL_FRAME_BODY || kind == RL_FRAME_DEFER;
    }
    if (!called) c->locals.data[local].flags |= RL_LOCAL_KEPT;
}

static rl_ir_t use_binding(rl_checker_t* c, const rl_binding_t* binding, rl_span_t span, bool called) {
    if (binding->kind == RL_BOUND_LOCAL) note_resume(c, binding->index, called);
    if (binding->kind == RL_BOUND_LOCAL) return rl_read_local(c, binding->index, span.start);
    rl_type_t type;
    return rl_local_fn_use(c, binding->index, span.start, c->local_fns.data[binding->index].is_thunk, &type);
}

rl_ir_t rl_infer_name(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    rl_sym_t name = rl_tree_name(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    const rl_binding_t* binding = rl_find_binding(c, name);
    if (binding) return use_binding(c, binding, span, false);
    uint32_t item = rl_find_item(c, 1, name);
    if (item) return rl_use_item(c, item, node, span, expected);
    rl_special_t special = rl_find_special(c, 0, name);
    if (special) return rl_special_value(c, special, node, span, expected);
    rl_type_t self;
    rl_fn_id_t assumed = rl_find_assumed_function(c, name, &self);
    if (assumed) {
        c->bind_self = self;
        return rl_function_value(c, assumed, span);
    }
    rl_report_unresolved(c, name, span, 1);
    return rl_ir_error(c, span.start);
}

/* --- fields, tuples, index ---------------------------------------------------------------------------------------- */

static const struct {
    const char* name;
    int64_t nanoseconds;
} units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"min", 60000000000}, {"h", 3600000000000},
    {"d", 86400000000000}};

static rl_ir_t duration(rl_checker_t* c, rl_ir_t left, rl_type_t type, int64_t factor, rl_span_t span) {
    const rl_ir_node_t made = *rl_program_node(c->program, left);
    if (made.op == RL_IR_INT || made.op == RL_IR_FLOAT) {
        uint64_t bits = (uint64_t)made.b << 32 | made.a;
        double exact;
        memcpy(&exact, &bits, sizeof exact);
        int64_t value;
        bool fits;
        if (made.op == RL_IR_INT) {
            fits = !__builtin_mul_overflow((int64_t)bits, factor, &value);
        } else {
            double scaled = round(exact * (double)factor);
            fits = scaled >= -9223372036854775808.0 && scaled < 9223372036854775808.0;
            value = fits ? (int64_t)scaled : 0;
        }
        if (fits) return rl_ir_int(c, RL_TYPE_DURATION, made.start, (uint64_t)value);
    }
    /* not a constant: through the functions of Duration */
    rl_fn_id_t from_nanos = rl_program_find_method(
        c->program, 0x80000000u | RL_TYPE_DURATION, rl_sym_find(c->symbols, RL_STR("from_nanos")));
    rl_ir_t nanos = left;
    if (type == RL_TYPE_F64) {
        rl_fn_id_t to_round =
            rl_program_find_method(c->program, 0x80000000u | RL_TYPE_F64, rl_sym_find(c->symbols, RL_STR("round")));
        uint64_t bits;
        double scale = (double)factor;
        memcpy(&bits, &scale, sizeof bits);
        rl_ir_t factor_node =
            rl_ir_make(c, RL_IR_FLOAT, RL_TYPE_F64, made.start, (uint32_t)bits, (uint32_t)(bits >> 32), 0);
        rl_ir_t product = rl_ir_make(c, RL_IR_MUL, RL_TYPE_F64, made.start, left, factor_node, 0);
        if (to_round) product = rl_ir_call(c, RL_TYPE_F64, made.start, to_round, 0, &product, 1);
        nanos = rl_ir_make(c, RL_IR_CAST, RL_TYPE_I64, made.start, product, 0, 0);
    } else if (factor != 1 || made.op == RL_IR_INT) {
        nanos = rl_ir_make(
            c, RL_IR_MUL, RL_TYPE_I64, made.start, left, rl_ir_int(c, RL_TYPE_I64, made.start, (uint64_t)factor), 0);
    }
    if (!from_nanos) {
        rl_unsupported(c, span, "durations of values that are no literals are");
        return rl_ir_error(c, span.start);
    }
    return rl_ir_call(c, RL_TYPE_DURATION, made.start, from_nanos, 0, &nanos, 1);
}

static void offer_fields(rl_checker_t* c, rl_type_t type, rl_nearest_t* nearest) {
    const rl_type_node_t node = *rl_type_node(c->types, type);
    if (node.kind == RL_TYPE_RECORD || node.kind == RL_TYPE_OPEN) {
        for (uint32_t i = 0; i < node.count; i++) rl_nearest_offer(c, nearest, rl_type_args(c->types, type)[2 * i]);
    } else if (node.kind == RL_TYPE_NAMED) {
        const rl_typedef_t* def = rl_program_typedef(c->program, node.a);
        if (def->kind != RL_DEF_RECORD && def->kind != RL_DEF_STRUCT) return;
        const rl_variant_t* variant = rl_program_variant(c->program, def->variant_first);
        for (uint32_t i = 0; i < variant->field_count; i++)
            rl_nearest_offer(c, nearest, rl_program_field(c->program, variant->field_first + i)->name);
    }
}

rl_ir_t rl_infer_field(rl_checker_t* c, rl_ir_t left, rl_sym_t name, rl_node_t node) {
    rl_type_t type = rl_settled_type(c, left), found;
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t start = data.start;
    rl_str_t text = rl_text(c, name);
    rl_span_t name_span = {data.end >= text.length ? data.end - (uint32_t)text.length : data.start, data.end};
    rl_type_kind_t kind = rl_type_kind(c->types, type);
    if (type == RL_TYPE_ERROR) return rl_ir_error(c, start);
    if (type == RL_TYPE_NEVER) return left;
    if (kind == RL_TYPE_VAR || kind == RL_TYPE_PARAM) {
        rl_type_t field = rl_fresh(c, name_span);
        rl_note_constraint(c, RL_REASON_FIELD, type, 0);
        rl_unify_result_t result = rl_solver_require_field(&c->solver, type, name, field, name_span);
        if (result == RL_UNIFY_OK) return rl_ir_make(c, RL_IR_FIELD, field, start, left, name, 0);
    } else if (kind == RL_TYPE_RECORD || kind == RL_TYPE_OPEN || kind == RL_TYPE_NAMED) {
        if (rl_type_find_field(c->program, rl_solver_zonk(&c->solver, type), name, &found))
            return rl_ir_make(c, RL_IR_FIELD, found, start, left, name, 0);
    } else if (kind == RL_TYPE_ANY) {
        rl_report(c->diags, RL_CODE_TYPE_ANY_MEMBER, name_span, "a value of type Any has no members");
        return rl_ir_error(c, start);
    } else if (type == RL_TYPE_I64 || type == RL_TYPE_F64) {
        for (size_t i = 0; i < RL_COUNT_OF(units); i++) {
            if (rl_str_equal(text, rl_str(units[i].name)))
                return duration(c, left, type, units[i].nanoseconds, name_span);
        }
    }
    bool universal = name == c->sym_to_string || name == c->sym_clone || name == c->sym_debug || name == c->sym_to_json;
    bool reported = false;
    if (rl_find_method(c, type, name) || universal ||
        rl_find_trait_function(c, type, name, true, name_span, &reported) || reported) {
        if (reported) return rl_ir_error(c, start);
        rl_report(c->diags, RL_CODE_TYPE_METHOD_NOT_CALLED, name_span, "%.*s is a method: write .%.*s(…)",
            RL_STR_ARG(text), RL_STR_ARG(text));
        return rl_ir_error(c, start);
    }
    rl_code_t code = rl_cfg_code(c, name, true, RL_CODE_TYPE_RECORD_ACCESS_UNKNOWN_FIELD);
    rl_diag_t* diag = rl_report(c->diags, code, name_span, "%s has no field %.*s", rl_show(c, type), RL_STR_ARG(text));
    rl_nearest_t nearest = {text, 0, 3};
    offer_fields(c, type, &nearest);
    rl_fix_nearest(c, diag, &nearest, name_span);
    return rl_ir_error(c, start);
}

rl_type_t rl_tuple_element(rl_checker_t* c, rl_type_t tuple, rl_node_t node, uint32_t index) {
    rl_type_t head = rl_head(c, tuple);
    const rl_type_node_t type = *rl_type_node(c->types, head);
    rl_span_t span = rl_span_of(c, node);
    if (head == RL_TYPE_ERROR) return head;
    if (type.kind == RL_TYPE_VAR) {
        rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, span, "the type of this tuple is not known here");
        return RL_TYPE_ERROR;
    }
    if (type.kind == RL_TYPE_ANY) {
        rl_report(c->diags, RL_CODE_TYPE_ANY_MEMBER, span, "a value of type Any has no members");
        return RL_TYPE_ERROR;
    }
    if (type.kind == RL_TYPE_TUPLE && index < type.count && !rl_tree_has(c->tree, node, RL_BAD))
        return rl_type_args(c->types, head)[index];
    rl_report(c->diags, RL_CODE_TYPE_TUPLE_INDEX, span, "%s has no element %u", rl_show(c, head), index);
    return RL_TYPE_ERROR;
}

bool rl_check_index(
    rl_checker_t* c, rl_type_t container, rl_span_t span, rl_node_t index, rl_ir_t* out_index, rl_type_t* out_element) {
    const rl_known_t* known = &c->program->known;
    rl_type_t a, b;
    rl_type_kind_t kind = rl_type_kind(c->types, container);
    *out_index = 0;
    *out_element = RL_TYPE_ERROR;
    if (container != RL_TYPE_ERROR && container != RL_TYPE_NEVER) {
        if (kind == RL_TYPE_ARRAY) *out_element = rl_type_args(c->types, container)[0];
        else if (rl_is_named(c, container, known->list, &a, NULL) || rl_is_named(c, container, known->vec, &a, NULL))
            *out_element = a;
        else if (container == RL_TYPE_BYTES) *out_element = RL_TYPE_I64;
        else if (rl_is_named(c, container, known->map, &a, &b) || rl_is_named(c, container, known->table, &a, &b)) {
            *out_element = b;
            bool table = rl_is_named(c, container, known->table, NULL, NULL);
            *out_index = rl_check_expr(c, index, a, RL_CODE_TYPE_MISMATCH);
            return rl_require(c, a, RL_CON_EQ | (table ? RL_CON_HASH : RL_CON_ORD), rl_span_of(c, index));
        } else if (kind == RL_TYPE_VAR) {
            rl_report(
                c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, span, "the type of what is indexed is not known here");
        } else if (kind == RL_TYPE_ANY) {
            rl_report(c->diags, RL_CODE_TYPE_ANY_MEMBER, span, "a value of type Any has no members");
        } else {
            rl_diag_t* diag = rl_report(
                c->diags, RL_CODE_TYPE_INDEX_UNSUPPORTED, span, "%s cannot be indexed", rl_show(c, container));
            if (container == RL_TYPE_STR)
                rl_note_plain(c->diags, diag, "use .char_at(i), which answers an Option<Char>");
        }
    }
    if (*out_element == RL_TYPE_ERROR) {
        *out_index = rl_infer_expr(c, index, 0);
        return false;
    }
    *out_index = rl_check_expr(c, index, RL_TYPE_I64, RL_CODE_TYPE_MISMATCH);
    return true;
}

rl_ir_t rl_infer_index(rl_checker_t* c, rl_ir_t left, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_type_t type = rl_settled_type(c, left), element;
    rl_ir_t index;
    rl_span_t span = {data.start, rl_tree_node(c->tree, data.a)->end};
    if (!rl_check_index(c, type, span, data.b, &index, &element)) return rl_ir_error(c, data.start);
    return rl_ir_make(c, RL_IR_INDEX, element, data.start, left, index, 0);
}

/* --- ? ------------------------------------------------------------------------------------------------------------ */

/* match operand with Ok(x) -> x | Err(e) -> leave */
static rl_ir_t unpack(rl_checker_t* c, rl_ir_t operand, rl_type_t type, rl_type_t payload, rl_type_t error,
    uint32_t home, uint32_t start) {
    rl_frame_t frame = c->frames.data[home];
    bool option = rl_named_id(c, type) == c->program->known.option;
    rl_typedef_id_t id = rl_named_id(c, type);
    rl_span_t span = {start, start};
    uint32_t value = rl_new_local(c, 0, payload, 0, span);
    rl_ir_t bind = rl_ir_make(c, RL_PAT_BIND, payload, start, value, 0, 0);
    rl_ir_t good = rl_ir_make(c, RL_PAT_VARIANT, type, start, rl_extra_put(c, &bind, 1), 1,
        rl_variant_tag(c, id, option ? c->sym_some : c->sym_ok));
    rl_ir_t good_body = rl_ir_make(c, RL_IR_LOCAL, payload, start, value, 0, 0);
    rl_ir_t bad, left;
    uint32_t bad_tag = rl_variant_tag(c, id, option ? c->sym_none : c->sym_err);
    if (option) {
        bad = rl_ir_make(c, RL_PAT_VARIANT, type, start, 0, 0, bad_tag);
        left = frame.kind == RL_FRAME_INIT ? rl_ir_string(c, start, RL_STR("None"))
                                           : rl_make_variant(c, frame.result, bad_tag, NULL, 0, start);
    } else {
        uint32_t local = rl_new_local(c, 0, error, 0, span);
        rl_ir_t bind_error = rl_ir_make(c, RL_PAT_BIND, error, start, local, 0, 0);
        bad = rl_ir_make(c, RL_PAT_VARIANT, type, start, rl_extra_put(c, &bind_error, 1), 1, bad_tag);
        rl_ir_t text = rl_ir_make(c, RL_IR_LOCAL, error, start, local, 0, 0);
        left = frame.kind == RL_FRAME_INIT ? rl_to_string(c, text, false, start)
                                           : rl_make_variant(c, frame.result, bad_tag, &text, 1, start);
    }
    rl_ir_t leave = frame.kind == RL_FRAME_INIT
                        ? rl_ir_make(c, RL_IR_PANIC, RL_TYPE_NEVER, start, left, RL_CODE_RUNTIME_INIT_FAILED, 0)
                        : rl_leave(c, RL_IR_RETURN, left, home, start);
    uint32_t arms[6] = {good, 0, good_body, bad, 0, leave};
    return rl_ir_make(c, RL_IR_MATCH, payload, start, operand, rl_extra_put(c, arms, 6), 2);
}

rl_ir_t rl_infer_try(rl_checker_t* c, rl_ir_t operand, rl_node_t node, bool tail) {
    const rl_known_t* known = &c->program->known;
    rl_span_t span = rl_span_of(c, node);
    rl_type_t type = rl_settled_type(c, operand), payload = 0, error = 0;
    if (type == RL_TYPE_ERROR || type == RL_TYPE_NEVER) return operand;
    if (rl_type_kind(c->types, type) == RL_TYPE_VAR) {
        rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, span, "the type of the operand of ? is not known here");
        return rl_ir_error(c, span.start);
    }
    bool option = rl_is_named(c, type, known->option, &payload, NULL);
    if (!option && !rl_is_named(c, type, known->result, &payload, &error)) {
        rl_report(
            c->diags, RL_CODE_TYPE_TRY_UNSUPPORTED, span, "? needs an Option or a Result, found %s", rl_show(c, type));
        return rl_ir_error(c, span.start);
    }
    uint32_t index = rl_home_frame(c);
    rl_frame_t* frame = &c->frames.data[index];
    if (frame->kind == RL_FRAME_INIT) return unpack(c, operand, type, payload, error, index, span.start);
    if (frame->kind == RL_FRAME_HANDLER) {
        rl_report(c->diags, RL_CODE_LANGUAGE_CONTROL_FLOW_INVALID_RETURN, span, "? outside of a function");
        return rl_ir_error(c, span.start);
    }
    frame->has_try = true;
    rl_type_t result = rl_head(c, frame->result);
    bool open = rl_type_kind(c->types, result) == RL_TYPE_VAR;
    if (tail && !open && !rl_is_var(c, payload)) {
        /* an ordinary `?` only when the payload already is what the function answers */
        uint32_t mark = rl_solver_mark(&c->solver);
        bool same = rl_unify(&c->solver, payload, result) == RL_UNIFY_OK;
        rl_solver_rollback(&c->solver, mark);
        if (same) tail = false;
    }
    if (open) {
        if (tail) return operand;
        rl_type_t carrier = option ? rl_named1(c, known->option, rl_fresh(c, span))
                                   : rl_named2(c, known->result, rl_fresh(c, span), error);
        rl_unify_at(c, frame->result, carrier, span, RL_CODE_TYPE_TRY_CARRIER_MISMATCH);
        result = rl_head(c, c->frames.data[index].result);
    }
    rl_type_t result_error;
    if (option ? !rl_is_named(c, result, known->option, NULL, NULL)
               : !rl_is_named(c, result, known->result, NULL, &result_error)) {
        if (result != RL_TYPE_ERROR) {
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_TRY_CARRIER_MISMATCH, span,
                "? on %s needs a function that answers %s, this one answers %s", rl_show(c, type),
                option ? "an Option" : "a Result", rl_show(c, result));
            rl_note_plain(c->diags, diag, "the result type is %s", rl_show(c, result));
        }
        return rl_ir_error(c, span.start);
    }
    if (!option && rl_unify(&c->solver, result_error, error) != RL_UNIFY_OK) {
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_TRY_ERROR_MISMATCH, span,
            "? on %s: the function answers errors of type %s", rl_show(c, type), rl_show(c, result_error));
        rl_note_plain(c->diags, diag, "expected: %s", rl_show(c, result_error));
        rl_note_plain(c->diags, diag, "found: %s", rl_show(c, error));
        return rl_ir_error(c, span.start);
    }
    if (tail) return operand;
    return unpack(c, operand, type, payload, error, index, span.start);
}

/* --- chains ------------------------------------------------------------------------------------------------------- */

typedef enum state_kind {
    STATE_VALUE,
    STATE_ITEM,  /* item of namespace 1 */
    STATE_SCOPE, /* module and/or type that stands before a dot */
    STATE_FN,    /* function found through a type or trait */
    STATE_CTOR,  /* constructor found through a type: item of it made up on the fly */
    STATE_LOCAL_FN,
    STATE_SPECIAL,
    STATE_LOOSE, /* a name that nothing has: perhaps a function of its first argument's core module (8.2) */
    STATE_MEMBER /* receiver.name before a call */
} state_kind_t;

typedef struct state {
    state_kind_t kind;
    rl_ir_t ir;
    uint32_t item;         /* ITEM; SCOPE: value of that name, 0 none */
    rl_module_id_t module; /* SCOPE */
    uint32_t type_item;    /* SCOPE: typedef item, 0 none */
    rl_type_t simple;      /* SCOPE: simple type */
    rl_type_t generic;     /* SCOPE: type parameter, or Self that has no name */
    rl_trait_id_t trait;   /* SCOPE: trait */
    rl_type_t self;        /* FN of a trait: Self, 0: whichever it is; SPECIAL: what it is asked of, 0: anything */
    bool is_self;          /* SCOPE: written `Self` */
    rl_sym_t name;         /* SCOPE: its dotted text; MEMBER: the member */
    rl_fn_id_t fn;
    rl_special_t special;
    uint32_t local_fn;
    rl_node_t node;
    rl_span_t span, name_span;
} state_t;

static state_t value_state(rl_ir_t ir, rl_node_t node, rl_span_t span) {
    return (state_t){.kind = STATE_VALUE, .ir = ir, .node = node, .span = span};
}

/* A constructor reached as `Type.C` is called like the item of that constructor in its own module. */
static uint32_t variant_item(rl_checker_t* c, rl_typedef_id_t id, uint32_t tag) {
    const rl_typedef_t def = *rl_program_typedef(c->program, id);
    rl_sym_t name = rl_program_variant(c->program, def.variant_first + tag)->name;
    for (uint32_t at = rl_program_find(c->program, def.module, 1, name); at;
        at = rl_program_item(c->program, at)->next) {
        const rl_item_t* item = rl_program_item(c->program, at);
        if (item->kind == RL_ITEM_VARIANT && item->id == id && item->variant == tag) return at;
    }
    return 0;
}

/* The type of an item, its arguments open. */
static rl_type_t fresh_type(rl_checker_t* c, uint32_t item, rl_span_t span) {
    rl_typedef_id_t id = rl_program_item(c->program, item)->id;
    uint32_t count = rl_program_typedef(c->program, id)->type_params, mark = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, rl_fresh(c, span));
    rl_type_t type = RL_TYPE_ERROR;
    if (!rl_failed(c)) {
        const rl_typedef_t def = *rl_program_typedef(c->program, id);
        type = def.kind == RL_DEF_ALIAS ? rl_type_substitute(c->types, def.target, c->scratch.data + mark, count)
                                        : rl_type_named(c->types, id, c->scratch.data + mark, count);
    }
    c->scratch.count = mark;
    return type;
}

static bool find_in_type(rl_checker_t* c, state_t* scope, rl_sym_t name, rl_span_t name_span, state_t* out) {
    uint32_t head = 0;
    if (scope->type_item) {
        rl_typedef_id_t id = rl_program_item(c->program, scope->type_item)->id;
        rl_typedef_t def = *rl_program_typedef(c->program, id);
        if (def.kind == RL_DEF_ALIAS) {
            rl_resolve_typedef(c, id);
            head = rl_method_head(c, rl_program_typedef(c->program, id)->target);
            if (head && !(head & 0x80000000u)) {
                id = head;
                def = *rl_program_typedef(c->program, id);
            }
        } else {
            head = id;
        }
        if (def.kind == RL_DEF_SUM || def.kind == RL_DEF_NEWTYPE) {
            for (uint32_t tag = 0; tag < def.variant_count; tag++) {
                if (rl_program_variant(c->program, def.variant_first + tag)->name != name) continue;
                if (!rl_check_visible(c, scope->type_item, name_span)) return true;
                out->kind = STATE_CTOR;
                out->item = variant_item(c, id, tag);
                return true;
            }
        }
    } else if (scope->simple) {
        head = 0x80000000u | scope->simple;
    }
    rl_fn_id_t fn = head ? rl_program_find_method(c->program, head, name) : 0;
    bool core = fn && fn < c->program->first_fn, reported;
    if (!fn || core) { /* traits come before the core's own functions */
        rl_type_t self = scope->simple      ? scope->simple
                         : scope->type_item ? fresh_type(c, scope->type_item, name_span)
                                            : 0;
        if (scope->is_self) self = c->self_type;
        rl_fn_id_t of_trait = self ? rl_find_trait_function(c, self, name, false, name_span, &reported) : 0;
        if (of_trait) {
            out->kind = STATE_FN;
            out->fn = of_trait;
            out->self = self;
            return true;
        }
    }
    if (!fn) return false;
    const rl_function_t* function = rl_program_function(c->program, fn);
    if (!(function->flags & RL_FN_PUBLIC) && function->module != c->module) {
        rl_str_t text = rl_text(c, name);
        rl_report(c->diags, RL_CODE_LANGUAGE_VISIBILITY_PRIVATE, name_span, "%.*s is private to its module",
            RL_STR_ARG(text));
    }
    out->kind = STATE_FN;
    out->fn = fn;
    return true;
}

/* scope.name */
static state_t step_into(rl_checker_t* c, state_t scope, rl_sym_t name, rl_node_t node, rl_span_t name_span) {
    state_t out = {.node = node, .span = rl_span_of(c, node), .name_span = name_span};
    if (scope.name == c->sym_core && !scope.module) { /* Core.Collections.List, Core.Data.Json: folders */
        static const char* const folders[] = {"Data", "System", "Collection", "Collections"};
        for (size_t i = 0; i < RL_COUNT_OF(folders); i++) {
            if (!rl_str_equal(rl_text(c, name), rl_str(folders[i]))) continue;
            out.kind = STATE_SCOPE;
            out.name = c->sym_core;
            return out;
        }
    }
    rl_special_t special = rl_find_special(c, scope.name, name);
    if (special) {
        out.kind = STATE_SPECIAL;
        out.special = special;
        return out;
    }
    if (scope.module) {
        uint32_t trait = rl_find_in_module(c, scope.module, 0, name);
        if (trait && rl_program_item(c->program, trait)->kind == RL_ITEM_TRAIT &&
            rl_check_visible(c, trait, name_span)) {
            out.kind = STATE_SCOPE;
            out.trait = rl_program_item(c->program, trait)->id;
            out.name = name;
            return out;
        }
        uint32_t value = rl_find_in_module(c, scope.module, 1, name), type = rl_find_type_in(c, scope.module, name),
                 inner = rl_find_in_module(c, scope.module, 2, name);
        if (value) {
            out.kind = STATE_ITEM;
            out.item = value;
            return out;
        }
        if (type || inner) {
            out.kind = STATE_SCOPE;
            out.type_item = type;
            out.module = inner ? rl_program_item(c->program, inner)->id : 0;
            out.name = name;
            return out;
        }
    }
    if ((scope.type_item || scope.simple) && find_in_type(c, &scope, name, name_span, &out)) return out;
    if (scope.generic || scope.trait) {
        bool reported = false;
        out.fn = scope.trait ? rl_trait_function(c, scope.trait, name)
                             : rl_find_trait_function(c, scope.generic, name, false, name_span, &reported);
        if (out.fn || reported) {
            out.kind = STATE_FN;
            out.self = scope.generic;
            if (reported) return value_state(rl_ir_error(c, out.span.start), node, out.span);
            return out;
        }
    }
    rl_sym_t dotted = rl_join_names(c, scope.name, name, false);
    uint32_t item = dotted ? rl_find_item(c, 1, dotted) : 0;
    if (!item && dotted && scope.module) item = rl_find_in_module(c, scope.module, 1, dotted);
    if (!item && scope.module && rl_program_module(c->program, scope.module)->ambient) { /* `use Core.Time as T` */
        rl_str_t path = rl_text(c, rl_program_module(c->program, scope.module)->path);
        size_t start = path.length;
        while (start > 0 && path.data[start - 1] != '.') start--;
        rl_sym_t last = rl_sym_find(c->symbols, (rl_str_t){path.data + start, path.length - start});
        rl_sym_t own = last ? rl_join_names(c, last, name, false) : 0;
        if (own) item = rl_find_in_module(c, scope.module, 1, own);
    }
    if (item) {
        out.kind = STATE_ITEM;
        out.item = item;
        return out;
    }
    rl_module_id_t module = dotted ? rl_find_module_path(c, dotted) : 0;
    bool core = scope.name == c->sym_core || (scope.module && rl_program_module(c->program, scope.module)->ambient);
    uint32_t type = core ? rl_find_type_item(c, name) : 0;
    rl_type_t simple = core ? rl_simple_type(c, name) : 0;
    uint32_t ambient_module = core && !module ? rl_find_item(c, 2, name) : 0;
    if (ambient_module) module = rl_program_item(c->program, ambient_module)->id;
    if (module || type || simple) {
        out.kind = STATE_SCOPE;
        out.module = module;
        out.type_item = type;
        out.simple = type ? 0 : simple;
        out.name = core && !module ? name : dotted ? dotted : name;
        return out;
    }
    if ((scope.type_item || scope.simple) &&
        (name == c->sym_to_string || name == c->sym_debug)) { /* every type has them */
        out.kind = STATE_SPECIAL;
        out.special = name == c->sym_debug ? RL_SPECIAL_DEBUG : RL_SPECIAL_TO_STRING;
        out.self = scope.simple;
        return out;
    }
    rl_str_t owner = rl_text(c, scope.name), text = rl_text(c, name);
    rl_code_t code = rl_cfg_code(c, name, false, RL_CODE_TYPE_UNRESOLVED_IDENT);
    rl_diag_t* diag =
        rl_report(c->diags, code, name_span, "%.*s has no member %.*s", RL_STR_ARG(owner), RL_STR_ARG(text));
    rl_nearest_t nearest = {text, 0, 3};
    if (scope.type_item) {
        rl_typedef_t def = *rl_program_typedef(c->program, rl_program_item(c->program, scope.type_item)->id);
        for (uint32_t tag = 0; tag < def.variant_count; tag++)
            rl_nearest_offer(c, &nearest, rl_program_variant(c->program, def.variant_first + tag)->name);
    }
    for (uint32_t i = 0; scope.module && !rl_diags_full(c) && i < c->program->items.count; i++) {
        const rl_item_t* entry = &c->program->items.data[i];
        if (entry->module == scope.module && entry->is_public) rl_nearest_offer(c, &nearest, entry->name);
    }
    rl_fix_nearest(c, diag, &nearest, name_span);
    return value_state(rl_ir_error(c, out.span.start), node, out.span);
}

static state_t start_of_chain(rl_checker_t* c, rl_node_t base, bool before_dot, bool called) {
    rl_span_t span = rl_span_of(c, base);
    const rl_node_data_t data = *rl_tree_node(c->tree, base);
    if (data.kind != RL_NODE_NAME) return value_state(rl_infer_expr(c, base, 0), base, span);
    rl_sym_t name = data.a;
    const rl_binding_t* binding = rl_find_binding(c, name);
    state_t state = {.node = base, .span = span, .name_span = span, .name = name};
    if (binding) {
        if (binding->kind == RL_BOUND_LOCAL_FN && !before_dot && !c->local_fns.data[binding->index].is_thunk) {
            state.kind = STATE_LOCAL_FN;
            state.local_fn = binding->index;
            return state;
        }
        return value_state(use_binding(c, binding, span, called), base, span);
    }
    uint32_t value = rl_find_item(c, 1, name);
    if (before_dot && !(data.flags & RL_KEYWORD)) {
        bool upper = (data.flags & RL_UPPER) != 0;
        uint32_t module = rl_find_item(c, 2, name), type = rl_find_type_item(c, name);
        rl_type_t simple = type ? 0 : rl_simple_type(c, name), generic = 0;
        uint32_t trait_item = type ? 0 : rl_find_trait_item(c, name);
        if (name == c->sym_Self && c->self_type) {
            uint32_t head = rl_method_head(c, c->self_type);
            if (head & 0x80000000u) simple = head & 0x7FFFFFFFu;
            else type = rl_self_item(c);
            if (!type && !simple) generic = c->self_type;
            state.is_self = true;
        }
        for (uint32_t i = c->generics.count; i-- > 0 && !generic;) {
            if (c->generics.data[i].name == name && name != c->sym_Self) generic = c->generics.data[i].type;
        }
        if (generic) type = simple = trait_item = 0;
        bool scoped = module || type || simple || generic || trait_item || name == c->sym_core;
        if (!scoped && !value) { /* functions called by a dotted path need no module of that name */
            rl_str_t text = rl_text(c, name);
            scoped = text.length > 0 && !rl_find_special(c, 0, name);
        }
        if (upper ? scoped : !value && scoped) {
            bool only_dotted = !(module || type || simple || generic || trait_item || name == c->sym_core);
            if (!only_dotted || !value) {
                state.kind = STATE_SCOPE;
                state.module = module ? rl_program_item(c->program, module)->id : 0;
                state.type_item = type;
                state.simple = simple;
                state.generic = generic;
                state.trait = trait_item ? rl_program_item(c->program, trait_item)->id : 0;
                state.item = value;
                if (only_dotted) state.fn = 1; /* nothing of that name: reported when the member is not found either */
                return state;
            }
        }
    }
    if (value) {
        state.kind = STATE_ITEM;
        state.item = value;
        return state;
    }
    rl_special_t special = rl_find_special(c, 0, name);
    if (special) {
        state.kind = STATE_SPECIAL;
        state.special = special;
        return state;
    }
    state.fn = rl_find_assumed_function(c, name, &state.self);
    if (state.fn) {
        state.kind = STATE_FN;
        return state;
    }
    if (called) {
        state.kind = STATE_LOOSE;
        return state;
    }
    rl_report_unresolved(c, name, span, 1);
    return value_state(rl_ir_error(c, span.start), base, span);
}

static rl_ir_t to_value(rl_checker_t* c, const state_t* state, rl_type_t expected) {
    switch (state->kind) {
    case STATE_VALUE: return state->ir;
    case STATE_ITEM: return rl_use_item(c, state->item, state->node, state->span, expected);
    case STATE_FN: c->bind_self = state->self; return rl_function_value(c, state->fn, state->span);
    case STATE_CTOR: return rl_construct(c, state->item, NULL, 0, false, state->node, state->span, expected);
    case STATE_SPECIAL: return rl_special_value(c, state->special, state->node, state->span, expected);
    case STATE_LOCAL_FN: {
        rl_type_t type;
        return rl_local_fn_use(c, state->local_fn, state->span.start, false, &type);
    }
    case STATE_SCOPE: {
        if (state->item) return rl_use_item(c, state->item, state->node, state->span, expected);
        rl_str_t text = rl_text(c, state->name);
        rl_report(c->diags, RL_CODE_TYPE_UNRESOLVED_IDENT, state->span, "%.*s is not a value", RL_STR_ARG(text));
        return rl_ir_error(c, state->span.start);
    }
    case STATE_LOOSE: rl_report_unresolved(c, state->name, state->span, 1); return rl_ir_error(c, state->span.start);
    case STATE_MEMBER: return rl_infer_field(c, state->ir, state->name, state->node);
    }
    return rl_ir_error(c, state->span.start);
}

static rl_ir_t call_state(
    rl_checker_t* c, const state_t* state, rl_arg_t* args, uint32_t count, rl_node_t node, rl_type_t expected) {
    rl_span_t span = rl_span_of(c, node);
    switch (state->kind) {
    case STATE_ITEM: return rl_call_item(c, state->item, args, count, node, span, expected);
    case STATE_FN: c->bind_self = state->self; return rl_call_function(c, state->fn, args, count, node, span, expected);
    case STATE_CTOR: return rl_construct(c, state->item, args, count, true, node, span, expected);
    case STATE_LOCAL_FN: return rl_call_local_fn(c, state->local_fn, args, count, node, span, expected);
    case STATE_SPECIAL:
        if (state->self && count == 1 && !args[0].name && !args[0].ir)
            args[0].ir = rl_check_expr(c, args[0].node, state->self, RL_CODE_TYPE_MISMATCH);
        return rl_call_special(c, state->special, args, count, node, span, expected);
    case STATE_LOOSE: return rl_call_loose(c, state->name, state->name_span, args, count, node, span, expected);
    case STATE_MEMBER:
        return rl_call_method(c, state->ir, state->name, state->name_span, args, count, node, span, expected);
    default: return rl_call_value(c, to_value(c, state, 0), args, count, node, span, expected);
    }
}

/* May the piped value stand directly as first argument: nothing else is evaluated before it? */
static bool static_callee(const state_t* state) {
    return state->kind == STATE_ITEM || state->kind == STATE_FN || state->kind == STATE_CTOR ||
           state->kind == STATE_LOCAL_FN || state->kind == STATE_SPECIAL || state->kind == STATE_LOOSE;
}

static uint32_t count_holes(rl_checker_t* c, rl_list_t list) {
    uint32_t count = rl_tree_list_count(c->tree, list), holes = 0;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t arg = rl_tree_list_at(c->tree, list, i);
        if (rl_tree_kind(c->tree, arg) == RL_NODE_NAMED_ARG) arg = rl_tree_node(c->tree, arg)->b;
        holes += rl_tree_kind(c->tree, arg) == RL_NODE_HOLE;
    }
    return holes;
}

typedef struct chain {
    rl_type_t expected;
    bool tail;
    rl_ir_t pipe;        /* value that the first call takes; 0: no stage of a pipe */
    rl_node_t hole_call; /* call whose holes are `holes` */
    const rl_ir_t* holes;
    uint32_t hole_count;
} chain_t;

static rl_ir_t infer_chain(rl_checker_t* c, rl_node_t node, chain_t chain);

/* f(_, 3) outside a pipe: |x| f(x, 3) */
static rl_ir_t hole_lambda(rl_checker_t* c, rl_node_t node, uint32_t holes, rl_type_t expected) {
    rl_span_t span = rl_span_of(c, node);
    rl_fn_id_t fn = rl_new_function(c, 0, RL_FN_LAMBDA, span);
    uint32_t outer = c->frame;
    rl_type_t head = expected ? rl_head(c, expected) : 0, type = RL_TYPE_ERROR;
    bool fits = head && rl_type_kind(c->types, head) == RL_TYPE_FUNCTION && rl_arg_count_of(c, head) == holes;
    RL_VEC(rl_type_t) types = {0};
    RL_VEC(rl_ir_t) values = {0};
    uint32_t frame = rl_frame_push(c, RL_FRAME_LAMBDA, fn);
    c->frames.data[frame].result = fits ? rl_type_args(c->types, head)[holes] : rl_fresh(c, span);
    for (uint32_t i = 0; i < holes; i++)
        (void)rl_vec_push(c->allocator, &types, fits ? rl_type_args(c->types, head)[i] : rl_fresh(c, span));
    uint32_t first = c->locals.count;
    for (uint32_t i = 0; i < holes && !rl_failed(c); i++) rl_new_local(c, 0, types.data[i], RL_LOCAL_IS_PARAM, span);
    for (uint32_t i = 0; i < holes && !rl_failed(c); i++)
        (void)rl_vec_push(c->allocator, &values, rl_read_local(c, first + i, span.start));
    if (!rl_failed(c)) {
        rl_type_t result = c->frames.data[frame].result;
        chain_t inner = {.expected = rl_is_var(c, result) ? 0 : result,
            .hole_call = node,
            .holes = values.data,
            .hole_count = holes};
        rl_ir_t body = infer_chain(c, node, inner);
        body = rl_convert(c, body, result, span, RL_CODE_TYPE_MISMATCH);
        (void)rl_vec_push(c->allocator, &c->tails, body);
        type = rl_type_function(c->types, types.data, holes, result);
        rl_set_params(c, fn, NULL, holes, types.data);
        rl_function_t* function = rl_function_at(c, fn);
        if (function) {
            function->body = body;
            function->result = result;
        }
    }
    rl_frame_pop(c);
    c->frame = outer;
    rl_vec_deinit(c->allocator, &types);
    rl_vec_deinit(c->allocator, &values);
    return rl_lambda_value(c, fn, type, span.start);
}

static rl_ir_t infer_pipe(rl_checker_t* c, rl_ir_t left, rl_node_t node, rl_type_t expected, bool tail) {
    rl_node_t stage = rl_tree_node(c->tree, node)->b;
    while (rl_tree_kind(c->tree, stage) == RL_NODE_PAREN &&
           rl_tree_kind(c->tree, rl_tree_node(c->tree, stage)->a) == RL_NODE_LAMBDA)
        stage = rl_tree_node(c->tree, stage)->a;
    if (rl_tree_kind(c->tree, stage) == RL_NODE_LAMBDA) {
        rl_span_t span = rl_span_of(c, node);
        rl_type_t from = rl_type_at(c, left), result = expected ? expected : rl_fresh(c, span);
        rl_type_t wanted = rl_type_function(c->types, &from, 1, result);
        rl_ir_t lambda = rl_check_lambda(c, stage, wanted);
        rl_arg_t arg = {.ir = left, .span = rl_span_of(c, rl_tree_node(c->tree, node)->a)};
        return rl_call_value(c, lambda, &arg, 1, node, span, expected);
    }
    chain_t chain = {.expected = expected, .tail = tail, .pipe = left};
    return infer_chain(c, stage, chain);
}

/* One call of the chain. The piped value, if any, goes to the holes or in front. */
static rl_ir_t infer_call(rl_checker_t* c, const state_t* callee, rl_node_t node, rl_ir_t pipe, const chain_t* chain,
    rl_type_t expected, bool is_call_node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_ir_t bind = 0;
    rl_list_t list = is_call_node ? data.b : 0;
    rl_words_mark_t words = rl_words_mark(c);
    rl_args_t args = {0};
    args.capacity = rl_tree_list_count(c->tree, list) + 1; /* and what is piped in */
    args.data = rl_arg_words(c, args.capacity);
    if (!args.data) return rl_ir_error(c, data.start);
    rl_ir_t piped = pipe;
    rl_span_t pipe_span = rl_span_of(c, node);
    if (pipe) {
        uint32_t holes = count_holes(c, list);
        if (holes || !static_callee(callee)) {
            rl_type_t type = rl_type_at(c, pipe);
            uint32_t start = rl_program_node(c->program, pipe)->start;
            uint32_t local = rl_new_local(c, 0, type, 0, pipe_span);
            bind = rl_ir_make(c, RL_IR_BIND, RL_TYPE_UNIT, start, local, pipe, 0);
            piped = rl_ir_make(c, RL_IR_LOCAL, type, start, local, 0, 0);
        }
        if (!holes) (void)rl_vec_push(c->allocator, &args, (rl_arg_t){.ir = piped, .span = pipe_span});
        rl_collect_args(c, list, &piped, 1, &args);
    } else if (chain->hole_call == node) {
        rl_collect_args(c, list, chain->holes, chain->hole_count, &args);
    } else {
        rl_collect_args(c, list, NULL, 0, &args);
    }
    rl_ir_t ir =
        rl_failed(c) ? rl_ir_error(c, data.start) : call_state(c, callee, args.data, args.count, node, expected);
    rl_words_release(c, words);
    if (bind) ir = rl_ir_make(c, RL_IR_SEQUENCE, rl_type_at(c, ir), data.start, bind, ir, 0);
    return ir;
}

static rl_ir_t infer_chain(rl_checker_t* c, rl_node_t node, chain_t chain) {
    rl_words_mark_t words = rl_words_mark(c);
    rl_node_t base = node;
    uint32_t length = 0;
    while (rl_node_is_spine(rl_tree_kind(c->tree, base))) {
        length++;
        base = rl_tree_node(c->tree, base)->a;
    }
    rl_node_t* nodes = rl_words(c, length); /* outermost first */
    if (!nodes) return rl_ir_error(c, 0);
    base = node;
    for (uint32_t i = 0; i < length; i++) {
        nodes[i] = base;
        base = rl_tree_node(c->tree, base)->a;
    }
    /* The innermost call with holes is a lambda of its own; everything under it belongs to it. */
    uint32_t at = length, calls = 0;
    state_t state = {0};
    bool started = false;
    for (uint32_t i = length; i-- > 0 && !started;) {
        const rl_node_data_t* data = rl_tree_node(c->tree, nodes[i]);
        if (data->kind != RL_NODE_CALL) continue;
        calls++;
        uint32_t holes = count_holes(c, data->b);
        if (holes && nodes[i] != chain.hole_call && !(chain.pipe && calls == 1)) {
            rl_ir_t lambda = hole_lambda(c, nodes[i], holes, i == 0 ? chain.expected : 0);
            state = value_state(lambda, nodes[i], rl_span_of(c, nodes[i]));
            at = i;
            started = true;
        }
    }
    /* A stage without any argument list is called as a whole, before trailing `?`. */
    uint32_t call_before = UINT32_MAX;
    if (chain.pipe && calls == 0) {
        call_before = 0;
        while (call_before < length) {
            rl_node_kind_t kind = rl_tree_kind(c->tree, nodes[call_before]);
            if (kind != RL_NODE_TRY && kind != RL_NODE_AWAIT) break;
            call_before++;
        }
    }
    if (!started && !rl_failed(c)) {
        rl_node_kind_t first = length ? rl_tree_kind(c->tree, nodes[length - 1]) : RL_NODE_NONE;
        state = start_of_chain(
            c, base, first == RL_NODE_FIELD, first == RL_NODE_CALL || (chain.pipe && call_before == length));
    }
    rl_ir_t pipe = chain.pipe;
    for (uint32_t i = at; !rl_failed(c); i--) {
        if (i == call_before && pipe) { /* everything from nodes[i] inwards is the callee */
            rl_ir_t called =
                infer_call(c, &state, i < length ? nodes[i] : base, pipe, &chain, i == 0 ? chain.expected : 0, false);
            state = value_state(called, state.node, state.span);
            pipe = 0;
        }
        if (i == 0) break;
        rl_node_t current = nodes[i - 1];
        const rl_node_data_t data = *rl_tree_node(c->tree, current);
        rl_span_t span = rl_span_of(c, current);
        rl_note_place(c, current);
        bool outermost = i == 1;
        rl_type_t expected = outermost ? chain.expected : 0;
        rl_ir_t ir = 0;
        switch (data.kind) {
        case RL_NODE_FIELD: {
            rl_span_t name_span = rl_tree_name_span(c->tree, c->symbols, current);
            if (state.kind == STATE_SCOPE) {
                bool only_dotted = state.fn == 1;
                rl_sym_t dotted = only_dotted ? rl_join_names(c, state.name, data.b, false) : 0;
                if (only_dotted && !rl_find_special(c, state.name, data.b) && !(dotted && rl_find_item(c, 1, dotted))) {
                    bool more = i >= 2 && rl_tree_kind(c->tree, nodes[i - 2]) == RL_NODE_FIELD;
                    if (more && dotted) { /* the beginning of a longer path, perhaps */
                        state.name = dotted;
                        continue;
                    }
                    rl_node_t first = base;
                    rl_report_unresolved(c, rl_tree_name(c->tree, first), rl_span_of(c, first), 1);
                    state = value_state(rl_ir_error(c, data.start), current, span);
                } else {
                    state.fn = 0;
                    state = step_into(c, state, data.b, current, name_span);
                }
                continue;
            }
            bool called =
                (i >= 2 && rl_tree_kind(c->tree, nodes[i - 2]) == RL_NODE_CALL) || (pipe && i - 1 == call_before);
            rl_ir_t left = to_value(c, &state, 0);
            if (called) {
                state = (state_t){.kind = STATE_MEMBER,
                    .ir = left,
                    .name = data.b,
                    .node = current,
                    .span = span,
                    .name_span = name_span};
                continue;
            }
            ir = rl_infer_field(c, left, data.b, current);
            break;
        }
        case RL_NODE_TUPLE_INDEX: {
            rl_ir_t left = to_value(c, &state, 0);
            rl_type_t element = rl_tuple_element(c, rl_settled_type(c, left), current, data.b);
            ir = element == RL_TYPE_ERROR ? rl_ir_error(c, data.start)
                                          : rl_ir_make(c, RL_IR_TUPLE_GET, element, data.start, left, data.b, 0);
            break;
        }
        case RL_NODE_CALL:
            ir = infer_call(c, &state, current, pipe, &chain, expected, true);
            pipe = 0;
            break;
        case RL_NODE_INDEX: ir = rl_infer_index(c, to_value(c, &state, 0), current); break;
        case RL_NODE_TRY: ir = rl_infer_try(c, to_value(c, &state, 0), current, outermost && chain.tail); break;
        case RL_NODE_CAST: ir = rl_infer_cast(c, to_value(c, &state, 0), current); break;
        case RL_NODE_BINARY: ir = rl_infer_binary(c, to_value(c, &state, 0), current, expected); break;
        case RL_NODE_PIPE:
            ir = infer_pipe(c, to_value(c, &state, 0), current, expected, outermost && chain.tail);
            break;
        default: ir = rl_infer_await(c, to_value(c, &state, 0), current); break;
        }
        state = value_state(ir, current, span);
    }
    rl_words_release(c, words);
    if (rl_failed(c)) return rl_ir_error(c, 0);
    return to_value(c, &state, chain.expected);
}

rl_ir_t rl_infer_spine(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail) {
    chain_t chain = {.expected = expected, .tail = tail};
    return infer_chain(c, node, chain);
}
