/*
 * The language tests: every .reml file below tests/language is one rule, every one below tests/programs a textbook program. What must happen stands in the file, on the line it
 * concerns:
 *
 *   // error: type.mismatch        this line has exactly this diagnostic (also warning:, hint:); loading fails for errors
 *   // expect: [1, 2]              Display text of the result of main (once per file)
 *   // prints: hello               a line that main prints, in order
 *   // panic: runtime.assert       running main fails with this code, at this line
 *
 * What concerns the whole file stands anywhere in it:
 *
 *   // option: strict_top_level    also deny_non_exhaustive, warnings_as_errors, minimum_stage=0 … 2, and the texts of
 *                                   reml_embed_target_t and granted_capabilities as name=text; opt_in=FEATURES, enable=IDS,
 *                                   demand_opt_in, acknowledge: reml_effects_options_t; scratch: Env.args() is an empty
 *                                   folder, removed afterwards
 *   // entry: Tools.start          what is run instead of main; nothing: initialisation only
 *   // again: runtime.init.failed  a second run fails with this code (or "ok")
 *
 * A file may hold several sources, loaded in order into one context; each begins at a line of its own:
 *
 *   // file: tools.reml            (or `// ambient: tools.reml`: visible to later ones without `use`)
 *
 * Diagnostics that no comment announces fail the test, warnings too. Run from the root of the checkout; arguments pick files
 * whose path contains one of them.
 */
#include "check.h"

#include "reml_program.h"

#include "host/context.h"

#include <dirent.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct text {
    char data[1 << 16];
    size_t length;
} text_t;

typedef struct expectation {
    char kind[16];
    char value[512];
    uint32_t line;
    bool met;
} expectation_t;

static unsigned files_passed, files_failed;

/* Timers go by a clock that moves only when a program waits. */
static uint64_t virtual_now;
static uint64_t virtual_clock(void* user) {
    (void)user;
    return virtual_now;
}
static reml_embed_status_t virtual_wait(uint64_t nanoseconds, void* user) {
    (void)user;
    if (nanoseconds == UINT64_MAX) return REML_EMBED_STATUS_ERROR;
    virtual_now += nanoseconds;
    return REML_EMBED_STATUS_OK;
}

static reml_embed_status_t collect_output(const char* data, size_t length, void* user) {
    text_t* text = user;
    if (text->length + length < sizeof text->data) {
        memcpy(text->data + text->length, data, length);
        text->length += length;
    }
    return REML_EMBED_STATUS_OK;
}

/* Expectations in order; answers their number. */
static size_t read_expectations(const char* source, expectation_t* out, size_t capacity) {
    static const char* const kinds[] = {
        "error", "warning", "hint", "expect", "prints", "panic", "option", "entry", "again", "file", "ambient"};
    size_t count = 0;
    uint32_t line = 1;
    for (const char* at = source; *at; line++) {
        const char* end = strchr(at, '\n');
        if (!end) end = at + strlen(at);
        for (const char* mark = at; (mark = strstr(mark, "// ")) != NULL && mark < end; mark += 3) {
            for (size_t k = 0; k < RL_COUNT_OF(kinds); k++) {
                size_t length = strlen(kinds[k]);
                if (strncmp(mark + 3, kinds[k], length) != 0 || mark[3 + length] != ':') continue;
                const char* value = mark + 3 + length + 1;
                if (*value == ' ') value++;
                const char* stop = strstr(value, " // ");
                if (!stop || stop > end) stop = end;
                if (count == capacity) return count;
                expectation_t* e = &out[count++];
                snprintf(e->kind, sizeof e->kind, "%s", kinds[k]);
                snprintf(e->value, sizeof e->value, "%.*s", (int)(stop - value), value);
                e->line = line;
                e->met = false;
            }
        }
        at = *end ? end + 1 : end;
    }
    return count;
}

static void complain(const char* path, uint32_t line, const char* what, const char* detail) {
    check_failures++;
    printf("%s:%u: %s %s\n", path, line, what, detail);
}

static const char* severity_name(rl_severity_t severity) {
    static const char* const names[] = {"error", "warning", "info", "hint"};
    return names[severity];
}

static bool expects(const expectation_t* e, size_t count, const char* kind) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(e[i].kind, kind) == 0) return true;
    }
    return false;
}

static const char* value_of(const expectation_t* e, size_t count, const char* kind, const char* otherwise) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(e[i].kind, kind) == 0) return e[i].value;
    }
    return otherwise;
}

