#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/random.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#define NS_PER_S INT64_C(1000000000)

/* --- clocks ------------------------------------------------------------------------------------------ */

static int64_t read_clock(clockid_t clock) {
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) return 0;
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t rl_os_wall_ns(void) { return read_clock(CLOCK_REALTIME); }
uint64_t rl_os_monotonic_ns(void) { return (uint64_t)read_clock(CLOCK_MONOTONIC); }

void rl_os_sleep_ns(uint64_t ns) {
    struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    (void)nanosleep(&time, NULL);
}

/*
 * Where ticks come from is a fact of the machine, found once per process: the counter of the processor when it runs
 * at one rate in every power state, else the monotonic clock. The first reading of both is the far end of each
 * conversion, the moment of converting the near one; a tick lies in between, so the error is that of two clock
 * readings and no waiting is needed to learn the rate.
 */
static struct {
    pthread_once_t once;
    bool has_counter;
    uint64_t first_ticks;
    int64_t first_ns;
} tick_source = {.once = PTHREAD_ONCE_INIT};

#if defined(__x86_64__)
static bool counter_is_steady(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 1u << 8) != 0;
}
static uint64_t read_counter(void) { return __rdtsc(); }
#else
static bool counter_is_steady(void) { return false; }
static uint64_t read_counter(void) { return 0; }
#endif

static void find_tick_source(void) {
    tick_source.has_counter = counter_is_steady();
    tick_source.first_ns = read_clock(CLOCK_MONOTONIC);
    tick_source.first_ticks = tick_source.has_counter ? read_counter() : (uint64_t)tick_source.first_ns;
}

uint64_t rl_os_ticks(void) {
    pthread_once(&tick_source.once, find_tick_source);
    return tick_source.has_counter ? read_counter() : rl_os_monotonic_ns();
}

int64_t rl_os_ticks_to_wall_ns(uint64_t ticks) {
    __extension__ typedef __int128 wide_t;
    uint64_t now_ticks = rl_os_ticks();
    int64_t now_ns = read_clock(CLOCK_MONOTONIC), wall_ns = read_clock(CLOCK_REALTIME);
    int64_t age = (int64_t)(now_ticks - ticks); /* below 0: another core is a little ahead */
    if (!tick_source.has_counter) return wall_ns - age;
    uint64_t measured_ticks = now_ticks - tick_source.first_ticks;
    int64_t measured_ns = now_ns - tick_source.first_ns;
    if (measured_ticks == 0 || measured_ns <= 0) return wall_ns;
    return wall_ns - (int64_t)((wide_t)age * measured_ns / (wide_t)measured_ticks);
}

static void put_digits(char* out, int64_t value, int count) {
    while (count > 0) {
        out[--count] = (char)('0' + value % 10);
        value /= 10;
    }
}

size_t rl_os_print_rfc3339(int64_t wall_ns, char out[32]) {
    int64_t seconds = wall_ns / NS_PER_S - (wall_ns % NS_PER_S < 0);
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int64_t second_of_day = seconds - days * 86400;
    /* Civil date from days, with years that begin in March (H. Hinnant, "low-level date algorithms"). */
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
    int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);

    memcpy(out, "0000-00-00T00:00:00Z", 20);
    put_digits(out, year, 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, day, 2);
    put_digits(out + 11, second_of_day / 3600, 2);
    put_digits(out + 14, second_of_day / 60 % 60, 2);
    put_digits(out + 17, second_of_day % 60, 2);
    return 20;
}

/* --- random bytes ------------------------------------------------------------------------------------- */

static bool draw_random(void* out, size_t length) {
    char* at = out;
#if defined(__linux__)
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break; /* an old kernel, or a filter on system calls */
        at += got;
        length -= (size_t)got;
    }
#endif
    if (length == 0) return true;
    int fd;
    do { fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC); } while (fd < 0 && errno == EINTR);
    if (fd < 0) return false;
    while (length > 0) {
        ssize_t got = read(fd, at, length);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += got;
        length -= (size_t)got;
    }
    close(fd);
    return length == 0;
}

/*
 * Secrets are small and many (one for each context), and asking the kernel costs more than a short script: bytes are drawn
 * ahead, handed out once and wiped. A forked child must not hand out its parent's.
 */
