/* Python functions called by scripts; where printed text goes; the GIL and signals during a run. */
#include "border.h"

#include "base/os.h"

#include <stdlib.h>

enum {
    CHECK_NS = 20 * 1000 * 1000, /* signals are looked at this often in a long run */
    HOLD_NS = 5 * 1000 * 1000    /* a run that called back keeps the GIL this long: CPython's own switch interval */
};

/* --- the GIL ------------------------------------------------------------------------------------------------------- */

void border_take_gil(border_t* border) {
    if (!border->released) return;
    PyThreadState* state = border->released;
    border->released = NULL;
    PyEval_RestoreThread(state);
    border->taken_ns = rl_os_monotonic_ns();
}

bool border_enter(border_t* border) {
    bool outer = border->active;
    border->active = true;
    border->taken_ns = 0;
    return outer;
}

void border_leave(border_t* border, bool outer) {
    border_take_gil(border);
    border->active = outer;
}

/* The exception that is set becomes what the run raises, unless one waits already (a deferred call of the same failure). */
static PyObject* keep_exception(border_t* border) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value && traceback) PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (!border->pending) border->pending = Py_XNewRef(value);
    return value;
}

/* Called by the VM every few ten thousand instructions. */
static reml_embed_status_t poll(void* user) {
    border_t* border = user;
    if (!border->active) return REML_EMBED_STATUS_OK; /* entered through cffi: who holds the GIL is not for us to say */
    uint64_t now = rl_os_monotonic_ns();
    if (border->released) {
        if (now - border->checked_ns < CHECK_NS) return REML_EMBED_STATUS_OK;
        border_take_gil(border);
    } else if (border->taken_ns && now - border->taken_ns < HOLD_NS) {
        return REML_EMBED_STATUS_OK;
    }
    border->checked_ns = now;
    rl_context_freeze(border->context); /* arguments of the call that polls may have no root yet */
    int raised = PyErr_CheckSignals();
    rl_context_thaw(border->context);
    if (raised < 0) {
        Py_XDECREF(keep_exception(border));
        return REML_EMBED_STATUS_ERROR;
    }
    border->released = PyEval_SaveThread();
    return REML_EMBED_STATUS_OK;
}

/* --- output ----------------------------------------------------------------------------------------------------------- */

/* Ask a callable of the host's with a text, outside of the script's run; what it answers (owned), or NULL with an exception. */
static PyObject* call_with_text(border_t* border, PyObject* callable, const char* text, size_t length) {
    border_take_gil(border);
    bool outer = border->active;
    border->active = false;
    Py_INCREF(callable); /* it may set another one */
    PyObject* string = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
    PyObject* answer = string ? PyObject_CallFunctionObjArgs(callable, string, NULL) : NULL;
    Py_XDECREF(string);
    Py_DECREF(callable);
    border->active = outer;
    return answer;
}

static reml_embed_status_t write_output(const char* text, size_t length, void* user) {
    border_t* border = user;
    PyObject* result = call_with_text(border, border->output, text, length);
    if (result) {
        Py_DECREF(result);
        return REML_EMBED_STATUS_OK;
    }
    Py_XDECREF(keep_exception(border));
    return REML_EMBED_STATUS_ERROR;
}

static reml_embed_status_t read_input(
    const char* question, size_t length, const char** out_answer, size_t* out_length, void* user) {
    border_t* border = user;
    if (!border->input) return REML_EMBED_STATUS_OK;
    PyObject* answer = call_with_text(border, border->input, question, length);
    Py_ssize_t size = 0;
    const char* text = NULL;
    if (answer && !PyUnicode_Check(answer)) {
        PyObject* kind = PyType_GetName(Py_TYPE(answer));
        if (kind) PyErr_Format(PyExc_TypeError, "input must answer a str, not %U", kind);
        Py_XDECREF(kind);
    } else if (answer) {
        text = PyUnicode_AsUTF8AndSize(answer, &size);
    }
    PyObject* before = border->answer;
    border->answer = answer;
    Py_XDECREF(before);
    if (text) {
        *out_answer = text;
        *out_length = (size_t)size;
        return REML_EMBED_STATUS_OK;
    }
    Py_XDECREF(keep_exception(border));
    return REML_EMBED_STATUS_ERROR;
}

/* While a run waits, Python's event loop turns. */
static reml_embed_status_t wait_for_events(uint64_t nanoseconds, void* user) {
    border_t* border = user;
    border_take_gil(border);
    bool outer = border->active;
    border->active = false;
    double seconds = nanoseconds == UINT64_MAX ? -1.0 : (double)nanoseconds / 1e9;
    PyObject* result = PyObject_CallMethod(border->support, "wait", "d", seconds);
    border->active = outer;
    if (result) {
        Py_DECREF(result);
        return REML_EMBED_STATUS_OK;
    }
    Py_XDECREF(keep_exception(border));
    return REML_EMBED_STATUS_ERROR;
}

