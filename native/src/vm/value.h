/*
 * vm: bytecode → value. Knows words, objects, frames; must not know source text.
 *
 * Values at run time: 64-bit words without tags. The compiler knows which word is a reference: references live in the R
 * bank of a frame and in the first `refs` slots of an object, everything else in the S bank and the slots behind. So
 * marking is exact and needs no map beyond two numbers in the object's header.
 *
 * Machine representation of a type:
 *   S  integers of every width (sign- or zero-extended to 64 bits), Bool (0/1), Char, (), Duration, Timestamp, enums
 *      (sums in which no variant has a payload: the tag), Float (double bits), f32 (held as double, rounded)
 *   R  everything else; never NULL once initialised. Newtypes have the representation of what they wrap.
 */
#ifndef RL_VALUE_H
#define RL_VALUE_H

#include "base/base.h"

typedef struct rl_object rl_object_t;

typedef union rl_word {
    int64_t i;
    uint64_t u;
    double f;
    rl_object_t* o;
    void* p;
} rl_word_t;

typedef enum rl_object_kind {
    RL_OBJ_FREE,    /* a cell on a free list */
    RL_OBJ_CELLS,   /* tuple, record, variant, struct, cell of a captured variable: `refs` references, then scalars */
    RL_OBJ_CLOSURE, /* refs captured references, then word[refs] = rl_proto_t*, then captured scalars */
    RL_OBJ_ANY,     /* word 0: the reference (refs = 1) or the scalar (refs = 0); word 1: const rl_rtype_t* */
    RL_OBJ_STR,     /* rl_string_t */
    RL_OBJ_BYTES,   /* rl_string_t */
    RL_OBJ_LIST,    /* the immutable list: vm/core/list.c */
    RL_OBJ_LIST_NODE,
    RL_OBJ_MAP, /* ordered map and set: vm/core/map.c */
    RL_OBJ_MAP_NODE,
    RL_OBJ_VEC,   /* rl_vector_t */
    RL_OBJ_TABLE, /* vm/core/table.c */
    RL_OBJ_RANGE, /* CELLS layout: from, to, inclusive, step */
    RL_OBJ_ITER,  /* a walk over a collection: vm/core/iterate.c */
    RL_OBJ_HOST,  /* opaque host object, plain or foreign by its tag: vm/foreign.h */
    RL_OBJ_FIBER,
    RL_OBJ_FUTURE, /* rl_future_t */
    RL_OBJ_TASK,   /* rl_task_handle_t */
    RL_OBJ_KIND_COUNT
} rl_object_kind_t;

enum {
    RL_OBJ_MARK = 1 | 2, /* colour, owned by the collector */
    RL_OBJ_SHARED = 4,   /* sticky: may have a second owner, so no update in place */
    RL_OBJ_STATIC =
        8, /* lives outside the heap (constants, nullary variants): never marked, never freed, always SHARED */
    RL_OBJ_REMEMBERED = 16 /* collector's own */
};

struct rl_object {
    uint8_t kind; /* rl_object_kind_t */
    uint8_t flags;
    uint16_t tag;   /* variant; for STR: RL_STR_… */
    uint16_t refs;  /* leading words that are references */
    uint16_t words; /* words behind the header; for kinds with a struct of their own: as rl_heap_new was asked */
};
static inline rl_word_t* rl_object_words(rl_object_t* object) { return (rl_word_t*)(object + 1); }

/* NFC and NOT_NFC: found out at a comparison. SHORT: its bytes follow `count`, the fields behind that are not there. */
enum { RL_STR_ASCII = 1, RL_STR_NFC = 2, RL_STR_NOT_NFC = 4, RL_STR_SHORT = 8 };

