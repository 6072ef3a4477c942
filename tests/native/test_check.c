/* The checker: diagnostics by line and code, inferred types, and the IR that stands for what the language only says. */
#include "check.h"

#include "host/prelude.h"
#include "types/check.h"

#include <stdlib.h>

static rl_allocator_t allocator;
static rl_program_t prelude;

typedef struct checked {
    rl_arena_t arena;
    rl_diags_t diags;
    rl_program_t program;
    rl_module_id_t module;
    bool fine;
} checked_t;

static bool load_into(checked_t* checked, const char* source, bool ambient) {
    rl_str_t text = rl_str(source);
    rl_tree_t tree;
    checked->diags.source = text;
    checked->diags.module = RL_STR("main");
    rl_parser_input_t parser = {
        .allocator = &allocator, .source = text, .symbols = &checked->program.symbols, .diags = &checked->diags};
    bool fine = rl_parse(&parser, &tree);
    if (fine) {
        rl_check_input_t input = {.tree = &tree,
            .source = text,
            .file = RL_STR("test.reml"),
            .program = &checked->program,
            .diags = &checked->diags,
            .ambient = ambient};
        fine = rl_check_module(&input, &checked->module);
    }
    rl_tree_deinit(&tree);
    rl_diags_sort(&checked->diags);
    checked->fine = fine;
    return fine;
}

static void open_checked(checked_t* checked) {
    memset(checked, 0, sizeof *checked);
    rl_arena_init(&checked->arena, &allocator);
    rl_diags_init(&checked->diags, &allocator, &checked->arena);
    rl_program_init(&checked->program, &prelude, &allocator);
}

static void close_checked(checked_t* checked) {
    rl_program_deinit(&checked->program);
    rl_diags_deinit(&checked->diags);
    rl_arena_deinit(&checked->arena);
}

/* "line:code line:code …" of all diagnostics */
static void print_codes(const checked_t* checked, rl_buf_t* out) {
    for (uint32_t i = 0; i < checked->diags.items.count; i++) {
        const rl_diag_t* diag = &checked->diags.items.data[i];
        if (i) rl_buf_add_char(out, ' ');
        rl_buf_printf(
            out, "%u:%s", rl_position_of(checked->diags.source, diag->span.start).line, rl_code_text(diag->code));
    }
}

typedef struct code_case {
    const char* source;
    const char* codes;
} code_case_t;

static void check_codes(const code_case_t* cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        checked_t checked;
        open_checked(&checked);
        load_into(&checked, cases[i].source, false);
        rl_buf_t found;
        rl_buf_init(&found, &allocator);
        print_codes(&checked, &found);
        if (strcmp(rl_buf_cstr(&found), cases[i].codes) != 0) {
            check_failures++;
            printf("%s\n  found    %s\n  expected %s\n", cases[i].source, rl_buf_cstr(&found), cases[i].codes);
            for (uint32_t k = 0; k < checked.diags.items.count; k++)
                printf("    %.*s\n", RL_STR_ARG(checked.diags.items.data[k].message));
        }
        rl_buf_deinit(&found);
        close_checked(&checked);
    }
}

/* "(parameters) -> result" of a function as its declaration would say it */
static void print_signature(const rl_program_t* program, rl_fn_id_t id, rl_buf_t* out) {
    const rl_function_t* function = rl_program_function(program, id);
    rl_buf_add_char(out, '(');
    for (uint32_t i = 0; i < function->param_count; i++) {
        if (i) rl_buf_add(out, RL_STR(", "));
        rl_type_print(program, rl_program_param(program, function->param_first + i)->type, out);
    }
    rl_buf_add(out, RL_STR(") -> "));
    rl_type_print(program, function->result, out);
}

typedef struct type_case {
    const char* source; /* declares f, a function or a value */
    const char* type;
} type_case_t;

static void check_types(const type_case_t* cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        checked_t checked;
        open_checked(&checked);
        rl_buf_t found;
        rl_buf_init(&found, &allocator);
        if (!load_into(&checked, cases[i].source, false)) {
            print_codes(&checked, &found);
        } else {
            rl_fn_id_t fn = rl_program_find_function(&checked.program, RL_STR("f"));
            rl_global_id_t global;
            if (fn) print_signature(&checked.program, fn, &found);
            else if (rl_program_find_global(&checked.program, RL_STR("f"), &global))
                rl_type_print(&checked.program, rl_program_global(&checked.program, global)->type, &found);
        }
        if (strcmp(rl_buf_cstr(&found), cases[i].type) != 0) {
            check_failures++;
            printf("%s\n  found    %s\n  expected %s\n", cases[i].source, rl_buf_cstr(&found), cases[i].type);
        }
        rl_buf_deinit(&found);
        close_checked(&checked);
    }
}

static void add_repeat(rl_buf_t* buf, const char* text, unsigned count) {
    for (unsigned i = 0; i < count; i++) rl_buf_add_cstr(buf, text);
}

#define CODES(...)                                                                                                     \
    do {                                                                                                               \
        static const code_case_t cases[] = {__VA_ARGS__};                                                              \
        check_codes(cases, sizeof cases / sizeof *cases);                                                              \
    } while (0)
#define TYPES(...)                                                                                                     \
    do {                                                                                                               \
        static const type_case_t cases[] = {__VA_ARGS__};                                                              \
        check_types(cases, sizeof cases / sizeof *cases);                                                              \
    } while (0)

/* --- names -------------------------------------------------------------------------------------------------------- */

