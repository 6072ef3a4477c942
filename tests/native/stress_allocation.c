/*
 * Every allocation of a scenario that uses the whole interface fails in turn: once, and from then on for good. Nothing may
 * crash or leak, and every answer is a status. When it failed only once, doing the same again must work, with the result
 * that it has without any failure.
 *
 *     stress_allocation [FIRST [STEP]]        from point FIRST (1), every STEP-th (1)
 *
 * With a collection at every allocation a run has ten times the points and takes longer: then the step is a large prime.
 */
#include "check.h"

#include "reml_audit.h"
#include "reml_capability.h"
#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_value.h"

#include <stdlib.h>
#include <unistd.h>

#define OK REML_EMBED_STATUS_OK

typedef struct meter {
    uint64_t requests, fail_at, live_bytes;
    bool for_good;
    uint64_t hits;
} meter_t;

typedef struct scene {
    meter_t meter;
    reml_embed_context_t* context;
    int made, destroyed; /* users and host objects given to the library, and let go by it */
    uint64_t lines;      /* what the audit callback took */
    char output[4096];
    size_t output_length;
    uint64_t hits_seen;
    bool again; /* the last call met a refused allocation and is worth repeating */
} scene_t;

#ifdef RL_STRESS_GC
enum { USUAL_STEP = 211 };
#else
enum { USUAL_STEP = 1 };
#endif

static char directory[] = "/tmp/reml-stress-XXXXXX", audit_path[64];

static void* resize(void* block, size_t old_size, size_t new_size, void* user) {
    meter_t* meter = user;
    if (new_size > old_size) {
        meter->requests++;
        bool refuse =
            meter->fail_at && (meter->for_good ? meter->requests >= meter->fail_at : meter->requests == meter->fail_at);
        if (refuse) {
            meter->hits++;
            return NULL;
        }
    }
    if (new_size == 0) {
        free(block);
        meter->live_bytes -= old_size;
        return NULL;
    }
    void* moved = realloc(block, new_size);
    if (moved) meter->live_bytes += new_size - old_size;
    return moved;
}

/*
 * Make a call, and once more when an allocation was refused meanwhile. Answers whether it gave what is expected in the end;
 * when memory is there, everything else is a failure of the test.
 */
