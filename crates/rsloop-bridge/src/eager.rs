//! Which types of futures are worth polling in the call that makes the awaitable.
//!
//! A future that is ready at once saves two changes of thread that way, and one that is pending
//! saves one, since the executor hears of it only when it is woken. But one whose first poll
//! computes for longer than that is worth would stall the loop. So a type's record decides: a few
//! bits, in a table that types share by hash. A collision costs speed, never correctness.

use std::any::TypeId;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// A first poll that takes longer stalls the loop noticeably.
const SLOW: Duration = Duration::from_micros(100);

/// One that is pending in the end saves less, and may take less.
pub(crate) const SLOW_PENDING: Duration = Duration::from_micros(20);

/// So many slow first polls in a row, and the type is not polled eagerly for a while. A single
/// one may only mean that the thread was preempted.
const DISTRUST: u8 = 2;

const SLOTS: usize = 256;

static RECORDS: [AtomicU8; SLOTS] = [const { AtomicU8::new(0) }; SLOTS];

/// The record of one type of future: counts slow first polls in a row below [`DISTRUST`], and
/// skipped calls above, until it overflows into another chance.
#[derive(Clone, Copy)]
pub(crate) struct Record(&'static AtomicU8);

impl Record {
    pub(crate) fn of<F: 'static>() -> Self {
        let mut hasher = LastWord(0);
        TypeId::of::<F>().hash(&mut hasher);
        // The remainder is below SLOTS.
        Self(&RECORDS[(hasher.finish() % SLOTS as u64) as usize])
    }

    /// Whether to poll eagerly this time.
    pub(crate) fn allows(self) -> bool {
        let record = self.0.load(Ordering::Relaxed);
        if record < DISTRUST {
            return true;
        }
        let next = record.checked_add(1).unwrap_or(DISTRUST - 1);
        self.0.store(next, Ordering::Relaxed);
        false
    }

    /// Notes how a first poll went.
    pub(crate) fn note(self, ready: bool, took: Duration) {
        let record = self.0.load(Ordering::Relaxed);
        let slow = took > if ready { SLOW } else { SLOW_PENDING };
        let record = match slow {
            true => record.saturating_add(1).min(DISTRUST),
            false => 0,
        };
        self.0.store(record, Ordering::Relaxed);
    }
}

/// A type's identity is a hash already.
struct LastWord(u64);

impl Hasher for LastWord {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DISTRUST, Record, SLOW, SLOW_PENDING};

    const FAST: Duration = Duration::from_nanos(1);

    #[test]
    fn a_type_that_is_slow_loses_its_eager_poll_and_gets_another_chance() {
        struct Pending;
        let record = Record::of::<Pending>();
        for _ in 0..100 {
            assert!(record.allows());
            record.note(false, FAST);
        }
        for _ in 0..DISTRUST {
            assert!(record.allows());
            record.note(false, SLOW_PENDING * 2);
        }
        let skipped = (0..1000).take_while(|_| !record.allows()).count();
        assert!((200..300).contains(&skipped), "{skipped}");
    }

    #[test]
    fn two_slow_polls_in_a_row_are_enough() {
        struct Slow([u8; 3]);
        let _ = Slow([0; 3]).0;
        let record = Record::of::<Slow>();
        for _ in 0..3 {
            record.note(true, SLOW * 2);
            assert!(record.allows());
            record.note(true, FAST);
        }
        record.note(true, SLOW * 2);
        record.note(true, SLOW * 2);
        assert!(!record.allows());
    }
}
