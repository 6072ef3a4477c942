#include "check.h"

#include "diag/diag.h"

typedef struct fixture {
    rl_allocator_t allocator;
    rl_arena_t arena;
    rl_diags_t diags;
    rl_buf_t out;
} fixture_t;

static void set_up(fixture_t* f, const char* source) {
    rl_allocator_init(&f->allocator, NULL, NULL);
    rl_arena_init(&f->arena, &f->allocator);
    rl_diags_init(&f->diags, &f->allocator, &f->arena);
    rl_buf_init(&f->out, &f->allocator);
    f->diags.source = rl_str(source);
    f->diags.file = RL_STR("main.reml");
    f->diags.module = RL_STR("main");
}

static void tear_down(fixture_t* f) {
    rl_buf_deinit(&f->out);
    rl_diags_deinit(&f->diags);
    rl_arena_deinit(&f->arena);
    CHECK_INT_EQ(f->allocator.live_bytes, 0);
}

static rl_span_t span_of(const fixture_t* f, const char* piece) {
    const char* at = strstr(f->diags.source.data, piece);
    uint32_t start = at ? (uint32_t)(at - f->diags.source.data) : 0;
    return (rl_span_t){start, start + (uint32_t)strlen(piece)};
}

static void check_text(fixture_t* f, const char* expected, int line) {
    rl_buf_clear(&f->out);
    rl_diags_text(&f->diags, &f->out, false);
    check_cstr(rl_buf_cstr(&f->out), expected, __FILE__, line, "text");
}
#define CHECK_RENDERED(f, expected) check_text((f), (expected), __LINE__)

/* --- the list -------------------------------------------------------------------------------------------- */

TEST(test_diag__codes_have_text_domain_and_severity) {
    CHECK_STR_EQ(rl_code_text(RL_CODE_TYPE_MISMATCH), "type.mismatch");
    CHECK_STR_EQ(rl_code_domain(RL_CODE_E6001), "syntax");
    CHECK_INT_EQ(rl_code_severity(RL_CODE_PATTERN_UNREACHABLE_ARM), RL_WARNING);
    CHECK_STR_EQ(rl_code_text((rl_code_t)9999), "");
    for (int i = 0; i < RL_CODE_COUNT; i++) {
        CHECK(strlen(rl_code_text((rl_code_t)i)) > 0 && strlen(rl_code_domain((rl_code_t)i)) > 0);
    }
}

TEST(test_diag__repetitions_are_reported_once) {
    fixture_t f;
    set_up(&f, "let x = y");
    rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, (rl_span_t){4, 5}, "first");
    rl_diag_t* again = rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, (rl_span_t){4, 5}, "second");
    rl_note_plain(&f.diags, again, "goes nowhere");
    (void)rl_vec_push(&f.allocator, &again->expected, RL_STR("nowhere"));
    rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, (rl_span_t){4, 6}, "another span");
    rl_report(&f.diags, RL_CODE_TYPE_ARITY, (rl_span_t){4, 5}, "another code");
    CHECK_INT_EQ(f.diags.items.count, 3);
    CHECK_INT_EQ(f.diags.errors, 3);
    CHECK_TEXT_EQ(f.diags.items.data[0].message, "first");
    CHECK_INT_EQ(f.diags.items.data[0].notes.count, 0);
    tear_down(&f);
}

TEST(test_diag__at_most_a_hundred_and_an_error_always_gets_in) {
    fixture_t f;
    set_up(&f, "");
    for (uint32_t i = 0; i < 150; i++) {
        rl_diag_t* diag = rl_report(&f.diags, RL_CODE_PATTERN_UNREACHABLE_ARM, (rl_span_t){i, i + 1}, "warning %u", i);
        rl_note_plain(&f.diags, diag, "note");
    }
    CHECK_INT_EQ(f.diags.items.count, 100);
    CHECK_INT_EQ(f.diags.errors, 0);
    CHECK(rl_diags_first_error(&f.diags) == NULL);
    rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, (rl_span_t){7, 8}, "an error");
    CHECK_INT_EQ(f.diags.items.count, 100);
    CHECK_INT_EQ(f.diags.errors, 1);
    const rl_diag_t* error = rl_diags_first_error(&f.diags);
    if (CHECK(error != NULL)) {
        CHECK_TEXT_EQ(error->message, "an error");
        CHECK_INT_EQ(error->notes.count, 0);
    }
    rl_diags_clear(&f.diags);
    CHECK_INT_EQ(f.diags.items.count, 0);
    CHECK_INT_EQ(f.diags.errors, 0);
    tear_down(&f);
}

