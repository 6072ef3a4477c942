/*
 * Conductors as values (LANGUAGE 7.3).
 *
 *     conductor c { a: read(); b: a |> parse |> depends_on([a]) |> with_capabilities(["io"], stage = "beta") … }
 *
 * becomes, in tree nodes and with the names of Core.Conductor,
 *
 *     let c: Conductor = {
 *       let a' = slot(); let b' = slot()                          // the names of slots cannot be written in a source
 *       make("c", [
 *         node("a", "", [], [], [], || { let a = keep(a', read()); a }),
 *         node("b", "", ["a"], ["a"], [note("depends_on", …), note("with_capabilities", …)],
 *              || { let a = value(a', "a"); let b = keep(b', a |> parse |> pass(["a"]) |> pass(["io", "beta"])); b }),
 *       ], [channels], [steps], [plan], [monitoring])
 *     }
 *
 * So nothing of a node runs before the conductor does, types flow from node to node, and what the host wants to know
 * beforehand (dependencies, metadata, channels) is plain data. An argument of a builder that is not made of literals is
 * kept as source text there, and evaluated where it stands when the node runs.
 */
#include "syntax/conductor.h"

#include "base/map.h"
#include "syntax/shape.h"

static const char* const builders[] = {
    "depends_on", "with_capabilities", "with_resource_limits", "with_execution_plan", "with_embedded"};
enum { DEPENDS_ON = 0, WITH_EMBEDDED = 4, DEEPEST_CONSTANT = 16 };

typedef struct part { /* a node of the conductor */
    rl_node_t node;
    rl_sym_t name, slot;
    rl_node_t value;
    uint32_t seen_by; /* 1 + number of the part that refers to it and was looked at last */
} part_t;

typedef struct writer {
    rl_tree_t* tree;
    rl_symbols_t* symbols;
    rl_allocator_t* allocator;
    rl_diags_t* diags;
    rl_str_t source;
    rl_sym_t builder_names[RL_COUNT_OF(builders)]; /* 0: the module has an item of that name, which wins */
    rl_span_t span;                                /* what new nodes stand for */
    RL_VEC(part_t) parts;
    rl_map_t part_of_name;
    RL_VEC(uint32_t) list;   /* a list being made */
    RL_VEC(rl_node_t) open;  /* nodes still to be looked at */
    RL_VEC(rl_node_t) calls; /* builder calls of one node, the last first */
    RL_VEC(uint32_t) used;   /* parts that an expression refers to */
    rl_map_t dsl_ids;        /* symbol → byte where it was first written */
    rl_buf_t text;
} writer_t;

static rl_node_t new_node(writer_t* w, rl_node_kind_t kind, unsigned flags, uint32_t a, uint32_t b, uint32_t c) {
    rl_node_data_t data = {.kind = (uint16_t)kind,
        .flags = (uint16_t)flags,
        .start = w->span.start,
        .end = w->span.end,
        .a = a,
        .b = b,
        .c = c};
    return rl_vec_push(w->allocator, &w->tree->nodes, data) ? w->tree->nodes.count - 1 : 0;
}

static void push(writer_t* w, uint32_t item) { (void)rl_vec_push(w->allocator, &w->list, item); }

/* Everything pushed since `mark`, as a list of the tree. */
static rl_list_t take_list(writer_t* w, uint32_t mark) {
    uint32_t count = w->list.count - mark, at = w->tree->extra.count;
    bool done = count && rl_vec_reserve(w->allocator, &w->tree->extra, count + 1);
    if (done) {
        w->tree->extra.data[at] = count;
        memcpy(w->tree->extra.data + at + 1, w->list.data + mark, count * sizeof(uint32_t));
        w->tree->extra.count += count + 1;
    }
    w->list.count = mark;
    return done ? at : 0;
}

static rl_node_t name_node(writer_t* w, rl_sym_t name) { return new_node(w, RL_NODE_NAME, 0, name, 0, 0); }

static rl_node_t string_node(writer_t* w, rl_str_t text) {
    uint32_t at = w->tree->text.count;
    if (text.length > UINT32_MAX / 4 || !rl_vec_reserve(w->allocator, &w->tree->text, (uint32_t)text.length)) return 0;
    if (text.length) memcpy(w->tree->text.data + at, text.data, text.length);
    w->tree->text.count += (uint32_t)text.length;
    return new_node(w, RL_NODE_STRING, RL_RAW | RL_ESCAPED, at, (uint32_t)text.length, w->span.start);
}

