/* Replacing a module of a context that goes on (reml_embed_reload_module): what goes over, what is refused, and that a refusal changes
   nothing. */
#include "check.h"

#include "reml_async.h"
#include "reml_audit.h"
#include "reml_ffi_bridge.h"
#include "reml_profile.h"
#include "reml_program.h"
#include "reml_ref.h"
#include "reml_value.h"

#include <stdlib.h>

#define OK    REML_EMBED_STATUS_OK
#define ERROR REML_EMBED_STATUS_ERROR

static reml_embed_context_t* context;

static void begin(void) {
    context = NULL;
    CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &context), OK);
}
static void end(void) { CHECK_INT_EQ(reml_dispose_context(context), OK); }

static void load(const char* text) {
    if (!CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)text, strlen(text)), OK))
        printf("  %s\n", reml_last_error(context));
}

static reml_embed_status_t reload_as(const char* text, const reml_embed_reload_t* options) {
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    source.text = text;
    source.text_length = strlen(text);
    source.file_name = "new.reml";
    source.file_name_length = 8;
    return reml_embed_reload_module(context, &source, options);
}
static reml_embed_status_t reload_status(const char* text) { return reload_as(text, NULL); }
static void reload(const char* text) {
    if (!CHECK_INT_EQ(reload_status(text), OK)) printf("  %s\n", reml_last_error(context));
}
static void refuse(const char* text, const char* expected) {
    CHECK_INT_EQ(reload_status(text), ERROR);
    const char* error = reml_last_error(context);
    CHECK_STR_EQ(error ? error : "", expected);
}

static reml_function_t find(const char* name) {
    reml_function_t function;
    if (!CHECK_INT_EQ(reml_function_find(context, name, strlen(name), NULL, 0, &function), OK))
        printf("  %s\n", reml_last_error(context));
    return function;
}
static int64_t call(reml_function_t function, int64_t argument) {
    reml_scalar_t given = {.i = argument}, out = {.i = -1};
    if (!CHECK_INT_EQ(reml_function_call_scalars(context, function, &given, 1, &out), OK))
        printf("  %s\n", reml_last_error(context));
    return out.i;
}
static reml_value_t call_value(reml_function_t function) {
    reml_value_t out;
    if (!CHECK_INT_EQ(reml_function_call(context, function, NULL, 0, &out), OK))
        printf("  %s\n", reml_last_error(context));
    return out;
}
static void check_text(reml_value_t value, const char* expected) {
    char* text = NULL;
    size_t length = 0;
    CHECK_INT_EQ(reml_value_text(context, value, &text, &length), OK);
    check_bytes(text, length, expected, strlen(expected), __FILE__, __LINE__, "text of the value");
    reml_embed_free(text);
}
static char* drain(void) {
    char* text = NULL;
    size_t length;
    CHECK_INT_EQ(reml_embed_audit_drain(context, &text, &length), OK);
    return text;
}
static void check_told(const char* part, bool told) {
    char* text = drain();
    if (!CHECK((text && strstr(text, part) != NULL) == told)) printf("  %s in %s\n", part, text ? text : "");
    reml_embed_free(text);
}
static uint64_t live_bytes(void) {
    reml_embed_memory_t memory = {.struct_size = sizeof memory};
    CHECK_INT_EQ(reml_embed_collect(context), OK);
    CHECK_INT_EQ(reml_embed_memory(context, &memory), OK);
    return memory.live_bytes;
}

static const char counter_one[] =
    "module Counter\nvar count = 0\nfn add(x: Int) -> Int { count := count + x; count }\n";
static const char counter_two[] =
    "module Counter\nvar count = 1000\nfn add(x: Int) -> Int { count := count + 2 * x; count }\n";

/* --- functions ------------------------------------------------------------------------------------------------------------ */

TEST(test_reload__a_function_handle_calls_the_new_version_from_the_next_call_on) {
    begin();
    load("module M\nfn f(x: Int) -> Int = x + 1\n");
    reml_function_t f = find("M.f");
    CHECK_INT_EQ(call(f, 1), 2);
    reload("module M\nfn f(x: Int) -> Int = x + 100\n");
    CHECK_INT_EQ(call(f, 1), 101);
    CHECK_INT_EQ(call(find("M.f"), 1), 101);
    CHECK_INT_EQ(reml_function_release(context, f), OK);
    end();
}

TEST(test_reload__what_is_wrong_in_the_source_is_refused_with_its_place_and_the_old_version_serves) {
    begin();
    load("module M\nfn f(x: Int) -> Int = x + 1\n");
    reml_function_t f = find("M.f");
    refuse("module M\nfn f(x: Int) -> Int = x + true\n", "2:27: type.mismatch: expected Int, found Bool");
    reml_span_t shown;
    CHECK_INT_EQ(reml_embed_diagnostics_text(context, 0, &shown), OK);
    CHECK(strstr(shown.data, "new.reml:2:27") != NULL);
    CHECK_INT_EQ(call(f, 1), 2);
    CHECK_INT_EQ(reload_status("module M\nfn f(x: Int -> Int\n"), ERROR);
    CHECK_INT_EQ(call(f, 1), 2);
    end();
}

TEST(test_reload__an_export_that_is_missing_or_another_one_is_refused) {
    begin();
    load("module M\nfn f(x: Int) -> Int = x + 1\nfn g() -> Str = \"g\"\n");
    reml_function_t f = find("M.f");
    refuse("module M\nfn f(x: Int) -> Int = x\n", "1:1: reload.export.removed: g: () -> Str is not there any more");
    refuse("module M\nfn f(x: Int, y: Int) -> Int = x\nfn g() -> Str = \"\"\n",
        "2:4: reload.export.changed: f: (Int) -> Int is now (Int, Int) -> Int");
    CHECK_INT_EQ(call(f, 1), 2);
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.allow = "g";
    CHECK_INT_EQ(reload_as("module M\nfn f(x: Int) -> Int = x\n", &options), OK);
    CHECK_INT_EQ(call(f, 1), 1);
    end();
}

TEST(test_reload__only_marked_functions_are_exports_where_some_are_marked) {
    begin();
    load("module M\n@dsl_export\nfn f(x: Int) -> Int = h(x)\nfn h(x: Int) -> Int = x + 1\n");
    reml_function_t f = find("M.f");
    reload("module M\n@dsl_export\nfn f(x: Int) -> Int = x + 2\n");
    CHECK_INT_EQ(call(f, 1), 3);
    end();
}

TEST(test_reload__a_function_that_the_host_holds_must_be_there_unless_it_is_let_go) {
    begin();
    load("module M\n@dsl_export\nfn f(x: Int) -> Int = h(x)\nfn h(x: Int) -> Int = x + 1\n");
    reml_function_t f = find("M.f"), h = find("M.h");
    static const char next[] = "module M\n@dsl_export\nfn f(x: Int) -> Int = x + 2\n";
    refuse(next,
        "1:1: reload.value.held: h: the host holds this function, and the new version has none of its name and "
        "signature");
    CHECK_INT_EQ(call(h, 1), 2);
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.flags = REML_EMBED_RELOAD_LET_GO;
    CHECK_INT_EQ(reload_as(next, &options), OK);
    CHECK_INT_EQ(call(f, 1), 3);
    reml_scalar_t given = {.i = 1}, out;
    CHECK_INT_EQ(reml_function_call_scalars(context, h, &given, 1, &out), REML_EMBED_STATUS_STALE);
    end();
}

