/*
 * What of one version of the modules stands for what in another: types of the same form, functions of the same name, or at the same
 * place of a source that has not changed. Types of two programs are never the same number; their forms are compared by names.
 */
#include "host/reload.h"
#include "types/entry.h"

static const rl_program_t* from(const rl_correspondence_t* c) { return &c->from->program; }
static rl_program_t* to(const rl_correspondence_t* c) { return &c->context->program; }
static rl_allocator_t* memory(const rl_correspondence_t* c) { return &c->context->allocator; }

static rl_str_t old_text(const rl_correspondence_t* c, rl_sym_t symbol) {
    return rl_sym_text(&from(c)->symbols, symbol);
}
static rl_str_t new_text(const rl_correspondence_t* c, rl_sym_t symbol) { return rl_sym_text(&to(c)->symbols, symbol); }
/* The same name there; 0: nothing has it. */
static rl_sym_t new_name(const rl_correspondence_t* c, rl_sym_t symbol) {
    return rl_sym_find(&to(c)->symbols, old_text(c, symbol));
}
static bool same_name(const rl_correspondence_t* c, rl_sym_t before, rl_sym_t after) {
    return rl_str_equal(old_text(c, before), new_text(c, after));
}

/* --- looking up ------------------------------------------------------------------------------------------------------- */

rl_module_id_t rl_module_by_path(const rl_program_t* program, rl_str_t path) {
    for (uint32_t i = 0; i < program->modules.count; i++) {
        if (rl_str_equal(rl_sym_text(&program->symbols, program->modules.data[i].path), path))
            return program->first_module + i;
    }
    return 0;
}

static uint32_t item_of(
    const rl_program_t* program, rl_module_id_t module, unsigned space, rl_sym_t name, rl_item_kind_t kind) {
    uint32_t found = name ? rl_program_find(program, module, space, name) : 0;
    for (; found; found = rl_program_item(program, found)->next) {
        const rl_item_t* item = rl_program_item(program, found);
        if (item->kind == kind && item->module == module) return item->id;
    }
    return 0;
}

bool rl_global_of_module(const rl_program_t* program, rl_module_id_t module, rl_str_t name, rl_global_id_t* out) {
    for (uint32_t i = 0; i < program->globals.count; i++) {
        const rl_global_t* global = &program->globals.data[i];
        if (global->module != module || !rl_str_equal(rl_sym_text(&program->symbols, global->name), name)) continue;
        *out = program->first_global + i;
        return true;
    }
    return false;
}

static rl_fn_id_t function_in(const rl_program_t* program, rl_module_id_t module, rl_sym_t name) {
    rl_fn_id_t found = item_of(program, module, 1, name, RL_ITEM_FUNCTION);
    return found && rl_program_function(program, found)->module == module ? found : 0;
}

rl_fn_id_t rl_function_of_module(const rl_program_t* program, rl_module_id_t module, rl_str_t name) {
    return function_in(program, module, rl_sym_find(&program->symbols, name));
}

static rl_module_id_t new_module(const rl_correspondence_t* c, rl_module_id_t module) {
    if (module < from(c)->first_module) return module;
    uint32_t at = module - from(c)->first_module;
    return at < c->modules.count ? c->modules.data[at] : 0;
}
static rl_typedef_id_t new_typedef(const rl_correspondence_t* c, rl_typedef_id_t id) {
    if (id < from(c)->first_typedef) return id;
    uint32_t at = id - from(c)->first_typedef;
    return at < c->typedefs.count ? c->typedefs.data[at] : 0;
}

/* --- types ------------------------------------------------------------------------------------------------------------ */

enum { FEW_PARTS = 16 };

