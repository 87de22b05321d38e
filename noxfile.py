"""Every task of the repository. Continuous integration calls nothing else.

Plain `nox` checks everything on the Python that runs it; `nox --list` shows the sessions.
Interpreters that are missing are skipped by name, unless NOX_STRICT=1 makes them failures.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nox

ROOT = Path(__file__).parent
FREE_THREADED = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}{FREE_THREADED}"
PYTHONS = list(dict.fromkeys([HERE, "3.11", "3.12", "3.13", "3.14", "3.15", "3.13t", "3.14t"]))
INSTALLS = [nox.param(kind, id=kind) for kind in ("wheel", "sdist")]
GROUPS = nox.project.load_toml("pyproject.toml")
SUITES = nox.project.load_toml("tests/upstream/suites.toml")
OURS = ("rsloop", "rsloop-core", "rsloop-bridge")
# One of each minor version that the manifests allow; the lock files hold the last.
PYO3 = ("0.28.3", "0.29.0", "0.30.1")
# The features of the bridge's executors, besides the default one; none is an extension's own.
EXECUTORS = ((), ("--features=tokio",), ("--features=smol",))
# The cells of Python and PyO3 that cannot be, each with its reason.
REFUSED = {
    ("3.13t", "0.29.0"): "PyO3 0.29 no longer supports free-threaded 3.13",
    ("3.13t", "0.30.1"): "PyO3 0.29 no longer supports free-threaded 3.13",
    ("3.14t", "0.28.3"): "free-threaded 3.14 is supported from PyO3 0.29 on",
    ("3.15", "0.28.3"): "CPython 3.15 is supported from PyO3 0.29 on",
}
# What depends on packages that have no wheels for free-threaded Pythons; tests do without them.
NOT_FREE_THREADED = ("trustme", "uvloop")

# What drives the bridge in its tests.
EXTENSION = "tests/bridge/extension"

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
# Plain `nox` needs no interpreter but its own, so that must not be skipped either.
PLAIN = len(sys.argv) == 1
nox.options.error_on_missing_interpreters = PLAIN or os.environ.get("NOX_STRICT") == "1"
nox.options.reuse_venv = "yes"
nox.options.sessions = [
    "lint",
    "types",
    "versions",
    "rust",
    f"tests-{HERE}(wheel)",
    f"tests-{HERE}(sdist)",
    "examples",
]
os.environ["UV_PYTHON_DOWNLOADS"] = "never"


def install_groups(session: nox.Session, *groups: str) -> None:
    """Install dependency groups of pyproject.toml: other people's packages, from the index."""
    requirements = list(nox.project.dependency_groups(GROUPS, *groups))
    if str(session.python or HERE).endswith("t"):
        requirements = [each for each in requirements if not each.startswith(NOT_FREE_THREADED)]
        # Its newest release that has one for this Python: building the others needs more tools.
        requirements.append("--only-binary=hypothesis")
    session.install(*requirements)


def build_ours(session: nox.Session, kind: str = "wheel", profile: str = "quick") -> Path:
    """Return the folder with our distributions for the session's Python, built if need be."""
    install_groups(session, "build")
    command = ("python", "tools/dist.py", kind, "--profile", profile)
    output = session.run(*command, silent=True, stderr=None)
    return Path(str(output).strip())


def install_ours(session: nox.Session, kind: str = "wheel", profile: str = "quick") -> Path:
    """Install our distributions, and return their folder.

    Never from an index, where foreign packages have the same names.
    """
    dist = build_ours(session, kind, profile)
    session.install("--force-reinstall", "--no-index", f"--find-links={dist}", *OURS)
    return dist


def install_extension(session: nox.Session, source: Path, *features: str) -> None:
    """Build and install the extension in `source`, with Cargo's own folder shared.

    Arguments about `features` go to Cargo.
    """
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "extensions")
    env = {
        "CARGO_TARGET_DIR": str(target / f"py{session.python or HERE}"),
        "MATURIN_PEP517_ARGS": " ".join(features),
    }
    # Forced, because a change of the Rust sources alone is not noticed.
    options = ("--force-reinstall", "--no-build-isolation", "--no-deps", "--no-index")
    session.install(*options, str(source), env=env)


def cargo(session: nox.Session, *arguments: str) -> None:
    """Run cargo, with PyO3 built for the session's Python.

    And not linked to its library, which many a Python lacks: no test in Rust calls Python.
    """
    env = {"PYO3_PYTHON": str(Path(session.bin) / "python"), "PYO3_BUILD_EXTENSION_MODULE": "1"}
    session.run("cargo", *arguments, external=True, env=env)


