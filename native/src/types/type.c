#include "types/type.h"

/*
 * Nodes are found by content through `slots` (ids, linear probing, at most half full; the simple kinds are not in
 * it). Depth is bounded when a node is made, so recursion over one type needs no check of its own. But a type is a
 * graph with shared parts, which as a tree may be exponentially large: walks that could meet a part again and again
 * remember what they did once they have taken SHARED_AFTER steps.
 */
#define FIRST_SLOTS  256u
#define SHARED_AFTER 64u
#define INLINE_PARTS 16u

const rl_type_node_t rl_type_simple[RL_TYPE_SIMPLE_COUNT] = {
#define SIMPLE(kind_of, its_flags) [kind_of] = {.kind = kind_of, .flags = its_flags, .depth = 1}
    SIMPLE(RL_TYPE_ERROR, RL_TYPE_HAS_ERROR),
    SIMPLE(RL_TYPE_NEVER, 0),
    SIMPLE(RL_TYPE_UNIT, 0),
    SIMPLE(RL_TYPE_BOOL, 0),
    SIMPLE(RL_TYPE_CHAR, 0),
    SIMPLE(RL_TYPE_I8, 0),
    SIMPLE(RL_TYPE_I16, 0),
    SIMPLE(RL_TYPE_I32, 0),
    SIMPLE(RL_TYPE_I64, 0),
    SIMPLE(RL_TYPE_U8, 0),
    SIMPLE(RL_TYPE_U16, 0),
    SIMPLE(RL_TYPE_U32, 0),
    SIMPLE(RL_TYPE_U64, 0),
    SIMPLE(RL_TYPE_F32, 0),
    SIMPLE(RL_TYPE_F64, 0),
    SIMPLE(RL_TYPE_STR, 0),
    SIMPLE(RL_TYPE_BYTES, 0),
    SIMPLE(RL_TYPE_DURATION, 0),
    SIMPLE(RL_TYPE_TIMESTAMP, 0),
    SIMPLE(RL_TYPE_ANY, 0),
#undef SIMPLE
};
_Static_assert(RL_TYPE_ANY + 1 == RL_TYPE_SIMPLE_COUNT, "each simple kind has its node");
static const rl_type_node_t no_node = {.kind = RL_TYPE_ERROR, .flags = RL_TYPE_HAS_ERROR, .depth = 1};

void rl_types_init(rl_types_t* types, const rl_types_t* below, rl_allocator_t* allocator) {
    *types = (rl_types_t){.below = below, .allocator = allocator};
    if (below) {
        types->first = below->first + below->nodes.count;
        return;
    }
    for (unsigned kind = 0; kind < RL_TYPE_SIMPLE_COUNT; kind++) {
        if (!rl_vec_push(allocator, &types->nodes, rl_type_simple[kind])) return;
    }
}

void rl_types_deinit(rl_types_t* types) {
    rl_vec_deinit(types->allocator, &types->nodes);
    rl_vec_deinit(types->allocator, &types->extra);
    rl_vec_deinit(types->allocator, &types->vars);
    rl_free(types->allocator, types->slots, (size_t)types->slot_count * sizeof(uint32_t));
    types->slots = NULL;
    types->slot_count = 0;
}

/* The table that owns the id, or NULL. */
static const rl_types_t* owner_of(const rl_types_t* types, rl_type_t type) {
    while (type < types->first && types->below) types = types->below;
    return type >= types->first && type - types->first < types->nodes.count ? types : NULL;
}

const rl_type_node_t* rl_type_node_below(const rl_types_t* types, rl_type_t type) {
    const rl_types_t* owner = owner_of(types, type);
    return owner ? &owner->nodes.data[type - owner->first] : &no_node;
}

const uint32_t* rl_type_args_below(const rl_types_t* types, rl_type_t type) {
    static const uint32_t none[1] = {0};
    const rl_types_t* owner = owner_of(types, type);
    if (!owner || !owner->extra.data) return none;
    return owner->extra.data + owner->nodes.data[type - owner->first].args;
}

/* As with symbols: the lowest table hashes without a secret. */
static uint64_t hash_of(
    const rl_types_t* types, rl_type_kind_t kind, uint32_t a, const uint32_t* parts, uint32_t part_words) {
    uint64_t seed = types->below ? (uint64_t)(uintptr_t)types->allocator : 0;
    uint64_t hash = rl_hash_mix(((uint64_t)a << 8) | kind, seed + part_words);
    if (part_words > 4) return rl_hash_bytes(parts, (size_t)part_words * sizeof(uint32_t), hash);
    for (uint32_t i = 0; i < part_words; i++) hash = rl_hash_mix(hash, parts[i]);
    return hash;
}

