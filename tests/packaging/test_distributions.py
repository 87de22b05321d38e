"""What our wheels and sdists hold. RSLOOP_DIST names the folder with them."""

import email
import os
import tarfile
import zipfile
from email.message import Message
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIST = Path(os.environ["RSLOOP_DIST"])
PACKAGES = ["rsloop", "rsloop_bridge", "rsloop_core"]
SDISTS = sorted(DIST.glob("*.tar.gz"))
LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"]

from_sdists = pytest.mark.skipif(not SDISTS, reason="this run built its wheels from the tree")


@cache
def wheel(package: str) -> dict[str, bytes]:
    """Return the files of the wheel of `package`."""
    (path,) = DIST.glob(f"{package}-*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def sdist(package: str) -> dict[str, bytes]:
    """Return the files of the sdist of `package`, named as inside its one folder."""
    (path,) = DIST.glob(f"{package}-*.tar.gz")
    files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            assert content is not None, f"{member.name} is not a plain file"
            files[member.name.partition("/")[2]] = content.read()
    return files


def metadata(package: str) -> Message:
    """Return the metadata in the wheel of `package`."""
    (name,) = (name for name in wheel(package) if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel(package)[name])


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_states_what_it_is(package: str) -> None:
    found = metadata(package)
    assert found["Name"] == package.replace("_", "-")
    assert found["License-Expression"] == "MIT OR Apache-2.0"
    assert found["Requires-Python"] == ">=3.11"
    assert str(found.get_payload()).startswith(f"# {found['Name']}\n")


def test_wheels_have_one_version_and_rsloop_pins_its_core() -> None:
    (version,) = {metadata(package)["Version"] for package in PACKAGES}
    assert metadata("rsloop").get_all("Requires-Dist") == [f"rsloop-core=={version}"]
    assert metadata("rsloop_core").get_all("Requires-Dist") is None
    assert metadata("rsloop_bridge").get_all("Requires-Dist") is None


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_is_typed_licensed_and_holds_its_package_only(package: str) -> None:
    files = wheel(package)
    assert f"{package}/py.typed" in files
    for licence in LICENCES:
        (held,) = (name for name in files if name.endswith(f".dist-info/licenses/{licence}"))
        assert files[held] == (ROOT / licence).read_bytes()
    folders = {name.partition("/")[0] for name in files}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {package}
    assert not [name for name in files if "__pycache__" in name or name.endswith(".rs")]


def test_core_wheel_holds_one_extension_module() -> None:
    (module,) = (name for name in wheel("rsloop_core") if name.endswith(".so"))
    assert module.startswith("rsloop_core/_core.")


HEADER = ROOT / "crates/rsloop-bridge/include/rsloop_bridge.h"


def test_bridge_wheel_holds_the_crates_header() -> None:
    held = wheel("rsloop_bridge")["rsloop_bridge/include/rsloop_bridge.h"]
    assert held == HEADER.read_bytes()


@from_sdists
def test_bridge_sdist_holds_the_crates_header() -> None:
    held = sdist("rsloop_bridge")["src/rsloop_bridge/include/rsloop_bridge.h"]
    assert held == HEADER.read_bytes()


@from_sdists
@pytest.mark.parametrize("package", PACKAGES)
def test_sdist_holds_licences_and_plain_files_only(package: str) -> None:
    files = sdist(package)
    assert {"PKG-INFO", "pyproject.toml", "README.md", *LICENCES} <= files.keys()
    for licence in LICENCES:
        assert files[licence] == (ROOT / licence).read_bytes()


@from_sdists
def test_core_sdist_holds_the_part_of_the_workspace_that_it_needs() -> None:
    files = sdist("rsloop_core")
    assert {"Cargo.toml", "Cargo.lock"} <= files.keys()
    crates = {name.split("/")[1] for name in files if name.startswith("crates/")}
    assert crates == {"rsloop-core", "rsloop-sched", "rsloop-reactor", "rsloop-abi"}
