/*
 * The interpreter loop. What lives in C locals: pc, s, r (bases of the running frame), frame, proto, budget. They are
 * written back (SAVE) before anything that may look at them, grow the banks or collect, and read again (LOAD) after
 * anything that may have moved them. An instruction that fails leaves by `raise`, with pc behind it. What calls a builtin need not
 * save, but is a safe point before: there the frame is saved when the heap wants a step, as it always does while a profile is taken.
 */
#include "vm/arith.h"
#include "vm/async.h"
#include "vm/core/iterate.h"
#include "vm/core/list.h"
#include "vm/string.h"
#include "vm/vm.h"

#include <math.h>

#include "vm/operand.h" /* last: its names are short */

#if defined(__GNUC__) && !defined(__clang__)
/* Keep one indirect jump per instruction, no common subexpressions across them, and pc and proto out of vector
   registers. */
#pragma GCC optimize("no-gcse", "no-crossjumping", "no-tree-slp-vectorize")
#endif

/* --- slow halves of instructions; the frame has been saved --------------------------------------------------- */

static RL_NOINLINE rl_outcome_t out_of_memory(rl_vm_t* vm) {
    rl_alloc_clear_failure(vm->allocator);
    return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
}

/* A new object with unset words; steps the collector when that is due. NULL: failure is set. */
static RL_NOINLINE rl_object_t* allocate(rl_vm_t* vm, rl_shape_t shape) {
    rl_heap_t* heap = &vm->heap;
    if (rl_heap_wants_step(heap)) rl_heap_step(heap);
    rl_object_t* object = rl_heap_new(heap, shape.kind, shape.tag, shape.refs, shape.words);
    if (RL_LIKELY(object != NULL)) return object;
    if (rl_heap_make_room(heap)) object = rl_heap_new(heap, shape.kind, shape.tag, shape.refs, shape.words);
    if (!object) out_of_memory(vm);
    return object;
}

/* Gather the arguments of a builtin and call it. */
static inline rl_outcome_t call_builtin(
    rl_vm_t* vm, const rl_builtin_site_t* site, rl_word_t* s, rl_object_t** r, rl_word_t* result) {
    rl_word_t args[RL_BUILTIN_ARGS_MAX];
    unsigned count = site->arg_count;
    for (unsigned i = 0; i < count; i++) {
        args[i] = (site->arg_reps[i] == RL_REP_R ? (const rl_word_t*)r : s)[site->args[i]];
    }
    return site->call(vm, args, result, site);
}

/* After RL_COLLECT: collect, try once more. What the first attempt was charged is given back: fuel must not depend
   on memory. */
static RL_NOINLINE rl_outcome_t call_builtin_again(
    rl_vm_t* vm, const rl_builtin_site_t* site, int64_t fuel_before, rl_word_t* s, rl_object_t** r, rl_word_t* result) {
    vm->budget = fuel_before - vm->fuel_left;
    if (!rl_heap_make_room(&vm->heap)) return out_of_memory(vm);
    rl_outcome_t outcome = call_builtin(vm, site, s, r, result);
    return outcome == RL_COLLECT ? out_of_memory(vm) : outcome;
}

static RL_NOINLINE rl_outcome_t call_host_again(
    rl_vm_t* vm, rl_host_site_t* site, rl_word_t* result, uint32_t a, uint32_t b) {
    if (!rl_heap_make_room(&vm->heap)) return out_of_memory(vm);
    rl_fiber_t* fiber = vm->fiber;
    rl_outcome_t outcome =
        rl_vm_call_host(vm, site, fiber->s + fiber->s_base + a, fiber->r + fiber->r_base + b, result);
    return outcome == RL_COLLECT ? out_of_memory(vm) : outcome;
}

static rl_outcome_t iterate_begin(
    rl_vm_t* vm, const rl_rtype_t* type, rl_object_t* collection, rl_object_t** out_iter) {
    if (rl_heap_wants_step(&vm->heap)) rl_heap_step(&vm->heap);
    rl_outcome_t outcome = rl_iterate_begin(vm, type, collection, out_iter);
    if (outcome != RL_COLLECT) return outcome;
    if (!rl_heap_make_room(&vm->heap)) return out_of_memory(vm);
    outcome = rl_iterate_begin(vm, type, collection, out_iter);
    return outcome == RL_COLLECT ? out_of_memory(vm) : outcome;
}

static RL_NOINLINE rl_outcome_t iterate_next_again(rl_vm_t* vm, rl_object_t* iter, rl_word_t* element, bool* ended) {
    if (!rl_heap_make_room(&vm->heap)) return out_of_memory(vm);
    rl_outcome_t outcome = rl_iterate_next(vm, iter, element, ended);
    return outcome == RL_COLLECT ? out_of_memory(vm) : outcome;
}

static rl_outcome_t string_relate(rl_vm_t* vm, const rl_object_t* a, const rl_object_t* b, int* order) {
    rl_outcome_t outcome = rl_string_relate(vm, a, b, order);
    if (RL_LIKELY(outcome != RL_COLLECT)) return outcome;
    if (!rl_heap_make_room(&vm->heap)) return out_of_memory(vm);
    outcome = rl_string_relate(vm, a, b, order);
    return outcome == RL_COLLECT ? out_of_memory(vm) : outcome;
}

