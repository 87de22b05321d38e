//! Python awaitables as Rust futures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use pyo3::{PyTraverseError, PyVisit, intern};

use crate::context::TaskLocals;
use crate::port::{Deliver, Port};
use crate::{error, resume};

/// A Python awaitable that Rust awaits; see
/// [`into_future_with_locals`](crate::rust_async::into_future_with_locals).
///
/// Dropping it before it is ready cancels the Python side, soon, on the loop's thread.
#[must_use = "dropping it cancels the Python side"]
pub struct PythonFuture(Arc<PythonCall>);

/// Starts `awaitable` on the loop of `locals`.
pub(crate) fn start(locals: &TaskLocals, awaitable: Bound<'_, PyAny>) -> PyResult<PythonFuture> {
    let py = awaitable.py();
    if !is_awaitable(&awaitable)? {
        let class = awaitable.get_type();
        return Err(PyTypeError::new_err(format!(
            "expected something that can be awaited, not {}",
            class.fully_qualified_name()?
        )));
    }
    let port = Arc::clone(locals.port());
    let call = Arc::new(PythonCall {
        inner: Mutex::new(Inner {
            stage: Stage::New(awaitable.unbind(), locals.clone()),
            waker: None,
            key: None,
            dropped: false,
        }),
        port,
    });
    let weak = Arc::downgrade(&call);
    let key = call.port.remember(weak)?;
    call.lock().key = Some(key);
    if call.port.is_here() {
        Arc::clone(&call).deliver(py);
    } else {
        call.port.post(Arc::clone(&call) as Arc<dyn Deliver>);
    }
    Ok(PythonFuture(call))
}

fn is_awaitable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    static IS_AWAITABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    if object.get_type().hasattr(intern!(py, "__await__"))? {
        return Ok(true);
    }
    // Generator-based coroutines have a flag instead of the method.
    let is_awaitable = IS_AWAITABLE.import(py, "inspect", "isawaitable")?;
    is_awaitable.call1((object,))?.is_truthy()
}

impl Future for PythonFuture {
    type Output = PyResult<Py<PyAny>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.0.lock();
        if matches!(inner.stage, Stage::Done(_)) {
            if let Stage::Done(result) = std::mem::replace(&mut inner.stage, Stage::Over) {
                return Poll::Ready(result);
            }
        }
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for PythonFuture {
    fn drop(&mut self) {
        let (waker, over) = {
            let mut inner = self.0.lock();
            inner.dropped = true;
            (inner.waker.take(), matches!(inner.stage, Stage::Over))
        };
        // Its panic would be one in a drop, which can end the process.
        if let Err(panic) = error::drop_caught(waker) {
            self.0.port.report(panic);
        }
        if !over {
            self.0.port.post(Arc::clone(&self.0) as Arc<dyn Deliver>);
        }
    }
}

impl fmt::Debug for PythonFuture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PythonFuture")
            .finish_non_exhaustive()
    }
}

/// What the Rust future and the loop's side share.
struct PythonCall {
    port: Arc<Port>,
    inner: Mutex<Inner>,
}

struct Inner {
    stage: Stage,
    waker: Option<Waker>,
    /// Under which the port remembers the call.
    key: Option<usize>,
    /// Whether the Rust future is gone.
    dropped: bool,
}

/// `New` to `Running` to `Done` to `Over`; a call that is dropped goes straight to `Over`.
enum Stage {
    /// Waits for the loop's thread to start it.
    New(Py<PyAny>, TaskLocals),
    /// The task or future of asyncio's that runs it.
    Running(Py<PyAny>),
    /// Its result, until the Rust future takes it.
    Done(PyResult<Py<PyAny>>),
    Over,
}

