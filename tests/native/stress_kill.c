/*
 * kill -9 at random moments loses no acknowledged record, writes none twice and leaves no gap (RELIABILITY T35).
 *
 *     stress_kill [KILLS [SEED]]        200 kills of a random seed when nothing is said
 *
 * A child opens a log, loads a module and crosses the border in a fixed order until it is killed: a handle, a handle whose
 * function calls the host, a run whose entry point is a number of its own. So the log must hold exactly the beginning of one
 * known sequence of records. After every call that has returned, the child notes in shared memory how many records that makes;
 * the log must hold at least those, and at most those of the one call that was under way.
 * A log lives through several kills, so children also open, recover and continue what a killed one left; some are killed while
 * they do. Some logs rotate, some sync each record, some are recovered by the parent with reml_audit_recover.
 */
#include "check.h"

#include "reml_audit.h"
#include "reml_embed.h"
#include "reml_value.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SESSIONS = 8 /* kills that one log lives through */, ROUND = 4 /* records of one round of calls */ };

/* What the child tells the parent; survives the child. */
typedef struct board {
    _Atomic uint64_t acknowledged; /* records of calls that have returned */
    _Atomic int stage;             /* 0 starting, 1 calling, 2 something went wrong before the kill */
    char problem[256];
} board_t;

typedef struct plan {
    bool created_with_path; /* else reml_embed_set_audit_file after create */
    uint32_t fsync;
    uint64_t rotate_bytes;
} plan_t;

static board_t* board;
static char directory[64], path[96];
static uint64_t random_state;
static uint64_t recoveries, torn,
    rendered; /* audit.recovered records read, those that cut a line, events they wrote out */

static uint64_t random_next(void) { /* xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}
static uint64_t random_below(uint64_t bound) { return random_next() % bound; }

/* --- the child ----------------------------------------------------------------------------------------------------- */

static const char source[] = "module Kill\n"
                             "\n"
                             "fn step(n: Int) -> Int = n + 1\n"
                             "fn visit(n: Int) -> Int = Host.note(n)\n";

static reml_embed_status_t note(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out_result, void* user) {
    (void)context;
    (void)user;
    *out_result = arguments[0];
    return REML_EMBED_STATUS_OK;
}

static void give_up(reml_embed_context_t* context, const char* what) {
    const char* why = context ? reml_last_error(context) : reml_embed_last_create_error();
    snprintf(board->problem, sizeof board->problem, "%s: %s", what, why ? why : "");
    atomic_store(&board->stage, 2);
    _exit(1);
}

static void acknowledge(uint64_t records) { atomic_fetch_add(&board->acknowledged, records); }

static reml_embed_context_t* open_log(const plan_t* plan) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    if (plan->created_with_path) options.audit_path = path;
    if (reml_embed_create(REML_EMBED_ABI_VERSION, &options, &context) != REML_EMBED_STATUS_OK) give_up(NULL, "create");
    if (plan->created_with_path) {
        acknowledge(1);
        if (reml_embed_audit_policy(context, REML_AUDIT_POLICY_EVERY, REML_AUDIT_ON_FAILURE_REFUSE, 0) !=
            REML_EMBED_STATUS_OK) {
            give_up(context, "policy");
        }
        return context;
    }
    reml_audit_file_options_t file = REML_AUDIT_FILE_OPTIONS_INIT;
    file.path = path;
    file.policy = REML_AUDIT_POLICY_EVERY;
    file.fsync = plan->fsync;
    file.rotate_bytes = plan->rotate_bytes;
    file.journal_bytes = 128 << 10;
    if (reml_embed_set_audit_file(context, &file) != REML_EMBED_STATUS_OK) give_up(context, "log");
    acknowledge(1); /* what waited in memory lies in the file's journal now */
    return context;
}

static reml_function_t look_up(reml_embed_context_t* context, const char* name) {
    static const char signature[] = "(Int) -> Int";
    reml_function_t function;
    if (reml_function_find(context, name, strlen(name), signature, sizeof signature - 1, &function) !=
        REML_EMBED_STATUS_OK) {
        give_up(context, name);
    }
    return function;
}

