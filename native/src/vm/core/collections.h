/*
 * Collections as C code outside core/ sees them: reading without knowing how they are built. Implemented by core/list.c,
 * core/map.c, core/table.c (Vec and fixed arrays are plain: rl_vector_t in vm/value.h). Nothing here allocates, fails or
 * collects; a collection must not be changed while a cursor walks it.
 */
#ifndef RL_CORE_COLLECTIONS_H
#define RL_CORE_COLLECTIONS_H

#include "vm/vm.h"

/* Elements of a List, Set, Vec; entries of a Map, Table. By kind: LIST, MAP (Set too), TABLE, VEC. */
uint32_t rl_collection_length(const rl_object_t* collection);

/* A walk from the first element to the last: index order, ascending keys, insertion order. Plain data: copying it is
   fine, and it needs no clean-up. It keeps nothing alive by itself: `source` must stay reachable. */
typedef struct rl_cursor {
    rl_object_t* source;
    uint64_t state[15]; /* private to the collection */
} rl_cursor_t;

void rl_cursor_begin(rl_cursor_t* cursor, rl_object_t* collection);
/* False: ended. List, Set, Vec: the element comes to *out_key and *out_value is left alone; Map, Table: both. */
bool rl_cursor_next(rl_cursor_t* cursor, rl_word_t* out_key, rl_word_t* out_value);

/* Grows whenever a key is added or removed. */
uint32_t rl_table_changes(const rl_object_t* table);

/* For the collector (core/kinds.def). */
uint32_t rl_list_mark(rl_heap_t* heap, const rl_object_t* list, uint32_t from);
void rl_list_free(rl_heap_t* heap, rl_object_t* list);
size_t rl_list_size(const rl_object_t* list);
void rl_tree_mark(rl_heap_t* heap, rl_object_t* node);
uint32_t rl_table_mark(rl_heap_t* heap, const rl_object_t* table, uint32_t from);
void rl_table_free(rl_heap_t* heap, rl_object_t* table);
size_t rl_table_size(const rl_object_t* table);
/* Copies in another heap (rl_kind_row_t.clone). */
bool rl_list_clone(rl_heap_t* heap, rl_object_t* copy, const rl_object_t* list, rl_heap_each_fn each, void* user);
bool rl_tree_clone(rl_heap_t* heap, rl_object_t* copy, const rl_object_t* node, rl_heap_each_fn each, void* user);
bool rl_table_clone(rl_heap_t* heap, rl_object_t* copy, const rl_object_t* table, rl_heap_each_fn each, void* user);

#endif
