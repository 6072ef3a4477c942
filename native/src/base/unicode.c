#include "base/unicode.h"

#include "base/normalize.h"
#include "base/utf8.h"
#include "base/vec.h"

#include "base/unicode_tables.inc"

const char rl_unicode_version[] = UNICODE_VERSION_TEXT;

/* --- properties of one scalar --------------------------------------------------------------------------- */

static const record_t* record_of(uint32_t scalar) {
    if (scalar > 0x10FFFF) scalar = 0xFFFF; /* a noncharacter: no property at all */
    uint32_t top = top_index[scalar >> (LEAF_BITS + MIDDLE_BITS)];
    uint32_t middle = middle_index[top << MIDDLE_BITS | (scalar >> LEAF_BITS & ((1u << MIDDLE_BITS) - 1))];
    return &records[leaf_records[middle << LEAF_BITS | (scalar & ((1u << LEAF_BITS) - 1))]];
}

static bool has_flag(uint32_t scalar, unsigned flag) { return (record_of(scalar)->flags & flag) != 0; }

bool rl_unicode_is_xid_start(uint32_t scalar) { return has_flag(scalar, FLAG_XID_START); }
bool rl_unicode_is_xid_continue(uint32_t scalar) { return has_flag(scalar, FLAG_XID_CONTINUE); }
bool rl_unicode_is_emoji_part(uint32_t scalar) { return has_flag(scalar, FLAG_EMOJI_PART); }
bool rl_unicode_is_upper_start(uint32_t scalar) { return has_flag(scalar, FLAG_UPPER_START); }
/* ASCII is told without the tables. */
#define PROPERTY(name, flag, in_ascii)                                                                                 \
    bool name(uint32_t scalar) { return scalar < 0x80 ? (in_ascii) : has_flag(scalar, flag); }
PROPERTY(rl_unicode_is_white_space, FLAG_WHITE_SPACE, scalar == ' ' || scalar - '\t' < 5)
PROPERTY(rl_unicode_is_alphabetic, FLAG_ALPHABETIC, (scalar | 32) - 'a' < 26)
PROPERTY(rl_unicode_is_numeric, FLAG_NUMERIC, scalar - '0' < 10)
PROPERTY(rl_unicode_is_upper, FLAG_UPPER, scalar - 'A' < 26)
PROPERTY(rl_unicode_is_lower, FLAG_LOWER, scalar - 'a' < 26)
#undef PROPERTY
bool rl_unicode_is_punctuation(uint32_t scalar) { return has_flag(scalar, FLAG_PUNCTUATION); }
unsigned rl_unicode_cells(uint32_t scalar) { return record_of(scalar)->cells; }

