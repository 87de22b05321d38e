"""Run CPython's own test_asyncio on the stdlib loop and on rsloop, and compare.

    python tests/cpython/run.py [--loop stdlib|rsloop|both] [--timeout SECONDS] [MODULE ...]

Each module runs in a process of its own. The exit status is 1 when a test fails on rsloop which
passes on the stdlib loop, and which no entry of differences.toml explains.
"""

import argparse
import fnmatch
import importlib.util
import json
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The parts that use a loop by its public interface. test_selector_events and test_proactor_events
# are left out: they replace the insides of CPython's own loop by mocks.
MODULES = (
    "test_base_events",
    "test_buffered_proto",
    "test_context",
    "test_eager_task_factory",
    "test_events",
    "test_free_threading",
    "test_futures",
    "test_futures2",
    "test_graph",
    "test_locks",
    "test_pep492",
    "test_protocols",
    "test_queues",
    "test_runners",
    "test_sendfile",
    "test_server",
    "test_server_context",
    "test_sock_lowlevel",
    "test_ssl",
    "test_sslproto",
    "test_staggered",
    "test_streams",
    "test_subprocess",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_tools",
    "test_transports",
    "test_unix_events",
    "test_waitfor",
)


@dataclass
class Outcome:
    """What one module did on one loop: a verdict for every test."""

    verdicts: dict[str, str] = field(default_factory=dict)
    on_loop: set[str] = field(default_factory=set)

    def count(self, verdict: str) -> int:
        """Count the tests with this verdict."""
        return sum(1 for found in self.verdicts.values() if found == verdict)

    @property
    def failed(self) -> set[str]:
        """The tests that failed, hung or killed the process."""
        return {name for name, found in self.verdicts.items() if found not in ("passed", "skipped")}


def exists(module: str) -> bool:
    """Tell whether the running CPython ships this test module."""
    return importlib.util.find_spec(f"test.test_asyncio.{module}") is not None


def run_module(module: str, loop: str, timeout: float, log: Path) -> Outcome:
    """Run one module; a test that hangs or kills the process is noted and the rest goes on."""
    outcome = Outcome()
    while True:
        ended, last = run_rest(module, loop, timeout, log, outcome)
        if ended:
            return outcome
        if last is None:
            outcome.verdicts[f"{module} (import)"] = "crashed"
            return outcome


def run_rest(
    module: str, loop: str, timeout: float, log: Path, outcome: Outcome
) -> tuple[bool, str | None]:
    """Run what has no verdict yet; return whether it came to its end, and the test it died in."""
    with tempfile.TemporaryDirectory() as folder:
        events, done = Path(folder, "events"), Path(folder, "done")
        done.write_text(json.dumps(list(outcome.verdicts)))
        events.touch()
        command = [sys.executable, str(HERE / "child.py"), loop, module, str(events), str(done)]
        with log.open("a") as output:
            try:
                status: int | str = subprocess.run(
                    command,
                    stdout=output,
                    stderr=output,
                    timeout=timeout,
                    check=False,
                    # CPython's tests leave files where they run.
                    cwd=folder,
                ).returncode
            except subprocess.TimeoutExpired:
                status = "hung"
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
            else:
                ended = True
    if current is not None and not ended:
        outcome.verdicts[current] = "hung" if status == "hung" else "crashed"
        outcome.on_loop.add(current)
    return ended, current


def known_differences() -> list[dict[str, str]]:
    """Read the table of accepted failures."""
    table = tomllib.loads((HERE / "differences.toml").read_text())
    differences: list[dict[str, str]] = table.get("difference", [])
    assert all(entry["reason"] for entry in differences)
    return differences


def explained(test: str, differences: list[dict[str, str]]) -> str | None:
    """Return the reason which the table gives for the failure of `test`, if any."""
    for entry in differences:
        if fnmatch.fnmatchcase(test, entry["test"]):
            return entry["reason"]
    return None


def main() -> int:
    """Run the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", default=MODULES, metavar="MODULE")
    parser.add_argument("--loop", choices=("stdlib", "rsloop", "both"), default="both")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for each module")
    parser.add_argument("--log", type=Path, help="where the modules' output goes")
    options = parser.parse_args()
    log = options.log or Path(tempfile.mkdtemp()) / "cpython.log"
    log.write_text("")
    loops = ("stdlib", "rsloop") if options.loop == "both" else (options.loop,)
    modules = [module for module in options.modules if exists(module)]
    for missing in sorted(set(options.modules) - set(modules)):
        print(f"{missing}: not part of this CPython")
    if not modules:
        print("no module to run")
        return 2
    differences = known_differences()
    totals: Counter[str] = Counter()
    unexplained: list[str] = []
    notes: list[str] = []
    print(f"CPython {sys.version.split()[0]}")
    print("passed, failed, skipped; in brackets the tests that made a loop of the kind named")
    for module in modules:
        outcomes = {loop: run_module(module, loop, options.timeout, log) for loop in loops}
        cells = [
            f"{loop} {outcome.count('passed'):4} {len(outcome.failed):3}"
            f" {outcome.count('skipped'):3} ({len(outcome.on_loop)})"
            for loop, outcome in outcomes.items()
        ]
        print(f"{module:24} " + " | ".join(f"{cell:26}" for cell in cells), flush=True)
        judged = outcomes[loops[-1]]
        reference = outcomes.get("stdlib", Outcome())
        totals["passed"] += judged.count("passed")
        totals["failed"] += len(judged.failed)
        totals["skipped"] += judged.count("skipped")
        for test in sorted(judged.failed):
            verdict = judged.verdicts[test]
            if len(loops) == 2 and test in reference.failed:
                notes.append(f"  {verdict} on both loops: {test}")
            elif reason := explained(test, differences):
                notes.append(f"  {verdict}, as listed: {test}: {reason}")
            else:
                unexplained.append(f"  {verdict}: {test}")
        missing_tests = sorted(reference.verdicts.keys() - judged.verdicts.keys())
        unexplained.extend(f"  not run on {loops[-1]}: {test}" for test in missing_tests)
    if notes:
        print("\n".join(["Known:", *notes]))
    if unexplained:
        print("\n".join([f"Unexplained failures (output in {log}):", *unexplained]))
    print(
        f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped",
    )
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
