/* Names: local scopes, items of modules, `use`, what is visible (LANGUAGE 3.2–3.4). */
#include "types/infer.h"

/* --- local scopes ------------------------------------------------------------------------------------------------- */

uint32_t rl_scope_open(rl_checker_t* c) { return c->bindings.count; }

void rl_scope_close(rl_checker_t* c, uint32_t mark) {
    while (c->bindings.count > mark) {
        rl_binding_t binding = rl_vec_pop(&c->bindings);
        c->innermost.data[binding.name] = binding.shadowed;
    }
}

void rl_bind(rl_checker_t* c, rl_sym_t name, rl_binding_kind_t kind, uint32_t index) {
    if (name == 0) return;
    if (name >= c->innermost.count) {
        uint32_t wanted = name + 1 - c->innermost.count + 256;
        if (!rl_vec_reserve(c->allocator, &c->innermost, wanted)) return;
        memset(c->innermost.data + c->innermost.count, 0, (size_t)wanted * sizeof(uint32_t));
        c->innermost.count += wanted;
    }
    rl_binding_t binding = {name, kind, index, c->innermost.data[name]};
    if (rl_vec_push(c->allocator, &c->bindings, binding)) c->innermost.data[name] = c->bindings.count;
}

const rl_binding_t* rl_find_binding(rl_checker_t* c, rl_sym_t name) {
    if (name >= c->innermost.count || c->innermost.data[name] == 0) return NULL;
    return &c->bindings.data[c->innermost.data[name] - 1];
}

/* --- items -------------------------------------------------------------------------------------------------------- */

uint32_t rl_find_in_module(rl_checker_t* c, rl_module_id_t module, unsigned namespace_id, rl_sym_t name) {
    return rl_program_find(c->program, module, namespace_id, name);
}

static uint32_t find_public(rl_checker_t* c, rl_module_id_t module, unsigned namespace_id, rl_sym_t name) {
    uint32_t item = rl_program_find(c->program, module, namespace_id, name);
    while (item && !c->host_eyes && !rl_program_item(c->program, item)->is_public)
        item = rl_program_item(c->program, item)->next;
    return item;
}

uint32_t rl_find_item(rl_checker_t* c, unsigned namespace_id, rl_sym_t name) {
    if (name == 0) return 0;
    uint32_t item = rl_program_find(c->program, c->module, namespace_id, name);
    if (item) return item;
    uint64_t key = rl_map_key2(namespace_id + 1, name);
    uint32_t cached;
    if (rl_map_get(&c->lookup_cache, key, &cached)) return cached;
    for (uint32_t i = 0; i < c->ambient.count && item == 0; i++)
        item = find_public(c, c->ambient.data[i], namespace_id, name);
    (void)rl_map_put(c->allocator, &c->lookup_cache, key, item);
    return item;
}

static uint32_t find_kind(rl_checker_t* c, rl_sym_t name, rl_item_kind_t kind) {
    uint32_t item = rl_find_item(c, 0, name);
    return item && rl_program_item(c->program, item)->kind == kind ? item : 0;
}
uint32_t rl_find_type_item(rl_checker_t* c, rl_sym_t name) { return find_kind(c, name, RL_ITEM_TYPEDEF); }
uint32_t rl_find_trait_item(rl_checker_t* c, rl_sym_t name) { return find_kind(c, name, RL_ITEM_TRAIT); }

uint32_t rl_find_type_in(rl_checker_t* c, rl_module_id_t module, rl_sym_t name) {
    uint32_t item = rl_find_in_module(c, module, 0, name);
    return item && rl_program_item(c->program, item)->kind == RL_ITEM_TYPEDEF ? item : 0;
}

bool rl_check_visible(rl_checker_t* c, uint32_t item, rl_span_t span) {
    const rl_item_t* entry = rl_program_item(c->program, item);
    if (entry->is_public || entry->module == c->module || c->host_eyes) return true;
    /* Constructors of prelude types are out of sight, so that only `T.C` finds them; there the type counts. */
    if (entry->kind == RL_ITEM_VARIANT && rl_program_typedef(c->program, entry->id)->is_public) return true;
    rl_str_t name = rl_text(c, entry->name), module = rl_text(c, rl_program_module(c->program, entry->module)->path);
    rl_report(c->diags, RL_CODE_LANGUAGE_VISIBILITY_PRIVATE, span, "%.*s is private to module %.*s", RL_STR_ARG(name),
        RL_STR_ARG(module));
    return false;
}

