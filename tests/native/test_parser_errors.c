/* What the parser refuses and where, its limits, that nothing can break it, and its other entry points. */
#include "syntax_support.h"

#include <pthread.h>

/* --- errors (2.4, 9.2) ------------------------------------------------------------------------------------------------ */

typedef struct error_row {
    const char *source, *code;
    uint32_t start, end;
    const char* expected; /* among the expected tokens; NULL: not looked at */
} error_row_t;

/* Each source has exactly one error. */
static void check_errors(const error_row_t* rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        world_t w;
        world_parse(&w, rows[i].source);
        CHECK(!w.ok);
        if (CHECK_INT_EQ(w.diags.items.count, 1)) {
            const rl_diag_t* diag = &w.diags.items.data[0];
            CHECK_STR_EQ(code_of(&w, 0), rows[i].code);
            CHECK_INT_EQ(diag->span.start, rows[i].start);
            CHECK_INT_EQ(diag->span.end, rows[i].end);
            bool found = rows[i].expected == NULL;
            for (uint32_t k = 0; k < diag->expected.count && !found; k++)
                found = rl_str_equal(diag->expected.data[k], rl_str(rows[i].expected));
            CHECK(found);
        }
        if (check_failures) printf("  in: %s\n", rows[i].source);
        world_close(&w);
    }
}

#define EXPECTED    "parser.syntax.expected_tokens"
#define UNSUPPORTED "language.unsupported"

TEST(test_parser__errors_name_the_farthest_token_and_what_was_expected) {
    static const error_row_t rows[] = {
        {"let x = f(1 2)", EXPECTED, 12, 13, "`)`"},
        {"let x = [1 2]", EXPECTED, 11, 12, "`]`"},
        {"let x = { a: 1 b: 2 }", EXPECTED, 15, 16, "`}`"},
        {"let x = 1 +", EXPECTED, 11, 11, "identifier"},
        {"let x = (1 +", EXPECTED, 12, 12, "identifier"},
        {"let x = (1", EXPECTED, 10, 10, "`)`"},
        {"let x = a.", EXPECTED, 10, 10, "identifier"},
        {"let x = 3.", EXPECTED, 10, 10, "identifier"},
        {"let = 1", EXPECTED, 4, 5, "pattern"},
        {"let x: = 1", EXPECTED, 7, 8, "type"},
        {"let x 1", EXPECTED, 6, 7, "`=`"},
        {"fn f( = 1", EXPECTED, 6, 7, "`)`"},
        {"fn f() -> = 1", EXPECTED, 10, 11, "type"},
        {"fn f() { a b }", EXPECTED, 11, 12, "`}`"},
        {"trait t {}", EXPECTED, 6, 7, "upper-identifier"},
        {"impl T { x }", EXPECTED, 9, 10, "`fn`"},
        {"effect E { fn f() }", EXPECTED, 11, 13, "`operation`"},
        {"match x", EXPECTED, 7, 7, "`with`"},
        {"match x with | A", EXPECTED, 16, 16, "`->`"},
        {"match x { A => 1 B => 2 }", EXPECTED, 17, 18, "`,`"},
        {"if a", EXPECTED, 4, 4, "`then`"},
        {"if a { 1 } else 2", EXPECTED, 16, 17, "`{`"},
        {"let x = handle f()", EXPECTED, 18, 18, "`with`"},
        {"extern fn f()", EXPECTED, 7, 9, "string-literal"},
        {"use a.{}", EXPECTED, 7, 8, "identifier"},
        {"pub f()", EXPECTED, 4, 5, "`fn`"},
        {"fn f() = g(1,", EXPECTED, 13, 13, "`)`"}, /* a list may end with a comma: its closer comes first */
        {"fn f() = [1,", EXPECTED, 12, 12, "`]`"},
        {"fn f() = T { a = 1,", EXPECTED, 19, 19, "`}`"},
        {"fn f(a, = 1", EXPECTED, 8, 9, "`)`"},
        {"use A.{b, =", EXPECTED, 10, 11, "`}`"},
        {"@cfg() let x = 1", EXPECTED, 5, 6, "identifier"},
        {"@cfg(all()) let x = 1", EXPECTED, 9, 10, "identifier"},
        {"@cfg let x = 1", EXPECTED, 5, 8, "`(`"},
        {"@cfg(a.b = 1) let x = 1", EXPECTED, 11, 12, "string-literal"},
        {"let x = a.. = b", EXPECTED, 12, 13, NULL},
        {"let x = |y = 1| y", EXPECTED, 11, 12, "`|`"},
        {"let x: (a: Int) = 1", EXPECTED, 16, 17, "`->`"},
        {"let x = foo { a }", EXPECTED, 12, 13, NULL},
        {"let x = (f\n(a))", EXPECTED, 11, 12, "`)`"},
        {"let x = y |> f + 1", EXPECTED, 15, 16, NULL},
        {"let x = f(_ + 1)", EXPECTED, 12, 13, "`)`"},
        {"let x = -", EXPECTED, 9, 9, NULL},
        {"let x = match y with | -a -> 1", EXPECTED, 24, 25, "integer-literal"},
        {"let x = match y with | m.a -> 1", EXPECTED, 27, 29, "`..`"},
        {"fn f() = fn g() = 1", EXPECTED, 12, 13, "`(`"},
        {"fn f() { x + 1 := 2 }", EXPECTED, 15, 17, NULL},
        {"fn f() { a.0 := 1 }", EXPECTED, 13, 15, NULL},
        {"fn f() { X := 1 }", EXPECTED, 11, 13, NULL},
        {"fn f() { use a }", EXPECTED, 9, 12, NULL},
        {"fn f() { @x g() }", EXPECTED, 12, 13, "`unsafe`"},
        {"fn f() { struct S {} }", EXPECTED, 16, 17, "`;`"},
        {"defer g()", EXPECTED, 0, 5, NULL},
        {"module A\nmodule B", EXPECTED, 9, 15, NULL},
        {"let x = 1 let y = 2", EXPECTED, 10, 13, "end-of-file"},
        {"fn f() = handle e with handler E { return {a} { 1 } }", EXPECTED, 42, 43, "pattern"},
        {"fn f() = self.", EXPECTED, 14, 14, "identifier"},
        {"conductor c { monitoring { ( }", EXPECTED, 30, 30, "`}`"},
        {"fn f(..., x: Int)", EXPECTED, 10, 11, "`)`"},
    };
    check_errors(rows, RL_COUNT_OF(rows));
}

