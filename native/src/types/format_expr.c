/* format(…): templates taken apart at compile time (LANGUAGE 8.2). */
#include "syntax/lexer.h"
#include "types/infer.h"

enum { LITERAL_PART = -1 };

typedef RL_VEC(uint32_t) words_t;

static void push_text(rl_checker_t* c, words_t* pairs, rl_str_t text, uint32_t start) {
    if (text.length == 0) return;
    (void)rl_vec_push(c->allocator, pairs, (uint32_t)LITERAL_PART);
    (void)rl_vec_push(c->allocator, pairs, rl_ir_string(c, start, text));
}

/* --- kinds -------------------------------------------------------------------------------------------------------- */

static bool letter_takes(rl_checker_t* c, char letter, rl_type_t type) {
    rl_type_t head = rl_head(c, type);
    rl_type_kind_t kind = rl_type_kind(c->types, head);
    if (head == RL_TYPE_ERROR || head == RL_TYPE_NEVER || head == RL_TYPE_ANY || kind == RL_TYPE_PARAM) return true;
    switch (letter) {
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'b': return rl_type_is_integer(head);
    case 'f':
    case 'e':
    case 'g':
    case 'E':
    case 'G': return rl_type_is_numeric(head);
    case 'c': return head == RL_TYPE_CHAR;
    default: return true;
    }
}

static void check_letter(rl_checker_t* c, char letter, rl_ir_t value, rl_span_t span) {
    if (letter == 0 || letter == 's' || letter == 'v' || letter == 'q') return;
    rl_later_t later = {RL_LATER_SPEC, value, 0, span, (uint32_t)(unsigned char)letter};
    if (rl_is_var(c, rl_type_at(c, value))) {
        (void)rl_vec_push(c->allocator, &c->later, later);
        return;
    }
    rl_check_spec_later(c, &later);
}

void rl_check_spec_later(rl_checker_t* c, const rl_later_t* later) {
    rl_type_t type = rl_type_at(c, later->ir);
    if (letter_takes(c, (char)later->data, type)) return;
    rl_report(c->diags, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, later->span, "%%%c cannot show %s", (char)later->data,
        rl_show(c, type));
}

/* --- interpolation ------------------------------------------------------------------------------------------------ */

/* Decoded offsets of braces that were written `\{` and `\}`: they are text, like `{{`. */
static void escaped_braces(rl_checker_t* c, rl_node_t literal, words_t* out) {
    const rl_node_data_t data = *rl_tree_node(c->tree, literal);
    if (!(data.flags & RL_ESCAPED) || data.flags & RL_RAW) return;
    rl_str_t source = c->input->source;
    uint32_t decoded = 0;
    for (size_t i = data.c; i < data.end && i < source.length && decoded < data.b;) {
        char at = source.data[i];
        if (at == '\r') { /* every line end is one LF */
            i += i + 1 < source.length && source.data[i + 1] == '\n' ? 2 : 1;
            decoded++;
            continue;
        }
        if (at != '\\' || i + 1 >= source.length) {
            i++;
            decoded++;
            continue;
        }
        char kind = source.data[i + 1];
        i += 2;
        if (kind == '{' || kind == '}') {
            (void)rl_vec_push(c->allocator, out, decoded);
            decoded++;
        } else if (kind == 'x') {
            i += 2;
            decoded++;
        } else if (kind == 'u') {
            uint32_t scalar = 0, digits = 0;
            bool braces = i < source.length && source.data[i] == '{';
            if (braces) i++;
            while (i < source.length && digits < (braces ? 6u : 4u)) {
                char digit = source.data[i];
                uint32_t value = digit >= '0' && digit <= '9'                 ? (uint32_t)(digit - '0')
                                 : (digit | 32) >= 'a' && (digit | 32) <= 'f' ? (uint32_t)((digit | 32) - 'a') + 10
                                                                              : 16;
                if (value == 16) break;
                scalar = scalar * 16 + value;
                digits++;
                i++;
            }
            if (braces && i < source.length && source.data[i] == '}') i++;
            decoded += scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4;
        } else if (kind == '\n' || kind == '\r') {
            if (kind == '\r' && i < source.length && source.data[i] == '\n') i++;
            while (i < source.length && (source.data[i] == ' ' || source.data[i] == '\t')) i++;
        } else {
            decoded++;
        }
    }
}

