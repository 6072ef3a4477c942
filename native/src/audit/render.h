/* render: an event becomes a line (CONTRACTS 0.5, 1.6, 2.6), keys ascending, always valid UTF-8 and one line. */
#ifndef RL_AUDIT_RENDER_H
#define RL_AUDIT_RENDER_H

#include "audit/ring.h"

/* Turns raw ticks into time: by the live clock, or, for events of an ended process, along a line it left behind. */
typedef struct rl_audit_clock {
    bool recorded;       /* use the line below */
    uint64_t base_ticks; /* at base_ticks it was base_wall_ns; span_ticks last span_wall_ns */
    int64_t base_wall_ns;
    uint64_t span_ticks;
    int64_t span_wall_ns;
} rl_audit_clock_t;

/* The line of the running clock, for those who come after. */
rl_audit_clock_t rl_audit_clock_record(void);
uint64_t rl_audit_ticks_per_second(const rl_audit_clock_t* recorded);
int64_t rl_audit_clock_wall_ns(const rl_audit_clock_t* clock, uint64_t ticks);

/* The place of a line in a file. */
typedef struct rl_audit_chain {
    uint64_t sequence;        /* of the last line */
    char head[RL_SHA256_HEX]; /* its hash; 64 zeros before the first */
} rl_audit_chain_t;

typedef struct rl_renderer {
    rl_audit_clock_t clock;
    const rl_target_t* target; /* borrowed: of the process that made the events */
    int64_t second;            /* the time text below is of this second */
    char second_text[32];
    size_t second_length;
} rl_renderer_t;

void rl_renderer_init(rl_renderer_t* renderer, const rl_target_t* target);

/*
 * Append the line of `view` (no LF) to `out`. With `chain`, the line gets the next number and its hash, and the chain
 * moves on. False: no memory; out and chain are as before.
 */
bool rl_render_event(
    rl_renderer_t* renderer, const rl_event_view_t* view, rl_audit_chain_t* chain_or_null, rl_buf_t* out);

#endif