TEST(test_reload__another_name_and_an_unknown_module_are_refused) {
    begin();
    load("module M\nfn f(x: Int) -> Int = x + 1\n");
    refuse("module N\nfn f(x: Int) -> Int = x\n",
        "1:1: reload.module.unknown: no module N is loaded that could be replaced");
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.module = "M";
    CHECK_INT_EQ(reload_as("module N\nfn f(x: Int) -> Int = x\n", &options), ERROR);
    CHECK_STR_EQ(reml_last_error(context), "1:1: reload.module.renamed: module M is now N");
    options.module = "#host";
    CHECK_INT_EQ(reload_as("module N\nfn f(x: Int) -> Int = x\n", &options), ERROR);
    CHECK_INT_EQ(reload_status(""), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_INT_EQ(reml_embed_reload_module(context, NULL, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    end();
}

TEST(test_reload__a_module_without_a_name_is_replaced_too) {
    begin();
    load("fn f(x: Int) -> Int = x + 1\n");
    reml_function_t f = find("f");
    reload("fn f(x: Int) -> Int = x + 7\n");
    CHECK_INT_EQ(call(f, 1), 8);
    CHECK_INT_EQ(reml_run(context, "main"), ERROR);
    end();
}

/* --- state ---------------------------------------------------------------------------------------------------------------- */

TEST(test_reload__a_var_of_the_same_type_goes_over) {
    begin();
    load(counter_one);
    reml_function_t add = find("Counter.add");
    CHECK_INT_EQ(call(add, 5), 5);
    reload(counter_two);
    CHECK_INT_EQ(call(add, 1), 7);
    end();
}

TEST(test_reload__constants_are_those_of_the_new_version_and_values_with_identity_go_over) {
    begin();
    load("module M\nlet scale = 2\nlet log: Vec<Int> = Vec.new()\nlet names: Table<Str, [Int]> = Table.new()\n"
         "fn add(x: Int) -> Int { log.push(x); names[\"a\"] := [x, x]; scale * log.len() }\n"
         "fn all() -> Str = format(\"{log} {names[\\\"a\\\"]}\")\n");
    reml_function_t add = find("M.add");
    call(add, 7);
    CHECK_INT_EQ(call(add, 8), 4);
    reload("module M\nlet scale = 10\nlet log: Vec<Int> = Vec.new()\nlet names: Table<Str, [Int]> = Table.new()\n"
           "fn add(x: Int) -> Int { log.push(x); scale * log.len() }\n"
           "fn all() -> Str = format(\"{log} {names[\\\"a\\\"]}\")\n");
    CHECK_INT_EQ(call(add, 9), 30);
    reml_value_t all = call_value(find("M.all"));
    check_text(all, "[7, 8, 9] [8, 8]");
    reml_value_release(context, all);
    end();
}

TEST(test_reload__state_that_has_no_place_or_another_type_is_refused_unless_it_may_go) {
    begin();
    load(counter_one);
    reml_function_t add = find("Counter.add");
    CHECK_INT_EQ(call(add, 5), 5);
    refuse("module Counter\nfn add(x: Int) -> Int = x\n",
        "1:1: reload.state.lost: count: Int has no place in the new version");
    refuse("module Counter\nvar count = \"\"\nfn add(x: Int) -> Int = x\n",
        "2:5: reload.state.mismatch: count: Int is of another type now");
    CHECK_INT_EQ(call(add, 1), 6);
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.allow = "count";
    CHECK_INT_EQ(reload_as("module Counter\nfn add(x: Int) -> Int = x\n", &options), OK);
    CHECK_INT_EQ(call(add, 3), 3);
    end();
}

TEST(test_reload__a_module_that_was_never_initialised_takes_no_state_and_does_not_run) {
    begin();
    load("module M\nvar count = 1 / 1\nfn f(x: Int) -> Int { count := count + x; count }\n");
    reload("module M\nvar count = 10 / 2\nfn f(x: Int) -> Int { count := count + x; count }\n");
    CHECK_INT_EQ(call(find("M.f"), 1), 6);
    end();
}

TEST(test_reload__state_goes_over_by_its_functions) {
    begin();
    load("module M\nvar hits = 0\nfn hit() -> Int { hits := hits + 1; hits }\nfn export_state() -> Int = hits\n");
    reml_function_t hit = find("M.hit");
    reml_value_release(context, call_value(hit));
    reml_value_t two = call_value(hit);
    check_text(two, "2");
    reload("module M\nlet log: Vec<Str> = Vec.new()\nfn hit() -> Int { log.push(\"hit\"); log.len() }\n"
           "fn export_state() -> [Str] { var all: [Str] = []\n for x in log { all := all ++ [x] }\n all }\n"
           "fn migrate(n: Int) -> [Str] { var all: [Str] = []\n for i in 0..n { all := all ++ [\"old\"] }\n all }\n"
           "fn import_state(all: [Str]) -> () { for x in all { log.push(x) } }\n");
    check_text(call_value(hit), "3");
    /* Now the type is that of import_state itself. */
    reload("module M\nlet log: Vec<Str> = Vec.new()\nfn hit() -> Int { log.push(\"hit\"); 10 * log.len() }\n"
           "fn export_state() -> [Str] { var all: [Str] = []\n for x in log { all := all ++ [x] }\n all }\n"
           "fn import_state(all: [Str]) -> () { for x in all { log.push(x) } }\n");
    check_text(call_value(hit), "40");
    refuse("module M\nfn hit() -> Int = 0\n",
        "1:1: reload.state.lost: the old version has export_state, the new one no import_state");
    refuse("module M\nfn hit() -> Int = 0\nfn import_state(n: Int) -> () = ()\n",
        "3:4: reload.state.mismatch: export_state: List<Str> is not what import_state takes, and no migrate makes it "
        "so");
    check_text(call_value(hit), "50");
    end();
}

TEST(test_reload__a_type_of_the_state_changes_when_it_goes_over_as_records_without_a_name) {
    begin();
    load("module M\ntype Item = { name: Str, n: Int }\nvar items: [Item] = []\n"
         "@dsl_export\nfn add(x: Int) -> Int { items := items ++ [Item { name: \"i{x}\", n: x }]; items.len() }\n"
         "fn export_state() -> [{ name: Str, n: Int }] = items.map(|i| { name: i.name, n: i.n })\n");
    reml_function_t add = find("M.add");
    call(add, 7);
    reload("module M\ntype Item = { name: Str, n: Int, price: Float }\nvar items: [Item] = []\n"
           "@dsl_export\nfn add(x: Int) -> Int { items := items ++ [Item { name: \"i\", n: x, price: 2.0 }]; "
           "items.len() }\n"
           "fn import_state(all: [{ name: Str, n: Int }]) -> () { items := all.map(|i| Item { name: i.name, n: i.n, "
           "price: 1.5 }) }\n"
           "fn first() -> Item = items[0]\n");
    CHECK_INT_EQ(call(add, 8), 2);
    reml_value_t first = call_value(find("M.first"));
    check_text(first, "Item { n: 7, name: \"i{x}\", price: 1.5 }");
    reml_value_release(context, first);
    end();
}

TEST(test_reload__functions_of_state_that_panic_leave_the_old_version) {
    begin();
    load("module M\nvar hits = 0\nfn hit() -> Int { hits := hits + 1; hits }\nfn export_state() -> Int = hits\n");
    reml_function_t hit = find("M.hit");
    check_text(call_value(hit), "1");
    refuse("module M\nvar hits = 0\nfn hit() -> Int { hits := hits + 1; 100 }\nfn import_state(n: Int) -> () { hits := "
           "n / 0 }\n",
        "runtime.arith.div_zero: division by zero");
    reml_span_t json;
    CHECK_INT_EQ(reml_embed_diagnostics_json(context, &json), OK);
    CHECK(strstr(json.data, "import_state") != NULL);
    check_text(call_value(hit), "2");
    end();
}

/* --- failures leave the old version -------------------------------------------------------------------------------------- */

static const char shared_log[] = "module Log\npub let lines: Vec<Str> = Vec.new()\n"
                                 "pub fn note(text: Str) -> Int { lines.push(text); lines.len() }\n"
                                 "pub fn count() -> Int = lines.len()\n";
static const char user_one[] = "module User\nuse Log\nvar seen = 0\nlet first = Log.note(\"one\")\n"
                               "fn see(x: Int) -> Int { seen := seen + x; Log.note(\"seen\"); seen }\n";

TEST(test_reload__an_initialisation_that_panics_changes_nothing_not_even_in_other_modules) {
    begin();
    load(shared_log);
    load(user_one);
    reml_function_t see = find("User.see"), count = find("Log.count");
    CHECK_INT_EQ(call(see, 1), 1);
    check_text(call_value(count), "2");
    refuse("module User\nuse Log\nvar seen = 0\nlet first = Log.note(\"new\")\nlet bad = 1 / (first - first)\n"
           "fn see(x: Int) -> Int = 0\n",
        "runtime.arith.div_zero: division by zero");
    check_text(call_value(count), "2");
    CHECK_INT_EQ(call(see, 1), 2);
    check_text(call_value(count), "3");
    end();
}

TEST(test_reload__a_limit_or_an_interrupt_in_initialisation_leaves_the_old_version) {
    begin();
    load(counter_one);
    reml_function_t add = find("Counter.add");
    CHECK_INT_EQ(call(add, 5), 5);
    reml_embed_limits_t limits;
    reml_embed_limits_default(&limits);
    limits.fuel = 1000000;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    CHECK_INT_EQ(
        reload_status("module Counter\nvar count = 0\nfn spin() -> Int { while true { count := count + 1 }\n 0 }\n"
                      "let never = spin()\nfn add(x: Int) -> Int = x\n"),
        REML_EMBED_STATUS_LIMIT);
    CHECK_INT_EQ(call(add, 1), 6);
    end();
}

static reml_embed_status_t stop_at_once(void* user) {
    (void)user;
    return ERROR;
}
TEST(test_reload__a_poll_that_says_stop_cancels_it) {
    begin();
    load(counter_one);
    reml_function_t add = find("Counter.add");
    CHECK_INT_EQ(call(add, 5), 5);
    CHECK_INT_EQ(reml_embed_set_poll(context, stop_at_once, NULL), OK);
    CHECK_INT_EQ(
        reload_status("module Counter\nvar count = 0\nfn spin() -> Int { while true { count := count + 1 }\n 0 }\n"
                      "let never = spin()\nfn add(x: Int) -> Int = x\n"),
        ERROR);
    CHECK_STR_EQ(reml_last_error(context), "runtime.interrupted: interrupted");
    CHECK_INT_EQ(reml_embed_set_poll(context, NULL, NULL), OK);
    CHECK_INT_EQ(call(add, 1), 6);
    end();
}

TEST(test_reload__a_module_that_failed_to_initialise_is_mended_by_a_reload) {
    begin();
    load("module M\nlet zero = 0\nlet bad = 1 / zero\nfn f(x: Int) -> Int = x + bad\n");
    CHECK_INT_EQ(reml_run(context, ""), ERROR);
    reload("module M\nlet zero = 1\nlet bad = 1 / zero\nfn f(x: Int) -> Int = x + bad\n");
    CHECK_INT_EQ(call(find("M.f"), 1), 2);
    end();
}

/* --- other modules -------------------------------------------------------------------------------------------------------- */

TEST(test_reload__modules_that_use_it_call_the_new_version_and_keep_their_values) {
    begin();
    load("module Base\npub fn scale(x: Int) -> Int = x * 2\n");
    load("module User\nuse Base\nvar sum = 0\nlet twice = |x: Int| Base.scale(x) + sum\nlet start = Base.scale(50)\n"
         "fn add(x: Int) -> Int { sum := sum + Base.scale(x); sum }\nfn late(x: Int) -> Int = twice(x)\n"
         "fn begun(x: Int) -> Int = start + x\n");
    reml_function_t add = find("User.add"), late = find("User.late"), begun = find("User.begun");
    CHECK_INT_EQ(call(add, 1), 2);
    CHECK_INT_EQ(call(late, 1), 4);
    reload("module Base\npub fn scale(x: Int) -> Int = x * 10\n");
    CHECK_INT_EQ(call(add, 1), 12);
    CHECK_INT_EQ(call(late, 1), 22);
    CHECK_INT_EQ(call(begun, 0), 100); /* computed once */
    end();
}

TEST(test_reload__a_module_that_does_not_fit_the_new_version_any_more_is_named) {
    begin();
    load("module Base\npub fn scale(x: Int) -> Int = x * 2\n");
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    source.text = "module User\nuse Base\nfn add(x: Int) -> Int = Base.scale(x)\n";
    source.text_length = strlen(source.text);
    source.file_name = "user.reml";
    source.file_name_length = 9;
    CHECK_INT_EQ(reml_embed_load(context, &source), OK);
    reml_function_t add = find("User.add");
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.allow = "scale";
    CHECK_INT_EQ(reload_as("module Base\npub fn scale(x: Str) -> Int = 1\n", &options), ERROR);
    reml_span_t shown;
    CHECK_INT_EQ(reml_embed_diagnostics_text(context, 0, &shown), OK);
    CHECK(strstr(shown.data, "user.reml:3:") != NULL);
    CHECK_INT_EQ(call(add, 4), 8);
    end();
}

TEST(test_reload__a_lambda_of_the_module_itself_in_its_state_is_refused_and_one_of_another_module_goes_over) {
    begin();
    load(
        "module Hooks\npub var hooks: [(Int) -> Int] = []\npub fn add(h: (Int) -> Int) -> Int { hooks := hooks ++ [h]; "
        "hooks.len() }\npub fn run(x: Int) -> Int { var y = x\n for h in hooks { y := h(y) }\n y }\n");
    load("module Other\nuse Hooks\nvar by = 3\nlet added = Hooks.add(|x: Int| x + by)\nfn more(x: Int) -> Int { by := "
         "x; by }\n"
         "fn plain(x: Int) -> Int = x * 2\nlet again = Hooks.add(plain)\n");
    reml_function_t run = find("Hooks.run"), more = find("Other.more");
    CHECK_INT_EQ(call(run, 1), 8);
    /* Hooks is replaced: its state holds functions of Other. */
    reload(
        "module Hooks\npub var hooks: [(Int) -> Int] = []\npub fn add(h: (Int) -> Int) -> Int { hooks := hooks ++ [h]; "
        "hooks.len() }\npub fn run(x: Int) -> Int { var y = x\n for h in hooks { y := h(y) }\n 100 + y }\n");
    CHECK_INT_EQ(call(run, 1), 108);
    CHECK_INT_EQ(call(more, 10), 10);
    CHECK_INT_EQ(call(run, 1), 122);
    /* Other is replaced: what Hooks holds is a lambda of its old code. */
    CHECK_INT_EQ(reload_status("module Other\nuse Hooks\nvar by = 4\nfn more(x: Int) -> Int { by := x; by }\n"
                               "fn plain(x: Int) -> Int = x * 2\n"),
        ERROR);
    CHECK_STR_EQ(reml_last_error(context),
        "1:1: reload.state.mismatch: hooks: List<(Int) -> Int> holds a function that stays with the old version");
    CHECK_INT_EQ(call(run, 1), 122);
    end();
}

/* --- what the host holds -------------------------------------------------------------------------------------------------- */

TEST(test_reload__handles_go_over_with_what_they_share) {
    begin();
    load("module M\nlet log: Vec<Int> = Vec.new()\nfn get() -> Vec<Int> = log\nfn add(x: Int) -> Int { log.push(x); "
         "log.len() }\n"
         "fn made() -> Map<Str, [Int]> = { \"a\": [1, 2], \"b\": [3] }\n");
    reml_function_t get = find("M.get"), add = find("M.add");
    reml_value_t log = call_value(get), made = call_value(find("M.made"));
    CHECK_INT_EQ(call(add, 1), 1);
    reload("module M\nlet log: Vec<Int> = Vec.new()\nfn get() -> Vec<Int> = log\nfn add(x: Int) -> Int { log.push(x); "
           "log.len() }\n"
           "fn made() -> Map<Str, [Int]> = { \"z\": [] }\n");
    CHECK_INT_EQ(call(add, 2), 2);
    check_text(log, "[1, 2]");
    reml_value_t again = call_value(get);
    int same = 0;
    CHECK_INT_EQ(reml_value_equal(context, log, again, &same), OK);
    CHECK_INT_EQ(same, 1);
    check_text(made, "{\"a\": [1, 2], \"b\": [3]}");
    CHECK_INT_EQ(reml_value_release(context, log), OK);
    CHECK_INT_EQ(reml_value_release(context, again), OK);
    CHECK_INT_EQ(reml_value_release(context, made), OK);
    end();
}

static const char shapes[] =
    "module M\ntype Shape = Circle(Float) | Square { side: Int } | Dot\n"
    "type Point = { x: Int, y: Int }\nstruct Node { var value: Int, var next: Option<Node> }\n";

static void add_functions(char* out, const char* types, const char* more) {
    strcpy(out, types);
    strcat(out, "fn all() -> [Shape] = [Circle(1.5), Square { side: 2 }, Dot]\n"
                "fn point() -> Point = { x: 1, y: 2 }\n"
                "fn any() -> Any = (point(), all())\n");
    strcat(out, more);
}

TEST(test_reload__values_of_types_of_the_module_go_over_when_their_form_is_the_same) {
    char one[2048], two[2048];
    static const char types[] = "module M\ntype Shape = Circle(Float) | Square { side: Int } | Dot\n"
                                "type Point = { x: Int, y: Int }\n";
    begin();
    add_functions(one, types, "");
    load(one);
    reml_value_t all = call_value(find("M.all")), point = call_value(find("M.point")), any = call_value(find("M.any"));
    add_functions(two, types,
        "type More = A | B\nfn area(s: Shape) -> Float = match s { Circle(r) -> r, Square { side: a } -> 10.0, Dot -> "
        "0.0 }\n");
    reload(two);
    check_text(all, "[Circle(1.5), Square { side: 2 }, Dot]");
    check_text(point, "Point { x: 1, y: 2 }");
    check_text(any, "(Point { x: 1, y: 2 }, [Circle(1.5), Square { side: 2 }, Dot])");
    reml_value_t first;
    CHECK_INT_EQ(reml_value_item(context, all, 0, &first), OK);
    reml_value_t area;
    CHECK_INT_EQ(reml_function_call(context, find("M.area"), &first, 1, &area), OK);
    check_text(area, "1.5");
    reml_value_release(context, first);
    reml_value_release(context, all);
    reml_value_release(context, point);
    reml_value_release(context, any);
    (void)shapes;
    end();
}

TEST(test_reload__a_type_of_an_export_that_is_another_one_is_refused) {
    begin();
    load("module M\ntype Point = { x: Int, y: Int }\nfn point() -> Point = { x: 1, y: 2 }\n");
    reml_value_t point = call_value(find("M.point"));
    refuse("module M\ntype Point = { x: Int, z: Int }\nfn point() -> Point = { x: 1, z: 2 }\n",
        "2:6: reload.type.changed: Point: Point(x: Int, y: Int) is now Point(x: Int, z: Int)");
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.allow = "Point,point";
    CHECK_INT_EQ(
        reload_as("module M\ntype Point = { x: Int, z: Int }\nfn point() -> Point = { x: 1, z: 2 }\n", &options),
        ERROR);
    CHECK_STR_EQ(reml_last_error(context), "1:1: reload.value.held: a value of the host: Point holds a value of a "
                                           "changed type that stays with the old version");
    check_text(point, "Point { x: 1, y: 2 }");
    options.flags = REML_EMBED_RELOAD_LET_GO;
    CHECK_INT_EQ(
        reload_as("module M\ntype Point = { x: Int, z: Int }\nfn point() -> Point = { x: 1, z: 2 }\n", &options), OK);
    char* text;
    size_t length;
    CHECK_INT_EQ(reml_value_text(context, point, &text, &length), REML_EMBED_STATUS_STALE);
    end();
}

TEST(test_reload__types_are_asked_for_again) {
    begin();
    load("module M\ntype Point = { x: Int, y: Int }\nfn point() -> Point = { x: 1, y: 2 }\n");
    reml_type_t type;
    CHECK_INT_EQ(reml_type_find(context, "Point", 5, &type), OK);
    CHECK(reml_type_kind(context, type) != REML_KIND_NONE);
    reload("module M\ntype Other = A | B\ntype Point = { x: Int, y: Int }\nfn point() -> Point = { x: 1, y: 2 }\n");
    CHECK_INT_EQ(reml_type_kind(context, type), REML_KIND_NONE);
    CHECK_INT_EQ(reml_type_find(context, "Point", 5, &type), OK);
    CHECK(reml_type_kind(context, type) != REML_KIND_NONE);
    end();
}

static int destroyed;
static void destroy(void* data, void* user) {
    (void)data, (void)user;
    destroyed++;
}
static void release_foreign(void* data, size_t length, void* user) {
    (void)data, (void)length, (void)user;
    destroyed++;
}

static const char scene[] = "extern \"host\" { type Texture }\nmodule_state\n";

TEST(test_reload__host_objects_go_over_and_are_destroyed_once) {
    (void)scene;
    static const char text[] =
        "module M\nextern \"host\" {\n  type Texture\n}\nvar kept: Option<Texture> = None\n"
        "fn keep(t: Texture) -> Int { kept := Some(t); 1 }\nfn drop() -> Int { kept := None; 0 }\n"
        "fn has() -> Bool = match kept { Some(_) -> true, None -> false }\n";
    begin();
    destroyed = 0;
    load(text);
    reml_type_t type;
    CHECK_INT_EQ(reml_type_find(context, "Texture", 7, &type), OK);
    reml_value_t texture, out;
    int data = 7;
    CHECK_INT_EQ(reml_value_host(context, type, &data, destroy, NULL, &texture), OK);
    CHECK_INT_EQ(reml_function_call(context, find("M.keep"), &texture, 1, &out), OK);
    reload(text);
    CHECK_INT_EQ(destroyed, 0);
    void* found = NULL;
    CHECK_INT_EQ(reml_value_host_data(context, texture, &found), OK);
    CHECK(found == &data);
    check_text(call_value(find("M.has")), "true");
    reload(text);
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), OK);
    check_text(call_value(find("M.has")), "true");
    CHECK_INT_EQ(reml_value_release(context, texture), OK);
    reml_value_release(context, call_value(find("M.drop")));
    CHECK_INT_EQ(reml_embed_collect(context), OK);
    CHECK_INT_EQ(reml_embed_collect(context), OK);
    CHECK_INT_EQ(destroyed, 1);
    end();
    CHECK_INT_EQ(destroyed, 1);
}

TEST(test_reload__transferred_pointers_go_over_and_are_released_once) {
    static const char text[] = "module M\nvar kept: Option<ForeignBuffer> = None\n"
                               "fn keep(t: ForeignBuffer) -> Int { kept := Some(t); 1 }\n";
    begin();
    destroyed = 0;
    load(text);
    reml_type_t type;
    CHECK_INT_EQ(reml_type_find(context, "ForeignBuffer", 13, &type), OK);
    char bytes[4] = "abc";
    reml_foreign_t foreign = REML_FOREIGN_INIT;
    foreign.data = bytes;
    foreign.length = 3;
    foreign.ownership = REML_OWNERSHIP_TRANSFERRED;
    foreign.release = release_foreign;
    reml_value_t value, out;
    CHECK_INT_EQ(reml_ffi_wrap_foreign_ptr(context, type, &foreign, &value), OK);
    CHECK_INT_EQ(reml_function_call(context, find("M.keep"), &value, 1, &out), OK);
    CHECK_INT_EQ(reml_value_release(context, value), OK);
    reload(text);
    reload(text);
    CHECK_INT_EQ(destroyed, 0);
    end();
    CHECK_INT_EQ(destroyed, 1);
}

TEST(test_reload__counted_cells_go_over_with_their_counts) {
    static const char text[] = "module M\nlet cell: Cell<Int> = Cell.new(1)\nfn get() -> Cell<Int> = cell\n"
                               "fn set(x: Int) -> Int { cell.set(x); x }\n";
    begin();
    load(text);
    reml_value_t cell = call_value(find("M.get")), clone;
    CHECK_INT_EQ(reml_ref_open(context, cell), OK);
    CHECK_INT_EQ(reml_ref_clone(context, cell, &clone), OK);
    CHECK_INT_EQ(reml_ref_borrow(context, clone, 1), OK);
    reload(text);
    CHECK_INT_EQ(reml_ref_borrow(context, cell, 0), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_ref_return(context, cell, 1, 0), OK);
    CHECK_INT_EQ(reml_ref_borrow(context, cell, 0), OK);
    CHECK_INT_EQ(reload_status("module M\nlet cell: Cell<Int> = Cell.new(1 / 0)\nfn get() -> Cell<Int> = cell\n"
                               "fn set(x: Int) -> Int { cell.set(x); x }\n"),
        ERROR);
    CHECK_INT_EQ(reml_ref_return(context, clone, 0, 0), OK);
    CHECK_INT_EQ(reml_value_release(context, clone), OK);
    CHECK_INT_EQ(reml_value_release(context, cell), OK);
    end();
}

/* --- host functions ------------------------------------------------------------------------------------------------------- */

static reml_value_t kept_during;
static reml_function_t found_during;
static reml_embed_status_t from_inside(
    reml_embed_context_t* given, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)count;
    const char* what = user;
    *out = (reml_value_t){REML_KIND_INT, 0, 5};
    if (strcmp(what, "reload") == 0) {
        CHECK_INT_EQ(reload_status("module M\nfn f(x: Int) -> Int = x\n"), REML_EMBED_STATUS_BUSY);
        CHECK_INT_EQ(reml_embed_rollback_module(given, NULL), REML_EMBED_STATUS_BUSY);
    } else if (strcmp(what, "keep") == 0) {
        CHECK_INT_EQ(reml_value_retain(given, arguments[0]), OK);
        kept_during = arguments[0];
        CHECK_INT_EQ(reml_function_find(given, "M.f", 3, NULL, 0, &found_during), OK);
        reml_host_function_t function = REML_HOST_FUNCTION_INIT;
        function.name = "later";
        function.signature = "(Int) -> Int";
        function.call = from_inside;
        CHECK_INT_EQ(reml_host_define(given, &function), REML_EMBED_STATUS_BUSY);
    }
    return OK;
}
static void bind(const char* name, const char* signature, const char* what) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = signature;
    function.call = from_inside;
    function.user = (void*)(uintptr_t)what;
    CHECK_INT_EQ(reml_host_define(context, &function), OK);
}

