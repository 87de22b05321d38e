"""The meta-package takes the core of its own version and no other. RSLOOP_DIST names our wheels."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from .wheels import reversion

DIST = Path(os.environ["RSLOOP_DIST"])
OURS = version("rsloop")
OLDER, NEWER = "0.1.99", "99.0"


def wheel(name: str) -> Path:
    (path,) = DIST.glob(f"{name}-{OURS}-*.whl")
    return path


def install(folder: Path, *requirements: str) -> subprocess.CompletedProcess[str]:
    """Resolve and install from `folder` alone, into a folder of its own."""
    options = ["--no-index", f"--find-links={folder}", f"--target={folder / 'target'}"]
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options]
    return subprocess.run(
        [*command, *requirements], capture_output=True, text=True, timeout=120, check=False
    )


def installed(folder: Path) -> dict[str, str]:
    names = [path.name for path in (folder / "target").glob("*.dist-info")]
    pairs = [name.removesuffix(".dist-info").split("-") for name in names]
    return dict(sorted(pairs))


@pytest.mark.parametrize("partner", [OLDER, NEWER], ids=["older", "newer"])
def test_a_core_of_another_version_is_refused(tmp_path: Path, partner: str) -> None:
    shutil.copy2(wheel("rsloop"), tmp_path)
    reversion(wheel("rsloop_core"), partner, tmp_path)
    done = install(tmp_path, "rsloop")
    assert done.returncode != 0
    assert f"rsloop-core=={OURS}" in done.stderr
    assert f"from versions: {partner}" in done.stderr
    assert installed(tmp_path) == {}


@pytest.mark.parametrize("partner", [OLDER, NEWER], ids=["older", "newer"])
def test_a_meta_package_of_another_version_refuses_this_core(tmp_path: Path, partner: str) -> None:
    reversion(wheel("rsloop"), partner, tmp_path)
    shutil.copy2(wheel("rsloop_core"), tmp_path)
    done = install(tmp_path, "rsloop")
    assert done.returncode != 0
    assert f"rsloop-core=={partner}" in done.stderr


def test_of_many_cores_it_takes_its_own(tmp_path: Path) -> None:
    shutil.copy2(wheel("rsloop"), tmp_path)
    shutil.copy2(wheel("rsloop_core"), tmp_path)
    for other in (OLDER, NEWER):
        reversion(wheel("rsloop_core"), other, tmp_path)
    assert install(tmp_path, "rsloop").returncode == 0
    assert installed(tmp_path) == {"rsloop": OURS, "rsloop_core": OURS}


@pytest.mark.parametrize("partner", [OLDER, NEWER], ids=["older", "newer"])
def test_an_upgrade_takes_both(tmp_path: Path, partner: str) -> None:
    for name in ("rsloop", "rsloop_core"):
        shutil.copy2(wheel(name), tmp_path)
        reversion(wheel(name), partner, tmp_path)
    assert install(tmp_path, f"rsloop=={partner}").returncode == 0
    assert installed(tmp_path) == {"rsloop": partner, "rsloop_core": partner}


@pytest.mark.parametrize("partner", [OLDER, NEWER], ids=["older", "newer"])
def test_the_header_goes_with_any_core(tmp_path: Path, partner: str) -> None:
    """Extensions are built once and meet whichever core there is: the table decides, no pin."""
    for name in ("rsloop", "rsloop_core"):
        shutil.copy2(wheel(name), tmp_path)
    reversion(wheel("rsloop_bridge"), partner, tmp_path)
    assert install(tmp_path, "rsloop", "rsloop-bridge").returncode == 0
    assert installed(tmp_path)["rsloop_bridge"] == partner
