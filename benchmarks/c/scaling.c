/*
 * Does it stay as fast when there is more of it? Three tables:
 *   threads    the same program in a context on each thread, all at once: the speed of one thread beside that of one alone, by the
 *              wall clock (the best of several pairs) and by the time that processors gave, which other work on the machine leaves alone
 *   growth     building and reading collections of 10^3 to 10^7 elements: time and memory of one element
 *   collector  a live heap of 1, 10 and 100 MiB while garbage is made: how long a turn of the program takes at worst, and how
 *              much of the time is the program's own
 * BENCH_QUICK leaves out what is large.
 */
#include "harness.h"

#include "reml_embed.h"
#include "reml_value.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OK REML_EMBED_STATUS_OK

static const char source[] =
    "type Point = { id: Int, weight: Float }\n"
    "type Tree = | Leaf | Node(Tree, Tree)\n"
    "fn fib(n: Int) -> Int = if n < 2 then n else fib(n - 1) + fib(n - 2)\n"
    "fn make(depth: Int) -> Tree = if depth == 0 then Leaf else Node(make(depth - 1), make(depth - 1))\n"
    "fn count(tree: Tree) -> Int = match tree with | Leaf -> 0 | Node(a, b) -> 1 + count(a) + count(b)\n"
    "fn trees(n: Int) -> Int { var sum = 0; for i in 0..n { sum := sum + count(make(10)) }; sum }\n"
    "fn words(n: Int) -> Int {\n"
    "  let seen: Table<Str, Int> = Table.new()\n"
    "  for i in 0..n { seen.update(\"word\" + to_string(i % 1000), 1, |old| old + 1) }\n"
    "  seen.len()\n"
    "}\n"
    "fn hosted(n: Int) -> Int { var sum = 0; for i in 0..n { sum := host(sum) }; sum }\n"

    "fn list_build(n: Int) -> List<Int> { var out: List<Int> = []; for i in 0..n { out := out.push(i) }; out }\n"
    "fn list_read(xs: List<Int>) -> Int { var sum = 0; for x in xs { sum := sum + x }; sum }\n"
    "fn map_build(n: Int) -> Map<Int, Int> {\n"
    "  var out: Map<Int, Int> = Map.empty()\n"
    "  for i in 0..n { out := out.insert(i, i) }\n"
    "  out\n"
    "}\n"
    "fn map_read(xs: Map<Int, Int>) -> Int { var sum = 0; for i in 0..xs.len() { sum := sum + xs[i] }; sum }\n"
    "fn table_build(n: Int) -> Table<Int, Int> {\n"
    "  let out: Table<Int, Int> = Table.new()\n"
    "  for i in 0..n { out.insert(i, i) }\n"
    "  out\n"
    "}\n"
    "fn table_read(xs: Table<Int, Int>) -> Int { var sum = 0; for i in 0..xs.len() { sum := sum + xs[i] }; sum }\n"
    "fn text_build(n: Int) -> Str { var out = \"\"; for i in 0..n { out := out + \"a\" }; out }\n"
    "fn text_read(text: Str) -> Int { let n = text.len(); n * (n - 1) / 2 }\n"
    "fn records_build(n: Int) -> Vec<Point> {\n"
    "  let out: Vec<Point> = Vec.new()\n"
    "  for i in 0..n { out.push(Point { id: i, weight: 1.5 }) }\n"
    "  out\n"
    "}\n"
    "fn records_read(xs: Vec<Point>) -> Int { var sum = 0; for x in xs { sum := sum + x.id }; sum }\n"

    "fn forest(n: Int) -> Vec<Tree> {\n"
    "  let out: Vec<Tree> = Vec.new()\n"
    "  for i in 0..n { out.push(make(6)) }\n"
    "  out\n"
    "}\n"
    "fn churn_forest(trees: Vec<Tree>, from: Int) -> Int {\n"
    "  for i in 0..8 { trees[(from + i * 7919) % trees.len()] = make(6) }\n"
    "  trees.len()\n"
    "}\n"
    "fn crowd(n: Int) -> Vec<Point> = records_build(n)\n"
    "fn churn_crowd(points: Vec<Point>, from: Int) -> Int {\n"
    "  for i in 0..500 { let at = (from + i * 7919) % points.len(); points[at] = Point { id: at, weight: 2.5 } }\n"
    "  points.len()\n"
    "}\n"
    "fn register(n: Int) -> Table<Str, Point> {\n"
    "  let out: Table<Str, Point> = Table.new()\n"
    "  for i in 0..n { out.insert(to_string(i), Point { id: i, weight: 1.5 }) }\n"
    "  out\n"
    "}\n"
    "fn churn_register(points: Table<Str, Point>, from: Int) -> Int {\n"
    "  let n = points.len()\n"
    "  for i in 0..100 { let at = (from + i * 7919) % n; points.insert(to_string(at), Point { id: at, weight: 2.5 }) "
    "}\n"
    "  n\n"
    "}\n";

