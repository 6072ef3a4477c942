/*
 * Attributes (LANGUAGE 3.5): the table of those that exist, where they may stand and how their arguments look; reading
 * them. Comes in: lists of ATTR nodes. Must not know: what the effects of code are.
 */
#ifndef RL_ATTRIBUTE_H
#define RL_ATTRIBUTE_H

#include "syntax/tree.h"

struct rl_checker;

typedef enum rl_attribute {
    RL_ATTR_UNKNOWN,
    RL_ATTR_CFG,
    RL_ATTR_PURE,
    RL_ATTR_NO_PANIC,
    RL_ATTR_ASYNC_FREE,
    RL_ATTR_NO_BLOCKING,
    RL_ATTR_NO_TIMER,
    RL_ATTR_MUST_USE,
    RL_ATTR_MUST_AWAIT,
    RL_ATTR_HANDLES,
    RL_ATTR_REQUIRES_CAPABILITY,
    RL_ATTR_DSL_EXPORT,
    RL_ATTR_INTRINSIC,
    RL_ATTR_UNSTABLE,
    RL_ATTR_LINK_NAME,
    RL_ATTR_TARGET,
    RL_ATTR_CALLCONV,
    RL_ATTR_OWNERSHIP,
    RL_ATTR_INLINE,
    RL_ATTR_NO_ALLOC,
    RL_ATTR_REENTRANT,
    RL_ATTR_DOC,
    RL_ATTR_DEPRECATED,
    RL_ATTR_BUILTIN, /* core library only, like the next */
    RL_ATTR_CONSTANT,
    RL_ATTR_COUNT
} rl_attribute_t;

/* --- reading: none of these reports -------------------------------------------------------------------------------- */

rl_attribute_t rl_attribute_of(const struct rl_checker* c, rl_node_t attr);
/* The first attribute of that kind in a list (rl_tree_attrs()), 0: none. */
rl_node_t rl_attribute_find(const struct rl_checker* c, rl_list_t attrs, rl_attribute_t wanted);
/* All of them that stand there, as 1u << rl_attribute_t. */
uint32_t rl_attribute_set(const struct rl_checker* c, rl_list_t attrs);
/* @requires_capability: its stage, 0 experimental … 2 stable; -1: not written, or none. */
int rl_attribute_stage(const struct rl_checker* c, rl_node_t attr);
/* The value of the named argument, 0: not written. */
rl_node_t rl_attribute_named(const struct rl_checker* c, rl_node_t attr, const char* name);
/* The number of positional arguments and the one at `index` (an expression of the tree, see rl_attribute_path). */
uint32_t rl_attribute_count(const struct rl_checker* c, rl_node_t attr);
rl_node_t rl_attribute_at(const struct rl_checker* c, rl_node_t attr, uint32_t index);
/* Text of a string literal; data is NULL when `value` is none. */
rl_str_t rl_attribute_text(const struct rl_checker* c, rl_node_t value);
/* `io.async`, `Console`, also the string "io.async": its dotted text appended to `out`. False: no path and no string. */
bool rl_attribute_path(const struct rl_checker* c, rl_node_t value, rl_buf_t* out);

/* --- checking -------------------------------------------------------------------------------------------------------- */

/* Every attribute of the module: unknown ones, wrong places, arguments; stages and capabilities that the context refuses. */
void rl_attributes_check(struct rl_checker* c);

#endif