/* Slot that holds such a node, or the free one where it belongs. */
static uint32_t slot_of(
    const rl_types_t* types, rl_type_kind_t kind, uint32_t a, const uint32_t* parts, uint32_t part_words) {
    uint32_t mask = types->slot_count - 1;
    uint32_t slot = (uint32_t)hash_of(types, kind, a, parts, part_words) & mask;
    for (; types->slots[slot]; slot = (slot + 1) & mask) {
        const rl_type_node_t* node = &types->nodes.data[types->slots[slot] - types->first];
        if (node->kind != kind || node->a != a || rl_type_part_words(node) != part_words) continue;
        const uint32_t* own = types->extra.data + node->args;
        uint32_t same = 0;
        while (same < part_words && own[same] == parts[same]) same++;
        if (same == part_words) break;
    }
    return slot;
}

static void fill_slots(rl_types_t* types) {
    for (uint32_t i = 0; i < types->nodes.count; i++) {
        const rl_type_node_t* node = &types->nodes.data[i];
        if (node->kind < RL_TYPE_SIMPLE_COUNT || node->kind == RL_TYPE_VAR) continue;
        const uint32_t* parts = types->extra.data ? types->extra.data + node->args : NULL;
        types->slots[slot_of(types, (rl_type_kind_t)node->kind, node->a, parts, rl_type_part_words(node))] =
            types->first + i;
    }
}

static bool grow_slots(rl_types_t* types) {
    uint32_t count = types->slot_count ? types->slot_count * 2 : FIRST_SLOTS;
    uint32_t* slots =
        count > types->slot_count ? rl_alloc_zero(types->allocator, (size_t)count * sizeof(uint32_t)) : NULL;
    if (!slots) return false;
    rl_free(types->allocator, types->slots, (size_t)types->slot_count * sizeof(uint32_t));
    types->slots = slots;
    types->slot_count = count;
    fill_slots(types);
    return true;
}

void rl_types_truncate(rl_types_t* types, uint32_t node_count, uint32_t extra_count) {
    if (types->nodes.count > node_count) {
        types->nodes.count = node_count;
        if (types->slot_count) memset(types->slots, 0, (size_t)types->slot_count * sizeof(uint32_t));
        if (types->extra.count > extra_count) types->extra.count = extra_count;
        while (types->vars.count && rl_vec_last(&types->vars) >= types->first + node_count) types->vars.count--;
        if (types->slot_count) fill_slots(types);
    }
    types->too_deep = false;
}

rl_type_t rl_type_make(rl_types_t* types, rl_type_kind_t kind, uint32_t a, const uint32_t* parts, uint32_t part_words) {
    if (kind < RL_TYPE_SIMPLE_COUNT) return (rl_type_t)kind;
    if (kind == RL_TYPE_VAR) return rl_type_var(types, a);
    uint32_t step = rl_type_part_step(kind), count = part_words / step;
    if (count > UINT16_MAX) { /* no source within its size limits needs it; treat as memory that is short */
        types->allocator->failed = true;
        return RL_TYPE_ERROR;
    }
    uint32_t slot = 0, slots = types->slot_count;
    for (const rl_types_t* table = types; table; table = table->below) {
        if (table->slot_count == 0) continue;
        uint32_t at = slot_of(table, kind, a, parts, part_words);
        if (table->slots[at]) return table->slots[at];
        if (table == types) slot = at;
    }
    unsigned flags = kind == RL_TYPE_PARAM               ? RL_TYPE_HAS_PARAM
                     : kind == RL_TYPE_FUNCTION && a > 0 ? RL_TYPE_HAS_EFFECTS
                                                         : 0;
    unsigned depth = 0;
    for (uint32_t i = step - 1; i < part_words; i += step) {
        const rl_type_node_t* part = rl_type_node(types, parts[i]);
        flags |= part->flags;
        if (part->depth > depth) depth = part->depth;
    }
    if (depth + 1 > RL_TYPE_DEPTH_LIMIT) {
        types->too_deep = true;
        return RL_TYPE_ERROR;
    }
    /* The lowest table must have its simple kinds before anything else (its init may have been refused memory). */
    if (!types->below && types->nodes.count < RL_TYPE_SIMPLE_COUNT) {
        types->allocator->failed = true;
        return RL_TYPE_ERROR;
    }
    if ((uint64_t)types->nodes.count * 2 + 2 > types->slot_count && !grow_slots(types)) return RL_TYPE_ERROR;
    bool inside = types->extra.data && parts >= types->extra.data && parts < types->extra.data + types->extra.count;
    size_t offset = inside ? (size_t)(parts - types->extra.data) : 0;
    if (!rl_vec_reserve(types->allocator, &types->extra, part_words)) return RL_TYPE_ERROR;
    if (!rl_vec_reserve(types->allocator, &types->nodes, 1)) return RL_TYPE_ERROR;
    if (inside) parts = types->extra.data + offset;
    if (types->slot_count != slots) slot = slot_of(types, kind, a, parts, part_words);
    uint32_t args = types->extra.count;
    if (part_words) memcpy(types->extra.data + args, parts, (size_t)part_words * sizeof(uint32_t));
    types->extra.count += part_words;
    rl_type_t made = types->first + types->nodes.count;
    types->nodes.data[types->nodes.count++] = (rl_type_node_t){.kind = (uint8_t)kind,
        .flags = (uint8_t)flags,
        .count = (uint16_t)count,
        .a = a,
        .args = args,
        .depth = (uint16_t)(depth + 1)};
    types->slots[slot] = made;
    return made;
}

