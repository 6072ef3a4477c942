#include "types/program.h"

/*
 * Every table of a program: field in rl_program_t, its first id, type of an entry. The order is that of
 * rl_program_mark_t.counts; the type table's nodes and words follow.
 */
#define TABLES(TABLE)                                                                                                  \
    TABLE(typedefs, first_typedef, rl_typedef_t)                                                                       \
    TABLE(variants, first_variant, rl_variant_t)                                                                       \
    TABLE(fields, first_field, rl_field_t)                                                                             \
    TABLE(functions, first_fn, rl_function_t)                                                                          \
    TABLE(params, first_param, rl_param_t)                                                                             \
    TABLE(locals, first_local, rl_local_t)                                                                             \
    TABLE(constraints, first_constraint, rl_constraint_t)                                                              \
    TABLE(captures, first_capture, uint32_t)                                                                           \
    TABLE(globals, first_global, rl_global_t)                                                                          \
    TABLE(modules, first_module, rl_module_t)                                                                          \
    TABLE(items, first_item, rl_item_t)                                                                                \
    TABLE(traits, first_trait, rl_trait_t)                                                                             \
    TABLE(impls, first_impl, rl_impl_t)                                                                                \
    TABLE(nodes, first_node, rl_ir_node_t)                                                                             \
    TABLE(extra, first_extra, uint32_t)                                                                                \
    TABLE(lines, first_line, uint32_t)                                                                                 \
    TABLE(strings, first_string, rl_str_t)                                                                             \
    TABLE(exports, first_export, rl_export_t)                                                                          \
    TABLE(effect_sets, first_effect_set, rl_effect_set_t)                                                              \
    TABLE(effect_tags, first_effect_tag, uint32_t)                                                                     \
    TABLE(flows, first_flow, rl_flow_entry_t)                                                                          \
    TABLE(effects, first_effect, rl_effect_t)                                                                          \
    TABLE(applications, first_application, rl_application_t)

enum {
#define TABLE(table, first, entry) MARK_##table,
    TABLES(TABLE)
#undef TABLE
        MARK_TYPE_NODES,
    MARK_TYPE_EXTRA,
    MARK_COUNT
};
_Static_assert(
    MARK_COUNT <= sizeof(((rl_program_mark_t*)0)->counts) / sizeof(uint32_t), "rl_program_mark_t is too small");

/* Entry 0 of each table of the lowest program, and what a look-up with an id that does not exist gives. */
#define TABLE(table, first, entry) static const entry none_##table = {0};
TABLES(TABLE)
#undef TABLE

void rl_program_init(rl_program_t* program, const rl_program_t* below, rl_allocator_t* allocator) {
    memset(program, 0, sizeof *program);
    program->below = below;
    program->allocator = allocator;
    rl_arena_init(&program->arena, allocator);
    rl_symbols_init(&program->symbols, below ? &below->symbols : NULL, allocator, &program->arena);
    rl_types_init(&program->types, below ? &below->types : NULL, allocator);
    if (below) {
#define TABLE(table, first, entry) program->first = below->first + below->table.count;
        TABLES(TABLE)
#undef TABLE
        program->known = below->known;
    } else {
#define TABLE(table, first, entry) (void)rl_vec_push(allocator, &program->table, none_##table);
        TABLES(TABLE)
#undef TABLE
        (void)rl_vec_push(allocator, &program->effect_sets, none_effect_sets); /* RL_EFFECTS_NONE */
    }
}

void rl_program_deinit(rl_program_t* program) {
    if (program->lender) rl_program_forget_lent(program);
#define TABLE(table, first, entry) rl_vec_deinit(program->allocator, &program->table);
    TABLES(TABLE)
#undef TABLE
    rl_map_deinit(program->allocator, &program->item_map);
    rl_map_deinit(program->allocator, &program->method_map);
    rl_map_deinit(program->allocator, &program->impl_map);
    rl_map_deinit(program->allocator, &program->effect_map);
    rl_types_deinit(&program->types);
    rl_symbols_deinit(&program->symbols);
    rl_arena_deinit(&program->arena);
}

rl_program_mark_t rl_program_mark(const rl_program_t* program) {
    rl_program_mark_t mark = {{0}};
#define TABLE(table, first, entry) mark.counts[MARK_##table] = program->table.count;
    TABLES(TABLE)
#undef TABLE
    mark.counts[MARK_TYPE_NODES] = program->types.nodes.count;
    mark.counts[MARK_TYPE_EXTRA] = program->types.extra.count;
    return mark;
}

uint64_t rl_program_extent(const rl_program_t* program) {
    const rl_program_mark_t mark = rl_program_mark(program);
    return rl_hash_bytes(mark.counts, MARK_TYPE_NODES * sizeof mark.counts[0], 0);
}

/* Item chains grow at either end: cut what lies at or past `limit`, in the map and in the items that stay. */
static void restore_items(rl_program_t* program, uint32_t limit, uint32_t module_limit) {
    rl_map_t* map = &program->item_map;
    for (uint32_t slot = 0; slot < map->capacity;) {
        uint64_t key = map->keys[slot];
        if (key == 0) {
            slot++;
            continue;
        }
        uint32_t id = map->values[slot];
        if ((uint32_t)(key >> 35) >= module_limit) id = 0;
        while (id >= limit) id = rl_program_item(program, id)->next;
        if (id) {
            map->values[slot++] = id;
        } else {
            (void)rl_map_remove(map, key); /* later entries move up into this slot: look at it again */
        }
    }
    for (uint32_t i = 0; i < program->items.count && program->first_item + i < limit; i++) {
        rl_item_t* item = &program->items.data[i];
        while (item->next >= limit) item->next = rl_program_item(program, item->next)->next;
    }
}

