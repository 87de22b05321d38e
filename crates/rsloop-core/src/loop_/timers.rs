//! `call_later`, `call_at`, `time`, and the heap behind them.

use std::cell::Cell;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};
use rsloop_sched::Deadline;

use super::entry::{Ready, Timer};
use super::state::LoopBase;
use crate::clock;
use crate::py::fastcall::{Args, Method, fastcall};
use crate::py::handle::{Call, Handle};

pub(super) fn methods() -> Vec<Method> {
    vec![
        Method {
            name: c"time",
            function: fastcall!(LoopBase, "time", 0, time),
            doc: c"time($self)\n--\n\nReturn the loop's clock in seconds, as time.monotonic().\n\n\
                Differs: the timers do not ask it, so one that a program puts in its place changes nothing.",
        },
        Method {
            name: c"call_later",
            function: fastcall!(LoopBase, "call_later", 2.., call_later),
            doc: c"call_later($self, delay, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) after delay seconds.\n\n\
                delay is a number of seconds; infinity never comes. context is the contextvars.Context to run\n\
                in, by default a copy of the current one. Returns the TimerHandle that cancels it. Raises\n\
                RuntimeError when the loop is closed, TypeError when delay is no number or, in debug mode,\n\
                callback cannot be called. Not thread-safe. Follows asyncio.loop.call_later.\n\n\
                Differs: timers that are due at the same time run in the order they were made in.",
        },
        Method {
            name: c"call_at",
            function: fastcall!(LoopBase, "call_at", 2.., call_at),
            doc: c"call_at($self, when, callback, /, *args, context=None)\n--\n\n\
                Run callback(*args) at when, in seconds on the loop's clock.\n\n\
                As call_later. Follows asyncio.loop.call_at.",
        },
        Method {
            name: c"_schedule_timer",
            function: fastcall!(LoopBase, "_schedule_timer", 1.., schedule_timer),
            doc: c"_schedule_timer($self, timer)\n--\n\nPut an asyncio.TimerHandle into the heap.",
        },
        Method {
            name: c"_timer_handle_cancelled",
            function: fastcall!(LoopBase, "_timer_handle_cancelled", 1.., timer_handle_cancelled),
            doc: c"_timer_handle_cancelled($self, handle)\n--\n\nNote that a timer was cancelled.",
        },
    ]
}

fn time(_: &Bound<'_, PyAny>, _: &LoopBase, _: Args<'_, '_>) -> PyResult<f64> {
    Ok(clock::now_secs())
}

fn call_later(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let delay = args.leading(0);
    if delay.is_none() {
        return Err(PyTypeError::new_err("delay must not be None"));
    }
    let now = clock::now_secs();
    let when = match exact_number(&delay)? {
        Some(delay) => now + delay,
        // Whatever Python makes of `time + delay`, the error included.
        None => PyFloat::new(py, now).add(&*delay)?.extract()?,
    };
    this.call_at_secs(slf, args, "call_later", when)
}

