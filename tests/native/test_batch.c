/* Batches over columns: whatever way a row goes, it is what a call of its own answers; nothing is copied. */
#include "check.h"

#include "reml_embed.h"
#include "reml_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define OK    REML_EMBED_STATUS_OK
#define ERROR REML_EMBED_STATUS_ERROR

enum { ROWS = 1000 };

static uint64_t random_state;
static uint32_t random_below(uint32_t limit) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

static reml_embed_context_t* open_with(const char* source) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &context), OK);
    if (reml_load_module(context, (const unsigned char*)source, strlen(source)) != OK) {
        printf("%s\n%s\n", reml_last_error(context), source);
        CHECK(!"the source loads");
    }
    return context;
}
static reml_function_t find(reml_embed_context_t* context, const char* name) {
    reml_function_t function;
    CHECK_INT_EQ(reml_function_find(context, name, strlen(name), NULL, 0, &function), OK);
    return function;
}

static reml_column_t column(int kind, void* data, ptrdiff_t stride) {
    reml_column_t made = {.kind = (uint32_t)kind, .data = data, .stride = stride};
    return made;
}

/* `name`: (Float, Int) -> Float or Int over `count` rows, against a call for each row. */
static void compare(reml_embed_context_t* context, const char* name, int kind, size_t count) {
    static double x[ROWS];
    static int64_t n[ROWS];
    static uint64_t answer[ROWS + 1], untouched = 0x7a7a7a7a7a7a7a7a;
    for (size_t i = 0; i < count; i++) {
        x[i] = (double)random_below(2001) / 100 - 10;
        n[i] = (int64_t)random_below(41) - 20;
        if (random_below(50) == 0) x[i] = random_below(2) ? NAN : -0.0;
    }
    for (size_t i = 0; i <= count; i++) answer[i] = untouched;
    reml_function_t function = find(context, name);
    reml_column_t in[2] = {column(REML_COLUMN_F64, x, 8), column(REML_COLUMN_I64, n, 8)};
    reml_column_t out = column(kind, answer, 8);
    size_t done = SIZE_MAX;
    reml_embed_status_t status = reml_function_map(context, function, in, 2, &out, count, &done);
    for (size_t i = 0; i < count; i++) {
        reml_scalar_t arguments[2] = {{.f = x[i]}, {.i = n[i]}}, single;
        reml_embed_status_t alone = reml_function_call_scalars(context, function, arguments, 2, &single);
        if (alone != OK) {
            CHECK_INT_EQ(status, alone);
            CHECK_INT_EQ(done, i);
            CHECK(answer[i] == untouched);
            return;
        }
        if (memcmp(&single, &answer[i], 8) == 0) continue;
        printf("%s(%g, %" PRId64 ") in row %zu of %zu\n", name, x[i], n[i], i, count);
        CHECK(!"a row differs from a call of its own");
        return;
    }
    CHECK_INT_EQ(status, OK);
    CHECK_INT_EQ(done, count);
    CHECK(answer[count] == untouched);
}

static const size_t counts[] = {0, 1, 63, 64, 65, 127, 128, ROWS};
#define EVERY_COUNT(context, name, kind)                                                                               \
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) compare(context, name, kind, counts[c])

