//! A connection between `accept` and its transport.
//!
//! Where asyncio has a task for this moment, which makes the protocol, then the transport, and
//! waits until `connection_made` has been called, the loop has an entry in its queue: everything
//! is called in the same turn and the same contexts as there.

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rsloop_reactor::name::Name;

use super::own_socket::OwnSocket;
use super::sock::Sock;
use super::stream::{self, Extra, Stream};
use crate::loop_::{LoopBase, is_fatal_to_loop};
use crate::py::context;
use crate::py::gil_cell::GilCell;
use crate::py::slot::InSlot;

/// A connection that waits for its turn.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(super) struct Accepted {
    connection: GilCell<Option<Connection>>,
}

/// What a transport is made of.
pub(super) struct Connection {
    pub(super) loop_: Py<LoopBase>,
    pub(super) factory: Py<PyAny>,
    pub(super) server: Py<PyAny>,
    pub(super) sock: OwnSocket,
    pub(super) peer: Name,
    /// Where the factory is called.
    pub(super) context: Py<PyAny>,
    /// Whether everything else is called there as well (3.15).
    pub(super) context_is_given: bool,
}

impl Connection {
    /// Gives the connection its turn, after what is queued now.
    pub(super) fn queue(self, py: Python<'_>) -> PyResult<()> {
        let loop_ = self.loop_.clone_ref(py);
        let connection = GilCell::new(Some(self));
        let accepted = Bound::new(py, Accepted { connection })?;
        loop_.get().queue_turn(serve, accepted.as_any());
        Ok(())
    }

    fn open(self, py: Python<'_>) -> PyResult<()> {
        let protocol = self.factory.call0(py)?;
        let loop_ = self.loop_.bind(py);
        let number = self.sock.fd();
        loop_.get().check_fd_is_free(py, number)?;
        let extra = Extra::of_accepted(self.sock.kind, number, self.peer);
        let given = self.context_is_given.then(|| self.context.bind(py));
        let server = self.server.bind(py);
        let stream = Stream::new(
            self.loop_.clone_ref(py),
            Sock::Own(self.sock),
            number,
            extra,
        );
        let transport = Stream::slot().new_instance(py)?;
        let server = (!server.is_none()).then_some(server);
        stream::open(&transport, stream, protocol.bind(py), server, given)
    }
}

/// Makes protocol and transport. As in asyncio, outside of debug mode nobody is told when the
/// factory fails: the connection is closed.
fn serve(accepted: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = accepted.py();
    let accepted = accepted.cast::<Accepted>()?;
    let Some(connection) = accepted.get().connection.with(py, Option::take) else {
        return Ok(());
    };
    let context = connection.context.clone_ref(py);
    match context::run_in(context.bind_borrowed(py), || connection.open(py)) {
        Err(error) if is_fatal_to_loop(py, &error) => Err(error),
        _ => Ok(()),
    }
}

#[pymethods]
impl Accepted {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.connection
            .try_with(|connection| {
                connection.iter().try_for_each(|connection| {
                    visit.call(&connection.loop_)?;
                    visit.call(&connection.factory)?;
                    visit.call(&connection.server)?;
                    visit.call(&connection.context)
                })
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        drop(self.connection.try_with_mut(Option::take));
    }
}
