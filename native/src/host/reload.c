/*
 * Another version of a loaded module, step by step:
 *   1 aside     what is in place is put aside as it is; from here every failure puts it back
 *   2 make      host functions are declared and all sources loaded again, the new one among them
 *   3 compare   what the host may rely on is there; what it holds and what is state has a place to go to
 *   4 carry     values go over into the new heap
 *   5 run       the module initialises, takes its state
 *   6 record    then the new version serves
 */
#include "host/reload.h"

#include "base/json.h"
#include "base/utf8.h"
#include "host/program.h"
#include "syntax/parser.h"
#include "vm/core/keyed.h"

#include <stdio.h>

/* A value of state on its way. */
typedef struct carried {
    rl_global_id_t to;
    const rl_rtype_t* type;
    rl_word_t word; /* scalars; references lie in the parcel, at `place` */
    uint32_t place;
} carried_t;

typedef struct reload {
    rl_context_t* context;
    reml_embed_reload_t options;
    rl_edition_t* old;           /* aside */
    rl_module_id_t changed, now; /* the module there and here */
    rl_str_t path;               /* of it; text in the old program */
    rl_correspondence_t c;
    rl_cloner_t cloner;
    rl_held_t held;
    bool swapped; /* the host holds what is of the new edition */
    RL_VEC(carried_t) state;
    rl_fn_id_t export_state, import_state, migrate; /* the first of the old version; 0: values go over */
    const rl_rtype_t* export_type;                  /* of the old version */
    rl_word_t exported;
    const rl_rtype_t* given_type; /* the same in the new version */
    rl_word_t given;
    uint32_t changes;
    bool ran;          /* it has been refused by what ran, not by what is written */
    char audit_id[37]; /* "": not known yet */
    /* The result of the last run, which goes with the old version. */
    const rl_rtype_t* result_type;
    rl_word_t result;
    reml_value_t result_handle;
} reload_t;

reml_embed_status_t rl_reload_refuse(rl_context_t* context) {
    return rl_context_fail(context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
        "a module of this context is being replaced");
}

static reml_embed_status_t out_of_memory(rl_context_t* context) {
    const rl_allocator_t* allocator = &context->allocator;
    rl_alloc_clear_failure(&context->allocator);
    if (allocator->live_bytes >= allocator->limit_bytes - allocator->limit_bytes / 4) {
        return rl_context_fail(context, REML_EMBED_STATUS_LIMIT, RL_CODE_RUNTIME_LIMIT_MEMORY,
            "%s: two versions of the module need more than %llu bytes", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY),
            (unsigned long long)allocator->limit_bytes);
    }
    return rl_context_no_memory(context);
}

/* Memory, or what has been reported. */
static reml_embed_status_t refused(rl_context_t* context) {
    if (context->allocator.failed) return out_of_memory(context);
    rl_diags_sort(&context->diagnostics);
    return rl_context_fail_from_diagnostics(context);
}

static uint8_t state_of(const rl_edition_t* edition, rl_module_id_t module) {
    uint32_t at = module - edition->program.first_module;
    return at < edition->module_states.count ? edition->module_states.data[at] : RL_MODULE_FRESH;
}

/* --- which module ----------------------------------------------------------------------------------------------------- */

/* The path that a source declares: "A.B"; main without a header. False: reported, or memory. */
static bool declared_path(rl_context_t* context, const reml_embed_source_t* source, rl_buf_t* out) {
    rl_str_t text = {source->text, source->text_length};
    context->diagnostics.source = rl_arena_copy(&context->diag_arena, text);
    context->diagnostics.file = rl_arena_copy(
        &context->diag_arena, (rl_str_t){source->file_name, source->file_name ? source->file_name_length : 0});
    if (text.length > context->limits.source_bytes) {
        rl_report(&context->diagnostics, RL_CODE_PARSER_LIMIT_EXCEEDED, (rl_span_t){0, 0},
            "source has %llu bytes, the limit is %llu", (unsigned long long)text.length,
            (unsigned long long)context->limits.source_bytes);
        return false;
    }
    rl_tree_t tree;
    rl_parser_input_t parser = {.allocator = &context->allocator,
        .source = context->diagnostics.source,
        .symbols = &context->program.symbols,
        .diags = &context->diagnostics,
        .options = {.source_bytes = (uint32_t)(text.length + 1),
            .nesting = (uint32_t)(context->limits.nesting < UINT32_MAX ? context->limits.nesting : UINT32_MAX),
            .identifier_bytes =
                (uint32_t)(context->limits.identifier_bytes < UINT32_MAX ? context->limits.identifier_bytes
                                                                         : UINT32_MAX),
            .strict_top_level = (context->options & REML_EMBED_OPTION_STRICT_TOP_LEVEL) != 0}};
    bool parsed = rl_parse(&parser, &tree);
    rl_node_t header = parsed ? rl_tree_node(&tree, tree.root)->a : 0;
    rl_list_t list = header ? rl_tree_node(&tree, header)->a : 0;
    for (uint32_t i = 0; header && i < rl_tree_list_count(&tree, list); i++) {
        if (i) rl_buf_add_char(out, '.');
        rl_buf_add(out, rl_sym_text(&context->program.symbols, rl_tree_name(&tree, rl_tree_list_at(&tree, list, i))));
    }
    if (parsed && !header) rl_buf_add_cstr(out, "main");
    rl_tree_deinit(&tree);
    return parsed && !out->failed;
}

static reml_embed_status_t find_module(reload_t* r, const reml_embed_source_t* source) {
    rl_context_t* context = r->context;
    const rl_program_t* program = &r->old->program;
    rl_buf_t path;
    rl_buf_init(&path, &context->allocator);
    bool fine = true;
    if (r->options.module) rl_buf_add_cstr(&path, r->options.module);
    else fine = declared_path(context, source, &path);
    rl_str_t text = rl_buf_str(&path);
    if (fine && !path.failed && !rl_str_equal(text, RL_STR("#host"))) r->changed = rl_module_by_path(program, text);
    if (fine && !path.failed && !r->changed)
        rl_report(&context->diagnostics, RL_CODE_RELOAD_MODULE_UNKNOWN, (rl_span_t){0, 0},
            "no module %.*s is loaded that could be replaced", (int)(text.length < 200 ? text.length : 200), text.data);
    rl_buf_deinit(&path);
    if (!r->changed) return refused(context);
    r->path = rl_sym_text(&program->symbols, rl_program_module(program, r->changed)->path);
    return REML_EMBED_STATUS_OK;
}

