/*
 * What the tests of the audit log share: a directory of their own, a world whose clock stands still and whose file calls
 * fail or kill when told to, and words for what lines and logs must look like.
 */
#ifndef AUDIT_SUPPORT_H
#define AUDIT_SUPPORT_H

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

static inline void remove_all(void) {
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
static inline void fresh(void) {
    if (!directory[0]) {
        strcpy(directory, "/tmp/reml-audit-XXXXXX");
        if (!mkdtemp(directory)) abort();
        snprintf(log_path, sizeof log_path, "%s/audit.ndjson", directory);
        snprintf(journal_path, sizeof journal_path, "%s.journal", log_path);
    }
    remove_all();
}

static inline int64_t fixed_wall(void* user) {
    (void)user;
    return INT64_C(1772439300) * 1000000000; /* 2026-03-02T08:15:00Z */
}
static inline uint64_t fixed_monotonic(void* user) {
    (void)user;
    return 1;
}
static inline bool counting_random(void* user, void* out, size_t length) {
    (void)user;
    for (size_t i = 0; i < length; i++) ((unsigned char*)out)[i] = (unsigned char)(i + 1);
    return true;
}
static inline const char* no_variable(void* user, const char* name) {
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
} fault = {.room = -1};

static inline int before_call(void) {
    int number = ++fault.calls;
    if (fault.how == FAULT_NONE || fault.at == 0) return 0;
    if (fault.how == FAULT_KILL_BEFORE && number == fault.at) raise(SIGKILL);
    if (fault.how == FAULT_ONCE && number == fault.at) return -fault.error;
    if (fault.how == FAULT_FOREVER && number >= fault.at) return -fault.error;
    return 0;
}
static inline void after_call(void) {
    if (fault.how == FAULT_KILL_AFTER && fault.calls == fault.at) raise(SIGKILL);
}
#define THROUGH(type, call)                                                                                            \
    do {                                                                                                               \
        (void)user;                                                                                                    \
        int refused = before_call();                                                                                   \
        if (refused) return refused;                                                                                   \
        type answer = (call);                                                                                          \
        after_call();                                                                                                  \
        return answer;                                                                                                 \
    } while (0)

static inline int f_open(void* user, const char* path, int flags, int mode) {
    THROUGH(int, rl_os_io()->open(NULL, path, flags, mode));
}
static inline int64_t f_write(void* user, int fd, const void* data, size_t length) {
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
static inline int64_t f_read(void* user, int fd, void* data, size_t length, int64_t offset) {
    THROUGH(int64_t, rl_os_io()->read(NULL, fd, data, length, offset));
}
static inline int f_sync(void* user, int fd) { THROUGH(int, rl_os_io()->sync(NULL, fd)); }
static inline int f_truncate(void* user, int fd, int64_t length) {
    THROUGH(int, rl_os_io()->truncate(NULL, fd, length));
}
static inline int64_t f_size(void* user, int fd) { THROUGH(int64_t, rl_os_io()->size(NULL, fd)); }
static inline int f_lock(void* user, int fd) { THROUGH(int, rl_os_io()->lock(NULL, fd)); }
static inline int f_rename(void* user, const char* from, const char* to) {
    THROUGH(int, rl_os_io()->rename(NULL, from, to));
}
static inline int f_unlink(void* user, const char* path) { THROUGH(int, rl_os_io()->unlink(NULL, path)); }
static inline int f_sync_directory(void* user, const char* path) {
    THROUGH(int, rl_os_io()->sync_directory_of(NULL, path));
}
static inline void* f_map(void* user, int fd, size_t length) {
    (void)user;
    if (before_call()) return NULL;
    void* answer = rl_os_io()->map(NULL, fd, length);
    after_call();
    return answer;
}
static inline void f_unmap(void* user, void* address, size_t length) {
    (void)user;
    rl_os_io()->unmap(NULL, address, length);
}
static inline int f_allocate(void* user, int fd, int64_t length) {
    THROUGH(int, rl_os_io()->allocate(NULL, fd, length));
}
static inline void f_close(void* user, int fd) {
    (void)user;
    rl_os_io()->close(NULL, fd);
}

static const rl_io_t faulty_io = {NULL, f_open, f_write, f_read, f_sync, f_truncate, f_size, f_lock, f_rename, f_unlink,
    f_sync_directory, f_map, f_unmap, f_allocate, f_close};
static const rl_env_t fixed_env = {NULL, fixed_wall, fixed_monotonic, counting_random, no_variable, &faulty_io};

static inline void no_fault(void) {
    memset(&fault, 0, sizeof fault);
    fault.room = -1;
}

static rl_allocator_t allocator;
static rl_audit_t log_a, log_b;

static inline void begin(rl_audit_t* log, const rl_env_t* env) {
    static bool once;
    if (!once) rl_allocator_init(&allocator, NULL, NULL);
    once = true;
    CHECK(rl_audit_init(log, &allocator, env));
}

static inline rl_audit_result_t open_file(rl_audit_t* log) {
    rl_audit_file_settings_t settings = {.path = log_path, .journal_bytes = RL_AUDIT_JOURNAL_LEAST};
    return rl_audit_set_file(log, &settings);
}

static inline bool run_called(rl_audit_t* log, const char* entrypoint) {
    rl_audit_embed_call_t call = {.function = RL_AUDIT_RUN,
        .abi_version = RL_STR("0.1.0"),
        .status_label = RL_STR("ok"),
        .run_entrypoint = rl_str(entrypoint)};
    return rl_audit_embed_call(log, &call);
}
static inline bool run_numbered(rl_audit_t* log, unsigned number) {
    char name[32];
    snprintf(name, sizeof name, "n%u", number);
    return run_called(log, name);
}

static inline rl_audit_ffi_call_t good_call(const char* symbol) {
    return (rl_audit_ffi_call_t){.symbol = rl_str(symbol), .latency_ns = RL_AUDIT_NO_LATENCY};
}

/* Text of a file, NUL-terminated, to be freed. */
static inline char* file_text(const char* path, size_t* out_length) {
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
static inline void write_text(const char* path, const char* text, size_t length) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, text, length) == (ssize_t)length);
    close(fd);
}
static inline unsigned count_of(const char* text, const char* part) {
    unsigned count = 0;
    for (const char* at = text; (at = strstr(at, part)); at++) count++;
    return count;
}

