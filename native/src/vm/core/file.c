/*
 * Files of scripts: open, read, write, replace, ask, remove. Every operation asks the host first whether it may and whether it can be
 * recorded; what is done is told to the host. Only base/os.c talks to the system.
 */
#include "vm/file.h"

#include "base/utf8.h"
#include "vm/async.h"
#include "vm/builtin.h"
#include "vm/core/basic.h"
#include "vm/string.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/file.def"
#undef BUILTIN

#define FN(name)                                                                                                       \
    rl_outcome_t name(                                                                                                 \
        rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, __attribute__((unused)) const rl_builtin_site_t* site)

enum {
    BUFFER_BYTES = 64 * 1024,
    FILES_MOST = 256, /* open at a time in a context: descriptors are the whole process's */
    BYTES_OF_STEP = 16,
    WAIT_NS = 10 * 1000000 /* for a device that has nothing yet */
};

/* Names of operations as records tell them. The numbers are known to 96_io.reml. Of those up to LAST_TALLIED the log gets one
   record per file under the policy `summary`, when it is closed. */
typedef enum operation {
    READ,
    READ_LINE,
    READ_ALL,
    READ_TEXT,
    WRITE,
    WRITE_TEXT,
    FLUSH,
    LAST_TALLIED = FLUSH,
    COPY,
    WHOLE_TEXT,
    WHOLE_BYTES,
    REPLACE_TEXT,
    REPLACE_BYTES,
    OPERATION_COUNT
} operation_t;
static const char* const operations[OPERATION_COUNT] = {
    [READ] = "reader.read",
    [READ_LINE] = "reader.read_line",
    [READ_ALL] = "reader.read_all",
    [READ_TEXT] = "reader.read_text",
    [WRITE] = "writer.write",
    [WRITE_TEXT] = "writer.write_text",
    [FLUSH] = "writer.flush",
    [COPY] = "io.copy",
    [WHOLE_TEXT] = "io.read_text",
    [WHOLE_BYTES] = "io.read_bytes",
    [REPLACE_TEXT] = "io.write_text",
    [REPLACE_BYTES] = "io.write_bytes",
};

typedef struct tally {
    uint64_t calls, bytes;
} tally_t;

typedef struct rl_file {
    uint64_t id;
    int fd;
    bool at_end;
    const struct rl_run* run;
    char* names; /* path, NUL, helper, NUL; owned */
    size_t path_length, helper_length;
    rl_buf_t buffer; /* what has been read; `taken` bytes of it are gone */
    size_t taken;
    tally_t tally[LAST_TALLIED + 1];
} rl_file_t;

/* --- failing --------------------------------------------------------------------------------------------------------- */

const rl_io_kind_row_t rl_io_kinds[RL_IO_KIND_COUNT] = {
    [RL_IO_NONE] = {"", ""},
#define IO_KIND(id, name, code) [RL_IO_##id] = {name, code},
#include "vm/file.def"
#undef IO_KIND
};

/* Our own sentences: those of libc depend on the locale. */
static const struct {
    int error;
    rl_io_kind_t kind;
    const char* text;
} problems[] = {
    {ENOENT, RL_IO_NOT_FOUND, "there is no such file or folder"},
    {ENOTDIR, RL_IO_NOT_FOUND, "a part of the path is no folder"},
    {ENXIO, RL_IO_NOT_FOUND, "there is no such device"},
    {ENODEV, RL_IO_NOT_FOUND, "there is no such device"},
    {EACCES, RL_IO_PERMISSION_DENIED, "the system does not permit it"},
    {EPERM, RL_IO_PERMISSION_DENIED, "the system does not permit it"},
    {EROFS, RL_IO_PERMISSION_DENIED, "the file system is read-only"},
    {EBUSY, RL_IO_PERMISSION_DENIED, "it is in use"},
    {ETXTBSY, RL_IO_PERMISSION_DENIED, "it is in use"},
    {ECONNREFUSED, RL_IO_CONNECTION_REFUSED, "the other side refuses"},
    {EISDIR, RL_IO_INVALID_INPUT, "it is a folder"},
    {ELOOP, RL_IO_INVALID_INPUT, "too many symbolic links"},
    {ENAMETOOLONG, RL_IO_INVALID_INPUT, "the name is too long"},
    {EEXIST, RL_IO_INVALID_INPUT, "it is there already"},
    {EINVAL, RL_IO_INVALID_INPUT, "the system does not take that"},
    {ESPIPE, RL_IO_INVALID_INPUT, "the system does not take that"},
    {ETIMEDOUT, RL_IO_TIMED_OUT, "it took too long"},
    {ENOSPC, RL_IO_WRITE_ZERO, "no space is left"},
    {EDQUOT, RL_IO_WRITE_ZERO, "the quota is used up"},
    {EFBIG, RL_IO_WRITE_ZERO, "the file would be too large"},
    {EINTR, RL_IO_INTERRUPTED, "it was interrupted"},
    {ENOMEM, RL_IO_OUT_OF_MEMORY, "the system has no memory"},
    {EMFILE, RL_IO_OUT_OF_MEMORY, "too many files are open"},
    {ENFILE, RL_IO_OUT_OF_MEMORY, "too many files are open"},
    {ENOSYS, RL_IO_UNSUPPORTED_PLATFORM, "the system cannot do that"},
    {EOPNOTSUPP, RL_IO_UNSUPPORTED_PLATFORM, "the system cannot do that"},
};

