//! A Rust stream as a Python asynchronous iterator.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pyo3::IntoPyObjectExt as _;
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
    let slot = Slot::new(Kept {
        stream: Box::pin(stream),
        returned: None,
    });
    Ok(Bound::new(py, RustStream(Arc::new(slot)))?.into_any())
}

/// What rests in the slot.
struct Kept<S, T> {
    stream: Pin<Box<S>>,
    /// The last item, if the wait for it was cancelled before Python had it. The next wait gets it.
    returned: Option<PyResult<T>>,
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

impl<S, T> Source for Slot<Kept<S, T>>
where
    S: Stream<Item = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn next<'py>(self: Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let holder = Holder {
            slot: self,
            held: None,
            in_poll: false,
        };
        send::into_py(py, None, Next(Some(holder)), FirstPoll::InCall)
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

/// The wait for one item, until that is ready. Dropping it loses none: the stream goes back.
struct Next<S, T>(Option<Holder<S, T>>);

// Nothing of it is pinned: the stream is in a box.
impl<S, T> Unpin for Next<S, T> {}

impl<S, T> Future for Next<S, T>
where
    S: Stream<Item = PyResult<T>>,
{
    type Output = PyResult<Item<S, T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(holder) = &mut this.0 else {
            return Poll::Ready(Err(exhausted()));
        };
        match ready!(holder.poll_next(cx)) {
            Some(item) => Poll::Ready(Ok(Item {
                item: Some(item),
                holder: this.0.take(),
            })),
            None => Poll::Ready(Err(exhausted())),
        }
    }
}

/// An item on its way to Python. It goes back with the stream if the wait for it is cancelled.
///
/// The stream stays with it until then, so that no other item can come before this one.
struct Item<S, T> {
    /// `None` once Python has it. An error travels as any item does.
    item: Option<PyResult<T>>,
    holder: Option<Holder<S, T>>,
}

impl<'py, S, T> IntoPyObject<'py> for Item<S, T>
where
    S: Send,
    T: IntoPyObject<'py> + Send,
{
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(mut self, py: Python<'py>) -> PyResult<Self::Output> {
        let item = self.item.take().unwrap_or_else(|| Err(exhausted()));
        // Detached, because what it may drop may wait for a thread that wants to attach.
        let holder = self.holder.take();
        py.detach(|| error::drop_caught(holder))?;
        item?.into_bound_py_any(py)
    }
}

impl<S, T> Drop for Item<S, T> {
    fn drop(&mut self) {
        if let Some(kept) = self.holder.as_mut().and_then(|holder| holder.held.as_mut()) {
            kept.returned = self.item.take();
        }
    }
}

/// Who wants an item, with the stream once that is there. Dropping it gives the stream back.
struct Holder<S, T> {
    slot: Arc<Slot<Kept<S, T>>>,
    held: Option<Kept<S, T>>,
    /// Whether the stream is being polled; in a drop, whether that poll panicked.
    in_poll: bool,
}

impl<S, T> Holder<S, T>
where
    S: Stream<Item = PyResult<T>>,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<PyResult<T>>> {
        let kept = match &mut self.held {
            Some(kept) => kept,
            none => match self.slot.take(cx.waker()) {
                Taken::Held(kept) => none.insert(kept),
                Taken::Wait => return Poll::Pending,
                Taken::Over => return Poll::Ready(None),
            },
        };
        if let Some(item) = kept.returned.take() {
            return Poll::Ready(Some(item));
        }
        self.in_poll = true;
        let polled = kept.stream.as_mut().poll_next(cx);
        self.in_poll = false;
        match polled {
            Poll::Ready(Some(item)) => Poll::Ready(Some(item)),
            Poll::Pending if self.slot.keep(cx.waker()) => Poll::Pending,
            Poll::Pending | Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
        }
    }
}

impl<S, T> Holder<S, T> {
    /// Drops the stream, if it is still here.
    fn end(&mut self) {
        let Some(kept) = self.held.take() else {
            return;
        };
        // Also if the stream's drop panics, or those who wait would wait for ever.
        let _end = EndOnDrop(&self.slot);
        drop(kept);
    }
}

impl<S, T> Drop for Holder<S, T> {
    fn drop(&mut self) {
        if !self.in_poll {
            if let Some(kept) = self.held.take() {
                self.held = self.slot.give_back(kept);
            }
        }
        self.end();
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
