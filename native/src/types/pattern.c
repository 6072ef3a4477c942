/* Patterns (LANGUAGE 5.7): names, constructors, shapes, alternatives. */
#include "types/infer.h"

#include "base/regex.h"
#include "syntax/lexer.h"

static rl_ir_t check(rl_checker_t* c, rl_node_t node, rl_type_t type);

static rl_ir_t wildcard(rl_checker_t* c, rl_type_t type, uint32_t start) {
    return rl_ir_make(c, RL_PAT_WILDCARD, type, start, 0, 0, 0);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static void report_duplicate(rl_checker_t* c, rl_sym_t name, rl_span_t span) {
    rl_str_t text = rl_text(c, name);
    rl_report(c->diags, RL_CODE_PATTERN_BINDING_DUPLICATE_NAME, span, "%.*s is bound twice", RL_STR_ARG(text));
}

/* The local that `name` binds here: a new one, or the one its or-pattern made for all alternatives. */
static uint32_t bind_name(rl_checker_t* c, rl_sym_t name, rl_type_t type, uint32_t flags, rl_span_t span) {
    for (uint32_t i = c->shared_names.count; i-- > 0;) {
        rl_shared_name_t* shared = &c->shared_names.data[i];
        if (shared->name != name) continue;
        if (shared->seen) report_duplicate(c, name, span);
        shared->seen = true;
        uint32_t local = shared->local;
        if (rl_unify(&c->solver, c->locals.data[local].type, type) != RL_UNIFY_OK) {
            rl_str_t text = rl_text(c, name);
            rl_report(c->diags, RL_CODE_PATTERN_OR_BINDING_MISMATCH, span,
                "%.*s has type %s here and %s in another alternative", RL_STR_ARG(text), rl_show(c, type),
                rl_show(c, c->locals.data[local].type));
        }
        return local;
    }
    if (name < c->innermost.count && c->innermost.data[name] > c->pattern_scope) report_duplicate(c, name, span);
    uint32_t local = rl_new_local(c, name, type, flags | c->pattern_flags, span);
    rl_bind(c, name, RL_BOUND_LOCAL, local);
    return local;
}

/* Names that a pattern binds, onto scratch. */
static void push_names(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    if (rl_failed(c)) return;
    switch (data.kind) {
    case RL_NODE_PAT_NAME: (void)rl_vec_push(c->allocator, &c->scratch, data.a); break;
    case RL_NODE_PAT_REST:
        if (data.a) (void)rl_vec_push(c->allocator, &c->scratch, data.a);
        break;
    case RL_NODE_PAT_AS:
        (void)rl_vec_push(c->allocator, &c->scratch, data.b);
        push_names(c, data.a);
        break;
    case RL_NODE_PAT_TUPLE:
    case RL_NODE_PAT_SLICE:
    case RL_NODE_PAT_RECORD: {
        uint32_t count = rl_tree_list_count(c->tree, data.a);
        for (uint32_t i = 0; i < count; i++) push_names(c, rl_tree_list_at(c->tree, data.a, i));
        break;
    }
    case RL_NODE_PAT_OR: push_names(c, rl_tree_list_at(c->tree, data.a, 0)); break;
    case RL_NODE_PAT_FIELD: push_names(c, data.b); break;
    case RL_NODE_PAT_CTOR: {
        uint32_t count = rl_tree_list_count(c->tree, data.b);
        for (uint32_t i = 0; i < count; i++) push_names(c, rl_tree_list_at(c->tree, data.b, i));
        if (data.c) push_names(c, data.c);
        break;
    }
    case RL_NODE_PAT_ACTIVE:
        if (data.b) push_names(c, data.b);
        break;
    default: break;
    }
}

static bool among(const uint32_t* names, uint32_t count, rl_sym_t name) {
    for (uint32_t i = 0; i < count; i++) {
        if (names[i] == name) return true;
    }
    return false;
}

/* --- alternatives ------------------------------------------------------------------------------------------------- */

static rl_ir_t check_or(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count, first_shared = c->shared_names.count;
    rl_span_t span = rl_span_of(c, node);
    /* names of the first alternative that has some, then those of each other one must be the same */
    RL_VEC(uint32_t) names = {0};
    bool equal = true, some_empty = false;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        push_names(c, rl_tree_list_at(c->tree, data.a, i));
        uint32_t own = c->scratch.count - mark;
        if (own == 0) some_empty = true;
        else if (names.count == 0) {
            for (uint32_t k = 0; k < own; k++) {
                if (!among(names.data, names.count, c->scratch.data[mark + k]))
                    (void)rl_vec_push(c->allocator, &names, c->scratch.data[mark + k]);
            }
        } else {
            for (uint32_t k = 0; k < own; k++) equal &= among(names.data, names.count, c->scratch.data[mark + k]);
            for (uint32_t k = 0; k < names.count; k++) equal &= among(c->scratch.data + mark, own, names.data[k]);
        }
        c->scratch.count = mark;
    }
    bool fill = some_empty && names.count == 1 && equal; /* D38: an alternative without names binds the whole value */
    if (!equal || (some_empty && names.count > 1)) {
        rl_report(c->diags, RL_CODE_PATTERN_OR_BINDING_MISMATCH, span, "the alternatives bind different names");
        fill = false;
    }
    for (uint32_t i = 0; i < names.count && !rl_failed(c); i++) {
        bool outer = false;
        for (uint32_t k = 0; k < first_shared; k++) outer |= c->shared_names.data[k].name == names.data[i];
        if (outer) continue;
        uint32_t local = bind_name(c, names.data[i], rl_fresh(c, span), 0, span);
        rl_shared_name_t shared = {names.data[i], local, false};
        (void)rl_vec_push(c->allocator, &c->shared_names, shared);
    }
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        for (uint32_t k = 0; k < c->shared_names.count; k++) {
            if (among(names.data, names.count, c->shared_names.data[k].name)) c->shared_names.data[k].seen = false;
        }
        rl_node_t alternative = rl_tree_list_at(c->tree, data.a, i);
        rl_ir_t made = check(c, alternative, type);
        bool bound = false;
        for (uint32_t k = 0; k < c->shared_names.count; k++) {
            if (among(names.data, names.count, c->shared_names.data[k].name)) bound |= c->shared_names.data[k].seen;
        }
        if (fill && !bound) {
            uint32_t local = bind_name(c, names.data[0], type, 0, span);
            made = rl_ir_make(c, RL_PAT_BIND, type, data.start, local, made, 0);
        }
        (void)rl_vec_push(c->allocator, &c->scratch, made);
    }
    for (uint32_t k = 0; k < c->shared_names.count; k++) {
        if (among(names.data, names.count, c->shared_names.data[k].name)) c->shared_names.data[k].seen = true;
    }
    c->shared_names.count = first_shared;
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, data.start)
                              : rl_ir_make(c, RL_PAT_OR, type, data.start,
                                    rl_extra_put(c, c->scratch.data + mark, count), count, 0);
    c->scratch.count = mark;
    rl_vec_deinit(c->allocator, &names);
    return ir;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