void border_attach(border_t* border, rl_context_t* context) {
    border->context = context;
    context->poll = poll;
    context->poll_user = border;
    context->output = write_output;
    context->output_user = border;
    context->input = read_input;
    context->input_user = border;
    context->wait = wait_for_events;
    context->wait_user = border;
    rl_async_connect(context);
}

/* --- host functions ------------------------------------------------------------------------------------------------------ */

typedef struct hosted {
    border_t* border;   /* borrowed: it outlives its context */
    PyObject* callable; /* borrowed from border->hosted */
} hosted_t;

/* The script's failure says which exception; the exception itself waits in the border. */
static rl_outcome_t failed(border_t* border, rl_context_t* context, rl_code_t code) {
    PyObject* value = keep_exception(border);
    rl_context_freeze(context);
    PyObject* name = value ? PyType_GetName(Py_TYPE(value)) : NULL;
    PyObject* text = value ? PyObject_Str(value) : NULL;
    PyErr_Clear();
    PyObject* message =
        name && text && PyUnicode_GetLength(text) ? PyUnicode_FromFormat("%U: %U", name, text) : Py_XNewRef(name);
    Py_ssize_t length = 0;
    const char* data = message ? PyUnicode_AsUTF8AndSize(message, &length) : NULL;
    PyErr_Clear();
    rl_context_thaw(context);
    rl_str_t said = data ? (rl_str_t){data, (size_t)length} : RL_STR("a Python exception");
    if (said.length > 4096) {
        said.length = 4096;
        while (said.length && ((unsigned char)said.data[said.length] & 0xC0) == 0x80) said.length--;
    }
    rl_outcome_t outcome = rl_vm_raise_text(&context->vm, code, said);
    context->vm.failure.by_host = true;
    Py_XDECREF(message);
    Py_XDECREF(text);
    Py_XDECREF(name);
    Py_XDECREF(value);
    return outcome;
}

static PyObject* call_with(PyObject* callable, PyObject* const* args, unsigned count) {
    switch (count) {
    case 0: return PyObject_CallObject(callable, NULL);
    case 1: return PyObject_CallFunctionObjArgs(callable, args[0], NULL);
    case 2: return PyObject_CallFunctionObjArgs(callable, args[0], args[1], NULL);
    case 3: return PyObject_CallFunctionObjArgs(callable, args[0], args[1], args[2], NULL);
    case 4: return PyObject_CallFunctionObjArgs(callable, args[0], args[1], args[2], args[3], NULL);
    default: break;
    }
    PyObject* tuple = PyTuple_New((Py_ssize_t)count);
    if (!tuple) return NULL;
    for (unsigned i = 0; i < count; i++) PyTuple_SetItem(tuple, (Py_ssize_t)i, Py_NewRef(args[i]));
    PyObject* result = PyObject_CallObject(callable, tuple);
    Py_DECREF(tuple);
    return result;
}

static bool result_word(
    hosted_t* hosted, rl_context_t* context, const rl_rtype_t* type, PyObject* result, rl_word_t* out) {
    if (RL_LIKELY(type->kind == RL_TYPE_I64 && PyLong_CheckExact(result))) {
        out->i = PyLong_AsLongLong(result);
        if (RL_LIKELY(out->i != -1 || !PyErr_Occurred())) return true;
        PyErr_Clear();
    } else if (type->kind == RL_TYPE_UNIT) {
        out->u = 0;
        if (result == Py_None) return true;
    }
    rl_context_freeze(context);
    bool done = border_from_python(hosted->border, context, type, result, "result", -1, out);
    rl_context_thaw(context);
    return done;
}

