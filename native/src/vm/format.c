#include "vm/format.h"

#include "base/utf8.h"
#include "vm/arith.h"
#include "vm/core/border.h"
#include "vm/core/collections.h"
#include "vm/string.h"

#include <stdio.h>

static rl_outcome_t mismatch(rl_vm_t* vm, const rl_rtype_t* type, char letter) {
    return rl_vm_raise(vm, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, "`%%%c` cannot show a value of type %.*s", letter,
        RL_STR_ARG(type->name));
}

/* prefix (sign, 0x) and body, padded to the width: zeros come between the two. */
static void add_padded(rl_buf_t* out, const rl_format_spec_t* spec, rl_str_t prefix, rl_str_t body, bool zeros) {
    size_t length = prefix.length + rl_utf8_count(body);
    size_t padding = spec->width > length ? spec->width - length : 0;
    if (!spec->minus && !zeros) rl_buf_add_repeat(out, ' ', padding);
    rl_buf_add(out, prefix);
    if (!spec->minus && zeros) rl_buf_add_repeat(out, '0', padding);
    rl_buf_add(out, body);
    if (spec->minus) rl_buf_add_repeat(out, ' ', padding);
}

static void format_integer(rl_buf_t* out, const rl_format_spec_t* spec, char letter, unsigned kind, rl_word_t value) {
    bool is_signed = kind >= RL_TYPE_I8 && kind <= RL_TYPE_I64;
    bool decimal = letter == 'd' || letter == 'i';
    bool negative = decimal && is_signed && value.i < 0;
    uint64_t magnitude = value.u;
    if (negative) magnitude = 0 - magnitude;
    else if (!decimal)
        magnitude &= rl_integer_max(kind == RL_TYPE_I64 ? RL_TYPE_U64
                                    : is_signed         ? kind + (RL_TYPE_U8 - RL_TYPE_I8)
                                                        : kind);
    unsigned base = letter == 'x' || letter == 'X' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    const char* digits = letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[65];
    size_t at = sizeof text;
    for (uint64_t rest = magnitude; rest != 0; rest /= base) text[--at] = digits[rest % base];
    if (magnitude == 0 && !(spec->has_precision && spec->precision == 0)) text[--at] = '0';
    size_t count = sizeof text - at;
    char prefix[3];
    size_t prefix_length = 0;
    if (negative) prefix[prefix_length++] = '-';
    else if (decimal && spec->plus) prefix[prefix_length++] = '+';
    else if (decimal && spec->space) prefix[prefix_length++] = ' ';
    if (spec->alternate && letter == 'o') { /* the first digit is a zero */
        if ((count == 0 || text[at] != '0') && (!spec->has_precision || spec->precision <= count)) {
            text[--at] = '0';
            count++;
        }
    } else if (spec->alternate && magnitude != 0 && !decimal && letter != 'u') {
        prefix[prefix_length++] = '0';
        prefix[prefix_length++] = letter;
    }
    rl_str_t body = {text + at, count};
    if (!spec->has_precision || spec->precision <= count) {
        add_padded(out, spec, (rl_str_t){prefix, prefix_length}, body, spec->zero && !spec->has_precision);
        return;
    }
    /* At least `precision` digits. */
    size_t zeros = spec->precision - count, total = prefix_length + spec->precision;
    size_t padding = spec->width > total ? spec->width - total : 0;
    if (!spec->minus) rl_buf_add_repeat(out, ' ', padding);
    rl_buf_add(out, (rl_str_t){prefix, prefix_length});
    rl_buf_add_repeat(out, '0', zeros);
    rl_buf_add(out, body);
    if (spec->minus) rl_buf_add_repeat(out, ' ', padding);
}

static void format_float(rl_buf_t* out, const rl_format_spec_t* spec, char letter, double value) {
    char directive[8];
    size_t n = 0;
    directive[n++] = '%';
    if (spec->alternate) directive[n++] = '#';
    directive[n++] = '.';
    directive[n++] = '*';
    directive[n++] = letter;
    directive[n] = '\0';
    int precision = spec->has_precision ? (int)spec->precision : 6;
    bool negative = value < 0 || (value == 0 && 1 / value < 0);
    rl_buf_t body;
    rl_buf_init(&body, out->allocator);
    int length = snprintf(NULL, 0, directive, precision, negative ? -value : value);
    if (length < 0 || !rl_buf_reserve(&body, (size_t)length)) {
        out->failed = true;
        rl_buf_deinit(&body);
        return;
    }
    snprintf(body.data, (size_t)length + 1, directive, precision, negative ? -value : value);
    body.length = (size_t)length;
    /* The host's locale may have put another decimal separator. */
    size_t read = 0, write = 0;
    bool replaced = false;
    for (; read < body.length; read++) {
        char c = body.data[read];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '-';
        if (!plain && replaced) continue;
        if (!plain) replaced = true;
        body.data[write++] = plain ? c : '.';
    }
    body.length = write;
    char sign = negative ? '-' : spec->plus ? '+' : spec->space ? ' ' : '\0';
    bool finite = value - value == 0;
    add_padded(out, spec, (rl_str_t){&sign, sign != '\0'}, rl_buf_str(&body), spec->zero && finite);
    rl_buf_deinit(&body);
}

