/*
 * The Python border (DESIGN 2.10): what is hot between Python and a context, written against the limited C API and compiled
 * into the same shared object as the cffi bindings. Everything else of the package goes through cffi.
 *
 *   module.c    the module `_fast` and its type Border: one context as Python's fast side sees it
 *   function.c  the type Function: calls and batches
 *   convert.c   Python objects ⇄ words, by run-time type (CONTRACTS 2.7a)
 *   classes.c   the Python classes of records and variants
 *   live.c      values that live in the context: structs, Vec, Table behind proxies
 *   globals.c   top-level values
 *   waiting.c   runs that wait, on an event loop
 *   hosting.c   Python functions called by scripts; the GIL; Ctrl-C
 *
 * The GIL is held when a script starts. It is released at the VM's first poll, so that short calls never pay for it, and taken
 * back for callbacks, for signal checks and at the end.
 *
 * Words made from Python objects have no root, and converting may run Python code (`__iter__`, a finaliser). So the context is
 * frozen around conversions (rl_context_freeze): whatever would run, collect or free something in it answers BUSY.
 */
#ifndef RL_PYTHON_BORDER_H
#define RL_PYTHON_BORDER_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <structmember.h>

#include "host/context.h"

/*
 * Vectorcall has been CPython's public protocol since 3.9 and part of the limited API since 3.12. What it needs of a type is one
 * flag and one member, whose values never changed, so 3.11 gets it, too: no symbol outside the limited API is used.
 */
#if Py_LIMITED_API >= 0x030c0000
typedef vectorcallfunc border_vectorcall_t;
#define BORDER_HAVE_VECTORCALL Py_TPFLAGS_HAVE_VECTORCALL
#else
typedef PyObject* (*border_vectorcall_t)(
    PyObject* callable, PyObject* const* args, size_t flagged_count, PyObject* names);
#define BORDER_HAVE_VECTORCALL (1UL << 11)
#endif

/* The Python side of records and variants, by type id. NULL: not made yet. */
typedef struct border_row {
    PyObject*
        shapes; /* tuple over the shapes: (class, attribute names in stored order, names in Reml in stored order) */
} border_row_t;

/* What a Python Context owns of the border; owned by it and by every Function. */
typedef struct border {
    PyObject_HEAD reml_embed_context_t* id;
    rl_context_t* context; /* valid while the row of `slot` has its generation; NULL once disposed */
    rl_slot_t* slot;       /* of `id`; rows are never freed */
    uint64_t generation;
    PyThreadState* released; /* not NULL: this run has let the GIL go */
    bool active;             /* the context runs on behalf of a method of ours: the GIL is ours to let go */
    uint64_t taken_ns;       /* when this run took the GIL back; 0: not yet */
    uint64_t checked_ns;     /* when signals were looked at last */
    PyObject* pending;       /* exception that a host function, the output or a signal handler raised; or NULL */
    bool short_of_memory;    /* the conversion failed for memory of the context, not of Python */
    bool consumed;           /* the conversion has used up an iterator: it cannot be repeated */
    uint32_t nesting;        /* of the value that is being converted */
    PyObject* output;        /* callable(str) */
    PyObject* input;         /* callable(str) -> str that Console.ask asks; or NULL */
    PyObject* answer;        /* its last answer, whose text the context is reading; or NULL */
    PyObject* support;       /* the package's half: see Support in reml_embed/_support.py */
    PyObject* hosted;        /* dict: name → callable; C only borrows these */
    PyObject* class_types;   /* dict: class → type id, for Any */
    border_row_t* rows;
    uint32_t row_count;
    uint32_t type_serial; /* of the version of the modules that ids of types are of */
    PyObject* class_some; /* Some and Proxy of the package */
    PyObject* class_proxy;
    PyTypeObject* function_type;
    /* Let go while the context was busy or the GIL was not ours; dropped by border_settle. */
    PyObject** dropped;
    uint32_t dropped_count, dropped_capacity;
    reml_function_t* dead;
    uint32_t dead_count, dead_capacity;
} border_t;

typedef struct function {
    PyObject_HEAD border_t* border; /* owned */
    reml_function_t function;
    border_vectorcall_t vectorcall;
    /* What the hot path looks at, so that it need not follow five pointers. `entry` lives as long as the context, and is of this
       function while its generation is that of the handle. */
    rl_function_entry_t* entry;
    uint8_t scalars; /* parameters, when all of them and the result are Int, Float, Bool or (); else UINT8_MAX */
    uint8_t result_kind;
    uint8_t kinds[14]; /* rl_type_kind_t */
} function_t;

