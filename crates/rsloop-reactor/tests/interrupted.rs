//! A signal ends a wait. In a file of its own, since the handler belongs to the process.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rsloop_reactor::{Events, Interest, Poller, Token, Wakeup};

extern "C" fn ignore(_signal: libc::c_int) {}

#[test]
fn a_signal_ends_the_wait_as_interrupted_and_empties_the_buffer() {
    // SAFETY: an all-zero sigaction is valid: no flags, so no restarting, and an empty mask. The handler does nothing,
    // which is safe wherever it interrupts.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as libc::sighandler_t;
        assert_eq!(
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()),
            0
        );
    }
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    let waiting = std::thread::spawn(|| {
        let poller = Poller::new().unwrap();
        let wakeup = Wakeup::new().unwrap();
        let mut events = Events::new();
        poller
            .add(wakeup.as_raw_fd(), Token::WAKEUP, Interest::READABLE)
            .unwrap();
        wakeup.ring();
        // The signals may have begun.
        while poller.wait(&mut events, None).is_err() {}
        let before = events.len();
        wakeup.drain();
        let error = poller.wait(&mut events, None).unwrap_err();
        INTERRUPTED.store(true, Ordering::Release);
        (before, error.kind(), events.len())
    });
    // A signal before the wait is lost, so it is repeated until one was seen.
    while !INTERRUPTED.load(Ordering::Acquire) {
        // SAFETY: the thread has not been joined, so its identifier is valid even if it has ended.
        unsafe { libc::pthread_kill(waiting.as_pthread_t(), libc::SIGUSR1) };
        std::thread::yield_now();
    }
    assert_eq!(waiting.join().unwrap(), (1, ErrorKind::Interrupted, 0));
}
