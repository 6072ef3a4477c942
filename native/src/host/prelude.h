/* The core library's program: made of the .reml sources of vm/core, which the build embeds (gen/prelude_source.inc). */
#ifndef RL_PRELUDE_H
#define RL_PRELUDE_H

#include "types/program.h"

/* Check all sources, in order, into `program`. False: memory, or a mistake in our own sources (rl_prelude_problem says). */
bool rl_prelude_make(rl_program_t* program, rl_allocator_t* allocator);
const char* rl_prelude_problem(void);

#endif
