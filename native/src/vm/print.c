/*
 * Display and Debug text of any value by its type (LANGUAGE 8.2). An explicit stack of open containers instead of
 * recursion; a container with identity that is met again inside itself is shown as `…`.
 */
#include "base/number.h"
#include "base/os.h"
#include "base/utf8.h"
#include "vm/core/collections.h"
#include "vm/core/json.h"
#include "vm/string.h"
#include "vm/vm.h"

enum { VISITING = 32 /* flag of an object that is open on the stack; always cleared again before print returns */ };

typedef enum open_kind { OPEN_SHAPE, OPEN_LIST, OPEN_SET, OPEN_MAP, OPEN_VEC, OPEN_ONE } open_kind_t;

typedef struct open {
    uint8_t kind;   /* open_kind_t */
    bool visiting;  /* `object` carries VISITING */
    bool pending;   /* `value` is still to be written: of MAP after its key, of ONE */
    uint32_t index; /* items written */
    const char* close;
    rl_object_t* object;
    const rl_rtype_t* type;   /* of the elements (LIST, SET, VEC); of the whole (MAP) */
    const rl_rshape_t* shape; /* SHAPE */
    rl_word_t value;
} open_t;

typedef struct printer {
    rl_vm_t* vm;
    rl_buf_t* out;
    bool debug;
    bool raised; /* vm->failure is set */
    RL_VEC(open_t) stack;
    RL_VEC(rl_cursor_t) cursors; /* one for each open LIST, SET, MAP */
    rl_text_holes_t* holes;      /* NULL: every value shows its built-in text */
} printer_t;

static void add_quoted_scalar(rl_buf_t* out, uint32_t c, char quote) {
    switch (c) {
    case '\\': rl_buf_add(out, RL_STR("\\\\")); return;
    case '\n': rl_buf_add(out, RL_STR("\\n")); return;
    case '\t': rl_buf_add(out, RL_STR("\\t")); return;
    case '\r': rl_buf_add(out, RL_STR("\\r")); return;
    case 0: rl_buf_add(out, RL_STR("\\0")); return;
    default: break;
    }
    if (c == (unsigned char)quote) {
        rl_buf_add_char(out, '\\');
        rl_buf_add_char(out, quote);
    } else if (c < 0x20 || (c >= 0x7F && c < 0xA0)) {
        rl_buf_printf(out, "\\u{%x}", (unsigned)c);
    } else {
        rl_buf_add_utf8(out, c);
    }
}

static void add_quoted(rl_buf_t* out, rl_str_t text) {
    rl_buf_add_char(out, '"');
    size_t start = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool wide_control =
            c == 0xC2 && i + 1 < text.length && (unsigned char)text.data[i + 1] < 0xA0; /* U+0080 … U+009F */
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F && !wide_control) continue;
        rl_buf_add(out, (rl_str_t){text.data + start, i - start});
        add_quoted_scalar(out, wide_control ? (unsigned char)text.data[++i] : c, '"');
        start = i + 1;
    }
    rl_buf_add(out, (rl_str_t){text.data + start, text.length - start});
    rl_buf_add_char(out, '"');
}

static void add_bytes(rl_buf_t* out, rl_str_t bytes) {
    static const char digits[] = "0123456789abcdef";
    rl_buf_add(out, RL_STR("Bytes["));
    for (size_t i = 0; i < bytes.length && !out->failed; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        char text[3] = {' ', digits[c >> 4], digits[c & 15]};
        rl_buf_add(out, (rl_str_t){i ? text : text + 1, i ? 3 : 2});
    }
    rl_buf_add_char(out, ']');
}

static void add_duration(rl_buf_t* out, int64_t ns) {
    if (ns % 1000000000 == 0) {
        rl_buf_add_i64(out, ns / 1000000000);
        rl_buf_add_char(out, 's');
    } else if (ns % 1000000 == 0) {
        rl_buf_add_i64(out, ns / 1000000);
        rl_buf_add(out, RL_STR("ms"));
    } else if (ns % 1000 == 0) {
        rl_buf_add_i64(out, ns / 1000);
        rl_buf_add(out, RL_STR("us"));
    } else {
        rl_buf_add_i64(out, ns);
        rl_buf_add(out, RL_STR("ns"));
    }
}

