/*
 * telemetry: what one check demanded of types, kept for people and tools when somebody asks (contract reference 9).
 *
 * Comes in: constraints, calls and decisions about traits, as the checker makes them. Goes out: one JSON object. When nobody asks,
 * rl_checker_t.telemetry is NULL and every hook is one comparison.
 *
 *     rl_telemetry_begin(&telemetry, allocator);
 *     rl_check_module(&(rl_check_input_t){…, .telemetry = &telemetry}, &module);
 *     telemetry.json       the graph, also after errors; empty when memory was short
 *     rl_telemetry_end(&telemetry);
 */
#ifndef RL_TELEMETRY_H
#define RL_TELEMETRY_H

#include "types/program.h"

struct rl_checker;

/* Why a constraint is there. What an expression demands of its parts is named after the kind of its node (telemetry.c). */
typedef enum rl_reason {
    RL_REASON_PLACE, /* the expression being checked says */
    RL_REASON_CONDITION,
    RL_REASON_ARITY,
    RL_REASON_FIELD,
    RL_REASON_OPERATIONS, /* ==, <, +, hashing of a type that is not known or composed */
    RL_REASON_BOUND
} rl_reason_t;

typedef enum rl_resolution_state {
    RL_RESOLVED,
    RL_RESOLUTION_UNRESOLVED,
    RL_RESOLUTION_AMBIGUOUS,
    RL_RESOLUTION_UNRESOLVED_TYPEVAR,
    RL_RESOLUTION_CYCLIC,
    RL_RESOLUTION_PENDING, /* left to the callers: a constraint of the function */
    RL_RESOLUTION_STAGE_MISMATCH
} rl_resolution_state_t;

typedef enum rl_dictionary {
    RL_DICTIONARY_NONE,
    RL_DICTIONARY_IMPLICIT,  /* an impl, or built in */
    RL_DICTIONARY_PARAMETER, /* what the function may assume */
    RL_DICTIONARY_LOCAL      /* … a local function */
} rl_dictionary_t;

typedef struct rl_noted_constraint {
    uint16_t reason;         /* rl_reason_t, or RL_REASON_COUNT + node kind */
    rl_type_t found, wanted; /* wanted 0: the constraint is no equation */
    uint32_t unit;           /* checker.units */
    uint32_t kinds;          /* OPERATIONS: rl_constraint_kind_t */
} rl_noted_constraint_t;

typedef struct rl_noted_resolution {
    uint32_t demand; /* checker.demands */
    uint32_t unit;
    uint8_t state, dictionary;
    uint32_t index;                            /* PARAMETER: of the constraint; IMPLICIT: the impl, 0: built in */
    uint32_t candidate_first, candidate_count; /* telemetry.candidates */
    uint32_t open_first, open_count;           /* telemetry.open_variables */
    uint32_t param_first, param_end;           /* PENDING: type parameters of the function */
} rl_noted_resolution_t;

#define RL_CANDIDATE_BUILT_IN 0u
#define RL_CANDIDATE_ASSUMED  0xFFFFFFFFu
enum { RL_CANDIDATES_MAX = 32 };

typedef struct rl_telemetry {
    rl_allocator_t* allocator;
    rl_buf_t json;
    RL_VEC(rl_noted_constraint_t) constraints;
    RL_VEC(rl_noted_resolution_t) resolutions;
    RL_VEC(uint32_t) candidates; /* impls, or RL_CANDIDATE_… */
    RL_VEC(uint32_t) open_variables;
    RL_VEC(uint32_t) expressions; /* by unit: how many were typed */
    rl_map_t resolution_of;       /* demand → resolution */
    rl_map_t signature_vars;      /* variable → rl_map_key2-like word: function << 8 | parameter + 1, result 0 */
    uint32_t place;               /* rl_node_t being checked */
} rl_telemetry_t;

void rl_telemetry_begin(rl_telemetry_t* telemetry, rl_allocator_t* allocator);
void rl_telemetry_end(rl_telemetry_t* telemetry);

/* --- hooks: only with checker.telemetry ---------------------------------------------------------------------------- */

void rl_note_constraint_now(struct rl_checker* c, rl_reason_t reason, rl_type_t found, rl_type_t wanted);
void rl_note_operations_now(struct rl_checker* c, rl_type_t type, uint32_t kinds);
void rl_note_expression_now(struct rl_checker* c);
/* Variables that stand for what the signature of a function leaves out. */
void rl_note_signature_now(struct rl_checker* c, rl_fn_id_t fn);
/* A later note of the same demand replaces the earlier one; its candidates were put before it. */
void rl_note_resolution_now(struct rl_checker* c, const rl_noted_resolution_t* resolution);

/* All is inferred, the solver still lives: write telemetry.json. */
void rl_telemetry_write(struct rl_checker* c);

#endif
