//! Futures that are not `Send`.

use std::rc::Rc;

use pyo3::prelude::*;
use rsloop::rust_async;

use crate::gate::Gate;
use crate::send::End;
use crate::watch::Drops;

/// As `send::gated`, but bound to its thread by what it holds.
fn gated(
    gate: Option<Gate>,
    end: End,
    drops: Option<Drops>,
) -> impl Future<Output = PyResult<&'static str>> {
    let token = Rc::new(drops.as_ref().map(Drops::token));
    async move {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        drop(token);
        end.reach()
    }
}

#[pyfunction]
#[pyo3(signature = (end, gate = None, drops = None))]
fn local_future_into_py(
    py: Python<'_>,
    end: End,
    gate: Option<Gate>,
    drops: Option<Drops>,
) -> PyResult<Bound<'_, PyAny>> {
    rust_async::local_future_into_py(py, gated(gate, end, drops))
}

#[pyfunction]
#[pyo3(signature = (end, gate = None, drops = None))]
fn local_future_into_py_with_locals(
    py: Python<'_>,
    end: End,
    gate: Option<Gate>,
    drops: Option<Drops>,
) -> PyResult<Bound<'_, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    rust_async::local_future_into_py_with_locals(py, locals, gated(gate, end, drops))
}

/// Yields to the loop so many times, and tells whether every poll was on the calling thread.
#[pyfunction]
fn yield_locally(py: Python<'_>, times: usize) -> PyResult<Bound<'_, PyAny>> {
    let here = std::thread::current().id();
    rust_async::local_future_into_py(py, async move {
        for _ in 0..times {
            async_std::task::yield_now().await;
            if std::thread::current().id() != here {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Waits at the gate, calls `function` in the poll, and returns its result.
#[pyfunction]
fn call_in_poll(py: Python<'_>, gate: Gate, function: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::local_future_into_py(py, gate.then_call(function))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(local_future_into_py, module)?)?;
    module.add_function(wrap_pyfunction!(local_future_into_py_with_locals, module)?)?;
    module.add_function(wrap_pyfunction!(yield_locally, module)?)?;
    module.add_function(wrap_pyfunction!(call_in_poll, module)?)
}
