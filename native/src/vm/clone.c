#include "vm/clone.h"

#include "vm/foreign.h"
#include "vm/string.h"

void rl_cloner_init(rl_cloner_t* cloner, rl_vm_t* vm) { *cloner = (rl_cloner_t){.vm = vm}; }

void rl_cloner_deinit(rl_cloner_t* cloner) {
    rl_map_deinit(cloner->vm->allocator, &cloner->seen);
    rl_vec_deinit(cloner->vm->allocator, &cloner->pairs);
}

/* Why objects of a kind stay where they are. */
static const char* const staying[RL_OBJ_KIND_COUNT] = {
    [RL_OBJ_ITER] = "an iterator",
    [RL_OBJ_FIBER] = "a continuation",
    [RL_OBJ_FUTURE] = "a future",
    [RL_OBJ_TASK] = "a task",
};

/* Constants of the library are those of every heap; those of a program are its own. */
static bool is_everywhere(const rl_object_t* object) {
    return (object->flags & RL_OBJ_STATIC) && object->kind != RL_OBJ_STR && object->kind != RL_OBJ_BYTES &&
           object->kind != RL_OBJ_CLOSURE;
}

/* An object for the copy, still empty: strings are whole at once. */
static rl_object_t* make(rl_cloner_t* cloner, const rl_object_t* object) {
    rl_object_t* copy;
    if (object->kind == RL_OBJ_STR || object->kind == RL_OBJ_BYTES) {
        copy = rl_string_new(cloner->vm, rl_string_str(object), object->kind);
        if (copy) copy->tag |= object->tag & (RL_STR_NFC | RL_STR_NOT_NFC);
    } else {
        unsigned tag = object->kind == RL_OBJ_HOST ? RL_HOST_PLAIN : object->tag;
        copy = rl_heap_new(&cloner->vm->heap, object->kind, tag, object->refs, object->words);
    }
    if (copy) copy->flags |= object->flags & RL_OBJ_SHARED;
    return copy;
}

static bool follow(rl_object_t** reference, void* user) {
    rl_cloner_t* cloner = user;
    rl_allocator_t* allocator = cloner->vm->allocator;
    rl_object_t* object = *reference;
    uint32_t found;
    if (!object || is_everywhere(object)) return true;
    if (rl_map_get(&cloner->seen, (uint64_t)(uintptr_t)object, &found)) {
        *reference = cloner->pairs.data[found].copy;
        return true;
    }
    if (staying[object->kind] || object->words == UINT16_MAX) {
        cloner->stays = staying[object->kind] ? staying[object->kind] : "a value";
        return false;
    }
    if (!rl_vec_reserve(allocator, &cloner->pairs, 1)) return false;
    rl_object_t* copy = make(cloner, object);
    if (!copy || !rl_map_put(allocator, &cloner->seen, (uint64_t)(uintptr_t)object, cloner->pairs.count)) return false;
    cloner->pairs.data[cloner->pairs.count++] = (rl_clone_pair_t){object, copy};
    *reference = copy;
    return true;
}

/* What a host object holds, it holds together with its copy. */
static bool share_host_object(rl_cloner_t* cloner, const rl_object_t* object, rl_object_t* copy) {
    rl_word_t* words = rl_object_words((rl_object_t*)(uintptr_t)object);
    if (object->tag == RL_HOST_FOREIGN) {
        ((rl_foreign_t*)words[0].p)->copies++;
    } else if (words[1].p) {
        rl_host_share_t* share = words[3].p;
        if (!share && !(share = rl_alloc_zero(cloner->vm->allocator, sizeof *share))) return false;
        if (!words[3].p) share->objects = 1;
        share->objects++;
        words[3].p = share;
    }
    memcpy(rl_object_words(copy), words, object->words * sizeof *words);
    copy->tag = object->tag;
    return true;
}

static bool fill(rl_cloner_t* cloner, const rl_object_t* object, rl_object_t* copy) {
    if (object->kind == RL_OBJ_STR || object->kind == RL_OBJ_BYTES) return true;
    if (object->kind == RL_OBJ_HOST) return share_host_object(cloner, object, copy);
    rl_word_t* words = rl_object_words(copy);
    memcpy(words, object + 1, object->words * sizeof *words);
    const rl_kind_row_t* row = &rl_kind_rows[object->kind];
    if (row->clone && !row->clone(&cloner->vm->heap, copy, object, follow, cloner)) return false;
    for (unsigned i = 0; i < object->refs; i++) {
        if (!follow(&words[i].o, cloner)) return false;
    }
    if (object->kind == RL_OBJ_CLOSURE) {
        const rl_proto_t* proto = cloner->proto_of(cloner->user, words[object->refs].p);
        words[object->refs].p = (void*)(uintptr_t)proto;
        if (!proto && !cloner->stays) cloner->stays = "a function";
        return proto != NULL;
    }
    if (object->kind == RL_OBJ_ANY) {
        const rl_rtype_t* type = cloner->type_of(cloner->user, words[1].p);
        words[1].p = (void*)(uintptr_t)type;
        if (!type && !cloner->stays) cloner->stays = "a value of a changed type";
        return type != NULL;
    }
    return true;
}

static bool fill_all(rl_cloner_t* cloner) {
    for (; cloner->done < cloner->pairs.count; cloner->done++) {
        rl_clone_pair_t pair = cloner->pairs.data[cloner->done];
        if (!fill(cloner, pair.object, pair.copy)) return false;
    }
    return true;
}

bool rl_clone(rl_cloner_t* cloner, rl_object_t* object, rl_object_t** out_copy) {
    uint32_t known = cloner->done;
    cloner->stays = NULL;
    *out_copy = object;
    if (follow(out_copy, cloner) && fill_all(cloner)) return true;
    /* What was begun is garbage. */
    while (cloner->pairs.count > known)
        (void)rl_map_remove(&cloner->seen, (uint64_t)(uintptr_t)rl_vec_pop(&cloner->pairs).object);
    cloner->done = known;
    *out_copy = NULL;
    return false;
}
