#include "types/telemetry.h"

#include "base/json.h"
#include "syntax/lexer.h"
#include "types/impl.h"
#include "types/infer.h"

enum { REASON_COUNT = RL_REASON_BOUND + 1, NODE_KIND_MAX = 256, LABEL_BYTES = 120, NAME_BYTES = 24 };

static const char* const reason_names[REASON_COUNT] = {
    [RL_REASON_CONDITION] = "condition.bool",
    [RL_REASON_ARITY] = "call.arity",
    [RL_REASON_FIELD] = "field.access",
    [RL_REASON_OPERATIONS] = "type.operations",
    [RL_REASON_BOUND] = "trait.bound",
};

/* What an expression demands of its parts; kinds that are not here are "other". */
static const char* const place_names[NODE_KIND_MAX] = {
    [RL_NODE_BINARY] = "binary.operands",
    [RL_NODE_POWER] = "binary.operands",
    [RL_NODE_UNARY] = "unary.operand",
    [RL_NODE_CALL] = "call.arguments",
    [RL_NODE_PIPE] = "call.arguments",
    [RL_NODE_PERFORM] = "call.arguments",
    [RL_NODE_FN] = "function.result",
    [RL_NODE_ACTIVE] = "function.result",
    [RL_NODE_LAMBDA] = "function.result",
    [RL_NODE_RETURN] = "return.value",
    [RL_NODE_VALUE] = "let.value",
    [RL_NODE_ASSIGN] = "assign.value",
    [RL_NODE_BLOCK] = "block.result",
    [RL_NODE_UNSAFE] = "block.result",
    [RL_NODE_ASYNC] = "block.result",
    [RL_NODE_IF] = "if.branches",
    [RL_NODE_MATCH] = "match.arms",
    [RL_NODE_WHILE] = "loop.parts",
    [RL_NODE_FOR] = "loop.parts",
    [RL_NODE_LOOP] = "loop.parts",
    [RL_NODE_BREAK] = "loop.parts",
    [RL_NODE_TUPLE] = "tuple.elements",
    [RL_NODE_LIST] = "list.elements",
    [RL_NODE_RECORD] = "record.fields",
    [RL_NODE_MAP] = "map.entries",
    [RL_NODE_RANGE] = "range.bounds",
    [RL_NODE_INDEX] = "index.key",
    [RL_NODE_CAST] = "cast.operand",
    [RL_NODE_TRY] = "try.carrier",
    [RL_NODE_AWAIT] = "await.future",
    [RL_NODE_HANDLE] = "handler.clauses",
};

static const char* const state_names[] = {
    [RL_RESOLVED] = "resolved",
    [RL_RESOLUTION_UNRESOLVED] = "unresolved",
    [RL_RESOLUTION_AMBIGUOUS] = "ambiguous",
    [RL_RESOLUTION_UNRESOLVED_TYPEVAR] = "unresolved_typevar",
    [RL_RESOLUTION_CYCLIC] = "cyclic",
    [RL_RESOLUTION_PENDING] = "pending",
    [RL_RESOLUTION_STAGE_MISMATCH] = "stage_mismatch",
};
static const char* const dictionary_names[] = {
    [RL_DICTIONARY_NONE] = "none",
    [RL_DICTIONARY_IMPLICIT] = "implicit",
    [RL_DICTIONARY_PARAMETER] = "parameter",
    [RL_DICTIONARY_LOCAL] = "local",
};

void rl_telemetry_begin(rl_telemetry_t* t, rl_allocator_t* allocator) {
    *t = (rl_telemetry_t){.allocator = allocator};
    rl_buf_init(&t->json, allocator);
}

void rl_telemetry_end(rl_telemetry_t* t) {
    rl_vec_deinit(t->allocator, &t->constraints);
    rl_vec_deinit(t->allocator, &t->resolutions);
    rl_vec_deinit(t->allocator, &t->candidates);
    rl_vec_deinit(t->allocator, &t->open_variables);
    rl_vec_deinit(t->allocator, &t->expressions);
    rl_map_deinit(t->allocator, &t->resolution_of);
    rl_map_deinit(t->allocator, &t->signature_vars);
    rl_buf_deinit(&t->json);
}

/* --- hooks -------------------------------------------------------------------------------------------------------- */

static void note(rl_checker_t* c, rl_noted_constraint_t constraint) {
    if (c->solver.trail_marks > 0) return; /* tried only */
    constraint.unit = c->unit;
    (void)rl_vec_push(c->allocator, &c->telemetry->constraints, constraint);
}

void rl_note_constraint_now(rl_checker_t* c, rl_reason_t reason, rl_type_t found, rl_type_t wanted) {
    uint32_t which = reason == RL_REASON_PLACE ? REASON_COUNT + rl_tree_kind(c->tree, c->telemetry->place) : reason;
    note(c, (rl_noted_constraint_t){.reason = (uint16_t)which, .found = found, .wanted = wanted});
}

