/* Interning of effect sets and flows: equal ones have equal numbers, in the whole stack of programs. */
#include "types/effect_set.h"

#include "base/json.h"

#include "types/program.h"

static const char* const core_names[RL_TAG_CORE_COUNT] = {"mut", "io", "io.async", "io.blocking", "io.timer",
    "io.network.raw", "io.filesystem.raw", "ffi", "panic", "unsafe", "syscall", "process", "thread", "memory", "signal",
    "hardware", "native", "realtime"};

/* --- sets --------------------------------------------------------------------------------------------------------- */

static const uint32_t* tags_of(const rl_program_t* program, const rl_effect_set_t* set) {
    while (set->tag_first < program->first_effect_tag && program->below) program = program->below;
    return program->effect_tags.data + (set->tag_first - program->first_effect_tag);
}

static bool same_set(
    const rl_program_t* program, const rl_effect_set_t* set, uint32_t core, const uint32_t* tags, uint32_t count) {
    return set->core == core && set->tag_count == count &&
           (count == 0 || memcmp(tags_of(program, set), tags, count * sizeof *tags) == 0);
}

/* Room behind the table's end: a new set is written there and stays if there is none like it. */
static uint32_t* spare_tags(rl_program_t* program) {
    return program->effect_tags.data ? program->effect_tags.data + program->effect_tags.count : NULL;
}

/*
 * The maps of a program may name entries that a failed load took back: an answer counts only if the entry exists and is
 * equal. A key whose entry is another one leads to the next key.
 */
static rl_effects_t make_set(rl_program_t* program, uint32_t core, const uint32_t* tags, uint32_t count) {
    if (core == 0 && count == 0) return RL_EFFECTS_NONE;
    uint64_t key = rl_hash_mix(core + 1, count ? rl_hash_bytes(tags, count * sizeof *tags, 17) : 0) | 1;
    for (;; key += 2) {
        bool other = false;
        for (const rl_program_t* at = program; at; at = at->below) {
            uint32_t id;
            if (!rl_map_get(&at->effect_map, key, &id) || id - at->first_effect_set >= at->effect_sets.count) continue;
            if (same_set(program, &at->effect_sets.data[id - at->first_effect_set], core, tags, count)) return id;
            other = true;
        }
        if (!other) break;
    }
    rl_effect_set_t set = {core, program->first_effect_tag + program->effect_tags.count, count};
    uint32_t id = program->first_effect_set + program->effect_sets.count;
    rl_allocator_t* a = program->allocator;
    bool in_place = tags && tags == spare_tags(program);
    if (!rl_program_own(program) || (!in_place && !rl_vec_reserve(a, &program->effect_tags, count)) ||
        !rl_vec_reserve(a, &program->effect_sets, 1) || !rl_map_put(a, &program->effect_map, key, id))
        return RL_EFFECTS_NONE;
    if (count && !in_place) memcpy(spare_tags(program), tags, count * sizeof *tags);
    program->effect_tags.count += count;
    (void)rl_vec_push(a, &program->effect_sets, set);
    return id;
}

rl_effects_t rl_effects_of_core(rl_program_t* program, uint32_t bits) { return make_set(program, bits, NULL, 0); }

rl_effects_t rl_effects_of_tag(rl_program_t* program, uint32_t tag) {
    return tag < RL_TAG_CORE_COUNT ? make_set(program, RL_TAG_BIT(tag), NULL, 0) : make_set(program, 0, &tag, 1);
}

rl_effects_t rl_effects_join(rl_program_t* program, rl_effects_t a, rl_effects_t b) {
    if (a <= RL_EFFECTS_NONE || a == b) return b > RL_EFFECTS_NONE ? b : a ? a : b;
    if (b <= RL_EFFECTS_NONE) return a;
    const rl_effect_set_t x = *rl_program_effect_set(program, a), y = *rl_program_effect_set(program, b);
    uint32_t core = x.core | y.core, count = 0;
    if (y.tag_count == 0 && core == x.core) return a;
    if (x.tag_count == 0 && core == y.core) return b;
    if (!rl_program_own(program) ||
        !rl_vec_reserve(program->allocator, &program->effect_tags, x.tag_count + y.tag_count))
        return a;
    const uint32_t *left = tags_of(program, &x), *right = tags_of(program, &y);
    uint32_t* tags = spare_tags(program);
    for (uint32_t i = 0, k = 0; i < x.tag_count || k < y.tag_count;) {
        if (k == y.tag_count || (i < x.tag_count && left[i] < right[k])) {
            tags[count++] = left[i++];
        } else {
            if (i < x.tag_count && left[i] == right[k]) i++;
            tags[count++] = right[k++];
        }
    }
    return make_set(program, core, tags, count);
}