/* RFC 3339 in UTC, with as many of 3, 6 or 9 digits of a second as are not zero. */
static void add_timestamp(rl_buf_t* out, int64_t ns) {
    int64_t rest = ns % 1000000000;
    if (rest < 0) rest += 1000000000;
    char text[32];
    int64_t second;
    if (__builtin_sub_overflow(ns, rest, &second)) second = ns;
    size_t length = rl_os_print_rfc3339(second, text);
    if (length && text[length - 1] == 'Z') length--;
    rl_buf_add(out, (rl_str_t){text, length});
    if (rest % 1000000 == 0) {
        if (rest) rl_buf_printf(out, ".%03d", (int)(rest / 1000000));
    } else if (rest % 1000 == 0) {
        rl_buf_printf(out, ".%06d", (int)(rest / 1000));
    } else {
        rl_buf_printf(out, ".%09d", (int)rest);
    }
    rl_buf_add_char(out, 'Z');
}

static void add_angle(rl_buf_t* out, rl_str_t name) {
    rl_buf_add_char(out, '<');
    rl_buf_add(out, name);
    rl_buf_add_char(out, '>');
}

static void add_function(rl_buf_t* out, const rl_object_t* closure) {
    const rl_proto_t* proto = rl_object_words((rl_object_t*)(uintptr_t)closure)[closure->refs].p;
    if (proto->name.length && proto->name.data[0] == '<') {
        rl_buf_add(out, proto->name);
        return;
    }
    rl_buf_add(out, RL_STR("<fn "));
    rl_buf_add(out, proto->name.length ? proto->name : RL_STR("lambda"));
    rl_buf_add_char(out, '>');
}

static bool push(printer_t* p, open_t open) {
    if (open.object && open.visiting) open.object->flags |= VISITING;
    if (rl_vec_push(p->vm->allocator, &p->stack, open)) return true;
    if (open.object && open.visiting) open.object->flags &= (uint8_t)~VISITING;
    return false;
}

static bool push_walk(printer_t* p, open_t open) {
    rl_cursor_t cursor;
    rl_cursor_begin(&cursor, open.object);
    if (!rl_vec_push(p->vm->allocator, &p->cursors, cursor)) return false;
    if (push(p, open)) return true;
    p->cursors.count--;
    return false;
}

/* A container with identity that is open already: shows the mark of a cycle. */
static bool is_cycle(printer_t* p, const rl_object_t* object) {
    if (!(object->flags & VISITING)) return false;
    rl_buf_add(p->out, RL_STR("\xE2\x80\xA6"));
    return true;
}

/* { x: 1 }, P { x: 1 }, C(1), C { f: 1 }: `shape` of the object, after its name. */
static bool open_shape(printer_t* p, const rl_rshape_t* shape, rl_object_t* object, bool record, bool identity) {
    rl_buf_t* out = p->out;
    if (record) {
        if (shape->field_count == 0) {
            rl_buf_add(out, RL_STR("{}"));
            return true;
        }
        rl_buf_add(out, RL_STR("{ "));
        return push(
            p, (open_t){.kind = OPEN_SHAPE, .close = " }", .object = object, .shape = shape, .visiting = identity});
    }
    rl_buf_add_char(out, '(');
    return push(p, (open_t){.kind = OPEN_SHAPE, .close = ")", .object = object, .shape = shape});
}

static bool print_value(printer_t* p, const rl_rtype_t* type, rl_word_t value);

static bool print_builtin(printer_t* p, const rl_rtype_t* type, rl_word_t value) {
    rl_buf_t* out = p->out;
    rl_object_t* object = value.o;
    switch (type->builtin) {
    case RL_BUILTIN_LIST:
        rl_buf_add_char(out, '[');
        return push_walk(p, (open_t){.kind = OPEN_LIST, .close = "]", .object = object, .type = type->args[0]});
    case RL_BUILTIN_SET:
        rl_buf_add(out, RL_STR("#{"));
        return push_walk(p, (open_t){.kind = OPEN_SET, .close = "}", .object = object, .type = type->args[0]});
    case RL_BUILTIN_MAP:
        rl_buf_add_char(out, '{');
        return push_walk(p, (open_t){.kind = OPEN_MAP, .close = "}", .object = object, .type = type});
    case RL_BUILTIN_TABLE:
        if (is_cycle(p, object)) return true;
        rl_buf_add_char(out, '{');
        return push_walk(p, (open_t){.kind = OPEN_MAP, .close = "}", .object = object, .type = type, .visiting = true});
    case RL_BUILTIN_VEC:
        if (is_cycle(p, object)) return true;
        rl_buf_add_char(out, '[');
        return push(
            p, (open_t){.kind = OPEN_VEC, .close = "]", .object = object, .type = type->args[0], .visiting = true});
    case RL_BUILTIN_CELL:
    case RL_BUILTIN_REF:
        if (is_cycle(p, object)) return true;
        rl_buf_add(out, type->name);
        rl_buf_add_char(out, '(');
        return push(p, (open_t){.kind = OPEN_ONE,
                           .close = ")",
                           .object = object,
                           .type = type->args[0],
                           .visiting = true,
                           .pending = true,
                           .value = rl_object_words(object)[0]});
    case RL_BUILTIN_RANGE: {
        const rl_word_t* words = rl_object_words(object);
        bool ok = print_value(p, type->args[0], words[0]);
        rl_buf_add_cstr(out, words[2].i ? "..=" : "..");
        ok = ok && print_value(p, type->args[0], words[1]);
        if (words[3].i != 1) {
            rl_buf_add(out, RL_STR(" step "));
            rl_buf_add_i64(out, words[3].i);
        }
        return ok;
    }
    default: add_angle(out, type->name); return true;
    }
}

