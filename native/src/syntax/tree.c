#include "syntax/tree.h"

#include "syntax/shape.h"

/* A record that could not be stored is read from here: all of its words are "absent". */
enum { EMPTY_WORDS = 16 };

bool rl_tree_init(rl_tree_t* tree, rl_allocator_t* allocator) {
    memset(tree, 0, sizeof *tree);
    tree->allocator = allocator;
    rl_node_data_t none = {0};
    if (!rl_vec_push(allocator, &tree->nodes, none) || !rl_vec_reserve(allocator, &tree->extra, EMPTY_WORDS))
        return false;
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
    case RL_NODE_VALUE:
    case RL_NODE_FN:
    case RL_NODE_ACTIVE:
    case RL_NODE_TYPE_DECL:
    case RL_NODE_TRAIT:
    case RL_NODE_IMPL:
    case RL_NODE_EFFECT:
    case RL_NODE_OPERATION:
    case RL_NODE_HANDLER_DECL:
    case RL_NODE_CONDUCTOR: return tree->extra.data[data->a]; /* the first word of each of their records */
    case RL_NODE_USE:
    case RL_NODE_EXTERN:
    case RL_NODE_ATTRIBUTED: return data->a;
    case RL_NODE_BLOCK:
    case RL_NODE_UNSAFE: return data->b;
    case RL_NODE_TYPE_FIELD: return rl_tree_field_more(tree, node).attrs;
    default: return 0;
    }
}

