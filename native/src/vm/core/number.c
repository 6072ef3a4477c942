/* Numbers, Char, Duration, clocks: rows of basic.def that work on scalars. They go by static types, at their own
   width. */
#include "base/number.h"

#include "base/os.h"
#include "base/unicode.h"
#include "vm/arith.h"
#include "vm/core/basic.h"

#include <math.h>

#define ARGS rl_vm_t *vm, const rl_word_t *args, rl_word_t *result, const rl_builtin_site_t *site
#define UNUSED                                                                                                         \
    do {                                                                                                               \
        (void)vm;                                                                                                      \
        (void)site;                                                                                                    \
    } while (0)

static unsigned kind_of(const rl_builtin_site_t* site) { return site->arg_types[0]->kind; }
static bool is_float(unsigned kind) { return kind == RL_TYPE_F32 || kind == RL_TYPE_F64; }
static bool is_signed(unsigned kind) { return kind >= RL_TYPE_I8 && kind <= RL_TYPE_I64; }

static rl_outcome_t overflow(rl_vm_t* vm, const char* what) {
    return rl_vm_raise(vm, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `%s`", what);
}

/* --- any number ---------------------------------------------------------------------------------------------- */

static bool less(unsigned kind, rl_word_t a, rl_word_t b) {
    if (is_float(kind)) return a.f < b.f;
    return is_signed(kind) || kind < RL_TYPE_I8 ? a.i < b.i : a.u < b.u;
}

rl_outcome_t rl_num_min(ARGS) {
    (void)vm;
    unsigned kind = kind_of(site);
    bool first = is_float(kind) && args[0].f != args[0].f;
    bool second = is_float(kind) && args[1].f != args[1].f;
    *result = first ? args[0] : second || less(kind, args[1], args[0]) ? args[1] : args[0];
    return RL_DONE;
}

rl_outcome_t rl_num_max(ARGS) {
    (void)vm;
    unsigned kind = kind_of(site);
    bool first = is_float(kind) && args[0].f != args[0].f;
    bool second = is_float(kind) && args[1].f != args[1].f;
    *result = first ? args[0] : second || less(kind, args[0], args[1]) ? args[1] : args[0];
    return RL_DONE;
}

rl_outcome_t rl_num_abs(ARGS) {
    unsigned kind = kind_of(site);
    *result = args[0];
    if (is_float(kind)) {
        result->f = fabs(args[0].f);
    } else if (is_signed(kind) && args[0].i < 0) {
        if (args[0].i == rl_integer_min(kind)) return overflow(vm, "abs");
        result->i = -args[0].i;
    }
    return RL_DONE;
}

rl_outcome_t rl_num_signum(ARGS) {
    (void)vm;
    unsigned kind = kind_of(site);
    if (is_float(kind)) {
        double x = args[0].f;
        result->f = x > 0 ? 1.0 : x < 0 ? -1.0 : x; /* zeros and NaN stay */
    } else {
        result->i = args[0].i == 0 ? 0 : is_signed(kind) && args[0].i < 0 ? -1 : 1;
    }
    return RL_DONE;
}

rl_outcome_t rl_num_clamp(ARGS) {
    (void)vm;
    unsigned kind = kind_of(site);
    for (unsigned i = 0; i < 3 && is_float(kind); i++) {
        if (args[i].f != args[i].f) {
            *result = args[i];
            return RL_DONE;
        }
    }
    rl_word_t value = less(kind, args[0], args[1]) ? args[1] : args[0];
    *result = less(kind, args[2], value) ? args[2] : value;
    return RL_DONE;
}

rl_outcome_t rl_num_pow(ARGS) {
    unsigned kind = kind_of(site);
    if (is_float(kind)) {
        result->f = pow(args[0].f, args[1].f);
        if (args[0].f != args[0].f || args[1].f != args[1].f)
            result->f = NAN; /* libm knows 1 ^ NaN = 1; a NaN operand gives NaN */
        if (kind == RL_TYPE_F32) result->f = (double)(float)result->f;
        return RL_DONE;
    }
    unsigned exponent_kind = site->arg_types[1]->kind;
    if (is_signed(exponent_kind) && args[1].i < 0)
        return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_ARITH_NEGATIVE_EXPONENT);
    if (is_signed(kind)) {
        int64_t power;
        if (!rl_pow_i64(args[0].i, args[1].i, &power) || !rl_integer_fits(kind, power)) return overflow(vm, "pow");
        result->i = power;
    } else {
        uint64_t power;
        if (!rl_pow_u64(args[0].u, args[1].u, &power) || power > rl_integer_max(kind)) return overflow(vm, "pow");
        result->u = power;
    }
    return RL_DONE;
}

