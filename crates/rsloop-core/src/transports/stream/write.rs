//! From `write` to the kernel, and flow control.

use std::io;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rsloop_reactor::{Interest, socket};

use super::close::wake;
use super::state::{State, Stream};
use crate::error::{is_transient, os_error};
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::piece::Piece;
use crate::py::slot::InSlot;
use crate::py::{buffer, context};
use crate::transports::data::check_bytes_like;
use crate::transports::failure::fatal;
use crate::transports::watch::Watched;

const WRITE_FAILED: &str = "Fatal write error on socket transport";

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"write",
            function: fastcall!(Stream, "write", 1, write),
            doc: c"write($self, data, /)\n--\n\n\
                Send data, or keep what the kernel does not take now until it does. Never blocks.\n\n\
                data is bytes, a bytearray or a memoryview. Raises TypeError for anything else, BufferError\n\
                for memory that is not contiguous, RuntimeError after write_eof(). After the connection is\n\
                lost it only logs. Follows asyncio.WriteTransport.write.\n\n\
                Differs: asyncio ends the connection with that BufferError.",
        },
        Method {
            name: c"writelines",
            function: fastcall!(Stream, "writelines", 1, writelines),
            doc: c"writelines($self, list_of_data, /)\n--\n\n\
                Send several pieces as one. As write() of each in turn, in fewer system calls; a piece may be\n\
                any contiguous buffer. Follows asyncio.WriteTransport.writelines.\n\n\
                Differs: as write().",
        },
        Method {
            name: c"get_write_buffer_size",
            function: fastcall!(Stream, "get_write_buffer_size", 0, get_write_buffer_size),
            doc: c"get_write_buffer_size($self)\n--\n\nReturn the number of bytes that wait to be sent.",
        },
        Method {
            name: c"is_closing",
            function: fastcall!(Stream, "is_closing", 0, is_closing),
            doc: c"is_closing($self)\n--\n\nReturn whether the transport is closing or closed.",
        },
    ]
}

fn write(slf: &Bound<'_, PyAny>, this: &Stream, args: Args<'_, '_>) -> PyResult<()> {
    let data = args.leading(0);
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        let keep = || Piece::Shared(Bound::clone(&bytes).unbind());
        this.write_bytes(slf, bytes.as_bytes(), keep)
    } else {
        check_bytes_like(&data)?;
        buffer::with_bytes(&data, |bytes| {
            this.write_bytes(slf, bytes, || Piece::Copied(bytes.into()))
        })
    }
}

fn writelines(slf: &Bound<'_, PyAny>, this: &Stream, args: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let list = args.leading(0);
    let mut pieces = Vec::new();
    for data in list.try_iter()? {
        let data = data?;
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            if !bytes.as_bytes().is_empty() {
                pieces.push(Piece::Shared(bytes.clone().unbind()));
            }
        } else {
            // As b"".join() or memoryview(), by which asyncio takes them: any buffer will do.
            buffer::with_bytes(&data, |bytes| {
                if !bytes.is_empty() {
                    pieces.push(Piece::Copied(bytes.into()));
                }
                Ok(())
            })?;
        }
    }
    if !this.admit(slf, "writelines", pieces.is_empty())? {
        return Ok(());
    }
    let was_empty = this.state.with(py, |state| {
        let was_empty = state.pending.len() == 0;
        for piece in pieces {
            state.pending.push(py, piece, 0);
        }
        was_empty
    });
    if was_empty {
        match this.send_pending(py) {
            Ok(0) => return Ok(()),
            Ok(_) => this.await_writable(slf)?,
            Err(error) => return this.write_failed(slf, error),
        }
    }
    this.pause_protocol_if_full(slf)
}

fn get_write_buffer_size(
    slf: &Bound<'_, PyAny>,
    this: &Stream,
    _: Args<'_, '_>,
) -> PyResult<usize> {
    Ok(this.state.with(slf.py(), |state| state.pending.len()))
}

fn is_closing(slf: &Bound<'_, PyAny>, this: &Stream, _: Args<'_, '_>) -> PyResult<bool> {
    Ok(this.state.with(slf.py(), |state| state.watch.closing))
}

/// Sends what waits, now that there is room, and tells whoever waited for that.
pub(super) fn run_writable(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    let stream = Stream::of_transport(transport)?;
    let context = stream.state.with(py, |state| {
        if state.conn_lost > 0 || state.pending.len() == 0 {
            return None;
        }
        Some(state.watch.write_context.as_ref()?.clone_ref(py))
    });
    let Some(context) = context else {
        return Ok(());
    };
    context::run_in(context.bind_borrowed(py), || stream.flush(transport))
}

impl Stream {
    /// Sends `data`, which is not empty: `transport.write(data)` without Python in between.
    pub(crate) fn write(transport: &Bound<'_, PyAny>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let keep = || Piece::Shared(data.clone().unbind());
        Self::of_transport(transport)?.write_bytes(transport, data.as_bytes(), keep)
    }

