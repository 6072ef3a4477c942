/*
 * What operations of the core library cost (LANGUAGE 8.7, DESIGN 2.2): each program runs for n and for 4n. Counted are fuel,
 * which builtins charge for the data they touch, and bytes allocated. Linear work grows fourfold; what is quadratic, sixteenfold.
 */
#include "check.h"

#include "host/context.h"

typedef struct cost {
    double fuel, bytes;
} cost_t;

static const char* run_name;

static bool measure(const char* source, unsigned n, cost_t* out) {
    char text[4096];
    reml_embed_context_t* id = NULL;
    if (reml_create_context("0.1.0", &id) != REML_EMBED_STATUS_OK) return false;
    rl_context_t* context = NULL;
    rl_slot_resolve(id, &context);
    int length = snprintf(text, sizeof text, "fn main() {\n  let n = %u\n%s\n}\n", n, source);
    bool ok = reml_load_module(id, (const unsigned char*)text, (size_t)length) == REML_EMBED_STATUS_OK &&
              reml_run(id, "") == REML_EMBED_STATUS_OK;
    uint64_t bytes = context->vm.heap.stats.allocated_bytes;
    ok = ok && reml_run(id, "main") == REML_EMBED_STATUS_OK;
    if (!ok) printf("%s: %s\n", run_name, reml_last_error(id));
    out->fuel = (double)context->vm.limits.fuel - (double)(context->vm.fuel_left + context->vm.budget);
    out->bytes = (double)(context->vm.heap.stats.allocated_bytes - bytes);
    reml_dispose_context(id);
    return ok;
}

typedef struct program {
    const char *name, *source;
} program_t;

/* `most`: how much the cost may grow when n becomes four times as large. */
static void check_growth(const program_t* programs, size_t count, unsigned n, double most) {
    for (size_t i = 0; i < count; i++) {
        cost_t small, large;
        run_name = programs[i].name;
        bool ran = measure(programs[i].source, n, &small) && measure(programs[i].source, 4 * n, &large);
        CHECK(ran);
        if (!ran) continue;
        bool fine = large.fuel <= most * small.fuel && large.bytes <= most * small.bytes + 4096;
        CHECK(fine);
        if (!fine)
            printf("%s: fuel %.0f, %.0f (%.1f times); bytes %.0f, %.0f (%.1f times)\n", programs[i].name, small.fuel,
                large.fuel, large.fuel / small.fuel, small.bytes, large.bytes, large.bytes / (small.bytes + 1));
    }
}

