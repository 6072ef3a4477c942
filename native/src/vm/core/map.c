/* Map<K, V> and Set<T> on the B+-tree of core/tree.h. Order: rl_key_compare. */
#include "vm/builtin.h"
#include "vm/core/basic.h"
#include "vm/core/key.h"
#include "vm/core/keyed.h"
#include "vm/core/list.h"
#include "vm/core/tree.h"

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)
#define MAP(i)   ((rl_map_object_t*)args[i].o)

#define BUILTIN(id, name, function, uses) FN(function);
#include "vm/core/collections.def"
#undef BUILTIN

/* --- empty maps, by form ----------------------------------------------------------------------------------------- */

#define EMPTY(form) {{RL_OBJ_MAP, RL_OBJ_STATIC | RL_OBJ_SHARED, 0, 1, 2}, NULL, RL_TREE_KEYED | (form), 0}
static const rl_map_object_t empty_maps[] = {EMPTY(0), EMPTY(RL_TREE_KEY_REF), EMPTY(RL_TREE_VALUED),
    EMPTY(RL_TREE_VALUED | RL_TREE_KEY_REF), EMPTY(0), EMPTY(RL_TREE_KEY_REF),
    EMPTY(RL_TREE_VALUED | RL_TREE_VALUE_REF), EMPTY(RL_TREE_VALUED | RL_TREE_VALUE_REF | RL_TREE_KEY_REF)};

static rl_object_t* empty_of(uint32_t form) {
    return (rl_object_t*)(uintptr_t)&empty_maps[form / RL_TREE_KEY_REF & 7].header;
}

rl_object_t* rl_map_empty(const rl_rtype_t* key, const rl_rtype_t* value) {
    uint32_t form = key->rep == RL_REP_R ? RL_TREE_KEY_REF : 0;
    if (value) form |= RL_TREE_VALUED | (value->rep == RL_REP_R ? RL_TREE_VALUE_REF : 0);
    return empty_of(form);
}

/* --- search ------------------------------------------------------------------------------------------------------ */

/* How many of the ascending words come before the key, and whether the one there is it. */
static rl_outcome_t search(rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, const rl_word_t* words,
    uint32_t count, rl_word_t key, uint32_t* out_place, bool* out_found) {
    uint32_t low = 0, high = count;
    bool found = false;
    if (class_of == RL_KEY_I64) {
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (words[middle].i < key.i) low = middle + 1;
            else high = middle;
        }
        found = low < count && words[low].i == key.i;
    } else {
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            int order;
            rl_outcome_t outcome = rl_key_compare(vm, class_of, type, words[middle], key, &order);
            if (outcome != RL_DONE) return outcome;
            if (order == 0) {
                low = middle;
                found = true;
                break;
            }
            if (order < 0) low = middle + 1;
            else high = middle;
        }
    }
    *out_place = low;
    *out_found = found;
    return RL_DONE;
}

/* The way to the key, or to where it belongs. The map is not empty. */
static rl_outcome_t locate(rl_vm_t* vm, const rl_rtype_t* type, const rl_map_object_t* map, rl_word_t key,
    rl_tree_path_t* path, bool* out_found) {
    rl_key_class_t class_of = rl_key_class_of(type);
    rl_tree_node_t* node = (rl_tree_node_t*)map->root;
    uint32_t place;
    path->height = node->height;
    while (node->height > 0) {
        bool equal;
        rl_outcome_t outcome =
            search(vm, class_of, type, rl_tree_separators(node) + 1, node->used - 1u, key, &place, &equal);
        if (outcome != RL_DONE) return outcome;
        path->steps[node->height] = (rl_tree_step_t){node, place + equal};
        node = rl_tree_child(node, place + equal);
    }
    rl_outcome_t outcome = search(vm, class_of, type, rl_tree_keys(node), node->used, key, &place, out_found);
    path->steps[0] = (rl_tree_step_t){node, place};
    return outcome;
}

/* The leaf and place of a key; *out_leaf is NULL when it is not there. */
static rl_outcome_t find(rl_vm_t* vm, const rl_rtype_t* type, const rl_map_object_t* map, rl_word_t key,
    rl_tree_node_t** out_leaf, uint32_t* out_place) {
    *out_leaf = NULL;
    if (!map->root) return RL_DONE;
    rl_tree_path_t path;
    bool found;
    rl_outcome_t outcome = locate(vm, type, map, key, &path, &found);
    if (outcome == RL_DONE && found) {
        *out_leaf = path.steps[0].node;
        *out_place = path.steps[0].slot;
    }
    return outcome;
}

