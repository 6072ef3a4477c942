/* Stable merge sort of words: runs of RUN by insertion, then merged bottom up between the words and a scratch copy. */
#include "vm/core/key.h"

enum { RUN = 12, LEVELS_OF_RUN = 4 };

typedef struct keyed {
    rl_word_t key;
    uint32_t at;
} keyed_t;

#define AFTER_I64(a, b) ((a).i > (b).i)
#define AFTER_U64(a, b) ((a).u > (b).u)
#define AFTER_F64(a, b) (rl_key_order_f64((a).f, (b).f) > 0)
#define ITSELF(x)       (x)
#define KEY(x)          ((x).key)

/* One body for each kind of key, of elements that are their keys and of those that carry one. `after` says that its first argument
 * belongs behind its second. Charged level by level, so that a long sort can be stopped and is seen by a profile; false: it was stopped. */
#define SORT(name, element, key_of, after)                                                                             \
    static bool name(rl_vm_t* vm, element* items, element* scratch, size_t count) {                                    \
        for (size_t start = 0; start < count; start += RUN) {                                                          \
            size_t end = count - start < RUN ? count : start + RUN;                                                    \
            for (size_t i = start + 1; i < end; i++) {                                                                 \
                element x = items[i];                                                                                  \
                size_t j = i;                                                                                          \
                for (; j > start && after(key_of(items[j - 1]), key_of(x)); j--) items[j] = items[j - 1];              \
                items[j] = x;                                                                                          \
            }                                                                                                          \
        }                                                                                                              \
        bool goes_on = rl_vm_charge(vm, count * LEVELS_OF_RUN / 4);                                                    \
        element *from = items, *into = scratch;                                                                        \
        for (size_t run = RUN; goes_on && run < count; run *= 2) {                                                     \
            for (size_t start = 0; start < count; start += 2 * run) {                                                  \
                size_t middle = count - start < run ? count : start + run;                                             \
                size_t end = count - start < 2 * run ? count : start + 2 * run;                                        \
                size_t a = start, b = middle, at = start;                                                              \
                while (a < middle && b < end)                                                                          \
                    into[at++] = after(key_of(from[a]), key_of(from[b])) ? from[b++] : from[a++];                      \
                while (a < middle) into[at++] = from[a++];                                                             \
                while (b < end) into[at++] = from[b++];                                                                \
            }                                                                                                          \
            element* other = from;                                                                                     \
            from = into;                                                                                               \
            into = other;                                                                                              \
            goes_on = rl_vm_charge(vm, 1 + count / 4);                                                                 \
        }                                                                                                              \
        if (from != items) memcpy(items, from, count * sizeof *items);                                                 \
        return goes_on;                                                                                                \
    }
SORT(sort_i64, rl_word_t, ITSELF, AFTER_I64)
SORT(sort_u64, rl_word_t, ITSELF, AFTER_U64)
SORT(sort_f64, rl_word_t, ITSELF, AFTER_F64)
SORT(order_i64, keyed_t, KEY, AFTER_I64)
SORT(order_u64, keyed_t, KEY, AFTER_U64)
SORT(order_f64, keyed_t, KEY, AFTER_F64)

/* Two neighbouring runs of places, by keys whose comparison may fail. */
static rl_outcome_t merge(rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, const rl_word_t* keys,
    const uint32_t* from, uint32_t* into, size_t start, size_t middle, size_t end) {
    size_t a = start, b = middle;
    for (size_t at = start; at < end; at++) {
        int order = a < middle ? -1 : 1;
        if (a < middle && b < end) {
            rl_outcome_t outcome = rl_key_compare(vm, class_of, type, keys[from[a]], keys[from[b]], &order);
            if (outcome != RL_DONE) return outcome;
        }
        into[at] = order <= 0 ? from[a++] : from[b++];
    }
    return RL_DONE;
}

static rl_outcome_t order_general(rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, const rl_word_t* keys,
    uint32_t* order, uint32_t* scratch, size_t count) {
    uint32_t *from = order, *into = scratch;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t start = 0; start < count; start += 2 * run) {
            size_t middle = count - start < run ? count : start + run;
            size_t end = count - start < 2 * run ? count : start + 2 * run;
            if (!rl_vm_charge(vm, end - start)) return RL_RAISE;
            rl_outcome_t outcome = merge(vm, class_of, type, keys, from, into, start, middle, end);
            if (outcome != RL_DONE) return outcome;
        }
        uint32_t* other = from;
        from = into;
        into = other;
    }
    if (from != order) memcpy(order, from, count * sizeof *order);
    return RL_DONE;
}