rl_type_t rl_type_tuple(rl_types_t* types, const rl_type_t* elements, uint32_t count) {
    return rl_type_make(types, RL_TYPE_TUPLE, 0, elements, count);
}

rl_type_t rl_type_function(rl_types_t* types, const rl_type_t* parameters, uint32_t count, rl_type_t result) {
    uint32_t inline_parts[INLINE_PARTS];
    uint32_t* parts = inline_parts;
    size_t size = ((size_t)count + 1) * sizeof(uint32_t);
    if (count >= INLINE_PARTS && !(parts = rl_alloc(types->allocator, size))) return RL_TYPE_ERROR;
    if (count) memcpy(parts, parameters, (size_t)count * sizeof(uint32_t));
    parts[count] = result;
    rl_type_t made = rl_type_make(types, RL_TYPE_FUNCTION, 0, parts, count + 1);
    if (parts != inline_parts) rl_free(types->allocator, parts, size);
    return made;
}

rl_type_t rl_type_named(rl_types_t* types, uint32_t typedef_index, const rl_type_t* arguments, uint32_t count) {
    return rl_type_make(types, RL_TYPE_NAMED, typedef_index, arguments, count);
}

rl_type_t rl_type_var(rl_types_t* types, uint32_t index) {
    if (RL_LIKELY(index < types->vars.count)) return types->vars.data[index];
    rl_type_t made = types->first + types->nodes.count;
    rl_type_node_t node = {.kind = RL_TYPE_VAR, .flags = RL_TYPE_HAS_VAR, .a = index, .depth = 1};
    /* The lowest table must have its simple kinds first, see rl_type_make(). */
    if (index != types->vars.count || (!types->below && types->nodes.count < RL_TYPE_SIMPLE_COUNT) ||
        !rl_vec_reserve(types->allocator, &types->vars, 1) || !rl_vec_push(types->allocator, &types->nodes, node)) {
        types->allocator->failed = true;
        return RL_TYPE_ERROR;
    }
    types->vars.data[types->vars.count++] = made;
    return made;
}

rl_type_t rl_type_param(rl_types_t* types, uint32_t index) {
    return rl_type_make(types, RL_TYPE_PARAM, index, NULL, 0);
}

/* Code-point order; of valid UTF-8 that is the order of the bytes. */
static bool name_before(const rl_symbols_t* symbols, rl_sym_t a, rl_sym_t b) {
    rl_str_t x = rl_sym_text(symbols, a), y = rl_sym_text(symbols, b);
    size_t shorter = x.length < y.length ? x.length : y.length;
    int order = shorter ? memcmp(x.data, y.data, shorter) : 0;
    return order ? order < 0 : x.length < y.length;
}

static void sift_down(const rl_symbols_t* symbols, uint32_t* pairs, uint32_t at, uint32_t count) {
    uint32_t name = pairs[2 * at], type = pairs[2 * at + 1];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && name_before(symbols, pairs[2 * child], pairs[2 * child + 2])) child++;
        if (!name_before(symbols, name, pairs[2 * child])) break;
        pairs[2 * at] = pairs[2 * child];
        pairs[2 * at + 1] = pairs[2 * child + 1];
    }
    pairs[2 * at] = name;
    pairs[2 * at + 1] = type;
}

