//! Where `Send` futures run: one trait, and one file for each executor that implements it.
//!
//! | feature | executor | blocking calls |
//! | --- | --- | --- |
//! | `async-std`, the default | async-std's global executor | async-std's threads for them |
//! | `smol` | smol's global executor | smol's threads for them |
//! | `tokio` | a runtime of tokio's with many threads | the same runtime's threads for them |
//!
//! `statics` is what the first two have in common.
//!
//! A child made by `fork` has none of its parent's threads. There a runtime of tokio's is built
//! anew, as is an executor whose [`after_fork`](Executor::after_fork) says how; `Send` futures are
//! refused where that cannot be, and blocking calls run on threads of their own.
//!
//! If more than one is enabled, `tokio` is taken before `smol`, and that before `async-std`. An
//! extension that enables none, or has an executor of its own, calls [`set_executor`] while its
//! module is being imported.

#[cfg(all(feature = "async-std", not(any(feature = "smol", feature = "tokio"))))]
mod async_std;
#[cfg(all(feature = "smol", not(feature = "tokio")))]
mod smol;
#[cfg(all(any(feature = "async-std", feature = "smol"), not(feature = "tokio")))]
mod statics;
#[cfg(feature = "tokio")]
mod tokio;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use pyo3::{PyErr, PyResult};

use crate::error;
use crate::fork::PerProcess;

#[cfg(feature = "tokio")]
pub use self::tokio::Tokio;

/// Something that polls futures on threads of its own, and runs blocking calls.
///
/// Its methods are called on any thread, attached to Python or not; they must not block, nor
/// take the GIL.
pub trait Executor: Send + Sync + 'static {
    /// Polls `work` to its end, on any thread but never in this call. It may be dropped without
    /// having been polled to its end only when the process exits.
    fn spawn(&self, work: Work);

    /// Runs `call` on a thread where it may block, not in this call.
    fn spawn_blocking(&self, call: BlockingCall);

    /// Makes this executor the current one of this thread, for a poll that happens outside its
    /// threads, until the guard is dropped. Most executors have no such notion.
    fn enter(&self) -> EnterGuard<'_> {
        EnterGuard(None)
    }

    /// What takes the place of this executor in a child made by `fork`, where its threads are not.
    ///
    /// Called in the child, with its first future. `self` is a copy of what the parent had, as it
    /// was at the fork: its locks may be taken for ever, and its queues hold the parent's work. So
    /// build a new one. None, which is what this does if it is not defined, refuses `Send` futures
    /// in the child.
    fn after_fork(&self) -> Option<Box<dyn Executor>> {
        None
    }
}

/// The future of the bridge's that an executor is given. Its polls do not panic.
pub struct Work(Arc<dyn Drive>);

/// The call that an executor is given, which may block. It does not panic.
pub struct BlockingCall(Arc<dyn Drive>);

/// Keeps an executor entered until it is dropped, on the same thread.
pub struct EnterGuard<'a>(
    #[expect(dead_code, reason = "held for what dropping it does")] Option<Box<dyn Held + 'a>>,
);

impl<'a> EnterGuard<'a> {
    /// Holds `guard`, an executor's own, for its drop.
    pub fn new(guard: impl Sized + 'a) -> Self {
        Self(Some(Box::new(guard)))
    }
}

/// Anything, held for its drop.
trait Held {}
impl<T> Held for T {}

/// Makes all `Send` futures of this extension run on `executor`, in place of the one of the
/// crate's features.
///
/// Once in a process, and before its first future: best while the module is being imported.
///
/// # Errors
/// The executor itself, if futures have run already or another executor was set.
pub fn set_executor<E: Executor>(executor: E) -> Result<(), ExecutorInUse<E>> {
    let mut new = Some(executor);
    CHOSEN.get_or_init(|_| {
        let executor = new.take().map(|executor| Box::new(executor) as _);
        executor.ok_or(Lack::NoFeature)
    });
    match new {
        None => Ok(()),
        Some(executor) => Err(ExecutorInUse(executor)),
    }
}

/// Refusal of [`set_executor`], with the executor that came too late.
pub struct ExecutorInUse<E>(pub E);

impl<E> fmt::Debug for ExecutorInUse<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExecutorInUse")
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Display for ExecutorInUse<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an executor is in use already: set yours while the module is imported")
    }
}

impl<E> std::error::Error for ExecutorInUse<E> {}

/// The executor of this process, from the first look on.
static CHOSEN: PerProcess<Chosen> = PerProcess::new();

type Chosen = Result<Box<dyn Executor>, Lack>;

/// Why there is no executor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// The crate has no feature for one, and none was set.
    NoFeature,
    /// Its threads stayed with the parent.
    Forked,
}

impl From<Lack> for PyErr {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::NoFeature => error::no_executor(),
            Lack::Forked => error::forked(),
        }
    }
}

/// A task that an executor polls.
pub(crate) trait Drive: Send + Sync {
    /// Polls once.
    fn drive(self: Arc<Self>, cx: &mut Context<'_>) -> Poll<()>;
}

impl Future for Work {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Arc::clone(&self.0).drive(cx)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Work").finish_non_exhaustive()
    }
}

