//! The socket below a transport.

use std::os::fd::RawFd;

use pyo3::prelude::*;

use crate::py::socket_object::SocketObject;

/// The socket that a transport uses.
pub(super) enum Sock {
    /// One whose descriptor can be read at any time.
    Known(SocketObject),
    /// Something else that looks like a socket.
    Other(Py<PyAny>),
}

impl Sock {
    pub(super) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(match SocketObject::of(object)? {
            Some(known) => Self::Known(known),
            None => Self::Other(object.clone().unbind()),
        })
    }

    pub(super) fn as_object(&self) -> &Py<PyAny> {
        match self {
            Self::Known(known) => known.as_object(),
            Self::Other(object) => object,
        }
    }

    pub(super) fn into_object(self) -> Py<PyAny> {
        match self {
            Self::Known(known) => known.into_object(),
            Self::Other(object) => object,
        }
    }

    /// The descriptor, which was `number` at first; -1 when there is none any more, because the
    /// program has closed or detached the socket: the number may be another's by now.
    #[inline(always)]
    pub(super) fn fd(&self, number: RawFd) -> RawFd {
        match self {
            Self::Known(known) => known.fd(),
            Self::Other(_) => number,
        }
    }
}