/* Types nest at most RL_TYPE_DEPTH_LIMIT deep. */
rl_type_t rl_corresponding_type(rl_correspondence_t* c, rl_type_t type) {
    const rl_types_t* types = &from(c)->types;
    if (type < c->core_types) return type;
    uint32_t known;
    if (rl_map_get(&c->types, type, &known)) return known;
    rl_type_node_t node = *rl_type_node(types, type);
    uint32_t step = rl_type_part_step(node.kind), words = rl_type_part_words(&node), few[FEW_PARTS];
    uint32_t* parts = words <= FEW_PARTS ? few : rl_alloc(memory(c), words * sizeof *parts);
    bool fine = parts && node.kind != RL_TYPE_VAR;
    for (uint32_t i = 0; i < words && fine; i++) {
        uint32_t part = rl_type_args(types, type)[i];
        if (step == 2 && i % 2 == 0) parts[i] = rl_sym_intern(&to(c)->symbols, old_text(c, part));
        else parts[i] = rl_corresponding_type(c, part);
        fine = parts[i] != RL_TYPE_ERROR;
    }
    uint32_t a = node.kind == RL_TYPE_FUNCTION ? 0 : node.a;
    if (node.kind == RL_TYPE_NAMED) fine = fine && (a = new_typedef(c, node.a)) != 0;
    rl_type_t made = fine ? rl_type_make(&to(c)->types, (rl_type_kind_t)node.kind, a, parts, words) : RL_TYPE_ERROR;
    if (parts && parts != few) rl_free(memory(c), parts, words * sizeof *parts);
    return rl_map_put(memory(c), &c->types, type, made) ? made : RL_TYPE_ERROR;
}

static bool same_type(rl_correspondence_t* c, rl_type_t before, rl_type_t after) {
    rl_type_t wanted = rl_corresponding_type(c, before);
    return wanted != RL_TYPE_ERROR && rl_type_plain(&to(c)->types, wanted) == rl_type_plain(&to(c)->types, after);
}

static bool same_fields(rl_correspondence_t* c, uint32_t before, uint32_t after, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        rl_field_t old_field = *rl_program_field(from(c), before + i), new_field = *rl_program_field(to(c), after + i);
        if (!same_name(c, old_field.name, new_field.name) || !same_type(c, old_field.type, new_field.type))
            return false;
    }
    return true;
}

static bool same_declaration(rl_correspondence_t* c, const rl_typedef_t* before, rl_typedef_id_t id) {
    if (!id) return false;
    rl_typedef_t after = *rl_program_typedef(to(c), id);
    bool same = before->kind == after.kind && before->builtin == after.builtin &&
                before->type_params == after.type_params && before->variant_count == after.variant_count;
    for (uint32_t i = 0; i < before->variant_count && same; i++) {
        rl_variant_t old_variant = *rl_program_variant(from(c), before->variant_first + i);
        rl_variant_t new_variant = *rl_program_variant(to(c), after.variant_first + i);
        same = same_name(c, old_variant.name, new_variant.name) && old_variant.flags == new_variant.flags &&
               old_variant.field_count == new_variant.field_count &&
               same_fields(c, old_variant.field_first, new_variant.field_first, old_variant.field_count);
    }
    return same;
}

static uint8_t difference_of(const rl_correspondence_t* c, rl_typedef_id_t id) {
    uint32_t at = id - from(c)->first_typedef;
    return id < from(c)->first_typedef || at >= c->differ.count ? RL_DIFFERS_NOT : c->differ.data[at];
}

/* Is every value of the type one of the corresponding type, too? A Table whose keys are told apart by address is not. */
static bool fits(rl_correspondence_t* c, rl_type_t type) {
    const rl_types_t* types = &from(c)->types;
    if (type < RL_TYPE_SIMPLE_COUNT) return type != RL_TYPE_ERROR;
    uint32_t known;
    if (rl_map_get(&c->fits, type, &known)) return known;
    rl_type_node_t node = *rl_type_node(types, type);
    uint32_t step = rl_type_part_step(node.kind), words = rl_type_part_words(&node);
    bool fine = node.kind != RL_TYPE_NAMED || difference_of(c, node.a) == RL_DIFFERS_NOT;
    for (uint32_t i = step - 1; i < words && fine; i += step) fine = fits(c, rl_type_args(types, type)[i]);
    if (node.kind == RL_TYPE_NAMED && node.a == from(c)->known.table)
        fine = fine && !rl_type_has_state(from(c), rl_type_args(types, type)[0], memory(c));
    return rl_map_put(memory(c), &c->fits, type, fine) && fine;
}

