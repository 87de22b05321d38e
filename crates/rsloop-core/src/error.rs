//! System errors: as Python's exceptions, and which of them pass.

use std::io;

use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError};
use pyo3::prelude::*;

/// Whether the system call may succeed later.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The same of what a method of Python's socket has raised.
pub(crate) fn is_transient_exception(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyBlockingIOError>(py) || error.is_instance_of::<PyInterruptedError>(py)
}

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
