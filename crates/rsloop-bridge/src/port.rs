//! The bridge's end of one event loop: the inbox, the bell that makes the loop drain it, and the
//! list of what is pending, for the day the loop closes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use slab::Slab;

use crate::idle::Idleness;
use crate::inbox::Inbox;
use crate::{error, exit, fork};

/// A thing to be handed to the loop's thread.
pub(crate) trait Deliver: Send + Sync {
    /// Does its work. On the loop's thread, attached.
    fn deliver(self: Arc<Self>, py: Python<'_>);

    /// Lets go of everything, because the loop is closed. Attached, on the closing thread.
    fn closed(self: Arc<Self>, py: Python<'_>);
}

/// What waits in the inbox.
enum Item {
    Deliver(Arc<dyn Deliver>),
    /// References to be given back on the loop's thread.
    Release([Py<PyAny>; 2]),
}

/// How a loop is made to drain its inbox.
pub(crate) trait Bell: Send + Sync {
    /// Has the loop call [`Port::drain`] soon. From any thread, attached or not.
    fn ring(&self, port: &Arc<Port>);

    /// Whether ringing attaches to Python.
    fn needs_python(&self) -> bool {
        false
    }

    /// The loop is closed, and nobody will ring again.
    fn silence_for_good(&self);
}

/// For how long an await watches for the end of its future: twice what a suspension costs.
pub(crate) const LINGER: Duration = Duration::from_micros(25);

/// For how many nanoseconds awaits may keep the loop until it has a turn again.
const MOST_LINGERED: u32 = 100_000;

/// The bridge's end of one event loop.
///
/// It owns no reference to the Python loop: that would keep the loop alive, or would have to be
/// given back by whichever thread drops the last `Arc`.
pub(crate) struct Port {
    inbox: Inbox<Item>,
    bell: Box<dyn Bell>,
    idleness: Idleness,
    thread: ThreadId,
    generation: u32,
    closed: AtomicBool,
    /// Set while the loop's thread drains; only that thread reads it.
    draining: AtomicBool,
    /// For how many nanoseconds awaits have kept the loop since it last drained. Of its thread.
    lingered: AtomicU32,
    pending: Mutex<Slab<Weak<dyn Deliver>>>,
}

impl Port {
    pub(crate) fn new(bell: impl Bell + 'static, idleness: Idleness) -> Self {
        Self {
            inbox: Inbox::new(),
            bell: Box::new(bell),
            idleness,
            thread: thread::current().id(),
            generation: fork::generation(),
            closed: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            lingered: AtomicU32::new(0),
            pending: Mutex::new(Slab::new()),
        }
    }

    /// Hands `item` to the loop's thread. From any thread, attached or not. What is posted to a
    /// closed loop is dropped.
    pub(crate) fn post(self: &Arc<Self>, item: Arc<dyn Deliver>) {
        self.push(Item::Deliver(item));
    }

    /// Gives references back on the loop's thread, at once where this is it.
    pub(crate) fn release(self: &Arc<Self>, objects: [Py<PyAny>; 2]) {
        if self.is_here() || !self.is_open() {
            drop(objects);
        } else {
            self.push(Item::Release(objects));
        }
    }

    fn push(self: &Arc<Self>, item: Item) {
        if exit::is_exiting() || self.is_inherited() {
            // Nobody will drain again, and dropping could touch an interpreter that is gone.
            std::mem::forget(item);
            return;
        }
        if self.is_here() && self.draining.load(Ordering::Relaxed) {
            // The drain in progress looks again when it is done.
            self.inbox.push_silently(item);
            return;
        }
        if self.inbox.push(item) {
            self.ring();
        }
        if !self.is_open() {
            // The loop closed meanwhile, perhaps after its last look at the inbox.
            self.discard();
        }
    }

    /// Makes the loop drain the inbox.
    pub(crate) fn ring(self: &Arc<Self>) {
        self.bell.ring(self);
    }

    /// Whether the loop may be asked to poll what a waker was called for. Not if it was rung
    /// already: it has enough to do, and an executor goes on beside it. And not if ringing attaches
    /// to Python: a waker is called under locks that a thread which is attached may want.
    pub(crate) fn has_time(&self) -> bool {
        !self.inbox.is_rung() && !self.bell.needs_python()
    }

    /// Whether the loop can be asked if it is idle.
    pub(crate) fn idleness(&self) -> Idleness {
        self.idleness
    }

    /// Whether an await may keep the loop for a moment, if it is idle.
    pub(crate) fn may_linger(&self) -> bool {
        self.idleness != Idleness::Unknown
            && has_processors()
            && self.is_here()
            && !self.draining.load(Ordering::Relaxed)
            && self.lingered.load(Ordering::Relaxed) < MOST_LINGERED
            && self.is_open()
    }

    /// Watches the inbox for a moment, and delivers what comes. On the loop's thread, attached.
    /// Returns how long it watched; None if the loop is about to drain anyway.
    pub(crate) fn linger(self: &Arc<Self>, py: Python<'_>) -> Option<Duration> {
        let began = Instant::now();
        let watched = py.detach(|| self.inbox.watch(|| began.elapsed() < LINGER));
        let took = began.elapsed();
        if !watched {
            return None;
        }
        if self.deliver(py) {
            self.ring();
        }
        // A thread that is kept from attaching has not kept the loop longer.
        let nanoseconds = took.min(LINGER).as_nanos() as u32;
        self.lingered.fetch_add(nanoseconds, Ordering::Relaxed);
        Some(took)
    }

    /// Delivers what is in the inbox now. On the loop's thread. True if the caller must see to
    /// it that the loop drains again.
    pub(crate) fn drain(&self, py: Python<'_>) -> bool {
        self.lingered.store(0, Ordering::Relaxed);
        self.deliver(py)
    }

    fn deliver(&self, py: Python<'_>) -> bool {
        if self.is_inherited() {
            return false;
        }
        self.draining.store(true, Ordering::Relaxed);
        self.inbox.drain(|item| {
            let delivered = error::caught(|| match item {
                Item::Deliver(item) => item.deliver(py),
                Item::Release(objects) => drop(objects),
            });
            // The extension's, from a drop that nobody else could hear of: the next items are
            // delivered all the same.
            if let Err(panic) = delivered {
                panic.write_unraisable(py, None);
            }
        });
        self.draining.store(false, Ordering::Relaxed);
        !self.inbox.is_empty() && self.inbox.claim_bell()
    }

    /// Remembers what the loop must close if it closes first. The key is for [`Self::forget`].
    pub(crate) fn remember(&self, pending: Weak<dyn Deliver>) -> PyResult<usize> {
        let mut list = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that either `close` finds the entry or this finds the port closed.
        if !self.is_open() {
            return Err(error::loop_closed());
        }
        Ok(list.insert(pending))
    }

    pub(crate) fn forget(&self, key: usize) {
        let mut list = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        list.try_remove(key);
    }

    /// The loop is closed: lets go of all that is pending. Attached, on the closing thread.
    pub(crate) fn close(&self, py: Python<'_>) {
        let pending = {
            let mut list = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            self.closed.store(true, Ordering::SeqCst);
            std::mem::take(&mut *list)
        };
        if exit::is_exiting() || self.is_inherited() {
            std::mem::forget(pending);
            return;
        }
        self.bell.silence_for_good();
        for (_, pending) in pending {
            if let Some(pending) = pending.upgrade() {
                pending.closed(py);
            }
        }
        self.discard();
    }

    /// Drops what is in the inbox, since nobody will look any more.
    fn discard(&self) {
        self.inbox.drain(|item| {
            // Here there is no loop to tell of a panic; Rust's own hook has told of it.
            let _ = error::drop_caught(item);
        });
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::SeqCst) && !self.is_inherited()
    }

    /// Whether this is a forked child's copy of a port of its parent's. What belongs to that is
    /// leaked: never run, never dropped.
    pub(crate) fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Whether this is the loop's thread.
    pub(crate) fn is_here(&self) -> bool {
        thread::current().id() == self.thread
    }
}

/// Whether the threads that an await watches for can run meanwhile.
fn has_processors() -> bool {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from)) > 1
}