TEST(test_check__names_are_found_or_reported) {
    CODES({"fn f() = nope", "1:type.unresolved_ident"}, {"fn f(x: Nope) = 1", "1:type.unknown_type"},
        {"fn f() = 1\nfn f() = 2", "2:language.duplicate_definition"},
        {"let gr\xc3\xb6\xc3\x9f"
         "e = 1\nlet gr\xc3\xb6\xc3\x9f"
         "e = 2",
            "2:language.shadowing.unicode"},
        {"type T = | A\ntype T = | B", "2:language.duplicate_definition"},
        {"type T = | A | A", "1:language.duplicate_definition"}, {"fn f(x) = { let x = x + 1\n x }", ""},
        {"fn f() = g()\nfn g() = 1", ""}, {"let a = b\nlet b = 1", "1:language.init.forward_reference"},
        {"let a = || b\nlet b = 1", ""}, {"fn f() = List.nope([1])", "1:type.unresolved_ident"},
        {"fn f() = Nope.g()", "1:type.unresolved_ident"});
}

TEST(test_check__constructors_are_chosen_by_type_then_shape) {
    CODES({"type A = | X(Int)\ntype B = | X(Str)\nfn f() -> B = X(\"s\")", ""},
        {"type A = | X(Int)\ntype B = | X(Int, Int)\nfn f() = X(1, 2)", ""},
        {"type A = | X(Int)\ntype B = | X(Str)\nfn f() = X(1)", "3:type.constructor.ambiguous"},
        {"type A = | X(Int)\nfn f() = A.X(1)", ""},
        {"type A = | X(Int)\nfn f() = A::X(1, 2)", "2:type.sum.constructor_arity_mismatch"},
        {"type A = | Some(Int)\nfn f() -> A = Some(1)", ""});
}

TEST(test_check__modules_show_what_is_public) {
    checked_t checked;
    open_checked(&checked);
    CHECK(load_into(
        &checked, "module A.B\npub fn f() = 1\nfn g() = 2\npub type T = | C1 | C2(Int)\npub let v = 3", false));
    CHECK(load_into(&checked, "module U\nuse A.B\nfn h() = B.f() + B.v\nfn c() = B.C2(1)", false));
    CHECK(load_into(
        &checked, "module W\nuse A.B.{f, T as Tee, v}\nfn h() -> Tee = if f() > v then C1 else C2(f())", false));
    rl_diags_clear(&checked.diags);
    CHECK(!load_into(&checked, "module V\nuse A.B\nfn h() = B.g()", false));
    CHECK_INT_EQ(checked.diags.items.count, 1);
    CHECK_INT_EQ(checked.diags.items.data[0].code, RL_CODE_LANGUAGE_VISIBILITY_PRIVATE);
    rl_diags_clear(&checked.diags);
    CHECK(!load_into(&checked, "module X\nuse A.C", false));
    CHECK_INT_EQ(checked.diags.items.data[0].code, RL_CODE_LANGUAGE_USE_UNRESOLVED);
    rl_diags_clear(&checked.diags);
    CHECK(!load_into(&checked, "module Y\nuse A.B.f\nfn f() = 1", false));
    CHECK_INT_EQ(checked.diags.items.data[0].code, RL_CODE_LANGUAGE_USE_CONFLICT);
    rl_diags_clear(&checked.diags);
    CHECK(!load_into(&checked, "module Z\nuse super.Q", false));
    CHECK_INT_EQ(checked.diags.items.data[0].code, RL_CODE_LANGUAGE_USE_INVALID_SUPER);
    rl_diags_clear(&checked.diags);
    CHECK(load_into(&checked, "module A.B.C\nuse super.f\nuse self as me\nfn h() = f()", false));
    close_checked(&checked);
}

TEST(test_check__ambient_modules_need_no_use) {
    checked_t checked;
    open_checked(&checked);
    CHECK(load_into(&checked,
        "module host.gpu\nextern \"host\" {\n  type Device\n  fn Device.name(self) -> Str\n  fn init(n: Int, fast: "
        "Bool = true) -> Device ! {io}\n  let count: Int\n}",
        true));
    CHECK(load_into(
        &checked, "fn f() = gpu::init(1).name() + to_string(count)\nfn g() -> Device = init(2, fast = false)", false));
    close_checked(&checked);
}

TEST(test_check__use_of_core) {
    CODES({"use Core\nuse Core.Prelude\nuse Core.Collections.List\nfn f() = List.len([1])", ""},
        {"use Core.Parse.{Parser}\nfn f() = Parser",
            "1:language.use.core_unavailable 2:unresolved.symbol.core_unavailable"});
}

/* --- types -------------------------------------------------------------------------------------------------------- */

TEST(test_check__types_are_inferred) {
    TYPES({"fn f(a, b) = a + b", "(T, T) -> T"}, {"fn f(x) = x", "(T) -> T"},
        {"fn f(g, x) = g(g(x))", "((T) -> T, T) -> T"}, {"fn f(p) = p.x", "(T) -> U"},
        {"fn f(n) = if n == 0 then 1 else n * f(n - 1)", "(T) -> T"},
        {"fn f(xs: List<Int>) = xs.map(|x| x.to_string())", "(List<Int>) -> List<Str>"},
        {"fn f() = [1, 2.5]", "() -> List<Float>"}, {"fn f() = { \"a\": 1, \"b\": \"x\" }", "() -> Map<Str, Any>"},
        {"fn f() = (1, \"a\", 'c', true, ())", "() -> (Int, Str, Char, Bool, ())"},
        {"fn f(a: T, b: List<T>) -> T1 = todo", "(T, List<T>) -> U"}, {"fn f(x: i32) = x + 1", "(i32) -> i32"},
        {"fn f() { let n = None\n (Some(1).or(n), Some(\"a\").or(n)) }", "() -> (Option<Int>, Option<Str>)"},
        {"fn f() { let id = |x| x\n (id(1), id(\"a\")) }", "() -> (Int, Str)"},
        {"fn f() { let xs = []\n xs.push(1) }", "() -> List<Int>"}, {"fn f() = panic(\"x\")", "() -> Never"},
        {"fn f() = 16.ms", "() -> Duration"}, {"let f = 1", "Int"},
        {"let n = 1\nlet f: i64 = n\nfn g() -> u8 = 1", "Int"}, {"let f = |x| x", "(T) -> T"},
        {"let f = None", "() -> Option<T>"}, {"let f = 3 as u8", "u8"}, {"fn f(a) { a.x + a.y }", "(T) -> U"},
        {"fn f() = loop { break 3 }", "() -> Int"}, {"fn f(c: Bool) = if c { 1 } else { return 2 }", "(Bool) -> Int"},
        {"fn f(r) { match r with | { x, y } -> x + y }", "({ x: T, y: T }) -> T"},
        {"fn f(xs) = match xs with | [a, ..t] -> a | [] -> 0", "(List<T>) -> T"},
        {"fn f() = |a, b| a < b", "() -> (T, T) -> Bool"}, {"fn f(a: &Int, b: &mut Int) = a + b", "(Int, Int) -> Int"},
        {"fn f() = 1..5", "() -> Range<Int>"});
}

