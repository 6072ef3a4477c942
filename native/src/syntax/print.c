/* print: tree → text. An explicit stack, so that neither chains nor nesting cost C stack. */
#include "base/json.h"
#include "base/number.h"

#include "syntax/shape.h"

#include <stdio.h>

typedef struct pending {
    rl_node_t node;
    uint32_t depth;
    const char* label; /* name and length, inside a shape; NULL: none */
    uint32_t label_length;
    bool link; /* a link of a chain: its left operand was printed */
} pending_t;

typedef struct printer {
    const rl_tree_t* tree;
    const rl_symbols_t* symbols;
    rl_buf_t* out;
    RL_VEC(pending_t) stack;
} printer_t;

static void push(printer_t* p, rl_node_t node, uint32_t depth, const char* label, uint32_t length, bool link) {
    pending_t item = {node, depth, label, length, link};
    if (!rl_vec_push(p->tree->allocator, &p->stack, item)) p->out->failed = true;
}

/* What was pushed since `mark` is popped in the order in which it was pushed. */
static void reverse(printer_t* p, uint32_t mark) {
    for (uint32_t low = mark, high = p->stack.count; low + 1 < high; low++) {
        high--;
        pending_t item = p->stack.data[low];
        p->stack.data[low] = p->stack.data[high];
        p->stack.data[high] = item;
    }
}

typedef struct flag_name {
    uint16_t flag;
    const char* name;
} flag_name_t;

static const char* own_flag(rl_node_kind_t kind, uint16_t flag) {
    static const struct {
        uint8_t kind;
        uint16_t flag;
        const char* name;
    } names[] = {
        {RL_NODE_VALUE, RL_VAR, "var"},
        {RL_NODE_VALUE, RL_CONST, "const"},
        {RL_NODE_FN, RL_ASYNC, "async"},
        {RL_NODE_FN, RL_LET, "let"},
        {RL_NODE_ACTIVE, RL_PARTIAL, "partial"},
        {RL_NODE_PAT_ACTIVE, RL_PARTIAL, "partial"},
        {RL_NODE_TYPE_DECL, RL_ALIAS, "alias"},
        {RL_NODE_TYPE_DECL, RL_ENUM, "enum"},
        {RL_NODE_TYPE_DECL, RL_STRUCT, "struct"},
        {RL_NODE_USE_TREE, RL_ROOT, "root"},
        {RL_NODE_OPERATION, RL_COLON, "colon"},
        {RL_NODE_RECORD_FIELD, RL_COLON, "colon"},
        {RL_NODE_NAMED_ARG, RL_COLON, "colon"},
        {RL_NODE_RECORD_FIELD, RL_PUNNED, "punned"},
        {RL_NODE_PAT_FIELD, RL_PUNNED, "punned"},
        {RL_NODE_CONDUCTOR_MONITORING, RL_WITH, "with"},
        {RL_NODE_PARAM, RL_SELF, "self"},
        {RL_NODE_PARAM, RL_REF, "ref"},
        {RL_NODE_PARAM, RL_VARARGS, "varargs"},
        {RL_NODE_STRING, RL_RAW, "raw"},
        {RL_NODE_STRING, RL_ESCAPED, "escaped"},
        {RL_NODE_BLOCK, RL_DISCARD, "discard"},
        {RL_NODE_BLOCK, RL_IMPLICIT, "implicit"},
        {RL_NODE_BLOCK, RL_DO, "do"},
        {RL_NODE_PERFORM, RL_DO, "do"},
        {RL_NODE_ASYNC, RL_MOVE, "move"},
        {RL_NODE_LAMBDA, RL_FN, "fn"},
        {RL_NODE_TYPE_FN, RL_FN, "fn"},
        {RL_NODE_IF, RL_THEN, "then"},
        {RL_NODE_GUARD, RL_IF, "if"},
        {RL_NODE_RANGE, RL_INCLUSIVE, "inclusive"},
        {RL_NODE_PAT_RANGE, RL_INCLUSIVE, "inclusive"},
        {RL_NODE_AWAIT, RL_PREFIX, "prefix"},
        {RL_NODE_FIELD, RL_COLONS, "::"},
        {RL_NODE_PAT_LITERAL, RL_NEGATIVE, "-"},
        {RL_NODE_PAT_RECORD, RL_REST, "rest"},
        {RL_NODE_PAT_AS, RL_AT, "@"},
        {RL_NODE_TYPE_PATH, RL_ARGS, "args"},
        {RL_NODE_TYPE_RECORD, RL_OPEN, "open"},
    };
    for (unsigned i = 0; i < RL_COUNT_OF(names); i++)
        if (names[i].kind == kind && names[i].flag == flag) return names[i].name;
    return NULL;
}

