/* Written types → rl_type_t: paths, aliases, type parameters, bounds (LANGUAGE 4.1, 4.2, 4.4 "implicit type
   parameters"). */
#include "types/infer.h"

/* Types without parts and their names (LANGUAGE 4.1); found last, so that a module may declare its own of that name. */
static const struct {
    const char* name;
    uint8_t type;
} simple_types[] = {
    {"Int", RL_TYPE_I64},
    {"i64", RL_TYPE_I64},
    {"isize", RL_TYPE_I64},
    {"I64", RL_TYPE_I64},
    {"UInt", RL_TYPE_U64},
    {"u64", RL_TYPE_U64},
    {"usize", RL_TYPE_U64},
    {"U64", RL_TYPE_U64},
    {"i8", RL_TYPE_I8},
    {"i16", RL_TYPE_I16},
    {"i32", RL_TYPE_I32},
    {"u8", RL_TYPE_U8},
    {"u16", RL_TYPE_U16},
    {"u32", RL_TYPE_U32},
    {"I8", RL_TYPE_I8},
    {"I16", RL_TYPE_I16},
    {"I32", RL_TYPE_I32},
    {"U8", RL_TYPE_U8},
    {"U16", RL_TYPE_U16},
    {"U32", RL_TYPE_U32},
    {"f32", RL_TYPE_F32},
    {"F32", RL_TYPE_F32},
    {"f64", RL_TYPE_F64},
    {"F64", RL_TYPE_F64},
    {"Float", RL_TYPE_F64},
    {"Bool", RL_TYPE_BOOL},
    {"bool", RL_TYPE_BOOL},
    {"Char", RL_TYPE_CHAR},
    {"char", RL_TYPE_CHAR},
    {"Str", RL_TYPE_STR},
    {"String", RL_TYPE_STR},
    {"Text", RL_TYPE_STR},
    {"Bytes", RL_TYPE_BYTES},
    {"Unit", RL_TYPE_UNIT},
    {"Never", RL_TYPE_NEVER},
    {"Any", RL_TYPE_ANY},
    {"Duration", RL_TYPE_DURATION},
    {"Timestamp", RL_TYPE_TIMESTAMP},
};

rl_type_t rl_simple_type(rl_checker_t* c, rl_sym_t name) {
    rl_sym_t* known = c->program->known.simple_names;
    _Static_assert(RL_COUNT_OF(simple_types) == RL_COUNT_OF(c->program->known.simple_names), "one place for each name");
    if (name == 0) return 0;
    for (size_t i = 0; i < RL_COUNT_OF(simple_types); i++) {
        if (!known[i]) known[i] = rl_sym_intern(c->symbols, rl_str(simple_types[i].name));
        if (known[i] == name) return simple_types[i].type;
    }
    for (uint32_t i = 0; i < c->simple_aliases.count; i++) {
        if (c->simple_aliases.data[i].name == name) return c->simple_aliases.data[i].type;
    }
    return 0;
}

void rl_offer_simple_types(rl_checker_t* c, rl_nearest_t* nearest) {
    for (size_t i = 0; i < RL_COUNT_OF(simple_types); i++)
        rl_nearest_offer(c, nearest, rl_sym_find(c->symbols, rl_str(simple_types[i].name)));
}

uint32_t rl_method_head(rl_checker_t* c, rl_type_t type) {
    rl_type_t head = rl_head(c, type);
    const rl_type_node_t* node = rl_type_node(c->types, head);
    if (node->kind == RL_TYPE_NAMED) return node->a;
    if (node->kind < RL_TYPE_SIMPLE_COUNT && node->kind > RL_TYPE_NEVER) return 0x80000000u | node->kind;
    return 0;
}

