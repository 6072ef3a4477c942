/* Python objects ⇄ words, exactly or not at all (CONTRACTS 2.7a). */
#include "border.h"

#include "vm/core/border.h"
#include "vm/foreign.h"
#include "vm/core/collections.h"

#include <stdlib.h>

/* --- where we are in a nested value, for error messages ------------------------------------------------------------ */

enum { DEEPEST = 1000 }; /* nested values; conversion recurses */

typedef struct place {
    const struct place* outer;
    const char* field; /* ".name", or NULL: "[index]" */
    size_t field_length;
    Py_ssize_t index; /* -1: nothing to show */
} place_t;

typedef struct conversion {
    border_t* border;
    rl_context_t* context;
    const char* root; /* "args", "result" */
} conversion_t;

static void print_place(const conversion_t* conversion, const place_t* place, unsigned levels, rl_buf_t* out) {
    if (place->outer && levels == 0) {
        /* Far inside: where it began, and the last steps. */
        const place_t* first = place;
        while (first->outer) first = first->outer;
        print_place(conversion, first, 0, out);
        rl_buf_add_cstr(out, "…");
    } else if (place->outer) {
        print_place(conversion, place->outer, levels - 1, out);
    } else {
        rl_buf_add_cstr(out, conversion->root);
    }
    if (place->field) {
        rl_buf_add_char(out, '.');
        rl_buf_add(out, (rl_str_t){place->field, place->field_length});
    } else if (place->index >= 0) {
        rl_buf_add_char(out, '[');
        rl_buf_add_i64(out, place->index);
        rl_buf_add_char(out, ']');
    }
}

static bool fail(const conversion_t* conversion, const place_t* place, PyObject* exception, const rl_rtype_t* type,
    PyObject* object, const char* why) {
    rl_buf_t where, expected;
    rl_buf_init(&where, &conversion->context->allocator);
    rl_buf_init(&expected, &conversion->context->allocator);
    print_place(conversion, place, 16, &where);
    rl_type_print(&conversion->context->program, type->type, &expected);
    PyErr_Clear();
    PyObject* kind = PyType_GetName(Py_TYPE(object));
    const char* separator = why ? ": " : "";
    if (!why) why = "";
    if (kind)
        PyErr_Format(exception, "expected %s, got %U%s%s at %s", rl_buf_cstr(&expected), kind, separator, why,
            rl_buf_cstr(&where));
    Py_XDECREF(kind);
    rl_buf_deinit(&where);
    rl_buf_deinit(&expected);
    return false;
}

static bool no_memory(const conversion_t* conversion) {
    rl_alloc_clear_failure(&conversion->context->allocator);
    conversion->border->short_of_memory = true;
    PyErr_SetString(PyExc_MemoryError, "runtime.limit.memory: no room in the context for a converted value");
    return false;
}

/* --- from Python ----------------------------------------------------------------------------------------------------- */

static bool convert(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out);

/* The int that an object is: ints themselves, and what has __index__ (NumPy's integers). New reference. */
static PyObject* as_integer(PyObject* object) {
    if (PyLong_CheckExact(object)) return Py_NewRef(object);
    if (PyBool_Check(object)) return NULL;
    if (PyLong_Check(object) || PyIndex_Check(object)) {
        PyObject* number = PyNumber_Index(object);
        if (!number && PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Clear();
        return number;
    }
    return NULL;
}

static bool convert_integer(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* number = as_integer(object);
    if (!number) return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
    if (type->kind == RL_TYPE_U64) out->u = PyLong_AsUnsignedLongLong(number);
    else out->i = PyLong_AsLongLong(number);
    bool fits = !PyErr_Occurred() && rl_scalar_fits(type, (reml_scalar_t){.i = out->i});
    if (!fits) fail(conversion, place, PyExc_OverflowError, type, number, "out of range");
    Py_DECREF(number);
    return fits;
}

static bool convert_float(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    if (PyFloat_Check(object)) {
        out->f = PyFloat_AsDouble(object);
    } else {
        /* An int goes in when it is exactly a double. */
        PyObject* number = as_integer(object);
        if (!number) return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
        long long integer = PyLong_AsLongLong(number);
        bool exact = !PyErr_Occurred() && integer >= -(1LL << 53) && integer <= (1LL << 53);
        if (!exact) fail(conversion, place, PyExc_OverflowError, type, number, "not exactly a float");
        Py_DECREF(number);
        if (!exact) return false;
        out->f = (double)integer;
    }
    if (type->kind == RL_TYPE_F32) {
        double rounded = (double)(float)out->f;
        if (rounded != out->f && out->f == out->f)
            return fail(conversion, place, PyExc_OverflowError, type, object, "not exactly an f32");
        out->f = rounded;
    }
    return true;
}

static bool convert_text(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
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
    if ((uint64_t)length > conversion->context->limits.string_bytes || length > UINT32_MAX)
        return fail(conversion, place, PyExc_ValueError, type, object, "longer than limit string_bytes");
    out->o = rl_string_new(&conversion->context->vm, (rl_str_t){data, (size_t)length},
        type->kind == RL_TYPE_STR ? RL_OBJ_STR : RL_OBJ_BYTES);
    return out->o || no_memory(conversion);
}

static bool convert_char(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    if (!PyUnicode_Check(object)) return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    if (PyUnicode_GetLength(object) != 1)
        return fail(conversion, place, PyExc_ValueError, type, object, "not one character");
    Py_UCS4 scalar = PyUnicode_ReadChar(object, 0);
    out->u = scalar;
    if (scalar >= 0xD800 && scalar < 0xE000)
        return fail(conversion, place, PyExc_ValueError, type, object, "lone surrogate");
    return true;
}

/* Duration and datetime live in Python; the package turns them into nanoseconds. */
static bool convert_time(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* number = PyObject_CallMethod(
        conversion->border->support, type->kind == RL_TYPE_DURATION ? "duration_in" : "timestamp_in", "O", object);
    if (!number) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError)) return false;
        return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    out->i = PyLong_AsLongLong(number);
    Py_DECREF(number);
    if (!PyErr_Occurred()) return true;
    return fail(conversion, place, PyExc_OverflowError, type, object, "out of range");
}

