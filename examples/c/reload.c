/*
 * A program that is mended while it runs: a new version of its module takes over with the state of the old one, a wrong one
 * is refused and changes nothing, and the way back brings version and state. The function handle stays the same throughout.
 * Prints one line per step and returns 0 when each ended as it has to.
 */
#include "reml_embed.h"
#include "reml_value.h"

#include <stdio.h>
#include <string.h>

static const char first[] = "module Shop\n"
                            "\n"
                            "let log: Vec<Int> = Vec.new()\n"
                            "let rate = 10\n"
                            "\n"
                            "fn price(units: Int) -> Int { log.push(units); units * rate }\n"
                            "fn orders() -> Int = log.len()\n";

/* Another rate: a constant is that of the new version, what was logged goes over. */
static const char second[] = "module Shop\n"
                             "\n"
                             "let log: Vec<Int> = Vec.new()\n"
                             "let rate = 12\n"
                             "\n"
                             "fn price(units: Int) -> Int { log.push(units); units * rate + orders() }\n"
                             "fn orders() -> Int = log.len()\n";

/* It lacks a function that the host may call. */
static const char wrong[] = "module Shop\n"
                            "\n"
                            "let log: Vec<Int> = Vec.new()\n"
                            "\n"
                            "fn price(units: Int) -> Int = units\n";

static reml_embed_context_t* context;
static int failures;

static reml_embed_status_t replace(const char* text) {
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    source.text = text;
    source.text_length = strlen(text);
    source.file_name = "shop.reml";
    source.file_name_length = strlen("shop.reml");
    return reml_embed_reload_module(context, &source, NULL);
}

static void expect(const char* what, reml_embed_status_t status, reml_embed_status_t wanted) {
    const char* error = reml_last_error(context);
    printf("%-12s %s%s%s\n", what, reml_embed_status_label(status), error ? ": " : "", error ? error : "");
    failures += status != wanted;
}

static void price(reml_function_t function, int64_t units, int64_t wanted) {
    reml_scalar_t given = {.i = units}, found = {.i = 0};
    reml_embed_status_t status = reml_function_call_scalars(context, function, &given, 1, &found);
    printf("%-12s %lld\n", "price", (long long)found.i);
    failures += status != REML_EMBED_STATUS_OK || found.i != wanted;
}

int main(void) {
    reml_function_t function;
    if (reml_create_context(REML_EMBED_ABI_VERSION, &context) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "%s\n", reml_embed_last_create_error());
        return 1;
    }
    expect("load", reml_load_module(context, (const unsigned char*)first, strlen(first)), REML_EMBED_STATUS_OK);
    expect("find", reml_function_find(context, "Shop.price", strlen("Shop.price"), NULL, 0, &function),
        REML_EMBED_STATUS_OK);
    price(function, 5, 50);
    expect("reload", replace(second), REML_EMBED_STATUS_OK);
    price(function, 5, 62); /* the second order */
    expect("reload", replace(wrong), REML_EMBED_STATUS_ERROR);
    price(function, 5, 63);
    expect("rollback", reml_embed_rollback_module(context, NULL), REML_EMBED_STATUS_OK);
    price(function, 5, 50);
    expect("dispose", reml_dispose_context(context), REML_EMBED_STATUS_OK);
    return failures != 0;
}
