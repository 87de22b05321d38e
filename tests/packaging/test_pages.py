"""The documentation's pages and the READMEs: Rust is compiled, and links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
READMES = [ROOT / "README.md", ROOT / "crates" / "README.md"]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings are linked to."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_rust_of_each_page_is_compiled() -> None:
    crate = (ROOT / "tests" / "docs" / "src" / "lib.rs").read_text(encoding="utf-8")
    compiled = set(re.findall(r'include_str!\("../../../(.*?)"\)', crate))
    with_rust = {name(page) for page in PAGES if "```rust" in page.read_text(encoding="utf-8")}
    assert compiled == with_rust


def links(page: Path) -> list[tuple[str, str]]:
    """Return the file and the heading of each link into the repository; either may be empty."""
    return re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [*READMES, *PAGES], ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for file, anchor in links(page):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


@pytest.mark.parametrize("page", READMES, ids=name)
def test_readmes_lead_on(page: Path) -> None:
    assert len(links(page)) > 5
