/* rsloop_bridge.h: how an extension in C or Cython joins the running event loop of rsloop.
 *
 * Generated from the crate rsloop-abi: do not edit. Needs CPython's headers and those of POSIX, as C99
 * or C++17 of GCC or Clang. docs/abi.md explains it. MIT OR Apache-2.0.
 */

#ifndef RSLOOP_BRIDGE_H
#define RSLOOP_BRIDGE_H

#include <Python.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/eventfd.h>
#endif

/* The capsule that holds the table: an attribute of the module rsloop_core._core. */
#define RSL_CAPSULE_MODULE "rsloop_core._core"
#define RSL_CAPSULE_ATTRIBUTE "_C_API"
#define RSL_CAPSULE_NAME "rsloop_core._core._C_API"

/* Declared ahead: its functions' types come before it. */
struct rsl_job;

/*
 Major version of the table. A consumer refuses a table whose major version differs.
 */
#define RSL_ABI_MAJOR 1

/*
 Minor version of the table: grows by one with each appended entry or feature bit.
 */
#define RSL_ABI_MINOR 0

/*
 Success: of post, the loop owns the job now; of on_close, the hook is
 registered; of off_close, the hook is removed and the caller owns the job again.
 */
#define RSL_OK 0

/*
 The loop is closed and took nothing: the caller keeps the job.
 */
#define RSL_CLOSED 1

/*
 off_close does not know the job (any more): it was never registered, or it has run.
 */
#define RSL_UNKNOWN 2

/*
 The calling thread is not the loop thread: nothing happened and the caller keeps the job.
 */
#define RSL_WRONG_THREAD 3

/*
 loop_from_py and loop_current: an exception is set, nothing was stored.
 */
#define RSL_ERROR -1

/*
 loop_from_py and loop_current: not a loop of rsloop (or no running loop);
 no exception is set and NULL was stored.
 */
#define RSL_FOREIGN 0

/*
 loop_from_py and loop_current: a new reference was stored.
 */
#define RSL_FOUND 1

/*
 A loop, opaque, with an atomic reference count.

 It holds the Python loop weakly, and outlives it and the interpreter: `ref`, `unref`, `post`
 and `on_loop_thread` stay callable from any thread, attached or not, for the life of the
 process, as long as the caller owns a reference.
 */
typedef struct rsl_loop rsl_loop;

/*
 Runs a job. Called by the loop, on the loop thread, attached, with no exception set, in the
 loop's base context. It must return without an exception set, and must not unwind.
 */
typedef void (*rsl_job_run_fn)(struct rsl_job *job, struct rsl_loop *owner);

/*
 Disposes of a job that will not run.
 */
typedef void (*rsl_job_fn)(struct rsl_job *job);

/*
 One intrusive job: the head of an allocation that its poster made and its functions free.

 # Ownership
 Whoever holds the pointer owns the whole allocation. `post` and `on_close` hand it to the
 loop when they return RSL_OK, and leave it with the caller otherwise. The
 loop gives it back exactly once, by calling *either* `run` *or* `drop`; from the start of that
 call on the loop does not touch the job, so the function may free it, or post it again.
 At interpreter exit, jobs still queued are leaked: neither function is called.
 */
typedef struct rsl_job {
  /*
   For the loop's queue while the loop owns the job. The poster need not initialise it.
   */
  struct rsl_job *next;
  /*
   Runs the job; see rsl_job_run_fn. It may post further jobs, which run in a later tick, and
   may use the loop reference it is given during the call, without owning it.
   */
  rsl_job_run_fn run;
  /*
   Disposes of the job when the loop closes before running it. Attached, on the thread that
   calls `close()` (or deallocates the loop), which need not be the loop thread: state that
   is bound to the loop thread must be leaked there, or checked by `on_loop_thread`. It must
   return without an exception set, and must not unwind.
   */
  rsl_job_fn drop;
} rsl_job;

/*
 The table behind the capsule: static, immutable, append-only.

 Pointers to functions are never NULL up to RSL_API_SIZE_MIN. None of
 them unwinds. Unless it says otherwise, an entry may be called from any thread, attached or
 not, and blocks at most for a short critical section.
 */
