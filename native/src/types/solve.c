#include "types/solve.h"

#include "types/impl.h"

/*
 * Invariants:
 * - A bound variable never changes again, except through undo and path shortening (which keeps its meaning).
 * - Every other change of a variable goes through touch(), so that it is undone by rollback.
 * - Entries of `needs` are never changed; merging two lists pushes new entries.
 * - Types with variables are graphs that may be exponentially large as trees: each walk remembers what it has seen
 *   once it has taken SHARED_AFTER steps.
 */
#define SHARED_AFTER 64u
#define INLINE_PARTS 16u
#define FROM_NEED    0x80000000u /* in work lists: type of a field need, in which the owner may occur */
#define NO_VAR       0xFFFFFFFFu

#define ARITHMETIC (RL_CON_ADD | RL_CON_SUB | RL_CON_MUL | RL_CON_DIV | RL_CON_REM | RL_CON_POW | RL_CON_NEG)
#define STRUCTURAL (RL_CON_EQ | RL_CON_ORD | RL_CON_HASH)
#define LITERALS   (RL_CON_INTEGER_LITERAL | RL_CON_FLOAT_LITERAL)

void rl_solver_init(rl_solver_t* solver, rl_program_t* program) {
    memset(solver, 0, sizeof *solver);
    solver->program = program;
}

void rl_solver_deinit(rl_solver_t* solver) {
    rl_allocator_t* allocator = solver->program->allocator;
    rl_vec_deinit(allocator, &solver->vars);
    rl_vec_deinit(allocator, &solver->needs);
    rl_vec_deinit(allocator, &solver->trail);
    rl_vec_deinit(allocator, &solver->scratch);
}

static rl_allocator_t* memory_of(const rl_solver_t* solver) { return solver->program->allocator; }
static const rl_type_node_t* node_of(const rl_solver_t* solver, rl_type_t type) {
    return rl_type_node(&solver->program->types, type);
}
/* One word of the parts; read anew each time because tables move. */
static uint32_t part_of(const rl_solver_t* solver, rl_type_t type, uint32_t index) {
    return rl_type_args(&solver->program->types, type)[index];
}

/* --- variables -------------------------------------------------------------------------------------------- */

rl_type_t rl_solver_fresh(rl_solver_t* solver, rl_var_class_t klass, rl_var_origin_t origin, rl_span_t span) {
    uint32_t index = solver->vars.count;
    rl_type_t type = rl_type_var(&solver->program->types, index);
    if (type == RL_TYPE_ERROR) return type;
    rl_var_t var = {
        .bound = RL_VAR_OPEN, .level = solver->level, .klass = (uint8_t)klass, .origin = (uint8_t)origin, .span = span};
    return rl_vec_push(memory_of(solver), &solver->vars, var) ? type : RL_TYPE_ERROR;
}

rl_type_t rl_solver_head_of(rl_solver_t* solver, rl_type_t type) {
    rl_type_t head = type;
    unsigned hops = 0;
    for (;; hops++) {
        const rl_type_node_t* node = node_of(solver, head);
        if (node->kind != RL_TYPE_VAR) break;
        if (node->a >= solver->vars.count) return RL_TYPE_ERROR; /* of an older load: must not happen */
        if (solver->vars.data[node->a].bound == RL_VAR_OPEN) break;
        head = solver->vars.data[node->a].bound;
    }
    if (hops < 2 || solver->trail_marks > 0) return head;
    while (type != head) { /* shorten the path; not while changes are recorded: undo may open a variable on the way */
        rl_var_t* var = &solver->vars.data[node_of(solver, type)->a];
        type = var->bound;
        var->bound = head;
    }
    return head;
}

const rl_var_t* rl_solver_var(rl_solver_t* solver, rl_type_t type) {
    const rl_type_node_t* node = node_of(solver, rl_solver_head(solver, type));
    return node->kind == RL_TYPE_VAR ? &solver->vars.data[node->a] : NULL;
}

/* Before each change of a variable. False: memory is short, leave it unchanged. */
static bool touch(rl_solver_t* solver, uint32_t index) {
    if (solver->trail_marks == 0) return true;
    return rl_vec_push(memory_of(solver), &solver->trail, (rl_trail_entry_t){index, solver->vars.data[index]});
}

bool rl_solver_bind(rl_solver_t* solver, rl_type_t variable, rl_type_t type) {
    variable = rl_solver_head(solver, variable);
    const rl_type_node_t* node = node_of(solver, variable);
    if (node->kind != RL_TYPE_VAR || rl_solver_head(solver, type) == variable) return true;
    uint32_t index = node->a;
    if (!touch(solver, index)) return false;
    solver->vars.data[index].bound = type;
    return true;
}

uint32_t rl_solver_mark(rl_solver_t* solver) {
    solver->trail_marks++;
    return solver->trail.count;
}

void rl_solver_rollback(rl_solver_t* solver, uint32_t mark) {
    while (solver->trail.count > mark) {
        rl_trail_entry_t entry = rl_vec_pop(&solver->trail);
        solver->vars.data[entry.var] = entry.before;
    }
    solver->trail_marks--;
}

void rl_solver_commit(rl_solver_t* solver, uint32_t mark) {
    (void)mark; /* an outer mark may still want the entries */
    if (--solver->trail_marks == 0) solver->trail.count = 0;
}