void rl_note_operations_now(rl_checker_t* c, rl_type_t type, uint32_t kinds) {
    note(c, (rl_noted_constraint_t){.reason = RL_REASON_OPERATIONS, .found = type, .kinds = kinds});
}

void rl_note_expression_now(rl_checker_t* c) {
    rl_telemetry_t* t = c->telemetry;
    while (t->expressions.count <= c->unit && rl_vec_push(c->allocator, &t->expressions, 0)) {}
    if (c->unit < t->expressions.count) t->expressions.data[c->unit]++;
}

static void note_variable(rl_checker_t* c, rl_type_t type, rl_fn_id_t fn, uint32_t which) {
    const rl_type_node_t* node = rl_type_node(c->types, type);
    if (node->kind != RL_TYPE_VAR || which > 0xFF || fn > 0xFFFFFF) return;
    (void)rl_map_put(c->allocator, &c->telemetry->signature_vars, (uint64_t)node->a + 1, fn << 8 | which);
}

void rl_note_signature_now(rl_checker_t* c, rl_fn_id_t fn) {
    const rl_function_t function = *rl_program_function(c->program, fn);
    for (uint32_t i = 0; i < function.param_count; i++)
        note_variable(c, rl_program_param(c->program, function.param_first + i)->type, fn, i + 1);
    note_variable(c, function.result, fn, 0);
}

void rl_note_resolution_now(rl_checker_t* c, const rl_noted_resolution_t* resolution) {
    rl_telemetry_t* t = c->telemetry;
    rl_noted_resolution_t made = *resolution;
    uint32_t at;
    made.unit = c->unit;
    if (rl_map_get(&t->resolution_of, (uint64_t)made.demand + 1, &at)) {
        t->resolutions.data[at] = made;
        return;
    }
    if (!rl_map_put(c->allocator, &t->resolution_of, (uint64_t)made.demand + 1, t->resolutions.count)) return;
    (void)rl_vec_push(c->allocator, &t->resolutions, made);
}

/* --- the graph ---------------------------------------------------------------------------------------------------- */

typedef enum node_kind { NODE_TYPE, NODE_CAPABILITY, NODE_IMPLEMENTATION } node_kind_t;
typedef enum edge_kind { EDGE_EQUAL, EDGE_CAPABILITY, EDGE_IMPLEMENTATION } edge_kind_t;
static const char* const node_names[] = {"type", "capability", "implementation"};
static const char* const edge_names[] = {"equal", "capability", "implementation"};

typedef struct graph_node {
    node_kind_t kind;
    rl_type_t type;      /* TYPE: as it was met */
    uint32_t unit;       /* TYPE with type parameters: whose */
    uint32_t at, length; /* else: text in writer.texts */
} graph_node_t;
typedef struct graph_edge {
    uint32_t from, to;
    edge_kind_t kind;
} graph_edge_t;

typedef struct writer {
    rl_checker_t* c;
    rl_telemetry_t* t;
    rl_json_t json;
    rl_buf_t text;  /* one label or name */
    rl_buf_t texts; /* of nodes that are no types */
    RL_VEC(graph_node_t) nodes;
    RL_VEC(graph_edge_t) edges;
    rl_map_t type_nodes; /* variable, or (unit, type) → node + 1 */
    rl_map_t text_nodes; /* hash of kind and text → node + 1 */
    rl_map_t edge_set;   /* (from, to) per kind */
    uint32_t unnamed;    /* variables without a name so far */
} writer_t;

static rl_type_t final_type(rl_checker_t* c, rl_type_t type) {
    return rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR ? rl_solver_zonk(&c->solver, type) : type;
}

static uint32_t type_node(writer_t* w, rl_type_t type, uint32_t unit) {
    const rl_type_node_t* node = rl_type_node(w->c->types, type);
    uint64_t key;
    if (node->kind == RL_TYPE_VAR) {
        key = (uint64_t)node->a << 2 | 1;
        unit = UINT32_MAX;
    } else {
        type = final_type(w->c, type);
        if (!(rl_type_node(w->c->types, type)->flags & RL_TYPE_HAS_PARAM)) unit = UINT32_MAX;
        key = rl_map_key2(unit + 1, type) << 2 | 2;
    }
    uint32_t known;
    if (rl_map_get(&w->type_nodes, key, &known)) return known - 1;
    (void)rl_map_put(w->c->allocator, &w->type_nodes, key, w->nodes.count + 1);
    (void)rl_vec_push(w->c->allocator, &w->nodes, (graph_node_t){.kind = NODE_TYPE, .type = type, .unit = unit});
    return w->nodes.count ? w->nodes.count - 1 : 0;
}

