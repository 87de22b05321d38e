
/* Completers: a future of the running loop, whichever loop that is, which any thread completes.
 *
 * On a loop of rsloop they travel through the table; other loops, such as asyncio's own and
 * uvloop's, watch a descriptor of theirs. A program meets four functions: rsl_completer_new,
 * rsl_completer_future, rsl_complete, and a conversion of its own. What is below those is private.
 */

/* Makes the result of what a thread worked out.
 *
 * Attached, on the loop thread, in the context in which the completer was made (where CPython's
 * limited API is in force: in the loop's base context). Owns the payload. Returns a new
 * reference, or NULL with an exception set, which becomes the future's.
 */
typedef PyObject *(*rsl_convert_fn)(void *payload);

/* Disposes of a payload that is not converted: the future was done before, or the loop has closed.
 *
 * On any thread, attached or not, perhaps after the interpreter is gone: it must not use Python.
 */
typedef void (*rsl_discard_fn)(void *payload);

/* All completers of one loop. Private. */
typedef struct rsl_port rsl_port;

/* A promise to complete one future. Opaque: its fields are private. */
typedef struct rsl_completer {
    struct rsl_completer *next;      /* in the inbox */
    struct rsl_completer *older;     /* among the pending, as are the next two: loop thread */
    struct rsl_completer *younger;
    PyObject *future;                /* NULL once the loop has closed */
    PyObject *context;
    rsl_port *port;                  /* a reference */
    void *payload;
    rsl_convert_fn convert;
    rsl_discard_fn discard;
} rsl_completer;

struct rsl_port {
    rsl_job ring;            /* first; the loop owns it from a ring until it drains */
    rsl_job closing;         /* what rsloop calls when the loop closes */
    rsl_port *next;          /* in the list of open ports */
    const void *python_loop; /* its address: the port is gone from the list before the loop is */
    rsl_completer *inbox;    /* atomic: newest first, or the port's own address once closed */
    rsl_completer *pending;  /* youngest first; loop thread */
    size_t references;       /* atomic */
    const rsl_api *api;      /* NULL: the loop is not rsloop's */
    rsl_loop *loop;          /* a reference, where api is set */
    int watched;             /* the descriptor that another loop watches, or -1 */
    int rung;                /* the descriptor to write to */
    PyObject *weak;          /* to a loop that can watch none, else NULL; attached */
    long process;            /* a child made by fork must leave the port alone */
    int open;                /* loop thread */
};

static inline pthread_mutex_t *
rsl_ports_lock(void)
{
    /* Held attached, and never across a call into Python: so nobody holds it at a fork. */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    return &lock;
}

static inline rsl_port **
rsl_ports(void)
{
    static rsl_port *first = NULL;
    return &first;
}

static inline void
rsl_port_ref(rsl_port *port)
{
    (void)__atomic_add_fetch(&port->references, 1, __ATOMIC_RELAXED);
}

/* Gives the descriptors back. */
static inline void
rsl_port_close_descriptors(rsl_port *port)
{
    if (port->watched >= 0) {
        close(port->watched);
    }
    if (port->rung >= 0 && port->rung != port->watched) {
        close(port->rung);
    }
    port->watched = port->rung = -1;
}

/* Any thread, attached or not. The descriptors go with the last reference, so that nobody writes
 * to a number that was given to another file meanwhile.
 */
