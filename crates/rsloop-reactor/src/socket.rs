//! Bytes in and out of a connected, non-blocking socket. See recv(2) and send(2).
//!
//! None of these waits: what cannot be done now is [`io::ErrorKind::WouldBlock`], and a signal is
//! [`io::ErrorKind::Interrupted`].

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketType, ipproto, sockopt,
};

use crate::sys::borrow;

/// A broken connection is an error for the caller, not a signal for the process.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const QUIET: SendFlags = SendFlags::NOSIGNAL;
/// CPython ignores SIGPIPE, and there is no flag here.
#[cfg(target_vendor = "apple")]
pub(crate) const QUIET: SendFlags = SendFlags::empty();

/// Read what has come into `buffer`, and return how many bytes: 0 at the end of the stream.
///
/// # Errors
/// Those of recv(2), with their `errno`.
#[inline]
pub fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (_, count) = net::recv(borrow(fd)?, buffer, RecvFlags::empty())?;
    Ok(count)
}

/// Write as much of `bytes` as there is room for, and return how many bytes that was.
///
/// # Errors
/// Those of send(2), with their `errno`.
#[inline]
pub fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(net::send(borrow(fd)?, bytes, QUIET)?)
}

/// The same for several pieces at once, in order; at most [`MOST_PIECES`] of them.
///
/// # Errors
/// Those of sendmsg(2), with their `errno`.
pub fn send_vectored(fd: RawFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut no_control = SendAncillaryBuffer::default();
    Ok(net::sendmsg(borrow(fd)?, pieces, &mut no_control, QUIET)?)
}

/// How many pieces the kernel takes in one call.
pub const MOST_PIECES: usize = 1024;

/// As [`receive`], and never blocks, whatever the socket does.
///
/// # Errors
/// As [`receive`].
pub fn receive_now(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (_, count) = net::recv(borrow(fd)?, buffer, RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// As [`send`], and never blocks, whatever the socket does.
///
/// # Errors
/// As [`send`].
pub fn send_now(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(net::send(borrow(fd)?, bytes, QUIET | SendFlags::DONTWAIT)?)
}

/// Tell whether this is the number of IPv4's address family.
#[must_use]
pub fn is_inet(family: i32) -> bool {
    i32::from(AddressFamily::INET.as_raw()) == family
}

/// Tell whether this is the number of IPv6's address family.
#[must_use]
pub fn is_inet6(family: i32) -> bool {
    i32::from(AddressFamily::INET6.as_raw()) == family
}

/// Begin to connect to `peer`, and tell whether that is done already; otherwise the socket becomes
/// writable when it is.
///
/// # Errors
/// Those of connect(2), with their `errno`.
pub fn connect(fd: RawFd, peer: &SocketAddr) -> io::Result<bool> {
    match net::connect(borrow(fd)?, peer) {
        Ok(()) => Ok(true),
        Err(Errno::INPROGRESS | Errno::AGAIN | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Tell whether a socket of this family, type and protocol is one of TCP.
///
/// Protocol 0 asks the kernel for the usual one, which for a stream is TCP.
#[must_use]
pub fn is_tcp(family: i32, kind: i32, protocol: i32) -> bool {
    (is_inet(family) || is_inet6(family))
        && u32::try_from(kind) == Ok(SocketType::STREAM.as_raw())
        && [Ok(0), Ok(ipproto::TCP.as_raw().get())].contains(&u32::try_from(protocol))
}

/// Let small writes to a TCP socket go out at once.
///
/// # Errors
/// Those of setsockopt(2), with their `errno`.
pub fn set_nodelay(fd: RawFd) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(borrow(fd)?, true)?)
}
