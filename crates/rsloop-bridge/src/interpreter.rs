//! The interpreter: the bridge works in the main one only.
//!
//! PyO3 keeps one copy of types and interned strings for the process. CPython itself refuses such
//! modules in isolated sub-interpreters; those that share the GIL let them in.

use pyo3::exceptions::PyImportError;
use pyo3::{PyErr, PyResult, Python, ffi};

/// Refuses sub-interpreters.
pub(crate) fn require_main(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: attached, so there is a current interpreter, whose number is read.
    let number = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if number == 0 {
        return Ok(());
    }
    Err(PyErr::new::<PyImportError, _>(
        "Rust futures can be awaited in the main interpreter only, not in a sub-interpreter",
    ))
}
