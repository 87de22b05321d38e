//! How often the process was forked, so that a child knows what is its parent's.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How many forks lie between this process and the one that imported the module.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A number for this process, other than those of the processes it was forked from.
pub(crate) fn this_process() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Has the interpreter tell of forks.
pub(super) fn listen(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let hooks = PyDict::new(py);
    hooks.set_item("after_in_child", wrap_pyfunction!(after_in_child, module)?)?;
    py.import("os")?
        .call_method("register_at_fork", (), Some(&hooks))
        .map(drop)
}

/// Makes every loop of the parent refuse jobs in the child.
#[pyfunction]
fn after_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
