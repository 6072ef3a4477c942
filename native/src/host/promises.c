/* Futures that the host completes, in its own time, also from other threads; the clock that timers go by. */
#include "host/context.h"
#include "vm/async.h"

#include <pthread.h>
#include <stdlib.h>

/* --- rows --------------------------------------------------------------------------------------------------------------- */

static reml_embed_status_t find(rl_context_t* context, reml_promise_t promise, rl_promise_t** out) {
    uint32_t row = (uint32_t)promise.id, generation = (uint32_t)(promise.id >> 32);
    if (promise.context != context->serial)
        return promise.context ? REML_EMBED_STATUS_WRONG_CONTEXT : REML_EMBED_STATUS_INVALID_HANDLE;
    if (row == 0 || row >= context->promises.count) return REML_EMBED_STATUS_INVALID_HANDLE;
    rl_promise_t* found = &context->promises.data[row];
    if (!found->future || found->generation != generation) {
        return generation && generation <= found->generation ? REML_EMBED_STATUS_STALE
                                                             : REML_EMBED_STATUS_INVALID_HANDLE;
    }
    *out = found;
    return REML_EMBED_STATUS_OK;
}

static uint32_t take_row(rl_context_t* context) {
    rl_allocator_t* allocator = &context->allocator;
    uint32_t row = context->free_promise;
    if (row) {
        context->free_promise = context->promises.data[row].next_free;
        return row;
    }
    if (context->promises.count == 0 && !rl_vec_push(allocator, &context->promises, (rl_promise_t){0})) return 0;
    row = context->promises.count;
    return rl_vec_push(allocator, &context->promises, (rl_promise_t){.generation = 1}) ? row : 0;
}

static void free_row(rl_context_t* context, uint32_t row) {
    rl_promise_t* promise = &context->promises.data[row];
    if (promise->future) context->vm.host_futures--;
    promise->future = NULL;
    if (++promise->generation == 0) return; /* this row has told all its generations apart: never again */
    promise->next_free = context->free_promise;
    context->free_promise = row;
}

void rl_promises_deinit(rl_context_t* context) { rl_vec_deinit(&context->allocator, &context->promises); }

bool rl_promises_pending(const rl_context_t* context) {
    for (uint32_t i = 1; i < context->promises.count; i++) {
        if (context->promises.data[i].future) return true;
    }
    return false;
}

void rl_promises_forget(rl_context_t* context) {
    for (uint32_t i = 1; i < context->promises.count; i++) {
        if (context->promises.data[i].future) free_row(context, i);
    }
}

void rl_async_mark_roots(rl_heap_t* heap, rl_context_t* context) {
    for (uint32_t i = 1; i < context->promises.count; i++) rl_heap_mark(heap, context->promises.data[i].future);
    for (uint32_t i = 1; i < context->jobs.count; i++) {
        const rl_job_t* job = context->jobs.data[i];
        if (job->used && job->type && job->type->rep == RL_REP_R) rl_heap_mark(heap, job->result.o);
    }
}

static const rl_rtype_t* applied(rl_context_t* context, rl_typedef_id_t id, rl_type_t argument) {
    rl_type_t type = rl_type_named(&context->program.types, id, &argument, 1);
    return type == RL_TYPE_ERROR ? NULL : rl_rtype_of(&context->compiler, type);
}

/* Result<T, AsyncError>, as the core library's Task.join says it. */
const rl_rtype_t* rl_task_result(rl_context_t* context, rl_type_t value) {
    rl_program_t* program = &context->program;
    rl_fn_id_t join =
        rl_program_find_method(program, program->known.task, rl_sym_find(&program->symbols, RL_STR("join")));
    if (!join) return NULL;
    rl_type_t future = rl_type_substitute(&program->types, rl_program_function(program, join)->result, &value, 1);
    const rl_rtype_t* type = rl_rtype_of(&context->compiler, future);
    return type && rl_type_is_future(type) ? type->args[0] : NULL;
}

/* The future itself, or a task that has it as outcome. No collection in between. */
static rl_object_t* make_object(rl_context_t* context, bool is_ref, bool is_task, rl_object_t** out_future) {
    rl_future_t* future = rl_future_make(&context->vm, is_ref);
    if (!future) return NULL;
    future->state = RL_FUTURE_PENDING;
    *out_future = &future->header;
    if (!is_task) return &future->header;
    rl_task_handle_t* task = rl_heap_new_sized(&context->vm.heap, RL_OBJ_TASK, 1, sizeof *task);
    if (!task) return NULL;
    task->outcome = &future->header;
    return &task->header;
}

