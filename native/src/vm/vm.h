/*
 * The virtual machine of one context: fibers, registers, limits, failure. Enters bytecode, comes back with a word.
 * Owned by the context; one thread at a time. Never unwinds through the host: every way out is an rl_outcome_t.
 */
#ifndef RL_VM_H
#define RL_VM_H

#include "base/buf.h"
#include "code/bytecode.h"
#include "diag/diag.h"
#include "vm/fiber.h"
#include "vm/heap.h"

#include <stdatomic.h>

/* An unwinding that is going on: frames are left one by one, their deferred closures called by the loop. A failure needs
   no entry: it goes to where the loop was entered. */
typedef enum rl_unwind_kind { RL_UNWIND_ABANDON, RL_UNWIND_ESCAPE } rl_unwind_kind_t;
typedef struct rl_unwind {
    rl_unwind_kind_t kind;
    bool nested;      /* ABANDON begun by another unwinding, which goes on afterwards */
    rl_fiber_t* last; /* ABANDON: the fiber after which it is done; ESCAPE: the one that goes on */
    uint32_t floor;   /* ESCAPE: frames that stay on it */
    uint32_t barrier; /* of `last` before: put back at the end */
    bool barrier_is_native;
    rl_object_t* token; /* ESCAPE: where to go on, and with what */
} rl_unwind_t;

typedef struct rl_limits {
    uint64_t fuel;
    uint64_t heap_bytes;
    uint64_t deadline_ms; /* 0: none */
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
    uint32_t start; /* byte offset in that module */
    bool present;
    bool by_host;           /* a host function failed: host/ keeps the original (exception object) */
    uint64_t token;         /* of a pending future that the host has failed; 0: none */
    RL_VEC(rl_str_t) notes; /* panics of defers while unwinding; texts in vm->failure_arena */
} rl_failure_t;

typedef enum rl_environment { RL_ENVIRONMENT_DENIED, RL_ENVIRONMENT_UNSET, RL_ENVIRONMENT_VALUE } rl_environment_t;

/* What uses the time, at a poll: the code of the running frame; `entering`, which it calls (its entry used up the budget); the builtin or
   host function that it has called; nobody, it waits. */
typedef enum rl_poll_place { RL_POLLED_CODE, RL_POLLED_ENTRY, RL_POLLED_BUILTIN, RL_POLLED_WAIT } rl_poll_place_t;

struct rl_files;
struct rl_io_event;