static uint32_t map_case(const case_range_t* ranges, size_t count, uint32_t scalar) {
    size_t low = 0, high = count; /* the last range that starts at or before scalar lies before `high` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].first <= scalar) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) return scalar;
    const case_range_t* range = &ranges[low - 1];
    uint32_t distance = scalar - range->first;
    if (distance > range->span || distance % range->stride != 0) return scalar;
    return (uint32_t)((int32_t)scalar + range->delta);
}

uint32_t rl_unicode_to_upper(uint32_t scalar) {
    if (scalar < 0x80) return scalar - 'a' < 26 ? scalar - 32 : scalar;
    return map_case(to_upper_ranges, RL_COUNT_OF(to_upper_ranges), scalar);
}

uint32_t rl_unicode_to_lower(uint32_t scalar) {
    if (scalar < 0x80) return scalar - 'A' < 26 ? scalar + 32 : scalar;
    return map_case(to_lower_ranges, RL_COUNT_OF(to_lower_ranges), scalar);
}

static const special_upper_t* find_special_upper(uint32_t scalar) {
    size_t low = 0, high = RL_COUNT_OF(special_uppers);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (special_uppers[middle].scalar < scalar) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < RL_COUNT_OF(special_uppers) && special_uppers[low].scalar == scalar ? &special_uppers[low] : NULL;
}

/* Bytes up to the first that is not ASCII. */
static size_t ascii_length(rl_str_t text) {
    size_t length = 0;
    uint64_t eight;
    for (; length + 8 <= text.length; length += 8) {
        memcpy(&eight, text.data + length, 8);
        if (eight & 0x8080808080808080u) break;
    }
    while (length < text.length && (unsigned char)text.data[length] < 0x80) length++;
    return length;
}

static void add_ascii(rl_buf_t* out, rl_str_t ascii, char first, char change) {
    if (!ascii.length || !rl_buf_reserve(out, ascii.length)) return;
    char* to = out->data + out->length;
    for (size_t i = 0; i < ascii.length; i++) {
        char c = ascii.data[i];
        to[i] = (unsigned char)(c - first) < 26 ? (char)(c + change) : c;
    }
    out->length += ascii.length;
}

void rl_unicode_upper_text(rl_str_t valid_text, rl_buf_t* out) {
    for (size_t at = 0; at < valid_text.length && !out->failed;) {
        size_t ascii = ascii_length((rl_str_t){valid_text.data + at, valid_text.length - at});
        add_ascii(out, (rl_str_t){valid_text.data + at, ascii}, 'a', 'A' - 'a');
        at += ascii;
        if (at >= valid_text.length) break;
        uint32_t scalar = rl_utf8_next_valid(valid_text.data, &at);
        const special_upper_t* special = find_special_upper(scalar);
        if (!special) {
            rl_buf_add_utf8(out, rl_unicode_to_upper(scalar));
        } else {
            for (unsigned i = 0; i < RL_COUNT_OF(special->to) && special->to[i]; i++)
                rl_buf_add_utf8(out, special->to[i]);
        }
    }
}

static bool is_cased(const record_t* record) {
    return (record->flags & (FLAG_UPPER | FLAG_LOWER | FLAG_UPPER_START)) != 0;
}

/* Whether a cased letter follows, nothing but case-ignorable scalars in between. */
static bool cased_follows(rl_str_t text, size_t at) {
    while (at < text.length) {
        const record_t* record = record_of(rl_utf8_next_valid(text.data, &at));
        if (!(record->flags & FLAG_CASE_IGNORABLE)) return is_cased(record);
    }
    return false;
}

/* What lies between two sigmas is looked at twice at most: a sigma is cased itself. */
void rl_unicode_lower_text(rl_str_t valid_text, rl_buf_t* out) {
    bool after_cased = false; /* the last scalar that is not case-ignorable was cased */
    for (size_t at = 0; at < valid_text.length && !out->failed;) {
        size_t ascii = ascii_length((rl_str_t){valid_text.data + at, valid_text.length - at});
        add_ascii(out, (rl_str_t){valid_text.data + at, ascii}, 'A', 'a' - 'A');
        for (size_t end = at + ascii; end > at; end--) {
            const record_t* record = record_of((unsigned char)valid_text.data[end - 1]);
            if (record->flags & FLAG_CASE_IGNORABLE) continue;
            after_cased = is_cased(record);
            break;
        }
        at += ascii;
        if (at >= valid_text.length) break;
        uint32_t scalar = rl_utf8_next_valid(valid_text.data, &at);
        const record_t* record = record_of(scalar);
        if (scalar == 0x3A3) { /* capital sigma: at the end of a word it has a form of its own */
            rl_buf_add_utf8(out, after_cased && !cased_follows(valid_text, at) ? 0x3C2 : 0x3C3);
        } else if (scalar == 0x130) { /* the one lower-case mapping to two scalars */
            rl_buf_add_utf8(out, 'i');
            rl_buf_add_utf8(out, 0x307);
        } else {
            rl_buf_add_utf8(out, rl_unicode_to_lower(scalar));
        }
        if (!(record->flags & FLAG_CASE_IGNORABLE)) after_cased = is_cased(record);
    }
}

/* --- Hangul, by arithmetic (Unicode 3.12) --------------------------------------------------------------- */

#define HANGUL_S       0xAC00u
#define HANGUL_L       0x1100u
#define HANGUL_V       0x1161u
#define HANGUL_T       0x11A7u /* one before the first */
#define HANGUL_L_COUNT 19u
#define HANGUL_V_COUNT 21u
#define HANGUL_T_COUNT 28u
#define HANGUL_S_COUNT (HANGUL_L_COUNT * HANGUL_V_COUNT * HANGUL_T_COUNT)

static bool is_hangul_syllable(uint32_t scalar) { return scalar - HANGUL_S < HANGUL_S_COUNT; }
static bool is_hangul_lv(uint32_t scalar) {
    return is_hangul_syllable(scalar) && (scalar - HANGUL_S) % HANGUL_T_COUNT == 0;
}

/* --- grapheme clusters (UAX #29, extended) ---------------------------------------------------------------- */

typedef struct cluster_state {
    uint8_t previous;      /* Grapheme_Cluster_Break of the last scalar */
    bool after_pictograph; /* pictograph, then Extend only (GB11 wants a ZWJ last) */
    bool pictograph_zwj;   /* … and the last one was that ZWJ */
    bool after_consonant;  /* GB9c: consonant, then Extend and Linker only */
    bool linker_seen;
    bool odd_regional; /* an odd number of regional indicators up to here */
} cluster_state_t;

static uint8_t grapheme_class(uint32_t scalar, const record_t* record) {
    return record->grapheme == GRAPHEME_LVT && is_hangul_lv(scalar) ? GRAPHEME_LV : record->grapheme;
}

static bool breaks_between(const cluster_state_t* state, uint8_t next, const record_t* record) {
    uint8_t previous = state->previous;
    if (previous == GRAPHEME_CR) return next != GRAPHEME_LF;                                 /* GB3 */
    if (previous == GRAPHEME_LF || previous == GRAPHEME_CONTROL) return true;                /* GB4 */
    if (next == GRAPHEME_CR || next == GRAPHEME_LF || next == GRAPHEME_CONTROL) return true; /* GB5 */
    switch (previous) {
    case GRAPHEME_L: /* GB6 */
        if (next == GRAPHEME_L || next == GRAPHEME_V || next == GRAPHEME_LV || next == GRAPHEME_LVT) return false;
        break;
    case GRAPHEME_LV:
    case GRAPHEME_V: /* GB7 */
        if (next == GRAPHEME_V || next == GRAPHEME_T) return false;
        break;
    case GRAPHEME_LVT:
    case GRAPHEME_T: /* GB8 */
        if (next == GRAPHEME_T) return false;
        break;
    default: break;
    }
    if (next == GRAPHEME_EXTEND || next == GRAPHEME_ZWJ || next == GRAPHEME_SPACINGMARK) return false; /* GB9, GB9a */
    if (previous == GRAPHEME_PREPEND) return false;                                                    /* GB9b */
    if (record->conjunct == CONJUNCT_CONSONANT && state->after_consonant && state->linker_seen) return false; /* GB9c */
    if (state->pictograph_zwj && (record->flags & FLAG_PICTOGRAPHIC)) return false;                           /* GB11 */
    if (previous == GRAPHEME_REGIONAL_INDICATOR && next == GRAPHEME_REGIONAL_INDICATOR) {
        return !state->odd_regional; /* GB12, GB13 */
    }
    return true;
}

static void step_state(cluster_state_t* state, uint8_t class_of_next, const record_t* record) {
    state->pictograph_zwj = state->after_pictograph && class_of_next == GRAPHEME_ZWJ;
    state->after_pictograph =
        (record->flags & FLAG_PICTOGRAPHIC) != 0 || (state->after_pictograph && class_of_next == GRAPHEME_EXTEND);
    switch (record->conjunct) {
    case CONJUNCT_CONSONANT:
        state->after_consonant = true;
        state->linker_seen = false;
        break;
    case CONJUNCT_LINKER: state->linker_seen = true; break;
    case CONJUNCT_EXTEND: break;
    default: state->after_consonant = false; break;
    }
    state->odd_regional = class_of_next == GRAPHEME_REGIONAL_INDICATOR && !state->odd_regional;
    state->previous = class_of_next;
}

size_t rl_unicode_grapheme(rl_str_t text, size_t offset) {
    if (offset >= text.length) return 0;
    const char* data = text.data;
    /* ASCII followed by ASCII: only CR LF holds together. */
    bool ascii_pair =
        (unsigned char)data[offset] < 0x80 && (offset + 1 == text.length || (unsigned char)data[offset + 1] < 0x80);
    if (ascii_pair) { return data[offset] == '\r' && offset + 1 < text.length && data[offset + 1] == '\n' ? 2 : 1; }
    size_t at = offset;
    uint32_t scalar = rl_utf8_next(text, &at);
    if (scalar == RL_UTF8_INVALID) return at - offset;
    cluster_state_t state = {0};
    const record_t* record = record_of(scalar);
    step_state(&state, grapheme_class(scalar, record), record);
    while (at < text.length) {
        size_t after = at;
        scalar = rl_utf8_next(text, &after);
        if (scalar == RL_UTF8_INVALID) break;
        record = record_of(scalar);
        uint8_t next = grapheme_class(scalar, record);
        if (breaks_between(&state, next, record)) break;
        step_state(&state, next, record);
        at = after;
    }
    return at - offset;
}

unsigned rl_unicode_cluster_cells(rl_str_t cluster) {
    unsigned cells = 0;
    bool first = true, emoji = false;
    for (size_t at = 0; at < cluster.length;) {
        uint32_t scalar = rl_utf8_next(cluster, &at);
        if (scalar == RL_UTF8_INVALID) return 1;
        const record_t* record = record_of(scalar);
        unsigned own =
            record->grapheme == GRAPHEME_CONTROL || record->grapheme == GRAPHEME_CR || record->grapheme == GRAPHEME_LF
                ? 0
                : record->cells;
        if (first) {
            emoji = (record->flags & FLAG_PICTOGRAPHIC) || record->grapheme == GRAPHEME_REGIONAL_INDICATOR;
            cells = own;
        } else if (scalar == 0xFE0F || (emoji && record->grapheme == GRAPHEME_REGIONAL_INDICATOR)) {
            cells = 2; /* asked to be shown as an emoji; a flag */
        } else if (!emoji) {
            cells += own;
        }
        first = false;
    }
    return cells;
}

/* --- composition ------------------------------------------------------------------------------------------ */

/* One step of the canonical decomposition; *second is 0 when there is one part. False: none. */
static bool decompose_once(uint32_t scalar, uint32_t* first, uint32_t* second) {
    if (scalar < 0xC0) return false;
    if (is_hangul_syllable(scalar)) {
        uint32_t index = scalar - HANGUL_S, t = index % HANGUL_T_COUNT;
        if (t) {
            *first = scalar - t;
            *second = HANGUL_T + t;
        } else {
            *first = HANGUL_L + index / (HANGUL_V_COUNT * HANGUL_T_COUNT);
            *second = HANGUL_V + index / HANGUL_T_COUNT % HANGUL_V_COUNT;
        }
        return true;
    }
    if (scalar - FIRST_IDEOGRAPH < RL_COUNT_OF(ideograph_decompositions)) {
        *first = ideograph_decompositions[scalar - FIRST_IDEOGRAPH];
        *second = 0;
        return true;
    }
#define SEARCH(table)                                                                                                  \
    do {                                                                                                               \
        size_t low = 0, high = RL_COUNT_OF(table);                                                                     \
        while (low < high) {                                                                                           \
            size_t middle = low + (high - low) / 2;                                                                    \
            if ((table)[middle].composed < scalar) {                                                                   \
                low = middle + 1;                                                                                      \
            } else {                                                                                                   \
                high = middle;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        if (low < RL_COUNT_OF(table) && (table)[low].composed == scalar) {                                             \
            *first = (table)[low].first;                                                                               \
            *second = (table)[low].second;                                                                             \
            return true;                                                                                               \
        }                                                                                                              \
    } while (0)
    if (scalar < 0x10000) SEARCH(short_decompositions);
    SEARCH(long_decompositions);
#undef SEARCH
    return false;
}

/* One step of the compatibility decomposition, or of the canonical one; 0: none. */
static size_t decompose_compatible(uint32_t scalar, uint32_t out[LONGEST_DECOMPOSITION]) {
    if (scalar < 0xA0) return 0;
    uint32_t single = map_case(compatible_ranges, RL_COUNT_OF(compatible_ranges), scalar);
    if (single != scalar) {
        out[0] = single;
        return 1;
    }
    size_t low = 0, high = RL_COUNT_OF(compatible_pairs);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compatible_pairs[middle].scalar < scalar) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < RL_COUNT_OF(compatible_pairs) && compatible_pairs[low].scalar == scalar) {
        out[0] = compatible_pairs[low].to;
        return 1;
    }
    low = 0, high = RL_COUNT_OF(compatible_sequences);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compatible_sequences[middle].scalar < scalar) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < RL_COUNT_OF(compatible_sequences) && compatible_sequences[low].scalar == scalar) {
        const compatible_sequence_t* found = &compatible_sequences[low];
        for (size_t i = 0; i < found->length; i++) out[i] = compatible_pool[found->place + i];
        return found->length;
    }
    if (!decompose_once(scalar, &out[0], &out[1])) return 0;
    return out[1] ? 2 : 1;
}

