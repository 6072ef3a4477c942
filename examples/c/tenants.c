/*
 * One program, many tenants: pricing rules are compiled once; each request runs in a context of its own, with its tenant's limits and
 * host function, on a thread pool. Prints what each tenant got and returns 0 when all of it is right.
 */
#include "reml_embed.h"
#include "reml_program.h"
#include "reml_value.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { TENANTS = 4, REQUESTS = 50 };

static const char rules[] = "module Rules\n"
                            "\n"
                            "var asked = 0\n"
                            "\n"
                            "pub fn price(amount: Int) -> Int {\n"
                            "  asked := asked + 1\n"
                            "  let discount = if amount >= 10 then 2 else 0\n"
                            "  amount * Tenant.rate(amount) - discount\n"
                            "}\n"
                            "\n"
                            "pub fn times_asked() -> Int = asked\n";

typedef struct tenant {
    reml_program_t* program;
    int64_t rate, sum;
    int wrong;
} tenant_t;

static reml_embed_status_t rate(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context;
    (void)arguments;
    out->i = ((const tenant_t*)user)->rate;
    return REML_EMBED_STATUS_OK;
}

/* A context on which the rules may be loaded: the host function belongs to each. */
static reml_embed_context_t* open_for(tenant_t* tenant) {
    reml_embed_context_t* context = NULL;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_limits_t limits;
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    reml_embed_limits_untrusted(&limits);
    options.limits = &limits;
    if (reml_embed_create(REML_EMBED_ABI_VERSION, &options, &context) != REML_EMBED_STATUS_OK) return NULL;
    function.name = "Tenant.rate";
    function.signature = "(Int) -> Int";
    function.call_scalars = rate;
    function.user = tenant;
    if (reml_host_define(context, &function) == REML_EMBED_STATUS_OK) return context;
    reml_dispose_context(context);
    return NULL;
}

static void* serve(void* user) {
    tenant_t* tenant = user;
    for (int64_t amount = 1; amount <= REQUESTS; amount++) {
        reml_embed_context_t* context = open_for(tenant);
        reml_function_t price, times;
        reml_scalar_t result, asked;
        int fine = context && reml_program_load(context, tenant->program) == REML_EMBED_STATUS_OK &&
                   reml_function_find(context, "Rules.price", 11, "(Int) -> Int", 12, &price) == REML_EMBED_STATUS_OK &&
                   reml_function_find(context, "Rules.times_asked", 17, NULL, 0, &times) == REML_EMBED_STATUS_OK &&
                   reml_function_call_scalars(context, price, &(reml_scalar_t){.i = amount}, 1, &result) ==
                       REML_EMBED_STATUS_OK &&
                   reml_function_call_scalars(context, times, NULL, 0, &asked) == REML_EMBED_STATUS_OK;
        if (!fine || asked.i != 1) tenant->wrong++; /* nobody else's request is seen here */
        else tenant->sum += result.i;
        if (context && reml_dispose_context(context) != REML_EMBED_STATUS_OK) tenant->wrong++;
    }
    return NULL;
}

int main(void) {
    tenant_t tenants[TENANTS];
    pthread_t threads[TENANTS];
    reml_program_t* program = NULL;
    reml_program_info_t info = REML_PROGRAM_INFO_INIT;
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    int wrong = 0;
    memset(tenants, 0, sizeof tenants);
    source.text = rules;
    source.text_length = strlen(rules);
    source.file_name = "rules.reml";
    source.file_name_length = strlen(source.file_name);
    reml_embed_context_t* compiling = open_for(&tenants[0]);
    if (!compiling || reml_program_compile(compiling, &source, 1, &program) != REML_EMBED_STATUS_OK) {
        fprintf(stderr, "%s\n", compiling ? reml_last_error(compiling) : reml_embed_last_create_error());
        return 1;
    }
    reml_dispose_context(compiling); /* the program needs it no more */
    for (int i = 0; i < TENANTS; i++) {
        tenants[i].program = program;
        tenants[i].rate = i + 1;
        if (pthread_create(&threads[i], NULL, serve, &tenants[i]) != 0) return 1;
    }
    for (int i = 0; i < TENANTS; i++) {
        pthread_join(threads[i], NULL);
        int64_t expected = (int64_t)(i + 1) * REQUESTS * (REQUESTS + 1) / 2 - 2 * (REQUESTS - 9);
        printf("tenant %d: %d requests, %lld in all\n", i + 1, REQUESTS, (long long)tenants[i].sum);
        wrong += tenants[i].wrong + (tenants[i].sum != expected);
    }
    if (reml_program_info(program, &info) != REML_EMBED_STATUS_OK || info.contexts != 0) wrong++;
    printf("one program of %llu bytes for all of them\n", (unsigned long long)info.bytes);
    if (reml_program_release(program) != REML_EMBED_STATUS_OK) wrong++;
    return wrong ? 1 : 0;
}
