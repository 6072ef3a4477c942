/*
 * journal: the file PATH.journal beside a log. One page of header, then the slots of a ring (ring.h), mapped shared: what
 * is stored there is the kernel's from that moment, whatever becomes of the process.
 *
 * Between sessions only the header remains (4 KiB): it remembers where the log ended. The journal is also the lock: a
 * log has at most one writing process, the one that holds the lock of its journal. It is never renamed or removed.
 *
 * Which events are in the log already? A checkpoint says: the event at `position` has the number `sequence` + 1. Events
 * before it are written; the log's own last number says how many behind it were, should the process have ended between
 * writing lines and writing the checkpoint. Two checkpoints take turns so that one is always whole.
 */
#ifndef RL_AUDIT_JOURNAL_H
#define RL_AUDIT_JOURNAL_H

#include "audit/render.h"

#define RL_JOURNAL_MAGIC        0x4c4e524a4c4d4552u /* "REMLJRNL" read as little-endian */
#define RL_JOURNAL_VERSION      1u
#define RL_JOURNAL_HEADER_BYTES 4096u

typedef struct rl_checkpoint {
    uint64_t position;  /* in the ring: events before it are in the log */
    uint64_t sequence;  /* of the last line in the log */
    uint64_t log_bytes; /* size of the log with that line; 0: a new file was begun behind it */
    char head[RL_SHA256_HEX];
    uint64_t base_ticks; /* rl_audit_clock_t of the process */
    int64_t base_wall_ns;
    uint64_t span_ticks;
    int64_t span_wall_ns;
} rl_checkpoint_t;

typedef struct rl_journal_header {
    _Atomic(uint64_t) magic; /* stored last when a journal is made */
    uint32_t version;
    uint32_t slot_bytes;
    uint32_t slot_count;
    _Atomic(uint32_t) active; /* which checkpoint counts */
    _Atomic(uint64_t) head;   /* next free position */
    rl_checkpoint_t checkpoint[2];
    struct { /* rl_target_t of the process */
        char os[64], arch[64], triple[128], platform[64], abi[64];
    } target;
    /* Number of a line that is written without an event in the ring (a record of the host); noted before the line is written. */
    _Atomic(uint64_t) direct;
} rl_journal_header_t;

_Static_assert(sizeof(rl_journal_header_t) <= RL_JOURNAL_HEADER_BYTES, "the header has a page");
_Static_assert(sizeof(_Atomic(uint64_t)) == 8 && sizeof(_Atomic(uint32_t)) == 4, "atomics are written to files");

/* NULL: a usable header. Otherwise what is wrong, static text. A magic of 0 is not judged here: it means "new". */
const char* rl_journal_check(const rl_journal_header_t* header);
static inline size_t rl_journal_bytes(uint32_t slot_count) {
    return RL_JOURNAL_HEADER_BYTES + (size_t)slot_count * RL_SLOT_BYTES;
}
rl_checkpoint_t rl_journal_checkpoint(const rl_journal_header_t* header);
/* Make `checkpoint` the one that counts; a kill at any instruction leaves the old or the new one. */
void rl_journal_set_checkpoint(rl_journal_header_t* header, const rl_checkpoint_t* checkpoint);

/* What lies in a ring behind a position. */
typedef struct rl_ring_census {
    uint64_t events;  /* whole ones */
    uint64_t damaged; /* stamped ones that fail their check */
    uint64_t end;     /* behind the last stamped slot */
    uint64_t last;    /* position of the last whole event; valid when events > 0 */
} rl_ring_census_t;

/* Next whole event at or behind *position and before `end`; moves *position to it and fills flat. False: none. */
bool rl_ring_next(const unsigned char* slots, uint32_t capacity, uint64_t* position, uint64_t end, unsigned char* flat,
    uint32_t* out_slots, uint64_t* damaged);
/* `flat` has room for RL_EVENT_SLOTS_MOST payloads. */
rl_ring_census_t rl_ring_take_census(
    const unsigned char* slots, uint32_t capacity, uint64_t position, unsigned char* flat);

#endif
