/*
 * The golden files: what each stage makes of the sources in tests/golden, as text made for diffs.
 *
 *   NAME.reml                the source
 *   NAME.tokens NAME.tree    what lexer and parser make of it
 *   NAME.ir NAME.bytecode    what checker and emitter make of it (when it loads)
 *   NAME.diagnostics         what a terminal shows, without colours (when there is anything to say)
 *   NAME.diagnostics.json    the same for tools, one diagnostic a line
 *   NAME.run                 what main prints, its type and its value
 *   crossings.audit.ndjson   the audit log of the scenario in test_golden__audit_lines_of_every_crossing
 *
 * REML_UPDATE_GOLDEN=1 rewrites them (`make golden`); read the diff before it is committed. Ids, times, hashes and the
 * machine's name are replaced by normalise_audit. Runs from the root of the checkout.
 */
#include "check.h"

#include "base/alloc.h"
#include "reml_audit.h"
#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "syntax/explain.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

static const char root[] = "tests/golden";
static bool update;

/* --- texts and files --------------------------------------------------------------------------------------------- */

typedef struct text {
    char* data; /* malloc'd, NUL-terminated once anything was added */
    size_t length;
} text_t;

static void text_add(text_t* text, const char* data, size_t length) {
    char* grown = realloc(text->data, text->length + length + 1);
    if (!grown) exit(2);
    memcpy(grown + text->length, data, length);
    text->data = grown;
    text->length += length;
    text->data[text->length] = '\0';
}
static void text_add_cstr(text_t* text, const char* data) { text_add(text, data, strlen(data)); }
static void text_free(text_t* text) {
    free(text->data);
    *text = (text_t){0};
}

/* False: there is no such file. */
static bool text_read(const char* path, text_t* out) {
    char chunk[4096];
    FILE* file = fopen(path, "rb");
    if (!file) return false;
    text_add(out, "", 0);
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;) text_add(out, chunk, got);
    fclose(file);
    return true;
}

static void text_write(const char* path, const text_t* text) {
    FILE* file = fopen(path, "wb");
    bool done = file && fwrite(text->data ? text->data : "", 1, text->length, file) == text->length;
    if (file) done = fclose(file) == 0 && done;
    if (!CHECK(done)) printf("  cannot write %s\n", path);
}

/* The first line in which two texts differ, both ways. */
static void show_difference(const char* path, const char* found, const char* expected) {
    unsigned line = 1;
    const char *f = found, *e = expected;
    for (const char *a = found, *b = expected; *a && *a == *b; a++, b++) {
        if (*a == '\n') line++, f = a + 1, e = b + 1;
    }
    printf("  %s:%u\n    golden: %.*s\n    found:  %.*s\n  make golden rewrites it\n", path, line,
        (int)strcspn(e, "\n"), e, (int)strcspn(f, "\n"), f);
}

/* Compare `found` with the golden file, or rewrite it. An empty text means that there must be no such file. */
static void settle(const char* name, const char* suffix, const text_t* found) {
    char path[512];
    text_t expected = {0};
    snprintf(path, sizeof path, "%s/%s%s", root, name, suffix);
    if (update) {
        if (found->length) text_write(path, found);
        else (void)unlink(path);
        return;
    }
    text_read(path, &expected);
    if (!CHECK(found->length == expected.length &&
               (found->length == 0 || memcmp(found->data, expected.data, found->length) == 0))) {
        show_difference(path, found->data ? found->data : "", expected.data ? expected.data : "");
    }
    text_free(&expected);
}

/* --- stages --------------------------------------------------------------------------------------------------------- */

static reml_embed_status_t collect(const char* data, size_t length, void* user) {
    text_add(user, data, length);
    return REML_EMBED_STATUS_OK;
}

enum { IR = 0, BYTECODE = 1, TREE = 2, TOKENS = 3 }; /* `what` of reml_embed_explain */

/*
 * Numbers of functions count the core library's too, which grows: they become 1, 2, 3 … by first appearance. Blanks at line ends,
 * which editors remove, go.
 */
