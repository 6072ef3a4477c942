#include "vm/core/border.h"

#include "vm/core/keyed.h"
#include "vm/core/list.h"

static rl_outcome_t build_vector(
    rl_vm_t* vm, rl_element_t element, const rl_word_t* words, size_t count, rl_word_t* out) {
    rl_vector_t* v = rl_vector_make(vm, element, count);
    if (!v) return RL_COLLECT;
    for (size_t i = 0; i < count; i++) rl_element_store(element, v->data, i, words[i]);
    v->length = (uint32_t)count;
    out->o = &v->header;
    return RL_DONE;
}

static rl_outcome_t build_map(
    rl_vm_t* vm, const rl_rtype_t* type, const rl_word_t* words, size_t count, bool pairs, rl_word_t* out) {
    const rl_rtype_t* key = type->args[0];
    rl_object_t* map = rl_map_empty(key, pairs ? type->args[1] : NULL);
    for (size_t i = 0; i < count; i += pairs ? 2 : 1) {
        rl_word_t value = pairs ? words[i + 1] : (rl_word_t){0};
        rl_outcome_t outcome = rl_map_insert_into(vm, key, &map, words[i], value);
        if (outcome != RL_DONE) return outcome;
    }
    out->o = map;
    return RL_DONE;
}

static rl_outcome_t build_table(
    rl_vm_t* vm, const rl_rtype_t* type, const rl_word_t* words, size_t count, rl_word_t* out) {
    rl_table_t* table = rl_table_make(vm, type->args[0], type->args[1]);
    if (!table) return RL_COLLECT;
    for (size_t i = 0; i < count; i += 2) {
        rl_outcome_t outcome = rl_table_put(vm, type->args[0], table, words[i], words[i + 1]);
        if (outcome != RL_DONE) return outcome;
    }
    out->o = &table->header;
    return RL_DONE;
}

rl_outcome_t rl_border_build(
    rl_vm_t* vm, const rl_rtype_t* type, const rl_word_t* words, size_t count, rl_word_t* out) {
    if (!rl_vm_charge(vm, 1 + count / 8)) return RL_RAISE;
    rl_element_t element = (rl_element_t)type->args[0]->element;
    if (type->kind == RL_TYPE_ARRAY) return build_vector(vm, element, words, count, out);
    switch (type->builtin) {
    case RL_BUILTIN_VEC: return build_vector(vm, element, words, count, out);
    case RL_BUILTIN_SET: return build_map(vm, type, words, count, false, out);
    case RL_BUILTIN_MAP: return build_map(vm, type, words, count & ~(size_t)1, true, out);
    case RL_BUILTIN_TABLE: return build_table(vm, type, words, count & ~(size_t)1, out);
    default: return rl_list_from_words(vm, element, words, count, &out->o);
    }
}

size_t rl_border_length(const rl_rtype_t* type, rl_word_t collection) {
    (void)type;
    return rl_collection_length(collection.o);
}

/* Table entries are numbered without the removed ones between them. */
static const rl_table_entry_t* table_entry(const rl_table_t* table, size_t index) {
    if (table->used == table->length) return &table->entries[index];
    for (uint32_t i = 0; i < table->used; i++) {
        if (table->entries[i].live && index-- == 0) return &table->entries[i];
    }
    return NULL;
}

bool rl_border_item(
    const rl_rtype_t* type, rl_word_t collection, size_t index, rl_word_t* out_key, rl_word_t* out_item) {
    rl_object_t* object = collection.o;
    (void)type;
    if (index >= rl_collection_length(object)) return false;
    rl_word_t key = {0}, item = {0};
    switch (object->kind) {
    case RL_OBJ_LIST: item = rl_list_at(object, (uint32_t)index); break;
    case RL_OBJ_VEC: {
        const rl_vector_t* v = (const rl_vector_t*)object;
        item = rl_element_load((rl_element_t)v->element, v->data, index);
        break;
    }
    case RL_OBJ_MAP:
        rl_map_entry(object, (uint32_t)index, &key, &item);
        if (type->builtin == RL_BUILTIN_SET) item = key;
        break;
    case RL_OBJ_TABLE: {
        const rl_table_entry_t* entry = table_entry((const rl_table_t*)object, index);
        if (!entry) return false;
        key = entry->key;
        item = entry->value;
        break;
    }
    default: return false;
    }
    if (out_key) *out_key = key;
    *out_item = item;
    return true;
}
