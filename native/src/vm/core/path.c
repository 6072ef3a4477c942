/*
 * Paths: normalising, matching names against a pattern, and whether a path stays below a root. Walks have stacks of their own; each
 * name that is looked at is paid for.
 */
#include "base/utf8.h"
#include "vm/builtin.h"
#include "vm/file.h"
#include "vm/string.h"

#include <errno.h>
#include <stdio.h>

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/file.def"
#undef BUILTIN

#define FN(name)                                                                                                       \
    rl_outcome_t name(                                                                                                 \
        rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, __attribute__((unused)) const rl_builtin_site_t* site)

enum { STEPS_OF_NAME = 50, LINKS_MOST = 40, SEGMENTS_MOST = 256 };

/* --- texts ------------------------------------------------------------------------------------------------------------ */

size_t rl_path_normalize(rl_str_t path, char* out) {
    bool absolute = path.length > 0 && path.data[0] == '/';
    size_t length = 0, floor = absolute; /* what `..` cannot take away */
    if (absolute) out[length++] = '/';
    for (size_t at = 0; at < path.length;) {
        size_t end = at;
        while (end < path.length && path.data[end] != '/') end++;
        size_t part = end - at;
        bool up = part == 2 && path.data[at] == '.' && path.data[at + 1] == '.';
        if (up && length > floor) {
            while (length > floor && out[length - 1] != '/') length--;
            if (length > floor) length--; /* the slash before it */
        } else if (part > 0 && !(part == 1 && path.data[at] == '.') && !(up && absolute)) {
            if (length > (absolute ? 1u : 0u)) out[length++] = '/';
            memmove(out + length, path.data + at, part);
            length += part;
            if (up) floor = length;
        }
        at = end + 1;
    }
    if (length == 0) out[length++] = '.';
    return length;
}

FN(rl_path_normal) {
    rl_str_t path = rl_string_str(args[0].o);
    if (!rl_vm_charge(vm, 1 + path.length / 8)) return RL_RAISE;
    rl_buf_t text;
    rl_buf_init(&text, vm->allocator);
    if (!rl_buf_reserve(&text, path.length + 2)) return rl_io_no_memory(vm);
    text.length = rl_path_normalize(path, text.data);
    rl_outcome_t outcome = rl_string_from_buf(vm, &text, RL_OBJ_STR, &result->o);
    rl_buf_deinit(&text);
    return outcome;
}

char* rl_path_copy(rl_vm_t* vm, rl_str_t folder, const char* name) {
    size_t added = strlen(name), length = folder.length;
    bool slash = length > 0 && added > 0 && folder.data[length - 1] != '/';
    char* copy = rl_alloc(vm->allocator, length + slash + added + 1);
    if (!copy) return NULL;
    if (length) memcpy(copy, folder.data, length);
    if (slash) copy[length] = '/';
    memcpy(copy + length + slash, name, added + 1);
    return copy;
}
void rl_path_free(rl_vm_t* vm, char* path) {
    if (path) rl_free(vm->allocator, path, strlen(path) + 1);
}

static void sift_down(char** items, size_t root, size_t count) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && strcmp(items[child], items[child + 1]) < 0) child++;
        if (strcmp(items[root], items[child]) >= 0) return;
        char* swapped = items[root];
        items[root] = items[child];
        items[child] = swapped;
    }
}
void rl_paths_sort(char** paths, size_t count) {
    for (size_t i = count / 2; i > 0; i--) sift_down(paths, i - 1, count);
    for (size_t last = count; last > 1; last--) {
        char* swapped = paths[0];
        paths[0] = paths[last - 1];
        paths[last - 1] = swapped;
        sift_down(paths, 0, last - 1);
    }
}

/* --- patterns ----------------------------------------------------------------------------------------------------------- */

/* `[…]` from `at` on, which stands behind the bracket. SIZE_MAX: it has no end; else behind its end, *out_matches. */
static size_t match_class(rl_str_t pattern, size_t at, uint32_t scalar, bool* out_matches) {
    bool inverted = at < pattern.length && (pattern.data[at] == '!' || pattern.data[at] == '^'), found = false;
    at += inverted;
    for (bool first = true; at < pattern.length; first = false) {
        if (pattern.data[at] == ']' && !first) {
            *out_matches = found != inverted;
            return at + 1;
        }
        uint32_t low = rl_utf8_next(pattern, &at), high = low;
        if (at + 1 < pattern.length && pattern.data[at] == '-' && pattern.data[at + 1] != ']') {
            at++;
            high = rl_utf8_next(pattern, &at);
        }
        found |= scalar >= low && scalar <= high;
    }
    return SIZE_MAX;
}

