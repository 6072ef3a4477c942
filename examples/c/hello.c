#include "reml_embed.h"
#include <stdio.h>
#include <string.h>

static const char* safe_error(reml_embed_context_t* context) {
    const char* message = reml_last_error(context);
    return message ? message : "unknown error";
}

int main(void) {
    const char* abi_version = "0.1.0";
    const char* source = "module Embed.Sample\n\nfn main() -> Str { \"ok\" }";
    reml_embed_context_t* ctx = NULL;

    if (reml_create_context(abi_version, &ctx) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "create failed: %s\n", safe_error(ctx));
        return 1;
    }
    if (reml_load_module(ctx, (const unsigned char*)source, strlen(source)) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "load failed: %s\n", safe_error(ctx));
        reml_dispose_context(ctx);
        return 1;
    }
    if (reml_run(ctx, "main") != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "run failed: %s\n", safe_error(ctx));
        reml_dispose_context(ctx);
        return 1;
    }
    reml_dispose_context(ctx);
    return 0;
}