static inline void
rsl_port_unref(rsl_port *port)
{
    if (__atomic_sub_fetch(&port->references, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    if (port->api != NULL) {
        port->api->unref(port->loop);
    }
    rsl_port_close_descriptors(port);
    free(port);
}

/* What marks a closed inbox: an address that no completer has. */
static inline rsl_completer *
rsl_port_closed(rsl_port *port)
{
    return (rsl_completer *)(void *)port;
}

/* Takes a completer from the pending ones. Loop thread. */
static inline void
rsl_completer_unlink(rsl_completer *self)
{
    if (self->younger != NULL) {
        self->younger->older = self->older;
    } else if (self->port->pending == self) {
        self->port->pending = self->older;
    }
    if (self->older != NULL) {
        self->older->younger = self->younger;
    }
    self->older = self->younger = NULL;
}

/* Frees a completer that is neither pending nor in the inbox. Any thread, attached or not. */
static inline void
rsl_completer_free(rsl_completer *self)
{
    rsl_port *port = self->port;
    free(self);
    rsl_port_unref(port);
}

/* Disposes of a payload. Any thread, attached or not. */
static inline void
rsl_completer_discard(rsl_completer *self)
{
    if (self->discard != NULL) {
        self->discard(self->payload);
    }
}

/* The exception that is set, taken, normalised, with its traceback. Attached. */
static inline PyObject *
rsl_exception_take(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (value != NULL && traceback != NULL) {
        (void)PyException_SetTraceback(value, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* Gives the future the exception that is set. Attached, loop thread. */
static inline void
rsl_future_fail(PyObject *future)
{
    int attempts;
    /* A second time, because a future of Python 3.11 refuses StopIteration by a TypeError, and
     * must not stay pending for that. */
    for (attempts = 0; attempts < 2; attempts++) {
        PyObject *exception = rsl_exception_take();
        int failed = exception == NULL || rsl_future_set_exception(future, exception) < 0;
        Py_XDECREF(exception);
        if (!failed) {
            return;
        }
    }
    PyErr_WriteUnraisable(future);
}

/* Calls the conversion, in the completer's context. Attached, loop thread. */
static inline PyObject *
rsl_completer_convert(rsl_completer *self)
{
    PyObject *value;
#ifndef Py_LIMITED_API
    if (PyContext_Enter(self->context) < 0) {
        rsl_completer_discard(self);
        return NULL;
    }
#endif
    value = self->convert(self->payload);
#ifndef Py_LIMITED_API
    if (PyContext_Exit(self->context) < 0) {
        Py_CLEAR(value);
    }
#endif
    if (value == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_SystemError, "the conversion returned NULL without an exception");
    }
    return value;
}

/* Completes the future and frees the completer. Attached, loop thread. */
static inline void
rsl_completer_settle(rsl_completer *self)
{
    int done;
    rsl_completer_unlink(self);
    done = self->future == NULL ? 1 : rsl_future_done(self->future);
    if (done != 0 || self->convert == NULL) {
        rsl_completer_discard(self);
        if (done < 0) {
            PyErr_WriteUnraisable(self->future);
        } else if (done == 0) {
            PyObject *truth = PyObject_CallMethod(self->future, "cancel", NULL);
            if (truth == NULL) {
                PyErr_WriteUnraisable(self->future);
            }
            Py_XDECREF(truth);
        }
    } else {
        PyObject *value = rsl_completer_convert(self);
        if (value != NULL && rsl_future_done(self->future) == 1) {
            /* The conversion itself has cancelled it: nobody waits for the value. */
        } else if (value == NULL || rsl_future_set_result(self->future, value) < 0) {
            rsl_future_fail(self->future);
        }
        Py_XDECREF(value);
    }
    Py_CLEAR(self->future);
    Py_CLEAR(self->context);
    rsl_completer_free(self);
}

/* The completers of an inbox, oldest first. */
static inline rsl_completer *
rsl_completers_reversed(rsl_completer *newest)
{
    rsl_completer *next = NULL;
    while (newest != NULL) {
        rsl_completer *older = newest->next;
        newest->next = next;
        next = newest;
        newest = older;
    }
    return next;
}

/* Completes what is in the inbox. Attached, loop thread. */
static inline void
rsl_port_drain(rsl_port *port)
{
    rsl_completer *next;
    if (!port->open) {
        return;
    }
    /* From here on the next completer rings again, and may post the job that is running. */
    next = __atomic_exchange_n(&port->inbox, (rsl_completer *)NULL, __ATOMIC_ACQ_REL);
    next = rsl_completers_reversed(next);
    while (next != NULL) {
        rsl_completer *completer = next;
        next = completer->next;
        rsl_completer_settle(completer);
    }
}

/* Lets go of every future, because the loop is closed. Attached. Gives back one reference, the
 * first time.
 */
static inline void
rsl_port_close(rsl_port *port)
{
    rsl_port **place;
    rsl_completer *next;
    int open;
    (void)pthread_mutex_lock(rsl_ports_lock());
    for (place = rsl_ports(); *place != NULL; place = &(*place)->next) {
        if (*place == port) {
            *place = port->next;
            break;
        }
    }
    open = port->open;
    port->open = 0;
    (void)pthread_mutex_unlock(rsl_ports_lock());
    if (!open) {
        return;
    }
    Py_CLEAR(port->weak);
    /* Before the inbox is closed: after that, their threads free them. */
    while (port->pending != NULL) {
        rsl_completer *completer = port->pending;
        PyObject *future = completer->future;
        PyObject *context = completer->context;
        rsl_completer_unlink(completer);
        completer->future = completer->context = NULL;
        Py_XDECREF(future);
        Py_XDECREF(context);
    }
    next = __atomic_exchange_n(&port->inbox, rsl_port_closed(port), __ATOMIC_ACQ_REL);
    while (next != NULL) {
        rsl_completer *completer = next;
        next = completer->next;
        rsl_completer_discard(completer);
        rsl_completer_free(completer);
    }
    rsl_port_unref(port);
}

/* The jobs of a port on a loop of rsloop. */
static inline void
rsl_port_run_ring(rsl_job *job, rsl_loop *owner)
{
    rsl_port *port = (rsl_port *)(void *)job;
    (void)owner;
    rsl_port_drain(port);
    rsl_port_unref(port);
}

static inline void
rsl_port_drop_ring(rsl_job *job)
{
    rsl_port_unref((rsl_port *)(void *)job); /* closing the port empties the inbox */
}

static inline void
rsl_port_drop_closing(rsl_job *job)
{
    rsl_port_close((rsl_port *)(void *)((char *)job - offsetof(rsl_port, closing)));
}

static inline void
rsl_port_run_closing(rsl_job *job, rsl_loop *owner)
{
    (void)owner;
    rsl_port_drop_closing(job);
}