static void normalise_stage(const char* data, size_t length, text_t* out) {
    static uint32_t numbers[4096];
    size_t known = 0;
    for (const char *at = data, *end = data + length; at < end;) {
        if (*at == '\n') {
            while (out->length && out->data[out->length - 1] == ' ') out->length--;
        }
        text_add(out, at++, 1);
        if (at[-1] != '@' || *at < '0' || *at > '9') continue;
        char shown[16];
        uint32_t number = (uint32_t)strtoul(at, NULL, 10);
        size_t i = 0;
        while (i < known && numbers[i] != number) i++;
        if (i == known && known < sizeof numbers / sizeof *numbers) numbers[known++] = number;
        at += strspn(at, "0123456789");
        snprintf(shown, sizeof shown, "%zu", i + 1);
        text_add_cstr(out, shown);
    }
}

static void settle_stage(reml_embed_context_t* context, const char* name, const char* suffix, int what) {
    text_t text = {0};
    char* explained = NULL;
    size_t length = 0;
    if (CHECK_INT_EQ(reml_embed_explain(context, what, "", &explained, &length), REML_EMBED_STATUS_OK)) {
        CHECK(length > 0);
        normalise_stage(explained ? explained : "", length, &text);
        settle(name, suffix, &text);
    }
    reml_embed_free(explained);
    text_free(&text);
}

/* A source that does not load still has tokens, and the tree that the parser recovered. */
static void settle_syntax(const char* name, const char* suffix, const text_t* source, bool tokens) {
    rl_allocator_t allocator;
    rl_arena_t arena;
    rl_symbols_t symbols;
    rl_buf_t out;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_arena_init(&arena, &allocator);
    rl_symbols_init(&symbols, NULL, &allocator, &arena);
    rl_buf_init(&out, &allocator);
    rl_explain_syntax(&allocator, &symbols, (rl_str_t){source->data, source->length}, tokens, &out);
    text_t text = {0};
    text_add(&text, rl_buf_cstr(&out), out.length);
    settle(name, suffix, &text);
    text_free(&text);
    rl_buf_deinit(&out);
    rl_symbols_deinit(&symbols);
    rl_arena_deinit(&arena);
}

/* A JSON list with each item on a line of its own: `},{` between items is the only place where a line may break. */
static void add_items(text_t* out, const char* json, size_t length) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        text_add(out, json + i, 1);
        if (in_string) {
            if (json[i] == '\\' && i + 1 < length) text_add(out, json + ++i, 1);
            else if (json[i] == '"') in_string = false;
            continue;
        }
        if (json[i] == '"') in_string = true;
        if (json[i] == '[' || json[i] == '{') depth++;
        if (json[i] == ']' || json[i] == '}') depth--;
        if (depth == 1 && (json[i] == '[' || json[i] == ',')) text_add_cstr(out, "\n");
    }
    text_add_cstr(out, "\n");
}

static void settle_diagnostics(reml_embed_context_t* context, const char* name) {
    text_t text = {0}, json = {0};
    reml_span_t span = {NULL, 0};
    CHECK_INT_EQ(reml_embed_diagnostics_text(context, 0, &span), REML_EMBED_STATUS_OK);
    text_add(&text, span.data ? span.data : "", span.length);
    CHECK_INT_EQ(reml_embed_diagnostics_json(context, &span), REML_EMBED_STATUS_OK);
    if (text.length) add_items(&json, span.data, span.length);
    else CHECK(span.length == 2 && memcmp(span.data, "[]", 2) == 0);
    settle(name, ".diagnostics", &text);
    settle(name, ".diagnostics.json", &json);
    text_free(&text);
    text_free(&json);
}

