/*
 * The operating system behind one door: clocks, random bytes, threads, fork detection, stacks, files.
 * Tests replace `rl_io_t` to make any call fail, and fix clock and ids through `rl_env_t`.
 */
#ifndef RL_OS_H
#define RL_OS_H

#include "base/base.h"

/* --- clocks ----------------------------------------------------------------------------------------- */
int64_t rl_os_wall_ns(void); /* since 1970, UTC */
uint64_t rl_os_monotonic_ns(void);
void rl_os_sleep_ns(uint64_t ns); /* may return earlier */
/* Raw time-stamp counter (or monotonic ns where there is none); turned into wall time when a record is rendered. */
uint64_t rl_os_ticks(void);
int64_t rl_os_ticks_to_wall_ns(uint64_t ticks);            /* calibrated on first use against both clocks */
size_t rl_os_print_rfc3339(int64_t wall_ns, char out[32]); /* whole seconds, `Z`; bytes written */

bool rl_os_random(void* out, size_t length);

/* --- threads and forks ------------------------------------------------------------------------------ */
/* Cheap: an address in thread-local storage; never 0. On glibc without a call into the loader. */
#if defined(__GLIBC__) && (defined(__GNUC__) || defined(__clang__))
extern _Thread_local char rl_os_thread_mark __attribute__((tls_model("initial-exec")));
#else
extern _Thread_local char rl_os_thread_mark;
#endif
static inline uint64_t rl_os_thread_id(void) { return (uint64_t)(uintptr_t)&rl_os_thread_mark; }
/* Grows by one in each forked child. Counting begins with rl_os_watch_forks(), which every maker of something that must not
   cross a fork calls first. */
extern volatile uint32_t rl_os_forks;
void rl_os_watch_forks(void);
static inline uint32_t rl_os_fork_generation(void) { return rl_os_forks; }

/*
 * Call fn(user) with at least `stack_bytes` of C stack: passes whose recursion is bounded by the nesting limit use it
 * once they are some levels deep, so that the limit is the same on every host stack. Runs on a helper thread that the
 * caller waits for. False when no such stack could be had (fn was not called).
 */
bool rl_os_call_with_stack(size_t stack_bytes, void (*fn)(void* user), void* user);

/* --- files: one table, so that any call can be made to fail ------------------------------------------ */
typedef struct rl_io {
    void* user;
    int (*open)(void* user, const char* path, int flags, int mode);                 /* fd, or -errno */
    int64_t (*write)(void* user, int fd, const void* data, size_t length);          /* bytes, or -errno */
    int64_t (*read)(void* user, int fd, void* data, size_t length, int64_t offset); /* pread; bytes, or -errno */
    int (*sync)(void* user, int fd);
    int (*truncate)(void* user, int fd, int64_t length);
    int64_t (*size)(void* user, int fd);
    int (*lock)(void* user, int fd); /* exclusive, not waiting; -EAGAIN when taken */
    int (*rename)(void* user, const char* from, const char* to);
    int (*unlink)(void* user, const char* path);
    int (*sync_directory_of)(void* user, const char* path);
    void* (*map)(void* user, int fd, size_t length); /* MAP_SHARED, read and write; NULL when refused */
    void (*unmap)(void* user, void* address, size_t length);
    int (*allocate)(void* user, int fd, int64_t length); /* posix_fallocate */
    void (*close)(void* user, int fd);
} rl_io_t;

const rl_io_t* rl_os_io(void);
/* Write all bytes, retrying short writes and EINTR; 0 or -errno. */
int rl_io_write_all(const rl_io_t* io, int fd, const void* data, size_t length);

/* --- files of scripts (vm/core/file.c): what the table above does not need. 0 or -errno ------------------- */
typedef enum rl_file_sort {
    RL_FILE_REGULAR,
    RL_FILE_DIRECTORY,
    RL_FILE_LINK,
    RL_FILE_DEVICE,
    RL_FILE_OTHER
} rl_file_sort_t;
typedef struct rl_file_status {
    rl_file_sort_t sort; /* DEVICE: of characters, as /dev/null */
    int64_t size, modified_ns;
    uint64_t inode;
    uint32_t mode; /* permission bits */
} rl_file_status_t;
int rl_os_status(const char* path, bool follow, rl_file_status_t* out);
int rl_os_status_of(int fd, rl_file_status_t* out);
/* For reading, or writing (created with the rights that the process gives new files; cut off, or added to at the end). Never waits
   for another end, and makes no terminal that of the process. fd or -errno. */
typedef enum rl_open_mode { RL_OPEN_READ, RL_OPEN_WRITE, RL_OPEN_APPEND } rl_open_mode_t;
int rl_os_open(const char* path, rl_open_mode_t mode);
/* A new file beside `path`, under a name that nobody has: `out` of RL_PATH_ROOM bytes. fd or -errno. */
int rl_os_open_beside(const char* path, char* out);
int rl_os_set_mode(int fd, uint32_t mode);
int64_t rl_os_read_next(int fd, void* data, size_t length); /* bytes; 0: the end */
int64_t rl_os_write_next(int fd, const void* data, size_t length);
enum { RL_PATH_ROOM = 4096 };
int rl_os_real_path(const char* path, char out[RL_PATH_ROOM]);
int64_t rl_os_read_link(const char* path, char* out, size_t room); /* bytes, not terminated */
typedef struct rl_directory rl_directory_t;
int rl_os_directory_open(const char* path, rl_directory_t** out);
const char* rl_os_directory_next(
    rl_directory_t* directory, int* out_error); /* a name but . and ..; NULL: the end, or an error */
void rl_os_directory_close(rl_directory_t* directory);

/* --- what a test may fix ------------------------------------------------------------------------------ */
typedef struct rl_env {
    void* user;
    int64_t (*wall_ns)(void* user);
    uint64_t (*monotonic_ns)(void* user);
    bool (*random)(void* user, void* out, size_t length);
    const char* (*getenv)(void* user, const char* name);
    const rl_io_t* io;
} rl_env_t;

const rl_env_t* rl_os_env(void);

typedef struct rl_target {
    const char *os, *arch, *triple, *platform,
        *abi; /* linux · x86_64 · x86_64-unknown-linux-gnu · linux-x86_64 · system_v */
} rl_target_t;
const rl_target_t* rl_os_target(void); /* os is NULL on a system that is not supported */

#endif
