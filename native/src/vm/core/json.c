/* Json (LANGUAGE 8.9): text to values and back, data to Json. Explicit stacks: values may nest as deep as they like. */
#include "vm/core/json.h"

#include "base/json.h"
#include "base/number.h"
#include "base/utf8.h"
#include "vm/builtin.h"
#include "vm/core/basic.h"
#include "vm/core/border.h"
#include "vm/core/collections.h"
#include "vm/core/keyed.h"
#include "vm/core/list.h"
#include "vm/string.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/json.def"
#undef BUILTIN

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)

enum { PARSE_DEPTH_MOST = 1000 };

/* In the order of the prelude's declaration. */
typedef enum json_tag { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_tag_t;

static rl_outcome_t make(rl_vm_t* vm, const rl_rtype_t* json, json_tag_t tag, rl_word_t payload, rl_word_t* out) {
    if (tag != JSON_NULL) return rl_object_variant(vm, &json->shapes[tag], payload, out);
    out->o = &rl_nullary_objects[JSON_NULL];
    return RL_DONE;
}

static const rl_rtype_t* payload_type(const rl_rtype_t* json, json_tag_t tag) {
    return json->shapes[tag].fields[0].type;
}
static rl_word_t payload_of(const rl_rtype_t* json, rl_object_t* value) {
    return rl_object_words(value)[json->shapes[value->tag].fields[0].slot];
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

/* 3 and not 3.0; what is no number of JSON becomes null. */
static void add_number(rl_buf_t* out, double value) {
    char text[RL_F64_TEXT];
    size_t length = rl_f64_print(value, text);
    if (!isfinite(value)) {
        rl_buf_add(out, RL_STR("null"));
        return;
    }
    if (length > 2 && text[length - 2] == '.' && text[length - 1] == '0') length -= 2;
    rl_buf_add(out, (rl_str_t){text, length});
}

static void add_string(rl_buf_t* out, rl_str_t text) {
    rl_json_t json = rl_json_begin(out);
    rl_json_string(&json, text);
}

rl_outcome_t rl_json_text(rl_vm_t* vm, const rl_rtype_t* json, rl_word_t value, rl_buf_t* out) {
    RL_VEC(rl_cursor_t) open = {0}; /* arrays and objects around the value being written */
    rl_outcome_t outcome = RL_DONE;
    for (bool more = true; more && outcome == RL_DONE && !out->failed;) {
        size_t before = out->length;
        rl_object_t* object = value.o;
        bool entered = false;
        switch ((json_tag_t)object->tag) {
        case JSON_NULL: rl_buf_add(out, RL_STR("null")); break;
        case JSON_BOOL: rl_buf_add_cstr(out, payload_of(json, object).i ? "true" : "false"); break;
        case JSON_NUMBER: add_number(out, payload_of(json, object).f); break;
        case JSON_STRING: add_string(out, rl_string_str(payload_of(json, object).o)); break;
        case JSON_ARRAY:
        case JSON_OBJECT: {
            rl_cursor_t cursor;
            rl_cursor_begin(&cursor, payload_of(json, object).o);
            rl_buf_add_char(out, object->tag == JSON_ARRAY ? '[' : '{');
            if (!rl_vec_push(vm->allocator, &open, cursor)) outcome = RL_COLLECT;
            entered = true;
        }
        }
        for (more = false; open.count && outcome == RL_DONE && !more;) { /* the next value, or out of what has ended */
            rl_cursor_t* cursor = &rl_vec_last(&open);
            bool is_map = cursor->source->kind == RL_OBJ_MAP;
            rl_word_t key, member;
            if (!rl_cursor_next(cursor, &key, &member)) {
                rl_buf_add_char(out, is_map ? '}' : ']');
                open.count--;
                entered = false;
                continue;
            }
            if (!entered) rl_buf_add_char(out, ',');
            if (is_map) {
                add_string(out, rl_string_str(key.o));
                rl_buf_add_char(out, ':');
            }
            value = is_map ? member : key;
            more = true;
        }
        if (outcome == RL_DONE && !rl_vm_charge(vm, 1 + (out->length - before) / 16)) outcome = RL_RAISE;
    }
    rl_vec_deinit(vm->allocator, &open);
    return outcome;
}

/* --- parsing ---------------------------------------------------------------------------------------------------------- */

typedef struct parser {
    rl_vm_t* vm;
    const rl_rtype_t* json;
    rl_str_t text;
    size_t at;
    char problem[120];
    RL_VEC(rl_word_t) words; /* finished values of the open containers; keys before their values */
    RL_VEC(uint32_t) open;   /* containers: first word << 1 | is object */
    rl_buf_t scratch;        /* a string with escapes */
} parser_t;

/* Wrong text: parsing ends with Err. */
static rl_outcome_t wrong(parser_t* p, const char* format, ...) RL_PRINTF(2, 3);
static rl_outcome_t wrong(parser_t* p, const char* format, ...) {
    char what[80];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    size_t line = 1, start = 0;
    for (size_t i = 0; i < p->at && i < p->text.length; i++) {
        if (p->text.data[i] != '\n') continue;
        line++;
        start = i + 1;
    }
    size_t end = p->at < p->text.length ? p->at : p->text.length;
    size_t column = 1 + rl_utf8_count((rl_str_t){p->text.data + start, end - start});
    snprintf(p->problem, sizeof p->problem, "line %zu, column %zu: %s", line, column, what);
    return RL_RAISE;
}

static int peek(const parser_t* p) { return p->at < p->text.length ? (unsigned char)p->text.data[p->at] : -1; }

static void skip_blanks(parser_t* p) {
    while (p->at < p->text.length) {
        char c = p->text.data[p->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
        p->at++;
    }
}

static int hex_digit(int c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex4(parser_t* p, uint32_t* out) {
    *out = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        int digit = hex_digit(peek(p));
        if (digit < 0) return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

/* After `\`. */
static rl_outcome_t read_escape(parser_t* p) {
    int c = peek(p);
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    for (size_t i = 0; i + 1 < sizeof plain; i += 2) {
        if (c != plain[i]) continue;
        rl_buf_add_char(&p->scratch, plain[i + 1]);
        p->at++;
        return RL_DONE;
    }
    if (c != 'u') return wrong(p, "unknown escape in a string");
    p->at++;
    uint32_t unit, low;
    if (!read_hex4(p, &unit)) return wrong(p, "\\u needs four hexadecimal digits");
    if (unit >= 0xD800 && unit < 0xDC00) {
        bool pair = peek(p) == '\\' && p->at + 1 < p->text.length && p->text.data[p->at + 1] == 'u';
        if (pair) p->at += 2;
        if (!pair || !read_hex4(p, &low) || low < 0xDC00 || low > 0xDFFF) return wrong(p, "half of a surrogate pair");
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    } else if (unit >= 0xDC00 && unit < 0xE000) {
        return wrong(p, "half of a surrogate pair");
    }
    rl_buf_add_utf8(&p->scratch, unit);
    return RL_DONE;
}

/* At the opening quote; *out becomes a Str object. */
static rl_outcome_t read_string(parser_t* p, rl_word_t* out) {
    size_t start = ++p->at;
    bool escaped = false;
    rl_buf_clear(&p->scratch);
    for (;;) {
        int c = peek(p);
        if (c < 0) return wrong(p, "unterminated string");
        if (c < 0x20) return wrong(p, "control character in a string");
        if (c != '"' && c != '\\') {
            p->at++;
            continue;
        }
        if (escaped || c == '\\') rl_buf_add(&p->scratch, (rl_str_t){p->text.data + start, p->at - start});
        if (c == '"') break;
        escaped = true;
        p->at++;
        rl_outcome_t outcome = read_escape(p);
        if (outcome != RL_DONE) return outcome;
        start = p->at;
    }
    if (p->scratch.failed) return RL_COLLECT;
    rl_str_t text = escaped ? rl_buf_str(&p->scratch) : (rl_str_t){p->text.data + start, p->at - start};
    p->at++;
    out->o = rl_string_new(p->vm, text, RL_OBJ_STR);
    return out->o ? RL_DONE : RL_COLLECT;
}

static rl_outcome_t read_number(parser_t* p, rl_word_t* out) {
    size_t start = p->at;
    bool negative = peek(p) == '-', fraction = false;
    p->at += negative;
    size_t digits = p->at;
    if (peek(p) == '0') p->at++;
    else
        while (peek(p) >= '0' && peek(p) <= '9') p->at++;
    if (p->at == digits) return wrong(p, "a number needs a digit here");
    if (peek(p) == '.') {
        fraction = true;
        size_t first = ++p->at;
        while (peek(p) >= '0' && peek(p) <= '9') p->at++;
        if (p->at == first) return wrong(p, "a number needs a digit here");
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->at++;
        if (peek(p) == '+' || peek(p) == '-') p->at++;
        size_t first = p->at;
        while (peek(p) >= '0' && peek(p) <= '9') p->at++;
        if (p->at == first) return wrong(p, "a number needs a digit here");
    } else if (!fraction && p->at - digits <= 15) {
        int64_t small = 0;
        for (size_t i = digits; i < p->at; i++) small = small * 10 + (p->text.data[i] - '0');
        out->f = negative ? -(double)small : (double)small;
        return RL_DONE;
    }
    if (!rl_vm_charge(p->vm, (p->at - start) / 4)) return RL_RAISE;
    double value = rl_f64_parse((rl_str_t){p->text.data + digits, p->at - digits});
    if (!isfinite(value)) {
        p->at = start;
        return wrong(p, "a number that no Float holds");
    }
    out->f = negative ? -value : value;
    return RL_DONE;
}

static bool read_word(parser_t* p, const char* word) {
    size_t length = strlen(word);
    if (p->text.length - p->at < length || memcmp(p->text.data + p->at, word, length) != 0) return false;
    p->at += length;
    return true;
}

static rl_outcome_t push_word(parser_t* p, rl_word_t word) {
    return rl_vec_push(p->vm->allocator, &p->words, word) ? RL_DONE : RL_COLLECT;
}

/* A key and its colon. */
static rl_outcome_t read_key(parser_t* p) {
    skip_blanks(p);
    if (peek(p) != '"') return wrong(p, "expected a key in quotes");
    rl_word_t key;
    rl_outcome_t outcome = read_string(p, &key);
    if (outcome != RL_DONE) return outcome;
    skip_blanks(p);
    if (peek(p) != ':') return wrong(p, "expected `:`");
    p->at++;
    return push_word(p, key);
}

/* The innermost container has ended. */
static rl_outcome_t close_container(parser_t* p, rl_word_t* out) {
    uint32_t open = rl_vec_pop(&p->open), first = open >> 1;
    json_tag_t tag = open & 1 ? JSON_OBJECT : JSON_ARRAY;
    rl_word_t built;
    rl_outcome_t outcome =
        rl_border_build(p->vm, payload_type(p->json, tag), p->words.data + first, p->words.count - first, &built);
    p->words.count = first;
    return outcome == RL_DONE ? make(p->vm, p->json, tag, built, out) : outcome;
}

/* A scalar, or a container that is empty: *out. Else a container was opened and its first element comes next. */
static rl_outcome_t read_value(parser_t* p, rl_word_t* out, bool* out_opened) {
    skip_blanks(p);
    *out_opened = false;
    rl_word_t payload = {0};
    rl_outcome_t outcome = RL_DONE;
    int c = peek(p);
    switch (c) {
    case 'n':
        if (read_word(p, "null")) return make(p->vm, p->json, JSON_NULL, payload, out);
        break;
    case 't':
    case 'f':
        payload.i = c == 't';
        if (read_word(p, c == 't' ? "true" : "false")) return make(p->vm, p->json, JSON_BOOL, payload, out);
        break;
    case '"':
        outcome = read_string(p, &payload);
        return outcome == RL_DONE ? make(p->vm, p->json, JSON_STRING, payload, out) : outcome;
    case '[':
    case '{': {
        if (p->open.count >= PARSE_DEPTH_MOST) return wrong(p, "nested deeper than %d", PARSE_DEPTH_MOST);
        p->at++;
        if (!rl_vec_push(p->vm->allocator, &p->open, p->words.count << 1 | (c == '{'))) return RL_COLLECT;
        skip_blanks(p);
        if (peek(p) == (c == '{' ? '}' : ']')) {
            p->at++;
            return close_container(p, out);
        }
        *out_opened = true;
        return c == '{' ? read_key(p) : RL_DONE;
    }
    default:
        if (c != '-' && (c < '0' || c > '9')) break;
        outcome = read_number(p, &payload);
        return outcome == RL_DONE ? make(p->vm, p->json, JSON_NUMBER, payload, out) : outcome;
    }
    return wrong(p, c < 0 ? "expected a value, found the end" : "expected a value");
}

static rl_outcome_t parse(parser_t* p, rl_word_t* out) {
    for (;;) {
        size_t before = p->at;
        bool opened;
        rl_outcome_t outcome = read_value(p, out, &opened);
        while (outcome == RL_DONE && !opened) { /* a value is complete */
            if (p->open.count == 0) {
                skip_blanks(p);
                return p->at == p->text.length ? RL_DONE : wrong(p, "text after the value");
            }
            bool is_object = rl_vec_last(&p->open) & 1;
            outcome = push_word(p, *out);
            skip_blanks(p);
            int c = peek(p);
            if (outcome != RL_DONE) break;
            if (c == ',') {
                p->at++;
                if (is_object) outcome = read_key(p);
                break;
            }
            if (c != (is_object ? '}' : ']'))
                return wrong(p, is_object ? "expected `,` or `}`" : "expected `,` or `]`");
            p->at++;
            outcome = close_container(p, out);
        }
        if (outcome != RL_DONE) return outcome;
        if (!rl_vm_charge(p->vm, 2 + (p->at - before) / 16)) return RL_RAISE;
    }
}

FN(rl_core_json_parse) {
    const rl_rshape_t* good = rl_shape_named(site->result_type, RL_STR("Ok"));
    const rl_rshape_t* bad = rl_shape_named(site->result_type, RL_STR("Err"));
    parser_t p = {.vm = vm, .json = good->fields[0].type, .text = rl_string_str(args[0].o)};
    rl_buf_init(&p.scratch, vm->allocator);
    rl_word_t value;
    rl_outcome_t outcome = parse(&p, &value);
    if (p.problem[0]) {
        value.o = rl_string_new(vm, rl_str(p.problem), RL_OBJ_STR);
        outcome = value.o ? rl_object_variant(vm, bad, value, result) : RL_COLLECT;
    } else if (outcome == RL_DONE) {
        outcome = rl_object_variant(vm, good, value, result);
    }
    rl_buf_deinit(&p.scratch);
    rl_vec_deinit(vm->allocator, &p.words);
    rl_vec_deinit(vm->allocator, &p.open);
    return outcome;
}

/* --- data to Json ----------------------------------------------------------------------------------------------------- */

static rl_outcome_t exact_float(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, double* out) {
    bool exact;
    if (type->kind == RL_TYPE_U64) {
        *out = (double)value.u;
        exact = *out < 18446744073709551616.0 && (uint64_t)*out == value.u;
        if (!exact) {
            return rl_vm_raise(
                vm, RL_CODE_E7102, "no Float is exactly %llu, as Json needs", (unsigned long long)value.u);
        }
        return RL_DONE;
    }
    *out = (double)value.i;
    exact = *out < 9223372036854775808.0 && (int64_t)*out == value.i;
    return exact ? RL_DONE
                 : rl_vm_raise(vm, RL_CODE_E7102, "no Float is exactly %lld, as Json needs", (long long)value.i);
}

FN(rl_core_json_number) { return exact_float(vm, site->arg_types[0], args[0], &result->f); }

typedef struct source {
    const rl_rtype_t* type;
    rl_object_t* object;
    rl_cursor_t cursor;       /* List, Map */
    const rl_rshape_t* shape; /* record */
    uint32_t next;            /* its next field */
    uint32_t first;           /* word of its first element */
} source_t;

typedef struct maker {
    rl_vm_t* vm;
    const rl_rtype_t* json;
    RL_VEC(source_t) open;
    RL_VEC(rl_word_t) words;
} maker_t;

static rl_outcome_t enter(maker_t* m, const rl_rtype_t* type, rl_object_t* object, const rl_rshape_t* shape) {
    source_t source = {.type = type, .object = object, .shape = shape, .first = m->words.count};
    if (!shape) rl_cursor_begin(&source.cursor, object);
    return rl_vec_push(m->vm->allocator, &m->open, source) ? RL_DONE : RL_COLLECT;
}

/* A scalar at once, or a container is entered. */
static rl_outcome_t begin(maker_t* m, const rl_rtype_t* type, rl_word_t value, rl_word_t* out, bool* out_entered) {
    *out_entered = false;
    for (;;) { /* Any and Some(x) are what is in them */
        if (type->kind == RL_TYPE_ANY) {
            rl_object_t* any = value.o;
            type = rl_object_words(any)[1].p;
            value = rl_object_words(any)[0];
            continue;
        }
        bool option = type->kind == RL_TYPE_NAMED && type->def_kind == RL_DEF_SUM && type->shape_count == 2 &&
                      rl_str_equal(type->name, RL_STR("Option"));
        if (!option || type->is_enum) break;
        const rl_rshape_t* shape = &type->shapes[value.o->tag];
        if (shape->field_count == 0) return make(m->vm, m->json, JSON_NULL, value, out);
        value = rl_object_words(value.o)[shape->fields[0].slot];
        type = shape->fields[0].type;
    }
    if (type == m->json || type->type == m->json->type) {
        rl_share(value.o);
        *out = value;
        return RL_DONE;
    }
    rl_word_t payload = value;
    if (rl_type_is_integer(type->kind)) {
        rl_outcome_t outcome = exact_float(m->vm, type, value, &payload.f);
        return outcome == RL_DONE ? make(m->vm, m->json, JSON_NUMBER, payload, out) : outcome;
    }
    switch (type->kind) {
    case RL_TYPE_UNIT: return make(m->vm, m->json, JSON_NULL, payload, out);
    case RL_TYPE_BOOL: return make(m->vm, m->json, JSON_BOOL, payload, out);
    case RL_TYPE_F32:
    case RL_TYPE_F64: return make(m->vm, m->json, JSON_NUMBER, payload, out);
    case RL_TYPE_STR: rl_share(value.o); return make(m->vm, m->json, JSON_STRING, payload, out);
    case RL_TYPE_RECORD: *out_entered = true; return enter(m, type, value.o, &type->shapes[0]);
    case RL_TYPE_NAMED:
        *out_entered = true;
        if (type->def_kind == RL_DEF_RECORD) return enter(m, type, value.o, &type->shapes[0]);
        if (type->def_kind != RL_DEF_BUILTIN) break;
        if (type->builtin == RL_BUILTIN_LIST) return enter(m, type, value.o, NULL);
        if (type->builtin == RL_BUILTIN_MAP && type->args[0]->kind == RL_TYPE_STR) return enter(m, type, value.o, NULL);
        break;
    default: break;
    }
    return rl_vm_raise(
        m->vm, RL_CODE_TYPE_JSON_UNSUPPORTED, "a value of type %.*s cannot become Json", RL_STR_ARG(type->name));
}

/* The next element of the innermost container; false: it has ended. */
static bool next_element(source_t* s, rl_word_t* out_key, rl_word_t* out_value, const rl_rtype_t** out_type) {
    if (s->shape) {
        if (s->next >= s->shape->field_count) return false;
        const rl_rfield_t* field = &s->shape->fields[s->next++];
        *out_value = rl_object_words(s->object)[field->slot];
        *out_type = field->type;
        return true;
    }
    bool is_map = s->type->builtin == RL_BUILTIN_MAP;
    rl_word_t key, value;
    if (!rl_cursor_next(&s->cursor, &key, &value)) return false;
    if (is_map) rl_share(key.o);
    *out_key = key;
    *out_value = is_map ? value : key;
    *out_type = s->type->args[is_map ? 1 : 0];
    return true;
}

static rl_outcome_t convert(maker_t* m, const rl_rtype_t* type, rl_word_t value, rl_word_t* out) {
    bool entered;
    rl_outcome_t outcome = begin(m, type, value, out, &entered);
    while (outcome == RL_DONE && m->open.count) {
        source_t* s = &rl_vec_last(&m->open);
        json_tag_t tag = s->shape || s->type->builtin == RL_BUILTIN_MAP ? JSON_OBJECT : JSON_ARRAY;
        if (!entered && !rl_vec_push(m->vm->allocator, &m->words, *out)) return RL_COLLECT;
        rl_word_t key = {0}, element;
        const rl_rtype_t* element_type;
        if (next_element(s, &key, &element, &element_type)) {
            if (s->shape) {
                key.o = rl_string_new(m->vm, s->shape->fields[s->next - 1].name, RL_OBJ_STR);
                if (!key.o) return RL_COLLECT;
            }
            if (tag == JSON_OBJECT && !rl_vec_push(m->vm->allocator, &m->words, key)) return RL_COLLECT;
            outcome = rl_vm_charge(m->vm, 2) ? begin(m, element_type, element, out, &entered) : RL_RAISE;
            continue;
        }
        rl_word_t built;
        uint32_t first = s->first;
        outcome =
            rl_border_build(m->vm, payload_type(m->json, tag), m->words.data + first, m->words.count - first, &built);
        if (outcome == RL_DONE) outcome = make(m->vm, m->json, tag, built, out);
        m->words.count = first;
        m->open.count--;
        entered = false;
    }
    return outcome;
}

FN(rl_core_json_of) {
    maker_t m = {.vm = vm, .json = site->result_type};
    rl_outcome_t outcome = convert(&m, site->arg_types[0], args[0], result);
    rl_vec_deinit(vm->allocator, &m.open);
    rl_vec_deinit(vm->allocator, &m.words);
    return outcome;
}
