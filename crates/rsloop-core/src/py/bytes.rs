//! New `bytes` objects, where memory may run out.

use pyo3::types::PyBytes;
use pyo3::{Bound, PyResult, Python, ffi};

/// Copies `data` into a `bytes` object; `MemoryError` where there is no room for it.
///
/// PyO3's own function panics then, and what has come from a peer may be large.
#[inline]
pub(crate) fn new<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let len = data.len() as ffi::Py_ssize_t; // no slice is longer
    // SAFETY: attached; Python copies `len` bytes, and returns a new reference to a `bytes`, or
    // NULL with an exception set.
    unsafe {
        let object = ffi::PyBytes_FromStringAndSize(data.as_ptr().cast(), len);
        Ok(Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked())
    }
}
