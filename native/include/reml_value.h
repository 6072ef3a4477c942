/*
 * reml_value.h: values, types, functions and host functions at the border. (Contract reference §2.1; DESIGN 2.4.)
 *
 * A value is 16 bytes, passed by value. Scalars carry their payload and need no release. Everything else is a handle into its
 * context: reference-counted, never an address. A handle is released once (reml_value_release); using it afterwards, in
 * another context, or after the context is gone is refused, never a crash.
 *
 * Ownership of handles: what a function of this header writes to an out-parameter is owned by the caller. Arguments are
 * borrowed for the call. Handles a host function receives are borrowed until it returns; what it answers is transferred.
 */
#ifndef REML_VALUE_H
#define REML_VALUE_H

#include "reml_embed.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum reml_kind_t {
    REML_KIND_NONE = 0,
    REML_KIND_INT = 1,   /* every integer type */
    REML_KIND_FLOAT = 2, /* Float, f32 */
    REML_KIND_BOOL = 3,
    REML_KIND_STRING = 4,
    REML_KIND_TUPLE = 5,
    REML_KIND_RECORD = 6, /* anonymous and named records */
    REML_KIND_CLOSURE = 7,
    REML_KIND_ADT = 8, /* variant of a sum type: Option, Result, user types, newtypes */
    REML_KIND_SET = 9,
    REML_KIND_CHAR = 10,
    REML_KIND_ARRAY = 11, /* List, [T; N] */
    REML_KIND_UNIT = 32,
    REML_KIND_BYTES = 33,
    REML_KIND_MAP = 34,
    REML_KIND_STRUCT = 35,
    REML_KIND_VEC = 36,
    REML_KIND_TABLE = 37,
    REML_KIND_CELL = 38, /* Cell, Ref */
    REML_KIND_RANGE = 39,
    REML_KIND_ITER = 40,
    REML_KIND_DURATION = 41,  /* nanoseconds */
    REML_KIND_TIMESTAMP = 42, /* nanoseconds since 1970 */
    REML_KIND_HOST = 43,      /* opaque host object */
    REML_KIND_ANY = 44,       /* as a type only: a value shows what it holds */
    REML_KIND_FUTURE = 45,    /* see reml_async.h */
    REML_KIND_TASK = 46
} reml_kind_t;

typedef struct reml_value_t {
    uint32_t kind;    /* reml_kind_t */
    uint32_t context; /* generation of its context; 0 for scalars */
    uint64_t bits;    /* scalar payload, or slot and generation */
} reml_value_t;

/* Payload of a scalar, for direct calls: by the signature, integers, Bool, Char, Duration in `i`, Float in `f`, () is 0. */
typedef union reml_scalar_t {
    int64_t i;
    double f;
} reml_scalar_t;

/* --- scalars -------------------------------------------------------------------------------------------------- */
REML_API reml_value_t reml_value_unit(void);
REML_API reml_value_t reml_value_int(int64_t value);
REML_API reml_value_t reml_value_u64(uint64_t value); /* for u64 parameters above INT64_MAX */
REML_API reml_value_t reml_value_float(double value);
REML_API reml_value_t reml_value_bool(int value);
REML_API reml_value_t reml_value_char(uint32_t scalar);
REML_API reml_value_t reml_value_duration(int64_t nanoseconds);

REML_API reml_embed_status_t reml_value_as_int(
    reml_value_t value, int64_t* out); /* INT, BOOL, CHAR, DURATION, TIMESTAMP */
REML_API reml_embed_status_t reml_value_as_float(reml_value_t value, double* out);

/* --- types ------------------------------------------------------------------------------------------------------ */
/* A type of one context. Plain data, no release; valid until the context is disposed. */
typedef struct reml_type_t {
    uint32_t context, id;
} reml_type_t;
/* Find a type by its text in Reml syntax: "List<Int>", "(Str, Float)", "{ x: Int }", "Shape". */
REML_API reml_embed_status_t reml_type_find(
    reml_embed_context_t* context, const char* text, size_t length, reml_type_t* out_type);
