/* Profiles (reml_profile.h): whose time is whose, and that nothing else changes. Only public headers. */
#include "check.h"

#include "reml_async.h"
#include "reml_audit.h"
#include "reml_profile.h"
#include "reml_value.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define OK      REML_EMBED_STATUS_OK
#define ERROR   REML_EMBED_STATUS_ERROR
#define BUSY    REML_EMBED_STATUS_BUSY
#define INVALID REML_EMBED_STATUS_INVALID_ARGUMENT

#ifdef RL_STRESS_GC /* each safe point is a whole collection there */
#define ROWS    "1500"
#define ITEMS   "3000"
#define GARBAGE "1500"
#else
#define ROWS    "200000"
#define ITEMS   "20000"
#define GARBAGE "60000"
#endif

static const char program[] =
    "module P\n"
    "effect Ask { operation ask(n: Int) -> Int }\n"
    "let steps: Ref<Int> = Ref.new(0)\n"
    "fn hot(n: Int) -> Int {\n"
    "  var s = 0\n"
    "  for i in 0..n { s := s + i % 7 }\n"
    "  s\n"
    "}\n"
    "fn cold(n: Int) -> Int { let a = hot(n / 40); hot_too(n) + a }\n"
    "fn hot_too(n: Int) -> Int {\n"
    "  var s = 0\n"
    "  for i in 0..n { s := s + i % 5 }\n"
    "  s\n"
    "}\n"
    "fn both() -> Int = cold(2000000) + 0\n"
    "fn fib(n: Int) -> Int = if n < 2 { n } else { fib(n - 1) + fib(n - 2) }\n"
    "fn fib20() -> Int = fib(20) + 0\n"
    "fn deep(n: Int) -> Int = if n == 0 { hot(100000) + 0 } else { 1 + deep(n - 1) }\n"
    "fn deep1000() -> Int = deep(1000) + 0\n"
    "fn deep253() -> Int = deep(253) + 0\n"
    "fn rows(n: Int) -> List<Int> { let xs = List.range(0, n); xs.sort_by(|a| 0 - a).sort() }\n"
    "fn sorted() -> Int { let xs = rows(" ROWS "); let ys = xs.len() + 1; hot(10) + ys }\n"
    "fn leaf(a: Int, b: Int, c: Int) -> Int {\n"
    "  let d = a * b - c % 3 + a % 5 * 7 - b % 11\n"
    "  let e = d * b - c % 3 + d % 5 * 7 - b % 13\n"
    "  let f = e * d - c % 3 + a % 5 * 7 - b % 17\n"
    "  let g = f * b % 19 - c % 3 + e % 5 * 7 - b % 11\n"
    "  let h = g * d % 23 - c % 3 + a % 5 * 7 - f % 29\n"
    "  d % 7 + e % 11 + f % 7 + g % 11 + h % 5 + if h % 2 == 0 then d % 3 else if g % 2 == 0 then e % 5 else f % 7\n"
    "}\n"
    "fn leaves() -> Int {\n"
    "  var s = 0\n"
    "  for i in 0..100000 { s := s + leaf(i, s % 100, 3) }\n"
    "  s\n"
    "}\n"
    "fn asks(n: Int) -> Int {\n"
    "  var s = 0\n"
    "  for i in 0..n { s := s + perform Ask.ask(i) }\n"
    "  hot(100000) + s\n"
    "}\n"
    "fn answered() -> Int = handle asks(20) with handler Ask {\n"
    "  operation ask(k, resume) { let a = hot(20000); resume(k + a) }\n"
    "  return v { v + 1 }\n"
    "}\n"
    "fn calls_host() -> Int = slow(1) + 0\n"
    "fn calls_back() -> Int = back(100000) + 0\n"
    "fn pick<T>(xs: List<T>, keep: (T) -> Bool) -> Int { let ys = xs.filter(keep); ys.len() + 0 }\n"
    "type Point = Point(x: Int)\n"
    "fn Point.length(self) -> Int = hot(100000) + 1\n"
    "fn names() -> Int {\n"
    "  let a = pick(List.range(0, " ITEMS "), |x| x % 3 == 0)\n"
    "  let b = pick(List.repeat(1.5, " ITEMS "), |x| x > 1.0)\n"
    "  fn local(n: Int) -> Int = hot(n) + 0\n"
    "  a + b + Point(1).length() + local(100000)\n"
    "}\n"
    "fn add(a: Int, b: Int) -> Int = a + b\n"
    "fn count() -> () { for i in 0..1000000 { steps.set(steps.get() + 1); if i % 100 == 0 { let f = fib(5); "
    "steps.set(steps.get() + f - 5) } } }\n"
    "fn counted() -> Int = steps.get()\n"
    "fn forget() -> () = steps.set(0)\n"
    "fn garbage() -> Int { var s = 0; for i in 0.." GARBAGE
    " { s := s + [i, i + 1, i + 2].map(|x| x + 1).len() }; s }\n"
    "fn says() -> () = println(\"slowly\")\n"
    "async fn naps() -> Int { Async.sleep_async(30.ms).await; 1 }\n"
    "fn fails() -> Int { let a = hot(100000); a / (a - a) }\n"
    "fn forever() -> () = while true { }\n"
    "fn main() -> Int = 1\n";

