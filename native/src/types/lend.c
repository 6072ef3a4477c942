/*
 * One checked program for many contexts. What borrows it reads the lender's tables as if they were its own, under the same ids; types and
 * symbols, which grow while instances are made, stand on the lender's. Whoever writes to a table makes all of them its own first.
 */
#include "types/program.h"

/* All but applications, in which is noted that a handler was applied. */
#define LENT_TABLES(TABLE)                                                                                             \
    TABLE(typedefs)                                                                                                    \
    TABLE(variants)                                                                                                    \
    TABLE(fields)                                                                                                      \
    TABLE(functions)                                                                                                   \
    TABLE(params)                                                                                                      \
    TABLE(locals)                                                                                                      \
    TABLE(constraints)                                                                                                 \
    TABLE(captures)                                                                                                    \
    TABLE(globals)                                                                                                     \
    TABLE(modules)                                                                                                     \
    TABLE(items)                                                                                                       \
    TABLE(traits)                                                                                                      \
    TABLE(impls)                                                                                                       \
    TABLE(nodes)                                                                                                       \
    TABLE(extra)                                                                                                       \
    TABLE(lines)                                                                                                       \
    TABLE(strings)                                                                                                     \
    TABLE(exports)                                                                                                     \
    TABLE(effect_sets)                                                                                                 \
    TABLE(effect_tags)                                                                                                 \
    TABLE(flows)                                                                                                       \
    TABLE(effects)
#define MAPS(MAP)                                                                                                      \
    MAP(effect_map)                                                                                                    \
    MAP(item_map)                                                                                                      \
    MAP(method_map)                                                                                                    \
    MAP(impl_map)

static void* copy_entries(rl_allocator_t* allocator, const void* entries, uint32_t count, size_t size) {
    void* made = count ? rl_alloc(allocator, count * size) : NULL;
    if (made) memcpy(made, entries, count * size);
    return made;
}

/* `table` of `out` becomes a copy of what is in `from`. */
#define COPY(table)                                                                                                    \
    do {                                                                                                               \
        out->table.data = copy_entries(allocator, from->table.data, from->table.count, sizeof *from->table.data);      \
        out->table.count = out->table.capacity = out->table.data ? from->table.count : 0;                              \
        done &= out->table.count == from->table.count;                                                                 \
    } while (0);
#define COPY_MAP(map) done &= rl_map_copy(allocator, &out->map, &from->map);

/* False: memory. What was made is in `out`. */
static bool copy_tables(rl_program_t* out, const rl_program_t* from, rl_allocator_t* allocator) {
    bool done = true;
    LENT_TABLES(COPY)
    MAPS(COPY_MAP)
    return done;
}

/* --- copying -------------------------------------------------------------------------------------------------------------------- */

static bool own_text(rl_arena_t* arena, rl_str_t* text) {
    if (!text->data) return true;
    rl_str_t copy = rl_arena_copy(arena, *text);
    bool done = copy.length == text->length;
    *text = copy;
    return done;
}

/* The same names and types under the same numbers. */
static bool copy_names(rl_program_t* out, const rl_program_t* from) {
    const rl_symbols_t* symbols = &from->symbols;
    for (uint32_t i = 0; i < symbols->texts.count; i++) {
        if (rl_sym_intern(&out->symbols, symbols->texts.data[i]) != symbols->first + i) return false;
    }
    const rl_types_t* types = &from->types;
    for (uint32_t i = 0; i < types->nodes.count; i++) {
        const rl_type_node_t node = types->nodes.data[i];
        rl_type_t made = rl_type_make(&out->types, (rl_type_kind_t)node.kind, node.a,
            rl_type_args(types, types->first + i), rl_type_part_words(&node));
        if (made != types->first + i) return false;
    }
    return true;
}

bool rl_program_copy(rl_program_t* out, const rl_program_t* from, rl_allocator_t* allocator) {
    rl_program_init(out, from->below, allocator);
    rl_symbols_deinit(&out->symbols);
    rl_symbols_init(&out->symbols, from->symbols.below, allocator, &out->arena);
    rl_types_deinit(&out->types);
    rl_types_init(&out->types, from->types.below, allocator);
    bool done = copy_names(out, from) && copy_tables(out, from, allocator);
    COPY(applications)
    for (uint32_t i = 0; i < out->applications.count; i++) out->applications.data[i].told = false;
    for (uint32_t i = 0; i < out->modules.count; i++)
        done &=
            own_text(&out->arena, &out->modules.data[i].source) && own_text(&out->arena, &out->modules.data[i].file);
    for (uint32_t i = 0; i < out->strings.count; i++) done &= own_text(&out->arena, &out->strings.data[i]);
    for (uint32_t i = 0; i < out->exports.count; i++) done &= own_text(&out->arena, &out->exports.data[i].metadata);
    out->has_stages = from->has_stages;
    out->known = from->known;
    done = done && !allocator->failed;
    if (!done) rl_program_deinit(out);
    return done;
}

