//! What the loop watches for a transport over a socket.

use std::os::fd::RawFd;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rsloop_reactor::Interest;

use crate::loop_::{LoopBase, Turns};
use crate::py::context;
use crate::py::fastcall::Args;

/// The part of a transport's state that the loop is told.
pub(super) struct Watch {
    /// The number that the registry knows the socket by; system calls ask the socket for its own.
    pub(super) number: RawFd,
    /// `None` once the connection is lost.
    pub(super) loop_: Option<Py<LoopBase>>,
    /// Nothing is read any more.
    pub(super) closing: bool,
    /// Nothing is read for now.
    pub(super) paused: bool,
    /// The contexts in which reading and writing were asked for; the protocol's methods run there.
    pub(super) read_context: Option<Py<PyAny>>,
    pub(super) write_context: Option<Py<PyAny>>,
}

impl Watch {
    pub(super) fn new(loop_: Py<LoopBase>, number: RawFd) -> Self {
        Self {
            number,
            loop_: Some(loop_),
            closing: false,
            paused: false,
            read_context: None,
            write_context: None,
        }
    }

    /// Lets go of all objects, which the caller drops where that may run Python code.
    pub(super) fn take(&mut self) -> impl Sized + use<> {
        (
            self.loop_.take(),
            self.read_context.take(),
            self.write_context.take(),
        )
    }

    /// Shows the garbage collector what it refers to.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loop_)?;
        visit.call(&self.read_context)?;
        visit.call(&self.write_context)
    }

    /// Another reference to the loop, and the number.
    fn registration(&self, py: Python<'_>) -> Option<(Py<LoopBase>, RawFd)> {
        let loop_ = self.loop_.as_ref()?;
        Some((loop_.clone_ref(py), self.number))
    }
}

/// A transport's state with a [`Watch`] in it.
pub(super) trait Watched {
    /// What the loop lets the transport do.
    const TURNS: &'static Turns;

    /// Runs `access` on the watch, as `GilCell::with` does.
    fn watch<R>(&self, py: Python<'_>, access: impl FnOnce(&mut Watch) -> R) -> R;

    /// Begins to read, unless paused or closing; what comes is told in `context`.
    fn begin_reading(&self, slf: &Bound<'_, PyAny>, context: Py<PyAny>) -> PyResult<()> {
        let py = slf.py();
        // What goes with a context may come back here: none is dropped inside.
        let (start, _unused) = self.watch(py, |watch| match watch.registration(py) {
            Some(start) if !(watch.closing || watch.paused) => {
                (Some(start), watch.read_context.replace(context))
            }
            _ => (None, Some(context)),
        });
        let Some((loop_, number)) = start else {
            return Ok(());
        };
        let loop_ = loop_.get();
        loop_.watch_transport(Self::TURNS, slf, number, Interest::READABLE)
    }

    /// Waits until there is room to write.
    fn await_writable(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let context = context_for_io(slf)?;
        let (start, _replaced) = self.watch(py, |watch| {
            (watch.registration(py), watch.write_context.replace(context))
        });
        let Some((loop_, number)) = start else {
            return Ok(());
        };
        let loop_ = loop_.get();
        loop_.watch_transport(Self::TURNS, slf, number, Interest::WRITABLE)
    }

    /// Stops watching the socket for `interest`.
    fn unwatch(&self, slf: &Bound<'_, PyAny>, interest: Interest) -> PyResult<()> {
        let py = slf.py();
        match self.watch(py, |watch| watch.registration(py)) {
            Some((loop_, number)) => loop_.get().unwatch_transport(slf, number, interest),
            None => Ok(()),
        }
    }
}

/// The body of a transport's `_add_reader`.
pub(super) fn add_reader<W: Watched>(
    slf: &Bound<'_, PyAny>,
    this: &W,
    _: Args<'_, '_>,
) -> PyResult<()> {
    this.begin_reading(slf, context_for_io(slf)?)
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