/* --- walks ------------------------------------------------------------------------------------------------ */

typedef struct seen {
    rl_map_t map;
    uint32_t steps;
} seen_t;

/*
 * Was `key` met before in this walk? (Not noticed during the first steps; a walk may do things twice, never miss
 * them.)
 */
static bool seen_before(rl_solver_t* solver, seen_t* seen, uint64_t key) {
    uint32_t unused;
    if (++seen->steps <= SHARED_AFTER) return false;
    if (rl_map_get(&seen->map, key, &unused)) return true;
    (void)rl_map_put(memory_of(solver), &seen->map, key, 1);
    return false;
}

static bool push_type(rl_solver_t* solver, rl_type_t type) {
    return rl_vec_push(memory_of(solver), &solver->scratch, type);
}

/* Put the parts of a type on the work list, the first on top. */
static bool push_parts(rl_solver_t* solver, rl_type_t type, uint32_t mark_bit) {
    const rl_type_node_t* node = node_of(solver, type);
    uint32_t step = rl_type_part_step(node->kind), words = rl_type_part_words(node);
    if (!rl_vec_reserve(memory_of(solver), &solver->scratch, words)) return false;
    for (uint32_t i = words; i >= step; i -= step) {
        rl_type_t part = part_of(solver, type, i - 1);
        if (node_of(solver, part)->flags & RL_TYPE_HAS_VAR) (void)push_type(solver, part | mark_bit);
    }
    return true;
}

static bool push_needs(rl_solver_t* solver, uint32_t need, uint32_t mark_bit) {
    for (; need; need = solver->needs.data[need - 1].next) {
        if (!push_type(solver, solver->needs.data[need - 1].type | mark_bit)) return false;
    }
    return true;
}

/*
 * Bring all open variables in `type` (and in their field needs) to `level` or below, and look for `var` (occurs
 * check; not within needs: a struct may hold itself).
 */
static rl_unify_result_t adjust(rl_solver_t* solver, rl_type_t type, uint32_t var, uint16_t level, bool from_need) {
    if (!(node_of(solver, type)->flags & RL_TYPE_HAS_VAR)) return RL_UNIFY_OK;
    uint32_t bottom = solver->scratch.count;
    seen_t seen = {{0}, 0};
    rl_unify_result_t result = RL_UNIFY_OK;
    if (!push_type(solver, type | (from_need ? FROM_NEED : 0))) result = RL_UNIFY_MISMATCH;
    while (result == RL_UNIFY_OK && solver->scratch.count > bottom) {
        uint32_t item = rl_vec_pop(&solver->scratch);
        uint32_t mark_bit = item & FROM_NEED;
        rl_type_t head = rl_solver_head(solver, item & ~FROM_NEED);
        const rl_type_node_t* node = node_of(solver, head);
        if (!(node->flags & RL_TYPE_HAS_VAR) || seen_before(solver, &seen, head | (uint64_t)mark_bit << 1)) continue;
        if (node->kind != RL_TYPE_VAR) {
            if (!push_parts(solver, head, mark_bit)) result = RL_UNIFY_MISMATCH;
            continue;
        }
        uint32_t index = node->a;
        if (index == var && !mark_bit) {
            result = RL_UNIFY_INFINITE;
        } else if (solver->vars.data[index].level > level) {
            if (!touch(solver, index)) {
                result = RL_UNIFY_MISMATCH;
                break;
            }
            solver->vars.data[index].level = level;
            if (!push_needs(solver, solver->vars.data[index].needs, FROM_NEED)) result = RL_UNIFY_MISMATCH;
        }
    }
    solver->scratch.count = bottom;
    rl_map_deinit(memory_of(solver), &seen.map);
    return result;
}

bool rl_solver_open_vars(rl_solver_t* solver, rl_type_t type, rl_type_list_t* out) {
    if (!(node_of(solver, type)->flags & RL_TYPE_HAS_VAR)) return true;
    uint32_t bottom = solver->scratch.count;
    seen_t seen = {{0}, SHARED_AFTER}; /* each variable once: remember from the start */
    bool fine = push_type(solver, type);
    for (uint32_t i = 0; fine && i < out->items.count; i++) { /* those that are there already count as seen */
        fine = rl_map_put(memory_of(solver), &seen.map, out->items.data[i], 1);
    }
    while (fine && solver->scratch.count > bottom) {
        rl_type_t head = rl_solver_head(solver, rl_vec_pop(&solver->scratch));
        const rl_type_node_t* node = node_of(solver, head);
        if (!(node->flags & RL_TYPE_HAS_VAR) || seen_before(solver, &seen, head)) continue;
        if (node->kind == RL_TYPE_VAR) {
            uint32_t needs = solver->vars.data[node->a].needs;
            fine = rl_vec_push(memory_of(solver), &out->items, head) && push_needs(solver, needs, 0);
        } else {
            fine = push_parts(solver, head, 0);
        }
    }
    solver->scratch.count = bottom;
    rl_map_deinit(memory_of(solver), &seen.map);
    return fine;
}

