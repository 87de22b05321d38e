//! The three parts together, driven as the loop drives them, on a clock that only the test moves.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use proptest::prelude::*;
use rsloop_sched::{Deadline, Poll, ReadyQueue, TickPolicy, TimerHeap};

const BUDGET_NS: u64 = 50;

/// A callback: it takes some time, and then may schedule others.
#[derive(Clone, Debug)]
struct Callback {
    cost_ns: u64,
    soon: Vec<Callback>,
    later: Vec<(u64, Callback)>,
}

/// What happened, and when.
#[derive(Default)]
struct Trace {
    ran: usize,
    polls_ns: Vec<u64>,
    slept_ns: u64,
}

#[derive(Default)]
struct Simulation {
    now_ns: u64,
    ready: ReadyQueue<Callback>,
    timers: TimerHeap<(u64, Callback)>,
    trace: Trace,
}

impl Simulation {
    /// Run until nothing is left to wait for.
    fn run(&mut self) {
        let mut policy = TickPolicy::new(BUDGET_NS);
        loop {
            let ready = !self.ready.is_empty();
            match policy.decide(ready, false, self.now_ns, self.timers.next_deadline()) {
                Poll::Skip => {}
                Poll::Now => {
                    self.trace.polls_ns.push(self.now_ns);
                    policy.polled(self.now_ns);
                }
                Poll::Park(None) => return,
                Poll::Park(Some(deadline)) => {
                    let slept = deadline.remaining(Deadline::from_ns(self.now_ns)).unwrap();
                    self.trace.slept_ns += slept.as_nanos() as u64;
                    self.now_ns += slept.as_nanos() as u64;
                    self.trace.polls_ns.push(self.now_ns);
                    policy.polled(self.now_ns);
                }
            }
            while let Some((due_ns, callback)) = self.timers.pop_due(Deadline::from_ns(self.now_ns))
            {
                assert!(due_ns <= self.now_ns, "a timer ran early");
                self.ready.push(callback);
            }
            for _ in 0..self.ready.len() {
                let callback = self.ready.pop().unwrap();
                self.run_one(callback);
            }
        }
    }

    fn run_one(&mut self, callback: Callback) {
        self.trace.ran += 1;
        self.now_ns += callback.cost_ns;
        for next in callback.soon {
            self.ready.push(next);
        }
        for (delay_ns, next) in callback.later {
            let due_ns = self.now_ns + delay_ns;
            self.timers
                .insert(Deadline::from_ns(due_ns), (due_ns, next));
        }
    }
}

fn count(callback: &Callback) -> usize {
    let later = callback.later.iter().map(|(_, next)| next);
    1 + callback.soon.iter().chain(later).map(count).sum::<usize>()
}

fn cost_ns(callback: &Callback) -> u64 {
    let later = callback.later.iter().map(|(_, next)| next);
    callback.cost_ns + callback.soon.iter().chain(later).map(cost_ns).sum::<u64>()
}

fn callback() -> impl Strategy<Value = Callback> {
    let leaf = (0_u64..30).prop_map(|cost_ns| Callback {
        cost_ns,
        soon: vec![],
        later: vec![],
    });
    leaf.prop_recursive(6, 60, 4, |inner| {
        let soon = prop::collection::vec(inner.clone(), 0..3);
        let later = prop::collection::vec((0_u64..200, inner), 0..3);
        (0_u64..30, soon, later).prop_map(|(cost_ns, soon, later)| Callback {
            cost_ns,
            soon,
            later,
        })
    })
}

proptest! {
    #[test]
    fn every_callback_runs_once_and_time_goes_to_work_or_sleep(first in callback()) {
        let (expected, work_ns) = (count(&first), cost_ns(&first));
        let mut simulation = Simulation::default();
        simulation.ready.push(first);
        simulation.run();
        prop_assert_eq!(simulation.trace.ran, expected);
        prop_assert_eq!(simulation.now_ns, work_ns + simulation.trace.slept_ns);
    }
}

/// A chain of callbacks, each 10 ns long and scheduling the next: it never lets the loop park.
#[test]
fn a_busy_loop_polls_once_a_budget() {
    let mut chain = Callback {
        cost_ns: 10,
        soon: vec![],
        later: vec![],
    };
    for _ in 0..99 {
        chain = Callback {
            cost_ns: 10,
            soon: vec![chain],
            later: vec![],
        };
    }
    let mut simulation = Simulation::default();
    simulation.ready.push(chain);
    simulation.run();
    assert_eq!(simulation.now_ns, 1000);
    let expected: Vec<u64> = (0..1000).step_by(BUDGET_NS as usize).collect();
    assert_eq!(simulation.trace.polls_ns, expected);
}

/// Two timers far apart: the loop sleeps exactly until each, and polls nowhere else.
#[test]
fn an_idle_loop_wakes_for_its_timers_only() {
    let leaf = Callback {
        cost_ns: 0,
        soon: vec![],
        later: vec![],
    };
    let first = Callback {
        cost_ns: 0,
        soon: vec![],
        later: vec![(5_000, leaf.clone()), (9_000, leaf)],
    };
    let mut simulation = Simulation::default();
    simulation.ready.push(first);
    simulation.run();
    assert_eq!(simulation.trace.polls_ns, [0, 5_000, 9_000]);
    assert_eq!(simulation.trace.slept_ns, 9_000);
}