rl_str_t rl_io_shown(rl_str_t text, size_t most) {
    if (text.length <= most) return text;
    size_t length = most;
    while (length > 0 && ((unsigned char)text.data[length] & 0xC0) == 0x80) length--;
    return (rl_str_t){text.data, length};
}

rl_outcome_t rl_io_no_memory(rl_vm_t* vm) {
    rl_alloc_clear_failure(vm->allocator);
    return RL_COLLECT;
}

static rl_files_t* files_of(rl_vm_t* vm) {
    if (!vm->files) vm->files = rl_alloc_zero(vm->allocator, sizeof *vm->files);
    return vm->files;
}

rl_outcome_t rl_io_tell(rl_vm_t* vm, const rl_io_event_t* event) {
    rl_files_t* files = vm->files;
    if (!event->has_elapsed) {
        files->logged_calls += event->calls;
        files->logged_syncs += event->syncs;
    }
    if (!event->has_elapsed && (event->names_helper || !files->logged_by_name)) {
        files->logged = true;
        files->logged_by_name = event->names_helper;
        files->logged_need = event->need;
        files->logged_bytes = event->bytes;
        rl_str_t helper = rl_io_shown(event->helper, sizeof files->logged_helper - 1);
        memcpy(files->logged_helper, helper.data, helper.length);
        files->logged_helper[helper.length] = '\0';
    }
    return vm->tell_io(vm->host, event) ? RL_DONE : RL_RAISE;
}

rl_outcome_t rl_io_done(rl_vm_t* vm, const rl_io_event_t* event) {
    rl_outcome_t told = rl_io_tell(vm, event);
    return told == RL_DONE && !rl_vm_charge(vm, RL_IO_STEPS) ? RL_RAISE : told;
}

static rl_outcome_t fail(
    rl_vm_t* vm, rl_io_event_t* event, rl_io_kind_t kind, rl_word_t* result, const char* format, va_list arguments) {
    rl_files_t* files = vm->files;
    files->error = kind;
    files->need = event->need;
    files->bytes = event->bytes;
    int length = vsnprintf(files->message, sizeof files->message, format, arguments);
    rl_str_t message = {files->message, length < 0 ? 0 : (size_t)length};
    if (message.length >= sizeof files->message) message.length = sizeof files->message - 1;
    message.length = rl_utf8_validate(message); /* where a long name was cut */
    files->message[message.length] = '\0';
    snprintf(files->message_operation, sizeof files->message_operation, "%.*s", RL_STR_ARG(event->operation));
    event->error = kind;
    event->message = message;
    result->i = -1;
    return rl_io_tell(vm, event) == RL_DONE && rl_vm_charge(vm, RL_IO_STEPS) ? RL_PARK : RL_RAISE;
}

rl_outcome_t rl_io_fail(
    rl_vm_t* vm, rl_io_event_t event, rl_io_kind_t kind, rl_word_t* result, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    rl_outcome_t outcome = fail(vm, &event, kind, result, format, arguments);
    va_end(arguments);
    return outcome;
}

rl_outcome_t rl_io_fail_os(rl_vm_t* vm, rl_io_event_t event, int error, rl_word_t* result) {
    rl_str_t path = rl_io_shown(event.path, 200);
    for (size_t i = 0; i < RL_COUNT_OF(problems); i++) {
        if (problems[i].error == -error)
            return rl_io_fail(vm, event, problems[i].kind, result, "%.*s: %s", RL_STR_ARG(path), problems[i].text);
    }
    rl_io_kind_t kind = event.need == RL_NEED_WRITE ? RL_IO_WRITE_ZERO : RL_IO_UNEXPECTED_EOF;
    return rl_io_fail(vm, event, kind, result, "%.*s: error %d of the system", RL_STR_ARG(path), -error);
}

