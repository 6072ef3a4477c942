/* Statements: blocks, let, assignment, defer (LANGUAGE 5.1, 5.2). */
#include "types/infer.h"

/* --- dropped values ----------------------------------------------------------------------------------------------- */

static rl_node_t without_parens(rl_checker_t* c, rl_node_t node) {
    while (rl_tree_kind(c->tree, node) == RL_NODE_PAREN) node = rl_tree_node(c->tree, node)->a;
    return node;
}

void rl_check_dropped(rl_checker_t* c, rl_node_t node, rl_ir_t ir) {
    rl_type_t type = rl_head(c, rl_type_at(c, ir));
    if (type == RL_TYPE_NEVER || type == RL_TYPE_ERROR) return;
    rl_typedef_id_t id = rl_named_id(c, type);
    const rl_ir_node_t* made = rl_program_node(c->program, ir);
    bool must_use = id && rl_program_typedef(c->program, id)->must_use;
    if (made->op == RL_IR_CALL) must_use |= (rl_program_function(c->program, made->a)->flags & RL_FN_MUST_USE) != 0;
    if (must_use) {
        rl_report(c->diags, RL_CODE_TYPE_UNUSED_MUST_USE, rl_span_of(c, node), "this value of type %s must be used",
            rl_show(c, type));
        return;
    }
    switch (rl_tree_kind(c->tree, without_parens(c, node))) {
    case RL_NODE_INT:
    case RL_NODE_FLOAT:
    case RL_NODE_CHAR:
    case RL_NODE_STRING:
    case RL_NODE_BOOL:
    case RL_NODE_NAME:
    case RL_NODE_BINARY:
    case RL_NODE_UNARY:
    case RL_NODE_POWER:
    case RL_NODE_TUPLE:
    case RL_NODE_LIST:
    case RL_NODE_RECORD:
    case RL_NODE_LAMBDA:
        rl_report(c->diags, RL_CODE_LANGUAGE_STATEMENT_UNUSED_VALUE, rl_span_of(c, node), "this value is not used");
        break;
    default: break;
    }
}

/* Is the type Never because of return, break or continue? Looks through what passes a value on; bounded. */
static bool ends_in_jump(rl_checker_t* c, rl_ir_t ir, unsigned depth) {
    const rl_ir_node_t node = *rl_program_node(c->program, ir);
    if (rl_head(c, node.type) != RL_TYPE_NEVER || depth > 64) return false;
    switch (node.op) {
    case RL_IR_RETURN:
    case RL_IR_BREAK:
    case RL_IR_CONTINUE:
    case RL_IR_ESCAPE: return true;
    case RL_IR_IF: return node.c && ends_in_jump(c, node.b, depth + 1) && ends_in_jump(c, node.c, depth + 1);
    case RL_IR_BLOCK: return node.b > 0 && ends_in_jump(c, rl_program_extra(c->program, node.a)[node.b - 1], depth + 1);
    case RL_IR_SEQUENCE: return ends_in_jump(c, node.a, depth + 1) || ends_in_jump(c, node.b, depth + 1);
    case RL_IR_MATCH:
        for (uint32_t i = 0; i < node.c; i++) {
            if (!ends_in_jump(c, rl_program_extra(c->program, node.b)[3 * i + 2], depth + 1)) return false;
        }
        return node.c > 0;
    default: return false;
    }
}

/* --- let ---------------------------------------------------------------------------------------------------------- */

static bool takes_list(rl_checker_t* c, rl_type_t type) {
    rl_type_t head = rl_head(c, type);
    rl_type_kind_t kind = rl_type_kind(c->types, head);
    rl_typedef_id_t id = rl_named_id(c, head);
    return kind == RL_TYPE_VAR || kind == RL_TYPE_ANY || kind == RL_TYPE_ERROR || kind == RL_TYPE_ARRAY ||
           (id && (id == c->program->known.list || id == c->program->known.json));
}