static rl_node_t sym_string(writer_t* w, rl_sym_t symbol) { return string_node(w, rl_sym_text(w->symbols, symbol)); }

/* Core.Conductor.Conductor.NAME: no name of the module can stand before it but a `Core` of its own. */
static rl_node_t core_name(writer_t* w, const char* name) {
    rl_node_t at = new_node(w, RL_NODE_NAME, RL_UPPER, rl_sym_intern(w->symbols, RL_STR("Core")), 0, 0);
    rl_sym_t conductor = rl_sym_intern(w->symbols, RL_STR("Conductor"));
    at = new_node(w, RL_NODE_FIELD, RL_UPPER, at, conductor, w->span.start);
    at = new_node(w, RL_NODE_FIELD, RL_UPPER, at, conductor, w->span.start);
    return new_node(w, RL_NODE_FIELD, 0, at, rl_sym_intern(w->symbols, rl_str(name)), w->span.start);
}

static rl_node_t core_call(writer_t* w, const char* name, uint32_t mark) {
    rl_list_t arguments = take_list(w, mark);
    return new_node(w, RL_NODE_CALL, 0, core_name(w, name), arguments, w->span.start);
}

static rl_node_t list_node(writer_t* w, uint32_t mark) {
    return new_node(w, RL_NODE_LIST, 0, take_list(w, mark), 0, 0);
}

static rl_node_t let_node(writer_t* w, rl_sym_t name, rl_node_t value) {
    rl_value_decl_t decl = {.pattern = new_node(w, RL_NODE_PAT_NAME, 0, name, 0, 0), .value = value};
    uint32_t at = w->tree->extra.count, words = sizeof decl / sizeof(uint32_t);
    if (!rl_vec_reserve(w->allocator, &w->tree->extra, words)) return 0;
    memcpy(w->tree->extra.data + at, &decl, sizeof decl);
    w->tree->extra.count += words;
    return new_node(w, RL_NODE_VALUE, 0, at, 0, 0);
}

static rl_node_t closure(writer_t* w, rl_list_t statements, unsigned block_flags) {
    rl_node_t block = new_node(w, RL_NODE_BLOCK, block_flags, statements, 0, 0);
    return new_node(w, RL_NODE_LAMBDA, 0, 0, 0, block);
}

static rl_str_t source_of(const writer_t* w, rl_span_t span) {
    if (span.end > w->source.length || span.start > span.end) return RL_STR("");
    return (rl_str_t){w->source.data + span.start, span.end - span.start};
}

/* --- walking ---------------------------------------------------------------------------------------------------------- */

static void open_node(writer_t* w, rl_node_t node) {
    if (node) (void)rl_vec_push(w->allocator, &w->open, node);
}

static void open_children(writer_t* w, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(w->tree, node);
    const char* shape = rl_node_shape((rl_node_kind_t)data.kind);
    uint32_t words[3] = {data.a, data.b, data.c}, index = 0, count;
    bool is_record = *shape == 'R';
    for (const char* at = shape + (is_record ? 2 : 0); *at && *at != '.'; index++) {
        uint32_t word = is_record ? w->tree->extra.data[data.a + index] : words[index];
        if (*at == 'n') {
            open_node(w, word);
        } else if (*at == 'l' || *at == 't') {
            const uint32_t* items = rl_tree_list(w->tree, word, &count);
            for (uint32_t i = 0; i < count; i++) {
                if (*at == 'l' || i % 3 != 0) open_node(w, items[i]); /* triples of IF begin with a byte */
            }
        }
        while (*at && *at != ' ') at++;
        while (*at == ' ') at++;
    }
}

static void use_name(writer_t* w, rl_sym_t name, uint32_t reader) {
    uint32_t part;
    if (!name || !rl_map_get(&w->part_of_name, name, &part) || part >= reader) return;
    if (w->parts.data[part].seen_by == reader + 1) return;
    w->parts.data[part].seen_by = reader + 1;
    (void)rl_vec_push(w->allocator, &w->used, part);
}

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '\'' ||
           (c & 0x80);
}

/* Names that stand in a template of format(…). Those that only look so cost a look at a value that is there anyway. */
static void use_names_of_text(writer_t* w, rl_str_t text, uint32_t reader) {
    if (!text.length || !memchr(text.data, '{', text.length)) return;
    for (size_t at = 0; at < text.length;) {
        size_t start = at;
        while (at < text.length && is_word_byte(text.data[at])) at++;
        if (at > start) use_name(w, rl_sym_find(w->symbols, (rl_str_t){text.data + start, at - start}), reader);
        else at++;
    }
}

