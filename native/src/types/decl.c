/* Declarations of functions, values, impls and extern blocks: signatures and items; units for what has a body. */
#include "types/infer.h"
#include "vm/builtin.h"

#include <stdio.h>

uint32_t rl_unit_add(rl_checker_t* c, rl_unit_kind_t kind, rl_node_t node, rl_fn_id_t fn, rl_span_t span) {
    rl_unit_t unit = {.kind = kind, .node = node, .fn = fn, .span = span};
    uint32_t index = c->units.count;
    return rl_vec_push(c->allocator, &c->units, unit) ? index : 0;
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

bool rl_has_attr(rl_checker_t* c, rl_list_t attrs, rl_sym_t name, rl_str_t* out_text) {
    uint32_t count = rl_tree_list_count(c->tree, attrs);
    for (uint32_t i = 0; i < count; i++) {
        const rl_node_data_t* attr = rl_tree_node(c->tree, rl_tree_list_at(c->tree, attrs, i));
        if (attr->a != name) continue;
        if (out_text && rl_tree_list_count(c->tree, attr->b) == 1) {
            rl_node_t text = rl_tree_list_at(c->tree, attr->b, 0);
            if (rl_tree_kind(c->tree, text) == RL_NODE_STRING) *out_text = rl_tree_string(c->tree, text);
        }
        return true;
    }
    return false;
}

/* --- functions ---------------------------------------------------------------------------------------------------- */

/* Names of the type parameters of a type, put in scope for `fn T.m`: as its declaration has them, else as the
   manual does. */
static void push_type_generics(rl_checker_t* c, rl_typedef_id_t id) {
    uint32_t count = rl_program_typedef(c->program, id)->type_params, node;
    if (rl_map_get(&c->type_nodes, id, &node)) {
        rl_push_generics(c, rl_tree_type_decl(c->tree, node).generics, 0);
        return;
    }
    static const char* const one[] = {"T"};
    static const char* const map[] = {"K", "V"};
    static const char* const result[] = {"T", "E"};
    const rl_known_t* known = &c->program->known;
    const char* const* names = count == 1                               ? one
                               : id == known->map || id == known->table ? map
                               : id == known->result                    ? result
                                                                        : NULL;
    for (uint32_t i = 0; i < count; i++) {
        char made[16];
        snprintf(made, sizeof made, "T%u", i + 1);
        rl_sym_t name = rl_sym_intern(c->symbols, rl_str(names ? names[i] : made));
        rl_generic_name_t entry = {name, rl_type_param(c->types, c->next_param++)};
        (void)rl_vec_push(c->allocator, &c->generics, entry);
    }
}

static rl_type_t applied_to_own_params(rl_checker_t* c, rl_typedef_id_t id) {
    uint32_t count = rl_program_typedef(c->program, id)->type_params, mark = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, rl_type_param(c->types, i));
    rl_type_t type = RL_TYPE_ERROR;
    if (!rl_failed(c)) {
        if (rl_program_typedef(c->program, id)->kind == RL_DEF_ALIAS) {
            rl_resolve_typedef(c, id);
            type = rl_program_typedef(c->program, id)->target;
        } else {
            type = rl_type_named(c->types, id, c->scratch.data + mark, count);
        }
    }
    c->scratch.count = mark;
    return type;
}

/* Constraints collected on c->rigid from `first` on become those of the function. */
static void store_constraints(rl_checker_t* c, rl_fn_id_t fn, uint32_t first) {
    rl_program_t* program = c->program;
    rl_function_at(c, fn)->constraint_first = program->first_constraint + program->constraints.count;
    uint32_t count = 0;
    for (uint32_t i = first; i < c->rigid.count; i++)
        count += rl_vec_push(c->allocator, &program->constraints, c->rigid.data[i]);
    rl_function_at(c, fn)->constraint_count = count;
}

/* What the trait says of parameter `index` (UINT32_MAX: the result) of a function of an impl; 0: nothing. */
static rl_type_t promised_type(rl_checker_t* c, uint32_t index) {
    const rl_trait_site_t* site = c->trait_site;
    if (!site || !site->method) return 0;
    const rl_function_t method = *rl_program_function(c->program, site->method);
    if (index != UINT32_MAX && index >= method.param_count) return 0;
    rl_type_t type =
        index == UINT32_MAX ? method.result : rl_program_param(c->program, method.param_first + index)->type;
    type = rl_solver_zonk(&c->solver, type);
    if (rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR) return 0;
    return rl_type_substitute(c->types, type, site->map, site->map_count);
}

