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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_across_the_ring_s_seam() {
        let mut queue = ReadyQueue::new();
        let mut popped = Vec::new();
        // Two in, one out: the head walks round the buffer while it grows.
        for number in 0..1000 {
            queue.push(2 * number);
            queue.push(2 * number + 1);
            popped.extend(queue.pop());
        }
        assert_eq!(queue.len(), 1000);
        assert!(queue.iter().copied().eq(1000..2000));
        popped.extend(queue.drain());
        assert!(popped.into_iter().eq(0..2000));
        assert!(queue.is_empty());
    }

    #[test]
    fn what_a_tick_s_callbacks_add_waits_for_the_next_tick() {
        let mut queue = ReadyQueue::new();
        queue.push(1);
        queue.push(2);
        let mut ran = Vec::new();
        for _ in 0..queue.len() {
            let number = queue.pop().unwrap();
            queue.push(number * 10);
            ran.push(number);
        }
        assert_eq!(ran, [1, 2]);
        assert!(queue.iter().eq(&[10, 20]));
    }

    #[test]
    fn draining_drops_what_is_not_consumed() {
        let entry = std::rc::Rc::new(());
        let mut queue = ReadyQueue::default();
        queue.push(entry.clone());
        queue.push(entry.clone());
        drop(queue.drain());
        assert_eq!(std::rc::Rc::strong_count(&entry), 1);
        assert!(queue.pop().is_none());
    }
}
