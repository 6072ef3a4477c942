/*
 * Load one Reml file and run its main, as the lua command does with a script: run-file FILE
 * Output goes to stdout through stdio's buffer. Exit status 1 when loading or running fails, 2 for wrong usage.
 */
#include "reml_embed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static reml_embed_status_t print(const char* text, size_t length, void* user) {
    return fwrite(text, 1, length, user) == length ? REML_EMBED_STATUS_OK : REML_EMBED_STATUS_ERROR;
}

static char* read_file(const char* path, size_t* out_length) {
    FILE* file = fopen(path, "rb");
    char* text = NULL;
    size_t length = 0, capacity = 0;
    if (!file) return NULL;
    do {
        capacity = capacity ? capacity * 2 : 65536;
        char* grown = realloc(text, capacity);
        if (!grown) break;
        text = grown;
        length += fread(text + length, 1, capacity - length, file);
    } while (length == capacity);
    fclose(file);
    *out_length = length;
    return text;
}

int main(int argc, char** argv) {
    reml_embed_context_t* context = NULL;
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    reml_span_t text = {NULL, 0};
    char* bytes = NULL;
    int status = 1;
    if (argc != 2 || !(bytes = read_file(argv[1], &source.text_length))) {
        fprintf(stderr, "usage: run-file FILE\n");
        return 2;
    }
    source.text = bytes;
    source.file_name = argv[1];
    source.file_name_length = strlen(argv[1]);
    if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "%s\n", reml_embed_last_create_error());
        goto cleanup;
    }
    if (reml_embed_set_output(context, print, stdout) != REML_EMBED_STATUS_OK) goto cleanup;
    if (reml_embed_load(context, &source) != REML_EMBED_STATUS_OK) {
        if (reml_embed_diagnostics_text(context, 0, &text) == REML_EMBED_STATUS_OK)
            fprintf(stderr, "%.*s\n", (int)text.length, (const char*)text.data);
        goto cleanup;
    }
    if (reml_run(context, "main") != REML_EMBED_STATUS_OK) {
        const char* message = reml_last_error(context);
        fprintf(stderr, "%s\n", message ? message : "unknown error");
        goto cleanup;
    }
    status = 0;
cleanup:
    fflush(stdout);
    if (context) reml_dispose_context(context);
    free(bytes);
    return status;
}
