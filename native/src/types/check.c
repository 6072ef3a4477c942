/* The checker's entry points: a module, a host function, a type; and what a host looks up by name. */
#include "types/infer.h"

#include "syntax/conductor.h"

/* --- one checker -------------------------------------------------------------------------------------------------- */

static bool param_satisfies(void* user, uint32_t param, uint32_t kinds) {
    rl_checker_t* c = user;
    if (param >= RL_LOCAL_PARAM_BASE)
        return true; /* of a local function that is done: demanded before it was generalised */
    uint32_t known = 0;
    for (uint32_t i = 0; i < c->rigid.count; i++) {
        if (c->rigid.data[i].param == param && c->rigid.data[i].kinds != RL_CON_TRAIT) known |= c->rigid.data[i].kinds;
    }
    if (known & RL_CON_ORD) known |= RL_CON_EQ;
    return (kinds & ~known) == 0;
}

static bool param_field(void* user, uint32_t param, rl_sym_t field, rl_type_t* out_type) {
    rl_checker_t* c = user;
    for (uint32_t i = 0; i < c->rigid.count; i++) {
        const rl_constraint_t* constraint = &c->rigid.data[i];
        if (constraint->param != param || !(constraint->kinds & RL_CON_FIELD) || constraint->field != field) continue;
        *out_type = constraint->type;
        return true;
    }
    return false;
}

static void intern_names(rl_checker_t* c) {
    const struct {
        rl_sym_t* slot;
        const char* text;
    } names[] = {{&c->sym_self, "self"}, {&c->sym_Self, "Self"}, {&c->sym_default, "default"}, {&c->sym_some, "Some"},
        {&c->sym_none, "None"}, {&c->sym_ok, "Ok"}, {&c->sym_err, "Err"}, {&c->sym_cons, "Cons"}, {&c->sym_nil, "Nil"},
        {&c->sym_to_string, "to_string"}, {&c->sym_clone, "clone"}, {&c->sym_debug, "debug"},
        {&c->sym_to_json, "to_json"}, {&c->sym_ok_or, "ok_or"}, {&c->sym_to_result, "to_result"},
        {&c->sym_core, "Core"}, {&c->sym_builtin, "builtin"}, {&c->sym_Box, "Box"}};
    rl_sym_t* known = c->program->known.names;
    _Static_assert(RL_COUNT_OF(names) == RL_COUNT_OF(c->program->known.names), "one place for each name");
    for (size_t i = 0; i < RL_COUNT_OF(names); i++) {
        if (!known[i]) known[i] = rl_sym_intern(c->symbols, rl_str(names[i].text)); /* in the first module of all */
        *names[i].slot = known[i];
    }
}

/* `writes`: declarations or code are made; else types are, at most. */
static bool begin(rl_checker_t* c, const rl_check_input_t* input, bool writes) {
    rl_program_t* program = input->program;
    memset(c, 0, sizeof *c);
    c->input = input;
    c->program = program;
    c->tree = input->tree;
    c->types = &program->types;
    c->symbols = &program->symbols;
    c->diags = input->diags;
    c->allocator = program->allocator;
    c->telemetry = input->telemetry;
    rl_solver_init(&c->solver, program);
    c->solver.user = c;
    c->solver.param_satisfies = param_satisfies;
    c->solver.param_field = param_field;
    c->solver.has_operators = rl_has_operators;
    c->solver.level = 1;
    for (size_t i = 0; i < RL_COUNT_OF(c->texts); i++) {
        rl_buf_init(&c->texts[i], c->allocator);
        c->texts[i].limit = 4096;
    }
    intern_names(c);
    rl_frame_t no_frame = {0};
    rl_check_local_t no_local = {.outer = RL_NOT_CAPTURED};
    rl_capture_t no_capture = {0};
    rl_ir_node_t spare = {.op = RL_IR_UNIT, .type = RL_TYPE_ERROR};
    bool fine = rl_vec_push(c->allocator, &c->frames, no_frame) && rl_vec_push(c->allocator, &c->locals, no_local) &&
                rl_vec_push(c->allocator, &c->captures, no_capture);
    c->spare_node = program->first_node + program->nodes.count;
    if (writes) fine = fine && rl_program_own(program) && rl_vec_push(c->allocator, &program->nodes, spare);
    c->first_node = program->nodes.count;
    c->first_param = program->params.count;
    c->first_fn = program->functions.count;
    c->first_global = program->globals.count;
    c->first_local = program->locals.count;
    c->first_constraint = program->constraints.count;
    return fine;
}