static bool one_letter(rl_str_t name) {
    if (name.length == 0) return false;
    char first = name.data[0];
    if (!((first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z'))) return false;
    for (size_t i = 1; i < name.length; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') return false;
    }
    return true;
}

static rl_type_t find_generic(rl_checker_t* c, rl_sym_t name) {
    for (uint32_t i = c->generics.count; i-- > 0;) {
        if (c->generics.data[i].name == name) return c->generics.data[i].type;
    }
    return 0;
}

static void report_arity(rl_checker_t* c, rl_span_t span, rl_sym_t name, uint32_t wanted, uint32_t found) {
    rl_str_t text = rl_text(c, name);
    rl_report(c->diags, RL_CODE_TYPE_ARITY, span, "%.*s takes %u type argument%s, found %u", RL_STR_ARG(text), wanted,
        wanted == 1 ? "" : "s", found);
}

rl_type_t rl_type_of_item(
    rl_checker_t* c, uint32_t item, const rl_type_t* args, uint32_t count, bool given, rl_span_t span) {
    rl_typedef_id_t id = rl_program_item(c->program, item)->id;
    if (!rl_check_visible(c, item, span)) return RL_TYPE_ERROR;
    (void)given;
    rl_typedef_t def = *rl_program_typedef(c->program, id);
    if (def.type_params != count) {
        report_arity(c, span, def.name, def.type_params, count);
        return RL_TYPE_ERROR;
    }
    if (def.kind == RL_DEF_ALIAS) {
        rl_resolve_typedef(c, id);
        return rl_type_substitute(c->types, rl_program_typedef(c->program, id)->target, args, count);
    }
    return rl_type_named(c->types, id, args, count);
}

/* The item a path of names means as a type; 0 with *out_simple set, or 0 and nothing found. */
static uint32_t find_type_item(rl_checker_t* c, rl_list_t path, rl_type_t* out_simple) {
    uint32_t count = rl_tree_list_count(c->tree, path);
    rl_sym_t last = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, count - 1));
    *out_simple = 0;
    if (count == 1) {
        uint32_t item = rl_find_type_item(c, last);
        if (!item) *out_simple = rl_simple_type(c, last);
        return item;
    }
    rl_sym_t first = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, 0));
    uint32_t item = rl_find_item(c, 2, first);
    rl_module_id_t module = item ? rl_program_item(c->program, item)->id : 0;
    rl_sym_t prefix = first;
    for (uint32_t i = 1; i + 1 < count; i++) {
        rl_sym_t name = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, i));
        uint32_t inner = module ? rl_find_in_module(c, module, 2, name) : 0;
        prefix = rl_join_names(c, prefix, name, true);
        module = inner ? rl_program_item(c->program, inner)->id : rl_find_module_path(c, prefix);
    }
    if (module == 0) module = rl_find_module_path(c, prefix);
    uint32_t found = module ? rl_find_type_in(c, module, last) : 0;
    /* Types of the core are reached through any provided module (`Async.Future<T>`). */
    bool core = first == c->sym_core || (module && rl_program_module(c->program, module)->ambient) ||
                (module == 0 && rl_find_item(c, 0, first));
    if (!found && core) {
        found = rl_find_type_item(c, last);
        if (!found) *out_simple = rl_simple_type(c, last);
    }
    return found;
}

rl_typedef_id_t rl_find_typedef(rl_checker_t* c, rl_list_t path, rl_span_t span, bool report) {
    rl_type_t simple;
    uint32_t item = find_type_item(c, path, &simple);
    if (!item) {
        uint32_t count = rl_tree_list_count(c->tree, path);
        if (report) rl_report_unresolved(c, rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, count - 1)), span, 0);
        return 0;
    }
    if (!rl_check_visible(c, item, span)) return 0;
    return rl_program_item(c->program, item)->id;
}

static rl_type_t resolve_path(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    uint32_t segments = rl_tree_list_count(c->tree, data.a), arg_count = rl_tree_list_count(c->tree, data.b);
    rl_sym_t first = rl_tree_name(c->tree, rl_tree_list_at(c->tree, data.a, 0));
    if (segments == 1) {
        rl_type_t generic = find_generic(c, first);
        if (!generic && first == c->sym_Self) generic = c->self_type;
        if (generic) {
            if (arg_count) report_arity(c, span, first, 0, arg_count);
            return generic;
        }
        if (first == c->sym_Box && arg_count == 1 && !rl_find_item(c, 0, first))
            return rl_resolve_type(c, rl_tree_list_at(c->tree, data.b, 0));
    }
    rl_type_t simple;
    uint32_t item = find_type_item(c, data.a, &simple);
    if (simple) {
        if (arg_count) report_arity(c, span, first, 0, arg_count);
        return simple;
    }
    if (!item) {
        rl_sym_t last = rl_tree_name(c->tree, rl_tree_list_at(c->tree, data.a, segments - 1));
        if (segments == 1 && arg_count == 0 && c->implicit_params && one_letter(rl_text(c, first))) {
            rl_type_t made = c->implicit_params == 1 ? rl_type_param(c->types, c->next_param++) : rl_fresh(c, span);
            (void)rl_vec_push(c->allocator, &c->generics, (rl_generic_name_t){first, made});
            return made;
        }
        if (!c->saw_unsupported) rl_report_unresolved(c, last, span, 0);
        return RL_TYPE_ERROR;
    }
    uint32_t mark = c->scratch.count;
    for (uint32_t i = 0; i < arg_count; i++) {
        rl_type_t arg = rl_resolve_type(c, rl_tree_list_at(c->tree, data.b, i));
        (void)rl_vec_push(c->allocator, &c->scratch, arg);
    }
    rl_type_t type = RL_TYPE_ERROR;
    if (!rl_failed(c))
        type = rl_type_of_item(c, item, c->scratch.data + mark, arg_count, (data.flags & RL_ARGS) != 0, span);
    c->scratch.count = mark;
    return type;
}

