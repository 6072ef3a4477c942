/* The audit log: what a line says, in which order, what survives a kill, a full disk, a failing call; what is found. */
#include "check.h"

#include "audit/audit.h"
#include "audit/read.h"
#include "audit/render.h"
#include "audit/verify.h"
#include "audit/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- a place to work in, a fixed world, I/O that fails ------------------------------------------------------- */

static char directory[64];
static char log_path[96], journal_path[112];

static void remove_all(void) {
    DIR* d = opendir(directory);
    if (!d) return;
    for (struct dirent* entry; (entry = readdir(d));) {
        char path[512];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    closedir(d);
}

/* Each test that uses files begins with an empty directory. */
static void fresh(void) {
    if (!directory[0]) {
        strcpy(directory, "/tmp/reml-audit-XXXXXX");
        if (!mkdtemp(directory)) abort();
        snprintf(log_path, sizeof log_path, "%s/audit.ndjson", directory);
        snprintf(journal_path, sizeof journal_path, "%s.journal", log_path);
    }
    remove_all();
}

static int64_t fixed_wall(void* user) {
    (void)user;
    return INT64_C(1772439300) * 1000000000; /* 2026-03-02T08:15:00Z */
}
static uint64_t fixed_monotonic(void* user) {
    (void)user;
    return 1;
}
static bool counting_random(void* user, void* out, size_t length) {
    (void)user;
    for (size_t i = 0; i < length; i++) ((unsigned char*)out)[i] = (unsigned char)(i + 1);
    return true;
}
static const char* no_variable(void* user, const char* name) {
    (void)user;
    (void)name;
    return NULL;
}

/* Calls are numbered from 1; the `at`-th does what `how` says. */
typedef enum { FAULT_NONE, FAULT_ONCE, FAULT_FOREVER, FAULT_KILL_BEFORE, FAULT_KILL_HALF, FAULT_KILL_AFTER } fault_t;
static struct {
    fault_t how;
    int at, calls, error;
    int64_t room; /* bytes that may still be written to any file; below 0: no limit */
    int last_flags;
} fault = {.room = -1};

static int before_call(void) {
    int number = ++fault.calls;
    if (fault.how == FAULT_NONE || fault.at == 0) return 0;
    if (fault.how == FAULT_KILL_BEFORE && number == fault.at) raise(SIGKILL);
    if (fault.how == FAULT_ONCE && number == fault.at) return -fault.error;
    if (fault.how == FAULT_FOREVER && number >= fault.at) return -fault.error;
    return 0;
}
static void after_call(void) {
    if (fault.how == FAULT_KILL_AFTER && fault.calls == fault.at) raise(SIGKILL);
}
#define THROUGH(type, call)                 \
    do {                                    \
        (void)user;                         \
        int refused = before_call();        \
        if (refused) return refused;        \
        type answer = (call);               \
        after_call();                       \
        return answer;                      \
    } while (0)

static int f_open(void* user, const char* path, int flags, int mode) {
    THROUGH(int, rl_os_io()->open(NULL, path, flags, mode));
}
static int64_t f_write(void* user, int fd, const void* data, size_t length) {
    (void)user;
    int refused = before_call();
    if (refused) {
        if (length > 1) (void)!write(fd, data, length / 2); /* what a full disk leaves behind */
        return refused;
    }
    if (fault.how == FAULT_KILL_HALF && fault.calls == fault.at) {
        (void)!write(fd, data, length / 2);
        raise(SIGKILL);
    }
    if (fault.room >= 0) {
        if (fault.room == 0) return -ENOSPC;
        if ((int64_t)length > fault.room) length = (size_t)fault.room;
        fault.room -= (int64_t)length;
    }
    int64_t answer = rl_os_io()->write(NULL, fd, data, length);
    after_call();
    return answer;
}
static int64_t f_read(void* user, int fd, void* data, size_t length, int64_t offset) {
    THROUGH(int64_t, rl_os_io()->read(NULL, fd, data, length, offset));
}
static int f_sync(void* user, int fd) { THROUGH(int, rl_os_io()->sync(NULL, fd)); }
static int f_truncate(void* user, int fd, int64_t length) { THROUGH(int, rl_os_io()->truncate(NULL, fd, length)); }
static int64_t f_size(void* user, int fd) { THROUGH(int64_t, rl_os_io()->size(NULL, fd)); }
static int f_lock(void* user, int fd) { THROUGH(int, rl_os_io()->lock(NULL, fd)); }
static int f_rename(void* user, const char* from, const char* to) {
    THROUGH(int, rl_os_io()->rename(NULL, from, to));
}
static int f_unlink(void* user, const char* path) { THROUGH(int, rl_os_io()->unlink(NULL, path)); }
static int f_sync_directory(void* user, const char* path) { THROUGH(int, rl_os_io()->sync_directory_of(NULL, path)); }
static void* f_map(void* user, int fd, size_t length) {
    (void)user;
    if (before_call()) return NULL;
    void* answer = rl_os_io()->map(NULL, fd, length);
    after_call();
    return answer;
}
static void f_unmap(void* user, void* address, size_t length) {
    (void)user;
    rl_os_io()->unmap(NULL, address, length);
}
static int f_allocate(void* user, int fd, int64_t length) { THROUGH(int, rl_os_io()->allocate(NULL, fd, length)); }
static void f_close(void* user, int fd) {
    (void)user;
    rl_os_io()->close(NULL, fd);
}

static const rl_io_t faulty_io = {NULL,     f_open,   f_write,          f_read, f_sync,  f_truncate, f_size, f_lock,
                                  f_rename, f_unlink, f_sync_directory, f_map,  f_unmap, f_allocate, f_close};
static const rl_env_t fixed_env = {NULL, fixed_wall, fixed_monotonic, counting_random, no_variable, &faulty_io};

static void no_fault(void) {
    memset(&fault, 0, sizeof fault);
    fault.room = -1;
}

static rl_allocator_t allocator;
static rl_audit_t log_a, log_b;

static void begin(rl_audit_t* log, const rl_env_t* env) {
    static bool once;
    if (!once) rl_allocator_init(&allocator, NULL, NULL);
    once = true;
    CHECK(rl_audit_init(log, &allocator, env));
}

static rl_audit_result_t open_file(rl_audit_t* log) {
    rl_audit_file_settings_t settings = {.path = log_path, .journal_bytes = RL_AUDIT_JOURNAL_LEAST};
    return rl_audit_set_file(log, &settings);
}

static bool run_called(rl_audit_t* log, const char* entrypoint) {
    rl_audit_embed_call_t call = {.function = RL_AUDIT_RUN,
                                  .abi_version = RL_STR("0.1.0"),
                                  .status_label = RL_STR("ok"),
                                  .run_entrypoint = rl_str(entrypoint)};
    return rl_audit_embed_call(log, &call);
}
static bool run_numbered(rl_audit_t* log, unsigned number) {
    char name[32];
    snprintf(name, sizeof name, "n%u", number);
    return run_called(log, name);
}

static rl_audit_ffi_call_t good_call(const char* symbol) {
    return (rl_audit_ffi_call_t){.symbol = rl_str(symbol), .latency_ns = RL_AUDIT_NO_LATENCY};
}

/* Text of a file, NUL-terminated, to be freed. */
static char* file_text(const char* path, size_t* out_length) {
    int fd = open(path, O_RDONLY);
    struct stat status;
    *out_length = 0;
    if (fd < 0 || fstat(fd, &status) != 0) {
        if (fd >= 0) close(fd);
        return calloc(1, 1);
    }
    char* text = calloc(1, (size_t)status.st_size + 1);
    for (size_t done = 0; done < (size_t)status.st_size;) {
        ssize_t got = read(fd, text + done, (size_t)status.st_size - done);
        if (got <= 0) break;
        done += (size_t)got;
        *out_length = done;
    }
    close(fd);
    return text;
}
static void write_text(const char* path, const char* text, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, text, length) == (ssize_t)length);
    close(fd);
}
static unsigned count_of(const char* text, const char* part) {
    unsigned count = 0;
    for (const char* at = text; (at = strstr(at, part)); at++) count++;
    return count;
}