static void end(rl_checker_t* c) {
    rl_allocator_t* a = c->allocator;
    rl_solver_deinit(&c->solver);
    for (size_t i = 0; i < RL_COUNT_OF(c->texts); i++) rl_buf_deinit(&c->texts[i]);
    rl_vec_deinit(a, &c->scratch);
    if (c->words) {
        rl_words_drop(c, NULL);
        rl_free(a, c->words, sizeof *c->words + (size_t)c->words->room * sizeof(uint32_t));
    }
    rl_vec_deinit(a, &c->marked);
    rl_vec_deinit(a, &c->locals);
    rl_vec_deinit(a, &c->bindings);
    rl_vec_deinit(a, &c->innermost);
    rl_vec_deinit(a, &c->frames);
    rl_vec_deinit(a, &c->captures);
    rl_map_deinit(a, &c->capture_map);
    rl_vec_deinit(a, &c->moved);
    rl_vec_deinit(a, &c->local_fns);
    rl_vec_deinit(a, &c->local_params);
    rl_vec_deinit(a, &c->handlings);
    rl_vec_deinit(a, &c->exits);
    rl_vec_deinit(a, &c->catch_nodes);
    rl_vec_deinit(a, &c->local_refs);
    rl_vec_deinit(a, &c->group_refs);
    rl_vec_deinit(a, &c->lambda_nodes);
    rl_vec_deinit(a, &c->loops);
    rl_vec_deinit(a, &c->returns);
    rl_vec_deinit(a, &c->tails);
    rl_vec_deinit(a, &c->pendings);
    rl_vec_deinit(a, &c->pending_args);
    rl_vec_deinit(a, &c->open_pendings);
    rl_vec_deinit(a, &c->shared_names);
    rl_vec_deinit(a, &c->total_actives);
    rl_vec_deinit(a, &c->let_checks);
    rl_vec_deinit(a, &c->later);
    rl_vec_deinit(a, &c->contracts);
    rl_vec_deinit(a, &c->applied);
    rl_vec_deinit(a, &c->staged);
    rl_vec_deinit(a, &c->regions);
    rl_vec_deinit(a, &c->any_nodes);
    rl_vec_deinit(a, &c->generics);
    rl_vec_deinit(a, &c->generics_store);
    rl_vec_deinit(a, &c->units);
    rl_vec_deinit(a, &c->edges);
    rl_map_deinit(a, &c->unit_of_fn);
    rl_map_deinit(a, &c->unit_of_global);
    rl_map_deinit(a, &c->type_nodes);
    rl_vec_deinit(a, &c->type_states);
    rl_map_deinit(a, &c->lookup_cache);
    rl_map_deinit(a, &c->variant_index);
    rl_vec_deinit(a, &c->ambient);
    rl_vec_deinit(a, &c->rigid);
    rl_vec_deinit(a, &c->core_unavailable);
    rl_vec_deinit(a, &c->simple_aliases);
    rl_vec_deinit(a, &c->trait_nodes);
    rl_vec_deinit(a, &c->own_impls);
    rl_vec_deinit(a, &c->impl_checks);
    rl_vec_deinit(a, &c->scratch_types);
    rl_vec_deinit(a, &c->demands);
    rl_vec_deinit(a, &c->demand_types);
    rl_vec_deinit(a, &c->open_demands);
    rl_vec_deinit(a, &c->local_demands);
    rl_vec_deinit(a, &c->scope_traits);
    rl_map_deinit(a, &c->scope_trait_names);
}

/* Ambient modules, the latest first: what a program loaded comes before the prelude below it. */
static void find_ambient(rl_checker_t* c) {
    uint32_t top = c->program->first_module + c->program->modules.count;
    for (rl_module_id_t module = top; module-- > 1;) {
        if (module != c->module && rl_program_module(c->program, module)->ambient)
            (void)rl_vec_push(c->allocator, &c->ambient, module);
    }
}