rl_outcome_t rl_num_cast(ARGS) { return rl_vm_cast(vm, kind_of(site), site->result_type->kind, args[0], result); }
rl_outcome_t rl_num_cast_to_float(ARGS) { return rl_num_cast(vm, args, result, site); }
rl_outcome_t rl_num_cast_from_float(ARGS) { return rl_num_cast(vm, args, result, site); }
rl_outcome_t rl_num_cast_to_int(ARGS) { return rl_num_cast(vm, args, result, site); }

/* --- text to number ------------------------------------------------------------------------------------------ */

/* Copy the digits without `_`; false unless each `_` stands between two digits. */
static bool strip(rl_str_t text, char* out, size_t* out_length) {
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '_') {
            bool between = i > 0 && i + 1 < text.length && text.data[i - 1] >= '0' && text.data[i - 1] <= '9' &&
                           text.data[i + 1] >= '0' && text.data[i + 1] <= '9';
            if (!between) return false;
            continue;
        }
        out[length++] = c;
    }
    *out_length = length;
    return true;
}

bool rl_parse_integer(rl_str_t text, unsigned kind, int64_t* out) {
    bool negative = text.length > 0 && text.data[0] == '-';
    if (text.length > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        text.data++;
        text.length--;
    }
    if (text.length == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == '_') {
            bool between = i > 0 && i + 1 < text.length && text.data[i - 1] != '_' && text.data[i + 1] != '_';
            if (!between) return false;
            continue;
        }
        if (c < '0' || c > '9') return false;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return false;
    }
    uint64_t most = rl_integer_max(kind);
    if (negative) {
        uint64_t least = is_signed(kind) ? most + 1 : 0;
        if (value > least) return false;
        *out = (int64_t)(0 - value);
        return true;
    }
    *out = (int64_t)value;
    return value <= most;
}

bool rl_parse_float(rl_vm_t* vm, rl_str_t text, double* out, bool* out_of_memory) {
    *out_of_memory = false;
    bool negative = text.length > 0 && text.data[0] == '-';
    if (text.length > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        text.data++;
        text.length--;
    }
    if (rl_str_equal(text, RL_STR("inf")) || rl_str_equal(text, RL_STR("NaN"))) {
        *out = text.data[0] == 'i' ? (negative ? -INFINITY : INFINITY) : NAN;
        return true;
    }
    char few[64];
    char* digits = text.length <= sizeof few ? few : rl_alloc(vm->allocator, text.length);
    if (!digits) {
        *out_of_memory = true;
        return false;
    }
    size_t length = 0, at = 0;
    bool ok = strip(text, digits, &length);
    size_t start = at;
    while (at < length && digits[at] >= '0' && digits[at] <= '9') at++;
    ok = ok && at > start;
    if (ok && at < length && digits[at] == '.') {
        start = ++at;
        while (at < length && digits[at] >= '0' && digits[at] <= '9') at++;
        ok = at > start;
    }
    if (ok && at < length && (digits[at] == 'e' || digits[at] == 'E')) {
        at++;
        if (at < length && (digits[at] == '+' || digits[at] == '-')) at++;
        start = at;
        while (at < length && digits[at] >= '0' && digits[at] <= '9') at++;
        ok = at > start;
    }
    ok = ok && at == length;
    if (ok) *out = rl_f64_parse((rl_str_t){digits, length});
    if (ok && negative) *out = -*out;
    if (digits != few) rl_free(vm->allocator, digits, text.length);
    return ok;
}

static const rl_rtype_t* payload_of(const rl_rtype_t* option) {
    const rl_rshape_t* some = rl_shape_named(option, RL_STR("Some"));
    return some ? some->fields[0].type : option->args[0];
}

rl_outcome_t rl_int_parse(ARGS) {
    rl_str_t text = rl_string_str(args[0].o);
    if (!rl_vm_charge(vm, 1 + text.length / 16)) return RL_RAISE;
    rl_word_t value;
    if (rl_parse_integer(text, payload_of(site->result_type)->kind, &value.i))
        return rl_make_some(vm, site->result_type, value, result);
    rl_make_none(site->result_type, result);
    return RL_DONE;
}

