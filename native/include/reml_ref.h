/*
 * reml_ref.h: counted handles of one shared cell (Ref, Cell), and who may write. (Runtime guide §1.6; contract reference §8.)
 *
 * A value handle of kind CELL becomes a counted one with reml_ref_open; reml_ref_clone makes another one of the same cell. All counted handles
 * of a cell share one state, however the host came by them. A counted handle ends as every handle does, with reml_value_release (from
 * another thread: queued); the cell's state ends with the last one. Scripts are not asked: they get and set as before.
 *
 * Borrows are the host's word to itself: many may read, or one may write. They are counted per cell; each is given back once, before its
 * handle is released.
 */
#ifndef REML_REF_H
#define REML_REF_H

#include "reml_value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reml_ref_state_t {
    uint32_t struct_size;
    uint32_t strong;    /* counted handles */
    uint32_t shared;    /* borrows that read */
    uint32_t exclusive; /* 1: a borrow that writes */
    uint32_t poisoned;  /* 1: one that wrote was given up half-way */
    uint32_t reserved;  /* 0 */
    uint64_t clones;    /* handles that reml_ref_clone made, released ones too */
} reml_ref_state_t;
#define REML_REF_STATE_INIT {sizeof(reml_ref_state_t), 0, 0, 0, 0, 0, 0}

/* Count this handle; a handle that is counted stays so, and is counted once. fails: INVALID_ARGUMENT for what is no cell, NO_MEMORY. */
REML_API reml_embed_status_t reml_ref_open(reml_embed_context_t* context, reml_value_t cell);
/* owned: *out_cell, a counted handle of the same cell. fails: INVALID_ARGUMENT (also: not counted), NO_MEMORY. */
REML_API reml_embed_status_t reml_ref_clone(reml_embed_context_t* context, reml_value_t cell, reml_value_t* out_cell);
/*
 * Borrow to read, or (exclusive) to write. fails: BUSY while that conflicts with another borrow; ERROR when the cell is poisoned;
 * INVALID_ARGUMENT for what is no counted cell. Nothing is borrowed then.
 */
REML_API reml_embed_status_t reml_ref_borrow(reml_embed_context_t* context, reml_value_t cell, int exclusive);
/* Give one back; `poison`: what was written is not whole. fails: INVALID_ARGUMENT when there is no such borrow. */
REML_API reml_embed_status_t reml_ref_return(
    reml_embed_context_t* context, reml_value_t cell, int exclusive, int poison);
/* How the cell stands; releases of other threads that wait count. fails: INVALID_ARGUMENT for what is no counted cell. */
REML_API reml_embed_status_t reml_ref_state(
    reml_embed_context_t* context, reml_value_t cell, reml_ref_state_t* out_state);

#ifdef __cplusplus
}
#endif

#endif
