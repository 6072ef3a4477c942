/* LANGUAGE section 1: characters, lines, comments, identifiers, tokens, literals. */
#include "syntax_support.h"

static rl_tokens_t tokens;
static uint32_t errors;

static void lex_bytes(world_t* w, const char* source, size_t length) {
    world_open(w, source, length);
    tokens = (rl_tokens_t){0};
    errors = 0;
    CHECK(rl_tree_init(&w->tree, &w->allocator));
    rl_lexer_input_t input = {&w->allocator, {source, length}, &w->symbols, &w->diags, 1024, NULL, 0};
    CHECK(rl_lex(&input, &w->tree, &tokens, &errors));
}

static void done(world_t* w) {
    rl_vec_deinit(&w->allocator, &tokens);
    world_close(w);
}

/* The texts of the tokens with a blank between them; a token that is first on its line has a `/` before it. */
static const char* texts(const char* source, size_t length) {
    static char out[4096];
    world_t w;
    size_t at = 0;
    lex_bytes(&w, source, length);
    for (uint32_t i = 0; i + 1 < tokens.count; i++) {
        const rl_token_t* token = &tokens.data[i];
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s%.*s", i ? " " : "", token->nl_before && i ? "/" : "",
            (int)(token->end - token->start), source + token->start);
    }
    out[at] = 0;
    done(&w);
    return out;
}

#define CHECK_TEXTS(source, expected) CHECK_STR_EQ(texts(source, strlen(source)), expected)

/* The only error of `source` is `code` at [start, end). */
static void check_error(const char* source, const char* code, uint32_t start, uint32_t end) {
    world_t w;
    lex_bytes(&w, source, strlen(source));
    CHECK_INT_EQ(errors, 1);
    CHECK_STR_EQ(code_of(&w, 0), code);
    if (w.diags.items.count) {
        CHECK_INT_EQ(w.diags.items.data[0].span.start, start);
        CHECK_INT_EQ(w.diags.items.data[0].span.end, end);
    }
    if (check_failures) printf("  in: %s\n", source);
    done(&w);
}

static rl_token_kind_t first_kind(const char* source) {
    world_t w;
    lex_bytes(&w, source, strlen(source));
    rl_token_kind_t kind = (rl_token_kind_t)tokens.data[0].kind;
    if (tokens.count != 2) kind = RL_TOK_EOF;
    done(&w);
    return kind;
}

/* --- 1.1, 1.2, 1.3 -------------------------------------------------------------------------------------------------- */

TEST(test_lexer__every_line_end_counts_once) { CHECK_TEXTS("a\nb\r\nc\rd\n\n\re", "a /b /c /d /e"); }

TEST(test_lexer__byte_order_mark_is_skipped) {
    CHECK_TEXTS("\xEF\xBB\xBF"
                "a b",
        "a b");
    world_t w;
    lex_bytes(&w,
        "\xEF\xBB\xBF"
        "a",
        4);
    CHECK_INT_EQ(tokens.data[0].column, 1);
    done(&w);
    check_error("a \xEF\xBB\xBF", "parser.lexer.unknown_token", 2, 5);
}

TEST(test_lexer__white_space_separates_tokens) {
    CHECK_TEXTS("a\tb\xE3\x80\x80"
                "c\v\fd\xC2\x85"
                "e",
        "a b c d e");
}

TEST(test_lexer__columns_count_grapheme_clusters) {
    world_t w;
    const char* source = "\xE3\x80\x80"
                         "a \"e\xCC\x81\xE6\x97\xA5\" b\n  c /* \xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9 */ d";
    lex_bytes(&w, source, strlen(source));
    static const uint32_t columns[] = {2, 4, 9, 3, 13};
    for (uint32_t i = 0; i < 5; i++) CHECK_INT_EQ(tokens.data[i].column, columns[i]);
    done(&w);
}