static bool is_scalar(rl_key_class_t class_of) {
    return class_of == RL_KEY_I64 || class_of == RL_KEY_U64 || class_of == RL_KEY_F64;
}

static rl_outcome_t order_scalars(
    rl_vm_t* vm, rl_key_class_t class_of, const rl_word_t* keys, uint32_t count, uint32_t* order) {
    const size_t bytes = 2 * (size_t)count * sizeof(keyed_t);
    keyed_t* items = rl_alloc(vm->allocator, bytes);
    if (!items) return RL_COLLECT;
    for (uint32_t i = 0; i < count; i++) items[i] = (keyed_t){keys[i], i};
    bool sorted = true;
    switch (class_of) {
    case RL_KEY_I64: sorted = order_i64(vm, items, items + count, count); break;
    case RL_KEY_U64: sorted = order_u64(vm, items, items + count, count); break;
    default: sorted = order_f64(vm, items, items + count, count);
    }
    for (uint32_t i = 0; i < count; i++) order[i] = items[i].at;
    rl_free(vm->allocator, items, bytes);
    return sorted ? RL_DONE : RL_RAISE;
}

rl_outcome_t rl_sort_order(
    rl_vm_t* vm, const rl_rtype_t* type, const rl_word_t* keys, uint32_t count, uint32_t* order) {
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    if (count < 2 || rl_element_size((rl_element_t)type->element) == 0) return RL_DONE;
    rl_key_class_t class_of = rl_key_class_of(type);
    if (is_scalar(class_of)) return order_scalars(vm, class_of, keys, count, order);
    uint32_t* scratch = rl_alloc(vm->allocator, count * sizeof *scratch);
    if (!scratch) return RL_COLLECT;
    rl_outcome_t outcome = order_general(vm, class_of, type, keys, order, scratch, count);
    rl_free(vm->allocator, scratch, count * sizeof *scratch);
    return outcome;
}

static rl_outcome_t sort_general(
    rl_vm_t* vm, const rl_rtype_t* type, rl_word_t* words, rl_word_t* scratch, uint32_t count) {
    uint32_t* order = rl_alloc(vm->allocator, count * sizeof *order);
    if (!order) return RL_COLLECT;
    rl_outcome_t outcome = rl_sort_order(vm, type, words, count, order);
    if (outcome == RL_DONE) {
        memcpy(scratch, words, count * sizeof *words);
        for (uint32_t i = 0; i < count; i++) words[i] = scratch[order[i]];
    }
    rl_free(vm->allocator, order, count * sizeof *order);
    return outcome;
}

rl_outcome_t rl_sort_words(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t* words, uint32_t count) {
    if (count < 2 || rl_element_size((rl_element_t)type->element) == 0) return RL_DONE;
    rl_key_class_t class_of = rl_key_class_of(type);
    rl_word_t* scratch = rl_alloc(vm->allocator, count * sizeof *scratch);
    if (!scratch) return RL_COLLECT;
    rl_outcome_t outcome;
    switch (class_of) {
    case RL_KEY_I64: outcome = sort_i64(vm, words, scratch, count) ? RL_DONE : RL_RAISE; break;
    case RL_KEY_U64: outcome = sort_u64(vm, words, scratch, count) ? RL_DONE : RL_RAISE; break;
    case RL_KEY_F64: outcome = sort_f64(vm, words, scratch, count) ? RL_DONE : RL_RAISE; break;
    default: outcome = sort_general(vm, type, words, scratch, count);
    }
    rl_free(vm->allocator, scratch, count * sizeof *scratch);
    return outcome;
}

rl_outcome_t rl_key_missing(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t key) {
    switch (type->kind) {
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64: return rl_vm_raise(vm, RL_CODE_RUNTIME_MAP_MISSING_KEY, "key %lld not found", (long long)key.i);
    case RL_TYPE_STR: {
        rl_str_t text = rl_string_str(key.o);
        if (text.length > 80) break;
        return rl_vm_raise(vm, RL_CODE_RUNTIME_MAP_MISSING_KEY, "key \"%.*s\" not found", RL_STR_ARG(text));
    }
    default: break;
    }
    return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_MAP_MISSING_KEY);
}
