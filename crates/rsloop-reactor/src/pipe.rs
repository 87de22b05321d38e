//! Bytes in and out of what is no socket, or may be none: pipes, terminals, character devices. See
//! read(2) and write(2).
//!
//! None of these waits, as long as the descriptor is non-blocking; the rest is as in
//! [`crate::socket`].

use std::io::{self, IoSlice};
use std::os::fd::RawFd;

use crate::sys::borrow;

/// Read what has come into `buffer`, and return how many bytes: 0 when no writer is left.
///
/// # Errors
/// Those of read(2), with their `errno`: `EIO` from a terminal that hangs up.
#[inline]
pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(borrow(fd)?, buffer)?)
}

/// Write as much of `bytes` as there is room for, and return how many bytes that was.
///
/// # Errors
/// Those of write(2), with their `errno`: `EPIPE` when no reader is left.
#[inline]
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(borrow(fd)?, bytes)?)
}

/// The same for several pieces at once, in order; at most [`crate::socket::MOST_PIECES`] of them.
///
/// # Errors
/// Those of writev(2), with their `errno`.
pub fn write_vectored(fd: RawFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(borrow(fd)?, pieces)?)
}
