//! What the loop watches for a transport over a socket.

use pyo3::intern;
use pyo3::prelude::*;

use crate::py::context;

/// The context for protocol calls that follow from this one: given to the transport (3.15),
/// or a copy of the current one.
pub(super) fn context_for_io(slf: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    if cfg!(Py_3_15) {
        let given = slf.getattr(intern!(py, "_context"))?;
        if !given.is_none() {
            return Ok(given.unbind());
        }
    }
    context::copy_current(py).map(Bound::unbind)
}
