//! Which types of futures are worth polling on the loop's thread: in the call that makes the
//! awaitable, where a Python awaitable ends, and after other wakes; and which are worth watching
//! for where they are awaited. Each has a record of its own.
//!
//! A future that ends there saves two changes of thread, and one that is pending after its first
//! poll saves one, since the executor need not hear of it before it is woken. But one whose poll
//! computes for longer than that is worth would stall the loop. So a type's record decides: a few
//! bits, in a table in which each type has a place of its own. Types for which there is no place
//! any more share one, which costs speed, never correctness.

use std::any::TypeId;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A poll that takes longer stalls the loop noticeably.
pub(crate) const SLOW: Duration = Duration::from_micros(100);

/// So many slow polls in a row, and the type is not polled eagerly for a while. A single
/// one may only mean that the thread was preempted.
const DISTRUST: u8 = 2;

/// More than an extension has types of futures, by three.
const SLOTS: usize = 1024;

/// How many slots a type may have to try, so that a full table costs no more than a few looks.
const TRIES: usize = 8;

/// The bits of a slot that count; the others are the type's, and zero in a slot that is free.
const COUNT: usize = 0xff;

/// Stands for the awaits of a type of future in the records.
pub(crate) struct Awaited<F>(PhantomData<F>);

static RECORDS: Records = Records::new();

struct Records([AtomicUsize; SLOTS]);

impl Records {
    const fn new() -> Self {
        Self([const { AtomicUsize::new(0) }; SLOTS])
    }

    /// The record of the type whose hash is `identity`: in the first slot, from where it belongs
    /// onwards, that is the type's or free.
    fn find(&self, identity: usize) -> Record<'_> {
        let identity = (identity & !COUNT).max(COUNT + 1);
        let first = identity / (COUNT + 1) % SLOTS;
        let (before, after) = self.0.split_at(first);
        let mut slots = after.iter().chain(before).take(TRIES);
        let own = slots.find(|slot| {
            let taken = slot.load(Ordering::Relaxed);
            let taken = match taken {
                0 => slot
                    .compare_exchange(0, identity, Ordering::Relaxed, Ordering::Relaxed)
                    .map_or_else(|faster| faster, |_| identity),
                taken => taken,
            };
            taken & !COUNT == identity
        });
        Record(own.unwrap_or(&self.0[first]))
    }
}

/// The record of one type of future: counts slow first polls in a row below [`DISTRUST`], and
/// skipped calls above, until it overflows into another chance.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a>(&'a AtomicUsize);

impl Record<'static> {
    pub(crate) fn of<F: 'static>() -> Self {
        let mut hasher = LastWord(0);
        TypeId::of::<F>().hash(&mut hasher);
        // Where words are short, what is cut off is as good as what is kept.
        RECORDS.find(hasher.finish() as usize)
    }
}

impl Record<'_> {
    /// Whether to poll eagerly this time.
    pub(crate) fn allows(self) -> bool {
        let count = self.count();
        if count < DISTRUST {
            return true;
        }
        self.set(count.checked_add(1).unwrap_or(DISTRUST - 1));
        false
    }

    /// Notes how long a poll took, and how long it was worth.
    pub(crate) fn note(self, took: Duration, limit: Duration) {
        self.set(match took > limit {
            true => self.count().saturating_add(1).min(DISTRUST),
            false => 0,
        });
    }

    fn count(self) -> u8 {
        self.0.load(Ordering::Relaxed).to_le_bytes()[0]
    }

    /// Threads may overwrite each other's counts, but a slot's type never changes.
    fn set(self, count: u8) {
        let identity = self.0.load(Ordering::Relaxed) & !COUNT;
        self.0
            .store(identity | usize::from(count), Ordering::Relaxed);
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

    use super::{COUNT, DISTRUST, Record, Records, SLOTS, SLOW, TRIES};

    const FAST: Duration = Duration::from_nanos(1);

    #[test]
    fn a_type_that_is_slow_loses_its_eager_poll_and_gets_another_chance() {
        struct Pending;
        let record = Record::of::<Pending>();
        for _ in 0..100 {
            assert!(record.allows());
            record.note(FAST, SLOW);
        }
        for _ in 0..DISTRUST {
            assert!(record.allows());
            record.note(SLOW * 2, SLOW);
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
            record.note(SLOW * 2, SLOW);
            assert!(record.allows());
            record.note(FAST, SLOW);
        }
        record.note(SLOW * 2, SLOW);
        record.note(SLOW * 2, SLOW);
        assert!(!record.allows());
    }
    #[test]
    fn a_slow_type_does_not_speak_for_another() {
        let records = Records::new();
        // Three that belong into the same slot, of which two are slow.
        let identities = [1, 2, 3].map(|number| number * SLOTS * (COUNT + 1));
        for identity in &identities[..2] {
            records.find(*identity).note(SLOW * 2, SLOW);
            records.find(*identity).note(SLOW * 2, SLOW);
        }
        assert_eq!(
            identities.map(|identity| records.find(identity).allows()),
            [false, false, true]
        );
    }

    #[test]
    fn types_without_a_place_share_one() {
        let records = Records::new();
        let identity = |number: usize| number * SLOTS * (COUNT + 1);
        for number in 1..=TRIES {
            records.find(identity(number));
        }
        for _ in 0..2 {
            records.find(identity(TRIES + 1)).note(SLOW * 2, SLOW);
        }
        let trusted = (1..=TRIES + 1).map(|number| records.find(identity(number)).allows());
        assert_eq!(trusted.filter(|trusted| !trusted).count(), 2);
    }
}