static bool make_object(
    const conversion_t* conversion, const rl_rshape_t* shape, const rl_word_t* words, rl_word_t* out) {
    if (shape->words == 0 && shape->tag < 256) {
        out->o = &rl_nullary_objects[shape->tag];
        return true;
    }
    rl_object_t* object =
        rl_heap_new(&conversion->context->vm.heap, RL_OBJ_CELLS, shape->tag, shape->refs, shape->words);
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
    list->words = count <= RL_COUNT_OF(list->few)
                      ? list->few
                      : rl_alloc(&conversion->context->allocator, count * sizeof(rl_word_t));
    return list->words || no_memory(conversion);
}
static void word_list_deinit(const conversion_t* conversion, word_list_t* list) {
    if (list->words && list->words != list->few)
        rl_free(&conversion->context->allocator, list->words, list->count * sizeof(rl_word_t));
}

/* Items of a tuple or list given in order, each of its own type. */
static bool convert_tuple(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    const rl_rshape_t* shape = &type->shapes[0];
    if (!PyTuple_Check(object)) return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    if (PyTuple_Size(object) != shape->field_count)
        return fail(conversion, place, PyExc_TypeError, type, object, "wrong number of elements");
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

/*
 * Fields of a product from a dict (names as Reml writes them), an object of the class made for it, or any object that has
 * attributes of these names. `shape_row` is (class, attribute names, names in Reml), both in stored order.
 */
static bool convert_fields(const conversion_t* conversion, const rl_rtype_t* type, const rl_rshape_t* shape,
    PyObject* shape_row, PyObject* object, const place_t* place, rl_word_t* out) {
    bool is_dict = PyDict_Check(object);
    if (is_dict && PyDict_Size(object) != shape->field_count)
        return fail(conversion, place, PyExc_TypeError, type, object, "its keys are not the fields");
    bool own = (PyObject*)Py_TYPE(object) == PyTuple_GetItem(shape_row, 0);
    PyObject* names = PyTuple_GetItem(shape_row, own ? 1 : 2);
    word_list_t list;
    bool done = word_list_init(conversion, &list, shape->field_count);
    for (uint16_t i = 0; done && i < shape->field_count; i++) {
        const rl_rfield_t* field = &shape->fields[i];
        PyObject* name = PyTuple_GetItem(names, i);
        PyObject* item;
        if (is_dict) {
            item = PyDict_GetItemWithError(object, name);
            Py_XINCREF(item);
        } else {
            item = PyObject_GetAttr(object, name);
        }
        place_t inner = {place, field->name.data, field->name.length, -1};
        if (!field->name.length) inner = (place_t){place, NULL, 0, i};
        if (item) done = convert(conversion, field->type, item, &inner, &list.words[i]);
        else if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_AttributeError))
            done = fail(conversion, &inner, PyExc_TypeError, type, object, "missing field");
        else done = false;
        Py_XDECREF(item);
    }
    done = done && make_object(conversion, shape, list.words, out);
    word_list_deinit(conversion, &list);
    return done;
}

static bool convert_record(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* shapes = border_shapes(conversion->border, conversion->context, type);
    return shapes && convert_fields(conversion, type, &type->shapes[0], PyTuple_GetItem(shapes, 0), object, place, out);
}

