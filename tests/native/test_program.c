/* reml_program.h: compile once, run in many contexts. */
#include "check.h"

#include "reml_audit.h"
#include "reml_capability.h"
#include "reml_ffi_bridge.h"
#include "reml_program.h"
#include "reml_value.h"

#include "host/context.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK    REML_EMBED_STATUS_OK
#define ERROR REML_EMBED_STATUS_ERROR

static reml_embed_context_t* open_context(void) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    return context;
}

static reml_embed_source_t source_of(const char* text) {
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    source.text = text;
    source.text_length = strlen(text);
    return source;
}

static reml_program_t* compile_in(reml_embed_context_t* context, const char* text) {
    reml_program_t* program = NULL;
    const reml_embed_source_t source = source_of(text);
    CHECK_INT_EQ(reml_program_compile(context, &source, 1, &program), OK);
    if (reml_last_error(context)) printf("  %s\n", reml_last_error(context));
    return program;
}

/* In a context of its own, which goes again. */
static reml_program_t* compile(const char* text) {
    reml_embed_context_t* context = open_context();
    reml_program_t* program = compile_in(context, text);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    return program;
}

static uint64_t sharing(reml_program_t* program) {
    reml_program_info_t info = REML_PROGRAM_INFO_INIT;
    CHECK_INT_EQ(reml_program_info(program, &info), OK);
    return info.contexts;
}

static int64_t run_int(reml_embed_context_t* context, const char* entry) {
    reml_value_t value;
    int64_t number = -1;
    CHECK_INT_EQ(reml_run(context, entry), OK);
    if (reml_last_error(context)) printf("  %s\n", reml_last_error(context));
    CHECK_INT_EQ(reml_embed_result_borrow(context, &value), OK);
    CHECK_INT_EQ(reml_value_as_int(value, &number), OK);
    return number;
}

static bool error_has(reml_embed_context_t* context, const char* text) {
    const char* error = reml_last_error(context);
    bool found = error && strstr(error, text);
    if (!found) printf("  %s\n", error ? error : "(none)");
    return found;
}

static const char counting[] = "module Counter\n"
                               "type Point = { x: Int, y: Int }\n"
                               "fn twice<T>(f: T -> T, x: T) -> T = f(f(x))\n"
                               "var count = 40\n"
                               "pub fn next() -> Int { count := count + 1\n count }\n"
                               "pub fn moved(p: Point) -> Point = Point { ..p, x = twice(|v| v + 1, p.x) }\n"
                               "fn main() -> Int = next() + moved(Point { x: 1, y: 2 }).x\n";

TEST(test_program__contexts_share_what_was_compiled_once_and_nothing_else) {
    reml_program_t* program = compile(counting);
    CHECK_INT_EQ(sharing(program), 0);
    reml_embed_context_t *first = open_context(), *second = open_context();
    CHECK_INT_EQ(reml_program_load(first, program), OK);
    CHECK_INT_EQ(reml_program_load(second, program), OK);
    CHECK_INT_EQ(sharing(program), 2);
    CHECK_INT_EQ(run_int(first, "main"), 44);
    CHECK_INT_EQ(run_int(first, "next"), 42);
    CHECK_INT_EQ(run_int(second, "next"), 41);
    CHECK_INT_EQ(reml_dispose_context(first), OK);
    CHECK_INT_EQ(sharing(program), 1);
    CHECK_INT_EQ(run_int(second, "main"), 45);
    CHECK_INT_EQ(reml_dispose_context(second), OK);
    CHECK_INT_EQ(sharing(program), 0);
    CHECK_INT_EQ(reml_program_release(program), OK);
}