static bool fields_fit(rl_correspondence_t* c, uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!fits(c, rl_program_field(from(c), first + i)->type)) return false;
    }
    return true;
}

/* What is made of types that differ differs, too. */
static void spread_differences(rl_correspondence_t* c) {
    for (bool more = true; more;) {
        more = false;
        rl_map_clear(&c->fits);
        for (uint32_t i = 0; i < c->differ.count; i++) {
            if (c->differ.data[i] != RL_DIFFERS_NOT) continue;
            const rl_typedef_t* def = &from(c)->typedefs.data[i];
            bool fine = true;
            for (uint32_t k = 0; k < def->variant_count && fine; k++) {
                rl_variant_t variant = *rl_program_variant(from(c), def->variant_first + k);
                fine = fields_fit(c, variant.field_first, variant.field_count);
            }
            if (fine) continue;
            c->differ.data[i] = RL_DIFFERS_INSIDE;
            more = true;
        }
    }
    rl_map_clear(&c->fits);
}

const rl_rtype_t* rl_corresponding_rtype(rl_correspondence_t* c, rl_type_t type) {
    if (!fits(c, type)) return NULL;
    rl_type_t made = rl_corresponding_type(c, type);
    return made == RL_TYPE_ERROR ? NULL : rl_rtype_of(&c->context->compiler, made);
}

typedef struct state_search {
    const rl_program_t* program;
    rl_allocator_t* allocator;
    rl_map_t seen;
    RL_VEC(rl_type_t) open;
} state_search_t;

static void look_into(state_search_t* s, rl_type_t type) {
    uint32_t known;
    if (type < RL_TYPE_SIMPLE_COUNT || rl_map_get(&s->seen, type, &known)) return;
    (void)rl_map_put(s->allocator, &s->seen, type, 1);
    (void)rl_vec_push(s->allocator, &s->open, type);
}

bool rl_type_has_state(const rl_program_t* program, rl_type_t type, rl_allocator_t* allocator) {
    state_search_t s = {.program = program, .allocator = allocator};
    bool found = false;
    look_into(&s, type);
    while (s.open.count && !found) {
        rl_type_t next = rl_vec_pop(&s.open);
        rl_type_node_t node = *rl_type_node(&program->types, next);
        if (node.kind == RL_TYPE_FUNCTION) continue;
        uint32_t step = rl_type_part_step(node.kind), words = rl_type_part_words(&node);
        for (uint32_t i = step - 1; i < words; i += step) look_into(&s, rl_type_args(&program->types, next)[i]);
        if (node.kind != RL_TYPE_NAMED) continue;
        const rl_typedef_t* def = rl_program_typedef(program, node.a);
        found = def->kind == RL_DEF_STRUCT || def->builtin == RL_BUILTIN_VEC || def->builtin == RL_BUILTIN_TABLE ||
                def->builtin == RL_BUILTIN_CELL || def->builtin == RL_BUILTIN_REF;
        for (uint32_t i = 0; i < def->variant_count && def->kind != RL_DEF_BUILTIN; i++) {
            const rl_variant_t* variant = rl_program_variant(program, def->variant_first + i);
            for (uint32_t k = 0; k < variant->field_count; k++)
                look_into(&s, rl_program_field(program, variant->field_first + k)->type);
        }
    }
    rl_map_deinit(allocator, &s.seen);
    rl_vec_deinit(allocator, &s.open);
    return found;
}

/* --- functions -------------------------------------------------------------------------------------------------------- */

enum { MADE_FOR_HOSTS = RL_FN_PUBLIC | RL_FN_MUST_USE }; /* flags that say nothing about which function it is */