static rl_type_t resolve_record(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t mark = c->scratch.count, count = rl_tree_list_count(c->tree, data.a), fields = 0;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t field = rl_tree_list_at(c->tree, data.a, i);
        rl_sym_t name = rl_tree_node(c->tree, field)->a;
        rl_type_t type = rl_resolve_type(c, rl_tree_node(c->tree, field)->b);
        bool duplicate = false;
        for (uint32_t k = 0; k < fields && !rl_failed(c); k++) duplicate |= c->scratch.data[mark + 2 * k] == name;
        if (duplicate) {
            rl_str_t text = rl_text(c, name);
            rl_report(c->diags, RL_CODE_TYPE_RECORD_LITERAL_DUPLICATE_FIELD,
                rl_tree_name_span(c->tree, c->symbols, field), "field %.*s is named twice", RL_STR_ARG(text));
            continue;
        }
        (void)rl_vec_push(c->allocator, &c->scratch, name);
        (void)rl_vec_push(c->allocator, &c->scratch, type);
        fields++;
    }
    rl_type_t type = RL_TYPE_ERROR;
    if (!rl_failed(c)) {
        type = data.flags & RL_OPEN ? rl_type_open(c->types, c->symbols, c->scratch.data + mark, fields)
                                    : rl_type_record(c->types, c->symbols, c->scratch.data + mark, fields);
    }
    c->scratch.count = mark;
    return type;
}

/* --- effects ------------------------------------------------------------------------------------------------------ */

static uint32_t effect_tag(rl_checker_t* c, rl_node_t name) {
    rl_list_t path = rl_tree_node(c->tree, name)->a;
    uint32_t count = rl_tree_list_count(c->tree, path);
    rl_effect_id_t effect = count ? rl_find_effect(c, path, count, rl_span_of(c, name)) : 0;
    if (effect) return effect == RL_EFFECT_HIDDEN ? UINT32_MAX : rl_tag_of_effect(effect);
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    for (uint32_t i = 0; i < count; i++) {
        if (i) rl_buf_add_char(&text, '.');
        rl_buf_add(&text, rl_text(c, rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, i))));
    }
    uint32_t tag = rl_tag_named(c->program, rl_buf_str(&text));
    rl_buf_deinit(&text);
    return tag;
}

rl_effects_t rl_resolve_effects(rl_checker_t* c, rl_node_t node) {
    if (!node) return 0;
    rl_effects_t set = RL_EFFECTS_NONE;
    rl_list_t names = rl_tree_node(c->tree, node)->a;
    uint32_t count = rl_tree_list_count(c->tree, names);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        uint32_t tag = effect_tag(c, rl_tree_list_at(c->tree, names, i));
        if (tag != UINT32_MAX) set = rl_effects_join(c->program, set, rl_effects_of_tag(c->program, tag));
    }
    return set;
}

/* A function type with the set written behind it; other types have no place for one. */
static rl_type_t with_effects(rl_checker_t* c, rl_type_t type, rl_node_t effects) {
    rl_effects_t set = rl_resolve_effects(c, effects);
    const rl_type_node_t node = *rl_type_node(c->types, type);
    if (node.kind != RL_TYPE_FUNCTION || rl_failed(c)) return type;
    return rl_type_make(c->types, RL_TYPE_FUNCTION, set, rl_type_args(c->types, type), node.count);
}

static rl_type_t resolve_function(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t mark = c->scratch.count, count = rl_tree_list_count(c->tree, data.a);
    for (uint32_t i = 0; i < count; i++) {
        rl_type_t type = rl_resolve_type(c, rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.a, i))->b);
        (void)rl_vec_push(c->allocator, &c->scratch, type);
    }
    rl_type_t result = data.b ? rl_resolve_type(c, data.b) : RL_TYPE_UNIT;
    rl_type_t type = RL_TYPE_ERROR;
    if (!rl_failed(c)) type = rl_type_function(c->types, c->scratch.data + mark, count, result);
    if (data.c) type = with_effects(c, type, data.c);
    c->scratch.count = mark;
    return type;
}