/* --- lending -------------------------------------------------------------------------------------------------------------------- */

static bool same_text(rl_str_t a, rl_str_t b) { return a.length == b.length && (!a.length || rl_str_equal(a, b)); }

bool rl_program_names_begin(const rl_program_t* program, const rl_program_t* lender) {
    const rl_symbols_t *own = &program->symbols, *whole = &lender->symbols;
    const rl_types_t *types = &program->types, *all = &lender->types;
    if (program->below != lender->below || own->below != whole->below || own->texts.count > whole->texts.count)
        return false;
    for (uint32_t i = 0; i < own->texts.count; i++) {
        if (!same_text(own->texts.data[i], whole->texts.data[i])) return false;
    }
    if (types->below != all->below || types->nodes.count > all->nodes.count || types->extra.count > all->extra.count)
        return false;
    for (uint32_t i = 0; i < types->nodes.count; i++) {
        const rl_type_node_t *a = &types->nodes.data[i], *b = &all->nodes.data[i];
        if (a->kind != b->kind || a->count != b->count || a->a != b->a || a->args != b->args) return false;
    }
    return !types->extra.count ||
           memcmp(types->extra.data, all->extra.data, types->extra.count * sizeof *types->extra.data) == 0;
}

bool rl_program_borrow(rl_program_t* program, const rl_program_t* lender) {
    rl_allocator_t* allocator = program->allocator;
    void* applications = copy_entries(
        allocator, lender->applications.data, lender->applications.count, sizeof *lender->applications.data);
    if (lender->applications.count && !applications) return false;
    rl_vec_deinit(allocator, &program->applications);
    program->applications.data = applications;
    program->applications.count = program->applications.capacity = lender->applications.count;
#define LEND(table)                                                                                                    \
    if (!program->lender) rl_vec_deinit(allocator, &program->table);                                                   \
    program->table.data = lender->table.data;                                                                          \
    program->table.count = program->table.capacity = lender->table.count;
#define LEND_MAP(map)                                                                                                  \
    if (!program->lender) rl_map_deinit(allocator, &program->map);                                                     \
    program->map = lender->map;
    LENT_TABLES(LEND)
    MAPS(LEND_MAP)
#undef LEND
#undef LEND_MAP
    rl_symbols_deinit(&program->symbols);
    rl_symbols_init(&program->symbols, &lender->symbols, allocator, &program->arena);
    rl_types_deinit(&program->types);
    rl_types_init(&program->types, &lender->types, allocator);
    program->has_stages = lender->has_stages;
    program->known = lender->known;
    program->lender = lender;
    return true;
}

void rl_program_forget_lent(rl_program_t* program) {
#define FORGET(table)                                                                                                  \
    program->table.data = NULL;                                                                                        \
    program->table.count = program->table.capacity = 0;
#define FORGET_MAP(map) program->map = (rl_map_t){0};
    LENT_TABLES(FORGET)
    MAPS(FORGET_MAP)
#undef FORGET
#undef FORGET_MAP
    program->lender = NULL;
}

bool rl_program_own_lent(rl_program_t* program) {
    rl_program_t made;
    memset(&made, 0, sizeof made);
    made.allocator = program->allocator;
    if (!copy_tables(&made, program->lender, program->allocator)) {
#define DROP(table)   rl_vec_deinit(made.allocator, &made.table);
#define DROP_MAP(map) rl_map_deinit(made.allocator, &made.map);
        LENT_TABLES(DROP)
        MAPS(DROP_MAP)
        return false;
    }
#define TAKE(table)                                                                                                    \
    program->table.data = made.table.data;                                                                             \
    program->table.count = made.table.count;                                                                           \
    program->table.capacity = made.table.capacity;
#define TAKE_MAP(map) program->map = made.map;
    LENT_TABLES(TAKE)
    MAPS(TAKE_MAP)
    program->lender = NULL;
    return true;
}
