//! Descriptors to test with, and the descriptor numbers that the tests may count on.
//!
//! Tests share a process, and the kernel reuses a closed number for whatever any of them opens next. A test that needs
//! a number to stay closed, or to be reused at once, takes one far above what the others are given.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rsloop_reactor::{Events, Poller, Readiness, Token};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;

/// As many descriptors as the tests may have open, so that there are numbers beyond.
const ORDINARY: libc::rlim_t = 600;
const RESERVED: libc::rlim_t = 100;

static NEXT_RESERVED: AtomicI32 = AtomicI32::new(ORDINARY as i32);

/// Move a descriptor to a number that nobody else will be given, in this process.
pub(crate) fn at_reserved_number(source: impl AsFd) -> OwnedFd {
    allow_descriptors();
    let wanted = NEXT_RESERVED.fetch_add(1, Ordering::Relaxed);
    let moved = fcntl_dupfd_cloexec(source, wanted).unwrap();
    assert_eq!(
        moved.as_raw_fd(),
        wanted,
        "something else uses the reserved numbers"
    );
    moved
}

/// Raise the process's limit to what the tests use, which is more than macOS gives at first.
pub(crate) fn allow_descriptors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: both calls read or write the one local structure, which has the layout they ask for.
        unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
            limit.rlim_cur = limit.rlim_cur.max(ORDINARY + RESERVED);
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        }
    });
}

/// Make `number`, which must be open, another name of `source`, without a moment in which it is closed.
pub(crate) fn replace(number: RawFd, source: impl AsFd) {
    // SAFETY: the number is open and owned by the calling test, which keeps its own handle: this one is forgotten.
    let mut target = std::mem::ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
    rustix::io::dup2(source, &mut target).unwrap();
}

/// Both ends of a connected stream.
pub(crate) fn socket_pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// A stream whose end can be read and written at once, and the end that keeps it so.
pub(crate) fn ready_socket() -> (UnixStream, UnixStream) {
    let (near, mut far) = socket_pair();
    far.write_all(b"x").unwrap();
    (near, far)
}

/// Fill a stream until it takes no more.
pub(crate) fn fill(stream: &UnixStream) {
    fcntl_setfl(stream, OFlags::NONBLOCK).unwrap();
    let block = [0_u8; 65536];
    let mut stream = stream;
    while stream.write(&block).is_ok() {}
}

/// What there is now, in the order of the tokens, the directions of one token together.
pub(crate) fn poll_now(poller: &Poller) -> Vec<(Token, Readiness)> {
    let mut events = Events::new();
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    collect(&events)
}

/// As [`poll_now`], of what has been fetched before.
pub(crate) fn collect(events: &Events) -> Vec<(Token, Readiness)> {
    let mut collected: Vec<(Token, Readiness)> = Vec::new();
    for (token, readiness) in events.iter() {
        match collected.iter_mut().find(|(other, _)| *other == token) {
            Some((_, sum)) => {
                sum.readable |= readiness.readable;
                sum.writable |= readiness.writable;
            }
            None => collected.push((token, readiness)),
        }
    }
    collected.sort_unstable_by_key(|(token, _)| token.to_u64());
    collected
}
