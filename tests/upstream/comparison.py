"""Compare what tests did on rsloop with what they did elsewhere, and with what is known."""

import fnmatch
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from outcomes import Outcome

HERE = Path(__file__).resolve().parent


def known_differences() -> list[dict[str, str]]:
    """Read the table of accepted failures."""
    table = tomllib.loads((HERE / "differences.toml").read_text())
    differences: list[dict[str, str]] = table.get("difference", [])
    assert all(entry["reason"] for entry in differences)
    return differences


@dataclass
class Comparison:
    """Collects the failures of tests: those with an explanation, and the others."""

    differences: Sequence[dict[str, str]] = field(default_factory=known_differences)
    everywhere: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)

    def compare(self, judged: Outcome, references: Mapping[str, Outcome]) -> None:
        """Add what failed or is missing on the loop that is judged.

        Only what passes on one of the reference loops at least can be wrong; without any, all.
        """
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
        expected = {
            test for each in references.values() for test in each.verdicts.keys() - each.failed
        }
        for test in sorted(expected - judged.verdicts.keys()):
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
        if self.unexplained:
            print("\n".join([f"Unexplained failures (output in {log}):", *self.unexplained]))
        return 1 if self.unexplained else 0
