//! Readers and writers: what `add_reader` and its kin do with a descriptor.
//!
//! These are the hooks below asyncio's public methods, which have checked by then that no
//! transport uses the descriptor. Its sockets and pipes use them as well.

use std::fmt::Display;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::exceptions::{PyOverflowError, PyRuntimeWarning, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};
use rsloop_reactor::{Interest, Poller, Readiness, Token};

use super::entry::{Ready, Turn, Turns};
use super::io::{Taken, Watcher};
use super::state::LoopBase;
use crate::error::os_error;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::handle::{Call, Handle};
use crate::shared::this_process;

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"_add_reader",
            function: fastcall!(LoopBase, "_add_reader", 2.., add_reader),
            doc: c"_add_reader($self, fd, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) whenever fd can be read, and return its handle.",
        },
        Method {
            name: c"_add_writer",
            function: fastcall!(LoopBase, "_add_writer", 2.., add_writer),
            doc: c"_add_writer($self, fd, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) whenever fd can be written, and return its handle.",
        },
        Method {
            name: c"_remove_reader",
            function: fastcall!(LoopBase, "_remove_reader", 1.., remove_reader),
            doc: c"_remove_reader($self, fd)\n--\n\n\
                Stop watching fd for reading. Returns whether it was watched.",
        },
        Method {
            name: c"_remove_writer",
            function: fastcall!(LoopBase, "_remove_writer", 1.., remove_writer),
            doc: c"_remove_writer($self, fd)\n--\n\n\
                Stop watching fd for writing. Returns whether it was watched.",
        },
        Method {
            name: c"_watched_events",
            function: fastcall!(LoopBase, "_watched_events", 1.., watched_events),
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

fn remove_reader(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<bool> {
    this.unwatch(slf.py(), args, Interest::READABLE)
}

fn remove_writer(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<bool> {
    this.unwatch(slf.py(), args, Interest::WRITABLE)
}

fn watched_events(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<u8> {
    let fd = descriptor(&args.leading(0))?;
    let interest = this.io.with(slf.py(), |io| {
        io.as_ref()
            .map_or(Interest::NONE, |io| io.registry.interest(fd))
    });
    Ok(u8::from(interest.is_readable()) | u8::from(interest.is_writable()) << 1)
}

/// The descriptor of `fileobj`: an integer, or an object with `fileno()`, as in `selectors`.
pub(super) fn descriptor(fileobj: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let invalid = || PyValueError::new_err(format!("Invalid file object: {fileobj:?}"));
    let fd: RawFd = match fileobj.extract() {
        Ok(fd) => fd,
        Err(_) if fileobj.is_instance_of::<PyInt>() && fileobj.gt(0)? => {
            fileobj.extract::<i64>()?;
            let message = "Python int too large to convert to C int";
            return Err(PyOverflowError::new_err(message));
        }
        Err(_) if fileobj.is_instance_of::<PyInt>() => return Err(negative(fileobj)),
        Err(_) => fileobj
            .call_method0(intern!(fileobj.py(), "fileno"))
            .and_then(|fd| fd.extract())
            .map_err(|_| invalid())?,
    };
    if fd < 0 {
        return Err(negative(fd));
    }
    Ok(fd)
}

fn negative(fd: impl Display) -> PyErr {
    PyValueError::new_err(format!("Invalid file descriptor: {fd}"))
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
        let given = args.leading(0);
        let fd = descriptor(&given)?;
        if cfg!(Py_3_13) && given.is_instance_of::<PyBool>() {
            let category = py.get_type::<PyRuntimeWarning>();
            PyErr::warn(py, &category, c"bool is used as a file descriptor", 1)?;
        }
        let callback = args.leading(1);
        let context = args.context(method)?;
        let call = Call {
            callback: callback.as_ptr(),
            arguments: args.tail(2),
        };
        let handle = Handle::new(py, &call, context)?;
        let file = (!given.is_instance_of::<PyInt>()).then_some(&*given);
        self.watch_handle(py, fd, file, interest, &handle)?;
        Ok(handle.into_object())
    }

    /// Makes `handle` the reader or writer of `fd`, in place of whatever was.
    pub(super) fn watch_handle(
        &self,
        py: Python<'_>,
        fd: RawFd,
        file: Option<&Bound<'_, PyAny>>,
        interest: Interest,
        handle: &Handle,
    ) -> PyResult<()> {
        handle.track(py);
        let watcher = Watcher::Handle(handle.clone_ref(py));
        self.replace_watcher(py, fd, file, interest, watcher)
    }

    /// Makes `watcher`, of which the caller has another reference, wait for `interest` in `fd`, and
    /// cancels the one that did.
    fn replace_watcher(
        &self,
        py: Python<'_>,
        fd: RawFd,
        file: Option<&Bound<'_, PyAny>>,
        interest: Interest,
        watcher: Watcher,
    ) -> PyResult<()> {
        self.check_closed()?;
        self.own_poller(py)?;
        let replaced = self
            .io
            .with(py, |io| match io {
                Some(io) => io.watch(fd, file, interest, watcher),
                None => Ok(None),
            })
            .map_err(|error| os_error(py, error))?;
        // What is ready already has its place in the next turn.
        self.policy.with(py, |policy| policy.demand_poll());
        if let Some(replaced) = replaced {
            cancel(py, &replaced);
        }
        Ok(())
    }

    /// Ends what [`LoopBase::watch`] began; `false` when nothing was watched.
    fn unwatch(&self, py: Python<'_>, args: Args<'_, '_>, interest: Interest) -> PyResult<bool> {
        if self.closed.get() {
            return Ok(false);
        }
        let fd = self.watched(&args.leading(0))?;
        self.take_interest(py, fd, interest)
    }

    /// The descriptor that is no longer to be watched, as `fileobj`.
    fn watched(&self, fileobj: &Bound<'_, PyAny>) -> PyResult<RawFd> {
        let py = fileobj.py();
        match descriptor(fileobj) {
            // A number that no descriptor has, so nothing watches it.
            Err(error) if error.is_instance_of::<PyOverflowError>(py) && fileobj.gt(0)? => {
                Ok(RawFd::MAX)
            }
            // As in asyncio: what has been closed meanwhile is found by what it is.
            Err(error) if error.is_instance_of::<PyValueError>(py) => {
                let found = self.io.with(py, |io| io.as_ref()?.find(fileobj));
                found.ok_or(error)
            }
            fd => fd,
        }
    }

    /// Watches a transport's descriptor for `interest` as well.
    pub(crate) fn watch_transport(
        &self,
        turns: &'static Turns,
        transport: &Bound<'_, PyAny>,
        fd: RawFd,
        interest: Interest,
    ) -> PyResult<()> {
        let py = transport.py();
        let turn = if interest.is_readable() {
            turns.readable
        } else {
            turns.writable
        };
        let watcher = Watcher::Transport(turn, transport.clone().unbind());
        self.replace_watcher(py, fd, None, interest, watcher)
    }

    /// Gives a transport a turn after what is queued now.
    pub(crate) fn queue_turn(&self, turn: Turn, transport: &Bound<'_, PyAny>) {
        let py = transport.py();
        let entry = Ready::Turn(turn, transport.clone().unbind());
        self.ready.with(py, |ready| ready.push(entry));
    }

    /// Stops watching a transport's descriptor for `interest`.
    ///
    /// Whoever else is watched by that number now has got it from a socket that was closed under
    /// the transport, and stays.
    pub(crate) fn unwatch_transport(
        &self,
        transport: &Bound<'_, PyAny>,
        fd: RawFd,
        interest: Interest,
    ) -> PyResult<()> {
        let py = transport.py();
        self.take_interest_of(transport.as_unbound(), py, fd, interest)
    }

    /// Stops watching `fd` for what `object`, a handle or a transport, waits for; does nothing where
    /// another waits in its place.
    pub(super) fn take_interest_of(
        &self,
        object: &Py<PyAny>,
        py: Python<'_>,
        fd: RawFd,
        interest: Interest,
    ) -> PyResult<()> {
        let waits = self.io.with(py, |io| {
            let source = io.as_ref().and_then(|io| io.registry.get(fd));
            let watcher = source.and_then(|source| source.watcher(interest));
            watcher.is_some_and(|watcher| watcher.as_object().is(object))
        });
        if waits {
            self.take_interest(py, fd, interest)?;
        }
        Ok(())
    }

    /// Takes away and cancels what waits for `interest` in `fd`; `false` when nothing did.
    fn take_interest(&self, py: Python<'_>, fd: RawFd, interest: Interest) -> PyResult<bool> {
        self.own_poller(py)?;
        let taken = self.io.with(py, |io| io.as_mut()?.take(fd, interest));
        match taken {
            None => Ok(false),
            Some(Taken {
                error: Some(error), ..
            }) => Err(os_error(py, error)),
            Some(taken) => {
                cancel(py, &taken.watcher);
                Ok(true)
            }
        }
    }

    /// Makes a new poller, because the old one reports again and again what is no longer watched.
    ///
    /// That is a descriptor which was closed before it was removed, and of which a duplicate lives.
    /// What was closed like that and not removed at all is found out here, and waits for nothing.
    #[cold]
    pub(super) fn renew_poller(&self, py: Python<'_>) -> io::Result<()> {
        let poller = Poller::new()?;
        self.shared.watch_wakeup(&poller)?;
        let replaced = self.io.with(py, |io| {
            let io = io.as_mut()?;
            let _closed = io.registry.rewatch(&poller);
            Some(std::mem::replace(&mut io.poller, Arc::new(poller)))
        });
        drop(replaced);
        Ok(())
    }

    /// Makes sure that the poller is this process's own, before it is used.
    ///
    /// A forked child has its parent's, and whatever it changed there, the parent would miss.
    #[inline]
    pub(super) fn own_poller(&self, py: Python<'_>) -> PyResult<()> {
        if self.process.load(Ordering::Relaxed) == this_process() {
            return Ok(());
        }
        self.part_from_parent(py)
            .map_err(|error| os_error(py, error))
    }

    #[cold]
    fn part_from_parent(&self, py: Python<'_>) -> io::Result<()> {
        if !self.closed.get() {
            self.shared.renew_wakeup()?;
            self.renew_poller(py)?;
        }
        self.process.store(this_process(), Ordering::Relaxed);
        Ok(())
    }

    /// Queues what waits for an event, the reader before the writer; `false` when nothing is
    /// registered for it.
    pub(super) fn dispatch(&self, py: Python<'_>, token: Token, readiness: Readiness) -> bool {
        let queued = self.io.with(py, |io| {
            let io = io.as_ref()?;
            let (fd, interest) = io.registry.resolve(token)?;
            let ready = readiness.masked(interest);
            let source = io.registry.get(fd)?;
            let reader = source.reader.as_ref().filter(|_| ready.readable);
            let writer = source.writer.as_ref().filter(|_| ready.writable);
            let entry = |watcher: &Watcher| watcher.entry(py);
            Some((reader.map(entry), writer.map(entry)))
        });
        let Some((reader, writer)) = queued else {
            return false;
        };
        self.ready.with(py, |ready| {
            for entry in [reader, writer].into_iter().flatten() {
                ready.push(entry);
            }
        });
        true
    }
}

/// Cancels a handle that waits no longer; a transport has its own ways to know.
fn cancel(py: Python<'_>, watcher: &Watcher) {
    if let Watcher::Handle(handle) = watcher {
        handle.get(py).cancel();
    }
}