typedef struct rsl_api {
  /*
   Bytes of the table that the provider filled in, this field included.
   */
  uint32_t size;
  /*
   RSL_ABI_MAJOR of the provider.
   */
  uint16_t major;
  /*
   RSL_ABI_MINOR of the provider.
   */
  uint16_t minor;
  /*
   A set of bits for optional abilities. None is defined yet: zero.
   */
  uint64_t features;
  /*
   Finds the loop behind a Python object.

   Attached. `object` is borrowed. Stores a new reference to `*found` and returns
   RSL_FOUND for a loop of rsloop (closed or not, an instance of a
   subclass included); stores NULL and returns RSL_FOREIGN, without
   exception, for any other object; returns RSL_ERROR with an
   exception set when it could not tell.
   */
  int (*loop_from_py)(PyObject *object, struct rsl_loop **found);
  /*
   Finds the loop that runs on the calling thread, as `asyncio.get_running_loop` would.

   Attached. As `loop_from_py`; RSL_FOREIGN also when no loop runs.
   */
  int (*loop_current)(struct rsl_loop **found);
  /*
   The Python loop: a new strong reference, or NULL, without exception, when it is gone.

   Attached, any thread.
   */
  PyObject *(*loop_to_py)(struct rsl_loop *of);
  /*
   Adds a reference. Never fails.
   */
  void (*ref)(struct rsl_loop *of);
  /*
   Gives a reference back. The last one frees the loop's native part, which touches no
   Python object: it need not be attached.
   */
  void (*unref)(struct rsl_loop *of);
  /*
   Queues a job and, unless the loop cannot be asleep, rings its wakeup.

   Returns RSL_OK: the loop owns the job and gives it back through its
   `run` or `drop`, perhaps on another thread before this call returns. Or
   RSL_CLOSED: the caller keeps the job; every later `post` to this
   loop says the same. Posting and closing are totally ordered: no job is ever lost between.
   The job may own the reference by which it is posted, and give it back meanwhile.

   Jobs of one thread run in the order posted. A job posted while a tick drains the queue
   runs in the next one. Posting from the loop thread rings nothing. In a child process after
   `fork`, it returns RSL_CLOSED. Async-signal-safe it is not.
   */
  int (*post)(struct rsl_loop *to, struct rsl_job *job);
  /*
   Registers a job whose `run` is called by `close()`, once, after the queue was closed.

   Attached, on the loop thread. Hooks run on the thread that calls `close()`, attached, in
   the order registered; `post` returns RSL_CLOSED by then, and
   `loop_to_py` may already return NULL. `drop` is called in place of `run` when the Python
   loop is deallocated without having been closed.

   Returns RSL_OK, RSL_CLOSED or
   RSL_WRONG_THREAD.
   */
  int (*on_close)(struct rsl_loop *to, struct rsl_job *job);
  /*
   Removes a job that `on_close` registered; the caller owns it again.

   Attached, on the loop thread. Returns RSL_OK,
   RSL_UNKNOWN (it has run, is running, or was never registered) or
   RSL_WRONG_THREAD.
   */
  int (*off_close)(struct rsl_loop *to, struct rsl_job *job);
  /*
   Tells whether the calling thread is the loop thread: 1 or 0.
   */
  int (*on_loop_thread)(struct rsl_loop *of);
} rsl_api;

/* Bytes of the smallest table of major version 1: up to and with its last entry. */
#define RSL_API_SIZE_MIN (offsetof(rsl_api, on_loop_thread) + sizeof(void (*)(void)))

/* The oldest minor version that the extension can do with. Define it before the header where an
 * entry is indispensable that a later minor version appended; otherwise ask RSL_HAS.
 */
#ifndef RSL_REQUIRED_MINOR
#define RSL_REQUIRED_MINOR 0
#endif

/* Tells whether a table is long enough to hold an entry, which an older core may lack. */
#define RSL_HAS(api, entry) \
    ((size_t)(api)->size >= offsetof(rsl_api, entry) + sizeof((api)->entry))

