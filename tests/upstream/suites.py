"""The packages whose tests are run, as suites.toml describes them, and where their tests are."""

import subprocess
import sys
import tarfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOWNLOADS = HERE.parent.parent / "build" / "upstream"


@dataclass
class Suite:
    """The tests of one package; the fields are those of suites.toml."""

    name: str
    version: str
    files: list[str]
    arguments: list[str]
    requires: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=lambda: ["stdlib"])

    def fetch(self) -> Path:
        """Return the source distribution, downloaded if need be."""
        # A folder of its own, since there are several ways to spell a name in that of a file.
        folder = DOWNLOADS / f"{self.name}-{self.version}"
        if not list(folder.glob("*.tar.gz")):
            source = (f"--no-binary={self.name}", "--no-deps", f"--dest={folder}")
            command = (sys.executable, "-m", "pip", "download", "--quiet", *source)
            subprocess.run([*command, f"{self.name}=={self.version}"], check=True)
        (archive,) = folder.glob("*.tar.gz")
        return archive

    def unpack(self, folder: Path) -> None:
        """Put the tests, and what they read, into `folder`."""
        with tarfile.open(self.fetch()) as archive:
            for member in archive.getmembers():
                inside = Path(*Path(member.name).parts[1:])
                if any(inside.is_relative_to(each) for each in self.files):
                    archive.extract(member.replace(name=str(inside)), folder, filter="data")


def load(name: str) -> Suite:
    """Return the suite called `name`."""
    return Suite(name=name, **tomllib.loads((HERE / "suites.toml").read_text())[name])
