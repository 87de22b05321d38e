"""The interpreter exits while futures are pending and workers are busy: silently, status 0."""

import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

LOOPS = ["asyncio", "uvloop", "rsloop", "deaf"]
SCRIPTS = {
    "pending future held by the module": """
        async def main():
            global held
            held = bridge_tests.future_into_py("value", bridge_tests.Gate())
        runner.run(main())
    """,
    "pending future awaited by a task": """
        async def wait():
            await bridge_tests.future_into_py("value", bridge_tests.Gate())
        async def main():
            task = asyncio.create_task(wait())
            await asyncio.sleep(0)
            sys.exit(0)
        runner.run(main())
    """,
    "local future woken during the exit": """
        gate = bridge_tests.Gate()
        async def main():
            global held
            held = bridge_tests.local_future_into_py("value", gate)
        runner.run(main())
        atexit.register(gate.open_elsewhere)
    """,
    "worker that attaches": """
        async def main():
            global held
            held = [bridge_tests.busy_worker() for _ in range(2)]
            await asyncio.sleep(0.01)
        runner.run(main())
    """,
    "results on their way": """
        async def main():
            global held
            gate = bridge_tests.Gate()
            held = [bridge_tests.future_into_py("value", gate) for _ in range(100)]
            gate.open_elsewhere()
        runner.run(main())
    """,
    "loop never closed": """
        async def main():
            global held
            held = [bridge_tests.future_into_py("value", bridge_tests.Gate()) for _ in range(10)]
            held.append(bridge_tests.call_from_send(asyncio.sleep(100)))
            await asyncio.sleep(0)
        loop.run_until_complete(main())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    """,
    "local future polled in a daemon thread": """
        busy = threading.Event()
        def work():
            busy.set()
            deadline = time.monotonic() + 0.2
            while time.monotonic() < deadline:
                pass
        async def main():
            await bridge_tests.call_after(asyncio.sleep(0), work, local=True)
        threading.Thread(target=lambda: runner.run(main()), daemon=True).start()
        busy.wait()
    """,
    "loops in daemon threads": """
        def run(local):
            async def go_on():
                while True:
                    ended = asyncio.get_running_loop().create_future()
                    ended.set_result(None)
                    await bridge_tests.call_after(ended, bool, local)
            runner = asyncio.Runner(loop_factory=module.new_event_loop)
            try:
                runner.run(go_on())
            except RuntimeError:
                threading.Event().wait()  # no future is started any more
        for local in (True, False, True):
            threading.Thread(target=run, args=(local,), daemon=True).start()
        time.sleep(0.1)
    """,
    "Python's part ends during the exit": """
        def end():
            ended.set_result(None)
            loop.run_until_complete(asyncio.sleep(0))
        atexit.register(end)
        ended = loop.create_future()
        async def main():
            global held
            polled = lambda: print("polled")
            held = [bridge_tests.call_after(ended, polled, local) for local in (False, True)]
        loop.run_until_complete(main())
    """,
}
PROLOGUE = """
import asyncio, atexit, importlib, sys, threading, time, warnings
import bridge_tests
warnings.simplefilter("ignore", ResourceWarning)
module = importlib.import_module(sys.argv[1])
loop = module.new_event_loop()
runner = asyncio.Runner(loop_factory=lambda: loop)
"""


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_exit_is_silent(loop: str, script: str) -> None:
    if loop == "uvloop":
        pytest.importorskip(loop)
    if "daemon" in script and loop == "deaf" and sysconfig.get_config_var("Py_GIL_DISABLED"):
        # The threads look into sys.modules, and so does the exit.
        pytest.skip("CPython hangs at exit when a thread that ends is given a lock of an object's")
    source = PROLOGUE + textwrap.dedent(script)
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", source, loop],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=Path(__file__).parent,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