/* A node for the text in writer.text. */
static uint32_t text_node(writer_t* w, node_kind_t kind) {
    rl_str_t text = rl_buf_str(&w->text);
    uint64_t key = rl_hash_bytes(text.data ? text.data : "", text.length, (uint64_t)kind + 1) | 1;
    uint32_t known;
    for (; rl_map_get(&w->text_nodes, key, &known); key += 2) { /* almost never the second time */
        const graph_node_t* node = &w->nodes.data[known - 1];
        if (node->kind == kind && rl_str_equal((rl_str_t){w->texts.data + node->at, node->length}, text))
            return known - 1;
    }
    graph_node_t node = {.kind = kind, .at = (uint32_t)w->texts.length, .length = (uint32_t)text.length};
    rl_buf_add(&w->texts, text);
    (void)rl_map_put(w->c->allocator, &w->text_nodes, key, w->nodes.count + 1);
    (void)rl_vec_push(w->c->allocator, &w->nodes, node);
    return w->nodes.count ? w->nodes.count - 1 : 0;
}

static void add_edge(writer_t* w, uint32_t from, uint32_t to, edge_kind_t kind) {
    uint64_t key = (rl_map_key2(from, to) << 2 | (uint64_t)kind) + 1;
    uint32_t known;
    if (from == to || rl_map_get(&w->edge_set, key, &known)) return;
    (void)rl_map_put(w->c->allocator, &w->edge_set, key, 1);
    (void)rl_vec_push(w->c->allocator, &w->edges, (graph_edge_t){from, to, kind});
}

static bool is_nothing(rl_checker_t* c, rl_type_t type) {
    type = rl_head(c, type);
    return type == RL_TYPE_ERROR || type == RL_TYPE_NEVER;
}

/* --- texts -------------------------------------------------------------------------------------------------------- */

/* Whole characters up to a length, then an ellipsis. */
static void cut(rl_buf_t* text, size_t from) {
    if (text->length - from <= LABEL_BYTES) return;
    size_t end = from + LABEL_BYTES;
    while (end > from && ((unsigned char)text->data[end] & 0xC0) == 0x80) end--;
    text->length = end;
    rl_buf_add_cstr(text, "\xE2\x80\xA6");
}

static void add_type(writer_t* w, rl_type_t type, rl_buf_t* out) {
    size_t from = out->length;
    rl_buf_add_cstr(out, rl_show(w->c, type));
    cut(out, from);
}

static rl_str_t function_name(rl_checker_t* c, rl_fn_id_t fn) {
    return rl_text(c, rl_program_function(c->program, fn)->name);
}

static void add_function_name(writer_t* w, rl_fn_id_t fn, rl_buf_t* out) {
    const rl_function_t* function = rl_program_function(w->c->program, fn);
    if (function->owner) {
        rl_buf_add(out, rl_text(w->c, rl_program_typedef(w->c->program, function->owner)->name));
        rl_buf_add_char(out, '.');
    }
    rl_buf_add(out, function_name(w->c, fn));
}

static uint32_t line_of(const writer_t* w, uint32_t offset) {
    return rl_program_line_of(w->c->program, w->c->module, offset).line;
}

/* What is written where a variable was made, if that is short and on one line. */
static bool add_source_name(writer_t* w, rl_span_t span, rl_buf_t* out) {
    rl_str_t source = w->c->input->source;
    if (span.end <= span.start || span.end > source.length || span.end - span.start > NAME_BYTES) return false;
    for (uint32_t i = span.start; i < span.end; i++) {
        if ((unsigned char)source.data[i] < 0x20) return false;
    }
    rl_buf_add(out, (rl_str_t){source.data + span.start, span.end - span.start});
    rl_buf_add_char(out, '@');
    rl_buf_add_u64(out, line_of(w, span.start));
    return true;
}

static void add_variable_name(writer_t* w, uint32_t variable, rl_buf_t* out) {
    uint32_t packed;
    rl_span_t span = w->c->solver.vars.data[variable].span;
    if (rl_map_get(&w->t->signature_vars, (uint64_t)variable + 1, &packed)) {
        rl_fn_id_t fn = packed >> 8;
        add_function_name(w, fn, out);
        rl_buf_add_char(out, '(');
        if (packed & 0xFF) {
            const rl_function_t* function = rl_program_function(w->c->program, fn);
            rl_sym_t name = rl_program_param(w->c->program, function->param_first + (packed & 0xFF) - 1)->name;
            if (name) rl_buf_add(out, rl_text(w->c, name));
            else rl_buf_printf(out, "%u", (unsigned)(packed & 0xFF));
        }
        rl_buf_add_char(out, ')');
    } else if (!add_source_name(w, span, out)) {
        rl_buf_printf(out, "t%u", (unsigned)w->unnamed++);
    }
}