static bool at_same_place(const rl_correspondence_t* c, const rl_function_t* before, const rl_function_t* after) {
    return before->span.start == after->span.start && before->span.end == after->span.end &&
           (before->flags & ~(uint32_t)MADE_FOR_HOSTS) == (after->flags & ~(uint32_t)MADE_FOR_HOSTS) &&
           before->kind == after->kind && before->param_count == after->param_count &&
           before->capture_count == after->capture_count && same_name(c, before->name, after->name);
}

static bool same_place_here(const rl_function_t* a, const rl_function_t* b) {
    return a->module == b->module && a->span.start == b->span.start && a->span.end == b->span.end &&
           (a->flags & ~(uint32_t)MADE_FOR_HOSTS) == (b->flags & ~(uint32_t)MADE_FOR_HOSTS) && a->kind == b->kind &&
           a->param_count == b->param_count && a->capture_count == b->capture_count && a->name == b->name;
}

/* Of an unchanged source: the checker makes functions in the same order, so the n-th at a place is the n-th there. */
static rl_fn_id_t function_at_place(const rl_correspondence_t* c, rl_fn_id_t id, rl_module_id_t module) {
    const rl_function_t* before = rl_program_function(from(c), id);
    uint32_t earlier = 0;
    for (rl_fn_id_t f = from(c)->first_fn; f < id; f++)
        earlier += same_place_here(rl_program_function(from(c), f), before);
    for (uint32_t i = 0; i < to(c)->functions.count; i++) {
        const rl_function_t* after = &to(c)->functions.data[i];
        if (after->module == module && at_same_place(c, before, after) && earlier-- == 0) return to(c)->first_fn + i;
    }
    return 0;
}

static bool is_named(const rl_function_t* function) {
    return !function->parent && !function->capture_count &&
           !(function->flags & (RL_FN_LAMBDA | RL_FN_THUNK | RL_FN_INIT | RL_FN_DEFAULT | RL_FN_PART | RL_FN_ASYNC));
}

static rl_fn_id_t function_named(const rl_correspondence_t* c, const rl_function_t* before, rl_module_id_t module) {
    rl_sym_t name = new_name(c, before->name);
    if (!name || before->trait) return 0;
    if (!before->owner) return function_in(to(c), module, name);
    rl_typedef_id_t owner = new_typedef(c, before->owner);
    rl_fn_id_t found = owner ? rl_program_find_method(to(c), owner, name) : 0;
    return found && rl_program_function(to(c), found)->module == module ? found : 0;
}

rl_fn_id_t rl_corresponding_function(rl_correspondence_t* c, rl_fn_id_t id) {
    if (id < from(c)->first_fn) return id;
    rl_function_t before = *rl_program_function(from(c), id);
    if (before.parent && rl_program_function(from(c), before.parent)->forwarder == id) {
        rl_fn_id_t target = rl_corresponding_function(c, before.parent); /* the parent is no forwarder: no further */
        return target ? rl_check_forwarder(to(c), target) : 0;
    }
    rl_module_id_t module = new_module(c, before.module);
    if (!module) return 0;
    bool by_name = !c->changed || before.module == c->changed || before.kind == RL_FN_HOST;
    if (!by_name) return function_at_place(c, id, module);
    return is_named(&before) ? function_named(c, &before, module) : 0;
}

static bool same_constraints(rl_correspondence_t* c, const rl_function_t* before, const rl_function_t* after) {
    for (uint32_t i = 0; i < before->constraint_count; i++) {
        rl_constraint_t a = *rl_program_constraint(from(c), before->constraint_first + i);
        rl_constraint_t b = *rl_program_constraint(to(c), after->constraint_first + i);
        if (a.param != b.param || a.kinds != b.kinds) return false;
        if (a.kinds == RL_CON_FIELD && (!same_name(c, a.field, b.field) || !same_type(c, a.type, b.type))) return false;
        if (a.kinds == RL_CON_TRAIT &&
            !same_name(c, rl_program_trait(from(c), a.trait)->name, rl_program_trait(to(c), b.trait)->name))
            return false;
    }
    return true;
}

