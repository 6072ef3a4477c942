/*
 * Fibers: computations with registers of their own, the only control mechanism (handlers, tasks, unwinding).
 *
 * The fibers that run form a chain: vm->fiber is running, its parent waits for it inside an instruction, and so on to the
 * main fiber. A piece of the chain can be cut out and parked in an RL_OBJ_FIBER object, and put on top of another fiber
 * later, once. Switching is setting vm->fiber: nothing of this recurses in C.
 *
 * In the loop: SAVE before any of these, LOAD_FRAME after one that may have changed vm->fiber. A fiber that waits has
 * its pc behind the waiting instruction; the value it waits for goes to the window that its child names.
 */
#ifndef RL_FIBER_H
#define RL_FIBER_H

#include "code/bytecode.h"
#include "vm/heap.h"

struct rl_vm;

typedef struct rl_frame {
    const rl_instr_t* return_pc; /* in the caller */
    const rl_proto_t* caller;
    uint32_t s_delta, r_delta; /* how far this frame's bases lie above the caller's */
} rl_frame_t;

/* What must happen when a frame is left: a parameterless CLOSURE is called, a FIBER object is abandoned unless it has
   been resumed, a token (a FIBER object of tag RL_FIBER_TOKEN) is made invalid. */
typedef struct rl_deferred {
    rl_object_t* object;
    uint32_t frame; /* depth of the frame that owns it */
} rl_deferred_t;

typedef enum rl_fiber_role {
    RL_FIBER_MAIN,    /* what calls of the host run on; never parked */
    RL_FIBER_HANDLED, /* handled computation: its value goes through the return clause into the parent's window */
    RL_FIBER_TASK     /* its value goes to vm->fiber_finished, its parent goes on; no handler beyond it is seen */
} rl_fiber_role_t;

typedef struct rl_fiber {
    rl_word_t* s;    /* S bank */
    rl_object_t** r; /* R bank; all words valid or NULL up to r_capacity */
    rl_frame_t* frames;
    uint32_t s_capacity, r_capacity, frame_capacity;
    uint32_t s_base, r_base, frame_count; /* saved when not running */
    const rl_instr_t* pc;
    const rl_proto_t* proto;
    RL_VEC(rl_deferred_t) deferred;
    struct rl_fiber* parent;
    uint32_t s_window, r_window; /* above the bases of the parent's frame that waits: where the value goes */
    uint32_t depth;              /* frames of the fibers it stands on, for the limit of the call depth */
    uint32_t barrier;            /* > 0: cannot be parked, frames below this one must be met again in order: … */
    bool barrier_is_native; /* … by C code that entered the loop; else by an unwinding that runs deferred closures */
    uint8_t role;           /* rl_fiber_role_t */
    const rl_handle_site_t* handler; /* HANDLED; its closures lie in r[0…]: return clause or NULL, clauses */
    void* user;                      /* TASK: whose it is */
} rl_fiber_t;

/* Object of kind RL_OBJ_FIBER: a parked piece of a chain, owned by it alone. */
enum { RL_FIBER_PARKED, RL_FIBER_TOKEN }; /* its tag */
typedef struct rl_parked {
    rl_object_t header;        /* refs = 0 */
    const rl_proto_t* resume;  /* code of `resume(v)`: a continuation is called like a closure; NULL: not callable */
    rl_fiber_t *inner, *outer; /* from the running one to the one whose parent was left; inner NULL: nothing parked */
    struct rl_parked *previous, *next; /* kept: in the vm's index, oldest first; else both NULL */
    bool kept;
    void* run; /* whose end abandons it */
} rl_parked_t;

/* New empty object; collects when memory is short. NULL: failure is set. The running frame must have been saved. */
rl_parked_t* rl_parked_new(struct rl_vm* vm, const rl_proto_t* resume);

/*
 * A fiber that will run the parameterless closure; parked before its first instruction, with no parent. `below`: words of
 * the R bank kept free below the frame. NULL: failure is set. Owner: whoever asked, until rl_parked_set or rl_fiber_enter.
 */
rl_fiber_t* rl_fiber_new(struct rl_vm* vm, rl_object_t* closure, rl_fiber_role_t role, uint32_t below);
void rl_parked_set(struct rl_vm* vm, rl_parked_t* parked, rl_fiber_t* inner, rl_fiber_t* outer);
void rl_fiber_enter(struct rl_vm* vm, rl_fiber_t* fiber, uint32_t s_window, uint32_t r_window); /* becomes vm->fiber */

/* May the chain from vm->fiber to `outer` be parked? RL_DONE, or RL_RAISE: failure is set (runtime.effect.native_frame, or
   runtime.effect.unhandled while a deferred closure of an abandoned computation runs). */
