"""The C header: it compiles everywhere, refuses broken tables, and completes futures."""

import asyncio
import importlib.util
import os
import shlex
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import rsloop
import rsloop_bridge

SOURCE = Path(__file__).parent / "header" / "later.c"
STRICT = ["-Wall", "-Wextra", "-Werror"]
POINTERS = 9
WHOLE = 16 + POINTERS * struct.calcsize("P")


def compiler(variable: str, default: str) -> list[str]:
    return shlex.split(os.environ.get(variable, default))


def includes() -> list[str]:
    paths = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    # CPython's own headers are not ours to be strict about.
    python = [argument for path in paths for argument in ("-isystem", path)]
    # Debian's Python.h includes its pyconfig.h by a path that begins one folder further up.
    beside = ["-idirafter", str(Path(paths[0]).parent)]
    return [f"-I{rsloop_bridge.get_include()}", *python, *beside]


@pytest.mark.parametrize(
    "command",
    [
        [*compiler("CC", "cc"), "-x", "c", "-std=c99"],
        [*compiler("CXX", "c++"), "-x", "c++", "-std=c++17"],
    ],
    ids=["C99", "C++17"],
)
def test_the_header_compiles_strictly(command: list[str]) -> None:
    program = (
        '#include "rsloop_bridge.h"\nint used(void) { rsl_api *api = NULL; return api == NULL; }\n'
    )
    done = subprocess.run(
        [*command, *STRICT, *includes(), "-fsyntax-only", "-"],
        input=program,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Build and import the extension in C."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    library = tmp_path_factory.mktemp("header") / f"later{suffix}"
    shared = (
        ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    )
    command = [*compiler("CC", "cc"), "-std=c99", *STRICT, "-fPIC", *shared, *includes()]
    subprocess.run([*command, str(SOURCE), "-o", str(library), "-lpthread"], check=True)
    spec = importlib.util.spec_from_file_location("later", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_thread_without_python_completes_futures(later: Any) -> None:
    async def main() -> Any:
        return await asyncio.gather(*(later.later(number) for number in range(100)))

    assert rsloop.run(main()) == list(range(100))


def test_a_cancelled_future_stays_cancelled(later: Any) -> None:
    async def main() -> None:
        future = later.later(1)
        future.cancel()
        assert await later.later(2) == 2
        with pytest.raises(asyncio.CancelledError):
            await future

    rsloop.run(main())


def test_other_loops_are_told_apart(later: Any) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="no loop of rsloop is running"):
            later.later(1)

    asyncio.run(main())
    with pytest.raises(RuntimeError, match="no loop of rsloop is running"):
        later.later(1)


def test_the_core_is_found_once_it_is_imported(later: Any) -> None:
    rsloop.new_event_loop().close()
    assert later.find() is True


def table(size: int, major: int, minor: int, pointers: list[int]) -> bytes:
    return struct.pack(f"=IHHQ{len(pointers)}Q", size, major, minor, 0, *pointers)


def test_a_whole_table_is_accepted_whatever_its_minor_version(later: Any) -> None:
    assert later.check(table(WHOLE, 1, 0, [1] * POINTERS)) is None
    assert later.check(table(WHOLE + 16, 1, 9, [1] * (POINTERS + 2))) is None


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"", "no usable C API"),
        (table(8, 1, 0, []), "no usable C API"),
        (table(WHOLE - 8, 1, 0, [1] * POINTERS), r"version 1\.0 .* built for version 1\.0"),
        (table(WHOLE, 2, 5, [1] * POINTERS), r"version 2\.5 .* built for version 1\.0"),
        (table(WHOLE, 1, 0, [1, 0] + [1] * (POINTERS - 2)), "lacks an entry"),
    ],
    ids=["NULL", "cut off", "short", "wrong major", "hole"],
)
def test_a_broken_table_is_refused(later: Any, broken: bytes, message: str) -> None:
    with pytest.raises(ImportError, match=message):
        later.check(broken)
