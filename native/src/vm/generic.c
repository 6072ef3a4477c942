/*
 * Equality, order and hash of any value by its type. One walk with an explicit stack of open containers: data may be
 * nested a million deep. Values without identity cannot be cyclic, and those with identity are compared by it, so it
 * ends.
 */
#include "base/map.h"
#include "vm/core/collections.h"
#include "vm/string.h"
#include "vm/vm.h"

typedef enum relation { EQUAL, SAME_KEY, ORDER } relation_t;
typedef enum open_kind { OPEN_SHAPE, OPEN_WALK, OPEN_VEC } open_kind_t;

typedef struct open {
    uint8_t kind; /* open_kind_t */
    bool pending; /* WALK over a map: the keys were equal, the values follow */
    bool pairs;   /* WALK over a map */
    uint32_t index, count;
    const rl_rtype_t* type; /* element; of the whole for maps */
    const rl_rshape_t* shape;
    rl_object_t *a, *b; /* b is NULL when hashing */
    rl_word_t value_a, value_b;
} open_t;

typedef struct walker {
    rl_vm_t* vm;
    relation_t relation;
    int order; /* first difference */
    bool hashing;
    uint64_t hash;
    RL_VEC(open_t) stack;
    RL_VEC(rl_cursor_t) cursors; /* one (hashing) or two for each open WALK */
} walker_t;