rl_ir_t rl_check_annotated(rl_checker_t* c, rl_node_t value, rl_type_t annotation) {
    rl_node_t bare = without_parens(c, value);
    if (rl_tree_kind(c->tree, bare) != RL_NODE_LIST || takes_list(c, annotation))
        return rl_check_expr(c, value, annotation, RL_CODE_TYPE_MISMATCH);
    rl_report(c->diags, RL_CODE_TYPE_ARRAY_LITERAL_ANNOTATION_CONFLICT, rl_span_of(c, bare),
        "a list literal cannot have type %s", rl_show(c, annotation));
    (void)rl_infer_expr(c, value, 0);
    return rl_ir_error(c, rl_tree_node(c->tree, value)->start);
}

/* `let (a, b) = (|x| x, None)`: of values the parts are bound, and generalised, one by one. */
static bool splits(rl_checker_t* c, rl_node_t pattern, rl_node_t value) {
    if (rl_tree_kind(c->tree, pattern) != RL_NODE_PAT_TUPLE || rl_tree_kind(c->tree, value) != RL_NODE_TUPLE)
        return false;
    rl_list_t parts = rl_tree_node(c->tree, pattern)->a, values = rl_tree_node(c->tree, value)->a;
    uint32_t count = rl_tree_list_count(c->tree, parts);
    if (count != rl_tree_list_count(c->tree, values)) return false;
    for (uint32_t i = 0; i < count; i++) {
        const rl_node_data_t part = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, parts, i));
        if (part.kind != RL_NODE_PAT_NAME || part.flags & RL_MUT) return false;
        for (uint32_t k = 0; k < i; k++) {
            if (rl_tree_node(c->tree, rl_tree_list_at(c->tree, parts, k))->a == part.a) return false;
        }
    }
    return true;
}

static rl_ir_t bind_value(rl_checker_t* c, rl_node_t pattern, rl_node_t value) {
    const rl_node_data_t data = *rl_tree_node(c->tree, pattern);
    rl_span_t span = rl_span_of(c, pattern);
    rl_node_t bare = without_parens(c, value);
    if (rl_tree_kind(c->tree, bare) == RL_NODE_LAMBDA) return rl_check_let_lambda(c, data.a, span, bare, 0);
    bool generic;
    rl_ir_t ir = rl_check_let_thunk(c, data.a, span, value, &generic);
    if (generic) return ir;
    rl_note_let(c, rl_type_at(c, ir), span, false, true);
    uint32_t local = rl_new_local(c, data.a, rl_type_at(c, ir), 0, span);
    rl_bind(c, data.a, RL_BOUND_LOCAL, local);
    return rl_ir_make(c, RL_IR_BIND, RL_TYPE_UNIT, span.start, local, ir, 0);
}

static rl_ir_t check_split(rl_checker_t* c, rl_node_t pattern, rl_node_t value, uint32_t start) {
    rl_list_t parts = rl_tree_node(c->tree, pattern)->a, values = rl_tree_node(c->tree, value)->a;
    uint32_t count = rl_tree_list_count(c->tree, parts), mark = c->scratch.count, scope = c->bindings.count;
    /* None of the names is visible in the values: bound under no name first, named afterwards. */
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_ir_t made = bind_value(c, rl_tree_list_at(c->tree, parts, i), rl_tree_list_at(c->tree, values, i));
        if (c->bindings.count > scope + i) {
            rl_binding_t* binding = &rl_vec_last(&c->bindings);
            c->innermost.data[binding->name] = binding->shadowed; /* hidden until all are checked */
        }
        (void)rl_vec_push(c->allocator, &c->scratch, made);
    }
    for (uint32_t i = scope; i < c->bindings.count; i++) c->innermost.data[c->bindings.data[i].name] = i + 1;
    rl_ir_t block = rl_failed(c)
                        ? rl_ir_error(c, start)
                        : rl_ir_block(c, RL_TYPE_UNIT, start, c->scratch.data + mark, c->scratch.count - mark, 0);
    c->scratch.count = mark;
    return block;
}

