#include "syntax/tree.h"

#include "syntax/shape.h"

/* A record that could not be stored is read from here: all of its words are "absent". */
enum { EMPTY_WORDS = 16 };

bool rl_tree_init(rl_tree_t* tree, rl_allocator_t* allocator) {
    memset(tree, 0, sizeof *tree);
    tree->allocator = allocator;
    rl_node_data_t none = {0};
    if (!rl_vec_push(allocator, &tree->nodes, none) || !rl_vec_reserve(allocator, &tree->extra, EMPTY_WORDS)) return false;
    memset(tree->extra.data, 0, EMPTY_WORDS * sizeof(uint32_t));
    tree->extra.count = EMPTY_WORDS;
    return true;
}

void rl_tree_deinit(rl_tree_t* tree) {
    rl_vec_deinit(tree->allocator, &tree->nodes);
    rl_vec_deinit(tree->allocator, &tree->extra);
    rl_vec_deinit(tree->allocator, &tree->text);
    tree->root = 0;
}

rl_list_t rl_tree_attrs(const rl_tree_t* tree, rl_node_t node) {
    const rl_node_data_t* data = rl_tree_node(tree, node);
    switch ((rl_node_kind_t)data->kind) {
    case RL_NODE_VALUE: case RL_NODE_FN: case RL_NODE_ACTIVE: case RL_NODE_TYPE_DECL: case RL_NODE_TRAIT: case RL_NODE_IMPL:
    case RL_NODE_EFFECT: case RL_NODE_OPERATION: case RL_NODE_HANDLER_DECL: case RL_NODE_CONDUCTOR:
        return tree->extra.data[data->a]; /* the first word of each of their records */
    case RL_NODE_USE: case RL_NODE_EXTERN: case RL_NODE_ATTRIBUTED: return data->a;
    case RL_NODE_BLOCK: case RL_NODE_UNSAFE: return data->b;
    case RL_NODE_TYPE_FIELD: return rl_tree_field_more(tree, node).attrs;
    default: return 0;
    }
}

rl_span_t rl_tree_name_span(const rl_tree_t* tree, const rl_symbols_t* symbols, rl_node_t node) {
    const rl_node_data_t* data = rl_tree_node(tree, node);
    switch ((rl_node_kind_t)data->kind) {
    case RL_NODE_NAME: return (rl_span_t){data->start, data->end};
    case RL_NODE_FIELD: case RL_NODE_TUPLE_INDEX: return (rl_span_t){data->c, data->end};
    case RL_NODE_ALIAS: return (rl_span_t){data->b, data->end};
    case RL_NODE_PAT_AS: {
        uint32_t length = (uint32_t)rl_sym_text(symbols, data->b).length;
        return (rl_span_t){data->c, data->c + length};
    }
    case RL_NODE_PAT_REST: return (rl_span_t){data->b ? data->b : data->start, data->end};
    case RL_NODE_PAT_NAME: {
        uint32_t length = (uint32_t)rl_sym_text(symbols, data->a).length;
        return (rl_span_t){data->end > length ? data->end - length : data->start, data->end};
    }
    default: {
        uint32_t length = (uint32_t)rl_sym_text(symbols, data->a).length;
        return (rl_span_t){data->start, data->start + length};
    }
    }
}

const char* rl_node_kind_name(rl_node_kind_t kind) {
    static const char* const names[] = {
#define NODE(name) #name,
        RL_NODES(NODE)
#undef NODE
    };
    _Static_assert(RL_COUNT_OF(names) == RL_NODE_KIND_COUNT, "a name for each kind");
    return names[kind];
}