/* Str and Bytes. A slice shares the bytes of `owner`. Immutable for the language; append in place only while not SHARED. */
typedef struct rl_string {
    rl_object_t header; /* refs = 1: owner (may be NULL) */
    rl_object_t* owner; /* NULL: the bytes are its own */
    const char* data;
    uint32_t length;      /* bytes */
    uint32_t count;       /* code points; 0xFFFFFFFF: not counted yet */
    uint32_t capacity;    /* bytes of an own side buffer; 0: bytes follow this struct, or are the owner's */
    uint32_t first_point; /* of a slice: code points of its owner before it; 0xFFFFFFFF: not known */
    uint32_t* index;      /* byte offset of each 64th code point, as far as it was needed: room, entries, entry 0, … */
} rl_string_t;

/* How elements are stored in Vec, fixed arrays and list leaves: natural width, unboxed (LANGUAGE 8.7). */
typedef enum rl_element {
    RL_ELEM_REF,
    RL_ELEM_I64,
    RL_ELEM_F64,
    RL_ELEM_I8,
    RL_ELEM_I16,
    RL_ELEM_I32,
    RL_ELEM_U8 /* also Bool */,
    RL_ELEM_U16,
    RL_ELEM_U32 /* also Char */,
    RL_ELEM_F32,
    RL_ELEM_UNIT /* no bytes */
} rl_element_t;
static inline uint32_t rl_element_size(rl_element_t element) {
    static const uint8_t sizes[] = {8, 8, 8, 1, 2, 4, 1, 2, 4, 4, 0};
    return sizes[element];
}
static inline rl_word_t rl_element_load(rl_element_t element, const void* data, size_t index) {
    rl_word_t w;
    switch (element) {
    case RL_ELEM_REF: w.o = ((rl_object_t* const*)data)[index]; return w;
    case RL_ELEM_I64: w.i = ((const int64_t*)data)[index]; return w;
    case RL_ELEM_F64: w.f = ((const double*)data)[index]; return w;
    case RL_ELEM_I8: w.i = ((const int8_t*)data)[index]; return w;
    case RL_ELEM_I16: w.i = ((const int16_t*)data)[index]; return w;
    case RL_ELEM_I32: w.i = ((const int32_t*)data)[index]; return w;
    case RL_ELEM_U8: w.u = ((const uint8_t*)data)[index]; return w;
    case RL_ELEM_U16: w.u = ((const uint16_t*)data)[index]; return w;
    case RL_ELEM_U32: w.u = ((const uint32_t*)data)[index]; return w;
    case RL_ELEM_F32: w.f = (double)((const float*)data)[index]; return w;
    case RL_ELEM_UNIT: break;
    }
    w.i = 0;
    return w;
}
static inline void rl_element_store(rl_element_t element, void* data, size_t index, rl_word_t w) {
    switch (element) {
    case RL_ELEM_REF: ((rl_object_t**)data)[index] = w.o; return; /* the caller has done the write barrier */
    case RL_ELEM_I64: ((int64_t*)data)[index] = w.i; return;
    case RL_ELEM_F64: ((double*)data)[index] = w.f; return;
    case RL_ELEM_I8: ((int8_t*)data)[index] = (int8_t)w.i; return;
    case RL_ELEM_I16: ((int16_t*)data)[index] = (int16_t)w.i; return;
    case RL_ELEM_I32: ((int32_t*)data)[index] = (int32_t)w.i; return;
    case RL_ELEM_U8: ((uint8_t*)data)[index] = (uint8_t)w.u; return;
    case RL_ELEM_U16: ((uint16_t*)data)[index] = (uint16_t)w.u; return;
    case RL_ELEM_U32: ((uint32_t*)data)[index] = (uint32_t)w.u; return;
    case RL_ELEM_F32: ((float*)data)[index] = (float)w.f; return;
    case RL_ELEM_UNIT: return;
    }
}

/* Vec<T> and [T; N] */
typedef struct rl_vector {
    rl_object_t header; /* refs = 0: its elements are marked through `element` */
    void* data;         /* side buffer of `capacity` elements */
    uint32_t length, capacity;
    uint32_t element; /* rl_element_t */
    uint32_t changes; /* grows with every change of length */
} rl_vector_t;

#endif
