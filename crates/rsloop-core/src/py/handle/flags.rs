//! The flags of a handle: changed by the loop's thread and, in `cancel()`, by any other.

use std::sync::atomic::{AtomicU8, Ordering};

pub(super) const CANCELLED: u8 = 1;
pub(super) const RUNNING: u8 = 2;
pub(super) const SCHEDULED: u8 = 4;
pub(super) const PACKED: u8 = 8;

/// Bits that are set and removed one at a time.
///
/// With a GIL only the thread that holds it comes here, so a plain load and store will do, and
/// cost what a byte costs. Without one each change is a single step, whose result says which of
/// two threads was first.
pub(super) struct Flags(AtomicU8);

impl Flags {
    pub(super) const fn new(flags: u8) -> Self {
        Self(AtomicU8::new(flags))
    }

    /// Whether `flag` is set.
    #[inline]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.0.load(Ordering::Acquire) & flag != 0
    }

    /// Sets `flag`, and returns the flags as they were.
    #[inline]
    pub(super) fn insert(&self, flag: u8) -> u8 {
        if cfg!(Py_GIL_DISABLED) {
            return self.0.fetch_or(flag, Ordering::AcqRel);
        }
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before | flag, Ordering::Relaxed);
        before
    }

    /// Removes `flag`, and returns the flags as they were.
    #[inline]
    pub(super) fn remove(&self, flag: u8) -> u8 {
        if cfg!(Py_GIL_DISABLED) {
            return self.0.fetch_and(!flag, Ordering::AcqRel);
        }
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before & !flag, Ordering::Relaxed);
        before
    }
}
