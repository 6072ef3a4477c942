/*
 * The audit log in a file: order, sharing, rotation, tampering; what survives kills, full disks and failing calls.
 */
#include "audit_support.h"

#include <sys/stat.h>

/* --- file ---------------------------------------------------------------------------------------------------- */

TEST(test_file__four_records_in_order_make_a_valid_chain) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_embed_call_t call = {.abi_version = RL_STR("0.1.0"), .status_label = RL_STR("ok")};
    CHECK(rl_audit_embed_call(&log_a, &call)); /* created before the file was set: moves there */
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    for (int f = RL_AUDIT_LOAD_MODULE; f <= RL_AUDIT_DISPOSE_CONTEXT; f++) {
        call.function = (rl_audit_function_t)f;
        CHECK(rl_audit_embed_call(&log_a, &call));
    }
    CHECK_INT_EQ(verify(NULL).pending, 4); /* in the journal, safe from a kill */
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 4);
    CHECK_INT_EQ(verify(NULL).pending, 0);
    size_t length;
    char* text = file_text(log_path, &length);
    const char* order[] = {"reml_create_context", "reml_load_module", "reml_run", "reml_dispose_context"};
    const char* at = text;
    for (int i = 0; i < 4 && at; i++) {
        at = strstr(at, order[i]);
        CHECK(at != NULL);
    }
    CHECK(strstr(text, "\"metadata\":{\"audit.chain.hash\":\"") &&
          strstr(text,
              "\",\"audit.chain.previous\":\"0000000000000000000000000000000000000000000000000000000000000000\""));
    CHECK_INT_EQ(count_of(text, "\"audit.sequence\":"), 4);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        check_keys_ascend(line);
    }
    free(text);
    struct stat status;
    CHECK(stat(journal_path, &status) == 0 && status.st_size == RL_JOURNAL_HEADER_BYTES);
}

TEST(test_file__sequence_and_chain_go_on_when_reopened) {
    fresh();
    for (unsigned session = 0; session < 5; session++) {
        begin(&log_a, NULL);
        CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
        for (unsigned i = 1; i <= 10; i++) CHECK(run_numbered(&log_a, session * 10 + i));
        rl_audit_deinit(&log_a);
        check_verdict(REML_AUDIT_VERDICT_OK, session * 10 + 10);
    }
    CHECK_INT_EQ(verify(NULL).last_sequence, 50);
    unlink(journal_path); /* the log alone is enough */
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 51));
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 51);
}

TEST(test_file__many_records_of_every_size) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    char* name = malloc(6001);
    for (unsigned i = 0; i < 3000; i++) {
        size_t length = (size_t)(i * 37 % 6000);
        memset(name, 'a' + (int)(i % 26), length);
        name[length] = '\0';
        CHECK(run_called(&log_a, name));
    }
    free(name);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 3000);
}

TEST(test_file__contexts_of_one_process_share_it_and_another_process_is_refused) {
    fresh();
    begin(&log_a, NULL);
    begin(&log_b, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK_INT_EQ(open_file(&log_b), RL_AUDIT_OK);
    for (unsigned i = 1; i <= 100; i++) CHECK(run_numbered(i & 1 ? &log_a : &log_b, i));
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0) {
        char answer[300] = {0};
        CHECK(!run_numbered(&log_a, 999)); /* inherited: not a byte */
        CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_FORKED);
        CHECK_INT_EQ(rl_audit_flush(&log_a), RL_AUDIT_FORKED);
        rl_audit_deinit(&log_a);
        rl_audit_t own;
        CHECK(rl_audit_init(&own, &allocator, NULL));
        rl_audit_result_t result = open_file(&own);
        snprintf(answer, sizeof answer, "%d %u %s", (int)result, check_failures, rl_audit_problem(&own));
        rl_audit_deinit(&own);
        rl_audit_deinit(&log_b);
        (void)!write(pipes[1], answer, strlen(answer) + 1);
        _exit(0);
    }
    close(pipes[1]);
    char answer[300] = {0}, expected[300];
    (void)!read(pipes[0], answer, sizeof answer - 1);
    close(pipes[0]);
    waitpid(child, NULL, 0);
    snprintf(
        expected, sizeof expected, "%d 0 audit log is in use by another process: %s", RL_AUDIT_UNAVAILABLE, log_path);
    CHECK_STR_EQ(answer, expected);
    rl_audit_deinit(&log_a);
    CHECK(run_numbered(&log_b, 101));
    rl_audit_deinit(&log_b);
    check_verdict(REML_AUDIT_VERDICT_OK, 101);
    size_t length;
    char* text = file_text(log_path, &length);
    CHECK(strstr(text, "\"n101\"") && !strstr(text, "\"n999\""));
    const char* at = text;
    for (unsigned i = 1; i <= 101 && at; i++) { /* one order for all contexts */
        char name[16];
        snprintf(name, sizeof name, "\"n%u\"", i);
        at = strstr(at, name);
        CHECK(at != NULL);
    }
    free(text);
}

TEST(test_file__a_child_that_lives_on_does_not_keep_the_lock) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1));
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    rl_audit_deinit(&log_a);
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    rl_audit_deinit(&log_a);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