const char* rl_binary_op_text(rl_binary_op_t op) {
    static const char* const texts[] = {
        [RL_BIN_ADD] = "+", [RL_BIN_SUB] = "-", [RL_BIN_MUL] = "*",  [RL_BIN_DIV] = "/", [RL_BIN_REM] = "%",
        [RL_BIN_CONCAT] = "++", [RL_BIN_EQ] = "==", [RL_BIN_NE] = "!=", [RL_BIN_LT] = "<", [RL_BIN_LE] = "<=",
        [RL_BIN_GT] = ">", [RL_BIN_GE] = ">=", [RL_BIN_AND] = "&&", [RL_BIN_OR] = "||",
    };
    _Static_assert(RL_COUNT_OF(texts) == RL_BIN_OP_COUNT, "a text for each operator");
    return texts[op];
}

const char* rl_unary_op_text(rl_unary_op_t op) {
    static const char* const texts[] = {
        [RL_UN_NEG] = "-", [RL_UN_NOT] = "!", [RL_UN_REF] = "&", [RL_UN_REF_MUT] = "&mut"};
    _Static_assert(RL_COUNT_OF(texts) == RL_UN_OP_COUNT, "a text for each operator");
    return texts[op];
}

const char* rl_assign_op_text(rl_assign_op_t op) {
    static const char* const texts[] = {[RL_ASSIGN_SET] = ":=", [RL_ASSIGN_FIELD] = "=", [RL_ASSIGN_ADD] = "+=",
                                        [RL_ASSIGN_SUB] = "-=", [RL_ASSIGN_MUL] = "*=", [RL_ASSIGN_DIV] = "/="};
    _Static_assert(RL_COUNT_OF(texts) == RL_ASSIGN_OP_COUNT, "a text for each operator");
    return texts[op];
}

/* --- shapes -------------------------------------------------------------------------------------------------------- */

