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
//! | `Due` | woken, and left to the loop's thread: whoever comes first has it |
//! | `Over` | whose turn it is has it: the executor, whose own wakers count from then on, or who polls it in place once more |

use crate::sync::{Mutex, MutexGuard};

/// Hands a task over to the first who wakes it.
#[derive(Debug)]
pub(crate) struct Handover<T>(Mutex<Stage<T>>);

#[derive(Debug)]
enum Stage<T> {
    Polled,
    Woken,
    Waits(T),
    Due(T),
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
            Stage::Woken | Stage::Waits(_) | Stage::Due(_) | Stage::Over => {
                *stage = Stage::Over;
                Some(task)
            }
        }
    }

    /// Takes the task, to have it polled, if it waits.
    #[must_use]
    pub(crate) fn wake(&self) -> Option<T> {
        let mut stage = self.lock();
        match *stage {
            Stage::Polled => *stage = Stage::Woken,
            Stage::Waits(_) => return stage.take(),
            // There is a poll to come.
            Stage::Woken | Stage::Due(_) | Stage::Over => {}
        }
        None
    }

    /// Keeps the task that [`wake`](Self::wake) has handed over for the first who claims it.
    pub(crate) fn put(&self, task: T) {
        *self.lock() = Stage::Due(task);
    }

    /// Takes the task that was [put](Self::put) here, unless another was faster.
    #[must_use]
    pub(crate) fn claim(&self) -> Option<T> {
        let mut stage = self.lock();
        match *stage {
            Stage::Due(_) => stage.take(),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage<T>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> Stage<T> {
    /// Takes the task, which is over to whose turn it is then.
    fn take(&mut self) -> Option<T> {
        match std::mem::replace(self, Self::Over) {
            Self::Waits(task) | Self::Due(task) => Some(task),
            Self::Polled | Self::Woken | Self::Over => None,
        }
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

    #[test]
    fn a_task_that_is_due_goes_to_who_claims_it_first() {
        let handover = Handover::new();
        assert_eq!(handover.claim(), None);
        handover.put(7);
        assert_eq!(handover.wake(), None);
        assert_eq!(handover.claim(), Some(7));
        assert_eq!(handover.claim(), None);
    }
}
