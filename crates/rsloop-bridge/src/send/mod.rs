//! `Send` futures: polled once in the call and, once woken, by the executor's threads.
//!
//! `in_place` has the polls that are not the executor's.

mod in_place;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pyo3::prelude::*;

use self::in_place::{InPlaceWaker, poll_in_call};
use crate::awaitable::{Link, RustFuture, Settled, Task};
use crate::cancel::{Cancellable, Visit};
use crate::context::{TaskLocals, running_loop};
use crate::eager::{Awaited, Record};
use crate::executor::{self, Drive, Threads};
use crate::exit::PollGuard;
use crate::port::Deliver;
use crate::scope::{Owner, Scope};
use crate::{error, scope};

/// Where the first poll happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstPoll {
    /// In the call, with the GIL released, if such futures have a record of being ready.
    InCall,
    /// On the executor.
    OnExecutor,
    /// On one of the executor's threads that may block, and there is no other poll.
    WhereItMayBlock,
}

/// Makes the awaitable of a future, for the given loop and context or for the current ones.
pub(crate) fn into_py<'py, F, T>(
    py: Python<'py>,
    locals: Option<TaskLocals>,
    future: F,
    first_poll: FirstPoll,
) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    let locals = match locals {
        None => scope::scoped(py)?,
        given => given,
    };
    let event_loop = match &locals {
        Some(locals) => locals.event_loop(py),
        None => running_loop(py)?,
    };
    let mut future = Box::pin(future);
    let mut first_waker = None;
    if first_poll == FirstPoll::InCall && Record::of::<F>().allows() {
        let waker = Arc::new(InPlaceWaker::new());
        let poll = || poll_in_call(py, locals.clone(), future, &waker);
        let polled = match &locals {
            // The context that is current is the one that would be captured.
            None => poll(),
            Some(locals) => locals.within(py, poll)?,
        };
        future = match polled? {
            Ok(settled) => {
                let awaitable = RustFuture::settled(event_loop, settled)?;
                return Ok(Bound::new(py, awaitable)?.into_any());
            }
            Err(pending) => pending,
        };
        // Before anything waits for a wake-up that threads lost in a fork would have to bring.
        executor::available()?;
        first_waker = Some(waker);
    }
    let locals = match locals {
        Some(locals) => locals,
        None => TaskLocals::capture(&event_loop)?,
    };
    let task = Arc::new(SendTask {
        link: Link::new(locals),
        stage: Cancellable::new(Stage::Running(future)),
    });
    let awaitable = RustFuture::pending(event_loop, Arc::clone(&task) as Arc<dyn Task>)?;
    let awaitable = Bound::new(py, awaitable)?;
    Link::register(&task)?;
    let threads = match first_poll {
        FirstPoll::InCall | FirstPoll::OnExecutor => Threads::Polling,
        FirstPoll::WhereItMayBlock => Threads::Blocking,
    };
    let task = match first_waker {
        Some(waker) => waker.leave(task),
        None => Some(task),
    };
    if let Some(task) = task {
        executor::spawn(task, threads)?;
    }
    Ok(awaitable.into_any())
}

/// A future that the executor polls, until its result is on its way to the loop.
struct SendTask<F, T> {
    link: Link,
    stage: Cancellable<Stage<F, T>>,
}

enum Stage<F, T> {
    Running(Pin<Box<F>>),
    /// Not converted yet: that is for the loop's thread. The error is boxed because it is large,
    /// and its room would be taken by each pending future.
    Done(Result<T, Box<PyErr>>),
}

impl<F, T> Drive for SendTask<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn drive(self: Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(_guard) = PollGuard::enter() else {
            // The interpreter exits: never polled again, never dropped.
            return Poll::Pending;
        };
        let _scope = Scope::enter(Owner::Polled(Arc::clone(&self) as Arc<dyn Task>));
        self.poll(cx).map(|end| {
            if end == End::Finished {
                let port = Arc::clone(self.link.port());
                port.post(self);
            }
        })
    }
}

/// Why a future is not polled any more.
#[derive(PartialEq, Eq)]
enum End {
    /// It is done, and its result is to be delivered.
    Finished,
    /// It was cancelled.
    Cancelled,
}

impl<F, T> SendTask<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    /// Polls the future once, and drops it at its end. Detached, with the guard and the scope of
    /// the poll entered.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<End> {
        let visit = self.stage.visit(|stage| {
            let Stage::Running(future) = stage else {
                return Poll::Ready(());
            };
            error::poll_caught(future.as_mut(), cx).map(|output| {
                let finished = std::mem::replace(stage, Stage::Done(output.map_err(Box::new)));
                let dropped = error::drop_caught(finished);
                if let (Err(panic), Stage::Done(Ok(_))) = (dropped, &stage) {
                    *stage = Stage::Done(Err(Box::new(panic)));
                }
            })
        });
        match visit {
            Visit::Used(poll) => poll.map(|()| End::Finished),
            Visit::Evicted(stage) => {
                if let Err(panic) = error::drop_caught(stage) {
                    self.link.port().report(panic);
                }
                Poll::Ready(End::Cancelled)
            }
            Visit::Absent => Poll::Ready(End::Cancelled),
        }
    }

    /// Gives the task to the executor's threads, from any thread.
    fn hand_over(self: Arc<Self>) {
        if let Err(error) = executor::spawn(Arc::clone(&self) as _, Threads::Polling) {
            // Whoever woke the future may hold locks that its drop takes: that is for the loop.
            let port = Arc::clone(self.link.port());
            port.post(Arc::new(Refused { task: self, error }));
        }
    }

    /// Drops the future, now or as soon as a poll in progress ends.
    fn drop_future(&self, py: Python<'_>) {
        let stage = self.stage.cancel();
        if stage.is_some() {
            // Detached, because what it drops may wait for a thread that wants to attach.
            if let Err(panic) = py.detach(|| error::drop_caught(stage)) {
                panic.write_unraisable(py, None);
            }
        }
    }
}

impl<F, T> Deliver for SendTask<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn deliver(self: Arc<Self>, py: Python<'_>) {
        let Some(Stage::Done(output)) = self.stage.take() else {
            return;
        };
        let Some(locals) = self.link.end() else {
            return;
        };
        let output = output.map_err(|error| *error);
        let settled = locals
            .within(py, || Settled::from_output(py, output))
            .unwrap_or_else(|error| Settled::from_result(py, Err(error)));
        self.link.settle(py, settled);
    }

    fn closed(self: Arc<Self>, py: Python<'_>) {
        let _awaitable = self.link.let_go();
        self.cancel(py);
    }
}

impl<F, T> Task for SendTask<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
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
        self.drop_future(py);
        drop(self.link.let_go());
        drop(self.link.end());
    }
}

/// A task that the executor has refused, having no threads: it ends with the error.
struct Refused<F, T> {
    task: Arc<SendTask<F, T>>,
    error: PyErr,
}

impl<F, T> Deliver for Refused<F, T>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    fn deliver(self: Arc<Self>, py: Python<'_>) {
        let link = &self.task.link;
        if link.end().is_some() {
            self.task.drop_future(py);
            link.settle(py, Settled::from_result(py, Err(self.error.clone_ref(py))));
        }
    }

    /// The port tells the task itself.
    fn closed(self: Arc<Self>, _: Python<'_>) {}
}
