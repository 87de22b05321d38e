"""Run tests in a child process to their end, even where one of them hangs or kills the process.

The child writes a line of JSON when a test starts, when it has its verdict, and at the end; it is
told which tests to leave out. `Events` is its side of this.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import loops

#: What stands behind the name of a set of tests for the end of its process, which is judged too.
EXIT = " (exit)"


@dataclass
class Outcome:
    """What one set of tests did on one loop: a verdict for every test."""

    verdicts: dict[str, str] = field(default_factory=dict)
    on_loop: set[str] = field(default_factory=set)

    def count(self, verdict: str) -> int:
        """Count the tests with this verdict."""
        return sum(1 for found in self.verdicts.values() if found == verdict)

    @property
    def failed(self) -> set[str]:
        """The tests that failed, hung or killed the process."""
        fine = ("passed", "skipped", "ended")
        return {name for name, found in self.verdicts.items() if found not in fine}


class Events:
    """The child's side: writes a line when a test starts and when it has its verdict."""

    def __init__(self, output: TextIO) -> None:
        self.output = output
        self.made_before = 0

    def start(self, test: str) -> None:
        """Say that `test` starts."""
        self.made_before = loops.made
        self.send(event="start", test=test)

    def verdict(self, test: str, verdict: str) -> None:
        """Say how `test` ended, and whether it made a loop of the kind under test."""
        on_loop = loops.made > self.made_before
        self.send(event="verdict", test=test, verdict=verdict, on_loop=on_loop)

    def collected(self, where: str) -> None:
        """Say that the tests of one place have been found, which may take long."""
        self.send(event="collected", where=where)

    def end(self) -> None:
        """Say that no test is left."""
        self.send(event="end")

    def send(self, **event: object) -> None:
        """Write one event."""
        self.output.write(json.dumps(event) + "\n")
        self.output.flush()


@dataclass
class Child:
    """A process to start: its command, its folder, and variables to add to the environment."""

    command: Sequence[str]
    folder: Path
    env: dict[str, str] = field(default_factory=dict)


def end_children_with_us() -> None:
    """Make SIGTERM an exception, so that `watch` kills its child, which nobody else would."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


#: Says which child to start, from the file for its events and the one with what to leave out.
Start = Callable[[Path, Path], Child]


def run(
    name: str, start: Start, patience: float, log: Path, left_out: Collection[str] = ()
) -> Outcome:
    """Run the tests called `name` except those that are left out, their output added to `log`.

    A test that says nothing for `patience` seconds is killed and has hung; then the rest goes on.
    """
    outcome = Outcome()
    while True:
        ended, last = run_rest(name, start, patience, log, left_out, outcome)
        if ended:
            return outcome
        if last is None:
            outcome.verdicts[f"{name} (import)"] = "crashed"
            return outcome


def run_rest(
    name: str,
    start: Start,
    patience: float,
    log: Path,
    left_out: Collection[str],
    outcome: Outcome,
) -> tuple[bool, str | None]:
    """Run what has no verdict yet; return whether it came to its end, and the test it died in."""
    with tempfile.TemporaryDirectory() as scratch:
        events, done = Path(scratch, "events"), Path(scratch, "done")
        done.write_text(json.dumps([*left_out, *outcome.verdicts]))
        events.touch()
        status = watch(start(events, done), events, patience, log)
        current = None
        ended = False
        for line in events.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "start":
                current = event["test"]
            elif event["event"] == "verdict":
                outcome.verdicts[event["test"]] = event["verdict"]
                if event["on_loop"]:
                    outcome.on_loop.add(event["test"])
                current = None
            elif event["event"] == "end":
                ended = True
    died = "hung" if status is None else "crashed"
    if ended:
        outcome.verdicts[name + EXIT] = died if status is None or status < 0 else "ended"
    elif current is not None:
        outcome.verdicts[current] = died
        outcome.on_loop.add(current)
    return ended, current


def watch(child: Child, events: Path, patience: float, log: Path) -> int | None:
    """Run `child` and return its exit status, or None where it had to be killed."""
    with log.open("a") as output:
        process = subprocess.Popen(
            child.command,
            stdout=output,
            stderr=output,
            cwd=child.folder,
            env=os.environ | child.env,
            start_new_session=True,
        )
    try:
        written, since = 0, time.monotonic()
        while True:
            try:
                return process.wait(1)
            except subprocess.TimeoutExpired:
                size = events.stat().st_size
                if size != written:
                    written, since = size, time.monotonic()
                elif time.monotonic() - since > patience:
                    return None
    finally:
        # Also what the tests have left running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
