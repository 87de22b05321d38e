//! Where `Send` futures run: one trait, and one file for each executor that implements it.

#[cfg(feature = "async-std")]
mod async_std;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use pyo3::PyResult;

use crate::{error, fork};

#[cfg(not(feature = "async-std"))]
compile_error!("rsloop-bridge needs an executor: enable the feature `async-std` (the default)");

/// Something that polls futures on threads of its own.
pub(crate) trait Executor: Send + Sync {
    /// Polls `work` to its end, on any thread. Must not block, nor poll in this call.
    fn spawn(&self, work: Work);

    /// Runs `job` on a thread where it may block.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the seam for off-loaded blocking calls")
    )]
    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>);

    /// Makes this executor the current one for polls that happen outside its threads, until the
    /// guard is dropped on the same thread.
    fn enter(&self) -> EnterGuard<'_> {
        EnterGuard(None)
    }
}

/// Keeps an executor entered. Empty for executors that need no entering.
pub(crate) struct EnterGuard<'a>(
    #[expect(dead_code, reason = "held for what dropping it does")] Option<Box<dyn Entered + 'a>>,
);

/// Whatever an executor's own guard is.
pub(crate) trait Entered {}
impl<T> Entered for T {}

/// A task that an executor polls.
pub(crate) trait Drive: Send + Sync {
    /// Polls once.
    fn drive(self: Arc<Self>, cx: &mut Context<'_>) -> Poll<()>;
}

/// The future that an executor is given.
pub(crate) struct Work(Arc<dyn Drive>);

impl Future for Work {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Arc::clone(&self.0).drive(cx)
    }
}

/// The executor this crate was built with.
pub(crate) fn rust_executor() -> &'static dyn Executor {
    #[cfg(feature = "async-std")]
    return &async_std::AsyncStd;
}

/// Gives a task to the executor, unless its threads were lost in a fork.
pub(crate) fn spawn(task: Arc<dyn Drive>) -> PyResult<()> {
    /// One more than the generation that started the executor's threads; 0 before that.
    static STARTED_IN: AtomicU32 = AtomicU32::new(0);

    let mine = fork::generation() + 1;
    match STARTED_IN.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed) {
        Err(started_in) if started_in != mine => return Err(error::forked()),
        _ => {}
    }
    rust_executor().spawn(Work(task));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::rust_executor;

    #[test]
    fn a_blocking_job_runs_on_another_thread() {
        let (sender, receiver) = mpsc::channel();
        let here = std::thread::current().id();
        rust_executor().spawn_blocking(Box::new(move || {
            sender.send(std::thread::current().id()).unwrap();
        }));
        assert_ne!(receiver.recv().unwrap(), here);
    }
}
