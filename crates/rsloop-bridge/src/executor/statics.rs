//! Executors that are statics of their crates, and start their threads by themselves.
//!
//! Neither async-std nor smol can start its threads a second time, and what they share, async-io's
//! thread for timers and sockets, is gone for good in a child made by `fork`: it waits for events
//! with a lock taken, and the child has the lock but not the thread. So in a child they serve only
//! if nobody had started them.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::{BlockingCall, Executor, Work};

/// How long an executor that works may take to show it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A crate that has one executor, which it starts with the first task.
pub(super) trait Statics: Send + Sync + 'static {
    /// Polls `future` to its end.
    fn spawn(future: impl Future<Output = ()> + Send + 'static);

    /// Makes a call that may block.
    fn spawn_blocking(call: BlockingCall);

    /// Needs a thread that may block, and then a timer.
    fn use_all() -> impl Future<Output = ()> + Send;
}

/// The executor of the crate `C`.
pub(super) struct Static<C> {
    /// Whether the bridge has used it in this process.
    used: AtomicBool,
    of: PhantomData<C>,
}

impl<C> Static<C> {
    pub(super) fn new() -> Self {
        Self {
            used: AtomicBool::new(false),
            of: PhantomData,
        }
    }

    /// It is used from now on.
    ///
    /// # Panics
    /// If the system gives no thread, as far as trying to have one shows that: when async-std is
    /// given none for its first task the process aborts, and smol's blocking calls never begin.
    fn begin(&self) {
        if !self.used.load(Ordering::Relaxed) {
            thread::spawn(|| ());
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

impl<C: Statics> Executor for Static<C> {
    fn spawn(&self, work: Work) {
        self.begin();
        C::spawn(work);
    }

    fn spawn_blocking(&self, call: BlockingCall) {
        self.begin();
        C::spawn_blocking(call);
    }

    fn after_fork(&self) -> Option<Box<dyn Executor>> {
        // The extension may have started it without the bridge, so that only trying shows it.
        let works = !self.used.load(Ordering::Relaxed) && works::<C>();
        works.then(|| Box::new(Self::new()) as _)
    }
}

/// Whether all that the executor consists of works in this child.
fn works<C: Statics>() -> bool {
    let (sender, receiver) = channel();
    // On a thread of its own, since it may wait for ever for a lock of the parent's.
    let asked = thread::Builder::new().spawn(|| {
        C::spawn(async move {
            C::use_all().await;
            // Refused where nobody waits any more.
            let _ = sender.send(());
        });
    });
    asked.is_ok() && receiver.recv_timeout(PATIENCE).is_ok()
}
