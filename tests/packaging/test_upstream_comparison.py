"""How the sessions cpython and upstream judge what other people's tests do on two loops."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

UPSTREAM = Path(__file__).resolve().parents[1] / "upstream"


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a comparison that knows one difference."""
    monkeypatch.syspath_prepend(str(UPSTREAM))
    module: Any = importlib.import_module("comparison")
    return module.Comparison([{"test": "*known*", "reason": "for the test"}])


def outcomes(verdicts: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return what tests did on each loop."""
    module: Any = importlib.import_module("outcomes")
    return {loop: module.Outcome(dict(each)) for loop, each in verdicts.items()}


def never(loop: str, left_out: set[str]) -> Any:
    pytest.fail("nothing was to be run again")


def test_what_is_alike_or_listed_is_not_run_again(comparison: Any) -> None:
    found = outcomes(
        {
            "stdlib": {"a": "passed", "b": "failed", "known": "passed"},
            "rsloop": {"a": "passed", "b": "hung", "known": "failed"},
        }
    )
    comparison.compare(found, "rsloop", never)
    assert comparison.unexplained == []
    assert comparison.notes == ["  failed, as listed: known: for the test"]
    assert comparison.everywhere == ["  hung on every loop: b"]


def test_a_second_failure_counts(comparison: Any) -> None:
    found = outcomes({"stdlib": {"a": "passed", "b": "passed"}, "rsloop": {"a": "passed"}})
    asked = []

    def again(loop: str, left_out: set[str]) -> Any:
        asked.append((loop, left_out))
        return outcomes({"stdlib": {"b": "passed"}, "rsloop": {"b": "failed"}})[loop]

    comparison.compare(found, "rsloop", again)
    assert asked == [("stdlib", {"a"}), ("rsloop", {"a"})]
    assert comparison.unsteady == ["  not run, then failed on rsloop: b"]
    assert comparison.unexplained == ["  failed: b (passes on stdlib)"]


def test_what_passes_the_second_time_is_said_to_be_unsteady(comparison: Any) -> None:
    found = outcomes({"stdlib": {"a": "passed"}, "rsloop": {"a": "failed"}})

    def again(loop: str, left_out: set[str]) -> Any:
        return outcomes({"stdlib": {"a": "passed"}, "rsloop": {"a": "passed"}})[loop]

    comparison.compare(found, "rsloop", again)
    assert comparison.unsteady == ["  failed, then passed on rsloop: a"]
    assert comparison.unexplained == []


def test_what_then_fails_on_the_other_loop_is_no_difference(comparison: Any) -> None:
    found = outcomes({"stdlib": {"a": "passed"}, "rsloop": {"a": "failed"}})

    def again(loop: str, left_out: set[str]) -> Any:
        return outcomes({"stdlib": {"a": "failed"}, "rsloop": {"a": "failed"}})[loop]

    comparison.compare(found, "rsloop", again)
    assert comparison.unsteady == ["  passed, then failed on stdlib: a"]
    assert (comparison.unexplained, comparison.everywhere) == ([], ["  failed on every loop: a"])


def test_the_end_of_a_process_is_judged_by_running_everything_again(comparison: Any) -> None:
    found = outcomes(
        {
            "stdlib": {"a": "passed", "b": "passed", "suite (exit)": "ended"},
            "rsloop": {"a": "passed", "b": "failed", "suite (exit)": "hung"},
        }
    )
    asked = []

    def again(loop: str, left_out: set[str]) -> Any:
        asked.append((loop, left_out))
        ending = {"stdlib": "ended", "rsloop": "hung"}[loop]
        return outcomes({loop: {"a": "passed", "b": "passed", "suite (exit)": ending}})[loop]

    comparison.compare(found, "rsloop", again)
    assert asked == [("stdlib", set()), ("rsloop", set())]
    assert comparison.unsteady == ["  failed, then passed on rsloop: b"]
    assert comparison.unexplained == ["  hung: suite (exit) (passes on stdlib)"]
