//! The tick: poll, collect what is due, run what was ready when the running began.

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCFunction;
use rsloop_sched::Poll;

use super::entry::{Ready, Turn};
use super::poll::Run;
use super::state::LoopBase;
use crate::clock;
use crate::py::handle::{Call, Handle};
use crate::py::handled::handling;

impl LoopBase {
    /// Runs ticks until `stop()` is called, or a callback raises what no loop survives.
    ///
    /// A tick is asyncio's: descriptors first, then timers, then what was ready when the running
    /// began; what that queues waits for the next tick.
    pub(super) fn run_until_stopped(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.shared.is_forked() {
            self.own_poller(slf.py())?;
            slf.call_method0(intern!(slf.py(), "_renew_signal_pair"))?;
        }
        let mut run = self.begin_run(slf.py());
        let result = loop {
            let result = self.tick(slf, &mut run);
            if result.is_err() || self.stopping.get() {
                break result;
            }
        };
        self.end_run(slf.py());
        result
    }

    /// Runs one tick, as a run of its own.
    pub(super) fn run_once(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut run = self.begin_run(slf.py());
        let result = self.tick(slf, &mut run);
        self.end_run(slf.py());
        result
    }

    fn begin_run(&self, py: Python<'_>) -> Run {
        self.shared.enter_thread();
        self.policy.with(py, |policy| policy.demand_poll());
        self.ticking.set(true);
        Run::new()
    }

    /// Shows what is left in the queue to the garbage collector: the loop may be garbage from now on.
    fn end_run(&self, py: Python<'_>) {
        self.ticking.set(false);
        self.ready.with(py, |ready| {
            for entry in ready.iter() {
                if let Ready::Handle(handle) = entry {
                    handle.track(py);
                }
            }
        });
    }

    #[inline]
    fn tick(&self, slf: &Bound<'_, PyAny>, run: &mut Run) -> PyResult<()> {
        let py = slf.py();
        let ready = self.ready.with(py, |ready| !ready.is_empty());
        let deadline = if ready { None } else { self.next_deadline(py)? };
        let poll = self.policy.with(py, |policy| {
            policy.decide(ready, self.stopping.get(), clock::ticks(), deadline)
        });
        match poll {
            Poll::Skip => {}
            Poll::Now => self.poll(py, run)?,
            Poll::Park(deadline) => self.park(slf, run, deadline)?,
        }
        self.shared.run_jobs(py);
        self.collect_due(py)?;
        let count = self.ready.with(py, |ready| ready.len());
        for _ in 0..count {
            // A callback that closes the loop finds it running, so only itself can empty it.
            let Some(entry) = self.ready.with(py, |ready| ready.pop()) else {
                break;
            };
            if self.debug.get() {
                self.run_timed(slf, entry)?;
            } else {
                self.run_entry(slf, entry)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn run_entry(&self, slf: &Bound<'_, PyAny>, entry: Ready) -> PyResult<()> {
        let py = slf.py();
        match entry {
            Ready::Handle(handle) => {
                let running = handle.get(py);
                if running.is_cancelled() {
                    running.track_if_kept(); // its context may refer to it
                    return Ok(());
                }
                if self.watched.get() {
                    return run_watched(slf, &handle);
                }
                running.run().or_else(|error| report(slf, &handle, error))
            }
            Ready::Turn(turn, transport) => {
                let transport = transport.bind(py);
                if self.watched.get() {
                    return turn_watched(slf, turn, transport);
                }
                turn(transport).or_else(|error| report_transport(slf, transport, error))
            }
            // asyncio's handles report their exceptions themselves.
            Ready::Foreign(handle) => {
                let handle = handle.bind(py);
                if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
                    return Ok(());
                }
                handle.call_method0(intern!(py, "_run")).map(drop)
            }
        }
    }

    /// Runs an entry in debug mode, which warns about those that take long.
    fn run_timed(&self, slf: &Bound<'_, PyAny>, entry: Ready) -> PyResult<()> {
        let py = slf.py();
        let handle = entry.as_object().clone_ref(py);
        let start = clock::now_secs();
        slf.setattr(intern!(py, "_current_handle"), &handle)?;
        let result = self.run_entry(slf, entry);
        slf.setattr(intern!(py, "_current_handle"), py.None())?;
        result?;
        let seconds = clock::now_secs() - start;
        slf.call_method1(intern!(py, "_warn_if_slow"), (handle, seconds))
            .map(drop)
    }
}

/// Runs a handle by asyncio's method, in whose place a program has put its own.
#[cold]
fn run_watched(slf: &Bound<'_, PyAny>, handle: &Handle) -> PyResult<()> {
    let name = intern!(slf.py(), "_run_by_asyncio");
    slf.call_method1(name, (handle.as_object(),)).map(drop)
}

/// The same for a transport's turn.
#[cold]
fn turn_watched(slf: &Bound<'_, PyAny>, turn: Turn, transport: &Bound<'_, PyAny>) -> PyResult<()> {
    let loop_ = slf.clone().unbind();
    let run = PyCFunction::new_closure(slf.py(), None, None, move |args, _| {
        let transport = args.get_item(0)?;
        turn(&transport).or_else(|error| report_transport(loop_.bind(args.py()), &transport, error))
    })?;
    let name = intern!(slf.py(), "_turn_by_asyncio");
    slf.call_method1(name, (run, transport)).map(drop)
}

/// Passes the exception of a callback to the loop's exception handler.
#[cold]
fn report(slf: &Bound<'_, PyAny>, handle: &Handle, error: PyErr) -> PyResult<()> {
    let py = slf.py();
    if is_fatal_to_loop(py, &error) {
        return Err(error);
    }
    handle.track(py); // the exception handler may keep it
    let error = error.into_value(py);
    handling(error.bind(py), || {
        slf.call_method1(
            intern!(py, "_callback_failed"),
            (handle.as_object(), &error),
        )
    })
    .map(drop)
}

/// Passes on the exception of a turn that stands for one call of `callback`.
#[cold]
pub(crate) fn report_call(
    slf: &Bound<'_, LoopBase>,
    callback: &Bound<'_, PyAny>,
    argument: Option<&Bound<'_, PyAny>>,
    context: Borrowed<'_, '_, PyAny>,
    error: PyErr,
) -> PyResult<()> {
    let argument = argument.map(Bound::as_ptr);
    let call = Call {
        callback: callback.as_ptr(),
        arguments: argument.as_slice(),
    };
    let handle = Handle::new(slf.py(), &call, Some(context))?;
    report(slf.as_any(), &handle, error)
}

/// The same for a transport's turn, which has no handle to show.
#[cold]
fn report_transport(
    slf: &Bound<'_, PyAny>,
    transport: &Bound<'_, PyAny>,
    error: PyErr,
) -> PyResult<()> {
    let py = slf.py();
    if is_fatal_to_loop(py, &error) {
        return Err(error);
    }
    let error = error.into_value(py);
    handling(error.bind(py), || {
        slf.call_method1(intern!(py, "_transport_failed"), (transport, &error))
    })
    .map(drop)
}

/// Whether an exception ends the loop instead of going to its exception handler.
pub(crate) fn is_fatal_to_loop(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}
