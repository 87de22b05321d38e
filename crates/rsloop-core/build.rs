//! Tells the crate which CPython it is compiled for (`Py_3_12`, `Py_GIL_DISABLED`, ...), and
//! whether that one unwinds the stacks of threads that it ends (`src/py/ending.rs`).

use std::env;

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    // Which PyO3 0.28 does not know yet.
    println!("cargo:rustc-check-cfg=cfg(Py_3_16)");
    println!("cargo:rustc-check-cfg=cfg(threads_unwind)");
    #[allow(deprecated, reason = "PyO3 0.28 has no getter for it")]
    let version = pyo3_build_config::get().version;
    let is = |name, value| env::var(name).is_ok_and(|it| it == value);
    // On 32-bit ARM, unwinding has a form of its own, where no pointer leads to a personality.
    let unwinds = is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && !is("CARGO_CFG_TARGET_ARCH", "arm")
        && (version.major, version.minor) < (3, 14);
    if unwinds {
        println!("cargo:rustc-cfg=threads_unwind");
    }
}