static void settle_run(reml_embed_context_t* context, const char* name) {
    text_t text = {0};
    reml_span_t span = {NULL, 0};
    reml_embed_set_output(context, collect, &text);
    if (CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_OK)) {
        CHECK_INT_EQ(reml_embed_result_type(context, &span), REML_EMBED_STATUS_OK);
        text_add(&text, span.data, span.length);
        text_add_cstr(&text, "\n");
        CHECK_INT_EQ(reml_embed_result_text(context, &span), REML_EMBED_STATUS_OK);
        text_add(&text, span.data, span.length);
        text_add_cstr(&text, "\n");
        settle(name, ".run", &text);
    } else {
        printf("  %s: %s\n", name, reml_last_error(context));
    }
    text_free(&text);
}

static void settle_source(const char* file_name) {
    char name[256], path[512];
    text_t source = {0};
    reml_embed_context_t* context = NULL;
    reml_embed_source_t input = REML_EMBED_SOURCE_INIT;
    snprintf(name, sizeof name, "%.*s", (int)(strlen(file_name) - strlen(".reml")), file_name);
    snprintf(path, sizeof path, "%s/%s", root, file_name);
    if (!CHECK(text_read(path, &source)) ||
        !CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &context), REML_EMBED_STATUS_OK)) {
        text_free(&source);
        return;
    }
    input.text = source.data;
    input.text_length = source.length;
    input.file_name = file_name;
    input.file_name_length = strlen(file_name);
    reml_embed_status_t status = reml_embed_load(context, &input);
    settle_diagnostics(context, name);
    if (status == REML_EMBED_STATUS_OK) {
        settle_stage(context, name, ".tokens", TOKENS);
        settle_stage(context, name, ".tree", TREE);
        settle_stage(context, name, ".ir", IR);
        settle_stage(context, name, ".bytecode", BYTECODE);
        settle_run(context, name);
    } else {
        if (!CHECK(strstr(name, "errors") != NULL)) printf("  %s: %s\n", file_name, reml_last_error(context));
        settle_syntax(name, ".tokens", &source, true);
        settle_syntax(name, ".tree", &source, false);
    }
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_OK);
    text_free(&source);
}

static int is_source(const struct dirent* entry) {
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".reml") == 0;
}

TEST(test_golden__every_stage_of_every_source) {
    struct dirent** entries = NULL;
    int count = scandir(root, &entries, is_source, alphasort);
    if (!CHECK(count > 0)) return;
    for (int i = 0; i < count; i++) {
        settle_source(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* A source that was renamed or removed must not leave its golden files behind. */
TEST(test_golden__no_file_without_a_source) {
    DIR* d = opendir(root);
    if (!CHECK(d != NULL)) return;
    for (struct dirent* entry; (entry = readdir(d));) {
        char path[512];
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "crossings.audit.ndjson") == 0) continue;
        snprintf(path, sizeof path, "%s/%.*s.reml", root, (int)strcspn(entry->d_name, "."), entry->d_name);
        if (!CHECK(access(path, F_OK) == 0)) printf("  %s/%s has no source\n", root, entry->d_name);
    }
    closedir(d);
}

/* --- audit lines ------------------------------------------------------------------------------------------------------ */

/*
 * The one normaliser of audit lines: members whose values differ from run to run or from machine to machine keep their key
 * and get a value in angle brackets. A hash is numbered by its first appearance, so that the chain stays visible.
 */
static void normalise_audit(const text_t* log, text_t* out) {
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"\"timestamp\":", "\"<time>\""},
        {"\"ffi.first_at\":", "\"<time>\""},
        {"\"ffi.last_at\":", "\"<time>\""},
        {"\"audit_id\":", "\"<id>\""},
        {"\"latency_ns\":", "\"<ns>\""},
        {"\"target.arch\":", "\"<machine>\""},
        {"\"target.os\":", "\"<machine>\""},
        {"\"target.triple\":", "\"<machine>\""},
        {"\"abi\":", "\"<machine>\""},
        {"\"expected_abi\":", "\"<machine>\""},
        {"\"arch\":", "\"<machine>\""},
        {"\"platform\":", "\"<machine>\""},
        {"\"target\":", "\"<machine>\""},
        {"\"audit.chain.hash\":", NULL},
        {"\"audit.chain.previous\":", NULL},
    };
    static char hashes[256][65];
    size_t hash_count = 0;
    for (const char* at = log->data; *at;) {
        size_t row = 0;
        while (row < sizeof rows / sizeof *rows && strncmp(at, rows[row].key, strlen(rows[row].key)) != 0) row++;
        if (row == sizeof rows / sizeof *rows) {
            text_add(out, at++, 1);
            continue;
        }
        text_add_cstr(out, rows[row].key);
        at += strlen(rows[row].key);
        const char* value = at;
        at += *at == '"' ? strcspn(at + 1, "\"") + 2 : strcspn(at, ",}");
        if (rows[row].value) {
            text_add_cstr(out, rows[row].value);
            continue;
        }
        char hash[65], shown[32];
        size_t number = 0;
        snprintf(hash, sizeof hash, "%.*s", (int)(at - value - 2), value + 1);
        if (strspn(hash, "0") == 64) { /* before the first record */
            text_add_cstr(out, "\"<start>\"");
            continue;
        }
        while (number < hash_count && strcmp(hashes[number], hash) != 0) number++;
        if (number == hash_count && hash_count < sizeof hashes / sizeof *hashes)
            memcpy(hashes[hash_count++], hash, sizeof hash);
        snprintf(shown, sizeof shown, "\"<hash %zu>\"", number + 1);
        text_add_cstr(out, shown);
    }
}

