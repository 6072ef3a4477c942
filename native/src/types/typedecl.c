/* Type declarations: names first, then bodies; aliases on demand (LANGUAGE 4.2). */
#include "types/infer.h"

enum { STATE_NEW, STATE_OPEN, STATE_DONE /* + depth of the alias */ };
enum { ALIAS_DEPTH = 64 };

static rl_typedef_t* own_typedef(rl_checker_t* c, rl_typedef_id_t id) {
    return &c->program->typedefs.data[id - c->program->first_typedef];
}
static bool is_own(rl_checker_t* c, rl_typedef_id_t id) { return id >= c->program->first_typedef; }
static uint8_t* state_of(rl_checker_t* c, rl_typedef_id_t id) {
    uint32_t index = id - c->program->first_typedef;
    c->spare_state = STATE_DONE;
    while (c->type_states.count <= index) {
        if (!rl_vec_push(c->allocator, &c->type_states, STATE_NEW)) return &c->spare_state;
    }
    return &c->type_states.data[index];
}

static const char* const builtin_names[RL_BUILTIN_TYPE_COUNT] = {
    "", "list", "map", "set", "vec", "table", "cell", "ref", "range", "iter", "ptr", "future", "task", "json"};

/* The runtime and the checker know some types of the prelude by name. */
static void remember_known(rl_checker_t* c, rl_sym_t name, rl_typedef_id_t id) {
    rl_known_t* known = &c->program->known;
    const struct {
        const char* name;
        rl_typedef_id_t* slot;
    } table[] = {{"Option", &known->option}, {"Result", &known->result}, {"List", &known->list}, {"Map", &known->map},
        {"Set", &known->set}, {"Vec", &known->vec}, {"Table", &known->table}, {"Cell", &known->cell},
        {"Ref", &known->ref}, {"Range", &known->range}, {"Iter", &known->iter}, {"Json", &known->json},
        {"Future", &known->future}, {"Task", &known->task}, {"Ordering", &known->ordering}, {"Ptr", &known->ptr},
        {"ForeignBuffer", &known->foreign_buffer}};
    rl_str_t text = rl_text(c, name);
    for (size_t i = 0; i < RL_COUNT_OF(table); i++) {
        if (rl_str_equal(text, rl_str(table[i].name))) *table[i].slot = id;
    }
}

static void declare_variants(rl_checker_t* c, rl_typedef_id_t id, rl_node_t body, bool is_public) {
    rl_program_t* program = c->program;
    rl_list_t list = rl_tree_node(c->tree, body)->a;
    uint32_t count = rl_tree_list_count(c->tree, list);
    own_typedef(c, id)->variant_first = program->first_variant + program->variants.count;
    own_typedef(c, id)->variant_count = count;
    bool scoped = c->input->is_prelude && id != program->known.option && id != program->known.result;
    for (uint32_t tag = 0; tag < count; tag++) {
        rl_node_t node = rl_tree_list_at(c->tree, list, tag);
        rl_variant_t variant = {.name = rl_tree_node(c->tree, node)->a};
        if (rl_tree_node(c->tree, node)->c) variant.flags = RL_VARIANT_RECORD_PAYLOAD;
        if (!rl_vec_push(c->allocator, &program->variants, variant)) own_typedef(c, id)->variant_count = 0;
    }
    for (uint32_t tag = 0; tag < count && !rl_failed(c); tag++) {
        rl_node_t node = rl_tree_list_at(c->tree, list, tag);
        rl_span_t span = rl_tree_name_span(c->tree, c->symbols, node);
        rl_add_item(c, 1, rl_tree_node(c->tree, node)->a, RL_ITEM_VARIANT, id, tag, is_public && !scoped, span, false);
    }
}