rl_ir_t rl_check_let(rl_checker_t* c, rl_node_t node) {
    rl_value_decl_t decl = rl_tree_value(c->tree, node);
    uint32_t start = rl_tree_node(c->tree, node)->start;
    uint32_t flags = rl_tree_has(c->tree, node, RL_MUT) ? RL_LOCAL_MUTABLE : 0;
    const rl_node_data_t pattern = *rl_tree_node(c->tree, decl.pattern);
    rl_span_t pattern_span = rl_span_of(c, decl.pattern);
    bool plain = pattern.kind == RL_NODE_PAT_NAME && !(flags | (pattern.flags & RL_MUT));
    rl_type_t annotation = 0;
    if (decl.type) {
        uint8_t implicit = c->implicit_params;
        c->implicit_params = 2;
        annotation = rl_resolve_type(c, decl.type);
        c->implicit_params = implicit;
    }
    rl_node_t value_node = without_parens(c, decl.value);
    if (plain && rl_tree_kind(c->tree, value_node) == RL_NODE_LAMBDA &&
        (!annotation || rl_head_kind(c, annotation) == RL_TYPE_FUNCTION)) {
        return rl_check_let_lambda(c, pattern.a, pattern_span, value_node, annotation);
    }
    bool may_generalise = false;
    bool is_value = rl_is_value_node(c, value_node, &may_generalise);
    if (is_value && may_generalise && !decl.type && !flags && splits(c, decl.pattern, value_node)) {
        return check_split(c, decl.pattern, value_node, start);
    }
    rl_ir_t value;
    if (plain && !decl.type && is_value && may_generalise) {
        bool generic;
        value = rl_check_let_thunk(c, pattern.a, pattern_span, value_node, &generic);
        if (generic) return value;
    } else if (decl.type) {
        value = rl_check_annotated(c, decl.value, annotation);
    } else {
        value = rl_infer_expr(c, decl.value, 0);
    }
    rl_type_t type = decl.type ? annotation : rl_type_at(c, value);
    rl_note_let(c, type, pattern_span, flags != 0, is_value);
    if (pattern.kind == RL_NODE_PAT_NAME) {
        if (decl.type) flags |= RL_LOCAL_ANNOTATED;
        if (pattern.flags & RL_MUT) flags |= RL_LOCAL_MUTABLE;
        uint32_t local = rl_new_local(c, pattern.a, type, flags, rl_tree_name_span(c->tree, c->symbols, decl.pattern));
        rl_ir_t bind = rl_ir_make(c, RL_IR_BIND,
            rl_head(c, rl_type_at(c, value)) == RL_TYPE_NEVER ? RL_TYPE_NEVER : RL_TYPE_UNIT, start, local, value, 0);
        rl_bind(c, pattern.a, RL_BOUND_LOCAL, local);
        return bind;
    }
    rl_ir_t made = rl_check_irrefutable(c, decl.pattern, type, flags);
    return rl_ir_make(c, RL_IR_LET, RL_TYPE_UNIT, start, made, value, 0);
}

/* --- assignment --------------------------------------------------------------------------------------------------- */

static void report_immutable(rl_checker_t* c, rl_sym_t name, rl_span_t use, rl_span_t binding, bool is_param) {
    rl_str_t text = rl_text(c, name);
    rl_diag_t* diag =
        rl_report(c->diags, RL_CODE_LANGUAGE_ASSIGN_IMMUTABLE, use, "%.*s cannot be assigned", RL_STR_ARG(text));
    if (binding.end <= binding.start) return;
    rl_note(c->diags, diag, binding, "bound here");
    if (is_param) return;
    /* `let x`: the keyword stands before the name */
    const char* source = c->input->source.data;
    uint32_t at = binding.start;
    while (at > 0 && (source[at - 1] == ' ' || source[at - 1] == '\t')) at--;
    if (at >= 3 && memcmp(source + at - 3, "let", 3) == 0)
        rl_fix(c->diags, diag, RL_FIX_REPLACE, (rl_span_t){at - 3, at}, "var");
    else if (at >= 5 && memcmp(source + at - 5, "const", 5) == 0)
        rl_fix(c->diags, diag, RL_FIX_REPLACE, (rl_span_t){at - 5, at}, "var");
}

