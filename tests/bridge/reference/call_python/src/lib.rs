//! Makes a module of the documented function.

include!("documented.rs");

#[pymodule(gil_used = false)]
mod my_calling_ext {
    use pyo3::prelude::*;

    /// Awaits a Python awaitable from Rust.
    #[pyfunction]
    fn call(py: Python<'_>, awaitable: Py<PyAny>) -> PyResult<Bound<'_, PyAny>> {
        super::call_python_awaitable(py, awaitable)
    }
}
