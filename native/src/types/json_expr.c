/* Values as Json: which ones are data, implicit conversions, literals, Json.Number of an Int (LANGUAGE 4.4 (e), 8.9). */
#include "types/infer.h"

enum { MOST_TYPE_DEPTH = 64 };

bool rl_is_json(rl_checker_t* c, rl_type_t type) {
    rl_typedef_id_t json = c->program->known.json;
    return json && type && rl_named_id(c, type) == json;
}

static uint32_t tag_named(rl_checker_t* c, const char* name) {
    const rl_typedef_t def = *rl_program_typedef(c->program, c->program->known.json);
    for (uint32_t tag = 0; tag < def.variant_count; tag++) {
        rl_sym_t found = rl_program_variant(c->program, def.variant_first + tag)->name;
        if (rl_str_equal(rl_text(c, found), rl_str(name))) return tag;
    }
    return 0;
}

static rl_ir_t variant(rl_checker_t* c, const char* name, rl_ir_t payload, uint32_t start) {
    rl_type_t json = rl_type_named(c->types, c->program->known.json, NULL, 0);
    return rl_make_variant(c, json, tag_named(c, name), &payload, 1, start);
}

typedef enum data_kind { NO_DATA, DATA, PERHAPS } data_kind_t;

typedef struct walk {
    bool params;         /* type parameters are as good as data: looked at when the program runs */
    uint32_t steps;      /* left; types that go on for ever are looked at when the program runs, too */
    uint32_t seen_first; /* named records on scratch that were looked into already */
} walk_t;

/* PERHAPS: a type variable inside is still open. Any counts inside a container only: it is looked at when the program runs. */
static data_kind_t is_data(rl_checker_t* c, rl_type_t type, unsigned depth, walk_t* walk) {
    rl_type_t head = rl_head(c, type);
    const rl_type_node_t node = *rl_type_node(c->types, head);
    const rl_known_t* known = &c->program->known;
    rl_type_t a, b;
    if (head == RL_TYPE_UNIT || head == RL_TYPE_BOOL || head == RL_TYPE_STR || head == RL_TYPE_NEVER ||
        head == RL_TYPE_ERROR || rl_type_is_numeric(head) || depth > MOST_TYPE_DEPTH || walk->steps == 0)
        return DATA;
    walk->steps--;
    if (node.kind == RL_TYPE_VAR) return c->solver.vars.data[node.a].klass == RL_VAR_FREE ? PERHAPS : DATA;
    if (node.kind == RL_TYPE_ANY) return depth > 0 ? DATA : NO_DATA;
    if (node.kind == RL_TYPE_PARAM) return walk->params ? DATA : NO_DATA;
    if (rl_is_json(c, head)) return DATA;
    if (rl_is_named(c, head, known->list, &a, NULL) || rl_is_named(c, head, known->option, &a, NULL))
        return is_data(c, a, depth + 1, walk);
    if (rl_is_named(c, head, known->map, &a, &b)) {
        rl_type_t key = rl_head(c, a);
        if (key != RL_TYPE_STR && !rl_is_var(c, key)) return NO_DATA;
        data_kind_t value = is_data(c, b, depth + 1, walk);
        return value == DATA && key != RL_TYPE_STR ? PERHAPS : value;
    }
    data_kind_t all = DATA;
    if (node.kind == RL_TYPE_RECORD || node.kind == RL_TYPE_OPEN) {
        for (uint32_t i = 0; i < node.count && all != NO_DATA; i++) {
            data_kind_t part = is_data(c, rl_type_args(c->types, head)[2 * i + 1], depth + 1, walk);
            if (part != DATA) all = part;
        }
        return all;
    }
    if (node.kind != RL_TYPE_NAMED) return NO_DATA;
    const rl_typedef_t def = *rl_program_typedef(c->program, node.a);
    if (def.kind != RL_DEF_RECORD) return NO_DATA;
    uint32_t count = rl_program_variant(c->program, def.variant_first)->field_count;
    rl_type_t exact = rl_solver_zonk(&c->solver, head);
    for (uint32_t i = walk->seen_first; i < c->scratch.count; i++) {
        if (c->scratch.data[i] == exact) return DATA; /* a recursive type is as good as its parts */
    }
    (void)rl_vec_push(c->allocator, &c->scratch, exact);
    for (uint32_t i = 0; i < count && all != NO_DATA && !rl_failed(c); i++) {
        rl_type_t field = rl_type_payload(c->program, exact, 0, i);
        data_kind_t part = is_data(c, field, depth + 1, walk);
        if (part != DATA) all = part;
    }
    return all;
}