/* --- 2 make ----------------------------------------------------------------------------------------------------------- */

/* Declare the host functions that were declared after so many sources; `rest`: those of later ones, too. */
static reml_embed_status_t declare(rl_context_t* context, uint32_t sources, bool rest) {
    for (uint32_t i = 0; i < context->bindings.count; i++) {
        const rl_binding_t* binding = context->bindings.data[i];
        if (!binding->signature || (rest ? binding->after_modules < sources : binding->after_modules != sources))
            continue;
        rl_fn_id_t fresh;
        rl_str_t name = {binding->name, binding->name_length}, signature = rl_str(binding->signature);
        uint64_t extent = rl_program_extent(&context->program);
        rl_diags_clear(&context->diagnostics);
        if (!rl_check_host_function(&context->program, &context->diagnostics, name, signature, &fresh))
            return refused(context);
        rl_history_declared(context, extent, name, signature);
    }
    return REML_EMBED_STATUS_OK;
}

/* Diagnostics of the new source, while those of other modules are made. Moved only when they are whole. */
typedef struct kept_diagnostics {
    rl_diags_t diagnostics;
    rl_arena_t arena;
    bool kept;
} kept_diagnostics_t;

static void fresh_diagnostics(rl_context_t* context) {
    bool as_errors = context->diagnostics.warnings_as_errors;
    rl_arena_init(&context->diag_arena, &context->allocator);
    rl_diags_init(&context->diagnostics, &context->allocator, &context->diag_arena);
    context->diagnostics.warnings_as_errors = as_errors;
}

static void keep_diagnostics(rl_context_t* context, kept_diagnostics_t* kept) {
    kept->diagnostics = context->diagnostics;
    kept->arena = context->diag_arena;
    kept->kept = true;
    fresh_diagnostics(context);
}

static void end_diagnostics(rl_context_t* context, kept_diagnostics_t* kept, bool use) {
    if (!kept->kept) return;
    if (use) {
        rl_diags_deinit(&context->diagnostics);
        rl_arena_deinit(&context->diag_arena);
        context->diagnostics = kept->diagnostics;
        context->diag_arena = kept->arena;
    } else {
        rl_diags_deinit(&kept->diagnostics);
        rl_arena_deinit(&kept->arena);
    }
}

static reml_embed_status_t load_module(reload_t* r, rl_module_id_t id, const reml_embed_source_t* given) {
    rl_context_t* context = r->context;
    const rl_module_t* module = rl_program_module(&r->old->program, id);
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    if (id == r->changed) {
        source = *given;
    } else {
        source.text = module->source.data;
        source.text_length = module->source.length;
        source.file_name = module->file.length ? module->file.data : NULL;
        source.file_name_length = module->file.length;
    }
    source.flags = module->ambient ? REML_EMBED_SOURCE_AMBIENT : 0;
    reml_embed_status_t status = rl_pipeline_load(context, &source);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_str_t before = rl_sym_text(&r->old->program.symbols, module->path);
    rl_str_t after = rl_sym_text(&context->program.symbols, rl_vec_last(&context->program.modules).path);
    if (rl_str_equal(before, after)) return REML_EMBED_STATUS_OK;
    rl_report(&context->diagnostics, RL_CODE_RELOAD_MODULE_RENAMED, (rl_span_t){0, 0}, "module %.*s is now %.*s",
        RL_STR_ARG(before), RL_STR_ARG(after));
    return refused(context);
}

static reml_embed_status_t make(reload_t* r, const reml_embed_source_t* source) {
    rl_context_t* context = r->context;
    const rl_program_t* program = &r->old->program;
    rl_module_id_t host = rl_program_find_host_module(program);
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    kept_diagnostics_t kept = {.kept = false};
    uint32_t sources = 0;
    for (uint32_t i = 0; i < program->modules.count && status == REML_EMBED_STATUS_OK; i++) {
        rl_module_id_t id = program->first_module + i;
        if (id == host) continue;
        status = declare(context, sources++, false);
        if (status == REML_EMBED_STATUS_OK) status = load_module(r, id, source);
        if (status == REML_EMBED_STATUS_OK && id == r->changed) keep_diagnostics(context, &kept);
    }
    if (status == REML_EMBED_STATUS_OK) status = declare(context, sources, true);
    end_diagnostics(context, &kept, status == REML_EMBED_STATUS_OK);
    if (status != REML_EMBED_STATUS_OK) return status;
    r->now = rl_module_by_path(&context->program, r->path);
    /* What had been initialised stays so; the new version is for the run below. */
    for (uint32_t i = 0; i < context->module_states.count; i++) {
        rl_str_t path = rl_sym_text(&context->program.symbols, context->program.modules.data[i].path);
        rl_module_id_t before = rl_module_by_path(program, path);
        if (before && before != r->changed) context->module_states.data[i] = state_of(r->old, before);
    }
    return REML_EMBED_STATUS_OK;
}

/* --- 3 compare -------------------------------------------------------------------------------------------------------- */

static void type_text(const rl_program_t* program, rl_type_t type, rl_buf_t* out) { rl_type_print(program, type, out); }

static void report_state(
    reload_t* r, rl_code_t code, rl_span_t span, rl_str_t name, rl_type_t before, const char* what) {
    rl_buf_t text;
    rl_buf_init(&text, &r->context->allocator);
    type_text(&r->old->program, before, &text);
    rl_report(
        &r->context->diagnostics, code, span, "%.*s: %.*s %s", RL_STR_ARG(name), RL_STR_ARG(rl_buf_str(&text)), what);
    rl_buf_deinit(&text);
}

static bool allowed(const reload_t* r, rl_str_t name) { return rl_target_list_has(r->c.allow, name); }

