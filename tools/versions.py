"""Check that THE version, in the Cargo workspace, is the one that everything else states.

python tools/versions.py            print what disagrees; exit with 1 if anything does
python tools/versions.py --locks    write THE version into the lock files
python tools/versions.py --bump     check that one command bumps everything, in a copy
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (
    "Cargo.lock",
    "examples/*/Cargo.lock",
    "tests/**/Cargo.lock",
    "benches/**/Cargo.lock",
    "fuzz/Cargo.lock",
)
# What tells the authors of extensions which rsloop-bridge to depend on.
ADVICE = (
    "README.md",
    "docs/extensions/executors.md",
    "docs/extensions/index.md",
    "docs/extensions/porting.md",
    "examples/rust/Cargo.toml",
    "examples/rust/README.md",
    "templates/extension/Cargo.toml",
)
BUMP = ("bump-my-version", "bump", "--allow-dirty", "--no-commit", "--no-tag", "minor")


def toml(path: str | Path) -> dict[str, Any]:
    """Return the TOML document at `path`, which is relative to the repository."""
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


def version() -> str:
    """Return THE version."""
    return str(toml("Cargo.toml")["workspace"]["package"]["version"])


def crates() -> set[str]:
    """Return the names of the workspace's crates."""
    return {Path(member).name for member in toml("Cargo.toml")["workspace"]["members"]}


def locks() -> Iterator[Path]:
    """Yield each lock file: the workspace's, and those of the extensions outside it."""
    for pattern in LOCKS:
        for path in ROOT.glob(pattern):
            yield path.relative_to(ROOT)


def drift() -> Iterator[str]:
    """Yield a sentence for each place that disagrees."""
    for name, dependency in toml("Cargo.toml")["workspace"]["dependencies"].items():
        pin = dependency.get("version") if name in crates() else None
        if pin not in (None, f"={version()}"):
            yield f"Cargo.toml: the dependency {name} is pinned to {pin!r}, not '={version()}'"
    for name in sorted(crates()):
        stated = toml(f"crates/{name}/Cargo.toml")["package"]["version"]
        if stated != {"workspace": True}:
            yield f"crates/{name}/Cargo.toml: states its own version, {stated!r}"
    for lock in locks():
        for package in toml(lock)["package"]:
            if package["name"] in crates() and package["version"] != version():
                yield f"{lock}: {package['name']} is {package['version']}, not {version()}"

    for folder in sorted((ROOT / "packages").iterdir()):
        name = f"packages/{folder.name}/pyproject.toml"
        project = toml(name)["project"]
        if "version" not in project.get("dynamic", []) or "version" in project:
            yield f"{name}: states its own version"

    for name in ADVICE:
        stated = re.findall(
            r'"rsloop-bridge", version = "([^"]+)"', (ROOT / name).read_text("utf-8")
        )
        if {*stated} != {version().rpartition(".")[0]}:
            yield f"{name}: tells extensions to depend on {stated}, not {version()}"

    believed = toml("pyproject.toml")["tool"]["bumpversion"]["current_version"]
    if believed != version():
        yield f"pyproject.toml: bump-my-version believes in {believed}, not {version()}"


def write_locks() -> None:
    """Write THE version of our crates into each lock file, as cargo would."""
    names = "|".join(sorted(crates()))
    for lock in locks():
        text = (ROOT / lock).read_text(encoding="utf-8")
        entry = rf'(?m)^(name = "(?:{names})"\nversion = )"[^"]+"'
        (ROOT / lock).write_text(re.sub(entry, rf'\g<1>"{version()}"', text), encoding="utf-8")


def bump_a_copy() -> None:
    """Bump the version in a copy of the tracked files, and check that nothing is left behind."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in listed.rstrip("\0").split("\0"):
            if (ROOT / name).is_file():
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, Path(folder, name))
        for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
            subprocess.run(command, cwd=folder, check=True)
        subprocess.run(BUMP, cwd=folder, check=True)
        subprocess.run([sys.executable, "tools/versions.py"], cwd=folder, check=True)
        bumped = Path(folder, "Cargo.toml").read_text(encoding="utf-8")
        if f'"{version()}"' in bumped:
            sys.exit("Cargo.toml: still states the old version after the bump")
        # Cargo itself agrees that the lock files are up to date.
        for lock in locks():
            manifest = f"--manifest-path={lock.with_name('Cargo.toml')}"
            command = ["cargo", "update", "--workspace", "--locked", "--quiet", manifest]
            subprocess.run(command, cwd=folder, check=True)


def main() -> None:
    """Do what the module says."""
    match sys.argv[1:]:
        case ["--locks"]:
            write_locks()
        case ["--bump"]:
            bump_a_copy()
        case []:
            found = [*drift()]
            print("\n".join(found) or f"everything states {version()}")
            sys.exit(bool(found))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
