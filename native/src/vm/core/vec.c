/* Vec<T> and fixed arrays: elements at natural width in one side buffer (rl_vector_t in vm/value.h). */
#include "vm/builtin.h"
#include "vm/core/key.h"
#include "vm/core/keyed.h"
#include "vm/core/list.h"

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)
#define VEC(i)   ((rl_vector_t*)args[i].o)
#define ELEMENT  ((rl_element_t)site->types[0]->element)

#define BUILTIN(id, name, function, uses) FN(function);
#include "vm/core/collections.def"
#undef BUILTIN

enum { LEAST_CAPACITY = 4 };

static size_t width(const rl_vector_t* v) { return rl_element_size((rl_element_t)v->element); }
static bool charge(rl_vm_t* vm, uint64_t elements) { return rl_vm_charge(vm, 1 + elements / 8); }

static rl_outcome_t too_long(rl_vm_t* vm) {
    return rl_vm_raise(vm, RL_CODE_RUNTIME_LIMIT_MEMORY, "a Vec would have more than %u elements", RL_LIST_LENGTH_MOST);
}

static rl_outcome_t unit(rl_word_t* result) {
    result->i = 0;
    return RL_DONE;
}

rl_vector_t* rl_vector_make(rl_vm_t* vm, rl_element_t element, uint64_t capacity) {
    if (capacity > RL_LIST_LENGTH_MOST) {
        vm->allocator->failed = true;
        return NULL;
    }
    rl_vector_t* v = rl_heap_new_sized(&vm->heap, RL_OBJ_VEC, 0, sizeof *v);
    if (!v) return NULL;
    v->element = element;
    size_t bytes = (size_t)capacity * width(v);
    if (bytes && !(v->data = rl_heap_buffer(&vm->heap, NULL, 0, bytes))) return NULL;
    v->capacity = (uint32_t)capacity;
    return v;
}

static rl_outcome_t reserve(rl_vm_t* vm, rl_vector_t* v, uint64_t total) {
    if (RL_LIKELY(total <= v->capacity)) return RL_DONE;
    if (total > RL_LIST_LENGTH_MOST) return too_long(vm);
    uint64_t capacity = v->capacity * (uint64_t)2;
    if (capacity < LEAST_CAPACITY) capacity = LEAST_CAPACITY;
    if (capacity < total) capacity = total;
    size_t size = width(v);
    if (size) {
        void* data = rl_heap_buffer(&vm->heap, v->data, v->capacity * size, (size_t)capacity * size);
        if (!data) return RL_COLLECT;
        v->data = data;
    }
    v->capacity = (uint32_t)capacity;
    return RL_DONE;
}

/* --- making -------------------------------------------------------------------------------------------------------- */

static rl_outcome_t make(rl_vm_t* vm, const rl_builtin_site_t* site, uint64_t capacity, rl_vector_t** out) {
    if (capacity > RL_LIST_LENGTH_MOST) return too_long(vm);
    *out = rl_vector_make(vm, ELEMENT, capacity);
    return *out ? RL_DONE : RL_COLLECT;
}

FN(rl_core_vec_new) {
    (void)args;
    rl_vector_t* v;
    rl_outcome_t outcome = make(vm, site, 0, &v);
    if (outcome == RL_DONE) result->o = &v->header;
    return outcome;
}

FN(rl_core_vec_with_capacity) {
    rl_vector_t* v = NULL;
    rl_outcome_t outcome = make(vm, site, args[0].i < 0 ? 0 : args[0].u, &v);
    if (outcome == RL_DONE) result->o = &v->header;
    return outcome;
}

FN(rl_core_vec_of) {
    rl_vector_t* v;
    rl_outcome_t outcome = make(vm, site, site->arg_count, &v);
    if (outcome != RL_DONE) return outcome;
    for (uint32_t i = 0; i < site->arg_count; i++) rl_element_store((rl_element_t)v->element, v->data, i, args[i]);
    v->length = site->arg_count;
    result->o = &v->header;
    return RL_DONE;
}

FN(rl_core_vec_from_list) {
    uint32_t length = rl_collection_length(args[0].o);
    rl_vector_t* v = NULL;
    if (!charge(vm, length)) return RL_RAISE;
    rl_outcome_t outcome = make(vm, site, length, &v);
    if (outcome != RL_DONE) return outcome;
    rl_list_copy(args[0].o, 0, length, v->data);
    v->length = length;
    result->o = &v->header;
    return RL_DONE;
}

/* (count, value) */
FN(rl_core_vec_filled) {
    uint64_t count = args[0].i < 0 ? 0 : args[0].u;
    rl_vector_t* v;
    if (count > RL_LIST_LENGTH_MOST) return too_long(vm);
    if (!charge(vm, count)) return RL_RAISE;
    rl_outcome_t outcome = make(vm, site, count, &v);
    if (outcome != RL_DONE) return outcome;
    for (uint64_t i = 0; i < count; i++) rl_element_store((rl_element_t)v->element, v->data, i, args[1]);
    v->length = (uint32_t)count;
    result->o = &v->header;
    return RL_DONE;
}