impl BlockingCall {
    /// Makes the call. It returns when the call does.
    pub fn run(self) {
        // One poll makes the whole call.
        let _ready = self
            .0
            .drive(&mut Context::from_waker(std::task::Waker::noop()));
    }
}

impl fmt::Debug for BlockingCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlockingCall")
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

/// On which of its threads an executor is to drive a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// Those that poll.
    Polling,
    /// Those that may block.
    Blocking,
}

/// Refuses a future that has to wait for a thread, unless there is an executor.
pub(crate) fn available() -> PyResult<()> {
    match chosen() {
        Ok(_) => Ok(()),
        Err(lack) => Err((*lack).into()),
    }
}

/// Gives a task to the executor.
pub(crate) fn spawn(task: Arc<dyn Drive>, threads: Threads) -> PyResult<()> {
    // An executor that cannot start its threads panics.
    error::caught(|| {
        match (chosen(), threads) {
            (Ok(executor), Threads::Polling) => executor.spawn(Work(task)),
            (Ok(executor), Threads::Blocking) => executor.spawn_blocking(BlockingCall(task)),
            // It needs nothing of an executor but a thread.
            (Err(Lack::Forked), Threads::Blocking) => {
                thread::spawn(|| BlockingCall(task).run());
            }
            (Err(lack), _) => return Err((*lack).into()),
        }
        Ok(())
    })?
}

/// Makes the executor the current one of this thread, until the guard is dropped.
pub(crate) fn enter() -> PyResult<EnterGuard<'static>> {
    // One that has threads to start first may panic, as above.
    error::caught(|| match chosen() {
        Ok(executor) => executor.enter(),
        Err(_) => EnterGuard(None),
    })
}

fn chosen() -> &'static Chosen {
    CHOSEN.get_or_init(|parents| match parents {
        None => of_feature().ok_or(Lack::NoFeature),
        Some(Ok(executor)) => executor.after_fork().ok_or(Lack::Forked),
        Some(Err(lack)) => Err(*lack),
    })
}

/// The executor this crate was built with.
fn of_feature() -> Option<Box<dyn Executor>> {
    #[cfg(feature = "tokio")]
    return Some(Box::new(Tokio::new()));
    #[cfg(all(feature = "smol", not(feature = "tokio")))]
    return Some(Box::new(statics::Static::<smol::Smol>::new()));
    #[cfg(all(feature = "async-std", not(any(feature = "smol", feature = "tokio"))))]
    return Some(Box::new(statics::Static::<async_std::AsyncStd>::new()));
    #[cfg(not(any(feature = "async-std", feature = "smol", feature = "tokio")))]
    return None;
}

#[cfg(all(test, any(feature = "async-std", feature = "smol", feature = "tokio")))]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};
    use std::task::{Context, Poll};
    use std::thread::{self, ThreadId};

    use super::{BlockingCall, Drive, Threads, Work};

    /// Pending once; then tells on which thread it is.
    struct Teller(Mutex<(bool, mpsc::Sender<ThreadId>)>);

    impl Drive for Teller {
        fn drive(self: Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
            let mut inner = self.0.lock().expect("nobody panics in here");
            if !std::mem::replace(&mut inner.0, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let here = thread::current().id();
            inner.1.send(here).expect("the test waits");
            Poll::Ready(())
        }
    }

    fn told(threads: Threads) -> ThreadId {
        let (sender, receiver) = mpsc::channel();
        let polled_before = threads == Threads::Blocking;
        let teller = Teller(Mutex::new((polled_before, sender)));
        // Not by `spawn`, whose errors are Python's: these tests are not linked to that.
        let Ok(executor) = super::chosen() else {
            panic!("a feature is enabled");
        };
        match threads {
            Threads::Polling => executor.spawn(Work(Arc::new(teller))),
            Threads::Blocking => executor.spawn_blocking(BlockingCall(Arc::new(teller))),
        }
        receiver.recv().expect("the task is driven to its end")
    }

    #[test]
    fn futures_are_polled_to_their_end_on_another_thread() {
        assert_ne!(told(Threads::Polling), thread::current().id());
    }

    #[test]
    fn blocking_calls_run_on_another_thread() {
        assert_ne!(told(Threads::Blocking), thread::current().id());
    }

    #[test]
    fn an_executor_that_comes_late_is_given_back() {
        struct Late;
        impl super::Executor for Late {
            fn spawn(&self, _: Work) {}
            fn spawn_blocking(&self, _: BlockingCall) {}
        }
        told(Threads::Polling);
        let refusal = super::set_executor(Late).unwrap_err();
        assert!(refusal.to_string().contains("in use already"));
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn an_entered_tokio_is_the_current_runtime() {
        assert!(::tokio::runtime::Handle::try_current().is_err());
        // Not by `enter`, whose errors are Python's, too.
        let Ok(executor) = super::chosen() else {
            panic!("a feature is enabled");
        };
        let entered = executor.enter();
        assert!(::tokio::runtime::Handle::try_current().is_ok());
        drop(entered);
        assert!(::tokio::runtime::Handle::try_current().is_err());
    }
}
