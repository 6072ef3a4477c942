#include "vm/core/iterate.h"

#include "base/utf8.h"
#include "vm/core/collections.h"

rl_iter_t* rl_iter_new(
    rl_vm_t* vm, const rl_iter_class_t* walker, const rl_rtype_t* type, rl_object_t* source, size_t extra_bytes) {
    rl_iter_t* iter = rl_heap_new_sized(&vm->heap, RL_OBJ_ITER, 2, sizeof *iter + extra_bytes);
    if (!iter) return NULL;
    iter->walker = walker;
    iter->type = type;
    iter->source = source;
    return iter;
}

/* An element that the collection goes on holding. */
static rl_word_t shared(const rl_rtype_t* type, rl_word_t element) {
    if (type->rep == RL_REP_R && element.o) rl_share(element.o);
    return element;
}

/* --- Vec, fixed arrays: live, with the length at the start ------------------------------------------------------- */

static rl_outcome_t next_of_vec(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    const rl_vector_t* v = (const rl_vector_t*)iter->source;
    uint64_t at = iter->position;
    if (at >= iter->count) {
        *out_ended = true;
        return RL_DONE;
    }
    if (at >= v->length) return rl_vm_raise_index(vm, (int64_t)at, v->length);
    iter->position = at + 1;
    *out_element = shared(iter->type->args[0], rl_element_load((rl_element_t)v->element, v->data, at));
    return RL_DONE;
}
static const rl_iter_class_t walk_of_vec = {"Vec", next_of_vec};

/* --- List, Set ----------------------------------------------------------------------------------------------- */

static rl_cursor_t* cursor_of(rl_iter_t* iter) { return (rl_cursor_t*)(iter + 1); }

static rl_outcome_t next_of_list(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    (void)vm;
    rl_word_t unused;
    *out_ended = !rl_cursor_next(cursor_of(iter), out_element, &unused);
    if (!*out_ended) shared(iter->type->args[0], *out_element);
    return RL_DONE;
}
static const rl_iter_class_t walk_of_list = {"List", next_of_list};

/* --- Map, Table: pairs --------------------------------------------------------------------------------------- */

/* The tuple (K, V): references first, then scalars. */
static rl_object_t* new_pair(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t key, rl_word_t value) {
    bool key_is_ref = type->args[0]->rep == RL_REP_R, value_is_ref = type->args[1]->rep == RL_REP_R;
    rl_object_t* pair = rl_heap_new(&vm->heap, RL_OBJ_CELLS, 0, (unsigned)key_is_ref + (unsigned)value_is_ref, 2);
    if (!pair) return NULL;
    bool swapped = !key_is_ref && value_is_ref;
    rl_object_words(pair)[swapped] = shared(type->args[0], key);
    rl_object_words(pair)[!swapped] = shared(type->args[1], value);
    return pair;
}

static rl_outcome_t next_of_map(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    if (iter->source->kind == RL_OBJ_TABLE && rl_table_changes(iter->source) != iter->changes) {
        return rl_vm_raise(
            vm, RL_CODE_RUNTIME_ITERATOR_INVALIDATED, "keys of a Table were added or removed while it was walked");
    }
    rl_cursor_t before = *cursor_of(iter);
    rl_word_t key, value;
    *out_ended = !rl_cursor_next(cursor_of(iter), &key, &value);
    if (*out_ended) return RL_DONE;
    out_element->o = new_pair(vm, iter->type, key, value);
    if (out_element->o) return RL_DONE;
    *cursor_of(iter) = before;
    return RL_COLLECT;
}
static const rl_iter_class_t walk_of_map = {"Map", next_of_map};

/* --- Range: position is the next value, count what is left, changes the step --------------------------------- */

uint64_t rl_range_count(const rl_rtype_t* element, const rl_object_t* range) {
    const rl_word_t* words = rl_object_words((rl_object_t*)(uintptr_t)range);
    rl_word_t low = words[0], high = words[1];
    int64_t step = words[3].i;
    if (step == 0) return 0;
    if (step < 0) {
        low = words[1];
        high = words[0];
    }
    if (element->kind == RL_TYPE_U64 ? low.u > high.u : low.i > high.i) return 0;
    uint64_t span = high.u - low.u, stride = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
    if (!words[2].i) return span == 0 ? 0 : (span - 1) / stride + 1;
    uint64_t steps = span / stride;
    return steps == UINT64_MAX ? steps : steps + 1;
}

static rl_outcome_t next_of_range(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    (void)vm;
    if (iter->count == 0) {
        *out_ended = true;
        return RL_DONE;
    }
    iter->count--;
    out_element->u = iter->position;
    iter->position += iter->changes;
    return RL_DONE;
}
static const rl_iter_class_t walk_of_range = {"Range", next_of_range};

