//! The polls that are not the executor's: in the call that makes the awaitable, and on the loop's
//! thread, where a Python awaitable has ended that the future waits for, or when the future was
//! woken and is likely to end.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::SendTask;
use crate::awaitable::Settled;
use crate::context::TaskLocals;
use crate::eager::{Record, SLOW};
use crate::exit::PollGuard;
use crate::handover::Handover;
use crate::overdue::{self, Overdue};
use crate::port::Deliver;
use crate::scope::{Owner, Scope};
use crate::{error, executor, exit, resume};

/// The first poll: the end of the future, or the future. In the context of `locals`.
pub(super) fn poll_in_call<F, T>(
    py: Python<'_>,
    locals: Option<TaskLocals>,
    mut future: Pin<Box<F>>,
    waker: &Arc<InPlaceWaker<F, T>>,
) -> PyResult<Result<Settled, Pin<Box<F>>>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    // Before the poll, which may start the executor's threads.
    exit::register(py)?;
    let Some(guard) = PollGuard::enter() else {
        return Err(error::shutting_down());
    };
    let polled = py.detach(|| {
        let polled = waker.poll(locals, Record::of::<F>(), SLOW, |cx| {
            error::poll_caught(future.as_mut(), cx)
        });
        PyResult::Ok(match polled? {
            // Dropped before the conversion, which may run any code of Python's.
            Poll::Ready(output) => Ok(error::drop_spent(future, output)),
            Poll::Pending => Err(future),
        })
    })?;
    drop(guard);
    Ok(polled.map(|output| Settled::from_output(py, output)))
}

/// The waker of polls in place: has the task polled on, in place again or by the executor.
pub(super) struct InPlaceWaker<F, T>(Handover<Arc<SendTask<F, T>>>);

/// Stands for the polls of a type of future after Python's end in the records.
struct Resumed<F>(PhantomData<F>);

/// Stands for those after other wakes. The loop makes them only if they are the last: then it has
/// the result where it belongs, and otherwise it has worked for an executor that has the time.
struct Finished<F>(PhantomData<F>);

impl<F, T> InPlaceWaker<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    pub(super) fn new() -> Self {
        Self(Handover::new())
    }

    /// Keeps the task of a future that is pending until it is woken. Returned if it was already.
    #[must_use]
    pub(super) fn leave(&self, task: Arc<SendTask<F, T>>) -> Option<Arc<SendTask<F, T>>> {
        self.0.leave(task)
    }

    /// Polls by `poll`, and a second time if the future was woken during that: by itself, to
    /// yield, or by a thread that was faster. Notes in `record` how long it took; a future that is
    /// pending in the end may take `slow_pending`. Detached.
    ///
    /// # Errors
    /// The executor's, if it cannot start its threads. `poll` was not called, then.
    fn poll<R>(
        self: &Arc<Self>,
        locals: Option<TaskLocals>,
        record: Record<'_>,
        slow_pending: Duration,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> PyResult<Poll<R>> {
        let began = Instant::now();
        let scope = locals.map(|locals| Scope::enter(Owner::Given(locals)));
        let entered = executor::enter()?;
        let task_waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&task_waker);
        let mut polled = poll(&mut cx);
        if polled.is_pending() && began.elapsed() < SLOW && self.0.again() {
            polled = poll(&mut cx);
        }
        drop((entered, scope));
        let limit = if polled.is_ready() {
            SLOW
        } else {
            slow_pending
        };
        record.note(began.elapsed(), limit);
        Ok(polled)
    }

    /// Polls `task`, which Python's end has woken, here if its loop runs here.
    fn resume(self: Arc<Self>, py: Python<'_>, task: Arc<SendTask<F, T>>) {
        let Some(locals) = task.link.locals() else {
            return; // cancelled meanwhile
        };
        if locals.are_of_running_loop(py) {
            self.poll_on(py, task, locals, Record::of::<Resumed<F>>(), SLOW);
        } else {
            task.hand_over();
        }
    }

    /// Leaves `task`, which was woken, to its loop's thread.
    fn ask_loop(self: &Arc<Self>, task: Arc<SendTask<F, T>>) {
        let port = Arc::clone(task.link.port());
        self.0.put(task);
        // Not before the task is there for whoever comes first.
        if overdue::watch(Arc::downgrade(self) as _) {
            port.post(Arc::clone(self) as _);
        } else {
            Arc::clone(self).overdue();
        }
    }

    /// Polls `task`, which was woken, on its loop's thread, and delivers its result.
    ///
    /// In the context of `locals`: what is current there is of whatever the loop was called from,
    /// or of what all its futures share, and what the future sets would stay in that.
    fn poll_on(
        self: Arc<Self>,
        py: Python<'_>,
        task: Arc<SendTask<F, T>>,
        locals: TaskLocals,
        record: Record<'_>,
        slow_pending: Duration,
    ) {
        let Some(_guard) = PollGuard::enter() else {
            // The interpreter exits: never polled again, never dropped.
            std::mem::forget(task);
            return;
        };
        self.0.rearm();
        let scope = locals.clone();
        let polled = locals.within(py, || {
            py.detach(|| self.poll(Some(scope), record, slow_pending, |cx| task.poll(cx)))
        });
        let left = match polled.and_then(|polled| polled) {
            Ok(Poll::Ready(_)) => return task.deliver(py),
            Ok(Poll::Pending) => self.leave(task),
            Err(error) => {
                error.write_unraisable(py, None);
                Some(task)
            }
        };
        if let Some(task) = left {
            task.hand_over();
        }
    }
}

impl<F, T> Wake for InPlaceWaker<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(task) = self.0.wake() else {
            return;
        };
        if exit::is_exiting() || task.link.port().is_inherited() {
            // Never polled again, never dropped.
            std::mem::forget(task);
            return;
        }
        if resume::is_possible(task.link.port()) {
            if Record::of::<Resumed<F>>().allows() {
                let waker = Arc::clone(self);
                return resume::leave(move |py| waker.resume(py, task));
            }
        } else if task.link.port().has_time() && Record::of::<Finished<F>>().allows() {
            return self.ask_loop(task);
        }
        task.hand_over();
    }
}

impl<F, T> Deliver for InPlaceWaker<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn deliver(self: Arc<Self>, py: Python<'_>) {
        let Some(task) = self.0.claim() else {
            return; // it was overdue
        };
        if let Some(locals) = task.link.locals() {
            let record = Record::of::<Finished<F>>();
            self.poll_on(py, task, locals, record, Duration::ZERO);
        }
    }

    /// The port tells the task itself.
    fn closed(self: Arc<Self>, _: Python<'_>) {}
}

impl<F, T> Overdue for InPlaceWaker<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn overdue(self: Arc<Self>) {
        if exit::is_exiting() {
            return;
        }
        if let Some(task) = self.0.claim() {
            task.hand_over();
        }
    }
}
