"""The projects that `nox -s reference` builds are the documentation's code, word for word."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "reference"
PAGES = sorted((HERE.parents[2] / "docs" / "extensions").glob("*.md"))
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(
        r"^```\w+\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
]


@pytest.mark.parametrize(
    "name",
    [
        "minimal/src/lib.rs",
        "minimal/pyproject.toml",
        "minimal/main.py",
        "call_python/src/documented.rs",
    ],
)
def test_a_documented_file_is_built_unchanged(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") in BLOCKS


@pytest.mark.parametrize("name", ["minimal", "call_python"])
def test_only_the_line_of_rsloop_differs_in_the_dependencies(name: str) -> None:
    def dependencies(text: str) -> list[str]:
        return text.split("[dependencies]\n")[1].splitlines()

    built = dependencies((HERE / name / "Cargo.toml").read_text(encoding="utf-8"))
    documented = dependencies(next(block for block in BLOCKS if block.startswith("[package]")))
    differing = [pair for pair in zip(built, documented, strict=True) if pair[0] != pair[1]]
    assert [line.split(" =")[0] for pair in differing for line in pair] == ["rsloop", "rsloop"]