static rl_outcome_t format_text(
    rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, const rl_format_spec_t* spec, bool debug, rl_buf_t* out) {
    if (spec->width == 0 && !spec->has_precision) return rl_value_print(vm, type, value, debug, out);
    rl_buf_t body;
    rl_buf_init(&body, vm->allocator);
    rl_outcome_t outcome = rl_value_print(vm, type, value, debug, &body);
    if (outcome == RL_DONE) {
        rl_str_t text = rl_buf_str(&body);
        if (spec->has_precision) text.length = rl_utf8_offset_of(text, spec->precision);
        add_padded(out, spec, RL_STR(""), text, false);
    }
    rl_buf_deinit(&body);
    return outcome;
}

rl_outcome_t rl_value_format(
    rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, const rl_format_spec_t* spec, rl_buf_t* out) {
    while (type->kind == RL_TYPE_ANY) {
        type = rl_object_words(value.o)[1].p;
        value = rl_object_words(value.o)[0];
    }
    bool is_integer = rl_type_is_integer(type->kind), is_float = rl_type_is_float(type->kind);
    char letter = spec->letter;
    if (letter == '\0') letter = is_integer ? 'd' : is_float && spec->has_precision ? 'f' : 's';
    switch (letter) {
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'b':
        if (!is_integer) return mismatch(vm, type, letter);
        format_integer(out, spec, letter, type->kind, value);
        break;
    case 'f':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
        if (!is_integer && !is_float) return mismatch(vm, type, letter);
        format_float(out, spec, letter,
            is_float                    ? value.f
            : type->kind == RL_TYPE_U64 ? (double)value.u
                                        : (double)value.i);
        break;
    case 'c':
        if (type->kind != RL_TYPE_CHAR) return mismatch(vm, type, letter);
        return format_text(vm, type, value, spec, false, out);
    case 'q': return format_text(vm, type, value, spec, true, out);
    default: return format_text(vm, type, value, spec, false, out);
    }
    return rl_vm_charge(vm, 1 + spec->width / 16) ? RL_DONE : RL_RAISE;
}

/* A FormatText of the core library: the text the value showed itself with. */
static void take_shown(const rl_rtype_t** type, rl_word_t* value, bool debug) {
    static const rl_rtype_t text = {.kind = RL_TYPE_STR, .rep = RL_REP_R, .type = RL_TYPE_STR};
    const rl_rtype_t* inner = rl_object_words(value->o)[1].p;
    if (inner->def_kind != RL_DEF_RECORD || !inner->is_shown_text) return;
    *value = rl_object_words(rl_object_words(value->o)[0].o)[debug ? 0 : 1];
    *type = &text;
}

rl_outcome_t rl_format_template(rl_vm_t* vm, rl_str_t text, rl_object_t* arguments, rl_buf_t* out) {
    static const rl_rtype_t any = {.kind = RL_TYPE_ANY, .rep = RL_REP_R, .type = RL_TYPE_ANY};
    uint32_t given = rl_collection_length(arguments), used = 0;
    rl_cursor_t cursor;
    rl_cursor_begin(&cursor, arguments);
    if (!rl_vm_charge(vm, 1 + text.length / 16)) return RL_RAISE;
    size_t offset = 0;
    for (;;) {
        rl_template_part_t part = rl_template_next_printf(text, &offset);
        if (part.kind == RL_PART_END) break;
        if (part.kind == RL_PART_TEXT) {
            rl_buf_add(out, (rl_str_t){text.data + part.start, part.end - part.start});
            continue;
        }
        if (part.kind != RL_PART_DIRECTIVE) {
            return rl_vm_raise(vm, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, "malformed directive in a format template: %s",
                part.error ? part.error : "unknown letter");
        }
        rl_word_t value, unused;
        used++;
        if (!rl_cursor_next(&cursor, &value, &unused)) continue; /* counted, reported below */
        const rl_rtype_t* type = &any;
        take_shown(&type, &value, part.spec.letter == 'q');
        if (type != &any && part.spec.letter == 'q') part.spec.letter = 's';
        rl_outcome_t outcome = rl_value_format(vm, type, value, &part.spec, out);
        if (outcome != RL_DONE) return outcome;
    }
    if (used == given) return RL_DONE;
    return rl_vm_raise(vm, RL_CODE_TYPE_FORMAT_ARITY, "format template takes %u argument%s, but %u %s given", used,
        used == 1 ? "" : "s", given, given == 1 ? "was" : "were");
}

