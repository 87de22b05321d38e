//! Whether the loop waits, so that a ring is paid for only where it ends a sleep.
//!
//! The loop announces its wait, and then looks for work for the last time; whoever brings work
//! leaves it first, and then looks whether the loop waits. A fence lies between the two steps on
//! either side, so that at least one of them sees the other. Both change the state by an exchange,
//! which sees the change before it: a ringer that comes late cannot hide a new wait from others,
//! and of a ringer and a loop that goes from lingering to sleep one finds the other.

use std::hint;

use super::sync::{AtomicU8, Ordering, fence};

/// What the loop does, for those who bring it work.
#[derive(Debug)]
pub(super) struct Sleep(AtomicU8);

/// The loop runs, or somebody has ended its wait.
const AWAKE: u8 = 0;
/// The loop waits, and sees by itself when that is ended.
const LINGERING: u8 = 1;
/// The loop waits in the poller, until somebody rings.
const ASLEEP: u8 = 2;

impl Sleep {
    /// That of a loop which does not wait.
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(AWAKE))
    }

    /// Announces a wait. The loop looks for work after this, and waits only if there is none.
    pub(super) fn begin(&self, lingers: bool) {
        let state = if lingers { LINGERING } else { ASLEEP };
        self.0.swap(state, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// Watches for the end of the wait for as long as `patient` says so; `true` once it is ended. If
    /// it is not, it goes on as a sleep.
    pub(super) fn linger(&self, mut patient: impl FnMut() -> bool) -> bool {
        while self.0.load(Ordering::Acquire) == LINGERING {
            if !patient() {
                return self
                    .0
                    .compare_exchange(LINGERING, ASLEEP, Ordering::AcqRel, Ordering::Acquire)
                    .is_err();
            }
            hint::spin_loop();
        }
        true
    }

    /// The loop is awake, and will look for work before it waits again. Returns whether somebody
    /// else has ended the wait.
    pub(super) fn end(&self) -> bool {
        self.0.swap(AWAKE, Ordering::AcqRel) == AWAKE
    }

    /// Ends the wait. Returns whether the caller, who has left work, must ring: true once for each
    /// sleep.
    pub(super) fn must_be_ended(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) != AWAKE && self.0.swap(AWAKE, Ordering::AcqRel) == ASLEEP
    }
}