/* Variables: "x@3: Int", "double(x): T"; types: "Int", "List<T> in double". */
static void add_label(writer_t* w, const graph_node_t* node, rl_buf_t* out) {
    if (node->kind != NODE_TYPE) {
        rl_buf_add_cstr(out, node->kind == NODE_CAPABILITY ? "cap:" : "impl:");
        rl_buf_add(out, (rl_str_t){w->texts.data + node->at, node->length});
        return;
    }
    const rl_type_node_t* type = rl_type_node(w->c->types, node->type);
    if (type->kind == RL_TYPE_VAR && type->a < w->c->solver.vars.count) {
        add_variable_name(w, type->a, out);
        rl_buf_add_cstr(out, ": ");
    }
    add_type(w, node->type, out);
    if (node->unit != UINT32_MAX && node->unit < w->c->units.count && w->c->units.data[node->unit].fn) {
        rl_buf_add_cstr(out, " in ");
        add_function_name(w, w->c->units.data[node->unit].fn, out);
    }
}

/* "Add<Point, Point, Point>", "Show for Point". */
static void add_bound(writer_t* w, rl_trait_id_t id, const rl_type_t* types, rl_buf_t* out) {
    size_t from = out->length;
    rl_show_trait(w->c, id, types, out);
    if (types[0] != RL_TYPE_ERROR) {
        rl_buf_add_cstr(out, " for ");
        rl_buf_add_cstr(out, rl_show(w->c, types[0]));
    }
    cut(out, from);
}

static void add_impl(writer_t* w, rl_impl_id_t id, rl_buf_t* out) {
    const rl_impl_t impl = *rl_program_impl(w->c->program, id);
    rl_type_t types[RL_IMPL_PARAMS_MAX];
    uint32_t count = rl_program_trait(w->c->program, impl.trait)->type_params + 1;
    for (uint32_t i = 0; i < count; i++) types[i] = *rl_program_extra(w->c->program, impl.args + i);
    add_bound(w, impl.trait, types, out);
}

/* --- collecting --------------------------------------------------------------------------------------------------- */

static const char* operation_name(uint32_t kind) {
    switch (kind) {
    case RL_CON_ADD: return "Add";
    case RL_CON_SUB: return "Sub";
    case RL_CON_MUL: return "Mul";
    case RL_CON_DIV: return "Div";
    case RL_CON_REM: return "Rem";
    case RL_CON_POW: return "Pow";
    case RL_CON_NEG: return "Neg";
    case RL_CON_EQ: return "Eq";
    case RL_CON_ORD: return "Ord";
    case RL_CON_HASH: return "Hash";
    default: return NULL;
    }
}

static void collect_constraint(writer_t* w, const rl_noted_constraint_t* noted) {
    if (noted->reason == RL_REASON_ARITY || is_nothing(w->c, noted->found)) return;
    uint32_t from = type_node(w, noted->found, noted->unit);
    if (noted->wanted && !is_nothing(w->c, noted->wanted))
        add_edge(w, from, type_node(w, noted->wanted, noted->unit), EDGE_EQUAL);
    for (uint32_t bit = 1; noted->kinds && bit <= RL_CON_HASH; bit <<= 1) {
        const char* name = noted->kinds & bit ? operation_name(bit) : NULL;
        if (!name) continue;
        rl_buf_clear(&w->text);
        rl_buf_add_cstr(&w->text, name);
        add_edge(w, from, text_node(w, NODE_IMPLEMENTATION), EDGE_IMPLEMENTATION);
    }
}

static void collect_resolution(writer_t* w, const rl_noted_resolution_t* noted) {
    const rl_demand_t demand = w->c->demands.data[noted->demand];
    if (noted->state != RL_RESOLVED || noted->dictionary != RL_DICTIONARY_IMPLICIT) return;
    rl_type_t of = w->c->demand_types.data[demand.first];
    if (is_nothing(w->c, of) && rl_program_trait(w->c->program, demand.trait)->type_params)
        of = w->c->demand_types.data[demand.first + 1];
    if (is_nothing(w->c, of)) return;
    uint32_t from = type_node(w, of, noted->unit);
    rl_buf_clear(&w->text);
    if (noted->index) add_impl(w, noted->index, &w->text);
    else rl_buf_add(&w->text, rl_text(w->c, rl_program_trait(w->c->program, demand.trait)->name));
    add_edge(w, from, text_node(w, NODE_IMPLEMENTATION), EDGE_IMPLEMENTATION);
}

static rl_type_t type_of_function(rl_checker_t* c, rl_fn_id_t fn) {
    const rl_function_t function = *rl_program_function(c->program, fn);
    uint32_t mark = c->scratch.count;
    for (uint32_t i = 0; i < function.param_count; i++)
        (void)rl_vec_push(c->allocator, &c->scratch, rl_program_param(c->program, function.param_first + i)->type);
    if (rl_failed(c)) return RL_TYPE_ERROR;
    rl_type_t type = rl_type_function(c->types, c->scratch.data + mark, function.param_count, function.result);
    c->scratch.count = mark;
    return type;
}

static void collect_capability(writer_t* w, rl_fn_id_t fn, rl_str_t id, uint32_t unit) {
    if (!id.length) return;
    uint32_t from = type_node(w, type_of_function(w->c, fn), unit);
    rl_buf_clear(&w->text);
    rl_buf_add(&w->text, id);
    add_edge(w, from, text_node(w, NODE_CAPABILITY), EDGE_CAPABILITY);
}