REML_API reml_kind_t reml_type_kind(reml_embed_context_t* context, reml_type_t type); /* NONE: no such type */
/* Text of a type. transferred: reml_embed_free. */
REML_API reml_embed_status_t reml_type_text(
    reml_embed_context_t* context, reml_type_t type, char** out_text, size_t* out_length);

/* --- making values ------------------------------------------------------------------------------------------------ */
/* owned: *out_value (release once). fails: INVALID_ARGUMENT when the text is not UTF-8 or a part has the wrong type (reml_last_error
   names the place), LIMIT, NO_MEMORY; *out_value is of kind NONE then. Parts are copied or shared; the caller keeps its handles. */
REML_API reml_embed_status_t reml_value_string(
    reml_embed_context_t* context, const char* text, size_t length, reml_value_t* out_value);
REML_API reml_embed_status_t reml_value_bytes(
    reml_embed_context_t* context, const void* data, size_t length, reml_value_t* out_value);
/*
 * A value of `type` from its parts. tuple: elements; record, struct: fields in ascending order of their names; List, Set, Vec, array:
 * items; Map, Table: key, value, key, value …; sum types: see reml_value_variant. Parts are converted as the type demands.
 */
REML_API reml_embed_status_t reml_value_make(
    reml_embed_context_t* context, reml_type_t type, const reml_value_t* parts, size_t count, reml_value_t* out_value);
/* A variant by name, e.g. type Option<Int>, "Some", one part. */
REML_API reml_embed_status_t reml_value_variant(reml_embed_context_t* context, reml_type_t type, const char* name,
    size_t name_length, const reml_value_t* parts, size_t count, reml_value_t* out_value);
/* An opaque host object (a pointer with an owner that may end it: reml_ffi_wrap_foreign_ptr) of host type `type` (declared `type T` in an extern "host" block). destroy(data, user) is called once, when
   the script and the host have both let go, in the context's thread. */
REML_API reml_embed_status_t reml_value_host(reml_embed_context_t* context, reml_type_t type, void* data,
    void (*destroy)(void* data, void* user), void* user, reml_value_t* out_value);

/* --- reading values ------------------------------------------------------------------------------------------------- */
REML_API reml_embed_status_t reml_value_retain(reml_embed_context_t* context, reml_value_t value);
/* NONE and scalars are fine. A second release answers STALE and leaves a record ffi.wrap.ownership_violation. From another thread it is queued. */
REML_API reml_embed_status_t reml_value_release(reml_embed_context_t* context, reml_value_t value);
REML_API reml_embed_status_t reml_value_type(reml_embed_context_t* context, reml_value_t value, reml_type_t* out_type);
/* UTF-8 text of a STRING, or the bytes of BYTES. borrowed: while the handle lives. */
REML_API reml_embed_status_t reml_value_span(reml_embed_context_t* context, reml_value_t value, reml_span_t* out_span);
/* Items of TUPLE, ARRAY, SET, VEC; fields of RECORD, STRUCT; payloads of ADT; entries of MAP, TABLE; code points of STRING; bytes of BYTES. */
REML_API reml_embed_status_t reml_value_length(reml_embed_context_t* context, reml_value_t value, size_t* out_length);
/* The item at `index` in the order above; of MAP and TABLE the value there. owned: *out_value. fails: INVALID_ARGUMENT past the end. */
REML_API reml_embed_status_t reml_value_item(
    reml_embed_context_t* context, reml_value_t value, size_t index, reml_value_t* out_value);
REML_API reml_embed_status_t reml_value_key(
    reml_embed_context_t* context, reml_value_t value, size_t index, reml_value_t* out_value);
REML_API reml_embed_status_t reml_value_field(
    reml_embed_context_t* context, reml_value_t value, const char* name, size_t name_length, reml_value_t* out_value);