static void declare_type(rl_checker_t* c, rl_node_t node, bool host, bool is_public) {
    rl_program_t* program = c->program;
    rl_type_decl_t decl = rl_tree_type_decl(c->tree, node);
    uint16_t flags = rl_tree_flags(c->tree, node);
    rl_node_kind_t body = rl_tree_kind(c->tree, decl.body);
    rl_typedef_t def = {.name = rl_tree_name(c->tree, decl.name),
        .module = c->module,
        .is_public = is_public,
        .span = rl_span_of(c, decl.name)};
    uint32_t params = rl_tree_list_count(c->tree, decl.generics);
    def.type_params = (uint16_t)(params < 0xFFFF ? params : 0xFFFF);
    def.must_use = (rl_attribute_set(c, decl.attrs) & (1u << RL_ATTR_MUST_USE | 1u << RL_ATTR_MUST_AWAIT)) != 0;
    rl_str_t builtin = {0};
    if (flags & RL_STRUCT) def.kind = RL_DEF_STRUCT;
    else if (flags & RL_ALIAS) def.kind = RL_DEF_ALIAS;
    else if (body == RL_NODE_VARIANTS) def.kind = RL_DEF_SUM;
    else if (body == RL_NODE_NEWTYPE) def.kind = RL_DEF_NEWTYPE;
    else if (body == RL_NODE_TYPE_RECORD && !rl_tree_has(c->tree, decl.body, RL_OPEN)) def.kind = RL_DEF_RECORD;
    else if (decl.body) def.kind = RL_DEF_ALIAS;
    else def.kind = RL_DEF_OPAQUE;
    if (c->input->is_prelude && rl_has_attr(c, decl.attrs, c->sym_builtin, &builtin)) {
        if (def.kind != RL_DEF_SUM) def.kind = RL_DEF_BUILTIN;
        for (uint8_t i = 1; i < RL_BUILTIN_TYPE_COUNT; i++) {
            if (rl_str_equal(builtin, rl_str(builtin_names[i]))) def.builtin = i;
        }
        if (!def.builtin) {
            rl_report(
                c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_INVALID, def.span, "no built-in type %.*s", RL_STR_ARG(builtin));
        }
    }
    (void)host;
    if (c->input->is_prelude && !def.must_use) {
        rl_str_t text = rl_text(c, def.name);
        def.must_use = rl_str_equal(text, RL_STR("Option")) || rl_str_equal(text, RL_STR("Result")) ||
                       rl_str_equal(text, RL_STR("Future")) || rl_str_equal(text, RL_STR("Task"));
    }
    rl_typedef_id_t id = program->first_typedef + program->typedefs.count;
    if (!rl_vec_push(c->allocator, &program->typedefs, def)) return;
    if (c->input->is_prelude) remember_known(c, def.name, id);
    if (!rl_add_item(c, 0, def.name, RL_ITEM_TYPEDEF, id, 0, is_public, def.span, false)) return;
    (void)rl_map_put(c->allocator, &c->type_nodes, id, node);
    switch ((rl_typedef_kind_t)def.kind) {
    case RL_DEF_SUM: declare_variants(c, id, decl.body, is_public); break;
    case RL_DEF_RECORD:
    case RL_DEF_STRUCT:
    case RL_DEF_NEWTYPE: {
        rl_variant_t variant = {.name = def.name};
        own_typedef(c, id)->variant_first = program->first_variant + program->variants.count;
        if (rl_vec_push(c->allocator, &program->variants, variant)) own_typedef(c, id)->variant_count = 1;
        if (def.kind == RL_DEF_NEWTYPE) rl_add_item(c, 1, def.name, RL_ITEM_VARIANT, id, 0, is_public, def.span, false);
        break;
    }
    default: break;
    }
}

void rl_declare_types(rl_checker_t* c) {
    rl_list_t items = rl_tree_node(c->tree, c->tree->root)->b;
    uint32_t count = rl_tree_list_count(c->tree, items);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t node = rl_tree_list_at(c->tree, items, i);
        rl_node_kind_t kind = rl_tree_kind(c->tree, node);
        if (kind == RL_NODE_TYPE_DECL) {
            declare_type(c, node, false, rl_tree_has(c->tree, node, RL_PUB));
        } else if (kind == RL_NODE_TRAIT) {
            rl_declare_trait_name(c, node);
        } else if (kind == RL_NODE_EXTERN) {
            rl_list_t inner = rl_tree_node(c->tree, node)->c;
            uint32_t inner_count = rl_tree_list_count(c->tree, inner);
            for (uint32_t k = 0; k < inner_count; k++) {
                rl_node_t item = rl_tree_list_at(c->tree, inner, k);
                if (rl_tree_kind(c->tree, item) != RL_NODE_TYPE_DECL) continue;
                declare_type(c, item, true,
                    c->input->ambient || rl_tree_has(c->tree, item, RL_PUB) || rl_tree_has(c->tree, node, RL_PUB));
            }
        }
    }
}