/* What functions declare, and what the host functions need that are called. */
static void collect_capabilities(writer_t* w) {
    rl_checker_t* c = w->c;
    for (uint32_t i = 0; i < c->units.count && !rl_failed(c); i++) {
        const rl_unit_t unit = c->units.data[i];
        if (unit.kind != RL_UNIT_FN || !unit.fn) continue;
        rl_list_t attrs = rl_tree_attrs(c->tree, unit.node);
        uint32_t count = rl_tree_list_count(c->tree, attrs);
        for (uint32_t k = 0; k < count; k++) {
            rl_node_t attr = rl_tree_list_at(c->tree, attrs, k);
            if (rl_attribute_of(c, attr) != RL_ATTR_REQUIRES_CAPABILITY) continue;
            collect_capability(w, unit.fn, rl_attribute_text(c, rl_attribute_named(c, attr, "id")), i);
        }
    }
    for (uint32_t i = c->first_node; i < c->program->nodes.count && !rl_failed(c); i++) {
        const rl_ir_node_t* node = &c->program->nodes.data[i];
        if (node->op != RL_IR_CALL || !node->a) continue;
        const rl_function_t* function = rl_program_function(c->program, node->a);
        if (function->kind == RL_FN_HOST && function->capability)
            collect_capability(w, node->a, rl_text(c, function->capability), UINT32_MAX);
    }
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void number(writer_t* w, const char* key, uint64_t value) {
    rl_json_key(&w->json, key);
    rl_json_u64(&w->json, value);
}

static void string_of(writer_t* w, rl_type_t type) {
    rl_buf_clear(&w->text);
    add_type(w, type, &w->text);
    rl_json_string(&w->json, rl_buf_str(&w->text));
}

static uint32_t unresolved_in(const rl_checker_t* c, rl_span_t span) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->diags->items.count; i++) {
        const rl_diag_t* diag = &c->diags->items.data[i];
        count +=
            diag->code == RL_CODE_TYPE_UNRESOLVED_IDENT && diag->span.start >= span.start && diag->span.end <= span.end;
    }
    return count;
}

static void write_functions(writer_t* w) {
    rl_checker_t* c = w->c;
    RL_VEC(uint32_t) counts = {0}; /* constraints by unit */
    for (uint32_t i = 0; i < c->units.count; i++) (void)rl_vec_push(c->allocator, &counts, 0);
    for (uint32_t i = 0; i < w->t->constraints.count && !rl_failed(c); i++) {
        uint32_t unit = w->t->constraints.data[i].unit;
        if (unit < counts.count) counts.data[unit]++;
    }
    rl_json_key(&w->json, "functions");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < c->units.count && !rl_failed(c); i++) {
        const rl_unit_t unit = c->units.data[i];
        if (unit.kind != RL_UNIT_FN || !unit.fn) continue;
        const rl_function_t function = *rl_program_function(c->program, unit.fn);
        rl_json_object_begin(&w->json);
        rl_buf_clear(&w->text);
        if (unit.self_type && !function.owner) { /* of an impl for a type that no module declares */
            add_type(w, unit.self_type, &w->text);
            rl_buf_add_char(&w->text, '.');
        }
        add_function_name(w, unit.fn, &w->text);
        rl_json_member(&w->json, "name", rl_buf_str(&w->text));
        rl_json_key(&w->json, "param_types");
        rl_json_array_begin(&w->json);
        for (uint32_t k = 0; k < function.param_count; k++)
            string_of(w, rl_program_param(c->program, function.param_first + k)->type);
        rl_json_array_end(&w->json);
        rl_json_key(&w->json, "return_type");
        string_of(w, function.result);
        number(w, "typed_exprs", i < w->t->expressions.count ? w->t->expressions.data[i] : 0);
        number(w, "constraints", counts.data[i]);
        number(w, "unresolved_identifiers", unresolved_in(c, rl_span_of(c, unit.node)));
        rl_json_object_end(&w->json);
    }
    rl_json_array_end(&w->json);
    rl_vec_deinit(c->allocator, &counts);
}

static const char* reason_name(uint32_t reason) {
    if (reason < REASON_COUNT) return reason_names[reason];
    const char* name = reason - REASON_COUNT < NODE_KIND_MAX ? place_names[reason - REASON_COUNT] : NULL;
    return name ? name : "other";
}

/* By name, in order of first appearance; kinds of nodes may share one. */
static void write_breakdown(writer_t* w) {
    struct {
        const char* name;
        uint32_t count;
    } rows[REASON_COUNT + RL_COUNT_OF(place_names)];
    uint32_t used = 0;
    for (uint32_t i = 0; i < w->t->constraints.count; i++) {
        const char* name = reason_name(w->t->constraints.data[i].reason);
        uint32_t at = 0;
        while (at < used && strcmp(rows[at].name, name) != 0) at++;
        if (at == used) {
            rows[used].name = name;
            rows[used++].count = 0;
        }
        rows[at].count++;
    }
    rl_json_key(&w->json, "constraints");
    rl_json_object_begin(&w->json);
    for (uint32_t i = 0; i < used; i++) number(w, rows[i].name, rows[i].count);
    rl_json_object_end(&w->json);
}

