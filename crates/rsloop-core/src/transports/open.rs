//! A new stream transport: what CPython's `_SelectorSocketTransport.__init__` does.

use std::os::fd::RawFd;

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyDict};
use rsloop_reactor::socket;

use super::attributes::set_protocol;
use super::sock::Sock;
use super::stream::{Stream, fill};
use crate::error::os_error;
use crate::loop_::LoopBase;

/// Above so many bytes the protocol is paused, and resumed from a quarter of it on.
const HIGH_WATER_BYTES: usize = 64 * 1024;

/// asyncio's functions, found once.
struct Asyncio {
    /// `trsock.TransportSocket`
    transport_socket: Py<PyAny>,
    /// `futures._set_result_unless_cancelled`
    set_result: Py<PyAny>,
    /// `base_events._set_nodelay`
    set_nodelay: Py<PyAny>,
    low_water: Py<PyAny>,
    high_water: Py<PyAny>,
}

impl Asyncio {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();
        ASYNCIO.get_or_try_init(py, || {
            let find = |module: &str, name: &str| {
                let found = py.import(module)?.getattr(name)?;
                Ok::<_, PyErr>(found.unbind())
            };
            let number = |bytes: usize| bytes.into_pyobject(py).map(|it| it.into_any().unbind());
            Ok(Self {
                transport_socket: find("asyncio.trsock", "TransportSocket")?,
                set_result: find("asyncio.futures", "_set_result_unless_cancelled")?,
                set_nodelay: find("asyncio.base_events", "_set_nodelay")?,
                low_water: number(HIGH_WATER_BYTES / 4)?,
                high_water: number(HIGH_WATER_BYTES)?,
            })
        })
    }
}

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
    let asyncio = Asyncio::get(py)?;
    let number: RawFd = sock.call_method0(intern!(py, "fileno"))?.extract()?;
    let extra = extra.unwrap_or_else(|| PyDict::new(py));
    describe(asyncio, sock, &extra)?;
    let stream = Stream::new(r#loop.clone().unbind(), Sock::new(sock)?, number);
    set_protocol(&stream, protocol)?;
    stream.state.with(py, |state| {
        state.high_water_bytes = HIGH_WATER_BYTES;
        state.protocol_connected = true;
        state.context = context.as_ref().map(|context| context.clone().unbind());
        state.server = server.as_ref().map(|server| server.clone().unbind());
    });
    fill(transport, stream)?;
    transport.setattr(intern!(py, "_extra"), extra)?;
    transport.setattr(intern!(py, "_high_water"), &asyncio.high_water)?;
    transport.setattr(intern!(py, "_low_water"), &asyncio.low_water)?;
    if let Some(server) = server {
        if cfg!(Py_3_13) {
            server.call_method1(intern!(py, "_attach"), (transport,))?;
        } else {
            server.call_method0(intern!(py, "_attach"))?;
        }
    }
    r#loop.get().remember_transport(transport, number)?;
    set_nodelay(asyncio, sock)?;

    let call_soon = r#loop.getattr(intern!(py, "call_soon"))?;
    let keywords = match context {
        Some(context) => Some([(intern!(py, "context"), context)].into_py_dict(py)?),
        None => None,
    };
    let keywords = keywords.as_ref();
    let made = protocol.getattr(intern!(py, "connection_made"))?;
    call_soon.call((made, transport), keywords)?;
    // Nothing is read before connection_made() has been called.
    let begin = transport.getattr(intern!(py, "_add_reader"))?;
    call_soon.call((begin,), keywords)?;
    if let Some(waiter) = waiter {
        call_soon.call((&asyncio.set_result, waiter, py.None()), keywords)?;
    }
    Ok(())
}

/// Fills in what `get_extra_info` says.
fn describe(asyncio: &Asyncio, sock: &Bound<'_, PyAny>, extra: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = sock.py();
    let public = asyncio.transport_socket.bind(py).call1((sock,))?;
    extra.set_item(intern!(py, "socket"), public)?;
    let or_none = |address: PyResult<Bound<'_, PyAny>>| match address {
        Err(error) if error.is_instance_of::<PyOSError>(py) => Ok(py.None()),
        address => address.map(Bound::unbind),
    };
    let name = or_none(sock.call_method0(intern!(py, "getsockname")))?;
    extra.set_item(intern!(py, "sockname"), name)?;
    if !extra.contains(intern!(py, "peername"))? {
        let name = or_none(sock.call_method0(intern!(py, "getpeername")))?;
        extra.set_item(intern!(py, "peername"), name)?;
    }
    Ok(())
}

/// Lets small writes go out at once, where the socket is one of TCP.
fn set_nodelay(asyncio: &Asyncio, sock: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = sock.py();
    match Sock::new(sock)? {
        Sock::Known(known) if socket::is_tcp(known.family(), known.kind(), known.protocol()) => {
            socket::set_nodelay(known.fd()).map_err(|error| os_error(py, error))
        }
        Sock::Known(_) => Ok(()),
        Sock::Other(sock) => asyncio.set_nodelay.call1(py, (sock,)).map(drop),
    }
}
