/* Any text as descriptor and metadata of a capability: registered or refused with a reason, and what was registered reads back. */
#include "reml_capability.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static const char* const kinds[] = {"gc", "io", "async", "actor", "audit", "metrics", "collections", "memory",
    "security", "native", "system", "process", "signal", "ffi", "plugin", "hardware", "realtime"};

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    reml_capability_registry_options_t options = REML_CAPABILITY_REGISTRY_OPTIONS_INIT;
    reml_capability_registry_t* registry = NULL;
    if (size == 0) return 0;
    options.flags = REML_CAPABILITY_REGISTRY_EMPTY;
    if (reml_capability_registry_create(&options, &registry) != REML_EMBED_STATUS_OK) return 0;
    /* The first byte chooses the kind; a NUL stands between descriptor and metadata. */
    char* text = calloc(1, size + 1);
    if (text) memcpy(text, data + 1, size - 1);
    reml_capability_spec_t spec = REML_CAPABILITY_SPEC_INIT;
    spec.kind = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
    spec.descriptor = text;
    size_t length = text ? strlen(text) : 0;
    if (text && length + 1 < size) spec.metadata = text + length + 1;
    reml_capability_error_t error = REML_CAPABILITY_ERROR_INIT;
    reml_embed_status_t status = reml_capability_register(registry, &spec, &error);
    if (status == REML_EMBED_STATUS_ERROR && (!error.code || !error.detail || !error.fields)) __builtin_trap();
    char* json = NULL;
    if (reml_capability_describe_all(registry, &json) == REML_EMBED_STATUS_OK && status == REML_EMBED_STATUS_OK) {
        size_t all = strlen(json); /* [{…}]: what comes out goes in again */
        json[all - 1] = '\0';
        reml_capability_registry_t* other = NULL;
        spec.descriptor = json + 1;
        spec.metadata = NULL;
        if (reml_capability_registry_create(&options, &other) == REML_EMBED_STATUS_OK) {
            if (reml_capability_register(other, &spec, NULL) != REML_EMBED_STATUS_OK) __builtin_trap();
            reml_capability_registry_dispose(other);
        }
    }
    reml_embed_free(json);
    reml_capability_error_release(&error);
    reml_capability_registry_dispose(registry);
    free(text);
    return 0;
}
