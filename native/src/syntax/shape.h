/*
 * What the words of each kind of node are, as data, for passes that treat all kinds alike (print, @cfg).
 *
 * A shape is a row of `letter:name` for a, b, c, parted by blanks: `n` node, `l` list of nodes, `s` symbol, `i` number,
 * `t` list of triples of IF, `M` rl_field_more_t. `R` says that a is a record, whose words follow. `.`: nothing.
 */
#ifndef RL_SHAPE_H
#define RL_SHAPE_H

#include "syntax/tree.h"

const char* rl_node_shape(rl_node_kind_t kind);

#endif
