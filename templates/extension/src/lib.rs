//! {{description}}

use std::time::Duration;

use pyo3::prelude::*;
use rsloop::rust_async::{self, RustPanic};

/// Sleeps on a thread of Rust's, then greets.
#[pyfunction]
fn greet(py: Python<'_>, name: String, delay_ms: u64) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        async_std::task::sleep(Duration::from_millis(delay_ms)).await;
        Ok(format!("Hello, {name}!"))
    })
}

/// Awaits a Python awaitable from Rust, and returns its result.
#[pyfunction]
fn relay(py: Python<'_>, awaitable: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let locals = rust_async::get_current_locals(py)?;
    rust_async::future_into_py_with_locals(py, locals.clone(), async move {
        let result = Python::attach(|py| {
            rust_async::into_future_with_locals(&locals, awaitable.bind(py).clone())
        })?;
        result.await
    })
}

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(greet, module)?)?;
    module.add_function(wrap_pyfunction!(relay, module)?)?;
    module.add("RustPanic", module.py().get_type::<RustPanic>())
}