/* The template with escaped braces doubled; `map` gives, for each byte, its offset in the decoded text. */
static void double_braces(rl_checker_t* c, rl_str_t text, const words_t* escaped, rl_buf_t* out, words_t* map) {
    uint32_t next = 0;
    for (uint32_t i = 0; i <= text.length; i++) {
        bool twice = next < escaped->count && escaped->data[next] == i && i < text.length;
        if (twice) {
            rl_buf_add_char(out, text.data[i]);
            (void)rl_vec_push(c->allocator, map, i);
            next++;
        }
        if (i < text.length) rl_buf_add_char(out, text.data[i]);
        (void)rl_vec_push(c->allocator, map, i);
    }
}

/* Where bytes from…to of the decoded content of a literal stand in the source. */
static rl_span_t span_inside(rl_checker_t* c, rl_node_t literal, uint32_t from, uint32_t to) {
    size_t bytes = (rl_tree_string(c->tree, literal).length + 1) * sizeof(uint32_t);
    uint32_t* map = rl_alloc(c->allocator, bytes);
    if (!map) return rl_span_of(c, literal);
    rl_lex_literal_map(c->input->source, c->tree, literal, map);
    rl_span_t span = {map[from], map[to]};
    rl_free(c->allocator, map, bytes);
    return span;
}

static rl_ir_t interpolate(rl_checker_t* c, rl_node_t literal, rl_span_t span) {
    rl_parser_input_t input = {
        .allocator = c->allocator, .source = c->input->source, .symbols = c->symbols, .diags = c->diags};
    words_t pairs = {0}, escaped = {0}, map = {0};
    rl_buf_t text_buf;
    rl_buf_init(&text_buf, c->allocator);
    escaped_braces(c, literal, &escaped);
    double_braces(c, rl_tree_string(c->tree, literal), &escaped, &text_buf, &map);
    rl_str_t text = rl_buf_str(&text_buf);
    size_t offset = 0;
    bool fine = !text_buf.failed && !rl_failed(c);
    while (fine && !rl_failed(c)) {
        rl_template_part_t part = rl_template_next_braces(text, &offset);
        if (part.kind == RL_PART_END) break;
        if (part.kind == RL_PART_ERROR) {
            rl_span_t place = span_inside(c, literal, map.data[part.start], map.data[part.end]);
            rl_report(c->diags, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, place, "in this template: %s", part.error);
            fine = false;
        } else if (part.kind == RL_PART_TEXT) {
            push_text(c, &pairs, (rl_str_t){text.data + part.start, part.end - part.start}, span.start);
        } else {
            rl_node_t node = rl_parse_expression(&input, c->tree, literal, map.data[part.start], map.data[part.end]);
            if (!node) {
                fine = false;
                break;
            }
            rl_ir_t value = rl_infer_expr(c, node, 0);
            check_letter(c, part.spec.letter, value, rl_span_of(c, node));
            rl_str_t spec = {text.data + part.spec_start, part.spec_end - part.spec_start};
            (void)rl_vec_push(c->allocator, &pairs, rl_string_id(c, spec));
            (void)rl_vec_push(c->allocator, &pairs, value);
        }
    }
    rl_ir_t ir = 0;
    if (fine && !rl_failed(c)) {
        if (pairs.count == 0) ir = rl_ir_string(c, span.start, RL_STR(""));
        else if (pairs.count == 2 && pairs.data[0] == (uint32_t)LITERAL_PART) ir = pairs.data[1];
        else
            ir = rl_ir_make(
                c, RL_IR_FORMAT, RL_TYPE_STR, span.start, rl_extra_put(c, pairs.data, pairs.count), pairs.count / 2, 0);
    }
    rl_vec_deinit(c->allocator, &pairs);
    rl_vec_deinit(c->allocator, &escaped);
    rl_vec_deinit(c->allocator, &map);
    rl_buf_deinit(&text_buf);
    return ir ? ir : rl_ir_make(c, RL_IR_UNIT, RL_TYPE_STR, span.start, 0, 0, 0);
}

