/*
 * Files of scripts (LANGUAGE 8.10): what is open, what went wrong last, and how the host is asked and told. The policy (what is
 * closed when, what an IoError holds) is Reml code in core/96_io.reml; nothing here makes an object, so nothing is done twice
 * when memory is short.
 */
#ifndef RL_VM_FILE_H
#define RL_VM_FILE_H

#include "base/os.h"
#include "vm/vm.h"

/* What an operation needs (CONTRACTS 6.2); the host knows the capabilities. */
typedef enum rl_need {
    RL_NEED_READ,
    RL_NEED_WRITE,
    RL_NEED_WATCH,
    RL_NEED_WATCH_DEEP,
    RL_NEED_WATCH_LIMITS,
    RL_NEED_POLICY,
    RL_NEED_LINKS,
    RL_NEED_COUNT
} rl_need_t;

/* Kinds of IoError (CONTRACTS 6.1). */
typedef enum rl_io_kind {
    RL_IO_NONE,
#define IO_KIND(id, name, code) RL_IO_##id,
#include "vm/file.def"
#undef IO_KIND
    RL_IO_KIND_COUNT
} rl_io_kind_t;

typedef struct rl_io_kind_row {
    const char *name, *code;
} rl_io_kind_row_t;
extern const rl_io_kind_row_t rl_io_kinds[RL_IO_KIND_COUNT];

typedef enum rl_io_event_kind { RL_IO_OPERATION, RL_IO_WATCH, RL_IO_GLOB } rl_io_event_kind_t;

/* What one operation did, for the log. Texts are borrowed for the call. */
typedef struct rl_io_event {
    rl_io_event_kind_t kind;
    rl_need_t need;
    rl_str_t operation, path, helper;
    bool names_helper; /* it is the program's own name for what it does */
    uint64_t bytes, calls, syncs;
    rl_io_kind_t error; /* NONE: it went well */
    const char* code;   /* NULL: that of the kind */
    rl_str_t message;
    bool buffered;
    uint64_t buffer_capacity, buffer_fill;
    rl_str_t pattern, offending; /* GLOB */
    uint64_t queue_size, delay_ns, events_total;
    rl_str_t watch_paths, watch_events; /* WATCH: ready JSON lists, or empty */
    const char* reason;                 /* of Path.validate: security.reason, with root */
    rl_str_t root;
    bool has_elapsed;
    int64_t elapsed_ns;
} rl_io_event_t;

struct rl_file;
struct rl_watch;

typedef struct rl_files {
    RL_VEC(struct rl_file*) open;
    RL_VEC(struct rl_watch*) watches;
    RL_VEC(char*) found; /* of the glob that was made last, ascending */
    uint64_t last_id;
    /* What the builtin before answered with, until the next. */
    rl_io_kind_t error;
    rl_need_t need;
    char message[384], message_operation[129];
    uint64_t bytes;
    int64_t modified_ns;
    /* Since the last log_io. */
    uint64_t logged_bytes, logged_calls, logged_syncs;
    rl_need_t logged_need;
    char logged_helper[129];
    bool logged, logged_by_name; /* the program has named the helper: what follows does not change it */
} rl_files_t;

/* The first step of every operation: may it, and can it be recorded? DONE: go on. PARK: it has failed, `result` is -1. RAISE. */
rl_outcome_t rl_io_begin(rl_vm_t* vm, const rl_io_event_t* event, rl_word_t* result);
/* It is over: leave its record. `done` also charges for it. */
rl_outcome_t rl_io_tell(rl_vm_t* vm, const rl_io_event_t* event);
rl_outcome_t rl_io_done(rl_vm_t* vm, const rl_io_event_t* event);
enum { RL_IO_STEPS = 1000 }; /* what a call of the system and its record cost */
/* It has failed: note why, leave the record, answer -1. */
rl_outcome_t rl_io_fail(rl_vm_t* vm, rl_io_event_t event, rl_io_kind_t kind, rl_word_t* result, const char* format, ...)
    RL_PRINTF(5, 6);
rl_outcome_t rl_io_fail_os(rl_vm_t* vm, rl_io_event_t event, int error, rl_word_t* result);
/* What a builtin answers that has failed: it is done, with -1. */
static inline rl_outcome_t rl_io_answer(rl_outcome_t outcome) { return outcome == RL_PARK ? RL_DONE : outcome; }
/* A name of the system: NUL-terminated in `out`. False: it is none, and the operation has failed (*outcome). */
bool rl_io_name(rl_vm_t* vm, const rl_io_event_t* event, rl_str_t path, char out[RL_PATH_ROOM], rl_word_t* result,
    rl_outcome_t* outcome);
rl_str_t rl_io_shown(rl_str_t text, size_t most); /* cut at a character */
rl_outcome_t rl_io_no_memory(rl_vm_t* vm);        /* of buffers that are not heap objects */

void rl_files_end(
    rl_vm_t* vm, const struct rl_run* run_or_null); /* close what a run has left open (NULL: everything) */
void rl_files_deinit(rl_vm_t* vm);
void rl_watches_end(rl_vm_t* vm, const struct rl_run* run_or_null);
void rl_found_clear(rl_vm_t* vm);
/* Texts of paths (path.c). */
size_t rl_path_normalize(rl_str_t path, char* out); /* at most length + 1 bytes, not terminated; answers how many */
void rl_paths_sort(char** paths, size_t count);     /* by bytes */
/* A copy in memory of the vm's allocator, rl_path_free gives it back. NULL: memory. */
char* rl_path_copy(rl_vm_t* vm, rl_str_t folder, const char* name);
void rl_path_free(rl_vm_t* vm, char* path);

#endif
