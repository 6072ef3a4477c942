/* Reloads, rollbacks, calls, releases, collections and refusals of memory in random order, between two modules that use each other: what
   must hold is that nothing is lost or touched after its end (run under the sanitizers), and that the context goes on. */
#include "check.h"
#include "reml_audit.h"
#include "reml_ffi_bridge.h"
#include "reml_ref.h"
#include "reml_value.h"
#include <stdlib.h>
#define OK REML_EMBED_STATUS_OK
static reml_embed_context_t* context;
static uint64_t seed;
static uint32_t rnd(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % n;
}
static char text[8192];
static void source_a(uint32_t k) {
    snprintf(text, sizeof text,
        "module A\n%s%spub type Shape = %s\npub struct Node { value: Int, next: Option<Node> }\n"
        "pub var shapes: [Shape] = []\npub let log: Vec<Str> = Vec.new()\nlet names: Table<Str, Any> = Table.new()\n"
        "pub var count = %u\nlet head: Node = Node { value: %u, next: None }\n%s"
        "pub fn grow(x: Int) -> Int { shapes := shapes ++ [Circle(1.5)]; log.push(\"l{x}\"); names[\"k\"] := shapes; "
        "names[\"n\"] := (x, \"t\"); count := count + 1; head.value := head.value + 1; count }\n"
        "pub fn all() -> [Shape] = shapes\npub fn lines() -> Vec<Str> = log\npub fn node() -> Node = head\npub fn "
        "any() -> Any = (shapes, names)\n"
        "pub fn table() -> Table<Str, Any> = names\npub fn scale(x: Int) -> Int = x * %u + ask(x)\n%s",
        k & 1 ? "type Extra = P(Int) | Q\n" : "", k & 2 ? "pub type More = { a: Str, b: [Int] }\n" : "",
        k & 4 ? "Circle(Float) | Dot | Line { from: Int, to: Int }" : "Circle(Float) | Dot", k % 7, k % 5,
        k & 8    ? "let bad = 1 / (count - count)\n"
        : k & 16 ? "let noted = grow(1) + ask(3)\n"
                 : "",
        k % 11, k & 32 ? "pub fn spare(x: Int) -> Int = x\n" : "");
}
static void source_b(uint32_t k) {
    snprintf(text, sizeof text,
        "module B\nuse A\n%svar total = %u\nvar hooks: [(Int) -> Int] = []\nlet made = A.scale(%u)\nlet by = |x: Int| "
        "x + total\n"
        "fn plain(x: Int) -> Int = x * %u\n"
        "fn add(x: Int) -> Int { total := total + x; hooks := hooks ++ [%s]; A.grow(x); total }\n"
        "fn run(x: Int) -> Int { var y = x\n for h in hooks { y := h(y) }\n y + made }\n"
        "fn hook() -> (Int) -> Int = by\nfn top() -> (Int) -> Int = plain\nfn tuple(x: Int) -> (Int, Str, [Int], "
        "Map<Str, Int>) = (x, \"é{x}\", [x, x, x], {\"a\": x})\n"
        "fn walk() -> Iter<Int> = [1, 2, 3].iter()\nfn cell() -> Cell<[Int]> = keep\nlet keep: Cell<[Int]> = "
        "Cell.new([%u])\n",
        k & 1 ? "type Own = X(Int) | Y\n" : "", k % 3, k % 4, k % 9,
        k & 2   ? "plain"
        : k & 4 ? "by"
                : "plain",
        k % 6);
}
static reml_embed_status_t ask(
    reml_embed_context_t* c, const reml_value_t* a, size_t n, reml_value_t* out, void* user) {
    (void)n, (void)user, (void)c;
    *out = a[0];
    return OK;
}
static void define(const char* name) {
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = name;
    function.signature = "(x: Int) -> Int";
    function.call = ask;
    CHECK_INT_EQ(reml_host_define(context, &function), OK);
}
enum { HELD = 64 };
static reml_value_t held[HELD];
static reml_function_t functions[HELD];
static const char* const givers[] = {
    "A.all", "A.lines", "A.node", "A.any", "A.table", "B.hook", "B.top", "B.walk", "B.cell"};
