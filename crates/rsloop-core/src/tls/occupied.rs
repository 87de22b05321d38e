//! Whether somebody is inside of a TLS session.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody is inside of a session.
///
/// OpenSSL lets a session be used by one thread at a time, and so does a `MemoryBIO` of it. The GIL
/// does not see to that: `_ssl` lets go of it while OpenSSL works, and before CPython 3.14 has no
/// lock of its own. A program that writes from a thread other than the loop's breaks asyncio's
/// rules; the two threads in one session would break the process.
///
/// Nobody waits for the other. Whoever finds the session occupied leaves its work undone and has
/// the loop go on with the connection soon ([`super::Tls::go_on_soon`]): a wait could be one for
/// this very thread, since the session may call back (SNI, message and PSK callbacks) and the
/// callback may write.
#[derive(Default)]
pub(super) struct Occupied(AtomicBool);

impl Occupied {
    /// Whether somebody is inside.
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Goes in, if nobody is inside; whether that was so.
    #[inline]
    pub(super) fn enter(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    /// Goes out.
    #[inline]
    pub(super) fn leave(&self) {
        self.0.store(false, Ordering::Release);
    }
}
