/* Python objects ⇄ words, exactly or not at all (CONTRACTS 2.7a). */
#include "border.h"

#include "vm/core/border.h"
#include "vm/core/collections.h"

/* --- where we are in a nested value, for error messages ------------------------------------------------------------ */

typedef struct place {
    const struct place* outer;
    const char* field;   /* ".name", or NULL: "[index]" */
    size_t field_length;
    Py_ssize_t index;
} place_t;

typedef struct conversion {
    border_t* border;
    rl_context_t* context;
    const char* root; /* "args", "result" */
} conversion_t;

static void print_place(const conversion_t* conversion, const place_t* place, rl_buf_t* out) {
    if (place->outer) print_place(conversion, place->outer, out);
    else rl_buf_add_cstr(out, conversion->root);
    if (place->field) {
        rl_buf_add_char(out, '.');
        rl_buf_add(out, (rl_str_t){place->field, place->field_length});
    } else if (place->index >= 0) {
        rl_buf_add_char(out, '[');
        rl_buf_add_i64(out, place->index);
        rl_buf_add_char(out, ']');
    }
}

static bool fail(const conversion_t* conversion, const place_t* place, PyObject* exception, const rl_rtype_t* type, PyObject* object, const char* why) {
    rl_buf_t where, expected;
    rl_buf_init(&where, &conversion->context->allocator);
    rl_buf_init(&expected, &conversion->context->allocator);
    print_place(conversion, place, &where);
    rl_type_print(&conversion->context->program, type->type, &expected);
    PyObject* kind = PyType_GetName(Py_TYPE(object));
    PyErr_Format(exception, "expected %s, got %S%s%s at %s", rl_buf_cstr(&expected), kind, why ? ": " : "", why ? why : "", rl_buf_cstr(&where));
    Py_XDECREF(kind);
    rl_buf_deinit(&where);
    rl_buf_deinit(&expected);
    return false;
}

static bool no_memory(const conversion_t* conversion) {
    rl_alloc_clear_failure(&conversion->context->allocator);
    PyErr_NoMemory();
    return false;
}

/* --- from Python ----------------------------------------------------------------------------------------------------- */

static bool convert(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out);

static bool convert_integer(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    if (!PyLong_Check(object) || PyBool_Check(object)) return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    if (type->kind == RL_TYPE_U64) {
        out->u = PyLong_AsUnsignedLongLong(object);
    } else {
        out->i = PyLong_AsLongLong(object);
    }
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return fail(conversion, place, PyExc_OverflowError, type, object, "out of range");
    }
    if (!rl_scalar_fits(type, (reml_scalar_t){.i = out->i})) return fail(conversion, place, PyExc_OverflowError, type, object, "out of range");
    return true;
}

