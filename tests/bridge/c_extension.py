"""Build the extensions in C that the tests use, with the header as an author gets it."""

import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import rsloop_bridge

HERE = Path(__file__).parent / "header"
STRICT = ["-Wall", "-Wextra", "-Werror"]


def compiler(variable: str, default: str) -> list[str]:
    """Return the compiler that an environment variable names."""
    return shlex.split(os.environ.get(variable, default))


def includes(header: str | None = None) -> list[str]:
    """Return the options by which the header, or another in the folder `header`, is found."""
    paths = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    # CPython's own headers are not ours to be strict about.
    python = [argument for path in paths for argument in ("-isystem", path)]
    # Debian's Python.h includes its pyconfig.h by a path that begins one folder further up.
    beside = ["-idirafter", str(Path(paths[0]).parent)]
    return [f"-I{header or rsloop_bridge.get_include()}", *python, *beside]


C = (*compiler("CC", "cc"), "-std=c99")
CXX = (*compiler("CXX", "c++"), "-x", "c++", "-std=c++17")


def build(
    name: str,
    folder: Path,
    *options: str,
    header: str | None = None,
    language: tuple[str, ...] = C,
) -> Path:
    """Compile `header/NAME.c` into `folder`, and return the module's file."""
    library = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    shared = (
        ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    )
    command = [*language, "-O1", *STRICT, "-fPIC", *shared]
    source = str(HERE / f"{name}.c")
    output = ["-o", str(library), "-lpthread"]
    subprocess.run([*command, *options, *includes(header), source, *output], check=True)
    return library


def load(library: Path) -> Any:
    """Import the module in a file that `build` made."""
    spec = importlib.util.spec_from_file_location(library.name.partition(".")[0], library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
