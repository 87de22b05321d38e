//! Connections out of a listening socket.

use std::io;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rsloop_reactor::listener;
use rsloop_reactor::name::Name;

use super::accepted::Connection;
use super::address;
use super::own_socket::{self, Kind, OwnSocket};
use crate::error::{is_transient, is_transient_exception, os_error};
use crate::loop_::LoopBase;
use crate::py::context;
use crate::py::socket_object::SocketObject;

/// Accept what waits in listener, most connections at most, each for a protocol of factory.
///
/// A protocol and its transport are made in the turn, and in the context, in which asyncio's task
/// for a connection makes them. Returns False, and does nothing, where only asyncio's task does all
/// that is asked for: in debug mode, with a task factory, for a listener that is not known well.
/// Raises OSError as socket.accept() does.
#[pyfunction]
pub(super) fn accept_streams(
    r#loop: &Bound<'_, LoopBase>,
    listener: &Bound<'_, PyAny>,
    factory: &Bound<'_, PyAny>,
    server: &Bound<'_, PyAny>,
    most: usize,
    context: Option<&Bound<'_, PyAny>>,
) -> PyResult<bool> {
    let py = listener.py();
    if r#loop.get().is_in_debug_mode() || r#loop.get().has_task_factory(py) {
        return Ok(false);
    }
    let Some(known) = known_listener(listener)? else {
        return Ok(false);
    };
    own_socket::prepare(py)?;
    for _ in 0..most {
        let (fd, peer) = match listener::accept(known.fd()) {
            Ok(accepted) => accepted,
            Err(error) if is_transient(&error) => break,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(os_error(py, error)),
        };
        let own = match context {
            Some(context) => context.call_method0(intern!(py, "copy"))?,
            None => context::copy_current(py)?,
        };
        let connection = Connection {
            loop_: r#loop.clone().unbind(),
            factory: factory.clone().unbind(),
            server: server.clone().unbind(),
            sock: OwnSocket::new(fd, kind_of(&known)),
            peer,
            context: own.unbind(),
            context_is_given: context.is_some(),
        };
        connection.queue(py)?;
    }
    Ok(true)
}

/// Return (connection, address) of the connection that has waited longest, or None.
///
/// listener is a listening socket that does not block; nor does the connection. Raises OSError
/// as socket.accept() does, ConnectionAbortedError for a connection that is gone already.
#[pyfunction]
pub(super) fn accept<'py>(listener: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    match known_listener(listener)? {
        Some(known) => accept_from(listener.py(), &known),
        None => accept_by_method(listener),
    }
}

/// A listener whose connections are accepted without asking Python.
fn known_listener(listener: &Bound<'_, PyAny>) -> PyResult<Option<SocketObject>> {
    let known = SocketObject::of_plain(listener)?;
    Ok(known.filter(|known| listener::knows_family(known.family())))
}

fn kind_of(listener: &SocketObject) -> Kind {
    Kind {
        family: listener.family(),
        kind: listener.kind(),
        protocol: listener.protocol(),
    }
}

fn accept_from<'py>(
    py: Python<'py>,
    listener: &SocketObject,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let (fd, peer) = match listener::accept(listener.fd()) {
        Ok(accepted) => accepted,
        Err(error) if is_transient(&error) => return Ok(None),
        Err(error) => return Err(os_error(py, error)),
    };
    let connection = OwnSocket::new(fd, kind_of(listener)).into_object(py)?;
    let address = match peer {
        Name::Inet(address) => address::to_python(py, &address)?.into_any(),
        Name::Unnamed => intern!(py, "").clone().into_any(),
        Name::Path(_) | Name::Other => connection.call_method0(intern!(py, "getpeername"))?,
    };
    PyTuple::new(py, [connection, address]).map(Some)
}

/// The same through Python, for subclasses and for families that are rarely listened to.
fn accept_by_method<'py>(listener: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = listener.py();
    listener.call_method0(intern!(py, "fileno"))?; // what has none is refused for that, as by asyncio
    match listener.call_method0(intern!(py, "accept")) {
        Ok(accepted) => {
            let accepted = accepted.cast_into::<PyTuple>()?;
            let connection = accepted.get_item(0)?;
            connection.call_method1(intern!(py, "setblocking"), (false,))?;
            Ok(Some(accepted))
        }
        Err(error) if is_transient_exception(py, &error) => Ok(None),
        Err(error) => Err(error),
    }
}
