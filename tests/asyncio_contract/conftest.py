"""The two loops, ways to run code on them, and the checks that follow every test.

Select one loop with ``-k stdlib`` or ``-k rsloop``.
"""

import asyncio
import gc
import logging
import os
import pathlib
import signal
import socket
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from .tls_connections import Authority

T = TypeVar("T")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

Pair = tuple[socket.socket, socket.socket]

HERE = pathlib.Path(__file__).parent


def stdlib_fault(loop_kind: str, fault: str) -> None:
    """Skip the rest of a test on the stdlib loop, which has `fault`; rsloop has not."""
    if loop_kind == "stdlib":
        pytest.skip(f"the stdlib loop {fault}")


# Distributions still ship 3.11.2, whose asyncio has faults that later 3.11 have not, in code that
# rsloop inherits.
NOT_EARLY_311 = pytest.mark.skipif(
    sys.version_info < (3, 11, 5), reason="early CPython 3.11 has faults here, on both loops"
)


class Run(Protocol):
    """The type of the `run` fixture."""

    def __call__(self, main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
        """Run `main` to its end on a fresh loop."""
        ...


def pytest_collection_finish() -> None:
    # The checks after each test collect garbage; keep what is imported out of that.
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(30))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "loop_kind" not in metafunc.fixturenames:
        return
    kinds = ["stdlib", "rsloop"]
    # rsloop has two ways to move the data of TLS: see docs/architecture.md.
    if getattr(metafunc.module, "over_both_data_paths", False):
        kinds.append("rsloop-memory-bio")
    metafunc.parametrize("loop_kind", kinds, indirect=True)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Yield two connected non-blocking sockets."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


@pytest.fixture
def loop_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Name the loop under test."""
    kind: str = request.param
    if kind != "rsloop-memory-bio":
        yield kind
        return
    from rsloop_core import _core

    before = _core.use_direct_tls(False)
    yield "rsloop"
    _core.use_direct_tls(before)


@pytest.fixture(scope="session")
def authority() -> "Authority":
    """Return a certificate authority; making keys takes a while."""
    from .tls_connections import Authority

    return Authority()


@pytest.fixture
def loop_factory(loop_kind: str) -> LoopFactory:
    """Return the callable that makes a loop of the kind under test."""
    if loop_kind == "stdlib":
        return asyncio.SelectorEventLoop
    # Imported here so that `-k stdlib` works where rsloop is not installed.
    import rsloop_core

    factory: LoopFactory = rsloop_core.Loop
    return factory


@pytest.fixture
def loop(loop_factory: LoopFactory) -> Iterator[asyncio.AbstractEventLoop]:
    """Yield a fresh loop and close it after the test, if the test has not."""
    loop = loop_factory()
    yield loop
    assert not loop.is_running()
    # pytest keeps the loop a while longer, and with it whatever its handler has seen.
    loop.set_exception_handler(None)
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@pytest.fixture
def run(loop_factory: LoopFactory) -> Run:
    """Return a function that runs a coroutine as `asyncio.run` does."""

    def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
        with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
            return runner.run(main)

    return run


class Log(logging.Handler):
    """Collects what asyncio logs."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        """The messages, without their tracebacks."""
        return [record.getMessage() for record in self.records]


@pytest.fixture
def asyncio_log() -> Iterator[Log]:
    """Collect asyncio's log records; a test that asks for them may cause errors."""
    log = Log()
    logger = logging.getLogger("asyncio")
    logger.addHandler(log)
    # pytest's own handler would keep the tracebacks, and what they refer to, alive.
    logger.propagate = False
    yield log
    logger.propagate = True
    logger.removeHandler(log)
    log.records.clear()  # and the tracebacks in them, with all that their frames refer to


@pytest.fixture(autouse=True)
def nothing_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test when asyncio reports an error which the test does not ask for."""
    if "asyncio_log" in request.fixturenames:
        yield
        return
    log = Log()
    log.setLevel(logging.ERROR)
    logger = logging.getLogger("asyncio")
    logger.addHandler(log)
    yield
    logger.removeHandler(log)
    reports = [logging.Formatter().format(record) for record in log.records]
    assert not reports, "\n".join(reports)


def open_descriptors() -> dict[int, str]:
    """Map each open descriptor of this process to what it refers to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            # The descriptor of this very listing is closed by now.
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_leaked(nothing_logged: None) -> Iterator[None]:
    """Fail the test when it leaves a descriptor, a thread or a signal setting behind."""
    gc.collect()
    descriptors = open_descriptors()
    threads = set(threading.enumerate())
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    wakeup = wakeup_descriptor()
    yield
    gc.collect()
    assert open_descriptors() == descriptors
    assert set(threading.enumerate()) == threads
    # pytest-timeout owns SIGALRM while a test runs.
    after = {number: signal.getsignal(number) for number in signal.valid_signals()}
    handlers.pop(signal.SIGALRM)
    after.pop(signal.SIGALRM)
    assert after == handlers
    assert wakeup_descriptor() == wakeup


#: How many blocks of memory a module may keep for a reason of its own, such as a cache.
KEPT_BLOCKS = 20_000

#: Without a GIL, CPython 3.13 keeps functions and classes for ever once a thread has been started,
#: and with them what they close over.
KEEPS_CLOSURES = sys.version_info < (3, 14) and bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.fixture(scope="module", autouse=True)
def nothing_kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a module that ends with other descriptors, threads and objects than it found.

    The rest of the suite, pytest included, remembers a little of each test: that is the allowance.
    """
    before = counts()
    blocks = sys.getallocatedblocks()
    yield
    if getattr(request.module, "kept_by_cpython", False):
        return
    # A thread that has been joined is the kernel's for a moment more.
    deadline = time.monotonic() + 5
    while kernel_threads() > before["threads"] and time.monotonic() < deadline:
        time.sleep(0.001)
    assert counts() == before
    assert sys.getallocatedblocks() - blocks < KEPT_BLOCKS


def counts() -> dict[str, int]:
    """Count what the process holds: descriptors, the kernel's threads, asyncio's objects."""
    gc.collect()
    kinds = (asyncio.BaseTransport, asyncio.Handle, asyncio.Future)
    alive = gc.get_objects()
    found: Counter[str] = Counter()
    if not KEEPS_CLOSURES:
        found.update(kind.__name__ for each in alive for kind in kinds if isinstance(each, kind))
    # A closed one may still be a value of the last test's fixtures.
    loops = [each for each in alive if isinstance(each, asyncio.BaseEventLoop)]
    found["open loops"] = sum(not loop.is_closed() for loop in loops)
    found["descriptors"] = len(open_descriptors())
    found["threads"] = kernel_threads()
    return dict(found)


def kernel_threads() -> int:
    """Count the threads of the process."""
    return len(os.listdir("/proc/self/task"))


def wakeup_descriptor() -> int:
    """Return the descriptor that `signal.set_wakeup_fd` holds now."""
    descriptor = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(descriptor)
    return descriptor


@pytest.fixture
def switch_interval() -> Iterator[None]:
    """Make threads switch often, so that races between them show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)