static rl_type_t zonk(rl_solver_t* solver, rl_type_t type, seen_t* seen, unsigned depth) {
    type = rl_solver_head(solver, type);
    rl_type_node_t node = *node_of(solver, type);
    if (!(node.flags & RL_TYPE_HAS_VAR) || node.kind == RL_TYPE_VAR) return type;
    if (depth > RL_TYPE_DEPTH_LIMIT) {
        solver->program->types.too_deep = true;
        return RL_TYPE_ERROR;
    }
    uint32_t known;
    bool remember = ++seen->steps > SHARED_AFTER;
    if (remember && rl_map_get(&seen->map, type, &known)) return known;

    uint32_t words = rl_type_part_words(&node), inline_parts[INLINE_PARTS];
    uint32_t* parts = inline_parts;
    size_t size = (size_t)words * sizeof(uint32_t);
    if (words > INLINE_PARTS && !(parts = rl_alloc(memory_of(solver), size))) return RL_TYPE_ERROR;
    memcpy(parts, rl_type_args(&solver->program->types, type), size);
    uint32_t step = rl_type_part_step(node.kind);
    for (uint32_t i = step - 1; i < words; i += step) parts[i] = zonk(solver, parts[i], seen, depth + 1);
    rl_type_t made = rl_type_make(&solver->program->types, (rl_type_kind_t)node.kind, node.a, parts, words);
    if (parts != inline_parts) rl_free(memory_of(solver), parts, size);
    if (remember) (void)rl_map_put(memory_of(solver), &seen->map, type, made);
    return made;
}

rl_type_t rl_solver_zonk(rl_solver_t* solver, rl_type_t type) {
    if (!(node_of(solver, type)->flags & RL_TYPE_HAS_VAR)) return type;
    seen_t seen = {{0}, 0};
    rl_type_t made = zonk(solver, type, &seen, 1);
    rl_map_deinit(memory_of(solver), &seen.map);
    /* A variable's own solution may as well be the finished one. */
    const rl_type_node_t* node = node_of(solver, type);
    if (node->kind == RL_TYPE_VAR && made != type && made != RL_TYPE_ERROR && solver->trail_marks == 0) {
        solver->vars.data[node->a].bound = made;
    }
    return made;
}

/* --- parts of named types --------------------------------------------------------------------------------- */

static rl_type_t put_arguments_in(rl_program_t* program, rl_type_t named, rl_type_t type) {
    uint32_t count = rl_type_node(&program->types, named)->count;
    return rl_type_substitute(&program->types, type, rl_type_args(&program->types, named), count);
}

rl_type_t rl_type_payload(rl_program_t* program, rl_type_t named, uint32_t tag, uint32_t field) {
    const rl_type_node_t* node = rl_type_node(&program->types, named);
    if (node->kind != RL_TYPE_NAMED) return RL_TYPE_ERROR;
    const rl_typedef_t* def = rl_program_typedef(program, node->a);
    if (tag >= def->variant_count) return RL_TYPE_ERROR;
    const rl_variant_t* variant = rl_program_variant(program, def->variant_first + tag);
    if (field >= variant->field_count) return RL_TYPE_ERROR;
    return put_arguments_in(program, named, rl_program_field(program, variant->field_first + field)->type);
}

bool rl_type_find_field(rl_program_t* program, rl_type_t type, rl_sym_t field, rl_type_t* out_type) {
    for (unsigned hops = 0; hops <= RL_TYPE_DEPTH_LIMIT; hops++) {
        const rl_type_node_t* node = rl_type_node(&program->types, type);
        if (node->kind == RL_TYPE_RECORD || node->kind == RL_TYPE_OPEN) {
            const uint32_t* pairs = rl_type_args(&program->types, type);
            for (uint32_t i = 0; i < node->count; i++) {
                if (pairs[2 * i] != field) continue;
                *out_type = pairs[2 * i + 1];
                return true;
            }
            return false;
        }
        if (node->kind != RL_TYPE_NAMED) return false;
        const rl_typedef_t* def = rl_program_typedef(program, node->a);
        if (def->variant_count != 1) return false;
        if (def->kind == RL_DEF_NEWTYPE) { /* look into what it wraps */
            type = rl_type_payload(program, type, 0, 0);
            continue;
        }
        if (def->kind != RL_DEF_RECORD && def->kind != RL_DEF_STRUCT) return false;
        const rl_variant_t* variant = rl_program_variant(program, def->variant_first);
        for (uint32_t i = 0; i < variant->field_count; i++) {
            if (rl_program_field(program, variant->field_first + i)->name != field) continue;
            *out_type = rl_type_payload(program, type, 0, i);
            return true;
        }
        return false;
    }
    return false;
}

/* --- what holds of a type --------------------------------------------------------------------------------- */

/* Kinds that hold for a type without parts. */
static uint32_t facts_of(rl_type_t simple) {
    if (rl_type_is_float(simple)) return ARITHMETIC | STRUCTURAL | LITERALS;
    if (rl_type_is_integer(simple)) return ARITHMETIC | STRUCTURAL | RL_CON_INTEGER_LITERAL;
    switch (simple) {
    case RL_TYPE_ERROR:
    case RL_TYPE_NEVER: return 0xFFFFFFFFu;
    case RL_TYPE_UNIT:
    case RL_TYPE_BOOL:
    case RL_TYPE_CHAR:
    case RL_TYPE_BYTES:
    case RL_TYPE_TIMESTAMP: return STRUCTURAL;
    case RL_TYPE_STR: return STRUCTURAL | RL_CON_ADD;
    case RL_TYPE_DURATION: return STRUCTURAL | RL_CON_ADD | RL_CON_SUB;
    case RL_TYPE_ANY: return RL_CON_EQ;
    default: return 0;
    }
}

