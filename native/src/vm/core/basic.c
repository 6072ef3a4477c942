/* Generic operations, output and failure as the prelude and emitted code call them. */
#include "vm/core/basic.h"

#include "base/number.h"
#include "base/utf8.h"
#include "vm/core/iterate.h"
#include "vm/core/list.h"
#include "vm/format.h"
#include "vm/string.h"

#define ARGS        rl_vm_t *vm, const rl_word_t *args, rl_word_t *result, const rl_builtin_site_t *site
#define UNUSED_SITE (void)site
#define UNUSED_VM   (void)vm

/* --- variants ------------------------------------------------------------------------------------------------ */

const rl_rshape_t* rl_shape_named(const rl_rtype_t* sum, rl_str_t name) {
    for (unsigned i = 0; i < sum->shape_count; i++) {
        if (rl_str_equal(sum->shapes[i].name, name)) return &sum->shapes[i];
    }
    return NULL;
}

rl_outcome_t rl_object_variant(rl_vm_t* vm, const rl_rshape_t* shape, rl_word_t payload, rl_word_t* out) {
    rl_object_t* object = rl_heap_new(&vm->heap, RL_OBJ_CELLS, shape->tag, shape->refs, shape->words);
    if (!object) return RL_COLLECT;
    rl_object_words(object)[shape->fields[0].slot] = payload;
    out->o = object;
    return RL_DONE;
}

rl_outcome_t rl_make_some(rl_vm_t* vm, const rl_rtype_t* option, rl_word_t payload, rl_word_t* out) {
    const rl_rshape_t* shape = rl_shape_named(option, RL_STR("Some"));
    return rl_object_variant(vm, shape ? shape : &option->shapes[option->shape_count - 1], payload, out);
}

void rl_make_none(const rl_rtype_t* option, rl_word_t* out) {
    const rl_rshape_t* shape = rl_shape_named(option, RL_STR("None"));
    out->o = &rl_nullary_objects[(shape ? shape->tag : 0) & 255];
}

/* --- equality, order, text ----------------------------------------------------------------------------------- */

rl_outcome_t rl_core_eq(ARGS) {
    bool equal = false;
    rl_outcome_t outcome = rl_value_equal(vm, site->arg_types[0], args[0], args[1], &equal);
    result->i = equal;
    return outcome;
}

rl_outcome_t rl_core_compare(ARGS) {
    int order = 0;
    rl_outcome_t outcome = rl_value_compare(vm, site->arg_types[0], args[0], args[1], &order);
    result->i = order;
    return outcome;
}

rl_outcome_t rl_core_hash(ARGS) { return rl_value_hash(vm, site->arg_types[0], args[0], &result->u); }

static rl_outcome_t text_of(ARGS, bool debug) {
    const rl_rtype_t* type = site->arg_types[0];
    if (type->kind == RL_TYPE_STR && !debug) {
        rl_share(args[0].o);
        *result = args[0];
        return RL_DONE;
    }
    if (rl_type_is_numeric(type->kind)) { /* short, and needs no buffer */
        char text[RL_F64_TEXT];
        size_t length = type->kind == RL_TYPE_F64   ? rl_f64_print(args[0].f, text)
                        : type->kind == RL_TYPE_F32 ? rl_f32_print((float)args[0].f, text)
                        : type->kind >= RL_TYPE_U8  ? rl_u64_print(args[0].u, text)
                                                    : rl_i64_print(args[0].i, text);
        if (!rl_vm_charge(vm, 2)) return RL_RAISE;
        rl_string_t* s = rl_string_uninit(vm, length, RL_OBJ_STR);
        if (!s) return RL_COLLECT;
        memcpy((char*)(uintptr_t)s->data, text, length);
        s->header.tag |= RL_STR_ASCII;
        s->count = s->length;
        result->o = &s->header;
        return RL_DONE;
    }
    rl_buf_t buf;
    rl_buf_init(&buf, vm->allocator);
    rl_outcome_t outcome = rl_value_print(vm, type, args[0], debug, &buf);
    if (outcome == RL_DONE) outcome = rl_string_from_buf(vm, &buf, RL_OBJ_STR, &result->o);
    rl_buf_deinit(&buf);
    return outcome;
}
rl_outcome_t rl_core_to_string(ARGS) { return text_of(vm, args, result, site, false); }
rl_outcome_t rl_core_debug(ARGS) { return text_of(vm, args, result, site, true); }