bool rl_os_random(void* out, size_t length) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static unsigned char pool[512];
    static size_t left;
    static uint32_t pool_fork;
    if (length == 0) return true; /* perhaps there is no place for them, either */
    if (length > sizeof pool / 8 || pthread_mutex_trylock(&lock) != 0) return draw_random(out, length);
    rl_os_watch_forks();
    if (left < length || pool_fork != rl_os_fork_generation()) {
        left = draw_random(pool, sizeof pool) ? sizeof pool : 0;
        pool_fork = rl_os_fork_generation();
    }
    bool drawn = left >= length;
    if (drawn) {
        left -= length;
        memcpy(out, pool + left, length);
        memset(pool + left, 0, length);
    }
    pthread_mutex_unlock(&lock);
    return drawn || draw_random(out, length);
}

/* --- threads and forks -------------------------------------------------------------------------------- */

_Thread_local char rl_os_thread_mark;

/* Process-wide by nature: how often this process image was forked since it first asked. */
volatile uint32_t rl_os_forks;
static pthread_once_t fork_watch = PTHREAD_ONCE_INIT;

static void count_fork(void) { rl_os_forks++; }
static void watch_forks(void) { (void)pthread_atfork(NULL, NULL, count_fork); }
void rl_os_watch_forks(void) { pthread_once(&fork_watch, watch_forks); }

typedef struct stack_call {
    void (*fn)(void* user);
    void* user;
} stack_call_t;

static void* run_stack_call(void* raw) {
    const stack_call_t* call = raw;
    call->fn(call->user);
    return NULL;
}

