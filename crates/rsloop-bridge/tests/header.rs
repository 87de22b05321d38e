//! The C header is what `rsloop-abi` says, followed by the inline functions of header/*.h, byte
//! for byte.
//!
//! After a change, `RSLOOP_WRITE_HEADER=1 cargo test -p rsloop-bridge --test header` writes it.

#![expect(clippy::unwrap_used, reason = "all of this file is a test")]

use std::path::Path;

const GUARD_END: &str = "#endif  /* RSLOOP_BRIDGE_H */";

fn generate() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let abi = here.join("../rsloop-abi/src");
    let config = cbindgen::Config::from_file(here.join("tests/header/cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in ["lib.rs", "job.rs", "table.rs"] {
        builder = builder.with_src(abi.join(source));
    }
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    let header = plain_links(&String::from_utf8(bytes).unwrap());
    let declarations = header.trim_end().strip_suffix(GUARD_END);
    let declarations = declarations.expect("cbindgen ends with the include guard");
    let parts = ["loader.h", "port.h", "bells.h", "completer.h"]
        .map(|name| std::fs::read_to_string(here.join("tests/header").join(name)).unwrap());
    format!("{}\n{}", declarations.trim_end(), parts.concat())
}

/// Turns rustdoc's links, [`name`](place) and [`name`], into the names alone.
fn plain_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, linked)) = rest.split_once("[`") {
        let (name, after) = linked.split_once("`]").expect("a link is closed");
        plain.push_str(before);
        plain.push_str(match name {
            "API_SIZE_MIN" => "RSL_API_SIZE_MIN",
            "JobRunFn" => "rsl_job_run_fn",
            name => name.trim_start_matches("Api::"),
        });
        rest = match after.strip_prefix('(') {
            Some(place) => place.split_once(')').expect("a place is closed").1,
            None => after,
        };
    }
    plain + rest
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/rsloop_bridge.h");
    let generated = generate();
    if std::env::var_os("RSLOOP_WRITE_HEADER").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "write it anew: see the head of this test"
    );
}

#[test]
fn the_header_names_the_capsule_as_the_crate_does() {
    let header = generate();
    for (name, text) in [
        ("RSL_CAPSULE_MODULE", rsloop_abi::CAPSULE_MODULE),
        ("RSL_CAPSULE_ATTRIBUTE", rsloop_abi::CAPSULE_ATTRIBUTE),
        ("RSL_CAPSULE_NAME", rsloop_abi::CAPSULE_NAME),
    ] {
        let line = format!("#define {name} \"{}\"\n", text.to_str().unwrap());
        assert!(header.contains(&line), "{line}");
    }
}
