"""`python -m rsloop`, which runs a program that knows nothing of rsloop."""

import subprocess
import sys
from pathlib import Path

import pytest

import rsloop

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 16), reason="this Python has no event loop policies"
)

PROGRAM = """
import asyncio, sys
import beside

async def main():
    return type(asyncio.get_running_loop()).__module__

print(asyncio.run(main()), __name__, sys.argv[1:], beside.NAME, sys.modules["__main__"].__name__)
sys.exit(7)
"""


def command(*arguments: str, folder: Path) -> tuple[str, str, int]:
    """Run `python -m rsloop` in `folder`; return what it prints, complains of, and its status."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "rsloop", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout, done.stderr, done.returncode


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a program and a module that it imports."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    (folder / "beside.py").write_text("NAME = 'beside'\n")
    return folder


EXPECTED = "rsloop_core._loop __main__ ['-m', '--version', 'x'] beside __main__\n"


def test_a_script_runs_on_rsloop_with_its_arguments(project: Path) -> None:
    arguments = ("project/program.py", "-m", "--version", "x")
    assert command(*arguments, folder=project.parent) == (EXPECTED, "", 7)


def test_a_module_runs_on_rsloop_with_its_arguments(project: Path) -> None:
    arguments = ("-m", "program", "-m", "--version", "x")
    assert command(*arguments, folder=project) == (EXPECTED, "", 7)


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    output, complaint, status = command("absent.py", folder=tmp_path)
    assert (output, status) == ("", 2)
    assert "can't open file 'absent.py'" in complaint


def test_without_a_program_it_says_how_to_be_called(tmp_path: Path) -> None:
    output, complaint, status = command(folder=tmp_path)
    assert (output, status) == ("", 2)
    assert complaint.startswith("usage: python -m rsloop [-h] [-m] [--version] program")


def test_it_tells_its_version(tmp_path: Path) -> None:
    assert command("--version", folder=tmp_path) == (f"{rsloop.__version__}\n", "", 0)
