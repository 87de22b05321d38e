//! The state of a TLS connection.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyType};

use super::backlog::Backlog;
use super::session::Session;
use super::turn::Turn;
use crate::py::fastcall::Receiver;
use crate::py::gil_cell::GilCell;
use crate::py::piece::Piece;
use crate::py::slot::Slot;
use crate::transports::Stream;

/// The slot of the transport class that holds the [`Tls`].
static TLS: Slot = Slot::unknown();

/// Learns where `class` keeps its state, and lets Python code only read it there.
pub(super) fn know_class(class: &Bound<'_, PyType>) -> PyResult<()> {
    TLS.adopt(class, "_tls")
}

/// Give a transport the TLS state of its protocol, for good.
#[pyfunction]
pub(super) fn open_tls(transport: &Bound<'_, PyAny>, tls: Bound<'_, Tls>) -> PyResult<()> {
    TLS.fill(transport, tls.into_any())
}

/// What CPython's `SSLProtocol` keeps in `_state`, `_write_backlog` and so on, for Rust to reach.
///
/// `len()` of it is the number of bytes that wait for the session to take them.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(crate) struct Tls {
    pub(super) state: GilCell<State>,
}

/// CPython's `SSLProtocolState`. Its `_set_state` knows which may follow which.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the connection, and after it.
    Unwrapped,
    Handshake,
    /// Data flow.
    Wrapped,
    /// Closing: what is buffered still goes out.
    Flushing,
    /// Closing: the peers tell each other so.
    Shutdown,
}

pub(super) struct State {
    pub(super) phase: Phase,
    /// The same, as CPython's enumeration has it.
    phase_object: Option<Py<PyAny>>,
    /// The `SSLProtocol`, until the connection is lost.
    pub(super) protocol: Option<Py<PyAny>>,
    /// From the end of `__init__` until the connection is lost.
    session: Option<Arc<Session>>,
    /// The transport that carries the records, while there is a connection.
    pub(super) lower: Option<Lower>,
    pub(super) app_protocol: Option<Py<PyAny>>,
    /// Whether that is a `BufferedProtocol`.
    pub(super) app_buffered: bool,
    pub(super) app_reading_paused: bool,
    pub(super) app_writing_paused: bool,
    /// Whether the lower transport was told to pause reading.
    pub(super) ssl_reading_paused: bool,
    /// Whether the lower transport has told us to pause writing.
    pub(super) ssl_writing_paused: bool,
    /// Whether the peer has ended the stream properly, by its `close_notify`.
    pub(super) close_notify_received: bool,
    pub(super) conn_lost: u32,
    pub(super) incoming_limits: Limits,
    pub(super) outgoing_limits: Limits,
    pub(super) backlog: Backlog,
    /// What came from a transport that is not our own while somebody else was in the session.
    pub(super) late_records: Vec<Py<PyBytes>>,
}

/// Bytes in a buffer above and below which a side is paused and resumed.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) high_bytes: usize,
    pub(super) low_bytes: usize,
}

impl Limits {
    /// Whether a buffer of `size` bytes calls for a change of `paused`: CPython's own rule.
    #[inline]
    pub(super) fn call_for_change(self, size: usize, paused: bool) -> bool {
        if paused {
            size <= self.low_bytes
        } else {
            size >= self.high_bytes
        }
    }
}

/// The transport below.
pub(super) enum Lower {
    /// One of our own stream transports.
    Stream(Py<PyAny>),
    /// Any other: TLS in TLS, or somebody else's.
    Foreign(Py<PyAny>),
}

impl Lower {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Stream(transport) => Self::Stream(transport.clone_ref(py)),
            Self::Foreign(transport) => Self::Foreign(transport.clone_ref(py)),
        }
    }

    fn object(&self) -> &Py<PyAny> {
        match self {
            Self::Stream(transport) | Self::Foreign(transport) => transport,
        }
    }
}

/// The [`Tls`] as the receiver of the transport's methods.
#[repr(transparent)]
pub(super) struct OfTransport(pub(super) Tls);

impl Receiver for OfTransport {
    #[inline]
    unsafe fn of<'a>(object: Borrowed<'a, '_, PyAny>) -> PyResult<&'a Self> {
        // SAFETY: the caller promises an instance of the transport class, whose slot holds what
        // `open_tls` has put there for good: a `Tls`, or nothing. The cast only adds a name.
        #[expect(unsafe_code, reason = "the slot holds an object, not its class")]
        unsafe {
            let tls: *const Tls = TLS.get(object)?.cast_unchecked::<Tls>().get();
            Ok(&*tls.cast::<Self>())
        }
    }
}

impl Tls {
    /// The session, unless the connection is lost.
    #[inline]
    pub(super) fn session(&self, py: Python<'_>) -> Option<Arc<Session>> {
        self.state.with(py, |state| state.session.clone())
    }

