//! Futures that are woken by another thread: where they go on.

use pyo3::prelude::*;
use rsloop::rust_async;

use crate::gate::Gate;
use crate::here;

/// Passes the gates, one after the other, and tells whether it ends in the calling thread.
#[pyfunction]
#[pyo3(signature = (*gates, spawned = false))]
fn ends_here(py: Python<'_>, gates: Vec<Gate>, spawned: bool) -> PyResult<Bound<'_, PyAny>> {
    let passing = async move {
        for gate in gates {
            gate.pass().await;
        }
        Ok(())
    };
    let future = here::ends_here(passing, || ());
    match spawned {
        true => rust_async::spawn_into_py(py, future),
        false => rust_async::future_into_py(py, future),
    }
}

/// As that, and takes long at its end.
#[pyfunction]
fn ends_slowly_here(py: Python<'_>, gate: Gate) -> PyResult<Bound<'_, PyAny>> {
    let passing = async move {
        gate.pass().await;
        Ok(())
    };
    rust_async::future_into_py(py, here::ends_here(passing, here::long))
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
