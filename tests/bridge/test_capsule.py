"""Cores and extensions of other versions: they work together, or are refused by name.

The cores are played by other tables, the extensions are built with other headers. Each table lies
before memory that must not be read, so looking further than it reaches crashes.
"""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rsloop
import rsloop_bridge

from . import fake_capsule
from .c_extension import build, load

HERE = Path(__file__).parent
SCRIPT = """
import asyncio, sys
from pathlib import Path
import bridge_tests, rsloop
from c_extension import load
import fake_capsule

fake_capsule.install(sys.argv[1])
completer, later = (load(Path(path)) for path in sys.argv[2:4])

async def by_completer():
    number, future = completer.make()
    completer.complete(number, 1, "n", "thread")
    assert await future == 0

async def by_table():
    assert await asyncio.gather(*(later.later(number) for number in range(100))) == [*range(100)]

async def by_rust():
    gate = bridge_tests.Gate()
    future = bridge_tests.future_into_py("value", gate)
    gate.open_elsewhere()
    assert await future == "the value"
    assert await bridge_tests.call_from_local(asyncio.sleep(0, "slept")) == "slept"

for way in (by_completer, by_table, by_rust):
    for loop in (rsloop, asyncio):
        if way is by_table and loop is asyncio:
            continue
        try:
            loop.run(way())
            print(way.__name__, loop.__name__, "works")
        except ImportError as error:
            print(way.__name__, loop.__name__, "refused:", error)
"""
WAYS = ["by_completer rsloop", "by_completer asyncio", "by_table rsloop"]
WAYS += ["by_rust rsloop", "by_rust asyncio"]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("capsule")
    return [str(build(name, folder)) for name in ("completer", "later")]


def outcomes(kind: str, libraries: list[str]) -> dict[str, str]:
    """Return what became of each way to use the loop."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, kind, *libraries],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=HERE,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = [line.split(" ", 2) for line in done.stdout.splitlines()]
    return {f"{way} {loop}": outcome for way, loop, outcome in lines}


def test_the_core_carries_a_whole_table() -> None:
    table = fake_capsule.real()
    size, major, minor, features = struct.unpack_from("=IHHQ", table)
    assert (size, major, minor, features) == (len(table), 1, 0, 0)
    assert size == fake_capsule.WHOLE
    assert all(struct.unpack_from(f"{fake_capsule.POINTERS}P", table, 16))


def test_a_core_of_a_newer_minor_version_works(libraries: list[str]) -> None:
    assert outcomes("newer minor", libraries) == dict.fromkeys(WAYS, "works")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("newer major", "version 2.0 of its C API"),
        ("older major", "version 0.9 of its C API"),
        ("empty", ""),
        ("cut in the head", ""),
        ("cut after the head", "version 1.0 of its C API, 16 bytes long"),
        ("cut before the end", "version 1.0 of its C API"),
        ("hole", "lacks"),
        ("other name", "no usable C API"),
        ("no capsule", "no usable C API"),
        ("nothing", "no usable C API"),
    ],
)
def test_a_broken_core_is_refused(libraries: list[str], kind: str, message: str) -> None:
    found = outcomes(kind, libraries)
    assert list(found) == WAYS
    for way, outcome in found.items():
        assert outcome.startswith("refused: "), way
        assert message in outcome, way
        assert "1.0" in outcome, way


@pytest.fixture
def newer(tmp_path: Path) -> Callable[..., Any]:
    """Build the extension with the header that a next minor version could have."""
    header = Path(rsloop_bridge.get_include(), "rsloop_bridge.h").read_text()
    last = "int (*on_loop_thread)(struct rsl_loop *of);"
    for old, new in (
        ("#define RSL_ABI_MINOR 0\n", "#define RSL_ABI_MINOR 1\n"),
        (last, f"{last}\n  int (*appended)(struct rsl_loop *of);"),
    ):
        assert header.count(old) == 1
        header = header.replace(old, new)
    (tmp_path / "rsloop_bridge.h").write_text(header)

    def build_newer(*options: str) -> Any:
        return load(build("later", tmp_path, "-DENTRY=appended", *options, header=str(tmp_path)))

    return build_newer


def test_an_extension_of_a_newer_minor_version_does_without(newer: Callable[..., Any]) -> None:
    extension = newer()

    async def main() -> Any:
        return await extension.later(7)

    assert extension.has() is False
    assert rsloop.run(main()) == 7


def test_an_extension_that_needs_a_newer_minor_version_is_refused(
    newer: Callable[..., Any],
) -> None:
    extension = newer("-DRSL_REQUIRED_MINOR=1")

    async def main() -> None:
        with pytest.raises(ImportError, match=r"has version 1\.0 .* built for version 1\.1"):
            extension.later(7)

    rsloop.run(main())