static rl_word_t value_at(const rl_tree_node_t* leaf, uint32_t place) {
    rl_word_t value = rl_tree_values(leaf)[place];
    if (leaf->header.tag & RL_TREE_VALUE_REF) rl_share(value.o);
    return value;
}

rl_outcome_t rl_map_look_up(rl_vm_t* vm, const rl_rtype_t* key_type, const rl_object_t* map, rl_word_t key,
    rl_word_t* out_value, bool* out_found) {
    rl_tree_node_t* leaf;
    uint32_t place;
    rl_outcome_t outcome = find(vm, key_type, (const rl_map_object_t*)map, key, &leaf, &place);
    *out_found = outcome == RL_DONE && leaf;
    if (*out_found) *out_value = value_at(leaf, place);
    return outcome;
}

/* --- change ------------------------------------------------------------------------------------------------------ */

static rl_map_object_t* new_map(rl_vm_t* vm, rl_object_t* root, uint32_t form) {
    rl_map_object_t* map = rl_heap_new_sized(&vm->heap, RL_OBJ_MAP, 1, sizeof *map);
    if (!map) return NULL;
    map->root = root;
    map->form = form;
    return map;
}

/* The map itself while it has one owner, else another view of its tree. */
static rl_map_object_t* own(rl_vm_t* vm, rl_map_object_t* map) {
    if (!(map->header.flags & RL_OBJ_SHARED)) return map;
    if (map->root) rl_share(map->root);
    return new_map(vm, map->root, map->form);
}

rl_outcome_t rl_map_insert_into(
    rl_vm_t* vm, const rl_rtype_t* type, rl_object_t** in_out, rl_word_t key, rl_word_t value) {
    rl_map_object_t* map = (rl_map_object_t*)*in_out;
    rl_heap_t* heap = &vm->heap;
    rl_word_t entry[3] = {key, value, {0}};
    if (!map->root) {
        rl_tree_node_t* leaf = rl_tree_first_leaf(heap, RL_OBJ_MAP_NODE, map->form, entry);
        if (!leaf || !(map = own(vm, map))) return RL_COLLECT;
        map->root = &leaf->header;
        *in_out = &map->header;
        return RL_DONE;
    }
    rl_tree_path_t path;
    bool found;
    rl_outcome_t outcome = locate(vm, type, map, key, &path, &found);
    if (outcome != RL_DONE || (found && !(map->form & RL_TREE_VALUED))) return outcome;
    if (!(map = own(vm, map)) || !rl_tree_own(heap, &map->header, &map->root, &path)) return RL_COLLECT;
    if (!found) {
        if (!rl_tree_insert(heap, &map->header, &map->root, &path, entry)) return RL_COLLECT;
    } else {
        rl_word_t* values = rl_tree_values(path.steps[0].node);
        if (map->form & RL_TREE_VALUE_REF) rl_heap_barrier_old(heap, values[path.steps[0].slot].o);
        values[path.steps[0].slot] = value;
    }
    *in_out = &map->header;
    return RL_DONE;
}

static rl_outcome_t remove_key(
    rl_vm_t* vm, const rl_rtype_t* type, rl_map_object_t* map, rl_word_t key, rl_word_t* result) {
    rl_tree_path_t path;
    bool found = false;
    if (map->root) {
        rl_outcome_t outcome = locate(vm, type, map, key, &path, &found);
        if (outcome != RL_DONE) return outcome;
    }
    if (found) {
        if (!(map = own(vm, map)) || !rl_tree_own(&vm->heap, &map->header, &map->root, &path)) return RL_COLLECT;
        rl_tree_remove(&vm->heap, &map->header, &map->root, &path);
    }
    result->o = &map->header;
    return RL_DONE;
}

/* --- reading by number --------------------------------------------------------------------------------------------- */

uint32_t rl_map_length(const rl_object_t* object) {
    const rl_map_object_t* map = (const rl_map_object_t*)object;
    return map->root ? ((const rl_tree_node_t*)map->root)->count : 0;
}

void rl_map_entry(const rl_object_t* object, uint32_t index, rl_word_t* out_key, rl_word_t* out_value) {
    const rl_map_object_t* map = (const rl_map_object_t*)object;
    uint32_t place;
    const rl_tree_node_t* leaf = rl_tree_leaf_at(map->root, index, &place);
    *out_key = rl_tree_keys(leaf)[place];
    if (map->form & RL_TREE_VALUED) *out_value = rl_tree_values(leaf)[place];
}

typedef struct walk {
    const rl_tree_node_t* leaf;
    uint64_t place, index;
} walk_t;

