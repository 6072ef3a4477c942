/* Literals of lists, tuples, maps and records (LANGUAGE 4.3, 4.4). */
#include "types/infer.h"

/* --- lists, tuples, maps ------------------------------------------------------------------------------------------ */

rl_ir_t rl_infer_list(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_known_t* known = &c->program->known;
    rl_span_t span = rl_span_of(c, node);
    uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count;
    rl_type_t head = expected ? rl_head(c, expected) : 0, element = 0, type = 0;
    if (head && rl_is_json(c, head)) return rl_json_list(c, node);
    bool array = expected && rl_type_kind(c->types, head) == RL_TYPE_ARRAY;
    if (array) {
        element = rl_type_args(c->types, head)[0];
        uint32_t length = rl_type_node(c->types, head)->a;
        type = head;
        if (length != count) {
            rl_report(c->diags, RL_CODE_TYPE_ARRAY_LITERAL_LENGTH_MISMATCH, span, "%s needs %u elements, found %u",
                rl_show(c, head), length, count);
            type = RL_TYPE_ERROR;
        }
    } else if (expected) {
        (void)rl_is_named(c, head, known->list, &element, NULL);
    }
    if (element && rl_is_var(c, element) && count) { /* not known: the first element decides */
        rl_ir_t first = rl_infer_expr(c, rl_tree_list_at(c->tree, data.a, 0), 0);
        first = rl_convert(c, first, element, rl_span_of(c, rl_tree_list_at(c->tree, data.a, 0)),
            RL_CODE_TYPE_ARRAY_LITERAL_ELEMENT_MISMATCH);
        (void)rl_vec_push(c->allocator, &c->scratch, first);
    }
    for (uint32_t i = c->scratch.count - mark; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, data.a, i);
        rl_ir_t ir;
        if (element) {
            ir = rl_infer_expr(c, item, element);
            ir = rl_convert(c, ir, element, rl_span_of(c, item), RL_CODE_TYPE_ARRAY_LITERAL_ELEMENT_MISMATCH);
        } else {
            ir = rl_infer_expr(c, item, 0);
            rl_type_t own = rl_head(c, rl_type_at(c, ir));
            if (own != RL_TYPE_NEVER && own != RL_TYPE_ERROR) element = rl_type_at(c, ir);
        }
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
    }
    if (!element) element = rl_solver_fresh(&c->solver, RL_VAR_FREE, count ? RL_FROM_OTHER : RL_FROM_EMPTY_LIST, span);
    if (!array) type = known->list ? rl_named1(c, known->list, element) : RL_TYPE_ERROR;
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, data.start)
                              : rl_ir_make(c, RL_IR_LIST, type, data.start,
                                    rl_extra_put(c, c->scratch.data + mark, count), count, 0);
    c->scratch.count = mark;
    return ir;
}

rl_ir_t rl_infer_tuple(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t count = rl_tree_list_count(c->tree, data.a), mark = c->scratch.count;
    rl_type_t head = expected ? rl_head(c, expected) : 0;
    if (count < 2) {
        rl_unsupported(c, rl_span_of(c, node), "tuples of one element are");
        return rl_ir_error(c, data.start);
    }
    bool fits = head && rl_type_kind(c->types, head) == RL_TYPE_TUPLE && rl_type_node(c->types, head)->count == count;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, data.a, i);
        rl_type_t wanted = fits ? rl_type_args(c->types, head)[i] : 0;
        rl_ir_t ir = fits && !rl_is_var(c, wanted) ? rl_check_expr(c, item, wanted, RL_CODE_TYPE_MISMATCH)
                                                   : rl_infer_expr(c, item, 0);
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
    }
    if (rl_failed(c)) {
        c->scratch.count = mark;
        return rl_ir_error(c, data.start);
    }
    uint32_t types = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) {
        rl_type_t own = rl_type_at(c, c->scratch.data[mark + i]);
        if (fits && rl_head(c, own) == RL_TYPE_NEVER) own = rl_type_args(c->types, head)[i];
        (void)rl_vec_push(c->allocator, &c->scratch, own);
    }
    rl_ir_t ir = 0;
    if (!rl_failed(c)) {
        rl_type_t type = rl_type_tuple(c->types, c->scratch.data + types, count);
        ir = rl_ir_make(c, RL_IR_TUPLE, type, data.start, rl_extra_put(c, c->scratch.data + mark, count), count, 0);
    }
    c->scratch.count = mark;
    return ir ? ir : rl_ir_error(c, data.start);
}

