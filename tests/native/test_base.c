#include "check.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "base/normalize.h"
#include "base/number.h"
#include "base/os.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static rl_str_t text_of(const char* text) { return rl_str(text); }

static uint64_t random_state = 0x2545F4914F6CDD1Du;
static uint64_t next_random(void) { /* xorshift*: the same numbers in every run */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du;
}

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* --- allocator ------------------------------------------------------------------------------------------- */

TEST(test_alloc__counts_live_and_peak_bytes) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    char* block = rl_alloc(&a, 100);
    block = rl_resize(&a, block, 100, 300);
    block = rl_resize(&a, block, 300, 50);
    CHECK_INT_EQ(a.live_bytes, 50);
    CHECK_INT_EQ(a.peak_bytes, 300);
    rl_free(&a, block, 50);
    CHECK_INT_EQ(a.live_bytes, 0);
    CHECK(!a.failed);
}

TEST(test_alloc__refuses_past_the_limit_and_keeps_the_old_block) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    a.limit_bytes = 100;
    char* block = rl_alloc(&a, 60);
    memset(block, 'x', 60);
    CHECK(rl_resize(&a, block, 60, 101) == NULL);
    CHECK(a.failed);
    CHECK_INT_EQ(a.live_bytes, 60);
    CHECK_INT_EQ(block[59], 'x');
    rl_alloc_clear_failure(&a);
    CHECK((block = rl_resize(&a, block, 60, 100)) != NULL);
    CHECK(rl_alloc(&a, 1) == NULL);
    rl_free(&a, block, 100);
}

TEST(test_alloc__a_limit_below_what_is_live_refuses_all_growth) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    char* block = rl_alloc(&a, 60);
    a.limit_bytes = 10;
    CHECK(rl_alloc(&a, 1) == NULL);
    CHECK((block = rl_resize(&a, block, 60, 20)) != NULL);
    rl_free(&a, block, 20);
}

TEST(test_alloc__refuses_sizes_that_no_object_can_have) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    CHECK(rl_alloc(&a, SIZE_MAX) == NULL);
    CHECK(rl_alloc_zero(&a, (size_t)PTRDIFF_MAX + 1) == NULL);
    CHECK(a.failed);
}

TEST(test_alloc__the_chosen_requests_fail) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    a.fail_at = 2;
    a.fail_every = 2;
    for (int i = 1; i <= 6; i++) {
        char* block = rl_alloc(&a, 8);
        CHECK_INT_EQ(block == NULL, i % 2 == 0);
        rl_free(&a, block, 8);
    }
}

/* --- arena ----------------------------------------------------------------------------------------------- */

TEST(test_arena__blocks_are_zeroed_aligned_and_apart) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    rl_arena_t arena;
    rl_arena_init(&arena, &a);
    char* blocks[300];
    for (size_t i = 0; i < 300; i++) {
        size_t size = i % 50 == 0 ? 100000 : i;
        blocks[i] = rl_arena_alloc(&arena, size);
        if (!CHECK(blocks[i] != NULL)) return;
        CHECK_INT_EQ((uintptr_t)blocks[i] % 8, 0);
        for (size_t k = 0; k < size; k++) {
            if (!CHECK(blocks[i][k] == 0)) break;
        }
        memset(blocks[i], (int)(i & 0xFF), size);
    }
    for (size_t i = 1; i < 300; i++) CHECK(i % 50 == 0 || (unsigned char)blocks[i][i - 1] == (i & 0xFF));
    rl_str_t copy = rl_arena_copy(&arena, RL_STR("hello"));
    CHECK_STR_EQ(copy.data, "hello");
    rl_arena_deinit(&arena);
    CHECK_INT_EQ(a.live_bytes, 0);
    CHECK(rl_arena_alloc(&arena, 1) != NULL);
    rl_arena_deinit(&arena);
}

TEST(test_arena__survives_any_failing_request) {
    for (uint64_t n = 1; n <= 30; n++) {
        rl_allocator_t a;
        rl_allocator_init(&a, NULL, NULL);
        a.fail_at = n;
        a.fail_every = n % 3;
        rl_arena_t arena;
        rl_arena_init(&arena, &a);
        for (size_t i = 0; i < 60; i++) {
            size_t size = i % 7 * 1000;
            char* block = rl_arena_alloc(&arena, size);
            CHECK(block || a.failed);
            if (block) memset(block, 1, size);
            rl_str_t copy = rl_arena_copy(&arena, RL_STR("text"));
            CHECK(copy.length == 4 || (copy.length == 0 && a.failed));
        }
        rl_arena_deinit(&arena);
        CHECK_INT_EQ(a.live_bytes, 0);
    }
}

/* --- buffer ---------------------------------------------------------------------------------------------- */

TEST(test_buf__builds_text_of_all_kinds) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    rl_buf_t buf;
    rl_buf_init(&buf, &a);
    CHECK_STR_EQ(rl_buf_cstr(&buf), "");
    rl_buf_add_cstr(&buf, "a");
    rl_buf_add_char(&buf, ' ');
    rl_buf_add_i64(&buf, INT64_MIN);
    rl_buf_add_char(&buf, ' ');
    rl_buf_add_u64(&buf, UINT64_MAX);
    rl_buf_add_repeat(&buf, '-', 3);
    rl_buf_add_utf8(&buf, 0x1F600);
    rl_buf_add_f64(&buf, 0.1);
    rl_buf_printf(&buf, " %d %.*s %x", -7, 2, "xyz", 255u);
    CHECK_STR_EQ(rl_buf_cstr(&buf), "a -9223372036854775808 18446744073709551615---\xF0\x9F\x98\x80"
                                    "0.1 -7 xy ff");
    rl_buf_clear(&buf);
    char longer[1000];
    memset(longer, 'q', sizeof longer);
    rl_buf_printf(&buf, "<%.*s>", (int)sizeof longer, longer);
    CHECK_INT_EQ(buf.length, 1002);
    CHECK_INT_EQ(buf.data[1001], '>');
    rl_buf_deinit(&buf);
    CHECK_INT_EQ(a.live_bytes, 0);
}