/* The parts before `reader` that an expression names, into w->used. */
static void find_used(writer_t* w, rl_node_t expression, uint32_t reader) {
    w->used.count = 0;
    open_node(w, expression);
    while (w->open.count) {
        rl_node_t node = rl_vec_pop(&w->open);
        if (rl_tree_kind(w->tree, node) == RL_NODE_NAME) use_name(w, rl_tree_name(w->tree, node), reader);
        else if (rl_tree_kind(w->tree, node) == RL_NODE_STRING)
            use_names_of_text(w, rl_tree_string(w->tree, node), reader);
        else open_children(w, node);
    }
}

/* let a = value(a', "a") for each part in w->used */
static void push_used(writer_t* w) {
    for (uint32_t i = 0; i < w->used.count; i++) {
        const part_t part = w->parts.data[w->used.data[i]];
        uint32_t mark = w->list.count;
        push(w, name_node(w, part.slot));
        push(w, sym_string(w, part.name));
        push(w, let_node(w, part.name, core_call(w, "value", mark)));
    }
}

/* --- builders --------------------------------------------------------------------------------------------------------- */

static int builder_of(const writer_t* w, rl_node_t call) {
    const rl_node_data_t* data = rl_tree_node(w->tree, call);
    if (data->kind != RL_NODE_CALL || rl_tree_kind(w->tree, data->a) != RL_NODE_NAME) return -1;
    rl_sym_t name = rl_tree_name(w->tree, data->a);
    for (size_t i = 0; i < RL_COUNT_OF(builders); i++) {
        if (name && name == w->builder_names[i]) return (int)i;
    }
    return -1;
}

static rl_node_t constant(writer_t* w, rl_node_t node, unsigned depth);

/* The items of a list as constants, pushed; false, with nothing pushed, when one is not. */
static bool push_constants(writer_t* w, rl_list_t list, unsigned depth) {
    uint32_t count = rl_tree_list_count(w->tree, list), mark = w->list.count;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t item = constant(w, rl_tree_list_at(w->tree, list, i), depth);
        if (!item) {
            w->list.count = mark;
            return false;
        }
        push(w, item);
    }
    return true;
}

/* A copy of an expression made of literals, as a value for Any; 0: it is something else. */
static rl_node_t constant(writer_t* w, rl_node_t node, unsigned depth) {
    const rl_node_data_t data = *rl_tree_node(w->tree, node);
    uint32_t count, mark = w->list.count;
    if (depth > DEEPEST_CONSTANT) return 0;
    switch ((rl_node_kind_t)data.kind) {
    case RL_NODE_INT:
    case RL_NODE_FLOAT:
    case RL_NODE_CHAR:
    case RL_NODE_STRING:
    case RL_NODE_BOOL:
    case RL_NODE_UNIT: return node;
    case RL_NODE_PAREN: return constant(w, data.a, depth + 1);
    case RL_NODE_UNARY: {
        rl_node_kind_t of = rl_tree_kind(w->tree, data.a);
        return data.flags == RL_UN_NEG && (of == RL_NODE_INT || of == RL_NODE_FLOAT) ? node : 0;
    }
    case RL_NODE_LIST:
    case RL_NODE_TUPLE:
        if (!push_constants(w, data.a, depth + 1)) return 0;
        if (data.kind == RL_NODE_TUPLE) return new_node(w, RL_NODE_TUPLE, 0, take_list(w, mark), 0, 0);
        push(w, list_node(w, mark));
        return core_call(w, "any_list", mark);
    case RL_NODE_RECORD:
        if (data.a) return 0;
        rl_tree_list(w->tree, data.b, &count);
        for (uint32_t i = 0; i < count; i++) {
            const rl_node_data_t field = *rl_tree_node(w->tree, rl_tree_list_at(w->tree, data.b, i));
            rl_node_t value =
                field.kind == RL_NODE_RECORD_FIELD && !(field.flags & RL_PUNNED) ? constant(w, field.b, depth + 1) : 0;
            if (!value) {
                w->list.count = mark;
                return 0;
            }
            push(w, new_node(w, RL_NODE_RECORD_FIELD, field.flags, field.a, value, 0));
        }
        return new_node(w, RL_NODE_RECORD, 0, 0, take_list(w, mark), 0);
    case RL_NODE_MAP:
        if (!push_constants(w, data.a, depth + 1)) return 0;
        return new_node(w, RL_NODE_MAP, 0, take_list(w, mark), 0, 0);
    default: return 0;
    }
}