static size_t decompose(uint32_t scalar, uint32_t out[LONGEST_DECOMPOSITION]) {
    uint32_t pending[LONGEST_DECOMPOSITION];
    size_t waiting = 0, count = 0;
    pending[waiting++] = scalar;
    while (waiting > 0 && count < LONGEST_DECOMPOSITION) {
        uint32_t first, second, next = pending[--waiting];
        if (!decompose_once(next, &first, &second)) {
            out[count++] = next;
            continue;
        }
        if (second && waiting < LONGEST_DECOMPOSITION) pending[waiting++] = second;
        if (waiting < LONGEST_DECOMPOSITION) pending[waiting++] = first;
    }
    return count;
}

static size_t decompose_fully(uint32_t scalar, bool compatible, uint32_t out[LONGEST_DECOMPOSITION]) {
    if (!compatible || !(record_of(scalar)->flags & FLAG_COMPATIBLE)) return decompose(scalar, out);
    uint32_t pending[2 * LONGEST_DECOMPOSITION], parts[LONGEST_DECOMPOSITION];
    size_t waiting = 0, count = 0;
    pending[waiting++] = scalar;
    while (waiting > 0 && count < LONGEST_DECOMPOSITION) {
        uint32_t next = pending[--waiting];
        size_t step = decompose_compatible(next, parts);
        if (step == 0) out[count++] = next;
        while (step > 0 && waiting < RL_COUNT_OF(pending)) pending[waiting++] = parts[--step];
    }
    return count;
}

