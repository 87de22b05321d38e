"""Give a wheel another version, as the release before or after would have."""

import base64
import hashlib
import zipfile
from pathlib import Path


def reversion(wheel: Path, version: str, folder: Path) -> Path:
    """Write a copy of `wheel` that states `version`, pins included, into `folder`."""
    name, old, rest = wheel.name.split("-", 2)
    copy = folder / f"{name}-{version}-{rest}"
    record: list[str] = []
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w") as target:
        for member in source.namelist():
            content = source.read(member)
            place = member.replace(f"{name}-{old}.dist-info/", f"{name}-{version}.dist-info/")
            if place.endswith("/RECORD"):
                continue
            if place.endswith("/METADATA"):
                text = content.decode()
                text = text.replace(f"\nVersion: {old}\n", f"\nVersion: {version}\n")
                content = text.replace(f"=={old}\n", f"=={version}\n").encode()
            target.writestr(place, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{place},sha256={digest.decode()},{len(content)}")
        place = f"{name}-{version}.dist-info/RECORD"
        target.writestr(place, "\n".join([*record, f"{place},,"]) + "\n")
    return copy