/* What a list of depends_on names: the text of a string, or the name of a node. 0: neither. */
static rl_node_t dependency(writer_t* w, rl_node_t item) {
    uint32_t part;
    if (rl_tree_kind(w->tree, item) == RL_NODE_STRING) return item;
    if (rl_tree_kind(w->tree, item) != RL_NODE_NAME) return 0;
    rl_sym_t name = rl_tree_name(w->tree, item);
    return rl_map_get(&w->part_of_name, name, &part) ? sym_string(w, name) : 0;
}

typedef struct argument {
    rl_sym_t name; /* 0: by position */
    rl_node_t value;
} argument_t;

/* The index-th argument that is not the node: `_`, or the first of a call that is no stage of a pipe. */
static bool argument_at(const writer_t* w, rl_list_t arguments, uint32_t index, argument_t* out) {
    rl_node_t node = rl_tree_list_at(w->tree, arguments, index);
    const rl_node_data_t* data = rl_tree_node(w->tree, node);
    *out = (argument_t){0, node};
    if (data->kind == RL_NODE_NAMED_ARG) *out = (argument_t){data->a, data->b};
    return data->kind != RL_NODE_HOLE;
}

/* note("key", [("name", value), …]) for the record of metadata; pushes it. */
static void push_note(writer_t* w, int builder, rl_list_t arguments, uint32_t first) {
    uint32_t count = rl_tree_list_count(w->tree, arguments), mark = w->list.count;
    push(w, string_node(w, rl_str(builders[builder])));
    uint32_t items = w->list.count;
    for (uint32_t i = first; i < count; i++) {
        argument_t argument;
        if (!argument_at(w, arguments, i, &argument)) continue;
        rl_node_t value = constant(w, argument.value, 0);
        if (!value) value = string_node(w, source_of(w, rl_tree_span(w->tree, argument.value)));
        uint32_t pair = w->list.count;
        push(w, sym_string(w, argument.name));
        push(w, value);
        push(w, new_node(w, RL_NODE_TUPLE, 0, take_list(w, pair), 0, 0));
    }
    rl_node_t list = list_node(w, items);
    push(w, list);
    push(w, core_call(w, "note", mark));
}

/* The dependencies that one depends_on names; pushes them as strings. In the source they become strings too. */
static void push_dependencies(writer_t* w, rl_list_t arguments, uint32_t first) {
    uint32_t count = rl_tree_list_count(w->tree, arguments), items;
    for (uint32_t i = first; i < count; i++) {
        argument_t argument;
        if (!argument_at(w, arguments, i, &argument)) continue;
        const rl_node_data_t data = *rl_tree_node(w->tree, argument.value);
        items = data.kind == RL_NODE_LIST ? rl_tree_list_count(w->tree, data.a) : 1;
        for (uint32_t k = 0; k < items; k++) {
            uint32_t place = data.kind == RL_NODE_LIST ? data.a + 1 + k : arguments + 1 + i;
            rl_node_t item = data.kind == RL_NODE_LIST ? w->tree->extra.data[place] : argument.value;
            rl_node_t text = dependency(w, item);
            push(w, text ? text : string_node(w, source_of(w, rl_tree_span(w->tree, item))));
            if (!text) continue;
            if (data.kind == RL_NODE_LIST || !argument.name) w->tree->extra.data[place] = text;
            else w->tree->nodes.data[rl_tree_list_at(w->tree, arguments, i)].b = text;
        }
    }
}

/* pass([arguments]): lists are opened, so that each item only has to be an Any. */
static void rewrite_call(writer_t* w, rl_node_t call, uint32_t first) {
    rl_list_t arguments = rl_tree_node(w->tree, call)->b;
    uint32_t count = rl_tree_list_count(w->tree, arguments), mark = w->list.count;
    if (first) push(w, rl_tree_list_at(w->tree, arguments, 0));
    uint32_t items = w->list.count;
    for (uint32_t i = first; i < count; i++) {
        argument_t argument;
        if (!argument_at(w, arguments, i, &argument)) continue;
        const rl_node_data_t data = *rl_tree_node(w->tree, argument.value);
        if (data.kind != RL_NODE_LIST) {
            push(w, argument.value);
            continue;
        }
        for (uint32_t k = 0; k < rl_tree_list_count(w->tree, data.a); k++) push(w, rl_tree_list_at(w->tree, data.a, k));
    }
    push(w, list_node(w, items));
    rl_list_t list = take_list(w, mark);
    rl_node_t callee = core_name(w, "pass");
    w->tree->nodes.data[call].a = callee;
    w->tree->nodes.data[call].b = list;
}