TEST(test_program__the_context_that_compiles_has_it_loaded) {
    reml_embed_context_t* context = open_context();
    reml_program_t* program = compile_in(context, counting);
    CHECK_INT_EQ(run_int(context, "main"), 44);
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(run_int(context, "main"), 45);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_program__it_lives_as_long_as_somebody_uses_it) {
    reml_program_t* program = compile(counting);
    reml_embed_context_t* context = open_context();
    CHECK_INT_EQ(reml_program_load(context, program), OK);
    CHECK_INT_EQ(reml_program_retain(program), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(reml_program_release(program), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(run_int(context, "main"), 44);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_program__ids_that_are_none_are_refused) {
    reml_embed_context_t* context = open_context();
    reml_program_t* program = compile(counting);
    CHECK_INT_EQ(reml_program_release(program), OK);
    reml_program_t* next = compile(counting); /* in the same row */
    CHECK(next != program);
    CHECK_INT_EQ(reml_program_load(context, program), REML_EMBED_STATUS_STALE);
    CHECK(error_has(context, "has been released"));
    CHECK_INT_EQ(reml_program_load(context, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    for (uintptr_t bits = 1; bits < 4096; bits += 7) {
        reml_program_t* invented = (reml_program_t*)(bits << 20 | bits);
        CHECK(invented == next || reml_program_load(context, invented) != OK);
        reml_program_info_t info = REML_PROGRAM_INFO_INIT;
        CHECK(invented == next || reml_program_info(invented, &info) != OK);
    }
    CHECK_INT_EQ(reml_program_load((reml_embed_context_t*)next, next), REML_EMBED_STATUS_INVALID_HANDLE);
    reml_program_t* none = next;
    CHECK_INT_EQ(reml_program_compile(context, NULL, 1, &none), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK(none == NULL);
    reml_embed_source_t source = source_of(counting);
    CHECK_INT_EQ(reml_program_compile(context, &source, 0, &none), REML_EMBED_STATUS_INVALID_ARGUMENT);
    source.flags = REML_EMBED_SOURCE_CHECK_ONLY;
    CHECK_INT_EQ(reml_program_compile(context, &source, 1, &none), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_program_info(next, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_program_release(next), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_program__several_sources_are_loaded_together_or_not_at_all) {
    reml_embed_context_t* context = open_context();
    reml_program_t* program = NULL;
    const reml_embed_source_t sources[] = {source_of("module Lib\npub fn half(x: Int) -> Int = x / 2\n"),
        source_of("module App\nuse Lib.{half}\nfn main() -> Int = half(84)\n"),
        source_of("fn wrong() -> Int = \"\"\n")};
    CHECK_INT_EQ(reml_program_compile(context, sources, 3, &program), ERROR);
    CHECK(program == NULL);
    CHECK(error_has(context, "1:21"));
    CHECK_INT_EQ(reml_run(context, "main"), ERROR);
    CHECK(error_has(context, "no module loaded"));
    CHECK_INT_EQ(reml_program_compile(context, sources, 2, &program), OK);
    CHECK_INT_EQ(run_int(context, "main"), 42);
    reml_embed_context_t* tenant = open_context();
    CHECK_INT_EQ(reml_program_load(tenant, program), OK);
    CHECK_INT_EQ(sharing(program), 1);
    CHECK_INT_EQ(run_int(tenant, "App.main"), 42);
    CHECK_INT_EQ(reml_dispose_context(tenant), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_program__more_may_be_loaded_behind_a_shared_one) {
    reml_program_t* program = compile("module Shapes\n"
                                      "pub trait Area { fn area(self) -> Int }\n"
                                      "pub type Square = { side: Int }\n"
                                      "impl Area for Square { fn area(self) -> Int = self.side * self.side }\n"
                                      "pub fn sum<T>(a: T, b: T) -> Int where Area<T> = a.area() + b.area()\n");
    reml_embed_context_t *context = open_context(), *other = open_context();
    CHECK_INT_EQ(reml_program_load(context, program), OK);
    CHECK_INT_EQ(reml_program_load(other, program), OK);
    static const char wrong[] = "use Shapes.{sum}\nfn main() -> Int = sum(1, 2)\n";
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)wrong, sizeof wrong - 1), ERROR);
    static const char more[] = "use Shapes.{Area, Square, sum}\n"
                               "type Strip = { length: Int }\n"
                               "impl Area for Strip { fn area(self) -> Int = self.length }\n"
                               "fn main() -> Int = sum(Strip { length: 3 }, Strip { length: 4 }) + "
                               "sum(Square { side: 2 }, Square { side: 3 })\n";
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)more, sizeof more - 1), OK);
    if (reml_last_error(context)) printf("  %s\n", reml_last_error(context));
    CHECK_INT_EQ(run_int(context, "main"), 20);
    CHECK_INT_EQ(reml_run(other, "main"), ERROR); /* nothing of it is there */
    CHECK(error_has(other, "entrypoint not found"));
    /* … and may be a program again, on the one that it stands on */
    reml_program_t* second = compile_in(
        context, "use Shapes.{Square, sum}\nfn extra() -> Int = sum(Square { side: 1 }, Square { side: 1 })\n");
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_program_load(other, second), OK);
    CHECK_INT_EQ(reml_program_release(second), OK);
    CHECK_INT_EQ(reml_dispose_context(other), OK);
}

/* --- what differs between contexts -------------------------------------------------------------------------------------- */

static reml_embed_status_t add_user(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context;
    out->i = arguments[0].i + *(const int*)user;
    return OK;
}

static void define(
    reml_embed_context_t* context, const char* name, const char* signature, const char* capability, const int* user) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = signature;
    function.call_scalars = add_user;
    function.capability = capability;
    function.user = (void*)(uintptr_t)user;
    CHECK_INT_EQ(reml_host_define(context, &function), OK);
}

