/* Source text → readable tokens or tree, for `reml dis` and golden files. */
#ifndef RL_EXPLAIN_H
#define RL_EXPLAIN_H

#include "base/buf.h"
#include "types/symbol.h"

void rl_explain_syntax(rl_allocator_t* allocator, rl_symbols_t* symbols, rl_str_t source, bool tokens, rl_buf_t* out);

#endif
