//! What other threads see of a loop: its inbox and its wakeup. To extensions this is `rsl_loop`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `inbox` | the lock-free queue of jobs |
//! | `sleep` | whether the loop waits, and who must ring |
//! | `sync` | the primitives that loom replaces |
//! | `fork` | whether this process is the one that made the loop |

mod fork;
mod inbox;
mod sleep;
mod sync;

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;
use rsloop_abi::Job;
use rsloop_reactor::{Interest, Poller, Token, Wakeup};

use crate::py::gil_cell::GilCell;
use crate::py::interpreter;
pub(crate) use fork::this_process;
use inbox::{Closed, Inbox};
use sleep::Sleep;

/// Prepares for forks of the process that imports `module`.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    fork::listen(module)
}

/// A loop's part that needs no Python, and that outlives the Python loop.
pub(crate) struct Shared {
    inbox: Inbox,
    sleep: Sleep,
    /// `None` once closed. A reader may ring; the descriptor is closed by the only writer.
    wakeup: RwLock<Option<Wakeup>>,
    /// The loop thread's number, see [`this_thread`].
    thread: AtomicUsize,
    /// [`this_process`] of the process that made the loop.
    born: u32,
    /// What to run when the loop closes, in order; `None` once that has begun.
    close_hooks: GilCell<Option<Vec<JobPointer>>>,
    /// The weak reference by which the Python loop is found: made when first asked for, and
    /// taken away with the Python loop, so that what outlives the interpreter holds no object.
    weak_reference: GilCell<Option<Py<PyAny>>>,
}

/// A job that `on_close` registered, owned.
struct JobPointer(NonNull<Job>);

// SAFETY: a job may be given back on any thread that closes the loop, as the table says.
unsafe impl Send for JobPointer {}

/// Why a loop ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseKind {
    /// `close()` was called: hooks run.
    Closed,
    /// The Python loop goes without having been closed: hooks are dropped.
    Deallocated,
}

