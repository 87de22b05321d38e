//! The interpreter as a whole.

use pyo3::ffi;

/// Whether the interpreter is on its way out.
pub(crate) fn is_finalizing() -> bool {
    // SAFETY: it reads one atomic field, in any state of the interpreter.
    unsafe {
        #[cfg(Py_3_13)]
        return ffi::Py_IsFinalizing() != 0;
        #[cfg(not(Py_3_13))]
        return ffi::_Py_IsFinalizing() != 0;
    }
}
