//! The datagrams that the kernel has not taken yet.

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::PyBytes;

/// What each datagram counts for beside its bytes, so that empty ones fill the buffer too.
const HEADER_BYTES: usize = if cfg!(Py_3_13) { 8 } else { 0 };

/// A datagram that waits.
pub(super) struct Waiting {
    pub(super) data: Py<PyBytes>,
    /// `None` for the peer of a connected socket.
    pub(super) receiver: Option<Py<PyAny>>,
}

/// Datagrams in the order sent.
#[derive(Default)]
pub(super) struct SendQueue {
    datagrams: VecDeque<Waiting>,
    bytes: usize,
}

impl SendQueue {
    /// The number of datagrams.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// What flow control counts.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a datagram behind the others.
    pub(super) fn push(&mut self, py: Python<'_>, waiting: Waiting) {
        self.bytes += Self::weight(py, &waiting);
        self.datagrams.push_back(waiting);
    }

    /// Takes the first datagram out.
    pub(super) fn pop(&mut self, py: Python<'_>) -> Option<Waiting> {
        let waiting = self.datagrams.pop_front()?;
        self.bytes -= Self::weight(py, &waiting);
        Some(waiting)
    }

    /// Puts back what [`SendQueue::pop`] has taken out.
    pub(super) fn put_back(&mut self, py: Python<'_>, waiting: Waiting) {
        self.bytes += Self::weight(py, &waiting);
        self.datagrams.push_front(waiting);
    }

    /// Shows the garbage collector what the queue refers to.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.datagrams
            .iter()
            .try_for_each(|waiting| visit.call(&waiting.receiver))
    }

    fn weight(py: Python<'_>, waiting: &Waiting) -> usize {
        waiting.data.as_bytes(py).len() + HEADER_BYTES
    }
}