static bool has_non_ascii(rl_str_t text) {
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] >= 0x80) return true;
    }
    return false;
}

static uint32_t link_item(
    rl_checker_t* c, rl_module_id_t module, unsigned namespace_id, rl_item_t item, uint32_t last) {
    rl_program_t* program = c->program;
    uint32_t id = program->first_item + program->items.count;
    if (!rl_vec_push(c->allocator, &program->items, item)) return 0;
    if (last) {
        rl_item_t* before = &program->items.data[last - program->first_item];
        program->items.data[id - program->first_item].next = before->next;
        before->next = id;
    } else (void)rl_map_put(c->allocator, &program->item_map, rl_map_key2(module << 3 | namespace_id, item.name), id);
    return id;
}

uint32_t rl_self_item(rl_checker_t* c) {
    rl_typedef_id_t id = c->self_type ? rl_named_id(c, c->self_type) : 0;
    if (!id) return 0;
    const rl_typedef_t def = *rl_program_typedef(c->program, id);
    return rl_program_find(c->program, def.module, 0, def.name);
}

void rl_add_module_name(rl_checker_t* c, rl_module_id_t owner, rl_sym_t name, rl_module_id_t module) {
    uint32_t last = 0;
    for (uint32_t at = rl_program_find(c->program, owner, 2, name); at; at = rl_program_item(c->program, at)->next) {
        if (at >= c->program->first_item) last = at;
    }
    rl_item_t item = {.module = owner, .name = name, .kind = RL_ITEM_MODULE, .is_public = true, .id = module};
    (void)link_item(c, owner, 2, item, last);
}

/* Module in which what an item means was declared. */
static rl_module_id_t home_of(rl_checker_t* c, const rl_item_t* item) {
    switch ((rl_item_kind_t)item->kind) {
    case RL_ITEM_HANDLER:
    case RL_ITEM_FUNCTION: return rl_program_function(c->program, item->id)->module;
    case RL_ITEM_EFFECT: return rl_program_effect(c->program, item->id)->module;
    case RL_ITEM_GLOBAL: return rl_program_global(c->program, item->id)->module;
    case RL_ITEM_TYPEDEF:
    case RL_ITEM_VARIANT: return rl_program_typedef(c->program, item->id)->module;
    case RL_ITEM_TRAIT: return rl_program_trait(c->program, item->id)->module;
    default: return c->module;
    }
}

uint32_t rl_add_item(rl_checker_t* c, unsigned namespace_id, rl_sym_t name, rl_item_kind_t kind, uint32_t id,
    uint32_t variant, bool is_public, rl_span_t span, bool by_use) {
    if (name == 0) return 0;
    uint32_t existing = rl_program_find(c->program, c->module, namespace_id, name), last = 0, passed = 0;
    for (uint32_t at = existing; at; at = rl_program_item(c->program, at)->next) {
        const rl_item_t* item = rl_program_item(c->program, at);
        last = at;
        if (item->kind == kind && item->id == id && item->variant == variant) return at;
        if (item->kind == RL_ITEM_VARIANT && kind == RL_ITEM_VARIANT && item->id != id) {
            if (!by_use && ++passed == 64) break; /* a chain of constructors holds nothing else */
            continue;
        }
        rl_str_t text = rl_text(c, name);
        if (!by_use && home_of(c, item) != c->module) { /* a `use` stands against what is declared here */
            by_use = true;
            span = item->span;
        }
        rl_code_t code = by_use                                     ? RL_CODE_LANGUAGE_USE_CONFLICT
                         : namespace_id == 1 && has_non_ascii(text) ? RL_CODE_LANGUAGE_SHADOWING_UNICODE
                                                                    : RL_CODE_LANGUAGE_DUPLICATE_DEFINITION;
        rl_span_t before = item->span;
        rl_diag_t* diag = rl_report(c->diags, code, span,
            by_use ? "%.*s is already a name of this module" : "%.*s is defined twice", RL_STR_ARG(text));
        if (before.end > before.start) rl_note(c->diags, diag, before, "first defined here");
        return 0;
    }
    rl_item_t item = {.module = c->module,
        .name = name,
        .kind = (uint8_t)kind,
        .is_public = is_public,
        .id = id,
        .variant = variant,
        .span = span};
    return link_item(c, c->module, namespace_id, item, last);
}

