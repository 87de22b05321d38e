//! The socket below a transport.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;

use super::own_socket::OwnSocket;
use crate::py::socket_object::SocketObject;

/// The socket that a transport uses.
pub(super) enum Sock {
    /// One whose descriptor can be read at any time.
    Known(SocketObject),
    /// Something else that looks like a socket.
    Other(Py<PyAny>),
    /// One that Python has no object for yet; a stream's only.
    Own(OwnSocket),
}

impl Sock {
    pub(super) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(match SocketObject::of(object)? {
            Some(known) => Self::Known(known),
            None => Self::Other(object.clone().unbind()),
        })
    }

    /// Python's object of it, if there is one.
    pub(super) fn as_object(&self) -> Option<&Py<PyAny>> {
        match self {
            Self::Known(known) => Some(known.as_object()),
            Self::Other(object) => Some(object),
            Self::Own(_) => None,
        }
    }

    /// Closes the socket.
    pub(super) fn close(self, py: Python<'_>) -> PyResult<()> {
        let object = match self {
            Self::Known(known) => known.into_object(),
            Self::Other(object) => object,
            Self::Own(own) => {
                drop(own);
                return Ok(());
            }
        };
        object.call_method0(py, intern!(py, "close")).map(drop)
    }

    /// The descriptor, which was `number` at first; -1 when there is none any more, because the
    /// program has closed or detached the socket: the number may be another's by now.
    #[inline(always)]
    pub(super) fn fd(&self, number: RawFd) -> RawFd {
        match self {
            Self::Known(known) => known.fd(),
            Self::Own(own) => own.fd(),
            Self::Other(_) => number,
        }
    }
}
