/*
 * @cfg (LANGUAGE 3.5): what a false predicate stands on leaves the list that holds it.
 *
 * Children are made before their parents, so going through the nodes from the last to the first meets the outside of
 * everything first; what lies inside something removed is not looked at, so its predicates report nothing.
 */
#include "syntax/parser.h"

#include "base/os.h"

enum { SWITCH_DEPTH = 32, DEEP_STACK_BYTES = 1 << 20 };

typedef struct cfg_pass {
    rl_tree_t* tree;
    rl_symbols_t* symbols;
    const rl_cfg_t* cfg;
    rl_diags_t* diags;
    rl_disabled_names_t* disabled;
    rl_allocator_t* allocator;
    RL_VEC(rl_span_t) removed; /* disjoint, ascending */
    RL_VEC(rl_node_t) open;    /* whose names are still to be noted */
    rl_buf_t key;
    uint32_t errors_before;
} cfg_pass_t;

static bool test_key(cfg_pass_t* pass, rl_node_t node) {
    const rl_node_data_t* data = rl_tree_node(pass->tree, node);
    rl_list_t names = rl_tree_node(pass->tree, data->a)->a;
    rl_buf_clear(&pass->key);
    for (uint32_t i = 0; i < rl_tree_list_count(pass->tree, names); i++) {
        if (i) rl_buf_add_char(&pass->key, '.');
        rl_buf_add(
            &pass->key, rl_sym_text(pass->symbols, rl_tree_name(pass->tree, rl_tree_list_at(pass->tree, names, i))));
    }
    rl_cfg_test_t test = {.key = rl_buf_str(&pass->key),
        .value = rl_tree_string(pass->tree, data->b),
        .key_span = rl_tree_span(pass->tree, data->a),
        .value_span = rl_tree_span(pass->tree, data->b)};
    return pass->cfg->test(pass->cfg->user, &test, pass->diags);
}

static bool holds(cfg_pass_t* pass, rl_node_t predicate, uint32_t depth);

typedef struct deep_call {
    cfg_pass_t* pass;
    rl_node_t predicate;
    bool result;
} deep_call_t;

static void run_deep_call(void* user) {
    deep_call_t* call = user;
    call->result = holds(call->pass, call->predicate, SWITCH_DEPTH + 1);
}

/* Deeper than a small stack may hold; the parser's nesting limit bounds what is left. */
static bool holds_deep(cfg_pass_t* pass, rl_node_t predicate) {
    deep_call_t call = {pass, predicate, false};
    if (!rl_os_call_with_stack(DEEP_STACK_BYTES, run_deep_call, &call)) pass->allocator->failed = true;
    return call.result;
}

/* Every part is evaluated, so that all bad keys are reported. */
static bool holds(cfg_pass_t* pass, rl_node_t predicate, uint32_t depth) {
    const rl_node_data_t* data = rl_tree_node(pass->tree, predicate);
    uint32_t count;
    if (depth == SWITCH_DEPTH) return holds_deep(pass, predicate);
    switch ((rl_node_kind_t)data->kind) {
    case RL_NODE_CFG_TEST: return test_key(pass, predicate);
    case RL_NODE_CFG_NOT: return !holds(pass, data->a, depth + 1);
    case RL_NODE_CFG_ALL:
    case RL_NODE_CFG_ANY: {
        bool all = data->kind == RL_NODE_CFG_ALL, result = all;
        const uint32_t* parts = rl_tree_list(pass->tree, data->a, &count);
        for (uint32_t i = 0; i < count; i++) {
            bool part = holds(pass, parts[i], depth + 1);
            result = all ? result && part : result || part;
        }
        return result;
    }
    default: return true;
    }
}

/* An error inside a predicate (unknown key, …) makes all of it false, whatever `not` stands around it. */
static bool is_enabled(cfg_pass_t* pass, rl_node_t node) {
    uint32_t count;
    rl_list_t attrs = rl_tree_attrs(pass->tree, node);
    const uint32_t* items = rl_tree_list(pass->tree, attrs, &count);
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t predicate = rl_tree_node(pass->tree, items[i])->c;
        if (!predicate || rl_tree_kind(pass->tree, items[i]) != RL_NODE_ATTR) continue;
        uint32_t errors = pass->diags->errors;
        if (!holds(pass, predicate, 0) || pass->diags->errors != errors) return false;
    }
    return true;
}

