//! Whose poll this is: the locals of the future that this thread is polling.
//!
//! A worker has no running loop to ask, so each poll of the bridge's leaves its locals where code
//! further up the stack finds them.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pyo3::prelude::*;

use crate::awaitable::Task;
use crate::context::{self, TaskLocals};
use crate::error;

/// Whose locals hold in a scope.
#[derive(Clone)]
pub(crate) enum Owner {
    /// These hold, whatever runs on this thread.
    Given(TaskLocals),
    /// Those of the task that a worker polls, unless Python code runs a loop inside of the poll.
    /// By the task, whose canceller takes its locals from it: a poll that goes on for long must
    /// not keep a closed loop alive.
    Polled(Arc<dyn Task>),
}

thread_local! {
    static CURRENT: RefCell<Option<Owner>> = const { RefCell::new(None) };
}

/// A scope that this thread is in, until it is dropped, on the same thread.
pub(crate) struct Scope {
    outer: Option<Owner>,
    /// Bound to its thread, as a raw pointer is.
    _here: PhantomData<*const ()>,
}

impl Scope {
    pub(crate) fn enter(owner: Owner) -> Self {
        Self {
            outer: CURRENT.replace(Some(owner)),
            _here: PhantomData,
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // Dropped after the cell is let go: the last reference to locals may post to their loop.
        let inner = CURRENT.replace(self.outer.take());
        drop(inner);
    }
}

impl TaskLocals {
    /// Those of the running loop, or of the future that is being polled.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Self> {
        match scoped(py)? {
            Some(locals) => Ok(locals),
            None => Self::capture(&context::running_loop(py)?),
        }
    }

    /// Makes these the locals that [`get_current_locals`](crate::rust_async::get_current_locals)
    /// finds while `future` is polled: for futures that an extension gives to an executor itself.
    pub fn scope<F: Future>(self, future: F) -> Scoped<F> {
        Scoped {
            locals: self,
            future: Box::pin(future),
        }
    }
}

/// The locals of the scope that holds here, if one does.
pub(crate) fn scoped(py: Python<'_>) -> PyResult<Option<TaskLocals>> {
    match CURRENT.with_borrow(Clone::clone) {
        None => Ok(None),
        Some(Owner::Given(locals)) => Ok(Some(locals)),
        Some(Owner::Polled(task)) => match context::find_running_loop(py)? {
            Some(_) => Ok(None),
            None => match task.link().locals() {
                None => Err(error::cancelled_meanwhile()),
                locals => Ok(locals),
            },
        },
    }
}

/// A future with locals of its own; see [`TaskLocals::scope`].
#[must_use = "futures do nothing unless polled"]
pub struct Scoped<F> {
    locals: TaskLocals,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _scope = Scope::enter(Owner::Given(self.locals.clone()));
        self.future.as_mut().poll(cx)
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scoped").finish_non_exhaustive()
    }
}
