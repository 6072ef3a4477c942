/* base/regex: compared with Python's re.fullmatch on random patterns (tools/make_regex_cases.py), and its limits. */
#include "check.h"

#include "base/regex.h"

typedef struct regex_case {
    const char *pattern, *text;
    bool matches;
} regex_case_t;

static const regex_case_t cases[] = {
#include "regex_cases.inc"
};

static uint64_t steps_spent;
static bool count_steps(void* user, uint64_t steps) {
    (void)user;
    steps_spent += steps;
    return true;
}
static bool stop_early(void* user, uint64_t steps) {
    uint64_t* left = user;
    if (*left < steps) return false;
    *left -= steps;
    return true;
}

typedef struct fixture {
    rl_allocator_t allocator;
    rl_buf_t program;
    rl_regex_error_t error;
} fixture_t;

static bool compile(fixture_t* f, const char* pattern) {
    rl_allocator_init(&f->allocator, NULL, NULL);
    rl_buf_init(&f->program, &f->allocator);
    return rl_regex_compile(&f->allocator, rl_str(pattern), &f->program, &f->error);
}
static rl_regex_result_t match(fixture_t* f, const char* text) {
    return rl_regex_match(&f->allocator, rl_buf_str(&f->program), rl_str(text), count_steps, NULL);
}
static void finish(fixture_t* f) {
    rl_buf_deinit(&f->program);
    CHECK_INT_EQ(f->allocator.live_bytes, 0);
}

/* The same program without its automaton: the threads must answer the same. */
static void forget_automaton(fixture_t* f) {
    rl_regex_header_t header;
    memcpy(&header, f->program.data, sizeof header);
    header.states = 0;
    memcpy(f->program.data, &header, sizeof header);
}

TEST(test_regex__answers_as_python_does) {
    unsigned automata = 0;
    for (size_t i = 0; i < RL_COUNT_OF(cases); i++) {
        fixture_t f;
        if (!CHECK(compile(&f, cases[i].pattern))) printf("%s: %s\n", cases[i].pattern, f.error.message);
        rl_regex_header_t header = {0};
        if (f.program.length) memcpy(&header, f.program.data, sizeof header);
        automata += header.states != 0;
        for (int round = 0; round < 2 && f.program.length; round++) {
            if (!CHECK_INT_EQ(match(&f, cases[i].text) == RL_REGEX_YES, cases[i].matches))
                printf("%s on \"%s\" in round %d\n", cases[i].pattern, cases[i].text, round);
            forget_automaton(&f);
        }
        finish(&f);
    }
    CHECK(automata > RL_COUNT_OF(cases) / 2);
}

TEST(test_regex__wrong_patterns_say_where) {
    static const struct {
        const char* pattern;
        uint32_t offset;
    } wrong[] = {{"ab(c", 2}, {"a)", 1}, {"x**", 2}, {"*", 0}, {"a|+", 2}, {"[ab", 0}, {"a[z-a]", 2}, {"a{2,1}", 1},
        {"a\\", 1}, {"(\\1)", 1}, {"\\k", 0}, {"(?=a)", 0}, {"^*", 1}, {"\\xZ1", 0}, {"\\u{110000}", 0}, {"a{2}{3}", 4},
        {"[\\d-z]", 1}, {"(?<1>a)", 0}, {"{3}", 0}};
    for (size_t i = 0; i < RL_COUNT_OF(wrong); i++) {
        fixture_t f;
        if (!CHECK(!compile(&f, wrong[i].pattern) && f.error.message)) printf("%s\n", wrong[i].pattern);
        if (!CHECK_INT_EQ(f.error.offset, wrong[i].offset)) printf("%s: %s\n", wrong[i].pattern, f.error.message);
        CHECK(f.error.offset + f.error.length <= strlen(wrong[i].pattern) || f.error.length == 1);
        finish(&f);
    }
}

TEST(test_regex__expansion_is_bounded) {
    static const char* const large[] = {
        "((a{1000}){1000}){1000}", "(((((|){900}){900}){900}){900}){900}", "(a{99999}){99999}", "a{100001}"};
    for (size_t i = 0; i < RL_COUNT_OF(large); i++) {
        fixture_t f;
        CHECK(!compile(&f, large[i]) && f.error.message);
        finish(&f);
    }
    fixture_t f;
    CHECK(compile(&f, "(((a{0}){100000}){100000}){100000}()*b"));
    CHECK_INT_EQ(match(&f, "b"), RL_REGEX_YES);
    finish(&f);
}