/*
 * EQ, ORD, HASH of composed types hold when they hold of all parts. "All" is a conjunction over everything reachable,
 * so no instance of a recursive type is ever made: of each typedef we ask once what its own body needs ("assumed
 * while in progress" comes for free) and which of its parameters appear in it; only these arguments are looked at,
 * wherever the typedef is used. That ends for polymorphic recursion too. A context is the typedef in whose body a
 * type stands (0: the type that was asked for).
 */
typedef struct use { /* NAMED type `type` was met in `context` */
    rl_type_t type;
    rl_typedef_id_t context;
    uint32_t next; /* use of the same typedef, 1-based */
} use_t;
typedef struct def_state {
    uint64_t used; /* parameters that appear in the body; number 63 stands for all from 63 on */
    uint32_t uses;
} def_state_t;
typedef struct part {
    rl_type_t type;
    rl_typedef_id_t context;
} part_t;
typedef struct structure {
    const rl_program_t* program;
    rl_solver_t* solver; /* NULL: the type has no variables, parameters have nothing */
    uint32_t kinds, missing;
    rl_type_t failed;
    rl_map_t defs; /* typedef → index in states */
    rl_map_t seen;
    uint32_t steps;
    RL_VEC(def_state_t) states;
    RL_VEC(use_t) uses;
    RL_VEC(part_t) parts;
} structure_t;

static bool add_constraints(rl_solver_t* solver, uint32_t index, uint32_t kinds);

static uint32_t parameter_bit(uint32_t index) { return index < 63 ? index : 63; }

static bool add_part(structure_t* s, rl_type_t type, rl_typedef_id_t context) {
    return rl_vec_push(s->program->allocator, &s->parts, (part_t){type, context});
}

static bool add_parts(structure_t* s, rl_type_t type, rl_typedef_id_t context) {
    const rl_type_node_t* node = rl_type_node(&s->program->types, type);
    const uint32_t* words = rl_type_args(&s->program->types, type);
    uint32_t step = rl_type_part_step(node->kind), count = rl_type_part_words(node);
    for (uint32_t i = count; i >= step; i -= step) {
        if (!add_part(s, words[i - 1], context)) return false;
    }
    return true;
}

/* The argument for parameter `bit` of each use of a typedef must satisfy too. */
static bool add_argument(structure_t* s, const use_t* use, uint32_t bit) {
    const rl_type_node_t* node = rl_type_node(&s->program->types, use->type);
    const uint32_t* arguments = rl_type_args(&s->program->types, use->type);
    uint32_t end = bit == 63 || bit >= node->count ? node->count : bit + 1;
    for (uint32_t i = bit; i < end; i++) {
        if (!add_part(s, arguments[i], use->context)) return false;
    }
    return true;
}

static bool use_parameter(structure_t* s, rl_typedef_id_t def, uint32_t index) {
    uint32_t state, bit = parameter_bit(index);
    if (!rl_map_get(&s->defs, def, &state)) return true;
    if (s->states.data[state].used >> bit & 1) return true;
    s->states.data[state].used |= (uint64_t)1 << bit;
    for (uint32_t use = s->states.data[state].uses; use; use = s->uses.data[use - 1].next) {
        if (!add_argument(s, &s->uses.data[use - 1], bit)) return false;
    }
    return true;
}

static bool use_typedef(structure_t* s, rl_type_t type, rl_typedef_id_t context) {
    rl_allocator_t* allocator = s->program->allocator;
    rl_typedef_id_t id = rl_type_node(&s->program->types, type)->a;
    uint32_t state;
    if (!rl_map_get(&s->defs, id, &state)) {
        state = s->states.count;
        if (!rl_vec_push(allocator, &s->states, (def_state_t){0, 0}) || !rl_map_put(allocator, &s->defs, id, state))
            return false;
        const rl_typedef_t* def = rl_program_typedef(s->program, id);
        for (uint32_t tag = def->variant_count; tag-- > 0;) {
            const rl_variant_t* variant = rl_program_variant(s->program, def->variant_first + tag);
            for (uint32_t i = variant->field_count; i-- > 0;) {
                if (!add_part(s, rl_program_field(s->program, variant->field_first + i)->type, id)) return false;
            }
        }
    }
    use_t use = {type, context, s->states.data[state].uses};
    if (!rl_vec_push(allocator, &s->uses, use)) return false;
    s->states.data[state].uses = s->uses.count;
    for (uint32_t bit = 0; bit < 64; bit++) {
        if (s->states.data[state].used >> bit & 1 && !add_argument(s, &use, bit)) return false;
    }
    return true;
}

