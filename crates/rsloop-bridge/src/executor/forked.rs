//! Executors that are statics of their crates, in a child made by `fork`.
//!
//! Neither async-std nor smol can start its threads a second time, and what they share, async-io's
//! thread for timers and sockets, is gone for good: it waits for events with a lock taken, and the
//! child has the lock but not the thread. So in a child they serve only if nobody had started them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long an executor that works may take to show it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether an executor works in this child: `answer` sends, by way of all that it consists of.
///
/// The extension may have started it without the bridge, so that only trying shows it.
pub(super) fn works(answer: impl FnOnce(Sender<()>) + Send + 'static) -> bool {
    let (sender, receiver): (_, Receiver<()>) = channel();
    // On a thread of its own, since it may wait for ever for a lock of the parent's.
    let asked = thread::Builder::new().spawn(|| answer(sender));
    asked.is_ok() && receiver.recv_timeout(PATIENCE).is_ok()
}
