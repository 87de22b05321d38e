//! Whether the loop waits, so that a ring is paid for only where it ends a wait.
//!
//! The loop announces its wait, and then looks for work for the last time; whoever brings work
//! leaves it first, and then looks whether the loop waits. A fence lies between the two steps on
//! either side, so that at least one of them sees the other. Both change the flag by an exchange,
//! which sees the change before it: a ringer that comes late cannot hide a new wait from others.

use super::sync::{AtomicBool, Ordering, fence};

/// The flag that a loop raises before it waits.
#[derive(Debug)]
pub(super) struct Sleep(AtomicBool);

impl Sleep {
    /// That of a loop which does not wait.
    pub(super) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Announces a wait. The loop looks for work after this, and waits only if there is none.
    pub(super) fn begin(&self) {
        self.0.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// The loop is awake, and will look for work before it waits again.
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the caller, who has left work, must ring: true once for each wait.
    pub(super) fn must_be_ended(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::AcqRel)
    }
}
