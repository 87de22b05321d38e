//! The lock-free queue between the workers and one loop, and the flag that says it was rung.
//!
//! Many threads push; the loop's thread drains. The wakeup of a loop costs a system call, so only
//! the push that finds `rung` unset has to pay for it:
//!
//! - a push first makes its item visible, then sets `rung`; if it was unset, it rings;
//! - a drain first unsets `rung`, then looks for items.
//!
//! So an item that a drain misses was pushed by somebody who finds `rung` unset, and rings again.
//! A loop that watches the inbox sets `rung` itself, so that nobody rings, and drains at the end.

use std::hint;

use crate::sync::{AtomicBool, Ordering, Queue};

/// An unbounded queue that tells its pusher whether to ring.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    items: Queue<T>,
    rung: AtomicBool,
    /// Whether `rung` is set by the loop that watches.
    watched: AtomicBool,
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            items: Queue::unbounded(),
            rung: AtomicBool::new(false),
            watched: AtomicBool::new(false),
        }
    }

    /// Adds an item without looking at the bell: for a drainer that will look again.
    pub(crate) fn push_silently(&self, item: T) {
        // Nobody closes the queue, so the push cannot fail.
        let _ = self.items.push(item);
    }

    /// Adds an item; true if the caller must ring.
    #[must_use]
    pub(crate) fn push(&self, item: T) -> bool {
        self.push_silently(item);
        self.claim_bell()
    }

    /// True if nobody has rung since the last drain began, and the caller must.
    #[must_use]
    pub(crate) fn claim_bell(&self) -> bool {
        !self.rung.swap(true, Ordering::AcqRel)
    }

    /// Whether somebody has rung since the last drain began. It may have changed when this returns.
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && !self.watched.load(Ordering::Relaxed)
    }

    /// Watches for items for as long as `patient` says so; nobody rings meanwhile, and the caller
    /// drains afterwards, whatever has come. False, without a look, if somebody has rung: the
    /// drain that answers is to come.
    #[must_use]
    pub(crate) fn watch(&self, mut patient: impl FnMut() -> bool) -> bool {
        if !self.claim_bell() {
            return false;
        }
        self.watched.store(true, Ordering::Relaxed);
        while self.is_empty() && patient() {
            hint::spin_loop();
        }
        self.watched.store(false, Ordering::Relaxed);
        true
    }

    /// Takes what is there now, item by item: what is pushed meanwhile waits for the next drain.
    pub(crate) fn drain(&self, mut take: impl FnMut(T)) {
        self.rung.swap(false, Ordering::AcqRel);
        for _ in 0..self.items.len() {
            match self.items.pop() {
                Ok(item) => take(item),
                Err(_) => break,
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Inbox;

    #[test]
    fn only_the_first_push_rings() {
        let inbox = Inbox::new();
        assert!(inbox.push(1));
        assert!(!inbox.push(2));
        inbox.drain(|_| ());
        assert!(inbox.push(3));
    }

    #[test]
    fn nobody_rings_while_it_is_watched() {
        let inbox = Inbox::new();
        let mut looks = 0;
        assert!(inbox.watch(|| {
            looks += 1;
            assert!(!inbox.is_rung());
            assert!(!inbox.push(looks));
            true
        }));
        let mut seen = Vec::new();
        inbox.drain(|item| seen.push(item));
        assert_eq!((looks, seen), (1, vec![1]));
        assert!(inbox.push(2));
        assert!(!inbox.watch(|| panic!("somebody has rung")));
    }

    #[test]
    fn a_drain_takes_a_snapshot_in_order() {
        let inbox = Inbox::new();
        let _ = inbox.push(1);
        let _ = inbox.push(2);
        let mut seen = Vec::new();
        inbox.drain(|item| {
            inbox.push_silently(item + 10);
            seen.push(item);
        });
        assert_eq!(seen, [1, 2]);
        assert!(!inbox.is_empty());
    }
}