/* dsl_id = "x" (also `:` and in maps) anywhere in the arguments of with_embedded: once in a conductor. */
static void check_dsl_ids(writer_t* w, rl_list_t arguments) {
    uint32_t count;
    const uint32_t* items = rl_tree_list(w->tree, arguments, &count);
    for (uint32_t i = count; i-- > 0;) open_node(w, items[i]);
    while (w->open.count) {
        rl_node_t node = rl_vec_pop(&w->open);
        const rl_node_data_t data = *rl_tree_node(w->tree, node);
        bool named = (data.kind == RL_NODE_NAMED_ARG || data.kind == RL_NODE_RECORD_FIELD) &&
                     rl_str_equal(rl_sym_text(w->symbols, data.a), RL_STR("dsl_id"));
        rl_node_t id = named && rl_tree_kind(w->tree, data.b) == RL_NODE_STRING ? data.b : 0;
        for (uint32_t i = 0; data.kind == RL_NODE_MAP && i + 1 < rl_tree_list_count(w->tree, data.a); i += 2) {
            rl_node_t value = rl_tree_list_at(w->tree, data.a, i + 1);
            if (rl_str_equal(rl_tree_string(w->tree, rl_tree_list_at(w->tree, data.a, i)), RL_STR("dsl_id")) &&
                rl_tree_kind(w->tree, value) == RL_NODE_STRING)
                id = value;
        }
        uint32_t mark = w->open.count;
        open_children(w, node);
        for (uint32_t low = mark, high = w->open.count; low + 1 < high; low++) { /* the first child comes off first */
            rl_node_t moving = w->open.data[low];
            w->open.data[low] = w->open.data[--high];
            w->open.data[high] = moving;
        }
        if (!id) continue;
        rl_str_t text = rl_tree_string(w->tree, id);
        rl_sym_t symbol = rl_sym_intern(w->symbols, text);
        uint32_t before;
        rl_span_t span = rl_tree_span(w->tree, id);
        if (!rl_map_get(&w->dsl_ids, symbol, &before)) {
            (void)rl_map_put(w->allocator, &w->dsl_ids, symbol, id);
            continue;
        }
        rl_diag_t* diag = rl_report(
            w->diags, RL_CODE_CONDUCTOR_DSL_ID_DUPLICATE, span, "dsl_id \"%.*s\" is embedded twice", RL_STR_ARG(text));
        rl_note(w->diags, diag, rl_tree_span(w->tree, before), "first embedded here");
    }
}

/* The builder calls along the pipe of a node into w->calls, the last first. */
static void find_calls(writer_t* w, rl_node_t value) {
    w->calls.count = 0;
    for (rl_node_t at = value; at;) {
        const rl_node_data_t* data = rl_tree_node(w->tree, at);
        if (data->kind == RL_NODE_PIPE) {
            if (builder_of(w, data->b) >= 0) (void)rl_vec_push(w->allocator, &w->calls, data->b);
            at = data->a;
        } else if (builder_of(w, at) >= 0 && rl_tree_list_count(w->tree, data->b)) {
            (void)rl_vec_push(w->allocator, &w->calls, at | 0x80000000u); /* f(node, …), no stage */
            at = rl_tree_list_at(w->tree, data->b, 0);
        } else {
            at = rl_node_is_spine((rl_node_kind_t)data->kind) || data->kind == RL_NODE_PAREN ? data->a : 0;
        }
    }
}

/* --- parts ------------------------------------------------------------------------------------------------------------ */

