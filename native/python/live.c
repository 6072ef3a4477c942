/* Values that live in the context, seen through handles: what the proxies of reml_embed/values.py are made of. */
#include "border.h"

#include "vm/core/border.h"
#include "vm/core/collections.h"

/* A copy of a handle's row: rows move when handles are made. False: an exception is set. */
static bool read_handle(border_t* border, PyObject* tuple, rl_context_t** out_context, rl_handle_t* out) {
    unsigned int kind, serial;
    unsigned long long bits;
    if (!PyTuple_Check(tuple) || !PyArg_ParseTuple(tuple, "IIK", &kind, &serial, &bits)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "not a handle");
        return false;
    }
    *out_context = border_context(border);
    if (!*out_context) return false;
    rl_handle_t* row;
    reml_embed_status_t status = rl_handle_find(*out_context, (reml_value_t){kind, serial, bits}, &row);
    if (status != REML_EMBED_STATUS_OK) {
        rl_context_fail(*out_context, status, RL_CODE_FFI_WRAP_OWNERSHIP_VIOLATION,
            "the value was released, or is not of this context");
        border_raise(border, status);
        return false;
    }
    *out = *row;
    return true;
}

static PyObject* show(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    rl_context_freeze(context);
    PyObject* shown = border_to_python(border, context, type, word);
    rl_context_thaw(context);
    return shown;
}

/* value(kind, context, bits): the Python form of any value of the border. */
PyObject* border_value(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    unsigned int kind, serial;
    unsigned long long bits;
    if (!PyArg_ParseTuple(args, "IIK", &kind, &serial, &bits)) return NULL;
    rl_word_t word = {.u = bits};
    if (serial != 0) {
        rl_context_t* context;
        rl_handle_t row;
        return read_handle(border, args, &context, &row) ? show(border, context, row.type, row.word) : NULL;
    }
    static const uint8_t scalars[] = {[REML_KIND_INT] = RL_TYPE_I64,
        [REML_KIND_FLOAT] = RL_TYPE_F64,
        [REML_KIND_BOOL] = RL_TYPE_BOOL,
        [REML_KIND_CHAR] = RL_TYPE_CHAR,
        [REML_KIND_UNIT] = RL_TYPE_UNIT,
        [REML_KIND_DURATION] = RL_TYPE_DURATION,
        [REML_KIND_TIMESTAMP] = RL_TYPE_TIMESTAMP};
    if (kind == REML_KIND_NONE || kind >= RL_COUNT_OF(scalars) || !scalars[kind]) {
        PyErr_SetString(PyExc_ValueError, "not a value");
        return NULL;
    }
    rl_context_t* context = border_context(border);
    const rl_rtype_t* type = context ? rl_rtype_of(&context->compiler, scalars[kind]) : NULL;
    if (!context) return NULL;
    return type ? show(border, context, type, word) : PyErr_NoMemory();
}

/* length(handle) of a Vec or Table */
PyObject* border_length(PyObject* self, PyObject* handle) {
    rl_context_t* context;
    rl_handle_t row;
    if (!read_handle((border_t*)self, handle, &context, &row)) return NULL;
    return PyLong_FromSize_t(rl_border_length(row.type, row.word));
}