static const char* const callers[] = {"A.grow", "A.scale", "B.add", "B.run", "B.plain", "B.tuple"};
static uint64_t replaced, refused, rollbacks, called;
static void one(uint64_t s) {
    seed = s * 0x9e3779b97f4a7c15u + 1;
    context = NULL;
    memset(held, 0, sizeof held);
    memset(functions, 0, sizeof functions);
    CHECK_INT_EQ(reml_create_context(REML_EMBED_ABI_VERSION, &context), OK);
    define("ask");
    source_a(0);
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)text, strlen(text)), OK);
    source_b(0);
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)text, strlen(text)), OK);
    for (int step = 0; step < 60 && !check_failures; step++) {
        uint32_t at = rnd(HELD);
        bool failing = rnd(4) == 0;
        switch (rnd(9)) {
        case 0:
        case 1: {
            reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
            reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
            if (rnd(2)) source_a(rnd(64));
            else source_b(rnd(64));
            source.text = text;
            source.text_length = strlen(text);
            options.flags = rnd(8);
            if (rnd(2)) options.flags &= ~1u;
            if (rnd(2)) options.allow = "shapes,Shape,all,spare,hooks";
            if (failing) reml_embed_fail_allocation(context, 1 + rnd(3000), rnd(3));
            reml_embed_status_t status = reml_embed_reload_module(context, &source, &options);
            reml_embed_fail_allocation(context, 0, 0);
            if (status == OK) replaced++;
            else refused++;
            reml_span_t shown;
            CHECK_INT_EQ(reml_embed_diagnostics_text(context, 0, &shown), OK);
            CHECK_INT_EQ(reml_embed_diagnostics_json(context, &shown), OK);
            break;
        }
        case 2:
            if (failing) reml_embed_fail_allocation(context, 1 + rnd(300), rnd(3));
            if (reml_embed_rollback_module(context, NULL) == OK) rollbacks++;
            reml_embed_fail_allocation(context, 0, 0);
            break;
        case 3:
        case 4: {
            reml_function_t f;
            const char* name = givers[rnd(sizeof givers / sizeof *givers)];
            if (reml_function_find(context, name, strlen(name), NULL, 0, &f) != OK) break;
            if (held[at].kind) reml_value_release(context, held[at]);
            if (reml_function_call(context, f, NULL, 0, &held[at]) != OK) held[at].kind = 0;
            if (rnd(3) == 0 && held[at].kind) reml_ref_open(context, held[at]);
            if (rnd(2)) reml_function_release(context, f);
            break;
        }
        case 5:
        case 6: {
            const char* name = callers[rnd(sizeof callers / sizeof *callers)];
            if (!functions[at].id) (void)reml_function_find(context, name, strlen(name), NULL, 0, &functions[at]);
            reml_value_t given = {REML_KIND_INT, 0, rnd(5)}, out;
            reml_embed_status_t status = reml_function_call(context, functions[at], &given, 1, &out);
            if (status == OK) {
                called++;
                char* t = NULL;
                size_t l;
                if (rnd(2)) {
                    reml_value_text(context, out, &t, &l);
                    reml_embed_free(t);
                }
                reml_value_release(context, out);
            } else {
                functions[at].id = 0;
            }
            break;
        }
        case 7: {
            char* t = NULL;
            size_t l;
            if (held[at].kind && reml_value_text(context, held[at], &t, &l) != OK) held[at].kind = 0;
            reml_embed_free(t);
            if (held[at].kind && rnd(2)) {
                reml_function_t f;
                if (reml_function_from_value(context, held[at], &f) == OK) {
                    uint32_t k = rnd(HELD);
                    if (functions[k].id) reml_function_release(context, functions[k]);
                    functions[k] = f;
                }
            }
            break;
        }
        case 8: CHECK_INT_EQ(reml_embed_collect(context), OK); break;
        }
        if (rnd(10) == 0) {
            char* t = NULL;
            size_t l;
            CHECK_INT_EQ(reml_embed_audit_drain(context, &t, &l), OK);
            reml_embed_free(t);
        }
    }
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    if (check_failures) printf("seed %llu\n", (unsigned long long)s);
}
TEST(test_reload__random_orders_of_everything_stay_sound) {
    for (uint64_t number = 1; number <= 60 && !check_failures; number++) one(number);
    CHECK(replaced > 100 && refused > 100 && rollbacks > 20 && called > 200); /* it did try all of it */
}

int main(int argc, char** argv) {
    static const test_t tests[] = {RUN(test_reload__random_orders_of_everything_stay_sound)};
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