TEST(test_reload__is_busy_inside_a_run_and_while_a_job_waits) {
    begin();
    bind("inside", "(x: Int) -> Int", "reload");
    load("module M\nfn f(x: Int) -> Int = inside(x)\n");
    CHECK_INT_EQ(call(find("M.f"), 1), 5);
    reml_promise_t promise;
    reml_value_t future;
    reml_type_t type;
    CHECK_INT_EQ(reml_type_find(context, "Int", 3, &type), OK);
    CHECK_INT_EQ(reml_promise_new(context, type, &promise, &future), OK);
    CHECK_INT_EQ(reload_status("module M\nfn f(x: Int) -> Int = inside(x) + 1\n"), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_promise_complete(context, promise, (reml_value_t){REML_KIND_INT, 0, 1}), OK);
    refuse("module M\nfn f(x: Int) -> Int = inside(x) + 1\n",
        "1:1: reload.value.held: a value of the host: Future<Int> holds a future that stays with the old version");
    CHECK_INT_EQ(reml_value_release(context, future), OK);
    reload("module M\nfn f(x: Int) -> Int = inside(x) + 1\n");
    CHECK_INT_EQ(call(find("M.f"), 1), 6);
    end();
}

TEST(test_reload__host_functions_and_later_ones_are_those_of_the_new_version) {
    begin();
    bind("before", "(x: Int) -> Int", "");
    load("module A\npub type Box = { value: Int }\npub fn f(x: Int) -> Int = before(x)\n");
    bind("Host.middle", "(x: Int) -> Int", "");
    load("module B\nuse A\nextern \"host\" {\n  let speed: Int\n  fn asked(x: Int) -> Int\n}\nfn g(x: Int) -> Int = "
         "Host.middle(x) + A.f(x) + speed + asked(x)\n");
    bind("asked", NULL, "");
    CHECK_INT_EQ(reml_host_set_global(context, "speed", 5, (reml_value_t){REML_KIND_INT, 0, 100}), OK);
    reml_function_t g = find("B.g");
    CHECK_INT_EQ(call(g, 1), 115);
    reload("module A\npub type Box = { value: Int }\npub fn f(x: Int) -> Int = before(x) * 2\n");
    CHECK_INT_EQ(call(g, 1), 120);
    reload("module B\nuse A\nextern \"host\" {\n  let speed: Int\n  fn asked(x: Int) -> Int\n}\nfn g(x: Int) -> Int = "
           "Host.middle(x) + speed\n");
    CHECK_INT_EQ(call(g, 1), 105);
    bind("after", "(x: Int) -> Int", "");
    load("module C\nfn h(x: Int) -> Int = after(x) + before(x)\n");
    CHECK_INT_EQ(call(find("C.h"), 1), 10);
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), OK);
    CHECK_INT_EQ(call(g, 1), 120);
    end();
}

