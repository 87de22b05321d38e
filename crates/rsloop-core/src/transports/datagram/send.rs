//! From `sendto` to the kernel, and flow control.

use std::io;

use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rsloop_reactor::{Interest, datagram, socket};
use rustix::io::Errno;

use super::queue::Waiting;
use super::state::Datagram;
use crate::error::{is_transient, is_transient_exception, os_error};
use crate::loop_::report_call;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::handled::handling;
use crate::py::slot::InSlot;
use crate::py::{audit, buffer, bytes, context};
use crate::transports::address;
use crate::transports::data::check_bytes_like;
use crate::transports::watch::Watched;

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"sendto",
            function: fastcall!(Datagram, "sendto", 1.., sendto),
            doc: c"sendto($self, data, addr=None)\n--\n\n\
                Send data as one datagram, or keep it until the kernel takes it. Never blocks, unless\n\
                addr is a name to look up.\n\n\
                data is bytes, a bytearray or a memoryview. addr is an address as\n\
                socket.sendto() takes it, or None for the peer given to create_datagram_endpoint().\n\
                An OSError goes to the protocol's error_received(). Raises TypeError for any other data,\n\
                BufferError for memory that is not contiguous, ValueError for another address than that of\n\
                remote_addr.\n\
                Follows asyncio.DatagramTransport.sendto.\n\n\
                Differs: that BufferError, and what the socket says of a malformed address, such as\n\
                OverflowError of a port that is none, are raised here, and the endpoint lives.",
        },
        Method {
            name: c"get_write_buffer_size",
            function: fastcall!(Datagram, "get_write_buffer_size", 0, get_write_buffer_size),
            doc: c"get_write_buffer_size($self)\n--\n\n\
                Return the number of bytes that wait to be sent; from CPython 3.13 with their headers.",
        },
        Method {
            name: c"is_closing",
            function: fastcall!(Datagram, "is_closing", 0, is_closing),
            doc: c"is_closing($self)\n--\n\nReturn whether the transport is closing or closed.",
        },
    ]
}

fn sendto(slf: &Bound<'_, PyAny>, this: &Datagram, args: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let receiver = receiver_of(args)?;
    let data = args.leading(0);
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        let keep = || Ok(Bound::clone(&bytes).unbind());
        this.send(slf, &data, bytes.as_bytes(), keep, receiver)
    } else {
        check_bytes_like(&data)?;
        buffer::with_bytes(&data, |contents| {
            let keep = || bytes::new(py, contents).map(Bound::unbind);
            this.send(slf, &data, contents, keep, receiver)
        })
    }
}

/// The argument `addr`, by position or by name; `None` when it is absent or `None`.
fn receiver_of<'a, 'py>(args: Args<'a, 'py>) -> PyResult<Option<Borrowed<'a, 'py, PyAny>>> {
    let mut receiver = args.get(1);
    if args.len() > 2 || args.has_keywords() {
        for (name, value) in args.keywords() {
            if receiver.is_some() || !name.as_any().eq("addr")? {
                return Err(PyTypeError::new_err(format!(
                    "sendto() got an unexpected keyword argument '{}'",
                    &*name
                )));
            }
            receiver = Some(value);
        }
        if args.len() > 2 {
            return Err(PyTypeError::new_err(format!(
                "sendto() takes at most 2 arguments ({} given)",
                args.len()
            )));
        }
    }
    Ok(receiver.filter(|receiver| !receiver.is_none()))
}

fn get_write_buffer_size(
    slf: &Bound<'_, PyAny>,
    this: &Datagram,
    _: Args<'_, '_>,
) -> PyResult<usize> {
    Ok(this.state.with(slf.py(), |state| state.pending.bytes()))
}

fn is_closing(slf: &Bound<'_, PyAny>, this: &Datagram, _: Args<'_, '_>) -> PyResult<bool> {
    Ok(this.state.with(slf.py(), |state| state.watch.closing))
}

/// Sends what waits, now that there is room, and tells whoever waited for that.
pub(super) fn run_writable(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    let this = Datagram::of_transport(transport)?;
    let turn = this.state.with(py, |state| {
        if state.conn_lost > 0 {
            return None;
        }
        let context = state.watch.write_context.as_ref()?.clone_ref(py);
        Some((context, state.watch.loop_.as_ref()?.clone_ref(py)))
    });
    let Some((context, loop_)) = turn else {
        return Ok(());
    };
    let context = context.bind_borrowed(py);
    context::run_in(context, || this.flush(transport)).or_else(|raised| {
        let ready = transport.getattr(intern!(py, "_sendto_ready"))?;
        report_call(loop_.bind(py), &ready, None, context, raised)
    })
}

/// What became of a datagram that was offered to the kernel.
enum Offered {
    Sent,
    /// There is no room now.
    Blocked,
    /// It is lost, and the protocol is to be told.
    Refused(PyErr),
}

