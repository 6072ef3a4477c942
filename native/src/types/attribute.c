/* The table of attributes and everything that is checked about one without knowing types or effects. */
#include "types/infer.h"

#include <stdio.h>

/* --- the table ------------------------------------------------------------------------------------------------------ */

enum { /* where an attribute may stand */
    AT_FN = 1 << 0,
    AT_PATTERN = 1 << 1,
    AT_BLOCK = 1 << 2,
    AT_TYPE = 1 << 3,
    AT_VALUE = 1 << 4,
    AT_EXTERN = 1 << 5, /* extern blocks, what stands in them, functions without body */
    AT_CONDUCTOR = 1 << 6,
    AT_OTHER = 1 << 7, /* use, trait, impl, effects, handlers, fields, statements */
    AT_CODE = AT_FN | AT_PATTERN | AT_BLOCK,
    AT_ANYTHING = 0xFF
};

typedef enum form { /* of the arguments */
    FORM_NONE,
    FORM_ANY,
    FORM_PATHS,        /* one or more */
    FORM_STRING,       /* one */
    FORM_MAYBE_STRING, /* none or one */
    FORM_CAPABILITY,
    FORM_EXPORT,
    FORM_UNSTABLE,
    FORM_PARSED /* the parser has looked */
} form_t;

static const struct {
    const char* name;
    uint8_t places, form;
} attributes[] = {
    [RL_ATTR_UNKNOWN] = {"", AT_ANYTHING, FORM_ANY},
    [RL_ATTR_CFG] = {"cfg", AT_ANYTHING, FORM_PARSED},
    [RL_ATTR_PURE] = {"pure", AT_CODE, FORM_NONE},
    [RL_ATTR_NO_PANIC] = {"no_panic", AT_CODE, FORM_NONE},
    [RL_ATTR_ASYNC_FREE] = {"async_free", AT_CODE, FORM_NONE},
    [RL_ATTR_NO_BLOCKING] = {"no_blocking", AT_CODE, FORM_NONE},
    [RL_ATTR_NO_TIMER] = {"no_timer", AT_CODE, FORM_NONE},
    [RL_ATTR_MUST_USE] = {"must_use", AT_FN | AT_TYPE, FORM_MAYBE_STRING},
    [RL_ATTR_MUST_AWAIT] = {"must_await", AT_FN | AT_TYPE, FORM_MAYBE_STRING},
    [RL_ATTR_HANDLES] = {"handles", AT_FN | AT_PATTERN, FORM_PATHS},
    [RL_ATTR_REQUIRES_CAPABILITY] = {"requires_capability", AT_ANYTHING, FORM_CAPABILITY},
    [RL_ATTR_DSL_EXPORT] = {"dsl_export", AT_FN | AT_VALUE | AT_CONDUCTOR, FORM_EXPORT},
    [RL_ATTR_INTRINSIC] = {"intrinsic", AT_ANYTHING, FORM_PARSED},
    [RL_ATTR_UNSTABLE] = {"unstable", AT_ANYTHING, FORM_UNSTABLE},
    [RL_ATTR_LINK_NAME] = {"link_name", AT_EXTERN, FORM_STRING},
    [RL_ATTR_TARGET] = {"target", AT_EXTERN, FORM_ANY},
    [RL_ATTR_CALLCONV] = {"callconv", AT_EXTERN, FORM_ANY},
    [RL_ATTR_OWNERSHIP] = {"ownership", AT_EXTERN, FORM_ANY},
    [RL_ATTR_INLINE] = {"inline", AT_FN | AT_PATTERN, FORM_ANY},
    [RL_ATTR_NO_ALLOC] = {"no_alloc", AT_CODE, FORM_NONE},
    [RL_ATTR_REENTRANT] = {"reentrant", AT_ANYTHING, FORM_ANY},
    [RL_ATTR_DOC] = {"doc", AT_ANYTHING, FORM_ANY},
    [RL_ATTR_DEPRECATED] = {"deprecated", AT_ANYTHING, FORM_ANY},
    [RL_ATTR_BUILTIN] = {"builtin", AT_ANYTHING, FORM_ANY},
    [RL_ATTR_CONSTANT] = {"constant", AT_ANYTHING, FORM_ANY},
};
_Static_assert(RL_COUNT_OF(attributes) == RL_ATTR_COUNT, "a row for each attribute");
_Static_assert(RL_ATTR_COUNT <= 32, "rl_attribute_set() answers 32 bits");