static inline rl_audit_verification_t verify(const char* expected) {
    rl_audit_verification_t found;
    CHECK(rl_audit_verify_file(rl_os_io(), log_path, expected, &found));
    return found;
}
static inline void check_verdict(int32_t verdict, uint64_t records) {
    rl_audit_verification_t found = verify(NULL);
    if (!CHECK_INT_EQ(found.verdict, verdict)) printf("  %s\n", found.detail);
    CHECK_INT_EQ(found.records, records);
}

static inline char* drained(rl_audit_t* log) {
    rl_buf_t text;
    rl_buf_init(&text, &allocator);
    CHECK_INT_EQ(rl_audit_drain(log, &text), RL_AUDIT_OK);
    char* copy = strdup(rl_buf_cstr(&text));
    rl_buf_deinit(&text);
    return copy;
}

/* --- lines ---------------------------------------------------------------------------------------------------- */

/* Keys of envelope.metadata in the order they stand in. */
static inline void check_keys_ascend(const char* line) {
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
static inline void check_line(const char* line) {
    rl_line_facts_t facts;
    const char* problem = rl_line_read(line, strlen(line), &facts);
    if (!CHECK_STR_EQ(problem ? problem : "none", "no audit.sequence")) printf("  %s\n", line);
    check_keys_ascend(line);
}

/* --- a listener ----------------------------------------------------------------------------------------------- */

typedef struct heard {
    rl_audit_t* log;
    unsigned lines, refuse; /* refuse the next so many */
    unsigned last;
    bool in_order, reenter;
    rl_audit_result_t inside;
} heard_t;

static inline int hear(const char* line, size_t length, void* user) {
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

#endif