TEST(test_file__unusable_paths_are_named_and_change_nothing) {
    fresh();
    begin(&log_a, NULL);
    CHECK(run_numbered(&log_a, 1));
    rl_audit_file_settings_t settings = {.path = "/nonexistent/directory/audit.ndjson"};
    CHECK_INT_EQ(rl_audit_set_file(&log_a, &settings), RL_AUDIT_UNAVAILABLE);
    CHECK(strstr(rl_audit_problem(&log_a), "no such file or directory"));
    settings.path = "";
    CHECK_INT_EQ(rl_audit_set_file(&log_a, &settings), RL_AUDIT_INVALID);
    write_text(log_path, "my diary, no line end", 21);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_UNAVAILABLE);
    CHECK(strstr(rl_audit_problem(&log_a), "is not an audit log"));
    write_text(log_path, "{\"a\":1}\n", 8);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_UNAVAILABLE);
    size_t length;
    char* text = file_text(log_path, &length);
    CHECK_STR_EQ(text, "{\"a\":1}\n");
    free(text);
    text = drained(&log_a);
    CHECK(strstr(text, "\"n1\""));
    free(text);
    rl_audit_deinit(&log_a);
}

TEST(test_file__rotates_by_renaming_and_the_chain_goes_on) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {.path = log_path, .rotate_bytes = 20000};
    CHECK_INT_EQ(rl_audit_set_file(&log_a, &settings), RL_AUDIT_OK);
    for (unsigned i = 1; i <= 200; i++) CHECK(run_numbered(&log_a, i));
    rl_audit_deinit(&log_a);
    rl_audit_verification_t found = verify(NULL);
    CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK);
    CHECK_INT_EQ(found.last_sequence, 200);
    unsigned segments = 1;
    uint64_t records = found.records, first = found.first_sequence;
    while (first > 1) { /* each file names its predecessor by its first number */
        char path[160];
        struct stat status;
        snprintf(path, sizeof path, "%s.%llu", log_path, (unsigned long long)(first - 1));
        if (!CHECK(rl_audit_verify_file(rl_os_io(), path, NULL, &found) && found.verdict == REML_AUDIT_VERDICT_OK))
            break;
        CHECK(stat(path, &status) == 0 && status.st_size <= 20000);
        records += found.records;
        first = found.first_sequence;
        segments++;
    }
    CHECK_INT_EQ(records, 200);
    CHECK(segments >= 8);
}

TEST(test_file__callback_beside_it_gets_every_line_and_its_failure_does_not_matter) {
    fresh();
    heard_t heard = {.log = &log_a, .in_order = true};
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, hear, &heard), RL_AUDIT_OK);
    for (unsigned i = 1; i <= 50; i++) CHECK(run_numbered(&log_a, i));
    CHECK_INT_EQ(heard.lines, 50);
    heard.refuse = UINT32_MAX;
    CHECK(run_numbered(&log_a, 51));
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 51);
}

TEST(test_file__drain_writes_out_and_a_failed_call_does_too) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1));
    char* text = drained(&log_a);
    CHECK_STR_EQ(text, "");
    free(text);
    check_verdict(REML_AUDIT_VERDICT_OK, 1);
    CHECK(rl_audit_ownership_violation(&log_a, RL_STR("x"), RL_STR("y"), 1, 0));
    check_verdict(REML_AUDIT_VERDICT_OK, 2);
    rl_audit_deinit(&log_a);
}

static void* append_many(void* user) {
    rl_audit_t log;
    rl_allocator_t own;
    rl_allocator_init(&own, NULL, NULL);
    rl_audit_init(&log, &own, NULL);
    rl_audit_file_settings_t settings = {.path = log_path};
    bool ok = rl_audit_set_file(&log, &settings) == RL_AUDIT_OK;
    for (unsigned i = 0; ok && i < 5000; i++) {
        char name[96];
        snprintf(name, sizeof name, "thread %d call %u%s", *(int*)user, i,
            i % 7 ? "" : " with a name that needs a second slot of the ring");
        ok = rl_audit_ready(&log) == RL_AUDIT_OK && run_called(&log, name);
    }
    rl_audit_deinit(&log);
    return ok ? user : NULL;
}

TEST(test_file__threads_append_without_gap) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {
        .path = log_path, .rotate_bytes = 1u << 20, .journal_bytes = RL_AUDIT_JOURNAL_LEAST};
    CHECK_INT_EQ(rl_audit_set_file(&log_a, &settings), RL_AUDIT_OK);
    pthread_t threads[8];
    int numbers[8];
    for (int i = 0; i < 8; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, append_many, &numbers[i]) == 0);
    }
    for (int i = 0; i < 8; i++) {
        void* answer;
        pthread_join(threads[i], &answer);
        CHECK(answer == &numbers[i]);
    }
    rl_audit_deinit(&log_a);
    rl_audit_verification_t found = verify(NULL);
    CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK);
    CHECK_INT_EQ(found.last_sequence, 40000);
}

/* --- tampering ----------------------------------------------------------------------------------------------- */

static char head_of_twenty[RL_SHA256_HEX + 1];

static char* make_log(size_t* out_length) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    for (unsigned i = 1; i <= 20; i++) CHECK(run_numbered(&log_a, i));
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 20);
    strcpy(head_of_twenty, verify(NULL).head);
    unlink(journal_path);
    return file_text(log_path, out_length);
}

TEST(test_verify__any_changed_byte_is_found_and_its_record_named) {
    size_t length;
    char* text = make_log(&length);
    srand(1);
    for (int round = 0; round < 3000; round++) {
        size_t at = (size_t)rand() % length;
        char before = text[at];
        uint64_t record = 1;
        for (size_t i = 0; i < at; i++) record += text[i] == '\n';
        text[at] = (char)(before ^ (1 << (rand() % 8)));
        write_text(log_path, text, length);
        rl_audit_verification_t found = verify(head_of_twenty);
        /* The last line's end may be lost: that is a torn line. A line's end that is gone joins two records. */
        bool torn = at == length - 1;
        if (!CHECK_INT_EQ(found.verdict, torn ? REML_AUDIT_VERDICT_HEAD_MISMATCH : REML_AUDIT_VERDICT_BROKEN) ||
            (!torn && !CHECK_INT_EQ(found.record, record))) {
            printf("  byte %zu: %s\n", at, found.detail);
            break;
        }
        text[at] = before;
    }
    free(text);
}