static uint32_t first_removed_after(const cfg_pass_t* pass, uint32_t offset) {
    uint32_t low = 0, high = pass->removed.count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (pass->removed.data[middle].start <= offset) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool is_removed(const cfg_pass_t* pass, uint32_t offset) {
    uint32_t next = first_removed_after(pass, offset);
    return next > 0 && offset < pass->removed.data[next - 1].end;
}

static void note_name(cfg_pass_t* pass, rl_sym_t name) {
    if (name && pass->disabled) (void)rl_vec_push(pass->allocator, &pass->disabled->names, name);
}

static void push_all(cfg_pass_t* pass, rl_list_t list) {
    uint32_t count;
    const uint32_t* nodes = rl_tree_list(pass->tree, list, &count);
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(pass->allocator, &pass->open, nodes[i]);
}

/* Every name that an item, or a pattern of one, defines. */
static void note_names(cfg_pass_t* pass, rl_node_t removed) {
    const rl_tree_t* tree = pass->tree;
    pass->open.count = 0;
    if (!pass->disabled || !rl_vec_push(pass->allocator, &pass->open, removed)) return;
    while (pass->open.count > 0 && !pass->allocator->failed) {
        rl_node_t node = rl_vec_pop(&pass->open);
        const rl_node_data_t data = *rl_tree_node(tree, node);
        switch ((rl_node_kind_t)data.kind) {
        case RL_NODE_VALUE: (void)rl_vec_push(pass->allocator, &pass->open, rl_tree_value(tree, node).pattern); break;
        case RL_NODE_FN: {
            rl_list_t path = rl_tree_fn(tree, node).path;
            uint32_t count = rl_tree_list_count(tree, path);
            if (count) note_name(pass, rl_tree_name(tree, rl_tree_list_at(tree, path, count - 1)));
            break;
        }
        case RL_NODE_ACTIVE: note_name(pass, rl_tree_name(tree, rl_tree_active(tree, node).name)); break;
        case RL_NODE_TYPE_DECL: {
            rl_type_decl_t decl = rl_tree_type_decl(tree, node);
            note_name(pass, rl_tree_name(tree, decl.name));
            if (rl_tree_kind(tree, decl.body) == RL_NODE_VARIANTS) push_all(pass, rl_tree_node(tree, decl.body)->a);
            break;
        }
        case RL_NODE_TRAIT:
            note_name(pass, rl_tree_name(tree, rl_tree_trait(tree, node).name));
            push_all(pass, rl_tree_trait(tree, node).items);
            break;
        case RL_NODE_IMPL: push_all(pass, rl_tree_impl(tree, node).items); break;
        case RL_NODE_EFFECT:
            note_name(pass, rl_tree_name(tree, rl_tree_effect(tree, node).name));
            push_all(pass, rl_tree_effect(tree, node).operations);
            break;
        case RL_NODE_OPERATION: note_name(pass, rl_tree_name(tree, rl_tree_operation(tree, node).name)); break;
        case RL_NODE_HANDLER_DECL: note_name(pass, rl_tree_name(tree, rl_tree_handler(tree, node).name)); break;
        case RL_NODE_CONDUCTOR: note_name(pass, rl_tree_name(tree, rl_tree_conductor(tree, node).name)); break;
        case RL_NODE_EXTERN: push_all(pass, data.c); break;
        case RL_NODE_USE: (void)rl_vec_push(pass->allocator, &pass->open, data.b); break;
        case RL_NODE_USE_TREE: {
            uint32_t count = rl_tree_list_count(tree, data.a);
            if (data.c) note_name(pass, data.c);
            else if (count && !(data.flags & RL_BRACES))
                note_name(pass, rl_tree_name(tree, rl_tree_list_at(tree, data.a, count - 1)));
            push_all(pass, data.b);
            break;
        }
        case RL_NODE_TYPE_FIELD: (void)rl_vec_push(pass->allocator, &pass->disabled->fields, data.a); break;
        case RL_NODE_VARIANT:
        case RL_NODE_PAT_NAME: note_name(pass, data.a); break;
        case RL_NODE_PAT_REST: note_name(pass, data.a); break;
        case RL_NODE_PAT_AS:
            note_name(pass, data.b);
            (void)rl_vec_push(pass->allocator, &pass->open, data.a);
            break;
        case RL_NODE_PAT_FIELD: (void)rl_vec_push(pass->allocator, &pass->open, data.b); break;
        case RL_NODE_PAT_TUPLE:
        case RL_NODE_PAT_SLICE:
        case RL_NODE_PAT_RECORD:
        case RL_NODE_PAT_OR: push_all(pass, data.a); break;
        case RL_NODE_PAT_CTOR:
            push_all(pass, data.b);
            (void)rl_vec_push(pass->allocator, &pass->open, data.c);
            break;
        default: break;
        }
    }
}

static void remove_span(cfg_pass_t* pass, rl_node_t node) {
    rl_span_t span = rl_tree_span(pass->tree, node);
    uint32_t at = first_removed_after(pass, span.start);
    if (!rl_vec_reserve(pass->allocator, &pass->removed, 1)) return;
    rl_span_t* data = pass->removed.data;
    memmove(data + at + 1, data + at, (pass->removed.count - at) * sizeof *data);
    data[at] = span;
    pass->removed.count++;
}

static void filter(cfg_pass_t* pass, rl_list_t list) {
    uint32_t* words = pass->tree->extra.data + list;
    uint32_t kept = 0, count = words[0];
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t node = words[1 + i];
        if (rl_tree_attrs(pass->tree, node) && !is_enabled(pass, node)) {
            note_names(pass, node);
            remove_span(pass, node);
        } else {
            words[1 + kept++] = node;
        }
    }
    words[0] = kept;
}