static void child(const plan_t* plan) {
    reml_embed_context_t* context = open_log(plan);
    reml_host_function_t host = REML_HOST_FUNCTION_INIT;
    host.name = "Host.note";
    host.signature = "(n: Int) -> Int";
    host.call_scalars = note;
    if (reml_host_define(context, &host) != REML_EMBED_STATUS_OK) give_up(context, "define");
    if (reml_load_module(context, (const unsigned char*)source, sizeof source - 1) != REML_EMBED_STATUS_OK)
        give_up(context, "load");
    acknowledge(1);
    reml_function_t step = look_up(context, "step"), visit = look_up(context, "visit");
    atomic_store(&board->stage, 1);
    for (int64_t i = 0;; i++) {
        char number[32];
        reml_scalar_t argument = {.i = i}, result;
        if (reml_function_call_scalars(context, step, &argument, 1, &result) != REML_EMBED_STATUS_OK)
            give_up(context, "step");
        acknowledge(1);
        if (reml_function_call_scalars(context, visit, &argument, 1, &result) != REML_EMBED_STATUS_OK)
            give_up(context, "visit");
        acknowledge(2); /* the host function's and the handle's */
        snprintf(number, sizeof number, "n%" PRId64, i);
        if (reml_run(context, number) != REML_EMBED_STATUS_ERROR) give_up(context, "run");
        acknowledge(1);
    }
}

/* --- the log ------------------------------------------------------------------------------------------------------- */

/* What record number `index` of a child must contain. */
static void expected_record(uint64_t index, char* out, size_t size) {
    static const char* const names[] = {"\"symbol\":\"step\"", "\"symbol\":\"Host.note\"", "\"symbol\":\"visit\""};
    if (index == 0) snprintf(out, size, "\"native.embed.entrypoint\":\"reml_create_context\"");
    else if (index == 1) snprintf(out, size, "\"native.embed.entrypoint\":\"reml_load_module\"");
    else if ((index - 2) % ROUND < 3) snprintf(out, size, "%s", names[(index - 2) % ROUND]);
    else snprintf(out, size, "\"embed.run.entrypoint\":\"n%" PRIu64 "\"", (index - 2) / ROUND);
}

static uint64_t most_in_flight(uint64_t acknowledged) {
    return acknowledged >= 2 && (acknowledged - 2) % ROUND == 1 ? 2 : 1; /* `visit` leaves two */
}