/* A PAT_RECORD against a type that has fields, or will have. */
static rl_ir_t check_record(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count;
    rl_span_t span = rl_span_of(c, node);
    rl_type_t head = rl_head(c, type);
    rl_type_kind_t kind = rl_type_kind(c->types, head);
    bool open = (data.flags & RL_REST) != 0;
    rl_typedef_id_t id = rl_named_id(c, head);
    if (id && rl_program_typedef(c->program, id)->kind == RL_DEF_NEWTYPE) { /* look through: U(…) */
        rl_type_t inner = rl_type_payload(c->program, rl_solver_zonk(&c->solver, head), 0, 0);
        rl_ir_t payload = check_record(c, node, inner);
        return rl_ir_make(c, RL_PAT_VARIANT, type, data.start, rl_extra_put(c, &payload, 1), 1, 0);
    }
    if (kind == RL_TYPE_VAR && !open) {
        for (uint32_t i = 0; i < count; i++) {
            (void)rl_vec_push(c->allocator, &c->scratch, rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.a, i))->a);
            (void)rl_vec_push(c->allocator, &c->scratch, rl_fresh(c, span));
        }
        if (rl_failed(c)) return rl_ir_error(c, data.start);
        rl_type_t made = rl_type_record(c->types, c->symbols, c->scratch.data + mark, count);
        c->scratch.count = mark;
        if (!rl_unify_at(c, type, made, span, RL_CODE_TYPE_MISMATCH)) return wildcard(c, RL_TYPE_ERROR, data.start);
        head = rl_head(c, type);
        kind = rl_type_kind(c->types, head);
    }
    bool has_fields = kind == RL_TYPE_RECORD || kind == RL_TYPE_OPEN ||
                      (id && (rl_program_typedef(c->program, id)->kind == RL_DEF_RECORD ||
                                 rl_program_typedef(c->program, id)->kind == RL_DEF_STRUCT));
    if (!has_fields && kind != RL_TYPE_VAR && kind != RL_TYPE_PARAM && head != RL_TYPE_ERROR && head != RL_TYPE_NEVER) {
        rl_report(c->diags, RL_CODE_TYPE_MISMATCH, span, "expected %s, found a record pattern", rl_show(c, head));
        head = type = RL_TYPE_ERROR;
    }
    rl_type_t exact = rl_solver_zonk(&c->solver, head);
    uint32_t matched = 0;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t field_node = rl_tree_list_at(c->tree, data.a, i);
        const rl_node_data_t field = *rl_tree_node(c->tree, field_node);
        rl_span_t name_span = rl_tree_name_span(c->tree, c->symbols, field_node);
        rl_type_t field_type = RL_TYPE_ERROR;
        if (has_fields) {
            if (!rl_type_find_field(c->program, exact, field.a, &field_type)) {
                rl_str_t text = rl_text(c, field.a);
                rl_report(c->diags, rl_cfg_code(c, field.a, true, RL_CODE_TYPE_RECORD_ACCESS_UNKNOWN_FIELD), name_span,
                    "%s has no field %.*s", rl_show(c, head), RL_STR_ARG(text));
                field_type = RL_TYPE_ERROR;
            } else {
                matched++;
            }
        } else if (kind == RL_TYPE_VAR || kind == RL_TYPE_PARAM) {
            field_type = rl_fresh(c, name_span);
            rl_note_constraint(c, RL_REASON_FIELD, type, 0);
            rl_unify_result_t result = rl_solver_require_field(&c->solver, type, field.a, field_type, name_span);
            if (result != RL_UNIFY_OK) rl_report_unify(c, result, type, type, name_span, RL_CODE_TYPE_MISMATCH);
        }
        rl_ir_t made = check(c, field.b, field_type);
        (void)rl_vec_push(c->allocator, &c->scratch, field.a);
        (void)rl_vec_push(c->allocator, &c->scratch, made);
    }
    if (has_fields && !open && !rl_failed(c)) {
        uint32_t total =
            kind == RL_TYPE_RECORD || kind == RL_TYPE_OPEN
                ? rl_type_node(c->types, head)->count
                : rl_program_variant(c->program, rl_program_typedef(c->program, id)->variant_first)->field_count;
        if (matched < total) {
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_PATTERN_RECORD_MISSING_FIELD, span,
                "the pattern names %u of the %u fields of %s", matched, total, rl_show(c, head));
            rl_note_plain(c->diags, diag, "add `..` to leave the others out");
        }
    }
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, data.start)
                              : rl_ir_make(c, RL_PAT_RECORD, type, data.start,
                                    rl_extra_put(c, c->scratch.data + mark, 2 * count), count, 0);
    c->scratch.count = mark;
    return ir;
}

