/*
 * The Python border (DESIGN 2.10): what is hot between Python and a context, written against the limited C API and compiled
 * into the same shared object as the cffi bindings. Everything else of the package goes through cffi.
 *
 *   module.c    the module `_fast`: types Border and Function
 *   convert.c   Python objects ⇄ words, by run-time type (CONTRACTS 2.7a)
 *   hosting.c   Python functions called by scripts; the GIL; Ctrl-C
 *
 * The GIL is held when a script starts. It is released at the VM's first poll, so that short calls never pay for it, and taken
 * back for callbacks, for signal checks and at the end.
 */
#ifndef RL_PYTHON_BORDER_H
#define RL_PYTHON_BORDER_H

#include <Python.h>

#include "host/context.h"

/* What a Python Context owns of the border. Its context lives at least as long as `closed` is false. */
typedef struct border {
    PyObject_HEAD
    reml_embed_context_t* id;
    PyThreadState* released;   /* not NULL: this run has let the GIL go */
    uint64_t last_check_ns;    /* of signals */
    PyObject* pending;         /* exception that a host function, the output or a signal handler raised; or NULL */
    uint32_t converting;       /* words are being made from Python objects: nothing may run or collect meanwhile */
    PyObject* output;          /* callable(str) or None */
    PyObject* support;         /* object with the methods of reml_embed._border.Support */
    PyObject* classes;         /* dict: type id → class of records, tuple of classes of sums */
    PyObject* class_some;      /* Some, Ok, Err of the package */
    PyObject* class_ok;
    PyObject* class_err;
    bool closed;
} border_t;

typedef struct function {
    PyObject_HEAD
    border_t* border;          /* owned */
    reml_function_t function;
    PyObject* name;
    PyObject* signature;
#if Py_LIMITED_API >= 0x030c0000
    vectorcallfunc vectorcall;
#endif
} function_t;

/* The living context of a border on this thread; NULL and an exception set. */
rl_context_t* border_context(border_t* border);

/* --- convert.c --- */
/* New reference, or NULL with an exception set. */
PyObject* border_to_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word);
/* False with an exception set (TypeError, OverflowError, ValueError, MemoryError) that names the place: "args[1].name". */
bool border_from_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* object, const char* root, Py_ssize_t index,
                        rl_word_t* out);

/* --- hosting.c --- */
void border_attach(border_t* border, rl_context_t* context);
bool border_define(border_t* border, rl_context_t* context, const char* name, const char* signature_or_null, PyObject* callable);
/* After each run: take the GIL back if it was let go; raise what is pending or what `status` says. False: an exception is set. */
bool border_finish(border_t* border, reml_embed_status_t status);
void border_take_gil(border_t* border);

/* --- module.c --- */
PyObject* border_function_object(border_t* border, rl_context_t* context, reml_function_t function);

#endif