/* The table prints itself when REML_SHOW_COSTS is set. */
static const program_t linear[] = {
    {"List.push", "  var xs: List<Int> = []\n  for i in 0..n { xs := xs.push(i) }"},
    {"List.push of references", "  var xs: List<Str> = []\n  for i in 0..n { xs := xs.push(\"a\") }"},
    {"List ++ [x]", "  var xs: List<Int> = []\n  for i in 0..n { xs := xs ++ [i] }"},
    {"List.push_front", "  var xs: List<Int> = []\n  for i in 0..n { xs := xs.push_front(i) }"},
    {"List.set", "  var xs = List.range(0, n)\n  for i in 0..n { xs := xs.set(i, 0) }"},
    {"xs[i] = x", "  var xs = List.range(0, n)\n  for i in 0..n { xs[i] = xs[i] + 1 }"},
    {"List.pop_front",
        "  var xs = List.range(0, n)\n  loop {\n    match xs.pop_front() with\n    | Some((_, rest)) -> xs := rest\n"
        "    | None -> break\n  }"},
    {"List.pop_back",
        "  var xs = List.range(0, n)\n  loop {\n    match xs.pop_back() with\n    | Some((rest, _)) -> xs := rest\n"
        "    | None -> break\n  }"},
    {"[h, ..t]", "  fn sum(xs: List<Int>, acc: Int) -> Int = match xs with | [] -> acc | [h, ..t] -> sum(t, acc + h)\n"
                 "  println(sum(List.range(0, n), 0))"},
    {"List.tail", "  var xs = List.range(0, n)\n  while !xs.is_empty() { xs := xs.tail() }"},
    {"List in a record", "  var r = { items: [0], k: 1 }\n  for i in 0..n { r := { ..r, k: i } }"},
    {"List.append of short ones", "  var xs: List<Int> = []\n  for i in 0..n { xs := xs.append([i, i]) }"},
    {"List in a Cell of a Vec", "  let v: Vec<List<Int>> = Vec.from_list([[]])\n  for i in 0..n { v.set(0, [i]) }"},
    {"flat_map", "  println(List.range(0, n).flat_map(|x| [x, x]).len())"},
    {"map, filter, fold", "  println(List.range(0, n).map(|x| x + 1).filter(|x| x > 3).fold(0, |a, b| a + b))"},
    {"chunks", "  println(List.range(0, n).chunks(10).len())"},
    {"Vec.push and pop", "  let v: Vec<Int> = Vec.new()\n  for i in 0..n { v.push(i) }\n  while v.pop().is_some() {}"},
    {"Vec.set", "  let v = Vec.filled(n, 0)\n  for i in 0..n { v[i] = i }"},
    {"Table",
        "  let t: Table<Int, Int> = Table.new()\n  for i in 0..n { t[i] = i }\n  for i in 0..n { t[i] = t[i] + 1 }\n"
        "  for i in 0..n { ignore(t.remove(i)) }"},
    {"Table of Str",
        "  let t: Table<Str, Int> = Table.new()\n  for i in 0..n { t.update(i.to_string(), 1, |x| x + 1) }"},
    {"s + t", "  var s = \"\"\n  for i in 0..n { s := s + \"ab\" }"},
    {"s += t", "  var s = \"\"\n  for i in 0..n { s += \"\u00e9\" }"},
    {"Str.append", "  var s = \"\"\n  for i in 0..n { s := s.append(\"ab\") }"},
    {"s + t with a look at its length",
        "  var s = \"\u00e9\"\n  var k = 0\n  for i in 0..n { s := s + \"\u00e9\"; k := k + s.len() }"},
    {"s + t with a look at its end",
        "  var s = \"\u00e9\"\n  for i in 0..n { s := s + \"\u00e9\"; ignore(s.char_at(i)) }"},
    {"Str.join", "  println(List.repeat(\"ab\", n).join(\", \").len())"},
    {"char_at in ASCII", "  let s = \"a\".repeat(n)\n  for i in 0..n { ignore(s.char_at(i)) }"},
    {"char_at", "  let s = \"\u00e9a\".repeat(n)\n  for i in 0..n { ignore(s.char_at(i)) }"},
    {"char_at backwards", "  let s = \"\u00e9\".repeat(n)\n  for i in (0..n).reverse() { ignore(s.char_at(i)) }"},
    {"slice", "  let s = \"a\u00e9\".repeat(n)\n  for i in 0..n { ignore(s.slice(i, i + 3)) }"},
    {"drop(1) in ASCII", "  var s = \"a\".repeat(n)\n  while !s.is_empty() { s := s.drop(1) }"},
    {"drop(1)", "  var s = \"\u00e9\".repeat(n)\n  while !s.is_empty() { s := s.drop(1) }"},
    {"drop(300)", "  var s = \"\u00e9\".repeat(n * 300)\n  while !s.is_empty() { s := s.drop(300) }"},
    {"take all but the last", "  var s = \"\u00e9\".repeat(n)\n  while !s.is_empty() { s := s.take(s.len() - 1) }"},
    {"find and drop",
        "  var s = \"\u00e9,\".repeat(n)\n  loop {\n    match s.find(\",\") with\n    | Some(i) -> s := s.drop(i + 1)\n"
        "    | None -> break\n  }"},
    {"starts_with of slices", "  var s = \"ab\".repeat(n)\n  while s.starts_with(\"ab\") { s := s.drop(2) }"},
    {"for over chars", "  var k = 0\n  for c in \"a\u00e9\".repeat(n).chars() { if c == 'a' { k := k + 1 } }"},
    {"for over split", "  var k = 0\n  for p in \"ab,\".repeat(n).split(\",\") { k := k + p.len() }"},
    {"for over lines", "  var k = 0\n  for p in \"ab\\n\".repeat(n).lines() { k := k + p.len() }"},
    {"split, replace, reverse",
        "  let s = \"ab,\".repeat(n)\n  println(s.split(\",\").len() + s.replace(\",\", \"::\").reverse().len())"},
    {"Iter chain", "  println(Iter.range(0, n).map(|x| x + 1).filter(|x| x % 2 == 0).take(n).count())"},
    {"Json", "  let j: Json = List.range(0, n)\n  println(Json.parse(Json.stringify(j)).map(|j| j.to_string().len()))"},
    {"Bytes", "  let b = \"abc\".repeat(n).to_bytes()\n  var k = 0\n  for i in 0..b.len() { k := k + b[i] }"},
};
static const program_t logarithmic[] = {
    {"Map.insert", "  var m: Map<Int, Int> = Map.empty()\n  for i in 0..n { m := m.insert(i * 7919 % 65537, i) }"},
    {"Map.insert of a kept map",
        "  var m: Map<Int, Int> = Map.empty()\n  var old = m\n  for i in 0..n { old := m; m := m.insert(i, i) }\n"
        "  println(old.len())"},
    {"m[k] = v", "  var m: Map<Str, Int> = Map.empty()\n  for i in 0..n { m[i.to_string()] = i }"},
    {"Map.remove", "  var m = Map.from_list(List.range(0, n).map(|i| (i, i)))\n  for i in 0..n { m := m.remove(i) }"},
    {"Set.insert", "  var s: Set<Int> = Set.empty()\n  for i in 0..n { s := s.insert(i) }"},
    {"List.push of a kept list",
        "  var xs: List<Int> = []\n  var old = xs\n  for i in 0..n { old := xs; xs := xs.push(i) }\n"
        "  println(old.len())"},
    {"List.set of a kept list", "  let base = List.range(0, n)\n  var xs = base\n  var old = xs\n  for i in 0..n { old "
                                ":= xs; xs := xs.set(i, 0) }\n"
                                "  println(old.len() + base.len())"},
    {"List.append of kept lists",
        "  let xs = List.range(0, n)\n  var k = 0\n  for i in 0..n { k := k + xs.append(xs).len() }"},
    {"List.insert_at", "  var xs: List<Int> = []\n  for i in 0..n { xs := xs.insert_at(i / 2, i) }"},
    {"List.remove_at", "  var xs = List.range(0, n)\n  while !xs.is_empty() { xs := xs.remove_at(xs.len() / 2) }"},
    {"List.slice",
        "  let xs = List.range(0, n)\n  var k = 0\n  for i in 0..n { k := k + xs.slice(i / 2, n - i / 2).len() }"},
    {"List in a field", "  var r = { items: [0], k: 1 }\n  for i in 0..n { r := { ..r, items: r.items.push(i) } }"},
    {"List in a struct", "  let v: Cell<List<Int>> = Cell.new([])\n  for i in 0..n { v.set(v.get().push(i)) }"},
    {"lists in a Map", "  var m: Map<Int, List<Int>> = Map.empty()\n  for i in 0..n { m := m.insert(i % 3, m.get_or(i "
                       "% 3, []).push(i)) }"},
    {"group_by", "  println(List.range(0, n).group_by(|x| x % 3).len())"},
    {"sort", "  println(List.range(0, n).map(|x| x * 7919 % 65537).sort().len())"},
    {"sort_by", "  println(List.range(0, n).sort_by(|x| 0 - x).len())"},
};

static void test_costs__grow_in_proportion(void) { check_growth(linear, RL_COUNT_OF(linear), 4000, 6.0); }
static void test_costs__grow_with_the_logarithm_at_most(void) {
    check_growth(logarithmic, RL_COUNT_OF(logarithmic), 4000, 7.0);
}

/* A slice that is more than half of its text copies nothing, also of text that is not ASCII. */
static void test_costs__large_slices_share_memory(void) {
    cost_t without, with;
    run_name = "slices";
    CHECK(measure("  let s = \"\u00e9a\".repeat(n)\n  println(s.len())", 100000, &without));
    CHECK(measure("  let s = \"\u00e9a\".repeat(n)\n  println(s.len())\n"
                  "  println(s.drop(5).len() + s.take(150000).drop(7).len() + s.slice(1, 190000).slice_from(3).len())",
        100000, &with));
    CHECK(with.bytes - without.bytes < 20000); /* of 300,000: an index of the code points */
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_costs__grow_in_proportion),
        RUN(test_costs__grow_with_the_logarithm_at_most),
        RUN(test_costs__large_slices_share_memory),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