/* What a host may name: the items of every module it has loaded, the latest first, private ones too; then the
   ambient ones. */
static void find_all_modules(rl_checker_t* c) {
    c->host_eyes = true;
    for (uint32_t i = c->program->modules.count; i-- > 0;)
        (void)rl_vec_push(c->allocator, &c->ambient, c->program->first_module + i);
    find_ambient(c);
}

/* --- modules ------------------------------------------------------------------------------------------------------ */

static rl_sym_t last_segment(rl_checker_t* c, rl_sym_t path) {
    rl_str_t text = rl_text(c, path);
    size_t start = text.length;
    while (start > 0 && text.data[start - 1] != '.') start--;
    return start == 0 ? path : rl_sym_intern(c->symbols, (rl_str_t){text.data + start, text.length - start});
}

static void index_lines(rl_checker_t* c, rl_module_t* module) {
    rl_program_t* program = c->program;
    rl_str_t source = module->source;
    module->line_first = program->first_line + program->lines.count;
    module->line_count = rl_vec_push(c->allocator, &program->lines, 0);
    bool returns = source.length && memchr(source.data, '\r', source.length) != NULL;
    for (size_t i = 0; i < source.length; i++) {
        if (!returns) {
            const char* next = memchr(source.data + i, '\n', source.length - i);
            if (!next) break;
            i = (size_t)(next - source.data);
        } else if (source.data[i] != '\n' && source.data[i] != '\r') {
            continue;
        } else if (source.data[i] == '\r' && i + 1 < source.length && source.data[i + 1] == '\n') {
            i++;
        }
        module->line_count += rl_vec_push(c->allocator, &program->lines, (uint32_t)i + 1);
    }
}

/* main, then main#2, … */
static rl_sym_t unnamed_path(rl_checker_t* c) {
    rl_sym_t path = rl_sym_intern(c->symbols, RL_STR("main"));
    for (uint32_t number = 2; rl_find_module_path(c, path) && !rl_failed(c); number++) {
        rl_buf_t text;
        rl_buf_init(&text, c->allocator);
        rl_buf_printf(&text, "main#%u", number);
        path = rl_sym_intern(c->symbols, rl_buf_str(&text));
        rl_buf_deinit(&text);
    }
    return path;
}

static rl_sym_t header_path(rl_checker_t* c) {
    rl_node_t header = rl_tree_node(c->tree, c->tree->root)->a;
    if (!header) return unnamed_path(c);
    rl_list_t list = rl_tree_node(c->tree, header)->a;
    uint32_t count = rl_tree_list_count(c->tree, list);
    rl_sym_t path = rl_tree_name(c->tree, rl_tree_list_at(c->tree, list, 0));
    for (uint32_t i = 1; i < count; i++)
        path = rl_join_names(c, path, rl_tree_name(c->tree, rl_tree_list_at(c->tree, list, i)), true);
    return path;
}

static void open_module(rl_checker_t* c, rl_sym_t path, bool ambient) {
    rl_program_t* program = c->program;
    rl_module_t module = {.path = path, .ambient = ambient};
    module.source = rl_arena_copy(&program->arena, c->input->source);
    module.file = rl_arena_copy(&program->arena, c->input->file);
    index_lines(c, &module);
    c->module = program->first_module + program->modules.count;
    if (!rl_vec_push(c->allocator, &program->modules, module)) return;
    rl_add_module_name(c, 0, path, c->module);
    rl_sym_t last = last_segment(c, path);
    if (ambient && last) rl_add_module_name(c, c->module, last, c->module);
}

/* One function that runs initialisers and statements in source order. */
static void close_init(rl_checker_t* c, rl_fn_id_t init) {
    uint32_t mark = c->scratch.count;
    for (uint32_t i = 0; i < c->units.count; i++) {
        if (c->units.data[i].ir) (void)rl_vec_push(c->allocator, &c->scratch, c->units.data[i].ir);
    }
    uint32_t count = c->scratch.count - mark;
    if (count && !rl_failed(c)) {
        rl_ir_t body = rl_ir_block(c, RL_TYPE_UNIT, 0, c->scratch.data + mark, count, 0);
        rl_function_at(c, init)->body = body;
        c->program->modules.data[c->module - c->program->first_module].init = init;
    } else if (!rl_failed(c)) {
        rl_function_at(c, init)->body = rl_ir_unit(c, 0);
    }
    c->scratch.count = mark;
}