/* A list of what the object yields; a copy, since converting may run Python code. New reference; NULL with or without exception. */
static PyObject* as_list(const conversion_t* conversion, PyObject* object) {
    if (PyUnicode_Check(object) || PyBytes_Check(object) || PyDict_Check(object)) return NULL;
    if (!PyList_Check(object) && !PyTuple_Check(object) && !PyAnySet_Check(object) && !PySequence_Check(object))
        conversion->border->consumed = true;
    PyObject* list = PySequence_List(object);
    if (!list && PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Clear();
    return list;
}

/* `distinct`: how many entries must be left; keys that Python tells apart and Reml does not (NFC) would get lost. 0: any number. */
static bool build(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place,
    word_list_t* list, size_t distinct, rl_word_t* out) {
    rl_outcome_t outcome = rl_border_build(&conversion->context->vm, type, list->words, list->count, out);
    if (outcome == RL_DONE) {
        if (!distinct || rl_border_length(type, *out) == distinct) return true;
        return fail(conversion, place, PyExc_ValueError, type, object, "two of its keys are equal in Reml");
    }
    if (outcome != RL_RAISE) return no_memory(conversion);
    border_raise(conversion->border, rl_context_fail_from_vm(conversion->context));
    return false;
}

static bool convert_items(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* items = as_list(conversion, object);
    if (!items) return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
    word_list_t list;
    Py_ssize_t count = PyList_Size(items);
    bool done = word_list_init(conversion, &list, (size_t)count);
    for (Py_ssize_t i = 0; done && i < count; i++) {
        place_t inner = {place, NULL, 0, i};
        done = convert(conversion, type->args[0], PyList_GetItem(items, i), &inner, &list.words[i]);
    }
    size_t distinct = rl_kind_of(type) == REML_KIND_SET && PyAnySet_Check(object) ? list.count : 0;
    done = done && build(conversion, type, object, place, &list, distinct, out);
    word_list_deinit(conversion, &list);
    Py_DECREF(items);
    return done;
}

static bool convert_mapping(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    bool mapping = PyDict_Check(object) || (PyMapping_Check(object) && PyObject_HasAttrString(object, "items"));
    PyObject* entries = mapping ? PyMapping_Items(object) : NULL;
    if (!entries) return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
    word_list_t list;
    Py_ssize_t count = PyList_Size(entries);
    bool done = word_list_init(conversion, &list, (size_t)count * 2);
    for (Py_ssize_t i = 0; done && i < count; i++) {
        PyObject* entry = PyList_GetItem(entries, i);
        place_t inner = {place, NULL, 0, i};
        if (!PyTuple_Check(entry) || PyTuple_Size(entry) != 2)
            done = fail(conversion, &inner, PyExc_TypeError, type, entry, "not a pair");
        done = done && convert(conversion, type->args[0], PyTuple_GetItem(entry, 0), &inner, &list.words[2 * i]) &&
               convert(conversion, type->args[1], PyTuple_GetItem(entry, 1), &inner, &list.words[2 * i + 1]);
    }
    done = done && build(conversion, type, object, place, &list, (size_t)count, out);
    word_list_deinit(conversion, &list);
    Py_DECREF(entries);
    return done;
}

static bool is_option(const conversion_t* conversion, const rl_rtype_t* type) {
    return rl_type_node(&conversion->context->program.types, type->type)->a ==
           conversion->context->program.known.option;
}

static bool convert_option(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
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
    return convert(conversion, some->fields[0].type, object, place, &payload) &&
           make_object(conversion, some, &payload, out);
}

/* The value behind a proxy of this context; false without exception: not a proxy, or released. */
static bool read_proxy(const conversion_t* conversion, PyObject* object, rl_handle_t* out) {
    int is_proxy = PyObject_IsInstance(object, conversion->border->class_proxy);
    if (is_proxy <= 0) return false;
    PyObject* handle = PyObject_GetAttrString(object, "_handle");
    if (!handle) return false;
    reml_value_t value = {0};
    if (PyTuple_Check(handle) && PyTuple_Size(handle) == 3) {
        value.kind = (uint32_t)PyLong_AsUnsignedLong(PyTuple_GetItem(handle, 0));
        value.context = (uint32_t)PyLong_AsUnsignedLong(PyTuple_GetItem(handle, 1));
        value.bits = PyLong_AsUnsignedLongLong(PyTuple_GetItem(handle, 2));
    }
    Py_DECREF(handle);
    rl_handle_t* row;
    if (PyErr_Occurred() || rl_handle_find(conversion->context, value, &row) != REML_EMBED_STATUS_OK) return false;
    *out = *row;
    return true;
}

/* Which variant is this object of? Its class is one of the type's classes, or it is the class of a variant without payload. */
static int variant_of(const rl_rtype_t* type, PyObject* shapes, PyObject* object) {
    for (int i = 0; i < type->shape_count; i++) {
        PyObject* cls = PyTuple_GetItem(PyTuple_GetItem(shapes, i), 0);
        if ((PyObject*)Py_TYPE(object) == cls) return i;
        if (object == cls && type->shapes[i].field_count == 0) return i;
    }
    for (int i = 0; i < type->shape_count; i++) {
        int is_one = PyObject_IsInstance(object, PyTuple_GetItem(PyTuple_GetItem(shapes, i), 0));
        if (is_one != 0) return is_one > 0 ? i : -1;
    }
    return -1;
}

static bool convert_payload(const conversion_t* conversion, const rl_rtype_t* type, const rl_rshape_t* shape,
    PyObject* names, PyObject* object, const place_t* place, rl_word_t* out) {
    word_list_t list;
    bool done = word_list_init(conversion, &list, shape->field_count);
    for (uint16_t i = 0; done && i < shape->field_count; i++) {
        PyObject* item = PyObject_GetAttr(object, PyTuple_GetItem(names, i));
        place_t inner = {place, NULL, 0, i};
        const rl_rtype_t* part = type->payload ? type->payload : shape->fields[i].type;
        done = item && convert(conversion, part, item, &inner, &list.words[i]);
        Py_XDECREF(item);
    }
    if (done && type->payload) *out = list.words[0];
    else done = done && make_object(conversion, shape, list.words, out);
    word_list_deinit(conversion, &list);
    return done;
}

/* The core library's Uuid: text in Python, canonical (CONTRACTS 2.7a knows no class for it). */
static bool is_uuid(const rl_context_t* context, const rl_rtype_t* type) {
    return type->payload && type->payload->kind == RL_TYPE_STR && rl_str_equal(type->name, RL_STR("Uuid")) &&
           rl_type_node(&context->program.types, type->type)->a < context->program.first_typedef;
}

static bool convert_uuid(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* text = PyObject_CallMethod(conversion->border->support, "uuid_in", "O", object);
    if (!text) {
        bool wrong_value = PyErr_ExceptionMatches(PyExc_ValueError);
        if (!wrong_value && !PyErr_ExceptionMatches(PyExc_TypeError)) return false;
        return fail(conversion, place, wrong_value ? PyExc_ValueError : PyExc_TypeError, type, object, NULL);
    }
    bool done = convert_text(conversion, type->payload, text, place, out);
    Py_DECREF(text);
    return done;
}

/* Json goes by what it holds: the constructor whose payload the object can be; NULL: none. */
static const rl_rshape_t* json_shape(const rl_rtype_t* type, PyObject* object) {
    const char* name = object == Py_None                                   ? "Null"
                       : PyBool_Check(object)                              ? "Bool"
                       : PyFloat_Check(object) || PyIndex_Check(object)    ? "Number"
                       : PyUnicode_Check(object)                           ? "String"
                       : PyList_Check(object) || PyTuple_Check(object)     ? "Array"
                       : PyMapping_Check(object) && !PyBytes_Check(object) ? "Object"
                                                                           : "";
    for (uint16_t i = 0; i < type->shape_count; i++) {
        if (rl_str_equal(type->shapes[i].name, rl_str(name))) return &type->shapes[i];
    }
    return NULL;
}

static bool convert_json(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    const rl_rshape_t* shape = json_shape(type, object);
    if (!shape) return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    if (shape->field_count == 0) return make_object(conversion, shape, NULL, out);
    rl_word_t payload;
    return convert(conversion, shape->fields[0].type, object, place, &payload) &&
           make_object(conversion, shape, &payload, out);
}

static bool convert_variant(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    if (type->builtin == RL_BUILTIN_JSON) return convert_json(conversion, type, object, place, out);
    PyObject* shapes = border_shapes(conversion->border, conversion->context, type);
    if (!shapes) return false;
    int tag = variant_of(type, shapes, object);
    if (tag < 0) return PyErr_Occurred() ? false : fail(conversion, place, PyExc_TypeError, type, object, NULL);
    const rl_rshape_t* shape = &type->shapes[tag];
    if (type->is_enum) {
        out->u = (uint64_t)tag;
        return true;
    }
    if (shape->field_count == 0) return make_object(conversion, shape, NULL, out);
    PyObject* row = PyTuple_GetItem(shapes, tag);
    if (!shape->record_payload)
        return convert_payload(conversion, type, shape, PyTuple_GetItem(row, 1), object, place, out);
    /* `C { f: X }`: the class has the record's fields itself. */
    rl_word_t record;
    const rl_rtype_t* inner = shape->fields[0].type;
    PyObject* inner_row = PyTuple_New(3);
    if (!inner_row) return false;
    for (Py_ssize_t i = 0; i < 3; i++) PyTuple_SetItem(inner_row, i, Py_NewRef(PyTuple_GetItem(row, i)));
    bool done = convert_fields(conversion, inner, &inner->shapes[0], inner_row, object, place, &record) &&
                make_object(conversion, shape, &record, out);
    Py_DECREF(inner_row);
    return done;
}

/* --- what lives in the context ------------------------------------------------------------------------------------------- */

/* A function given back: closures as they are; for a top-level function a closure of it is made. */
static bool convert_function(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    rl_context_t* context = conversion->context;
    rl_function_entry_t* entry;
    function_t* function = (function_t*)object;
    if (Py_TYPE(object) != conversion->border->function_type)
        return fail(conversion, place, PyExc_TypeError, type, object,
            "not a function of this context (Context.callback makes one)");
    if (rl_function_find_entry(context, function->function, &entry) != REML_EMBED_STATUS_OK) {
        return fail(conversion, place, PyExc_TypeError, type, object, "not a function of this context");
    }
    const rl_proto_t* proto = entry->proto;
    bool fits = type->arg_count == proto->param_count + 1 && type->args[proto->param_count] == proto->result_type;
    for (uint16_t i = 0; fits && i < proto->param_count; i++) fits = type->args[i] == proto->param_types[i];
    if (!fits) return fail(conversion, place, PyExc_TypeError, type, object, "it has another signature");
    if (entry->closure) {
        entry->closure->flags |= RL_OBJ_SHARED;
        out->o = entry->closure;
        return true;
    }
    if (rl_program_function(&context->program, proto->function)->type_params) {
        return fail(conversion, place, PyExc_TypeError, type, object, "a generic function cannot be handed over");
    }
    rl_proto_t* as_value = rl_pipeline_instance(context, proto->function, NULL, 0, true);
    rl_object_t* closure = as_value ? rl_heap_new(&context->vm.heap, RL_OBJ_CLOSURE, 0, 0, 1) : NULL;
    if (!closure) return no_memory(conversion);
    rl_object_words(closure)[0].p = as_value;
    out->o = closure;
    return true;
}

/* Proxies come back as the value that they stand for. */
static bool convert_handle(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    if (type->kind == RL_TYPE_FUNCTION) return convert_function(conversion, type, object, place, out);
    rl_handle_t row;
    if (!read_proxy(conversion, object, &row)) {
        if (PyErr_Occurred()) return false;
        return fail(conversion, place, PyExc_TypeError, type, object, NULL);
    }
    if (row.type != type) return fail(conversion, place, PyExc_TypeError, type, object, "a value of another type");
    *out = row.word;
    return true;
}

static void drop_python_object(void* data, void* user) {
    /* The collector may run while the GIL is let go, and is no place for a finaliser. */
    border_drop_later(user, data);
}

/* The handle of a proxy; false with an exception set: it has none. */
static bool proxy_value(PyObject* object, reml_value_t* out) {
    *out = (reml_value_t){0};
    PyObject* handle = PyObject_GetAttrString(object, "_handle");
    if (!handle) return false;
    if (PyTuple_Check(handle) && PyTuple_Size(handle) == 3) {
        out->kind = (uint32_t)PyLong_AsUnsignedLong(PyTuple_GetItem(handle, 0));
        out->context = (uint32_t)PyLong_AsUnsignedLong(PyTuple_GetItem(handle, 1));
        out->bits = PyLong_AsUnsignedLongLong(PyTuple_GetItem(handle, 2));
    }
    Py_DECREF(handle);
    return !PyErr_Occurred();
}

/* A host object that came out of a context goes in again. */
static bool convert_host_proxy(const conversion_t* conversion, const rl_rtype_t* type, PyObject* object,
    reml_value_t value, const place_t* place, rl_word_t* out) {
    rl_handle_t* row;
    reml_embed_status_t status = rl_handle_use(conversion->context, value, "reml_function_call", &row);
    if (status != REML_EMBED_STATUS_OK) {
        border_raise(conversion->border, status);
        return false;
    }
    if (row->type != type) return fail(conversion, place, PyExc_TypeError, type, object, "of another type");
    *out = row->word;
    return true;
}

/* Anything with a buffer, for a ForeignBuffer: the script keeps it alive. */
static bool convert_buffer(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    PyObject* made = PyObject_CallMethod(conversion->border->support, "foreign_buffer", "O", object);
    reml_value_t value;
    bool done = made && proxy_value(made, &value) && convert_host_proxy(conversion, type, made, value, place, out);
    Py_XDECREF(made); /* and its handle: the word is safe while the context is frozen */
    if (done || !PyErr_ExceptionMatches(PyExc_TypeError)) return done;
    PyErr_Clear();
    return fail(conversion, place, PyExc_TypeError, type, object, "no contiguous buffer");
}

/* An opaque host object holds the Python object itself, unless it is one of a context or a buffer. */
static bool convert_host(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    rl_context_t* context = conversion->context;
    int is_proxy = PyObject_IsInstance(object, conversion->border->class_proxy);
    reml_value_t value = {0};
    if (is_proxy < 0 || (is_proxy && !proxy_value(object, &value))) return false;
    if (value.kind == REML_KIND_HOST) return convert_host_proxy(conversion, type, object, value, place, out);
    if (rl_type_node(&context->program.types, type->type)->a == context->program.known.foreign_buffer)
        return convert_buffer(conversion, type, object, place, out);
    rl_object_t* made = rl_heap_new(&context->vm.heap, RL_OBJ_HOST, RL_HOST_PLAIN, 0, RL_HOST_WORDS);
    if (!made) return no_memory(conversion);
    void (*destroy)(void*, void*) = drop_python_object;
    Py_INCREF(object);
    rl_object_words(made)[0].p = object;
    memcpy(&rl_object_words(made)[1], &destroy, sizeof destroy);
    rl_object_words(made)[2].p = conversion->border;
    out->o = made;
    return true;
}

/* The type that an object has by itself: for Any. RL_TYPE_ERROR: none. */
static rl_type_t own_type(const conversion_t* conversion, PyObject* object) {
    rl_program_t* program = &conversion->context->program;
    rl_type_t any = RL_TYPE_ANY;
    rl_handle_t row;
    if (PyBool_Check(object)) return RL_TYPE_BOOL;
    if (PyLong_Check(object)) return RL_TYPE_I64;
    if (PyFloat_Check(object)) return RL_TYPE_F64;
    if (PyUnicode_Check(object)) return RL_TYPE_STR;
    if (PyBytes_Check(object)) return RL_TYPE_BYTES;
    if (object == Py_None) return RL_TYPE_UNIT;
    if (PyTuple_Check(object) && PyTuple_Size(object) >= 2 && PyTuple_Size(object) <= 16) {
        rl_type_t elements[16];
        for (Py_ssize_t i = 0; i < PyTuple_Size(object); i++) elements[i] = RL_TYPE_ANY;
        return rl_type_tuple(&program->types, elements, (uint32_t)PyTuple_Size(object));
    }
    if (PyList_Check(object) || PyTuple_Check(object))
        return rl_type_named(&program->types, program->known.list, &any, 1);
    if (PyDict_Check(object))
        return rl_type_named(&program->types, program->known.map, (rl_type_t[]){RL_TYPE_STR, any}, 2);
    if (read_proxy(conversion, object, &row)) return row.type->type;
    if (Py_TYPE(object) == conversion->border->function_type) {
        rl_function_entry_t* entry;
        rl_type_t parameters[64];
        function_t* function = (function_t*)object;
        if (rl_function_find_entry(conversion->context, function->function, &entry) != REML_EMBED_STATUS_OK)
            return RL_TYPE_ERROR;
        if (entry->proto->param_count > 64) return RL_TYPE_ERROR;
        for (uint16_t i = 0; i < entry->proto->param_count; i++) parameters[i] = entry->proto->param_types[i]->type;
        return rl_type_function(
            &program->types, parameters, entry->proto->param_count, entry->proto->result_type->type);
    }
    return border_type_of_class(conversion->border, Py_TYPE(object));
}

/* Does a record of this type have the fields that a written open record names? */
static bool fits_open(const conversion_t* conversion, rl_type_t open, rl_type_t record) {
    rl_program_t* program = &conversion->context->program;
    uint32_t count = rl_type_node(&program->types, open)->count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t* pair = rl_type_args(&program->types, open) + 2 * i;
        rl_type_t found;
        if (!rl_type_find_field(program, record, pair[0], &found) || found != pair[1]) return false;
    }
    return true;
}

