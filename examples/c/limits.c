/*
 * Hostile scripts under limits: each one runs into a different limit, the host gets a status and a code, and the same
 * context runs the next script. Prints one line per script and returns 0 when each ended as it has to.
 */
#include "reml_embed.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char* entry;
    const char* code; /* what reml_last_error begins with; NULL: it ends well */
} cases[] = {
    {"forever", "runtime.limit.instructions"},
    {"deep", "runtime.stack.overflow"},
    {"greedy", "runtime.limit.memory"},
    {"noisy", "runtime.limit.output"},
    {"modest", NULL},
};

static const char source[] = "module Hostile\n"
                             "\n"
                             "fn forever() { loop {} }\n"
                             "\n"
                             "fn down(n: Int) -> Int = 1 + down(n + 1)\n"
                             "fn deep() -> Int = down(0)\n"
                             "\n"
                             "fn greedy() -> Int {\n"
                             "  let hoard: Vec<Str> = Vec.new()\n"
                             "  loop { hoard.push(\"0123456789\".repeat(100000)) }\n"
                             "}\n"
                             "\n"
                             "fn noisy() { loop { println(\"are you there?\") } }\n"
                             "\n"
                             "fn modest() -> Int = 6 * 7\n";

static reml_embed_status_t swallow(const char* text, size_t length, void* user) {
    (void)text;
    *(size_t*)user += length;
    return REML_EMBED_STATUS_OK;
}

int main(void) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_limits_t limits;
    size_t printed = 0;
    int wrong = 0;
    reml_embed_limits_untrusted(&limits);
    limits.fuel = 20000000;
    limits.heap_bytes = 16 << 20;
    limits.output_bytes = 10000;
    options.limits = &limits;
    if (reml_embed_create(REML_EMBED_ABI_VERSION, &options, &context) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "%s\n", reml_embed_last_create_error());
        return 1;
    }
    if (reml_embed_set_output(context, swallow, &printed) != REML_EMBED_STATUS_OK ||
        reml_load_module(context, (const unsigned char*)source, strlen(source)) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "%s\n", reml_last_error(context));
        reml_dispose_context(context);
        return 1;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reml_embed_status_t status = reml_run(context, cases[i].entry);
        const char* message = status == REML_EMBED_STATUS_OK ? "fine" : reml_last_error(context);
        int expected = cases[i].code ? status == REML_EMBED_STATUS_LIMIT && message &&
                                           strncmp(message, cases[i].code, strlen(cases[i].code)) == 0
                                     : status == REML_EMBED_STATUS_OK;
        printf("%-8s %-6s %s\n", cases[i].entry, reml_embed_status_label(status), message ? message : "");
        wrong += !expected;
    }
    if (printed > limits.output_bytes) wrong++;
    if (reml_dispose_context(context) != REML_EMBED_STATUS_OK) wrong++;
    return wrong ? 1 : 0;
}
