"""Check that the oldest Rust that the manifests promise is one that the dependencies promise too.

    python tools/msrv.py

Checked is what each crate in the lock file says of itself; those that say nothing are counted. What
the standard library had by then is for clippy's `incompatible_msrv` to check, and whether all of it
builds for a toolchain of that age, where there is one: see `nox -s msrv`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def metadata() -> dict[str, Any]:
    """Return what cargo knows of the workspace, with every feature enabled."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", "--all-features"]
    document: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=ROOT))
    return document


def version(text: str) -> tuple[int, ...]:
    """Return 1.85 or 1.85.0 as numbers, to compare."""
    numbers = [int(part) for part in text.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def built(document: dict[str, Any]) -> set[str]:
    """Return the packages that building ours takes, without what only their tests need."""
    nodes = {node["id"]: node for node in document["resolve"]["nodes"]}
    found: set[str] = set()
    ahead = list(document["workspace_members"])
    while ahead:
        package = ahead.pop()
        if package in found:
            continue
        found.add(package)
        ahead += [
            dependency["pkg"]
            for dependency in nodes[package]["deps"]
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
        ]
    return found


def main() -> None:
    """Print what disagrees; exit with 1 if anything does."""
    document = metadata()
    packages = {package["id"]: package for package in document["packages"]}
    ours = {packages[member]["rust_version"] for member in document["workspace_members"]}
    if len(ours) != 1 or None in ours:
        sys.exit(f"our crates state these oldest versions of Rust: {ours}")
    (promised,) = ours
    silent, newer = 0, []
    for identity in sorted(built(document)):
        package = packages[identity]
        if package["rust_version"] is None:
            silent += 1
        elif version(package["rust_version"]) > version(promised):
            newer.append(f"{package['name']} {package['version']}: {package['rust_version']}")
    if newer:
        sys.exit(f"newer than Rust {promised}:\n" + "\n".join(newer))
    count = len(built(document))
    print(
        f"{count} crates build with Rust {promised} by what they say; {silent} of them say nothing"
    )


if __name__ == "__main__":
    main()
