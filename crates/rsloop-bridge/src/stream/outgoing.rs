//! A Rust stream as a Python asynchronous iterator.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::prelude::*;

use super::slot::{Slot, Taken};
use crate::send::{self, FirstPoll};
use crate::{error, exit};

/// A Rust stream that Python iterates over with `async for`.
///
/// The stream is polled only while an item is asked for. Dropping the iterator, or `aclose`, drops
/// the stream.
#[pyclass(frozen, weakref, generic, module = "rsloop_bridge")]
pub(crate) struct RustStream(Arc<dyn Source>);

/// A stream whose type is forgotten.
trait Source: Send + Sync {
    fn next<'py>(self: Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;
    fn close<'py>(self: Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;
    /// Drops the stream, unless an item is being waited for; that drops it when it is done.
    fn drop_resting(&self) -> PyResult<()>;
}

/// Makes an asynchronous iterator of `stream`.
pub(crate) fn into_py<S, T>(py: Python<'_>, stream: S) -> PyResult<Bound<'_, PyAny>>
where
    S: Stream<Item = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    let slot: Slot<Pin<Box<S>>> = Slot::new(Box::pin(stream));
    Ok(Bound::new(py, RustStream(Arc::new(slot)))?.into_any())
}

#[pymethods]
impl RustStream {
    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Return an awaitable of the next item.
    fn __anext__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Arc::clone(&self.0).next(py)
    }

    /// Drop the stream. An item that is being waited for ends with StopAsyncIteration.
    ///
    /// Return an awaitable that is done when the stream has been dropped.
    fn aclose<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Arc::clone(&self.0).close(py)
    }
}

impl Drop for RustStream {
    fn drop(&mut self) {
        if exit::is_exiting() {
            // What the stream holds is for an interpreter that is going away.
            std::mem::forget(Arc::clone(&self.0));
            return;
        }
        Python::attach(|py| {
            // An object can be freed while an exception is on its way.
            let on_its_way = PyErr::take(py);
            // Detached, because what it drops may wait for a thread that wants to attach.
            if let Err(panic) = py.detach(|| self.0.drop_resting()) {
                panic.write_unraisable(py, None);
            }
            if let Some(error) = on_its_way {
                error.restore(py);
            }
        });
    }
}

impl<S, T> Source for Slot<Pin<Box<S>>>
where
    S: Stream<Item = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn next<'py>(self: Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let next = Next {
            slot: self,
            held: None,
            in_poll: false,
        };
        send::into_py(py, None, next, FirstPoll::InCall)
    }

    fn close<'py>(self: Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        send::into_py(py, None, Close(self), FirstPoll::InCall)
    }

    fn drop_resting(&self) -> PyResult<()> {
        match self.take_resting() {
            Some(stream) => {
                let dropped = error::drop_caught(stream);
                error::caught(|| self.end()).and(dropped)
            }
            None => Ok(()),
        }
    }
}

/// The wait for one item. Dropping it loses none: the stream goes back.
struct Next<S> {
    slot: Arc<Slot<Pin<Box<S>>>>,
    held: Option<Pin<Box<S>>>,
    /// Whether the stream is being polled; in a drop, whether that poll panicked.
    in_poll: bool,
}

impl<S, T> Future for Next<S>
where
    S: Stream<Item = PyResult<T>>,
{
    type Output = PyResult<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<PyResult<T>> {
        let this = self.get_mut();
        let stream = match &mut this.held {
            Some(stream) => stream,
            none => match this.slot.take(cx.waker()) {
                Taken::Held(stream) => none.insert(stream),
                Taken::Wait => return Poll::Pending,
                Taken::Over => return Poll::Ready(Err(exhausted())),
            },
        };
        this.in_poll = true;
        let polled = stream.as_mut().poll_next(cx);
        this.in_poll = false;
        match polled {
            Poll::Ready(Some(item)) => {
                this.give_back();
                Poll::Ready(item)
            }
            Poll::Pending if this.slot.keep(cx.waker()) => Poll::Pending,
            Poll::Pending | Poll::Ready(None) => {
                this.end();
                Poll::Ready(Err(exhausted()))
            }
        }
    }
}

impl<S> Next<S> {
    fn give_back(&mut self) {
        if let Some(stream) = self.held.take() {
            self.held = self.slot.give_back(stream);
            self.end();
        }
    }

    /// Drops the stream, if it is still here.
    fn end(&mut self) {
        let Some(stream) = self.held.take() else {
            return;
        };
        // Also if the stream's drop panics, or those who wait would wait for ever.
        let _end = EndOnDrop(&self.slot);
        drop(stream);
    }
}

impl<S> Drop for Next<S> {
    fn drop(&mut self) {
        match self.in_poll {
            true => self.end(),
            false => self.give_back(),
        }
    }
}

struct EndOnDrop<'a, S>(&'a Slot<S>);

impl<S> Drop for EndOnDrop<'_, S> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Waits until the stream has been dropped, by this or by its holder.
struct Close<S>(Arc<Slot<S>>);

impl<S> Future for Close<S> {
    type Output = PyResult<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<PyResult<()>> {
        match self.0.close(cx.waker()) {
            Taken::Held(stream) => {
                let dropped = error::drop_caught(stream);
                self.0.end();
                Poll::Ready(dropped)
            }
            Taken::Wait => Poll::Pending,
            Taken::Over => Poll::Ready(Ok(())),
        }
    }
}

/// The end of the iteration. The exception is made when it is first looked at, attached.
fn exhausted() -> PyErr {
    PyStopAsyncIteration::new_err(())
}
