/*
 * Watching by looking again: what stands below some paths, compared with what stood there before. 96_io.reml waits in between, on the
 * scheduler's timer.
 */
#include "base/json.h"
#include "base/utf8.h"
#include "vm/async.h"
#include "vm/builtin.h"
#include "vm/file.h"
#include "vm/string.h"

#include <errno.h>
#include <stddef.h>

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/file.def"
#undef BUILTIN

#define FN(name)                                                                                                       \
    rl_outcome_t name(                                                                                                 \
        rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, __attribute__((unused)) const rl_builtin_site_t* site)

enum { STEPS_OF_ENTRY = 60, ENTRIES_MOST = 200000, WATCHES_MOST = 64, EVENTS_TOLD = 64 };

/* What stood where. Lists hold pointers to `path`, so that they are sorted like other paths. */
typedef struct entry {
    int64_t modified_ns, size;
    uint64_t inode;
    bool is_folder;
    char path[];
} entry_t;
static entry_t* entry_of(char* path) { return (entry_t*)(void*)(path - offsetof(entry_t, path)); }

typedef RL_VEC(char*) paths_t;
typedef struct event {
    const char* kind;
    char* path; /* owned */
} event_t;
typedef struct place {
    char* path; /* owned */
    int64_t depth;
} place_t;

struct rl_watch {
    uint64_t id;
    const struct rl_run* run;
    int64_t depth; /* levels of folders below what was named; -1: all */
    paths_t roots, entries;
    RL_VEC(event_t) events;
    uint64_t events_total, looked_ns;
    bool looked;
};
typedef struct rl_watch rl_watch_t;

static void free_entries(rl_vm_t* vm, paths_t* entries) {
    for (uint32_t i = 0; i < entries->count; i++)
        rl_free(vm->allocator, entry_of(entries->data[i]), sizeof(entry_t) + strlen(entries->data[i]) + 1);
    rl_vec_deinit(vm->allocator, entries);
    *entries = (paths_t){0};
}

static void clear_events(rl_vm_t* vm, rl_watch_t* watch) {
    for (uint32_t i = 0; i < watch->events.count; i++) rl_path_free(vm, watch->events.data[i].path);
    watch->events.count = 0;
}

static void release(rl_vm_t* vm, rl_watch_t* watch) {
    clear_events(vm, watch);
    rl_vec_deinit(vm->allocator, &watch->events);
    free_entries(vm, &watch->entries);
    for (uint32_t i = 0; i < watch->roots.count; i++) rl_path_free(vm, watch->roots.data[i]);
    rl_vec_deinit(vm->allocator, &watch->roots);
    rl_free(vm->allocator, watch, sizeof *watch);
}

static rl_watch_t* watch_of(const rl_vm_t* vm, rl_word_t id) {
    for (uint32_t i = 0; vm->files && i < vm->files->watches.count; i++) {
        if (vm->files->watches.data[i]->id == id.u) return vm->files->watches.data[i];
    }
    return NULL;
}

void rl_watches_end(rl_vm_t* vm, const struct rl_run* run) {
    for (uint32_t i = vm->files->watches.count; i-- > 0;) {
        rl_watch_t* watch = vm->files->watches.data[i];
        if (run && watch->run != run) continue;
        vm->files->watches.data[i] = vm->files->watches.data[--vm->files->watches.count];
        release(vm, watch);
    }
}

static rl_io_event_t event_of(const rl_watch_t* watch, rl_need_t need) {
    return (rl_io_event_t){.kind = RL_IO_WATCH,
        .need = need,
        .operation = watch && watch->looked ? RL_STR("watch.events") : RL_STR("watch.start"),
        .path = watch && watch->roots.count ? rl_str(watch->roots.data[0]) : RL_STR(""),
        .helper = RL_STR("path.watch"),
        .calls = 1,
        .code = "core.io.watcher_error",
        .events_total = watch ? watch->events_total : 0};
}

