/* Function: a function of a context as a Python callable, and its batches. */
#include "border.h"

#include "host/fast_call.h"

enum { MOST = 64, MOST_COLUMNS = 32 };

/* --- calling --------------------------------------------------------------------------------------------------------- */

static PyObject* wrong_count(const rl_proto_t* proto, Py_ssize_t count) {
    PyObject* name = PyUnicode_DecodeUTF8(proto->name.data, (Py_ssize_t)proto->name.length, "replace");
    if (name) {
        PyErr_Format(PyExc_TypeError, "%U() takes %u argument%s, got %zd", name, (unsigned)proto->param_count,
            proto->param_count == 1 ? "" : "s", count);
    }
    Py_XDECREF(name);
    return NULL;
}

/* Arguments that need no Python code and no memory; false: look closer. */
static inline bool plain_argument(unsigned kind, PyObject* object, rl_word_t* out) {
    switch (kind) {
    case RL_TYPE_I64:
        if (RL_UNLIKELY(!PyLong_CheckExact(object))) return false;
        out->i = PyLong_AsLongLong(object);
        if (RL_LIKELY(out->i != -1 || !PyErr_Occurred())) return true;
        PyErr_Clear();
        return false;
    case RL_TYPE_F64:
        if (RL_UNLIKELY(!PyFloat_CheckExact(object))) return false;
        out->f = PyFloat_AsDouble(object);
        return true;
    case RL_TYPE_BOOL: out->u = object == Py_True; return object == Py_True || object == Py_False;
    default: return false;
    }
}

/* The words of all arguments, per bank. Frozen meanwhile and afterwards when it answers true. */
static bool convert_all(border_t* border, rl_context_t* context, const rl_proto_t* proto, PyObject* const* args,
    rl_word_t* s, rl_object_t** r) {
    rl_context_freeze(context);
    border->short_of_memory = false;
    border->consumed = false;
    for (uint16_t i = 0; i < proto->param_count; i++) {
        rl_word_t word;
        if (!plain_argument(proto->param_types[i]->kind, args[i], &word) &&
            !border_from_python(border, context, proto->param_types[i], args[i], "args", i, &word)) {
            rl_context_thaw(context);
            return false;
        }
        if (proto->param_types[i]->rep == RL_REP_R) *r++ = word.o;
        else *s++ = word;
    }
    return true;
}

/* Module initialisation may collect, so it comes before anything is converted. */
static reml_embed_status_t initialise(rl_context_t* context) {
    bool ready = true;
    for (uint32_t i = 0; i < context->module_states.count; i++)
        ready = ready && context->module_states.data[i] == RL_MODULE_READY;
    if (RL_LIKELY(ready)) return REML_EMBED_STATUS_OK;
    reml_embed_status_t status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    status = rl_pipeline_initialise(context);
    rl_run_end(context);
    return status;
}

/* A call with arguments or a result that need more than a register. The context is frozen when it answers true. */
static bool call_general(
    border_t* border, rl_context_t* context, rl_function_entry_t* entry, PyObject* const* args, rl_word_t* out) {
    const rl_proto_t* proto = entry->proto;
    rl_word_t s[MOST];
    rl_object_t* r[MOST];
    rl_take_remote_releases(context);
    bool outer = border_enter(border);
    reml_embed_status_t status = initialise(context);
    border_leave(border, outer);
    if (status != REML_EMBED_STATUS_OK || border->pending) return border_finish(border, status);
    for (unsigned attempt = 0; !convert_all(border, context, proto, args, s, r); attempt++) {
        bool again =
            attempt == 0 && border->short_of_memory && !border->consumed && !context->frozen && context->depth == 0;
        if (!again) return false;
        PyErr_Clear();
        rl_heap_collect(&context->vm.heap);
    }
    rl_context_thaw(context);
    outer = border_enter(border);
    status = rl_function_call_words(context, entry, s, r, out);
    border_leave(border, outer);
    if (RL_UNLIKELY(status != REML_EMBED_STATUS_OK || border->pending)) return border_finish(border, status);
    rl_context_freeze(context);
    return true;
}

