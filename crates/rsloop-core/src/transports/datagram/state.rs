//! The state of a datagram transport.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rsloop_sched::LookAhead;

use super::queue::SendQueue;
use crate::loop_::LoopBase;
use crate::py::attribute::Attribute;
use crate::py::gil_cell::GilCell;
use crate::py::slot::{InSlot, Slot};
use crate::py::socket_object::SocketObject;
use crate::transports::address::Family;
use crate::transports::fields::{protocol, value};
use crate::transports::sock::Sock;
use crate::transports::watch::Watch;

/// Give a transport of the socket sock its state, for good.
#[pyfunction]
pub(super) fn open_datagram(
    transport: &Bound<'_, PyAny>,
    loop_: Py<LoopBase>,
    sock: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let datagram = Datagram::new(loop_, sock)?;
    Datagram::slot().fill(transport, Bound::new(transport.py(), datagram)?)
}

/// What CPython's transport keeps in `_closing`, `_conn_lost` and so on, for Rust to reach.
///
/// `len()` of it is the number of datagrams that wait to be sent.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(crate) struct Datagram {
    pub(super) state: GilCell<State>,
}

/// `closing` and `conn_lost` mean what they mean in a stream transport. `sock` is `None` once the
/// connection is lost: nothing is sent after that.
pub(super) struct State {
    pub(super) watch: Watch,
    pub(super) family: Family,
    /// Whether `sock` is a `socket.socket` itself, so that its methods do what the kernel does.
    pub(super) plain: bool,
    pub(super) sock: Option<Sock>,
    pub(super) protocol: Option<Py<PyAny>>,
    /// Whether the kernel knows where to send.
    pub(super) connected: bool,
    /// The only address that `sendto` takes: that of `remote_addr`.
    pub(super) only_receiver: Option<Py<PyAny>>,
    pub(super) protocol_paused: bool,
    pub(super) conn_lost: u32,
    pub(super) high_water_bytes: usize,
    pub(super) pending: SendQueue,
    pub(super) look: LookAhead,
    /// The last sender, and the tuple made of it: it often sends again, or is answered.
    pub(super) last_sender: Option<(SocketAddr, Py<PyAny>)>,
}

impl State {
    /// The descriptor to receive from and send to; -1 when there is none any more.
    pub(super) fn fd(&self) -> RawFd {
        self.sock
            .as_ref()
            .map_or(-1, |sock| sock.fd(self.watch.number))
    }
}

impl InSlot for Datagram {
    fn slot() -> &'static Slot<Self> {
        static SLOT: Slot<Datagram> = Slot::named("_datagram");
        &SLOT
    }
}

/// The attributes of the transport that inherited code reads and sets.
pub(super) fn attributes() -> Vec<Attribute<Datagram>> {
    vec![
        value!(c"_closing", watch.closing),
        value!(c"_conn_lost", conn_lost),
        value!(c"_paused", watch.paused),
        value!(c"_high_water_bytes", high_water_bytes),
        value!(c"_protocol_paused", protocol_paused),
        protocol!(),
    ]
}

impl Datagram {
    /// The state of an open transport.
    fn new(loop_: Py<LoopBase>, sock: &Bound<'_, PyAny>) -> PyResult<Self> {
        let number = sock.call_method0("fileno")?.extract()?;
        let family = Family::of(sock)?;
        let known = Sock::new(sock)?;
        Ok(Self {
            state: GilCell::new(State {
                watch: Watch::new(loop_, number),
                family,
                plain: matches!(known, Sock::Known(_)) && SocketObject::is_plain(sock)?,
                sock: Some(known),
                protocol: None,
                connected: false,
                only_receiver: None,
                protocol_paused: false,
                conn_lost: 0,
                high_water_bytes: 64 * 1024,
                pending: SendQueue::default(),
                look: LookAhead::default(),
                last_sender: None,
            }),
        })
    }
}

#[pymethods]
impl Datagram {
    fn __len__(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.pending.len())
    }

    /// Return what flow control counts of what waits to be sent.
    fn pending_bytes(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.pending.bytes())
    }

    /// Forget what waits to be sent.
    fn clear(&self, py: Python<'_>) {
        let pending = self
            .state
            .with(py, |state| std::mem::take(&mut state.pending));
        drop(pending);
    }

    /// Let go of the socket, the loop and the contexts: the connection is lost.
    fn release(&self, py: Python<'_>) {
        let released = self.state.with(py, |state| {
            state.watch.number = -1;
            (
                std::mem::take(&mut state.pending),
                state.sock.take(),
                state.watch.take(),
                state.protocol.take(),
                state.last_sender.take(),
            )
        });
        drop(released);
    }

    /// Set the only address that sendto() takes, and whether the socket is connected.
    fn set_peer(&self, py: Python<'_>, only_receiver: Option<Py<PyAny>>, connected: bool) {
        let replaced = self.state.with(py, |state| {
            state.connected = connected;
            std::mem::replace(&mut state.only_receiver, only_receiver)
        });
        drop(replaced);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state
            .try_with(|state| {
                visit.call(state.sock.as_ref().and_then(Sock::as_object))?;
                state.watch.traverse(&visit)?;
                visit.call(&state.protocol)?;
                visit.call(&state.only_receiver)?;
                state.pending.traverse(&visit)
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        let cleared = self.state.try_with_mut(|state| {
            (
                state.sock.take(),
                state.watch.take(),
                state.protocol.take(),
                state.only_receiver.take(),
                std::mem::take(&mut state.pending),
            )
        });
        drop(cleared);
    }
}