static void pause_ms(long ms) {
    struct timespec time = {0, ms * 1000000};
    nanosleep(&time, NULL);
}
static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static reml_embed_status_t slow(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context, (void)user;
    pause_ms(20);
    out->i = arguments[0].i;
    return OK;
}
static reml_embed_status_t back(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)user;
    reml_function_t hot;
    CHECK_INT_EQ(reml_function_find(context, "hot", 3, NULL, 0, &hot), OK);
    CHECK_INT_EQ(reml_profile_stop(context), BUSY);
    CHECK_INT_EQ(reml_profile_start(context, 0), BUSY);
    return reml_function_call_scalars(context, hot, arguments, 1, out);
}

static void define(reml_embed_context_t* context, const char* name, reml_host_scalar_fn call) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = "(n: Int) -> Int";
    function.call_scalars = call;
    CHECK_INT_EQ(reml_host_define(context, &function), OK);
}

static reml_embed_context_t* create_with(const reml_embed_options_t* options) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_embed_create(REML_EMBED_ABI_VERSION, options, &context), OK);
    define(context, "slow", slow);
    define(context, "back", back);
    if (reml_load_module(context, (const unsigned char*)program, strlen(program)) != OK) {
        CHECK_STR_EQ(reml_last_error(context), "");
        exit(1);
    }
    CHECK_INT_EQ(reml_run(context, ""), OK);
    return context;
}
static reml_embed_context_t* create(void) { return create_with(NULL); }
static void dispose(reml_embed_context_t* context) { CHECK_INT_EQ(reml_dispose_context(context), OK); }

static char* folded(reml_embed_context_t* context) {
    char* text = NULL;
    size_t length = 0;
    CHECK_INT_EQ(reml_profile_folded(context, &text, &length), OK);
    if (text) CHECK_INT_EQ(length, strlen(text));
    return text;
}
static reml_profile_totals_t totals(reml_embed_context_t* context) {
    reml_profile_totals_t found = REML_PROFILE_TOTALS_INIT;
    CHECK_INT_EQ(reml_profile_totals(context, &found), OK);
    return found;
}