FN(rl_watch_open) {
    static const rl_need_t needs[] = {RL_NEED_WATCH, RL_NEED_WATCH_DEEP, RL_NEED_WATCH_LIMITS};
    for (size_t i = 0; i < RL_COUNT_OF(needs); i++) {
        if ((needs[i] == RL_NEED_WATCH_DEEP && args[0].i == 0) || (needs[i] == RL_NEED_WATCH_LIMITS && args[0].i < 0))
            continue;
        rl_io_event_t event = event_of(NULL, needs[i]);
        event.code = NULL;
        rl_outcome_t outcome = rl_io_begin(vm, &event, result);
        if (outcome != RL_DONE) return rl_io_answer(outcome);
    }
    if (vm->files->watches.count >= WATCHES_MOST)
        return rl_io_answer(
            rl_io_fail(vm, event_of(NULL, RL_NEED_WATCH), RL_IO_OUT_OF_MEMORY, result, "too many watches are open"));
    rl_watch_t* watch = rl_alloc_zero(vm->allocator, sizeof *watch);
    if (!watch || !rl_vec_push(vm->allocator, &vm->files->watches, watch)) {
        rl_free(vm->allocator, watch, sizeof *watch);
        return rl_io_no_memory(vm);
    }
    watch->id = ++vm->files->last_id;
    watch->run = vm->run;
    watch->depth = args[0].i;
    vm->leftovers = true;
    result->u = watch->id;
    return RL_DONE;
}

FN(rl_watch_add) {
    rl_watch_t* watch = watch_of(vm, args[0]);
    result->i = 0;
    if (!watch) return RL_DONE;
    char name[RL_PATH_ROOM];
    rl_outcome_t outcome;
    rl_io_event_t event = event_of(watch, RL_NEED_WATCH);
    if (!rl_io_name(vm, &event, rl_string_str(args[1].o), name, result, &outcome)) return rl_io_answer(outcome);
    if (!rl_vm_charge(vm, STEPS_OF_ENTRY)) return RL_RAISE;
    char* copy = rl_path_copy(vm, rl_str(name), "");
    if (copy && rl_vec_push(vm->allocator, &watch->roots, copy)) return RL_DONE;
    rl_path_free(vm, copy);
    return rl_io_no_memory(vm);
}

/* --- looking ----------------------------------------------------------------------------------------------------------- */

typedef struct walk {
    rl_vm_t* vm;
    rl_watch_t* watch;
    rl_word_t* result;
    RL_VEC(place_t) places;
    paths_t entries;
} walk_t;

static rl_outcome_t add_entry(walk_t* walk, const char* path, const rl_file_status_t* status) {
    rl_vm_t* vm = walk->vm;
    size_t length = strlen(path) + 1;
    if (walk->entries.count >= ENTRIES_MOST)
        return rl_io_fail(vm, event_of(walk->watch, RL_NEED_WATCH), RL_IO_OUT_OF_MEMORY, walk->result,
            "more than %d files and folders to watch", ENTRIES_MOST);
    entry_t* entry = rl_alloc(vm->allocator, sizeof *entry + length);
    if (!entry) return rl_io_no_memory(vm);
    entry->modified_ns = status->modified_ns;
    entry->size = status->size;
    entry->inode = status->inode;
    entry->is_folder = status->sort == RL_FILE_DIRECTORY;
    memcpy(entry->path, path, length);
    if (rl_vec_push(vm->allocator, &walk->entries, entry->path)) return RL_DONE;
    rl_free(vm->allocator, entry, sizeof *entry + length);
    return rl_io_no_memory(vm);
}

