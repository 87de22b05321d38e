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
//! | `stream` | connections |
//! | `datagram` | sockets of datagrams |
//! | `pipe` | pipes and terminals |
//! | `accept` | connections out of a listening socket |
//! | `accepted` | a connection that waits for its transport |
//! | `clients` | the open connections of a server |
//! | `connect` | the connecting of a bare socket |
//! | `address` | Python's address tuples and the kernel's addresses |
//! | `sock` | the socket below a transport |
//! | `own_socket` | sockets that Python has no object for yet |
//! | `watch` | what the loop watches for a transport over a socket |
//! | `data` | what they take as data |
//! | `write_buffer` | what the kernel has refused so far |
//! | `fields` | how a state's fields become attributes |
//! | `failure` | what an error ends |

mod accept;
mod accepted;
mod address;
mod clients;
mod connect;
mod data;
mod datagram;
mod failure;
mod fields;
mod own_socket;
mod pipe;
mod sock;
mod stream;
mod watch;
mod write_buffer;

pub(crate) use stream::{Stream, intake};

use pyo3::prelude::*;

/// Adds the classes and functions to `module`.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    stream::add_to(module)?;
    datagram::add_to(module)?;
    pipe::add_to(module)?;
    module.add_class::<clients::Clients>()?;
    module.add_function(wrap_pyfunction!(accept::accept, module)?)?;
    module.add_function(wrap_pyfunction!(accept::accept_streams, module)?)?;
    module.add_function(wrap_pyfunction!(connect::connect, module)?)
}
