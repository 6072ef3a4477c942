/*
 * types: tree → typed IR. This folder knows names, types and rules; it must not know registers, objects or hosts.
 *
 * Symbols: interned identifiers and field names. A table may stand on a read-only one below it (the prelude's), whose
 * ids come first; so prelude symbols are the same number in every context.
 */
#ifndef RL_SYMBOL_H
#define RL_SYMBOL_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"

typedef uint32_t rl_sym_t; /* 0: none, text "" */

typedef struct rl_sym_slot {
    uint32_t hash; /* of the text, with the table's secret */
    rl_sym_t id;   /* 0: free. May be one of a table below: what was found there once is found here from then on */
} rl_sym_slot_t;

typedef struct rl_symbols {
    const struct rl_symbols* below; /* borrowed; NULL for the lowest */
    rl_allocator_t* allocator;
    rl_arena_t* arena; /* keeps the texts */
    uint32_t first;    /* id of texts.data[0] */
    RL_VEC(rl_str_t) texts;
    rl_sym_slot_t* slots;
    uint32_t slot_count, used;
} rl_symbols_t;

void rl_symbols_init(rl_symbols_t* symbols, const rl_symbols_t* below, rl_allocator_t* allocator, rl_arena_t* arena);
void rl_symbols_deinit(rl_symbols_t* symbols);
rl_sym_t rl_sym_intern(rl_symbols_t* symbols, rl_str_t text);     /* copies; 0 when memory is short */
rl_sym_t rl_sym_find(const rl_symbols_t* symbols, rl_str_t text); /* 0: never interned */
rl_str_t rl_sym_text_below(const rl_symbols_t* symbols, rl_sym_t symbol);
static inline rl_str_t rl_sym_text(const rl_symbols_t* symbols, rl_sym_t symbol) {
    uint32_t index = symbol - symbols->first; /* wraps for those below */
    return RL_LIKELY(index < symbols->texts.count) ? symbols->texts.data[index] : rl_sym_text_below(symbols, symbol);
}

#endif
