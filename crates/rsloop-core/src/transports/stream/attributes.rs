//! The attributes of a stream transport that inherited code reads and sets.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::extra::Extra;
use super::intake;
use super::state::{ProtocolKind, State, Stream};
use crate::py::attribute::Attribute;
use crate::transports::fields::{fixed, object, value};
use crate::transports::sock::Sock;

pub(super) fn attributes() -> Vec<Attribute<Stream>> {
    vec![
        value!(c"_closing", watch.closing),
        value!(c"_conn_lost", conn_lost),
        value!(c"_eof", eof),
        value!(c"_paused", watch.paused),
        value!(c"_high_water_bytes", high_water_bytes),
        value!(c"_protocol_connected", protocol_connected),
        value!(c"_protocol_paused", protocol_paused),
        value!(c"_sock_fd", watch.number),
        object!(c"_context", context),
        object!(c"_empty_waiter", empty_waiter),
        object!(c"_loop", watch.loop_),
        object!(c"_server", server),
        Attribute {
            set: set_protocol,
            ..object!(c"_protocol", protocol)
        },
        Attribute {
            name: c"_sock",
            get: |stream, py| match stream {
                Ok(stream) => {
                    let sock = stream.socket_object(py)?;
                    Ok(sock.unwrap_or_else(|| py.None()))
                }
                // The inherited finalizer asks, whatever has become of __init__().
                Err(_) => Ok(py.None()),
            },
            set: |stream, value| {
                let new = if value.is_none() {
                    None
                } else {
                    Some(Sock::new(value)?)
                };
                replace(stream, value.py(), |state| {
                    std::mem::replace(&mut state.sock, new)
                })
            },
        },
        Attribute {
            name: c"_extra",
            get: |stream, py| stream?.extra(py),
            set: |stream, value| {
                let extra = Extra::Made(value.clone().unbind());
                replace(stream, value.py(), |state| {
                    std::mem::replace(&mut state.extra, extra)
                })
            },
        },
        // Rust calls neither; set in each instance they would be reference cycles.
        fixed!(c"_write_ready", |_, py| Ok(py.None())),
        fixed!(c"_read_ready_cb", |_, py| Ok(py.None())),
    ]
}

/// Makes `protocol` the stream's, whatever it is: what cannot be called is refused when it is.
pub(super) fn set_protocol(stream: &Stream, protocol: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = protocol.py();
    let kind = kind_of(stream, protocol)?;
    let new = Some(protocol.clone().unbind());
    replace(stream, py, |state| {
        let kind = std::mem::replace(&mut state.kind, kind);
        (kind, std::mem::replace(&mut state.protocol, new))
    })
}

/// How `protocol` gets what is read.
fn kind_of(stream: &Stream, protocol: &Bound<'_, PyAny>) -> PyResult<ProtocolKind> {
    static BUFFERED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = protocol.py();
    let buffered = BUFFERED.import(py, "asyncio.protocols", "BufferedProtocol")?;
    if !protocol.is_instance(buffered)? {
        return Ok(ProtocolKind::Plain);
    }
    let paused = stream.state.with(py, |state| state.protocol_paused);
    Ok(match intake::of(protocol, paused)? {
        Some((intake, taker)) => ProtocolKind::Own(intake, taker),
        None => ProtocolKind::Buffered,
    })
}

/// Lets `change` take something out of the state, and drops it when the state is free again.
fn replace<T>(
    stream: &Stream,
    py: Python<'_>,
    change: impl FnOnce(&mut State) -> T,
) -> PyResult<()> {
    let replaced = stream.state.with(py, change);
    drop(replaced);
    Ok(())
}