rl_outcome_t rl_fiber_may_park(struct rl_vm* vm, const rl_fiber_t* outer);
/* Cut it out: vm->fiber becomes outer's parent. */
void rl_fiber_park(struct rl_vm* vm, rl_parked_t* into, rl_fiber_t* outer);
/* Put it on top of vm->fiber, which waits. RL_RAISE: call depth. Afterwards the object is empty. */
rl_outcome_t rl_fiber_unpark(struct rl_vm* vm, rl_parked_t* parked, uint32_t s_window, uint32_t r_window);
/* The same without a look at the depth. */
void rl_fiber_attach(struct rl_vm* vm, rl_parked_t* parked, uint32_t s_window, uint32_t r_window);
/* The value of the instruction in which the (just unparked) vm->fiber waits: into the register(s) it names by a and b. */
void rl_fiber_give(struct rl_vm* vm, rl_word_t value, bool is_ref);

/*
 * Abandon what is parked: its deferred closures run, innermost frame first; then the running instruction is done. True:
 * vm->fiber has changed: rl_vm_unwind, then LOAD_FRAME; it comes back by itself. False: nothing was there to run.
 */
bool rl_fiber_abandon(struct rl_vm* vm, rl_parked_t* parked);
/* The same from outside of the loop. */
rl_outcome_t rl_vm_abandon(struct rl_vm* vm, rl_parked_t* parked);
bool rl_parked_has_deferred(const rl_parked_t* parked);
/* Keep in the index: alive while it has deferred closures, abandoned by rl_vm_end_run, oldest first. */
void rl_parked_keep(struct rl_vm* vm, rl_parked_t* parked);
void rl_parked_unkeep(struct rl_vm* vm, rl_parked_t* parked);

/* --- handlers (effect.c); all after SAVE, LOAD_FRAME afterwards ------------------------------------------- */
/* A frame that an ESCAPE can go back to. The code it goes on with reads the first three words. */
enum { RL_TOKEN_REF, RL_TOKEN_WORD, RL_TOKEN_EXIT };
typedef struct rl_token {
    rl_object_t header; /* refs = 1 */
    rl_object_t* ref;   /* the value carried, when it is a reference */
    rl_word_t word;
    uint64_t exit;
    rl_fiber_t* fiber; /* NULL: not to be reached (any more) */
    const rl_instr_t* target;
    uint32_t frame; /* depth of the frame */
} rl_token_t;
rl_object_t* rl_token_new(struct rl_vm* vm, const rl_instr_t* target); /* of the running frame; NULL: failure is set */
void rl_token_kill(rl_object_t* token);
void rl_token_land(struct rl_vm* vm, rl_object_t* token); /* vm->fiber has been unwound to it */
/* RL_DONE: vm->unwinds has a new entry, unwind. RL_RAISE: its frame is gone, or cannot be reached from here. */
rl_outcome_t rl_token_escape(struct rl_vm* vm, rl_object_t* token, rl_word_t value, bool is_ref, uint32_t exit);

/* Operands a and b of the running instruction: its window. */
rl_outcome_t rl_effect_handle(struct rl_vm* vm, rl_handle_site_t* site, uint32_t a, uint32_t b);
rl_outcome_t rl_effect_perform(struct rl_vm* vm, const rl_perform_site_t* site, uint32_t a, uint32_t b);
rl_outcome_t rl_effect_resume(struct rl_vm* vm, bool is_ref);

/* The instruction FINISH: the body of vm->fiber has returned, its value lies in s[0] or r[0]. */
rl_outcome_t rl_fiber_finish(struct rl_vm* vm);
extern const rl_proto_t rl_fiber_end; /* what the lowest frame of a fiber returns to */

/* --- banks ----------------------------------------------------------------------------------------------- */
bool rl_fiber_init_main(struct rl_vm* vm, rl_fiber_t* fiber);
void rl_fiber_deinit(struct rl_vm* vm, rl_fiber_t* fiber);
void rl_fiber_release(struct rl_vm* vm, rl_fiber_t* fiber); /* not in a chain any more; deferred closures do not run */
void rl_fiber_free_spare(struct rl_vm* vm);
/* Room for registers up to these indices and one more frame; moves the banks. False: failure is set. The running frame
   must have been saved. */
bool rl_fiber_reserve(struct rl_vm* vm, rl_fiber_t* fiber, size_t s_top, size_t r_top);
void rl_fiber_mark(rl_heap_t* heap, rl_fiber_t* fiber); /* registers and deferred; clears the dead words above */
static inline uint64_t rl_fiber_frames_left(const rl_fiber_t* fiber, uint64_t call_depth) {
    return call_depth > fiber->depth ? call_depth - fiber->depth : 1;
}

/* --- for kinds.c */
void rl_parked_mark(rl_heap_t* heap, rl_object_t* object);
void rl_parked_free(rl_heap_t* heap, rl_object_t* object);
size_t rl_parked_size(const rl_object_t* object);

#endif
