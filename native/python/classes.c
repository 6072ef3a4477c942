/* The Python classes of records and variants: asked of the package once per declaration, kept per type. */
#include "border.h"

#include <stdlib.h>

static PyObject* text_object(rl_str_t text) { return PyUnicode_FromStringAndSize(text.data, (Py_ssize_t)text.length); }

/* (names, positions in the declaration) of `count` fields from `first`, in stored order; positional ones have the name None. */
static PyObject* field_names(const rl_program_t* program, uint32_t first, uint32_t count) {
    PyObject* names = PyTuple_New((Py_ssize_t)count);
    PyObject* positions = PyTuple_New((Py_ssize_t)count);
    for (uint32_t i = 0; names && positions && i < count; i++) {
        const rl_field_t* field = rl_program_field(program, first + i);
        PyObject* name = field->name ? text_object(rl_sym_text(&program->symbols, field->name)) : Py_NewRef(Py_None);
        PyObject* position = PyLong_FromUnsignedLong(field->declared);
        if (!name || !position) {
            Py_XDECREF(name);
            Py_XDECREF(position);
            Py_CLEAR(names);
            break;
        }
        PyTuple_SetItem(names, (Py_ssize_t)i, name);
        PyTuple_SetItem(positions, (Py_ssize_t)i, position);
    }
    PyObject* pair = names && positions ? PyTuple_Pack(2, names, positions) : NULL;
    Py_XDECREF(names);
    Py_XDECREF(positions);
    return pair;
}

/* Ask the package: support.classes(key, category, name, ((variant, names, positions), …)). The key: a module, or the names of an
   anonymous record. */
static PyObject* ask(border_t* border, PyObject* key, const char* category, rl_str_t name, PyObject* shapes) {
    if (!key || !shapes) return NULL;
    PyObject* text = text_object(name);
    PyObject* made = text ? PyObject_CallMethod(border->support, "classes", "OsOO", key, category, text, shapes) : NULL;
    Py_XDECREF(text);
    if (made && (!PyTuple_Check(made) || PyTuple_Size(made) != PyTuple_Size(shapes))) {
        Py_CLEAR(made);
        PyErr_SetString(PyExc_SystemError, "reml_embed: Support.classes answered something else than classes");
    }
    return made;
}

static PyObject* classes_of_typedef(border_t* border, rl_context_t* context, rl_typedef_id_t id) {
    const rl_program_t* program = &context->program;
    rl_typedef_t def = *rl_program_typedef(program, id);
    const char* category = def.kind == RL_DEF_SUM ? "sum" : def.kind == RL_DEF_NEWTYPE ? "newtype" : "record";
    if (id == program->known.result) category = "result";
    if (id == program->known.option) category = "option";
    PyObject* shapes = PyTuple_New((Py_ssize_t)def.variant_count);
    for (uint32_t i = 0; shapes && i < def.variant_count; i++) {
        rl_variant_t variant = *rl_program_variant(program, def.variant_first + i);
        bool record = (variant.flags & RL_VARIANT_RECORD_PAYLOAD) != 0;
        PyObject* fields = record ? field_names(program, variant.default_first, variant.default_count)
                                  : field_names(program, variant.field_first, variant.field_count);
        PyObject* name = text_object(rl_sym_text(&program->symbols, variant.name ? variant.name : def.name));
        PyObject* shape =
            fields && name ? PyTuple_Pack(3, name, PyTuple_GetItem(fields, 0), PyTuple_GetItem(fields, 1)) : NULL;
        Py_XDECREF(fields);
        Py_XDECREF(name);
        if (!shape) Py_CLEAR(shapes);
        else PyTuple_SetItem(shapes, (Py_ssize_t)i, shape);
    }
    PyObject* key = text_object(rl_sym_text(&program->symbols, rl_program_module(program, def.module)->path));
    PyObject* made = ask(border, key, category, rl_sym_text(&program->symbols, def.name), shapes);
    Py_XDECREF(key);
    Py_XDECREF(shapes);
    return made;
}