TEST(test_program__host_functions_are_those_of_each_context) {
    static const int ten = 10, hundred = 100;
    reml_embed_context_t* context = open_context();
    define(context, "Host.plus", "(Int) -> Int", NULL, &ten);
    reml_program_t* program = compile_in(context, "fn main() -> Int = Host.plus(1)\n");
    reml_embed_context_t *tenant = open_context(), *late = open_context(), *other = open_context();
    define(tenant, "Host.plus", "(Int) -> Int", NULL, &hundred);
    CHECK_INT_EQ(reml_program_load(tenant, program), OK);
    CHECK_INT_EQ(sharing(program), 1);
    CHECK_INT_EQ(run_int(context, "main"), 11);
    CHECK_INT_EQ(run_int(tenant, "main"), 101);
    /* declared by the program, bound afterwards */
    CHECK_INT_EQ(reml_program_load(late, program), OK);
    CHECK_INT_EQ(sharing(program), 2);
    CHECK_INT_EQ(reml_run(late, "main"), ERROR);
    define(late, "Host.plus", NULL, NULL, &hundred);
    CHECK_INT_EQ(run_int(late, "main"), 101);
    /* another one of that name: the sources are checked anew, and fail as they would */
    define(other, "Host.plus", "(Str) -> Int", NULL, &ten);
    CHECK_INT_EQ(reml_program_load(other, program), ERROR);
    CHECK(error_has(other, "1:30"));
    CHECK_INT_EQ(sharing(program), 2);
    CHECK_INT_EQ(reml_dispose_context(other), OK);
    other = open_context();
    define(other, "Host.more", "(Int) -> Int", NULL, &ten); /* its numbers are other ones */
    define(other, "Host.plus", "(Int) -> Int", NULL, &ten);
    CHECK_INT_EQ(reml_program_load(other, program), OK);
    CHECK_INT_EQ(sharing(program), 2);
    CHECK_INT_EQ(run_int(other, "main"), 11);
    CHECK_INT_EQ(reml_dispose_context(other), OK);
    CHECK_INT_EQ(reml_dispose_context(late), OK);
    CHECK_INT_EQ(reml_dispose_context(tenant), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
}

static const char guarded_main[] = "fn first() -> Int = Host.plus(1)\nfn main() -> Int = Host.plus(1) + first()\n";

static reml_embed_context_t* open_granted(const char* grants, reml_capability_registry_t* registry) {
    static const int ten = 10;
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    reml_embed_context_t* context = NULL;
    options.registry = registry;
    options.granted_capabilities = grants;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK);
    define(context, "Host.plus", "(Int) -> Int", "plus.use", &ten);
    return context;
}

/* Numbers of records by kind, and the diagnostics. */
static void tell(reml_embed_context_t* context, char* out, size_t room) {
    char* records = NULL;
    size_t length = 0;
    reml_span_t diagnostics;
    CHECK_INT_EQ(reml_embed_diagnostics_json(context, &diagnostics), OK);
    CHECK_INT_EQ(reml_embed_audit_drain(context, &records, &length), OK);
    int loads = 0, fine = 0, refused = 0;
    for (const char* at = records; at && (at = strstr(at, "load_module")); at++) loads++;
    for (const char* at = records; at && (at = strstr(at, "\"capability.result\":\"success\"")); at++) fine++;
    for (const char* at = records; at && (at = strstr(at, "\"capability.result\":\"error\"")); at++) refused++;
    snprintf(out, room, "%d loads, %d granted, %d refused\n%.*s", loads, fine, refused, (int)diagnostics.length,
        (const char*)diagnostics.data);
    reml_embed_free(records);
}