TEST(test_buf__append_past_the_limit_fails_and_drops_the_rest) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    rl_buf_t buf;
    rl_buf_init(&buf, &a);
    buf.limit = 5;
    rl_buf_add_cstr(&buf, "1234");
    rl_buf_add_cstr(&buf, "56");
    rl_buf_add_char(&buf, '5');
    CHECK(buf.failed);
    CHECK(!a.failed);
    CHECK_STR_EQ(rl_buf_cstr(&buf), "1234");
    rl_buf_deinit(&buf);
}

TEST(test_buf__survives_any_failing_request) {
    for (uint64_t n = 1; n <= 20; n++) {
        rl_allocator_t a;
        rl_allocator_init(&a, NULL, NULL);
        a.fail_at = n;
        rl_buf_t buf;
        rl_buf_init(&buf, &a);
        size_t added = 0;
        for (size_t i = 0; i < 2000; i++) {
            rl_buf_printf(&buf, "%d,", 7);
            if (!buf.failed) added += 2;
        }
        CHECK_INT_EQ(buf.length, added);
        CHECK_INT_EQ(buf.failed, a.failed);
        CHECK_INT_EQ(strlen(rl_buf_cstr(&buf)), added);
        rl_buf_deinit(&buf);
        CHECK_INT_EQ(a.live_bytes, 0);
    }
}

/* --- vectors --------------------------------------------------------------------------------------------- */

TEST(test_vec__push_keeps_order_and_refuses_past_memory) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    RL_VEC(uint64_t) vec = {0};
    for (uint64_t i = 0; i < 5000; i++) CHECK(rl_vec_push(&a, &vec, i * i));
    CHECK_INT_EQ(vec.count, 5000);
    CHECK_INT_EQ(vec.data[4999], 4999 * 4999);
    CHECK_INT_EQ(rl_vec_pop(&vec), 4999 * 4999);
    CHECK_INT_EQ(rl_vec_last(&vec), 4998 * 4998);
    a.limit_bytes = a.live_bytes;
    while (vec.count < vec.capacity) CHECK(rl_vec_push(&a, &vec, 1));
    uint32_t full = vec.count;
    CHECK(!rl_vec_push(&a, &vec, 1));
    CHECK_INT_EQ(vec.count, full);
    CHECK(a.failed);
    rl_alloc_clear_failure(&a);
    CHECK(!rl_vec_reserve(&a, &vec, 0x80000000u));
    CHECK(a.failed);
    rl_vec_deinit(&a, &vec);
    CHECK_INT_EQ(a.live_bytes, 0);
}

/* --- map ------------------------------------------------------------------------------------------------- */

TEST(test_map__agrees_with_a_plain_table_under_random_edits) {
    enum { KEYS = 700 };
    static uint32_t expected[KEYS];
    static bool present[KEYS];
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    rl_map_t map = {0};
    uint32_t count = 0;
    for (int step = 0; step < 60000; step++) {
        uint32_t slot = (uint32_t)(next_random() % KEYS);
        uint64_t key = (uint64_t)slot * 0x100000001u; /* key 0 among them */
        if (next_random() % 3) {
            expected[slot] = (uint32_t)next_random();
            CHECK(rl_map_put(&a, &map, key, expected[slot]));
            count += !present[slot];
            present[slot] = true;
        } else {
            CHECK_INT_EQ(rl_map_remove(&map, key), present[slot]);
            count -= present[slot];
            present[slot] = false;
        }
        uint32_t probe = (uint32_t)(next_random() % KEYS), value = 0;
        if (!CHECK_INT_EQ(rl_map_get(&map, (uint64_t)probe * 0x100000001u, &value), present[probe])) break;
        if (present[probe] && !CHECK_INT_EQ(value, expected[probe])) break;
    }
    CHECK_INT_EQ(map.count, count);
    rl_map_clear(&map);
    uint32_t value;
    for (uint64_t i = 0; i < KEYS; i++) CHECK(!rl_map_get(&map, i * 0x100000001u, &value));
    rl_map_deinit(&a, &map);
    CHECK_INT_EQ(a.live_bytes, 0);
}

TEST(test_map__survives_any_failing_request) {
    for (uint64_t n = 1; n <= 12; n++) {
        rl_allocator_t a;
        rl_allocator_init(&a, NULL, NULL);
        a.fail_at = n;
        rl_map_t map = {0};
        uint32_t value;
        for (uint64_t key = 0; key < 500; key++) {
            bool put = rl_map_put(&a, &map, key, (uint32_t)key);
            CHECK_INT_EQ(rl_map_get(&map, key, &value), put);
        }
        CHECK_INT_EQ(map.count, n <= a.requests ? 499 : 500);
        rl_map_deinit(&a, &map);
        CHECK_INT_EQ(a.live_bytes, 0);
    }
}