static const char* line_start(const char* text, unsigned number) {
    for (unsigned i = 1; i < number; i++) text = strchr(text, '\n') + 1;
    return text;
}

TEST(test_verify__deletion_insertion_and_swap_are_found) {
    size_t length;
    char* text = make_log(&length);
    char* other = malloc(2 * length);
    for (unsigned n = 1; n <= 19; n++) { /* without the last: only a head can tell */
        const char *from = line_start(text, n), *to = line_start(text, n + 1);
        size_t before = (size_t)(from - text), size = (size_t)(to - from);
        memcpy(other, text, before);
        memcpy(other + before, to, length - before - size);
        write_text(log_path, other, length - size);
        rl_audit_verification_t found = verify(NULL);
        CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_BROKEN);
        CHECK_INT_EQ(found.record, n);

        memcpy(other, text, before + size); /* twice */
        memcpy(other + before + size, from, length - before);
        write_text(log_path, other, length + size);
        found = verify(NULL);
        CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_BROKEN);
        CHECK_INT_EQ(found.record, n + 1);

        const char* end = n == 19 ? text + length : line_start(text, n + 2); /* swapped with the next */
        memcpy(other, text, before);
        memcpy(other + before, to, (size_t)(end - to));
        memcpy(other + before + (end - to), from, size);
        memcpy(other + (end - text), end, length - (size_t)(end - text));
        write_text(log_path, other, length);
        found = verify(NULL);
        CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_BROKEN);
        CHECK_INT_EQ(found.record, n);
    }
    free(other);
    free(text);
}

TEST(test_verify__truncation_is_told_by_the_head_and_by_the_journal) {
    size_t length;
    char* text = make_log(&length);
    rl_audit_verification_t found = verify(head_of_twenty);
    CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK);
    size_t nineteen = (size_t)(line_start(text, 20) - text);
    write_text(log_path, text, nineteen);
    CHECK_INT_EQ(verify(NULL).verdict, REML_AUDIT_VERDICT_OK); /* nothing outside to compare with */
    found = verify(head_of_twenty);
    CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_HEAD_MISMATCH);
    CHECK_STR_EQ(found.detail, "the expected head is not among the 19 records");
    free(text);

    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    for (unsigned i = 1; i <= 20; i++) CHECK(run_numbered(&log_a, i));
    rl_audit_deinit(&log_a);
    text = file_text(log_path, &length);
    CHECK(truncate(log_path, line_start(text, 15) - text) == 0);
    found = verify(NULL);
    CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_HEAD_MISMATCH);
    CHECK_STR_EQ(found.detail, "the log ends at number 14, its journal remembers number 20");
    begin(&log_a, NULL); /* going on is possible, and said */
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 15);
    free(text);
    text = file_text(log_path, &length);
    CHECK(strstr(text, "\"audit.recovery.missing_records\":6"));
    free(text);
}

TEST(test_verify__torn_tail_is_cut_by_the_next_opener_and_recorded) {
    size_t length;
    char* text = make_log(&length);
    for (size_t cut = 1; cut < 400; cut += 57) {
        write_text(log_path, text, length - cut);
        unlink(journal_path);
        rl_audit_verification_t found = verify(NULL);
        CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_RECOVERED_TAIL);
        CHECK_INT_EQ(found.records, 19);
        begin(&log_a, NULL);
        CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
        rl_audit_deinit(&log_a);
        check_verdict(REML_AUDIT_VERDICT_OK, 20);
        size_t new_length;
        char* after = file_text(log_path, &new_length);
        char expected[64];
        snprintf(expected, sizeof expected, "\"audit.recovery.cut_bytes\":%llu,", (unsigned long long)found.torn_bytes);
        CHECK(strstr(after, expected) && strstr(after, "\"event.kind\":\"audit.recovered\""));
        check_keys_ascend(strstr(after, expected) ? line_start(after, 20) : after);
        free(after);
    }
    free(text);
}

TEST(test_verify__any_bytes_have_a_verdict) {
    fresh();
    srand(3);
    size_t length;
    char* text = make_log(&length);
    for (int round = 0; round < 300; round++) { /* no crash, and never "ok" */
        size_t size = (size_t)rand() % 4000;
        char* bytes = malloc(size + 1);
        for (size_t i = 0; i < size; i++) bytes[i] = rand() % 3 ? "{}[]\",:\\eu0n\n"[rand() % 13] : (char)rand();
        if (round % 2 && size > 10) memcpy(bytes, text, size / 2);
        write_text(log_path, bytes, size);
        rl_audit_verification_t found = verify(NULL);
        CHECK(found.verdict != REML_AUDIT_VERDICT_OK || size == 0);
        free(bytes);
    }
    free(text);
    unlink(log_path);
    CHECK_INT_EQ(verify(NULL).verdict, REML_AUDIT_VERDICT_UNREADABLE);
    CHECK_STR_EQ(verify(NULL).detail, "no such file or directory");
    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    CHECK_INT_EQ(reml_audit_verify(NULL, NULL, &report), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_audit_verify(log_path, "xyz", &report), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_audit_verify(log_path, NULL, &report), REML_EMBED_STATUS_ERROR);
    CHECK_STR_EQ(reml_audit_verdict_label(report.verdict), "unreadable");
    report.struct_size = 3;
    CHECK_INT_EQ(reml_audit_verify(log_path, NULL, &report), REML_EMBED_STATUS_INVALID_ARGUMENT);
}