/* A closure that holds the value and makes its text. NULL: memory. */
static rl_object_t* text_closure(rl_vm_t* vm, const rl_text_hole_t* hole, bool debug) {
    bool is_ref = hole->type->rep == RL_REP_R;
    rl_object_t* closure = rl_heap_new(&vm->heap, RL_OBJ_CLOSURE, 0, is_ref, 2);
    if (!closure) return NULL;
    rl_word_t* words = rl_object_words(closure);
    if (is_ref) rl_share(hole->value.o);
    words[is_ref ? 0 : 1] = hole->value;
    words[is_ref ? 1 : 0].p = (void*)(uintptr_t)(debug ? hole->type->debug : hole->type->display);
    return closure;
}

static rl_outcome_t make_parts(
    rl_vm_t* vm, const rl_buf_t* buf, const rl_text_holes_t* holes, bool debug, rl_word_t* words, rl_word_t* result) {
    size_t from = 0, count = holes->count;
    rl_object_t *texts, *closures, *pair;
    for (size_t i = 0; i <= count; i++) {
        size_t to = i < count ? holes->data[i].at : buf->length;
        rl_object_t* text = rl_string_new(vm, (rl_str_t){buf->data + from, to - from}, RL_OBJ_STR);
        if (!text) return RL_COLLECT;
        words[i].o = text;
        from = to;
    }
    rl_outcome_t outcome = rl_list_from_words(vm, RL_ELEM_REF, words, count + 1, &texts);
    for (size_t i = 0; i < count && outcome == RL_DONE; i++) {
        if (!(words[i].o = text_closure(vm, &holes->data[i], debug))) return RL_COLLECT;
    }
    if (outcome == RL_DONE) outcome = rl_list_from_words(vm, RL_ELEM_REF, words, count, &closures);
    if (outcome != RL_DONE) return outcome;
    if (!(pair = rl_heap_new(&vm->heap, RL_OBJ_CELLS, 0, 2, 2))) return RL_COLLECT;
    rl_object_words(pair)[0].o = texts;
    rl_object_words(pair)[1].o = closures;
    result->o = pair;
    return RL_DONE;
}

rl_outcome_t rl_core_text_parts(ARGS) {
    bool debug = args[1].i != 0;
    rl_buf_t buf;
    rl_text_holes_t holes = {0};
    RL_VEC(rl_word_t) words = {0};
    rl_buf_init(&buf, vm->allocator);
    rl_outcome_t outcome = rl_value_print_parts(vm, site->arg_types[0], args[0], debug, &buf, &holes);
    if (outcome == RL_DONE && !rl_vm_charge(vm, holes.count)) outcome = RL_RAISE;
    if (outcome == RL_DONE)
        outcome = rl_vec_reserve(vm->allocator, &words, holes.count + 1)
                      ? make_parts(vm, &buf, &holes, debug, words.data, result)
                      : RL_COLLECT;
    rl_vec_deinit(vm->allocator, &words);
    rl_vec_deinit(vm->allocator, &holes);
    rl_buf_deinit(&buf);
    return outcome;
}

rl_outcome_t rl_core_has_own_text(ARGS) {
    UNUSED_SITE;
    const rl_rtype_t* type = rl_object_words(args[0].o)[1].p;
    if (!rl_vm_charge(vm, 1)) return RL_RAISE;
    result->i = type->kind >= RL_TYPE_ANY && type->kind != RL_TYPE_FUNCTION;
    return RL_DONE;
}

rl_outcome_t rl_core_format_value(ARGS) {
    rl_format_spec_t spec = {0};
    rl_str_t text = rl_string_str(args[0].o);
    if (!rl_format_spec_parse(text, &spec)) {
        return rl_vm_raise(vm, RL_CODE_TYPE_FORMAT_ARG_MISMATCH, "`%.*s` is no format specification",
            text.length > 40 ? 40 : (int)text.length, text.data);
    }
    rl_buf_t buf;
    rl_buf_init(&buf, vm->allocator);
    rl_outcome_t outcome = rl_value_format(vm, site->arg_types[1], args[1], &spec, &buf);
    if (outcome == RL_DONE) outcome = rl_string_from_buf(vm, &buf, RL_OBJ_STR, &result->o);
    rl_buf_deinit(&buf);
    return outcome;
}