/* May the variable this node reads be assigned? Reports when it may not. */
static bool check_root(rl_checker_t* c, rl_ir_t root, rl_node_t node) {
    const rl_ir_node_t made = *rl_program_node(c->program, root);
    rl_span_t use = rl_span_of(c, node);
    if (made.type == RL_TYPE_ERROR) return false;
    if (made.op == RL_IR_LOCAL) {
        rl_check_local_t local = c->locals.data[made.a];
        while (local.outer != RL_NOT_CAPTURED) local = c->locals.data[local.outer];
        if (local.flags & RL_LOCAL_MUTABLE) return true;
        report_immutable(c, local.name, use, local.span, (local.flags & RL_LOCAL_IS_PARAM) != 0);
        return false;
    }
    if (made.op == RL_IR_GLOBAL) {
        const rl_global_t* global = rl_program_global(c->program, made.a);
        if (global->flags & RL_LOCAL_MUTABLE) return true;
        report_immutable(
            c, global->name, use, global->module == c->module ? global->span : (rl_span_t){0, 0}, global->is_host);
        return false;
    }
    if (rl_tree_kind(c->tree, node) == RL_NODE_NAME) {
        rl_span_t binding = {0, 0};
        const rl_binding_t* found = rl_find_binding(c, rl_tree_name(c->tree, node));
        if (found && found->kind == RL_BOUND_LOCAL_FN)
            binding = c->locals.data[c->local_fns.data[found->index].local].span;
        report_immutable(c, rl_tree_name(c->tree, node), use, binding, false);
    } else {
        rl_report(
            c->diags, RL_CODE_LANGUAGE_ASSIGN_IMMUTABLE, use, "only a variable, a field or an element can be assigned");
    }
    return false;
}

static rl_ir_t set_root(rl_checker_t* c, rl_ir_t root, rl_ir_t value, uint32_t start) {
    const rl_ir_node_t made = *rl_program_node(c->program, root);
    return rl_ir_make(
        c, made.op == RL_IR_GLOBAL ? RL_IR_SET_GLOBAL : RL_IR_SET_LOCAL, RL_TYPE_UNIT, start, made.a, value, 0);
}

/* Evaluate once: constants and immutable locals as they are, everything else into a hidden local bound before. */
rl_ir_t rl_hold(rl_checker_t* c, rl_ir_t ir, uint32_t start) {
    const rl_ir_node_t made = *rl_program_node(c->program, ir);
    if (made.op == RL_IR_INT || made.op == RL_IR_STRING) return ir;
    if (made.op == RL_IR_LOCAL && !(c->locals.data[made.a].flags & RL_LOCAL_MUTABLE)) return ir;
    uint32_t local = rl_new_local(c, 0, made.type, 0, (rl_span_t){start, start});
    (void)rl_vec_push(c->allocator, &c->scratch, rl_ir_make(c, RL_IR_BIND, RL_TYPE_UNIT, start, local, ir, 0));
    return rl_read_local(c, local, start);
}

typedef struct place_step {
    rl_node_t node;
    rl_node_kind_t kind;
    rl_sym_t field;   /* FIELD */
    uint32_t index;   /* TUPLE_INDEX */
    rl_ir_t index_ir; /* INDEX, held */
    rl_ir_t object;   /* what the step is taken from, held */
    rl_type_t object_type, type;
    bool reference; /* object changes in place */
} place_step_t;