typedef struct rl_vm {
    rl_allocator_t* allocator;
    rl_heap_t heap;
    const rl_program_t* program; /* for names and lines */
    rl_fiber_t* fiber;           /* running or about to */
    RL_VEC(rl_unwind_t) unwinds; /* innermost last */
    rl_parked_t *kept_first, *kept_last;
    rl_fiber_t* spare_fibers; /* linked through parent */
    uint32_t spare_count;
    struct rl_run* main_run; /* tasks of ordinary calls (vm/async.h) */
    struct rl_run* run;      /* being worked on, or main_run */
    bool leftovers;          /* it has tasks that its end must drop */
    uint32_t host_futures;   /* that the host has promised to complete */
    rl_object_t* held;       /* a root: the result of the run while rl_vm_end_run is at work */
    rl_word_t* globals_s;    /* by global id of this context's numbering (rl_vm_reserve_globals) */
    rl_object_t** globals_r;
    uint8_t* globals_set;
    uint32_t global_count;
    rl_limits_t limits;
    /* Fuel: `budget` is what the loop counts down; it is the smaller of the fuel left and the distance to the next
       poll. */
    int64_t budget;
    int64_t fuel_left;     /* not counting what is handed out as budget */
    int64_t poll_interval; /* steps from one poll to the next: RL_POLL_INTERVAL, fewer while a profile is taken */
    uint64_t deadline_ns;  /* monotonic; 0: none */
    uint64_t output_left;
    _Atomic uint32_t interrupt; /* set from any thread: stop with runtime.interrupted at the next poll */
    uint32_t moves;             /* wraps: times that banks or frames of a fiber have moved or grown */
    uint32_t native_depth;      /* loops nested through host functions */
    uint32_t native_depth_limit;
    bool unwinding;      /* a failure is on its way out and deferred closures are running: further ones become notes */
    bool grace_given;    /* deferred closures got their extra fuel after a limit was reached */
    rl_code_t stopped;   /* a limit that stays reached until the outermost run ends; 0: none */
    rl_code_t poll_code; /* what to raise when `poll` says stop without a failure of its own */
    uint64_t hash_secret[2];
    rl_arena_t failure_arena;
    rl_failure_t failure;
    /* The host, seen from here. */
    void* host;
    /* `s` and `r` stay valid until it enters this vm. */
    /* False: the host refuses it, and has raised. Asked for effects that need a capability. */
    bool (*may_perform)(void* host, rl_effect_id_t effect);
    rl_outcome_t (*call_host)(void* host, struct rl_vm* vm, rl_host_site_t* site, const rl_word_t* s,
        rl_object_t* const* r, rl_word_t* result);
    bool (*output)(void* host, rl_str_t text, bool is_error); /* false: refused (host error) */
    /* Ask the host; the answer is copied at once. NULL: an empty answer. */
    bool (*input)(void* host, rl_str_t question, rl_str_t* out_answer);
    struct rl_files* files; /* NULL: none has been used */
    uint64_t started_ns;    /* by the clock, when this was made */
    rl_buf_t answer;        /* of a question whose string could not be made yet */
    bool answered;
    /* Every poll_interval steps of budget; false: stop (failure set by host, or runtime.interrupted). Must not enter. */
    bool (*poll)(void* host);
    rl_poll_place_t polled_at; /* what the running frame is about meanwhile */
    const rl_proto_t* entering;
    /* A variable of the surroundings; the text is looked at before anything else happens. NULL: all is denied. */
    rl_environment_t (*environment)(void* host, rl_str_t name, rl_str_t* out_value);
    bool (*argument)(void* host, size_t index, rl_str_t* out); /* of the program; valid UTF-8; false: no more */
    /* Files (vm/file.h). May an operation that needs this begin, and can it be recorded? *out_raised: a failure is set; else `why` says
       what is missing. NULL: this host has no files. */
    bool (*may_use)(void* host, unsigned need, rl_str_t operation, char why[256], bool* out_raised);
    bool (*may_record)(void* host, bool* out_raised);
    bool (*tell_io)(void* host, const struct rl_io_event* event); /* false: a failure is set */
    bool (*tells_every_io)(void* host); /* else operations on an open file are counted, and told when it is closed */
    const char* (*capability_name)(unsigned need);
    void (*unsafe_region)(void* host, rl_str_t function, uint32_t line);
    /* A host pointer was used when it was no longer the script's to use; a failure follows. */
    void (*ownership_violation)(void* host, const char* symbol, const char* reason);
    uint64_t foreign_epoch; /* runs begun: what was lent for one is not valid in the next */
    /* Handlers (LANGUAGE 6). */
    uint32_t host_handlers; /* that stand around every run */
    bool watch_effects; /* every application, perform and resume is told; else the first application of each handler */
    bool (*host_answers)(void* host, const rl_perform_site_t* site); /* site->host is bound then */
    void (*handler_applied)(void* host, rl_handle_site_t* site);
    void (*effect_event)(void* host, const char* event, rl_effect_id_t effect, rl_str_t operation, const char* by);
    void (*mark_host_roots)(rl_heap_t* heap, void* host);
    uint64_t (*clock)(void* host);      /* monotonic nanoseconds; NULL: the system's */
    uint64_t (*wall_clock)(void* host); /* nanoseconds since 1970; NULL: the system's */
    /* At most so long (UINT64_MAX: no timer), until a future may have been completed; false: stop. NULL: sleep */
    bool (*wait)(void* host, uint64_t nanoseconds);
    void (*take_completions)(void* host); /* complete what other threads have asked for */
    /* A fiber of role TASK has come to its end, its value lies at s[s_base] or r[r_base]; vm->fiber is its parent, which
       goes on. Takes the value and releases the fiber; must not enter the vm. */
    void (*fiber_finished)(struct rl_vm* vm, rl_fiber_t* fiber);
    /* One has been left by a failure or abandoned, its deferred closures have run. Releases the fiber. */
    void (*fiber_dropped)(struct rl_vm* vm, rl_fiber_t* fiber);
} rl_vm_t;

