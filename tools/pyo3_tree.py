"""Copy the repository with another PyO3 in its lock files, and print the copy's folder.

    python tools/pyo3_tree.py VERSION FOLDER

The manifests allow a range of PyO3's versions, and the committed lock files hold the newest. Some
Pythons need an older one: free-threaded 3.13 works with PyO3 0.28 only.
"""

import argparse
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The lock files of what the sessions build for Python.
LOCKED = (".", "tests/bridge/extension", "examples/rust")
# Both are named by our manifests; the build script's must be that of PyO3 itself.
CRATES = ("pyo3", "pyo3-build-config")


def copy(destination: Path) -> None:
    """Copy every file that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(command, cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, destination / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def pin(workspace: Path, version: str) -> None:
    """Write PyO3 `version` into the lock file of `workspace`."""
    for crate in CRATES:
        lock = tomllib.loads((workspace / "Cargo.lock").read_text(encoding="utf-8"))
        held = {package["version"] for package in lock["package"] if package["name"] == crate}
        for other in held - {version}:
            command = ["cargo", "update", "--quiet", f"--package={crate}@{other}"]
            subprocess.run([*command, f"--precise={version}"], cwd=workspace, check=True)


def main() -> None:
    """Make the copy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="the version of PyO3, with all three numbers")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    destination = options.folder.resolve() / "rsloop"
    copy(destination)
    for workspace in LOCKED:
        pin(destination / workspace, options.version)
    print(destination)


if __name__ == "__main__":
    main()