/* items(handle): a list of the items of a Vec, of the (key, value) pairs of a Table. */
PyObject* border_items(PyObject* self, PyObject* handle) {
    border_t* border = (border_t*)self;
    rl_context_t* context;
    rl_handle_t row;
    if (!read_handle(border, handle, &context, &row)) return NULL;
    bool pairs = rl_kind_of(row.type) == REML_KIND_TABLE;
    PyObject* list = PyList_New(0);
    rl_cursor_t cursor;
    rl_word_t first, second = {.u = 0};
    rl_context_freeze(context);
    rl_cursor_begin(&cursor, row.word.o);
    while (list && rl_cursor_next(&cursor, &first, &second)) {
        PyObject* item = border_to_python(border, context, row.type->args[0], first);
        if (item && pairs) {
            PyObject* value = border_to_python(border, context, row.type->args[1], second);
            PyObject* pair = value ? PyTuple_Pack(2, item, value) : NULL;
            Py_XDECREF(value);
            Py_DECREF(item);
            item = pair;
        }
        if (!item || PyList_Append(list, item) < 0) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    rl_context_thaw(context);
    return list;
}

/* item(handle, index) of a Vec */
PyObject* border_item(PyObject* self, PyObject* args) {
    PyObject* handle;
    Py_ssize_t index;
    rl_context_t* context;
    rl_handle_t row;
    rl_word_t item;
    if (!PyArg_ParseTuple(args, "On", &handle, &index) || !read_handle((border_t*)self, handle, &context, &row))
        return NULL;
    if (index < 0 || !rl_border_item(row.type, row.word, (size_t)index, NULL, &item)) {
        PyErr_SetString(PyExc_IndexError, "index out of range");
        return NULL;
    }
    return show((border_t*)self, context, row.type->args[0], item);
}

/* --- structs -------------------------------------------------------------------------------------------------------------- */

/* fields(handle): names in stored order */
PyObject* border_fields(PyObject* self, PyObject* handle) {
    rl_context_t* context;
    rl_handle_t row;
    if (!read_handle((border_t*)self, handle, &context, &row)) return NULL;
    uint16_t count = row.type->shape_count ? row.type->shapes[0].field_count : 0;
    PyObject* names = PyTuple_New(count);
    for (uint16_t i = 0; names && i < count; i++) {
        rl_str_t text = row.type->shapes[0].fields[i].name;
        PyObject* name = PyUnicode_FromStringAndSize(text.data, (Py_ssize_t)text.length);
        if (!name) Py_CLEAR(names);
        else PyTuple_SetItem(names, i, name);
    }
    return names;
}

static const rl_rfield_t* find_field(const rl_handle_t* row, PyObject* name) {
    Py_ssize_t length;
    const char* text = PyUnicode_AsUTF8AndSize(name, &length);
    if (!text) return NULL;
    const rl_rtype_t* type = row->type;
    for (uint16_t i = 0; rl_kind_of(type) == REML_KIND_STRUCT && i < type->shapes[0].field_count; i++) {
        if (rl_str_equal(type->shapes[0].fields[i].name, (rl_str_t){text, (size_t)length}))
            return &type->shapes[0].fields[i];
    }
    PyObject* known = PyUnicode_FromStringAndSize(type->name.data, (Py_ssize_t)type->name.length);
    if (known) PyErr_Format(PyExc_AttributeError, "%U has no field `%U`", known, name);
    Py_XDECREF(known);
    return NULL;
}

/* field(handle, name) */
PyObject* border_field(PyObject* self, PyObject* args) {
    PyObject *handle, *name;
    rl_context_t* context;
    rl_handle_t row;
    if (!PyArg_ParseTuple(args, "OU", &handle, &name) || !read_handle((border_t*)self, handle, &context, &row))
        return NULL;
    const rl_rfield_t* field = find_field(&row, name);
    return field ? show((border_t*)self, context, field->type, rl_object_words(row.word.o)[field->slot]) : NULL;
}

/* set_field(handle, name, value) */
PyObject* border_set_field(PyObject* self, PyObject* args) {
    border_t* border = (border_t*)self;
    PyObject *handle, *name, *value;
    rl_context_t* context;
    rl_handle_t row;
    rl_word_t word;
    if (!PyArg_ParseTuple(args, "OUO", &handle, &name, &value) || !read_handle(border, handle, &context, &row))
        return NULL;
    const rl_rfield_t* field = find_field(&row, name);
    if (!field) return NULL;
    rl_context_freeze(context);
    const char* root = PyUnicode_AsUTF8AndSize(name, NULL);
    bool done = root && border_from_python(border, context, field->type, value, root, -1, &word);
    if (done) {
        rl_word_t* slot = &rl_object_words(row.word.o)[field->slot];
        if (field->type->rep == RL_REP_R) rl_heap_barrier_old(&context->vm.heap, slot->o);
        *slot = word;
    }
    rl_context_thaw(context);
    return done ? Py_NewRef(Py_None) : NULL;
}

/* --- methods of the core library ------------------------------------------------------------------------------------------- */

/* The method of a collection's type, compiled for it; NULL: an exception is set. */
static const rl_proto_t* find_method(
    border_t* border, rl_context_t* context, const rl_rtype_t* type, const char* name) {
    rl_type_t arguments[4];
    rl_sym_t symbol = rl_sym_find(&context->program.symbols, rl_str(name));
    rl_fn_id_t id =
        symbol && type->kind == RL_TYPE_NAMED
            ? rl_program_find_method(&context->program, rl_type_node(&context->program.types, type->type)->a, symbol)
            : 0;
    if (!id || rl_program_function(&context->program, id)->type_params != type->arg_count ||
        type->arg_count > RL_COUNT_OF(arguments)) {
        PyErr_Format(PyExc_AttributeError, "no method `%s`", name);
        return NULL;
    }
    for (uint16_t i = 0; i < type->arg_count; i++) arguments[i] = type->args[i]->type;
    rl_proto_t* proto = rl_pipeline_instance(context, id, arguments, type->arg_count, false);
    if (!proto) border_raise(border, rl_status_of_code(context->error_code));
    return proto;
}

static reml_embed_status_t run_method(
    rl_context_t* context, const rl_proto_t* proto, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result) {
    reml_embed_status_t status = rl_run_begin(context);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (rl_vm_call(&context->vm, proto, s, r, result) != RL_DONE) status = rl_context_fail_from_vm(context);
    rl_run_end(context);
    return status;
}

/* method(handle, name, *args): what Reml's own `value.name(args)` does, with its checks, limits and iterator rules. */
PyObject* border_method(PyObject* self, PyObject* args) {
    enum { MOST = 4 };
    border_t* border = (border_t*)self;
    rl_context_t* context;
    rl_handle_t row;
    Py_ssize_t count = PyTuple_Size(args);
    if (count < 2 || count > MOST + 2) {
        PyErr_SetString(PyExc_TypeError, "method(handle, name, *args)");
        return NULL;
    }
    const char* name = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(args, 1), NULL);
    if (!name || !read_handle(border, PyTuple_GetItem(args, 0), &context, &row)) return NULL;
    const rl_proto_t* proto = find_method(border, context, row.type, name);
    if (!proto) return NULL;
    if (proto->param_count != count - 1) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d arguments, got %zd", name, proto->param_count - 1, count - 2);
        return NULL;
    }
    rl_word_t s[MOST + 1], result;
    rl_object_t* r[MOST + 1] = {row.word.o};
    unsigned s_count = 0, r_count = 1;
    rl_context_freeze(context);
    bool done = true;
    for (Py_ssize_t i = 2; done && i < count; i++) {
        rl_word_t word;
        const rl_rtype_t* type = proto->param_types[i - 1];
        done = border_from_python(border, context, type, PyTuple_GetItem(args, i), name, i - 2, &word);
        if (type->rep == RL_REP_R) r[r_count++] = word.o;
        else s[s_count++] = word;
    }
    rl_context_thaw(context);
    if (!done) return NULL;
    rl_context_clear_error(context);
    bool outer = border_enter(border);
    reml_embed_status_t status = run_method(context, proto, s, r, &result);
    border_leave(border, outer);
    if (status != REML_EMBED_STATUS_OK || border->pending) {
        border_finish(border, status);
        return NULL;
    }
    return show(border, context, proto->result_type, result);
}

/* same(handle, handle): are both the same object? */
PyObject* border_same(PyObject* self, PyObject* args) {
    PyObject *a, *b;
    rl_context_t* context;
    rl_handle_t first, second;
    if (!PyArg_ParseTuple(args, "OO", &a, &b)) return NULL;
    if (!read_handle((border_t*)self, a, &context, &first) || !read_handle((border_t*)self, b, &context, &second))
        return NULL;
    return PyBool_FromLong(first.word.u == second.word.u);
}

/* identity(handle): a number that two handles of one object share; objects do not move. */
PyObject* border_identity(PyObject* self, PyObject* handle) {
    rl_context_t* context;
    rl_handle_t row;
    if (!read_handle((border_t*)self, handle, &context, &row)) return NULL;
    return PyLong_FromUnsignedLongLong(row.word.u);
}
