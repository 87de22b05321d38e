"""Compare what tests did on rsloop with what they did elsewhere, and with what is known."""

import fnmatch
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from outcomes import EXIT, Outcome

HERE = Path(__file__).resolve().parent


def known_differences() -> list[dict[str, str]]:
    """Read the table of accepted failures."""
    table = tomllib.loads((HERE / "differences.toml").read_text())
    differences: list[dict[str, str]] = table.get("difference", [])
    assert all(entry["reason"] for entry in differences)
    return differences


#: Runs tests once more: on the loop that is named, without the tests that are given.
Again = Callable[[str, set[str]], Outcome]


@dataclass
class Comparison:
    """Collects the failures of tests: those with an explanation, and the others."""

    differences: Sequence[dict[str, str]] = field(default_factory=known_differences)
    everywhere: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)

    def compare(self, found: Mapping[str, Outcome], judged: str, again: Again) -> None:
        """Add what failed or is missing on the loop `judged`; the others are the references.

        Only what passes on one of the references at least can be wrong; without any, all. What
        nothing explains is run once more on each loop and judged by that: on a busy machine, some
        of other people's tests fail now and then on any loop.
        """
        references = {loop: outcome for loop, outcome in found.items() if loop != judged}
        if suspects := self.suspects(found[judged], references):
            self.look_again(found, suspects, again)
        self.judge(found[judged], references)

    def suspects(self, judged: Outcome, references: Mapping[str, Outcome]) -> set[str]:
        """Return the tests whose failure, or absence, nothing explains."""
        failed = {
            test
            for test in judged.failed
            if not references or any(test not in each.failed for each in references.values())
        }
        differing = failed | (passing(references) - judged.verdicts.keys())
        return {test for test in differing if self.reason(test) is None}

    def look_again(self, found: Mapping[str, Outcome], suspects: set[str], again: Again) -> None:
        """Take the verdicts of a second run for the tests that are suspected."""
        tests = {test for outcome in found.values() for test in outcome.verdicts}
        # How a process ends depends on everything that it has run.
        others = set() if any(test.endswith(EXIT) for test in suspects) else tests - suspects
        for loop, outcome in found.items():
            second = again(loop, others)
            for test in sorted(suspects & second.verdicts.keys()):
                before, after = outcome.verdicts.get(test, "not run"), second.verdicts[test]
                outcome.verdicts[test] = after
                if before != after:
                    self.unsteady.append(f"  {before}, then {after} on {loop}: {test}")

    def judge(self, judged: Outcome, references: Mapping[str, Outcome]) -> None:
        """Sort the failures by what explains them."""
        for test in sorted(judged.failed):
            verdict = judged.verdicts[test]
            passes = [loop for loop, each in references.items() if test not in each.failed]
            if references and not passes:
                self.everywhere.append(f"  {verdict} on every loop: {test}")
            elif reason := self.reason(test):
                self.notes.append(f"  {verdict}, as listed: {test}: {reason}")
            else:
                elsewhere = f" (passes on {', '.join(passes)})" if passes else ""
                self.unexplained.append(f"  {verdict}: {test}{elsewhere}")
        for test in sorted(passing(references) - judged.verdicts.keys()):
            if reason := self.reason(test):
                self.notes.append(f"  not run, as listed: {test}: {reason}")
            else:
                self.unexplained.append(f"  not run: {test}")

    def reason(self, test: str) -> str | None:
        """Return the reason which the table gives for the failure of `test`, if any."""
        for entry in self.differences:
            if fnmatch.fnmatchcase(test, entry["test"]):
                return entry["reason"]
        return None

    def report(self, log: Path) -> int:
        """Print what was found, and return the exit status."""
        if self.everywhere:
            # What this machine lacks, such as a name for ::1, often fails hundreds alike.
            print(f"{len(self.everywhere)} tests fail on every loop: see the end of {log}")
            with log.open("a") as output:
                output.write("\n".join([*self.everywhere, ""]))
        if self.notes:
            print("\n".join(["Known:", *self.notes]))
        if self.unsteady:
            print("\n".join(["Unsteady, and judged by their second run:", *self.unsteady]))
        if self.unexplained:
            print("\n".join([f"Unexplained failures (output in {log}):", *self.unexplained]))
        return 1 if self.unexplained else 0


def passing(references: Mapping[str, Outcome]) -> set[str]:
    """Return the tests that do not fail on one of the loops at least."""
    return {test for each in references.values() for test in each.verdicts.keys() - each.failed}