static reml_embed_status_t promise(
    reml_embed_context_t* id, reml_type_t type, bool is_task, reml_promise_t* out_promise, reml_value_t* out_value) {
    if (out_promise) *out_promise = (reml_promise_t){0, 0};
    if (out_value) *out_value = (reml_value_t){0};
    if (!out_promise || !out_value) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER_AS(id, context, is_task ? "reml_promise_new_task" : "reml_promise_new");
    if (reml_type_kind(id, type) == REML_KIND_NONE) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (context->frozen) return REML_EMBED_STATUS_BUSY;
    const rl_rtype_t* value = is_task ? rl_task_result(context, type.id) : rl_rtype_of(&context->compiler, type.id);
    const rl_known_t* known = &context->program.known;
    const rl_rtype_t* whole = value ? applied(context, is_task ? known->task : known->future, type.id) : NULL;
    uint32_t row = whole ? take_row(context) : 0;
    if (!row) return rl_context_no_memory(context);
    rl_object_t* future = NULL;
    rl_object_t* object = make_object(context, value->rep == RL_REP_R, is_task, &future);
    if (!object && rl_heap_make_room(&context->vm.heap))
        object = make_object(context, value->rep == RL_REP_R, is_task, &future);
    if (!object) {
        free_row(context, row);
        return rl_context_no_memory(context);
    }
    context->promises.data[row].future = future;
    context->promises.data[row].type = value;
    context->vm.host_futures++;
    *out_value = rl_value_out(context, whole, (rl_word_t){.o = object}, false);
    if (out_value->kind == REML_KIND_NONE) {
        free_row(context, row);
        return rl_context_no_memory(context);
    }
    *out_promise = (reml_promise_t){context->serial, (uint64_t)context->promises.data[row].generation << 32 | row};
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_promise_new(
    reml_embed_context_t* id, reml_type_t type, reml_promise_t* out_promise, reml_value_t* out_future) {
    return promise(id, type, false, out_promise, out_future);
}

reml_embed_status_t reml_promise_new_task(
    reml_embed_context_t* id, reml_type_t type, reml_promise_t* out_promise, reml_value_t* out_task) {
    return promise(id, type, true, out_promise, out_task);
}

/* --- completing in the context's thread ----------------------------------------------------------------------------------- */

static reml_embed_status_t complete(rl_context_t* context, reml_promise_t promise, reml_value_t value) {
    rl_promise_t* found;
    reml_embed_status_t status = find(context, promise, &found);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (context->frozen) return REML_EMBED_STATUS_BUSY;
    rl_word_t word;
    unsigned attempt = 0;
    do {
        status = rl_value_in(context, found->type, value, "value of the promise", 0, &word);
    } while (rl_values_retry(context, status, attempt++));
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_future_settle(&context->vm, found->future, word);
    free_row(context, (uint32_t)promise.id);
    return REML_EMBED_STATUS_OK;
}

static reml_embed_status_t complete_text(rl_context_t* context, reml_promise_t promise, rl_str_t text) {
    reml_value_t value;
    reml_embed_status_t status = reml_value_string(context->id, text.data, text.length, &value);
    if (status == REML_EMBED_STATUS_OK) {
        status = complete(context, promise, value);
        reml_value_release(context->id, value);
    }
    return status;
}

static reml_embed_status_t fail(rl_context_t* context, reml_promise_t promise, rl_str_t message, uint64_t token) {
    rl_promise_t* found;
    reml_embed_status_t status = find(context, promise, &found);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (context->frozen) return REML_EMBED_STATUS_BUSY;
    if (message.length > 4096) message.length = 4096;
    message.length = rl_utf8_validate(message);
    rl_object_t* text = rl_string_new(&context->vm, message, RL_OBJ_STR);
    if (!text && rl_heap_make_room(&context->vm.heap)) text = rl_string_new(&context->vm, message, RL_OBJ_STR);
    if (!text) return rl_context_no_memory(context);
    rl_future_fail(&context->vm, found->future, RL_CODE_HOST_CALL_FAILED, text, token);
    free_row(context, (uint32_t)promise.id);
    return REML_EMBED_STATUS_OK;
}

/* --- from other threads ----------------------------------------------------------------------------------------------------- */

/*
 * Completions wait in one process-wide list, in order, because the context must not be touched by the wrong thread; its own
 * thread does them when nothing of a run can go on, and with every call about promises and jobs. Plain malloc: the context's
 * allocator is the owner's.
 */
typedef struct completion {
    struct completion* next;
    rl_slot_t* slot;
    reml_promise_t promise;
    reml_value_t value; /* NONE: `text` counts */
    uint64_t token;
    bool is_failure;
    size_t length;
    char text[];
} completion_t;

static pthread_mutex_t completions_lock = PTHREAD_MUTEX_INITIALIZER;
static completion_t *completions_first, *completions_last;

static reml_embed_status_t enqueue(const reml_embed_context_t* id, reml_promise_t promise, reml_value_t value,
    rl_str_t text, bool is_failure, uint64_t token) {
    uint64_t generation;
    completion_t* entry = malloc(sizeof *entry + text.length + 1);
    if (!entry) return REML_EMBED_STATUS_NO_MEMORY;
    *entry = (completion_t){.slot = rl_slot_find(id, &generation),
        .promise = promise,
        .value = value,
        .token = token,
        .is_failure = is_failure,
        .length = text.length};
    if (text.length) memcpy(entry->text, text.data, text.length);
    pthread_mutex_lock(&completions_lock);
    if (completions_last) completions_last->next = entry;
    else completions_first = entry;
    completions_last = entry;
    atomic_fetch_add(&entry->slot->completions, 1);
    pthread_mutex_unlock(&completions_lock);
    return REML_EMBED_STATUS_OK;
}

static completion_t* take_mine(const rl_slot_t* slot) {
    completion_t *mine = NULL, **mine_end = &mine, *last = NULL;
    pthread_mutex_lock(&completions_lock);
    for (completion_t** link = &completions_first; *link;) {
        completion_t* entry = *link;
        if (entry->slot != slot) {
            last = entry;
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        entry->next = NULL;
        *mine_end = entry;
        mine_end = &entry->next;
    }
    completions_last = last;
    pthread_mutex_unlock(&completions_lock);
    return mine;
}

void rl_take_completions(void* user) {
    rl_context_t* context = user;
    if (RL_LIKELY(atomic_load_explicit(&context->slot->completions, memory_order_acquire) == 0) || context->frozen)
        return;
    completion_t* mine = take_mine(context->slot);
    while (mine) {
        completion_t* entry = mine;
        mine = entry->next;
        atomic_fetch_sub(&context->slot->completions, 1);
        /* A row that has had another context since has another serial. */
        if (entry->promise.context == context->serial) {
            rl_str_t text = {entry->text, entry->length};
            reml_embed_status_t status;
            if (entry->is_failure) status = fail(context, entry->promise, text, entry->token);
            else if (entry->value.kind != REML_KIND_NONE) status = complete(context, entry->promise, entry->value);
            else status = complete_text(context, entry->promise, text);
            if (status == REML_EMBED_STATUS_INVALID_ARGUMENT) {
                rl_str_t why = context->has_error ? rl_buf_str(&context->error) : RL_STR("a value of another type");
                (void)fail(context, entry->promise, why, 0);
            }
            if (status != REML_EMBED_STATUS_OK) rl_context_clear_error(context);
        }
        free(entry);
    }
}

/* --- the functions -------------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_promise_complete(reml_embed_context_t* id, reml_promise_t promise, reml_value_t value) {
    rl_context_t* context = NULL;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_WRONG_THREAD) {
        if (value.kind == REML_KIND_NONE || value.context) return REML_EMBED_STATUS_WRONG_THREAD;
        return enqueue(id, promise, value, (rl_str_t){NULL, 0}, false, 0);
    }
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_context_clear_error(context);
    rl_take_completions(context);
    return complete(context, promise, value);
}

reml_embed_status_t reml_promise_complete_text(
    reml_embed_context_t* id, reml_promise_t promise, const char* text, size_t length) {
    rl_context_t* context = NULL;
    rl_str_t given = {text, length};
    if ((!text && length) || rl_utf8_validate(given) != length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_WRONG_THREAD) return enqueue(id, promise, (reml_value_t){0}, given, false, 0);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_context_clear_error(context);
    rl_take_completions(context);
    return complete_text(context, promise, given);
}

reml_embed_status_t reml_promise_fail(
    reml_embed_context_t* id, reml_promise_t promise, const char* message, size_t length, uint64_t token) {
    rl_context_t* context = NULL;
    rl_str_t given = {message, length};
    if (!message && length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_embed_status_t status = rl_slot_resolve(id, &context);
    if (status == REML_EMBED_STATUS_WRONG_THREAD) return enqueue(id, promise, (reml_value_t){0}, given, true, token);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_context_clear_error(context);
    rl_take_completions(context);
    return fail(context, promise, given, token);
}

reml_embed_status_t reml_promise_drop(reml_embed_context_t* id, reml_promise_t promise) {
    RL_ENTER(id, context);
    rl_promise_t* found;
    reml_embed_status_t status = find(context, promise, &found);
    if (status == REML_EMBED_STATUS_OK) free_row(context, (uint32_t)promise.id);
    return status;
}

reml_embed_status_t reml_promise_wanted(reml_embed_context_t* id, reml_promise_t promise, int* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = 0;
    RL_ENTER(id, context);
    rl_promise_t* found;
    reml_embed_status_t status = find(context, promise, &found);
    if (status != REML_EMBED_STATUS_OK) return status;
    const rl_future_t* future = (const rl_future_t*)found->future;
    *out =
        !future->unwanted && future->state == RL_FUTURE_PENDING; /* a script may have cancelled a task of the host's */
    return status;
}

const rl_rtype_t* rl_promise_type(rl_context_t* context, reml_promise_t promise, reml_embed_status_t* out_status) {
    rl_promise_t* found = NULL;
    *out_status = find(context, promise, &found);
    return *out_status == REML_EMBED_STATUS_OK ? found->type : NULL;
}

void rl_promise_settle(rl_context_t* context, reml_promise_t promise, rl_word_t word) {
    rl_promise_t* found = NULL;
    if (find(context, promise, &found) != REML_EMBED_STATUS_OK) return;
    rl_future_settle(&context->vm, found->future, word);
    free_row(context, (uint32_t)promise.id);
}

uint64_t reml_embed_failure_token(reml_embed_context_t* id) {
    rl_context_t* context = NULL;
    return rl_slot_resolve(id, &context) == REML_EMBED_STATUS_OK ? context->failure_token : 0;
}

/* --- time --------------------------------------------------------------------------------------------------------------- */

static uint64_t host_clock(void* user) {
    rl_context_t* context = user;
    return context->clock(context->clock_user);
}

static uint64_t host_wall_clock(void* user) {
    rl_context_t* context = user;
    return context->wall_clock(context->wall_clock_user);
}

static bool host_wait(void* user, uint64_t nanoseconds) {
    rl_context_t* context = user;
    return context->wait(nanoseconds, context->wait_user) == REML_EMBED_STATUS_OK;
}

void rl_async_connect(rl_context_t* context) {
    context->vm.take_completions = rl_take_completions;
    context->vm.clock = context->clock ? host_clock : NULL;
    context->vm.wall_clock = context->wall_clock ? host_wall_clock : NULL;
    context->vm.wait = context->wait ? host_wait : NULL;
}

reml_embed_status_t reml_embed_set_clock(reml_embed_context_t* id, reml_clock_fn clock, void* user) {
    RL_ENTER(id, context);
    bool busy = context->depth || context->frozen;
    for (uint32_t i = 1; i < context->jobs.count && !busy; i++) busy = context->jobs.data[i]->run != NULL;
    if (busy) return REML_EMBED_STATUS_BUSY;
    context->clock = clock;
    context->clock_user = user;
    rl_async_connect(context);
    context->vm.started_ns = clock ? clock(user) : rl_os_monotonic_ns();
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_set_wall_clock(reml_embed_context_t* id, reml_clock_fn clock, void* user) {
    RL_ENTER(id, context);
    context->wall_clock = clock;
    context->wall_clock_user = user;
    rl_async_connect(context);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_embed_set_wait(reml_embed_context_t* id, reml_wait_fn wait, void* user) {
    RL_ENTER(id, context);
    context->wait = wait;
    context->wait_user = user;
    rl_async_connect(context);
    return REML_EMBED_STATUS_OK;
}