TEST(test_lexer__columns_go_on_behind_texts_of_several_lines) {
    world_t w;
    const char* source = "a /* x\n y */ b\n\"\"\"1\n 2\"\"\" c \"x\\\n   y\" d";
    lex_bytes(&w, source, strlen(source));
    static const uint32_t columns[] = {1, 7, 1, 7, 9, 7};
    for (uint32_t i = 0; i < 6; i++) CHECK_INT_EQ(tokens.data[i].column, columns[i]);
    CHECK(tokens.data[1].nl_before);  /* a comment with a newline counts as one */
    CHECK(!tokens.data[3].nl_before); /* a token stands on that line */
    done(&w);
}

TEST(test_lexer__comments_nest_and_keep_newlines) {
    CHECK_TEXTS("a // x /* y\nb /* c /* d */ e */ f /// g\n/* h\n */ i", "a /b f /i");
    check_error("a /* b /* c */", "parser.lexer.unterminated_comment", 2, 4);
}

TEST(test_lexer__invalid_utf8_is_reported_at_its_byte_and_skipped) {
    check_error("a \xFF b", "parser.lexer.invalid_utf8", 2, 3);
    check_error("a \xED\xA0\x80 b", "parser.lexer.invalid_utf8", 2, 3); /* a surrogate */
    check_error("// \xC0\xAF", "parser.lexer.invalid_utf8", 3, 4);      /* overlong, in a comment */
    check_error("\"\xE3\x81\"", "parser.lexer.invalid_utf8", 1, 2);     /* cut short, in a string */
    CHECK_TEXTS("a\xFF"
                "b \x80\x80 c",
        "a b c");
}

TEST(test_lexer__nul_is_a_bad_character_outside_literals_only) {
    world_t w;
    lex_bytes(&w, "a \0 b", 5);
    CHECK_INT_EQ(errors, 1);
    CHECK_STR_EQ(code_of(&w, 0), "parser.lexer.unknown_token");
    CHECK_INT_EQ(tokens.count, 3);
    done(&w);
    lex_bytes(&w, "\"a\0b\"", 5);
    CHECK_INT_EQ(errors, 0);
    CHECK_INT_EQ(rl_tree_string(&w.tree, tokens.data[0].value).length, 3);
    done(&w);
}

/* --- 1.4, 1.5 ------------------------------------------------------------------------------------------------------- */

TEST(test_lexer__identifiers_take_unicode_primes_and_emoji) {
    CHECK_TEXTS("state' x'' _a1 \xE6\x97\xA5\xE6\x9C\xAC a\xF0\x9F\x9A\x80 a\xE2\x80\x8D"
                "b", /* keep */
        "state' x'' _a1 \xE6\x97\xA5\xE6\x9C\xAC a\xF0\x9F\x9A\x80 a\xE2\x80\x8D"
        "b");
    CHECK_INT_EQ(first_kind("abc"), RL_TOK_IDENT);
    CHECK_INT_EQ(first_kind("Abc"), RL_TOK_UIDENT);
    CHECK_INT_EQ(first_kind("\xC3\x89t\xC3\xA9"), RL_TOK_UIDENT); /* É: Lu */
    CHECK_INT_EQ(first_kind("\xC7\x85x"), RL_TOK_UIDENT);         /* ǅ: Lt */
    CHECK_INT_EQ(first_kind("\xE6\x97\xA5"), RL_TOK_IDENT);       /* no case */
    CHECK_INT_EQ(first_kind("_Abc"), RL_TOK_IDENT);
    CHECK_INT_EQ(first_kind("_"), RL_TOK_UNDERSCORE);
    CHECK_INT_EQ(first_kind("let'"), RL_TOK_IDENT);
    check_error("\xF0\x9F\x9A\x80", "parser.lexer.unknown_token", 0, 4); /* an emoji starts no identifier */
    CHECK_TEXTS("a\xE2\x98\x83#*", "a\xE2\x98\x83 *");                   /* snowman; never # or * */
}