/* The weight of all stacks whose text contains `part`; lines must have their form. */
static uint64_t weight(const char* text, const char* part) {
    uint64_t sum = 0;
    for (const char* line = text; *line;) {
        const char* end = strchr(line, '\n');
        if (!CHECK(end != NULL)) return 0;
        const char* space = end;
        while (space > line && *space != ' ') space--;
        CHECK(space > line && space[1] >= '1' && space[1] <= '9');
        uint64_t ns = 0;
        for (const char* c = space + 1; c < end; c++) {
            CHECK(*c >= '0' && *c <= '9');
            ns = ns * 10 + (uint64_t)(*c - '0');
        }
        size_t length = strlen(part);
        for (const char* at = line; at + length <= space + 1; at++) {
            if (memcmp(at, part, length) == 0) {
                sum += ns;
                break;
            }
        }
        line = end + 1;
    }
    return sum;
}
static uint64_t all(const char* text) { return weight(text, ""); }

/* The profile of one run with a sample at each poll; freed by the caller. */
static char* profile_of(reml_embed_context_t* context, const char* entry) {
    CHECK_INT_EQ(reml_profile_start(context, 0), OK);
    CHECK_INT_EQ(reml_run(context, entry), OK);
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    return folded(context);
}

/* In one of a few profiles of the run at least (a busy machine may stop for long anywhere), stacks with `part` take this share. */
#define CHECK_SHARE(context, entry, part, percent)                                                                     \
    check_report(has_share((context), (entry), (part), (percent)), __FILE__, __LINE__, "too small a share: " part)
static bool has_share(reml_embed_context_t* context, const char* entry, const char* part, uint64_t percent) {
    for (int attempt = 0; attempt < 20; attempt++) {
        char* text = profile_of(context, entry);
        bool enough = weight(text, part) * 100 >= all(text) * percent && weight(text, part) > 0;
        reml_embed_free(text);
        if (enough) return true;
    }
    return false;
}

/* --- whose time is whose --------------------------------------------------------------------------------------------- */

TEST(test_profile__the_hot_function_has_the_most_of_the_weight) {
    reml_embed_context_t* context = create();
    CHECK_SHARE(context, "both", "P.both;P.cold;P.hot_too ", 80);
    char* text = profile_of(context, "both");
    CHECK(weight(text, "P.both;P.cold;P.hot ") > 0);
    CHECK(weight(text, "P.both") == all(text));
    reml_embed_free(text);
    dispose(context);
}

TEST(test_profile__recursion_is_as_deep_as_it_is) {
    reml_embed_context_t* context = create();
    CHECK_SHARE(context, "fib20", "P.fib20;P.fib;P.fib;P.fib;P.fib;P.fib", 90);
    char* text = profile_of(context, "fib20");
    for (const char* c = text; *c; c++) {
        if (strncmp(c, "P.fib20;", 8) != 0) continue;
        unsigned deep = 0;
        for (const char* at = c + 7; strncmp(at, ";P.fib", 6) == 0; at += 6) deep++;
        CHECK(deep >= 1 && deep <= 20);
    }
    reml_embed_free(text);
    dispose(context);
}

static unsigned frames_of_longest(const char* text) {
    unsigned longest = 0, here = 1;
    for (const char* c = text; *c; c++) {
        if (*c == ';') here++;
        if (*c == '\n') here = 1;
        if (here > longest) longest = here;
    }
    return longest;
}

TEST(test_profile__a_stack_that_is_too_deep_is_cut_at_its_outer_end) {
    reml_embed_context_t* context = create();
    CHECK_SHARE(context, "deep1000", "P.deep;P.hot ", 60);
    char* text = profile_of(context, "deep1000");
    CHECK(weight(text, "\xE2\x80\xA6;P.deep;P.deep;") > 0);
    CHECK_INT_EQ(frames_of_longest(text), REML_PROFILE_FRAMES_MAX + 1);
    reml_embed_free(text);
    text = profile_of(context, "deep253"); /* with its entry, the deepest and `hot` it just fits */
    CHECK_INT_EQ(frames_of_longest(text), REML_PROFILE_FRAMES_MAX);
    CHECK_INT_EQ(weight(text, "\xE2\x80\xA6"), 0);
    CHECK_INT_EQ(weight(text, "P.deep253"), all(text));
    reml_embed_free(text);
    dispose(context);
}