rl_outcome_t rl_core_format_any(ARGS) {
    UNUSED_SITE;
    rl_buf_t buf;
    rl_buf_init(&buf, vm->allocator);
    buf.limit = (size_t)vm->limits.string_bytes;
    rl_outcome_t outcome = rl_format_template(vm, rl_string_str(args[0].o), args[1].o, &buf);
    if (outcome == RL_DONE) outcome = rl_string_from_buf(vm, &buf, RL_OBJ_STR, &result->o);
    rl_buf_deinit(&buf);
    return outcome;
}

rl_outcome_t rl_core_convert(ARGS) {
    return rl_value_convert(vm, site->arg_types[0], site->result_type, args[0], result);
}

rl_outcome_t rl_core_clone(ARGS) {
    UNUSED_VM;
    if (site->arg_reps[0] == RL_REP_R) rl_share(args[0].o);
    *result = args[0];
    return RL_DONE;
}

rl_outcome_t rl_core_same(ARGS) {
    UNUSED_VM;
    UNUSED_SITE;
    result->i = args[0].u == args[1].u;
    return RL_DONE;
}

/* --- output -------------------------------------------------------------------------------------------------- */

rl_outcome_t rl_core_print_str(ARGS) {
    UNUSED_SITE;
    result->u = 0;
    return rl_vm_output(vm, rl_string_str(args[0].o), false);
}

/* One call of the host for a short line, so that lines of several contexts do not mix. */
static rl_outcome_t print_line(rl_vm_t* vm, rl_str_t text, bool is_error) {
    char line[512];
    if (text.length < sizeof line) {
        if (text.length) memcpy(line, text.data, text.length);
        line[text.length] = '\n';
        return rl_vm_output(vm, (rl_str_t){line, text.length + 1}, is_error);
    }
    rl_outcome_t outcome = rl_vm_output(vm, text, is_error);
    return outcome == RL_DONE ? rl_vm_output(vm, RL_STR("\n"), is_error) : outcome;
}

rl_outcome_t rl_core_println_str(ARGS) {
    UNUSED_SITE;
    result->u = 0;
    return print_line(vm, rl_string_str(args[0].o), false);
}

/* Asked once, also when the string has to wait for a collection. */
rl_outcome_t rl_core_console_ask(ARGS) {
    UNUSED_SITE;
    rl_str_t question = rl_string_str(args[0].o);
    if (!rl_vm_charge(vm, 1 + question.length / 16)) return RL_RAISE;
    if (!vm->answered) {
        rl_str_t answer = {"", 0};
        if (vm->input && !vm->input(vm->host, question, &answer)) {
            if (vm->failure.present && !vm->unwinding) return RL_RAISE;
            return rl_vm_raise(vm, RL_CODE_HOST_CALL_FAILED, "the host's input callback failed");
        }
        if (rl_utf8_validate(answer) != answer.length)
            return rl_vm_raise(vm, RL_CODE_HOST_VALUE_TYPE_MISMATCH, "the host's answer is not valid UTF-8");
        if (answer.length > vm->limits.string_bytes) return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
        rl_buf_clear(&vm->answer);
        rl_buf_add(&vm->answer, answer);
        if (vm->answer.failed) {
            rl_buf_clear(&vm->answer);
            rl_alloc_clear_failure(vm->allocator);
            return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
        }
        vm->answered = true;
    }
    rl_object_t* text = rl_string_new(vm, rl_buf_str(&vm->answer), RL_OBJ_STR);
    if (!text) return RL_COLLECT;
    vm->answered = false;
    rl_buf_deinit(&vm->answer);
    rl_buf_init(&vm->answer, vm->allocator);
    result->o = text;
    return RL_DONE;
}

rl_outcome_t rl_core_eprintln_str(ARGS) {
    UNUSED_SITE;
    result->u = 0;
    return print_line(vm, rl_string_str(args[0].o), true);
}

/* --- failure ------------------------------------------------------------------------------------------------- */