TEST(test_lexer__identifiers_not_in_nfc_are_refused_with_a_fix) {
    world_t w;
    lex_bytes(&w, "let cafe\xCC\x81 = 1", 15);
    CHECK_STR_EQ(code_of(&w, 0), "E6002");
    const rl_diag_t* diag = &w.diags.items.data[0];
    CHECK_INT_EQ(diag->span.start, 4);
    CHECK_INT_EQ(diag->span.end, 10);
    if (CHECK(diag->fixits.count == 1)) {
        CHECK_INT_EQ(diag->fixits.data[0].kind, RL_FIX_REPLACE);
        CHECK_TEXT_EQ(diag->fixits.data[0].text, "caf\xC3\xA9");
    }
    done(&w);
}

TEST(test_lexer__bidi_controls_are_refused_outside_text_only) {
    world_t w;
    lex_bytes(&w, "a\xE2\x80\xAE b", 6);
    CHECK_STR_EQ(code_of(&w, 0), "E6001");
    if (CHECK(w.diags.items.data[0].fixits.count == 1))
        CHECK_INT_EQ(w.diags.items.data[0].fixits.data[0].kind, RL_FIX_DELETE);
    CHECK_INT_EQ(tokens.count, 3);
    done(&w);
    const char* in_text = "\"\xE2\x80\xAE\" // \xE2\x81\xA6";
    lex_bytes(&w, in_text, strlen(in_text));
    CHECK_INT_EQ(errors, 0);
    CHECK_INT_EQ(w.diags.items.count, 2);
    CHECK_STR_EQ(code_of(&w, 1), "W6102");
    done(&w);
}

TEST(test_lexer__keywords_are_hard_or_contextual) {
#define KEYWORD(name, text) CHECK_INT_EQ(first_kind(text), RL_TOK_##name);
#define CONTEXT(name, text) CHECK_INT_EQ(first_kind(text), RL_TOK_IDENT);
#include "syntax/token.def"
    CHECK_INT_EQ(first_kind("resume"), RL_TOK_IDENT);
    CHECK_INT_EQ(first_kind("default"), RL_TOK_IDENT);
    CHECK_INT_EQ(first_kind("lets"), RL_TOK_IDENT);
    world_t w;
    lex_bytes(&w, "handle end x", 12);
    CHECK_INT_EQ(tokens.data[0].word, RL_WORD_HANDLE);
    CHECK_INT_EQ(tokens.data[1].word, RL_WORD_END);
    CHECK_INT_EQ(tokens.data[2].word, RL_WORD_NONE);
    CHECK_TEXT_EQ(rl_sym_text(&w.symbols, tokens.data[0].value), "handle");
    done(&w);
}

TEST(test_lexer__identifier_length_is_limited) {
    char name[1100];
    memset(name, 'a', sizeof name);
    world_t w;
    lex_bytes(&w, name, 1024);
    CHECK_INT_EQ(errors, 0);
    done(&w);
    lex_bytes(&w, name, 1025);
    CHECK_STR_EQ(code_of(&w, 0), "parser.limit.exceeded");
    done(&w);
}

/* --- 1.6 ------------------------------------------------------------------------------------------------------------ */

TEST(test_lexer__operators_match_the_longest_text_first) {
    CHECK_TEXTS("...|>~>->=>:=::==!=<=>=&&||+++=-=*=/=..", "... |> ~> -> => := :: == != <= >= && || ++ += -= *= /= ..");
    CHECK_TEXTS("()[]{}<>+-*/%^=!?.,;:@|&_", "( ) [ ] { } < > + - * / % ^ = ! ? . , ; : @ | & _");
    CHECK_TEXTS("a>>=b a..=b (|N|_|)", "a > >= b a .. = b ( | N | _ | )");
}

TEST(test_lexer__unknown_characters_are_skipped) {
    check_error("a $ b", "parser.lexer.unknown_token", 2, 3);
    check_error("a ~ b", "parser.lexer.unknown_token", 2, 3);
    check_error("a # b", "parser.lexer.unknown_token", 2, 3);
    CHECK_TEXTS("a $ b", "a b");
}