rl_outcome_t rl_io_begin(rl_vm_t* vm, const rl_io_event_t* event, rl_word_t* result) {
    rl_files_t* files = files_of(vm);
    if (!files) return rl_io_no_memory(vm);
    files->error = RL_IO_NONE;
    files->bytes = 0;
    if (!rl_vm_charge(vm, RL_IO_STEPS / 20)) return RL_RAISE;
    char why[256] = "this host has no files";
    bool raised = false;
    if (vm->may_use && vm->may_use(vm->host, event->need, event->operation, why, &raised)) return RL_DONE;
    if (raised) return RL_RAISE;
    if (!vm->tell_io) { /* a machine without a host */
        files->error = RL_IO_SECURITY_VIOLATION;
        snprintf(files->message, sizeof files->message, "%s", why);
        result->i = -1;
        return RL_PARK;
    }
    return rl_io_fail(vm, *event, RL_IO_SECURITY_VIOLATION, result, "%s", why);
}

bool rl_io_name(rl_vm_t* vm, const rl_io_event_t* event, rl_str_t path, char out[RL_PATH_ROOM], rl_word_t* result,
    rl_outcome_t* outcome) {
    if (path.length == 0) *outcome = rl_io_fail(vm, *event, RL_IO_INVALID_INPUT, result, "an empty path");
    else if (memchr(path.data, '\0', path.length))
        *outcome = rl_io_fail(vm, *event, RL_IO_INVALID_INPUT, result, "a path with NUL in it");
    else if (path.length >= RL_PATH_ROOM) *outcome = rl_io_fail_os(vm, *event, -ENAMETOOLONG, result);
    else {
        memcpy(out, path.data, path.length);
        out[path.length] = '\0';
        return true;
    }
    return false;
}

FN(rl_io_failed) {
    (void)vm;
    result->u = args[0].i < 0;
    return RL_DONE;
}
FN(rl_io_bytes) {
    (void)args;
    result->i = vm->files ? (int64_t)vm->files->bytes : 0;
    return RL_DONE;
}
FN(rl_io_part) {
    rl_files_t* files = files_of(vm);
    if (!files) return rl_io_no_memory(vm);
    const char* parts[] = {rl_io_kinds[files->error].name, files->message, files->message_operation,
        vm->capability_name ? vm->capability_name(files->need) : ""};
    uint64_t part = args[0].u < RL_COUNT_OF(parts) ? args[0].u : 0;
    result->o = rl_string_new(vm, rl_str(parts[part]), RL_OBJ_STR);
    return result->o ? RL_DONE : RL_COLLECT;
}
FN(rl_io_elapsed) {
    (void)args;
    uint64_t now = vm->clock ? vm->clock(vm->host) : rl_os_monotonic_ns();
    result->i = (int64_t)(now - vm->started_ns);
    return RL_DONE;
}

/* (operation, path, elapsed, kind, message, capability, helper): the record of log_io. Of what went well, or failed without a context,
   capability and helper are those of the operation before. */
FN(rl_io_log) {
    rl_files_t* files = files_of(vm);
    if (!files) return rl_io_no_memory(vm);
    rl_str_t text[7];
    for (int i = 0; i < 7; i++) {
        if (i != 2) text[i] = rl_io_shown(rl_string_str(args[i].o), i == 1 || i == 4 ? RL_PATH_ROOM : 128);
    }
    rl_io_event_t event = {.need = files->logged ? files->logged_need : RL_NEED_READ,
        .operation = text[0],
        .path = text[1],
        .helper = text[6].length  ? text[6]
                  : files->logged ? rl_str(files->logged_helper)
                                  : text[0],
        .bytes = files->logged_bytes,
        .calls = files->logged_calls,
        .syncs = files->logged_syncs,
        .has_elapsed = true,
        .elapsed_ns = args[2].i};
    for (int kind = 1; kind < RL_IO_KIND_COUNT && text[3].length; kind++) {
        if (event.error == RL_IO_NONE || rl_str_equal(text[3], rl_str(rl_io_kinds[kind].name)))
            event.error = (rl_io_kind_t)kind;
    }
    event.message = text[4];
    for (int need = 0; need < RL_NEED_COUNT && text[5].length && vm->capability_name; need++) {
        if (rl_str_equal(text[5], rl_str(vm->capability_name((rl_need_t)need)))) event.need = (rl_need_t)need;
    }
    result->i = 0;
    if (!vm->tell_io) return RL_DONE;
    bool raised = false;
    if (!vm->may_record(vm->host, &raised)) return RL_RAISE;
    if (rl_io_tell(vm, &event) != RL_DONE) return RL_RAISE;
    files->logged = files->logged_by_name = false;
    files->logged_bytes = files->logged_calls = files->logged_syncs = 0;
    return RL_DONE;
}

