//! Tells the crate which CPython it is compiled for (`Py_3_12`, `Py_GIL_DISABLED`, ...).

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    // Which PyO3 0.28 does not know yet.
    println!("cargo:rustc-check-cfg=cfg(Py_3_16)");
}
