//! The TLS session: an `SSLObject` between two `MemoryBIO`s.

use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyMemoryView, PySlice, PyType};

use super::direct::{Direct, Stop};
use crate::py::buffer;
use crate::py::piece::Piece;

/// Asked for at once from the session; a record brings at most 16 KiB.
const MOST_OF_A_RECORD_BYTES: usize = 16 * 1024;

/// What the `SSLObject` can do, with its methods at hand.
pub(super) struct Session {
    /// Of the `SSLObject`: what is inside it where nobody has put something in front.
    read: Py<PyAny>,
    write: Py<PyAny>,
    pending: Py<PyAny>,
    incoming: Py<PyAny>,
    /// Of `incoming`.
    feed: Py<PyAny>,
    outgoing: Py<PyAny>,
    /// Of `outgoing`.
    take: Py<PyAny>,
    /// Whether `read` is CPython's own, so that `pending` tells the truth about it.
    plain: bool,
    /// The `_ssl._SSLSocket`, where that is what the methods are of.
    inner: Option<Py<PyAny>>,
    /// The short way to the same session, once the handshake is over.
    direct: OnceLock<Direct>,
}

/// What a session said after it gave what it had.
pub(super) enum End {
    /// More comes with the next records.
    Again,
    /// Nothing more comes: the peer said so.
    Closed,
    /// The connection is broken.
    Failed(PyErr),
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

    /// Whether the data can be read here, and not only through Python.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Takes records that have arrived.
    pub(super) fn feed(&self, records: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.feed.call1(records.py(), (records,)).map(drop)
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

    /// All data that has arrived, and what the session says then.
    pub(super) fn read<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Option<Bound<'py, PyBytes>>, End)> {
        let mut pieces = Vec::new();
        let end = match self.direct() {
            Some(direct) => self.read_directly(py, direct, &mut pieces)?,
            None => self.read_into(py, &mut pieces)?,
        };
        let data = match pieces.len() {
            0 | 1 => pieces.pop(),
            _ => {
                let joined = PyBytes::new(py, b"").call_method1(intern!(py, "join"), (pieces,))?;
                Some(joined.cast_into()?)
            }
        };
        Ok((data, end))
    }