static rl_audit_verification_t verify(const char* expected) {
    rl_audit_verification_t found;
    CHECK(rl_audit_verify_file(rl_os_io(), log_path, expected, &found));
    return found;
}
static void check_verdict(int32_t verdict, uint64_t records) {
    rl_audit_verification_t found = verify(NULL);
    if (!CHECK_INT_EQ(found.verdict, verdict)) printf("  %s\n", found.detail);
    CHECK_INT_EQ(found.records, records);
}

static char* drained(rl_audit_t* log) {
    rl_buf_t text;
    rl_buf_init(&text, &allocator);
    CHECK_INT_EQ(rl_audit_drain(log, &text), RL_AUDIT_OK);
    char* copy = strdup(rl_buf_cstr(&text));
    rl_buf_deinit(&text);
    return copy;
}

/* --- SHA-256 ------------------------------------------------------------------------------------------------- */

static void check_sha(const char* text, size_t length, const char* expected) {
    rl_sha256_t sha;
    unsigned char digest[RL_SHA256_BYTES];
    char hex[RL_SHA256_HEX + 1] = "";
    rl_sha256_init(&sha);
    for (size_t i = 0; i < length; i += 7) rl_sha256_update(&sha, text + i, length - i < 7 ? length - i : 7);
    rl_sha256_final(&sha, digest);
    rl_sha256_hex(digest, hex);
    CHECK_STR_EQ(hex, expected);
}