static rl_outcome_t fail_with(ARGS, rl_code_t code) {
    UNUSED_SITE;
    result->u = 0;
    return rl_vm_raise_text(vm, code, rl_string_str(args[0].o));
}
rl_outcome_t rl_core_panic(ARGS) { return fail_with(vm, args, result, site, RL_CODE_RUNTIME_PANIC); }
rl_outcome_t rl_core_assert_failed(ARGS) { return fail_with(vm, args, result, site, RL_CODE_RUNTIME_ASSERT); }
rl_outcome_t rl_core_unwrap_failed(ARGS) { return fail_with(vm, args, result, site, RL_CODE_RUNTIME_UNWRAP); }
rl_outcome_t rl_core_todo_failed(ARGS) { return fail_with(vm, args, result, site, RL_CODE_RUNTIME_TODO); }

/* --- ranges: from, to, inclusive, step ----------------------------------------------------------------------- */

static rl_outcome_t check_step(rl_vm_t* vm, int64_t step) {
    if (step > 0) return RL_DONE;
    return rl_vm_raise(vm, RL_CODE_RUNTIME_RANGE_STEP, "step must be positive, not %lld", (long long)step);
}

rl_outcome_t rl_core_range_step_check(ARGS) {
    UNUSED_SITE;
    result->u = 0;
    return check_step(vm, args[0].i);
}

static rl_outcome_t new_range(
    rl_vm_t* vm, rl_word_t from, rl_word_t to, bool inclusive, int64_t step, rl_word_t* result) {
    rl_object_t* range = rl_heap_new(&vm->heap, RL_OBJ_RANGE, 0, 0, 4);
    if (!range) return RL_COLLECT;
    rl_word_t* words = rl_object_words(range);
    words[0] = from;
    words[1] = to;
    words[2].i = inclusive;
    words[3].i = step;
    result->o = range;
    return RL_DONE;
}

rl_outcome_t rl_core_range_step_by(ARGS) {
    const rl_word_t* words = rl_object_words(args[0].o);
    if (check_step(vm, args[1].i) != RL_DONE) return RL_RAISE;
    int64_t step;
    if (__builtin_mul_overflow(words[3].i, args[1].i, &step)) {
        /* Longer than any range: only the first element, if there is one. */
        step = rl_range_count(site->arg_types[0]->args[0], args[0].o) ? (words[3].i < 0 ? INT64_MIN : INT64_MAX)
                                                                      : words[3].i;
    }
    return new_range(vm, words[0], words[1], words[2].i != 0, step, result);
}

rl_outcome_t rl_core_range_reverse(ARGS) {
    const rl_word_t* words = rl_object_words(args[0].o);
    uint64_t count = rl_range_count(site->arg_types[0]->args[0], args[0].o);
    if (count == 0) return new_range(vm, words[0], words[0], false, 1, result);
    rl_word_t last = {.u = words[0].u + (count - 1) * words[3].u};
    int64_t step = words[3].i == INT64_MIN ? INT64_MAX : -words[3].i; /* a step of that size has one element */
    return new_range(vm, last, words[0], true, step, result);
}

rl_outcome_t rl_core_range_contains(ARGS) {
    UNUSED_VM;
    const rl_word_t* words = rl_object_words(args[0].o);
    const rl_rtype_t* element = site->arg_types[0]->args[0];
    uint64_t count = rl_range_count(element, args[0].o);
    uint64_t step = words[3].i < 0 ? 0 - words[3].u : words[3].u;
    uint64_t distance = words[3].i < 0 ? words[0].u - args[1].u : args[1].u - words[0].u;
    bool beyond = element->kind == RL_TYPE_U64 ? (words[3].i < 0 ? args[1].u > words[0].u : args[1].u < words[0].u)
                                               : (words[3].i < 0 ? args[1].i > words[0].i : args[1].i < words[0].i);
    result->i = count != 0 && !beyond && distance % step == 0 && distance / step < count;
    return RL_DONE;
}

rl_outcome_t rl_core_range_start(ARGS) {
    UNUSED_VM;
    UNUSED_SITE;
    *result = rl_object_words(args[0].o)[0];
    return RL_DONE;
}

rl_outcome_t rl_core_range_end(ARGS) {
    UNUSED_VM;
    UNUSED_SITE;
    *result = rl_object_words(args[0].o)[1];
    return RL_DONE;
}

rl_outcome_t rl_core_range_count(ARGS) {
    uint64_t count = rl_range_count(site->arg_types[0]->args[0], args[0].o);
    if (count > INT64_MAX)
        return rl_vm_raise(vm, RL_CODE_RUNTIME_ARITH_OVERFLOW, "range has more elements than an Int can count");
    result->u = count;
    return RL_DONE;
}