bool rl_same_signature(rl_correspondence_t* c, rl_fn_id_t old_id, rl_fn_id_t new_id) {
    rl_function_t before = *rl_program_function(from(c), old_id), after = *rl_program_function(to(c), new_id);
    if (old_id == new_id && old_id < from(c)->first_fn) return true;
    bool same = before.param_count == after.param_count && before.type_params == after.type_params &&
                before.constraint_count == after.constraint_count && same_type(c, before.result, after.result);
    for (uint32_t i = 0; i < before.param_count && same; i++)
        same = same_type(c, rl_program_param(from(c), before.param_first + i)->type,
            rl_program_param(to(c), after.param_first + i)->type);
    return same && same_constraints(c, &before, &after);
}

static bool signature_fits(rl_correspondence_t* c, rl_fn_id_t id) {
    rl_function_t before = *rl_program_function(from(c), id);
    bool fine = fits(c, before.result);
    for (uint32_t i = 0; i < before.param_count && fine; i++)
        fine = fits(c, rl_program_param(from(c), before.param_first + i)->type);
    return fine;
}

/* Captured values lie in a closure by their types. */
static bool same_captures(rl_correspondence_t* c, rl_fn_id_t old_id, rl_fn_id_t new_id) {
    rl_function_t before = *rl_program_function(from(c), old_id), after = *rl_program_function(to(c), new_id);
    bool same = before.capture_count == after.capture_count;
    for (uint32_t i = 0; i < before.capture_count && same; i++) {
        rl_local_t a = *rl_program_local(from(c), before.local_first + before.param_count + i);
        rl_local_t b = *rl_program_local(to(c), after.local_first + after.param_count + i);
        same = a.flags == b.flags && fits(c, a.type) && same_type(c, a.type, b.type);
    }
    return same;
}

static const rl_instance_t* instance_of(const rl_correspondence_t* c, const rl_proto_t* proto) {
    const rl_compiler_t* compiler = &c->from->compiler;
    for (uint32_t i = 1; i < compiler->instances.count; i++) {
        if (compiler->instances.data[i].proto == proto) return &compiler->instances.data[i];
    }
    return NULL;
}

static rl_proto_t* make_proto(rl_correspondence_t* c, const rl_proto_t* proto) {
    const rl_instance_t* instance = instance_of(c, proto);
    rl_fn_id_t id = instance ? rl_corresponding_function(c, instance->function) : 0;
    if (!id || !rl_same_signature(c, instance->function, id) || !signature_fits(c, instance->function) ||
        !same_captures(c, instance->function, id))
        return NULL;
    uint32_t count = instance->argument_count;
    rl_type_t few[FEW_PARTS], *arguments = count <= FEW_PARTS ? few : rl_alloc(memory(c), count * sizeof *arguments);
    bool fine = arguments != NULL;
    for (uint32_t i = 0; i < count && fine; i++) {
        rl_type_t argument = c->from->compiler.arguments.data[instance->argument_first + i];
        fine = fits(c, argument) && (arguments[i] = rl_corresponding_type(c, argument)) != RL_TYPE_ERROR;
    }
    rl_proto_t* made = fine ? rl_compile(&c->context->compiler, id, arguments, count, instance->as_value) : NULL;
    if (arguments && arguments != few) rl_free(memory(c), arguments, count * sizeof *arguments);
    if (!made) c->context->compiler.failed = false; /* a limit of instances, say: there is none then */
    return made;
}

rl_proto_t* rl_corresponding_proto(rl_correspondence_t* c, const rl_proto_t* proto) {
    uint32_t known;
    if (rl_map_get(&c->protos, (uint64_t)(uintptr_t)proto, &known)) return c->made.data[known];
    rl_proto_t* made = make_proto(c, proto);
    bool kept = rl_vec_push(memory(c), &c->made, made) &&
                rl_map_put(memory(c), &c->protos, (uint64_t)(uintptr_t)proto, c->made.count - 1);
    return kept ? made : NULL;
}

