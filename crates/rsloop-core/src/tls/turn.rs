//! One thread at a time in a TLS session.

use std::ops::Deref;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyMemoryView, PySlice};

use super::direct::{Direct, Stop};
use super::session::Session;
use crate::py::piece::Piece;
use crate::py::{buffer, bytes};

/// Asked for at once from a session of CPython's own; a record brings at most 16 KiB.
const MOST_OF_A_RECORD_BYTES: usize = 16 * 1024;

/// Asked for at once from any other, as asyncio does.
const MOST_BYTES: usize = 256 * 1024;

/// A session that nobody else is inside of while this lives, and what it can do.
pub(super) struct Turn<'a>(&'a Session);

impl<'a> Turn<'a> {
    /// Begins a turn, unless there is one.
    #[inline]
    pub(super) fn begin(session: &'a Session) -> Option<Self> {
        // Made only if it is ours: to drop one ends the turn of whoever is inside.
        session.occupied.enter().then(|| Self(session))
    }
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

impl Turn<'_> {
    /// Takes records that have arrived.
    pub(super) fn feed(&self, records: &Bound<'_, PyBytes>) -> PyResult<()> {
        self.feed.call1(records.py(), (records,)).map(drop)
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
            let most = if self.plain {
                // Data is never longer than its records. To ask in vain costs an exception.
                let most = self.incoming_bytes(py)? + self.decrypted_bytes(py)?;
                if most == 0 {
                    return Ok(End::Again);
                }
                most.min(MOST_OF_A_RECORD_BYTES)
            } else {
                MOST_BYTES
            };
            match self.read.call1(py, (most,)) {
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

    /// Fills `target`, a writable buffer, with data that has arrived; returns how many bytes, and
    /// what the session says then, unless there is no room for more.
    pub(super) fn read_to(&self, target: &Bound<'_, PyAny>) -> PyResult<(usize, Option<End>)> {
        let py = target.py();
        let Some(direct) = self.direct() else {
            // Both are gone when this returns: the protocol may resize its buffer then.
            let view = PyMemoryView::from(target)?;
            let bytes = view.call_method1(intern!(py, "cast"), (intern!(py, "B"),))?;
            return self.read_to_view(&bytes);
        };
        let mut empty = false;
        let filled = buffer::fill(target, |space| {
            empty = space.is_empty();
            direct.read_to(space)
        });
        let Ok((count, stop)) = filled else {
            // asyncio finds out in read(), whose words these are.
            return Err(PyTypeError::new_err(format!(
                "read() argument 2 must be read-write bytes-like object, not {}",
                target.get_type().name()?
            )));
        };
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
            Piece::Copied(copied) => self.write(bytes::new(py, copied)?.as_any()),
        }
    }

    /// Takes the records that wait to be sent; empty when none do.
    pub(super) fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(self.take.call0(py)?.into_bound(py).cast_into()?)
    }
}

impl Deref for Turn<'_> {
    type Target = Session;

    #[inline]
    fn deref(&self) -> &Session {
        self.0
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.occupied.leave();
    }
}

#[cold]
fn no_room() -> PyErr {
    PyRuntimeError::new_err("get_buffer() returned an empty buffer")
}

/// Whether `error` only says that the session needs records first.
fn is_again(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    static AGAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let again = AGAIN.import(py, "asyncio.sslproto", "SSLAgainErrors")?;
    Ok(error.matches(py, again)?)
}