@nox.session
def local(session: nox.Session) -> None:
    """Format, then lint, types, versions and the fast tests: for before each commit."""
    install_groups(session, "lint")
    session.run("ruff", "check", "--fix-only", "--quiet")
    session.run("ruff", "format", "--quiet")
    cargo(session, "fmt", "--all")
    for name in ("lint", "types", "versions", f"tests-{HERE}(wheel)"):
        session.notify(name)


@nox.session
def lint(session: nox.Session) -> None:
    """Check Python's style and format, and the form of the workflows."""
    install_groups(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    workflows = sorted(str(path) for path in Path(".github/workflows").glob("*.yml"))
    session.run("check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", ".github")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, and the compiled module's stub against the module."""
    install_groups(session, "types")
    install_ours(session)
    session.run("mypy")
    allowed = "--allowlist=packages/rsloop-core/stubtest-allowlist.txt"
    modules = ("rsloop_core._core", "rsloop_bridge", "rsloop")
    session.run("stubtest", "--mypy-config-file=pyproject.toml", allowed, *modules)


@nox.session
def versions(session: nox.Session) -> None:
    """Check that one version is stated everywhere, and that one command can bump it."""
    install_groups(session, "versions")
    session.run("python", "tools/versions.py")
    session.run("python", "tools/versions.py", "--bump", external=True)


@nox.session
def rust(session: nox.Session) -> None:
    """Check Rust's format and lints, and run the crates' tests and doctests."""
    cargo(session, "fmt", "--all", "--check")
    cargo(session, "clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings")
    runner = ("nextest", "run") if shutil.which("cargo-nextest") else ("test", "--all-targets")
    cargo(session, *runner, "--workspace", "--locked")
    cargo(session, "test", "--doc", "--workspace", "--locked")
    # The code of the documentation's pages, in a crate that depends on the bridge as they say.
    pages = ("--manifest-path=tests/docs/Cargo.toml", f"--target-dir={ROOT / 'target'}")
    cargo(session, "test", "--doc", "--locked", *pages)
    # Features are additive, so that only the bridge alone shows each executor.
    for features in EXECUTORS:
        options = ("--package=rsloop-bridge", "--locked", "--no-default-features", *features)
        cargo(session, "clippy", "--all-targets", *options, "--", "-D", "warnings")
        cargo(session, "test", "--lib", *options)


@nox.session
def msrv(session: nox.Session) -> None:
    """Check the oldest Rust that is promised: by what is said of it, and by building with it.

    RSLOOP_MSRV_TOOLCHAIN names a folder with its `rustc` and `cargo`; otherwise rustup's is taken.
    """
    session.run("python", "tools/msrv.py")
    allowed = ("-A", "clippy::all", "-D", "clippy::incompatible_msrv")
    options = ("--workspace", "--all-features", "--locked")
    cargo(session, "clippy", *options, "--", *allowed)
    promised = str(nox.project.load_toml("Cargo.toml")["workspace"]["package"]["rust-version"])
    toolchain = oldest_toolchain(promised)
    if toolchain is None:
        message = f"Rust {promised} is not here: nothing was built with it"
        if os.environ.get("NOX_STRICT") == "1":
            session.error(message)
        session.skip(message)
    install_ours(session)
    install_groups(session, "test")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), f"rust-{promised}")
    session.env["CARGO_TARGET_DIR"] = str(target)
    session.env["PATH"] = os.pathsep.join(
        (str(toolchain), session.env.get("PATH") or os.environ["PATH"])
    )
    # Without the tests of the other crates, whose dependencies may be newer.
    cargo(session, "build", *options)
    for features in EXECUTORS:
        bridge = ("--package=rsloop-bridge", "--locked", "--no-default-features", *features)
        cargo(session, "test", "--lib", *bridge)
    install_extension(session, Path(EXTENSION))
    session.run("pytest", "-W", "error", *(session.posargs or ["tests/bridge"]))


def oldest_toolchain(promised: str) -> Path | None:
    """Return the folder with the `rustc` and `cargo` of version `promised`, if it is here."""
    if named := os.environ.get("RSLOOP_MSRV_TOOLCHAIN"):
        found = Path(named)
    elif shutil.which("rustup"):
        command = ("rustup", "which", "rustc", "--toolchain", promised)
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode:
            return None
        found = Path(asked.stdout.strip()).parent
    else:
        return None
    rustc = str(found / "rustc")
    asked = subprocess.run((rustc, "--version"), capture_output=True, text=True, check=True)
    if not asked.stdout.startswith(f"rustc {promised}."):
        raise RuntimeError(f"{found} has another Rust than {promised}: {asked.stdout.strip()}")
    return found


