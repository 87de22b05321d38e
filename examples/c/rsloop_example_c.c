/* sleep_and_add(left, right, delay_ms): an awaitable whose result a thread works out. */

#include <rsloop_bridge.h> /* first: it includes Python.h */

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* What the thread works on; afterwards it is the payload of the completion. */
typedef struct {
    long left;
    long right;
    long delay_ms;
    rsl_completer *completer;
} addition;

/* On the loop's thread, with the GIL. */
static PyObject *
addition_convert(void *payload)
{
    addition *self = (addition *)payload;
    PyObject *left = PyLong_FromLong(self->left);
    PyObject *right = PyLong_FromLong(self->right);
    PyObject *sum = NULL;
    if (left != NULL && right != NULL) {
        sum = PyNumber_Add(left, right);
    }
    Py_XDECREF(left);
    Py_XDECREF(right);
    free(self);
    return sum;
}

/* A thread that knows nothing of Python. */
static void *
addition_work(void *argument)
{
    addition *self = (addition *)argument;
    struct timespec delay = {self->delay_ms / 1000, self->delay_ms % 1000 * 1000000};
    (void)nanosleep(&delay, NULL);
    rsl_complete(self->completer, self, addition_convert);
    return NULL;
}

static PyObject *
sleep_and_add(PyObject *module, PyObject *arguments)
{
    addition *self;
    pthread_t thread;
    PyObject *future;
    (void)module;
    self = (addition *)calloc(1, sizeof(addition));
    if (self == NULL) {
        return PyErr_NoMemory();
    }
    if (!PyArg_ParseTuple(arguments, "lll", &self->left, &self->right, &self->delay_ms)) {
        free(self);
        return NULL;
    }
    /* `free` disposes of the addition if nobody wants its result any more. */
    self->completer = rsl_completer_new(free);
    if (self->completer == NULL) {
        free(self);
        return NULL;
    }
    future = rsl_completer_future(self->completer);
    if (pthread_create(&thread, NULL, addition_work, self) != 0) {
        rsl_complete(self->completer, self, NULL); /* every completer must be completed */
        Py_DECREF(future);
        PyErr_SetString(PyExc_RuntimeError, "cannot start a thread");
        return NULL;
    }
    pthread_detach(thread);
    return future;
}

static PyMethodDef methods[] = {
    {"sleep_and_add", sleep_and_add, METH_VARARGS,
     "sleep_and_add(left, right, delay_ms, /)\n--\n\nAdd two numbers on a thread, after a while."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "rsloop_example_c", NULL, 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit_rsloop_example_c(void)
{
    return PyModuleDef_Init(&module);
}
