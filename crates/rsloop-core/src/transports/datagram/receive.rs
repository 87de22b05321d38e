//! From readiness to `datagram_received`.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use rsloop_reactor::datagram;

use super::state::Datagram;
use crate::error::{is_transient, is_transient_exception, os_error};
use crate::loop_::{LoopBase, report_call};
use crate::py::fastcall::{Method, fastcall};
use crate::py::slot::InSlot;
use crate::py::{bytes, context};
use crate::transports::address::{self, Family};
use crate::transports::failure::fatal;
use crate::transports::watch::add_reader;

pub(super) fn methods() -> Vec<Method> {
    vec![Method {
        name: c"_add_reader",
        function: fastcall!(Datagram, "_add_reader", 0.., add_reader),
        doc: c"_add_reader($self, fd, callback, /, *args)\n--\n\n\
            Begin to read, unless paused or closing. Inherited code calls this.",
    }]
}

/// What an event for reading needs, taken out of the state at once.
struct Reading {
    fd: RawFd,
    by_kernel: bool,
    sock: Py<PyAny>,
    loop_: Py<LoopBase>,
    protocol: Py<PyAny>,
    context: Py<PyAny>,
}

/// Takes one datagram, and tells the protocol.
///
/// One in a turn, as in asyncio: what the protocol schedules runs before it gets the next one.
pub(super) fn run_readable(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    run(transport, true)
}

/// The same before the poller has announced anything: there may be none.
fn look_ahead(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    run(transport, false)
}

fn run(transport: &Bound<'_, PyAny>, announced: bool) -> PyResult<()> {
    let py = transport.py();
    let this = Datagram::of_transport(transport)?;
    let turn = this.state.with(py, |state| {
        // It may have been closed or paused since the event was fetched.
        let now = state.look.begin(announced);
        if !now || state.conn_lost > 0 || state.watch.closing || state.watch.paused {
            return None;
        }
        Some(Reading {
            fd: state.fd(),
            by_kernel: state.plain && state.family != Family::Other,
            sock: state.sock.as_ref()?.as_object()?.clone_ref(py),
            loop_: state.watch.loop_.as_ref()?.clone_ref(py),
            protocol: state.protocol.as_ref()?.clone_ref(py),
            context: state.watch.read_context.as_ref()?.clone_ref(py),
        })
    });
    let Some(turn) = turn else { return Ok(()) };
    let context = turn.context.bind_borrowed(py);
    context::run_in(context, || receive_one(transport, this, &turn, announced)).or_else(|raised| {
        let ready = transport.getattr(intern!(py, "_read_ready"))?;
        report_call(turn.loop_.bind(py), &ready, None, context, raised)
    })
}

#[inline]
fn receive_one(
    transport: &Bound<'_, PyAny>,
    this: &Datagram,
    turn: &Reading,
    announced: bool,
) -> PyResult<()> {
    let py = transport.py();
    let received = if turn.by_kernel {
        this.receive(py, turn)
    } else {
        receive_by_socket(transport, turn)
    };
    match received {
        Ok(Some((data, sender))) => {
            let told = turn
                .protocol
                .bind(py)
                .call_method1(intern!(py, "datagram_received"), (data, sender));
            if this.state.with(py, |state| state.look.found(announced)) {
                turn.loop_.get().queue_turn(look_ahead, transport);
            }
            told.map(drop)
        }
        Ok(None) => {
            this.state
                .with(py, |state| state.look.found_nothing(announced));
            Ok(())
        }
        Err(error) if error.is_instance_of::<PyOSError>(py) => this.tell_of_error(py, error),
        Err(error) => fatal(transport, error, "Fatal read error on datagram transport"),
    }
}

/// The data of a datagram, and who sent it.
type Received<'py> = Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

impl Datagram {
    /// Takes a datagram from the kernel; `None` when there is none.
    fn receive<'py>(&self, py: Python<'py>, turn: &Reading) -> PyResult<Received<'py>> {
        let received = turn.loop_.get().with_read_buffer(py, |space| {
            let (count, sender) = datagram::receive_from(turn.fd, space)?;
            Ok((bytes::new(py, &space[..count]), sender))
        });
        match received {
            Ok((data, sender)) => {
                let data = data?.into_any();
                let sender = match sender {
                    Some(sender) => self.sender(py, sender)?,
                    None => py.None().into_bound(py),
                };
                Ok(Some((data, sender)))
            }
            Err(error) if is_transient(&error) => Ok(None),
            Err(error) => Err(os_error(py, error)),
        }
    }

    /// The tuple for `sender`.
    fn sender<'py>(&self, py: Python<'py>, sender: SocketAddr) -> PyResult<Bound<'py, PyAny>> {
        let known = self.state.with(py, |state| {
            let (last, tuple) = state.last_sender.as_ref()?;
            (*last == sender).then(|| tuple.clone_ref(py))
        });
        if let Some(known) = known {
            return Ok(known.into_bound(py));
        }
        let tuple = address::to_python(py, &sender)?.into_any();
        let kept = (sender, tuple.clone().unbind());
        let replaced = self.state.with(py, |state| state.last_sender.replace(kept));
        drop(replaced);
        Ok(tuple)
    }
}

/// Asks the socket for a datagram, as asyncio does.
fn receive_by_socket<'py>(
    transport: &Bound<'py, PyAny>,
    turn: &Reading,
) -> PyResult<Received<'py>> {
    let py = transport.py();
    let room = transport.getattr(intern!(py, "max_size"))?;
    let received = turn
        .sock
        .bind(py)
        .call_method1(intern!(py, "recvfrom"), (room,));
    match received {
        Ok(received) => received.extract().map(Some),
        Err(error) if is_transient_exception(py, &error) => Ok(None),
        Err(error) => Err(error),
    }
}