TEST(test_sha256__published_vectors) {
    check_sha("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char* million = malloc(1000000);
    memset(million, 'a', 1000000);
    check_sha(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

TEST(test_sha256__processor_and_portable_rounds_agree) {
    unsigned char data[256];
    uint32_t one[8], two[8];
    srand(7);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)rand();
        for (int i = 0; i < 8; i++) one[i] = two[i] = (uint32_t)rand();
        rl_sha256_blocks(one, data, 4, false);
        rl_sha256_blocks(two, data, 4, true);
        CHECK(memcmp(one, two, sizeof one) == 0);
    }
}

/* --- what a line says ---------------------------------------------------------------------------------------- */

/* Keys of envelope.metadata in the order they stand in. */
static void check_keys_ascend(const char* line) {
    const char* at = strstr(line, "\"metadata\":{");
    if (!CHECK(at != NULL)) return;
    at += strlen("\"metadata\":");
    char last[128] = "", key[128];
    int depth = 0;
    bool expect_key = false, in_string = false;
    for (; *at; at++) {
        if (in_string) {
            if (*at == '\\') {
                at++;
            } else if (*at == '"') {
                in_string = false;
            }
            continue;
        }
        if (*at == '{' || *at == '[') {
            depth++;
            expect_key = depth == 1;
        } else if (*at == '}' || *at == ']') {
            if (--depth == 0) return;
        } else if (*at == ',' && depth == 1) {
            expect_key = true;
        } else if (*at == '"') {
            if (expect_key && depth == 1) {
                size_t length = strcspn(at + 1, "\"");
                snprintf(key, sizeof key, "%.*s", (int)length, at + 1);
                if (!CHECK(strcmp(last, key) < 0)) printf("  %s before %s in %s\n", last, key, line);
                strcpy(last, key);
                at += length + 1;
                expect_key = false;
            } else {
                in_string = true;
            }
        }
    }
}

/* A line is JSON, without a place (it did not go through a file), with ascending keys. */
static void check_line(const char* line) {
    rl_line_facts_t facts;
    const char* problem = rl_line_read(line, strlen(line), &facts);
    if (!CHECK_STR_EQ(problem ? problem : "none", "no audit.sequence")) printf("  %s\n", line);
    check_keys_ascend(line);
}

static const rl_target_t sample_target = {"linux", "x86_64", "x86_64-unknown-linux-gnu", "linux-x86_64", "system_v"};

/* The line of a single event, its random id replaced by ID. */
static char* one_line(rl_audit_t* log) {
    char* text = drained(log);
    char* id = strstr(text, "\"audit_id\":\"");
    if (CHECK(id != NULL)) {
        id += strlen("\"audit_id\":\"");
        CHECK(id[8] == '-' && id[14] == '4' && strchr("89ab", id[19]) && id[36] == '"');
        memmove(id + 2, id + 36, strlen(id + 36) + 1);
        memcpy(id, "ID", 2);
    }
    char* end = strchr(text, '\n');
    if (CHECK(end != NULL)) *end = '\0';
    check_line(text);
    return text;
}

TEST(test_embed_call__abi_mismatch_is_the_contract_sample) {
    begin(&log_a, &fixed_env);
    rl_audit_embed_call_t call = {.function = RL_AUDIT_CREATE_CONTEXT,
                                  .abi_version = RL_STR("0.2.0"),
                                  .status_label = RL_STR("abi_mismatch"),
                                  .failed = true,
                                  .abi_mismatch = true,
                                  .error_code = RL_STR("native.embed.abi_mismatch"),
                                  .error_message = RL_STR("abi mismatch: expected 0.1.0, got 0.2.0"),
                                  .target = &sample_target};
    CHECK(rl_audit_embed_call(&log_a, &call));
    char* line = one_line(&log_a);
    CHECK_STR_EQ(line, "{\"timestamp\":\"2026-03-02T08:15:00Z\",\"category\":\"native.embed\",\"envelope\":{\"audit_id\":\"ID\",\"capability\":\"native.embed\",\"metadata\":{\"audit.channel\":\"embed\",\"audit.policy.version\":\"rust.poc.audit.v1\",\"effect.capability\":\"native.embed\",\"effect.manifest_path\":null,\"effect.provider\":\"core\",\"effect.stage.actual\":\"experimental\",\"effect.stage.required\":\"at_least:experimental\",\"embed.abi.version\":\"0.2.0\",\"embed.status\":\"abi_mismatch\",\"error.code\":\"native.embed.abi_mismatch\",\"error.message\":\"abi mismatch: expected 0.1.0, got 0.2.0\",\"error.severity\":\"error\",\"event.kind\":\"native.embed.call\",\"native.embed.abi_mismatch\":true,\"native.embed.entrypoint\":\"reml_create_context\",\"schema.version\":\"3.0.0-alpha\",\"target.arch\":\"x86_64\",\"target.os\":\"linux\",\"target.triple\":\"x86_64-unknown-linux-gnu\"}}}");
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_embed_call__load_and_run_tell_what_was_loaded_and_run) {
    begin(&log_a, &fixed_env);
    rl_audit_embed_call_t call = {.function = RL_AUDIT_LOAD_MODULE, .status_label = RL_STR("ok"), .source_bytes = 1234};
    CHECK(rl_audit_embed_call(&log_a, &call));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"embed.abi.version\":\"unknown\",\"embed.source.bytes\":1234,\"embed.status\":\"ok\",\"event.kind\""));
    CHECK(strstr(line, "\"native.embed.entrypoint\":\"reml_load_module\""));
    CHECK(!strstr(line, "error.") && !strstr(line, "embed.run.entrypoint"));
    free(line);
    CHECK(run_called(&log_a, "main"));
    line = one_line(&log_a);
    CHECK(strstr(line, "\"embed.abi.version\":\"0.1.0\",\"embed.run.entrypoint\":\"main\",\"embed.status\":\"ok\",\"event.kind\""));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_ffi_call__transferred_result_is_the_contract_sample) {
    begin(&log_a, &fixed_env);
    rl_audit_ffi_call_t call = {.symbol = RL_STR("reml_embed_result_take"),
                                .ownership = RL_AUDIT_OWN_TRANSFERRED,
                                .result = RL_AUDIT_RETURN_TRANSFERRED,
                                .latency_ns = 1840,
                                .bridge_total = 3,
                                .bridge_success = 3};
    CHECK(rl_audit_ffi_call(&log_a, &call));
    char* line = one_line(&log_a);
    if (rl_str_equal(rl_str(rl_os_target()->triple), rl_str(sample_target.triple))) {
        CHECK_STR_EQ(line, "{\"timestamp\":\"2026-03-02T08:15:00Z\",\"category\":\"ffi.bridge\",\"envelope\":{\"audit_id\":\"ID\",\"capability\":\"ffi.bridge\",\"metadata\":{\"audit.channel\":\"runtime\",\"audit.policy.version\":\"rust.poc.audit.v1\",\"bridge\":{\"abi\":\"system_v\",\"arch\":\"x86_64\",\"audit_pass_rate\":1.0,\"expected_abi\":\"system_v\",\"extern_symbol\":\"reml_embed_result_take\",\"ownership\":\"transferred\",\"platform\":\"linux-x86_64\",\"return\":{\"ownership\":\"transferred\",\"rc_adjustment\":\"dec_ref\",\"release_handler\":\"dec_ref\",\"status\":\"wrap_and_release\",\"wrap\":\"wrap_foreign_ptr\"},\"status\":\"ok\",\"target\":\"x86_64-unknown-linux-gnu\"},\"event.kind\":\"ffi.call\",\"ffi\":{\"capability\":\"ffi.bridge\",\"capability_stage\":\"beta\",\"effect_flags\":[\"ffi\",\"unsafe\"],\"event\":\"ffi.call\",\"latency_ns\":1840,\"library\":\"reml_embed\",\"status\":\"success\",\"symbol\":\"reml_embed_result_take\"},\"schema.version\":\"3.0.0-alpha\"}}}");
    }
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_ffi_call__each_row_of_the_return_table) {
    static const struct {
        rl_audit_ownership_t ownership;
        rl_audit_return_t result;
        const char* expected;
    } rows[] = {
        {RL_AUDIT_OWN_BORROWED, RL_AUDIT_RETURN_BORROWED, "{\"ownership\":\"borrowed\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":\"wrap\",\"wrap\":\"wrap_foreign_ptr\"}"},
        {RL_AUDIT_OWN_TRANSFERRED, RL_AUDIT_RETURN_PENDING, "{\"ownership\":\"transferred\",\"rc_adjustment\":\"none\",\"release_handler\":\"dec_ref\",\"status\":\"pending\",\"wrap\":\"wrap_foreign_ptr\"}"},
        {RL_AUDIT_OWN_TRANSFERRED, RL_AUDIT_RETURN_FAILURE, "{\"ownership\":\"transferred\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":\"failure\",\"wrap\":\"none\"}"},
        {RL_AUDIT_OWN_BORROWED, RL_AUDIT_RETURN_NULL, "{\"ownership\":\"borrowed\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":\"null\",\"wrap\":\"none\"}"},
        {RL_AUDIT_OWN_NONE, RL_AUDIT_RETURN_SCALAR, "{\"ownership\":\"none\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":\"none\",\"wrap\":\"none\"}"},
    };
    begin(&log_a, &fixed_env);
    for (size_t i = 0; i < RL_COUNT_OF(rows); i++) {
        rl_audit_ffi_call_t call = good_call("f");
        call.ownership = rows[i].ownership;
        call.result = rows[i].result;
        CHECK(rl_audit_ffi_call(&log_a, &call));
        char* line = one_line(&log_a);
        if (!CHECK(strstr(line, rows[i].expected))) printf("  %s\n", line);
        free(line);
    }
    rl_audit_deinit(&log_a);
}

