//! Futures that are not `Send`: polled, and dropped, on the loop's own thread only.
//!
//! `bound` holds what only one thread may touch.

mod bound;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use self::bound::Bound;
use crate::awaitable::{Link, RustFuture, Settled, Task};
use crate::cancel::{Cancellable, Visit};
use crate::context::TaskLocals;
use crate::eager::{Awaited, Record};
use crate::exit::PollGuard;
use crate::port::Deliver;
use crate::{error, executor, exit, resume};

/// Makes the awaitable of a future, for the given loop and context or for the current ones.
pub(crate) fn into_py<F, T>(
    py: Python<'_>,
    locals: Option<TaskLocals>,
    future: F,
) -> PyResult<pyo3::Bound<'_, PyAny>>
where
    F: Future<Output = PyResult<T>> + 'static,
    T: for<'a> IntoPyObject<'a> + 'static,
{
    if exit::is_exiting() {
        return Err(error::shutting_down());
    }
    let locals = match locals {
        Some(locals) => locals,
        None => TaskLocals::current(py)?,
    };
    if !locals.port().is_here() {
        return Err(PyRuntimeError::new_err(
            "a future that is not Send must be made on the thread of its event loop",
        ));
    }
    let event_loop = locals.event_loop(py);
    let task = Arc::new(LocalTask {
        link: Link::new(locals),
        scheduled: AtomicBool::new(true),
        future: Bound::new(Cancellable::new(Box::pin(future))),
    });
    let awaitable = RustFuture::pending(event_loop, Arc::clone(&task) as Arc<dyn Task>)?;
    let awaitable = pyo3::Bound::new(py, awaitable)?;
    Link::register(&task)?;
    task.deliver(py);
    Ok(awaitable.into_any())
}

/// A future bound to its loop's thread.
struct LocalTask<F> {
    link: Link,
    /// Whether a poll is in progress that has yet to begin: further wakes add nothing.
    scheduled: AtomicBool,
    future: Bound<Cancellable<Pin<Box<F>>>>,
}

impl<F, T> Deliver for LocalTask<F>
where
    F: Future<Output = PyResult<T>> + 'static,
    T: for<'a> IntoPyObject<'a> + 'static,
{
    /// Polls. On the loop's thread, attached, in the captured context.
    fn deliver(self: Arc<Self>, py: Python<'_>) {
        let Some(_guard) = PollGuard::enter() else {
            // The interpreter exits: never polled again, never dropped.
            std::mem::forget(self);
            return;
        };
        let Some(future) = self.future.get() else {
            return;
        };
        let Some(locals) = self.link.locals() else {
            // Cancelled from another thread, which left the dropping to this one.
            drop_reporting(py, future.take());
            return;
        };
        // Before the poll: a wake during the poll asks for another one.
        self.scheduled.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self));
        let polled = locals.within(py, || {
            let visit = future.visit(|future| match executor::enter() {
                Ok(_entered) => {
                    let mut cx = Context::from_waker(&waker);
                    error::poll_caught(future.as_mut(), &mut cx)
                }
                Err(error) => Poll::Ready(Err(error)),
            });
            match visit {
                Visit::Used(Poll::Ready(output)) => {
                    let output = error::drop_spent(future.take(), output);
                    Some(Settled::from_output(py, output))
                }
                Visit::Evicted(future) => {
                    drop_reporting(py, Some(future));
                    None
                }
                Visit::Used(Poll::Pending) | Visit::Absent => None,
            }
        });
        let settled = match polled {
            Ok(None) => return,
            Ok(Some(settled)) => settled,
            Err(error) => {
                drop_reporting(py, future.take());
                Settled::from_result(py, Err(error))
            }
        };
        if self.link.end().is_some() {
            self.link.settle(py, settled);
        }
    }

    fn closed(self: Arc<Self>, py: Python<'_>) {
        self.cancel(py);
    }
}

impl<F, T> Task for LocalTask<F>
where
    F: Future<Output = PyResult<T>> + 'static,
    T: for<'a> IntoPyObject<'a> + 'static,
{
    fn link(&self) -> &Link {
        &self.link
    }

    fn awaits(&self) -> Record<'static> {
        Record::of::<Awaited<F>>()
    }

    fn cancel(self: Arc<Self>, py: Python<'_>) {
        if self.link.port().is_inherited() {
            std::mem::forget(self);
            return;
        }
        let awaitable = self.link.let_go();
        let locals = self.link.end();
        match self.future.get() {
            Some(future) => drop_reporting(py, future.cancel()),
            // The garbage collector may run anywhere; the loop's thread drops the future.
            None => self.post(),
        }
        drop((awaitable, locals));
    }
}

impl<F, T> Wake for LocalTask<F>
where
    F: Future<Output = PyResult<T>> + 'static,
    T: for<'a> IntoPyObject<'a> + 'static,
{
    fn wake(self: Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            self.go_on();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            Arc::clone(self).go_on();
        }
    }
}

impl<F, T> LocalTask<F>
where
    F: Future<Output = PyResult<T>> + 'static,
    T: for<'a> IntoPyObject<'a> + 'static,
{
    /// Has the loop's thread poll, where the waker was called, or soon.
    fn go_on(self: Arc<Self>) {
        if resume::is_possible(self.link.port()) {
            resume::leave(move |py| self.resume(py));
        } else {
            self.post();
        }
    }

    /// Has the loop poll soon.
    fn post(self: Arc<Self>) {
        let port = Arc::clone(self.link.port());
        port.post(self);
    }

    /// Polls now, on the loop's thread; or soon, where Python code runs callbacks itself: in a
    /// poll of this future, or while its loop does not run.
    fn resume(self: Arc<Self>, py: Python<'_>) {
        let in_use = self.future.get().is_some_and(Cancellable::is_in_use);
        let locals = self.link.locals();
        if !in_use && locals.is_some_and(|locals| locals.are_of_running_loop(py)) {
            self.deliver(py);
        } else {
            self.post();
        }
    }
}

/// Drops a future; a panic in its drop is reported as what it is.
fn drop_reporting<D>(py: Python<'_>, future: Option<D>) {
    if let Err(panic) = error::drop_caught(future) {
        panic.write_unraisable(py, None);
    }
}
