/*
 * Lists as other C code of core makes and reads them. Three forms of one object:
 *   flat   elements side by side at natural width, in the cell or in a side buffer, with room at the ends: what pushes build.
 *          Changed in place while the object is not SHARED.
 *   slice  a view of a flat list, which is SHARED from then on.
 *   tree   a view of a counted B+-tree (core/tree.h): long lists that were changed while shared, cut or joined.
 * A long flat list becomes a tree, in place, the first time it has to be changed without harm to another owner: that costs
 * what building it has cost already. From then on a change copies one path of nodes.
 */
#ifndef RL_CORE_LIST_H
#define RL_CORE_LIST_H

#include "vm/core/collections.h"
#include "vm/core/tree.h"
#include "vm/vm.h"

typedef struct rl_list {
    rl_object_t header; /* refs = 1 */
    rl_object_t* root;  /* NULL: flat; a LIST: slice of that one; a LIST_NODE: tree */
    char* data;         /* flat: storage of `capacity` elements; in the cell when it lies right behind this struct */
    uint32_t start;     /* first element in storage, in the list sliced, or in the tree */
    uint32_t length;
    uint32_t capacity;
    uint32_t element; /* rl_element_t */
} rl_list_t;

#define RL_LIST_LENGTH_MOST ((uint32_t)1 << 31)

/* A new List of `count` words stored as `element`; references become elements as they are. RL_COLLECT when memory is refused. */
rl_outcome_t rl_list_from_words(
    rl_vm_t* vm, rl_element_t element, const rl_word_t* words, size_t count, rl_object_t** out);
/* A new flat List of `count` elements copied from storage of the same width; `data` may be NULL: not filled in, and the
   caller does so before anything can collect. */
rl_outcome_t rl_list_from_data(rl_vm_t* vm, rl_element_t element, const void* data, uint64_t count, rl_list_t** out);
rl_object_t* rl_list_empty(rl_element_t element); /* STATIC */
/* The elements side by side, at natural width; NULL: they are not, or there are none. */
const void* rl_list_array(const rl_object_t* list);
rl_word_t rl_list_at(const rl_object_t* list, uint32_t index); /* index < length */
/* Elements [from, from + count) to `out`, at natural width. */
void rl_list_copy(const rl_object_t* list, uint32_t from, uint32_t count, void* out);

void rl_list_cursor_begin(rl_cursor_t* cursor);
bool rl_list_cursor_next(rl_cursor_t* cursor, rl_word_t* out_element);

#endif