TEST(test_program__grants_are_checked_and_recorded_as_in_an_ordinary_load) {
    reml_capability_registry_t* registry = NULL;
    reml_capability_spec_t spec = REML_CAPABILITY_SPEC_INIT;
    CHECK_INT_EQ(reml_capability_registry_create(NULL, &registry), OK);
    spec.kind = "io";
    spec.descriptor = "{\"id\":\"plus.use\",\"stage\":\"beta\",\"effect_scope\":[\"io\"]}";
    CHECK_INT_EQ(reml_capability_register(registry, &spec, NULL), OK);
    reml_embed_context_t* compiling = open_granted("plus.use", registry);
    reml_program_t* program = compile_in(compiling, guarded_main);
    for (int granted = 0; granted < 2; granted++) {
        const char* grants = granted ? "plus.use" : "";
        char ordinary[2048], shared[2048];
        reml_embed_context_t *one = open_granted(grants, registry), *two = open_granted(grants, registry);
        reml_embed_status_t expected = granted ? OK : ERROR;
        CHECK_INT_EQ(reml_load_module(one, (const unsigned char*)guarded_main, sizeof guarded_main - 1), expected);
        CHECK_INT_EQ(reml_program_load(two, program), expected);
        CHECK_INT_EQ(sharing(program), granted);
        if (!granted) CHECK_STR_EQ(reml_last_error(two), reml_last_error(one));
        tell(one, ordinary, sizeof ordinary);
        tell(two, shared, sizeof shared);
        CHECK_STR_EQ(shared, ordinary);
        if (granted) {
            CHECK_INT_EQ(run_int(two, "main"), 22);
            CHECK_INT_EQ(reml_embed_revoke(two, "plus.use"), OK);
            CHECK_INT_EQ(reml_run(two, "main"), REML_EMBED_STATUS_DENIED);
        } else { /* nothing has changed */
            static const char plain[] = "fn main() -> Int = 7\n";
            CHECK_INT_EQ(reml_run(two, "main"), ERROR);
            CHECK(error_has(two, "no module loaded"));
            CHECK_INT_EQ(reml_load_module(two, (const unsigned char*)plain, sizeof plain - 1), OK);
            CHECK_INT_EQ(run_int(two, "main"), 7);
        }
        CHECK_INT_EQ(reml_dispose_context(one), OK);
        CHECK_INT_EQ(reml_dispose_context(two), OK);
    }
    CHECK_INT_EQ(reml_dispose_context(compiling), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
    reml_capability_registry_dispose(registry);
}

TEST(test_program__a_context_of_another_target_checks_the_sources_anew) {
    reml_program_t* program = compile("@cfg(target_os = \"linux\")\nfn here() -> Int = 1\n"
                                      "@cfg(target_os = \"windows\")\nfn here() -> Int = 2\n"
                                      "fn main() -> Int = here()\n");
    reml_embed_target_t target = REML_EMBED_TARGET_INIT;
    reml_embed_context_t* context = open_context();
    target.os = "windows";
    CHECK_INT_EQ(reml_embed_set_target(context, &target), OK);
    CHECK_INT_EQ(reml_program_load(context, program), OK);
    CHECK_INT_EQ(sharing(program), 0);
    CHECK_INT_EQ(run_int(context, "main"), 2);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
}

TEST(test_program__limits_of_the_loading_context_hold) {
    reml_program_t* program = compile(counting);
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.source_bytes = 10;
    reml_embed_context_t* context = open_context();
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    CHECK_INT_EQ(reml_program_load(context, program), REML_EMBED_STATUS_LIMIT);
    CHECK(error_has(context, "parser.limit.exceeded"));
    limits.source_bytes = 1 << 20;
    limits.fuel = 5;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    CHECK_INT_EQ(reml_program_load(context, program), OK);
    CHECK_INT_EQ(sharing(program), 1);
    CHECK_INT_EQ(reml_run(context, "main"), REML_EMBED_STATUS_LIMIT);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
}

TEST(test_program__warnings_are_those_of_an_ordinary_load) {
    static const char text[] = "fn main() -> Int {\n  unsafe { 1 }\n}\n";
    char ordinary[2048], shared[2048];
    reml_embed_context_t *one = open_context(), *two = open_context(), *strict = NULL;
    reml_program_t* program = compile(text);
    CHECK_INT_EQ(reml_load_module(one, (const unsigned char*)text, sizeof text - 1), OK);
    CHECK_INT_EQ(reml_program_load(two, program), OK);
    CHECK_INT_EQ(sharing(program), 1);
    tell(one, ordinary, sizeof ordinary);
    tell(two, shared, sizeof shared);
    CHECK(strstr(ordinary, "effects.unsafe.unused") != NULL);
    CHECK_STR_EQ(shared, ordinary);
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.flags = REML_EMBED_OPTION_WARNINGS_AS_ERRORS;
    CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &strict), OK);
    CHECK_INT_EQ(
        reml_program_load(strict, program), reml_load_module(one, (const unsigned char*)text, sizeof text - 1));
    CHECK_INT_EQ(sharing(program), 1);
    CHECK_INT_EQ(reml_dispose_context(strict), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(reml_dispose_context(one), OK);
    CHECK_INT_EQ(reml_dispose_context(two), OK);
}

