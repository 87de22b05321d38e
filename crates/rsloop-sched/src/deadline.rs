//! A point on the loop's clock.

use std::time::Duration;

/// A point on the loop's clock, in nanoseconds since the clock's origin; or [`Deadline::NEVER`].
///
/// The clock is whatever the owner reads (for the loop: the monotonic clock); this crate only compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(u64);

const NS_PER_SECOND: f64 = 1e9;

impl Deadline {
    /// After every other deadline, and never due: what `call_at(math.inf, ...)` waits for.
    pub const NEVER: Self = Self(u64::MAX);

    /// Make a deadline of a clock reading, `ns` nanoseconds. `u64::MAX` is [`Deadline::NEVER`].
    #[inline]
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Make a deadline of `secs` seconds, the unit of `loop.time()`, rounded to the nearest nanosecond.
    ///
    /// Saturates: what lies before the clock's origin becomes the origin (due at once), and positive infinity, as well
    /// as what 64 bits cannot hold (584 years), becomes [`Deadline::NEVER`]. NaN has no place in an order: it becomes
    /// the origin here, and a caller to whom NaN means something else must look for it first.
    ///
    /// Rounding to the nearest makes nanoseconds survive the way through `f64` seconds and back for the first 26 days
    /// of a clock, and beyond that loses less than `f64` seconds lose anyway; so `call_at(loop.time(), ...)` is due.
    #[inline]
    #[must_use]
    pub fn from_secs(secs: f64) -> Self {
        // A cast from a float saturates at both ends and sends NaN to zero.
        Self((secs * NS_PER_SECOND).round() as u64)
    }

    /// Return the nanoseconds since the clock's origin; `u64::MAX` for [`Deadline::NEVER`].
    #[inline]
    #[must_use]
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Tell whether this is [`Deadline::NEVER`].
    #[inline]
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.0 == u64::MAX
    }

    /// Tell whether the deadline is reached at `now`. [`Deadline::NEVER`] is not, whatever `now` is.
    #[inline]
    #[must_use]
    pub fn is_due(self, now: Self) -> bool {
        self.0 <= now.0 && !self.is_never()
    }

    /// Return how long the deadline is ahead of `now`: zero when it is due, `None` when it never will be.
    #[inline]
    #[must_use]
    pub fn remaining(self, now: Self) -> Option<Duration> {
        if self.is_never() {
            None
        } else {
            Some(Duration::from_nanos(self.0.saturating_sub(now.0)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_saturate_at_both_ends() {
        assert_eq!(Deadline::from_secs(f64::INFINITY), Deadline::NEVER);
        assert_eq!(Deadline::from_secs(f64::MAX), Deadline::NEVER);
        assert_eq!(Deadline::from_secs(1.9e10), Deadline::NEVER);
        assert_eq!(Deadline::from_secs(-1.0), Deadline::from_ns(0));
        assert_eq!(Deadline::from_secs(-0.0), Deadline::from_ns(0));
        assert_eq!(Deadline::from_secs(f64::NEG_INFINITY), Deadline::from_ns(0));
        assert_eq!(Deadline::from_secs(f64::NAN), Deadline::from_ns(0));
    }

    #[test]
    fn a_century_is_still_a_time() {
        let century = Deadline::from_secs(100.0 * 365.0 * 86_400.0);
        assert_eq!(century.as_ns(), 3_153_600_000_000_000_000);
        assert!(!century.is_never());
    }

    #[test]
    fn seconds_round_to_the_nearest_nanosecond() {
        assert_eq!(Deadline::from_secs(1.4e-9).as_ns(), 1);
        assert_eq!(Deadline::from_secs(1.6e-9).as_ns(), 2);
    }

    #[test]
    fn a_clock_reading_survives_as_seconds() {
        const DAY_NS: u64 = 86_400_000_000_000;
        // A step that is no multiple of a power of ten, so that all the digits take part.
        for ns in (0..26 * DAY_NS).step_by(7_919_283_746_551) {
            assert_eq!(Deadline::from_secs(ns as f64 / 1e9).as_ns(), ns);
        }
    }

    #[test]
    fn never_is_not_due_even_at_the_end_of_the_clock() {
        assert!(!Deadline::NEVER.is_due(Deadline::NEVER));
        assert_eq!(Deadline::NEVER.remaining(Deadline::from_ns(5)), None);
    }

    #[test]
    fn due_from_its_own_nanosecond_on() {
        let deadline = Deadline::from_ns(10);
        assert!(!deadline.is_due(Deadline::from_ns(9)));
        assert!(deadline.is_due(Deadline::from_ns(10)));
        assert_eq!(
            deadline.remaining(Deadline::from_ns(7)),
            Some(Duration::from_nanos(3))
        );
        assert_eq!(
            deadline.remaining(Deadline::from_ns(12)),
            Some(Duration::ZERO)
        );
    }
}
