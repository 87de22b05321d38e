//! What stands between the interpreter and Rust code that it calls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::PyRuntimeError;
use pyo3::{PyErr, PyResult, Python, ffi};

/// Runs what the interpreter has called, and sets the exception that it fails with. A panic is one
/// too.
#[inline(always)]
pub(super) fn guarded(
    py: Python<'_>,
    run: impl FnOnce() -> PyResult<*mut ffi::PyObject>,
) -> *mut ffi::PyObject {
    // Inside of the guard, so that nothing wider than a pointer leaves it.
    let run = || run().unwrap_or_else(|error| raise(py, error));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| raise(py, panicked(panic)))
}

/// Sets `error`, and returns what tells the interpreter that one is set.
#[cold]
#[inline(never)]
pub(super) fn raise(py: Python<'_>, error: PyErr) -> *mut ffi::PyObject {
    error.restore(py);
    ptr::null_mut()
}

/// Turns the payload of a panic into the exception that reports it.
pub(super) fn panicked(payload: Box<dyn std::any::Any + Send>) -> PyErr {
    let reason = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    PyRuntimeError::new_err(format!("rsloop has a bug, it panicked: {reason}"))
}
