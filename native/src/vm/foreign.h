/*
 * foreign: host pointers that have entered Reml, as the machine sees them (CONTRACTS 2; reml_ffi_bridge.h).
 *
 * An RL_OBJ_HOST with the tag RL_HOST_FOREIGN holds a record of the host's instead of data. The record outlives the object when its
 * release handler has still to run: that happens outside the collector (host/foreign.c).
 */
#ifndef RL_FOREIGN_H
#define RL_FOREIGN_H

#include "vm/value.h"

/* Tag of an RL_OBJ_HOST. Plain: word 0 data, word 1 destroy function, word 2 its user pointer, word 3 NULL or the rl_host_share_t of
   copies in several heaps (vm/clone.h). Foreign: word 0 rl_foreign_t*. */
enum { RL_HOST_PLAIN = 0, RL_HOST_FOREIGN = 1, RL_HOST_WORDS = 4 };
typedef struct rl_host_share {
    uint32_t objects; /* that hold the same data: the last one destroys it */
} rl_host_share_t;

enum {
    RL_FOREIGN_TRANSFERRED = 1, /* the script owns it: `release` runs once */
    RL_FOREIGN_OVER = 2,        /* ended by its owner, taken back or released */
    RL_FOREIGN_ONE_RUN = 4,     /* valid during the run `epoch` only */
    RL_FOREIGN_DROPPED = 8      /* no object holds it any more */
};

typedef struct rl_foreign {
    void* data; /* never followed once it is over */
    size_t length;
    void (*release)(void* data, size_t length, void* user);
    void* user;
    uint64_t epoch;
    uint32_t flags;
    uint32_t copies;                 /* objects that hold it besides the first: in other heaps */
    struct rl_foreign *next, **link; /* TRANSFERRED: in the context's list of living or of dropped ones */
} rl_foreign_t;

/* The record of a host object; NULL: a plain one. */
static inline rl_foreign_t* rl_foreign_of(rl_object_t* object) {
    return object->tag == RL_HOST_FOREIGN ? rl_object_words(object)->p : NULL;
}
/* `epoch`: of the machine, which counts runs. */
static inline bool rl_foreign_is_over(const rl_foreign_t* foreign, uint64_t epoch) {
    return (foreign->flags & RL_FOREIGN_OVER) || ((foreign->flags & RL_FOREIGN_ONE_RUN) && foreign->epoch < epoch);
}
/* In words, for refusals. */
static inline const char* rl_foreign_reason(const rl_foreign_t* foreign) {
    if (!(foreign->flags & RL_FOREIGN_OVER)) return "the run that it was lent for is over";
    return foreign->flags & RL_FOREIGN_TRANSFERRED ? "it was released or taken back before"
                                                   : "its owner has ended the loan";
}

#endif
