/*
 * Attributes that need the checked declaration they stand on: @intrinsic, whose body may give way to a function of the
 * core library, and @dsl_export, whose metadata a host reads (LANGUAGE 3.5).
 */
#include "types/infer.h"

#include "base/json.h"

enum { METADATA_DEPTH = 32 };

/* --- noting them while declarations are made ------------------------------------------------------------------------- */

static bool lists_native(const rl_checker_t* c, rl_node_t effects) {
    rl_list_t list = rl_tree_node(c->tree, effects)->a;
    uint32_t count = effects ? rl_tree_list_count(c->tree, list) : 0;
    for (uint32_t i = 0; i < count; i++) {
        rl_list_t path = rl_tree_node(c->tree, rl_tree_list_at(c->tree, list, i))->a;
        if (rl_tree_list_count(c->tree, path) != 1) continue;
        if (rl_str_equal(rl_text(c, rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, 0))), RL_STR("native")))
            return true;
    }
    return false;
}

void rl_mark_function(rl_checker_t* c, rl_node_t node, rl_fn_id_t fn) {
    rl_fn_decl_t decl = rl_tree_fn(c->tree, node);
    rl_node_t intrinsic = rl_attribute_find(c, decl.attrs, RL_ATTR_INTRINSIC);
    rl_node_t dsl_export = rl_attribute_find(c, decl.attrs, RL_ATTR_DSL_EXPORT);
    if (intrinsic) {
        if (!lists_native(c, decl.effects)) {
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_NATIVE_INTRINSIC_MISSING_EFFECT, rl_span_of(c, intrinsic),
                "the signature of an intrinsic lists the effect `native`");
            rl_note_plain(c->diags, diag, "write `! {native}` behind the result");
        } else {
            rl_function_at(c, fn)->flags |= RL_FN_INTRINSIC; /* said once: else its own set would be too small, too */
        }
        (void)rl_vec_push(c->allocator, &c->marked, ((rl_marked_t){intrinsic, fn, 0, {0, 0}}));
    }
    if (!dsl_export) return;
    rl_span_t span = decl.result ? rl_span_of(c, decl.result) : rl_function_at(c, fn)->span;
    (void)rl_vec_push(c->allocator, &c->marked, ((rl_marked_t){dsl_export, fn, 0, span}));
}

void rl_mark_value(rl_checker_t* c, rl_list_t attrs, rl_sym_t name, rl_span_t span) {
    rl_node_t dsl_export = rl_attribute_find(c, attrs, RL_ATTR_DSL_EXPORT);
    if (dsl_export && !name)
        rl_report(c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_INVALID, rl_span_of(c, dsl_export),
            "@dsl_export stands on a value with one name");
    else if (dsl_export) (void)rl_vec_push(c->allocator, &c->marked, ((rl_marked_t){dsl_export, 0, name, span}));
}

/* --- metadata as JSON ------------------------------------------------------------------------------------------------- */

static void put_value(rl_checker_t* c, rl_json_t* json, rl_node_t node, unsigned depth) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    if (depth > METADATA_DEPTH) {
        rl_report(c->diags, RL_CODE_LANGUAGE_ATTRIBUTE_INVALID, rl_span_of(c, node),
            "@dsl_export nests deeper than %d levels", METADATA_DEPTH);
        rl_json_null(json);
        return;
    }
    switch ((rl_node_kind_t)data.kind) {
    case RL_NODE_INT: rl_json_u64(json, rl_tree_int(c->tree, node)); return;
    case RL_NODE_FLOAT: rl_json_f64(json, rl_tree_float(c->tree, node)); return;
    case RL_NODE_BOOL: rl_json_bool(json, data.a != 0); return;
    case RL_NODE_UNARY: {
        bool is_float = rl_tree_kind(c->tree, data.a) == RL_NODE_FLOAT;
        uint64_t value = is_float ? 0 : rl_tree_int(c->tree, data.a);
        if (is_float) rl_json_f64(json, -rl_tree_float(c->tree, data.a));
        else if (value <= (uint64_t)INT64_MAX + 1) rl_json_i64(json, (int64_t)(0 - value));
        else rl_json_f64(json, -(double)value);
        return;
    }
    case RL_NODE_CHAR:
    case RL_NODE_STRING:
    case RL_NODE_NAME:
    case RL_NODE_FIELD: {
        rl_buf_t text;
        rl_buf_init(&text, c->allocator);
        if (data.kind == RL_NODE_CHAR) rl_buf_add_utf8(&text, data.a);
        else (void)rl_attribute_path(c, node, &text);
        rl_json_string(json, rl_buf_str(&text));
        rl_buf_deinit(&text);
        return;
    }
    case RL_NODE_LIST: {
        uint32_t count = rl_tree_list_count(c->tree, data.a);
        rl_json_array_begin(json);
        for (uint32_t i = 0; i < count; i++) put_value(c, json, rl_tree_list_at(c->tree, data.a, i), depth + 1);
        rl_json_array_end(json);
        return;
    }
    case RL_NODE_RECORD:
    case RL_NODE_EMPTY: {
        uint32_t count = data.kind == RL_NODE_RECORD ? rl_tree_list_count(c->tree, data.b) : 0;
        rl_json_object_begin(json);
        for (uint32_t i = 0; i < count; i++) {
            const rl_node_data_t field = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, data.b, i));
            rl_json_key_str(json, rl_text(c, field.a));
            put_value(c, json, field.b, depth + 1);
        }
        rl_json_object_end(json);
        return;
    }
    case RL_NODE_MAP: {
        uint32_t count = rl_tree_list_count(c->tree, data.a);
        rl_json_object_begin(json);
        for (uint32_t i = 0; i + 1 < count; i += 2) {
            rl_json_key_str(json, rl_tree_string(c->tree, rl_tree_list_at(c->tree, data.a, i)));
            put_value(c, json, rl_tree_list_at(c->tree, data.a, i + 1), depth + 1);
        }
        rl_json_object_end(json);
        return;
    }
    default: rl_json_null(json);
    }
}

