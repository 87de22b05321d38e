//! smol's global executor.

use super::{BlockingCall, Executor, Work};

/// smol starts its threads by itself, with the first task: as many as the environment variable
/// `SMOL_THREADS` says, or one.
pub(super) struct Smol;

impl Executor for Smol {
    fn spawn(&self, work: Work) {
        smol::spawn(work).detach();
    }

    fn spawn_blocking(&self, call: BlockingCall) {
        smol::unblock(|| call.run()).detach();
    }
}