TEST(test_diag__sorted_by_position_then_severity) {
    fixture_t f;
    set_up(&f, "0123456789");
    rl_diag_t* nowhere = rl_report(&f.diags, RL_CODE_RUNTIME_PANIC, (rl_span_t){0, 0}, "d");
    nowhere->has_span = false;
    rl_report(&f.diags, RL_CODE_PATTERN_UNREACHABLE_ARM, (rl_span_t){5, 6}, "c");
    rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, (rl_span_t){5, 9}, "b");
    rl_report(&f.diags, RL_CODE_TYPE_ARITY, (rl_span_t){2, 3}, "a");
    rl_diags_sort(&f.diags);
    for (uint32_t i = 0; i < 4; i++) CHECK_INT_EQ(f.diags.items.data[i].message.data[0], 'a' + (int)i);
    tear_down(&f);
}

TEST(test_diag__warnings_become_errors_when_asked) {
    fixture_t f;
    set_up(&f, "");
    f.diags.warnings_as_errors = true;
    rl_report(&f.diags, RL_CODE_PATTERN_UNREACHABLE_ARM, (rl_span_t){0, 0}, "arm");
    rl_report(&f.diags, RL_CODE_ASYNC_AWAIT_REDUNDANT, (rl_span_t){0, 0}, "hint");
    CHECK_INT_EQ(f.diags.errors, 1);
    CHECK_INT_EQ(f.diags.items.data[0].severity, RL_ERROR);
    CHECK_INT_EQ(f.diags.items.data[1].severity, RL_HINT);
    tear_down(&f);
}

TEST(test_diag__expected_tokens_are_joined_up_to_six) {
    fixture_t f;
    set_up(&f, "");
    static const char* const names[] = {"`)`", "`,`", "identifier", "type", "pattern", "`{`", "`(`", "`[`"};
    static const char* const joined[] = {"", "expected `)`", "expected `)` or `,`", "expected `)`, `,` or identifier",
        "expected `)`, `,`, identifier or type", "expected `)`, `,`, identifier, type or pattern",
        "expected `)`, `,`, identifier, type, pattern or `{`",
        "expected `)`, `,`, identifier, type, pattern, `{` … and 1 more",
        "expected `)`, `,`, identifier, type, pattern, `{` … and 2 more"};
    rl_diag_t* diag = rl_report(&f.diags, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, (rl_span_t){0, 0}, "%s", "");
    for (size_t i = 0; i < sizeof joined / sizeof *joined; i++) {
        rl_buf_clear(&f.out);
        rl_diag_add_expected(diag, &f.out);
        CHECK_STR_EQ(rl_buf_cstr(&f.out), joined[i]);
        if (i < sizeof names / sizeof *names) CHECK(rl_vec_push(&f.allocator, &diag->expected, rl_str(names[i])));
    }
    tear_down(&f);
}

/* --- positions ------------------------------------------------------------------------------------------- */

static void check_position(const char* source, size_t offset, uint32_t line, uint32_t column, int at) {
    rl_position_t position = rl_position_of(rl_str(source), (uint32_t)offset);
    check_int(position.line, line, __FILE__, at, "line");
    check_int(position.column, column, __FILE__, at, "column");
}
#define CHECK_POSITION(source, offset, line, column) check_position((source), (offset), (line), (column), __LINE__)

TEST(test_diag__positions_count_lines_and_grapheme_clusters) {
    CHECK_POSITION("", 0, 1, 1);
    CHECK_POSITION("abc", 2, 1, 3);
    CHECK_POSITION("abc", 3, 1, 4);
    CHECK_POSITION("abc", 99, 1, 4);
    CHECK_POSITION("a\nb\r\nc\rd", 0, 1, 1);
    CHECK_POSITION("a\nb\r\nc\rd", 2, 2, 1);
    CHECK_POSITION("a\nb\r\nc\rd", 4, 2, 2);
    CHECK_POSITION("a\nb\r\nc\rd", 5, 3, 1);
    CHECK_POSITION("a\nb\r\nc\rd", 7, 4, 1);
    CHECK_POSITION("a\n", 2, 2, 1);
    CHECK_POSITION("\xE3\x81\x82\xE3\x81\x84x", 6, 1, 3);
    CHECK_POSITION("e\xCC\x81x", 3, 1, 2);
    CHECK_POSITION("e\xCC\x81x", 1, 1, 1); /* inside a cluster */
    CHECK_POSITION("\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7x", 11, 1, 2);
    CHECK_POSITION("\xEF\xBB\xBFlet", 3, 1, 1);
    CHECK_POSITION("\xEF\xBB\xBFlet", 4, 1, 2);
    CHECK_POSITION("\tx", 1, 1, 2);
    CHECK_POSITION("\xFFx", 1, 1, 2);
}