/* --- the whole -------------------------------------------------------------------------------------------------------- */

bool rl_correspond(rl_context_t* context, const rl_edition_t* edition, rl_module_id_t changed, rl_str_t allow,
    rl_correspondence_t* c) {
    *c = (rl_correspondence_t){.context = context, .from = edition, .changed = changed, .allow = allow};
    const rl_program_t* program = &edition->program;
    c->core_types = program->below->types.first + program->below->types.nodes.count;
    for (uint32_t i = 0; i < program->modules.count; i++) {
        rl_str_t path = rl_sym_text(&program->symbols, program->modules.data[i].path);
        if (!rl_vec_push(memory(c), &c->modules, rl_module_by_path(to(c), path))) return false;
    }
    for (uint32_t i = 0; i < program->typedefs.count; i++) {
        const rl_typedef_t* def = &program->typedefs.data[i];
        rl_module_id_t module = new_module(c, def->module);
        rl_typedef_id_t id = module ? item_of(to(c), module, 0, new_name(c, def->name), RL_ITEM_TYPEDEF) : 0;
        if (!rl_vec_push(memory(c), &c->typedefs, id) || !rl_vec_push(memory(c), &c->differ, RL_DIFFERS_NOT))
            return false;
    }
    for (uint32_t i = 0; i < program->typedefs.count; i++) {
        const rl_typedef_t* def = &program->typedefs.data[i];
        if (!same_declaration(c, def, c->typedefs.data[i])) c->differ.data[i] = RL_DIFFERS;
    }
    spread_differences(c);
    return !memory(c)->failed;
}

void rl_correspondence_deinit(rl_correspondence_t* c) {
    if (!c->context) return;
    rl_map_deinit(memory(c), &c->types);
    rl_map_deinit(memory(c), &c->fits);
    rl_map_deinit(memory(c), &c->protos);
    rl_vec_deinit(memory(c), &c->made);
    rl_vec_deinit(memory(c), &c->modules);
    rl_vec_deinit(memory(c), &c->typedefs);
    rl_vec_deinit(memory(c), &c->differ);
}

/* --- what the host may rely on ---------------------------------------------------------------------------------------- */

/* Functions that carry state; they may come, go and change. */
static bool is_of_state(rl_str_t name) {
    return rl_str_equal(name, RL_STR("export_state")) || rl_str_equal(name, RL_STR("import_state")) ||
           rl_str_equal(name, RL_STR("migrate"));
}

static void signature_text(const rl_program_t* program, const rl_function_t* function, rl_buf_t* out) {
    rl_buf_add_char(out, '(');
    for (uint32_t i = 0; i < function->param_count; i++) {
        if (i) rl_buf_add_cstr(out, ", ");
        rl_type_print(program, rl_program_param(program, function->param_first + i)->type, out);
    }
    rl_buf_add_cstr(out, ") -> ");
    rl_type_print(program, function->result, out);
}

/* "Order.total", "total" */
static void name_text(const rl_program_t* program, const rl_function_t* function, rl_buf_t* out) {
    if (function->owner) {
        rl_buf_add(out, rl_sym_text(&program->symbols, rl_program_typedef(program, function->owner)->name));
        rl_buf_add_char(out, '.');
    }
    rl_buf_add(out, rl_sym_text(&program->symbols, function->name));
}

typedef struct walk {
    rl_correspondence_t* c;
    rl_map_t seen;
    RL_VEC(rl_type_t) open;
    uint32_t found;
} walk_t;

static void walk_into(walk_t* w, rl_type_t type) {
    uint32_t known;
    if (type < RL_TYPE_SIMPLE_COUNT || rl_map_get(&w->seen, type, &known)) return;
    (void)rl_map_put(memory(w->c), &w->seen, type, 1);
    (void)rl_vec_push(memory(w->c), &w->open, type);
}

