//! Transports: the hot halves of `rsloop_core._stream_transport.StreamTransport`, of
//! `rsloop_core._datagram_transport.DatagramTransport` and of `rsloop_core._pipe_transports`.
//!
//! The cold halves are CPython's own `_SelectorSocketTransport`, `_SelectorDatagramTransport` and
//! `_UnixReadPipeTransport` and `_UnixWritePipeTransport`, from which the Python classes derive:
//! half-close, sendfile, repr, the warning for an unclosed transport; for datagrams and pipes also
//! set-up and closing. They keep their state here, behind attributes.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `address` | Python's address tuples and the kernel's addresses |
//! | `accept` | connections out of a listening socket |
//! | `sock` | the socket below a transport |
//! | `accepted` | a connection that waits for its transport |
//! | `clients` | the open connections of a server |
//! | `own_socket` | sockets that Python has no object for yet |
//! | `stream` | the state of a stream transport |
//! | `attributes` | that state, as the inherited code sees it |
//! | `extra` | what `get_extra_info` says |
//! | `info` | that, and the socket's object, made for a stream when somebody asks |
//! | `connect` | the connecting of a bare socket |
//! | `open` | from a connected socket to `connection_made` |
//! | `intake` | protocols of ours that receive by themselves |
//! | `read` | from readiness to `data_received` |
//! | `write` | from `write` to the kernel, and flow control |
//! | `close` | pausing, and the way to `connection_lost` |
//! | `write_buffer` | what the kernel has refused so far |
//! | `datagram` | the same for datagrams |
//! | `pipe` | the same for pipes and terminals |
//! | `fields` | how a state's fields become attributes |
//! | `failure` | what an error ends |

mod accept;
mod accepted;
mod address;
mod attributes;
mod clients;
mod close;
mod connect;
mod datagram;
mod extra;
mod failure;
mod fields;
mod info;
pub(crate) mod intake;
mod open;
mod own_socket;
mod pipe;
mod read;
mod sock;
mod stream;
mod write;
mod write_buffer;

pub(crate) use stream::Stream;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::loop_::Turns;
use crate::py::slot::InSlot;
use crate::py::{buffer, context};
use failure::{fatal, or_fatal};

/// What the loop lets stream transports do.
static TURNS: Turns = Turns {
    readable: read::run_readable,
    writable: write::run_writable,
};

/// Adds the classes to `module`.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    datagram::add_to(module)?;
    pipe::add_to(module)?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<clients::Clients>()?;
    module.add_function(wrap_pyfunction!(accept::accept, module)?)?;
    module.add_function(wrap_pyfunction!(accept::accept_streams, module)?)?;
    module.add_function(wrap_pyfunction!(connect::connect, module)?)?;
    module.add_function(wrap_pyfunction!(open::open_stream, module)?)?;
    module.add_function(wrap_pyfunction!(attach_stream_methods, module)?)
}

/// Give a transport class, whose instances keep a Stream in the slot _stream, its hot methods.
#[pyfunction]
fn attach_stream_methods(class: &Bound<'_, pyo3::types::PyType>) -> PyResult<()> {
    Stream::slot().adopt(class)?;
    crate::py::fastcall::attach(class, write::methods())?;
    crate::py::fastcall::attach(class, read::methods())?;
    crate::py::fastcall::attach(class, close::methods())?;
    crate::py::attribute::attach(class, attributes::attributes())
}

/// The context for protocol calls that follow from this one: given to the transport (3.15),
/// or a copy of the current one.
fn context_for_io(slf: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    if cfg!(Py_3_15) {
        let given = slf.getattr(intern!(py, "_context"))?;
        if !given.is_none() {
            return Ok(given.unbind());
        }
    }
    context::copy_current(py).map(Bound::unbind)
}

/// Refuses what asyncio's transports do not take as data.
fn check_bytes_like(data: &Bound<'_, PyAny>) -> PyResult<()> {
    if buffer::is_bytes_like(data) {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "data argument must be a bytes-like object, not {}",
        data.get_type().name()?.repr()?
    )))
}