static rl_type_t make_fields(
    rl_types_t* types, const rl_symbols_t* symbols, rl_type_kind_t kind, uint32_t* pairs, uint32_t field_count) {
    for (uint32_t i = field_count / 2; i-- > 0;) sift_down(symbols, pairs, i, field_count);
    for (uint32_t last = field_count; last-- > 1;) {
        uint32_t name = pairs[2 * last], type = pairs[2 * last + 1];
        pairs[2 * last] = pairs[0];
        pairs[2 * last + 1] = pairs[1];
        pairs[0] = name;
        pairs[1] = type;
        sift_down(symbols, pairs, 0, last);
    }
    return rl_type_make(types, kind, 0, pairs, 2 * field_count);
}

rl_type_t rl_type_record(rl_types_t* types, const rl_symbols_t* symbols, uint32_t* pairs, uint32_t field_count) {
    return make_fields(types, symbols, RL_TYPE_RECORD, pairs, field_count);
}

rl_type_t rl_type_open(rl_types_t* types, const rl_symbols_t* symbols, uint32_t* pairs, uint32_t field_count) {
    return make_fields(types, symbols, RL_TYPE_OPEN, pairs, field_count);
}

typedef struct substitution {
    rl_types_t* types;
    const rl_type_t* arguments;
    uint32_t count, steps;
    rl_map_t done;
    bool plain; /* forget effect sets instead */
} substitution_t;

static rl_type_t substitute(substitution_t* s, rl_type_t type) {
    rl_type_node_t node = *rl_type_node(s->types, type);
    if (!(node.flags & (s->plain ? RL_TYPE_HAS_EFFECTS : RL_TYPE_HAS_PARAM))) return type;
    if (node.kind == RL_TYPE_PARAM) return node.a < s->count ? s->arguments[node.a] : type;
    uint32_t known, a = s->plain && node.kind == RL_TYPE_FUNCTION ? 0 : node.a;
    bool remember = ++s->steps > SHARED_AFTER;
    if (remember && rl_map_get(&s->done, type, &known)) return known;

    uint32_t words = rl_type_part_words(&node), inline_parts[INLINE_PARTS];
    uint32_t* parts = inline_parts;
    size_t size = (size_t)words * sizeof(uint32_t);
    if (words > INLINE_PARTS && !(parts = rl_alloc(s->types->allocator, size))) return RL_TYPE_ERROR;
    memcpy(parts, rl_type_args(s->types, type), size);
    uint32_t step = rl_type_part_step(node.kind);
    for (uint32_t i = step - 1; i < words; i += step) parts[i] = substitute(s, parts[i]);
    rl_type_t made = rl_type_make(s->types, (rl_type_kind_t)node.kind, a, parts, words);
    if (parts != inline_parts) rl_free(s->types->allocator, parts, size);
    if (remember) (void)rl_map_put(s->types->allocator, &s->done, type, made);
    return made;
}

rl_type_t rl_type_substitute(rl_types_t* types, rl_type_t type, const rl_type_t* arguments, uint32_t count) {
    const rl_type_node_t* node = rl_type_node(types, type);
    if (!(node->flags & RL_TYPE_HAS_PARAM)) return type;
    if (node->kind == RL_TYPE_PARAM) return node->a < count ? arguments[node->a] : type;
    /* The arguments may be the parts of a node, which move when the table grows. */
    rl_type_t inline_arguments[INLINE_PARTS];
    rl_type_t* copy = inline_arguments;
    size_t size = (size_t)count * sizeof(rl_type_t);
    if (count > INLINE_PARTS && !(copy = rl_alloc(types->allocator, size))) return RL_TYPE_ERROR;
    if (count) memcpy(copy, arguments, size);
    substitution_t s = {.types = types, .arguments = copy, .count = count};
    rl_type_t made = substitute(&s, type);
    rl_map_deinit(types->allocator, &s.done);
    if (copy != inline_arguments) rl_free(types->allocator, copy, size);
    return made;
}

rl_type_t rl_type_plain(rl_types_t* types, rl_type_t type) {
    if (!(rl_type_node(types, type)->flags & RL_TYPE_HAS_EFFECTS)) return type;
    substitution_t s = {.types = types, .plain = true};
    rl_type_t made = substitute(&s, type);
    rl_map_deinit(types->allocator, &s.done);
    return made;
}
