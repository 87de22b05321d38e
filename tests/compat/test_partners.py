"""Core and Rust extension of this and of the next minor version of the ABI, in each combination.

RSLOOP_NEWER_CORE and RSLOOP_NEWER_EXTENSION name folders with what was built of the next.
"""

import os
import subprocess
import sys

import pytest

CORES = {"this core": "", "newer core": os.environ["RSLOOP_NEWER_CORE"]}
EXTENSIONS = {"this extension": "", "newer extension": os.environ["RSLOOP_NEWER_EXTENSION"]}
REFUSED = "has version 1.0 of its C API, 88 bytes long; this extension was built for version 1.1"
SCRIPT = """
import asyncio, bridge_tests, rsloop, rsloop_core, sys
for module, folder in ((rsloop_core, sys.argv[1]), (bridge_tests, sys.argv[2])):
    assert not folder or module.__file__.startswith(folder), module.__file__

async def main():
    gates = [bridge_tests.Gate() for _ in range(100)]
    futures = [bridge_tests.future_into_py("value", gate) for gate in gates]
    futures += [bridge_tests.local_future_into_py("value", gate) for gate in gates]
    for gate in gates:
        gate.open_elsewhere()
    assert await asyncio.gather(*futures) == ["the value"] * 200
    assert await bridge_tests.call_from_send(asyncio.sleep(0, "slept")) == "slept"

try:
    rsloop.run(main())
    print("works")
except ImportError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("core", CORES)
def test_partners(core: str, extension: str) -> None:
    folders = [CORES[core], EXTENSIONS[extension]]
    path = os.pathsep.join(filter(None, folders))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, *folders],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    if core == "this core" and extension == "newer extension":
        assert done.stdout.startswith("refused: ")
        assert REFUSED in done.stdout
    else:
        assert done.stdout == "works\n"