/* node("a", "label", [depends_on], [inputs], [notes], || { … }); pushes it. */
static void push_part(writer_t* w, uint32_t index) {
    const part_t part = w->parts.data[index];
    const rl_node_data_t data = *rl_tree_node(w->tree, part.node);
    uint32_t mark = w->list.count;
    w->span = rl_tree_span(w->tree, part.value);
    push(w, sym_string(w, part.name));
    push(w, sym_string(w, data.b));
    find_calls(w, part.value);
    uint32_t items = w->list.count;
    for (uint32_t i = w->calls.count; i-- > 0;) {
        rl_node_t call = w->calls.data[i] & 0x7FFFFFFFu;
        if (builder_of(w, call) == DEPENDS_ON)
            push_dependencies(w, rl_tree_node(w->tree, call)->b, w->calls.data[i] >> 31);
    }
    rl_node_t depends_on = list_node(w, items);
    for (uint32_t i = w->calls.count; i-- > 0;) {
        rl_node_t call = w->calls.data[i] & 0x7FFFFFFFu;
        rl_list_t arguments = rl_tree_node(w->tree, call)->b;
        int builder = builder_of(w, call);
        push_note(w, builder, arguments, w->calls.data[i] >> 31);
        if (builder == WITH_EMBEDDED) check_dsl_ids(w, arguments);
    }
    rl_node_t notes = list_node(w, items);
    for (uint32_t i = w->calls.count; i-- > 0;) rewrite_call(w, w->calls.data[i] & 0x7FFFFFFFu, w->calls.data[i] >> 31);
    find_used(w, part.value, index);
    for (uint32_t i = 0; i < w->used.count; i++) push(w, sym_string(w, w->parts.data[w->used.data[i]].name));
    rl_node_t inputs = list_node(w, items);
    push(w, depends_on);
    push(w, inputs);
    push(w, notes);
    items = w->list.count;
    push_used(w);
    uint32_t call = w->list.count;
    push(w, name_node(w, part.slot));
    push(w, part.value);
    push(w, let_node(w, part.name, core_call(w, "keep", call)));
    push(w, name_node(w, part.name));
    rl_list_t statements = take_list(w, items);
    push(w, closure(w, statements, 0));
    push(w, core_call(w, "node", mark));
}

static void add_part(writer_t* w, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(w->tree, node);
    uint32_t before;
    if (!data.a) return;
    if (rl_map_get(&w->part_of_name, data.a, &before)) {
        rl_str_t name = rl_sym_text(w->symbols, data.a);
        rl_diag_t* diag = rl_report(w->diags, RL_CODE_CONDUCTOR_DUPLICATE_NODE,
            rl_tree_name_span(w->tree, w->symbols, node), "node %.*s is declared twice", RL_STR_ARG(name));
        rl_note(
            w->diags, diag, rl_tree_name_span(w->tree, w->symbols, w->parts.data[before].node), "first declared here");
        return;
    }
    rl_buf_clear(&w->text);
    rl_buf_add(&w->text, rl_sym_text(w->symbols, data.a));
    rl_buf_add_cstr(&w->text, " of a conductor"); /* no name can hold a blank */
    part_t part = {
        .node = node, .name = data.a, .slot = rl_sym_intern(w->symbols, rl_buf_str(&w->text)), .value = data.c};
    if (!rl_map_put(w->allocator, &w->part_of_name, data.a, w->parts.count)) return;
    (void)rl_vec_push(w->allocator, &w->parts, part);
}

/* --- the other sections ----------------------------------------------------------------------------------------------- */

/* "node or nothing", "path" of one end; pushes both. */
static void push_endpoint(writer_t* w, rl_node_t path) {
    rl_list_t names = rl_tree_node(w->tree, path)->a;
    uint32_t part, count = rl_tree_list_count(w->tree, names);
    rl_sym_t first = count ? rl_tree_name(w->tree, rl_tree_list_at(w->tree, names, 0)) : 0;
    push(w, rl_map_get(&w->part_of_name, first, &part) ? sym_string(w, first) : string_node(w, RL_STR("")));
    rl_buf_clear(&w->text);
    for (uint32_t i = 0; i < count; i++) {
        if (i) rl_buf_add_char(&w->text, '.');
        rl_buf_add(&w->text, rl_sym_text(w->symbols, rl_tree_name(w->tree, rl_tree_list_at(w->tree, names, i))));
    }
    push(w, string_node(w, rl_buf_str(&w->text)));
}

static rl_node_t write_channels(writer_t* w, rl_node_t section) {
    uint32_t mark = w->list.count;
    rl_list_t channels = section ? rl_tree_node(w->tree, section)->a : 0;
    for (uint32_t i = 0; i < rl_tree_list_count(w->tree, channels); i++) {
        const rl_node_data_t data = *rl_tree_node(w->tree, rl_tree_list_at(w->tree, channels, i));
        uint32_t call = w->list.count;
        w->span = (rl_span_t){data.start, data.end};
        push_endpoint(w, data.a);
        push_endpoint(w, data.b);
        push(w, string_node(w, source_of(w, rl_tree_span(w->tree, data.c))));
        push(w, core_call(w, "channel", call));
    }
    return list_node(w, mark);
}

