//! smol's global executor.

use std::future::Future;
use std::time::Duration;

use super::BlockingCall;
use super::statics::Statics;

/// It has as many threads as the environment variable `SMOL_THREADS` says, or one.
pub(super) struct Smol;

impl Statics for Smol {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(future).detach();
    }

    fn spawn_blocking(call: BlockingCall) {
        smol::unblock(|| call.run()).detach();
    }

    async fn use_all() {
        smol::unblock(|| ()).await;
        smol::Timer::after(Duration::from_millis(1)).await;
    }
}
