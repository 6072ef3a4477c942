/* Values between host and script: kinds, making, reading, converting (CONTRACTS 2.1). */
#include "host/context.h"

#include "vm/core/border.h"
#include "vm/foreign.h"

#include <stdlib.h>

/* --- kinds ------------------------------------------------------------------------------------------------------ */

reml_kind_t rl_kind_of(const rl_rtype_t* type) {
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_UNIT: return REML_KIND_UNIT;
    case RL_TYPE_BOOL: return REML_KIND_BOOL;
    case RL_TYPE_CHAR: return REML_KIND_CHAR;
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64:
    case RL_TYPE_U8:
    case RL_TYPE_U16:
    case RL_TYPE_U32:
    case RL_TYPE_U64: return REML_KIND_INT;
    case RL_TYPE_F32:
    case RL_TYPE_F64: return REML_KIND_FLOAT;
    case RL_TYPE_STR: return REML_KIND_STRING;
    case RL_TYPE_BYTES: return REML_KIND_BYTES;
    case RL_TYPE_DURATION: return REML_KIND_DURATION;
    case RL_TYPE_TIMESTAMP: return REML_KIND_TIMESTAMP;
    case RL_TYPE_ANY: return REML_KIND_ANY;
    case RL_TYPE_TUPLE: return REML_KIND_TUPLE;
    case RL_TYPE_FUNCTION: return REML_KIND_CLOSURE;
    case RL_TYPE_RECORD: return REML_KIND_RECORD;
    case RL_TYPE_ARRAY: return REML_KIND_ARRAY;
    case RL_TYPE_NAMED:
        switch ((rl_builtin_type_t)type->builtin) {
        case RL_BUILTIN_LIST: return REML_KIND_ARRAY;
        case RL_BUILTIN_MAP: return REML_KIND_MAP;
        case RL_BUILTIN_SET: return REML_KIND_SET;
        case RL_BUILTIN_VEC: return REML_KIND_VEC;
        case RL_BUILTIN_TABLE: return REML_KIND_TABLE;
        case RL_BUILTIN_CELL:
        case RL_BUILTIN_REF: return REML_KIND_CELL;
        case RL_BUILTIN_RANGE: return REML_KIND_RANGE;
        case RL_BUILTIN_ITER: return REML_KIND_ITER;
        case RL_BUILTIN_FUTURE: return REML_KIND_FUTURE;
        case RL_BUILTIN_TASK: return REML_KIND_TASK;
        default: break;
        }
        switch ((rl_typedef_kind_t)type->def_kind) {
        case RL_DEF_SUM:
        case RL_DEF_NEWTYPE: return REML_KIND_ADT;
        case RL_DEF_RECORD: return REML_KIND_RECORD;
        case RL_DEF_STRUCT: return REML_KIND_STRUCT;
        default: return REML_KIND_HOST;
        }
    default: return REML_KIND_NONE;
    }
}

bool rl_type_is_scalar(const rl_rtype_t* type) { return type->kind < RL_TYPE_SIMPLE_COUNT && type->rep != RL_REP_R; }

/* An Any shows what it holds. */
static const rl_rtype_t* unwrap_any(const rl_rtype_t* type, rl_word_t* word) {
    while (type->kind == RL_TYPE_ANY) {
        const rl_word_t* words = rl_object_words(word->o);
        type = words[1].p;
        *word = words[0];
    }
    return type;
}

/* --- out --------------------------------------------------------------------------------------------------------- */

reml_value_t rl_value_out(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, bool lent) {
    type = unwrap_any(type, &word);
    if (rl_type_is_scalar(type)) return (reml_value_t){(uint32_t)rl_kind_of(type), 0, word.u};
    return rl_handle_new(context, type, word, lent);
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

static const struct {
    int64_t low;
    uint64_t high;
} integer_ranges[] = {
    [RL_TYPE_I8] = {INT8_MIN, INT8_MAX},
    [RL_TYPE_I16] = {INT16_MIN, INT16_MAX},
    [RL_TYPE_I32] = {INT32_MIN, INT32_MAX},
    [RL_TYPE_I64] = {INT64_MIN, INT64_MAX},
    [RL_TYPE_U8] = {0, UINT8_MAX},
    [RL_TYPE_U16] = {0, UINT16_MAX},
    [RL_TYPE_U32] = {0, UINT32_MAX},
    [RL_TYPE_U64] = {0, UINT64_MAX},
};

static bool integer_fits(unsigned kind, int64_t number) {
    if (kind == RL_TYPE_U64) return true; /* all 64 bits count */
    return number >= integer_ranges[kind].low && (number < 0 || (uint64_t)number <= integer_ranges[kind].high);
}

bool rl_scalar_fits(const rl_rtype_t* type, reml_scalar_t scalar) {
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_UNIT: return scalar.i == 0;
    case RL_TYPE_BOOL: return scalar.i == 0 || scalar.i == 1;
    case RL_TYPE_CHAR: return scalar.i >= 0 && scalar.i <= 0x10FFFF && !(scalar.i >= 0xD800 && scalar.i < 0xE000);
    case RL_TYPE_F32: return scalar.f != scalar.f || (double)(float)scalar.f == scalar.f;
    default: return !rl_type_is_integer(type->kind) || integer_fits(type->kind, scalar.i);
    }
}