@nox.session(venv_backend="none")
def apple(session: nox.Session) -> None:
    """Check on any system that the crates compile for macOS.

    Needs the target (`rustup target add aarch64-apple-darwin`) or Rust's sources (`rust-src`).
    """
    target, version = "aarch64-apple-darwin", f"{sys.version_info[0]}.{sys.version_info[1]}"
    rustc = (os.environ.get("RUSTC", "rustc"), f"--target={target}")
    answers = session.run(
        *rustc, "--print=target-libdir", "--print=sysroot", silent=True, external=True
    )
    library, sysroot = str(answers).splitlines()
    options, env = ["--workspace", "--locked", f"--target={target}"], {}
    if not Path(library).is_dir():
        if not Path(sysroot, "lib/rustlib/src/rust/library").is_dir():
            session.skip(f"neither the target {target} nor Rust's sources are installed")
        options += ["-Zbuild-std=std,panic_abort"]
        env["RUSTC_BOOTSTRAP"] = "1"
    # What PyO3 would ask a Python of that system.
    config = Path(session.create_tmp(), "pyo3.txt").absolute()
    facts = f"implementation=CPython\nversion={version}\nshared=true\npointer_width=64\n"
    config.write_text(facts + "suppress_build_script_link_lines=true\n", encoding="utf-8")
    env |= {"PYO3_CONFIG_FILE": str(config), "RUSTFLAGS": "-D warnings"}
    session.run("cargo", "check", *options, external=True, env=env)


def run_tests(session: nox.Session, install: str) -> None:
    """Run the Python tests of the tree that is the current folder."""
    dist = install_ours(session, install)
    install_groups(session, "test")
    install_extension(session, Path(EXTENSION))
    suites = ("asyncio_contract", "rsloop", "packaging", "bridge")
    folders = [f"tests/{suite}" for suite in suites if list(Path("tests", suite).glob("test_*.py"))]
    arguments = session.posargs or folders
    session.run("pytest", "-W", "error", *arguments, env={"RSLOOP_DIST": str(dist)})


@contextlib.contextmanager
def tree_with_pyo3(session: nox.Session, version: str) -> Iterator[None]:
    """Make a copy of the tree, whose lock files hold PyO3 `version`, the current folder."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), f"pyo3-{version}")
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "tools/pyo3_tree.py", version, folder)
        copy = str(session.run(*command, silent=True, stderr=None, external=True)).strip()
        session.env["CARGO_TARGET_DIR"] = str(target)
        with session.chdir(copy):
            yield


@contextlib.contextmanager
def tree_for_python(session: nox.Session) -> Iterator[None]:
    """Make a copy with another PyO3 the current folder, where the locked one refuses the Python."""
    works = [each for each in PYO3 if (session.python, each) not in REFUSED]
    if PYO3[-1] in works:
        yield
    else:
        with tree_with_pyo3(session, works[-1]):
            yield


@nox.session(python=PYTHONS)
@nox.parametrize("install", INSTALLS)
def tests(session: nox.Session, install: str) -> None:
    """Run the Python tests against the distributions, installed from wheels or from sdists."""
    if install == "sdist" and (session.python, PYO3[-1]) in REFUSED:
        session.skip(f"sdists carry the lock file with PyO3 {PYO3[-1]}: see wheel")
    with tree_for_python(session):
        run_tests(session, install)


@nox.session(python=PYTHONS)
@nox.parametrize("pyo3", PYO3)
def pyo3(session: nox.Session, pyo3: str) -> None:
    """Run the Python tests with each PyO3 that the manifests allow; arguments go to pytest."""
    if reason := REFUSED.get((str(session.python), pyo3)):
        session.skip(f"refused: {reason}")
    with tree_with_pyo3(session, pyo3):
        run_tests(session, "wheel")


@nox.session
def executors(session: nox.Session) -> None:
    """Run the bridge's tests on each of its executors, and on an extension's own."""
    install_ours(session)
    install_groups(session, "test")
    for features in EXECUTORS:
        extension = Path(EXTENSION)
        install_extension(session, extension, "--no-default-features", *features)
        session.run("pytest", "-W", "error", *(session.posargs or ["tests/bridge"]))


@nox.session
def examples(session: nox.Session) -> None:
    """Build and test each example as an outsider would: a copy, against the built artifacts."""
    install_ours(session)
    install_groups(session, "test", "examples")
    for project in sorted(Path("examples").glob("*/pyproject.toml")):
        example = project.parent.name
        with tempfile.TemporaryDirectory() as folder:
            if project.with_name("Cargo.toml").exists():
                command = ("python", "tools/outsider.py", f"examples/{example}", folder)
                copy = str(session.run(*command, silent=True, stderr=None)).strip()
            else:
                copy = str(shutil.copytree(project.parent, Path(folder, example)))
            with session.chdir(folder):
                install_extension(session, Path(copy))
            test = f"tests/examples/test_{example}.py"
            session.run("pytest", "-W", "error", test, env={"RSLOOP_EXAMPLE": copy})


@nox.session(python=PYTHONS)
def cpython(session: nox.Session) -> None:
    """Run CPython's own test_asyncio on the stdlib loop and on rsloop, and compare."""
    with tree_for_python(session):
        install_ours(session)
        session.run("python", "tests/upstream/cpython.py", *session.posargs)


