//! A value that one thread uses and another may ask away: the heart of cancellation.
//!
//! A Rust future is polled on one thread while Python may cancel its awaitable on another.
//! Neither may wait for the other: the loop must not stall behind a long poll, and a worker must
//! not wait for the loop. So nobody ever blocks on the lock below; whoever finds it taken leaves
//! a note, and the holder reads the note after letting go.
//!
//! | lock | `cancelled` | meaning |
//! | --- | --- | --- |
//! | free, content | no | at rest, or waiting for a wake-up |
//! | taken | no | in use by its one user |
//! | taken | yes | in use; the user will empty it when done |
//! | free, content | yes | for an instant, until the canceller or the user empties it |
//! | free, empty | any | over: whoever emptied it drops the content, exactly once |

use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, TryLockError, fence};

/// Content that is used by one thread at a time and can be cancelled from any.
#[derive(Debug)]
pub(crate) struct Cancellable<S> {
    content: Mutex<Option<S>>,
    cancelled: AtomicBool,
}

/// What [`Cancellable::visit`] did.
#[derive(Debug)]
pub(crate) enum Visit<R, S> {
    /// The content was used.
    Used(R),
    /// The content was used, and asked away meanwhile: the caller must drop it.
    Evicted(S),
    /// Nothing was used: the content is gone, or is being taken away by another thread.
    Absent,
}

impl<S> Cancellable<S> {
    /// Wraps a content that nobody has cancelled yet.
    pub(crate) fn new(content: S) -> Self {
        Self {
            content: Mutex::new(Some(content)),
            cancelled: AtomicBool::new(false),
        }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Lets `user` use the content, in place. At most one thread visits at a time, by the
    /// caller's own design; a second visitor would find it [`Visit::Absent`].
    pub(crate) fn visit<R>(&self, user: impl FnOnce(&mut S) -> R) -> Visit<R, S> {
        let result = self.try_content().and_then(|mut content| {
            // Emptied later by this thread's own check if the note comes after this look.
            (!self.is_cancelled()).then_some(())?;
            content.as_mut().map(user)
        });
        // Whoever found the lock taken by this thread relies on this check.
        match (self.evicted(), result) {
            (Some(content), _) => Visit::Evicted(content),
            (None, Some(result)) => Visit::Used(result),
            (None, None) => Visit::Absent,
        }
    }

    /// Whether a thread is visiting.
    pub(crate) fn is_in_use(&self) -> bool {
        matches!(self.content.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Takes the content for good, unless it is in use or gone.
    pub(crate) fn take(&self) -> Option<S> {
        self.try_content()?.take()
    }

    /// Asks the content away. Returns it if it was at rest, for the caller to drop; if it is in
    /// use, its user gets [`Visit::Evicted`].
    pub(crate) fn cancel(&self) -> Option<S> {
        self.cancelled.store(true, Ordering::Release);
        // Pairs with the fence in `evicted`: of a canceller that finds the lock taken and a user
        // that has let go, at least one sees the other.
        fence(Ordering::SeqCst);
        self.take()
    }

    /// After letting go of the lock: takes the content if it was asked away meanwhile.
    fn evicted(&self) -> Option<S> {
        fence(Ordering::SeqCst);
        if self.is_cancelled() {
            self.take()
        } else {
            None
        }
    }

    fn try_content(&self) -> Option<MutexGuard<'_, Option<S>>> {
        match self.content.try_lock() {
            Ok(content) => Some(content),
            // Users catch panics themselves, so the content is whole even then.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cancellable, Visit};

    #[test]
    fn resting_content_goes_to_the_canceller() {
        let cell = Cancellable::new(7);
        assert_eq!(cell.cancel(), Some(7));
        assert_eq!(cell.cancel(), None);
        assert!(matches!(cell.visit(|_| ()), Visit::Absent));
    }

    #[test]
    fn content_in_use_goes_to_its_user() {
        let cell = Cancellable::new(7);
        let visit = cell.visit(|_| {
            assert!(cell.is_in_use());
            assert_eq!(cell.cancel(), None);
        });
        assert!(matches!(visit, Visit::Evicted(7)));
    }

    #[test]
    fn an_uncancelled_visit_leaves_the_content_in_place() {
        let cell = Cancellable::new(7);
        assert!(matches!(cell.visit(|n| *n += 1), Visit::Used(())));
        assert_eq!(cell.take(), Some(8));
    }
}
