/* An extension in C that makes completers, and completes them when and where Python says. */

#include "rsloop_bridge.h" /* first, as Python.h wants to be */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 1000 /* pending ones at once */

typedef struct {
    long number;
    char kind; /* 'n': the number; 'e': ValueError; 's': StopIteration; '0': NULL alone;
                'c': call `callable` */
} parcel;

static rsl_completer *slots[SLOTS];
static int used = 0; /* atomic, as are the two counts */
static PyObject *callable = NULL;
static int converted = 0;
static int discarded = 0;

static PyObject *
convert(void *payload)
{
    parcel *self = (parcel *)payload;
    const long number = self->number;
    const char kind = self->kind;
    free(self);
    (void)__atomic_add_fetch(&converted, 1, __ATOMIC_RELAXED);
    switch (kind) {
    case 'n':
        return PyLong_FromLong(number);
    case 'e':
        PyErr_Format(PyExc_ValueError, "number %ld", number);
        return NULL;
    case 's':
        PyErr_SetNone(PyExc_StopIteration);
        return NULL;
    case '0':
        return NULL;
    default:
        return PyObject_CallObject(callable, NULL);
    }
}

static void
discard(void *payload)
{
    free(payload);
    (void)__atomic_add_fetch(&discarded, 1, __ATOMIC_RELAXED);
}

static PyObject *
set_callable(PyObject *module, PyObject *argument)
{
    PyObject *old = callable;
    (void)module;
    callable = Py_NewRef(argument);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

/* make(): a number for `complete`, and the future. */
static PyObject *
make(PyObject *module, PyObject *unused)
{
    rsl_completer *completer;
    int number;
    (void)module;
    (void)unused;
    completer = rsl_completer_new(discard);
    if (completer == NULL) {
        return NULL;
    }
    number = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
    slots[number % SLOTS] = completer;
    return Py_BuildValue("iN", number, rsl_completer_future(completer));
}

static void
finish(int first, int count, char kind)
{
    int index;
    for (index = first; index < first + count; index++) {
        parcel *payload = (parcel *)malloc(sizeof(parcel));
        if (payload == NULL) {
            abort();
        }
        payload->number = index - first;
        payload->kind = kind;
        rsl_complete(slots[index % SLOTS], payload, kind == 'x' ? NULL : convert);
    }
}

typedef struct {
    int first;
    int count;
    char kind;
    long delay_us;
} errand;

static void *
run_errand(void *argument)
{
    errand *self = (errand *)argument;
    if (self->delay_us != 0) {
        struct timespec delay = {self->delay_us / 1000000, self->delay_us % 1000000 * 1000};
        (void)nanosleep(&delay, NULL);
    }
    finish(self->first, self->count, self->kind);
    free(self);
    return NULL;
}

/* complete(first, count, kind, how, delay_us): on a "thread", on one that is "joined", or
 * "here". */
static PyObject *
complete(PyObject *module, PyObject *arguments)
{
    int first, count, kind, delay = 0;
    const char *how;
    pthread_t thread;
    errand *task;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "iiCs|i", &first, &count, &kind, &how, &delay)) {
        return NULL;
    }
    if (strcmp(how, "here") == 0) {
        finish(first, count, (char)kind);
        Py_RETURN_NONE;
    }
    task = (errand *)malloc(sizeof(errand));
    if (task == NULL) {
        return PyErr_NoMemory();
    }
    task->first = first;
    task->count = count;
    task->kind = (char)kind;
    task->delay_us = delay;
    if (pthread_create(&thread, NULL, run_errand, task) != 0) {
        free(task);
        PyErr_SetString(PyExc_RuntimeError, "no thread");
        return NULL;
    }
    if (strcmp(how, "joined") == 0) {
        Py_BEGIN_ALLOW_THREADS
        (void)pthread_join(thread, NULL);
        Py_END_ALLOW_THREADS
    } else {
        pthread_detach(thread);
    }
    Py_RETURN_NONE;
}

/* counts(): how many payloads were converted and discarded. */
static PyObject *
counts(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return Py_BuildValue("ii", __atomic_load_n(&converted, __ATOMIC_RELAXED),
                         __atomic_load_n(&discarded, __ATOMIC_RELAXED));
}

static PyMethodDef methods[] = {
    {"set_callable", set_callable, METH_O, NULL},
    {"make", make, METH_NOARGS, NULL},
    {"complete", complete, METH_VARARGS, NULL},
    {"counts", counts, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "completer", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit_completer(void)
{
    PyObject *made = PyModule_Create(&module);
#ifdef Py_GIL_DISABLED
    if (made != NULL && PyUnstable_Module_SetGIL(made, Py_MOD_GIL_NOT_USED) < 0) {
        Py_CLEAR(made);
    }
#endif
    return made;
}
