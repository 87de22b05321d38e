//! The state of a TLS connection.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::backlog::Backlog;
use super::session::Session;
use super::turn::Turn;
use crate::py::gil_cell::GilCell;
use crate::py::slot::{InSlot, Slot};

/// Give a transport the TLS state of its protocol, for good.
#[pyfunction]
pub(super) fn open_tls(transport: &Bound<'_, PyAny>, tls: Bound<'_, Tls>) -> PyResult<()> {
    Tls::slot().fill(transport, tls)
}

/// What CPython's `SSLProtocol` keeps in `_state`, `_write_backlog` and so on, for Rust to reach.
///
/// `len()` of it is the number of bytes that wait for the session to take them.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(crate) struct Tls {
    pub(super) state: GilCell<State>,
}

/// CPython's `SSLProtocolState`. Its `_set_state` knows which may follow which.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the connection, and after it.
    #[default]
    Unwrapped,
    Handshake,
    /// Data flow.
    Wrapped,
    /// Closing: what is buffered still goes out.
    Flushing,
    /// Closing: the peers tell each other so.
    Shutdown,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// The same, as CPython's enumeration has it.
    pub(super) phase_object: Option<Py<PyAny>>,
    /// The `SSLProtocol`, until the connection is lost.
    pub(super) protocol: Option<Py<PyAny>>,
    /// From the end of `__init__` until the connection is lost.
    pub(super) session: Option<Arc<Session>>,
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

    pub(super) fn object(&self) -> &Py<PyAny> {
        match self {
            Self::Stream(transport) | Self::Foreign(transport) => transport,
        }
    }
}

impl InSlot for Tls {
    fn slot() -> &'static Slot<Self> {
        static SLOT: Slot<Tls> = Slot::named("_tls");
        &SLOT
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
    pub(super) fn go_on_soon(&self, py: Python<'_>) -> PyResult<()> {
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
