//! The hot halves of the two classes of `rsloop_core._pipe_transports`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `reader` | from readiness to `data_received` |
//! | `writer` | from `write` to the kernel, and flow control |
//!
//! What readiness calls is a handle, as in the inherited code, which makes it: so an error of the
//! protocol's is the handle's to report, and leaves the transport open.

mod reader;
mod writer;

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::error::os_error;
use crate::py::slot::InSlot;
use crate::py::{attribute, fastcall};

/// Adds the classes and their functions to `module`.
pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<reader::PipeReader>()?;
    module.add_class::<writer::PipeWriter>()?;
    module.add_function(wrap_pyfunction!(reader::open_pipe_reader, module)?)?;
    module.add_function(wrap_pyfunction!(writer::open_pipe_writer, module)?)?;
    module.add_function(wrap_pyfunction!(attach_pipe_reader_methods, module)?)?;
    module.add_function(wrap_pyfunction!(attach_pipe_writer_methods, module)?)
}

/// Give a transport class, whose instances keep a PipeReader in the slot _reader, its hot methods.
#[pyfunction]
fn attach_pipe_reader_methods(class: &Bound<'_, PyType>) -> PyResult<()> {
    reader::PipeReader::slot().adopt(class)?;
    fastcall::attach(class, reader::methods())?;
    attribute::attach(class, reader::attributes())
}

/// Give a transport class, whose instances keep a PipeWriter in the slot _writer, its hot methods.
#[pyfunction]
fn attach_pipe_writer_methods(class: &Bound<'_, PyType>) -> PyResult<()> {
    writer::PipeWriter::slot().adopt(class)?;
    fastcall::attach(class, writer::methods())?;
    attribute::attach(class, writer::attributes())
}

/// Ends the transport because a system call has failed.
#[cold]
fn fail(slf: &Bound<'_, PyAny>, error: std::io::Error, message: &str) -> PyResult<()> {
    let py = slf.py();
    let error = os_error(py, error).into_value(py);
    slf.call_method1("_fail", (error, message)).map(drop)
}
