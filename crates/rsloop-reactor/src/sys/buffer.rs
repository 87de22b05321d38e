//! The buffer that a wait fills.

use rustix::buffer::{SpareCapacity, spare_capacity};

#[cfg(target_os = "linux")]
use super::epoll::{RawEvent, decode};
#[cfg(not(target_os = "linux"))]
use super::kqueue::{RawEvent, decode};
use crate::{Readiness, Token};

const FIRST_CAPACITY: usize = 256;
/// Enough that a wait's fixed cost is spread thin; more would only delay what the first events asked for.
const LAST_CAPACITY: usize = 8192;

/// The kernel's events, undecoded.
pub(crate) struct EventBuffer {
    events: Vec<RawEvent>,
}

// SAFETY: what keeps an event on its thread is its user data, which may be a pointer. Here it is always a token, a
// number that nobody dereferences, so the buffer may be filled by one thread and read by another.
unsafe impl Send for EventBuffer {}
// SAFETY: as above; a shared buffer can only be read.
unsafe impl Sync for EventBuffer {}

impl EventBuffer {
    pub(crate) fn new() -> Self {
        Self {
            events: Vec::with_capacity(FIRST_CAPACITY),
        }
    }

    /// Forget the events, and return the room for the kernel to write into, doubled if they filled it.
    #[inline]
    pub(crate) fn room(&mut self) -> SpareCapacity<'_, RawEvent> {
        let capacity = self.events.capacity();
        let was_full = self.events.len() == capacity;
        self.events.clear();
        if was_full && capacity < LAST_CAPACITY {
            self.events.reserve(capacity * 2);
        }
        spare_capacity(&mut self.events)
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Token, Readiness)> {
        self.events.iter().map(decode)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }
}
