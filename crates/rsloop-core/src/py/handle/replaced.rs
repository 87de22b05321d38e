//! Whether a program watches callbacks, by a method of its own in the place of asyncio's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use pyo3::{ffi, intern};

/// asyncio's class of handles, and the method by which it runs them.
struct Original {
    class: Py<PyType>,
    /// The names of the module that has both.
    globals: Py<PyDict>,
    /// `None` where it had been replaced before the first look.
    run: Option<Py<PyAny>>,
}

impl Original {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static ORIGINAL: PyOnceLock<Original> = PyOnceLock::new();
        ORIGINAL.get_or_try_init(py, || {
            let events = py.import("asyncio.events")?;
            let class = events.getattr("Handle")?.cast_into::<PyType>()?;
            let (globals, run) = (events.dict(), class.getattr("_run")?);
            let run = is_of(&globals, &run).then(|| run.unbind());
            Ok(Self {
                class: class.unbind(),
                globals: globals.unbind(),
                run,
            })
        })
    }
}

/// The last look that counts: the version of the class, and in the lowest bit what was found.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Whether `asyncio.Handle._run` is not asyncio's: programs that time each callback, such as
/// aiodebug, put a method of their own there.
pub(crate) fn is_run_replaced(py: Python<'_>) -> PyResult<bool> {
    let original = Original::get(py)?;
    let (version, last) = (original.version(), LAST.load(Ordering::Relaxed));
    if version != 0 && version == last >> 1 {
        return Ok(last & 1 != 0);
    }
    let is_replaced = original.is_replaced(py)?;
    // Not where it was changed during the look, or has got a version by it.
    if version == original.version() {
        LAST.store(version << 1 | u64::from(is_replaced), Ordering::Relaxed);
    }
    Ok(is_replaced)
}

impl Original {
    /// The version of the class, which whoever changes its attributes changes; 0 is none.
    fn version(&self) -> u64 {
        // SAFETY: the class lives as long as `self`, and the field as long as the class. Free-
        // threaded interpreters write it by atomic operations, the others with the GIL held.
        let version = unsafe {
            let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
            AtomicU32::from_ptr(&raw mut (*class).tp_version_tag).load(Ordering::Relaxed)
        };
        u64::from(version)
    }

    fn is_replaced(&self, py: Python<'_>) -> PyResult<bool> {
        let run = self.class.bind(py).getattr(intern!(py, "_run"))?;
        let is_original = self.run.as_ref().is_some_and(|known| run.is(known));
        Ok(!is_original && !is_of(self.globals.bind(py), &run))
    }
}

/// Whether a function is of the module with these names. Whoever wraps a function may give the
/// wrapper its name, but not that.
fn is_of(globals: &Bound<'_, PyDict>, function: &Bound<'_, PyAny>) -> bool {
    let found = function.getattr(intern!(function.py(), "__globals__"));
    found.is_ok_and(|found| found.is(globals))
}