#define TRY(scene, call) TRY_STATUS(scene, call, OK)
#define TRY_STATUS(scene, call, expected)                                                                              \
    worked(settled((scene), (call), (expected), #call, __LINE__) ||                                                    \
           ((scene)->again && settled((scene), (call), (expected), #call, __LINE__)))

static bool worked(bool yes) { return yes; } /* its answer may be dropped without a warning */
static bool settled(
    scene_t* scene, reml_embed_status_t status, reml_embed_status_t expected, const char* what, int line) {
    bool refused = scene->meter.hits != scene->hits_seen;
    scene->hits_seen = scene->meter.hits;
    scene->again = status != expected && refused && !scene->meter.for_good;
    if (status == expected) return true;
    const char* error = reml_last_error(scene->context);
    /* A host function that met the refusal has failed in its own way. */
    bool by_host = error && strncmp(error, "host.call.failed", 16) == 0;
    if (refused && status != REML_EMBED_STATUS_NO_MEMORY && status != REML_EMBED_STATUS_LIMIT && !by_host) {
        printf("%s:%d: %s, short of memory, answers %s: %s\n", __FILE__, line, what, reml_embed_status_label(status),
            error ? error : "");
        check_failures++;
    }
    if (scene->again || (scene->meter.for_good && scene->meter.hits)) return false;
    printf("%s:%d: %s answers %s: %s\n", __FILE__, line, what, reml_embed_status_label(status), error ? error : "");
    reml_span_t details;
    if (reml_embed_diagnostics_text(scene->context, 0, &details) == OK)
        printf("%.*s\n", (int)details.length, (const char*)details.data);
    check_failures++;
    return false;
}

/* --- what the host brings ------------------------------------------------------------------------------------------- */

static void count_destroy(void* user) { ((scene_t*)user)->destroyed++; }
static void count_object(void* data, void* user) {
    (void)data;
    ((scene_t*)user)->destroyed++;
}
static int32_t take_line(const char* line, size_t length, void* user) {
    ((scene_t*)user)->lines += length > 0 && line[0] == '{';
    return 0;
}
static reml_embed_status_t take_output(const char* text, size_t length, void* user) {
    scene_t* scene = user;
    if (scene->output_length + length < sizeof scene->output) {
        memcpy(scene->output + scene->output_length, text, length);
        scene->output_length += length;
    }
    return OK;
}
static reml_embed_status_t never(void* user) {
    (void)user;
    return OK;
}
static reml_embed_status_t stop(void* user) {
    (void)user;
    return REML_EMBED_STATUS_ERROR;
}

static reml_embed_status_t host_name(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)arguments, (void)count, (void)user;
    return reml_value_string(context, "host", 4, out);
}
static reml_embed_status_t host_fail(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)arguments, (void)count, (void)out, (void)user;
    reml_host_fail(context, "no such thing", 13);
    return REML_EMBED_STATUS_ERROR;
}
static reml_embed_status_t host_twice(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out, void* user) {
    (void)context, (void)user;
    out->i = 2 * arguments[0].i;
    return OK;
}
/* Back into the script while it runs. */
static reml_embed_status_t host_apply(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)count, (void)user;
    reml_function_t function;
    reml_embed_status_t status = reml_function_from_value(context, arguments[0], &function);
    if (status != OK) return status;
    status = reml_function_call(context, function, arguments + 1, 1, out);
    reml_function_release(context, function);
    return status;
}

static reml_embed_status_t define(
    scene_t* scene, const char* name, const char* signature, reml_host_fn call, reml_host_scalar_fn scalars) {
    reml_host_function_t host = REML_HOST_FUNCTION_INIT;
    host.name = name;
    host.signature = signature;
    host.call = call;
    host.call_scalars = scalars;
    host.user = scene;
    host.destroy = count_destroy;
    reml_embed_status_t status = reml_host_define(scene->context, &host);
    if (status == OK) scene->made++; /* else the user stays ours */
    return status;
}

/* --- the sources ------------------------------------------------------------------------------------------------------ */

static const char ambient[] = "module Shared\n"
                              "extern \"host\" {\n"
                              "  type Door\n"
                              "  fn Door.knock(self, times: Int) -> Str\n"
                              "  fn apply(f: fn(Int) -> Int, x: Int) -> Int\n"
                              "  fn unbound() -> Int\n"
                              "}\n"
                              "pub type Colour = | Red | Green | Mixed(Int, Int, Int) | Named { name: Str }\n"
                              "pub fn shade(c: Colour) -> Str = match c with\n"
                              "  | Red -> \"red\" | Green -> \"green\" | Mixed(r, _, _) when r > 9 -> \"warm\" | "
                              "Mixed(_, _, _) -> \"cold\" | Named { name } -> name\n";

static const char source[] =
    "module Stress\n"
    "use Shared.{Colour, shade}\n"
    "type Shape = | Circle(Float) | Rect { w: Float, h: Float }\n"
    "type Point = { x: Int, y: Int = 3 }\n"
    "type Line = { from: Point, to: Point, label: Option<Str> }\n"
    "type Metres = new Float\n"
    "type Tree<T> = | Leaf | Node(Tree<T>, T, Tree<T>)\n"
    "struct Counter { n: Int, log: List<Str> = [], step: Int = 1 }\n"
    "let primes: List<Int> = [2, 3, 5, 7, 11].map(|p| p * p)\n"
    "var seen = 0\n"
    "fn area(s: Shape) -> Float = match s with | Circle(r) -> r * r | Rect { w, h } -> w * h\n"
    "fn words(text: Str) -> Map<Str, Int> {\n"
    "  var counts: Map<Str, Int> = Map.empty()\n"
    "  for w in text.split(\" \") { counts := counts.insert(w, counts.get_or(w, 0) + 1) }\n"
    "  counts\n"
    "}\n"
    "fn make(n: Int) -> List<Str> = List.range(0, n).map(|i| format(\"item {i}\")).filter(|s| s.len() > 4)\n"
    "fn table(n: Int) -> Int {\n"
    "  let t: Table<Str, Int> = Table.new()\n"
    "  for i in 0..n { t[i.to_string()] = i }\n"
    "  for i in 0..n / 2 { let _ = t.remove(i.to_string()) }\n"
    "  for (_, v) in t { seen += v }\n"
    "  t.len()\n"
    "}\n"
    "fn add(a: Int, b: Int) -> Int = a + b\n"
    "fn adder(n: Int) -> fn(Int) -> Int = |x| x + n\n"
    "fn counter() -> fn() -> Int { var n = 0; let next = || { n := n + 1; n }; next }\n"
    "fn cleanup(n: Int) -> Int { defer println(\"done\"); if n > 2 { panic(\"too many\") }; n }\n"
    "fn call_host(x: Int) -> Str = Host.name(x) + \"!\"\n"
    "fn bump(c: Counter, what: Str) { c.n = c.n + c.step; c.log = c.log.push(what) }\n"
    "fn grow(t: Tree<T>, v: T) -> Tree<T> where T: Ord = match t with\n"
    "  | Leaf -> Node(Leaf, v, Leaf)\n"
    "  | Node(l, x, r) -> if v < x then Node(grow(l, v), x, r) else Node(l, x, grow(r, v))\n"
    "fn walk(t: Tree<T>) -> List<T> = match t with | Leaf -> [] | Node(l, x, r) -> walk(l).push(x).concat(walk(r))\n"
    "fn build(n: Int) -> Str { var s = \"\"; for i in 0..n { s := s + i.to_string() + \",\" }; s }\n"
    "fn parse(text: Str) -> Result<Int, Str> {\n"
    "  let a = text.split(\"+\").map(|t| t.trim().to_int())\n"
    "  match a with | [Some(x), Some(y)] -> Ok(x + y) | [] -> Err(\"nothing\") | _ -> Err(\"bad: \" + text)\n"
    "}\n"
    "fn both(a: Str, b: Str) -> Result<(Int, Int), Str> { let x = parse(a)?; let y = parse(b)?; Ok((x, y)) }\n"
    "fn echo(x: Any) -> Any = x\n"
    "fn move_by(l: Line, dx: Int) -> Line = Line { from: Point { x: l.from.x + dx, ..l.from }, ..l }\n"
    "fn door(d: Door) -> Str = d.knock(3)\n"
    "fn spin() -> Int { loop { } }\n"
    "fn deep(n: Int) -> Int = 1 + deep(n + 1)\n"
    "fn flood() -> Int { var s = build(9); while true { s := s + s }; s.len() }\n"
    "fn bad_host() -> Int = Host.bad(1)\n"
    "fn missing() -> Int = unbound()\n"
    "fn collections() -> Str {\n"
    "  let v: Vec<Int> = Vec.new()\n"
    "  for i in 0..200 { v.push((i * 37) % 101) }\n"
    "  v.sort()\n"
    "  let s = Set.from_list([3, 1, 2, 3, 1]).union(Set.from_list([9, 1])).difference([2].to_set())\n"
    "  let groups = make(30).group_by(|t| t.len())\n"
    "  let sorted = List.range(0, 100).map(|i| (i * 53) % 100).sort_by(|i| 0 - i)\n"
    "  let (low, high) = sorted.partition(|i| i < 50)\n"
    "  let m = List.range(0, 150).fold(Map.empty(), |m, i| m.insert(i, [i])).filter(|k, _| k % 3 == 0).map_values(|x| "
    "x.len())\n"
    "  let chars = \"gr\\u{fc}\\u{df} dich\".to_upper().chars().reverse()\n"
    "  let b = \"bytes\".to_bytes().concat(Bytes.from_list([0, 255]))\n"
    "  format(\"%s %s %s %d %d %s %s %s %s\", [v[199], s, groups.keys(), low.len(), high.len(), m.len(), chars.len(), "
    "b.to_hex(),\n"
    "    List.range(0, 70).chunks(32).map(|c| c.sum())])\n"
    "}\n"
    "fn main() -> Str {\n"
    "  let v: Vec<Int> = Vec.new()\n"
    "  for i in 0..200 { v.push(i) }\n"
    "  let p = Point { x: v.len() }\n"
    "  let c = Counter { n: 0 }\n"
    "  for w in [\"a\", \"b\", \"c\"] { bump(c, w) }\n"
    "  let next = counter()\n"
    "  let steps = next() + next() + next()\n"
    "  println(words(\"a b a c b a\"))\n"
    "  println(c)\n"
    "  println([5, 1, 4].fold(Leaf, |t, x| grow(t, x)) |> walk)\n"
    "  let all = [shade(Red), shade(Mixed(10, 0, 0)), shade(Named { name: \"sky\" })].join(\"/\")\n"
    "  let d = 1.s + 500.ms\n"
    "  format(\"%s %s %s %d %s %s %s %s %d %s %s %5.1f\", [make(20).len(), area(Circle(2.0)) + area(Rect { w: 1.0, h: "
    "2.0 }), p, table(50),\n"
    "    call_host(3), both(\"1+2\", \"3 + 4\"), both(\"1\", \"2\"), all, steps, d, primes.sum() + apply(|x| x * x + "
    "steps, Host.twice(4)), 2.25])\n"
    "}\n";
static const char foreign[] =
    "module Foreign\n"
    "extern \"host\" {\n  type Parser<T>\n  let limit: Int\n  let names: List<Str>\n}\n"
    "@link_name(\"c_sum\") extern \"C\" fn sum(count: Int, ...) -> Int\n"
    "@cfg(all(feature = \"turbo\", not(target_os = \"plan9\"), extra.board = \"pico\")) fn speed() -> Int = 3\n"
    "@cfg(any(feature = \"slow\", target = \"lsp\")) fn speed() -> Int = nothing_here()\n"
    "@cfg(feature = \"slow\") type Gone = { a: Missing, b: Int }\n"
    "@requires_capability(stage = \"beta\", id = \"net\") @dsl_export(\"p\", name = \"parser\", bounds = { a = [1, -2] "
    "})\n"
    "fn parser(x: Int) -> Parser<Int> = todo\n"
    "@intrinsic(\"llvm.ctpop.i64\") fn ones(x: Int) -> Int ! {native} = 0\n"
    "fn declared(x: Int) -> Int\n"
    "pub let table = names.map(|n| n.len())\n"
    "fn main() -> Str = format(\"%s %s %s %d\", [speed(), table, unsafe { sum(2, limit, 2.5, true) }, ones(7)])\n";
static const char library_source[] =
    "module Library\n"
    "fn library() -> Str {\n"
    "  let j: Json = { \"a\": [1, \"x\", ()], \"b\": [\"x\"] }\n"
    "  let back = Json.parse(Json.stringify(j)).unwrap_or(Json.Null)\n"
    "  let it = Iter.range(0, 40).map(|x| x * 3).filter(|x| x % 2 == 0).zip([\"p\", \"q\"]).chain([(7, \"r\")])\n"
    "  var pieces = 0\n"
    "  for piece in \"a,b,,c\".split(\",\") { pieces += piece.len() }\n"
    "  for line in \"a\\nb\".lines() { for word in line.split_whitespace() { pieces += word.len() } }\n"
    "  let long = \"\\u{e9}a\".repeat(300) + \"!\"\n"
    "  let a: Any = { \"k\": j }\n"
    "  let t: Table<Str, List<Int>> = Table.new()\n"
    "  for i in 0..40 { t.update((i % 3).to_string(), [i], |xs| xs.push(i)) }\n"
    "  format(\"%s %s %d %s %s %s %d %d %s\", [back == j, it.to_list(), pieces, long.drop(200).char_at(150), "
    "Any.get(a, "
    "\"k\").is_some(), Any.type_name(a), Env.args().len(), t[\"1\"].len(), Env.get_env(\"X\").is_err()])\n"
    "}\n";
static const char handlers[] =
    "module Handlers\n"
    "effect Ask : io { operation ask(q: Str) -> Int; operation stop : Int -> Never }\n"
    "type Step = | Done(Int) | More(Str, fn(Int) -> Step)\n"
    "handler Ten for Ask {\n  operation ask(q, resume) { resume(q.len() * 10) }\n  operation stop(n, resume) { n }\n}\n"
    "fn work(n: Int) -> Int {\n  defer println(\"left\")\n  var sum = 0\n"
    "  for i in 0..n { sum += do Ask.ask(format(\"q{i}\")) }\n  if n > 3 { do Ask.stop(sum) }\n  sum\n}\n"
    "fn deep(n: Int) -> Int = if n == 0 then work(2) else handle deep(n - 1) + 1 with handler Ask {\n"
    "  operation ask(q, resume) { resume(do Ask.ask(q + \"!\")) + 0 }\n  operation stop(n, resume) { n }\n}\n"
    "fn leave(n: Int) -> Str {\n  let v = handle { if n == 0 { return \"zero\" }; work(n) } with handler Ask {\n"
    "    operation ask(q, resume) { if n == 1 { return \"one \" + q }; resume(1) }\n"
    "    operation stop(n, resume) { \"stopped\" }\n    return r { r.to_string() }\n  }\n  v\n}\n"
    "fn start(n: Int) -> Step = handle Done(work(n)) with handler Ask {\n"
    "  operation ask(q, resume) { More(q, resume) }\n  operation stop(n, resume) { Done(n) }\n}\n"
    "fn turn(s: Step) -> Int = match s with | Done(n) -> n | More(q, next) -> turn(next(q.len()))\n"
    "fn main() -> Str {\n  let kept = start(1)\n  do Console.log(do Console.ask(\"name\"))\n"
    "  format(\"%d %d %s %s %s %d\", [handle work(5) with Ten, handle deep(3) with Ten, leave(0), leave(1), leave(2), "
    "turn(start(3))])\n}\n";
static const char expected_main[] =
    "20 6.0 Point { x: 200, y: 3 } 25 host! Ok((3, 7)) Err(\"bad: 1\") red/warm/sky 6 1500ms 278   2.2";
static const char expected_library[] =
    "true [(0, \"p\"), (6, \"q\"), (7, \"r\")] 5 Some('\xC3\xA9') true Map<Str, Any> 0 13 true";
static const char expected_collections[] = "100 #{1, 3, 9} [6, 7] 50 50 50 10 627974657300ff [496, 1520, 399]";

/* --- the scenario --------------------------------------------------------------------------------------------------------- */

static reml_embed_status_t load(scene_t* scene, const char* text, const char* file, uint32_t flags) {
    reml_embed_source_t given = REML_EMBED_SOURCE_INIT;
    given.text = text;
    given.text_length = strlen(text);
    given.file_name = file;
    given.file_name_length = strlen(file);
    given.flags = flags;
    return reml_embed_load(scene->context, &given);
}
static reml_embed_status_t find(scene_t* scene, const char* name, const char* signature, reml_function_t* out) {
    return reml_function_find(scene->context, name, strlen(name), signature, signature ? strlen(signature) : 0, out);
}
static reml_embed_status_t find_type(scene_t* scene, const char* text, reml_type_t* out) {
    return reml_type_find(scene->context, text, strlen(text), out);
}
static reml_embed_status_t make_text(scene_t* scene, const char* text, reml_value_t* out) {
    return reml_value_string(scene->context, text, strlen(text), out);
}

static bool shows(scene_t* scene, reml_value_t value, const char* expected) {
    char* text = NULL;
    size_t length = 0;
    bool read = TRY(scene, reml_value_text(scene->context, value, &text, &length));
    if (read) check_bytes(text, length, expected, strlen(expected), __FILE__, __LINE__, "value");
    reml_embed_free(text);
    return read;
}

/* Find, call, show; releases the result and the function. */
static void call_shows(
    scene_t* scene, const char* name, const reml_value_t* arguments, size_t count, const char* expected) {
    reml_function_t function;
    reml_value_t result = {0};
    if (!TRY(scene, find(scene, name, NULL, &function))) return;
    if (TRY(scene, reml_function_call(scene->context, function, arguments, count, &result))) {
        shows(scene, result, expected);
        CHECK_INT_EQ(reml_value_release(scene->context, result), OK);
    }
    CHECK_INT_EQ(reml_function_release(scene->context, function), OK);
}

static void use_functions(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    reml_function_t function, inner;
    reml_value_t value = {0}, result = {0}, n = reml_value_int(5);
    size_t done;
    if (TRY(scene, find(scene, "add", "(Int, Int) -> Int", &function))) {
        reml_scalar_t arguments[2] = {{.i = 1}, {.i = 2}}, sum;
        if (TRY(scene, reml_function_call_scalars(context, function, arguments, 2, &sum))) CHECK_INT_EQ(sum.i, 3);
        int64_t column[8] = {0, 1, 2, 3, 4, 5, 6, 7}, out[8];
        reml_column_t inputs[2] = {{REML_COLUMN_I64, 0, column, 8}, {REML_COLUMN_I64, 0, column, 8}},
                      output = {REML_COLUMN_I64, 0, out, 8};
        if (TRY(scene, reml_function_map(context, function, inputs, 2, &output, 8, &done))) CHECK_INT_EQ(out[7], 14);
        char* text = NULL;
        if (TRY(scene, reml_function_signature(context, function, &text, &done)))
            CHECK_STR_EQ(text, "(Int, Int) -> Int");
        reml_embed_free(text);
        reml_type_t type;
        if (TRY(scene, reml_function_param_type(context, function, 1, &type)))
            CHECK_INT_EQ(reml_type_kind(context, type), REML_KIND_INT);
        CHECK_INT_EQ(reml_function_release(context, function), OK);
    }
    for (int i = 0; i < 40; i++) { /* generic instances, made by their signatures */
        static const char* const signatures[] = {"(Tree<Int>) -> List<Int>", "(Tree<Str>) -> List<Str>",
            "(Tree<(Int, Str)>) -> List<(Int, Str)>", "(Tree<Option<Float>>) -> List<Option<Float>>"};
        if (TRY(scene, find(scene, "walk", signatures[i % 4], &function)) && i % 2)
            reml_function_release(context, function);
    }
    TRY_STATUS(scene, find(scene, "walk", "(Int) -> Int", &function), REML_EMBED_STATUS_ERROR);
    TRY_STATUS(scene, find(scene, "nowhere", NULL, &function), REML_EMBED_STATUS_ERROR);
    if (TRY(scene, find(scene, "adder", NULL, &function)) &&
        TRY(scene, reml_function_call(context, function, &n, 1, &value))) {
        if (TRY(scene, reml_function_from_value(context, value, &inner))) {
            CHECK_INT_EQ(reml_value_release(context, value), OK);
            if (TRY(scene, reml_function_call(context, inner, &n, 1, &result))) CHECK_INT_EQ(result.bits, 10);
            CHECK_INT_EQ(reml_function_release(context, inner), OK);
        } else {
            reml_value_release(context, value);
        }
    }
    if (TRY(scene, find(scene, "cleanup", NULL, &function))) {
        TRY_STATUS(scene, reml_function_call(context, function, &n, 1, &result), REML_EMBED_STATUS_ERROR);
        TRY_STATUS(scene, reml_function_call(context, function, NULL, 0, &result), REML_EMBED_STATUS_INVALID_ARGUMENT);
    }
    call_shows(scene, "collections", NULL, 0, expected_collections);
    call_shows(scene, "library", NULL, 0, expected_library);
}

static void use_values(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    reml_value_t text = {0}, value = {0}, item = {0}, parts[3], pair[40];
    reml_type_t type;
    reml_span_t span;
    size_t length;
    if (TRY(scene, make_text(scene, "b a b", &text))) {
        call_shows(scene, "words", &text, 1, "{\"a\": 1, \"b\": 2}");
        call_shows(scene, "echo", &text, 1, "b a b");
        CHECK_INT_EQ(reml_value_span(context, text, &span), OK);
        CHECK_INT_EQ(span.length, 5);
    }
    /* records in records, options, lists, maps, variants, newtypes, structs */
    reml_value_t point = {0}, none = {0}, label = {0};
    parts[0] = reml_value_int(1), parts[1] = reml_value_int(2);
    bool made =
        TRY(scene, find_type(scene, "Point", &type)) && TRY(scene, reml_value_make(context, type, parts, 2, &point));
    made = made && TRY(scene, find_type(scene, "Option<Str>", &type)) &&
           TRY(scene, reml_value_variant(context, type, "None", 4, NULL, 0, &none));
    made = made && TRY(scene, reml_value_variant(context, type, "Some", 4, &text, 1, &label));
    if (made && TRY(scene, find_type(scene, "Line", &type))) {
        parts[0] = point, parts[1] = label, parts[2] = point;
        if (TRY(scene, reml_value_make(context, type, parts, 3, &value))) {
            reml_value_t arguments[2] = {value, reml_value_int(10)};
            call_shows(scene, "move_by", arguments, 2,
                "Line { from: Point { x: 11, y: 2 }, label: Some(\"b a b\"), to: Point { x: 1, y: 2 } }");
            if (TRY(scene, reml_value_field(context, value, "to", 2, &item))) reml_value_release(context, item);
            int same = 0;
            if (TRY(scene, reml_value_equal(context, value, value, &same))) CHECK_INT_EQ(same, 1);
            if (TRY(scene, reml_value_field_name(context, value, 0, &span))) CHECK_INT_EQ(span.length, 4);
            char* shown = NULL;
            if (TRY(scene, reml_value_type(context, value, &type)) &&
                TRY(scene, reml_type_text(context, type, &shown, &length)))
                CHECK_STR_EQ(shown, "Line");
            reml_embed_free(shown);
            CHECK_INT_EQ(reml_value_release(context, value), OK);
        }
    }
    reml_value_release(context, none);
    reml_value_release(context, label);
    reml_value_release(context, point);
    for (int i = 0; i < 40; i++) pair[i] = reml_value_int(i);
    static const char* const lists[] = {"List<Int>", "Vec<Int>", "Set<Int>", "Map<Int, Int>", "Table<Int, Int>"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (!TRY(scene, find_type(scene, lists[i], &type)) ||
            !TRY(scene, reml_value_make(context, type, pair, 40, &value)))
            continue;
        if (TRY(scene, reml_value_length(context, value, &length))) CHECK_INT_EQ(length, i < 3 ? 40 : 20);
        if (i >= 3 && TRY(scene, reml_value_key(context, value, 3, &item))) reml_value_release(context, item);
        if (TRY(scene, reml_value_item(context, value, 7, &item))) reml_value_release(context, item);
        CHECK_INT_EQ(reml_value_release(context, value), OK);
    }
    if (TRY(scene, find_type(scene, "Tree<List<Map<Str, Option<(Int, Float)>>>>", &type))) {
        if (TRY(scene, reml_value_variant(context, type, "Leaf", 4, NULL, 0, &value)))
            CHECK_INT_EQ(reml_value_release(context, value), OK);
    }
    TRY_STATUS(scene, find_type(scene, "List<Nope>", &type), REML_EMBED_STATUS_ERROR);
    if (TRY(scene, reml_value_bytes(context, "\0\1\2", 3, &value)))
        CHECK_INT_EQ(reml_value_release(context, value), OK);
    if (TRY(scene, reml_ffi_box_string(context, reml_ffi_make_span((void*)(uintptr_t)"boxed", 5), &value)))
        CHECK_INT_EQ(reml_ffi_release_transferred(context, value), OK);
    /* host objects: let go once, whoever held them last */
    if (TRY(scene, find_type(scene, "Door", &type)) &&
        TRY(scene, reml_value_host(context, type, scene, count_object, scene, &value))) {
        scene->made++;
        void* data = NULL;
        CHECK_INT_EQ(reml_value_host_data(context, value, &data), OK);
        CHECK(data == scene);
        call_shows(scene, "door", &value, 1, "host");
        if (TRY(scene, reml_ffi_acquire_borrowed_result(context, value, &item))) reml_value_release(context, item);
        CHECK_INT_EQ(reml_value_release(context, value), OK);
    }
    /* many handles, so that their table grows */
    reml_value_t many[100];
    int count = 0;
    while (count < 100 && TRY(scene, make_text(scene, "x", &many[count]))) count++;
    while (count > 0) CHECK_INT_EQ(reml_value_release(context, many[--count]), OK);
    CHECK_INT_EQ(reml_value_release(context, text), OK);
}

static void use_runs(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    reml_span_t span;
    reml_value_t value = {0};
    scene->output_length = 0;
    if (TRY(scene, reml_run(context, "main"))) {
        if (TRY(scene, reml_embed_result_text(context, &span))) {
            check_bytes(span.data, span.length, expected_main, strlen(expected_main), __FILE__, __LINE__, "result");
        }
        if (TRY(scene, reml_embed_result_type(context, &span)))
            check_bytes(span.data, span.length, "Str", 3, __FILE__, __LINE__, "type");
        if (TRY(scene, reml_embed_result_borrow(context, &value))) {
            reml_value_t more;
            if (TRY(scene, reml_ffi_acquire_borrowed_result(context, value, &more)))
                CHECK_INT_EQ(reml_value_release(context, more), OK);
        }
        if (TRY(scene, reml_embed_result_take(context, &value))) {
            CHECK_INT_EQ(reml_ffi_release_transferred(context, value), OK);
            CHECK_INT_EQ(reml_ffi_release_transferred(context, value), REML_EMBED_STATUS_STALE);
        }
        /* printed at least once whole; more when the run had to be repeated */
        scene->output[scene->output_length] = '\0';
        CHECK(strstr(scene->output, "{\"a\": 3, \"b\": 2, \"c\": 1}\n"));
        CHECK(strstr(scene->output, "n: 3") && strstr(scene->output, "[1, 4, 5]\n"));
    }
    TRY_STATUS(scene, reml_run(context, "bad_host"), REML_EMBED_STATUS_ERROR);
    TRY_STATUS(scene, reml_run(context, "missing"), REML_EMBED_STATUS_ERROR);
    TRY_STATUS(scene, reml_run(context, "nowhere"), REML_EMBED_STATUS_ERROR);
    TRY_STATUS(scene, reml_run(context, "add"), REML_EMBED_STATUS_ERROR);
    reml_embed_limits_t limits, before = {.struct_size = sizeof before};
    reml_embed_limits_default(&limits);
    CHECK_INT_EQ(reml_embed_get_limits(context, &before), OK);
    limits.fuel = 100000;
    limits.call_depth = 300;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    TRY_STATUS(scene, reml_run(context, "spin"), REML_EMBED_STATUS_LIMIT);
    TRY_STATUS(scene, reml_run(context, "deep"), REML_EMBED_STATUS_ERROR);
    limits = before;
    limits.heap_bytes = 2 << 20;
    limits.fuel = 100000000;
    CHECK_INT_EQ(reml_embed_set_limits(context, &limits), OK);
    CHECK(reml_run(context, "flood") != OK);
    CHECK_INT_EQ(reml_embed_set_limits(context, &before), OK);
    CHECK_INT_EQ(reml_embed_set_poll(context, stop, NULL), OK);
    TRY_STATUS(scene, reml_run(context, "spin"), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_embed_set_poll(context, never, NULL), OK);
    CHECK_INT_EQ(reml_embed_interrupt(context), OK);
}

static void use_texts(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    char* text = NULL;
    size_t length;
    for (int what = 0; what < 4; what++) {
        if (TRY(scene, reml_embed_explain(context, what, what < 2 ? "Stress.main" : "", &text, &length)))
            CHECK(length > 0);
        reml_embed_free(text);
    }
    if (TRY(scene, reml_embed_functions(context, &text, &length)))
        CHECK(strstr(text, "Stress.add (Int, Int) -> Int\n"));
    reml_embed_free(text);
    reml_embed_memory_t memory = {.struct_size = sizeof memory};
    CHECK_INT_EQ(reml_embed_memory(context, &memory), OK);
    CHECK(memory.live_bytes > 0 && memory.allocations > 0);
    reml_ffi_bridge_metrics_t metrics;
    CHECK_INT_EQ(reml_ffi_bridge_context_metrics(context, &metrics), OK);
    CHECK_INT_EQ(metrics.acquired, metrics.released + metrics.live);
}

static void use_audit(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    char* text = NULL;
    size_t length;
    static const char command[] = "\"cli.command\":\"run\",\"cli.run_id\":\"1\"";
    TRY(scene, reml_embed_audit_drain(context, &text, &length));
    reml_embed_free(text);
    CHECK_INT_EQ(reml_embed_audit_policy(context, REML_AUDIT_POLICY_EVERY, REML_AUDIT_ON_FAILURE_REFUSE, 0), OK);
    TRY(scene, reml_embed_audit_command(context, command, sizeof command - 1));
    scene->made++; /* the callback's user: the library has it, whatever set_audit_sink answers here */
    reml_embed_status_t status = reml_embed_set_audit_sink(context, take_line, scene, count_destroy);
    CHECK(status == OK || scene->meter.hits);
    reml_audit_file_options_t file = REML_AUDIT_FILE_OPTIONS_INIT;
    file.path = audit_path;
    file.policy = REML_AUDIT_POLICY_EVERY;
    file.journal_bytes = 128 << 10;
    TRY(scene, reml_embed_set_audit_file(context, &file));
    call_shows(scene, "add", (reml_value_t[]){reml_value_int(2), reml_value_int(3)}, 2, "5");
    TRY(scene, reml_run(context, "collections"));
}

static reml_embed_status_t sum_values(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out, void* user) {
    (void)context, (void)user;
    int64_t total = 0, number = 0;
    double real = 0;
    for (size_t i = 0; i < count; i++) {
        if (arguments[i].kind == REML_KIND_FLOAT)
            total += reml_value_as_float(arguments[i], &real) == OK ? (int64_t)real : 0;
        else if (reml_value_as_int(arguments[i], &number) == OK) total += number;
    }
    *out = reml_value_int(total);
    return OK;
}

/* Targets, extern "C", values of the host, metadata. */
/* False: its module's initialisation has failed for want of memory, and stays failed. */
static bool use_foreign(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    reml_embed_target_t target = REML_EMBED_TARGET_INIT;
    target.features = "turbo,simd";
    target.extra = "board=pico";
    target.profile_id = "desktop";
    if (!TRY(scene, reml_embed_set_target(context, &target))) return true;
    if (!TRY(scene, define(scene, "c_sum", NULL, sum_values, NULL))) return true;
    if (!TRY(scene, define(scene, "declared", NULL, NULL, host_twice))) return true;
    if (!TRY(scene, load(scene, foreign, "foreign.reml", 0))) return true;
    reml_type_t type;
    reml_value_t name, list, value = {0};
    if (!TRY(scene, find_type(scene, "List<Str>", &type)) || !TRY(scene, make_text(scene, "door", &name))) return true;
    if (TRY(scene, reml_value_make(context, type, &name, 1, &list))) {
        TRY(scene, reml_host_set_global(context, "names", 5, list));
        CHECK_INT_EQ(reml_value_release(context, list), OK);
    }
    CHECK_INT_EQ(reml_value_release(context, name), OK);
    TRY(scene, reml_host_set_global(context, "limit", 5, reml_value_int(40)));
    uint64_t hits = scene->meter.hits;
    if (reml_run(context, "") != OK) {
        CHECK(scene->meter.hits > hits);
        return false;
    }
    if (TRY(scene, reml_embed_global(context, "Foreign.table", 13, &value))) {
        shows(scene, value, "[4]");
        CHECK_INT_EQ(reml_value_release(context, value), OK);
    }
    call_shows(scene, "Foreign.main", NULL, 0, "3 [4] 45 3");
    reml_value_t five = reml_value_int(5);
    call_shows(scene, "Foreign.declared", &five, 1, "10");
    char* text = NULL;
    size_t length = 0;
    if (TRY(scene, reml_embed_exports(context, &text, &length)))
        CHECK(
            strstr(text, "\"metadata\":{\"arguments\":[\"p\"],\"name\":\"parser\",\"bounds\":{\"a\":[1,-2]}}") != NULL);
    reml_embed_free(text);
    return true;
}

static void use_handlers(scene_t* scene) {
    if (!TRY(scene, load(scene, handlers, "handlers.reml", 0))) return;
    call_shows(scene, "Handlers.main", NULL, 0, "100 103 zero one q0 2 6");
}

/* Refused at load, granted, called, revoked, refused at the call. */
static void use_grants(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    reml_host_function_t function = REML_HOST_FUNCTION_INIT;
    function.name = "Guarded.twice";
    function.signature = "(Int) -> Int";
    function.call_scalars = host_twice;
    function.capability = "gc";
    function.effects = "memory";
    if (!TRY(scene, reml_host_define(context, &function))) return;
    static const char guarded[] =
        "module Guard\n@requires_capability(id = \"net\") fn main() -> Int = Guarded.twice(21)\n";
    if (!TRY_STATUS(scene, load(scene, guarded, "guard.reml", 0), REML_EMBED_STATUS_ERROR)) return;
    CHECK_INT_EQ(reml_embed_grant(context, "gc"), OK);
    if (!TRY(scene, load(scene, guarded, "guard.reml", 0))) return;
    call_shows(scene, "Guard.main", NULL, 0, "42");
    reml_capability_request_t request = REML_CAPABILITY_REQUEST_INIT;
    reml_capability_handle_t* handle = NULL;
    request.id = "gc";
    request.requirement = "exact:stable";
    request.context = context;
    if (TRY(scene, reml_capability_verify_capability_stage(NULL, &request, &handle, NULL)))
        reml_capability_handle_release(handle);
    CHECK_INT_EQ(reml_embed_revoke(context, "gc"), OK);
    TRY_STATUS(scene, reml_run(context, "Guard.main"), REML_EMBED_STATUS_DENIED);
}

static void use_context(scene_t* scene) {
    reml_embed_context_t* context = scene->context;
    reml_embed_set_output(context, take_output, scene);
    reml_embed_set_user(context, scene);
    TRY(scene, define(scene, "Host.name", "(Int) -> Str", host_name, NULL));
    TRY(scene, define(scene, "Host.name", "(Int) -> Str", host_name, NULL)); /* replaced */
    TRY(scene, define(scene, "Host.bad", "(Int) -> Int", host_fail, NULL));
    TRY(scene, define(scene, "Host.twice", "(Int) -> Int", NULL, host_twice));
    TRY(scene, define(scene, "Door.knock", NULL, host_name, NULL));
    TRY(scene, define(scene, "apply", NULL, host_apply, NULL));
    TRY_STATUS(scene, define(scene, "Host.odd", "(Nope) -> Int", host_fail, NULL), REML_EMBED_STATUS_ERROR);
    static const char* const wrong[] = {"fn broken( = 1 +", "fn wrong() -> Int = \"x\"",
        "type A = { x: Nope }\nfn f(a: A) -> Int = a.y + \"\\q\"",
        "fn f(x: Option<Bool>) -> Int = match x with | Some(true) -> 1\nfn f() -> Int = 2"};
    reml_span_t span;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        TRY_STATUS(scene, load(scene, wrong[i], "wrong.reml", 0), REML_EMBED_STATUS_ERROR);
        TRY(scene, reml_embed_diagnostics_text(context, 1, &span));
        TRY(scene, reml_embed_diagnostics_json(context, &span));
    }
    bool loaded = TRY(scene, load(scene, ambient, "shared.reml", REML_EMBED_SOURCE_AMBIENT));
    TRY(scene, load(scene, source, "stress.reml", REML_EMBED_SOURCE_CHECK_ONLY));
    if (TRY(scene, load(scene, source, "stress.reml", REML_EMBED_SOURCE_CHECK_ONLY | REML_EMBED_SOURCE_TELEMETRY)))
        TRY(scene, reml_embed_constraints_json(context, &span));
    loaded = loaded && TRY(scene, load(scene, library_source, "library.reml", 0));
    loaded = loaded && TRY(scene, reml_load_module(context, (const unsigned char*)source, sizeof source - 1));
    uint64_t hits = scene->meter.hits;
    if (loaded && reml_run(context, "") != OK) {
        CHECK(scene->meter.hits > hits); /* a module whose initialisation has failed stays failed */
        loaded = false;
    }
    if (loaded) {
        use_runs(scene);
        use_functions(scene);
        use_values(scene);
        use_texts(scene);
        bool alive = use_foreign(scene);
        if (alive) use_handlers(scene);
        if (alive) use_grants(scene);
        CHECK_INT_EQ(reml_embed_collect(context), OK);
        if (alive) use_audit(scene);
    }
}

