//! From records to the protocol.

use std::io::ErrorKind;
use std::os::fd::RawFd;

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::IntoPyDict;
use rsloop_reactor::socket;

use super::session::Session;
use super::state::{Phase, Tls};
use super::turn::{End, Turn};
use crate::loop_::LoopBase;
use crate::py::bytes;
use crate::py::handled::handling;
use crate::transports::intake::Intake;

/// How the transport below gives our protocol what arrives.
pub(super) static INTAKE: Intake = Intake {
    adopt,
    receive: |tls, loop_, fd| tls.cast::<Tls>()?.get().receive(tls.py(), loop_, fd),
    arrived: |tls| tls.cast::<Tls>()?.get().records_arrived(tls.py()),
};

/// The [`Tls`] of a protocol that is ours.
fn adopt(protocol: &Bound<'_, PyAny>, paused: bool) -> PyResult<Option<Py<PyAny>>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = protocol.py();
    let class = CLASS.import(py, "rsloop_core._tls_protocol", "SSLProtocol")?;
    if !protocol.is_instance(class)? {
        return Ok(None);
    }
    let keywords = [(intern!(py, "paused"), paused)].into_py_dict(py)?;
    protocol.call_method(intern!(py, "taking_over"), (), Some(&keywords))?;
    protocol
        .getattr(intern!(py, "_tls"))
        .map(|tls| Some(tls.unbind()))
}