/* --- printf ------------------------------------------------------------------------------------------------------- */

/* A literal template and its arguments, each one an expression of its own. */
static rl_ir_t print_formatted(
    rl_checker_t* c, rl_node_t literal, const rl_ir_t* values, const rl_span_t* spans, uint32_t count, rl_span_t span) {
    words_t pairs = {0};
    uint32_t used = 0;
    size_t offset = 0;
    bool fine = true;
    rl_str_t text = rl_arena_copy(&c->program->arena, rl_tree_string(c->tree, literal));
    while (!rl_failed(c)) {
        rl_template_part_t part = rl_template_next_printf(text, &offset);
        if (part.kind == RL_PART_END) break;
        if (part.kind == RL_PART_ERROR) {
            rl_report(
                c->diags, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, rl_span_of(c, literal), "in this template: %s", part.error);
            fine = false;
            break;
        }
        if (part.kind == RL_PART_TEXT) {
            push_text(c, &pairs, (rl_str_t){text.data + part.start, part.end - part.start}, span.start);
            continue;
        }
        if (used < count) {
            check_letter(c, part.spec.letter, values[used], spans[used]);
            rl_str_t spec = {text.data + part.spec_start, part.spec_end - part.spec_start};
            if (spec.length == 1 && (spec.data[0] == 's' || spec.data[0] == 'v')) spec.length = 0;
            (void)rl_vec_push(c->allocator, &pairs, rl_string_id(c, spec));
            (void)rl_vec_push(c->allocator, &pairs, values[used]);
        }
        used++;
    }
    if (fine && used != count && !rl_failed(c)) {
        rl_report(c->diags, RL_CODE_TYPE_FORMAT_ARITY, span, "the template takes %u argument%s, found %u", used,
            used == 1 ? "" : "s", count);
        fine = false;
    }
    rl_ir_t ir = 0;
    if (fine && !rl_failed(c)) {
        ir = pairs.count ? rl_ir_make(c, RL_IR_FORMAT, RL_TYPE_STR, span.start,
                               rl_extra_put(c, pairs.data, pairs.count), pairs.count / 2, 0)
                         : rl_ir_string(c, span.start, RL_STR(""));
    }
    rl_vec_deinit(c->allocator, &pairs);
    return ir ? ir : rl_ir_make(c, RL_IR_UNIT, RL_TYPE_STR, span.start, 0, 0, 0);
}

static rl_ir_t format_dynamic(rl_checker_t* c, rl_ir_t template, rl_ir_t list, rl_span_t span) {
    rl_fn_id_t fn = rl_prelude_function(c, "format_any");
    if (!fn) {
        rl_unsupported(c, span, "format without a core library is");
        return rl_ir_error(c, span.start);
    }
    rl_ir_t values[2] = {template, list};
    return rl_ir_call(c, RL_TYPE_STR, span.start, fn, 0, values, 2);
}

static rl_node_t literal_of(rl_checker_t* c, rl_node_t node) {
    while (node && rl_tree_kind(c->tree, node) == RL_NODE_PAREN) node = rl_tree_node(c->tree, node)->a;
    return node && rl_tree_kind(c->tree, node) == RL_NODE_STRING ? node : 0;
}

static rl_ir_t arg_ir(rl_checker_t* c, rl_arg_t* arg) {
    if (!arg->ir) arg->ir = rl_infer_expr(c, arg->node, 0);
    return arg->ir;
}