#ifdef __cplusplus
extern "C" {
#endif

/* Refuses a table that is missing, too short, of another major version, too old for
 * RSL_REQUIRED_MINOR, or has a hole.
 *
 * Attached. Returns 0, or -1 with an ImportError set, which names both versions where the table
 * reaches far enough to have one.
 */
static inline int
rsl_api_check(const rsl_api *api)
{
    const int required = RSL_REQUIRED_MINOR;
    const unsigned char *entry;
    const unsigned char *end;
    if (api == NULL || api->size < offsetof(rsl_api, loop_from_py)) {
        PyErr_Format(PyExc_ImportError,
                     "rsloop_core carries no usable C API; this extension was built for version "
                     "%d.%d", (int)RSL_ABI_MAJOR, (int)RSL_ABI_MINOR);
        return -1;
    }
    if (api->major != RSL_ABI_MAJOR || api->size < RSL_API_SIZE_MIN) {
        PyErr_Format(PyExc_ImportError,
                     "rsloop_core has version %d.%d of its C API, %zu bytes long; this extension "
                     "was built for version %d.%d: install versions that belong together",
                     (int)api->major, (int)api->minor, (size_t)api->size,
                     (int)RSL_ABI_MAJOR, (int)RSL_ABI_MINOR);
        return -1;
    }
    if ((int)api->minor < required) {
        PyErr_Format(PyExc_ImportError,
                     "rsloop_core has version %d.%d of its C API; this extension was built for "
                     "version %d.%d and needs %d.%d at least: install a newer rsloop",
                     (int)api->major, (int)api->minor, (int)RSL_ABI_MAJOR, (int)RSL_ABI_MINOR,
                     (int)RSL_ABI_MAJOR, required);
        return -1;
    }
    end = (const unsigned char *)api + RSL_API_SIZE_MIN;
    entry = (const unsigned char *)api + offsetof(rsl_api, loop_from_py);
    for (; entry < end; entry += sizeof(void (*)(void))) {
        size_t byte = 0;
        while (byte < sizeof(void (*)(void)) && entry[byte] == 0) {
            byte++;
        }
        if (byte == sizeof(void (*)(void))) {
            PyErr_Format(PyExc_ImportError, "version %d.%d of rsloop_core's C API lacks an entry",
                         (int)api->major, (int)api->minor);
            return -1;
        }
    }
    return 0;
}

/* Finds the table, if rsloop_core is imported: where it is not, no loop of rsloop can be running.
 *
 * Attached. Stores the table, which lives as long as the process, and returns 1; stores NULL and
 * returns 0 where rsloop_core is not imported; returns -1 with an exception set otherwise.
 */
static inline int
rsl_api_find(const rsl_api **found)
{
    PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
    PyObject *module;
    PyObject *capsule;
    *found = NULL;
    module = PyMapping_GetItemString(modules, RSL_CAPSULE_MODULE);
    if (module == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
            return -1;
        }
        PyErr_Clear();
        return 0;
    }
    capsule = PyObject_GetAttrString(module, RSL_CAPSULE_ATTRIBUTE);
    Py_DECREF(module);
    if (capsule == NULL || !PyCapsule_IsValid(capsule, RSL_CAPSULE_NAME)) {
        PyErr_Clear();
    } else {
        *found = (const rsl_api *)PyCapsule_GetPointer(capsule, RSL_CAPSULE_NAME);
    }
    Py_XDECREF(capsule);
    if (rsl_api_check(*found) < 0) {
        *found = NULL;
        return -1;
    }
    return 1;
}

/* Imports rsloop_core and returns its table, or NULL with an ImportError set.
 *
 * Attached. For extensions that have no use for other loops.
 */
static inline const rsl_api *
rsl_api_import(void)
{
    const rsl_api *found = NULL;
    PyObject *module = PyImport_ImportModule(RSL_CAPSULE_MODULE);
    if (module == NULL) {
        return NULL;
    }
    Py_DECREF(module);
    (void)rsl_api_find(&found);
    return found;
}

/* Makes a future of the Python loop behind `loop`.
 *
 * Attached, on the loop thread. A new reference, or NULL with an exception set.
 */
static inline PyObject *
rsl_future_new(const rsl_api *api, rsl_loop *loop)
{
    PyObject *future;
    PyObject *python_loop = api->loop_to_py(loop);
    if (python_loop == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the event loop is gone");
        return NULL;
    }
    future = PyObject_CallMethod(python_loop, "create_future", NULL);
    Py_DECREF(python_loop);
    return future;
}

/* Tells whether a future has a result, an exception, or was cancelled: 1, 0, or -1 with an
 * exception set. Attached, on the loop thread.
 */
static inline int
rsl_future_done(PyObject *future)
{
    int truth;
    PyObject *done = PyObject_CallMethod(future, "done", NULL);
    if (done == NULL) {
        return -1;
    }
    truth = PyObject_IsTrue(done);
    Py_DECREF(done);
    return truth;
}

/* Gives a future its result, unless it is done: Python may have cancelled it.
 *
 * Attached, on the loop thread. Borrows both. Returns 0, or -1 with an exception set.
 */
static inline int
rsl_future_set_result(PyObject *future, PyObject *value)
{
    PyObject *none;
    int done = rsl_future_done(future);
    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    none = PyObject_CallMethod(future, "set_result", "(O)", value);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* Gives a future an exception, unless it is done.
 *
 * Attached, on the loop thread. Borrows both. Returns 0, or -1 with an exception set.
 */
static inline int
rsl_future_set_exception(PyObject *future, PyObject *exception)
{
    PyObject *none;
    int done = rsl_future_done(future);
    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    none = PyObject_CallMethod(future, "set_exception", "(O)", exception);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

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