static void must(reml_embed_context_t* context, reml_embed_status_t status, const char* what) {
    if (status == OK) return;
    const char* text = context ? reml_last_error(context) : NULL;
    fprintf(stderr, "scaling: %s: %s: %s\n", what, reml_embed_status_label(status), text ? text : "");
    exit(1);
}

static reml_embed_status_t host(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context, (void)user;
    out->i = arguments[0].i + 1;
    return OK;
}

static reml_embed_context_t* open_context(void) {
    reml_embed_context_t* context = NULL;
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "host";
    function.signature = "(x: Int) -> Int";
    function.call_scalars = host;
    must(NULL, reml_create_context(REML_EMBED_ABI_VERSION, &context), "create");
    must(context, reml_host_define(context, &function), "host");
    must(context, reml_load_module(context, (const unsigned char*)source, strlen(source)), "load");
    return context;
}

static reml_function_t find(reml_embed_context_t* context, const char* name) {
    reml_function_t function;
    must(context, reml_function_find(context, name, strlen(name), NULL, 0, &function), name);
    return function;
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool quick(void) {
    const char* value = getenv("BENCH_QUICK");
    return value && *value && strcmp(value, "0") != 0;
}

/* --- threads -------------------------------------------------------------------------------------------------------- */

enum { MOST_THREADS = 64, PAIRS = 5 };

typedef struct job {
    const char* function;
    int64_t argument;
    int threads;
    double by_processor; /* found together with the wall clock's */
} job_t;

typedef struct worker {
    const job_t* job;
    pthread_barrier_t* start;
    uint64_t processor_ns, begin_ns, end_ns;
    int64_t result;
} worker_t;

/* The context is made before the start, so that only the program is timed. */
static void* work(void* user) {
    worker_t* worker = user;
    reml_embed_context_t* context = open_context();
    reml_function_t function = find(context, worker->job->function);
    reml_scalar_t argument = {.i = worker->job->argument / 10 + 1}, result;
    must(context, reml_function_call_scalars(context, function, &argument, 1, &result), "warm up");
    argument.i = worker->job->argument;
    pthread_barrier_wait(worker->start);
    worker->begin_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    must(context, reml_function_call_scalars(context, function, &argument, 1, &result), worker->job->function);
    worker->processor_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
    worker->end_ns = clock_ns(CLOCK_MONOTONIC);
    worker->result = result.i;
    must(context, reml_dispose_context(context), "dispose");
    return NULL;
}

/* Nanoseconds until the last of them has ended; of processors, the mean of one thread. */
static bool run_threads(const job_t* job, int count, double* out_wall, double* out_processor) {
    worker_t workers[MOST_THREADS] = {0};
    pthread_t threads[MOST_THREADS];
    pthread_barrier_t start;
    if (pthread_barrier_init(&start, NULL, (unsigned)count) != 0) return false;
    for (int i = 0; i < count; i++) {
        workers[i] = (worker_t){.job = job, .start = &start};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) exit(1);
    }
    uint64_t begin = UINT64_MAX, end = 0, processor = 0;
    bool same = true;
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        begin = workers[i].begin_ns < begin ? workers[i].begin_ns : begin;
        end = workers[i].end_ns > end ? workers[i].end_ns : end;
        processor += workers[i].processor_ns;
        same = same && workers[i].result == workers[0].result;
    }
    pthread_barrier_destroy(&start);
    *out_wall = (double)(end - begin);
    *out_processor = (double)processor / count;
    return same;
}