static bool convert_float(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    if (PyFloat_Check(object)) {
        out->f = PyFloat_AsDouble(object);
    } else if (PyLong_Check(object) && !PyBool_Check(object)) {
        /* An int goes in when it is exactly a double. */
        long long number = PyLong_AsLongLong(object);
        bool exact = !PyErr_Occurred() && number >= -(1LL << 53) && number <= (1LL << 53);
        PyErr_Clear();
        if (!exact) return fail(conversion, place, PyExc_OverflowError, type, object, "not exactly a float");
        out->f = (double)number;
    } else {
        return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    if (type->kind == RL_TYPE_F32) out->f = (double)(float)out->f;
    return true;
}

static bool convert_text(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    Py_ssize_t length = 0;
    const char* data = NULL;
    if (type->kind == RL_TYPE_STR) {
        if (!PyUnicode_Check(object)) return fail(conversion, place, PyExc_TypeError, type, object, NULL);
        data = PyUnicode_AsUTF8AndSize(object, &length);
        if (!data) {
            PyErr_Clear();
            return fail(conversion, place, PyExc_ValueError, type, object, "lone surrogate");
        }
    } else {
        char* bytes = NULL;
        if (!PyBytes_Check(object) || PyBytes_AsStringAndSize(object, &bytes, &length) < 0) {
            PyErr_Clear();
            return fail(conversion, place, PyExc_TypeError, type, object, NULL);
        }
        data = bytes;
    }
    if ((uint64_t)length > conversion->context->limits.string_bytes) return fail(conversion, place, PyExc_ValueError, type, object, "longer than limit string_bytes");
    out->o = rl_string_new(&conversion->context->vm, (rl_str_t){data, (size_t)length}, type->kind == RL_TYPE_STR ? RL_OBJ_STR : RL_OBJ_BYTES);
    return out->o || no_memory(conversion);
}

static bool convert_char(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    if (!PyUnicode_Check(object) || PyUnicode_GetLength(object) != 1) return fail(conversion, place, PyExc_TypeError, type, object, "one character is needed");
    Py_UCS4 scalar = PyUnicode_ReadChar(object, 0);
    out->u = scalar;
    if (scalar >= 0xD800 && scalar < 0xE000) return fail(conversion, place, PyExc_ValueError, type, object, "lone surrogate");
    return true;
}

/* Duration and datetime live in Python; the package turns them into nanoseconds. */
static bool convert_time(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* number = PyObject_CallMethod(conversion->border->support, type->kind == RL_TYPE_DURATION ? "duration_in" : "timestamp_in", "O", object);
    if (!number) {
        PyErr_Clear();
        return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    out->i = PyLong_AsLongLong(number);
    Py_DECREF(number);
    if (!PyErr_Occurred()) return true;
    PyErr_Clear();
    return fail(conversion, place, PyExc_OverflowError, type, object, "out of range");
}

static bool make_object(const conversion_t* conversion, const rl_rshape_t* shape, const rl_word_t* words, rl_word_t* out) {
    if (shape->words == 0 && shape->tag < 256) {
        out->o = &rl_nullary_objects[shape->tag];
        return true;
    }
    rl_object_t* object = rl_heap_new(&conversion->context->vm.heap, RL_OBJ_CELLS, shape->tag, shape->refs, shape->words);
    if (!object) return no_memory(conversion);
    for (uint16_t i = 0; i < shape->field_count; i++) rl_object_words(object)[shape->fields[i].slot] = words[i];
    out->o = object;
    return true;
}

/* Words of one conversion step: on the stack while few. */
typedef struct word_list {
    rl_word_t few[16];
    rl_word_t* words;
    size_t count;
} word_list_t;
static bool word_list_init(const conversion_t* conversion, word_list_t* list, size_t count) {
    list->count = count;
    list->words = count <= RL_COUNT_OF(list->few) ? list->few : rl_alloc(&conversion->context->allocator, count * sizeof(rl_word_t));
    return list->words || no_memory(conversion);
}
static void word_list_deinit(const conversion_t* conversion, word_list_t* list) {
    if (list->words && list->words != list->few) rl_free(&conversion->context->allocator, list->words, list->count * sizeof(rl_word_t));
}

/* Items of a tuple or list given in order, each of its own type. */
static bool convert_tuple(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    const rl_rshape_t* shape = &type->shapes[0];
    if (!PyTuple_Check(object)) return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    if (PyTuple_Size(object) != shape->field_count) return fail(conversion, place, PyExc_TypeError, type, object, "wrong number of elements");
    word_list_t list;
    bool done = word_list_init(conversion, &list, shape->field_count);
    for (uint16_t i = 0; done && i < shape->field_count; i++) {
        place_t inner = {place, NULL, 0, i};
        done = convert(conversion, shape->fields[i].type, PyTuple_GetItem(object, i), &inner, &list.words[i]);
    }
    done = done && make_object(conversion, shape, list.words, out);
    word_list_deinit(conversion, &list);
    return done;
}

/* A field of a dict or of an object's attributes; new reference, NULL with or without exception. */
static PyObject* get_field(PyObject* object, rl_str_t name) {
    PyObject* key = PyUnicode_FromStringAndSize(name.data, (Py_ssize_t)name.length);
    if (!key) return NULL;
    PyObject* item = NULL;
    if (PyDict_Check(object)) {
        item = PyDict_GetItemWithError(object, key);
        Py_XINCREF(item);
    } else {
        item = PyObject_GetAttr(object, key);
        if (!item && PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    }
    Py_DECREF(key);
    return item;
}

static bool convert_fields(const conversion_t* conversion, const rl_rtype_t* type, const rl_rshape_t* shape, PyObject* object, const place_t* place, rl_word_t* out) {
    if (PyDict_Check(object) && PyDict_Size(object) != shape->field_count) {
        return fail(conversion, place, PyExc_TypeError, type, object, "its keys are not the fields");
    }
    word_list_t list;
    bool done = word_list_init(conversion, &list, shape->field_count);
    for (uint16_t i = 0; done && i < shape->field_count; i++) {
        const rl_rfield_t* field = &shape->fields[i];
        place_t inner = {place, field->name.data, field->name.length, 0};
        PyObject* item = get_field(object, field->name);
        if (item) done = convert(conversion, field->type, item, &inner, &list.words[i]);
        else done = PyErr_Occurred() ? false : fail(conversion, &inner, PyExc_TypeError, field->type, Py_None, "missing field");
        Py_XDECREF(item);
    }
    done = done && make_object(conversion, shape, list.words, out);
    word_list_deinit(conversion, &list);
    return done;
}

/* A list of what the object yields; sequences are taken as they are. New reference. */
static PyObject* as_list(PyObject* object) {
    if (PyList_Check(object) || PyTuple_Check(object)) return PySequence_List(object); /* a copy: converting may run Python code */
    if (PyUnicode_Check(object) || PyBytes_Check(object) || PyDict_Check(object)) return NULL;
    PyObject* list = PySequence_List(object);
    if (!list && PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Clear();
    return list;
}

static bool build(const conversion_t* conversion, const rl_rtype_t* type, word_list_t* list, rl_word_t* out) {
    rl_outcome_t outcome = rl_border_build(&conversion->context->vm, type, list->words, list->count, out);
    if (outcome == RL_DONE) return true;
    if (outcome != RL_RAISE) return no_memory(conversion);
    border_finish(conversion->border, rl_context_fail_from_vm(conversion->context));
    return false;
}

static bool convert_items(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* items = as_list(object);
    if (!items) return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
    word_list_t list;
    Py_ssize_t count = PyList_Size(items);
    bool done = word_list_init(conversion, &list, (size_t)count);
    for (Py_ssize_t i = 0; done && i < count; i++) {
        place_t inner = {place, NULL, 0, i};
        done = convert(conversion, type->args[0], PyList_GetItem(items, i), &inner, &list.words[i]);
    }
    done = done && build(conversion, type, &list, out);
    word_list_deinit(conversion, &list);
    Py_DECREF(items);
    return done;
}

static bool convert_mapping(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* entries = PyDict_Check(object) || PyMapping_Check(object) ? PyMapping_Items(object) : NULL;
    if (!entries) {
        PyErr_Clear();
        return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    word_list_t list;
    Py_ssize_t count = PyList_Size(entries);
    bool done = word_list_init(conversion, &list, (size_t)count * 2);
    for (Py_ssize_t i = 0; done && i < count; i++) {
        PyObject* entry = PyList_GetItem(entries, i);
        place_t inner = {place, NULL, 0, i};
        done = convert(conversion, type->args[0], PyTuple_GetItem(entry, 0), &inner, &list.words[2 * i]) &&
               convert(conversion, type->args[1], PyTuple_GetItem(entry, 1), &inner, &list.words[2 * i + 1]);
    }
    done = done && build(conversion, type, &list, out);
    word_list_deinit(conversion, &list);
    Py_DECREF(entries);
    return done;
}

static bool is_option(const conversion_t* conversion, const rl_rtype_t* type) {
    return rl_type_node(&conversion->context->program.types, type->type)->a == conversion->context->program.known.option;
}

static bool convert_option(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    const rl_rshape_t* none = &type->shapes[type->shapes[0].field_count == 0 ? 0 : 1];
    const rl_rshape_t* some = &type->shapes[type->shapes[0].field_count == 0 ? 1 : 0];
    if (object == Py_None) return make_object(conversion, none, NULL, out);
    rl_word_t payload;
    if (PyObject_IsInstance(object, conversion->border->class_some) == 1) {
        PyObject* value = PyObject_GetAttrString(object, "value");
        bool done = value && convert(conversion, some->fields[0].type, value, place, &payload);
        Py_XDECREF(value);
        return done && make_object(conversion, some, &payload, out);
    }
    return convert(conversion, some->fields[0].type, object, place, &payload) && make_object(conversion, some, &payload, out);
}

/* Which variant is this object of? Its class is one of the type's classes (Ok and Err for Result). */
static int variant_of(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object) {
    PyObject* classes = PyObject_CallMethod(conversion->border->support, "classes_of", "I", type->type);
    if (!classes) return -1;
    int found = -1;
    for (int i = 0; i < type->shape_count && found < 0; i++) {
        if (PyObject_IsInstance(object, PyTuple_GetItem(classes, i)) == 1) found = i;
    }
    Py_DECREF(classes);
    return found;
}

static bool convert_variant(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    int tag = variant_of(conversion, type, object);
    if (tag < 0) return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
    const rl_rshape_t* shape = &type->shapes[tag];
    if (type->is_enum) {
        out->u = (uint64_t)tag;
        return true;
    }
    /* Payloads are the attributes named in __match_args__. */
    PyObject* names = PyObject_GetAttrString((PyObject*)Py_TYPE(object), "__match_args__");
    word_list_t list;
    bool done = names && PyTuple_Check(names) && word_list_init(conversion, &list, shape->field_count);
    if (!done) {
        Py_XDECREF(names);
        return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    for (uint16_t i = 0; done && i < shape->field_count; i++) {
        PyObject* item = PyObject_GetAttr(object, PyTuple_GetItem(names, shape->record_payload ? 0 : i));
        place_t inner = {place, NULL, 0, i};
        const rl_rtype_t* part = type->payload ? type->payload : shape->fields[i].type;
        done = item && convert(conversion, part, item, &inner, &list.words[i]);
        Py_XDECREF(item);
    }
    if (done && type->payload) *out = list.words[0];
    else done = done && make_object(conversion, shape, list.words, out);
    word_list_deinit(conversion, &list);
    Py_DECREF(names);
    return done;
}

/* Objects that live in the context come back as the same value: proxies, functions, opaque ones carry a handle. */
static bool convert_handle(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* handle = PyObject_CallMethod(conversion->border->support, "handle_of", "O", object);
    if (!handle) {
        PyErr_Clear();
        return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    reml_value_t value = {0};
    bool read = PyTuple_Check(handle) && PyTuple_Size(handle) == 3;
    if (read) {
        value.kind = (uint32_t)PyLong_AsUnsignedLong(PyTuple_GetItem(handle, 0));
        value.context = (uint32_t)PyLong_AsUnsignedLong(PyTuple_GetItem(handle, 1));
        value.bits = PyLong_AsUnsignedLongLong(PyTuple_GetItem(handle, 2));
    }
    Py_DECREF(handle);
    rl_handle_t* row;
    if (!read || PyErr_Occurred() || rl_handle_find(conversion->context, value, &row) != REML_EMBED_STATUS_OK || row->type != type) {
        PyErr_Clear();
        return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    *out = row->word;
    return true;
}

static void drop_python_object(void* data, void* user) {
    (void)user;
    PyGILState_STATE state = PyGILState_Ensure(); /* the collector may run while the GIL is let go */
    Py_DECREF((PyObject*)data);
    PyGILState_Release(state);
}

/* An opaque host object holds the Python object itself. */
static bool convert_host(const conversion_t* conversion, PyObject* object, rl_word_t* out) {
    rl_object_t* made = rl_heap_new(&conversion->context->vm.heap, RL_OBJ_HOST, 0, 0, 3);
    if (!made) return no_memory(conversion);
    void (*destroy)(void*, void*) = drop_python_object;
    Py_INCREF(object);
    rl_object_words(made)[0].p = object;
    memcpy(&rl_object_words(made)[1], &destroy, sizeof destroy);
    out->o = made;
    return true;
}

static bool convert_any(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    /* The type that the object has by itself; collections of Any. */
    rl_type_t inner_type;
    rl_program_t* program = &conversion->context->program;
    rl_type_t any = RL_TYPE_ANY;
    if (PyBool_Check(object)) inner_type = RL_TYPE_BOOL;
    else if (PyLong_Check(object)) inner_type = RL_TYPE_I64;
    else if (PyFloat_Check(object)) inner_type = RL_TYPE_F64;
    else if (PyUnicode_Check(object)) inner_type = RL_TYPE_STR;
    else if (PyBytes_Check(object)) inner_type = RL_TYPE_BYTES;
    else if (object == Py_None) inner_type = RL_TYPE_UNIT;
    else if (PyList_Check(object) || PyTuple_Check(object)) inner_type = rl_type_named(&program->types, program->known.list, &any, 1);
    else if (PyDict_Check(object)) inner_type = rl_type_named(&program->types, program->known.map, (rl_type_t[]){RL_TYPE_STR, any}, 2);
    else {
        PyObject* known = PyObject_CallMethod(conversion->border->support, "type_of", "O", object);
        if (!known) {
            PyErr_Clear();
            return fail(conversion, place, PyExc_TypeError, type, object, NULL);
        }
        inner_type = (rl_type_t)PyLong_AsUnsignedLong(known);
        Py_DECREF(known);
    }
    const rl_rtype_t* inner = rl_rtype_of(&conversion->context->compiler, inner_type);
    rl_word_t word;
    if (!inner) return no_memory(conversion);
    if (!convert(conversion, inner, object, place, &word)) return false;
    rl_object_t* made = rl_heap_new(&conversion->context->vm.heap, RL_OBJ_ANY, 0, inner->rep == RL_REP_R ? 1 : 0, 2);
    if (!made) return no_memory(conversion);
    rl_object_words(made)[0] = word;
    rl_object_words(made)[1].p = (void*)(uintptr_t)inner;
    out->o = made;
    return true;
}

static bool convert_named(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    switch (rl_kind_of(type)) {
    case REML_KIND_ARRAY: case REML_KIND_SET: return convert_items(conversion, type, object, place, out);
    case REML_KIND_MAP: return convert_mapping(conversion, type, object, place, out);
    case REML_KIND_VEC:
        if (PyList_Check(object) || PyTuple_Check(object)) return convert_items(conversion, type, object, place, out);
        return convert_handle(conversion, type, object, place, out);
    case REML_KIND_TABLE:
        if (PyDict_Check(object)) return convert_mapping(conversion, type, object, place, out);
        return convert_handle(conversion, type, object, place, out);
    case REML_KIND_ADT:
        return is_option(conversion, type) ? convert_option(conversion, type, object, place, out) : convert_variant(conversion, type, object, place, out);
    case REML_KIND_RECORD: return convert_fields(conversion, type, &type->shapes[0], object, place, out);
    case REML_KIND_STRUCT:
        if (PyDict_Check(object)) return convert_fields(conversion, type, &type->shapes[0], object, place, out);
        return convert_handle(conversion, type, object, place, out);
    case REML_KIND_HOST: return convert_host(conversion, object, out);
    default: return convert_handle(conversion, type, object, place, out);
    }
}

static bool convert(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    out->u = 0;
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_UNIT: return object == Py_None || fail(conversion, place, PyExc_TypeError, type, object, NULL);
    case RL_TYPE_BOOL:
        out->u = object == Py_True;
        return PyBool_Check(object) || fail(conversion, place, PyExc_TypeError, type, object, NULL);
    case RL_TYPE_CHAR: return convert_char(conversion, type, object, place, out);
    case RL_TYPE_I8: case RL_TYPE_I16: case RL_TYPE_I32: case RL_TYPE_I64:
    case RL_TYPE_U8: case RL_TYPE_U16: case RL_TYPE_U32: case RL_TYPE_U64: return convert_integer(conversion, type, object, place, out);
    case RL_TYPE_F32: case RL_TYPE_F64: return convert_float(conversion, type, object, place, out);
    case RL_TYPE_STR: case RL_TYPE_BYTES: return convert_text(conversion, type, object, place, out);
    case RL_TYPE_DURATION: case RL_TYPE_TIMESTAMP: return convert_time(conversion, type, object, place, out);
    default: break;
    }
    if (Py_EnterRecursiveCall(" while converting a value for Reml")) return false;
    bool done;
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_ANY: done = convert_any(conversion, type, object, place, out); break;
    case RL_TYPE_TUPLE: done = convert_tuple(conversion, type, object, place, out); break;
    case RL_TYPE_RECORD: done = convert_fields(conversion, type, &type->shapes[0], object, place, out); break;
    case RL_TYPE_ARRAY: done = convert_items(conversion, type, object, place, out); break;
    case RL_TYPE_NAMED: done = convert_named(conversion, type, object, place, out); break;
    default: done = convert_handle(conversion, type, object, place, out); break;
    }
    Py_LeaveRecursiveCall();
    return done;
}

bool border_from_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* object, const char* root, Py_ssize_t index,
                        rl_word_t* out) {
    conversion_t conversion = {border, context, root};
    place_t place = {NULL, NULL, 0, index};
    return convert(&conversion, type, object, &place, out);
}

/* --- to Python ------------------------------------------------------------------------------------------------------------- */

static PyObject* show(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    return border_to_python(border, context, type, word);
}

static PyObject* show_text(rl_word_t word, bool bytes) {
    rl_str_t text = rl_string_str(word.o);
    return bytes ? PyBytes_FromStringAndSize(text.data, (Py_ssize_t)text.length) : PyUnicode_FromStringAndSize(text.data, (Py_ssize_t)text.length);
}

/* Fields in stored order as a tuple. */
static PyObject* show_fields(border_t* border, rl_context_t* context, const rl_rshape_t* shape, rl_word_t word) {
    PyObject* tuple = PyTuple_New(shape->field_count);
    for (uint16_t i = 0; tuple && i < shape->field_count; i++) {
        PyObject* item = show(border, context, shape->fields[i].type, rl_object_words(word.o)[shape->fields[i].slot]);
        if (!item || PyTuple_SetItem(tuple, i, item) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

/* The class, or tuple of classes, that the package made for a type; borrowed from the cache. */
static PyObject* classes_of(border_t* border, const rl_rtype_t* type) {
    PyObject* key = PyLong_FromUnsignedLong(type->type);
    if (!key) return NULL;
    PyObject* found = PyDict_GetItemWithError(border->classes, key);
    if (!found && !PyErr_Occurred()) {
        PyObject* made = PyObject_CallMethod(border->support, "classes_of", "O", key);
        if (made && PyDict_SetItem(border->classes, key, made) == 0) found = made;
        Py_XDECREF(made); /* the dict keeps it */
    }
    Py_DECREF(key);
    return found;
}

static PyObject* show_product(border_t* border, rl_context_t* context, const rl_rtype_t* type, int shape_index, rl_word_t word) {
    PyObject* classes = classes_of(border, type);
    PyObject* cls = classes ? PyTuple_GetItem(classes, shape_index) : NULL;
    if (!cls) return NULL;
    PyObject* fields = type->is_enum ? PyTuple_New(0) : show_fields(border, context, &type->shapes[shape_index], word);
    if (!fields) return NULL;
    PyObject* made = PyObject_CallObject(cls, fields);
    Py_DECREF(fields);
    return made;
}

static PyObject* show_option(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    const rl_rshape_t* shape = &type->shapes[word.o->tag];
    if (shape->field_count == 0) return Py_NewRef(Py_None);
    const rl_rtype_t* inner = shape->fields[0].type;
    PyObject* value = show(border, context, inner, rl_object_words(word.o)[shape->fields[0].slot]);
    if (!value || value != Py_None) {
        bool nested = value && inner->kind == RL_TYPE_NAMED && inner->def_kind == RL_DEF_SUM &&
                      rl_type_node(&context->program.types, inner->type)->a == context->program.known.option;
        if (!nested) return value;
    }
    /* None inside Some must stay told apart from None. */
    PyObject* some = PyObject_CallFunctionObjArgs(border->class_some, value, NULL);
    Py_DECREF(value);
    return some;
}

static PyObject* show_newtype(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    PyObject* classes = classes_of(border, type);
    PyObject* value = classes ? show(border, context, type->payload, word) : NULL;
    PyObject* made = value ? PyObject_CallFunctionObjArgs(PyTuple_GetItem(classes, 0), value, NULL) : NULL;
    Py_XDECREF(value);
    return made;
}

static PyObject* show_variant(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    rl_typedef_id_t def = rl_type_node(&context->program.types, type->type)->a;
    if (type->payload) return show_newtype(border, context, type, word);
    if (def == context->program.known.option) return show_option(border, context, type, word);
    int tag = type->is_enum ? (int)word.u : (int)word.o->tag;
    if (def == context->program.known.result) {
        const rl_rshape_t* shape = &type->shapes[tag];
        PyObject* value = show(border, context, shape->fields[0].type, rl_object_words(word.o)[shape->fields[0].slot]);
        PyObject* made = value ? PyObject_CallFunctionObjArgs(tag == 0 ? border->class_ok : border->class_err, value, NULL) : NULL;
        Py_XDECREF(value);
        return made;
    }
    return show_product(border, context, type, tag, word);
}

static PyObject* show_items(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word, bool set) {
    PyObject* list = PyList_New(0);
    rl_cursor_t cursor;
    rl_word_t item, unused;
    rl_cursor_begin(&cursor, word.o);
    while (list && rl_cursor_next(&cursor, &item, &unused)) {
        PyObject* shown = show(border, context, type->args[0], item);
        if (!shown || PyList_Append(list, shown) < 0) Py_CLEAR(list);
        Py_XDECREF(shown);
    }
    if (!list || !set) return list;
    PyObject* frozen = PyFrozenSet_New(list);
    Py_DECREF(list);
    return frozen;
}

static PyObject* show_map(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    PyObject* dict = PyDict_New();
    rl_cursor_t cursor;
    rl_word_t key_word, item;
    rl_cursor_begin(&cursor, word.o);
    while (dict && rl_cursor_next(&cursor, &key_word, &item)) {
        PyObject* key = show(border, context, type->args[0], key_word);
        PyObject* value = key ? show(border, context, type->args[1], item) : NULL;
        if (!value || PyDict_SetItem(dict, key, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

/* A live proxy over a handle with one owner, which the proxy releases. */
static PyObject* show_proxy(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    reml_value_t handle = rl_handle_new(context, type, word, false);
    if (handle.kind == REML_KIND_NONE) return PyErr_NoMemory();
    return PyObject_CallMethod(border->support, "proxy", "IIKI", handle.kind, handle.context, (unsigned long long)handle.bits, type->type);
}

static PyObject* show_time(border_t* border, rl_type_kind_t kind, int64_t nanoseconds) {
    return PyObject_CallMethod(border->support, kind == RL_TYPE_DURATION ? "duration_out" : "timestamp_out", "L", (long long)nanoseconds);
}

static PyObject* show_named(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    switch (rl_kind_of(type)) {
    case REML_KIND_ARRAY: return show_items(border, context, type, word, false);
    case REML_KIND_SET: return show_items(border, context, type, word, true);
    case REML_KIND_MAP: return show_map(border, context, type, word);
    case REML_KIND_ADT: return show_variant(border, context, type, word);
    case REML_KIND_RECORD: return show_product(border, context, type, 0, word);
    case REML_KIND_HOST: return Py_NewRef((PyObject*)rl_object_words(word.o)[0].p);
    default: return show_proxy(border, context, type, word);
    }
}

PyObject* border_to_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_UNIT: case RL_TYPE_NEVER: return Py_NewRef(Py_None);
    case RL_TYPE_BOOL: return PyBool_FromLong((long)word.i);
    case RL_TYPE_CHAR: {
        char bytes[4];
        return PyUnicode_FromStringAndSize(bytes, (Py_ssize_t)rl_utf8_encode((uint32_t)word.u, bytes));
    }
    case RL_TYPE_I8: case RL_TYPE_I16: case RL_TYPE_I32: case RL_TYPE_I64: return PyLong_FromLongLong(word.i);
    case RL_TYPE_U8: case RL_TYPE_U16: case RL_TYPE_U32: case RL_TYPE_U64: return PyLong_FromUnsignedLongLong(word.u);
    case RL_TYPE_F32: case RL_TYPE_F64: return PyFloat_FromDouble(word.f);
    case RL_TYPE_STR: return show_text(word, false);
    case RL_TYPE_BYTES: return show_text(word, true);
    case RL_TYPE_DURATION: case RL_TYPE_TIMESTAMP: return show_time(border, (rl_type_kind_t)type->kind, word.i);
    default: break;
    }
    if (Py_EnterRecursiveCall(" while converting a value from Reml")) return NULL;
    PyObject* shown;
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_ANY: shown = show(border, context, rl_object_words(word.o)[1].p, rl_object_words(word.o)[0]); break;
    case RL_TYPE_TUPLE: shown = show_fields(border, context, &type->shapes[0], word); break;
    case RL_TYPE_ARRAY: shown = show_items(border, context, type, word, false); break;
    case RL_TYPE_RECORD: shown = show_product(border, context, type, 0, word); break;
    case RL_TYPE_NAMED: shown = show_named(border, context, type, word); break;
    default: shown = show_proxy(border, context, type, word); break;
    }
    Py_LeaveRecursiveCall();
    return shown;
}