/* --- what is open ------------------------------------------------------------------------------------------------------ */

static rl_str_t path_of(const rl_file_t* file) { return (rl_str_t){file->names, file->path_length}; }
static rl_str_t helper_of(const rl_file_t* file) {
    return (rl_str_t){file->names + file->path_length + 1, file->helper_length};
}

static rl_file_t* file_of(const rl_vm_t* vm, rl_word_t id) {
    for (uint32_t i = vm->files ? vm->files->open.count : 0; i-- > 0;) {
        if (vm->files->open.data[i]->id == id.u) return vm->files->open.data[i];
    }
    return NULL;
}

static rl_io_event_t event_of(const rl_file_t* file, operation_t operation) {
    return (rl_io_event_t){.need = operation >= WRITE && operation <= FLUSH ? RL_NEED_WRITE : RL_NEED_READ,
        .operation = rl_str(operations[operation]),
        .path = file ? path_of(file) : RL_STR(""),
        .helper = file ? helper_of(file) : RL_STR("io"),
        .calls = 1,
        .buffered = file && operation <= READ_TEXT,
        .buffer_capacity = BUFFER_BYTES};
}

static void release(rl_vm_t* vm, rl_file_t* file) {
    if (file->fd >= 0) rl_os_io()->close(NULL, file->fd);
    rl_buf_deinit(&file->buffer);
    rl_free(vm->allocator, file->names, file->path_length + file->helper_length + 2);
    rl_free(vm->allocator, file, sizeof *file);
}

static rl_file_t* file_new(rl_vm_t* vm, rl_str_t path, rl_str_t helper) {
    rl_files_t* files = vm->files;
    rl_file_t* file = rl_alloc_zero(vm->allocator, sizeof *file);
    if (!file) return NULL;
    *file = (rl_file_t){.fd = -1, .path_length = path.length, .helper_length = helper.length};
    rl_buf_init(&file->buffer, vm->allocator);
    file->names = rl_alloc_zero(vm->allocator, path.length + helper.length + 2);
    if (!file->names || !rl_vec_push(vm->allocator, &files->open, file)) {
        release(vm, file);
        return NULL;
    }
    memcpy(file->names, path.data, path.length);
    memcpy(file->names + path.length + 1, helper.data, helper.length);
    file->id = ++files->last_id;
    file->run = vm->run;
    vm->leftovers = true; /* the end of the run looks after it */
    return file;
}

/* Records of what was only counted. False: the log refuses. */
static bool tell_tallies(rl_vm_t* vm, rl_file_t* file) {
    for (int i = 0; i <= LAST_TALLIED; i++) {
        tally_t* tally = &file->tally[i];
        if (tally->calls == 0) continue;
        rl_io_event_t event = event_of(file, (operation_t)i);
        event.bytes = tally->bytes;
        event.calls = tally->calls;
        event.syncs = i == FLUSH ? tally->calls : 0;
        *tally = (tally_t){0};
        if (rl_io_tell(vm, &event) != RL_DONE) return false;
    }
    return true;
}

static bool close_file(rl_vm_t* vm, rl_file_t* file) {
    rl_files_t* files = vm->files;
    for (uint32_t i = 0; i < files->open.count; i++) {
        if (files->open.data[i] != file) continue;
        files->open.data[i] = files->open.data[--files->open.count];
        break;
    }
    if (file->fd >= 0) rl_os_io()->close(NULL, file->fd);
    file->fd = -1; /* first of all, whatever the log says */
    bool told = tell_tallies(vm, file);
    release(vm, file);
    return told;
}

void rl_files_end(rl_vm_t* vm, const struct rl_run* run) {
    if (!vm->files) return;
    for (uint32_t i = vm->files->open.count; i-- > 0;) {
        if (run && vm->files->open.data[i]->run != run) continue;
        rl_file_t* file = vm->files->open.data[i];
        vm->files->open.data[i] = vm->files->open.data[--vm->files->open.count];
        release(vm, file);
    }
    rl_watches_end(vm, run);
}