TEST(test_reload__what_the_host_gets_during_a_trial_that_fails_is_stale) {
    begin();
    bind("keep", "(x: [Int]) -> Int", "keep");
    load("module M\nfn f(x: Int) -> Int = x\n");
    reml_function_t f = find("M.f");
    CHECK_INT_EQ(call(f, 1), 1);
    CHECK_INT_EQ(
        reload_status("module M\nlet kept = keep([1, 2])\nlet bad = 1 / (kept - kept)\nfn f(x: Int) -> Int = x\n"),
        ERROR);
    char* text;
    size_t length;
    CHECK_INT_EQ(reml_value_text(context, kept_during, &text, &length), REML_EMBED_STATUS_STALE);
    reml_scalar_t given = {.i = 1}, out;
    CHECK_INT_EQ(reml_function_call_scalars(context, found_during, &given, 1, &out), REML_EMBED_STATUS_STALE);
    reload("module M\nlet kept = keep([1, 2])\nfn f(x: Int) -> Int = x + kept\n");
    check_text(kept_during, "[1, 2]");
    CHECK_INT_EQ(call(found_during, 1), 6);
    CHECK_INT_EQ(reml_value_release(context, kept_during), OK);
    CHECK_INT_EQ(call(f, 1), 6);
    end();
}

