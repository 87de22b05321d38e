//! What an error ends: the connection, or the loop.

use pyo3::intern;
use pyo3::prelude::*;

use crate::loop_::is_fatal_to_loop;
use crate::py::handled::handling;

/// Ends the connection when `result` is an error that the loop survives.
#[inline]
pub(super) fn or_fatal(
    transport: &Bound<'_, PyAny>,
    result: PyResult<Bound<'_, PyAny>>,
    message: &str,
) -> PyResult<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => fatal(transport, error, message),
    }
}

/// Ends the connection because of `error`, unless that ends the loop.
#[cold]
pub(super) fn fatal(transport: &Bound<'_, PyAny>, error: PyErr, message: &str) -> PyResult<()> {
    let py = transport.py();
    if is_fatal_to_loop(py, &error) {
        return Err(error);
    }
    let error = error.into_value(py);
    handling(error.bind(py), || {
        transport.call_method1(intern!(py, "_fatal_error"), (&error, message))
    })
    .map(drop)
}