static rl_context_t* find(border_t* border, reml_function_t function, rl_function_entry_t** out_entry) {
    rl_context_t* context = NULL;
    if (RL_UNLIKELY(!border)) {
        PyErr_SetString(PyExc_ReferenceError, "the function is being collected");
        return NULL;
    }
    reml_embed_status_t status = rl_slot_resolve(border->id, &context);
    if (RL_LIKELY(status == REML_EMBED_STATUS_OK)) status = rl_function_find_entry(context, function, out_entry);
    if (RL_LIKELY(status == REML_EMBED_STATUS_OK)) return context;
    border_raise(border, status);
    return NULL;
}

bool border_call(border_t* border, rl_context_t* context, reml_function_t function, PyObject* const* args,
    Py_ssize_t count, const rl_rtype_t** out_type, rl_word_t* out) {
    rl_function_entry_t* entry;
    reml_embed_status_t status = rl_function_find_entry(context, function, &entry);
    if (status != REML_EMBED_STATUS_OK) return border_raise(border, status) != NULL;
    if (count != entry->proto->param_count || count > MOST) return wrong_count(entry->proto, count) != NULL;
    rl_context_clear_error(context);
    *out_type = entry->proto->result_type;
    return call_general(border, context, entry, args, out);
}

bool border_start_call(border_t* border, rl_context_t* context, reml_function_t function, PyObject* const* args,
    Py_ssize_t count, reml_embed_status_t* out_status, reml_job_t* out) {
    rl_function_entry_t* entry;
    *out = (reml_job_t){0, 0};
    reml_embed_status_t status = rl_function_find_entry(context, function, &entry);
    if (status != REML_EMBED_STATUS_OK) return border_raise(border, status) != NULL;
    const rl_proto_t* proto = entry->proto;
    if (count != proto->param_count || count > MOST) return wrong_count(proto, count) != NULL;
    rl_word_t s[MOST];
    rl_object_t* r[MOST + 1];
    uint32_t row;
    rl_context_clear_error(context);
    rl_take_remote_releases(context);
    rl_take_completions(context);
    bool outer = border_enter(border);
    status = rl_run_begin(context);
    if (status == REML_EMBED_STATUS_OK) {
        status = rl_pipeline_initialise(context);
        if (status != REML_EMBED_STATUS_OK || border->pending) rl_run_end(context);
        else status = rl_job_prepare(context, proto, function, proto->result_type, &row);
    }
    border_leave(border, outer);
    if (status != REML_EMBED_STATUS_OK || border->pending) return border_finish(border, status);
    r[0] = entry->closure;
    if (!convert_all(border, context, proto, args, s, r + (entry->closure != NULL))) {
        rl_job_cancel(context, row);
        return false;
    }
    rl_context_thaw(context);
    outer = border_enter(border);
    *out_status = rl_job_go(context, row, s, r, out);
    border_leave(border, outer);
    return border_finish(border, *out_status == REML_EMBED_STATUS_PENDING ? REML_EMBED_STATUS_OK : *out_status);
}

/* Finalisers run without the exception that may be set; the context may be gone afterwards. */
static void settle_quietly(border_t* border) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    border_settle(border);
    PyErr_Restore(type, value, traceback);
}

static PyObject* finish_general(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    PyObject* result = border_to_python(border, context, type, word);
    rl_context_thaw(context);
    if (RL_UNLIKELY(border->dropped_count || border->dead_count)) settle_quietly(border);
    return result;
}

static PyObject* call_slowly(function_t* self, PyObject* const* args, Py_ssize_t count) {
    border_t* border = self->border;
    rl_function_entry_t* entry;
    rl_context_t* context = find(border, self->function, &entry);
    if (!context) return NULL;
    if (count != entry->proto->param_count || count > MOST) return wrong_count(entry->proto, count);
    rl_context_clear_error(context);
    const rl_rtype_t* type = entry->proto->result_type;
    rl_word_t result;
    if (!call_general(border, context, entry, args, &result)) return NULL;
    return finish_general(border, context, type, result);
}