TEST(test_ffi_call__failure_has_code_and_rate) {
    begin(&log_a, &fixed_env);
    CHECK(rl_audit_ownership_violation(&log_a, RL_STR("reml_ffi_release_transferred"), RL_STR("released twice"), 4, 3));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"audit_pass_rate\":0.75,"));
    CHECK(strstr(line, "\"error.code\":\"ffi.wrap.ownership_violation\",\"error.message\":\"released twice\",\"error.severity\":\"error\""));
    CHECK(strstr(line, "\"status\":\"error\",\"target\"") && strstr(line, "\"status\":\"failed\",\"symbol\""));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__other_kinds) {
    begin(&log_a, &fixed_env);
    CHECK(rl_audit_unsafe_region(&log_a, RL_STR("Billing"), RL_STR("poke"), 17));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"event.kind\":\"unsafe.region\",\"schema.version\":\"3.0.0-alpha\",\"unsafe.function\":\"poke\",\"unsafe.line\":17,\"unsafe.module\":\"Billing\"}"));
    free(line);
    CHECK(rl_audit_limits_unlimited(&log_a, RL_STR("fuel heap_bytes")));
    line = one_line(&log_a);
    CHECK(strstr(line, "\"limits.unlimited\":[\"fuel\",\"heap_bytes\"]"));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__hostile_text_stays_inside_its_string) {
    static const char hostile[] = "a\n{\"forged\":1}\r\t\"\\\x1b[31m\x7f\xff\xc0\xaf\xed\xa0\x80\xe2\x80\xa8\xf0\x9f\x98\x80";
    begin(&log_a, &fixed_env);
    CHECK(run_called(&log_a, hostile));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"a\\n{\\\"forged\\\":1}\\r\\t\\\"\\\\\\u001b[31m\\u007f\xEF\xBF\xBD"));
    CHECK(strstr(line, "\\u2028\xf0\x9f\x98\x80\""));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__long_text_is_cut_and_leaves_length_and_hash) {
    begin(&log_a, &fixed_env);
    size_t length = 10u << 20;
    char* big = malloc(length + 1);
    memset(big, 'x', length);
    big[length] = '\0';
    memcpy(big + RL_AUDIT_FIELD_BYTES - 1, "\xc3\xa4", 2); /* must not be cut in half */
    CHECK(run_called(&log_a, big));
    rl_sha256_t sha;
    unsigned char digest[RL_SHA256_BYTES];
    char expected[256], hex[RL_SHA256_HEX + 1] = "";
    rl_sha256_init(&sha);
    rl_sha256_update(&sha, big, length);
    rl_sha256_final(&sha, digest);
    rl_sha256_hex(digest, hex);
    snprintf(expected, sizeof expected, "\"audit.truncated\":{\"embed.run.entrypoint\":{\"bytes\":10485760,\"sha256\":\"%s\"}}", hex);
    char* line = one_line(&log_a);
    CHECK(strstr(line, expected));
    const char* text = strstr(line, "\"embed.run.entrypoint\":\"");
    if (CHECK(text != NULL)) CHECK_INT_EQ(strcspn(text + 24, "\""), RL_AUDIT_FIELD_BYTES - 1);
    CHECK(strlen(line) < 6000);
    free(line);
    free(big);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__command_members_stand_in_their_place) {
    begin(&log_a, &fixed_env);
    CHECK_INT_EQ(rl_audit_set_command(&log_a, RL_STR("\"cli.command\":\"run\",\"cli.run_id\":\"7\"")), RL_AUDIT_OK);
    CHECK(run_called(&log_a, "main"));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"cli.command\":\"run\",\"cli.run_id\":\"7\",\"effect.capability\""));
    free(line);
    rl_audit_ffi_call_t call = good_call("f");
    CHECK(rl_audit_ffi_call(&log_a, &call));
    free(one_line(&log_a));
    static const char* const bad[] = {"\"x\":1", "\"cli.b\":1,\"cli.a\":2", "\"cli.a\":1},{\"cli.b\":2", "\"cli.a\":", "\"cli.\\u0061\":1", "\"cli.a\":\n1", "}{"};
    for (size_t i = 0; i < RL_COUNT_OF(bad); i++) CHECK_INT_EQ(rl_audit_set_command(&log_a, rl_str(bad[i])), RL_AUDIT_INVALID);
    rl_audit_deinit(&log_a);
}

