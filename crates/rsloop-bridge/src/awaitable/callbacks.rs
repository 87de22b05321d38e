//! The callbacks of an awaitable.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit, intern};

/// A callable, and the context it is to run in.
pub(crate) struct Callback {
    pub(crate) function: Py<PyAny>,
    pub(crate) context: Py<PyAny>,
}

/// Callbacks in the order added. Most awaitables have exactly one.
#[derive(Default)]
pub(crate) struct Callbacks {
    first: Option<Callback>,
    #[expect(clippy::box_collection, reason = "two words less in each awaitable")]
    rest: Option<Box<Vec<Callback>>>,
}

impl Callbacks {
    pub(crate) fn push(&mut self, callback: Callback) {
        if self.is_empty() {
            self.first = Some(callback);
        } else {
            self.rest.get_or_insert_default().push(callback);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Callback> {
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    /// Other references to the same callbacks, for when the lock on these is let go.
    pub(crate) fn copies(&self, py: Python<'_>) -> Vec<Callback> {
        let copy = |callback: &Callback| Callback {
            function: callback.function.clone_ref(py),
            context: callback.context.clone_ref(py),
        };
        self.iter().map(copy).collect()
    }

    /// Takes out the entries that are the same two objects as one of `doomed`.
    pub(crate) fn remove(&mut self, doomed: &[Callback]) -> Vec<Callback> {
        let is_doomed = |callback: &Callback| {
            doomed.iter().any(|other| {
                other.function.is(&callback.function) && other.context.is(&callback.context)
            })
        };
        let all = std::mem::take(self).into_iter();
        let (removed, kept): (Vec<_>, Vec<_>) = all.partition(is_doomed);
        for callback in kept {
            self.push(callback);
        }
        removed
    }

    /// Has the loop call each with `argument`, in its context.
    pub(crate) fn schedule(
        self,
        event_loop: &Bound<'_, PyAny>,
        argument: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = argument.py();
        for callback in self.into_iter() {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "context"), callback.context)?;
            let arguments = (callback.function, argument);
            event_loop.call_method(intern!(py, "call_soon"), arguments, Some(&keywords))?;
        }
        Ok(())
    }

    fn into_iter(self) -> impl Iterator<Item = Callback> {
        let rest = self.rest.into_iter().flat_map(|rest| *rest);
        self.first.into_iter().chain(rest)
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for callback in self.iter() {
            visit.call(&callback.function)?;
            visit.call(&callback.context)?;
        }
        Ok(())
    }
}
