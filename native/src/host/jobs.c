/* Jobs: runs that the host leaves while they wait, and resumes. */
#include "host/context.h"
#include "vm/async.h"

static reml_embed_status_t find(rl_context_t* context, reml_job_t job, rl_job_t** out) {
    uint32_t row = (uint32_t)job.id, generation = (uint32_t)(job.id >> 32);
    if (job.context != context->serial)
        return job.context ? REML_EMBED_STATUS_WRONG_CONTEXT : REML_EMBED_STATUS_INVALID_HANDLE;
    if (row == 0 || row >= context->jobs.count) return REML_EMBED_STATUS_INVALID_HANDLE;
    rl_job_t* found = context->jobs.data[row];
    if (!found->used || found->generation != generation) {
        return generation && generation <= found->generation ? REML_EMBED_STATUS_STALE
                                                             : REML_EMBED_STATUS_INVALID_HANDLE;
    }
    *out = found;
    return REML_EMBED_STATUS_OK;
}

static uint32_t add_row(rl_context_t* context) {
    rl_allocator_t* allocator = &context->allocator;
    rl_job_t* fresh = rl_alloc_zero(allocator, sizeof *fresh);
    if (!fresh) return 0;
    fresh->generation = 1;
    if (rl_vec_push(allocator, &context->jobs, fresh)) return context->jobs.count - 1;
    rl_free(allocator, fresh, sizeof *fresh);
    return 0;
}

static uint32_t take_row(rl_context_t* context) {
    uint32_t row = context->free_job;
    if (row) context->free_job = context->jobs.data[row]->next_free;
    else if (context->jobs.count > 0 || (add_row(context) == 0 && context->jobs.count == 1)) row = add_row(context);
    if (row) {
        rl_job_t* job = context->jobs.data[row];
        *job = (rl_job_t){.generation = job->generation, .used = true};
    }
    return row;
}

static void free_row(rl_context_t* context, uint32_t row) {
    rl_job_t* job = context->jobs.data[row];
    job->used = false;
    job->type = NULL;
    if (++job->generation == 0) return; /* this row has told all its generations apart: never again */
    job->next_free = context->free_job;
    context->free_job = row;
}

void rl_jobs_deinit(rl_context_t* context) {
    for (uint32_t i = 0; i < context->jobs.count; i++)
        rl_free(&context->allocator, context->jobs.data[i], sizeof(rl_job_t));
    rl_vec_deinit(&context->allocator, &context->jobs);
}

/* The job is over: one record, as for a run or a call. */
static void record_end(rl_context_t* context, const rl_job_t* job, reml_embed_status_t status) {
    rl_function_entry_t* entry = NULL;
    if (job->is_entry) {
        rl_str_t name = rl_sym_text(&context->program.symbols, job->entry);
        rl_lifecycle_record(context, RL_AUDIT_START, status, NULL, name, 0);
    } else if (job->function.id) {
        if (rl_function_find_entry(context, job->function, &entry) == REML_EMBED_STATUS_OK)
            rl_function_crossed(context, entry, status);
    } else {
        rl_crossing_t crossing = {.symbol = RL_STR("reml_future_start"),
            .ok = status == REML_EMBED_STATUS_OK,
            .ownership = RL_AUDIT_OWN_TRANSFERRED,
            .result = status == REML_EMBED_STATUS_OK ? RL_AUDIT_RETURN_PENDING : RL_AUDIT_RETURN_FAILURE};
        if (!crossing.ok) {
            crossing.error_code = rl_code_text(context->has_error ? context->error_code : RL_CODE_FFI_CALL_FAILED);
            crossing.error_message = rl_buf_str(&context->error);
        }
        rl_bridge_crossing(context, &crossing);
    }
}

/* What working on the job has come to. Ends rl_run_begin. */
static reml_embed_status_t worked(
    rl_context_t* context, rl_job_t* job, reml_embed_status_t status, rl_outcome_t outcome, rl_word_t result) {
    job->working = false;
    if (status == REML_EMBED_STATUS_OK && outcome == RL_PARK) {
        rl_run_end(context);
        return REML_EMBED_STATUS_PENDING;
    }
    if (status == REML_EMBED_STATUS_OK && outcome != RL_DONE) status = rl_context_fail_from_vm(context);
    job->failed = status != REML_EMBED_STATUS_OK;
    if (job->failed) job->type = NULL;
    else job->result = result;
    rl_run_free(&context->vm, job->run);
    job->run = NULL;
    rl_run_end(context);
    record_end(context, job, status);
    return status;
}

