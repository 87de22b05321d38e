//! The connecting of a bare socket to an address that needs no looking up.

use pyo3::intern;
use pyo3::prelude::*;
use rsloop_reactor::socket;

use super::address::{self, Family};
use crate::error::os_error;
use crate::py::audit::audit;
use crate::py::socket_object::SocketObject;

/// Begin to connect sock to address, and return whether that is done already.
///
/// Returns None, and does nothing, unless sock is a socket.socket of TCP's families that does not
/// block, and address literal, and whole as asyncio would make it. Raises OSError as sock.connect(address) does.
#[pyfunction]
pub(super) fn connect(
    sock: &Bound<'_, PyAny>,
    address: &Bound<'_, PyAny>,
) -> PyResult<Option<bool>> {
    let py = sock.py();
    let Some(known) = SocketObject::of_plain(sock)? else {
        return Ok(None);
    };
    let Some(peer) = address::from_python(Family::of_number(known.family()), address) else {
        return Ok(None);
    };
    // Two items are enough for IPv6, but asyncio's audit events and errors tell all four.
    if peer.is_ipv6() && address.len()? != 4 {
        return Ok(None);
    }
    let timeout = sock.call_method0(intern!(py, "gettimeout"))?;
    if timeout.is_none() || timeout.is_truthy()? {
        return Ok(None);
    }
    audit(c"socket.connect", sock.as_borrowed(), address.as_borrowed())?;
    match socket::connect(known.fd(), &peer) {
        Ok(done) => Ok(Some(done)),
        Err(error) => Err(os_error(py, error)),
    }
}