/*
 * The record, without name, that an object is where `{ f: T, .. }` is expected. Of a dict the fields that are written have
 * the types that are written, the others what they have by themselves. RL_TYPE_ERROR: it is none.
 */
static rl_type_t open_type(const conversion_t* conversion, rl_type_t open, PyObject* object) {
    rl_program_t* program = &conversion->context->program;
    RL_VEC(uint32_t) pairs = {0};
    rl_type_t made = RL_TYPE_ERROR;
    bool fine = true;
    if (PyDict_Check(object)) {
        PyObject *key, *item;
        Py_ssize_t position = 0;
        while (fine && PyDict_Next(object, &position, &key, &item)) {
            Py_ssize_t length;
            const char* text = PyUnicode_Check(key) ? PyUnicode_AsUTF8AndSize(key, &length) : NULL;
            rl_sym_t name = text ? rl_sym_intern(&program->symbols, (rl_str_t){text, (size_t)length}) : 0;
            rl_type_t type = RL_TYPE_ERROR;
            if (name && !rl_type_find_field(program, open, name, &type)) type = own_type(conversion, item);
            fine = name && type != RL_TYPE_ERROR && pairs.count < 2000 &&
                   rl_vec_push(&conversion->context->allocator, &pairs, name) &&
                   rl_vec_push(&conversion->context->allocator, &pairs, type);
        }
        if (fine) made = rl_type_record(&program->types, &program->symbols, pairs.data, pairs.count / 2);
    } else {
        rl_type_t own = own_type(conversion, object);
        const rl_type_node_t node = *rl_type_node(&program->types, own);
        const rl_typedef_t* def = node.kind == RL_TYPE_NAMED ? rl_program_typedef(program, node.a) : NULL;
        if (def && def->kind == RL_DEF_RECORD) { /* its name is forgotten */
            const rl_variant_t variant = *rl_program_variant(program, def->variant_first);
            for (uint32_t i = 0; fine && i < variant.field_count; i++) {
                fine = rl_vec_push(&conversion->context->allocator, &pairs,
                           rl_program_field(program, variant.field_first + i)->name) &&
                       rl_vec_push(&conversion->context->allocator, &pairs, rl_type_payload(program, own, 0, i));
            }
            if (fine) made = rl_type_record(&program->types, &program->symbols, pairs.data, pairs.count / 2);
        } else if (node.kind == RL_TYPE_RECORD) {
            made = own;
        }
    }
    rl_vec_deinit(&conversion->context->allocator, &pairs);
    return made != RL_TYPE_ERROR && fits_open(conversion, open, made) ? made : RL_TYPE_ERROR;
}