TEST(test_parser__chained_comparisons_are_refused_with_a_note) {
    static const error_row_t rows[] = {
        {"let x = a < b < c", "E2001", 14, 15, NULL},
        {"let x = a == b != c", "E2001", 15, 17, NULL},
        {"let x = a < b == c <= d > e", "E2001", 24, 25, NULL},
        {"let x = a..b..c", "E2001", 12, 14, NULL},
    };
    check_errors(rows, RL_COUNT_OF(rows));
    world_t w;
    world_parse(&w, "let x = a < b < c");
    if (CHECK(w.diags.items.data[0].notes.count == 1))
        CHECK(strstr(w.diags.items.data[0].notes.data[0].message.data, "(a < b) && (b < c)") != NULL);
    world_close(&w);
}

TEST(test_parser__reserved_forms_are_unsupported) {
    static const error_row_t rows[] = {
        {"trait T { type X }", UNSUPPORTED, 10, 14, NULL},
        {"impl T { type X = Int }", UNSUPPORTED, 9, 13, NULL},
        {"let x = f(a) { b }", UNSUPPORTED, 13, 14, NULL},
        {"#[inline] fn f()", UNSUPPORTED, 0, 2, NULL},
        {"let p: *const T = 1", UNSUPPORTED, 7, 8, NULL},
        {"fn f() = handle h(args) do e", UNSUPPORTED, 24, 26, NULL},
        {"handler H(x) { }", UNSUPPORTED, 9, 10, NULL},
        {"let x = handle e with handler H(x) { }", UNSUPPORTED, 31, 32, NULL},
        {"let x = rec f", UNSUPPORTED, 8, 11, NULL},
        {"let x = f(:sym)", UNSUPPORTED, 10, 14, NULL},
        {"const T::name = 1", UNSUPPORTED, 0, 7, NULL},
        {"fn T<A>.m() = 1", UNSUPPORTED, 7, 8, NULL},
    };
    check_errors(rows, RL_COUNT_OF(rows));
}

TEST(test_parser__missing_closer_points_at_its_opener) {
    world_t w;
    world_parse(&w, "fn f() {\n  g(1\n");
    if (CHECK_INT_EQ(w.diags.items.count, 1)) {
        const rl_diag_t* diag = &w.diags.items.data[0];
        CHECK_TEXT_EQ(diag->expected.data[0], "`)`"); /* closers come first */
        if (CHECK(diag->notes.count == 1)) {
            CHECK_INT_EQ(diag->notes.data[0].span.start, 12);
            CHECK_INT_EQ(diag->notes.data[0].span.end, 13);
        }
        if (CHECK(diag->fixits.count == 1)) CHECK_TEXT_EQ(diag->fixits.data[0].text, ")");
        CHECK_TEXT_EQ(diag->message, "expected `)` or `,`, found the end of the file");
    }
    world_close(&w);
}

TEST(test_parser__assigning_a_name_with_equals_offers_the_operator) {
    world_t w;
    world_parse(&w, "fn f() { x = 1 }");
    if (CHECK_INT_EQ(w.diags.items.count, 1)) {
        const rl_diag_t* diag = &w.diags.items.data[0];
        CHECK_STR_EQ(code_of(&w, 0), EXPECTED);
        CHECK_TEXT_EQ(diag->expected.data[0], "`:=`");
        if (CHECK(diag->fixits.count == 1)) {
            CHECK_INT_EQ(diag->fixits.data[0].kind, RL_FIX_REPLACE);
            CHECK_TEXT_EQ(diag->fixits.data[0].text, ":=");
            CHECK_INT_EQ(diag->fixits.data[0].span.start, 11);
        }
    }
    world_close(&w);
}