fn call_at(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<Py<PyAny>> {
    let when = args.leading(0);
    if when.is_none() {
        return Err(PyTypeError::new_err("when cannot be None"));
    }
    let when = match exact_number(&when)? {
        Some(when) => when,
        None => when.extract()?,
    };
    this.call_at_secs(slf, args, "call_at", when)
}

/// The value of a plain `float` or `int`; other types are Python's affair.
#[inline]
fn exact_number(number: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    if let Ok(number) = number.cast_exact::<PyFloat>() {
        Ok(Some(number.value()))
    } else if number.is_exact_instance_of::<PyInt>() {
        number.extract().map(Some)
    } else {
        Ok(None)
    }
}

fn schedule_timer(slf: &Bound<'_, PyAny>, this: &LoopBase, args: Args<'_, '_>) -> PyResult<()> {
    let py = slf.py();
    let timer = args.leading(0);
    let when: f64 = timer.call_method0(intern!(py, "when"))?.extract()?;
    timer.setattr(intern!(py, "_scheduled"), true)?;
    let entry = Timer::Foreign {
        handle: timer.to_owned().unbind(),
        is_cancelled: Cell::new(false),
    };
    this.timers
        .with(py, |timers| timers.insert(deadline(when), entry));
    Ok(())
}

fn timer_handle_cancelled(
    slf: &Bound<'_, PyAny>,
    this: &LoopBase,
    args: Args<'_, '_>,
) -> PyResult<()> {
    let py = slf.py();
    let handle = args.leading(0);
    let is_ours = Handle::of(&handle).is_some();
    let removed = this.timers.with(py, |timers| {
        if !is_ours {
            // The look through all timers is debug mode's to pay.
            let known = timers.iter().find(|timer| timer.as_object().is(&*handle));
            let Some(Timer::Foreign { is_cancelled, .. }) = known else {
                return Vec::new();
            };
            is_cancelled.set(true);
        }
        timers.note_cancelled();
        timers.compact_if_dominated(|timer| timer.is_cancelled(py))
    });
    removed.iter().try_for_each(|timer| timer.unschedule(py))
}

impl LoopBase {
    fn call_at_secs(
        &self,
        slf: &Bound<'_, PyAny>,
        args: Args<'_, '_>,
        method: &str,
        when: f64,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let context = args.context(method)?;
        self.check_closed()?;
        if self.debug.get() {
            let debug = slf.getattr(intern!(py, "_call_at_by_asyncio"))?;
            let prefix = (method, when).into_pyobject(py)?.into_any();
            return args.forward(&debug, &prefix).map(Bound::unbind);
        }
        let call = Call {
            callback: args.leading(1).as_ptr(),
            arguments: args.tail(2),
        };
        let handle = Handle::new_timer(py, &call, context, when, slf)?;
        let entry = Timer::Ours(handle.clone_ref(py));
        self.timers
            .with(py, |timers| timers.insert(deadline(when), entry));
        Ok(handle.into_object())
    }

    /// Moves the timers that are due to the ready queue.
    pub(super) fn collect_due(&self, py: Python<'_>) -> PyResult<()> {
        if self
            .timers
            .with(py, |timers| timers.next_deadline().is_none())
        {
            return Ok(());
        }
        let now = clock::now();
        while let Some(timer) = self.timers.with(py, |timers| timers.pop_due(now)) {
            timer.unschedule(py)?;
            if timer.is_cancelled(py) {
                self.timers.with(py, |timers| timers.forget_cancelled());
                continue;
            }
            let entry = match timer {
                Timer::Ours(handle) => Ready::Handle(handle),
                Timer::Foreign { handle, .. } => Ready::Foreign(handle),
            };
            self.ready.with(py, |ready| ready.push(entry));
        }
        Ok(())
    }

    /// The first deadline that somebody still waits for.
    pub(super) fn next_deadline(&self, py: Python<'_>) -> PyResult<Option<Deadline>> {
        loop {
            let (deadline, cancelled) = self.timers.with(py, |timers| {
                let deadline = timers.next_deadline();
                let cancelled = timers.peek().is_some_and(|timer| timer.is_cancelled(py));
                let cancelled = if cancelled { timers.pop() } else { None };
                if cancelled.is_some() {
                    timers.forget_cancelled();
                }
                (deadline, cancelled)
            });
            match cancelled {
                Some(timer) => timer.unschedule(py)?,
                None => return Ok(deadline),
            }
        }
    }
}

impl Timer {
    /// Whether nobody waits for it any more.
    fn is_cancelled(&self, py: Python<'_>) -> bool {
        match self {
            Self::Ours(handle) => handle.get(py).is_cancelled(),
            Self::Foreign { is_cancelled, .. } => is_cancelled.get(),
        }
    }

    /// Tells the handle that it has left the heap.
    pub(super) fn unschedule(&self, py: Python<'_>) -> PyResult<()> {
        match self {
            Self::Ours(handle) => {
                handle.get(py).unschedule();
                Ok(())
            }
            Self::Foreign { handle, .. } => handle.setattr(py, intern!(py, "_scheduled"), false),
        }
    }
}

/// NaN is due at once: asyncio's comparison `when >= now` is false for it.
fn deadline(when: f64) -> Deadline {
    Deadline::from_secs(when)
}
