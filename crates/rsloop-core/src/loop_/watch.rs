//! Readers and writers: what `add_reader` and its kin do with a descriptor.
//!
//! These are the hooks below asyncio's public methods, which have checked by then that no
//! transport uses the descriptor. Its sockets and pipes use them as well.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyInt;
use rsloop_reactor::{Interest, Poller, Readiness, Token};

use super::LoopBase;
use super::state::{Io, Ready, Source};
use crate::error::os_error;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::handle::{Call, Handle};
use crate::transports::Kind;

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"_add_reader",
            function: fastcall!(LoopBase, "_add_reader", 2, add_reader),
            doc: c"_add_reader($self, fd, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) whenever fd can be read, and return its handle.",
        },
        Method {
            name: c"_add_writer",
            function: fastcall!(LoopBase, "_add_writer", 2, add_writer),
            doc: c"_add_writer($self, fd, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) whenever fd can be written, and return its handle.",
        },
        Method {
            name: c"_remove_reader",
            function: fastcall!(LoopBase, "_remove_reader", 1, remove_reader),
            doc: c"_remove_reader($self, fd)\n--\n\n\
                Stop watching fd for reading. Returns whether it was watched.",
        },
        Method {
            name: c"_remove_writer",
            function: fastcall!(LoopBase, "_remove_writer", 1, remove_writer),
            doc: c"_remove_writer($self, fd)\n--\n\n\
                Stop watching fd for writing. Returns whether it was watched.",
        },
        Method {
            name: c"_watched_events",
            function: fastcall!(LoopBase, "_watched_events", 1, watched_events),
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
    this.unwatch(slf.py(), args, Interest::READABLE)
}

fn remove_writer(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    this.unwatch(slf.py(), args, Interest::WRITABLE)
}

