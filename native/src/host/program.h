/* One checked program for many contexts: what reml_program.h stands on. */
#ifndef RL_HOST_PROGRAM_H
#define RL_HOST_PROGRAM_H

#include "host/context.h"
#include "reml_program.h"

typedef struct rl_image rl_image_t;

/* What a check asked of its context while a program is compiled: another context must give the same answers to share it. */
typedef struct rl_recording {
    RL_VEC(struct {
        rl_str_t capability; /* in `arena` */
        bool granted;
    })
    asked;
    bool stages; /* … and questions that are not kept: it is never shared */
    rl_arena_t arena;
    rl_guarded_uses_t reached; /* of the source that is being loaded; memory of the context */
} rl_recording_t;

/* pipeline.c: room for what the program's modules need at run time. */
bool rl_pipeline_make_room(rl_context_t* context);
void rl_pipeline_trim(rl_context_t* context); /* after modules have been taken back */
void rl_pipeline_loaded(rl_context_t* context);
void rl_pipeline_begin_diagnostics(rl_context_t* context, rl_str_t text, rl_str_t file);

/* program.c */
/* A host function has been declared; `extent` was that of the program before. The second: a module has been loaded. */
void rl_history_declared(rl_context_t* context, uint64_t extent, rl_str_t name, rl_str_t signature);
void rl_history_loaded(rl_context_t* context);
void rl_recording_note(rl_recording_t* recording, rl_str_t capability, bool granted);
void rl_image_leave(rl_context_t* context); /* the context goes, after its program */

/* embed.c */
/* Load one source; what was read of `given` goes to *out_source. */
reml_embed_status_t rl_load_checked(rl_context_t* context, const reml_embed_source_t* given, uint32_t known_flags,
    reml_embed_source_t* out_source, uint64_t* out_bytes);
reml_embed_status_t rl_load_allowed(rl_context_t* context); /* now, by what the context is doing and by its log */

#endif