TEST(test_verify__what_is_no_log_file_is_unreadable_at_once) {
    fresh();
    CHECK_INT_EQ(mkfifo(log_path, 0600), 0);
    CHECK_INT_EQ(verify(NULL).verdict, REML_AUDIT_VERDICT_UNREADABLE);
    CHECK_STR_EQ(verify(NULL).detail, "not a file that can be read at any place");
    unlink(log_path);
    write_text(log_path, "\x1f\x8b\x08\x00", 4);
    CHECK_INT_EQ(verify(NULL).verdict, REML_AUDIT_VERDICT_UNREADABLE);
    CHECK_STR_EQ(verify(NULL).detail, "packed by gzip: unpack it first");
    unlink(log_path);
}

TEST(test_journal__any_bytes_are_refused_or_recovered) {
    srand(5);
    for (int round = 0; round < 60; round++) {
        size_t length;
        free(make_log(&length));
        pid_t child = fork();
        if (child == 0) {
            begin(&log_a, NULL);
            open_file(&log_a);
            for (unsigned i = 21; i <= 30; i++) run_numbered(&log_a, i);
            raise(SIGKILL);
        }
        waitpid(child, NULL, 0);
        char* journal = file_text(journal_path, &length);
        for (int i = 0; i < 40; i++) { /* header or slots, at random */
            size_t at = (size_t)rand() % (round % 2 ? sizeof(rl_journal_header_t) : RL_JOURNAL_HEADER_BYTES + 2000);
            journal[at] = (char)rand();
        }
        write_text(journal_path, journal, length);
        free(journal);
        (void)verify(NULL);
        begin(&log_a, NULL);
        if (open_file(&log_a) == RL_AUDIT_OK) CHECK(run_numbered(&log_a, 31));
        rl_audit_deinit(&log_a);
        int32_t verdict = verify(NULL).verdict;
        CHECK(verdict == REML_AUDIT_VERDICT_OK || verdict == REML_AUDIT_VERDICT_HEAD_MISMATCH);
    }
}

/* --- kills --------------------------------------------------------------------------------------------------- */

#define NUMBERS 400000u
typedef struct shared {
    _Atomic(uint32_t) next;
    atomic_bool ready;
    unsigned char acknowledged[NUMBERS];
} shared_t;
static shared_t* shared;

static void make_shared(void) {
    if (!shared) shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) abort();
    memset((void*)shared, 0, sizeof *shared);
}

/* Append numbered events and records of the host; one is acknowledged when the append has returned. */
static void append_acknowledged(rl_audit_t* log, unsigned most) {
    char name[600];
    for (unsigned i = 0; i < most; i++) {
        uint32_t number = atomic_fetch_add(&shared->next, 1) + 1;
        if (number >= NUMBERS) return;
        int length = snprintf(name, sizeof name, "n%u ", number);
        size_t more = number % 5 == 0 ? number % 500 : 0;
        memset(name + length, 'x', more);
        name[length + (int)more] = '\0';
        bool kept;
        if (number % 7 == 0) { /* a record of the host, which takes another way into the file */
            char metadata[700], id[37];
            snprintf(metadata, sizeof metadata, "{\"embed.run.entrypoint\":\"%s\"}", name);
            rl_host_record_t record = {.kind = RL_STR("host.record"), .metadata = rl_str(metadata)};
            kept = rl_audit_host_record(log, &record, id) == RL_AUDIT_OK;
        } else {
            kept = rl_audit_ready(log) == RL_AUDIT_OK && run_called(log, name);
        }
        if (kept) shared->acknowledged[number] = 1;
    }
}

/* Moves on line by line (a search through the whole text would take its length each time under a sanitizer). */
static char* next_number(char* at, unsigned* out_number) {
    static const char key[] = "\"embed.run.entrypoint\":\"n";
    for (char* end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        const char* found = strstr(at, key);
        if (!found) continue;
        *out_number = (unsigned)strtoul(found + sizeof key - 1, NULL, 10);
        return end + 1;
    }
    return NULL;
}

static int compare_numbers(const void* a, const void* b) {
    uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
    return (x > y) - (x < y);
}

/* All segments, oldest first: acknowledged numbers are there once and in order, the others at most once. */
static void check_all_there(const char* when) {
    uint64_t ends[4096];
    unsigned segments = 0;
    DIR* d = opendir(directory);
    for (struct dirent* entry; d && (entry = readdir(d));) {
        const char* number = entry->d_name + strlen("audit.ndjson.");
        if (strncmp(entry->d_name, "audit.ndjson.", 13) == 0 && *number >= '0' && *number <= '9' && segments < 4096) {
            ends[segments++] = strtoull(number, NULL, 10);
        }
    }
    if (d) closedir(d);
    qsort(ends, segments, sizeof ends[0], compare_numbers);
    unsigned last = 0, missing = 0, disorder = 0;
    for (unsigned i = 0; i <= segments; i++) {
        char path[160];
        size_t length;
        if (i < segments) {
            snprintf(path, sizeof path, "%s.%llu", log_path, (unsigned long long)ends[i]);
        } else {
            strcpy(path, log_path);
        }
        char* text = file_text(path, &length);
        unsigned number;
        for (char* at = text; (at = next_number(at, &number));) {
            if (number <= last) disorder++;
            for (unsigned k = last + 1; k < number; k++) missing += shared->acknowledged[k];
            last = number;
        }
        free(text);
        rl_audit_verification_t found;
        CHECK(rl_audit_verify_file(rl_os_io(), path, NULL, &found));
        if (!CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK)) printf("  %s: %s: %s\n", when, path, found.detail);
    }
    for (unsigned k = last + 1; k < NUMBERS; k++) missing += shared->acknowledged[k];
    if (!CHECK_INT_EQ(missing, 0) || !CHECK_INT_EQ(disorder, 0)) printf("  %s\n", when);
}

