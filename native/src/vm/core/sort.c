/* Stable merge sort of words: runs of RUN by insertion, then merged bottom up between the words and a scratch copy. */
#include "vm/core/key.h"

enum { RUN = 12 };

static bool compare_i64(rl_word_t a, rl_word_t b) { return a.i > b.i; }
static bool compare_u64(rl_word_t a, rl_word_t b) { return a.u > b.u; }
static bool compare_f64(rl_word_t a, rl_word_t b) { return rl_key_order_f64(a.f, b.f) > 0; }

/* One body for each kind of key; `after` says that its first argument belongs behind its second. */
#define SORT(name, after)                                                                                              \
    static void name(rl_word_t* words, rl_word_t* scratch, size_t count) {                                             \
        for (size_t start = 0; start < count; start += RUN) {                                                          \
            size_t end = count - start < RUN ? count : start + RUN;                                                    \
            for (size_t i = start + 1; i < end; i++) {                                                                 \
                rl_word_t x = words[i];                                                                                \
                size_t j = i;                                                                                          \
                for (; j > start && after(words[j - 1], x); j--) words[j] = words[j - 1];                              \
                words[j] = x;                                                                                          \
            }                                                                                                          \
        }                                                                                                              \
        rl_word_t *from = words, *into = scratch;                                                                      \
        for (size_t run = RUN; run < count; run *= 2) {                                                                \
            for (size_t start = 0; start < count; start += 2 * run) {                                                  \
                size_t middle = count - start < run ? count : start + run;                                             \
                size_t end = count - start < 2 * run ? count : start + 2 * run;                                        \
                size_t a = start, b = middle, at = start;                                                              \
                while (a < middle && b < end) into[at++] = after(from[a], from[b]) ? from[b++] : from[a++];            \
                while (a < middle) into[at++] = from[a++];                                                             \
                while (b < end) into[at++] = from[b++];                                                                \
            }                                                                                                          \
            rl_word_t* other = from;                                                                                   \
            from = into;                                                                                               \
            into = other;                                                                                              \
        }                                                                                                              \
        if (from != words) memcpy(words, from, count * sizeof *words);                                                 \
    }
SORT(sort_i64, compare_i64)
SORT(sort_u64, compare_u64)
SORT(sort_f64, compare_f64)

/* Two neighbouring runs, with a comparison that may fail. */
static rl_outcome_t merge(rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, const rl_word_t* from,
    rl_word_t* into, size_t start, size_t middle, size_t end) {
    size_t a = start, b = middle;
    for (size_t at = start; at < end; at++) {
        int order = a < middle ? -1 : 1;
        if (a < middle && b < end) {
            rl_outcome_t outcome = rl_key_compare(vm, class_of, type, from[a], from[b], &order);
            if (outcome != RL_DONE) return outcome;
        }
        into[at] = order <= 0 ? from[a++] : from[b++];
    }
    return RL_DONE;
}

static rl_outcome_t sort_general(
    rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, rl_word_t* words, rl_word_t* scratch, size_t count) {
    rl_word_t *from = words, *into = scratch;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t start = 0; start < count; start += 2 * run) {
            size_t middle = count - start < run ? count : start + run;
            size_t end = count - start < 2 * run ? count : start + 2 * run;
            if (!rl_vm_charge(vm, end - start)) return RL_RAISE;
            rl_outcome_t outcome = merge(vm, class_of, type, from, into, start, middle, end);
            if (outcome != RL_DONE) return outcome;
        }
        rl_word_t* other = from;
        from = into;
        into = other;
    }
    if (from != words) memcpy(words, from, count * sizeof *words);
    return RL_DONE;
}

rl_outcome_t rl_sort_words(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t* words, size_t count) {
    if (count < 2 || rl_element_size((rl_element_t)type->element) == 0) return RL_DONE;
    uint64_t levels = 1;
    for (size_t n = count; n > 1; n /= 2) levels++;
    if (!rl_vm_charge(vm, count * levels / 4)) return RL_RAISE;
    rl_word_t* scratch = rl_alloc(vm->allocator, count * sizeof *scratch);
    if (!scratch) return RL_COLLECT;
    rl_key_class_t class_of = rl_key_class_of(type);
    rl_outcome_t outcome = RL_DONE;
    switch (class_of) {
    case RL_KEY_I64: sort_i64(words, scratch, count); break;
    case RL_KEY_U64: sort_u64(words, scratch, count); break;
    case RL_KEY_F64: sort_f64(words, scratch, count); break;
    default: outcome = sort_general(vm, class_of, type, words, scratch, count);
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
