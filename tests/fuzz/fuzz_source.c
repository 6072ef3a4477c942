/* Any bytes as a module: loading and running them under small limits answers with a status, and nothing worse. */
#include "reml_embed.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_limits_t limits;
    reml_span_t text;
    reml_embed_limits_untrusted(&limits);
    limits.fuel = 1000000;
    limits.heap_bytes = 32 << 20;
    limits.deadline_ms = 1000;
    limits.output_bytes = 1 << 16;
    options.limits = &limits;
    if (reml_embed_create(REML_EMBED_ABI_VERSION, &options, &context) != REML_EMBED_STATUS_OK) __builtin_trap();
    if (reml_load_module(context, data, size) == REML_EMBED_STATUS_OK) {
        if (reml_run(context, "main") == REML_EMBED_STATUS_OK) reml_embed_result_text(context, &text);
    } else {
        reml_embed_diagnostics_json(context, &text);
        reml_embed_diagnostics_text(context, 1, &text);
    }
    if (reml_dispose_context(context) != REML_EMBED_STATUS_OK) __builtin_trap();
    return 0;
}