/* The kinds (of EQ, ORD, HASH) that such a type can have at all; *out_parts: provided that its parts have them. */
static uint32_t named_facts(const rl_typedef_t* def, bool* out_parts) {
    *out_parts = true;
    switch ((rl_typedef_kind_t)def->kind) {
    case RL_DEF_SUM:
    case RL_DEF_RECORD:
    case RL_DEF_NEWTYPE: return STRUCTURAL;
    case RL_DEF_STRUCT: *out_parts = false; return RL_CON_EQ | RL_CON_HASH; /* by identity */
    case RL_DEF_BUILTIN: break;
    default: return 0;
    }
    switch ((rl_builtin_type_t)def->builtin) {
    case RL_BUILTIN_LIST: return STRUCTURAL;
    case RL_BUILTIN_MAP:
    case RL_BUILTIN_SET:
    case RL_BUILTIN_RANGE: return RL_CON_EQ | RL_CON_HASH;
    case RL_BUILTIN_VEC:
    case RL_BUILTIN_TABLE:
    case RL_BUILTIN_CELL:
    case RL_BUILTIN_REF: *out_parts = false; return RL_CON_EQ | RL_CON_HASH;
    default: return 0;
    }
}

/* One part; false: not satisfied (s->missing) or memory is short. */
static bool check_part(structure_t* s, part_t part) {
    rl_type_t type = part.context == 0 && s->solver ? rl_solver_head(s->solver, part.type) : part.type;
    const rl_type_node_t* node = rl_type_node(&s->program->types, type);
    uint32_t holds = 0;
    bool parts = true;
    switch ((rl_type_kind_t)node->kind) {
    case RL_TYPE_VAR:
        if (s->solver) return add_constraints(s->solver, node->a, s->kinds);
        break;
    case RL_TYPE_PARAM:
        if (part.context) return use_parameter(s, part.context, node->a);
        if (s->solver && s->solver->param_satisfies && s->solver->param_satisfies(s->solver->user, node->a, s->kinds))
            return true;
        break;
    case RL_TYPE_TUPLE:
    case RL_TYPE_RECORD:
    case RL_TYPE_ARRAY: holds = STRUCTURAL; break;
    case RL_TYPE_NAMED: holds = named_facts(rl_program_typedef(s->program, node->a), &parts); break;
    case RL_TYPE_OPEN: holds = RL_CON_EQ | RL_CON_HASH; break;
    case RL_TYPE_FUNCTION: break;
    default: holds = facts_of(type); break;
    }
    if (s->kinds & ~holds) {
        s->missing = s->kinds & ~holds;
        s->failed = type;
        return false;
    }
    if (node->kind < RL_TYPE_SIMPLE_COUNT || !parts) return true;
    uint32_t unused;
    if (++s->steps > SHARED_AFTER) {
        uint64_t key = rl_map_key2(part.context, type);
        if (rl_map_get(&s->seen, key, &unused)) return true;
        (void)rl_map_put(s->program->allocator, &s->seen, key, 1);
    }
    if (node->kind == RL_TYPE_NAMED && rl_program_typedef(s->program, node->a)->kind != RL_DEF_BUILTIN) {
        return use_typedef(s, type, part.context);
    }
    return add_parts(s, type, part.context);
}

/* Do `kinds` (of EQ, ORD, HASH) hold? Without an answer because memory is short: false with nothing missing. */
static bool check_structure(structure_t* s, rl_type_t type) {
    bool fine = add_part(s, type, 0);
    while (fine && s->parts.count > 0) fine = check_part(s, rl_vec_pop(&s->parts));
    rl_allocator_t* allocator = s->program->allocator;
    rl_map_deinit(allocator, &s->defs);
    rl_map_deinit(allocator, &s->seen);
    rl_vec_deinit(allocator, &s->states);
    rl_vec_deinit(allocator, &s->uses);
    rl_vec_deinit(allocator, &s->parts);
    return fine;
}

bool rl_type_satisfies(rl_program_t* program, rl_type_t type, uint32_t kinds, uint32_t* out_missing) {
    kinds &= ARITHMETIC | STRUCTURAL | LITERALS;
    const rl_type_node_t* node = rl_type_node(&program->types, type);
    uint32_t missing = 0;
    if (node->kind < RL_TYPE_SIMPLE_COUNT) {
        missing = kinds & ~facts_of(type);
    } else {
        missing = kinds & ~STRUCTURAL;
        for (uint32_t i = 0; i < RL_OPERATOR_COUNT; i++) {
            if ((missing >> i & 1) && rl_impl_holds_operator(program, i, type)) missing &= ~(1u << i);
        }
        structure_t s = {.program = program, .kinds = kinds & STRUCTURAL};
        if (s.kinds && !check_structure(&s, type)) missing |= s.missing ? s.missing : s.kinds;
    }
    if (out_missing) *out_missing = missing;
    return missing == 0;
}

/* --- demands ---------------------------------------------------------------------------------------------- */

static rl_unify_result_t fail_constraint(rl_solver_t* solver, uint32_t missing, rl_type_t type, rl_sym_t field) {
    solver->failed_constraint = missing;
    solver->failed_type = type;
    solver->failed_field = field;
    return RL_UNIFY_CONSTRAINT;
}

static bool add_constraints(rl_solver_t* solver, uint32_t index, uint32_t kinds) {
    rl_var_t* var = &solver->vars.data[index];
    uint8_t klass = kinds & RL_CON_FLOAT_LITERAL                                  ? RL_VAR_FLOAT
                    : kinds & RL_CON_INTEGER_LITERAL && var->klass == RL_VAR_FREE ? RL_VAR_INTEGER
                                                                                  : var->klass;
    kinds = (kinds & (ARITHMETIC | STRUCTURAL)) | var->constraints;
    if (kinds == var->constraints && klass == var->klass) return true;
    if (!touch(solver, index)) return false;
    var->constraints = kinds;
    var->klass = klass;
    return true;
}

