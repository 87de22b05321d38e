//! A thread that completes what it is sent: what a driver, a device or a C library's callback is
//! to a future. Both extensions use it.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use futures_channel::oneshot;

/// A future that the completer's thread will complete.
pub(crate) fn completed_elsewhere() -> oneshot::Receiver<u64> {
    static COMPLETER: OnceLock<Sender<oneshot::Sender<u64>>> = OnceLock::new();
    let completer = COMPLETER.get_or_init(|| {
        let (sender, receiver) = channel::<oneshot::Sender<u64>>();
        std::thread::spawn(move || {
            for promise in receiver {
                // Refused only by a future that was cancelled.
                let _ = promise.send(7);
            }
        });
        sender
    });
    let (promise, future) = oneshot::channel();
    completer.send(promise).expect("the completer never ends");
    future
}