/* The living context of a border on this thread; NULL and an exception set. */
rl_context_t* border_context(border_t* border);
/* The same, NULL for anything unusual: rl_slot_resolve for an id that has been looked up before. */
static inline rl_context_t* border_context_fast(const border_t* border) {
    const rl_slot_t* slot = border->slot;
    if (RL_UNLIKELY(atomic_load_explicit(&slot->generation, memory_order_acquire) != border->generation)) return NULL;
    if (RL_UNLIKELY(atomic_load_explicit(&slot->fork, memory_order_relaxed) != rl_os_fork_generation())) return NULL;
    if (RL_UNLIKELY(atomic_load_explicit(&slot->thread, memory_order_relaxed) != rl_os_thread_id())) return NULL;
    return border->context;
}
/* Raise what the package makes of a status; always answers NULL. */
PyObject* border_raise(border_t* border, reml_embed_status_t status);

/* --- convert.c --- */
/* New reference, or NULL with an exception set. The context must be frozen. */
PyObject* border_to_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, rl_word_t word);
/* False with an exception set (TypeError, OverflowError, ValueError, MemoryError) that names the place: "args[1].name". index -1: the
   root itself. The context must be frozen. */
bool border_from_python(border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* object,
    const char* root, Py_ssize_t index, rl_word_t* out);

/* --- classes.c --- */
/* Tuple over the shapes of a record, sum or newtype (see border_row_t); borrowed. NULL: exception. */
PyObject* border_shapes(border_t* border, rl_context_t* context, const rl_rtype_t* type);
/* The same for a type declared in a module: new reference; None when there is none. */
PyObject* border_declared(border_t* border, rl_context_t* context, rl_str_t module, rl_str_t name);
/* The type that objects of this class are of, or RL_TYPE_ERROR. */
rl_type_t border_type_of_class(border_t* border, PyTypeObject* cls);

/* --- hosting.c --- */
void border_attach(border_t* border, rl_context_t* context);
/* Name, signature and needs are those of `given`. */
bool border_define(border_t* border, rl_context_t* context, const reml_host_function_t* given, PyObject* callable);
void border_take_gil(border_t* border);
/* Around everything that may run a script. */
bool border_enter(border_t* border); /* answers what border_leave wants back */
void border_leave(border_t* border, bool outer);
/* After each run: take the GIL back if it was let go; raise what is pending or what `status` says. False: an exception is set. */
bool border_finish(border_t* border, reml_embed_status_t status);
/* Drop what waits; Python code may run. */
void border_settle(border_t* border);
/* A Python object that a host object of the heap held. Any thread state: only notes it. */
void border_drop_later(border_t* border, PyObject* object);
void border_release_later(border_t* border, reml_function_t function);

/* --- function.c --- */
PyObject* border_function_object(border_t* border, reml_function_t function);
/* Results of ordinary calls become Python objects: nothing is left to release. Around a call whose result stays a handle, records
   say that its release is pending. */
void border_expect_handle(rl_context_t* context, const function_t* function, bool handle);
/* Run an entry with Python arguments: the result word, before anything can collect it. Frozen when it answers true: thaw after use. */
bool border_call(border_t* border, rl_context_t* context, reml_function_t function, PyObject* const* args,
    Py_ssize_t count, const rl_rtype_t** out_type, rl_word_t* out);
/* Start a function as a job. False: an exception is set. */
bool border_start_call(border_t* border, rl_context_t* context, reml_function_t function, PyObject* const* args,
    Py_ssize_t count, reml_embed_status_t* out_status, reml_job_t* out);
extern PyType_Spec border_function_spec;

/* --- waiting.c --- */
PyObject* border_start(PyObject* self, PyObject* args);
PyObject* border_start_function(PyObject* self, PyObject* args);
PyObject* border_start_future(PyObject* self, PyObject* args);
PyObject* border_resume(PyObject* self, PyObject* args);
PyObject* border_job_result(PyObject* self, PyObject* args);
PyObject* border_release_job(PyObject* self, PyObject* args);
PyObject* border_complete(PyObject* self, PyObject* args);
/* False: an exception is set. */
bool border_future_word(
    border_t* border, rl_context_t* context, const rl_rtype_t* type, PyObject* answer, rl_word_t* out);

/* --- live.c --- */
PyObject* border_value(PyObject* self, PyObject* args);
/* globals.c */
PyObject* border_global_value(PyObject* self, PyObject* args);
PyObject* border_set_global(PyObject* self, PyObject* args);
PyObject* border_length(PyObject* self, PyObject* args);
PyObject* border_items(PyObject* self, PyObject* args);
PyObject* border_item(PyObject* self, PyObject* args);
PyObject* border_fields(PyObject* self, PyObject* args);
PyObject* border_field(PyObject* self, PyObject* args);
PyObject* border_set_field(PyObject* self, PyObject* args);
PyObject* border_method(PyObject* self, PyObject* args);
PyObject* border_same(PyObject* self, PyObject* args);
PyObject* border_identity(PyObject* self, PyObject* args);

#endif