static int order_i64(int64_t a, int64_t b) { return (a > b) - (a < b); }
static int order_u64(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

/* -0.0 equals 0.0; NaN comes last and equals itself. */
static int order_f64(double a, double b) {
    if (a < b) return -1;
    if (a > b) return 1;
    if (a == b) return 0;
    return (a != a) - (b != b);
}

static void mix(walker_t* w, uint64_t word) {
    w->hash = rl_hash_mix(w->hash ^ word, w->vm->hash_secret[1] + 0x9e3779b97f4a7c15u);
}

static void mix_f64(walker_t* w, double value) {
    rl_word_t word = {.f = value};
    if (value == 0) word.u = 0;
    if (value != value) word.u = 0x7ff8000000000000u;
    mix(w, word.u);
}

static rl_outcome_t unsupported(walker_t* w, const rl_rtype_t* type) {
    rl_code_t code = w->relation == ORDER && !w->hashing ? RL_CODE_TYPE_ORD_UNSUPPORTED : RL_CODE_TYPE_EQ_UNSUPPORTED;
    return rl_vm_raise(w->vm, code, "values of type %.*s cannot be %s", RL_STR_ARG(type->name),
        code == RL_CODE_TYPE_ORD_UNSUPPORTED ? "ordered" : "compared");
}

static rl_outcome_t push(walker_t* w, open_t open) {
    return rl_vec_push(w->vm->allocator, &w->stack, open) ? RL_DONE : RL_COLLECT;
}

static rl_outcome_t push_walk(walker_t* w, open_t open) {
    uint32_t needed = w->hashing ? 1 : 2;
    if (!rl_vec_reserve(w->vm->allocator, &w->cursors, needed)) return RL_COLLECT;
    rl_cursor_begin(&w->cursors.data[w->cursors.count], open.a);
    if (!w->hashing) rl_cursor_begin(&w->cursors.data[w->cursors.count + 1], open.b);
    w->cursors.count += needed;
    return push(w, open);
}

static void pop(walker_t* w) {
    if (rl_vec_last(&w->stack).kind == OPEN_WALK) w->cursors.count -= w->hashing ? 1 : 2;
    w->stack.count--;
}

static rl_outcome_t open_collection(walker_t* w, const rl_rtype_t* type, rl_object_t* a, rl_object_t* b, bool pairs) {
    uint32_t count = rl_collection_length(a), other = b ? rl_collection_length(b) : count;
    if (w->hashing) {
        mix(w, count);
    } else if (a == b && w->relation != EQUAL) {
        return RL_DONE;
    } else if (w->relation != ORDER && count != other) {
        w->order = order_u64(count, other);
        return RL_DONE;
    }
    return push_walk(
        w, (open_t){.kind = OPEN_WALK, .pairs = pairs, .type = pairs ? type : type->args[0], .a = a, .b = b});
}

static rl_outcome_t open_vector(walker_t* w, const rl_rtype_t* element, rl_object_t* a, rl_object_t* b) {
    uint32_t count = ((const rl_vector_t*)a)->length;
    uint32_t other = b ? ((const rl_vector_t*)b)->length : count;
    if (!w->hashing && w->relation != ORDER && count != other) {
        w->order = order_u64(count, other);
        return RL_DONE;
    }
    return push(w, (open_t){.kind = OPEN_VEC, .type = element, .a = a, .b = b, .count = count});
}

static rl_outcome_t open_shape(walker_t* w, const rl_rshape_t* shape, rl_object_t* a, rl_object_t* b) {
    if (shape->field_count == 0 || (a == b && w->relation != EQUAL)) return RL_DONE;
    return push(w, (open_t){.kind = OPEN_SHAPE, .shape = shape, .a = a, .b = b});
}

static rl_outcome_t visit_identity(walker_t* w, const rl_rtype_t* type, rl_word_t a, rl_word_t b) {
    if (w->hashing) {
        mix(w, (uint64_t)(uintptr_t)a.o);
        return RL_DONE;
    }
    if (w->relation == ORDER) return unsupported(w, type);
    w->order = order_u64((uint64_t)(uintptr_t)a.o, (uint64_t)(uintptr_t)b.o);
    return RL_DONE;
}

static rl_outcome_t visit_named(walker_t* w, const rl_rtype_t* type, rl_word_t a, rl_word_t b) {
    switch (type->def_kind) {
    case RL_DEF_SUM: {
        uint32_t tag = type->is_enum ? (uint32_t)a.u : a.o->tag;
        if (w->hashing) {
            mix(w, tag);
        } else {
            w->order = order_u64(tag, type->is_enum ? (uint32_t)b.u : b.o->tag);
            if (w->order) return RL_DONE;
        }
        if (type->is_enum || tag >= type->shape_count) return RL_DONE;
        return open_shape(w, &type->shapes[tag], a.o, w->hashing ? NULL : b.o);
    }
    case RL_DEF_RECORD: return open_shape(w, &type->shapes[0], a.o, w->hashing ? NULL : b.o);
    case RL_DEF_STRUCT: return visit_identity(w, type, a, b);
    case RL_DEF_BUILTIN: break;
    default: return unsupported(w, type);
    }
    switch (type->builtin) {
    case RL_BUILTIN_LIST:
    case RL_BUILTIN_SET: return open_collection(w, type, a.o, w->hashing ? NULL : b.o, false);
    case RL_BUILTIN_MAP: return open_collection(w, type, a.o, w->hashing ? NULL : b.o, true);
    case RL_BUILTIN_VEC:
    case RL_BUILTIN_TABLE:
    case RL_BUILTIN_CELL:
    case RL_BUILTIN_REF: return visit_identity(w, type, a, b);
    case RL_BUILTIN_RANGE:
        for (unsigned i = 0; i < 4 && w->order == 0; i++) {
            if (w->hashing) mix(w, rl_object_words(a.o)[i].u);
            else w->order = order_i64(rl_object_words(a.o)[i].i, rl_object_words(b.o)[i].i);
        }
        return RL_DONE;
    default: return unsupported(w, type);
    }
}

/* Compare (or mix in) one pair of values; containers are only opened. */
static rl_outcome_t visit(walker_t* w, const rl_rtype_t* type, rl_word_t a, rl_word_t b) {
    for (;;) { /* through wrappers that cost nothing */
        if (type->kind == RL_TYPE_ANY) {
            const rl_rtype_t* inner = rl_object_words(a.o)[1].p;
            a = rl_object_words(a.o)[0];
            if (w->hashing) {
                mix(w, inner->type);
            } else {
                const rl_rtype_t* other = rl_object_words(b.o)[1].p;
                b = rl_object_words(b.o)[0];
                if (inner != other && inner->type != other->type) {
                    w->order = order_u64(inner->type, other->type);
                    return RL_DONE;
                }
            }
            type = inner;
        } else if (type->kind == RL_TYPE_NAMED && type->def_kind == RL_DEF_NEWTYPE) {
            type = type->payload;
        } else {
            break;
        }
    }
    switch (type->kind) {
    case RL_TYPE_UNIT: return RL_DONE;
    case RL_TYPE_U8:
    case RL_TYPE_U16:
    case RL_TYPE_U32:
    case RL_TYPE_U64:
    case RL_TYPE_BOOL:
    case RL_TYPE_CHAR:
        if (w->hashing) mix(w, a.u);
        else w->order = order_u64(a.u, b.u);
        return RL_DONE;
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64:
    case RL_TYPE_DURATION:
    case RL_TYPE_TIMESTAMP:
        if (w->hashing) mix(w, a.u);
        else w->order = order_i64(a.i, b.i);
        return RL_DONE;
    case RL_TYPE_F32:
    case RL_TYPE_F64:
        if (w->hashing) mix_f64(w, a.f);
        else if (w->relation == EQUAL) w->order = !(a.f == b.f);
        else w->order = order_f64(a.f, b.f);
        return RL_DONE;
    case RL_TYPE_STR:
    case RL_TYPE_BYTES: {
        if (!w->hashing) return rl_string_relate(w->vm, a.o, b.o, &w->order);
        uint64_t hash = 0;
        rl_outcome_t outcome = rl_string_hash(w->vm, a.o, &hash);
        mix(w, hash);
        return outcome;
    }
    case RL_TYPE_TUPLE:
    case RL_TYPE_RECORD: return open_shape(w, &type->shapes[0], a.o, w->hashing ? NULL : b.o);
    case RL_TYPE_ARRAY: return open_vector(w, type->args[0], a.o, w->hashing ? NULL : b.o);
    case RL_TYPE_NAMED: return visit_named(w, type, a, b);
    default: return unsupported(w, type);
    }
}

static rl_outcome_t step_walk(walker_t* w, open_t* top) {
    if (top->pending) {
        top->pending = false;
        return visit(w, top->type->args[1], top->value_a, top->value_b);
    }
    rl_cursor_t* cursors = w->cursors.data + w->cursors.count - (w->hashing ? 1 : 2);
    rl_word_t key_a, key_b = {0}, value_a = {0}, value_b = {0};
    bool more_a = rl_cursor_next(&cursors[0], &key_a, &value_a);
    bool more_b = w->hashing ? more_a : rl_cursor_next(&cursors[1], &key_b, &value_b);
    if (!more_a || !more_b) {
        if (!w->hashing) w->order = (int)more_a - (int)more_b;
        pop(w);
        return RL_DONE;
    }
    const rl_rtype_t* type = top->type;
    if (!top->pairs) return visit(w, type, key_a, key_b);
    top->pending = true;
    top->value_a = value_a;
    top->value_b = value_b;
    return visit(w, type->args[0], key_a, key_b);
}

static rl_outcome_t step(walker_t* w) {
    open_t* top = &rl_vec_last(&w->stack);
    switch (top->kind) {
    case OPEN_SHAPE: {
        if (top->index >= top->shape->field_count) break;
        const rl_rfield_t* field = &top->shape->fields[top->index++];
        rl_word_t none = {0};
        return visit(
            w, field->type, rl_object_words(top->a)[field->slot], top->b ? rl_object_words(top->b)[field->slot] : none);
    }
    case OPEN_WALK: return step_walk(w, top);
    default: {
        const rl_vector_t* a = (const rl_vector_t*)top->a;
        const rl_vector_t* b = (const rl_vector_t*)top->b;
        uint32_t at = top->index++;
        if (at >= a->length || (b && at >= b->length)) {
            if (b) w->order = order_u64(a->length, b->length);
            break;
        }
        rl_word_t x = rl_element_load((rl_element_t)a->element, a->data, at), y = {0};
        if (b) y = rl_element_load((rl_element_t)b->element, b->data, at);
        return visit(w, top->type, x, y);
    }
    }
    pop(w);
    return RL_DONE;
}

static rl_outcome_t walk(walker_t* w, const rl_rtype_t* type, rl_word_t a, rl_word_t b) {
    rl_outcome_t outcome = visit(w, type, a, b);
    while (outcome == RL_DONE && w->stack.count && w->order == 0) {
        outcome = rl_vm_charge(w->vm, 1) ? step(w) : RL_RAISE;
    }
    rl_vec_deinit(w->vm->allocator, &w->stack);
    rl_vec_deinit(w->vm->allocator, &w->cursors);
    return outcome;
}

rl_outcome_t rl_value_equal(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, bool* out_equal) {
    walker_t w = {.vm = vm, .relation = EQUAL};
    rl_outcome_t outcome = walk(&w, type, a, b);
    *out_equal = w.order == 0;
    return outcome;
}

rl_outcome_t rl_value_same_key(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, bool* out_same) {
    walker_t w = {.vm = vm, .relation = SAME_KEY};
    rl_outcome_t outcome = walk(&w, type, a, b);
    *out_same = w.order == 0;
    return outcome;
}

rl_outcome_t rl_value_compare(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, int* out_order) {
    walker_t w = {.vm = vm, .relation = ORDER};
    rl_outcome_t outcome = walk(&w, type, a, b);
    *out_order = w.order;
    return outcome;
}

rl_outcome_t rl_value_hash(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, uint64_t* out_hash) {
    walker_t w = {.vm = vm, .relation = SAME_KEY, .hashing = true, .hash = vm->hash_secret[0]};
    rl_word_t none = {0};
    rl_outcome_t outcome = walk(&w, type, value, none);
    *out_hash = w.hash;
    return outcome;
}