/* --- constructors ------------------------------------------------------------------------------------------------- */

/* The constructor item a path means in a pattern, with the type that was named before it; or a record type alone. */
static uint32_t find_constructor(rl_checker_t* c, rl_list_t path, uint32_t* out_type) {
    uint32_t count = rl_tree_list_count(c->tree, path);
    rl_sym_t last = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, count - 1));
    *out_type = 0;
    if (count == 1) {
        uint32_t item = rl_find_item(c, 1, last);
        if (item && rl_program_item(c->program, item)->kind == RL_ITEM_VARIANT) return item;
        *out_type = last == c->sym_Self ? rl_self_item(c) : rl_find_type_item(c, last);
        return 0;
    }
    rl_sym_t first = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, 0));
    uint32_t module_item = rl_find_item(c, 2, first);
    uint32_t type = first == c->sym_Self ? rl_self_item(c) : rl_find_type_item(c, first);
    rl_module_id_t module = module_item ? rl_program_item(c->program, module_item)->id : 0;
    rl_sym_t prefix = first;
    for (uint32_t i = 1; i < count; i++) {
        rl_sym_t name = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, i));
        bool is_last = i + 1 == count;
        if (type && is_last) {
            rl_typedef_id_t id = rl_program_item(c->program, type)->id;
            const rl_typedef_t def = *rl_program_typedef(c->program, id);
            for (uint32_t at = rl_program_find(c->program, def.module, 1, last); at;
                at = rl_program_item(c->program, at)->next) {
                const rl_item_t* item = rl_program_item(c->program, at);
                if (item->kind != RL_ITEM_VARIANT || item->id != id) continue;
                *out_type = type;
                return at;
            }
        }
        type = module ? rl_find_type_in(c, module, name) : 0;
        if (is_last) {
            uint32_t item = module ? rl_find_in_module(c, module, 1, name) : 0;
            if (item && rl_program_item(c->program, item)->kind == RL_ITEM_VARIANT) return item;
            *out_type = type;
            return 0;
        }
        prefix = rl_join_names(c, prefix, name, true);
        uint32_t inner = module ? rl_find_in_module(c, module, 2, name) : 0;
        module = inner ? rl_program_item(c->program, inner)->id : rl_find_module_path(c, prefix);
    }
    return 0;
}

/* A slice of a first element and the rest: a rest that is a slice is spliced in, alternatives are distributed, so that
   coverage of lengths is seen. Alternatives nest at most as deep as the parser allows. */
