/* Slow paths of arithmetic: powers, conversions between numbers, and what they say when they fail. */
#ifndef RL_VM_ARITH_H
#define RL_VM_ARITH_H

#include "vm/vm.h"

/* base ^ exponent in 64 bits; false: overflow (of a non-negative exponent; check that first). */
bool rl_pow_i64(int64_t base, int64_t exponent, int64_t* out);
bool rl_pow_u64(uint64_t base, uint64_t exponent, uint64_t* out);

/* Does the 64-bit word hold a value of this integer kind (RL_TYPE_I8 … RL_TYPE_U64)? */
static inline bool rl_integer_fits(unsigned kind, int64_t value) {
    switch (kind) {
    case RL_TYPE_I8: return value == (int8_t)value;
    case RL_TYPE_I16: return value == (int16_t)value;
    case RL_TYPE_I32: return value == (int32_t)value;
    case RL_TYPE_U8: return value == (uint8_t)value;
    case RL_TYPE_U16: return value == (uint16_t)value;
    case RL_TYPE_U32: return value == (uint32_t)value;
    default: return true;
    }
}
unsigned rl_integer_bits(unsigned kind);
int64_t rl_integer_min(unsigned kind);
uint64_t rl_integer_max(unsigned kind);
const char* rl_number_kind_name(unsigned kind);

/* `e as T` between simple kinds (LANGUAGE 4.5). */
rl_outcome_t rl_vm_cast(rl_vm_t* vm, unsigned from, unsigned to, rl_word_t value, rl_word_t* out);

/* x / 2^power and x % 2^power, 0 < power < 63. Truncation is rounding down after 2^power - 1 was added to what is negative. */
static inline int64_t rl_divide_by_power(int64_t x, unsigned power) {
    return (int64_t)((uint64_t)x + ((uint64_t)(x >> 63) >> (64 - power))) >> power;
}
static inline int64_t rl_rest_of_power(int64_t x, unsigned power) {
    uint64_t bias = (uint64_t)(x >> 63) >> (64 - power);
    return (int64_t)((((uint64_t)x + bias) & (((uint64_t)1 << power) - 1)) - bias);
}

#endif
