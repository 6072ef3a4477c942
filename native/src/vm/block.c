/*
 * The block loop: a function of scalars over RL_BLOCK_ROWS rows at once. Each instruction is done for all of them before the next is looked
 * at, so that fetching it, and a jump that nobody can foresee, is paid once a block instead of once a row.
 *
 * Registers are columns: number n of row k is words[n * RL_BLOCK_ROWS + k]. As long as all rows are at the same instruction its body is a
 * plain loop over columns (run_together). Rows that a jump parts go on in groups, always the one that is furthest back (run_apart). No
 * instruction of scalar.inc goes back, so groups meet again where their ways do.
 */
#include "vm/arith.h"
#include "vm/vm.h"

#include <math.h>

enum { ROWS = RL_BLOCK_ROWS, LAST = RL_BLOCK_REGISTERS, GROUPS = 8 };

typedef struct group {
    const rl_instr_t* at;
    unsigned count;
    rl_word_t* rows[ROWS]; /* register 0 of each */
} group_t;

/* One that runs, those that wait, and room. */
typedef struct groups {
    group_t pool[GROUPS];
    group_t* waiting[GROUPS];
    unsigned count;
    group_t* unused[GROUPS];
    unsigned unused_count;
} groups_t;

typedef enum step { DONE, UNDONE, APART, TOGETHER } step_t;

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed" /* what it cannot turn into vectors stays a loop */
#define EACH_APART _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define EACH_APART _Pragma("GCC ivdep")
#else
#define EACH_APART
#endif

/* --- how scalar.inc names things; register numbers are places of columns ------------------------------------------------ */

#define A      (now.a * (size_t)ROWS)
#define B      (now.b * (size_t)ROWS)
#define C      (now.c * (size_t)ROWS)
#define D      (now.d * (size_t)ROWS)
#define UB     (now.b)
#define UC     (now.c)
#define SB     ((int64_t)(int16_t)now.b)
#define SC     ((int64_t)(int16_t)now.c)
#define IMM    (now.imm)
#define INDEX  (now.index)
#define last   (s[(size_t)LAST * ROWS].f)
#define number (s[(size_t)LAST * ROWS].i)
#define NEXT   continue
#define NEXT_F continue
#define NEXT_I continue
/* A way for each row: rare, and left to the small loop. */
#define JUMP_TO(place) JUMP(((void)(place), true), -1)
#define FAILURES                                                                                                       \
    overflow:                                                                                                          \
    (void)what; /* the row is done again by itself, and says it */                                                     \
    division_by_zero:                                                                                                  \
    out_of_range:                                                                                                      \
    return UNDONE

/* --- all rows at one instruction ----------------------------------------------------------------------------------------- */

#define s (words + k)
#define OP_CASE(name)                                                                                                  \
    goto next;                                                                                                         \
    case RL_OP_##name:                                                                                                 \
        EACH_APART                                                                                                     \
        for (unsigned k = 0; k < ROWS; k++)
#define JUMP(condition, distance)                                                                                      \
    {                                                                                                                  \
        goes[k] = (condition);                                                                                         \
        jump = (distance);                                                                                             \
        NEXT;                                                                                                          \
    }

/* From *at on, until it is done or rows part: these are `goes`, their way is behind *at and `jump`. */
static step_t run_together(
    const rl_proto_t* proto, rl_word_t* words, const rl_instr_t** at, uint8_t goes[ROWS], int64_t* out_jump) {
    const rl_instr_t* pc = *at;
    const char* what;
    for (;;) {
        const rl_instr_t now = *pc++;
        int64_t jump = 0;
        switch ((rl_op_t)now.op) {
        case RL_OP_RETS: memmove(words, words + A, ROWS * sizeof *words); return DONE;
        case RL_OP_RETS_LI:
        case RL_OP_RETS_LF: memmove(words, words + (size_t)LAST * ROWS, ROWS * sizeof *words); return DONE;
        case RL_OP_RETU: memset(words, 0, ROWS * sizeof *words); return DONE;
#include "vm/scalar.inc"
            goto next;
        default: return UNDONE;
        }
    next:
        if (!jump) continue;
        unsigned gone = 0;
        for (unsigned k = 0; k < ROWS; k++) gone += goes[k];
        if (gone == 0) continue;
        if (RL_UNLIKELY(jump < 0)) return UNDONE;
        if (gone == ROWS) {
            pc += jump;
            continue;
        }
        *at = pc;
        *out_jump = jump;
        return APART;
    }
    FAILURES;
}

#undef s
#undef OP_CASE
#undef JUMP

