#include "vm/core/list.h"

#include "vm/builtin.h"

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)
#define LIST(i)  ((rl_list_t*)args[i].o)
#define ELEMENT  ((rl_element_t)site->types[0]->element)

#define BUILTIN(id, name, function, uses) FN(function);
#include "vm/core/collections.def"
#undef BUILTIN

enum {
    SMALL = 64,      /* elements up to which copying beats sharing */
    CELL_MOST = 512, /* largest cell with elements inside */
    CELL_FIRST = 80, /* cell of a list that begins to grow */
    LEAST_BUFFER = 16,
    SLICE_COPY_MOST = 256
};

/* --- storage ---------------------------------------------------------------------------------------------------- */

#define EMPTY(e) {{RL_OBJ_LIST, RL_OBJ_STATIC | RL_OBJ_SHARED, 0, 1, 4}, NULL, NULL, 0, 0, 0, RL_ELEM_##e}
static const rl_list_t empty_lists[] = {EMPTY(REF), EMPTY(I64), EMPTY(F64), EMPTY(I8), EMPTY(I16), EMPTY(I32),
    EMPTY(U8), EMPTY(U16), EMPTY(U32), EMPTY(F32), EMPTY(UNIT)};
rl_object_t* rl_list_empty(rl_element_t element) { return (rl_object_t*)(uintptr_t)&empty_lists[element].header; }

static size_t width(const rl_list_t* list) { return rl_element_size((rl_element_t)list->element); }
static bool is_flat(const rl_list_t* list) { return !list->root; }
static bool is_tree(const rl_list_t* list) { return list->root && list->root->kind == RL_OBJ_LIST_NODE; }
static bool is_shared(const rl_list_t* list) { return (list->header.flags & RL_OBJ_SHARED) != 0; }
static bool has_buffer(const rl_list_t* list) { return list->data && list->data != (const char*)(list + 1); }
static uint32_t tree_count(const rl_list_t* list) { return ((const rl_tree_node_t*)list->root)->count; }

static rl_outcome_t too_long(rl_vm_t* vm) {
    return rl_vm_raise(
        vm, RL_CODE_RUNTIME_LIMIT_MEMORY, "a list would have more than %u elements", RL_LIST_LENGTH_MOST);
}

/* A flat list of `length` elements to be filled in, with room for more when `grows`. */
static rl_list_t* new_flat(rl_vm_t* vm, rl_element_t element, uint32_t length, bool grows) {
    size_t size = rl_element_size(element), bytes = length * size, cell = sizeof(rl_list_t) + bytes;
    if (grows && cell < CELL_FIRST) cell = CELL_FIRST;
    bool is_inside = cell <= CELL_MOST && (!grows || bytes + size <= CELL_FIRST - sizeof(rl_list_t));
    if (is_inside) cell = rl_heap_class_bytes[rl_heap_classes[(cell + 7) / 8]];
    rl_list_t* list = rl_heap_new_sized(&vm->heap, RL_OBJ_LIST, 1, is_inside ? cell : sizeof *list);
    if (!list) return NULL;
    list->element = element;
    if (size == 0) {
        list->capacity = UINT32_MAX;
    } else if (is_inside) {
        list->data = (char*)(list + 1);
        list->capacity = (uint32_t)((cell - sizeof *list) / size);
    } else {
        size_t capacity = grows ? (size_t)length + length / 2 + LEAST_BUFFER : length;
        list->data = rl_heap_buffer(&vm->heap, NULL, 0, capacity * size);
        if (!list->data) return NULL;
        list->capacity = (uint32_t)capacity;
    }
    list->length = length;
    return list;
}

rl_outcome_t rl_list_from_data(rl_vm_t* vm, rl_element_t element, const void* data, uint64_t count, rl_list_t** out) {
    if (count > RL_LIST_LENGTH_MOST) return too_long(vm);
    rl_list_t* list = new_flat(vm, element, (uint32_t)count, false);
    if (!list) return RL_COLLECT;
    if (data && count && list->data) memcpy(list->data, data, count * width(list));
    *out = list;
    return RL_DONE;
}