TEST(test_profile__a_builtin_counts_for_its_caller_even_as_the_last_thing_that_it_does) {
    reml_embed_context_t* context = create();
    CHECK_SHARE(context, "sorted", "P.sorted;P.rows", 90);
    char* text = profile_of(context, "sorted");
    CHECK(weight(text, "P.sorted;P.rows;[list.sort] ") > 0);
    CHECK(weight(text, "P.sorted;P.rows;sorted_by<Int, Int>") > 0);
    reml_embed_free(text);
    dispose(context);
}

TEST(test_profile__a_function_without_loops_and_calls_has_its_own_time) {
    reml_embed_context_t* context = create();
    CHECK_SHARE(context, "leaves", "P.leaves;P.leaf ", 75);
    dispose(context);
}

TEST(test_profile__what_a_handler_and_what_it_handles_do_is_told_apart) {
    reml_embed_context_t* context = create();
    CHECK_SHARE(context, "answered", "P.answered;P.hot ", 60); /* the clause, which is code of `answered` */
    CHECK_SHARE(context, "answered", "P.answered;P.asks;P.hot ", 10);
    char* text = profile_of(context, "answered");
    CHECK_INT_EQ(weight(text, "P.answered;P.answered"), 0);
    CHECK_INT_EQ(weight(text, ";;"), 0);
    reml_embed_free(text);
    dispose(context);
}

TEST(test_profile__host_functions_have_a_frame_and_runs_inside_of_them_too) {
    reml_embed_context_t* context = create();
    CHECK_INT_EQ(reml_run(context, "calls_host"), OK); /* its site goes the short way from now on */
    CHECK_INT_EQ(reml_run(context, "calls_host"), OK);
    CHECK_INT_EQ(reml_profile_start(context, 1000000), OK);
    CHECK_INT_EQ(reml_run(context, "calls_host"), OK);
    CHECK_INT_EQ(reml_run(context, "calls_host"), OK);
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    char* text = folded(context);
    CHECK(weight(text, "P.calls_host;[host slow] ") >= 40000000);
    reml_embed_free(text);
    CHECK_SHARE(context, "calls_back", "P.calls_back;[host back];P.hot ", 50);
    dispose(context);
}

static reml_embed_status_t say_slowly(const char* text, size_t length, void* user) {
    (void)text, (void)length, (void)user;
    pause_ms(20);
    return OK;
}

TEST(test_profile__waiting_and_printing_have_frames_of_their_own) {
    reml_embed_context_t* context = create();
    char* text = profile_of(context, "naps");
    CHECK(weight(text, "P.naps;[waiting] ") >= 28000000);
    reml_embed_free(text);
    CHECK_INT_EQ(reml_embed_set_output(context, say_slowly, NULL), OK);
    text = profile_of(context, "says");
    CHECK(weight(text, "P.says;[println_str] ") >= 20000000);
    reml_embed_free(text);
    dispose(context);
}

TEST(test_profile__the_collector_has_a_frame_where_it_ran) {
    reml_embed_context_t* context = create();
    char* text = profile_of(context, "garbage");
    uint64_t collecting = weight(text, ";[collector] ");
    CHECK(collecting > 0 && collecting < all(text));
    CHECK_INT_EQ(weight(text, "P.garbage"), all(text));
    reml_embed_free(text);
    dispose(context);
}

TEST(test_profile__frames_are_named_as_a_programmer_calls_them) {
    reml_embed_context_t* context = create();
    char* text = profile_of(context, "names");
    CHECK(weight(text, "P.names;P.pick<Int>;List.filter<Int>;P.names <fn lambda>:51") > 0);
    CHECK(weight(text, "P.names;P.pick<Float>;List.filter<Float>;P.names <fn lambda>:52") > 0);
    CHECK(weight(text, "P.names;P.Point.length;P.hot ") > 0);
    CHECK(weight(text, "P.names;P.names.local;P.hot ") > 0);
    reml_embed_free(text);
    static const char other[] = "module Q\nlet made: Int = { var s = 0; for i in 0..100000 { s := s + i % 7 }; s }\n"
                                "fn main() -> Int = made\n";
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)other, strlen(other)), OK);
    text = profile_of(context, "main");
    CHECK(weight(text, "Q.<module>") > 0);
    reml_embed_free(text);
    dispose(context);
}