static rl_unify_result_t require(rl_solver_t* solver, rl_type_t type, uint32_t kinds) {
    type = rl_solver_head(solver, type);
    const rl_type_node_t* node = node_of(solver, type);
    kinds &= ARITHMETIC | STRUCTURAL | LITERALS;
    if (kinds == 0) return RL_UNIFY_OK;
    if (node->kind == RL_TYPE_VAR) {
        if (kinds & LITERALS && solver->vars.data[node->a].needs) {
            uint32_t need = solver->vars.data[node->a].needs;
            return fail_constraint(solver, RL_CON_FIELD, type, solver->needs.data[need - 1].name);
        }
        return add_constraints(solver, node->a, kinds) ? RL_UNIFY_OK : RL_UNIFY_MISMATCH;
    }
    if (node->kind == RL_TYPE_PARAM) {
        if (solver->param_satisfies && solver->param_satisfies(solver->user, node->a, kinds)) return RL_UNIFY_OK;
        return fail_constraint(solver, kinds, type, 0);
    }
    uint32_t holds = node->kind < RL_TYPE_SIMPLE_COUNT ? facts_of(type) : STRUCTURAL;
    if ((kinds & ~holds & ARITHMETIC) && solver->has_operators &&
        solver->has_operators(solver->user, type, kinds & ~holds & ARITHMETIC))
        kinds &= holds | ~ARITHMETIC;
    if (kinds == 0) return RL_UNIFY_OK;
    node = node_of(solver, type);
    if (kinds & ~holds) return fail_constraint(solver, kinds & ~holds, type, 0);
    if (node->kind < RL_TYPE_SIMPLE_COUNT) return RL_UNIFY_OK;
    structure_t s = {.program = solver->program, .solver = solver, .kinds = kinds};
    if (check_structure(&s, type)) return RL_UNIFY_OK;
    return s.missing ? fail_constraint(solver, s.missing, s.failed, 0) : RL_UNIFY_MISMATCH;
}

typedef struct unification {
    rl_solver_t* solver;
    rl_map_t done; /* pairs that were made equal */
    uint32_t steps;
} unification_t;

static rl_unify_result_t unify(unification_t* u, rl_type_t a, rl_type_t b, unsigned depth);

/* Demand a field of a type, known or not. */
static rl_unify_result_t require_field(unification_t* u, rl_type_t type, const rl_field_need_t* need, unsigned depth) {
    rl_solver_t* solver = u->solver;
    type = rl_solver_head(solver, type);
    const rl_type_node_t* node = node_of(solver, type);
    rl_type_t found;
    if (type == RL_TYPE_ERROR || type == RL_TYPE_NEVER) return RL_UNIFY_OK;
    if (node->kind == RL_TYPE_VAR) {
        uint32_t index = node->a;
        if (solver->vars.data[index].klass != RL_VAR_FREE)
            return fail_constraint(solver, RL_CON_FIELD, type, need->name);
        for (uint32_t i = solver->vars.data[index].needs; i; i = solver->needs.data[i - 1].next) {
            if (solver->needs.data[i - 1].name == need->name)
                return unify(u, solver->needs.data[i - 1].type, need->type, depth);
        }
        rl_unify_result_t result = adjust(solver, need->type, NO_VAR, solver->vars.data[index].level, true);
        if (result != RL_UNIFY_OK) return result;
        rl_field_need_t entry = *need;
        entry.next = solver->vars.data[index].needs;
        if (!touch(solver, index) || !rl_vec_push(memory_of(solver), &solver->needs, entry)) return RL_UNIFY_MISMATCH;
        solver->vars.data[index].needs = solver->needs.count;
        return RL_UNIFY_OK;
    }
    if (node->kind == RL_TYPE_PARAM) {
        if (solver->param_field && solver->param_field(solver->user, node->a, need->name, &found)) {
            return unify(u, found, need->type, depth);
        }
    } else {
        /* The payload of a newtype may be a variable that is solved by now. */
        for (unsigned hops = 0; hops <= RL_TYPE_DEPTH_LIMIT; hops++) {
            if (rl_type_find_field(solver->program, type, need->name, &found))
                return unify(u, found, need->type, depth);
            const rl_type_node_t* named = node_of(solver, type);
            if (named->kind != RL_TYPE_NAMED || rl_program_typedef(solver->program, named->a)->kind != RL_DEF_NEWTYPE)
                break;
            rl_type_t payload = rl_type_payload(solver->program, type, 0, 0);
            rl_type_t head = rl_solver_head(solver, payload);
            if (node_of(solver, head)->kind == RL_TYPE_VAR) break;
            type = head;
        }
    }
    return fail_constraint(solver, RL_CON_FIELD, type, need->name);
}

/* --- unification ------------------------------------------------------------------------------------------ */

/* Of two variables that become one, which origin is the better one to report. */
static unsigned origin_rank(const rl_var_t* var) {
    switch ((rl_var_origin_t)var->origin) {
    case RL_FROM_EMPTY_LIST:
    case RL_FROM_EMPTY_MAP: return 3;
    case RL_FROM_LITERAL: return 2;
    case RL_FROM_OTHER: return 1;
    default: return 0;
    }
}