/* A path, and, while there is depth left, that what stands in it is a place to look at. Takes over `path`. */
static rl_outcome_t look_at(walk_t* walk, char* path, int64_t depth) {
    rl_vm_t* vm = walk->vm;
    rl_file_status_t status;
    if (!path) return rl_io_no_memory(vm);
    rl_outcome_t outcome = RL_DONE;
    size_t length = strlen(path);
    if (!rl_vm_charge(vm, STEPS_OF_ENTRY + length / 8)) outcome = RL_RAISE;
    else if (rl_utf8_validate((rl_str_t){path, length}) != length)
        outcome = rl_io_fail(vm, event_of(walk->watch, RL_NEED_WATCH), RL_IO_INVALID_INPUT, walk->result,
            "a name that is not UTF-8 stands below %.200s", walk->watch->roots.data[0]);
    else if (rl_os_status(path, false, &status) == 0) {
        outcome = add_entry(walk, path, &status);
        if (outcome == RL_DONE && status.sort == RL_FILE_DIRECTORY && depth != -1) {
            if (rl_vec_push(vm->allocator, &walk->places, (place_t){path, depth})) return RL_DONE;
            outcome = rl_io_no_memory(vm);
        }
    }
    rl_path_free(vm, path);
    return outcome;
}

static rl_outcome_t list(walk_t* walk, place_t place) {
    rl_directory_t* directory;
    int error = rl_os_directory_open(place.path, &directory);
    if (error == -ENOENT || error == -ENOTDIR) return RL_DONE;
    rl_io_event_t event = event_of(walk->watch, RL_NEED_WATCH);
    event.path = rl_str(place.path);
    if (error < 0) return rl_io_fail_os(walk->vm, event, error, walk->result);
    rl_outcome_t outcome = RL_DONE;
    for (const char* name; outcome == RL_DONE && (name = rl_os_directory_next(directory, &error)) != NULL;)
        outcome = look_at(walk, rl_path_copy(walk->vm, rl_str(place.path), name),
            place.depth == INT64_MAX ? INT64_MAX : place.depth - 1);
    rl_os_directory_close(directory);
    if (outcome == RL_DONE && error < 0 && error != -ENOENT)
        outcome = rl_io_fail_os(walk->vm, event, error, walk->result);
    return outcome;
}

static bool note(rl_vm_t* vm, rl_watch_t* watch, const char* kind, const char* path) {
    char* copy = rl_path_copy(vm, rl_str(path), "");
    if (copy && rl_vec_push(vm->allocator, &watch->events, (event_t){kind, copy})) return true;
    rl_path_free(vm, copy);
    return false;
}

/* Both lists ascending; false: memory. */
static bool compare(rl_vm_t* vm, rl_watch_t* watch, const paths_t* now) {
    const paths_t* before = &watch->entries;
    uint32_t b = 0, n = 0;
    while (b < before->count || n < now->count) {
        int order = b == before->count ? 1 : n == now->count ? -1 : strcmp(before->data[b], now->data[n]);
        if (order < 0) {
            if (!note(vm, watch, "deleted", before->data[b++])) return false;
        } else if (order > 0) {
            if (!note(vm, watch, "created", now->data[n++])) return false;
        } else {
            const entry_t *old = entry_of(before->data[b++]), *new = entry_of(now->data[n++]);
            bool same = old->modified_ns == new->modified_ns && old->size == new->size && old->inode == new->inode;
            if (old->is_folder != new->is_folder || (!same && !new->is_folder)) {
                if (!note(vm, watch, "modified", new->path)) return false;
            }
        }
    }
    return true;
}

/* {kind, path, queue_size, delay_ns} of the events, the last 64. */
static rl_outcome_t tell(rl_vm_t* vm, rl_watch_t* watch, uint64_t delay_ns) {
    rl_buf_t paths, events;
    rl_buf_init(&paths, vm->allocator);
    rl_buf_init(&events, vm->allocator);
    rl_json_t json = rl_json_begin(&paths);
    rl_json_array_begin(&json);
    for (uint32_t i = 0; i < watch->roots.count && i < EVENTS_TOLD; i++)
        rl_json_string(&json, rl_str(watch->roots.data[i]));
    rl_json_array_end(&json);
    json = rl_json_begin(&events);
    rl_json_array_begin(&json);
    uint32_t count = watch->events.count;
    for (uint32_t i = count > EVENTS_TOLD ? count - EVENTS_TOLD : 0; i < count; i++) {
        rl_json_object_begin(&json);
        rl_json_key(&json, "delay_ns");
        rl_json_u64(&json, delay_ns);
        rl_json_member(&json, "kind", rl_str(watch->events.data[i].kind));
        rl_json_member(&json, "path", rl_str(watch->events.data[i].path));
        rl_json_key(&json, "queue_size");
        rl_json_u64(&json, count - i);
        rl_json_object_end(&json);
    }
    rl_json_array_end(&json);
    rl_io_event_t event = event_of(watch, watch->depth == 0 ? RL_NEED_WATCH : RL_NEED_WATCH_DEEP);
    event.queue_size = count;
    event.delay_ns = delay_ns;
    event.watch_paths = rl_buf_str(&paths);
    event.watch_events = rl_buf_str(&events);
    event.code = NULL;
    bool whole = !paths.failed && !events.failed;
    rl_outcome_t outcome = whole ? rl_io_done(vm, &event) : rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    if (!whole) rl_alloc_clear_failure(vm->allocator);
    rl_buf_deinit(&paths);
    rl_buf_deinit(&events);
    return outcome;
}