TEST(test_profile__calls_that_are_shorter_than_a_poll_count_for_their_entry) {
    reml_embed_context_t* context = create();
    reml_function_t add;
    CHECK_INT_EQ(reml_function_find(context, "add", 3, NULL, 0, &add), OK);
    reml_scalar_t given[2] = {{.i = 1}, {.i = 2}}, result;
    for (int i = 0; i < 3; i++) CHECK_INT_EQ(reml_function_call_scalars(context, add, given, 2, &result), OK);
    CHECK_INT_EQ(reml_profile_start(context, 20000), OK);
    for (int i = 0; i < 20000 && !check_failures; i++)
        CHECK_INT_EQ(reml_function_call_scalars(context, add, given, 2, &result), OK);
    CHECK_INT_EQ(result.i, 3);
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    char* text = folded(context);
    CHECK(strncmp(text, "P.add ", 6) == 0);
    CHECK_INT_EQ(weight(text, "P.add "), all(text));
    CHECK(totals(context).samples > 10);
    reml_embed_free(text);
    dispose(context);
}

/* --- how much it is -------------------------------------------------------------------------------------------------- */

/* Profile three runs; what they took by the clock. */
static uint64_t three_runs(reml_embed_context_t* context) {
    CHECK_INT_EQ(reml_profile_start(context, 1000000), OK);
    uint64_t start = now_ns();
    CHECK_INT_EQ(reml_run(context, "both"), OK);
    CHECK_INT_EQ(reml_run(context, "calls_host"), OK);
    CHECK_INT_EQ(reml_run(context, "fails"), ERROR);
    uint64_t took = now_ns() - start;
    pause_ms(20); /* not in a run */
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    return took;
}

TEST(test_profile__the_weights_are_the_time_of_the_runs) {
    reml_embed_context_t* context = create();
    bool close = false;
    for (int attempt = 0; attempt < 10 && !close; attempt++) { /* a busy machine may stop between two runs */
        uint64_t took = three_runs(context);
        close = totals(context).elapsed_ns > took * 9 / 10;
        CHECK(totals(context).elapsed_ns <= took);
    }
    CHECK(close);
    char* text = folded(context);
    reml_profile_totals_t found = totals(context);
    CHECK_INT_EQ(all(text), found.elapsed_ns);
    CHECK(found.samples >= 5 && found.samples <= found.elapsed_ns / 1000000 + 1);
    CHECK_INT_EQ(found.incomplete, 0);
    uint64_t lines = 0;
    for (const char* c = text; *c; c++) lines += *c == '\n';
    CHECK_INT_EQ(found.stacks, lines);
    reml_embed_free(text);
    dispose(context);
}

/* --- nothing else changes ---------------------------------------------------------------------------------------------- */

static int64_t counted_with(reml_embed_context_t* context, uint64_t fuel, bool profiled, uint64_t* collections) {
    reml_embed_limits_t limits, whole;
    reml_embed_limits_default(&whole);
    limits = whole;
    limits.fuel = fuel;
    CHECK_INT_EQ(reml_run(context, "forget"), OK);
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    if (profiled) CHECK_INT_EQ(reml_profile_start(context, 0), OK);
    CHECK_INT_EQ(reml_run(context, "count"), REML_EMBED_STATUS_LIMIT);
    CHECK(strstr(reml_last_error(context), "runtime.limit.instructions") != NULL);
    if (profiled) CHECK_INT_EQ(reml_profile_stop(context), OK);
    CHECK_INT_EQ(reml_embed_set_limits(context, &whole), OK);
    reml_function_t function;
    reml_scalar_t steps;
    CHECK_INT_EQ(reml_function_find(context, "counted", 7, NULL, 0, &function), OK);
    CHECK_INT_EQ(reml_function_call_scalars(context, function, NULL, 0, &steps), OK);
    reml_embed_memory_t memory = {.struct_size = sizeof memory};
    CHECK_INT_EQ(reml_embed_memory(context, &memory), OK);
    *collections = memory.collections;
    return steps.i;
}

