//! Tells the crate which CPython it is compiled for (`Py_3_12`, `Py_GIL_DISABLED`, ...), and the
//! linker which of its functions `src/py/ending.rs` wraps.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;

const WRAPPERS: &str = "src/py/ending.rs";

fn main() -> io::Result<()> {
    pyo3_build_config::use_pyo3_cfgs();
    // Which PyO3 0.28 does not know yet.
    println!("cargo:rustc-check-cfg=cfg(Py_3_16)");
    println!("cargo:rerun-if-changed={WRAPPERS}");
    println!("cargo:rustc-check-cfg=cfg(threads_unwind)");
    #[allow(deprecated, reason = "PyO3 0.28 has no getter for it")]
    let version = pyo3_build_config::get().version;
    let unwinds = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|it| it == "gnu")
        && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|it| it == "linux")
        && (version.major, version.minor) < (3, 14);
    if unwinds {
        println!("cargo:rustc-cfg=threads_unwind");
        for function in wrapped()? {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap={function}");
        }
    }
    Ok(())
}

/// The functions for which there are wrappers. The linker ignores those that nothing calls.
fn wrapped() -> io::Result<BTreeSet<String>> {
    let source = fs::read_to_string(WRAPPERS)?;
    let words = source.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let functions = words.filter_map(|word| word.strip_prefix("__wrap_"));
    Ok(functions
        .filter(|it| it.len() > 1)
        .map(str::to_owned)
        .collect())
}
