/* Top-level values seen from Python: those of modules, and those the host supplies. */
#include "border.h"

/* global_value(name): a top-level value, after module initialisation. */
PyObject* border_global_value(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    const char* name;
    Py_ssize_t length;
    reml_value_t value;
    if (!PyArg_ParseTuple(args, "s#", &name, &length)) return NULL;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_embed_global(border->id, name, (size_t)length, &value);
    border_leave(border, outer);
    if (!border_finish(border, status)) return NULL;
    PyObject* handle =
        Py_BuildValue("IIK", (unsigned)value.kind, (unsigned)value.context, (unsigned long long)value.bits);
    PyObject* shown = handle ? border_value(self, handle) : NULL;
    Py_XDECREF(handle);
    reml_value_release(border->id, value);
    return shown;
}

/* set_global(name, value): for each `let name: T` of an extern "host". */
PyObject* border_set_global(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    const char* name;
    Py_ssize_t length;
    PyObject* value;
    if (!PyArg_ParseTuple(args, "s#O", &name, &length, &value)) return NULL;
    rl_context_t* context = border_context(border);
    if (!context) return NULL;
    rl_global_id_t global = 0;
    bool found = false, done = true;
    while (done && rl_host_global(context, (rl_str_t){name, (size_t)length}, global, &global)) {
        rl_word_t word;
        const rl_rtype_t* type = rl_rtype_of(&context->compiler, rl_program_global(&context->program, global)->type);
        if (!type) return PyErr_NoMemory();
        rl_context_freeze(context);
        done = border_from_python(border, context, type, value, name, -1, &word);
        if (done) rl_host_store_global(context, global, type, word);
        rl_context_thaw(context);
        found = true;
    }
    if (!found) {
        PyErr_Format(PyExc_KeyError, "no loaded module declares `%s` as a value of the host", name);
        return NULL;
    }
    return done ? Py_NewRef(Py_None) : NULL;
}