/* --- conversion -------------------------------------------------------------------------------------------------- */

enum { MOST_NESTING = 1000 };

static rl_outcome_t convert(
    rl_vm_t* vm, const rl_rtype_t* from, const rl_rtype_t* to, rl_word_t value, unsigned depth, rl_word_t* out);

rl_outcome_t rl_value_to_any(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, rl_word_t* out) {
    if (type->kind == RL_TYPE_ANY) {
        *out = value;
        return RL_DONE;
    }
    rl_object_t* any = rl_heap_new(&vm->heap, RL_OBJ_ANY, 0, type->rep == RL_REP_R, 2);
    if (!any) return RL_COLLECT;
    rl_object_words(any)[0] = value;
    rl_object_words(any)[1].p = (void*)(uintptr_t)type;
    out->o = any;
    return RL_DONE;
}

/* Must a value of type `from` be rebuilt to be one of type `to`? Both are the same apart from inner Any and record
   names. */
static bool differs(const rl_rtype_t* from, const rl_rtype_t* to, unsigned depth) {
    if (from == to || from->type == to->type) return false;
    if (to->kind == RL_TYPE_ANY || from->kind == RL_TYPE_ANY) return from->kind != to->kind;
    if (depth > 32) return true; /* a recursive type: decided value by value */
    if (from->kind == RL_TYPE_FUNCTION || from->has_identity) return false;
    if (from->shape_count && from->shape_count == to->shape_count) {
        for (unsigned i = 0; i < from->shape_count; i++) {
            const rl_rshape_t *a = &from->shapes[i], *b = &to->shapes[i];
            for (unsigned f = 0; f < a->field_count && f < b->field_count; f++) {
                if (differs(a->fields[f].type, b->fields[f].type, depth + 1)) return true;
            }
        }
        return false;
    }
    if (from->payload && to->payload) return differs(from->payload, to->payload, depth + 1);
    for (unsigned i = 0; i < from->arg_count && i < to->arg_count; i++) {
        if (differs(from->args[i], to->args[i], depth + 1)) return true;
    }
    return false;
}

static rl_outcome_t convert_shape(
    rl_vm_t* vm, const rl_rshape_t* from, const rl_rshape_t* to, rl_object_t* object, unsigned depth, rl_word_t* out) {
    if (from->field_count == 0) {
        out->o = object;
        return RL_DONE;
    }
    rl_object_t* copy = rl_heap_new(&vm->heap, RL_OBJ_CELLS, to->tag, to->refs, to->words);
    if (!copy) return RL_COLLECT;
    for (unsigned i = 0; i < from->field_count && i < to->field_count; i++) {
        const rl_rfield_t *a = &from->fields[i], *b = &to->fields[i];
        rl_outcome_t outcome =
            convert(vm, a->type, b->type, rl_object_words(object)[a->slot], depth + 1, &rl_object_words(copy)[b->slot]);
        if (outcome != RL_DONE) return outcome; /* what is not filled in yet is zero: a valid object */
        if (b->type->rep == RL_REP_R) rl_share(rl_object_words(copy)[b->slot].o);
    }
    out->o = copy;
    return RL_DONE;
}