/* The hot path. `args` are borrowed. */
static inline PyObject* call(function_t* self, PyObject* const* args, Py_ssize_t count) {
    border_t* border = self->border;
    rl_word_t words[RL_COUNT_OF(self->kinds)], result;
    if (RL_UNLIKELY(count != self->scalars || !border)) return call_slowly(self, args, count);
    rl_context_t* context = border_context_fast(border);
    if (RL_UNLIKELY(!context || self->entry->generation != (uint32_t)(self->function.id >> 32) || context->has_error))
        return call_slowly(self, args, count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (RL_UNLIKELY(!plain_argument(self->kinds[i], args[i], &words[i]))) return call_slowly(self, args, count);
    }
    bool outer = border_enter(border);
    reml_embed_status_t status = rl_fast_call(context, self->entry, words, (unsigned)count, &result);
    border_leave(border, outer);
    if (RL_UNLIKELY(status != REML_EMBED_STATUS_OK || border->pending)) {
        border_finish(border, status);
        return NULL;
    }
    PyObject* shown;
    switch (self->result_kind) {
    case RL_TYPE_I64: shown = PyLong_FromLongLong(result.i); break;
    case RL_TYPE_F64: shown = PyFloat_FromDouble(result.f); break;
    case RL_TYPE_BOOL: shown = PyBool_FromLong(result.u != 0); break;
    default: shown = Py_NewRef(Py_None); break;
    }
    if (RL_UNLIKELY(border->dropped_count || border->dead_count)) settle_quietly(border);
    return shown;
}

/* Arguments by name: put them in order, then call. */
static PyObject* call_named(
    function_t* self, PyObject* const* args, Py_ssize_t count, PyObject* names, PyObject* const* named) {
    rl_function_entry_t* entry;
    rl_context_t* context = find(self->border, self->function, &entry);
    if (!context) return NULL;
    PyObject* all[MOST] = {NULL};
    const rl_function_t* function = rl_program_function(&context->program, entry->proto->function);
    uint32_t most = function->param_count < MOST ? function->param_count : MOST;
    Py_ssize_t named_count = PyTuple_Size(names), total = count + named_count;
    if (total != entry->proto->param_count || total > (Py_ssize_t)most) return wrong_count(entry->proto, total);
    for (Py_ssize_t i = 0; i < count; i++) all[i] = args[i];
    for (Py_ssize_t n = 0; n < named_count; n++) {
        Py_ssize_t length;
        const char* text = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(names, n), &length);
        if (!text) return NULL;
        uint32_t at = 0;
        for (; at < most; at++) {
            rl_sym_t symbol = rl_program_param(&context->program, function->param_first + at)->name;
            if (symbol &&
                rl_str_equal(rl_sym_text(&context->program.symbols, symbol), (rl_str_t){text, (size_t)length}))
                break;
        }
        if (at == most || all[at]) {
            PyErr_Format(PyExc_TypeError, at == most ? "no parameter `%U`" : "parameter `%U` is given twice",
                PyTuple_GetItem(names, n));
            return NULL;
        }
        all[at] = named[n];
    }
    return call(self, all, total);
}

static PyObject* function_vectorcall(PyObject* self, PyObject* const* args, size_t flagged_count, PyObject* names) {
    Py_ssize_t count = (Py_ssize_t)(flagged_count & (SIZE_MAX >> 1)); /* the top bit is CPython's */
    if (RL_LIKELY(!names || PyTuple_Size(names) == 0)) return call((function_t*)self, args, count);
    return call_named((function_t*)self, args, count, names, args + count);
}

/* For callers that have a tuple. */
static PyObject* function_call(PyObject* self, PyObject* args, PyObject* named) {
    PyObject* few[MOST + 1];
    Py_ssize_t count = PyTuple_Size(args);
    for (Py_ssize_t i = 0; i < count && i <= MOST; i++) few[i] = PyTuple_GetItem(args, i);
    if (RL_LIKELY(!named || PyDict_Size(named) == 0)) return call((function_t*)self, few, count);
    if (count > MOST || PyDict_Size(named) > MOST) {
        PyErr_SetString(PyExc_TypeError, "too many arguments");
        return NULL;
    }
    PyObject* values[MOST];
    PyObject* names = PyTuple_New(PyDict_Size(named));
    PyObject *key, *value;
    Py_ssize_t at = 0, position = 0;
    while (names && PyDict_Next(named, &position, &key, &value)) {
        values[at] = value;
        PyTuple_SetItem(names, at++, Py_NewRef(key));
    }
    PyObject* result = names ? call_named((function_t*)self, few, count, names, values) : NULL;
    Py_XDECREF(names);
    return result;
}