TEST(test_profile__fuel_ends_at_the_same_step_with_it_and_without) {
    uint64_t ignored;
    reml_embed_context_t* context = create();
    for (uint64_t fuel = 100; fuel < 200000 && !check_failures; fuel += fuel / 7 + 13) {
        int64_t without = counted_with(context, fuel, false, &ignored);
        CHECK_INT_EQ(counted_with(context, fuel, true, &ignored), without);
        CHECK(without > 0);
    }
    dispose(context);
}

TEST(test_profile__the_collector_works_at_the_same_moments) {
    uint64_t found[2];
    for (int profiled = 0; profiled < 2; profiled++) {
        reml_embed_context_t* context = create();
        if (profiled) CHECK_INT_EQ(reml_profile_start(context, 0), OK);
        for (int i = 0; i < 3; i++) CHECK_INT_EQ(reml_run(context, "garbage"), OK);
        reml_embed_memory_t memory = {.struct_size = sizeof memory};
        CHECK_INT_EQ(reml_embed_memory(context, &memory), OK);
        found[profiled] = memory.collections;
        dispose(context);
    }
    CHECK(found[0] > 2);
    CHECK_INT_EQ(found[1], found[0]);
}

TEST(test_profile__what_it_keeps_is_not_of_the_limits) {
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.heap_bytes = 4 << 20;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.limits = &limits;
    reml_embed_context_t* context = create_with(&options);
    reml_embed_memory_t before = {.struct_size = sizeof before}, after = before;
    CHECK_INT_EQ(reml_run(context, "deep1000"), OK);
    CHECK_INT_EQ(reml_embed_collect(context), OK);
    CHECK_INT_EQ(reml_embed_memory(context, &before), OK);
    CHECK_INT_EQ(reml_profile_start(context, 0), OK);
    for (int i = 0; i < 5; i++) CHECK_INT_EQ(reml_run(context, "deep1000"), OK);
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    CHECK_INT_EQ(reml_embed_collect(context), OK);
    CHECK_INT_EQ(reml_embed_memory(context, &after), OK);
    CHECK(after.live_bytes < before.live_bytes + 4096);
    CHECK(totals(context).stacks > 1);
    dispose(context);
}

static reml_embed_status_t refuse_third(void* user) { return ++*(int*)user < 3 ? OK : REML_EMBED_STATUS_ERROR; }

TEST(test_profile__a_run_can_still_be_stopped) {
    reml_embed_context_t* context = create();
    int polls = 0;
    CHECK_INT_EQ(reml_embed_set_poll(context, refuse_third, &polls), OK);
    CHECK_INT_EQ(reml_profile_start(context, 1000), OK);
    CHECK(reml_run(context, "forever") != OK);
    CHECK_INT_EQ(polls, 3);
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    char* text = folded(context);
    CHECK_INT_EQ(weight(text, "P.forever "), all(text));
    reml_embed_free(text);
    dispose(context);
}

static reml_embed_status_t count_polls(void* user) {
    ++*(uint64_t*)user;
    return OK;
}

