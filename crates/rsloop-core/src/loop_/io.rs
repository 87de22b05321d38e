//! The descriptors of a loop, and what waits for them.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rsloop_reactor::{Interest, Poller, Registry};

use super::entry::{Ready, Turn};
use crate::py::handle::Handle;

/// The descriptors of an open loop.
pub(super) struct Io {
    pub(super) poller: Arc<Poller>,
    pub(super) registry: Registry<Source>,
}

/// What waits for a descriptor. There is a watcher for each direction that the poller watches.
pub(super) struct Source {
    /// What was given for the descriptor, unless a number. It stays findable when it is closed and
    /// has no number any more; and it stays open, where nobody else holds it.
    file: Option<Py<PyAny>>,
    pub(super) reader: Option<Watcher>,
    pub(super) writer: Option<Watcher>,
}

/// What is queued when a descriptor is ready.
pub(super) enum Watcher {
    /// The handle of `add_reader` or `add_writer`.
    Handle(Handle),
    /// A transport with its hot half in Rust, and what it does then.
    Transport(Turn, Py<PyAny>),
}

/// What no longer waits for a descriptor.
pub(super) struct Taken {
    pub(super) watcher: Watcher,
    /// Why the poller does not watch what is left, which is in `_last` then.
    pub(super) error: Option<io::Error>,
    /// What the registry had beside the watcher, where that is all over. Whoever drops this is
    /// outside of the table, since it may run Python code.
    pub(super) _last: Option<Source>,
}

impl Io {
    /// Makes `watcher` wait for `interest` in `fd`, and returns the one that it replaces.
    ///
    /// `file` is remembered where the descriptor was not watched before, as asyncio's selector has it.
    /// The caller has another reference to whatever is given here: an error drops it.
    pub(super) fn watch(
        &mut self,
        fd: RawFd,
        file: Option<&Bound<'_, PyAny>>,
        interest: Interest,
        watcher: Watcher,
    ) -> io::Result<Option<Watcher>> {
        let Some(source) = self.registry.get(fd) else {
            let source = Source::new(file, interest, watcher);
            self.registry.insert(&self.poller, fd, interest, source)?;
            return Ok(None);
        };
        let is_known = source
            .watcher(interest)
            .is_some_and(|known| known.as_object().is(watcher.as_object()));
        let watched = self.registry.interest(fd);
        if watched.contains(interest) && !is_known {
            // The descriptor may have been closed, and its number be another's now.
            self.registry.reassert(&self.poller, fd)?;
        } else {
            self.registry
                .set_interest(&self.poller, fd, watched | interest)?;
        }
        let source = self.registry.get_mut(fd);
        Ok(source.and_then(|source| source.watcher_mut(interest).replace(watcher)))
    }

    /// The descriptor that was watched as `file`.
    pub(super) fn find(&self, file: &Bound<'_, PyAny>) -> Option<RawFd> {
        self.registry.iter().find_map(|(fd, source)| {
            let known = source.file.as_ref()?;
            known.is(file).then_some(fd)
        })
    }

    /// Takes the watcher for `interest` in `fd` away; `None` when there is none.
    pub(super) fn take(&mut self, fd: RawFd, interest: Interest) -> Option<Taken> {
        let watcher = self.registry.get_mut(fd)?.watcher_mut(interest).take()?;
        let left = self.registry.interest(fd).without(interest);
        let error = match self.registry.set_interest(&self.poller, fd, left) {
            // Closed behind our back. As in asyncio nothing of it is left, and this is said once.
            Err(error) if !left.is_none() => Some(error),
            _ => None,
        };
        let last = if left.is_none() || error.is_some() {
            self.registry.remove(&self.poller, fd)
        } else {
            None
        };
        Some(Taken {
            watcher,
            error,
            _last: last,
        })
    }
}

impl Source {
    fn new(file: Option<&Bound<'_, PyAny>>, interest: Interest, watcher: Watcher) -> Self {
        let mut source = Self {
            file: file.map(|file| file.clone().unbind()),
            reader: None,
            writer: None,
        };
        *source.watcher_mut(interest) = Some(watcher);
        source
    }

    /// What waits for `interest`, which is one direction.
    pub(super) fn watcher(&self, interest: Interest) -> Option<&Watcher> {
        if interest.is_readable() {
            self.reader.as_ref()
        } else {
            self.writer.as_ref()
        }
    }

    fn watcher_mut(&mut self, interest: Interest) -> &mut Option<Watcher> {
        if interest.is_readable() {
            &mut self.reader
        } else {
            &mut self.writer
        }
    }

    /// Shows the garbage collector what waits.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.file)?;
        visit.call(self.reader.as_ref().map(Watcher::as_object))?;
        visit.call(self.writer.as_ref().map(Watcher::as_object))
    }
}

impl Watcher {
    /// The handle or the transport.
    pub(super) fn as_object(&self) -> &Py<PyAny> {
        match self {
            Self::Handle(handle) => handle.as_object(),
            Self::Transport(_, transport) => transport,
        }
    }

    /// The entry for the ready queue.
    #[inline]
    pub(super) fn entry(&self, py: Python<'_>) -> Ready {
        match self {
            Self::Handle(handle) => Ready::Handle(handle.clone_ref(py)),
            Self::Transport(turn, transport) => Ready::Turn(*turn, transport.clone_ref(py)),
        }
    }
}