static bool threads_by_wall(void* state, double* out) {
    job_t* job = state;
    double best_one = 0, best_all = 0, processor_one = 0, processor_all = 0;
    for (int pair = 0; pair < PAIRS; pair++) {
        double one, all, own_one, own_all;
        if (!run_threads(job, 1, &one, &own_one) || !run_threads(job, job->threads, &all, &own_all)) return false;
        if (pair == 0 || one < best_one) best_one = one;
        if (pair == 0 || all < best_all) best_all = all;
        if (pair == 0 || own_one < processor_one) processor_one = own_one;
        if (pair == 0 || own_all < processor_all) processor_all = own_all;
    }
    job->by_processor = processor_one / processor_all;
    *out = best_one / best_all;
    return true;
}

static bool threads_by_processor(void* state, double* out) {
    *out = ((job_t*)state)->by_processor;
    return *out > 0;
}

static void add_threads(bench_t* bench) {
    static const struct {
        const char* row;
        const char* function;
        int64_t argument;
    } programs[] = {
        {"calls and arithmetic", "fib", 27},
        {"allocation", "trees", 200},
        {"texts and a table", "words", 100000},
        {"host calls", "hosted", 1000000},
    };
    static job_t jobs[4][3];
    static char rows[4][2][80], engines[3][24];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int most = cores < 2 ? 2 : cores > MOST_THREADS ? MOST_THREADS : (int)cores;
    int counts[3] = {2, most / 2, most}, used = 0;
    for (int c = 0; c < 3; c++) {
        if (c > 0 && (counts[c] <= counts[c - 1] || counts[c] <= 2)) continue;
        snprintf(engines[used], sizeof engines[used], "%d threads", counts[c]);
        for (size_t p = 0; p < 4; p++) {
            snprintf(rows[p][0], sizeof rows[p][0], "threads: %s, wall clock", programs[p].row);
            snprintf(rows[p][1], sizeof rows[p][1], "threads: %s, processor time", programs[p].row);
            jobs[p][used] = (job_t){programs[p].function, programs[p].argument, counts[c], 0};
            bench_add_measure(bench, rows[p][0], engines[used], "share", threads_by_wall, &jobs[p][used]);
            bench_add_measure(bench, rows[p][1], engines[used], "share", threads_by_processor, &jobs[p][used]);
        }
        used++;
    }
}

/* --- growth --------------------------------------------------------------------------------------------------------- */

typedef struct growth {
    const char *build, *read;
    int64_t count;
    double bytes; /* of one element, found together with the time */
} growth_t;

static uint64_t heap_bytes(reml_embed_context_t* context) {
    reml_embed_memory_t memory = {.struct_size = sizeof memory};
    must(context, reml_embed_collect(context), "collect");
    must(context, reml_embed_memory(context, &memory), "memory");
    return memory.live_bytes;
}

static int64_t read_back(reml_embed_context_t* context, reml_function_t function, reml_value_t value) {
    reml_value_t answer;
    int64_t number = 0;
    must(context, reml_function_call(context, function, &value, 1, &answer), "read");
    must(context, reml_value_as_int(answer, &number), "number");
    return number;
}

