//! A pipe that is written: from `write` to the kernel, and flow control.

use std::os::fd::RawFd;

use pyo3::exceptions::PyAssertionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyBytes;
use rsloop_reactor::{pipe, socket};

use super::fail;
use crate::error::is_transient;
use crate::loop_::LoopBase;
use crate::py::attribute::Attribute;
use crate::py::buffer;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::gil_cell::GilCell;
use crate::py::piece::Piece;
use crate::py::slot::{InSlot, Slot};
use crate::transports::fields::{object, value};
use crate::transports::write_buffer::WriteBuffer;

const WRITE_FAILED: &str = "Fatal write error on pipe transport";

/// Give a transport that writes to a pipe its state, for good.
#[pyfunction]
pub(super) fn open_pipe_writer(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let writer = Bound::new(transport.py(), PipeWriter::new())?;
    PipeWriter::slot().fill(transport, writer)
}

/// What CPython's transport keeps in `_fileno`, `_closing` and so on, for Rust to reach.
///
/// `len()` of it is the number of bytes that wait to be written.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(crate) struct PipeWriter {
    state: GilCell<State>,
}

/// `conn_lost` counts the writes that came too late, and the failed one before them; when there
/// are any, the transport is closing. What waits is written while it is `closing`.
#[derive(Default)]
struct State {
    fd: Option<RawFd>,
    loop_: Option<Py<LoopBase>>,
    closing: bool,
    conn_lost: u32,
    protocol_paused: bool,
    high_water_bytes: usize,
    pending: WriteBuffer,
}

impl InSlot for PipeWriter {
    fn slot() -> &'static Slot<Self> {
        static SLOT: Slot<PipeWriter> = Slot::named("_writer");
        &SLOT
    }
}

pub(super) fn attributes() -> Vec<Attribute<PipeWriter>> {
    vec![
        value!(c"_fileno", fd),
        value!(c"_closing", closing),
        value!(c"_conn_lost", conn_lost),
        value!(c"_high_water_bytes", high_water_bytes),
        value!(c"_protocol_paused", protocol_paused),
        object!(c"_loop", loop_),
    ]
}

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"write",
            function: fastcall!(PipeWriter, "write", 1, write),
            doc: c"write($self, data, /)\n--\n\n\
                Write data, or keep what the kernel does not take now until it does. Never blocks.\n\n\
                data is bytes, a bytearray or a memoryview. Raises AssertionError for anything else,\n\
                BufferError for memory that is not contiguous. After the pipe is closed it only logs.\n\
                Follows asyncio.WriteTransport.write.\n\n\
                Differs: asyncio closes the pipe with that BufferError.",
        },
        Method {
            name: c"_write_ready",
            function: fastcall!(PipeWriter, "_write_ready", 0, write_ready),
            doc: c"_write_ready($self)\n--\n\n\
                Write what waits. The loop calls this when there is room.",
        },
        Method {
            name: c"get_write_buffer_size",
            function: fastcall!(PipeWriter, "get_write_buffer_size", 0, get_write_buffer_size),
            doc: c"get_write_buffer_size($self)\n--\n\n\
                Return the number of bytes that wait to be written.",
        },
        Method {
            name: c"is_closing",
            function: fastcall!(PipeWriter, "is_closing", 0, is_closing),
            doc: c"is_closing($self)\n--\n\nReturn whether the transport is closing or closed.",
        },
    ]
}

fn write(slf: &Bound<'_, PyAny>, this: &PipeWriter, args: Args<'_, '_>) -> PyResult<()> {
    let data = args.leading(0);
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        let keep = || Piece::Shared(Bound::clone(&bytes).unbind());
        this.write_bytes(slf, bytes.as_bytes(), keep)
    } else if buffer::is_bytes_like(&data) {
        buffer::with_bytes(&data, |bytes| {
            this.write_bytes(slf, bytes, || Piece::Copied(bytes.into()))
        })
    } else {
        // Pipes refuse it otherwise than sockets do.
        Err(PyAssertionError::new_err(data.repr()?.unbind()))
    }
}

