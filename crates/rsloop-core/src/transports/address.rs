//! Python's address tuples and the kernel's addresses.
//!
//! What CPython's `socket` makes of an address is more than this: names to look up, `<broadcast>`,
//! scopes by name. Only literal addresses are read here, whose meaning is certain; the rest is left
//! to `socket`, and with it the exceptions.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use rsloop_reactor::socket;

/// Which addresses a socket takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `(host, port)`
    Inet,
    /// `(host, port, flowinfo, scope_id)`
    Inet6,
    /// Whatever the socket's own methods say.
    Other,
}

impl Family {
    /// The family that the system calls by this number.
    pub(super) fn of_number(number: i32) -> Self {
        if socket::is_inet(number) {
            Self::Inet
        } else if socket::is_inet6(number) {
            Self::Inet6
        } else {
            Self::Other
        }
    }

    /// The family of `sock`.
    pub(super) fn of(sock: &Bound<'_, PyAny>) -> PyResult<Self> {
        let socket = sock.py().import("socket")?;
        let family = sock.getattr("family")?;
        Ok(if family.eq(socket.getattr("AF_INET")?)? {
            Self::Inet
        } else if family.eq(socket.getattr("AF_INET6")?)? {
            Self::Inet6
        } else {
            Self::Other
        })
    }
}

/// The largest flow label that an address holds.
const MOST_FLOWINFO: u32 = 0xf_ffff;

/// The address that `receiver` is for a socket of `family`; `None` when only `socket` knows.
pub(super) fn from_python(family: Family, receiver: &Bound<'_, PyAny>) -> Option<SocketAddr> {
    let receiver = receiver.cast_exact::<PyTuple>().ok()?;
    let host = receiver.get_borrowed_item(0).ok()?;
    let host = host.cast_exact::<PyString>().ok()?;
    let host = host.to_str().ok()?;
    match (family, receiver.len()) {
        (Family::Inet, 2) => {
            let host: Ipv4Addr = host.parse().ok()?;
            Some(SocketAddrV4::new(host, port(receiver)?).into())
        }
        (Family::Inet6, 2..=4) => {
            let host: Ipv6Addr = host.parse().ok()?;
            let flowinfo = number(receiver, 2)?;
            let scope_id = number(receiver, 3)?;
            let port = port(receiver)?;
            (flowinfo <= MOST_FLOWINFO)
                .then(|| SocketAddrV6::new(host, port, flowinfo, scope_id).into())
        }
        _ => None,
    }
}

fn port(receiver: &Bound<'_, PyTuple>) -> Option<u16> {
    let port = receiver.get_borrowed_item(1).ok()?;
    port.cast_exact::<PyInt>().ok()?.extract().ok()
}

/// The number at `index`, 0 when the tuple is shorter.
fn number(receiver: &Bound<'_, PyTuple>, index: usize) -> Option<u32> {
    match receiver.get_borrowed_item(index) {
        Ok(number) => number.cast_exact::<PyInt>().ok()?.extract().ok(),
        Err(_) => Some(0),
    }
}

/// The tuple that `socket` makes of `sender`.
pub(super) fn to_python<'py>(
    py: Python<'py>,
    sender: &SocketAddr,
) -> PyResult<Bound<'py, PyTuple>> {
    match sender {
        SocketAddr::V4(sender) => {
            let mut text = [0; "255.255.255.255".len()];
            let len = dotted(*sender.ip(), &mut text);
            let host = PyString::from_bytes(py, &text[..len])?;
            (host, sender.port()).into_pyobject(py)
        }
        SocketAddr::V6(sender) => {
            // The systems' libraries differ in which addresses they end in dotted decimals.
            let socket = py.import(intern!(py, "socket"))?;
            let host = socket.call_method1(
                intern!(py, "inet_ntop"),
                (
                    socket.getattr(intern!(py, "AF_INET6"))?,
                    PyBytes::new(py, &sender.ip().octets()),
                ),
            )?;
            (host, sender.port(), sender.flowinfo(), sender.scope_id()).into_pyobject(py)
        }
    }
}

/// Writes `address` into `text` as `Display` does, at a fifth of the price; returns the length.
fn dotted(address: Ipv4Addr, text: &mut [u8; 15]) -> usize {
    let mut len = 0;
    let mut put = |character| {
        text[len] = character;
        len += 1;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            put(b'.');
        }
        if octet >= 100 {
            put(b'0' + octet / 100);
        }
        if octet >= 10 {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_writes_what_display_does() {
        for octet in 0..=u8::MAX {
            for octets in [[octet; 4], [octet, 0, 255, 9], [10, octet, 99, 100]] {
                let address = Ipv4Addr::from(octets);
                let mut text = [0; 15];
                let len = dotted(address, &mut text);
                assert_eq!(&text[..len], address.to_string().as_bytes());
            }
        }
    }
}
