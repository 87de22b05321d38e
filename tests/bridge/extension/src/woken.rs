//! Futures that are woken by another thread: where they go on.

use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use rsloop::rust_async;

use crate::gate::Gate;

/// Passes the gates, one after the other, and tells whether it ends in the calling thread.
#[pyfunction]
#[pyo3(signature = (*gates, spawned = false))]
fn ends_here(py: Python<'_>, gates: Vec<Gate>, spawned: bool) -> PyResult<Bound<'_, PyAny>> {
    let here = thread::current().id();
    let future = async move {
        for gate in gates {
            gate.pass().await;
        }
        Ok(thread::current().id() == here)
    };
    match spawned {
        true => rust_async::spawn_into_py(py, future),
        false => rust_async::future_into_py(py, future),
    }
}

/// As that, and takes long at its end.
#[pyfunction]
fn ends_slowly_here(py: Python<'_>, gate: Gate) -> PyResult<Bound<'_, PyAny>> {
    let here = thread::current().id();
    rust_async::future_into_py(py, async move {
        gate.pass().await;
        thread::sleep(Duration::from_millis(2));
        Ok(thread::current().id() == here)
    })
}

/// Passes a gate, and opens another.
#[pyfunction]
fn opens_after(py: Python<'_>, gate: Gate, opened: Gate) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        gate.pass().await;
        opened.open_now();
        Ok(())
    })
}

/// Passes a gate, and calls `function`.
#[pyfunction]
fn calls_when_open(py: Python<'_>, gate: Gate, function: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, gate.then_call(function))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(ends_here, module)?)?;
    module.add_function(wrap_pyfunction!(ends_slowly_here, module)?)?;
    module.add_function(wrap_pyfunction!(opens_after, module)?)?;
    module.add_function(wrap_pyfunction!(calls_when_open, module)?)
}
