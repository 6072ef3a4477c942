/* How far apart two names are: for hints. */
#ifndef RL_EDIT_H
#define RL_EDIT_H

#include "base/base.h"

/* Edit distance with adjacent swaps counted as two; 3 for anything past 2. */
unsigned rl_edit_distance(rl_str_t a, rl_str_t b);

#endif