/* --- batches ---------------------------------------------------------------------------------------------------------------- */

typedef struct column {
    Py_buffer view; /* obj NULL: a scalar */
    bool held;
    rl_word_t scalar;
} column_t;

static uint32_t column_kind(const rl_rtype_t* type) {
    switch (type->kind) {
    case RL_TYPE_I64: return REML_COLUMN_I64;
    case RL_TYPE_F64: return REML_COLUMN_F64;
    case RL_TYPE_BOOL: return REML_COLUMN_BOOL;
    default: return 0;
    }
}

/* Native formats only: int64 as "q" or "l", double as "d", bool as "?". */
static bool format_fits(const char* format, Py_ssize_t item_size, uint32_t kind) {
    const uint16_t probe = 1;
    bool little = *(const uint8_t*)&probe == 1;
    if (!format) return false;
    if (*format == '@' || *format == '=' || *format == (little ? '<' : '>')) format++;
    if (!format[0] || format[1]) return false;
    switch (kind) {
    case REML_COLUMN_I64: return item_size == 8 && (*format == 'q' || *format == 'l' || *format == 'n');
    case REML_COLUMN_F64: return item_size == 8 && *format == 'd';
    default: return item_size == 1 && *format == '?';
    }
}

static const char* column_name(uint32_t kind) {
    return kind == REML_COLUMN_I64 ? "int64" : kind == REML_COLUMN_F64 ? "float64" : "bool";
}

/* Read a column: a one-dimensional buffer, or a scalar that all rows see. */
static bool open_column(border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* object,
    Py_ssize_t index, bool writable, column_t* column, reml_column_t* out) {
    *out = (reml_column_t){.kind = column_kind(type)};
    if (!out->kind) {
        PyErr_SetString(PyExc_TypeError, "only functions of Int, Float and Bool can be mapped over columns");
        return false;
    }
    if (!PyObject_CheckBuffer(object)) {
        if (writable) {
            PyErr_SetString(PyExc_TypeError, "out must have the buffer protocol");
            return false;
        }
        rl_context_freeze(context);
        bool done = border_from_python(border, context, type, object, "columns", index, &column->scalar);
        rl_context_thaw(context);
        out->data = &column->scalar;
        if (done && out->kind == REML_COLUMN_BOOL) *(uint8_t*)out->data = (uint8_t)column->scalar.u;
        return done;
    }
    if (PyObject_GetBuffer(object, &column->view, (writable ? PyBUF_STRIDED : PyBUF_STRIDED_RO) | PyBUF_FORMAT) < 0)
        return false;
    column->held = true;
    const Py_buffer* view = &column->view;
    if (!format_fits(view->format, view->itemsize, out->kind)) {
        PyErr_Format(PyExc_TypeError, "%s %zd must hold %s, its format is `%s`", writable ? "output" : "column", index,
            column_name(out->kind), view->format ? view->format : "B");
        return false;
    }
    if (view->ndim > 1 || (writable && view->ndim != 1)) {
        PyErr_Format(PyExc_ValueError, "%s %zd must have one dimension, it has %d", writable ? "output" : "column",
            index, view->ndim);
        return false;
    }
    out->data = view->buf;
    out->stride = view->ndim == 0 ? 0 : view->strides[0];
    return true;
}

/* Rows of the batch: the length of the columns that are no scalars, which must agree. */
static bool count_rows(const column_t* columns, Py_ssize_t count, Py_ssize_t* out) {
    *out = -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!columns[i].held || columns[i].view.ndim == 0) continue;
        Py_ssize_t rows = columns[i].view.shape[0];
        if (*out >= 0 && rows != *out) {
            PyErr_Format(PyExc_ValueError, "column %zd has %zd rows, the columns before it have %zd", i, rows, *out);
            return false;
        }
        *out = rows;
    }
    if (*out >= 0) return true;
    PyErr_SetString(PyExc_TypeError, "at least one column must be a buffer");
    return false;
}