TEST(test_hash__depends_on_every_byte_length_and_seed) {
    unsigned char data[100] = {0};
    for (size_t length = 0; length <= sizeof data; length++) {
        uint64_t hash = rl_hash_bytes(data, length, 1);
        CHECK(hash != rl_hash_bytes(data, length, 2));
        if (length < sizeof data) CHECK(hash != rl_hash_bytes(data, length + 1, 1));
        for (size_t i = 0; i < length; i++) {
            data[i] ^= 0x10;
            CHECK(hash != rl_hash_bytes(data, length, 1));
            data[i] ^= 0x10;
        }
    }
}

/* --- UTF-8 ----------------------------------------------------------------------------------------------- */

TEST(test_utf8__encodes_and_decodes_every_scalar_value) {
    for (uint32_t scalar = 0; scalar <= 0x10FFFF; scalar++) {
        char bytes[4];
        size_t length = rl_utf8_encode(scalar, bytes), offset = 0, again = 0;
        bool surrogate = scalar >= 0xD800 && scalar <= 0xDFFF;
        uint32_t expected = surrogate ? 0xFFFD : scalar;
        if (!CHECK_INT_EQ(rl_utf8_next((rl_str_t){bytes, length}, &offset), expected)) return;
        if (!CHECK_INT_EQ(rl_utf8_next_valid(bytes, &again), expected)) return;
        if (!CHECK(offset == length && again == length)) return;
        if (!CHECK_INT_EQ(rl_utf8_validate((rl_str_t){bytes, length}), length)) return;
        if (length > 1 && !CHECK_INT_EQ(rl_utf8_validate((rl_str_t){bytes, length - 1}), 0)) return;
    }
}

TEST(test_utf8__refuses_what_is_not_well_formed) {
    static const struct {
        const char* text;
        size_t bad_at, resume_at;
    } cases[] = {
        {"ab\x80z", 2, 3},
        {"\xC0\xAFz", 0, 2},
        {"\xE0\x80\x80z", 0, 3},
        {"\xED\xA0\x80z", 0, 3},
        {"\xF4\x90\x80\x80z", 0, 4},
        {"\xF5z", 0, 1},
        {"\xE2\x82z", 0, 2},
        {"\xFF\xFE\xFDz", 0, 3},
        {"\xF0\x80\x80\x80z", 0, 4},
        {"12345678\xC3(z", 8, 9},
        {"\xE3\x81\x82\xE3", 3, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rl_str_t text = text_of(cases[i].text);
        CHECK_INT_EQ(rl_utf8_validate(text), cases[i].bad_at);
        size_t offset = cases[i].bad_at;
        CHECK_INT_EQ(rl_utf8_next(text, &offset), RL_UTF8_INVALID);
        CHECK_INT_EQ(offset, cases[i].resume_at);
    }
}

TEST(test_utf8__counts_and_finds_code_points) {
    rl_str_t text = RL_STR("ascii text, then \xC3\xA9\xE3\x81\x82\xF0\x9F\x98\x80 and ascii again");
    CHECK_INT_EQ(rl_utf8_count(text), 36);
    CHECK(!rl_utf8_is_ascii(text));
    CHECK(rl_utf8_is_ascii(RL_STR("only plain ascii here")));
    size_t offset = 0;
    for (size_t i = 0; i <= 36; i++) {
        CHECK_INT_EQ(rl_utf8_offset_of(text, i), offset);
        if (i < 36) rl_utf8_next(text, &offset);
    }
    CHECK_INT_EQ(rl_utf8_offset_of(text, 1000), text.length);
    CHECK_INT_EQ(rl_utf8_count((rl_str_t){NULL, 0}), 0);
}

/* --- JSON ------------------------------------------------------------------------------------------------ */

TEST(test_json__writes_values_with_commas_and_escapes) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    rl_buf_t buf;
    rl_buf_init(&buf, &a);
    rl_json_t json = rl_json_begin(&buf);
    rl_json_object_begin(&json);
    rl_json_member(&json, "a", RL_STR("q\"\\\n\t\x01/\x7F\xE3\x81\x82\xFF."));
    rl_json_key(&json, "b");
    rl_json_array_begin(&json);
    rl_json_i64(&json, -1);
    rl_json_u64(&json, 2);
    rl_json_f64(&json, 1.0);
    rl_json_f64(&json, NAN);
    rl_json_f64(&json, -INFINITY);
    rl_json_bool(&json, true);
    rl_json_null(&json);
    rl_json_array_begin(&json);
    rl_json_array_end(&json);
    rl_json_object_begin(&json);
    rl_json_object_end(&json);
    rl_json_array_end(&json);
    rl_json_key(&json, "c");
    rl_json_raw(&json, RL_STR("[0]"));
    rl_json_member(&json, "", (rl_str_t){NULL, 0});
    rl_json_object_end(&json);
    CHECK_TEXT_EQ(buf,
        "{\"a\":\"q\\\"\\\\\\n\\t\\u0001/\x7F\xE3\x81\x82\xEF\xBF\xBD.\",\"b\":[-1,2,1.0,null,null,true,null,"
        "[],{}],\"c\":[0],\"\":\"\"}");
    rl_buf_deinit(&buf);
}

/* --- numbers --------------------------------------------------------------------------------------------- */

static void check_display(double value, const char* expected, int line) {
    char text[RL_F64_TEXT];
    check_bytes(text, rl_f64_print(value, text), expected, strlen(expected), __FILE__, line, "display");
}
#define CHECK_DISPLAY(value, expected) check_display((value), (expected), __LINE__)

