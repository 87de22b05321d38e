//! Whether a program watches callbacks, by a method of its own in the place of asyncio's.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

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

/// Whether a function is of the module with these names. Whoever wraps a function may give the
/// wrapper its name, but not that.
fn is_of(globals: &Bound<'_, PyDict>, function: &Bound<'_, PyAny>) -> bool {
    let found = function.getattr(intern!(function.py(), "__globals__"));
    found.is_ok_and(|found| found.is(globals))
}

/// Whether `asyncio.Handle._run` is not asyncio's: programs that time each callback, such as
/// aiodebug, put a method of their own there.
pub(crate) fn is_run_replaced(py: Python<'_>) -> PyResult<bool> {
    let original = Original::get(py)?;
    let run = original.class.bind(py).getattr(intern!(py, "_run"))?;
    let is_original = original.run.as_ref().is_some_and(|known| run.is(known));
    Ok(!is_original && !is_of(original.globals.bind(py), &run))
}