TEST(test_check__type_errors_have_their_codes) {
    CODES({"fn f() -> Int = \"a\"", "1:type.mismatch"}, {"fn f(x) = x(x)", "1:type.infinite"},
        {"fn f(x: List) = x", "1:type.arity"}, {"fn f() = if 1 then 2 else 3", "1:type.condition.bool_required"},
        {"fn f() = !1 || 2", "1:type.condition.bool_required 1:type.condition.bool_required"},
        {"fn f(c) = if c then 1 else \"a\"", "1:language.inference.return_conflict"},
        {"fn f(c) = match c with\n | 1 -> 1\n | _ -> \"a\"", "3:type.match.arm_mismatch"},
        {"fn f(c) -> Int = if c then 1 else \"a\"", "1:type.mismatch"},
        {"fn f(c) { if c { 1 } }", "1:type.if.else_required"}, {"fn f() = \"n=\" + 1", "1:type.mismatch"},
        {"fn f() = 1 + \"n\"", "1:type.mismatch"}, {"fn f() = true + false", "1:type.operator.unsupported"},
        {"fn f() = [1] + [2]", "1:type.operator.unsupported"}, {"fn f() = (|x| x) == (|x| x)", "1:type.eq.unsupported"},
        {"fn f(a: Vec<Int>, b: Vec<Int>) = (a == b, a < b)", "1:type.ord.unsupported"},
        {"fn f(a: T, b: T) = a == b", "1:type.eq.unsupported"}, {"fn f<T: Eq>(a: T, b: T) = a == b", ""},
        {"fn f<T: Ord>(a: T, b: T) = a == b", ""}, {"fn f<T>(a: T, b: T) = a + b", "1:typeclass.constraint.unresolved"},
        {"fn g(a, b) = a < b\nfn f() = g(|x| x, |y| y)", "2:type.ord.unsupported"},
        {"fn f() = 1.nope()", "1:type.method.unknown"}, {"fn f() = { x: 1 }.y", "1:type.record.access.unknown_field"},
        {"fn f() = [1].len", "1:type.method.not_called"}, {"fn f() = (1, 2).2", "1:type.tuple.index"},
        {"fn f() = \"abc\"[0]", "1:type.index.unsupported"}, {"fn f(x) = x[0]", "1:type.annotation.required"},
        {"fn f(x) = x.0", "1:type.annotation.required"}, {"fn f(x) = x as Int", "1:type.annotation.required"},
        {"fn f(x) { for y in x { } }", "1:type.annotation.required"},
        {"fn f() { for y in \"abc\" { } }", "1:language.iterator.expected"},
        {"fn f() = \"a\" as Int", "1:type.cast.unsupported"}, {"fn f(a: Any) = a.x", "1:type.any.member"},
        {"fn f() = 3(4)", "1:type.call.not_callable"}, {"let x: Int = [1]", "1:type.array.literal.annotation_conflict"},
        {"let x: [Int; 2] = [1]", "1:type.array.literal.length_mismatch"},
        {"fn f() = [1, \"a\"]", "1:type.array.literal.element_mismatch"}, {"let x: List<Any> = [1, \"a\"]", ""},
        {"fn f() { let x = []\n 1 }", "1:type.array.literal.empty_requires_annotation"},
        {"var x = None", "1:language.inference.value_restriction"},
        {"fn f() { let v = Vec.new()\n 1 }", "1:language.inference.value_restriction"},
        {"fn f() { let v = Vec.new()\n v.push(1)\n v }", ""},
        {"fn f() = { \"a\": 1, \"a\": 2 }", "1:type.map.literal.duplicate_key"},
        {"type A = B\ntype B = A", "1:type.alias.cycle"}, {"type A = Nope", "1:type.unknown_type"});
}

TEST(test_check__errors_do_not_follow_from_errors) {
    CODES({"fn f() { let x = nope\n x.y.z(1) + x[3] }", "1:type.unresolved_ident"},
        {"fn g() -> Int = \"a\"\nfn f() = g() + 1", "1:type.mismatch"});
}

