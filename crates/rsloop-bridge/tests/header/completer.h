
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
    if (port->watched >= 0) {
        close(port->watched);
    }
    if (port->rung >= 0 && port->rung != port->watched) {
        close(port->rung);
    }
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

/* Lets go of every future, because the loop is closed. Attached. Gives back one reference. */
static inline void
rsl_port_close(rsl_port *port)
{
    rsl_port **place;
    rsl_completer *next;
    (void)pthread_mutex_lock(rsl_ports_lock());
    for (place = rsl_ports(); *place != NULL; place = &(*place)->next) {
        if (*place == port) {
            *place = port->next;
            break;
        }
    }
    port->open = 0;
    (void)pthread_mutex_unlock(rsl_ports_lock());
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

/* What another loop calls when the descriptor is readable. */
#define RSL_PORT_NAME "rsl_port"

static inline PyObject *
rsl_port_readable(PyObject *capsule, PyObject *unused)
{
    char bytes[64];
    ssize_t got;
    rsl_port *port = (rsl_port *)PyCapsule_GetPointer(capsule, RSL_PORT_NAME);
    (void)unused;
    if (port == NULL) {
        return NULL;
    }
    do {
        got = read(port->watched, bytes, sizeof(bytes));
    } while (got == (ssize_t)sizeof(bytes));
    rsl_port_ref(port);
    rsl_port_drain(port);
    rsl_port_unref(port);
    Py_RETURN_NONE;
}

/* The other loop drops what it watches when it closes, and only then. */
static inline void
rsl_port_forsaken(PyObject *capsule)
{
    rsl_port *port = (rsl_port *)PyCapsule_GetPointer(capsule, RSL_PORT_NAME);
    if (port == NULL) {
        PyErr_Clear();
    } else {
        rsl_port_close(port);
    }
}

/* Any thread, attached or not. Owns one reference. */
static inline void
rsl_port_ring(rsl_port *port)
{
    if (port->api != NULL) {
        if (port->api->post(port->loop, &port->ring) == RSL_OK) {
            return; /* the job has the reference now */
        }
    } else {
        /* It fails only where the descriptor is full, and that is readable. */
        const uint64_t once = 1;
        ssize_t wrote = write(port->rung, &once, sizeof(once));
        (void)wrote;
    }
    rsl_port_unref(port);
}

/* Opens the descriptors. Attached. Returns 0, or -1 with an OSError set. */
static inline int
rsl_port_open_descriptors(rsl_port *port)
{
#ifdef __linux__
    port->watched = port->rung = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (port->watched < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
#else
    int ends[2];
    int end;
    if (pipe(ends) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    port->watched = ends[0];
    port->rung = ends[1];
    for (end = 0; end < 2; end++) {
        if (fcntl(ends[end], F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(ends[end], F_SETFL, O_NONBLOCK) < 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
    }
#endif
    return 0;
}

/* Has a loop that is not rsloop's watch a descriptor. Attached, loop thread. Returns 0, or -1 with
 * an exception set: the loop's own where it cannot watch descriptors.
 */
static inline int
rsl_port_watch(rsl_port *port, PyObject *python_loop)
{
    static PyMethodDef readable = {"rsl_port_readable", rsl_port_readable, METH_NOARGS, NULL};
    PyObject *capsule, *callback, *none = NULL;
    if (rsl_port_open_descriptors(port) < 0) {
        return -1;
    }
    capsule = PyCapsule_New(port, RSL_PORT_NAME, rsl_port_forsaken);
    if (capsule == NULL) {
        return -1;
    }
    rsl_port_ref(port); /* the capsule's */
    callback = PyCFunction_New(&readable, capsule);
    Py_DECREF(capsule);
    if (callback != NULL) {
#ifndef Py_LIMITED_API
        /* In an empty context: the watch lives as long as the loop, and must not keep alive what
         * the context of its first user refers to. */
        PyObject *context = PyContext_New();
        if (context != NULL && PyContext_Enter(context) == 0) {
            none = PyObject_CallMethod(python_loop, "add_reader", "iO", port->watched, callback);
            if (PyContext_Exit(context) < 0) {
                Py_CLEAR(none);
            }
        }
        Py_XDECREF(context);
#else
        none = PyObject_CallMethod(python_loop, "add_reader", "iO", port->watched, callback);
#endif
    }
    Py_XDECREF(callback);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* Joins a loop of rsloop, or has another watch a descriptor. Attached, loop thread. Returns 0, or
 * -1 with an exception set.
 */
static inline int
rsl_port_join(rsl_port *port, PyObject *python_loop)
{
    const rsl_api *api;
    rsl_loop *loop = NULL;
    int found = rsl_api_find(&api);
    if (found > 0) {
        found = api->loop_from_py(python_loop, &loop);
    }
    if (found < 0) {
        return -1;
    }
    if (loop == NULL) {
        return rsl_port_watch(port, python_loop);
    }
    port->api = api;
    port->loop = loop;
    rsl_port_ref(port); /* the hook's */
    if (api->on_close(loop, &port->closing) != RSL_OK) {
        rsl_port_unref(port);
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    return 0;
}

/* Opens the port of a loop: a reference, or NULL with an exception set. Attached, loop thread. */
static inline rsl_port *
rsl_port_open(PyObject *python_loop)
{
    int joined;
    rsl_port *port = (rsl_port *)calloc(1, sizeof(rsl_port));
    if (port == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    port->ring.run = rsl_port_run_ring;
    port->ring.drop = rsl_port_drop_ring;
    port->closing.run = rsl_port_run_closing;
    port->closing.drop = rsl_port_drop_closing;
    port->python_loop = python_loop;
    port->references = 1;
    port->watched = port->rung = -1;
    port->process = (long)getpid();
    port->open = 1;
    joined = rsl_port_join(port, python_loop);
    if (joined < 0) {
        rsl_port_unref(port);
        return NULL;
    }
    (void)pthread_mutex_lock(rsl_ports_lock());
    port->next = *rsl_ports();
    *rsl_ports() = port;
    (void)pthread_mutex_unlock(rsl_ports_lock());
    return port;
}

/* The port of a loop: a reference, or NULL with an exception set. Attached, loop thread. */
static inline rsl_port *
rsl_port_of(PyObject *python_loop)
{
    const long process = (long)getpid();
    rsl_port *port;
    (void)pthread_mutex_lock(rsl_ports_lock());
    for (port = *rsl_ports(); port != NULL; port = port->next) {
        if (port->python_loop == (const void *)python_loop && port->process == process) {
            rsl_port_ref(port);
            break;
        }
    }
    (void)pthread_mutex_unlock(rsl_ports_lock());
    return port != NULL ? port : rsl_port_open(python_loop);
}

/* Makes a future of the running loop, whichever loop that is, and the promise to complete it.
 *
 * Attached, on the loop thread. `discard` may be NULL where payloads need no disposal. NULL with
 * an exception set: RuntimeError where no loop runs, ImportError where the table of rsloop_core is
 * refused. Whoever has the completer calls rsl_complete, exactly once.
 */
static inline rsl_completer *
rsl_completer_new(rsl_discard_fn discard)
{
    PyObject *python_loop = NULL;
    PyObject *events = PyImport_ImportModule("asyncio.events");
    rsl_completer *self = (rsl_completer *)calloc(1, sizeof(rsl_completer));
    if (events != NULL && self != NULL) {
        python_loop = PyObject_CallMethod(events, "get_running_loop", NULL);
    } else if (self == NULL) {
        PyErr_NoMemory();
    }
    Py_XDECREF(events);
    if (python_loop != NULL) {
        self->discard = discard;
        self->port = rsl_port_of(python_loop);
        if (self->port != NULL) {
            self->future = PyObject_CallMethod(python_loop, "create_future", NULL);
        }
#ifndef Py_LIMITED_API
        if (self->future != NULL) {
            self->context = PyContext_CopyCurrent();
            if (self->context == NULL) {
                Py_CLEAR(self->future);
            }
        }
#endif
        Py_DECREF(python_loop);
    }
    if (self == NULL || self->future == NULL) {
        if (self != NULL && self->port != NULL) {
            rsl_port_unref(self->port);
        }
        free(self);
        return NULL;
    }
    self->older = self->port->pending;
    if (self->older != NULL) {
        self->older->younger = self;
    }
    self->port->pending = self;
    return self;
}

/* The future that will be completed: a new reference.
 *
 * Attached, on the loop thread, before the completer is given to another thread.
 */
static inline PyObject *
rsl_completer_future(rsl_completer *self)
{
    Py_INCREF(self->future);
    return self->future;
}

/* Completes the future with what `convert` makes of `payload`, on the loop thread, soon.
 *
 * Any thread, attached or not, at any time: also after the loop has closed, the interpreter is
 * gone, or the process was forked, when the payload is discarded. It never waits and never takes
 * the GIL. It owns both arguments, and the completer must not be used again. The loop is woken
 * once for all that is completed until it looks. Without a `convert` the payload is discarded and
 * the future cancelled.
 */
static inline void
rsl_complete(rsl_completer *self, void *payload, rsl_convert_fn convert)
{
    rsl_port *port = self->port;
    rsl_completer *head;
    self->payload = payload;
    self->convert = convert;
    if (port->process != (long)getpid()) {
        /* The parent's: here nothing but the payload is ours to give up. */
        rsl_completer_discard(self);
        return;
    }
    rsl_port_ref(port); /* the ring's: once pushed, the completer may be gone with its own */
    head = __atomic_load_n(&port->inbox, __ATOMIC_ACQUIRE);
    do {
        if (head == rsl_port_closed(port)) {
            rsl_completer_discard(self);
            rsl_completer_free(self);
            rsl_port_unref(port);
            return;
        }
        self->next = head;
    } while (!__atomic_compare_exchange_n(&port->inbox, &head, self, 1, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    if (head == NULL) {
        rsl_port_ring(port);
    } else {
        rsl_port_unref(port);
    }
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* RSLOOP_BRIDGE_H */
