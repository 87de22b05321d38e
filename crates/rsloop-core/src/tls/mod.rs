//! TLS: the hot half of `rsloop_core._tls_protocol.SSLProtocol`.
//!
//! The cold half is CPython's own `asyncio.sslproto.SSLProtocol`, from which the Python class
//! derives: the handshake, the shutdown, end of file, timeouts, errors. A real `ssl.SSLObject` of
//! the caller's context does the cryptography; what is here moves records and data.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `state` | the state |
//! | `members` | the same, as the inherited code sets it and asks for it |
//! | `session` | the `SSLObject` with its two `MemoryBIO`s |
//! | `turn` | what moves data in and out of it, for one thread at a time |
//! | `occupied` | whether a thread does |
//! | `incoming` | from received records to `data_received` |
//! | `outgoing` | from `write` to records, and flow control |
//! | `direct` | OpenSSL's own functions on that session, where it can be reached |
//! | `libssl` | where those functions are |
//! | `backlog` | what was written before the session could take it |

mod backlog;
#[expect(unsafe_code, reason = "OpenSSL is called from here")]
mod direct;
mod incoming;
#[expect(unsafe_code, reason = "OpenSSL's functions are looked up by name")]
mod libssl;
mod members;
mod occupied;
mod outgoing;
mod session;
mod state;
mod turn;

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::py::slot::InSlot;
use crate::transports::intake;
use state::Tls;

/// Adds the class and its makers to `module`.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    intake::know(&incoming::INTAKE);
    module.add_class::<Tls>()?;
    module.add_function(wrap_pyfunction!(state::open_tls, module)?)?;
    module.add_function(wrap_pyfunction!(direct::use_direct_tls, module)?)?;
    module.add_function(wrap_pyfunction!(attach_tls_methods, module)?)
}

/// Give the transport class, whose instances keep a Tls in the slot _tls, its hot methods.
#[pyfunction]
fn attach_tls_methods(class: &Bound<'_, PyType>) -> PyResult<()> {
    Tls::slot().adopt(class)?;
    crate::py::fastcall::attach(class, outgoing::methods())
}
