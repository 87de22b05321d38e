//! System errors as Python's exceptions.

use std::io;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// The `OSError` for a system error, of the subclass that its `errno` stands for.
///
/// PyO3's own conversion leaves `errno` unset, which asyncio's users look at.
pub(crate) fn os_error(py: Python<'_>, error: io::Error) -> PyErr {
    let Some(errno) = error.raw_os_error() else {
        return error.into();
    };
    match py
        .import("os")
        .and_then(|os| os.call_method1("strerror", (errno,)))
    {
        Ok(text) => PyOSError::new_err((errno, text.unbind())),
        Err(failure) => failure,
    }
}
