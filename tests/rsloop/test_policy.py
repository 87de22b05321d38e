"""rsloop.install and rsloop.EventLoopPolicy, which follow CPython's deprecation of policies.

Each test runs in a fresh interpreter: a policy belongs to the whole process.
"""

import subprocess
import sys

import pytest

DEPRECATED = sys.version_info >= (3, 14)
GONE = sys.version_info >= (3, 16)
with_policies = pytest.mark.skipif(GONE, reason="this Python has no event loop policies")


def python(program: str, warnings: str) -> str:
    """Run `program` in a fresh interpreter with the filter `warnings`; return what it prints."""
    command = [sys.executable, "-W", warnings, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


LOOPS = """
import asyncio, rsloop
{install}
async def main():
    return type(asyncio.get_running_loop()).__name__
print(asyncio.run(main()))
loop = asyncio.new_event_loop()
print(type(loop).__name__)
loop.close()
"""


@with_policies
@pytest.mark.parametrize(
    "install",
    ["rsloop.install()", "asyncio.set_event_loop_policy(rsloop.EventLoopPolicy())"],
)
def test_the_policy_makes_rsloops_loops(install: str) -> None:
    assert python(LOOPS.format(install=install), "ignore::DeprecationWarning") == "Loop\nLoop\n"


WARNED = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import rsloop
    rsloop.{use}
for warning in caught:
    print(warning.category.__name__, warning.filename, warning.message)
"""


@with_policies
@pytest.mark.parametrize("use", ["install()", "EventLoopPolicy"])
def test_deprecated_exactly_where_cpython_deprecates_policies(use: str) -> None:
    lines = python(WARNED.format(use=use), "error").splitlines()
    assert len(lines) == (1 if DEPRECATED else 0)
    for line in lines:
        # Blamed on the program, and telling it what to do instead.
        assert line.startswith(f"DeprecationWarning <string> rsloop.{use} is deprecated")
        assert "use rsloop.run(main())" in line


WITHOUT_POLICIES = """
import asyncio
for name in ("set_event_loop_policy", "DefaultEventLoopPolicy"):
    if name in vars(asyncio):
        delattr(asyncio, name)
import rsloop
try:
    rsloop.install()
except RuntimeError as error:
    print(error)
try:
    rsloop.EventLoopPolicy
except AttributeError as error:
    print(error)
print(hasattr(rsloop, "EventLoopPolicy"))
async def main():
    return "runs"
print(rsloop.run(main()))
"""


def test_refused_with_advice_where_policies_are_gone() -> None:
    install, policy, found, run = python(WITHOUT_POLICIES, "error").splitlines()
    assert install.startswith("rsloop.install(): Python 3.")
    assert policy.startswith("rsloop.EventLoopPolicy: Python 3.")
    for message in (install, policy):
        assert "has no event loop policies; use rsloop.run(main())" in message
    assert (found, run) == ("False", "runs")