rl_outcome_t rl_float_parse(ARGS) {
    rl_str_t text = rl_string_str(args[0].o);
    if (!rl_vm_charge(vm, 1 + text.length / 16)) return RL_RAISE;
    rl_word_t value;
    bool out_of_memory;
    if (rl_parse_float(vm, text, &value.f, &out_of_memory)) {
        if (payload_of(site->result_type)->kind == RL_TYPE_F32) value.f = (double)(float)value.f;
        return rl_make_some(vm, site->result_type, value, result);
    }
    if (out_of_memory) return RL_COLLECT;
    rl_make_none(site->result_type, result);
    return RL_DONE;
}

/* --- integers that do not trap ------------------------------------------------------------------------------- */

__extension__ typedef __int128 wide_t;
typedef enum arith { ADD, SUB, MUL, DIV } arith_t;

/* The exact result in 128 bits (`fits`: it is one of the type), for every width and both signs. */
static bool compute(arith_t op, unsigned kind, rl_word_t a, rl_word_t b, wide_t* exact) {
    wide_t x = is_signed(kind) ? (wide_t)a.i : (wide_t)a.u;
    wide_t y = is_signed(kind) ? (wide_t)b.i : (wide_t)b.u;
    switch (op) {
    case ADD: *exact = x + y; break;
    case SUB: *exact = x - y; break;
    case MUL:
        if (__builtin_mul_overflow(x, y, exact)) { /* two large u64 */
            *exact = ((wide_t)1 << 126);
            return false;
        }
        break;
    case DIV:
        if (y == 0) return false;
        *exact = x / y;
        break;
    }
    return *exact >= (wide_t)rl_integer_min(kind) && *exact <= (wide_t)rl_integer_max(kind);
}

static rl_outcome_t checked(ARGS, arith_t op) {
    wide_t exact = 0;
    if (!compute(op, kind_of(site), args[0], args[1], &exact)) {
        rl_make_none(site->result_type, result);
        return RL_DONE;
    }
    rl_word_t value = {.u = (uint64_t)exact};
    return rl_make_some(vm, site->result_type, value, result);
}
rl_outcome_t rl_int_checked_add(ARGS) { return checked(vm, args, result, site, ADD); }
rl_outcome_t rl_int_checked_sub(ARGS) { return checked(vm, args, result, site, SUB); }
rl_outcome_t rl_int_checked_mul(ARGS) { return checked(vm, args, result, site, MUL); }
rl_outcome_t rl_int_checked_div(ARGS) { return checked(vm, args, result, site, DIV); }

/* The low bits as a value of the type: sign- or zero-extended. */
static uint64_t wrapped(unsigned kind, uint64_t value) {
    unsigned spare = 64 - rl_integer_bits(kind);
    if (spare == 0) return value;
    return is_signed(kind) ? (uint64_t)((int64_t)(value << spare) >> spare) : value << spare >> spare;
}

rl_outcome_t rl_int_wrapping_add(ARGS) {
    (void)vm;
    result->u = wrapped(kind_of(site), args[0].u + args[1].u);
    return RL_DONE;
}
rl_outcome_t rl_int_wrapping_sub(ARGS) {
    (void)vm;
    result->u = wrapped(kind_of(site), args[0].u - args[1].u);
    return RL_DONE;
}
rl_outcome_t rl_int_wrapping_mul(ARGS) {
    (void)vm;
    result->u = wrapped(kind_of(site), args[0].u * args[1].u);
    return RL_DONE;
}

static rl_outcome_t saturating(ARGS, arith_t op) {
    (void)vm;
    unsigned kind = kind_of(site);
    wide_t exact = 0;
    if (compute(op, kind, args[0], args[1], &exact)) result->u = (uint64_t)exact;
    else if (exact < 0) result->i = rl_integer_min(kind);
    else result->u = rl_integer_max(kind);
    return RL_DONE;
}
rl_outcome_t rl_int_saturating_add(ARGS) { return saturating(vm, args, result, site, ADD); }
rl_outcome_t rl_int_saturating_sub(ARGS) { return saturating(vm, args, result, site, SUB); }
rl_outcome_t rl_int_saturating_mul(ARGS) { return saturating(vm, args, result, site, MUL); }

rl_outcome_t rl_int_band(ARGS) {
    UNUSED;
    result->u = args[0].u & args[1].u;
    return RL_DONE;
}
rl_outcome_t rl_int_bor(ARGS) {
    UNUSED;
    result->u = args[0].u | args[1].u;
    return RL_DONE;
}
rl_outcome_t rl_int_bxor(ARGS) {
    UNUSED;
    result->u = args[0].u ^ args[1].u;
    return RL_DONE;
}
rl_outcome_t rl_int_bnot(ARGS) {
    (void)vm;
    result->u = wrapped(kind_of(site), ~args[0].u);
    return RL_DONE;
}