static PyObject* run_batch(function_t* self, rl_context_t* context, const rl_proto_t* proto, const column_t* columns,
    const reml_column_t* inputs, PyObject* given, PyObject* out_or_null) {
    border_t* border = self->border;
    Py_ssize_t rows;
    if (!count_rows(columns, proto->param_count, &rows)) return NULL;
    const char* code = proto->result_type->kind == RL_TYPE_I64   ? "q"
                       : proto->result_type->kind == RL_TYPE_F64 ? "d"
                                                                 : "?";
    PyObject* out =
        out_or_null ? Py_NewRef(out_or_null) : PyObject_CallMethod(border->support, "column", "snO", code, rows, given);
    if (!out) return NULL;
    column_t target = {.held = false};
    reml_column_t output;
    bool done = open_column(border, context, proto->result_type, out, 0, true, &target, &output);
    if (done && target.view.shape[0] != rows) {
        PyErr_Format(PyExc_ValueError, "out has %zd rows, the columns have %zd", target.view.shape[0], rows);
        done = false;
    }
    if (done) {
        size_t finished;
        bool outer = border_enter(border);
        reml_embed_status_t status =
            reml_function_map(border->id, self->function, inputs, proto->param_count, &output, (size_t)rows, &finished);
        border_leave(border, outer);
        done = border_finish(border, status);
        if (!done && finished < (size_t)rows) {
            PyObject *type, *value, *traceback;
            PyErr_Fetch(&type, &value, &traceback);
            PyErr_NormalizeException(&type, &value, &traceback);
            PyObject* noted =
                value ? PyObject_CallMethod(border->support, "note_row", "On", value, (Py_ssize_t)finished) : NULL;
            if (!noted) PyErr_Clear();
            Py_XDECREF(noted);
            PyErr_Restore(type, value, traceback);
        }
    }
    if (target.held) PyBuffer_Release(&target.view);
    if (!done) Py_CLEAR(out);
    return out;
}

static PyObject* function_map(PyObject* self_object, PyObject* args, PyObject* named) {
    function_t* self = (function_t*)self_object;
    PyObject* out = named ? PyDict_GetItemString(named, "out") : NULL;
    if (named && PyDict_Size(named) > (out ? 1 : 0)) {
        PyErr_SetString(PyExc_TypeError, "map() takes columns, and `out` by name");
        return NULL;
    }
    if (out == Py_None) out = NULL;
    rl_function_entry_t* entry;
    rl_context_t* context = find(self->border, self->function, &entry);
    if (!context) return NULL;
    const rl_proto_t* proto = entry->proto;
    Py_ssize_t count = PyTuple_Size(args);
    if (count != proto->param_count) return wrong_count(proto, count);
    if (count > MOST_COLUMNS || !entry->scalar) {
        PyErr_SetString(PyExc_TypeError, "only functions of Int, Float and Bool can be mapped over columns");
        return NULL;
    }
    column_t columns[MOST_COLUMNS];
    reml_column_t inputs[MOST_COLUMNS];
    Py_ssize_t opened = 0;
    bool done = true;
    for (; done && opened < count; opened++) {
        columns[opened].held = false;
        done = open_column(self->border, context, proto->param_types[opened], PyTuple_GetItem(args, opened), opened,
            false, &columns[opened], &inputs[opened]);
    }
    /* Looking at foreign buffers may have run Python code: look again at what may have gone. */
    if (done && !find(self->border, self->function, &entry)) done = false;
    PyObject* result = done ? run_batch(self, context, entry->proto, columns, inputs, args, out) : NULL;
    while (opened > 0) {
        if (columns[--opened].held) PyBuffer_Release(&columns[opened].view);
    }
    return result;
}

/* --- the type ----------------------------------------------------------------------------------------------------------------- */

static bool is_plain(const rl_rtype_t* type, bool result) {
    return type->kind == RL_TYPE_I64 || type->kind == RL_TYPE_F64 || type->kind == RL_TYPE_BOOL ||
           (result && type->kind == RL_TYPE_UNIT);
}

