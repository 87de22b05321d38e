//! Pausing, closing, and the way to `connection_lost`.

use pyo3::exceptions::PyConnectionError;
use pyo3::intern;
use pyo3::prelude::*;
use rsloop_reactor::Interest;

use super::soon::{call_soon, context_for_later};
use super::state::{Losing, ProtocolKind, Stream};
use crate::loop_::report_call;
use crate::py::context;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::slot::InSlot;
use crate::transports::failure::fatal;
use crate::transports::watch::Watched;

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"pause_reading",
            function: fastcall!(Stream, "pause_reading", 0, pause_reading),
            doc: c"pause_reading($self)\n--\n\n\
                Call data_received() no more, until resume_reading(). Follows asyncio.ReadTransport.",
        },
        Method {
            name: c"resume_reading",
            function: fastcall!(Stream, "resume_reading", 0, resume_reading),
            doc: c"resume_reading($self)\n--\n\n\
                Undo pause_reading(); does nothing when that was not called. Follows asyncio.ReadTransport.",
        },
        Method {
            name: c"close",
            function: fastcall!(Stream, "close", 0, close),
            doc: c"close($self)\n--\n\n\
                Read no more, send what waits to be sent, then close. Follows asyncio.BaseTransport.close.",
        },
        Method {
            name: c"_force_close",
            function: fastcall!(Stream, "_force_close", 1, force_close),
            doc: c"_force_close($self, exc)\n--\n\n\
                Close without sending what waits; connection_lost() gets exc.",
        },
        Method {
            name: c"_call_connection_lost",
            function: fastcall!(Stream, "_call_connection_lost", 1, call_connection_lost),
            doc: c"_call_connection_lost($self, exc)\n--\n\n\
                Tell the protocol, and let go of the socket.",
        },
    ]
}

fn pause_reading(slf: &Bound<'_, PyAny>, this: &Stream, _: Args<'_, '_>) -> PyResult<()> {
    let reading = this.state.with(slf.py(), |state| {
        !state.watch.closing && !std::mem::replace(&mut state.watch.paused, true)
    });
    if reading {
        this.unwatch(slf, Interest::READABLE)?;
        this.log(slf, "%r pauses reading")?;
    }
    Ok(())
}

fn resume_reading(slf: &Bound<'_, PyAny>, this: &Stream, _: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let paused = this.state.with(py, |state| {
        !state.watch.closing && std::mem::replace(&mut state.watch.paused, false)
    });
    if paused {
        slf.call_method0(intern!(py, "_add_reader"))?;
        this.log(slf, "%r resumes reading")?;
    }
    Ok(())
}

fn close(slf: &Bound<'_, PyAny>, this: &Stream, _: Args<'_, '_>) -> PyResult<()> {
    this.close(slf)
}

fn force_close(slf: &Bound<'_, PyAny>, this: &Stream, args: Args<'_, '_>) -> PyResult<()> {
    this.force_close(slf, &args.leading(0))
}

fn call_connection_lost(slf: &Bound<'_, PyAny>, this: &Stream, args: Args<'_, '_>) -> PyResult<()> {
    this.lose(slf, &args.leading(0))
}

/// The turn in which the connection is lost.
fn run_lost(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    let stream = Stream::of_transport(transport)?;
    let (losing, loop_) = stream.state.with(py, |state| {
        let loop_ = state.watch.loop_.as_ref().map(|loop_| loop_.clone_ref(py));
        (state.losing.take(), loop_)
    });
    let (Some(Losing { context, error }), Some(loop_)) = (losing, loop_) else {
        return Ok(());
    };
    let (context, error) = (context.bind_borrowed(py), error.bind(py));
    context::run_in(context, || stream.lose(transport, error)).or_else(|raised| {
        let lost = transport.getattr(intern!(py, "_call_connection_lost"))?;
        report_call(loop_.bind(py), &lost, Some(error), context, raised)
    })
}

/// The peer sends no more: the protocol says whether the transport stays open for writing.
pub(super) fn end_of_stream(transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = transport.py();
    let stream = Stream::of_transport(transport)?;
    stream.log(transport, "%r received EOF")?;
    let protocol = stream.state.with(py, |state| {
        let protocol = state.protocol.as_ref();
        protocol.map(|protocol| protocol.clone_ref(py))
    });
    let Some(protocol) = protocol else {
        return Ok(());
    };
    let stays = protocol
        .call_method0(py, intern!(py, "eof_received"))
        .and_then(|stays| stays.is_truthy(py));
    match stays {
        Ok(true) => stream.unwatch(transport, Interest::READABLE),
        Ok(false) => stream.close(transport),
        Err(error) => fatal(
            transport,
            error,
            "Fatal error: protocol.eof_received() call failed.",
        ),
    }
}