rl_sym_t rl_join_names(rl_checker_t* c, rl_sym_t left, rl_sym_t right, bool intern) {
    rl_str_t a = rl_text(c, left), b = rl_text(c, right);
    char small[256];
    size_t length = a.length + 1 + b.length;
    rl_buf_t big;
    rl_buf_init(&big, c->allocator);
    rl_str_t text = {small, length};
    if (length <= sizeof small) {
        if (a.length) memcpy(small, a.data, a.length);
        small[a.length] = '.';
        if (b.length) memcpy(small + a.length + 1, b.data, b.length);
    } else {
        rl_buf_add(&big, a);
        rl_buf_add_char(&big, '.');
        rl_buf_add(&big, b);
        text = rl_buf_str(&big);
    }
    rl_sym_t found = intern ? rl_sym_intern(c->symbols, text) : rl_sym_find(c->symbols, text);
    rl_buf_deinit(&big);
    return found;
}

rl_module_id_t rl_find_module_path(rl_checker_t* c, rl_sym_t path) {
    uint32_t item = rl_program_find(c->program, 0, 2, path);
    /* later modules of the same path come first */
    uint32_t found = 0;
    for (; item; item = rl_program_item(c->program, item)->next) found = rl_program_item(c->program, item)->id;
    return found;
}

/* --- what was not found ------------------------------------------------------------------------------------------- */

static void offer_items(rl_checker_t* c, rl_nearest_t* nearest, unsigned namespace_id) {
    for (const rl_program_t* program = c->program; program; program = program->below) {
        for (uint32_t i = 0; i < program->items.count; i++) {
            const rl_item_t* item = &program->items.data[i];
            if (item->module != c->module &&
                (!item->is_public || !rl_program_module(c->program, item->module)->ambient))
                continue;
            bool is_type = item->kind == RL_ITEM_TYPEDEF;
            bool is_module = item->kind == RL_ITEM_MODULE || item->kind == RL_ITEM_EFFECT;
            if (namespace_id == 0 ? !is_type : is_module || is_type) continue;
            rl_nearest_offer(c, nearest, item->name);
        }
    }
}

rl_code_t rl_cfg_code(rl_checker_t* c, rl_sym_t name, bool member, rl_code_t code) {
    const rl_disabled_names_t* disabled = c->input->disabled;
    if (!disabled || rl_diags_full(c)) return code;
    for (uint32_t i = 0; i < disabled->names.count; i++) {
        if (disabled->names.data[i] == name) return RL_CODE_UNRESOLVED_SYMBOL_CFG;
    }
    for (uint32_t i = 0; member && i < disabled->fields.count; i++) {
        if (disabled->fields.data[i] == name) return RL_CODE_UNRESOLVED_SYMBOL_CFG;
    }
    return code;
}