static bool convert_any(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    bool open = rl_type_kind(&conversion->context->program.types, type->type) == RL_TYPE_OPEN;
    rl_type_t inner_type = open ? open_type(conversion, type->type, object) : own_type(conversion, object);
    if (PyErr_Occurred()) return false;
    if (inner_type == RL_TYPE_ERROR) return fail(conversion, place, PyExc_TypeError, type, object, NULL);
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

static bool convert_named(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    switch (rl_kind_of(type)) {
    case REML_KIND_ARRAY:
    case REML_KIND_SET: return convert_items(conversion, type, object, place, out);
    case REML_KIND_MAP: return convert_mapping(conversion, type, object, place, out);
    case REML_KIND_VEC:
        if (PyList_Check(object) || PyTuple_Check(object)) return convert_items(conversion, type, object, place, out);
        return convert_handle(conversion, type, object, place, out);
    case REML_KIND_TABLE:
        if (PyDict_Check(object)) return convert_mapping(conversion, type, object, place, out);
        return convert_handle(conversion, type, object, place, out);
    case REML_KIND_ADT:
        if (is_uuid(conversion->context, type)) return convert_uuid(conversion, type, object, place, out);
        return is_option(conversion, type) ? convert_option(conversion, type, object, place, out)
                                           : convert_variant(conversion, type, object, place, out);
    case REML_KIND_RECORD: return convert_record(conversion, type, object, place, out);
    case REML_KIND_STRUCT:
        if (PyDict_Check(object)) return convert_record(conversion, type, object, place, out);
        return convert_handle(conversion, type, object, place, out);
    case REML_KIND_HOST: return convert_host(conversion, type, object, place, out);
    default: return convert_handle(conversion, type, object, place, out);
    }
}

static bool convert(
    const conversion_t* conversion, const rl_rtype_t* type, PyObject* object, const place_t* place, rl_word_t* out) {
    out->u = 0;
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_UNIT: return object == Py_None || fail(conversion, place, PyExc_TypeError, type, object, NULL);
    case RL_TYPE_BOOL:
        out->u = object == Py_True;
        return PyBool_Check(object) || fail(conversion, place, PyExc_TypeError, type, object, NULL);
    case RL_TYPE_CHAR: return convert_char(conversion, type, object, place, out);
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64:
    case RL_TYPE_U8:
    case RL_TYPE_U16:
    case RL_TYPE_U32:
    case RL_TYPE_U64: return convert_integer(conversion, type, object, place, out);
    case RL_TYPE_F32:
    case RL_TYPE_F64: return convert_float(conversion, type, object, place, out);
    case RL_TYPE_STR:
    case RL_TYPE_BYTES: return convert_text(conversion, type, object, place, out);
    case RL_TYPE_DURATION:
    case RL_TYPE_TIMESTAMP: return convert_time(conversion, type, object, place, out);
    default: break;
    }
    if (conversion->border->nesting >= DEEPEST)
        return fail(conversion, place, PyExc_RecursionError, type, object, "nested too deep");
    conversion->border->nesting++;
    bool done;
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_ANY: done = convert_any(conversion, type, object, place, out); break;
    case RL_TYPE_TUPLE: done = convert_tuple(conversion, type, object, place, out); break;
    case RL_TYPE_RECORD: done = convert_record(conversion, type, object, place, out); break;
    case RL_TYPE_ARRAY: done = convert_items(conversion, type, object, place, out); break;
    case RL_TYPE_NAMED: done = convert_named(conversion, type, object, place, out); break;
    default: done = convert_handle(conversion, type, object, place, out); break;
    }
    conversion->border->nesting--;
    return done;
}

