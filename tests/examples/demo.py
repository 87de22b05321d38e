"""Run the demo of the example that RSLOOP_EXAMPLE names."""

import os
import subprocess
import sys

LOOPS = {
    "rsloop": "loop: rsloop_core._loop.Loop",
    "asyncio": "loop: asyncio.unix_events._UnixSelectorEventLoop",
}


def run_demo(loop: str) -> list[str]:
    """Return the lines that the demo prints on a loop, after checking that it names the loop."""
    command = [sys.executable, "-W", "error", "demo.py", f"--loop={loop}"]
    example = os.environ["RSLOOP_EXAMPLE"]
    done = subprocess.run(command, cwd=example, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    first, *rest = done.stdout.splitlines()
    assert first == LOOPS[loop]
    return rest
