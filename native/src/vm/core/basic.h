/* Small things that several files of core need to answer. */
#ifndef RL_CORE_BASIC_H
#define RL_CORE_BASIC_H

#include "vm/vm.h"

/* The variant of a sum by its name; NULL: none. */
const rl_rshape_t* rl_shape_named(const rl_rtype_t* sum, rl_str_t name);
/* Some(payload) or None of an Option<T> type. RL_COLLECT: memory. */
rl_outcome_t rl_make_some(rl_vm_t* vm, const rl_rtype_t* option, rl_word_t payload, rl_word_t* out);
void rl_make_none(const rl_rtype_t* option, rl_word_t* out);
/* A one-payload variant such as Ok(x), Err(e). */
rl_outcome_t rl_object_variant(rl_vm_t* vm, const rl_rshape_t* shape, rl_word_t payload, rl_word_t* out);

/* Whole text as an integer (`_` between digits, sign) of this kind; false: it is none, or does not fit. */
bool rl_parse_integer(rl_str_t text, unsigned kind, int64_t* out);
/* Whole text as a float: forms of LANGUAGE 1.7, integers, NaN, inf. */
bool rl_parse_float(rl_vm_t* vm, rl_str_t text, double* out, bool* out_of_memory);

#endif
