/* One row per kind of object: what the collector must know. */
#include "vm/core/collections.h"
#include "vm/core/iterate.h"
#include "vm/fiber.h"
#include "vm/string.h"

static void free_string(rl_heap_t* heap, rl_object_t* object) {
    rl_string_t* s = (rl_string_t*)object;
    if (object->tag & RL_STR_SHORT) return;
    if (s->capacity) rl_heap_buffer(heap, (void*)(uintptr_t)s->data, s->capacity, 0);
    if (s->index) rl_heap_buffer(heap, s->index, rl_string_index_bytes(s), 0);
}

static size_t size_of_string(const rl_object_t* object) {
    const rl_string_t* s = (const rl_string_t*)object;
    return object->tag & RL_STR_SHORT ? 0 : s->capacity + rl_string_index_bytes(s);
}

static uint32_t mark_vector(rl_heap_t* heap, const rl_object_t* object, uint32_t from) {
    const rl_vector_t* v = (const rl_vector_t*)object;
    if (v->element != RL_ELEM_REF || from >= v->length) return RL_MARKED;
    rl_object_t* const* items = v->data;
    uint32_t end = v->length - from > RL_MARK_PART ? from + RL_MARK_PART : v->length;
    for (uint32_t i = from; i < end; i++) rl_heap_mark(heap, items[i]);
    return end == v->length ? RL_MARKED : end;
}

static size_t size_of_vector(const rl_object_t* object) {
    const rl_vector_t* v = (const rl_vector_t*)object;
    return (size_t)v->capacity * rl_element_size((rl_element_t)v->element);
}

static void free_vector(rl_heap_t* heap, rl_object_t* object) {
    rl_vector_t* v = (rl_vector_t*)object;
    if (v->data) rl_heap_buffer(heap, v->data, size_of_vector(object), 0);
}

static bool clone_vector(
    rl_heap_t* heap, rl_object_t* copy, const rl_object_t* object, rl_heap_each_fn each, void* user) {
    rl_vector_t* v = (rl_vector_t*)copy;
    const rl_vector_t* from = (const rl_vector_t*)object;
    size_t size = size_of_vector(object), width = rl_element_size((rl_element_t)from->element);
    v->data = size ? rl_heap_buffer(heap, NULL, 0, size) : NULL;
    if (size && !v->data) {
        v->length = v->capacity = 0;
        return false;
    }
    if (size) memcpy(v->data, from->data, from->length * width);
    for (uint32_t i = 0; v->element == RL_ELEM_REF && i < v->length; i++) {
        if (!each((rl_object_t**)v->data + i, user)) return false;
    }
    return true;
}

static void free_host(rl_heap_t* heap, rl_object_t* object) {
    if (heap->host_dropped) heap->host_dropped(heap->roots_user, object);
}

const rl_kind_row_t rl_kind_rows[RL_OBJ_KIND_COUNT] = {
    [RL_OBJ_FREE] = {.name = "free cell"},
    [RL_OBJ_CELLS] = {.name = "cells"},
    [RL_OBJ_CLOSURE] = {.name = "closure"},
    [RL_OBJ_ANY] = {.name = "Any"},
    [RL_OBJ_STR] = {"Str", NULL, free_string, size_of_string, NULL, NULL},
    [RL_OBJ_BYTES] = {"Bytes", NULL, free_string, size_of_string, NULL, NULL},
    [RL_OBJ_VEC] = {"Vec", NULL, free_vector, size_of_vector, clone_vector, mark_vector},
    [RL_OBJ_RANGE] = {.name = "Range"},
    [RL_OBJ_ITER] = {.name = "Iter"},
    [RL_OBJ_HOST] = {"host object", NULL, free_host, NULL, NULL, NULL},
    [RL_OBJ_FIBER] = {"fiber", rl_parked_mark, rl_parked_free, rl_parked_size, NULL, NULL},
    [RL_OBJ_FUTURE] = {.name = "Future"},
    [RL_OBJ_TASK] = {.name = "Task"},
#define KIND(kind, name, mark, free, size, clone, part) [RL_OBJ_##kind] = {name, mark, free, size, clone, part},
#include "vm/core/kinds.def"
#undef KIND
};