rl_ir_t rl_infer_map(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    const rl_known_t* known = &c->program->known;
    uint32_t count = rl_tree_list_count(c->tree, data.a) / 2, mark = c->scratch.count;
    rl_type_t key = 0, value = 0;
    bool fits = expected && rl_is_named(c, expected, known->map, &key, &value);
    bool json = expected && rl_is_json(c, expected), any = expected && rl_head(c, expected) == RL_TYPE_ANY;
    if (any) value = RL_TYPE_ANY;
    if (json) value = rl_head(c, expected);
    if (fits && !rl_unify_at(c, key, RL_TYPE_STR, rl_span_of(c, node), RL_CODE_TYPE_MISMATCH)) value = RL_TYPE_ERROR;
    if (fits && rl_is_var(c, value)) fits = false;
    rl_map_t seen = {0};
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t key_node = rl_tree_list_at(c->tree, data.a, 2 * i),
                  value_node = rl_tree_list_at(c->tree, data.a, 2 * i + 1);
        rl_str_t text = rl_tree_string(c->tree, key_node);
        rl_sym_t symbol = rl_sym_intern(c->symbols, text);
        uint32_t before;
        if (rl_map_get(&seen, symbol, &before)) {
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_MAP_LITERAL_DUPLICATE_KEY, rl_span_of(c, key_node),
                "key \"%.*s\" is written twice", RL_STR_ARG(text));
            rl_note(c->diags, diag, rl_span_of(c, before), "first written here");
        } else {
            (void)rl_map_put(c->allocator, &seen, symbol, key_node);
        }
        (void)rl_vec_push(c->allocator, &c->scratch, rl_ir_string(c, rl_tree_node(c->tree, key_node)->start, text));
        rl_ir_t ir = json                     ? rl_check_json(c, value_node)
                     : value && (fits || any) ? rl_check_expr(c, value_node, value, RL_CODE_TYPE_MISMATCH)
                                              : rl_infer_expr(c, value_node, 0);
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
    }
    rl_map_deinit(c->allocator, &seen);
    if (rl_failed(c)) {
        c->scratch.count = mark;
        return rl_ir_error(c, data.start);
    }
    if (!fits && !any && !json) { /* one type for all values, else Any (D33) */
        rl_type_t common = value && !expected ? 0 : value;
        uint32_t undo = rl_solver_mark(&c->solver);
        bool same = true;
        for (uint32_t i = 0; i < count && same; i++) {
            rl_type_t own = rl_type_at(c, c->scratch.data[mark + 2 * i + 1]);
            if (rl_head(c, own) == RL_TYPE_NEVER) continue;
            if (!common) common = own;
            else same = rl_unify(&c->solver, common, own) == RL_UNIFY_OK;
        }
        if (same) {
            rl_solver_commit(&c->solver, undo);
            value = common ? common : rl_fresh(c, rl_span_of(c, node));
        } else {
            rl_solver_rollback(&c->solver, undo);
            value = RL_TYPE_ANY;
        }
        for (uint32_t i = 0; i < count; i++) {
            rl_node_t value_node = rl_tree_list_at(c->tree, data.a, 2 * i + 1);
            c->scratch.data[mark + 2 * i + 1] = rl_convert(
                c, c->scratch.data[mark + 2 * i + 1], value, rl_span_of(c, value_node), RL_CODE_TYPE_MISMATCH);
        }
    }
    rl_type_t type = known->map ? rl_named2(c, known->map, RL_TYPE_STR, value) : RL_TYPE_ERROR;
    rl_ir_t ir =
        rl_ir_make(c, RL_IR_MAP, type, data.start, rl_extra_put(c, c->scratch.data + mark, 2 * count), count, 0);
    c->scratch.count = mark;
    return json ? rl_json_object(c, ir, data.start) : ir;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

/* A field of the record that is made, in stored order. */
typedef struct slot {
    rl_sym_t name;
    rl_type_t type;
    rl_fn_id_t default_fn;
    uint32_t declared;
    rl_ir_t value;
} slot_t;

typedef struct record_plan {
    RL_VEC(slot_t) slots;
    rl_type_t type;  /* of the result; its NAMED arguments are those of the default functions */
    rl_type_t owner; /* NAMED type whose arguments the defaults take; 0: none */
    bool identity;   /* struct: always a new object */
    rl_str_t name;   /* for reports */
} record_plan_t;

static void plan_record_type(rl_checker_t* c, rl_type_t type, record_plan_t* plan) {
    plan->type = type;
    const rl_type_node_t node = *rl_type_node(c->types, type);
    for (uint32_t i = 0; i < node.count; i++) {
        slot_t slot = {.name = rl_type_args(c->types, type)[2 * i],
            .type = rl_type_args(c->types, type)[2 * i + 1],
            .declared = i};
        (void)rl_vec_push(c->allocator, &plan->slots, slot);
    }
}

static void plan_named(rl_checker_t* c, rl_type_t type, record_plan_t* plan) {
    const rl_typedef_t def = *rl_program_typedef(c->program, rl_named_id(c, type));
    const rl_variant_t variant = *rl_program_variant(c->program, def.variant_first);
    plan->type = plan->owner = type;
    plan->identity = def.kind == RL_DEF_STRUCT;
    plan->name = rl_text(c, def.name);
    for (uint32_t i = 0; i < variant.field_count; i++) {
        rl_field_t field = *rl_program_field(c->program, variant.field_first + i);
        slot_t slot = {.name = field.name,
            .type = rl_type_payload(c->program, type, 0, i),
            .default_fn = field.default_fn,
            .declared = field.declared};
        (void)rl_vec_push(c->allocator, &plan->slots, slot);
    }
}

static slot_t* find_slot(record_plan_t* plan, rl_sym_t name) {
    for (uint32_t i = 0; i < plan->slots.count; i++) {
        if (plan->slots.data[i].name == name) return &plan->slots.data[i];
    }
    return NULL;
}

