//! The extension that the tests of the bridge drive: every public name of `rust_async`, with
//! futures whose every step the test decides.

mod answered;
mod calls;
mod errors;
mod executors;
mod functions;
mod gate;
mod here;
mod libraries;
mod local;
mod resumed;
mod send;
mod streams;
mod values;
mod watch;
mod woken;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn bridge_tests(module: &Bound<'_, PyModule>) -> PyResult<()> {
    answered::register(module)?;
    calls::register(module)?;
    errors::register(module)?;
    executors::register(module)?;
    functions::register(module)?;
    gate::register(module)?;
    libraries::register(module)?;
    local::register(module)?;
    resumed::register(module)?;
    send::register(module)?;
    streams::register(module)?;
    values::register(module)?;
    watch::register(module)?;
    woken::register(module)?;
    module.add("HEADER", env!("HEADER"))?;
    module.add(
        "RustPanic",
        module.py().get_type::<rsloop::rust_async::RustPanic>(),
    )
}
