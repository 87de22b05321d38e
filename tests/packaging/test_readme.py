"""README's commands are what continuous integration runs."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = "uv run --with . --with ./examples/rust python examples/rust/demo.py"


def commands() -> list[list[str]]:
    """Return the lines of each block of shell commands in README."""
    return [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]


def test_readme_has_two_commands_with_one_preparation() -> None:
    demo, tests = commands()
    assert demo[0] == tests[0]
    assert (demo[1:], tests[1:]) == ([f".tools/bin/{DEMO}"], [".tools/bin/nox"])


def test_continuous_integration_runs_readmes_test_command() -> None:
    _, tests = commands()
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[-len(tests) :] == tests
    assert "set -euo pipefail" in script