static uint32_t token_count(rl_checker_t* c) {
    rl_tree_t tree;
    rl_tokens_t tokens = {0};
    rl_arena_t arena;
    rl_diags_t diags;
    uint32_t errors = 0;
    rl_arena_init(&arena, c->allocator);
    rl_diags_init(&diags, c->allocator, &arena);
    diags.source = c->input->source;
    rl_lexer_input_t input = {.allocator = c->allocator,
        .source = c->input->source,
        .symbols = c->symbols,
        .diags = &diags,
        .identifier_bytes = UINT32_MAX};
    rl_tree_init(&tree, c->allocator);
    rl_lex(&input, &tree, &tokens, &errors);
    uint32_t count = tokens.count ? tokens.count - 1 : 0; /* without the end */
    rl_vec_deinit(c->allocator, &tokens);
    rl_tree_deinit(&tree);
    rl_diags_deinit(&diags);
    rl_arena_deinit(&arena);
    return count;
}

static void write_counts(writer_t* w) {
    rl_checker_t* c = w->c;
    uint32_t calls = 0, binaries = 0, expressions = 0, unresolved = 0;
    for (uint32_t i = 1; i < c->tree->nodes.count; i++) {
        rl_node_kind_t kind = rl_tree_kind(c->tree, i);
        calls += kind == RL_NODE_CALL || kind == RL_NODE_PIPE;
        binaries += kind == RL_NODE_BINARY;
        if (kind == RL_NODE_POWER) binaries += rl_tree_list_count(c->tree, rl_tree_node(c->tree, i)->a) - 1;
    }
    for (uint32_t i = 0; i < w->t->expressions.count; i++) expressions += w->t->expressions.data[i];
    for (uint32_t i = 0; i < c->diags->items.count; i++)
        unresolved += c->diags->items.data[i].code == RL_CODE_TYPE_UNRESOLVED_IDENT;
    number(w, "typed_exprs", expressions);
    number(w, "unresolved_identifiers", unresolved);
    number(w, "call_sites", calls);
    number(w, "binary_expressions", binaries);
    number(w, "unify_calls", c->solver.unify_calls);
    number(w, "ast_nodes", c->tree->nodes.count ? c->tree->nodes.count - 1 : 0);
    number(w, "token_count", token_count(c));
}

static void write_graph(writer_t* w) {
    rl_json_key(&w->json, "nodes");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < w->nodes.count && !rl_failed(w->c); i++) {
        rl_json_object_begin(&w->json);
        rl_buf_clear(&w->text);
        add_label(w, &w->nodes.data[i], &w->text);
        rl_json_member(&w->json, "label", rl_buf_str(&w->text));
        rl_json_member(&w->json, "kind", rl_str(node_names[w->nodes.data[i].kind]));
        rl_json_object_end(&w->json);
    }
    rl_json_array_end(&w->json);
    rl_json_key(&w->json, "edges");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < w->edges.count; i++) {
        rl_json_object_begin(&w->json);
        number(w, "from", w->edges.data[i].from);
        number(w, "to", w->edges.data[i].to);
        rl_json_member(&w->json, "kind", rl_str(edge_names[w->edges.data[i].kind]));
        rl_json_object_end(&w->json);
    }
    rl_json_array_end(&w->json);
}

/* --- resolutions -------------------------------------------------------------------------------------------------- */

static void write_types(writer_t* w, const char* key, const rl_type_t* types, uint32_t count) {
    rl_json_key(&w->json, key);
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < count; i++) {
        if (i || types[i] != RL_TYPE_ERROR) string_of(w, types[i]);
    }
    rl_json_array_end(&w->json);
}

static void write_text(writer_t* w, const char* key) { rl_json_member(&w->json, key, rl_buf_str(&w->text)); }