static rl_outcome_t check_shift(rl_vm_t* vm, unsigned kind, int64_t count) {
    if (count >= 0 && count < (int64_t)rl_integer_bits(kind)) return RL_DONE;
    return rl_vm_raise(vm, RL_CODE_RUNTIME_ARITH_OVERFLOW, "shift by %lld is not between 0 and %u", (long long)count,
        rl_integer_bits(kind) - 1);
}
rl_outcome_t rl_int_shl(ARGS) {
    unsigned kind = kind_of(site);
    if (check_shift(vm, kind, args[1].i) != RL_DONE) return RL_RAISE;
    result->u = wrapped(kind, args[0].u << args[1].u);
    return RL_DONE;
}
rl_outcome_t rl_int_shr(ARGS) {
    unsigned kind = kind_of(site);
    if (check_shift(vm, kind, args[1].i) != RL_DONE) return RL_RAISE;
    if (is_signed(kind)) result->i = args[0].i >> args[1].u;
    else result->u = args[0].u >> args[1].u;
    return RL_DONE;
}
rl_outcome_t rl_int_count_ones(ARGS) {
    (void)vm;
    unsigned kind = kind_of(site);
    uint64_t mask = rl_integer_bits(kind) == 64 ? UINT64_MAX : ((uint64_t)1 << rl_integer_bits(kind)) - 1;
    result->i = __builtin_popcountll(args[0].u & mask);
    return RL_DONE;
}

rl_outcome_t rl_int_leading_zeros(ARGS) {
    (void)vm;
    unsigned bits = rl_integer_bits(kind_of(site));
    uint64_t mask = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1, value = args[0].u & mask;
    result->i = value ? (int64_t)__builtin_clzll(value) - (64 - (int64_t)bits) : (int64_t)bits;
    return RL_DONE;
}
rl_outcome_t rl_int_trailing_zeros(ARGS) {
    (void)vm;
    unsigned bits = rl_integer_bits(kind_of(site));
    uint64_t mask = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1, value = args[0].u & mask;
    result->i = value ? (int64_t)__builtin_ctzll(value) : (int64_t)bits;
    return RL_DONE;
}

/* --- floats -------------------------------------------------------------------------------------------------- */

#define FLOAT_FUNCTION(name, expression)                                                                               \
    rl_outcome_t name(ARGS) {                                                                                          \
        (void)vm;                                                                                                      \
        double x = args[0].f;                                                                                          \
        result->f = (expression);                                                                                      \
        if (kind_of(site) == RL_TYPE_F32) result->f = (double)(float)result->f;                                        \
        return RL_DONE;                                                                                                \
    }
FLOAT_FUNCTION(rl_float_sqrt, sqrt(x))
FLOAT_FUNCTION(rl_float_floor, floor(x))
FLOAT_FUNCTION(rl_float_ceil, ceil(x))
FLOAT_FUNCTION(rl_float_round, round(x))
FLOAT_FUNCTION(rl_float_trunc, trunc(x))
FLOAT_FUNCTION(rl_float_exp, exp(x))
FLOAT_FUNCTION(rl_float_ln, log(x))
FLOAT_FUNCTION(rl_float_log10, log10(x))
FLOAT_FUNCTION(rl_float_sin, sin(x))
FLOAT_FUNCTION(rl_float_cos, cos(x))
FLOAT_FUNCTION(rl_float_tan, tan(x))
FLOAT_FUNCTION(rl_float_asin, asin(x))
FLOAT_FUNCTION(rl_float_acos, acos(x))
FLOAT_FUNCTION(rl_float_atan, atan(x))
FLOAT_FUNCTION(rl_float_atan2, atan2(x, args[1].f))

rl_outcome_t rl_float_is_nan(ARGS) {
    UNUSED;
    result->i = args[0].f != args[0].f;
    return RL_DONE;
}
rl_outcome_t rl_float_is_infinite(ARGS) {
    UNUSED;
    result->i = args[0].f == INFINITY || args[0].f == -INFINITY;
    return RL_DONE;
}