TEST(test_profile__when_it_has_ended_all_is_as_it_was) {
    reml_embed_context_t* context = create();
    uint64_t polls[3];
    for (int round = 0; round < 3; round++) {
        polls[round] = 0;
        CHECK_INT_EQ(reml_embed_set_poll(context, count_polls, &polls[round]), OK);
        if (round == 1) CHECK_INT_EQ(reml_profile_start(context, 0), OK);
        CHECK_INT_EQ(reml_run(context, "both"), OK);
        CHECK_INT_EQ(reml_run(context, "calls_host"), OK);
        if (round == 1) CHECK_INT_EQ(reml_profile_stop(context), OK);
    }
    CHECK(polls[0] > 100);
    CHECK(polls[1] > polls[0] * 10);
    CHECK_INT_EQ(polls[2], polls[0]);
    uint64_t elapsed = totals(context).elapsed_ns;
    CHECK_INT_EQ(reml_run(context, "naps"), OK);
    CHECK_INT_EQ(totals(context).elapsed_ns, elapsed);
    dispose(context);
}

/* --- one after the other, one beside the other ------------------------------------------------------------------------- */

TEST(test_profile__one_ends_and_the_next_begins_anew) {
    reml_embed_context_t* context = create();
    reml_profile_totals_t found = REML_PROFILE_TOTALS_INIT;
    char* text = NULL;
    size_t length;
    CHECK_INT_EQ(reml_profile_folded(context, &text, &length), ERROR);
    CHECK_INT_EQ(reml_profile_totals(context, &found), ERROR);
    CHECK_STR_EQ(reml_last_error(context), "no profile was begun");
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    text = profile_of(context, "fib20");
    CHECK(weight(text, "P.fib") > 0);
    uint64_t elapsed = totals(context).elapsed_ns;
    CHECK_INT_EQ(reml_run(context, "both"), OK); /* nobody looks */
    CHECK_INT_EQ(totals(context).elapsed_ns, elapsed);
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    reml_embed_free(text);
    CHECK_INT_EQ(reml_profile_start(context, 0), OK);
    CHECK_INT_EQ(reml_profile_start(context, 0), BUSY);
    CHECK_STR_EQ(reml_last_error(context), "a profile cannot begin while one is on");
    CHECK_INT_EQ(reml_run(context, "both"), OK);
    text = folded(context); /* of one that is on */
    CHECK(weight(text, "P.both") > 0);
    CHECK_INT_EQ(weight(text, "P.fib"), 0);
    reml_embed_free(text);
    CHECK_INT_EQ(reml_profile_folded(context, NULL, &length), INVALID);
    CHECK_INT_EQ(reml_profile_totals(context, NULL), INVALID);
    found.struct_size = 4;
    CHECK_INT_EQ(reml_profile_totals(context, &found), INVALID);
    dispose(context); /* while it is on */
    CHECK_INT_EQ(reml_profile_start(context, 0), REML_EMBED_STATUS_STALE);
}

static void* profile_alone(void* user) {
    reml_embed_context_t* context = create();
    char* text = profile_of(context, user);
    char needle[64];
    snprintf(needle, sizeof needle, "P.%s", (const char*)user);
    CHECK_INT_EQ(weight(text, needle), all(text));
    reml_embed_free(text);
    dispose(context);
    return NULL;
}

TEST(test_profile__two_contexts_are_profiled_at_once) {
    pthread_t one, other;
    char first[] = "both", second[] = "fib20";
    CHECK_INT_EQ(pthread_create(&one, NULL, profile_alone, first), 0);
    CHECK_INT_EQ(pthread_create(&other, NULL, profile_alone, second), 0);
    pthread_join(one, NULL);
    pthread_join(other, NULL);
    reml_embed_context_t *a = create(), *b = create();
    CHECK_INT_EQ(reml_profile_start(a, 0), OK);
    CHECK_INT_EQ(reml_run(a, "fib20"), OK);
    CHECK_INT_EQ(reml_run(b, "both"), OK);
    CHECK_INT_EQ(reml_profile_stop(a), OK);
    char* text = folded(a);
    CHECK_INT_EQ(weight(text, "P.fib20"), all(text));
    reml_embed_free(text);
    dispose(a);
    dispose(b);
}

/* --- memory ------------------------------------------------------------------------------------------------------------ */

