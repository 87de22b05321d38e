//! The interpreter as a whole.

use pyo3::exceptions::PyImportError;
use pyo3::{PyErr, PyResult, Python, ffi};

#[cfg(Py_3_13)]
use pyo3::ffi::Py_IsFinalizing;

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    // Until 3.13 the name was private, and PyO3 does not declare it; every CPython exports it.
    #[link_name = "_Py_IsFinalizing"]
    fn Py_IsFinalizing() -> std::ffi::c_int;
}

/// Whether the interpreter is on its way out.
pub(crate) fn is_finalizing() -> bool {
    // SAFETY: it reads one atomic field, in any state of the interpreter.
    unsafe { Py_IsFinalizing() != 0 }
}

/// Refuses sub-interpreters: PyO3 keeps one copy of types and interned strings for the process.
/// CPython itself refuses the module in isolated ones; those that share the GIL let it in.
pub(crate) fn require_main(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: attached, so there is a current interpreter, whose number is read.
    let number = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if number == 0 {
        return Ok(());
    }
    Err(PyErr::new::<PyImportError, _>(
        "module rsloop_core._core works in the main interpreter only, not in a sub-interpreter",
    ))
}