/* --- the way back --------------------------------------------------------------------------------------------------------- */

TEST(test_reload__a_rollback_brings_version_and_state_back_once) {
    begin();
    load(counter_one);
    reml_function_t add = find("Counter.add");
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), ERROR);
    CHECK_STR_EQ(reml_last_error(context), "reload.rollback.none: there is no earlier version");
    CHECK_INT_EQ(call(add, 5), 5);
    reload(counter_two);
    CHECK_INT_EQ(call(add, 1), 7);
    reml_function_t later = find("Counter.add");
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), OK);
    CHECK_INT_EQ(call(add, 1), 6);
    CHECK_INT_EQ(call(later, 1), 7);
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), ERROR);
    reload(counter_two);
    CHECK_INT_EQ(call(add, 1), 9);
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.flags = REML_EMBED_RELOAD_FORGET;
    CHECK_INT_EQ(reload_as(counter_one, &options), OK);
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), ERROR);
    CHECK_INT_EQ(call(add, 1), 10);
    end();
}

TEST(test_reload__values_and_functions_since_then_go_back_where_they_can) {
    begin();
    load("module M\nvar log: [Int] = []\nfn push(x: Int) -> Int { log := log ++ [x]; x }\nfn all() -> [Int] = log\n");
    reml_function_t push = find("M.push");
    call(push, 1);
    reml_value_t then = call_value(find("M.all"));
    reload("module M\ntype Mood = Glad | Sad(Int)\nvar log: [Int] = []\nfn push(x: Int) -> Int { log := log ++ [x]; x "
           "}\nfn all() -> [Int] = log\n"
           "fn mood() -> Mood = Sad(3)\nfn extra(x: Int) -> Int = x\n");
    call(push, 2);
    reml_value_t since = call_value(find("M.all")), mood = call_value(find("M.mood"));
    reml_function_t extra = find("M.extra");
    CHECK_INT_EQ(call(extra, 3), 3);
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), OK);
    check_text(then, "[1]");
    check_text(since, "[1, 2]");
    char* text;
    size_t length;
    reml_scalar_t given = {.i = 1}, out;
    CHECK_INT_EQ(reml_value_text(context, mood, &text, &length), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_function_call_scalars(context, extra, &given, 1, &out), REML_EMBED_STATUS_STALE);
    check_text(call_value(find("M.all")), "[1]");
    reml_value_release(context, then);
    reml_value_release(context, since);
    end();
}

