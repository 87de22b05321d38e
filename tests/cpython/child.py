"""Run one module of test.test_asyncio on one loop, and write an event a line.

    python tests/cpython/child.py LOOP MODULE EVENTS DONE

EVENTS is the file written; DONE holds a JSON list of tests to leave out.
"""

import asyncio
import faulthandler
import importlib
import json
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

# Beside these stands EPollEventLoopTests: they change the selector, and rsloop has none.
SELECTOR_VARIANTS = {"KqueueEventLoopTests", "PollEventLoopTests", "SelectEventLoopTests"}

made = 0


def count_loops(kind: Any) -> None:
    """Count every loop of this kind that is made from now on."""
    original = kind.__init__

    def counting(self: Any, *args: Any, **kwargs: Any) -> None:
        global made
        made += 1
        original(self, *args, **kwargs)

    kind.__init__ = counting


def hand_out(loop_class: Any) -> None:
    """Make every way in which the tests get a loop give `loop_class`."""
    # Named at run time: some of these exist in some CPythons only.
    for name in ("SelectorEventLoop", "EventLoop"):
        for module in (asyncio, asyncio.unix_events):
            if hasattr(module, name):
                setattr(module, name, loop_class)
    policy = next(
        getattr(asyncio.unix_events, name)
        for name in ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy")
        if hasattr(asyncio.unix_events, name)
    )
    policy._loop_factory = loop_class


def prepare(module: ModuleType, loop_class: Any) -> None:
    """Adapt one test module to the loop."""
    tests: Any = vars(module).get("EPollEventLoopTests")
    if tests is not None:
        tests.create_event_loop = lambda self: loop_class()


def cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield every test of `suite`, however deep."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases(item)
        else:
            yield item


class Events(unittest.TextTestResult):
    """Writes a line when a test starts and when it has its verdict."""

    def __init__(self, output: TextIO) -> None:
        super().__init__(unittest.runner._WritelnDecorator(sys.stderr), True, 2)
        self.output = output
        self.verdict = "passed"
        self.made_before = 0

    def send(self, **event: object) -> None:
        """Write one event."""
        self.output.write(json.dumps(event) + "\n")
        self.output.flush()

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self.verdict = "passed"
        self.made_before = made
        self.send(event="start", test=test.id())

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        self.send(
            event="verdict",
            test=test.id(),
            verdict=self.verdict,
            on_loop=made > self.made_before,
        )

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self.verdict = "failed"
        if not isinstance(test, unittest.TestCase):
            # setUpClass or setUpModule failed: there is no test to start or stop.
            self.send(event="verdict", test=str(test), verdict="failed", on_loop=False)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.verdict = "failed"

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.verdict = "failed"

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addUnexpectedSuccess(test)
        self.verdict = "failed"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        if self.verdict == "passed":
            self.verdict = "skipped"


def main(loop: str, name: str, events: Path, done: Path) -> None:
    """Run the module `name` on `loop`."""
    faulthandler.enable()
    if loop == "rsloop":
        import rsloop_core

        loop_class: Any = rsloop_core.Loop
        hand_out(loop_class)
    else:
        loop_class = asyncio.SelectorEventLoop
    count_loops(loop_class)
    support: Any = importlib.import_module("test.support")
    # No test may depend on the network or on minutes of patience.
    support.use_resources = {"cpu": None}
    module = importlib.import_module(f"test.test_asyncio.{name}")
    prepare(module, loop_class)
    leave_out = set(json.loads(done.read_text()))
    suite = unittest.TestSuite(
        case
        for case in cases(unittest.defaultTestLoader.loadTestsFromModule(module))
        if case.id() not in leave_out and type(case).__name__ not in SELECTOR_VARIANTS
    )
    with events.open("a") as output:
        result = Events(output)
        suite.run(result)
        result.printErrors()
        result.send(event="end")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
