//! The timer heap.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::Deadline;

/// Below this many entries a sweep gains less than it costs.
const SWEEP_ABOVE: usize = 100;

/// What waits for a deadline, ordered by deadline and then by insertion.
///
/// Cancellation is lazy: an entry whose owner has cancelled it stays until it comes to the head or until
/// [`TimerHeap::compact_if_dominated`] sweeps it out, because finding it in the middle of a heap would cost more than
/// carrying it. The heap cannot see a cancellation, so the owner reports each with [`TimerHeap::note_cancelled`], and
/// with [`TimerHeap::forget_cancelled`] when such an entry has been popped.
///
/// Inserting a deadline later than those already there, the common case, compares once and moves nothing.
#[derive(Debug)]
pub struct TimerHeap<T> {
    entries: BinaryHeap<Entry<T>>,
    next_sequence: u64,
    cancelled: usize,
}

#[derive(Debug)]
struct Entry<T> {
    deadline: Deadline,
    sequence: u64,
    value: T,
}

impl<T> TimerHeap<T> {
    /// Make an empty heap, without allocating.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: BinaryHeap::new(),
            next_sequence: 0,
            cancelled: 0,
        }
    }

    /// Add `value`, to be popped when `deadline` is due, after the entries already there for the same deadline.
    #[inline]
    pub fn insert(&mut self, deadline: Deadline, value: T) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.entries.push(Entry {
            deadline,
            sequence,
            value,
        });
    }

    /// Return the deadline of the head, cancelled or not; `None` when the heap is empty or its head is never due.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        self.entries
            .peek()
            .map(|head| head.deadline)
            .filter(|deadline| !deadline.is_never())
    }

    /// Take the head if it is due at `now`, cancelled or not. Called until it returns `None`, it yields what is due in
    /// the order of the deadlines. An entry at [`Deadline::NEVER`] is never yielded.
    #[inline]
    pub fn pop_due(&mut self, now: Deadline) -> Option<T> {
        if self.entries.peek()?.deadline.is_due(now) {
            self.pop()
        } else {
            None
        }
    }

    /// Return the head, due or not.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        self.entries.peek().map(|head| &head.value)
    }

    /// Take the head, due or not.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.entries.pop().map(|head| head.value)
    }

    /// Return how many entries there are, cancelled ones included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tell whether there is no entry.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Visit the values in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// Visit the values in the order in which they would be popped. Sorts them first.
    pub fn in_order(&self) -> impl Iterator<Item = &T> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by(|left, right| right.cmp(left));
        entries.into_iter().map(|entry| &entry.value)
    }

    /// Count an entry of this heap that its owner has cancelled.
    #[inline]
    pub fn note_cancelled(&mut self) {
        self.cancelled += 1;
    }

    /// Stop counting a cancelled entry, because it was popped.
    #[inline]
    pub fn forget_cancelled(&mut self) {
        debug_assert!(
            self.cancelled > 0,
            "more cancelled entries popped than were cancelled"
        );
        self.cancelled = self.cancelled.saturating_sub(1);
    }

    /// Take out the cancelled entries if the heap holds more than 100 entries and over half of them are cancelled.
    ///
    /// Returns what was taken out, so that the owner can release it once the heap is whole again; empty (and not
    /// allocated) when there was nothing to do. Ordinarily this costs two comparisons. A sweep is linear in the
    /// entries, and follows at least half as many cancellations, so it is constant per cancellation.
    ///
    /// `is_cancelled` must not panic: the entries would be dropped.
    #[inline]
    pub fn compact_if_dominated(&mut self, is_cancelled: impl Fn(&T) -> bool) -> Vec<T> {
        let len = self.entries.len();
        if len <= SWEEP_ABOVE || self.cancelled <= len / 2 {
            return Vec::new();
        }
        self.compact(is_cancelled)
    }

    #[cold]
    fn compact(&mut self, is_cancelled: impl Fn(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::with_capacity(self.cancelled);
        let mut kept = std::mem::take(&mut self.entries).into_vec();
        let mut index = 0;
        while index < kept.len() {
            if is_cancelled(&kept[index].value) {
                removed.push(kept.swap_remove(index).value);
            } else {
                index += 1;
            }
        }
        // Rebuilding is linear, and the sequence numbers keep the order of equal deadlines.
        self.entries = BinaryHeap::from(kept);
        self.cancelled = 0;
        removed
    }

    /// Take every entry, in no particular order.
    #[must_use]
    pub fn drain(&mut self) -> Vec<T> {
        self.cancelled = 0;
        self.entries.drain().map(|entry| entry.value).collect()
    }
}