TEST(test_batch__rows_that_go_different_ways_answer_as_calls_do) {
    reml_embed_context_t* context = open_with(
        "fn line(x: Float, n: Int) -> Float = x * 2.0 + 1.0\n"
        "fn bend(x: Float, n: Int) -> Float = if x < 0.0 { -x } else if x > 1.0 { x * x } else { x }\n"
        "fn meet(x: Float, n: Int) -> Float {\n"
        "  var y = x\n"
        "  if n > 0 { y := y + 1.0 } else { if x > 2.0 { y := y * 3.0 } else { y := y - 4.0 } }\n"
        "  if y > x { y := y / 2.0 }\n"
        "  y * y - x\n"
        "}\n"
        "fn early(x: Float, n: Int) -> Float {\n"
        "  if n == 3 { return 7.5 }\n"
        "  if n < -10 { return x }\n"
        "  if x >= 5.0 { return -x }\n"
        "  n.to_float() * x\n"
        "}\n"
        "fn chosen(x: Float, n: Int) -> Int = match n % 5 with | 0 -> 10 | 1 -> 20 | 2 -> n | 3 -> n * n | _ -> -1\n"
        "fn whole(x: Float, n: Int) -> Int = if n % 3 == 0 { n * 7 - 1 } else if n < 0 { -n } else { n + 2 }\n"
        "fn power(x: Float, n: Int) -> Float = if n > 0 { x ^ 2.0 } else { x % 3.0 }\n"
        "fn looped(x: Float, n: Int) -> Int { var sum = 0; for i in 0..3 { sum := sum + n }; sum }\n"
        "fn same(x: Float, n: Int) -> Float = x\n"
        "fn powers(x: Float, n: Int) -> Int = n / 8 * 1000 + n % 16 + (n - 40) / 2\n"
        "fn fixed(x: Float, n: Int) -> Int = 42\n");
    random_state = 1;
    EVERY_COUNT(context, "line", REML_COLUMN_F64);
    EVERY_COUNT(context, "bend", REML_COLUMN_F64);
    EVERY_COUNT(context, "meet", REML_COLUMN_F64);
    EVERY_COUNT(context, "early", REML_COLUMN_F64);
    EVERY_COUNT(context, "chosen", REML_COLUMN_I64);
    EVERY_COUNT(context, "whole", REML_COLUMN_I64);
    EVERY_COUNT(context, "power", REML_COLUMN_F64);
    EVERY_COUNT(context, "looped", REML_COLUMN_I64);
    EVERY_COUNT(context, "same", REML_COLUMN_F64);
    EVERY_COUNT(context, "powers", REML_COLUMN_I64);
    EVERY_COUNT(context, "fixed", REML_COLUMN_I64);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_batch__the_row_that_fails_is_named_and_those_before_it_are_done) {
    reml_embed_context_t* context =
        open_with("fn divide(x: Float, n: Int) -> Int = 100 / (n - 7)\n"
                  "fn large(x: Float, n: Int) -> Int = if n == 11 { 9223372036854775807 + n } else { n - 1 }\n"
                  "fn one_way(x: Float, n: Int) -> Int = if x > 3.0 { n % (n - 5) } else { n }\n");
    random_state = 2;
    for (int turn = 0; turn < 20; turn++) {
        EVERY_COUNT(context, "divide", REML_COLUMN_I64);
        EVERY_COUNT(context, "large", REML_COLUMN_I64);
        EVERY_COUNT(context, "one_way", REML_COLUMN_I64);
    }
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

/* An expression over x, n and what is known so far; only forward, as the small loop wants it. */
static void write_float(char** at, unsigned depth);
static void write_condition(char** at, unsigned depth) {
    static const char* const relations[] = {"<", "<=", ">", ">=", "==", "!="};
    *at += sprintf(*at, "(");
    if (random_below(3) == 0) {
        *at += sprintf(*at, "n %s %d", relations[random_below(6)], (int)random_below(20) - 10);
    } else {
        write_float(at, depth);
        *at += sprintf(*at, " %s ", relations[random_below(6)]);
        write_float(at, depth);
    }
    *at += sprintf(*at, ")");
}
static void write_float(char** at, unsigned depth) {
    static const char operators[] = "+-*/";
    unsigned choice = random_below(depth ? 8 : 4);
    if (choice == 0) *at += sprintf(*at, "%u.25", random_below(9));
    else if (choice == 1) *at += sprintf(*at, "n.to_float()");
    else if (choice < 4) *at += sprintf(*at, "x");
    else if (choice < 6) {
        *at += sprintf(*at, "(");
        write_float(at, depth - 1);
        *at += sprintf(*at, " %c ", operators[random_below(4)]);
        write_float(at, depth - 1);
        *at += sprintf(*at, ")");
    } else {
        *at += sprintf(*at, "(if ");
        write_condition(at, depth - 1);
        *at += sprintf(*at, " { ");
        write_float(at, depth - 1);
        *at += sprintf(*at, " } else { ");
        write_float(at, depth - 1);
        *at += sprintf(*at, " })");
    }
}

TEST(test_batch__random_functions_answer_as_calls_do) {
    static char source[1 << 18];
    for (uint64_t seed = 1; seed <= 12; seed++) {
        random_state = seed;
        char* at = source;
        for (int f = 0; f < 12; f++) {
            at += sprintf(at, "fn f%d(x: Float, n: Int) -> Float {\n  var y = ", f);
            write_float(&at, 3);
            at += sprintf(at, "\n  if ");
            write_condition(&at, 2);
            at += sprintf(at, " { y := ");
            write_float(&at, 3);
            at += sprintf(at, " }\n  if ");
            write_condition(&at, 1);
            at += sprintf(at, " { return y * 2.0 }\n  y + ");
            write_float(&at, 4);
            at += sprintf(at, "\n}\n");
        }
        reml_embed_context_t* context = open_with(source);
        for (int f = 0; f < 12; f++) {
            char name[16];
            snprintf(name, sizeof name, "f%d", f);
            compare(context, name, REML_COLUMN_F64, ROWS);
        }
        CHECK_INT_EQ(reml_dispose_context(context), OK);
    }
}

TEST(test_batch__output_over_an_input_is_done_row_by_row) {
    reml_embed_context_t* context = open_with("fn next(x: Float) -> Float = x * 0.5 + 1.0\n");
    reml_function_t function = find(context, "next");
    double data[ROWS + 1], expected[ROWS + 1];
    size_t done;
    for (int shift = -1; shift <= 1; shift++) { /* out is in front of, over, and behind the input */
        for (int i = 0; i <= ROWS; i++) data[i] = expected[i] = i;
        double *in = data + (shift < 0), *out = in + shift;
        for (int i = 0; i < ROWS; i++) expected[i + (out - data)] = expected[i + (in - data)] * 0.5 + 1.0;
        reml_column_t from = column(REML_COLUMN_F64, in, 8), to = column(REML_COLUMN_F64, out, 8);
        CHECK_INT_EQ(reml_function_map(context, function, &from, 1, &to, ROWS, &done), OK);
        CHECK(memcmp(data, expected, sizeof data) == 0);
    }
    double back[ROWS]; /* backwards, and with gaps */
    for (int i = 0; i < ROWS; i++) data[i] = i;
    reml_column_t from = column(REML_COLUMN_F64, data + ROWS - 1, -8), to = column(REML_COLUMN_F64, back, 16);
    CHECK_INT_EQ(reml_function_map(context, function, &from, 1, &to, ROWS / 2, &done), OK);
    for (int i = 0; i < ROWS / 2; i++) CHECK(back[2 * i] == (ROWS - 1 - i) * 0.5 + 1.0);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_batch__fuel_ends_a_batch_at_the_row_where_calls_would_end) {
    reml_embed_context_t* context = open_with("fn next(x: Float) -> Float = x * 0.5 + 1.0\n");
    reml_function_t function = find(context, "next");
    enum { MANY = 100000 };
    double *data = calloc(MANY + 1, sizeof *data), *out = calloc(MANY + 1, sizeof *out);
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.fuel = 123457;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    size_t in_blocks, by_rows;
    reml_column_t from = column(REML_COLUMN_F64, data, 8), to = column(REML_COLUMN_F64, out, 8);
    CHECK(reml_function_map(context, function, &from, 1, &to, MANY, &in_blocks) != OK);
    to.data = data + 1; /* each row reads what the row before it wrote: no blocks */
    CHECK(reml_function_map(context, function, &from, 1, &to, MANY, &by_rows) != OK);
    CHECK(in_blocks > 1000);
    CHECK_INT_EQ(in_blocks, by_rows);
    free(data);
    free(out);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_batch__nothing_is_allocated_in_proportion_to_its_rows) {
    reml_embed_context_t* context = open_with("fn line(x: Float) -> Float = x * 2.0 + 1.0\n");
    reml_function_t function = find(context, "line");
    enum { MANY = 200000 };
    double* data = calloc(MANY, sizeof *data);
    reml_column_t from = column(REML_COLUMN_F64, data, 8);
    size_t done;
    CHECK_INT_EQ(reml_function_map(context, function, &from, 1, &from, 64, &done), OK);
    reml_embed_memory_t before = {.struct_size = sizeof before}, after = before;
    CHECK_INT_EQ(reml_embed_memory(context, &before), OK);
    CHECK_INT_EQ(reml_function_map(context, function, &from, 1, &from, MANY, &done), OK);
    CHECK_INT_EQ(reml_embed_memory(context, &after), OK);
    CHECK_INT_EQ(after.allocations, before.allocations);
    CHECK_INT_EQ(after.peak_bytes, before.peak_bytes);
    free(data);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_batch__rows_that_go_different_ways_answer_as_calls_do),
        RUN(test_batch__the_row_that_fails_is_named_and_those_before_it_are_done),
        RUN(test_batch__random_functions_answer_as_calls_do),
        RUN(test_batch__output_over_an_input_is_done_row_by_row),
        RUN(test_batch__fuel_ends_a_batch_at_the_row_where_calls_would_end),
        RUN(test_batch__nothing_is_allocated_in_proportion_to_its_rows),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