TEST(test_parser__handle_without_with_offers_it) {
    world_t w;
    world_parse(&w, "fn f() = handle e handler E { operation o(resume) { 1 } }");
    if (CHECK_INT_EQ(w.diags.items.count, 1)) {
        const rl_diag_t* diag = &w.diags.items.data[0];
        CHECK_STR_EQ(code_of(&w, 0), "effects.handler.missing_with");
        CHECK_INT_EQ(diag->span.start, 18);
        if (CHECK(diag->fixits.count == 1)) {
            CHECK_INT_EQ(diag->fixits.data[0].kind, RL_FIX_INSERT);
            CHECK_TEXT_EQ(diag->fixits.data[0].text, "with ");
        }
    }
    world_close(&w);
}

TEST(test_parser__intrinsic_wants_a_body_and_one_string) {
    static const error_row_t rows[] = {
        {"@intrinsic fn f() = 1", "native.intrinsic.invalid_syntax", 0, 10, NULL},
        {"@intrinsic(1) fn f() = 1", "native.intrinsic.invalid_syntax", 0, 13, NULL},
        {"@intrinsic(\"a\", \"b\") fn f() = 1", "native.intrinsic.invalid_syntax", 0, 20, NULL},
        {"@intrinsic(\"llvm.x\") fn f()", "native.intrinsic.invalid_syntax", 0, 20, NULL},
        {"@intrinsic(\"llvm.x\") type T", "native.intrinsic.invalid_syntax", 0, 20, NULL},
        {"impl T { @intrinsic(\"llvm.x\") fn f() }", "native.intrinsic.invalid_syntax", 9, 29, NULL},
    };
    check_errors(rows, RL_COUNT_OF(rows));
    world_t w;
    world_parse(&w, "@intrinsic(\"llvm.x\") fn f() = 1");
    CHECK(w.ok);
    world_close(&w);
}

TEST(test_parser__implicit_block_needs_its_columns) {
    static const error_row_t rows[] = {
        {"let a =\nlet b = 2", EXPECTED, 8, 11, NULL}, /* not deeper than its declaration: initialiser missing */
        {"fn f() = let a = 1", EXPECTED, 9, 12, NULL}, /* not first on its line */
        {"fn f() {\n  let g = |x|\n    let y = x\n      y + 1\n  g(1)\n}", EXPECTED, 43, 44, NULL},
        {"fn f() =\n  let a =\n 5", EXPECTED, 20, 21, NULL}, /* left of the block */
    };
    check_errors(rows, RL_COUNT_OF(rows));
}

TEST(test_parser__recovers_at_the_next_item_at_column_one) {
    world_t w;
    world_parse(&w, "fn f() = )\n  let x = ]\nlet a = 1\nlet b = )\ntype = 3\nlet c = 3\n");
    CHECK_INT_EQ(w.diags.items.count, 3);
    const char* text = compact(&w, w.tree.root);
    CHECK(strstr(text, "(VALUE (PAT_NAME a) 1)") != NULL);
    CHECK(strstr(text, "(VALUE (PAT_NAME c) 3)") != NULL);
    world_close(&w);
}

TEST(test_parser__stops_after_twenty_syntax_errors) {
    rl_buf_t source;
    world_t w;
    world_open(&w, "", 0);
    rl_buf_init(&source, &w.allocator);
    for (int i = 0; i < 50; i++) rl_buf_add_cstr(&source, "let a = )\n");
    w.input.source = rl_buf_str(&source);
    CHECK(!rl_parse(&w.input, &w.tree));
    CHECK_INT_EQ(w.diags.items.count, 20);
    rl_tree_deinit(&w.tree);
    rl_diags_clear(&w.diags);
    rl_buf_clear(&source);
    rl_buf_add_cstr(&source, "let a = 1");
    for (int i = 0; i < 50; i++) rl_buf_add_cstr(&source, " < 1");
    w.input.source = rl_buf_str(&source);
    CHECK(!rl_parse(&w.input, &w.tree));
    CHECK_INT_EQ(w.diags.items.count, 20);
    rl_buf_deinit(&source);
    world_close(&w);
}

TEST(test_parser__lexical_errors_fail_the_module_but_not_the_tree) {
    world_t w;
    world_parse(&w, "let a = \"\\q\"\nlet b = 1 $ + 2");
    CHECK(!w.ok);
    CHECK_INT_EQ(w.diags.items.count, 2);
    CHECK_STR_EQ(
        compact(&w, w.tree.root), "(MODULE (VALUE (PAT_NAME a) \"\") (VALUE (PAT_NAME b) (CHAIN 1 (BINARY + 2))))");
    world_close(&w);
}

TEST(test_parser__a_lexical_error_suppresses_the_syntax_error_behind_it) {
    static const char* const sources[] = {
        "let x = 1 $ 2", "let x = f(\"abc\nlet y = 2", "let x = f(1 /* a", "let x = f('a", "let x = (1 ~)"};
    for (size_t i = 0; i < RL_COUNT_OF(sources); i++) {
        world_t w;
        world_parse(&w, sources[i]);
        CHECK(!w.ok);
        CHECK_INT_EQ(w.diags.items.count, 1);
        CHECK(strncmp(code_of(&w, 0), "parser.lexer.", 13) == 0);
        if (check_failures) printf("  in: %s\n", sources[i]);
        world_close(&w);
    }
}

