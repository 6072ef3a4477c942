/* Declarations of effects and their operations (LANGUAGE 6.3). */
#include "types/infer.h"
#include "vm/builtin.h"

static rl_effect_t* own_effect(rl_checker_t* c, rl_effect_id_t id) {
    return &c->program->effects.data[id - c->program->first_effect];
}

/* "io.async" of a PATH. */
static rl_sym_t tag_name(rl_checker_t* c, rl_node_t path) {
    rl_list_t list = rl_tree_node(c->tree, path)->a;
    uint32_t count = rl_tree_list_count(c->tree, list);
    rl_sym_t name = count ? rl_tree_name(c->tree, rl_tree_list_at(c->tree, list, 0)) : 0;
    for (uint32_t i = 1; i < count; i++)
        name = rl_join_names(c, name, rl_tree_name(c->tree, rl_tree_list_at(c->tree, list, i)), true);
    return name;
}

/* `operation op : A -> B`: parameters without names onto scratch as pairs name, type; the result. */
static rl_type_t colon_signature(rl_checker_t* c, rl_node_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, type);
    if (data.kind != RL_NODE_TYPE_FN) {
        rl_report(c->diags, RL_CODE_TYPE_MISMATCH, rl_span_of(c, type),
            "the type of an operation is written like that of a function: A -> B");
        return RL_TYPE_ERROR;
    }
    uint32_t count = rl_tree_list_count(c->tree, data.a);
    for (uint32_t i = 0; i < count; i++) {
        const rl_node_data_t param = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.a, i));
        rl_type_t resolved = rl_resolve_type(c, param.b);
        (void)rl_vec_push(c->allocator, &c->scratch, param.a);
        (void)rl_vec_push(c->allocator, &c->scratch, resolved);
    }
    return data.b ? rl_resolve_type(c, data.b) : RL_TYPE_UNIT;
}

/* `operation op(a: A, b: B) -> C` */
static rl_type_t header_signature(rl_checker_t* c, const rl_operation_decl_t* decl) {
    uint32_t count = rl_tree_list_count(c->tree, decl->params);
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t node = rl_tree_list_at(c->tree, decl->params, i);
        const rl_node_data_t param = *rl_tree_node(c->tree, node);
        rl_type_t type = RL_TYPE_ERROR;
        if (param.flags & (RL_VARARGS | RL_SELF)) {
            rl_report(c->diags, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, rl_span_of(c, node),
                "an operation has no parameter of this form");
        } else if (param.b) {
            type = rl_resolve_type(c, param.b);
        } else {
            rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, rl_span_of(c, node),
                "a parameter of an operation needs a type");
        }
        if (param.c) rl_unsupported(c, rl_span_of(c, param.c), "default values of operations are");
        const rl_node_data_t pattern = *rl_tree_node(c->tree, param.a);
        (void)rl_vec_push(c->allocator, &c->scratch, pattern.kind == RL_NODE_PAT_NAME ? pattern.a : 0);
        (void)rl_vec_push(c->allocator, &c->scratch, type);
    }
    return decl->result ? rl_resolve_type(c, decl->result) : RL_TYPE_UNIT;
}

static void declare_operation(rl_checker_t* c, rl_effect_id_t effect, rl_node_t node, bool is_public) {
    rl_program_t* program = c->program;
    rl_operation_decl_t decl = rl_tree_operation(c->tree, node);
    rl_sym_t name = rl_tree_name(c->tree, decl.name);
    rl_span_t span = rl_span_of(c, decl.name);
    if (rl_tree_list_count(c->tree, decl.generics)) {
        rl_unsupported(c, rl_span_of(c, rl_tree_list_at(c->tree, decl.generics, 0)), "generic operations are");
        return;
    }
    rl_effect_t entry = *own_effect(c, effect);
    for (uint32_t i = 0; i < entry.operation_count; i++) {
        const rl_function_t* before = rl_program_function(program, entry.operation_first + i);
        if (before->name != name) continue;
        rl_str_t text = rl_text(c, name);
        rl_span_t first = before->span;
        rl_diag_t* diag =
            rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, span, "%.*s is defined twice", RL_STR_ARG(text));
        rl_note(c->diags, diag, first, "first defined here");
        return;
    }
    uint32_t mark = c->scratch.count;
    rl_type_t result = decl.type ? colon_signature(c, decl.type) : header_signature(c, &decl);
    uint32_t pairs = (c->scratch.count - mark) / 2, first = program->first_param + program->params.count;
    uint32_t pushed = 0;
    for (uint32_t i = 0; i < pairs && !rl_failed(c); i++) {
        rl_param_t param = {.name = c->scratch.data[mark + 2 * i], .type = c->scratch.data[mark + 2 * i + 1]};
        pushed += rl_vec_push(c->allocator, &program->params, param);
    }
    c->scratch.count = mark;
    rl_fn_id_t fn = rl_new_function(c, name, is_public ? RL_FN_PUBLIC : 0, span);
    if (!fn || rl_failed(c)) return;
    rl_function_t* function = rl_function_at(c, fn);
    function->kind = RL_FN_OPERATION;
    function->effect = effect;
    function->operation = entry.operation_count;
    function->param_first = first;
    function->param_count = pushed;
    function->result = result;
    rl_str_t root = {0};
    if (c->input->is_prelude && rl_has_attr(c, decl.attrs, c->sym_builtin, &root)) {
        uint32_t builtin = rl_builtin_find(root);
        if (builtin == UINT32_MAX) {
            rl_report(
                c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_INVALID, span, "no built-in function %.*s", RL_STR_ARG(root));
        } else {
            function->root = builtin + 1;
            own_effect(c, effect)->has_root = true;
        }
    }
    own_effect(c, effect)->operation_count++;
}

