"""The page about porting knows each public name of pyo3-async-runtimes."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extensions" / "porting.md"
# The public items of its crate, version 0.30, but for what the names of `generic` stand for.
NAMES = (
    "get_running_loop",
    "TaskLocals::new",
    "TaskLocals::with_running_loop",
    "with_context",
    "copy_context",
    "TaskLocals::event_loop",
    "context",
    "TaskLocals::clone_ref",
    "into_future_with_locals",
    "inventory",
    "testing",
    "err::RustPanic",
    "generic",
    "Runtime",
    "ContextExt",
    "re_exports",
    "main",
    "test",
    "scope",
    "scope_local",
    "get_current_loop",
    "get_current_locals",
    "init",
    "init_with_runtime",
    "get_runtime",
    "run_until_complete",
    "run",
    "future_into_py_with_locals",
    "future_into_py",
    "local_future_into_py",
    "into_future",
    "into_stream_v1",
    "into_stream_with_locals_v1",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_says_what_becomes_of(name: str) -> None:
    rows = PAGE.read_text().split("| --- | --- | --- |")[1].split("\n\n")[0].splitlines()
    first_cells = [row.split("|")[1] for row in rows if row.strip()]
    assert any(re.search(rf"\b{name}\b", cell) for cell in first_cells)