rl_ir_t rl_check_format(rl_checker_t* c, rl_arg_t* args, uint32_t count, rl_node_t node, rl_span_t span) {
    (void)node;
    const rl_known_t* known = &c->program->known;
    for (uint32_t i = 0; i < count; i++) {
        if (!args[i].name) continue;
        rl_str_t text = rl_text(c, args[i].name);
        rl_report(c->diags, RL_CODE_TYPE_CALL_UNKNOWN_ARG, args[i].name_span, "format has no parameter %.*s",
            RL_STR_ARG(text));
        rl_infer_args(c, args, count);
        return rl_ir_error(c, span.start);
    }
    if (count == 0) {
        rl_report(c->diags, RL_CODE_TYPE_CALL_ARITY, span, "format takes at least 1 argument, found 0");
        return rl_ir_error(c, span.start);
    }
    rl_node_t literal = literal_of(c, args[0].node);
    if (count == 1) {
        if (literal) return interpolate(c, literal, span);
        return rl_convert(c, arg_ir(c, &args[0]), RL_TYPE_STR, args[0].span, RL_CODE_TYPE_MISMATCH);
    }
    rl_ir_t template =
        literal ? 0 : rl_convert(c, arg_ir(c, &args[0]), RL_TYPE_STR, args[0].span, RL_CODE_TYPE_MISMATCH);
    RL_VEC(rl_ir_t) values = {0};
    RL_VEC(rl_span_t) spans = {0};
    rl_ir_t list = 0, ir = 0;
    rl_node_t second = args[1].node;
    while (second && rl_tree_kind(c->tree, second) == RL_NODE_PAREN) second = rl_tree_node(c->tree, second)->a;
    if (count == 2 && !args[1].ir && second && rl_tree_kind(c->tree, second) == RL_NODE_LIST) {
        rl_list_t items = rl_tree_node(c->tree, second)->a;
        uint32_t item_count = rl_tree_list_count(c->tree, items);
        for (uint32_t i = 0; i < item_count && !rl_failed(c); i++) {
            rl_node_t item = rl_tree_list_at(c->tree, items, i);
            (void)rl_vec_push(c->allocator, &values, rl_infer_expr(c, item, 0));
            (void)rl_vec_push(c->allocator, &spans, rl_span_of(c, item));
        }
    } else {
        for (uint32_t i = 1; i < count && !rl_failed(c); i++) {
            (void)rl_vec_push(c->allocator, &values, arg_ir(c, &args[i]));
            (void)rl_vec_push(c->allocator, &spans, args[i].span);
        }
        if (count == 2 && !rl_failed(c)) {
            rl_type_t type = rl_settled_type(c, values.data[0]);
            if (rl_is_named(c, type, known->list, NULL, NULL))
                list = rl_convert(
                    c, values.data[0], rl_named1(c, known->list, RL_TYPE_ANY), args[1].span, RL_CODE_TYPE_MISMATCH);
        }
    }
    if (rl_failed(c)) {
        ir = rl_ir_error(c, span.start);
    } else if (literal && !list) {
        ir = print_formatted(c, literal, values.data, spans.data, values.count, span);
    } else {
        if (!template) template = rl_ir_string(c, span.start, rl_tree_string(c->tree, literal));
        if (!list) {
            for (uint32_t i = 0; i < values.count; i++)
                values.data[i] = rl_convert(c, values.data[i], RL_TYPE_ANY, spans.data[i], RL_CODE_TYPE_MISMATCH);
            list = rl_ir_make(c, RL_IR_LIST, rl_named1(c, known->list, RL_TYPE_ANY), span.start,
                rl_extra_put(c, values.data, values.count), values.count, 0);
        }
        ir = format_dynamic(c, template, list, span);
    }
    rl_vec_deinit(c->allocator, &values);
    rl_vec_deinit(c->allocator, &spans);
    return ir;
}