TEST(test_number__floats_display_as_the_language_says) {
    CHECK_DISPLAY(0.0, "0.0");
    CHECK_DISPLAY(-0.0, "-0.0");
    CHECK_DISPLAY(1.0, "1.0");
    CHECK_DISPLAY(-1.5, "-1.5");
    CHECK_DISPLAY(100.0, "100.0");
    CHECK_DISPLAY(0.1, "0.1");
    CHECK_DISPLAY(0.00001, "0.00001");
    CHECK_DISPLAY(0.00001234, "0.00001234");
    CHECK_DISPLAY(0.0000099, "9.9e-6");
    CHECK_DISPLAY(1e-7, "1e-7");
    CHECK_DISPLAY(1e15, "1000000000000000.0");
    CHECK_DISPLAY(9999999999999998.0, "9999999999999998.0");
    CHECK_DISPLAY(1e16, "1e16");
    CHECK_DISPLAY(1.5e16, "1.5e16");
    CHECK_DISPLAY(1e300, "1e300");
    CHECK_DISPLAY(123456.789, "123456.789");
    CHECK_DISPLAY(5e-324, "5e-324");
    CHECK_DISPLAY(-1.7976931348623157e308, "-1.7976931348623157e308");
    CHECK_DISPLAY(2.2250738585072014e-308, "2.2250738585072014e-308");
    CHECK_DISPLAY(9007199254740993.0, "9007199254740992.0");
    CHECK_DISPLAY(2e-44, "2e-44");
    CHECK_DISPLAY((double)NAN, "NaN");
    CHECK_DISPLAY((double)INFINITY, "inf");
    CHECK_DISPLAY(-(double)INFINITY, "-inf");
}

static bool check_round_trip(double value) {
    char text[RL_F64_TEXT + 1];
    size_t length = rl_f64_print(value, text);
    text[length] = '\0';
    size_t sign = text[0] == '-';
    double ours = rl_f64_parse((rl_str_t){text + sign, length - sign});
    if (bits_of(sign ? -ours : ours) == bits_of(value) && bits_of(strtod(text, NULL)) == bits_of(value)) return true;
    printf("%a printed as %s\n", value, text);
    return CHECK(!"round trip");
}

static int significant_digits(const char* text) {
    int count = 0, zeros = 0;
    for (; *text && *text != 'e' && *text != 'E'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0)) continue;
        count++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

TEST(test_number__a_million_random_doubles_survive_print_and_parse) {
    for (int i = 0; i < 1000000; i++) {
        double value = double_of(next_random());
        if (isfinite(value) && !check_round_trip(value)) return;
    }
    for (int i = 0; i < 200000; i++) {
        double numerator = (double)(next_random() >> next_random() % 60);
        if (!check_round_trip(numerator / (double)(1 + next_random() % 100000))) return;
    }
}

TEST(test_number__edges_of_every_binade_survive_print_and_parse) {
    for (uint64_t exponent = 0; exponent < 2047; exponent++) {
        static const uint64_t fractions[] = {0, 1, 2, 0x8000000000000, 0xFFFFFFFFFFFFE, 0xFFFFFFFFFFFFF};
        for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++) {
            if (!check_round_trip(double_of(exponent << 52 | fractions[i]))) return;
        }
    }
}

TEST(test_number__no_shorter_text_reads_back) {
    for (int i = 0; i < 20000; i++) {
        double value = fabs(double_of(next_random()));
        if (!isfinite(value) || value == 0) continue;
        char text[RL_F64_TEXT + 1], shorter[64];
        text[rl_f64_print(value, text)] = '\0';
        int digits = significant_digits(text);
        if (digits < 2) continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
        if (!CHECK(strtod(shorter, NULL) != value)) {
            printf("%s could be %s\n", text, shorter);
            return;
        }
    }
}

TEST(test_number__floats_of_32_bits_survive) {
    for (int i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)next_random();
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        char text[RL_F64_TEXT + 1];
        text[rl_f32_print(value, text)] = '\0';
        if (!CHECK(strtof(text, NULL) == value && significant_digits(text) <= 9)) {
            printf("%a printed as %s\n", (double)value, text);
            return;
        }
    }
    char text[RL_F64_TEXT];
    CHECK_TEXT_EQ(((rl_str_t){text, rl_f32_print(0.1f, text)}), "0.1");
    CHECK_TEXT_EQ(((rl_str_t){text, rl_f32_print(16777216.0f, text)}), "16777216.0");
}

static bool check_parse(const char* text) {
    double ours = rl_f64_parse(text_of(text)), expected = strtod(text, NULL);
    if (bits_of(ours) == bits_of(expected)) return true;
    printf("%s read as %a, expected %a\n", text, ours, expected);
    return CHECK(!"parse");
}