/* --- queue --------------------------------------------------------------------------------------------------- */

TEST(test_queue__drains_in_order_and_is_empty_then) {
    begin(&log_a, NULL);
    for (unsigned i = 1; i <= 100; i++) CHECK(run_numbered(&log_a, i));
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 100);
    CHECK_INT_EQ(rl_audit_lifecycle_count(&log_a), 100);
    char* text = drained(&log_a);
    CHECK_INT_EQ(count_of(text, "\n"), 100);
    const char* at = text;
    for (unsigned i = 1; i <= 100 && at; i++) {
        char name[16];
        snprintf(name, sizeof name, "\"n%u\"", i);
        at = strstr(at, name);
        CHECK(at != NULL);
    }
    free(text);
    text = drained(&log_a);
    CHECK_STR_EQ(text, "");
    free(text);
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 0);
    rl_audit_deinit(&log_a);
}

TEST(test_queue__keeps_the_last_4096_and_tells_what_it_let_go) {
    begin(&log_a, NULL);
    for (unsigned i = 1; i <= 5000; i++) CHECK(run_numbered(&log_a, i));
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 904);
    char* text = drained(&log_a);
    CHECK_INT_EQ(count_of(text, "native.embed.call"), 4096);
    CHECK_INT_EQ(count_of(text, "\"audit.records.lost\":904"), 1);
    CHECK(!strstr(text, "\"n904\"") && strstr(text, "\"n905\""));
    free(text);
    rl_audit_deinit(&log_a);
}

TEST(test_queue__lives_with_every_allocation_failing) {
    for (uint64_t n = 1; n < 40; n++) {
        rl_allocator_t poor;
        rl_audit_t log;
        rl_allocator_init(&poor, NULL, NULL);
        poor.fail_at = n;
        poor.fail_every = 1;
        if (rl_audit_init(&log, &poor, NULL)) {
            for (unsigned i = 1; i <= 300; i++) CHECK(run_numbered(&log, i)); /* room is made by letting old ones go */
            CHECK(!poor.failed);
            CHECK_INT_EQ(log.ring.records + rl_audit_dropped(&log), 300);
            poor.fail_at = 0;
            rl_buf_t text;
            rl_buf_init(&text, &poor);
            CHECK_INT_EQ(rl_audit_drain(&log, &text), RL_AUDIT_OK);
            CHECK_INT_EQ(count_of(rl_buf_cstr(&text), "native.embed.call"), 300 - (int)rl_audit_dropped(&log));
            CHECK(strstr(rl_buf_cstr(&text), "\"n300\""));
            rl_buf_deinit(&text);
        }
        rl_audit_deinit(&log);
        CHECK_INT_EQ(poor.live_bytes, 0);
    }
}

TEST(test_queue__drain_without_memory_keeps_the_queue) {
    begin(&log_a, NULL);
    for (unsigned i = 1; i <= 50; i++) CHECK(run_numbered(&log_a, i));
    rl_buf_t text;
    rl_buf_init(&text, &allocator);
    text.limit = 20000;
    CHECK_INT_EQ(rl_audit_drain(&log_a, &text), RL_AUDIT_NO_MEMORY);
    CHECK_INT_EQ(text.length, 0);
    rl_buf_deinit(&text);
    char* all = drained(&log_a);
    CHECK_INT_EQ(count_of(all, "\n"), 50);
    free(all);
    rl_audit_deinit(&log_a);
}