/* Does Python get a copy, so that nothing is left to release? */
static bool is_copied(const rl_rtype_t* type) {
    switch (rl_kind_of(type)) {
    case REML_KIND_STRUCT:
    case REML_KIND_VEC:
    case REML_KIND_TABLE:
    case REML_KIND_CELL:
    case REML_KIND_RANGE:
    case REML_KIND_ITER:
    case REML_KIND_HOST:
    case REML_KIND_FUTURE:
    case REML_KIND_TASK:
    case REML_KIND_CLOSURE:
    case REML_KIND_ANY: return false;
    default: return true;
    }
}

void border_expect_handle(rl_context_t* context, const function_t* function, bool handle) {
    rl_function_entry_t* entry = function->entry;
    if (!entry || !entry->proto || entry->generation != (uint32_t)(function->function.id >> 32)) return;
    if (entry->tally.result == RL_AUDIT_RETURN_SCALAR) return;
    rl_audit_return_t wanted =
        handle || !is_copied(entry->proto->result_type) ? RL_AUDIT_RETURN_PENDING : RL_AUDIT_RETURN_TRANSFERRED;
    if (entry->tally.result == wanted) return;
    rl_audit_tally_set_row(&context->audit, &entry->tally, entry->tally.ownership, wanted);
}

PyObject* border_function_object(border_t* border, reml_function_t function) {
    allocfunc allocate = (allocfunc)PyType_GetSlot(border->function_type, Py_tp_alloc);
    function_t* made = (function_t*)allocate(border->function_type, 0);
    if (!made) {
        border_release_later(border, function);
        return NULL;
    }
    made->border = (border_t*)Py_NewRef((PyObject*)border);
    made->function = function;
    made->scalars = UINT8_MAX;
    rl_context_t* context = border_context_fast(border);
    rl_function_entry_t* entry;
    if (context && rl_function_find_entry(context, function, &entry) == REML_EMBED_STATUS_OK) {
        const rl_proto_t* proto = entry->proto;
        bool plain =
            entry->scalar && proto->param_count <= RL_COUNT_OF(made->kinds) && is_plain(proto->result_type, true);
        for (uint16_t i = 0; plain && i < proto->param_count; i++) {
            made->kinds[i] = proto->param_types[i]->kind;
            plain = is_plain(proto->param_types[i], false);
        }
        made->entry = entry;
        made->result_kind = proto->result_type->kind;
        if (plain) made->scalars = (uint8_t)proto->param_count;
        border_expect_handle(context, made, false);
    }
    made->vectorcall = function_vectorcall;
    return (PyObject*)made;
}

static int function_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((function_t*)self)->border);
    return 0;
}
static int function_clear(PyObject* self) {
    function_t* function = (function_t*)self;
    if (function->border) border_release_later(function->border, function->function);
    Py_CLEAR(function->border);
    return 0;
}
static void function_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    function_clear(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF((PyObject*)type);
}

static bool entry_of(PyObject* self, rl_context_t** out_context, rl_function_entry_t** out_entry) {
    function_t* function = (function_t*)self;
    *out_context = find(function->border, function->function, out_entry);
    return *out_context != NULL;
}