TEST(test_number__known_hard_texts_read_correctly) {
    static const char* const texts[] = {
        "0",
        "0.0",
        "0e999999999999999999",
        "1e-999999999999999999",
        "1e999999999999999999",
        "1E+2",
        "00012.50",
        "9007199254740993",
        "9007199254740992.999999999999999999999999",
        "9007199254740993.00000000000000000000001",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "179769313486231580793728971405301e276",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "4.9406564584124654e-324",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "6.631236846766476e-316",
        "0.000000000000000000000000000000000000000000123",
        "123456789012345678901234567890",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "1448997445238699e0",
        "7.2057594037927933e16",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_parse(texts[i]);
}

TEST(test_number__random_texts_read_as_strtod_reads_them) {
    for (int i = 0; i < 200000; i++) {
        char text[1100];
        int length = 0, digits = 1 + (int)(next_random() % (i % 100 == 0 ? 1000 : 30));
        int point = 1 + (int)(next_random() % 30);
        for (int k = 0; k < digits; k++) {
            if (k == point) text[length++] = '.';
            text[length++] = (char)('0' + (next_random() % 4 ? next_random() % 10 : 0));
        }
        snprintf(text + length, sizeof text - (size_t)length, "e%d", (int)(next_random() % 700) - 350);
        if (!check_parse(text)) return;
    }
}

/* The decimal expansion of the number half way between two doubles, and its neighbours in the last digit. */
TEST(test_number__half_way_texts_round_to_even) {
#if __LDBL_MANT_DIG__ >= 64
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = next_random() & INT64_MAX;
        if (i % 3 == 0) bits >>= 12 + next_random() % 10; /* subnormals too */
        double value = double_of(bits), above = double_of(bits + 1);
        if (!isfinite(value) || !isfinite(above)) continue;
        char text[1000];
        snprintf(text, sizeof text, "%.790Le", ((long double)value + above) / 2);
        if (!CHECK(bits_of(rl_f64_parse(text_of(text))) == bits + (bits & 1))) return;
        strchr(text, 'e')[-1] = '1';
        if (!CHECK(bits_of(rl_f64_parse(text_of(text))) == bits + 1)) return;
    }
#endif
}

static void check_format(double value, char conversion, int precision, bool alternate, const char* expected, int line) {
    char out[400];
    size_t length = rl_f64_format(value, conversion, precision, alternate, out, sizeof out);
    check_cstr(out, expected, __FILE__, line, "format");
    check_int((intmax_t)length, (intmax_t)strlen(expected), __FILE__, line, "length");
}

TEST(test_number__format_is_that_of_printf_in_any_locale) {
    static const char* const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        if (!setlocale(LC_NUMERIC, locales[i])) continue; /* not on this machine */
        check_format(3.14159, 'f', 2, false, "3.14", __LINE__);
        check_format(10, 'g', -1, false, "10", __LINE__);
        check_format(10, 'g', -1, true, "10.0000", __LINE__);
        check_format(1e100, 'e', 3, false, "1.000e+100", __LINE__);
        check_format(-0.5, 'E', 0, true, "-5.E-01", __LINE__);
        check_format((double)NAN, 'f', 2, false, "nan", __LINE__);
        check_format((double)INFINITY, 'G', 2, false, "INF", __LINE__);
        CHECK_DISPLAY(1.5, "1.5");
        CHECK(rl_f64_parse(RL_STR("1.5")) == 1.5);
    }
    setlocale(LC_NUMERIC, "C");
    char small[4];
    CHECK_INT_EQ(rl_f64_format(12345.678, 'f', 2, false, small, sizeof small), 8);
    CHECK_STR_EQ(small, "123");
    CHECK_INT_EQ(rl_f64_format(12345.678, 'f', 2, false, NULL, 0), 8);
}

TEST(test_number__integers_print_and_parse) {
    char text[24];
    CHECK_TEXT_EQ(((rl_str_t){text, rl_i64_print(INT64_MIN, text)}), "-9223372036854775808");
    CHECK_TEXT_EQ(((rl_str_t){text, rl_u64_print(0, text)}), "0");
    uint64_t value = 0;
    CHECK(rl_u64_parse(RL_STR("18446744073709551615"), 10, &value) && value == UINT64_MAX);
    CHECK(!rl_u64_parse(RL_STR("18446744073709551616"), 10, &value));
    CHECK(rl_u64_parse(RL_STR("fFfFfFfFfFfFfFfF"), 16, &value) && value == UINT64_MAX);
    CHECK(!rl_u64_parse(RL_STR("10000000000000000"), 16, &value));
    CHECK(rl_u64_parse(RL_STR("1777777777777777777777"), 8, &value) && value == UINT64_MAX);
    CHECK(!rl_u64_parse(RL_STR("8"), 8, &value));
    CHECK(rl_u64_parse(RL_STR("101"), 2, &value) && value == 5);
    CHECK(!rl_u64_parse(RL_STR(""), 10, &value));
}

/* --- Unicode --------------------------------------------------------------------------------------------- */

TEST(test_unicode__knows_the_properties_of_scalars) {
    CHECK_STR_EQ(rl_unicode_version, "16.0.0");
    CHECK(rl_unicode_is_xid_start('a') && rl_unicode_is_xid_start(0x3042) && !rl_unicode_is_xid_start('1'));
    CHECK(!rl_unicode_is_xid_start('_') && rl_unicode_is_xid_continue('_') && rl_unicode_is_xid_continue(0x301));
    CHECK(rl_unicode_is_upper_start('A') && rl_unicode_is_upper_start(0x1C5) && !rl_unicode_is_upper_start(0x3042));
    CHECK(rl_unicode_is_white_space(0x3000) && rl_unicode_is_white_space('\t') && !rl_unicode_is_white_space(0x200B));
    CHECK(rl_unicode_is_alphabetic(0xE9) && !rl_unicode_is_alphabetic('1') && rl_unicode_is_numeric(0x660));
    CHECK(rl_unicode_is_upper(0xC9) && rl_unicode_is_lower(0xE9) && !rl_unicode_is_upper(0xE9));
    CHECK(rl_unicode_is_emoji_part(0x1F600) && rl_unicode_is_emoji_part(0x200D) && !rl_unicode_is_emoji_part('#'));
    CHECK_INT_EQ(rl_unicode_to_upper(0xFF), 0x178);
    CHECK_INT_EQ(rl_unicode_to_upper(0x1F80), 0x1F88);
    CHECK_INT_EQ(rl_unicode_to_lower(0x130), 'i');
    CHECK_INT_EQ(rl_unicode_to_lower(0x10D50), 0x10D70);
    CHECK_INT_EQ(rl_unicode_to_upper(0xDF), 0xDF);
    CHECK_INT_EQ(rl_unicode_cells('a'), 1);
    CHECK_INT_EQ(rl_unicode_cells(0x3042), 2);
    CHECK_INT_EQ(rl_unicode_cells(0x301), 0);
    CHECK(!rl_unicode_is_xid_start(0xFFFFFFFFu) && rl_unicode_cells(0x110000) == 1);
}

