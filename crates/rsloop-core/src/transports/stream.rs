//! The state of a stream transport.

use std::os::fd::RawFd;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyType;

use super::write_buffer::WriteBuffer;
use crate::loop_::LoopBase;
use crate::py::fastcall::Receiver;
use crate::py::gil_cell::GilCell;
use crate::py::slot::Slot;
use crate::tls::Tls;

/// The slot of the transport class that holds the [`Stream`].
static STREAM: Slot = Slot::unknown();

/// Learns where `class` keeps its stream, and lets Python code only read it there.
pub(super) fn know_class(class: &Bound<'_, PyType>) -> PyResult<()> {
    STREAM.find(class, "_stream")?;
    let py = class.py();
    let read = wrap_pyfunction!(stream_of, py)?;
    let property = py.import("builtins")?.getattr("property")?.call1((read,))?;
    class.setattr("_stream", property)
}

/// Return the state of a transport.
#[pyfunction]
fn stream_of<'py>(transport: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    STREAM.read(transport)?.ok_or_else(not_initialised)
}

/// Give a transport of the connected socket fd its state, for good.
#[pyfunction]
pub(super) fn open_stream(
    transport: &Bound<'_, PyAny>,
    loop_: Py<LoopBase>,
    fd: RawFd,
) -> PyResult<()> {
    let stream = Bound::new(transport.py(), Stream::new(loop_, fd))?;
    STREAM.fill(transport, stream.into_any())
}

#[cold]
fn not_initialised() -> PyErr {
    PyRuntimeError::new_err("the transport's __init__() was not called")
}

/// What CPython's transport keeps in `_closing`, `_conn_lost` and so on, for Rust to reach.
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
    pub(super) fd: RawFd,
    pub(super) loop_: Option<Py<LoopBase>>,
    pub(super) protocol: Option<Py<PyAny>>,
    pub(super) kind: ProtocolKind,
    pub(super) closing: bool,
    pub(super) paused: bool,
    pub(super) eof: bool,
    pub(super) protocol_paused: bool,
    pub(super) conn_lost: u32,
    pub(super) high_water_bytes: usize,
    pub(super) empty_waiter: Option<Py<PyAny>>,
    /// The contexts in which reading and writing were asked for; the protocol's methods run there.
    pub(super) read_context: Option<Py<PyAny>>,
    pub(super) write_context: Option<Py<PyAny>>,
    pub(super) pending: WriteBuffer,
}

/// How a protocol gets what is read.
pub(super) enum ProtocolKind {
    /// As `bytes`, by `data_received`.
    Plain,
    /// In a buffer of its own: it is a `BufferedProtocol`.
    Buffered,
    /// It is our own TLS protocol, which takes the records without Python in between.
    Tls(Py<Tls>),
}

impl ProtocolKind {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Plain => Self::Plain,
            Self::Buffered => Self::Buffered,
            Self::Tls(tls) => Self::Tls(tls.clone_ref(py)),
        }
    }
}

impl Receiver for Stream {
    #[inline]
    unsafe fn of<'a>(object: Borrowed<'a, '_, PyAny>) -> PyResult<&'a Self> {
        // SAFETY: the caller promises an instance of the transport class, whose slot holds what
        // `open_stream` has put there for good: a `Stream`, or nothing.
        unsafe {
            match STREAM.get(object) {
                Some(stream) => Ok(&*std::ptr::from_ref(stream.cast_unchecked::<Self>().get())),
                None => Err(not_initialised()),
            }
        }
    }
}

impl Stream {
    /// Whether `object` is a stream transport of ours.
    pub(crate) fn is_transport(object: &Bound<'_, PyAny>) -> bool {
        STREAM.is_in(object)
    }

