"""The floor of the scheduling rows: a loop of a hundred lines of C that does next to nothing.

Compiled where it is first imported, into build/floor.
"""

import asyncio
import asyncio.events
import importlib.util
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("floor.c")
BUILD = Path(__file__).parents[2] / "build" / "floor"


def compiled() -> Any:
    """Return the C module, compiled if its source is newer."""
    library = BUILD / f"_floor{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not library.exists() or library.stat().st_mtime < SOURCE.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
        include = Path(sysconfig.get_path("include"))
        # Debian's header includes another from the folder above, which is not among the system's
        # where Python has been moved.
        includes = [f"-I{include}", f"-idirafter{include.parent}"]
        command = [*compiler, "-O2", "-shared", "-fPIC", *includes, str(SOURCE), "-o", str(library)]
        subprocess.run(command, check=True)
    spec = importlib.util.spec_from_file_location("_floor", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Loop(compiled().Base, asyncio.SelectorEventLoop):  # type: ignore[misc]
    """Runs the rows that neither wait nor read."""

    def __init__(self) -> None:
        asyncio.SelectorEventLoop.__init__(self)

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio does."""
        return asyncio.Future(loop=self)

    def run_forever(self) -> None:
        """Run until `stop()`, the way asyncio marks a loop as running."""
        asyncio.events._set_running_loop(self)
        try:
            self.run_until_stopped()
        finally:
            asyncio.events._set_running_loop(None)


def new_event_loop() -> Loop:
    """Return a fresh loop."""
    return Loop()