/* Name of the variant of an ADT, or of field `index` of a record. borrowed: until the context is disposed. */
REML_API reml_embed_status_t reml_value_name(reml_embed_context_t* context, reml_value_t value, reml_span_t* out_name);
REML_API reml_embed_status_t reml_value_field_name(
    reml_embed_context_t* context, reml_value_t value, size_t index, reml_span_t* out_name);
/* The address behind a HOST value. A pointer that is over (reml_ffi_bridge.h) is refused: STALE, and recorded. */
REML_API reml_embed_status_t reml_value_host_data(reml_embed_context_t* context, reml_value_t value, void** out_data);
REML_API reml_embed_status_t reml_value_equal(
    reml_embed_context_t* context, reml_value_t a, reml_value_t b, int* out_equal);
/* Display text. transferred: reml_embed_free. */
REML_API reml_embed_status_t reml_value_text(
    reml_embed_context_t* context, reml_value_t value, char** out_text, size_t* out_length);

/* --- functions ---------------------------------------------------------------------------------------------------------- */
/* A function looked up and type-checked once, then called many times. Plain data; released with the context, or earlier. */
typedef struct reml_function_t {
    uint64_t context; /* encodes the context */
    uint64_t id;      /* slot and generation */
} reml_function_t;

/*
 * Find a top-level function: "total", "Billing.total", or one of a core type: "Conductor.run". `signature` ("(Int, Int) -> Int") is checked, and picks the instance of a
 * generic function; NULL accepts what is there. Module initialisation runs at the first call.
 *
 * fails: ERROR runtime.entry.unknown / type.mismatch (naming both signatures); *out_function is zero then.
 */
REML_API reml_embed_status_t reml_function_find(reml_embed_context_t* context, const char* name, size_t name_length,
    const char* signature, size_t signature_length, reml_function_t* out_function);
/* From a closure value (a script's function). The function keeps the closure alive until released. */
REML_API reml_embed_status_t reml_function_from_value(
    reml_embed_context_t* context, reml_value_t closure, reml_function_t* out_function);
REML_API reml_embed_status_t reml_function_release(reml_embed_context_t* context, reml_function_t function);
/* "(Int, Int) -> Int", with effects "(Str) -> Int ! {io}". transferred: reml_embed_free. */
REML_API reml_embed_status_t reml_function_signature(
    reml_embed_context_t* context, reml_function_t function, char** out_text, size_t* out_length);
REML_API reml_embed_status_t reml_function_arity(
    reml_embed_context_t* context, reml_function_t function, size_t* out_arity);
REML_API reml_embed_status_t reml_function_param_type(
    reml_embed_context_t* context, reml_function_t function, size_t index, reml_type_t* out_type);
REML_API reml_embed_status_t reml_function_result_type(
    reml_embed_context_t* context, reml_function_t function, reml_type_t* out_type);

/* Call. owned: *out_result. fails as reml_run does; wrong count or types: INVALID_ARGUMENT. */
REML_API reml_embed_status_t reml_function_call(reml_embed_context_t* context, reml_function_t function,
    const reml_value_t* arguments, size_t count, reml_value_t* out_result);
/* The direct path for functions whose parameters and result are scalars: no conversion, no allocation. */
REML_API reml_embed_status_t reml_function_call_scalars(reml_embed_context_t* context, reml_function_t function,
    const reml_scalar_t* arguments, size_t count, reml_scalar_t* out_result);

/* A top-level value: "limit", "Billing.limit". Modules are initialised first. owned: *out_value. fails: ERROR when there is none,
   or as reml_run does. */
REML_API reml_embed_status_t reml_embed_global(
    reml_embed_context_t* context, const char* name, size_t name_length, reml_value_t* out_value);

