/* Reading any collection, by its kind. */
#include "vm/core/collections.h"

#include "vm/core/keyed.h"
#include "vm/core/list.h"

uint32_t rl_collection_length(const rl_object_t* collection) {
    switch (collection->kind) {
    case RL_OBJ_LIST: return ((const rl_list_t*)collection)->length;
    case RL_OBJ_MAP: return rl_map_length(collection);
    case RL_OBJ_TABLE: return ((const rl_table_t*)collection)->length;
    case RL_OBJ_VEC: return ((const rl_vector_t*)collection)->length;
    default: return 0;
    }
}

void rl_cursor_begin(rl_cursor_t* cursor, rl_object_t* collection) { *cursor = (rl_cursor_t){.source = collection}; }

bool rl_cursor_next(rl_cursor_t* cursor, rl_word_t* out_key, rl_word_t* out_value) {
    switch (cursor->source->kind) {
    case RL_OBJ_LIST: return rl_list_cursor_next(cursor, out_key);
    case RL_OBJ_MAP: return rl_map_cursor_next(cursor, out_key, out_value);
    case RL_OBJ_TABLE: return rl_table_cursor_next(cursor, out_key, out_value);
    case RL_OBJ_VEC: {
        const rl_vector_t* v = (const rl_vector_t*)cursor->source;
        if (cursor->state[0] >= v->length) return false;
        *out_key = rl_element_load((rl_element_t)v->element, v->data, cursor->state[0]++);
        return true;
    }
    default: return false;
    }
}

uint32_t rl_table_changes(const rl_object_t* table) { return ((const rl_table_t*)table)->changes; }
