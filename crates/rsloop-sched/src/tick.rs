//! Whether a tick asks the poller.

use crate::Deadline;

/// What a tick does about the poller, before it runs what is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Do not poll in this tick.
    Skip,
    /// Poll without waiting.
    Now,
    /// Nothing is ready: wait for a descriptor or a wake-up, until the deadline if there is one. The deadline may be
    /// past, which makes it a poll without waiting.
    Park(Option<Deadline>),
}

/// Decides whether a tick polls.
///
/// While callbacks keep one another busy, a system call in each tick would cost several times what the callbacks do;
/// never polling would starve the descriptors. So a busy loop polls once in each `budget` of a counter that is cheap
/// to read, such as the processor's time-stamp counter. The counter's unit is the caller's affair, and so are its
/// jumps: one that goes backwards (another processor's) or wraps causes a poll too many, never one too few for longer
/// than the budget.
#[derive(Debug)]
pub struct TickPolicy {
    budget: u64,
    last_poll: Option<u64>,
}

impl TickPolicy {
    /// Make a policy which lets a busy loop go `budget` units of the counter without polling. Zero polls in each tick.
    #[must_use]
    pub const fn new(budget: u64) -> Self {
        Self {
            budget,
            last_poll: None,
        }
    }

    /// Decide for one tick.
    ///
    /// `ready`: a callback waits. `stopping`: the loop is to end with this tick, so it must not wait. `clock_units`:
    /// the counter, now. `next_deadline`: the first timer's, if there is one.
    #[inline]
    #[must_use]
    pub fn decide(
        &self,
        ready: bool,
        stopping: bool,
        clock_units: u64,
        next_deadline: Option<Deadline>,
    ) -> Poll {
        if !(ready || stopping) {
            return Poll::Park(next_deadline.filter(|deadline| !deadline.is_never()));
        }
        if self.is_due(clock_units) {
            Poll::Now
        } else {
            Poll::Skip
        }
    }

    /// Return whether a loop that has no need to wait must poll now, the counter being at `clock_units`.
    #[inline]
    #[must_use]
    pub fn is_due(&self, clock_units: u64) -> bool {
        self.last_poll
            .is_none_or(|last| clock_units.wrapping_sub(last) >= self.budget)
    }

    /// Record that the loop has polled, the counter being at `clock_units` afterwards.
    #[inline]
    pub fn polled(&mut self, clock_units: u64) {
        self.last_poll = Some(clock_units);
    }

    /// Forget the last poll, so that the next tick polls, as the first one does.
    ///
    /// For the start of a run: `loop.call_soon(loop.stop); loop.run_forever()` is how programs ask asyncio to handle
    /// the events of the moment, however soon after the last run. And for a descriptor that is watched from now on: if
    /// it is ready already, its event has a place among the callbacks of the next tick.
    #[inline]
    pub fn demand_poll(&mut self) {
        self.last_poll = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 100;

    fn polled_at(clock_units: u64) -> TickPolicy {
        let mut policy = TickPolicy::new(BUDGET);
        policy.polled(clock_units);
        policy
    }

    #[test]
    fn the_first_tick_polls() {
        assert_eq!(
            TickPolicy::new(BUDGET).decide(true, false, 0, None),
            Poll::Now
        );
    }

    #[test]
    fn a_busy_tick_polls_once_the_budget_is_spent() {
        let mut policy = polled_at(1000);
        assert_eq!(policy.decide(true, false, 1000, None), Poll::Skip);
        assert_eq!(policy.decide(true, false, 1099, None), Poll::Skip);
        assert_eq!(policy.decide(true, false, 1100, None), Poll::Now);
        policy.polled(1150);
        assert_eq!(policy.decide(true, false, 1249, None), Poll::Skip);
        assert_eq!(policy.decide(true, false, 1250, None), Poll::Now);
    }

    #[test]
    fn an_idle_tick_parks_until_the_deadline() {
        let deadline = Some(Deadline::from_ns(7));
        assert_eq!(
            polled_at(0).decide(false, false, 0, deadline),
            Poll::Park(deadline)
        );
        assert_eq!(polled_at(0).decide(false, false, 0, None), Poll::Park(None));
        assert_eq!(
            polled_at(0).decide(false, false, 0, Some(Deadline::NEVER)),
            Poll::Park(None)
        );
    }

    #[test]
    fn a_stopping_tick_never_parks() {
        let deadline = Some(Deadline::from_ns(7));
        assert_eq!(polled_at(0).decide(false, true, 99, deadline), Poll::Skip);
        assert_eq!(polled_at(0).decide(false, true, 100, deadline), Poll::Now);
    }

    #[test]
    fn a_demanded_poll_comes_at_once() {
        let mut policy = polled_at(1000);
        policy.demand_poll();
        assert_eq!(policy.decide(true, true, 1001, None), Poll::Now);
    }

    #[test]
    fn no_budget_means_a_poll_in_each_tick() {
        let mut policy = TickPolicy::new(0);
        policy.polled(5);
        assert_eq!(policy.decide(true, false, 5, None), Poll::Now);
    }

    #[test]
    fn a_counter_that_jumps_back_or_wraps_does_not_stop_the_polling() {
        assert_eq!(polled_at(1000).decide(true, false, 999, None), Poll::Now);
        assert_eq!(
            polled_at(u64::MAX - 9).decide(true, false, 89, None),
            Poll::Skip
        );
        assert_eq!(
            polled_at(u64::MAX - 9).decide(true, false, 90, None),
            Poll::Now
        );
    }
}
