//! A new stream transport: what CPython's `_SelectorSocketTransport.__init__` does.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use rsloop_reactor::socket;

use super::attributes::set_protocol;
use super::extra::Extra;
use super::soon::{call_soon, context_for_later};
use super::state::{Opening, Stream};
use crate::error::os_error;
use crate::loop_::{LoopBase, report_call};
use crate::py::context;
use crate::py::slot::InSlot;
use crate::transports::own_socket::Kind;
use crate::transports::sock::Sock;
use crate::transports::watch::Watched;

/// Make a transport of the connected socket sock, and let the protocol know of it soon.
///
/// The arguments are those of the transport class.
#[pyfunction]
#[pyo3(signature = (transport, r#loop, sock, protocol, waiter=None, extra=None, server=None, context=None))]
#[expect(clippy::too_many_arguments, reason = "they are asyncio's")]
pub(super) fn open_stream<'py>(
    transport: &Bound<'py, PyAny>,
    r#loop: &Bound<'py, LoopBase>,
    sock: &Bound<'py, PyAny>,
    protocol: &Bound<'py, PyAny>,
    waiter: Option<Bound<'py, PyAny>>,
    extra: Option<Bound<'py, PyDict>>,
    server: Option<Bound<'py, PyAny>>,
    context: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = transport.py();
    let number: RawFd = sock.call_method0(intern!(py, "fileno"))?.extract()?;
    let extra = Extra::of_object(sock, extra)?;
    let stream = Stream::new(r#loop.clone().unbind(), Sock::new(sock)?, number, extra);
    open(
        transport,
        stream,
        protocol,
        server.as_ref(),
        context.as_ref(),
    )?;
    if let Some(waiter) = waiter {
        static SET_RESULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let set_result =
            SET_RESULT.import(py, "asyncio.futures", "_set_result_unless_cancelled")?;
        call_soon(r#loop, (set_result, waiter, py.None()), context.as_ref())?;
    }
    Ok(())
}

/// Gives `transport` its state, and `protocol` the transport soon.
pub(in crate::transports) fn open(
    transport: &Bound<'_, PyAny>,
    stream: Stream,
    protocol: &Bound<'_, PyAny>,
    server: Option<&Bound<'_, PyAny>>,
    context: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = transport.py();
    set_protocol(&stream, protocol)?;
    let opened = stream.state.with(py, |state| {
        state.context = context.map(|context| context.clone().unbind());
        state.server = server.map(|server| server.clone().unbind());
        let loop_ = state.watch.loop_.as_ref();
        loop_.map(|loop_| (loop_.clone_ref(py), state.watch.number))
    });
    let Some((loop_, number)) = opened else {
        return Ok(());
    };
    let stream = Bound::new(py, stream)?;
    Stream::slot().fill(transport, stream.clone())?;
    if let Some(server) = server {
        if cfg!(Py_3_13) {
            server.call_method1(intern!(py, "_attach"), (transport,))?;
        } else {
            server.call_method0(intern!(py, "_attach"))?;
        }
    }
    loop_.get().remember_transport(transport, number)?;
    set_nodelay(py, stream.get())?;
    stream.get().learn_names(py)?;
    announce(transport, stream.get(), loop_.bind(py), protocol, context)
}

/// Queues the call of `connection_made`, and after it the beginning of reading.
fn announce(
    transport: &Bound<'_, PyAny>,
    stream: &Stream,
    loop_: &Bound<'_, LoopBase>,
    protocol: &Bound<'_, PyAny>,
    context: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let py = transport.py();
    // Here, as in asyncio, so that a factory which has returned no protocol is told.
    let made = protocol.getattr(intern!(py, "connection_made"))?;
    if loop_.get().is_in_debug_mode() {
        call_soon(loop_, (made, transport), context)?;
        let begin = transport.getattr(intern!(py, "_add_reader"))?;
        return call_soon(loop_, (begin,), context);
    }
    loop_.get().check_closed()?;
    let opening = Opening {
        made: made.unbind(),
        context: context_for_later(py, context)?,
        read_context: context_for_later(py, context)?,
    };
    stream.state.with(py, |state| state.opening = Some(opening));
    loop_.get().queue_turn(run_opened, transport);
    Ok(())
}

/// The turn in which the protocol gets its transport. Nothing is read before it has.
fn run_opened(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    let stream = Stream::of_transport(transport)?;
    let taken = stream.state.with(py, |state| {
        let opening = state.opening.take()?;
        Some((opening, state.watch.loop_.as_ref()?.clone_ref(py)))
    });
    let Some((opening, loop_)) = taken else {
        return Ok(());
    };
    let made = opening.made.bind(py);
    let context = opening.context.bind_borrowed(py);
    let told = context::run_in(context, || made.call1((transport,))).map(drop);
    let told =
        told.or_else(|error| report_call(loop_.bind(py), made, Some(transport), context, error));
    // Whatever the protocol has said to that.
    told.and(stream.begin_reading(transport, opening.read_context))
}

/// Lets small writes go out at once, where the socket is one of TCP.
fn set_nodelay(py: Python<'_>, stream: &Stream) -> PyResult<()> {
    let tcp_or_other = stream.state.with(py, |state| match &state.sock {
        Some(Sock::Known(known)) => {
            Ok(socket::is_tcp(known.family(), known.kind(), known.protocol()).then(|| known.fd()))
        }
        Some(Sock::Own(own)) => {
            let Kind {
                family,
                kind,
                protocol,
            } = own.kind;
            Ok(socket::is_tcp(family, kind, protocol).then(|| own.fd()))
        }
        Some(Sock::Other(sock)) => Err(sock.clone_ref(py)),
        None => Ok(None),
    });
    match tcp_or_other {
        Ok(Some(fd)) => socket::set_nodelay(fd).map_err(|error| os_error(py, error)),
        Ok(None) => Ok(()),
        Err(sock) => {
            static SET_NODELAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let set_nodelay = SET_NODELAY.import(py, "asyncio.base_events", "_set_nodelay")?;
            set_nodelay.call1((sock,)).map(drop)
        }
    }
}