static void report_unknown_field(rl_checker_t* c, const record_plan_t* plan, rl_sym_t name, rl_span_t span) {
    rl_str_t text = rl_text(c, name);
    rl_code_t code = rl_cfg_code(c, name, true, RL_CODE_TYPE_RECORD_LITERAL_UNKNOWN_FIELD);
    rl_diag_t* diag = rl_report(c->diags, code, span, "%s has no field %.*s", rl_show(c, plan->type), RL_STR_ARG(text));
    rl_nearest_t nearest = {text, 0, 3};
    for (uint32_t i = 0; i < plan->slots.count; i++) rl_nearest_offer(c, &nearest, plan->slots.data[i].name);
    rl_fix_nearest(c, diag, &nearest, span);
}

static rl_ir_t call_field_default(rl_checker_t* c, const record_plan_t* plan, const slot_t* slot, uint32_t start) {
    rl_type_t head = rl_head(c, plan->owner);
    uint32_t count = rl_type_node(c->types, head)->count, mark = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, rl_type_args(c->types, head)[i]);
    uint32_t args = rl_failed(c) ? 0 : rl_extra_put(c, c->scratch.data + mark, count);
    c->scratch.count = mark;
    return rl_ir_call(c, slot->type, start, slot->default_fn, args, NULL, 0);
}

/* `..default` without a value of that name: T.default(), else the field defaults of T. */
static bool is_default_spread(rl_checker_t* c, rl_node_t value) {
    return rl_tree_kind(c->tree, value) == RL_NODE_NAME && rl_tree_name(c->tree, value) == c->sym_default &&
           !rl_find_binding(c, c->sym_default) && !rl_find_item(c, 1, c->sym_default);
}

static bool check_duplicates(rl_checker_t* c, rl_list_t items) {
    uint32_t count = rl_tree_list_count(c->tree, items);
    rl_map_t seen = {0};
    bool fine = true, spread = false;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t item = rl_tree_list_at(c->tree, items, i);
        uint32_t before;
        if (rl_tree_kind(c->tree, item) == RL_NODE_SPREAD) {
            if (spread) {
                rl_report(c->diags, RL_CODE_TYPE_RECORD_LITERAL_DUPLICATE_FIELD, rl_span_of(c, item),
                    "only one `..` may stand in a record");
                fine = false;
            }
            spread = true;
            continue;
        }
        rl_sym_t name = rl_tree_node(c->tree, item)->a;
        if (rl_map_get(&seen, name, &before)) {
            rl_str_t text = rl_text(c, name);
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_RECORD_LITERAL_DUPLICATE_FIELD,
                rl_tree_name_span(c->tree, c->symbols, item), "field %.*s is written twice", RL_STR_ARG(text));
            rl_note(c->diags, diag, rl_tree_name_span(c->tree, c->symbols, before), "first written here");
            fine = false;
        } else {
            (void)rl_map_put(c->allocator, &seen, name, item);
        }
    }
    rl_map_deinit(c->allocator, &seen);
    return fine;
}

