//! Sockets that Python has no object for yet.
//!
//! Few programs ask a transport for its socket. An object of `socket.socket` for every accepted
//! connection would cost as much as accepting it, so it is made when somebody asks.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::py::socket_object::SocketObject;

/// What `socket.socket` wants to know of a descriptor.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) family: i32,
    /// `SOCK_STREAM` and so on, without flags.
    pub(super) kind: i32,
    pub(super) protocol: i32,
}

/// A descriptor that does not block, and that is closed with this.
pub(super) struct OwnSocket {
    fd: OwnedFd,
    pub(super) kind: Kind,
}

impl OwnSocket {
    pub(super) fn new(fd: OwnedFd, kind: Kind) -> Self {
        Self { fd, kind }
    }

    #[inline]
    pub(super) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Python's object of it, which closes the descriptor from now on.
    pub(super) fn into_object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let object = object_of(py, self.fd(), self.kind)?;
        self.give_up();
        Ok(object)
    }

    /// Leaves the descriptor to an object that owns it.
    pub(super) fn give_up(self) {
        let _owned_by_the_object = self.fd.into_raw_fd();
    }
}

/// A closed socket of this kind, which stands for one that is gone.
pub(super) fn closed(py: Python<'_>, kind: Kind) -> PyResult<Bound<'_, PyAny>> {
    let object = Class::get(py)?.new_object(py, true)?;
    SocketObject::describe(&object, kind.family, kind.kind, kind.protocol)?;
    Ok(object)
}

/// A new object of the descriptor `fd`, which does not block.
pub(super) fn object_of(py: Python<'_>, fd: RawFd, kind: Kind) -> PyResult<Bound<'_, PyAny>> {
    let class = Class::get(py)?;
    let object = class.new_object(py, false)?;
    // With the flag, the object knows that it does not block, and makes no system call for that.
    let flagged = kind.kind | class.nonblocking;
    let arguments = (&object, kind.family, flagged, kind.protocol, fd);
    class.init.call1(py, arguments)?;
    if class.nonblocking == 0 {
        object.call_method1(intern!(py, "setblocking"), (false,))?;
    }
    Ok(object)
}

/// Makes sure that objects can be made at any time, also while the interpreter ends.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    Class::get(py).map(drop)
}

/// `socket.socket`, and what makes objects of it.
struct Class {
    class: Py<PyAny>,
    /// `_socket.socket.__init__`
    init: Py<PyAny>,
    /// `SOCK_NONBLOCK`, 0 where the constructor does not know it.
    nonblocking: i32,
}

impl Class {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static CLASS: PyOnceLock<Class> = PyOnceLock::new();
        CLASS.get_or_try_init(py, || {
            let module = py.import("socket")?;
            let nonblocking = match module.getattr_opt("SOCK_NONBLOCK")? {
                Some(flag) => flag.extract()?,
                None => 0,
            };
            let base = py.import("_socket")?.getattr("socket")?;
            Ok(Self {
                class: module.getattr("socket")?.unbind(),
                init: base.getattr("__init__")?.unbind(),
                nonblocking,
            })
        })
    }

    /// An object without a descriptor. This is what `socket.socket.__init__` does around that of
    /// its base; being Python code, it does not work any more when the interpreter ends and the
    /// last transports are closed.
    fn new_object<'py>(&self, py: Python<'py>, closed: bool) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(py);
        let object = class.call_method1(intern!(py, "__new__"), (class,))?;
        object.setattr(intern!(py, "_io_refs"), 0)?;
        object.setattr(intern!(py, "_closed"), closed)?;
        Ok(object)
    }
}