/* --- Option: count is 0 or 1 --------------------------------------------------------------------------------- */

static rl_outcome_t next_of_option(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    (void)vm;
    if (iter->count == 0) {
        *out_ended = true;
        return RL_DONE;
    }
    iter->count = 0;
    const rl_rfield_t* field = &iter->type->shapes[iter->source->tag].fields[0];
    *out_element = shared(field->type, rl_object_words(iter->source)[field->slot]);
    return RL_DONE;
}
static const rl_iter_class_t walk_of_option = {"Option", next_of_option};

/* --- Str: its characters; position is the byte offset ------------------------------------------------------------ */

static rl_outcome_t next_of_chars(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    (void)vm;
    const rl_string_t* s = (const rl_string_t*)iter->source;
    size_t at = (size_t)iter->position;
    if (at >= s->length) {
        *out_ended = true;
        return RL_DONE;
    }
    out_element->u = rl_utf8_next_valid(s->data, &at);
    iter->position = at;
    return RL_DONE;
}
static const rl_iter_class_t walk_of_chars = {"chars", next_of_chars};

/* --- a function: called by emitted code, never from here --------------------------------------------------------- */

static rl_outcome_t next_of_function(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    (void)iter;
    (void)out_element;
    (void)out_ended;
    return rl_vm_raise(vm, RL_CODE_LANGUAGE_ITERATOR_EXPECTED, "this iterator can only be walked by the program");
}
const rl_iter_class_t rl_walk_of_function = {"function", next_of_function};

/* ------------------------------------------------------------------------------------------------------------- */

static rl_iter_t* begin_range(rl_vm_t* vm, const rl_rtype_t* type, rl_object_t* range) {
    rl_iter_t* iter = rl_iter_new(vm, &walk_of_range, type, range, 0);
    if (!iter) return NULL;
    iter->position = rl_object_words(range)[0].u;
    iter->count = rl_range_count(type->args[0], range);
    iter->changes = rl_object_words(range)[3].u;
    return iter;
}

static rl_iter_t* begin_walk(
    rl_vm_t* vm, const rl_iter_class_t* walker, const rl_rtype_t* type, rl_object_t* collection) {
    rl_iter_t* iter = rl_iter_new(vm, walker, type, collection, sizeof(rl_cursor_t));
    if (!iter) return NULL;
    rl_share(collection); /* nobody may now update it in place */
    if (collection->kind == RL_OBJ_TABLE) iter->changes = rl_table_changes(collection);
    rl_cursor_begin(cursor_of(iter), collection);
    return iter;
}

rl_outcome_t rl_iterate_begin(rl_vm_t* vm, const rl_rtype_t* type, rl_object_t* collection, rl_object_t** out_iter) {
    rl_iter_t* iter = NULL;
    switch (collection->kind) {
    case RL_OBJ_ITER: *out_iter = collection; return RL_DONE;
    case RL_OBJ_VEC:
        iter = rl_iter_new(vm, &walk_of_vec, type, collection, 0);
        if (iter) iter->count = ((const rl_vector_t*)collection)->length;
        break;
    case RL_OBJ_LIST: iter = begin_walk(vm, &walk_of_list, type, collection); break;
    case RL_OBJ_MAP:
        iter = begin_walk(vm, type->builtin == RL_BUILTIN_SET ? &walk_of_list : &walk_of_map, type, collection);
        break;
    case RL_OBJ_TABLE: iter = begin_walk(vm, &walk_of_map, type, collection); break;
    case RL_OBJ_RANGE: iter = begin_range(vm, type, collection); break;
    case RL_OBJ_STR: /* what `for c in s.chars()` walks */
        iter = rl_iter_new(vm, &walk_of_chars, type, collection, 0);
        if (iter) rl_share(collection);
        break;
    case RL_OBJ_CELLS:
        if (type->def_kind == RL_DEF_SUM && collection->tag < type->shape_count) {
            iter = rl_iter_new(vm, &walk_of_option, type, collection, 0);
            if (iter) iter->count = type->shapes[collection->tag].field_count == 1;
            break;
        }
        return rl_vm_raise(
            vm, RL_CODE_LANGUAGE_ITERATOR_EXPECTED, "a value of type %.*s cannot be walked", RL_STR_ARG(type->name));
    default:
        return rl_vm_raise(
            vm, RL_CODE_LANGUAGE_ITERATOR_EXPECTED, "a value of type %.*s cannot be walked", RL_STR_ARG(type->name));
    }
    if (!iter) return RL_COLLECT;
    *out_iter = &iter->header;
    return RL_DONE;
}
