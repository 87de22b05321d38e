//! smol's global executor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{BlockingCall, Executor, Work, forked};

/// smol starts its threads by itself, with the first task: as many as the environment variable
/// `SMOL_THREADS` says, or one. Set from then on.
#[derive(Default)]
pub(super) struct Smol(AtomicBool);

impl Executor for Smol {
    fn spawn(&self, work: Work) {
        self.0.store(true, Ordering::Relaxed);
        smol::spawn(work).detach();
    }

    fn spawn_blocking(&self, call: BlockingCall) {
        self.0.store(true, Ordering::Relaxed);
        smol::unblock(|| call.run()).detach();
    }

    fn after_fork(&self) -> Option<Box<dyn Executor>> {
        let works = !self.0.load(Ordering::Relaxed)
            && forked::works(|answer| {
                smol::spawn(async move {
                    smol::unblock(|| ()).await;
                    smol::Timer::after(Duration::from_millis(1)).await;
                    // Refused where nobody waits any more.
                    let _ = answer.send(());
                })
                .detach();
            });
        works.then(|| Box::<Self>::default() as _)
    }
}