static void restore_methods(rl_program_t* program, uint32_t typedef_limit, uint32_t fn_limit) {
    rl_map_t* map = &program->method_map;
    for (uint32_t slot = 0; slot < map->capacity;) {
        uint64_t key = map->keys[slot];
        uint32_t head = (uint32_t)(key >> 32);
        bool gone = map->values[slot] >= fn_limit || (head < 0x80000000u && head >= typedef_limit);
        if (key != 0 && gone) (void)rl_map_remove(map, key);
        else slot++;
    }
}

/* The newest impl stands at the head of its chains. */
static void restore_impls(rl_program_t* program, uint32_t trait_limit, uint32_t limit) {
    rl_map_t* map = &program->impl_map;
    for (uint32_t slot = 0; slot < map->capacity;) {
        uint64_t key = map->keys[slot];
        uint32_t id = key ? map->values[slot] : 0;
        while (id >= limit) {
            const rl_impl_t* impl = rl_program_impl(program, id);
            uint32_t head = (uint32_t)key;
            id = head == 0 ? impl->next_of_trait : head & RL_IMPL_LEFT ? impl->next_of_left : impl->next_of_head;
        }
        if ((uint32_t)(key >> 32) >= trait_limit) id = 0;
        if (key && id) map->values[slot] = id;
        if (key && !id) (void)rl_map_remove(map, key);
        else slot++;
    }
}

void rl_program_restore(rl_program_t* program, rl_program_mark_t mark) {
    if (program->lender) { /* nothing was written to its tables */
        rl_types_truncate(&program->types, mark.counts[MARK_TYPE_NODES], mark.counts[MARK_TYPE_EXTRA]);
        return;
    }
    restore_impls(
        program, program->first_trait + mark.counts[MARK_traits], program->first_impl + mark.counts[MARK_impls]);
    restore_items(
        program, program->first_item + mark.counts[MARK_items], program->first_module + mark.counts[MARK_modules]);
    restore_methods(
        program, program->first_typedef + mark.counts[MARK_typedefs], program->first_fn + mark.counts[MARK_functions]);
#define TABLE(table, first, entry)                                                                                     \
    if (program->table.count > mark.counts[MARK_##table]) program->table.count = mark.counts[MARK_##table];
    TABLES(TABLE)
#undef TABLE
    rl_types_truncate(&program->types, mark.counts[MARK_TYPE_NODES], mark.counts[MARK_TYPE_EXTRA]);
}

/* Counts stay below 2^31 (vec.c), so an id of a program below never wraps into the table of one above. */
#define ACCESSOR(name, entry, table, first)                                                                            \
    const entry* rl_program_##name##_below(const rl_program_t* program, uint32_t id) {                                 \
        while (id < program->first && program->below) program = program->below;                                        \
        uint32_t index = id - program->first;                                                                          \
        return RL_LIKELY(index < program->table.count) ? &program->table.data[index] : &none_##table;                  \
    }
RL_PROGRAM_ACCESSORS(ACCESSOR)
static ACCESSOR(capture_entry, uint32_t, captures, first_capture) static ACCESSOR(
    string_entry, rl_str_t, strings, first_string) static ACCESSOR(line_entry, uint32_t, lines, first_line)

    uint32_t rl_program_capture(const rl_program_t* program, uint32_t id) {
    return *rl_program_capture_entry_below(program, id);
}

rl_str_t rl_program_string(const rl_program_t* program, uint32_t id) {
    rl_str_t text = *rl_program_string_entry_below(program, id);
    return text.data ? text : (rl_str_t){"", 0};
}

uint32_t rl_program_find(const rl_program_t* program, rl_module_id_t module, unsigned namespace_id, rl_sym_t name) {
    uint64_t key = rl_map_key2(module << 3 | (namespace_id & 7), name);
    uint32_t found;
    /* Names of a module are in its own program; those of module 0 are the modules of all programs. */
    if (module >= program->first_module) return rl_map_get(&program->item_map, key, &found) ? found : 0;
    if (module) program = program->below;
    for (; program; program = program->below) {
        if (rl_map_get(&program->item_map, key, &found)) return found;
    }
    return 0;
}

rl_fn_id_t rl_program_find_method(const rl_program_t* program, uint32_t head, rl_sym_t name) {
    uint64_t key = rl_map_key2(head, name);
    uint32_t found;
    for (; program; program = program->below) {
        if (rl_map_get(&program->method_map, key, &found)) return found;
    }
    return 0;
}

rl_position_t rl_program_line_of(const rl_program_t* program, rl_module_id_t module, uint32_t offset) {
    const rl_module_t* entry = rl_program_module(program, module);
    uint32_t low = 0, high = entry->line_count; /* the line sought is in [low, high) */
    if (high == 0) return (rl_position_t){1, offset + 1};
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (*rl_program_line_entry_below(program, entry->line_first + middle) <= offset) low = middle;
        else high = middle;
    }
    uint32_t start = *rl_program_line_entry_below(program, entry->line_first + low);
    return (rl_position_t){low + 1, (offset > start ? offset - start : 0) + 1};
}