static bool growth_time(void* state, double* out) {
    growth_t* growth = state;
    reml_embed_context_t* context = open_context();
    reml_function_t build = find(context, growth->build), read = find(context, growth->read);
    reml_value_t argument = reml_value_int(growth->count), made;
    uint64_t before = heap_bytes(context), taken = 0, repeats = 0;
    bool right = true;
    do { /* small ones again and again, until the clock can tell */
        uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        must(context, reml_function_call(context, build, &argument, 1, &made), growth->build);
        right = right && read_back(context, read, made) == growth->count * (growth->count - 1) / 2;
        taken += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
        repeats++;
        if (taken < 5000000) must(context, reml_value_release(context, made), "release");
    } while (taken < 5000000);
    growth->bytes = (double)(heap_bytes(context) - before) / (double)growth->count;
    must(context, reml_value_release(context, made), "release");
    must(context, reml_dispose_context(context), "dispose");
    *out = (double)taken / ((double)repeats * (double)growth->count);
    return right;
}

static bool growth_bytes(void* state, double* out) {
    *out = ((growth_t*)state)->bytes;
    return *out > 0;
}

static void add_growth(bench_t* bench) {
    static const struct {
        const char *row, *build, *read;
    } kinds[] = {
        {"List", "list_build", "list_read"},
        {"Map", "map_build", "map_read"},
        {"Table", "table_build", "table_read"},
        {"Str", "text_build", "text_read"},
        {"Vec of records", "records_build", "records_read"},
    };
    static growth_t growths[5][5];
    static char rows[5][2][64];
    static const char* const engines[] = {"10^3", "10^4", "10^5", "10^6", "10^7"};
    for (size_t k = 0; k < 5; k++) {
        snprintf(rows[k][0], sizeof rows[k][0], "growth: %s, time of an element", kinds[k].row);
        snprintf(rows[k][1], sizeof rows[k][1], "growth: %s, memory of an element", kinds[k].row);
        int64_t count = 1000;
        for (size_t s = 0; s < (quick() ? 3 : 5); s++, count *= 10) {
            growths[k][s] = (growth_t){kinds[k].build, kinds[k].read, count, 0};
            bench_add_measure(bench, rows[k][0], engines[s], "ns", growth_time, &growths[k][s]);
            bench_add_measure(bench, rows[k][1], engines[s], "bytes", growth_bytes, &growths[k][s]);
        }
    }
}

/* --- collector ------------------------------------------------------------------------------------------------------- */

enum { TURNS_MOST = 1 << 20, CYCLES = 2 };

typedef struct live {
    const char *build, *churn;
    double element_bytes; /* about */
    double mebibytes;
    double high_us, turn_us, own_share; /* found together with the longest turn */
} live_t;

static int compare_floats(const void* a, const void* b) {
    float x = *(const float*)a, y = *(const float*)b;
    return (x > y) - (x < y);
}

static reml_embed_memory_t memory_of(reml_embed_context_t* context) {
    reml_embed_memory_t memory = {.struct_size = sizeof memory};
    must(context, reml_embed_memory(context, &memory), "memory");
    return memory;
}

/*
 * Turns of a program that replaces parts of its live data, over some cycles of the collector, timed by the processor time that they took:
 * a turn that another program interrupted is not a long one. A turn makes less garbage than there is between two steps of the collector,
 * so what a turn with a step takes longer than a usual one is that step.
 */
