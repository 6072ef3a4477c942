/*
 * Programs that contexts share (reml_program.h). A program is a copy of the tables that loading its sources made, on the core library's,
 * written by nobody afterwards; a context that would make the same tables borrows them (types/lend.c).
 *
 * What makes a load come out as it does is either equal in both contexts (terms_t), or was asked of the context while it checked
 * (rl_recording_t), or is looked at again in each context: grants, handlers of the host, limits.
 */
#include "host/program.h"

#include <stdlib.h>

typedef struct terms {
    uint32_t options, minimum_stage;
    uint64_t nesting, identifier_bytes;
    bool feature, demanded, acknowledged;
    rl_target_config_t target;
} terms_t;

typedef struct source {
    rl_str_t text, file, module;
    uint32_t flags;
    rl_module_id_t id;
    rl_guarded_uses_t reached; /* host functions and operations, whether somebody guards them or not */
    rl_diags_t* diagnostics;   /* warnings and hints; NULL: none */
} source_t;

struct rl_image {
    rl_allocator_t allocator;
    _Atomic uint32_t references; /* its row in the table, contexts, images that stand on it */
    _Atomic uint32_t contexts;
    uint32_t owners;  /* only under rl_process_lock() */
    rl_image_t* base; /* whose names it goes on from; NULL: the core library's */
    rl_program_t program;
    rl_arena_t arena;
    terms_t terms;
    rl_recording_t recording;
    rl_str_t history; /* of the context that compiled it, up to the end of it */
    RL_VEC(source_t) sources;
};

/* --- ids ---------------------------------------------------------------------------------------------------------------------- */

/* generation << 24 | row << 4 | 10: never NULL, never aligned like an address, none of a context. Only under rl_process_lock(). */
enum { TAG = 10, MOST_ROWS = 1 << 20 };
typedef struct row {
    rl_image_t* image;
    uint32_t generation; /* even: free */
} row_t;
static struct {
    row_t* data;
    uint32_t count, capacity;
} rows;
#define GENERATION_MASK ((uint32_t)(UINTPTR_MAX >> 24))

static reml_program_t* id_of(uint32_t index) {
    uint64_t generation = rows.data[index].generation & GENERATION_MASK;
    return (reml_program_t*)(uintptr_t)(generation << 24 | (uint64_t)index << 4 | TAG);
}

static bool take_row(rl_image_t* image, reml_program_t** out_id) {
    uint32_t index = 0;
    while (index < rows.count && rows.data[index].image) index++;
    if (index == rows.count) {
        if (index == MOST_ROWS) return false;
        if (rows.count == rows.capacity) {
            uint32_t capacity = rows.capacity ? rows.capacity * 2 : 16;
            row_t* grown = realloc(rows.data, capacity * sizeof *grown);
            if (!grown) return false;
            rows.data = grown;
            rows.capacity = capacity;
        }
        rows.data[rows.count++] = (row_t){NULL, 0};
    }
    rows.data[index].image = image;
    rows.data[index].generation++;
    image->owners = 1;
    *out_id = id_of(index);
    return true;
}

/* Locked. NULL, and why. */
static rl_image_t* look_up(const reml_program_t* id, uint32_t* out_index, reml_embed_status_t* out_status) {
    uint64_t bits = (uint64_t)(uintptr_t)id;
    uint32_t index = (uint32_t)(bits >> 4) & (MOST_ROWS - 1), generation = (uint32_t)(bits >> 24);
    *out_status = id ? REML_EMBED_STATUS_INVALID_HANDLE : REML_EMBED_STATUS_INVALID_ARGUMENT;
    if ((bits & 15) != TAG || index >= rows.count || !(generation & 1)) return NULL;
    uint32_t living = rows.data[index].generation & GENERATION_MASK;
    if (generation < living || (generation == living && !rows.data[index].image)) *out_status = REML_EMBED_STATUS_STALE;
    if (generation != living || !rows.data[index].image) return NULL;
    *out_status = REML_EMBED_STATUS_OK;
    *out_index = index;
    return rows.data[index].image;
}

/* --- the life of an image ------------------------------------------------------------------------------------------------------- */

