//! Context variables: copy, enter, leave.

use pyo3::{Borrowed, Bound, PyAny, PyErr, PyResult, Python, ffi};

/// Copies the context that the calling thread is in.
#[inline]
pub(crate) fn copy_current(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; returns a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }
}

/// Runs `body` inside `context`, as `Context.run` does.
///
/// Fails with `TypeError` when `context` is no `contextvars.Context`, and with `RuntimeError` when
/// it is entered already; `body` has not run then.
#[inline]
pub(crate) fn run_in<R>(
    context: Borrowed<'_, '_, PyAny>,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    // SAFETY: attached, and the caller's borrow keeps the context alive until it is left.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let result = body();
    // SAFETY: as above. `body` turned its exception into a value, so none is set here.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } != 0 {
        return Err(PyErr::fetch(context.py()));
    }
    result
}
