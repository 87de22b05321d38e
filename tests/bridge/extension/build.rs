//! Hands on where the C header is, as the crate's metadata says.

fn main() {
    let include = std::env::var("DEP_RSLOOP_BRIDGE_INCLUDE").unwrap_or_default();
    println!("cargo::rustc-env=HEADER={include}/rsloop_bridge.h");
    println!("cargo::rerun-if-changed=build.rs");
}