enum { RL_POLL_INTERVAL = 20000 };

bool rl_vm_init(rl_vm_t* vm, rl_allocator_t* allocator, const rl_program_t* program);
void rl_vm_deinit(rl_vm_t* vm);
bool rl_vm_reserve_globals(rl_vm_t* vm, uint32_t count);

/* Wait for a future as an entry of its own. */
rl_outcome_t rl_vm_await(rl_vm_t* vm, rl_object_t* future, rl_word_t* out_result);

/* Start of an outermost run: fuel, deadline and output are filled up; nested runs inherit what is left. */
void rl_vm_begin_run(rl_vm_t* vm);

/* End of an outermost run, when `result` (of this bank) is there or vm->failure is set: unfinished tasks are dropped, then kept
   continuations abandoned; failures of their deferred closures become notes. The result stays rooted meanwhile. */
static inline void rl_vm_end_run(rl_vm_t* vm, rl_word_t result, bool is_ref);
void rl_vm_end_run_slowly(rl_vm_t* vm, rl_word_t result, bool is_ref);

/*
 * Enter a function with its parameters, per bank in order; of a function with environment the closure comes first
 * among the references. References must be rooted by the caller (handles are). Answers RL_DONE and the result word (a
 * reference result is rooted only until the next run: take a handle at once), or RL_RAISE with vm->failure. Deferred
 * expressions have run.
 */
rl_outcome_t rl_vm_call(
    rl_vm_t* vm, const rl_proto_t* proto, const rl_word_t* s_args, rl_object_t* const* r_args, rl_word_t* out_result);
/* Call a closure object that takes parameters and gives a result as its proto says. */
rl_outcome_t rl_vm_call_closure(
    rl_vm_t* vm, rl_object_t* closure, const rl_word_t* s_args, rl_object_t* const* r_args, rl_word_t* out_result);

extern const rl_instr_t rl_vm_halt[1]; /* where the frame that was entered from outside returns to */

/* rl_vm_call for a leaf_scalar proto, without any of its generality: `args` are its s_params words,
   count of them. Works nested, too (then through rl_vm_call). */
static inline rl_outcome_t rl_vm_call_scalar(
    rl_vm_t* vm, const rl_proto_t* proto, const rl_word_t* args, unsigned count, rl_word_t* out_result);

/* The interpreter loop itself (loop.c): runs vm->fiber until the frame above `floor`, which returns to rl_vm_halt, has
   been left. RL_DONE: the caller resets frame_count, bases, proto and pc of the fiber; RL_RAISE: the frames have been
   unwound. */
rl_outcome_t rl_vm_run(rl_vm_t* vm, uint32_t floor);

/* Run `proto`, whose scalar parameters lie in s[0…], on registers alone (leaf.c): NULL when it has returned, its result in s[0]; else
   the instruction at which rl_vm_run has to go on. Charges nothing: no more than the function's own length is executed. */
static inline const rl_instr_t* rl_vm_run_leaf(const rl_proto_t* proto, rl_word_t* s);
const rl_instr_t* rl_vm_run_leaf_from(const rl_proto_t* proto, rl_word_t* s, const rl_instr_t* pc);
/*
 * The same for RL_BLOCK_ROWS rows at once (block.c), of a function with at most RL_BLOCK_REGISTERS registers: register n of row k is
 * words[n * RL_BLOCK_ROWS + k], results come in register 0. False: it has an instruction that only the other loops know, or one that fails
 * for some row; nothing has happened outside of `words`.
 */