impl<T> Default for TimerHeap<T> {
    fn default() -> Self {
        Self::new()
    }
}

// The standard heap keeps the greatest entry on top, so the earliest must be the greatest. The value takes no part.

impl<T> Ord for Entry<T> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        (other.deadline, other.sequence).cmp(&(self.deadline, self.sequence))
    }
}

impl<T> PartialOrd for Entry<T> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ns: u64) -> Deadline {
        Deadline::from_ns(ns)
    }

    #[test]
    fn equal_deadlines_come_in_the_order_of_insertion() {
        let mut heap = TimerHeap::new();
        for number in 0..50 {
            heap.insert(at(if number % 2 == 0 { 5 } else { 3 }), number);
        }
        let order: Vec<_> = std::iter::from_fn(|| heap.pop_due(at(5))).collect();
        let expected: Vec<_> = (1..50).step_by(2).chain((0..50).step_by(2)).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn the_order_is_seen_without_popping() {
        let mut heap = TimerHeap::new();
        for number in 0..50 {
            heap.insert(at(if number % 2 == 0 { 5 } else { 3 }), number);
        }
        let seen: Vec<_> = heap.in_order().copied().collect();
        let popped: Vec<_> = std::iter::from_fn(|| heap.pop()).collect();
        assert_eq!((seen.len(), seen), (50, popped));
    }

    #[test]
    fn nothing_is_due_before_its_deadline() {
        let mut heap = TimerHeap::new();
        heap.insert(at(10), "ten");
        assert_eq!(heap.next_deadline(), Some(at(10)));
        assert_eq!(heap.pop_due(at(9)), None);
        assert_eq!(heap.pop_due(at(10)), Some("ten"));
        assert_eq!(heap.next_deadline(), None);
    }

    #[test]
    fn never_is_kept_but_neither_announced_nor_due() {
        let mut heap = TimerHeap::new();
        heap.insert(Deadline::NEVER, "never");
        assert_eq!(heap.next_deadline(), None);
        assert_eq!(heap.pop_due(Deadline::NEVER), None);
        heap.insert(at(1), "one");
        assert_eq!(heap.next_deadline(), Some(at(1)));
        assert_eq!(heap.pop_due(Deadline::NEVER), Some("one"));
        assert_eq!((heap.len(), heap.peek()), (1, Some(&"never")));
        assert_eq!(heap.pop(), Some("never"));
        assert!(heap.is_empty());
    }

    /// Insert `count` entries and report the first `cancelled` of them as cancelled.
    fn heap_of(count: u64, cancelled: u64) -> TimerHeap<u64> {
        let mut heap = TimerHeap::new();
        for number in 0..count {
            heap.insert(at(number / 10), number);
        }
        for _ in 0..cancelled {
            heap.note_cancelled();
        }
        heap
    }

    #[test]
    fn a_small_heap_is_not_swept() {
        let mut heap = heap_of(100, 100);
        assert!(heap.compact_if_dominated(|_| true).is_empty());
        assert_eq!(heap.len(), 100);
    }

    #[test]
    fn half_cancelled_is_not_dominated() {
        let mut heap = heap_of(200, 100);
        assert!(heap.compact_if_dominated(|number| *number < 100).is_empty());
        assert_eq!(heap.len(), 200);
    }

    #[test]
    fn a_dominated_heap_gives_up_what_is_cancelled_and_keeps_its_order() {
        let mut heap = heap_of(200, 101);
        let mut removed = heap.compact_if_dominated(|number| *number < 101);
        removed.sort_unstable();
        assert!(removed.into_iter().eq(0..101));
        // The count starts again: what is left is not dominated.
        assert!(heap.compact_if_dominated(|_| true).is_empty());
        assert!(std::iter::from_fn(|| heap.pop()).eq(101..200));
    }

    #[test]
    fn popped_cancellations_do_not_count() {
        let mut heap = heap_of(301, 151);
        for _ in 0..100 {
            heap.pop();
            heap.forget_cancelled();
        }
        // 201 entries, 51 of them cancelled.
        assert!(heap.compact_if_dominated(|number| *number < 151).is_empty());
        assert_eq!(heap.len(), 201);
    }

    #[test]
    fn draining_takes_everything_and_the_count() {
        let mut heap = heap_of(150, 140);
        let mut drained = heap.drain();
        drained.sort_unstable();
        assert!(drained.into_iter().eq(0..150));
        for number in 0..150 {
            heap.insert(at(0), number);
        }
        assert!(heap.compact_if_dominated(|_| true).is_empty());
    }
}
