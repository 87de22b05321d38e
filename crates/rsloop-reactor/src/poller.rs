//! The contract that epoll and kqueue fulfil.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use crate::sys;
use crate::{Interest, Readiness, Token};

/// No wait is longer, since kernels disagree about what they refuse or misread. A wait that ends here without an event
/// is one more turn of the caller's loop a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Watches descriptors: level-triggered, so that what is not consumed is reported again by the next wait.
///
/// The poller does not own the descriptors in it. Those that were closed behind its back, and those whose number was
/// then reused, are dealt with rather than reported, as each method says.
///
/// Every method may be called from any thread. Changes made by one thread are seen by a wait in progress in another.
/// The poller's own descriptor is closed in a program that this process executes; a forked child shares it and must
/// not use it.
#[derive(Debug)]
pub struct Poller {
    selector: sys::Selector,
}

impl Poller {
    /// Make an empty poller.
    ///
    /// # Errors
    /// What the system call says, such as EMFILE.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            selector: sys::Selector::new()?,
        })
    }

    /// Start watching `fd` for `interest`, which is to be reported as `token`.
    ///
    /// A descriptor already there is changed instead: its number has been reused behind our back. With
    /// [`Interest::NONE`] nothing is watched.
    ///
    /// # Errors
    /// EBADF if `fd` is not open; on Linux, EPERM if it is something that cannot be polled, such as a regular file.
    pub fn add(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.selector.add(fd, token, interest)
    }

    /// Watch `fd` for `interest`, to be reported as `token`, instead of what it was watched for.
    ///
    /// A descriptor that is not there is added: it was closed behind our back, and its number reused. With
    /// [`Interest::NONE`] it is removed.
    ///
    /// # Errors
    /// Those of [`Poller::add`].
    pub fn modify(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.selector.modify(fd, token, interest)
    }

    /// Stop watching `fd`. It is no error if `fd` is not watched or not even open.
    ///
    /// Call this before closing `fd`. The kernel forgets a descriptor only when every duplicate of it is closed, and
    /// until then it would report an event that nobody can remove.
    ///
    /// # Errors
    /// None is expected; what the system call says.
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.selector.remove(fd)
    }

    /// Wait until something comes or `timeout` has passed, and put what has come into `events`.
    ///
    /// `None` waits for ever, zero does not block. Any other timeout is rounded up to what the kernel counts in (a
    /// millisecond for epoll), so that a timer is due when the wait for it ends and need not be waited for again; and
    /// one above a day is cut to a day. `events` loses what it held, also when there is an error.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] if a signal arrived, so that the caller can run its handler; it is not retried.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| round_up(timeout, sys::GRANULARITY));
        self.selector.wait(events.buffer.room(), timeout)
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.selector.as_raw_fd()
    }
}

fn round_up(timeout: Duration, granularity: Duration) -> Duration {
    if timeout >= LONGEST_WAIT {
        return LONGEST_WAIT;
    }
    // A day of nanoseconds fits.
    let granularity_ns = granularity.as_nanos() as u64;
    let timeout_ns = timeout.as_nanos() as u64;
    Duration::from_nanos(timeout_ns.div_ceil(granularity_ns) * granularity_ns)
}

/// What a wait has brought: a buffer to be used again and again.
///
/// It has room for 256 events at first, and grows when a wait has filled it.
pub struct Events {
    buffer: sys::EventBuffer,
}

impl Events {
    /// Make an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: sys::EventBuffer::new(),
        }
    }

    /// Visit what the last wait brought. A descriptor may come twice, once for each direction (under kqueue).
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (Token, Readiness)> {
        self.buffer.iter()
    }

    /// Return how many events the last wait brought.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Tell whether the last wait brought nothing.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn timeouts_round_up_to_the_granularity() {
        assert_eq!(round_up(Duration::ZERO, MS), Duration::ZERO);
        assert_eq!(round_up(Duration::from_nanos(1), MS), MS);
        assert_eq!(round_up(MS, MS), MS);
        assert_eq!(round_up(MS + Duration::from_nanos(1), MS), 2 * MS);
        let exact = Duration::from_nanos(123_456_789);
        assert_eq!(round_up(exact, Duration::from_nanos(1)), exact);
    }

    #[test]
    fn no_timeout_is_longer_than_a_day() {
        assert_eq!(
            round_up(LONGEST_WAIT - Duration::from_nanos(1), MS),
            LONGEST_WAIT
        );
        assert_eq!(round_up(LONGEST_WAIT + MS, MS), LONGEST_WAIT);
        assert_eq!(round_up(Duration::MAX, MS), LONGEST_WAIT);
    }
}
