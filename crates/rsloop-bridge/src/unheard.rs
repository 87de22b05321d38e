//! Errors that no awaitable can raise: a panic of what a cancelled future drops, a refusal of the
//! executor's.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::port::{Deliver, Port};

impl Port {
    /// Has `sys.unraisablehook` told of `error`, on the loop's thread. From any thread, attached or
    /// not.
    pub(crate) fn report(self: &Arc<Self>, error: PyErr) {
        self.post(Arc::new(Unheard(error)));
    }
}

/// An error on its way to where it can be reported.
struct Unheard(PyErr);

impl Deliver for Unheard {
    fn deliver(self: Arc<Self>, py: Python<'_>) {
        self.0.clone_ref(py).write_unraisable(py, None);
    }

    fn closed(self: Arc<Self>, py: Python<'_>) {
        self.deliver(py);
    }
}