static rl_outcome_t convert_collection(
    rl_vm_t* vm, const rl_rtype_t* from, const rl_rtype_t* to, rl_object_t* object, unsigned depth, rl_word_t* out) {
    bool pairs = from->builtin == RL_BUILTIN_MAP || from->builtin == RL_BUILTIN_TABLE;
    size_t count = (size_t)rl_collection_length(object) * (pairs ? 2 : 1), at = 0;
    if (!rl_vm_charge(vm, 1 + count)) return RL_RAISE;
    rl_word_t* words = rl_alloc(vm->allocator, count ? count * sizeof *words : 1);
    if (!words) return RL_COLLECT;
    const rl_rtype_t* last_from = from->args[pairs ? 1 : 0];
    const rl_rtype_t* last_to = to->args[pairs ? 1 : 0];
    rl_cursor_t cursor;
    rl_word_t key, value;
    rl_outcome_t outcome = RL_DONE;
    for (rl_cursor_begin(&cursor, object); outcome == RL_DONE && at < count && rl_cursor_next(&cursor, &key, &value);) {
        if (pairs) outcome = convert(vm, from->args[0], to->args[0], key, depth + 1, &words[at++]);
        if (outcome == RL_DONE) outcome = convert(vm, last_from, last_to, pairs ? value : key, depth + 1, &words[at++]);
    }
    if (outcome == RL_DONE) {
        for (size_t i = 0; i < at; i++) {
            const rl_rtype_t* type = pairs && i % 2 == 0 ? to->args[0] : last_to;
            if (type->rep == RL_REP_R) rl_share(words[i].o);
        }
        outcome = rl_border_build(vm, to, words, at, out);
    }
    rl_free(vm->allocator, words, count ? count * sizeof *words : 1);
    return outcome;
}

static rl_outcome_t convert_vector(
    rl_vm_t* vm, const rl_rtype_t* from, const rl_rtype_t* to, rl_object_t* object, unsigned depth, rl_word_t* out) {
    const rl_vector_t* v = (const rl_vector_t*)object;
    size_t count = v->length, size = count ? count * sizeof(rl_word_t) : 1;
    if (!rl_vm_charge(vm, 1 + count)) return RL_RAISE;
    rl_word_t* words = rl_alloc(vm->allocator, size);
    if (!words) return RL_COLLECT;
    rl_outcome_t outcome = RL_DONE;
    for (size_t i = 0; i < count && outcome == RL_DONE; i++) {
        outcome = convert(vm, from->args[0], to->args[0], rl_element_load((rl_element_t)v->element, v->data, i),
            depth + 1, &words[i]);
        if (outcome == RL_DONE && to->args[0]->rep == RL_REP_R) rl_share(words[i].o);
    }
    if (outcome == RL_DONE) outcome = rl_border_build(vm, to, words, count, out);
    rl_free(vm->allocator, words, size);
    return outcome;
}

static rl_outcome_t convert(
    rl_vm_t* vm, const rl_rtype_t* from, const rl_rtype_t* to, rl_word_t value, unsigned depth, rl_word_t* out) {
    if (!differs(from, to, 0)) {
        *out = value;
        return RL_DONE;
    }
    if (to->kind == RL_TYPE_ANY) return rl_value_to_any(vm, from, value, out);
    if (depth > MOST_NESTING) {
        return rl_vm_raise(vm, RL_CODE_RUNTIME_STACK_OVERFLOW, "value is nested too deeply to be converted to %.*s",
            RL_STR_ARG(to->name));
    }
    if (!rl_vm_charge(vm, 1)) return RL_RAISE;
    switch (from->kind) {
    case RL_TYPE_TUPLE:
    case RL_TYPE_RECORD: return convert_shape(vm, &from->shapes[0], &to->shapes[0], value.o, depth, out);
    case RL_TYPE_ARRAY: return convert_vector(vm, from, to, value.o, depth, out);
    case RL_TYPE_NAMED: break;
    default: *out = value; return RL_DONE;
    }
    if (from->def_kind == RL_DEF_NEWTYPE && from->payload && to->payload)
        return convert(vm, from->payload, to->payload, value, depth + 1, out);
    if (from->def_kind == RL_DEF_RECORD)
        return convert_shape(vm, &from->shapes[0], &to->shapes[0], value.o, depth, out);
    if (from->def_kind == RL_DEF_SUM && value.o->tag < from->shape_count) {
        unsigned tag = value.o->tag;
        return convert_shape(vm, &from->shapes[tag], &to->shapes[tag], value.o, depth, out);
    }
    if (from->builtin == RL_BUILTIN_LIST || from->builtin == RL_BUILTIN_MAP || from->builtin == RL_BUILTIN_SET) {
        return convert_collection(vm, from, to, value.o, depth, out);
    }
    *out = value;
    return RL_DONE;
}

rl_outcome_t rl_value_convert(
    rl_vm_t* vm, const rl_rtype_t* from, const rl_rtype_t* to, rl_word_t value, rl_word_t* out) {
    return convert(vm, from, to, value, 0, out);
}
