/*
 * What the words of each kind of node are, as data, for passes that treat all kinds alike (print, @cfg).
 * Three letters for a, b, c: `n` node, `l` list of nodes, `s` symbol, `i` number, `t` list of triples of IF,
 * `R` record (its words follow as further letters), `M` rl_field_more_t, `.` nothing of interest.
 */
#ifndef RL_SHAPE_H
#define RL_SHAPE_H

#include "syntax/tree.h"

const char* rl_node_shape(rl_node_kind_t kind);

#endif