/* The functions that carry the state, if the old version has one that gives it. */
static void plan_functions(reload_t* r) {
    rl_context_t* context = r->context;
    const rl_program_t *before = &r->old->program, *after = &context->program;
    rl_fn_id_t out = rl_function_of_module(before, r->changed, RL_STR("export_state"));
    const rl_function_t* gives = out ? rl_program_function(before, out) : NULL;
    if (!gives || gives->param_count || gives->type_params || gives->kind != RL_FN_REML) return;
    r->export_state = out;
    if (allowed(r, RL_STR("export_state"))) return;
    rl_fn_id_t in = rl_function_of_module(after, r->now, RL_STR("import_state"));
    rl_fn_id_t over = rl_function_of_module(after, r->now, RL_STR("migrate"));
    const rl_function_t* takes = in ? rl_program_function(after, in) : NULL;
    if (!takes || takes->param_count != 1 || takes->type_params || takes->kind != RL_FN_REML) {
        rl_report(&context->diagnostics, RL_CODE_RELOAD_STATE_LOST, takes ? takes->span : (rl_span_t){0, 0},
            "the old version has export_state, the new one no import_state");
        return;
    }
    rl_types_t* types = &context->program.types;
    rl_type_t result = gives->result, wanted = rl_type_plain(types, rl_program_param(after, takes->param_first)->type);
    const rl_rtype_t* given = rl_corresponding_rtype(&r->c, result);
    r->import_state = in;
    r->given_type = given;
    if (given && given->type == wanted) return;
    const rl_function_t* turns = over ? rl_program_function(after, over) : NULL;
    r->migrate = over;
    if (given && turns && turns->param_count == 1 && !turns->type_params && turns->kind == RL_FN_REML &&
        rl_type_plain(types, rl_program_param(after, turns->param_first)->type) == given->type &&
        rl_type_plain(types, turns->result) == wanted)
        return;
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    type_text(after, wanted, &text);
    report_state(r, RL_CODE_RELOAD_STATE_MISMATCH, rl_program_function(after, in)->span, RL_STR("export_state"), result,
        given ? "is not what import_state takes, and no migrate makes it so" : "is of another form in the new version");
    rl_buf_deinit(&text);
}

static bool is_state(const rl_program_t* program, const rl_global_t* global, rl_allocator_t* allocator) {
    return global->is_host || (global->flags & RL_LOCAL_MUTABLE) || rl_type_has_state(program, global->type, allocator);
}

static bool add_carried(reload_t* r, rl_global_id_t from, rl_global_id_t to, const rl_rtype_t* type) {
    carried_t one = {.to = to, .type = type, .place = UINT32_MAX};
    if (type->rep == RL_REP_R) one.word.o = r->old->vm.globals_r[from];
    else one.word = r->old->vm.globals_s[from];
    return rl_vec_push(&r->context->allocator, &r->state, one);
}

/* A value of the module's own state. */
static void plan_value(reload_t* r, rl_global_id_t id, const rl_global_t* global) {
    const rl_program_t *before = &r->old->program, *after = &r->context->program;
    rl_allocator_t* allocator = &r->context->allocator;
    rl_str_t name = rl_sym_text(&before->symbols, global->name);
    if (!is_state(before, global, allocator)) return;
    rl_global_id_t to;
    bool there =
        rl_global_of_module(after, r->now, name, &to) && is_state(after, rl_program_global(after, to), allocator);
    const rl_rtype_t* type = there ? rl_corresponding_rtype(&r->c, global->type) : NULL;
    bool same = type && type->type == rl_type_plain(&r->context->program.types, rl_program_global(after, to)->type);
    if (same) {
        (void)add_carried(r, id, to, type);
    } else if (!global->is_host && !allowed(r, name)) {
        report_state(r, there ? RL_CODE_RELOAD_STATE_MISMATCH : RL_CODE_RELOAD_STATE_LOST,
            there ? rl_program_global(after, to)->span : (rl_span_t){0, 0}, name, global->type,
            there ? "is of another type now" : "has no place in the new version");
    }
}

/* Values of the other modules stay, all of them: the n-th there is the n-th here. */
static void plan_stay(reload_t* r, rl_global_id_t id, const rl_global_t* global, uint32_t place) {
    const rl_program_t *before = &r->old->program, *after = &r->context->program;
    rl_str_t path = rl_sym_text(&before->symbols, rl_program_module(before, global->module)->path);
    rl_module_id_t module = rl_module_by_path(after, path);
    rl_global_id_t to = 0;
    for (uint32_t i = 0; i < after->globals.count && !to; i++) {
        if (after->globals.data[i].module == module && place-- == 0) to = after->first_global + i;
    }
    const rl_rtype_t* type = to ? rl_corresponding_rtype(&r->c, global->type) : NULL;
    if (type && type->type == rl_type_plain(&r->context->program.types, rl_program_global(after, to)->type)) {
        (void)add_carried(r, id, to, type);
    } else {
        rl_buf_t name;
        rl_buf_init(&name, &r->context->allocator);
        rl_buf_add(&name, path);
        rl_buf_add_char(&name, '.');
        rl_buf_add(&name, rl_sym_text(&before->symbols, global->name));
        report_state(r, RL_CODE_RELOAD_STATE_MISMATCH, (rl_span_t){0, 0}, rl_buf_str(&name), global->type,
            "is of another form in the new version");
        rl_buf_deinit(&name);
    }
}

static reml_embed_status_t compare(reload_t* r) {
    rl_context_t* context = r->context;
    const rl_program_t* before = &r->old->program;
    if (!rl_correspond(context, r->old, r->changed, rl_str(r->options.allow ? r->options.allow : ""), &r->c))
        return refused(context);
    rl_str_t old_source = rl_program_module(before, r->changed)->source;
    rl_str_t new_source = rl_program_module(&context->program, r->now)->source;
    r->changes = !rl_str_equal(old_source, new_source);
    r->changes += rl_compare_exports(&r->c);
    if (state_of(r->old, r->changed) == RL_MODULE_READY) plan_functions(r);
    uint32_t place = 0;
    rl_module_id_t module = 0;
    for (uint32_t i = 0; i < before->globals.count; i++) {
        rl_global_id_t id = before->first_global + i;
        const rl_global_t* global = &before->globals.data[i];
        place = global->module == module ? place + 1 : 0;
        module = global->module;
        if (id >= r->old->vm.global_count || !r->old->vm.globals_set[id]) continue;
        if (module != r->changed) plan_stay(r, id, global, place);
        else if (global->is_host || (state_of(r->old, module) == RL_MODULE_READY && !r->export_state))
            plan_value(r, id, global);
    }
    return context->diagnostics.errors || context->allocator.failed ? refused(context) : REML_EMBED_STATUS_OK;
}

