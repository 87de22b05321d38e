//! Datagrams in and out of a non-blocking internet socket. See recvfrom(2) and sendto(2).
//!
//! None of these waits, as in [`crate::socket`], whose `send` serves a connected socket here too.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use rustix::net::{self, RecvFlags};

use crate::socket::QUIET;
use crate::sys::borrow;

/// Take the next datagram into `buffer`: how many bytes of it there was room for, and its sender.
///
/// The sender is `None` where the protocol names none. It never blocks, whatever the socket does: a caller may look
/// before anything has been announced.
///
/// # Errors
/// Those of recvfrom(2), with their `errno`: among them what became of an earlier datagram.
#[inline]
pub fn receive_from(fd: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
    let (_, count, sender) = net::recvfrom(borrow(fd)?, buffer, RecvFlags::DONTWAIT)?;
    Ok((count, sender.and_then(|sender| sender.try_into().ok())))
}

/// Send `bytes` as one datagram.
///
/// # Errors
/// Those of sendto(2), with their `errno`.
#[inline]
pub fn send_to(fd: RawFd, bytes: &[u8], receiver: &SocketAddr) -> io::Result<()> {
    net::sendto(borrow(fd)?, bytes, QUIET, receiver)?;
    Ok(())
}
