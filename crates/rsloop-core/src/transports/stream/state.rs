//! The state of a stream transport.

use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};

use super::extra::Extra;
use super::intake::Intake;
use crate::loop_::LoopBase;
use crate::py::gil_cell::GilCell;
use crate::py::slot::{InSlot, Slot};
use crate::transports::sock::Sock;
use crate::transports::watch::Watch;
use crate::transports::write_buffer::WriteBuffer;

/// What CPython's transport keeps in `_closing`, `_conn_lost` and so on, for Rust to reach. The
/// transport's attributes of these names look here (see `attributes`).
///
/// `len()` of it is the number of bytes that wait to be written.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(crate) struct Stream {
    pub(super) state: GilCell<State>,
}

/// | `conn_lost` | `closing` | state |
/// | --- | --- | --- |
/// | 0 | no | open |
/// | 0 | yes | closing: nothing is read, what waits is still written |
/// | 1 | yes | `connection_lost` is called or scheduled |
/// | more | yes | so many writes less one came too late |
///
/// `conn_lost` without `closing` does not occur.
pub(super) struct State {
    pub(super) watch: Watch,
    pub(super) sock: Option<Sock>,
    pub(super) extra: Extra,
    pub(super) protocol: Option<Py<PyAny>>,
    pub(super) kind: ProtocolKind,
    pub(super) protocol_connected: bool,
    pub(super) server: Option<Py<PyAny>>,
    /// The context given to the transport, for everything that it calls (3.15).
    pub(super) context: Option<Py<PyAny>>,
    pub(super) eof: bool,
    pub(super) protocol_paused: bool,
    pub(super) conn_lost: u32,
    pub(super) high_water_bytes: usize,
    pub(super) empty_waiter: Option<Py<PyAny>>,
    pub(super) pending: WriteBuffer,
    /// While `connection_made` is queued.
    pub(super) opening: Option<Opening>,
    /// While `connection_lost` is queued.
    pub(super) losing: Option<Losing>,
}

/// What the call of `connection_made` needs.
pub(super) struct Opening {
    /// The method of the protocol.
    pub(super) made: Py<PyAny>,
    pub(super) context: Py<PyAny>,
    /// Where reading begins after it.
    pub(super) read_context: Py<PyAny>,
}

/// What the call of `connection_lost` needs.
pub(super) struct Losing {
    pub(super) context: Py<PyAny>,
    /// The exception that it tells, or `None`.
    pub(super) error: Py<PyAny>,
}

/// How a protocol gets what is read.
pub(super) enum ProtocolKind {
    /// As `bytes`, by `data_received`.
    Plain,
    /// In a buffer of its own: it is a `BufferedProtocol`.
    Buffered,
    /// It is one of ours, which receives by itself, and the object that does.
    Own(&'static Intake, Py<PyAny>),
}

impl ProtocolKind {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Plain => Self::Plain,
            Self::Buffered => Self::Buffered,
            Self::Own(intake, taker) => Self::Own(intake, taker.clone_ref(py)),
        }
    }
}

impl State {
    /// The descriptor to read from and write to; -1 when there is none any more.
    #[inline(always)]
    pub(super) fn fd(&self) -> RawFd {
        self.sock
            .as_ref()
            .map_or(-1, |sock| sock.fd(self.watch.number))
    }
}

impl InSlot for Stream {
    fn slot() -> &'static Slot<Self> {
        static SLOT: Slot<Stream> = Slot::named("_stream");
        &SLOT
    }
}

impl Stream {
    /// The state of a transport that is about to be opened.
    pub(in crate::transports) fn new(
        loop_: Py<LoopBase>,
        sock: Sock,
        number: RawFd,
        extra: Extra,
    ) -> Self {
        Self {
            state: GilCell::new(State {
                watch: Watch::new(loop_, number),
                sock: Some(sock),
                extra,
                protocol: None,
                kind: ProtocolKind::Plain,
                protocol_connected: true,
                server: None,
                context: None,
                eof: false,
                protocol_paused: false,
                conn_lost: 0,
                high_water_bytes: 64 * 1024,
                empty_waiter: None,
                pending: WriteBuffer::default(),
                opening: None,
                losing: None,
            }),
        }
    }
}

#[pymethods]
impl Stream {
    fn __len__(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.pending.len())
    }

    /// Forget what waits to be written.
    fn clear(&self, py: Python<'_>) {
        self.state.with(py, |state| state.pending.clear());
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state
            .try_with(|state| {
                visit.call(state.sock.as_ref().and_then(Sock::as_object))?;
                state.extra.traverse(&visit)?;
                if let Some(opening) = &state.opening {
                    visit.call(&opening.made)?;
                    visit.call(&opening.context)?;
                    visit.call(&opening.read_context)?;
                }
                if let Some(losing) = &state.losing {
                    visit.call(&losing.context)?;
                    visit.call(&losing.error)?;
                }
                state.watch.traverse(&visit)?;
                visit.call(&state.protocol)?;
                if let ProtocolKind::Own(_, taker) = &state.kind {
                    visit.call(taker)?;
                }
                visit.call(&state.server)?;
                visit.call(&state.context)?;
                visit.call(&state.empty_waiter)
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        let cleared = self.state.try_with_mut(|state| {
            (
                state.sock.take(),
                state.extra.take(),
                state.opening.take(),
                state.losing.take(),
                state.watch.take(),
                state.protocol.take(),
                std::mem::replace(&mut state.kind, ProtocolKind::Plain),
                state.server.take(),
                state.context.take(),
                state.empty_waiter.take(),
            )
        });
        drop(cleared);
    }
}
