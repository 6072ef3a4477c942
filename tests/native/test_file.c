/* Files of scripts (LANGUAGE 8.10, CONTRACTS 6): what the language tests cannot see: descriptors, records, refusals, limits, memory. */
#include "check.h"

#include "reml_async.h"
#include "reml_audit.h"
#include "reml_capability.h"
#include "reml_value.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OK REML_EMBED_STATUS_OK

static char folder[64]; /* of the running test */

static int remove_entry(const char* path, const struct stat* status, int kind, struct FTW* place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}
static void begin(void) {
    snprintf(folder, sizeof folder, "/tmp/reml-file-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
}
static void end(void) { (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS); }

static const char* at(const char* name) {
    static char paths[4][512];
    static unsigned next;
    char* path = paths[next++ % 4];
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}
static void put(const char* name, const char* text) {
    FILE* file = fopen(at(name), "wb");
    if (!CHECK(file != NULL)) return;
    fputs(text, file);
    fclose(file);
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR* directory = opendir("/proc/self/fd");
    if (!directory) return 0;
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

typedef struct records {
    char text[1 << 16];
    size_t length;
} records_t;
static records_t records;
static int collect(const char* line, size_t length, void* user) {
    (void)user;
    if (records.length + length + 1 < sizeof records.text) {
        memcpy(records.text + records.length, line, length);
        records.length += length;
        records.text[records.length++] = '\n';
    }
    records.text[records.length] = '\0';
    return 0;
}

/* A context whose Env.args() is the folder. */
static reml_embed_context_t* open_context(const char* grants, uint64_t deadline_ms) {
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.deadline_ms = deadline_ms;
    limits.string_bytes = 1 << 20;
    options.limits = &limits;
    options.granted_capabilities = grants;
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK);
    const char* arguments[] = {folder};
    CHECK_INT_EQ(reml_embed_set_args(context, arguments, 1), OK);
    records.length = 0;
    CHECK_INT_EQ(reml_embed_set_audit_sink(context, collect, NULL, NULL), OK);
    return context;
}

static bool load(reml_embed_context_t* context, const char* body) {
    char source[8192];
    int length = snprintf(source, sizeof source,
        "use Core.IO\nuse Core.Path\nfn at(name: Str) -> Path = Path.path(Env.args()[0]).join(name)\n%s\n", body);
    reml_embed_status_t status = reml_load_module(context, (const unsigned char*)source, (size_t)length);
    if (status != OK) printf("%s\n", reml_last_error(context));
    return CHECK_INT_EQ(status, OK);
}

static const char* shown(reml_embed_context_t* context) {
    static char text[4096];
    reml_span_t span = {NULL, 0};
    if (reml_embed_result_text(context, &span) != OK) return "";
    snprintf(text, sizeof text, "%.*s", (int)span.length, (const char*)span.data);
    return text;
}

/* What `fn main() -> …` of the body answers. */
static void answers(reml_embed_context_t* context, const char* body, const char* expected) {
    char source[4096];
    snprintf(source, sizeof source, "fn main() -> Str = to_string(%s)", body);
    if (!load(context, source)) return;
    if (!CHECK_INT_EQ(reml_run(context, "main"), OK)) printf("%s\n", reml_last_error(context));
    CHECK_STR_EQ(shown(context), expected);
}

/* --- kinds of errors --------------------------------------------------------------------------------------------------- */

TEST(test_file__each_failure_is_an_error_with_its_kind) {
    begin();
    put("file", "x");
    put("bad", "a\xff");
    mkdir(at("dir"), 0700);
    CHECK_INT_EQ(symlink("loop", at("loop")), 0);
    CHECK_INT_EQ(symlink("nothing", at("dangling")), 0);
    CHECK_INT_EQ(mkfifo(at("fifo"), 0600), 0);
    static const struct {
        const char *body, *expected;
    } cases[] = {
        {"IO.read_text(at(\"none\")).map_err(|e| e.kind)", "Err(\"NotFound\")"},
        {"IO.read_text(at(\"file/x\")).map_err(|e| e.kind)", "Err(\"NotFound\")"},
        {"IO.read_text(at(\"dir\")).map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.write_text(at(\"dir\"), \"\").map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.remove(at(\"dir\")).map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.with_writer(at(\"dir\"), |w| Ok(1)).map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.read_text(at(\"loop\")).map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.exists(at(\"loop\")).map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.exists(at(\"dangling\"))", "Ok(false)"},
        {"IO.write_text(at(\"dangling\"), \"\").map_err(|e| e.kind)", "Err(\"NotFound\")"},
        {"IO.remove(at(\"dangling\"))", "Ok(())"},
        {"IO.read_text(at(\"fifo\")).map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.write_text(at(\"fifo\"), \"x\").map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.with_writer(at(\"fifo\"), |w| Ok(1)).map_err(|e| e.kind)", "Err(\"NotFound\")"},
        {"IO.read_text(at(\"bad\")).map_err(|e| (e.kind, e.context.unwrap().bytes_processed))",
            "Err((\"InvalidInput\", Some(1)))"},
        {"IO.with_reader(at(\"bad\"), |r| r.read_line()).map_err(|e| e.kind)", "Err(\"InvalidInput\")"},
        {"IO.read_bytes(at(\"bad\"))", "Ok(Bytes[61 ff])"},
        {"IO.write_text(Path.path(\"/dev/full\"), \"x\").map_err(|e| (e.kind, e.message))",
            "Err((\"WriteZero\", \"/dev/full: no space is left\"))"},
        {"IO.with_writer(Path.path(\"/dev/full\"), |w| w.write_text(\"x\")).map_err(|e| e.kind)", "Err(\"WriteZero\")"},
        {"IO.write_text(Path.path(\"/dev/null\"), \"x\")", "Ok(())"},
        {"IO.read_text(Path.path(\"/dev/null\"))", "Ok(\"\")"},
        {"IO.with_reader(Path.path(\"/dev/zero\"), |r| r.read(3))", "Ok(Bytes[00 00 00])"},
        {"IO.write_text(at(\"none/x\"), \"\").map_err(|e| e.kind)", "Err(\"NotFound\")"},
        {"IO.read_text(Path.path(\"/proc/self/status\")).map(|t| t.starts_with(\"Name:\"))", "Ok(true)"},
    };
    unsigned before = open_descriptors();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reml_embed_context_t* context = open_context(NULL, 10000);
        answers(context, cases[i].body, cases[i].expected);
        CHECK_INT_EQ(open_descriptors(), before);
        reml_dispose_context(context);
    }
    struct stat status;
    CHECK(stat("/dev/full", &status) == 0 && S_ISCHR(status.st_mode)); /* not replaced by a file */
    end();
}