    /// The state of an open transport.
    fn new(loop_: Py<LoopBase>, fd: RawFd) -> Self {
        Self {
            state: GilCell::new(State {
                fd,
                loop_: Some(loop_),
                protocol: None,
                kind: ProtocolKind::Plain,
                closing: false,
                paused: false,
                eof: false,
                protocol_paused: false,
                conn_lost: 0,
                high_water_bytes: 64 * 1024,
                empty_waiter: None,
                read_context: None,
                write_context: None,
                pending: WriteBuffer::default(),
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

    /// Let go of the loop and the contexts: the connection is lost.
    fn release(&self, py: Python<'_>) {
        let released = self.state.with(py, |state| {
            state.fd = -1;
            state.pending.clear();
            (
                state.loop_.take(),
                state.protocol.take(),
                std::mem::replace(&mut state.kind, ProtocolKind::Plain),
                state.read_context.take(),
                state.write_context.take(),
            )
        });
        drop(released);
    }

    /// Set the number of bytes above which the protocol is paused.
    fn set_high_water(&self, py: Python<'_>, bytes: usize) {
        self.state.with(py, |state| state.high_water_bytes = bytes);
    }

    /// Set the protocol, whether it is a BufferedProtocol, and its state if it is our TLS protocol.
    fn set_protocol(
        &self,
        py: Python<'_>,
        protocol: Option<Py<PyAny>>,
        buffered: bool,
        tls: Option<Py<Tls>>,
    ) {
        let kind = match tls {
            Some(tls) => ProtocolKind::Tls(tls),
            None if buffered => ProtocolKind::Buffered,
            None => ProtocolKind::Plain,
        };
        let replaced = self.state.with(py, |state| {
            (
                std::mem::replace(&mut state.kind, kind),
                std::mem::replace(&mut state.protocol, protocol),
            )
        });
        drop(replaced);
    }

    #[getter]
    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            state
                .protocol
                .as_ref()
                .map(|protocol| protocol.clone_ref(py))
        })
    }

    #[getter]
    fn closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.closing)
    }

    #[setter]
    fn set_closing(&self, py: Python<'_>, value: bool) {
        self.state.with(py, |state| state.closing = value);
    }

    #[getter]
    fn paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.paused)
    }

    #[setter]
    fn set_paused(&self, py: Python<'_>, value: bool) {
        self.state.with(py, |state| state.paused = value);
    }

    #[getter]
    fn eof(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.eof)
    }

    #[setter]
    fn set_eof(&self, py: Python<'_>, value: bool) {
        self.state.with(py, |state| state.eof = value);
    }

    #[getter]
    fn protocol_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |state| state.protocol_paused)
    }

    #[setter]
    fn set_protocol_paused(&self, py: Python<'_>, value: bool) {
        self.state.with(py, |state| state.protocol_paused = value);
    }

    #[getter]
    fn conn_lost(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |state| state.conn_lost)
    }

    #[setter]
    fn set_conn_lost(&self, py: Python<'_>, value: u32) {
        self.state.with(py, |state| state.conn_lost = value);
    }

    #[getter]
    fn empty_waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |state| {
            state
                .empty_waiter
                .as_ref()
                .map(|waiter| waiter.clone_ref(py))
        })
    }

    #[setter]
    fn set_empty_waiter(&self, py: Python<'_>, value: Option<Py<PyAny>>) {
        let replaced = self.state.with(py, |state| {
            std::mem::replace(&mut state.empty_waiter, value)
        });
        drop(replaced);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state
            .try_with(|state| {
                visit.call(&state.loop_)?;
                visit.call(&state.protocol)?;
                if let ProtocolKind::Tls(tls) = &state.kind {
                    visit.call(tls)?;
                }
                visit.call(&state.empty_waiter)?;
                visit.call(&state.read_context)?;
                visit.call(&state.write_context)
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        let cleared = self.state.try_with_mut(|state| {
            (
                state.loop_.take(),
                state.protocol.take(),
                std::mem::replace(&mut state.kind, ProtocolKind::Plain),
                state.empty_waiter.take(),
                state.read_context.take(),
                state.write_context.take(),
            )
        });
        drop(cleared);
    }
}