static void print_flags(printer_t* p, rl_node_kind_t kind, uint16_t flags) {
    static const flag_name_t common[] = {
        {RL_PUB, "pub"},
        {RL_MUT, "mut"},
        {RL_UPPER, "upper"},
        {RL_KEYWORD, "keyword"},
        {RL_EXTERN, "extern"},
        {RL_BRACES, "braces"},
        {RL_PARENS, "parens"},
        {RL_BAD, "bad"},
    };
    const char* op = kind == RL_NODE_BINARY   ? rl_binary_op_text((rl_binary_op_t)flags)
                     : kind == RL_NODE_UNARY  ? rl_unary_op_text((rl_unary_op_t)flags)
                     : kind == RL_NODE_ASSIGN ? rl_assign_op_text((rl_assign_op_t)flags)
                                              : NULL;
    if (op) {
        rl_buf_printf(p->out, " %s", op);
        return;
    }
    for (unsigned i = 0; i < RL_COUNT_OF(common); i++)
        if (flags & common[i].flag) rl_buf_printf(p->out, " %s", common[i].name);
    for (uint16_t flag = 1 << 8; flag && flag <= 1 << 10; flag = (uint16_t)(flag << 1)) {
        const char* name = flags & flag ? own_flag(kind, flag) : NULL;
        if (name) rl_buf_printf(p->out, " %s", name);
    }
}

static void print_literal(printer_t* p, rl_node_t node) {
    rl_buf_t* out = p->out;
    switch (rl_tree_kind(p->tree, node)) {
    case RL_NODE_INT: {
        char text[24];
        rl_buf_add_char(out, ' ');
        rl_buf_add(out, (rl_str_t){text, rl_u64_print(rl_tree_int(p->tree, node), text)});
        break;
    }
    case RL_NODE_FLOAT: {
        char text[RL_F64_TEXT];
        rl_buf_add_char(out, ' ');
        rl_buf_add(out, (rl_str_t){text, rl_f64_print(rl_tree_float(p->tree, node), text)});
        break;
    }
    case RL_NODE_CHAR: rl_buf_printf(out, " U+%04X", (unsigned)rl_tree_node(p->tree, node)->a); break;
    case RL_NODE_BOOL: rl_buf_add_cstr(out, rl_tree_node(p->tree, node)->a ? " true" : " false"); break;
    case RL_NODE_STRING: {
        rl_json_t json = rl_json_begin(out);
        rl_buf_add_char(out, ' ');
        rl_json_string(&json, rl_tree_string(p->tree, node));
        break;
    }
    default: break;
    }
}