enum { RL_BLOCK_ROWS = 64, RL_BLOCK_REGISTERS = 24, RL_BLOCK_WORDS = RL_BLOCK_ROWS * (RL_BLOCK_REGISTERS + 1) };
bool rl_vm_run_block(const rl_proto_t* proto, rl_word_t words[RL_BLOCK_WORDS]);
/* Go on at `rest` where that is one of scalar_call.inc, as long as it is. */
const rl_instr_t* rl_vm_run_leaf_calls(const rl_proto_t* proto, rl_word_t* s, const rl_instr_t* rest);
/* Go on from there in rl_vm_run, `proto` in the only frame of the idle fiber. */
rl_outcome_t rl_vm_run_rest(rl_vm_t* vm, const rl_proto_t* proto, const rl_instr_t* rest);

/* For builtins. */
static inline bool rl_vm_charge(rl_vm_t* vm, uint64_t steps); /* false: the run must stop (failure is set) */
bool rl_vm_poll(rl_vm_t* vm); /* budget is used up: next portion, deadline, interrupt, host; false: the run must stop */
bool rl_vm_poll_entering(
    rl_vm_t* vm, const rl_proto_t* callee); /* the same elsewhere than in the code of the running frame */
bool rl_vm_poll_builtin(rl_vm_t* vm);
bool rl_vm_poll_waiting(rl_vm_t* vm);
rl_outcome_t rl_vm_raise(rl_vm_t* vm, rl_code_t code, const char* format, ...) RL_PRINTF(3, 4);
rl_outcome_t rl_vm_raise_text(rl_vm_t* vm, rl_code_t code, rl_str_t message);
rl_outcome_t rl_vm_raise_standard(rl_vm_t* vm, rl_code_t code); /* with the standard message of the code */
rl_outcome_t rl_vm_raise_index(rl_vm_t* vm, int64_t index, uint64_t length);
rl_str_t rl_vm_standard_message(rl_code_t code);
void rl_vm_clear_failure(rl_vm_t* vm);
/* Print text for the program through the host; charges output. */
rl_outcome_t rl_vm_output(rl_vm_t* vm, rl_str_t text, bool is_error);

/* Unwinding (unwind.c). `home`, `floor`, `unwinds`: fiber, frames and entries of vm->unwinds when the loop was entered.
   True: go on with vm->fiber; false: a failure has left all frames above `floor` of `home`, which is vm->fiber again. */
bool rl_vm_fail(rl_vm_t* vm, rl_fiber_t* home, uint32_t floor, uint32_t unwinds);   /* vm->failure is set */
bool rl_vm_unwind(rl_vm_t* vm, rl_fiber_t* home, uint32_t floor, uint32_t unwinds); /* a deferred closure is done */
/*
 * The stack, innermost frame first: functions of the program and of the core library; what the machine puts between them is left out, code
 * of one function in several parts is one entry. From vm->fiber down to `floor` of `home`; home NULL: all there is. The running frame has
 * been saved.
 */
typedef struct rl_stack_walk {
    const rl_proto_t* proto; /* of the entry */
    const rl_instr_t* pc;    /* behind the instruction where it stands; of no use in a frame that has called the host */
    const rl_fiber_t* fiber;
    uint32_t depth; /* of its frame in the fiber, 1 is the lowest */
    const rl_fiber_t* home;
    uint32_t floor;
    rl_fn_id_t part_of;
    uint32_t next_depth;
    const rl_fiber_t* next_fiber;
    const rl_proto_t* next_proto;
    const rl_instr_t* next_pc;
} rl_stack_walk_t;
rl_stack_walk_t rl_stack_walk(const rl_vm_t* vm, const rl_fiber_t* home, uint32_t floor);
bool rl_stack_walk_next(rl_stack_walk_t* walk); /* false: that was all */
/* Where the running code stands: the innermost frame of a loaded module. Between instructions, as in a host function. */
bool rl_vm_where(const rl_vm_t* vm, rl_module_id_t* out_module, uint32_t* out_start);
rl_outcome_t rl_vm_call_host(
    rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result);

/* Mark as possibly owned twice. Never writes to an object that already is. */
static inline void rl_share(rl_object_t* object) {
    if (!(object->flags & RL_OBJ_SHARED)) object->flags |= RL_OBJ_SHARED;
}

/* --- objects that more than one file makes --------------------------------------------------------------- */
rl_object_t* rl_string_new(
    rl_vm_t* vm, rl_str_t bytes, unsigned kind); /* STR (must be valid UTF-8) or BYTES; NULL: memory */