static void declare_params(rl_checker_t* c, rl_fn_id_t fn, rl_list_t params, bool bodyless, bool* annotated) {
    rl_program_t* program = c->program;
    uint32_t count = rl_tree_list_count(c->tree, params), mark = c->scratch.count;
    uint32_t pushed = 0;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t node = rl_tree_list_at(c->tree, params, i);
        const rl_node_data_t data = *rl_tree_node(c->tree, node);
        if (data.flags & RL_VARARGS) {
            if (c->in_foreign && pushed > 0) rl_function_at(c, fn)->flags |= RL_FN_VARARGS;
            else
                rl_report(c->diags, RL_CODE_FFI_VARARGS_INVALID, rl_span_of(c, node),
                    c->in_foreign ? "`...` stands behind at least one parameter" : "`...` needs extern \"C\"");
            continue;
        }
        rl_type_t type;
        if (data.b) {
            type = rl_resolve_type(c, data.b);
        } else if (data.flags & RL_SELF && c->self_type) {
            type = c->self_type;
            if (c->trait_site && i) {
                rl_report(c->diags, RL_CODE_TYPE_MISMATCH, rl_span_of(c, node), "self is the first parameter");
            }
        } else if (data.flags & RL_SELF) {
            rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, rl_span_of(c, node),
                "self needs a type outside of an impl");
            type = RL_TYPE_ERROR;
        } else if ((type = promised_type(c, i)) != 0) {
        } else if (bodyless) {
            rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, rl_span_of(c, node),
                "a parameter of a function without body needs a type");
            type = RL_TYPE_ERROR;
        } else {
            type = rl_fresh(c, rl_span_of(c, node));
            *annotated = false;
        }
        rl_node_kind_t pattern = rl_tree_kind(c->tree, data.a);
        rl_sym_t name = pattern == RL_NODE_PAT_NAME ? rl_tree_node(c->tree, data.a)->a : 0;
        (void)rl_vec_push(c->allocator, &c->scratch, name);
        (void)rl_vec_push(c->allocator, &c->scratch, type);
        (void)rl_vec_push(c->allocator, &c->scratch, data.c);
        pushed++;
    }
    uint32_t first = program->first_param + program->params.count;
    for (uint32_t i = 0; i < pushed && !rl_failed(c); i++) {
        rl_param_t param = {.name = c->scratch.data[mark + 3 * i], .type = c->scratch.data[mark + 3 * i + 1]};
        rl_node_t value = c->scratch.data[mark + 3 * i + 2];
        if (value) {
            param.default_fn = rl_new_function(c, rl_function_at(c, fn)->name, RL_FN_DEFAULT, rl_span_of(c, value));
            rl_function_t* made = rl_function_at(c, param.default_fn);
            if (made) made->result = param.type;
        }
        (void)rl_vec_push(c->allocator, &program->params, param);
    }
    rl_function_t* function = rl_function_at(c, fn);
    function->param_first = first;
    function->param_count = rl_failed(c) ? 0 : pushed;
    for (uint32_t i = 0; i < function->param_count; i++) { /* a default sees the parameters before its own */
        rl_fn_id_t default_fn = rl_program_param(program, first + i)->default_fn;
        if (!default_fn) continue;
        rl_function_at(c, default_fn)->param_first = first;
        rl_function_at(c, default_fn)->param_count = i;
    }
    c->scratch.count = mark;
}

/* Where a function's name goes: a method table, or an item. */
static void publish_function(
    rl_checker_t* c, rl_fn_id_t fn, rl_type_t self_type, rl_sym_t name, rl_span_t span, bool is_public) {
    rl_program_t* program = c->program;
    uint32_t head = self_type ? rl_method_head(c, self_type) : 0;
    if (self_type) {
        if (!head) return;
        rl_fn_id_t before = rl_program_find_method(program, head, name);
        if (before) {
            rl_str_t text = rl_text(c, name);
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, span,
                "%s has a function %.*s already", rl_show(c, self_type), RL_STR_ARG(text));
            if (rl_program_function(program, before)->module == c->module)
                rl_note(c->diags, diag, rl_program_function(program, before)->span, "first defined here");
            return;
        }
        (void)rl_map_put(c->allocator, &program->method_map, rl_map_key2(head, name), fn);
        rl_function_t* function = rl_function_at(c, fn);
        function->owner = head & 0x80000000u ? 0 : head;
        if (function->param_count) {
            const rl_param_t* first = rl_program_param(program, function->param_first);
            bool path_only = c->input->is_prelude && first->name != c->sym_self; /* LANGUAGE 8.2: written `M.f` */
            if (!path_only && rl_method_head(c, first->type) == head) function->flags |= RL_FN_METHOD;
        }
        return;
    }
    rl_add_item(c, 1, name, RL_ITEM_FUNCTION, fn, 0, is_public, span, false);
}

