/*
 * The small loop: a function of scalars from its start until it returns or comes to an instruction that needs more than registers
 * of scalars. It keeps no frame, needs nothing saved or loaded, and cannot run for long: no instruction of scalar.inc goes back.
 */
#include "vm/arith.h"
#include "vm/vm.h"

#include <math.h>

#include "vm/operand.h" /* last: its names are short */

#define OP_CASE(name) case RL_OP_##name:
#define NEXT          goto next_instruction

const rl_instr_t* rl_vm_run_leaf(const rl_proto_t* proto, rl_word_t* s) {
    const rl_instr_t* pc = proto->code;
    const char* what;
next_instruction:
    pc++;
    switch ((rl_op_t)pc[-1].op) {
        OP_CASE(RETS) {
            s[0] = s[A];
            return NULL;
        }
        OP_CASE(RETU) {
            s[0].u = 0;
            return NULL;
        }
#include "vm/scalar.inc"
    default: return pc - 1;
    }
overflow:
    (void)what; /* rl_vm_run meets it again and says it */
division_by_zero:
negative_exponent:
out_of_range:
    return pc - 1;
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