static const char crossings_source[] = "module Golden.Crossings\n"
                                       "\n"
                                       "fn add(a: Int, b: Int) -> Int = a + b\n"
                                       "fn shout(text: Str) -> Str = Host.echo(text) + \"!\"\n"
                                       "fn refused(text: Str) -> Str = Host.refuse(text)\n"
                                       "fn doubled(n: Int) -> Int = Host.double(n)\n"
                                       "fn divide(a: Int, b: Int) -> Int = a / b\n"
                                       "fn main() -> Str = \"done\"\n";

static reml_embed_status_t host_echo(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out_result, void* user) {
    reml_span_t text = {NULL, 0};
    (void)count;
    (void)user;
    reml_embed_status_t status = reml_value_span(context, arguments[0], &text);
    return status == REML_EMBED_STATUS_OK ? reml_value_string(context, text.data, text.length, out_result) : status;
}
static reml_embed_status_t host_refuse(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out_result, void* user) {
    static const char why[] = "not today";
    (void)arguments;
    (void)count;
    (void)out_result;
    (void)user;
    reml_host_fail(context, why, sizeof why - 1);
    return REML_EMBED_STATUS_ERROR;
}
static reml_embed_status_t host_double(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out_result, void* user) {
    (void)context;
    (void)user;
    out_result->i = arguments[0].i * 2;
    return REML_EMBED_STATUS_OK;
}

static void define(reml_embed_context_t* context, const char* name, const char* signature, reml_host_fn call,
    reml_host_scalar_fn scalars) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = signature;
    function.call = call;
    function.call_scalars = scalars;
    if (!CHECK_INT_EQ(reml_host_define(context, &function), REML_EMBED_STATUS_OK))
        printf("  %s\n", reml_last_error(context));
}

static reml_function_t found(reml_embed_context_t* context, const char* name) {
    reml_function_t function;
    if (!CHECK_INT_EQ(reml_function_find(context, name, strlen(name), NULL, 0, &function), REML_EMBED_STATUS_OK)) {
        printf("  %s\n", reml_last_error(context));
    }
    return function;
}