/* --- bodies ------------------------------------------------------------------------------------------------------- */

/* A function that makes the default of a field: no parameters, checked with the other units. */
static rl_fn_id_t default_function(
    rl_checker_t* c, rl_typedef_id_t id, rl_sym_t name, rl_type_t type, rl_node_t value) {
    rl_fn_id_t fn = rl_new_function(c, name, RL_FN_DEFAULT, rl_span_of(c, value));
    if (!fn) return 0;
    rl_function_at(c, fn)->type_params = own_typedef(c, id)->type_params;
    rl_function_at(c, fn)->result = type;
    uint32_t unit = rl_unit_add(c, RL_UNIT_DEFAULT, value, fn, rl_span_of(c, value));
    if (rl_failed(c)) return 0;
    c->units.data[unit].annotated = true;
    c->units.data[unit].generic_first = c->generics_store.count;
    c->units.data[unit].generic_count = c->generics.count;
    for (uint32_t i = 0; i < c->generics.count; i++)
        (void)rl_vec_push(c->allocator, &c->generics_store, c->generics.data[i]);
    return fn;
}

/* Fields of a TYPE_RECORD in stored order (ascending names); answers their first id. */
static uint32_t push_record_fields(rl_checker_t* c, rl_typedef_id_t id, rl_node_t record, uint32_t* out_count) {
    rl_program_t* program = c->program;
    rl_list_t list = record ? rl_tree_node(c->tree, record)->a : 0;
    uint32_t count = rl_tree_list_count(c->tree, list);
    RL_VEC(rl_field_t) fields = {0};
    if (record && rl_tree_has(c->tree, record, RL_OPEN))
        rl_unsupported(c, rl_span_of(c, record), "open fields of a struct or constructor are");
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t node = rl_tree_list_at(c->tree, list, i);
        rl_field_t field = {.name = rl_tree_node(c->tree, node)->a,
            .type = rl_resolve_type(c, rl_tree_node(c->tree, node)->b),
            .declared = i};
        rl_field_more_t more = rl_tree_field_more(c->tree, node);
        if (more.default_) field.default_fn = default_function(c, id, field.name, field.type, more.default_);
        rl_str_t name = rl_text(c, field.name);
        uint32_t at = fields.count;
        bool duplicate = false;
        if (!rl_vec_push(c->allocator, &fields, field)) break;
        while (at > 0) { /* insertion: records have few fields, mostly in some order */
            rl_str_t other = rl_text(c, fields.data[at - 1].name);
            size_t shorter = name.length < other.length ? name.length : other.length;
            int order = memcmp(other.data, name.data, shorter);
            if (order == 0) order = other.length < name.length ? -1 : other.length > name.length;
            if (order == 0) duplicate = true;
            if (order <= 0) break;
            fields.data[at] = fields.data[at - 1];
            fields.data[--at] = field;
        }
        if (duplicate) {
            rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, rl_tree_name_span(c->tree, c->symbols, node),
                "field %.*s is defined twice", RL_STR_ARG(name));
        }
    }
    uint32_t first = program->first_field + program->fields.count;
    *out_count = 0;
    for (uint32_t i = 0; i < fields.count; i++)
        *out_count += rl_vec_push(c->allocator, &program->fields, fields.data[i]);
    rl_vec_deinit(c->allocator, &fields);
    return first;
}

static rl_type_t record_of_fields(rl_checker_t* c, uint32_t first, uint32_t count) {
    uint32_t mark = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) {
        const rl_field_t* field = rl_program_field(c->program, first + i);
        (void)rl_vec_push(c->allocator, &c->scratch, field->name);
        (void)rl_vec_push(c->allocator, &c->scratch, field->type);
    }
    rl_type_t type = rl_failed(c) ? RL_TYPE_ERROR : rl_type_record(c->types, c->symbols, c->scratch.data + mark, count);
    c->scratch.count = mark;
    return type;
}