rl_outcome_t rl_list_from_words(
    rl_vm_t* vm, rl_element_t element, const rl_word_t* words, size_t count, rl_object_t** out) {
    rl_list_t* list;
    if (count == 0) {
        *out = rl_list_empty(element);
        return RL_DONE;
    }
    rl_outcome_t outcome = rl_list_from_data(vm, element, rl_element_size(element) == 8 ? words : NULL, count, &list);
    if (outcome != RL_DONE) return outcome;
    if (width(list) != 8) {
        for (size_t i = 0; i < count; i++) rl_element_store(element, list->data, i, words[i]);
    }
    *out = &list->header;
    return RL_DONE;
}

static void free_buffer(rl_heap_t* heap, rl_list_t* list) {
    if (has_buffer(list)) rl_heap_buffer(heap, list->data, list->capacity * width(list), 0);
    list->data = NULL;
    list->capacity = 0;
}

/* Another buffer of `capacity` elements with the list from place `start` on. */
static bool move_to_buffer(rl_vm_t* vm, rl_list_t* list, size_t capacity, uint32_t start) {
    size_t size = width(list);
    if (capacity > UINT32_MAX) {
        vm->allocator->failed = true;
        return false;
    }
    char* data;
    if (start < list->start && list->element == RL_ELEM_REF) rl_heap_barrier(&vm->heap, &list->header, NULL);
    if (start == 0 && list->start == 0 && has_buffer(list)) {
        data = rl_heap_buffer(&vm->heap, list->data, list->capacity * size, capacity * size);
        if (!data) return false;
    } else {
        data = rl_heap_buffer(&vm->heap, NULL, 0, capacity * size);
        if (!data) return false;
        if (list->length) memcpy(data + start * size, list->data + list->start * size, list->length * size);
        free_buffer(&vm->heap, list);
    }
    list->data = data;
    list->capacity = (uint32_t)capacity;
    list->start = start;
    return true;
}

/* Room for `extra` more at the end of a flat list that has one owner; amortised O(extra). */
static rl_outcome_t reserve_back(rl_vm_t* vm, rl_list_t* list, uint32_t extra) {
    uint64_t total = (uint64_t)list->length + extra;
    if (RL_LIKELY(list->start + total <= list->capacity)) return RL_DONE;
    if (total > RL_LIST_LENGTH_MOST) return too_long(vm);
    if (width(list) == 0) {
        list->start = 0;
        return RL_DONE;
    }
    if (list->start > list->length && total <= list->capacity) { /* pops have paid for moving the rest down */
        if (list->element == RL_ELEM_REF) rl_heap_barrier(&vm->heap, &list->header, NULL);
        memmove(list->data, list->data + list->start * width(list), list->length * width(list));
        list->start = 0;
        return RL_DONE;
    }
    uint64_t capacity = list->length * (uint64_t)2;
    if (capacity < total) capacity = total;
    if (capacity < LEAST_BUFFER) capacity = LEAST_BUFFER;
    return move_to_buffer(vm, list, capacity, 0) ? RL_DONE : RL_COLLECT;
}