static void check_nfc(const char* text, const char* normal, int line) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    rl_buf_t buf;
    rl_buf_init(&buf, &a);
    check_report(rl_normalize_nfc(text_of(text), &buf), __FILE__, line, "normalises");
    check_cstr(rl_buf_cstr(&buf), normal, __FILE__, line, "NFC");
    check_int(rl_unicode_is_nfc(text_of(text)), strcmp(text, normal) == 0, __FILE__, line, "is NFC");
    check_report(rl_unicode_is_nfc(text_of(normal)), __FILE__, line, "the normal form is NFC");
    rl_buf_deinit(&buf);
    check_int((intmax_t)a.live_bytes, 0, __FILE__, line, "live bytes");
}

TEST(test_unicode__normal_form_c) {
    check_nfc("plain", "plain", __LINE__);
    check_nfc("e\xCC\x81", "\xC3\xA9", __LINE__);                                /* e + acute */
    check_nfc("o\xCC\x82\xCC\xA3", "\xE1\xBB\x99", __LINE__);                    /* marks out of order */
    check_nfc("\xC3\xB4\xCC\xA3", "\xE1\xBB\x99", __LINE__);                     /* ô + dot below */
    check_nfc("\xE2\x84\xAB", "\xC3\x85", __LINE__);                             /* angstrom sign */
    check_nfc("\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC", __LINE__);             /* excluded from composition */
    check_nfc("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C", __LINE__); /* Hangul */
    check_nfc("\xED\x95\x98\xE1\x86\xAB", "\xED\x95\x9C", __LINE__);             /* LV + T */
    check_nfc("\xCC\x81"
              "a",
        "\xCC\x81"
        "a",
        __LINE__); /* a mark first */
    check_nfc(
        "\xF0\x91\x8F\x82\xF0\x91\x8F\x87", "\xF0\x91\x8F\x85\xF0\x91\x8E\xB8", __LINE__); /* begins with a part */
}

TEST(test_unicode__normalising_survives_any_failing_request) {
    char text[600] = "e";
    for (size_t i = 1; i + 4 < sizeof text; i += 4) memcpy(text + i, "\xCC\x81\xCC\xA3", 5);
    for (uint64_t n = 1; n <= 20; n++) {
        rl_allocator_t a;
        rl_allocator_init(&a, NULL, NULL);
        a.fail_at = n;
        rl_buf_t buf;
        rl_buf_init(&buf, &a);
        bool done = rl_normalize_nfc(text_of(text), &buf);
        CHECK_INT_EQ(done, !a.failed);
        CHECK_INT_EQ(buf.failed, a.failed);
        rl_buf_deinit(&buf);
        CHECK_INT_EQ(a.live_bytes, 0);
    }
}

