//! What refuses a second user of a descriptor that a transport uses.

use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::state::LoopBase;
use crate::py::fastcall::{Args, Method, fastcall};

pub(super) fn methods() -> Vec<Method> {
    vec![Method {
        name: c"_ensure_fd_no_transport",
        function: fastcall!(LoopBase, "_ensure_fd_no_transport", 1, ensure_fd_no_transport),
        doc: c"_ensure_fd_no_transport($self, fd)\n--\n\n\
            Raise RuntimeError when fd, a number or an object with fileno(), is used by a transport.",
    }]
}

fn ensure_fd_no_transport(
    _: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<()> {
    let fd = &*args.leading(0);
    match number_of(fd)? {
        Some(number) => this.check_unused(fd, number),
        None => Ok(()),
    }
}

/// The number of `fd` or of its `fileno()`; `None` for a number that no descriptor has.
fn number_of(fd: &Bound<'_, PyAny>) -> PyResult<Option<i32>> {
    let py = fd.py();
    if fd.is_instance_of::<PyInt>() {
        return Ok(fd.extract().ok());
    }
    let number = fd.call_method0(intern!(py, "fileno")).and_then(|number| {
        match number.is_exact_instance_of::<PyInt>() {
            true => Ok(number),
            false => py.get_type::<PyInt>().call1((number,)),
        }
    });
    match number {
        Ok(number) => Ok(number.extract().ok()),
        Err(error)
            if error.is_instance_of::<PyAttributeError>(py)
                || error.is_instance_of::<PyTypeError>(py)
                || error.is_instance_of::<PyValueError>(py) =>
        {
            Err(PyValueError::new_err(format!(
                "Invalid file object: {}",
                fd.repr()?
            )))
        }
        Err(error) => Err(error),
    }
}

impl LoopBase {
    /// Fails when a transport uses the descriptor `fd`.
    pub(crate) fn check_fd_is_free(&self, py: Python<'_>, fd: i32) -> PyResult<()> {
        self.check_unused(fd.into_pyobject(py)?.as_any(), fd)
    }

    fn check_unused(&self, fd: &Bound<'_, PyAny>, number: i32) -> PyResult<()> {
        let py = fd.py();
        let Some(transport) = self.transports.get().find(py, number) else {
            return Ok(());
        };
        let closing = transport.call_method0(intern!(py, "is_closing"))?;
        if closing.is_truthy()? {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(format!(
            "File descriptor {} is used by transport {}",
            fd.repr()?,
            transport.repr()?
        )))
    }

    /// Notes that `transport` uses `fd`, as long as it is alive.
    pub(crate) fn remember_transport(&self, transport: &Bound<'_, PyAny>, fd: i32) -> PyResult<()> {
        self.transports.get().remember(transport, fd)
    }
}
