/* The least that an event loop can do and still be asyncio's: what the scheduling rows cost with a
 * handle, a context and a ring buffer, and nothing else.
 *
 * It polls nothing, so it has no timers and no descriptors; it checks almost nothing, cannot be
 * debugged, and its handles are no asyncio.Handle. It only tells how near a real loop comes to
 * what the interpreter itself costs. */
#include <Python.h>

enum { RING = 1 << 12, MOST_FREE = 1 << 10 };

typedef struct {
    PyObject_HEAD
    PyObject *callback, *argument, *context;
    int cancelled;
} Handle;

static Handle *free_handles[MOST_FREE];
static int free_count;

static void handle_dealloc(PyObject *self) {
    Handle *handle = (Handle *)self;
    Py_CLEAR(handle->callback);
    Py_CLEAR(handle->argument);
    Py_CLEAR(handle->context);
    if (free_count < MOST_FREE)
        free_handles[free_count++] = handle;
    else
        PyObject_Free(handle);
}

static PyTypeObject HandleType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_floor.Handle",
    .tp_basicsize = sizeof(Handle),
    .tp_dealloc = handle_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
};

typedef struct {
    PyObject_HEAD
    Handle *ring[RING];
    size_t head, tail;
    int stopping;
} Base;

static PyObject *task_type, *running_keywords;

/* call_soon(callback[, argument][, context=context]) */
static PyObject *call_soon(PyObject *self, PyObject *const *args, Py_ssize_t count,
                           PyObject *keywords) {
    Base *base = (Base *)self;
    if (count < 1 || count > 2 || (keywords && PyTuple_GET_SIZE(keywords) > 1)
        || !PyCallable_Check(args[0]) || base->tail - base->head == RING) {
        PyErr_SetString(PyExc_TypeError, "the floor cannot do that");
        return NULL;
    }
    Handle *handle;
    if (free_count)
        handle = (Handle *)PyObject_Init((PyObject *)free_handles[--free_count], &HandleType);
    else if (!(handle = PyObject_New(Handle, &HandleType)))
        return NULL;
    handle->callback = Py_NewRef(args[0]);
    handle->argument = count > 1 ? Py_NewRef(args[1]) : NULL;
    PyObject *context = keywords && PyTuple_GET_SIZE(keywords) ? args[count] : Py_None;
    handle->context = Py_IsNone(context) ? PyContext_CopyCurrent() : Py_NewRef(context);
    handle->cancelled = 0;
    base->ring[base->tail++ % RING] = (Handle *)Py_NewRef(handle);
    return (PyObject *)handle;
}

static PyObject *stop(PyObject *self, PyObject *unused) {
    ((Base *)self)->stopping = 1;
    Py_RETURN_NONE;
}

static PyObject *get_debug(PyObject *self, PyObject *unused) { Py_RETURN_FALSE; }

static PyObject *create_task(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    PyObject *arguments[] = {args[0], self};
    return PyObject_Vectorcall(task_type, arguments, 1, running_keywords);
}

static int run_handle(Handle *handle) {
    if (PyContext_Enter(handle->context))
        return -1;
    PyObject *result =
        PyObject_Vectorcall(handle->callback, &handle->argument, handle->argument != NULL, NULL);
    if (PyContext_Exit(handle->context) || !result)
        return -1;
    Py_DECREF(result);
    return 0;
}

/* Returns when stop() is called; an exception of a callback ends it. */
static PyObject *run_until_stopped(PyObject *self, PyObject *unused) {
    Base *base = (Base *)self;
    for (base->stopping = 0; !base->stopping;) {
        for (size_t count = base->tail - base->head; count; count--) {
            Handle *handle = base->ring[base->head++ % RING];
            int failed = !handle->cancelled && run_handle(handle);
            Py_DECREF(handle);
            if (failed)
                return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"call_soon", (PyCFunction)(void (*)(void))call_soon, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"create_task", (PyCFunction)(void (*)(void))create_task, METH_FASTCALL, NULL},
    {"get_debug", get_debug, METH_NOARGS, NULL},
    {"stop", stop, METH_NOARGS, NULL},
    {"run_until_stopped", run_until_stopped, METH_NOARGS, NULL},
    {NULL},
};

static PyTypeObject BaseType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_floor.Base",
    .tp_basicsize = sizeof(Base),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_methods = methods,
    .tp_new = PyType_GenericNew,
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_floor", .m_size = -1};

PyMODINIT_FUNC PyInit__floor(void) {
    PyObject *tasks = PyImport_ImportModule("_asyncio");
    if (!tasks || !(task_type = PyObject_GetAttrString(tasks, "Task"))
        || !(running_keywords = Py_BuildValue("(s)", "loop")) || PyType_Ready(&HandleType)
        || PyType_Ready(&BaseType))
        return NULL;
    Py_DECREF(tasks);
    PyObject *self = PyModule_Create(&module);
    if (self && PyModule_AddObjectRef(self, "Base", (PyObject *)&BaseType))
        Py_CLEAR(self);
    return self;
}