/* --- reading -------------------------------------------------------------------------------------------------------- */

rl_attribute_t rl_attribute_of(const rl_checker_t* c, rl_node_t attr) {
    if (rl_tree_kind(c->tree, attr) != RL_NODE_ATTR) return RL_ATTR_UNKNOWN;
    rl_str_t name = rl_text(c, rl_tree_node(c->tree, attr)->a);
    int count = c->input->is_prelude ? RL_ATTR_COUNT : RL_ATTR_BUILTIN;
    for (int i = RL_ATTR_UNKNOWN + 1; i < count; i++) {
        if (name.length && attributes[i].name[0] != name.data[0]) continue;
        if (rl_str_equal(name, rl_str(attributes[i].name))) return (rl_attribute_t)i;
    }
    return RL_ATTR_UNKNOWN;
}

rl_node_t rl_attribute_find(const rl_checker_t* c, rl_list_t attrs, rl_attribute_t wanted) {
    uint32_t count;
    const uint32_t* nodes = rl_tree_list(c->tree, attrs, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (rl_attribute_of(c, nodes[i]) == wanted) return nodes[i];
    }
    return 0;
}

uint32_t rl_attribute_set(const rl_checker_t* c, rl_list_t attrs) {
    uint32_t count, set = 0;
    const uint32_t* nodes = rl_tree_list(c->tree, attrs, &count);
    for (uint32_t i = 0; i < count; i++) set |= 1u << rl_attribute_of(c, nodes[i]);
    return set & ~(1u << RL_ATTR_UNKNOWN);
}

rl_node_t rl_attribute_named(const rl_checker_t* c, rl_node_t attr, const char* name) {
    uint32_t count;
    const uint32_t* args = rl_tree_list(c->tree, rl_tree_node(c->tree, attr)->b, &count);
    for (uint32_t i = 0; i < count; i++) {
        const rl_node_data_t* arg = rl_tree_node(c->tree, args[i]);
        if (arg->kind == RL_NODE_NAMED_ARG && rl_str_equal(rl_text(c, arg->a), rl_str(name))) return arg->b;
    }
    return 0;
}

rl_node_t rl_attribute_at(const rl_checker_t* c, rl_node_t attr, uint32_t index) {
    uint32_t count;
    const uint32_t* args = rl_tree_list(c->tree, rl_tree_node(c->tree, attr)->b, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (rl_tree_kind(c->tree, args[i]) != RL_NODE_NAMED_ARG && index-- == 0) return args[i];
    }
    return 0;
}

uint32_t rl_attribute_count(const rl_checker_t* c, rl_node_t attr) {
    uint32_t count = 0;
    while (rl_attribute_at(c, attr, count)) count++;
    return count;
}

rl_str_t rl_attribute_text(const rl_checker_t* c, rl_node_t value) {
    if (rl_tree_kind(c->tree, value) != RL_NODE_STRING) return (rl_str_t){NULL, 0};
    return rl_tree_string(c->tree, value);
}

bool rl_attribute_path(const rl_checker_t* c, rl_node_t value, rl_buf_t* out) {
    rl_str_t text = rl_attribute_text(c, value);
    if (text.data) {
        rl_buf_add(out, text);
        return true;
    }
    enum { MOST = 32 };
    rl_sym_t names[MOST];
    uint32_t count = 0;
    for (rl_node_t at = value;; at = rl_tree_node(c->tree, at)->a) { /* a chain nests to the left */
        const rl_node_data_t* data = rl_tree_node(c->tree, at);
        if (count == MOST || (data->kind != RL_NODE_FIELD && data->kind != RL_NODE_NAME)) return false;
        names[count++] = data->kind == RL_NODE_FIELD ? data->b : data->a;
        if (data->kind == RL_NODE_NAME) break;
    }
    while (count-- > 0) {
        rl_buf_add(out, rl_text(c, names[count]));
        if (count) rl_buf_add_char(out, '.');
    }
    return true;
}

/* --- checking ------------------------------------------------------------------------------------------------------- */

static void invalid(rl_checker_t* c, rl_node_t node, rl_attribute_t which, const char* what) {
    rl_report(
        c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_INVALID, rl_span_of(c, node), "@%s %s", attributes[which].name, what);
}

static bool is_path(const rl_checker_t* c, rl_node_t node) {
    while (rl_tree_kind(c->tree, node) == RL_NODE_FIELD) node = rl_tree_node(c->tree, node)->a;
    return rl_tree_kind(c->tree, node) == RL_NODE_NAME;
}