bool border_from_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* object,
    const char* root, Py_ssize_t index, rl_word_t* out) {
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
    return bytes ? PyBytes_FromStringAndSize(text.data, (Py_ssize_t)text.length)
                 : PyUnicode_FromStringAndSize(text.data, (Py_ssize_t)text.length);
}

static PyObject* show_tuple(border_t* border, rl_context_t* context, const rl_rshape_t* shape, rl_word_t word) {
    PyObject* tuple = PyTuple_New(shape->field_count);
    for (uint16_t i = 0; tuple && i < shape->field_count; i++) {
        PyObject* item = show(border, context, shape->fields[i].type, rl_object_words(word.o)[shape->fields[i].slot]);
        if (!item || PyTuple_SetItem(tuple, i, item) < 0) Py_CLEAR(tuple);
    }
    return tuple;
}

/*
 * An object of a class made for a product, its fields set past the class's own __init__ and frozen __setattr__: they are
 * ours, and run no Python code.
 */
static PyObject* show_object(
    border_t* border, rl_context_t* context, const rl_rshape_t* shape, PyObject* row, rl_word_t word) {
    PyTypeObject* cls = (PyTypeObject*)PyTuple_GetItem(row, 0);
    PyObject* names = PyTuple_GetItem(row, 1);
    allocfunc allocate = (allocfunc)PyType_GetSlot(cls, Py_tp_alloc);
    PyObject* made = allocate(cls, 0);
    for (uint16_t i = 0; made && i < shape->field_count; i++) {
        PyObject* item = show(border, context, shape->fields[i].type, rl_object_words(word.o)[shape->fields[i].slot]);
        if (!item || PyObject_GenericSetAttr(made, PyTuple_GetItem(names, i), item) < 0) Py_CLEAR(made);
        Py_XDECREF(item);
    }
    return made;
}

