"""Pin `rsloop-core` to the version of `rsloop` itself: the two are released together."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PinnedCore(MetadataHookInterface):
    """Fill in the dynamic field `dependencies`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the pin to `metadata`, in which hatchling has set the version already."""
        metadata["dependencies"] = [f"rsloop-core=={metadata['version']}"]