static void release(rl_image_t* image) {
    while (image && atomic_fetch_sub_explicit(&image->references, 1, memory_order_acq_rel) == 1) {
        rl_image_t* base = image->base;
        for (uint32_t i = 0; i < image->sources.count; i++) {
            source_t* source = &image->sources.data[i];
            rl_vec_deinit(&image->allocator, &source->reached);
            if (!source->diagnostics) continue;
            rl_diags_deinit(source->diagnostics);
            rl_free(&image->allocator, source->diagnostics, sizeof *source->diagnostics);
        }
        rl_vec_deinit(&image->allocator, &image->sources);
        rl_vec_deinit(&image->allocator, &image->recording.asked);
        rl_arena_deinit(&image->recording.arena);
        rl_program_deinit(&image->program);
        rl_arena_deinit(&image->arena);
        rl_allocator_t allocator = image->allocator;
        rl_free(&allocator, image, sizeof *image);
        image = base;
    }
}

void rl_image_leave(rl_context_t* context) {
    rl_image_t* image = context->image;
    if (!image) return;
    context->image = NULL;
    atomic_fetch_sub(&image->contexts, 1);
    release(image);
}

static terms_t terms_of(rl_context_t* context) {
    const rl_stage_policy_t stages = rl_context_stages(context);
    const uint32_t options = REML_EMBED_OPTION_STRICT_TOP_LEVEL | REML_EMBED_OPTION_DENY_NON_EXHAUSTIVE |
                             REML_EMBED_OPTION_WARNINGS_AS_ERRORS | REML_EMBED_OPTION_EXPLICIT_EXPERIMENTAL;
    return (terms_t){.options = context->options & options,
        .minimum_stage = context->minimum_stage,
        .nesting = context->limits.nesting,
        .identifier_bytes = context->limits.identifier_bytes,
        .feature = stages.feature,
        .demanded = stages.demanded,
        .acknowledged = stages.acknowledged,
        .target = context->target};
}

#define TARGET_TEXTS(TEXT)                                                                                             \
    TEXT(os)                                                                                                           \
    TEXT(family)                                                                                                       \
    TEXT(arch)                                                                                                         \
    TEXT(abi)                                                                                                          \
    TEXT(env)                                                                                                          \
    TEXT(vendor)                                                                                                       \
    TEXT(profile_id)                                                                                                   \
    TEXT(runtime_revision)                                                                                             \
    TEXT(stdlib_version)                                                                                               \
    TEXT(features)                                                                                                     \
    TEXT(capabilities)                                                                                                 \
    TEXT(known_capabilities)                                                                                           \
    TEXT(runners)                                                                                                      \
    TEXT(known_runners)                                                                                                \
    TEXT(extra)
#define COUNT_TEXT(name) +1
_Static_assert(sizeof(rl_target_config_t) == (0 TARGET_TEXTS(COUNT_TEXT)) * sizeof(rl_str_t), "one row for each text");

static bool same_text(rl_str_t a, rl_str_t b) {
    return a.length == b.length && !a.data == !b.data && (a.length == 0 || rl_str_equal(a, b));
}

static bool same_terms(const terms_t* a, const terms_t* b) {
    bool same = a->options == b->options && a->minimum_stage == b->minimum_stage && a->nesting == b->nesting &&
                a->identifier_bytes == b->identifier_bytes && a->feature == b->feature && a->demanded == b->demanded &&
                a->acknowledged == b->acknowledged;
#define SAME(name) same = same && same_text(a->target.name, b->target.name);
    TARGET_TEXTS(SAME)
#undef SAME
    return same;
}

/* --- what was done to a program ----------------------------------------------------------------------------------------------- */

/*
 * The tables of a program follow from what was done to it: host functions declared, each in its turn, and modules loaded. So a context
 * would come to the tables of another one if its history is how the other's begins. A load is a number of its own: it is like no other,
 * but what borrows a program takes its history over. Whatever else makes tables grow shows in their extent.
 */
static void add_history(rl_context_t* context, const uint64_t entry[3], rl_str_t name, rl_str_t signature) {
    bool failed = context->allocator.failed;
    rl_buf_add(&context->history, (rl_str_t){(const char*)entry, 3 * sizeof *entry});
    rl_buf_add(&context->history, name);
    rl_buf_add(&context->history, signature);
    context->history_extent = rl_program_extent(&context->program);
    context->allocator.failed = failed; /* a history that is lost is no failure: nothing is shared */
}

void rl_history_declared(rl_context_t* context, uint64_t extent, rl_str_t name, rl_str_t signature) {
    add_history(context, (uint64_t[]){extent, name.length, signature.length}, name, signature);
}

static void add_load(rl_context_t* context) {
    static _Atomic uint64_t loads;
    const uint64_t entry[3] = {atomic_fetch_add(&loads, 1), UINT64_MAX, UINT64_MAX};
    add_history(context, entry, (rl_str_t){NULL, 0}, (rl_str_t){NULL, 0});
}