/// Tells `sendfile()`, which waits for `waiter`, unless it does no longer: it may have been
/// cancelled in this very turn.
pub(super) fn wake(waiter: &Bound<'_, PyAny>, outcome: PyResult<()>) -> PyResult<()> {
    let py = waiter.py();
    if waiter.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    match outcome {
        Ok(()) => waiter.call_method1(intern!(py, "set_result"), (py.None(),)),
        Err(error) => waiter.call_method1(intern!(py, "set_exception"), (error.into_value(py),)),
    }
    .map(drop)
}

impl Stream {
    fn close(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if self.state.with(py, |state| {
            std::mem::replace(&mut state.watch.closing, true)
        }) {
            return Ok(());
        }
        if let Err(error) = self.unwatch(slf, Interest::READABLE) {
            // The socket was closed under the transport, so nobody can send what waits.
            return self.force_close(slf, error.value(py));
        }
        let done = self.state.with(py, |state| {
            let done = state.pending.len() == 0;
            state.conn_lost += u32::from(done);
            done
        });
        if done {
            self.unwatch(slf, Interest::WRITABLE)?;
            self.lose_connection_soon(slf, py.None().bind(py))?;
        }
        Ok(())
    }

    /// Closes without sending what waits.
    fn force_close(&self, slf: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let lost = self.state.with(slf.py(), |state| {
            let lost = state.conn_lost > 0;
            if !lost {
                state.pending.clear();
                state.watch.closing = true;
                state.conn_lost = 1;
            }
            lost
        });
        if lost {
            return Ok(());
        }
        for interest in [Interest::WRITABLE, Interest::READABLE] {
            // This fails where the descriptor is closed already: then nothing watches it.
            let _ = self.unwatch(slf, interest);
        }
        self.lose_connection_soon(slf, error)
    }

    /// Logs `message` in debug mode.
    fn log(&self, slf: &Bound<'_, PyAny>, message: &str) -> PyResult<()> {
        let py = slf.py();
        let debug = self.state.with(py, |state| {
            let loop_ = state.watch.loop_.as_ref();
            loop_.is_some_and(|loop_| loop_.get().is_in_debug_mode())
        });
        if debug {
            slf.call_method1(intern!(py, "_log"), (message,))?;
        }
        Ok(())
    }

    fn lose_connection_soon(
        &self,
        slf: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let (loop_, context) = self.state.with(py, |state| {
            let loop_ = state.watch.loop_.as_ref().map(|loop_| loop_.clone_ref(py));
            let context = state.context.as_ref();
            (loop_, context.map(|context| context.bind(py).clone()))
        });
        let Some(loop_) = loop_ else { return Ok(()) };
        if !loop_.get().is_in_debug_mode() {
            loop_.get().check_closed()?;
            let losing = Some(Losing {
                context: context_for_later(py, context.as_ref())?,
                error: error.clone().unbind(),
            });
            let replaced = self
                .state
                .with(py, |state| std::mem::replace(&mut state.losing, losing));
            drop(replaced);
            loop_.get().queue_turn(run_lost, slf);
            return Ok(());
        }
        let lost = slf.getattr(intern!(py, "_call_connection_lost"))?;
        call_soon(loop_.bind(py), (lost, error), context.as_ref())
    }

    /// Tells the protocol, and lets go of the socket.
    fn lose(&self, slf: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let protocol = self.state.with(py, |state| {
            let protocol = state.protocol.as_ref().filter(|_| state.protocol_connected);
            protocol.map(|protocol| protocol.clone_ref(py))
        });
        let told = match protocol {
            Some(protocol) => protocol
                .bind(py)
                .call_method1(intern!(py, "connection_lost"), (error,))
                .map(drop),
            None => Ok(()),
        };
        // Whatever the protocol has said to that.
        told.and(self.release(slf))
    }

    /// Closes the socket, and lets go of everything: the connection is lost.
    fn release(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let (sock, server, waiter, rest) = self.state.with(py, |state| {
            state.pending.clear();
            let waiter = state.empty_waiter.as_ref();
            let waiter = waiter.map(|waiter| waiter.clone_ref(py));
            let rest = (
                state.watch.take(),
                state.protocol.take(),
                std::mem::replace(&mut state.kind, ProtocolKind::Plain),
            );
            (state.sock.take(), state.server.take(), waiter, rest)
        });
        let closed = match sock {
            Some(sock) => sock.close(py),
            None => Ok(()),
        };
        let detached = match server {
            Some(server) if cfg!(Py_3_13) => {
                server.call_method1(py, intern!(py, "_detach"), (slf,))
            }
            Some(server) => server.call_method0(py, intern!(py, "_detach")),
            None => Ok(py.None()),
        };
        let woken = match waiter {
            Some(waiter) => {
                let error = PyConnectionError::new_err("Connection is closed by peer");
                wake(waiter.bind(py), Err(error))
            }
            None => Ok(()),
        };
        drop(rest);
        closed.and(detached).and(woken)
    }
}
