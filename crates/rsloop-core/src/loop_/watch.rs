//! Readers and writers: what `add_reader` and its kin do with a descriptor.
//!
//! These are the hooks below asyncio's public methods, which have checked by then that no
//! transport uses the descriptor. Its sockets, pipes and datagram transports use them as well.

use std::io;
use std::os::fd::RawFd;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use rsloop_reactor::{Interest, Readiness, Token};

use super::LoopBase;
use super::state::{Io, Ready, Source, interest_of};
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::handle::{self, Call, Handle};
use crate::py::handle_type::HandleTypes;

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"_add_reader",
            function: fastcall!(LoopBase, add_reader),
            doc: c"_add_reader($self, fd, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) whenever fd can be read, and return its handle.",
        },
        Method {
            name: c"_add_writer",
            function: fastcall!(LoopBase, add_writer),
            doc: c"_add_writer($self, fd, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) whenever fd can be written, and return its handle.",
        },
        Method {
            name: c"_remove_reader",
            function: fastcall!(LoopBase, remove_reader),
            doc: c"_remove_reader($self, fd)\n--\n\n\
                Stop watching fd for reading. Returns whether it was watched.",
        },
        Method {
            name: c"_remove_writer",
            function: fastcall!(LoopBase, remove_writer),
            doc: c"_remove_writer($self, fd)\n--\n\n\
                Stop watching fd for writing. Returns whether it was watched.",
        },
        Method {
            name: c"_watched_events",
            function: fastcall!(LoopBase, watched_events),
            doc: c"_watched_events($self, fd)\n--\n\n\
                Return the selectors.EVENT_* bits that fd is watched for, 0 for none.",
        },
    ]
}

fn add_reader(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    this.watch(slf, args, "_add_reader", Interest::READABLE)
}

fn add_writer(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    this.watch(slf, args, "_add_writer", Interest::WRITABLE)
}

fn remove_reader(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    this.unwatch(slf.py(), args, "_remove_reader", Interest::READABLE)
}

fn remove_writer(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    this.unwatch(slf.py(), args, "_remove_writer", Interest::WRITABLE)
}

fn watched_events(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let fd = descriptor(&*args.required(0, "_watched_events", "fd")?)?;
    let interest = this.io.with(py, |io| {
        io.as_ref()
            .map_or(Interest::NONE, |io| io.registry.interest(fd))
    });
    let bits = u8::from(interest.is_readable()) | u8::from(interest.is_writable()) << 1;
    Ok(bits.into_pyobject(py)?.into_any().unbind())
}

/// The descriptor of `fileobj`: an integer, or an object with `fileno()`, as in `selectors`.
fn descriptor(fileobj: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let invalid = || PyValueError::new_err(format!("Invalid file object: {fileobj:?}"));
    let fd: RawFd = match fileobj.extract() {
        Ok(fd) => fd,
        Err(_) => fileobj
            .call_method0(intern!(fileobj.py(), "fileno"))
            .and_then(|fd| fd.extract())
            .map_err(|_| invalid())?,
    };
    if fd < 0 {
        return Err(PyValueError::new_err(format!(
            "Invalid file descriptor: {fd}"
        )));
    }
    Ok(fd)
}

impl LoopBase {
    fn watch(
        &self,
        slf: &Bound<'_, PyAny>,
        args: Args<'_, '_>,
        method: &str,
        interest: Interest,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        self.check_closed()?;
        let fd = descriptor(&*args.required(0, method, "fd")?)?;
        let callback = args.required(1, method, "callback")?;
        let context = args.only_keyword(intern!(py, "context"), method)?;
        let call = Call {
            callback: callback.as_ptr(),
            arguments: args.tail(2),
        };
        let handle = handle::new_handle(py, HandleTypes::get(py), &call, context)?;
        handle::track(&handle);
        let handle = handle.unbind();
        let replaced = self.io.with(py, |io| match io {
            Some(io) => io.set_handle(fd, interest, handle.clone_ref(py)),
            None => Ok(None),
        })?;
        if let Some(replaced) = replaced {
            cancel(py, &replaced);
        }
        Ok(handle)
    }

    fn unwatch(
        &self,
        py: Python<'_>,
        args: Args<'_, '_>,
        method: &str,
        interest: Interest,
    ) -> PyResult<Py<PyAny>> {
        let removed = if self.closed.get() {
            None
        } else {
            let fd = descriptor(&*args.required(0, method, "fd")?)?;
            self.io
                .with(py, |io| io.as_mut().map(|io| io.take_handle(fd, interest)))
                .transpose()?
        };
        let removed = removed.flatten();
        if let Some(handle) = &removed {
            cancel(py, handle);
        }
        Ok(removed
            .is_some()
            .into_pyobject(py)?
            .to_owned()
            .into_any()
            .unbind())
    }

    /// Queues what waits for an event, the reader before the writer.
    pub(super) fn dispatch(&self, py: Python<'_>, token: Token, readiness: Readiness) {
        let source = self.io.with(py, |io| {
            let io = io.as_ref()?;
            let (fd, interest) = io.registry.resolve(token)?;
            let ready = interest_of(readiness.masked(interest));
            let source = io.registry.get(fd)?;
            let reader = source.reader.as_ref().filter(|_| ready.is_readable());
            let writer = source.writer.as_ref().filter(|_| ready.is_writable());
            Some((
                reader.map(|handle| handle.clone_ref(py)),
                writer.map(|handle| handle.clone_ref(py)),
            ))
        });
        let Some((reader, writer)) = source else {
            return;
        };
        self.ready.with(py, |ready| {
            for handle in [reader, writer].into_iter().flatten() {
                ready.push(Ready::Handle(handle));
            }
        });
    }
}

fn cancel(py: Python<'_>, handle: &Handle) {
    if let Some(handle) = HandleTypes::get(py).cast(handle.bind_borrowed(py)) {
        handle.cancel();
    }
}

impl Io {
    /// Makes `handle` the reader or writer of `fd`, and returns the one it replaces.
    fn set_handle(
        &mut self,
        fd: RawFd,
        interest: Interest,
        handle: Handle,
    ) -> io::Result<Option<Handle>> {
        if self.registry.get(fd).is_none() {
            let mut source = Source::default();
            *source.slot(interest) = Some(handle);
            self.registry.insert(&self.poller, fd, interest, source)?;
            return Ok(None);
        }
        let wanted = self.registry.interest(fd) | interest;
        self.registry.set_interest(&self.poller, fd, wanted)?;
        let source = self.registry.get_mut(fd).ok_or(io::ErrorKind::NotFound)?;
        Ok(source.slot(interest).replace(handle))
    }

    /// Takes the reader or writer of `fd` away, and stops watching for it.
    fn take_handle(&mut self, fd: RawFd, interest: Interest) -> io::Result<Option<Handle>> {
        let Some(source) = self.registry.get_mut(fd) else {
            return Ok(None);
        };
        let handle = source.slot(interest).take();
        let left = self.registry.interest(fd).without(interest);
        if left.is_none() {
            self.registry.remove(&self.poller, fd);
        } else {
            self.registry.set_interest(&self.poller, fd, left)?;
        }
        Ok(handle)
    }
}

impl Source {
    fn slot(&mut self, interest: Interest) -> &mut Option<Handle> {
        if interest.is_readable() {
            &mut self.reader
        } else {
            &mut self.writer
        }
    }
}
