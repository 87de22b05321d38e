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
 * the GIL, except to wake a loop without add_reader, by call_soon_threadsafe. It owns both arguments, and the completer must not be used again. The loop is woken
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