static rl_type_t resolve(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    switch (data.kind) {
    case RL_NODE_TYPE_PATH: return resolve_path(c, node);
    case RL_NODE_TYPE_UNIT: return RL_TYPE_UNIT;
    case RL_NODE_TYPE_TUPLE: {
        uint32_t mark = c->scratch.count, count = rl_tree_list_count(c->tree, data.a);
        for (uint32_t i = 0; i < count; i++) {
            rl_type_t part = rl_resolve_type(c, rl_tree_list_at(c->tree, data.a, i));
            (void)rl_vec_push(c->allocator, &c->scratch, part);
        }
        rl_type_t type = rl_failed(c) ? RL_TYPE_ERROR : rl_type_tuple(c->types, c->scratch.data + mark, count);
        c->scratch.count = mark;
        return type;
    }
    case RL_NODE_TYPE_FN: return resolve_function(c, node);
    case RL_NODE_TYPE_LIST: {
        rl_type_t element = rl_resolve_type(c, data.a);
        return c->program->known.list ? rl_named1(c, c->program->known.list, element) : RL_TYPE_ERROR;
    }
    case RL_NODE_TYPE_ARRAY: {
        rl_type_t element = rl_resolve_type(c, data.a);
        uint64_t length = rl_tree_int(c->tree, data.b);
        if (length > UINT32_MAX) {
            rl_report(c->diags, RL_CODE_E7101, rl_span_of(c, data.b), "array length %llu is too large",
                (unsigned long long)length);
            return RL_TYPE_ERROR;
        }
        return rl_type_make(c->types, RL_TYPE_ARRAY, (uint32_t)length, &element, 1);
    }
    case RL_NODE_TYPE_RECORD: return resolve_record(c, node);
    case RL_NODE_TYPE_REF: return rl_resolve_type(c, data.a);
    case RL_NODE_TYPE_EFFECTS: {
        rl_type_t type = rl_resolve_type(c, data.a);
        return with_effects(c, type, data.b);
    }
    default: return RL_TYPE_ERROR;
    }
}

typedef struct resolve_call {
    rl_checker_t* c;
    rl_node_t node;
    rl_type_t type;
} resolve_call_t;
static void resolve_far(void* user) {
    resolve_call_t* call = user;
    call->type = resolve(call->c, call->node);
}

rl_type_t rl_resolve_type(rl_checker_t* c, rl_node_t node) {
    if (node == 0 || rl_failed(c)) return RL_TYPE_ERROR;
    rl_type_t type;
    if (++c->depth >= RL_BIG_STACK_AT && !c->on_big_stack) {
        resolve_call_t call = {c, node, RL_TYPE_ERROR};
        c->on_big_stack = true;
        if (!rl_os_call_with_stack(RL_BIG_STACK_BYTES, resolve_far, &call)) c->allocator->failed = true;
        c->on_big_stack = false;
        type = call.type;
    } else {
        type = resolve(c, node);
    }
    c->depth--;
    if (c->types->too_deep) {
        rl_span_t span = rl_span_of(c, node), inner = c->deep_type;
        c->types->too_deep = false;
        if (inner.end == 0 || inner.start < span.start || inner.end > span.end) { /* else it was said of a part */
            rl_report(c->diags, RL_CODE_TYPE_INSTANTIATION_LIMIT, span, "the type nests deeper than %d levels",
                RL_TYPE_DEPTH_LIMIT);
        }
        c->deep_type = span;
        return RL_TYPE_ERROR;
    }
    return type;
}

/* --- bounds ------------------------------------------------------------------------------------------------------- */

/* Traits that no impl can be written for, and the constraints they mean; those without any hold for all data types. */
static const struct {
    const char* name;
    uint32_t kinds;
} traits[] = {
    {"Eq", RL_CON_EQ},
    {"Ord", RL_CON_ORD | RL_CON_EQ},
    {"Hash", RL_CON_HASH | RL_CON_EQ},
    {"Clone", 0},
    {"Copy", 0},
};

static bool trait_kinds(rl_checker_t* c, rl_sym_t name, uint32_t* out_kinds) {
    rl_str_t text = rl_text(c, name);
    for (size_t i = 0; i < RL_COUNT_OF(traits); i++) {
        if (rl_str_equal(text, rl_str(traits[i].name))) {
            *out_kinds = traits[i].kinds;
            return true;
        }
    }
    /* The core's own word for "a number": literals may take the type too. */
    if (c->input->is_prelude && rl_str_equal(text, RL_STR("Number"))) {
        *out_kinds = RL_CON_ADD | RL_CON_SUB | RL_CON_MUL | RL_CON_DIV | RL_CON_REM | RL_CON_POW | RL_CON_NEG |
                     RL_CON_EQ | RL_CON_ORD | RL_CON_HASH | RL_CON_INTEGER_LITERAL;
        return true;
    }
    return false;
}

