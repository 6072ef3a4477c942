/*
 * The whole test framework of the C tests. A test is a function without arguments whose name says the behaviour:
 *
 *     TEST(test_buf__append_past_the_limit_fails) { CHECK(buf.failed); CHECK_INT_EQ(buf.length, 3); }
 *     int main(int argc, char** argv) {
 *         static const test_t tests[] = {RUN(test_buf__append_past_the_limit_fails)};
 *         return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
 *     }
 *
 * Each failure is one line with file and line; the test goes on. Arguments of the program are words: only tests whose
 * name contains one of them run. The last line is `N passed, N failed`; the exit status is 1 when any failed.
 */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct test {
    const char* name;
    void (*run)(void);
} test_t;

#define TEST(name) static void name(void)
#define RUN(name)  {#name, name}

static unsigned check_failures; /* of the running test */

static inline bool check_report(bool holds, const char* file, int line, const char* what) {
    if (!holds) {
        check_failures++;
        printf("%s:%d: %s\n", file, line, what);
    }
    return holds;
}

static inline bool check_int(intmax_t found, intmax_t expected, const char* file, int line, const char* what) {
    if (found == expected) return true;
    check_failures++;
    printf("%s:%d: %s is %" PRIdMAX ", expected %" PRIdMAX "\n", file, line, what, found, expected);
    return false;
}

static inline bool check_bytes(const char* found, size_t found_length, const char* expected, size_t expected_length,
    const char* file, int line, const char* what) {
    if (found && found_length == expected_length && memcmp(found, expected, expected_length) == 0) return true;
    check_failures++;
    printf("%s:%d: %s is\n  \"%.*s\"\nexpected\n  \"%.*s\"\n", file, line, what, found ? (int)found_length : 6,
        found ? found : "(null)", (int)expected_length, expected);
    return false;
}

/* Each answers whether it held: `if (!CHECK(pointer)) return;` */
#define CHECK(condition)              check_report((condition), __FILE__, __LINE__, "does not hold: " #condition)
#define CHECK_INT_EQ(found, expected) check_int((intmax_t)(found), (intmax_t)(expected), __FILE__, __LINE__, #found)
/* NUL-terminated texts. */
#define CHECK_STR_EQ(found, expected) check_cstr((found), (expected), __FILE__, __LINE__, #found)
/* `found` is any struct with `data` and `length` (rl_str_t, rl_buf_t); `expected` is NUL-terminated. */
#define CHECK_TEXT_EQ(found, expected)                                                                                 \
    check_bytes(                                                                                                       \
        (found).data ? (found).data : "", (found).length, (expected), strlen(expected), __FILE__, __LINE__, #found)

static inline bool check_cstr(const char* found, const char* expected, const char* file, int line, const char* what) {
    return check_bytes(found, found ? strlen(found) : 0, expected, strlen(expected), file, line, what);
}

static inline bool check_is_wanted(const char* name, int argc, char** argv) {
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i])) return true;
    }
    return argc <= 1;
}

static inline int check_main(const test_t* tests, size_t count, int argc, char** argv) {
    unsigned passed = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (!check_is_wanted(tests[i].name, argc, argv)) continue;
        check_failures = 0;
        tests[i].run();
        if (check_failures) {
            printf("FAILED %s\n", tests[i].name);
            failed++;
        } else {
            passed++;
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed || passed == 0 ? 1 : 0;
}

#endif
