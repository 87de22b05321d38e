//! async-std's global executor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{BlockingCall, Executor, Work, forked};

/// async-std starts its threads by itself, with the first task. Set from then on.
#[derive(Default)]
pub(super) struct AsyncStd(AtomicBool);

impl Executor for AsyncStd {
    fn spawn(&self, work: Work) {
        self.0.store(true, Ordering::Relaxed);
        // Dropping the handle detaches the task.
        drop(async_std::task::spawn(work));
    }

    fn spawn_blocking(&self, call: BlockingCall) {
        self.0.store(true, Ordering::Relaxed);
        drop(async_std::task::spawn_blocking(|| call.run()));
    }

    fn after_fork(&self) -> Option<Box<dyn Executor>> {
        let works = !self.0.load(Ordering::Relaxed)
            && forked::works(|answer| {
                drop(async_std::task::spawn(async move {
                    async_std::task::spawn_blocking(|| ()).await;
                    async_std::task::sleep(Duration::from_millis(1)).await;
                    // Refused where nobody waits any more.
                    let _ = answer.send(());
                }));
            });
        works.then(|| Box::<Self>::default() as _)
    }
}
