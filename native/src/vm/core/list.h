/* Lists as other C code of core makes them. */
#ifndef RL_CORE_LIST_H
#define RL_CORE_LIST_H

#include "vm/vm.h"

/* A new List of `count` words stored as `element`; references become elements as they are. RL_COLLECT when memory is refused. */
rl_outcome_t rl_list_from_words(rl_vm_t* vm, rl_element_t element, const rl_word_t* words, size_t count, rl_object_t** out);

#endif