static void kill_at_random(unsigned rounds, rl_audit_file_settings_t settings) {
    make_shared();
    srand((unsigned)time(NULL));
    for (unsigned round = 0; round < rounds; round++) {
        atomic_store(&shared->ready, false);
        pid_t child = fork();
        if (child == 0) {
            rl_audit_t log;
            rl_audit_init(&log, &allocator, NULL);
            if (rl_audit_set_file(&log, &settings) != RL_AUDIT_OK) {
                fprintf(stderr, "%s\n", rl_audit_problem(&log));
                _exit(3);
            }
            atomic_store(&shared->ready, true);
            append_acknowledged(&log, 1500);
            pause();
            _exit(0);
        }
        struct timespec pause = {.tv_nsec = 20000 + rand() % 1500000};
        if (round % 4) { /* each fourth kill may hit opening and recovery */
            while (!atomic_load(&shared->ready)) {
                struct timespec wait = {.tv_nsec = 50000};
                nanosleep(&wait, NULL);
                if (waitpid(child, NULL, WNOHANG) != 0) break;
            }
        }
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status));
        if (round % 10 && round > 20) continue; /* the log grows, and each look takes it all */
        rl_audit_verification_t found;
        CHECK(rl_audit_verify_file(rl_os_io(), log_path, NULL, &found));
        bool whole = found.verdict == REML_AUDIT_VERDICT_OK || found.verdict == REML_AUDIT_VERDICT_RECOVERED_TAIL ||
                     found.verdict == REML_AUDIT_VERDICT_UNREADABLE; /* between two files, or before the first */
        if (!CHECK(whole)) printf("  round %u: %s\n", round, found.detail);
        if (atomic_load(&shared->next) + 20000 > NUMBERS) break;
    }
    CHECK_INT_EQ(reml_audit_recover(log_path), REML_EMBED_STATUS_OK);
    check_all_there("after kills");
    CHECK_INT_EQ(verify(NULL).pending, 0);
    unsigned acknowledged = 0;
    for (unsigned k = 0; k < NUMBERS; k++) acknowledged += shared->acknowledged[k];
    CHECK(acknowledged > rounds);
}

TEST(test_kill__at_random_moments_loses_nothing_acknowledged) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {.path = log_path, .journal_bytes = RL_AUDIT_JOURNAL_LEAST};
    kill_at_random(200, settings);
    rl_audit_deinit(&log_a);
}

TEST(test_kill__with_rotation_loses_nothing_acknowledged) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {.path = log_path,
        .journal_bytes = RL_AUDIT_JOURNAL_LEAST,
        .rotate_bytes = 300000,
        .fsync = RL_AUDIT_FSYNC_INTERVAL,
        .fsync_interval_ms = 1};
    kill_at_random(80, settings);
    rl_audit_deinit(&log_a);
}

/* The scenario of the exhaustive tests: two sessions, rotation, syncs. */
static void scenario(rl_audit_t* log, bool* out_opened) {
    rl_audit_file_settings_t settings = {.path = log_path,
        .journal_bytes = RL_AUDIT_JOURNAL_LEAST,
        .rotate_bytes = 9000,
        .fsync = RL_AUDIT_FSYNC_INTERVAL,
        .fsync_interval_ms = 1};
    *out_opened = false;
    for (int session = 0; session < 2; session++) {
        begin(log, &fixed_env);
        if (rl_audit_set_file(log, &settings) == RL_AUDIT_OK) {
            *out_opened = true;
            append_acknowledged(log, 12);
            rl_audit_flush(log);
            append_acknowledged(log, 9);
        }
        rl_audit_deinit(log);
    }
}