rl_fn_id_t rl_declare_fn(rl_checker_t* c, rl_node_t node, rl_type_t impl_type, bool host, bool is_public) {
    rl_program_t* program = c->program;
    rl_fn_decl_t decl = rl_tree_fn(c->tree, node);
    uint16_t flags = rl_tree_flags(c->tree, node);
    uint32_t segments = rl_tree_list_count(c->tree, decl.path);
    if (segments == 0 || rl_failed(c)) return 0;
    (void)host; /* a function without body is the host's, wherever it stands */
    rl_node_t last = rl_tree_list_at(c->tree, decl.path, segments - 1);
    rl_sym_t name = rl_tree_name(c->tree, last);
    rl_span_t span = rl_span_of(c, last);

    uint32_t generics = c->generics.count, rigid = c->rigid.count;
    uint32_t first_constraint =
        impl_type ? c->impl_rigid : rigid; /* those of an impl's head hold for each of its functions */
    rl_type_t outer_self = c->self_type;
    c->next_param = 0;
    c->implicit_params = 1;
    rl_type_t self_type = impl_type;
    rl_sym_t item_name = name;
    if (segments > 1) {
        rl_sym_t prefix = rl_tree_name(c->tree, rl_tree_list_at(c->tree, decl.path, 0));
        uint32_t item = segments == 2 ? rl_find_type_item(c, prefix) : 0;
        if (item) {
            rl_typedef_id_t id = rl_program_item(c->program, item)->id;
            push_type_generics(c, id);
            self_type = applied_to_own_params(c, id);
        } else if (segments == 2 && rl_simple_type(c, prefix)) {
            self_type = rl_simple_type(c, prefix);
        } else {
            item_name = prefix;
            for (uint32_t i = 1; i < segments; i++)
                item_name =
                    rl_join_names(c, item_name, rl_tree_name(c->tree, rl_tree_list_at(c->tree, decl.path, i)), true);
        }
    }
    if (self_type && !impl_type && !host && decl.body) (void)rl_check_orphan(c, self_type, span);
    c->self_type = self_type ? self_type : outer_self;
    if (impl_type) { /* names of the head were put in scope by the caller and have taken the first PARAMs */
        for (uint32_t i = 0; i < c->generics.count; i++) {
            const rl_type_node_t* param = rl_type_node(c->types, c->generics.data[i].type);
            if (param->kind == RL_TYPE_PARAM && param->a >= c->next_param) c->next_param = param->a + 1;
        }
    }
    c->implied_generics = self_type ? c->generics.count - generics : 0;
    if (impl_type) c->implied_generics = c->generics.count - c->impl_generics;
    rl_push_generics(c, decl.generics, 0);
    c->implied_generics = 0;

    rl_fn_id_t fn = rl_new_function(c, name, 0, span);
    if (fn) {
        bool annotated = true;
        declare_params(c, fn, decl.params, !decl.body, &annotated);
        rl_type_t result;
        const rl_trait_site_t* site = c->trait_site;
        if (decl.result) result = rl_resolve_type(c, decl.result);
        else if ((result = promised_type(c, UINT32_MAX)) != 0) {
        } else if (!decl.body) result = RL_TYPE_UNIT;
        else {
            result = rl_fresh(c, span);
            annotated = false;
        }
        if (flags & RL_ASYNC && (decl.result || !rl_is_named(c, result, program->known.future, NULL, NULL)))
            result = rl_future_of(c, result, span); /* an impl may have taken it from its trait */
        rl_push_where(c, decl.where_);
        if (site && c->next_param < site->head_params + site->own_params)
            c->next_param =
                site->head_params + site->own_params; /* those of the trait's function that are not written */
        rl_effects_t declared = rl_resolve_effects(c, decl.effects);
        rl_function_t* function = rl_function_at(c, fn);
        function->result = result;
        function->type_params = c->next_param;
        function->declared = declared;
        if (is_public) function->flags |= RL_FN_PUBLIC;
        const uint32_t must_use = 1u << RL_ATTR_MUST_USE | 1u << RL_ATTR_MUST_AWAIT;
        if (rl_attribute_set(c, decl.attrs) & must_use) function->flags |= RL_FN_MUST_USE;
        store_constraints(c, fn, first_constraint);
        function = rl_function_at(c, fn);
        for (uint32_t i = 0; i < function->param_count; i++) {
            rl_fn_id_t default_fn = rl_program_param(program, function->param_first + i)->default_fn;
            if (!default_fn) continue;
            rl_function_t* made = rl_function_at(c, default_fn);
            made->type_params = function->type_params;
            made->constraint_first = function->constraint_first;
            made->constraint_count = function->constraint_count;
        }
        rl_str_t builtin = {0};
        if (c->input->is_prelude && rl_has_attr(c, decl.attrs, rl_sym_intern(c->symbols, RL_STR("adapted")), NULL))
            function->flags |= RL_FN_ADAPTED;
        bool has_default = false;
        for (uint32_t i = 0; i < function->param_count; i++)
            has_default |= rl_program_param(program, function->param_first + i)->default_fn != 0;
        if (decl.body || has_default) {
            uint32_t unit = rl_unit_add(c, RL_UNIT_FN, node, fn,
                (rl_span_t){rl_tree_node(c->tree, node)->start, rl_tree_node(c->tree, node)->end});
            if (!rl_failed(c)) {
                rl_unit_t* entry = &c->units.data[unit];
                entry->self_type = self_type;
                entry->annotated = annotated;
                entry->generic_first = c->generics_store.count;
                entry->generic_count = c->generics.count;
                entry->explicit_count = c->next_param;
                for (uint32_t i = 0; i < c->generics.count; i++)
                    (void)rl_vec_push(c->allocator, &c->generics_store, c->generics.data[i]);
            }
        }
        function = rl_function_at(c, fn);
        if (decl.body) { /* checked with its unit; a constant of the core library is evaluated where it is named */
            if (c->input->is_prelude && rl_has_attr(c, decl.attrs, rl_sym_intern(c->symbols, RL_STR("constant")), NULL))
                function->flags |= RL_FN_THUNK;
        } else if (c->input->is_prelude && rl_has_attr(c, decl.attrs, c->sym_builtin, &builtin)) {
            function->kind = RL_FN_BUILTIN;
            function->builtin = rl_builtin_find(builtin);
            if (function->builtin == UINT32_MAX) {
                rl_report(c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_INVALID, span, "no built-in function %.*s",
                    RL_STR_ARG(builtin));
            }
        } else if (site && site->in_trait) { /* each impl has its own */
        } else if (site) {
            rl_report(c->diags, RL_CODE_TYPECLASS_IMPL_MISSING_METHOD, span, "a function of an impl needs a body");
        } else {
            function->kind = RL_FN_HOST;
            function->effects = declared ? declared : rl_effects_of_core(program, RL_TAG_BIT(RL_TAG_IO));
            if (segments > 1) {
                rl_sym_t full = rl_tree_name(c->tree, rl_tree_list_at(c->tree, decl.path, 0));
                for (uint32_t i = 1; i < segments; i++)
                    full = rl_join_names(c, full, rl_tree_name(c->tree, rl_tree_list_at(c->tree, decl.path, i)), true);
                rl_function_at(c, fn)->symbol = full;
            } else {
                function->symbol = name;
            }
        }
        if (site) {
            function = rl_function_at(c, fn);
            function->trait = site->trait;
            if (site->in_trait) function->flags |= RL_FN_TRAIT | (decl.body ? RL_FN_HAS_DEFAULT : 0u);
            else function->owner = rl_named_id(c, impl_type);
        } else {
            publish_function(c, fn, self_type, self_type ? name : item_name, span, is_public);
        }
        if (decl.attrs) rl_mark_function(c, node, fn);
    }
    if (fn) rl_note_contract(c, fn, node, decl.effects, decl.attrs);
    c->self_type = outer_self;
    c->generics.count = generics;
    c->rigid.count = rigid;
    c->implicit_params = 0;
    return fn;
}