fn watched_events(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let fd = descriptor(&args.leading(0))?;
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
        Err(error) if fileobj.is_instance_of::<PyInt>() => return Err(error),
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
        let fd = descriptor(&args.leading(0))?;
        let callback = args.leading(1);
        let context = args.context(method)?;
        let call = Call {
            callback: callback.as_ptr(),
            arguments: args.tail(2),
        };
        let handle = Handle::new(py, &call, context)?;
        handle.track(py);
        let replaced = self
            .io
            .with(py, |io| match io {
                Some(io) => io.set_handle(fd, interest, handle.clone_ref(py)),
                None => Ok(None),
            })
            .map_err(|error| os_error(py, error))?;
        if let Some(Source::Handles { reader, writer }) = &replaced {
            reader
                .iter()
                .chain(writer)
                .for_each(|handle| cancel(py, handle));
        }
        Ok(handle.into_object())
    }

    fn unwatch(
        &self,
        py: Python<'_>,
        args: Args<'_, '_>,
        interest: Interest,
    ) -> PyResult<Py<PyAny>> {
        if self.closed.get() {
            return Ok(false.into_pyobject(py)?.to_owned().into_any().unbind());
        }
        let fd = descriptor(&args.leading(0))?;
        let taken = self.take_interest(py, fd, interest)?;
        if let Some(Taken::Handle(handle)) = &taken {
            cancel(py, handle);
        }
        Ok(taken
            .is_some()
            .into_pyobject(py)?
            .to_owned()
            .into_any()
            .unbind())
    }

    /// Watches a transport's descriptor for `interest` as well.
    pub(crate) fn watch_transport(
        &self,
        kind: Kind,
        transport: &Bound<'_, PyAny>,
        fd: RawFd,
        interest: Interest,
    ) -> PyResult<()> {
        let py = transport.py();
        let transport = transport.clone().unbind();
        self.check_closed()?;
        let replaced = self
            .io
            .with(py, |io| match io {
                Some(io) => io.add_transport_interest(fd, interest, kind, transport),
                None => Ok(None),
            })
            .map_err(|error| os_error(py, error))?;
        drop(replaced);
        Ok(())
    }

    /// Lets a datagram transport look for more after what is queued now.
    pub(crate) fn queue_look_ahead(&self, transport: &Bound<'_, PyAny>) {
        let py = transport.py();
        let entry = Ready::LookAhead(transport.clone().unbind());
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
        let watched = self.io.with(py, |io| {
            let source = io.as_ref().and_then(|io| io.registry.get(fd));
            matches!(source, Some(Source::Transport(_, known)) if known.is(transport))
        });
        if watched {
            self.take_interest(py, fd, interest)?;
        }
        Ok(())
    }

    /// Takes away what waits for `interest` in `fd`; `None` when nothing did.
    fn take_interest(
        &self,
        py: Python<'_>,
        fd: RawFd,
        interest: Interest,
    ) -> PyResult<Option<Taken>> {
        let taken = self.io.with(py, |io| io.as_mut()?.take(fd, interest));
        match taken {
            Some(Taken::Lost { error, .. }) => Err(os_error(py, error)),
            taken => Ok(taken),
        }
    }

    /// Makes a new poller, because the old one reports again and again what is no longer watched.
    ///
    /// That is a descriptor which was closed before it was removed, and of which a duplicate lives.
    /// What was closed like that and not removed at all is found out here, and waits for nothing.
    #[cold]
    pub(super) fn renew_poller(&self, py: Python<'_>) {
        // Without a descriptor for it the old one stays, and the next polls try again.
        let Ok(poller) = Poller::new() else { return };
        if self.shared.watch_wakeup(&poller).is_err() {
            return;
        }
        let replaced = self.io.with(py, |io| {
            let io = io.as_mut()?;
            let _closed = io.registry.rewatch(&poller);
            Some(std::mem::replace(&mut io.poller, Arc::new(poller)))
        });
        drop(replaced);
    }

    /// Queues what waits for an event, the reader before the writer; `false` when nothing is
    /// registered for it.
    pub(super) fn dispatch(&self, py: Python<'_>, token: Token, readiness: Readiness) -> bool {
        let queued = self.io.with(py, |io| {
            let io = io.as_ref()?;
            let (fd, interest) = io.registry.resolve(token)?;
            let ready = readiness.masked(interest);
            Some(match io.registry.get(fd)? {
                Source::Handles { reader, writer } => {
                    let reader = reader.as_ref().filter(|_| ready.readable);
                    let writer = writer.as_ref().filter(|_| ready.writable);
                    let queue = |handle: &Handle| Ready::Handle(handle.clone_ref(py));
                    (reader.map(queue), writer.map(queue))
                }
                Source::Transport(kind, transport) => {
                    let transport = |wanted: bool| wanted.then(|| transport.clone_ref(py));
                    (
                        transport(ready.readable).map(|object| Ready::Readable(*kind, object)),
                        transport(ready.writable).map(|object| Ready::Writable(*kind, object)),
                    )
                }
            })
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

/// What no longer waits for a descriptor: a handle, or a transport (which may wait for the rest).
enum Taken {
    Handle(Handle),
    Transport {
        _last: Option<Source>,
    },
    /// Both, because the poller failed.
    Lost {
        error: io::Error,
        _handle: Option<Handle>,
        _rest: Option<Source>,
    },
}

fn cancel(py: Python<'_>, handle: &Handle) {
    handle.get(py).cancel();
}

impl Io {
    /// Makes `handle` the reader or writer of `fd`, and returns what it replaces.
    fn set_handle(
        &mut self,
        fd: RawFd,
        interest: Interest,
        handle: Handle,
    ) -> io::Result<Option<Source>> {
        // A transport here was left behind by a descriptor that was closed without it.
        let stale = match self.registry.get(fd) {
            Some(Source::Transport(..)) => self.registry.remove(&self.poller, fd),
            _ => None,
        };
        if self.registry.get(fd).is_none() {
            let source = Source::of_handle(interest, Some(handle));
            return self.replace(fd, interest, source, stale);
        }
        let wanted = self.registry.interest(fd) | interest;
        if wanted == self.registry.interest(fd) {
            // The descriptor may have been closed, and its number be another's now.
            self.registry.reassert(&self.poller, fd)?;
        } else {
            self.registry.set_interest(&self.poller, fd, wanted)?;
        }
        let slot = self
            .registry
            .get_mut(fd)
            .and_then(|source| source.handle(interest));
        let replaced = slot.and_then(|slot| slot.replace(handle));
        Ok(replaced.map(|handle| Source::of_handle(interest, Some(handle))))
    }

    /// Makes `transport` the source of `fd`, watched for `interest` as well.
    fn add_transport_interest(
        &mut self,
        fd: RawFd,
        interest: Interest,
        kind: Kind,
        transport: Py<PyAny>,
    ) -> io::Result<Option<Source>> {
        if let Some(Source::Transport(_, known)) = self.registry.get(fd) {
            if known.is(&transport) {
                let wanted = self.registry.interest(fd) | interest;
                self.registry.set_interest(&self.poller, fd, wanted)?;
                return Ok(Some(Source::Transport(kind, transport))); // dropped outside of the cell
            }
        }
        let stale = self.registry.remove(&self.poller, fd);
        self.replace(fd, interest, Source::Transport(kind, transport), stale)
    }

    /// Inserts `source` where `stale` was, which goes back to the caller, or into the table again.
    fn replace(
        &mut self,
        fd: RawFd,
        interest: Interest,
        source: Source,
        stale: Option<Source>,
    ) -> io::Result<Option<Source>> {
        let inserted = self.registry.insert(&self.poller, fd, interest, source);
        match (inserted, stale) {
            (Ok(()), stale) => Ok(stale),
            (Err(error), None) => Err(error),
            (Err(error), Some(stale)) => {
                // Dropped here, it could run Python code while the table is in use.
                self.registry
                    .insert(&self.poller, fd, Interest::NONE, stale)?;
                Err(error)
            }
        }
    }

    /// Takes the reader or writer of `fd` away, and stops watching for it.
    fn take(&mut self, fd: RawFd, interest: Interest) -> Option<Taken> {
        let watched = self.registry.interest(fd);
        let left = watched.without(interest);
        let handle = match self.registry.get_mut(fd) {
            None => return None,
            Some(Source::Transport(..)) => None,
            Some(source) => source.handle(interest).and_then(|slot| slot.take()),
        };
        let last = if left.is_none() {
            self.registry.remove(&self.poller, fd)
        } else if let Err(error) = self.registry.set_interest(&self.poller, fd, left) {
            // Closed behind our back. As in asyncio nothing of it is left, and this is said once.
            let rest = self.registry.remove(&self.poller, fd);
            return Some(Taken::Lost {
                error,
                _handle: handle,
                _rest: rest,
            });
        } else {
            None
        };
        match (handle, last) {
            (Some(handle), _) => Some(Taken::Handle(handle)),
            (None, Some(Source::Handles { .. })) => None,
            (None, last) => (left != watched).then_some(Taken::Transport { _last: last }),
        }
    }
}

impl Source {
    fn of_handle(interest: Interest, handle: Option<Handle>) -> Self {
        if interest.is_readable() {
            Self::Handles {
                reader: handle,
                writer: None,
            }
        } else {
            Self::Handles {
                reader: None,
                writer: handle,
            }
        }
    }

    fn handle(&mut self, interest: Interest) -> Option<&mut Option<Handle>> {
        match self {
            Self::Handles { reader, writer } => Some(if interest.is_readable() {
                reader
            } else {
                writer
            }),
            Self::Transport(..) => None,
        }
    }
}
