/*
 * What the audit log costs, and whether it loses anything. Each sample makes calls with a fresh log in BENCH_DIRECTORY (build/bench),
 * then verifies the file and counts its records against the calls: a row with a record missing or one too many is a wrong result.
 * BENCH_LOSE=N makes N calls behind the log's back, to see that.
 *
 * Engines: `no log` is what a context does by itself (summaries kept in memory); `summary` and `every, rendered` write their file while
 * they are timed; `every, journal` is timed in bursts that the journal takes, which are rendered between the bursts.
 */
#include "harness.h"

#include "reml_audit.h"
#include "reml_embed.h"
#include "reml_value.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK REML_EMBED_STATUS_OK

enum {
    BURST = 3500,     /* records: less than half of a journal of 1 MiB */
    BURSTS = 3,       /* in one sample */
    MANY = 1000000,   /* calls in a sample that leaves a handful of records */
    RENDERED = 10000, /* records in a sample that is rendered as it goes */
    HOST_LOOP = 500   /* host calls in one run */
};

static const char source[] = "fn add(a: Int, b: Int) -> Int = a + b\n"
                             "fn repeat(n: Int) -> Int {\n"
                             "  var sum = 0\n"
                             "  for i in 0..n { sum := host(sum) }\n"
                             "  sum\n"
                             "}\n";

typedef enum lane_kind { NO_LOG, SUMMARY, JOURNAL, RENDERED_LOG } lane_kind_t;

typedef struct lane {
    const char* engine;
    lane_kind_t kind;
    reml_embed_context_t* context;
    reml_function_t add, repeat;
    char path[512];
    uint64_t host_calls;         /* counted by the host function */
    uint64_t add_calls, repeats; /* since the log was opened */
    uint64_t kept;               /* reml_embed_audit_count then */
    double call_ns;              /* of one call */
    double render_ns, verify_ns; /* of one record */
    bool wrong;                  /* a record is missing, or one too many */
} lane_t;

static const char* setting(const char* name, const char* otherwise) {
    const char* value = getenv(name);
    return value && *value ? value : otherwise;
}

static void must(const lane_t* lane, reml_embed_status_t status, const char* what) {
    if (status == OK) return;
    const char* text = lane->context ? reml_last_error(lane->context) : NULL;
    fprintf(stderr, "audit: %s: %s: %s: %s\n", lane->engine, what, reml_embed_status_label(status), text ? text : "");
    exit(1);
}

static reml_embed_status_t host(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context;
    ++*(uint64_t*)user;
    out->i = arguments[0].i + 1;
    return OK;
}

static void open_lane(lane_t* lane) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "host";
    function.signature = "(x: Int) -> Int";
    function.call_scalars = host;
    function.user = &lane->host_calls;
    must(lane, reml_create_context(REML_EMBED_ABI_VERSION, &lane->context), "create");
    must(lane, reml_host_define(lane->context, &function), "host");
    must(lane, reml_load_module(lane->context, (const unsigned char*)source, strlen(source)), "load");
    must(lane, reml_function_find(lane->context, "add", 3, NULL, 0, &lane->add), "add");
    must(lane, reml_function_find(lane->context, "repeat", 6, NULL, 0, &lane->repeat), "repeat");
    snprintf(lane->path, sizeof lane->path, "%s/audit-%d.ndjson", setting("BENCH_DIRECTORY", "build/bench"),
        (int)lane->kind);
}

static void remove_log(const lane_t* lane) {
    char journal[600];
    snprintf(journal, sizeof journal, "%s.journal", lane->path);
    unlink(lane->path);
    unlink(journal);
}

static void begin_log(lane_t* lane) {
    lane->host_calls = lane->add_calls = lane->repeats = 0;
    lane->wrong = false;
    if (lane->kind == NO_LOG) return;
    reml_audit_file_options_t options = REML_AUDIT_FILE_OPTIONS_INIT;
    options.path = lane->path;
    options.policy = lane->kind == SUMMARY ? REML_AUDIT_POLICY_SUMMARY : REML_AUDIT_POLICY_EVERY;
    char* text;
    size_t length; /* what waits from before would be written into the file */
    must(lane, reml_embed_audit_drain(lane->context, &text, &length), "drain");
    reml_embed_free(text);
    remove_log(lane);
    must(lane, reml_embed_set_audit_file(lane->context, &options), "log");
    lane->kept = reml_embed_audit_count(lane->context);
}

static void write_out(lane_t* lane) {
    char* text;
    size_t length;
    must(lane, reml_embed_audit_drain(lane->context, &text, &length), "write out");
    reml_embed_free(text);
}

/* --- counting ---------------------------------------------------------------------------------------------------- */

typedef struct tally {
    uint64_t lines, add, repeat, host;
} tally_t;

/* One line of the log: how many calls of which function does it tell of? */
static void count_line(const char* line, tally_t* tally) {
    static const char count_key[] = "\"ffi.count\":";
    const char* count = strstr(line, count_key);
    uint64_t calls = count ? strtoull(count + sizeof count_key - 1, NULL, 10) : 1;
    tally->lines++;
    if (strstr(line, "\"symbol\":\"add\"")) tally->add += calls;
    if (strstr(line, "\"symbol\":\"repeat\"")) tally->repeat += calls;
    if (strstr(line, "\"symbol\":\"host\"")) tally->host += calls;
}

static void expect(lane_t* lane, const char* what, uint64_t wanted, uint64_t found) {
    if (wanted == found) return;
    fprintf(stderr, "audit: %s: %s: %llu in the log, %llu made\n", lane->engine, what, (unsigned long long)found,
        (unsigned long long)wanted);
    lane->wrong = true;
}

