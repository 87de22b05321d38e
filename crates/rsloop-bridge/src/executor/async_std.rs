//! async-std's global executor.

use super::{BlockingCall, Executor, Work};

/// async-std starts its threads by itself, with the first task.
pub(super) struct AsyncStd;

impl Executor for AsyncStd {
    fn spawn(&self, work: Work) {
        // Dropping the handle detaches the task.
        drop(async_std::task::spawn(work));
    }

    fn spawn_blocking(&self, call: BlockingCall) {
        drop(async_std::task::spawn_blocking(|| call.run()));
    }
}
