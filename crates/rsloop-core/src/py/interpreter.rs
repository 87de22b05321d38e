//! The interpreter as a whole.

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