TEST(test_queue__transfer_keeps_order_and_ids) {
    begin(&log_a, NULL);
    begin(&log_b, NULL);
    CHECK(run_numbered(&log_b, 1));
    CHECK(run_numbered(&log_a, 2));
    CHECK(run_numbered(&log_a, 3));
    CHECK(rl_audit_transfer(&log_a, &log_b));
    rl_audit_deinit(&log_a);
    char* text = drained(&log_b);
    const char *one = strstr(text, "\"n1\""), *two = strstr(text, "\"n2\""), *three = strstr(text, "\"n3\"");
    CHECK(one && two && three && one < two && two < three);
    free(text);
    rl_audit_deinit(&log_b);
}

TEST(test_count__grows_by_one_for_each_lifecycle_call_on_this_thread) {
    begin(&log_a, NULL);
    uint64_t before = rl_audit_thread_lifecycle_count();
    CHECK(run_numbered(&log_a, 1));
    rl_audit_ffi_call_t call = good_call("f");
    CHECK(rl_audit_ffi_call(&log_a, &call));
    CHECK_INT_EQ(rl_audit_thread_lifecycle_count() - before, 1);
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 2);
    rl_audit_deinit(&log_a);
}

/* --- callback ------------------------------------------------------------------------------------------------ */

typedef struct heard {
    rl_audit_t* log;
    unsigned lines, refuse; /* refuse the next so many */
    unsigned last;
    bool in_order, reenter;
    rl_audit_result_t inside;
} heard_t;

static int hear(const char* line, size_t length, void* user) {
    heard_t* heard = user;
    if (heard->reenter) {
        heard->inside = rl_audit_set_sink(heard->log, NULL, NULL);
        heard->reenter = false;
        run_called(heard->log, "from inside");
    }
    if (heard->refuse > 0) {
        heard->refuse--;
        return 1;
    }
    heard->lines++;
    char* copy = strndup(line, length);
    check_line(copy);
    const char* name = strstr(copy, "\"embed.run.entrypoint\":\"n");
    if (name) {
        unsigned number = (unsigned)strtoul(name + 25, NULL, 10);
        if (number != heard->last + 1) heard->in_order = false;
        heard->last = number;
    }
    free(copy);
    return 0;
}

TEST(test_callback__gets_each_line_once_in_order) {
    heard_t heard = {.log = &log_a, .in_order = true};
    begin(&log_a, NULL);
    CHECK(run_numbered(&log_a, 1)); /* waits in the queue */
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, hear, &heard), RL_AUDIT_OK);
    CHECK_INT_EQ(heard.lines, 1);
    for (unsigned i = 2; i <= 200; i++) CHECK(run_numbered(&log_a, i));
    CHECK_INT_EQ(heard.lines, 200);
    rl_audit_ffi_call_t call = good_call("f");
    for (int i = 0; i < 1000; i++) CHECK(rl_audit_ffi_call(&log_a, &call));
    rl_audit_deinit(&log_a);
    CHECK_INT_EQ(heard.lines, 1200);
    CHECK(heard.in_order);
}

TEST(test_callback__refusing_closes_the_door_until_it_takes_again) {
    heard_t heard = {.log = &log_a, .in_order = true, .refuse = 2};
    begin(&log_a, NULL);
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, hear, &heard), RL_AUDIT_OK);
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1)); /* refused once */
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_UNAVAILABLE); /* twice */
    CHECK_STR_EQ(rl_audit_problem(&log_a), "audit sink refused a record");
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK); /* taken */
    CHECK_INT_EQ(heard.lines, 1);
    CHECK(run_numbered(&log_a, 2));
    CHECK_INT_EQ(heard.lines, 2);
    CHECK(heard.in_order);
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 0);
    rl_audit_deinit(&log_a);
}

TEST(test_callback__count_goes_on_and_reports_what_was_lost) {
    heard_t heard = {.log = &log_a, .in_order = true, .refuse = UINT32_MAX};
    begin(&log_a, NULL);
    rl_audit_set_on_failure(&log_a, RL_AUDIT_COUNT);
    rl_audit_set_sink(&log_a, hear, &heard);
    for (unsigned i = 1; i <= 40000; i++) {
        CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK);
        run_numbered(&log_a, i);
    }
    uint64_t lost = rl_audit_dropped(&log_a);
    CHECK(lost > 0);
    heard.refuse = 0;
    CHECK_INT_EQ(rl_audit_flush(&log_a), RL_AUDIT_OK);
    CHECK_INT_EQ(heard.lines, 40000 - lost);
    CHECK(run_numbered(&log_a, (unsigned)(40001 - lost)));
    CHECK_INT_EQ(heard.lines, 40000 - lost + 2); /* and the record that tells the loss */
    rl_audit_deinit(&log_a);
}

TEST(test_callback__from_inside_settings_are_busy_and_events_wait) {
    heard_t heard = {.log = &log_a, .in_order = true, .reenter = true};
    begin(&log_a, NULL);
    rl_audit_set_sink(&log_a, hear, &heard);
    CHECK(run_numbered(&log_a, 1));
    CHECK_INT_EQ(heard.inside, RL_AUDIT_BUSY);
    CHECK_INT_EQ(heard.lines, 2);
    rl_audit_deinit(&log_a);
}

/* --- tallies ------------------------------------------------------------------------------------------------- */

