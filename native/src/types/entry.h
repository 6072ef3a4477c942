#ifndef RL_ENTRY_H
#define RL_ENTRY_H

#include "types/program.h"

/* See entry.c. 0: memory, or more than 64 parameters. */
rl_fn_id_t rl_check_entry_caller(rl_program_t* program, rl_fn_id_t function);

#endif
