//! What the loop queues: handles, and the turns of transports.

use std::cell::Cell;

use pyo3::prelude::*;

use crate::py::handle::Handle;

/// What a transport does when its turn comes. The error, if any, is one that ends the loop; others
/// end the connection.
pub(crate) type Turn = fn(&Bound<'_, PyAny>) -> PyResult<()>;

/// What the transports of one class do with readiness: the loop runs them without knowing them.
pub(crate) struct Turns {
    /// Takes what has come.
    pub(crate) readable: Turn,
    /// Sends what waits.
    pub(crate) writable: Turn,
}

/// What the ready queue holds.
pub(super) enum Ready {
    /// A handle of ours.
    Handle(Handle),
    /// A handle of asyncio's: debug mode and inherited code make them.
    Foreign(Py<PyAny>),
    /// A transport, and what it does.
    Turn(Turn, Py<PyAny>),
}

/// What the timer heap holds.
pub(super) enum Timer {
    /// A timer handle of ours.
    Ours(Handle),
    /// A timer handle of asyncio's, made in debug mode.
    Foreign {
        handle: Py<PyAny>,
        /// What the handle has told of itself: to ask it would run its code.
        is_cancelled: Cell<bool>,
    },
}

impl Ready {
    /// The object that waits, as Python sees it.
    pub(super) fn as_object(&self) -> &Py<PyAny> {
        match self {
            Self::Handle(handle) => handle.as_object(),
            Self::Foreign(object) | Self::Turn(_, object) => object,
        }
    }
}

impl Timer {
    /// The timer handle, as Python sees it.
    pub(super) fn as_object(&self) -> &Py<PyAny> {
        match self {
            Self::Ours(handle) => handle.as_object(),
            Self::Foreign { handle, .. } => handle,
        }
    }
}