TEST(test_parser__strict_top_level_refuses_expression_statements) {
    world_t w;
    world_open(&w, "let x = 1\nf()\nx := 2", 22);
    w.input.source.length = strlen("let x = 1\nf()\nx := 2");
    w.input.options.strict_top_level = true;
    CHECK(!rl_parse(&w.input, &w.tree));
    CHECK_INT_EQ(w.diags.items.count, 2);
    CHECK_STR_EQ(code_of(&w, 0), "parser.top_level_expr.disallowed");
    CHECK_INT_EQ(w.diags.items.data[0].span.start, 10);
    CHECK_INT_EQ(w.diags.items.data[0].span.end, 13);
    world_close(&w);
}

/* --- limits ------------------------------------------------------------------------------------------------------------ */

typedef struct repeated {
    const char *before, *open, *inner, *close, *after;
} repeated_t;

static char* put(char* out, const char* text) {
    size_t length = strlen(text);
    memcpy(out, text, length);
    return out + length;
}

static bool parse_repeated(const repeated_t* shape, size_t times, const char* code) {
    size_t open = strlen(shape->open), close = strlen(shape->close);
    size_t length = strlen(shape->before) + strlen(shape->inner) + strlen(shape->after) + times * (open + close);
    char* source = calloc(length + 1, 1);
    if (!CHECK(source)) return false;
    char* out = put(source, shape->before);
    for (size_t i = 0; i < times; i++) out = put(out, shape->open);
    out = put(out, shape->inner);
    for (size_t i = 0; i < times; i++) out = put(out, shape->close);
    put(out, shape->after);
    world_t w;
    world_open(&w, source, length);
    bool ok = rl_parse(&w.input, &w.tree);
    if (code) CHECK(has_code(&w, code));
    world_close(&w);
    free(source);
    return ok;
}

static const repeated_t nests[] = {
    {"let x = ", "(", "1", ")", ""},
    {"let x = ", "[", "1", "]", ""},
    {"let x = ", "{", "1", "}", ""},
    {"let x = ", "- ", "1", "", ""},
    {"let x = ", "await ", "1", "", ""},
    {"let x = ", "|x| ", "1", "", ""},
    {"let x = ", "fn(x) => ", "1", "", ""},
    {"let x = ", "if a { ", "1", "}", ""},
    {"let x = ", "if a then ", "1", "", ""},
    {"let x = ", "if ", "a", " { b }", ""},
    {"let x = ", "match a with | A -> ", "1", "", ""},
    {"let x = ", "match a { A -> ", "1", "}", ""},
    {"let x = ", "f(", "1", ")", ""},
    {"let x = ", "Foo { a = ", "1", "}", ""},
    {"let x = ", "{ \"a\": ", "1", "}", ""},
    {"let x = ", "return ", "1", "", ""},
    {"let x = ", "handle ", "e", " with H", ""},
    {"let x = ", "1 || 1 && 1 == 1 < 1 .. 1 + 1 * 1 ^ (", "1", ")", ""},
    {"let x: ", "Option<", "Int", ">", " = 1"},
    {"let x: ", "Int -> ", "Int", "", " = 1"},
    {"let x: ", "{a: ", "Int", "}", " = 1"},
    {"let ", "(", "x", ")", " = 1"},
    {"let ", "A(", "x", ")", " = 1"},
    {"use ", "a.{", "b", "}", ""},
    {"@cfg(", "not(", "a = \"1\"", ")", ") let x = 1"},
    {"fn f() {", "fn g() {", "1", "}", "}"},
};

TEST(test_parser__nesting_is_limited_to_the_same_depth_everywhere) {
    for (size_t i = 0; i < RL_COUNT_OF(nests); i++) {
        CHECK(parse_repeated(&nests[i], 1000, NULL));
        CHECK(!parse_repeated(&nests[i], 1001, "parser.limit.exceeded"));
        if (check_failures) printf("  in: %s\n", nests[i].open);
    }
}

TEST(test_parser__a_million_openers_are_refused) {
    for (size_t i = 0; i < RL_COUNT_OF(nests); i++) {
        repeated_t open_only = nests[i];
        open_only.close = "";
        CHECK(!parse_repeated(&open_only, i < 3 ? 1000000 : 50000, "parser.limit.exceeded"));
    }
}

static void* parse_all_nests(void* unused) {
    (void)unused;
    for (size_t i = 0; i < RL_COUNT_OF(nests); i++) CHECK(parse_repeated(&nests[i], 1000, NULL));
    return NULL;
}

/* The sanitizers' frames need more than the 64 KiB that the library promises to live with. */
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
enum { SMALL_STACK = 512 << 10 };
#else
enum { SMALL_STACK = 96 << 10 }; /* the test itself takes some */
#endif

