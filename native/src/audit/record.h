/*
 * record: a record that the host made (CONTRACTS 0.4, 0.5). What the host says is read strictly and written anew, compact, one line, keys of
 * the metadata ascending; envelope and common keys are added here, number and chain when the line is written.
 */
#ifndef RL_AUDIT_RECORD_H
#define RL_AUDIT_RECORD_H

#include "audit/render.h"

#define RL_RECORD_BYTES_MOST (4u << 20) /* of a line; more is refused, never cut */
#define RL_RECORD_DEPTH_MOST 64u        /* of objects and lists in what the host says */
#define RL_RECORD_TEXT_MOST  4096u      /* of kind, category and capability */

/* A line without its place in a file. */
typedef struct rl_ready_record {
    rl_allocator_t* allocator;
    char* text; /* owned, `length` bytes; no line end */
    size_t length, capacity;
    size_t chain_at, sequence_at; /* where the members of the chain and of the number belong */
    char audit_id[37];
} rl_ready_record_t;

/*
 * `command` are members for every record (`"cli.…":…`), or empty; where the metadata have the same key, that one counts.
 * fails: INVALID with a line in `problem`, NO_MEMORY.
 */
rl_audit_result_t rl_record_prepare(rl_allocator_t* allocator, const rl_env_t* env, const rl_host_record_t* record,
    rl_str_t command, rl_ready_record_t* out_ready, char problem[256]);
/* False: no memory. */
bool rl_record_copy(rl_allocator_t* allocator, const rl_ready_record_t* from, rl_ready_record_t* out_copy);
void rl_record_deinit(rl_ready_record_t* ready);

/* Append the line with the next number of `chain`, and its hash; the chain moves on. False: no memory; nothing changed. */
bool rl_record_chained(const rl_ready_record_t* ready, rl_audit_chain_t* chain, rl_buf_t* out);

#endif
