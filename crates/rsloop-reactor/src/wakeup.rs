//! How other threads end a wait.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use crate::sys;

/// A descriptor of its own that becomes readable when any thread rings it.
///
/// The owner adds [`Wakeup::as_raw_fd`] to the poller as [`Token::WAKEUP`](crate::Token::WAKEUP), readable, and drains
/// it when that token comes. Rings before a drain become one event. Non-blocking, closed on exec, and closed when
/// dropped: whoever shares it between threads keeps it alive until the last ring.
#[derive(Debug)]
pub struct Wakeup {
    bell: sys::Bell,
}

impl Wakeup {
    /// Make one that nobody has rung.
    ///
    /// # Errors
    /// What the system call says, such as EMFILE.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            bell: sys::Bell::new()?,
        })
    }

    /// End the wait in progress, or the next one.
    ///
    /// One system call, from any thread. It takes no lock and does not allocate, so a signal handler may call it too.
    #[inline]
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Take back all rings so far. A ring that comes after this ends another wait.
    ///
    /// Drain first, and then look at what the ringing threads have left: the other way round, what was left in between
    /// would be slept over.
    #[inline]
    pub fn drain(&self) {
        self.bell.drain();
    }
}

impl AsRawFd for Wakeup {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}