static void resolve_variant(rl_checker_t* c, rl_typedef_id_t id, uint32_t tag, rl_node_t node) {
    rl_program_t* program = c->program;
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t variant_id = own_typedef(c, id)->variant_first + tag;
    rl_variant_t variant = *rl_program_variant(program, variant_id);
    if (data.c) {
        variant.default_first = push_record_fields(c, id, data.c, &variant.default_count);
        rl_field_t field = {.type = record_of_fields(c, variant.default_first, variant.default_count)};
        variant.field_first = program->first_field + program->fields.count;
        variant.field_count = rl_vec_push(c->allocator, &program->fields, field);
    } else {
        uint32_t count = rl_tree_list_count(c->tree, data.b), mark = c->scratch.count;
        for (uint32_t i = 0; i < count; i++) {
            rl_type_t type = rl_resolve_type(c, rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.b, i))->b);
            (void)rl_vec_push(c->allocator, &c->scratch, type);
        }
        variant.field_first = program->first_field + program->fields.count;
        for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
            rl_field_t field = {.name = rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.b, i))->a,
                .type = c->scratch.data[mark + i],
                .declared = i};
            variant.field_count += rl_vec_push(c->allocator, &program->fields, field);
        }
        c->scratch.count = mark;
    }
    program->variants.data[variant_id - program->first_variant] = variant;
}

static bool mentions_alias_depth(rl_checker_t* c, rl_node_t node, uint32_t* depth);
static uint32_t alias_depth_of(rl_checker_t* c, rl_node_t type) {
    uint32_t depth = 0;
    mentions_alias_depth(c, type, &depth);
    return depth;
}
/* Deepest alias among the paths directly written in a type: only the head counts, arguments are expanded on their
   own. */
static bool mentions_alias_depth(rl_checker_t* c, rl_node_t node, uint32_t* depth) {
    if (rl_tree_kind(c->tree, node) != RL_NODE_TYPE_PATH) return false;
    rl_list_t path = rl_tree_node(c->tree, node)->a;
    if (rl_tree_list_count(c->tree, path) != 1) return false;
    uint32_t item = rl_find_type_item(c, rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, 0)));
    if (!item) return false;
    rl_typedef_id_t id = rl_program_item(c->program, item)->id;
    if (!is_own(c, id) || rl_program_typedef(c->program, id)->kind != RL_DEF_ALIAS) return false;
    uint8_t state = *state_of(c, id);
    *depth = state >= STATE_DONE ? state - STATE_DONE + 1u : 1;
    return true;
}

static void resolve_alias(rl_checker_t* c, rl_typedef_id_t id, rl_node_t node) {
    rl_type_decl_t decl = rl_tree_type_decl(c->tree, node);
    uint32_t errors = c->diags->errors;
    rl_type_t target = rl_resolve_type(c, decl.body);
    uint32_t depth = alias_depth_of(c, decl.body);
    if (depth > ALIAS_DEPTH && c->diags->errors > errors) { /* the alias where the limit was met is reported */
        target = RL_TYPE_ERROR;
        depth = ALIAS_DEPTH;
    } else if (depth > ALIAS_DEPTH) {
        rl_str_t name = rl_text(c, own_typedef(c, id)->name);
        rl_report(c->diags, RL_CODE_TYPE_ALIAS_EXPANSION_LIMIT, own_typedef(c, id)->span,
            "alias %.*s expands through more than %d aliases", RL_STR_ARG(name), ALIAS_DEPTH);
        target = RL_TYPE_ERROR;
        depth = ALIAS_DEPTH;
    } else if (target == RL_TYPE_ERROR && c->diags->errors > errors &&
               rl_tree_kind(c->tree, decl.body) == RL_NODE_TYPE_PATH &&
               rl_tree_list_count(c->tree, rl_tree_node(c->tree, decl.body)->a) == 1 && c->diags->items.count) {
        rl_diag_t* diag = &rl_vec_last(&c->diags->items);
        if (diag->code == RL_CODE_TYPE_UNKNOWN_TYPE)
            rl_note_plain(c->diags, diag, "write `| Name` to declare a type with this one constructor");
    }
    own_typedef(c, id)->target = target;
    *state_of(c, id) = (uint8_t)(STATE_DONE + depth);
}

