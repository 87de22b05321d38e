"""Tell a build system where the header is: `python -m rsloop_bridge --includes`."""

import argparse
import shlex
import sysconfig

import rsloop_bridge


def includes() -> str:
    """Return the compiler's options for this header and for CPython's own, quoted for a shell."""
    paths = [
        sysconfig.get_path("include"),
        sysconfig.get_path("platinclude"),
        rsloop_bridge.get_include(),
    ]
    return shlex.join(f"-I{path}" for path in dict.fromkeys(paths))


def main() -> None:
    """Print one line for each option given."""
    parser = argparse.ArgumentParser(prog="python -m rsloop_bridge", description=__doc__)
    answers = {
        "--includes": ("print the compiler's options for this header and CPython's own", includes),
        "--cmakedir": (
            "print the folder for CMake's rsloop_bridge_DIR",
            rsloop_bridge.get_cmake_dir,
        ),
        "--pkgconfigdir": (
            "print the folder for PKG_CONFIG_PATH",
            rsloop_bridge.get_pkgconfig_dir,
        ),
        "--version": ("print the version of the package", lambda: rsloop_bridge.__version__),
    }
    for option, (help_, answer) in answers.items():
        parser.add_argument(option, dest="answers", action="append_const", const=answer, help=help_)
    chosen = parser.parse_args().answers
    if chosen is None:
        parser.error(f"say what to print: {', '.join(answers)}")
    for answer in chosen:
        print(answer())


if __name__ == "__main__":
    main()