static PyObject* get_name(PyObject* self, void* closure) {
    (void)closure;
    rl_context_t* context;
    rl_function_entry_t* entry;
    if (!entry_of(self, &context, &entry)) return NULL;
    return PyUnicode_DecodeUTF8(entry->proto->name.data, (Py_ssize_t)entry->proto->name.length, "replace");
}
static PyObject* get_signature(PyObject* self, void* closure) {
    (void)closure;
    function_t* function = (function_t*)self;
    rl_context_t* context;
    rl_function_entry_t* entry;
    char* text;
    size_t length;
    if (!entry_of(self, &context, &entry)) return NULL;
    reml_embed_status_t status = reml_function_signature(function->border->id, function->function, &text, &length);
    if (status != REML_EMBED_STATUS_OK) return border_raise(function->border, status);
    PyObject* signature = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
    reml_embed_free(text);
    return signature;
}
static PyObject* get_parameters(PyObject* self, void* closure) {
    (void)closure;
    rl_context_t* context;
    rl_function_entry_t* entry;
    if (!entry_of(self, &context, &entry)) return NULL;
    const rl_function_t* function = rl_program_function(&context->program, entry->proto->function);
    PyObject* names = PyTuple_New(entry->proto->param_count);
    for (uint16_t i = 0; names && i < entry->proto->param_count; i++) {
        rl_sym_t symbol =
            i < function->param_count ? rl_program_param(&context->program, function->param_first + i)->name : 0;
        rl_str_t text = symbol ? rl_sym_text(&context->program.symbols, symbol) : RL_STR("_");
        PyObject* name = PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.length, "replace");
        if (!name) Py_CLEAR(names);
        else PyTuple_SetItem(names, i, name);
    }
    return names;
}
static PyObject* get_module(PyObject* self, void* closure) {
    (void)closure;
    rl_context_t* context;
    rl_function_entry_t* entry;
    if (!entry_of(self, &context, &entry)) return NULL;
    rl_str_t path =
        rl_sym_text(&context->program.symbols, rl_program_module(&context->program, entry->proto->module)->path);
    return PyUnicode_DecodeUTF8(path.data, (Py_ssize_t)path.length, "replace");
}
static PyObject* get_context(PyObject* self, void* closure) {
    (void)closure;
    function_t* function = (function_t*)self;
    return function->border ? PyObject_GetAttrString(function->border->support, "context") : Py_NewRef(Py_None);
}
static PyObject* get_handle(PyObject* self, void* closure) {
    (void)closure;
    function_t* function = (function_t*)self;
    return Py_BuildValue(
        "KK", (unsigned long long)function->function.context, (unsigned long long)function->function.id);
}
static PyObject* function_repr(PyObject* self) {
    PyObject* name = get_name(self, NULL);
    PyObject* signature = name ? get_signature(self, NULL) : NULL;
    PyObject* text = signature ? PyUnicode_FromFormat("<Function %U: %U>", name, signature) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(signature);
    if (text) return text;
    PyErr_Clear(); /* of a context that is gone */
    return PyUnicode_FromString("<Function of a closed context>");
}
static PyObject* function_reduce(PyObject* self, PyObject* unused) {
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "cannot pickle a Function: it lives in its context");
    return NULL;
}

static PyGetSetDef function_getset[] = {
    {"name", get_name, NULL, "Name of the function; ``<fn lambda>`` for a lambda.", NULL},
    {"__name__", get_name, NULL, "The same as name.", NULL},
    {"signature", get_signature, NULL, "Type of the function as Reml writes it: ``(Int, Int) -> Int``.", NULL},
    {"parameters", get_parameters, NULL, "Names of the parameters; ``_`` for those without one.", NULL},
    {"module", get_module, NULL, "Path of the module that it is declared in.", NULL},
    {"context", get_context, NULL, "The Context it belongs to.", NULL},
    {"_handle", get_handle, NULL, "reml_function_t.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyMethodDef function_methods[] = {
    {"map", (PyCFunction)(void (*)(void))function_map, METH_VARARGS | METH_KEYWORDS,
        "map(*columns, out=None)\n--\n\n"
        "Call the function for each row of *columns* in one crossing.\n\n"
        "Columns are one-dimensional buffers of int64, float64 or bool (NumPy arrays, array.array, memoryview; strides "
        "are\n"
        "honoured, nothing is copied) or scalars, which every row sees. The results go to *out*, or to a new array: a "
        "NumPy\n"
        "array when a column is one, else an array.array (for Bool a memoryview of format ``?``).\n\n"
        "Raises: TypeError or ValueError for columns that do not fit; RunError for the first row that fails, with its "
        "number\n"
        "in a note and in ``error.row``; rows before it are written."},
    {"__reduce__", function_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyMemberDef function_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(function_t, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot function_slots[] = {
    {Py_tp_doc, "A function of a module: call it with Python values. Made by ``module[\"name\"]``."},
    {Py_tp_dealloc, function_dealloc},
    {Py_tp_traverse, function_traverse},
    {Py_tp_clear, function_clear},
    {Py_tp_repr, function_repr},
    {Py_tp_getset, function_getset},
    {Py_tp_methods, function_methods},
    {Py_tp_members, function_members},
    {Py_tp_call, function_call},
    {0, NULL},
};
PyType_Spec border_function_spec = {
    .name = "reml_embed.Function",
    .basicsize = sizeof(function_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE |
             BORDER_HAVE_VECTORCALL,
    .slots = function_slots,
};