static const char* kind_name(uint32_t kind) {
    static const char* const names[] = {
        "nothing", "Int", "Float", "Bool", "Str", "tuple", "record", "function", "variant", "Set", "Char", "List"};
    static const char* const more[] = {"()", "Bytes", "Map", "struct", "Vec", "Table", "Cell", "Range", "Iter",
        "Duration", "Timestamp", "host object", "Any"};
    if (kind < RL_COUNT_OF(names)) return names[kind];
    return kind >= 32 && kind - 32 < RL_COUNT_OF(more) ? more[kind - 32] : "unknown kind";
}

static reml_embed_status_t mismatch(
    rl_context_t* context, const rl_rtype_t* type, reml_value_t value, const char* path, size_t index) {
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_type_print(&context->program, type->type, &text);
    rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_MISMATCH,
        "%s: expected %.*s, found %s at %s %zu", rl_code_text(RL_CODE_TYPE_MISMATCH), RL_STR_ARG(rl_buf_str(&text)),
        kind_name(value.kind), path, index + 1);
    rl_buf_deinit(&text);
    return REML_EMBED_STATUS_INVALID_ARGUMENT;
}

static bool scalar_in(const rl_rtype_t* type, reml_value_t value, rl_word_t* out) {
    out->u = value.bits;
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_UNIT: out->u = 0; return value.kind == REML_KIND_UNIT || value.kind == REML_KIND_NONE;
    case RL_TYPE_BOOL: return value.kind == REML_KIND_BOOL && value.bits <= 1;
    case RL_TYPE_CHAR:
        return value.kind == REML_KIND_CHAR && value.bits <= 0x10FFFF && !(value.bits >= 0xD800 && value.bits < 0xE000);
    case RL_TYPE_F64: return value.kind == REML_KIND_FLOAT;
    case RL_TYPE_F32: out->f = (double)(float)out->f; return value.kind == REML_KIND_FLOAT;
    case RL_TYPE_DURATION: return value.kind == REML_KIND_DURATION;
    case RL_TYPE_TIMESTAMP: return value.kind == REML_KIND_TIMESTAMP;
    default: break;
    }
    return rl_type_is_integer(type->kind) && value.kind == REML_KIND_INT &&
           integer_fits(type->kind, (int64_t)value.bits);
}

/* The scalar type that a host's value has by itself, for Any. */
static const rl_rtype_t* own_type(rl_context_t* context, reml_value_t value) {
    static const uint8_t simple[] = {[REML_KIND_INT] = RL_TYPE_I64,
        [REML_KIND_FLOAT] = RL_TYPE_F64,
        [REML_KIND_BOOL] = RL_TYPE_BOOL,
        [REML_KIND_CHAR] = RL_TYPE_CHAR,
        [REML_KIND_UNIT] = RL_TYPE_UNIT,
        [REML_KIND_DURATION] = RL_TYPE_DURATION,
        [REML_KIND_TIMESTAMP] = RL_TYPE_TIMESTAMP};
    if (value.kind == REML_KIND_NONE) return rl_rtype_of(&context->compiler, RL_TYPE_UNIT);
    if (value.kind >= RL_COUNT_OF(simple) || simple[value.kind] == 0) return NULL;
    return rl_rtype_of(&context->compiler, simple[value.kind]);
}

/* Never collects: other words made for the same call are not rooted yet. Callers retry as a whole (rl_values_retry). */
static rl_object_t* make_any(rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    bool is_ref = type->rep == RL_REP_R;
    rl_object_t* any = rl_heap_new(&context->vm.heap, RL_OBJ_ANY, 0, is_ref ? 1 : 0, 2);
    if (!any) return NULL;
    if (is_ref) rl_heap_barrier(&context->vm.heap, any, word.o);
    rl_object_words(any)[0] = word;
    rl_object_words(any)[1].p = (void*)(uintptr_t)type;
    return any;
}

/* What a record of the host is where `{ f: T, .. }` is expected: a record without name; NULL: it has not those fields, or
   memory is short. */
