//! A Python asynchronous iterator as a Rust stream.

use std::ffi::CString;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{PyTraverseError, PyVisit, intern};

use super::channel::Channel;
use crate::context::TaskLocals;
use crate::port::{Deliver, Port};
use crate::python_future::{self, PythonFuture};
use crate::{error, local};

type Items = Channel<Py<PyAny>>;

/// A Python asynchronous iterator that Rust iterates over; see
/// [`into_stream_with_locals`](crate::rust_async::into_stream_with_locals).
///
/// Dropping it before its end cancels the Python side, soon, on the loop's thread.
#[must_use = "dropping it cancels the Python side"]
pub struct PythonStream {
    items: Arc<Items>,
    /// The task that brings them; None once it has ended.
    task: Option<PythonFuture>,
    /// What it ended with, until that has been told.
    failure: Option<PyErr>,
    port: Arc<Port>,
}

/// Starts iterating over `iterable` on the loop of `locals`.
pub(crate) fn start(locals: &TaskLocals, iterable: &Bound<'_, PyAny>) -> PyResult<PythonStream> {
    let py = iterable.py();
    if !iterable.hasattr(intern!(py, "__aiter__"))? {
        return Err(PyTypeError::new_err(format!(
            "expected an asynchronous iterable, not {}",
            iterable.get_type().fully_qualified_name()?
        )));
    }
    let iterator = locals.within(py, || iterable.call_method0(intern!(py, "__aiter__")))??;
    let items = Arc::new(Items::new());
    let sink = Bound::new(py, Sink(Arc::clone(&items)))?;
    let pump = pump(py)?.call1((iterator, sink))?;
    let task = match python_future::start(locals, pump.clone()) {
        Ok(task) => task,
        Err(error) => {
            // A coroutine that is never to run says so to Python, or it would be warned about.
            pump.call_method0(intern!(py, "close"))?;
            return Err(error);
        }
    };
    Ok(PythonStream {
        items,
        task: Some(task),
        failure: None,
        port: Arc::clone(locals.port()),
    })
}

fn pump(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static PUMP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let pump = PUMP.get_or_try_init(py, || {
        let source = CString::new(include_str!("pump.py"))?;
        let module = PyModule::from_code(py, &source, c"<rsloop_bridge pump>", c"_rsloop_pump")?;
        PyResult::Ok(module.getattr("pump")?.unbind())
    })?;
    Ok(pump.bind(py))
}

impl Stream for PythonStream {
    type Item = PyResult<Py<PyAny>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Poll::Ready(item) = this.items.poll_item(cx) {
                return Poll::Ready(Some(Ok(item)));
            }
            let Some(task) = &mut this.task else {
                return Poll::Ready(this.failure.take().map(Err));
            };
            match Pin::new(task).poll(cx) {
                Poll::Pending => return Poll::Pending,
                // Once more for items: the last of them may have come since the look above.
                Poll::Ready(ended) => {
                    this.task = None;
                    this.failure = ended.err();
                }
            }
        }
    }
}

impl Drop for PythonStream {
    fn drop(&mut self) {
        // Cancels the task; what it has brought is given back where it came from.
        drop(self.task.take());
        let items = Arc::clone(&self.items);
        self.port.post(Arc::new(Leftovers(items)));
    }
}

impl fmt::Debug for PythonStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PythonStream")
            .finish_non_exhaustive()
    }
}

/// Items that nobody took.
struct Leftovers(Arc<Items>);

impl Deliver for Leftovers {
    fn deliver(self: Arc<Self>, _py: Python<'_>) {
        drop(self.0.take_all());
    }

    fn closed(self: Arc<Self>, py: Python<'_>) {
        self.deliver(py);
    }
}

/// The end of the channel that Python has.
#[pyclass(frozen, module = "rsloop_bridge")]
struct Sink(Arc<Items>);

#[pymethods]
impl Sink {
    /// Add an item. Return None, or an awaitable of there being room for another.
    fn put<'py>(&self, py: Python<'py>, item: Py<PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // It wakes the receiver, whose waker may be the extension's own.
        if error::caught(|| self.0.push(item))? {
            return Ok(None);
        }
        let items = Arc::clone(&self.0);
        let room = async move {
            poll_fn(|cx| items.poll_room(cx)).await;
            Ok(())
        };
        // On the loop: whoever takes an item wakes it without a detour by the executor.
        local::into_py(py, None, room).map(Some)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.try_look(|item| visit.call(item))
    }

    fn __clear__(&self) {
        drop(self.0.take_all());
    }
}
