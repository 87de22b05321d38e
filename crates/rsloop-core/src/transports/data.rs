//! What sockets' transports take as data.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::py::buffer;

/// Refuses what asyncio's transports do not take.
pub(super) fn check_bytes_like(data: &Bound<'_, PyAny>) -> PyResult<()> {
    if buffer::is_bytes_like(data) {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "data argument must be a bytes-like object, not {}",
        data.get_type().name()?.repr()?
    )))
}