static rl_ir_t read_step(rl_checker_t* c, const place_step_t* step, uint32_t start) {
    switch (step->kind) {
    case RL_NODE_FIELD: return rl_ir_make(c, RL_IR_FIELD, step->type, start, step->object, step->field, 0);
    case RL_NODE_TUPLE_INDEX: return rl_ir_make(c, RL_IR_TUPLE_GET, step->type, start, step->object, step->index, 0);
    default: return rl_ir_make(c, RL_IR_INDEX, step->type, start, step->object, step->index_ir, 0);
    }
}

/* The object with this part replaced: a new value, or () when it changed in place. */
static rl_ir_t write_step(rl_checker_t* c, const place_step_t* step, rl_ir_t value, uint32_t start) {
    uint32_t words[2];
    switch (step->kind) {
    case RL_NODE_FIELD:
        if (step->reference)
            return rl_ir_make(c, RL_IR_SET_FIELD, RL_TYPE_UNIT, start, step->object, step->field, value);
        words[0] = step->field;
        words[1] = value;
        return rl_ir_make(c, RL_IR_UPDATE, step->object_type, start, step->object, rl_extra_put(c, words, 2), 1);
    case RL_NODE_TUPLE_INDEX: {
        uint32_t mark = c->scratch.count, count = rl_type_node(c->types, rl_head(c, step->object_type))->count;
        for (uint32_t i = 0; i < count; i++) {
            rl_type_t part = rl_type_args(c->types, rl_head(c, step->object_type))[i];
            rl_ir_t element =
                i == step->index ? value : rl_ir_make(c, RL_IR_TUPLE_GET, part, start, step->object, i, 0);
            (void)rl_vec_push(c->allocator, &c->scratch, element);
        }
        rl_ir_t tuple = rl_failed(c) ? rl_ir_error(c, start)
                                     : rl_ir_make(c, RL_IR_TUPLE, step->object_type, start,
                                           rl_extra_put(c, c->scratch.data + mark, count), count, 0);
        c->scratch.count = mark;
        return tuple;
    }
    default:
        words[0] = step->index_ir;
        words[1] = value;
        if (step->reference)
            return rl_ir_make(c, RL_IR_SET_INDEX, RL_TYPE_UNIT, start, step->object, rl_extra_put(c, words, 2), 0);
        return rl_ir_make(c, RL_IR_WITH_INDEX, step->object_type, start, step->object, rl_extra_put(c, words, 2), 0);
    }
}

static bool is_reference(rl_checker_t* c, rl_type_t type, rl_node_kind_t step) {
    rl_typedef_id_t id = rl_named_id(c, type);
    if (!id) return false;
    if (step == RL_NODE_FIELD) return rl_program_typedef(c->program, id)->kind == RL_DEF_STRUCT;
    return step == RL_NODE_INDEX && (id == c->program->known.vec || id == c->program->known.table);
}

/* Is the left end of this FIELD a module or type, so that the whole is a path? */
static bool is_path(rl_checker_t* c, rl_node_t node) {
    rl_node_t left = rl_tree_node(c->tree, node)->a;
    if (rl_tree_kind(c->tree, left) != RL_NODE_NAME || rl_tree_has(c->tree, left, RL_KEYWORD)) return false;
    rl_sym_t name = rl_tree_name(c->tree, left);
    if (rl_find_binding(c, name) || rl_find_item(c, 1, name)) return false;
    return rl_find_item(c, 2, name) || rl_find_item(c, 0, name) || rl_simple_type(c, name);
}

static unsigned assign_op(uint16_t op) {
    switch (op) {
    case RL_ASSIGN_ADD: return RL_BIN_ADD;
    case RL_ASSIGN_SUB: return RL_BIN_SUB;
    case RL_ASSIGN_MUL: return RL_BIN_MUL;
    case RL_ASSIGN_DIV: return RL_BIN_DIV;
    default: return RL_BIN_OP_COUNT;
    }
}