TEST(test_unicode__grapheme_clusters) {
    static const struct {
        const char* text;
        size_t length;
    } first_clusters[] = {
        {"ab", 1},
        {"\r\nx", 2},
        {"\r\r", 1},
        {"e\xCC\x81x", 3},
        {"\xF0\x9F\x87\xAF\xF0\x9F\x87\xB5\xF0\x9F\x87\xAF", 8}, /* flag, half a flag */
        {"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7x", 11},   /* family */
        {"\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBDx", 8},                /* skin tone */
        {"\xE0\xA4\x95\xE0\xA5\x8D\xE0\xA4\xB7x", 9},            /* Devanagari conjunct */
        {"\xED\x95\x98\xE1\x86\xABx", 6},                        /* LV + T */
        {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xABx", 9},
        {"\xE3\x81\x82\xE3\x81\x84", 3},
        {"\xFF\xFFz", 2}, /* not UTF-8: on its own */
        {"a\xFFz", 1},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof first_clusters / sizeof *first_clusters; i++) {
        CHECK_INT_EQ(rl_unicode_grapheme(text_of(first_clusters[i].text), 0), first_clusters[i].length);
    }
}

/* --- the operating system -------------------------------------------------------------------------------- */

TEST(test_os__clocks_advance_and_ticks_become_wall_time) {
    int64_t before = rl_os_wall_ns();
    uint64_t monotonic = rl_os_monotonic_ns();
    uint64_t ticks = rl_os_ticks();
    usleep(20000);
    int64_t converted = rl_os_ticks_to_wall_ns(ticks);
    CHECK(converted > before - 200000000 && converted < before + 200000000); /* a busy machine may pause us */
    CHECK(rl_os_ticks() > ticks);
    CHECK(rl_os_monotonic_ns() >= monotonic + 20000000);
    int64_t now = rl_os_ticks_to_wall_ns(rl_os_ticks());
    int64_t distance = now - rl_os_wall_ns();
    CHECK(distance < 200000000 && distance > -200000000);
}

TEST(test_os__times_print_as_rfc_3339) {
    static const struct {
        int64_t ns;
        const char* text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59Z"},
        {951782400000000000, "2000-02-29T00:00:00Z"},
        {1772439300999999999, "2026-03-02T08:15:00Z"},
        {4107542399000000000, "2100-02-28T23:59:59Z"},
        {INT64_MAX, "2262-04-11T23:47:16Z"},
        {INT64_MIN, "1677-09-21T00:12:43Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        CHECK_TEXT_EQ(((rl_str_t){text, rl_os_print_rfc3339(cases[i].ns, text)}), cases[i].text);
    }
}

TEST(test_os__random_bytes_differ) {
    unsigned char a[1000] = {0}, b[1000] = {0};
    CHECK(rl_os_random(a, sizeof a) && rl_os_random(b, sizeof b));
    CHECK(memcmp(a, b, sizeof a) != 0);
    CHECK(rl_os_random(NULL, 0));
}

static void* store_thread_id(void* out) {
    *(uint64_t*)out = rl_os_thread_id();
    return NULL;
}

/* Bytes are drawn ahead: those of the parent are not the child's, also before anything else has asked about forks. */
TEST(test_os__a_forked_child_draws_random_bytes_of_its_own) {
    unsigned char mine[16], of_child[16] = {0};
    int ends[2], status = 0;
    CHECK(rl_os_random(mine, sizeof mine));
    CHECK_INT_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        bool told = rl_os_random(mine, sizeof mine) && write(ends[1], mine, sizeof mine) == (ssize_t)sizeof mine;
        _exit(told ? 0 : 1);
    }
    CHECK(child > 0);
    CHECK(rl_os_random(mine, sizeof mine));
    CHECK_INT_EQ(read(ends[0], of_child, sizeof of_child), (int)sizeof of_child);
    waitpid(child, &status, 0);
    CHECK_INT_EQ(status, 0);
    CHECK(memcmp(mine, of_child, sizeof mine) != 0);
    close(ends[0]);
    close(ends[1]);
}

TEST(test_os__threads_have_their_own_ids) {
    uint64_t other = 0;
    pthread_t thread;
    if (!CHECK(pthread_create(&thread, NULL, store_thread_id, &other) == 0)) return;
    pthread_join(thread, NULL);
    CHECK(other != 0 && rl_os_thread_id() != 0 && other != rl_os_thread_id());
    CHECK(rl_os_thread_id() == rl_os_thread_id());
}

TEST(test_os__a_forked_child_sees_the_next_generation) {
    rl_os_watch_forks();
    uint32_t before = rl_os_fork_generation();
    pid_t child = fork();
    if (child == 0) _exit(rl_os_fork_generation() == before + 1 ? 0 : 1);
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_INT_EQ(rl_os_fork_generation(), before);
}

typedef struct descent {
    unsigned depth;
    bool signals_blocked;
    unsigned char sum;
} descent_t;

static unsigned char descend(unsigned depth) {
    volatile unsigned char frame[4096];
    frame[0] = (unsigned char)depth;
    frame[4095] = 1;
    return depth == 0 ? frame[4095] : (unsigned char)(descend(depth - 1) + frame[0] - frame[0]);
}

static void run_descent(void* user) {
    descent_t* descent = user;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    descent->signals_blocked = sigismember(&mask, SIGINT) == 1;
    descent->sum = descend(descent->depth);
}

TEST(test_os__calls_with_a_large_stack) {
    descent_t descent = {.depth = 5000}; /* 20 MB at least: more than a usual main stack */
    CHECK(rl_os_call_with_stack((size_t)64 << 20, run_descent, &descent));
    CHECK_INT_EQ(descent.sum, 1);
    CHECK(descent.signals_blocked);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    CHECK_INT_EQ(sigismember(&mask, SIGINT), 0);
    CHECK(!rl_os_call_with_stack(SIZE_MAX, run_descent, &descent));
}

TEST(test_os__files_are_written_locked_mapped_and_renamed) {
    const rl_io_t* io = rl_os_io();
    char directory[] = "/tmp/reml-test-base-XXXXXX", path[64], other[64], data[16];
    if (!CHECK(mkdtemp(directory) != NULL)) return;
    snprintf(path, sizeof path, "%s/a", directory);
    snprintf(other, sizeof other, "%s/b", directory);
    CHECK_INT_EQ(io->open(io->user, path, O_RDWR, 0), -ENOENT);
    int fd = io->open(io->user, path, O_RDWR | O_CREAT, 0600), again = io->open(io->user, path, O_RDWR, 0);
    if (!CHECK(fd >= 0 && again >= 0)) return;
    CHECK_INT_EQ(rl_io_write_all(io, fd, "hello", 5), 0);
    CHECK_INT_EQ(io->size(io->user, fd), 5);
    CHECK_INT_EQ(io->read(io->user, fd, data, sizeof data, 1), 4);
    CHECK(memcmp(data, "ello", 4) == 0);
    CHECK_INT_EQ(io->lock(io->user, fd), 0);
    CHECK_INT_EQ(io->lock(io->user, again), -EAGAIN);
    io->close(io->user, fd);
    CHECK_INT_EQ(io->lock(io->user, again), 0);
    CHECK_INT_EQ(io->allocate(io->user, again, 4096), 0);
    char* mapped = io->map(io->user, again, 4096);
    if (CHECK(mapped != NULL)) {
        mapped[0] = 'H';
        io->unmap(io->user, mapped, 4096);
    }
    CHECK_INT_EQ(io->read(io->user, again, data, 5, 0), 5);
    CHECK(memcmp(data, "Hello", 5) == 0);
    CHECK_INT_EQ(io->truncate(io->user, again, 2), 0);
    CHECK_INT_EQ(io->size(io->user, again), 2);
    CHECK_INT_EQ(io->sync(io->user, again), 0);
    io->close(io->user, again);
    CHECK_INT_EQ(io->rename(io->user, path, other), 0);
    CHECK_INT_EQ(io->sync_directory_of(io->user, other), 0);
    CHECK_INT_EQ(io->unlink(io->user, other), 0);
    CHECK_INT_EQ(io->unlink(io->user, other), -ENOENT);
    CHECK_INT_EQ(io->write(io->user, -1, "x", 1), -EBADF);
    rmdir(directory);
}

static int64_t write_one_byte(void* user, int fd, const void* data, size_t length) {
    (void)fd;
    (void)length;
    rl_buf_t* buf = user;
    static bool interrupted;
    interrupted = !interrupted;
    if (interrupted) return -EINTR;
    rl_buf_add_char(buf, *(const char*)data);
    return buf->length > 10 ? -ENOSPC : 1;
}

TEST(test_os__write_all_retries_short_and_interrupted_writes) {
    rl_allocator_t a;
    rl_allocator_init(&a, NULL, NULL);
    rl_buf_t buf;
    rl_buf_init(&buf, &a);
    rl_io_t io = *rl_os_io();
    io.user = &buf;
    io.write = write_one_byte;
    CHECK_INT_EQ(rl_io_write_all(&io, 0, "hello", 5), 0);
    CHECK_TEXT_EQ(buf, "hello");
    CHECK_INT_EQ(rl_io_write_all(&io, 0, "world and more", 14), -ENOSPC);
    rl_buf_deinit(&buf);
}

TEST(test_os__the_target_is_one_of_the_table) {
    const rl_target_t* target = rl_os_target();
    if (!target->os) return;
    CHECK(strlen(target->triple) && strlen(target->platform) && strlen(target->abi) && strlen(target->arch));
#if defined(__linux__) && defined(__x86_64__) && defined(__GLIBC__)
    CHECK_STR_EQ(target->triple, "x86_64-unknown-linux-gnu");
    CHECK_STR_EQ(target->abi, "system_v");
#endif
    const rl_env_t* env = rl_os_env();
    CHECK(env->io == rl_os_io() && env->wall_ns(env->user) > 0 &&
          env->getenv(env->user, "a name nobody has set") == NULL);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_alloc__counts_live_and_peak_bytes),
        RUN(test_alloc__refuses_past_the_limit_and_keeps_the_old_block),
        RUN(test_alloc__a_limit_below_what_is_live_refuses_all_growth),
        RUN(test_alloc__refuses_sizes_that_no_object_can_have),
        RUN(test_alloc__the_chosen_requests_fail),
        RUN(test_arena__blocks_are_zeroed_aligned_and_apart),
        RUN(test_arena__survives_any_failing_request),
        RUN(test_buf__builds_text_of_all_kinds),
        RUN(test_buf__append_past_the_limit_fails_and_drops_the_rest),
        RUN(test_buf__survives_any_failing_request),
        RUN(test_vec__push_keeps_order_and_refuses_past_memory),
        RUN(test_map__agrees_with_a_plain_table_under_random_edits),
        RUN(test_map__survives_any_failing_request),
        RUN(test_hash__depends_on_every_byte_length_and_seed),
        RUN(test_utf8__encodes_and_decodes_every_scalar_value),
        RUN(test_utf8__refuses_what_is_not_well_formed),
        RUN(test_utf8__counts_and_finds_code_points),
        RUN(test_json__writes_values_with_commas_and_escapes),
        RUN(test_number__floats_display_as_the_language_says),
        RUN(test_number__a_million_random_doubles_survive_print_and_parse),
        RUN(test_number__edges_of_every_binade_survive_print_and_parse),
        RUN(test_number__no_shorter_text_reads_back),
        RUN(test_number__floats_of_32_bits_survive),
        RUN(test_number__known_hard_texts_read_correctly),
        RUN(test_number__random_texts_read_as_strtod_reads_them),
        RUN(test_number__half_way_texts_round_to_even),
        RUN(test_number__format_is_that_of_printf_in_any_locale),
        RUN(test_number__integers_print_and_parse),
        RUN(test_unicode__knows_the_properties_of_scalars),
        RUN(test_unicode__normal_form_c),
        RUN(test_unicode__normalising_survives_any_failing_request),
        RUN(test_unicode__grapheme_clusters),
        RUN(test_os__clocks_advance_and_ticks_become_wall_time),
        RUN(test_os__times_print_as_rfc_3339),
        RUN(test_os__random_bytes_differ),
        RUN(test_os__a_forked_child_draws_random_bytes_of_its_own),
        RUN(test_os__threads_have_their_own_ids),
        RUN(test_os__a_forked_child_sees_the_next_generation),
        RUN(test_os__calls_with_a_large_stack),
        RUN(test_os__files_are_written_locked_mapped_and_renamed),
        RUN(test_os__write_all_retries_short_and_interrupted_writes),
        RUN(test_os__the_target_is_one_of_the_table),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
