/* Runs that Python leaves and resumes, futures that it completes: what reml_embed/_waiting.py drives on an event loop. */
#include "border.h"

#include "code/emit.h"

static PyObject* status_and_job(reml_embed_status_t status, reml_job_t job) {
    return Py_BuildValue("i(KK)", (int)status, (unsigned long long)job.context, (unsigned long long)job.id);
}

static reml_job_t job_of(PyObject* args) {
    unsigned long long context = 0, id = 0;
    (void)PyArg_ParseTuple(args, "KK", &context, &id);
    return (reml_job_t){context, id};
}

/* Waiting is no failure. */
static bool finish(border_t* border, reml_embed_status_t status) {
    return border_finish(border, status == REML_EMBED_STATUS_PENDING ? REML_EMBED_STATUS_OK : status);
}

/* start(entry): (status, job); raises as reml_run fails. */
PyObject* border_start(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    const char* entry;
    reml_job_t job;
    if (!PyArg_ParseTuple(args, "s", &entry)) return NULL;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_embed_start(border->id, entry, &job);
    border_leave(border, outer);
    return finish(border, status) ? status_and_job(status, job) : NULL;
}

/* start_function(function, *args): the same for a Function. */
PyObject* border_start_function(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    PyObject* given[RL_MOST_ARGUMENTS];
    Py_ssize_t count = PyTuple_Size(args) - 1;
    if (count < 0 || count > RL_MOST_ARGUMENTS || Py_TYPE(PyTuple_GetItem(args, 0)) != border->function_type) {
        PyErr_SetString(PyExc_TypeError, "start_function(function, *args)");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) given[i] = PyTuple_GetItem(args, i + 1);
    rl_context_t* context = border_context(border);
    if (!context) return NULL;
    reml_embed_status_t status;
    reml_job_t job;
    return border_start_call(
               border, context, ((const function_t*)PyTuple_GetItem(args, 0))->function, given, count, &status, &job)
               ? status_and_job(status, job)
               : NULL;
}

/* start_future(kind, context, bits): await a Future or Task of the script. */
PyObject* border_start_future(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    unsigned int kind, serial;
    unsigned long long bits;
    reml_job_t job;
    if (!PyArg_ParseTuple(args, "IIK", &kind, &serial, &bits)) return NULL;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_future_start(border->id, (reml_value_t){kind, serial, bits}, &job);
    border_leave(border, outer);
    return finish(border, status) ? status_and_job(status, job) : NULL;
}

/* resume(job): its status; raises what it fails with. */
PyObject* border_resume(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    reml_job_t job = job_of(args);
    if (PyErr_Occurred()) return NULL;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_embed_resume(border->id, job);
    border_leave(border, outer);
    return finish(border, status) ? PyLong_FromLong((long)status) : NULL;
}

/* job_result(job): as a Python value. */
PyObject* border_job_result(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    reml_job_t job = job_of(args);
    rl_context_t* context = PyErr_Occurred() ? NULL : border_context(border);
    if (!context) return NULL;
    rl_word_t word;
    reml_embed_status_t status;
    const rl_rtype_t* type = rl_job_value(context, job, &word, &status);
    if (!type) return border_raise(border, status);
    rl_context_freeze(context);
    PyObject* shown = border_to_python(border, context, type, word);
    rl_context_thaw(context);
    return shown;
}

/* release_job(job): the status of reml_job_release; deferred expressions of a pending one run. */
PyObject* border_release_job(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    reml_job_t job = job_of(args);
    if (PyErr_Occurred()) return NULL;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_job_release(border->id, job);
    border_leave(border, outer);
    Py_CLEAR(border->pending); /* of a deferred expression: nobody to tell */
    return PyLong_FromLong((long)status);
}

/* complete((context, id), value): reml_promise_complete with a Python value. */
PyObject* border_complete(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    unsigned long long serial, id;
    PyObject* value;
    if (!PyArg_ParseTuple(args, "(KK)O", &serial, &id, &value)) return NULL;
    rl_context_t* context = border_context(border);
    if (!context) return NULL;
    reml_promise_t promise = {serial, id};
    reml_embed_status_t status;
    const rl_rtype_t* type = rl_promise_type(context, promise, &status);
    if (!type) return border_raise(border, status);
    rl_word_t word;
    border->short_of_memory = border->consumed = false;
    rl_context_freeze(context);
    bool done = border_from_python(border, context, type, value, "result", -1, &word);
    rl_context_thaw(context);
    if (!done) return NULL;
    rl_promise_settle(context, promise, word);
    return Py_NewRef(Py_None);
}

/* The future for what a host function has answered: an awaitable, or the value itself. */
bool border_future_word(
    border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* answer, rl_word_t* out) {
    bool outer = border->active;
    border->active = false;
    PyObject* handle = PyObject_CallMethod(border->support, "pending", "OIIi", answer, context->serial,
        (unsigned int)type->args[0]->type, type->builtin == RL_BUILTIN_TASK);
    border->active = outer;
    unsigned int kind, serial;
    unsigned long long bits;
    bool fine = handle && PyTuple_Check(handle) && PyArg_ParseTuple(handle, "IIK", &kind, &serial, &bits);
    Py_XDECREF(handle);
    if (!fine) return false;
    reml_value_t value = {kind, serial, bits};
    rl_handle_t* row;
    if (rl_handle_find(context, value, &row) != REML_EMBED_STATUS_OK || row->type != type) {
        PyErr_SetString(PyExc_TypeError, "the future is of another type");
        return false;
    }
    *out = row->word; /* reachable through *out until the loop stores it */
    reml_value_release(border->id, value);
    return true;
}
