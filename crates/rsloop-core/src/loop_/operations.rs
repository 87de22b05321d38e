//! `sock_recv` and its kin, below the coroutines of `_sock_methods.py`: the system call at once,
//! and again when the socket is ready.

use std::io;
use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyBytes, PyInt, PyTuple};
use rsloop_reactor::{Interest, socket};

use super::run::is_fatal_to_loop;
use super::state::{LoopBase, READ_BUFFER_BYTES};
use super::watch::descriptor;
use crate::error::{is_transient, is_transient_exception, os_error};
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::gil_cell::GilCell;
use crate::py::handle::{Call, Handle};
use crate::py::socket_object::SocketObject;
use crate::py::{buffer, bytes};

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"_check_sock",
            function: fastcall!(LoopBase, "_check_sock", 1, check_sock),
            doc: c"_check_sock($self, sock, /)\n--\n\n\
                Refuse a TLS socket, and in debug mode one that blocks.",
        },
        Method {
            name: c"_receive",
            function: fastcall!(LoopBase, "_receive", 2, receive),
            doc: c"_receive($self, sock, n, /)\n--\n\n\
                Return what sock.recv(n) does, or None where that would block.",
        },
        Method {
            name: c"_receive_into",
            function: fastcall!(LoopBase, "_receive_into", 2, receive_into),
            doc: c"_receive_into($self, sock, buf, /)\n--\n\n\
                Return what sock.recv_into(buf) does, or None where that would block.",
        },
        Method {
            name: c"_send",
            function: fastcall!(LoopBase, "_send", 2, send),
            doc: c"_send($self, sock, data, /)\n--\n\n\
                Return what sock.send(data) does, or None where that would block.",
        },
        Method {
            name: c"_when_readable",
            function: fastcall!(LoopBase, "_when_readable", 2.., when_readable),
            doc: c"_when_readable($self, sock, attempt, /, *args)\n--\n\n\
                Return a future of attempt(*args), called whenever sock can be read.\n\n\
                The attempt would block as long as it returns None or raises BlockingIOError.",
        },
        Method {
            name: c"_when_writable",
            function: fastcall!(LoopBase, "_when_writable", 2.., when_writable),
            doc: c"_when_writable($self, sock, attempt, /, *args)\n--\n\n\
                As _when_readable, whenever sock can be written.",
        },
    ]
}

