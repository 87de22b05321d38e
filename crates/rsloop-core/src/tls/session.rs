//! The TLS session: an `SSLObject` between two `MemoryBIO`s.

use std::sync::OnceLock;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::direct::Direct;
use super::occupied::Occupied;

/// What the `SSLObject` can do, with its methods at hand. What moves anything is called in a
/// [`Turn`](super::turn::Turn).
pub(super) struct Session {
    /// Of the `SSLObject`: what is inside it where nobody has put something in front.
    pub(super) read: Py<PyAny>,
    pub(super) write: Py<PyAny>,
    pub(super) pending: Py<PyAny>,
    incoming: Py<PyAny>,
    /// Of `incoming`.
    pub(super) feed: Py<PyAny>,
    outgoing: Py<PyAny>,
    /// Of `outgoing`.
    pub(super) take: Py<PyAny>,
    /// Whether `read` is CPython's own, so that `pending` tells the truth about it.
    pub(super) plain: bool,
    /// The `_ssl._SSLSocket`, where that is what the methods are of.
    inner: Option<Py<PyAny>>,
    /// The short way to the same session, once the handshake is over.
    direct: OnceLock<Direct>,
    pub(super) occupied: Occupied,
}

impl Session {
    pub(super) fn new(
        sslobj: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = sslobj.py();
        let plain = is_plain(sslobj)?;
        // The object inside does the same without a Python frame.
        let methods = match sslobj.getattr(intern!(py, "_sslobj")) {
            Ok(inner) if plain => inner,
            _ => sslobj.clone(),
        };
        Ok(Self {
            read: methods.getattr(intern!(py, "read"))?.unbind(),
            write: methods.getattr(intern!(py, "write"))?.unbind(),
            pending: methods.getattr(intern!(py, "pending"))?.unbind(),
            feed: incoming.getattr(intern!(py, "write"))?.unbind(),
            take: outgoing.getattr(intern!(py, "read"))?.unbind(),
            incoming: incoming.clone().unbind(),
            outgoing: outgoing.clone().unbind(),
            plain,
            inner: plain.then(|| methods.unbind()),
            direct: OnceLock::new(),
            occupied: Occupied::default(),
        })
    }

    /// Takes the direct path from now on, if there is one.
    pub(super) fn go_direct(&self, py: Python<'_>) -> PyResult<()> {
        if let (Some(inner), None) = (&self.inner, self.direct.get()) {
            let bios = (self.incoming.bind(py), self.outgoing.bind(py));
            if let Some(direct) = Direct::to(inner.bind(py), bios.0, bios.1)? {
                let _ = self.direct.set(direct); // one thread at a time: it was not set
            }
        }
        Ok(())
    }

    /// The direct path, if this session takes it.
    #[inline]
    pub(super) fn direct(&self) -> Option<&Direct> {
        self.direct.get()
    }

    /// The number of bytes of records that have not been looked at.
    pub(super) fn incoming_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        if let Some(direct) = self.direct() {
            return Ok(direct.incoming_bytes());
        }
        count(&self.incoming, py)
    }

    /// The number of bytes of records that wait to be sent.
    pub(super) fn outgoing_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        if let Some(direct) = self.direct() {
            return Ok(direct.outgoing_bytes());
        }
        count(&self.outgoing, py)
    }

    /// Shows the garbage collector what the session refers to.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for object in [
            &self.read,
            &self.write,
            &self.pending,
            &self.feed,
            &self.take,
            &self.incoming,
            &self.outgoing,
        ] {
            visit.call(object)?;
        }
        visit.call(&self.inner)
    }
}

/// Whether the class of `sslobj` reads and writes as `ssl.SSLObject` does.
fn is_plain(sslobj: &Bound<'_, PyAny>) -> PyResult<bool> {
    static SSL_OBJECT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = sslobj.py();
    let original = SSL_OBJECT.import(py, "ssl", "SSLObject")?;
    let class = sslobj.get_type();
    if class.is(original) {
        return Ok(true);
    }
    for name in ["read", "write", "pending"] {
        if !class.getattr(name)?.is(&original.getattr(name)?) {
            return Ok(false);
        }
    }
    class.is_subclass(original)
}

fn count(bio: &Py<PyAny>, py: Python<'_>) -> PyResult<usize> {
    bio.bind(py).getattr(intern!(py, "pending"))?.extract()
}