/* The record of a plan from the written items: evaluated as written, then the defaults in order of declaration. */
static rl_ir_t build_record(rl_checker_t* c, record_plan_t* plan, rl_list_t items, rl_span_t span) {
    uint32_t count = rl_tree_list_count(c->tree, items), mark = c->scratch.count, start = span.start;
    bool fine = check_duplicates(c, items), use_defaults = true, ordered = true;
    rl_ir_t base = 0;
    uint32_t last = 0, missing = plan->slots.count;
    for (uint32_t i = 0; i < count; i++) { /* in stored order, nothing else evaluated: no hidden locals needed */
        rl_node_t item = rl_tree_list_at(c->tree, items, i);
        slot_t* slot = rl_tree_kind(c->tree, item) == RL_NODE_RECORD_FIELD
                           ? find_slot(plan, rl_tree_node(c->tree, item)->a)
                           : NULL;
        if (!slot) {
            ordered = false;
            continue;
        }
        uint32_t at = (uint32_t)(slot - plan->slots.data);
        if (at < last) ordered = false;
        last = at;
        missing--;
    }
    if (missing) ordered = false;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, items, i);
        const rl_node_data_t data = *rl_tree_node(c->tree, item);
        if (data.kind == RL_NODE_SPREAD) {
            if (is_default_spread(c, data.a)) {
                rl_fn_id_t maker =
                    plan->owner ? rl_program_find_method(c->program, rl_named_id(c, plan->owner), c->sym_default) : 0;
                if (maker)
                    base =
                        rl_hold(c, rl_call_function(c, maker, NULL, 0, item, rl_span_of(c, item), plan->type), start);
                continue;
            }
            use_defaults = false;
            base = rl_check_expr(c, data.a, plan->type, RL_CODE_TYPE_MISMATCH);
            if (rl_type_at(c, base) == RL_TYPE_ERROR) fine = false;
            base = rl_hold(c, base, start);
            continue;
        }
        slot_t* slot = find_slot(plan, data.a);
        if (!slot) {
            report_unknown_field(c, plan, data.a, rl_tree_name_span(c->tree, c->symbols, item));
            rl_infer_expr(c, data.b, 0);
            fine = false;
            continue;
        }
        rl_ir_t value = rl_check_expr(c, data.b, slot->type, RL_CODE_TYPE_MISMATCH);
        slot->value = ordered ? value : rl_hold(c, value, start);
    }
    if (!fine || rl_failed(c)) {
        c->scratch.count = mark;
        rl_ir_t error = rl_ir_error(c, start);
        if (!rl_failed(c)) rl_node_at(c, error)->type = plan->type;
        return error;
    }
    if (base && !plan->identity) { /* the same with some fields replaced */
        uint32_t pairs = c->scratch.count, changed = 0;
        for (uint32_t i = 0; i < plan->slots.count; i++) {
            if (!plan->slots.data[i].value) continue;
            (void)rl_vec_push(c->allocator, &c->scratch, plan->slots.data[i].name);
            (void)rl_vec_push(c->allocator, &c->scratch, plan->slots.data[i].value);
            changed++;
        }
        rl_ir_t update = base;
        if (changed && !rl_failed(c))
            update = rl_ir_make(c, RL_IR_UPDATE, plan->type, start, base,
                rl_extra_put(c, c->scratch.data + pairs, 2 * changed), changed);
        c->scratch.count = pairs;
        return rl_wrap_binds(c, mark, update, start);
    }
    uint32_t reported = 0;
    for (uint32_t declared = 0; declared < plan->slots.count && !rl_failed(c); declared++) {
        for (uint32_t i = 0; i < plan->slots.count; i++) {
            slot_t* slot = &plan->slots.data[i];
            if (slot->declared != declared || slot->value) continue;
            if (base) {
                slot->value = rl_ir_make(c, RL_IR_FIELD, slot->type, start, base, slot->name, 0);
            } else if (use_defaults && slot->default_fn) {
                slot->value = rl_hold(c, call_field_default(c, plan, slot, start), start);
            } else if (reported++ == 0) {
                rl_str_t text = rl_text(c, slot->name);
                rl_report(c->diags, RL_CODE_TYPE_RECORD_LITERAL_MISSING_FIELD, span, "field %.*s of %s is missing",
                    RL_STR_ARG(text), rl_show(c, plan->type));
            } else {
                rl_str_t text = rl_text(c, slot->name);
                if (c->diags->items.count)
                    rl_note_plain(
                        c->diags, &rl_vec_last(&c->diags->items), "field %.*s is missing too", RL_STR_ARG(text));
            }
        }
    }
    rl_ir_t ir;
    if (reported || rl_failed(c)) {
        ir = rl_ir_error(c, start);
        if (!rl_failed(c)) rl_node_at(c, ir)->type = plan->type;
        c->scratch.count = mark;
        return ir;
    }
    uint32_t values = c->scratch.count;
    for (uint32_t i = 0; i < plan->slots.count; i++)
        (void)rl_vec_push(c->allocator, &c->scratch, plan->slots.data[i].value);
    ir = rl_failed(c) ? rl_ir_error(c, start)
                      : rl_ir_make(c, RL_IR_RECORD, plan->type, start,
                            rl_extra_put(c, c->scratch.data + values, plan->slots.count), plan->slots.count, 0);
    c->scratch.count = values;
    return rl_wrap_binds(c, mark, ir, start);
}

rl_ir_t rl_payload_record(rl_checker_t* c, rl_type_t type, uint32_t variant_id, rl_node_t literal, rl_span_t span) {
    const rl_variant_t variant = *rl_program_variant(c->program, variant_id);
    const rl_typedef_t def = *rl_program_typedef(c->program, rl_named_id(c, type));
    record_plan_t plan = {.owner = type, .name = rl_text(c, variant.name)};
    plan.type = rl_type_payload(c->program, rl_head(c, type), variant_id - def.variant_first, 0);
    rl_type_t head = rl_head(c, type);
    for (uint32_t i = 0; i < variant.default_count; i++) {
        rl_field_t field = *rl_program_field(c->program, variant.default_first + i);
        uint32_t count = rl_type_node(c->types, head)->count;
        slot_t slot = {.name = field.name,
            .type = rl_type_substitute(c->types, field.type, rl_type_args(c->types, head), count),
            .default_fn = field.default_fn,
            .declared = field.declared};
        (void)rl_vec_push(c->allocator, &plan.slots, slot);
    }
    rl_list_t items =
        literal && rl_tree_kind(c->tree, literal) == RL_NODE_RECORD ? rl_tree_node(c->tree, literal)->b : 0;
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, span.start) : build_record(c, &plan, items, span);
    rl_vec_deinit(c->allocator, &plan.slots);
    return ir;
}

