//! Transports: the hot half of `rsloop_core._stream_transport.StreamTransport`.
//!
//! The cold half is CPython's own `_SelectorSocketTransport`, from which the Python class
//! derives: set-up, closing, half-close, sendfile, repr, the warning for an unclosed transport.
//! It keeps its state here, through properties.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `stream` | the state, as Rust and the inherited code see it |
//! | `read` | from readiness to `data_received` |
//! | `write` | from `write` to the kernel, and flow control |
//! | `write_buffer` | what the kernel has refused so far |

mod read;
mod stream;
mod write;
mod write_buffer;

pub(crate) use read::run_readable;
pub(crate) use write::run_writable;

use pyo3::prelude::*;

/// Adds the classes to `module`.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<stream::Stream>()?;
    module.add_function(wrap_pyfunction!(stream::open_stream, module)?)?;
    module.add_function(wrap_pyfunction!(attach_stream_methods, module)?)
}

/// Give a transport class, whose instances keep a Stream in the slot _stream, its hot methods.
#[pyfunction]
fn attach_stream_methods(class: &Bound<'_, pyo3::types::PyType>) -> PyResult<()> {
    stream::know_class(class)?;
    crate::py::fastcall::attach(class, write::methods())?;
    crate::py::fastcall::attach(class, read::methods())
}
