//! The fields of a loop, and their end.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use rsloop_reactor::{Interest, Poller, Registry, Token, Wakeup};
use rsloop_sched::{ReadyQueue, TickPolicy, TimerHeap};

use super::entry::{Ready, Timer};
use super::io::Io;
use super::transports::Transports;
use crate::clock;
use crate::error::os_error;
use crate::py::fastcall::Receiver;
use crate::py::gil_cell::GilCell;
use crate::shared::{CloseKind, Shared, this_process};

/// The most that one connection may bring in one tick, as in CPython's transports.
pub(super) const READ_BUFFER_BYTES: usize = 256 * 1024;

/// The Rust base of `rsloop_core.Loop`.
///
/// No field is borrowed while Python code can run, or while the loop is detached: each access is
/// one short closure, so that a callback may call any method of its loop.
///
/// `Loop`'s `__dict__` and weak references come with its being a Python class. PyO3's would do
/// no better, and before PyO3 0.30 hid the `__dict__` from the garbage collector.
#[pyclass(subclass, frozen, module = "rsloop_core._core")]
pub(crate) struct LoopBase {
    pub(super) ready: GilCell<ReadyQueue<Ready>>,
    pub(super) timers: GilCell<TimerHeap<Timer>>,
    pub(super) io: GilCell<Option<Io>>,
    /// [`this_process`] of the process whose poller is in `io`.
    pub(super) process: AtomicU32,
    pub(super) transports: Py<Transports>,
    /// Where received bytes land before they become a `bytes` object; made with the first.
    read_buffer: GilCell<Vec<u8>>,
    pub(super) policy: GilCell<TickPolicy>,
    pub(super) shared: Arc<Shared>,
    /// Whether a tick is on some thread's stack.
    pub(super) ticking: Flag,
    pub(super) stopping: Flag,
    pub(super) closed: Flag,
    pub(super) debug: Flag,
    /// Whether a program has replaced `asyncio.Handle._run`, to see every callback.
    pub(super) watched: Flag,
    /// `threading.get_ident()` of the thread that runs the loop, 0 while none does.
    pub(super) thread_id: AtomicU64,
    pub(super) task_factory: GilCell<Option<Py<PyAny>>>,
}

/// A boolean that needs no lock.
pub(super) struct Flag(AtomicBool);

impl Flag {
    const fn new(value: bool) -> Self {
        Self(AtomicBool::new(value))
    }

    #[inline]
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "the loop's methods are attached to its class")]
impl Receiver for LoopBase {
    #[inline]
    unsafe fn of<'a>(object: Borrowed<'a, '_, PyAny>) -> PyResult<&'a Self> {
        // SAFETY: the caller promises an instance, and the class is frozen.
        Ok(unsafe { &*std::ptr::from_ref(object.cast_unchecked::<Self>().get()) })
    }
}

impl LoopBase {
    /// Opens the descriptors of a new loop.
    pub(super) fn open(py: Python<'_>) -> PyResult<Self> {
        let (poller, wakeup) = descriptors().map_err(|error| os_error(py, error))?;
        Ok(Self {
            ready: GilCell::new(ReadyQueue::new()),
            timers: GilCell::new(TimerHeap::new()),
            io: GilCell::new(Some(Io {
                poller: Arc::new(poller),
                registry: Registry::new(),
            })),
            process: AtomicU32::new(this_process()),
            transports: Py::new(py, Transports::new())?,
            read_buffer: GilCell::new(Vec::new()),
            policy: GilCell::new(TickPolicy::new(clock::POLL_BUDGET_TICKS)),
            shared: Arc::new(Shared::new(wakeup)),
            ticking: Flag::new(false),
            stopping: Flag::new(false),
            closed: Flag::new(false),
            debug: Flag::new(false),
            watched: Flag::new(false),
            thread_id: AtomicU64::new(0),
            task_factory: GilCell::new(None),
        })
    }

    /// The part of `slf` that other threads see, able to find `slf` from then on.
    pub(crate) fn shared_of(slf: &Bound<'_, Self>) -> PyResult<Arc<Shared>> {
        let shared = &slf.get().shared;
        shared.know_python(slf.as_any())?;
        Ok(shared.clone())
    }

    /// Runs `receive` on the loop's read buffer, all of it.
    #[inline]
    pub(crate) fn with_read_buffer<R>(
        &self,
        py: Python<'_>,
        receive: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        self.read_buffer.with(py, |buffer| {
            if buffer.is_empty() {
                buffer.resize(READ_BUFFER_BYTES, 0);
            }
            receive(buffer)
        })
    }

    /// Whether debug mode is on.
    pub(crate) fn is_in_debug_mode(&self) -> bool {
        self.debug.get()
    }

    /// Fails when the loop is closed.
    #[inline]
    pub(crate) fn check_closed(&self) -> PyResult<()> {
        if self.closed.get() {
            return Err(PyRuntimeError::new_err("Event loop is closed"));
        }
        Ok(())
    }

    /// Releases everything the loop holds: queued callbacks never run, descriptors are closed.
    pub(super) fn release(&self, py: Python<'_>) {
        // Each value is moved out of its cell first: dropping it may run Python code.
        let ready: Vec<Ready> = self.ready.with(py, |ready| ready.drain().collect());
        let timers = self.timers.with(py, TimerHeap::drain);
        let io = self.io.with(py, Option::take);
        for timer in &timers {
            // asyncio's own are not told by asyncio either.
            if let Timer::Ours(handle) = timer {
                handle.get(py).unschedule();
            }
        }
        drop((ready, timers));
        self.shared.close(py, CloseKind::Closed);
        // Nothing is withdrawn: the poller goes as a whole, unless a parent process still uses it.
        drop(io);
    }

    /// Shows the garbage collector what the loop refers to.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // A cell that is in use belongs to a running thread, whose loop is no garbage.
        self.ready
            .try_with(|ready| {
                ready
                    .iter()
                    .try_for_each(|entry| visit.call(entry.as_object()))
            })
            .unwrap_or(Ok(()))?;
        self.timers
            .try_with(|timers| {
                timers
                    .iter()
                    .try_for_each(|timer| visit.call(timer.as_object()))
            })
            .unwrap_or(Ok(()))?;
        self.io
            .try_with(|io| {
                io.iter()
                    .flat_map(|io| io.registry.iter())
                    .try_for_each(|(_, source)| source.traverse(visit))
            })
            .unwrap_or(Ok(()))?;
        self.task_factory
            .try_with(|factory| visit.call(factory))
            .unwrap_or(Ok(()))
    }

    /// Breaks the cycles that the garbage collector found.
    pub(super) fn clear(&self) {
        let ready = self
            .ready
            .try_with_mut(|ready| ready.drain().collect::<Vec<_>>());
        let timers = self.timers.try_with_mut(TimerHeap::drain);
        let io = self.io.try_with_mut(Option::take);
        let factory = self.task_factory.try_with_mut(Option::take);
        drop((ready, timers, io, factory));
    }
}

/// A poller, and the wakeup in it.
fn descriptors() -> io::Result<(Poller, Wakeup)> {
    let poller = Poller::new()?;
    let wakeup = Wakeup::new()?;
    poller.add(wakeup.as_raw_fd(), Token::WAKEUP, Interest::READABLE)?;
    Ok((poller, wakeup))
}

impl Drop for LoopBase {
    fn drop(&mut self) {
        // A loop that was never closed: its descriptors go with it, quietly, since asyncio's
        // own `__del__` has warned already.
        Python::attach(|py| {
            self.shared.close(py, CloseKind::Deallocated);
            self.shared.forget_python(py);
        });
    }
}