/* An anonymous record of the written fields, nothing expected of it. */
/* `open`: an open record type that knows of some fields what is wanted of them; or 0. */
static rl_ir_t infer_anonymous(rl_checker_t* c, rl_list_t items, rl_span_t span, rl_type_t open) {
    uint32_t count = rl_tree_list_count(c->tree, items), mark = c->scratch.count, start = span.start;
    if (!check_duplicates(c, items)) {
        for (uint32_t i = 0; i < count; i++) {
            const rl_node_data_t item = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, items, i));
            rl_infer_expr(c, item.kind == RL_NODE_SPREAD ? item.a : item.b, 0);
        }
        return rl_ir_error(c, start);
    }
    RL_VEC(rl_ir_t) values = {0};
    RL_VEC(uint32_t) pairs = {0};
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        const rl_node_data_t item = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, items, i));
        rl_type_t wanted = 0;
        if (open) (void)rl_type_find_field(c->program, open, item.a, &wanted);
        rl_ir_t value = wanted ? rl_check_expr(c, item.b, wanted, RL_CODE_TYPE_MISMATCH) : rl_infer_expr(c, item.b, 0);
        (void)rl_vec_push(c->allocator, &values, value);
        (void)rl_vec_push(c->allocator, &pairs, item.a);
        (void)rl_vec_push(c->allocator, &pairs, rl_type_at(c, value));
    }
    rl_ir_t ir = 0;
    if (!rl_failed(c)) {
        rl_type_t type = rl_type_record(c->types, c->symbols, pairs.data, count); /* sorts the pairs */
        bool ordered = true;
        uint32_t last = 0;
        for (uint32_t i = 0; i < count; i++) {
            rl_sym_t name = rl_tree_node(c->tree, rl_tree_list_at(c->tree, items, i))->a;
            uint32_t at = 0;
            while (at < count && rl_type_args(c->types, type)[2 * at] != name) at++;
            if (at < last) ordered = false;
            last = at;
        }
        uint32_t first = c->scratch.count;
        for (uint32_t i = 0; i < count && !ordered; i++) values.data[i] = rl_hold(c, values.data[i], start);
        (void)first;
        uint32_t at_values = c->scratch.count;
        for (uint32_t at = 0; at < count; at++) {
            rl_sym_t name = rl_type_args(c->types, type)[2 * at];
            for (uint32_t i = 0; i < count; i++) {
                if (rl_tree_node(c->tree, rl_tree_list_at(c->tree, items, i))->a == name)
                    (void)rl_vec_push(c->allocator, &c->scratch, values.data[i]);
            }
        }
        if (!rl_failed(c)) {
            ir =
                rl_ir_make(c, RL_IR_RECORD, type, start, rl_extra_put(c, c->scratch.data + at_values, count), count, 0);
            c->scratch.count = at_values;
            ir = rl_wrap_binds(c, mark, ir, start);
        }
    }
    c->scratch.count = mark;
    rl_vec_deinit(c->allocator, &values);
    rl_vec_deinit(c->allocator, &pairs);
    return ir ? ir : rl_ir_error(c, start);
}

