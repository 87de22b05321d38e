//! Whether a wait begins with watching for other threads.

/// Decides, wait by wait, whether to watch for other threads before going to sleep.
///
/// To be woken costs a loop several times what a thread takes to hand it something, and it costs that thread a system
/// call. So a loop that threads answer at once watches for them for a `span`, not much more than a sleep costs, and
/// sleeps only then. After a watch in vain the next waits that would have begun with one go without,
/// and after each further one in vain twice as many, unless watches before it have paid.
#[derive(Debug)]
pub struct Linger {
    span: u64,
    /// The last wait was ended by a thread, and soon.
    answered: bool,
    /// So many answered waits go without a watch.
    rest: u8,
    /// What `rest` was after the last watch in vain.
    last_rest: u8,
}

/// The most answered waits in a row without a watch.
const MOST_REST: u8 = 31;

impl Linger {
    /// Make one for watches that last `span` units of a counter. Zero never watches.
    #[must_use]
    pub const fn new(span: u64) -> Self {
        Self {
            span,
            answered: false,
            rest: 0,
            last_rest: 0,
        }
    }

    /// Return whether the next wait should begin with a watch.
    #[inline]
    #[must_use]
    pub const fn pays(&self) -> bool {
        self.answered && self.rest == 0
    }

    /// Return whether a watch goes on that has lasted `units`.
    #[inline]
    #[must_use]
    pub const fn goes_on(&self, units: u64) -> bool {
        units < self.span
    }

    /// Record a wait of `units`: whether it began with a watch, and whether a thread ended it.
    #[inline]
    pub fn waited(&mut self, watched: bool, units: u64, by_thread: bool) {
        // A thread that came within the span ended a sleep by twice that, with what the waking took.
        self.answered = by_thread && units < 2 * self.span;
        if !watched {
            self.rest = self.rest.saturating_sub(u8::from(self.answered));
        } else if by_thread && self.goes_on(units) {
            self.last_rest = 0;
        } else {
            self.last_rest = (2 * self.last_rest + 1).min(MOST_REST);
            self.rest = self.last_rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: u64 = 100;

    /// Wait for each of `answers`, what a thread or, if `false`, something else takes to come; return how many units
    /// were watched, and how many of the waits had no need to sleep.
    fn watched(answers: impl IntoIterator<Item = (u64, bool)>) -> (u64, u32) {
        let mut linger = Linger::new(SPAN);
        let (mut units, mut saved) = (0, 0);
        for (answer, by_thread) in answers {
            let watches = linger.pays();
            if watches {
                units += answer.min(SPAN);
                saved += u32::from(by_thread && answer < SPAN);
            }
            linger.waited(watches, answer, by_thread);
        }
        (units, saved)
    }

    #[test]
    fn the_first_wait_sleeps() {
        assert!(!Linger::new(SPAN).pays());
    }

    #[test]
    fn threads_that_answer_at_once_are_watched_for() {
        assert_eq!(watched([(10, true); 100]), (99 * 10, 99));
    }

    #[test]
    fn what_comes_from_elsewhere_is_not_watched_for() {
        assert_eq!(watched([(10, false); 100]), (0, 0));
    }

    #[test]
    fn threads_that_take_their_time_are_not_watched_for() {
        assert_eq!(watched([(2 * SPAN, true); 100]), (0, 0));
    }

    #[test]
    fn an_answer_during_the_waking_is_tried_for_now_and_then() {
        let (units, saved) = watched([(SPAN + 1, true); 3200]);
        assert_eq!(saved, 0);
        assert!(units <= 105 * SPAN, "{units}");
    }

    #[test]
    fn answers_and_events_in_turn_are_hardly_watched_for() {
        let turns = [(10, true), (10, false)].into_iter().cycle();
        let (units, saved) = watched(turns.take(6400));
        assert_eq!(saved, 0);
        assert!(units <= 110 * 10, "{units}");
    }

    #[test]
    fn a_watch_that_pays_makes_up_for_those_in_vain() {
        let mut linger = Linger::new(SPAN);
        for _ in 0..100 {
            linger.waited(linger.pays(), SPAN + 1, true);
        }
        while !linger.pays() {
            linger.waited(false, 10, true);
        }
        linger.waited(true, 10, true);
        assert!(linger.pays());
        linger.waited(true, 10, false);
        assert!(!linger.pays());
        linger.waited(false, 10, true);
        assert!(linger.pays());
    }

    #[test]
    fn without_a_span_nothing_is_watched_for() {
        let mut linger = Linger::new(0);
        linger.waited(false, 0, true);
        assert!(!linger.pays());
    }

    #[test]
    fn a_counter_that_jumps_back_ends_a_watch() {
        assert!(!Linger::new(SPAN).goes_on(5_u64.wrapping_sub(6)));
    }
}
