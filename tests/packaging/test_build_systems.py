"""Build systems find the header of the installed package by what it says of itself."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

import rsloop_bridge

LATER = Path(__file__).resolve().parents[1] / "bridge" / "header" / "later.c"
CMAKE = f"""
cmake_minimum_required(VERSION 3.20)
project(later LANGUAGES C)
message(STATUS "for ${{Python_EXECUTABLE}}")
find_package(Python REQUIRED COMPONENTS Development.Module)
find_package(rsloop_bridge {version("rsloop-bridge")} REQUIRED CONFIG)
message(STATUS "found ${{rsloop_bridge_VERSION}}")
Python_add_library(later MODULE WITH_SOABI {LATER})
target_link_libraries(later PRIVATE rsloop::bridge)
"""


def ask(*command: str, **environment: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.strip()


def package(*options: str) -> list[str]:
    """Return the lines that `python -m rsloop_bridge` prints."""
    return ask(sys.executable, "-m", "rsloop_bridge", *options).splitlines()


def test_the_command_answers_in_the_order_asked() -> None:
    cmake, pkgconfig, includes, number = package(
        "--cmakedir", "--pkgconfigdir", "--includes", "--version"
    )
    assert Path(cmake, "rsloop_bridgeConfig.cmake").is_file()
    assert Path(pkgconfig, "rsloop_bridge.pc").is_file()
    assert f"-I{rsloop_bridge.get_include()}" in shlex.split(includes)
    assert f"-I{sysconfig.get_path('include')}" in shlex.split(includes)
    assert number == version("rsloop-bridge")


def test_the_command_without_options_says_what_there_is() -> None:
    command = [sys.executable, "-m", "rsloop_bridge"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--cmakedir" in done.stderr


def test_a_compiler_takes_the_options_as_they_are(tmp_path: Path) -> None:
    (includes,) = package("--includes")
    beside = ["-idirafter", str(Path(sysconfig.get_path("include")).parent)]
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, *shlex.split(includes), *beside, "-fsyntax-only", str(LATER)]
    subprocess.run(command, check=True)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="pkg-config is not installed")
def test_pkg_config_finds_the_header() -> None:
    (folder,) = package("--pkgconfigdir")
    ask_it = ("pkg-config", "rsloop_bridge")
    assert ask(*ask_it, "--modversion", PKG_CONFIG_PATH=folder) == version("rsloop-bridge")
    (option,) = shlex.split(ask(*ask_it, "--cflags", PKG_CONFIG_PATH=folder))
    assert Path(option.removeprefix("-I")).resolve() == Path(rsloop_bridge.get_include()).resolve()


def test_cmake_builds_an_extension(tmp_path: Path) -> None:
    pytest.importorskip("cmake")
    cmake = str(Path(sysconfig.get_path("scripts"), "cmake"))
    (tmp_path / "CMakeLists.txt").write_text(CMAKE)
    (folder,) = package("--cmakedir")
    without_gil = "ON" if sysconfig.get_config_var("Py_GIL_DISABLED") else "OFF"
    options = (
        f"-Drsloop_bridge_DIR={folder}",
        f"-DPython_EXECUTABLE={sys.executable}",
        # Said, because FindPython guesses wrong for some builds of Python.
        f"-DPython_INCLUDE_DIR={sysconfig.get_path('include')}",
        # A Python without a GIL is found only where it is said that one may be.
        f"-DPython_FIND_ABI=ANY;ANY;ANY;{without_gil}",
        # Debian's Python.h includes its pyconfig.h by a path that begins one folder further up.
        f"-DCMAKE_C_FLAGS=-idirafter {Path(sysconfig.get_path('include')).parent}",
    )
    build = tmp_path / "build"
    configured = ask(cmake, "-S", str(tmp_path), "-B", str(build), *options)
    assert f"found {version('rsloop-bridge')}" in configured
    ask(cmake, "--build", str(build))
    (library,) = build.glob("later*.so")
    spec = importlib.util.spec_from_file_location("later", library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.find() in (True, False)