static rl_ir_t cons_pattern(rl_checker_t* c, rl_ir_t first, rl_ir_t rest, rl_type_t type, uint32_t start) {
    rl_ir_node_t inner = *rl_program_node(c->program, rest);
    rl_ir_t core = rest;
    while (rl_program_node(c->program, core)->op == RL_PAT_BIND && rl_program_node(c->program, core)->b)
        core = rl_program_node(c->program, core)->b; /* names for the rest stand around each alternative */
    if (rl_program_node(c->program, core)->op == RL_PAT_OR) inner = *rl_program_node(c->program, core);
    uint32_t mark = c->scratch.count;
    rl_ir_t ir;
    if (inner.op == RL_PAT_SLICE) {
        (void)rl_vec_push(c->allocator, &c->scratch, first);
        for (uint32_t i = 0; i < inner.b; i++)
            (void)rl_vec_push(c->allocator, &c->scratch, rl_program_extra(c->program, inner.a)[i]);
        ir = rl_failed(c)
                 ? rl_ir_error(c, start)
                 : rl_ir_make(c, RL_PAT_SLICE, type, start, rl_extra_put(c, c->scratch.data + mark, inner.b + 1),
                       inner.b + 1, inner.c ? inner.c + 1 : 0);
    } else if (inner.op == RL_PAT_OR) {
        for (uint32_t i = 0; i < inner.b && !rl_failed(c); i++) {
            rl_ir_t one = *rl_program_extra(c->program, inner.a + i);
            for (rl_ir_t name = rest; name != core && !rl_failed(c); name = rl_program_node(c->program, name)->b) {
                const rl_ir_node_t bind = *rl_program_node(c->program, name);
                one = rl_ir_make(c, RL_PAT_BIND, bind.type, bind.start, bind.a, one, 0);
            }
            rl_ir_t alternative = cons_pattern(c, first, one, type, start);
            (void)rl_vec_push(c->allocator, &c->scratch, alternative);
        }
        ir = rl_failed(c)
                 ? rl_ir_error(c, start)
                 : rl_ir_make(c, RL_PAT_OR, type, start, rl_extra_put(c, c->scratch.data + mark, inner.b), inner.b, 0);
    } else {
        rl_ir_t parts[2] = {first, rest};
        ir = rl_ir_make(c, RL_PAT_SLICE, type, start, rl_extra_put(c, parts, 2), 2, 2);
    }
    c->scratch.count = mark;
    return ir;
}

/* Cons(h, t) and Nil are the non-empty and the empty list. */
static rl_ir_t check_list_constructor(rl_checker_t* c, rl_node_t node, rl_type_t type, bool cons) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, data.b);
    rl_type_t element = rl_fresh(c, rl_span_of(c, node));
    rl_type_t list = rl_named1(c, c->program->known.list, element);
    if (!rl_unify_at(c, type, list, rl_span_of(c, node), RL_CODE_TYPE_MISMATCH)) type = element = RL_TYPE_ERROR;
    if (count != (cons ? 2u : 0u)) {
        rl_report(c->diags, RL_CODE_TYPE_SUM_CONSTRUCTOR_ARITY_MISMATCH, rl_span_of(c, node),
            "constructor %s takes %u values, found %u", cons ? "Cons" : "Nil", cons ? 2 : 0, count);
        for (uint32_t i = 0; i < count; i++) check(c, rl_tree_list_at(c->tree, data.b, i), RL_TYPE_ERROR);
        return wildcard(c, RL_TYPE_ERROR, data.start);
    }
    if (!cons) return rl_ir_make(c, RL_PAT_SLICE, type, data.start, 0, 0, 0);
    rl_ir_t parts[2];
    parts[0] = check(c, rl_tree_list_at(c->tree, data.b, 0), element);
    parts[1] = check(c, rl_tree_list_at(c->tree, data.b, 1), list);
    return cons_pattern(c, parts[0], parts[1], type, data.start);
}

