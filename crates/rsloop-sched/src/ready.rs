//! The ready queue.

use std::collections::{VecDeque, vec_deque};

/// What is to run, first in, first out.
///
/// A plain ring buffer, used by the loop's thread alone: no lock and no atomic. What other threads schedule arrives
/// through a queue of the owner's.
///
/// A tick that must not run what its own callbacks schedule takes [`ReadyQueue::len`] at its start, and pops that many
/// times.
#[derive(Debug)]
pub struct ReadyQueue<T> {
    entries: VecDeque<T>,
}

impl<T> ReadyQueue<T> {
    /// Make an empty queue, without allocating.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
        }
    }

    /// Add `entry` at the end.
    #[inline]
    pub fn push(&mut self, entry: T) {
        self.entries.push_back(entry);
    }

    /// Take the entry that has waited longest.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.entries.pop_front()
    }

    /// Return how many entries wait.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tell whether no entry waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Visit the entries in the order in which they would run.
    #[inline]
    pub fn iter(&self) -> vec_deque::Iter<'_, T> {
        self.entries.iter()
    }

    /// Take every entry, in order. Entries that the caller does not consume are dropped with the iterator.
    pub fn drain(&mut self) -> vec_deque::Drain<'_, T> {
        self.entries.drain(..)
    }
}

impl<T> Default for ReadyQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, T> IntoIterator for &'a ReadyQueue<T> {
    type Item = &'a T;
    type IntoIter = vec_deque::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
