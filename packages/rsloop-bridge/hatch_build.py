"""Put the files for pkg-config and CMake into the wheel, with the version filled in."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACES = {
    "rsloop_bridge.pc": "share/pkgconfig",
    "rsloop_bridgeConfig.cmake": "share/cmake/rsloop_bridge",
    "rsloop_bridgeConfigVersion.cmake": "share/cmake/rsloop_bridge",
}


class BuildSystems(BuildHookInterface[Any]):
    """Fill in `@VERSION@`: THE version is stated nowhere else."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to a wheel; an editable one gets them, too, beside the linked source."""
        source = Path(self.root, "build_systems")
        filled = Path(mkdtemp())
        for name, place in PLACES.items():
            text = (source / f"{name}.in").read_text(encoding="utf-8")
            (filled / name).write_text(text.replace("@VERSION@", self.metadata.version), "utf-8")
            build_data["force_include"][str(filled / name)] = f"rsloop_bridge/{place}/{name}"