static rl_ir_t check_constructor(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node), path_span = rl_span_of(c, data.a);
    rl_list_t path = rl_tree_node(c->tree, data.a)->a;
    uint32_t count = rl_tree_list_count(c->tree, data.b), type_item, mark = c->scratch.count;
    rl_sym_t last = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, rl_tree_list_count(c->tree, path) - 1));
    uint32_t item = find_constructor(c, path, &type_item);
    if (!item && (last == c->sym_cons || last == c->sym_nil))
        return check_list_constructor(c, node, type, last == c->sym_cons);
    if (!item && type_item && data.c) { /* T { x, y } of a record type */
        rl_typedef_id_t id = rl_program_item(c->program, type_item)->id;
        const rl_typedef_t def = *rl_program_typedef(c->program, id);
        if (def.kind == RL_DEF_RECORD || def.kind == RL_DEF_STRUCT || def.kind == RL_DEF_ALIAS) {
            for (uint32_t i = 0; i < def.type_params; i++)
                (void)rl_vec_push(c->allocator, &c->scratch, rl_fresh(c, span));
            rl_type_t wanted =
                rl_failed(c) ? RL_TYPE_ERROR
                             : rl_type_of_item(c, type_item, c->scratch.data + mark, def.type_params, true, path_span);
            c->scratch.count = mark;
            if (!rl_unify_at(c, type, wanted, path_span, RL_CODE_TYPE_MISMATCH)) wanted = RL_TYPE_ERROR;
            return check_record(c, data.c, wanted);
        }
    }
    if (item && !type_item) { /* named without its type: there may be others */
        rl_sym_t* fields = NULL;
        uint32_t field_count = 0;
        if (data.c) {
            rl_list_t list = rl_tree_node(c->tree, data.c)->a;
            field_count = rl_tree_list_count(c->tree, list);
            for (uint32_t i = 0; i < field_count; i++)
                (void)rl_vec_push(
                    c->allocator, &c->scratch, rl_tree_node(c->tree, rl_tree_list_at(c->tree, list, i))->a);
            fields = rl_failed(c) ? NULL : c->scratch.data + mark;
        }
        item = rl_choose_variant(c, item, type,
            data.flags & RL_PARENS ? (int)count
            : data.c               ? 1
                                   : -1,
            fields, field_count, path_span);
        c->scratch.count = mark;
        if (item && !rl_check_visible(c, item, path_span)) item = 0;
    } else if (item) {
        if (!rl_check_visible(c, type_item, path_span)) item = 0;
    } else {
        rl_str_t text = rl_text(c, last);
        rl_code_t code = rl_cfg_code(c, last, false, RL_CODE_PATTERN_CONSTRUCTOR_UNKNOWN);
        rl_diag_t* diag = rl_report(c->diags, code, path_span, "unknown constructor: %.*s", RL_STR_ARG(text));
        rl_nearest_t nearest = {text, 0, 3};
        rl_typedef_id_t id = rl_named_id(c, type);
        for (uint32_t i = 0; id && i < rl_program_typedef(c->program, id)->variant_count; i++) {
            rl_nearest_offer(c, &nearest,
                rl_program_variant(c->program, rl_program_typedef(c->program, id)->variant_first + i)->name);
        }
        rl_fix_nearest(c, diag, &nearest, path_span);
    }
    if (!item || rl_failed(c)) {
        for (uint32_t i = 0; i < count; i++) check(c, rl_tree_list_at(c->tree, data.b, i), RL_TYPE_ERROR);
        if (data.c) check_record(c, data.c, RL_TYPE_ERROR);
        return wildcard(c, RL_TYPE_ERROR, data.start);
    }
    const rl_item_t entry = *rl_program_item(c->program, item);
    const rl_typedef_t def = *rl_program_typedef(c->program, entry.id);
    const rl_variant_t variant = *rl_program_variant(c->program, def.variant_first + entry.variant);
    rl_type_t exact = rl_head(c, type);
    if (rl_named_id(c, exact) != entry.id) {
        for (uint32_t i = 0; i < def.type_params; i++) (void)rl_vec_push(c->allocator, &c->scratch, rl_fresh(c, span));
        exact =
            rl_failed(c) ? RL_TYPE_ERROR : rl_type_named(c->types, entry.id, c->scratch.data + mark, def.type_params);
        c->scratch.count = mark;
        if (!rl_unify_at(c, type, exact, span, RL_CODE_TYPE_MISMATCH)) {
            for (uint32_t i = 0; i < count; i++) check(c, rl_tree_list_at(c->tree, data.b, i), RL_TYPE_ERROR);
            if (data.c) check_record(c, data.c, RL_TYPE_ERROR);
            return wildcard(c, RL_TYPE_ERROR, data.start);
        }
    }
    exact = rl_solver_zonk(&c->solver, exact);
    if (rl_type_kind(c->types, exact) != RL_TYPE_NAMED) { /* scrutinee of type Never or Error */
        for (uint32_t i = 0; i < count; i++) check(c, rl_tree_list_at(c->tree, data.b, i), RL_TYPE_ERROR);
        if (data.c) check_record(c, data.c, RL_TYPE_ERROR);
        return wildcard(c, exact, data.start);
    }
    bool bare = !(data.flags & RL_PARENS) && !data.c;
    if (data.c) {
        if (variant.field_count != 1) {
            rl_str_t name = rl_text(c, variant.name);
            rl_report(c->diags, RL_CODE_TYPE_SUM_CONSTRUCTOR_ARITY_MISMATCH, span,
                "constructor %.*s takes %u value%s, found a record", RL_STR_ARG(name), variant.field_count,
                variant.field_count == 1 ? "" : "s");
            check_record(c, data.c, RL_TYPE_ERROR);
            return wildcard(c, RL_TYPE_ERROR, data.start);
        }
        rl_ir_t payload = check_record(c, data.c, rl_type_payload(c->program, exact, entry.variant, 0));
        return rl_ir_make(c, RL_PAT_VARIANT, exact, data.start, rl_extra_put(c, &payload, 1), 1, entry.variant);
    }
    if (bare && (variant.flags & RL_VARIANT_RECORD_PAYLOAD)) {
        rl_ir_t payload = wildcard(c, rl_type_payload(c->program, exact, entry.variant, 0), data.start);
        return rl_ir_make(c, RL_PAT_VARIANT, exact, data.start, rl_extra_put(c, &payload, 1), 1, entry.variant);
    }
    if (count != variant.field_count) {
        rl_str_t name = rl_text(c, variant.name);
        rl_report(c->diags, RL_CODE_TYPE_SUM_CONSTRUCTOR_ARITY_MISMATCH, span,
            "constructor %.*s takes %u value%s, found %u", RL_STR_ARG(name), variant.field_count,
            variant.field_count == 1 ? "" : "s", count);
        for (uint32_t i = 0; i < count; i++) check(c, rl_tree_list_at(c->tree, data.b, i), RL_TYPE_ERROR);
        return wildcard(c, RL_TYPE_ERROR, data.start);
    }
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_ir_t payload =
            check(c, rl_tree_list_at(c->tree, data.b, i), rl_type_payload(c->program, exact, entry.variant, i));
        (void)rl_vec_push(c->allocator, &c->scratch, payload);
    }
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, data.start)
                              : rl_ir_make(c, RL_PAT_VARIANT, exact, data.start,
                                    rl_extra_put(c, c->scratch.data + mark, count), count, entry.variant);
    c->scratch.count = mark;
    return ir;
}