@nox.session
@nox.parametrize("suite", [nox.param(name, id=name) for name in SUITES])
def upstream(session: nox.Session, suite: str) -> None:
    """Run a package's own tests on the stdlib loop and on rsloop, and compare."""
    install_ours(session)
    package = f"{suite}=={SUITES[suite]['version']}"
    session.install("pip", "pytest>=9,<10", "pytest-timeout", package, *SUITES[suite]["requires"])
    session.run("python", "tests/upstream/upstream.py", suite, *session.posargs)


@nox.session
def ecosystem(session: nox.Session) -> None:
    """Run other people's programs on rsloop."""
    install_ours(session)
    install_groups(session, "test", "ecosystem")
    session.run("pytest", "-W", "error", *(session.posargs or ["tests/ecosystem"]))


@nox.session(venv_backend="none")
def loom(session: nox.Session) -> None:
    """Run what the bridge's threads share through every interleaving, by loom."""
    with session.chdir("tests/bridge/loom"):
        session.run("cargo", "run", "--quiet", "--release", "--locked", external=True)


@nox.session
def template(session: nox.Session) -> None:
    """Generate a project of the template outside, build it, test it, and check its stub."""
    install_ours(session)
    install_groups(session, "test", "types")
    with tempfile.TemporaryDirectory() as folder:
        command = ("python", "tools/template.py", "my-extension", folder)
        project = str(session.run(*command, silent=True, stderr=None)).strip()
        with session.chdir(project):
            install_extension(session, Path(project))
            session.run("pytest")
            session.run("mypy", "python", "tests")
            session.run("stubtest", "my_extension")


@nox.session
def compat(session: nox.Session) -> None:
    """Combine packages, and cores and extensions, of this version with their neighbours'."""
    dist = install_ours(session)
    install_groups(session, "test", "compat")
    install_extension(session, Path(EXTENSION))
    with tempfile.TemporaryDirectory() as folder:
        command = ("python", "tools/newer_abi_tree.py", folder)
        copy = Path(str(session.run(*command, silent=True, stderr=None)).strip())
        core, extension = Path(folder, "core"), Path(folder, "extension")
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "newer-abi")
        local = ("--no-deps", "--no-index")
        with session.chdir(copy):
            session.env["CARGO_TARGET_DIR"] = str(target)
            newer = f"--find-links={build_ours(session)}"
            session.install(*local, newer, f"--target={core}", "rsloop-core")
            source = str(copy / EXTENSION)
            session.install(*local, "--no-build-isolation", f"--target={extension}", source)
            del session.env["CARGO_TARGET_DIR"]
        env = {
            "RSLOOP_DIST": str(dist),
            "RSLOOP_NEWER_CORE": str(core),
            "RSLOOP_NEWER_EXTENSION": str(extension),
        }
        session.run("pytest", "-W", "error", *(session.posargs or ["tests/compat"]), env=env)


