//! Asynchronous functions: PyO3's own, and those of the bridge's macro.

use pyo3::coroutine::CancelHandle;
use pyo3::prelude::*;
use rsloop::rust_async;

use crate::gate::Gate;
use crate::watch::Drops;

/// Where code runs: on which of Python's threads, and whether that is attached.
fn whereabouts() -> PyResult<(u64, bool)> {
    // SAFETY: may be called by any thread, at any time of the interpreter's life.
    let attached = unsafe { pyo3::ffi::PyGILState_Check() } == 1;
    let thread = Python::attach(|py| {
        let threading = py.import("threading")?;
        threading.call_method0("get_ident")?.extract()
    })?;
    Ok((thread, attached))
}

/// Tells where its polls are: the first one, and the one after the gate.
#[pyfunction]
async fn pyo3s_polls(gate: Gate, drops: Drops) -> PyResult<[(u64, bool); 2]> {
    let _token = drops.token();
    let first = whereabouts()?;
    gate.pass().await;
    Ok([first, whereabouts()?])
}

rsloop::async_pyfunction! {
    /// As that, by the bridge.
    async fn bridges_polls(gate: Gate, drops: Drops) -> PyResult<[(u64, bool); 2]> {
        let _token = drops.token();
        let first = whereabouts()?;
        gate.pass().await;
        Ok([first, whereabouts()?])
    }
}

/// Is told of its cancellation, and goes on.
#[pyfunction]
async fn pyo3s_handled(
    gate: Gate,
    #[pyo3(cancel_handle)] mut cancel: CancelHandle,
) -> PyResult<String> {
    let error = cancel.cancelled().await;
    gate.pass().await;
    Python::attach(|py| Ok(error.bind(py).get_type().name()?.to_string()))
}

/// Needs what tokio's timers need.
#[pyfunction]
async fn pyo3s_sleep_by_tokio() {
    #[cfg(feature = "tokio")]
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// Has a method of each kind.
#[pyclass(frozen)]
struct Methods(Gate);

#[pymethods]
impl Methods {
    #[new]
    fn new(gate: Gate) -> Self {
        Self(gate)
    }

    async fn by_pyo3(&self) -> &'static str {
        self.0.pass().await;
        "the value"
    }

    fn by_the_bridge<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let gate = self.0.clone();
        rust_async::future_into_py(py, async move {
            gate.pass().await;
            Ok("the value")
        })
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Methods>()?;
    module.add_function(wrap_pyfunction!(pyo3s_polls, module)?)?;
    module.add_function(wrap_pyfunction!(bridges_polls, module)?)?;
    module.add_function(wrap_pyfunction!(pyo3s_handled, module)?)?;
    module.add_function(wrap_pyfunction!(pyo3s_sleep_by_tokio, module)?)
}