static void compare_diagnostics(const char* path, const rl_diags_t* diags, expectation_t* e, size_t count) {
    for (uint32_t i = 0; i < diags->items.count; i++) {
        const rl_diag_t* diag = &diags->items.data[i];
        uint32_t line = rl_position_of(diags->source, diag->span.start).line;
        bool found = false;
        for (size_t k = 0; k < count && !found; k++) {
            if (e[k].met || e[k].line != line || strcmp(e[k].kind, severity_name(diag->severity)) != 0) continue;
            if (strcmp(e[k].value, rl_code_text(diag->code)) != 0) continue;
            e[k].met = found = true;
        }
        if (found) continue;
        char text[768];
        snprintf(text, sizeof text, "%s %s: %.*s", severity_name(diag->severity), rl_code_text(diag->code),
            RL_STR_ARG(diag->message));
        complain(path, line, "unexpected", text);
    }
}

/* Every allocation collects: a program that takes seconds does not end in reasonable time. What it did until then was under stress. */
enum { STRESS_MS = 10000 };
static bool under_stress(void) { return getenv("REML_STRESS_GC") != NULL; }

static void compare_run(const char* path, rl_context_t* context, const text_t* output, expectation_t* e, size_t count) {
    reml_span_t shown = {NULL, 0};
    reml_embed_status_t status = reml_run(context->id, value_of(e, count, "entry", "main"));
    const char* error = reml_last_error(context->id);
    if (under_stress() && status != REML_EMBED_STATUS_OK && context->error_code == RL_CODE_RUNTIME_LIMIT_DEADLINE) {
        for (size_t i = 0; i < count; i++) e[i].met = true;
        return;
    }
    if (expects(e, count, "panic")) {
        if (status == REML_EMBED_STATUS_OK) complain(path, 0, "did not panic", "");
        const rl_failure_t* failure = &context->vm.failure;
        uint32_t line =
            failure->module ? rl_program_line_of(&context->program, failure->module, failure->start).line : 0;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(e[i].kind, "panic") != 0) continue;
            e[i].met = true;
            if (status == REML_EMBED_STATUS_OK) continue;
            if (!failure->present && strcmp(e[i].value, rl_code_text(context->error_code)) == 0)
                continue; /* no code of it ran: an instance could not be made */
            if (strcmp(e[i].value, rl_code_text(failure->code)) != 0)
                complain(path, e[i].line, "panicked otherwise:", error ? error : "?");
            else if (line != e[i].line) complain(path, line, "panicked at another line than", e[i].value);
        }
    } else if (status != REML_EMBED_STATUS_OK) {
        complain(path, 0, "run failed:", error ? error : "?");
    }
    if (status == REML_EMBED_STATUS_OK && expects(e, count, "expect")) reml_embed_result_text(context->id, &shown);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(e[i].kind, "expect") == 0) {
            e[i].met = true;
            if (status != REML_EMBED_STATUS_OK) continue;
            if (shown.length != strlen(e[i].value) || memcmp(shown.data, e[i].value, shown.length) != 0) {
                char text[1200];
                snprintf(
                    text, sizeof text, "%.*s, expected %s", (int)shown.length, (const char*)shown.data, e[i].value);
                complain(path, e[i].line, "main is", text);
            }
        } else if (strcmp(e[i].kind, "prints") == 0) {
            const char* end = memchr(output->data + at, '\n', output->length - at);
            size_t length = end ? (size_t)(end - output->data) - at : output->length - at;
            e[i].met = true;
            if (length != strlen(e[i].value) || memcmp(output->data + at, e[i].value, length) != 0) {
                char text[1200];
                snprintf(text, sizeof text, "\"%.*s\", expected \"%s\"", (int)length, output->data + at, e[i].value);
                complain(path, e[i].line, "printed", text);
            }
            at = end ? (size_t)(end - output->data) + 1 : output->length;
        }
    }
    if (expects(e, count, "prints") && at < output->length) complain(path, 0, "printed more:", output->data + at);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(e[i].kind, "entry") == 0) e[i].met = true;
        if (strcmp(e[i].kind, "again") != 0) continue;
        e[i].met = true;
        status = reml_run(context->id, value_of(e, count, "entry", "main"));
        const char* code = status == REML_EMBED_STATUS_OK ? "ok" : rl_code_text(context->error_code);
        if (strcmp(e[i].value, code) != 0) complain(path, e[i].line, "the second run:", code);
    }
}

/* A source of the file ends where the next begins. */
static bool begins_source(const expectation_t* e) {
    return strcmp(e->kind, "file") == 0 || strcmp(e->kind, "ambient") == 0;
}

