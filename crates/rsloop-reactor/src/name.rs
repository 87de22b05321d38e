//! What the two ends of a socket are called. See getsockname(2).

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use rustix::net::{SocketAddrAny, SocketAddrUnix, getpeername, getsockname};

use crate::sys::borrow;

/// The name of one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A host's port.
    Inet(SocketAddr),
    /// A unix socket in the file system.
    Path(Vec<u8>),
    /// A unix socket without a name, as clients' are.
    Unnamed,
    /// Something else.
    Other,
}

/// Say what the near end of this socket is called.
///
/// # Errors
/// Those of getsockname(2), with their `errno`.
pub fn of_socket(fd: RawFd) -> io::Result<Name> {
    Ok(getsockname(borrow(fd)?)?.into())
}

/// Say what the far end of this socket is called.
///
/// # Errors
/// Those of getpeername(2), with their `errno`.
pub fn of_peer(fd: RawFd) -> io::Result<Name> {
    Ok(getpeername(borrow(fd)?)?.map_or(Name::Unnamed, Name::from))
}

impl From<SocketAddrAny> for Name {
    fn from(address: SocketAddrAny) -> Self {
        if let Ok(inet) = SocketAddr::try_from(address.clone()) {
            return Self::Inet(inet);
        }
        match SocketAddrUnix::try_from(address) {
            Ok(unix) if is_unnamed(&unix) => Self::Unnamed,
            Ok(unix) => match unix.path() {
                Some(path) => Self::Path(path.to_bytes().to_vec()),
                None => Self::Other,
            },
            Err(_) => Self::Other,
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_unnamed(unix: &SocketAddrUnix) -> bool {
    unix.is_unnamed()
}

/// Where every name is a path.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_unnamed(unix: &SocketAddrUnix) -> bool {
    unix.path_bytes().is_none()
}