/* { ..e, f: v }: the type of e */
static rl_ir_t infer_update(rl_checker_t* c, rl_list_t items, rl_span_t span, rl_type_t expected) {
    uint32_t count = rl_tree_list_count(c->tree, items), mark = c->scratch.count, start = span.start, spread_at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (rl_tree_kind(c->tree, rl_tree_list_at(c->tree, items, i)) == RL_NODE_SPREAD) spread_at = i;
    }
    if (!check_duplicates(c, items)) return rl_ir_error(c, start);
    rl_ir_t base = 0;
    RL_VEC(uint32_t) pairs = {0}, nodes = {0};
    bool fine = true;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = rl_tree_list_at(c->tree, items, i);
        const rl_node_data_t data = *rl_tree_node(c->tree, item);
        if (i == spread_at) {
            base = rl_infer_expr(c, data.a, expected);
            if (spread_at != 0) base = rl_hold(c, base, start);
            continue;
        }
        /* Fields behind `..e` know what is wanted of them. */
        rl_type_t wanted = 0;
        rl_type_t head = base ? rl_settled_type(c, base) : 0;
        rl_type_kind_t kind = rl_type_kind(c->types, head);
        if (base && (kind == RL_TYPE_RECORD || kind == RL_TYPE_OPEN || kind == RL_TYPE_NAMED) &&
            !rl_type_find_field(c->program, rl_solver_zonk(&c->solver, head), data.a, &wanted)) {
            rl_str_t text = rl_text(c, data.a);
            rl_report(c->diags, rl_cfg_code(c, data.a, true, RL_CODE_TYPE_RECORD_LITERAL_UNKNOWN_FIELD),
                rl_tree_name_span(c->tree, c->symbols, item), "%s has no field %.*s", rl_show(c, head),
                RL_STR_ARG(text));
            rl_infer_expr(c, data.b, 0);
            fine = false;
            continue;
        }
        rl_ir_t value = wanted ? rl_check_expr(c, data.b, wanted, RL_CODE_TYPE_MISMATCH) : rl_infer_expr(c, data.b, 0);
        if (i < spread_at) value = rl_hold(c, value, start);
        (void)rl_vec_push(c->allocator, &pairs, data.a);
        (void)rl_vec_push(c->allocator, &pairs, value);
        (void)rl_vec_push(c->allocator, &nodes, item);
    }
    rl_ir_t ir = 0;
    if (fine && base && !rl_failed(c)) {
        rl_type_t type = rl_settled_type(c, base);
        rl_type_kind_t kind = rl_type_kind(c->types, type);
        if (type == RL_TYPE_ERROR) fine = false;
        else if (kind != RL_TYPE_RECORD && kind != RL_TYPE_OPEN && kind != RL_TYPE_NAMED && kind != RL_TYPE_VAR &&
                 kind != RL_TYPE_PARAM) {
            rl_report_mismatch(c, RL_CODE_TYPE_MISMATCH, span, rl_type_record(c->types, c->symbols, NULL, 0), type);
            fine = false;
        }
        rl_type_t exact = rl_solver_zonk(&c->solver, type);
        for (uint32_t i = 0; i < nodes.count && fine; i++) {
            rl_type_t wanted = 0;
            rl_span_t at = rl_tree_name_span(c->tree, c->symbols, nodes.data[i]);
            rl_node_t value_node = rl_tree_node(c->tree, nodes.data[i])->b;
            if (kind == RL_TYPE_VAR || kind == RL_TYPE_PARAM) {
                rl_unify_result_t result = rl_solver_require_field(
                    &c->solver, type, pairs.data[2 * i], rl_type_at(c, pairs.data[2 * i + 1]), at);
                if (result != RL_UNIFY_OK) rl_report_unify(c, result, type, type, at, RL_CODE_TYPE_MISMATCH);
            } else if (!rl_type_find_field(c->program, exact, pairs.data[2 * i], &wanted)) {
                rl_str_t text = rl_text(c, pairs.data[2 * i]);
                rl_report(c->diags, rl_cfg_code(c, pairs.data[2 * i], true, RL_CODE_TYPE_RECORD_LITERAL_UNKNOWN_FIELD),
                    at, "%s has no field %.*s", rl_show(c, type), RL_STR_ARG(text));
                fine = false;
            } else {
                pairs.data[2 * i + 1] =
                    rl_convert(c, pairs.data[2 * i + 1], wanted, rl_span_of(c, value_node), RL_CODE_TYPE_MISMATCH);
            }
        }
        bool identity =
            kind == RL_TYPE_NAMED && rl_program_typedef(c->program, rl_named_id(c, type))->kind == RL_DEF_STRUCT;
        if (fine && identity) { /* a new object: read what was not written */
            base = rl_hold(c, base, start);
            uint32_t values = c->scratch.count;
            const rl_variant_t variant =
                *rl_program_variant(c->program, rl_program_typedef(c->program, rl_named_id(c, type))->variant_first);
            RL_VEC(rl_ir_t) fields = {0};
            for (uint32_t k = 0; k < variant.field_count; k++) {
                rl_sym_t name = rl_program_field(c->program, variant.field_first + k)->name;
                rl_ir_t value = 0;
                for (uint32_t i = 0; i < nodes.count; i++) {
                    if (pairs.data[2 * i] == name)
                        value = pairs.data[2 * i + 1] = rl_hold(c, pairs.data[2 * i + 1], start);
                }
                if (!value)
                    value = rl_ir_make(
                        c, RL_IR_FIELD, rl_type_payload(c->program, rl_head(c, type), 0, k), start, base, name, 0);
                (void)rl_vec_push(c->allocator, &fields, value);
            }
            (void)values;
            ir = rl_ir_make(c, RL_IR_RECORD, type, start, rl_extra_put(c, fields.data, fields.count), fields.count, 0);
            rl_vec_deinit(c->allocator, &fields);
        } else if (fine) {
            ir = pairs.count ? rl_ir_make(c, RL_IR_UPDATE, type, start, base, rl_extra_put(c, pairs.data, pairs.count),
                                   nodes.count)
                             : base;
        }
        if (ir) ir = rl_wrap_binds(c, mark, ir, start);
    }
    c->scratch.count = mark;
    rl_vec_deinit(c->allocator, &pairs);
    rl_vec_deinit(c->allocator, &nodes);
    return ir ? ir : rl_ir_error(c, start);
}

static rl_ir_t build_named(rl_checker_t* c, rl_type_t type, rl_list_t items, rl_span_t span) {
    record_plan_t plan = {0};
    plan_named(c, type, &plan);
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, span.start) : build_record(c, &plan, items, span);
    rl_vec_deinit(c->allocator, &plan.slots);
    return ir;
}

static rl_ir_t build_anonymous(rl_checker_t* c, rl_type_t type, rl_list_t items, rl_span_t span) {
    record_plan_t plan = {0};
    plan_record_type(c, type, &plan);
    rl_ir_t ir = rl_failed(c) ? rl_ir_error(c, span.start) : build_record(c, &plan, items, span);
    rl_vec_deinit(c->allocator, &plan.slots);
    return ir;
}

static bool has_spread(rl_checker_t* c, rl_list_t items) {
    uint32_t count = rl_tree_list_count(c->tree, items);
    for (uint32_t i = 0; i < count; i++) {
        if (rl_tree_kind(c->tree, rl_tree_list_at(c->tree, items, i)) == RL_NODE_SPREAD) return true;
    }
    return false;
}

rl_ir_t rl_infer_empty(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool dropped) {
    rl_span_t span = rl_span_of(c, node);
    (void)dropped;
    rl_type_t head = expected ? rl_head(c, expected) : 0;
    rl_type_kind_t kind = rl_type_kind(c->types, head);
    rl_typedef_id_t id = rl_named_id(c, head);
    if (expected && kind == RL_TYPE_RECORD) return build_anonymous(c, head, 0, span);
    if (expected && kind == RL_TYPE_OPEN) return infer_anonymous(c, 0, span, 0);
    if (expected && id && id == c->program->known.map) return rl_ir_make(c, RL_IR_MAP, head, span.start, 0, 0, 0);
    if (expected && id && rl_program_typedef(c->program, id)->kind == RL_DEF_RECORD)
        return build_named(c, head, 0, span);
    return rl_ir_unit(c, span.start);
}