/* "Circle(Float) | Dot" */
static void shape_text(const rl_program_t* program, rl_typedef_id_t id, rl_buf_t* out) {
    const rl_typedef_t* def = rl_program_typedef(program, id);
    for (uint32_t i = 0; i < def->variant_count; i++) {
        const rl_variant_t* variant = rl_program_variant(program, def->variant_first + i);
        if (i) rl_buf_add_cstr(out, " | ");
        rl_buf_add(out, rl_sym_text(&program->symbols, variant->name ? variant->name : def->name));
        rl_buf_add_char(out, '(');
        for (uint32_t k = 0; k < variant->field_count; k++) {
            const rl_field_t* field = rl_program_field(program, variant->field_first + k);
            if (k) rl_buf_add_cstr(out, ", ");
            if (field->name) rl_buf_printf(out, "%.*s: ", RL_STR_ARG(rl_sym_text(&program->symbols, field->name)));
            rl_type_print(program, field->type, out);
        }
        rl_buf_add_char(out, ')');
    }
}

/* Report a type whose declaration is another one; once. */
static void tell_type(walk_t* w, rl_typedef_id_t id) {
    rl_correspondence_t* c = w->c;
    uint8_t* differ = &c->differ.data[id - from(c)->first_typedef];
    rl_str_t name = old_text(c, rl_program_typedef(from(c), id)->name);
    if (*differ != RL_DIFFERS) return;
    *differ = RL_DIFFERS_TOLD;
    w->found++;
    if (rl_target_list_has(c->allow, name)) return;
    rl_buf_t before, after;
    rl_buf_init(&before, memory(c));
    rl_buf_init(&after, memory(c));
    rl_typedef_id_t now = new_typedef(c, id);
    shape_text(from(c), id, &before);
    if (now) shape_text(to(c), now, &after);
    rl_span_t span = now ? rl_program_typedef(to(c), now)->span : (rl_span_t){0, 0};
    if (now)
        rl_report(&c->context->diagnostics, RL_CODE_RELOAD_TYPE_CHANGED, span, "%.*s: %.*s is now %.*s",
            RL_STR_ARG(name), RL_STR_ARG(rl_buf_str(&before)), RL_STR_ARG(rl_buf_str(&after)));
    else
        rl_report(&c->context->diagnostics, RL_CODE_RELOAD_TYPE_CHANGED, span, "%.*s: %.*s is not there any more",
            RL_STR_ARG(name), RL_STR_ARG(rl_buf_str(&before)));
    rl_buf_deinit(&before);
    rl_buf_deinit(&after);
}

/* Tell the types that differ among those that the walk has open, and what these are made of. */
static void tell_types(walk_t* w) {
    rl_correspondence_t* c = w->c;
    const rl_program_t* program = from(c);
    while (w->open.count) {
        rl_type_t next = rl_vec_pop(&w->open);
        rl_type_node_t node = *rl_type_node(&program->types, next);
        uint32_t step = rl_type_part_step(node.kind), words = rl_type_part_words(&node);
        for (uint32_t i = step - 1; i < words; i += step) walk_into(w, rl_type_args(&program->types, next)[i]);
        if (node.kind != RL_TYPE_NAMED || node.a < program->first_typedef) continue;
        if (difference_of(c, node.a) >= RL_DIFFERS) tell_type(w, node.a);
        const rl_typedef_t* def = rl_program_typedef(program, node.a);
        for (uint32_t i = 0; i < def->variant_count; i++) {
            const rl_variant_t* variant = rl_program_variant(program, def->variant_first + i);
            for (uint32_t k = 0; k < variant->field_count; k++)
                walk_into(w, rl_program_field(program, variant->field_first + k)->type);
        }
    }
}