/* --- records ---------------------------------------------------------------------------------------------------------------- */

TEST(test_reload__records_tell_of_what_was_applied_refused_and_taken_back) {
    static const char id[] = "b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30";
    begin();
    load(counter_one);
    CHECK_INT_EQ(call(find("Counter.add"), 1), 1);
    reml_embed_free(drain());
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.audit_id = id;
    CHECK_INT_EQ(reload_as(counter_two, &options), OK);
    char* text = drain();
    const char *parser = strstr(text, "\"event.kind\":\"parser.reload\""),
               *flat = strstr(text, "\"event.kind\":\"reml.reload\""),
               *bridge = strstr(text, "\"event.kind\":\"bridge.reload\"");
    CHECK(parser && flat && bridge && parser < flat && flat < bridge);
    CHECK(strstr(text, "\"bridge.reload\":\"applied\"") != NULL);
    CHECK(strstr(text, "\"bridge.id\":\"module.Counter\"") != NULL);
    unsigned found = 0;
    for (const char* at = text; (at = strstr(at, "{\"audit_id\":\"b8a3f2c1")) != NULL; at++) found++;
    CHECK_INT_EQ(found, 3);
    reml_embed_free(text);
    CHECK_INT_EQ(reload_status("module Counter\n"), ERROR);
    check_told("\"bridge.reload\":\"rejected\"", true);
    CHECK_INT_EQ(reload_status("module Counter\nvar count = 1 / 0\nfn add(x: Int) -> Int = x\n"), ERROR);
    check_told("\"bridge.reload\":\"failed\"", true);
    options.flags = REML_EMBED_RELOAD_DRY_RUN;
    CHECK_INT_EQ(reload_as(counter_one, &options), OK);
    check_told("bridge.reload", false);
    CHECK_INT_EQ(reml_embed_rollback_module(context, id), OK);
    check_told("\"bridge.reload\":\"rolled_back\"", true);
    CHECK_INT_EQ(reml_embed_rollback_module(context, id), ERROR);
    check_told("\"bridge.reload\":\"failed\"", true);
    end();
}