/* --- the others --------------------------------------------------------------------------------------------------- */

static rl_ir_t check_literal(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_type_t head = rl_head(c, type);
    rl_ir_t value = rl_infer_literal(c, data.a, head == RL_TYPE_ANY ? 0 : head, (data.flags & RL_NEGATIVE) != 0);
    if (head == RL_TYPE_ANY) rl_settle_literal(c, rl_type_at(c, value));
    else if (!rl_unify_at(c, type, rl_type_at(c, value), rl_span_of(c, node), RL_CODE_TYPE_MISMATCH))
        return wildcard(c, RL_TYPE_ERROR, data.start);
    return rl_ir_make(c, RL_PAT_CONST, type, data.start, value, 0, 0);
}

static rl_ir_t check_slice(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_known_t* known = &c->program->known;
    uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count, rests = 0, rest_at = 0;
    rl_span_t span = rl_span_of(c, node);
    rl_type_t head = rl_head(c, type), element = RL_TYPE_ERROR;
    if (rl_type_kind(c->types, head) == RL_TYPE_VAR) {
        element = rl_fresh(c, span);
        (void)rl_unify_at(c, type, rl_named1(c, known->list, element), span, RL_CODE_PATTERN_SLICE_TYPE_MISMATCH);
    } else if (rl_type_kind(c->types, head) == RL_TYPE_ARRAY) {
        element = rl_type_args(c->types, head)[0];
    } else if (!rl_is_named(c, head, known->list, &element, NULL) &&
               !rl_is_named(c, head, known->vec, &element, NULL) && head != RL_TYPE_ERROR && head != RL_TYPE_NEVER) {
        rl_report(
            c->diags, RL_CODE_PATTERN_SLICE_TYPE_MISMATCH, span, "a slice pattern cannot match %s", rl_show(c, head));
        type = element = RL_TYPE_ERROR;
    }
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, data.a, i);
        const rl_node_data_t part = *rl_tree_node(c->tree, item);
        rl_ir_t made;
        if (part.kind == RL_NODE_PAT_REST) {
            rests++;
            rest_at = i + 1;
            rl_type_t list = rl_named1(c, known->list, element);
            if (part.a) {
                uint32_t local = bind_name(c, part.a, list, 0, rl_tree_name_span(c->tree, c->symbols, item));
                made = rl_ir_make(c, RL_PAT_BIND, list, part.start, local, 0, 0);
            } else {
                made = wildcard(c, list, part.start);
            }
        } else {
            made = check(c, item, element);
        }
        (void)rl_vec_push(c->allocator, &c->scratch, made);
    }
    if (rests > 1)
        rl_report(c->diags, RL_CODE_PATTERN_SLICE_MULTIPLE_REST, span, "a slice pattern has at most one `..`");
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, data.start)
                              : rl_ir_make(c, RL_PAT_SLICE, type, data.start,
                                    rl_extra_put(c, c->scratch.data + mark, count), count, rest_at);
    c->scratch.count = mark;
    return ir;
}

/* A bound: a literal, or a constant of the module. */
static rl_ir_t check_bound(rl_checker_t* c, rl_node_t node, rl_type_t* type, rl_span_t span, bool* fine) {
    if (!node) return 0;
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_ir_t value;
    if (data.kind == RL_NODE_PAT_LITERAL) {
        value = rl_infer_literal(c, data.a, rl_head(c, *type), (data.flags & RL_NEGATIVE) != 0);
    } else {
        rl_list_t path = data.a;
        uint32_t count = rl_tree_list_count(c->tree, path);
        rl_sym_t name = rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, count - 1));
        uint32_t item = count == 1 ? rl_find_item(c, 1, name) : 0;
        const rl_binding_t* binding = count == 1 ? rl_find_binding(c, name) : NULL;
        if (binding && binding->kind == RL_BOUND_LOCAL) value = rl_read_local(c, binding->index, data.start);
        else if (item && rl_program_item(c->program, item)->kind == RL_ITEM_GLOBAL)
            value = rl_use_item(c, item, node, rl_span_of(c, node), 0);
        else {
            rl_report_unresolved(c, name, rl_span_of(c, node), 1);
            *fine = false;
            return 0;
        }
    }
    rl_type_t own = rl_head(c, rl_type_at(c, value));
    rl_var_t* var = rl_var_of(c, own);
    bool ordered =
        rl_type_is_numeric(own) || own == RL_TYPE_CHAR || (var && var->klass != RL_VAR_FREE) || own == RL_TYPE_ERROR;
    if (!ordered || rl_unify(&c->solver, *type, own) != RL_UNIFY_OK) {
        if (*fine)
            rl_report(c->diags, RL_CODE_PATTERN_RANGE_TYPE_MISMATCH, span, "a range of %s cannot match %s",
                rl_show(c, own), rl_show(c, *type));
        *fine = false;
        return 0;
    }
    return value;
}

