//! `Send` futures.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rsloop::rust_async;

use crate::gate::Gate;
use crate::watch::Drops;

/// How a future ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Value,
    Error,
    Panic,
}

impl<'py> FromPyObject<'_, 'py> for End {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<String>()?.as_str() {
            "value" => Ok(Self::Value),
            "error" => Ok(Self::Error),
            "panic" => Ok(Self::Panic),
            other => Err(PyValueError::new_err(format!("no such end: {other}"))),
        }
    }
}

impl End {
    pub(crate) fn reach(self) -> PyResult<&'static str> {
        match self {
            Self::Value => Ok("the value"),
            Self::Error => Err(PyValueError::new_err("the error")),
            Self::Panic => panic!("the panic"),
        }
    }
}

/// A future that waits at the gate, if there is one, and then ends as told.
fn gated(
    gate: Option<Gate>,
    end: End,
    drops: Option<Drops>,
) -> impl Future<Output = PyResult<&'static str>> {
    let token = drops.as_ref().map(Drops::token);
    async move {
        let _token = token;
        if let Some(gate) = gate {
            gate.pass().await;
        }
        end.reach()
    }
}

#[pyfunction]
#[pyo3(signature = (end, gate = None, drops = None))]
fn future_into_py(
    py: Python<'_>,
    end: End,
    gate: Option<Gate>,
    drops: Option<Drops>,
) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, gated(gate, end, drops))
}

#[pyfunction]
#[pyo3(signature = (end, gate = None, drops = None))]
fn future_into_py_with_locals(
    py: Python<'_>,
    end: End,
    gate: Option<Gate>,
    drops: Option<Drops>,
) -> PyResult<Bound<'_, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    rust_async::future_into_py_with_locals(py, locals, gated(gate, end, drops))
}

#[pyfunction]
#[pyo3(signature = (end, gate = None, drops = None))]
fn spawn_into_py(
    py: Python<'_>,
    end: End,
    gate: Option<Gate>,
    drops: Option<Drops>,
) -> PyResult<Bound<'_, PyAny>> {
    rust_async::spawn_into_py(py, gated(gate, end, drops))
}

/// Waits at the gate, attaches on the worker, calls `function`, and returns its result.
#[pyfunction]
fn call_on_worker(py: Python<'_>, gate: Gate, function: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::spawn_into_py(py, gate.then_call(function))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(future_into_py, module)?)?;
    module.add_function(wrap_pyfunction!(future_into_py_with_locals, module)?)?;
    module.add_function(wrap_pyfunction!(spawn_into_py, module)?)?;
    module.add_function(wrap_pyfunction!(call_on_worker, module)?)
}