static reml_embed_status_t prepare(rl_context_t* context, rl_job_t* job, const rl_proto_t* proto) {
    job->proto = proto;
    if (rl_run_prepare(&context->vm, job->run, proto) == RL_DONE) return REML_EMBED_STATUS_OK;
    rl_vm_clear_failure(&context->vm);
    return rl_context_no_memory(context);
}

reml_embed_status_t rl_job_prepare(rl_context_t* context, const rl_proto_t* proto, reml_function_t function,
    const rl_rtype_t* type, uint32_t* out_row) {
    if (context->reloading) {
        *out_row = 0;
        rl_run_end(context);
        return rl_reload_refuse(context);
    }
    uint32_t row = *out_row = take_row(context);
    rl_job_t* job = row ? context->jobs.data[row] : NULL;
    if (job) {
        job->run = rl_run_new(&context->vm);
        job->type = type;
        job->function = function;
        job->working = true;
    }
    reml_embed_status_t status = REML_EMBED_STATUS_NO_MEMORY;
    if (!job || !job->run) (void)rl_context_no_memory(context);
    else if (!proto || (status = prepare(context, job, proto)) == REML_EMBED_STATUS_OK) return REML_EMBED_STATUS_OK;
    if (job && job->run) rl_run_free(&context->vm, job->run);
    if (job) free_row(context, row);
    rl_run_end(context);
    return status;
}

void rl_job_cancel(rl_context_t* context, uint32_t row) {
    rl_job_t* job = context->jobs.data[row];
    rl_run_free(&context->vm, job->run);
    job->run = NULL;
    free_row(context, row);
    rl_run_end(context);
}

static reml_embed_status_t started(rl_context_t* context, uint32_t row, reml_embed_status_t status, reml_job_t* out) {
    const rl_job_t* job = context->jobs.data[row];
    if (job->failed) free_row(context, row);
    else *out = (reml_job_t){context->serial, (uint64_t)job->generation << 32 | row};
    return status;
}

static rl_outcome_t go(
    rl_context_t* context, rl_job_t* job, const rl_word_t* s, rl_object_t* const* r, rl_word_t* out_result) {
    if (context->profiling) rl_profile_begin(context, job->proto);
    bool drive = rl_type_is_future(job->type);
    if (drive) job->type = job->type->args[0];
    return rl_run_start(&context->vm, job->run, s, r, drive, out_result);
}

reml_embed_status_t rl_job_go(
    rl_context_t* context, uint32_t row, const rl_word_t* s, rl_object_t* const* r, reml_job_t* out) {
    rl_job_t* job = context->jobs.data[row];
    if (context->depth == 1) rl_run_inherit(&context->vm, job->run);
    rl_word_t result;
    rl_outcome_t outcome = go(context, job, s, r, &result);
    return started(context, row, worked(context, job, REML_EMBED_STATUS_OK, outcome, result), out);
}

/* --- entries: modules are initialised as part of the job, so that what they await is waited for like everything else --- */

/* The next step of an entry: initialise a module, or the entry itself. *out_proto NULL: there is nothing (more) to run. */
static reml_embed_status_t next_step(rl_context_t* context, rl_job_t* job, const rl_proto_t** out_proto) {
    rl_program_t* program = &context->program;
    *out_proto = NULL;
    job->module = 0;
    job->type = rl_rtype_of(&context->compiler, RL_TYPE_UNIT);
    for (uint32_t i = context->modules_ready; i < context->module_states.count; i++) {
        rl_fn_id_t init = rl_program_module(program, program->first_module + i)->init;
        if (context->module_states.data[i] != RL_MODULE_FRESH || !init) continue;
        *out_proto = rl_pipeline_instance(context, init, NULL, 0, false);
        if (!*out_proto) return rl_status_of_code(context->error_code);
        context->module_states.data[i] = RL_MODULE_RUNNING;
        job->module = i + 1;
        job->run->more = true;
        return REML_EMBED_STATUS_OK;
    }
    reml_embed_status_t status =
        rl_pipeline_initialise(context); /* says which failed before, counts those that are ready */
    rl_str_t name = rl_sym_text(&program->symbols, job->entry);
    if (status != REML_EMBED_STATUS_OK || !name.length) return status;
    rl_fn_id_t function = rl_program_find_function(program, name);
    if (!function) {
        return rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_RUNTIME_ENTRY_UNKNOWN,
            "entrypoint not found: %.*s", RL_STR_ARG(name));
    }
    *out_proto = rl_pipeline_entry(context, function, &status);
    if (!*out_proto) return status;
    job->type = (*out_proto)->result_type;
    job->run->more = false;
    return REML_EMBED_STATUS_OK;
}