/* --- 4 carry ---------------------------------------------------------------------------------------------------------- */

static const rl_proto_t* proto_of(void* user, const rl_proto_t* proto) { return rl_corresponding_proto(user, proto); }
static const rl_rtype_t* type_of(void* user, const rl_rtype_t* type) {
    return rl_corresponding_rtype(user, type->type);
}

/* What holds a reference that cannot go over. */
static void report_held(reload_t* r, rl_code_t code, rl_str_t what, rl_type_t type) {
    rl_buf_t text;
    rl_buf_init(&text, &r->context->allocator);
    type_text(&r->old->program, type, &text);
    const char* stays = r->cloner.stays ? r->cloner.stays : "a value of a changed type";
    rl_report(&r->context->diagnostics, code, (rl_span_t){0, 0}, "%.*s: %.*s holds %s that stays with the old version",
        RL_STR_ARG(what), RL_STR_ARG(rl_buf_str(&text)), stays);
    rl_buf_deinit(&text);
}

static bool memory_is_short(const reload_t* r) { return r->context->allocator.failed; }

static bool carry_values(reload_t* r, bool let_go) {
    rl_context_t* context = r->context;
    for (uint32_t i = 1; i < r->held.values.count; i++) {
        rl_held_value_t* held = &r->held.values.data[i];
        if (!held->generation) continue;
        const rl_rtype_t* before = held->type;
        rl_object_t* object = before->rep == RL_REP_R ? held->word.o : NULL;
        r->cloner.stays = NULL;
        held->type = rl_corresponding_rtype(&r->c, before->type);
        if (held->type && object && !rl_clone(&r->cloner, object, &held->word.o)) held->type = NULL;
        uint32_t row;
        if (held->type && context->handles.data[i].counted &&
            rl_map_get(&context->cells.by_object, (uint64_t)(uintptr_t)object, &row))
            (void)rl_map_put(&context->allocator, &r->held.cells, (uint64_t)(uintptr_t)held->word.o, row);
        if (memory_is_short(r)) return false;
        if (held->type) continue;
        held->word.u = 0;
        if (!let_go) report_held(r, RL_CODE_RELOAD_VALUE_HELD, RL_STR("a value of the host"), before->type);
    }
    return true;
}

/* Name of the function behind an entry: "Order.total". */
static void function_name(const rl_program_t* program, const rl_proto_t* proto, rl_buf_t* out) {
    const rl_function_t* function = rl_program_function(program, proto->function);
    if (function->owner) {
        rl_buf_add(out, rl_sym_text(&program->symbols, rl_program_typedef(program, function->owner)->name));
        rl_buf_add_char(out, '.');
    }
    rl_buf_add(out, proto->name);
}

static bool carry_functions(reload_t* r, bool let_go) {
    for (uint32_t i = 1; i < r->held.functions.count; i++) {
        rl_held_function_t* held = &r->held.functions.data[i];
        if (!held->generation) continue;
        const rl_proto_t* before = held->proto;
        bool found;
        if (held->closure) {
            found = rl_clone(&r->cloner, held->closure, &held->closure);
            held->proto = found ? rl_object_words(held->closure)[held->closure->refs].p : NULL;
        } else {
            held->proto = rl_corresponding_proto(&r->c, before);
            found = held->proto != NULL;
        }
        if (memory_is_short(r)) return false;
        if (found) continue;
        rl_buf_t name;
        rl_buf_init(&name, &r->context->allocator);
        function_name(&r->old->program, before, &name);
        if (!let_go && !allowed(r, rl_buf_str(&name)))
            rl_report(&r->context->diagnostics, RL_CODE_RELOAD_VALUE_HELD, (rl_span_t){0, 0},
                "%.*s: the host holds this function, and the new version has none of its name and signature",
                RL_STR_ARG(rl_buf_str(&name)));
        rl_buf_deinit(&name);
    }
    return true;
}

/* State that is put in its place when the module has been initialised waits in a Vec. */
static bool pack(rl_context_t* context, rl_word_t* word, uint32_t* out_place) {
    if (!context->carried) {
        rl_vector_t* parcel = rl_vector_make(&context->vm, RL_ELEM_REF, 8);
        if (!parcel) return false;
        context->carried = &parcel->header;
    }
    rl_vector_t* parcel = (rl_vector_t*)context->carried;
    if (parcel->length == parcel->capacity) {
        size_t size = parcel->capacity * sizeof(rl_object_t*);
        void* more = rl_heap_buffer(&context->vm.heap, parcel->data, size, 2 * size);
        if (!more) return false;
        parcel->data = more;
        parcel->capacity *= 2;
    }
    *out_place = parcel->length;
    ((rl_object_t**)parcel->data)[parcel->length++] = word->o;
    return true;
}

static rl_word_t unpack(const rl_context_t* context, rl_word_t word, uint32_t place) {
    if (place != UINT32_MAX) word.o = ((rl_object_t**)((const rl_vector_t*)context->carried)->data)[place];
    return word;
}

static bool carry_state(reload_t* r) {
    rl_context_t* context = r->context;
    for (uint32_t i = 0; i < r->state.count; i++) {
        carried_t* one = &r->state.data[i];
        rl_global_t global = *rl_program_global(&context->program, one->to);
        if (one->type->rep == RL_REP_R && !rl_clone(&r->cloner, one->word.o, &one->word.o)) {
            if (memory_is_short(r)) return false;
            rl_global_id_t id = one->to;
            report_held(r, RL_CODE_RELOAD_STATE_MISMATCH,
                rl_sym_text(&context->program.symbols, rl_program_global(&context->program, id)->name),
                rl_program_global(&context->program, id)->type);
            continue;
        }
        if (global.module != r->now || global.is_host) rl_host_store_global(context, one->to, one->type, one->word);
        else if (one->type->rep == RL_REP_R && !pack(context, &one->word, &one->place)) return false;
    }
    if (r->given_type && r->import_state) {
        r->given = r->exported;
        if (r->given_type->rep == RL_REP_R && !rl_clone(&r->cloner, r->exported.o, &r->given.o)) {
            if (memory_is_short(r)) return false;
            report_held(
                r, RL_CODE_RELOAD_STATE_MISMATCH, RL_STR("export_state"), r->export_type ? r->export_type->type : 0);
            return true;
        }
        uint32_t place;
        if (r->given_type->rep == RL_REP_R && !pack(context, &r->given, &place)) return false;
    }
    return true;
}