/* Segments of a rotated log are PATH.N, N the number of their last record; the log itself comes last. */
static size_t segments_of_log(uint64_t numbers[], size_t capacity) {
    size_t count = 0;
    const char* base = strrchr(path, '/') + 1;
    DIR* d = opendir(directory);
    for (struct dirent* entry; d && (entry = readdir(d));) {
        const char* rest = entry->d_name + strlen(base) + 1;
        if (strncmp(entry->d_name, base, strlen(base)) != 0 || entry->d_name[strlen(base)] != '.') continue;
        if (*rest == '\0' || strspn(rest, "0123456789") != strlen(rest) || count == capacity) continue;
        uint64_t number = strtoull(rest, NULL, 10);
        size_t at = count++;
        for (; at > 0 && numbers[at - 1] > number; at--) numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
    if (d) closedir(d);
    return count;
}

/* A log read from its first line on. Each child's records begin with its `create`. */
typedef struct reading {
    uint64_t lengths[SESSIONS + 1]; /* records of each child that left any */
    size_t sessions;
    uint64_t sequence; /* last number seen */
    char head[80];     /* hash of the last record */
    bool failed;
} reading_t;

static void complain(reading_t* reading, const char* what, const char* line) {
    reading->failed = true;
    check_report(false, __FILE__, __LINE__, what);
    printf("  session %zu, sequence %" PRIu64 ": %.600s\n", reading->sessions, reading->sequence, line);
}

/*
 * Do the sessions of the log belong to the children, in order? A child's records reach as far as it knew, and not further than
 * the call that it was in. One that knew of none may have left none.
 */
static bool sessions_fit(const reading_t* reading, size_t session, const uint64_t* acknowledged, size_t children) {
    if (children == 0) return session == reading->sessions;
    uint64_t known = *acknowledged;
    if (session < reading->sessions && reading->lengths[session] >= known &&
        reading->lengths[session] <= known + most_in_flight(known) &&
        sessions_fit(reading, session + 1, acknowledged + 1, children - 1)) {
        return true;
    }
    return known == 0 && sessions_fit(reading, session, acknowledged + 1, children - 1);
}

static void member(const char* line, const char* key, char* out, size_t size) {
    const char* at = strstr(line, key);
    out[0] = '\0';
    if (!at) return;
    at += strlen(key);
    if (*at == '"') at++;
    snprintf(out, size, "%.*s", (int)strcspn(at, "\",}"), at);
}

static void read_line(reading_t* reading, const char* line) {
    char expected[96], text[96];
    member(line, "\"audit.sequence\":", text, sizeof text);
    if (strtoull(text, NULL, 10) != reading->sequence + 1)
        complain(reading, "a gap or a repetition in audit.sequence", line);
    reading->sequence = strtoull(text, NULL, 10);
    member(line, "\"audit.chain.previous\":", text, sizeof text);
    if (reading->sequence > 1 && strcmp(text, reading->head) != 0)
        complain(reading, "the chain does not continue", line);
    member(line, "\"audit.chain.hash\":", reading->head, sizeof reading->head);
    if (strstr(line, "\"event.kind\":\"audit.recovered\"")) {
        if (!strstr(line, "\"audit.recovery.damaged_events\":0,") ||
            !strstr(line, "\"audit.recovery.missing_records\":0,")) {
            complain(reading, "the recovery found damage", line);
        }
        recoveries++;
        if (!strstr(line, "\"audit.recovery.cut_bytes\":0,")) torn++;
        member(line, "\"audit.recovery.events\":", text, sizeof text);
        rendered += strtoull(text, NULL, 10);
        return;
    }
    expected_record(0, expected, sizeof expected);
    if (strstr(line, expected)) {
        if (reading->sessions > SESSIONS) complain(reading, "more sessions than children", line);
        else reading->lengths[reading->sessions++] = 1;
        return;
    }
    if (reading->sessions == 0) {
        complain(reading, "a record before the first child's", line);
        return;
    }
    expected_record(reading->lengths[reading->sessions - 1]++, expected, sizeof expected);
    if (strstr(line, expected)) return;
    complain(reading, "not the record that comes next", line);
    printf("  expected %s\n", expected);
}

static void read_file(reading_t* reading, const char* name) {
    static char line[16384];
    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    CHECK_INT_EQ(reml_audit_verify(name, NULL, &report), REML_EMBED_STATUS_OK);
    if (report.verdict != REML_AUDIT_VERDICT_OK || report.pending != 0 || report.torn_bytes != 0) {
        complain(reading, "the log does not verify after recovery", name);
        printf("  %s, %" PRIu64 " pending, %" PRIu64 " torn: %s\n", reml_audit_verdict_label(report.verdict),
            report.pending, report.torn_bytes, report.detail);
    }
    FILE* file = fopen(name, "rb");
    if (!CHECK(file != NULL)) return;
    while (!reading->failed && fgets(line, sizeof line, file)) read_line(reading, line);
    fclose(file);
}

/* The whole log after the last of `children` kills. */
static bool read_log(const uint64_t* acknowledged, size_t children) {
    reading_t reading = {0};
    uint64_t numbers[1024];
    size_t segments = segments_of_log(numbers, 1024);
    for (size_t i = 0; i < segments && !reading.failed; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s.%" PRIu64, path, numbers[i]);
        read_file(&reading, name);
        if (reading.sequence != numbers[i]) complain(&reading, "a segment is not named by its last record", name);
    }
    if (!reading.failed && access(path, F_OK) == 0) read_file(&reading, path);
    if (!reading.failed && !sessions_fit(&reading, 0, acknowledged, children)) {
        complain(&reading, "acknowledged records are missing, or there are more records than calls", "(end)");
        for (size_t i = 0; i < children; i++) printf("  child %zu knew of %" PRIu64 "\n", i + 1, acknowledged[i]);
        for (size_t i = 0; i < reading.sessions; i++)
            printf("  session %zu has %" PRIu64 "\n", i + 1, reading.lengths[i]);
    }
    return !reading.failed;
}

static void remove_log(void) {
    DIR* d = opendir(directory);
    for (struct dirent* entry; d && (entry = readdir(d));) {
        char name[512];
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", directory, entry->d_name);
        unlink(name);
    }
    if (d) closedir(d);
}

/* --- the parent ---------------------------------------------------------------------------------------------------- */

static void sleep_us(uint64_t us) {
    struct timespec time = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&time, NULL);
}