TEST(test_kill__before_in_and_after_each_io_call) {
    static const fault_t ways[] = {FAULT_KILL_BEFORE, FAULT_KILL_HALF, FAULT_KILL_AFTER};
    unsigned killed = 0;
    for (size_t way = 0; way < RL_COUNT_OF(ways); way++) {
        for (int n = 1;; n++) {
            fresh();
            make_shared();
            int status = 0;
            /* twice: the second process is killed at the same call of its recovery */
            for (int time = 0; time < 2; time++) {
                pid_t child = fork();
                if (child == 0) {
                    bool opened;
                    no_fault();
                    fault.how = ways[way];
                    fault.at = n;
                    scenario(&log_a, &opened);
                    _exit(opened ? 0 : 4);
                }
                waitpid(child, &status, 0);
                killed += WIFSIGNALED(status) != 0;
            }
            char when[64];
            snprintf(when, sizeof when, "way %zu call %d", way, n);
            CHECK_INT_EQ(reml_audit_recover(log_path), REML_EMBED_STATUS_OK);
            check_all_there(when);
            if (check_failures > 20) return;
            if (ways[way] == FAULT_KILL_HALF ? n > 120 : !WIFSIGNALED(status)) {
                CHECK(ways[way] == FAULT_KILL_HALF || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
                break;
            }
        }
    }
    CHECK(killed > 150);
}

/* --- failing calls ------------------------------------------------------------------------------------------- */

TEST(test_io__each_call_failing_once_or_for_ever_loses_nothing_kept) {
    static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS};
    unsigned refused = 0;
    for (size_t e = 0; e < RL_COUNT_OF(errors); e++) {
        for (int forever = 0; forever < 2; forever++) {
            for (int n = 1;; n++) {
                fresh();
                make_shared();
                no_fault();
                fault.how = forever ? FAULT_FOREVER : FAULT_ONCE;
                fault.at = n;
                fault.error = errors[e];
                bool opened;
                scenario(&log_a, &opened);
                int calls = fault.calls;
                refused += !opened;
                no_fault();
                if (!CHECK_INT_EQ(reml_audit_recover(log_path), REML_EMBED_STATUS_OK)) {
                    rl_audit_file_settings_t settings = {.path = log_path};
                    begin(&log_a, NULL);
                    rl_audit_set_file(&log_a, &settings);
                    printf("  %s\n", rl_audit_problem(&log_a));
                    rl_audit_deinit(&log_a);
                }
                char when[64];
                snprintf(when, sizeof when, "error %d %s call %d", errors[e], forever ? "for ever from" : "once at", n);
                check_all_there(when);
                if (check_failures > 20) return;
                if (n > calls) break;
            }
        }
    }
    CHECK(refused > 0);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

TEST(test_io__full_disk_refuses_before_the_call_and_goes_on_when_there_is_room) {
    fresh();
    no_fault();
    make_shared();
    begin(&log_a, &fixed_env);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    append_acknowledged(&log_a, 10);
    CHECK_INT_EQ(rl_audit_flush(&log_a), RL_AUDIT_OK);
    fault.room = 1500; /* one line and a half */
    append_acknowledged(&log_a, 3000);
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_UNAVAILABLE);
    CHECK(strstr(rl_audit_problem(&log_a), "no space left"));
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 0);
    uint64_t kept = rl_audit_record_count(&log_a);
    CHECK(kept < 1000);              /* what lies in the journal: refused long before it is full */
    for (int i = 0; i < 2000; i++) { /* outcomes of calls in progress still have room, refused calls not without end */
        rl_audit_embed_call_t call = {
            .function = RL_AUDIT_RUN, .status_label = RL_STR("audit_unavailable"), .failed = true, .refused = true};
        rl_audit_embed_call(&log_a, &call);
    }
    CHECK(rl_audit_dropped(&log_a) > 0);
    CHECK(run_called(&log_a, "outcome"));
    check_verdict(REML_AUDIT_VERDICT_OK, 10); /* half-written lines were cut back */
    fault.room = -1;
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK);
    append_acknowledged(&log_a, 10);
    uint64_t lost = rl_audit_dropped(&log_a);
    rl_audit_deinit(&log_a);
    check_all_there("after a full disk");
    size_t length;
    char expected[64], *text = file_text(log_path, &length);
    snprintf(expected, sizeof expected, "\"audit.records.lost\":%llu,", (unsigned long long)lost);
    CHECK(strstr(text, expected) && strstr(text, "\"outcome\""));
    free(text);
}

TEST(test_io__count_goes_on_without_the_log_and_tells_the_number) {
    fresh();
    no_fault();
    begin(&log_a, &fixed_env);
    rl_audit_set_on_failure(&log_a, RL_AUDIT_COUNT);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    fault.room = 0;
    for (unsigned i = 1; i <= 5000; i++) {
        CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK);
        run_numbered(&log_a, i);
    }
    uint64_t lost = rl_audit_dropped(&log_a);
    CHECK(lost > 3000 && lost < 5000);
    fault.room = -1;
    CHECK_INT_EQ(rl_audit_flush(&log_a), RL_AUDIT_OK);
    rl_audit_flush(&log_a);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 5000 - lost + 1);
    size_t length;
    char expected[64], *text = file_text(log_path, &length);
    snprintf(expected, sizeof expected, "\"audit.records.lost\":%llu,", (unsigned long long)lost);
    CHECK(strstr(text, expected));
    free(text);
}

TEST(test_io__failed_sync_gives_the_file_up_and_says_what_is_in_doubt) {
    fresh();
    no_fault();
    begin(&log_a, &fixed_env);
    rl_audit_file_settings_t settings = {.path = log_path, .fsync = RL_AUDIT_FSYNC_EVERY};
    CHECK_INT_EQ(rl_audit_set_file(&log_a, &settings), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1));
    CHECK(run_numbered(&log_a, 2));
    check_verdict(REML_AUDIT_VERDICT_OK, 2); /* every: written when the call returns */
    fault.how = FAULT_ONCE;
    fault.error = EIO;
    fault.at = fault.calls + 3; /* size, write, sync */
    CHECK(run_numbered(&log_a, 3));
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK); /* by then in a new file */
    CHECK(run_numbered(&log_a, 4));
    rl_audit_deinit(&log_a);
    char path[160];
    snprintf(path, sizeof path, "%s.3", log_path);
    rl_audit_verification_t found;
    CHECK(rl_audit_verify_file(rl_os_io(), path, NULL, &found) && found.records == 3);
    check_verdict(REML_AUDIT_VERDICT_OK, 2);
    size_t length;
    char* text = file_text(log_path, &length);
    CHECK(strstr(text, "\"audit.durability.first\":3,\"audit.durability.last\":3,"));
    free(text);
}