static bool print_named(printer_t* p, const rl_rtype_t* type, rl_word_t value) {
    rl_buf_t* out = p->out;
    switch (type->def_kind) {
    case RL_DEF_SUM: {
        if (type->builtin == RL_BUILTIN_JSON) {
            rl_outcome_t outcome = rl_json_text(p->vm, type, value, out);
            if (outcome == RL_RAISE) p->raised = true;
            return outcome == RL_DONE;
        }
        uint32_t tag = type->is_enum ? (uint32_t)value.u : value.o->tag;
        if (tag >= type->shape_count) return true;
        const rl_rshape_t* shape = &type->shapes[tag];
        rl_buf_add(out, shape->name);
        if (type->is_enum || shape->field_count == 0) return true;
        if (shape->record_payload) {
            rl_buf_add_char(out, ' ');
            return print_value(p, shape->fields[0].type, rl_object_words(value.o)[shape->fields[0].slot]);
        }
        return open_shape(p, shape, value.o, false, false);
    }
    case RL_DEF_RECORD:
    case RL_DEF_STRUCT:
        if (type->has_identity && is_cycle(p, value.o)) return true;
        rl_buf_add(out, type->name);
        rl_buf_add_char(out, ' ');
        return open_shape(p, &type->shapes[0], value.o, true, type->has_identity);
    case RL_DEF_NEWTYPE:
        rl_buf_add(out, type->name);
        if (type->payload->kind == RL_TYPE_RECORD ||
            (type->payload->kind == RL_TYPE_NAMED && type->payload->def_kind == RL_DEF_RECORD)) {
            rl_buf_add_char(out, ' ');
            return open_shape(p, &type->payload->shapes[0], value.o, true, false);
        }
        rl_buf_add_char(out, '(');
        return push(
            p, (open_t){.kind = OPEN_ONE, .close = ")", .type = type->payload, .pending = true, .value = value});
    case RL_DEF_BUILTIN: return print_builtin(p, type, value);
    default: add_angle(out, type->name); return true;
    }
}

/* Write a scalar or string at once, or open a container, which the caller's loop goes on with. False: memory. */
static bool print_value(printer_t* p, const rl_rtype_t* type, rl_word_t value) {
    rl_buf_t* out = p->out;
    bool quote = p->debug || p->stack.count > 0;
    while (type->kind == RL_TYPE_ANY) {
        const rl_object_t* any = value.o;
        type = rl_object_words(value.o)[1].p;
        value = rl_object_words((rl_object_t*)(uintptr_t)any)[0];
    }
    if (p->holes && (p->debug ? type->debug : type->display)) {
        rl_text_hole_t hole = {out->length, type, value};
        return rl_vec_push(p->vm->allocator, p->holes, hole);
    }
    switch (type->kind) {
    case RL_TYPE_UNIT: rl_buf_add(out, RL_STR("()")); return true;
    case RL_TYPE_BOOL: rl_buf_add_cstr(out, value.i ? "true" : "false"); return true;
    case RL_TYPE_CHAR:
        if (!quote) {
            rl_buf_add_utf8(out, (uint32_t)value.u);
            return true;
        }
        rl_buf_add_char(out, '\'');
        add_quoted_scalar(out, (uint32_t)value.u, '\'');
        rl_buf_add_char(out, '\'');
        return true;
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64: rl_buf_add_i64(out, value.i); return true;
    case RL_TYPE_U8:
    case RL_TYPE_U16:
    case RL_TYPE_U32:
    case RL_TYPE_U64: rl_buf_add_u64(out, value.u); return true;
    case RL_TYPE_F32: {
        char text[RL_F64_TEXT];
        rl_buf_add(out, (rl_str_t){text, rl_f32_print((float)value.f, text)});
        return true;
    }
    case RL_TYPE_F64: rl_buf_add_f64(out, value.f); return true;
    case RL_TYPE_STR:
        if (quote) add_quoted(out, rl_string_str(value.o));
        else rl_buf_add(out, rl_string_str(value.o));
        return true;
    case RL_TYPE_BYTES: add_bytes(out, rl_string_str(value.o)); return true;
    case RL_TYPE_DURATION: add_duration(out, value.i); return true;
    case RL_TYPE_TIMESTAMP: add_timestamp(out, value.i); return true;
    case RL_TYPE_TUPLE: return open_shape(p, &type->shapes[0], value.o, false, false);
    case RL_TYPE_RECORD: return open_shape(p, &type->shapes[0], value.o, true, false);
    case RL_TYPE_FUNCTION: add_function(out, value.o); return true;
    case RL_TYPE_ARRAY:
        rl_buf_add_char(out, '[');
        return push(p, (open_t){.kind = OPEN_VEC, .close = "]", .object = value.o, .type = type->args[0]});
    case RL_TYPE_NAMED: return print_named(p, type, value);
    default: add_angle(out, type->name); return true;
    }
}

