/* Templates of `format`, taken apart. */
#include "types/template.h"

#include "check.h"

typedef rl_template_part_t (*next_fn)(rl_str_t text, size_t* offset);

/* All parts as text: T<…> text, D<…> directive, X<expression|spec>, E<…:message> error. */
static void check_parts(next_fn next, const char* text, const char* expected) {
    char got[2048];
    size_t used = 0, offset = 0;
    got[0] = 0;
    for (int i = 0; i < 100; i++) {
        size_t before = offset;
        rl_template_part_t part = next(rl_str(text), &offset);
        if (part.kind == RL_PART_END) break;
        CHECK(offset > before && offset <= strlen(text) && part.start <= part.end && part.end <= strlen(text));
        int length = (int)(part.end - part.start), spec = (int)(part.spec_end - part.spec_start);
        const char* start = text + part.start;
        const char* spec_start = text + part.spec_start;
        switch (part.kind) {
        case RL_PART_TEXT: used += (size_t)snprintf(got + used, sizeof got - used, "T<%.*s>", length, start); break;
        case RL_PART_DIRECTIVE:
            used += (size_t)snprintf(got + used, sizeof got - used, "D<%.*s>", spec, spec_start);
            break;
        case RL_PART_EXPRESSION:
            used += (size_t)snprintf(got + used, sizeof got - used, "X<%.*s|%.*s>", length, start, spec, spec_start);
            break;
        default:
            used += (size_t)snprintf(got + used, sizeof got - used, "E<%.*s: %s>", length, start, part.error);
            break;
        }
    }
    CHECK_STR_EQ(got, expected);
}
static void printf_parts(const char* text, const char* expected) {
    check_parts(rl_template_next_printf, text, expected);
}
static void brace_parts(const char* text, const char* expected) {
    check_parts(rl_template_next_braces, text, expected);
}

TEST(test_printf__directives_and_text) {
    printf_parts("", "");
    printf_parts("plain {x}", "T<plain {x}>");
    printf_parts("a %d, %-+ #08.3f!", "T<a >D<d>T<, >D<-+ #08.3f>T<!>");
    printf_parts("100%% sure%%", "T<100%>T< sure%>");
    printf_parts("%%%d%%", "T<%>D<d>T<%>");
    printf_parts("%s%v%c%q%x%X%o%b%u%i%e%g%E%G", "D<s>D<v>D<c>D<q>D<x>D<X>D<o>D<b>D<u>D<i>D<e>D<g>D<E>D<G>");
}

TEST(test_printf__bad_directives_are_named) {
    printf_parts("50%", "T<50>E<%: directive ends early>");
    printf_parts("%5.", "E<%5.: directive ends early>");
    printf_parts("%y.", "E<%y: unknown directive>T<.>");
    printf_parts("%\xE3\x81\x82!", "E<%\xE3\x81\x82: unknown directive>T<!>");
    printf_parts("%4097d", "E<%4097d: width and precision may be 4096 at most>");
    printf_parts("%.99999999999999999999f", "E<%.99999999999999999999f: width and precision may be 4096 at most>");
    printf_parts("%4096.4096f", "D<4096.4096f>");
}

TEST(test_braces__expressions_and_specifications) {
    brace_parts("", "");
    brace_parts("100% {a} and {b.c:04X}", "T<100% >X<a|>T< and >X<b.c|04X>");
    brace_parts("{{x}} {x}}}", "T<{>T<x}>T< >X<x|>T<}>");
    brace_parts("{a::b}{f(x: 1):.2}", "X<a::b|>X<f(x: 1)|.2>");
    brace_parts("{ {k: 1}.k :-5}", "X< {k: 1}.k |-5>");
}

TEST(test_braces__strings_and_chars_are_skipped) {
    brace_parts("{f(\"}:\\\"}\")}", "X<f(\"}:\\\"}\")|>");
    brace_parts("{c == '}'}", "X<c == '}'|>");
    brace_parts("{c == '\\''}{b}", "X<c == '\\''|>X<b|>");
    brace_parts("{f(r\"\\\"):s}", "X<f(r\"\\\")|s>");
    brace_parts("{r#\"}\"}\"#}", "X<r#\"}\"}\"#|>");
    brace_parts("{\"\"\"a\"}\"\"\"}", "X<\"\"\"a\"}\"\"\"|>");
    brace_parts("{var\"}\"}", "X<var\"}\"|>");
    brace_parts("{a /* } /* } */ */ + b // }\n}", "X<a /* } /* } */ */ + b // }\n|>");
}

TEST(test_braces__errors_are_placed) {
    brace_parts("a } b", "T<a >E<}: `}` without `{`; a literal brace is written `}}`>T< b>");
    brace_parts("a {b", "T<a >E<{b: `{` without `}`; a literal brace is written `{{`>");
    brace_parts("{x:y}z", "E<y: malformed format specification>T<z>");
    brace_parts("{}{ }", "E<{}: no expression between the braces>E<{ }: no expression between the braces>");
    brace_parts("{\"}", "E<{\"}: `{` without `}`; a literal brace is written `{{`>");
    brace_parts("{x:", "E<{x:: `{` without `}`; a literal brace is written `{{`>");
    brace_parts("{x:9999d}", "E<9999d: width and precision may be 4096 at most>");
}

TEST(test_spec__fields_are_read) {
    rl_format_spec_t spec;
    CHECK(rl_format_spec_parse(RL_STR("-+ #012.7x"), &spec));
    CHECK(spec.minus && spec.plus && spec.space && spec.alternate && spec.zero && spec.width == 12);
    CHECK(spec.has_precision && spec.precision == 7 && spec.letter == 'x');
    CHECK(rl_format_spec_parse(RL_STR(""), &spec) && spec.letter == 0 && !spec.has_precision && spec.width == 0);
    CHECK(rl_format_spec_parse(RL_STR("."), &spec) && spec.has_precision && spec.precision == 0);
    CHECK(!rl_format_spec_parse(RL_STR("xx"), &spec) && !rl_format_spec_parse(RL_STR("5\0"), &spec));
    CHECK(!rl_format_spec_parse(RL_STR("4097"), &spec) && !rl_format_spec_parse(RL_STR("%d"), &spec));
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_printf__directives_and_text),
        RUN(test_printf__bad_directives_are_named),
        RUN(test_braces__expressions_and_specifications),
        RUN(test_braces__strings_and_chars_are_skipped),
        RUN(test_braces__errors_are_placed),
        RUN(test_spec__fields_are_read),
    };
    return check_main(tests, RL_COUNT_OF(tests), argc, argv);
}