/* The steps and the plan of `execution`; pushes both lists. */
static void push_execution(writer_t* w, rl_node_t section) {
    const rl_node_data_t data = *rl_tree_node(w->tree, section); /* of node 0: all zeros */
    uint32_t mark = w->list.count, inner, everything = w->parts.count;
    if (data.a) {
        w->span = rl_tree_span(w->tree, data.a);
        find_used(w, data.a, everything);
        inner = w->list.count;
        push_used(w);
        const rl_node_data_t block = *rl_tree_node(w->tree, data.a);
        for (uint32_t i = 0; i < rl_tree_list_count(w->tree, block.a); i++)
            push(w, rl_tree_list_at(w->tree, block.a, i));
        rl_list_t statements = take_list(w, inner);
        push(w, closure(w, statements, (block.flags & RL_IMPLICIT) | RL_DISCARD));
    }
    rl_node_t steps = list_node(w, mark);
    for (uint32_t i = 0; i < rl_tree_list_count(w->tree, data.b); i++) {
        rl_node_t field = rl_tree_list_at(w->tree, data.b, i);
        rl_node_t value = rl_tree_node(w->tree, field)->b;
        w->span = rl_tree_span(w->tree, value);
        uint32_t call = w->list.count;
        push(w, sym_string(w, rl_tree_node(w->tree, field)->a));
        inner = w->list.count;
        for (uint32_t k = 0; k < everything; k++) w->parts.data[k].seen_by = 0; /* each field is a closure of its own */
        find_used(w, value, everything);
        push_used(w);
        push(w, value);
        rl_list_t statements = take_list(w, inner);
        push(w, closure(w, statements, 0));
        push(w, core_call(w, "field", call));
    }
    rl_node_t plan = list_node(w, mark);
    push(w, steps);
    push(w, plan);
}

static rl_node_t write_monitoring(writer_t* w, rl_node_t section) {
    uint32_t mark = w->list.count;
    if (section) {
        const rl_node_data_t data = *rl_tree_node(w->tree, section);
        rl_buf_clear(&w->text);
        if (data.a) rl_buf_add(&w->text, source_of(w, rl_tree_span(w->tree, data.a)));
        if (data.a && data.c) rl_buf_add_char(&w->text, ' ');
        if (data.c) rl_buf_add(&w->text, source_of(w, (rl_span_t){data.b, data.c}));
        push(w, string_node(w, rl_buf_str(&w->text)));
    }
    return list_node(w, mark);
}

/* Keep the first section of its kind. */
static void set_section(writer_t* w, rl_node_t* place, rl_node_t section, const char* word) {
    if (!*place) {
        *place = section;
        return;
    }
    uint32_t length = (uint32_t)strlen(word), start = rl_tree_span(w->tree, section).start,
             before = rl_tree_span(w->tree, *place).start;
    rl_diag_t* diag = rl_report(w->diags, RL_CODE_CONDUCTOR_DUPLICATE_SECTION, (rl_span_t){start, start + length},
        "a conductor has one `%s` section", word);
    rl_note(w->diags, diag, (rl_span_t){before, before + length}, "the first is here");
}

/* --- one conductor ---------------------------------------------------------------------------------------------------- */

