/*
 * A host that guards what its scripts may do: it refuses a capability when a module is loaded, takes one away while a script
 * holds a function that needs it, releases a value twice, and finds all of that in an audit log that nobody has touched.
 * Prints what happens and returns 0 when each step ended as it has to.
 *
 *     capability [LOG]        the log is written to LOG, by default capability.ndjson in the folder for temporary files
 */
#include "reml_audit.h"
#include "reml_capability.h"
#include "reml_embed.h"
#include "reml_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int surprises;

static void step(
    const char* what, reml_embed_status_t found, reml_embed_status_t expected, reml_embed_context_t* context) {
    const char* said = reml_last_error(context);
    printf(
        "%-24s %s%s%s\n", what, reml_embed_status_label(found), found && said ? ": " : "", found && said ? said : "");
    if (found != expected) surprises++;
}

/* What the host guards: each call is a letter that cannot be taken back. */
static reml_embed_status_t send_letter(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out_result, void* user) {
    (void)context;
    out_result->i = arguments[0].i;
    ++*(int*)user;
    return REML_EMBED_STATUS_OK;
}

static reml_embed_context_t* open_with(const char* grants, const char* log, int* letters) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.granted_capabilities = grants;
    options.audit_path = log;
    if (reml_embed_create(REML_EMBED_ABI_VERSION, &options, &context) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "create: %s\n", reml_embed_last_create_error());
        exit(1);
    }
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "Post.send";
    function.signature = "(letters: Int) -> Int ! {net, io}";
    function.call_scalars = send_letter;
    function.user = letters;
    function.capability = "post.send"; /* and not below beta, and only for the network */
    function.stage = REML_EMBED_STAGE_BETA;
    function.effects = "net";
    step("  bind Post.send", reml_host_define(context, &function), REML_EMBED_STATUS_OK, context);
    return context;
}

static reml_embed_status_t load(reml_embed_context_t* context) {
    static const char source[] = "module Letters\n"
                                 "fn write() -> fn(Int) -> Int = |n| Post.send(n)\n";
    return reml_load_module(context, (const unsigned char*)source, sizeof source - 1);
}

static const char* log_path(int argc, char** argv, char* room, size_t size) {
    const char* folder = getenv("TMPDIR");
    if (argc > 1) return argv[1];
    snprintf(room, size, "%s/capability.ndjson", folder ? folder : "/tmp");
    remove(room);
    return room;
}

int main(int argc, char** argv) {
    char room[512];
    const char* log = log_path(argc, argv, room, sizeof room);
    int letters = 0;

    puts("A capability is registered once, for the whole process.");
    reml_capability_spec_t spec = REML_CAPABILITY_SPEC_INIT;
    spec.kind = "io";
    spec.descriptor = "{\"id\": \"post.send\", \"stage\": \"beta\", \"effect_scope\": [\"io\", \"net\"],"
                      " \"provider\": {\"kind\": \"runtime_component\", \"name\": \"post\"}}";
    spec.metadata = "{\"adapters\": [\"post\"], \"operations\": [\"send\"]}";
    step("  register post.send", reml_capability_register(NULL, &spec, NULL), REML_EMBED_STATUS_OK, NULL);

    puts("Scripts that are granted something else are refused when they are loaded.");
    reml_embed_context_t* context = open_with("io.fs.read", log, &letters);
    step("  load", load(context), REML_EMBED_STATUS_ERROR, context);
    reml_dispose_context(context);

    puts("Scripts that are granted it run, until it is revoked; what they hold is of no use to them then.");
    context = open_with("post.send", log, &letters);
    step("  load", load(context), REML_EMBED_STATUS_OK, context);
    reml_function_t write, closure;
    reml_value_t value, three = reml_value_int(3), sent;
    reml_function_find(context, "write", strlen("write"), NULL, 0, &write);
    step("  take a closure out", reml_function_call(context, write, NULL, 0, &value), REML_EMBED_STATUS_OK, context);
    reml_function_from_value(context, value, &closure);
    step("  call it", reml_function_call(context, closure, &three, 1, &sent), REML_EMBED_STATUS_OK, context);
    step("  revoke", reml_embed_revoke(context, "post.send"), REML_EMBED_STATUS_OK, context);
    step("  call it", reml_function_call(context, closure, &three, 1, &sent), REML_EMBED_STATUS_DENIED, context);
    printf("  letters sent: %d\n", letters);
    if (letters != 1) surprises++;

    puts("A value is released once.");
    step("  release", reml_value_release(context, value), REML_EMBED_STATUS_OK, context);
    step("  release again", reml_value_release(context, value), REML_EMBED_STATUS_STALE, context);
    reml_dispose_context(context);

    puts("All of it is in the log, and nobody has changed the log.");
    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    step("  verify", reml_audit_verify(log, NULL, &report), REML_EMBED_STATUS_OK, NULL);
    printf("  %llu records, %s\n", (unsigned long long)report.records, reml_audit_verdict_label(report.verdict));
    static const char* const wanted[] = {
        "target.capability.unknown", "runtime.capability.denied", "ffi.wrap.ownership_violation"};
    int found[3] = {0, 0, 0};
    static char line[1 << 16];
    FILE* file = fopen(log, "r");
    while (file && fgets(line, sizeof line, file)) {
        for (int i = 0; i < 3; i++) found[i] += strstr(line, wanted[i]) != NULL;
    }
    if (file) fclose(file);
    for (int i = 0; i < 3; i++) {
        printf("  %-30s %s\n", wanted[i], found[i] ? "recorded" : "MISSING");
        if (!found[i]) surprises++;
    }
    return surprises != 0;
}