static bool inverted(rl_checker_t* c, rl_ir_t low, rl_ir_t high, bool inclusive) {
    const rl_ir_node_t a = *rl_program_node(c->program, low), b = *rl_program_node(c->program, high);
    uint64_t x = (uint64_t)a.b << 32 | a.a, y = (uint64_t)b.b << 32 | b.a;
    (void)inclusive;
    if (a.op == RL_IR_INT && b.op == RL_IR_INT)
        return rl_head(c, a.type) == RL_TYPE_U64 ? x > y : (int64_t)x > (int64_t)y;
    if (a.op == RL_IR_FLOAT && b.op == RL_IR_FLOAT) {
        double p, q;
        memcpy(&p, &x, sizeof p);
        memcpy(&q, &y, sizeof q);
        return p > q;
    }
    return false;
}

static rl_ir_t check_range(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    if (!data.a && !data.b) return wildcard(c, type, data.start);
    rl_type_t head = rl_head(c, type);
    bool fine = true;
    if (rl_type_kind(c->types, head) != RL_TYPE_VAR && !rl_type_is_numeric(head) && head != RL_TYPE_CHAR &&
        head != RL_TYPE_ERROR && head != RL_TYPE_NEVER && rl_type_kind(c->types, head) != RL_TYPE_PARAM) {
        rl_report(
            c->diags, RL_CODE_PATTERN_RANGE_TYPE_MISMATCH, span, "a range pattern cannot match %s", rl_show(c, head));
        return wildcard(c, RL_TYPE_ERROR, data.start);
    }
    rl_ir_t low = check_bound(c, data.a, &type, span, &fine), high = check_bound(c, data.b, &type, span, &fine);
    if (!fine) return wildcard(c, RL_TYPE_ERROR, data.start);
    bool inclusive = (data.flags & RL_INCLUSIVE) != 0;
    if (low && high && inverted(c, low, high, inclusive)) {
        rl_report(
            c->diags, RL_CODE_PATTERN_RANGE_BOUND_INVERTED, span, "the lower bound is greater than the upper one");
    }
    rl_ir_t ir = rl_ir_make(c, RL_PAT_RANGE, type, data.start, low, high, 0);
    rl_node_at(c, ir)->flags = inclusive;
    return ir;
}

/* The pattern is compiled here; what is wrong with it is reported at its place inside the literal. */
static rl_ir_t check_regex(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    rl_type_t head = rl_head(c, type);
    bool fine = true;
    if (rl_type_kind(c->types, head) == RL_TYPE_VAR && rl_unify(&c->solver, type, RL_TYPE_STR) == RL_UNIFY_OK)
        head = RL_TYPE_STR;
    if (head != RL_TYPE_STR && head != RL_TYPE_BYTES) {
        if (head != RL_TYPE_ERROR && head != RL_TYPE_NEVER) {
            rl_diag_t* diag = rl_report(
                c->diags, RL_CODE_PATTERN_REGEX_UNSUPPORTED_TARGET, span, "a regex pattern matches Str and Bytes only");
            rl_note_plain(c->diags, diag, "target type: %s", rl_show(c, head));
        }
        fine = false;
    }
    rl_str_t text = rl_tree_string(c->tree, data.a);
    rl_buf_t program;
    rl_buf_init(&program, c->allocator);
    rl_regex_error_t error;
    uint32_t id = 0;
    if (rl_regex_compile(c->allocator, text, &program, &error)) {
        id = rl_string_id(c, rl_buf_str(&program));
    } else if (error.message) {
        RL_VEC(uint32_t) map = {0};
        uint32_t end = error.offset + error.length < text.length ? error.offset + error.length : (uint32_t)text.length;
        if (rl_vec_reserve(c->allocator, &map, text.length + 1)) {
            rl_lex_literal_map(c->input->source, c->tree, data.a, map.data);
            span = (rl_span_t){map.data[error.offset], map.data[end]};
            if (span.end <= span.start) span.end = span.start + 1;
        }
        rl_vec_deinit(c->allocator, &map);
        rl_report(c->diags, RL_CODE_PATTERN_REGEX_INVALID_SYNTAX, span, "%s", error.message);
        fine = false;
    }
    rl_buf_deinit(&program);
    if (!fine) return wildcard(c, RL_TYPE_ERROR, data.start);
    return rl_ir_make(c, RL_PAT_REGEX, type, data.start, id, 0, 0);
}