static int32_t refuse_reloads(const char* line, size_t length, void* user) {
    static const char part[] = "\"event.kind\":\"bridge.reload\"";
    for (size_t i = 0; *(bool*)user && i + sizeof part <= length; i++) {
        if (memcmp(line + i, part, sizeof part - 1) == 0) return 1;
    }
    return 0;
}
TEST(test_reload__a_log_that_does_not_take_the_records_keeps_the_old_version) {
    bool refusing = true;
    begin();
    load(counter_one);
    reml_function_t add = find("Counter.add");
    CHECK_INT_EQ(call(add, 5), 5);
    CHECK_INT_EQ(reml_embed_set_audit_sink(context, refuse_reloads, &refusing, NULL), OK);
    CHECK_INT_EQ(reload_status(counter_two), REML_EMBED_STATUS_AUDIT_UNAVAILABLE);
    refusing = false;
    CHECK_INT_EQ(call(add, 1), 6);
    reload(counter_two);
    CHECK_INT_EQ(call(add, 1), 8);
    end();
}

TEST(test_reload__a_dry_run_checks_and_changes_nothing) {
    begin();
    load(counter_one);
    reml_function_t add = find("Counter.add");
    CHECK_INT_EQ(call(add, 5), 5);
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    options.flags = REML_EMBED_RELOAD_DRY_RUN;
    CHECK_INT_EQ(reload_as(counter_two, &options), OK);
    CHECK_INT_EQ(reload_as("module Counter\n", &options), ERROR);
    CHECK_INT_EQ(call(add, 1), 6);
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), ERROR);
    options.flags = 1u << 20;
    CHECK_INT_EQ(reload_as(counter_two, &options), REML_EMBED_STATUS_INVALID_ARGUMENT);
    end();
}

TEST(test_reload__a_program_that_contexts_share_is_replaced_in_one_of_them_alone) {
    begin();
    reml_embed_context_t* first = context;
    reml_embed_source_t sources[2] = {REML_EMBED_SOURCE_INIT, REML_EMBED_SOURCE_INIT};
    sources[0].text = "module Base\npub type Shape = Circle(Float) | Dot\npub fn scale(x: Int) -> Int = x * 2\n";
    sources[0].text_length = strlen(sources[0].text);
    sources[1].text = "module M\nuse Base\ntype Point = { x: Int, y: Int }\nvar points: [Point] = []\n"
                      "fn add(x: Int) -> Int { points := points ++ [Point { x: x, y: 0 }]; Base.scale(points.len()) }\n"
                      "fn all() -> [Point] = points\n";
    sources[1].text_length = strlen(sources[1].text);
    reml_program_t* program = NULL;
    CHECK_INT_EQ(reml_program_compile(first, sources, 2, &program), OK);
    reml_embed_context_t* second = NULL;
    CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &second), OK);
    CHECK_INT_EQ(reml_program_load(second, program), OK);
    reml_function_t here = find("M.add");
    CHECK_INT_EQ(call(here, 1), 2);
    context = second;
    reml_function_t there = find("M.add");
    CHECK_INT_EQ(call(there, 1), 2);
    reml_value_t all = call_value(find("M.all"));
    reload("module Base\npub type Shape = Circle(Float) | Dot\npub fn scale(x: Int) -> Int = x * 10\n");
    CHECK_INT_EQ(call(there, 1), 20);
    check_text(all, "[Point { x: 1, y: 0 }]");
    reload("module M\nuse Base\ntype More = A | B\ntype Point = { x: Int, y: Int }\nvar points: [Point] = []\n"
           "fn add(x: Int) -> Int { points := points ++ [Point { x: x, y: 1 }]; 1000 + Base.scale(points.len()) }\n"
           "fn all() -> [Point] = points\n");
    CHECK_INT_EQ(call(there, 1), 1030);
    check_text(all, "[Point { x: 1, y: 0 }]");
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), OK);
    CHECK_INT_EQ(call(there, 1), 30);
    context = first;
    CHECK_INT_EQ(call(here, 1), 4);
    CHECK_INT_EQ(reml_program_release(program), OK);
    end();
    context = second;
    CHECK_INT_EQ(call(there, 1), 40);
    end();
}

TEST(test_reload__a_profile_goes_on_through_versions) {
    begin();
    load("module M\nvar n = 0\nfn first(x: Int) -> Int { for i in 0..200000 { n := n + 1 }\n x }\n");
    reml_function_t first = find("M.first");
    CHECK_INT_EQ(reml_profile_start(context, 10000), OK);
    CHECK_INT_EQ(call(first, 1), 1);
    reload("module M\nvar n = 0\nfn first(x: Int) -> Int = second(x)\nfn second(x: Int) -> Int { for i in 0..200000 { "
           "n := n + 1 }\n x }\n");
    CHECK_INT_EQ(call(first, 2), 2);
    CHECK_INT_EQ(reml_embed_rollback_module(context, NULL), OK);
    CHECK_INT_EQ(call(first, 3), 3);
    CHECK_INT_EQ(reml_profile_stop(context), OK);
    CHECK_INT_EQ(call(first, 4), 4);
    end();
}

/* --- much of it ------------------------------------------------------------------------------------------------------------- */

TEST(test_reload__a_thousand_reloads_lose_no_call_and_return_no_half_new_answer) {
    begin();
    load("module M\nlet a = 1\nlet b = 1\nvar calls = 0\nfn pair() -> Int { calls := calls + 1; a * 10000 + b }\nfn "
         "made() -> Int = calls\n");
    reml_function_t pair = find("M.pair"), made = find("M.made");
    int64_t calls = 0;
    for (int i = 1; i <= 1000; i++) {
        char text[256];
        reml_scalar_t none = {.i = 0}, out = {.i = -1};
        for (int k = 0; k < 5; k++, calls++) {
            CHECK_INT_EQ(reml_function_call_scalars(context, pair, &none, 0, &out), OK);
            CHECK_INT_EQ(out.i, i * 10001);
        }
        snprintf(text, sizeof text,
            "module M\nlet a = %d\nlet b = %d\nvar calls = 0\nfn pair() -> Int { calls := calls + 1; a * 10000 + b "
            "}\nfn made() -> Int = calls\n",
            i + 1, i + 1);
        reload(text);
        if (check_failures) break;
    }
    check_text(call_value(made), "5000");
    CHECK_INT_EQ(calls, 5000);
    end();
}

TEST(test_reload__a_thousand_reloads_do_not_grow_the_heap) {
    begin();
    load(shared_log);
    load(user_one);
    reml_function_t see = find("User.see");
    uint64_t settled = 0;
    for (int i = 1; i <= 1000; i++) {
        char text[512];
        snprintf(text, sizeof text,
            "module User\nuse Log\nvar seen = 0\nlet name%d = \"version %d\"\nlet first = 1\n"
            "fn helper%d(x: Int) -> Int = x + %d\nfn see(x: Int) -> Int { seen := seen + helper%d(x); seen }\n",
            i, i, i, i, i);
        reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
        char allow[64];
        snprintf(allow, sizeof allow, "helper%d", i - 1);
        options.allow = allow;
        CHECK_INT_EQ(reload_as(text, &options), OK);
        call(see, 0);
        reml_embed_free(drain());
        if (i == 100) settled = live_bytes();
        if (check_failures) break;
    }
    uint64_t now = live_bytes();
    if (!CHECK(now < settled + settled / 4))
        printf("  %llu bytes after 100, %llu after 1,000\n", (unsigned long long)settled, (unsigned long long)now);
    end();
}