/* What has changed since the scan before; the first one only looks. */
FN(rl_watch_scan) {
    rl_watch_t* watch = watch_of(vm, args[0]);
    rl_io_event_t event = event_of(watch, !watch || watch->depth == 0 ? RL_NEED_WATCH : RL_NEED_WATCH_DEEP);
    event.code = NULL;
    rl_outcome_t outcome = rl_io_begin(vm, &event, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    result->i = 0;
    if (!watch) return RL_DONE;
    walk_t walk = {.vm = vm, .watch = watch, .result = result};
    clear_events(vm, watch);
    for (uint32_t i = 0; i < watch->roots.count && outcome == RL_DONE; i++)
        outcome = look_at(
            &walk, rl_path_copy(vm, rl_str(watch->roots.data[i]), ""), watch->depth < 0 ? INT64_MAX : watch->depth);
    while (outcome == RL_DONE && walk.places.count) {
        place_t place = rl_vec_last(&walk.places);
        walk.places.count--;
        outcome = list(&walk, place);
        rl_path_free(vm, place.path);
    }
    for (uint32_t i = 0; i < walk.places.count; i++) rl_path_free(vm, walk.places.data[i].path);
    rl_vec_deinit(vm->allocator, &walk.places);
    if (outcome == RL_DONE) {
        rl_paths_sort(walk.entries.data, walk.entries.count);
        if (watch->looked && !compare(vm, watch, &walk.entries)) {
            clear_events(vm, watch);
            outcome = rl_io_no_memory(vm);
        }
    }
    if (outcome != RL_DONE) {
        free_entries(vm, &walk.entries);
        return rl_io_answer(outcome);
    }
    free_entries(vm, &watch->entries);
    watch->entries = walk.entries;
    uint64_t now = rl_os_monotonic_ns(), delay = watch->looked ? now - watch->looked_ns : 0;
    watch->looked_ns = now;
    watch->events_total += watch->events.count;
    result->i = watch->events.count;
    if (!watch->looked || watch->events.count) outcome = tell(vm, watch, delay);
    watch->looked = true;
    return outcome;
}

static rl_outcome_t text_of_event(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, bool path) {
    const rl_watch_t* watch = watch_of(vm, args[0]);
    const char* text = "";
    if (watch && args[1].u < watch->events.count)
        text = path ? watch->events.data[args[1].u].path : watch->events.data[args[1].u].kind;
    result->o = rl_string_new(vm, rl_str(text), RL_OBJ_STR);
    return result->o ? RL_DONE : RL_COLLECT;
}
FN(rl_watch_kind) { return text_of_event(vm, args, result, false); }
FN(rl_watch_path) { return text_of_event(vm, args, result, true); }

FN(rl_watch_close) {
    result->i = 0;
    for (uint32_t i = 0; vm->files && i < vm->files->watches.count; i++) {
        rl_watch_t* watch = vm->files->watches.data[i];
        if (watch->id != args[0].u) continue;
        vm->files->watches.data[i] = vm->files->watches.data[--vm->files->watches.count];
        release(vm, watch);
        break;
    }
    return RL_DONE;
}
