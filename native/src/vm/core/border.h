/*
 * Collections seen from the border: made from words, read item by item. No collection happens inside; what is given must
 * be rooted by the caller (handles are).
 */
#ifndef RL_BORDER_H
#define RL_BORDER_H

#include "vm/vm.h"

/*
 * A List, fixed array, Vec or Set of `count` words, a Map or Table of `count / 2` key, value pairs. `type` says which and
 * what the words are. RL_COLLECT when memory is refused (nothing made), RL_RAISE on limits (failure set).
 */
rl_outcome_t rl_border_build(rl_vm_t* vm, const rl_rtype_t* type, const rl_word_t* words, size_t count, rl_word_t* out);
/* Items of List, array, Vec, Set; entries of Map, Table. */
size_t rl_border_length(const rl_rtype_t* type, rl_word_t collection);
/* Item `index`; of Map and Table the value, with the key in *out_key (may be NULL). False: past the end. */
bool rl_border_item(
    const rl_rtype_t* type, rl_word_t collection, size_t index, rl_word_t* out_key, rl_word_t* out_item);

#endif