static rl_outcome_t reserve_front(rl_vm_t* vm, rl_list_t* list) {
    if (list->start > 0) return RL_DONE;
    if (list->length >= RL_LIST_LENGTH_MOST) return too_long(vm);
    if (width(list) == 0) {
        list->start = 1;
        return RL_DONE;
    }
    size_t capacity = (size_t)list->length * 2 + LEAST_BUFFER, spare = (capacity - list->length) / 4;
    return move_to_buffer(vm, list, capacity, (uint32_t)(capacity - list->length - spare)) ? RL_DONE : RL_COLLECT;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

/* The list that holds the elements, flat or tree, and where they begin in it. */
static const rl_list_t* base_of(const rl_list_t* list, uint32_t* out_start) {
    *out_start = list->start;
    if (!list->root || list->root->kind != RL_OBJ_LIST) return list;
    const rl_list_t* owner = (const rl_list_t*)list->root;
    *out_start += owner->start;
    return owner;
}

const void* rl_list_array(const rl_object_t* object) {
    uint32_t start;
    const rl_list_t* list = (const rl_list_t*)object;
    const rl_list_t* base = base_of(list, &start);
    return is_flat(base) && list->length ? base->data + start * width(list) : NULL;
}

rl_word_t rl_list_at(const rl_object_t* object, uint32_t index) {
    const rl_list_t* list = (const rl_list_t*)object;
    rl_element_t element = (rl_element_t)list->element;
    if (RL_LIKELY(is_flat(list))) return rl_element_load(element, list->data, list->start + (size_t)index);
    uint32_t start, place;
    const rl_list_t* base = base_of(list, &start);
    if (is_flat(base)) return rl_element_load(element, base->data, start + (size_t)index);
    const rl_tree_node_t* leaf = rl_tree_leaf_at(base->root, start + index, &place);
    return rl_element_load(element, rl_tree_at(leaf, RL_TREE_HEAD_BYTES), place);
}

void rl_list_copy(const rl_object_t* object, uint32_t from, uint32_t count, void* out) {
    const rl_list_t* list = (const rl_list_t*)object;
    size_t size = width(list);
    uint32_t start;
    const rl_list_t* base = base_of(list, &start);
    if (size == 0 || count == 0) return;
    if (is_flat(base)) {
        memcpy(out, base->data + (start + (size_t)from) * size, count * size);
        return;
    }
    for (uint32_t done = 0; done < count;) {
        uint32_t place;
        const rl_tree_node_t* leaf = rl_tree_leaf_at(base->root, start + from + done, &place);
        uint32_t chunk = leaf->used - place < count - done ? leaf->used - place : count - done;
        memcpy(
            (char*)out + done * size, (const char*)rl_tree_at(leaf, RL_TREE_HEAD_BYTES) + place * size, chunk * size);
        done += chunk;
    }
}

/* A walk finds its place by number after each leaf: a flat list may turn into a tree meanwhile. */
typedef struct walk {
    const rl_tree_node_t* leaf;
    uint64_t place, index;
} walk_t;
static walk_t* walk_of(rl_cursor_t* cursor) { return (walk_t*)cursor->state; }

void rl_list_cursor_begin(rl_cursor_t* cursor) { *walk_of(cursor) = (walk_t){NULL, 0, 0}; }

bool rl_list_cursor_next(rl_cursor_t* cursor, rl_word_t* out_element) {
    walk_t* walk = walk_of(cursor);
    const rl_list_t* list = (const rl_list_t*)cursor->source;
    rl_element_t element = (rl_element_t)list->element;
    if (walk->index >= list->length) return false;
    if (is_flat(list)) {
        *out_element = rl_element_load(element, list->data, list->start + (size_t)walk->index++);
        return true;
    }
    if (walk->leaf && walk->place < walk->leaf->used) {
        *out_element = rl_element_load(element, rl_tree_at(walk->leaf, RL_TREE_HEAD_BYTES), walk->place++);
        walk->index++;
        return true;
    }
    uint32_t start, place;
    const rl_list_t* base = base_of(list, &start);
    uint32_t index = (uint32_t)walk->index++;
    if (is_flat(base)) {
        *out_element = rl_element_load(element, base->data, start + (size_t)index);
        return true;
    }
    walk->leaf = rl_tree_leaf_at(base->root, start + index, &place);
    *out_element = rl_element_load(element, rl_tree_at(walk->leaf, RL_TREE_HEAD_BYTES), place);
    walk->place = place + 1u;
    return true;
}

/* --- forms ------------------------------------------------------------------------------------------------------------ */

static bool charge(rl_vm_t* vm, uint64_t elements) { return rl_vm_charge(vm, 1 + elements / 8); }

/* A flat list becomes a view of a tree: the value stays, whoever sees it. */
static rl_outcome_t flat_to_tree(rl_vm_t* vm, rl_list_t* list) {
    if (!charge(vm, list->length)) return RL_RAISE;
    size_t size = width(list);
    const char* data = size ? list->data + list->start * size : NULL;
    rl_object_t* root = rl_tree_build(&vm->heap, (rl_element_t)list->element, data, list->length);
    if (!root) return RL_COLLECT;
    rl_heap_barrier(&vm->heap, &list->header, NULL);
    free_buffer(&vm->heap, list);
    list->root = root;
    list->start = 0;
    return RL_DONE;
}

static void set_root(rl_vm_t* vm, rl_list_t* list, rl_object_t* root, uint32_t start) {
    rl_heap_barrier_old(&vm->heap, list->root);
    list->root = root;
    list->start = start;
}

/* Any long list to a tree; that of a slice is shared with the list it was cut from. */
static rl_outcome_t to_tree(rl_vm_t* vm, rl_list_t* list) {
    if (is_tree(list)) return RL_DONE;
    if (is_flat(list)) return flat_to_tree(vm, list);
    rl_list_t* owner = (rl_list_t*)list->root;
    rl_outcome_t outcome = to_tree(vm, owner);
    if (outcome != RL_DONE) return outcome;
    rl_share(owner->root);
    set_root(vm, list, owner->root, list->start + owner->start);
    return RL_DONE;
}

/* The tree of `list` holds nothing else. */
static bool trim(rl_vm_t* vm, rl_list_t* list) {
    if (list->start == 0 && list->length == tree_count(list)) return true;
    rl_object_t* root = rl_tree_slice(&vm->heap, list->root, list->start, list->start + list->length);
    if (root) set_root(vm, list, root, 0);
    return root != NULL;
}

static rl_outcome_t copy_range(
    rl_vm_t* vm, const rl_list_t* list, uint32_t from, uint32_t count, bool grows, rl_list_t** out) {
    rl_list_t* copy = new_flat(vm, (rl_element_t)list->element, count, grows);
    if (!copy) return RL_COLLECT;
    rl_list_copy(&list->header, from, count, copy->data);
    *out = copy;
    return RL_DONE;
}

/* A view of the same tree. */
static rl_outcome_t tree_view(
    rl_vm_t* vm, rl_object_t* root, rl_element_t element, uint32_t start, uint32_t length, rl_list_t** out) {
    rl_list_t* view = rl_heap_new_sized(&vm->heap, RL_OBJ_LIST, 1, sizeof *view);
    if (!view) return RL_COLLECT;
    view->root = root;
    view->element = element;
    view->start = start;
    view->length = length;
    *out = view;
    return RL_DONE;
}

/* A flat list or tree with the same elements that may be changed in place: `list` itself when it has one owner. */
static rl_outcome_t own(rl_vm_t* vm, rl_list_t* list, bool grows, rl_list_t** out) {
    *out = list;
    if (!is_shared(list) && (is_flat(list) || is_tree(list))) return RL_DONE;
    if (list->length <= SMALL) return copy_range(vm, list, 0, list->length, grows, out);
    rl_outcome_t outcome = to_tree(vm, list);
    if (outcome != RL_DONE || !is_shared(list)) return outcome;
    rl_share(list->root);
    return tree_view(vm, list->root, (rl_element_t)list->element, list->start, list->length, out);
}

/* A tree that is exactly the list; it may be taken apart when `list` is consumed by its only owner, else it is SHARED. */
static rl_outcome_t exact_tree(rl_vm_t* vm, rl_list_t* list, bool consumed, rl_object_t** out) {
    if (!is_tree(list) && list->length <= SMALL) {
        char data[SMALL * 8];
        rl_list_copy(&list->header, 0, list->length, data);
        *out = rl_tree_build(&vm->heap, (rl_element_t)list->element, data, list->length);
        return *out ? RL_DONE : RL_COLLECT;
    }
    rl_outcome_t outcome = to_tree(vm, list);
    if (outcome != RL_DONE) return outcome;
    *out = list->root;
    if (!consumed || is_shared(list)) rl_share(list->root);
    if (list->start == 0 && list->length == tree_count(list)) return RL_DONE;
    *out = rl_tree_slice(&vm->heap, list->root, list->start, list->start + list->length);
    return *out ? RL_DONE : RL_COLLECT;
}

/* --- one element ----------------------------------------------------------------------------------------------------- */

static rl_outcome_t answer_shared(rl_word_t* result, rl_element_t element, rl_word_t value) {
    if (element == RL_ELEM_REF) rl_share(value.o);
    *result = value;
    return RL_DONE;
}

FN(rl_core_list_index) {
    (void)site;
    const rl_list_t* list = LIST(0);
    uint64_t index = args[1].u;
    if (RL_UNLIKELY(index >= list->length)) return rl_vm_raise_index(vm, args[1].i, list->length);
    return answer_shared(result, (rl_element_t)list->element, rl_list_at(&list->header, (uint32_t)index));
}

/* Insert into the tree of a list that may be changed in place. */
static rl_outcome_t tree_insert(rl_vm_t* vm, rl_list_t* list, bool at_end, rl_word_t value) {
    if (list->length >= RL_LIST_LENGTH_MOST) return too_long(vm);
    bool at_edge = at_end ? list->start + list->length == tree_count(list) : list->start == 0;
    if (!at_edge && !trim(vm, list)) return RL_COLLECT;
    rl_tree_path_t path;
    rl_word_t entry[3] = {value, {0}, {0}};
    rl_tree_locate(list->root, at_end ? tree_count(list) : 0, &path);
    if (!rl_tree_own(&vm->heap, &list->header, &list->root, &path) ||
        !rl_tree_insert(&vm->heap, &list->header, &list->root, &path, entry)) {
        return RL_COLLECT;
    }
    list->length++;
    return RL_DONE;
}

FN(rl_core_list_push) {
    (void)site;
    rl_list_t* list = LIST(0);
    if (is_shared(list) || !is_flat(list)) {
        rl_outcome_t outcome = own(vm, list, true, &list);
        if (outcome != RL_DONE) return outcome;
    }
    if (RL_LIKELY(is_flat(list))) {
        if (RL_UNLIKELY(list->start + (uint64_t)list->length >= list->capacity)) {
            rl_outcome_t outcome = reserve_back(vm, list, 1);
            if (outcome != RL_DONE) return outcome;
        }
        rl_element_store((rl_element_t)list->element, list->data, list->start + (size_t)list->length, args[1]);
        list->length++;
    } else {
        rl_outcome_t outcome = tree_insert(vm, list, true, args[1]);
        if (outcome != RL_DONE) return outcome;
    }
    result->o = &list->header;
    return RL_DONE;
}

FN(rl_core_list_push_front) {
    (void)site;
    rl_list_t* list;
    rl_outcome_t outcome = own(vm, LIST(0), true, &list);
    if (outcome != RL_DONE) return outcome;
    if (is_flat(list)) {
        outcome = reserve_front(vm, list);
        if (outcome != RL_DONE) return outcome;
        list->start--;
        rl_element_store((rl_element_t)list->element, list->data, list->start, args[1]);
        list->length++;
    } else {
        outcome = tree_insert(vm, list, false, args[1]);
        if (outcome != RL_DONE) return outcome;
    }
    result->o = &list->header;
    return RL_DONE;
}

FN(rl_core_list_set) {
    (void)site;
    rl_list_t* list = LIST(0);
    uint64_t index = args[1].u;
    if (index >= list->length) return rl_vm_raise_index(vm, args[1].i, list->length);
    rl_outcome_t outcome = own(vm, list, false, &list);
    if (outcome != RL_DONE) return outcome;
    rl_element_t element = (rl_element_t)list->element;
    void* data = list->data;
    size_t place = list->start + (size_t)index;
    if (!is_flat(list)) {
        rl_tree_path_t path;
        rl_tree_locate(list->root, (uint32_t)place, &path);
        if (!rl_tree_own(&vm->heap, &list->header, &list->root, &path)) return RL_COLLECT;
        data = rl_tree_at(path.steps[0].node, RL_TREE_HEAD_BYTES);
        place = path.steps[0].slot;
    }
    if (element == RL_ELEM_REF) rl_heap_barrier_old(&vm->heap, ((rl_object_t**)data)[place]);
    rl_element_store(element, data, place, args[2]);
    result->o = &list->header;
    return RL_DONE;
}

FN(rl_core_list_len) {
    (void)vm, (void)site;
    result->i = LIST(0)->length;
    return RL_DONE;
}

FN(rl_core_list_check_insert) {
    (void)site;
    if (args[1].u > LIST(0)->length) return rl_vm_raise_index(vm, args[1].i, LIST(0)->length);
    result->i = 0;
    return RL_DONE;
}

/* --- slices ------------------------------------------------------------------------------------------------------------ */

/* Elements [from, from + count), 0 < count < length. The source keeps them, too. */
static rl_outcome_t slice(rl_vm_t* vm, rl_list_t* list, uint32_t from, uint32_t count, rl_list_t** out) {
    rl_element_t element = (rl_element_t)list->element;
    uint32_t start;
    const rl_list_t* base = base_of(list, &start);
    uint32_t kept = is_flat(base) ? base->length : tree_count(base); /* what a view would keep alive */
    bool dense = count >= kept / 2;
    if (count <= SMALL / 2 || (!dense && count <= SLICE_COPY_MOST))
        return copy_range(vm, list, from, count, false, out);
    if (is_flat(base) && dense) {
        rl_list_t* view = rl_heap_new_sized(&vm->heap, RL_OBJ_LIST, 1, sizeof *view);
        if (!view) return RL_COLLECT;
        rl_object_t* owner = list->root ? list->root : &list->header;
        rl_share(owner);
        view->root = owner;
        view->element = element;
        view->start = (list->root ? list->start : 0) + from;
        view->length = count;
        *out = view;
        return RL_DONE;
    }
    rl_outcome_t outcome = to_tree(vm, list);
    if (outcome != RL_DONE) return outcome;
    rl_share(list->root);
    if (dense) return tree_view(vm, list->root, element, list->start + from, count, out);
    rl_object_t* root = rl_tree_slice(&vm->heap, list->root, list->start + from, list->start + from + count);
    return root ? tree_view(vm, root, element, 0, count, out) : RL_COLLECT;
}

static rl_outcome_t answer_slice(rl_vm_t* vm, rl_list_t* list, uint64_t from, uint64_t to, rl_word_t* result) {
    if (to > list->length) to = list->length;
    if (from == 0 && to == list->length) {
        rl_share(&list->header);
        result->o = &list->header;
        return RL_DONE;
    }
    if (from >= to) {
        result->o = rl_list_empty((rl_element_t)list->element);
        return RL_DONE;
    }
    rl_list_t* part;
    rl_outcome_t outcome = slice(vm, list, (uint32_t)from, (uint32_t)(to - from), &part);
    if (outcome == RL_DONE) result->o = &part->header;
    return outcome;
}

FN(rl_core_list_slice) {
    (void)site;
    return answer_slice(vm, LIST(0), args[1].i < 0 ? 0 : args[1].u, args[2].i < 0 ? 0 : args[2].u, result);
}

/* Shorten by one at an end. With one owner the view just narrows; once half of what it keeps alive is gone, it is let go. */
static rl_outcome_t drop(rl_vm_t* vm, rl_list_t* list, bool first, rl_word_t* result) {
    uint32_t length = list->length;
    if (length == 0 || is_shared(list))
        return answer_slice(vm, list, first, first || length == 0 ? length : length - 1, result);
    if (!is_flat(list)) {
        if (length == 1) {
            result->o = rl_list_empty((rl_element_t)list->element);
            return RL_DONE;
        }
        if (!is_tree(list) && ((const rl_list_t*)list->root)->length / 2 > length + SMALL) {
            rl_outcome_t outcome = to_tree(vm, list);
            if (outcome != RL_DONE) return outcome;
        }
        if (is_tree(list) && tree_count(list) / 2 > length + SMALL && !trim(vm, list)) return RL_COLLECT;
    } else if (list->element == RL_ELEM_REF) {
        rl_heap_barrier_old(&vm->heap, ((rl_object_t**)(void*)list->data)[list->start + (first ? 0 : length - 1)]);
    }
    list->length--;
    if (first) list->start++;
    result->o = &list->header;
    return RL_DONE;
}
FN(rl_core_list_drop_first) {
    (void)site;
    return drop(vm, LIST(0), true, result);
}
FN(rl_core_list_drop_last) {
    (void)site;
    return drop(vm, LIST(0), false, result);
}

/* --- joining ------------------------------------------------------------------------------------------------------------- */

FN(rl_core_list_concat) {
    (void)site;
    rl_list_t* left = LIST(0);
    rl_list_t* right = LIST(1);
    uint64_t total = (uint64_t)left->length + right->length;
    if (left->length == 0 || right->length == 0) {
        rl_list_t* whole = right->length ? right : left;
        if (whole == right) rl_share(&whole->header);
        result->o = &whole->header;
        return RL_DONE;
    }
    if (total > RL_LIST_LENGTH_MOST) return too_long(vm);
    uint32_t added = right->length;
    if (is_flat(left) && !is_shared(left) && (added <= SMALL || added <= left->length)) {
        if (!charge(vm, added)) return RL_RAISE;
        rl_outcome_t outcome = reserve_back(vm, left, added);
        if (outcome != RL_DONE) return outcome;
        if (width(left))
            rl_list_copy(&right->header, 0, added, left->data + (left->start + left->length) * width(left));
        left->length += added;
        result->o = &left->header;
        return RL_DONE;
    }
    rl_list_t* joined;
    if (total <= SMALL) {
        rl_outcome_t outcome = copy_range(vm, left, 0, left->length, true, &joined);
        if (outcome == RL_DONE) outcome = reserve_back(vm, joined, added);
        if (outcome != RL_DONE) return outcome;
        if (width(left)) rl_list_copy(&right->header, 0, added, joined->data + left->length * width(left));
        joined->length += added;
        result->o = &joined->header;
        return RL_DONE;
    }
    rl_object_t *left_root, *right_root;
    rl_element_t element = (rl_element_t)left->element;
    rl_outcome_t outcome = exact_tree(vm, right, false, &right_root);
    if (outcome == RL_DONE) outcome = exact_tree(vm, left, true, &left_root);
    if (outcome != RL_DONE) return outcome;
    if (left == right) rl_share(left_root);
    rl_object_t* root = rl_tree_join(&vm->heap, left_root, right_root);
    if (!root) return RL_COLLECT;
    if (is_tree(left) && !is_shared(left) && left != right) {
        set_root(vm, left, root, 0);
        left->length = (uint32_t)total;
        result->o = &left->header;
        return RL_DONE;
    }
    outcome = tree_view(vm, root, element, 0, (uint32_t)total, &joined);
    if (outcome == RL_DONE) result->o = &joined->header;
    return outcome;
}

/* --- making ---------------------------------------------------------------------------------------------------------------- */

FN(rl_core_list_make_empty) {
    (void)vm, (void)args;
    result->o = rl_list_empty(ELEMENT);
    return RL_DONE;
}

FN(rl_core_list_of) { return rl_list_from_words(vm, ELEMENT, args, site->arg_count, &result->o); }

static rl_outcome_t give_list(rl_word_t* result, rl_outcome_t outcome, rl_list_t* list) {
    if (outcome == RL_DONE) result->o = &list->header;
    return outcome;
}

/* (from, to, step) */
FN(rl_core_list_range) {
    (void)site;
    int64_t from = args[0].i, to = args[1].i, step = args[2].i;
    if (step <= 0) return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_RANGE_STEP);
    uint64_t count = from < to ? ((uint64_t)to - (uint64_t)from - 1) / (uint64_t)step + 1 : 0;
    if (count > RL_LIST_LENGTH_MOST) return too_long(vm);
    if (!charge(vm, count)) return RL_RAISE;
    rl_list_t* list = NULL;
    rl_outcome_t outcome = rl_list_from_data(vm, RL_ELEM_I64, NULL, count, &list);
    if (outcome != RL_DONE) return outcome;
    int64_t* items = (int64_t*)(void*)list->data;
    for (uint64_t i = 0; i < count; i++) items[i] = (int64_t)((uint64_t)from + i * (uint64_t)step);
    return give_list(result, outcome, list);
}