/* IEEE totalOrder: -NaN < -inf < … < -0 < 0 < … < inf < NaN. */
rl_outcome_t rl_float_total_cmp(ARGS) {
    UNUSED;
    int64_t a = args[0].i, b = args[1].i;
    if (a < 0) a = (int64_t)((uint64_t)a ^ (uint64_t)INT64_MAX);
    if (b < 0) b = (int64_t)((uint64_t)b ^ (uint64_t)INT64_MAX);
    result->i = (a > b) - (a < b);
    return RL_DONE;
}

/* --- Char ---------------------------------------------------------------------------------------------------- */

#define CHAR_FUNCTION(name, expression)                                                                                \
    rl_outcome_t name(ARGS) {                                                                                          \
        UNUSED;                                                                                                        \
        uint32_t c = (uint32_t)args[0].u;                                                                              \
        result->i = (expression);                                                                                      \
        return RL_DONE;                                                                                                \
    }
CHAR_FUNCTION(rl_char_is_digit, c >= '0' && c <= '9')
CHAR_FUNCTION(rl_char_is_alphabetic, rl_unicode_is_alphabetic(c))
CHAR_FUNCTION(rl_char_is_alphanumeric, rl_unicode_is_alphabetic(c) || rl_unicode_is_numeric(c))
CHAR_FUNCTION(rl_char_is_numeric, rl_unicode_is_numeric(c))
CHAR_FUNCTION(rl_char_is_whitespace, rl_unicode_is_white_space(c))
CHAR_FUNCTION(rl_char_is_upper, rl_unicode_is_upper(c))
CHAR_FUNCTION(rl_char_is_lower, rl_unicode_is_lower(c))
CHAR_FUNCTION(rl_char_is_control, c < 0x20 || (c >= 0x7F && c < 0xA0))
CHAR_FUNCTION(rl_char_is_punctuation, rl_unicode_is_punctuation(c))
CHAR_FUNCTION(rl_char_is_xid_start, rl_unicode_is_xid_start(c))
CHAR_FUNCTION(rl_char_is_xid_continue, rl_unicode_is_xid_continue(c))
CHAR_FUNCTION(rl_char_is_scalar, c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF))
CHAR_FUNCTION(rl_char_to_upper, rl_unicode_to_upper(c))
CHAR_FUNCTION(rl_char_to_lower, rl_unicode_to_lower(c))

rl_outcome_t rl_char_digit_value(ARGS) {
    UNUSED;
    uint32_t c = (uint32_t)args[0].u;
    int64_t value = c >= '0' && c <= '9'   ? (int64_t)c - '0'
                    : c >= 'a' && c <= 'z' ? (int64_t)c - 'a' + 10
                    : c >= 'A' && c <= 'Z' ? (int64_t)c - 'A' + 10
                                           : -1;
    result->i = value < args[1].i ? value : -1;
    return RL_DONE;
}

/* --- Duration, clocks ---------------------------------------------------------------------------------------- */

rl_outcome_t rl_duration_of_int(ARGS) {
    (void)site;
    if (__builtin_mul_overflow(args[0].i, args[1].i, &result->i))
        return rl_vm_raise(vm, RL_CODE_RUNTIME_ARITH_OVERFLOW, "duration overflow");
    return RL_DONE;
}

rl_outcome_t rl_duration_of_float(ARGS) {
    (void)site;
    double ns = nearbyint(args[0].f * (double)args[1].i);
    if (!(ns >= -0x1p63 && ns < 0x1p63)) return rl_vm_raise(vm, RL_CODE_RUNTIME_ARITH_OVERFLOW, "duration overflow");
    result->i = (int64_t)ns;
    return RL_DONE;
}

rl_outcome_t rl_duration_in(ARGS) {
    (void)site;
    if (args[1].i <= 0) return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_ARITH_DIV_ZERO);
    result->i = args[0].i / args[1].i;
    return RL_DONE;
}

rl_outcome_t rl_duration_as_secs_f64(ARGS) {
    UNUSED;
    result->f = (double)args[0].i / 1e9;
    return RL_DONE;
}

rl_outcome_t rl_time_now(ARGS) {
    UNUSED;
    (void)args;
    if (vm->wall_clock) result->u = vm->wall_clock(vm->host);
    else result->i = rl_os_wall_ns();
    return RL_DONE;
}
rl_outcome_t rl_time_monotonic_now(ARGS) {
    UNUSED;
    (void)args;
    result->u = vm->clock ? vm->clock(vm->host) : rl_os_monotonic_ns();
    return RL_DONE;
}
rl_outcome_t rl_timestamp_nanos(ARGS) {
    UNUSED;
    *result = args[0];
    return RL_DONE;
}