TEST(test_program__finding_functions_and_types_copies_nothing) {
    reml_program_t* program = compile(counting);
    reml_embed_context_t* id = open_context();
    CHECK_INT_EQ(reml_program_load(id, program), OK);
    rl_context_t* context = NULL;
    CHECK_INT_EQ(rl_slot_resolve(id, &context), OK);
    reml_function_t function;
    CHECK_INT_EQ(reml_function_find(id, "next", 4, "() -> Int", 9, &function), OK);
    CHECK_INT_EQ(reml_function_find(id, "twice", 5, "((Str) -> Str, Str) -> Str", 26, &function), OK);
    CHECK_INT_EQ(reml_function_find(id, "moved", 5, "({ x: Int, y: Int }) -> Int", 27, &function), ERROR);
    CHECK_INT_EQ(run_int(id, "main"), 44);
    CHECK(context->program.lender != NULL);
    reml_program_t* second = compile_in(id, "use Counter.{next}\nfn more() -> Int = next()\n");
    CHECK(context->program.lender == NULL);
    CHECK_INT_EQ(run_int(id, "more"), 42);
    CHECK_INT_EQ(reml_program_release(second), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(reml_dispose_context(id), OK);
}

/* --- threads, forks, memory ----------------------------------------------------------------------------------------------- */

static void* live_often(void* program) {
    for (int i = 0; i < 40; i++) {
        reml_embed_context_t* context = open_context();
        CHECK_INT_EQ(reml_program_load(context, program), OK);
        CHECK_INT_EQ(run_int(context, "main"), 44);
        if (i % 8 == 0) {
            static const char more[] = "use Counter.{next}\nfn more() -> Int = next()\n";
            CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)more, sizeof more - 1), OK);
            CHECK_INT_EQ(run_int(context, "more"), 42);
        }
        CHECK_INT_EQ(reml_dispose_context(context), OK);
    }
    return NULL;
}

TEST(test_program__threads_share_it) {
    reml_program_t* program = compile(counting);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) CHECK_INT_EQ(pthread_create(&threads[i], NULL, live_often, program), 0);
    for (size_t i = 0; i < 4; i++) CHECK_INT_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_INT_EQ(sharing(program), 0);
    CHECK_INT_EQ(reml_program_release(program), OK);
}

TEST(test_program__it_is_there_in_a_forked_child) {
    reml_program_t* program = compile(counting);
    reml_embed_context_t* inherited = open_context();
    CHECK_INT_EQ(reml_program_load(inherited, program), OK);
    pid_t child = fork();
    if (child == 0) {
        reml_embed_context_t* context = NULL;
        bool fine = reml_create_context("0.1.0", &context) == OK && reml_program_load(context, program) == OK &&
                    reml_run(context, "main") == OK && reml_dispose_context(context) == OK &&
                    reml_dispose_context(inherited) == OK && reml_program_release(program) == OK;
        _exit(fine ? 0 : 1);
    }
    int status = 1;
    CHECK_INT_EQ(waitpid(child, &status, 0), child);
    CHECK_INT_EQ(status, 0);
    CHECK_INT_EQ(run_int(inherited, "main"), 44);
    CHECK_INT_EQ(reml_dispose_context(inherited), OK);
    CHECK_INT_EQ(reml_program_release(program), OK);
}

typedef struct meter {
    uint64_t requests, fail_at, live;
    bool hit;
} meter_t;

static void* metered(void* block, size_t old_size, size_t new_size, void* user) {
    meter_t* meter = user;
    if (new_size > old_size && ++meter->requests == meter->fail_at) {
        meter->hit = true;
        return NULL;
    }
    void* moved = NULL;
    if (new_size) moved = realloc(block, new_size);
    else free(block);
    if (moved || !new_size) meter->live += new_size - old_size;
    return moved;
}