TEST(test_check__literals_fit_their_type) {
    CODES({"let x: u8 = 256", "1:E7101"}, {"let x: i8 = -128", ""}, {"let x: i8 = 128", "1:E7101"},
        {"let x: u8 = -1", "1:E7101"}, {"let x = 9223372036854775808", "1:E7101"}, {"let x = -9223372036854775808", ""},
        {"let x = 0xFFFF_FFFF_FFFF_FFFF as u64", ""}, {"let x = 300 as u8", "1:E7101"},
        {"let x = 0xD800 as Char", "1:E7103"}, {"let x: Float = 3", ""},
        {"fn f(x: u8) = match x with | 300 -> 1 | _ -> 2", "1:E7101"});
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

TEST(test_check__calls_match_arguments) {
    CODES({"fn g(a: Int, b: Int = a) = a + b\nfn f() = (g(1), g(1, 2), g(b = 1, a = 2), g(1, b: 3))", ""},
        {"fn g(a: Int, b: Int) = a\nfn f() = g(1)", "2:type.call.arity"},
        {"fn g(a: Int) = a\nfn f() = g(1, 2)", "2:type.call.arity"},
        {"fn g(a: Int) = a\nfn f() = g(c = 1)", "2:type.call.unknown_arg"},
        {"fn g(a: Int) = a\nfn f() = g(1, a = 1)", "2:type.call.duplicate_arg"},
        {"fn f(g: fn(Int) -> Int) = g(a = 1)", "1:type.call.unknown_arg"},
        {"type V = | B(left: Int, right: Int)\nfn f() = B(right = 1, left = 2)", ""},
        {"fn f(xs: List<Int>) = xs |> List.map(|x| x + 1) |> List.len", ""},
        {"fn g(a: Int, b: Int) = a\nfn f() = 1 |> g(2, _)", ""},
        {"fn g(a: Int, b: Int) = a\nfn f() = [1].map(g(_, 2))", ""}, {"fn f() = [1, 2] |> map(|x| x * 2)", ""},
        {"fn f() = [1].map(Some)", ""}, {"fn f() = [1].for_each(println)", ""});
}

TEST(test_check__methods_wait_for_their_receiver) {
    TYPES(
        {"fn f() { let adult = |p| p.name.len() > 1\n [{ name: \"a\" }].filter(adult) }", "() -> List<{ name: Str }>"},
        {"fn f(x) = x.to_string()", "(T) -> Str"}, {"fn f(x) = x.go(\"a\", true)", "(T) -> U"},
        {"fn f() { let g = |s| s.len()\n g(\"abc\") }", "() -> Int"});
}

TEST(test_check__inherent_methods) {
    CODES({"type P = { x: Int }\nimpl P {\n pub fn get(self) -> Int = self.x\n fn make(x: Int) -> P = P { x }\n}\nfn "
           "f() = P.make(3).get() + P.get(P { x: 1 })",
              ""},
        {"type Q<T> = { v: T }\nfn Q.get(self) -> T = self.v\nfn f() = Q { v: 1 }.get() + 1", ""},
        {"fn Int.double(self) -> Int = self * 2", "1:typeclass.impl.orphan"},
        {"type P = { x: Int }\nfn P.a(self) = 1\nfn P.a(self) = 2", "3:language.duplicate_definition"},
        {"type Q<T> = { v: T }\nimpl<A: Ord> Q<A> { fn less(self, o: Q<A>) -> Bool = self.v < o.v }\nfn f() = Q { v: 1 "
         "}.less(Q { v: 2 })",
            ""});
}

/* --- records ------------------------------------------------------------------------------------------------------ */

TEST(test_check__records) {
    CODES({"type P = { x: Int, y: Int = 0 }\nfn f() -> P = { x: 1 }", ""},
        {"type P = { x: Int, y: Int }\nfn f() = P { x: 1 }", "2:type.record.literal.missing_field"},
        {"type P = { x: Int }\nfn f() = P { x: 1, z: 2 }", "2:type.record.literal.unknown_field"},
        {"fn f() = { x: 1, x: 2 }", "1:type.record.literal.duplicate_field"},
        {"type P = { x: Int, y: Int }\nfn f(p: P) = { ..p, y: 3 }", ""}, {"fn f(p) = { ..p, y: 3 }", ""},
        {"type P = { x: Int }\ntype Q = { x: Int }\nfn f(p: P) -> Q = p", "3:type.mismatch"},
        {"type P = { x: Int }\nfn f(p: P) -> { x: Int } = p", ""},
        {"type P = { x: Int = 1 }\nfn f() = P { ..default }", ""},
        {"struct S { n: Int = 3 }\nfn f() { let s = S { n = 1 }\n s.n := 4\n S { ..s }.n }", ""},
        {"type V = | C { f: Int = 1 }\nfn f() = (C, C { f: 2 }, C({ f: 3 }), C({}))", ""});
}

/* --- statements --------------------------------------------------------------------------------------------------- */

TEST(test_check__assignment) {
    CODES({"fn f() { let x = 1\n x := 2 }", "2:language.assign.immutable"},
        {"fn f(x) { x := 2 }", "1:language.assign.immutable"}, {"fn f(mut x: Int) { x := 2 }", ""},
        {"fn f() { var x = 1\n x += 2\n x := x * 2 }", ""}, {"fn f() { var x = 1\n x := \"a\" }", "2:type.mismatch"},
        {"type P = { x: Int }\nfn f() { let p = P { x: 1 }\n p.x := 2 }", "3:language.assign.immutable"},
        {"type P = { x: Int }\nfn f() { var p = P { x: 1 }\n p.x := 2 }", ""},
        {"fn f() { let xs = [1]\n xs[0] := 2 }", "2:language.assign.immutable"},
        {"fn f() { let v = Vec.from_list([1])\n v[0] := 2 }", ""}, {"var g = 1\nfn f() { g += 1 }", ""});
    checked_t checked;
    open_checked(&checked);
    load_into(&checked, "fn f() {\n  let x = 1\n  x := 2\n}", false);
    if (CHECK(checked.diags.items.count == 1)) {
        const rl_diag_t* diag = &checked.diags.items.data[0];
        CHECK_INT_EQ(diag->notes.count, 1);
        if (CHECK(diag->fixits.count == 1)) {
            CHECK(rl_str_equal(diag->fixits.data[0].text, RL_STR("var")));
            CHECK_INT_EQ(diag->fixits.data[0].span.start, 11);
        }
    }
    close_checked(&checked);
}

TEST(test_check__control_flow) {
    CODES({"fn f() { return 1\n 2 }", "2:language.control_flow.unreachable"},
        {"fn f() { panic(\"x\")\n println(2) }", ""}, {"fn f() { break }", "1:language.control_flow.invalid_break"},
        {"fn f() { while true { [1].for_each(|x| { continue }) } }", "1:language.control_flow.invalid_break"},
        {"return 1", "1:language.control_flow.invalid_return"},
        {"fn f() { while true { break 1 } }", "1:type.mismatch"},
        {"fn f() = loop { if true { break 1 }\n break \"a\" }", "2:type.mismatch"},
        {"fn f() { 1\n () }", "1:language.statement.unused_value"},
        {"fn f() { Some(1)\n () }", "1:type.unused.must_use"},
        {"@must_use\nfn g() = 1\nfn f() { g()\n let _ = g()\n () }", "3:type.unused.must_use"},
        {"fn f() { defer println(1)\n 2 }", ""});
}

TEST(test_check__try) {
    CODES({"fn g() -> Option<Int> = None\nfn f() -> Option<Int> { let x = g()?\n Some(x) }", ""},
        {"fn g() -> Option<Int> = None\nfn f() -> Result<Int, Str> { let x = g()?\n Ok(x) }",
            "2:type.try.carrier_mismatch"},
        {"fn g() -> Result<Int, Int> = Ok(1)\nfn f() -> Result<Int, Str> { let x = g()?\n Ok(x) }",
            "2:type.try.error_mismatch"},
        {"fn f() = 1?", "1:type.try.unsupported"}, {"fn f(x) { x?; }", "1:type.annotation.required"},
        {"fn g() -> Option<Int> = None\nfn f() -> Option<Int> = g()?", ""},
        {"fn g() -> Option<Int> = None\nlet x = g()? + 1", ""});
    TYPES({"fn g() -> Option<Int> = None\nfn f() { println(g()?); }", "() -> Option<()>"},
        {"fn g() -> Result<Int, Str> = Ok(1)\nfn f() { let a = g()?\n Ok(a > 1) }", "() -> Result<Bool, Str>"});
}

/* --- patterns ----------------------------------------------------------------------------------------------------- */

TEST(test_check__patterns) {
    CODES({"fn f() { let Some(x) = Some(1)\n x }", "1:pattern.let.refutable"},
        {"fn f() { let (a, a) = (1, 2)\n a }", "1:pattern.binding.duplicate_name"},
        {"fn f(o: Option<Int>) = match o with | Sum(x) -> x | _ -> 0", "1:pattern.constructor.unknown"},
        {"fn f(o: Option<Int>) = match o with | Some(x, y) -> x | _ -> 0", "1:type.sum.constructor_arity_mismatch"},
        {"fn f(o: Option<Int>) = match o with | Some(x) -> x", "1:pattern.exhaustiveness.missing"},
        {"fn f(o: Option<Int>) = match o with\n | Some(x) -> x\n | None -> 0\n | _ -> 1", "4:pattern.unreachable_arm"},
        {"fn f(o: (Int, Option<Int>)) = match o with | (x, None) | (_, Some(x)) -> x", ""},
        {"fn f(o: Option<Int>) = match o with | Some(x) | None -> 1", "1:pattern.or.binding_mismatch"},
        {"type E = | A(E) | B\nfn f(e: E) = match e with | A(x) | B -> x", ""},
        {"fn f(r: { x: Int, y: Int }) = match r with | { x } -> x", "1:pattern.record.missing_field"},
        {"fn f(r: { x: Int }) = match r with | { z, .. } -> 1", "1:type.record.access.unknown_field"},
        {"fn f(n: Int) = match n with | 5..1 -> 1 | _ -> 2", "1:pattern.range.bound_inverted"},
        {"fn f(s: Str) = match s with | 1..2 -> 1 | _ -> 2", "1:pattern.range.type_mismatch"},
        {"fn f(s: Str) = match s with | [a] -> 1 | _ -> 2", "1:pattern.slice.type_mismatch"},
        {"fn f(s: List<Int>) = match s with | [.., ..] -> 1", "1:pattern.slice.multiple_rest"},
        {"fn f(s: Str) = match s with | 1 -> 1 | _ -> 2", "1:type.mismatch"},
        {"fn f(n: Int) = match n with | x if x > 1 -> 1 | _ -> 2", "1:pattern.guard.if_deprecated"},
        {"fn f(n: Option<Int>) = match n with | Some(x) when x > 1 as w -> w | w -> w", ""},
        {"fn f(xs: List<Int>) = match xs with | Cons(h, t) -> h | Nil -> 0", ""},
        {"fn f(b: Bool) = match b with | true -> 1 | false -> 2", ""});
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

TEST(test_check__format) {
    CODES({"fn f() = format(\"%d %s\", [1, \"a\"])", ""}, {"fn f() = format(\"%d %s\", [1])", "1:type.format.arity"},
        {"fn f() = format(\"%d\", [\"a\"])", "1:type.format.arg_mismatch"},
        {"fn f(n: Int) = format(\"{n:04X} {n + 1} {{}}\")", ""},
        {"fn f() = format(\"{nope}\")", "1:type.unresolved_ident"},
        {"fn f(s: Str) = format(\"{s:d}\")", "1:type.format.arg_mismatch"},
        {"let a = format(\"{b}\")\nlet b = 1", "1:language.init.forward_reference"});
}

TEST(test_check__later_features_are_refused_once) {
    CODES({"effect E<T> { operation op() -> Int }", "1:language.unsupported"}, {"@pure\nfn f() = 1", ""},
        {"@wat\nfn f() = 1", "1:language.attribute.unknown"});
}

TEST(test_check__functions_have_dotted_names) {
    CODES({"fn a.b.c(x: Int) -> Int = x\nfn T.u(x: Int) -> Int = x\nfn f() = a.b.c(T.u(1))", ""},
        {"fn a.b(x: Int) -> Int = x\nfn f() = a.c(1)", "2:type.unresolved_ident"});
}

TEST(test_check__tuples_of_values_are_generalised_by_part) {
    TYPES({"fn f() { let (id, none) = (|x| x, None)\n (id(1), id(\"a\"), Some(1).or(none), Some(\"b\").or(none)) }",
              "() -> (Int, Str, Option<Int>, Option<Str>)"},
        {"fn f(x: Int, y: Str) { let (x, y) = (|a| y, |b| x)\n (x(1), y(2)) }", "(Int, Str) -> (Str, Int)"});
}

TEST(test_check__self_means_the_implementing_type) {
    CODES({"type S = | A | B(Int)\nimpl S { fn b(self) -> Bool = match self { Self.B(_) -> true, Self.A -> false } }",
              ""},
        {"struct C { n: Int = 0 }\nimpl C { fn new() -> Self = Self { n = 1 }\n fn two() = Self.new() }", ""});
}

TEST(test_check__types_that_nest_too_deep_are_refused) {
    rl_buf_t source;
    rl_buf_init(&source, &allocator);
    rl_buf_add_cstr(&source, "fn f() = ");
    add_repeat(&source, "Some(", 200);
    rl_buf_add_cstr(&source, "1");
    add_repeat(&source, ")", 200);
    checked_t checked;
    open_checked(&checked);
    CHECK(!load_into(&checked, rl_buf_cstr(&source), false));
    CHECK_INT_EQ(checked.diags.items.data[0].code, RL_CODE_TYPE_INSTANTIATION_LIMIT);
    close_checked(&checked);
    rl_buf_clear(&source);
    rl_buf_add_cstr(&source, "fn f() = (0");
    add_repeat(&source, ", 0", 2000);
    rl_buf_add_cstr(&source, ")");
    open_checked(&checked);
    CHECK(!load_into(&checked, rl_buf_cstr(&source), false));
    CHECK_INT_EQ(checked.diags.items.data[0].code, RL_CODE_PARSER_LIMIT_EXCEEDED);
    close_checked(&checked);
    rl_buf_deinit(&source);
}

TEST(test_check__host_functions_are_ambient) {
    checked_t checked;
    open_checked(&checked);
    rl_fn_id_t fn;
    CHECK(rl_check_host_function(
        &checked.program, &checked.diags, RL_STR("price"), RL_STR("(sku: Str, n: Int) -> Float"), &fn));
    CHECK(rl_program_function(&checked.program, fn)->kind == RL_FN_HOST);
    CHECK(rl_check_host_function(&checked.program, &checked.diags, RL_STR("Shop.open"), RL_STR("() -> Bool"), &fn));
    CHECK(load_into(&checked, "fn f() = if Shop.open() then price(\"a\", n = 2) else 0.0", false));
    CHECK(!rl_check_host_function(&checked.program, &checked.diags, RL_STR("bad"), RL_STR("(Nope) -> Int"), &fn));
    /* Effects: {io} unless the signature says otherwise. */
    CHECK(rl_check_host_function(&checked.program, &checked.diags, RL_STR("quiet"), RL_STR("() -> Int ! {}"), &fn));
    CHECK(rl_check_host_function(&checked.program, &checked.diags, RL_STR("shy"), RL_STR("fn() ! {audit}"), &fn));
    CHECK(load_into(&checked, "module Calm\n@pure fn f() -> Int { shy(); quiet() }", false));
    CHECK(!load_into(&checked, "module Wrong\n@pure fn f() = Shop.open()", false));
    CHECK(load_into(&checked, "module Right\nfn f() -> Bool ! {io} = Shop.open()", false));
    rl_type_t type;
    rl_buf_t text;
    rl_buf_init(&text, &allocator);
    CHECK(rl_check_type_text(&checked.program, &checked.diags, RL_STR("(Int) -> Str ! {io, mut}"), &type));
    rl_type_print(&checked.program, type, &text);
    CHECK_STR_EQ(rl_buf_cstr(&text), "(Int) -> Str ! {mut, io}");
    rl_buf_clear(&text);
    CHECK(rl_check_type_text(&checked.program, &checked.diags, RL_STR("(List<Int>, Str) -> Option<Float>"), &type));
    rl_type_print(&checked.program, type, &text);
    CHECK_STR_EQ(rl_buf_cstr(&text), "(List<Int>, Str) -> Option<Float>");
    rl_buf_deinit(&text);
    close_checked(&checked);
}

TEST(test_check__functions_are_found_by_qualified_name) {
    checked_t checked;
    open_checked(&checked);
    CHECK(load_into(&checked, "module A\ntype T = { x: Int }\nfn T.m(self) = 1\nfn f() = 1", false));
    CHECK(load_into(&checked, "module B\nfn f() = 2", false));
    rl_fn_id_t bare = rl_program_find_function(&checked.program, RL_STR("f"));
    CHECK_INT_EQ(rl_program_function(&checked.program, bare)->module, checked.module);
    CHECK(rl_program_find_function(&checked.program, RL_STR("A.f")) != bare);
    CHECK(rl_program_find_function(&checked.program, RL_STR("T.m")) != 0);
    CHECK(rl_program_find_function(&checked.program, RL_STR("nope")) == 0);
    CHECK(rl_program_find_function(&checked.program, RL_STR("id")) == 0); /* the prelude's */
    close_checked(&checked);
}

static void check_ir(const char* source, const char* function, const char* expected) {
    checked_t checked;
    open_checked(&checked);
    rl_buf_t text;
    rl_buf_init(&text, &allocator);
    if (CHECK(load_into(&checked, source, false))) {
        rl_ir_print(&checked.program, rl_program_find_function(&checked.program, rl_str(function)), &text);
        CHECK_STR_EQ(rl_buf_cstr(&text), expected);
    } else {
        print_codes(&checked, &text);
        printf("%s\n", rl_buf_cstr(&text));
    }
    rl_buf_deinit(&text);
    close_checked(&checked);
}

TEST(test_check__named_arguments_are_evaluated_as_written) {
    check_ir("fn g(a: Int, b: Int) = a - b\nfn h(n: Int) = n\nfn f() = g(b = h(1), a = h(2))", "f",
        "fn f() -> Int\n"
        "  let _#0: Int\n"
        "  let _#1: Int\n"
        "  block value : Int\n"
        "    bind _#0 : ()\n"
        "      call h : Int\n"
        "        int 1 : Int\n"
        "    bind _#1 : ()\n"
        "      call h : Int\n"
        "        int 2 : Int\n"
        "    call g tail : Int\n"
        "      local _#1 : Int\n"
        "      local _#0 : Int\n");
}

TEST(test_check__local_function_with_captures_gets_a_closure) {
    check_ir("fn f(k: Int) { fn go(n: Int) -> Int = if n == 0 then k else go(n - 1)\n go(3) }", "f",
        "fn f(k#0: Int) -> Int\n"
        "  let go#1: (Int) -> Int\n"
        "  block value : Int\n"
        "    closure_group go#1 = go : ()\n"
        "    call_value tail : Int\n"
        "      local go#1 : (Int) -> Int\n"
        "      int 3 : Int\n");
}

TEST(test_check__captured_variables_are_boxed) {
    checked_t checked;
    open_checked(&checked);
    if (CHECK(load_into(
            &checked, "fn f() { var n = 0\n var m = 0\n let bump = || { n := n + 1 }\n bump()\n n + m }", false))) {
        const rl_function_t* f =
            rl_program_function(&checked.program, rl_program_find_function(&checked.program, RL_STR("f")));
        CHECK_INT_EQ(rl_program_local(&checked.program, f->local_first)->flags, RL_LOCAL_MUTABLE | RL_LOCAL_BOXED);
        CHECK_INT_EQ(rl_program_local(&checked.program, f->local_first + 1)->flags, RL_LOCAL_MUTABLE);
    }
    close_checked(&checked);
}

/* Every prefix of memory: nothing crashes, nothing leaks. */
static void survive_load(const char* source, bool expected) {
    for (uint64_t n = 1; n < 8000; n += 7) {
        size_t before = allocator.live_bytes;
        checked_t checked;
        open_checked(&checked);
        allocator.fail_at = allocator.requests + n;
        allocator.fail_every = 1;
        bool fine = load_into(&checked, source, false);
        bool reached = allocator.failed;
        allocator.fail_at = 0;
        allocator.fail_every = 0;
        rl_alloc_clear_failure(&allocator);
        if (!reached) CHECK(fine == expected);
        close_checked(&checked);
        if (!CHECK(allocator.live_bytes == before)) return;
        if (!reached) return;
    }
}

static void survive(const char* source) { survive_load(source, true); }

TEST(test_check__survives_any_refused_allocation) {
    survive(
        "type T = | A(Int) | B { x: Int = 1 }\nfn g(a, b = 2) = a + b\nfn f(t: T) {\n  var n = 0\n  let k = |x| x + "
        "n\n  fn go(m) = if m == 0 then g(k(1)) else go(m - 1)\n"
        "  match t with | A(x) -> go(x) | B { x } -> format(\"%d\", [x]).len()\n}\nlet v = { \"a\": [1, 2] }");
}

TEST(test_check__traits_survive_any_refused_allocation) {
    survive("trait S<U> where Self: N { fn s(self) -> U; fn t(self, k = 1) -> List<U> = [self.s()] }\n"
            "trait N { fn z() -> Self }\ntype P = { x: Int }\nimpl N for P { fn z() = P { x: 0 } }\n"
            "impl S<Int> for P { fn s(self) = self.x }\nimpl S<Str> for P { fn s(self) = \"a\" }\n"
            "impl<T: N> N for List<T> { fn z() = [T.z()] }\nimpl Add<P, P, P> for P { fn add(a, b) = a }\n"
            "fn f<T, U>(x: T) -> U where S<T, U> = x.s()\nfn g(x) = { fn h<M: N>(m: M) -> M = M.z()\n h(x) }\n"
            "fn k(p: P) -> Int = f(p + p) + g([p]).len()");
}

/* The report at `index`: what its span covers, then its notes, each after "; ". */
static void expect_report(const char* source, uint32_t index, const char* expected) {
    checked_t checked;
    rl_buf_t text;
    open_checked(&checked);
    rl_buf_init(&text, &allocator);
    CHECK(!load_into(&checked, source, false));
    if (CHECK(index < checked.diags.items.count)) {
        const rl_diag_t* diag = &checked.diags.items.data[index];
        rl_buf_add(&text, (rl_str_t){source + diag->span.start, diag->span.end - diag->span.start});
        for (uint32_t i = 0; i < diag->notes.count; i++) {
            rl_buf_add_cstr(&text, "; ");
            rl_buf_add(&text, diag->notes.data[i].message);
        }
        CHECK_STR_EQ(rl_buf_cstr(&text), expected);
    }
    rl_buf_deinit(&text);
    close_checked(&checked);
}

TEST(test_check__effects_are_reported_with_their_path) {
    const char* chain =
        "fn h(x: Int) = println(x)\nfn g(x: Int) { h(x) }\n@pure fn f(x: Int) -> Int { g(x)\n g(2)\n x }";
    expect_report(
        chain, 0, "g(x); function: f; effect: io; path: f \xE2\x86\x92 g \xE2\x86\x92 h \xE2\x86\x92 println");
    expect_report("@no_panic fn f(o: Option<Int>) -> Int = o.map(|x| x + 1).unwrap().abs()", 0,
        "o.map(|x| x + 1).unwrap(); function: f; effect: panic; path: f \xE2\x86\x92 Option.unwrap");
    expect_report("fn f(n: Int) -> Int ! {io} {\n var a = n\n a := 2\n println(a)\n a }", 0,
        "a := 2; expected: {io}; actual: {mut, io}; excess: {mut}; path: f \xE2\x86\x92 assignment; promised here");
    expect_report("@pure fn f(xs: List<Int>) -> Int { xs.for_each(|x| { print(x) })\n 1 }", 0,
        "print(x); function: f; effect: io; path: f \xE2\x86\x92 print");
}

TEST(test_check__effects_survive_any_refused_allocation) {
    survive_load(
        "effect E : io { operation op : () -> Int }\neffect F { operation op : () -> Int }\n"
        "fn p(f: fn(Int) -> Int ! {E, audit}) -> fn(Int) -> (fn() -> Int) = |x| || f(x) + do F.op()\n"
        "fn q() -> Int ! {io, mut} = handle p(|x| do E.op())(1)() with handler F { operation op(r) { r(1) } }\n"
        "@no_panic fn s(o: Option<Int>) -> Int { var n = 0\n n := o.unwrap_or(0)\n unsafe { n } }\n"
        "@dsl_export(allows_effects = [E]) fn t() -> Int { @pure { println(s(None)) }\n 1 }\n"
        "trait Q { fn q(self) -> Int ! {} }\nimpl Q for Int { fn q(self) -> Int { println(self)\n self } }\n"
        "fn main() -> Int ! {} = t() + s(None) + 1.q() + do E.op()",
        false);
}

TEST(test_check__long_chains_and_deep_nests_are_fine) {
    rl_buf_t source;
    rl_buf_init(&source, &allocator);
    checked_t checked;
    rl_buf_add_cstr(&source, "fn f(x: Int) = x");
    add_repeat(&source, " + x", 20000);
    rl_buf_add_cstr(&source, "\nfn g(x: Int) = x");
    add_repeat(&source, " |> id", 20000);
    rl_buf_add_cstr(&source, "\nfn h(x: Int) = if x == 0 then 0");
    add_repeat(&source, " else if x == 1 then 1", 20000);
    rl_buf_add_cstr(&source, " else 2\nfn k(x: Int) = ");
    add_repeat(&source, "(", 900);
    rl_buf_add_cstr(&source, "x");
    add_repeat(&source, ")", 900);
    rl_buf_add_cstr(&source, "\nfn l() = ");
    add_repeat(&source, "Some(", 90);
    rl_buf_add_cstr(&source, "1");
    add_repeat(&source, ")", 90);
    open_checked(&checked);
    CHECK(load_into(&checked, rl_buf_cstr(&source), false));
    for (uint32_t i = 0; i < checked.diags.items.count && i < 5; i++)
        printf("%.*s\n", RL_STR_ARG(checked.diags.items.data[i].message));
    close_checked(&checked);
    rl_buf_deinit(&source);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_check__names_are_found_or_reported),
        RUN(test_check__constructors_are_chosen_by_type_then_shape),
        RUN(test_check__modules_show_what_is_public),
        RUN(test_check__ambient_modules_need_no_use),
        RUN(test_check__use_of_core),
        RUN(test_check__types_are_inferred),
        RUN(test_check__type_errors_have_their_codes),
        RUN(test_check__errors_do_not_follow_from_errors),
        RUN(test_check__literals_fit_their_type),
        RUN(test_check__calls_match_arguments),
        RUN(test_check__methods_wait_for_their_receiver),
        RUN(test_check__inherent_methods),
        RUN(test_check__records),
        RUN(test_check__assignment),
        RUN(test_check__control_flow),
        RUN(test_check__try),
        RUN(test_check__patterns),
        RUN(test_check__format),
        RUN(test_check__later_features_are_refused_once),
        RUN(test_check__functions_have_dotted_names),
        RUN(test_check__tuples_of_values_are_generalised_by_part),
        RUN(test_check__self_means_the_implementing_type),
        RUN(test_check__types_that_nest_too_deep_are_refused),
        RUN(test_check__host_functions_are_ambient),
        RUN(test_check__functions_are_found_by_qualified_name),
        RUN(test_check__named_arguments_are_evaluated_as_written),
        RUN(test_check__local_function_with_captures_gets_a_closure),
        RUN(test_check__captured_variables_are_boxed),
        RUN(test_check__survives_any_refused_allocation),
        RUN(test_check__traits_survive_any_refused_allocation),
        RUN(test_check__effects_are_reported_with_their_path),
        RUN(test_check__effects_survive_any_refused_allocation),
        RUN(test_check__long_chains_and_deep_nests_are_fine),
    };
    rl_allocator_init(&allocator, NULL, NULL);
    if (!rl_prelude_make(&prelude, &allocator)) {
        printf("the prelude does not check\n");
        return 1;
    }
    int status = check_main(tests, sizeof tests / sizeof *tests, argc, argv);
    rl_program_deinit(&prelude);
    return status;
}