/* The path before `{`: as a list of names on scratch; false when it is no plain path. */
static bool path_names(rl_checker_t* c, rl_node_t node, uint32_t mark) {
    uint32_t at = node;
    while (rl_tree_kind(c->tree, at) == RL_NODE_FIELD) {
        (void)rl_vec_push(c->allocator, &c->scratch, rl_tree_node(c->tree, at)->b);
        at = rl_tree_node(c->tree, at)->a;
    }
    if (rl_tree_kind(c->tree, at) != RL_NODE_NAME) return false;
    (void)rl_vec_push(c->allocator, &c->scratch, rl_tree_name(c->tree, at));
    if (rl_failed(c)) return false;
    for (uint32_t i = mark, k = c->scratch.count - 1; i < k; i++, k--) {
        uint32_t swap = c->scratch.data[i];
        c->scratch.data[i] = c->scratch.data[k];
        c->scratch.data[k] = swap;
    }
    return true;
}

/* Type item or constructor item that a path before a record body means. */
static bool find_record_head(
    rl_checker_t* c, const rl_sym_t* names, uint32_t count, uint32_t* out_type, uint32_t* out_variant) {
    rl_sym_t last = names[count - 1];
    *out_type = *out_variant = 0;
    if (count == 1) {
        *out_type = rl_find_type_item(c, last);
        uint32_t item = rl_find_item(c, 1, last);
        if (item && rl_program_item(c->program, item)->kind == RL_ITEM_VARIANT) *out_variant = item;
        return *out_type || *out_variant;
    }
    uint32_t first = rl_find_item(c, 2, names[0]);
    rl_module_id_t module = first ? rl_program_item(c->program, first)->id : 0;
    uint32_t type = rl_find_type_item(c, names[0]);
    rl_sym_t prefix = names[0];
    for (uint32_t i = 1; i < count; i++) {
        bool is_last = i + 1 == count;
        if (type) { /* T.C */
            const rl_typedef_t def = *rl_program_typedef(c->program, rl_program_item(c->program, type)->id);
            for (uint32_t tag = 0; tag < def.variant_count && is_last; tag++) {
                if (rl_program_variant(c->program, def.variant_first + tag)->name != last || def.kind != RL_DEF_SUM)
                    continue;
                for (uint32_t at = rl_program_find(c->program, def.module, 1, last); at;
                    at = rl_program_item(c->program, at)->next) {
                    const rl_item_t* item = rl_program_item(c->program, at);
                    if (item->kind == RL_ITEM_VARIANT && item->id == rl_program_item(c->program, type)->id)
                        *out_variant = at;
                }
                return *out_variant != 0;
            }
        }
        uint32_t next_type = 0;
        if (module) {
            next_type = rl_find_type_in(c, module, names[i]);
            if (is_last) {
                *out_type = next_type;
                uint32_t item = rl_find_in_module(c, module, 1, names[i]);
                if (item && rl_program_item(c->program, item)->kind == RL_ITEM_VARIANT) *out_variant = item;
                if (*out_type || *out_variant) return true;
            }
        }
        uint32_t inner = module ? rl_find_in_module(c, module, 2, names[i]) : 0;
        prefix = rl_join_names(c, prefix, names[i], true);
        module = inner ? rl_program_item(c->program, inner)->id : rl_find_module_path(c, prefix);
        type = next_type;
    }
    return false;
}

static rl_type_t instance_of(rl_checker_t* c, rl_typedef_id_t id, rl_type_t expected, rl_span_t span) {
    uint32_t count = rl_program_typedef(c->program, id)->type_params, mark = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) (void)rl_vec_push(c->allocator, &c->scratch, rl_fresh(c, span));
    rl_type_t type = RL_TYPE_ERROR;
    if (!rl_failed(c)) {
        if (rl_program_typedef(c->program, id)->kind == RL_DEF_ALIAS) {
            rl_resolve_typedef(c, id);
            type =
                rl_type_substitute(c->types, rl_program_typedef(c->program, id)->target, c->scratch.data + mark, count);
        } else {
            type = rl_type_named(c->types, id, c->scratch.data + mark, count);
        }
    }
    c->scratch.count = mark;
    if (expected && rl_named_id(c, expected) && rl_named_id(c, expected) == rl_named_id(c, type))
        (void)rl_unify(&c->solver, type, expected);
    return rl_solver_zonk(&c->solver, type);
}