/* One child from its start to its kill; false when it ended by itself. */
static bool kill_one(const plan_t* plan) {
    memset(board, 0, sizeof *board);
    pid_t pid = fork();
    if (pid == 0) {
        child(plan);
        _exit(1);
    }
    if (!CHECK(pid > 0)) return false;
    /* A third is killed while starting; the others at a random moment of their calls. */
    if (random_below(3) == 0) {
        sleep_us(random_below(4000));
    } else {
        while (atomic_load(&board->stage) == 0) sleep_us(50);
        sleep_us(random_below(20000));
    }
    kill(pid, SIGKILL);
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) return true;
    printf("  the child ended by itself: %s\n", board->problem);
    return false;
}

int main(int argc, char** argv) {
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200, done = 0, logs_read = 0, empty = 0;
    uint64_t acknowledged[SESSIONS], total = 0;
    size_t children = 0;
    plan_t plan = {0};
    random_state = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
    if (random_state == 0) random_state = 1;
    printf("seed %" PRIu64 "\n", random_state);
    fflush(stdout);

    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(directory, "/tmp/reml-kill-XXXXXX");
    if (!CHECK(board != MAP_FAILED) || !CHECK(mkdtemp(directory) != NULL)) return 1;
    snprintf(path, sizeof path, "%s/audit.ndjson", directory);
    /* The core library is read once, here, so that the children spend their milliseconds on what is tested. */
    reml_embed_context_t* context = NULL;
    if (!CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &context), REML_EMBED_STATUS_OK)) return 1;
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_OK);

    for (; done < kills && check_failures == 0; done++) {
        if (children == 0) {
            remove_log();
            plan = (plan_t){.created_with_path = random_below(3) == 0,
                .fsync = random_below(4) == 0 ? REML_AUDIT_FSYNC_EVERY : REML_AUDIT_FSYNC_NONE,
                .rotate_bytes = random_below(2) == 0 ? 100000 : 0};
        }
        if (!kill_one(&plan)) break;
        acknowledged[children] = atomic_load(&board->acknowledged);
        total += acknowledged[children];
        if (acknowledged[children] == 0) empty++;
        children++;
        /* Else the next child finds what this one left, and may be killed while it recovers it. */
        bool last = children == SESSIONS || done + 1 == kills;
        if (!last && random_below(2) == 0) continue;
        logs_read++;
        if (access(path, F_OK) == 0 || segments_of_log((uint64_t[1]){0}, 1)) {
            CHECK_INT_EQ(reml_audit_recover(path), REML_EMBED_STATUS_OK);
        }
        if (!read_log(acknowledged, children)) break;
        if (last) children = 0;
    }
    if (check_failures == 0) remove_log(), rmdir(directory);
    else printf("the log is kept in %s\n", directory);
    printf("%u kills, %" PRIu64 " records acknowledged; %u logs read, %u children killed before their first record\n",
        done, total, logs_read, empty);
    printf("read: %" PRIu64 " recoveries, %" PRIu64 " of them cut a torn line, %" PRIu64
           " records came out of a journal\n",
        recoveries, torn, rendered);
    munmap(board, sizeof *board);
    return check_failures ? 1 : 0;
}
