//! How the loop looks at its descriptors, and how it waits for them, for threads, for the deadline.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use rsloop_reactor::{Events, Poller, Token};
use rsloop_sched::{Deadline, Linger};

use super::state::LoopBase;
use crate::clock::{self, POLL_BUDGET_TICKS};
use crate::error::os_error;
use crate::py::handle::replaced::is_run_replaced;
use crate::shared::Shared;

/// What lives as long as one run of the loop.
pub(super) struct Run {
    events: Events,
    linger: Linger,
    /// Whether signals have been made to end a wait.
    guarded: bool,
    /// How many polls in a row have reported a registration that is over.
    strays: u32,
}

/// This many polls with a stray event make a new poller. One is normal: a signal handler may take a
/// reader away between the wait and the dispatch.
const MOST_STRAYS: u32 = 3;

/// For how many [`clock::ticks`] the loop watches for other threads before it sleeps: twice what a
/// sleep costs, with the ring, the wake-up and the cold caches after it.
const LINGER_TICKS: u64 = POLL_BUDGET_TICKS / 2;

/// So often it looks at its descriptors meanwhile, which may be late by so much.
const LOOK_TICKS: u64 = POLL_BUDGET_TICKS / 10;

/// A wait for less is no sleep to be spared.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

impl Run {
    pub(super) fn new() -> Self {
        // With one processor the watch would keep off what it watches for.
        static PROCESSORS: OnceLock<usize> = OnceLock::new();
        let processors =
            *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
        Self {
            events: Events::new(),
            linger: Linger::new(if processors > 1 { LINGER_TICKS } else { 0 }),
            guarded: false,
            strays: 0,
        }
    }
}

impl LoopBase {
    /// Looks at the descriptors, without waiting.
    pub(super) fn poll(&self, py: Python<'_>, run: &mut Run) -> PyResult<()> {
        let Some(poller) = self.poller(py)? else {
            return self.check_closed();
        };
        let polled = poller.wait(&mut run.events, Some(Duration::ZERO));
        self.polled(py, run, polled)
    }

    /// Waits for a descriptor, another thread or the deadline, detached from Python.
    pub(super) fn park(
        &self,
        slf: &Bound<'_, PyAny>,
        run: &mut Run,
        deadline: Option<Deadline>,
    ) -> PyResult<()> {
        let py = slf.py();
        if !run.guarded {
            run.guarded = true;
            slf.call_method0(intern!(py, "_guard_signals"))?;
        }
        let Some(poller) = self.poller(py)? else {
            return self.check_closed();
        };
        let timeout = || deadline.and_then(|deadline| deadline.remaining(clock::now()));
        let lingers =
            run.linger.pays() && timeout().is_none_or(|timeout| timeout >= SHORTEST_SLEEP);
        // Python code may have run since the queue was found empty (the guard above, the finalizer
        // of a cancelled timer), and with it another thread, which found the loop awake. From
        // here to the wait this thread stays attached, and others see that they must end it.
        let waits =
            self.shared.fall_asleep(lingers) && self.ready.with(py, |ready| ready.is_empty());
        if !waits {
            self.shared.wake_up();
            return self.poll(py, run);
        }
        let start = clock::ticks();
        let due = self.policy.with(py, |policy| policy.is_due(start));
        let (shared, events, linger) = (&self.shared, &mut run.events, &run.linger);
        let (polled, by_thread, ticks) = py.detach(|| {
            let lingered = if lingers {
                linger_on(shared, &poller, events, linger, start, due)
            } else {
                Lingered::InVain
            };
            let polled = match lingered {
                Lingered::Ended => None,
                Lingered::Polled(polled) => Some(polled),
                Lingered::InVain => Some(poller.wait(events, timeout())),
            };
            let by_thread = shared.wake_up();
            (polled, by_thread, clock::ticks().wrapping_sub(start))
        });
        run.linger.waited(lingers, ticks, by_thread);
        match polled {
            Some(polled) => self.polled(py, run, polled),
            None => Ok(()),
        }
    }

    fn poller(&self, py: Python<'_>) -> PyResult<Option<Arc<Poller>>> {
        self.own_poller(py)?;
        Ok(self
            .io
            .with(py, |io| io.as_ref().map(|io| io.poller.clone())))
    }

    /// Turns what the poller has found into callbacks.
    fn polled(&self, py: Python<'_>, run: &mut Run, polled: io::Result<()>) -> PyResult<()> {
        self.policy.with(py, |policy| policy.polled(clock::ticks()));
        py.check_signals()?;
        self.watched.set(is_run_replaced(py)?);
        match polled {
            // A signal came: its handler has run, and may have queued something.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(os_error(py, error)),
            Ok(()) => {}
        }
        let mut stray = false;
        for (token, readiness) in run.events.iter() {
            if token == Token::WAKEUP {
                self.shared.drain_wakeup();
            } else {
                stray |= !self.dispatch(py, token, readiness);
            }
        }
        run.strays = if stray { run.strays + 1 } else { 0 };
        if run.strays == MOST_STRAYS {
            run.strays = 0;
            // Without a descriptor for it the old one stays, and the next polls try again.
            let _ = self.renew_poller(py);
        }
        Ok(())
    }
}

/// How lingering has ended.
enum Lingered {
    /// A thread has come.
    Ended,
    /// The poller has found something.
    Polled(io::Result<()>),
    /// The loop is to sleep.
    InVain,
}

/// Watches for other threads, and now and then looks at the descriptors: at once if that is due.
fn linger_on(
    shared: &Shared,
    poller: &Poller,
    events: &mut Events,
    linger: &Linger,
    start: u64,
    due: bool,
) -> Lingered {
    let mut looked = if due { None } else { Some(start) };
    let mut found = None;
    let ended = shared.linger(|| {
        let now = clock::ticks();
        if looked.is_none_or(|looked| now.wrapping_sub(looked) >= LOOK_TICKS) {
            looked = Some(now);
            let polled = poller.wait(events, Some(Duration::ZERO));
            if polled.is_err() || events.iter().next().is_some() {
                found = Some(polled);
                return false;
            }
        }
        linger.goes_on(now.wrapping_sub(start))
    });
    match found {
        Some(polled) => Lingered::Polled(polled),
        None if ended => Lingered::Ended,
        None => Lingered::InVain,
    }
}
