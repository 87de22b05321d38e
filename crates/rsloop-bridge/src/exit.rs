//! The end of the interpreter: no poll may be in progress, and none may begin.
//!
//! A worker that attaches to an interpreter which is being finalized is hung or killed by
//! CPython, and a killed thread takes the Rust process down with it. The bridge never attaches on
//! a worker, but a user's future may. So a hook, run by `atexit`, stops the polling and, detached,
//! waits for the polls in progress. It waits a bounded time: a future that blocks its worker for
//! longer must not keep the process alive.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::fork;

/// How long the hook waits for polls in progress.
const PATIENCE: Duration = Duration::from_secs(2);

static EXITING: AtomicBool = AtomicBool::new(false);
static POLLS: AtomicUsize = AtomicUsize::new(0);

/// Proof that a poll may proceed; the exit hook waits until it is dropped. Holds the generation
/// that it is counted in: a child of `fork` has none of its parent's polls.
pub(crate) struct PollGuard {
    generation: u32,
    /// Bound to its thread, as a raw pointer is.
    _here: PhantomData<*const ()>,
}

thread_local! {
    /// How many polls are in progress on this thread, one inside of the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

impl PollGuard {
    /// None once the interpreter is exiting.
    pub(crate) fn enter() -> Option<Self> {
        // Both orders are sequentially consistent, here and in the hook: either the hook sees
        // this poll counted, or this poll sees the hook's flag.
        POLLS.fetch_add(1, Ordering::SeqCst);
        DEPTH.set(DEPTH.get() + 1);
        let guard = Self {
            generation: fork::generation(),
            _here: PhantomData,
        };
        (!EXITING.load(Ordering::SeqCst)).then_some(guard)
    }
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if self.generation == fork::generation() {
            POLLS.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Whether this thread is polling a future.
pub(crate) fn is_polling() -> bool {
    DEPTH.get() != 0
}

/// Whether the exit hook has run. From then on the bridge leaks what it holds.
pub(crate) fn is_exiting() -> bool {
    EXITING.load(Ordering::SeqCst)
}

/// Registers the hook, once, with those for a fork.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    static REGISTERED: PyOnceLock<()> = PyOnceLock::new();
    REGISTERED
        .get_or_try_init(py, || {
            fork::register(py)?;
            fork::call_in_children(wrap_pyfunction!(forget_polls, py)?)?;
            if py.version_info() < (3, 14) {
                rsloop_abi::let_ending_threads_hang();
            }
            let hook = wrap_pyfunction!(stop_polling, py)?;
            py.import("atexit")?.call_method1("register", (hook,))?;
            Ok(())
        })
        .copied()
}

/// Ends the polling of Rust futures, before the interpreter is finalized.
#[pyfunction]
#[pyo3(name = "_stop_polling")]
fn stop_polling(py: Python<'_>) {
    EXITING.store(true, Ordering::SeqCst);
    // Detached, so that a poll which waits for the GIL can end.
    py.detach(|| {
        let deadline = Instant::now() + PATIENCE;
        while POLLS.load(Ordering::SeqCst) != 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(200));
        }
    });
}

/// Forgets the polls that the parent's threads were making at the fork. In the child.
#[pyfunction]
#[pyo3(name = "_forget_polls")]
fn forget_polls() {
    POLLS.store(0, Ordering::SeqCst);
}