/* (value, count) */
FN(rl_core_list_repeat) {
    uint64_t count = args[1].i < 0 ? 0 : args[1].u;
    if (count > RL_LIST_LENGTH_MOST) return too_long(vm);
    if (!charge(vm, count)) return RL_RAISE;
    rl_list_t* list = NULL;
    rl_outcome_t outcome = rl_list_from_data(vm, ELEMENT, NULL, count, &list);
    if (outcome != RL_DONE) return outcome;
    for (uint64_t i = 0; i < count; i++) rl_element_store((rl_element_t)list->element, list->data, i, args[0]);
    return give_list(result, outcome, list);
}

FN(rl_core_list_reverse) {
    (void)site;
    rl_list_t* source = LIST(0);
    uint32_t length = source->length;
    size_t size = width(source);
    if (!charge(vm, length * (uint64_t)2)) return RL_RAISE;
    rl_list_t* list = NULL;
    rl_outcome_t outcome = rl_list_from_data(vm, (rl_element_t)source->element, NULL, length, &list);
    if (outcome != RL_DONE || length == 0 || size == 0) return give_list(result, outcome, list);
    rl_list_copy(&source->header, 0, length, list->data);
    for (uint32_t i = 0, j = length - 1; i < j; i++, j--) {
        rl_word_t x = rl_element_load((rl_element_t)list->element, list->data, i);
        rl_element_store(
            (rl_element_t)list->element, list->data, i, rl_element_load((rl_element_t)list->element, list->data, j));
        rl_element_store((rl_element_t)list->element, list->data, j, x);
    }
    return give_list(result, outcome, list);
}