static void declare_effect(rl_checker_t* c, rl_node_t node) {
    rl_program_t* program = c->program;
    rl_effect_decl_t decl = rl_tree_effect(c->tree, node);
    bool is_public = c->input->ambient || rl_tree_has(c->tree, node, RL_PUB);
    rl_effect_t effect = {.name = rl_tree_name(c->tree, decl.name),
        .module = c->module,
        .tag = decl.tag ? tag_name(c, decl.tag) : 0,
        .span = rl_span_of(c, decl.name)};
    if (rl_tree_list_count(c->tree, decl.generics)) {
        rl_unsupported(c, rl_span_of(c, rl_tree_list_at(c->tree, decl.generics, 0)), "generic effects are");
        return;
    }
    uint32_t type = rl_find_in_module(c, c->module, 0, effect.name);
    if (type) { /* types and effects share their names */
        rl_str_t text = rl_text(c, effect.name);
        rl_span_t first = rl_program_item(program, type)->span;
        rl_diag_t* diag = rl_report(
            c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, effect.span, "%.*s is defined twice", RL_STR_ARG(text));
        rl_note(c->diags, diag, first, "first defined here");
        return;
    }
    rl_node_t attr = rl_attribute_find(c, decl.attrs, RL_ATTR_REQUIRES_CAPABILITY);
    rl_str_t capability = rl_attribute_text(c, rl_attribute_named(c, attr, "id"));
    int stage = rl_attribute_stage(c, attr);
    if (attr && capability.length) effect.capability = rl_sym_intern(&program->symbols, capability);
    if (attr && stage > 0) effect.stage = (uint8_t)stage;
    rl_effect_id_t id = program->first_effect + program->effects.count;
    if (!rl_vec_push(c->allocator, &program->effects, effect)) return;
    (void)rl_add_item(c, RL_SPACE_EFFECT, effect.name, RL_ITEM_EFFECT, id, 0, is_public, effect.span, false);
    uint32_t count = rl_tree_list_count(c->tree, decl.operations);
    own_effect(c, id)->operation_first = program->first_fn + program->functions.count;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++)
        declare_operation(c, id, rl_tree_list_at(c->tree, decl.operations, i), is_public);
}

/* Only looked for on the way to an error, so no list of them is kept. */
bool rl_is_refused_effect(const rl_checker_t* c, rl_sym_t name) {
    rl_list_t items = rl_tree_node(c->tree, c->tree->root)->b;
    uint32_t count = rl_tree_list_count(c->tree, items);
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t node = rl_tree_list_at(c->tree, items, i);
        if (rl_tree_kind(c->tree, node) != RL_NODE_EFFECT) continue;
        rl_effect_decl_t decl = rl_tree_effect(c->tree, node);
        if (rl_tree_name(c->tree, decl.name) == name) return rl_tree_list_count(c->tree, decl.generics) > 0;
    }
    return false;
}

void rl_declare_effects(rl_checker_t* c) {
    rl_list_t items = rl_tree_node(c->tree, c->tree->root)->b;
    uint32_t count = rl_tree_list_count(c->tree, items);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t node = rl_tree_list_at(c->tree, items, i);
        if (rl_tree_kind(c->tree, node) == RL_NODE_EFFECT) declare_effect(c, node);
    }
}

uint32_t rl_find_path_item(rl_checker_t* c, rl_list_t path, uint32_t count, unsigned space) {
    rl_sym_t last = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, count - 1));
    if (count == 1) return rl_find_item(c, space, last);
    rl_sym_t prefix = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, 0));
    uint32_t named = rl_find_item(c, RL_SPACE_MODULE, prefix);
    rl_module_id_t module = named ? rl_program_item(c->program, named)->id : 0;
    for (uint32_t i = 1; i + 1 < count; i++) {
        rl_sym_t name = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, i));
        uint32_t inner = module ? rl_find_in_module(c, module, RL_SPACE_MODULE, name) : 0;
        prefix = rl_join_names(c, prefix, name, true);
        module = inner ? rl_program_item(c->program, inner)->id : rl_find_module_path(c, prefix);
    }
    if (!module) module = rl_find_module_path(c, prefix);
    return module ? rl_find_in_module(c, module, space, last) : 0;
}

rl_effect_id_t rl_find_effect(rl_checker_t* c, rl_list_t path, uint32_t count, rl_span_t span) {
    uint32_t item = rl_find_path_item(c, path, count, RL_SPACE_EFFECT);
    if (!item || rl_program_item(c->program, item)->kind != RL_ITEM_EFFECT) return 0;
    if (!rl_check_visible(c, item, span)) return RL_EFFECT_HIDDEN;
    return rl_program_item(c->program, item)->id;
}