TEST(test_parser__the_depth_does_not_depend_on_the_stack_of_the_thread) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SMALL_STACK);
    if (CHECK(pthread_create(&thread, &attributes, parse_all_nests, NULL) == 0)) pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

TEST(test_parser__chains_count_one_level) {
    static const repeated_t chains[] = {
        {"let x = a", " + a", "", "", ""},
        {"let x = a", " ^ a", "", "", ""},
        {"let x = a", " && a", "", "", ""},
        {"let x = a", " |> f", "", "", ""},
        {"let x = a", ".b(1)?[2]", "", "", ""},
        {"let x = a", " as T", "", "", ""},
        {"let x = if a { b }", " else if a { b }", "", "", ""},
        {"let x = if a then b", " else if a then b", "", "", " else c"},
        {"let x = if a then b else if c { d }", " else if a then b else if c { d }", "", "", " + 1"},
        {"let x = match a with | A -> 1", " | A -> 1", "", "", ""},
        {"let x = match a with | A", " | A", "", "", " -> 1"},
        {"let x = f(1", ", 1", "", "", ")"},
        {"type T = A", " | A", "", "", ""},
        {"f()", "\nf()", "", "", ""},
    };
    for (size_t i = 0; i < RL_COUNT_OF(chains); i++) {
        CHECK(parse_repeated(&chains[i], 100000, NULL));
        if (check_failures) printf("  in: %s\n", chains[i].open);
    }
}

TEST(test_parser__limits_come_from_the_options) {
    world_t w;
    world_open(&w, "let x = ((1))", 13);
    w.input.options.nesting = 1;
    CHECK(!rl_parse(&w.input, &w.tree));
    CHECK_STR_EQ(code_of(&w, 0), "parser.limit.exceeded");
    world_close(&w);
    world_open(&w, "let x = 1", 9);
    w.input.options.source_bytes = 8;
    CHECK(!rl_parse(&w.input, &w.tree));
    CHECK_STR_EQ(code_of(&w, 0), "parser.limit.exceeded");
    world_close(&w);
    world_open(&w, "let abc = 1", 11);
    w.input.options.identifier_bytes = 2;
    CHECK(!rl_parse(&w.input, &w.tree));
    CHECK_STR_EQ(code_of(&w, 0), "parser.limit.exceeded");
    world_close(&w);
}

/* --- robustness -------------------------------------------------------------------------------------------------------- */

static const char* const sample =
    "module A.B\nuse C.{d, e as f}\n@cfg(not(a = \"b\")) pub type T<A> = | A(Int, x: Str) | B { f: A = 1 }\n"
    "fn g(a: Int = 1, {b, ..}: R) -> fn(Int) -> Int ! {io} where T: Eq =\n  let x = a |> f(_, w = 2)?.await\n"
    "  match x with\n  | A(1..=2, _) | [h, ..t] when not b as y -> { x.y = |z| z ^ -2; return }\n  | (|E|_|) r -> "
    "\"s\\n\"\n"
    "let h = handle do E.op(1) with handler E { operation op(v, resume) { resume(v) } return {} { 'c' } }\n"
    "conductor c { n: a |> b\n channels { a.b ~> c.d : T }\n monitoring { x (y) } }\n"
    "impl Show for T { fn s(self) = if a then b else if c { d } else { e } + 1 }\nwhile x < 3 { x += { a: 1, \"b\" } "
    "}\n";

/* An own allocation of the exact size, so that the sanitizer sees a read behind it. */
static void survive(const char* source, size_t length) {
    char* exact = malloc(length ? length : 1);
    if (!CHECK(exact)) return;
    memcpy(exact, source, length);
    world_t w;
    world_open(&w, exact, length);
    w.ok = rl_parse(&w.input, &w.tree);
    CHECK(w.ok == (w.diags.errors == 0));
    for (uint32_t i = 0; i < w.tree.nodes.count; i++)
        CHECK(w.tree.nodes.data[i].start <= w.tree.nodes.data[i].end && w.tree.nodes.data[i].end <= length);
    for (uint32_t i = 0; i < w.diags.items.count; i++) CHECK(w.diags.items.data[i].span.end <= length);
    rl_tree_print(&w.tree, &w.symbols, w.tree.root, &w.text);
    CHECK(!w.text.failed);
    world_close(&w);
    free(exact);
}

TEST(test_parser__every_truncation_is_survived) {
    for (size_t length = 0; length <= strlen(sample); length++) survive(sample, length);
}

TEST(test_parser__every_byte_value_in_the_place_of_any_is_survived) {
    char changed[2048];
    size_t length = strlen(sample);
    static const unsigned char values[] = {0, ' ', '\n', '\r', '"', '\'', '\\', '(', ')', '{', '}', '[', ']', '|', ';',
        ',', '.', '=', '<', '>', '@', '#', '1', 'a', 'A', '_', 0x80, 0xC3, 0xF0, 0xFF};
    for (size_t at = 0; at < length; at++) {
        memcpy(changed, sample, length);
        for (size_t i = 0; i < RL_COUNT_OF(values); i++) {
            changed[at] = (char)values[i];
            if ((at + i) % 3 == 0) survive(changed, length); /* a third of them keeps the test quick */
        }
    }
    for (int byte = 0; byte < 256; byte++) {
        char one = (char)byte;
        survive(&one, 1);
    }
}

