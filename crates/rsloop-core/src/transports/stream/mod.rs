//! The hot half of `rsloop_core._stream_transport.StreamTransport`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `state` | the state |
//! | `attributes` | the same, as the inherited code sees it |
//! | `extra` | what `get_extra_info` says |
//! | `info` | that, and the socket's object, made when somebody asks |
//! | `open` | from a connected socket to `connection_made` |
//! | `intake` | protocols of ours that receive by themselves |
//! | `read` | from readiness to `data_received` |
//! | `write` | from `write` to the kernel, and flow control |
//! | `close` | pausing, and the way to `connection_lost` |
//! | `soon` | what the loop is to do soon, and in which context |

mod attributes;
mod close;
mod extra;
mod info;
pub(crate) mod intake;
mod open;
mod read;
mod soon;
mod state;
mod write;

pub(super) use extra::Extra;
pub(super) use open::open;
pub(crate) use state::Stream;

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::loop_::Turns;
use crate::py::slot::InSlot;
use crate::py::{attribute, fastcall};
use crate::transports::watch::{Watch, Watched};

impl Watched for Stream {
    const TURNS: &'static Turns = &Turns {
        readable: read::run_readable,
        writable: write::run_writable,
    };

    #[inline]
    fn watch<R>(&self, py: Python<'_>, access: impl FnOnce(&mut Watch) -> R) -> R {
        self.state.with(py, |state| access(&mut state.watch))
    }
}

/// Adds the class and its functions to `module`.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Stream>()?;
    module.add_function(wrap_pyfunction!(open::open_stream, module)?)?;
    module.add_function(wrap_pyfunction!(attach_stream_methods, module)?)
}

/// Give a transport class, whose instances keep a Stream in the slot _stream, its hot methods.
#[pyfunction]
fn attach_stream_methods(class: &Bound<'_, PyType>) -> PyResult<()> {
    Stream::slot().adopt(class)?;
    fastcall::attach(class, write::methods())?;
    fastcall::attach(class, read::methods())?;
    fastcall::attach(class, close::methods())?;
    attribute::attach(class, attributes::attributes())
}
