/*
 * The virtual machine of one context: fibers, registers, limits, failure. Enters bytecode, comes back with a word.
 * Owned by the context; one thread at a time. Never unwinds through the host: every way out is an rl_outcome_t.
 */
#ifndef RL_VM_H
#define RL_VM_H

#include "base/buf.h"
#include "code/bytecode.h"
#include "diag/diag.h"
#include "vm/heap.h"

#include <stdatomic.h>

typedef struct rl_frame {
    const rl_instr_t* return_pc; /* in the caller */
    const rl_proto_t* caller;
    uint32_t s_delta, r_delta;   /* how far this frame's bases lie above the caller's */
} rl_frame_t;

typedef struct rl_deferred {
    rl_object_t* closure;
    uint32_t frame; /* depth of the frame that owns it */
} rl_deferred_t;

/* A computation with registers of its own: the only control mechanism. Grows; parked and continued once. */
typedef struct rl_fiber {
    rl_word_t* s;            /* S bank */
    rl_object_t** r;         /* R bank; all words valid or NULL up to r_capacity */
    rl_frame_t* frames;
    uint32_t s_capacity, r_capacity, frame_capacity;
    uint32_t s_base, r_base, frame_count; /* saved when not running */
    const rl_instr_t* pc;
    const rl_proto_t* proto;
    RL_VEC(rl_deferred_t) deferred;
    struct rl_fiber* parent;
} rl_fiber_t;

typedef struct rl_limits {
    uint64_t fuel;
    uint64_t heap_bytes;
    uint64_t deadline_ms;  /* 0: none */
    uint64_t call_depth;
    uint64_t string_bytes;
    uint64_t output_bytes;
    uint64_t source_bytes, nesting, identifier_bytes, instances, type_depth;
} rl_limits_t;

typedef struct rl_failure {
    rl_code_t code;
    rl_buf_t message;
    RL_VEC(rl_stack_entry_t) stack; /* innermost first, at most 64 */
    rl_module_id_t module;
    uint32_t start;       /* byte offset in that module */
    bool present;
    bool by_host;         /* a host function failed: host/ keeps the original (exception object) */
    RL_VEC(rl_str_t) notes; /* panics of defers while unwinding; texts in vm->failure_arena */
} rl_failure_t;

typedef struct rl_vm {
    rl_allocator_t* allocator;
    rl_heap_t heap;
    const rl_program_t* program;  /* for names and lines */
    rl_fiber_t* fiber;            /* running or about to */
    rl_word_t* globals_s;         /* by global id of this context's numbering (rl_vm_reserve_globals) */
    rl_object_t** globals_r;
    uint8_t* globals_set;
    uint32_t global_count;
    rl_limits_t limits;
    /* Fuel: `budget` is what the loop counts down; it is the smaller of the fuel left and the distance to the next poll. */
    int64_t budget;
    int64_t fuel_left;            /* not counting what is handed out as budget */
    uint64_t deadline_ns;         /* monotonic; 0: none */
    uint64_t output_left;
    _Atomic uint32_t interrupt;   /* set from any thread: stop with runtime.interrupted at the next poll */
    uint32_t native_depth;        /* loops nested through host functions */
    uint32_t native_depth_limit;
    uint64_t hash_secret[2];
    rl_arena_t failure_arena;
    rl_failure_t failure;
    /* The host, seen from here. */
    void* host;
    rl_outcome_t (*call_host)(void* host, struct rl_vm* vm, rl_host_site_t* site, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result);
    bool (*output)(void* host, rl_str_t text, bool is_error); /* false: refused (host error) */
    bool (*poll)(void* host);     /* every POLL_INTERVAL steps of budget; false: stop (failure set by host or runtime.interrupted) */
    void (*unsafe_region)(void* host, rl_str_t function, uint32_t line);
    void (*mark_host_roots)(rl_heap_t* heap, void* host);
} rl_vm_t;

enum { RL_POLL_INTERVAL = 20000 };

bool rl_vm_init(rl_vm_t* vm, rl_allocator_t* allocator, const rl_program_t* program);
void rl_vm_deinit(rl_vm_t* vm);
bool rl_vm_reserve_globals(rl_vm_t* vm, uint32_t count);

/* Start of an outermost run: fuel, deadline and output are filled up; nested runs inherit what is left. */
void rl_vm_begin_run(rl_vm_t* vm);

/*
 * Enter a function with its parameters, per bank in order. Answers RL_DONE and the result word (a reference result is
 * rooted only until the next run: take a handle at once), or RL_RAISE with vm->failure. Deferred expressions have run.
 */
rl_outcome_t rl_vm_call(rl_vm_t* vm, const rl_proto_t* proto, const rl_word_t* s_args, rl_object_t* const* r_args, rl_word_t* out_result);
/* Call a closure object that takes parameters and gives a result as its proto says. */
rl_outcome_t rl_vm_call_closure(rl_vm_t* vm, rl_object_t* closure, const rl_word_t* s_args, rl_object_t* const* r_args, rl_word_t* out_result);

/* The interpreter loop itself (loop.c): runs vm->fiber until the frame count falls to `floor`. */
rl_outcome_t rl_vm_run(rl_vm_t* vm, uint32_t floor);

/* For builtins. */
bool rl_vm_charge(rl_vm_t* vm, uint64_t steps); /* false: the run must stop (failure is set) */
rl_outcome_t rl_vm_raise(rl_vm_t* vm, rl_code_t code, const char* format, ...) RL_PRINTF(3, 4);
rl_outcome_t rl_vm_raise_text(rl_vm_t* vm, rl_code_t code, rl_str_t message);

/* --- objects that more than one file makes --------------------------------------------------------------- */
rl_object_t* rl_string_new(rl_vm_t* vm, rl_str_t bytes, unsigned kind); /* STR (must be valid UTF-8) or BYTES; NULL: memory */
rl_string_t* rl_string_uninit(rl_vm_t* vm, size_t length, unsigned kind); /* own bytes to fill in: (char*)data */
static inline rl_str_t rl_string_str(const rl_object_t* object) {
    const rl_string_t* s = (const rl_string_t*)object;
    return (rl_str_t){s->data, s->length};
}
extern rl_object_t rl_nullary_objects[256]; /* STATIC | SHARED, tag = index; kept in writable memory but never written */

/* --- type-directed operations (generic.c): iterative, charged, bounded --------------------------------------- */
typedef struct rl_value {
    rl_word_t word;
    const rl_rtype_t* type;
} rl_value_t;
/* Display or Debug text of a value into `out` (LANGUAGE 8.2). RL_RAISE on limits. */
rl_outcome_t rl_value_print(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, bool debug, rl_buf_t* out);
rl_outcome_t rl_value_equal(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, bool* out_equal);
/* Order for sorting, Map and Set: floats with -0.0 == 0.0 and NaN last. `<` on floats is an instruction, not this. */
rl_outcome_t rl_value_compare(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, int* out_order);
rl_outcome_t rl_value_hash(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, uint64_t* out_hash);

#endif
