//! The awaitable that Python gets: a future in all that asyncio asks of one.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `callbacks` | the callbacks, and how the loop is told to run them |
//! | `linger` | awaits that watch for the end before they suspend |
//! | `link` | what a task keeps for the loop's side while its future is pending |
//! | `report` | what the loop is told of an exception that nobody retrieved |
//! | `settled` | how a future ended, converted to Python |
//! | `state` | pending or settled, and the ways from one to the other |

mod callbacks;
mod linger;
mod link;
mod report;
mod settled;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{PyTraverseError, PyVisit, intern};

use self::callbacks::Callback;
use self::settled::invalid_state;
use self::state::Inner;
use crate::context;

pub(crate) use self::link::{Link, Task};
pub(crate) use self::settled::Settled;

/// A Rust future that Python can await, on the loop it was made for.
///
/// It behaves as `asyncio.Future` does, except that only the Rust future settles it. While it is
/// pending and nobody waits, whoever made it must hold it: dropping it drops the Rust future.
#[pyclass(frozen, weakref, module = "rsloop_bridge")]
pub(crate) struct RustFuture {
    event_loop: Py<PyAny>,
    /// Set by `__next__`, for the task that awaits to see that it was not a bare `yield`.
    blocking: AtomicBool,
    inner: Mutex<Inner>,
}

#[pymethods]
impl RustFuture {
    #[getter(_asyncio_future_blocking)]
    fn asyncio_future_blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_asyncio_future_blocking(&self, blocking: bool) {
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    #[getter]
    fn _cancel_message(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.lock().cancel_message.as_ref().map(|m| m.clone_ref(py))
    }

    #[setter(_cancel_message)]
    fn set_cancel_message(&self, message: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut self.lock().cancel_message, message);
        drop(old);
    }

    /// Return the event loop that this future belongs to.
    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    /// Return whether the future has a result, an exception, or was cancelled.
    fn done(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::refresh(slf)?;
        Ok(slf.get().lock().state.is_some())
    }

    /// Return whether the future was cancelled.
    fn cancelled(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::refresh(slf)?;
        let inner = slf.get().lock();
        Ok(matches!(inner.state, Some(Settled::Cancelled(_))))
    }

    /// Return the result, or raise the exception.
    ///
    /// Raises InvalidStateError while it is pending, and CancelledError if it was cancelled.
    fn result(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::refresh(slf)?;
        let outcome = slf.get().outcome(slf.py());
        outcome.unwrap_or_else(|| Err(invalid_state(slf.py(), "Result is not ready.")))
    }

    /// Return the exception, or None if there is a result.
    ///
    /// Raises InvalidStateError while it is pending, and CancelledError if it was cancelled.
    fn exception(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        Self::refresh(slf)?;
        let py = slf.py();
        let mut inner = slf.get().lock();
        inner.unretrieved = false;
        match &inner.state {
            None => {
                drop(inner);
                Err(invalid_state(py, "Exception is not set."))
            }
            Some(Settled::Value(_)) => Ok(None),
            Some(Settled::Error { exception, .. }) => Ok(Some(exception.clone_ref(py).into_any())),
            Some(Settled::Cancelled(_)) => {
                drop(inner);
                Err(slf.get().cancellation(py))
            }
        }
    }