static void pop(printer_t* p) {
    open_t* top = &rl_vec_last(&p->stack);
    if (top->visiting) top->object->flags &= (uint8_t)~VISITING;
    if (top->kind == OPEN_LIST || top->kind == OPEN_SET || top->kind == OPEN_MAP) p->cursors.count--;
    p->stack.count--;
}

/* Write the next item of the innermost container, or close it. */
static bool step(printer_t* p) {
    open_t* top = &rl_vec_last(&p->stack);
    rl_buf_t* out = p->out;
    rl_word_t key, value;
    bool first = top->index++ == 0;
    switch (top->kind) {
    case OPEN_SHAPE: {
        if (top->index > top->shape->field_count) break;
        const rl_rfield_t* field = &top->shape->fields[top->index - 1];
        if (!first) rl_buf_add(out, RL_STR(", "));
        if (top->close[0] == ' ' && field->name.length) { /* " }": a record shows its names */
            rl_buf_add(out, field->name);
            rl_buf_add(out, RL_STR(": "));
        }
        return print_value(p, field->type, rl_object_words(top->object)[field->slot]);
    }
    case OPEN_LIST:
    case OPEN_SET:
        if (!rl_cursor_next(&rl_vec_last(&p->cursors), &key, &value)) break;
        if (!first) rl_buf_add(out, RL_STR(", "));
        return print_value(p, top->type, key);
    case OPEN_MAP: {
        const rl_rtype_t* map = top->type;
        if (top->pending) {
            top->pending = false;
            rl_buf_add(out, RL_STR(": "));
            return print_value(p, map->args[1], top->value);
        }
        if (!rl_cursor_next(&rl_vec_last(&p->cursors), &key, &value)) break;
        if (!first) rl_buf_add(out, RL_STR(", "));
        top->pending = true;
        top->value = value;
        return print_value(p, map->args[0], key);
    }
    case OPEN_ONE:
        if (!top->pending) break;
        top->pending = false;
        return print_value(p, top->type, top->value);
    case OPEN_VEC: {
        const rl_vector_t* v = (const rl_vector_t*)top->object;
        if (top->index > v->length) break;
        if (!first) rl_buf_add(out, RL_STR(", "));
        return print_value(p, top->type, rl_element_load((rl_element_t)v->element, v->data, top->index - 1));
    }
    default: break;
    }
    rl_buf_add_cstr(out, top->close);
    pop(p);
    return true;
}

rl_outcome_t rl_value_print_parts(
    rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, bool debug, rl_buf_t* out, rl_text_holes_t* holes) {
    printer_t p = {.vm = vm, .out = out, .debug = debug, .holes = holes};
    size_t limit = out->limit;
    if (limit == 0 || limit > vm->limits.string_bytes) out->limit = (size_t)vm->limits.string_bytes;
    bool ok = print_value(&p, type, value), stopped = p.raised;
    size_t charged = 0;
    while (ok && p.stack.count && !out->failed) {
        uint64_t cost = 1 + (out->length - charged) / 16;
        charged = out->length;
        if (!rl_vm_charge(vm, cost)) {
            stopped = true;
            break;
        }
        ok = step(&p);
        stopped = p.raised;
    }
    if (!stopped && !rl_vm_charge(vm, 1 + (out->length - charged) / 16)) stopped = true;
    while (p.stack.count) pop(&p);
    rl_vec_deinit(vm->allocator, &p.stack);
    rl_vec_deinit(vm->allocator, &p.cursors);
    out->limit = limit;
    if (stopped) return RL_RAISE;
    if (ok && !out->failed) return RL_DONE;
    return vm->allocator->failed ? RL_COLLECT : rl_string_too_long(vm);
}

rl_outcome_t rl_value_print(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, bool debug, rl_buf_t* out) {
    return rl_value_print_parts(vm, type, value, debug, out, NULL);
}