static rl_outcome_t give_list(rl_vm_t* vm, const rl_vector_t* v, uint32_t from, uint32_t count, rl_word_t* result) {
    if (count == 0) {
        result->o = rl_list_empty((rl_element_t)v->element);
        return RL_DONE;
    }
    if (!charge(vm, count)) return RL_RAISE;
    rl_list_t* list = NULL;
    const char* data = width(v) ? (const char*)v->data + from * width(v) : NULL;
    rl_outcome_t outcome = rl_list_from_data(vm, (rl_element_t)v->element, data, count, &list);
    if (outcome == RL_DONE) result->o = &list->header;
    return outcome;
}

FN(rl_core_vec_to_list) {
    (void)site;
    return give_list(vm, VEC(0), 0, VEC(0)->length, result);
}

FN(rl_core_vec_slice) {
    (void)site;
    const rl_vector_t* v = VEC(0);
    uint64_t from = args[1].i < 0 ? 0 : args[1].u, to = args[2].i < 0 ? 0 : args[2].u;
    if (to > v->length) to = v->length;
    return give_list(vm, v, (uint32_t)from, from < to ? (uint32_t)(to - from) : 0, result);
}

/* --- elements ------------------------------------------------------------------------------------------------------- */

FN(rl_core_vec_len) {
    (void)vm, (void)site;
    result->i = VEC(0)->length;
    return RL_DONE;
}

FN(rl_core_vec_index) {
    (void)site;
    const rl_vector_t* v = VEC(0);
    if (args[1].u >= v->length) return rl_vm_raise_index(vm, args[1].i, v->length);
    *result = rl_element_load((rl_element_t)v->element, v->data, args[1].u);
    if (v->element == RL_ELEM_REF) rl_share(result->o);
    return RL_DONE;
}

FN(rl_core_vec_set) {
    (void)site;
    rl_vector_t* v = VEC(0);
    if (args[1].u >= v->length) return rl_vm_raise_index(vm, args[1].i, v->length);
    if (v->element == RL_ELEM_REF) rl_heap_barrier_old(&vm->heap, ((rl_object_t**)v->data)[args[1].u]);
    rl_element_store((rl_element_t)v->element, v->data, args[1].u, args[2]);
    return unit(result);
}

FN(rl_core_vec_push) {
    (void)site;
    rl_vector_t* v = VEC(0);
    rl_outcome_t outcome = reserve(vm, v, (uint64_t)v->length + 1);
    if (RL_UNLIKELY(outcome != RL_DONE)) return outcome;
    rl_element_store((rl_element_t)v->element, v->data, v->length, args[1]);
    v->length++;
    v->changes++;
    return unit(result);
}

/* The element may lie in another collection, too (Vec.from_list, a list made of this Vec). */
FN(rl_core_vec_pop_value) {
    (void)site;
    rl_vector_t* v = VEC(0);
    if (v->length == 0) return rl_vm_raise_index(vm, -1, 0);
    uint32_t last = v->length - 1;
    *result = rl_element_load((rl_element_t)v->element, v->data, last);
    if (v->element == RL_ELEM_REF) {
        rl_heap_barrier_old(&vm->heap, result->o);
        rl_share(result->o);
    }
    v->length = last;
    v->changes++;
    return RL_DONE;
}

static rl_outcome_t truncate_to(rl_vm_t* vm, rl_vector_t* v, uint32_t length, rl_word_t* result) {
    if (length < v->length) {
        if (v->element == RL_ELEM_REF) rl_heap_barrier(&vm->heap, &v->header, NULL);
        v->length = length;
        v->changes++;
    }
    return unit(result);
}
FN(rl_core_vec_clear) {
    (void)site;
    return truncate_to(vm, VEC(0), 0, result);
}
FN(rl_core_vec_truncate) {
    (void)site;
    rl_vector_t* v = VEC(0);
    return truncate_to(vm, v, args[1].i < 0 ? 0 : args[1].u < v->length ? (uint32_t)args[1].u : v->length, result);
}

static void swap(rl_vector_t* v, size_t a, size_t b) {
    rl_element_t element = (rl_element_t)v->element;
    rl_word_t x = rl_element_load(element, v->data, a);
    rl_element_store(element, v->data, a, rl_element_load(element, v->data, b));
    rl_element_store(element, v->data, b, x);
}