TEST(test_tally__counts_become_one_record) {
    rl_audit_tally_t tally = {.symbol = RL_STR("total"), .bridge_total = 10, .bridge_success = 10};
    begin(&log_a, NULL);
    rl_audit_tally_attach(&log_a, &tally);
    for (int i = 0; i < 1000; i++) rl_audit_tally_count(&log_a, &tally, rl_audit_ticks(&log_a));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"ffi.count\":1000,\"ffi.failures\":0,\"ffi.first_at\":\"20"));
    CHECK(strstr(line, "\"extern_symbol\":\"total\""));
    free(line);
    rl_audit_tally_count(&log_a, &tally, rl_audit_ticks(&log_a));
    rl_audit_tally_detach(&log_a, &tally);
    line = one_line(&log_a);
    CHECK(strstr(line, "\"ffi.count\":1,"));
    free(line);
    rl_audit_tally_detach(&log_a, &tally); /* again: nothing */
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 2);
    rl_audit_deinit(&log_a);
}

TEST(test_tally__an_interval_over_tells) {
    rl_audit_tally_t tally = {.symbol = RL_STR("total")};
    begin(&log_a, NULL);
    rl_audit_set_policy(&log_a, RL_AUDIT_SUMMARY, 1);
    rl_audit_tally_attach(&log_a, &tally);
    uint64_t start = rl_os_monotonic_ns();
    while (rl_os_monotonic_ns() - start < 20000000) rl_audit_tally_count(&log_a, &tally, rl_audit_ticks(&log_a));
    CHECK(rl_audit_record_count(&log_a) >= 3 && rl_audit_record_count(&log_a) <= 60);
    rl_audit_deinit(&log_a); /* detaches */
    CHECK(tally.link == NULL);
}

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
          strstr(text, "\",\"audit.chain.previous\":\"0000000000000000000000000000000000000000000000000000000000000000\""));
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
    snprintf(expected, sizeof expected, "%d 0 audit log is in use by another process: %s", RL_AUDIT_UNAVAILABLE, log_path);
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
        if (!CHECK(rl_audit_verify_file(rl_os_io(), path, NULL, &found) && found.verdict == REML_AUDIT_VERDICT_OK)) break;
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
        snprintf(name, sizeof name, "thread %d call %u%s", *(int*)user, i, i % 7 ? "" : " with a name that needs a second slot of the ring");
        ok = rl_audit_ready(&log) == RL_AUDIT_OK && run_called(&log, name);
    }
    rl_audit_deinit(&log);
    return ok ? user : NULL;
}

TEST(test_file__threads_append_without_gap) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {.path = log_path, .rotate_bytes = 1u << 20, .journal_bytes = RL_AUDIT_JOURNAL_LEAST};
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
        /* Record 2 as the first of a file looks like a file after rotation; the whole of it is then unproven. */
        CHECK_INT_EQ(found.record, n == 1 ? 1 : n);

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

/* Append numbered events; one is acknowledged when the append has returned. */
static void append_acknowledged(rl_audit_t* log, unsigned most) {
    char name[600];
    for (unsigned i = 0; i < most; i++) {
        uint32_t number = atomic_fetch_add(&shared->next, 1) + 1;
        if (number >= NUMBERS) return;
        int length = snprintf(name, sizeof name, "n%u ", number);
        size_t more = number % 5 == 0 ? number % 500 : 0;
        memset(name + length, 'x', more);
        name[length + (int)more] = '\0';
        if (rl_audit_ready(log) == RL_AUDIT_OK && run_called(log, name)) shared->acknowledged[number] = 1;
    }
}

static const char* next_number(const char* at, unsigned* out_number) {
    static const char key[] = "\"embed.run.entrypoint\":\"n";
    at = strstr(at, key);
    if (!at) return NULL;
    *out_number = (unsigned)strtoul(at + sizeof key - 1, NULL, 10);
    return at + 1;
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
        for (const char* at = text; (at = next_number(at, &number));) {
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
            append_acknowledged(&log, UINT32_MAX);
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
    kill_at_random(120, settings);
    rl_audit_deinit(&log_a);
}

TEST(test_kill__with_rotation_loses_nothing_acknowledged) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {
        .path = log_path, .journal_bytes = RL_AUDIT_JOURNAL_LEAST, .rotate_bytes = 300000, .fsync = RL_AUDIT_FSYNC_INTERVAL, .fsync_interval_ms = 1};
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
    append_acknowledged(&log_a, 100000);
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_UNAVAILABLE);
    CHECK(strstr(rl_audit_problem(&log_a), "no space left"));
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 0);
    uint64_t kept = rl_audit_record_count(&log_a);
    CHECK(kept < 1000); /* what lies in the journal: refused long before it is full */
    for (int i = 0; i < 2000; i++) { /* outcomes of calls in progress still have room, refused calls not without end */
        rl_audit_embed_call_t call = {.function = RL_AUDIT_RUN, .status_label = RL_STR("audit_unavailable"), .failed = true, .refused = true};
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

TEST(test_io__a_log_moved_away_is_continued_by_number) {
    fresh();
    no_fault();
    for (unsigned i = 1; i <= 2; i++) {
        begin(&log_a, NULL);
        CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
        CHECK(run_numbered(&log_a, i));
        rl_audit_deinit(&log_a);
        CHECK(unlink(log_path) == 0 || i == 3);
    }
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 3));
    rl_audit_deinit(&log_a);
    rl_audit_verification_t found = verify(NULL);
    CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK);
    CHECK_INT_EQ(found.first_sequence, 3);
}

/* --- measurement --------------------------------------------------------------------------------------------- */

static double seconds(void) { return (double)rl_os_monotonic_ns() / 1e9; }