void rl_report_unresolved(rl_checker_t* c, rl_sym_t name, rl_span_t span, unsigned namespace_id) {
    rl_str_t text = rl_text(c, name);
    for (uint32_t i = 0; i < c->core_unavailable.count; i++) {
        if (c->core_unavailable.data[i] == name) {
            rl_report(c->diags, RL_CODE_UNRESOLVED_SYMBOL_CORE_UNAVAILABLE, span,
                "%.*s comes from a core module that is not provided", RL_STR_ARG(text));
            return;
        }
    }
    if (rl_cfg_code(c, name, false, RL_CODE_TYPE_UNRESOLVED_IDENT) == RL_CODE_UNRESOLVED_SYMBOL_CFG) {
        rl_report(c->diags, RL_CODE_UNRESOLVED_SYMBOL_CFG, span, "%.*s exists only in an item that @cfg removed",
            RL_STR_ARG(text));
        return;
    }
    static const char* const later[] = {"Debug"};
    for (size_t i = 0; i < RL_COUNT_OF(later); i++) { /* names of LANGUAGE 8.1 that this runtime does not have */
        if (!rl_str_equal(text, rl_str(later[i]))) continue;
        rl_report(c->diags, RL_CODE_LANGUAGE_UNSUPPORTED, span, "%s is not supported by this runtime yet", later[i]);
        return;
    }
    rl_diag_t* diag = rl_report(c->diags, namespace_id == 0 ? RL_CODE_TYPE_UNKNOWN_TYPE : RL_CODE_TYPE_UNRESOLVED_IDENT,
        span, namespace_id == 0 ? "unknown type: %.*s" : "unknown name: %.*s", RL_STR_ARG(text));
    if (rl_diags_full(c)) return;
    if (namespace_id == 0 && rl_find_trait_item(c, name)) {
        rl_note_plain(c->diags, diag, "%.*s is a trait: name a type parameter that has it, as in <T: %.*s>",
            RL_STR_ARG(text), RL_STR_ARG(text));
        return;
    }
    rl_nearest_t nearest = {text, 0, 3};
    if (namespace_id == 1) {
        for (uint32_t i = c->bindings.count; i-- > 0;) rl_nearest_offer(c, &nearest, c->bindings.data[i].name);
    }
    if (namespace_id == 0) rl_offer_simple_types(c, &nearest);
    offer_items(c, &nearest, namespace_id);
    rl_fix_nearest(c, diag, &nearest, span);
}

rl_fn_id_t rl_prelude_function(rl_checker_t* c, const char* name) {
    rl_sym_t symbol = rl_sym_find(c->symbols, rl_str(name));
    if (!symbol) return 0;
    uint64_t key = rl_map_key2(9, symbol); /* beside the name spaces of rl_find_item */
    uint32_t found = 0, top = c->program->first_module + c->program->modules.count;
    if (rl_map_get(&c->lookup_cache, key, &found)) return found;
    for (rl_module_id_t module = 1; module < top && !found; module++) {
        if (!rl_program_module(c->program, module)->ambient) continue;
        uint32_t item = rl_program_find(c->program, module, 1, symbol);
        if (item && rl_program_item(c->program, item)->kind == RL_ITEM_FUNCTION)
            found = rl_program_item(c->program, item)->id;
    }
    if (found) (void)rl_map_put(c->allocator, &c->lookup_cache, key, found);
    return found;
}

/* --- use ---------------------------------------------------------------------------------------------------------- */

/* Last segments of the Core paths that this runtime provides (LANGUAGE 8.1); all of them are names of the prelude. */
static bool core_provided(rl_str_t path) {
    static const char* const exact[] = {"Core", "Core.Prelude", "Core.Iter", "Core.Numeric", "Core.Time", "Core.Env",
        "Core.System", "Core.System.Env", "Core.IO", "Core.Path", "Core.Async", "Core.Console", "Core.Native",
        "Core.Data", "Core.Data.Json", "Core.Unicode", "Core.Diagnostics", "Core.Text", "Core.Collection",
        "Core.Collections", "Core.Ffi"};
    static const char* const modules[] = {"Option", "Result", "List", "Array", "Map", "Set", "Str", "String", "Text",
        "Char", "Bytes", "Int", "Float", "Bool", "Iter", "Vec", "Cell", "Ref", "Table", "Duration", "Time", "Env", "IO",
        "Json", "Any", "Debug", "Async", "Future", "Task", "Poll", "Wake", "Conductor", "Uuid", "Ptr", "ForeignBuffer"};
    for (size_t i = 0; i < RL_COUNT_OF(exact); i++) {
        if (rl_str_equal(path, rl_str(exact[i]))) return true;
    }
    static const char* const prefixes[] = {"Core.", "Core.Collection.", "Core.Collections.", "Core.Text."};
    for (size_t p = 0; p < RL_COUNT_OF(prefixes); p++) {
        rl_str_t prefix = rl_str(prefixes[p]);
        if (path.length <= prefix.length || memcmp(path.data, prefix.data, prefix.length) != 0) continue;
        rl_str_t rest = {path.data + prefix.length, path.length - prefix.length};
        for (size_t i = 0; i < RL_COUNT_OF(modules); i++) {
            if (rl_str_equal(rest, rl_str(modules[i]))) return true;
        }
    }
    return false;
}

