//! A witness of when and where a future is dropped.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use pyo3::prelude::*;

/// Counts the drops of the futures that carry one of its tokens.
#[pyclass(frozen, from_py_object)]
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<(Mutex<usize>, Condvar)>);

#[pymethods]
impl Drops {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    #[getter]
    fn count(&self) -> usize {
        *self.0.0.lock().unwrap()
    }

    /// Waits, detached, for so many drops; returns how many there were after ten seconds at most.
    fn wait_for(&self, py: Python<'_>, count: usize) -> usize {
        py.detach(|| self.wait_attached(count))
    }

    /// As `wait_for`, but keeps the GIL: what needs it meanwhile does not happen.
    fn wait_attached(&self, count: usize) -> usize {
        let drops = self.0.0.lock().unwrap();
        let patience = Duration::from_secs(10);
        let waited = self
            .0
            .1
            .wait_timeout_while(drops, patience, |drops| *drops < count);
        *waited.unwrap().0
    }
}

impl Drops {
    pub(crate) fn token(&self) -> Token {
        Token(self.clone())
    }
}

pub(crate) struct Token(Drops);

impl Drop for Token {
    fn drop(&mut self) {
        *self.0.0.0.lock().unwrap() += 1;
        self.0.0.1.notify_all();
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Drops>()
}