/* --- collector ---------------------------------------------------------------------------------------------------------------- */

/* Places are those of the buffer, so that a list may lose its first elements between two parts. */
uint32_t rl_list_mark(rl_heap_t* heap, const rl_object_t* object, uint32_t from) {
    const rl_list_t* list = (const rl_list_t*)object;
    uint32_t end = list->start + list->length;
    if (from < list->start) from = list->start;
    if (list->root || list->element != RL_ELEM_REF || from >= end) return RL_MARKED;
    rl_object_t* const* items = (rl_object_t* const*)(const void*)list->data;
    uint32_t stop = end - from > RL_MARK_PART ? from + RL_MARK_PART : end;
    for (uint32_t i = from; i < stop; i++) rl_heap_mark(heap, items[i]);
    return stop == end ? RL_MARKED : stop;
}

void rl_list_free(rl_heap_t* heap, rl_object_t* object) { free_buffer(heap, (rl_list_t*)object); }

size_t rl_list_size(const rl_object_t* object) {
    const rl_list_t* list = (const rl_list_t*)object;
    return has_buffer(list) ? list->capacity * width(list) : 0;
}

bool rl_list_clone(rl_heap_t* heap, rl_object_t* copy, const rl_object_t* object, rl_heap_each_fn each, void* user) {
    rl_list_t* list = (rl_list_t*)copy;
    const rl_list_t* from = (const rl_list_t*)object;
    if (from->root) return true; /* a view: its root is a leading reference */
    if (has_buffer(from)) {
        size_t bytes = from->capacity * width(from), start = from->start * width(from);
        list->data = rl_heap_buffer(heap, NULL, 0, bytes);
        if (!list->data) {
            list->start = list->length = list->capacity = 0;
            return false;
        }
        memcpy(list->data + start, from->data + start, from->length * width(from));
    } else if (from->data) {
        list->data = (char*)(list + 1);
    }
    rl_object_t** items = (rl_object_t**)(void*)list->data + list->start;
    for (uint32_t i = 0; list->element == RL_ELEM_REF && i < list->length; i++) {
        if (!each(&items[i], user)) return false;
    }
    return true;
}