TEST(test_regex__deep_nesting_needs_no_stack) {
    static char pattern[200001];
    memset(pattern, '(', 100000);
    memset(pattern + 100000, ')', 100000);
    fixture_t f;
    CHECK(compile(&f, pattern));
    CHECK_INT_EQ(match(&f, ""), RL_REGEX_YES);
    finish(&f);
}

TEST(test_regex__work_is_linear_and_charged) {
    static const char* const hard[] = {"(a*)*b", "(a|a)*c", "(\\b|a*)*d", "(.*)(.*)(.*)[^a]", "(a|b)*a(a|b){14}"};
    static char text[100001];
    memset(text, 'a', 100000);
    for (size_t i = 0; i < RL_COUNT_OF(hard); i++) {
        fixture_t f;
        CHECK(compile(&f, hard[i]));
        steps_spent = 0;
        CHECK_INT_EQ(match(&f, text), i == 4 ? RL_REGEX_YES : RL_REGEX_NO);
        CHECK(steps_spent >= 20000 && steps_spent < 6000000);
        uint64_t left = 1000;
        CHECK_INT_EQ(
            rl_regex_match(&f.allocator, rl_buf_str(&f.program), rl_str(text), stop_early, &left), RL_REGEX_STOPPED);
        finish(&f);
    }
}

TEST(test_regex__text_that_is_not_utf8_does_not_match) {
    static const char* const patterns[] = {".*", "\\b.*|.*"};
    for (size_t i = 0; i < RL_COUNT_OF(patterns); i++) {
        fixture_t f;
        CHECK(compile(&f, patterns[i]));
        CHECK_INT_EQ(match(&f, "a\xC3"), RL_REGEX_NO);
        CHECK_INT_EQ(match(&f, "\xFF"), RL_REGEX_NO);
        CHECK_INT_EQ(match(&f, "a\xC3\xA9"), RL_REGEX_YES);
        finish(&f);
    }
}

TEST(test_regex__every_refused_request_is_survived) {
    for (uint64_t n = 1; n < 60; n++) {
        fixture_t f;
        rl_allocator_init(&f.allocator, NULL, NULL);
        rl_buf_init(&f.program, &f.allocator);
        f.allocator.fail_at = n;
        bool made = rl_regex_compile(&f.allocator, rl_str("(ab|c){2,3}[^x-z]*$|\\w+"), &f.program, &f.error);
        CHECK(made != f.allocator.failed);
        CHECK(made || !f.error.message);
        finish(&f);
    }
}

TEST(test_regex__garbage_is_read_to_the_end_or_refused) {
    static const char letters[] = "ab\\()[]{}*+?|^$.-,19dwb<>:P\xC3\xA9";
    uint32_t state = 57;
    for (int i = 0; i < 20000; i++) {
        char pattern[24];
        size_t length = 0;
        for (uint32_t n = i % 20; n > 0; n--) {
            state = state * 1664525u + 1013904223u;
            pattern[length++] = letters[(state >> 16) % (sizeof letters - 3)];
        }
        pattern[length] = '\0';
        fixture_t f;
        bool made = compile(&f, pattern);
        CHECK(made == (f.error.message == NULL));
        if (made) (void)match(&f, "ab19");
        finish(&f);
    }
}

int main(int argc, char** argv) {
    static const test_t tests[] = {RUN(test_regex__answers_as_python_does), RUN(test_regex__wrong_patterns_say_where),
        RUN(test_regex__expansion_is_bounded), RUN(test_regex__deep_nesting_needs_no_stack),
        RUN(test_regex__work_is_linear_and_charged), RUN(test_regex__text_that_is_not_utf8_does_not_match),
        RUN(test_regex__every_refused_request_is_survived), RUN(test_regex__garbage_is_read_to_the_end_or_refused)};
    return check_main(tests, RL_COUNT_OF(tests), argc, argv);
}