fn check_sock(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<()> {
    let sock = &*args.leading(0);
    if this.debug.get() || !SocketObject::is_plain(sock)? {
        slf.call_method1(intern!(slf.py(), "_inspect_sock"), (sock,))?;
    }
    Ok(())
}

fn receive(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let (sock, count) = (&*args.leading(0), &*args.leading(1));
    let most = count
        .cast_exact::<PyInt>()
        .ok()
        .and_then(|count| count.extract::<usize>().ok())
        .filter(|most| (1..=READ_BUFFER_BYTES).contains(most));
    let (Some(known), Some(most)) = (SocketObject::of_plain(sock)?, most) else {
        return or_none(py, sock.call_method1(intern!(py, "recv"), (count,)));
    };
    let received = this.with_read_buffer(py, |space| {
        let count = socket::receive_now(known.fd(), &mut space[..most])?;
        Ok(bytes::new(py, &space[..count]))
    });
    match received {
        Ok(data) => Ok(data?.into_any().unbind()),
        Err(error) => not_yet(py, Err(error)),
    }
}

fn receive_into(slf: &Bound<'_, PyAny>, _: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let (sock, space) = (&*args.leading(0), &*args.leading(1));
    if let Some(known) = SocketObject::of_plain(sock)? {
        let received = buffer::fill(space, |space| {
            (!space.is_empty()).then(|| socket::receive_now(known.fd(), space))
        });
        if let Ok(Some(received)) = received {
            return not_yet(py, number(py, received));
        }
    }
    or_none(py, sock.call_method1(intern!(py, "recv_into"), (space,)))
}

fn send(slf: &Bound<'_, PyAny>, _: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let (sock, data) = (&*args.leading(0), &*args.leading(1));
    match (SocketObject::of_plain(sock)?, data.cast_exact::<PyBytes>()) {
        (Some(known), Ok(bytes)) => {
            let sent = socket::send_now(known.fd(), bytes.as_bytes());
            not_yet(py, number(py, sent))
        }
        _ => or_none(py, sock.call_method1(intern!(py, "send"), (data,))),
    }
}

fn number(py: Python<'_>, outcome: io::Result<usize>) -> io::Result<Py<PyAny>> {
    let Ok(number) = outcome?.into_pyobject(py);
    Ok(number.into_any().unbind())
}

/// What a system call has brought; `None` for an error that says to try again.
fn not_yet(py: Python<'_>, outcome: io::Result<Py<PyAny>>) -> PyResult<Py<PyAny>> {
    match outcome {
        Ok(value) => Ok(value),
        Err(error) if is_transient(&error) => Ok(py.None()),
        Err(error) => Err(os_error(py, error)),
    }
}

/// The same for a method of the socket.
fn or_none(py: Python<'_>, outcome: PyResult<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
    match outcome {
        Ok(value) => Ok(value.unbind()),
        Err(error) if is_transient_exception(py, &error) => Ok(py.None()),
        Err(error) => Err(error),
    }
}

fn when_readable(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    this.when_ready(slf, args, Interest::READABLE)
}

fn when_writable(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    this.when_ready(slf, args, Interest::WRITABLE)
}

impl LoopBase {
    fn when_ready(
        &self,
        slf: &Bound<'_, PyAny>,
        args: Args<'_, '_>,
        interest: Interest,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let sock = args.leading(0);
        let number = sock.call_method0(intern!(py, "fileno"))?;
        slf.call_method1(intern!(py, "_ensure_fd_no_transport"), (&number,))?;
        let fd = descriptor(&number)?;
        let future = slf.call_method0(intern!(py, "create_future"))?;
        let operation = Operation {
            loop_: slf.clone().cast_into::<Self>()?.unbind(),
            fd,
            interest,
            state: GilCell::new(Some(Waiting {
                future: future.clone().unbind(),
                attempt: args.leading(1).to_owned().unbind(),
                arguments: args.tail_tuple(2)?.unbind(),
                handle: None,
            })),
        };
        let operation = Bound::new(py, operation)?;
        let call = Call {
            callback: operation.as_ptr(),
            arguments: &[],
        };
        let handle = Handle::new(py, &call, None)?;
        self.watch_handle(py, fd, None, interest, &handle)?;
        operation.get().state.with(py, |state| {
            if let Some(waiting) = state {
                waiting.handle = Some(handle);
            }
        });
        future.call_method1(intern!(py, "add_done_callback"), (operation,))?;
        Ok(future.unbind())
    }
}

/// An attempt that waits for its socket.
///
/// It is the callback of the reader or writer, which has no argument, and of the future, which
/// has: that is how it hears of a cancellation.
#[pyclass(frozen, module = "rsloop_core._core")]
struct Operation {
    loop_: Py<LoopBase>,
    fd: RawFd,
    interest: Interest,
    /// `None` once it is over.
    state: GilCell<Option<Waiting>>,
}

struct Waiting {
    future: Py<PyAny>,
    attempt: Py<PyAny>,
    arguments: Py<PyTuple>,
    handle: Option<Handle>,
}

#[pymethods]
impl Operation {
    #[pyo3(signature = (future=None, /))]
    fn __call__(&self, py: Python<'_>, future: Option<Py<PyAny>>) -> PyResult<()> {
        if future.is_some() {
            return self.end(py).map(drop);
        }
        let next = self.state.with(py, |state| {
            let waiting = state.as_ref()?;
            Some((
                waiting.future.clone_ref(py),
                waiting.attempt.clone_ref(py),
                waiting.arguments.clone_ref(py),
            ))
        });
        let Some((future, attempt, arguments)) = next else {
            return Ok(());
        };
        // Cancelled in this very tick: its callbacks have not run yet, and nothing must be taken.
        if future
            .call_method0(py, intern!(py, "done"))?
            .is_truthy(py)?
        {
            return Ok(());
        }
        match or_none(py, attempt.bind(py).call1(arguments)) {
            Ok(value) if value.is_none(py) => Ok(()),
            Ok(value) => {
                self.end(py)?;
                future.call_method1(py, intern!(py, "set_result"), (value,))?;
                Ok(())
            }
            Err(error) if is_fatal_to_loop(py, &error) => Err(error),
            Err(error) => {
                self.end(py)?;
                let error = error.into_value(py);
                future.call_method1(py, intern!(py, "set_exception"), (error,))?;
                Ok(())
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loop_)?;
        self.state
            .try_with(|state| {
                let Some(waiting) = state else { return Ok(()) };
                visit.call(&waiting.future)?;
                visit.call(&waiting.attempt)?;
                visit.call(&waiting.arguments)?;
                visit.call(waiting.handle.as_ref().map(Handle::as_object))
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        drop(self.state.try_with_mut(Option::take));
    }
}

impl Operation {
    /// Waits no more.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let waiting = self.state.with(py, Option::take);
        match waiting.and_then(|waiting| waiting.handle) {
            Some(handle) => {
                let loop_ = self.loop_.get();
                loop_.take_interest_of(handle.as_object(), py, self.fd, self.interest)
            }
            None => Ok(()),
        }
    }
}