/* Run export_state of the old version, which is put in place for it. */
static reml_embed_status_t export_state(reload_t* r) {
    rl_context_t* context = r->context;
    if (!r->import_state) return REML_EMBED_STATUS_OK;
    rl_edition_exchange(context, r->old);
    rl_edition_restore_names(context, r->old);
    r->ran = true;
    reml_embed_status_t status = rl_run_begin(context);
    if (status == REML_EMBED_STATUS_OK) {
        rl_proto_t* proto = rl_pipeline_instance(context, r->export_state, NULL, 0, false);
        if (!proto) status = rl_status_of_code(context->error_code);
        rl_word_t result = {.u = 0};
        bool done = proto && rl_vm_call(&context->vm, proto, NULL, NULL, &result) == RL_DONE;
        rl_run_settle(context, result, proto && proto->result_rep == RL_REP_R);
        if (proto && !done) status = rl_context_fail_from_vm(context);
        rl_run_end(context);
        r->exported = result;
        r->export_type = proto ? proto->result_type : NULL;
    }
    rl_edition_exchange(context, r->old);
    if (status == REML_EMBED_STATUS_OK && !rl_edition_move_names(context, r->old)) status = refused(context);
    r->ran = status != REML_EMBED_STATUS_OK;
    return status;
}

static reml_embed_status_t carry(reload_t* r) {
    rl_context_t* context = r->context;
    bool let_go = (r->options.flags & REML_EMBED_RELOAD_LET_GO) != 0;
    rl_cloner_init(&r->cloner, &context->vm);
    r->cloner.user = &r->c;
    r->cloner.proto_of = proto_of;
    r->cloner.type_of = type_of;
    bool fine = rl_held_keep(context, &r->old->held) && rl_held_keep(context, &r->held) && carry_values(r, let_go) &&
                carry_functions(r, let_go) && carry_state(r);
    if (!fine || context->allocator.failed || context->diagnostics.errors) return refused(context);
    return REML_EMBED_STATUS_OK;
}

/* --- 5 run ------------------------------------------------------------------------------------------------------------ */

static reml_embed_status_t call(
    rl_context_t* context, rl_fn_id_t function, const rl_rtype_t* type, rl_word_t argument, rl_word_t* result) {
    rl_proto_t* proto = rl_pipeline_instance(context, function, NULL, 0, false);
    if (!proto) return rl_status_of_code(context->error_code);
    rl_word_t s[1] = {argument};
    rl_object_t* r[1] = {type && type->rep == RL_REP_R ? argument.o : NULL};
    if (rl_vm_call(&context->vm, proto, s, r, result) == RL_DONE) return REML_EMBED_STATUS_OK;
    rl_run_settle(context, *result, false);
    return rl_context_fail_from_vm(context);
}

static reml_embed_status_t run_inside(reload_t* r) {
    rl_context_t* context = r->context;
    uint32_t at = r->now - context->program.first_module;
    rl_fn_id_t init = rl_program_module(&context->program, r->now)->init;
    rl_word_t result;
    context->module_states.data[at] = RL_MODULE_RUNNING;
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    if (init) status = call(context, init, NULL, (rl_word_t){0}, &result);
    if (status != REML_EMBED_STATUS_OK) return status;
    context->module_states.data[at] = RL_MODULE_READY;
    for (uint32_t i = 0; i < r->state.count; i++) {
        const carried_t* one = &r->state.data[i];
        const rl_global_t* global = rl_program_global(&context->program, one->to);
        if (global->module != r->now || global->is_host) continue;
        rl_host_store_global(context, one->to, one->type, unpack(context, one->word, one->place));
    }
    if (!r->import_state) return status;
    rl_word_t value = r->given;
    const rl_rtype_t* type = r->given_type;
    if (r->migrate) {
        status = call(context, r->migrate, type, value, &value);
        if (status != REML_EMBED_STATUS_OK) return status;
        rl_proto_t* proto = rl_pipeline_instance(context, r->migrate, NULL, 0, false);
        if (!proto) return rl_status_of_code(context->error_code);
        type = proto->result_type;
        uint32_t place;
        if (type->rep == RL_REP_R && !pack(context, &value, &place)) return out_of_memory(context);
    }
    return call(context, r->import_state, type, value, &result);
}

static reml_embed_status_t run(reload_t* r) {
    rl_context_t* context = r->context;
    if (state_of(r->old, r->changed) != RL_MODULE_READY) return REML_EMBED_STATUS_OK;
    r->ran = true;
    reml_embed_status_t status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    status = run_inside(r);
    rl_run_end(context);
    return status;
}

/* --- 6 records -------------------------------------------------------------------------------------------------------- */

static void make_run_id(char out[37]) {
    unsigned char bytes[16];
    if (!rl_os_random(bytes, sizeof bytes)) {
        uint64_t ticks[2] = {rl_os_ticks(), (uint64_t)rl_os_wall_ns()};
        memcpy(bytes, ticks, sizeof bytes);
    }
    bytes[6] = (unsigned char)((bytes[6] & 15) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 63) | 0x80);
    static const char digits[] = "0123456789abcdef";
    char* at = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at = '\0';
}

/* "2026-03-02T08:34:10.250Z" */
static void time_text(int64_t ns, char out[32]) {
    size_t length = rl_os_print_rfc3339(ns, out);
    snprintf(out + length - 1, 32 - length + 1, ".%03uZ", (unsigned)(ns / 1000000 % 1000) % 1000);
}

/* What a record tells; which of it depends on its kind. */
typedef struct told {
    const char *kind, *outcome;
    uint32_t changes;
    bool breaking;
    const char* run_id;    /* of the new version; NULL: none came of it */
    const char* state_run; /* of the version that is or was replaced */
    int64_t state_at;
} told_t;

static void begin_event(rl_json_t* json, const char* kind) {
    rl_json_key(json, "event");
    rl_json_object_begin(json);
    rl_json_member(json, "event", rl_str(kind));
}

