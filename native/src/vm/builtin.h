/*
 * Builtins: core functions written in C. One table (builtin.def); everything else derives from it: ids, look-up by name,
 * the ownership of arguments, the test that each one obeys limits.
 *
 * Rules for the C functions:
 *  - they never collect: the collector runs only between instructions, so no rooting is needed inside a builtin.
 *    When memory is refused they answer RL_COLLECT *before* having changed anything visible; the loop collects and calls
 *    again, and the second refusal ends the run with runtime.limit.memory.
 *  - work in proportion to data is charged with rl_vm_charge(vm, steps), which answers false when the run must stop
 *    (fuel, deadline, interrupt): return RL_RAISE then.
 *  - they never call back into Reml: functions that take functions are Reml code, in the .reml files of core.
 *  - no C recursion in proportion to data.
 */
#ifndef RL_BUILTIN_H
#define RL_BUILTIN_H

#include "code/bytecode.h"

typedef enum rl_builtin_id {
#define BUILTIN(id, name, function, uses) RL_BUILTIN_##id##_ID,
#include "vm/builtin.def"
#undef BUILTIN
    RL_BUILTIN_ID_COUNT
} rl_builtin_id_t;

/* `uses`: one letter per parameter: b = only looked at (borrowed); c = kept in the result or updated in place (consumed). */
typedef struct rl_builtin_row {
    const char* name;
    rl_builtin_fn function;
    const char* uses;
} rl_builtin_row_t;

extern const rl_builtin_row_t rl_builtin_rows[RL_BUILTIN_ID_COUNT + 1]; /* the last is empty */
uint32_t rl_builtin_find(rl_str_t name);                                /* UINT32_MAX: none */

#endif