/* Close the log, verify and count it. */
static void end_log(lane_t* lane) {
    if (lane->kind == NO_LOG) return;
    uint64_t lose = strtoull(setting("BENCH_LOSE", "0"), NULL, 10);
    must(lane, reml_embed_set_audit_file(lane->context, NULL), "close");
    for (uint64_t i = 0; i < lose; i++) { /* calls that no log sees */
        reml_scalar_t arguments[2] = {{.i = 1}, {.i = 2}}, sum;
        must(lane, reml_function_call_scalars(lane->context, lane->add, arguments, 2, &sum), "add");
        lane->add_calls++;
    }
    uint64_t kept = reml_embed_audit_count(lane->context) - lane->kept;
    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    uint64_t start = bench_processor_ns();
    if (reml_audit_verify(lane->path, NULL, &report) != OK || report.verdict != REML_AUDIT_VERDICT_OK) {
        fprintf(stderr, "audit: %s: %s: %s\n", lane->engine, reml_audit_verdict_label(report.verdict), report.detail);
        lane->wrong = true;
    }
    double taken = (double)(bench_processor_ns() - start);
    tally_t tally = {0};
    char* line = NULL;
    size_t room = 0;
    FILE* file = fopen(lane->path, "r");
    while (file && getline(&line, &room, file) > 0) count_line(line, &tally);
    if (file) fclose(file);
    free(line);
    if (lose == 0) expect(lane, "records", kept, tally.lines);
    expect(lane, "records verified", tally.lines, report.records);
    expect(lane, "calls of add", lane->add_calls, tally.add);
    expect(lane, "calls of repeat", lane->repeats, tally.repeat);
    expect(lane, "calls of host", lane->host_calls, tally.host);
    expect(lane, "dropped", 0, reml_embed_audit_dropped(lane->context));
    remove_log(lane);
    lane->verify_ns = tally.lines ? taken / (double)tally.lines : 0;
}

/* --- work -------------------------------------------------------------------------------------------------------- */

static void call_add(lane_t* lane, uint64_t calls) {
    int64_t sum = 0;
    for (uint64_t i = 0; i < calls; i++) {
        reml_scalar_t arguments[2] = {{.i = sum}, {.i = (int64_t)i & 7}}, result;
        must(lane, reml_function_call_scalars(lane->context, lane->add, arguments, 2, &result), "add");
        sum = result.i;
    }
    bench_keep(&sum);
    lane->add_calls += calls;
}

static void call_host(lane_t* lane, uint64_t calls) {
    for (uint64_t i = 0; i < calls / HOST_LOOP; i++) {
        reml_scalar_t count = {.i = HOST_LOOP}, sum;
        must(lane, reml_function_call_scalars(lane->context, lane->repeat, &count, 1, &sum), "repeat");
        if (sum.i != HOST_LOOP) lane->wrong = true;
        lane->repeats++;
    }
}

/* One log from its opening to its end. */
static bool sample(lane_t* lane, void (*work)(lane_t*, uint64_t)) {
    double calling = 0, rendering = 0;
    uint64_t calls = lane->kind == RENDERED_LOG ? RENDERED : lane->kind == JOURNAL ? BURST : MANY;
    uint64_t times = lane->kind == JOURNAL ? BURSTS : 1;
    begin_log(lane);
    uint64_t kept = reml_embed_audit_count(lane->context);
    for (uint64_t i = 0; i < times; i++) {
        uint64_t start = bench_processor_ns();
        work(lane, calls);
        uint64_t middle = bench_processor_ns();
        if (lane->kind != NO_LOG) write_out(lane);
        uint64_t end = bench_processor_ns();
        calling += (double)((lane->kind == JOURNAL ? middle : end) - start);
        rendering += (double)(end - middle);
    }
    kept = reml_embed_audit_count(lane->context) - kept;
    lane->call_ns = calling / (double)(calls * times);
    lane->render_ns = kept ? rendering / (double)kept : 0;
    end_log(lane);
    return !lane->wrong;
}

static bool scalar_call(void* state, double* out) {
    lane_t* lane = state;
    bool whole = sample(lane, call_add);
    *out = lane->call_ns;
    return whole;
}

static bool host_call(void* state, double* out) {
    lane_t* lane = state;
    bool whole = sample(lane, call_host);
    *out = lane->call_ns;
    return whole;
}

static bool rendered(void* state, double* out) {
    lane_t* lane = state;
    bool whole = sample(lane, call_add);
    *out = 1e9 / lane->render_ns;
    return whole;
}

static bool verified(void* state, double* out) {
    lane_t* lane = state;
    bool whole = sample(lane, call_add);
    *out = 1e9 / lane->verify_ns;
    return whole;
}

static void add(bench_t* bench) {
    static lane_t lanes[] = {{.engine = "no log", .kind = NO_LOG}, {.engine = "summary", .kind = SUMMARY},
        {.engine = "every, journal", .kind = JOURNAL}, {.engine = "every, rendered", .kind = RENDERED_LOG}};
    bench_name_version(bench, "reml", reml_embed_version());
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
        lane_t* lane = &lanes[i];
        open_lane(lane);
        bench_add_measure(bench, "scalar call", lane->engine, "ns", scalar_call, lane);
        bench_add_measure(bench, "host call, in a loop", lane->engine, "ns", host_call, lane);
        if (lane->kind != JOURNAL) continue;
        bench_add_measure(bench, "chained lines written", lane->engine, "records/s", rendered, lane);
        bench_add_measure(bench, "verifying a log", lane->engine, "records/s", verified, lane);
    }
}

int main(int argc, char** argv) {
    return bench_main(argc, argv,
        &(bench_program_t){.kind = "audit",
            .title = "The audit log",
            .baseline = "no log",
            .note = "Processor time. Every log was verified and its records were counted against the calls.",
            .add = add});
}