const char* rl_node_shape(rl_node_kind_t kind) {
    static const char* const shapes[RL_NODE_KIND_COUNT] = {
        [RL_NODE_NONE] = "...", [RL_NODE_MODULE] = "nl.", [RL_NODE_USE] = "ln.", [RL_NODE_USE_TREE] = "lls",
        [RL_NODE_VALUE] = "R..lnnn", [RL_NODE_FN] = "R..llllnlnn.", [RL_NODE_ACTIVE] = "R..lnln",
        [RL_NODE_TYPE_DECL] = "R..lnln", [RL_NODE_VARIANTS] = "l..", [RL_NODE_VARIANT] = "sln",
        [RL_NODE_VARIANT_FIELD] = "sn.", [RL_NODE_NEWTYPE] = "n..", [RL_NODE_TRAIT] = "R..lnlll",
        [RL_NODE_IMPL] = "R..llnnll.", [RL_NODE_EXTERN] = "lnl", [RL_NODE_EFFECT] = "R..lnlnl",
        [RL_NODE_OPERATION] = "R..lnnlln", [RL_NODE_HANDLER_DECL] = "R..lnnl", [RL_NODE_CONDUCTOR] = "R..lnl",
        [RL_NODE_CONDUCTOR_NODE] = "ssn", [RL_NODE_CONDUCTOR_CHANNELS] = "l..", [RL_NODE_CONDUCTOR_CHANNEL] = "nnn",
        [RL_NODE_CONDUCTOR_EXECUTION] = "nl.", [RL_NODE_CONDUCTOR_MONITORING] = "nii", [RL_NODE_ATTR] = "sln",
        [RL_NODE_CFG_TEST] = "nn.", [RL_NODE_CFG_ALL] = "l..", [RL_NODE_CFG_ANY] = "l..", [RL_NODE_CFG_NOT] = "n..",
        [RL_NODE_GENERIC] = "sl.", [RL_NODE_CONSTRAINT] = "sln", [RL_NODE_EFFECTS] = "l..", [RL_NODE_PARAM] = "nnn",
        [RL_NODE_OP_CLAUSE] = "nln", [RL_NODE_RETURN_CLAUSE] = "nn.", [RL_NODE_ATTRIBUTED] = "ln.",
        [RL_NODE_NAME] = "s..", [RL_NODE_PATH] = "l..", [RL_NODE_ASSIGN] = "nn.", [RL_NODE_DEFER] = "n..",
        [RL_NODE_INT] = "...", [RL_NODE_FLOAT] = "...", [RL_NODE_CHAR] = "...", [RL_NODE_STRING] = "...",
        [RL_NODE_BOOL] = "i..", [RL_NODE_UNIT] = "...", [RL_NODE_HOLE] = "...", [RL_NODE_PAREN] = "n..",
        [RL_NODE_TUPLE] = "l..", [RL_NODE_LIST] = "l..", [RL_NODE_EMPTY] = "...", [RL_NODE_RECORD] = "nl.",
        [RL_NODE_RECORD_FIELD] = "sn.", [RL_NODE_SPREAD] = "n..", [RL_NODE_MAP] = "l..", [RL_NODE_BLOCK] = "ll.",
        [RL_NODE_UNSAFE] = "nl.", [RL_NODE_ASYNC] = "n..", [RL_NODE_LAMBDA] = "lnn", [RL_NODE_IF] = "tn.",
        [RL_NODE_MATCH] = "nl.", [RL_NODE_ARM] = "nln", [RL_NODE_GUARD] = "n..", [RL_NODE_ALIAS] = "s..",
        [RL_NODE_WHILE] = "nn.", [RL_NODE_FOR] = "nnn", [RL_NODE_LOOP] = "n..", [RL_NODE_RETURN] = "n..",
        [RL_NODE_BREAK] = "n..", [RL_NODE_CONTINUE] = "...", [RL_NODE_PERFORM] = "nl.", [RL_NODE_HANDLE] = "nn.",
        [RL_NODE_HANDLER] = "nl.", [RL_NODE_INLINE_ASM] = "l..", [RL_NODE_LLVM_IR] = "nl.", [RL_NODE_NAMED_ARG] = "sn.",
        [RL_NODE_ASM_ARG] = "nn.", [RL_NODE_UNARY] = "n..", [RL_NODE_POWER] = "l..", [RL_NODE_RANGE] = "nn.",
        [RL_NODE_AWAIT] = "n..", [RL_NODE_BINARY] = "nn.", [RL_NODE_PIPE] = "nn.", [RL_NODE_CAST] = "nn.",
        [RL_NODE_FIELD] = "ns.", [RL_NODE_TUPLE_INDEX] = "ni.", [RL_NODE_TRY] = "n..", [RL_NODE_CALL] = "nl.",
        [RL_NODE_INDEX] = "nn.", [RL_NODE_PAT_WILD] = "...", [RL_NODE_PAT_NAME] = "s..", [RL_NODE_PAT_LITERAL] = "n..",
        [RL_NODE_PAT_TUPLE] = "l..", [RL_NODE_PAT_CTOR] = "nln", [RL_NODE_PAT_RECORD] = "l..", [RL_NODE_PAT_FIELD] = "sn.",
        [RL_NODE_PAT_SLICE] = "l..", [RL_NODE_PAT_REST] = "s..", [RL_NODE_PAT_RANGE] = "nn.", [RL_NODE_PAT_REGEX] = "n..",
        [RL_NODE_PAT_ACTIVE] = "nn.", [RL_NODE_PAT_OR] = "l..", [RL_NODE_PAT_AS] = "ns.", [RL_NODE_TYPE_PATH] = "ll.",
        [RL_NODE_TYPE_UNIT] = "...", [RL_NODE_TYPE_TUPLE] = "l..", [RL_NODE_TYPE_FN] = "lnn", [RL_NODE_TYPE_PARAM] = "sn.",
        [RL_NODE_TYPE_LIST] = "n..", [RL_NODE_TYPE_ARRAY] = "nn.", [RL_NODE_TYPE_RECORD] = "l..",
        [RL_NODE_TYPE_FIELD] = "snM", [RL_NODE_TYPE_REF] = "n..", [RL_NODE_TYPE_EFFECTS] = "nn.",
    };
    return shapes[kind] ? shapes[kind] : "...";
}
