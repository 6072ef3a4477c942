/* Map, Set and Table as other C code of core makes and reads them. */
#ifndef RL_CORE_KEYED_H
#define RL_CORE_KEYED_H

#include "vm/core/collections.h"

/* Map and Set: a view of a B+-tree (core/tree.h), changed in place while the object is not SHARED. */
typedef struct rl_map_object {
    rl_object_t header; /* refs = 1 */
    rl_object_t* root;  /* NULL: empty */
    uint32_t form;      /* of its nodes */
    uint32_t unused;
} rl_map_object_t;

rl_object_t* rl_map_empty(const rl_rtype_t* key, const rl_rtype_t* value_or_null); /* STATIC */
/* Insert, or replace the value and keep the key. *map becomes the new object, which may be the old one. */
rl_outcome_t rl_map_insert_into(
    rl_vm_t* vm, const rl_rtype_t* key_type, rl_object_t** map, rl_word_t key, rl_word_t value);
rl_outcome_t rl_map_look_up(rl_vm_t* vm, const rl_rtype_t* key_type, const rl_object_t* map, rl_word_t key,
    rl_word_t* out_value, bool* out_found);
uint32_t rl_map_length(const rl_object_t* map);
/* Entry number `index`, below the length. */
void rl_map_entry(const rl_object_t* map, uint32_t index, rl_word_t* out_key, rl_word_t* out_value);
bool rl_map_cursor_next(rl_cursor_t* cursor, rl_word_t* out_key, rl_word_t* out_value);

/* Table: entries in order of insertion beside an index of their numbers by hash (open addressing, linear probing). */
typedef struct rl_table_entry {
    rl_word_t key, value;
    uint32_t hash;
    uint32_t live; /* 0: removed */
} rl_table_entry_t;
typedef struct rl_table {
    rl_object_t header;        /* refs = 0 */
    rl_table_entry_t* entries; /* side buffer */
    /* Side buffer of slot_count: 0: free, else in its low bits the number of an entry + 1 (perhaps a removed one), in the others those of
       its hash: entries of other keys are told without looking at them. */
    uint32_t* slots;
    uint32_t capacity, used; /* entries: room, and how many of them are taken, removed ones included */
    uint32_t slot_count;     /* a power of two, or 0 */
    uint32_t length;
    uint32_t changes;
    uint32_t key_is_ref, value_is_ref;
} rl_table_t;

rl_table_t* rl_table_make(rl_vm_t* vm, const rl_rtype_t* key, const rl_rtype_t* value); /* NULL: memory */
rl_outcome_t rl_table_put(rl_vm_t* vm, const rl_rtype_t* key_type, rl_table_t* table, rl_word_t key, rl_word_t value);
bool rl_table_cursor_next(rl_cursor_t* cursor, rl_word_t* out_key, rl_word_t* out_value);

/* Vec (core/vec.c). */
rl_vector_t* rl_vector_make(rl_vm_t* vm, rl_element_t element, uint64_t capacity); /* empty; NULL: memory */

#endif
