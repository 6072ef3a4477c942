/*
 * reml_program.h: compile once, run in many contexts.
 *
 *     reml_program_t* program = NULL;
 *     reml_program_compile(context, &source, 1, &program);   // loads it there, too
 *     …
 *     reml_create_context("0.1.0", &tenant);
 *     reml_program_load(tenant, program);                    // no parsing, no checking
 *     reml_run(tenant, "main");
 *     …
 *     reml_program_release(program);
 *
 * A program is what checking its sources made: read-only, so that contexts on any threads share it. Values, globals, handles, limits,
 * grants and records stay those of each context; what a run needs beyond the checked program (instances of functions, strings) is made
 * in the context that runs. The program's own memory counts against no context's heap_bytes: reml_program_info tells it.
 *
 * Lifetime.  Counted: the host's owners and each context that has loaded it. It is freed when the last of them goes.
 * Threads.   Every function of this file may be called from any thread; a context belongs to its own thread as always.
 * Forks.     A program that was there before a fork is there in the child as well.
 * Misuse.    A program is an id: released and invented ones are refused.
 */
#ifndef REML_PROGRAM_H
#define REML_PROGRAM_H

#include "reml_embed.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opaque; encodes an id. Never dereferenced. */
typedef struct reml_program_t reml_program_t;

/*
 * Load `count` sources into the context, one after the other, and keep what was made for other contexts. Later sources see earlier ones,
 * and what the context had loaded before and the host functions defined there are part of the program.
 *
 * owned:  *out_program, until reml_program_release.
 * fails:  as reml_embed_load does; none of the sources is loaded then. INVALID_ARGUMENT for no sources and for flags other than
 *         REML_EMBED_SOURCE_AMBIENT.
 */
REML_API reml_embed_status_t reml_program_compile(
    reml_embed_context_t* context, const reml_embed_source_t* sources, size_t count, reml_program_t** out_program);

/*
 * As if the sources of the program were loaded here, one after the other: the same diagnostics, the same checks of limits and grants with
 * their records, and one record of the load itself. What was checked is shared when this context would come to the same: its target, options,
 * stage and opt-ins are those of the context that compiled, nothing but what that one began with is loaded or defined here (host
 * functions in the same order), and the checker has asked the registry nothing that is answered differently. Otherwise the sources are
 * checked anew, which takes longer and is all that differs.
 *
 * A context that loads or defines more afterwards makes the tables its own first.
 *
 * fails:  as reml_embed_load does; nothing has changed then.
 */
REML_API reml_embed_status_t reml_program_load(reml_embed_context_t* context, reml_program_t* program);

/* One more owner; one owner less. STALE: released by its last owner before; INVALID_HANDLE: never was one. */
REML_API reml_embed_status_t reml_program_retain(reml_program_t* program);
REML_API reml_embed_status_t reml_program_release(reml_program_t* program);

typedef struct reml_program_info_t {
    uint32_t struct_size;
    uint32_t flags;    /* 0 */
    uint64_t sources;  /* that it was compiled from */
    uint64_t bytes;    /* of memory that is shared */
    uint64_t contexts; /* that share it now */
    uint64_t owners;   /* of the host's */
} reml_program_info_t;
#define REML_PROGRAM_INFO_INIT {sizeof(reml_program_info_t), 0, 0, 0, 0, 0}

/* A shorter struct gets what it has room for. */
REML_API reml_embed_status_t reml_program_info(reml_program_t* program, reml_program_info_t* out);

#ifdef __cplusplus
}
#endif

#endif