TEST(test_lexer__hash_attributes_are_refused_as_a_whole) {
    check_error("#[inline(a[1])]\nfn f()", "language.unsupported", 0, 2);
    CHECK_TEXTS("x\n#[inline(a[1])] fn f", "x /fn f");
}

/* --- 1.7 ------------------------------------------------------------------------------------------------------------ */

static void check_int_value(const char* source, uint64_t expected) {
    world_t w;
    lex_bytes(&w, source, strlen(source));
    CHECK_INT_EQ(errors, 0);
    CHECK_INT_EQ(tokens.data[0].kind, RL_TOK_INT);
    CHECK(rl_tree_int(&w.tree, tokens.data[0].value) == expected);
    if (check_failures) printf("  in: %s\n", source);
    done(&w);
}

static void check_float_value(const char* source, double expected) {
    world_t w;
    lex_bytes(&w, source, strlen(source));
    CHECK_INT_EQ(errors, 0);
    CHECK_INT_EQ(tokens.data[0].kind, RL_TOK_FLOAT);
    CHECK(rl_tree_float(&w.tree, tokens.data[0].value) == expected);
    if (check_failures) printf("  in: %s\n", source);
    done(&w);
}

TEST(test_lexer__integers) {
    check_int_value("42", 42);
    check_int_value("007", 7);
    check_int_value("1_000", 1000);
    check_int_value("0b1010", 10);
    check_int_value("0o755", 493);
    check_int_value("0xFF", 255);
    check_int_value("0xFFFF_FFFF_FFFF_FFFF", UINT64_MAX);
    check_int_value("18446744073709551615", UINT64_MAX);
    check_error("18446744073709551616", "E7101", 0, 20);
    check_error("0x1_0000_0000_0000_0000", "E7101", 0, 23);
}

TEST(test_lexer__floats) {
    check_float_value("3.14", 3.14);
    check_float_value("2_048.0", 2048.0);
    check_float_value("1e-9", 1e-9);
    check_float_value("1.25e-3", 1.25e-3);
    check_float_value("2E+2", 200.0);
    check_float_value("5e-324", 5e-324);
    check_float_value("0.000000000000000000000000000000000000000000000000000000000000000000001", 1e-69);
    check_error("1e400", "E7102", 0, 5);
}

TEST(test_lexer__a_dot_without_digits_on_both_sides_is_no_float) {
    CHECK_TEXTS("16.ms 3. .5 1..2 1.5.s t.0.1 x.1e", "16 . ms 3 . . 5 1 .. 2 1.5 . s t . 0 . 1 x . 1e");
    CHECK_TEXTS("f(1.) ", "f ( 1 . )");
}

TEST(test_lexer__malformed_numbers) {
    static const char* const bad[] = {
        "0x", "0b", "0b12", "0b102", "1__0", "1_", "12abc", "1e", "1e+", "1.5_", "1.5x", "0X1F", "1_.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        world_t w;
        lex_bytes(&w, bad[i], strlen(bad[i]));
        CHECK_STR_EQ(code_of(&w, 0), "parser.lexer.invalid_number");
        if (check_failures) printf("  in: %s\n", bad[i]);
        done(&w);
    }
    check_error("0b12 x", "parser.lexer.invalid_number", 0, 4);
}

static void check_string(const char* source, const char* expected, size_t expected_length) {
    world_t w;
    lex_bytes(&w, source, strlen(source));
    CHECK_INT_EQ(errors, 0);
    CHECK_INT_EQ(tokens.count, 2);
    rl_str_t value = rl_tree_string(&w.tree, tokens.data[0].value);
    check_bytes(value.data, value.length, expected, expected_length, __FILE__, __LINE__, source);
    done(&w);
}
#define CHECK_STRING(source, expected) check_string(source, expected, sizeof(expected) - 1)