    /// A turn in the session; `None` while somebody else is inside, and then the loop goes on with
    /// the connection soon.
    #[inline]
    pub(super) fn turn<'a>(
        &self,
        py: Python<'_>,
        session: &'a Session,
    ) -> PyResult<Option<Turn<'a>>> {
        let turn = Turn::begin(session);
        if turn.is_none() {
            self.go_on_soon(py)?;
        }
        Ok(turn)
    }

    /// Has the loop do what was left undone.
    #[cold]
    fn go_on_soon(&self, py: Python<'_>) -> PyResult<()> {
        let Some(protocol) = self.protocol(py) else {
            return Ok(());
        };
        let go_on = protocol.getattr(intern!(py, "_go_on"))?;
        let loop_ = protocol.getattr(intern!(py, "_loop"))?;
        loop_
            .call_method1(intern!(py, "call_soon_threadsafe"), (go_on,))
            .map(drop)
    }

    /// The protocol, unless the connection is lost.
    pub(super) fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state.with(py, |state| {
            let protocol = state.protocol.as_ref()?;
            Some(protocol.bind(py).clone())
        })
    }
}

#[pymethods]
impl Tls {
    #[new]
    fn new() -> Self {
        Self {
            state: GilCell::new(State {
                phase: Phase::Unwrapped,
                phase_object: None,
                protocol: None,
                session: None,
                lower: None,
                app_protocol: None,
                app_buffered: false,
                app_reading_paused: false,
                app_writing_paused: false,
                ssl_reading_paused: false,
                ssl_writing_paused: false,
                close_notify_received: false,
                conn_lost: 0,
                incoming_limits: Limits::default(),
                outgoing_limits: Limits::default(),
                backlog: Backlog::default(),
                late_records: Vec::new(),
            }),
        }
    }

    /// Take the protocol, its SSLObject and its two MemoryBIOs, for good.
    fn begin(
        &self,
        protocol: Bound<'_, PyAny>,
        sslobj: &Bound<'_, PyAny>,
        incoming: &Bound<'_, PyAny>,
        outgoing: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = protocol.py();
        let session = Arc::new(Session::new(sslobj, incoming, outgoing)?);
        let replaced = self.state.with(py, |state| {
            (
                state.session.replace(session),
                state.protocol.replace(protocol.unbind()),
            )
        });
        drop(replaced);
        Ok(())
    }

    /// Let go of everything: the connection is lost.
    fn release(&self, py: Python<'_>) {
        let released = self.state.with(py, |state| {
            state.backlog.clear();
            (
                std::mem::take(&mut state.late_records),
                state.protocol.take(),
                state.session.take(),
                state.lower.take(),
                state.app_protocol.take(),
            )
        });
        drop(released);
    }

    /// Set the transport that carries the records.
    fn set_transport(&self, transport: Bound<'_, PyAny>) {
        let py = transport.py();
        let lower = if Stream::is_transport(&transport) {
            Lower::Stream(transport.unbind())
        } else {
            Lower::Foreign(transport.unbind())
        };
        let replaced = self.state.with(py, |state| state.lower.replace(lower));
        drop(replaced);
    }

    /// Set the protocol that gets the data, and whether it is a BufferedProtocol.
    fn set_app_protocol(&self, py: Python<'_>, protocol: Option<Py<PyAny>>, buffered: bool) {
        let replaced = self.state.with(py, |state| {
            state.app_buffered = buffered;
            std::mem::replace(&mut state.app_protocol, protocol)
        });
        drop(replaced);
    }

    /// Set CPython's SSLProtocolState, which has this name.
    fn set_phase(&self, py: Python<'_>, phase: Py<PyAny>, name: &str) -> PyResult<()> {
        let known = match name {
            "UNWRAPPED" => Phase::Unwrapped,
            "DO_HANDSHAKE" => Phase::Handshake,
            "WRAPPED" => Phase::Wrapped,
            "FLUSHING" => Phase::Flushing,
            "SHUTDOWN" => Phase::Shutdown,
            _ => return Err(PyValueError::new_err(format!("no such phase: {name}"))),
        };
        let replaced = self.state.with(py, |state| {
            state.phase = known;
            state.phase_object.replace(phase)
        });
        drop(replaced);
        if known == Phase::Wrapped {
            if let Some(session) = self.session(py) {
                session.go_direct(py)?;
            }
        }
        Ok(())
    }

    /// Whether data takes the direct path.
    #[getter]
    fn direct(&self, py: Python<'_>) -> bool {
        self.session(py)
            .is_some_and(|session| session.direct().is_some())
    }

