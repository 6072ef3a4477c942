/*
 * A script that calls the host: one host function with a scalar signature (the direct path), one that takes and gives a string.
 * Prints "3 apples cost 7.5" and "dear Ada".
 */
#include "reml_embed.h"
#include "reml_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shop {
    double price; /* what the host knows and the script does not */
    int asked;
} shop_t;

static reml_embed_status_t price(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out_result, void* user) {
    shop_t* shop = user;
    (void)context;
    (void)arguments;
    shop->asked++;
    out_result->f = shop->price;
    return REML_EMBED_STATUS_OK;
}

/* Arguments are borrowed; the result is handed to the script. */
static reml_embed_status_t greet(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out_result, void* user) {
    char text[128];
    reml_span_t name = {NULL, 0};
    reml_embed_status_t status = reml_value_span(context, arguments[0], &name);
    (void)count;
    (void)user;
    if (status != REML_EMBED_STATUS_OK) return status;
    int length = snprintf(text, sizeof text, "dear %.*s", (int)name.length, (const char*)name.data);
    if (length < 0 || (size_t)length >= sizeof text) {
        static const char why[] = "the name is too long";
        reml_host_fail(context, why, sizeof why - 1);
        return REML_EMBED_STATUS_ERROR;
    }
    return reml_value_string(context, text, (size_t)length, out_result);
}

static reml_embed_status_t print(const char* text, size_t length, void* user) {
    (void)user;
    return fwrite(text, 1, length, stdout) == length ? REML_EMBED_STATUS_OK : REML_EMBED_STATUS_ERROR;
}

/* Ends the example when a call was refused; a real host would handle it. */
static void must(reml_embed_context_t* context, reml_embed_status_t status, const char* what) {
    if (status == REML_EMBED_STATUS_OK) return;
    const char* message = reml_last_error(context);
    fprintf(stderr, "%s: %s: %s\n", what, reml_embed_status_label(status), message ? message : "");
    exit(1);
}

int main(void) {
    static const char source[] = "module Shop.Bill\n"
                                 "\n"
                                 "fn total(count: Int) -> Float = count.to_float() * Shop.price(\"apple\".len())\n"
                                 "\n"
                                 "fn letter(name: Str) -> Str = Shop.greet(name)\n"
                                 "\n"
                                 "fn main() = println(format(\"3 apples cost {total(3)}\"))\n";
    shop_t shop = {.price = 2.5};
    reml_embed_context_t* context = NULL;
    must(NULL, reml_create_context(REML_EMBED_ABI_VERSION, &context), "create");
    must(context, reml_embed_set_output(context, print, NULL), "output");

    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "Shop.price";
    function.signature = "(sku: Int) -> Float";
    function.call_scalars = price;
    function.user = &shop;
    must(context, reml_host_define(context, &function), "define Shop.price");

    reml_host_function_t greeting = REML_HOST_FUNCTION_INIT;
    greeting.name = "Shop.greet";
    greeting.signature = "(name: Str) -> Str";
    greeting.call = greet;
    must(context, reml_host_define(context, &greeting), "define Shop.greet");

    must(context, reml_load_module(context, (const unsigned char*)source, strlen(source)), "load");
    must(context, reml_run(context, "main"), "run");

    /* A function looked up once with its signature, then called with values of the border. */
    reml_function_t letter;
    must(context, reml_function_find(context, "letter", 6, "(Str) -> Str", 12, &letter), "find letter");
    reml_value_t name, answer;
    must(context, reml_value_string(context, "Ada", 3, &name), "make a string");
    must(context, reml_function_call(context, letter, &name, 1, &answer), "call letter");
    reml_span_t text;
    must(context, reml_value_span(context, answer, &text), "read the answer");
    printf("%.*s\n", (int)text.length, (const char*)text.data);
    must(context, reml_value_release(context, answer), "release");
    must(context, reml_value_release(context, name), "release");
    must(context, reml_dispose_context(context), "dispose");
    return shop.asked == 1 ? 0 : 1;
}
