//! The extension that the tests of the bridge drive: every public name of `rust_async`, with
//! futures whose every step the test decides.

mod gate;
mod send;
mod watch;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn bridge_tests(module: &Bound<'_, PyModule>) -> PyResult<()> {
    gate::register(module)?;
    send::register(module)?;
    watch::register(module)?;
    module.add(
        "RustPanic",
        module.py().get_type::<rsloop::rust_async::RustPanic>(),
    )
}