typedef struct meter {
    uint64_t requests, fail_at, fail_every, live;
} meter_t;

static void* resize(void* block, size_t old_size, size_t new_size, void* user) {
    meter_t* meter = user;
    if (new_size > old_size) {
        meter->requests++;
        if (meter->fail_at && meter->requests >= meter->fail_at &&
            (meter->fail_every ? (meter->requests - meter->fail_at) % meter->fail_every == 0
                               : meter->requests == meter->fail_at))
            return NULL;
    }
    if (new_size == 0) {
        free(block);
        meter->live -= old_size;
        return NULL;
    }
    void* moved = realloc(block, new_size);
    if (moved) meter->live += new_size - old_size;
    return moved;
}

TEST(test_profile__no_memory_for_it_costs_the_program_nothing) {
    meter_t meter = {0};
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.resize = resize;
    options.resize_user = &meter;
    reml_embed_context_t* context = create_with(&options);
    CHECK_INT_EQ(reml_run(context, "fib20"), OK);
    unsigned incomplete = 0;
    for (uint64_t every = 0; every < 3; every++) {
        for (uint64_t n = 1; n <= 60 && check_failures < 20; n++) {
            meter.fail_at = meter.requests + n;
            meter.fail_every = every;
            if (reml_profile_start(context, 0) == OK) {
                CHECK_INT_EQ(reml_run(context, "fib20"), OK);
                CHECK_INT_EQ(reml_profile_stop(context), OK);
                char* text = NULL;
                size_t length;
                reml_embed_status_t status = reml_profile_folded(context, &text, &length);
                CHECK(status == OK || status == REML_EMBED_STATUS_NO_MEMORY);
                meter.fail_at = 0;
                reml_profile_totals_t found = totals(context);
                incomplete += found.incomplete;
                reml_embed_free(text);
                text = folded(context);
                CHECK_INT_EQ(all(text), found.elapsed_ns);
                CHECK(found.elapsed_ns > 0);
                reml_embed_free(text);
            }
            meter.fail_at = 0;
        }
    }
    CHECK(incomplete > 20);
    dispose(context);
    char* records = NULL;
    size_t length;
    reml_embed_audit_drain(NULL, &records, &length);
    reml_embed_free(records);
    CHECK_INT_EQ(meter.live, 0);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_profile__the_hot_function_has_the_most_of_the_weight),
        RUN(test_profile__recursion_is_as_deep_as_it_is),
        RUN(test_profile__a_stack_that_is_too_deep_is_cut_at_its_outer_end),
        RUN(test_profile__a_builtin_counts_for_its_caller_even_as_the_last_thing_that_it_does),
        RUN(test_profile__a_function_without_loops_and_calls_has_its_own_time),
        RUN(test_profile__what_a_handler_and_what_it_handles_do_is_told_apart),
        RUN(test_profile__host_functions_have_a_frame_and_runs_inside_of_them_too),
        RUN(test_profile__waiting_and_printing_have_frames_of_their_own),
        RUN(test_profile__the_collector_has_a_frame_where_it_ran),
        RUN(test_profile__frames_are_named_as_a_programmer_calls_them),
        RUN(test_profile__calls_that_are_shorter_than_a_poll_count_for_their_entry),
        RUN(test_profile__the_weights_are_the_time_of_the_runs),
        RUN(test_profile__fuel_ends_at_the_same_step_with_it_and_without),
        RUN(test_profile__the_collector_works_at_the_same_moments),
        RUN(test_profile__what_it_keeps_is_not_of_the_limits),
        RUN(test_profile__a_run_can_still_be_stopped),
        RUN(test_profile__when_it_has_ended_all_is_as_it_was),
        RUN(test_profile__one_ends_and_the_next_begins_anew),
        RUN(test_profile__two_contexts_are_profiled_at_once),
        RUN(test_profile__no_memory_for_it_costs_the_program_nothing),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