/* --- impl --------------------------------------------------------------------------------------------------------- */

static void declare_value(rl_checker_t* c, rl_node_t node, rl_type_t owner, bool host, bool is_public);

static void declare_impl(rl_checker_t* c, rl_node_t node) {
    rl_impl_decl_t decl = rl_tree_impl(c->tree, node);
    if (decl.trait) {
        rl_declare_trait_impl(c, node);
        return;
    }
    uint32_t generics = c->generics.count, rigid = c->rigid.count;
    c->next_param = 0;
    c->implicit_params = 1;
    rl_push_generics(c, decl.generics, 0);
    rl_type_t type = rl_resolve_type(c, decl.type);
    /* Names of the head stay in scope for every item; each function numbers its own parameters after them. */
    RL_VEC(rl_generic_name_t) head = {0};
    for (uint32_t i = generics; i < c->generics.count; i++) (void)rl_vec_push(c->allocator, &head, c->generics.data[i]);
    rl_push_where(c, decl.where_);
    c->implicit_params = 0;
    c->impl_rigid = rigid;
    c->generics.count = generics;
    rl_span_t header = {rl_tree_node(c->tree, node)->start, decl.header_end};
    if (!rl_check_orphan(c, type, header)) type = RL_TYPE_ERROR;
    uint32_t count = rl_tree_list_count(c->tree, decl.items);
    for (uint32_t i = 0; i < count && type != RL_TYPE_ERROR && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, decl.items, i);
        bool is_public = rl_tree_has(c->tree, item, RL_PUB);
        if (rl_tree_kind(c->tree, item) == RL_NODE_FN) {
            c->impl_generics = c->generics.count;
            for (uint32_t k = 0; k < head.count; k++) (void)rl_vec_push(c->allocator, &c->generics, head.data[k]);
            rl_declare_fn(c, item, type, false, is_public);
            c->generics.count = generics;
        } else {
            declare_value(c, item, type, false, is_public);
        }
    }
    c->rigid.count = rigid;
    rl_vec_deinit(c->allocator, &head);
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static uint32_t add_global(
    rl_checker_t* c, rl_sym_t name, rl_type_t type, uint32_t flags, rl_span_t span, bool is_public, bool host) {
    rl_program_t* program = c->program;
    rl_global_t global = {.name = name,
        .module = c->module,
        .type = type,
        .flags = flags,
        .is_public = is_public,
        .is_host = host,
        .span = span};
    uint32_t id = program->first_global + program->globals.count;
    if (!rl_vec_push(c->allocator, &program->globals, global)) return 0;
    rl_add_item(c, 1, name, RL_ITEM_GLOBAL, id, 0, is_public, span, false);
    return id;
}