TEST(test_lexer__strings_and_their_escapes) {
    CHECK_STRING("\"\"", "");
    CHECK_STRING("\"a\\n\\t\\r\\0\\\\\\\"\\'\\a\\b\\f\\v\\{\\}z\"", "a\n\t\r\0\\\"'\a\b\f\v{}z");
    CHECK_STRING("\"\\x41\\u{1F600}\\u00e9\\u{0}\"", "A\xF0\x9F\x98\x80\xC3\xA9\0");
    CHECK_STRING("\"a \\\n   b\"", "a b");
    CHECK_STRING("\"a \\\r\n\t b\"", "a b");
    CHECK_STRING("r\"\\n\"", "\\n");
    CHECK_STRING("r#\"a\"b\"#", "a\"b");
    CHECK_STRING("r##\"a\"#b\"##", "a\"#b");
    CHECK_STRING("r\"a\r\nb\rc\"", "a\nb\nc");
    CHECK_STRING("\"\"\"\na\"b\\n\r\nc\"\"\"", "\na\"b\n\nc");
    CHECK_STRING("r\"\"\"\\n\n\"\"\"", "\\n\n");
    CHECK_STRING("r\"\"", "");
    CHECK_STRING("\"\xE6\x97\xA5\"", "\xE6\x97\xA5");
    CHECK_TEXTS("bar\"x\" r #x", "bar \"x\" r x"); /* no raw string */
}

TEST(test_lexer__bad_escapes_and_open_strings) {
    static const char* const bad[] = {"\\q", "\\x80", "\\x4g", "\\xg1", "\\u{}", "\\u{1234567}", "\\u{110000}",
        "\\u{D800}", "\\uD800", "\\u12", "\\u{12", "\\\xE6\x97\xA5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char source[40];
        world_t w;
        snprintf(source, sizeof source, "\"a%sb\"", bad[i]);
        lex_bytes(&w, source, strlen(source));
        CHECK_STR_EQ(code_of(&w, 0), "parser.lexer.invalid_escape");
        CHECK_INT_EQ(tokens.count, 2);
        if (check_failures) printf("  in: %s\n", source);
        done(&w);
    }
    check_error("\"a\\qb\"", "parser.lexer.invalid_escape", 2, 4);
    check_error("\"abc\nd", "parser.lexer.unterminated_string", 0, 4);
    check_error("x \"abc", "parser.lexer.unterminated_string", 2, 6);
    check_error("r#\"abc\"", "parser.lexer.unterminated_string", 0, 3);
    check_error("\"\"\"abc\n", "parser.lexer.unterminated_string", 0, 3);
}

static void check_char(const char* source, uint32_t expected) {
    world_t w;
    lex_bytes(&w, source, strlen(source));
    CHECK_INT_EQ(errors, 0);
    CHECK_INT_EQ(tokens.count, 2);
    CHECK_INT_EQ(rl_tree_node(&w.tree, tokens.data[0].value)->a, expected);
    done(&w);
}

TEST(test_lexer__characters) {
    check_char("'A'", 'A');
    check_char("'\\n'", '\n');
    check_char("'\\''", '\'');
    check_char("'\\u{1F600}'", 0x1F600);
    check_char("'\xE6\x97\xA5'", 0x65E5);
    check_char("'\"'", '"');
    check_error("''", "parser.lexer.invalid_char_literal", 0, 2);
    check_error("'ab'", "parser.lexer.invalid_char_literal", 0, 4);
    check_error("'''", "parser.lexer.invalid_char_literal", 0, 3);
    check_error("'e\xCC\x81'", "parser.lexer.invalid_char_literal", 0, 5); /* two scalars */
    check_error("'a", "parser.lexer.invalid_char_literal", 0, 2);
    check_error("'\\q'", "parser.lexer.invalid_escape", 1, 3);
    CHECK_TEXTS("f'a 'b'", "f' a 'b'"); /* glued to an identifier it is a prime */
}

/* --- positions inside literals, robustness ---------------------------------------------------------------------------- */