    fn read_directly<'py>(
        &self,
        py: Python<'py>,
        direct: &Direct,
        pieces: &mut Vec<Bound<'py, PyBytes>>,
    ) -> PyResult<End> {
        loop {
            let (data, stop) = direct.read(py)?;
            pieces.extend(data);
            if let Some(stop) = stop {
                return self.end(py, stop);
            }
        }
    }

    /// Says in Python's terms why OpenSSL gives no more.
    #[inline]
    fn end(&self, py: Python<'_>, stop: Stop) -> PyResult<End> {
        match stop {
            Stop::Again => Ok(End::Again),
            Stop::Closed => Ok(End::Closed),
            Stop::Failed => self.failure(py),
        }
    }

    #[cold]
    fn failure(&self, py: Python<'_>) -> PyResult<End> {
        match self.read.call1(py, (1,)) {
            Err(error) if is_again(py, &error)? => Ok(End::Again),
            Err(error) => Ok(End::Failed(error)),
            Ok(_) => Ok(End::Failed(PyRuntimeError::new_err(
                "OpenSSL reported an error and went on without it",
            ))),
        }
    }

    fn read_into<'py>(
        &self,
        py: Python<'py>,
        pieces: &mut Vec<Bound<'py, PyBytes>>,
    ) -> PyResult<End> {
        loop {
            // Data is never longer than its records. To ask in vain costs an exception.
            let most = self.incoming_bytes(py)? + self.decrypted_bytes(py)?;
            if most == 0 {
                return Ok(End::Again);
            }
            match self.read.call1(py, (most.min(MOST_OF_A_RECORD_BYTES),)) {
                Ok(data) => {
                    let data = data.into_bound(py).cast_into::<PyBytes>()?;
                    if data.as_bytes().is_empty() {
                        return Ok(End::Closed);
                    }
                    pieces.push(data);
                }
                Err(error) if is_again(py, &error)? => return Ok(End::Again),
                Err(error) => return Ok(End::Failed(error)),
            }
        }
    }

    /// Fills `buffer` with data that has arrived; returns how many bytes, and what the session says
    /// then, unless there is no room for more.
    pub(super) fn read_to(&self, target: &Bound<'_, PyAny>) -> PyResult<(usize, Option<End>)> {
        let py = target.py();
        let Some(direct) = self.direct() else {
            // Both are gone when this returns: the protocol may resize its buffer then.
            let view = PyMemoryView::from(target)?;
            let bytes = view.call_method1(intern!(py, "cast"), (intern!(py, "B"),))?;
            return self.read_to_view(&bytes);
        };
        let mut empty = false;
        let (count, stop) = buffer::fill(target, |space| {
            empty = space.is_empty();
            direct.read_to(space)
        })?;
        if empty {
            return Err(no_room());
        }
        let end = stop.map(|stop| self.end(py, stop)).transpose()?;
        Ok((count, end))
    }

    fn read_to_view(&self, view: &Bound<'_, PyAny>) -> PyResult<(usize, Option<End>)> {
        let py = view.py();
        let room = view.len()?;
        if room == 0 {
            return Err(no_room());
        }
        let mut filled = 0;
        while filled < room {
            if self.plain && self.is_drained(py)? {
                return Ok((filled, Some(End::Again)));
            }
            let rest = view.get_item(PySlice::new(py, filled as isize, room as isize, 1))?;
            match self.read.call1(py, (room - filled, rest)) {
                Ok(count) => match count.extract::<usize>(py)? {
                    0 => return Ok((filled, Some(End::Closed))),
                    count => filled += count,
                },
                Err(error) if is_again(py, &error)? => return Ok((filled, Some(End::Again))),
                Err(error) => return Ok((filled, Some(End::Failed(error)))),
            }
        }
        Ok((filled, None))
    }

    /// Whether a read could only fail.
    pub(super) fn is_drained(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.incoming_bytes(py)? == 0 && self.decrypted_bytes(py)? == 0)
    }

    fn decrypted_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        if let Some(direct) = self.direct() {
            return Ok(direct.decrypted_bytes());
        }
        self.pending.call0(py)?.extract(py)
    }

    /// Gives the session data to send, and returns how many bytes it has taken: none of them while
    /// it needs records first. Of a session that is not CPython's own it may be a part.
    pub(super) fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = data.py();
        if let Some(direct) = self.direct() {
            let written = match data.cast_exact::<PyBytes>() {
                Ok(bytes) => direct.write(bytes.as_bytes()),
                Err(_) => buffer::with_bytes(data, |bytes| Ok(direct.write(bytes)))?,
            };
            match written {
                Ok(taken) => return Ok(taken),
                Err(Stop::Again) => return Ok(0),
                Err(_) => {} // the method below raises what OpenSSL has noted
            }
        }
        match self.write.call1(py, (data,)) {
            Ok(taken) => taken.extract(py),
            Err(error) if is_again(py, &error)? => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The same for data that has waited.
    pub(super) fn write_piece(&self, py: Python<'_>, piece: &Piece) -> PyResult<usize> {
        match piece {
            Piece::Shared(bytes) => self.write(bytes.bind(py)),
            Piece::Copied(bytes) => self.write(&PyBytes::new(py, bytes)),
        }
    }

    /// Takes the records that wait to be sent; empty when none do.
    pub(super) fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(self.take.call0(py)?.into_bound(py).cast_into()?)
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

#[cold]
fn no_room() -> PyErr {
    PyRuntimeError::new_err("get_buffer() returned an empty buffer")
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

/// Whether `error` only says that the session needs records first.
fn is_again(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    static AGAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let again = match AGAIN.get(py) {
        Some(again) => again,
        None => {
            let found = py.import("asyncio.sslproto")?.getattr("SSLAgainErrors")?;
            AGAIN.get_or_init(py, || found.unbind())
        }
    };
    Ok(error.matches(py, again)?)
}