/* Every name a pattern binds becomes a global. Patterns nest at most as deep as the parser allows. */
static void add_pattern_globals(rl_checker_t* c, rl_node_t pattern, uint32_t flags, bool is_public) {
    const rl_node_data_t data = *rl_tree_node(c->tree, pattern);
    if (++c->depth > 1100 || rl_failed(c)) {
        c->depth--;
        return;
    }
    switch (data.kind) {
    case RL_NODE_PAT_NAME: {
        uint32_t own = data.flags & RL_MUT ? RL_LOCAL_MUTABLE : 0;
        add_global(c, data.a, rl_fresh(c, rl_span_of(c, pattern)), flags | own,
            rl_tree_name_span(c->tree, c->symbols, pattern), is_public, false);
        break;
    }
    case RL_NODE_PAT_AS:
        add_global(c, data.b, rl_fresh(c, rl_span_of(c, pattern)), flags,
            rl_tree_name_span(c->tree, c->symbols, pattern), is_public, false);
        add_pattern_globals(c, data.a, flags, is_public);
        break;
    case RL_NODE_PAT_REST:
        if (data.a)
            add_global(c, data.a, rl_fresh(c, rl_span_of(c, pattern)), flags,
                rl_tree_name_span(c->tree, c->symbols, pattern), is_public, false);
        break;
    case RL_NODE_PAT_TUPLE:
    case RL_NODE_PAT_SLICE:
    case RL_NODE_PAT_RECORD: {
        uint32_t count = rl_tree_list_count(c->tree, data.a);
        for (uint32_t i = 0; i < count; i++)
            add_pattern_globals(c, rl_tree_list_at(c->tree, data.a, i), flags, is_public);
        break;
    }
    case RL_NODE_PAT_FIELD: add_pattern_globals(c, data.b, flags, is_public); break;
    case RL_NODE_PAT_CTOR: {
        uint32_t count = rl_tree_list_count(c->tree, data.b);
        for (uint32_t i = 0; i < count; i++)
            add_pattern_globals(c, rl_tree_list_at(c->tree, data.b, i), flags, is_public);
        if (data.c) add_pattern_globals(c, data.c, flags, is_public);
        break;
    }
    case RL_NODE_PAT_OR: add_pattern_globals(c, rl_tree_list_at(c->tree, data.a, 0), flags, is_public); break;
    case RL_NODE_PAT_ACTIVE:
        if (data.b) add_pattern_globals(c, data.b, flags, is_public);
        break;
    default: break;
    }
    c->depth--;
}