static void check_uses(rl_checker_t* c) {
    rl_list_t items = rl_tree_node(c->tree, c->tree->root)->b;
    uint32_t count = rl_tree_list_count(c->tree, items);
    for (uint32_t i = 0; i < count && !rl_failed(c); i++) {
        rl_node_t node = rl_tree_list_at(c->tree, items, i);
        if (rl_tree_kind(c->tree, node) == RL_NODE_USE) rl_declare_use(c, node);
    }
}

bool rl_check_module(const rl_check_input_t* input, rl_module_id_t* out_module) {
    rl_checker_t checker;
    rl_checker_t* c = &checker;
    uint32_t errors = input->diags->errors;
    *out_module = 0;
    if (begin(c, input, true)) {
        rl_sym_t path = header_path(c);
        rl_node_t header = rl_tree_node(c->tree, c->tree->root)->a;
        if (header && rl_find_module_path(c, path)) {
            /* Replacing a module is hot reload, not loading. */
            rl_report(c->diags, RL_CODE_LANGUAGE_DUPLICATE_DEFINITION, rl_span_of(c, header),
                "a module named %.*s is loaded already", RL_STR_ARG(rl_text(c, path)));
        }
        open_module(c, path, input->ambient);
        input->diags->module = rl_text(c, path);
        find_ambient(c);
        *out_module = c->module;
        rl_fn_id_t init = rl_new_function(c, rl_sym_intern(c->symbols, RL_STR("init")), RL_FN_INIT, (rl_span_t){0, 0});
        if (init) rl_function_at(c, init)->result = RL_TYPE_UNIT;
        c->init_frame = rl_frame_push(c, RL_FRAME_INIT, init);
        c->frames.data[c->init_frame].result = RL_TYPE_UNIT;
        c->frame = 0;
        bool sized = !rl_failed(c) && rl_check_sizes(c);
        if (sized) {
            rl_tree_write_conductors(c->tree, c->symbols, input->source, input->diags);
            rl_attributes_check(c);
            (void)rl_vec_reserve(c->allocator, &c->program->nodes, c->tree->nodes.count / 2);
            rl_declare_types(c);
            check_uses(c);
            rl_resolve_types(c);
            rl_declare_effects(c);
            rl_declare_traits(c);
            rl_declare_functions(c);
            if (c->has_own_uses) {
                c->own_uses = true;
                check_uses(c);
            }
            rl_check_impls(c);
            rl_infer_units(c);
        }
        if (sized && !rl_failed(c)) {
            rl_default_variables(c, 0, 0, 0);
            close_init(c, init);
            rl_finish_module(c);
            rl_finish_marked(c);
            if (input->is_prelude) rl_remember_core(c);
            if (c->types->too_deep && input->diags->errors == errors) {
                rl_report(c->diags, RL_CODE_TYPE_INSTANTIATION_LIMIT, (rl_span_t){0, 0},
                    "a type nests deeper than %d levels", RL_TYPE_DEPTH_LIMIT);
            }
            c->types->too_deep = false;
        }
    }
    if (RL_UNLIKELY(c->telemetry != NULL) && !rl_failed(c)) rl_telemetry_write(c);
    bool fine = !rl_failed(c) && input->diags->errors == errors;
    end(c);
    return fine;
}

/* --- the host ----------------------------------------------------------------------------------------------------- */

rl_module_id_t rl_program_find_host_module(const rl_program_t* program) {
    for (uint32_t i = 0; i < program->modules.count; i++) {
        if (rl_str_equal(rl_sym_text(&program->symbols, program->modules.data[i].path), RL_STR("#host")))
            return program->first_module + i;
    }
    return 0;
}

/* All host functions stand in one ambient module of the program. */
static void open_host_module(rl_checker_t* c) {
    rl_sym_t path = rl_sym_intern(c->symbols, RL_STR("#host"));
    rl_module_id_t module = rl_find_module_path(c, path);
    if (module >= c->program->first_module && module) {
        c->module = module;
        return;
    }
    open_module(c, path, true);
}

/* "(Int, name: Str) -> Bool" as a header: parameters without a name get one. False: it is no function type
   (reported). */
