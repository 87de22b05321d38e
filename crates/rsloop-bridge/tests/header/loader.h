
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
