/* LANGUAGE section 2 and the syntax of 3: what is read as what. */
#include "syntax_support.h"

typedef struct row {
    const char *source, *expected;
} row_t;

/* Parse and compare; expressions stand as the initialiser of a `let`. */
static void check_rows(const row_t* rows, size_t count, bool expressions) {
    for (size_t i = 0; i < count; i++) {
        char source[2048];
        world_t w;
        snprintf(source, sizeof source, "%s%s", expressions ? "let r = " : "", rows[i].source);
        world_parse(&w, source);
        char text[1 << 14];
        const char* found = compact(&w, w.tree.root);
        size_t length = strlen(found);
        if (!CHECK(length < sizeof text)) length = sizeof text - 1;
        memcpy(text, found, length);
        text[length] = 0;
        const char* prefix = expressions ? "(MODULE (VALUE (PAT_NAME r) " : "(MODULE ";
        size_t closers = expressions ? 2 : 1;
        if (CHECK(strncmp(text, prefix, strlen(prefix)) == 0)) {
            text[length - closers] = 0;
            CHECK_STR_EQ(text + strlen(prefix), rows[i].expected);
        }
        CHECK_INT_EQ(w.diags.items.count, 0);
        CHECK(w.ok);
        if (check_failures) printf("  in: %s\n", source);
        world_close(&w);
    }
}

