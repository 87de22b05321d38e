"""Copy a Rust extension of this repository to where its author would have it: outside.

    python tools/outsider.py examples/rust FOLDER [--tree]

`FOLDER/rust` is the copy, `FOLDER/crates` holds the published crates as cargo packs them, and
`FOLDER/.cargo/config.toml` makes cargo take those for what the registry has. With `--tree`, the
copy depends on the crates in the tree, by an absolute path. Prints the copy.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ("rsloop-abi", "rsloop-bridge")
IGNORED = shutil.ignore_patterns("target", "__pycache__", "*.so", ".venv")


def version() -> str:
    """Return THE version."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    return str(manifest["workspace"]["package"]["version"])


def pack_crates(folder: Path) -> dict[str, Path]:
    """Pack the published crates and unpack them into `folder`; return the folder of each."""
    target = folder / "packed"
    command = ["cargo", "package", "--quiet", "--allow-dirty", "--no-verify"]
    packages = [f"--package={crate}" for crate in PUBLISHED]
    subprocess.run(
        [*command, *packages, f"--target-dir={target}"], check=True, cwd=ROOT, stdout=sys.stderr
    )
    for crate in PUBLISHED:
        archive = target / "package" / f"{crate}-{version()}.crate"
        shutil.unpack_archive(archive, folder, "gztar")
    return {crate: folder / f"{crate}-{version()}" for crate in PUBLISHED}


def patch_registry(folder: Path, crates: dict[str, Path]) -> None:
    """Make cargo, where it runs below `folder`, take the registry's `crates` from these folders."""
    lines = [
        "[patch.crates-io]",
        *(f'{name} = {{ path = "{path}" }}' for name, path in crates.items()),
    ]
    config = folder / ".cargo" / "config.toml"
    config.parent.mkdir()
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def copy_project(source: Path, folder: Path, dependency: str) -> Path:
    """Copy the extension in `source` into `folder`, with `dependency` in place of paths."""
    copy = folder / source.name
    # Files of now, not of their own times: Cargo must not take an earlier copy's build for this.
    shutil.copytree(source, copy, ignore=IGNORED, copy_function=shutil.copy)
    manifest = copy / "Cargo.toml"
    text, replaced = re.subn(
        r'\bpath = "[^"]*/crates/rsloop-bridge"',
        dependency,
        manifest.read_text(encoding="utf-8"),
    )
    if replaced != 1:
        sys.exit(
            f"{source}/Cargo.toml: expected one path to crates/rsloop-bridge, found {replaced}"
        )
    manifest.write_text(text, encoding="utf-8")
    return copy


def main() -> None:
    """Do what the module says, for its arguments."""
    source, folder = (Path(argument).resolve() for argument in sys.argv[1:3])
    if folder.is_relative_to(ROOT):
        sys.exit(f"{folder}: is inside the repository, where cargo would find its workspace")
    if sys.argv[3:] == ["--tree"]:
        dependency = f'path = "{ROOT}/crates/rsloop-bridge"'
    else:
        patch_registry(folder, pack_crates(folder / "crates"))
        dependency = f'version = "={version()}"'
    print(copy_project(source, folder, dependency))


if __name__ == "__main__":
    main()