/* New value: the right side, or old op right side. */
static rl_ir_t assigned_value(rl_checker_t* c, rl_node_t node, rl_ir_t old, rl_type_t type) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    unsigned op = assign_op(data.flags);
    if (op == RL_BIN_OP_COUNT) return rl_check_expr(c, data.b, type, RL_CODE_TYPE_MISMATCH);
    rl_type_t left = rl_head(c, type);
    rl_ir_t right = rl_infer_expr(c, data.b, rl_type_is_numeric(left) ? left : 0);
    rl_ir_t value =
        rl_binary(c, op, old, right, rl_span_of(c, node), rl_span_of(c, data.a), rl_span_of(c, data.b), data.c);
    return rl_convert(c, value, type, rl_span_of(c, data.b), RL_CODE_TYPE_MISMATCH);
}

rl_ir_t rl_check_assign(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t start = data.start, mark = c->scratch.count;
    bool compound = assign_op(data.flags) != RL_BIN_OP_COUNT;
    RL_VEC(place_step_t) steps = {0}; /* outermost first while collecting */
    rl_node_t root_node = data.a;
    for (;;) {
        rl_node_kind_t kind = rl_tree_kind(c->tree, root_node);
        if (kind == RL_NODE_PAREN) {
            root_node = rl_tree_node(c->tree, root_node)->a;
            continue;
        }
        if (kind != RL_NODE_FIELD && kind != RL_NODE_INDEX && kind != RL_NODE_TUPLE_INDEX) break;
        if (kind == RL_NODE_FIELD && is_path(c, root_node)) break;
        place_step_t step = {.node = root_node, .kind = kind};
        if (!rl_vec_push(c->allocator, &steps, step)) break;
        root_node = rl_tree_node(c->tree, root_node)->a;
    }
    rl_ir_t root = rl_infer_expr(c, root_node, 0), result = 0;
    if (steps.count == 0) {
        if (check_root(c, root, root_node)) {
            rl_type_t type = rl_type_at(c, root);
            result = set_root(c, root, assigned_value(c, node, root, type), start);
        } else {
            rl_infer_expr(c, data.b, 0);
        }
        rl_vec_deinit(c->allocator, &steps);
        return result ? result : rl_ir_error(c, start);
    }
    /* One simple step needs no hidden locals: operands are used once, in order. */
    bool simple = steps.count == 1 && !compound;
    rl_ir_t object = root;
    int32_t base = -1; /* innermost step (counting from the root) whose object changes in place */
    bool fine = !rl_failed(c);
    for (uint32_t i = steps.count; fine && i-- > 0;) {
        place_step_t* step = &steps.data[i];
        const rl_node_data_t place = *rl_tree_node(c->tree, step->node);
        step->object_type = rl_type_at(c, object);
        rl_type_t head = rl_settled_type(c, object);
        if (rl_type_kind(c->types, head) == RL_TYPE_VAR) {
            rl_report(c->diags, RL_CODE_TYPE_ANNOTATION_REQUIRED, rl_span_of(c, place.a),
                "the type of what is assigned into is not known here");
            fine = false;
            break;
        }
        if (head == RL_TYPE_ERROR) fine = false;
        step->reference = is_reference(c, head, step->kind);
        if (step->reference) base = (int32_t)i;
        bool is_root = i + 1 == steps.count;
        /* The variable at the root is read where it is needed: it must not get a second owner. */
        step->object = simple || (is_root && !step->reference) ? object : rl_hold(c, object, start);
        if (step->kind == RL_NODE_FIELD) {
            step->field = place.b;
            rl_ir_t read = rl_infer_field(c, step->object, place.b, step->node);
            step->type = rl_type_at(c, read);
            if (rl_program_node(c->program, read)->op != RL_IR_FIELD) fine = false;
        } else if (step->kind == RL_NODE_TUPLE_INDEX) {
            step->index = place.b;
            step->type = rl_tuple_element(c, head, step->node, place.b);
            if (step->type == RL_TYPE_ERROR) fine = false;
        } else {
            rl_ir_t index;
            if (!rl_check_index(c, head, rl_span_of(c, place.a), place.b, &index, &step->type)) {
                fine = false;
                break;
            }
            if (rl_named_id(c, head) == 0 || head == RL_TYPE_BYTES) {
                rl_report(c->diags, RL_CODE_TYPE_INDEX_UNSUPPORTED, rl_span_of(c, step->node),
                    "elements of %s cannot be assigned", rl_show(c, head));
                fine = false;
            }
            step->index_ir = simple ? index : rl_hold(c, index, start);
        }
        if (step->type == RL_TYPE_ERROR) fine = false;
        if (i > 0) object = read_step(c, step, start);
    }
    if (fine && base < 0) fine = check_root(c, root, root_node);
    if (fine && !rl_failed(c)) {
        rl_ir_t old = compound ? rl_hold(c, read_step(c, &steps.data[0], start), start) : 0;
        rl_ir_t value = assigned_value(c, node, old, steps.data[0].type);
        uint32_t last = base < 0 ? steps.count - 1 : (uint32_t)base;
        for (uint32_t i = 0; i <= last; i++) value = write_step(c, &steps.data[i], value, start);
        result = base < 0 ? set_root(c, root, value, start) : value;
        if (c->scratch.count > mark) {
            (void)rl_vec_push(c->allocator, &c->scratch, result);
            if (!rl_failed(c))
                result = rl_ir_block(c, RL_TYPE_UNIT, start, c->scratch.data + mark, c->scratch.count - mark, 0);
        }
    } else {
        rl_infer_expr(c, data.b, 0);
    }
    c->scratch.count = mark;
    rl_vec_deinit(c->allocator, &steps);
    return result ? result : rl_ir_error(c, start);
}