/* Steps until the entry has ended or waits. `outcome`: of the step under way; RL_COLLECT: none is. */
static reml_embed_status_t take_steps(rl_context_t* context, rl_job_t* job, rl_outcome_t outcome, rl_word_t result) {
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    bool more = outcome == RL_COLLECT || job->module;
    while (more && outcome != RL_PARK) {
        if (job->module) {
            context->module_states.data[job->module - 1] = outcome == RL_DONE ? RL_MODULE_READY : RL_MODULE_FAILED;
            if (outcome != RL_DONE) break;
        }
        const rl_proto_t* proto;
        status = next_step(context, job, &proto);
        outcome = RL_DONE;
        result.u = 0;
        if (status == REML_EMBED_STATUS_OK && !proto) {
            job->run->more = false;
            rl_run_abandon(&context->vm, job->run);
        }
        if (status != REML_EMBED_STATUS_OK || !proto) break;
        status = prepare(context, job, proto);
        if (status != REML_EMBED_STATUS_OK) break;
        outcome = go(context, job, NULL, NULL, &result);
        more = job->module != 0;
    }
    return worked(context, job, status, outcome, result);
}

static reml_embed_status_t start_entry(rl_context_t* context, rl_str_t name, reml_job_t* out) {
    reml_embed_status_t status = rl_run_begin_entry(context, name);
    if (status != REML_EMBED_STATUS_OK) return status;
    uint32_t row;
    status = rl_job_prepare(context, NULL, (reml_function_t){0, 0}, NULL, &row);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_job_t* job = context->jobs.data[row];
    job->is_entry = true;
    job->entry = rl_sym_intern(&context->program.symbols, name);
    return started(context, row, take_steps(context, job, RL_COLLECT, (rl_word_t){0}), out);
}

reml_embed_status_t reml_embed_start(reml_embed_context_t* id, const char* entrypoint, reml_job_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_job_t){0, 0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    rl_take_completions(context);
    return start_entry(context, rl_str(entrypoint ? entrypoint : "main"), out);
}

reml_embed_status_t reml_function_start(
    reml_embed_context_t* id, reml_function_t function, const reml_value_t* arguments, size_t count, reml_job_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_job_t){0, 0};
    if (!arguments && count) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    RL_ENTER(id, context);
    rl_function_entry_t* entry;
    reml_embed_status_t status = rl_function_find_entry(context, function, &entry);
    if (status != REML_EMBED_STATUS_OK) return status;
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    rl_take_completions(context);
    status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    status = rl_pipeline_initialise(context);
    if (status != REML_EMBED_STATUS_OK) {
        rl_run_end(context);
        rl_function_crossed(context, entry, status);
        return status;
    }
    rl_word_t s[RL_MOST_ARGUMENTS];
    rl_object_t* r[RL_MOST_ARGUMENTS + 1];
    uint32_t row;
    status = rl_job_prepare(context, entry->proto, function, entry->proto->result_type, &row);
    if (status != REML_EMBED_STATUS_OK) return status;
    r[0] = entry->closure;
    status = rl_function_convert(context, entry, arguments, count, s, r + (entry->closure != NULL));
    if (status == REML_EMBED_STATUS_OK) return rl_job_go(context, row, s, r, out);
    rl_job_cancel(context, row);
    return status;
}

