"""Build the three distributions once per state of their sources, and print the folder they are in.

    python tools/dist.py wheel|sdist [--profile quick]

Wheels are for the Python that runs this script, which needs the dependency group `build`.
`sdist` makes wheels too, but from the source distributions, unpacked outside the repository as
an installer would. The folder is named by a digest of the sources, so that sessions reuse it.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rsloop-core", "rsloop-bridge", "rsloop")


def sources() -> Iterator[Path]:
    """Yield every file that can change what the distributions hold."""
    for name in ("Cargo.toml", "Cargo.lock"):
        yield ROOT / name
    for folder in ("crates", "packages"):
        for path in sorted((ROOT / folder).glob("*/**/*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so":
                yield path


def digest() -> str:
    """Return a digest of the sources, of the compiler and of this script."""
    state = hashlib.sha256(Path(__file__).read_bytes())
    state.update(subprocess.check_output(["rustc", "--version", "--verbose"]))
    for path in sources():
        state.update(f"\0{path.relative_to(ROOT)}\0".encode())
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def tag() -> str:
    """Return a name for the running Python and its platform: `cp313t-linux-x86_64`."""
    version = f"cp{sys.version_info[0]}{sys.version_info[1]}{sys.abiflags.replace('d', '')}"
    return f"{version}-{sysconfig.get_platform()}"


def build(kind: str, source: Path, out: Path, target: Path, arguments: str = "") -> None:
    """Build the wheel or sdist of the package in `source` into `out`.

    Cargo's own folder is `target`; maturin, where it builds a wheel, gets `arguments` too.
    """
    env = os.environ | {"CARGO_TARGET_DIR": str(target), "MATURIN_PEP517_ARGS": arguments}
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", f"--outdir={out}"]
    subprocess.run([*command, source], check=True, env=env, stdout=sys.stderr)


def build_from_tree(package: str, out: Path, profile: str) -> None:
    """Build the wheel of `package`, reusing what Cargo built before for this Python."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    # One folder for each Python, because PyO3 is rebuilt whenever the interpreter changes.
    arguments = f"--locked --profile {profile}"
    build("wheel", ROOT / "packages" / package, out, target / tag(), arguments)


def build_from_sdist(package: str, out: Path, profile: str) -> None:
    """Build the wheel of `package` from its sdist alone, leaving both in `out`."""
    # Outside the repository, where cargo and hatchling cannot find the real workspace; and with
    # no earlier build: the files' times in an sdist are so old that Cargo takes any for current.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "target")
        build("sdist", ROOT / "packages" / package, out, target)
        (sdist,) = out.glob(f"{package.replace('-', '_')}-[0-9]*.tar.gz")
        shutil.unpack_archive(sdist, Path(folder, "source"))
        (source,) = Path(folder, "source").iterdir()
        # Not locked: maturin leaves the other crates' dependencies in the sdist's lock file, and
        # cargo wants to drop them.
        build("wheel", source, out, target, f"--profile {profile}")


def main() -> None:
    """Print the folder with the distributions, after building it if it is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["wheel", "sdist"])
    parser.add_argument("--profile", default="quick", help="the Cargo profile")
    options = parser.parse_args()

    family = f"{options.kind}-{tag()}-{options.profile}-"
    out = ROOT / "build" / "dist" / (family + digest())
    if not out.is_dir():
        for stale in out.parent.glob(family + "*"):
            shutil.rmtree(stale)
        # Renamed when complete, so that an interrupted build is never taken for a whole one.
        partial = out.with_name(out.name + ".partial")
        for package in PACKAGES:
            build_from = build_from_sdist if options.kind == "sdist" else build_from_tree
            build_from(package, partial, options.profile)
        partial.rename(out)
    print(out)


if __name__ == "__main__":
    main()
