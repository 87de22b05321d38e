"""Threads that use what belongs to the loop's: no promise is kept, and the process lives.

asyncio says that nearly nothing of it is thread-safe. Misuse may end in an exception or in
nonsense; a crash, an abort or a deadlock would take the rest of the program with it.
"""

import os
import pathlib
import subprocess
import sys
import sysconfig

import pytest

from .conftest import stdlib_fault

PROGRAM = pathlib.Path(__file__).with_name("foreign_threads.py")

KINDS = ("tcp", "unix", "udp", "pipes", "loop", "tls", "tls by methods")


def play(loop_kind: str, what: str, rounds: int, *options: str) -> None:
    """Run the program, and assert that it lives."""
    if what.startswith("tls"):
        stdlib_fault(loop_kind, "lets two threads into one TLS session, which OpenSSL forbids")
    if what == "pipes" and sysconfig.get_config_var("Py_GIL_DISABLED"):
        stdlib_fault(loop_kind, "hangs, or crashes at exit, when threads share a pipe with no GIL")
    if what == "loop":
        stdlib_fault(loop_kind, "may sleep for ever after another thread has used its timers")
    environment = dict(os.environ)
    if what == "tls by methods":
        environment["RSLOOP_TLS"] = "memory-bio"
    result = subprocess.run(
        [sys.executable, PROGRAM, loop_kind, what.split()[0], str(rounds), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "lives\n"), result.stderr
    assert "panicked" not in result.stderr


@pytest.mark.parametrize("options", [(), ("debug",)], ids=["", "debug"])
@pytest.mark.parametrize("what", KINDS)
def test_foreign_threads_break_no_process(
    loop_kind: str, what: str, options: tuple[str, ...]
) -> None:
    play(loop_kind, what, 2, *options)


@pytest.mark.endurance
@pytest.mark.timeout(600)
@pytest.mark.parametrize("options", [(), ("debug",)], ids=["", "debug"])
@pytest.mark.parametrize("what", KINDS)
def test_foreign_threads_break_no_process_in_many_rounds(
    loop_kind: str, what: str, options: tuple[str, ...]
) -> None:
    play(loop_kind, what, 50, *options)