void rl_history_loaded(rl_context_t* context) {
    if (context->recording) {
        add_load(context);
    } else { /* like no other from here on */
        rl_buf_deinit(&context->history);
        context->history.failed = true;
    }
}

static bool history_begins(const rl_context_t* context, const rl_image_t* image) {
    rl_str_t own = rl_buf_str(&context->history);
    return !context->history.failed && own.length <= image->history.length &&
           (!own.length || memcmp(own.data, image->history.data, own.length) == 0) &&
           context->history_extent == rl_program_extent(&context->program);
}

/* --- compiling ------------------------------------------------------------------------------------------------------------------ */

void rl_recording_note(rl_recording_t* recording, rl_str_t capability, bool granted) {
    rl_str_t copy = rl_arena_copy(&recording->arena, capability);
    recording->asked.count += rl_vec_reserve(recording->arena.allocator, &recording->asked, 1);
    if (recording->arena.allocator->failed) return; /* the program will not be made */
    rl_vec_last(&recording->asked).capability = copy;
    rl_vec_last(&recording->asked).granted = granted;
}

/* What one load leaves for those to come. False: memory. */
static bool keep_source(rl_image_t* image, rl_context_t* context, const reml_embed_source_t* given) {
    rl_allocator_t* allocator = &image->allocator;
    const rl_program_t* program = &context->program;
    source_t source = {.text = rl_arena_copy(&image->arena, (rl_str_t){given->text, given->text_length}),
        .flags = given->flags,
        .id = program->first_module + program->modules.count - 1};
    if (given->file_name)
        source.file = rl_arena_copy(&image->arena, (rl_str_t){given->file_name, given->file_name_length});
    source.module = rl_arena_copy(&image->arena, context->diagnostics.module);
    for (uint32_t i = 0; i < image->recording.reached.count; i++)
        (void)rl_vec_push(allocator, &source.reached, image->recording.reached.data[i]);
    if (context->diagnostics.items.count && !allocator->failed) {
        source.diagnostics = rl_alloc_zero(allocator, sizeof *source.diagnostics);
        if (source.diagnostics) {
            rl_diags_init(source.diagnostics, allocator, &image->arena);
            (void)rl_diags_copy(source.diagnostics, &context->diagnostics);
        }
    }
    if (rl_vec_push(allocator, &image->sources, source)) return !allocator->failed;
    rl_vec_deinit(allocator, &source.reached);
    return false;
}

static rl_image_t* new_image(rl_context_t* context) {
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_image_t* image = rl_alloc_zero(&allocator, sizeof *image);
    if (!image) return NULL;
    image->allocator = allocator;
    atomic_init(&image->references, 1);
    rl_arena_init(&image->arena, &image->allocator);
    rl_arena_init(&image->recording.arena, &image->allocator);
    rl_program_init(&image->program, context->program.below, &image->allocator);
    image->base = context->image;
    if (image->base) atomic_fetch_add(&image->base->references, 1);
    image->terms = terms_of(context);
#define KEEP(name)                                                                                                     \
    if (image->terms.target.name.data)                                                                                 \
        image->terms.target.name = rl_arena_copy(&image->arena, image->terms.target.name);
    TARGET_TEXTS(KEEP)
#undef KEEP
    if (!image->allocator.failed) return image;
    release(image);
    return NULL;
}

/* Load them all, or none. */
static reml_embed_status_t load_all(
    rl_context_t* context, const reml_embed_source_t* sources, size_t count, rl_image_t* image, uint64_t* out_bytes) {
    rl_program_mark_t mark = rl_program_mark(&context->program);
    bool loaded = context->loaded;
    uint32_t stride = sources->struct_size;
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    for (size_t i = 0; i < count && status == REML_EMBED_STATUS_OK; i++) {
        const reml_embed_source_t* given = (const void*)((const char*)sources + i * stride);
        reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
        uint64_t bytes = 0;
        if (given->struct_size != stride) {
            status = rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
                "invalid argument: sources");
        } else {
            if (image) {
                image->recording.reached.count = 0;
                context->recording = &image->recording;
            }
            status = rl_load_checked(context, given, REML_EMBED_SOURCE_AMBIENT, &source, &bytes);
            context->recording = NULL;
            *out_bytes += bytes;
        }
        if (status == REML_EMBED_STATUS_OK && image && !keep_source(image, context, &source))
            status = rl_context_no_memory(context);
    }
    if (status == REML_EMBED_STATUS_OK) return status;
    rl_program_restore(&context->program, mark);
    rl_pipeline_trim(context);
    context->loaded = loaded;
    return status;
}

