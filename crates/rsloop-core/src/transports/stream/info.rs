//! What a stream transport tells of itself, made when somebody asks: the object of its socket, and
//! the dictionary behind `get_extra_info`.

use pyo3::intern;
use pyo3::prelude::*;

use super::extra::Extra;
use super::state::Stream;
use crate::transports::own_socket::object_of;
use crate::transports::sock::Sock;

impl Stream {
    /// The socket as Python's object; `None` once the connection is lost.
    pub(super) fn socket_object(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        loop {
            let known = self.state.with(py, |state| match &state.sock {
                None => Ok(None),
                Some(Sock::Known(known)) => Ok(Some(known.as_object().clone_ref(py))),
                Some(Sock::Other(object)) => Ok(Some(object.clone_ref(py))),
                Some(Sock::Own(own)) => Err((own.fd(), own.kind)),
            });
            let (fd, kind) = match known {
                Ok(object) => return Ok(object),
                Err(own) => own,
            };
            let object = object_of(py, fd, kind)?;
            let sock = Sock::new(&object)?;
            // Python code has run: another thread may have made an object, or closed the socket.
            let late = self.state.with(py, |state| match state.sock.take() {
                Some(Sock::Own(own)) => {
                    own.give_up();
                    state.sock = Some(sock);
                    None
                }
                other => {
                    state.sock = other;
                    Some(sock)
                }
            });
            if late.is_some() {
                object.call_method0(intern!(py, "detach"))?;
            }
        }
    }

    /// The dictionary.
    pub(super) fn extra(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let known = self.state.with(py, |state| match &state.extra {
            Extra::Made(extra) => Err(extra.clone_ref(py)),
            Extra::Known(known) => Ok(known.clone_ref(py)),
            Extra::Cleared => Err(py.None()),
        });
        let known = match known {
            Ok(known) => known,
            Err(extra) => return Ok(extra),
        };
        let extra = known.to_dictionary(py, || self.socket_object(py))?;
        // Another thread may have been faster.
        Ok(self.state.with(py, |state| {
            if let Extra::Made(extra) = &state.extra {
                return extra.clone_ref(py);
            }
            let extra = extra.into_any().unbind();
            state.extra = Extra::Made(extra.clone_ref(py));
            extra
        }))
    }

    /// Asks for the names that only Python's socket can tell, as long as there is one.
    pub(super) fn learn_names(&self, py: Python<'_>) -> PyResult<()> {
        if self.state.with(py, |state| state.extra.is_untold()) {
            self.extra(py)?;
        }
        Ok(())
    }
}