TEST(test_file__a_folder_that_cannot_be_written_is_permission_denied) {
    if (geteuid() == 0) return; /* root may */
    begin();
    mkdir(at("closed"), 0500);
    reml_embed_context_t* context = open_context(NULL, 0);
    answers(context, "IO.write_text(at(\"closed/x\"), \"\").map_err(|e| e.kind)", "Err(\"PermissionDenied\")");
    reml_dispose_context(context);
    chmod(at("closed"), 0700);
    end();
}

TEST(test_file__names_that_are_not_utf8_are_a_clear_error_of_glob) {
    begin();
    put("fine", "");
    put("b\xff", "");
    reml_embed_context_t* context = open_context(NULL, 0);
    answers(context, "Path.glob(at(\"f*\").to_string()).is_err()", "true");
    CHECK(strstr(records.text, "\"io.glob.offending_path\"") != NULL);
    CHECK(strstr(records.text, "core.path.glob.invalid_input") != NULL);
    reml_dispose_context(context);
    context = open_context(NULL, 0);
    answers(context, "Path.glob(at(\"fine\").to_string()).map(|l| l.len())", "Ok(1)");
    reml_dispose_context(context);
    end();
}

TEST(test_file__links_that_leave_the_root_are_refused) {
    begin();
    mkdir(at("root"), 0700);
    mkdir(at("root/in"), 0700);
    CHECK_INT_EQ(symlink("in", at("root/good")), 0);
    CHECK_INT_EQ(symlink("/etc", at("root/absolute")), 0);
    CHECK_INT_EQ(symlink("../..", at("root/out")), 0);
    CHECK_INT_EQ(symlink("good/../out", at("root/turn")), 0);
    CHECK_INT_EQ(symlink("self", at("root/self")), 0);
    static const char* const cases[][2] = {
        {"good/x", "Ok(true)"},
        {"in/new/file", "Ok(true)"},
        {"absolute/passwd", "Err(\"symlink_absolute_target\")"},
        {"out/x", "Err(\"symlink_traversal\")"},
        {"turn/x", "Err(\"symlink_traversal\")"},
        {"self/x", "Err(\"symlink_inspection_failed\")"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reml_embed_context_t* context = open_context(NULL, 0);
        char body[256];
        snprintf(body, sizeof body,
            "Path.validate(at(\"root/%s\"), at(\"root\")).map(|p| p.is_absolute()).map_err(|e| e.message.split(\": "
            "\")[0])",
            cases[i][0]);
        answers(context, body, cases[i][1]);
        reml_dispose_context(context);
    }
    end();
}

/* --- whole files -------------------------------------------------------------------------------------------------------- */

static unsigned entries(void) {
    unsigned count = 0;
    DIR* directory = opendir(folder);
    for (const struct dirent* entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.' || entry->d_name[1];
    closedir(directory);
    return count - 1; /* .. */
}

TEST(test_file__a_whole_write_keeps_rights_follows_links_and_leaves_nothing_behind) {
    begin();
    put("file", "old");
    chmod(at("file"), 0640);
    CHECK_INT_EQ(symlink("file", at("link")), 0);
    reml_embed_context_t* context = open_context(NULL, 0);
    answers(context, "IO.write_text(at(\"link\"), \"new\")", "Ok(())");
    struct stat status;
    CHECK(lstat(at("link"), &status) == 0 && S_ISLNK(status.st_mode));
    CHECK(stat(at("file"), &status) == 0 && (status.st_mode & 0777) == 0640 && status.st_size == 3);
    CHECK_INT_EQ(entries(), 2);
    reml_dispose_context(context);
    end();
}

TEST(test_file__a_whole_write_that_is_stopped_leaves_the_old_file) {
    begin();
    put("file", "old");
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.fuel = 400000;
    options.limits = &limits;
    reml_embed_context_t* context = NULL;
    reml_embed_create("0.1.0", &options, &context);
    const char* arguments[] = {folder};
    reml_embed_set_args(context, arguments, 1);
    load(context, "fn main() -> Bool = IO.write_text(at(\"file\"), \"x\".repeat(5000000)).is_ok()");
    CHECK(reml_run(context, "main") != OK);
    CHECK(strstr(reml_last_error(context), "runtime.limit.instructions") != NULL);
    struct stat status;
    CHECK(stat(at("file"), &status) == 0 && status.st_size == 3);
    CHECK_INT_EQ(entries(), 1);
    reml_dispose_context(context);
    end();
}

/* --- limits --------------------------------------------------------------------------------------------------------------- */

static void fails_with(reml_embed_context_t* context, const char* code) {
    CHECK(reml_run(context, "main") != OK);
    if (!CHECK(strstr(reml_last_error(context), code) != NULL)) printf("%s\n", reml_last_error(context));
}

TEST(test_file__what_is_read_is_no_larger_than_a_string_may_be) {
    begin();
    unsigned before = open_descriptors();
    static const char* const bodies[] = {"IO.read_bytes(Path.path(\"/dev/zero\"))",
        "IO.with_reader(Path.path(\"/dev/zero\"), |r| r.read_all())",
        "IO.with_reader(Path.path(\"/dev/zero\"), |r| r.read_line())"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        reml_embed_context_t* context = open_context(NULL, 0);
        char source[256];
        snprintf(source, sizeof source, "fn main() -> Bool = %s.is_ok()", bodies[i]);
        load(context, source);
        fails_with(context, "runtime.limit.memory");
        CHECK_INT_EQ(open_descriptors(), before);
        reml_dispose_context(context);
    }
    end();
}

TEST(test_file__the_deadline_ends_reading_and_watching) {
    begin();
    unsigned before = open_descriptors();
    static const char* const bodies[] = {"IO.with_reader(Path.path(\"/dev/zero\"), |r| "
                                         "IO.with_writer(Path.path(\"/dev/null\"), |w| r.copy_to(w))).is_ok()",
        "Path.watch([at(\"\")], |event| true).is_ok()"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        reml_embed_context_t* context = open_context(NULL, 300);
        char source[256];
        snprintf(source, sizeof source, "fn main() -> Bool = %s", bodies[i]);
        load(context, source);
        fails_with(context, "runtime.limit.deadline");
        CHECK_INT_EQ(open_descriptors(), before);
        reml_dispose_context(context);
    }
    end();
}

static void* interrupt_soon(void* context) {
    usleep(150000);
    reml_embed_interrupt(context);
    return NULL;
}

TEST(test_file__an_interrupt_ends_watching) {
    begin();
    reml_embed_context_t* context = open_context(NULL, 20000);
    load(context, "fn main() -> Bool = Path.watch([at(\"\")], |event| true).is_ok()");
    pthread_t thread;
    pthread_create(&thread, NULL, interrupt_soon, context);
    fails_with(context, "runtime.interrupted");
    pthread_join(thread, NULL);
    reml_dispose_context(context);
    end();
}

TEST(test_file__only_so_many_files_are_open_at_a_time) {
    begin();
    put("file", "x");
    unsigned before = open_descriptors();
    reml_embed_context_t* context = open_context(NULL, 0);
    load(context, "fn dig(n: Int) -> Result<Int, IoError> = if n == 0 { Ok(0) } else { IO.with_reader(at(\"file\"), "
                  "|r| dig(n - 1).map(|d| d + 1)) }\n"
                  "fn main() -> Str = to_string((dig(200), dig(1000).map_err(|e| e.kind), dig(200)))");
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_STR_EQ(shown(context), "(Ok(200), Err(\"OutOfMemory\"), Ok(200))");
    CHECK_INT_EQ(open_descriptors(), before);
    reml_dispose_context(context);
    end();
}

TEST(test_file__a_panic_in_a_callback_closes_the_file) {
    begin();
    put("file", "x");
    unsigned before = open_descriptors();
    reml_embed_context_t* context = open_context(NULL, 0);
    load(context, "fn main() -> Bool = IO.with_reader(at(\"file\"), |r| { if r.read(1).is_ok() { panic(\"no\") }; "
                  "Ok(1) }).is_ok()");
    fails_with(context, "runtime.panic");
    CHECK_INT_EQ(open_descriptors(), before);
    CHECK(strstr(records.text, "\"io.operation\":\"reader.read\"") != NULL);
    reml_dispose_context(context);
    end();
}

TEST(test_file__a_job_that_is_given_up_closes_its_files) {
    begin();
    put("file", "x");
    unsigned before = open_descriptors();
    reml_embed_context_t* context = open_context(NULL, 0);
    load(context,
        "fn main() -> Bool = IO.with_reader(at(\"file\"), |r| { Async.sleep_async(1.h).await; r.read(1) }).is_ok()");
    reml_job_t job;
    CHECK_INT_EQ(reml_embed_start(context, "main", &job), REML_EMBED_STATUS_PENDING);
    CHECK_INT_EQ(open_descriptors(), before + 1);
    reml_job_release(context, job);
    CHECK_INT_EQ(open_descriptors(), before);
    reml_dispose_context(context);
    CHECK_INT_EQ(open_descriptors(), before);
    end();
}

/* --- records ---------------------------------------------------------------------------------------------------------------- */

static unsigned count_of(const char* text) {
    unsigned count = 0;
    for (const char* found = records.text; (found = strstr(found, text)) != NULL; found += strlen(text)) count++;
    return count;
}

TEST(test_file__a_record_of_the_contract_is_byte_for_byte) {
    begin();
    put("file", "0123456789");
    reml_embed_context_t* context = open_context(NULL, 0);
    answers(
        context, "IO.with_reader(at(\"file\"), |r| IO.with_writer(at(\"copy\"), |w| r.copy_to(w))).is_ok()", "true");
    char expected[1024];
    snprintf(expected, sizeof expected,
        "\"bridge.capability\":\"io.fs.read\",\"bridge.id\":\"io::io.fs.read\",\"bridge.stage.actual\":\"stable\","
        "\"bridge.stage.required\":\"at_least:beta\",\"event.kind\":\"core.io.operation\",\"io.bytes_processed\":10,"
        "\"io.capability\":\"io.fs.read\",\"io.effects.io\":true,\"io.effects.io_blocking_calls\":1,\"io.helper\":"
        "\"bridge.copy\","
        "\"io.operation\":\"io.copy\",\"io.path\":\"%s/file\",\"schema.version\":\"3.0.0-alpha\"}}}",
        folder);
    if (!CHECK(strstr(records.text, expected) != NULL)) printf("%s\n", records.text);
    CHECK(strstr(records.text, "\"category\":\"core.io\",\"envelope\":{\"audit_id\":\"") != NULL);
    CHECK_INT_EQ(count_of("\"io.operation\":\"file.open\""), 1);
    CHECK_INT_EQ(count_of("\"io.operation\":\"file.create\""), 1);
    reml_dispose_context(context);
    end();
}

TEST(test_file__operations_on_an_open_file_are_told_at_its_end_or_one_by_one) {
    begin();
    put("file", "a\nb\nc\n");
    for (uint32_t policy = REML_AUDIT_POLICY_SUMMARY; policy <= REML_AUDIT_POLICY_EVERY; policy++) {
        reml_embed_context_t* context = open_context(NULL, 0);
        CHECK_INT_EQ(reml_embed_audit_policy(context, policy, REML_AUDIT_ON_FAILURE_REFUSE, 0), OK);
        answers(context, "IO.with_reader(at(\"file\"), |r| { r.read_line()?; r.read_line()?; r.read_line() })",
            "Ok(Some(\"c\"))");
        CHECK_INT_EQ(count_of("\"io.operation\":\"reader.read_line\""), policy == REML_AUDIT_POLICY_EVERY ? 3 : 1);
        CHECK_INT_EQ(count_of("\"io.effects.io_blocking_calls\":3"), policy == REML_AUDIT_POLICY_EVERY ? 0 : 1);
        reml_dispose_context(context);
    }
    end();
}

TEST(test_file__the_helper_of_a_writer_is_that_of_log_io) {
    begin();
    put("file", "note");
    reml_embed_context_t* context = open_context(NULL, 0);
    answers(context,
        "IO.with_reader(at(\"file\"), |r| r.copy_to(IO.bytes_writer(helper = \"bridge.release_note\"))) |> "
        "IO.log_io(\"app.import\", Some(at(\"file\")), IO.elapsed_since_start(), IO.audit_sink())",
        "Ok(Bytes[6e 6f 74 65])");
    CHECK_INT_EQ(count_of("\"io.helper\":\"bridge.release_note\""), 2);
    CHECK_INT_EQ(count_of("\"io.helper\":\"bridge.release_note\",\"io.operation\":\"app.import\""), 1);
    CHECK_INT_EQ(count_of("\"io.elapsed_ns\":"), 1);
    reml_dispose_context(context);
    end();
}

TEST(test_file__a_refused_stage_is_recorded_twice) {
    begin();
    put("file", "x");
    reml_capability_registry_t* registry = NULL;
    CHECK_INT_EQ(reml_capability_registry_create(NULL, &registry), OK);
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.registry = registry;
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK);
    const char* arguments[] = {folder};
    reml_embed_set_args(context, arguments, 1);
    records.length = 0;
    reml_embed_set_audit_sink(context, collect, NULL, NULL);
    load(context, "fn main() -> Str = to_string(IO.read_text(at(\"file\")).map_err(|e| e.kind))");
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_STR_EQ(shown(context), "Ok(\"x\")");
    /* no positive answer outlives a change of the registry */
    CHECK_INT_EQ(reml_capability_set_stage(registry, "io.fs.read", "experimental", NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_STR_EQ(shown(context), "Err(\"SecurityViolation\")");
    CHECK(count_of("effects.contract.stage_mismatch") >= 1);
    CHECK_INT_EQ(count_of("\"io.error.kind\":\"SecurityViolation\""), 1);
    CHECK_INT_EQ(count_of("\"bridge.stage.actual\":\"experimental\",\"bridge.stage.required\":\"at_least:beta\""), 1);
    CHECK_INT_EQ(reml_capability_set_stage(registry, "io.fs.read", "beta", NULL), OK);
    CHECK_INT_EQ(reml_run(context, "main"), OK);
    CHECK_STR_EQ(shown(context), "Ok(\"x\")");
    reml_dispose_context(context);
    reml_capability_registry_dispose(registry);
    end();
}

TEST(test_file__a_grant_taken_away_stops_an_open_reader) {
    begin();
    put("file", "x");
    reml_embed_context_t* context = open_context(NULL, 0);
    CHECK_INT_EQ(reml_embed_revoke(context, "io.fs.read"), OK);
    answers(context, "(IO.read_text(at(\"file\")).map_err(|e| e.kind), IO.write_text(at(\"b\"), \"y\"))",
        "(Err(\"SecurityViolation\"), Ok(()))");
    reml_dispose_context(context);
    end();
}

static int refuse_lines(const char* line, size_t length, void* user) {
    (void)line, (void)length;
    return *(const int*)user;
}

TEST(test_file__what_cannot_be_recorded_does_not_go_on) {
    begin();
    put("file", "x");
    reml_embed_context_t* context = open_context(NULL, 0);
    load(context,
        "fn main() -> Bool = IO.remove(at(\"file\")).is_ok()\nfn peek() -> Bool = IO.exists(at(\"file\")).is_ok()");
    int refuse = 0;
    reml_embed_set_audit_sink(context, refuse_lines, &refuse, NULL);
    CHECK_INT_EQ(reml_run(context, "peek"), OK);
    refuse = 1;
    CHECK_INT_EQ(reml_run(context, "peek"), REML_EMBED_STATUS_AUDIT_UNAVAILABLE);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_AUDIT_UNAVAILABLE);
    CHECK_INT_EQ(access(at("file"), F_OK), 0);
    refuse = 0;
    reml_dispose_context(context);
    end();
}

/* --- memory ------------------------------------------------------------------------------------------------------------------ */

typedef struct meter {
    uint64_t requests, fail_at, live;
} meter_t;
static void* metered(void* block, size_t old_size, size_t new_size, void* user) {
    meter_t* meter = user;
    if (new_size > old_size && ++meter->requests == meter->fail_at) return NULL;
    if (new_size == 0) {
        free(block);
        meter->live -= old_size;
        return NULL;
    }
    void* moved = realloc(block, new_size);
    if (moved) meter->live += new_size - old_size;
    return moved;
}

TEST(test_file__any_allocation_may_fail) {
    begin();
    put("file", "one\ntwo\n");
    unsigned before = open_descriptors();
    static const char source[] =
        "use Core.IO\nuse Core.Path\nfn at(name: Str) -> Path = Path.path(Env.args()[0]).join(name)\n"
        "fn main() -> Str {\n"
        "  let a = IO.with_reader(at(\"file\"), |r| { r.read_line()?; r.copy_to(IO.bytes_writer()) })\n"
        "  let d = Path.glob(at(\"*\").to_string()).map(|l| l.len())\n"
        "  let f = IO.read_text(at(\"none\")).map_err(|e| e.kind)\n"
        "  to_string((a, IO.write_text(at(\"b\"), \"x\"), IO.with_writer(at(\"b\"), |w| w.write_text(\"y\")), d, f, "
        "Path.validate(at(\"x\"), at(\"\"))))\n"
        "}\n";
    uint64_t loaded = 0, most = 1;
    unsigned failed = 0;
    for (uint64_t n = 0; n <= most; n++) {
        meter_t meter = {0};
        reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
        options.resize = metered;
        options.resize_user = &meter;
        reml_embed_context_t* context = NULL;
        if (!CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK)) break;
        const char* arguments[] = {folder};
        reml_embed_set_args(context, arguments, 1);
        CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)source, sizeof source - 1), OK);
        loaded = meter.requests;
        if (n) meter.fail_at = loaded + n;
        reml_embed_status_t status = reml_run(context, "main");
        if (n == 0) {
            CHECK_INT_EQ(status, OK);
            most = meter.requests - loaded;
        }
        failed += status != OK;
        meter.fail_at = 0;
        CHECK_INT_EQ(open_descriptors(), before);
        reml_dispose_context(context);
        CHECK_INT_EQ(meter.live, 0);
        unlink(at("b"));
    }
    CHECK(most > 20);
    (void)failed;
    CHECK_INT_EQ(entries(), 1);
    end();
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_file__each_failure_is_an_error_with_its_kind),
        RUN(test_file__a_folder_that_cannot_be_written_is_permission_denied),
        RUN(test_file__names_that_are_not_utf8_are_a_clear_error_of_glob),
        RUN(test_file__links_that_leave_the_root_are_refused),
        RUN(test_file__a_whole_write_keeps_rights_follows_links_and_leaves_nothing_behind),
        RUN(test_file__a_whole_write_that_is_stopped_leaves_the_old_file),
        RUN(test_file__what_is_read_is_no_larger_than_a_string_may_be),
        RUN(test_file__the_deadline_ends_reading_and_watching),
        RUN(test_file__an_interrupt_ends_watching),
        RUN(test_file__only_so_many_files_are_open_at_a_time),
        RUN(test_file__a_panic_in_a_callback_closes_the_file),
        RUN(test_file__a_job_that_is_given_up_closes_its_files),
        RUN(test_file__a_record_of_the_contract_is_byte_for_byte),
        RUN(test_file__operations_on_an_open_file_are_told_at_its_end_or_one_by_one),
        RUN(test_file__the_helper_of_a_writer_is_that_of_log_io),
        RUN(test_file__a_refused_stage_is_recorded_twice),
        RUN(test_file__a_grant_taken_away_stops_an_open_reader),
        RUN(test_file__what_cannot_be_recorded_does_not_go_on),
        RUN(test_file__any_allocation_may_fail),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
