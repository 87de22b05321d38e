//! The exception that is being handled, which an `except` clause sets for as long as it runs.

use pyo3::exceptions::PyBaseException;
use pyo3::{Bound, ffi};

// Part of the C API since CPython 3.11; PyO3 declares it from 0.29 on.
unsafe extern "C" {
    fn PyErr_GetHandledException() -> *mut ffi::PyObject;
    fn PyErr_SetHandledException(exception: *mut ffi::PyObject);
}

/// Runs `body` as the `except` clause that has caught `error` would.
///
/// `sys.exc_info()` tells of it there, so that `logging.exception()` in an exception handler finds
/// it, and what `body` raises has it as context.
pub(crate) fn handling<R>(error: &Bound<'_, PyBaseException>, body: impl FnOnce() -> R) -> R {
    // SAFETY: attached. The function returns a new reference or NULL, and the other one takes
    // either, and its own reference to it.
    let before = unsafe { PyErr_GetHandledException() };
    // SAFETY: as above; `error` is an exception, and alive.
    unsafe { PyErr_SetHandledException(error.as_ptr()) };
    let result = body();
    // SAFETY: as above. The Python code that `body` ran has handled its own exceptions since and
    // restored this one, as every frame does, so that it is ours to take away; `before` is ours.
    unsafe {
        PyErr_SetHandledException(before);
        ffi::Py_XDECREF(before);
    }
    result
}