static bool signature_header(
    rl_program_t* program, rl_diags_t* diags, rl_str_t path, rl_str_t signature, rl_buf_t* out) {
    rl_tree_t tree;
    rl_parser_input_t parser = {
        .allocator = program->allocator, .source = signature, .symbols = &program->symbols, .diags = diags};
    diags->source = signature;
    bool done = rl_parse_type(&parser, &tree);
    if (done && rl_tree_kind(&tree, tree.root) != RL_NODE_TYPE_FN) {
        rl_report(diags, RL_CODE_FFI_SIGNATURE_INVALID, (rl_span_t){0, (uint32_t)signature.length},
            "not the type of a function: %.*s", RL_STR_ARG(signature));
        done = false;
    }
    if (done) {
        const rl_node_data_t type = *rl_tree_node(&tree, tree.root);
        rl_buf_add(out, path);
        rl_buf_add_char(out, '(');
        for (uint32_t i = 0; i < rl_tree_list_count(&tree, type.a); i++) {
            const rl_node_data_t* param = rl_tree_node(&tree, rl_tree_list_at(&tree, type.a, i));
            const rl_node_data_t* part = rl_tree_node(&tree, param->b);
            if (i) rl_buf_add_cstr(out, ", ");
            if (param->a) rl_buf_add(out, rl_sym_text(&program->symbols, param->a));
            else rl_buf_printf(out, "argument%u", (unsigned)(i + 1));
            rl_buf_add_cstr(out, ": ");
            rl_buf_add(out, (rl_str_t){signature.data + part->start, part->end - part->start});
        }
        rl_buf_add_cstr(out, ") -> ");
        uint32_t from = type.b ? rl_tree_node(&tree, type.b)->start : 0;
        rl_buf_add(out, type.b ? (rl_str_t){signature.data + from, signature.length - from} : RL_STR("()"));
        if (!type.b && type.c) { /* the result's text has its effects behind it */
            uint32_t at = rl_tree_node(&tree, type.c)->start;
            rl_buf_add_char(out, ' ');
            rl_buf_add(out, (rl_str_t){signature.data + at, signature.length - at});
        }
    }
    rl_tree_deinit(&tree);
    return done;
}

bool rl_check_host_function(
    rl_program_t* program, rl_diags_t* diags, rl_str_t path, rl_str_t signature, rl_fn_id_t* out_function) {
    uint32_t errors = diags->errors;
    rl_buf_t text;
    *out_function = 0;
    rl_buf_init(&text, program->allocator);
    if (!signature_header(program, diags, path, signature, &text)) {
        diags->source = rl_arena_copy(diags->arena, signature);
        rl_buf_deinit(&text);
        return false;
    }
    rl_str_t source = rl_arena_copy(diags->arena, rl_buf_str(&text));
    rl_buf_deinit(&text);
    diags->source = source;
    rl_tree_t tree;
    rl_parser_input_t parser = {
        .allocator = program->allocator, .source = source, .symbols = &program->symbols, .diags = diags};
    bool parsed = rl_parse_signature(&parser, &tree);
    if (parsed) {
        rl_check_input_t input = {.tree = &tree, .source = source, .program = program, .diags = diags, .ambient = true};
        rl_checker_t checker;
        rl_checker_t* c = &checker;
        if (begin(c, &input, true)) {
            open_host_module(c);
            find_ambient(c);
            if (!rl_failed(c)) {
                *out_function = rl_declare_fn(c, tree.root, 0, true, true);
                for (uint32_t i = c->first_param; i < program->params.count; i++) {
                    if (program->params.data[i].default_fn)
                        rl_unsupported(c, (rl_span_t){0, (uint32_t)source.length},
                            "default values of registered host functions are");
                }
            }
        }
        end(c);
    }
    rl_tree_deinit(&tree);
    return parsed && *out_function && diags->errors == errors && !program->allocator->failed;
}