TEST(test_reload__whichever_allocation_fails_the_old_version_serves_and_the_next_attempt_succeeds) {
    begin();
    bind("before", "(x: Int) -> Int", "");
    load("module Base\npub type Shape = Circle(Float) | Dot\npub var shapes: [Shape] = []\npub fn scale(x: Int) -> Int "
         "= x * 2\n"
         "pub fn grow() -> Int { shapes := shapes ++ [Circle(1.0)]; shapes.len() }\n");
    load("module M\nuse Base\nlet log: Vec<Int> = Vec.new()\nlet names: Table<Str, Any> = Table.new()\nvar tree: "
         "Map<Str, [Int]> = { \"a\": [1] }\n"
         "fn add(x: Int) -> Int { log.push(before(x)); names[\"n\"] := x; Base.grow(); log.len() }\n"
         "fn get() -> Vec<Int> = log\nfn later(x: Int) -> Int = Base.scale(x)\n");
    reml_function_t add = find("M.add"), later = find("M.later");
    reml_value_t log = call_value(find("M.get"));
    int64_t calls = 0;
    reml_embed_memory_t memory = {.struct_size = sizeof memory};
    for (uint64_t number = 1; number < 100000; number++) {
        reml_embed_fail_allocation(context, number, number % 3 == 0 ? 1 : 0);
        reml_embed_status_t status =
            reload_status("module M\nuse Base\nlet log: Vec<Int> = Vec.new()\nlet names: Table<Str, Any> = "
                          "Table.new()\nvar tree: Map<Str, [Int]> = { \"b\": [] }\n"
                          "fn add(x: Int) -> Int { log.push(before(x)); names[\"n\"] := x; Base.grow(); log.len() }\n"
                          "fn get() -> Vec<Int> = log\nfn later(x: Int) -> Int = Base.scale(x) + 1\n");
        reml_embed_fail_allocation(context, 0, 0);
        CHECK_INT_EQ(call(add, 1), ++calls);
        if (status == OK) {
            CHECK_INT_EQ(call(later, 2), 5);
            break;
        }
        CHECK(status == REML_EMBED_STATUS_NO_MEMORY || status == REML_EMBED_STATUS_LIMIT || status == ERROR);
        CHECK_INT_EQ(call(later, 2), 4);
        reml_embed_free(drain());
        if (check_failures) {
            printf("  allocation %llu: %s\n", (unsigned long long)number,
                reml_last_error(context) ? reml_last_error(context) : "");
            break;
        }
    }
    CHECK_INT_EQ(reml_embed_memory(context, &memory), OK);
    char* text = NULL;
    size_t length;
    CHECK_INT_EQ(reml_value_text(context, log, &text, &length), OK);
    CHECK_INT_EQ(length, (size_t)calls * 3);
    reml_embed_free(text);
    CHECK_INT_EQ(reml_value_release(context, log), OK);
    for (uint64_t number = 1; number < 100000; number++) {
        reml_embed_fail_allocation(context, number, 0);
        reml_embed_status_t status = reml_embed_rollback_module(context, NULL);
        reml_embed_fail_allocation(context, 0, 0);
        if (status == OK) break;
        CHECK_INT_EQ(call(later, 2), 5);
        if (check_failures) break;
    }
    CHECK_INT_EQ(call(later, 2), 4);
    end();
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_reload__a_function_handle_calls_the_new_version_from_the_next_call_on),
        RUN(test_reload__what_is_wrong_in_the_source_is_refused_with_its_place_and_the_old_version_serves),
        RUN(test_reload__an_export_that_is_missing_or_another_one_is_refused),
        RUN(test_reload__only_marked_functions_are_exports_where_some_are_marked),
        RUN(test_reload__a_function_that_the_host_holds_must_be_there_unless_it_is_let_go),
        RUN(test_reload__another_name_and_an_unknown_module_are_refused),
        RUN(test_reload__a_module_without_a_name_is_replaced_too),
        RUN(test_reload__a_var_of_the_same_type_goes_over),
        RUN(test_reload__constants_are_those_of_the_new_version_and_values_with_identity_go_over),
        RUN(test_reload__state_that_has_no_place_or_another_type_is_refused_unless_it_may_go),
        RUN(test_reload__a_module_that_was_never_initialised_takes_no_state_and_does_not_run),
        RUN(test_reload__state_goes_over_by_its_functions),
        RUN(test_reload__a_type_of_the_state_changes_when_it_goes_over_as_records_without_a_name),
        RUN(test_reload__functions_of_state_that_panic_leave_the_old_version),
        RUN(test_reload__an_initialisation_that_panics_changes_nothing_not_even_in_other_modules),
        RUN(test_reload__a_limit_or_an_interrupt_in_initialisation_leaves_the_old_version),
        RUN(test_reload__a_poll_that_says_stop_cancels_it),
        RUN(test_reload__a_module_that_failed_to_initialise_is_mended_by_a_reload),
        RUN(test_reload__modules_that_use_it_call_the_new_version_and_keep_their_values),
        RUN(test_reload__a_module_that_does_not_fit_the_new_version_any_more_is_named),
        RUN(test_reload__a_lambda_of_the_module_itself_in_its_state_is_refused_and_one_of_another_module_goes_over),
        RUN(test_reload__handles_go_over_with_what_they_share),
        RUN(test_reload__values_of_types_of_the_module_go_over_when_their_form_is_the_same),
        RUN(test_reload__a_type_of_an_export_that_is_another_one_is_refused),
        RUN(test_reload__types_are_asked_for_again),
        RUN(test_reload__host_objects_go_over_and_are_destroyed_once),
        RUN(test_reload__transferred_pointers_go_over_and_are_released_once),
        RUN(test_reload__counted_cells_go_over_with_their_counts),
        RUN(test_reload__is_busy_inside_a_run_and_while_a_job_waits),
        RUN(test_reload__host_functions_and_later_ones_are_those_of_the_new_version),
        RUN(test_reload__what_the_host_gets_during_a_trial_that_fails_is_stale),
        RUN(test_reload__a_rollback_brings_version_and_state_back_once),
        RUN(test_reload__values_and_functions_since_then_go_back_where_they_can),
        RUN(test_reload__records_tell_of_what_was_applied_refused_and_taken_back),
        RUN(test_reload__a_log_that_does_not_take_the_records_keeps_the_old_version),
        RUN(test_reload__a_dry_run_checks_and_changes_nothing),
        RUN(test_reload__a_program_that_contexts_share_is_replaced_in_one_of_them_alone),
        RUN(test_reload__a_profile_goes_on_through_versions),
        RUN(test_reload__a_thousand_reloads_lose_no_call_and_return_no_half_new_answer),
        RUN(test_reload__a_thousand_reloads_do_not_grow_the_heap),
        RUN(test_reload__whichever_allocation_fails_the_old_version_serves_and_the_next_attempt_succeeds),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