/* --- defer -------------------------------------------------------------------------------------------------------- */

static rl_ir_t check_defer(rl_checker_t* c, rl_node_t node) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    rl_fn_id_t fn = rl_new_function(c, 0, RL_FN_LAMBDA, rl_span_of(c, node));
    uint32_t outer = c->frame;
    uint32_t frame = rl_frame_push(c, RL_FRAME_DEFER, fn);
    c->frames.data[frame].result = RL_TYPE_UNIT;
    c->frames.data[frame].result_known = true;
    rl_ir_t body = rl_infer_expr(c, data.a, 0);
    if (rl_head(c, rl_type_at(c, body)) != RL_TYPE_UNIT)
        body = rl_ir_make(c, RL_IR_SEQUENCE, RL_TYPE_UNIT, data.start, body, rl_ir_unit(c, data.start), 0);
    rl_frame_pop(c);
    c->frame = outer;
    rl_function_t* function = rl_function_at(c, fn);
    if (function) {
        function->body = body;
        function->result = RL_TYPE_UNIT;
    }
    rl_ir_t closure = rl_lambda_value(c, fn, rl_type_function(c->types, NULL, 0, RL_TYPE_UNIT), data.start);
    return rl_ir_make(c, RL_IR_DEFER, RL_TYPE_UNIT, data.start, closure, 0, 0);
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

static bool is_statement(rl_node_kind_t kind) {
    return kind == RL_NODE_VALUE || kind == RL_NODE_FN || kind == RL_NODE_DEFER || kind == RL_NODE_ASSIGN;
}