/* One bound `Trait` or `Trait<…>` of the type parameter `type`; 0: the arguments say of what. */
static void push_bound(rl_checker_t* c, rl_type_t type, rl_node_t bound) {
    const rl_node_data_t data = *rl_tree_node(c->tree, bound);
    uint32_t count = rl_tree_list_count(c->tree, data.a), kinds = 0;
    rl_sym_t name = rl_tree_name(c->tree, rl_tree_list_at(c->tree, data.a, count - 1));
    if (rl_push_trait_bound(c, type, bound)) return;
    if (!trait_kinds(c, name, &kinds)) {
        if (!c->saw_unsupported) rl_report_unresolved(c, name, rl_span_of(c, bound), 0);
        return;
    }
    uint32_t args = rl_tree_list_count(c->tree, data.b);
    if (type ? args : args != 1) {
        report_arity(c, rl_span_of(c, bound), name, type ? 0 : 1, args);
        return;
    }
    if (!type) type = rl_resolve_type(c, rl_tree_list_at(c->tree, data.b, 0));
    const rl_type_node_t* node = rl_type_node(c->types, type);
    if (node->kind != RL_TYPE_PARAM) {
        if (type != RL_TYPE_ERROR) rl_require(c, type, kinds, rl_span_of(c, bound));
        return;
    }
    rl_constraint_t constraint = {.param = node->a, .kinds = kinds};
    if (kinds) (void)rl_vec_push(c->allocator, &c->rigid, constraint);
}

void rl_push_bounds(rl_checker_t* c, rl_type_t type, rl_list_t bounds) {
    uint32_t count = rl_tree_list_count(c->tree, bounds);
    for (uint32_t i = 0; i < count; i++) push_bound(c, type, rl_tree_list_at(c->tree, bounds, i));
}

void rl_push_generics(rl_checker_t* c, rl_list_t generics, rl_list_t where_) {
    uint32_t count = rl_tree_list_count(c->tree, generics);
    uint32_t first = c->generics.count;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t generic = rl_tree_list_at(c->tree, generics, i);
        rl_sym_t name = rl_tree_node(c->tree, generic)->a;
        rl_type_t implied = 0; /* `fn Map.f<K: Ord, V>`: the parameters of Map, named again to be bounded */
        for (uint32_t k = 0; k < c->implied_generics && k < first; k++) {
            if (c->generics.data[first - c->implied_generics + k].name == name)
                implied = c->generics.data[first - c->implied_generics + k].type;
        }
        for (uint32_t k = first; k < c->generics.count; k++) {
            if (c->generics.data[k].name == name) {
                rl_str_t text = rl_text(c, name);
                rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION,
                    rl_tree_name_span(c->tree, c->symbols, generic), "%.*s is defined twice", RL_STR_ARG(text));
            }
        }
        rl_generic_name_t entry = {name, implied ? implied : rl_type_param(c->types, c->next_param++)};
        (void)rl_vec_push(c->allocator, &c->generics, entry);
    }
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t generic = rl_tree_list_at(c->tree, generics, i);
        rl_push_bounds(c, c->generics.data[first + i].type, rl_tree_node(c->tree, generic)->b);
    }
    rl_push_where(c, where_);
}

void rl_push_where(rl_checker_t* c, rl_list_t where_) {
    uint32_t count = rl_tree_list_count(c->tree, where_);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t constraint = rl_tree_list_at(c->tree, where_, i);
        const rl_node_data_t data = *rl_tree_node(c->tree, constraint);
        if (data.a == 0) { /* Tr<T, U> */
            push_bound(c, 0, data.c);
            continue;
        }
        rl_type_t type = find_generic(c, data.a);
        if (!type && c->implicit_params == 1 && one_letter(rl_text(c, data.a))) {
            type = rl_type_param(c->types, c->next_param++);
            (void)rl_vec_push(c->allocator, &c->generics, (rl_generic_name_t){data.a, type});
        }
        if (!type) {
            rl_report_unresolved(c, data.a, rl_span_of(c, constraint), 0);
            continue;
        }
        uint32_t bound_count = rl_tree_list_count(c->tree, data.b);
        for (uint32_t k = 0; k < bound_count; k++) push_bound(c, type, rl_tree_list_at(c->tree, data.b, k));
    }
}