/* One word of a node: children are put on the stack, symbols and numbers are printed. */
static void visit_word(printer_t* p, char letter, const char* label, uint32_t length, uint32_t word, uint32_t depth) {
    rl_str_t text;
    switch (letter) {
    case 'n':
        if (word) push(p, word, depth + 1, label, length, false);
        break;
    case 'l':
        for (uint32_t i = 0; i < rl_tree_list_count(p->tree, word); i++)
            push(p, rl_tree_list_at(p->tree, word, i), depth + 1, label, length, false);
        break;
    case 't':
        for (uint32_t i = 0; i < rl_tree_list_count(p->tree, word); i++)
            if (i % 3)
                push(p, rl_tree_list_at(p->tree, word, i), depth + 1, i % 3 == 1 ? "if" : "then", i % 3 == 1 ? 2 : 4,
                    false);
        break;
    case 's':
        text = rl_sym_text(p->symbols, word);
        if (!word) break;
        rl_buf_printf(p->out, length ? " %.*s=" : " ", (int)length, label);
        rl_buf_add(p->out, text);
        break;
    case 'i': rl_buf_printf(p->out, length ? " %.*s=%u" : " %.*s%u", (int)length, label, (unsigned)word); break;
    case 'M':
        if (word) {
            visit_word(p, 'l', "attrs", 5, p->tree->extra.data[word], depth);
            visit_word(p, 'n', "default", 7, p->tree->extra.data[word + 1], depth);
        }
        break;
    default: break;
    }
}

static void visit_words(printer_t* p, rl_node_t node, uint32_t depth, bool skip_first) {
    const rl_node_data_t* data = rl_tree_node(p->tree, node);
    const char* shape = rl_node_shape((rl_node_kind_t)data->kind);
    const uint32_t words[3] = {data->a, data->b, data->c};
    const uint32_t* word = words;
    if (*shape == 'R') {
        word = p->tree->extra.data + data->a;
        shape += 2;
    }
    for (bool first = true; *shape; first = false) {
        char letter = *shape++;
        const char* label = *shape == ':' ? ++shape : shape;
        while (*shape && *shape != ' ') shape++;
        if (!(first && skip_first)) visit_word(p, letter, label, (uint32_t)(shape - label), *word, depth);
        if (*shape == ' ') shape++;
        word++;
    }
}

static void print_head(printer_t* p, const pending_t* item, const char* name) {
    const rl_node_data_t* data = rl_tree_node(p->tree, item->node);
    rl_buf_add_repeat(p->out, ' ', (size_t)item->depth * 2);
    if (item->label_length) {
        rl_buf_add(p->out, (rl_str_t){item->label, item->label_length});
        rl_buf_add_cstr(p->out, ": ");
    }
    rl_buf_printf(p->out, "%s %u..%u", name, (unsigned)data->start, (unsigned)data->end);
}

/* a.b(c) + d: the innermost operand, then each link on a line of the same depth, in the order of evaluation. */
static void print_chain(printer_t* p, const pending_t* item) {
    print_head(p, item, "CHAIN");
    rl_buf_add_char(p->out, '\n');
    rl_node_t node = item->node; /* from the outside in, so that popping gives the order of evaluation */
    while (rl_node_is_spine(rl_tree_kind(p->tree, node))) {
        push(p, node, item->depth + 1, NULL, 0, true);
        node = rl_tree_node(p->tree, node)->a;
    }
    push(p, node, item->depth + 1, "of", 2, false);
}

void rl_tree_print(const rl_tree_t* tree, const rl_symbols_t* symbols, rl_node_t node, rl_buf_t* out) {
    printer_t printer = {.tree = tree, .symbols = symbols, .out = out};
    printer_t* p = &printer;
    push(p, node, 0, NULL, 0, false);
    while (p->stack.count && !out->failed) {
        pending_t item = rl_vec_pop(&p->stack);
        rl_node_kind_t kind = rl_tree_kind(tree, item.node);
        if (rl_node_is_spine(kind) && !item.link) {
            print_chain(p, &item);
            continue;
        }
        print_head(p, &item, rl_node_kind_name(kind));
        print_flags(p, kind, rl_tree_flags(tree, item.node));
        print_literal(p, item.node);
        uint32_t mark = p->stack.count;
        visit_words(p, item.node, item.depth, item.link);
        reverse(p, mark);
        rl_buf_add_char(out, '\n');
    }
    rl_vec_deinit(tree->allocator, &p->stack);
}
