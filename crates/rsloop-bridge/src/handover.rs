//! The waker of a future's first poll, which happens before the executor knows of the future.
//!
//! A future that is pending then is not given to the executor before it is woken: while it waits
//! it takes no task of the executor's, and no thread looks at it in vain.
//!
//! | stage | meaning |
//! | --- | --- |
//! | `Polled` | a poll in the call is in progress, or has just ended |
//! | `Woken` | woken during that: the future is polled again, or goes to the executor at once |
//! | `Waits` | the future waits to be woken |
//! | `Over` | who woke it has it: the executor, whose own wakers count from then on, or who polls it in place once more |

use crate::sync::{Mutex, MutexGuard};

/// Hands a task over to the first who wakes it.
#[derive(Debug)]
pub(crate) struct Handover<T>(Mutex<Stage<T>>);

#[derive(Debug)]
enum Stage<T> {
    Polled,
    Woken,
    Waits(T),
    Over,
}

impl<T> Handover<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Stage::Polled))
    }

    /// Makes ready for another poll, if the future was woken during the last one.
    #[must_use]
    pub(crate) fn again(&self) -> bool {
        let mut stage = self.lock();
        let woken = matches!(*stage, Stage::Woken);
        if woken {
            *stage = Stage::Polled;
        }
        woken
    }

    /// Makes ready for another poll of the task that [`wake`](Self::wake) has handed over.
    pub(crate) fn rearm(&self) {
        *self.lock() = Stage::Polled;
    }

    /// Leaves the task of a future that was pending. It is returned if it was woken already.
    #[must_use]
    pub(crate) fn leave(&self, task: T) -> Option<T> {
        let mut stage = self.lock();
        match *stage {
            Stage::Polled => {
                *stage = Stage::Waits(task);
                None
            }
            Stage::Woken | Stage::Waits(_) | Stage::Over => {
                *stage = Stage::Over;
                Some(task)
            }
        }
    }

    /// Takes the task, to have it polled, if it waits.
    #[must_use]
    pub(crate) fn wake(&self) -> Option<T> {
        let mut stage = self.lock();
        let next = match *stage {
            Stage::Polled | Stage::Woken => Stage::Woken,
            Stage::Waits(_) | Stage::Over => Stage::Over,
        };
        match std::mem::replace(&mut *stage, next) {
            Stage::Waits(task) => Some(task),
            Stage::Polled | Stage::Woken | Stage::Over => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage<T>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::Handover;

    #[test]
    fn a_task_that_waits_goes_to_who_wakes_it_once() {
        let handover = Handover::new();
        assert_eq!(handover.leave(7), None);
        assert_eq!(handover.wake(), Some(7));
        assert_eq!(handover.wake(), None);
    }

    #[test]
    fn a_wake_during_a_poll_counts_for_one_more_poll() {
        let handover = Handover::new();
        assert!(!handover.again());
        assert_eq!(handover.wake(), None);
        assert!(handover.again());
        assert!(!handover.again());
        assert_eq!(handover.leave(7), None);
        assert_eq!(handover.wake(), Some(7));
    }

    #[test]
    fn a_task_that_was_woken_during_its_poll_comes_back() {
        let handover = Handover::new();
        assert_eq!(handover.wake(), None);
        assert_eq!(handover.leave(7), Some(7));
        assert_eq!(handover.wake(), None);
    }
}
