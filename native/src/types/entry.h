#ifndef RL_ENTRY_H
#define RL_ENTRY_H

#include "types/program.h"

/* All answer 0 when memory is short or the function has more than 64 parameters. */

/* A function of the same type whose body calls this host function. */
rl_fn_id_t rl_check_forwarder(rl_program_t* program, rl_fn_id_t function);
/* A parameterless function that calls `function` with its defaults: what the host enters when every parameter has one. */
rl_fn_id_t rl_check_entry_caller(rl_program_t* program, rl_fn_id_t function);

#endif