/* --- batches: one crossing, many elements -------------------------------------------------------------------------------- */
typedef enum reml_column_kind_t {
    REML_COLUMN_I64 = 1,
    REML_COLUMN_F64 = 2,
    REML_COLUMN_BOOL = 3 /* one byte 0/1 */
} reml_column_kind_t;
typedef struct reml_column_t {
    uint32_t kind;     /* reml_column_kind_t */
    uint32_t reserved; /* 0 */
    void* data;
    ptrdiff_t stride; /* bytes from one element to the next; 0: all rows see the same element (inputs only) */
} reml_column_t;
/*
 * result[i] = function(inputs[0][i], inputs[1][i], …) for i in 0 … count-1; the function must be scalar. Stops at the first failing
 * element, whose index goes to *out_done (elements before it are written). Limits hold for the whole batch.
 */
REML_API reml_embed_status_t reml_function_map(reml_embed_context_t* context, reml_function_t function,
    const reml_column_t* inputs, size_t input_count, const reml_column_t* output, size_t count, size_t* out_done);

/* --- host functions ---------------------------------------------------------------------------------------------------------- */
/*
 * Called by the script. `arguments` are borrowed for the call; *out_result is transferred to the script (leave it NONE for ()).
 * Answer OK, or another status after saying why with reml_host_fail. May call back into the context.
 */
typedef reml_embed_status_t (*reml_host_fn)(
    reml_embed_context_t* context, const reml_value_t* arguments, size_t count, reml_value_t* out_result, void* user);
/* The direct path for signatures of scalars. */
typedef reml_embed_status_t (*reml_host_scalar_fn)(
    reml_embed_context_t* context, const reml_scalar_t* arguments, reml_scalar_t* out_result, void* user);
typedef struct reml_host_function_t {
    uint32_t struct_size;
    uint32_t flags;   /* 0 */
    const char* name; /* "Host.price" or "price"; NUL-terminated UTF-8 */
    const char*
        signature; /* "(sku: Str) -> Float", "() -> Int ! {io, audit}" (no set written: {io}); NULL: bind a function that a module declares without body */
    reml_host_fn call; /* exactly one of call and call_scalars */
    reml_host_scalar_fn call_scalars;
    void* user;
    void (*destroy)(void* user); /* when the registration goes; NULL: none */
    /* What it needs (reml_capability.h). A module that uses it loads, and a call of it goes through, only while the context is granted
       the capability and the registry has it at this stage with these effects. Copied. */
    const char* capability; /* id; NULL: nothing, the others are 0 then */
    uint32_t stage;         /* REML_EMBED_STAGE_…: at least that one; with REML_CAPABILITY_EXACT: that one */
    uint32_t reserved;      /* 0 */
    const char* effects;    /* list that the scope of the capability must cover; NULL: none */
} reml_host_function_t;
#define REML_HOST_FUNCTION_INIT {sizeof(reml_host_function_t), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL}
/* Register a host function, visible to modules loaded later. Registering a name again replaces its binding (same signature).
   On failure destroy has not been called and the caller keeps `user`.
   What it needs is looked at in two places: at load, the diagnostic at each use is target.capability.unknown (not granted),
   runtime.capability.unknown (nobody registered it), effects.contract.stage_mismatch or effects.contract.effect_scope_mismatch; at a
   call after anything has changed, the run ends with DENIED, runtime.capability.denied, and the function has not been called. */
REML_API reml_embed_status_t reml_host_define(reml_embed_context_t* context, const reml_host_function_t* function);
/*
 * Give a value to every `let name: T` of the extern "host" blocks that are loaded. Reading one that has none panics
 * host.symbol.unbound. The handle stays the caller's. fails: ERROR when no module declares it, INVALID_ARGUMENT for another type.
 */
REML_API reml_embed_status_t reml_host_set_global(
    reml_embed_context_t* context, const char* name, size_t name_length, reml_value_t value);
/* Inside a host function: the text of its failure (host.call.failed). Copied. */
REML_API reml_embed_status_t reml_host_fail(reml_embed_context_t* context, const char* message, size_t length);

#ifdef __cplusplus
}
#endif

#endif
