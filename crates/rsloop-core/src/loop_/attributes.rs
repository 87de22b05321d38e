//! What inherited asyncio code reads and writes of a loop, and the small methods that it calls.

use std::sync::atomic::Ordering;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyList, PyTuple};

use super::state::LoopBase;

#[pymethods]
impl LoopBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Self::open(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.traverse(&visit)
    }

    fn __clear__(&self) {
        self.clear();
    }

    /// Run ticks until stop() is called.
    fn _run_until_stopped(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().run_until_stopped(slf.as_any())
    }

    /// Run one tick.
    fn _run_once(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().run_once(slf.as_any())
    }

    /// Release what is queued and watched, and close the descriptors.
    fn _release(&self, py: Python<'_>) {
        self.release(py);
    }

    /// Stop the loop at the end of the current tick, or after one tick if it is not running.
    fn stop(&self) {
        self.stopping.set(true);
    }

    /// Return whether run_forever() is running.
    fn is_running(&self) -> bool {
        self.thread_id.load(Ordering::Relaxed) != 0
    }

    /// Return whether the loop was closed.
    fn is_closed(&self) -> bool {
        self.closed.get()
    }

    #[pyo3(name = "_check_closed")]
    fn py_check_closed(&self) -> PyResult<()> {
        self.check_closed()
    }

    #[getter(_closed)]
    fn get_closed(&self) -> bool {
        self.closed.get()
    }

    #[setter(_closed)]
    fn set_closed(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.closed.set(value.is_truthy()?);
        Ok(())
    }

    /// Whether no callback is ready to run: for the bridge, whose awaits may keep an idle loop.
    #[getter(_is_idle)]
    fn get_is_idle(&self, py: Python<'_>) -> bool {
        self.ready.with(py, |ready| ready.is_empty())
    }

    #[getter(_stopping)]
    fn get_stopping(&self) -> bool {
        self.stopping.get()
    }

    #[setter(_stopping)]
    fn set_stopping(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.stopping.set(value.is_truthy()?);
        Ok(())
    }

    #[getter(_debug)]
    fn get_debug_attribute(&self) -> bool {
        self.debug.get()
    }

    #[setter(_debug)]
    fn set_debug_attribute(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.debug.set(value.is_truthy()?);
        Ok(())
    }

    #[getter(_thread_id)]
    fn get_thread_id(&self) -> Option<u64> {
        Some(self.thread_id.load(Ordering::Relaxed)).filter(|&id| id != 0)
    }

    #[setter(_thread_id)]
    fn set_thread_id(&self, value: Option<u64>) {
        self.thread_id.store(value.unwrap_or(0), Ordering::Relaxed);
    }

    #[getter(_task_factory)]
    fn get_task_factory(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.task_factory.with(py, |factory| {
            factory.as_ref().map(|factory| factory.clone_ref(py))
        })
    }

    #[setter(_task_factory)]
    fn set_task_factory(&self, py: Python<'_>, value: Option<Py<PyAny>>) {
        let replaced = self
            .task_factory
            .with(py, |factory| std::mem::replace(factory, value));
        drop(replaced);
    }

    /// What waits for the next tick, in order: handles, and transports whose turn it is.
    ///
    /// A list made now, for test helpers that look.
    #[getter(_ready)]
    fn get_ready<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let waiting: Vec<_> = self.ready.with(py, |ready| {
            ready
                .iter()
                .map(|entry| entry.as_object().clone_ref(py))
                .collect()
        });
        PyList::new(py, waiting)
    }

    #[setter(_ready)]
    fn set_ready(&self, _value: &Bound<'_, PyAny>) {
        // Inherited code makes a queue, which we have no use for.
    }

    /// The timers, the earliest first. A list made now, for test helpers that look.
    #[getter(_scheduled)]
    fn get_scheduled<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let timers: Vec<_> = self.timers.with(py, |timers| {
            let in_order = timers.in_order();
            in_order
                .map(|timer| timer.as_object().clone_ref(py))
                .collect()
        });
        PyList::new(py, timers)
    }

    #[setter(_scheduled)]
    fn set_scheduled(&self, _value: &Bound<'_, PyAny>) {
        // As for `_ready`.
    }

    #[getter(_transports)]
    fn get_transports(&self, py: Python<'_>) -> Py<PyAny> {
        self.transports.clone_ref(py).into_any()
    }

    #[setter(_transports)]
    fn set_transports(&self, _value: &Bound<'_, PyAny>) {
        // Inherited code makes a dictionary, which we have no use for.
    }
}
