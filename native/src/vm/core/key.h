/* Keys and elements by their static type: the order of sorting, Map and Set with short ways for the common kinds. */
#ifndef RL_CORE_KEY_H
#define RL_CORE_KEY_H

#include "vm/string.h"
#include "vm/vm.h"

typedef enum rl_key_class { RL_KEY_I64, RL_KEY_U64, RL_KEY_F64, RL_KEY_STR, RL_KEY_OTHER } rl_key_class_t;

static inline rl_key_class_t rl_key_class_of(const rl_rtype_t* type) {
    while (type->kind == RL_TYPE_NAMED && type->def_kind == RL_DEF_NEWTYPE) type = type->payload;
    switch (type->kind) {
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64:
    case RL_TYPE_DURATION:
    case RL_TYPE_TIMESTAMP: return RL_KEY_I64;
    case RL_TYPE_U8:
    case RL_TYPE_U16:
    case RL_TYPE_U32:
    case RL_TYPE_U64:
    case RL_TYPE_BOOL:
    case RL_TYPE_CHAR: return RL_KEY_U64;
    case RL_TYPE_F32:
    case RL_TYPE_F64: return RL_KEY_F64;
    case RL_TYPE_STR:
    case RL_TYPE_BYTES: return RL_KEY_STR;
    default: return type->is_enum ? RL_KEY_U64 : RL_KEY_OTHER;
    }
}

static inline int rl_key_order_f64(double a, double b) {
    if (a < b) return -1;
    if (a > b) return 1;
    if (a == b) return 0;
    return (a != a) - (b != b); /* NaN last */
}

static inline rl_outcome_t rl_key_compare(
    rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, rl_word_t a, rl_word_t b, int* out) {
    switch (class_of) {
    case RL_KEY_I64: *out = (a.i > b.i) - (a.i < b.i); return RL_DONE;
    case RL_KEY_U64: *out = (a.u > b.u) - (a.u < b.u); return RL_DONE;
    case RL_KEY_F64: *out = rl_key_order_f64(a.f, b.f); return RL_DONE;
    case RL_KEY_STR: return rl_string_relate(vm, a.o, b.o, out);
    default: return rl_value_compare(vm, type, a, b, out);
    }
}

/* Stable. On anything but RL_DONE the words are in some order. Charges. */
rl_outcome_t rl_sort_words(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t* words, uint32_t count);

/* The places of `keys` in the order of the keys, stable: keys[order[0]] is the least. Charges. */
rl_outcome_t rl_sort_order(rl_vm_t* vm, const rl_rtype_t* type, const rl_word_t* keys, uint32_t count, uint32_t* order);

/* runtime.map.missing_key, naming short keys. */
rl_outcome_t rl_key_missing(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t key);

#endif