static rl_unify_result_t join_variables(unification_t* u, rl_type_t a, rl_type_t b, unsigned depth) {
    rl_solver_t* solver = u->solver;
    uint32_t stays = node_of(solver, a)->a, goes = node_of(solver, b)->a;
    if (stays > goes) { /* the older one stays: reports are made at a variable's first binding */
        uint32_t swap = stays;
        stays = goes;
        goes = swap;
        a = b;
    }
    if (!touch(solver, stays) || !touch(solver, goes)) return RL_UNIFY_MISMATCH;
    rl_var_t* root = &solver->vars.data[stays];
    rl_var_t* other = &solver->vars.data[goes];
    uint32_t needs = other->needs;
    if (other->klass > root->klass) root->klass = other->klass; /* FREE < INTEGER < FLOAT */
    if (root->klass != RL_VAR_FREE && (root->needs || needs)) {
        uint32_t need = root->needs ? root->needs : needs;
        return fail_constraint(solver, RL_CON_FIELD, a, solver->needs.data[need - 1].name);
    }
    root->constraints |= other->constraints;
    if (origin_rank(other) > origin_rank(root)) {
        root->origin = other->origin;
        root->span = other->span;
    }
    uint16_t level = root->level < other->level ? root->level : other->level;
    bool lowered = level < root->level;
    root->level = level;
    other->bound = a;
    if (lowered) { /* what is demanded of a variable is no more general than itself */
        for (uint32_t i = root->needs; i; i = solver->needs.data[i - 1].next) {
            rl_unify_result_t result = adjust(solver, solver->needs.data[i - 1].type, NO_VAR, level, true);
            if (result != RL_UNIFY_OK) return result;
        }
    }
    for (uint32_t i = needs; i; i = solver->needs.data[i - 1].next) {
        rl_field_need_t need = solver->needs.data[i - 1];
        rl_unify_result_t result = require_field(u, a, &need, depth + 1);
        if (result != RL_UNIFY_OK) return result;
    }
    return RL_UNIFY_OK;
}

static bool class_allows(rl_solver_t* solver, rl_var_class_t klass, rl_type_t type) {
    if (klass == RL_VAR_FREE || type == RL_TYPE_ERROR) return true;
    const rl_type_node_t* node = node_of(solver, type);
    if (node->kind == RL_TYPE_PARAM) {
        uint32_t kind = klass == RL_VAR_FLOAT ? RL_CON_FLOAT_LITERAL : RL_CON_INTEGER_LITERAL;
        return solver->param_satisfies && solver->param_satisfies(solver->user, node->a, kind);
    }
    return klass == RL_VAR_FLOAT ? rl_type_is_float(type) : rl_type_is_numeric(type);
}

static rl_unify_result_t solve_variable(unification_t* u, rl_type_t variable, rl_type_t type, unsigned depth) {
    rl_solver_t* solver = u->solver;
    uint32_t index = node_of(solver, variable)->a;
    rl_var_t var = solver->vars.data[index];
    if (!class_allows(solver, (rl_var_class_t)var.klass, type)) return RL_UNIFY_MISMATCH;
    rl_unify_result_t result = adjust(solver, type, index, var.level, false);
    if (result != RL_UNIFY_OK) return result;
    if (!touch(solver, index)) return RL_UNIFY_MISMATCH;
    solver->vars.data[index].bound = type;
    if (var.constraints && (result = require(solver, type, var.constraints)) != RL_UNIFY_OK) return result;
    for (uint32_t i = var.needs; i; i = solver->needs.data[i - 1].next) {
        rl_field_need_t need = solver->needs.data[i - 1];
        if ((result = require_field(u, type, &need, depth + 1)) != RL_UNIFY_OK) return result;
    }
    return RL_UNIFY_OK;
}

/* A named record against an anonymous one. */
static rl_unify_result_t unify_named_record(unification_t* u, rl_type_t named, rl_type_t record, unsigned depth) {
    rl_solver_t* solver = u->solver;
    const rl_typedef_t* def = rl_program_typedef(solver->program, node_of(solver, named)->a);
    if (def->kind != RL_DEF_RECORD || def->variant_count != 1) return RL_UNIFY_MISMATCH;
    const rl_variant_t variant = *rl_program_variant(solver->program, def->variant_first);
    if (variant.field_count != node_of(solver, record)->count) return RL_UNIFY_MISMATCH;
    for (uint32_t i = 0; i < variant.field_count; i++) { /* both are in stored order */
        if (rl_program_field(solver->program, variant.field_first + i)->name != part_of(solver, record, 2 * i))
            return RL_UNIFY_MISMATCH;
    }
    for (uint32_t i = 0; i < variant.field_count; i++) {
        rl_type_t field = rl_type_payload(solver->program, named, 0, i);
        rl_unify_result_t result = unify(u, field, part_of(solver, record, 2 * i + 1), depth + 1);
        if (result != RL_UNIFY_OK) return result;
    }
    return RL_UNIFY_OK;
}