    /// Sends what `take` fills in, until it does not fill the space it gets: as `write` of all that,
    /// without an object for it. Once nothing can be sent any more it is taken all the same.
    ///
    /// `take` runs no Python code.
    pub(crate) fn write_from(
        transport: &Bound<'_, PyAny>,
        take: impl Fn(&mut [u8]) -> usize,
    ) -> PyResult<()> {
        let py = transport.py();
        let stream = Self::of_transport(transport)?;
        loop {
            let (loop_, fd, idle) = stream.state.with(py, |state| {
                let loop_ = state.watch.loop_.as_ref().map(|loop_| loop_.clone_ref(py));
                (loop_, state.fd(), state.pending.len() == 0)
            });
            let Some(loop_) = loop_ else { return Ok(()) };
            let discard = || {
                let full = |space: &mut [u8]| take(space) == space.len();
                while loop_.get().with_read_buffer(py, full) {}
            };
            if !stream.admit(transport, "write", false)? {
                discard();
                return Ok(());
            }
            let sent = loop_.get().with_read_buffer(py, |space| {
                let count = take(space);
                let data = &space[..count];
                let mut sent = 0;
                if idle && count > 0 {
                    match socket::send(fd, data) {
                        Ok(count) => sent = count,
                        Err(error) if is_transient(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok((Box::<[u8]>::from(&data[sent..]), count < space.len()))
            });
            let (left, last) = match sent {
                Ok(sent) => sent,
                Err(error) => {
                    discard();
                    return stream.write_failed(transport, error);
                }
            };
            if !left.is_empty() {
                stream
                    .state
                    .with(py, |state| state.pending.push(py, Piece::Copied(left), 0));
                if idle {
                    stream.await_writable(transport)?;
                }
                stream.pause_protocol_if_full(transport)?;
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Whether a write may go on; `false` when there is nothing (more) to do for it.
    #[inline]
    fn admit(&self, slf: &Bound<'_, PyAny>, method: &str, empty: bool) -> PyResult<bool> {
        let py = slf.py();
        let too_late = self.state.with(py, |state| {
            if state.eof || state.empty_waiter.is_some() {
                return Err(refusal(state, method));
            }
            if !empty && state.conn_lost > 0 {
                state.conn_lost = state.conn_lost.saturating_add(1);
                return Ok(Some(state.conn_lost - 1));
            }
            Ok(None)
        })?;
        match too_late {
            Some(earlier) => {
                slf.call_method1(intern!(py, "_warn_of_late_write"), (earlier,))?;
                Ok(false)
            }
            None => Ok(!empty),
        }
    }

    /// Sends `bytes` now if nothing waits, and lets what is left of it wait as `keep` has it.
    #[inline]
    fn write_bytes(
        &self,
        slf: &Bound<'_, PyAny>,
        bytes: &[u8],
        keep: impl FnOnce() -> Piece,
    ) -> PyResult<()> {
        let py = slf.py();
        if !self.admit(slf, "write", bytes.is_empty())? {
            return Ok(());
        }
        let (fd, idle) = self
            .state
            .with(py, |state| (state.fd(), state.pending.len() == 0));
        let mut sent = 0;
        if idle {
            match socket::send(fd, bytes) {
                Ok(count) if count == bytes.len() => return Ok(()),
                Ok(count) => sent = count,
                Err(error) if is_transient(&error) => {}
                Err(error) => return self.write_failed(slf, error),
            }
        }
        self.state
            .with(py, |state| state.pending.push(py, keep(), sent));
        if idle {
            self.await_writable(slf)?;
        }
        self.pause_protocol_if_full(slf)
    }

    /// Offers what waits to the kernel once, and returns how many bytes still wait.
    fn send_pending(&self, py: Python<'_>) -> io::Result<usize> {
        self.state.with(py, |state| {
            let fd = state.fd();
            let pending = &mut state.pending;
            let result = socket::send_vectored(fd, &pending.slices(py, socket::MOST_PIECES));
            match result {
                Ok(count) => pending.advance(py, count),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
            Ok(pending.len())
        })
    }

    fn flush(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if let Err(error) = self.send_pending(py) {
            return self.flush_failed(slf, error);
        }
        if self.state.with(py, |state| state.protocol_paused) {
            slf.call_method0(intern!(py, "_maybe_resume_protocol"))?; // may write
        }
        if self.state.with(py, |state| state.pending.len() > 0) {
            return Ok(());
        }
        self.unwatch(slf, Interest::WRITABLE)?;
        if let Some(waiter) = self.empty_waiter(py) {
            wake(&waiter, Ok(()))?;
        }
        let (closing, eof) = self.state.with(py, |state| {
            let closing = state.watch.closing && state.conn_lost == 0;
            if closing {
                state.conn_lost = 1; // connection_lost() is called below, and only there
            }
            (closing, state.eof)
        });
        if closing {
            slf.call_method1(intern!(py, "_call_connection_lost"), (py.None(),))?;
        } else if eof {
            slf.call_method0(intern!(py, "_shut_down_writing"))?;
        }
        Ok(())
    }

    #[cold]
    fn flush_failed(&self, slf: &Bound<'_, PyAny>, error: io::Error) -> PyResult<()> {
        let py = slf.py();
        self.state.with(py, |state| state.pending.clear());
        let waiter = self.empty_waiter(py);
        let error = os_error(py, error);
        fatal(slf, error.clone_ref(py), WRITE_FAILED)?;
        match waiter {
            Some(waiter) => wake(&waiter, Err(error)),
            None => Ok(()),
        }
    }

    /// What `sendfile()` waits for: that nothing waits to be sent.
    fn empty_waiter<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state.with(py, |state| {
            let waiter = state.empty_waiter.as_ref()?;
            Some(waiter.bind(py).clone())
        })
    }

    #[cold]
    fn write_failed(&self, slf: &Bound<'_, PyAny>, error: io::Error) -> PyResult<()> {
        fatal(slf, os_error(slf.py(), error), WRITE_FAILED)
    }

    #[inline]
    fn pause_protocol_if_full(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let full = self.state.with(py, |state| {
            !state.protocol_paused && state.pending.len() > state.high_water_bytes
        });
        if full {
            slf.call_method0(intern!(py, "_maybe_pause_protocol"))?;
        }
        Ok(())
    }
}

#[cold]
fn refusal(state: &State, method: &str) -> PyErr {
    PyRuntimeError::new_err(if state.eof {
        format!("Cannot call {method}() after write_eof()")
    } else {
        format!("unable to {method}; sendfile is in progress")
    })
}
