//! The hot half of `rsloop_core._datagram_transport.DatagramTransport`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `state` | the state, as Rust and the inherited code see it |
//! | `receive` | from readiness to `datagram_received` |
//! | `send` | from `sendto` to the kernel, and flow control |
//! | `queue` | the datagrams that the kernel has refused so far |
//!
//! Addresses are those of the internet families here. A socket of another family (Unix, netlink) is
//! asked by its Python methods, which know its addresses, and so is a subclass of `socket.socket`,
//! which may wrap what it sends.

mod queue;
mod receive;
mod send;
mod state;

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::loop_::Turns;
use crate::py::slot::InSlot;
use crate::py::{attribute, fastcall};
use crate::transports::watch::{Watch, Watched};
use state::Datagram;

impl Watched for Datagram {
    const TURNS: &'static Turns = &Turns {
        readable: receive::run_readable,
        writable: send::run_writable,
    };

    #[inline]
    fn watch<R>(&self, py: Python<'_>, access: impl FnOnce(&mut Watch) -> R) -> R {
        self.state.with(py, |state| access(&mut state.watch))
    }
}

/// Adds the class and its functions to `module`.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Datagram>()?;
    module.add_function(wrap_pyfunction!(state::open_datagram, module)?)?;
    module.add_function(wrap_pyfunction!(attach_datagram_methods, module)?)
}

/// Give a transport class, whose instances keep a Datagram in the slot _datagram, its hot methods.
#[pyfunction]
fn attach_datagram_methods(class: &Bound<'_, PyType>) -> PyResult<()> {
    Datagram::slot().adopt(class)?;
    fastcall::attach(class, send::methods())?;
    fastcall::attach(class, receive::methods())?;
    attribute::attach(class, state::attributes())
}