/* The list of a node whose items may carry attributes. */
static rl_list_t decorated_list(const rl_tree_t* tree, rl_node_t node) {
    const rl_node_data_t* data = rl_tree_node(tree, node);
    switch ((rl_node_kind_t)data->kind) {
    case RL_NODE_MODULE: return data->b;
    case RL_NODE_EXTERN: return data->c;
    case RL_NODE_BLOCK:
    case RL_NODE_TYPE_RECORD: return data->a;
    case RL_NODE_TRAIT: return rl_tree_trait(tree, node).items;
    case RL_NODE_IMPL: return rl_tree_impl(tree, node).items;
    case RL_NODE_EFFECT: return rl_tree_effect(tree, node).operations;
    default: return 0;
    }
}

bool rl_tree_apply_cfg(
    rl_tree_t* tree, rl_symbols_t* symbols, const rl_cfg_t* cfg, rl_diags_t* diags, rl_disabled_names_t* out_disabled) {
    cfg_pass_t pass = {.tree = tree,
        .symbols = symbols,
        .cfg = cfg,
        .diags = diags,
        .disabled = out_disabled,
        .allocator = tree->allocator,
        .errors_before = diags->errors};
    if (!tree->has_attrs) return true;
    rl_buf_init(&pass.key, tree->allocator);
    for (rl_node_t node = tree->nodes.count; node-- > 1 && !tree->allocator->failed;) {
        rl_list_t list = decorated_list(tree, node);
        if (list && !is_removed(&pass, rl_tree_node(tree, node)->start)) filter(&pass, list);
    }
    for (rl_node_t node = 1; pass.removed.count && node < tree->nodes.count; node++) {
        rl_node_data_t* data = &tree->nodes.data[node];
        if (is_removed(&pass, data->start)) *data = (rl_node_data_t){.start = data->start, .end = data->end};
    }
    rl_buf_deinit(&pass.key);
    rl_vec_deinit(tree->allocator, &pass.removed);
    rl_vec_deinit(tree->allocator, &pass.open);
    return !tree->allocator->failed && diags->errors == pass.errors_before;
}