/* --- JSON ------------------------------------------------------------------------------------------------ */

TEST(test_diag_json__positions_agree_with_and_without_an_index) {
    static const char source[] = "a\nb\r\nc\rd\n\r\n\r\xC3\xA9"
                                 "e\xCC\x81z";
    fixture_t f;
    set_up(&f, source);
    for (uint32_t offset = 0; offset < sizeof source; offset++) {
        rl_diags_clear(&f.diags);
        rl_buf_clear(&f.out);
        rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, (rl_span_t){offset, offset}, "x");
        rl_diags_json(&f.diags, &f.out);
        rl_position_t position = rl_position_of(f.diags.source, offset);
        char expected[64];
        snprintf(expected, sizeof expected, "\"line\":%u,\"column\":%u}]", position.line, position.column);
        CHECK(strstr(rl_buf_cstr(&f.out), expected) != NULL);
    }
    tear_down(&f);
}

TEST(test_diag_json__has_the_documented_shape_and_order) {
    fixture_t f;
    set_up(&f, "fn f() = g(1\nlet b = 2\n");
    rl_diag_t* diag =
        rl_report(&f.diags, RL_CODE_TYPE_CONDITION_BOOL_REQUIRED, (rl_span_t){9, 12}, "condition is %s", "Int");
    rl_note(&f.diags, diag, span_of(&f, "let"), "seen \"here\"");
    rl_note_plain(&f.diags, diag, "plain");
    rl_fix(&f.diags, diag, RL_FIX_INSERT, (rl_span_t){12, 12}, ")");
    CHECK(rl_vec_push(&f.allocator, &diag->expected, RL_STR("`)`")));
    CHECK(rl_vec_push(&f.allocator, &diag->expected, RL_STR("identifier")));
    rl_diags_json(&f.diags, &f.out);
    CHECK_STR_EQ(rl_buf_cstr(&f.out),
        "[{\"severity\":\"error\",\"code\":\"type.condition.bool_required\",\"codes\":[\"type.condition.bool_"
        "required\","
        "\"E7006\"],\"domain\":\"type\",\"message\":\"condition is "
        "Int\",\"module\":\"main\",\"primary\":{\"start_line\":1,"
        "\"start_col\":10,\"end_line\":1,\"end_col\":13,\"byte_start\":9,\"byte_end\":12},\"notes\":[{\"message\":"
        "\"seen \\\"here\\\"\",\"span\":{\"start_line\":2,\"start_col\":1,\"end_line\":2,\"end_col\":4}},{\"message\":"
        "\"plain\",\"span\":null}],\"expected\":{\"tokens\":[\"`)`\",\"identifier\"],\"humanized\":"
        "\"expected `)` or identifier\"},\"fixits\":[{\"kind\":\"insert\",\"span\":{\"start_line\":1,\"start_col\":13,"
        "\"end_line\":1,\"end_col\":13},\"text\":\")\"}],\"line\":1,\"column\":10}]");
    tear_down(&f);
}

TEST(test_diag_json__run_time_errors_have_a_stack) {
    fixture_t f;
    set_up(&f, "");
    rl_diag_t* diag = rl_report(&f.diags, RL_CODE_RUNTIME_PANIC, (rl_span_t){0, 0}, "boom");
    diag->has_span = false;
    rl_stack_entry_t entry = {RL_STR("f"), RL_STR("main"), 3};
    CHECK(rl_vec_push(&f.allocator, &diag->stack, entry));
    rl_diags_json(&f.diags, &f.out);
    CHECK_STR_EQ(rl_buf_cstr(&f.out),
        "[{\"severity\":\"error\",\"code\":\"runtime.panic\",\"codes\":[\"runtime.panic\"],\"domain\":\"runtime\","
        "\"message\":\"boom\",\"module\":\"main\",\"primary\":null,\"notes\":[],\"fixits\":[],\"stack\":[{\"function\":"
        "\"f\",\"module\":\"main\",\"line\":3}],\"line\":null,\"column\":null}]");
    rl_diags_clear(&f.diags);
    rl_buf_clear(&f.out);
    rl_diags_json(&f.diags, &f.out);
    CHECK_STR_EQ(rl_buf_cstr(&f.out), "[]");
    tear_down(&f);
}

