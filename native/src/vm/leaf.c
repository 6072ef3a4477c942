/*
 * The small loop: a function of scalars from its start until it returns or comes to an instruction that needs more than registers
 * of scalars. It keeps no frame, needs nothing saved or loaded, calls nothing, and cannot run for long: no instruction of scalar.inc
 * goes back.
 */
#include "vm/arith.h"
#include "vm/vm.h"

#include <math.h>

#include "vm/operand.h" /* last: its names are short */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-gcse", "no-crossjumping") /* as loop.c */
#endif

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

const rl_instr_t* rl_vm_run_leaf_from(const rl_proto_t* proto, rl_word_t* s, const rl_instr_t* pc) {
#if RL_THREADED
    static const void* const label_of[RL_OP_COUNT] = {
#define OP(name, operands, meaning)        &&other,
#define OP_SCALAR(name, operands, meaning) &&op_##name,
#include "code/opcode.def"
#undef OP
    };
#endif
#if RL_THREADED
    const void* const* labels = label_of;
    RL_KEEP(labels);
#endif
    const char* what;
    double last = 0;
    int64_t number = 0;
#if RL_THREADED
    NEXT;
#else
next_instruction:
    pc++;
    switch ((rl_op_t)pc[-1].op) {
#endif
    OP_CASE(RETS) {
        s[0] = s[A];
        return NULL;
    }
    OP_CASE(RETS_LI) {
        s[0].i = number;
        return NULL;
    }
    OP_CASE(RETS_LF) {
        s[0].f = last;
        return NULL;
    }
    OP_CASE(RETU) {
        s[0].u = 0;
        return NULL;
    }
#include "vm/scalar.inc"
#if RL_THREADED
other:
    return pc - 1;
#else
    default: return pc - 1;
    }
#endif
overflow:
    (void)what; /* rl_vm_run meets it again and says it */
division_by_zero:
out_of_range:
    return pc - 1;
}

#undef OP_CASE
#undef NEXT
#define OP_CASE(name) case RL_OP_##name:
#define NEXT          break

const rl_instr_t* rl_vm_run_leaf_calls(const rl_proto_t* proto, rl_word_t* s, const rl_instr_t* rest) {
    while (rest) {
        const rl_instr_t* pc = rest + 1;
        const char* what;
        switch ((rl_op_t)rest->op) {
#include "vm/scalar_call.inc"
        default: return rest;
        }
        rest = rl_vm_run_leaf_from(proto, s, pc);
        continue;
    overflow:
        (void)what;
    negative_exponent:
        return rest;
    }
    return NULL;
}

rl_outcome_t rl_vm_run_rest(rl_vm_t* vm, const rl_proto_t* proto, const rl_instr_t* rest) {
    rl_fiber_t* fiber = vm->fiber;
    fiber->frames[0] = (rl_frame_t){rl_vm_halt, NULL, 0, 0};
    fiber->frame_count = 1;
    fiber->s_base = fiber->r_base = 0;
    fiber->proto = proto;
    fiber->pc = rest;
    vm->native_depth++;
    rl_outcome_t outcome = rl_vm_run(vm, 0);
    vm->native_depth--;
    fiber->frame_count = 0;
    fiber->s_base = fiber->r_base = 0;
    fiber->proto = NULL;
    return outcome;
}
