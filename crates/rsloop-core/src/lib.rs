//! The compiled event loop: `rsloop_core._core`.

use pyo3::prelude::*;

/// The Rust base of `rsloop_core.Loop`.
#[pyclass(subclass, dict, weakref, module = "rsloop_core._core")]
struct LoopBase {}

#[pymethods]
impl LoopBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyAny>, _kwargs: Option<&Bound<'_, PyAny>>) -> Self {
        Self {}
    }
}

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<LoopBase>()
}