@nox.session
def asan(session: nox.Session) -> None:
    """Run the bridge's tests with core and extensions, in Rust and in C, under AddressSanitizer.

    Or those that follow `--`, such as `tests/asyncio_contract -k rsloop`, which takes a quarter of
    an hour. Needs Linux, GCC with its sanitizer's runtime, and a nightly Rust.
    A child of `fork` may hang there, and fail its test: the runtime of GCC 12 has an allocator that
    is left locked where another thread was in it at the fork.
    """
    if not sys.platform.startswith("linux") or shutil.which("gcc") is None:
        session.skip("AddressSanitizer is set up here for GCC on Linux only")
    command = ("rustc", "+nightly", "--print=host-tuple")
    triple = str(session.run(*command, silent=True, external=True)).strip()
    runtime = session.run("gcc", "-print-file-name=libasan.so", silent=True, external=True)
    install_ours(session)
    install_groups(session, "test")
    build = {
        "RUSTUP_TOOLCHAIN": "nightly",
        "RUSTFLAGS": "-Zsanitizer=address -Cforce-frame-pointers=yes",
        # Named, so that what runs in the compiler is not built with the sanitizer.
        "CARGO_BUILD_TARGET": triple,
        "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")) + "/asan",
    }
    with tempfile.TemporaryDirectory() as wheels:
        for source, profile in (("packages/rsloop-core", "quick"), (EXTENSION, "release")):
            options = ("--profile", profile, "--auditwheel=skip", "--out", wheels)
            python = str(Path(session.bin, "python"))
            with session.chdir(source):
                session.run("maturin", "build", "-q", "-i", python, *options, env=build)
        built = [str(path) for path in Path(wheels).glob("*.whl")]
        for path in built:
            with zipfile.ZipFile(path) as wheel:
                (module,) = (name for name in wheel.namelist() if name.endswith(".so"))
                if b"__asan_init" not in wheel.read(module):
                    session.error(f"{module} was built without the sanitizer")
        session.install("--force-reinstall", "--no-deps", "--no-index", *built)
    env = {
        "LD_PRELOAD": str(runtime).strip(),
        # CPython leaks on purpose what lives as long as the process.
        "ASAN_OPTIONS": "detect_leaks=0",
        # Objects from malloc, which the sanitizer watches, and not from CPython's arenas.
        "PYTHONMALLOC": "malloc",
        "CC": "gcc -fsanitize=address -fno-omit-frame-pointer",
    }
    arguments = session.posargs or ["tests/bridge"]
    session.run("pytest", "-W", "error", "--timeout=300", *arguments, env=env)


@nox.session(python=PYTHONS)
def endurance(session: nox.Session) -> None:
    """Run what takes minutes: interpreters that exit in the midst of everything, 200 a loop."""
    arguments = ("-m", "endurance", *(session.posargs or ["tests/bridge"]))
    with tree_for_python(session):
        install_ours(session)
        install_groups(session, "test")
        install_extension(session, Path(EXTENSION))
        session.run("pytest", "-W", "error", *arguments)


@nox.session
def reference(session: nox.Session) -> None:
    """Build and run the documentation's code outside, against the tree and the packed crates."""
    install_ours(session)
    for manifest in sorted(Path("tests/bridge/reference").glob("*/Cargo.toml")):
        for source in (["--tree"], []):
            with tempfile.TemporaryDirectory() as folder:
                command = ("python", "tools/outsider.py", str(manifest.parent), folder, *source)
                copy = Path(str(session.run(*command, silent=True, stderr=None)).strip())
                with session.chdir(copy):
                    install_extension(session, copy)
                    session.run("python", "-W", "error", "main.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Compare the loops by CPU time per operation; options and names of rows may follow `--`."""
    install_ours(session, profile="release")
    install_groups(session, "bench")
    session.run("python", "benches/loop/run.py", *session.posargs)


@nox.session(name="bench-bridge")
def bench_bridge(session: nox.Session) -> None:
    """Compare the bridge with pyo3-async-runtimes; options and names of rows may follow `--`."""
    install_ours(session, profile="release")
    install_groups(session, "bench")
    for extension in ("ours", "peer"):
        install_extension(session, Path("benches/bridge", extension))
    session.run("python", "benches/bridge/compare.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Run every kind of traffic for ten minutes, or the seconds after `--`, and find leaks."""
    install_ours(session)
    install_groups(session, "test")
    session.run("python", "-W", "error", "tests/soak/soak.py", *(session.posargs or ["600"]))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into build/site, and show what the next release would announce."""
    install_groups(session, "docs")
    session.run("zensical", "build", "--strict", "--clean")
    session.run("towncrier", "build", "--draft", "--version", "next")


@nox.session
def dist(session: nox.Session) -> None:
    """Put the release's source distributions and pure wheels into dist/."""
    built = build_ours(session, "sdist", "release")
    Path("dist").mkdir(exist_ok=True)
    for path in (*built.glob("*.tar.gz"), *built.glob("*-py3-none-any.whl")):
        shutil.copy2(path, "dist")


@nox.session(venv_backend="none")
def publish(session: nox.Session) -> None:
    """Publish the crates that extensions depend on; the packages are the release workflow's."""
    session.run("cargo", "publish", "--locked", "--package=rsloop-abi", "--package=rsloop-bridge")