static int measure(void) {
    enum { COUNT = 1000000 };
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {.path = log_path, .journal_bytes = 256u << 20};
    if (rl_audit_set_file(&log_a, &settings) != RL_AUDIT_OK) return 1;
    rl_audit_ffi_call_t call = good_call("total");
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_FFI_CALL, .slots = 1};
    rl_event_texts_t texts = {.count = 0};
    rl_event_texts_add(&texts, RL_FIELD_SYMBOL, RL_STR("total"));
    uint64_t position;
    for (int i = 0; i < 2; i++) { /* the second time on touched pages */
        double start = seconds();
        for (int k = 0; k < COUNT; k++) {
            rl_writer_reserve(log_a.writer, 1, &position);
            event.time = rl_audit_ticks(&log_a);
            rl_ring_store(log_a.writer->slots, log_a.writer->capacity, position, &event, &texts);
        }
        printf("store into the journal: %.1f ns an event\n", (seconds() - start) * 1e9 / COUNT);
        start = seconds();
        rl_audit_flush(&log_a);
        double taken = seconds() - start;
        printf("render, chain, write: %.0f records a second, %.0f ns each\n", COUNT / taken, taken * 1e9 / COUNT);
    }
    double start = seconds();
    for (int k = 0; k < COUNT; k++) rl_audit_ffi_call(&log_a, &call);
    rl_audit_flush(&log_a);
    printf("ffi.call to the end of the file: %.0f ns\n", (seconds() - start) * 1e9 / COUNT);
    rl_audit_tally_t tally = {.symbol = RL_STR("total")};
    rl_audit_tally_attach(&log_a, &tally);
    start = seconds();
    for (int k = 0; k < 10 * COUNT; k++) {
        if (rl_audit_ready(&log_a) == RL_AUDIT_OK) rl_audit_tally_count(&log_a, &tally, rl_audit_ticks(&log_a));
    }
    printf("ready and tally: %.1f ns\n", (seconds() - start) * 1e9 / (10 * COUNT));
    rl_audit_deinit(&log_a);
    start = seconds();
    rl_audit_verification_t found = verify(NULL);
    printf("verify: %.0f records a second (%s)\n", (double)found.records / (seconds() - start), reml_audit_verdict_label(found.verdict));
    begin(&log_a, NULL);
    start = seconds();
    for (int k = 0; k < COUNT; k++) rl_audit_ffi_call(&log_a, &call);
    printf("ffi.call into the queue: %.1f ns\n", (seconds() - start) * 1e9 / COUNT);
    rl_audit_deinit(&log_a);
    return 0;
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_sha256__published_vectors),
        RUN(test_sha256__processor_and_portable_rounds_agree),
        RUN(test_embed_call__abi_mismatch_is_the_contract_sample),
        RUN(test_embed_call__load_and_run_tell_what_was_loaded_and_run),
        RUN(test_ffi_call__transferred_result_is_the_contract_sample),
        RUN(test_ffi_call__each_row_of_the_return_table),
        RUN(test_ffi_call__failure_has_code_and_rate),
        RUN(test_lines__other_kinds),
        RUN(test_lines__hostile_text_stays_inside_its_string),
        RUN(test_lines__long_text_is_cut_and_leaves_length_and_hash),
        RUN(test_lines__command_members_stand_in_their_place),
        RUN(test_queue__drains_in_order_and_is_empty_then),
        RUN(test_queue__keeps_the_last_4096_and_tells_what_it_let_go),
        RUN(test_queue__lives_with_every_allocation_failing),
        RUN(test_queue__drain_without_memory_keeps_the_queue),
        RUN(test_queue__transfer_keeps_order_and_ids),
        RUN(test_count__grows_by_one_for_each_lifecycle_call_on_this_thread),
        RUN(test_callback__gets_each_line_once_in_order),
        RUN(test_callback__refusing_closes_the_door_until_it_takes_again),
        RUN(test_callback__count_goes_on_and_reports_what_was_lost),
        RUN(test_callback__from_inside_settings_are_busy_and_events_wait),
        RUN(test_tally__counts_become_one_record),
        RUN(test_tally__an_interval_over_tells),
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
        RUN(test_verify__any_changed_byte_is_found_and_its_record_named),
        RUN(test_verify__deletion_insertion_and_swap_are_found),
        RUN(test_verify__truncation_is_told_by_the_head_and_by_the_journal),
        RUN(test_verify__torn_tail_is_cut_by_the_next_opener_and_recorded),
        RUN(test_verify__any_bytes_have_a_verdict),
        RUN(test_journal__any_bytes_are_refused_or_recovered),
        RUN(test_kill__at_random_moments_loses_nothing_acknowledged),
        RUN(test_kill__with_rotation_loses_nothing_acknowledged),
        RUN(test_kill__before_in_and_after_each_io_call),
        RUN(test_io__each_call_failing_once_or_for_ever_loses_nothing_kept),
        RUN(test_io__full_disk_refuses_before_the_call_and_goes_on_when_there_is_room),
        RUN(test_io__count_goes_on_without_the_log_and_tells_the_number),
        RUN(test_io__failed_sync_gives_the_file_up_and_says_what_is_in_doubt),
        RUN(test_io__a_log_changed_by_somebody_else_is_noticed),
        RUN(test_io__a_log_moved_away_is_continued_by_number),
    };
    setvbuf(stdout, NULL, _IONBF, 0);
    int result = argc == 2 && strcmp(argv[1], "measure") == 0
                     ? measure()
                     : check_main(tests, sizeof tests / sizeof *tests, argc, argv);
    if (directory[0]) {
        remove_all();
        rmdir(directory);
    }
    return result;
}