reml_embed_status_t reml_future_start(reml_embed_context_t* id, reml_value_t value, reml_job_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_job_t){0, 0};
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    rl_take_completions(context);
    rl_handle_t* handle;
    reml_embed_status_t status = rl_handle_find(context, value, &handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    reml_kind_t kind = rl_kind_of(handle->type);
    if (kind != REML_KIND_FUTURE && kind != REML_KIND_TASK) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_object_t* future = handle->word.o;
    const rl_rtype_t* type = handle->type->args[0];
    if (kind == REML_KIND_TASK) {
        future = ((rl_task_handle_t*)future)->outcome;
        type = rl_task_result(context, type->type);
        if (!future || !type) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    }
    status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    uint32_t row;
    status = rl_job_prepare(context, rl_await_proto(future), (reml_function_t){0, 0}, type, &row);
    if (status != REML_EMBED_STATUS_OK) return status;
    status = rl_job_go(context, row, NULL, &future, out);
    return status;
}

reml_embed_status_t reml_embed_resume(reml_embed_context_t* id, reml_job_t handle) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    rl_take_completions(context);
    rl_job_t* job;
    reml_embed_status_t status = find(context, handle, &job);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (job->working) return REML_EMBED_STATUS_BUSY;
    if (!job->run) return job->failed ? REML_EMBED_STATUS_ERROR : REML_EMBED_STATUS_OK;
    status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    job->working = true;
    if (context->profiling) rl_profile_begin(context, job->proto);
    rl_word_t result;
    rl_outcome_t outcome = rl_run_resume(&context->vm, job->run, &result);
    return job->is_entry ? take_steps(context, job, outcome, result)
                         : worked(context, job, REML_EMBED_STATUS_OK, outcome, result);
}

reml_embed_status_t reml_job_wait(reml_embed_context_t* id, reml_job_t handle, int64_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = 0;
    RL_ENTER(id, context);
    rl_take_completions(context);
    rl_job_t* job;
    reml_embed_status_t status = find(context, handle, &job);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (job->run && !job->working) *out = rl_run_wait_ns(&context->vm, job->run);
    return REML_EMBED_STATUS_OK;
}

const rl_rtype_t* rl_job_value(
    rl_context_t* context, reml_job_t handle, rl_word_t* out_word, reml_embed_status_t* out_status) {
    rl_job_t* job;
    *out_status = find(context, handle, &job);
    if (*out_status != REML_EMBED_STATUS_OK) return NULL;
    if (job->run) *out_status = REML_EMBED_STATUS_PENDING;
    else if (job->failed) *out_status = REML_EMBED_STATUS_ERROR;
    else *out_word = job->result;
    return *out_status == REML_EMBED_STATUS_OK ? job->type : NULL;
}

reml_embed_status_t reml_job_result(reml_embed_context_t* id, reml_job_t handle, reml_value_t* out) {
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = (reml_value_t){0};
    RL_ENTER(id, context);
    rl_word_t word;
    reml_embed_status_t status;
    const rl_rtype_t* type = rl_job_value(context, handle, &word, &status);
    if (!type) return status;
    *out = rl_value_out(context, type, word, false);
    rl_handle_came_from(context, *out, RL_ORIGIN_JOB);
    return out->kind == REML_KIND_NONE ? rl_context_no_memory(context) : REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_job_release(reml_embed_context_t* id, reml_job_t handle) {
    RL_ENTER(id, context);
    rl_job_t* job;
    reml_embed_status_t status = find(context, handle, &job);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (job->working) return REML_EMBED_STATUS_BUSY;
    if (job->run) {
        rl_context_clear_error(context);
        status = rl_run_begin(context);
        if (status != REML_EMBED_STATUS_OK) return status;
        job->working = true;
        rl_run_abandon(&context->vm, job->run);
        rl_run_free(&context->vm, job->run);
        job->run = NULL;
        if (job->module) context->module_states.data[job->module - 1] = RL_MODULE_FAILED;
        rl_run_end(context);
        rl_context_fail(context, REML_EMBED_STATUS_ERROR, RL_CODE_RUNTIME_INTERRUPTED, "%s: the job was given up",
            rl_code_text(RL_CODE_RUNTIME_INTERRUPTED));
        record_end(context, job, REML_EMBED_STATUS_ERROR);
        rl_context_clear_error(context);
    }
    free_row(context, (uint32_t)handle.id);
    return REML_EMBED_STATUS_OK;
}
