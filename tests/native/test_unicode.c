/* Unicode against the published data and against laws that hold for every text. Run from the root of the checkout. */
#include "check.h"

#include "base/normalize.h"
#include "base/unicode.h"
#include "base/utf8.h"

#include <stdlib.h>

static rl_allocator_t allocator;

/* --- UAX #29, as published: "÷ 0020 × 0308 ÷ 0020 ÷" --------------------------------------------------------------- */

TEST(test_unicode__grapheme_clusters_are_those_of_the_published_test) {
    FILE* file = fopen("tests/native/unicode/GraphemeBreakTest-16.0.0.txt", "rb");
    if (!CHECK(file != NULL)) return;
    char line[1024];
    unsigned lines = 0;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') continue;
        char text[256];
        size_t length = 0, breaks[64], count = 0;
        for (const char* at = line; *at && *at != '\n';) {
            if (strncmp(at, "\xC3\xB7", 2) == 0) { /* ÷ */
                breaks[count++] = length;
                at += 2;
            } else if (strncmp(at, "\xC3\x97", 2) == 0) { /* × */
                at += 2;
            } else if (*at == ' ') {
                at++;
            } else {
                char* end;
                length += rl_utf8_encode((uint32_t)strtoul(at, &end, 16), text + length);
                at = end;
            }
        }
        lines++;
        size_t found = 0, at = 0;
        for (; at < length; at += rl_unicode_grapheme((rl_str_t){text, length}, at), found++) {
            if (found >= count || breaks[found] != at) break;
        }
        if (at != length || found + 1 != count) {
            check_failures++;
            printf("clusters differ: %s", line);
        }
    }
    fclose(file);
    CHECK_INT_EQ(lines, 1093);
}

/* --- normal forms ---------------------------------------------------------------------------------------------------- */

static void check_form(const char* text, rl_normal_form_t form, const char* normal, int line) {
    rl_buf_t buf;
    rl_buf_init(&buf, &allocator);
    check_report(rl_normalize(rl_str(text), form, &buf), __FILE__, line, "normalises");
    check_bytes(rl_buf_cstr(&buf), buf.length, normal, strlen(normal), __FILE__, line, "normal form");
    check_int(rl_is_normalized(rl_str(text), form), strcmp(text, normal) == 0, __FILE__, line, "is normalised");
    check_int(rl_is_normalized(rl_str(normal), form), 1, __FILE__, line, "the normal form is normalised");
    rl_buf_deinit(&buf);
}

TEST(test_unicode__the_four_normal_forms) {
    static const struct {
        const char *text, *c, *d, *kc, *kd;
    } rows[] = {
        {"abc", "abc", "abc", "abc", "abc"},
        {"\xC3\xA9", "\xC3\xA9", "e\xCC\x81", "\xC3\xA9", "e\xCC\x81"}, /* é */
        {"\xEF\xAC\x81", "\xEF\xAC\x81", "\xEF\xAC\x81", "fi", "fi"},   /* fi ligature */
        {"\xC2\xBD", "\xC2\xBD", "\xC2\xBD",
            "1\xE2\x81\x84"
            "2",
            "1\xE2\x81\x84"
            "2"},                                                   /* one half */
        {"\xEF\xBC\xA1", "\xEF\xBC\xA1", "\xEF\xBC\xA1", "A", "A"}, /* fullwidth A */
        {"\xE1\xBA\x9B\xCC\xA3", "\xE1\xBA\x9B\xCC\xA3", "\xC5\xBF\xCC\xA3\xCC\x87", "\xE1\xB9\xA9",
            "s\xCC\xA3\xCC\x87"},
        {"\xED\x95\x9C", "\xED\x95\x9C", "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C",
            "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"}, /* Hangul syllable */
        {"\xEF\xBE\x8A\xEF\xBE\x9F", "\xEF\xBE\x8A\xEF\xBE\x9F", "\xEF\xBE\x8A\xEF\xBE\x9F", "\xE3\x83\x91",
            "\xE3\x83\x8F\xE3\x82\x9A"},                                        /* halfwidth katakana HA and its mark */
        {"\xF0\x9D\x94\xB8", "\xF0\x9D\x94\xB8", "\xF0\x9D\x94\xB8", "A", "A"}, /* double-struck A */
        {"\xE2\x84\xA6", "\xCE\xA9", "\xCE\xA9", "\xCE\xA9", "\xCE\xA9"},       /* ohm sign */
    };
    for (size_t i = 0; i < RL_COUNT_OF(rows); i++) {
        check_form(rows[i].text, RL_NFC, rows[i].c, (int)i);
        check_form(rows[i].text, RL_NFD, rows[i].d, (int)i);
        check_form(rows[i].text, RL_NFKC, rows[i].kc, (int)i);
        check_form(rows[i].text, RL_NFKD, rows[i].kd, (int)i);
    }
}