static void compare_function(walk_t* w, rl_fn_id_t id) {
    rl_correspondence_t* c = w->c;
    rl_function_t before = *rl_program_function(from(c), id);
    rl_fn_id_t now = function_named(c, &before, new_module(c, before.module));
    bool same = now && rl_same_signature(c, id, now);
    if (same) {
        walk_into(w, before.result);
        for (uint32_t i = 0; i < before.param_count; i++)
            walk_into(w, rl_program_param(from(c), before.param_first + i)->type);
        return;
    }
    w->found++;
    rl_buf_t name, old_signature, new_signature;
    rl_buf_init(&name, memory(c));
    rl_buf_init(&old_signature, memory(c));
    rl_buf_init(&new_signature, memory(c));
    name_text(from(c), &before, &name);
    signature_text(from(c), &before, &old_signature);
    if (!rl_target_list_has(c->allow, rl_buf_str(&name))) {
        if (now) {
            rl_function_t after = *rl_program_function(to(c), now);
            signature_text(to(c), &after, &new_signature);
            rl_report(&c->context->diagnostics, RL_CODE_RELOAD_EXPORT_CHANGED, after.span, "%.*s: %.*s is now %.*s",
                RL_STR_ARG(rl_buf_str(&name)), RL_STR_ARG(rl_buf_str(&old_signature)),
                RL_STR_ARG(rl_buf_str(&new_signature)));
        } else {
            rl_report(&c->context->diagnostics, RL_CODE_RELOAD_EXPORT_REMOVED, (rl_span_t){0, 0},
                "%.*s: %.*s is not there any more", RL_STR_ARG(rl_buf_str(&name)),
                RL_STR_ARG(rl_buf_str(&old_signature)));
        }
    }
    rl_buf_deinit(&name);
    rl_buf_deinit(&old_signature);
    rl_buf_deinit(&new_signature);
}

static void compare_value(walk_t* w, rl_global_id_t id) {
    rl_correspondence_t* c = w->c;
    rl_global_t before = *rl_program_global(from(c), id);
    rl_str_t name = old_text(c, before.name);
    rl_global_id_t now;
    bool there = rl_global_of_module(to(c), new_module(c, before.module), name, &now);
    if (there && same_type(c, before.type, rl_program_global(to(c), now)->type)) {
        walk_into(w, before.type);
        return;
    }
    w->found++;
    if (rl_target_list_has(c->allow, name)) return;
    rl_buf_t type;
    rl_buf_init(&type, memory(c));
    rl_type_print(from(c), before.type, &type);
    rl_report(&c->context->diagnostics, there ? RL_CODE_RELOAD_EXPORT_CHANGED : RL_CODE_RELOAD_EXPORT_REMOVED,
        there ? rl_program_global(to(c), now)->span : (rl_span_t){0, 0}, "%.*s: %.*s is %s", RL_STR_ARG(name),
        RL_STR_ARG(rl_buf_str(&type)), there ? "another type now" : "not there any more");
    rl_buf_deinit(&type);
}

/* What a host finds by its name; of functions that were made for hosts the name means another one. */
static bool may_be_called(const rl_correspondence_t* c, rl_fn_id_t id) {
    const rl_function_t* function = rl_program_function(from(c), id);
    if (function->module != c->changed || !is_named(function) || function->trait) return false;
    if ((function->kind != RL_FN_REML && function->kind != RL_FN_HOST) || (function->flags & RL_FN_HANDLER))
        return false;
    if (function->owner) return rl_program_find_method(from(c), function->owner, function->name) == id;
    return function_in(from(c), function->module, function->name) == id && !is_of_state(old_text(c, function->name));
}

uint32_t rl_compare_exports(rl_correspondence_t* c) {
    const rl_program_t* program = from(c);
    walk_t w = {.c = c};
    bool marked = false;
    for (uint32_t i = 0; i < program->exports.count; i++) {
        const rl_export_t* export = &program->exports.data[i];
        if (export->module != c->changed) continue;
        marked = true;
        if (!export->fn) compare_value(&w, export->global);
        else if (may_be_called(c, export->fn)) compare_function(&w, export->fn);
    }
    for (uint32_t i = 0; !marked && i < program->functions.count; i++) {
        if (may_be_called(c, program->first_fn + i)) compare_function(&w, program->first_fn + i);
    }
    tell_types(&w);
    rl_map_deinit(memory(c), &w.seen);
    rl_vec_deinit(memory(c), &w.open);
    return w.found;
}
