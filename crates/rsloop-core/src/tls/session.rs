//! The TLS session: an `SSLObject` between two `MemoryBIO`s.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PySlice, PyType};

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
        })
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
        count(&self.incoming, py)
    }

    /// The number of bytes of records that wait to be sent.
    pub(super) fn outgoing_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        count(&self.outgoing, py)
    }

    /// All data that has arrived, and what the session says then.
    pub(super) fn read<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Option<Bound<'py, PyBytes>>, End)> {
        let mut pieces = Vec::new();
        let end = self.read_into(py, &mut pieces)?;
        let data = match pieces.len() {
            0 | 1 => pieces.pop(),
            _ => {
                let joined = PyBytes::new(py, b"").call_method1(intern!(py, "join"), (pieces,))?;
                Some(joined.cast_into()?)
            }
        };
        Ok((data, end))
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

    /// Fills `view`, a memoryview of bytes, with data that has arrived; returns how many bytes, and
    /// what the session says then, unless there is no room for more.
    pub(super) fn read_to_view(&self, view: &Bound<'_, PyAny>) -> PyResult<(usize, Option<End>)> {
        let py = view.py();
        let room = view.len()?;
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
        self.pending.call0(py)?.extract(py)
    }

    /// Gives the session data to send, and returns how many bytes it has taken: none of them while
    /// it needs records first. Of a session that is not CPython's own it may be a part.
    pub(super) fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = data.py();
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
        Ok(())
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