static rl_ir_t construct_with_record(
    rl_checker_t* c, uint32_t item, rl_node_t node, rl_span_t span, rl_type_t expected) {
    rl_list_t items = rl_tree_node(c->tree, node)->b;
    uint32_t count = rl_tree_list_count(c->tree, items), mark = c->scratch.count;
    for (uint32_t i = 0; i < count; i++) {
        rl_node_t field = rl_tree_list_at(c->tree, items, i);
        if (rl_tree_kind(c->tree, field) == RL_NODE_RECORD_FIELD)
            (void)rl_vec_push(c->allocator, &c->scratch, rl_tree_node(c->tree, field)->a);
    }
    item = rl_failed(c)
               ? 0
               : rl_choose_variant(c, item, expected, 1, c->scratch.data + mark, c->scratch.count - mark, span);
    c->scratch.count = mark;
    if (!item || !rl_check_visible(c, item, span)) return rl_ir_error(c, span.start);
    const rl_item_t entry = *rl_program_item(c->program, item);
    const rl_typedef_t def = *rl_program_typedef(c->program, entry.id);
    const rl_variant_t variant = *rl_program_variant(c->program, def.variant_first + entry.variant);
    rl_type_t type = instance_of(c, entry.id, expected, span);
    if (variant.field_count != 1) {
        rl_str_t name = rl_text(c, variant.name);
        rl_report(c->diags, RL_CODE_TYPE_SUM_CONSTRUCTOR_ARITY_MISMATCH, span,
            "constructor %.*s takes %u value%s, found a record", RL_STR_ARG(name), variant.field_count,
            variant.field_count == 1 ? "" : "s");
        return rl_ir_error(c, span.start);
    }
    rl_ir_t payload;
    if (variant.flags & RL_VARIANT_RECORD_PAYLOAD) {
        payload = rl_payload_record(c, type, def.variant_first + entry.variant, node, span);
    } else {
        rl_type_t wanted = rl_head(c, rl_type_payload(c->program, type, entry.variant, 0));
        rl_typedef_id_t id = rl_named_id(c, wanted);
        if (rl_type_kind(c->types, wanted) == RL_TYPE_RECORD) payload = build_anonymous(c, wanted, items, span);
        else if (id && (rl_program_typedef(c->program, id)->kind == RL_DEF_RECORD))
            payload = build_named(c, wanted, items, span);
        else payload = rl_convert(c, infer_anonymous(c, items, span, 0), wanted, span, RL_CODE_TYPE_MISMATCH);
    }
    return rl_make_variant(c, type, entry.variant, &payload, 1, span.start);
}

rl_ir_t rl_infer_record(rl_checker_t* c, rl_node_t node, rl_type_t expected) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_span_t span = rl_span_of(c, node);
    if (data.a) {
        uint32_t mark = c->scratch.count, type_item, variant_item;
        bool found = path_names(c, data.a, mark) &&
                     find_record_head(c, c->scratch.data + mark, c->scratch.count - mark, &type_item, &variant_item);
        rl_sym_t name = c->scratch.count > mark ? c->scratch.data[c->scratch.count - 1] : 0;
        c->scratch.count = mark;
        if (name == c->sym_Self && c->self_type && !found) {
            rl_typedef_id_t id = rl_named_id(c, c->self_type);
            if (id && (rl_program_typedef(c->program, id)->kind == RL_DEF_RECORD ||
                          rl_program_typedef(c->program, id)->kind == RL_DEF_STRUCT)) {
                return build_named(c, c->self_type, data.b, span);
            }
        }
        if (!found) {
            rl_report_unresolved(c, name, rl_span_of(c, data.a), 0);
            uint32_t count = rl_tree_list_count(c->tree, data.b);
            for (uint32_t i = 0; i < count; i++) {
                const rl_node_data_t item = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.b, i));
                rl_infer_expr(c, item.kind == RL_NODE_SPREAD ? item.a : item.b, 0);
            }
            return rl_ir_error(c, span.start);
        }
        if (type_item) {
            rl_typedef_id_t id = rl_program_item(c->program, type_item)->id;
            rl_type_t type = instance_of(c, id, expected, span);
            rl_typedef_id_t real = rl_named_id(c, type);
            rl_typedef_kind_t kind =
                real ? (rl_typedef_kind_t)rl_program_typedef(c->program, real)->kind : RL_DEF_OPAQUE;
            if (kind == RL_DEF_RECORD || kind == RL_DEF_STRUCT) {
                if (!rl_check_visible(c, type_item, rl_span_of(c, data.a))) return rl_ir_error(c, span.start);
                return build_named(c, type, data.b, span);
            }
            if (rl_type_kind(c->types, type) == RL_TYPE_RECORD) return build_anonymous(c, type, data.b, span);
        }
        if (variant_item) return construct_with_record(c, variant_item, node, span, expected);
        rl_str_t text = rl_text(c, name);
        rl_report(c->diags, RL_CODE_TYPE_MISMATCH, rl_span_of(c, data.a), "%.*s is no record type", RL_STR_ARG(text));
        return rl_ir_error(c, span.start);
    }
    rl_type_t head = expected ? rl_head(c, expected) : 0;
    rl_typedef_id_t id = rl_named_id(c, head);
    if (expected && id && rl_program_typedef(c->program, id)->kind == RL_DEF_RECORD)
        return build_named(c, head, data.b, span);
    if (expected && rl_type_kind(c->types, head) == RL_TYPE_RECORD) return build_anonymous(c, head, data.b, span);
    if (has_spread(c, data.b)) return infer_update(c, data.b, span, expected);
    bool open = expected && rl_type_kind(c->types, head) == RL_TYPE_OPEN;
    return infer_anonymous(c, data.b, span, open ? rl_solver_zonk(&c->solver, head) : 0);
}
