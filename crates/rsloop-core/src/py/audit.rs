//! `sys.audit`, for what audit hooks expect to hear of.

use std::ffi::{CStr, c_char, c_int};

use pyo3::{Borrowed, PyAny, PyErr, PyResult, ffi};

unsafe extern "C" {
    // PyO3 does not declare it. See sys.html#c.PySys_Audit in CPython's documentation.
    fn PySys_Audit(event: *const c_char, format: *const c_char, ...) -> c_int;
}

/// Raises the audit event `event` with two arguments; fails as the first hook that refuses.
#[inline]
pub(crate) fn audit(
    event: &'static CStr,
    first: Borrowed<'_, '_, PyAny>,
    second: Borrowed<'_, '_, PyAny>,
) -> PyResult<()> {
    // SAFETY: attached; the format announces two objects, which the borrows keep alive.
    let refused = unsafe {
        PySys_Audit(
            event.as_ptr(),
            c"OO".as_ptr(),
            first.as_ptr(),
            second.as_ptr().cast::<ffi::PyObject>(),
        )
    };
    if refused != 0 {
        return Err(PyErr::fetch(first.py()));
    }
    Ok(())
}
