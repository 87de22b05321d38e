//! The system calls. Each operating system's file provides the same names.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `epoll`, `eventfd` | those of Linux |
//! | `kqueue`, `pipe` | those of macOS and the BSDs |
//! | `buffer` | the buffer that a wait fills |
//!
//! - `Selector`: `new`, `add`, `modify`, `remove`, `wait`, with the contract of [`crate::Poller`].
//! - `RawEvent` and `decode`: what `Selector::wait` fills its room with.
//! - `GRANULARITY`: what `Selector::wait` counts timeouts in.
//! - `Bell`: `new`, `ring`, `drain`, with the contract of [`crate::Wakeup`].

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::Errno;

mod buffer;
#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "linux")]
mod eventfd;
#[cfg(not(target_os = "linux"))]
mod kqueue;
#[cfg(not(target_os = "linux"))]
mod pipe;

pub(crate) use buffer::EventBuffer;
#[cfg(target_os = "linux")]
pub(crate) use epoll::{GRANULARITY, Selector};
#[cfg(target_os = "linux")]
pub(crate) use eventfd::Bell;
#[cfg(not(target_os = "linux"))]
pub(crate) use kqueue::{GRANULARITY, Selector};
#[cfg(not(target_os = "linux"))]
pub(crate) use pipe::Bell;

/// Borrow a descriptor for one system call.
pub(crate) fn borrow<'call>(fd: RawFd) -> io::Result<BorrowedFd<'call>> {
    if fd < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: `fd` is not negative, the only value that a BorrowedFd must never hold. That it is open is not ours to
    // promise: it belongs to the caller, who may have closed it. The borrow only carries the number into one system
    // call, which answers EBADF if it is closed, and closes nothing. No memory depends on what the number names. Where
    // it is reused, the poller watches the wrong descriptor, which the registry's generations cover; so that bytes do
    // not go to or come from the wrong one, the transports ask the socket for its number before each call.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