static void write_dictionary(writer_t* w, const rl_noted_resolution_t* noted, const rl_demand_t* demand,
    const rl_type_t* types, uint32_t count) {
    rl_json_key(&w->json, "dictionary");
    rl_json_object_begin(&w->json);
    rl_json_member(&w->json, "kind", rl_str(dictionary_names[noted->dictionary]));
    rl_buf_clear(&w->text);
    switch ((rl_dictionary_t)noted->dictionary) {
    case RL_DICTIONARY_NONE: break;
    case RL_DICTIONARY_IMPLICIT:
        rl_buf_add_cstr(&w->text, noted->index ? "impl:" : "builtin:");
        if (noted->index) add_impl(w, noted->index, &w->text);
        else add_bound(w, demand->trait, types, &w->text);
        break;
    case RL_DICTIONARY_PARAMETER: rl_buf_printf(&w->text, "parameter:%u", (unsigned)noted->index); break;
    case RL_DICTIONARY_LOCAL: rl_buf_add_cstr(&w->text, "local"); break;
    }
    rl_json_key(&w->json, "identifier");
    if (w->text.length) rl_json_string(&w->json, rl_buf_str(&w->text));
    else rl_json_null(&w->json);
    rl_json_member(&w->json, "trait_name", rl_text(w->c, rl_program_trait(w->c->program, demand->trait)->name));
    write_types(w, "type_args", types, count);
    rl_buf_clear(&w->text);
    if (noted->dictionary != RL_DICTIONARY_NONE) {
        rl_buf_add_cstr(&w->text, noted->dictionary == RL_DICTIONARY_IMPLICIT ? "impl " : "where ");
        add_bound(w, demand->trait, types, &w->text);
    }
    write_text(w, "repr");
    if (noted->dictionary == RL_DICTIONARY_PARAMETER) number(w, "parameter_index", noted->index);
    rl_json_object_end(&w->json);
}

static void write_candidates(writer_t* w, const rl_noted_resolution_t* noted, const rl_demand_t* demand) {
    rl_json_key(&w->json, "candidates");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < noted->candidate_count; i++) {
        uint32_t which = w->t->candidates.data[noted->candidate_first + i];
        rl_buf_clear(&w->text);
        if (which == RL_CANDIDATE_BUILT_IN || which == RL_CANDIDATE_ASSUMED) {
            rl_buf_add_cstr(&w->text, which == RL_CANDIDATE_BUILT_IN ? "builtin:" : "where:");
            rl_buf_add(&w->text, rl_text(w->c, rl_program_trait(w->c->program, demand->trait)->name));
        } else {
            rl_buf_add_cstr(&w->text, "impl:");
            add_impl(w, which, &w->text);
        }
        rl_json_string(&w->json, rl_buf_str(&w->text));
    }
    rl_json_array_end(&w->json);
}

static void write_span(writer_t* w, rl_span_t span) {
    rl_json_key(&w->json, "span");
    rl_json_object_begin(&w->json);
    number(w, "start", span.start);
    number(w, "end", span.end < span.start ? span.start : span.end);
    rl_json_object_end(&w->json);
}

static void write_pending(writer_t* w, const rl_noted_resolution_t* noted) {
    rl_json_key(&w->json, "pending");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < noted->open_count; i++) {
        rl_buf_clear(&w->text);
        add_variable_name(w, w->t->open_variables.data[noted->open_first + i], &w->text);
        rl_json_string(&w->json, rl_buf_str(&w->text));
    }
    rl_json_array_end(&w->json);
}

static rl_type_t note_params(rl_checker_t* c, void* user, uint32_t index) {
    uint32_t* first_and_bits = user;
    if (index >= first_and_bits[0] && index - first_and_bits[0] < 31)
        first_and_bits[1] |= 1u << (index - first_and_bits[0]);
    return rl_type_param(c->types, index);
}

/* The type parameters that the demand was generalised over. */
static void write_generalised(writer_t* w, const rl_noted_resolution_t* noted, const rl_type_t* types, uint32_t count) {
    uint32_t first_and_bits[2] = {noted->param_first, 0};
    bool wanted = noted->state == RL_RESOLUTION_PENDING && noted->param_end > noted->param_first;
    for (uint32_t i = 0; i < count && wanted; i++) (void)rl_map_params(w->c, types[i], note_params, first_and_bits);
    rl_json_key(&w->json, "generalized_typevars");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < 31 && wanted; i++) {
        if (!(first_and_bits[1] >> i & 1)) continue;
        uint32_t index = first_and_bits[0] + i;
        rl_buf_clear(&w->text);
        rl_type_param_print(index >= RL_LOCAL_PARAM_BASE ? index - RL_LOCAL_PARAM_BASE : index, &w->text);
        rl_json_string(&w->json, rl_buf_str(&w->text));
    }
    rl_json_array_end(&w->json);
}

static void write_resolution(writer_t* w, const rl_noted_resolution_t* noted) {
    rl_checker_t* c = w->c;
    const rl_demand_t demand = c->demands.data[noted->demand];
    rl_type_t types[RL_IMPL_PARAMS_MAX];
    uint32_t count = rl_program_trait(c->program, demand.trait)->type_params + 1;
    for (uint32_t i = 0; i < count; i++) types[i] = final_type(c, c->demand_types.data[demand.first + i]);
    if (demand.any_self) types[0] = RL_TYPE_ERROR;
    rl_json_object_begin(&w->json);
    rl_json_member(&w->json, "trait_name", rl_text(c, rl_program_trait(c->program, demand.trait)->name));
    write_types(w, "type_args", types, count);
    rl_buf_clear(&w->text);
    add_bound(w, demand.trait, types, &w->text);
    write_text(w, "constraint");
    rl_json_member(&w->json, "resolution_state", rl_str(state_names[noted->state]));
    write_dictionary(w, noted, &demand, types, count);
    write_candidates(w, noted, &demand);
    write_pending(w, noted);
    write_generalised(w, noted, types, count);
    write_span(w, demand.span);
    rl_json_object_end(&w->json);
}