static void resolve_body(rl_checker_t* c, rl_typedef_id_t id, rl_node_t node) {
    rl_program_t* program = c->program;
    rl_type_decl_t decl = rl_tree_type_decl(c->tree, node);
    rl_typedef_t def = *own_typedef(c, id);
    switch ((rl_typedef_kind_t)def.kind) {
    case RL_DEF_SUM: {
        rl_list_t list = rl_tree_node(c->tree, decl.body)->a;
        for (uint32_t tag = 0; tag < def.variant_count; tag++)
            resolve_variant(c, id, tag, rl_tree_list_at(c->tree, list, tag));
        break;
    }
    case RL_DEF_RECORD:
    case RL_DEF_STRUCT: {
        uint32_t count, first = push_record_fields(c, id, decl.body, &count);
        rl_variant_t* variant = &program->variants.data[def.variant_first - program->first_variant];
        variant->field_first = first;
        variant->field_count = count;
        break;
    }
    case RL_DEF_NEWTYPE: {
        rl_field_t field = {.type = rl_resolve_type(c, rl_tree_node(c->tree, decl.body)->a)};
        uint32_t first = program->first_field + program->fields.count;
        if (!rl_vec_push(c->allocator, &program->fields, field)) break;
        rl_variant_t* variant = &program->variants.data[def.variant_first - program->first_variant];
        variant->field_first = first;
        variant->field_count = 1;
        break;
    }
    case RL_DEF_ALIAS: resolve_alias(c, id, node); break;
    default: break;
    }
}

void rl_resolve_typedef(rl_checker_t* c, rl_typedef_id_t id) {
    uint32_t node;
    if (!is_own(c, id) || !rl_map_get(&c->type_nodes, id, &node)) return;
    uint8_t* state = state_of(c, id);
    if (*state == STATE_OPEN) {
        if (own_typedef(c, id)->kind == RL_DEF_ALIAS) {
            rl_str_t name = rl_text(c, own_typedef(c, id)->name);
            rl_report(c->diags, RL_CODE_TYPE_ALIAS_CYCLE, own_typedef(c, id)->span, "alias %.*s is defined by itself",
                RL_STR_ARG(name));
        }
        return;
    }
    if (*state != STATE_NEW || rl_failed(c)) return;
    *state = STATE_OPEN;
    if (c->open_aliases > 3 * ALIAS_DEPTH) { /* far too deep: those that led here are reported */
        *state = STATE_DONE + ALIAS_DEPTH;
        return;
    }
    c->open_aliases++;
    uint32_t generics = c->generics.count, next_param = c->next_param;
    uint8_t implicit = c->implicit_params;
    rl_type_t self_type = c->self_type;
    /* Only its own parameters are in scope: hide what the place of use has. */
    RL_VEC(rl_generic_name_t) hidden = {0};
    for (uint32_t i = 0; i < generics; i++) (void)rl_vec_push(c->allocator, &hidden, c->generics.data[i]);
    c->generics.count = 0;
    c->next_param = 0;
    c->implicit_params = 0;
    rl_type_decl_t decl = rl_tree_type_decl(c->tree, node);
    rl_push_generics(c, decl.generics, 0);
    rl_typedef_kind_t kind = (rl_typedef_kind_t)own_typedef(c, id)->kind;
    c->self_type = RL_TYPE_ERROR;
    if (kind != RL_DEF_ALIAS) {
        uint32_t mark = c->scratch.count;
        for (uint32_t i = 0; i < c->generics.count; i++)
            (void)rl_vec_push(c->allocator, &c->scratch, c->generics.data[i].type);
        if (!rl_failed(c)) c->self_type = rl_type_named(c->types, id, c->scratch.data + mark, c->generics.count);
        c->scratch.count = mark;
    }
    resolve_body(c, id, node);
    if (*state_of(c, id) == STATE_OPEN) *state_of(c, id) = STATE_DONE;
    c->generics.count = 0;
    for (uint32_t i = 0; i < hidden.count; i++) (void)rl_vec_push(c->allocator, &c->generics, hidden.data[i]);
    rl_vec_deinit(c->allocator, &hidden);
    c->next_param = next_param;
    c->implicit_params = implicit;
    c->self_type = self_type;
    c->open_aliases--;
}

void rl_resolve_types(rl_checker_t* c) {
    uint32_t rigid = c->rigid.count;
    for (uint32_t i = 0; i < c->program->typedefs.count && !rl_failed(c); i++) {
        rl_typedef_id_t id = c->program->first_typedef + i;
        if (rl_program_typedef(c->program, id)->module == c->module) rl_resolve_typedef(c, id);
    }
    c->rigid.count = rigid;
}