void rl_files_deinit(rl_vm_t* vm) {
    if (!vm->files) return;
    rl_files_end(vm, NULL);
    rl_found_clear(vm);
    rl_vec_deinit(vm->allocator, &vm->files->open);
    rl_vec_deinit(vm->allocator, &vm->files->watches);
    rl_vec_deinit(vm->allocator, &vm->files->found);
    rl_free(vm->allocator, vm->files, sizeof *vm->files);
    vm->files = NULL;
}

/* One operation on a file went well. */
static rl_outcome_t done(rl_vm_t* vm, rl_file_t* file, operation_t operation, uint64_t bytes) {
    if (operation <= LAST_TALLIED && !vm->tells_every_io(vm->host)) {
        file->tally[operation].calls++;
        file->tally[operation].bytes += bytes;
        return RL_DONE;
    }
    if (operation == COPY) return RL_DONE; /* file.copied */
    rl_io_event_t event = event_of(file, operation);
    event.bytes = bytes;
    event.syncs = operation == FLUSH;
    event.buffer_fill = file->buffer.length - file->taken;
    if (event.buffer_fill > BUFFER_BYTES) event.buffer_capacity = event.buffer_fill;
    return rl_io_done(vm, &event);
}

FN(rl_file_open) {
    bool writes = args[1].i != RL_OPEN_READ;
    rl_str_t path = rl_string_str(args[0].o), helper = rl_io_shown(rl_string_str(args[2].o), 128);
    rl_io_event_t event = {.need = writes ? RL_NEED_WRITE : RL_NEED_READ,
        .operation = !args[3].i ? helper
                     : writes   ? RL_STR("file.create")
                                : RL_STR("file.open"),
        .path = rl_io_shown(path, RL_PATH_ROOM),
        .helper = helper,
        .calls = 1};
    char name[RL_PATH_ROOM];
    rl_outcome_t outcome = rl_io_begin(vm, &event, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    if (!rl_io_name(vm, &event, path, name, result, &outcome)) return rl_io_answer(outcome);
    if (vm->files->open.count >= FILES_MOST) return rl_io_answer(rl_io_fail_os(vm, event, -EMFILE, result));
    rl_file_t* file = file_new(vm, path, helper);
    if (!file) return rl_io_no_memory(vm);
    file->fd = rl_os_open(name, (rl_open_mode_t)args[1].i);
    rl_file_status_t status = {0};
    int error = file->fd < 0 ? file->fd : rl_os_status_of(file->fd, &status);
    if (error == 0 && status.sort == RL_FILE_DIRECTORY) error = -EISDIR;
    if (error < 0) outcome = rl_io_fail_os(vm, event, error, result);
    else if (status.sort != RL_FILE_REGULAR && status.sort != RL_FILE_DEVICE)
        outcome = rl_io_fail(vm, event, RL_IO_INVALID_INPUT, result, "%s: neither a file nor a device", name);
    else if (args[3].i) outcome = rl_io_done(vm, &event);
    if (outcome != RL_DONE) {
        (void)close_file(vm, file);
        return rl_io_answer(outcome);
    }
    result->u = file->id;
    return RL_DONE;
}

FN(rl_file_close) {
    rl_file_t* file = file_of(vm, args[0]);
    result->i = 0;
    return !file || close_file(vm, file) ? RL_DONE : RL_RAISE;
}

/* The file of a handle, and whether it may be used now. DONE: *out_file. */
static rl_outcome_t enter(rl_vm_t* vm, rl_word_t id, operation_t operation, rl_file_t** out_file, rl_word_t* result) {
    rl_file_t* file = file_of(vm, id);
    rl_io_event_t event = event_of(file, operation);
    rl_outcome_t outcome = rl_io_begin(vm, &event, result);
    *out_file = file;
    if (outcome != RL_DONE) return outcome;
    if (!file) return rl_io_fail(vm, event, RL_IO_INVALID_INPUT, result, "it is closed");
    return RL_DONE;
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

/* Read once more into the buffer. DONE also at the end. PARK: failed. */
static rl_outcome_t read_more(rl_vm_t* vm, rl_file_t* file, operation_t operation, rl_word_t* result) {
    rl_buf_t* buffer = &file->buffer;
    if (file->taken == buffer->length) buffer->length = file->taken = 0;
    if (!rl_buf_reserve(buffer, BUFFER_BYTES)) {
        rl_buf_t* failed = buffer;
        failed->failed = false;
        return rl_io_no_memory(vm);
    }
    size_t room = buffer->capacity - buffer->length;
    if (room > BUFFER_BYTES) room = BUFFER_BYTES;
    for (;;) {
        int64_t got = rl_os_read_next(file->fd, buffer->data + buffer->length, room);
        if (got == -EAGAIN || got == -EWOULDBLOCK) { /* a device: the poll looks after interrupts and the deadline */
            rl_os_sleep_ns(WAIT_NS);
            if (!rl_vm_charge(vm, RL_POLL_INTERVAL)) return RL_RAISE;
            continue;
        }
        if (got < 0) {
            rl_io_event_t event = event_of(file, operation);
            event.bytes = buffer->length - file->taken;
            return rl_io_fail_os(vm, event, (int)got, result);
        }
        if (got == 0) file->at_end = true;
        buffer->length += (size_t)got;
        return rl_vm_charge(vm, 1 + (uint64_t)got / BYTES_OF_STEP) ? RL_DONE : RL_RAISE;
    }
}

/* Room for all that a plain file still holds, so that it does not grow by doubling. */
static void reserve_rest(rl_file_t* file, uint64_t most) {
    rl_file_status_t status;
    if (rl_os_status_of(file->fd, &status) != 0 || status.sort != RL_FILE_REGULAR || status.size <= 0) return;
    uint64_t size = (uint64_t)status.size < most ? (uint64_t)status.size : most;
    if (size > file->buffer.capacity && !rl_buf_reserve(&file->buffer, (size_t)size + BUFFER_BYTES)) {
        file->buffer.failed = false;
        rl_alloc_clear_failure(file->buffer.allocator);
    }
}

/* (id, operation, most): until `most` bytes lie ready (operation READ, COPY), a line, or all; how many of them are meant. */
FN(rl_file_fill) {
    operation_t operation = args[1].u < OPERATION_COUNT ? (operation_t)args[1].u : READ;
    rl_file_t* file;
    rl_outcome_t outcome = enter(vm, args[0], operation, &file, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    bool counted = operation == READ || operation == COPY;
    if (counted && args[2].i < 0) {
        rl_io_event_t event = event_of(file, operation);
        return rl_io_answer(
            rl_io_fail(vm, event, RL_IO_INVALID_INPUT, result, "%lld bytes cannot be read", (long long)args[2].i));
    }
    uint64_t limit = vm->limits.string_bytes < UINT32_MAX - 64 ? vm->limits.string_bytes : UINT32_MAX - 64;
    uint64_t most = counted && args[2].u < limit ? args[2].u : limit;
    if (!counted && operation != READ_LINE && file->buffer.length == file->taken) reserve_rest(file, limit);
    size_t count, looked = 0;
    file->at_end = false; /* it may have grown */
    for (;;) {
        const char* data = file->buffer.data + file->taken;
        count = file->buffer.length - file->taken;
        if (operation == READ_LINE && count > looked) {
            const char* end = memchr(data + looked, '\n', count - looked);
            looked = count;
            if (end) {
                count = (size_t)(end - data) + 1;
                break;
            }
        }
        if (file->at_end || (counted && count >= most)) break;
        if (count > limit) return rl_string_too_long(vm);
        outcome = read_more(vm, file, operation, result);
        if (outcome != RL_DONE) return rl_io_answer(outcome);
    }
    if (counted && count > most) count = (size_t)most;
    if (count > limit) return rl_string_too_long(vm);
    if (operation == READ_LINE || operation == READ_TEXT || operation == WHOLE_TEXT) {
        rl_str_t text = {count ? file->buffer.data + file->taken : "", count};
        size_t valid = rl_utf8_validate(text);
        if (!rl_vm_charge(vm, 1 + count / BYTES_OF_STEP)) return RL_RAISE;
        if (valid != count) {
            rl_io_event_t event = event_of(file, operation);
            event.bytes = valid;
            rl_str_t path = rl_io_shown(path_of(file), 200);
            file->taken += count;
            return rl_io_answer(rl_io_fail(
                vm, event, RL_IO_INVALID_INPUT, result, "%.*s: no UTF-8 text, at byte %zu", RL_STR_ARG(path), valid));
        }
    }
    result->i = (int64_t)count;
    return done(vm, file, operation, count);
}

/* What lies ready becomes an object; asked again after a collection. */
static rl_outcome_t take(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, unsigned kind, bool line) {
    rl_file_t* file = file_of(vm, args[0]);
    size_t count = file ? file->buffer.length - file->taken : 0;
    if (args[1].u < count) count = (size_t)args[1].u;
    rl_str_t bytes = {count ? file->buffer.data + file->taken : "", count};
    if (line && bytes.length && bytes.data[bytes.length - 1] == '\n') {
        bytes.length--;
        if (bytes.length && bytes.data[bytes.length - 1] == '\r') bytes.length--;
    }
    result->o = rl_string_new(vm, bytes, kind);
    if (!result->o) return RL_COLLECT;
    if (!file) return RL_DONE;
    file->taken += count;
    if (file->taken == file->buffer.length && file->buffer.capacity > 4 * BUFFER_BYTES) {
        rl_buf_deinit(&file->buffer);
        rl_buf_init(&file->buffer, vm->allocator);
        file->taken = 0;
    } else if (file->taken >= BUFFER_BYTES) {
        memmove(file->buffer.data, file->buffer.data + file->taken, file->buffer.length - file->taken);
        file->buffer.length -= file->taken;
        file->taken = 0;
    }
    return RL_DONE;
}
FN(rl_file_take) { return take(vm, args, result, RL_OBJ_BYTES, false); }
FN(rl_file_take_text) { return take(vm, args, result, RL_OBJ_STR, false); }
FN(rl_file_take_line) { return take(vm, args, result, RL_OBJ_STR, true); }

/* --- writing --------------------------------------------------------------------------------------------------------------- */

/* All bytes. 0, -errno, or 1: the run must stop. *out_written counts. */
static int write_all(rl_vm_t* vm, int fd, rl_str_t data, uint64_t* out_written) {
    *out_written = 0;
    while (*out_written < data.length) {
        size_t left = data.length - (size_t)*out_written;
        size_t part = left < 4 * BUFFER_BYTES ? left : 4 * BUFFER_BYTES;
        int64_t written = rl_os_write_next(fd, data.data + *out_written, part);
        if (written == -EAGAIN || written == -EWOULDBLOCK) {
            rl_os_sleep_ns(WAIT_NS);
            if (!rl_vm_charge(vm, RL_POLL_INTERVAL)) return 1;
            continue;
        }
        if (written < 0) return (int)written;
        if (written == 0) return -ENOSPC;
        *out_written += (uint64_t)written;
        if (!rl_vm_charge(vm, 1 + (uint64_t)written / BYTES_OF_STEP)) return 1;
    }
    return 0;
}

FN(rl_file_write) {
    operation_t operation = args[1].u < OPERATION_COUNT ? (operation_t)args[1].u : WRITE;
    rl_file_t* file;
    rl_io_event_t event;
    rl_outcome_t outcome = enter(vm, args[0], operation == COPY ? WRITE : operation, &file, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    rl_str_t data = rl_string_str(args[2].o);
    event = event_of(file, operation);
    event.need = RL_NEED_WRITE;
    int error = write_all(vm, file->fd, data, &event.bytes);
    if (error == 1) return RL_RAISE;
    if (error < 0) return rl_io_answer(rl_io_fail_os(vm, event, error, result));
    result->u = event.bytes;
    return done(vm, file, operation, event.bytes);
}

FN(rl_file_flush) {
    rl_file_t* file;
    rl_outcome_t outcome = enter(vm, args[0], FLUSH, &file, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    int error = rl_os_io()->sync(NULL, file->fd);
    if (error == -EINVAL || error == -EOPNOTSUPP) error = 0; /* a device that keeps nothing */
    if (error < 0) return rl_io_answer(rl_io_fail_os(vm, event_of(file, FLUSH), error, result));
    result->i = 0;
    return done(vm, file, FLUSH, 0);
}

FN(rl_file_copied) {
    rl_file_t* file = file_of(vm, args[0]);
    result->i = 0;
    if (!file) return RL_DONE;
    rl_io_event_t event = event_of(file, COPY);
    event.bytes = args[1].u;
    event.calls = 1 + event.bytes / BUFFER_BYTES;
    event.helper = rl_io_shown(rl_string_str(args[2].o), 128);
    event.names_helper = true;
    return rl_io_done(vm, &event);
}

/* Beside it, onto the disk, then in its place; through symbolic links. A device is written to. 0, -errno, or 1: stop. */
static int replace_whole(rl_vm_t* vm, const char* name, rl_str_t data, uint64_t* out_written) {
    char target[RL_PATH_ROOM], beside[RL_PATH_ROOM];
    const rl_io_t* io = rl_os_io();
    rl_file_status_t status;
    int error = rl_os_status(name, true, &status);
    bool is_new = error == -ENOENT;
    if (is_new && rl_os_status(name, false, &status) == 0) return error; /* a link to nothing */
    if (error < 0 && !is_new) return error;
    if (!is_new && status.sort == RL_FILE_DIRECTORY) return -EISDIR;
    if (!is_new && status.sort != RL_FILE_REGULAR) {
        if (status.sort != RL_FILE_DEVICE) return -EINVAL;
        int device = rl_os_open(name, RL_OPEN_WRITE);
        if (device < 0) return device;
        error = write_all(vm, device, data, out_written);
        io->close(NULL, device);
        return error;
    }
    if (is_new) memcpy(target, name, strlen(name) + 1);
    else if ((error = rl_os_real_path(name, target)) < 0) return error;
    if (!is_new) { /* may it be written at all? Renaming would not ask */
        int fd = rl_os_open(target, RL_OPEN_APPEND);
        if (fd < 0) return fd;
        io->close(NULL, fd);
    }
    int fd = rl_os_open_beside(target, beside);
    if (fd < 0) return fd;
    error = write_all(vm, fd, data, out_written);
    if (error == 0 && !is_new) error = rl_os_set_mode(fd, status.mode);
    if (error == 0) error = io->sync(NULL, fd);
    io->close(NULL, fd);
    if (error == 0) error = io->rename(NULL, beside, target);
    if (error != 0) (void)io->unlink(NULL, beside);
    else error = io->sync_directory_of(NULL, target);
    return error;
}

FN(rl_file_replace) {
    operation_t operation = args[1].u < OPERATION_COUNT ? (operation_t)args[1].u : REPLACE_BYTES;
    rl_str_t path = rl_string_str(args[0].o);
    rl_io_event_t event = {.need = RL_NEED_WRITE,
        .operation = rl_str(operations[operation]),
        .path = rl_io_shown(path, RL_PATH_ROOM),
        .helper = rl_str(operations[operation]),
        .calls = 1};
    char name[RL_PATH_ROOM];
    rl_outcome_t outcome = rl_io_begin(vm, &event, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    if (!rl_io_name(vm, &event, path, name, result, &outcome)) return rl_io_answer(outcome);
    int error = replace_whole(vm, name, rl_string_str(args[2].o), &event.bytes);
    if (error == 1) return RL_RAISE;
    if (error < 0) return rl_io_answer(rl_io_fail_os(vm, event, error, result));
    event.syncs = 1;
    result->u = event.bytes;
    return rl_io_done(vm, &event);
}

/* --- asking and removing ------------------------------------------------------------------------------------------------------ */

/* Operations on one path: `act` answers what the builtin answers, or -errno. */
static rl_outcome_t on_path(rl_vm_t* vm, rl_need_t need, const char* operation, const rl_word_t* args,
    rl_word_t* result, int64_t (*act)(rl_vm_t* vm, const char* name)) {
    rl_str_t path = rl_string_str(args[0].o);
    rl_io_event_t event = {.need = need,
        .operation = rl_str(operation),
        .path = rl_io_shown(path, RL_PATH_ROOM),
        .helper = rl_str(operation),
        .calls = 1};
    char name[RL_PATH_ROOM];
    rl_outcome_t outcome = rl_io_begin(vm, &event, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    if (!rl_io_name(vm, &event, path, name, result, &outcome)) return rl_io_answer(outcome);
    result->i = act(vm, name);
    if (result->i < 0) return rl_io_answer(rl_io_fail_os(vm, event, (int)result->i, result));
    return rl_io_done(vm, &event);
}

static int64_t status_of(rl_vm_t* vm, const char* name) {
    rl_file_status_t status;
    int error = rl_os_status(name, true, &status);
    if (error < 0) return error;
    vm->files->modified_ns = status.modified_ns;
    return status.size < 0 ? 0 : status.size;
}
static int64_t exists(rl_vm_t* vm, const char* name) {
    (void)vm;
    rl_file_status_t status;
    int error = rl_os_status(name, true, &status);
    return error == -ENOENT || error == -ENOTDIR ? 0 : error < 0 ? error : 1;
}
static int64_t remove_file(rl_vm_t* vm, const char* name) {
    (void)vm;
    rl_file_status_t status;
    int error = rl_os_status(name, false, &status);
    if (error == 0 && status.sort == RL_FILE_DIRECTORY) return -EISDIR;
    return error < 0 ? error : rl_os_io()->unlink(NULL, name);
}
FN(rl_file_status) { return on_path(vm, RL_NEED_READ, "file.metadata", args, result, status_of); }
FN(rl_file_exists) { return on_path(vm, RL_NEED_READ, "file.exists", args, result, exists); }
FN(rl_file_remove) { return on_path(vm, RL_NEED_WRITE, "file.remove", args, result, remove_file); }
FN(rl_file_modified) {
    (void)args;
    result->i = vm->files ? vm->files->modified_ns : 0;
    return RL_DONE;
}
