"""The pytest plugin by which a suite runs on one loop, and tells what its tests do.

It is told what to do by the variable RSLOOP_UPSTREAM, in JSON: the `loop`, the `suite`, the file
for `events`, and the names of the tests to leave out in the file `done`.
"""

import faulthandler
import json
import os
from pathlib import Path

import adapters
import loops
import pytest
from outcomes import Events


class Verdicts:
    """Leaves tests out, and sends an event when one starts and when it has its verdict."""

    def __init__(self, suite: str, events: Events, leave_out: set[str]) -> None:
        self.suite = suite
        self.events = events
        self.leave_out = leave_out
        self.outcomes: list[str] = []

    def name(self, nodeid: str) -> str:
        """Name a test among those of all suites."""
        return f"{self.suite}/{nodeid}"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        gone = [item for item in items if self.name(item.nodeid) in self.leave_out]
        items[:] = [item for item in items if self.name(item.nodeid) not in self.leave_out]
        config.hook.pytest_deselected(items=gone)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.events.collected(report.nodeid)
        if report.failed:
            self.events.verdict(self.name(report.nodeid), "failed")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.outcomes = []
        self.events.start(self.name(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # One for each phase; a subtest has its own.
        self.outcomes.append(report.outcome)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        verdict = next((each for each in ("failed", "skipped") if each in self.outcomes), "passed")
        self.events.verdict(self.name(nodeid), verdict)

    def pytest_unconfigure(self) -> None:
        self.events.end()


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin proper."""
    leave_out = set(json.loads(Path(TASK["done"]).read_text()))
    # Each event is flushed.
    events = Events(Path(TASK["events"]).open("a"))  # noqa: SIM115 (open until the process ends)
    config.pluginmanager.register(Verdicts(TASK["suite"], events, leave_out))


# Before the suite's own conftest.py, and once: a pytest within these tests is none of ours.
TASK: dict[str, str] = json.loads(os.environ.pop("RSLOOP_UPSTREAM"))
faulthandler.enable()
loops.take(TASK["loop"])
adapters.adapt(TASK["suite"])
