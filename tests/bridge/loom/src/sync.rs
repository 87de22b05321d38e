//! Loom's counterparts of what the `sync` modules of the bridge and the core name.

use std::collections::VecDeque;

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering, fence};
pub(crate) use loom::sync::{Mutex, MutexGuard};
pub(crate) use std::sync::TryLockError;

/// Stands for the lock-free queue, whose own models are its author's: each operation is one step.
#[derive(Debug)]
pub(crate) struct Queue<T>(Mutex<VecDeque<T>>);

impl<T> Queue<T> {
    pub(crate) fn unbounded() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        self.0.lock().unwrap().push_back(item);
        Ok(())
    }

    pub(crate) fn pop(&self) -> Result<T, ()> {
        self.0.lock().unwrap().pop_front().ok_or(())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Few enough that a sender soon has to wait.
pub(crate) const CAPACITY: usize = 1;
