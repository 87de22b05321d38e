"""The C header: it compiles everywhere, refuses broken tables, and completes futures."""

import asyncio
import os
import struct
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import bridge_tests
import pytest

import rsloop
import rsloop_bridge

from .c_extension import STRICT, build, compiler, includes, load

POINTERS = 9
WHOLE = 16 + POINTERS * struct.calcsize("P")


@pytest.mark.parametrize(
    "command",
    [
        [*compiler("CC", "cc"), "-x", "c", "-std=c99"],
        [*compiler("CC", "cc"), "-x", "c", "-std=c99", "-DPy_LIMITED_API=0x030B0000"],
        [*compiler("CC", "cc"), "-x", "c", "-std=gnu11", "-O2"],
        [*compiler("CXX", "c++"), "-x", "c++", "-std=c++17"],
        [*compiler("CXX", "c++"), "-x", "c++", "-std=c++17", "-O2"],
    ],
    ids=["C99", "C99 limited API", "C11 optimised", "C++17", "C++17 optimised"],
)
def test_the_header_compiles_strictly(command: list[str]) -> None:
    if any("LIMITED" in each for each in command) and sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("free-threaded builds have no limited API")
    program = """
        #include "rsloop_bridge.h"
        #include "rsloop_bridge.h"
        static PyObject *convert(void *payload) { return (PyObject *)payload; }
        int used(void);
        int used(void) {
            const rsl_api *api = rsl_api_import();
            rsl_completer *completer = rsl_completer_new(NULL);
            if (api != NULL && RSL_HAS(api, on_loop_thread) && completer != NULL) {
                rsl_complete(completer, rsl_completer_future(completer), convert);
            }
            return 0;
        }
    """
    done = subprocess.run(
        [*command, *STRICT, *includes(), "-c", "-o", os.devnull, "-"],
        input=program,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Build and import the extension in C that knows rsloop only."""
    return load(build("later", tmp_path_factory.mktemp("later")))


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


def test_a_build_script_finds_the_header() -> None:
    found = Path(bridge_tests.HEADER)
    assert found.read_bytes() == Path(rsloop_bridge.get_include(), found.name).read_bytes()