static rl_unify_result_t unify_parts(unification_t* u, rl_type_t a, rl_type_t b, unsigned depth) {
    rl_solver_t* solver = u->solver;
    const rl_type_node_t* x = node_of(solver, a);
    const rl_type_node_t* y = node_of(solver, b);
    if (x->kind == RL_TYPE_NAMED && y->kind == RL_TYPE_RECORD) return unify_named_record(u, a, b, depth);
    if (x->kind == RL_TYPE_RECORD && y->kind == RL_TYPE_NAMED) return unify_named_record(u, b, a, depth);
    if (x->kind != y->kind || x->count != y->count || x->kind < RL_TYPE_SIMPLE_COUNT) return RL_UNIFY_MISMATCH;
    /* Functions that differ in their effect set only are the same type here. */
    if (x->kind != RL_TYPE_FUNCTION && x->a != y->a) return RL_UNIFY_MISMATCH;
    uint32_t step = rl_type_part_step(x->kind), words = rl_type_part_words(x);
    if (step == 2) {
        for (uint32_t i = 0; i < words; i += 2) {
            if (part_of(solver, a, i) != part_of(solver, b, i)) return RL_UNIFY_MISMATCH;
        }
    }
    for (uint32_t i = step - 1; i < words; i += step) {
        rl_unify_result_t result = unify(u, part_of(solver, a, i), part_of(solver, b, i), depth + 1);
        if (result != RL_UNIFY_OK) return result;
    }
    return RL_UNIFY_OK;
}

static rl_unify_result_t unify(unification_t* u, rl_type_t a, rl_type_t b, unsigned depth) {
    rl_solver_t* solver = u->solver;
    a = rl_solver_head(solver, a);
    b = rl_solver_head(solver, b);
    if (a == b || a == RL_TYPE_NEVER || b == RL_TYPE_NEVER) return RL_UNIFY_OK;
    if (depth > RL_TYPE_DEPTH_LIMIT) {
        solver->program->types.too_deep = true;
        return RL_UNIFY_MISMATCH;
    }
    bool a_open = node_of(solver, a)->kind == RL_TYPE_VAR, b_open = node_of(solver, b)->kind == RL_TYPE_VAR;
    if (a_open && b_open) return join_variables(u, a, b, depth);
    if (a_open) return solve_variable(u, a, b, depth);
    if (b_open) return solve_variable(u, b, a, depth);
    if (a == RL_TYPE_ERROR || b == RL_TYPE_ERROR) return RL_UNIFY_OK;
    uint32_t unused;
    bool remember = ++u->steps > SHARED_AFTER;
    if (remember && rl_map_get(&u->done, rl_map_key2(a, b), &unused)) return RL_UNIFY_OK;
    rl_unify_result_t result = unify_parts(u, a, b, depth);
    if (remember && result == RL_UNIFY_OK) (void)rl_map_put(memory_of(solver), &u->done, rl_map_key2(a, b), 1);
    return result;
}

/* All or nothing. */
static rl_unify_result_t finish(rl_solver_t* solver, unification_t* u, uint32_t mark, rl_unify_result_t result) {
    if (u) rl_map_deinit(memory_of(solver), &u->done);
    if (result == RL_UNIFY_OK) rl_solver_commit(solver, mark);
    else rl_solver_rollback(solver, mark);
    return result;
}

rl_unify_result_t rl_unify(rl_solver_t* solver, rl_type_t a, rl_type_t b) {
    solver->unify_calls++;
    if (a == b) return RL_UNIFY_OK;
    unification_t u = {.solver = solver};
    uint32_t mark = rl_solver_mark(solver);
    return finish(solver, &u, mark, unify(&u, a, b, 1));
}

rl_unify_result_t rl_solver_require(rl_solver_t* solver, rl_type_t type, uint32_t kinds, rl_span_t span) {
    (void)span; /* a variable is reported where it was made */
    uint32_t mark = rl_solver_mark(solver);
    return finish(solver, NULL, mark, require(solver, type, kinds));
}

rl_unify_result_t rl_solver_require_field(
    rl_solver_t* solver, rl_type_t type, rl_sym_t field, rl_type_t field_type, rl_span_t span) {
    unification_t u = {.solver = solver};
    rl_field_need_t need = {.name = field, .type = field_type, .span = span};
    uint32_t mark = rl_solver_mark(solver);
    return finish(solver, &u, mark, require_field(&u, type, &need, 1));
}

void rl_solver_instantiate(
    rl_solver_t* solver, const rl_function_t* function, uint32_t first, rl_span_t span, rl_type_t* out_arguments) {
    const rl_function_t f = *function;
    for (uint32_t i = 0; i < f.type_params; i++) {
        out_arguments[i] = i < first ? rl_type_param(&solver->program->types, i)
                                     : rl_solver_fresh(solver, RL_VAR_FREE, RL_FROM_OTHER, span);
    }
    for (uint32_t i = 0; i < f.constraint_count; i++) {
        rl_constraint_t constraint = *rl_program_constraint(solver->program, f.constraint_first + i);
        if (constraint.kinds == RL_CON_TRAIT) continue; /* the checker's */
        if (constraint.param < first || constraint.param >= f.type_params) continue;
        rl_type_t type = out_arguments[constraint.param];
        if (constraint.kinds & RL_CON_FIELD) {
            rl_type_t field =
                rl_type_substitute(&solver->program->types, constraint.type, out_arguments, f.type_params);
            (void)rl_solver_require_field(solver, type, constraint.field, field, span);
        } else {
            (void)rl_solver_require(solver, type, constraint.kinds, span);
        }
    }
}