/* The same for who knows whether a Str is ASCII (Bytes: false). */
rl_object_t* rl_string_new_known(rl_vm_t* vm, rl_str_t bytes, unsigned kind, bool ascii);
rl_string_t* rl_string_uninit(rl_vm_t* vm, size_t length, unsigned kind); /* own bytes to fill in: (char*)data */
static inline rl_str_t rl_string_str(const rl_object_t* object) {
    const rl_string_t* s = (const rl_string_t*)object;
    return (rl_str_t){s->data, s->length};
}
extern rl_object_t
    rl_nullary_objects[256]; /* STATIC | SHARED, tag = index; kept in writable memory but never written */

/* More about strings: vm/string.h. */

/* --- type-directed operations (generic.c): iterative, charged, bounded --------------------------------------- */
typedef struct rl_value {
    rl_word_t word;
    const rl_rtype_t* type;
} rl_value_t;
/* Display or Debug text of a value into `out` (LANGUAGE 8.2). RL_RAISE on limits. */
rl_outcome_t rl_value_print(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, bool debug, rl_buf_t* out);
/* The same, leaving out values that have a text of their own: where each belongs in `out`, and what makes it. */
typedef struct rl_text_hole {
    size_t at;
    const rl_rtype_t* type;
    rl_word_t value;
} rl_text_hole_t;
typedef RL_VEC(rl_text_hole_t) rl_text_holes_t;
rl_outcome_t rl_value_print_parts(
    rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, bool debug, rl_buf_t* out, rl_text_holes_t* holes);
rl_outcome_t rl_value_equal(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, bool* out_equal);
/* Order for sorting, Map and Set: floats with -0.0 == 0.0 and NaN last. `<` on floats is an instruction, not this. */
rl_outcome_t rl_value_compare(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, int* out_order);
rl_outcome_t rl_value_hash(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, uint64_t* out_hash);
/* Equality of keys: like rl_value_equal, but a NaN equals itself (what rl_value_hash goes with). */
rl_outcome_t rl_value_same_key(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t a, rl_word_t b, bool* out_same);

static inline void rl_vm_end_run(rl_vm_t* vm, rl_word_t result, bool is_ref) {
    if (RL_UNLIKELY(vm->kept_first || vm->leftovers)) rl_vm_end_run_slowly(vm, result, is_ref);
}

static inline bool rl_vm_charge(rl_vm_t* vm, uint64_t steps) {
    vm->budget -= steps < (uint64_t)1 << 62 ? (int64_t)steps : (int64_t)1 << 62;
    return RL_LIKELY(vm->budget >= 0) || rl_vm_poll_builtin(vm);
}

static inline const rl_instr_t* rl_vm_run_leaf(const rl_proto_t* proto, rl_word_t* s) {
    const rl_instr_t* rest = rl_vm_run_leaf_from(proto, s, proto->code);
    return RL_LIKELY(!rest) ? NULL : rl_vm_run_leaf_calls(proto, s, rest);
}

static inline rl_outcome_t rl_vm_call_scalar(
    rl_vm_t* vm, const rl_proto_t* proto, const rl_word_t* args, unsigned count, rl_word_t* out_result) {
    rl_fiber_t* fiber = vm->fiber;
    vm->budget -= (int64_t)proto->entry_cost;
    if (RL_UNLIKELY(fiber->frame_count != 0 || proto->s_count > fiber->s_capacity ||
                    proto->r_count > fiber->r_capacity || vm->budget < 0)) {
        vm->budget += (int64_t)proto->entry_cost;
        return rl_vm_call(vm, proto, args, NULL, out_result);
    }
    for (unsigned i = 0; i < count; i++) fiber->s[i] = args[i];
    const rl_instr_t* rest = rl_vm_run_leaf(proto, fiber->s);
    rl_outcome_t outcome = RL_LIKELY(!rest) ? RL_DONE : rl_vm_run_rest(vm, proto, rest);
    *out_result = fiber->s[0];
    return outcome;
}

#endif