impl Tls {
    /// Receives records from the socket `fd` into the session; returns how many bytes.
    ///
    /// While somebody else is inside of the session they stay in the socket, which is then still
    /// readable in the next tick.
    fn receive(
        &self,
        py: Python<'_>,
        loop_: &LoopBase,
        fd: RawFd,
    ) -> PyResult<std::io::Result<usize>> {
        let session = self.session(py);
        let turn = match session.as_deref().map(Turn::begin) {
            Some(None) => return Ok(Err(ErrorKind::WouldBlock.into())),
            Some(turn) => turn,
            None => None,
        };
        if let Some(direct) = turn.as_deref().and_then(Session::direct) {
            return loop_.with_read_buffer(py, |space| {
                let count = match socket::receive(fd, space) {
                    Ok(count) => count,
                    Err(error) => return Ok(Err(error)),
                };
                direct.feed(&space[..count]).map(|()| Ok(count))
            });
        }
        let received = loop_.with_read_buffer(py, |space| {
            let count = socket::receive(fd, space)?;
            Ok(bytes::new(py, &space[..count]))
        });
        match received {
            Ok(records) => {
                let records = records?;
                let count = records.as_bytes().len();
                if let Some(turn) = turn.filter(|_| count > 0) {
                    turn.feed(&records)?;
                }
                Ok(Ok(count))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Goes on with what the connection is at, now that records have arrived.
    pub(super) fn records_arrived(&self, py: Python<'_>) -> PyResult<()> {
        let (phase, late) = self
            .state
            .with(py, |state| (state.phase, !state.late_records.is_empty()));
        if late && !self.feed_late_records(py)? {
            return Ok(());
        }
        let next = match phase {
            Phase::Wrapped => return self.read(py),
            Phase::Unwrapped => return Ok(()),
            Phase::Handshake => intern!(py, "_do_handshake"),
            Phase::Flushing => intern!(py, "_do_flush"),
            Phase::Shutdown => intern!(py, "_do_shutdown"),
        };
        match self.protocol(py) {
            Some(protocol) => protocol.call_method0(next).map(drop),
            None => Ok(()),
        }
    }

    /// Gives the session the records that came while it was occupied; `false` when it still is.
    #[cold]
    fn feed_late_records(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(session) = self.session(py) else {
            return Ok(true);
        };
        let Some(turn) = self.turn(py, &session)? else {
            return Ok(false);
        };
        let late = self
            .state
            .with(py, |state| std::mem::take(&mut state.late_records));
        for records in late {
            turn.feed(records.bind(py))?;
        }
        Ok(true)
    }

    /// Gives the protocol what has arrived, then sends what wants to go.
    ///
    /// The error, if any, is none that ends the connection only.
    pub(super) fn read(&self, py: Python<'_>) -> PyResult<()> {
        match self.read_or_fail(py) {
            Err(error) => self.fatal(py, error),
            Ok(()) => Ok(()),
        }
    }

    fn read_or_fail(&self, py: Python<'_>) -> PyResult<()> {
        let paused = self.state.with(py, |state| match state.phase {
            Phase::Wrapped | Phase::Flushing => Some(state.app_reading_paused),
            _ => None,
        });
        let Some(paused) = paused else { return Ok(()) };
        if !paused {
            self.deliver(py)?;
        }
        // Also where reading is paused: what was written meanwhile, or the end of a handshake,
        // does not have to wait for that.
        self.write_backlog(py)?;
        self.control_reading(py)
    }

    /// Calls `data_received` with all data there is, or `buffer_updated`.
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        let target = self.state.with(py, |state| {
            let protocol = state.app_protocol.as_ref()?;
            Some((protocol.bind(py).clone(), state.app_buffered))
        });
        let (Some((target, buffered)), Some(session)) = (target, self.session(py)) else {
            return Ok(());
        };
        if buffered {
            let end = self.deliver_to_buffer(&session, &target)?;
            return self.react(py, end);
        }
        let Some(turn) = self.turn(py, &session)? else {
            return Ok(());
        };
        let (data, end) = turn.read(py)?;
        drop(turn);
        if let Some(data) = data {
            target.call_method1(intern!(py, "data_received"), (data,))?;
        }
        self.react(py, end)
    }

    /// Fills the protocol's buffer once, and comes back later when there may be more.
    ///
    /// Not the inherited method: where the buffer is no memoryview it loses all but the first
    /// record, and it takes an empty buffer for the end of the stream.
    fn deliver_to_buffer(&self, session: &Session, target: &Bound<'_, PyAny>) -> PyResult<End> {
        let py = target.py();
        let Some(turn) = self.turn(py, session)? else {
            return Ok(End::Again);
        };
        if turn.plain && turn.is_drained(py)? {
            return Ok(End::Again);
        }
        drop(turn);
        let hint = session.incoming_bytes(py)?;
        let buffer = target.call_method1(intern!(py, "get_buffer"), (hint,))?;
        let Some(turn) = self.turn(py, session)? else {
            return Ok(End::Again);
        };
        let (count, end) = turn.read_to(&buffer)?;
        drop(turn);
        if count > 0 {
            if end.is_none() {
                if let Some(protocol) = self.protocol(py) {
                    let again = protocol.getattr(intern!(py, "_do_read"))?;
                    let loop_ = protocol.getattr(intern!(py, "_loop"))?;
                    loop_.call_method1(intern!(py, "call_soon"), (again,))?;
                }
            }
            target.call_method1(intern!(py, "buffer_updated"), (count,))?;
        }
        Ok(end.unwrap_or(End::Again))
    }

    /// Does what follows from the end of reading.
    fn react(&self, py: Python<'_>, end: End) -> PyResult<()> {
        match end {
            End::Again => Ok(()),
            End::Failed(error) => Err(error),
            End::Closed => {
                self.state
                    .with(py, |state| state.close_notify_received = true);
                self.call_protocol(py, intern!(py, "_call_eof_received"))?;
                self.call_protocol(py, intern!(py, "_start_shutdown"))
            }
        }
    }

    /// Pauses or resumes the transport below, when there is reason to.
    fn control_reading(&self, py: Python<'_>) -> PyResult<()> {
        let Some(session) = self.session(py) else {
            return Ok(());
        };
        let size = session.incoming_bytes(py)?;
        let change = self.state.with(py, |state| {
            state
                .incoming_limits
                .call_for_change(size, state.ssl_reading_paused)
        });
        if change {
            self.call_protocol(py, intern!(py, "_control_ssl_reading"))?;
        }
        Ok(())
    }

    /// Calls a method of the protocol, unless the connection is lost.
    pub(super) fn call_protocol(
        &self,
        py: Python<'_>,
        name: &Bound<'_, pyo3::types::PyString>,
    ) -> PyResult<()> {
        match self.protocol(py) {
            Some(protocol) => protocol.call_method0(name).map(drop),
            None => Ok(()),
        }
    }

    /// Ends the connection with `error`, unless that is for somebody further up.
    #[cold]
    pub(super) fn fatal(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        match self.protocol(py) {
            Some(protocol) => {
                let error = error.into_value(py);
                let arguments = (&error, "Fatal error on SSL protocol");
                handling(error.bind(py), || {
                    protocol.call_method1(intern!(py, "_fatal_error"), arguments)
                })
                .map(drop)
            }
            None => Ok(()),
        }
    }
}
