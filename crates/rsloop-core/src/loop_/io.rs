//! The descriptors of a loop, and who waits for them.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use pyo3::prelude::*;
use rsloop_reactor::{Interest, Poller, Registry};

use super::entry::Turns;
use crate::py::handle::Handle;

/// The descriptors of an open loop.
pub(super) struct Io {
    pub(super) poller: Arc<Poller>,
    pub(super) registry: Registry<Source>,
}

/// What waits for a descriptor.
pub(super) enum Source {
    /// The handles of `add_reader` and `add_writer`.
    Handles {
        /// What was given for the descriptor, unless a number. It stays findable when it is closed
        /// and has no number any more; and it stays open, where nobody else holds it.
        file: Option<Py<PyAny>>,
        reader: Option<Handle>,
        writer: Option<Handle>,
    },
    /// A transport with its hot half in Rust.
    Transport(&'static Turns, Py<PyAny>),
}

/// What no longer waits for a descriptor: a handle, or a transport (which may wait for the rest).
pub(super) enum Taken {
    Handle {
        handle: Handle,
        _last: Option<Source>,
    },
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

impl Io {
    /// Makes `handle` the reader or writer of `fd`, and returns what it replaces.
    ///
    /// `file` is remembered where the descriptor was not watched before, as asyncio's selector has it.
    pub(super) fn set_handle(
        &mut self,
        fd: RawFd,
        file: Option<&Bound<'_, PyAny>>,
        interest: Interest,
        handle: Handle,
    ) -> io::Result<Option<Source>> {
        // A transport here was left behind by a descriptor that was closed without it.
        let stale = match self.registry.get(fd) {
            Some(Source::Transport(..)) => self.registry.remove(&self.poller, fd),
            _ => None,
        };
        if self.registry.get(fd).is_none() {
            let source = Source::of_handle(file, interest, Some(handle));
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
        Ok(replaced.map(|handle| Source::of_handle(None, interest, Some(handle))))
    }

    /// Makes `transport` the source of `fd`, watched for `interest` as well.
    pub(super) fn add_transport_interest(
        &mut self,
        fd: RawFd,
        interest: Interest,
        turns: &'static Turns,
        transport: Py<PyAny>,
    ) -> io::Result<Option<Source>> {
        if let Some(Source::Transport(_, known)) = self.registry.get(fd) {
            if known.is(&transport) {
                let wanted = self.registry.interest(fd) | interest;
                self.registry.set_interest(&self.poller, fd, wanted)?;
                return Ok(Some(Source::Transport(turns, transport))); // dropped outside of the cell
            }
        }
        let stale = self.registry.remove(&self.poller, fd);
        self.replace(fd, interest, Source::Transport(turns, transport), stale)
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

    /// The descriptor that was watched as `file`.
    pub(super) fn find(&self, file: &Bound<'_, PyAny>) -> Option<RawFd> {
        self.registry.iter().find_map(|(fd, source)| match source {
            Source::Handles {
                file: Some(known), ..
            } => known.is(file).then_some(fd),
            _ => None,
        })
    }

    /// Takes the reader or writer of `fd` away, and stops watching for it.
    pub(super) fn take(&mut self, fd: RawFd, interest: Interest) -> Option<Taken> {
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
            (Some(handle), last) => Some(Taken::Handle {
                handle,
                _last: last,
            }),
            (None, Some(Source::Handles { .. })) => None,
            (None, last) => (left != watched).then_some(Taken::Transport { _last: last }),
        }
    }
}

impl Source {
    fn of_handle(
        file: Option<&Bound<'_, PyAny>>,
        interest: Interest,
        handle: Option<Handle>,
    ) -> Self {
        let file = file.map(|file| file.clone().unbind());
        let (reader, writer) = if interest.is_readable() {
            (handle, None)
        } else {
            (None, handle)
        };
        Self::Handles {
            file,
            reader,
            writer,
        }
    }

    fn handle(&mut self, interest: Interest) -> Option<&mut Option<Handle>> {
        match self {
            Self::Handles { reader, writer, .. } => Some(if interest.is_readable() {
                reader
            } else {
                writer
            }),
            Self::Transport(..) => None,
        }
    }
}