TEST(test_parser__any_two_tokens_in_a_row_are_survived) {
    static const char* const pieces[] = {
#define TOKEN(name, text)   text,
#define KEYWORD(name, text) text,
#define CONTEXT(name, text) text,
#include "syntax/token.def"
    };
    char source[128];
    for (size_t a = 0; a < RL_COUNT_OF(pieces); a++) {
        for (size_t b = 0; b < RL_COUNT_OF(pieces); b++) {
            int length = snprintf(
                source, sizeof source, "fn f() { x %s %s y }\n%s %s", pieces[a], pieces[b], pieces[a], pieces[b]);
            for (char* c = source; *c; c++)
                if (*c == '`') *c = ' ';
            survive(source, (size_t)length);
        }
    }
}

TEST(test_parser__every_failing_allocation_is_survived) {
    for (uint64_t fail_at = 1; fail_at < 100000; fail_at++) {
        world_t w;
        world_open(&w, sample, strlen(sample));
        w.allocator.fail_at = fail_at;
        w.allocator.fail_every = fail_at % 2; /* once, or for good */
        bool ok = rl_parse(&w.input, &w.tree);
        bool failed = w.allocator.failed;
        if (failed) CHECK(!ok);
        w.allocator.fail_at = 0;
        if (w.tree.nodes.count && w.tree.extra.count) rl_tree_print(&w.tree, &w.symbols, w.tree.root, &w.text);
        world_close(&w);
        if (!failed) return;
    }
    CHECK(!"an end of the allocations");
}

TEST(test_parser__failing_allocations_deep_inside_are_survived) {
    for (uint64_t fail_at = 1; fail_at < 100; fail_at++) {
        world_t w;
        char source[400] = "let x = ";
        memset(source + 8, '(', 100);
        source[108] = '1';
        memset(source + 109, ')', 100);
        world_open(&w, source, 209);
        w.allocator.fail_at = fail_at;
        bool ok = rl_parse(&w.input, &w.tree);
        CHECK(ok == !w.allocator.failed);
        world_close(&w);
    }
}

/* --- spans and names ---------------------------------------------------------------------------------------------------- */

static rl_node_t find(const world_t* w, rl_node_kind_t kind, unsigned which) {
    for (uint32_t i = 1; i < w->tree.nodes.count; i++)
        if (w->tree.nodes.data[i].kind == kind && which-- == 0) return i;
    return 0;
}

static void check_span(const world_t* w, rl_span_t span, const char* expected) {
    rl_str_t text = {w->diags.source.data + span.start, span.end - span.start};
    CHECK_TEXT_EQ(text, expected);
}

TEST(test_parser__spans_cover_what_was_written) {
    world_t w;
    world_parse(&w,
        "@x pub fn f(mut a: Int) = a . b (1) + 2 // c\ntype T = | Abc(x: Int)\nlet y = match z { | q as r => [..] }\n");
    CHECK_INT_EQ(w.diags.items.count, 1); /* `[..]` is no expression */
    check_span(&w, rl_tree_span(&w.tree, find(&w, RL_NODE_FN, 0)), "fn f(mut a: Int) = a . b (1) + 2");
    check_span(&w, rl_tree_span(&w.tree, find(&w, RL_NODE_PARAM, 0)), "mut a: Int");
    check_span(&w, rl_tree_name_span(&w.tree, &w.symbols, find(&w, RL_NODE_PAT_NAME, 0)), "a");
    check_span(&w, rl_tree_span(&w.tree, find(&w, RL_NODE_FIELD, 0)), "a . b");
    check_span(&w, rl_tree_name_span(&w.tree, &w.symbols, find(&w, RL_NODE_FIELD, 0)), "b");
    check_span(&w, rl_tree_span(&w.tree, find(&w, RL_NODE_CALL, 0)), "a . b (1)");
    check_span(&w, rl_tree_name_span(&w.tree, &w.symbols, find(&w, RL_NODE_VARIANT, 0)), "Abc");
    check_span(&w, rl_tree_name_span(&w.tree, &w.symbols, find(&w, RL_NODE_PAT_AS, 0)), "r");
    CHECK_INT_EQ(rl_tree_attrs(&w.tree, find(&w, RL_NODE_FN, 0)) != 0, true);
    world_close(&w);
}

TEST(test_parser__arm_spans_go_from_the_bar_through_the_body) {
    world_t w;
    const char* source = "let y = match z with | A -> 1 + 2\n  | B -> 3";
    world_parse(&w, source);
    CHECK(w.ok);
    check_span(&w, rl_tree_span(&w.tree, find(&w, RL_NODE_ARM, 0)), "| A -> 1 + 2");
    check_span(&w, rl_tree_span(&w.tree, find(&w, RL_NODE_ARM, 1)), "| B -> 3");
    world_close(&w);
}