static void bridge_event(const reload_t* r, rl_json_t* json, const told_t* told, rl_str_t id) {
    char when[32];
    time_text(told->state_at, when);
    begin_event(json, told->kind);
    rl_json_member(json, "bridge_id", id);
    rl_json_member(json, "stage", RL_STR("beta"));
    rl_json_member(json, "audit_id", rl_str(r->audit_id));
    rl_json_key(json, "diff");
    rl_json_object_begin(json);
    rl_json_key(json, "change_set");
    rl_json_u64(json, told->changes);
    rl_json_key(json, "breaking");
    rl_json_bool(json, told->breaking);
    rl_json_object_end(json);
    rl_json_key(json, "state");
    rl_json_object_begin(json);
    rl_json_member(json, "run_id", rl_str(told->state_run));
    rl_json_member(json, "last_applied_at", rl_str(when));
    rl_json_object_end(json);
    if (strcmp(told->kind, "bridge.rollback") == 0) rl_json_member(json, "status", rl_str(told->outcome));
    rl_json_object_end(json);
}

static void write_metadata(const reload_t* r, const told_t* told, rl_buf_t* out) {
    rl_buf_t id;
    rl_buf_init(&id, out->allocator);
    rl_buf_add_cstr(&id, "module.");
    rl_buf_add(&id, r->path);
    bool flat = strcmp(told->kind, "reml.reload") == 0, parser = strcmp(told->kind, "parser.reload") == 0;
    rl_json_t json = rl_json_begin(out);
    rl_json_object_begin(&json);
    rl_json_member(&json, "bridge.capability", RL_STR("core.runtime.bridge"));
    rl_json_member(&json, "bridge.id", rl_buf_str(&id));
    rl_json_member(&json, "bridge.stage.required", RL_STR("at_least:beta"));
    rl_json_member(&json, "bridge.stage.actual", RL_STR("beta"));
    if (parser) {
        rl_json_key(&json, "config.change_set.total");
        rl_json_u64(&json, told->changes);
        rl_json_member(&json, "reload.run_id", rl_str(told->run_id));
    } else if (flat) {
        begin_event(&json, told->kind);
        rl_json_member(&json, "audit_id", rl_str(r->audit_id));
        rl_json_key(&json, "change_set");
        rl_json_u64(&json, told->changes);
        rl_json_object_end(&json);
    } else {
        rl_json_member(&json, "bridge.reload", rl_str(told->outcome));
        bridge_event(r, &json, told, rl_buf_str(&id));
    }
    rl_json_object_end(&json);
    if (id.failed) out->failed = true;
    rl_buf_deinit(&id);
}

/* One record under the id of the action, which the first one makes up where the host named none. */
static reml_embed_status_t record(reload_t* r, const told_t* told) {
    rl_context_t* context = r->context;
    rl_buf_t metadata;
    rl_buf_init(&metadata, &context->allocator);
    write_metadata(r, told, &metadata);
    rl_host_record_t made = {.kind = rl_str(told->kind),
        .category = RL_STR("bridge"),
        .capability = RL_STR("core.runtime.bridge"),
        .channel = RL_STR("bridge"),
        .audit_id = rl_str(r->audit_id),
        .metadata = rl_buf_str(&metadata)};
    rl_audit_result_t result =
        metadata.failed ? RL_AUDIT_NO_MEMORY : rl_audit_host_record(&context->audit, &made, r->audit_id);
    rl_buf_deinit(&metadata);
    if (result == RL_AUDIT_OK) return REML_EMBED_STATUS_OK;
    if (result == RL_AUDIT_NO_MEMORY) return out_of_memory(context);
    return rl_context_fail(context, rl_status_of_audit(result), RL_CODE_AUDIT_UNAVAILABLE, "audit.unavailable: %s",
        rl_audit_problem(&context->audit));
}

static reml_embed_status_t record_success(reload_t* r, const char* run_id) {
    static const char* const kinds[] = {"parser.reload", "reml.reload", "bridge.reload"};
    for (unsigned i = 0; i < RL_COUNT_OF(kinds); i++) {
        told_t told = {.kind = kinds[i],
            .outcome = "applied",
            .changes = r->changes,
            .run_id = run_id,
            .state_run = r->old->run_id,
            .state_at = r->old->applied_ns};
        reml_embed_status_t status = record(r, &told);
        if (status != REML_EMBED_STATUS_OK) return status;
    }
    return REML_EMBED_STATUS_OK;
}

/* What did not happen: a log that fails does not hide why. The old version is in place again. */
static void record_failure(reload_t* r, const char* kind, const char* outcome, reml_embed_status_t status) {
    rl_context_t* context = r->context;
    if (status == REML_EMBED_STATUS_AUDIT_UNAVAILABLE) return;
    rl_buf_t error = context->error;
    bool has_error = context->has_error;
    rl_code_t code = context->error_code;
    rl_buf_init(&context->error, &context->allocator);
    told_t told = {.kind = kind,
        .outcome = outcome,
        .changes = r->changes,
        .breaking = strcmp(outcome, "rejected") == 0,
        .state_run = context->run_id,
        .state_at = context->applied_ns};
    (void)record(r, &told);
    rl_buf_deinit(&context->error);
    context->error = error;
    context->has_error = has_error;
    context->error_code = code;
    rl_alloc_clear_failure(&context->allocator);
}

/* --- the whole -------------------------------------------------------------------------------------------------------- */

/* Texts of diagnostics that lie in a program which goes: copied, or left out. */
static void own_diagnostics(rl_context_t* context) {
    rl_diags_t* diags = &context->diagnostics;
    rl_str_t source = rl_arena_copy(&context->diag_arena, diags->source);
    if (source.length != diags->source.length) {
        for (uint32_t i = 0; i < diags->items.count; i++) diags->items.data[i].has_span = false;
    }
    diags->source = source;
    diags->file = rl_arena_copy(&context->diag_arena, diags->file);
    diags->module = rl_arena_copy(&context->diag_arena, diags->module);
    for (uint32_t i = 0; i < diags->items.count; i++) {
        rl_diag_t* diag = &diags->items.data[i];
        for (uint32_t k = 0; k < diag->stack.count; k++) {
            rl_stack_entry_t* entry = &diag->stack.data[k];
            entry->function = rl_arena_copy(&context->diag_arena, entry->function);
            entry->module = rl_arena_copy(&context->diag_arena, entry->module);
        }
    }
    rl_alloc_clear_failure(&context->allocator);
}

