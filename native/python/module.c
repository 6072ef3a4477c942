/* The module `_fast` and its type Border. */
#include "border.h"

#include <stdlib.h>

typedef struct fast_state {
    PyTypeObject* border_type;
    PyTypeObject* function_type;
} fast_state_t;

rl_context_t* border_context(border_t* border) {
    rl_context_t* context = NULL;
    reml_embed_status_t status = rl_slot_resolve(border->id, &context);
    if (RL_LIKELY(status == REML_EMBED_STATUS_OK)) return context;
    border_raise(border, status);
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static PyObject* border_new(PyTypeObject* type, PyObject* args, PyObject* named) {
    unsigned long long id;
    PyObject *support, *output, *class_some, *class_proxy;
    (void)named;
    if (!PyArg_ParseTuple(args, "KOOOO", &id, &support, &output, &class_some, &class_proxy)) return NULL;
    fast_state_t* state = PyType_GetModuleState(type);
    if (!state) return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    border_t* border = (border_t*)allocate(type, 0);
    if (!border) return NULL;
    border->id = (reml_embed_context_t*)(uintptr_t)id;
    border->support = Py_NewRef(support);
    border->output = Py_NewRef(output);
    border->class_some = Py_NewRef(class_some);
    border->class_proxy = Py_NewRef(class_proxy);
    border->function_type = (PyTypeObject*)Py_NewRef((PyObject*)state->function_type);
    border->hosted = PyDict_New();
    border->class_types = PyDict_New();
    rl_context_t* context = border->hosted && border->class_types ? border_context(border) : NULL;
    if (!context) {
        Py_DECREF((PyObject*)border);
        return NULL;
    }
    border->slot = context->slot;
    border->generation = atomic_load(&context->slot->generation);
    border->type_serial = context->type_serial;
    border_attach(border, context);
    return (PyObject*)border;
}

static int border_traverse(PyObject* self, visitproc visit, void* arg) {
    border_t* border = (border_t*)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(border->pending);
    Py_VISIT(border->output);
    Py_VISIT(border->input);
    Py_VISIT(border->answer);
    Py_VISIT(border->support);
    Py_VISIT(border->hosted);
    Py_VISIT(border->class_types);
    Py_VISIT(border->class_some);
    Py_VISIT(border->class_proxy);
    Py_VISIT(border->function_type);
    for (uint32_t i = 0; i < border->row_count; i++) Py_VISIT(border->rows[i].shapes);
    return 0;
}

/* A context whose border goes first must not call into it any more. It is disposed before, unless that was not possible. */
static void detach(border_t* border) {
    rl_context_t* context;
    if (!border->context || rl_slot_resolve(border->id, &context) != REML_EMBED_STATUS_OK) return;
    context->poll = NULL;
    context->output = NULL;
    context->input = NULL;
    reml_dispose_context(border->id);
    border->context = NULL;
}

static int border_clear(PyObject* self) {
    border_t* border = (border_t*)self;
    detach(border);
    border->dead_count = 0;
    Py_CLEAR(border->pending);
    Py_CLEAR(border->output);
    Py_CLEAR(border->input);
    Py_CLEAR(border->answer);
    Py_CLEAR(border->support);
    Py_CLEAR(border->hosted);
    Py_CLEAR(border->class_types);
    Py_CLEAR(border->class_some);
    Py_CLEAR(border->class_proxy);
    Py_CLEAR(border->function_type);
    for (uint32_t i = 0; i < border->row_count; i++) Py_CLEAR(border->rows[i].shapes);
    while (border->dropped_count) Py_DECREF(border->dropped[--border->dropped_count]);
    return 0;
}

static void border_dealloc(PyObject* self) {
    border_t* border = (border_t*)self;
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    border_clear(self);
    free(border->rows);
    free(border->dropped);
    free(border->dead);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF((PyObject*)type);
}

/* --- methods ---------------------------------------------------------------------------------------------------------- */

/* run(entry): reml_run; raises what it fails with. */
static PyObject* border_run(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    const char* entry;
    if (!PyArg_ParseTuple(args, "s", &entry)) return NULL;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_run(border->id, entry);
    border_leave(border, outer);
    return border_finish(border, status) ? Py_NewRef(Py_None) : NULL;
}

/* reload(text, file or None, module, allow, audit_id or None, flags): reml_embed_reload_module; raises what it fails with. */
static PyObject* border_reload(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    reml_embed_source_t source = REML_EMBED_SOURCE_INIT;
    reml_embed_reload_t options = REML_EMBED_RELOAD_INIT;
    Py_ssize_t length;
    unsigned int flags;
    if (!PyArg_ParseTuple(args, "y#zsszI", &source.text, &length, &source.file_name, &options.module, &options.allow,
            &options.audit_id, &flags))
        return NULL;
    source.text_length = (size_t)length;
    source.file_name_length = source.file_name ? strlen(source.file_name) : 0;
    options.flags = flags;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_embed_reload_module(border->id, &source, &options);
    border_leave(border, outer);
    return border_finish(border, status) ? Py_NewRef(Py_None) : NULL;
}

/* rollback(audit_id or None): reml_embed_rollback_module */
static PyObject* border_rollback(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    const char* audit_id;
    if (!PyArg_ParseTuple(args, "z", &audit_id)) return NULL;
    bool outer = border_enter(border);
    reml_embed_status_t status = reml_embed_rollback_module(border->id, audit_id);
    border_leave(border, outer);
    return border_finish(border, status) ? Py_NewRef(Py_None) : NULL;
}

/* result(): the last result as a Python value; one crossing. */
static PyObject* border_result(PyObject* self, PyObject* unused) {
    (void)unused;
    border_t* border = (border_t*)self;
    rl_context_t* context = border_context(border);
    if (!context) return NULL;
    if (!context->result_type) return Py_NewRef(Py_None);
    rl_context_freeze(context);
    const rl_rtype_t* type = context->result_type;
    PyObject* shown = border_to_python(border, context, type, context->result);
    bool scalar = rl_type_is_scalar(type);
    rl_crossing_t crossing = {.symbol = RL_STR("reml_embed_result_borrow"),
        .ok = shown != NULL,
        .ownership = scalar ? RL_AUDIT_OWN_NONE : RL_AUDIT_OWN_BORROWED,
        .result = scalar ? RL_AUDIT_RETURN_SCALAR : RL_AUDIT_RETURN_BORROWED};
    if (shown) {
        context->metrics.borrowed_results++;
    } else {
        crossing.result = RL_AUDIT_RETURN_FAILURE;
        crossing.error_code = rl_code_text(RL_CODE_FFI_CALL_FAILED);
        crossing.error_message = RL_STR("the result cannot be converted");
    }
    PyObject *error, *value, *traceback;
    PyErr_Fetch(&error, &value, &traceback); /* a sink in Python may be called */
    rl_bridge_crossing(context, &crossing);
    PyErr_Restore(error, value, traceback);
    rl_context_thaw(context);
    return shown;
}

/* dispose(): the status of reml_dispose_context. Python objects that the context held are dropped here. */
static PyObject* border_dispose(PyObject* self, PyObject* unused) {
    (void)unused;
    border_t* border = (border_t*)self;
    reml_embed_status_t status = reml_dispose_context(border->id);
    if (status == REML_EMBED_STATUS_OK) {
        border->context = NULL;
        border->dead_count = 0;
        PyDict_Clear(border->hosted);
        border_settle(border);
    }
    return PyLong_FromLong((long)status);
}

/* define(name, signature or None, callable, capability or None, requirement, effects or None) */
static PyObject* border_define_method(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    reml_host_function_t given = REML_HOST_FUNCTION_INIT;
    PyObject* callable;
    unsigned int requirement = 0;
    if (!PyArg_ParseTuple(
            args, "szO|zIz", &given.name, &given.signature, &callable, &given.capability, &requirement, &given.effects))
        return NULL;
    given.stage = requirement;
    rl_context_t* context = border_context(border);
    return context && border_define(border, context, &given, callable) ? Py_NewRef(Py_None) : NULL;
}

/* function(name, signature or None): a Function; raises as reml_function_find fails. */
static PyObject* border_function(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    const char *name, *signature;
    Py_ssize_t name_length, signature_length;
    reml_function_t function;
    if (!PyArg_ParseTuple(args, "s#z#", &name, &name_length, &signature, &signature_length)) return NULL;
    reml_embed_status_t status = reml_function_find(
        border->id, name, (size_t)name_length, signature, signature ? (size_t)signature_length : 0, &function);
    if (status != REML_EMBED_STATUS_OK) return border_raise(border, status);
    return border_function_object(border, function);
}

/* call_handle(function, *args): call it; the result as (kind, context, bits) with one owner. */
static PyObject* border_call_handle(PyObject* self, PyObject* args) {
    enum { MOST = 64 };
    border_t* border = (border_t*)self;
    PyObject* given[MOST];
    Py_ssize_t count = PyTuple_Size(args) - 1;
    if (count < 0 || count > MOST || Py_TYPE(PyTuple_GetItem(args, 0)) != border->function_type) {
        PyErr_SetString(PyExc_TypeError, "call_handle(function, *args)");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) given[i] = PyTuple_GetItem(args, i + 1);
    rl_context_t* context = border_context(border);
    const rl_rtype_t* type;
    rl_word_t word;
    const function_t* function = (const function_t*)PyTuple_GetItem(args, 0);
    if (!context) return NULL;
    border_expect_handle(context, function, true);
    bool done = border_call(border, context, function->function, given, count, &type, &word);
    border_expect_handle(context, function, false);
    if (!done) return NULL;
    reml_value_t value = rl_value_out(context, type, word, false);
    rl_handle_came_from(context, value, RL_ORIGIN_CALL);
    if (value.kind == REML_KIND_NONE) rl_alloc_clear_failure(&context->allocator);
    rl_context_thaw(context);
    if (value.kind == REML_KIND_NONE) return PyErr_NoMemory();
    return Py_BuildValue("IIK", value.kind, value.context, (unsigned long long)value.bits);
}

/* error_code(): code of what reml_last_error tells; None without. */
static PyObject* border_error_code(PyObject* self, PyObject* unused) {
    (void)unused;
    rl_context_t* context = NULL;
    if (rl_slot_resolve(((border_t*)self)->id, &context) != REML_EMBED_STATUS_OK || !context->has_error)
        return Py_NewRef(Py_None);
    return PyUnicode_FromString(rl_code_text(context->error_code));
}

/* module(): the path of the module loaded last. */
static PyObject* border_module(PyObject* self, PyObject* unused) {
    (void)unused;
    rl_context_t* context = border_context((border_t*)self);
    if (!context) return NULL;
    const rl_program_t* program = &context->program;
    if (program->modules.count == 0) return Py_NewRef(Py_None);
    rl_str_t path = rl_sym_text(&program->symbols, program->modules.data[program->modules.count - 1].path);
    return PyUnicode_FromStringAndSize(path.data, (Py_ssize_t)path.length);
}

/* declared(module, name): the classes of a type that a module declares, or None. */
static PyObject* border_declared_method(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    const char *module, *name;
    if (!PyArg_ParseTuple(args, "ss", &module, &name)) return NULL;
    rl_context_t* context = border_context(border);
    if (!context) return NULL;
    rl_context_freeze(context);
    PyObject* found = border_declared(border, context, rl_str(module), rl_str(name));
    rl_context_thaw(context);
    return found;
}

static PyObject* border_set_output(PyObject* self, PyObject* output) {
    border_t* border = (border_t*)self;
    PyObject* old = border->output;
    border->output = Py_NewRef(output);
    Py_XDECREF(old);
    return Py_NewRef(Py_None);
}

/* None: nobody answers. */
static PyObject* border_set_input(PyObject* self, PyObject* input) {
    border_t* border = (border_t*)self;
    PyObject* before = border->input;
    border->input = input == Py_None ? NULL : Py_NewRef(input);
    Py_XDECREF(before);
    return Py_NewRef(Py_None);
}

static PyMethodDef border_methods[] = {
    {"run", border_run, METH_VARARGS, NULL},
    {"reload", border_reload, METH_VARARGS, NULL},
    {"rollback", border_rollback, METH_VARARGS, NULL},
    {"result", border_result, METH_NOARGS, NULL},
    {"dispose", border_dispose, METH_NOARGS, NULL},
    {"error_code", border_error_code, METH_NOARGS, NULL},
    {"define", border_define_method, METH_VARARGS, NULL},
    {"function", border_function, METH_VARARGS, NULL},
    {"call_handle", border_call_handle, METH_VARARGS, NULL},
    {"module", border_module, METH_NOARGS, NULL},
    {"declared", border_declared_method, METH_VARARGS, NULL},
    {"set_output", border_set_output, METH_O, NULL},
    {"set_input", border_set_input, METH_O, NULL},
    {"global_value", border_global_value, METH_VARARGS, NULL},
    {"set_global", border_set_global, METH_VARARGS, NULL},
    {"start", border_start, METH_VARARGS, NULL},
    {"start_function", border_start_function, METH_VARARGS, NULL},
    {"start_future", border_start_future, METH_VARARGS, NULL},
    {"resume", border_resume, METH_VARARGS, NULL},
    {"job_result", border_job_result, METH_VARARGS, NULL},
    {"release_job", border_release_job, METH_VARARGS, NULL},
    {"complete", border_complete, METH_VARARGS, NULL},
    {"value", border_value, METH_VARARGS, NULL},
    {"length", border_length, METH_O, NULL},
    {"items", border_items, METH_O, NULL},
    {"item", border_item, METH_VARARGS, NULL},
    {"fields", border_fields, METH_O, NULL},
    {"field", border_field, METH_VARARGS, NULL},
    {"set_field", border_set_field, METH_VARARGS, NULL},
    {"method", border_method, METH_VARARGS, NULL},
    {"same", border_same, METH_VARARGS, NULL},
    {"identity", border_identity, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot border_slots[] = {
    {Py_tp_doc, "One context as the fast half of the package sees it: Border(id, support, output, Some, Proxy)."},
    {Py_tp_new, border_new},
    {Py_tp_dealloc, border_dealloc},
    {Py_tp_traverse, border_traverse},
    {Py_tp_clear, border_clear},
    {Py_tp_methods, border_methods},
    {0, NULL},
};
static PyType_Spec border_spec = {
    .name = "reml_embed._fast.Border",
    .basicsize = sizeof(border_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = border_slots,
};

/* --- the module ------------------------------------------------------------------------------------------------------------ */

static int fast_exec(PyObject* module) {
    fast_state_t* state = PyModule_GetState(module);
    state->function_type = (PyTypeObject*)PyType_FromModuleAndSpec(module, &border_function_spec, NULL);
    state->border_type = (PyTypeObject*)PyType_FromModuleAndSpec(module, &border_spec, NULL);
    if (!state->function_type || !state->border_type) return -1;
    if (PyModule_AddType(module, state->function_type) < 0) return -1;
    return PyModule_AddType(module, state->border_type);
}
static int fast_traverse(PyObject* module, visitproc visit, void* arg) {
    fast_state_t* state = PyModule_GetState(module);
    Py_VISIT(state->border_type);
    Py_VISIT(state->function_type);
    return 0;
}
static int fast_clear(PyObject* module) {
    fast_state_t* state = PyModule_GetState(module);
    Py_CLEAR(state->border_type);
    Py_CLEAR(state->function_type);
    return 0;
}
static void fast_free(void* module) { fast_clear(module); }

static PyModuleDef_Slot fast_slots[] = {
    {Py_mod_exec, fast_exec},
    {0, NULL},
};
static struct PyModuleDef fast_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "reml_embed._fast",
    .m_doc = "The hot half of the border: Border and Function.",
    .m_size = sizeof(fast_state_t),
    .m_slots = fast_slots,
    .m_traverse = fast_traverse,
    .m_clear = fast_clear,
    .m_free = fast_free,
};
PyMODINIT_FUNC PyInit__fast(void) { return PyModuleDef_Init(&fast_module); }
