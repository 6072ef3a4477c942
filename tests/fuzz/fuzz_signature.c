/* Any bytes as a host function's signature, as a function's expected signature and as a type: refused or taken, never worse. */
#include "reml_embed.h"
#include "reml_value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char source[] = "type Point = { x: Int, y: Int }\n"
                             "fn id(x) = x\n"
                             "fn add(a: Int, b: Int) -> Int = a + b\n";

static reml_embed_status_t answer(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out_result, void* user) {
    (void)context;
    (void)arguments;
    (void)count;
    (void)out_result;
    (void)user;
    return REML_EMBED_STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    reml_embed_context_t* context = NULL;
    reml_host_function_t host = REML_HOST_FUNCTION_INIT;
    reml_function_t function;
    reml_type_t type;
    char* copy = malloc(size + 1);
    if (!copy) return 0;
    memcpy(copy, data, size);
    copy[size] = 0;
    if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != REML_EMBED_STATUS_OK) __builtin_trap();
    host.name = "probe";
    host.signature = copy;
    host.call = answer;
    reml_host_define(context, &host);
    if (reml_load_module(context, (const unsigned char*)source, sizeof source - 1) != REML_EMBED_STATUS_OK)
        __builtin_trap();
    reml_function_find(context, "id", 2, copy, size, &function);
    reml_function_find(context, copy, size, "(Int, Int) -> Int", 17, &function);
    reml_type_find(context, copy, size, &type);
    if (reml_dispose_context(context) != REML_EMBED_STATUS_OK) __builtin_trap();
    free(copy);
    return 0;
}