typedef struct use_site {
    rl_span_t span;
    bool is_public;
} use_site_t;

/* Bring one item of a module into this one under `name`; a type brings its constructors. */
static bool import_items(rl_checker_t* c, rl_module_id_t module, rl_sym_t wanted, rl_sym_t name, use_site_t site) {
    bool found = false, hidden = false;
    uint32_t hidden_item = 0;
    for (unsigned space = 0; space < RL_SPACE_COUNT; space++) {
        for (uint32_t at = rl_program_find(c->program, module, space, wanted), next; at; at = next) {
            rl_item_t item = *rl_program_item(c->program, at);
            next = item.next;
            if (!item.is_public && module != c->module) {
                hidden = true;
                hidden_item = at;
                continue;
            }
            found = true;
            rl_add_item(
                c, space, name, (rl_item_kind_t)item.kind, item.id, item.variant, site.is_public, site.span, true);
            if (item.kind != RL_ITEM_TYPEDEF) continue;
            rl_typedef_t def = *rl_program_typedef(c->program, item.id);
            if (def.kind != RL_DEF_SUM && def.kind != RL_DEF_NEWTYPE) continue;
            for (uint32_t tag = 0; tag < def.variant_count; tag++) {
                rl_sym_t variant = rl_program_variant(c->program, def.variant_first + tag)->name;
                uint32_t own = rl_program_find(c->program, c->module, 1, variant);
                if (own && rl_program_item(c->program, own)->kind != RL_ITEM_VARIANT) continue;
                rl_add_item(c, 1, variant, RL_ITEM_VARIANT, item.id, tag, site.is_public, site.span, true);
            }
        }
    }
    if (!found && hidden) {
        rl_check_visible(c, hidden_item, site.span);
        return true;
    }
    return found;
}

/* `use M.T.x` and core companions: a constructor or function of a type, or a dotted function. */
static bool import_companion(
    rl_checker_t* c, rl_sym_t type_name, uint32_t type_item, rl_sym_t wanted, rl_sym_t name, use_site_t site) {
    rl_fn_id_t fn = 0;
    if (type_item && rl_program_item(c->program, type_item)->kind == RL_ITEM_TYPEDEF) {
        rl_typedef_id_t id = rl_program_item(c->program, type_item)->id;
        rl_typedef_t def = *rl_program_typedef(c->program, id);
        for (uint32_t tag = 0; tag < def.variant_count && def.kind == RL_DEF_SUM; tag++) {
            if (rl_program_variant(c->program, def.variant_first + tag)->name == wanted) {
                rl_add_item(c, 1, name, RL_ITEM_VARIANT, id, tag, site.is_public, site.span, true);
                return true;
            }
        }
        fn = rl_program_find_method(c->program, id, wanted);
    }
    if (!fn) {
        rl_type_t simple = rl_simple_type(c, type_name);
        if (simple) fn = rl_program_find_method(c->program, 0x80000000u | simple, wanted);
    }
    if (!fn) {
        rl_sym_t dotted = rl_join_names(c, type_name, wanted, false);
        uint32_t item = dotted ? rl_find_item(c, 1, dotted) : 0;
        if (item && rl_program_item(c->program, item)->kind == RL_ITEM_FUNCTION)
            fn = rl_program_item(c->program, item)->id;
    }
    if (!fn) return false;
    rl_add_item(c, 1, name, RL_ITEM_FUNCTION, fn, 0, site.is_public, site.span, true);
    return true;
}

static rl_sym_t join_path(rl_checker_t* c, const rl_sym_t* segments, uint32_t count) {
    rl_sym_t path = segments[0];
    for (uint32_t i = 1; i < count && path; i++) path = rl_join_names(c, path, segments[i], true);
    return path;
}

