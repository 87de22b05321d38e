/* An extension in C: it refuses tables that are broken, and completes a future from a thread. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rsloop_bridge.h"

typedef struct {
    rsl_job head;
    const rsl_api *api;
    rsl_loop *loop;
    PyObject *future;
    long value;
} completion;

static void
completion_free(completion *self)
{
    Py_DECREF(self->future);
    self->api->unref(self->loop);
    free(self);
}

static void
completion_run(rsl_job *job, rsl_loop *owner)
{
    completion *self = (completion *)job;
    PyObject *value = PyLong_FromLong(self->value);
    (void)owner;
    if (value == NULL || rsl_future_set_result(self->future, value) < 0) {
        PyErr_WriteUnraisable(self->future);
    }
    Py_XDECREF(value);
    completion_free(self);
}

static void
completion_drop(rsl_job *job)
{
    completion_free((completion *)job);
}

static void *
post_from_thread(void *argument)
{
    completion *self = (completion *)argument;
    if (self->api->post(self->loop, &self->head) != RSL_OK) {
        PyGILState_STATE state = PyGILState_Ensure();
        completion_free(self);
        PyGILState_Release(state);
    }
    return NULL;
}

/* later(value): a future of the running loop that a thread completes. */
static PyObject *
later(PyObject *module, PyObject *argument)
{
    const rsl_api *api;
    rsl_loop *loop;
    completion *self;
    pthread_t thread;
    PyObject *future;
    long value = PyLong_AsLong(argument);
    (void)module;
    if (PyErr_Occurred()) {
        return NULL;
    }
    api = rsl_api_import();
    if (api == NULL) {
        return NULL;
    }
    switch (api->loop_current(&loop)) {
    case RSL_FOUND:
        break;
    case RSL_FOREIGN:
        PyErr_SetString(PyExc_RuntimeError, "no loop of rsloop is running");
        return NULL;
    default:
        return NULL;
    }
    future = rsl_future_new(api, loop);
    self = (completion *)calloc(1, sizeof(completion));
    if (future == NULL || self == NULL) {
        api->unref(loop);
        Py_XDECREF(future);
        free(self);
        return future == NULL ? NULL : PyErr_NoMemory();
    }
    self->head.run = completion_run;
    self->head.drop = completion_drop;
    self->api = api;
    self->loop = loop;
    self->future = Py_NewRef(future);
    self->value = value;
    if (pthread_create(&thread, NULL, post_from_thread, self) != 0) {
        completion_free(self);
        Py_DECREF(future);
        PyErr_SetString(PyExc_RuntimeError, "no thread");
        return NULL;
    }
    pthread_detach(thread);
    return future;
}

/* check(table): what the loader thinks of a table of these bytes. */
static PyObject *
check(PyObject *module, PyObject *argument)
{
    static uint64_t words[64];
    char *bytes;
    Py_ssize_t length;
    (void)module;
    if (PyBytes_AsStringAndSize(argument, &bytes, &length) < 0) {
        return NULL;
    }
    if ((size_t)length > sizeof(words)) {
        PyErr_SetString(PyExc_ValueError, "too long");
        return NULL;
    }
    memset(words, 0, sizeof(words));
    memcpy(words, bytes, (size_t)length);
    if (rsl_api_check(length == 0 ? NULL : (const rsl_api *)(void *)words) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* find(): whether rsloop_core is imported. */
static PyObject *
find(PyObject *module, PyObject *unused)
{
    const rsl_api *api;
    int found = rsl_api_find(&api);
    (void)module;
    (void)unused;
    return found < 0 ? NULL : PyBool_FromLong(found);
}

/* has(): whether the core's table holds the entry that this build names. */
static PyObject *
has(PyObject *module, PyObject *unused)
{
    const rsl_api *api = rsl_api_import();
    (void)module;
    (void)unused;
#ifndef ENTRY
#define ENTRY on_loop_thread
#endif
    return api == NULL ? NULL : PyBool_FromLong(RSL_HAS(api, ENTRY));
}

static PyMethodDef methods[] = {
    {"later", later, METH_O, NULL},
    {"check", check, METH_O, NULL},
    {"find", find, METH_NOARGS, NULL},
    {"has", has, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "later", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit_later(void)
{
    PyObject *made = PyModule_Create(&module);
#ifdef Py_GIL_DISABLED
    if (made != NULL && PyUnstable_Module_SetGIL(made, Py_MOD_GIL_NOT_USED) < 0) {
        Py_CLEAR(made);
    }
#endif
    return made;
}