/* `let f = |x| …` declares a function: no code of the initialisation makes it. */
static bool declare_lambda(rl_checker_t* c, rl_node_t node, const rl_value_decl_t* decl, bool is_public) {
    const rl_node_data_t pattern = *rl_tree_node(c->tree, decl->pattern);
    rl_node_t lambda = decl->value;
    while (rl_tree_kind(c->tree, lambda) == RL_NODE_PAREN) lambda = rl_tree_node(c->tree, lambda)->a;
    if (rl_tree_has(c->tree, node, RL_MUT) || pattern.kind != RL_NODE_PAT_NAME || pattern.flags & RL_MUT ||
        decl->type || rl_tree_kind(c->tree, lambda) != RL_NODE_LAMBDA)
        return false;
    rl_fn_id_t fn =
        rl_new_function(c, pattern.a, RL_FN_LAMBDA | (is_public ? RL_FN_PUBLIC : 0u), rl_span_of(c, decl->pattern));
    if (!fn) return true;
    rl_list_t params = rl_tree_node(c->tree, lambda)->a;
    uint32_t count = rl_tree_list_count(c->tree, params);
    bool annotated = true;
    c->implicit_params = 1;
    c->next_param = 0;
    uint32_t generics = c->generics.count;
    declare_params(c, fn, params, false, &annotated);
    rl_node_t result = rl_tree_node(c->tree, lambda)->b;
    rl_type_t type = result ? rl_resolve_type(c, result) : rl_fresh(c, rl_span_of(c, decl->pattern));
    if (!result) annotated = false;
    c->implicit_params = 0;
    (void)count;
    if (result) rl_note_lambda_effects(c, fn, lambda);
    rl_function_at(c, fn)->result = type;
    rl_function_at(c, fn)->type_params = c->next_param;
    uint32_t unit = rl_unit_add(c, RL_UNIT_FN, node, fn, rl_span_of(c, node));
    if (!rl_failed(c)) {
        rl_unit_t* entry = &c->units.data[unit];
        entry->annotated = annotated;
        entry->generic_first = c->generics_store.count;
        entry->generic_count = c->generics.count;
        entry->explicit_count = c->next_param;
        for (uint32_t i = 0; i < c->generics.count; i++)
            (void)rl_vec_push(c->allocator, &c->generics_store, c->generics.data[i]);
        rl_add_item(c, 1, pattern.a, RL_ITEM_FUNCTION, fn, 0, is_public, rl_span_of(c, decl->pattern), false);
    }
    c->generics.count = generics;
    return true;
}

