/* Conductors (LANGUAGE 7.3) written out as values of the prelude's type Conductor. */
#ifndef RL_CONDUCTOR_H
#define RL_CONDUCTOR_H

#include "syntax/tree.h"

/*
 * Turn every CONDUCTOR of the module into a VALUE whose initialiser builds the record; see vm/core/85_conductor.reml.
 * `source` is the text the tree was parsed from. Reports the conductor.* codes. Memory: tree->allocator->failed.
 */
void rl_tree_write_conductors(rl_tree_t* tree, rl_symbols_t* symbols, rl_str_t source, rl_diags_t* diags);

#endif
