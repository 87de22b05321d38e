//! From `write` to records, and flow control.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use super::session::Session;
use super::state::{Lower, Phase, Tls};
use super::turn::Turn;
use crate::py::buffer;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::piece::Piece;
use crate::transports::Stream;

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"write",
            function: fastcall!(Tls, "write", 1, write),
            doc: c"write($self, data, /)\n--\n\n\
                Encrypt and send data, or keep it until that is possible. Never blocks.\n\n\
                data is bytes, a bytearray or a memoryview. Raises TypeError for anything else, BufferError\n\
                for memory that is not contiguous. After close() or a lost connection it only logs. Follows\n\
                asyncio.WriteTransport.write.\n\n\
                Differs: asyncio ends the connection with that BufferError.",
        },
        Method {
            name: c"writelines",
            function: fastcall!(Tls, "writelines", 1, writelines),
            doc: c"writelines($self, list_of_data, /)\n--\n\n\
                Send several pieces as one. As write() of each in turn, in fewer system calls; a piece may be\n\
                any contiguous buffer. Follows asyncio.WriteTransport.writelines.\n\n\
                Differs: what is refused is refused here, and nothing sent.",
        },
        Method {
            name: c"get_write_buffer_size",
            function: fastcall!(Tls, "get_write_buffer_size", 0, get_write_buffer_size),
            doc: c"get_write_buffer_size($self)\n--\n\n\
                Return the number of bytes that the transport below has not been given yet.",
        },
    ]
}

fn write(slf: &Bound<'_, PyAny>, this: &Tls, args: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let data = args.leading(0);
    check_bytes_like(&data)?;
    let empty = match data.cast_exact::<PyBytes>() {
        Ok(bytes) => bytes.as_bytes().is_empty(),
        Err(_) => buffer::with_bytes(&data, |bytes| Ok(bytes.is_empty()))?,
    };
    if empty || !this.admit(slf)? {
        return Ok(());
    }
    let written = this.encrypt(&data).and_then(|()| this.send_if_open(py));
    written.or_else(|error| this.fatal(py, error))
}

fn writelines(slf: &Bound<'_, PyAny>, this: &Tls, args: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let mut pieces = Vec::new();
    for piece in args.leading(0).try_iter()? {
        let piece = piece?;
        let piece = match check_bytes_like(&piece) {
            Ok(()) => piece,
            // Any buffer will do here, as for asyncio.
            Err(refusal) => match PyMemoryView::from(&piece) {
                Ok(view) => view.into_any(),
                Err(_) => return Err(refusal),
            },
        };
        if !buffer::with_bytes(&piece, |bytes| Ok(bytes.is_empty()))? {
            pieces.push(piece);
        }
    }
    if !this.admit(slf)? {
        return Ok(());
    }
    let written = pieces.iter().try_for_each(|piece| this.encrypt(piece));
    let written = written.and_then(|()| this.send_if_open(py));
    written.or_else(|error| this.fatal(py, error))
}

fn get_write_buffer_size(slf: &Bound<'_, PyAny>, this: &Tls, _: Args<'_, '_>) -> PyResult<usize> {
    let py = slf.py();
    let mut size = this.state.with(py, |state| state.backlog.len());
    if let Some(session) = this.session(py) {
        size += session.outgoing_bytes(py)?;
    }
    Ok(size)
}

fn check_bytes_like(data: &Bound<'_, PyAny>) -> PyResult<()> {
    if buffer::is_bytes_like(data) {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "data: expecting a bytes-like instance, got {}",
        data.get_type().name()?
    )))
}

impl Tls {
    /// Whether a write may go on; late ones are counted, and logged when there are many.
    #[inline]
    fn admit(&self, transport: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = transport.py();
        let earlier = self.state.with(py, |state| match state.phase {
            Phase::Handshake | Phase::Wrapped => None,
            // Before the handshake: TLS in TLS connects the layers one after the other.
            Phase::Unwrapped | Phase::Flushing | Phase::Shutdown => {
                state.conn_lost = state.conn_lost.saturating_add(1);
                Some(state.conn_lost - 1)
            }
        });
        match earlier {
            None => Ok(true),
            Some(earlier) => {
                transport.call_method1(intern!(py, "_warn_of_late_write"), (earlier,))?;
                Ok(false)
            }
        }
    }