static rl_ir_t check(rl_checker_t* c, rl_node_t node, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    if (rl_failed(c)) return rl_ir_error(c, 0);
    switch (data.kind) {
    case RL_NODE_PAT_WILD: return wildcard(c, type, data.start);
    case RL_NODE_PAT_NAME: {
        uint32_t local = bind_name(
            c, data.a, type, data.flags & RL_MUT ? RL_LOCAL_MUTABLE : 0, rl_tree_name_span(c->tree, c->symbols, node));
        return rl_ir_make(c, RL_PAT_BIND, type, data.start, local, 0, 0);
    }
    case RL_NODE_PAT_AS: {
        uint32_t local = bind_name(c, data.b, type, 0, rl_tree_name_span(c->tree, c->symbols, node));
        rl_ir_t inner = check(c, data.a, type);
        return rl_ir_make(c, RL_PAT_BIND, type, data.start, local, inner, 0);
    }
    case RL_NODE_PAT_LITERAL: return check_literal(c, node, type);
    case RL_NODE_PAT_TUPLE: {
        uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count;
        rl_type_t head = rl_head(c, type);
        if (count == 1) return check(c, rl_tree_list_at(c->tree, data.a, 0), type);
        if (rl_type_kind(c->types, head) != RL_TYPE_TUPLE || rl_type_node(c->types, head)->count != count) {
            for (uint32_t i = 0; i < count; i++)
                (void)rl_vec_push(c->allocator, &c->scratch, rl_fresh(c, rl_span_of(c, node)));
            rl_type_t made = rl_failed(c) ? RL_TYPE_ERROR : rl_type_tuple(c->types, c->scratch.data + mark, count);
            c->scratch.count = mark;
            bool fits = rl_unify_at(c, type, made, rl_span_of(c, node), RL_CODE_TYPE_MISMATCH);
            head = fits ? rl_head(c, type) : RL_TYPE_ERROR;
            if (rl_type_kind(c->types, head) != RL_TYPE_TUPLE) {
                for (uint32_t i = 0; i < count; i++) check(c, rl_tree_list_at(c->tree, data.a, i), RL_TYPE_ERROR);
                return wildcard(c, RL_TYPE_ERROR, data.start);
            }
        }
        for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
            rl_ir_t part = check(c, rl_tree_list_at(c->tree, data.a, i), rl_type_args(c->types, head)[i]);
            (void)rl_vec_push(c->allocator, &c->scratch, part);
        }
        rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, data.start)
                                  : rl_ir_make(c, RL_PAT_TUPLE, type, data.start,
                                        rl_extra_put(c, c->scratch.data + mark, count), count, 0);
        c->scratch.count = mark;
        return ir;
    }
    case RL_NODE_PAT_CTOR: return check_constructor(c, node, type);
    case RL_NODE_PAT_RECORD: return check_record(c, node, type);
    case RL_NODE_PAT_SLICE: return check_slice(c, node, type);
    case RL_NODE_PAT_RANGE: return check_range(c, node, type);
    case RL_NODE_PAT_OR: return check_or(c, node, type);
    case RL_NODE_PAT_REGEX: return check_regex(c, node, type);
    case RL_NODE_PAT_ACTIVE: return rl_check_active_pattern(c, node, type);
    default: break;
    }
    return wildcard(c, RL_TYPE_ERROR, data.start);
}

rl_ir_t rl_check_inner_pattern(rl_checker_t* c, rl_node_t node, rl_type_t type) { return check(c, node, type); }

typedef struct far_check {
    rl_checker_t* c;
    rl_node_t node;
    rl_type_t type;
    rl_ir_t ir;
} far_check_t;
static void check_far(void* user) {
    far_check_t* call = user;
    call->ir = check(call->c, call->node, call->type);
}

/* Patterns nest up to the parser's limit: a deep one is checked on the big stack as a whole. */
rl_ir_t rl_check_pattern(rl_checker_t* c, rl_node_t node, rl_type_t type, uint32_t flags) {
    uint32_t scope = c->pattern_scope;
    uint16_t outer_flags = c->pattern_flags;
    c->pattern_scope = c->bindings.count;
    c->pattern_flags = (uint16_t)flags;
    rl_node_kind_t kind = rl_tree_kind(c->tree, node);
    rl_ir_t ir;
    if (c->on_big_stack || kind == RL_NODE_PAT_NAME || kind == RL_NODE_PAT_WILD || kind == RL_NODE_PAT_LITERAL ||
        !rl_nests_deep(c, node)) {
        ir = check(c, node, type);
    } else {
        far_check_t call = {c, node, type, 0};
        c->on_big_stack = true;
        if (!rl_os_call_with_stack(RL_BIG_STACK_BYTES, check_far, &call)) {
            c->allocator->failed = true;
            call.ir = rl_ir_error(c, 0);
        }
        c->on_big_stack = false;
        ir = call.ir;
    }
    c->pattern_scope = scope;
    c->pattern_flags = outer_flags;
    return ir;
}

rl_ir_t rl_check_irrefutable(rl_checker_t* c, rl_node_t node, rl_type_t type, uint32_t flags) {
    uint32_t errors = c->diags->errors;
    rl_ir_t ir = rl_check_pattern(c, node, type, flags);
    rl_node_kind_t kind = rl_tree_kind(c->tree, node);
    if (kind != RL_NODE_PAT_NAME && kind != RL_NODE_PAT_WILD && c->diags->errors == errors) {
        rl_later_t later = {RL_LATER_LET, ir, node, rl_span_of(c, node), 0};
        (void)rl_vec_push(c->allocator, &c->later, later);
    }
    return ir;
}