TEST(test_lexer__literal_map_finds_source_bytes) {
    world_t w;
    const char* source = "x \"a\\n\\u{e9}\\\n  b\r\n\"";
    lex_bytes(&w, "x \"a\\n\\u{e9}\\\n  b\"", 18);
    uint32_t map[8];
    CHECK_INT_EQ(rl_tree_string(&w.tree, tokens.data[1].value).length, 5);
    rl_lex_literal_map(RL_STR("x \"a\\n\\u{e9}\\\n  b\""), &w.tree, tokens.data[1].value, map);
    static const uint32_t expected[] = {3, 4, 6, 6, 16, 17};
    for (uint32_t i = 0; i < 6; i++) CHECK_INT_EQ(map[i], expected[i]);
    (void)source;
    done(&w);
}

TEST(test_lexer__every_byte_value_in_every_place_is_survived) {
    static const char* const frames[] = {
        "%c", "a%c", "a%cb", "\"%c\"", "'%c'", "1%c", "/*%c*/", "r#%c", "\\%c", "\"\\%c\"", ".%c"};
    for (size_t frame = 0; frame < sizeof frames / sizeof *frames; frame++) {
        for (int byte = 0; byte < 256; byte++) {
            const char* hole = strchr(frames[frame], '%');
            char source[16];
            size_t before = (size_t)(hole - frames[frame]), length = strlen(frames[frame]) - 1;
            memcpy(source, frames[frame], before);
            source[before] = (char)byte;
            memcpy(source + before + 1, hole + 2, length - before - 1);
            char* exact = malloc(length); /* so that reading past the end is seen */
            memcpy(exact, source, length);
            world_t w;
            lex_bytes(&w, exact, length);
            CHECK_INT_EQ(tokens.data[tokens.count - 1].kind, RL_TOK_EOF);
            for (uint32_t i = 0; i < tokens.count; i++)
                CHECK(tokens.data[i].start <= tokens.data[i].end && tokens.data[i].end <= length);
            done(&w);
            free(exact);
        }
    }
}

TEST(test_lexer__tokens_print_one_line_each) {
    world_t w;
    lex_bytes(&w, "let x\n = 1", 10);
    rl_tokens_print(&tokens, w.input.source, &w.text);
    CHECK_TEXT_EQ(w.text, "0..3 line:1 LET let\n4..5 IDENT x\n7..8 line:2 EQ =\n9..10 INT 1\n10..10 EOF\n");
    done(&w);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_lexer__every_line_end_counts_once),
        RUN(test_lexer__byte_order_mark_is_skipped),
        RUN(test_lexer__white_space_separates_tokens),
        RUN(test_lexer__columns_count_grapheme_clusters),
        RUN(test_lexer__columns_go_on_behind_texts_of_several_lines),
        RUN(test_lexer__comments_nest_and_keep_newlines),
        RUN(test_lexer__invalid_utf8_is_reported_at_its_byte_and_skipped),
        RUN(test_lexer__nul_is_a_bad_character_outside_literals_only),
        RUN(test_lexer__identifiers_take_unicode_primes_and_emoji),
        RUN(test_lexer__identifiers_not_in_nfc_are_refused_with_a_fix),
        RUN(test_lexer__bidi_controls_are_refused_outside_text_only),
        RUN(test_lexer__keywords_are_hard_or_contextual),
        RUN(test_lexer__identifier_length_is_limited),
        RUN(test_lexer__operators_match_the_longest_text_first),
        RUN(test_lexer__unknown_characters_are_skipped),
        RUN(test_lexer__hash_attributes_are_refused_as_a_whole),
        RUN(test_lexer__integers),
        RUN(test_lexer__floats),
        RUN(test_lexer__a_dot_without_digits_on_both_sides_is_no_float),
        RUN(test_lexer__malformed_numbers),
        RUN(test_lexer__strings_and_their_escapes),
        RUN(test_lexer__bad_escapes_and_open_strings),
        RUN(test_lexer__characters),
        RUN(test_lexer__literal_map_finds_source_bytes),
        RUN(test_lexer__every_byte_value_in_every_place_is_survived),
        RUN(test_lexer__tokens_print_one_line_each),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