impl Datagram {
    fn send(
        &self,
        slf: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        bytes: &[u8],
        keep: impl FnOnce() -> PyResult<Py<PyBytes>>,
        receiver: Option<Borrowed<'_, '_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        if cfg!(not(Py_3_13)) && bytes.is_empty() {
            return Ok(());
        }
        let (only_receiver, conn_lost, open, idle) = self.state.with(py, |state| {
            (
                state.only_receiver.as_ref().map(|only| only.clone_ref(py)),
                state.conn_lost,
                state.sock.is_some(),
                state.pending.len() == 0,
            )
        });
        if let (Some(only), Some(given)) = (&only_receiver, receiver) {
            if !given.is(only) && !given.eq(only)? {
                return Err(wrong_receiver(only.bind(py)));
            }
        }
        if !open || (conn_lost > 0 && only_receiver.is_some()) {
            return self.too_late(slf);
        }
        let receiver = match &only_receiver {
            Some(only) => Some(only.bind_borrowed(py)),
            None => receiver,
        };
        if idle {
            match self.offer(py, data, bytes, receiver)? {
                Offered::Sent => return Ok(()),
                Offered::Refused(error) => return self.tell_of_error(py, error),
                // Nobody would send it later: an aborted transport waits for nothing.
                Offered::Blocked if conn_lost > 0 => return self.too_late(slf),
                Offered::Blocked => self.await_writable(slf)?,
            }
        }
        let waiting = Waiting {
            data: keep()?,
            receiver: receiver.map(|receiver| receiver.to_owned().unbind()),
        };
        let full = self.state.with(py, |state| {
            state.pending.push(py, waiting);
            !state.protocol_paused && state.pending.bytes() > state.high_water_bytes
        });
        if full {
            slf.call_method0(intern!(py, "_maybe_pause_protocol"))?;
        }
        Ok(())
    }

    /// Offers a datagram to the kernel; fails with what is no system error.
    fn offer(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        bytes: &[u8],
        receiver: Option<Borrowed<'_, '_, PyAny>>,
    ) -> PyResult<Offered> {
        let (fd, family, plain, connected, sock) = self.state.with(py, |state| {
            (
                state.fd(),
                state.family,
                state.plain,
                state.connected,
                state
                    .sock
                    .as_ref()
                    .and_then(|sock| sock.as_object())
                    .map(|sock| sock.clone_ref(py)),
            )
        });
        let Some(sock) = sock else {
            return Ok(Offered::Refused(os_error(py, Errno::BADF.into())));
        };
        let sock = sock.bind(py);
        if plain {
            if connected {
                return Ok(offered(py, socket::send(fd, bytes).map(drop)));
            }
            if let Some(receiver) = receiver {
                let known = self.state.with(py, |state| {
                    let (address, tuple) = state.last_sender.as_ref()?;
                    tuple.is(receiver).then_some(*address)
                });
                let known = known.or_else(|| address::from_python(family, &receiver));
                if let Some(known) = known {
                    return match audit::audit(c"socket.sendto", sock.as_borrowed(), receiver) {
                        Ok(()) => Ok(offered(py, datagram::send_to(fd, bytes, &known))),
                        Err(error) => sort_out(py, error),
                    };
                }
            }
        }
        let sent = if connected {
            sock.call_method1(intern!(py, "send"), (data,))
        } else {
            sock.call_method1(intern!(py, "sendto"), (data, receiver))
        };
        match sent {
            Ok(_) => Ok(Offered::Sent),
            Err(error) => sort_out(py, error),
        }
    }

    fn flush(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        while let Some(waiting) = self.state.with(py, |state| state.pending.pop(py)) {
            let data = waiting.data.bind(py);
            let receiver = waiting.receiver.as_ref();
            let receiver = receiver.map(|receiver| receiver.bind_borrowed(py));
            match self.offer(py, data, data.as_bytes(), receiver)? {
                Offered::Sent => {}
                Offered::Blocked => {
                    self.state
                        .with(py, |state| state.pending.put_back(py, waiting));
                    break;
                }
                // The others are sent in the next turn, as in asyncio.
                Offered::Refused(error) => return self.tell_of_error(py, error),
            }
        }
        if self.state.with(py, |state| state.protocol_paused) {
            slf.call_method0(intern!(py, "_maybe_resume_protocol"))?; // may send
        }
        if self.state.with(py, |state| state.pending.len() > 0) {
            return Ok(());
        }
        self.unwatch(slf, Interest::WRITABLE)?;
        let closing = self.state.with(py, |state| {
            let closing = state.watch.closing && state.conn_lost == 0;
            if closing {
                state.conn_lost = 1; // connection_lost() is called below, and only there
            }
            closing
        });
        if closing {
            slf.call_method1(intern!(py, "_call_connection_lost"), (py.None(),))?;
        }
        Ok(())
    }

    /// Calls `error_received`.
    #[cold]
    pub(super) fn tell_of_error(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        let protocol = self.state.with(py, |state| {
            let protocol = state.protocol.as_ref();
            protocol.map(|protocol| protocol.clone_ref(py))
        });
        if let Some(protocol) = protocol {
            let error = error.into_value(py);
            handling(error.bind(py), || {
                protocol.call_method1(py, intern!(py, "error_received"), (&error,))
            })?;
        }
        Ok(())
    }

    #[cold]
    fn too_late(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let earlier = self.state.with(py, |state| {
            let earlier = state.conn_lost;
            state.conn_lost = earlier.saturating_add(1);
            earlier
        });
        slf.call_method1(intern!(py, "_warn_of_late_write"), (earlier,))
            .map(drop)
    }
}

fn offered(py: Python<'_>, sent: io::Result<()>) -> Offered {
    match sent {
        Ok(()) => Offered::Sent,
        Err(error) if is_transient(&error) => Offered::Blocked,
        Err(error) => Offered::Refused(os_error(py, error)),
    }
}

/// Tells what a Python method raised; fails with what is no system error.
#[cold]
fn sort_out(py: Python<'_>, error: PyErr) -> PyResult<Offered> {
    if is_transient_exception(py, &error) {
        Ok(Offered::Blocked)
    } else if error.is_instance_of::<PyOSError>(py) {
        Ok(Offered::Refused(error))
    } else {
        Err(error)
    }
}

#[cold]
fn wrong_receiver(only: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("Invalid address: must be None or {only}"))
}
