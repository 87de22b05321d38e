//! The timer heap against the simplest thing that could be right: a list, searched from end to end.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use rsloop_sched::{Deadline, TimerHeap};

/// An entry as the loop keeps it: shared between the heap and whoever may cancel it.
#[derive(Debug)]
struct Timer {
    number: usize,
    cancelled: Cell<bool>,
    in_heap: Cell<bool>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Insert a timer this many nanoseconds from now; `None` for one that never comes.
    Insert(Option<u64>),
    /// Cancel one of the timers ever made, chosen by this number.
    Cancel(usize),
    /// Let time pass, and run what is due.
    Advance(u64),
    /// Take the head, as the loop does with a cancelled one.
    PopHead,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // Few different delays, so that equal deadlines are common.
        8 => (0_u64..40).prop_map(|delay| Step::Insert(Some(delay))),
        1 => Just(Step::Insert(None)),
        9 => any::<usize>().prop_map(Step::Cancel),
        1 => (0_u64..6).prop_map(Step::Advance),
        1 => Just(Step::PopHead),
    ]
}

#[derive(Default)]
struct Pair {
    now: u64,
    heap: TimerHeap<Rc<Timer>>,
    model: Vec<(Deadline, Rc<Timer>)>,
    made: Vec<Rc<Timer>>,
    swept: usize,
}

impl Pair {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Insert(delay) => {
                let deadline =
                    delay.map_or(Deadline::NEVER, |delay| Deadline::from_ns(self.now + delay));
                let timer = Rc::new(Timer {
                    number: self.made.len(),
                    cancelled: Cell::new(false),
                    in_heap: Cell::new(true),
                });
                self.made.push(timer.clone());
                self.model.push((deadline, timer.clone()));
                self.heap.insert(deadline, timer);
            }
            Step::Cancel(choice) => {
                if let Some(timer) = choice.checked_rem(self.made.len()).map(|i| &self.made[i]) {
                    if !timer.cancelled.replace(true) && timer.in_heap.get() {
                        self.heap.note_cancelled();
                    }
                }
                for timer in self
                    .heap
                    .compact_if_dominated(|timer| timer.cancelled.get())
                {
                    assert!(timer.cancelled.get(), "a live timer was swept out");
                    self.swept += 1;
                    self.model.retain(|(_, other)| other.number != timer.number);
                    timer.in_heap.set(false);
                }
            }
            Step::Advance(ns) => {
                self.now += ns;
                let now = Deadline::from_ns(self.now);
                while let Some(timer) = self.heap.pop_due(now) {
                    let expected = self
                        .model_head()
                        .filter(|(deadline, _)| deadline.is_due(now));
                    self.popped(&timer, expected);
                }
                assert!(
                    self.model_head()
                        .is_none_or(|(deadline, _)| !deadline.is_due(now))
                );
            }
            Step::PopHead => {
                let head = self.heap.peek().map(|timer| timer.number);
                let popped = self.heap.pop();
                assert_eq!(popped.as_ref().map(|timer| timer.number), head);
                match popped {
                    Some(timer) => {
                        let expected = self.model_head();
                        self.popped(&timer, expected);
                    }
                    None => assert!(self.model.is_empty()),
                }
            }
        }
        assert_eq!(self.heap.len(), self.model.len());
        assert_eq!(self.heap.is_empty(), self.model.is_empty());
        let expected = self
            .model_head()
            .map(|(deadline, _)| deadline)
            .filter(|d| !d.is_never());
        assert_eq!(self.heap.next_deadline(), expected);
    }

    /// The earliest deadline, and among equals the timer made first.
    fn model_head(&self) -> Option<(Deadline, usize)> {
        self.model
            .iter()
            .map(|(deadline, timer)| (*deadline, timer.number))
            .min()
    }

    fn popped(&mut self, timer: &Timer, expected: Option<(Deadline, usize)>) {
        assert_eq!(Some(timer.number), expected.map(|(_, number)| number));
        self.model.retain(|(_, other)| other.number != timer.number);
        timer.in_heap.set(false);
        if timer.cancelled.get() {
            self.heap.forget_cancelled();
        }
    }
}

fn numbers<'a>(timers: impl Iterator<Item = &'a Rc<Timer>>) -> Vec<usize> {
    let mut numbers: Vec<_> = timers.map(|timer| timer.number).collect();
    numbers.sort_unstable();
    numbers
}

proptest! {
    // The list is slow, and the sequences are long because sweeping starts at 100 entries.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_heap_agrees_with_the_list(steps in prop::collection::vec(step(), 0..900)) {
        let mut pair = Pair::default();
        for step in &steps {
            pair.apply(step);
        }
        let expected = numbers(pair.model.iter().map(|(_, timer)| timer));
        prop_assert_eq!(numbers(pair.heap.iter()), expected.clone());
        prop_assert_eq!(numbers(pair.heap.drain().iter()), expected);
        prop_assert!(pair.heap.is_empty());
    }
}

/// The property above proves nothing about sweeping unless its sequences sweep.
#[test]
fn a_long_run_of_cancellations_sweeps_in_the_model_too() {
    let mut pair = Pair::default();
    for number in 0..400 {
        pair.apply(&Step::Insert(Some(number % 37)));
    }
    for number in 0..400 {
        pair.apply(&Step::Cancel(number * 7));
    }
    assert!(pair.swept > 200, "only {} swept", pair.swept);
    pair.apply(&Step::Advance(100));
    assert!(pair.heap.is_empty());
}