/* Loads, and loads more: each request for memory fails once. */
TEST(test_program__memory_that_is_refused_changes_nothing) {
    static const char more[] = "use Counter.{next}\nfn more() -> Int = next()\n";
    reml_program_t* program = compile("module Counter\nfn main() -> Int {\n  unsafe { next() }\n}\nvar n = 41\npub fn "
                                      "next() -> Int { n := n + 1\n n }\n");
    bool hit = true;
    for (uint64_t n = 1; hit && n < 2000; n++) {
        meter_t meter = {0};
        reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
        reml_embed_context_t* context = NULL;
        options.resize = metered;
        options.resize_user = &meter;
        CHECK_INT_EQ(reml_embed_create("0.1.0", &options, &context), OK);
        meter.fail_at = meter.requests + n;
        reml_embed_status_t status = reml_program_load(context, program);
        CHECK(status == OK || status == REML_EMBED_STATUS_NO_MEMORY);
        if (status != OK) CHECK_INT_EQ(reml_program_load(context, program), OK);
        status = reml_load_module(context, (const unsigned char*)more, sizeof more - 1);
        CHECK(status == OK || status == REML_EMBED_STATUS_NO_MEMORY);
        if (status != OK) CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)more, sizeof more - 1), OK);
        hit = meter.hit;
        meter.fail_at = 0;
        CHECK_INT_EQ(run_int(context, "more"), 42);
        CHECK_INT_EQ(run_int(context, "main"), 43);
        CHECK_INT_EQ(sharing(program), 1);
        CHECK_INT_EQ(reml_dispose_context(context), OK);
        CHECK_INT_EQ(meter.live, 0);
    }
    CHECK(!hit);
    CHECK_INT_EQ(reml_program_release(program), OK);
}

TEST(test_program__a_copy_that_memory_refuses_leaves_nothing) {
    reml_embed_context_t* id = open_context();
    reml_program_t* program = compile_in(id, counting);
    rl_context_t* context = NULL;
    CHECK_INT_EQ(rl_slot_resolve(id, &context), OK);
    bool done = false;
    for (uint64_t n = 1; !done && n < 2000; n++) {
        rl_allocator_t allocator;
        rl_program_t copy;
        rl_allocator_init(&allocator, NULL, NULL);
        allocator.fail_at = n;
        done = rl_program_copy(&copy, &context->program, &allocator);
        CHECK(done != allocator.failed);
        if (done) rl_program_deinit(&copy);
        CHECK_INT_EQ(allocator.live_bytes, 0);
    }
    CHECK(done);
    CHECK_INT_EQ(reml_program_release(program), OK);
    CHECK_INT_EQ(reml_dispose_context(id), OK);
}

/* They are packed in the library (tools/embed_prelude.py). */
TEST(test_program__the_core_library_is_the_sources_in_the_tree) {
    const rl_program_t* core = rl_process_prelude();
    unsigned compared = 0;
    CHECK(core != NULL);
    for (uint32_t i = 0; core && i < core->modules.count; i++) {
        const rl_module_t* module = &core->modules.data[i];
        static char text[1 << 18];
        char path[512];
        if (!module->source.length) continue; /* number 0 */
        snprintf(path, sizeof path, "native/src/vm/core/%.*s", (int)module->file.length, module->file.data);
        FILE* file = fopen(path, "rb");
        size_t length = file ? fread(text, 1, sizeof text, file) : 0;
        if (file) fclose(file);
        CHECK_INT_EQ(module->source.length, length);
        CHECK(length == module->source.length && memcmp(text, module->source.data, length) == 0);
        compared++;
    }
    CHECK(compared > 15);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_program__contexts_share_what_was_compiled_once_and_nothing_else),
        RUN(test_program__the_context_that_compiles_has_it_loaded),
        RUN(test_program__it_lives_as_long_as_somebody_uses_it),
        RUN(test_program__ids_that_are_none_are_refused),
        RUN(test_program__several_sources_are_loaded_together_or_not_at_all),
        RUN(test_program__more_may_be_loaded_behind_a_shared_one),
        RUN(test_program__host_functions_are_those_of_each_context),
        RUN(test_program__grants_are_checked_and_recorded_as_in_an_ordinary_load),
        RUN(test_program__a_context_of_another_target_checks_the_sources_anew),
        RUN(test_program__limits_of_the_loading_context_hold),
        RUN(test_program__warnings_are_those_of_an_ordinary_load),
        RUN(test_program__finding_functions_and_types_copies_nothing),
        RUN(test_program__threads_share_it),
        RUN(test_program__it_is_there_in_a_forked_child),
        RUN(test_program__memory_that_is_refused_changes_nothing),
        RUN(test_program__a_copy_that_memory_refuses_leaves_nothing),
        RUN(test_program__the_core_library_is_the_sources_in_the_tree),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