    #[getter]
    fn phase(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            let phase = state.phase_object.as_ref()?;
            Some(phase.clone_ref(py))
        })
    }

    /// Set the limits in bytes for what waits to be sent.
    fn set_outgoing_limits(&self, py: Python<'_>, high_bytes: usize, low_bytes: usize) {
        let limits = Limits {
            high_bytes,
            low_bytes,
        };
        self.state.with(py, |state| state.outgoing_limits = limits);
    }

    /// Set the limits in bytes for what waits to be read.
    fn set_incoming_limits(&self, py: Python<'_>, high_bytes: usize, low_bytes: usize) {
        let limits = Limits {
            high_bytes,
            low_bytes,
        };
        self.state.with(py, |state| state.incoming_limits = limits);
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.backlog.len())
    }

    /// Let data, which is bytes and not empty, wait for the session: what CPython's tests need.
    fn append(&self, data: Bound<'_, PyBytes>) {
        let py = data.py();
        let piece = Piece::Shared(data.unbind());
        self.state.with(py, |state| state.backlog.push(py, piece));
    }

    /// Forget what waits for the session to take it.
    fn clear(&self, py: Python<'_>) {
        self.state.with(py, |state| state.backlog.clear());
    }

    #[getter]
    fn app_reading_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.app_reading_paused)
    }

    #[setter]
    fn set_app_reading_paused(&self, py: Python<'_>, value: bool) {
        self.state
            .with(py, |state| state.app_reading_paused = value);
    }

    #[getter]
    fn app_writing_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.app_writing_paused)
    }

    #[setter]
    fn set_app_writing_paused(&self, py: Python<'_>, value: bool) {
        self.state
            .with(py, |state| state.app_writing_paused = value);
    }

    #[getter]
    fn ssl_reading_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.ssl_reading_paused)
    }

    #[setter]
    fn set_ssl_reading_paused(&self, py: Python<'_>, value: bool) {
        self.state
            .with(py, |state| state.ssl_reading_paused = value);
    }

    #[getter]
    fn ssl_writing_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.ssl_writing_paused)
    }

    #[setter]
    fn set_ssl_writing_paused(&self, py: Python<'_>, value: bool) {
        self.state
            .with(py, |state| state.ssl_writing_paused = value);
    }

    #[getter]
    fn close_notify_received(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.close_notify_received)
    }

    #[setter]
    fn set_close_notify_received(&self, py: Python<'_>, value: bool) {
        self.state
            .with(py, |state| state.close_notify_received = value);
    }

    #[getter]
    fn conn_lost(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |state| state.conn_lost)
    }

    #[setter]
    fn set_conn_lost(&self, py: Python<'_>, value: u32) {
        self.state.with(py, |state| state.conn_lost = value);
    }

    /// Take records that a transport which is not our own has received.
    fn take_records(&self, records: Bound<'_, PyBytes>) -> PyResult<()> {
        let py = records.py();
        let records = records.unbind();
        self.state
            .with(py, |state| state.late_records.push(records));
        self.records_arrived(py)
    }

    /// Go on with what the connection is at.
    fn go_on(&self, py: Python<'_>) -> PyResult<()> {
        self.records_arrived(py)
    }

    /// Call step(), which uses the SSLObject, and return True. Return False, and go on soon, while
    /// somebody else is inside of the session.
    fn in_turn(&self, step: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = step.py();
        let Some(session) = self.session(py) else {
            return Ok(false);
        };
        let Some(_turn) = self.turn(py, &session)? else {
            return Ok(false);
        };
        step.call0()?;
        Ok(true)
    }

    /// Return whether somebody is inside of the session, and if so go on soon.
    fn has_to_wait(&self, py: Python<'_>) -> PyResult<bool> {
        let occupied = self
            .session(py)
            .is_some_and(|session| session.occupied.get());
        if occupied {
            self.go_on_soon(py)?;
        }
        Ok(occupied)
    }

    /// Give the protocol what has arrived, then send what wants to go.
    fn do_read(&self, py: Python<'_>) -> PyResult<()> {
        self.read(py)
    }

    /// Give the session what waits for it, and send the records.
    fn do_write(&self, py: Python<'_>) -> PyResult<()> {
        self.write_backlog(py)
    }

    /// Send the session's records, and pause or resume the protocol.
    fn process_outgoing(&self, py: Python<'_>) -> PyResult<()> {
        self.send_records(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state
            .try_with(|state| {
                visit.call(&state.phase_object)?;
                visit.call(&state.protocol)?;
                if let Some(session) = &state.session {
                    session.traverse(&visit)?;
                }
                visit.call(state.lower.as_ref().map(Lower::object))?;
                visit.call(&state.app_protocol)
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        let cleared = self.state.try_with_mut(|state| {
            (
                state.protocol.take(),
                state.session.take(),
                state.lower.take(),
                state.app_protocol.take(),
            )
        });
        drop(cleared);
    }
}
