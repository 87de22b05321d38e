//! A pipe that is read: from readiness to `data_received`.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyBytesMethods;
use rsloop_reactor::pipe;

use super::fail;
use crate::error::is_transient;
use crate::loop_::LoopBase;
use crate::py::attribute::Attribute;
use crate::py::bytes;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::gil_cell::GilCell;
use crate::py::slot::{InSlot, Slot};
use crate::transports::fields::{object, protocol, value};

/// Give a transport that reads a pipe its state, for good.
#[pyfunction]
pub(super) fn open_pipe_reader(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let reader = Bound::new(transport.py(), PipeReader::new())?;
    PipeReader::slot().fill(transport, reader)
}

/// What CPython's transport keeps in `_fileno`, `_paused` and so on, for Rust to reach.
#[pyclass(frozen, module = "rsloop_core._core")]
pub(crate) struct PipeReader {
    state: GilCell<State>,
}

/// The objects are `None` before the inherited constructor has set them, and from `connection_lost`
/// on.
#[derive(Default)]
struct State {
    fd: Option<RawFd>,
    paused: bool,
    loop_: Option<Py<LoopBase>>,
    protocol: Option<Py<PyAny>>,
}

impl InSlot for PipeReader {
    fn slot() -> &'static Slot<Self> {
        static SLOT: Slot<PipeReader> = Slot::named("_reader");
        &SLOT
    }
}

pub(super) fn attributes() -> Vec<Attribute<PipeReader>> {
    vec![
        value!(c"_fileno", fd),
        value!(c"_paused", paused),
        object!(c"_loop", loop_),
        protocol!(),
    ]
}

pub(super) fn methods() -> Vec<Method> {
    vec![Method {
        name: c"_read_ready",
        function: fastcall!(PipeReader, "_read_ready", 0, read_ready),
        doc: c"_read_ready($self)\n--\n\n\
            Read once, and tell the protocol. The loop calls this when there is something to read.",
    }]
}

fn read_ready(slf: &Bound<'_, PyAny>, this: &PipeReader, _: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let turn = this.state.with(py, |state| {
        let loop_ = state.loop_.as_ref()?.clone_ref(py);
        let protocol = state.protocol.as_ref()?.clone_ref(py);
        Some((state.fd?, state.paused, loop_, protocol))
    });
    let Some((fd, paused, loop_, protocol)) = turn else {
        return Ok(());
    };
    if paused {
        // Before 3.11.3 the inherited constructor has the loop watch the pipe whatever becomes of
        // it in connection_made().
        return loop_
            .call_method1(py, intern!(py, "_remove_reader"), (fd,))
            .map(drop);
    }
    let received = loop_.get().with_read_buffer(py, |space| {
        let count = pipe::read(fd, space)?;
        Ok(bytes::new(py, &space[..count]))
    });
    match received {
        Ok(data) => {
            let data = data?;
            if data.as_bytes().is_empty() {
                slf.call_method0(intern!(py, "_end_of_pipe"))?;
            } else {
                protocol.call_method1(py, intern!(py, "data_received"), (data,))?;
            }
        }
        Err(error) if is_transient(&error) => {}
        Err(error) => fail(slf, error, "Fatal read error on pipe transport")?,
    }
    Ok(())
}

impl PipeReader {
    fn new() -> Self {
        Self {
            state: GilCell::new(State::default()),
        }
    }
}

#[pymethods]
impl PipeReader {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state
            .try_with(|state| {
                visit.call(&state.loop_)?;
                visit.call(&state.protocol)
            })
            .unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        drop(self.state.try_with_mut(std::mem::take));
    }
}