rl_effects_t rl_effects_without(rl_program_t* program, rl_effects_t set, uint32_t tag) {
    if (!rl_effects_contain(program, set, tag)) return set;
    const rl_effect_set_t from = *rl_program_effect_set(program, set);
    uint32_t count = 0;
    if (!rl_program_own(program) || !rl_vec_reserve(program->allocator, &program->effect_tags, from.tag_count))
        return set;
    uint32_t* tags = spare_tags(program);
    for (uint32_t i = 0; i < from.tag_count; i++) {
        uint32_t at = tags_of(program, &from)[i];
        if (at != tag) tags[count++] = at;
    }
    uint32_t core = tag < RL_TAG_CORE_COUNT ? from.core & ~RL_TAG_BIT(tag) : from.core;
    return make_set(program, core, tags, count);
}

bool rl_effects_next(const rl_program_t* program, rl_effects_t set, uint32_t* at, uint32_t* out_tag) {
    const rl_effect_set_t* entry = rl_program_effect_set(program, set);
    while (*at < RL_TAG_CORE_COUNT) {
        uint32_t tag = (*at)++;
        if (!(entry->core >> tag & 1)) continue;
        *out_tag = tag;
        return true;
    }
    uint32_t index = *at - RL_TAG_CORE_COUNT;
    if (index >= entry->tag_count) return false;
    *out_tag = tags_of(program, entry)[index];
    ++*at;
    return true;
}

bool rl_effects_contain(const rl_program_t* program, rl_effects_t set, uint32_t tag) {
    const rl_effect_set_t* entry = rl_program_effect_set(program, set);
    if (tag < RL_TAG_CORE_COUNT) return entry->core >> tag & 1;
    for (uint32_t i = 0; i < entry->tag_count; i++) {
        if (tags_of(program, entry)[i] == tag) return true;
    }
    return false;
}

/* --- what a tag means --------------------------------------------------------------------------------------------- */

static uint32_t base_of(const rl_program_t* program, uint32_t tag) {
    rl_sym_t name = rl_program_effect(program, tag & ~RL_TAG_EFFECT)->tag;
    if (!name) return UINT32_MAX;
    rl_str_t text = rl_sym_text(&program->symbols, name);
    for (uint32_t i = 0; i < RL_TAG_CORE_COUNT; i++) {
        if (rl_str_equal(text, rl_str(core_names[i]))) return i;
    }
    return RL_TAG_EXTENSION | name;
}

static bool is_effect(uint32_t tag) { return tag >= RL_TAG_EFFECT && tag < RL_TAG_EXTENSION; }

static bool is_part_of_io(uint32_t tag) { return tag >= RL_TAG_IO && tag <= RL_TAG_IO_FILESYSTEM_RAW; }

bool rl_effects_allow(const rl_program_t* program, rl_effects_t set, uint32_t tag) {
    if (tag >= RL_TAG_EXTENSION || rl_effects_contain(program, set, tag)) return true;
    if (is_effect(tag)) {
        tag = base_of(program, tag);
        if (tag == UINT32_MAX) return false;
        if (rl_effects_contain(program, set, tag)) return true;
    }
    return is_part_of_io(tag) && rl_effects_contain(program, set, RL_TAG_IO);
}

bool rl_tag_counts_as(const rl_program_t* program, uint32_t tag, rl_tag_t core) {
    return tag == (uint32_t)core || (is_effect(tag) && base_of(program, tag) == (uint32_t)core);
}

rl_effects_t rl_effects_excess(rl_program_t* program, rl_effects_t set, rl_effects_t bound) {
    rl_effects_t excess = RL_EFFECTS_NONE;
    uint32_t at = 0, tag;
    if (set <= RL_EFFECTS_NONE || set == bound) return excess;
    while (rl_effects_next(program, set, &at, &tag)) {
        if (!rl_effects_allow(program, bound, tag))
            excess = rl_effects_join(program, excess, rl_effects_of_tag(program, tag));
    }
    return excess;
}

uint32_t rl_tag_named(rl_program_t* program, rl_str_t text) {
    for (uint32_t i = 0; i < RL_TAG_CORE_COUNT; i++) {
        if (rl_str_equal(text, rl_str(core_names[i]))) return i;
    }
    return RL_TAG_EXTENSION | rl_sym_intern(&program->symbols, text);
}