static const rl_rtype_t* open_record(rl_context_t* context, const rl_rtype_t* open, const rl_rtype_t* held) {
    rl_types_t* types = &context->program.types;
    bool record = held->kind == RL_TYPE_RECORD || (held->kind == RL_TYPE_NAMED && held->def_kind == RL_DEF_RECORD);
    if (!record) return NULL;
    const rl_rshape_t* shape = &held->shapes[0];
    uint32_t wanted = rl_type_node(types, open->type)->count;
    for (uint32_t i = 0; i < wanted; i++) {
        const uint32_t* pair = rl_type_args(types, open->type) + 2 * i;
        rl_str_t name = rl_sym_text(&context->program.symbols, pair[0]);
        bool found = false;
        for (unsigned k = 0; k < shape->field_count && !found; k++)
            found = rl_str_equal(shape->fields[k].name, name) && shape->fields[k].type->type == pair[1];
        if (!found) return NULL;
    }
    if (held->kind == RL_TYPE_RECORD) return held;
    RL_VEC(uint32_t) pairs = {0};
    for (unsigned k = 0; k < shape->field_count; k++) {
        (void)rl_vec_push(&context->allocator, &pairs, rl_sym_intern(&context->program.symbols, shape->fields[k].name));
        (void)rl_vec_push(&context->allocator, &pairs, shape->fields[k].type->type);
    }
    const rl_rtype_t* made = NULL;
    if (!context->allocator.failed) {
        rl_type_t type = rl_type_record(types, &context->program.symbols, pairs.data, shape->field_count);
        made = rl_rtype_of(&context->compiler, type);
    }
    rl_vec_deinit(&context->allocator, &pairs);
    return made;
}

/* Who was given a value that is not alive. */
static const char* taker_of(const char* path) {
    static const char* const table[][2] = {{"argument", "reml_function_call"}, {"part", "reml_value_make"},
        {"value", "reml_host_set_global"}, {"value of the promise", "reml_promise_complete"}};
    for (size_t i = 0; i < RL_COUNT_OF(table); i++) {
        if (strcmp(path, table[i][0]) == 0) return table[i][1];
    }
    return "reml_host_fn";
}