static reml_embed_status_t call_text(reml_embed_context_t* context, reml_function_t function, const char* text) {
    reml_value_t argument, result;
    CHECK_INT_EQ(reml_value_string(context, text, strlen(text), &argument), REML_EMBED_STATUS_OK);
    reml_embed_status_t status = reml_function_call(context, function, &argument, 1, &result);
    CHECK_INT_EQ(reml_value_release(context, argument), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(reml_value_release(context, result), REML_EMBED_STATUS_OK);
    return status;
}

/* Every way across the border once, good and bad. */
static void cross(reml_embed_context_t* context) {
    reml_scalar_t two[2] = {{.i = 7}, {.i = 0}}, result;
    reml_value_t taken;
    reml_span_t text;
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_ERROR); /* nothing is loaded */
    CHECK_INT_EQ(
        reml_load_module(context, (const unsigned char*)"fn main() -> Int = nothing", 26), REML_EMBED_STATUS_ERROR);
    define(context, "Host.echo", "(text: Str) -> Str", host_echo, NULL);
    define(context, "Host.refuse", "(text: Str) -> Str", host_refuse, NULL);
    define(context, "Host.double", "(n: Int) -> Int", NULL, host_double);
    if (!CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)crossings_source, strlen(crossings_source)),
            REML_EMBED_STATUS_OK)) {
        printf("  %s\n", reml_last_error(context));
        return;
    }
    CHECK_INT_EQ(reml_run(context, "nowhere"), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(reml_embed_result_text(context, &text), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(reml_embed_result_take(context, &taken), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, taken), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(reml_ffi_release_transferred(context, taken), REML_EMBED_STATUS_STALE);

    CHECK_INT_EQ(reml_function_call_scalars(context, found(context, "add"), two, 2, &result), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(result.i, 7);
    CHECK_INT_EQ(
        reml_function_call_scalars(context, found(context, "divide"), two, 2, &result), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(call_text(context, found(context, "shout"), "hello"), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(call_text(context, found(context, "refused"), "please"), REML_EMBED_STATUS_ERROR);

    /* From here on good calls are counted, failing ones still told singly. */
    CHECK_INT_EQ(reml_embed_audit_policy(context, REML_AUDIT_POLICY_SUMMARY, REML_AUDIT_ON_FAILURE_REFUSE, 3600000),
        REML_EMBED_STATUS_OK);
    reml_function_t doubled = found(context, "doubled"), divide = found(context, "divide");
    for (int i = 0; i < 1000; i++) {
        CHECK_INT_EQ(reml_function_call_scalars(context, doubled, two, 1, &result), REML_EMBED_STATUS_OK);
        if (i == 500)
            CHECK_INT_EQ(reml_function_call_scalars(context, divide, two, 2, &result), REML_EMBED_STATUS_ERROR);
    }
    CHECK_INT_EQ(result.i, 14);
}

TEST(test_golden__audit_lines_of_every_crossing) {
    char directory[] = "/tmp/reml-golden-XXXXXX", path[64], journal[80];
    reml_embed_context_t* context = NULL;
    text_t log = {0}, lines = {0};
    if (!CHECK(mkdtemp(directory) != NULL)) return;
    snprintf(path, sizeof path, "%s/audit.ndjson", directory);
    snprintf(journal, sizeof journal, "%s.journal", path);
    CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &context), REML_EMBED_STATUS_OK);
    reml_audit_file_options_t options = REML_AUDIT_FILE_OPTIONS_INIT;
    options.path = path;
    options.policy = REML_AUDIT_POLICY_EVERY;
    CHECK_INT_EQ(reml_embed_set_audit_file(context, &options), REML_EMBED_STATUS_OK);
    cross(context);
    CHECK_INT_EQ(reml_dispose_context(context), REML_EMBED_STATUS_OK);

    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    CHECK_INT_EQ(reml_audit_verify(path, NULL, &report), REML_EMBED_STATUS_OK);
    CHECK_INT_EQ(report.verdict, REML_AUDIT_VERDICT_OK);
    if (CHECK(text_read(path, &log))) {
        normalise_audit(&log, &lines);
        settle("crossings", ".audit.ndjson", &lines);
    }
    (void)unlink(path);
    (void)unlink(journal);
    (void)rmdir(directory);
    text_free(&log);
    text_free(&lines);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_golden__every_stage_of_every_source),
        RUN(test_golden__no_file_without_a_source),
        RUN(test_golden__audit_lines_of_every_crossing),
    };
    const char* asked = getenv("REML_UPDATE_GOLDEN");
    update = asked && strcmp(asked, "1") == 0;
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