/* --- text ------------------------------------------------------------------------------------------------ */

TEST(test_diag_text__shows_the_line_with_a_caret_under_it) {
    fixture_t f;
    set_up(&f, "// first\nlet x: Int = \"abc\"\n");
    rl_diag_t* diag = rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, span_of(&f, "\"abc\""), "expected Int, found Str");
    rl_note_plain(&f.diags, diag, "nothing converts by itself");
    rl_note(&f.diags, diag, span_of(&f, "Int"), "expected because of this annotation");
    CHECK_RENDERED(&f, "error[type.mismatch]: expected Int, found Str\n"
                       " --> main.reml:2:14\n"
                       "  |\n"
                       "2 | let x: Int = \"abc\"\n"
                       "  |              ^^^^^\n"
                       "  = note: nothing converts by itself\n"
                       "note: expected because of this annotation\n"
                       " --> main.reml:2:8\n"
                       "  |\n"
                       "2 | let x: Int = \"abc\"\n"
                       "  |        ---\n");
    tear_down(&f);
}

TEST(test_diag_text__carets_follow_tabs_wide_characters_and_clusters) {
    fixture_t f;
    set_up(&f, "\tlet \xE5\xA4\x89 = e\xCC\x81 + zz");
    rl_report(&f.diags, RL_CODE_TYPE_UNRESOLVED_IDENT, span_of(&f, "\xE5\xA4\x89"), "wide");
    rl_report(&f.diags, RL_CODE_TYPE_UNRESOLVED_IDENT, span_of(&f, "zz"), "after");
    CHECK_RENDERED(&f, "error[type.unresolved_ident]: wide\n"
                       " --> main.reml:1:6\n"
                       "  |\n"
                       "1 |     let \xE5\xA4\x89 = e\xCC\x81 + zz\n"
                       "  |         ^^\n"
                       "\n"
                       "error[type.unresolved_ident]: after\n"
                       " --> main.reml:1:14\n"
                       "  |\n"
                       "1 |     let \xE5\xA4\x89 = e\xCC\x81 + zz\n"
                       "  |                  ^^\n");
    tear_down(&f);
}

TEST(test_diag_text__several_lines_are_underlined_on_the_first) {
    fixture_t f;
    set_up(&f, "a\nb\nc\nd\ne\nf\ng\nh\ni\nlet x = {\n  1\n}\n");
    rl_diag_t* diag = rl_report(&f.diags, RL_CODE_TYPE_MISMATCH, span_of(&f, "{\n  1\n}"), "block");
    rl_note(&f.diags, diag, (rl_span_t){0, 1}, "one");
    CHECK_RENDERED(&f, "error[type.mismatch]: block\n"
                       "  --> main.reml:10:9\n"
                       "   |\n"
                       "10 | let x = {\n"
                       "   |         ^\n"
                       "note: one\n"
                       "  --> main.reml:1:1\n"
                       "   |\n"
                       " 1 | a\n"
                       "   | -\n");
    tear_down(&f);
}

TEST(test_diag_text__the_end_of_the_source_can_be_pointed_at) {
    fixture_t f;
    set_up(&f, "f(1\n");
    rl_report(&f.diags, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, (rl_span_t){4, 4}, "expected `)`");
    rl_report(&f.diags, RL_CODE_PARSER_SYNTAX_EXPECTED_TOKENS, (rl_span_t){3, 3}, "expected `,`");
    CHECK_RENDERED(&f, "error[parser.syntax.expected_tokens]: expected `)`\n"
                       " --> main.reml:2:1\n"
                       "  |\n"
                       "2 |\n"
                       "  | ^\n"
                       "\n"
                       "error[parser.syntax.expected_tokens]: expected `,`\n"
                       " --> main.reml:1:4\n"
                       "  |\n"
                       "1 | f(1\n"
                       "  |    ^\n");
    tear_down(&f);
}