static void declare_value(rl_checker_t* c, rl_node_t node, rl_type_t owner, bool host, bool is_public) {
    rl_program_t* program = c->program;
    rl_value_decl_t decl = rl_tree_value(c->tree, node);
    uint32_t flags = rl_tree_has(c->tree, node, RL_MUT) ? RL_LOCAL_MUTABLE : 0;
    if (host) {
        const rl_node_data_t pattern = *rl_tree_node(c->tree, decl.pattern);
        add_global(c, pattern.a, rl_resolve_type(c, decl.type), 0, rl_span_of(c, decl.pattern), is_public, true);
        return;
    }
    bool one_name = rl_tree_kind(c->tree, decl.pattern) == RL_NODE_PAT_NAME;
    rl_mark_value(c, decl.attrs, one_name ? rl_tree_node(c->tree, decl.pattern)->a : 0,
        rl_span_of(c, decl.type ? decl.type : decl.pattern));
    if (!owner && declare_lambda(c, node, &decl, is_public)) return;
    uint32_t first = program->first_global + program->globals.count;
    c->solver.level = 0; /* types of globals stay open until the module ends */
    if (owner) {
        const rl_node_data_t pattern = *rl_tree_node(c->tree, decl.pattern);
        if (pattern.kind != RL_NODE_PAT_NAME) {
            rl_unsupported(c, rl_span_of(c, decl.pattern), "patterns for values of an impl are");
        } else {
            uint32_t id = rl_named_id(c, owner);
            rl_str_t simple = rl_str(rl_show(c, owner));
            rl_sym_t type_name = id ? rl_program_typedef(program, id)->name : rl_sym_intern(c->symbols, simple);
            rl_sym_t dotted = rl_join_names(c, type_name, pattern.a, true);
            add_global(c, dotted, rl_fresh(c, rl_span_of(c, decl.pattern)), flags, rl_span_of(c, decl.pattern),
                is_public, false);
        }
    } else {
        add_pattern_globals(c, decl.pattern, flags, is_public);
    }
    c->solver.level = 1;
    uint32_t unit = rl_unit_add(c, RL_UNIT_VALUE, node, 0, rl_span_of(c, node));
    if (rl_failed(c)) return;
    c->units.data[unit].first_global = first;
    c->units.data[unit].global_count = program->first_global + program->globals.count - first;
    c->units.data[unit].self_type = owner;
}

/* --- active patterns ---------------------------------------------------------------------------------------------- */

static void declare_active(rl_checker_t* c, rl_node_t node) {
    rl_active_decl_t decl = rl_tree_active(c->tree, node);
    rl_sym_t name = rl_tree_name(c->tree, decl.name);
    rl_span_t span = rl_span_of(c, decl.name);
    uint32_t count = rl_tree_list_count(c->tree, decl.params), generics = c->generics.count, rigid = c->rigid.count;
    if (count > 1) {
        rl_unsupported(
            c, rl_span_of(c, rl_tree_list_at(c->tree, decl.params, 1)), "active patterns with several parameters are");
        return;
    }
    if (count == 0) {
        rl_report(
            c->diags, RL_CODE_TYPE_CALL_ARITY, span, "an active pattern has one parameter: the value it looks at");
        c->saw_unsupported = true;
        return;
    }
    bool is_public = rl_tree_has(c->tree, node, RL_PUB), annotated = false;
    rl_fn_id_t fn = rl_new_function(c, name, is_public ? RL_FN_PUBLIC : 0, span);
    if (!fn) return;
    c->next_param = 0;
    c->implicit_params = 1;
    declare_params(c, fn, decl.params, false, &annotated);
    c->implicit_params = 0;
    rl_type_t result = rl_fresh(c, span);
    rl_function_t* function = rl_function_at(c, fn);
    function->result = result;
    function->type_params = c->next_param;
    if (rl_tree_has(c->tree, node, RL_PARTIAL)) function->flags |= RL_FN_PARTIAL;
    rl_fn_id_t default_fn = function->param_count ? rl_program_param(c->program, function->param_first)->default_fn : 0;
    if (default_fn) rl_function_at(c, default_fn)->type_params = c->next_param;
    store_constraints(c, fn, rigid);
    uint32_t unit = rl_unit_add(c, RL_UNIT_FN, node, fn, rl_span_of(c, node));
    if (!rl_failed(c)) {
        rl_unit_t* entry = &c->units.data[unit];
        entry->generic_first = c->generics_store.count;
        entry->generic_count = c->generics.count;
        entry->explicit_count = c->next_param;
        for (uint32_t i = 0; i < c->generics.count; i++)
            (void)rl_vec_push(c->allocator, &c->generics_store, c->generics.data[i]);
        rl_add_item(c, RL_SPACE_ACTIVE, name, RL_ITEM_FUNCTION, fn, 0, is_public, span, false);
    }
    rl_note_contract(c, fn, node, 0, decl.attrs);
    c->generics.count = generics;
    c->rigid.count = rigid;
}

/* --- extern ------------------------------------------------------------------------------------------------------- */

static void set_link_name(rl_checker_t* c, rl_node_t item, rl_fn_id_t fn) {
    rl_node_t attr = rl_attribute_find(c, rl_tree_attrs(c->tree, item), RL_ATTR_LINK_NAME);
    rl_str_t text = attr ? rl_attribute_text(c, rl_attribute_at(c, attr, 0)) : (rl_str_t){NULL, 0};
    if (text.length) rl_function_at(c, fn)->link_name = rl_sym_intern(c->symbols, text);
}

