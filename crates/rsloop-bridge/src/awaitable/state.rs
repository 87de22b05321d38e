//! The state of an awaitable, and the transitions that its methods make.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::RustFuture;
use super::callbacks::Callbacks;
use super::link::Task;
use super::settled::{Settled, cancelled_error, in_context, raised};

/// | `state` | `task` | `callbacks` |
/// | --- | --- | --- |
/// | None, pending | set | any; if there are any, the task's link holds the awaitable |
/// | set | None | none |
#[derive(Default)]
pub(super) struct Inner {
    pub(super) state: Option<Settled>,
    pub(super) task: Option<Arc<dyn Task>>,
    pub(super) callbacks: Callbacks,
    pub(super) cancel_message: Option<Py<PyAny>>,
    /// An error that nobody has looked at yet.
    pub(super) unretrieved: bool,
    /// Where the future was made, if the loop was in debug mode.
    pub(super) source_traceback: Option<Py<PyAny>>,
}

impl RustFuture {
    /// An awaitable that is settled already.
    pub(crate) fn settled(event_loop: Bound<'_, PyAny>, settled: Settled) -> PyResult<Self> {
        let unretrieved = matches!(settled, Settled::Error { .. });
        // No other end of a future is ever reported.
        let source = unretrieved.then(|| source_traceback(&event_loop));
        let source = source.transpose()?.flatten();
        Ok(Self::new(
            event_loop.unbind(),
            Inner {
                state: Some(settled),
                unretrieved,
                source_traceback: source,
                ..Inner::default()
            },
        ))
    }

    /// An awaitable that `task` will settle, through its link.
    pub(crate) fn pending(event_loop: Bound<'_, PyAny>, task: Arc<dyn Task>) -> PyResult<Self> {
        let source = source_traceback(&event_loop)?;
        Ok(Self::new(
            event_loop.unbind(),
            Inner {
                task: Some(task),
                source_traceback: source,
                ..Inner::default()
            },
        ))
    }

    pub(super) fn new(event_loop: Py<PyAny>, inner: Inner) -> Self {
        Self {
            event_loop,
            blocking: AtomicBool::new(false),
            inner: Mutex::new(inner),
        }
    }

    /// Ends the wait, unless it has ended: schedules the callbacks.
    pub(crate) fn settle(slf: &Bound<'_, Self>, settled: Settled) -> PyResult<()> {
        let this = slf.get();
        let (callbacks, task) = {
            let mut inner = this.lock();
            if inner.state.is_some() {
                // Dropped after the lock is let go: it may run Python code.
                drop(inner);
                drop(settled);
                return Ok(());
            }
            inner.unretrieved = matches!(settled, Settled::Error { .. });
            inner.state = Some(settled);
            (std::mem::take(&mut inner.callbacks), inner.task.take())
        };
        drop(task);
        callbacks.schedule(this.event_loop.bind(slf.py()), slf)
    }

    /// Looks whether the result came while nobody waited.
    pub(super) fn refresh(slf: &Bound<'_, Self>) -> PyResult<()> {
        let task = slf.get().lock().task.clone();
        match task.and_then(|task| task.link().take_settled()) {
            Some(settled) => Self::settle(slf, settled),
            None => Ok(()),
        }
    }

    /// The result of a settled future; None while it is pending.
    pub(super) fn outcome(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        let (exception, traceback) = {
            let mut inner = self.lock();
            inner.unretrieved = false;
            match inner.state.as_ref()? {
                Settled::Value(value) => return Some(Ok(value.clone_ref(py))),
                Settled::Cancelled(_) => {
                    drop(inner);
                    let exception = self.cancellation(py).into_value(py);
                    return Some(Err(in_context(exception.into_bound(py))));
                }
                Settled::Error {
                    exception,
                    traceback,
                } => (
                    exception.clone_ref(py),
                    traceback.as_ref().map(|traceback| traceback.clone_ref(py)),
                ),
            }
        };
        Some(Err(raised(py, &exception, traceback.as_ref())))
    }

    /// The `CancelledError` to raise: the one the future failed with, once; then new ones.
    pub(super) fn cancellation(&self, py: Python<'_>) -> PyErr {
        let (exception, message) = {
            let mut inner = self.lock();
            let message = inner.cancel_message.as_ref().map(|m| m.clone_ref(py));
            match &mut inner.state {
                Some(Settled::Cancelled(exception)) => (exception.take(), message),
                _ => (None, message),
            }
        };
        if let Some(exception) = exception {
            return PyErr::from_value(exception.into_bound(py).into_any());
        }
        let class = cancelled_error(py);
        let made = match message {
            Some(message) => class.call1((message,)),
            None => class.call0(),
        };
        made.map_or_else(|error| error, PyErr::from_value)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a future of `event_loop` is being made: a `traceback.StackSummary`, in debug mode only.
fn source_traceback(event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    static EXTRACT_STACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = event_loop.py();
    let debug = event_loop.call_method0(intern!(py, "get_debug"))?;
    if !debug.is_truthy()? {
        return Ok(None);
    }
    let extract_stack = EXTRACT_STACK.import(py, "traceback", "extract_stack")?;
    Ok(Some(extract_stack.call0()?.unbind()))
}
