/* Regex patterns (LANGUAGE 5.7) at run time. */
#include "base/regex.h"
#include "vm/builtin.h"
#include "vm/string.h"
#include "vm/vm.h"

rl_outcome_t rl_regex_match_text(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);

static bool charge(void* user, uint64_t steps) { return rl_vm_charge(user, steps); }

rl_outcome_t rl_regex_match_text(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site) {
    (void)site;
    rl_regex_result_t answer =
        rl_regex_match(vm->allocator, rl_string_str(args[0].o), rl_string_str(args[1].o), charge, vm);
    if (answer == RL_REGEX_STOPPED) return RL_RAISE;
    if (answer == RL_REGEX_NO_MEMORY) return RL_COLLECT;
    result->i = answer == RL_REGEX_YES;
    return RL_DONE;
}
