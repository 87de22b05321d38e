"""Check that THE version, in the Cargo workspace, is the one that everything else states."""

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def toml(path: str) -> dict[str, Any]:
    """Return the TOML document at `path`, which is relative to the repository."""
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


def drift() -> Iterator[str]:
    """Yield a sentence for each place that disagrees."""
    workspace = toml("Cargo.toml")["workspace"]
    version = workspace["package"]["version"]

    members = {Path(member).name for member in workspace["members"]}
    for name, dependency in workspace["dependencies"].items():
        pin = (
            dependency.get("version") if name in members and isinstance(dependency, dict) else None
        )
        if pin not in (None, f"={version}"):
            yield f"Cargo.toml: the dependency {name} is pinned to {pin!r}, not '={version}'"
    for name in sorted(members):
        stated = toml(f"crates/{name}/Cargo.toml")["package"]["version"]
        if stated != {"workspace": True}:
            yield f"crates/{name}/Cargo.toml: states its own version, {stated!r}"
    for package in toml("Cargo.lock")["package"]:
        if package["name"] in members and package["version"] != version:
            yield f"Cargo.lock: {package['name']} is {package['version']}, not {version}"

    for name in ("rsloop-core", "rsloop-bridge", "rsloop"):
        project = toml(f"packages/{name}/pyproject.toml")["project"]
        if "version" not in project.get("dynamic", []) or "version" in project:
            yield f"packages/{name}/pyproject.toml: states its own version"
        for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
            if (ROOT / "packages" / name / licence).read_bytes() != (ROOT / licence).read_bytes():
                yield f"packages/{name}/{licence}: is not the repository's"

    bumped = toml("pyproject.toml")["tool"]["bumpversion"]["current_version"]
    if bumped != version:
        yield f"pyproject.toml: bump-my-version believes in {bumped}, not {version}"


def main() -> None:
    """Print what disagrees; exit with 1 if anything does."""
    found = [*drift()]
    for line in found:
        print(line, file=sys.stderr)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