rl_span_t rl_tree_name_span(const rl_tree_t* tree, const rl_symbols_t* symbols, rl_node_t node) {
    const rl_node_data_t* data = rl_tree_node(tree, node);
    switch ((rl_node_kind_t)data->kind) {
    case RL_NODE_NAME: return (rl_span_t){data->start, data->end};
    case RL_NODE_FIELD:
    case RL_NODE_TUPLE_INDEX: return (rl_span_t){data->c, data->end};
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
        [RL_BIN_ADD] = "+",
        [RL_BIN_SUB] = "-",
        [RL_BIN_MUL] = "*",
        [RL_BIN_DIV] = "/",
        [RL_BIN_REM] = "%",
        [RL_BIN_CONCAT] = "++",
        [RL_BIN_EQ] = "==",
        [RL_BIN_NE] = "!=",
        [RL_BIN_LT] = "<",
        [RL_BIN_LE] = "<=",
        [RL_BIN_GT] = ">",
        [RL_BIN_GE] = ">=",
        [RL_BIN_AND] = "&&",
        [RL_BIN_OR] = "||",
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
    static const char* const texts[] = {[RL_ASSIGN_SET] = ":=",
        [RL_ASSIGN_FIELD] = "=",
        [RL_ASSIGN_ADD] = "+=",
        [RL_ASSIGN_SUB] = "-=",
        [RL_ASSIGN_MUL] = "*=",
        [RL_ASSIGN_DIV] = "/="};
    _Static_assert(RL_COUNT_OF(texts) == RL_ASSIGN_OP_COUNT, "a text for each operator");
    return texts[op];
}

/* --- shapes -------------------------------------------------------------------------------------------------------- */

const char* rl_node_shape(rl_node_kind_t kind) {
    static const char* const shapes[] = {
        [RL_NODE_NONE] = ".",
        [RL_NODE_MODULE] = "n:header l:items",
        [RL_NODE_USE] = "l:attrs n:tree",
        [RL_NODE_USE_TREE] = "l:path l:items s:as",
        [RL_NODE_VALUE] = "R l:attrs n:pattern n:type n:value",
        [RL_NODE_FN] = "R l:attrs l:path l:generics l:params n:result l:where n:effects n:body",
        [RL_NODE_ACTIVE] = "R l:attrs n:name l:params n:body",
        [RL_NODE_TYPE_DECL] = "R l:attrs n:name l:generics n:body",
        [RL_NODE_VARIANTS] = "l:variants",
        [RL_NODE_VARIANT] = "s: l:fields n:record",
        [RL_NODE_VARIANT_FIELD] = "s: n:type",
        [RL_NODE_NEWTYPE] = "n:type",
        [RL_NODE_TRAIT] = "R l:attrs n:name l:generics l:where l:items",
        [RL_NODE_IMPL] = "R l:attrs l:generics n:trait n:type l:where l:items",
        [RL_NODE_EXTERN] = "l:attrs n:abi l:items",
        [RL_NODE_EFFECT] = "R l:attrs n:name l:generics n:tag l:operations",
        [RL_NODE_OPERATION] = "R l:attrs n:name n:type l:generics l:params n:result",
        [RL_NODE_HANDLER_DECL] = "R l:attrs n:name n:effect l:entries",
        [RL_NODE_CONDUCTOR] = "R l:attrs n:name l:sections",
        [RL_NODE_CONDUCTOR_NODE] = "s: s:label n:value",
        [RL_NODE_CONDUCTOR_CHANNELS] = "l:channels",
        [RL_NODE_CONDUCTOR_CHANNEL] = "n:from n:to n:type",
        [RL_NODE_CONDUCTOR_EXECUTION] = "n:block l:plan",
        [RL_NODE_CONDUCTOR_MONITORING] = "n:path i:raw i:to",
        [RL_NODE_ATTR] = "s: l:args n:predicate",
        [RL_NODE_CFG_TEST] = "n:key n:value",
        [RL_NODE_CFG_ALL] = "l:all",
        [RL_NODE_CFG_ANY] = "l:any",
        [RL_NODE_CFG_NOT] = "n:not",
        [RL_NODE_GENERIC] = "s: l:bounds",
        [RL_NODE_CONSTRAINT] = "s: l:bounds n:type",
        [RL_NODE_EFFECTS] = "l:effects",
        [RL_NODE_PARAM] = "n:pattern n:type n:default",
        [RL_NODE_OP_CLAUSE] = "n:name l:params n:body",
        [RL_NODE_RETURN_CLAUSE] = "n:pattern n:body",
        [RL_NODE_ATTRIBUTED] = "l:attrs n:statement",
        [RL_NODE_NAME] = "s:",
        [RL_NODE_PATH] = "l:names",
        [RL_NODE_ASSIGN] = "n:place n:value",
        [RL_NODE_DEFER] = "n:value",
        [RL_NODE_INT] = ".",
        [RL_NODE_FLOAT] = ".",
        [RL_NODE_CHAR] = ".",
        [RL_NODE_STRING] = ".",
        [RL_NODE_BOOL] = ".",
        [RL_NODE_UNIT] = ".",
        [RL_NODE_HOLE] = ".",
        [RL_NODE_PAREN] = "n:inner",
        [RL_NODE_TUPLE] = "l:items",
        [RL_NODE_LIST] = "l:items",
        [RL_NODE_EMPTY] = ".",
        [RL_NODE_RECORD] = "n:type l:items",
        [RL_NODE_RECORD_FIELD] = "s: n:value",
        [RL_NODE_SPREAD] = "n:from",
        [RL_NODE_MAP] = "l:entries",
        [RL_NODE_BLOCK] = "l:statements l:attrs",
        [RL_NODE_UNSAFE] = "n:block l:attrs",
        [RL_NODE_ASYNC] = "n:block",
        [RL_NODE_LAMBDA] = "l:params n:result n:body",
        [RL_NODE_IF] = "t:if n:else",
        [RL_NODE_MATCH] = "n:scrutinee l:arms",
        [RL_NODE_ARM] = "n:pattern l:clauses n:body",
        [RL_NODE_GUARD] = "n:condition",
        [RL_NODE_ALIAS] = "s:",
        [RL_NODE_WHILE] = "n:condition n:block",
        [RL_NODE_FOR] = "n:pattern n:in n:block",
        [RL_NODE_LOOP] = "n:block",
        [RL_NODE_RETURN] = "n:value",
        [RL_NODE_BREAK] = "n:value",
        [RL_NODE_CONTINUE] = ".",
        [RL_NODE_PERFORM] = "n:path l:args",
        [RL_NODE_HANDLE] = "n:computation n:handler",
        [RL_NODE_HANDLER] = "n:effect l:entries",
        [RL_NODE_INLINE_ASM] = "l:args",
        [RL_NODE_LLVM_IR] = "n:type l:args",
        [RL_NODE_NAMED_ARG] = "s: n:value",
        [RL_NODE_ASM_ARG] = "n:constraint n:value",
        [RL_NODE_UNARY] = "n:operand",
        [RL_NODE_POWER] = "l:operands",
        [RL_NODE_RANGE] = "n:lower n:upper",
        [RL_NODE_AWAIT] = "n:left",
        [RL_NODE_BINARY] = "n:left n:right",
        [RL_NODE_PIPE] = "n:left n:stage",
        [RL_NODE_CAST] = "n:left n:type",
        [RL_NODE_FIELD] = "n:left s:",
        [RL_NODE_TUPLE_INDEX] = "n:left i:",
        [RL_NODE_TRY] = "n:left",
        [RL_NODE_CALL] = "n:left l:args",
        [RL_NODE_INDEX] = "n:left n:index",
        [RL_NODE_PAT_WILD] = ".",
        [RL_NODE_PAT_NAME] = "s:",
        [RL_NODE_PAT_LITERAL] = "n:literal",
        [RL_NODE_PAT_TUPLE] = "l:items",
        [RL_NODE_PAT_CTOR] = "n:path l:args n:record",
        [RL_NODE_PAT_RECORD] = "l:fields",
        [RL_NODE_PAT_FIELD] = "s: n:pattern",
        [RL_NODE_PAT_SLICE] = "l:items",
        [RL_NODE_PAT_REST] = "s:",
        [RL_NODE_PAT_RANGE] = "n:lower n:upper",
        [RL_NODE_PAT_REGEX] = "n:regex",
        [RL_NODE_PAT_ACTIVE] = "n:name n:argument",
        [RL_NODE_PAT_OR] = "l:alternatives",
        [RL_NODE_PAT_AS] = "n:pattern s:",
        [RL_NODE_TYPE_PATH] = "l:names l:args",
        [RL_NODE_TYPE_UNIT] = ".",
        [RL_NODE_TYPE_TUPLE] = "l:items",
        [RL_NODE_TYPE_FN] = "l:params n:result n:effects",
        [RL_NODE_TYPE_PARAM] = "s: n:type",
        [RL_NODE_TYPE_LIST] = "n:item",
        [RL_NODE_TYPE_ARRAY] = "n:item n:length",
        [RL_NODE_TYPE_RECORD] = "l:fields",
        [RL_NODE_TYPE_FIELD] = "s: n:type M:",
        [RL_NODE_TYPE_REF] = "n:type",
        [RL_NODE_TYPE_EFFECTS] = "n:type n:effects",
    };
    _Static_assert(RL_COUNT_OF(shapes) == RL_NODE_KIND_COUNT, "a shape for each kind");
    return shapes[kind] ? shapes[kind] : ".";
}