/* The flag that @ownership stands for; 0: none, or a word that has no meaning here. */
static uint32_t ownership(rl_checker_t* c, rl_list_t attrs) {
    static const struct {
        const char* word;
        uint32_t flag;
    } words[] = {{"transferred", RL_FN_TRANSFERS}, {"borrowed", RL_FN_LENDS}, {"reference", RL_FN_REFERS}};
    rl_node_t attr = attrs ? rl_attribute_find(c, attrs, RL_ATTR_OWNERSHIP) : 0;
    rl_node_t value = attr ? rl_attribute_at(c, attr, 0) : 0;
    for (size_t i = 0; value && i < RL_COUNT_OF(words); i++) {
        if (rl_str_equal(rl_attribute_text(c, value), rl_str(words[i].word))) return words[i].flag;
    }
    return 0;
}

static void declare_extern(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_str_t abi = rl_tree_string(c->tree, data.b);
    bool foreign = rl_str_equal(abi, RL_STR("C"));
    if (!foreign && !rl_str_equal(abi, RL_STR("host"))) {
        rl_report(c->diags, RL_CODE_FFI_CONTRACT_UNSUPPORTED_ABI, rl_span_of(c, data.b), "unknown ABI \"%.*s\"",
            RL_STR_ARG(abi));
        return;
    }
    uint32_t count = rl_tree_list_count(c->tree, data.c);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, data.c, i);
        bool is_public = c->input->ambient || rl_tree_has(c->tree, item, RL_PUB) || (data.flags & RL_PUB);
        switch (rl_tree_kind(c->tree, item)) {
        case RL_NODE_FN: {
            c->in_foreign = foreign;
            rl_fn_id_t fn = rl_declare_fn(c, item, 0, true, is_public);
            c->in_foreign = false;
            if (!fn) break;
            set_link_name(c, item, fn);
            uint32_t own = ownership(c, rl_tree_attrs(c->tree, item)); /* before what is written at the block */
            rl_function_at(c, fn)->flags |= own ? own : ownership(c, data.a);
            if (foreign) rl_check_foreign(c, item, fn);
            break;
        }
        case RL_NODE_VALUE: declare_value(c, item, 0, true, is_public); break;
        default: break; /* types were declared before */
        }
    }
}

/* Without a body it is the host's, as if it stood in an extern "host" block. */
static void declare_top_fn(rl_checker_t* c, rl_node_t node) {
    bool host = !rl_tree_fn(c->tree, node).body && !c->input->is_prelude;
    bool is_public = rl_tree_has(c->tree, node, RL_PUB) || (host && c->input->ambient);
    rl_fn_id_t fn = rl_declare_fn(c, node, 0, false, is_public);
    if (!fn || !host) return;
    set_link_name(c, node, fn);
    rl_function_at(c, fn)->flags |= ownership(c, rl_tree_attrs(c->tree, node));
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

void rl_declare_functions(rl_checker_t* c) {
    rl_list_t items = rl_tree_node(c->tree, c->tree->root)->b;
    uint32_t count = rl_tree_list_count(c->tree, items);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t node = rl_tree_list_at(c->tree, items, i);
        rl_span_t span = rl_span_of(c, node);
        switch (rl_tree_kind(c->tree, node)) {
        case RL_NODE_NONE:
        case RL_NODE_USE:
        case RL_NODE_TYPE_DECL:
        case RL_NODE_TRAIT:
        case RL_NODE_EFFECT: break;
        case RL_NODE_FN: declare_top_fn(c, node); break;
        case RL_NODE_VALUE: declare_value(c, node, 0, false, rl_tree_has(c->tree, node, RL_PUB)); break;
        case RL_NODE_IMPL: declare_impl(c, node); break;
        case RL_NODE_EXTERN: declare_extern(c, node); break;
        case RL_NODE_ACTIVE: declare_active(c, node); break;
        case RL_NODE_HANDLER_DECL: rl_declare_handler(c, node, rl_tree_has(c->tree, node, RL_PUB)); break;
        case RL_NODE_ATTRIBUTED: {
            const rl_node_data_t data = *rl_tree_node(c->tree, node);
            if (data.b) rl_unit_add(c, RL_UNIT_STATEMENT, data.b, 0, rl_span_of(c, data.b));
            break;
        }
        default: rl_unit_add(c, RL_UNIT_STATEMENT, node, 0, span); break;
        }
    }
    rl_check_active_names(c);
}