TEST(test_parser__value_names_of_constants_are_upper) {
    world_t w;
    world_parse(&w, "let MB_OK: u32 = 0\nvar X = 1\nlet Some(y) = z");
    CHECK(w.ok);
    CHECK_STR_EQ(compact(&w, w.tree.root),
        "(MODULE (VALUE (PAT_NAME upper MB_OK) (TYPE_PATH u32) 0) (VALUE mut var (PAT_NAME mut upper X) 1) "
        "(VALUE (PAT_CTOR parens (PATH Some) (PAT_NAME y)) z))");
    world_close(&w);
}

TEST(test_parser__print_shows_labels_and_spans) {
    world_t w;
    world_parse(&w, "let x = a.b + 1");
    rl_tree_print(&w.tree, &w.symbols, w.tree.root, &w.text);
    CHECK_TEXT_EQ(w.text, "MODULE 0..15\n"
                          "  items: VALUE 0..15\n"
                          "    pattern: PAT_NAME 4..5 x\n"
                          "    value: CHAIN 8..15\n"
                          "      of: NAME 8..9 a\n"
                          "      FIELD 8..11 b\n"
                          "      BINARY 8..15 +\n"
                          "        right: INT 14..15 1\n");
    world_close(&w);
}

/* --- other entry points -------------------------------------------------------------------------------------------------- */

TEST(test_parser__interpolations_have_spans_inside_the_literal) {
    world_t w;
    const char* source = "let s = \"n = {a.b + 1} \\\"{ f(\\\"x\\\") }\"";
    world_parse(&w, source);
    CHECK(w.ok);
    rl_node_t literal = find(&w, RL_NODE_STRING, 0);
    rl_str_t content = rl_tree_string(&w.tree, literal);
    CHECK_TEXT_EQ(content, "n = {a.b + 1} \"{ f(\"x\") }");
    rl_node_t sum = rl_parse_expression(&w.input, &w.tree, literal, 5, 12);
    CHECK_STR_EQ(compact(&w, sum), "(CHAIN a (FIELD b) (BINARY + 1))");
    check_span(&w, rl_tree_span(&w.tree, sum), "a.b + 1");
    rl_node_t call = rl_parse_expression(&w.input, &w.tree, literal, 16, 24);
    CHECK_STR_EQ(compact(&w, call), "(CHAIN f (CALL \"x\"))");
    check_span(&w, rl_tree_span(&w.tree, call), "f(\\\"x\\\")"); /* escapes counted */
    CHECK_INT_EQ(rl_parse_expression(&w.input, &w.tree, literal, 5, 10), 0);
    CHECK_INT_EQ(rl_parse_expression(&w.input, &w.tree, literal, 4, 4), 0);
    CHECK_INT_EQ(w.diags.items.count, 2);
    CHECK_INT_EQ(w.diags.items.data[0].span.start, 19);
    world_close(&w);
}

TEST(test_parser__types_and_signatures_of_hosts) {
    world_t w;
    world_open(&w, "fn(Int, Str) -> Str\n ! {io}", 27);
    w.input.source.length = strlen(w.input.source.data);
    CHECK(rl_parse_type(&w.input, &w.tree));
    CHECK_STR_EQ(compact(&w, w.tree.root), "(TYPE_FN fn (TYPE_PARAM (TYPE_PATH Int)) (TYPE_PARAM (TYPE_PATH Str)) "
                                           "(TYPE_PATH Str) (EFFECTS (TYPE_PATH io)))");
    world_close(&w);
    world_open(&w, "Int Int", 7);
    CHECK(!rl_parse_type(&w.input, &w.tree));
    world_close(&w);
    const char* signature = "Type.method(self, b: Str = \"x\") -> Int ! {}";
    world_open(&w, signature, strlen(signature));
    CHECK(rl_parse_signature(&w.input, &w.tree));
    CHECK_STR_EQ(compact(&w, w.tree.root), "(FN extern Type method (PARAM self (PAT_NAME keyword self)) (PARAM "
                                           "(PAT_NAME b) (TYPE_PATH Str) \"x\") (TYPE_PATH Int) (EFFECTS))");
    world_close(&w);
    world_open(&w, "fn f()", 6);
    CHECK(rl_parse_signature(&w.input, &w.tree));
    world_close(&w);
}

/* --- @cfg ---------------------------------------------------------------------------------------------------------------- */

static bool test_key(void* user, const rl_cfg_test_t* test, rl_diags_t* diags) {
    rl_str_t key = test->key, value = test->value;
    ++*(int*)user;
    if (rl_str_equal(key, RL_STR("on"))) return true;
    if (rl_str_equal(key, RL_STR("extra.b"))) return rl_str_equal(value, RL_STR("1"));
    if (rl_str_equal(key, RL_STR("bad")))
        rl_report(diags, RL_CODE_TARGET_CONFIG_UNKNOWN_KEY, test->key_span, "unknown configuration key: bad");
    return false;
}

static const char* apply(world_t* w, const char* source, int* calls, rl_disabled_names_t* names) {
    world_parse(w, source);
    CHECK(w->ok);
    rl_cfg_t cfg = {calls, test_key};
    w->ok = rl_tree_apply_cfg(&w->tree, &w->symbols, &cfg, &w->diags, names);
    return compact(w, w->tree.root);
}