/* Literals, arrays, records and paths. Answers the part that is none of these, 0: all is well. Arrays and records nest
   as deep as the parser allows, so what is left is kept on the checker's scratch stack. */
static rl_node_t strange_part(rl_checker_t* c, rl_node_t value) {
    uint32_t mark = c->scratch.count, count;
    rl_node_t strange = 0;
    (void)rl_vec_push(c->allocator, &c->scratch, value);
    while (c->scratch.count > mark && !strange && !rl_failed(c)) {
        rl_node_t node = rl_vec_pop(&c->scratch);
        const rl_node_data_t* data = rl_tree_node(c->tree, node);
        rl_list_t list = 0;
        switch (data->kind) {
        case RL_NODE_INT:
        case RL_NODE_FLOAT:
        case RL_NODE_CHAR:
        case RL_NODE_STRING:
        case RL_NODE_BOOL:
        case RL_NODE_UNIT:
        case RL_NODE_EMPTY:
        case RL_NODE_NONE: break;
        case RL_NODE_UNARY: {
            rl_node_kind_t operand = rl_tree_kind(c->tree, data->a);
            if (data->flags != RL_UN_NEG || (operand != RL_NODE_INT && operand != RL_NODE_FLOAT)) strange = node;
            break;
        }
        case RL_NODE_LIST:
        case RL_NODE_MAP: list = data->a; break;
        case RL_NODE_RECORD:
            if (data->a && !is_path(c, data->a)) strange = node;
            list = data->b;
            break;
        case RL_NODE_RECORD_FIELD: (void)rl_vec_push(c->allocator, &c->scratch, data->b); break;
        default:
            if (!is_path(c, node)) strange = node;
        }
        const uint32_t* parts = rl_tree_list(c->tree, list, &count);
        for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, parts[i]);
    }
    c->scratch.count = mark;
    return strange;
}

static void check_repeated(rl_checker_t* c, rl_node_t attr) {
    uint32_t count;
    const uint32_t* args = rl_tree_list(c->tree, rl_tree_node(c->tree, attr)->b, &count);
    if (count > RL_MOST_PARTS) count = RL_MOST_PARTS; /* more are refused for their number */
    for (uint32_t i = 1; i < count; i++) {
        const rl_node_data_t* arg = rl_tree_node(c->tree, args[i]);
        for (uint32_t k = 0; k < i && arg->kind == RL_NODE_NAMED_ARG; k++) {
            const rl_node_data_t* other = rl_tree_node(c->tree, args[k]);
            if (other->kind != RL_NODE_NAMED_ARG || other->a != arg->a) continue;
            rl_report(
                c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_INVALID, rl_span_of(c, args[i]), "the argument is written twice");
            break;
        }
    }
}

static void check_values(rl_checker_t* c, rl_node_t attr, rl_attribute_t which, bool* fine) {
    uint32_t count = rl_tree_list_count(c->tree, rl_tree_node(c->tree, attr)->b);
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t arg = rl_tree_list_at(c->tree, rl_tree_node(c->tree, attr)->b, i);
        if (rl_tree_kind(c->tree, arg) == RL_NODE_NAMED_ARG) arg = rl_tree_node(c->tree, arg)->b;
        rl_node_t strange = strange_part(c, arg);
        if (!strange) continue;
        *fine = false;
        if (which == RL_ATTR_UNKNOWN) continue; /* the warning says enough */
        invalid(c, strange, which, "takes literals, arrays, records and paths");
    }
}

/* Names of arguments that may be written, between blanks; the others are reported. */
static void check_names(rl_checker_t* c, rl_node_t attr, rl_attribute_t which, const char* const* known, size_t count) {
    uint32_t args = rl_tree_list_count(c->tree, rl_tree_node(c->tree, attr)->b);
    for (uint32_t i = 0; i < args; i++) {
        rl_node_t arg = rl_tree_list_at(c->tree, rl_tree_node(c->tree, attr)->b, i);
        const rl_node_data_t* data = rl_tree_node(c->tree, arg);
        if (data->kind != RL_NODE_NAMED_ARG) continue;
        rl_str_t name = rl_text(c, data->a);
        bool found = false;
        for (size_t k = 0; k < count; k++) found |= rl_str_equal(name, rl_str(known[k]));
        if (!found) invalid(c, arg, which, "has no such argument");
    }
}

