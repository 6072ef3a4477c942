/*
 * Sets of effects and what is known of function values (LANGUAGE 6.1, 6.2), interned in a program. Knows: tags, their
 * order and what covers what. Must not know: code, diagnostics.
 */
#ifndef RL_EFFECT_SET_H
#define RL_EFFECT_SET_H

#include "base/buf.h"
#include "types/symbol.h"

struct rl_program;
struct rl_json;

typedef uint32_t rl_effects_t; /* 0: none written; RL_EFFECTS_NONE: `! {}` */
typedef uint32_t rl_flow_t;    /* 0: a function value that adds nothing when it is called */
enum { RL_EFFECTS_NONE = 1 };

/* Core and system tags are bits; the others are words: an effect's id, or the symbol of an extension tag. */
typedef enum rl_tag {
    RL_TAG_MUT,
    RL_TAG_IO,
    RL_TAG_IO_ASYNC,
    RL_TAG_IO_BLOCKING,
    RL_TAG_IO_TIMER,
    RL_TAG_IO_NETWORK_RAW,
    RL_TAG_IO_FILESYSTEM_RAW,
    RL_TAG_FFI,
    RL_TAG_PANIC,
    RL_TAG_UNSAFE,
    RL_TAG_SYSCALL,
    RL_TAG_PROCESS,
    RL_TAG_THREAD,
    RL_TAG_MEMORY,
    RL_TAG_SIGNAL,
    RL_TAG_HARDWARE,
    RL_TAG_NATIVE,
    RL_TAG_REALTIME,
    RL_TAG_CORE_COUNT
} rl_tag_t;
#define RL_TAG_BIT(tag) (1u << (tag))
enum { RL_TAG_EFFECT = 0x40000000, RL_TAG_ALL_CORE = (1 << RL_TAG_CORE_COUNT) - 1 };
#define RL_TAG_EXTENSION 0x80000000u
/* Tag words: a core tag is its number. */
static inline uint32_t rl_tag_of_effect(uint32_t effect) { return RL_TAG_EFFECT | effect; }

typedef struct rl_effect_set {
    uint32_t core;                 /* bits */
    uint32_t tag_first, tag_count; /* program.effect_tags, ascending */
} rl_effect_set_t;

typedef struct rl_flow_entry {
    rl_effects_t effects; /* added by a call; 0: nothing */
    rl_flow_t result;     /* what is known of a function that the call answers */
} rl_flow_entry_t;

rl_effects_t rl_effects_of_core(struct rl_program* program, uint32_t bits);
rl_effects_t rl_effects_of_tag(struct rl_program* program, uint32_t tag);
rl_effects_t rl_effects_join(struct rl_program* program, rl_effects_t a, rl_effects_t b);
rl_effects_t rl_effects_without(struct rl_program* program, rl_effects_t set, uint32_t tag);
bool rl_effects_contain(const struct rl_program* program, rl_effects_t set, uint32_t tag);
/* Does the bound `set` allow the tag? Extension tags always are. */
bool rl_effects_allow(const struct rl_program* program, rl_effects_t set, uint32_t tag);
/* Does the tag count as core tag `core`: is it that one, or an effect with that base tag? */
bool rl_tag_counts_as(const struct rl_program* program, uint32_t tag, rl_tag_t core);
/* The tags of `set` one by one: start with *at = 0, false at the end. */
bool rl_effects_next(const struct rl_program* program, rl_effects_t set, uint32_t* at, uint32_t* out_tag);
/* Every tag of `set` that `bound` does not allow. */
rl_effects_t rl_effects_excess(struct rl_program* program, rl_effects_t set, rl_effects_t bound);

/* "io.async" → core tag, or the extension tag of that name. */
uint32_t rl_tag_named(struct rl_program* program, rl_str_t text);
void rl_tag_print(const struct rl_program* program, uint32_t tag, rl_buf_t* out);
/* " ! {io}" behind a type, nothing when there is nothing to say */
void rl_effects_suffix(const struct rl_program* program, rl_effects_t set, rl_buf_t* out);
void rl_effects_print(const struct rl_program* program, rl_effects_t set, rl_buf_t* out); /* "{io, mut}" */

/* The set as a JSON list for the host: effects with a base tag under it, ascending, each once. */
void rl_effects_tags(const struct rl_program* program, rl_effects_t set, struct rl_json* json);

rl_flow_t rl_flow_make(struct rl_program* program, rl_effects_t effects, rl_flow_t result);
rl_flow_t rl_flow_join(struct rl_program* program, rl_flow_t a, rl_flow_t b);
rl_flow_entry_t rl_flow_at(const struct rl_program* program, rl_flow_t flow);

#endif