TEST(test_parser__false_cfg_removes_what_it_stands_on) {
    world_t w;
    int calls = 0;
    rl_disabled_names_t names = {0};
    const char* text = apply(&w,
        "@cfg(on = \"\") let a = 1\n@cfg(off = \"\") let b = 2\n@cfg(not(off = \"\")) @x type C = { @cfg(off = \"\") "
        "f: Int, g: Int }\n"
        "@cfg(off = \"\") enum D = E | F\nfn h() { @cfg(off = \"\") { 1 }; @cfg(any(off = \"\", extra.b = \"1\")) "
        "unsafe { 2 } }\n"
        "@cfg(all(on = \"\", off = \"\")) i()\nimpl T { @cfg(off = \"\") fn j() = 1; fn k() = 2 }\n"
        "@cfg(off = \"\") extern \"host\" { @cfg(bad = \"\") fn l() }\n",
        &calls, &names);
    CHECK(w.ok); /* nothing inside what was removed is looked at */
    CHECK(strstr(text, "(PAT_NAME a)") && !strstr(text, "(PAT_NAME b)"));
    CHECK(strstr(text, "(TYPE_RECORD (TYPE_FIELD g (TYPE_PATH Int)))") != NULL);
    CHECK(!strstr(text, "enum") && !strstr(text, "(CHAIN i"));
    CHECK(strstr(text, "(FN braces h (BLOCK (UNSAFE (BLOCK 2) ") != NULL);
    CHECK(!strstr(text, "(FN (ATTR parens cfg (CFG_TEST (PATH off) \"\")) j") && strstr(text, "(FN k 2)"));
    CHECK(!strstr(text, "EXTERN"));
    static const char* const gone[] = {"b", "D", "F", "E", "l", "j"}; /* outer lists come first */
    if (CHECK_INT_EQ(names.names.count, RL_COUNT_OF(gone)))
        for (uint32_t i = 0; i < names.names.count; i++)
            CHECK_TEXT_EQ(rl_sym_text(&w.symbols, names.names.data[i]), gone[i]);
    if (CHECK_INT_EQ(names.fields.count, 1)) CHECK_TEXT_EQ(rl_sym_text(&w.symbols, names.fields.data[0]), "f");
    rl_vec_deinit(&w.allocator, &names.fields);
    rl_vec_deinit(&w.allocator, &names.names);
    world_close(&w);
}

TEST(test_parser__cfg_with_an_error_is_false) {
    world_t w;
    int calls = 0;
    const char* text = apply(&w, "@cfg(not(bad = \"\")) let a = 1", &calls, NULL);
    CHECK(!w.ok);
    CHECK_STR_EQ(text, "(MODULE)");
    CHECK_STR_EQ(code_of(&w, 0), "target.config.unknown_key");
    CHECK_INT_EQ(calls, 1);
    world_close(&w);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_parser__errors_name_the_farthest_token_and_what_was_expected),
        RUN(test_parser__chained_comparisons_are_refused_with_a_note),
        RUN(test_parser__reserved_forms_are_unsupported),
        RUN(test_parser__missing_closer_points_at_its_opener),
        RUN(test_parser__assigning_a_name_with_equals_offers_the_operator),
        RUN(test_parser__handle_without_with_offers_it),
        RUN(test_parser__intrinsic_wants_a_body_and_one_string),
        RUN(test_parser__implicit_block_needs_its_columns),
        RUN(test_parser__recovers_at_the_next_item_at_column_one),
        RUN(test_parser__stops_after_twenty_syntax_errors),
        RUN(test_parser__lexical_errors_fail_the_module_but_not_the_tree),
        RUN(test_parser__a_lexical_error_suppresses_the_syntax_error_behind_it),
        RUN(test_parser__strict_top_level_refuses_expression_statements),
        RUN(test_parser__nesting_is_limited_to_the_same_depth_everywhere),
        RUN(test_parser__a_million_openers_are_refused),
        RUN(test_parser__the_depth_does_not_depend_on_the_stack_of_the_thread),
        RUN(test_parser__chains_count_one_level),
        RUN(test_parser__limits_come_from_the_options),
        RUN(test_parser__every_truncation_is_survived),
        RUN(test_parser__every_byte_value_in_the_place_of_any_is_survived),
        RUN(test_parser__any_two_tokens_in_a_row_are_survived),
        RUN(test_parser__every_failing_allocation_is_survived),
        RUN(test_parser__failing_allocations_deep_inside_are_survived),
        RUN(test_parser__spans_cover_what_was_written),
        RUN(test_parser__arm_spans_go_from_the_bar_through_the_body),
        RUN(test_parser__value_names_of_constants_are_upper),
        RUN(test_parser__print_shows_labels_and_spans),
        RUN(test_parser__interpolations_have_spans_inside_the_literal),
        RUN(test_parser__types_and_signatures_of_hosts),
        RUN(test_parser__false_cfg_removes_what_it_stands_on),
        RUN(test_parser__cfg_with_an_error_is_false),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
