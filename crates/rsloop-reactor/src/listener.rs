//! Connections out of a listening socket. See accept(2).

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use rustix::net::{self, AddressFamily, SocketAddrAny};

use crate::name::Name;
use crate::sys::borrow;

/// Tell whether [`accept`] can say where the connections of a listener of this family come from.
#[must_use]
pub fn knows_family(family: i32) -> bool {
    [
        AddressFamily::INET,
        AddressFamily::INET6,
        AddressFamily::UNIX,
    ]
    .iter()
    .any(|known| i32::from(known.as_raw()) == family)
}

/// Take the connection that has waited longest, as a descriptor that does not block and that no
/// program executed later inherits, and the name of its far end.
///
/// # Errors
/// Those of accept(2), with their `errno`: [`io::ErrorKind::WouldBlock`] when none waits.
pub fn accept(fd: RawFd) -> io::Result<(OwnedFd, Name)> {
    let (connection, address) = accept_quietly(fd)?;
    Ok((connection, address.map_or(Name::Unnamed, Name::from)))
}

#[cfg(not(target_vendor = "apple"))]
fn accept_quietly(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    let flags = net::SocketFlags::CLOEXEC | net::SocketFlags::NONBLOCK;
    Ok(net::acceptfrom_with(borrow(fd)?, flags)?)
}

#[cfg(target_vendor = "apple")]
fn accept_quietly(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};

    let (connection, address) = net::acceptfrom(borrow(fd)?)?;
    fcntl_setfd(&connection, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&connection, true)?;
    Ok((connection, address))
}
