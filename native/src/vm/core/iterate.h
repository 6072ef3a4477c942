/*
 * Walks: what ITER and NEXT work on (LANGUAGE 5.5), objects of kind RL_OBJ_ITER. A walk knows how to give its next
 * element; other files of core add kinds of walks (lines, characters, …) by a row rl_iter_class_t of their own.
 * Walks over collections, ranges and options are in iterate.c.
 */
#ifndef RL_CORE_ITERATE_H
#define RL_CORE_ITERATE_H

#include "vm/vm.h"

typedef struct rl_iter rl_iter_t;

typedef struct rl_iter_class {
    const char* name;
    /* Next element, or *out_ended. RL_COLLECT: nothing has changed, call again. An element that stays reachable from
       the collection is answered SHARED. Charges what it costs. */
    rl_outcome_t (*next)(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended);
} rl_iter_class_t;

struct rl_iter {
    rl_object_t header; /* refs = 2 */
    rl_object_t* source;
    rl_object_t* extra; /* second object a walk needs; or NULL */
    const rl_iter_class_t* walker;
    const rl_rtype_t* type;            /* of the collection */
    uint64_t position, count, changes; /* meaning by class */
    /* more scalars behind, when the class asked for them */
};

/* A walk with `extra_bytes` of zeroed private scalars behind the struct. NULL: memory. */
rl_iter_t* rl_iter_new(
    rl_vm_t* vm, const rl_iter_class_t* walker, const rl_rtype_t* type, rl_object_t* source, size_t extra_bytes);

/* ITER: a walk over `collection` of static type `type`; a value of type Iter<T> is its own walk; a Str gives its characters. */
rl_outcome_t rl_iterate_begin(rl_vm_t* vm, const rl_rtype_t* type, rl_object_t* collection, rl_object_t** out_iter);
/* A walk that a function of Reml's makes: `source` is the closure, and whoever wants the next element calls it. */
extern const rl_iter_class_t rl_walk_of_function;
/* NEXT */
static inline rl_outcome_t rl_iterate_next(rl_vm_t* vm, rl_object_t* iter, rl_word_t* out_element, bool* out_ended) {
    rl_iter_t* walk = (rl_iter_t*)iter;
    return walk->walker->next(vm, walk, out_element, out_ended);
}

/* Ranges (RL_OBJ_RANGE): words from, to, inclusive, step (not 0; negative counts down). `element` is the type of the
   ends. */
uint64_t rl_range_count(
    const rl_rtype_t* element, const rl_object_t* range); /* elements; UINT64_MAX stands for 2^64, too */

#endif