static uint64_t random_state = 0x9E3779B97F4A7C15u;
static uint32_t next_random(uint32_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % below);
}
static uint32_t random_scalar(void) {
    static const uint32_t blocks[][2] = {{'a', 26}, {0xC0, 0x180}, {0x300, 0x70}, {0x591, 0x60}, {0x900, 0x500},
        {0x1100, 0x100}, {0x1E00, 0x200}, {0x3041, 0x60}, {0xAC00, 0x2BA4}, {0xF900, 0x200}, {0xFB00, 0x500},
        {0x11000, 0x1000}, {0x1D100, 0x200}, {0x2F800, 0x21E}};
    uint32_t block = next_random(RL_COUNT_OF(blocks));
    return blocks[block][0] + next_random(blocks[block][1]);
}

/* What every implementation of UAX #15 has to fulfil, for texts of scalars that combine. */
TEST(test_unicode__normal_forms_obey_their_laws) {
    rl_buf_t form[4], again;
    rl_buf_init(&again, &allocator);
    for (unsigned f = 0; f < 4; f++) rl_buf_init(&form[f], &allocator);
    for (unsigned round = 0; round < 20000; round++) {
        char text[64];
        size_t length = 0;
        for (uint32_t n = 1 + next_random(8); n > 0; n--) length += rl_utf8_encode(random_scalar(), text + length);
        for (unsigned f = 0; f < 4; f++) {
            rl_buf_clear(&form[f]);
            CHECK(rl_normalize((rl_str_t){text, length}, (rl_normal_form_t)f, &form[f]));
            CHECK(rl_utf8_validate(rl_buf_str(&form[f])) == form[f].length);
            CHECK(rl_is_normalized(rl_buf_str(&form[f]), (rl_normal_form_t)f));
            CHECK_INT_EQ(rl_is_normalized((rl_str_t){text, length}, (rl_normal_form_t)f),
                rl_str_equal((rl_str_t){text, length}, rl_buf_str(&form[f])));
        }
        /* Normalising C gives D and back; K of any form is K of the text. */
        for (unsigned f = 0; f < 4; f++) {
            for (unsigned g = 0; g < 4; g++) {
                unsigned expected = f >= 2 && g < 2 ? g + 2 : g;
                rl_buf_clear(&again);
                CHECK(rl_normalize(rl_buf_str(&form[f]), (rl_normal_form_t)g, &again));
                CHECK(rl_str_equal(rl_buf_str(&again), rl_buf_str(&form[expected])));
            }
        }
        if (check_failures) break;
    }
    for (unsigned f = 0; f < 4; f++) rl_buf_deinit(&form[f]);
    rl_buf_deinit(&again);
}

/* A megabyte of marks in the worst order: seconds when sorting or composing were quadratic. */
TEST(test_unicode__hostile_sequences_of_marks_are_linear) {
    static const char* const pairs[] = {"\xCC\x81\xCC\xA3", "\xE1\x85\xA1\xE1\x86\xAB", "\xCE\xA3'"};
    rl_buf_t text, out;
    rl_buf_init(&text, &allocator);
    rl_buf_init(&out, &allocator);
    for (size_t p = 0; p < RL_COUNT_OF(pairs); p++) {
        rl_buf_clear(&text);
        rl_buf_clear(&out);
        rl_buf_add_cstr(&text, "a");
        for (unsigned i = 0; i < 200000; i++) rl_buf_add_cstr(&text, pairs[p]);
        CHECK(rl_normalize(rl_buf_str(&text), RL_NFKC, &out));
        (void)rl_unicode_is_nfc(rl_buf_str(&text));
        rl_buf_clear(&out);
        rl_unicode_lower_text(rl_buf_str(&text), &out);
        CHECK(!out.failed);
        size_t clusters = 0;
        for (size_t at = 0; at < text.length; at += rl_unicode_grapheme(rl_buf_str(&text), at)) clusters++;
        CHECK(clusters > 0);
    }
    rl_buf_deinit(&text);
    rl_buf_deinit(&out);
}

/* --- case, width ---------------------------------------------------------------------------------------------------- */