impl PythonCall {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has asyncio run the awaitable. On the loop's thread.
    fn start(
        self: &Arc<Self>,
        awaitable: Bound<'_, PyAny>,
        locals: &TaskLocals,
    ) -> PyResult<Py<PyAny>> {
        let py = awaitable.py();
        let event_loop = locals.event_loop(py);
        let task = locals.within(py, || {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "loop"), &event_loop)?;
            ensure_future(py)?.call((&awaitable,), Some(&keywords))
        });
        let task = task
            .and_then(|task| task)
            .inspect_err(|_| close_coroutine(&awaitable))?;
        let callback = DoneCallback(Arc::clone(self));
        locals.within(py, || {
            task.call_method1(intern!(py, "add_done_callback"), (callback,))
        })??;
        Ok(task.unbind())
    }

    /// Keeps what runs the awaitable, to cancel it; unless that has called back already, which
    /// futures of asyncio's never do when they are given the callback, but others may.
    fn keep_running(&self, task: Py<PyAny>) {
        let mut inner = self.lock();
        if inner.key.is_some() {
            inner.stage = Stage::Running(task);
        }
    }

    /// Keeps the result for the Rust future and wakes it.
    fn finish(&self, py: Python<'_>, result: PyResult<Py<PyAny>>) {
        let (old, waker, key) = {
            let mut inner = self.lock();
            let next = match inner.dropped {
                true => Stage::Over,
                false => Stage::Done(result),
            };
            let old = std::mem::replace(&mut inner.stage, next);
            (old, inner.waker.take(), inner.key.take())
        };
        if let Some(key) = key {
            self.port.forget(key);
        }
        drop(old);
        // The waker may be the extension's own; the loop is not the one to hear of its panic.
        if let Err(panic) = error::caught(|| waker.map(Waker::wake)) {
            panic.write_unraisable(py, None);
        }
    }
}

impl Deliver for PythonCall {
    /// Starts the call; or cancels it, or gives its result back, if the Rust future is gone.
    fn deliver(self: Arc<Self>, py: Python<'_>) {
        let (stage, dropped) = {
            let mut inner = self.lock();
            match (&inner.stage, inner.dropped) {
                (Stage::Running(_) | Stage::Done(_) | Stage::Over, false) => return,
                (_, dropped) => (std::mem::replace(&mut inner.stage, Stage::Over), dropped),
            }
        };
        match stage {
            Stage::New(awaitable, _) if dropped => {
                close_coroutine(awaitable.bind(py));
                self.finish(py, Err(error::loop_closed()));
            }
            Stage::New(awaitable, locals) => match self.start(awaitable.into_bound(py), &locals) {
                Ok(task) => self.keep_running(task),
                Err(error) => self.finish(py, Err(error)),
            },
            Stage::Running(task) => {
                if let Err(error) = task.bind(py).call_method0(intern!(py, "cancel")) {
                    if self.port.is_open() {
                        error.write_unraisable(py, Some(task.bind(py)));
                    }
                }
            }
            Stage::Done(_) | Stage::Over => {}
        }
    }

    fn closed(self: Arc<Self>, py: Python<'_>) {
        let stage = {
            let mut inner = self.lock();
            match inner.stage {
                Stage::Done(_) | Stage::Over => return,
                Stage::New(..) | Stage::Running(_) => {
                    std::mem::replace(&mut inner.stage, Stage::Over)
                }
            }
        };
        if let Stage::New(awaitable, _) = &stage {
            close_coroutine(awaitable.bind(py));
        }
        self.finish(py, Err(error::loop_closed()));
    }
}

/// A coroutine that is never to run says so to Python, or it would be warned about.
fn close_coroutine(awaitable: &Bound<'_, PyAny>) {
    let py = awaitable.py();
    if let Ok(close) = awaitable.getattr(intern!(py, "close")) {
        if let Err(error) = close.call0() {
            error.write_unraisable(py, Some(awaitable));
        }
    }
}

fn ensure_future(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static ENSURE_FUTURE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    ENSURE_FUTURE.import(py, "asyncio.tasks", "ensure_future")
}

/// What asyncio calls when the awaitable is done.
#[pyclass(frozen, module = "rsloop_bridge")]
struct DoneCallback(Arc<PythonCall>);

#[pymethods]
impl DoneCallback {
    fn __call__(&self, future: &Bound<'_, PyAny>) {
        let result = future.call_method0(intern!(future.py(), "result"));
        // The loop calls this, with no lock of anybody's held.
        resume::after(future.py(), || {
            self.0.finish(future.py(), result.map(Bound::unbind));
        });
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.inner.try_lock().as_deref().map(|inner| &inner.stage) {
            Ok(Stage::Running(task)) => visit.call(task),
            _ => Ok(()),
        }
    }
}