/* {"name": …}: named arguments by their names, the others as a list `arguments`. */
static void put_metadata(rl_checker_t* c, rl_json_t* json, rl_node_t attr) {
    uint32_t count = rl_tree_list_count(c->tree, rl_tree_node(c->tree, attr)->b);
    rl_json_object_begin(json);
    if (rl_attribute_count(c, attr)) {
        rl_json_key(json, "arguments");
        rl_json_array_begin(json);
        for (uint32_t i = 0; i < rl_attribute_count(c, attr); i++) put_value(c, json, rl_attribute_at(c, attr, i), 0);
        rl_json_array_end(json);
    }
    for (uint32_t i = 0; i < count; i++) {
        const rl_node_data_t arg = *rl_tree_node(c->tree, rl_tree_list_at(c->tree, rl_tree_node(c->tree, attr)->b, i));
        if (arg.kind != RL_NODE_NAMED_ARG) continue;
        rl_json_key_str(json, rl_text(c, arg.a));
        put_value(c, json, arg.b, 0);
    }
    rl_json_object_end(json);
}

/* --- when the module has been checked ----------------------------------------------------------------------------------- */

static bool is_named_like(rl_checker_t* c, rl_type_t type, const char* name) {
    rl_typedef_id_t id = rl_named_id(c, type);
    return id && rl_str_equal(rl_text(c, rl_program_typedef(c->program, id)->name), rl_str(name));
}

/* Parser<T>, fn(…) -> Parser<T>, Conductor. */
static bool is_exportable(rl_checker_t* c, rl_type_t type) {
    if (type == RL_TYPE_ERROR || is_named_like(c, type, "Conductor")) return true;
    if (rl_type_kind(c->types, type) == RL_TYPE_FUNCTION) type = rl_type_args(c->types, type)[rl_arg_count_of(c, type)];
    return is_named_like(c, type, "Parser");
}

static void add_export(rl_checker_t* c, const rl_marked_t* mark) {
    rl_export_t made = {.module = c->module, .fn = mark->fn, .name = mark->name};
    rl_type_t type;
    if (mark->fn) {
        const rl_function_t function = *rl_program_function(c->program, mark->fn);
        made.name = function.name;
        type = function.result;
    } else {
        uint32_t item = rl_program_find(c->program, c->module, 1, mark->name);
        if (!item) return;
        const rl_item_t entry = *rl_program_item(c->program, item);
        if (entry.kind == RL_ITEM_FUNCTION) {
            made.fn = entry.id;
            type = rl_program_function(c->program, entry.id)->result;
        } else if (entry.kind == RL_ITEM_GLOBAL) {
            made.global = entry.id;
            type = rl_program_global(c->program, entry.id)->type;
        } else {
            return;
        }
    }
    if (!is_exportable(c, type)) {
        rl_report(c->diags, RL_CODE_E1301, mark->span,
            "@dsl_export expects Parser<T>, a function that makes one, or a "
            "Conductor, found %s",
            rl_show(c, type));
    }
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    rl_json_t json = rl_json_begin(&text);
    put_metadata(c, &json, mark->attr);
    made.metadata = rl_arena_copy(&c->program->arena, rl_buf_str(&text));
    rl_buf_deinit(&text);
    (void)rl_vec_push(c->allocator, &c->program->exports, made);
}

/* The body stays checked, and gives way to a call when the core library has a function of that name and type. */
static void substitute(rl_checker_t* c, const rl_marked_t* mark) {
    rl_program_t* program = c->program;
    rl_str_t name = rl_attribute_text(c, rl_attribute_at(c, mark->attr, 0));
    const rl_function_t function = *rl_program_function(program, mark->fn);
    char text[32];
    if (name.length >= sizeof text || name.length < 5 || memcmp(name.data, "llvm.", 5) != 0) return;
    memcpy(text, name.data, name.length);
    text[name.length] = '\0';
    rl_fn_id_t known = rl_prelude_function(c, text);
    if (!known || function.kind != RL_FN_REML || function.param_count != 1 || function.type_params) return;
    const rl_function_t builtin = *rl_program_function(program, known);
    rl_type_t type = rl_program_param(program, function.param_first)->type;
    if (type != rl_program_param(program, builtin.param_first)->type || function.result != builtin.result) return;
    rl_ir_t argument = rl_ir_make(c, RL_IR_LOCAL, type, function.span.start, 0, 0, 0);
    rl_ir_t call = rl_ir_call(c, function.result, function.span.start, known, 0, &argument, 1);
    if (!rl_failed(c)) rl_function_at(c, mark->fn)->body = call;
}

void rl_finish_marked(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->marked.count && !rl_failed(c); i++) {
        const rl_marked_t mark = c->marked.data[i];
        if (rl_attribute_of(c, mark.attr) == RL_ATTR_INTRINSIC) substitute(c, &mark);
        else add_export(c, &mark);
    }
}