TEST(test_parser__arithmetic_binds_as_the_table_says) {
    static const row_t rows[] = {
        {"1 + 2 * 3 - 4", /* -> */
            "(CHAIN 1 (BINARY + (CHAIN 2 (BINARY * 3))) (BINARY - 4))"},
        {"a ++ b + c % d / e", /* -> */
            "(CHAIN a (BINARY ++ b) (BINARY + (CHAIN c (BINARY % d) (BINARY / e))))"},
        {"a || b && c == d < e .. f + g * h ^ i as T", /* -> */
            "(CHAIN a (BINARY || (CHAIN b (BINARY && (CHAIN c (BINARY == (CHAIN d (BINARY < (RANGE e (CHAIN f (BINARY "
            "+ (CHAIN g (BINARY * (POWER h (CHAIN i (CAST (TYPE_PATH T)))))))))))))))))"},
        {"-2 ^ 2", /* -> */
            "(POWER (UNARY - 2) 2)"},
        {"2 ^ 3 ^ 4", /* -> */
            "(POWER 2 3 4)"},
        {"a as Int as Float ^ 2", /* -> */
            "(POWER (CHAIN a (CAST (TYPE_PATH Int)) (CAST (TYPE_PATH Float))) 2)"},
        {"-x as Int", /* -> */
            "(CHAIN (UNARY - x) (CAST (TYPE_PATH Int)))"},
        {"a < b == c", /* -> */
            "(CHAIN a (BINARY < b) (BINARY == c))"},
        {"a..=b + 1", /* -> */
            "(RANGE inclusive a (CHAIN b (BINARY + 1)))"},
        {"!a && not b || not !c", /* -> */
            "(CHAIN (UNARY ! a) (BINARY && (UNARY ! b)) (BINARY || (UNARY ! (UNARY ! c))))"},
        {"&a + &mut b.c", /* -> */
            "(CHAIN (UNARY & a) (BINARY + (UNARY &mut (CHAIN b (FIELD c)))))"},
        {"&mut", /* -> */
            "(UNARY & mut)"},
        {"& mut (a)", /* -> */
            "(UNARY &mut (PAREN a))"},
        {"await x.await + 1", /* -> */
            "(CHAIN x (AWAIT) (AWAIT prefix) (BINARY + 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__not_is_an_operator_only_before_an_operand_on_its_line) {
    static const row_t rows[] = {
        {"not a", /* -> */
            "(UNARY ! a)"},
        {"not not a", /* -> */
            "(UNARY ! (UNARY ! a))"},
        {"not(a)", /* -> */
            "(CHAIN not (CALL a))"},
        {"not -a", /* -> */
            "(CHAIN not (BINARY - a))"},
        {"xs.map(not)", /* -> */
            "(CHAIN xs (FIELD map) (CALL not))"},
        {"not if a then b else c", /* -> */
            "(UNARY ! (IF then a b c))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__pipes_take_postfix_chains_and_lambdas) {
    static const row_t rows[] = {
        {"x |> f |> g(1)?.h() |> |v| v + 1 |> w", /* -> */
            "(CHAIN x (PIPE f) (PIPE (CHAIN g (CALL 1) (TRY) (FIELD h) (CALL))) (PIPE (LAMBDA (PARAM (PAT_NAME v)) "
            "(CHAIN v (BINARY + 1) (PIPE w)))))"},
        {"a |> (f(b))", /* -> */
            "(CHAIN a (PIPE (PAREN (CHAIN f (CALL b)))))"},
        {"a |> M::g(_, 2)", /* -> */
            "(CHAIN a (PIPE (CHAIN M (FIELD :: g) (CALL (HOLE) 2))))"},
        {"a |> resume", /* -> */
            "(CHAIN a (PIPE resume))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__postfixes_chain_to_the_left) {
    static const row_t rows[] = {
        {"f(a)(b)[c].d::e?.await", /* -> */
            "(CHAIN f (CALL a) (CALL b) (INDEX c) (FIELD d) (FIELD :: e) (TRY) (AWAIT))"},
        {"a.b.0.1", /* -> */
            "(CHAIN a (FIELD b) (TUPLE_INDEX 0) (TUPLE_INDEX 1))"},
        {"t.0 + 1", /* -> */
            "(CHAIN t (TUPLE_INDEX 0) (BINARY + 1))"},
        {"t.18446744073709551615", /* -> */
            "(CHAIN t (TUPLE_INDEX bad 4294967295))"},
        {"x.match.type", /* -> */
            "(CHAIN x (FIELD keyword match) (FIELD keyword type))"},
        {"1.ms + 1.5.s", /* -> */
            "(CHAIN 1 (FIELD ms) (BINARY + (CHAIN 1.5 (FIELD s))))"},
        {"do E.op(1)?.x", /* -> */
            "(CHAIN (PERFORM do (PATH E op) 1) (TRY) (FIELD x))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__newline_before_paren_or_bracket_ends_even_in_parentheses) {
    static const row_t rows[] = {
        {"[a\n- b, c]", /* -> */
            "(LIST (CHAIN a (BINARY - b)) c)"},
        {"(a\n- b)", /* -> */
            "(PAREN (CHAIN a (BINARY - b)))"},
        {"{ a\n- b }", /* -> */
            "(BLOCK a (UNARY - b))"},
        {"{ f\n(a) }", /* -> */
            "(BLOCK f (PAREN a))"},
        {"{ f\n[a] }", /* -> */
            "(BLOCK f (LIST a))"},
        {"{ a\n!b }", /* -> */
            "(BLOCK a (UNARY ! b))"},
        {"{ a\n|x| b }", /* -> */
            "(BLOCK a (LAMBDA (PARAM (PAT_NAME x)) b))"},
        {"{ Foo\n{ a } }", /* -> */
            "(BLOCK Foo (BLOCK a))"},
        {"a\n+ b\n|> c\n.d\n?", /* -> */
            "(CHAIN a (BINARY + b) (PIPE (CHAIN c (FIELD d) (TRY))))"},
        {"a\n|| b\n&& c", /* -> */
            "(CHAIN a (BINARY || (CHAIN b (BINARY && c))))"},
        {"f(a)\n  .g(b)\n  ::h", /* -> */
            "(CHAIN f (CALL a) (FIELD g) (CALL b) (FIELD :: h))"},
        {"f(\n  a,\n  b,\n)", /* -> */
            "(CHAIN f (CALL a b))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__return_and_break_take_no_value_over_a_newline) {
    static const row_t rows[] = {
        {"{ return\n1 }", /* -> */
            "(BLOCK (RETURN) 1)"},
        {"{ return 1 + 2 }", /* -> */
            "(BLOCK (RETURN (CHAIN 1 (BINARY + 2))))"},
        {"[return, break]", /* -> */
            "(LIST (RETURN) (BREAK))"},
        {"{ loop { break\n1 } }", /* -> */
            "(BLOCK (LOOP (BLOCK (BREAK) 1)))"},
        {"if a then return else break 1", /* -> */
            "(IF then a (RETURN) (BREAK 1))"},
        {"(return)", /* -> */
            "(PAREN (RETURN))"},
        {"{ return; }", /* -> */
            "(BLOCK discard (RETURN))"},
        {"match a with | A -> return | B -> 1", /* -> */
            "(MATCH a (ARM (PAT_CTOR (PATH A)) (RETURN)) (ARM (PAT_CTOR (PATH B)) 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__casts_take_arguments_only_when_glued) {
    static const row_t rows[] = {
        {"x as T < y", /* -> */
            "(CHAIN x (CAST (TYPE_PATH T)) (BINARY < y))"},
        {"x as T<Y>", /* -> */
            "(CHAIN x (CAST (TYPE_PATH args T (TYPE_PATH Y))))"},
        {"x as T<Y> < z", /* -> */
            "(CHAIN x (CAST (TYPE_PATH args T (TYPE_PATH Y))) (BINARY < z))"},
        {"x as (A) -> B<C>", /* -> */
            "(CHAIN x (CAST (TYPE_FN (TYPE_PARAM (TYPE_PATH A)) (TYPE_PATH args B (TYPE_PATH C)))))"},
        {"x as List<Option<Int>>", /* -> */
            "(CHAIN x (CAST (TYPE_PATH args List (TYPE_PATH args Option (TYPE_PATH Int)))))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__braces_are_read_by_the_tokens_behind) {
    static const row_t rows[] = {
        {"{}", /* -> */
            "(EMPTY)"},
        {"{ x }", /* -> */
            "(BLOCK x)"},
        {"{ x, }", /* -> */
            "(RECORD (RECORD_FIELD punned x x))"},
        {"{ x, y }", /* -> */
            "(RECORD (RECORD_FIELD punned x x) (RECORD_FIELD punned y y))"},
        {"{ x: 1 }", /* -> */
            "(RECORD (RECORD_FIELD colon x 1))"},
        {"{ x = 1, y: 2 }", /* -> */
            "(RECORD (RECORD_FIELD x 1) (RECORD_FIELD colon y 2))"},
        {"{ x == 1 }", /* -> */
            "(BLOCK (CHAIN x (BINARY == 1)))"},
        {"{ x := 1 }", /* -> */
            "(BLOCK (ASSIGN := x 1))"},
        {"{ \"a\": 1, r\"b\": 2, }", /* -> */
            "(MAP \"a\" 1 \"b\" 2)"},
        {"{ \"a\" }", /* -> */
            "(BLOCK \"a\")"},
        {"{ ..a, b: 1 }", /* -> */
            "(RECORD (SPREAD a) (RECORD_FIELD colon b 1))"},
        {"{ ...a }", /* -> */
            "(RECORD (SPREAD a))"},
        {"{ type: 1, if = 2, self: 3 }", /* -> */
            "(RECORD (RECORD_FIELD colon type 1) (RECORD_FIELD if 2) (RECORD_FIELD colon self 3))"},
        {"{ f(x); }", /* -> */
            "(BLOCK discard (CHAIN f (CALL x)))"},
        {"{ (x, y) }", /* -> */
            "(BLOCK (TUPLE x y))"},
        {"|x| { x }", /* -> */
            "(LAMBDA (PARAM (PAT_NAME x)) (BLOCK x))"},
        {"|x| { x: 1 }", /* -> */
            "(LAMBDA (PARAM (PAT_NAME x)) (RECORD (RECORD_FIELD colon x 1)))"},
        {"if a then { b: 1 } else {}", /* -> */
            "(IF then a (RECORD (RECORD_FIELD colon b 1)) (EMPTY))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__upper_paths_take_record_bodies_on_their_line) {
    static const row_t rows[] = {
        {"Foo { a }", /* -> */
            "(RECORD Foo (RECORD_FIELD punned a a))"},
        {"Foo {}", /* -> */
            "(RECORD Foo)"},
        {"a.b.Foo { a, ..b }", /* -> */
            "(RECORD (CHAIN a (FIELD b) (FIELD upper Foo)) (RECORD_FIELD punned a a) (SPREAD b))"},
        {"A::Foo { a: 1, b = 2, }", /* -> */
            "(RECORD (CHAIN A (FIELD upper :: Foo)) (RECORD_FIELD colon a 1) (RECORD_FIELD b 2))"},
        {"Foo { a: Bar { b } }.c", /* -> */
            "(CHAIN (RECORD Foo (RECORD_FIELD colon a (RECORD Bar (RECORD_FIELD punned b b)))) (FIELD c))"},
        {"Foo.bar", /* -> */
            "(CHAIN Foo (FIELD bar))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__braces_end_expressions_in_no_struct_positions) {
    static const row_t rows[] = {
        {"match Foo { A => 1 }", /* -> */
            "(MATCH braces Foo (ARM (PAT_CTOR (PATH A)) 1))"},
        {"match (Foo { a }) { A => 1 }", /* -> */
            "(MATCH braces (PAREN (RECORD Foo (RECORD_FIELD punned a a))) (ARM (PAT_CTOR (PATH A)) 1))"},
        {"match f(Foo { a }) { A => 1 }", /* -> */
            "(MATCH braces (CHAIN f (CALL (RECORD Foo (RECORD_FIELD punned a a)))) (ARM (PAT_CTOR (PATH A)) 1))"},
        {"match x.y { A => 1 }", /* -> */
            "(MATCH braces (CHAIN x (FIELD y)) (ARM (PAT_CTOR (PATH A)) 1))"},
        {"if Foo { 1 } else { 2 }", /* -> */
            "(IF Foo (BLOCK 1) (BLOCK 2))"},
        {"if a == { b } { 1 } else { 2 }", /* -> */
            "(IF (CHAIN a (BINARY == (BLOCK b))) (BLOCK 1) (BLOCK 2))"},
        {"while a { b }", /* -> */
            "(WHILE a (BLOCK b))"},
        {"for x in Foo { b }", /* -> */
            "(FOR (PAT_NAME x) Foo (BLOCK b))"},
        {"if handle { 1 }", /* -> */
            "(IF handle (BLOCK 1))"},
        {"if f(|x| { x }) { 1 }", /* -> */
            "(IF (CHAIN f (CALL (LAMBDA (PARAM (PAT_NAME x)) (BLOCK x)))) (BLOCK 1))"},
        {"if not x { 1 }", /* -> */
            "(IF (UNARY ! x) (BLOCK 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__conditionals_extend_or_end_at_their_brace) {
    static const row_t rows[] = {
        {"if a then b else c + 1", /* -> */
            "(IF then a b (CHAIN c (BINARY + 1)))"},
        {"if a { b } else { c } + 1", /* -> */
            "(CHAIN (IF a (BLOCK b) (BLOCK c)) (BINARY + 1))"},
        {"if a then b else if c { d } else { e } + 1", /* -> */
            "(IF then a b (CHAIN (IF c (BLOCK d) (BLOCK e)) (BINARY + 1)))"},
        {"if a { b } else if c { d } else if e then f else g", /* -> */
            "(IF a (BLOCK b) c (BLOCK d) e f g)"},
        {"if a then if b then c else d", /* -> */
            "(IF then a (IF then b c d))"},
        {"if a then x := 1 else y.z = 2", /* -> */
            "(IF then a (ASSIGN := x 1) (ASSIGN = (CHAIN y (FIELD z)) 2))"},
        {"{ if a { b }\nelse { c } }", /* -> */
            "(BLOCK (IF a (BLOCK b) (BLOCK c)))"},
        {"{ if a\nthen b\nelse c }", /* -> */
            "(BLOCK (IF then a b c))"},
        {"{ if a { b }\n(c) }", /* -> */
            "(BLOCK (IF a (BLOCK b)) (PAREN c))"},
        {"{ a } + 1", /* -> */
            "(CHAIN (BLOCK a) (BINARY + 1))"},
        {"match a { _ => 1 }.b", /* -> */
            "(CHAIN (MATCH braces a (ARM (PAT_WILD) 1)) (FIELD b))"},
        {"loop { 1 }.b", /* -> */
            "(CHAIN (LOOP (BLOCK 1)) (FIELD b))"},
        {"unsafe { 1 } + 1", /* -> */
            "(CHAIN (UNSAFE (BLOCK 1)) (BINARY + 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__tuples_lists_unit) {
    static const row_t rows[] = {
        {"()", /* -> */
            "(UNIT)"},
        {"(x)", /* -> */
            "(PAREN x)"},
        {"(x,)", /* -> */
            "(TUPLE x)"},
        {"(x, y,)", /* -> */
            "(TUPLE x y)"},
        {"[]", /* -> */
            "(LIST)"},
        {"[x, y,]", /* -> */
            "(LIST x y)"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__lambdas) {
    static const row_t rows[] = {
        {"|| 1", /* -> */
            "(LAMBDA 1)"},
        {"| | 1", /* -> */
            "(LAMBDA 1)"},
        {"|a, (b, c): (Int, Int)| -> Int a + b", /* -> */
            "(LAMBDA (PARAM (PAT_NAME a)) (PARAM (PAT_TUPLE (PAT_NAME b) (PAT_NAME c)) (TYPE_TUPLE (TYPE_PATH Int) "
            "(TYPE_PATH Int))) (TYPE_PATH Int) (CHAIN a (BINARY + b)))"},
        {"|x: T| -> R { x }", /* -> */
            "(LAMBDA (PARAM (PAT_NAME x) (TYPE_PATH T)) (TYPE_PATH R) (BLOCK x))"},
        {"|x| x.y := 3", /* -> */
            "(LAMBDA (PARAM (PAT_NAME x)) (ASSIGN := (CHAIN x (FIELD y)) 3))"},
        {"|{ a, b }, [c, ..d]| a", /* -> */
            "(LAMBDA (PARAM (PAT_RECORD (PAT_FIELD punned a (PAT_NAME a)) (PAT_FIELD punned b (PAT_NAME b)))) (PARAM "
            "(PAT_SLICE (PAT_NAME c) (PAT_REST d))) a)"},
        {"|mut x| x", /* -> */
            "(LAMBDA (PARAM mut (PAT_NAME mut x)) x)"},
        {"|x| |y| x + y", /* -> */
            "(LAMBDA (PARAM (PAT_NAME x)) (LAMBDA (PARAM (PAT_NAME y)) (CHAIN x (BINARY + y))))"},
        {"fn(x) => x |> f", /* -> */
            "(LAMBDA fn (PARAM (PAT_NAME x)) (CHAIN x (PIPE f)))"},
        {"fn (x, y: Int) -> Int { x }", /* -> */
            "(LAMBDA fn (PARAM (PAT_NAME x)) (PARAM (PAT_NAME y) (TYPE_PATH Int)) (TYPE_PATH Int) (BLOCK x))"},
        {"f(|x| a.b = 1, 2)", /* -> */
            "(CHAIN f (CALL (LAMBDA (PARAM (PAT_NAME x)) (ASSIGN = (CHAIN a (FIELD b)) 1)) 2))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__arguments) {
    static const row_t rows[] = {
        {"f(_, 1, w = 2, h: 3, if: 4, async = 5,)", /* -> */
            "(CHAIN f (CALL (HOLE) 1 (NAMED_ARG w 2) (NAMED_ARG colon h 3) (NAMED_ARG colon if 4) (NAMED_ARG async "
            "5)))"},
        {"f(a = 1 == 2)", /* -> */
            "(CHAIN f (CALL (NAMED_ARG a (CHAIN 1 (BINARY == 2)))))"},
        {"f(x == 1)", /* -> */
            "(CHAIN f (CALL (CHAIN x (BINARY == 1))))"},
        {"f(a::b)", /* -> */
            "(CHAIN f (CALL (CHAIN a (FIELD :: b))))"},
        {"inline_asm(\"nop\", \"r\": x, volatile)", /* -> */
            "(INLINE_ASM \"nop\" (ASM_ARG \"r\" x) volatile)"},
        {"inline_asm", /* -> */
            "inline_asm"},
        {"llvm_ir!(Int) { x, y }", /* -> */
            "(LLVM_IR (TYPE_PATH Int) x y)"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__effects_async_unsafe) {
    static const row_t rows[] = {
        {"do { 1 }", /* -> */
            "(BLOCK do 1)"},
        {"do E.op(1)", /* -> */
            "(PERFORM do (PATH E op) 1)"},
        {"perform A::op()", /* -> */
            "(PERFORM (PATH A op))"},
        {"async { 1 }", /* -> */
            "(ASYNC (BLOCK 1))"},
        {"async move { 1 }", /* -> */
            "(ASYNC move (BLOCK 1))"},
        {"handle { 1 } with H", /* -> */
            "(HANDLE (BLOCK 1) (PATH H))"},
        {"handle f() with M.H + 1", /* -> */
            "(CHAIN (HANDLE (CHAIN f (CALL)) (PATH M H)) (BINARY + 1))"},
        {"handle do E.op() with handler E { operation op(resume) { resume(1) } return a { 1 } }", /* -> */
            "(HANDLE (PERFORM do (PATH E op)) (HANDLER E (OP_CLAUSE op (PARAM (PAT_NAME resume)) (BLOCK (CHAIN resume "
            "(CALL 1)))) (RETURN_CLAUSE (PAT_NAME a) (BLOCK 1))))"},
        {"handle f()\n with\n handler E { return (|N|) { 1 }\n operation o(a, resume) { 1 }; }", /* -> */
            "(HANDLE (CHAIN f (CALL)) (HANDLER E (RETURN_CLAUSE (PAT_ACTIVE N) (BLOCK 1)) (OP_CLAUSE o (PARAM "
            "(PAT_NAME a)) (PARAM (PAT_NAME resume)) (BLOCK 1))))"},
        {"handle", /* -> */
            "handle"},
        {"handle.close() + handle(x) + handle[0] - handle", /* -> */
            "(CHAIN handle (FIELD close) (CALL) (BINARY + (CHAIN handle (CALL x))) (BINARY + (CHAIN handle (INDEX 0))) "
            "(BINARY - handle))"},
        {"handle - 1", /* -> */
            "(CHAIN handle (BINARY - 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__match_arms) {
    static const row_t rows[] = {
        {"match a with | A if a -> 1 | B when a || b as c -> 2 | C -> |x| x | D -> 3", /* -> */
            "(MATCH a (ARM (PAT_CTOR (PATH A)) (GUARD if a) 1) (ARM (PAT_CTOR (PATH B)) (GUARD (CHAIN a (BINARY || "
            "b))) (ALIAS c) 2) (ARM (PAT_CTOR (PATH C)) (LAMBDA (PARAM (PAT_NAME x)) x)) (ARM (PAT_CTOR (PATH D)) 3))"},
        {"match a with A -> 1", /* -> */
            "(MATCH a (ARM (PAT_CTOR (PATH A)) 1))"},
        {"match a { A => 1, B => 2; C => 3 | D => 4\n E => 5 }", /* -> */
            "(MATCH braces a (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_CTOR (PATH B)) 2) (ARM (PAT_CTOR (PATH C)) 3) (ARM "
            "(PAT_CTOR (PATH D)) 4) (ARM (PAT_CTOR (PATH E)) 5))"},
        {"match a { | A => 1, }", /* -> */
            "(MATCH braces a (ARM (PAT_CTOR (PATH A)) 1))"},
        {"match a { }", /* -> */
            "(MATCH braces a)"},
        {"match a with | A -> x := 1 | B -> y.z = 2", /* -> */
            "(MATCH a (ARM (PAT_CTOR (PATH A)) (ASSIGN := x 1)) (ARM (PAT_CTOR (PATH B)) (ASSIGN = (CHAIN y (FIELD z)) "
            "2)))"},
        {"match a with | A -> 1 end + 2", /* -> */
            "(CHAIN (MATCH a (ARM (PAT_CTOR (PATH A)) 1)) (BINARY + 2))"},
        {"match a { x when (x as Int) > 1 as y => 1 }", /* -> */
            "(MATCH braces a (ARM (PAT_NAME x) (GUARD (CHAIN (PAREN (CHAIN x (CAST (TYPE_PATH Int)))) (BINARY > 1))) "
            "(ALIAS y) 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__patterns) {
    static const row_t rows[] = {
        {"match n with | _ -> 1 | x -> 2 | mut x -> 3 | -1 -> 4 | 2.5 -> 5 | 'c' -> 6 | \"s\" -> 7 | true -> 8 | () -> "
         "9", /* -> */
            "(MATCH n (ARM (PAT_WILD) 1) (ARM (PAT_NAME x) 2) (ARM (PAT_NAME mut x) 3) (ARM (PAT_LITERAL - 1) 4) (ARM "
            "(PAT_LITERAL 2.5) 5) (ARM (PAT_LITERAL (CHAR U+0063)) 6) (ARM (PAT_LITERAL \"s\") 7) (ARM (PAT_LITERAL "
            "true) 8) (ARM (PAT_LITERAL (UNIT)) 9))"},
        {"match n with | 1..=3 | ..0 | 5.. | a.b..C | lo..hi | 'a'..='z' | -3..-1 | .. -> 1", /* -> */
            "(MATCH n (ARM (PAT_OR (PAT_RANGE inclusive (PAT_LITERAL 1) (PAT_LITERAL 3)) (PAT_RANGE (PAT_LITERAL 0)) "
            "(PAT_RANGE (PAT_LITERAL 5)) (PAT_RANGE (PATH a b) (PATH C)) (PAT_RANGE (PATH lo) (PATH hi)) (PAT_RANGE "
            "inclusive (PAT_LITERAL (CHAR U+0061)) (PAT_LITERAL (CHAR U+007A))) (PAT_RANGE (PAT_LITERAL - 3) "
            "(PAT_LITERAL - 1)) (PAT_WILD)) 1))"},
        {"match n with | r\"\\\\d+\" -> 2 | (|Even|_|) x -> 3 | (|Half|) -> 4 | (|H|) (a, b) when c -> 5", /* -> */
            "(MATCH n (ARM (PAT_REGEX \"\\\\\\\\d+\") 2) (ARM (PAT_ACTIVE partial Even (PAT_NAME x)) 3) (ARM "
            "(PAT_ACTIVE Half) 4) (ARM (PAT_ACTIVE H (PAT_TUPLE (PAT_NAME a) (PAT_NAME b))) (GUARD c) 5))"},
        {"match n with | [a, .., b] | [..] | [h, ..t] | [] | [(1..2)] | [x] -> 4", /* -> */
            "(MATCH n (ARM (PAT_OR (PAT_SLICE (PAT_NAME a) (PAT_REST) (PAT_NAME b)) (PAT_SLICE (PAT_REST)) (PAT_SLICE "
            "(PAT_NAME h) (PAT_REST t)) (PAT_SLICE) (PAT_SLICE (PAT_RANGE (PAT_LITERAL 1) (PAT_LITERAL 2))) (PAT_SLICE "
            "(PAT_NAME x))) 4))"},
        {"match n with | x @ (A | B) as y when z as w -> 5 | A as a | B as b -> 6", /* -> */
            "(MATCH n (ARM (PAT_AS @ x (PAT_OR (PAT_CTOR (PATH A)) (PAT_CTOR (PATH B)))) (ALIAS y) (GUARD z) (ALIAS w) "
            "5) (ARM (PAT_OR (PAT_AS a (PAT_CTOR (PATH A))) (PAT_AS b (PAT_CTOR (PATH B)))) 6))"},
        {"match n with | { a, b: p, c = q, type: r, .. } -> 6 | {} -> 7 | {..} -> 8", /* -> */
            "(MATCH n (ARM (PAT_RECORD rest (PAT_FIELD punned a (PAT_NAME a)) (PAT_FIELD b (PAT_NAME p)) (PAT_FIELD c "
            "(PAT_NAME q)) (PAT_FIELD type (PAT_NAME r))) 6) (ARM (PAT_RECORD) 7) (ARM (PAT_RECORD rest) 8))"},
        {"match n with | C | M.C(x, y,) | T::C { f, .. } | C({ f }) | C() -> 8", /* -> */
            "(MATCH n (ARM (PAT_OR (PAT_CTOR (PATH C)) (PAT_CTOR parens (PATH M C) (PAT_NAME x) (PAT_NAME y)) "
            "(PAT_CTOR (PATH T C) (PAT_RECORD rest (PAT_FIELD punned f (PAT_NAME f)))) (PAT_CTOR parens (PATH C) "
            "(PAT_RECORD (PAT_FIELD punned f (PAT_NAME f)))) (PAT_CTOR parens (PATH C))) 8))"},
        {"match n with | (a) | (a,) | (a, b) -> 9", /* -> */
            "(MATCH n (ARM (PAT_OR (PAT_NAME a) (PAT_TUPLE (PAT_NAME a)) (PAT_TUPLE (PAT_NAME a) (PAT_NAME b))) 9))"},
        {"match n with | when when when -> 1 | end -> 2", /* -> */
            "(MATCH n (ARM (PAT_NAME when) (GUARD when) 1) (ARM (PAT_NAME end) 2))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), true);
}

TEST(test_parser__implicit_blocks_follow_their_column) {
    static const row_t rows[] = {
        {"fn f() =\n  let a = 1\n  a + 1\nfn g() = 2", /* -> */
            "(FN f (BLOCK implicit (VALUE (PAT_NAME a) 1) (CHAIN a (BINARY + 1)))) (FN g 2)"},
        {"let a =\n  let b = 2\n  b", /* -> */
            "(VALUE (PAT_NAME a) (BLOCK implicit (VALUE (PAT_NAME b) 2) b))"},
        {"fn f() {\n  let g = |x|\n    let y = x\n    y + 1\n  g(1)\n}", /* -> */
            "(FN braces f (BLOCK (VALUE (PAT_NAME g) (LAMBDA (PARAM (PAT_NAME x)) (BLOCK implicit (VALUE (PAT_NAME y) "
            "x) (CHAIN y (BINARY + 1))))) (CHAIN g (CALL 1))))"},
        {"fn f() = xs.map(|x|\n  let y = x\n  -y)", /* -> */
            "(FN f (CHAIN xs (FIELD map) (CALL (LAMBDA (PARAM (PAT_NAME x)) (BLOCK implicit (VALUE (PAT_NAME y) x) "
            "(UNARY - y))))))"},
        {"fn f() = xs.map(|x|\n  let y = x\n    -y\n  y)", /* -> */
            "(FN f (CHAIN xs (FIELD map) (CALL (LAMBDA (PARAM (PAT_NAME x)) (BLOCK implicit (VALUE (PAT_NAME y) (CHAIN "
            "x (BINARY - y))) y)))))"},
        {"fn f() {\n if c then\n   let a = 1\n   a\n else\n   let b = 2\n   b\n}", /* -> */
            "(FN braces f (BLOCK (IF then c (BLOCK implicit (VALUE (PAT_NAME a) 1) a) (BLOCK implicit (VALUE (PAT_NAME "
            "b) 2) b))))"},
        {"fn f() {\n if c then\n   let a = 1;\n   a;\n g()\n}", /* -> */
            "(FN braces f (BLOCK (IF then c (BLOCK implicit (VALUE (PAT_NAME a) 1) a)) (CHAIN g (CALL))))"},
        {"fn f() =\n  let a = 1;\n  a", /* -> */
            "(FN f (BLOCK implicit (VALUE (PAT_NAME a) 1) a))"},
        {"fn f() =\n  let a = 1; a", /* -> */
            "(FN f (BLOCK implicit (VALUE (PAT_NAME a) 1))) a"},
        {"fn f() =\n  let a = f(\n1\n)\n  a", /* -> */
            "(FN f (BLOCK implicit (VALUE (PAT_NAME a) (CHAIN f (CALL 1))) a))"},
        {"fn f() =\n  let y = 1\n  |x| y", /* -> */
            "(FN f (BLOCK implicit (VALUE (PAT_NAME y) 1) (LAMBDA (PARAM (PAT_NAME x)) y)))"},
        {"fn f() =\n  var a = 1\n  a := 2\n  fn g() = 1\n  defer h()\n  @x { a }\n  g()", /* -> */
            "(FN f (BLOCK implicit (VALUE mut var (PAT_NAME mut a) 1) (ASSIGN := a 2) (FN g 1) (DEFER (CHAIN h "
            "(CALL))) (BLOCK a (ATTR x)) (CHAIN g (CALL))))"},
        {"fn f() = g(|x|\n    let y = x\n    y, 2)", /* -> */
            "(FN f (CHAIN g (CALL (LAMBDA (PARAM (PAT_NAME x)) (BLOCK implicit (VALUE (PAT_NAME y) x) y)) 2)))"},
        {"fn f() =\n  let a =\n    let b = 1\n    b\n  a", /* -> */
            "(FN f (BLOCK implicit (VALUE (PAT_NAME a) (BLOCK implicit (VALUE (PAT_NAME b) 1) b)) a))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__arms_follow_their_limit_column) {
    static const row_t rows[] = {
        {"fn f() = match x with\n  | A -> match y with\n    | B -> 1\n    | C -> 2\n  | D -> 3", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1) (ARM (PAT_CTOR (PATH C)) "
            "2))) (ARM (PAT_CTOR (PATH D)) 3)))"},
        {"fn f() = match x with\n  | A -> match y with\n  | B -> 1\n  | D -> 3", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1) (ARM (PAT_CTOR (PATH D)) "
            "3)))))"},
        {"fn f() = match x with | A -> match y with | B -> 1 | C -> 2", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1) (ARM (PAT_CTOR (PATH C)) "
            "2)))))"},
        {"fn f() =\n  match x with\n  | A ->\n    match y with\n    | B -> 1\n    | C -> 2\n  | D -> 3", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1) (ARM (PAT_CTOR (PATH C)) "
            "2))) (ARM (PAT_CTOR (PATH D)) 3)))"},
        {"fn f() {\n  match x with\n  | A -> 1\n  | B -> 2\n  g()\n}", /* -> */
            "(FN braces f (BLOCK (MATCH x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_CTOR (PATH B)) 2)) (CHAIN g (CALL))))"},
        {"fn f() = match x {\n  A -> match y with\n    | B -> 1\n    | C -> 2\n  | D -> 3\n  E -> 4 }", /* -> */
            "(FN f (MATCH braces x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1) (ARM (PAT_CTOR (PATH "
            "C)) 2))) (ARM (PAT_CTOR (PATH D)) 3) (ARM (PAT_CTOR (PATH E)) 4)))"},
        {"fn f() = match x {\n  | A -> match y with\n    | B -> 1\n | C -> 2\n}", /* -> */
            "(FN f (MATCH braces x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1))) (ARM (PAT_CTOR "
            "(PATH C)) 2)))"},
        {"fn f() = match x {\n A => 1\n (a, b) => 2\n -1 => 3\n [x] => 4\n \"s\" => 5;\n _ => 6\n}", /* -> */
            "(FN f (MATCH braces x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_TUPLE (PAT_NAME a) (PAT_NAME b)) 2) (ARM "
            "(PAT_LITERAL - 1) 3) (ARM (PAT_SLICE (PAT_NAME x)) 4) (ARM (PAT_LITERAL \"s\") 5) (ARM (PAT_WILD) 6)))"},
        {"fn f() = match x with\n  | A ->\n    let y = 1\n    y\n  | B -> 2", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (BLOCK implicit (VALUE (PAT_NAME y) 1) y)) (ARM (PAT_CTOR (PATH "
            "B)) 2)))"},
        {"fn f() = match x with\n  | A ->\n    let y = 1\n    |x| y\n  | B -> 2", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (BLOCK implicit (VALUE (PAT_NAME y) 1))) (ARM (PAT_OR (PAT_NAME "
            "x) (PAT_NAME y) (PAT_CTOR (PATH B))) 2)))"},
        {"fn f() = match x with\n  | A ->\n    let y = 1\n    match y with\n    | C -> 1\n  | B -> 2", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (BLOCK implicit (VALUE (PAT_NAME y) 1) (MATCH y (ARM (PAT_CTOR "
            "(PATH C)) 1)))) (ARM (PAT_CTOR (PATH B)) 2)))"},
        {"fn f() {\n  match x with\n  | A -> 1;\n  | B -> 2; g()\n}", /* -> */
            "(FN braces f (BLOCK (MATCH x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_CTOR (PATH B)) 2)) (CHAIN g (CALL))))"},
        {"fn f() = (match x with\n  | A -> { match y with | B -> 1 }\n  | C -> 2)", /* -> */
            "(FN f (PAREN (MATCH x (ARM (PAT_CTOR (PATH A)) (BLOCK (MATCH y (ARM (PAT_CTOR (PATH B)) 1)))) (ARM "
            "(PAT_CTOR (PATH C)) 2))))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__bar_less_arms_stand_at_the_column_of_the_first) {
    static const row_t rows[] = {
        {"fn f() {\n  match x with\n  A -> 1\n  B -> 2\n  C(x) -> 3\n g()\n}", /* -> */
            "(FN braces f (BLOCK (MATCH x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_CTOR (PATH B)) 2) (ARM (PAT_CTOR "
            "parens (PATH C) (PAT_NAME x)) 3)) (CHAIN g (CALL))))"},
        {"fn f() {\n  match x with A -> 1\n               B -> 2\n  g()\n}", /* -> */
            "(FN braces f (BLOCK (MATCH x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_CTOR (PATH B)) 2)) (CHAIN g (CALL))))"},
        {"fn f() = match x with\n  A ->\n    let y = 1\n    y\n  B -> 2\nfn g() = 1", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (BLOCK implicit (VALUE (PAT_NAME y) 1) y)) (ARM (PAT_CTOR (PATH "
            "B)) 2))) (FN g 1)"},
        {"fn f() = match x with\n  A -> match y with\n    B -> 1\n    C -> 2\n  D -> 3", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1) (ARM (PAT_CTOR (PATH C)) "
            "2))) (ARM (PAT_CTOR (PATH D)) 3)))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__end_closes_the_innermost_match) {
    static const row_t rows[] = {
        {"fn f() {\n  match x with\n  | A -> 1\n  | B -> 2\n  end\n  g()\n}", /* -> */
            "(FN braces f (BLOCK (MATCH x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_CTOR (PATH B)) 2)) (CHAIN g (CALL))))"},
        {"fn f() {\n  match x with | A -> 1 | B -> 2 end\n  g(end)\n}", /* -> */
            "(FN braces f (BLOCK (MATCH x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_CTOR (PATH B)) 2)) (CHAIN g (CALL "
            "end))))"},
        {"fn f() = match x with\n  A -> 1\n  end -> 2", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) 1) (ARM (PAT_NAME end) 2)))"},
        {"fn f() = match x with\n | A -> match y with\n   | B -> 1\n   end\n | C -> 2", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (MATCH y (ARM (PAT_CTOR (PATH B)) 1))) (ARM (PAT_CTOR (PATH C)) "
            "2)))"},
        {"fn f() = match x with\n | A ->\n   let y = 1\n   y\n end", /* -> */
            "(FN f (MATCH x (ARM (PAT_CTOR (PATH A)) (BLOCK implicit (VALUE (PAT_NAME y) 1) y))))"},
        {"fn f() {\n  match x with\n  | A -> return end\n  g()\n}", /* -> */
            "(FN braces f (BLOCK (MATCH x (ARM (PAT_CTOR (PATH A)) (RETURN))) (CHAIN g (CALL))))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__statements) {
    static const row_t rows[] = {
        {"fn f() { a; b }", /* -> */
            "(FN braces f (BLOCK a b))"},
        {"fn f() { a; b; }", /* -> */
            "(FN braces f (BLOCK discard a b))"},
        {"fn f() { }", /* -> */
            "(FN braces f (BLOCK))"},
        {"fn f() {\n\n a\n\n b\n\n}", /* -> */
            "(FN braces f (BLOCK a b))"},
        {"fn f() { x := 1; a.b = 2; a[1] = 3; a::b += 4; x -= 5; x *= 6; x /= 7 }", /* -> */
            "(FN braces f (BLOCK (ASSIGN := x 1) (ASSIGN = (CHAIN a (FIELD b)) 2) (ASSIGN = (CHAIN a (INDEX 1)) 3) "
            "(ASSIGN += (CHAIN a (FIELD :: b)) 4) (ASSIGN -= x 5) (ASSIGN *= x 6) (ASSIGN /= x 7)))"},
        {"fn f() { let (a, b) = 1; let mut c: Int = 2; var d = 3; const E = 4; let F: Int = 5; let G = 6 }", /* -> */
            "(FN braces f (BLOCK (VALUE (PAT_TUPLE (PAT_NAME a) (PAT_NAME b)) 1) (VALUE mut (PAT_NAME mut c) "
            "(TYPE_PATH Int) 2) (VALUE mut var (PAT_NAME mut d) 3) (VALUE const (PAT_NAME upper E) 4) (VALUE (PAT_NAME "
            "upper F) (TYPE_PATH Int) 5) (VALUE (PAT_NAME upper G) 6)))"},
        {"fn f() { let g(x) = x; let h<T>(x: T) -> T = x; fn i() { 1 }; async fn j() = 2 }", /* -> */
            "(FN braces f (BLOCK (FN let g (PARAM (PAT_NAME x)) x) (FN let h (GENERIC T) (PARAM (PAT_NAME x) "
            "(TYPE_PATH T)) (TYPE_PATH T) x) (FN braces i (BLOCK 1)) (FN async j 2)))"},
        {"fn f() { defer g(); @pure { 1 }; @x unsafe { 2 } }", /* -> */
            "(FN braces f (BLOCK (DEFER (CHAIN g (CALL))) (BLOCK 1 (ATTR pure)) (UNSAFE (BLOCK 2) (ATTR x))))"},
        {"let handle = open(p)\nlet not = 1\nlet const = 2\nlet mut = 3\nlet struct = 4", /* -> */
            "(VALUE (PAT_NAME handle) (CHAIN open (CALL p))) (VALUE (PAT_NAME not) 1) (VALUE (PAT_NAME const) 2) "
            "(VALUE (PAT_NAME mut) 3) (VALUE (PAT_NAME struct) 4)"},
        {"const := 1", /* -> */
            "(ASSIGN := const 1)"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__function_headers_may_span_lines) {
    static const row_t rows[] = {
        {"fn f()\n  -> Int\n  ! {io}\n  where T: Eq\n  with audit, State<Int>\n  = 1", /* -> */
            "(FN f (TYPE_PATH Int) (CONSTRAINT T (TYPE_PATH Eq)) (EFFECTS (TYPE_PATH io) (TYPE_PATH audit) (TYPE_PATH "
            "args State (TYPE_PATH Int))) 1)"},
        {"fn f()\n{\n 1\n}", /* -> */
            "(FN braces f (BLOCK 1))"},
        {"fn f() -> Int ! {} = 1", /* -> */
            "(FN f (TYPE_PATH Int) (EFFECTS) 1)"},
        {"fn f() -> Int ! {io, unsafe, a.b}", /* -> */
            "(FN f (TYPE_PATH Int) (EFFECTS (TYPE_PATH io) (TYPE_PATH unsafe) (TYPE_PATH a b)))"},
        {"fn f() -> (A -> B ! {io}) ! {mut} = 1", /* -> */
            "(FN f (TYPE_FN (TYPE_PARAM (TYPE_PATH A)) (TYPE_PATH B) (EFFECTS (TYPE_PATH io))) (EFFECTS (TYPE_PATH "
            "mut)) 1)"},
        {"fn T.m(self, x: Int = 1, mut y: Int, type: Str, (a, b): (Int, Int)) = 1", /* -> */
            "(FN T m (PARAM self (PAT_NAME keyword self)) (PARAM (PAT_NAME x) (TYPE_PATH Int) 1) (PARAM mut (PAT_NAME "
            "mut y) (TYPE_PATH Int)) (PARAM (PAT_NAME keyword type) (TYPE_PATH Str)) (PARAM (PAT_TUPLE (PAT_NAME a) "
            "(PAT_NAME b)) (TYPE_TUPLE (TYPE_PATH Int) (TYPE_PATH Int))) 1)"},
        {"fn T::m<A: Show + Eq<Int>, B>(&self, x) where Add<A, B, A>, B: M.Ord {}", /* -> */
            "(FN braces T m (GENERIC A (TYPE_PATH Show) (TYPE_PATH args Eq (TYPE_PATH Int))) (GENERIC B) (PARAM self "
            "ref (PAT_NAME keyword self)) (PARAM (PAT_NAME x)) (CONSTRAINT (TYPE_PATH args Add (TYPE_PATH A) "
            "(TYPE_PATH B) (TYPE_PATH A))) (CONSTRAINT B (TYPE_PATH M Ord)) (BLOCK))"},
        {"fn f(&mut self: T)", /* -> */
            "(FN f (PARAM mut self ref (PAT_NAME keyword self) (TYPE_PATH T)))"},
        {"pub async fn f() = 1", /* -> */
            "(FN pub async f 1)"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__types) {
    static const row_t rows[] = {
        {"let a: M.T<Int, Option<Str>> = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_PATH args M T (TYPE_PATH Int) (TYPE_PATH args Option (TYPE_PATH Str))) 1)"},
        {"let a: List<Int>= 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_PATH args List (TYPE_PATH Int)) 1)"},
        {"let a: (A, B) -> C -> D = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_FN (TYPE_PARAM (TYPE_PATH A)) (TYPE_PARAM (TYPE_PATH B)) (TYPE_FN (TYPE_PARAM "
            "(TYPE_PATH C)) (TYPE_PATH D))) 1)"},
        {"let a: (x: A, y: B) -> C ! {io} = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_FN (TYPE_PARAM x (TYPE_PATH A)) (TYPE_PARAM y (TYPE_PATH B)) (TYPE_PATH C) "
            "(EFFECTS (TYPE_PATH io))) 1)"},
        {"let a: A -> B = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_FN (TYPE_PARAM (TYPE_PATH A)) (TYPE_PATH B)) 1)"},
        {"let a: ((A, B)) -> C = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_FN (TYPE_PARAM (TYPE_TUPLE (TYPE_PATH A) (TYPE_PATH B))) (TYPE_PATH C)) 1)"},
        {"let a: fn(A, b: B) -> C = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_FN fn (TYPE_PARAM (TYPE_PATH A)) (TYPE_PARAM b (TYPE_PATH B)) (TYPE_PATH C)) "
            "1)"},
        {"let a: fn() = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_FN fn) 1)"},
        {"let a: () = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_UNIT) 1)"},
        {"let a: (A) = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_PATH A) 1)"},
        {"let a: (A, B) = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_TUPLE (TYPE_PATH A) (TYPE_PATH B)) 1)"},
        {"let a: [T] = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_LIST (TYPE_PATH T)) 1)"},
        {"let a: [T; 3] = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_ARRAY (TYPE_PATH T) 3) 1)"},
        {"let a: &mut T = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_REF mut (TYPE_PATH T)) 1)"},
        {"let a: &T -> U = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_FN (TYPE_PARAM (TYPE_REF (TYPE_PATH T))) (TYPE_PATH U)) 1)"},
        {"let a: { x: Int, pub y: Str = \"a\", @doc(\"d\") z: B } = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_RECORD (TYPE_FIELD x (TYPE_PATH Int)) (TYPE_FIELD pub y (TYPE_PATH Str) \"a\") "
            "(TYPE_FIELD z (TYPE_PATH B) (ATTR parens doc \"d\"))) 1)"},
        {"let a: { x: Int\n y: Str; z: B, .. } = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_RECORD open (TYPE_FIELD x (TYPE_PATH Int)) (TYPE_FIELD y (TYPE_PATH Str)) "
            "(TYPE_FIELD z (TYPE_PATH B))) 1)"},
        {"let a: { .. } = 1", /* -> */
            "(VALUE (PAT_NAME a) (TYPE_RECORD open) 1)"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__type_declarations) {
    static const row_t rows[] = {
        {"type T", /* -> */
            "(TYPE_DECL T)"},
        {"type T<A, B: Eq>", /* -> */
            "(TYPE_DECL T (GENERIC A) (GENERIC B (TYPE_PATH Eq)))"},
        {"type T = A", /* -> */
            "(TYPE_DECL T (TYPE_PATH A))"},
        {"type T = A<B>", /* -> */
            "(TYPE_DECL T (TYPE_PATH args A (TYPE_PATH B)))"},
        {"type T = A | B(Int, x: Str) | C { f: X, g: Y = 1 }", /* -> */
            "(TYPE_DECL T (VARIANTS (VARIANT A) (VARIANT parens B (VARIANT_FIELD (TYPE_PATH Int)) (VARIANT_FIELD x "
            "(TYPE_PATH Str))) (VARIANT C (TYPE_RECORD (TYPE_FIELD f (TYPE_PATH X)) (TYPE_FIELD g (TYPE_PATH Y) "
            "1)))))"},
        {"type T =\n  | A\n  | B", /* -> */
            "(TYPE_DECL T (VARIANTS (VARIANT A) (VARIANT B)))"},
        {"type T = A(Int)", /* -> */
            "(TYPE_DECL T (VARIANTS (VARIANT parens A (VARIANT_FIELD (TYPE_PATH Int)))))"},
        {"type T = A { f: Int }", /* -> */
            "(TYPE_DECL T (VARIANTS (VARIANT A (TYPE_RECORD (TYPE_FIELD f (TYPE_PATH Int))))))"},
        {"type T = | A", /* -> */
            "(TYPE_DECL T (VARIANTS (VARIANT A)))"},
        {"type alias N = T", /* -> */
            "(TYPE_DECL alias N (TYPE_PATH T))"},
        {"type alias = T", /* -> */
            "(TYPE_DECL alias (TYPE_PATH T))"},
        {"type U = new { a: Int }", /* -> */
            "(TYPE_DECL U (NEWTYPE (TYPE_RECORD (TYPE_FIELD a (TYPE_PATH Int)))))"},
        {"type U = new", /* -> */
            "(TYPE_DECL U (TYPE_PATH new))"},
        {"type P = { x: Int, y: Int }", /* -> */
            "(TYPE_DECL P (TYPE_RECORD (TYPE_FIELD x (TYPE_PATH Int)) (TYPE_FIELD y (TYPE_PATH Int))))"},
        {"enum E = A | B", /* -> */
            "(TYPE_DECL enum E (VARIANTS (VARIANT A) (VARIANT B)))"},
        {"enum E { A(Int), B, C { f: X }, }", /* -> */
            "(TYPE_DECL enum E (VARIANTS (VARIANT parens A (VARIANT_FIELD (TYPE_PATH Int))) (VARIANT B) (VARIANT C "
            "(TYPE_RECORD (TYPE_FIELD f (TYPE_PATH X))))))"},
        {"enum E A | B", /* -> */
            "(TYPE_DECL enum E (VARIANTS (VARIANT A) (VARIANT B)))"},
        {"struct S;\nstruct D<T> { f: fn(Int) -> () }\nstruct E\nstruct F = { x: Int }", /* -> */
            "(TYPE_DECL struct S) (TYPE_DECL struct D (GENERIC T) (TYPE_RECORD (TYPE_FIELD f (TYPE_FN fn (TYPE_PARAM "
            "(TYPE_PATH Int)) (TYPE_UNIT))))) (TYPE_DECL struct E) (TYPE_DECL struct F (TYPE_RECORD (TYPE_FIELD x "
            "(TYPE_PATH Int))))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__traits_impls_externs) {
    static const row_t rows[] = {
        {"trait Show<T> where T: Eq {\n  fn show(self) -> Str\n  @pure fn a(self) = 1; fn b(self) { 2 }\n}", /* -> */
            "(TRAIT Show (GENERIC T) (CONSTRAINT T (TYPE_PATH Eq)) (FN show (PARAM self (PAT_NAME keyword self)) "
            "(TYPE_PATH Str)) (FN (ATTR pure) a (PARAM self (PAT_NAME keyword self)) 1) (FN braces b (PARAM self "
            "(PAT_NAME keyword self)) (BLOCK 2)))"},
        {"trait T { }", /* -> */
            "(TRAIT T)"},
        {"impl T { }", /* -> */
            "(IMPL (TYPE_PATH T))"},
        {"impl<T> Show<T> for List<T> where T: Show {\n  pub fn show(self) = 1\n  let X = 3\n  const Y = 4\n  async fn "
         "z()\n}", /* -> */
            "(IMPL (GENERIC T) (TYPE_PATH args Show (TYPE_PATH T)) (TYPE_PATH args List (TYPE_PATH T)) (CONSTRAINT T "
            "(TYPE_PATH Show)) (FN pub show (PARAM self (PAT_NAME keyword self)) 1) (VALUE (PAT_NAME upper X) 3) "
            "(VALUE const (PAT_NAME upper Y) 4) (FN async z))"},
        {"impl M.Show for (A, B) { fn f() }", /* -> */
            "(IMPL (TYPE_PATH M Show) (TYPE_TUPLE (TYPE_PATH A) (TYPE_PATH B)) (FN f))"},
        {"extern \"C\" fn printf(fmt: Ptr<u8>, ...) -> i32", /* -> */
            "(EXTERN \"C\" (FN extern printf (PARAM (PAT_NAME fmt) (TYPE_PATH args Ptr (TYPE_PATH u8))) (PARAM "
            "varargs) (TYPE_PATH i32)))"},
        {"extern \"host\" {\n  type T\n  pub fn T.go(self) -> () ! {}\n  let g: T; let G: T\n  @x struct R { x: Int "
         "}\n  enum E = A | B\n}", /* -> */
            "(EXTERN braces \"host\" (TYPE_DECL extern T) (FN pub extern T go (PARAM self (PAT_NAME keyword self)) "
            "(TYPE_UNIT) (EFFECTS)) (VALUE extern (PAT_NAME g) (TYPE_PATH T)) (VALUE extern (PAT_NAME upper G) "
            "(TYPE_PATH T)) (TYPE_DECL extern struct (ATTR x) R (TYPE_RECORD (TYPE_FIELD x (TYPE_PATH Int)))) "
            "(TYPE_DECL extern enum E (VARIANTS (VARIANT A) (VARIANT B))))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__effects_and_handlers) {
    static const row_t rows[] = {
        {"effect Ask : io.async {\n  operation ask(q: Str) -> Int\n  @x operation tell : Str -> Unit\n}", /* -> */
            "(EFFECT Ask (PATH io async) (OPERATION ask (PARAM (PAT_NAME q) (TYPE_PATH Str)) (TYPE_PATH Int)) "
            "(OPERATION colon (ATTR x) tell (TYPE_FN (TYPE_PARAM (TYPE_PATH Str)) (TYPE_PATH Unit))))"},
        {"effect State<S> { operation choose<A>(x: S, y: A) }", /* -> */
            "(EFFECT State (GENERIC S) (OPERATION choose (GENERIC A) (PARAM (PAT_NAME x) (TYPE_PATH S)) (PARAM "
            "(PAT_NAME y) (TYPE_PATH A))))"},
        {"handler H for E { operation o(x, resume) { 1 } return x { x } }", /* -> */
            "(HANDLER_DECL H E (OP_CLAUSE o (PARAM (PAT_NAME x)) (PARAM (PAT_NAME resume)) (BLOCK 1)) (RETURN_CLAUSE "
            "(PAT_NAME x) (BLOCK x)))"},
        {"handler E { }", /* -> */
            "(HANDLER_DECL E)"},
        {"pattern (|Even|_|)(n: Int) = if n % 2 == 0 then Some(n) else None", /* -> */
            "(ACTIVE partial Even (PARAM (PAT_NAME n) (TYPE_PATH Int)) (IF then (CHAIN n (BINARY % 2) (BINARY == 0)) "
            "(CHAIN Some (CALL n)) None))"},
        {"pattern (|Half|)(n) =\n  let h = n / 2\n  h", /* -> */
            "(ACTIVE Half (PARAM (PAT_NAME n)) (BLOCK implicit (VALUE (PAT_NAME h) (CHAIN n (BINARY / 2))) h))"},
        {"pattern(1)", /* -> */
            "(CHAIN pattern (CALL 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__modules_and_use) {
    static const row_t rows[] = {
        {"module A.B.type\n\nuse a", /* -> */
            "(PATH A B type) (USE (USE_TREE a))"},
        {"module A; use a.b.c as d; pub use ::x", /* -> */
            "(PATH A) (USE (USE_TREE as=d a b c)) (USE pub (USE_TREE root x))"},
        {"use a::{b, self as s, c.d as e, f.{g, h,},}", /* -> */
            "(USE (USE_TREE braces a (USE_TREE b) (USE_TREE as=s self) (USE_TREE as=e c d) (USE_TREE braces f "
            "(USE_TREE g) (USE_TREE h))))"},
        {"use super::super.a.self.b", /* -> */
            "(USE (USE_TREE super super a self b))"},
        {"use self.{\n a,\n b\n}", /* -> */
            "(USE (USE_TREE braces self (USE_TREE a) (USE_TREE b)))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__attributes) {
    static const row_t rows[] = {
        {"@must_use @doc(\"x\", level = 3) fn f()", /* -> */
            "(FN (ATTR must_use) (ATTR parens doc \"x\" (NAMED_ARG level 3)) f)"},
        {"@cfg(all(target_os = \"linux\", not(feature = \"x\"), any(extra.b = \"1\",))) let x = 1", /* -> */
            "(VALUE (ATTR parens cfg (CFG_ALL (CFG_TEST (PATH target_os) \"linux\") (CFG_NOT (CFG_TEST (PATH feature) "
            "\"x\")) (CFG_ANY (CFG_TEST (PATH extra b) \"1\")))) (PAT_NAME x) 1)"},
        {"@x\n@y\npub\nfn f()", /* -> */
            "(FN pub (ATTR x) (ATTR y) f)"},
        {"@cfg(target = \"cli\") { f() }", /* -> */
            "(BLOCK (CHAIN f (CALL)) (ATTR parens cfg (CFG_TEST (PATH target) \"cli\")))"},
        {"@x f()", /* -> */
            "(ATTRIBUTED (ATTR x) (CHAIN f (CALL)))"},
        {"@x unsafe { f() }", /* -> */
            "(UNSAFE (BLOCK (CHAIN f (CALL))) (ATTR x))"},
        {"@dsl_export(allows_effects = [io], meta = { a: 1 }) type T", /* -> */
            "(TYPE_DECL (ATTR parens dsl_export (NAMED_ARG allows_effects (LIST io)) (NAMED_ARG meta (RECORD "
            "(RECORD_FIELD colon a 1)))) T)"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__conductors) {
    static const row_t rows[] = {
        {"conductor p {\n  a: read() |> parse\n  b: Spec = a |> with_caps([\"x\"])\n  channels { a.out ~> b.in.x : "
         "Stream<Int>\n    b.out ~> c.y : T }\n  execution { strategy: \"adaptive\"; max: 4 }\n  monitoring with M.X { "
         "collect { x => y, [1, 2] } }\n}", /* -> */
            "(CONDUCTOR p (CONDUCTOR_NODE a (CHAIN read (CALL) (PIPE parse))) (CONDUCTOR_NODE b label=Spec (CHAIN a "
            "(PIPE (CHAIN with_caps (CALL (LIST \"x\")))))) (CONDUCTOR_CHANNELS (CONDUCTOR_CHANNEL (PATH a out) (PATH "
            "b in x) (TYPE_PATH args Stream (TYPE_PATH Int))) (CONDUCTOR_CHANNEL (PATH b out) (PATH c y) (TYPE_PATH "
            "T))) (CONDUCTOR_EXECUTION (RECORD_FIELD colon strategy \"adaptive\") (RECORD_FIELD colon max 4)) "
            "(CONDUCTOR_MONITORING with raw=202 to=232 (PATH M X)))"},
        {"conductor p { execution { f(); g() }\n monitoring\n channels: f(); execution: 1\n monitoring {} }", /* -> */
            "(CONDUCTOR p (CONDUCTOR_EXECUTION (BLOCK (CHAIN f (CALL)) (CHAIN g (CALL)))) (CONDUCTOR_MONITORING raw=0 "
            "to=0) (CONDUCTOR_NODE channels (CHAIN f (CALL))) (CONDUCTOR_NODE execution 1) (CONDUCTOR_MONITORING "
            "raw=90 to=92))"},
        {"conductor p { }", /* -> */
            "(CONDUCTOR p)"},
        {"conductor(1)", /* -> */
            "(CHAIN conductor (CALL 1))"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

TEST(test_parser__top_level_statements) {
    static const row_t rows[] = {
        {"f()\nx := 1\ngame.on(|dt| { d.f = d.f.g(dt); d.pump(); })\ntask.join().await?;\nif a { b }\n{ c }", /* -> */
            "(CHAIN f (CALL)) (ASSIGN := x 1) (CHAIN game (FIELD on) (CALL (LAMBDA (PARAM (PAT_NAME dt)) (BLOCK "
            "discard (ASSIGN = (CHAIN d (FIELD f)) (CHAIN d (FIELD f) (FIELD g) (CALL dt))) (CHAIN d (FIELD pump) "
            "(CALL)))))) (CHAIN task (FIELD join) (CALL) (AWAIT) (TRY)) (IF a (BLOCK b)) (BLOCK c)"},
    };
    check_rows(rows, RL_COUNT_OF(rows), false);
}

/* --- what the user's documents contain -------------------------------------------------------------------------------- */

TEST(test_parser__reference_samples_parse) {
    static const char* const samples[] = {
#include "syntax_samples.inc"
    };
    for (size_t i = 0; i < RL_COUNT_OF(samples); i++) {
        world_t w;
        world_parse(&w, samples[i]);
        if (!CHECK(w.ok)) {
            rl_diags_text(&w.diags, &w.text, false);
            printf("%s\n", rl_buf_cstr(&w.text));
        }
        CHECK_INT_EQ(w.diags.items.count, 0);
        world_close(&w);
    }
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_parser__arithmetic_binds_as_the_table_says),
        RUN(test_parser__not_is_an_operator_only_before_an_operand_on_its_line),
        RUN(test_parser__pipes_take_postfix_chains_and_lambdas),
        RUN(test_parser__postfixes_chain_to_the_left),
        RUN(test_parser__newline_before_paren_or_bracket_ends_even_in_parentheses),
        RUN(test_parser__return_and_break_take_no_value_over_a_newline),
        RUN(test_parser__casts_take_arguments_only_when_glued),
        RUN(test_parser__braces_are_read_by_the_tokens_behind),
        RUN(test_parser__upper_paths_take_record_bodies_on_their_line),
        RUN(test_parser__braces_end_expressions_in_no_struct_positions),
        RUN(test_parser__conditionals_extend_or_end_at_their_brace),
        RUN(test_parser__tuples_lists_unit),
        RUN(test_parser__lambdas),
        RUN(test_parser__arguments),
        RUN(test_parser__effects_async_unsafe),
        RUN(test_parser__match_arms),
        RUN(test_parser__patterns),
        RUN(test_parser__implicit_blocks_follow_their_column),
        RUN(test_parser__arms_follow_their_limit_column),
        RUN(test_parser__bar_less_arms_stand_at_the_column_of_the_first),
        RUN(test_parser__end_closes_the_innermost_match),
        RUN(test_parser__statements),
        RUN(test_parser__function_headers_may_span_lines),
        RUN(test_parser__types),
        RUN(test_parser__type_declarations),
        RUN(test_parser__traits_impls_externs),
        RUN(test_parser__effects_and_handlers),
        RUN(test_parser__modules_and_use),
        RUN(test_parser__attributes),
        RUN(test_parser__conductors),
        RUN(test_parser__top_level_statements),
        RUN(test_parser__reference_samples_parse),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
