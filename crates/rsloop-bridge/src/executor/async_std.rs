//! async-std's global executor.

use std::future::Future;
use std::time::Duration;

use super::BlockingCall;
use super::statics::Statics;

pub(super) struct AsyncStd;

// Dropping a handle detaches its task.
impl Statics for AsyncStd {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        drop(async_std::task::spawn(future));
    }

    fn spawn_blocking(call: BlockingCall) {
        drop(async_std::task::spawn_blocking(|| call.run()));
    }

    async fn use_all() {
        async_std::task::spawn_blocking(|| ()).await;
        async_std::task::sleep(Duration::from_millis(1)).await;
    }
}