TEST(test_io__verify_with_each_call_failing_says_unreadable_or_the_truth) {
    fresh();
    no_fault();
    begin(&log_a, &fixed_env);
    rl_audit_file_settings_t settings = {.path = log_path, .rotate_bytes = 9000};
    CHECK_INT_EQ(rl_audit_set_file(&log_a, &settings), RL_AUDIT_OK);
    for (unsigned i = 1; i <= 20; i++) CHECK(run_numbered(&log_a, i));
    rl_audit_deinit(&log_a);
    for (int n = 1;; n++) {
        rl_audit_verification_t found;
        fault.how = FAULT_ONCE;
        fault.error = EIO;
        fault.at = n;
        fault.calls = 0;
        CHECK(rl_audit_verify_file(&faulty_io, log_path, NULL, &found));
        if (fault.calls < n) {
            CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK);
            break;
        }
        CHECK(found.verdict == REML_AUDIT_VERDICT_OK || found.verdict == REML_AUDIT_VERDICT_UNREADABLE ||
              (found.verdict == REML_AUDIT_VERDICT_BROKEN && found.record == 1)); /* the file before it unreadable */
    }
    no_fault();
}

TEST(test_io__context_without_memory_still_writes_its_file) {
    for (uint64_t n = 1; n < 12; n++) {
        fresh();
        rl_allocator_t poor;
        rl_audit_t log;
        rl_allocator_init(&poor, NULL, NULL);
        poor.fail_at = n;
        poor.fail_every = 1;
        heard_t heard = {.log = &log, .in_order = true};
        if (rl_audit_init(&log, &poor, NULL)) {
            CHECK(run_numbered(&log, 1));
            bool moved = open_file(&log) == RL_AUDIT_OK; /* moving the queue takes memory */
            if (moved) (void)rl_audit_set_sink(&log, hear, &heard);
            for (unsigned i = 2; i <= 100; i++) CHECK(run_numbered(&log, i));
            CHECK(!poor.failed);
            rl_audit_deinit(&log);
            if (moved) {
                size_t length;
                char* text = file_text(log_path, &length);
                CHECK_INT_EQ(count_of(text, "native.embed.call"), 100);
                CHECK_INT_EQ(verify(NULL).verdict, REML_AUDIT_VERDICT_OK);
                free(text);
            }
        } else {
            rl_audit_deinit(&log);
        }
        CHECK_INT_EQ(poor.live_bytes, 0);
    }
}

TEST(test_io__a_log_changed_by_somebody_else_is_noticed) {
    fresh();
    no_fault();
    begin(&log_a, &fixed_env);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1));
    CHECK_INT_EQ(rl_audit_flush(&log_a), RL_AUDIT_OK);
    CHECK(truncate(log_path, 10) == 0);
    CHECK(run_numbered(&log_a, 2));
    CHECK_INT_EQ(rl_audit_flush(&log_a), RL_AUDIT_UNAVAILABLE);
    CHECK(strstr(rl_audit_problem(&log_a), "was changed by somebody else"));
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_UNAVAILABLE);
    rl_audit_deinit(&log_a);
}

TEST(test_io__a_log_that_is_gone_is_begun_anew_and_missed) {
    fresh();
    no_fault();
    for (unsigned i = 1; i <= 2; i++) {
        begin(&log_a, NULL);
        CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
        CHECK(run_numbered(&log_a, i));
        rl_audit_deinit(&log_a);
        if (i == 1) CHECK(unlink(log_path) == 0);
    }
    check_verdict(REML_AUDIT_VERDICT_OK, 2);
    size_t length;
    char* text = file_text(log_path, &length);
    CHECK(strstr(text, "\"audit.recovery.missing_records\":1,\"audit.sequence\":1,") && strstr(text, "\"n2\""));
    free(text);
}

/* --- a record per call ----------------------------------------------------------------------------------------- */

TEST(test_every__each_good_call_of_a_tally_leaves_the_record_it_would_leave_singly) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    rl_audit_set_policy(&log_a, RL_AUDIT_EVERY, 0);
    uint64_t total = 4, success = 3;
    log_a.bridge_total = &total, log_a.bridge_success = &success;
    rl_audit_tally_t tally = {.symbol = RL_STR("total"), .library = RL_STR("host"), .effects = RL_STR("ffi io unsafe")};
    rl_audit_tally_attach(&log_a, &tally);
    for (int i = 0; i < 3; i++) rl_audit_tally_count(&log_a, &tally);
    CHECK(tally.image != NULL); /* the second and third were stored ready */
    rl_audit_ffi_call_t call = {.symbol = tally.symbol,
        .library = tally.library,
        .effects = tally.effects,
        .latency_ns = RL_AUDIT_NO_LATENCY,
        .bridge_total = total,
        .bridge_success = success};
    CHECK(rl_audit_ffi_call(&log_a, &call));
    rl_audit_tally_set_row(&log_a, &tally, RL_AUDIT_OWN_TRANSFERRED, RL_AUDIT_RETURN_PENDING);
    CHECK(tally.image == NULL);
    for (int i = 0; i < 2; i++) rl_audit_tally_count(&log_a, &tally);
    CHECK_INT_EQ(tally.count, 0);
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 6);
    rl_audit_deinit(&log_a); /* detaches, and lets the image go */
    CHECK(tally.image == NULL);
    check_verdict(REML_AUDIT_VERDICT_OK, 6);
    size_t length;
    char* text = file_text(log_path, &length);
    char *bodies[6], ids[6][37];
    unsigned lines = 0;
    for (char *line = text, *end; lines < 6 && (end = strchr(line, '\n')); line = end + 1, lines++) {
        *end = '\0';
        check_keys_ascend(line);
        const char* id = strstr(line, "\"audit_id\":\"");
        bodies[lines] = strstr(line, ",\"bridge\":{");
        if (!CHECK(id && bodies[lines])) return;
        snprintf(ids[lines], sizeof ids[lines], "%s", id + strlen("\"audit_id\":\""));
        CHECK(ids[lines][14] == '4' && strchr("89ab", ids[lines][19]));
        for (unsigned i = 0; i < lines; i++) CHECK(strcmp(ids[i], ids[lines]) != 0);
    }
    CHECK_INT_EQ(lines, 6);
    for (unsigned i = 0; i < 3; i++) CHECK_STR_EQ(bodies[i], bodies[3]);
    CHECK(strstr(bodies[3], "\"audit_pass_rate\":0.75,") && strstr(bodies[3], "\"library\":\"host\""));
    CHECK(strstr(bodies[4], "\"status\":\"pending\""));
    CHECK_STR_EQ(bodies[4], bodies[5]);
    free(text);
}

