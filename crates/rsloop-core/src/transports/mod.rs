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

pub(crate) use stream::Stream;
pub(crate) use write_buffer::Piece;

use pyo3::prelude::*;

/// Which of our classes a transport is an instance of, for the loop to run it without asking.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Stream,
}

impl Kind {
    /// Lets `transport`, an instance of this class, take what has come.
    ///
    /// The error, if any, is one that ends the loop; others end the connection.
    #[inline]
    pub(crate) fn run_readable(self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        match self {
            Self::Stream => read::run_readable(transport),
        }
    }

    /// Lets `transport`, an instance of this class, send what waits.
    #[inline]
    pub(crate) fn run_writable(self, transport: &Bound<'_, PyAny>) -> PyResult<()> {
        match self {
            Self::Stream => write::run_writable(transport),
        }
    }
}

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