static rl_outcome_t call_python(rl_context_t* context, const rl_host_site_t* site, const rl_word_t* s,
    rl_object_t* const* r, rl_word_t* result, void* user) {
    hosted_t* hosted = user;
    border_t* border = hosted->border;
    PyObject* args[UINT8_MAX];
    unsigned made = 0;
    border_take_gil(border);
    rl_context_freeze(context);
    for (; made < site->param_count; made++) {
        const rl_rtype_t* type = site->params[made];
        rl_word_t word;
        if (type->rep == RL_REP_R) word.o = *r++;
        else word = *s++;
        args[made] = border_to_python(border, context, type, word);
        if (!args[made]) break;
    }
    rl_context_thaw(context);
    PyObject* answer = NULL;
    if (RL_LIKELY(made == site->param_count)) {
        bool outer = border->active;
        PyObject* callable = Py_NewRef(hosted->callable);
        border->active = false;
        answer = call_with(callable, args, made);
        border->active = outer;
        Py_DECREF(callable);
    }
    while (made > 0) Py_DECREF(args[--made]);
    if (RL_UNLIKELY(!answer)) return failed(border, context, RL_CODE_HOST_CALL_FAILED);
    bool waits = site->result->kind == RL_TYPE_NAMED &&
                 (site->result->builtin == RL_BUILTIN_FUTURE || site->result->builtin == RL_BUILTIN_TASK);
    bool fits = waits ? border_future_word(border, context, site->result, answer, result)
                      : result_word(hosted, context, site->result, answer, result);
    Py_DECREF(answer);
    return fits ? RL_DONE : failed(border, context, RL_CODE_HOST_VALUE_TYPE_MISMATCH);
}

bool border_define(border_t* border, rl_context_t* context, const reml_host_function_t* given, PyObject* callable) {
    const char* name = given->name;
    hosted_t* hosted = malloc(sizeof *hosted);
    if (!hosted) {
        PyErr_NoMemory();
        return false;
    }
    *hosted = (hosted_t){border, callable};
    rl_context_clear_error(context);
    reml_host_function_t function = *given;
    function.user = hosted;
    function.destroy = free;
    reml_embed_status_t status = rl_host_define_words(context, &function, call_python);
    if (status != REML_EMBED_STATUS_OK) {
        free(hosted);
        border_raise(border, status);
        return false;
    }
    PyObject* old = PyDict_GetItemString(border->hosted, name);
    Py_XINCREF(old); /* dropped when the dict is as it should be */
    bool kept = PyDict_SetItemString(border->hosted, name, callable) == 0;
    if (!kept) {
        Py_INCREF(callable); /* the binding stands: rather never free it than call a dead one */
        Py_XINCREF(old);
    }
    Py_XDECREF(old);
    return kept;
}

/* --- the end of a run -------------------------------------------------------------------------------------------------------- */

static bool grow(void** data, uint32_t count, uint32_t* capacity, size_t size) {
    if (count < *capacity) return true;
    uint32_t wanted = *capacity ? *capacity * 2 : 8;
    void* bigger = realloc(*data, wanted * size);
    if (!bigger) return false;
    *data = bigger;
    *capacity = wanted;
    return true;
}

void border_drop_later(border_t* border, PyObject* object) {
    /* Out of memory: rather never freed than freed inside the collector. */
    if (grow((void**)&border->dropped, border->dropped_count, &border->dropped_capacity, sizeof object))
        border->dropped[border->dropped_count++] = object;
}

void border_release_later(border_t* border, reml_function_t function) {
    if (grow((void**)&border->dead, border->dead_count, &border->dead_capacity, sizeof function))
        border->dead[border->dead_count++] = function;
}

void border_settle(border_t* border) {
    rl_context_t* context;
    if (border->dead_count && rl_slot_resolve(border->id, &context) == REML_EMBED_STATUS_OK && context->depth == 0 &&
        !context->frozen) {
        while (border->dead_count) reml_function_release(border->id, border->dead[--border->dead_count]);
    }
    while (border->dropped_count) Py_DECREF(border->dropped[--border->dropped_count]);
}

PyObject* border_raise(border_t* border, reml_embed_status_t status) {
    PyObject* error = PyObject_CallMethod(border->support, "error", "i", (int)status);
    if (!error) return NULL;
    PyErr_SetObject((PyObject*)Py_TYPE(error), error);
    Py_DECREF(error);
    return NULL;
}

/* The exception object that this end of a run raises; NULL: an exception is set instead. */
static PyObject* reason(border_t* border, reml_embed_status_t status) {
    if (!border->pending) return PyObject_CallMethod(border->support, "error", "i", (int)status);
    PyObject* exception = border->pending;
    border->pending = NULL;
    PyObject* traced = PyObject_CallMethod(border->support, "trace", "O", exception);
    if (!traced) PyErr_Clear();
    Py_XDECREF(traced);
    return exception;
}

bool border_finish(border_t* border, reml_embed_status_t status) {
    border_take_gil(border);
    bool well = status == REML_EMBED_STATUS_OK && !border->pending;
    PyObject* exception = RL_LIKELY(well) ? NULL : reason(border, status);
    if (RL_UNLIKELY(border->dropped_count || border->dead_count)) {
        /* Finalisers run with no exception set; what they leave behind is not ours. */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        border_settle(border);
        PyErr_Restore(type, value, traceback);
    }
    if (RL_LIKELY(well)) return true;
    if (exception) {
        PyErr_SetObject((PyObject*)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return false;
}