/* Errors are announced between these lines. */
static bool expects_error(const expectation_t* e, size_t count, uint32_t first, uint32_t end) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(e[i].kind, "error") == 0 && e[i].line >= first && e[i].line < end) return true;
    }
    return false;
}

static bool wants_scratch;

static int remove_entry(const char* path, const struct stat* status, int kind, struct FTW* place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

/* Texts are borrowed from the expectations. */
static void read_options(const char* path, expectation_t* e, size_t count, reml_embed_options_t* options,
    reml_embed_target_t* target, reml_effects_options_t* effects) {
    const struct {
        const char* name;
        const char** place;
    } texts[] = {{"os", &target->os}, {"family", &target->family}, {"arch", &target->arch}, {"abi", &target->abi},
        {"env", &target->env}, {"vendor", &target->vendor}, {"profile_id", &target->profile_id},
        {"runtime_revision", &target->runtime_revision}, {"stdlib_version", &target->stdlib_version},
        {"features", &target->features}, {"capabilities", &target->capabilities},
        {"known_capabilities", &target->known_capabilities}, {"runners", &target->runners},
        {"known_runners", &target->known_runners}, {"extra", &target->extra},
        {"granted_capabilities", &options->granted_capabilities}, {"opt_in", &effects->features},
        {"enable", &effects->capabilities}};
    options->target = target;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(e[i].kind, "option") != 0) continue;
        const char* text = e[i].value;
        const char* value = strchr(text, '=');
        bool known = false;
        for (size_t k = 0; value && k < RL_COUNT_OF(texts); k++) {
            if (strlen(texts[k].name) != (size_t)(value - text) || memcmp(text, texts[k].name, (size_t)(value - text)))
                continue;
            *texts[k].place = value + 1;
            known = true;
        }
        e[i].met = true;
        if (strncmp(text, "minimum_stage=", 14) == 0) options->minimum_stage = (uint32_t)atoi(text + 14);
        else if (strcmp(text, "strict_top_level") == 0) options->flags |= REML_EMBED_OPTION_STRICT_TOP_LEVEL;
        else if (strcmp(text, "deny_non_exhaustive") == 0) options->flags |= REML_EMBED_OPTION_DENY_NON_EXHAUSTIVE;
        else if (strcmp(text, "warnings_as_errors") == 0) options->flags |= REML_EMBED_OPTION_WARNINGS_AS_ERRORS;
        else if (strcmp(text, "demand_opt_in") == 0) effects->flags |= REML_EFFECTS_DEMAND_OPT_IN;
        else if (strcmp(text, "scratch") == 0) wants_scratch = true;
        else if (strcmp(text, "acknowledge") == 0) effects->flags |= REML_EFFECTS_ACKNOWLEDGE;
        else if (!known) complain(path, e[i].line, "no such option:", text);
    }
}

/* Everything once more, with sources compiled elsewhere (reml_program.h): all must be as if they were loaded. */
static bool through_programs;
static reml_embed_context_t* compiling; /* made like the context under test */
static unsigned shared_files;

static reml_embed_status_t load_through_program(rl_context_t* context, const reml_embed_source_t* source) {
    reml_program_t* program = NULL;
    if (reml_program_compile(compiling, source, 1, &program) != REML_EMBED_STATUS_OK)
        return reml_embed_load(context->id, source);
    reml_embed_status_t status = reml_program_load(context->id, program);
    reml_program_release(program);
    shared_files += context->program.lender != NULL;
    return status;
}

/*
 * Load the lines first … end - 1 as one source. Lines before it become empty ones, so that positions are those of the
 * file. True: it loaded.
 */
static bool load_part(const char* path, rl_context_t* context, const char* source, uint32_t first, uint32_t end,
    const char* name, bool ambient, expectation_t* e, size_t count) {
    static char part[1 << 20];
    size_t length = 0;
    uint32_t line = 1;
    for (const char* at = source; *at && line < end; at++) {
        if (line >= first || *at == '\n') part[length++] = *at;
        line += *at == '\n';
    }
    reml_embed_source_t given = REML_EMBED_SOURCE_INIT;
    given.text = part;
    given.text_length = length;
    given.file_name = name;
    given.file_name_length = strlen(name);
    if (ambient) given.flags |= REML_EMBED_SOURCE_AMBIENT;
    reml_embed_status_t status =
        through_programs ? load_through_program(context, &given) : reml_embed_load(context->id, &given);
    compare_diagnostics(path, &context->diagnostics, e, count);
    bool loads = !expects_error(e, count, first, end);
    if ((status == REML_EMBED_STATUS_OK) != loads)
        complain(path, first, loads ? "does not load:" : "loads", loads ? reml_last_error(context->id) : "");
    return status == REML_EMBED_STATUS_OK;
}