static int stage_of(rl_str_t text) {
    static const char* const stages[] = {"experimental", "beta", "stable"};
    for (int i = 0; i < 3; i++) {
        if (rl_str_equal(text, rl_str(stages[i]))) return i;
    }
    return -1;
}

int rl_attribute_stage(const rl_checker_t* c, rl_node_t attr) {
    rl_node_t stage = attr ? rl_attribute_named(c, attr, "stage") : 0;
    return stage ? stage_of(rl_attribute_text(c, stage)) : -1;
}

static void check_capability(rl_checker_t* c, rl_node_t attr, rl_node_t node) {
    static const char* const names[] = {"stage", "id"};
    const rl_attribute_t which = RL_ATTR_REQUIRES_CAPABILITY;
    check_names(c, attr, which, names, RL_COUNT_OF(names));
    if (rl_attribute_count(c, attr)) invalid(c, rl_attribute_at(c, attr, 0), which, "takes `stage` and `id` by name");
    rl_node_t stage = rl_attribute_named(c, attr, "stage"), id = rl_attribute_named(c, attr, "id");
    if (!stage && !id) {
        invalid(c, attr, which, "needs `stage` or `id`");
        return;
    }
    bool refused = false;
    int declared = stage ? stage_of(rl_attribute_text(c, stage)) : -1;
    if (stage && declared < 0) {
        invalid(c, stage, which, "knows the stages \"experimental\", \"beta\" and \"stable\"");
    } else if (stage && declared < (int)c->input->minimum_stage) {
        static const char* const texts[] = {"experimental", "beta", "stable"};
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_EFFECTS_CONTRACT_STAGE_MISMATCH, rl_span_of(c, stage),
            "stage %s is below %s, the lowest that this context takes", texts[declared],
            texts[c->input->minimum_stage]);
        rl_note_plain(c->diags, diag, "required: %s", texts[c->input->minimum_stage]);
        rl_note_plain(c->diags, diag, "declared: %s", texts[declared]);
        rl_stage_refused(c, diag, rl_attribute_text(c, id), (int)c->input->minimum_stage, declared);
        refused = true;
    }
    rl_str_t text = rl_attribute_text(c, id);
    if (id && (!text.data || text.length == 0)) {
        invalid(c, id, which, "takes the id as a string");
    } else if (id && c->input->granted && !c->input->granted(c->input->host, text)) {
        rl_report(c->diags, RL_CODE_TARGET_CAPABILITY_UNKNOWN, rl_span_of(c, id),
            "the host does not grant capability %.*s", RL_STR_ARG(text));
        refused = true;
    }
    rl_note_stage(c, attr, node, declared, text, refused);
}

static bool is_name_or_text(const rl_checker_t* c, rl_node_t node) {
    return rl_tree_kind(c->tree, node) == RL_NODE_STRING || is_path(c, node);
}

/* Metadata; only what this runtime reads itself has to have a certain form. */
static void check_export(rl_checker_t* c, rl_node_t attr) {
    static const char* const lists[] = {"allows_effects", "capabilities", "requires_capabilities"};
    for (size_t i = 0; i < RL_COUNT_OF(lists); i++) {
        rl_node_t value = rl_attribute_named(c, attr, lists[i]);
        if (!value) continue;
        bool fine = rl_tree_kind(c->tree, value) == RL_NODE_LIST;
        uint32_t count = fine ? rl_tree_list_count(c->tree, rl_tree_node(c->tree, value)->a) : 0;
        for (uint32_t k = 0; k < count; k++)
            fine &= is_name_or_text(c, rl_tree_list_at(c->tree, rl_tree_node(c->tree, value)->a, k));
        if (!fine) invalid(c, value, RL_ATTR_DSL_EXPORT, "takes an array of names here");
    }
    static const char* const texts[] = {"name", "category", "version"};
    for (size_t i = 0; i < RL_COUNT_OF(texts); i++) {
        rl_node_t value = rl_attribute_named(c, attr, texts[i]);
        if (value && !is_name_or_text(c, value)) invalid(c, value, RL_ATTR_DSL_EXPORT, "takes a string here");
    }
}

