//! From readiness to the protocol.
//!
//! How a byte gets from the socket to `data_received`: the poller's event names the transport
//! (`loop_/watch.rs`), which is queued as readable and run in its turn ([`run_readable`]): one
//! `recv` into the loop's read buffer, one `bytes` object, one call.

use std::io;
use std::os::fd::RawFd;

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use rsloop_reactor::socket;

use super::close::end_of_stream;
use super::intake::Intake;
use super::state::{ProtocolKind, Stream};
use crate::error::{is_transient, os_error};
use crate::loop_::LoopBase;
use crate::py::fastcall::{Method, fastcall};
use crate::py::slot::InSlot;
use crate::py::{buffer, bytes, context};
use crate::transports::failure::{fatal, or_fatal};
use crate::transports::watch::add_reader;

const READ_FAILED: &str = "Fatal read error on socket transport";

pub(super) fn methods() -> Vec<Method> {
    vec![Method {
        name: c"_add_reader",
        function: fastcall!(Stream, "_add_reader", 0.., add_reader),
        doc: c"_add_reader($self, fd, callback, /, *args)\n--\n\n\
            Begin to read, unless paused or closing. Inherited code calls this.",
    }]
}

/// What an event for reading needs, taken out of the state at once.
struct Reading {
    fd: RawFd,
    loop_: Py<LoopBase>,
    protocol: Py<PyAny>,
    kind: ProtocolKind,
    context: Py<PyAny>,
}

/// Reads once, and tells the protocol.
///
/// The error, if any, is one that ends the loop; others end the connection.
pub(super) fn run_readable(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    let stream = Stream::of_transport(transport)?;
    let turn = stream.state.with(py, |state| {
        // It may have been closed or paused since the event was fetched.
        if state.conn_lost > 0 || state.watch.closing || state.watch.paused {
            return None;
        }
        Some(Reading {
            fd: state.fd(),
            loop_: state.watch.loop_.as_ref()?.clone_ref(py),
            protocol: state.protocol.as_ref()?.clone_ref(py),
            kind: state.kind.clone_ref(py),
            context: state.watch.read_context.as_ref()?.clone_ref(py),
        })
    });
    let Some(turn) = turn else { return Ok(()) };
    context::run_in(turn.context.bind_borrowed(py), || match &turn.kind {
        ProtocolKind::Plain => read_and_pass(transport, &turn),
        ProtocolKind::Buffered => read_into_protocol(transport, &turn),
        ProtocolKind::Own(intake, taker) => take_in(transport, &turn, intake, taker.bind(py)),
    })
}

fn read_and_pass(transport: &Bound<'_, PyAny>, turn: &Reading) -> PyResult<()> {
    let py = transport.py();
    let received = turn.loop_.get().with_read_buffer(py, |space| {
        let count = socket::receive(turn.fd, space)?;
        Ok(bytes::new(py, &space[..count]))
    });
    let data = match received {
        Ok(Ok(data)) => data,
        Ok(Err(error)) => return fatal(transport, error, READ_FAILED),
        Err(error) => return read_failed(transport, error),
    };
    if data.as_bytes().is_empty() {
        return end_of_stream(transport);
    }
    let result = turn
        .protocol
        .bind(py)
        .call_method1(intern!(py, "data_received"), (data,));
    or_fatal(
        transport,
        result,
        "Fatal error: protocol.data_received() call failed.",
    )
}

fn read_into_protocol(transport: &Bound<'_, PyAny>, turn: &Reading) -> PyResult<()> {
    let py = transport.py();
    let protocol = turn.protocol.bind(py);
    let space = protocol
        .call_method1(intern!(py, "get_buffer"), (-1,))
        .and_then(|space| match space.len()? {
            0 => Err(PyRuntimeError::new_err(
                "get_buffer() returned an empty buffer",
            )),
            _ => Ok(space),
        });
    let space = match space {
        Ok(space) => space,
        Err(error) => {
            return fatal(
                transport,
                error,
                "Fatal error: protocol.get_buffer() call failed.",
            );
        }
    };
    let received = buffer::fill(&space, |space| socket::receive(turn.fd, space));
    let count = match received {
        Ok(Ok(count)) => count,
        Ok(Err(error)) => return read_failed(transport, error),
        // asyncio finds out in recv_into(), whose words these are.
        Err(_) => {
            let error = PyTypeError::new_err(format!(
                "recv_into() argument 1 must be read-write bytes-like object, not {}",
                space.get_type().name()?
            ));
            return fatal(transport, error, READ_FAILED);
        }
    };
    drop(space);
    if count == 0 {
        return end_of_stream(transport);
    }
    let result = protocol.call_method1(intern!(py, "buffer_updated"), (count,));
    or_fatal(
        transport,
        result,
        "Fatal error: protocol.buffer_updated() call failed.",
    )
}

fn take_in(
    transport: &Bound<'_, PyAny>,
    turn: &Reading,
    intake: &Intake,
    taker: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let result = match (intake.receive)(taker, turn.loop_.get(), turn.fd) {
        Ok(Ok(0)) => return end_of_stream(transport),
        Ok(Ok(_)) => (intake.arrived)(taker),
        Ok(Err(error)) => return read_failed(transport, error),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok(()),
        // To asyncio it is a BufferedProtocol.
        Err(error) => fatal(
            transport,
            error,
            "Fatal error: protocol.buffer_updated() call failed.",
        ),
    }
}

#[cold]
fn read_failed(transport: &Bound<'_, PyAny>, error: io::Error) -> PyResult<()> {
    if is_transient(&error) {
        return Ok(());
    }
    let error = os_error(transport.py(), error);
    fatal(transport, error, READ_FAILED)
}