static void use_core(rl_checker_t* c, const rl_sym_t* segments, uint32_t count, rl_sym_t alias, use_site_t site) {
    rl_sym_t path = join_path(c, segments, count), last = segments[count - 1], name = alias ? alias : last;
    if (core_provided(rl_text(c, path))) {
        if (count == 1 || !alias || alias == last) return; /* bound by the prelude already */
        uint32_t module = rl_find_item(c, 2, last), type = rl_find_type_item(c, last);
        if (module)
            rl_add_item(c, 2, name, RL_ITEM_MODULE, rl_program_item(c->program, module)->id, 0, site.is_public,
                site.span, true);
        if (type)
            rl_add_item(
                c, 0, name, RL_ITEM_TYPEDEF, rl_program_item(c->program, type)->id, 0, site.is_public, site.span, true);
        rl_type_t simple = type ? 0 : rl_simple_type(c, last);
        rl_generic_name_t entry = {name, simple};
        if (simple) (void)rl_vec_push(c->allocator, &c->simple_aliases, entry);
        return;
    }
    rl_sym_t parent = count > 1 ? join_path(c, segments, count - 1) : 0;
    rl_module_id_t real = rl_find_module_path(c, path);
    if (real) {
        rl_add_item(c, 2, name, RL_ITEM_MODULE, real, 0, site.is_public, site.span, true);
        return;
    }
    if (parent && (real = rl_find_module_path(c, parent)) != 0 && import_items(c, real, last, name, site)) return;
    if (parent && core_provided(rl_text(c, parent))) {
        rl_sym_t owner = segments[count - 2];
        if (import_companion(c, owner, rl_find_item(c, 0, owner), last, name, site)) return;
        for (unsigned space = 0; space < 3; space++) { /* `use Core.Async.Future`, `use Core.Prelude.Option` */
            uint32_t item = rl_find_item(c, space, last);
            if (!item) continue;
            rl_item_t copy = *rl_program_item(c->program, item);
            if (name != last)
                rl_add_item(
                    c, space, name, (rl_item_kind_t)copy.kind, copy.id, copy.variant, site.is_public, site.span, true);
            return;
        }
        /* below a mere folder of modules the last word is a module that is not there; below a module, a name it
           has not */
        static const char* const folders[] = {
            "Core", "Core.Data", "Core.System", "Core.Text", "Core.Collection", "Core.Collections"};
        bool folder = false;
        for (size_t i = 0; i < RL_COUNT_OF(folders); i++)
            folder |= rl_str_equal(rl_text(c, parent), rl_str(folders[i]));
        if (!folder) {
            rl_str_t text = rl_text(c, path);
            rl_report(c->diags, RL_CODE_LANGUAGE_USE_UNRESOLVED, site.span, "nothing named %.*s", RL_STR_ARG(text));
            return;
        }
    }
    rl_str_t text = rl_text(c, path);
    rl_report(c->diags, RL_CODE_LANGUAGE_USE_CORE_UNAVAILABLE, site.span, "%.*s is not provided by this runtime",
        RL_STR_ARG(text));
    (void)rl_vec_push(c->allocator, &c->core_unavailable, name);
}

