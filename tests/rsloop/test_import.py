"""What importing rsloop does, and does not do."""

import importlib.metadata
import subprocess
import sys

import pytest

import rsloop


def python(program: str) -> str:
    """Run `program` in a fresh interpreter, warnings being errors, and return what it prints."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


UNCHANGED = """
import asyncio, sys, threading

modules = {name: dict(vars(module)) for name, module in sys.modules.items()
           if name.partition(".")[0] in ("asyncio", "_asyncio", "selectors", "socket", "signal")}
classes = {cls: dict(vars(cls)) for names in modules.values() for cls in names.values()
           if isinstance(cls, type) and cls.__module__.partition(".")[0] == "asyncio"}
assert len(modules) > 20 and len(classes) > 50, (len(modules), len(classes))

import rsloop

for name, before in modules.items():
    assert dict(vars(sys.modules[name])) == before, name
for cls, before in classes.items():
    assert dict(vars(cls)) == before, cls
assert asyncio._get_running_loop() is None
assert threading.active_count() == 1
assert "rsloop._policy" not in sys.modules
print("unchanged")
"""


def test_importing_changes_nothing_in_asyncio() -> None:
    # The current policy, where there is one, is a variable of asyncio.events, hence covered.
    assert python(UNCHANGED) == "unchanged\n"


STAR = """
import sys
from rsloop import *
import rsloop
assert set(rsloop.__all__) <= set(dir(rsloop))
assert "rsloop._policy" not in sys.modules
print(run.__module__, new_event_loop.__module__, Loop.__name__, __version__ == rsloop.__version__)
"""


def test_star_import_neither_warns_nor_loads_the_policy() -> None:
    assert python(STAR) == "rsloop._run rsloop._run Loop True\n"


def test_version_is_the_distributions() -> None:
    assert rsloop.__version__ == importlib.metadata.version("rsloop")
    assert rsloop.__version__ == importlib.metadata.version("rsloop-core")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'rsloop' has no attribute 'nothing'"):
        _ = rsloop.nothing
