//! `fork` copies the memory but not the threads: a child must not use what its parent set up.
//!
//! A hook of `os.register_at_fork` counts the generations of this process. Whatever is bound to
//! threads or descriptors remembers the generation it was made in, and is dead in another.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The number of forks between the first process that loaded this module and this one.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Registers the hook, once.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    static REGISTERED: PyOnceLock<()> = PyOnceLock::new();
    REGISTERED
        .get_or_try_init(py, || {
            let os = py.import("os")?;
            // Platforms without fork have no such function, and nothing to detect.
            if os.hasattr("register_at_fork")? {
                let keywords = pyo3::types::PyDict::new(py);
                keywords.set_item("after_in_child", wrap_pyfunction!(after_fork, py)?)?;
                os.call_method("register_at_fork", (), Some(&keywords))?;
            }
            Ok(())
        })
        .copied()
}

/// Begins a generation, in the child.
#[pyfunction]
#[pyo3(name = "_after_fork")]
fn after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
