#include "base/number.h"

#include <math.h>
#include <stdio.h>

#include "base/pow10_table.inc"

__extension__ typedef unsigned __int128 wide_t;

#define F64_FRACTION_BITS 52
#define F64_BIAS          1075 /* of the significand read as an integer */
#define F64_HIDDEN        (UINT64_C(1) << F64_FRACTION_BITS)
#define F64_INFINITY_BITS (UINT64_C(0x7FF) << F64_FRACTION_BITS)

/* --- integers ---------------------------------------------------------------------------------------- */

size_t rl_u64_print(uint64_t value, char out[24]) {
    char reversed[24];
    size_t length = 0;
    do {
        reversed[length++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < length; i++) out[i] = reversed[length - 1 - i];
    return length;
}

size_t rl_i64_print(int64_t value, char out[24]) {
    if (value >= 0) return rl_u64_print((uint64_t)value, out);
    char digits[24];
    size_t length = rl_u64_print(0 - (uint64_t)value, digits);
    out[0] = '-';
    memcpy(out + 1, digits, length);
    return length + 1;
}

bool rl_u64_parse(rl_str_t digits, unsigned base, uint64_t* out_value) {
    uint64_t value = 0;
    if (digits.length == 0) return false;
    for (size_t i = 0; i < digits.length; i++) {
        char c = digits.data[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 99;
        if (digit >= base || value > (UINT64_MAX - digit) / base) return false;
        value = value * base + digit;
    }
    *out_value = value;
    return true;
}

/* --- printing floats ------------------------------------------------------------------------------------ */

static int32_t floor_log2_pow10(int32_t exponent) { return exponent * 1741647 >> 19; }

/* digits * 10^exponent */
typedef struct decimal {
    uint64_t digits;
    int32_t exponent;
} decimal_t;

static wide_t pow10_bits(int32_t k) {
    const uint64_t* row = pow10_table[k - POW10_LOWEST];
    return (wide_t)row[0] << 64 | row[1];
}

/* floor(g * c / 2^128), with the lowest bit set when the quotient is not exact. */
static uint64_t multiply_round_to_odd(wide_t g, uint64_t c) {
    wide_t low = (wide_t)(uint64_t)g * c;
    wide_t high = (wide_t)(uint64_t)(g >> 64) * c + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/*
 * The shortest decimal that reads back as significand * 2^exponent, the closest one among the shortest:
 * R. Giulietti, "The Schubfach way to render doubles". `lower_is_closer`: the neighbour below is half as far as the
 * one above, as for powers of two.
 */
static decimal_t shortest_decimal(uint64_t significand, int32_t exponent, int fraction_bits, bool lower_is_closer) {
    bool may_be_integer = exponent <= 0 && -exponent <= fraction_bits;
    if (may_be_integer && (significand & ((UINT64_C(1) << -exponent) - 1)) == 0) {
        return (decimal_t){significand >> -exponent, 0};
    }
    bool even = (significand & 1) == 0;
    int32_t k = (exponent * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22; /* floor(log10) of the interval's width */
    int32_t shift = exponent + floor_log2_pow10(-k) + 1;
    bool exact = -k >= 0 && -k <= 55; /* 5^55 < 2^128 */
    wide_t power = pow10_bits(-k) + (exact ? 0 : 1);
    uint64_t middle4 = 4 * significand;
    uint64_t value = multiply_round_to_odd(power, middle4 << shift);
    uint64_t lower = multiply_round_to_odd(power, (middle4 - 2 + lower_is_closer) << shift) + !even;
    uint64_t upper = multiply_round_to_odd(power, (middle4 + 2) << shift) - !even;

    uint64_t s = value / 4;
    if (s >= 10) { /* one digit less, when exactly one such number lies inside */
        uint64_t tens = s / 10;
        bool below_inside = lower <= 40 * tens;
        bool above_inside = 40 * tens + 40 <= upper;
        if (below_inside != above_inside) return (decimal_t){tens + above_inside, k + 1};
    }
    bool below_inside = lower <= 4 * s;
    bool above_inside = 4 * s + 4 <= upper;
    if (below_inside != above_inside) return (decimal_t){s + above_inside, k};
    uint64_t half = 4 * s + 2;
    bool round_up = value > half || (value == half && (s & 1) != 0);
    return (decimal_t){s + round_up, k};
}

/* LANGUAGE 8.2: `1.0`, `0.00001`, `1e-7`, `1.5e16`. */
static size_t print_decimal(decimal_t decimal, char* out) {
    while (decimal.digits % 10 == 0) { /* digits is not 0 */
        decimal.digits /= 10;
        decimal.exponent++;
    }
    char digits[24];
    int32_t count = (int32_t)rl_u64_print(decimal.digits, digits);
    int32_t point = count + decimal.exponent; /* digits before the point */
    char* at = out;
    if (point < -4 || point > 16) {
        *at++ = digits[0];
        if (count > 1) {
            *at++ = '.';
            memcpy(at, digits + 1, (size_t)count - 1);
            at += count - 1;
        }
        *at++ = 'e';
        at += rl_i64_print(point - 1, at);
    } else if (point <= 0) {
        memcpy(at, "0.0000", 6);
        at += 2 - point;
        memcpy(at, digits, (size_t)count);
        at += count;
    } else if (point >= count) {
        memcpy(at, digits, (size_t)count);
        memset(at + count, '0', (size_t)(point - count));
        at += point;
        *at++ = '.';
        *at++ = '0';
    } else {
        memcpy(at, digits, (size_t)point);
        at[point] = '.';
        memcpy(at + point + 1, digits + point, (size_t)(count - point));
        at += count + 1;
    }
    return (size_t)(at - out);
}

static size_t put(char* out, size_t at, const char* word) {
    size_t length = strlen(word);
    memcpy(out + at, word, length);
    return at + length;
}

static size_t print_finite(
    char* out, bool negative, uint64_t fraction, int32_t biased, int fraction_bits, int32_t bias) {
    size_t at = 0;
    if (negative) out[at++] = '-';
    if (biased == 0 && fraction == 0) return put(out, at, "0.0");
    uint64_t significand = biased == 0 ? fraction : fraction | UINT64_C(1) << fraction_bits;
    int32_t exponent = (biased == 0 ? 1 : biased) - bias;
    bool lower_is_closer = fraction == 0 && biased > 1;
    return at + print_decimal(shortest_decimal(significand, exponent, fraction_bits, lower_is_closer), out + at);
}

size_t rl_f64_print(double value, char out[RL_F64_TEXT]) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t fraction = bits & (F64_HIDDEN - 1);
    int32_t biased = (int32_t)(bits >> F64_FRACTION_BITS & 0x7FF);
    bool negative = bits >> 63;
    if (biased == 0x7FF) return put(out, 0, fraction ? "NaN" : negative ? "-inf" : "inf");
    return print_finite(out, negative, fraction, biased, F64_FRACTION_BITS, F64_BIAS);
}

size_t rl_f32_print(float value, char out[RL_F64_TEXT]) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t fraction = bits & 0x7FFFFF;
    int32_t biased = (int32_t)(bits >> 23 & 0xFF);
    bool negative = bits >> 31;
    if (biased == 0xFF) return put(out, 0, fraction ? "NaN" : negative ? "-inf" : "inf");
    return print_finite(out, negative, fraction, biased, 23, 150);
}

size_t rl_f64_format(double value, char conversion, int precision, bool alternate, char* out, size_t capacity) {
    char format[8] = {'%'};
    size_t at = 1;
    if (alternate) format[at++] = '#';
    format[at++] = '.';
    format[at++] = '*';
    format[at++] = conversion && strchr("feEgGF", conversion) ? conversion : 'g';
    format[at] = '\0';
    /* The format is one of twelve, made above. */
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#endif
    int length = snprintf(out, capacity, format, precision < 0 ? 6 : precision, value);
#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic pop
#endif
    if (length < 0) {
        if (capacity) out[0] = '\0';
        return 0;
    }
    if (!isfinite(value)) return (size_t)length;
    /* Only the locale's decimal separator is neither digit, sign nor exponent mark; it may be several bytes long. */
    size_t kept = (size_t)length < capacity ? (size_t)length : capacity ? capacity - 1 : 0;
    size_t start = 0;
    while (start < kept && strchr("0123456789+-eE", out[start])) start++;
    size_t stop = start;
    while (stop < kept && !strchr("0123456789+-eE", out[stop])) stop++;
    if (stop == start) return (size_t)length;
    out[start] = '.';
    memmove(out + start + 1, out + stop, kept - stop + 1);
    return (size_t)length - (stop - start - 1);
}

/* --- reading floats ------------------------------------------------------------------------------------- */

/*
 * Numbers large enough for any comparison that deciding a rounding takes: 800 digits, or 5^1142 * 2^55, each with the
 * other side's power of two; below 7,000 bits.
 */
#define BIG_LIMBS 256
typedef struct big {
    uint32_t limbs[BIG_LIMBS]; /* lowest first; no zero limb at the top */
    uint32_t count;
} big_t;

#define MOST_DIGITS 800 /* 767 decide any double; one more says "and something" */

static void big_multiply_add(big_t* big, uint32_t factor, uint32_t addend) {
    uint64_t carry = addend;
    for (uint32_t i = 0; i < big->count; i++) {
        carry += (uint64_t)big->limbs[i] * factor;
        big->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && big->count < BIG_LIMBS) big->limbs[big->count++] = (uint32_t)carry;
}

static void big_multiply_pow5(big_t* big, uint32_t exponent) {
    for (; exponent >= 13; exponent -= 13) big_multiply_add(big, 1220703125u, 0); /* 5^13 */
    uint32_t rest = 1;
    for (; exponent > 0; exponent--) rest *= 5;
    big_multiply_add(big, rest, 0);
}

static void big_shift_left(big_t* big, uint32_t bits) {
    uint32_t words = bits / 32;
    if (big->count == 0 || words + big->count >= BIG_LIMBS) return;
    memmove(big->limbs + words, big->limbs, big->count * sizeof(uint32_t));
    memset(big->limbs, 0, words * sizeof(uint32_t));
    big->count += words;
    big_multiply_add(big, UINT32_C(1) << bits % 32, 0);
}

static int big_compare(const big_t* a, const big_t* b) {
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    for (uint32_t i = a->count; i > 0; i--) {
        if (a->limbs[i - 1] != b->limbs[i - 1]) return a->limbs[i - 1] < b->limbs[i - 1] ? -1 : 1;
    }
    return 0;
}

/* What was read: the first significant digits as they stand in the text, and the power of ten of the last of them. */
typedef struct reading {
    uint64_t leading;  /* the first 19 digits */
    int64_t exponent;  /* of `leading` */
    bool truncated;    /* digits other than 0 follow the first 19 */
    rl_str_t mantissa; /* from the first digit that is not 0 on; may hold the point */
} reading_t;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static reading_t read_text(rl_str_t text) {
    reading_t reading = {0};
    size_t i = 0, first = text.length;
    int64_t after_point = 0;
    int taken = 0;
    bool seen_point = false;
    for (; i < text.length && (is_digit(text.data[i]) || (text.data[i] == '.' && !seen_point)); i++) {
        char c = text.data[i];
        if (c == '.') {
            seen_point = true;
            continue;
        }
        if (c != '0' && first == text.length) first = i;
        if (first == text.length) {
            after_point += seen_point;
        } else if (taken < 19) {
            reading.leading = reading.leading * 10 + (uint64_t)(c - '0');
            taken++;
            after_point += seen_point;
        } else {
            reading.truncated |= c != '0';
            after_point -= !seen_point;
        }
    }
    if (first < i) reading.mantissa = (rl_str_t){text.data + first, i - first};
    int64_t exponent = 0;
    if (i < text.length && (text.data[i] == 'e' || text.data[i] == 'E')) {
        i++;
        bool negative = i < text.length && text.data[i] == '-';
        if (i < text.length && (text.data[i] == '-' || text.data[i] == '+')) i++;
        for (; i < text.length && is_digit(text.data[i]); i++) {
            if (exponent < INT64_C(1) << 40) exponent = exponent * 10 + (text.data[i] - '0');
        }
        if (negative) exponent = -exponent;
    }
    reading.exponent = exponent - after_point;
    return reading;
}

/*
 * D. Lemire, "Number parsing at a gigabyte per second": the bits of the double next to digits * 10^exponent.
 * *certain is false when 128 bits of the power do not decide; the answer is then off by very few units.
 */
static uint64_t approximate(uint64_t digits, int64_t exponent, bool* certain) {
    if (digits == 0 || exponent < POW10_LOWEST) return 0;
    if (exponent > 308) return F64_INFINITY_BITS;
    int32_t q = (int32_t)exponent;
    int leading_zeros = __builtin_clzll(digits);
    digits <<= leading_zeros;
    wide_t power = pow10_bits(q) + (q >= -27 && q < 0 ? 1 : 0);
    wide_t product = (wide_t)digits * (uint64_t)(power >> 64);
    if ((uint64_t)(product >> 64 & 0x1FF) == 0x1FF) {
        product += (uint64_t)((wide_t)digits * (uint64_t)power >> 64);
        if ((uint64_t)product == UINT64_MAX && (q < -27 || q > 55)) *certain = false;
    }
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    int upper_bit = (int)(high >> 63);
    int shift = upper_bit + 64 - F64_FRACTION_BITS - 3;
    uint64_t mantissa = high >> shift;
    int32_t biased = ((217706 * q) >> 16) + 63 + upper_bit - leading_zeros + 1023;
    if (biased <= 0) {
        if (1 - biased >= 64) return 0;
        mantissa >>= 1 - biased;
        mantissa += mantissa & 1;
        return mantissa >> 1; /* a carry into the exponent is the smallest normal number */
    }
    if (low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && mantissa << shift == high) {
        mantissa &= ~UINT64_C(1); /* exactly half way: to even */
    }
    mantissa += mantissa & 1;
    mantissa >>= 1;
    if (mantissa >= F64_HIDDEN << 1) {
        mantissa = F64_HIDDEN;
        biased++;
    }
    if (biased >= 0x7FF) return F64_INFINITY_BITS;
    return (uint64_t)biased << F64_FRACTION_BITS | (mantissa & (F64_HIDDEN - 1));
}

/* All digits of the reading (or 800 and a mark for more) as an integer; answers the power of ten it counts. */
static int64_t gather_digits(const reading_t* reading, big_t* big) {
    int taken = 0;
    bool more = false;
    int64_t exponent = reading->exponent;
    for (size_t i = 0; i < reading->mantissa.length; i++) {
        char c = reading->mantissa.data[i];
        if (c == '.') continue;
        if (taken >= MOST_DIGITS) {
            more |= c != '0';
            continue;
        }
        big_multiply_add(big, 10, (uint32_t)(c - '0'));
        taken++;
        exponent -= taken > 19;
    }
    if (more) {
        big_multiply_add(big, 10, 1);
        exponent--;
    }
    return exponent;
}

/* Sign of (digits * 10^exponent) - (the value half way between the double of `bits` and the next one). */
static int compare_with_half_way(const big_t* digits, int64_t exponent, uint64_t bits) {
    uint64_t fraction = bits & (F64_HIDDEN - 1);
    int32_t biased = (int32_t)(bits >> F64_FRACTION_BITS);
    uint64_t significand = biased == 0 ? fraction : fraction | F64_HIDDEN;
    int64_t two = (biased == 0 ? 1 : biased) - F64_BIAS - 1; /* half way is (2 * significand + 1) * 2^two */
    big_t left = *digits, right = {.count = 0};
    uint64_t odd = 2 * significand + 1;
    right.limbs[0] = (uint32_t)odd;
    right.limbs[1] = (uint32_t)(odd >> 32);
    right.count = right.limbs[1] ? 2 : 1;
    if (exponent >= 0) {
        big_multiply_pow5(&left, (uint32_t)exponent);
    } else {
        big_multiply_pow5(&right, (uint32_t)-exponent);
    }
    int64_t left_shift = exponent - two;
    if (left_shift >= 0) {
        big_shift_left(&left, (uint32_t)left_shift);
    } else {
        big_shift_left(&right, (uint32_t)-left_shift);
    }
    return big_compare(&left, &right);
}

/* Exact, starting from a guess that is close. */
static RL_NOINLINE uint64_t settle(const reading_t* reading, uint64_t bits) {
    big_t digits = {.count = 0};
    int64_t exponent = gather_digits(reading, &digits);
    if (bits >= F64_INFINITY_BITS) bits = F64_INFINITY_BITS - 1;
    for (;;) {
        int above = compare_with_half_way(&digits, exponent, bits);
        if (above > 0 || (above == 0 && (bits & 1))) {
            if (++bits == F64_INFINITY_BITS) return bits;
            continue;
        }
        if (bits == 0) return bits;
        int below = compare_with_half_way(&digits, exponent, bits - 1);
        if (below > 0 || (below == 0 && !(bits & 1))) return bits;
        bits--;
    }
}

double rl_f64_parse(rl_str_t text) {
    reading_t reading = read_text(text);
    bool certain = true;
    uint64_t bits = approximate(reading.leading, reading.exponent, &certain);
    /* The exponent that `approximate` refuses at once needs no settling: far below or above every double. */
    if (reading.truncated && reading.exponent >= POW10_LOWEST - 1 && reading.exponent <= 308) {
        certain = certain && bits == approximate(reading.leading + 1, reading.exponent, &certain);
    }
    if (RL_UNLIKELY(!certain)) bits = settle(&reading, bits);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
