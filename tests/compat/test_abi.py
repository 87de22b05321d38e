"""What an extension was compiled with stays true: every header that was ever released still fits.

`abi/` holds the header as each minor version released it. The core exports its table in a capsule
and not as a symbol, so there is nothing in the compiled module that abidiff could compare; but the
two compilers' views of the table, that of the old header and that of the new, are just as good.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import rsloop
import rsloop_bridge
from rsloop_core import _core

HERE = Path(__file__).parent
SOURCES = HERE.parent / "bridge" / "header"
NOW = Path(rsloop_bridge.get_include(), "rsloop_bridge.h")
FROZEN = sorted((HERE / "abi").glob("rsloop_bridge-*.h"))
TYPES = ("rsl_api", "rsl_job")
# An old extension never looks beyond the end that it knows.
MAY_GROW = """
[suppress_type]
  name = rsl_api
  has_data_member_inserted_at = end
"""


def minor(header: Path) -> int:
    (number,) = re.findall(r"#define RSL_ABI_MINOR (\d+)", header.read_text())
    return int(number)


def includes(folder: Path) -> list[str]:
    paths = [sysconfig.get_path("include"), sysconfig.get_path("platinclude")]
    python = [argument for path in paths for argument in ("-isystem", path)]
    return [f"-I{folder}", *python, "-idirafter", str(Path(paths[0]).parent)]


def compile_c(header: Path, folder: Path, output: str, source: str, *options: str) -> Path:
    """Compile `source` with `header` under the name that sources include."""
    folder.mkdir(exist_ok=True)
    shutil.copy2(header, folder / "rsloop_bridge.h")
    command = ["cc", "-std=c99", "-g", "-fPIC", "-x", "c", "-", "-o", str(folder / output)]
    subprocess.run([*command, *options, *includes(folder)], input=source, text=True, check=True)
    return folder / output


def layout(header: Path, folder: Path) -> list[tuple[str, int, int]]:
    """Return name, offset and size of each field of the shared types, as the compiler sees them."""
    text = header.read_text()
    prints = []
    for name in TYPES:
        (body,) = re.findall(rf"typedef struct {name} {{\n(.*?)\n}} {name};", text, re.DOTALL)
        plain = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
        for line in filter(None, map(str.strip, plain.splitlines())):
            (field,) = re.findall(r"\(\*(\w+)\)|(\w+);", line)[:1]
            member = field[0] or field[1]
            prints.append(
                f'printf("{name}.{member} %zu %zu\\n", offsetof({name}, {member}), '
                f"sizeof((({name} *)0)->{member}));"
            )
    program = '#include "rsloop_bridge.h"\n#include <stdio.h>\nint main(void) {\n'
    source = program + "\n".join(prints) + "\nreturn 0; }\n"
    # Optimised, so that the header's functions, which nobody calls, need no Python to link.
    binary = compile_c(header, folder, "layout", source, "-O1")
    output = subprocess.run([binary], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in output.splitlines()]
    return [(name, int(offset), int(size)) for name, offset, size in rows]


def test_this_minor_version_is_kept() -> None:
    assert minor(NOW) in map(minor, FROZEN)


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_every_field_is_where_it_was(frozen: Path, tmp_path: Path) -> None:
    before = layout(frozen, tmp_path / "before")
    after = layout(NOW, tmp_path / "after")
    assert len(before) >= 16
    assert set(before) <= set(after)
    if minor(frozen) == minor(NOW):
        assert before == after


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
@pytest.mark.skipif(shutil.which("abidiff") is None, reason="abidiff is not installed")
def test_abidiff_finds_nothing_that_breaks(frozen: Path, tmp_path: Path) -> None:
    source = """
        #include "rsloop_bridge.h"
        const rsl_api *table(void);
        const rsl_api *table(void) { return NULL; }
        void give(rsl_job *job);
        void give(rsl_job *job) { (void)job; }
    """
    before = compile_c(frozen, tmp_path / "before", "table.so", source, "-shared")
    after = compile_c(NOW, tmp_path / "after", "table.so", source, "-shared")
    suppressions = tmp_path / "may_grow.ini"
    suppressions.write_text(MAY_GROW)
    command = ["abidiff", "--suppressions", str(suppressions), str(before), str(after)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(shutil.which("abidiff") is None, reason="abidiff is not installed")
def test_abidiff_would_find_a_moved_entry(tmp_path: Path) -> None:
    text = NOW.read_text()
    line = "  void (*ref)(struct rsl_loop *of);\n"
    assert text.count(line) == 1
    moved = tmp_path / "moved.h"
    moved.write_text(text.replace(line, ""))
    with pytest.raises(AssertionError):
        test_abidiff_finds_nothing_that_breaks(moved, tmp_path)


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda path: path.stem)
def test_an_extension_of_each_header_runs_on_this_core(frozen: Path, tmp_path: Path) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    source = (SOURCES / "later.c").read_text()
    macos = ("-bundle", "-undefined", "dynamic_lookup")
    shared = macos if sys.platform == "darwin" else ("-shared",)
    library = compile_c(frozen, tmp_path / "before", f"later{suffix}", source, *shared)
    spec = importlib.util.spec_from_file_location("later", library)
    assert spec is not None
    assert spec.loader is not None
    extension: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)

    async def main() -> list[int]:
        return [await extension.later(number) for number in range(10)]

    assert rsloop.run(main()) == list(range(10))
    assert "_C_API" in vars(_core)