static void begin(reload_t* r, rl_context_t* context) {
    r->result_type = context->result_type;
    r->result = context->result;
    r->result_handle = context->result_handle;
    context->result_type = NULL;
    context->result_handle = (reml_value_t){0};
    context->reloading = true;
    rl_edition_exchange(context, r->old);
}

static void end(reload_t* r) {
    rl_context_t* context = r->context;
    rl_correspondence_deinit(&r->c);
    if (r->cloner.vm) rl_cloner_deinit(&r->cloner);
    rl_held_deinit(context, &r->held);
    rl_vec_deinit(&context->allocator, &r->state);
    context->carried = NULL;
    context->reloading = false;
}

/* What was in place is so again, as it was. `fresh`: what is in place now is not kept for later. */
static void undo(reload_t* r) {
    rl_context_t* context = r->context;
    uint64_t epoch = context->vm.foreign_epoch;
    context->carried = NULL;
    if (r->swapped) rl_held_undo(context, &r->old->held);
    rl_edition_exchange(context, r->old);
    rl_edition_restore_names(context, r->old);
    if (epoch > context->vm.foreign_epoch) context->vm.foreign_epoch = epoch;
    rl_edition_connect(context);
    context->result_type = r->result_type;
    context->result = r->result;
    context->result_handle = r->result_handle;
}

/* The loan of a result ends with its version. */
static void drop_result(reload_t* r) {
    if (r->result_handle.context) rl_handle_end_loan(r->context, r->result_handle);
}

static reml_embed_status_t attempt(reload_t* r, const reml_embed_source_t* source) {
    rl_context_t* context = r->context;
    if (!rl_edition_make(context, r->old) || !rl_edition_move_names(context, r->old)) return out_of_memory(context);
    reml_embed_status_t status = find_module(r, source);
    if (status == REML_EMBED_STATUS_OK) status = make(r, source);
    if (status == REML_EMBED_STATUS_OK) status = compare(r);
    bool dry = (r->options.flags & REML_EMBED_RELOAD_DRY_RUN) != 0;
    if (status == REML_EMBED_STATUS_OK && !dry) status = export_state(r);
    if (status == REML_EMBED_STATUS_OK && dry) r->import_state = 0;
    if (status == REML_EMBED_STATUS_OK) status = carry(r);
    if (status != REML_EMBED_STATUS_OK || dry) return status;
    rl_held_use(context, &r->held, &r->old->held);
    r->swapped = true;
    status = run(r);
    return status;
}

static void count_ready(rl_context_t* context) {
    context->modules_ready = 0;
    while (context->modules_ready < context->module_states.count &&
           context->module_states.data[context->modules_ready] == RL_MODULE_READY)
        context->modules_ready++;
}

static reml_embed_status_t prepare(rl_context_t* context, rl_edition_t** out) {
    rl_alloc_clear_failure(&context->allocator);
    rl_diags_clear(&context->diagnostics);
    rl_arena_deinit(&context->diag_arena);
    context->diagnostics.source = context->diagnostics.file = context->diagnostics.module = (rl_str_t){NULL, 0};
    bool busy = context->depth || context->frozen || context->audit.delivering || context->reloading ||
                rl_promises_pending(context);
    for (uint32_t i = 1; i < context->jobs.count && !busy; i++) busy = context->jobs.data[i]->used;
    if (busy) {
        return rl_context_fail(context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "the context is running, or something waits in it");
    }
    rl_audit_result_t ready = rl_audit_ready(&context->audit);
    if (ready != RL_AUDIT_OK) {
        return rl_context_fail(context, rl_status_of_audit(ready), RL_CODE_AUDIT_UNAVAILABLE, "audit.unavailable: %s",
            rl_audit_problem(&context->audit));
    }
    if (!context->run_id[0]) { /* of the first version */
        make_run_id(context->run_id);
        context->applied_ns = rl_os_wall_ns();
    }
    rl_edition_t* made = rl_alloc_zero(&context->allocator, sizeof *made);
    if (made && rl_edition_keep_names(context, made)) {
        *out = made;
        return REML_EMBED_STATUS_OK;
    }
    if (made) rl_edition_free_empty(context, made);
    return out_of_memory(context);
}

static void forget_previous(rl_context_t* context) {
    rl_edition_t* previous = context->previous;
    context->previous = NULL;
    if (previous) rl_edition_free(context, previous);
}

void rl_reload_deinit(rl_context_t* context) { forget_previous(context); }

static reml_embed_status_t reload(
    rl_context_t* context, const reml_embed_source_t* source, const reml_embed_reload_t* o) {
    reload_t r = {.context = context, .options = *o, .path = rl_str(o->module ? o->module : "unknown")};
    if (o->audit_id) memcpy(r.audit_id, o->audit_id, 37);
    reml_embed_status_t status = prepare(context, &r.old);
    if (status != REML_EMBED_STATUS_OK) return status;
    begin(&r, context);
    status = attempt(&r, source);
    bool dry = (o->flags & REML_EMBED_RELOAD_DRY_RUN) != 0;
    if (status == REML_EMBED_STATUS_OK && !dry) {
        make_run_id(context->run_id);
        context->applied_ns = rl_os_wall_ns();
        status = record_success(&r, context->run_id);
        r.ran = true;
    }
    if (status == REML_EMBED_STATUS_OK && !dry) {
        context->carried = NULL;
        count_ready(context);
        drop_result(&r);
        rl_held_commit(context, &r.held);
        forget_previous(context);
        context->loaded = true;
        context->previous = r.old;
        r.old->replaced = r.changed;
        if (o->flags & REML_EMBED_RELOAD_FORGET) forget_previous(context);
        end(&r);
        rl_foreign_settle(context);
        return status;
    }
    own_diagnostics(context);
    rl_promises_forget(context);
    undo(&r);
    end(&r);
    /* Its path lies in the program that is in place again. */
    if (!dry) record_failure(&r, "bridge.reload", r.ran ? "failed" : "rejected", status);
    rl_edition_free(context, r.old);
    rl_foreign_settle(context);
    return status;
}

