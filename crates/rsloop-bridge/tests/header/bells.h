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
    if (port->watched >= 0) {
        do {
            got = read(port->watched, bytes, sizeof(bytes));
        } while (got == (ssize_t)sizeof(bytes));
    }
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

/* Loops that watch no descriptors, as Windows' do: woken by call_soon_threadsafe, for which a thread
 * has to attach. The counts let the interpreter's exit wait for those that do, and refuse more.
 */
typedef struct rsl_attachments {
    size_t count; /* atomic */
    int refused;  /* atomic */
    long process; /* in which they are counted; attached */
} rsl_attachments;

static inline rsl_attachments *
rsl_attachments_of_process(void)
{
    static rsl_attachments attachments = {0, 0, 0};
    return &attachments;
}

/* What atexit calls: a thread must not attach to an interpreter that is being finalized. */
static inline PyObject *
rsl_refuse_attachments(PyObject *unused, PyObject *none)
{
    rsl_attachments *attachments = rsl_attachments_of_process();
    int patience = attachments->process == (long)getpid() ? 2000 : 0; /* milliseconds */
    (void)unused;
    (void)none;
    __atomic_store_n(&attachments->refused, 1, __ATOMIC_SEQ_CST);
    Py_BEGIN_ALLOW_THREADS
    for (; patience > 0 && __atomic_load_n(&attachments->count, __ATOMIC_SEQ_CST) != 0; patience--) {
        (void)poll(NULL, 0, 1);
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* Has the exit call the above, once. Attached. Returns 0, or -1 with an exception set. */
static inline int
rsl_attachments_register(void)
{
    static PyMethodDef refuse = {"rsl_refuse_attachments", rsl_refuse_attachments, METH_NOARGS,
                                 NULL};
    rsl_attachments *attachments = rsl_attachments_of_process();
    const long process = (long)getpid();
    PyObject *exits, *hook, *registered = NULL;
    if (attachments->process != 0) {
        if (attachments->process != process) {
            /* A child made by fork has the hook, and none of the threads. */
            attachments->process = process;
            __atomic_store_n(&attachments->count, (size_t)0, __ATOMIC_SEQ_CST);
        }
        return 0;
    }
    exits = PyImport_ImportModule("atexit");
    hook = PyCFunction_New(&refuse, NULL);
    if (exits != NULL && hook != NULL) {
        registered = PyObject_CallMethod(exits, "register", "O", hook);
    }
    Py_XDECREF(hook);
    Py_XDECREF(exits);
    if (registered == NULL) {
        return -1;
    }
    Py_DECREF(registered);
    attachments->process = process;
    return 0;
}

/* The loop has dropped a call of rsl_port_called: if it had not made it, the loop is closed. */
static inline void
rsl_port_uncalled(PyObject *capsule)
{
    rsl_port *port = (rsl_port *)PyCapsule_GetPointer(capsule, RSL_PORT_NAME);
    if (port == NULL) {
        PyErr_Clear();
        return;
    }
    if (PyCapsule_GetContext(capsule) == NULL) {
        rsl_port_close(port);
    }
    rsl_port_unref(port);
}

/* What call_soon_threadsafe is given: completes what is in the inbox. */
static inline PyObject *
rsl_port_called(PyObject *capsule, PyObject *unused)
{
    rsl_port *port = (rsl_port *)PyCapsule_GetPointer(capsule, RSL_PORT_NAME);
    (void)unused;
    if (port == NULL || PyCapsule_SetContext(capsule, port) < 0) {
        return NULL;
    }
    rsl_port_drain(port); /* the capsule has a reference */
    Py_RETURN_NONE;
}

/* Has the loop call rsl_port_called. Attached. Returns 0, or -1 with an exception set. */
static inline int
rsl_port_call_soon(rsl_port *port)
{
    static PyMethodDef called = {"rsl_port_called", rsl_port_called, METH_NOARGS, NULL};
    PyObject *capsule, *callback, *handle = NULL;
    PyObject *python_loop = PyObject_CallFunction(port->weak, NULL);
    if (python_loop == NULL) {
        return -1;
    }
    capsule = PyCapsule_New(port, RSL_PORT_NAME, rsl_port_uncalled);
    if (capsule != NULL) {
        rsl_port_ref(port); /* the capsule's */
        callback = PyCFunction_New(&called, capsule);
        if (callback != NULL) {
            /* An AttributeError where the loop is gone, and this is None. */
            handle = PyObject_CallMethod(python_loop, "call_soon_threadsafe", "O", callback);
            Py_DECREF(callback);
        }
        Py_DECREF(capsule);
    }
    Py_DECREF(python_loop);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}

/* Wakes a loop that watches no descriptor. Any thread, attached or not. */
static inline void
rsl_port_ring_attached(rsl_port *port)
{
    rsl_attachments *attachments = rsl_attachments_of_process();
    PyGILState_STATE state;
    PyObject *type, *value, *traceback;
    (void)__atomic_add_fetch(&attachments->count, (size_t)1, __ATOMIC_SEQ_CST);
    /* Either the exit's hook sees the count, or this sees its refusal. */
    if (!__atomic_load_n(&attachments->refused, __ATOMIC_SEQ_CST)) {
        state = PyGILState_Ensure();
        PyErr_Fetch(&type, &value, &traceback);
        if (port->weak != NULL && rsl_port_call_soon(port) < 0) {
            /* Closed or gone: there is no other way to hear of it. */
            PyErr_Clear();
            rsl_port_close(port);
        }
        PyErr_Restore(type, value, traceback);
        PyGILState_Release(state);
    }
    (void)__atomic_sub_fetch(&attachments->count, (size_t)1, __ATOMIC_SEQ_CST);
}

/* What a weak reference calls when the loop is gone: another may get its address. */
static inline PyObject *
rsl_port_loop_freed(PyObject *capsule, PyObject *weak)
{
    rsl_port *port = (rsl_port *)PyCapsule_GetPointer(capsule, RSL_PORT_NAME);
    (void)weak;
    if (port == NULL) {
        return NULL;
    }
    /* Open: a port lets go of the weak reference, and of this with it, when it closes. */
    rsl_port_close(port);
    Py_RETURN_NONE;
}

/* Keeps the means to wake a loop that watches no descriptor. Attached, loop thread. Returns 0, or
 * -1 with an exception set.
 */
static inline int
rsl_port_hold_weakly(rsl_port *port, PyObject *python_loop)
{
    static PyMethodDef freed = {"rsl_port_loop_freed", rsl_port_loop_freed, METH_O, NULL};
    PyObject *capsule, *callback;
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_RuntimeError, "a loop without add_reader can be woken by threads in "
                                            "the main interpreter only");
        return -1;
    }
    if (rsl_attachments_register() < 0) {
        return -1;
    }
    capsule = PyCapsule_New(port, RSL_PORT_NAME, NULL);
    callback = capsule == NULL ? NULL : PyCFunction_New(&freed, capsule);
    if (callback != NULL) {
        port->weak = PyWeakref_NewRef(python_loop, callback);
    }
    Py_XDECREF(callback);
    Py_XDECREF(capsule);
    if (port->weak == NULL) {
        return -1;
    }
    rsl_port_ref(port); /* given back when the port closes */
    return 0;
}

/* Any thread, attached or not. Owns one reference. */
static inline void
rsl_port_ring(rsl_port *port)
{
    if (port->api != NULL) {
        if (port->api->post(port->loop, &port->ring) == RSL_OK) {
            return; /* the job has the reference now */
        }
    } else if (port->watched < 0) {
        rsl_port_ring_attached(port);
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
 * an exception set: NotImplementedError or AttributeError where it cannot watch descriptors.
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
    if (none == NULL) {
        /* The exception may keep the capsule for longer than the port lives. */
        (void)PyCapsule_SetDestructor(capsule, NULL);
        rsl_port_unref(port);
    }
    Py_DECREF(capsule);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* Joins a loop of rsloop, or finds how another is woken. Attached, loop thread. Returns 0, or
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
        if (rsl_port_watch(port, python_loop) == 0) {
            return 0;
        }
        if (!PyErr_ExceptionMatches(PyExc_NotImplementedError) &&
            !PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
        rsl_port_close_descriptors(port);
        return rsl_port_hold_weakly(port, python_loop);
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

