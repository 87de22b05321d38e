"""Make a project of templates/extension, as cargo-generate would, against the crates of this tree.

    python tools/template.py NAME FOLDER

`FOLDER/NAME` is the project; `FOLDER` makes cargo take the published crates from this tree, packed.
Prints the project. Where cargo-generate is installed it does the work, and otherwise this script,
which knows the few placeholders that the template uses.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from outsider import ROOT, pack_crates, patch_registry

TEMPLATE = ROOT / "templates" / "extension"
DESCRIPTION = "An extension in Rust for Python's asyncio."


def render(name: str, folder: Path) -> None:
    """Fill in the template's placeholders, in the names of files and inside."""
    values = {
        "project-name": name,
        "crate_name": name.replace("-", "_"),
        "description": DESCRIPTION,
    }

    def fill(text: str) -> str:
        return re.sub(r"\{\{([a-z_-]+)\}\}", lambda match: values[match[1]], text)

    for source in sorted(TEMPLATE.rglob("*")):
        target = folder / name / fill(str(source.relative_to(TEMPLATE)))
        if source.is_file() and source.name != "cargo-generate.toml":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(fill(source.read_text(encoding="utf-8")), encoding="utf-8")


def generate(name: str, folder: Path) -> None:
    """Have cargo-generate do it."""
    command = ["cargo", "generate", "--path", str(TEMPLATE), "--name", name]
    options = [
        "--destination",
        str(folder),
        "--define",
        f"description={DESCRIPTION}",
        "--vcs=none",
        "--silent",
    ]
    subprocess.run([*command, *options], check=True, stdout=sys.stderr)


def main() -> None:
    """Do what the module says, for its arguments."""
    name, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    if folder.is_relative_to(ROOT):
        sys.exit(f"{folder}: is inside the repository, where cargo would find its workspace")
    (generate if shutil.which("cargo-generate") else render)(name, folder)
    patch_registry(folder, pack_crates(folder / "crates"))
    print(folder / name)


if __name__ == "__main__":
    main()