/* --- groups --------------------------------------------------------------------------------------------------------------- */

/* Those who wait at the place that `group` has come to go on with it. */
static void meet(groups_t* groups, group_t* group) {
    for (unsigned i = 0; i < groups->count;) {
        group_t* other = groups->waiting[i];
        if (other->at != group->at) {
            i++;
            continue;
        }
        memcpy(group->rows + group->count, other->rows, other->count * sizeof *other->rows);
        group->count += other->count;
        groups->unused[groups->unused_count++] = other;
        groups->waiting[i] = groups->waiting[--groups->count];
    }
}

static group_t* take_first(groups_t* groups) {
    unsigned first = 0;
    for (unsigned i = 1; i < groups->count; i++) {
        if (groups->waiting[i]->at < groups->waiting[first]->at) first = i;
    }
    group_t* group = groups->waiting[first];
    groups->waiting[first] = groups->waiting[--groups->count];
    return group;
}

#define OP_CASE(name)                                                                                                  \
    goto next;                                                                                                         \
    case RL_OP_##name:                                                                                                 \
        for (unsigned k = 0; k < count; k++)                                                                           \
            for (rl_word_t* s = rows[k]; s; s = NULL)
/* Those that jump gather in `away`, the others in front, without a branch: which of them do is not to be foreseen. */
#define JUMP(condition, distance)                                                                                      \
    {                                                                                                                  \
        bool goes_away = (condition);                                                                                  \
        away->rows[gone] = s;                                                                                          \
        rows[k - gone] = s;                                                                                            \
        gone += goes_away;                                                                                             \
        jump = (distance);                                                                                             \
        NEXT;                                                                                                          \
    }

/* On with `group` and those that wait, until all are done or all are at *out_at. */
static step_t run_apart(const rl_proto_t* proto, groups_t* groups, group_t* group, const rl_instr_t** out_at) {
    const char* what;
    group_t* away = groups->unused[--groups->unused_count];
    bool is_whole = true; /* no row has returned */
    for (;;) {
        if (groups->count) meet(groups, group);
        const rl_instr_t* at = group->at;
        if (group->count == ROWS && is_whole) {
            *out_at = at;
            return TOGETHER;
        }
        const rl_instr_t now = *at;
        rl_word_t** rows = group->rows;
        unsigned count = group->count, gone = 0;
        int64_t jump = 0;
        switch ((rl_op_t)now.op) {
        case RL_OP_RETS:
        case RL_OP_RETS_LI:
        case RL_OP_RETS_LF:
        case RL_OP_RETU:
            for (unsigned k = 0; k < count; k++) {
                if (now.op == RL_OP_RETS) rows[k][0] = rows[k][A];
                else if (now.op == RL_OP_RETU) rows[k][0].u = 0;
                else rows[k][0] = rows[k][(size_t)LAST * ROWS];
            }
            is_whole = false;
            if (!groups->count) return DONE;
            groups->unused[groups->unused_count++] = group;
            group = take_first(groups);
            continue;
#include "vm/scalar.inc"
            goto next;
        default: return UNDONE;
        }
    next:
        group->at = at + 1;
        if (!gone) continue;
        if (RL_UNLIKELY(jump < 0 || !groups->unused_count)) return UNDONE;
        away->at = at + 1 + jump;
        away->count = gone;
        group->count -= gone;
        groups->waiting[groups->count++] = away;
        if (group->count) {
            away = groups->unused[--groups->unused_count];
        } else {
            away = group;
            group = take_first(groups);
        }
    }
    FAILURES;
}

bool rl_vm_run_block(const rl_proto_t* proto, rl_word_t words[RL_BLOCK_WORDS]) {
    const rl_instr_t* at = proto->code;
    for (;;) {
        uint8_t goes[ROWS];
        int64_t jump;
        step_t step = run_together(proto, words, &at, goes, &jump);
        if (step != APART) return step == DONE;
        groups_t groups;
        groups.count = 1;
        groups.unused_count = 0;
        for (unsigned i = 2; i < GROUPS; i++) groups.unused[groups.unused_count++] = &groups.pool[i];
        group_t *stay = &groups.pool[0], *away = groups.waiting[0] = &groups.pool[1];
        stay->at = at;
        away->at = at + jump;
        stay->count = away->count = 0;
        for (unsigned k = 0; k < ROWS; k++) {
            stay->rows[stay->count] = away->rows[away->count] = words + k;
            stay->count += !goes[k];
            away->count += goes[k];
        }
        step = run_apart(proto, &groups, stay, &at);
        if (step != TOGETHER) return step == DONE;
    }
}