    /// Cancel the future: drop the Rust future, and schedule the callbacks.
    ///
    /// Return False, and do nothing, if it is done.
    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        Self::refresh(slf)?;
        let this = slf.get();
        let (task, old_message) = {
            let mut inner = this.lock();
            if inner.state.is_some() {
                return Ok(false);
            }
            let old_message = std::mem::replace(&mut inner.cancel_message, msg);
            (inner.task.clone(), old_message)
        };
        drop(old_message);
        Self::settle(slf, Settled::Cancelled(None)).inspect_err(|_| {
            // The loop is closed and takes no callbacks: that is for the caller to hear, after
            // the Rust future is gone.
            if let Some(task) = &task {
                Arc::clone(task).cancel(slf.py());
            }
        })?;
        if let Some(task) = task {
            task.cancel(slf.py());
        }
        Ok(true)
    }

    fn _make_cancelled_error(&self, py: Python<'_>) -> Py<PyAny> {
        self.cancellation(py).into_value(py).into_any()
    }

    /// Have the loop call `fn` with this future when it is done, in `context`, or in a copy of
    /// the current one.
    #[pyo3(signature = (r#fn, /, *, context = None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        r#fn: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        Self::refresh(slf)?;
        let py = slf.py();
        let this = slf.get();
        let context = match context {
            Some(context) => context,
            None => context::copy_current(py)?,
        };
        let callback = Callback {
            function: r#fn,
            context,
        };
        let task = {
            let mut inner = this.lock();
            inner.callbacks.push(callback);
            match (&inner.state, &inner.task) {
                (Some(_), _) | (None, None) => Err(std::mem::take(&mut inner.callbacks)),
                (None, Some(task)) => Ok(Arc::clone(task)),
            }
        };
        match task {
            Ok(task) => match task.link().hold(slf) {
                Some(settled) => Self::settle(slf, settled),
                None => Ok(()),
            },
            Err(callbacks) => callbacks.schedule(this.event_loop.bind(py), slf),
        }
    }

    /// Remove the callbacks that equal `fn`, and return how many there were.
    #[pyo3(signature = (r#fn, /))]
    fn remove_done_callback(slf: &Bound<'_, Self>, r#fn: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = slf.py();
        let this = slf.get();
        // Comparing may run Python code, so it works on copies.
        let copies = this.lock().callbacks.copies(py);
        let mut doomed = Vec::new();
        for callback in copies {
            if callback.function.bind(py).eq(r#fn)? {
                doomed.push(callback);
            }
        }
        let (removed, forsaken) = {
            let mut inner = this.lock();
            let removed = inner.callbacks.remove(&doomed);
            (
                removed,
                inner.task.clone().filter(|_| inner.callbacks.is_empty()),
            )
        };
        drop(forsaken.and_then(|task| task.link().let_go()));
        Ok(removed.len())
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::refresh(slf)?;
        Self::linger(slf)?;
        let py = slf.py();
        match slf.get().outcome(py) {
            None => {
                slf.get().blocking.store(true, Ordering::Relaxed);
                Ok(slf.clone().into_any().unbind())
            }
            Some(Ok(value)) => Err(PyStopIteration::new_err((value,))),
            Some(Err(error)) => Err(error),
        }
    }

    /// As of a future of asyncio's, by the function that makes those.
    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static FUTURE_REPR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        let future_repr = FUTURE_REPR.import(py, "asyncio.base_futures", "_future_repr")?;
        future_repr.call1((slf,))
    }

    /// One of asyncio's three states. Like the next four, it is for `__repr__`.
    #[getter]
    fn _state(slf: &Bound<'_, Self>) -> PyResult<&'static str> {
        Self::refresh(slf)?;
        Ok(match slf.get().lock().state {
            None => "PENDING",
            Some(Settled::Cancelled(_)) => "CANCELLED",
            Some(Settled::Value(_) | Settled::Error { .. }) => "FINISHED",
        })
    }

    #[getter]
    fn _result(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &self.lock().state {
            Some(Settled::Value(value)) => Some(value.clone_ref(py)),
            _ => None,
        }
    }

    #[getter]
    fn _exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &self.lock().state {
            Some(Settled::Error { exception, .. }) => Some(exception.clone_ref(py).into_any()),
            _ => None,
        }
    }

    #[getter]
    fn _callbacks(&self, py: Python<'_>) -> Vec<(Py<PyAny>, Py<PyAny>)> {
        let copies = self.lock().callbacks.copies(py).into_iter();
        copies.map(|copy| (copy.function, copy.context)).collect()
    }

    #[getter]
    fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let inner = self.lock();
        inner
            .source_traceback
            .as_ref()
            .map(|source| source.clone_ref(py))
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, PyType>,
        item: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let types = cls.py().import("types")?;
        types.getattr("GenericAlias")?.call1((cls, item))
    }

    /// Report an exception that nobody retrieved; the collector calls it before it breaks a cycle.
    fn _report(slf: &Bound<'_, Self>) -> PyResult<()> {
        report::from_collector(slf)
    }

    /// Assigned to the finished class, as PyO3 does with its attributes, a method of this name
    /// becomes the finaliser; PyO3 does not know of one in a class that it defines.
    #[classattr]
    fn __del__(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        py.get_type::<Self>().getattr(intern!(py, "_report"))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        // Taken only by a thread that the collector stopped: this is alive, then.
        let Ok(inner) = self.inner.try_lock() else {
            return Ok(());
        };
        inner.callbacks.traverse(&visit)?;
        visit.call(&inner.cancel_message)?;
        visit.call(&inner.source_traceback)?;
        if let Some(settled) = &inner.state {
            settled.traverse(&visit)?;
        }
        match &inner.task {
            Some(task) => task.link().traverse(&visit),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        let (callbacks, message, state, task) = {
            let mut inner = self.lock();
            let callbacks = std::mem::take(&mut inner.callbacks);
            // A pending future stays so, a settled one forgets how it ended.
            let state = inner.state.take();
            inner.state = state.is_some().then_some(Settled::Cancelled(None));
            inner.unretrieved = false;
            let message = inner.cancel_message.take();
            (callbacks, message, state, inner.task.clone())
        };
        drop((callbacks, message, state));
        drop(task.and_then(|task| task.link().take_settled()));
    }
}
