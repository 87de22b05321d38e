"""Run one module of test.test_asyncio on one loop, and write an event a line.

    python tests/upstream/unittest_child.py LOOP MODULE EVENTS DONE

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
from typing import Any

import loops
from outcomes import Events

# Beside these stands EPollEventLoopTests: they change the selector, and rsloop has none.
SELECTOR_VARIANTS = {"KqueueEventLoopTests", "PollEventLoopTests", "SelectEventLoopTests"}


def prepare(module: ModuleType) -> None:
    """Adapt one test module to the loop."""
    tests: Any = vars(module).get("EPollEventLoopTests")
    if tests is not None:
        tests.create_event_loop = lambda self: asyncio.SelectorEventLoop()


def cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Yield every test of `suite`, however deep."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from cases(item)
        else:
            yield item


class Verdicts(unittest.TextTestResult):
    """Sends an event when a test starts and when it has its verdict."""

    def __init__(self, events: Events) -> None:
        super().__init__(unittest.runner._WritelnDecorator(sys.stderr), True, 2)
        self.events = events
        self.verdict = "passed"

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self.verdict = "passed"
        self.events.start(test.id())

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        self.events.verdict(test.id(), self.verdict)

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self.verdict = "failed"
        if not isinstance(test, unittest.TestCase):
            # setUpClass or setUpModule failed: there is no test to start or stop.
            self.events.verdict(str(test), "failed")

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
    loops.take(loop)
    support: Any = importlib.import_module("test.support")
    # No test may depend on the network or on minutes of patience.
    support.use_resources = {"cpu": None}
    module = importlib.import_module(f"test.test_asyncio.{name}")
    prepare(module)
    leave_out = set(json.loads(done.read_text()))
    suite = unittest.TestSuite(
        case
        for case in cases(unittest.defaultTestLoader.loadTestsFromModule(module))
        if case.id() not in leave_out and type(case).__name__ not in SELECTOR_VARIANTS
    )
    with events.open("a") as output:
        result = Verdicts(Events(output))
        suite.run(result)
        result.printErrors()
        result.events.end()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
