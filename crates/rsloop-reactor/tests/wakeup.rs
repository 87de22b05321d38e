//! Ending a wait from elsewhere.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rsloop_reactor::{Events, Interest, Poller, Readiness, Token, Wakeup};

mod descriptors;
use descriptors::poll_now;

fn watched() -> (Poller, Wakeup) {
    let poller = Poller::new().unwrap();
    let wakeup = Wakeup::new().unwrap();
    poller
        .add(wakeup.as_raw_fd(), Token::WAKEUP, Interest::READABLE)
        .unwrap();
    (poller, wakeup)
}

#[test]
fn rings_before_the_wait_are_one_event() {
    let (poller, wakeup) = watched();
    assert_eq!(poll_now(&poller), []);
    for _ in 0..1000 {
        wakeup.ring();
    }
    assert_eq!(poll_now(&poller), [(Token::WAKEUP, Readiness::READABLE)]);
    wakeup.drain();
    assert_eq!(poll_now(&poller), []);
}

#[test]
fn draining_what_nobody_rang_does_not_block() {
    let (poller, wakeup) = watched();
    wakeup.drain();
    wakeup.ring();
    wakeup.drain();
    wakeup.drain();
    assert_eq!(poll_now(&poller), []);
}

#[test]
#[cfg(target_os = "linux")]
fn a_counter_at_its_end_still_rings_and_drains() {
    let (poller, wakeup) = watched();
    let almost_full = (u64::MAX - 1).to_ne_bytes();
    // SAFETY: the descriptor is open while `wakeup` lives, and the eight bytes are read from a local array.
    let written = unsafe { libc::write(wakeup.as_raw_fd(), almost_full.as_ptr().cast(), 8) };
    assert_eq!(written, 8);
    wakeup.ring();
    assert_eq!(poll_now(&poller), [(Token::WAKEUP, Readiness::READABLE)]);
    wakeup.drain();
    assert_eq!(poll_now(&poller), []);
}

/// Two threads leave work and ring; the waiting side drains and then looks. No work may be slept over: if it were, the
/// wait would run into its timeout.
#[test]
fn no_ring_from_another_thread_is_lost() {
    const EACH: usize = 2000;
    let (poller, wakeup) = watched();
    let left = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    left.fetch_add(1, Ordering::SeqCst);
                    wakeup.ring();
                }
            });
        }
        let mut events = Events::new();
        let mut taken = 0;
        while taken < 2 * EACH {
            poller
                .wait(&mut events, Some(Duration::from_secs(30)))
                .unwrap();
            assert!(!events.is_empty(), "slept over {} rings", 2 * EACH - taken);
            wakeup.drain();
            taken += left.swap(0, Ordering::SeqCst);
        }
        assert_eq!(taken, 2 * EACH);
    });
}

#[test]
fn closed_on_exec_and_never_blocking() {
    let wakeup = Wakeup::new().unwrap();
    let fd = wakeup.as_raw_fd();
    // SAFETY: the descriptor is open while `wakeup` lives, to the end of this function.
    let (descriptor, status) = unsafe {
        (
            libc::fcntl(fd, libc::F_GETFD),
            libc::fcntl(fd, libc::F_GETFL),
        )
    };
    assert_eq!(descriptor & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    assert_eq!(status & libc::O_NONBLOCK, libc::O_NONBLOCK);
}