static void test_file(const char* path) {
    static char source[1 << 20];
    static text_t output;
    static expectation_t e[512];
    FILE* file = fopen(path, "rb");
    size_t length = file ? fread(source, 1, sizeof source - 1, file) : 0;
    if (file) fclose(file);
    source[length] = '\0';
    output.length = 0;
    size_t count = read_expectations(source, e, RL_COUNT_OF(e));
    unsigned before = check_failures;
    if (count == 0) complain(path, 1, "says nothing about what must happen", "");

    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.deadline_ms = under_stress() ? STRESS_MS : 60000;
    limits.heap_bytes = 512u << 20;
    options.limits = &limits;
    reml_embed_target_t target = REML_EMBED_TARGET_INIT;
    reml_effects_options_t effects = REML_EFFECTS_OPTIONS_INIT;
    wants_scratch = false;
    read_options(path, e, count, &options, &target, &effects);
    if (under_stress()) options.flags |= REML_EMBED_OPTION_STRESS_GC;
    reml_embed_context_t* id = NULL;
    if (reml_embed_create("0.1.0", &options, &id) != REML_EMBED_STATUS_OK) {
        complain(path, 0, "no context:", reml_embed_last_create_error());
        return;
    }
    (void)reml_embed_set_effects(id, &effects);
    if (through_programs && reml_embed_create("0.1.0", &options, &compiling) == REML_EMBED_STATUS_OK)
        (void)reml_embed_set_effects(compiling, &effects);
    reml_embed_set_output(id, collect_output, &output);
    char scratch[] = "/tmp/reml-language-XXXXXX";
    const char* arguments[] = {scratch};
    bool has_scratch = wants_scratch && mkdtemp(scratch) != NULL;
    if (has_scratch) reml_embed_set_args(id, arguments, 1);
    virtual_now = 0;
    reml_embed_set_clock(id, virtual_clock, NULL);
    reml_embed_set_wait(id, virtual_wait, NULL);
    rl_context_t* context = NULL;
    rl_slot_resolve(id, &context);
    bool several = false, loaded = true;
    for (size_t i = 0; i < count; i++) {
        if (!begins_source(&e[i])) continue;
        uint32_t end = UINT32_MAX;
        for (size_t k = count; k-- > i + 1;) {
            if (begins_source(&e[k])) end = e[k].line;
        }
        several = e[i].met = true;
        bool ambient = strcmp(e[i].kind, "ambient") == 0;
        loaded = load_part(path, context, source, e[i].line, end, e[i].value, ambient, e, count);
    }
    if (!several) loaded = load_part(path, context, source, 1, UINT32_MAX, path, false, e, count);
    if (through_programs) reml_dispose_context(compiling); /* the program outlives it */
    if (loaded) compare_run(path, context, &output, e, count);
    if (has_scratch) (void)nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < count; i++) {
        if (!e[i].met) complain(path, e[i].line, "did not happen:", e[i].value);
    }
    reml_dispose_context(id);
    if (check_failures == before) files_passed++;
    else files_failed++;
}

static int by_name(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static void walk(const char* folder, int argc, char** argv) {
    DIR* dir = opendir(folder);
    char* names[4096];
    size_t count = 0;
    struct dirent* entry;
    while (dir && (entry = readdir(dir)) && count < RL_COUNT_OF(names)) {
        if (entry->d_name[0] == '.') continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        names[count++] = strdup(path);
    }
    if (dir) closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        struct stat info;
        size_t length = strlen(names[i]);
        if (stat(names[i], &info) == 0 && S_ISDIR(info.st_mode)) walk(names[i], argc, argv);
        else if (length > 5 && strcmp(names[i] + length - 5, ".reml") == 0 && check_is_wanted(names[i], argc, argv))
            test_file(names[i]);
        free(names[i]);
    }
}

int main(int argc, char** argv) {
    const char* other = getenv("REML_LANGUAGE_TESTS");
    walk(other ? other : "tests/language", argc, argv);
    if (!other) walk("tests/programs", argc, argv);
    through_programs = !under_stress();
    if (through_programs) walk(other ? other : "tests/language", argc, argv);
    printf("%u of them through shared programs\n", shared_files);
    if (through_programs && argc == 1 && !other && !CHECK(shared_files > 300)) files_failed++;
    printf("%u passed, %u failed\n", files_passed, files_failed);
    return files_failed || !files_passed;
}
