#include "vm/builtin.h"

#include "base/base.h"

/* The functions are declared here from the table itself, so that a row without a function does not link. */
#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(struct rl_vm* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/builtin.def"
#undef BUILTIN

const rl_builtin_row_t rl_builtin_rows[RL_BUILTIN_ID_COUNT + 1] = {
#define BUILTIN(id, name, function, uses) {name, function, uses},
#include "vm/builtin.def"
#undef BUILTIN
    {NULL, NULL, NULL},
};

static const uint8_t name_lengths[] = {
#define BUILTIN(id, name, function, uses) sizeof(name) - 1,
#include "vm/builtin.def"
#undef BUILTIN
};

uint32_t rl_builtin_find(rl_str_t name) {
    for (uint32_t i = 0; i < RL_BUILTIN_ID_COUNT; i++) {
        if (name_lengths[i] == name.length && memcmp(rl_builtin_rows[i].name, name.data, name.length) == 0) return i;
    }
    return UINT32_MAX;
}
