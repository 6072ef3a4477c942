#include "code/emit_internal.h"

/*
 * The last step of a function: an instruction that reads what was computed right before gets it from `last` (code/last.def) instead of
 * from its register. Reading a register back that was just written is the longest part of a chain of instructions.
 */

enum { FIELD_a, FIELD_b, FIELD_c, FIELD_d };

enum { KIND_F = 1, KIND_I };
static const uint8_t leaves[RL_OP_COUNT] = {
#define LEAVES(op, kind) [RL_OP_##op] = KIND_##kind,
#define FOLLOWS(op, field, other, kind)
#include "code/last.def"
#undef LEAVES
#undef FOLLOWS
};

typedef struct follow {
    uint8_t op, field, other, kind;
} follow_t;
static const follow_t follows[] = {
#define LEAVES(op, kind)
#define FOLLOWS(op, field, other, kind) {RL_OP_##op, FIELD_##field, RL_OP_##other, KIND_##kind},
#include "code/last.def"
#undef LEAVES
#undef FOLLOWS
};

static unsigned kind_read(unsigned op) {
    for (size_t i = 0; i < RL_COUNT_OF(follows); i++) {
        if (follows[i].other == op) return follows[i].kind;
    }
    return 0;
}
bool rl_op_leaves_last(unsigned op) { return op < RL_OP_COUNT && leaves[op]; }
bool rl_op_reads_last(unsigned op) { return kind_read(op) != 0; }
bool rl_op_goes_on(unsigned before, unsigned op) { return leaves[before] == kind_read(op); }

/* `in` with what is in register `reg` taken from `last`, as often as it reads it; unchanged when there is no form for it. */
static rl_instr_t with_last(rl_instr_t in, uint32_t reg, unsigned kind) {
    for (size_t i = 0; i < RL_COUNT_OF(follows); i++) {
        if (follows[i].op != in.op || follows[i].kind != kind) continue;
        const uint16_t fields[] = {in.a, in.b, in.c, in.d};
        unsigned field = follows[i].field;
        if (fields[field] != reg) continue;
        if (field == FIELD_a) in.a = 0;
        if (field == FIELD_b) in.b = 0;
        if (field == FIELD_d) in.d = 0;
        if (field == FIELD_c) {
            bool moves = rl_op_operands(in.op)[FIELD_a] == 's' && rl_op_operands(in.op)[FIELD_b] == 's';
            in.c = moves ? in.b : 0;
            if (moves) in.b = 0;
        }
        in.op = follows[i].other;
    }
    return in;
}

bool rl_emit_with_last(rl_emitter_t* e) {
    uint32_t i = 1;
    while (i < e->code.count && !leaves[e->code.data[i - 1].op]) i++;
    if (i >= e->code.count) return true;
    uint8_t* is_target = rl_alloc_zero(e->allocator, e->code.count);
    if (!is_target) return false;
    for (uint32_t k = 0; k < e->jumps.count; k++) is_target[e->jumps.data[k].target] = 1;
    for (uint32_t k = 0; k < e->switches.count; k++) {
        const uint32_t* table = e->switches.data[k].table;
        for (uint32_t n = 1; n < table[0] + 2; n++) is_target[table[n]] = 1;
    }
    for (; i < e->code.count; i++) {
        if (!leaves[e->code.data[i - 1].op] || is_target[i]) continue;
        e->code.data[i] = with_last(e->code.data[i], e->code.data[i - 1].a, leaves[e->code.data[i - 1].op]);
    }
    rl_free(e->allocator, is_target, e->code.count);
    return true;
}
