/* Json as other C code sees it (LANGUAGE 8.9): a sum type of the prelude whose text is JSON. */
#ifndef RL_CORE_JSON_H
#define RL_CORE_JSON_H

#include "vm/vm.h"

/* JSON text of a Json value, without blanks, keys ascending. Charged; false: memory or a limit (the buffer has failed, or
   vm->failure is set). */
rl_outcome_t rl_json_text(rl_vm_t* vm, const rl_rtype_t* json, rl_word_t value, rl_buf_t* out);

#endif