static bool valid_options(const reml_embed_reload_t* o) {
    const uint32_t known = REML_EMBED_RELOAD_DRY_RUN | REML_EMBED_RELOAD_LET_GO | REML_EMBED_RELOAD_FORGET;
    const char* const texts[] = {o->module, o->allow, o->audit_id};
    for (unsigned i = 0; i < RL_COUNT_OF(texts); i++) {
        if (texts[i] && rl_utf8_validate(rl_str(texts[i])) != strlen(texts[i])) return false;
    }
    return !(o->flags & ~known) && (!o->audit_id || strlen(o->audit_id) == 36);
}

reml_embed_status_t reml_embed_reload_module(
    reml_embed_context_t* id, const reml_embed_source_t* given, const reml_embed_reload_t* options) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    reml_embed_reload_t o = REML_EMBED_RELOAD_INIT;
    if (!given || !rl_copy_versioned(&source, sizeof source, given, given->struct_size) || source.flags ||
        (options && !rl_copy_versioned(&o, sizeof o, options, options->struct_size)) || !valid_options(&o)) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "invalid argument: reload");
    }
    if (!source.text || source.text_length == 0) {
        return rl_context_fail(
            context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "source is empty");
    }
    return reload(context, &source, &o);
}

/* --- the way back ----------------------------------------------------------------------------------------------------- */

/* Rows that were there when the version before was replaced are what they were; the others are what stands for them. */
static bool carry_back(reload_t* r, const rl_held_t* then) {
    rl_context_t* context = r->context;
    if (!rl_held_keep(context, &r->held)) return false;
    for (uint32_t i = 1; i < r->held.values.count; i++) {
        rl_held_value_t* held = &r->held.values.data[i];
        if (!held->generation) continue;
        const rl_held_value_t* before = i < then->values.count ? &then->values.data[i] : NULL;
        rl_object_t* object = held->type->rep == RL_REP_R ? held->word.o : NULL;
        if (before && before->generation == held->generation && before->type) {
            held->type = before->type;
            held->word = before->word;
        } else {
            held->type = rl_corresponding_rtype(&r->c, held->type->type);
            if (held->type && object && !rl_clone(&r->cloner, object, &held->word.o)) held->type = NULL;
            if (!held->type) held->word.u = 0;
        }
        uint32_t row;
        if (held->type && context->handles.data[i].counted &&
            rl_map_get(&context->cells.by_object, (uint64_t)(uintptr_t)object, &row))
            (void)rl_map_put(&context->allocator, &r->held.cells, (uint64_t)(uintptr_t)held->word.o, row);
        if (memory_is_short(r)) return false;
    }
    for (uint32_t i = 1; i < r->held.functions.count; i++) {
        rl_held_function_t* held = &r->held.functions.data[i];
        if (!held->generation) continue;
        const rl_held_function_t* before = i < then->functions.count ? &then->functions.data[i] : NULL;
        if (before && before->generation == held->generation && before->proto) {
            held->proto = before->proto;
            held->closure = before->closure;
        } else if (held->closure) {
            bool found = rl_clone(&r->cloner, held->closure, &held->closure);
            held->proto = found ? rl_object_words(held->closure)[held->closure->refs].p : NULL;
        } else {
            held->proto = rl_corresponding_proto(&r->c, held->proto);
        }
        if (memory_is_short(r)) return false;
    }
    return true;
}

static reml_embed_status_t go_back(reload_t* r, const rl_held_t* then) {
    rl_context_t* context = r->context;
    rl_module_id_t changed = rl_module_by_path(&r->old->program, r->path);
    if (!rl_edition_move_names(context, r->old) || !rl_correspond(context, r->old, changed, (rl_str_t){NULL, 0}, &r->c))
        return out_of_memory(context);
    rl_cloner_init(&r->cloner, &context->vm);
    r->cloner.user = &r->c;
    r->cloner.proto_of = proto_of;
    r->cloner.type_of = type_of;
    if (!carry_back(r, then) || context->allocator.failed) return out_of_memory(context);
    told_t told = {.kind = "bridge.rollback",
        .outcome = "rolled_back",
        .changes = 1,
        .state_run = r->old->run_id,
        .state_at = r->old->applied_ns};
    return record(r, &told);
}

static reml_embed_status_t rollback(rl_context_t* context, const char* audit_id) {
    reload_t r = {.context = context};
    if (audit_id) memcpy(r.audit_id, audit_id, 37);
    reml_embed_status_t status = prepare(context, &r.old);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_edition_t* previous = context->previous;
    if (!previous) {
        rl_edition_free_empty(context, r.old);
        rl_report(&context->diagnostics, RL_CODE_RELOAD_ROLLBACK_NONE, (rl_span_t){0, 0}, "there is no earlier version")
            ->has_span = false;
        r.path = RL_STR("main");
        status = rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_RELOAD_ROLLBACK_NONE,
            "%s: there is no earlier version", rl_code_text(RL_CODE_RELOAD_ROLLBACK_NONE));
        record_failure(&r, "bridge.rollback", "failed", status);
        return status;
    }
    r.path = rl_sym_text(&previous->program.symbols, rl_program_module(&previous->program, previous->replaced)->path);
    begin(&r, context);
    rl_edition_exchange(context, previous); /* what is in place is the version before; `previous` is empty */
    rl_edition_settle(context, r.old);
    status = go_back(&r, &previous->held);
    if (status == REML_EMBED_STATUS_OK) {
        rl_held_use(context, &r.held, &r.old->held);
        drop_result(&r);
        rl_held_commit(context, &r.held);
        context->previous = NULL;
        end(&r);
        rl_edition_free(context, r.old);
        rl_edition_free_empty(context, previous);
        rl_foreign_settle(context);
        return status;
    }
    rl_edition_exchange(context, previous);
    undo(&r);
    end(&r);
    rl_edition_free_empty(context, r.old);
    record_failure(&r, "bridge.rollback", "failed", status);
    return status;
}

reml_embed_status_t reml_embed_rollback_module(reml_embed_context_t* id, const char* audit_id) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    if (audit_id && (strlen(audit_id) != 36 || rl_utf8_validate(rl_str(audit_id)) != 36)) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "invalid argument: audit_id");
    }
    return rollback(context, audit_id);
}
