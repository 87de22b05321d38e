"""Run CPython's own test_asyncio on the stdlib loop and on rsloop, and compare.

    python tests/upstream/cpython.py [--loop stdlib|rsloop|both] [--timeout SECONDS] [MODULE ...]

Each module runs in a process of its own. The exit status is 1 when a test fails on rsloop which
passes on the stdlib loop, and which no entry of differences.toml explains.
"""

import argparse
import functools
import importlib.util
import sys
import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import outcomes
from comparison import HERE, Comparison
from loops import LOOPS

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


def exists(module: str) -> bool:
    """Tell whether the running CPython ships this test module."""
    return importlib.util.find_spec(f"test.test_asyncio.{module}") is not None


def run_module(
    module: str, patience: float, log: Path, loop: str, left_out: Collection[str] = ()
) -> outcomes.Outcome:
    """Run one module on one loop, without the tests that are left out."""
    # CPython's tests leave files where they run.
    with tempfile.TemporaryDirectory() as folder:

        def start(events: Path, done: Path) -> outcomes.Child:
            child = str(HERE / "unittest_child.py")
            arguments = (loop, module, str(events), str(done))
            return outcomes.Child((sys.executable, child, *arguments), Path(folder))

        return outcomes.run(module, start, patience, log, left_out)


def main() -> int:
    """Run the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", default=MODULES, metavar="MODULE")
    parser.add_argument("--loop", choices=(*LOOPS, "both"), default="both")
    parser.add_argument("--timeout", type=float, default=300, help="seconds without news of a test")
    parser.add_argument("--log", type=Path, help="where the modules' output goes")
    options = parser.parse_args()
    log = options.log or Path(tempfile.mkdtemp()) / "cpython.log"
    log.write_text("")
    outcomes.end_children_with_us()
    kinds = ("stdlib", "rsloop") if options.loop == "both" else (options.loop,)
    modules = [module for module in options.modules if exists(module)]
    for missing in sorted(set(options.modules) - set(modules)):
        print(f"{missing}: not part of this CPython")
    if not modules:
        print("no module to run")
        return 2
    totals: Counter[str] = Counter()
    comparison = Comparison()
    print(f"CPython {sys.version.split()[0]}")
    print("passed, failed, skipped; in brackets the tests that made a loop of the kind named")
    for module in modules:
        run = functools.partial(run_module, module, options.timeout, log)
        found = {loop: run(loop) for loop in kinds}
        cells = [
            f"{loop} {outcome.count('passed'):4} {len(outcome.failed):3}"
            f" {outcome.count('skipped'):3} ({len(outcome.on_loop)})"
            for loop, outcome in found.items()
        ]
        print(f"{module:24} " + " | ".join(f"{cell:26}" for cell in cells), flush=True)
        comparison.compare(found, kinds[-1], run)
        judged = found[kinds[-1]]
        totals["passed"] += judged.count("passed")
        totals["failed"] += len(judged.failed)
        totals["skipped"] += judged.count("skipped")
    status = comparison.report(log)
    print(
        f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped",
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