reml_embed_status_t rl_value_in(
    rl_context_t* context, const rl_rtype_t* type, reml_value_t value, const char* path, size_t index, rl_word_t* out) {
    rl_handle_t* handle = NULL;
    if (value.context != 0) {
        reml_embed_status_t status = rl_handle_find(context, value, &handle);
        if (status != REML_EMBED_STATUS_OK) {
            return rl_bridge_violation(context, taker_of(path), status, "value is not alive here");
        }
    }
    if (type->kind == RL_TYPE_ANY) {
        const rl_rtype_t* held = handle ? handle->type : own_type(context, value);
        rl_word_t word = {.u = value.bits};
        if (handle) word = handle->word;
        if (held && rl_type_kind(&context->program.types, type->type) == RL_TYPE_OPEN) {
            while (held->kind == RL_TYPE_ANY) {
                held = rl_object_words(word.o)[1].p;
                word = rl_object_words(word.o)[0];
            }
            held = open_record(context, type, held);
        }
        if (!held && !context->allocator.failed) return mismatch(context, type, value, path, index);
        out->o = held ? make_any(context, held, word) : NULL;
        if (out->o) return REML_EMBED_STATUS_OK;
        return rl_context_fail(context, REML_EMBED_STATUS_NO_MEMORY, RL_CODE_RUNTIME_LIMIT_MEMORY, "%s: out of memory",
            rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
    }
    if (!handle)
        return rl_type_is_scalar(type) && scalar_in(type, value, out) ? REML_EMBED_STATUS_OK
                                                                      : mismatch(context, type, value, path, index);
    if (handle->type != type) return mismatch(context, type, value, path, index);
    *out = handle->word;
    return REML_EMBED_STATUS_OK;
}

/* --- scalars ------------------------------------------------------------------------------------------------------ */

reml_value_t reml_value_unit(void) { return (reml_value_t){REML_KIND_UNIT, 0, 0}; }
reml_value_t reml_value_int(int64_t value) { return (reml_value_t){REML_KIND_INT, 0, (uint64_t)value}; }
reml_value_t reml_value_u64(uint64_t value) { return (reml_value_t){REML_KIND_INT, 0, value}; }
reml_value_t reml_value_bool(int value) { return (reml_value_t){REML_KIND_BOOL, 0, value != 0}; }
reml_value_t reml_value_char(uint32_t scalar) { return (reml_value_t){REML_KIND_CHAR, 0, scalar}; }
reml_value_t reml_value_duration(int64_t nanoseconds) {
    return (reml_value_t){REML_KIND_DURATION, 0, (uint64_t)nanoseconds};
}
reml_value_t reml_value_float(double value) {
    rl_word_t word = {.f = value};
    return (reml_value_t){REML_KIND_FLOAT, 0, word.u};
}

reml_embed_status_t reml_value_as_int(reml_value_t value, int64_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = 0;
    switch (value.kind) {
    case REML_KIND_INT:
    case REML_KIND_BOOL:
    case REML_KIND_CHAR:
    case REML_KIND_DURATION:
    case REML_KIND_TIMESTAMP: break;
    default: return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    *out = (int64_t)value.bits;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_value_as_float(reml_value_t value, double* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = 0;
    if (value.kind != REML_KIND_FLOAT) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_word_t word = {.u = value.bits};
    *out = word.f;
    return REML_EMBED_STATUS_OK;
}

/* --- types ----------------------------------------------------------------------------------------------------------- */

static const rl_rtype_t* type_of_id(rl_context_t* context, reml_type_t type) {
    if (type.context != context->type_serial ||
        type.id >= context->program.types.first + context->program.types.nodes.count)
        return NULL;
    return rl_rtype_of(&context->compiler, type.id);
}
/* What stands behind a NULL of type_of_id. */
static reml_embed_status_t no_type(rl_context_t* context) {
    if (!context->allocator.failed) return REML_EMBED_STATUS_INVALID_HANDLE;
    rl_alloc_clear_failure(&context->allocator);
    return rl_context_fail(context, REML_EMBED_STATUS_NO_MEMORY, RL_CODE_RUNTIME_LIMIT_MEMORY, "%s: out of memory",
        rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
}

reml_embed_status_t reml_type_find(reml_embed_context_t* id, const char* text, size_t length, reml_type_t* out) {
    RL_ENTER(id, context);
    if (!text || !out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_type_t){0, 0};
    rl_context_clear_error(context);
    rl_diags_clear(&context->diagnostics);
    rl_type_t type;
    if (!rl_check_type_text(&context->program, &context->diagnostics, (rl_str_t){text, length}, &type)) {
        return rl_context_fail_from_diagnostics(context);
    }
    *out = (reml_type_t){context->type_serial, type};
    return REML_EMBED_STATUS_OK;
}

reml_kind_t reml_type_kind(reml_embed_context_t* id, reml_type_t type) {
    rl_context_t* context = NULL;
    if (rl_slot_resolve(id, &context) != REML_EMBED_STATUS_OK) return REML_KIND_NONE;
    const rl_rtype_t* found = type_of_id(context, type);
    return found ? rl_kind_of(found) : REML_KIND_NONE;
}

/* Buffers that the host frees come from the C library: they may outlive the context and its allocator. */
reml_embed_status_t rl_copy_out(const rl_buf_t* text, char** out_text, size_t* out_length) {
    char* copy = text->failed ? NULL : malloc(text->length + 1);
    *out_text = NULL;
    *out_length = 0;
    if (!copy) return REML_EMBED_STATUS_NO_MEMORY;
    if (text->length) memcpy(copy, text->data, text->length);
    copy[text->length] = '\0';
    *out_text = copy;
    *out_length = text->length;
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t rl_hand_over(rl_context_t* context, rl_buf_t* text, char** out_text, size_t* out_length) {
    reml_embed_status_t status = rl_copy_out(text, out_text, out_length);
    rl_buf_deinit(text);
    rl_alloc_clear_failure(&context->allocator);
    if (status == REML_EMBED_STATUS_OK) return status;
    return rl_context_fail(
        context, status, RL_CODE_RUNTIME_LIMIT_MEMORY, "%s: out of memory", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY));
}
void reml_embed_free(void* buffer) { free(buffer); }

reml_embed_status_t reml_type_text(reml_embed_context_t* id, reml_type_t type, char** out_text, size_t* out_length) {
    RL_ENTER(id, context);
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    rl_context_clear_error(context);
    if (!type_of_id(context, type)) return no_type(context);
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    rl_type_print(&context->program, type.id, &text);
    return rl_hand_over(context, &text, out_text, out_length);
}

/* --- making ------------------------------------------------------------------------------------------------------------ */

bool rl_values_retry(rl_context_t* context, reml_embed_status_t status, unsigned attempt) {
    if (status != REML_EMBED_STATUS_NO_MEMORY || attempt > 0 || context->frozen) return false;
    rl_alloc_clear_failure(&context->allocator);
    rl_heap_collect(&context->vm.heap);
    return true;
}

static reml_embed_status_t give(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, reml_value_t* out) {
    *out = rl_value_out(context, type, word, false);
    return out->kind == REML_KIND_NONE ? rl_context_no_memory(context) : REML_EMBED_STATUS_OK;
}

static reml_embed_status_t make_text(
    reml_embed_context_t* id, const char* data, size_t length, bool bytes, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    RL_ENTER_AS(id, context, bytes ? "reml_value_bytes" : "reml_value_string");
    rl_context_clear_error(context);
    rl_str_t text = {data, length};
    if (!data && length)
        return rl_context_fail(
            context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_FFI_SIGNATURE_INVALID, "invalid argument: data");
    bool ascii = !bytes && rl_utf8_is_ascii(text); /* most are: one look tells both */
    if (!bytes && !ascii && rl_utf8_validate(text) != length) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_PARSER_LEXER_INVALID_UTF8,
            "text is not valid UTF-8 at byte %zu", rl_utf8_validate(text));
    }
    if (length > context->limits.string_bytes) {
        return rl_context_fail(context, REML_EMBED_STATUS_LIMIT, RL_CODE_RUNTIME_LIMIT_MEMORY,
            "%s: a string of %zu bytes, the limit is %llu", rl_code_text(RL_CODE_RUNTIME_LIMIT_MEMORY), length,
            (unsigned long long)context->limits.string_bytes);
    }
    const rl_rtype_t* type = rl_rtype_of(&context->compiler, bytes ? RL_TYPE_BYTES : RL_TYPE_STR);
    unsigned kind = bytes ? RL_OBJ_BYTES : RL_OBJ_STR;
    rl_word_t word = {.o = type ? rl_string_new_known(&context->vm, text, kind, ascii) : NULL};
    if (type && !word.o && !context->frozen) {
        rl_heap_collect(&context->vm.heap);
        word.o = rl_string_new_known(&context->vm, text, kind, ascii);
    }
    return word.o ? give(context, type, word, out) : rl_context_no_memory(context);
}
reml_embed_status_t reml_value_string(reml_embed_context_t* id, const char* text, size_t length, reml_value_t* out) {
    return make_text(id, text, length, false, out);
}
reml_embed_status_t reml_value_bytes(reml_embed_context_t* id, const void* data, size_t length, reml_value_t* out) {
    return make_text(id, data, length, true, out);
}

/* An object of one shape; its parts are rooted by the caller's handles, Any boxes by `vm` not collecting between them. */
static reml_embed_status_t make_product(
    rl_context_t* context, const rl_rshape_t* shape, const reml_value_t* parts, rl_word_t* out) {
    rl_word_t few[16];
    rl_word_t* words = shape->field_count <= RL_COUNT_OF(few)
                           ? few
                           : rl_alloc(&context->allocator, shape->field_count * sizeof *words);
    if (!words) return rl_context_no_memory(context);
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    for (uint16_t i = 0; i < shape->field_count && status == REML_EMBED_STATUS_OK; i++) {
        status = rl_value_in(context, shape->fields[i].type, parts[i], "part", i, &words[i]);
    }
    if (status == REML_EMBED_STATUS_OK) {
        if (shape->words == 0 && shape->tag < 256) {
            out->o = &rl_nullary_objects[shape->tag];
        } else {
            out->o = rl_heap_new(&context->vm.heap, RL_OBJ_CELLS, shape->tag, shape->refs, shape->words);
        }
        if (!out->o) status = rl_context_no_memory(context);
        for (uint16_t i = 0; i < shape->field_count && out->o; i++) {
            if (shape->fields[i].type->rep == RL_REP_R) {
                if (!(words[i].o->flags & RL_OBJ_SHARED)) words[i].o->flags |= RL_OBJ_SHARED;
                rl_heap_barrier(&context->vm.heap, out->o, words[i].o);
            }
            rl_object_words(out->o)[shape->fields[i].slot] = words[i];
        }
    }
    if (words != few) rl_free(&context->allocator, words, shape->field_count * sizeof *words);
    return status;
}

static reml_embed_status_t make_collection(
    rl_context_t* context, const rl_rtype_t* type, const reml_value_t* parts, size_t count, rl_word_t* out) {
    bool pairs = type->builtin == RL_BUILTIN_MAP || type->builtin == RL_BUILTIN_TABLE;
    if (pairs && count % 2) {
        return rl_context_fail(
            context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_CALL_ARITY, "a key without a value");
    }
    rl_word_t* words = rl_alloc(&context->allocator, (count ? count : 1) * sizeof *words);
    if (!words) return rl_context_no_memory(context);
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    for (size_t i = 0; i < count && status == REML_EMBED_STATUS_OK; i++) {
        status = rl_value_in(context, type->args[pairs && i % 2 ? 1 : 0], parts[i], "part", i, &words[i]);
    }
    if (status == REML_EMBED_STATUS_OK) {
        rl_outcome_t outcome = rl_border_build(&context->vm, type, words, count, out);
        if (outcome == RL_RAISE) status = rl_context_fail_from_vm(context);
        else if (outcome != RL_DONE) status = rl_context_no_memory(context);
    }
    rl_free(&context->allocator, words, (count ? count : 1) * sizeof *words);
    return status;
}

static reml_embed_status_t wrong_count(rl_context_t* context, size_t expected, size_t found) {
    return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_CALL_ARITY,
        "%s: expected %zu parts, found %zu", rl_code_text(RL_CODE_TYPE_CALL_ARITY), expected, found);
}

static reml_embed_status_t make_once(
    rl_context_t* context, const rl_rtype_t* type, const reml_value_t* parts, size_t count, rl_word_t* out) {
    switch (rl_kind_of(type)) {
    case REML_KIND_TUPLE:
    case REML_KIND_RECORD:
    case REML_KIND_STRUCT:
        if (count != type->shapes[0].field_count) return wrong_count(context, type->shapes[0].field_count, count);
        return make_product(context, &type->shapes[0], parts, out);
    case REML_KIND_ARRAY:
    case REML_KIND_VEC:
    case REML_KIND_SET:
    case REML_KIND_MAP:
    case REML_KIND_TABLE: return make_collection(context, type, parts, count, out);
    default:
        if (count != 1) return wrong_count(context, 1, count);
        return rl_value_in(context, type, parts[0], "part", 0, out);
    }
}

reml_embed_status_t reml_value_make(
    reml_embed_context_t* id, reml_type_t type_id, const reml_value_t* parts, size_t count, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    if (!parts && count) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    const rl_rtype_t* type = type_of_id(context, type_id);
    if (!type) return no_type(context);
    rl_word_t word = {.u = 0};
    reml_embed_status_t status;
    unsigned attempt = 0;
    do { status = make_once(context, type, parts, count, &word); } while (rl_values_retry(context, status, attempt++));
    return status == REML_EMBED_STATUS_OK ? give(context, type, word, out) : status;
}

reml_embed_status_t reml_value_variant(reml_embed_context_t* id, reml_type_t type_id, const char* name,
    size_t name_length, const reml_value_t* parts, size_t count, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    if (!name || (!parts && count)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    const rl_rtype_t* type = type_of_id(context, type_id);
    if (!type) return no_type(context);
    for (uint16_t i = 0; rl_kind_of(type) == REML_KIND_ADT && i < type->shape_count; i++) {
        const rl_rshape_t* shape = &type->shapes[i];
        if (!rl_str_equal(shape->name, (rl_str_t){name, name_length})) continue;
        if (count != shape->field_count) return wrong_count(context, shape->field_count, count);
        rl_word_t word = {.u = shape->tag};
        reml_embed_status_t status = REML_EMBED_STATUS_OK;
        unsigned attempt = 0;
        do {
            if (type->payload) status = rl_value_in(context, type->payload, parts[0], "part", 0, &word);
            else if (!type->is_enum) status = make_product(context, shape, parts, &word);
        } while (rl_values_retry(context, status, attempt++));
        return status == REML_EMBED_STATUS_OK ? give(context, type, word, out) : status;
    }
    return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_PATTERN_CONSTRUCTOR_UNKNOWN,
        "no variant `%.*s` in this type", (int)(name_length < 200 ? name_length : 200), name);
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

#define RL_FIND(context, value, handle) RL_FIND_AS(context, value, handle, __func__)
#define RL_FIND_AS(context, value, handle, symbol)                                                                     \
    rl_handle_t* handle = NULL;                                                                                        \
    do {                                                                                                               \
        reml_embed_status_t rl_find_status = rl_handle_use((context), (value), (symbol), &(handle));                   \
        if (rl_find_status != REML_EMBED_STATUS_OK) return rl_find_status;                                             \
    } while (0)

reml_embed_status_t reml_value_type(reml_embed_context_t* id, reml_value_t value, reml_type_t* out) {
    RL_ENTER(id, context);
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_type_t){0, 0};
    const rl_rtype_t* type = value.context ? NULL : own_type(context, value);
    if (!type) {
        RL_FIND(context, value, handle);
        type = handle->type;
    }
    *out = (reml_type_t){context->type_serial, type->type};
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_value_span(reml_embed_context_t* id, reml_value_t value, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    RL_FIND(context, value, handle);
    if (handle->type->kind != RL_TYPE_STR && handle->type->kind != RL_TYPE_BYTES)
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_str_t text = rl_string_str(handle->word.o);
    *out = (reml_span_t){(void*)(uintptr_t)text.data, text.length};
    return REML_EMBED_STATUS_OK;
}

/* The product that a handle shows: tuple, record, struct, or the variant it is of; NULL: none. */
static const rl_rshape_t* shape_of(const rl_handle_t* handle) {
    const rl_rtype_t* type = handle->type;
    if (type->shape_count == 0) return NULL;
    if (rl_kind_of(type) != REML_KIND_ADT || type->payload) return &type->shapes[0];
    uint64_t tag = type->is_enum ? handle->word.u : handle->word.o->tag;
    return tag < type->shape_count ? &type->shapes[tag] : NULL;
}

reml_embed_status_t reml_value_length(reml_embed_context_t* id, reml_value_t value, size_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = 0;
    RL_ENTER(id, context);
    RL_FIND(context, value, handle);
    switch (rl_kind_of(handle->type)) {
    case REML_KIND_ARRAY:
    case REML_KIND_VEC:
    case REML_KIND_SET:
    case REML_KIND_MAP:
    case REML_KIND_TABLE: *out = rl_border_length(handle->type, handle->word); return REML_EMBED_STATUS_OK;
    case REML_KIND_STRING: *out = rl_utf8_count(rl_string_str(handle->word.o)); return REML_EMBED_STATUS_OK;
    case REML_KIND_BYTES: *out = rl_string_str(handle->word.o).length; return REML_EMBED_STATUS_OK;
    case REML_KIND_TUPLE:
    case REML_KIND_RECORD:
    case REML_KIND_STRUCT:
    case REML_KIND_ADT: {
        const rl_rshape_t* shape = shape_of(handle);
        *out = shape ? shape->field_count : 0;
        return REML_EMBED_STATUS_OK;
    }
    default: return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
}

static reml_embed_status_t read_field(
    rl_context_t* context, const rl_handle_t* handle, const rl_rshape_t* shape, size_t index, reml_value_t* out) {
    rl_word_t word = handle->type->payload ? handle->word : rl_object_words(handle->word.o)[shape->fields[index].slot];
    return give(context, handle->type->payload ? handle->type->payload : shape->fields[index].type, word, out);
}

static reml_embed_status_t read_item(
    reml_embed_context_t* id, reml_value_t value, size_t index, bool key, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    const char* symbol = key ? "reml_value_key" : "reml_value_item";
    RL_ENTER_AS(id, context, symbol);
    RL_FIND_AS(context, value, handle, symbol);
    const rl_rtype_t* type = handle->type;
    reml_kind_t kind = rl_kind_of(type);
    bool pairs = kind == REML_KIND_MAP || kind == REML_KIND_TABLE;
    if (key && !pairs) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (pairs || kind == REML_KIND_ARRAY || kind == REML_KIND_VEC || kind == REML_KIND_SET) {
        rl_word_t key_word = {.u = 0}, item = {.u = 0};
        if (!rl_border_item(type, handle->word, index, &key_word, &item)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
        return give(context, type->args[pairs && !key ? 1 : 0], key ? key_word : item, out);
    }
    const rl_rshape_t* shape = shape_of(handle);
    if (!shape || index >= shape->field_count) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    return read_field(context, handle, shape, index, out);
}
reml_embed_status_t reml_value_item(reml_embed_context_t* id, reml_value_t value, size_t index, reml_value_t* out) {
    return read_item(id, value, index, false, out);
}
reml_embed_status_t reml_value_key(reml_embed_context_t* id, reml_value_t value, size_t index, reml_value_t* out) {
    return read_item(id, value, index, true, out);
}

reml_embed_status_t reml_value_field(
    reml_embed_context_t* id, reml_value_t value, const char* name, size_t name_length, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    if (!name) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    RL_FIND(context, value, handle);
    const rl_rshape_t* shape = shape_of(handle);
    for (uint16_t i = 0; shape && i < shape->field_count; i++) {
        if (rl_str_equal(shape->fields[i].name, (rl_str_t){name, name_length}))
            return read_field(context, handle, shape, i, out);
    }
    return REML_EMBED_STATUS_INVALID_ARGUMENT;
}

static reml_span_t lend(rl_str_t text) { return (reml_span_t){(void*)(uintptr_t)text.data, text.length}; }

reml_embed_status_t reml_value_name(reml_embed_context_t* id, reml_value_t value, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    RL_FIND(context, value, handle);
    const rl_rshape_t* shape = shape_of(handle);
    if (!shape) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = lend(shape->name);
    return REML_EMBED_STATUS_OK;
}
reml_embed_status_t reml_value_field_name(
    reml_embed_context_t* id, reml_value_t value, size_t index, reml_span_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_span_t){NULL, 0};
    RL_ENTER(id, context);
    RL_FIND(context, value, handle);
    const rl_rshape_t* shape = shape_of(handle);
    if (!shape || index >= shape->field_count) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = lend(shape->fields[index].name);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_value_equal(reml_embed_context_t* id, reml_value_t a, reml_value_t b, int* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = 0;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (a.context == 0 || b.context == 0) {
        rl_word_t x = {.u = a.bits}, y = {.u = b.bits};
        *out = a.context == b.context && a.kind == b.kind && (a.kind == REML_KIND_FLOAT ? x.f == y.f : x.u == y.u);
        return REML_EMBED_STATUS_OK;
    }
    RL_FIND(context, a, first);
    RL_FIND(context, b, second);
    if (first->type != second->type) return REML_EMBED_STATUS_OK;
    uint32_t missing;
    if (!rl_type_satisfies(&context->program, first->type->type, RL_CON_EQ, &missing)) {
        return context->allocator.failed ? rl_context_no_memory(context) : REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    reml_embed_status_t status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    bool equal = false;
    rl_outcome_t outcome = rl_value_equal(&context->vm, first->type, first->word, second->word, &equal);
    if (outcome == RL_RAISE) status = rl_context_fail_from_vm(context);
    else if (outcome != RL_DONE) status = rl_context_no_memory(context);
    rl_run_end(context);
    *out = equal;
    return status;
}

/* Something in it has a Display of its own: the program makes the text. */
static rl_outcome_t display_by_program(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, rl_buf_t* out) {
    rl_fn_id_t function = context->program.known.full_text;
    const rl_proto_t* proto = rl_pipeline_instance(context, function, &type->type, 1, false);
    rl_word_t text;
    if (!proto) {
        if (context->allocator.failed) return RL_COLLECT;
        return rl_vm_raise_standard(&context->vm, RL_CODE_TYPE_INSTANTIATION_LIMIT);
    }
    rl_object_t* object = word.o;
    bool is_ref = type->rep == RL_REP_R;
    rl_outcome_t outcome = rl_vm_call(&context->vm, proto, &word, is_ref ? &object : NULL, &text);
    if (outcome != RL_DONE) return outcome;
    rl_buf_clear(out);
    rl_buf_add(out, rl_string_str(text.o));
    return RL_DONE;
}

/* Display text of a word; charged like a run. */
reml_embed_status_t rl_value_display(rl_context_t* context, const rl_rtype_t* type, rl_word_t word, rl_buf_t* out) {
    reml_embed_status_t status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_text_holes_t holes = {0};
    rl_outcome_t outcome = rl_value_print_parts(&context->vm, type, word, false, out, &holes);
    if (outcome == RL_DONE && holes.count) outcome = display_by_program(context, type, word, out);
    rl_vec_deinit(&context->allocator, &holes);
    if (outcome == RL_RAISE) status = rl_context_fail_from_vm(context);
    else if (outcome != RL_DONE || out->failed) status = rl_context_no_memory(context);
    rl_run_end(context);
    return status;
}

reml_embed_status_t reml_value_text(reml_embed_context_t* id, reml_value_t value, char** out_text, size_t* out_length) {
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    const rl_rtype_t* type = value.context ? NULL : own_type(context, value);
    rl_word_t word = {.u = value.bits};
    if (!type) {
        RL_FIND(context, value, handle);
        type = handle->type;
        word = handle->word;
    }
    rl_buf_t text;
    rl_buf_init(&text, &context->allocator);
    reml_embed_status_t status = rl_value_display(context, type, word, &text);
    if (status == REML_EMBED_STATUS_OK) return rl_hand_over(context, &text, out_text, out_length);
    rl_buf_deinit(&text);
    return status;
}

/* --- host objects ------------------------------------------------------------------------------------------------------------ */

reml_embed_status_t rl_type_of_host(rl_context_t* context, reml_type_t id, const rl_rtype_t** out) {
    *out = type_of_id(context, id);
    if (!*out) return no_type(context);
    if (rl_kind_of(*out) == REML_KIND_HOST) return REML_EMBED_STATUS_OK;
    return rl_context_fail(
        context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_TYPE_MISMATCH, "not an opaque host type");
}

reml_embed_status_t reml_value_host(reml_embed_context_t* id, reml_type_t type_id, void* data,
    void (*destroy)(void* data, void* user), void* user, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    const rl_rtype_t* type;
    reml_embed_status_t status = rl_type_of_host(context, type_id, &type);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (rl_type_node(&context->program.types, type->type)->a == context->program.known.foreign_buffer) {
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_FFI_WRAP_INVALID_ARGUMENT,
            "a ForeignBuffer is made by reml_ffi_wrap_foreign_ptr");
    }
    rl_word_t word = {.o = rl_heap_new(&context->vm.heap, RL_OBJ_HOST, RL_HOST_PLAIN, 0, RL_HOST_WORDS)};
    if (!word.o) return rl_context_no_memory(context);
    rl_word_t* words = rl_object_words(word.o);
    words[0].p = data;
    words[2].p = user;
    *out = rl_value_out(context, type, word, false);
    if (out->kind == REML_KIND_NONE)
        return rl_context_no_memory(context); /* destroy not set yet: the caller keeps its data */
    memcpy(&words[1], &destroy, sizeof destroy);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_value_host_data(reml_embed_context_t* id, reml_value_t value, void** out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = NULL;
    RL_ENTER(id, context);
    RL_FIND(context, value, handle);
    if (rl_kind_of(handle->type) != REML_KIND_HOST) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    const rl_foreign_t* foreign = rl_foreign_of(handle->word.o);
    if (foreign && rl_foreign_is_over(foreign, context->vm.foreign_epoch))
        return rl_bridge_violation(context, __func__, REML_EMBED_STATUS_STALE, rl_foreign_reason(foreign));
    *out = foreign ? foreign->data : rl_object_words(handle->word.o)[0].p;
    return REML_EMBED_STATUS_OK;
}