FN(rl_core_vec_swap) {
    (void)site;
    rl_vector_t* v = VEC(0);
    for (unsigned i = 1; i <= 2; i++) {
        if (args[i].u >= v->length) return rl_vm_raise_index(vm, args[i].i, v->length);
    }
    if (v->element == RL_ELEM_REF) { /* it holds what it held, but perhaps where it has been looked at already */
        for (unsigned i = 1; i <= 2; i++) rl_heap_barrier_old(&vm->heap, ((rl_object_t**)v->data)[args[i].u]);
    }
    swap(v, args[1].u, args[2].u);
    return unit(result);
}

FN(rl_core_vec_reverse) {
    (void)site;
    rl_vector_t* v = VEC(0);
    if (!charge(vm, v->length)) return RL_RAISE;
    if (v->element == RL_ELEM_REF) rl_heap_barrier(&vm->heap, &v->header, NULL);
    for (size_t i = 0, j = v->length; i + 1 < j; i++) swap(v, i, --j);
    return unit(result);
}

FN(rl_core_vec_extend) {
    (void)site;
    rl_vector_t* v = VEC(0);
    uint32_t added = rl_collection_length(args[1].o);
    if (!charge(vm, added)) return RL_RAISE;
    rl_outcome_t outcome = reserve(vm, v, (uint64_t)v->length + added);
    if (outcome != RL_DONE) return outcome;
    if (width(v) && added) rl_list_copy(args[1].o, 0, added, (char*)v->data + v->length * width(v));
    v->length += added;
    if (added) v->changes++;
    return unit(result);
}

/* --- sorting ----------------------------------------------------------------------------------------------------------- */

/* The elements as words, sorted; freed by the caller when it gets RL_DONE and *out is not NULL. */
static rl_outcome_t sorted_words(
    rl_vm_t* vm, const rl_rtype_t* type, rl_object_t* source, uint32_t length, rl_word_t** out) {
    *out = NULL;
    if (length == 0) return RL_DONE;
    rl_word_t* words = rl_alloc(vm->allocator, length * sizeof *words);
    if (!words) return RL_COLLECT;
    rl_cursor_t cursor;
    rl_word_t unused;
    rl_cursor_begin(&cursor, source);
    for (uint32_t i = 0; i < length; i++) rl_cursor_next(&cursor, &words[i], &unused);
    rl_outcome_t outcome = rl_sort_words(vm, type, words, length);
    if (outcome == RL_DONE) *out = words;
    else rl_free(vm->allocator, words, length * sizeof *words);
    return outcome;
}

FN(rl_core_vec_sort) {
    rl_vector_t* v = VEC(0);
    rl_word_t* words;
    if (!charge(vm, v->length)) return RL_RAISE;
    rl_outcome_t outcome = sorted_words(vm, site->types[0], args[0].o, v->length, &words);
    if (outcome != RL_DONE || !words) return outcome == RL_DONE ? unit(result) : outcome;
    if (v->element == RL_ELEM_REF) rl_heap_barrier(&vm->heap, &v->header, NULL);
    for (uint32_t i = 0; i < v->length; i++) rl_element_store((rl_element_t)v->element, v->data, i, words[i]);
    rl_free(vm->allocator, words, v->length * sizeof *words);
    return unit(result);
}

/* <K>(keys: Vec<K>) -> Vec<Int> */
FN(rl_core_vec_order) {
    const rl_vector_t* keys = VEC(0);
    const uint32_t count = keys->length;
    if (!charge(vm, count)) return RL_RAISE;
    rl_vector_t* out = rl_vector_make(vm, RL_ELEM_I64, count);
    if (!out) return RL_COLLECT;
    const size_t bytes = count * (sizeof(rl_word_t) + sizeof(uint32_t));
    rl_word_t* words = count ? rl_alloc(vm->allocator, bytes) : NULL;
    if (count && !words) return RL_COLLECT;
    uint32_t* order = (uint32_t*)(words + count);
    for (uint32_t i = 0; i < count; i++) words[i] = rl_element_load((rl_element_t)keys->element, keys->data, i);
    rl_outcome_t outcome = count ? rl_sort_order(vm, site->types[0], words, count, order) : RL_DONE;
    for (uint32_t i = 0; outcome == RL_DONE && i < count; i++) {
        rl_element_store(RL_ELEM_I64, out->data, i, (rl_word_t){.i = order[i]});
    }
    rl_free(vm->allocator, words, bytes);
    out->length = outcome == RL_DONE ? count : 0;
    result->o = (rl_object_t*)out;
    return outcome;
}

FN(rl_core_list_sort) {
    uint32_t length = rl_collection_length(args[0].o);
    rl_word_t* words;
    if (!charge(vm, length)) return RL_RAISE;
    rl_outcome_t outcome = sorted_words(vm, site->types[0], args[0].o, length, &words);
    if (outcome != RL_DONE) return outcome;
    outcome = rl_list_from_words(vm, ELEMENT, words, length, &result->o);
    rl_free(vm->allocator, words, length * sizeof *words);
    return outcome;
}
