//! Where a stream rests between the polls of those who want its items.
//!
//! Whoever wants an item takes the stream out, for as long as that lasts, and the others wait. To
//! close is to take it out for good: from the slot, or from the holder, who is woken for that.
//!
//! | place | meaning |
//! | --- | --- |
//! | `Free` | at rest |
//! | `Held` | with somebody who polls it, or is about to drop it |
//! | `Wanted` | the same, and it must not come back: somebody closes |
//! | `Over` | dropped |

use std::task::Waker;

use crate::sync::{Mutex, MutexGuard};

/// A stream that is given out to one holder at a time.
#[derive(Debug)]
pub(crate) struct Slot<S>(Mutex<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    place: Place<S>,
    /// How to tell the holder that somebody closes.
    holder: Option<Waker>,
    /// Those who wait for the stream, or for its end. Woken all at once: any may have given up.
    waiting: Vec<Waker>,
}

#[derive(Debug)]
enum Place<S> {
    Free(S),
    Held,
    Wanted,
    Over,
}

/// What asking for the stream gives.
#[derive(Debug)]
pub(crate) enum Taken<S> {
    /// The stream. The holder must call `give_back` or, having dropped it, `end`.
    Held(S),
    /// Somebody else holds it; the waker will be called.
    Wait,
    /// There is none any more.
    Over,
}

impl<S> Slot<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(Mutex::new(Inner {
            place: Place::Free(stream),
            holder: None,
            waiting: Vec::new(),
        }))
    }

    /// Asks for the stream, to poll it.
    pub(crate) fn take(&self, waker: &Waker) -> Taken<S> {
        self.lock().take(waker, Place::Held)
    }

    /// Asks for the stream, to drop it.
    pub(crate) fn close(&self, waker: &Waker) -> Taken<S> {
        let (taken, holder) = {
            let mut inner = self.lock();
            let taken = inner.take(waker, Place::Wanted);
            if matches!(taken, Taken::Wait) {
                inner.place = Place::Wanted;
            }
            (taken, inner.holder.take())
        };
        if let Some(holder) = holder {
            holder.wake();
        }
        taken
    }

    /// The stream, to drop it, if nobody holds it.
    pub(crate) fn take_resting(&self) -> Option<S> {
        match self.close(Waker::noop()) {
            Taken::Held(stream) => Some(stream),
            Taken::Wait | Taken::Over => None,
        }
    }

    /// Says how to tell the holder that somebody closes. False if somebody does already.
    #[must_use]
    pub(crate) fn keep(&self, waker: &Waker) -> bool {
        let mut inner = self.lock();
        let keep = matches!(inner.place, Place::Held);
        let old = inner.holder.take();
        inner.holder = keep.then(|| waker.clone());
        drop(inner);
        drop(old);
        keep
    }

    /// Puts the stream back; it is returned if it is to be dropped instead.
    #[must_use]
    pub(crate) fn give_back(&self, stream: S) -> Option<S> {
        let waiting = {
            let mut inner = self.lock();
            if !matches!(inner.place, Place::Held) {
                return Some(stream);
            }
            inner.place = Place::Free(stream);
            inner.leave()
        };
        waiting.into_iter().for_each(Waker::wake);
        None
    }

    /// The holder has dropped the stream.
    pub(crate) fn end(&self) {
        let waiting = {
            let mut inner = self.lock();
            inner.place = Place::Over;
            inner.leave()
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<S> Inner<S> {
    fn take(&mut self, waker: &Waker, next: Place<S>) -> Taken<S> {
        match &self.place {
            Place::Free(_) => {}
            Place::Held | Place::Wanted => {
                if !self.waiting.iter().any(|known| known.will_wake(waker)) {
                    self.waiting.push(waker.clone());
                }
                return Taken::Wait;
            }
            Place::Over => return Taken::Over,
        }
        match std::mem::replace(&mut self.place, next) {
            Place::Free(stream) => Taken::Held(stream),
            Place::Held | Place::Wanted | Place::Over => Taken::Over,
        }
    }

    /// The holder is one no longer: those who wait are to be woken.
    fn leave(&mut self) -> Vec<Waker> {
        self.holder = None;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::{Slot, Taken};

    #[test]
    fn one_holder_at_a_time() {
        let slot = Slot::new(7);
        assert!(matches!(slot.take(Waker::noop()), Taken::Held(7)));
        assert!(matches!(slot.take(Waker::noop()), Taken::Wait));
        assert!(slot.give_back(7).is_none());
        assert!(matches!(slot.take(Waker::noop()), Taken::Held(7)));
    }

    #[test]
    fn a_close_while_it_is_held_keeps_it_from_coming_back() {
        let slot = Slot::new(7);
        assert!(matches!(slot.take(Waker::noop()), Taken::Held(7)));
        assert!(slot.keep(Waker::noop()));
        assert!(matches!(slot.close(Waker::noop()), Taken::Wait));
        assert!(!slot.keep(Waker::noop()));
        assert_eq!(slot.give_back(7), Some(7));
        slot.end();
        assert!(matches!(slot.take(Waker::noop()), Taken::Over));
    }

    #[test]
    fn a_stream_at_rest_goes_to_who_closes() {
        let slot = Slot::new(7);
        assert_eq!(slot.take_resting(), Some(7));
        slot.end();
        assert!(matches!(slot.close(Waker::noop()), Taken::Over));
    }
}