bool rl_map_cursor_next(rl_cursor_t* cursor, rl_word_t* out_key, rl_word_t* out_value) {
    walk_t* walk = (walk_t*)cursor->state;
    if (!walk->leaf || walk->place >= walk->leaf->used) {
        const rl_map_object_t* map = (const rl_map_object_t*)cursor->source;
        uint32_t place;
        if (walk->index >= rl_map_length(cursor->source)) return false;
        walk->leaf = rl_tree_leaf_at(map->root, (uint32_t)walk->index, &place);
        walk->place = place;
    }
    *out_key = rl_tree_keys(walk->leaf)[walk->place];
    if (walk->leaf->header.tag & RL_TREE_VALUED) *out_value = rl_tree_values(walk->leaf)[walk->place];
    walk->place++;
    walk->index++;
    return true;
}

/* --- builtins -------------------------------------------------------------------------------------------------------- */

FN(rl_core_map_make_empty) {
    (void)vm, (void)args;
    result->o = rl_map_empty(site->types[0], site->types[1]);
    return RL_DONE;
}
FN(rl_core_set_make_empty) {
    (void)vm, (void)args;
    result->o = rl_map_empty(site->types[0], NULL);
    return RL_DONE;
}

FN(rl_core_map_insert) {
    rl_object_t* map = args[0].o;
    rl_outcome_t outcome = rl_map_insert_into(vm, site->types[0], &map, args[1], args[2]);
    if (outcome == RL_DONE) result->o = map;
    return outcome;
}
FN(rl_core_set_insert) {
    rl_object_t* set = args[0].o;
    rl_outcome_t outcome = rl_map_insert_into(vm, site->types[0], &set, args[1], (rl_word_t){0});
    if (outcome == RL_DONE) result->o = set;
    return outcome;
}
FN(rl_core_map_remove) { return remove_key(vm, site->types[0], MAP(0), args[1], result); }

FN(rl_core_map_contains) {
    rl_tree_node_t* leaf;
    uint32_t place;
    rl_outcome_t outcome = find(vm, site->types[0], MAP(0), args[1], &leaf, &place);
    if (outcome == RL_DONE) result->u = leaf != NULL;
    return outcome;
}

FN(rl_core_map_index) {
    rl_tree_node_t* leaf;
    uint32_t place;
    rl_outcome_t outcome = find(vm, site->types[0], MAP(0), args[1], &leaf, &place);
    if (outcome != RL_DONE) return outcome;
    if (!leaf) return rl_key_missing(vm, site->types[0], args[1]);
    *result = value_at(leaf, place);
    return RL_DONE;
}

FN(rl_core_map_find) {
    rl_tree_node_t* leaf;
    uint32_t place;
    rl_outcome_t outcome = find(vm, site->types[0], MAP(0), args[1], &leaf, &place);
    if (outcome != RL_DONE) return outcome;
    if (leaf) return rl_make_some(vm, site->result_type, value_at(leaf, place), result);
    rl_make_none(site->result_type, result);
    return RL_DONE;
}

FN(rl_core_map_get_or) {
    rl_tree_node_t* leaf;
    uint32_t place;
    rl_outcome_t outcome = find(vm, site->types[0], MAP(0), args[1], &leaf, &place);
    if (outcome != RL_DONE) return outcome;
    *result = leaf ? value_at(leaf, place) : args[2];
    if (!leaf && site->result_rep == RL_REP_R) rl_share(result->o);
    return RL_DONE;
}

FN(rl_core_map_len) {
    (void)vm, (void)site;
    result->i = rl_map_length(args[0].o);
    return RL_DONE;
}

/* Keys or values as a list; also those of a Table. */
static rl_outcome_t column(rl_vm_t* vm, rl_object_t* source, const rl_rtype_t* type, bool values, rl_word_t* result) {
    rl_element_t element = (rl_element_t)type->element;
    uint32_t length = rl_collection_length(source);
    if (!rl_vm_charge(vm, 1 + length / 4)) return RL_RAISE;
    if (length == 0) {
        result->o = rl_list_empty(element);
        return RL_DONE;
    }
    rl_list_t* list = NULL;
    rl_outcome_t outcome = rl_list_from_data(vm, element, NULL, length, &list);
    if (outcome != RL_DONE) return outcome;
    rl_cursor_t cursor;
    rl_word_t key, value = {0};
    rl_cursor_begin(&cursor, source);
    for (uint32_t i = 0; i < length && rl_cursor_next(&cursor, &key, &value); i++) {
        rl_element_store(element, list->data, i, values ? value : key);
    }
    result->o = &list->header;
    return RL_DONE;
}
FN(rl_core_map_keys) { return column(vm, args[0].o, site->types[0], false, result); }
FN(rl_core_map_values) { return column(vm, args[0].o, site->types[1], true, result); }
