//! A value that only the thread it was made on may touch, or drop.

use std::mem::ManuallyDrop;
use std::thread::{self, ThreadId};

/// A value bound to the thread it was made on. Dropped elsewhere, it is leaked.
pub(super) struct Bound<T> {
    home: ThreadId,
    value: ManuallyDrop<T>,
}

// SAFETY: `value` is reachable only through `get` and `drop`, which compare the thread first, so
// no other thread ever forms a reference to it or runs its drop glue. Thread ids are not reused.
unsafe impl<T> Send for Bound<T> {}
// SAFETY: as above: a shared `Bound` yields a reference on the home thread only.
unsafe impl<T> Sync for Bound<T> {}

impl<T> Bound<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            home: thread::current().id(),
            value: ManuallyDrop::new(value),
        }
    }

    /// None on any other thread than its own.
    pub(super) fn get(&self) -> Option<&T> {
        (thread::current().id() == self.home).then_some(&*self.value)
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if thread::current().id() == self.home {
            // SAFETY: dropped once, here, and not used afterwards; this is its own thread.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::Bound;

    #[test]
    fn another_thread_sees_nothing_and_drops_nothing() {
        let value = Rc::new(Cell::new(1));
        let bound = Bound::new(Rc::clone(&value));
        std::thread::spawn(move || assert!(bound.get().is_none()))
            .join()
            .unwrap();
        assert_eq!(Rc::strong_count(&value), 2);
    }

    #[test]
    fn its_own_thread_uses_and_drops_it() {
        let value = Rc::new(Cell::new(1));
        let bound = Bound::new(Rc::clone(&value));
        bound.get().unwrap().set(2);
        drop(bound);
        assert_eq!((Rc::strong_count(&value), value.get()), (1, 2));
    }
}