static void scenario(scene_t* scene) {
    reml_embed_options_t options = REML_EMBED_OPTIONS_INIT;
    options.resize = resize;
    options.resize_user = &scene->meter;
    options.granted_capabilities = "console,net,disk";
    options.minimum_stage = REML_EMBED_STAGE_BETA;
    if (TRY(scene, reml_embed_create("0.1.0", &options, &scene->context))) {
        use_context(scene);
        CHECK_INT_EQ(reml_dispose_context(scene->context), OK);
    }
    char* text = NULL;
    size_t length;
    reml_embed_audit_drain(NULL, &text, &length);
    reml_embed_free(text);
    CHECK_INT_EQ(scene->meter.live_bytes, 0);
    CHECK_INT_EQ(scene->destroyed, scene->made);
}

/* The log that all runs of the scenario have written is one valid chain. */
static void check_log(void) {
    reml_audit_report_t report = REML_AUDIT_REPORT_INIT;
    CHECK_INT_EQ(reml_audit_verify(audit_path, NULL, &report), OK);
    CHECK(report.records > 0);
    if (report.detail[0]) printf("%s\n", report.detail);
}

int main(int argc, char** argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
             step = argc > 2 ? strtoull(argv[2], NULL, 10) : USUAL_STEP;
    if (!mkdtemp(directory)) return 2;
    snprintf(audit_path, sizeof audit_path, "%s/log.ndjson", directory);
    scene_t whole = {0};
    scenario(&whole);
    printf("%llu allocations in the scenario\n", (unsigned long long)whole.meter.requests);
    check_log();
    uint64_t points = 0;
    for (int mode = 0; mode < 2; mode++) {
        for (uint64_t n = first; n <= whole.meter.requests && check_failures < 20; n += step) {
            unsigned before = check_failures;
            scene_t scene = {.meter = {.fail_at = n, .for_good = mode == 1}};
            scenario(&scene);
            points++;
            if (check_failures > before)
                printf("at allocation %llu, %s\n", (unsigned long long)n, mode ? "for good" : "once");
        }
    }
    check_log();
    char command[128];
    snprintf(command, sizeof command, "%s.journal", audit_path);
    unlink(command);
    unlink(audit_path);
    rmdir(directory);
    printf("%llu passed, %u failed\n", (unsigned long long)points, check_failures);
    return check_failures != 0;
}