TEST(test_unicode__full_case_mapping) {
    static const struct {
        const char *text, *upper, *lower;
    } rows[] = {
        {"Hello, World 12", "HELLO, WORLD 12", "hello, world 12"},
        {"stra\xC3\x9F"
         "e",
            "STRASSE",
            "stra\xC3\x9F"
            "e"},
        {"\xEF\xAC\x83", "FFI", "\xEF\xAC\x83"},                      /* ffi ligature */
        {"\xC4\xB0", "\xC4\xB0", "i\xCC\x87"},                        /* I with dot */
        {"\xCE\x9F\xCE\xA3", "\xCE\x9F\xCE\xA3", "\xCE\xBF\xCF\x82"}, /* final sigma */
        {"\xCE\xA3\xCE\x9F", "\xCE\xA3\xCE\x9F", "\xCF\x83\xCE\xBF"}, /* not final */
        {"\xCE\xA3", "\xCE\xA3", "\xCF\x83"},                         /* alone */
        {"A\xCE\xA3.", "A\xCE\xA3.", "a\xCF\x82."},
        {"A\xCE\xA3.B", "A\xCE\xA3.B", "a\xCF\x83.b"},
        {"A.\xCE\xA3 B", "A.\xCE\xA3 B", "a.\xCF\x82 b"},
        {"A \xCE\xA3", "A \xCE\xA3", "a \xCF\x83"},
        {"\xCE\x90", "\xCE\x99\xCC\x88\xCC\x81", "\xCE\x90"}, /* three scalars */
    };
    rl_buf_t out;
    rl_buf_init(&out, &allocator);
    for (size_t i = 0; i < RL_COUNT_OF(rows); i++) {
        rl_buf_clear(&out);
        rl_unicode_upper_text(rl_str(rows[i].text), &out);
        check_bytes(rl_buf_cstr(&out), out.length, rows[i].upper, strlen(rows[i].upper), __FILE__, (int)i, "upper");
        rl_buf_clear(&out);
        rl_unicode_lower_text(rl_str(rows[i].text), &out);
        check_bytes(rl_buf_cstr(&out), out.length, rows[i].lower, strlen(rows[i].lower), __FILE__, (int)i, "lower");
    }
    rl_buf_deinit(&out);
}

TEST(test_unicode__width_of_clusters) {
    static const struct {
        const char* cluster;
        unsigned cells;
    } rows[] = {{"a", 1}, {"e\xCC\x81", 1}, {"\xE6\xBC\xA2", 2}, {"\n", 0},
        {"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB", 2}, {"\xF0\x9F\x87\xAF\xF0\x9F\x87\xB5", 2},
        {"\xE2\x9D\xA4\xEF\xB8\x8F", 2}, {"\xE2\x9D\xA4", 1}, {"\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD", 2},
        {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", 2}, {"\xE0\xB8\x81\xE0\xB8\xB3", 2}, {"\xCC\x81", 0},
        {"1\xEF\xB8\x8F\xE2\x83\xA3", 2}};
    for (size_t i = 0; i < RL_COUNT_OF(rows); i++)
        check_int(rl_unicode_cluster_cells(rl_str(rows[i].cluster)), rows[i].cells, __FILE__, (int)i, "cells");
}

/* No prefix of the failing requests leaves anything behind or answers true. */
TEST(test_unicode__normalising_survives_any_failing_request) {
    char text[600];
    size_t length = 0;
    for (unsigned i = 0; i < 100; i++) length += rl_utf8_encode(i % 3 ? 0x301 + i % 7 : 0xFB01, text + length);
    for (unsigned limit = 0; limit < 4000; limit += 37) {
        rl_allocator_t small;
        rl_allocator_init(&small, NULL, NULL);
        small.limit_bytes = limit + 1;
        rl_buf_t out;
        rl_buf_init(&out, &small);
        bool done = rl_normalize((rl_str_t){text, length}, RL_NFKC, &out);
        CHECK_INT_EQ(done, !out.failed);
        rl_buf_deinit(&out);
        CHECK_INT_EQ(small.live_bytes, 0);
    }
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_unicode__grapheme_clusters_are_those_of_the_published_test),
        RUN(test_unicode__the_four_normal_forms),
        RUN(test_unicode__normal_forms_obey_their_laws),
        RUN(test_unicode__hostile_sequences_of_marks_are_linear),
        RUN(test_unicode__full_case_mapping),
        RUN(test_unicode__width_of_clusters),
        RUN(test_unicode__normalising_survives_any_failing_request),
    };
    rl_allocator_init(&allocator, NULL, NULL);
    int status = check_main(tests, sizeof tests / sizeof *tests, argc, argv);
    return allocator.live_bytes == 0 ? status : 1;
}