static RL_NOINLINE void raise_overflow(rl_vm_t* vm, const char* what) {
    rl_vm_raise(vm, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in `%s`", what);
}

static RL_NOINLINE void raise_uninitialised(rl_vm_t* vm, uint32_t global) {
    if (!vm->program) {
        rl_vm_raise_standard(vm, RL_CODE_RUNTIME_INIT_UNINITIALIZED);
        return;
    }
    rl_str_t name = rl_sym_text(&vm->program->symbols, rl_program_global(vm->program, global)->name);
    if (rl_program_global(vm->program, global)->is_host) {
        rl_vm_raise(vm, RL_CODE_HOST_SYMBOL_UNBOUND, "the host has not bound `%.*s`", RL_STR_ARG(name));
        return;
    }
    rl_vm_raise(vm, RL_CODE_RUNTIME_INIT_UNINITIALIZED, "`%.*s` is used before its initialisation", RL_STR_ARG(name));
}

static RL_NOINLINE void raise_narrow(rl_vm_t* vm, unsigned kind) {
    rl_vm_raise(vm, RL_CODE_RUNTIME_ARITH_OVERFLOW, "integer overflow in %s arithmetic", rl_number_kind_name(kind));
}

static RL_NOINLINE bool push_deferred(rl_vm_t* vm, rl_object_t* object) {
    rl_fiber_t* fiber = vm->fiber;
    if (rl_vec_push(vm->allocator, &fiber->deferred, (rl_deferred_t){object, fiber->frame_count})) return true;
    bool room = rl_heap_make_room(&vm->heap);
    if (room && rl_vec_push(vm->allocator, &fiber->deferred, (rl_deferred_t){object, fiber->frame_count})) return true;
    out_of_memory(vm);
    return false;
}

/* --- the loop ------------------------------------------------------------------------------------------------ */

#if RL_THREADED
#define OP_CASE(name) op_##name:
#define GO_ON                                                                                                          \
    do {                                                                                                               \
        pc++;                                                                                                          \
        goto* labels[pc[-1].op];                                                                                       \
    } while (0)
#else
#define OP_CASE(name) case RL_OP_##name:
#define GO_ON         goto next_instruction
#endif
/* What the instruction has computed is in `last` or `number` for the next one, see code/last.def. */
#define NEXT_F                                                                                                         \
    do {                                                                                                               \
        RL_FORGET_INTEGER(number);                                                                                     \
        GO_ON;                                                                                                         \
    } while (0)
#define NEXT_I                                                                                                         \
    do {                                                                                                               \
        RL_FORGET(last);                                                                                               \
        GO_ON;                                                                                                         \
    } while (0)
#define NEXT                                                                                                           \
    do {                                                                                                               \
        RL_FORGET(last);                                                                                               \
        RL_FORGET_INTEGER(number);                                                                                     \
        GO_ON;                                                                                                         \
    } while (0)

#define fiber (vm->fiber) /* not a local: registers are for what every instruction needs */
#define SAVE()                                                                                                         \
    do {                                                                                                               \
        rl_fiber_t* const running = fiber;                                                                             \
        running->pc = pc;                                                                                              \
        running->proto = proto;                                                                                        \
        running->s_base = (uint32_t)(s - running->s);                                                                  \
        running->r_base = (uint32_t)(r - running->r);                                                                  \
        running->frame_count = (uint32_t)(frame - running->frames) + 1;                                                \
        vm->budget = budget;                                                                                           \
    } while (0)

#define LOAD_FRAME()                                                                                                   \
    do {                                                                                                               \
        pc = fiber->pc;                                                                                                \
        proto = fiber->proto;                                                                                          \
        s = fiber->s + fiber->s_base;                                                                                  \
        r = fiber->r + fiber->r_base;                                                                                  \
        frame = fiber->frames + fiber->frame_count - 1;                                                                \
        s_end = fiber->s + fiber->s_capacity;                                                                          \
        r_end = fiber->r + fiber->r_capacity;                                                                          \
        uint64_t frames_left = rl_fiber_frames_left(fiber, vm->limits.call_depth);                                     \
        last_frame = fiber->frames + (fiber->frame_capacity < frames_left ? fiber->frame_capacity : frames_left) - 1;  \
        budget = vm->budget;                                                                                           \
    } while (0)

/* After a backward jump. */
#define CHARGE(distance)                                                                                               \
    do {                                                                                                               \
        budget -= (distance);                                                                                          \
        if (RL_UNLIKELY(budget < 0)) goto poll;                                                                        \
    } while (0)

#define JUMP_BACK_IF(condition)                                                                                        \
    {                                                                                                                  \
        if (condition) {                                                                                               \
            unsigned distance = C;                                                                                     \
            pc -= distance;                                                                                            \
            CHARGE(distance);                                                                                          \
        }                                                                                                              \
        NEXT;                                                                                                          \
    }
/* Into `callee`, whose registers begin at s[A], r[B]. */
#define ENTER                                                                                                          \
    do {                                                                                                               \
        rl_word_t* callee_s = s + A;                                                                                   \
        rl_object_t** callee_r = r + B;                                                                                \
        budget -= (int64_t)callee->entry_cost;                                                                         \
        if (RL_UNLIKELY(budget < 0 || frame >= last_frame)) goto enter_slowly;                                         \
        if (RL_UNLIKELY(callee_s + callee->s_count > s_end)) goto enter_slowly;                                        \
        if (RL_UNLIKELY(callee_r + callee->r_count > r_end)) goto enter_slowly;                                        \
        frame++;                                                                                                       \
        frame->return_pc = pc;                                                                                         \
        frame->caller = proto;                                                                                         \
        frame->s_delta = A;                                                                                            \
        frame->r_delta = B;                                                                                            \
        s = callee_s;                                                                                                  \
        r = callee_r;                                                                                                  \
        proto = callee;                                                                                                \
        pc = callee->code;                                                                                             \
        NEXT;                                                                                                          \
    } while (0)
#define LEAVE                                                                                                          \
    do {                                                                                                               \
        pc = frame->return_pc;                                                                                         \
        proto = frame->caller;                                                                                         \
        s -= frame->s_delta;                                                                                           \
        r -= frame->r_delta;                                                                                           \
        frame--;                                                                                                       \
        NEXT;                                                                                                          \
    } while (0)
#define VECTOR_AT(vector, index)                                                                                       \
    const rl_vector_t* v = (const rl_vector_t*)(vector);                                                               \
    uint64_t at = (index).u;                                                                                           \
    if (RL_UNLIKELY(at >= v->length)) {                                                                                \
        rl_vm_raise_index(vm, (int64_t)at, v->length);                                                                 \
        goto raise;                                                                                                    \
    }

#define LIST_AT(object, index)                                                                                         \
    const rl_list_t* list = (const rl_list_t*)(object);                                                                \
    uint64_t at = (index).u;                                                                                           \
    if (RL_UNLIKELY(at >= list->length)) {                                                                             \
        rl_vm_raise_index(vm, (int64_t)at, list->length);                                                              \
        goto raise;                                                                                                    \
    }

rl_outcome_t rl_vm_run(rl_vm_t* vm, uint32_t floor) {
#if RL_THREADED
    static const void* const label_of[RL_OP_COUNT] = {
#define OP(name, operands, meaning) &&op_##name,
#include "code/opcode.def"
#undef OP
    };
#endif
#if RL_THREADED
    const void* const* labels = label_of;
    RL_KEEP(labels);
#endif
    const rl_instr_t* pc;
    const rl_proto_t* proto;
    const rl_proto_t* tail;
    rl_word_t* s;
    rl_object_t** r;
    rl_frame_t* frame;
    rl_word_t* s_end;
    rl_object_t** r_end;
    rl_frame_t* last_frame;
    int64_t budget;
    double last = 0;
    int64_t number = 0;
    const char* what;
    rl_fiber_t* const home = fiber;
    const uint32_t unwinds = vm->unwinds.count;

    LOAD_FRAME();
    /* The small loop has come this far, and its `last` stayed there: the register has it, too. */
    if (pc != proto->code && rl_op_leaves_last(pc[-1].op)) {
        last = s[pc[-1].a].f;
        number = s[pc[-1].a].i;
    }
#if RL_THREADED
    GO_ON;
#else
next_instruction:
    pc++;
    switch ((rl_op_t)pc[-1].op) {
#endif

    /* One instruction a line where it fits. */
#include "vm/scalar.inc"
#include "vm/scalar_call.inc"

    /* clang-format off */
    OP_CASE(MOVR) { r[A] = r[B]; NEXT; }
    OP_CASE(LDR) { r[A] = proto->ref_constants[INDEX]; NEXT; }
    OP_CASE(LDNULLARY) { r[A] = &rl_nullary_objects[INDEX & 255]; NEXT; }
    OP_CASE(SHARE) { rl_share(r[A]); NEXT; }

    OP_CASE(EQ_STR) {
        const rl_string_t* x = (const rl_string_t*)r[B];
        const rl_string_t* y = (const rl_string_t*)r[C];
        int order = 1;
        if (x == y) {
            order = 0;
        } else if (x->length != y->length && rl_string_is_ascii(x) && rl_string_is_ascii(y)) {
            order = 1;
        } else {
            SAVE();
            rl_outcome_t outcome = string_relate(vm, &x->header, &y->header, &order);
            if (RL_UNLIKELY(outcome != RL_DONE)) goto raise_saved;
            budget = vm->budget;
        }
        s[A].i = order == 0;
        NEXT;
    }
    OP_CASE(EQ_REF) { s[A].i = r[B] == r[C]; NEXT; }

    OP_CASE(LOOP) {
        int64_t distance = -(int64_t)IMM;
        pc -= distance;
        CHARGE(distance);
        NEXT;
    }
    OP_CASE(JTAG) JUMP_IF(r[A]->tag == B)
    OP_CASE(JNTAG) JUMP_IF(r[A]->tag != B)

    OP_CASE(SWITCH_TAG) {
        const uint32_t* table = proto->switches[INDEX];
        uint32_t tag = r[A]->tag;
        pc = proto->code + (tag < table[0] ? table[2 + tag] : table[1]);
        NEXT;
    }

    OP_CASE(FOR_LT) {
        int64_t counter = (int64_t)(s[A].u + 1); /* it was below the limit */
        s[A].i = counter;
        JUMP_BACK_IF(counter < s[B].i)
    }
    OP_CASE(FOR_LE) {
        if (s[A].i < s[B].i) {
            unsigned distance = C;
            s[A].i++;
            pc -= distance;
            CHARGE(distance);
        }
        NEXT;
    }
    OP_CASE(FOR_STEP) {
        int64_t left = (int64_t)(s[B].u - 1);
        s[B].i = left;
        if (left >= 0) {
            unsigned distance = C;
            s[A].u += s[A + 1].u;
            pc -= distance;
            CHARGE(distance);
        }
        NEXT;
    }
    OP_CASE(WHILE_LT_I) JUMP_BACK_IF(s[A].i < s[B].i)
    OP_CASE(WHILE_LE_I) JUMP_BACK_IF(s[A].i <= s[B].i)
    OP_CASE(WHILE_LTK_I) JUMP_BACK_IF(s[A].i < SB)
    OP_CASE(WHILE_GTK_I) JUMP_BACK_IF(s[A].i > SB)
    OP_CASE(WHILE_NE_I) JUMP_BACK_IF(s[A].i != s[B].i)
    OP_CASE(WHILE_NEK_I) JUMP_BACK_IF(s[A].i != SB)
    OP_CASE(WHILE_LT_F) JUMP_BACK_IF(s[A].f < s[B].f)
    OP_CASE(WHILE_LE_F) JUMP_BACK_IF(s[A].f <= s[B].f)
    OP_CASE(WHILE_LT_LF) JUMP_BACK_IF(last < s[B].f)
    OP_CASE(WHILE_LE_LF) JUMP_BACK_IF(last <= s[B].f)
    OP_CASE(WHILE_LT_LI) JUMP_BACK_IF(number < s[B].i)
    OP_CASE(WHILE_LE_LI) JUMP_BACK_IF(number <= s[B].i)
    OP_CASE(WHILE_LT_IL) JUMP_BACK_IF(s[A].i < number)
    OP_CASE(WHILE_T) JUMP_BACK_IF(s[A].i != 0)

    OP_CASE(CALL) {
        const rl_proto_t* callee = proto->callees[C];
        ENTER;
    }
    OP_CASE(CALLV) {
        rl_object_t* closure = r[B];
        const rl_proto_t* callee = rl_object_words(closure)[closure->refs].p;
        ENTER;
    }
    OP_CASE(TAILCALL) {
        tail = proto->callees[C];
    enter_tail : {
        const rl_proto_t* callee = tail;
        uint32_t a = A, b = B;
        for (unsigned n = 0; n < callee->s_params; n++) s[n] = s[a + n];
        for (unsigned n = 0, count = callee->r_params + (unsigned)callee->has_env; n < count; n++) r[n] = r[b + n];
        proto = callee;
        pc = callee->code;
        budget -= (int64_t)callee->entry_cost;
        if (RL_UNLIKELY(budget < 0 || (size_t)(s_end - s) < callee->s_count || (size_t)(r_end - r) < callee->r_count)) {
            SAVE();
            if (vm->budget < 0 && !rl_vm_poll(vm)) goto raise_saved;
            /* One frame fewer: this call needs none of its own. */
            fiber->frame_count--;
            bool room = rl_fiber_reserve(
                vm, fiber, (size_t)fiber->s_base + callee->s_count, (size_t)fiber->r_base + callee->r_count);
            fiber->frame_count++;
            if (!room) goto raise_saved;
            LOAD_FRAME();
        }
        NEXT;
    }
    }
    OP_CASE(TAILCALLV) {
        rl_object_t* closure = r[B];
        if (RL_UNLIKELY(closure->kind == RL_OBJ_FIBER && !((rl_parked_t*)closure)->inner)) {
            SAVE(); /* said here: RESUME would find the frame of this call gone */
            rl_vm_raise_standard(vm, RL_CODE_EFFECTS_HANDLER_INVALID_RESUME);
            goto raise_saved;
        }
        tail = rl_object_words(closure)[closure->refs].p;
        goto enter_tail;
    }
    OP_CASE(CALLH) {
        rl_host_site_t* site = &proto->hosts[C];
        rl_word_t result;
        SAVE();
        if (rl_heap_wants_step(&vm->heap)) rl_heap_step(&vm->heap);
        if (RL_LIKELY(site->direct != NULL)) {
            uint32_t moves = vm->moves;
            rl_outcome_t outcome = site->direct(vm, site, s + A, &result);
            if (RL_UNLIKELY(outcome != RL_DONE || moves != vm->moves)) goto direct_rest;
            budget = vm->budget;
            s[A] = result;
            NEXT;
        direct_rest:
            LOAD_FRAME();
            if (outcome == RL_COLLECT) outcome = call_host_again(vm, &proto->hosts[C], &result, A, B);
            if (outcome != RL_DONE) goto raise_saved;
            LOAD_FRAME();
            s[A] = result;
            NEXT;
        }
        uint32_t a = A, b = B;
        rl_outcome_t outcome = rl_vm_call_host(vm, site, s + a, r + b, &result);
        if (RL_UNLIKELY(outcome == RL_COLLECT)) outcome = call_host_again(vm, site, &result, a, b);
        if (RL_UNLIKELY(outcome != RL_DONE)) goto raise_saved;
        LOAD_FRAME();
        if (site->result && site->result->rep == RL_REP_R) r[b] = result.o;
        else s[a] = result;
        NEXT;
    }
    OP_CASE(CALLB_S) {
        const rl_builtin_site_t* site = &proto->builtins[INDEX];
        rl_word_t result;
        if (rl_heap_wants_step(&vm->heap)) {
            SAVE();
            rl_heap_step(&vm->heap);
        }
        vm->budget = budget;
        int64_t fuel_before = vm->fuel_left + budget;
        rl_outcome_t outcome = call_builtin(vm, site, s, r, &result);
        budget = vm->budget;
        if (RL_UNLIKELY(outcome != RL_DONE)) {
            SAVE();
            if (outcome == RL_COLLECT) outcome = call_builtin_again(vm, site, fuel_before, s, r, &result);
            if (outcome != RL_DONE) goto raise_saved;
            budget = vm->budget;
        }
        s[A] = result;
        NEXT;
    }
    OP_CASE(CALLB_R) {
        const rl_builtin_site_t* site = &proto->builtins[INDEX];
        rl_word_t result;
        if (rl_heap_wants_step(&vm->heap)) {
            SAVE();
            rl_heap_step(&vm->heap);
        }
        vm->budget = budget;
        int64_t fuel_before = vm->fuel_left + budget;
        rl_outcome_t outcome = call_builtin(vm, site, s, r, &result);
        budget = vm->budget;
        if (RL_UNLIKELY(outcome != RL_DONE)) {
            SAVE();
            if (outcome == RL_COLLECT) outcome = call_builtin_again(vm, site, fuel_before, s, r, &result);
            if (outcome != RL_DONE) goto raise_saved;
            budget = vm->budget;
        }
        r[A] = result.o;
        NEXT;
    }

    OP_CASE(RETS) { s[0] = s[A]; LEAVE; }
    OP_CASE(RETS_LI) { s[0].i = number; LEAVE; }
    OP_CASE(RETS_LF) { s[0].f = last; LEAVE; }
    OP_CASE(RETR) { r[0] = r[A]; LEAVE; }
    OP_CASE(RETU) { s[0].u = 0; LEAVE; }

    OP_CASE(NEW) {
        const rl_shape_t shape = proto->shapes[C];
        rl_object_t* object = NULL;
        if (RL_LIKELY(shape.words < 64)) object = rl_heap_take(&vm->heap, rl_heap_classes[shape.words + 1]);
        if (RL_UNLIKELY(!object)) {
            SAVE();
            object = allocate(vm, shape);
            if (!object) goto raise_saved;
        }
        rl_heap_set_header(&vm->heap, object, shape.kind, shape.tag, shape.refs, shape.words);
        rl_word_t* words = rl_object_words(object);
        rl_object_t** from_r = r + B;
        for (unsigned n = 0; n < shape.refs; n++) words[n].o = from_r[n];
        const rl_word_t* from_s = s + A;
        words += shape.refs;
        for (unsigned n = 0, count = (unsigned)shape.words - shape.refs; n < count; n++) words[n] = from_s[n];
        from_r[0] = object;
        NEXT;
    }
    OP_CASE(CLOSURE) {
        const rl_closure_site_t* site = &proto->closures[C];
        rl_shape_t shape = {RL_OBJ_CLOSURE, 0, site->refs, (uint16_t)(site->refs + 1 + site->scalars)};
        SAVE();
        rl_object_t* object = allocate(vm, shape);
        if (!object) goto raise_saved;
        rl_word_t* words = rl_object_words(object);
        for (unsigned n = 0; n < shape.refs; n++) words[n].o = r[B + n];
        words[shape.refs].p = site->proto;
        for (unsigned n = 0; n < site->scalars; n++) words[shape.refs + 1 + n] = s[A + n];
        r[B] = object;
        NEXT;
    }
    OP_CASE(GETS) INTEGER(rl_object_words(r[B])[C].i)
    OP_CASE(GETF) FLOAT(rl_object_words(r[B])[C].f)
    OP_CASE(GETR) { r[A] = rl_object_words(r[B])[C].o; NEXT; }
    OP_CASE(GETR_SHARE) {
        rl_object_t* part = rl_object_words(r[B])[C].o;
        rl_share(part);
        r[A] = part;
        NEXT;
    }
    OP_CASE(SETS) { rl_object_words(r[A])[B] = s[C]; NEXT; }
    OP_CASE(SETF_L) { rl_object_words(r[A])[B].f = last; NEXT; }
    OP_CASE(SETS_L) { rl_object_words(r[A])[B].i = number; NEXT; }
    OP_CASE(SETR) {
        rl_word_t* slot = &rl_object_words(r[A])[B];
        rl_heap_barrier_old(&vm->heap, slot->o);
        slot->o = r[C];
        NEXT;
    }
    OP_CASE(COPY) {
        rl_object_t* old = r[B];
        if (old->flags & RL_OBJ_SHARED) {
            SAVE();
            rl_object_t* copy = allocate(vm, (rl_shape_t){old->kind, old->tag, old->refs, old->words});
            if (!copy) goto raise_saved;
            const rl_word_t* from = rl_object_words(old);
            rl_word_t* to = rl_object_words(copy);
            for (unsigned n = 0; n < old->words; n++) to[n] = from[n];
            for (unsigned n = 0; n < old->refs; n++) {
                if (to[n].o) rl_share(to[n].o);
            }
            old = copy;
        }
        r[A] = old;
        NEXT;
    }
    OP_CASE(TAG) { s[A].u = r[B]->tag; NEXT; }
    OP_CASE(ANY_S) {
        SAVE();
        rl_object_t* any = allocate(vm, (rl_shape_t){RL_OBJ_ANY, 0, 0, 2});
        if (!any) goto raise_saved;
        rl_object_words(any)[0] = s[B];
        rl_object_words(any)[1].p = (void*)(uintptr_t)proto->types[C];
        r[A] = any;
        NEXT;
    }
    OP_CASE(ANY_R) {
        SAVE();
        rl_object_t* any = allocate(vm, (rl_shape_t){RL_OBJ_ANY, 0, 1, 2});
        if (!any) goto raise_saved;
        rl_object_words(any)[0].o = r[B];
        rl_object_words(any)[1].p = (void*)(uintptr_t)proto->types[C];
        r[A] = any;
        NEXT;
    }

    OP_CASE(GLOBALS) {
        if (RL_UNLIKELY(!vm->globals_set[INDEX])) goto uninitialised;
        s[A] = vm->globals_s[INDEX];
        NEXT;
    }
    OP_CASE(GLOBALR) {
        if (RL_UNLIKELY(!vm->globals_set[INDEX])) goto uninitialised;
        r[A] = vm->globals_r[INDEX];
        NEXT;
    }
    OP_CASE(SETGLOBALS) {
        vm->globals_s[INDEX] = s[A];
        vm->globals_set[INDEX] = 1;
        NEXT;
    }
    OP_CASE(SETGLOBALR) {
        rl_heap_barrier_old(&vm->heap, vm->globals_r[INDEX]); /* globals were scanned when the cycle began */
        vm->globals_r[INDEX] = r[A];
        vm->globals_set[INDEX] = 1;
        NEXT;
    }

    OP_CASE(VECLEN) { s[A].u = ((const rl_vector_t*)r[B])->length; NEXT; }
    OP_CASE(VECGETS) {
        VECTOR_AT(r[B], s[C])
        s[A] = rl_element_load((rl_element_t)v->element, v->data, at);
        NEXT;
    }
    OP_CASE(VECGETR) {
        VECTOR_AT(r[B], s[C])
        r[A] = ((rl_object_t**)v->data)[at];
        NEXT;
    }
    OP_CASE(VECSETS) {
        VECTOR_AT(r[A], s[B])
        rl_element_store((rl_element_t)v->element, v->data, at, s[C]);
        NEXT;
    }
    OP_CASE(VECSETR) {
        VECTOR_AT(r[A], s[B])
        rl_object_t** slot = (rl_object_t**)v->data + at;
        rl_heap_barrier_old(&vm->heap, *slot);
        *slot = r[C];
        NEXT;
    }
    OP_CASE(VECGETI64) {
        VECTOR_AT(r[B], s[C])
        INTEGER(((const int64_t*)v->data)[at])
    }
    OP_CASE(VECGETI64_L) {
        VECTOR_AT(r[B], (rl_word_t){.i = number})
        INTEGER(((const int64_t*)v->data)[at])
    }
    OP_CASE(VECSETI64_L) {
        VECTOR_AT(r[A], s[B])
        ((int64_t*)v->data)[at] = number;
        NEXT;
    }
    OP_CASE(VECSETI64) {
        VECTOR_AT(r[A], s[B])
        ((int64_t*)v->data)[at] = s[C].i;
        NEXT;
    }
    OP_CASE(VECGETF64) {
        VECTOR_AT(r[B], s[C])
        FLOAT(((const double*)v->data)[at])
    }
    OP_CASE(VECSETF64) {
        VECTOR_AT(r[A], s[B])
        ((double*)v->data)[at] = s[C].f;
        NEXT;
    }
    OP_CASE(VECSETF64_L) {
        VECTOR_AT(r[A], s[B])
        ((double*)v->data)[at] = last;
        NEXT;
    }
    OP_CASE(VECGETU8) {
        VECTOR_AT(r[B], s[C])
        INTEGER(((const uint8_t*)v->data)[at])
    }
    OP_CASE(VECSETU8) {
        VECTOR_AT(r[A], s[B])
        ((uint8_t*)v->data)[at] = (uint8_t)s[C].u;
        NEXT;
    }

    OP_CASE(LISTGETS) {
        LIST_AT(r[B], s[C])
        s[A] = rl_list_at(&list->header, (uint32_t)at);
        NEXT;
    }
    OP_CASE(LISTGETR) {
        LIST_AT(r[B], s[C])
        rl_object_t* element = RL_LIKELY(!list->root) ? ((rl_object_t**)(void*)list->data)[list->start + at]
                                                      : rl_list_at(&list->header, (uint32_t)at).o;
        rl_share(element);
        r[A] = element;
        NEXT;
    }
    OP_CASE(ITER) {
        rl_object_t* iter;
        SAVE();
        if (RL_UNLIKELY(iterate_begin(vm, proto->types[C], r[B], &iter) != RL_DONE)) goto raise_saved;
        budget = vm->budget;
        r[A] = iter;
        NEXT;
    }
    OP_CASE(NEXTS) 
    OP_CASE(NEXTR) {
        rl_object_t* iter = r[B];
        rl_word_t element;
        bool ended = false;
        if (rl_heap_wants_step(&vm->heap)) {
            SAVE();
            rl_heap_step(&vm->heap);
        }
        vm->budget = budget;
        rl_outcome_t outcome = rl_iterate_next(vm, iter, &element, &ended);
        budget = vm->budget;
        if (RL_UNLIKELY(outcome != RL_DONE)) {
            SAVE();
            if (outcome == RL_COLLECT) outcome = iterate_next_again(vm, iter, &element, &ended);
            if (outcome != RL_DONE) goto raise_saved;
            budget = vm->budget;
        }
        if (ended) pc += (int16_t)C;
        else if (pc[-1].op == RL_OP_NEXTS) s[A] = element;
        else r[A] = element.o;
        NEXT;
    }

    OP_CASE(CAST) { if (RL_UNLIKELY(rl_vm_cast(vm, C >> 8, C & 255, s[B], &s[A]) != RL_DONE)) goto raise; NEXT; }

    OP_CASE(DEFER) {
        SAVE();
        if (!push_deferred(vm, r[A])) goto raise_saved;
        NEXT;
    }
    OP_CASE(UNDEFER) { r[A] = rl_vec_pop(&fiber->deferred).object; NEXT; }
    OP_CASE(HANDLE) {
        uint32_t a = A, b = B;
        SAVE();
        if (RL_UNLIKELY(rl_effect_handle(vm, &proto->handles[C], a, b) != RL_DONE)) goto raise_saved;
        LOAD_FRAME();
        NEXT;
    }
    OP_CASE(PERFORM) {
        uint32_t a = A, b = B;
        SAVE();
        if (RL_UNLIKELY(rl_effect_perform(vm, &proto->performs[C], a, b) != RL_DONE)) goto raise_saved;
        LOAD_FRAME();
        NEXT;
    }
    OP_CASE(RESUME) {
        bool is_ref = A != 0;
        SAVE();
        if (RL_UNLIKELY(rl_effect_resume(vm, is_ref) != RL_DONE)) goto raise_saved;
        LOAD_FRAME();
        NEXT;
    }
    OP_CASE(KEEP) { rl_parked_keep(vm, (rl_parked_t*)r[A]); NEXT; }
    OP_CASE(TOKEN) {
        SAVE();
        rl_object_t* token = rl_token_new(vm, pc + IMM);
        if (RL_UNLIKELY(!token)) goto raise_saved;
        r[A] = token;
        if (!push_deferred(vm, token)) goto raise_saved;
        NEXT;
    }
    OP_CASE(UNTOKEN) {
        rl_token_kill(r[A]);
        fiber->deferred.count--;
        NEXT;
    }
    OP_CASE(ESCAPES)
    OP_CASE(ESCAPER) {
        bool is_ref = pc[-1].op == RL_OP_ESCAPER;
        rl_word_t value = is_ref ? (rl_word_t){.o = r[B]} : s[B];
        SAVE();
        if (RL_UNLIKELY(rl_token_escape(vm, r[A], value, is_ref, C) != RL_DONE)) goto raise_saved;
        if (RL_UNLIKELY(!rl_vm_unwind(vm, home, floor, unwinds))) return RL_RAISE;
        LOAD_FRAME();
        NEXT;
    }
    OP_CASE(ABANDON) {
        SAVE();
        rl_parked_t* parked = r[A]->kind == RL_OBJ_TASK ? rl_task_take(vm, r[A]) : (rl_parked_t*)r[A];
        if (parked && rl_fiber_abandon(vm, parked) && !rl_vm_unwind(vm, home, floor, unwinds)) return RL_RAISE;
        LOAD_FRAME();
        NEXT;
    }
    OP_CASE(RAISE) {
        rl_vm_raise_text(vm, (rl_code_t)INDEX, rl_string_str(r[A]));
        goto raise;
    }
    OP_CASE(TRAP) {
        rl_vm_raise_standard(vm, (rl_code_t)INDEX);
        goto raise;
    }
    OP_CASE(UNSAFE) {
        if (vm->unsafe_region) {
            uint32_t line = 0;
            if (vm->program && proto->starts) {
                line = rl_program_line_of(vm->program, proto->module, proto->starts[pc - proto->code - 1]).line;
            }
            vm->unsafe_region(vm->host, proto->name, line);
        }
        NEXT;
    }
    OP_CASE(AWAIT) {
        rl_future_t* future = (rl_future_t*)r[C];
        if (future->state == RL_FUTURE_DONE) {
            if (future->is_ref) r[B] = future->value;
            else s[A] = future->scalar;
            pc += 2; /* its SETTLE and DRIVE */
            NEXT;
        }
        if (future->state == RL_FUTURE_NEW && future->body) {
            rl_object_t* block = future->body;
            const rl_proto_t* callee = rl_object_words(block)[block->refs].p;
            rl_heap_barrier_old(&vm->heap, block);
            future->body = NULL;
            future->state = RL_FUTURE_RUNNING;
            r[B] = block;
            ENTER;
        }
        pc++; /* goes on at DRIVE */
        SAVE();
        rl_outcome_t outcome = rl_async_wait(vm, &future->header);
        if (outcome == RL_RAISE) goto raise_saved;
        if (outcome == RL_PARK && !rl_vm_unwind(vm, home, floor, unwinds)) return RL_RAISE;
        LOAD_FRAME();
        NEXT;
    }
    OP_CASE(SETTLE) {
        rl_object_t* future = r[C];
        rl_future_settle(vm, future, ((rl_future_t*)future)->is_ref ? (rl_word_t){.o = r[B]} : s[A]);
        pc++;
        NEXT;
    }
    OP_CASE(DRIVE) {
        bool again;
        pc--; /* others go on first: then it stands here again */
        SAVE();
        if (rl_async_drive(vm, &again) != RL_DONE) goto raise_saved;
        LOAD_FRAME();
        if (again) {
            pc -= 2;
            CHARGE(3);
        }
        NEXT;
    }
    OP_CASE(POLL) {
        int left;
        rl_object_t* awaited = r[B];
        pc--; /* as DRIVE */
        SAVE();
        if (rl_async_poll(vm, awaited, &left) != RL_DONE) goto raise_saved;
        LOAD_FRAME();
        if (left >= 0) {
            pc++;
            s[A].i = left;
        }
        NEXT;
    }
    OP_CASE(HALT) {
        /* The frame that was entered from outside has been left; whoever entered puts the fiber back as it was. */
        vm->budget = budget;
        return RL_DONE;
    }
    OP_CASE(UNWIND) {
        SAVE();
        if (!rl_vm_unwind(vm, home, floor, unwinds)) return RL_RAISE;
        LOAD_FRAME();
        NEXT;
    }
    OP_CASE(FINISH) {
        SAVE();
        if (RL_UNLIKELY(rl_fiber_finish(vm) != RL_DONE)) goto raise_saved;
        LOAD_FRAME();
        NEXT;
    }
    /* clang-format on */
#if !RL_THREADED
case RL_OP_COUNT: break;
}
#endif

enter_slowly: {
    uint32_t a = A, b = B;
    const rl_proto_t* callee = pc[-1].op == RL_OP_CALL ? proto->callees[C] : rl_object_words(r[b])[r[b]->refs].p;
    SAVE();
    if (budget < 0 && !rl_vm_poll_entering(vm, callee)) goto raise_saved;
    if (!rl_fiber_reserve(
            vm, fiber, (size_t)fiber->s_base + a + callee->s_count, (size_t)fiber->r_base + b + callee->r_count)) {
        goto raise_saved;
    }
    LOAD_FRAME();
    frame++;
    *frame = (rl_frame_t){pc, proto, a, b};
    s += a;
    r += b;
    proto = callee;
    pc = callee->code;
    NEXT;
}

poll: SAVE();
if (RL_UNLIKELY(!rl_vm_poll(vm))) {
    fiber->pc = pc + 1; /* the instruction jumped to is the one that could not start */
    goto raise_saved;
}
budget = vm->budget;
NEXT;

overflow: raise_overflow(vm, what);
goto raise;
out_of_range: raise_narrow(vm, B);
goto raise;
negative_exponent: rl_vm_raise_standard(vm, RL_CODE_RUNTIME_ARITH_NEGATIVE_EXPONENT);
goto raise;
division_by_zero: rl_vm_raise_standard(vm, RL_CODE_RUNTIME_ARITH_DIV_ZERO);
goto raise;
uninitialised: raise_uninitialised(vm, INDEX);
goto raise;
raise: SAVE();
raise_saved: if (!rl_vm_fail(vm, home, floor, unwinds)) return RL_RAISE;
LOAD_FRAME();
NEXT;
}
