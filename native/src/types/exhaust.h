/*
 * Exhaustiveness and redundancy of typed patterns (Maranget's usefulness), with witnesses. Works on finished or
 * zonk-able RL_PAT_* nodes. Depth- and work-bounded: past its budget it answers "exhaustive, all reachable".
 */
#ifndef RL_EXHAUST_H
#define RL_EXHAUST_H

#include "types/solve.h"

typedef struct rl_match_row {
    rl_ir_t pattern;
    bool guarded; /* a guarded arm never counts for coverage */
} rl_match_row_t;

typedef struct rl_match_report {
    uint64_t* unreachable; /* bit set over rows, caller zeroes; (count + 63) / 64 words */
    rl_buf_t* witnesses;   /* missing cases as pattern text, one per line, at most five; NULL when not wanted */
    uint32_t missing;      /* number of witnesses found; 0: exhaustive */
} rl_match_report_t;

/* False when memory was short (report untouched beyond what was found). */
bool rl_check_match(
    rl_solver_t* solver, rl_type_t scrutinee, const rl_match_row_t* rows, uint32_t count, rl_match_report_t* report);
/* Is this single pattern irrefutable for values of `type`? */
bool rl_pattern_irrefutable(rl_solver_t* solver, rl_type_t type, rl_ir_t pattern);

#endif
