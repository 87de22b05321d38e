//! Whether to look for more input before the poller announces it.

/// Decides, for one descriptor that brings one thing at a time, whether to look for the next at once.
///
/// A look that finds something saves a poll; one that finds nothing costs a system call. So after a look in vain the
/// next announcements go without one, and after each further look in vain twice as many, unless looks before it have
/// found something: that is the end of a burst, and the next one is worth looking for. What comes one by one costs next
/// to nothing then, and a burst one poll.
#[derive(Debug, Default)]
pub struct LookAhead {
    /// A look is to come: an announcement that comes first is not to be looked at.
    pending: bool,
    /// A look since the last announcement has found something.
    burst: bool,
    /// So many announcements go without a look.
    rest: u8,
    /// What `rest` was after the last look in vain.
    last_rest: u8,
}

/// The most announcements in a row without a look: a burst is found out within so many.
const MOST_REST: u8 = 31;

impl LookAhead {
    /// Begin to look; returns `false` when there is a better time.
    ///
    /// `announced`: the poller says that there is something. Where a look was to come, that is for the look to find.
    #[inline]
    pub fn begin(&mut self, announced: bool) -> bool {
        if announced {
            !self.pending
        } else {
            self.pending = false;
            true
        }
    }

    /// Tell that something was found; returns whether to look again, unannounced.
    #[inline]
    pub fn found(&mut self, announced: bool) -> bool {
        self.burst = !announced;
        if !announced {
            (self.rest, self.last_rest) = (0, 0);
        } else if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        self.pending = true;
        true
    }

    /// Tell that nothing was found.
    #[inline]
    pub fn found_nothing(&mut self, announced: bool) {
        if !announced && !self.burst {
            self.last_rest = (2 * self.last_rest + 1).min(MOST_REST);
            self.rest = self.last_rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bring bursts of `sizes`, and return how many polls and how many looks in vain they cost.
    fn cost(sizes: impl IntoIterator<Item = u32>) -> (u32, u32) {
        let mut look = LookAhead::default();
        let (mut polls, mut in_vain) = (0, 0);
        for mut left in sizes {
            while left > 0 {
                polls += 1;
                let mut announced = true;
                assert!(look.begin(announced));
                loop {
                    if left == 0 {
                        look.found_nothing(announced);
                        in_vain += 1;
                        break;
                    }
                    left -= 1;
                    if !look.found(announced) {
                        break;
                    }
                    announced = false;
                    assert!(look.begin(announced));
                }
            }
        }
        (polls, in_vain)
    }

    #[test]
    fn a_burst_costs_one_poll() {
        assert_eq!(cost([100]), (1, 1));
    }

    #[test]
    fn bursts_cost_one_poll_each() {
        assert_eq!(cost([10; 100]), (100, 100));
        assert_eq!(cost([2; 100]), (100, 100));
    }

    #[test]
    fn what_comes_one_by_one_is_hardly_looked_for() {
        let (polls, in_vain) = cost([1; 3200]);
        assert_eq!(polls, 3200);
        assert!(in_vain <= 105, "{in_vain}");
    }

    #[test]
    fn a_burst_after_single_ones_is_found_out() {
        let singles = cost([1; 320]);
        let both = cost([1; 320].into_iter().chain([1000]));
        assert!(both.0 <= singles.0 + u32::from(MOST_REST) + 1);
    }

    #[test]
    fn an_announcement_leaves_what_is_there_to_the_pending_look() {
        let mut look = LookAhead::default();
        assert!(look.begin(true));
        assert!(look.found(true));
        assert!(!look.begin(true));
        assert!(look.begin(false));
        look.found_nothing(false);
        assert!(look.begin(true));
    }
}