    /// Gives the session `data`, which is not empty, or keeps it until the session takes it.
    fn encrypt(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        let now = self.state.with(py, |state| {
            state.phase == Phase::Wrapped && state.backlog.is_empty()
        });
        let mut taken = 0;
        let session = now.then(|| self.session(py)).flatten();
        if let Some(turn) = session.as_ref().and_then(|session| Turn::begin(session)) {
            taken = turn.write(data)?;
            if taken > 0 && turn.plain {
                return Ok(()); // all of it
            }
        }
        let piece = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => Piece::Shared(bytes.clone().unbind()).without(py, taken),
            Err(_) => buffer::with_bytes(data, |bytes| Ok(Piece::Copied(bytes.into())))?
                .without(py, taken),
        };
        if let Some(piece) = piece {
            self.state.with(py, |state| state.backlog.push(py, piece));
        }
        Ok(())
    }

    /// Sends the records of what was written, once the handshake is over.
    #[inline]
    fn send_if_open(&self, py: Python<'_>) -> PyResult<()> {
        let open = self.state.with(py, |state| state.phase == Phase::Wrapped);
        if open { self.write_backlog(py) } else { Ok(()) }
    }

    /// Gives the session what waits for it, and sends the records.
    pub(super) fn write_backlog(&self, py: Python<'_>) -> PyResult<()> {
        let Some(session) = self.session(py) else {
            return Ok(());
        };
        if !self.state.with(py, |state| state.backlog.is_empty()) {
            match self.turn(py, &session)? {
                Some(turn) => self.write_backlog_in(py, &turn)?,
                None => return Ok(()),
            }
        }
        self.send_records_of(py, &session)
    }

    fn write_backlog_in(&self, py: Python<'_>, turn: &Turn<'_>) -> PyResult<()> {
        while let Some(piece) = self.state.with(py, |state| state.backlog.pop(py)) {
            let written = turn.write_piece(py, &piece);
            let taken = *written.as_ref().unwrap_or(&0);
            if let Some(rest) = piece.without(py, taken) {
                self.state.with(py, |state| state.backlog.unpop(py, rest));
            }
            if written? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Sends the session's records unless the transport below is full, and pauses or resumes the
    /// protocol.
    pub(super) fn send_records(&self, py: Python<'_>) -> PyResult<()> {
        match self.session(py) {
            Some(session) => self.send_records_of(py, &session),
            None => Ok(()),
        }
    }

    fn send_records_of(&self, py: Python<'_>, session: &Session) -> PyResult<()> {
        let lower = self.state.with(py, |state| {
            if state.ssl_writing_paused {
                return None;
            }
            Some(state.lower.as_ref()?.clone_ref(py))
        });
        if let (Some(direct), Some(Lower::Stream(stream))) = (session.direct(), &lower) {
            if direct.outgoing_bytes() > 0 {
                let Some(_turn) = self.turn(py, session)? else {
                    return Ok(());
                };
                Stream::write_from(stream.bind(py), |space| direct.take(space))?;
            }
        } else if let Some(lower) = lower {
            let Some(turn) = self.turn(py, session)? else {
                return Ok(());
            };
            let records = turn.take(py)?;
            drop(turn);
            if !records.as_bytes().is_empty() {
                match lower {
                    Lower::Stream(stream) => Stream::write(stream.bind(py), &records)?,
                    Lower::Foreign(transport) => {
                        transport.call_method1(py, intern!(py, "write"), (records,))?;
                    }
                }
            }
        }
        self.control_writing(py, session)
    }

    /// Pauses or resumes the protocol, when there is reason to.
    fn control_writing(&self, py: Python<'_>, session: &Session) -> PyResult<()> {
        let records = session.outgoing_bytes(py)?;
        let change = self.state.with(py, |state| {
            let size = records + state.backlog.len();
            state
                .outgoing_limits
                .call_for_change(size, state.app_writing_paused)
        });
        if change {
            self.call_protocol(py, intern!(py, "_control_app_writing"))?;
        }
        Ok(())
    }
}
