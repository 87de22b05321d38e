//! The compiled event loop: the module `rsloop_core._core`.
//!
//! Each folder knows those below it only: `tls` the `transports` that carry its records, these the
//! `loop_` that says when they may read and write, `bridge_abi` the loops that it tells extensions
//! of, a loop the part that it has `shared` with other threads, and all of them `py` (CPython's C
//! API, raw) and the two crates without Python, `rsloop-sched` and `rsloop-reactor`. What lies below
//! calls up by tables of functions. `clock` and `error` are each one thing that all need.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "extensions call it from C")]
mod bridge_abi;
mod clock;
mod error;
mod loop_;
#[expect(unsafe_code, reason = "it is CPython's C API")]
mod py;
#[expect(unsafe_code, reason = "jobs are extensions' own memory")]
mod shared;
mod tls;
mod transports;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    py::interpreter::require_main(module.py())?;
    if module.py().version_info() < (3, 14) {
        rsloop_abi::let_ending_threads_hang();
    }
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    py::handle::class::add_to(module)?;
    shared::add_to(module)?;
    loop_::add_to(module)?;
    transports::add_to(module)?;
    tls::add_to(module)?;
    bridge_abi::add_to(module)
}