static void use_path(rl_checker_t* c, const rl_sym_t* segments, uint32_t count, rl_sym_t alias, use_site_t site) {
    if (count == 0 || rl_failed(c)) return;
    if (segments[0] == c->sym_core) {
        if (c->own_uses) return;
        use_core(c, segments, count, alias, site);
        return;
    }
    rl_sym_t last = segments[count - 1], name = alias ? alias : last;
    rl_sym_t path = join_path(c, segments, count);
    bool found = false;
    /* Names of this module itself: its types are needed now, its values are declared later. */
    bool own = count > 1 && rl_find_module_path(c, join_path(c, segments, count - 1)) == c->module;
    if (own && !c->own_uses) {
        c->has_own_uses = true;
        (void)import_items(c, c->module, last, name, site);
        return;
    }
    if (!own && c->own_uses) return;
    rl_module_id_t module = rl_find_module_path(c, path);
    if (module == 0 && count == 1) {
        uint32_t item = rl_find_item(c, 2, last);
        if (item) module = rl_program_item(c->program, item)->id;
    }
    if (module) {
        found = true;
        rl_add_item(c, 2, name, RL_ITEM_MODULE, module, 0, site.is_public, site.span, true);
    }
    if (count >= 2) {
        rl_module_id_t parent = rl_find_module_path(c, join_path(c, segments, count - 1));
        if (parent == 0 && count == 2) {
            uint32_t item = rl_find_item(c, 2, segments[0]);
            if (item) parent = rl_program_item(c->program, item)->id;
        }
        if (parent) {
            rl_sym_t dotted_found = last;
            found |= import_items(c, parent, dotted_found, name, site);
        } else if (count == 2) {
            found |= import_companion(c, segments[0], rl_find_item(c, 0, segments[0]), last, name, site);
        }
        if (!found && count >= 3) {
            rl_module_id_t owner = rl_find_module_path(c, join_path(c, segments, count - 2));
            uint32_t type = owner ? rl_program_find(c->program, owner, 0, segments[count - 2]) : 0;
            if (type && rl_check_visible(c, type, site.span))
                found = import_companion(c, segments[count - 2], type, last, name, site);
        }
    }
    if (!found) {
        rl_str_t text = rl_text(c, path);
        rl_report(
            c->diags, RL_CODE_LANGUAGE_USE_UNRESOLVED, site.span, "nothing named %.*s is loaded", RL_STR_ARG(text));
    }
}

/* Text of a module path cut into symbols on the scratch stack. */
static void push_path(rl_checker_t* c, rl_str_t path) {
    size_t start = 0;
    for (size_t i = 0; i <= path.length; i++) {
        if (i < path.length && path.data[i] != '.') continue;
        (void)rl_vec_push(
            c->allocator, &c->scratch, rl_sym_intern(c->symbols, (rl_str_t){path.data + start, i - start}));
        start = i + 1;
    }
}

/* Nesting of use trees is bounded by the parser's limit; each level costs little. `first` is where this path
   begins on scratch. */
static void use_tree(rl_checker_t* c, rl_node_t node, uint32_t first, bool is_public) {
    const rl_node_data_t data = *rl_tree_node(c->tree, node);
    uint32_t before = c->scratch.count, count = rl_tree_list_count(c->tree, data.a);
    use_site_t site = {rl_span_of(c, node), is_public};
    bool self_last = false, failed = false;
    for (uint32_t i = 0; i < count && !failed; i++) {
        rl_node_t segment = rl_tree_list_at(c->tree, data.a, i);
        rl_sym_t name = rl_tree_name(c->tree, segment);
        if (rl_tree_has(c->tree, segment, RL_KEYWORD)) {
            rl_str_t text = rl_text(c, name);
            bool is_super = rl_str_equal(text, RL_STR("super"));
            if (c->scratch.count > first && !is_super) { /* `M.{self}` */
                self_last = i + 1 == count;
                continue;
            }
            if (c->scratch.count == first) push_path(c, rl_text(c, rl_program_module(c->program, c->module)->path));
            if (is_super) {
                bool root = c->scratch.count - first < 2;
                if (!root) {
                    c->scratch.count--;
                    root = rl_find_module_path(c, join_path(c, c->scratch.data + first, c->scratch.count - first)) == 0;
                }
                if (root) {
                    rl_report(c->diags, RL_CODE_LANGUAGE_USE_INVALID_SUPER, rl_span_of(c, segment),
                        "a root module has no parent");
                    failed = true;
                }
            }
            continue;
        }
        (void)rl_vec_push(c->allocator, &c->scratch, name);
    }
    if (!failed && !rl_failed(c)) {
        if (data.flags & RL_BRACES) {
            uint32_t children = rl_tree_list_count(c->tree, data.b);
            if (++c->depth < 1100) {
                for (uint32_t i = 0; i < children; i++)
                    use_tree(c, rl_tree_list_at(c->tree, data.b, i), first, is_public);
            }
            c->depth--;
        } else {
            (void)self_last;
            use_path(c, c->scratch.data + first, c->scratch.count - first, data.c, site);
        }
    }
    c->scratch.count = before;
}

void rl_declare_use(rl_checker_t* c, rl_node_t node) {
    use_tree(c, rl_tree_node(c->tree, node)->b, c->scratch.count, rl_tree_has(c->tree, node, RL_PUB));
}