/// A number that no other thread has or had.
fn this_thread() -> usize {
    // Not an address of the thread's own: the next thread may get the same one.
    static THREADS: AtomicUsize = AtomicUsize::new(1);
    thread_local!(static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

impl Shared {
    /// The shared part of a new loop, which the calling thread owns.
    pub(crate) fn new(wakeup: Wakeup) -> Self {
        Self {
            inbox: Inbox::new(),
            sleep: Sleep::new(),
            wakeup: RwLock::new(Some(wakeup)),
            thread: AtomicUsize::new(this_thread()),
            born: this_process(),
            close_hooks: GilCell::new(Some(Vec::new())),
            weak_reference: GilCell::new(None),
        }
    }

    /// Makes the calling thread the loop thread.
    pub(crate) fn enter_thread(&self) {
        self.thread.store(this_thread(), Ordering::Relaxed);
    }

    /// Whether the calling thread is the loop thread.
    pub(crate) fn on_loop_thread(&self) -> bool {
        self.thread.load(Ordering::Relaxed) == this_thread()
    }

    /// Whether this process is a fork of the one that made the loop.
    pub(crate) fn is_forked(&self) -> bool {
        self.born != this_process()
    }

    /// Makes the Python loop `slf` findable.
    pub(crate) fn know_python(&self, slf: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if self.weak_reference.with(py, |known| known.is_none()) {
            let weak = PyWeakrefReference::new(slf)?.into_any().unbind();
            let surplus = self.weak_reference.with(py, |known| match known {
                Some(_) => Some(weak), // another thread was faster
                None => known.replace(weak),
            });
            drop(surplus);
        }
        Ok(())
    }

    /// Ends what [`Shared::know_python`] began, when the Python loop goes.
    pub(crate) fn forget_python(&self, py: Python<'_>) {
        let weak = self.weak_reference.with(py, Option::take);
        drop(weak.map(|weak| weak.into_bound(py)));
    }

    /// The Python loop; `None` when it is gone, or was never made findable.
    pub(crate) fn python<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let weak = self
            .weak_reference
            .with(py, |weak| weak.as_ref().map(|weak| weak.bind(py).clone()));
        match weak {
            Some(weak) => Ok(Some(weak.call0()?).filter(|object| !object.is_none())),
            None => Ok(None),
        }
    }

    /// Announces that the loop will wait, by a sleep or lingering first; `false` when there is
    /// work, so that it must not.
    pub(crate) fn fall_asleep(&self, lingers: bool) -> bool {
        self.sleep.begin(lingers);
        self.inbox.is_empty()
    }

    /// Watches for other threads for as long as `patient` says so; `true` once one has come,
    /// `false` when the loop is to sleep.
    pub(crate) fn linger(&self, patient: impl FnMut() -> bool) -> bool {
        self.sleep.linger(patient)
    }

    /// Ends what [`Shared::fall_asleep`] began; returns whether another thread ended it before.
    pub(crate) fn wake_up(&self) -> bool {
        self.sleep.end()
    }

    /// Wakes the loop if it waits, which takes a ring where it sleeps. Rings at most once for each
    /// time that it fell asleep.
    pub(crate) fn ring_if_asleep(&self) {
        if self.sleep.must_be_ended() {
            let wakeup = self.wakeup.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(wakeup) = &*wakeup {
                wakeup.ring();
            }
        }
    }

    /// Makes a new wakeup, in a child that must not ring or drain the parent's.
    pub(crate) fn renew_wakeup(&self) -> io::Result<()> {
        let renewed = Wakeup::new()?;
        // A thread that rang at the moment of the fork holds the lock here for ever.
        let Ok(mut wakeup) = self.wakeup.try_write() else {
            return Err(io::ErrorKind::ResourceBusy.into());
        };
        *wakeup = Some(renewed);
        Ok(())
    }

    /// Lets the wakeup end the waits of `poller`.
    pub(crate) fn watch_wakeup(&self, poller: &Poller) -> io::Result<()> {
        let wakeup = self.wakeup.read().unwrap_or_else(PoisonError::into_inner);
        match &*wakeup {
            Some(wakeup) => poller.add(wakeup.as_raw_fd(), Token::WAKEUP, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// Makes the descriptor quiet again after it woke the loop.
    pub(crate) fn drain_wakeup(&self) {
        let wakeup = self.wakeup.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(wakeup) = &*wakeup {
            wakeup.drain();
        }
    }

    /// Hands a job to the loop.
    ///
    /// # Safety
    /// As [`Inbox::push`].
    pub(crate) unsafe fn post(&self, job: NonNull<Job>) -> Result<(), Closed> {
        if self.is_forked() {
            return Err(Closed);
        }
        // SAFETY: the caller's promise.
        unsafe { self.inbox.push(job)? };
        self.ring_if_asleep();
        Ok(())
    }

    /// Runs the jobs posted so far; those that they post wait for the next tick.
    #[inline]
    pub(crate) fn run_jobs(self: &Arc<Self>, _py: Python<'_>) {
        for job in self.inbox.take() {
            // SAFETY: the batch owns the job and gives it back with this call, on the loop's
            // thread, attached, as the table promises.
            unsafe { (job.as_ref().run)(job.as_ptr(), Arc::as_ptr(self).cast_mut().cast()) };
        }
    }

    /// Registers a job for [`Shared::close`]; `false` when the loop is closed already.
    pub(crate) fn add_close_hook(&self, py: Python<'_>, job: NonNull<Job>) -> bool {
        if self.is_forked() {
            return false;
        }
        self.close_hooks.with(py, |hooks| match hooks {
            Some(hooks) => {
                hooks.push(JobPointer(job));
                true
            }
            None => false,
        })
    }

    /// Takes a registered job away; `false` when it is not there.
    pub(crate) fn remove_close_hook(&self, py: Python<'_>, job: *mut Job) -> bool {
        self.close_hooks.with(py, |hooks| {
            let Some(hooks) = hooks else { return false };
            let Some(index) = hooks.iter().position(|hook| hook.0.as_ptr() == job) else {
                return false;
            };
            hooks.remove(index);
            true
        })
    }

    /// Refuses jobs from now on, gives back all it owns, and closes the wakeup. Idempotent.
    pub(crate) fn close(self: &Arc<Self>, py: Python<'_>, kind: CloseKind) {
        let left = self.inbox.close();
        if interpreter::is_finalizing() {
            return; // what the jobs hold may be gone already: they are leaked
        }
        for job in left {
            // SAFETY: as in `run_jobs`, on the thread that closes the loop.
            unsafe { (job.as_ref().drop)(job.as_ptr()) };
        }
        let hooks = self.close_hooks.with(py, Option::take);
        for JobPointer(job) in hooks.into_iter().flatten() {
            // SAFETY: as above; a hook is run or dropped, once.
            unsafe {
                match kind {
                    CloseKind::Closed => {
                        (job.as_ref().run)(job.as_ptr(), Arc::as_ptr(self).cast_mut().cast());
                    }
                    CloseKind::Deallocated => (job.as_ref().drop)(job.as_ptr()),
                }
            }
        }
        if self.is_forked() {
            // A thread that rang at the moment of the fork holds the lock here for ever. The
            // descriptor then goes with the last reference instead.
            if let Ok(mut wakeup) = self.wakeup.try_write() {
                *wakeup = None;
            }
            return;
        }
        let mut wakeup = self.wakeup.write().unwrap_or_else(PoisonError::into_inner);
        *wakeup = None;
    }
}