static reml_embed_status_t compile(rl_context_t* context, const reml_embed_source_t* sources, size_t count,
    reml_program_t** out_program, uint64_t* out_bytes) {
    if (!out_program || !sources || !count || sources->struct_size < 2 * sizeof(uint32_t))
        return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "invalid argument: %s", out_program ? "sources" : "out_program");
    reml_embed_status_t status = rl_load_allowed(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_image_t* image = new_image(context);
    if (!image) return rl_context_no_memory(context);
    if (context->history.failed) {
        rl_buf_clear(&context->history);
        add_load(context);
    }
    status = load_all(context, sources, count, image, out_bytes);
    rl_vec_deinit(&context->allocator, &image->recording.reached);
    if (status == REML_EMBED_STATUS_OK) {
        bool kept = !context->history.failed && rl_program_copy(&image->program, &context->program, &image->allocator);
        image->history = rl_arena_copy(&image->arena, rl_buf_str(&context->history));
        kept = kept && !image->allocator.failed;
        rl_process_lock();
        kept = kept && take_row(image, out_program);
        rl_process_unlock();
        if (!kept) status = rl_context_no_memory(context);
    }
    if (status != REML_EMBED_STATUS_OK) release(image);
    return status;
}

reml_embed_status_t reml_program_compile(
    reml_embed_context_t* id, const reml_embed_source_t* sources, size_t count, reml_program_t** out_program) {
    rl_context_t* context = NULL;
    uint64_t bytes = 0;
    if (out_program) *out_program = NULL;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_OK) {
        rl_take_remote_releases(context);
        rl_context_clear_error(context);
        status = compile(context, sources, count, out_program, &bytes);
    }
    rl_lifecycle_record(context, RL_AUDIT_LOAD_MODULE, status, NULL, (rl_str_t){NULL, 0}, bytes);
    return status;
}

/* --- loading -------------------------------------------------------------------------------------------------------------------- */

/* Would this context come to the same tables? */
static bool fits(rl_context_t* context, const rl_image_t* image) {
    const terms_t terms = terms_of(context);
    bool same = !image->recording.stages && !context->logs_cfg && same_terms(&image->terms, &terms);
    for (uint32_t i = 0; i < image->sources.count && same; i++)
        same = image->sources.data[i].text.length <= context->limits.source_bytes;
    for (uint32_t i = 0; i < image->recording.asked.count && same; i++)
        same = rl_grants_attribute(context, image->recording.asked.data[i].capability) ==
               image->recording.asked.data[i].granted;
    return same && history_begins(context, image) && rl_program_names_begin(&context->program, &image->program);
}

/* What every context looks at for itself, source by source; the program is borrowed. */
static reml_embed_status_t judge(rl_context_t* context, const rl_image_t* image, uint32_t* out_source) {
    rl_allocator_t* allocator = &context->allocator;
    for (uint32_t i = 0; i < image->sources.count; i++) {
        const source_t* source = &image->sources.data[i];
        *out_source = i;
        rl_pipeline_begin_diagnostics(context, source->text, source->file);
        context->diagnostics.module = source->module;
        rl_buf_deinit(&context->constraints);
        rl_buf_clear(&context->cfg_log);
        bool fine = !source->diagnostics || rl_diags_copy(&context->diagnostics, source->diagnostics);
        rl_guarded_uses_t uses = {0};
        for (uint32_t k = 0; k < source->reached.count && fine; k++) {
            if (rl_grants_guarded(context, source->reached.data[k].function))
                fine = rl_vec_push(allocator, &uses, source->reached.data[k]);
        }
        if (fine) rl_grants_check_uses(context, &uses);
        rl_vec_deinit(allocator, &uses);
        if (fine && context->effects.handlers.count) (void)rl_host_handlers_fit(context, source->id);
        rl_diags_sort(&context->diagnostics);
        if (allocator->failed) return rl_context_no_memory(context);
        if (context->diagnostics.errors) return rl_context_fail_from_diagnostics(context);
    }
    return REML_EMBED_STATUS_OK;
}