/* The primary composite of two scalars; 0 when there is none. */
static uint32_t compose_pair(uint32_t first, uint32_t second) {
    if (first - HANGUL_L < HANGUL_L_COUNT && second - HANGUL_V < HANGUL_V_COUNT) {
        return HANGUL_S + ((first - HANGUL_L) * HANGUL_V_COUNT + (second - HANGUL_V)) * HANGUL_T_COUNT;
    }
    if (is_hangul_lv(first) && second > HANGUL_T && second < HANGUL_T + HANGUL_T_COUNT) {
        return first + (second - HANGUL_T);
    }
    uint64_t wanted = (uint64_t)first << 32 | second;
#define SEARCH(places, table)                                                                                          \
    do {                                                                                                               \
        size_t low = 0, high = RL_COUNT_OF(places);                                                                    \
        while (low < high) {                                                                                           \
            size_t middle = low + (high - low) / 2;                                                                    \
            if (((uint64_t)(table)[(places)[middle]].first << 32 | (table)[(places)[middle]].second) < wanted) {       \
                low = middle + 1;                                                                                      \
            } else {                                                                                                   \
                high = middle;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        if (low < RL_COUNT_OF(places) && (table)[(places)[low]].first == first &&                                      \
            (table)[(places)[low]].second == second) {                                                                 \
            return (table)[(places)[low]].composed;                                                                    \
        }                                                                                                              \
    } while (0)
    SEARCH(short_composites, short_decompositions);
    SEARCH(long_composites, long_decompositions);
#undef SEARCH
    return 0;
}

static uint8_t class_of(uint32_t scalar) { return record_of(scalar)->combining_class; }

/* Compose a canonically ordered run in place; answers its new length. */
static size_t compose_run(uint32_t* run, size_t count) {
    size_t kept = 0, starter = SIZE_MAX;
    uint8_t last_class = 0; /* of the scalar kept last, when it is not the starter */
    for (size_t i = 0; i < count; i++) {
        uint8_t class_here = class_of(run[i]);
        bool adjacent = starter != SIZE_MAX && starter + 1 == kept;
        if (starter != SIZE_MAX && (adjacent || (last_class != 0 && last_class < class_here))) {
            uint32_t composed = compose_pair(run[starter], run[i]);
            if (composed) {
                run[starter] = composed;
                continue;
            }
        }
        if (class_here == 0) starter = kept;
        last_class = class_here;
        run[kept++] = run[i];
    }
    return kept;
}

static void sort_few_by_class(uint32_t* run, size_t count) {
    for (size_t i = 1; i < count; i++) {
        uint32_t moving = run[i];
        uint8_t class_here = class_of(moving);
        size_t place = i;
        if (class_here == 0) continue;
        while (place > 0 && class_of(run[place - 1]) > class_here) {
            run[place] = run[place - 1];
            place--;
        }
        run[place] = moving;
    }
}

#define MOST_CLASSES 64 /* combining classes other than 0 that are in use: 54 */

/* One starter and the first mark of each class behind it; a second mark of a class is blocked by the first. */
typedef struct nfc_run {
    uint32_t scalars[1 + MOST_CLASSES];
    size_t count;
} nfc_run_t;

static bool run_is_composed(const nfc_run_t* run) {
    if (run->count < 2) return true;
    uint32_t again[LONGEST_DECOMPOSITION + MOST_CLASSES];
    size_t count = decompose(run->scalars[0], again);
    memcpy(again + count, run->scalars + 1, (run->count - 1) * sizeof(uint32_t));
    count += run->count - 1;
    sort_few_by_class(again, count);
    count = compose_run(again, count);
    return count == run->count && memcmp(again, run->scalars, count * sizeof(uint32_t)) == 0;
}

static bool starters_stay_apart(uint32_t left, uint32_t right) {
    uint32_t again[2 * LONGEST_DECOMPOSITION];
    size_t count = decompose(left, again);
    count += decompose(right, again + count);
    count = compose_run(again, count);
    return count == 2 && again[0] == left && again[1] == right;
}

bool rl_unicode_is_nfc(rl_str_t valid_text) {
    nfc_run_t run = {.count = 0};
    uint8_t last_class = 0;
    for (size_t at = 0; at < valid_text.length;) {
        uint32_t scalar = rl_utf8_next(valid_text, &at);
        if (scalar < 0x300) { /* most text; nothing below composes with what is before it */
            if (run.count > 1 && !run_is_composed(&run)) return false;
            run.scalars[0] = scalar;
            run.count = 1;
            last_class = 0;
            continue;
        }
        const record_t* record = record_of(scalar);
        if (record->flags & FLAG_NFC_NO) return false;
        uint8_t class_here = record->combining_class;
        if (class_here != 0) {
            if (class_here < last_class) return false;
            if (run.count == 0) run.scalars[run.count++] = 0xFFFF; /* marks without a starter compose with nothing */
            if (class_here != last_class && run.count < RL_COUNT_OF(run.scalars)) run.scalars[run.count++] = scalar;
        } else {
            if (!run_is_composed(&run)) return false;
            bool next_to_starter = run.count == 1;
            if (next_to_starter && (record->flags & FLAG_NFC_MAYBE) && !starters_stay_apart(run.scalars[0], scalar)) {
                return false;
            }
            run.scalars[0] = scalar;
            run.count = 1;
        }
        last_class = class_here;
    }
    return run_is_composed(&run);
}

/* --- normalising -------------------------------------------------------------------------------------------- */

typedef RL_VEC(uint32_t) scalars_t;

/* Stable, and linear for runs of any length: a count per class. `scratch` is as long as the run. */
static void sort_many_by_class(uint32_t* run, uint32_t* scratch, size_t count) {
    size_t places[257] = {0};
    for (size_t i = 0; i < count; i++) places[class_of(run[i]) + 1u]++;
    for (size_t c = 1; c < 257; c++) places[c] += places[c - 1];
    for (size_t i = 0; i < count; i++) scratch[places[class_of(run[i])]++] = run[i];
    memcpy(run, scratch, count * sizeof(uint32_t));
}

static bool order_marks(rl_allocator_t* allocator, scalars_t* run) {
    for (uint32_t i = 0; i < run->count;) {
        if (class_of(run->data[i]) == 0) {
            i++;
            continue;
        }
        uint32_t end = i;
        while (end < run->count && class_of(run->data[end]) != 0) end++;
        if (end - i <= 32) {
            sort_few_by_class(run->data + i, end - i);
        } else {
            size_t size = (size_t)(end - i) * sizeof(uint32_t);
            uint32_t* scratch = rl_alloc(allocator, size);
            if (!scratch) return false;
            sort_many_by_class(run->data + i, scratch, end - i);
            rl_free(allocator, scratch, size);
        }
        i = end;
    }
    return true;
}

static bool flush_run(rl_buf_t* out, scalars_t* run, bool compose) {
    if (run->count == 0) return true;
    if (!order_marks(out->allocator, run)) return false;
    size_t count = compose ? compose_run(run->data, run->count) : run->count;
    for (size_t i = 0; i < count; i++) rl_buf_add_utf8(out, run->data[i]);
    run->count = 0;
    return !out->failed;
}

bool rl_normalize(rl_str_t valid_text, rl_normal_form_t form, rl_buf_t* out) {
    bool compose = form == RL_NFC || form == RL_NFKC, compatible = form == RL_NFKC || form == RL_NFKD;
    scalars_t run = {0};
    bool done = true;
    for (size_t at = 0; at < valid_text.length && done;) {
        size_t ascii = ascii_length((rl_str_t){valid_text.data + at, valid_text.length - at});
        if (ascii > 1) { /* all but the last as they are: that one may take marks */
            done = flush_run(out, &run, compose);
            rl_buf_add(out, (rl_str_t){valid_text.data + at, ascii - 1});
            at += ascii - 1;
            done = done && !out->failed;
            if (!done) break;
        }
        uint32_t parts[LONGEST_DECOMPOSITION], scalar = rl_utf8_next(valid_text, &at);
        size_t count = scalar < 0xA0 ? (parts[0] = scalar, 1) : decompose_fully(scalar, compatible, parts);
        const record_t* first = record_of(parts[0]);
        /* Nothing before such a scalar can join it or anything behind it. */
        if (first->combining_class == 0 && (!compose || !(first->flags & FLAG_NFC_MAYBE)))
            done = flush_run(out, &run, compose);
        for (size_t i = 0; i < count && done; i++) done = rl_vec_push(out->allocator, &run, parts[i]);
    }
    done = done && flush_run(out, &run, compose);
    rl_vec_deinit(out->allocator, &run);
    out->failed |= !done;
    return done;
}

bool rl_normalize_nfc(rl_str_t valid_text, rl_buf_t* out) { return rl_normalize(valid_text, RL_NFC, out); }

static bool is_decomposed(rl_str_t text) {
    uint8_t last_class = 0;
    for (size_t at = 0; at < text.length;) {
        uint32_t scalar = rl_utf8_next(text, &at), first, second;
        if (scalar < 0xC0) {
            last_class = 0;
            continue;
        }
        uint8_t class_here = class_of(scalar);
        if ((class_here != 0 && class_here < last_class) || decompose_once(scalar, &first, &second)) return false;
        last_class = class_here;
    }
    return true;
}

bool rl_is_normalized(rl_str_t valid_text, rl_normal_form_t form) {
    if (ascii_length(valid_text) == valid_text.length) return true;
    if (form == RL_NFKC || form == RL_NFKD) {
        for (size_t at = 0; at < valid_text.length;) {
            uint32_t scalar = rl_utf8_next(valid_text, &at);
            if (scalar >= 0xA0 && has_flag(scalar, FLAG_COMPATIBLE)) return false;
        }
    }
    return form == RL_NFC || form == RL_NFKC ? rl_unicode_is_nfc(valid_text) : is_decomposed(valid_text);
}