static bool live_longest(void* state, double* out) {
    static float turns[TURNS_MOST];
    live_t* live = state;
    size_t count = 0;
    reml_embed_context_t* context = open_context();
    reml_function_t churn = find(context, live->churn);
    reml_value_t size = reml_value_int((int64_t)(live->mebibytes * 1048576 / live->element_bytes));
    reml_value_t arguments[2], answer;
    must(context, reml_function_call(context, find(context, live->build), &size, 1, &arguments[0]), live->build);
    reml_embed_memory_t now = memory_of(context), begin = now;
    uint64_t first = now.collections, clock = 0;
    for (int64_t turn = 0; now.collections < first + 1 + CYCLES && count < TURNS_MOST; turn++) {
        arguments[1] = reml_value_int(turn * 500);
        uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        must(context, reml_function_call(context, churn, arguments, 2, &answer), live->churn);
        turns[count++] = (float)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / 1000;
        now = memory_of(context);
        if (now.collections > first) continue;
        count = 0; /* what the building left: from the next cycle on it is steady */
        begin = now;
        clock = clock_ns(CLOCK_MONOTONIC);
    }
    live->own_share =
        1 - (double)(now.pause_total_ns - begin.pause_total_ns) / (double)(clock_ns(CLOCK_MONOTONIC) - clock);
    must(context, reml_value_release(context, arguments[0]), "release");
    must(context, reml_dispose_context(context), "dispose");
    qsort(turns, count, sizeof *turns, compare_floats);
    live->turn_us = 0;
    for (size_t i = 0; i < count; i++) live->turn_us += turns[i] / (double)count;
    live->high_us = turns[count - 1 - count / 1000];
    *out = turns[count - 1];
    return true;
}

static bool live_high(void* state, double* out) {
    *out = ((live_t*)state)->high_us;
    return true;
}
static bool live_turn(void* state, double* out) {
    *out = ((live_t*)state)->turn_us;
    return true;
}
static bool live_share(void* state, double* out) {
    *out = ((live_t*)state)->own_share;
    return true;
}

static void add_collector(bench_t* bench) {
    static const struct {
        const char *row, *build, *churn;
        double element_bytes;
    } kinds[] = {
        {"many trees", "forest", "churn_forest", 64 * 24 + 8},
        {"one large Vec", "crowd", "churn_crowd", 32},
        {"one large Table", "register", "churn_register", 96},
    };
    static live_t lives[3][3];
    static char rows[3][4][64], engines[3][16];
    static const double sizes[] = {1, 10, 100};
    for (size_t s = 0; s < 3; s++) snprintf(engines[s], sizeof engines[s], "%.0f MiB live", sizes[s]);
    for (size_t k = 0; k < 3; k++) {
        snprintf(rows[k][0], sizeof rows[k][0], "collector: %s, longest turn", kinds[k].row);
        snprintf(rows[k][1], sizeof rows[k][1], "collector: %s, 999 of 1,000 turns below", kinds[k].row);
        snprintf(rows[k][2], sizeof rows[k][2], "collector: %s, a turn, mean", kinds[k].row);
        snprintf(rows[k][3], sizeof rows[k][3], "collector: %s, time for the program itself", kinds[k].row);
        for (size_t s = 0; s < (quick() ? 2 : 3); s++) {
            live_t* live = &lives[k][s];
            *live = (live_t){kinds[k].build, kinds[k].churn, kinds[k].element_bytes, sizes[s], 0, 0, 0};
            bench_add_measure(bench, rows[k][0], engines[s], "us", live_longest, live);
            bench_add_measure(bench, rows[k][1], engines[s], "us", live_high, live);
            bench_add_measure(bench, rows[k][2], engines[s], "us", live_turn, live);
            bench_add_measure(bench, rows[k][3], engines[s], "share", live_share, live);
        }
    }
}

static void add(bench_t* bench) {
    bench_name_version(bench, "reml", reml_embed_version());
    add_threads(bench);
    add_growth(bench);
    add_collector(bench);
}

/* A round takes a quarter of a minute: seven, unless more or fewer are asked for. */
int main(int argc, char** argv) {
    char* arguments[64] = {argv[0], "--rounds", "7"};
    int count = 3;
    for (int i = 1; i < argc && count < 64; i++) arguments[count++] = argv[i];
    return bench_main(count, arguments,
        &(bench_program_t){.kind = "scaling",
            .title = "Scaling",
            .note = "Threads: the best of five pairs a sample; 1.0 is as fast as one alone. Collector: default pacing.",
            .threads = true,
            .add = add});
}