TEST(test_diag_text__fixits_show_the_line_as_it_would_be) {
    fixture_t f;
    set_up(&f, "let x = f(1 + y");
    rl_diag_t* diag = rl_report(&f.diags, RL_CODE_TYPE_ARITY, span_of(&f, "f"), "call");
    rl_fix(&f.diags, diag, RL_FIX_INSERT, (rl_span_t){15, 15}, ")");
    rl_fix(&f.diags, diag, RL_FIX_REPLACE, span_of(&f, "let"), "var");
    rl_fix(&f.diags, diag, RL_FIX_DELETE, span_of(&f, "1 + "), "%s", "");
    CHECK_RENDERED(&f, "error[type.arity]: call\n"
                       " --> main.reml:1:9\n"
                       "  |\n"
                       "1 | let x = f(1 + y\n"
                       "  |         ^\n"
                       "help: insert `)`\n"
                       "  |\n"
                       "1 | let x = f(1 + y)\n"
                       "  |                +\n"
                       "help: replace with `var`\n"
                       "  |\n"
                       "1 | var x = f(1 + y\n"
                       "  | ~~~\n"
                       "help: delete `1 + `\n"
                       "  |\n"
                       "1 | let x = f(1 + y\n"
                       "  |           ----\n");
    tear_down(&f);
}

TEST(test_diag_text__nothing_of_the_source_steers_the_terminal) {
    fixture_t f;
    set_up(&f, "x\x1b[31m\xE2\x80\xAE\xFF y");
    rl_report(&f.diags, RL_CODE_TYPE_UNRESOLVED_IDENT, span_of(&f, "y"), "odd \x1b[0m\nname");
    CHECK_RENDERED(&f, "error[type.unresolved_ident]: odd \xE2\x90\x9B[0m\xE2\x90\x8Aname\n"
                       " --> main.reml:1:10\n"
                       "  |\n"
                       "1 | x\xE2\x90\x9B[31m\xEF\xBF\xBD\xEF\xBF\xBD y\n"
                       "  |          ^\n");
    tear_down(&f);
}

TEST(test_diag_text__colours_only_when_asked) {
    fixture_t f;
    set_up(&f, "x");
    rl_report(&f.diags, RL_CODE_TYPE_UNRESOLVED_IDENT, (rl_span_t){0, 1}, "x");
    rl_diags_text(&f.diags, &f.out, true);
    CHECK(strstr(rl_buf_cstr(&f.out), "\x1b[1;31merror[type.unresolved_ident]\x1b[0m") != NULL);
    rl_buf_clear(&f.out);
    rl_diags_text(&f.diags, &f.out, false);
    CHECK(strchr(rl_buf_cstr(&f.out), '\x1b') == NULL);
    tear_down(&f);
}

TEST(test_diag_text__a_stack_follows_a_run_time_error) {
    fixture_t f;
    set_up(&f, "panic(\"x\")");
    rl_diag_t* diag = rl_report(&f.diags, RL_CODE_RUNTIME_PANIC, (rl_span_t){0, 10}, "x");
    rl_stack_entry_t entry = {RL_STR("g"), RL_STR("main"), 1};
    for (int i = 0; i < 40; i++) CHECK(rl_vec_push(&f.allocator, &diag->stack, entry));
    rl_diags_text(&f.diags, &f.out, false);
    CHECK(strstr(rl_buf_cstr(&f.out),
              "  |\n1 | panic(\"x\")\n  | ^^^^^^^^^^\n  = in g (main:1)\n  = in g (main:1)\n") != NULL);
    CHECK(strstr(rl_buf_cstr(&f.out), "  = … and 8 more\n") != NULL);
    tear_down(&f);
}

TEST(test_diag_text__a_huge_line_is_cut_around_the_span) {
    fixture_t f;
    static char source[300001];
    memset(source, 'a', sizeof source - 1);
    source[200000] = 'B';
    set_up(&f, source);
    rl_report(&f.diags, RL_CODE_TYPE_UNRESOLVED_IDENT, (rl_span_t){200000, 200001}, "deep");
    rl_diags_text(&f.diags, &f.out, false);
    CHECK(f.out.length < 1000);
    const char* text = rl_buf_cstr(&f.out);
    CHECK(strstr(text, " --> main.reml:1:200001\n") != NULL);
    const char* line = strstr(text, "1 | …");
    const char* caret = strchr(text, '^');
    if (CHECK(line && caret)) {
        const char* marked = strchr(line, 'B');
        const char* line_of_caret = strchr(line, '\n') + 1;
        /* the ellipsis is one cell but three bytes */
        CHECK_INT_EQ(caret - line_of_caret, marked - line - 2);
    }
    tear_down(&f);
}

/* --- without memory -------------------------------------------------------------------------------------- */