static data_kind_t data_kind(rl_checker_t* c, rl_type_t type, bool inside, bool params) {
    walk_t walk = {params, 4096, c->scratch.count};
    data_kind_t kind = is_data(c, type, inside, &walk);
    c->scratch.count = walk.seen_first;
    return kind;
}

static void report(rl_checker_t* c, rl_type_t type, rl_span_t span) {
    rl_diag_t* diag =
        rl_report(c->diags, RL_CODE_TYPE_JSON_UNSUPPORTED, span, "%s cannot become Json", rl_show(c, type));
    rl_note_plain(c->diags, diag, "unit, Bool, numbers, Str, List, Map with Str keys, records and Option can");
}

void rl_check_json_later(rl_checker_t* c, const rl_later_t* later) {
    rl_type_t type = rl_type_at(c, later->ir);
    if (data_kind(c, type, later->data & 1, later->data & 2) == NO_DATA) report(c, type, later->span);
}

rl_ir_t rl_to_json(rl_checker_t* c, rl_ir_t value, rl_span_t span, rl_json_use_t use) {
    rl_type_t type = rl_type_at(c, value), head = rl_head(c, type);
    uint32_t start = rl_program_node(c->program, value)->start;
    bool params = use == RL_JSON_METHOD;
    if (rl_is_json(c, head) || head == RL_TYPE_ERROR || head == RL_TYPE_NEVER) return value;
    switch (data_kind(c, type, use == RL_JSON_ELEMENT, params)) {
    case NO_DATA: report(c, type, span); return rl_ir_error(c, start);
    case PERHAPS: {
        rl_later_t later = {RL_LATER_JSON, value, 0, span, (use == RL_JSON_ELEMENT) | (params ? 2 : 0)};
        (void)rl_vec_push(c->allocator, &c->later, later);
        break;
    }
    case DATA: break;
    }
    rl_fn_id_t fn = rl_prelude_function(c, "json_of");
    if (!fn) {
        rl_unsupported(c, span, "conversions to Json without a core library are");
        return rl_ir_error(c, start);
    }
    rl_arg_t arg = {.ir = value, .span = span};
    return rl_call_function(c, fn, &arg, 1, 0, span, 0);
}

rl_ir_t rl_check_json(rl_checker_t* c, rl_node_t node) {
    rl_type_t json = rl_type_named(c->types, c->program->known.json, NULL, 0);
    rl_ir_t ir = rl_infer_expr(c, node, json);
    if (rl_head(c, rl_type_at(c, ir)) == RL_TYPE_ANY) return rl_to_json(c, ir, rl_span_of(c, node), RL_JSON_ELEMENT);
    return rl_convert(c, ir, json, rl_span_of(c, node), RL_CODE_TYPE_MISMATCH);
}

rl_ir_t rl_json_list(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_ir_t ir = rl_check_json(c, rl_tree_list_at(c->tree, data.a, i));
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
    }
    rl_ir_t ir = 0;
    if (!rl_failed(c)) {
        rl_type_t element = rl_type_named(c->types, c->program->known.json, NULL, 0);
        ir = rl_ir_make(c, RL_IR_LIST, rl_named1(c, c->program->known.list, element), data.start,
            rl_extra_put(c, c->scratch.data + mark, count), count, 0);
    }
    c->scratch.count = mark;
    return ir ? variant(c, "Array", ir, data.start) : rl_ir_error(c, data.start);
}

rl_ir_t rl_json_object(rl_checker_t* c, rl_ir_t map, uint32_t start) { return variant(c, "Object", map, start); }

/* The argument of Json.Number: an integer becomes the Float that is exactly it, or panics. */
bool rl_json_number(rl_checker_t* c, rl_typedef_id_t id, rl_sym_t name, rl_arg_t* arg) {
    if (id == 0 || id != c->program->known.json || arg->name || !rl_str_equal(rl_text(c, name), RL_STR("Number")))
        return false;
    if (!arg->ir) arg->ir = rl_infer_expr(c, arg->node, 0);
    rl_type_t type = rl_head(c, rl_type_at(c, arg->ir));
    const rl_var_t* var = rl_var_of(c, type);
    if (var && var->klass == RL_VAR_INTEGER) {
        const rl_ir_node_t* literal = rl_program_node(c->program, arg->ir);
        if (literal->op == RL_IR_INT && literal->b < 1u << 21) return false; /* held exactly: a Float literal */
        rl_settle_literal(c, type);
        type = rl_head(c, rl_type_at(c, arg->ir));
    }
    if (!rl_type_is_integer(type)) return false;
    rl_fn_id_t fn = rl_prelude_function(c, "json_number");
    rl_arg_t value = *arg;
    value.node = 0;
    if (fn) arg->ir = rl_call_function(c, fn, &value, 1, 0, arg->span, 0);
    return fn != 0;
}