/* No demand of the checker's, said in the same shape: a stage below what the context takes, a method of several traits. */
typedef struct other_row {
    rl_code_t code;
    const char* trait;
    rl_resolution_state_t state;
    const char* note; /* notes that begin so name candidates */
} other_row_t;
static const other_row_t others[] = {
    {RL_CODE_EFFECTS_CONTRACT_STAGE_MISMATCH, "Capability", RL_RESOLUTION_STAGE_MISMATCH, NULL},
    {RL_CODE_TYPECLASS_METHOD_AMBIGUOUS, "", RL_RESOLUTION_AMBIGUOUS, "write "},
};

static void write_noted_candidates(writer_t* w, const rl_diag_t* diag, const char* start) {
    size_t length = start ? strlen(start) : 0;
    rl_json_key(&w->json, "candidates");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; start && i < diag->notes.count; i++) {
        rl_str_t text = diag->notes.data[i].message;
        if (text.length < length || memcmp(text.data, start, length) != 0) continue;
        rl_json_string(&w->json, (rl_str_t){text.data + length, text.length - length});
    }
    rl_json_array_end(&w->json);
}

static void write_other(writer_t* w, const other_row_t* row, const rl_diag_t* diag) {
    rl_json_object_begin(&w->json);
    rl_json_member(&w->json, "trait_name", rl_str(row->trait));
    write_types(w, "type_args", NULL, 0);
    rl_json_member(&w->json, "constraint", diag->message);
    rl_json_member(&w->json, "resolution_state", rl_str(state_names[row->state]));
    rl_json_key(&w->json, "dictionary");
    rl_json_object_begin(&w->json);
    rl_json_member(&w->json, "kind", rl_str(dictionary_names[RL_DICTIONARY_NONE]));
    rl_json_key(&w->json, "identifier");
    rl_json_null(&w->json);
    rl_json_member(&w->json, "trait_name", rl_str(row->trait));
    write_types(w, "type_args", NULL, 0);
    rl_json_member(&w->json, "repr", RL_STR(""));
    rl_json_object_end(&w->json);
    write_noted_candidates(w, diag, row->note);
    write_types(w, "pending", NULL, 0);
    write_types(w, "generalized_typevars", NULL, 0);
    write_span(w, diag->span);
    rl_json_object_end(&w->json);
}

static void write_resolutions(writer_t* w) {
    rl_checker_t* c = w->c;
    rl_json_key(&w->json, "resolutions");
    rl_json_array_begin(&w->json);
    for (uint32_t i = 0; i < w->t->resolutions.count && !rl_failed(c); i++)
        write_resolution(w, &w->t->resolutions.data[i]);
    for (uint32_t i = 0; i < c->diags->items.count && !rl_failed(c); i++) {
        const rl_diag_t* diag = &c->diags->items.data[i];
        for (size_t k = 0; k < RL_COUNT_OF(others); k++) {
            if (others[k].code == diag->code) write_other(w, &others[k], diag);
        }
    }
    rl_json_array_end(&w->json);
}

void rl_telemetry_write(rl_checker_t* c) {
    rl_telemetry_t* t = c->telemetry;
    writer_t w = {.c = c, .t = t, .json = rl_json_begin(&t->json)};
    rl_buf_init(&w.text, c->allocator);
    rl_buf_init(&w.texts, c->allocator);
    for (uint32_t i = 0; i < t->constraints.count && !rl_failed(c); i++)
        collect_constraint(&w, &t->constraints.data[i]);
    for (uint32_t i = 0; i < t->resolutions.count && !rl_failed(c); i++)
        collect_resolution(&w, &t->resolutions.data[i]);
    collect_capabilities(&w);
    if (!rl_failed(c)) {
        rl_json_object_begin(&w.json);
        rl_json_member(&w.json, "module", rl_text(c, rl_program_module(c->program, c->module)->path));
        write_functions(&w);
        write_breakdown(&w);
        write_counts(&w);
        write_graph(&w);
        write_resolutions(&w);
        rl_json_object_end(&w.json);
    }
    if (rl_failed(c) || t->json.failed) rl_buf_clear(&t->json);
    rl_buf_deinit(&w.text);
    rl_buf_deinit(&w.texts);
    rl_vec_deinit(c->allocator, &w.nodes);
    rl_vec_deinit(c->allocator, &w.edges);
    rl_map_deinit(c->allocator, &w.type_nodes);
    rl_map_deinit(c->allocator, &w.text_nodes);
    rl_map_deinit(c->allocator, &w.edge_set);
}
