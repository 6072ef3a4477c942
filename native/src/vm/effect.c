/* Handlers at run time: installing, performing, resuming, leaving (LANGUAGE 6.4). */
#include "vm/vm.h"

void rl_token_kill(rl_object_t* object) { ((rl_token_t*)object)->fiber = NULL; }

/* Behind HANDLE stand UNTOKEN, the jump for the ordinary end, and one jump for each exit. */
void rl_token_land(rl_vm_t* vm, rl_object_t* object) {
    rl_token_t* token = (rl_token_t*)object;
    rl_fiber_t* fiber = vm->fiber;
    fiber->deferred.count--; /* the token itself */
    rl_word_t value = token->word;
    if (token->is_ref) value.o = token->ref;
    rl_fiber_give(vm, value, token->is_ref);
    fiber->pc += 2 + token->exit;
    token->fiber = NULL;
}