/* { x: Int, y: Int }: one class per set of names. */
static PyObject* classes_of_record(border_t* border, const rl_rtype_t* type) {
    const rl_rshape_t* shape = &type->shapes[0];
    PyObject* names = PyTuple_New(shape->field_count);
    PyObject* positions = PyTuple_New(shape->field_count);
    for (uint16_t i = 0; names && positions && i < shape->field_count; i++) {
        PyObject* name = text_object(shape->fields[i].name);
        PyObject* position = PyLong_FromUnsignedLong(i);
        if (!name || !position) {
            Py_XDECREF(name);
            Py_XDECREF(position);
            Py_CLEAR(names);
            break;
        }
        PyTuple_SetItem(names, i, name);
        PyTuple_SetItem(positions, i, position);
    }
    PyObject* row = names && positions ? Py_BuildValue("((sOO))", "", names, positions) : NULL;
    PyObject* made = ask(border, names, "anonymous", (rl_str_t){"", 0}, row);
    Py_XDECREF(row);
    Py_XDECREF(names);
    Py_XDECREF(positions);
    return made;
}

/* For Any: an object of a class made for a type that is not generic is of that type. */
static bool remember_class(border_t* border, const rl_rtype_t* type, PyObject* shapes) {
    if (type->arg_count) return true;
    PyObject* id = PyLong_FromUnsignedLong(type->type);
    bool done = id != NULL;
    for (Py_ssize_t i = 0; done && i < PyTuple_Size(shapes); i++) {
        done = PyDict_SetItem(border->class_types, PyTuple_GetItem(PyTuple_GetItem(shapes, i), 0), id) == 0;
    }
    Py_XDECREF(id);
    return done;
}

/* Another version of a module is in place: ids of types are others. */
static void forget_types(border_t* border, const rl_context_t* context) {
    uint32_t count = border->row_count;
    border_row_t* rows = border->rows;
    border->rows = NULL;
    border->row_count = 0;
    border->type_serial = context->type_serial;
    PyDict_Clear(border->class_types);
    for (uint32_t i = 0; i < count; i++)
        Py_XDECREF(rows[i].shapes); /* the package keeps the classes: nothing runs here */
    free(rows);
}

PyObject* border_shapes(border_t* border, rl_context_t* context, const rl_rtype_t* type) {
    uint32_t id = type->type;
    if (RL_UNLIKELY(border->type_serial != context->type_serial)) forget_types(border, context);
    if (RL_LIKELY(id < border->row_count && border->rows[id].shapes)) return border->rows[id].shapes;
    PyObject* shapes = type->kind == RL_TYPE_NAMED
                           ? classes_of_typedef(border, context, rl_type_node(&context->program.types, id)->a)
                           : classes_of_record(border, type);
    if (!shapes || !remember_class(border, type, shapes)) {
        Py_XDECREF(shapes);
        return NULL;
    }
    if (id >= border->row_count) {
        uint32_t count = id + 64;
        border_row_t* rows = realloc(border->rows, count * sizeof *rows);
        if (!rows) {
            Py_DECREF(shapes);
            return PyErr_NoMemory();
        }
        memset(rows + border->row_count, 0, (count - border->row_count) * sizeof *rows);
        border->rows = rows;
        border->row_count = count;
    }
    if (border->rows[id].shapes) Py_DECREF(shapes); /* asking has run Python code, which came here first */
    else border->rows[id].shapes = shapes;
    return border->rows[id].shapes;
}

rl_type_t border_type_of_class(border_t* border, PyTypeObject* cls) {
    if (RL_UNLIKELY(border->type_serial != border->context->type_serial)) forget_types(border, border->context);
    PyObject* id = PyDict_GetItemWithError(border->class_types, (PyObject*)cls);
    return id ? (rl_type_t)PyLong_AsUnsignedLong(id) : RL_TYPE_ERROR;
}

PyObject* border_declared(border_t* border, rl_context_t* context, rl_str_t module, rl_str_t name) {
    const rl_program_t* program = &context->program;
    rl_sym_t symbol = rl_sym_find(&program->symbols, name);
    for (uint32_t i = 0; symbol && i < program->modules.count; i++) {
        rl_module_id_t id = program->first_module + i;
        if (!rl_str_equal(rl_sym_text(&program->symbols, program->modules.data[i].path), module)) continue;
        uint32_t found = rl_program_find(program, id, 0, symbol);
        for (; found; found = rl_program_item(program, found)->next) {
            rl_item_t item = *rl_program_item(program, found);
            if (item.kind != RL_ITEM_TYPEDEF) continue;
            uint8_t kind = rl_program_typedef(program, item.id)->kind;
            if (kind == RL_DEF_SUM || kind == RL_DEF_NEWTYPE || kind == RL_DEF_RECORD)
                return classes_of_typedef(border, context, item.id);
        }
    }
    return Py_NewRef(Py_None);
}
