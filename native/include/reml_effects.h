/*
 * reml_effects.h: what a host says about effects and their handlers. (Language reference §6; contract reference §19.)
 *
 * What `perform`, `handle` and `resume` do is the machine's business and does not depend on the host. Here are: opting in to
 * what is experimental, handlers that the host puts around every run, and watching handlers at work.
 *
 * Threads and texts as in reml_embed.h; lists are names with commas between them.
 */
#ifndef REML_EFFECTS_H
#define REML_EFFECTS_H

#include "reml_embed.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- opting in ---------------------------------------------------------------------------------------------------- */

/*
 * A handler of an effect whose capability is experimental (ForeignCall: `foreign-call`), and code that requires an experimental
 * capability, give the hint effects.stage.missing_opt_in at load, and a record, unless somebody has opted in: to the feature,
 * or to the id (here, or among the capabilities that were granted by name when the context was made).
 */
typedef struct reml_effects_options_t {
    uint32_t struct_size;
    uint32_t flags;           /* REML_EFFECTS_… */
    const char* features;     /* list: "algebraic-effects"; NULL: none */
    const char* capabilities; /* list of ids; NULL: none */
} reml_effects_options_t;
enum {
    REML_EFFECTS_DEMAND_OPT_IN = 1, /* experimental use without opt-in is an error */
    REML_EFFECTS_ACKNOWLEDGE = 2    /* errors about what is experimental are warnings */
};
#define REML_EFFECTS_OPTIONS_INIT {sizeof(reml_effects_options_t), 0, NULL, NULL}

/* For modules loaded from now on; NULL: nothing is opted in to or demanded. fails: INVALID_ARGUMENT; BUSY while running. */
REML_API reml_embed_status_t reml_embed_set_effects(
    reml_embed_context_t* context, const reml_effects_options_t* options_or_null);

/* --- handlers of the host --------------------------------------------------------------------------------------------- */

/* An operation and who answers it: a host function bound with reml_host_define, signature NULL. Its answer resumes the script. */
typedef struct reml_host_operation_t {
    const char* name;     /* "log" */
    const char* function; /* the name it is bound by */
} reml_host_operation_t;

/* Handlers that a host may have installed at a time. */
#define REML_HOST_HANDLERS_MAX 32

/*
 * Install a handler around every run: it answers what reaches the root unhandled, before the runtime's own root handlers do. Of
 * several for one effect the latest answers. The effect ("Console", "Billing.Ledger") may be declared by a module that is loaded later.
 *
 * owned:  *out_handler names it, until reml_host_unhandle.
 * fails:  ERROR: effects.handler.depth_exceeded (the 33rd), effects.handler.unhandled_operation (the effect has more operations),
 *         effects.operation.unknown (it has no such operation, or no such function is bound); INVALID_ARGUMENT; NO_MEMORY. A module
 *         whose effect of that name has other operations does not load.
 */
REML_API reml_embed_status_t reml_host_handle(reml_embed_context_t* context, const char* effect,
    const reml_host_operation_t* operations, size_t count, uint32_t* out_handler);
/* Take it away. fails: STALE: it is gone already. */
REML_API reml_embed_status_t reml_host_unhandle(reml_embed_context_t* context, uint32_t handler);

/* --- watching ------------------------------------------------------------------------------------------------------------ */

/*
 * One event, a JSON object (`length` bytes, borrowed for the call); the answer does not matter. `event` is:
 *   "handle"   a handler is applied: `effects` {stage, before, handled, residual, handler}, `message`
 *              ("effects.contract.mismatch resolved" or "… open": something is left that the function around does not promise),
 *              effect, handler, function, module, line, and where a capability is known: capability, required_stage, actual_stage
 *   "perform"  an operation is performed: effect, operation, handled_by ("handler", "host", "root", "none")
 *   "resume"   the computation goes on
 */
typedef int32_t (*reml_effect_observer_t)(const char* event, size_t length, void* user);
/* Be told of each; NULL ends it. The observer must not use the context. */
REML_API reml_embed_status_t reml_embed_observe_effects(
    reml_embed_context_t* context, reml_effect_observer_t observer_or_null, void* user);
/*
 * What is known of every place where a loaded module applies a handler: a JSON list of "handle" objects as above, in the order of
 * modules and source. transferred: reml_embed_free.
 */
REML_API reml_embed_status_t reml_embed_handlers(reml_embed_context_t* context, char** out_text, size_t* out_length);

#ifdef __cplusplus
}
#endif

#endif