static void report_everything(fixture_t* f) {
    for (uint32_t i = 0; i < 8; i++) {
        rl_diag_t* diag = rl_report(&f->diags, i % 3 ? RL_CODE_TYPE_MISMATCH : RL_CODE_PATTERN_UNREACHABLE_ARM,
            (rl_span_t){i % 5, i}, "message %u with a tail that is %0500d long", i, 7);
        rl_note(&f->diags, diag, (rl_span_t){0, 2}, "note %u", i);
        rl_note_plain(&f->diags, diag, "plain %0300u", i);
        rl_fix(&f->diags, diag, RL_FIX_REPLACE, (rl_span_t){1, 2}, "fix %u", i);
        (void)rl_vec_push(&f->allocator, &diag->expected, RL_STR("type"));
        rl_stack_entry_t entry = {RL_STR("f"), RL_STR("m"), i};
        (void)rl_vec_push(&f->allocator, &diag->stack, entry);
    }
    rl_diags_sort(&f->diags);
}

TEST(test_diag__survives_any_failing_request) {
    uint64_t requests = UINT64_MAX;
    for (uint64_t n = 1; n < requests; n++) {
        for (uint64_t every = 0; every <= 2; every++) {
            fixture_t f;
            set_up(&f, "let x = 1\nlet y = 2\n");
            f.allocator.fail_at = n;
            f.allocator.fail_every = every;
            report_everything(&f);
            CHECK_INT_EQ(f.diags.errors, 5);
            CHECK(f.diags.items.count >= 1);
            CHECK(rl_diags_first_error(&f.diags) != NULL);
            rl_diags_json(&f.diags, &f.out);
            rl_buf_clear(&f.out);
            rl_diags_text(&f.diags, &f.out, true);
            if (n > f.allocator.requests) requests = n;
            tear_down(&f);
        }
        if (n > 2000 && !CHECK(!"the loop ends")) break;
    }
    CHECK(requests > 20);
}

TEST(test_diag__the_first_error_is_readable_without_any_memory) {
    fixture_t f;
    set_up(&f, "x");
    f.allocator.limit_bytes = 0;
    rl_report(&f.diags, RL_CODE_RUNTIME_LIMIT_MEMORY, (rl_span_t){0, 1}, "heap limit of %d bytes reached", 4096);
    rl_report(&f.diags, RL_CODE_RUNTIME_PANIC, (rl_span_t){0, 1}, "another");
    CHECK_INT_EQ(f.diags.items.count, 1);
    CHECK_INT_EQ(f.diags.errors, 2);
    CHECK_TEXT_EQ(f.diags.items.data[0].message, "heap limit of 4096 bytes reached");
    f.allocator.limit_bytes = SIZE_MAX;
    CHECK_RENDERED(
        &f, "error[runtime.limit.memory]: heap limit of 4096 bytes reached\n --> main.reml:1:1\n  |\n1 | x\n  | ^\n");
    tear_down(&f);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_diag__codes_have_text_domain_and_severity),
        RUN(test_diag__repetitions_are_reported_once),
        RUN(test_diag__at_most_a_hundred_and_an_error_always_gets_in),
        RUN(test_diag__sorted_by_position_then_severity),
        RUN(test_diag__warnings_become_errors_when_asked),
        RUN(test_diag__expected_tokens_are_joined_up_to_six),
        RUN(test_diag__positions_count_lines_and_grapheme_clusters),
        RUN(test_diag_json__positions_agree_with_and_without_an_index),
        RUN(test_diag_json__has_the_documented_shape_and_order),
        RUN(test_diag_json__run_time_errors_have_a_stack),
        RUN(test_diag_text__shows_the_line_with_a_caret_under_it),
        RUN(test_diag_text__carets_follow_tabs_wide_characters_and_clusters),
        RUN(test_diag_text__several_lines_are_underlined_on_the_first),
        RUN(test_diag_text__the_end_of_the_source_can_be_pointed_at),
        RUN(test_diag_text__fixits_show_the_line_as_it_would_be),
        RUN(test_diag_text__nothing_of_the_source_steers_the_terminal),
        RUN(test_diag_text__colours_only_when_asked),
        RUN(test_diag_text__a_stack_follows_a_run_time_error),
        RUN(test_diag_text__a_huge_line_is_cut_around_the_span),
        RUN(test_diag__survives_any_failing_request),
        RUN(test_diag__the_first_error_is_readable_without_any_memory),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