rl_ir_t rl_check_statements(rl_checker_t* c, rl_list_t list, rl_node_t single, bool discard, uint32_t start,
    rl_type_t expected, bool tail, bool dropped) {
    uint32_t count = single ? 1 : rl_tree_list_count(c->tree, list), mark = c->scratch.count, scope = rl_scope_open(c);
    uint32_t returns = c->returns.count;
    bool has_value = false, diverged = false, jumped = false, has_defer = false;
    rl_type_t type = RL_TYPE_UNIT;
    uint32_t place = c->telemetry ? c->telemetry->place : 0;
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t item = single ? single : rl_tree_list_at(c->tree, list, i);
        rl_node_kind_t kind = rl_tree_kind(c->tree, item);
        rl_note_place(c, is_statement(kind) ? item : place);
        bool last = i + 1 == count && !discard && !dropped && !is_statement(kind);
        rl_ir_t ir;
        if (jumped)
            rl_report(c->diags, RL_CODE_LANGUAGE_CONTROL_FLOW_UNREACHABLE, rl_span_of(c, item),
                "this statement is never reached");
        switch (kind) {
        case RL_NODE_VALUE: ir = rl_check_let(c, item); break;
        case RL_NODE_FN: {
            uint32_t first = i, group = c->scratch.count;
            do {
                (void)rl_vec_push(c->allocator, &c->scratch, single ? single : rl_tree_list_at(c->tree, list, i));
                i++;
            } while (!single && i < count && rl_tree_kind(c->tree, rl_tree_list_at(c->tree, list, i)) == RL_NODE_FN);
            i--;
            RL_VEC(uint32_t) nodes = {0};
            for (uint32_t k = group; k < c->scratch.count; k++)
                (void)rl_vec_push(c->allocator, &nodes, c->scratch.data[k]);
            c->scratch.count = group;
            ir = rl_ir_unit(c, start);
            if (nodes.count == i - first + 1) rl_check_local_fns(c, nodes.data, nodes.count, &ir);
            rl_vec_deinit(c->allocator, &nodes);
            break;
        }
        case RL_NODE_ASSIGN: ir = rl_check_assign(c, item); break;
        case RL_NODE_DEFER:
            ir = check_defer(c, item);
            has_defer = true;
            break;
        default:
            if (last) {
                c->tail = tail;
                bool known = expected && !rl_is_var(c, expected);
                if (known) ir = rl_check_expr(c, item, expected, RL_CODE_TYPE_MISMATCH);
                else ir = rl_infer_expr(c, item, expected);
                type = rl_type_at(c, ir);
                has_value = true;
            } else {
                c->dropped = true;
                ir = rl_infer_expr(c, item, 0);
                rl_check_dropped(c, item, ir);
            }
            break;
        }
        if (c->open_pendings.count) rl_poll_pendings(c);
        (void)rl_vec_push(c->allocator, &c->scratch, ir);
        if (rl_head(c, rl_type_at(c, ir)) == RL_TYPE_NEVER && !last) {
            diverged = true;
            if (!jumped) jumped = ends_in_jump(c, ir, 0);
        }
    }
    rl_ir_t block;
    if (rl_failed(c)) {
        block = rl_ir_error(c, start);
    } else {
        uint32_t made = c->scratch.count - mark;
        if (diverged) type = RL_TYPE_NEVER;
        if (made == 1 && has_value && !has_defer) block = c->scratch.data[mark];
        else
            block = rl_ir_block(c, type, start, c->scratch.data + mark, made,
                (uint16_t)((has_value ? RL_IR_BLOCK_VALUE : 0) | (has_defer ? RL_IR_BLOCK_DEFERS : 0)));
    }
    if (has_defer && c->returns.count > returns) c->returns.count = returns; /* not in tail position after all */
    c->scratch.count = mark;
    rl_scope_close(c, scope);
    return block;
}

rl_ir_t rl_infer_block(rl_checker_t* c, rl_node_t node, rl_type_t expected, bool tail, bool dropped) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    if (data.b) rl_note_contract(c, 0, node, 0, data.b);
    return rl_check_statements(c, data.a, 0, (data.flags & RL_DISCARD) != 0, data.start, expected, tail, dropped);
}
