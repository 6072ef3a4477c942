/*
 * The target that a module is loaded for (LANGUAGE 3.5): what @cfg asks about.
 *
 * Lists are texts with commas between the names. All texts are borrowed; a NULL one is not set.
 */
#ifndef RL_TARGET_H
#define RL_TARGET_H

#include "syntax/parser.h"

typedef struct rl_target_config {
    rl_str_t os, family, arch, abi, env, vendor, profile_id, runtime_revision, stdlib_version;
    rl_str_t features;           /* list */
    rl_str_t capabilities;       /* list: what the target has */
    rl_str_t known_capabilities; /* list: registered beside those of CONTRACTS 5.1 */
    rl_str_t runners;            /* list: kinds of runner that are active */
    rl_str_t known_runners;      /* list: registered beside cli, embed, test and lsp */
    rl_str_t extra;              /* list of `name=value` */
} rl_target_config_t;

/* That of the machine we run on. */
rl_target_config_t rl_target_of_host(void);

/* Does the list hold the name? Blanks around names do not count. */
bool rl_target_list_has(rl_str_t list, rl_str_t name);

/* Answers predicates of @cfg; `user` of what it returns is `target`. */
rl_cfg_t rl_target_cfg(const rl_target_config_t* target);

#endif