static PyObject* show_record(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    PyObject* shapes = border_shapes(border, context, type);
    return shapes ? show_object(border, context, &type->shapes[0], PyTuple_GetItem(shapes, 0), word) : NULL;
}

static bool is_option_type(const rl_context_t* context, const rl_rtype_t* type) {
    return type->kind == RL_TYPE_NAMED &&
           rl_type_node(&context->program.types, type->type)->a == context->program.known.option;
}

static PyObject* show_option(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    const rl_rshape_t* shape = &type->shapes[word.o->tag];
    if (shape->field_count == 0) return Py_NewRef(Py_None);
    const rl_rtype_t* inner = shape->fields[0].type;
    PyObject* value = show(border, context, inner, rl_object_words(word.o)[shape->fields[0].slot]);
    /* What shows as None inside Some must stay told apart from None; nested options always say Some. */
    if (!value || (value != Py_None && !is_option_type(context, inner))) return value;
    PyObject* some = PyObject_CallFunctionObjArgs(border->class_some, value, NULL);
    Py_DECREF(value);
    return some;
}

static PyObject* show_newtype(
    border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* row, rl_word_t word) {
    PyObject* value = show(border, context, type->payload, word);
    PyObject* made = value ? PyObject_CallFunctionObjArgs(PyTuple_GetItem(row, 0), value, NULL) : NULL;
    Py_XDECREF(value);
    return made;
}

static PyObject* show_variant(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    if (is_option_type(context, type)) return show_option(border, context, type, word);
    if (is_uuid(context, type)) return show_text(word, false);
    if (type->builtin == RL_BUILTIN_JSON) {
        const rl_rshape_t* held = &type->shapes[word.o->tag];
        if (held->field_count == 0) return Py_NewRef(Py_None);
        return show(border, context, held->fields[0].type, rl_object_words(word.o)[held->fields[0].slot]);
    }
    PyObject* shapes = border_shapes(border, context, type);
    if (!shapes) return NULL;
    if (type->payload) return show_newtype(border, context, type, PyTuple_GetItem(shapes, 0), word);
    int tag = type->is_enum ? (int)word.u : (int)word.o->tag;
    PyObject* row = PyTuple_GetItem(shapes, tag);
    const rl_rshape_t* shape = &type->shapes[tag];
    if (!row) return NULL;
    if (type->is_enum) return PyObject_CallObject(PyTuple_GetItem(row, 0), NULL);
    if (!shape->record_payload) return show_object(border, context, shape, row, word);
    const rl_rtype_t* inner = shape->fields[0].type;
    return show_object(border, context, &inner->shapes[0], row, rl_object_words(word.o)[shape->fields[0].slot]);
}

/* [T; N] */
static PyObject* show_array(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    size_t length = rl_border_length(type, word);
    PyObject* list = PyList_New((Py_ssize_t)length);
    for (size_t i = 0; list && i < length; i++) {
        rl_word_t item;
        PyObject* shown =
            rl_border_item(type, word, i, NULL, &item) ? show(border, context, type->args[0], item) : NULL;
        if (!shown) Py_CLEAR(list);
        else PyList_SetItem(list, (Py_ssize_t)i, shown);
    }
    return list;
}

