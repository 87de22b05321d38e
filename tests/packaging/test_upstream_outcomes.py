"""How the sessions cpython and upstream run other people's tests, in a process of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

UPSTREAM = Path(__file__).resolve().parents[1] / "upstream"

# Watches a child that says that it lives, and then does so until it is killed.
WATCHER = """
import sys
from pathlib import Path

import outcomes

folder = Path(sys.argv[1])
command = (sys.executable, "-c", "import time; print('alive', flush=True); time.sleep(600)")
outcomes.end_children_with_us()
(folder / "events").touch()
outcomes.watch(outcomes.Child(command, folder), folder / "events", 600, folder / "log")
"""


def test_what_is_terminated_ends_its_child(tmp_path: Path) -> None:
    # Only the child keeps this open for writing: its end is the end of the file.
    os.mkfifo(tmp_path / "log")
    command = (sys.executable, "-c", WATCHER, str(tmp_path))
    env = os.environ | {"PYTHONPATH": str(UPSTREAM)}
    with subprocess.Popen(command, env=env) as watcher:
        with open(tmp_path / "log") as log:
            assert log.readline() == "alive\n"
            watcher.send_signal(signal.SIGTERM)
            assert log.read() == ""
        assert watcher.wait() == 128 + signal.SIGTERM
