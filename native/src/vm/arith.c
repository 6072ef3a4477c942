#include "vm/arith.h"

#include "base/number.h"

#include <math.h>

bool rl_pow_i64(int64_t base, int64_t exponent, int64_t* out) {
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return false;
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base)) return false;
    }
    *out = result;
    return true;
}

bool rl_pow_u64(uint64_t base, uint64_t exponent, uint64_t* out) {
    uint64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return false;
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base)) return false;
    }
    *out = result;
    return true;
}

unsigned rl_integer_bits(unsigned kind) {
    switch (kind) {
    case RL_TYPE_I8:
    case RL_TYPE_U8: return 8;
    case RL_TYPE_I16:
    case RL_TYPE_U16: return 16;
    case RL_TYPE_I32:
    case RL_TYPE_U32: return 32;
    default: return 64;
    }
}

int64_t rl_integer_min(unsigned kind) {
    return kind >= RL_TYPE_I8 && kind <= RL_TYPE_I64 ? (int64_t)((uint64_t)-1 << (rl_integer_bits(kind) - 1)) : 0;
}

uint64_t rl_integer_max(unsigned kind) {
    unsigned bits = rl_integer_bits(kind) - (kind >= RL_TYPE_I8 && kind <= RL_TYPE_I64 ? 1 : 0);
    return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

const char* rl_number_kind_name(unsigned kind) {
    static const char* const names[] = {
        "Bool", "Char", "i8", "i16", "i32", "Int", "u8", "u16", "u32", "u64", "f32", "Float"};
    return kind >= RL_TYPE_BOOL && kind <= RL_TYPE_F64 ? names[kind - RL_TYPE_BOOL] : "value";
}

static bool is_signed(unsigned kind) { return kind >= RL_TYPE_I8 && kind <= RL_TYPE_I64; }
static bool is_integer(unsigned kind) { return kind >= RL_TYPE_I8 && kind <= RL_TYPE_U64; }

static rl_outcome_t int_out_of_range(rl_vm_t* vm, unsigned from, unsigned to, rl_word_t value) {
    if (from == RL_TYPE_U64) {
        return rl_vm_raise(
            vm, RL_CODE_E7101, "%llu does not fit in %s", (unsigned long long)value.u, rl_number_kind_name(to));
    }
    return rl_vm_raise(vm, RL_CODE_E7101, "%lld does not fit in %s", (long long)value.i, rl_number_kind_name(to));
}

static rl_outcome_t float_to_int(rl_vm_t* vm, unsigned to, double value, rl_word_t* out) {
    double whole = trunc(value);
    /* The bounds as doubles: min is exact; max + 1 is a power of two. */
    double low = (double)rl_integer_min(to), past = ldexp(1.0, (int)rl_integer_bits(to) - (is_signed(to) ? 1 : 0));
    if (!(whole >= low && whole < past)) { /* also NaN */
        char text[RL_F64_TEXT];
        size_t length = rl_f64_print(value, text);
        return rl_vm_raise(vm, RL_CODE_E7102, "%.*s does not fit in %s", (int)length, text, rl_number_kind_name(to));
    }
    if (is_signed(to)) out->i = (int64_t)whole;
    else out->u = (uint64_t)whole;
    return RL_DONE;
}

static rl_outcome_t int_to_int(rl_vm_t* vm, unsigned from, unsigned to, rl_word_t value, rl_word_t* out) {
    bool fits;
    if (to == RL_TYPE_U64) fits = !is_signed(from) || value.i >= 0;
    else if (from == RL_TYPE_U64) fits = value.u <= rl_integer_max(to);
    else fits = rl_integer_fits(to, value.i);
    if (!fits) return int_out_of_range(vm, from, to, value);
    *out = value;
    return RL_DONE;
}

rl_outcome_t rl_vm_cast(rl_vm_t* vm, unsigned from, unsigned to, rl_word_t value, rl_word_t* out) {
    bool from_float = from == RL_TYPE_F32 || from == RL_TYPE_F64;
    if (from == RL_TYPE_BOOL || from == RL_TYPE_CHAR) from = RL_TYPE_U32; /* small non-negative numbers */
    switch (to) {
    case RL_TYPE_BOOL: out->i = from_float ? value.f != 0 : value.i != 0; return RL_DONE;
    case RL_TYPE_CHAR:
        if (from_float) break;
        if (value.u > 0x10FFFF || (value.u >= 0xD800 && value.u <= 0xDFFF)) {
            return rl_vm_raise(vm, RL_CODE_E7103, "%lld is not a Unicode scalar value", (long long)value.i);
        }
        *out = value;
        return RL_DONE;
    case RL_TYPE_F32:
        if (from_float) out->f = (double)(float)value.f;
        else out->f = from == RL_TYPE_U64 ? (double)(float)value.u : (double)(float)value.i;
        return RL_DONE;
    case RL_TYPE_F64:
        if (from_float) *out = value;
        else out->f = from == RL_TYPE_U64 ? (double)value.u : (double)value.i;
        return RL_DONE;
    default:
        if (!is_integer(to)) break;
        return from_float ? float_to_int(vm, to, value.f, out) : int_to_int(vm, from, to, value, out);
    }
    return rl_vm_raise(vm, RL_CODE_TYPE_CAST_UNSUPPORTED, "cast from %s to %s is not possible",
        rl_number_kind_name(from), rl_number_kind_name(to));
}
