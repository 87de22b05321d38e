/* rsloop_bridge.h: how an extension in C or Cython joins the running event loop of rsloop.
 *
 * Generated from the crate rsloop-abi: do not edit. Needs CPython's headers and nothing else, as
 * C99 or C++17. docs/abi.md explains it. MIT OR Apache-2.0.
 */

#ifndef RSLOOP_BRIDGE_H
#define RSLOOP_BRIDGE_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>

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

#ifdef __cplusplus
extern "C" {
#endif

/* Refuses a table that is missing, too short, of another major version, or has a hole.
 *
 * Attached. Returns 0, or -1 with an ImportError set that names both versions.
 */
static inline int
rsl_api_check(const rsl_api *api)
{
    const unsigned char *entry;
    const unsigned char *end;
    if (api == NULL || api->size < offsetof(rsl_api, loop_from_py)) {
        PyErr_SetString(PyExc_ImportError, "rsloop_core carries no usable C API");
        return -1;
    }
    if (api->major != RSL_ABI_MAJOR || api->size < RSL_API_SIZE_MIN) {
        PyErr_Format(PyExc_ImportError,
                     "rsloop_core has version %d.%d of its C API, %d bytes long; this extension "
                     "was built for version %d.%d: install versions that belong together",
                     (int)api->major, (int)api->minor, (int)api->size,
                     (int)RSL_ABI_MAJOR, (int)RSL_ABI_MINOR);
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
            PyErr_SetString(PyExc_ImportError, "rsloop_core's C API lacks an entry");
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

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* RSLOOP_BRIDGE_H */
