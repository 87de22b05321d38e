//! What `get_extra_info` says of a transport: its `_extra`.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use rsloop_reactor::name::{self, Name};

use crate::py::socket_object::SocketObject;
use crate::transports::address;
use crate::transports::own_socket::{self, Kind};

/// The dictionary, or what it will say.
pub(in crate::transports) enum Extra {
    /// What Python code sees.
    Made(Py<PyAny>),
    /// Nobody has asked yet.
    Known(Box<Known>),
    /// The garbage collector has cleared it.
    Cleared,
}

/// What is known of a connection from its beginning, whatever becomes of it.
pub(in crate::transports) struct Known {
    sock: KnownSock,
    /// `None` when the system did not say.
    near: Option<Name>,
    far: Option<Name>,
    /// Whether the far end was known before the rest.
    is_accepted: bool,
}

/// The socket that it will tell of.
enum KnownSock {
    /// Python's object, which the dictionary keeps when it is closed.
    Object(Py<PyAny>),
    /// The transport's own, or after it one that is like it.
    Own(Kind),
}

impl Extra {
    /// That of an accepted connection from `far`.
    pub(in crate::transports) fn of_accepted(kind: Kind, fd: RawFd, far: Name) -> Self {
        Self::Known(Box::new(Known {
            sock: KnownSock::Own(kind),
            near: name::of_socket(fd).ok(),
            far: Some(far),
            is_accepted: true,
        }))
    }

    /// That of a transport of the socket object `sock`, on top of what is `given`.
    pub(super) fn of_object(
        sock: &Bound<'_, PyAny>,
        given: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = sock.py();
        if given.is_none() {
            if let Some(known) = SocketObject::of_plain(sock)? {
                return Ok(Self::Known(Box::new(Known {
                    sock: KnownSock::Object(sock.clone().unbind()),
                    near: name::of_socket(known.fd()).ok(),
                    far: name::of_peer(known.fd()).ok(),
                    is_accepted: false,
                })));
            }
        }
        let extra = given.unwrap_or_else(|| PyDict::new(py));
        extra.set_item(intern!(py, "socket"), public(sock)?)?;
        let name = or_none(sock, sock.call_method0(intern!(py, "getsockname")))?;
        extra.set_item(intern!(py, "sockname"), name)?;
        if !extra.contains(intern!(py, "peername"))? {
            let name = or_none(sock, sock.call_method0(intern!(py, "getpeername")))?;
            extra.set_item(intern!(py, "peername"), name)?;
        }
        Ok(Self::Made(extra.into_any().unbind()))
    }

    /// Shows the garbage collector what is in it.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Made(extra) => visit.call(extra),
            Self::Known(known) => match &known.sock {
                KnownSock::Object(sock) => visit.call(sock),
                KnownSock::Own(_) => Ok(()),
            },
            Self::Cleared => Ok(()),
        }
    }

    /// Whether there is a name in it that only Python's socket can tell.
    pub(super) fn is_untold(&self) -> bool {
        match self {
            Self::Known(known) => [&known.near, &known.far].contains(&&Some(Name::Other)),
            Self::Made(_) | Self::Cleared => false,
        }
    }

    /// Clears it, and returns what was there.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Cleared)
    }
}

impl Known {
    /// The dictionary. `own` is the transport's own socket, as long as there is one.
    pub(super) fn to_dictionary<'py>(
        &self,
        py: Python<'py>,
        own: impl FnOnce() -> PyResult<Option<Py<PyAny>>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let sock = match &self.sock {
            KnownSock::Object(sock) => sock.bind(py).clone(),
            KnownSock::Own(kind) => match own()? {
                Some(sock) => sock.into_bound(py),
                None => own_socket::closed(py, *kind)?,
            },
        };
        let extra = PyDict::new(py);
        let far = to_python(&sock, self.far.as_ref(), "getpeername")?;
        let near = to_python(&sock, self.near.as_ref(), "getsockname")?;
        // In asyncio's order.
        if self.is_accepted {
            extra.set_item(intern!(py, "peername"), &far)?;
        }
        extra.set_item(intern!(py, "socket"), public(&sock)?)?;
        extra.set_item(intern!(py, "sockname"), near)?;
        extra.set_item(intern!(py, "peername"), far)?;
        Ok(extra)
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            sock: match &self.sock {
                KnownSock::Object(sock) => KnownSock::Object(sock.clone_ref(py)),
                KnownSock::Own(kind) => KnownSock::Own(*kind),
            },
            near: self.near.clone(),
            far: self.far.clone(),
            is_accepted: self.is_accepted,
        }
    }
}

/// The socket as `get_extra_info` gives it out.
fn public<'py>(sock: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    CLASS
        .import(sock.py(), "asyncio.trsock", "TransportSocket")?
        .call1((sock,))
}

fn to_python<'py>(
    sock: &Bound<'py, PyAny>,
    name: Option<&Name>,
    method: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = sock.py();
    let Some(name) = name else {
        return Ok(py.None().into_bound(py));
    };
    match name {
        Name::Inet(address) => Ok(address::to_python(py, address)?.into_any()),
        Name::Path(path) => Ok(OsStr::from_bytes(path).into_pyobject(py)?.into_any()),
        Name::Unnamed => Ok(intern!(py, "").clone().into_any()),
        Name::Other => or_none(sock, sock.call_method0(method)),
    }
}

fn or_none<'py>(
    sock: &Bound<'py, PyAny>,
    address: PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = sock.py();
    match address {
        Err(error) if error.is_instance_of::<PyOSError>(py) => Ok(py.None().into_bound(py)),
        address => address,
    }
}