/* A name against one part of a pattern; both valid UTF-8. A dot at the beginning is matched by a dot only. */
static bool matches(rl_str_t pattern, rl_str_t name) {
    size_t p = 0, n = 0, star = SIZE_MAX, again = 0;
    if (name.length && name.data[0] == '.' && !(pattern.length && pattern.data[0] == '.')) return false;
    while (n < name.length) {
        size_t next = n;
        if (p < pattern.length && pattern.data[p] == '*') {
            star = ++p, again = n;
            continue;
        }
        uint32_t scalar = rl_utf8_next(name, &next);
        bool fits = false;
        if (p < pattern.length && pattern.data[p] == '?') fits = true, p++;
        else if (p < pattern.length && pattern.data[p] == '[') p = match_class(pattern, p + 1, scalar, &fits);
        else if (p < pattern.length) {
            size_t behind = p;
            fits = rl_utf8_next(pattern, &behind) == scalar;
            if (fits) p = behind;
        }
        if (fits) {
            n = next;
        } else if (star != SIZE_MAX) {
            p = star;
            (void)rl_utf8_next(name, &again);
            n = again;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.data[p] == '*') p++;
    return p == pattern.length;
}

typedef struct part {
    rl_str_t text;
    bool deep, plain; /* `**`; without any sign */
} part_t;

/* Parts of a pattern; NULL: fine, else what is wrong with it. */
static const char* read_pattern(rl_str_t pattern, part_t* parts, uint32_t* out_count) {
    *out_count = 0;
    for (size_t at = 0; at < pattern.length;) {
        size_t end = at;
        while (end < pattern.length && pattern.data[end] != '/') end++;
        rl_str_t text = {pattern.data + at, end - at};
        at = end + 1;
        if (text.length == 0 || rl_str_equal(text, RL_STR("."))) continue;
        part_t part = {text, rl_str_equal(text, RL_STR("**")), true};
        for (size_t i = 0; i < text.length && !part.deep;) {
            bool unused;
            part.plain &= strchr("*?[", text.data[i]) == NULL;
            if (text.data[i] == '*' && i + 1 < text.length && text.data[i + 1] == '*')
                return "`**` must be a whole part of the pattern";
            if (text.data[i] != '[') {
                i++;
                continue;
            }
            i = match_class(text, i + 1, 0, &unused);
            if (i == SIZE_MAX) return "`[` without `]`";
        }
        if (part.deep) part.plain = false;
        if (part.deep && *out_count && parts[*out_count - 1].deep) continue;
        if (*out_count == SEGMENTS_MOST) return "the pattern has too many parts";
        parts[(*out_count)++] = part;
    }
    return NULL;
}

/* --- glob ----------------------------------------------------------------------------------------------------------------- */

typedef struct pending {
    char* folder; /* owned; "" is the current one */
    uint32_t part;
} pending_t;

typedef struct glob {
    rl_vm_t* vm;
    rl_io_event_t* event;
    const part_t* parts;
    uint32_t count;
    RL_VEC(pending_t) pending;
    rl_word_t* result;
} glob_t;

void rl_found_clear(rl_vm_t* vm) {
    for (uint32_t i = 0; i < vm->files->found.count; i++) rl_path_free(vm, vm->files->found.data[i]);
    vm->files->found.count = 0;
}

static bool push(glob_t* g, char* folder, uint32_t part) {
    if (folder && rl_vec_push(g->vm->allocator, &g->pending, (pending_t){folder, part})) return true;
    rl_path_free(g->vm, folder);
    return false;
}

static rl_outcome_t glob_failed(glob_t* g, const char* path, rl_io_kind_t kind, const char* code, const char* what) {
    g->event->offending = rl_str(path);
    g->event->code = code;
    return rl_io_fail(g->vm, *g->event, kind, g->result, "%.200s: %s", path, what);
}

/* One entry of a folder against a part. */
static rl_outcome_t look_at(glob_t* g, rl_str_t folder, const char* name, uint32_t index) {
    rl_vm_t* vm = g->vm;
    const part_t* part = &g->parts[index];
    rl_str_t text = rl_str(name);
    bool last = index + 1 == g->count, hidden = name[0] == '.';
    if (!rl_vm_charge(vm, STEPS_OF_NAME + text.length * (1 + part->text.length) / 64)) return RL_RAISE;
    bool named = rl_utf8_validate(text) == text.length;
    if (part->deep ? hidden : named && !matches(part->text, text)) return RL_DONE;
    char* path = rl_path_copy(vm, folder, name);
    if (!path) return rl_io_no_memory(vm);
    rl_outcome_t outcome = RL_DONE;
    rl_file_status_t status;
    bool known = rl_os_status(path, !part->deep, &status) == 0, is_folder = known && status.sort == RL_FILE_DIRECTORY;
    if (!named && (last || is_folder)) {
        char shown[RL_PATH_ROOM];
        size_t length = 0;
        for (size_t i = 0; path[i] && length + 1 < sizeof shown; i++)
            shown[length++] = (unsigned char)path[i] < 0x80 ? path[i] : '?';
        shown[length] = '\0';
        outcome =
            glob_failed(g, shown, RL_IO_INVALID_INPUT, "core.path.glob.invalid_input", "a name that is not UTF-8");
        rl_path_free(vm, path);
        return outcome;
    }
    if (is_folder && part->deep && !push(g, rl_path_copy(vm, rl_str(path), ""), index)) outcome = rl_io_no_memory(vm);
    if (outcome == RL_DONE && last) {
        if (!rl_vec_push(vm->allocator, &vm->files->found, path)) outcome = rl_io_no_memory(vm);
        else path = NULL;
    } else if (outcome == RL_DONE && is_folder && !part->deep) {
        char* copy = path;
        path = NULL;
        if (!push(g, copy, index + 1)) outcome = rl_io_no_memory(vm);
    }
    rl_path_free(vm, path);
    return outcome;
}

static rl_outcome_t visit(glob_t* g, rl_str_t folder, uint32_t index) {
    rl_vm_t* vm = g->vm;
    const part_t* part = &g->parts[index];
    if (part->plain) { /* no need to list */
        char name[RL_PATH_ROOM];
        if (!rl_vm_charge(vm, STEPS_OF_NAME)) return RL_RAISE;
        if (part->text.length >= sizeof name) return RL_DONE;
        memcpy(name, part->text.data, part->text.length);
        name[part->text.length] = '\0';
        char* path = rl_path_copy(vm, folder, name);
        rl_file_status_t status;
        bool last = index + 1 == g->count;
        if (!path) return rl_io_no_memory(vm);
        if (rl_os_status(path, !last, &status) != 0 || (!last && status.sort != RL_FILE_DIRECTORY)) {
            rl_path_free(vm, path);
            return RL_DONE;
        }
        if (!last) return push(g, path, index + 1) ? RL_DONE : rl_io_no_memory(vm);
        if (rl_vec_push(vm->allocator, &vm->files->found, path)) return RL_DONE;
        rl_path_free(vm, path);
        return rl_io_no_memory(vm);
    }
    /* `**` also stands for no folder at all */
    if (part->deep && index + 1 < g->count && !push(g, rl_path_copy(vm, folder, ""), index + 1))
        return rl_io_no_memory(vm);
    rl_directory_t* directory;
    const char* shown = folder.length ? folder.data : ".";
    int error = rl_os_directory_open(shown, &directory);
    if (error == -ENOENT || error == -ENOTDIR) return RL_DONE; /* gone meanwhile */
    if (error < 0) {
        g->event->offending = rl_str(shown);
        g->event->code = "core.path.glob.io_error";
        rl_io_event_t event = *g->event;
        event.path = rl_str(shown);
        return rl_io_fail_os(vm, event, error, g->result);
    }
    rl_outcome_t outcome = RL_DONE;
    for (const char* name; outcome == RL_DONE && (name = rl_os_directory_next(directory, &error)) != NULL;)
        outcome = look_at(g, folder, name, index);
    rl_os_directory_close(directory);
    if (outcome == RL_DONE && error < 0) {
        g->event->offending = rl_str(shown);
        g->event->code = "core.path.glob.io_error";
        return rl_io_fail_os(vm, *g->event, error, g->result);
    }
    return outcome;
}

static void sort_found(rl_vm_t* vm) {
    rl_files_t* files = vm->files;
    rl_paths_sort(files->found.data, files->found.count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < files->found.count; i++) {
        if (kept && strcmp(files->found.data[kept - 1], files->found.data[i]) == 0)
            rl_path_free(vm, files->found.data[i]);
        else files->found.data[kept++] = files->found.data[i];
    }
    files->found.count = kept;
}

FN(rl_path_glob) {
    rl_str_t pattern = rl_string_str(args[0].o);
    part_t parts[SEGMENTS_MOST];
    rl_io_event_t event = {.kind = RL_IO_GLOB,
        .need = RL_NEED_READ,
        .operation = RL_STR("path.glob"),
        .path = rl_io_shown(pattern, RL_PATH_ROOM),
        .helper = RL_STR("path.glob"),
        .calls = 1,
        .pattern = rl_io_shown(pattern, RL_PATH_ROOM),
        .offending = rl_io_shown(pattern, RL_PATH_ROOM)};
    glob_t g = {.vm = vm, .event = &event, .parts = parts, .result = result};
    rl_outcome_t outcome = rl_io_begin(vm, &event, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    rl_found_clear(vm);
    char name[RL_PATH_ROOM];
    event.code = "core.path.glob.invalid_input";
    if (!rl_io_name(vm, &event, pattern, name, result, &outcome)) return rl_io_answer(outcome);
    const char* wrong = read_pattern(pattern, parts, &g.count);
    event.code = "core.path.glob.invalid_pattern";
    if (wrong)
        return rl_io_answer(rl_io_fail(
            vm, event, RL_IO_INVALID_INPUT, result, "%.*s: %s", RL_STR_ARG(rl_io_shown(pattern, 200)), wrong));
    event.code = NULL;
    event.offending = RL_STR("");
    if (g.count > 0 && !push(&g, rl_path_copy(vm, pattern.data[0] == '/' ? RL_STR("/") : RL_STR(""), ""), 0))
        outcome = rl_io_no_memory(vm);
    while (outcome == RL_DONE && g.pending.count > 0) {
        pending_t next = rl_vec_last(&g.pending);
        g.pending.count--;
        outcome = visit(&g, rl_str(next.folder), next.part);
        rl_path_free(vm, next.folder);
    }
    for (uint32_t i = 0; i < g.pending.count; i++) rl_path_free(vm, g.pending.data[i].folder);
    rl_vec_deinit(vm->allocator, &g.pending);
    uint64_t steps = 1;
    for (uint32_t n = vm->files->found.count; n; n >>= 1) steps += vm->files->found.count;
    if (outcome == RL_DONE && !rl_vm_charge(vm, steps)) outcome = RL_RAISE;
    if (outcome == RL_DONE) {
        sort_found(vm);
        result->i = vm->files->found.count;
        return rl_io_done(vm, &event);
    }
    rl_found_clear(vm);
    return rl_io_answer(outcome);
}

FN(rl_path_found) {
    const char* path = vm->files && args[0].u < vm->files->found.count ? vm->files->found.data[args[0].u] : "";
    if (!rl_vm_charge(vm, 1 + strlen(path) / 16)) return RL_RAISE;
    result->o = rl_string_new(vm, rl_str(path), RL_OBJ_STR);
    return result->o ? RL_DONE : RL_COLLECT;
}

/* --- a path below a root ---------------------------------------------------------------------------------------------------- */

static bool is_below(rl_str_t path, rl_str_t root) {
    if (root.length == 1) return true; /* / */
    return path.length >= root.length && memcmp(path.data, root.data, root.length) == 0 &&
           (path.length == root.length || path.data[root.length] == '/');
}

static bool goes_up(rl_str_t path) {
    for (size_t i = 0; i + 1 < path.length; i++) {
        bool begins = i == 0 || path.data[i - 1] == '/', ends = i + 2 == path.length || path.data[i + 2] == '/';
        if (begins && ends && path.data[i] == '.' && path.data[i + 1] == '.') return true;
    }
    return false;
}

/* Follows the links of `path` (normal, below root) one by one; NULL: all of them stay there, else why not. */
static const char* check_links(char path[RL_PATH_ROOM], rl_str_t root) {
    char target[RL_PATH_ROOM], joined[2 * RL_PATH_ROOM];
    size_t at = root.length == 1 ? 0 : root.length;
    for (int links = 0; path[at] == '/';) {
        size_t end = at + 1;
        while (path[end] && path[end] != '/') end++;
        char behind = path[end];
        path[end] = '\0';
        rl_file_status_t status;
        int error = rl_os_status(path, false, &status);
        int64_t length = error == 0 && status.sort == RL_FILE_LINK ? rl_os_read_link(path, target, sizeof target) : 0;
        path[end] = behind;
        if (error == -ENOENT) return NULL; /* nothing there, so no link either */
        if (error < 0 || length < 0 || length >= (int64_t)sizeof target) return "symlink_inspection_failed";
        if (length == 0) {
            at = end;
            continue;
        }
        if (++links > LINKS_MOST) return "symlink_inspection_failed";
        if (target[0] == '/') return "symlink_absolute_target";
        size_t rest = strlen(path + end), size = at + 1 + (size_t)length + rest;
        if (size >= RL_PATH_ROOM) return "symlink_inspection_failed";
        memcpy(joined, path, at + 1);
        memcpy(joined + at + 1, target, (size_t)length);
        /* What the link names, then what follows it: each has to be below the root. */
        char normal[2 * RL_PATH_ROOM];
        size_t normal_length = rl_path_normalize((rl_str_t){joined, at + 1 + (size_t)length}, normal);
        if (!is_below((rl_str_t){normal, normal_length}, root)) return "symlink_traversal";
        memcpy(normal + normal_length, path + end, rest + 1);
        memcpy(path, normal, normal_length + rest + 1);
        at = root.length == 1 ? 0 : root.length;
    }
    return NULL;
}

/* (path, root): 0, or why not. */
FN(rl_path_validate) {
    rl_str_t path = rl_string_str(args[0].o), root = rl_string_str(args[1].o);
    rl_io_event_t event = {.need = RL_NEED_POLICY,
        .operation = RL_STR("path.validate"),
        .path = rl_io_shown(path, RL_PATH_ROOM),
        .helper = RL_STR("path.validate"),
        .calls = 1,
        .reason = "capability_denied",
        .code = "core.path.security.capability_denied",
        .root = rl_io_shown(root, RL_PATH_ROOM)};
    rl_outcome_t outcome = rl_io_begin(vm, &event, result);
    if (outcome != RL_DONE) return rl_io_answer(outcome);
    char name[RL_PATH_ROOM], inside[RL_PATH_ROOM], normal[RL_PATH_ROOM + 2];
    event.reason = "invalid_path";
    event.code = "core.path.security.invalid";
    if (!rl_io_name(vm, &event, path, name, result, &outcome) || !rl_io_name(vm, &event, root, name, result, &outcome))
        return rl_io_answer(outcome);
    rl_str_t base = {inside, rl_path_normalize(root, inside)};
    rl_str_t plain = {normal, rl_path_normalize(path, normal)};
    rl_io_kind_t kind = RL_IO_INVALID_INPUT;
    const char* wrong = NULL;
    if (root.data[0] != '/') wrong = "relative_root_denied";
    else if (path.data[0] != '/') wrong = "relative_path_denied";
    else if (!is_below(plain, base)) {
        wrong = goes_up(path) ? "traversal_detected" : "outside_allowed_root";
        kind = RL_IO_SECURITY_VIOLATION;
        event.code = "core.path.security.violation";
    }
    if (!wrong) {
        rl_io_event_t links = event;
        links.need = RL_NEED_LINKS;
        links.reason = "capability_denied";
        links.code = "core.path.security.capability_denied";
        outcome = rl_io_begin(vm, &links, result);
        if (outcome != RL_DONE) return rl_io_answer(outcome);
        if (!rl_vm_charge(vm, RL_IO_STEPS)) return RL_RAISE;
        normal[plain.length] = '\0';
        wrong = check_links(normal, base);
        kind = RL_IO_SECURITY_VIOLATION;
        event.code = "core.path.security.symlink";
    }
    event.reason = wrong;
    if (wrong)
        return rl_io_answer(rl_io_fail(vm, event, kind, result, "%s: %.*s", wrong, RL_STR_ARG(rl_io_shown(path, 200))));
    event.code = NULL;
    result->i = 0;
    return rl_io_done(vm, &event);
}
