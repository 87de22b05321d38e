"""Run a package's own tests on the stdlib loop and on rsloop, and compare.

    python tests/upstream/upstream.py [--loop LOOP] [--timeout SECONDS] SUITE [ARGUMENT ...]

SUITE is named in suites.toml; arguments replace those of pytest that are given there. The exit
status is 1 when a test fails on rsloop which passes on a loop that it is compared with, and which
no entry of differences.toml explains.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import outcomes
import suites
from comparison import HERE, Comparison
from loops import LOOPS


@dataclass
class Run:
    """The running of one suite."""

    suite: suites.Suite
    arguments: list[str]
    patience: float
    log: Path

    def on(self, loop: str, left_out: Collection[str] = ()) -> outcomes.Outcome:
        """Run the suite on `loop`, without the tests that are left out."""
        with tempfile.TemporaryDirectory() as folder:
            self.suite.unpack(Path(folder))

            def start(events: Path, done: Path) -> outcomes.Child:
                task = {"events": str(events), "done": str(done)}
                task |= {"loop": loop, "suite": self.suite.name}
                env = {"RSLOOP_UPSTREAM": json.dumps(task), "PYTHONPATH": str(HERE)}
                plugins = ("-p", "verdicts", "-p", "no:cacheprovider")
                options = ("--continue-on-collection-errors", f"--timeout={self.patience / 2}")
                command = (sys.executable, "-m", "pytest", *plugins, *options, *self.arguments)
                return outcomes.Child(command, Path(folder), env)

            return outcomes.run(self.suite.name, start, self.patience, self.log, left_out)


def main() -> int:
    """Run the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("suite", metavar="SUITE")
    parser.add_argument("--loop", choices=LOOPS, help="run on this one only")
    parser.add_argument("--timeout", type=float, default=60, help="seconds without news of a test")
    parser.add_argument("--log", type=Path, help="where pytest's output goes")
    options, arguments = parser.parse_known_args()
    suite = suites.load(options.suite)
    log = options.log or Path(tempfile.mkdtemp()) / f"{suite.name}.log"
    log.write_text("")
    outcomes.end_children_with_us()
    kinds = [options.loop] if options.loop else [*suite.references, "rsloop"]
    print(f"{suite.name} {suite.version} on CPython {sys.version.split()[0]}")
    print(f"{'':12} passed  failed skipped")
    run = Run(suite, arguments or suite.arguments, options.timeout, log)
    found = {}
    for loop in kinds:
        outcome = found[loop] = run.on(loop)
        counts = (outcome.count("passed"), len(outcome.failed), outcome.count("skipped"))
        print(f"{loop:12} " + " ".join(f"{count:7}" for count in counts), flush=True)
        if not outcome.on_loop:
            print(f"No test has made a loop of {loop}: see {log}")
            return 2
    comparison = Comparison()
    comparison.compare(found, kinds[-1], run.on)
    return comparison.report(log)


if __name__ == "__main__":
    sys.exit(main())