bool rl_os_call_with_stack(size_t stack_bytes, void (*fn)(void* user), void* user) {
    long page = sysconf(_SC_PAGESIZE);
    size_t unit = page > 0 ? (size_t)page : 4096;
    if (stack_bytes > SIZE_MAX / 2) return false;
    if (stack_bytes < 64 * 1024) stack_bytes = 64 * 1024;
    stack_bytes = (stack_bytes + 16 * 1024 + unit - 1) / unit * unit; /* what the thread itself takes comes on top */

    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    stack_call_t call = {fn, user};
    pthread_t thread;
    bool started = false;
    if (pthread_attr_setstacksize(&attributes, stack_bytes) == 0) {
        /* Signals of the host are for its own threads: the helper inherits a mask that blocks all. */
        sigset_t all, before;
        sigfillset(&all);
        if (pthread_sigmask(SIG_SETMASK, &all, &before) == 0) {
            started = pthread_create(&thread, &attributes, run_stack_call, &call) == 0;
            pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
    }
    pthread_attr_destroy(&attributes);
    if (started) pthread_join(thread, NULL);
    return started;
}

/* --- files -------------------------------------------------------------------------------------------- */

#define RETRY(result, call)                                                                                            \
    do { (result) = (call); } while ((result) < 0 && errno == EINTR)

static int io_open(void* user, const char* path, int flags, int mode) {
    (void)user;
    int fd;
    RETRY(fd, open(path, flags | O_CLOEXEC, (mode_t)mode));
    return fd < 0 ? -errno : fd;
}

static int64_t io_write(void* user, int fd, const void* data, size_t length) {
    (void)user;
    ssize_t written;
    RETRY(written, write(fd, data, length));
    return written < 0 ? -errno : written;
}

static int64_t io_read(void* user, int fd, void* data, size_t length, int64_t offset) {
    (void)user;
    ssize_t got;
    RETRY(got, pread(fd, data, length, (off_t)offset));
    return got < 0 ? -errno : got;
}

static int io_sync(void* user, int fd) {
    (void)user;
    int result;
#if defined(__APPLE__)
    RETRY(result, fcntl(fd, F_FULLFSYNC)); /* fsync alone leaves data in the drive's cache there */
    if (result == 0) return 0;
#endif
    RETRY(result, fsync(fd));
    return result < 0 ? -errno : 0;
}

static int io_truncate(void* user, int fd, int64_t length) {
    (void)user;
    int result;
    RETRY(result, ftruncate(fd, (off_t)length));
    return result < 0 ? -errno : 0;
}

static int64_t io_size(void* user, int fd) {
    (void)user;
    struct stat status;
    return fstat(fd, &status) != 0 ? -errno : (int64_t)status.st_size;
}

/* Locks of the open file description: unlike classic record locks they survive another close() of the same file. */
static int io_lock(void* user, int fd) {
    (void)user;
    int result;
#if defined(F_OFD_SETLK)
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    RETRY(result, fcntl(fd, F_OFD_SETLK, &whole));
    if (result == 0) return 0;
    if (errno == EAGAIN || errno == EACCES) return -EAGAIN;
    if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return -errno;
#endif
    RETRY(result, flock(fd, LOCK_EX | LOCK_NB));
    if (result == 0) return 0;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static int io_rename(void* user, const char* from, const char* to) {
    (void)user;
    return rename(from, to) != 0 ? -errno : 0;
}

static int io_unlink(void* user, const char* path) {
    (void)user;
    return unlink(path) != 0 ? -errno : 0;
}

static int io_sync_directory_of(void* user, const char* path) {
    const char* slash = strrchr(path, '/');
    char directory[4096];
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof directory) return -ENAMETOOLONG;
    if (!slash) {
        memcpy(directory, ".", 2);
    } else if (length == 0) {
        memcpy(directory, "/", 2);
    } else {
        memcpy(directory, path, length);
        directory[length] = '\0';
    }
    int fd = io_open(user, directory, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return fd;
    int result = io_sync(user, fd);
    close(fd);
    return result == -EINVAL || result == -ENOTSUP ? 0 : result; /* file systems that have nothing to sync */
}

static void* io_map(void* user, int fd, size_t length) {
    (void)user;
    void* address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return address == MAP_FAILED ? NULL : address;
}

static void io_unmap(void* user, void* address, size_t length) {
    (void)user;
    munmap(address, length);
}

static int io_allocate(void* user, int fd, int64_t length) {
#if defined(__APPLE__)
    fstore_t store = {.fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_length = (off_t)length};
    int64_t size = io_size(user, fd);
    if (size < 0) return (int)size;
    if (size >= length) return 0;
    store.fst_length -= (off_t)size;
    if (fcntl(fd, F_PREALLOCATE, &store) < 0) return -errno;
    return io_truncate(user, fd, length);
#else
    (void)user;
    int error;
    do { error = posix_fallocate(fd, 0, (off_t)length); } while (error == EINTR);
    return -error;
#endif
}

static void io_close(void* user, int fd) {
    (void)user;
    close(fd); /* not again after EINTR: the descriptor is gone, and perhaps somebody else's by then */
}

static const rl_io_t os_table = {
    .open = io_open,
    .write = io_write,
    .read = io_read,
    .sync = io_sync,
    .truncate = io_truncate,
    .size = io_size,
    .lock = io_lock,
    .rename = io_rename,
    .unlink = io_unlink,
    .sync_directory_of = io_sync_directory_of,
    .map = io_map,
    .unmap = io_unmap,
    .allocate = io_allocate,
    .close = io_close,
};

const rl_io_t* rl_os_io(void) { return &os_table; }

int rl_io_write_all(const rl_io_t* io, int fd, const void* data, size_t length) {
    const char* at = data;
    while (length > 0) {
        int64_t written = io->write(io->user, fd, at, length);
        if (written == -EINTR) continue;
        if (written < 0) return (int)written;
        if (written == 0 || (uint64_t)written > length) return -EIO;
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

/* --- files of scripts ----------------------------------------------------------------------------------- */

static void read_status(const struct stat* from, rl_file_status_t* out) {
#if defined(__APPLE__)
    struct timespec modified = from->st_mtimespec;
#else
    struct timespec modified = from->st_mtim;
#endif
    *out = (rl_file_status_t){
        .sort = S_ISREG(from->st_mode)   ? RL_FILE_REGULAR
                : S_ISDIR(from->st_mode) ? RL_FILE_DIRECTORY
                : S_ISLNK(from->st_mode) ? RL_FILE_LINK
                : S_ISCHR(from->st_mode) ? RL_FILE_DEVICE
                                         : RL_FILE_OTHER,
        .size = (int64_t)from->st_size,
        .modified_ns = (int64_t)modified.tv_sec * NS_PER_S + modified.tv_nsec,
        .inode = (uint64_t)from->st_ino,
        .mode = (uint32_t)from->st_mode & 07777,
    };
}

int rl_os_status(const char* path, bool follow, rl_file_status_t* out) {
    struct stat status;
    if ((follow ? stat(path, &status) : lstat(path, &status)) != 0) return -errno;
    read_status(&status, out);
    return 0;
}

int rl_os_status_of(int fd, rl_file_status_t* out) {
    struct stat status;
    if (fstat(fd, &status) != 0) return -errno;
    read_status(&status, out);
    return 0;
}

int rl_os_open(const char* path, rl_open_mode_t mode) {
    static const int flags[] = {
        [RL_OPEN_READ] = O_RDONLY,
        [RL_OPEN_WRITE] = O_WRONLY | O_CREAT | O_TRUNC,
        [RL_OPEN_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
    };
    return io_open(NULL, path, flags[mode] | O_NONBLOCK | O_NOCTTY, 0666);
}

int rl_os_open_beside(const char* path, char* out) {
    const char* slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    for (int attempt = 0; attempt < 16; attempt++) {
        uint64_t word;
        if (!rl_os_random(&word, sizeof word)) return -EIO;
        int length = snprintf(out, RL_PATH_ROOM, "%.*s.%016llx.tmp", folder, path, (unsigned long long)word);
        if (length < 0 || length >= RL_PATH_ROOM) return -ENAMETOOLONG;
        int fd = io_open(NULL, out, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (fd != -EEXIST) return fd;
    }
    return -EEXIST;
}

int rl_os_set_mode(int fd, uint32_t mode) {
    int result;
    RETRY(result, fchmod(fd, (mode_t)mode));
    return result < 0 ? -errno : 0;
}

int64_t rl_os_read_next(int fd, void* data, size_t length) {
    ssize_t got;
    RETRY(got, read(fd, data, length));
    return got < 0 ? -errno : got;
}

int64_t rl_os_write_next(int fd, const void* data, size_t length) { return io_write(NULL, fd, data, length); }

int rl_os_real_path(const char* path, char out[RL_PATH_ROOM]) {
    char* found = realpath(path, NULL);
    if (!found) return -errno;
    size_t length = strlen(found);
    if (length < RL_PATH_ROOM) memcpy(out, found, length + 1);
    free(found);
    return length < RL_PATH_ROOM ? 0 : -ENAMETOOLONG;
}

int64_t rl_os_read_link(const char* path, char* out, size_t room) {
    ssize_t length = readlink(path, out, room);
    return length < 0 ? -errno : length;
}

/* rl_directory_t is only a name: what is handed out is the stream itself. */
int rl_os_directory_open(const char* path, rl_directory_t** out) {
    *out = (rl_directory_t*)opendir(path);
    return *out ? 0 : -errno;
}

const char* rl_os_directory_next(rl_directory_t* directory, int* out_error) {
    *out_error = 0;
    for (;;) {
        errno = 0;
        const struct dirent* entry = readdir((DIR*)directory);
        if (!entry) {
            *out_error = -errno;
            return NULL;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return entry->d_name;
    }
}

void rl_os_directory_close(rl_directory_t* directory) { closedir((DIR*)directory); }

/* --- what a test may fix -------------------------------------------------------------------------------- */

static int64_t env_wall_ns(void* user) {
    (void)user;
    return rl_os_wall_ns();
}
static uint64_t env_monotonic_ns(void* user) {
    (void)user;
    return rl_os_monotonic_ns();
}
static bool env_random(void* user, void* out, size_t length) {
    (void)user;
    return rl_os_random(out, length);
}
static const char* env_getenv(void* user, const char* name) {
    (void)user;
    return getenv(name);
}

const rl_env_t* rl_os_env(void) {
    static const rl_env_t environment = {
        .wall_ns = env_wall_ns,
        .monotonic_ns = env_monotonic_ns,
        .random = env_random,
        .getenv = env_getenv,
        .io = &os_table,
    };
    return &environment;
}

/* The rows of the table of expected ABIs; the compiler's macros choose one. */
const rl_target_t* rl_os_target(void) {
    static const rl_target_t target = {
#if defined(__linux__) && defined(__x86_64__) && defined(__LP64__)
#if defined(__GLIBC__)
        "linux", "x86_64", "x86_64-unknown-linux-gnu", "linux-x86_64", "system_v"
#else
        "linux", "x86_64", "x86_64-unknown-linux-musl", "linux-x86_64", "system_v"
#endif
#elif defined(__linux__) && defined(__aarch64__)
#if defined(__GLIBC__)
        "linux", "aarch64", "aarch64-unknown-linux-gnu", "linux-arm64", "aapcs64"
#else
        "linux", "aarch64", "aarch64-unknown-linux-musl", "linux-arm64", "aapcs64"
#endif
#elif defined(__APPLE__) && defined(__aarch64__)
        "macos", "arm64", "arm64-apple-darwin", "macos-arm64", "darwin_aapcs64"
#elif defined(_WIN32) && (defined(_M_X64) || defined(__x86_64__))
#if defined(_MSC_VER)
        "windows", "x86_64", "x86_64-pc-windows-msvc", "windows-msvc-x64", "msvc"
#else
        "windows", "x86_64", "x86_64-pc-windows-gnu", "windows-gnu-x64", "gnu"
#endif
#else
        NULL, NULL, NULL, NULL, NULL
#endif
    };
    return &target;
}
