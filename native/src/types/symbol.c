#include "types/symbol.h"

/*
 * Slots hold ids; linear probing, at most half full. The lowest table hashes without a secret, so that its slots can be
 * built ahead of time; a table above it holds names chosen by scripts and mixes in its own address.
 */
#define FIRST_SLOTS 64u

static uint64_t seed_of(const rl_symbols_t* symbols) {
    return symbols->below ? (uint64_t)(uintptr_t)symbols->arena : 0;
}

static bool add_empty(rl_symbols_t* symbols) {
    return rl_vec_push(symbols->allocator, &symbols->texts, (rl_str_t){"", 0});
}

void rl_symbols_init(rl_symbols_t* symbols, const rl_symbols_t* below, rl_allocator_t* allocator, rl_arena_t* arena) {
    *symbols = (rl_symbols_t){.below = below, .allocator = allocator, .arena = arena};
    if (below) symbols->first = below->first + below->texts.count;
    else (void)add_empty(symbols);
}

void rl_symbols_deinit(rl_symbols_t* symbols) {
    rl_vec_deinit(symbols->allocator, &symbols->texts);
    rl_free(symbols->allocator, symbols->slots, (size_t)symbols->slot_count * sizeof(uint32_t));
    symbols->slots = NULL;
    symbols->slot_count = 0;
}

/* The slot that holds `text` or the free one where it belongs. The table has slots. */
static uint32_t slot_of(const rl_symbols_t* symbols, rl_str_t text) {
    uint32_t mask = symbols->slot_count - 1;
    uint32_t slot = (uint32_t)rl_hash_bytes(text.data, text.length, seed_of(symbols)) & mask;
    while (symbols->slots[slot] && !rl_str_equal(symbols->texts.data[symbols->slots[slot] - symbols->first], text))
        slot = (slot + 1) & mask;
    return slot;
}

static bool grow_slots(rl_symbols_t* symbols) {
    uint32_t count = symbols->slot_count ? symbols->slot_count * 2 : FIRST_SLOTS;
    uint32_t* slots = count > symbols->slot_count ? rl_alloc_zero(symbols->allocator, count * sizeof(uint32_t)) : NULL;
    if (!slots) return false;
    rl_free(symbols->allocator, symbols->slots, (size_t)symbols->slot_count * sizeof(uint32_t));
    symbols->slots = slots;
    symbols->slot_count = count;
    for (uint32_t i = 0; i < symbols->texts.count; i++) {
        if (symbols->texts.data[i].length) slots[slot_of(symbols, symbols->texts.data[i])] = symbols->first + i;
    }
    return true;
}

rl_sym_t rl_sym_find(const rl_symbols_t* symbols, rl_str_t text) {
    if (text.length == 0) return 0;
    for (; symbols; symbols = symbols->below) {
        if (symbols->slot_count == 0) continue;
        rl_sym_t found = symbols->slots[slot_of(symbols, text)];
        if (found) return found;
    }
    return 0;
}

rl_sym_t rl_sym_intern(rl_symbols_t* symbols, rl_str_t text) {
    if (text.length == 0) return 0;
    rl_sym_t found = rl_sym_find(symbols, text);
    if (found) return found;
    if (symbols->first + symbols->texts.count == 0 && !add_empty(symbols)) return 0;
    if ((uint64_t)symbols->texts.count * 2 + 2 > symbols->slot_count && !grow_slots(symbols)) return 0;
    if (!rl_vec_reserve(symbols->allocator, &symbols->texts, 1)) return 0;
    rl_str_t copy = rl_arena_copy(symbols->arena, text);
    if (copy.length != text.length) return 0;
    uint32_t slot = slot_of(symbols, text);
    rl_sym_t id = symbols->first + symbols->texts.count;
    symbols->texts.data[symbols->texts.count++] = copy;
    symbols->slots[slot] = id;
    return id;
}

rl_str_t rl_sym_text(const rl_symbols_t* symbols, rl_sym_t symbol) {
    while (symbol < symbols->first && symbols->below) symbols = symbols->below;
    if (symbol < symbols->first || symbol - symbols->first >= symbols->texts.count) return (rl_str_t){"", 0};
    return symbols->texts.data[symbol - symbols->first];
}