/* As a key or member: a list becomes a tuple, a dict a tuple of pairs. Takes the reference over. */
static PyObject* hashable(PyObject* value) {
    PyObject* fixed = value;
    if (PyList_Check(value) || PyDict_Check(value)) {
        PyObject* items = PyDict_Check(value) ? PyDict_Items(value) : Py_NewRef(value);
        Py_ssize_t count = items ? PyList_Size(items) : 0;
        fixed = items ? PyTuple_New(count) : NULL;
        for (Py_ssize_t i = 0; fixed && i < count; i++) {
            PyObject* item = hashable(Py_NewRef(PyList_GetItem(items, i)));
            if (!item) Py_CLEAR(fixed);
            else PyTuple_SetItem(fixed, i, item);
        }
        Py_XDECREF(items);
        Py_DECREF(value);
    }
    return fixed;
}

static PyObject* show_items(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word, bool set) {
    if (type->kind == RL_TYPE_ARRAY) return show_array(border, context, type, word);
    PyObject* list = PyList_New(0);
    rl_cursor_t cursor;
    rl_word_t item, unused;
    rl_cursor_begin(&cursor, word.o);
    while (list && rl_cursor_next(&cursor, &item, &unused)) {
        PyObject* shown = show(border, context, type->args[0], item);
        if (shown && set) shown = hashable(shown);
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
        if (key) key = hashable(key);
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
    if (handle.kind == REML_KIND_NONE) {
        rl_alloc_clear_failure(&context->allocator);
        return PyErr_NoMemory();
    }
    PyObject* proxy = PyObject_CallMethod(
        border->support, "proxy", "IIKI", handle.kind, handle.context, (unsigned long long)handle.bits, type->type);
    if (!proxy) reml_value_release(border->id, handle);
    return proxy;
}

static PyObject* show_function(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    reml_function_t function;
    reml_value_t handle = rl_handle_new(context, type, word, false);
    if (handle.kind == REML_KIND_NONE) {
        rl_alloc_clear_failure(&context->allocator);
        return PyErr_NoMemory();
    }
    reml_embed_status_t status = reml_function_from_value(border->id, handle, &function);
    reml_value_release(border->id, handle);
    return status == REML_EMBED_STATUS_OK ? border_function_object(border, function) : border_raise(border, status);
}

static PyObject* show_time(border_t* border, rl_type_kind_t kind, int64_t nanoseconds) {
    return PyObject_CallMethod(
        border->support, kind == RL_TYPE_DURATION ? "duration_out" : "timestamp_out", "L", (long long)nanoseconds);
}

/* The Python object itself; what a C host made stays a proxy. */
static PyObject* show_host(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    void (*destroy)(void*, void*) = drop_python_object;
    const rl_word_t* words = rl_object_words(word.o);
    if (memcmp(&words[1], &destroy, sizeof destroy) != 0) return show_proxy(border, context, type, word);
    return Py_NewRef((PyObject*)words[0].p);
}

static PyObject* show_named(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    switch (rl_kind_of(type)) {
    case REML_KIND_ARRAY: return show_items(border, context, type, word, false);
    case REML_KIND_SET: return show_items(border, context, type, word, true);
    case REML_KIND_MAP: return show_map(border, context, type, word);
    case REML_KIND_ADT: return show_variant(border, context, type, word);
    case REML_KIND_RECORD: return show_record(border, context, type, word);
    case REML_KIND_HOST: return show_host(border, context, type, word);
    default: return show_proxy(border, context, type, word);
    }
}

static PyObject* show_nested(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_ANY: return show(border, context, rl_object_words(word.o)[1].p, rl_object_words(word.o)[0]);
    case RL_TYPE_TUPLE: return show_tuple(border, context, &type->shapes[0], word);
    case RL_TYPE_ARRAY: return show_items(border, context, type, word, false);
    case RL_TYPE_RECORD: return show_record(border, context, type, word);
    case RL_TYPE_NAMED: return show_named(border, context, type, word);
    case RL_TYPE_FUNCTION: return show_function(border, context, type, word);
    default: return show_proxy(border, context, type, word);
    }
}

PyObject* border_to_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word) {
    switch ((rl_type_kind_t)type->kind) {
    case RL_TYPE_UNIT:
    case RL_TYPE_NEVER: return Py_NewRef(Py_None);
    case RL_TYPE_BOOL: return PyBool_FromLong((long)word.i);
    case RL_TYPE_CHAR: {
        char bytes[4];
        return PyUnicode_FromStringAndSize(bytes, (Py_ssize_t)rl_utf8_encode((uint32_t)word.u, bytes));
    }
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64: return PyLong_FromLongLong(word.i);
    case RL_TYPE_U8:
    case RL_TYPE_U16:
    case RL_TYPE_U32:
    case RL_TYPE_U64: return PyLong_FromUnsignedLongLong(word.u);
    case RL_TYPE_F32:
    case RL_TYPE_F64: return PyFloat_FromDouble(word.f);
    case RL_TYPE_STR: return show_text(word, false);
    case RL_TYPE_BYTES: return show_text(word, true);
    case RL_TYPE_DURATION:
    case RL_TYPE_TIMESTAMP: return show_time(border, (rl_type_kind_t)type->kind, word.i);
    default: break;
    }
    if (border->nesting >= DEEPEST) {
        PyErr_SetString(PyExc_RecursionError,
            "the value of Reml is nested too deep for Python: hold it as a result_take() and read it part by part");
        return NULL;
    }
    border->nesting++;
    PyObject* shown = show_nested(border, context, type, word);
    border->nesting--;
    return shown;
}