static reml_embed_status_t load_shared(rl_context_t* context, rl_image_t* image) {
    uint32_t last = 0;
    rl_program_t kept = context->program;
    rl_program_init(&context->program, kept.below, &context->allocator);
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    if (!rl_program_borrow(&context->program, &image->program)) status = rl_context_no_memory(context);
    if (status == REML_EMBED_STATUS_OK) status = judge(context, image, &last);
    if (status == REML_EMBED_STATUS_OK && !rl_pipeline_make_room(context)) status = rl_context_no_memory(context);
    if (status == REML_EMBED_STATUS_OK) {
        rl_arena_adopt(&context->program.arena, &kept.arena); /* descriptors of values may lie in it */
        rl_program_deinit(&kept);
        rl_image_leave(context);
        atomic_fetch_add(&image->references, 1);
        atomic_fetch_add(&image->contexts, 1);
        context->image = image;
        rl_buf_clear(&context->history);
        rl_buf_add(&context->history, image->history);
        context->history_extent = rl_program_extent(&context->program);
        rl_pipeline_loaded(context);
    } else {
        rl_program_deinit(&context->program);
        context->program = kept;
        rl_pipeline_trim(context);
        /* Their texts may go before the context does. */
        context->diagnostics.source = rl_arena_copy(&context->diag_arena, image->sources.data[last].text);
        context->diagnostics.file = rl_arena_copy(&context->diag_arena, image->sources.data[last].file);
        context->diagnostics.module = rl_arena_copy(&context->diag_arena, image->sources.data[last].module);
        rl_alloc_clear_failure(&context->allocator);
    }
    return status;
}

static reml_embed_status_t load_anew(rl_context_t* context, const rl_image_t* image) {
    uint32_t count = image->sources.count;
    reml_embed_source_t* sources = rl_alloc(&context->allocator, count * sizeof *sources);
    if (!sources) return rl_context_no_memory(context);
    for (uint32_t i = 0; i < count; i++) {
        const source_t* source = &image->sources.data[i];
        sources[i] = (reml_embed_source_t){sizeof *sources, source->flags, source->text.data, source->text.length,
            source->file.data, source->file.length};
    }
    uint64_t bytes = 0;
    reml_embed_status_t status = load_all(context, sources, count, NULL, &bytes);
    rl_free(&context->allocator, sources, count * sizeof *sources);
    return status;
}

static reml_embed_status_t load(rl_context_t* context, reml_program_t* program, uint64_t* out_bytes) {
    reml_embed_status_t status = rl_load_allowed(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    uint32_t index;
    rl_process_lock();
    rl_image_t* image = look_up(program, &index, &status);
    if (image) atomic_fetch_add(&image->references, 1); /* until it is loaded */
    rl_process_unlock();
    if (!image)
        return rl_context_fail(context, status, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "%s",
            status == REML_EMBED_STATUS_STALE ? "the program has been released" : "no such program");
    for (uint32_t i = 0; i < image->sources.count; i++) *out_bytes += image->sources.data[i].text.length;
    status = fits(context, image) ? load_shared(context, image) : load_anew(context, image);
    release(image);
    return status;
}

reml_embed_status_t reml_program_load(reml_embed_context_t* id, reml_program_t* program) {
    rl_context_t* context = NULL;
    uint64_t bytes = 0;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_OK) {
        rl_take_remote_releases(context);
        rl_context_clear_error(context);
        rl_alloc_clear_failure(&context->allocator);
        status = load(context, program, &bytes);
    }
    rl_lifecycle_record(context, RL_AUDIT_LOAD_MODULE, status, NULL, (rl_str_t){NULL, 0}, bytes);
    return status;
}

/* --- owners --------------------------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_program_retain(reml_program_t* program) {
    uint32_t index;
    reml_embed_status_t status;
    rl_process_lock();
    rl_image_t* image = look_up(program, &index, &status);
    if (image && image->owners < UINT32_MAX) image->owners++;
    rl_process_unlock();
    return status;
}

reml_embed_status_t reml_program_release(reml_program_t* program) {
    uint32_t index;
    reml_embed_status_t status;
    rl_process_lock();
    rl_image_t* image = look_up(program, &index, &status);
    bool last = image && image->owners != UINT32_MAX && --image->owners == 0; /* saturated: it stays */
    if (last) {
        rows.data[index].image = NULL;
        rows.data[index].generation++;
    }
    rl_process_unlock();
    if (last) release(image);
    return status;
}

reml_embed_status_t reml_program_info(reml_program_t* program, reml_program_info_t* out) {
    if (!out || out->struct_size < 2 * sizeof(uint32_t)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    uint32_t index;
    reml_embed_status_t status;
    reml_program_info_t info = {.struct_size = out->struct_size};
    rl_process_lock();
    const rl_image_t* image = look_up(program, &index, &status);
    if (image) {
        info.sources = image->sources.count;
        info.bytes = image->allocator.live_bytes;
        info.contexts = atomic_load(&image->contexts);
        info.owners = image->owners;
    }
    rl_process_unlock();
    memcpy(out, &info, out->struct_size < sizeof info ? out->struct_size : sizeof info);
    return status;
}
