//! Tells the build scripts of direct dependants where `rsloop_bridge.h` is, by the variable
//! `DEP_RSLOOP_BRIDGE_INCLUDE`.

fn main() {
    // Cargo sets it for every build script.
    let crate_folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::metadata=include={crate_folder}/include");
    println!("cargo::rerun-if-changed=build.rs");
}