static void check_arguments(rl_checker_t* c, rl_node_t attr, rl_attribute_t which, rl_node_t node) {
    uint32_t count = rl_attribute_count(c, attr);
    uint32_t all = rl_tree_list_count(c->tree, rl_tree_node(c->tree, attr)->b);
    bool fine = true;
    check_repeated(c, attr);
    check_values(c, attr, which, &fine);
    if (!fine) return;
    switch ((form_t)attributes[which].form) {
    case FORM_ANY:
    case FORM_PARSED: break;
    case FORM_NONE:
        if (all) invalid(c, attr, which, "takes no arguments");
        break;
    case FORM_PATHS:
        if (all == 0) invalid(c, attr, which, "needs the names of effects");
        for (uint32_t i = 0; i < all; i++) {
            rl_node_t arg = rl_tree_list_at(c->tree, rl_tree_node(c->tree, attr)->b, i);
            if (!is_path(c, arg)) invalid(c, arg, which, "takes the names of effects");
        }
        break;
    case FORM_STRING:
    case FORM_MAYBE_STRING: {
        bool needed = attributes[which].form == FORM_STRING;
        bool string = all == 1 && count == 1 && rl_attribute_text(c, rl_attribute_at(c, attr, 0)).data;
        if (!string && (needed || all))
            invalid(c, attr, which, needed ? "takes one string" : "takes at most one string");
        break;
    }
    case FORM_CAPABILITY: check_capability(c, attr, node); break;
    case FORM_EXPORT: check_export(c, attr); break;
    case FORM_UNSTABLE:
        if (all == 0) invalid(c, attr, which, "takes \"inline_asm\" or \"llvm_ir\"");
        for (uint32_t i = 0; i < all; i++) {
            rl_node_t arg = rl_tree_list_at(c->tree, rl_tree_node(c->tree, attr)->b, i);
            rl_str_t text = rl_attribute_text(c, arg);
            if (!rl_str_equal(text, RL_STR("inline_asm")) && !rl_str_equal(text, RL_STR("llvm_ir")))
                invalid(c, arg, which, "takes \"inline_asm\" or \"llvm_ir\"");
        }
        break;
    }
}

static unsigned place_of(const rl_checker_t* c, rl_node_t node) {
    switch (rl_tree_kind(c->tree, node)) {
    case RL_NODE_FN:
        return AT_FN | (rl_tree_has(c->tree, node, RL_EXTERN) || !rl_tree_fn(c->tree, node).body ? AT_EXTERN : 0u);
    case RL_NODE_ACTIVE: return AT_PATTERN;
    case RL_NODE_BLOCK:
    case RL_NODE_UNSAFE: return AT_BLOCK;
    case RL_NODE_TYPE_DECL: return AT_TYPE | (rl_tree_has(c->tree, node, RL_EXTERN) ? AT_EXTERN : 0u);
    case RL_NODE_VALUE: return AT_VALUE | (rl_tree_has(c->tree, node, RL_EXTERN) ? AT_EXTERN : 0u);
    case RL_NODE_EXTERN: return AT_EXTERN | AT_FN; /* of what it declares */
    case RL_NODE_CONDUCTOR: return AT_CONDUCTOR;
    default: return AT_OTHER;
    }
}

static void check_one(rl_checker_t* c, rl_node_t attr, rl_node_t node) {
    rl_attribute_t which = rl_attribute_of(c, attr);
    rl_span_t span = rl_span_of(c, attr);
    if (which == RL_ATTR_UNKNOWN) {
        rl_str_t name = rl_text(c, rl_tree_node(c->tree, attr)->a);
        rl_report(c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_UNKNOWN, span, "unknown attribute @%.*s", RL_STR_ARG(name));
        return;
    }
    if (which == RL_ATTR_REENTRANT) {
        char text[64];
        snprintf(text, sizeof text, "attribute @%s is", attributes[which].name);
        rl_unsupported(c, span, text);
        return;
    }
    if (!(attributes[which].places & place_of(c, node))) {
        invalid(c, attr, which, "has no meaning here");
        return;
    }
    if (which == RL_ATTR_NO_ALLOC)
        rl_report(c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_UNCHECKED, span, "@no_alloc is not checked");
    check_arguments(c, attr, which, node);
}

void rl_attributes_check(rl_checker_t* c) {
    if (c->input->is_prelude || !c->tree->has_attrs) return;
    for (rl_node_t node = 1; node < c->tree->nodes.count && !rl_failed(c); node++) {
        rl_list_t attrs = rl_tree_attrs(c->tree, node);
        uint32_t count = rl_tree_list_count(c->tree, attrs);
        for (uint32_t i = 0; i < count; i++) check_one(c, rl_tree_list_at(c->tree, attrs, i), node);
    }
}