static void write_conductor(writer_t* w, rl_node_t node) {
    const rl_conductor_decl_t decl = rl_tree_conductor(w->tree, node);
    const rl_span_t span = rl_tree_span(w->tree, node);
    rl_node_t channels = 0, execution = 0, monitoring = 0;
    w->parts.count = 0;
    rl_map_deinit(w->allocator, &w->part_of_name);
    rl_map_deinit(w->allocator, &w->dsl_ids);
    for (uint32_t i = 0; i < rl_tree_list_count(w->tree, decl.sections); i++) {
        rl_node_t section = rl_tree_list_at(w->tree, decl.sections, i);
        switch (rl_tree_kind(w->tree, section)) {
        case RL_NODE_CONDUCTOR_NODE: add_part(w, section); break;
        case RL_NODE_CONDUCTOR_CHANNELS: set_section(w, &channels, section, "channels"); break;
        case RL_NODE_CONDUCTOR_EXECUTION: set_section(w, &execution, section, "execution"); break;
        case RL_NODE_CONDUCTOR_MONITORING: set_section(w, &monitoring, section, "monitoring"); break;
        default: break;
        }
    }
    uint32_t mark = w->list.count;
    for (uint32_t i = 0; i < w->parts.count; i++) {
        const part_t part = w->parts.data[i];
        w->span = rl_tree_name_span(w->tree, w->symbols, part.node);
        push(w, let_node(w, part.slot, core_call(w, "slot", w->list.count)));
    }
    uint32_t call = w->list.count;
    w->span = rl_tree_span(w->tree, decl.name);
    push(w, sym_string(w, rl_tree_name(w->tree, decl.name)));
    uint32_t items = w->list.count;
    for (uint32_t i = 0; i < w->parts.count; i++) push_part(w, i);
    push(w, list_node(w, items));
    push(w, write_channels(w, channels));
    push_execution(w, execution);
    push(w, write_monitoring(w, monitoring));
    w->span = rl_tree_span(w->tree, decl.name);
    push(w, core_call(w, "make", call));
    rl_node_t block = new_node(w, RL_NODE_BLOCK, 0, take_list(w, mark), 0, 0);

    const rl_node_data_t name = *rl_tree_node(w->tree, decl.name);
    rl_value_decl_t value = {.attrs = decl.attrs,
        .pattern = new_node(w, RL_NODE_PAT_NAME, name.flags & RL_UPPER, name.a, 0, 0),
        .value = block};
    uint32_t at = w->tree->extra.count, words = sizeof value / sizeof(uint32_t);
    if (!rl_vec_reserve(w->allocator, &w->tree->extra, words)) return;
    memcpy(w->tree->extra.data + at, &value, sizeof value);
    w->tree->extra.count += words;
    rl_node_data_t* written = &w->tree->nodes.data[node];
    *written = (rl_node_data_t){.kind = RL_NODE_VALUE,
        .flags = (uint16_t)(written->flags & RL_PUB),
        .start = span.start,
        .end = span.end,
        .a = at};
}

/* An item of the module with a builder's name is meant by that name. */
static void find_builders(writer_t* w) {
    for (size_t i = 0; i < RL_COUNT_OF(builders); i++)
        w->builder_names[i] = rl_sym_find(w->symbols, rl_str(builders[i]));
    rl_list_t items = rl_tree_node(w->tree, w->tree->root)->b;
    for (uint32_t i = 0; i < rl_tree_list_count(w->tree, items); i++) {
        rl_node_t item = rl_tree_list_at(w->tree, items, i);
        rl_sym_t name = 0;
        if (rl_tree_kind(w->tree, item) == RL_NODE_FN) {
            const rl_fn_decl_t fn = rl_tree_fn(w->tree, item);
            if (rl_tree_list_count(w->tree, fn.path) == 1)
                name = rl_tree_name(w->tree, rl_tree_list_at(w->tree, fn.path, 0));
        } else if (rl_tree_kind(w->tree, item) == RL_NODE_VALUE) {
            const rl_value_decl_t value = rl_tree_value(w->tree, item);
            if (rl_tree_kind(w->tree, value.pattern) == RL_NODE_PAT_NAME)
                name = rl_tree_node(w->tree, value.pattern)->a;
        }
        for (size_t k = 0; name && k < RL_COUNT_OF(builders); k++) {
            if (w->builder_names[k] == name) w->builder_names[k] = 0;
        }
    }
}

void rl_tree_write_conductors(rl_tree_t* tree, rl_symbols_t* symbols, rl_str_t source, rl_diags_t* diags) {
    rl_list_t items = rl_tree_node(tree, tree->root)->b;
    uint32_t count = rl_tree_list_count(tree, items);
    writer_t w = {.tree = tree, .symbols = symbols, .allocator = tree->allocator, .diags = diags, .source = source};
    bool prepared = false;
    for (uint32_t i = 0; i < count && !w.allocator->failed; i++) {
        rl_node_t item = rl_tree_list_at(tree, items, i);
        if (rl_tree_kind(tree, item) != RL_NODE_CONDUCTOR) continue;
        if (!prepared) {
            rl_buf_init(&w.text, w.allocator);
            find_builders(&w);
            prepared = true;
        }
        write_conductor(&w, item);
    }
    if (!prepared) return;
    rl_vec_deinit(w.allocator, &w.parts);
    rl_vec_deinit(w.allocator, &w.list);
    rl_vec_deinit(w.allocator, &w.open);
    rl_vec_deinit(w.allocator, &w.calls);
    rl_vec_deinit(w.allocator, &w.used);
    rl_map_deinit(w.allocator, &w.part_of_name);
    rl_map_deinit(w.allocator, &w.dsl_ids);
    rl_buf_deinit(&w.text);
}