void rl_tag_print(const rl_program_t* program, uint32_t tag, rl_buf_t* out) {
    if (tag < RL_TAG_CORE_COUNT) rl_buf_add_cstr(out, core_names[tag]);
    else if (is_effect(tag))
        rl_buf_add(out, rl_sym_text(&program->symbols, rl_program_effect(program, tag & ~RL_TAG_EFFECT)->name));
    else rl_buf_add(out, rl_sym_text(&program->symbols, tag & ~RL_TAG_EXTENSION));
}

void rl_effects_print(const rl_program_t* program, rl_effects_t set, rl_buf_t* out) {
    uint32_t at = 0, tag;
    bool first = true;
    rl_buf_add_char(out, '{');
    while (rl_effects_next(program, set, &at, &tag)) {
        if (!first) rl_buf_add_cstr(out, ", ");
        first = false;
        rl_tag_print(program, tag, out);
    }
    rl_buf_add_char(out, '}');
}

void rl_effects_suffix(const rl_program_t* program, rl_effects_t set, rl_buf_t* out) {
    if (set <= RL_EFFECTS_NONE) return;
    rl_buf_add_cstr(out, " ! ");
    rl_effects_print(program, set, out);
}

static rl_str_t shown_tag(const rl_program_t* program, uint32_t tag) {
    if (is_effect(tag)) {
        const rl_effect_t* effect = rl_program_effect(program, tag & ~RL_TAG_EFFECT);
        return rl_sym_text(&program->symbols, effect->tag ? effect->tag : effect->name);
    }
    return tag < RL_TAG_CORE_COUNT ? rl_str(core_names[tag]) : rl_sym_text(&program->symbols, tag & ~RL_TAG_EXTENSION);
}

static int compare(rl_str_t a, rl_str_t b) {
    int order = memcmp(a.data, b.data, a.length < b.length ? a.length : b.length);
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* Sets are small: the next one in order is looked for each time. */
void rl_effects_tags(const rl_program_t* program, rl_effects_t set, rl_json_t* json) {
    rl_str_t last = {NULL, 0};
    rl_json_array_begin(json);
    for (;;) {
        rl_str_t next = {NULL, 0};
        uint32_t at = 0, tag;
        while (set > RL_EFFECTS_NONE && rl_effects_next(program, set, &at, &tag)) {
            rl_str_t text = shown_tag(program, tag);
            if (last.data && compare(text, last) <= 0) continue;
            if (!next.data || compare(text, next) < 0) next = text;
        }
        if (!next.data) break;
        rl_json_string(json, next);
        last = next;
    }
    rl_json_array_end(json);
}

/* --- flows -------------------------------------------------------------------------------------------------------- */

rl_flow_entry_t rl_flow_at(const rl_program_t* program, rl_flow_t flow) { return *rl_program_flow(program, flow); }

rl_flow_t rl_flow_make(rl_program_t* program, rl_effects_t effects, rl_flow_t result) {
    if (effects <= RL_EFFECTS_NONE && result == 0) return 0;
    if (effects == 0) effects = RL_EFFECTS_NONE;
    uint64_t key = rl_hash_mix(effects + 1, result + 3) & ~(uint64_t)1; /* even: no key of a set */
    if (key == 0) key = 2;
    for (;; key += 2) {
        bool other = false;
        for (const rl_program_t* at = program; at; at = at->below) {
            uint32_t id;
            if (!rl_map_get(&at->effect_map, key, &id) || id - at->first_flow >= at->flows.count) continue;
            rl_flow_entry_t entry = at->flows.data[id - at->first_flow];
            if (entry.effects == effects && entry.result == result) return id;
            other = true;
        }
        if (!other) break;
    }
    rl_flow_entry_t entry = {effects, result};
    uint32_t id = program->first_flow + program->flows.count;
    if (!rl_program_own(program) || !rl_vec_reserve(program->allocator, &program->flows, 1) ||
        !rl_map_put(program->allocator, &program->effect_map, key, id))
        return 0;
    (void)rl_vec_push(program->allocator, &program->flows, entry);
    return id;
}

/* As deep as function types nest in results: bounded by RL_TYPE_DEPTH_LIMIT. */
rl_flow_t rl_flow_join(rl_program_t* program, rl_flow_t a, rl_flow_t b) {
    if (a == b || b == 0) return a;
    if (a == 0) return b;
    rl_flow_entry_t x = rl_flow_at(program, a), y = rl_flow_at(program, b);
    rl_flow_t result = rl_flow_join(program, x.result, y.result);
    return rl_flow_make(program, rl_effects_join(program, x.effects, y.effects), result);
}
