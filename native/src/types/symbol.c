#include "types/symbol.h"

/*
 * Slots hold hashes and ids; linear probing, at most half full. The lowest table hashes without a secret, so that its slots can be
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
    rl_free(symbols->allocator, symbols->slots, (size_t)symbols->slot_count * sizeof(rl_sym_slot_t));
    symbols->slots = NULL;
    symbols->slot_count = symbols->used = 0;
}

/* All bytes of a name of at most 16 bytes, in two words that overlap. */
typedef struct words {
    uint64_t a, b;
} words_t;

static inline uint32_t read32(const char* p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline words_t words_of(rl_str_t text) {
    const char* p = text.data;
    size_t length = text.length;
    if (length >= 8) {
        words_t w;
        memcpy(&w.a, p, 8);
        memcpy(&w.b, p + length - 8, 8);
        return w;
    }
    if (length >= 4) return (words_t){read32(p), read32(p + length - 4)};
    return (words_t){(unsigned char)p[0], (uint64_t)(unsigned char)p[length >> 1] << 8 | (unsigned char)p[length - 1]};
}

static inline uint32_t hash_of(const rl_symbols_t* symbols, rl_str_t text) {
    uint64_t seed = seed_of(symbols);
    if (text.length > 16) return (uint32_t)rl_hash_bytes(text.data, text.length, seed);
    words_t w = words_of(text);
    return (uint32_t)rl_hash_mix(rl_hash_mix(w.a ^ seed, text.length), w.b ^ seed);
}

static inline bool same_name(rl_str_t a, rl_str_t b) {
    if (a.length != b.length) return false;
    if (a.length > 16) return memcmp(a.data, b.data, a.length) == 0;
    words_t x = words_of(a), y = words_of(b);
    return x.a == y.a && x.b == y.b;
}

/* The slot that holds `text` or the free one where it belongs. The table has slots. */
static inline rl_sym_slot_t* slot_of(const rl_symbols_t* symbols, rl_str_t text, uint32_t hash) {
    uint32_t mask = symbols->slot_count - 1;
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        rl_sym_slot_t* slot = &symbols->slots[at];
        if (!slot->id || (slot->hash == hash && same_name(rl_sym_text(symbols, slot->id), text))) return slot;
    }
}

static bool grow_slots(rl_symbols_t* symbols) {
    uint32_t count = symbols->slot_count ? symbols->slot_count * 2 : FIRST_SLOTS, mask = count - 1;
    rl_sym_slot_t* slots =
        count > symbols->slot_count ? rl_alloc_zero(symbols->allocator, (size_t)count * sizeof *slots) : NULL;
    if (!slots) return false;
    for (uint32_t i = 0; i < symbols->slot_count; i++) {
        if (!symbols->slots[i].id) continue;
        uint32_t at = symbols->slots[i].hash & mask;
        while (slots[at].id) at = (at + 1) & mask;
        slots[at] = symbols->slots[i];
    }
    rl_free(symbols->allocator, symbols->slots, (size_t)symbols->slot_count * sizeof *slots);
    symbols->slots = slots;
    symbols->slot_count = count;
    return true;
}

rl_sym_t rl_sym_find(const rl_symbols_t* symbols, rl_str_t text) {
    if (text.length == 0) return 0;
    for (; symbols; symbols = symbols->below) {
        if (symbols->slot_count == 0) continue;
        rl_sym_t found = slot_of(symbols, text, hash_of(symbols, text))->id;
        if (found) return found;
    }
    return 0;
}

rl_sym_t rl_sym_intern(rl_symbols_t* symbols, rl_str_t text) {
    if (text.length == 0) return 0;
    uint32_t hash = hash_of(symbols, text);
    if (RL_LIKELY(symbols->slot_count)) {
        rl_sym_t found = slot_of(symbols, text, hash)->id;
        if (RL_LIKELY(found)) return found;
    }
    rl_sym_t id = symbols->below ? rl_sym_find(symbols->below, text) : 0;
    if (symbols->first + symbols->texts.count == 0 && !add_empty(symbols)) return 0;
    if ((uint64_t)symbols->used * 2 + 2 > symbols->slot_count && !grow_slots(symbols)) return 0;
    if (!id) {
        if (!rl_vec_reserve(symbols->allocator, &symbols->texts, 1)) return 0;
        rl_str_t copy = rl_arena_copy(symbols->arena, text);
        if (copy.length != text.length) return 0;
        id = symbols->first + symbols->texts.count;
        symbols->texts.data[symbols->texts.count++] = copy;
    }
    *slot_of(symbols, text, hash) = (rl_sym_slot_t){hash, id};
    symbols->used++;
    return id;
}

rl_str_t rl_sym_text_below(const rl_symbols_t* symbols, rl_sym_t symbol) {
    while (symbol < symbols->first && symbols->below) symbols = symbols->below;
    if (symbol < symbols->first || symbol - symbols->first >= symbols->texts.count) return (rl_str_t){"", 0};
    return symbols->texts.data[symbol - symbols->first];
}