fn write_ready(slf: &Bound<'_, PyAny>, this: &PipeWriter, _: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let written = this.state.with(py, |state| {
        let fd = state.fd.unwrap_or(-1);
        let pieces = state.pending.slices(py, socket::MOST_PIECES);
        let written = pipe::write_vectored(fd, &pieces);
        if let Ok(count) = written {
            state.pending.advance(py, count);
        }
        written.map(|_| state.pending.len())
    });
    match written {
        Ok(0) => this.all_written(slf),
        Ok(_) => Ok(()),
        Err(error) if is_transient(&error) => Ok(()),
        Err(error) => {
            this.state.with(py, |state| {
                state.pending.clear();
                state.conn_lost = state.conn_lost.saturating_add(1);
            });
            this.on_loop(slf, "_remove_writer", None)?;
            fail(slf, error, WRITE_FAILED)
        }
    }
}

fn get_write_buffer_size(
    slf: &Bound<'_, PyAny>,
    this: &PipeWriter,
    _: Args<'_, '_>,
) -> PyResult<usize> {
    Ok(this.__len__(slf.py()))
}

fn is_closing(slf: &Bound<'_, PyAny>, this: &PipeWriter, _: Args<'_, '_>) -> PyResult<bool> {
    Ok(this.state.with(slf.py(), |state| state.closing))
}

impl PipeWriter {
    fn new() -> Self {
        Self {
            state: GilCell::new(State::default()),
        }
    }

    /// Writes `bytes` now if nothing waits, and lets what is left of it wait as `keep` has it.
    #[inline]
    fn write_bytes(
        &self,
        slf: &Bound<'_, PyAny>,
        bytes: &[u8],
        keep: impl FnOnce() -> Piece,
    ) -> PyResult<()> {
        let py = slf.py();
        if bytes.is_empty() {
            return Ok(());
        }
        let admitted = self.state.with(py, |state| {
            if state.closing || state.conn_lost > 0 {
                state.conn_lost = state.conn_lost.saturating_add(1);
                return Err(state.conn_lost - 1);
            }
            Ok((state.fd.unwrap_or(-1), state.pending.len() == 0))
        });
        let (fd, idle) = match admitted {
            Ok(admitted) => admitted,
            Err(earlier) => {
                return slf
                    .call_method1("_warn_of_late_write", (earlier,))
                    .map(drop);
            }
        };
        let mut written = 0;
        if idle {
            match pipe::write(fd, bytes) {
                Ok(count) if count == bytes.len() => return Ok(()),
                Ok(count) => written = count,
                Err(error) if is_transient(&error) => {}
                Err(error) => {
                    self.state.with(py, |state| state.conn_lost = 1);
                    return fail(slf, error, WRITE_FAILED);
                }
            }
            let ready = slf.getattr(intern!(py, "_write_ready"))?;
            self.on_loop(slf, "_add_writer", Some(ready))?;
        }
        let full = self.state.with(py, |state| {
            state.pending.push(py, keep(), written);
            !state.protocol_paused && state.pending.len() > state.high_water_bytes
        });
        if full {
            slf.call_method0(intern!(py, "_maybe_pause_protocol"))?;
        }
        Ok(())
    }

    fn all_written(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        self.on_loop(slf, "_remove_writer", None)?;
        // If the protocol closes it below, close() sees to the rest, or what is written there does.
        let (closing, paused) = self
            .state
            .with(py, |state| (state.closing, state.protocol_paused));
        if paused {
            slf.call_method0(intern!(py, "_maybe_resume_protocol"))?; // may write and close
        }
        if closing {
            self.on_loop(slf, "_remove_reader", None)?;
            slf.call_method1("_call_connection_lost", (py.None(),))?;
        }
        Ok(())
    }

    /// Calls the loop's `method` for the descriptor.
    fn on_loop(
        &self,
        slf: &Bound<'_, PyAny>,
        method: &str,
        callback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let (loop_, fd) = self.state.with(py, |state| {
            let loop_ = state.loop_.as_ref();
            (loop_.map(|loop_| loop_.clone_ref(py)), state.fd)
        });
        let Some(loop_) = loop_ else { return Ok(()) };
        match callback {
            Some(callback) => loop_.call_method1(py, method, (fd, callback)),
            None => loop_.call_method1(py, method, (fd,)),
        }
        .map(drop)
    }
}

#[pymethods]
impl PipeWriter {
    fn __len__(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.pending.len())
    }

    /// Forget what waits to be written.
    fn clear(&self, py: Python<'_>) {
        self.state.with(py, |state| state.pending.clear());
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state
            .try_with(|state| visit.call(&state.loop_))
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        drop(self.state.try_with_mut(|state| state.loop_.take()));
    }
}
