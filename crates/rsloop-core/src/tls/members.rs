//! The state of a TLS connection, as the inherited code sets it and asks for it.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyBytes;

use super::session::Session;
use super::state::{Limits, Lower, Phase, State, Tls};
use crate::py::gil_cell::GilCell;
use crate::py::piece::Piece;
use crate::py::slot::InSlot;
use crate::transports::Stream;

#[pymethods]
impl Tls {
    #[new]
    fn new() -> Self {
        Self {
            state: GilCell::new(State::default()),
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
        let lower = if Stream::slot().is_in(&transport) {
            Lower::Stream(transport.unbind())
        } else {
            Lower::Foreign(transport.unbind())
        };
        let replaced = self.state.with(py, |state| state.lower.replace(lower));
        drop(replaced);
    }

    /// Set the protocol that gets the data, whatever it is, and whether it is a BufferedProtocol.
    fn set_app_protocol(&self, py: Python<'_>, protocol: Py<PyAny>, buffered: bool) {
        let replaced = self.state.with(py, |state| {
            state.app_buffered = buffered;
            state.app_protocol.replace(protocol)
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