bool rl_check_type_text(rl_program_t* program, rl_diags_t* diags, rl_str_t text, rl_type_t* out_type) {
    uint32_t errors = diags->errors;
    *out_type = RL_TYPE_ERROR;
    rl_str_t source = rl_arena_copy(diags->arena, text);
    diags->source = source;
    rl_tree_t tree;
    rl_parser_input_t parser = {
        .allocator = program->allocator, .source = source, .symbols = &program->symbols, .diags = diags};
    bool parsed = rl_parse_type(&parser, &tree);
    if (parsed) {
        rl_check_input_t input = {.tree = &tree, .source = source, .program = program, .diags = diags};
        rl_checker_t checker;
        rl_checker_t* c = &checker;
        if (begin(c, &input, false)) {
            find_all_modules(c);
            *out_type = rl_resolve_type(c, tree.root);
        }
        end(c);
    }
    rl_tree_deinit(&tree);
    return parsed && diags->errors == errors && !program->allocator->failed;
}

/* --- look-up ------------------------------------------------------------------------------------------------------ */

static uint32_t find_in(const rl_program_t* program, rl_module_id_t module, rl_sym_t name, rl_item_kind_t kind) {
    uint32_t item = rl_program_find(program, module, 1, name);
    const rl_item_t* entry = rl_program_item(program, item);
    return item && entry->kind == kind ? entry->id : 0;
}

/* Module path, type or nothing before the last dot; most recently loaded first. */
static uint32_t find_qualified(const rl_program_t* program, rl_str_t name, rl_item_kind_t kind) {
    size_t dot = name.length;
    while (dot > 0 && name.data[dot - 1] != '.') dot--;
    rl_sym_t last = rl_sym_find(&program->symbols, (rl_str_t){name.data + dot, name.length - dot});
    rl_sym_t whole = rl_sym_find(&program->symbols, name);
    rl_sym_t owner = dot > 1 ? rl_sym_find(&program->symbols, (rl_str_t){name.data, dot - 1}) : 0;
    for (uint32_t i = program->modules.count; i-- > 0;) {
        rl_module_id_t module = program->first_module + i;
        if (module == 0) continue;
        uint32_t found = 0;
        if (dot == 0) {
            found = last ? find_in(program, module, last, kind) : 0;
        } else {
            rl_str_t path = rl_sym_text(&program->symbols, rl_program_module(program, module)->path);
            rl_str_t wanted = {name.data, dot - 1};
            if (last && rl_str_equal(path, wanted)) found = find_in(program, module, last, kind);
            uint32_t type = !found && owner ? rl_program_find(program, module, 0, owner) : 0;
            if (type && last && kind == RL_ITEM_FUNCTION && rl_program_item(program, type)->kind == RL_ITEM_TYPEDEF) {
                found = rl_program_find_method(program, rl_program_item(program, type)->id, last);
            }
            if (!found && whole) found = find_in(program, module, whole, kind);
        }
        if (!found) continue;
        rl_module_id_t home = kind == RL_ITEM_FUNCTION ? rl_program_function(program, found)->module
                                                       : rl_program_global(program, found)->module;
        if (home == module || dot) return found;
    }
    return 0;
}

rl_fn_id_t rl_program_find_core_function(const rl_program_t* program, rl_str_t name) {
    size_t dot = name.length;
    while (dot > 0 && name.data[dot - 1] != '.') dot--;
    rl_sym_t owner = dot > 1 ? rl_sym_find(&program->symbols, (rl_str_t){name.data, dot - 1}) : 0;
    rl_sym_t last = rl_sym_find(&program->symbols, (rl_str_t){name.data + dot, name.length - dot});
    for (rl_module_id_t module = 1; owner && last && module < program->first_module; module++) {
        uint32_t type = rl_program_find(program, module, 0, owner);
        if (!type || rl_program_item(program, type)->kind != RL_ITEM_TYPEDEF) continue;
        rl_fn_id_t found = rl_program_find_method(program, rl_program_item(program, type)->id, last);
        if (found && rl_program_function(program, found)->kind == RL_FN_REML) return found;
    }
    return 0;
}

rl_fn_id_t rl_program_find_function(const rl_program_t* program, rl_str_t qualified_name) {
    return find_qualified(program, qualified_name, RL_ITEM_FUNCTION);
}

bool rl_program_find_global(const rl_program_t* program, rl_str_t qualified_name, rl_global_id_t* out_global) {
    *out_global = find_qualified(program, qualified_name, RL_ITEM_GLOBAL);
    return *out_global != 0;
}
