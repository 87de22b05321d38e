//! From a listening socket to Python's socket objects.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};

use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use rsloop_reactor::listener::{self, Peer};

use super::address;
use crate::error::os_error;
use crate::py::socket_object::SocketObject;

/// `socket.socket` and what its constructor wants to hear.
struct SocketModule {
    class: Py<PyAny>,
    /// `SOCK_NONBLOCK`, 0 where the constructor does not know it.
    nonblocking: i32,
}

impl SocketModule {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static MODULE: PyOnceLock<SocketModule> = PyOnceLock::new();
        MODULE.get_or_try_init(py, || {
            let module = py.import("socket")?;
            let nonblocking = match module.getattr_opt("SOCK_NONBLOCK")? {
                Some(flag) => flag.extract()?,
                None => 0,
            };
            Ok(Self {
                class: module.getattr("socket")?.unbind(),
                nonblocking,
            })
        })
    }
}

/// Return (connection, address) of the connection that has waited longest, or None.
///
/// listener is a listening socket that does not block; nor does the connection. Raises OSError
/// as socket.accept() does, ConnectionAbortedError for a connection that is gone already.
#[pyfunction]
pub(super) fn accept<'py>(listener: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = listener.py();
    let module = SocketModule::get(py)?;
    match SocketObject::of_plain(listener)? {
        Some(known) if listener::knows_family(known.family()) => accept_from(py, module, &known),
        _ => accept_by_method(listener),
    }
}

fn accept_from<'py>(
    py: Python<'py>,
    module: &SocketModule,
    listener: &SocketObject,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let (fd, peer) = match listener::accept(listener.fd()) {
        Ok(accepted) => accepted,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(os_error(py, error)),
            };
        }
    };
    // With the flag, the object knows that it does not block, and makes no system call for that.
    let kind = listener.kind() | module.nonblocking;
    let arguments = (listener.family(), kind, listener.protocol(), fd.as_raw_fd());
    let connection = module.class.bind(py).call1(arguments)?;
    let _owned_by_the_object = fd.into_raw_fd();
    if module.nonblocking == 0 {
        connection.call_method1(intern!(py, "setblocking"), (false,))?;
    }
    let address = match peer {
        Peer::Inet(address) => address::to_python(py, &address)?.into_any(),
        Peer::Unnamed => intern!(py, "").clone().into_any(),
        Peer::Other => connection.call_method0(intern!(py, "getpeername"))?,
    };
    PyTuple::new(py, [connection, address]).map(Some)
}

/// The same through Python, for subclasses and for families that are rarely listened to.
fn accept_by_method<'py>(listener: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = listener.py();
    match listener.call_method0(intern!(py, "accept")) {
        Ok(accepted) => {
            let accepted = accepted.cast_into::<PyTuple>()?;
            let connection = accepted.get_item(0)?;
            connection.call_method1(intern!(py, "setblocking"), (false,))?;
            Ok(Some(accepted))
        }
        Err(error)
            if error.is_instance_of::<PyBlockingIOError>(py)
                || error.is_instance_of::<PyInterruptedError>(py) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
