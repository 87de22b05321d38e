//! What a task keeps for the loop's side while its future is pending.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use super::{RustFuture, Settled};
use crate::context::TaskLocals;
use crate::eager::Record;
use crate::port::{Deliver, Port};

/// A pending future as its awaitable sees it.
pub(crate) trait Task: Deliver {
    /// What the task keeps for the loop's side.
    fn link(&self) -> &Link;

    /// The record of awaits that watched for the end of such a future.
    fn awaits(&self) -> Record<'static>;

    /// Drops the Rust future, now or as soon as a poll in progress ends. Attached, any thread.
    fn cancel(self: Arc<Self>, py: Python<'_>);
}

/// The loop's side of a task.
///
/// The awaitable owns its task, and not the other way round: an awaitable that nobody holds is
/// freed, and its future with it. But while somebody waits, by a callback, the link holds the
/// awaitable, as a timer of asyncio's holds what it will wake; otherwise a Python task that only
/// waits for Rust could be freed in the middle.
pub(crate) struct Link {
    port: Arc<Port>,
    inner: Mutex<Inner>,
}

struct Inner {
    locals: Option<TaskLocals>,
    /// Under which the port remembers the task.
    key: Option<usize>,
    /// The awaitable, while it has callbacks.
    awaited: Option<Py<RustFuture>>,
    /// The result, if it came before anybody waited.
    settled: Option<Settled>,
}

impl Link {
    pub(crate) fn new(locals: TaskLocals) -> Self {
        Self {
            port: Arc::clone(locals.port()),
            inner: Mutex::new(Inner {
                locals: Some(locals),
                key: None,
                awaited: None,
                settled: None,
            }),
        }
    }

    pub(crate) fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// The loop and context; None once the task is over.
    pub(crate) fn locals(&self) -> Option<TaskLocals> {
        self.lock().locals.clone()
    }

    /// Has the port remember `task`, whose link this is, until [`end`](Self::end).
    pub(crate) fn register<T: Task + 'static>(task: &Arc<T>) -> PyResult<()> {
        let weak = Arc::downgrade(task);
        let key = task.link().port.remember(weak)?;
        task.link().lock().key = Some(key);
        Ok(())
    }

    /// The task is over, however it ended: gives its references back, except for the result's.
    /// Attached. Returns what it had captured, the first time.
    pub(crate) fn end(&self) -> Option<TaskLocals> {
        let (locals, key) = {
            let mut inner = self.lock();
            (inner.locals.take(), inner.key.take())
        };
        if let Some(key) = key {
            self.port.forget(key);
        }
        locals
    }

    /// Hands the result to whoever waits, or keeps it until somebody asks.
    pub(crate) fn settle(&self, py: Python<'_>, settled: Settled) {
        let awaited = {
            let mut inner = self.lock();
            match inner.awaited.take() {
                Some(awaited) => awaited,
                None => {
                    inner.settled = Some(settled);
                    return;
                }
            }
        };
        if let Err(error) = RustFuture::settle(awaited.bind(py), settled) {
            // The loop refuses callbacks once it is closed; nobody can be told then.
            if self.port.is_open() {
                error.write_unraisable(py, Some(awaited.bind(py)));
            }
        }
    }

    /// Holds the awaitable from now on; or returns the result that came before.
    pub(crate) fn hold(&self, awaitable: &Bound<'_, RustFuture>) -> Option<Settled> {
        let mut inner = self.lock();
        if inner.settled.is_none() && inner.locals.is_some() {
            inner.awaited = Some(awaitable.clone().unbind());
        }
        inner.settled.take()
    }

    /// Stops holding the awaitable.
    pub(crate) fn let_go(&self) -> Option<Py<RustFuture>> {
        self.lock().awaited.take()
    }

    /// The result, if it came before anybody waited.
    pub(crate) fn take_settled(&self) -> Option<Settled> {
        self.lock().settled.take()
    }

    /// Shows the result to the garbage collector.
    pub(crate) fn traverse(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.inner.try_lock() {
            Ok(inner) => match &inner.settled {
                Some(settled) => settled.traverse(visit),
                None => Ok(()),
            },
            // In use by a thread that the collector stopped: alive, then.
            Err(_) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