TEST(test_every__names_that_do_not_fit_a_slot_are_recorded_whole) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    rl_audit_set_policy(&log_a, RL_AUDIT_EVERY, 0);
    char name[201];
    memset(name, 'n', 200), name[200] = '\0';
    rl_audit_tally_t tally = {.symbol = rl_str(name)};
    rl_audit_tally_attach(&log_a, &tally);
    for (int i = 0; i < 5; i++) rl_audit_tally_count(&log_a, &tally);
    CHECK(tally.image == NULL);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 5);
    size_t length;
    char* text = file_text(log_path, &length);
    CHECK_INT_EQ(count_of(text, name), 10); /* extern_symbol and symbol */
    free(text);
}

TEST(test_every__a_burst_waits_in_the_journal_and_more_is_written_in_parts) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    rl_audit_set_policy(&log_a, RL_AUDIT_EVERY, 0);
    rl_audit_tally_t tally = {.symbol = RL_STR("total")};
    rl_audit_tally_attach(&log_a, &tally);
    unsigned capacity = RL_AUDIT_JOURNAL_LEAST / RL_SLOT_BYTES, made = 0;
    uint64_t start = rl_os_monotonic_ns();
    for (; made < capacity / 2 - 1; made++) rl_audit_tally_count(&log_a, &tally);
    bool quick = rl_os_monotonic_ns() - start < 900000000; /* else a second may have passed, and that brings them out */
    if (quick) CHECK_INT_EQ(log_a.writer->log_bytes, 0);
    CHECK_INT_EQ(verify(NULL).pending + verify(NULL).records, made); /* safe from a kill all the same */
    for (; made < 20 * capacity; made++) {
        uint64_t before = log_a.writer->chain.sequence;
        rl_audit_tally_count(&log_a, &tally);
        uint64_t written = log_a.writer->chain.sequence - before;
        if (!CHECK(written <= 520)) break; /* no append waits for the whole ring */
        if (!CHECK(made + 1 - log_a.writer->chain.sequence <= capacity / 2)) break;
    }
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, made);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_file__four_records_in_order_make_a_valid_chain),
        RUN(test_file__sequence_and_chain_go_on_when_reopened),
        RUN(test_file__many_records_of_every_size),
        RUN(test_file__contexts_of_one_process_share_it_and_another_process_is_refused),
        RUN(test_file__a_child_that_lives_on_does_not_keep_the_lock),
        RUN(test_file__unusable_paths_are_named_and_change_nothing),
        RUN(test_file__rotates_by_renaming_and_the_chain_goes_on),
        RUN(test_file__callback_beside_it_gets_every_line_and_its_failure_does_not_matter),
        RUN(test_file__drain_writes_out_and_a_failed_call_does_too),
        RUN(test_file__threads_append_without_gap),
        RUN(test_every__each_good_call_of_a_tally_leaves_the_record_it_would_leave_singly),
        RUN(test_every__names_that_do_not_fit_a_slot_are_recorded_whole),
        RUN(test_every__a_burst_waits_in_the_journal_and_more_is_written_in_parts),
        RUN(test_verify__any_changed_byte_is_found_and_its_record_named),
        RUN(test_verify__deletion_insertion_and_swap_are_found),
        RUN(test_verify__truncation_is_told_by_the_head_and_by_the_journal),
        RUN(test_verify__torn_tail_is_cut_by_the_next_opener_and_recorded),
        RUN(test_verify__any_bytes_have_a_verdict),
        RUN(test_verify__what_is_no_log_file_is_unreadable_at_once),
        RUN(test_journal__any_bytes_are_refused_or_recovered),
        RUN(test_kill__at_random_moments_loses_nothing_acknowledged),
        RUN(test_kill__with_rotation_loses_nothing_acknowledged),
        RUN(test_kill__before_in_and_after_each_io_call),
        RUN(test_io__each_call_failing_once_or_for_ever_loses_nothing_kept),
        RUN(test_io__full_disk_refuses_before_the_call_and_goes_on_when_there_is_room),
        RUN(test_io__count_goes_on_without_the_log_and_tells_the_number),
        RUN(test_io__failed_sync_gives_the_file_up_and_says_what_is_in_doubt),
        RUN(test_io__verify_with_each_call_failing_says_unreadable_or_the_truth),
        RUN(test_io__context_without_memory_still_writes_its_file),
        RUN(test_io__a_log_changed_by_somebody_else_is_noticed),
        RUN(test_io__a_log_that_is_gone_is_begun_anew_and_missed),
    };
    setvbuf(stdout, NULL, _IONBF, 0); /* children that are killed must not print twice */
    int result = check_main(tests, sizeof tests / sizeof *tests, argc, argv);
    if (directory[0]) {
        remove_all();
        rmdir(directory);
    }
    return result;
}
