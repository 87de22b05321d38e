"""Run a program on rsloop, unchanged: `python -m rsloop script.py`, or `-m module`."""

import argparse
import runpy
import sys
import warnings
from pathlib import Path

import rsloop


def main() -> None:
    """Make rsloop's the loops of `asyncio.run`, and run the program as `python` would.

    Follows the command lines of `python` and `python -m cProfile`. Raises what the program
    raises, SystemExit included, and RuntimeError where Python has no event loop policies.
    """
    parser = argparse.ArgumentParser(prog="python -m rsloop", description=__doc__)
    parser.add_argument("-m", dest="is_module", action="store_true", help="run a module")
    parser.add_argument("--version", action="version", version=rsloop.__version__)
    parser.add_argument("program", help="the script, or with -m the module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the program")
    options = parser.parse_args()
    if not options.is_module and not Path(options.program).exists():
        parser.error(f"can't open file {options.program!r}: no such file")
    with warnings.catch_warnings():
        # Of policies, where they are deprecated: the program has not asked for one.
        warnings.simplefilter("ignore", DeprecationWarning)
        rsloop.install()
    sys.argv = [options.program, *options.arguments]
    if options.is_module:
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
        return
    if not sys.flags.safe_path:
        # A script finds what lies beside it, and not what lies in the current folder.
        sys.path[0] = str(Path(options.program).resolve().parent)
    runpy.run_path(options.program, run_name="__main__")


if __name__ == "__main__":
    main()
