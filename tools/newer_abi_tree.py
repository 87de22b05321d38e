"""Copy the repository with the next minor version of the C ABI, and print the copy's folder.

    python tools/newer_abi_tree.py FOLDER

The copy's table has one more entry. What is built from it plays the newer partner.
"""

import sys
from pathlib import Path

from pyo3_tree import copy

ENTRY = """
    /// As `on_loop_thread`: what matters is that it is there.
    pub appended: unsafe extern "C" fn(of: *mut Loop) -> c_int,
}

#[cfg(test)]"""
EDITS = {
    "crates/rsloop-abi/src/lib.rs": [
        ("RSL_ABI_MINOR: u16 = 0;", "RSL_ABI_MINOR: u16 = 1;"),
    ],
    "crates/rsloop-abi/src/table.rs": [("}\n\n#[cfg(test)]", ENTRY.lstrip())],
    "crates/rsloop-core/src/bridge_abi/table.rs": [
        ("    on_loop_thread,\n};", "    on_loop_thread,\n    appended: on_loop_thread,\n};"),
    ],
}


def main() -> None:
    """Make the copy."""
    destination = Path(sys.argv[1]).resolve() / "rsloop"
    copy(destination)
    for name, edits in EDITS.items():
        text = (destination / name).read_text(encoding="utf-8")
        for old, new in edits:
            if text.count(old) != 1:
                sys.exit(f"{name}: expected one {old!r}, found {text.count(old)}")
            text = text.replace(old, new)
        (destination / name).write_text(text, encoding="utf-8")
    print(destination)


if __name__ == "__main__":
    main()
